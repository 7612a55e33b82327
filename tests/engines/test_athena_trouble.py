"""Athena in trouble: one line says what is wrong, nothing is on stdout, and no query is left running."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowlogs_reader import Query, Window, run
from flowlogs_reader.engines.remote import runner
from flowlogs_reader.query.groups import parse_keys
from tests.conftest import ROOT, Cli, Result
from tests.engines.matrix import LINES, ODD, START, V5, WINDOW
from tests.fake.athena import Failure
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects
from tests.traffic import to_format

for module in ('duckdb', 'numpy', 'sqlglot', 'trino_sql_validator'):
    pytest.importorskip(module, reason='there is no wheel for this Python')
from tests.fake import trino  # noqa: E402
from tests.fake.trino import defined_table  # noqa: E402

OBJECTS = s3_objects([*LINES, *ODD], prefix='some/prefix')
LOGS = 's3://flow-logs/some/prefix'
ENGINE = ('--engine', 'athena')
RESULTS = {'output': 's3://results/'}
FOLDER = 'some/prefix/AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/01/'
NAME = '123456789010_vpcflowlogs_us-east-1_fl-0_20160201T1055Z_0.log'
NETWORKS = ','.join(f'10.{number >> 8}.{number & 255}.0/25' for number in range(5_000))
Ask = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, 'FIRST_WAIT', 0.0)


@pytest.fixture
def athena(fake: FakeAWS, monkeypatch: pytest.MonkeyPatch) -> FakeAWS:
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    fake.add_bucket('flow-logs', objects=OBJECTS)
    fake.add_bucket('results')
    fake.add_workgroup(output='s3://results/')
    return fake


@pytest.fixture
def ask(athena: FakeAWS, cli: Cli) -> Ask:
    """Ask Athena; no query may be left running."""

    def ask(*argv: str, status: int = 0) -> Result:
        create = [] if '--follow' in argv else ['--create-table']
        result = cli(LOGS, *argv, *WINDOW, *ENGINE, *create, status=status)
        assert not athena.athena.left_running
        return result

    return ask


def reason(result: Result) -> str:
    """The one line that says why; notes may stand in front of it."""
    assert result.stdout == b''
    notes = ('will scan about', 'Athena scanned')
    (last,) = [line for line in result.stderr.splitlines() if not any(note in line for note in notes)]
    return last


# -- what cannot be answered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'group, argv, words',
    [
        ({}, [], 'has no place for results: give one with --output-location'),
        ({'output': 's3://flow-logs/some/prefix/AWSLogs/x/'}, [], 'outside AWSLogs/'),
        ({}, ['--output-location', 's3://results/AWSLogs/'], 'outside AWSLogs/'),
        ({**RESULTS, 'state': 'DISABLED'}, [], 'is disabled'),
        ({**RESULTS, 'engine': 'PySpark engine version 3'}, [], 'not for SQL'),
        ({'managed': True}, ['--output-location', 's3://results/'], 'keeps results itself'),
        ({**RESULTS, 'enforced': True}, ['--output-location', 's3://results/b/'], 'takes no other place'),
        ({**RESULTS, 'cutoff': 10_000}, [], 'stops queries at 10000 bytes'),
        (RESULTS, ['--max-scan', '1kB'], 'would scan'),
        (RESULTS, ['--database', 'nothing'], 'there is no database nothing'),
        (RESULTS, ['-w', f'dstaddr={NETWORKS}'], 'bytes, and Athena takes'),
    ],
)
def test_what_is_refused_before_a_query_is_started(
    ask: Ask, athena: FakeAWS, group: dict[str, Any], argv: list[str], words: str
) -> None:
    athena.add_workgroup(**group)
    assert words in reason(ask('top', *argv, status=2))
    assert not athena.athena.executions


@pytest.mark.parametrize(
    'argv, words',
    [
        (['print'], 'without conditions'),
        (['print', '--follow', '-w', 'dstport=22'], '--follow does not go with --engine athena'),
    ],
)
def test_actions_that_are_refused(ask: Ask, athena: FakeAWS, argv: list[str], words: str) -> None:
    assert words in ask(*argv, status=2).stderr
    assert not athena.athena.executions and not athena.glue.tables


@pytest.mark.parametrize(
    'option, words',
    [
        (['--output-location', 'results/'], 's3://bucket/prefix/'),
        (['--output-location', 's3://'], 's3://bucket/prefix/'),
        (['--workgroup', 'a b'], "'a b' is not the name of a workgroup"),
        (['--workgroup', 'absent'], 'there is no workgroup absent in us-east-1'),
    ],
)
def test_options_that_cannot_be_right(ask: Ask, athena: FakeAWS, option: list[str], words: str) -> None:
    result = ask('top', *option, status=2)
    assert words in result.stderr and 'scanned' not in result.stderr
    assert not athena.athena.executions and not athena.glue.tables


def test_a_file_is_not_for_athena(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / 'flows.log').write_bytes(b'\n'.join(LINES))
    assert 'the engine athena reads a bucket' in cli(str(tmp_path / 'flows.log'), 'top', *ENGINE, status=2).stderr


def test_a_table_is_created_only_if_that_is_asked_for(athena: FakeAWS, cli: Cli) -> None:
    result = cli(LOGS, 'top', *WINDOW, *ENGINE, status=2)
    assert result.stdout == b'' and not athena.athena.executions and not athena.glue.tables
    assert '--create-table' in result.stderr and 'CREATE EXTERNAL TABLE IF NOT EXISTS' in result.stderr
    cli(LOGS, 'top', *WINDOW, *ENGINE, '--create-table')
    assert len(athena.glue.tables) == 1
    assert cli(LOGS, 'top', *WINDOW, *ENGINE).stdout == cli(LOGS, 'top', *WINDOW).stdout
    assert athena.count('CreateTable') == 1


def test_nothing_is_started_if_one_of_several_tables_is_missing(athena: FakeAWS, cli: Cli) -> None:
    athena.add_bucket('more', objects=OBJECTS)
    cli(LOGS, 'top', *WINDOW, *ENGINE, '--create-table')
    started = len(athena.athena.executions)
    result = cli(LOGS, 's3://more/some/prefix', 'top', *WINDOW, *ENGINE, status=2)
    assert 'there is no table' in result.stderr and 's3://more/' in result.stderr
    assert len(athena.athena.executions) == started


@pytest.mark.parametrize('change', ['template', 'marker', 'columns'])
def test_a_table_of_that_name_which_is_not_ours(ask: Ask, athena: FakeAWS, change: str) -> None:
    ask('top')
    ((_, table),) = athena.glue.tables.items()
    if change == 'template':
        table['Parameters']['storage.location.template'] = 's3://results/${acct}/${rgn}/${day}/'
    elif change == 'marker':
        del table['Parameters']['flowlogs_reader.version']
    else:
        table['StorageDescriptor']['Columns'][0]['Type'] = 'int'
    started = len(athena.athena.executions)
    assert 'is not as this program creates it' in reason(ask('top', status=2))
    assert len(athena.athena.executions) == started


@pytest.mark.parametrize(
    'key, body, options, words',
    [
        (f'{NAME}.gz', b'', {'storage_class': 'GLACIER'}, 'is archived'),
        (f'of/mine/{NAME}', b'', {}, 'is not in a folder that AWS makes'),
        (NAME, b'odd\n' * 2_000, {}, 'are not records of the format'),
        (NAME, b'version bytes version\n' * 2_000, {}, 'unusable header row'),
    ],
)
def test_objects_that_athena_would_not_find_or_not_understand(
    ask: Ask, athena: FakeAWS, key: str, body: bytes, options: dict[str, Any], words: str
) -> None:
    athena.put_object('flow-logs', FOLDER + key, body, **options)
    assert words in reason(ask('top', status=1 if 'unusable' in words else 2))
    assert not athena.athena.executions


def test_a_flow_log_whose_objects_have_several_formats(ask: Ask, athena: FakeAWS) -> None:
    other = s3_objects([to_format(line, V5) for line in LINES[:300]], header=V5, prefix='some/prefix')
    for key, body in other.items():
        athena.put_object('flow-logs', key.replace('.log.gz', 'x.log.gz'), body)
    assert 'has several formats' in reason(ask('top', status=1))


def test_a_field_that_no_format_has(ask: Ask, athena: FakeAWS) -> None:
    assert 'this log has no field vpc_id' in reason(ask('top', 'vpc_id', status=1))
    assert not athena.athena.executions


@pytest.mark.parametrize(
    'operation',
    ['GetWorkGroup', 'GetTable', 'CreateTable', 'StartQueryExecution', 'GetQueryExecution', 'GetQueryResults'],
)
def test_what_is_not_permitted(ask: Ask, athena: FakeAWS, operation: str) -> None:
    athena.deny(operation)
    last = reason(ask('top', status=1))
    assert operation in last and 'not allowed: add this action to the policy' in last


# -- queries that go wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'failure, queries',
    [
        (Failure('GENERIC_INTERNAL_ERROR: no idea'), 1),
        (Failure('Query cancelled by an administrator', state='CANCELLED'), 1),
        (Failure('Query exhausted resources at this scale factor', retryable=True), 4),
        (Failure('Query timeout'), 4),
    ],
)
def test_a_query_that_fails(ask: Ask, athena: FakeAWS, failure: Failure, queries: int) -> None:
    athena.athena.failures = [failure] * 100
    last = reason(ask('top', status=1))
    assert failure.reason in last
    assert 1 <= len(athena.athena.executions) <= queries * 2


@pytest.mark.parametrize('command, failed', [('top 50', 1), ('timeline 17s', 2), ('print -w dstport!=443', 1)])
def test_a_query_that_times_out_is_split(ask: Ask, athena: FakeAWS, cli: Cli, command: str, failed: int) -> None:
    """Lines that are not canonical have no window of their own: they are counted once all the same."""
    athena.athena.failures = [Failure('Query timeout')] * failed
    result = ask(*command.split())
    local = cli(LOGS, *command.split(), *WINDOW)
    assert sorted(result.stdout.splitlines()) == sorted(local.stdout.splitlines())
    told = [[line for line in each.stderr.splitlines() if 'left out: ' in line] for each in (result, local)]
    assert told[0] == told[1]
    assert len(athena.athena.executions) == 1 + 2 * failed


def test_records_without_times_are_counted_once(ask: Ask, athena: FakeAWS, cli: Cli) -> None:
    athena.add_bucket('flow-logs')
    for key, body in s3_objects(LINES, prefix='some/prefix').items():
        lines = [line.split() for line in gzip.decompress(body).splitlines()]
        text = b''.join([b' '.join([line[at] for at in (3, 4, 9)]) + b'\n' for line in lines])
        athena.put_object('flow-logs', key, gzip.compress(text))
    for failed in (0, 1, 2):
        athena.athena.failures = [Failure('Query timeout')] * failed
        assert ask('top', 'srcaddr').stdout == cli(LOGS, 'top', 'srcaddr', *WINDOW).stdout


def test_too_many_queries_at_once(ask: Ask, athena: FakeAWS, cli: Cli) -> None:
    athena.fault('StartQueryExecution', 'throttle', times=3)
    result = ask('top')
    assert result.stdout == cli(LOGS, 'top', *WINDOW).stdout
    assert result.stderr.count('runs as many queries as the account may have') == 1


def test_a_query_that_scans_more_than_was_listed_is_stopped(ask: Ask, athena: FakeAWS) -> None:
    """New objects may have come since then."""
    size = sum(map(len, OBJECTS.values()))
    key = next(iter(OBJECTS)).replace('.log.gz', 'x.log.gz')

    def late(params: Any) -> bool:
        athena.put_object('flow-logs', key, gzip.compress(os.urandom(50)))
        return False

    athena.fault('StartQueryExecution', '500', late)
    assert 'would scan more than' in reason(ask('top', '--max-scan', str(size), status=2))


@pytest.mark.parametrize('prunes', [True, False])
def test_the_estimate_is_not_exceeded_if_paths_spare_nothing(ask: Ask, athena: FakeAWS, prunes: bool) -> None:
    athena.athena.prunes_paths = prunes
    for name in ('20160201T0000Z_0.log.gz', '20160201T2355Z_0.log.gz'):
        key = next(iter(OBJECTS)).rpartition('_20160201')[0] + f'_{name}'
        athena.put_object('flow-logs', key, next(iter(OBJECTS.values())))
    whole = sum(len(stored.body) for stored in athena.s3.buckets['flow-logs'].objects.values())
    table = ask('top', '--estimate', '-o', 'jsonl').stdout
    assert b'"bytes": %d,' % whole in table
    ask('top')
    (execution,) = athena.athena.executions.values()
    assert execution.scanned == (whole if not prunes else sum(map(len, OBJECTS.values())))


# -- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('place', ['object', 'pages', 'managed', 'encrypted'])
def test_results_of_many_pages(ask: Ask, athena: FakeAWS, cli: Cli, place: str) -> None:
    athena.athena.page_rows = 20
    if place == 'pages':
        key = 'unreadable/00000000-0000-0000-0000-000000000001.csv'
        athena.add_workgroup(output='s3://results/unreadable/')
        athena.fault('GetObject', 'deny', lambda params: params['Key'] == key)
    elif place == 'managed':
        athena.add_workgroup(managed=True)
    elif place == 'encrypted':
        athena.add_workgroup(**RESULTS, encryption='CSE_KMS')
    assert ask('ipset').stdout == cli(LOGS, 'ipset', *WINDOW).stdout
    assert (athena.count('GetQueryResults') == 1) == (place == 'object')
    assert bool(athena.s3.buckets['results'].keys) == (place != 'managed')


def test_a_result_with_a_line_that_is_too_long(ask: Ask, athena: FakeAWS) -> None:
    athena.athena.page_rows = 20
    athena.put_object('flow-logs', FOLDER + NAME, b'x' * 140_000)
    assert 'cannot be read as CSV: field larger than' in reason(ask('ipset', status=1))


@pytest.mark.parametrize('form', ['{}.0', '{}E0', '{}x', ''])
def test_a_number_that_is_none(ask: Ask, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    text = trino._text
    monkeypatch.setattr(trino, '_text', lambda value: form.format(value) if isinstance(value, int) else text(value))
    assert 'for a number' in reason(ask('top', status=1))


@pytest.mark.parametrize('kind', ['repeat_token', 'loop_tokens'])
def test_pages_without_an_end(ask: Ask, athena: FakeAWS, kind: str) -> None:
    athena.add_workgroup(managed=True)
    athena.athena.page_rows = 20
    athena.fault('GetQueryResults', kind)
    assert 'the same page token twice' in reason(ask('ipset', status=1))


@pytest.mark.parametrize('kind', ['half_json', 'drop'])
@pytest.mark.parametrize('operation', ['StartQueryExecution', 'GetQueryExecution', 'GetQueryResults'])
def test_answers_that_break_off_are_asked_for_again(
    ask: Ask, athena: FakeAWS, cli: Cli, operation: str, kind: str
) -> None:
    athena.fault(operation, kind, times=1)
    assert ask('top').stdout == cli(LOGS, 'top', *WINDOW).stdout
    # A request to start that is repeated starts no second query.
    assert len(athena.athena.executions) == 1


@pytest.mark.parametrize('kind, attempts', [('drop', 10), ('half_json', 5)])
def test_a_query_whose_id_does_not_arrive_is_stopped(ask: Ask, athena: FakeAWS, kind: str, attempts: int) -> None:
    athena.athena.hangs = True
    athena.fault('StartQueryExecution', kind, times=attempts)
    ask('top', status=1)
    assert len(athena.athena.executions) == 1 and athena.count('StopQueryExecution') == 1


# -- looking only -----------------------------------------------------------------------------------------------------


def test_the_estimate_and_the_queries_are_free(athena: FakeAWS, cli: Cli) -> None:
    import trino_sql_validator

    shown = cli(LOGS, 'top', 'srcaddr', '-w', 'dstport=22', *WINDOW, *ENGINE, '--show-query').stdout.decode()
    cli(LOGS, 'top', *WINDOW, *ENGINE, '--estimate')
    reading = {'ListObjectsV2', 'GetObject', 'HeadBucket'}
    assert {call.operation for call in athena.calls()} <= reading
    ddl, _, query = shown.partition('\n-- StartQueryExecution ')
    assert trino_sql_validator.validate(ddl, dialect='hive').valid
    parameters, _, sql = query.partition('\n')
    assert json.loads(parameters)['WorkGroup'] == 'primary'
    assert trino_sql_validator.validate(sql).valid
    # The text is what is sent.
    cli(LOGS, 'top', 'srcaddr', '-w', 'dstport=22', *WINDOW, *ENGINE, '--create-table')
    (execution,) = athena.athena.executions.values()
    assert execution.call.params['QueryString'].strip() == sql.strip()


def test_only_these_operations_are_called(ask: Ask, athena: FakeAWS) -> None:
    ask('top')
    started = {'StartQueryExecution', 'CreateTable'}
    reading = {
        'ListObjectsV2',
        'GetObject',
        'HeadBucket',
        'GetWorkGroup',
        'GetTable',
        'GetQueryExecution',
        'GetQueryResults',
    }
    assert {call.operation for call in athena.calls()} == started | reading


@pytest.mark.parametrize('layout, format', [('hive-hourly', 'text'), ('hourly', 'parquet')])
def test_the_statement_makes_the_table_that_glue_is_given(athena: FakeAWS, cli: Cli, layout: str, format: str) -> None:
    athena.add_bucket('flow-logs', objects=s3_objects(LINES, layout, format=format, prefix='some/prefix'))
    shown = cli(LOGS, 'top', *WINDOW, *ENGINE, status=2).stderr
    name, table = defined_table(shown[shown.index('CREATE EXTERNAL TABLE') :])
    athena.glue.tables['123456789010', 'us-east-1', name, table['Name']] = table
    assert cli(LOGS, 'top', *WINDOW, *ENGINE).stdout == cli(LOGS, 'top', *WINDOW).stdout
    athena.glue.tables.clear()
    cli(LOGS, 'top', *WINDOW, *ENGINE, '--create-table')
    (given,) = athena.glue.tables.values()
    for each in (table, given):
        assert each['Parameters'] == given['Parameters'] and each['PartitionKeys'] == given['PartitionKeys']
        assert each['StorageDescriptor']['Columns'] == given['StorageDescriptor']['Columns']
        assert each['StorageDescriptor']['Location'] == given['StorageDescriptor']['Location']


def test_scripts_get_the_same_result(athena: FakeAWS) -> None:
    query = Query('top', window=Window(START * 1000, (START + 200) * 1000), keys=parse_keys(['srcaddr'], ()), limit=5)
    one = run(query, LOGS)
    other = run(query, LOGS, engine='athena', create_table=True)
    assert [*one] == [*other]
    assert one.columns == other.columns


# -- the end of the process -------------------------------------------------------------------------------------------


@pytest.fixture
def hanging(athena: FakeAWS, cli: Cli) -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for a query that does not end."""
    cli(LOGS, 'top', *WINDOW, *ENGINE, '--create-table')
    athena.athena.hangs = True
    polls = athena.count('GetQueryExecution')
    env = {**os.environ, **athena.environ('us-east-1'), 'PYTHONPATH': str(ROOT)}
    argv = [sys.executable, '-m', 'flowlogs_reader', LOGS, 'top', *WINDOW, *ENGINE]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while athena.count('GetQueryExecution') < polls + 2:
            assert process.poll() is None
            threading.Event().wait(0.05)
        assert len(athena.athena.left_running) == 1
        yield process


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_stops_the_query(hanging: subprocess.Popen[bytes], athena: FakeAWS, number: int, status: int) -> None:
    hanging.send_signal(number)
    out, _ = hanging.communicate(timeout=60)
    assert (hanging.returncode, out) == (status, b'')
    assert not athena.athena.left_running


def test_a_reader_that_goes_away_stops_the_query(hanging: subprocess.Popen[bytes], athena: FakeAWS) -> None:
    assert hanging.stdout
    hanging.stdout.close()
    assert hanging.wait(timeout=60) == 0
    assert not athena.athena.left_running
