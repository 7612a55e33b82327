"""Athena answers as the local engine does, and leaves nothing behind."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO, StringIO
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowlogs_reader.cli.main import main
from flowlogs_reader.engines.remote import runner
from tests import traffic
from tests.conftest import NOW, Cli, Result
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
from tests.fake.s3 import s3_objects

for module in ('duckdb', 'numpy', 'sqlglot', 'trino_sql_validator'):
    pytest.importorskip(module, reason='there is no wheel for this Python')

LAYOUTS = ('default', 'hourly', 'hive', 'hive-hourly')
ATHENA = ('--engine', 'athena', '--create-table')


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, 'FIRST_WAIT', 0.0)


def store(fake: FakeAWS, name: str, lines: Iterable[bytes], layout: str = 'default', **options: Any) -> None:
    """Add lines to a bucket, as the objects of one flow log."""
    if name not in fake.s3.buckets:
        fake.add_bucket(name)
    for key, body in s3_objects([*lines], layout, prefix='some/prefix', **options).items():
        fake.put_object(name, key, body)


@pytest.fixture(scope='module')
def logs() -> Iterator[FakeAWS]:
    with FakeAWS() as fake:
        fake.retry_after_ms = 0
        fake.add_bucket('results')
        fake.add_workgroup(output='s3://results/queries/')
        for layout in LAYOUTS:
            store(fake, layout, [*LINES, *ODD], layout)
        store(fake, 'parquet', LINES, 'hourly', format='parquet')
        store(fake, 'hive-parquet', LINES, 'hive', format='parquet')
        store(fake, 'v5', in_format(V5), header=V5)
        store(fake, 'v5-parquet', in_format(V5), 'hive-hourly', header=V5, format='parquet')
        store(fake, 'own', in_format(OWN), 'hive', header=OWN)
        # Two flow logs, folder structures, accounts, Regions and formats below one prefix, one of them as Parquet.
        store(fake, 'mixed', [*LINES[::3], *ODD])
        store(fake, 'mixed', in_format(V5, LINES[1::3]), 'hourly', header=V5, region='eu-west-1', flow_log_id='fl-0b')
        other = {'account': '210987654321', 'flow_log_id': 'fl-0c'}
        store(fake, 'mixed', LINES[2::3], format='parquet', **other)
        # Text and Parquet in the same folders.
        store(fake, 'text-and-parquet', LINES[::2], flow_log_id='fl-0a')
        store(fake, 'text-and-parquet', LINES[1::2], flow_log_id='fl-0b', format='parquet')
        # Two formats in the same folders.
        store(fake, 'twins', [*LINES[::2], *ODD], flow_log_id='fl-0a')
        store(fake, 'twins', in_format(V5, LINES[1::2]), header=V5, flow_log_id='fl-0b')
        yield fake


class Both(NamedTuple):
    """A question, asked both ways."""

    local: Result
    engine: Result


Ask = Callable[..., Both]


@pytest.fixture
def ask(logs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Ask:
    for name, value in logs.environ('us-east-1').items():
        monkeypatch.setenv(name, value)

    def both(bucket: str, *command: str, status: int = 0) -> Both:
        window = () if {'-s', '-e'} & {*command} else WINDOW
        location = f's3://{bucket}' if '/' in bucket else f's3://{bucket}/some/prefix'
        local = cli(location, *command, *window, status=status)
        engine = cli(location, *command, *window, *ATHENA, status=status)
        assert not logs.athena.left_running
        return Both(local, engine)

    return both


def assert_same(both: Both, command: Sequence[str]) -> None:
    """Rows are the same, and in the same order, if that is not the order in which records were read."""
    one, other = (result.stdout.splitlines() for result in both)
    if not ordered([*command]):
        one.sort(), other.sort()
    assert other == one


def facts(result: Result) -> list[str]:
    # Which line was the first to be left out depends on the order of lines.
    return [line for line in result.stderr.splitlines() if 'left out: ' in line or 'SKIPDATA' in line]


@pytest.mark.parametrize('command', [command for at, command in enumerate(COMMANDS) if at % 4], ids=' '.join)
def test_the_answer_is_that_of_the_local_engine(ask: Ask, command: list[str]) -> None:
    at = COMMANDS.index(command)
    both = ask(LAYOUTS[(at + at // 4) % len(LAYOUTS)], *command)
    assert_same(both, command)
    if command[0] in ('top', 'timeline', 'aggregate') and '-w' not in command:
        assert facts(both.local) == facts(both.engine)
        assert len(facts(both.engine)) >= 2 or '--tz' in command


@pytest.mark.parametrize('command', V5_COMMANDS[::2], ids=' '.join)
def test_a_format_of_ones_own(ask: Ask, command: list[str]) -> None:
    assert_same(ask('v5', *command), command)


@pytest.mark.parametrize('bucket', ['parquet', 'hive-parquet'])
@pytest.mark.parametrize('command', COMMANDS[::16], ids=' '.join)
def test_parquet(ask: Ask, bucket: str, command: list[str]) -> None:
    both = ask(bucket, *command)
    assert_same(both, command)
    assert facts(both.local) == facts(both.engine)


@pytest.mark.parametrize('command', V5_COMMANDS[1::2], ids=' '.join)
def test_parquet_of_ones_own_format(ask: Ask, command: list[str]) -> None:
    assert_same(ask('v5-parquet', *command), command)


@pytest.mark.parametrize('command', OWN_COMMANDS, ids=' '.join)
def test_a_format_without_usual_fields(ask: Ask, command: list[str]) -> None:
    assert_same(ask('own', *command), command)


@pytest.mark.parametrize('bucket', ['mixed', 'twins'])
@pytest.mark.parametrize('command', [*COMMANDS[::18], 'top flow_direction --by flows'.split()], ids=' '.join)
def test_several_flow_logs_below_one_prefix(ask: Ask, bucket: str, command: list[str]) -> None:
    both = ask(bucket, *command)
    assert_same(both, command)
    # With conditions, the local engine passes over lines without looking at them.
    assert facts(both.local) == facts(both.engine) or '-w' in command


@pytest.mark.parametrize('command', [*COMMANDS[::30], ['timeline', '17s']], ids=' '.join)
def test_windows_that_cut_inside_a_second(ask: Ask, command: list[str]) -> None:
    assert_same(ask('hive', *command, *CUT), command)


BELOW = 'some/prefix/AWSLogs'


@pytest.mark.parametrize(
    'location, options',
    [
        (f'mixed/{BELOW}', []),
        (f'mixed/{BELOW}/123456789010', []),
        (f'mixed/{BELOW}/123456789010/vpcflowlogs/eu-west-1/', []),
        (f'mixed/{BELOW}/123456789010/vpcflowlogs/us-east-1/2016/02/01', []),
        (f'mixed/{BELOW}/123456789010/vpcflowlogs/eu-west-1/2016/02/01/11', []),
        (f'hive/{BELOW}/aws-account-id=123456789010/aws-service=vpcflowlogs/', []),
        ('mixed/some/prefix', ['--include-regions', 'eu-west-1']),
        ('mixed/some/prefix', ['--include-accounts', '210987654321']),
        ('default/some/prefix', ['s3://own/some/prefix', 's3://v5/some/prefix']),
        ('text-and-parquet/some/prefix', []),
    ],
)
def test_locations(logs: FakeAWS, ask: Ask, location: str, options: list[str]) -> None:
    both = ask(location, *options, 'top', '50', 'srcaddr', 'dstport')
    assert_same(both, ['top'])
    assert both.local.stdout.count(b'\n') > 10


@pytest.mark.parametrize('layout, queries', [('default', 1), ('hourly', 1), ('hive', 2), ('hive-hourly', 2)])
def test_a_window_over_midnight_of_two_months(logs: FakeAWS, ask: Ask, layout: str, queries: int) -> None:
    midnight = 1454284800
    store(logs, f'months-{layout}', traffic.lines(300, start=midnight - 200, per_second=1), layout)
    before = len(logs.athena.executions)
    both = ask(f'months-{layout}', 'timeline', '20s', '-s', '2016-01-31T23:57:00Z', '-e', '2016-02-01T00:01:00Z')
    assert_same(both, ['timeline'])
    assert len(logs.athena.executions) == before + queries


@pytest.mark.parametrize(
    ('buckets', 'options', 'tables'),
    [
        ('default', '', 9),
        ('v5', '-w dstport<=srcport', 12),
        ('v5-parquet', '-w pkt_dstaddr!=dstaddr', 12),
        ('mixed', '--tz Asia/Kolkata', 12),
        ('own hourly', '', 9),
    ],
)
def test_a_report(logs: FakeAWS, ask: Ask, buckets: str, options: str, tables: int) -> None:
    pytest.importorskip('plotly')
    first, *others = buckets.split()
    both = ask(first, *(f's3://{bucket}/some/prefix' for bucket in others), 'report', *options.split())
    assert tables_of(both.engine) == tables_of(both.local)
    assert len(tables_of(both.engine)) == tables
    assert facts(both.engine) == facts(both.local) or '-w' in options


def test_objects_without_header_rows(logs: FakeAWS, ask: Ask) -> None:
    logs.add_bucket('bare')
    for key, body in s3_objects(in_format(OWN), header=OWN, prefix='some/prefix').items():
        logs.put_object('bare', key, gzip.compress(gzip.decompress(body).partition(b'\n')[2]))
    assert_same(ask('bare', 'top', 'srcaddr', 'dstport', '--fields', ' '.join(OWN)), ['top'])


# -- any lines --------------------------------------------------------------------------------------------------------

ADDRESSES = st.sampled_from(
    '10.0.0.1 10.0.0.9 10.0.1.7 192.168.0.1 2001:db8::1 2001:DB8:0:0:0:0:0:1 ::ffff:10.0.0.1 fe80::1%1 010.0.0.1 '
    '10.0.0.256 1::2::3 unknown -'.split()
)
NUMBERS = st.sampled_from('0 1 6 17 22 443 65535 007 - 99999999999999999 1234567890123456789 -1 1e3'.split())
TIMES = st.sampled_from(
    [
        *(str(START + at) for at in range(-2, 130, 11)),
        '0',
        '-',
        f'{START + 7}000',
        '2147483647',
        '9999999999',
        f'0{START}',
    ]
)
WORDS = st.sampled_from('ACCEPT REJECT - accept x'.split())
STATUSES = st.sampled_from('OK OK OK NODATA SKIPDATA - SKIPDATA1'.split())
RECORDS = st.tuples(
    st.sampled_from('2 2 2 02 - x'.split()), st.just('123456789010'), st.sampled_from('eni-0a eni-0b -'.split()),
    ADDRESSES, ADDRESSES, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, TIMES, TIMES, WORDS, STATUSES,
)  # fmt: skip
ANY_LINES = st.one_of(
    RECORDS.map(' '.join),
    RECORDS.map(' '.join),
    st.tuples(RECORDS, st.sampled_from(['  ', '\t'])).map(lambda pair: pair[1].join(pair[0])),
    # Hadoop, unlike this program, ends a line at a carriage return anywhere.
    RECORDS.map(lambda values: ' '.join(values) + '\r'),
    st.tuples(RECORDS, st.integers(0, 13)).map(lambda pair: ' '.join(pair[0][: pair[1]])),
    st.text(st.characters(codec='utf-8', exclude_characters='\r\n\x01', exclude_categories=['Cs']), max_size=20),
)
QUESTIONS = st.sampled_from([
    'top 99 srcaddr', 'top 99 srcaddr/8 dstport', 'top 99 dstaddr/48 --by flows', 'top 99 action --by packets',
    'aggregate --flows', 'aggregate srcaddr dstaddr --both-ways', 'timeline 7s', 'timeline 1m --tz Asia/Kolkata',
    'timeline 30s action', 'ipset', 'findip 10.0.0.0/24 2001:db8::/32', 'print -w version=2',
])  # fmt: skip
CONDITIONS = st.sampled_from([
    'srcaddr=10.0.0.0/24', 'srcaddr!=10.0.0.0/24', 'addr=2001:db8::1', 'addr!=::/0', 'srcaddr=-', 'srcaddr=10.0.0.1',
    'dstport=22', 'dstport!=22,443', 'port=0-443', 'protocol!=-', 'bytes>1', 'bytes<=99999999999999999',
    'packets>=100000000000000000', 'action=REJECT', 'action!=ACCEPT,-', 'interface_id=eni-0a', 'start>1454324400',
    'log_status!=OK', 'srcport<=dstport', 'port=protocol', 'packets!=bytes', 'dstaddr=srcaddr',
    'srcaddr/class!=dstaddr/class',
])  # fmt: skip


@settings(
    max_examples=10,
    deadline=None,
    # Without shrinking, which takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lines=st.lists(ANY_LINES, min_size=1, max_size=30),
    layout=st.sampled_from(LAYOUTS),
    question=QUESTIONS,
    conditions=st.lists(CONDITIONS, max_size=2),
    window=st.sampled_from([WINDOW, CUT]),
)
@pytest.mark.usefixtures('ask')
def test_any_lines_and_any_questions(
    logs: FakeAWS,
    lines: list[str],
    layout: str,
    question: str,
    conditions: list[str],
    window: Sequence[str],
) -> None:
    logs.add_bucket('any')
    store(logs, 'any', [line.encode() for line in lines], layout)
    where = [text for condition in conditions for text in ('-w', condition)]
    command = [*question.split(), *where, *window]
    local, engine = (outcome('s3://any/some/prefix', *command, *options) for options in ((), ATHENA))
    # With conditions, the local engine passes over lines without looking at them.
    assert engine.status == local.status or where
    assert_same(Both(local, engine), command)
    assert facts(local) == facts(engine) or where


def outcome(*argv: str) -> Result:
    """A run of the command line with whatever status it has."""
    stdout, stderr = BytesIO(), StringIO()
    status = main(argv, BytesIO(), stdout, stderr, NOW)
    return Result(status, stdout.getvalue(), stderr.getvalue())
