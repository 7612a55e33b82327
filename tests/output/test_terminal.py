"""What a person at a terminal sees, and that none of it ever reaches a pipe."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from io import BytesIO, StringIO

import pytest

from flowlogs_reader.cli.main import main
from flowlogs_reader.output.encodings import Shape
from flowlogs_reader.output.terminal import Aligned, escaped, wants_colour, with_bars
from flowlogs_reader.query.result import Column
from flowlogs_reader.records.fields import FIELDS, Kind
from tests import traffic
from tests.conftest import DATA, MINUTE, NOW, SEED_REGION, Cli
from tests.fake.aws import FakeAWS

RED = '\x1b[31m'
See = Callable[..., list[str]]


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> See:
    """Runs the command line with a terminal of 100 columns for its stdout, and returns the lines on it."""
    monkeypatch.setenv('COLUMNS', '100')
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.delenv('NO_COLOR', raising=False)

    def run(*argv: str, stdin: bytes = MINUTE, location: str = '-', status: int = 0) -> list[str]:
        ours, theirs = os.openpty()
        seen: list[bytes] = []

        def watch() -> None:
            try:
                while chunk := os.read(ours, 4096):
                    seen.append(chunk)
            except OSError:  # nobody holds the other end any more
                pass

        watching = threading.Thread(target=watch)
        watching.start()
        with open(theirs, 'wb') as stdout:
            assert main([location, *argv], BytesIO(stdin), stdout, StringIO(), NOW) == status
        watching.join()
        os.close(ours)
        return b''.join(seen).decode().replace('\r\n', '\n').splitlines()

    return run


def test_columns_line_up(see: See, cli: Cli) -> None:
    seen = see('-c', 'srcaddr,dstport,action')
    assert seen[:4] == [
        'srcaddr          dstport  action',
        '172.20.0.10          443  ACCEPT',
        '103.246.150.154    44589  ACCEPT',
        '103.246.150.154    44591  ACCEPT',
    ]
    piped = cli('-', '-c', 'srcaddr,dstport,action', '--header', stdin=MINUTE).lines
    assert [line.split() for line in seen[:-1]] == [line.split(' ') for line in piped[:-1]]


def test_reject_is_red(see: See, monkeypatch: pytest.MonkeyPatch) -> None:
    *others, last = see()
    assert f'{RED}REJECT\x1b[0m' in last
    assert '\x1b' not in ''.join(others)
    assert '\x1b' in see('top', 'action')[-1]
    monkeypatch.setenv('NO_COLOR', '1')
    assert see()[-1] == last.replace(RED, '').replace('\x1b[0m', '')


def test_only_the_verdict_is_coloured(see: See) -> None:
    log = b'action instance-tag\nREJECT REJECT\nACCEPT REJECT\n'
    assert see('-c', 'instance_tag,action', '--no-header', stdin=log) == [
        f'REJECT  {RED}REJECT\x1b[0m',
        'REJECT  ACCEPT',
    ]


def test_a_timeline_has_bars(see: See) -> None:
    header, *rows = see('timeline', '10s')
    assert header == 'start                 flows  bytes  packets  accepted  rejected'
    assert [len(row) <= 100 for row in rows] == [True] * 3
    bars = [row.count('#') for row in rows]
    assert (bars[0] > 30, bars[1:]) == (True, [0, -(-bars[0] // 10)])
    assert '2016-02-01T10:59:20Z     10  11198       93        10         0  ###' in rows[0]


@pytest.mark.parametrize(('by', 'bars'), [('bytes', [50, 1]), ('rejected', [0, 50]), ('packets', [50, 1])])
def test_bars_show_the_measure(by: str, bars: list[int], see: See) -> None:
    rows = see('timeline', '10s', 'action', '--by', by)[1:]
    longest = max(row.count('#') for row in rows)
    found = [row.count('#') * 50 // longest for row in (rows[0], rows[-1])]
    assert [bool(one) for one in found] == [bool(one) for one in bars]
    assert found.index(50) == bars.index(50)


def test_bars_of_incomplete_intervals_differ(see: See) -> None:
    rows = see('timeline', '10s', '-s', '2016-02-01T10:59:15Z', '-e', '2016-02-01T10:59:45Z')[1:]
    assert [(row.count(':') - 2, row.count('#')) for row in rows[:1]] == [(1, 0)]
    assert [('#' in row, row.count(':') > 2) for row in rows] == [
        (False, True), (True, False), (False, False), (False, True),
    ]  # fmt: skip


def test_a_timeline_of_a_read_that_fails_has_the_bars_of_what_was_read(see: See, fake: FakeAWS) -> None:
    lines = [*traffic.lines(300, per_second=10)]
    fake.add_log_group('flows', lines=lines)
    fake.logs.page_events = 50
    fake.fault('FilterLogEvents', 'deny', at=4)
    window = ('-s', '2016-02-01T10:59:22Z', '-e', '2016-02-01T10:59:52Z', '--thread-count', '1')
    header, *rows = see('timeline', '10s', *window, location='flows', status=1)
    assert header.split()[:2] == ['start', 'flows']
    flows = sum(line.endswith(b' OK') and int(line.split()[10]) < 1454324370 for line in lines)
    assert (int(rows[0].split()[1]), ':' in rows[0][20:]) == (flows, True)
    assert ('#' in rows[1], rows[-1].split()[1]) == (True, '0')


@pytest.mark.parametrize('output', ['tsv', 'csv', 'jsonl'])
@pytest.mark.parametrize('action', ['print', 'timeline 10s', 'top action', 'aggregate'])
def test_other_formats_are_the_same_on_a_terminal(output: str, action: str, see: See, cli: Cli) -> None:
    assert see(*action.split(), '-o', output) == cli('-', *action.split(), '-o', output, stdin=MINUTE).lines


def test_raw_lines_cannot_control_the_terminal(see: See, cli: Cli) -> None:
    line = MINUTE.splitlines()[0].replace(b' ACCEPT', b' \x0b\x0cACCEPT')
    assert see('--raw', stdin=line + b'\r\n') == [line.decode().replace('\x0b\x0c', '\\x0b\\x0c') + '\\x0d']
    assert cli('-', '--raw', stdin=line + b'\r\n').stdout == line + b'\r\n'


def test_nothing_of_this_is_in_a_pipe(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    for action in ('print', 'top action', 'timeline 10s', 'aggregate action'):
        text = cli('-', *action.split(), stdin=MINUTE).stdout
        assert not re.search(rb'\x1b|#|  ', text)


def align(aligned: Aligned, data: bytes, *columns: Column) -> bytes:
    aligned.begin(Shape(columns, tuple(range(len(columns))), b' ', (None,) * len(columns)), header=False)
    return aligned.lines(data)


def test_widths_grow_and_never_shrink() -> None:
    aligned = Aligned()
    name, number, other = Column('n', Kind.TEXT), Column('m', Kind.INTEGER), Column('o', Kind.INTEGER)
    assert align(aligned, b'a 1\nbb 10\n', name, number) == b'a    1\nbb  10\n'
    assert align(aligned, b'c 100\n', name, number) == b'c   100\n'
    assert align(aligned, b'c 1\n', name, other) == b'c  1\n'


def test_a_line_has_no_spaces_at_its_end() -> None:
    columns = Column('n', Kind.TEXT), Column('m', Kind.TEXT)
    assert align(Aligned(), b'a b\nc long\n', *columns) == b'a  b\nc  long\n'


def test_bars_of_nothing_and_bars_without_room() -> None:
    assert list(with_bars([], ['start', 'flows'], 1, 80)) == []
    assert list(with_bars([[b'a', b'0']], ['start', 'flows'], 1, 80)) == [[b'a', b'0', b'']]
    rows = [[b'a', b'5'], [b'b', b'1']]
    # The other columns take 14 characters, with the spaces after them.
    assert list(with_bars(rows, ['start', 'flows'], 1, 14 + 5)) == [[b'a', b'5', b'#####'], [b'b', b'1', b'#']]
    assert list(with_bars(rows, ['start', 'flows'], 1, 14 + 4)) == [[b'a', b'5', b''], [b'b', b'1', b'']]


@pytest.mark.parametrize(
    ('environment', 'wanted'),
    [
        ({}, True),
        ({'NO_COLOR': ''}, True),
        ({'NO_COLOR': '0'}, False),
        ({'TERM': 'dumb'}, False),
        ({'TERM': 'xterm'}, True),
    ],
)
def test_who_wants_colour(environment: dict[str, str], wanted: bool) -> None:
    assert wants_colour(environment) == wanted


def test_what_is_escaped() -> None:
    assert escaped(b'a\tb\x1b[2J\x07\x7f\xc2\x9b \n') == b'a\tb\\x1b[2J\\x07\\x7f\\xc2\\x9b \n'


# -- what fits ---------------------------------------------------------------------------------------------------------

DAY = ('-s', '2016-02-01', '--for', '1d')


@pytest.fixture
def narrow(see: See, monkeypatch: pytest.MonkeyPatch) -> See:
    """The same with a terminal of 80 columns."""
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setenv('NO_COLOR', '1')
    return see


def test_records_on_a_narrow_terminal(narrow: See) -> None:
    assert narrow(*DAY)[:2] == [
        '   start srcaddr         sport dstaddr         dport proto pkts bytes action',
        '10:59:22 172.20.0.10     44589 103.246.150.154   443     6   12  1501 ACCEPT',
    ]
    assert narrow(*DAY, '--tz', 'Asia/Tokyo')[1].startswith('19:59:22 ')


@pytest.mark.parametrize(
    ('window', 'start'),
    [
        (DAY, '10:59:22'),
        ((), '10:59:22'),
        (('--times', 'iso'), '10:59:22'),
        (('--times', 'iso', '--tz', 'Asia/Tokyo'), '19:59:22'),
        (('-s', '2016-01-01', '-e', '2016-02-02'), '02-01 10:59'),
        (('-s', '2015-01-01', '-e', '2016-02-02'), '02-01 10:59'),
    ],
)
def test_a_line_of_ipv4_never_wraps(window: tuple[str, ...], start: str, narrow: See) -> None:
    widest = '255.255.255.255 255.255.255.254 65535 65534 255'
    numbers = [('1', '40'), ('99999', '99999999'), ('100000', '100000000'), (str(10**18), str(10**18))]
    log = ''.join(
        [f'2 1 eni-1 {widest} {packets} {size} 1454324362 1454324422 REJECT OK\n' for packets, size in numbers]
    )
    seen = narrow(*window, stdin=log.encode())
    assert max(map(len, seen)) <= 80
    assert [line[: len(start)] for line in seen[1:]] == [start] * 4
    assert all(line.endswith(' REJECT') for line in seen[1:])


def test_short_columns_anywhere(narrow: See, cli: Cli) -> None:
    assert narrow('-c', 'short', *DAY) == narrow(*DAY)
    piped = cli('-', '-c', 'short', stdin=MINUTE)
    assert piped.lines[0] == '1454324362 172.20.0.10 44589 103.246.150.154 443 6 12 1501 ACCEPT'


@pytest.mark.parametrize('argv', [['-c', 'all'], ['-c', 'default'], ['--raw']], ids=' '.join)
def test_columns_that_were_asked_for_are_all_shown(argv: list[str], narrow: See) -> None:
    assert {len(line.split()) for line in narrow(*argv)} == {14}


def test_what_fits_is_shown_whole(see: See, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '200')
    header, *rows = see('--times', 'iso')
    assert header.split() == [field.name for field in FIELDS if field.version == 2]
    assert rows[0].split()[10] == '2016-02-01T10:59:22Z'


def test_a_line_says_once_that_columns_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    ours, theirs = os.openpty()
    stderr = StringIO()
    first = MINUTE.splitlines(keepends=True)[0]
    # Of two formats.
    log = first + (DATA / 'sample-v5.log').read_bytes()[:1500].rpartition(b'\n')[0]
    with open(theirs, 'wb') as stdout:
        assert main(['-', 'print', '3'], BytesIO(log), stdout, stderr, NOW) == 0
    os.close(ours)
    assert stderr.getvalue() == 'flowlogs_reader: 9 of 14 columns fit: -c all, or a pipe to cat, shows all\n'
    assert len(stderr.getvalue()) <= 80


def test_times_of_different_days_have_a_date_as_far_as_there_is_room(
    narrow: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MINUTE + MINUTE.replace(b' 1454324', b' 1454424')
    for width, start in [(80, '02-01 10:59'), (90, '02-01 10:59:22'), (100, '2016-02-01 10:59:22')]:
        monkeypatch.setenv('COLUMNS', str(width))
        assert narrow(stdin=log)[1].startswith(f'{start} '), width
        assert narrow('-s', '2015-01-01', '-e', '2016-02-02')[1].startswith(f'{start} '), width


def test_the_default_columns_are_shown_if_they_fit_and_not_all_do(narrow: See, monkeypatch: pytest.MonkeyPatch) -> None:
    default = [field.name for field in FIELDS if field.version == 2]
    log = (DATA / 'sample-v5.log').read_bytes()
    for width, count in [(120, 9), (200, 14), (1000, 29)]:
        monkeypatch.setenv('COLUMNS', str(width))
        header, *rows = narrow(stdin=log)
        assert max(map(len, rows)) <= width
        assert len(header.split()) == count
        assert count != 14 or header.split() == default


@pytest.mark.parametrize(('width', 'count'), [(74, 8), (66, 7), (62, 6), (56, 5)])
def test_a_narrower_terminal_has_fewer_columns(
    narrow: See, monkeypatch: pytest.MonkeyPatch, width: int, count: int
) -> None:
    monkeypatch.setenv('COLUMNS', str(width))
    header, *rows = narrow()
    assert len(header.split()) == count
    assert {'start', 'srcaddr', 'dstaddr', 'dport', 'action'} <= {*header.split()}
    assert max(map(len, [header, *rows])) <= width
    # These are the columns that the user chose.
    assert len(narrow('-c', 'short')[0].split()) == 9


def test_addresses_of_ipv6_are_short_and_move_only_their_own_line(narrow: See) -> None:
    address = '2001:0db8:0000:0000:0000:0000:0000:00{:02x}'
    ends = ['10.0.0.1 10.0.0.2', f'{address.format(1)} {address.format(2)}', '2001:db8:1:2:3:4:5:6 10.0.0.3', '- -']
    log = ''.join(
        [f'2 123456789010 eni-1 {one} 1 2 6 1 40 1454324362 1454324422 REJECT OK\n' for one in [*ends, ends[0]]]
    )
    seen = narrow(stdin=log.encode())
    assert [line.split()[1] for line in seen[1:]] == [
        '10.0.0.1', '2001:db8::1', '2001:db8:1:2:3:4:5:6', '-', '10.0.0.1',
    ]  # fmt: skip
    assert max(map(len, seen)) <= 80
    others = [line.index('REJECT') for at, line in enumerate(seen[1:]) if at != 2]
    assert others == [others[0]] * 4


def test_addresses_of_a_table_line_up_if_there_is_room(narrow: See, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '79')
    ends = ['10.0.0.1 10.0.0.2', '2001:db8:1111:2222:3333:4444:5555:6666 2001:db8::1:2']
    log = ''.join([f'2 123456789010 eni-1 {one} 1 2 6 1 {10**11} 1454324362 1454324422 ACCEPT OK\n' for one in ends])
    seen = narrow('top', stdin=log.encode())
    assert len({re.search(r'dstaddr|10.0.0.2|2001:db8::1', line).start() for line in seen}) == 1  # type: ignore[union-attr]
    assert max(map(len, seen)) <= 79


@pytest.mark.parametrize('key', ['addr', 'pkt_addr'])
def test_a_key_for_both_ends_has_short_addresses_too(key: str, narrow: See) -> None:
    name = key.replace('addr', '{}addr').replace('_', '-')
    address = '2001:0db8:0000:0000:0000:0000:0000:0001'
    log = f'{name.format("src")} {name.format("dst")} bytes packets start end\n{address} 10.0.0.1 100000 1 5 6\n'
    rows = narrow('top', key, stdin=log.encode())[1:]
    assert [row.split()[-1] for row in rows] == ['10.0.0.1', '2001:db8::1']


def test_a_value_that_is_not_a_time_stays_as_it_is(narrow: See) -> None:
    starts = ['1454324362', '-', '1454324363']
    log = ''.join([f'2 123456789010 eni-1 10.0.0.1 - 1 2 6 1 40 {start} 1454324422 - OK\n' for start in starts])
    assert [line.split()[0] for line in narrow(stdin=log.encode())[1:]] == ['10:59:22', '-', '10:59:23']


# -- tables ------------------------------------------------------------------------------------------------------------

FLOWS = ''.join(
    [
        f'2 123456789010 eni-0123456789abcdef{at} 255.255.255.25{at} 255.255.255.254 6553{at} 65534 17 '
        f'123456 {"123456789"[at:]} 1454324362 1454324422 REJECT OK\n'
        for at in range(3)
    ]
).encode()


@pytest.mark.parametrize('width', [80, 100, 120, 200])
@pytest.mark.parametrize(
    'action',
    [
        'aggregate', 'aggregate --flows', 'aggregate --flows --both-ways', 'top srcaddr dstaddr dstport', 'top --share',
        'timeline 5m', 'timeline 5m action', 'timeline 5m interface_id', 'timeline 5m interface_id --tz Asia/Tokyo',
    ],
)  # fmt: skip
def test_a_line_of_a_table_never_wraps(
    action: str, width: int, see: See, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('COLUMNS', str(width))
    monkeypatch.setenv('NO_COLOR', '1')
    seen = see(*action.split(), stdin=FLOWS)
    assert max(map(len, seen)) <= width
    names = {'sport': 'srcport', 'dport': 'dstport', 'proto': 'protocol', 'pkts': 'packets'}
    header, *rows = [line.split('\t') for line in cli('-', *action.split(), '--header', stdin=FLOWS).lines]
    shown = [names.get(name, name) for name in seen[0].split()]
    assert shown == [name for name in header if name in shown]
    lines = [re.sub(r'(-\d\d) (\d\d:)', r'\1T\2', re.sub('  [#:]+$', '', line)).split() for line in seen[1:]]
    for name, values in zip(shown, zip(*lines)):
        if name not in ('start', 'end'):
            assert list(values) == [row[header.index(name)] for row in rows]
    kept = {
        'aggregate': {'srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol', 'bytes'},
        'top': {'srcaddr', 'dstaddr', 'bytes'},
        'timeline': {'start', 'flows'},
    }
    assert {*shown} >= kept[action.split()[0]]


def test_tables_keep_the_measure_and_lose_times_first(narrow: See, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '65')
    keys = {'dstaddr', 'dport', 'proto', 'srcaddr', 'sport'}
    assert {*narrow('aggregate', stdin=FLOWS)[0].split()} == {*keys, 'bytes'}
    assert {*narrow('aggregate', '--by', 'packets', stdin=FLOWS)[0].split()} == {*keys, 'pkts'}
    monkeypatch.setenv('COLUMNS', '80')
    assert narrow('aggregate', stdin=FLOWS)[0].split() == [
        'bytes', 'dstaddr', 'dport', 'pkts', 'proto', 'srcaddr', 'sport', 'start',
    ]  # fmt: skip


def test_a_line_says_that_columns_of_a_table_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    ours, theirs = os.openpty()
    stderr = StringIO()
    with open(theirs, 'wb') as stdout:
        assert main(['-', 'aggregate'], BytesIO(FLOWS), stdout, stderr, NOW) == 0
    os.close(ours)
    assert stderr.getvalue() == 'flowlogs_reader: 8 of 9 columns fit: a pipe to cat shows all\n'


@pytest.mark.usefixtures('seeded')
def test_the_list_of_flow_logs_keeps_the_command(narrow: See) -> None:
    command = f'flowlogs_reader VPCFlowLogGroup --region {SEED_REGION}'
    assert narrow('--region', SEED_REGION, location='--list') == ['status  command', f'ACTIVE  {command}']


def test_all_rows_of_a_comparison_are_aligned(see: See) -> None:
    window = ('-s', '2016-02-01T10:59:20Z', '-e', '2016-02-01T10:59:50Z')
    header, *rows = see('top', '3', '--compare', '30s', *window)
    at = header.index('dstaddr')
    assert {row[at - 2 : at] for row in rows} == {'  '}
    assert {len(row[:at].split()) for row in rows} == {4}


@pytest.mark.parametrize('output', ['text', 'tsv'])
def test_sizes_for_people(output: str, cli: Cli) -> None:
    log = sized_log()
    rows = cli('-', 'top', '20', '--human', '-o', output, '--no-header', stdin=log).lines
    assert [row.split('\t')[0] for row in rows] == [*SIZES.values()][::-1]
    assert {row.split('\t')[1] for row in rows} == {'5000'}
    lines = cli('-', '-c', 'dstaddr,bytes', '--human', '-o', output, stdin=log).lines
    assert [line.split()[1] for line in lines] == [*SIZES.values()]


# As du -h --apparent-size of GNU coreutils 9.1 writes them.
SIZES = {
    0: '0', 1: '1', 1023: '1023', 1024: '1.0K', 1025: '1.1K', 10188: '10K', 10240: '10K', 10241: '11K',
    1047552: '1023K', 1047553: '1.0M', 1500000: '1.5M', 10**9: '954M', 10**12: '932G', 10**15: '910T',
}  # fmt: skip


@pytest.mark.parametrize('output', ['csv', 'jsonl'])
def test_sizes_are_not_for_programs(output: str, cli: Cli) -> None:
    assert '--human does not go with -o' in cli('-', 'top', '--human', '-o', output, status=2).stderr


def sized_log() -> bytes:
    lines = [f'2 1 eni-1 10.0.0.1 10.0.0.{at} 1 2 6 5000 {size} 1 2 ACCEPT OK\n' for at, size in enumerate(SIZES)]
    return ''.join(lines).encode()
