"""Rows of Arrow have the same results as the same rows as text."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlogs_reader import FileFlowLogsReader, kernel
from flowlogs_reader.cli.main import main
from flowlogs_reader.kernel import Sums
from flowlogs_reader.query.conditions import parse_condition
from flowlogs_reader.query.query import Window
from flowlogs_reader.records.block import Block, joined
from flowlogs_reader.records.fields import DEFAULT_FIELDS, KNOWN, Kind
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources import arrow, parquet
from flowlogs_reader.sources.filter import Filter, LineTests, Selection
from flowlogs_reader.sources.parquet import parquet_blocks
from tests import traffic
from tests.conftest import NOW, Cli

ADDRESSES = ('10.0.0.1', '10.0.0.10', '10.1.2.3', '8.8.8.8', '2001:db8::1', '2001:db8:0:0:0:0:0:1', 'fe80::9')
START = 1454324362
Row = Sequence[Any]
Table = tuple[Sequence[str], Sequence[pa.DataType], Sequence[Row]]

# -- tables of any types -----------------------------------------------------------------------------------------------

texts = {
    'action': st.sampled_from(['ACCEPT', 'REJECT']),
    'log_status': st.sampled_from(['OK', 'OK', 'NODATA', 'SKIPDATA']),
}
counts = st.sampled_from([0, 1, 40, 65535]) | st.integers(0, 2**31 - 1)
large = counts | st.sampled_from([2**42, 2**43 - 1, 2**43, 2**62, 2**63 - 1])
moments = st.integers(START - 100, START + 100) | st.sampled_from([0, 2**31 - 1])
dates = moments.map(lambda time: datetime.fromtimestamp(time, timezone.utc).replace(microsecond=999_999))
TEXT_TYPES: list[pa.DataType] = [
    pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.string()),
]  # fmt: skip
INTEGER_TYPES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int32(): counts,
    pa.int64(): large,
    pa.uint32(): counts | st.just(2**32 - 1),
    pa.float64(): st.integers(0, 2**40).map(float),
    pa.null(): st.none(),
}
TIME_TYPES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int32(): moments,
    pa.int64(): moments,
    pa.timestamp('ms', 'UTC'): dates,
    pa.timestamp('us'): dates.map(lambda date: date.replace(tzinfo=None)),
    pa.null(): st.none(),
}
# Values that are not in a record of AWS, or that it writes in another way; with their types.
ODD: dict[str, list[tuple[pa.DataType, Any]]] = {
    'T': [(pa.string(), text) for text in ('a b', 'a\nb', '\x00', 'ä', ' ', '10.0.0.1 ')] + [(pa.int64(), 7)],
    'I': [(pa.int64(), -1), (pa.uint64(), 2**64 - 1), (pa.string(), '7'), (pa.string(), '007'), (pa.string(), 'many'),
          (pa.int64(), 2**63 - 1)],
    'M': [(pa.int64(), -1), (pa.int64(), START * 1000 + 7), (pa.int64(), 2**62), (pa.string(), str(START)),
          (pa.timestamp('ms'), datetime(1969, 1, 1))],
}  # fmt: skip


def values_of(name: str) -> st.SearchStrategy[Any]:
    if name.endswith('addr'):
        return st.sampled_from(ADDRESSES)
    return texts.get(name, st.sampled_from(['eni-1', 'eni-2', 'x', '-', '']))


@st.composite
def columns(draw: st.DrawFn, name: str, odd: bool) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    """A type, and values of it with some that are missing."""
    kind = KNOWN[name].kind
    if odd:
        type, value = draw(st.sampled_from(ODD[kind.value]))
        usual = st.none() if kind is not Kind.TEXT or type != pa.string() else values_of(name)
        return type, usual | st.just(value)
    if kind is Kind.TEXT:
        type, values = draw(st.sampled_from(TEXT_TYPES)), values_of(name)
        if type == pa.binary():
            values = values.map(str.encode)
        return type, values | st.none()
    types = INTEGER_TYPES if kind is Kind.INTEGER else TIME_TYPES
    type = draw(st.sampled_from([*types]))
    return type, types[type] | st.none()


@st.composite
def tables(draw: st.DrawFn, odd: bool = False) -> Table:
    names = draw(
        st.just(DEFAULT_FIELDS)
        | st.lists(st.sampled_from([*DEFAULT_FIELDS, 'tcp_flags', 'vpc_id']), min_size=1, unique=True)
    )
    strange = {draw(st.sampled_from(names))} if odd else set()
    drawn = [draw(columns(name, name in strange)) for name in names]
    rows = draw(st.lists(st.tuples(*(values for _, values in drawn)), min_size=1, max_size=25))
    return names, [type for type, _ in drawn], rows


def as_parquet(table: Table, row_group_size: int = 7, **options: Any) -> bytes:
    names, types, rows = table
    values = [*zip(*rows)] or [()] * len(names)
    arrays = [
        pa.array(column, type.value_type).dictionary_encode().cast(type)
        if pa.types.is_dictionary(type)
        else pa.array(column, type)
        for column, type in zip(values, types)
    ]
    sink = io.BytesIO()
    written = pa.Table.from_arrays(arrays, names=list(names))
    pyarrow.parquet.write_table(written, sink, row_group_size=row_group_size, **options)
    return sink.getvalue()


def as_text(table: Table) -> bytes:
    names, _, rows = table
    lines = [' '.join(map(shown, row)) for row in rows]
    return ''.join(f'{line}\n' for line in [' '.join(names), *lines]).encode()


def shown(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, datetime):
        value = int(value.replace(microsecond=0, tzinfo=timezone.utc).timestamp())
    if isinstance(value, float):
        value = int(value)
    return '-' if value is None or value == '' else str(value).replace('\n', '\0')


def run(body: bytes, argv: Sequence[str]) -> tuple[int, bytes, str]:
    stdout, stderr = io.BytesIO(), io.StringIO()
    status = main(['-', *argv], io.BytesIO(body), stdout, stderr, NOW)
    return status, stdout.getvalue(), stderr.getvalue()


ACTIONS: list[list[str]] = [
    ['print'], ['print', '3'], ['-c', 'bytes,srcaddr,end'], ['-o', 'jsonl'], ['ipset'], ['aggregate'],
    ['aggregate', '--flows'], ['aggregate', 'srcaddr/8', 'action'], ['aggregate', 'vpc_id', 'start'],
    ['aggregate', 'bytes', 'srcaddr'], ['top'], ['top', '3', 'dstport'], ['top', 'srcaddr/16', '--by', 'packets'],
    ['top', 'log_status', '--by', 'flows'], ['timeline', '60'], ['findip', '10.0.0.0/8'],
    ['findip', '2001:db8::1', '8.8.8.8'],
]  # fmt: skip
CONDITIONS = [
    'action=REJECT', 'action!=ACCEPT', 'action=-', 'addr=10.0.0.0/24', 'addr!=10.0.0.1', 'srcaddr=2001:db8::1',
    'dstaddr=-,8.8.8.8', 'dstport=0-1023', 'port=40,-', 'port!=40', 'bytes>=40', 'bytes<0', 'packets!=-',
    'log_status=NODATA', 'tcp_flags=syn', 'tcp_flags=-', 'protocol=6,17', 'interface_id=eni-1,x',
    'bytes=9000000000000000000-9999999999999999999', f'start>={START}', 'vpc_id=x', 'srcport<dstport',
    'srcaddr!=dstaddr', 'dstaddr/class=internet',
]  # fmt: skip
WINDOWS: list[list[str]] = [
    [], ['-s', '2016-02-01 10:59', '-e', '2016-02-01 11:00'], ['-s', '2016-02-01T10:59:22', '--for', '1s'],
    ['-e', '1970-01-02'],
]  # fmt: skip
questions = st.tuples(
    st.sampled_from(ACTIONS), st.lists(st.sampled_from(CONDITIONS), max_size=2), st.sampled_from(WINDOWS)
)


def asked(question: tuple[list[str], list[str], list[str]]) -> list[str]:
    action, conditions, window = question
    return [*action, *(part for text in conditions for part in ('-w', text)), *window]


@given(tables(), questions, st.integers(1, 30), st.booleans())
def test_sound_rows(table: Table, question: Any, row_group_size: int, with_dictionary: bool) -> None:
    body = as_parquet(table, row_group_size, use_dictionary=with_dictionary)
    got, expected = run(body, asked(question)), run(as_text(table), asked(question))
    assert got[1] == expected[1]
    if 'no field' not in expected[2] and 'no times' not in expected[2]:
        assert (got[0], got[2]) == (expected[0], expected[2])


def as_text_only(body: bytes, argv: Sequence[str]) -> tuple[int, bytes, str]:
    """The output if every row is converted to text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow, 'plain', lambda *_: None)
        patch.setattr(parquet._File, '_is_ruled_out', lambda *_: False)
        return run(body, argv)


