"""CloudWatch Logs Insights in trouble: refused, failing, too large, interrupted. No query runs on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from botocore.exceptions import ClientError

from flowlogs_reader import Query, UsageError, Window, run
from flowlogs_reader.engines.insights import text
from flowlogs_reader.engines.insights.engine import Insights
from flowlogs_reader.engines.remote.runner import split
from flowlogs_reader.query.groups import parse_keys
from tests import traffic
from tests.conftest import ROOT, Cli, Result
from tests.fake import insights as insights_fake
from tests.fake.aws import DEFAULT_FORMAT, FakeAWS, s3_objects
from tests.fake.wire import Params

LINES = [*traffic.lines(400, per_second=2)]
WINDOW = ('-s', '2016-02-01 10:59:00', '-e', '2016-02-01 11:04:00')
INSIGHTS = (*WINDOW, '--engine', 'insights')


@pytest.fixture
def group(fake: FakeAWS) -> Iterator[FakeAWS]:
    """A log group `flows`, and afterwards the proof that no query was left running."""
    fake.add_log_group('flows', lines=LINES)
    fake.add_flow_log(log_group='flows')
    yield fake
    assert not fake.logs.insights.running


def queries(fake: FakeAWS) -> list[Params]:
    """The queries that cost, as they were started."""
    calls = [call.params for call in fake.calls('StartQuery')]
    return [params for params in calls if not params['queryString'].endswith('estimate')]


def assert_refused(result: Result, *words: str) -> None:
    assert result.stdout == b''
    assert all(word in result.stderr for word in words), result.stderr
    assert len([line for line in result.stderr.splitlines() if 'will scan' not in line and 'usage' not in line]) <= 3


# -- what is known before AWS is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('argv', 'word'),
    [
        ('flows --follow', '--follow does not go with --engine insights'),
        ('flows --filter-pattern x', '--filter-pattern does not go'),
        ('flows --no-pushdown', '--no-pushdown does not go'),
        ('- top', 'a log group'),
        ('s3://bucket top', 'a log group'),
        ('flows top --max-scan much', '--max-scan takes a size'),
        (f'flows top --max-scan {"9" * 400}', '--max-scan takes a size'),
        ('flows top --create-table', '--create-table goes with --engine athena'),
    ],
)
def test_refused_before_aws_is_asked(fake: FakeAWS, cli: Cli, argv: str, word: str) -> None:
    result = cli(*argv.split(), '--engine', 'insights', status=2)
    assert word in result.stderr
    assert not fake.calls()


@pytest.mark.parametrize('option', ['--max-scan 1GB', '--show-query', '--database x'])
def test_options_of_engines_need_an_engine(fake: FakeAWS, cli: Cli, option: str) -> None:
    assert 'goes with --engine' in cli('flows', 'top', *option.split(), status=2).stderr


# -- what AWS says -----------------------------------------------------------------------------------------------------


def test_a_missing_permission_is_named(group: FakeAWS, cli: Cli) -> None:
    group.deny('StartQuery')
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'logs:StartQuery', 'policy')


def test_a_log_group_that_is_not_there(group: FakeAWS, cli: Cli) -> None:
    group.add_log_group('flows-elsewhere', 'eu-west-1', LINES)
    assert_refused(cli('flows-elsewhere', 'top', *INSIGHTS, status=1), 'eu-west-1', 'add --region')


def test_a_window_before_the_group_was_made_has_no_records(group: FakeAWS, cli: Cli) -> None:
    window = ('-s', '2014-01-01', '-e', '2014-01-02')
    local = cli('flows', 'top', *window)
    result = cli('flows', 'top', *window, '--engine', 'insights')
    assert result.stdout == local.stdout
    assert 'no records' in result.stderr


def test_a_query_that_fails_is_tried_in_shorter_windows_then_reported(group: FakeAWS, cli: Cli) -> None:
    group.logs.insights.ends_as = lambda params: 'Complete' if 'estimate' in params['queryString'] else 'Failed'
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'failed')
    assert 1 < len({params['endTime'] - params['startTime'] for params in queries(group)}) <= 3


@pytest.mark.parametrize('status', ['Failed', 'Timeout', 'Cancelled'])
def test_if_the_estimate_fails_no_query_is_started_that_costs(group: FakeAWS, cli: Cli, status: str) -> None:
    group.logs.insights.ends_as = lambda params: status
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'the query')
    assert not queries(group)


def test_an_estimate_may_be_tried_again_too(group: FakeAWS, cli: Cli) -> None:
    ends = iter(['Failed'])
    group.logs.insights.ends_as = lambda params: next(ends, 'Complete')
    expected = cli('flows', 'top', *WINDOW).stdout
    result = cli('flows', 'top', *INSIGHTS)
    assert result.stdout == expected
    assert f'will scan about {sum(map(len, LINES)) / 1000:.1f} kB' in result.stderr


def test_a_report_has_no_page_if_one_of_its_queries_fails(group: FakeAWS, cli: Cli) -> None:
    pytest.importorskip('plotly')
    group.logs.insights.ends_as = lambda params: 'Cancelled' if 'vInterfaceId' in params['queryString'] else 'Complete'
    assert_refused(cli('flows', 'report', *INSIGHTS, status=1), 'Cancelled')


def test_the_budget_is_that_of_all_queries_of_a_report(group: FakeAWS, cli: Cli) -> None:
    pytest.importorskip('plotly')
    size = sum(map(len, LINES))
    assert_refused(cli('flows', 'report', *INSIGHTS, '--max-scan', str(size * 7 // 2), status=2), 'would scan')
    assert not queries(group)
    assert cli('flows', 'report', *INSIGHTS, '--max-scan', str(size * 4)).stdout


@pytest.mark.parametrize(
    ('name', 'value', 'word'),
    [
        ('k0', '443.0', "'443.0' for dstport"),
        ('k0', '', "'' for dstport"),
        ('k0', 'x', "'x' for dstport"),
        ('sFlows', '', "'' for a number"),
        ('sFlows', '1.5', "'1.5' for a number"),
        ('sBytes', 'NaN', 'for a number'),
    ],
)
def test_a_value_that_was_not_asked_for(
    group: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, value: str, word: str
) -> None:
    shown = insights_fake._shown
    monkeypatch.setattr(
        insights_fake, '_shown', lambda row: {key: value if key == name else text for key, text in shown(row).items()}
    )
    assert_refused(cli('flows', 'top', 'dstport', *INSIGHTS, status=1), word)


@pytest.mark.parametrize('form', ['{}.0', '{}E0', '+{}'])
def test_a_number_may_be_written_in_other_ways(
    group: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    shown = insights_fake._shown
    monkeypatch.setattr(
        insights_fake,
        '_shown',
        lambda row: {key: form.format(text) if key[0] == 's' else text for key, text in shown(row).items()},
    )
    assert cli('flows', 'top', *INSIGHTS).stdout == cli('flows', 'top', *WINDOW).stdout


def test_a_query_that_was_cancelled_is_not_tried_again(group: FakeAWS, cli: Cli) -> None:
    group.logs.insights.ends_as = lambda params: 'Cancelled' if 'estimate' not in params['queryString'] else 'Complete'
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'Cancelled')
    assert len(queries(group)) == 1


@pytest.mark.parametrize('command', ['top 50', 'timeline 7s', 'ipset', 'aggregate dstport', 'print -w port=443'])
def test_a_query_that_takes_too_long_is_split(group: FakeAWS, cli: Cli, command: str) -> None:
    group.logs.insights.ends_as = lambda params: 'Timeout' if too_long(params) else 'Complete'
    assert_same(cli, command, INSIGHTS)
    assert len(queries(group)) > 2


def too_long(params: Params) -> bool:
    return params['endTime'] - params['startTime'] > 160 and not params['queryString'].endswith('estimate')


@pytest.mark.parametrize('command', ['top 50', 'timeline 2s', 'ipset', 'aggregate dstport', 'print -w port=443'])
def test_an_answer_is_never_cut(group: FakeAWS, cli: Cli, command: str) -> None:
    """More rows than an answer has: the window is split, and no record counts twice."""
    group.logs.insights.max_rows, group.logs.insights.page_rows = 40, 13
    assert_same(cli, command, (*INSIGHTS, '--max-scan', '1GB'))
    assert len(queries(group)) > 2


@pytest.mark.parametrize('count', [1, 30, 300])
def test_the_first_records_need_not_all_records(
    group: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(text, 'SPARE', 5)
    command = ['flows', 'print', str(count), '-w', 'protocol=6']
    local = [line.split()[10] for line in cli(*command, *WINDOW).lines]
    assert [line.split()[10] for line in cli(*command, *INSIGHTS).lines] == local
    assert len(queries(group)) == 1


def test_one_second_with_too_many_rows_is_refused(group: FakeAWS, cli: Cli) -> None:
    group.logs.insights.max_rows = 1
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'one second has more rows')


def assert_same(cli: Cli, command: str, options: Sequence[str]) -> None:
    local = cli('flows', *command.split(), *WINDOW).stdout
    assert sorted(cli('flows', *command.split(), *options).stdout.splitlines()) == sorted(local.splitlines())


def test_a_full_account_is_waited_for(group: FakeAWS, cli: Cli) -> None:
    service = group.logs.insights
    service.most = 1
    service.polls = 1
    group.add_flow_log(log_group='flows', log_format='${srcaddr} ${dstaddr} ${start}')
    result = cli('flows', 'top', *INSIGHTS)
    assert result.stdout == cli('flows', 'top', *WINDOW).stdout
    assert result.stderr.count('waiting') == 1


@pytest.mark.parametrize(('status', 'polls'), [('Unknown', 0), ('Complete', 10**6)])
def test_a_query_that_does_not_end_is_stopped(
    group: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, status: str, polls: int
) -> None:
    monkeypatch.setattr(Insights, 'LONGEST', 0.05)
    group.logs.insights.ends_as = lambda params: 'Complete' if 'estimate' in params['queryString'] else status
    group.logs.insights.polls = polls
    said = f'its status is {"Running" if polls else status}: it was stopped'
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'has not ended after', said)
    assert group.count('StopQuery') == 1


def test_a_silent_aws_is_not_asked_to_stop_each_query(
    fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, two_minutes: None
) -> None:
    """The first request is sent three times, the next one once."""
    monkeypatch.setattr('flowlogs_reader.aws.session.READ_TIMEOUT', 0.5)
    fake.add_log_group('flows', lines=LINES[:100])
    for log_format in (DEFAULT_FORMAT, '${srcaddr} ${dstaddr} ${start}'):
        fake.add_flow_log(log_group='flows', log_format=log_format)
    for operation in ('GetQueryResults', 'StopQuery'):
        fake.fault(operation, 'stall', at=lambda params: len(queries(fake)) > 0, seconds=600)
    fake.logs.insights.polls = 10**6
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'Read timeout on endpoint URL')
    assert len(fake.logs.insights.running) > 1
    asked = ' '.join(call.operation for call in fake.calls())
    # A slow StartQuery was lost, and its query was stopped, before.
    assert asked.rpartition('GetQueryResults ')[2] == 'StopQuery'


def test_a_full_account_is_not_waited_for_without_end(
    group: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Insights, 'LONGEST', 0.05)
    group.logs.insights.most = 0
    result = cli('flows', 'top', *INSIGHTS, status=1)
    assert_refused(result, 'as many queries as the account may have, for')
    assert 'scanned' not in result.stderr


@pytest.mark.parametrize(
    ('operation', 'kind'),
    [(name, kind) for name in ('StartQuery', 'GetQueryResults') for kind in ('throttle', '503')]
    + [('GetQueryResults', 'half_json')],
)
def test_what_passes_is_waited_for(
    group: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, operation: str, kind: str
) -> None:
    # In the adaptive mode, botocore would send a request every other second after the first one that was throttled.
    monkeypatch.setenv('AWS_RETRY_MODE', 'standard')
    expected = cli('flows', 'top', *WINDOW).stdout
    group.fault(operation, kind, times=2)
    assert cli('flows', 'top', *INSIGHTS).stdout == expected


@pytest.mark.parametrize('kind', ['drop', 'half_json', 'nothing'])
def test_a_query_whose_id_did_not_arrive_is_stopped(group: FakeAWS, cli: Cli, kind: str) -> None:
    group.logs.insights.polls = 1
    group.fault('StartQuery', kind, at=2)
    expected = cli('flows', 'top', *WINDOW).stdout
    result = cli('flows', 'top', *INSIGHTS, status=0 if kind == 'drop' else 1)
    assert result.stdout == (expected if kind == 'drop' else b'')
    assert group.count('StopQuery') == 1


def test_an_answer_without_sense_ends_the_read(group: FakeAWS, cli: Cli) -> None:
    group.fault('GetQueryResults', 'half_json', at=lambda params: len(queries(group)) > 0)
    assert_refused(cli('flows', 'top', *INSIGHTS, status=1), 'not from AWS')


# -- budget ------------------------------------------------------------------------------------------------------------


def test_above_the_budget_nothing_is_started(group: FakeAWS, cli: Cli) -> None:
    result = cli('flows', 'top', *INSIGHTS, '--max-scan', '10kB', status=2)
    assert_refused(result, '10.0 kB', '--max-scan')
    assert not queries(group)


def test_the_budget_is_also_that_of_queries_made_later(group: FakeAWS, cli: Cli) -> None:
    group.logs.insights.max_rows = 40
    size = sum(map(len, LINES))
    result = cli('flows', 'top', *INSIGHTS, '--max-scan', f'{size + 1000}', status=2)
    assert_refused(result, '--max-scan', 'was stopped')
    assert len(queries(group)) == 1


@pytest.mark.parametrize('command', ['top', 'print -w action=REJECT', 'aggregate'])
def test_the_budget_is_that_of_all_locations(group: FakeAWS, cli: Cli, command: str) -> None:
    group.add_log_group('more', lines=LINES)
    group.add_flow_log(log_group='more')
    size = sum(map(len, LINES))
    ask = ('flows', 'more', *command.split(), *INSIGHTS, '--max-scan')
    assert_refused(cli(*ask, str(size * 3 // 2), status=2), 'would scan', '--max-scan')
    assert not queries(group)
    result = cli(*ask, str(size * 3))
    expected = cli('flows', 'more', *command.split(), *WINDOW).stdout
    assert sorted(result.stdout.splitlines()) == sorted(expected.splitlines())
    assert result.stderr.count('will scan') == 1


def test_the_budget_of_all_locations_is_also_that_of_queries_made_later(group: FakeAWS, cli: Cli) -> None:
    group.add_log_group('more', lines=[line.replace(b' 10.', b' 9.') for line in LINES])
    group.add_flow_log(log_group='more')
    group.logs.insights.max_rows = 200
    size = sum(map(len, LINES))
    result = cli('flows', 'more', 'top', 'srcaddr', 'dstaddr', *INSIGHTS, '--max-scan', str(size * 5 // 2), status=2)
    assert_refused(result, 'was stopped')


@pytest.mark.parametrize('command', ['top', 'print -w action=REJECT', 'timeline 1m', 'ipset'])
@pytest.mark.parametrize('places', [('flows', 'absent'), ('absent', 'flows')])
def test_if_one_location_fails_there_are_no_rows(group: FakeAWS, cli: Cli, command: str, places: Sequence[str]) -> None:
    result = cli(*places, *command.split(), *INSIGHTS, status=1)
    assert_refused(result, 'absent', 'only if all locations can be read')
    assert not queries(group)


def test_scripts_read_all_locations_or_none(group: FakeAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in group.environ('us-east-1').items():
        monkeypatch.setenv(name, value)
    group.add_log_group('more', lines=LINES)
    group.add_flow_log(log_group='more')
    query = Query('top', keys=parse_keys(['srcaddr'], ()), window=Window(1454324340_000, 1454324640_000))
    places = ['flows', 'more']
    assert [*run(query, places, 'insights')] == [*run(query, places)]
    with pytest.raises(ClientError, match='ResourceNotFound'):
        list(run(query, ['flows', 'absent'], 'insights'))
    with pytest.raises(UsageError, match='would scan'):
        list(run(query, places, 'insights', max_scan=sum(map(len, LINES)) + 1))


# -- what the engine should not be used for ----------------------------------------------------------------------------


def test_without_conditions_the_log_group_itself_is_read(group: FakeAWS, cli: Cli) -> None:
    assert_refused(cli('flows', *INSIGHTS, status=2), 'without conditions')
    assert not group.count('StartQuery')


def test_infrequent_access(group: FakeAWS, cli: Cli) -> None:
    expected = cli('flows', *WINDOW).stdout
    group.add_log_group('cold', lines=LINES, log_class='INFREQUENT_ACCESS')
    group.add_flow_log(log_group='cold')
    assert_refused(cli('cold', *WINDOW, status=1), '--engine insights')
    assert sorted(cli('cold', *INSIGHTS).stdout.splitlines()) == sorted(expected.splitlines())
    assert len(cli('cold', 'print', '3', *INSIGHTS).lines) == 3


def test_a_log_of_odd_lines_is_refused(group: FakeAWS, cli: Cli) -> None:
    group.add_log_group('odd', lines=[line + b'\r' for line in LINES])
    group.add_flow_log(log_group='odd')
    assert_refused(cli('odd', 'top', *INSIGHTS, status=2), '400 of the first 400 lines')
    assert not group.count('StartQuery')


def test_sums_that_are_not_exact_are_refused(group: FakeAWS, cli: Cli) -> None:
    huge = [b'2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 999999999999999 999999999999999 1454324362 1454324363 ACCEPT OK'] * 20
    group.add_log_group('huge', lines=huge)
    group.add_flow_log(log_group='huge')
    assert_refused(cli('huge', 'top', *INSIGHTS, status=1), 'not exact')


def test_a_query_that_is_too_long_is_refused(group: FakeAWS, cli: Cli) -> None:
    many = ','.join(f'10.{at % 256}.{at // 256}.0/24' for at in range(400))
    assert_refused(cli('flows', 'top', *INSIGHTS, '-w', f'srcaddr={many}', status=2), 'characters')
    assert not group.count('StartQuery')


def test_a_field_that_the_log_does_not_have(group: FakeAWS, cli: Cli) -> None:
    assert_refused(cli('flows', 'top', 'tcp_flags', *INSIGHTS, status=1), 'no field tcp_flags')
    assert not group.count('StartQuery')


# -- what is asked of AWS ----------------------------------------------------------------------------------------------


def test_bounds_are_whole_seconds_both_included(group: FakeAWS, cli: Cli) -> None:
    cli('flows', 'top', '-s', '2016-02-01T10:59:30.500Z', '-e', '2016-02-01T11:01:00Z', '--engine', 'insights')
    (params,) = queries(group)
    assert (params['startTime'], params['endTime']) == (1454324370, 1454324459)
    assert params['limit'] == 100_000 and params['logGroupName'] == 'flows'


def test_a_log_group_of_another_account_is_asked_by_its_arn(group: FakeAWS, cli: Cli) -> None:
    arn = 'arn:aws:logs:us-east-1:210987654321:log-group:theirs'
    group.add_log_group('theirs', lines=LINES, account='210987654321')
    result = cli(f'{arn}:*', 'top', *INSIGHTS)
    assert result.stdout == cli('flows', 'top', *WINDOW).stdout
    assert [params['logGroupIdentifiers'] for params in queries(group)] == [[arn]]


def test_show_query_starts_nothing(group: FakeAWS, cli: Cli) -> None:
    result = cli('flows', 'top', 'dstport', '-w', 'action=REJECT', *INSIGHTS, '--show-query')
    before, _, parameters = result.lines[0].partition('# StartQuery ')
    times = {'startTime': 1454324340, 'endTime': 1454324639}
    assert not before and json.loads(parameters) == {'logGroupName': 'flows', **times, 'limit': 100_000}
    assert '| limit 100000' in result.lines
    assert not {'StartQuery', 'FilterLogEvents'} & {call.operation for call in group.calls()}


def test_estimates_read_nothing(group: FakeAWS, cli: Cli) -> None:
    size = sum(map(len, LINES))
    assert cli('flows', 'top', *INSIGHTS, '--estimate', '-o', 'jsonl').stdout.startswith(
        b'{"engine": "insights", "bytes": %d, "requests": 1' % size
    )
    assert not queries(group)
    assert f'local\t{size}\t1\t' in cli('flows', 'top', *WINDOW, '--estimate').stdout.decode()


def direct(cli: Cli, group: str, start: str, length: str) -> int:
    """The bytes that --estimate says of a direct read."""
    told = json.loads(cli(group, '--estimate', '-s', start, '--for', length, '-o', 'jsonl').stdout)
    assert told['dollars'] == 0
    assert told['requests'] >= told['bytes'] / 2**20
    return int(told['bytes'])


BURST = [*traffic.lines(40_000)]
LENGTHS = ('5m', '1h', '6h', '1d', '30d')


@pytest.mark.parametrize('scan_limit', [None, 700])
@pytest.mark.parametrize('start', ['2016-02-01 10:59:00', '2016-02-01 10:57:00'])
def test_a_direct_read_is_estimated_where_its_events_are(
    fake: FakeAWS, cli: Cli, start: str, scan_limit: int | None
) -> None:
    fake.add_log_group('burst', lines=BURST)
    size = sum(map(len, BURST))
    fake.logs.scan_limit = scan_limit
    found = [direct(cli, 'burst', start, length) for length in LENGTHS]
    assert all(0.9 * size <= each <= size for each in found), found
    assert fake.count('FilterLogEvents') <= len(LENGTHS) * 90


def test_what_is_stored_limits_an_estimate_and_answers_if_samples_say_nothing(fake: FakeAWS, cli: Cli) -> None:
    lines = BURST[:30_000]
    fake.add_log_group('moment', lines=lines, timestamp=lambda _: 1454324362000)
    assert direct(cli, 'moment', '2016-02-01', '1d') == sum(map(len, lines))
    fake.deny('DescribeLogGroups')
    told = json.loads(cli('moment', '--estimate', '-s', '2016-02-01', '--for', '1d', '-o', 'jsonl').stdout)
    assert told['bytes'] is None


@pytest.mark.parametrize('name', ['estimatedBytes', 'bytes scanned', 'x'])
def test_the_name_of_the_estimate_does_not_matter(group: FakeAWS, cli: Cli, name: str) -> None:
    group.logs.insights.estimate_name = name
    assert f'about {sum(map(len, LINES)) / 1000:.1f} kB' in cli('flows', 'top', *INSIGHTS).stderr


# -- what ends the process ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)]
)
@pytest.mark.parametrize('moment', ['running', 'starting'])
def test_a_signal_stops_the_queries(group: FakeAWS, number: signal.Signals, status: int, moment: str) -> None:
    group.logs.insights.polls = 10**6
    if moment == 'starting':
        # The signal arrives before the answer with the id of the query.
        group.latency_ms = 300
    with started() as process:
        wait_until(lambda: bool(group.count('StartQuery') > 1 if moment == 'starting' else group.logs.insights.running))
        process.send_signal(number)
        stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (status, b'')
    assert group.count('StopQuery') == 1


def test_a_reader_that_goes_away_stops_the_queries(group: FakeAWS) -> None:
    group.logs.insights.polls = 10**6
    with started() as process:
        wait_until(lambda: bool(group.logs.insights.running))
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def started() -> subprocess.Popen[bytes]:
    command = [sys.executable, '-m', 'flowlogs_reader', 'flows', 'top', *INSIGHTS]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('window', [(1500, 9250), (0, 1000), (999, 1001), (0, 10_000), (1200, 1300)])
@pytest.mark.parametrize('count', [2, 4])
def test_parts_of_a_window_are_the_whole_and_share_no_second(window: tuple[int, int], count: int) -> None:
    parts = split(Window(*window), count)
    assert parts[0].start_ms == window[0] and parts[-1].end_ms == window[1]
    for one, other in zip(parts, parts[1:]):
        assert one.end_ms == other.start_ms and one.end_ms % 1000 == 0
    assert all(part.start_ms < part.end_ms for part in parts)


def test_a_bucket_is_estimated_from_its_listing(fake: FakeAWS, cli: Cli) -> None:
    objects = s3_objects(LINES, max_lines=50)
    fake.add_bucket('flows', objects=objects)
    (row,) = cli('s3://flows', 'top', *WINDOW, '--estimate', '--no-header').lines
    size = sum(map(len, objects.values()))
    assert row.split('\t')[:4] == ['local', f'{size}', f'{len(objects)}', f'{len(objects)}']
    assert not fake.count('GetObject')
    assert 'file' in cli('tests/data/seed-minute.log', '--estimate', status=2).stderr
