"""top --compare: what changed since the same window some time earlier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests import sample_vpc as vpc
from tests import traffic
from tests.conftest import MINUTE, NOW, SEED_REGION, Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log

LINES = list(traffic.lines(4_000, per_second=5))  # 800 seconds from 1454324362 on
FLOWS = [line.decode().split() for line in LINES if line.endswith(b' OK')]
PLACE = {name.replace('-', '_'): at for at, name in enumerate(traffic.FIELDS)}
MEASURES = ['bytes', 'packets', 'flows']


def changes(
    keys: Sequence[str], measure: str, now: tuple[int, int], shift: int, flows: Iterable[list[str]] = FLOWS
) -> list[list[str]]:
    """Return now, before and change of each key, the largest change first."""
    found: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for flow in flows:
        number = 1 if measure == 'flows' else int(flow[PLACE[measure]])
        for at, (start, end) in enumerate([now, (now[0] - shift, now[1] - shift)]):
            if start <= int(flow[PLACE['start']]) < end:
                found[tuple(flow[PLACE[key]] for key in keys)][at] += number
    rows = [[*pair, pair[0] - pair[1], *key] for key, pair in found.items()]
    rows.sort(key=lambda row: (-abs(int(row[2])), row[3:]))
    return [[*map(str, row)] for row in rows]


def rows(lines: Iterable[str]) -> list[list[str]]:
    return [line.split('\t') for line in lines]


@pytest.mark.parametrize(
    'road', ['cloudwatch', 's3 hourly', 's3 parquet', 'file gzip', 'stdin plain', 'file parquet', 'directory']
)
def test_what_changed(road: str, fake: FakeAWS, tmp_path: Path, cli: Cli) -> None:
    read = ROADS[road].lay(Log(LINES, region=SEED_REGION), fake, tmp_path).over(cli)
    for keys, measure, now, shift in (
        (['srcaddr', 'dstaddr'], 'bytes', (1454324900, 1454325100), 300),  # with a gap between the windows
        (['dstport'], 'packets', (1454324900, 1454325100), 200),  # without one
        (['srcaddr', 'action'], 'flows', (1454325000, 1454325001), 601),
    ):
        argv = ['-s', str(now[0]), '-e', str(now[1]), '--compare', f'{shift}s', '--by', measure]
        header, *found = rows(read('top', '20', *keys, *argv).lines)
        assert header == ['now', 'before', 'change', *keys]
        assert found == changes(keys, measure, now, shift)[:20]
        assert {row[0] == '0' for row in found} == {row[1] == '0' for row in found} == {True, False}


def test_aws_is_asked_for_both_windows_and_nothing_between(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('group', SEED_REGION, LINES)
    fake.add_flow_log(log_group='group', region=SEED_REGION)
    argv = ['-s', '1454325000', '--for', '10s', '--compare', '5m', '--region', SEED_REGION]
    assert cli('group', 'top', *argv).stdout
    windows = {(call.params['startTime'], call.params['endTime']) for call in fake.calls('FilterLogEvents')}
    assert windows == {(1454324700000, 1454324709999), (1454325000000, 1454325009999)}


def test_a_window_that_is_not_whole_seconds(cli: Cli) -> None:
    log = b''.join(
        b'2 1 eni-1 10.0.0.%d 10.0.0.2 1 2 6 1 10 %d %d ACCEPT OK\n' % (at, start, start + 1)
        for at, start in enumerate([1454325000, 1454325001, 1454325002, 1454325003, 1454325004, 1454325005, 1454325006])
    )
    argv = ['-s', '2016-02-01T11:10:04.500Z', '-e', '2016-02-01T11:10:06.500Z', '--compare', '4s', '--no-header']
    assert rows(cli('-', 'top', 'srcaddr', *argv, stdin=log).lines) == [
        ['0', '10', '-10', '10.0.0.1'], ['0', '10', '-10', '10.0.0.2'],
        ['10', '0', '10', '10.0.0.5'], ['10', '0', '10', '10.0.0.6'],
    ]  # fmt: skip


def test_it_goes_with_conditions_networks_both_ends_and_once(cli: Cli) -> None:
    records = vpc.records(200)
    log = b''.join(line + b'\n' for line in [' '.join(vpc.V5).encode(), *(one.line(vpc.V5) for one in records)])
    now, shift = (vpc.START + 500, vpc.START + 800), 400
    argv = ['-s', str(now[0]), '-e', str(now[1]), '--compare', '400s', '--no-header']
    counted = [[one.values[name] for name in traffic.FIELDS] for one in records if one.counts]
    assert rows(cli('-', 'top', '99', 'srcaddr,dstaddr', '--once', *argv, stdin=log).lines) == changes(
        ['srcaddr', 'dstaddr'], 'bytes', now, shift, counted
    )
    everything = [[one.values[name] for name in traffic.FIELDS] for one in records]
    tcp = [flow for flow in everything if flow[PLACE['dstport']] == '443']
    assert rows(cli('-', 'top', '99', 'dstaddr', '-w', 'dstport=443', *argv, stdin=log).lines) == changes(
        ['dstaddr'], 'bytes', now, shift, tcp
    )
    hosts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for key in ('srcaddr', 'dstaddr'):
        for one, other, _, host in changes([key], 'bytes', now, shift, everything):
            hosts[host] = [hosts[host][0] + int(one), hosts[host][1] + int(other)]
    found = rows(cli('-', 'top', '99', 'addr', *argv, stdin=log).lines)
    assert {row[3]: [int(row[0]), int(row[1])] for row in found} == hosts
    classes = rows(cli('-', 'top', 'dstaddr/class', *argv, '-o', 'csv', stdin=log).lines)
    assert {row[0].split(',')[3] for row in classes} == {'internet', 'private'}


def test_a_window_that_aws_has_not_delivered_is_reported(cli: Cli) -> None:
    argv = ['top', 'dstport', '-s', '2016-02-01T10:59Z', '--for', '1m', '--compare', '1d']
    assert cli('-', *argv, stdin=MINUTE, now=NOW).stderr == ''
    result = cli('-', *argv, stdin=MINUTE, now=datetime(2016, 2, 1, 11, 14, 30, tzinfo=timezone.utc))
    assert result.stderr == (
        'flowlogs_reader: AWS may still deliver flows of 2016-02-01T10:59:30Z and later: '
        'the numbers of now may be too low\n'
    )


def test_nothing_in_either_window_is_reported(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('group', SEED_REGION, LINES)
    argv = ['-s', '2016-03-01', '--for', '1m', '--compare', '1d', '--region', SEED_REGION]
    result = cli('group', 'top', *argv)
    assert result.stdout == b''
    assert (
        'no records: each of group in ap-northeast-1 from 2016-02-29T00:00:00Z to 2016-02-29T00:01:00Z, group in'
        in (result.stderr)
    )


def test_a_read_that_fails_is_reported_and_the_other_counts(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('group', SEED_REGION, LINES)
    fake.add_flow_log(log_group='group', region=SEED_REGION)
    fake.fault('FilterLogEvents', 'deny', times=1)
    argv = ['-s', '1454325000', '--for', '10s', '--compare', '5m', '--region', SEED_REGION, '--no-header']
    result = cli('group', 'top', 'action', *argv, status=1)
    assert {row[1] for row in rows(result.lines)} == {'0'}
    assert 'AccessDenied' in result.stderr


def test_a_location_that_is_not_there_is_reported_once(fake: FakeAWS, cli: Cli) -> None:
    argv = ['-s', '1454325000', '--for', '10s', '--compare', '5m', '--region', SEED_REGION]
    result = cli('group', 'top', *argv, status=1)
    assert (result.stdout, len(result.stderr.splitlines())) == (b'', 1)
    assert 'there is no log group group in ap-northeast-1' in result.stderr
    arn = 'arn:aws:logs:eu-west-1:123456789012:log-group:flows'
    other = cli(arn, 'top', *argv, status=2).stderr
    assert 'the log group is in eu-west-1, as its ARN says: leave --region ap-northeast-1 out' in other


def test_a_log_without_starts_is_an_error(cli: Cli) -> None:
    argv = ['top', 'srcaddr', '-s', '1454325000', '--for', '10s', '--compare', '5m']
    result = cli('-', *argv, stdin=b'srcaddr bytes end\n10.0.0.1 5 1454325001\n', status=1)
    assert (result.stdout, result.stderr) == (
        b'', 'flowlogs_reader: this log has no field start: its fields are srcaddr bytes end\n'
    )  # fmt: skip


DAY = ['-s', '2016-02-01', '--for', '1d']


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        ([*DAY, '--compare', 'ever'], "cannot read the length 'ever'"),
        ([*DAY, '--compare', '0s'], 'it must be more than zero'),
        ([*DAY, '--compare', '23h'], '--compare 23h is shorter than the window: the two would overlap'),
        ([*DAY, '--compare', '1y'], "cannot read the length '1y'"),
        ([*DAY, '--compare', '52w'], '--compare 52w leads to 2015-02-02T00:00:00Z: there were no flow logs then'),
        ([*DAY, '--compare', '9999w'], '--compare 9999w leads to a time before 1970: there were no flow logs then'),
        ([*DAY, '--compare', '999999w'], '--compare 999999w leads to a time before 1970'),
        ([*DAY, '--compare', '1d', '--distinct', 'dstport'], '--compare does not go with --distinct'),
        ([*DAY, '--compare', '1d', '--share'], '--compare does not go with --share'),
        ([*DAY, '--compare', '1d', '--human'], '--compare does not go with --human'),
        ([*DAY, '--compare', '1d', '--by', 'dstport'], '--by dstport sorts by its distinct values'),
        ([*DAY, '--compare', '1d', '--by', 'byts'], '--by of top is bytes, packets or flows'),
        ([*DAY, '--compare', '1d', '--fields', 'srcaddr dstaddr end'], '--fields has no start'),
        (['--compare', '1d', '--follow'], '--follow does not go with top'),
    ],
)
def test_arguments_that_do_not_fit(argv: list[str], says: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli('group', 'top', *argv, status=2)
    assert says in result.stderr.splitlines()[-1]
    assert (result.stdout, fake.calls()) == (b'', [])


@pytest.mark.parametrize('action', ['print', 'aggregate', 'timeline', 'ipset'])
def test_only_top_compares(action: str, cli: Cli) -> None:
    assert f'--compare does not go with {action}: it is for top' in cli('-', action, '--compare', '1d', status=2).stderr


def test_a_file_without_a_window_cannot_be_compared(cli: Cli) -> None:
    assert (
        '--compare needs a window of time: give -s, -e or --for' in cli('-', 'top', '--compare', '1d', status=2).stderr
    )
