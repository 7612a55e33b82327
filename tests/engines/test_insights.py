"""CloudWatch Logs Insights answers as the local engine does, and leaves nothing behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import pytest

from flowlogs_reader.engines.insights import text
from flowlogs_reader.engines.remote.plan import merged
from tests import traffic
from tests.conftest import Cli, Result
from tests.engines.matrix import (
    COMMANDS,
    CUT,
    LINES,
    ODD,
    OWN,
    OWN_COMMANDS,
    START,
    V5,
    V5_COMMANDS,
    WINDOW,
    in_format,
    ordered,
    tables_of,
)
from tests.fake.aws import FakeAWS
from tests.fake.insights import run_query


def at_start(line: bytes) -> int:
    """The event time of a line of any of the formats; odd lines are at START + 60."""
    times = [int(value) for value in line.split() if value.isdigit() and value.startswith(b'14543')]
    return (min(times) // (1000 if min(times) > 2**31 else 1) if times else START + 60) * 1000


def store(fake: FakeAWS, name: str, lines: Sequence[bytes], *formats: Sequence[str], **options: str) -> None:
    fake.add_log_group(name, lines=lines, timestamp=at_start, stream=lambda line: 'eni-0a-all', **options)
    for fields in formats or [traffic.FIELDS]:
        fake.add_flow_log(log_group=name, log_format=' '.join(f'${{{field}}}' for field in fields))


@pytest.fixture(scope='module')
def logs() -> Iterator[FakeAWS]:
    with FakeAWS() as fake:
        fake.retry_after_ms = 0
        store(fake, 'default', [*LINES, *ODD])
        store(fake, 'v5', in_format(V5), V5)
        store(fake, 'own', in_format(OWN), OWN)
        mixed = [*LINES[::2], *in_format(V5)[1::2], *ODD]
        store(fake, 'mixed', mixed, traffic.FIELDS, V5)
        # Formats with as many fields.
        swapped = ('srcaddr', 'dstaddr', *traffic.FIELDS[2:3], 'version', 'account-id', *traffic.FIELDS[5:])
        store(fake, 'twins', [*LINES[::2], *in_format(swapped)[1::2]], traffic.FIELDS, swapped)
        yield fake


class Both(NamedTuple):
    """A question, asked both ways."""

    local: Result
    engine: Result


@pytest.fixture
def ask(logs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Both]:
    for name, value in logs.environ('us-east-1').items():
        monkeypatch.setenv(name, value)

    def both(group: str, *command: str, status: int = 0) -> Both:
        window = () if {'-s', '-e'} & {*command} else WINDOW
        local = cli(group, *command, *window, status=status)
        return Both(local, cli(group, *command, *window, '--engine', 'insights', status=status))

    return both


def assert_same(both: Both, command: Sequence[str]) -> None:
    one, other = (result.stdout.splitlines() for result in both)
    if not ordered([*command]):
        one.sort(), other.sort()
    assert other == one


def left_out(result: Result) -> list[str]:
    # Which line was the first to be left out depends on the order of lines.
    return [line for line in result.stderr.splitlines() if 'left out: ' in line or 'SKIPDATA' in line]


@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_the_answer_is_that_of_the_local_engine(ask: Callable[..., Both], logs: FakeAWS, command: list[str]) -> None:
    both = ask('default', *command)
    assert_same(both, command)
    if command[0] in ('top', 'timeline', 'aggregate') and '-w' not in command:
        assert left_out(both.local) == left_out(both.engine)
        assert 'lines were left out' in both.engine.stderr and 'SKIPDATA' in both.engine.stderr
    assert not logs.logs.insights.running


@pytest.mark.parametrize('command', COMMANDS[1::7], ids=' '.join)
def test_it_does_not_matter_what_a_missing_field_compares_to(
    ask: Callable[..., Both], logs: FakeAWS, command: list[str]
) -> None:
    """AWS does not document it. Other tests have a fake in which the result is neither true nor false."""
    logs.logs.insights.unknown = 'false'
    try:
        assert_same(ask('mixed', *command), command)
    finally:
        logs.logs.insights.unknown = 'null'


@pytest.mark.parametrize(
    'command', ['top srcaddr dstport', 'timeline 1m protocol', 'aggregate', 'top srcaddr --compare 5m'], ids=str
)
@pytest.mark.parametrize('group', ['default', 'mixed'])
def test_it_does_not_matter_whether_rows_need_all_their_keys(
    ask: Callable[..., Both], logs: FakeAWS, group: str, command: str
) -> None:
    logs.logs.insights.whole = True
    try:
        both = ask(group, *command.split())
    finally:
        logs.logs.insights.whole = False
    assert_same(both, command.split())
    assert left_out(both.engine) == left_out(both.local)


def test_it_does_not_matter_whether_times_are_compared_as_texts(ask: Callable[..., Both], logs: FakeAWS) -> None:
    *_, start, end, _, _ = LINES[100].split()
    lines = [LINES[100], LINES[100].replace(end + b' ', b'999999999 ')]
    logs.add_log_group('ends', lines=lines, timestamp=lambda line: int(start) * 1000, stream=lambda line: 'eni-0a-all')
    both = ask('ends', 'aggregate')
    assert both.local.stdout.count(b'\n') == 2
    assert_same(both, ['aggregate'])


@pytest.mark.parametrize('command', ['top dstport', 'top 5 addr --by flows', 'top srcaddr/16 -w protocol=6'])
def test_windows_are_compared(ask: Callable[..., Both], logs: FakeAWS, command: str) -> None:
    window = ('-s', '2016-02-01T11:01:30.500Z', '-e', '2016-02-01T11:02:20.250Z', '--compare', '2m')
    both = ask('default', *command.split(), *window)
    assert both.engine.stdout == both.local.stdout
    assert both.engine.stdout.count(b'\n') > 3


@pytest.mark.parametrize('command', V5_COMMANDS, ids=' '.join)
def test_a_format_of_ones_own(ask: Callable[..., Both], command: list[str]) -> None:
    assert_same(ask('v5', *command), command)


@pytest.mark.parametrize('command', OWN_COMMANDS, ids=' '.join)
def test_a_format_without_usual_fields(ask: Callable[..., Both], command: list[str]) -> None:
    assert_same(ask('own', *command), command)


@pytest.mark.parametrize('group', ['mixed', 'twins'])
@pytest.mark.parametrize('command', [*COMMANDS[::13], 'top srcport dstport'.split()], ids=' '.join)
def test_several_formats_in_one_group(ask: Callable[..., Both], group: str, command: list[str]) -> None:
    both = ask(group, *command)
    assert_same(both, command)
    if group == 'mixed' and command == ['top']:
        assert left_out(both.local) == left_out(both.engine)


@pytest.mark.parametrize('command', [*COMMANDS[::12], ['timeline'], ['timeline', '17s']], ids=' '.join)
def test_windows_that_cut_inside_a_second(ask: Callable[..., Both], command: list[str]) -> None:
    assert_same(ask('default', *command, *CUT), command)


@pytest.mark.parametrize('command', ['top srcaddr', 'top addr', 'aggregate srcaddr', 'timeline 1h --times epoch'])
def test_sums_of_more_digits_than_the_kernel_takes(logs: FakeAWS, ask: Callable[..., Both], command: str) -> None:
    values = LINES[20].split()
    values[9] = b'9' * 19
    store(logs, 'huge', [*LINES[10:20], *[b' '.join(values)] * 3])
    both = ask('huge', *command.split())
    assert_same(both, command.split())
    assert max(map(len, both.engine.stdout.split())) == 20


@pytest.mark.parametrize('command', ['top -w dstport=1', 'print -w dstport=1', 'findip 192.0.2.1'])
def test_a_line_that_is_not_a_record_among_records_that_do_not_count(
    logs: FakeAWS, ask: Callable[..., Both], command: str
) -> None:
    store(logs, 'one-odd', [*LINES[:30], b'nothing like a record'])
    both = ask('one-odd', *command.split())
    assert both.engine.stdout == both.local.stdout
    assert 'has the format' not in both.engine.stderr


@pytest.mark.parametrize(
    ('groups', 'options', 'tables', 'queries'),
    [
        ('default', '', 9, 4),
        ('v5', '-w dstport<=srcport', 12, 5),
        ('mixed', '-w pkt_dstaddr!=dstaddr -w dstport=443', 12, 10),
        ('own default', '--tz Asia/Kolkata', 9, 8),
        ('own', '', 5, 4),
    ],
)
def test_a_report(
    logs: FakeAWS, ask: Callable[..., Both], groups: str, options: str, tables: int, queries: int
) -> None:
    pytest.importorskip('plotly')
    first, *others = groups.split()
    before = len(logs.calls('StartQuery'))
    both = ask(first, *others, 'report', *options.split())
    assert tables_of(both.engine) == tables_of(both.local)
    assert len(tables_of(both.engine)) == tables
    # With conditions a direct read passes over lines that it need not parse.
    assert left_out(both.engine) == left_out(both.local) or '-w' in options
    # An estimate of each, and the query itself.
    assert len(logs.calls('StartQuery')) - before == 2 * queries


def test_a_format_without_any_of_the_keys_has_few_rows(logs: FakeAWS, ask: Callable[..., Both]) -> None:
    """Not each of its lines as a row."""
    before = len(logs.calls('StartQuery'))
    logs.logs.insights.max_rows = 100
    try:
        both = ask('mixed', 'top', 'subnet_id', 'tcp_flags')
    finally:
        logs.logs.insights.max_rows = 100_000
    assert both.engine.stdout == both.local.stdout
    assert len(logs.calls('StartQuery')) - before == 4


@pytest.mark.parametrize('command', ['report', 'ipset', 'aggregate'])
def test_a_log_without_any_of_the_keys(logs: FakeAWS, ask: Callable[..., Both], command: str) -> None:
    pytest.importorskip('plotly')
    fields = ('start', 'end', 'az-id', 'packets', 'bytes')
    store(logs, 'no-keys', in_format(fields), fields)
    both = ask('no-keys', command)
    if command == 'report':
        assert tables_of(both.engine) == tables_of(both.local)
    else:
        assert both.engine.stdout == both.local.stdout


def test_a_log_of_no_records(logs: FakeAWS, ask: Callable[..., Both]) -> None:
    store(logs, 'all-odd', [b'nothing like a record'] * 3)
    both = ask('all-odd', 'top', status=1)
    assert all('has the format' in result.stderr for result in both)


def test_addresses_with_a_zone_are_left_to_this_program(logs: FakeAWS, ask: Callable[..., Both]) -> None:
    store(logs, 'zones', [*LINES[:30], *(line.replace(b' 10.', b' fe80::1%eth', 1) for line in LINES[30:40])])
    for command in ('top srcaddr -w srcaddr=fe80::/10', 'top srcaddr -w srcaddr!=fe80::1', 'ipset'):
        assert_same(ask('zones', *command.split()), command.split())


@pytest.mark.parametrize('version', [4, 6])
def test_any_ranges_of_addresses(version: int) -> None:
    kind, bits = {4: (IPv4Address, 32), 6: (IPv6Address, 128)}[version]
    rng = random.Random(version)
    for span in [5, 12, bits] * 10:
        base = rng.randrange(1 << bits) >> span << span
        edges = sorted(base + rng.randrange(1 << span) for _ in range(rng.randrange(2, 12, 2)))
        ranges = [pair[:2] for pair in merged((*pair, version) for pair in zip(edges[::2], edges[1::2]))]
        condition = ' or '.join(text._in_ranges('@message', ranges, version))
        near = {0, (1 << bits) - 1, *(at + by for pair in ranges for at in pair for by in (-1, 0, 1))}
        texts = [str(kind(at)) for at in sorted(near) if 0 <= at < 1 << bits]
        found = run_query(f'filter {condition}', [(0, address) for address in texts])
        inside = [one for one in texts if any(first <= int(kind(one)) <= last for first, last in ranges)]
        assert [row['@message'] for row in found] == inside


@pytest.mark.parametrize('count', [2, 200])
def test_many_values_fit_into_a_query(ask: Callable[..., Both], count: int) -> None:
    hosts = ','.join(f'10.0.{at % 8}.{at}' for at in range(count))
    mixed = ','.join([*(f'10.0.{at % 8}.{at % 250}' for at in range(0, count, 2)), '2600:1f18::/32', '172.16.0.0/12'])
    ports = ','.join(str(at * 3 + 2) for at in range(count))
    for condition in (
        f'addr={hosts}',
        f'srcaddr!={hosts}',
        f'addr={mixed}',
        f'port={ports},8000-9000',
        f'dstport!={ports}',
    ):
        assert_same(ask('default', 'top', 'srcaddr', '-w', condition), ['top'])
