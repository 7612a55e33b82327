"""Conditions and windows over Blocks: the right lines, whatever fast path found them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from flowlogs_reader.query.conditions import find_addresses
from flowlogs_reader.query.filters import Filter, Window, lines_with
from flowlogs_reader.records.layout import Layout
from tests import traffic

DATA = b''.join(line + b'\n' for line in traffic.lines(3_000))
ROWS = [dict(zip(Layout().fields, line.decode().split())) for line in DATA.splitlines()]
HOST = traffic.PROBE_HOST
Row = dict[str, str]


def number(row: Row, name: str) -> int:
    return int(row[name]) if row[name] != '-' else -1


CASES: list[tuple[list[str], Callable[[Row], bool]]] = [
    ([f'srcaddr={HOST}'], lambda row: row['srcaddr'] == HOST),
    ([f'addr={HOST}'], lambda row: HOST in (row['srcaddr'], row['dstaddr'])),
    ([f'addr!={HOST}'], lambda row: HOST not in (row['srcaddr'], row['dstaddr'])),
    (['addr=10.0.3.0/24'], lambda row: any(row[name].startswith('10.0.3.') for name in ('srcaddr', 'dstaddr'))),
    (['dstport=443', 'action=REJECT'], lambda row: (row['dstport'], row['action']) == ('443', 'REJECT')),
    (['port=22,3389'], lambda row: bool({row['srcport'], row['dstport']} & {'22', '3389'})),
    (['srcport=0-1023'], lambda row: 0 <= number(row, 'srcport') < 1024),
    (['bytes>=100000', 'protocol!=tcp'], lambda row: number(row, 'bytes') >= 100_000 and row['protocol'] != '6'),
    (['log_status=NODATA'], lambda row: row['log_status'] == 'NODATA'),
    (['srcaddr=-'], lambda row: row['srcaddr'] == '-'),
    ([f'interface_id={traffic.PROBE_INTERFACE}'], lambda row: row['interface_id'] == traffic.PROBE_INTERFACE),
    ([f'interface_id!={traffic.PROBE_INTERFACE}'], lambda row: row['interface_id'] != traffic.PROBE_INTERFACE),
    ([f'addr={HOST}', f'interface_id={traffic.PROBE_INTERFACE}', 'packets<5'],
     lambda row: HOST in (row['srcaddr'], row['dstaddr']) and row['interface_id'] == traffic.PROBE_INTERFACE
     and 0 <= number(row, 'packets') < 5),
    (['vpc_id=vpc-1'], lambda row: False),
    (['vpc_id=-'], lambda row: True),
    ([], lambda row: True),
]  # fmt: skip


@pytest.mark.parametrize(('conditions', 'meets'), CASES, ids=[' '.join(texts) or 'none' for texts, _ in CASES])
def test_the_lines_that_meet_all_conditions(conditions: list[str], meets: Callable[[Row], bool]) -> None:
    expected = [line for line, row in zip(DATA.splitlines(), ROWS) if meets(row)]
    chosen = Filter.parse(conditions)
    for _ in range(2):  # what is remembered of the first time changes nothing
        data, skipped = chosen.keep(Layout(), DATA)
        assert (data.splitlines(), skipped) == (expected, 0)
    assert bool(chosen) == bool(conditions)


def test_one_condition_may_be_given_as_it_is() -> None:
    assert Filter.parse('dstport=443').keep(Layout(), DATA) == Filter.parse(['dstport=443']).keep(Layout(), DATA)


def test_findip_looks_at_the_addresses_of_the_packet_too() -> None:
    layout = Layout(['pkt-srcaddr', 'srcaddr', 'dstaddr', 'pkt-dstaddr', 'bytes'])
    lines = [
        b'%b %b %b %b 1' % tuple(b'10.0.0.%d' % (9 if at == place else 1) for at in range(4)) for place in range(5)
    ]
    data, _ = Filter([find_addresses(['10.0.0.9'])]).keep(layout, b'\n'.join(lines) + b'\n')
    assert data.splitlines() == lines[:4]


def test_lines_that_are_not_canonical_are_put_right_before_they_are_compared() -> None:
    layout = Layout(['srcaddr', 'dstport', 'interface_id'])
    data = b'10.0.0.1\t00443  eni-12345678\r\n10.0.0.1 bad eni-12345678\n10.0.0.2 443 eni-12345678\n'
    for condition in ('dstport=443', 'srcaddr=10.0.0.1', 'interface_id=eni-12345678'):
        kept, skipped = Filter.parse([condition]).keep(layout, data)
        assert kept.startswith(b'10.0.0.1 443 eni-12345678\n')
        assert skipped == 1


def test_a_field_that_no_log_has_is_reported() -> None:
    chosen = Filter.parse(['vpc_id=vpc-1', 'addr=10.0.0.1', 'dstport=443'])
    assert chosen.missing(Layout()) == ['vpc_id']
    assert chosen.missing(Layout(['vpc-id', 'dstaddr', 'dstport'])) == []


@pytest.mark.parametrize('texts', [[b'10.0.3.7'], [b'NODATA', b' 443 '], [b'absent'], [b'2'], [b' OK', b'NODATA']])
def test_searching_bytes_finds_whole_lines_in_order(texts: list[bytes]) -> None:
    found = lines_with(DATA, texts).splitlines()
    holding = [line for line in DATA.splitlines() if any(text in line for text in texts)]
    assert found in (holding, DATA.splitlines())  # where the hits are many, all lines come back
    if len(holding) < 30:
        assert found == holding


class TestPattern:
    """What is handed to CloudWatch lets at least every matching line pass."""

    @pytest.mark.parametrize(
        ('conditions', 'pattern'),
        [
            (['addr=10.0.0.1'], '"10.0.0.1"'),
            (['addr=10.0.0.1,10.0.0.2'], '?"10.0.0.1" ?"10.0.0.2"'),
            (['interface_id=eni-12345678', 'addr=10.0.0.1'], '"eni-12345678" "10.0.0.1"'),
            (['addr!=10.0.0.1'], None),
            (['addr=10.0.0.0/8'], None),
            (['addr=2001:db8::1'], None),
            (['bytes>1'], None),
            ([], None),
        ],
    )
    def test_patterns(self, conditions: list[str], pattern: str | None) -> None:
        assert Filter.parse(conditions).pattern() == pattern

    def test_it_stays_within_1024_characters(self) -> None:
        many = ','.join(f'192.168.100.{last}' for last in range(100, 200))
        assert len(Filter.parse([f'addr={many}']).pattern() or '') <= 1024
        fifty = Filter.parse([f'addr={",".join(many.split(",")[:50])}']).pattern()
        assert fifty is not None
        assert len(re.findall(r'\?"[^"]+"', fifty)) == 50


class TestWindow:
    LAYOUT = Layout(['start', 'end', 'srcaddr'])

    @pytest.mark.parametrize(
        ('line', 'inside'),
        [
            (b'10 99 a', True),
            (b'19 99 a', True),
            (b'20 99 a', False),
            (b'9 15 a', False),
            (b'- 10 a', True),
            (b'- 20 a', False),
            (b'- - a', True),  # nothing speaks against it
        ],
    )
    def test_records_count_by_their_start_or_else_by_their_end(self, line: bytes, inside: bool) -> None:
        kept, _ = Filter().keep(self.LAYOUT, line + b'\n', Window(10_000, 20_000))
        assert kept == (line + b'\n' if inside else b'')

    def test_parts_of_a_second(self) -> None:
        line = b'10 20 a\n'
        assert Filter().keep(self.LAYOUT, line, Window(10_001, 20_000)) == (b'', 0)
        assert Filter().keep(self.LAYOUT, line, Window(9_999, 10_001)) == (line, 0)
        assert Filter().keep(self.LAYOUT, line, Window(9_999, 10_000)) == (b'', 0)

    def test_a_format_without_times_is_kept_whole(self) -> None:
        assert Filter().keep(Layout(['srcaddr']), b'a\nb\n', Window(0, 1)) == (b'a\nb\n', 0)
        assert Filter().keep(self.LAYOUT, b'', Window(0, 1)) == (b'', 0)
