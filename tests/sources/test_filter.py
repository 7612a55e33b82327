"""Conditions and windows over Blocks: the right lines, whatever fast path found them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest

from flowlogs_reader import FileFlowLogsReader
from flowlogs_reader.kernel import Sums
from flowlogs_reader.query.conditions import find_addresses, parse_condition
from flowlogs_reader.query.query import Window
from flowlogs_reader.records.block import Block
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources.filter import Filter, is_record, literals
from tests import traffic

DATA = b''.join(line + b'\n' for line in traffic.lines(3_000))
BLOCK = Block(Layout(), DATA)
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
        data, matched, skipped = chosen.keep(BLOCK)
        assert (data.splitlines(), matched, skipped) == (expected, len(expected), 0)
        values, skipped = chosen.values(BLOCK, ['start', 'vpc_id', 'srcaddr'])
        columns = [line.split() for line in expected]
        assert [*zip(*values)] == [(line[10], b'-', line[3]) for line in columns]
        assert skipped == 0
    assert len(chosen.conditions) == len(conditions)


def test_one_condition_may_be_given_as_it_is() -> None:
    expected = Filter.parse(['dstport=443']).keep(BLOCK)
    assert Filter.parse('dstport=443').keep(BLOCK) == expected
    assert Filter.parse([parse_condition('dstport=443')]).keep(BLOCK) == expected
    assert Filter.parse(parse_condition('dstport=443')).keep(BLOCK) == expected


def test_findip_looks_at_the_addresses_of_the_packet_too() -> None:
    layout = Layout(['pkt-srcaddr', 'srcaddr', 'dstaddr', 'pkt-dstaddr', 'bytes'])
    lines = [
        b'%b %b %b %b 1' % tuple(b'10.0.0.%d' % (9 if at == place else 1) for at in range(4)) for place in range(5)
    ]
    data, _, _ = Filter([find_addresses(['10.0.0.9'])]).keep(Block(layout, b'\n'.join(lines) + b'\n'))
    assert data.splitlines() == lines[:4]


def test_lines_that_are_not_canonical_are_put_right_before_they_are_compared() -> None:
    layout = Layout(['srcaddr', 'dstport', 'interface_id'])
    data = b'10.0.0.1\t00443  eni-12345678\r\n10.0.0.1 bad eni-12345678\n10.0.0.2 443 eni-12345678\n'
    for condition in ('dstport=443', 'srcaddr=10.0.0.1', 'interface_id=eni-12345678'):
        kept, matched, skipped = Filter.parse([condition]).keep(Block(layout, data))
        assert kept.startswith(b'10.0.0.1 443 eni-12345678\n')
        assert (matched, skipped) == (kept.count(b'\n'), 1)


class TestLiterals:
    """A line that passes contains one of the texts, which the reader or CloudWatch searches for."""

    @pytest.mark.parametrize(
        ('text', 'texts'),
        [
            ('srcaddr=10.0.0.1,10.0.0.2', (b'10.0.0.1', b'10.0.0.2')),
            ('dstport=ssh,443', (b'22', b'443')),
            ('action=reject', (b'REJECT',)),
            ('vpc_id=vpc-1', (b'vpc-1',)),
            ('dstport=22,8000-8100', None),
            ('dstport=22,-', None),
            ('srcaddr=10.0.0.1,-', None),
            ('srcaddr=10.0.0.0/8', None),
            ('srcaddr=::1', None),  # a log may spell it in many ways
            ('action=-', None),
            ('action!=REJECT', None),
            ('bytes>=443', None),
            ('tcp_flags=syn', None),
        ],
    )
    def test_literals(self, text: str, texts: tuple[bytes, ...] | None) -> None:
        assert literals(parse_condition(text)) == texts


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
        kept, _, _ = Filter(window=Window(10_000, 20_000)).keep(Block(self.LAYOUT, line + b'\n'))
        assert kept == (line + b'\n' if inside else b'')

    def test_parts_of_a_second(self) -> None:
        block = Block(self.LAYOUT, b'10 20 a\n')
        assert Filter(window=Window(10_001, 20_000)).keep(block) == (b'', 0, 0)
        assert Filter(window=Window(9_999, 10_001)).keep(block) == (b'10 20 a\n', 1, 0)
        assert Filter(window=Window(9_999, 10_000)).keep(block) == (b'', 0, 0)

    def test_a_format_without_times_is_kept_whole(self) -> None:
        chosen = Filter(window=Window(0, 1))
        assert chosen.keep(Block(Layout(['srcaddr']), b'a\nb\n')) == (b'a\nb\n', 2, 0)
        assert chosen.keep(Block(self.LAYOUT, b'')) == (b'', 0, 0)

    @pytest.mark.parametrize(
        ('ended', 'inside'),
        [
            ((0, 10), False),
            ((0, 11), True),
            ((5, 300), True),
            ((12, 13), True),
            ((19, 300), True),
            ((20, 300), False),
            (None, True),
        ],
    )
    def test_records_without_times_count_by_when_their_block_ended(
        self, ended: tuple[int, int] | None, inside: bool
    ) -> None:
        """Records with times are selected by their times."""
        chosen = Filter(window=Window(10_000, 20_000))
        assert chosen.keep(Block(Layout(['srcaddr']), b'a\n', ended=ended)) == (b'a\n' * inside, int(inside), 0)
        kept = b'10 30 a\n- 19 b\n' + (b'- - c\n' if inside else b'')
        block = Block(self.LAYOUT, b'10 30 a\n- 19 b\n- - c\n9 10 d\n- 20 e\n', ended=ended)
        assert chosen.keep(block) == (kept, 2 + inside, 0)

    def test_conditions_and_window_hold_together(self) -> None:
        window = Window(1454324363_000, 1454324370_000)
        wanted = [
            line
            for line, row in zip(DATA.splitlines(), ROWS)
            if row['dstport'] == '443' and 1454324363 <= number(row, 'start') < 1454324370
        ]
        assert 0 < len(wanted) < len(ROWS)
        kept, _, _ = Filter([parse_condition('dstport=443')], window).keep(BLOCK)
        assert kept.splitlines() == wanted


class TestSkipdata:
    """SKIPDATA records that may stand for records that meet the conditions are counted by their start."""

    LAYOUT = Layout(['srcaddr', 'interface_id', 'start', 'end', 'log_status'])
    DATA = (
        b'- eni-1 10 20 SKIPDATA\n- eni-2 10 20 SKIPDATA\n- eni-1 30 40 SKIPDATA\n'
        b'- eni-1 30 40 NODATA\n10.0.0.1 eni-SKIPDATA 30 40 OK\n'
    )

    @pytest.mark.parametrize(
        ('conditions', 'counted'),
        [
            ([], {10: 2, 30: 1}),
            (['srcaddr=10.0.0.1'], {10: 2, 30: 1}),
            (['srcaddr!=10.0.0.1'], {10: 2, 30: 1}),
            (['interface_id=eni-1'], {10: 1, 30: 1}),
            (['interface_id!=eni-1'], {10: 1}),
            (['interface_id=eni-2', 'srcaddr=10.0.0.0/8'], {10: 1}),
            (['log_status=OK'], {}),
            (['vpc_id=vpc-1'], {10: 2, 30: 1}),
            (['start>=30'], {30: 1}),
        ],
    )
    def test_a_value_that_is_not_known_speaks_against_nothing(
        self, conditions: list[str], counted: dict[int, int]
    ) -> None:
        chosen = Filter(map(parse_condition, conditions), count_skipdata=True)
        chosen.keep(Block(self.LAYOUT, self.DATA))
        assert chosen.skipdata == counted

    def test_only_if_it_is_asked_for_and_only_in_the_window(self) -> None:
        block = Block(self.LAYOUT, self.DATA)
        plain, windowed = Filter(), Filter(window=Window(20_000, 40_000), count_skipdata=True)
        plain.keep(block)
        windowed.keep(block)
        assert (plain.skipdata, windowed.skipdata) == ({}, {30: 1})

    @pytest.mark.parametrize('line', [b'- eni-1 - - SKIPDATA\n', b'SKIPDATA\n'])
    def test_without_a_start_nothing_is_counted(self, line: bytes) -> None:
        chosen = Filter(count_skipdata=True)
        chosen.keep(Block(self.LAYOUT, line))
        assert chosen.skipdata == {}


def test_records_are_counted_if_a_condition_has_no_field() -> None:
    text = b'srcaddr bytes\n10.0.0.1 40\n10.0.0.2 40\nsrcaddr bytes az-id\n10.0.0.1 40 use1-az1\n'
    old, new = Layout(['srcaddr', 'bytes']), Layout(['srcaddr', 'bytes', 'az_id'])
    for where, read in (
        ((), {old: 0, new: 0}),
        (['az_id=use1-az1', 'addr=10.0.0.1'], {old: 2, new: 0}),
        (['az_id!=use1-az1', 'port=443'], {old: 2, new: 1}),
    ):
        reader = FileFlowLogsReader(BytesIO(text), where=where)
        assert sum(block.data.count(b'\n') for block in reader.blocks()) == reader.report.matched.total()
        assert reader.report.read == read


class TestAdd:
    """Sums are made of the lines that are kept."""

    @pytest.mark.parametrize('conditions', [case[0] for case in CASES], ids=' '.join)
    def test_what_is_kept_is_summed(self, conditions: list[str]) -> None:
        chosen = Filter.parse(conditions)
        table = Sums((None,))
        data, matched, _ = chosen.keep(BLOCK)
        assert chosen.add(table, BLOCK, [('protocol',)]) == (matched, 0)
        whole = Sums((None,))
        Filter().add(whole, Block(Layout(), data), [('protocol',)])
        assert table.lines() == whole.lines()

    def test_once_for_each_of_the_keys(self) -> None:
        layout = Layout(['srcaddr', 'dstaddr', 'bytes', 'packets', 'start', 'end'])
        table = Sums((None,))
        block = Block(layout, b'a b 40 1 10 20\nnothing\nb c 60 2 5 30\n')
        assert Filter().add(table, block, [('srcaddr',), ('dstaddr',)]) == (2, 1)
        assert table.lines() == b'a 1 40 10 20 1\nb 3 100 5 30 2\nc 2 60 5 30 1\n'


def test_a_line_is_a_record_or_not_canonical_or_not() -> None:
    layout = Layout(['srcaddr', 'bytes'])
    for line in (b'10.0.0.1 40', b'- -', b'\t10.0.0.1  0040\r'):
        assert is_record(layout, line)
    for line in (b'', b' ', b'10.0.0.1', b'10.0.0.1 many', b'10.0.0.1 40 x', b'\xff 40'):
        assert not is_record(layout, line)
