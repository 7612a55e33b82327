"""Sums.add_groups: sums that were made elsewhere are added to a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlogs_reader.records.layout import Layout

LAYOUT = Layout(['srcaddr', 'dstport', 'packets', 'bytes', 'start', 'end'])
SUMS = (*LAYOUT.places(('packets', 'bytes', 'start', 'end')), -1)
TRACKED = ('packets', 'bytes', 'start', 'end')
KEYS: list[list[Any]] = [[None, None], [('prefix', 8, 16), None], [None, ('bucket', 60, 0)], [], [None]]

numbers = st.sampled_from(['-', '0', '7', '1000000000000000000']) | st.integers(0, 70_000).map(str)
times = st.sampled_from(['-', '0', '1454324362', '2147483647'])
addresses = st.sampled_from(['10.0.0.1', '10.0.0.2', '11.0.0.1', '2001:db8::1', '-', 'unknown'])
lines = st.tuples(addresses, numbers, numbers, numbers, times, times).map(' '.join)


def add(table: Any, width: int, rows: Sequence[str]) -> None:
    data = ''.join(f'{row}\n' for row in rows).encode()
    table.add(LAYOUT.kinds, (), None, (tuple(range(width)),), SUMS, data)


@given(
    st.lists(st.lists(lines, max_size=8), max_size=4),
    st.sampled_from(KEYS),
    st.sampled_from([TRACKED, ('packets', 'bytes'), ('bytes',), ('start',), ()]),
    st.booleans(),
    st.booleans(),
)
def test_lines_of_tables_give_what_the_records_give(
    kernel: ModuleType, runs: list[list[str]], keys: list[Any], track: Sequence[str], flows_only: bool, raw_keys: bool
) -> None:
    """Whether the values in the lines were made into keys before or not."""
    expected, found = kernel.Sums(keys, track, flows_only), kernel.Sums(keys, track, flows_only)
    for rows in runs:
        add(expected, len(keys), rows)
        part = kernel.Sums([None] * len(keys) if raw_keys else keys, TRACKED, flows_only)
        add(part, len(keys), rows)
        if any(len(value) > 19 for value in part.lines().split()):
            return
        found.add_groups(part.lines())
    assert found.lines() == expected.lines()
    assert len(found) == len(expected)


def test_a_map_is_applied_to_the_values(kernel: ModuleType) -> None:
    table = kernel.Sums([('map', {b'10.0.0.1': b'web'}, b'other')], ('bytes',))
    table.add_groups(b'10.0.0.1 1 40 5 6 1\n10.0.0.2 1 50 5 6 2\n10.0.0.1 1 60 5 6 3\n')
    assert table.lines() == b'web 0 100 - - 4\nother 0 50 - - 2\n'


def test_lines_come_in_pages_of_the_whole_after_groups_were_added(kernel: ModuleType) -> None:
    table = kernel.Sums([None])
    table.add_groups(b'a 1 1 - - 1\n')
    assert table.lines(0, 5) == b'a 1 1 - - 1\n'
    table.add_groups(b'b 1 1 5 - 1\na 1 1 - 9 1\n')
    assert table.lines(0, 5) == b'a 2 2 - 9 2\nb 1 1 5 - 1\n'
    table.add_groups(b'')
    assert len(table) == 2


@pytest.mark.parametrize(
    'line',
    [
        b'a 1 40 5 6 1',
        b'a  1 40 5 6 1\n',
        b'a 1 40 5 6\n',
        b'a b 1 40 5 6 1\n',
        b'a - 40 5 6 1\n',
        b'a 1 - 5 6 1\n',
        b'a 1 40 5 6 -\n',
        b'a 1 40 5 6 0\n',
        b'a 1 40 5 6 01\n',
        b'a -1 40 5 6 1\n',
        b'a 1 10000000000000000000 5 6 1\n',
        b'a 1 40 1454324362000 6 1\n',
        b'a 1 40 5 2147483648 1\n',
        b'\xc3\xa4 1 40 5 6 1\n',
        b'\n',
        b'a 1 40 5 6 1\r\n',
    ],
)
def test_anything_else_is_refused_and_nothing_is_added(kernel: ModuleType, line: bytes) -> None:
    table = kernel.Sums([None])
    with pytest.raises(ValueError, match='not the lines of a table'):
        table.add_groups(b'b 1 1 - - 1\n' + line)
    assert table.lines() == b''


def test_a_bucket_needs_a_number(kernel: ModuleType) -> None:
    table = kernel.Sums([('bucket', 60, 0)], ('bytes',))
    table.add_groups(b'61 0 1 - - 1\n- 0 1 - - 1\n')
    assert table.lines() == b'60 0 1 - - 1\n- 0 1 - - 1\n'
    with pytest.raises(ValueError, match='not the lines of a table'):
        table.add_groups(b'soon 0 1 - - 1\n')


def test_data_must_be_bytes(kernel: ModuleType) -> None:
    with pytest.raises(TypeError):
        kernel.Sums([None]).add_groups('a 1 40 5 6 1\n')


def test_what_a_table_needs_can_be_read(kernel: ModuleType) -> None:
    table = kernel.Sums([None], ('bytes', 'start'), flows_only=False)
    assert table.track == {'bytes', 'start'}
    assert table.flows_only is False


def test_groups_and_records_may_be_added_in_turns(kernel: ModuleType) -> None:
    table = kernel.Sums([None, None])
    for _ in range(3):
        add(table, 2, ['10.0.0.1 443 1 40 5 9', '10.0.0.2 443 1 40 7 8'])
        table.add_groups(b'10.0.0.2 443 2 80 6 7 3\n10.0.0.3 1 0 0 - - 1\n')
    assert table.lines() == (b'10.0.0.1 443 3 120 5 9 3\n10.0.0.2 443 9 360 6 8 12\n10.0.0.3 1 0 0 - - 3\n')


def test_many_keys(kernel: ModuleType) -> None:
    """More lines than one batch has, and keys that are longer than the buffer for them."""
    lines = [b'10.%d.%d.1 %b 1 40 5 6 2\n' % (i >> 8, i & 255, b'x' * (i % 900 + 1)) for i in range(1, 5000)]
    for keys in ([None, None], [('prefix', 24, 24), None]):
        table = kernel.Sums(keys)
        table.add_groups(b''.join(lines))
        expected = (
            b''.join(lines) if not keys[0] else b''.join([re.sub(rb'^(\S+)\.1 ', rb'\1.0/24 ', line) for line in lines])
        )
        assert table.lines() == expected


def test_too_many_keys_for_a_line(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match='1 to 256'):
        kernel.Sums([None] * 252).add_groups(b'')