@given(tables(odd=True), questions, st.integers(1, 30))
def test_rows_of_which_some_are_odd(table: Table, question: Any, row_group_size: int) -> None:
    """Odd values in columns and row groups that are not read are not noticed."""
    body, argv = as_parquet(table, row_group_size), asked(question)
    got, expected = run(body, argv), as_text_only(body, argv)
    assert got[1] == expected[1]
    action, conditions, window = question
    if not (conditions or window or action[0] == 'findip'):
        assert got == expected
        if action[0] == 'print':
            assert got == run(as_text(table), argv)


# -- what is read ------------------------------------------------------------------------------------------------------

LINES = list(traffic.lines(3000, start=1454324400, per_second=1000))
NUMBERS = ('version', 'srcport', 'dstport', 'protocol', 'packets', 'bytes', 'start', 'end')
TRAFFIC: Table = (
    DEFAULT_FIELDS,
    [pa.int64() if name in NUMBERS else pa.string() for name in DEFAULT_FIELDS],
    [
        [None if text == '-' else int(text) if name in NUMBERS else text for name, text in zip(DEFAULT_FIELDS, row)]
        for row in (line.decode().split() for line in LINES)
    ],
)


@pytest.fixture
def groups_read(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The row groups that are read while the test runs."""
    found: set[int] = set()
    iter_batches = pyarrow.parquet.ParquetFile.iter_batches

    def watched(self: Any, size: int, groups: list[int], *args: Any, **options: Any) -> Any:
        found.update(groups)
        return iter_batches(self, size, groups, *args, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, 'iter_batches', watched)
    return found


@pytest.mark.parametrize(
    ('conditions', 'window', 'skipdata', 'groups'),
    [
        ([], None, False, {0, 1, 2}),
        ([], (1454324401_000, 1454324402_000), False, {1}),
        ([], (1454324401_001, 1454324402_001), False, {2}),
        ([], (1454324400_000, 1454324400_001), False, {0}),
        ([], (0, 1454324400_000), False, set()),
        (['start=1454324402'], None, False, {2}),
        (['start!=1454324402'], None, False, {0, 1, 2}),
        (['start=1454324402,-'], None, False, {0, 1, 2}),
        (['start>=1454324401', 'start<1454324402'], None, False, {1}),
        (['account_id=7'], None, False, set()),
        (['account_id=7'], None, True, {0}),
        (['account_id!=7'], None, False, {0, 1, 2}),
        (['vpc_id=vpc-1'], None, False, set()),
        (['port=0-65535'], None, False, {0, 1, 2}),
        (['addr=10.0.3.71'], None, False, {0, 1, 2}),
    ],
)
def test_row_groups_that_cannot_match_are_not_read(
    conditions: list[str], window: tuple[int, int] | None, skipdata: bool, groups: set[int], groups_read: set[int]
) -> None:
    where = Filter(map(parse_condition, conditions), Window(*window) if window else None, skipdata)
    blocks = blocks_of(TRAFFIC, 1000, where=where)
    assert groups_read == groups
    assert sum(block.line_count for block in blocks) == 3000
    whole = Block(Layout(), b''.join(line + b'\n' for line in LINES))
    assert b''.join(where.keep(block)[0] for block in blocks) == where.keep(whole)[0]


def test_times_that_may_be_milliseconds_rule_nothing_out(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / 'x.parquet'
    path.write_bytes(as_parquet((['srcaddr', 'start'], [pa.string(), pa.int64()], [('10.0.0.1', START * 1000 + 1)])))
    argv = [str(path), '-c', 'start', '-s', '2016-02-01 10:59', '-e', '2016-02-01 11:00']
    assert cli(*argv).stdout == b'%d\n' % START


def test_rows_that_were_not_read_are_counted_as_read() -> None:
    reader = FileFlowLogsReader(io.BytesIO(as_parquet(TRAFFIC, 1000)), where=['vpc_id=vpc-1'])
    assert [*reader.blocks()] == []
    assert reader.report.read == {Layout(): 3000}
    assert reader.mismatch() is None


@pytest.mark.parametrize('where', [[], ['protocol=6']])
def test_damage_in_a_row_group_leaves_what_came_before(where: list[str], cli: Cli, tmp_path: Path) -> None:
    """As many rows are read as if all were converted to text: a small batch is lost, not a large one."""
    table = (TRAFFIC[0], TRAFFIC[1], [*TRAFFIC[2]] * 10)
    data = bytearray(as_parquet(table, 30_000, compression='none', use_dictionary=False, data_page_size=4096))
    column = pyarrow.parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(13)
    begin = column.data_page_offset + column.total_compressed_size * 2 // 3
    data[begin : begin + 9000] = bytes(9000)
    path = tmp_path / 'x.parquet'
    path.write_bytes(data)
    conditions = [part for text in where for part in ('-w', text)]
    argv = [str(path), 'aggregate', 'log_status', '--flows', *conditions]
    got = cli(*argv, status=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow, 'plain', lambda *_: None)
        expected = cli(*argv, status=1)
    assert (got.stdout, got.stderr) == (expected.stdout, expected.stderr)
    assert 'cannot be read' in got.stderr
    assert sum(int(line.split(b'\t')[2]) for line in got.stdout.splitlines()[1:]) > 8000


# -- blocks ------------------------------------------------------------------------------------------------------------


def blocks_of(table: Table, row_group_size: int, **options: Any) -> list[Block]:
    body = as_parquet(table, row_group_size)
    return [*parquet_blocks(io.BytesIO(body), **options)]


def test_rows_stay_rows_unless_all_of_them_come_out() -> None:
    assert {type(block) for block in blocks_of(TRAFFIC, 1000)} == {Block}
    assert {type(block) for block in blocks_of(TRAFFIC, 1000, columns=['bytes'])} == {arrow.ArrowBlock}
    assert {type(block) for block in blocks_of(TRAFFIC, 1000, where=Filter.parse(['bytes>1']))} == {arrow.ArrowBlock}


def test_rows_are_lines_if_they_are_asked_for() -> None:
    blocks = blocks_of(TRAFFIC, 1000, where=Filter.parse(['bytes>1']))
    assert b''.join(block.data for block in blocks).splitlines() == LINES
    named = blocks[0].from_place('here', (1, 2))
    assert (named.origin, named.ended, named.data, named.line_count) == ('here', (1, 2), blocks[0].data, 1000)
    assert named.of_text(b'x\n', b'y\n') == Block(Layout(), b'x\n', 'here', (1, 2), b'y\n')


def test_blocks_are_joined_as_far_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, 'FIRST_ROWS', 2000)
    rows = blocks_of(TRAFFIC, 500, columns=['bytes', 'srcaddr'])
    text, other = Block(Layout(), LINES[0] + b'\n'), rows[0].from_place('', (1, 2))
    assert [block.line_count for block in joined([*rows, text, text, rows[0], other, rows[1], rows[2]])] == [
        2000, 1000, 1, 1, 500, 500, 1000,
    ]  # fmt: skip
    assert b''.join(block.data for block in joined(rows)) == b''.join(block.data for block in rows)


def test_what_came_before_an_error_is_given_first() -> None:
    def failing() -> Any:
        yield from rows
        raise OSError('gone')

    rows = blocks_of(TRAFFIC, 1000, columns=['bytes'])
    found = joined(failing())
    assert next(found).line_count == 3000
    with pytest.raises(OSError, match='gone'):
        next(found)


def test_sums_that_need_more_than_64_bits_are_exact(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / 'x.parquet'
    path.write_bytes(as_parquet((['srcaddr', 'bytes'], [pa.string(), pa.int64()], [('a', 2**63 - 1)] * 9), 4))
    assert cli(str(path), 'top', 'srcaddr').stdout.splitlines()[1].split() == [
        b'%d' % (9 * (2**63 - 1)),
        b'0',
        b'9',
        b'a',
    ]


def test_two_fields_of_a_row_may_be_compared() -> None:
    """The kernel compares them, in text; Arrow applies the other tests."""
    (block,) = blocks_of(
        (['srcport', 'dstport'], [pa.int32()] * 2, [(1, 1), (1, 2), (3, 3)]), 9, columns=['srcport', 'dstport']
    )
    each = (((0,), False, False, 'same', (1, '=')), ((0,), False, False, 'number', ((1, 2),)))
    selection = Selection(LineTests(each, kernel.compile_tests(b'II', each)), None, ())
    table = Sums([None])
    assert block.add_to(table, selection, ((0,),), (-1, -1, -1, -1, -1)) == (1, 0)
    assert table.lines() == b'1 0 0 - - 1\n'
    assert block.candidates(selection) == b'1 1\n1 2\n'


def test_without_the_inner_modules_of_pyarrow_the_public_ones_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.acero
    import pyarrow.compute

    monkeypatch.setitem(sys.modules, 'pyarrow._acero', None)
    spec = spec_from_file_location('flowlogs_reader.sources.arrow_again', arrow.__file__)
    assert spec and spec.loader
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.call_function is pyarrow.compute.call_function
    assert again.Declaration is pyarrow.acero.Declaration is arrow.Declaration


def test_raw_output_and_strict_readers_leave_rows_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_: object) -> bytes:
        raise AssertionError('a row that does not come out became text')

    body = as_parquet(TRAFFIC, 1000)
    expected = b''.join(line + b'\n' for line in LINES if line.split()[6] == b'22')
    monkeypatch.setattr(arrow.ArrowBlock, 'data', property(unwanted))
    for raw in (False, True):
        reader = FileFlowLogsReader(io.BytesIO(body), where=['dstport=22'], raise_on_error=True)
        blocks = [*reader.blocks(raw=raw)]
        assert b''.join(block.data for block in blocks) == expected
        assert not any(block.raw for block in blocks)


@pytest.mark.parametrize(('rows', 'groups'), [(1 << 20, 7), (700, 1 << 16), (700, 50)])
def test_runs_of_rows_and_groups_of_any_size_give_the_same_sums_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch, rows: int, groups: int
) -> None:
    monkeypatch.setattr(arrow, 'FIRST_ROWS', 500)
    monkeypatch.setattr(arrow, 'SUMMED_ROWS', rows)
    monkeypatch.setattr(arrow, 'GROUPS', groups)
    text = b''.join(line + b'\n' for line in LINES)
    for argv in (['aggregate'], ['aggregate', 'srcaddr', '--flows'], ['top', 'dstport', 'action'], ['timeline', '1s']):
        assert run(as_parquet(TRAFFIC, 500), argv) == run(text, argv)


@pytest.mark.parametrize(('keys', 'pays'), [(['start', 'srcport', 'bytes'], False), (['action'], True), ([], True)])
def test_rows_are_summed_together_if_they_make_few_groups(keys: list[str], pays: bool) -> None:
    block = blocks_of(TRAFFIC, 1000, columns=DEFAULT_FIELDS[:13])[0]
    assert isinstance(block, arrow.ArrowBlock) and block.grouping.rows == arrow.FIRST_ROWS
    tables = [Sums([None] * len(keys)) for _ in range(2)]
    for table in tables:
        assert Filter().add(table, block, [keys]) == (len(block.rows), 0)
        assert block.grouping.pays is pays
    # Summed in one way or the other.
    assert tables[0].lines() == tables[1].lines()
    assert block.grows
