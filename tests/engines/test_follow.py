"""`--follow`: every record that arrives is written once, and soon, until Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from io import BytesIO, StringIO

import pytest

from flowlogs_reader import S3FlowLogsReader
from flowlogs_reader.cli.main import main
from flowlogs_reader.engines.follow import OVERLAP_MS, follow
from flowlogs_reader.sources.cloudwatch.reader import FlowLogsReader
from tests import traffic
from tests.conftest import NOW, ROOT, Cli, Follow
from tests.fake.aws import FakeAWS, s3_objects
from tests.following import NOW_S, Steps, line, text

GROUP = 'flows'
MINUTE = 60


@pytest.fixture
def group(fake: FakeAWS) -> FakeAWS:
    """A log group with one record, of half an hour ago."""
    fake.add_log_group(GROUP, lines=[line(-1800)])
    return fake


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore tries once, so that one fault is one error."""
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')


# -- CloudWatch Logs ---------------------------------------------------------------------------------------------------


def test_what_arrives_comes_out_once_in_the_order_of_its_arrival(group: FakeAWS, following: Follow) -> None:
    late, later = line(-1500, 1), line(-1750, 2)
    clock = Steps(
        lambda: group.put_lines(GROUP, [line(5), late]),
        lambda: None,
        lambda: group.put_lines(GROUP, [later, line(20)]),
    )
    result = following(clock, GROUP)
    # The record that starts at 20 s is read in the round at 30 s.
    assert result.stdout == text(line(-1800), late, line(5), later, line(20))
    assert result.stderr == ''
    assert clock.slept == [10, 10, 10, 10]


def test_records_that_are_equal_to_the_last_byte_are_each_one(group: FakeAWS, following: Follow) -> None:
    twice = line(-60)
    clock = Steps(lambda: group.put_lines(GROUP, [twice, twice]), lambda: group.put_lines(GROUP, [twice]))
    assert following(clock, GROUP).stdout == text(line(-1800), twice, twice, twice)


@pytest.mark.usefixtures('impatient')
@pytest.mark.parametrize('seed', range(6))
def test_every_record_comes_out_once_whatever_the_order_of_arrival(seed: int, fake: FakeAWS) -> None:
    """Random records, up to 29 minutes late, and random trouble: nothing is lost and nothing comes twice."""
    rng = random.Random(seed)
    fake.add_log_group(GROUP)
    fake.logs.page_events = 7
    arrived: Counter[bytes] = Counter()
    out: Counter[bytes] = Counter()
    clock = Steps()

    def arrive() -> None:
        lines = [line(int(clock._now.timestamp()) - NOW_S - rng.randrange(1740), rng.randrange(9)) for _ in range(20)]
        arrived.update(lines)
        fake.put_lines(GROUP, lines)
        if rng.random() < 0.4:
            fake.fault('FilterLogEvents', '503', at=rng.randrange(1, 5))
        clock.skip(seconds=rng.choice([0, 1, 100]))()

    arrive()
    fake.clear_faults()
    clock._steps = [arrive] * 25 + [fake.clear_faults]
    start = NOW - timedelta(hours=1)
    reader = FlowLogsReader(GROUP, start_time=start, end_time=NOW, thread_count=seed % 3)

    def read() -> None:
        for block in reader.blocks():
            out.update(block.data.splitlines())

    told: list[Exception] = []
    with pytest.raises(KeyboardInterrupt):
        follow(reader, read, clock, told.append)
    assert out == arrived
    assert told


def test_a_long_time_is_caught_up_with_once(group: FakeAWS, following: Follow) -> None:
    old = [line(-number * 3600, number) for number in range(40, 0, -1)]
    group.put_lines(GROUP, old)
    clock = Steps(lambda: None, lambda: None)
    assert following(clock, GROUP, '-s', '2d').stdout == text(*old, line(-1800))
    starts = [(call.params['startTime'] // 1000 - NOW_S) for call in group.calls('FilterLogEvents')]
    assert starts == [-48 * 3600, -30 * MINUTE, -30 * MINUTE + 10]


def test_what_is_remembered_does_not_grow(fake: FakeAWS) -> None:
    fake.add_log_group(GROUP)
    clock = Steps()
    remembered: list[int] = []

    def hour() -> None:
        clock.skip(minutes=10)()
        minute = int(clock._now.timestamp()) - NOW_S
        fake.put_lines(GROUP, [line(minute - number - 1, number) for number in range(50)])
        assert reader._follow_ids is not None
        remembered.append(len(reader._follow_ids))

    clock._steps = [hour] * 60
    reader = FlowLogsReader(GROUP, start_time=NOW - timedelta(hours=1), end_time=NOW)
    read: list[bytes] = []
    with pytest.raises(KeyboardInterrupt):
        follow(reader, lambda: read.extend(block.data for block in reader.blocks()), clock, lambda error: None)
    assert b''.join(read).count(b'\n') == 60 * 50
    overlaps = 2 * OVERLAP_MS / 600_000 + 1
    assert max(remembered) <= (overlaps + 1) * 50


def test_after_a_long_pause_nothing_is_missing(group: FakeAWS, following: Follow) -> None:
    """After a long pause, such as the sleep of a laptop, all new records are read, also those that were late."""
    late = line(-1200, 1)
    meanwhile = line(3600, 2)

    def sleep() -> None:
        clock.skip(hours=8)()
        group.put_lines(GROUP, [late, meanwhile])

    clock = Steps(sleep, lambda: None)
    assert following(clock, GROUP).stdout == text(line(-1800), late, meanwhile)


def test_many_records_in_half_an_hour_are_all_remembered(fake: FakeAWS, following: Follow) -> None:
    busy = [line(-1500 + number // 60, number) for number in range(50_000)]
    fake.add_log_group(GROUP, lines=busy)
    pause = [lambda: None] * 4
    clock = Steps(*pause, lambda: clock.skip(minutes=15)(), *pause)
    assert following(clock, GROUP).stdout == text(*busy)


@pytest.mark.usefixtures('impatient')
def test_trouble_after_a_long_pause_repeats_nothing(group: FakeAWS, following: Follow) -> None:
    """Six pages of new records are written, which are too old to be remembered; then the seventh page fails."""
    meanwhile = [line(number // 4, number) for number in range(75_000)]

    def sleep() -> None:
        clock.skip(hours=8)()
        group.put_lines(GROUP, meanwhile)
        group.fault('FilterLogEvents', '503', at=7)

    clock = Steps(sleep, lambda: None)
    assert following(clock, GROUP, '--thread-count', '1').stdout == text(line(-1800), *meanwhile)


def test_a_start_in_the_present_waits_for_what_is_new(group: FakeAWS, following: Follow) -> None:
    clock = Steps(lambda: group.put_lines(GROUP, [line(-5, 1), line(5, 2)]))
    assert following(clock, GROUP, '-s', 'now').stdout == text(line(5, 2))


def test_a_clock_that_is_put_back_does_no_harm(group: FakeAWS, following: Follow) -> None:
    def back() -> None:
        clock.skip(hours=-3)()

    def forward() -> None:
        clock.skip(hours=3)()

    clock = Steps(back, lambda: group.put_lines(GROUP, [line(-60)]), forward)
    assert following(clock, GROUP).stdout == text(line(-1800), line(-60))


def test_each_block_is_out_before_the_next_round(group: FakeAWS) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    seen: list[bytes] = []
    clock = Steps(
        lambda: (seen.append(os.read(reading, 1000)), group.put_lines(GROUP, [line(5)])),
        lambda: seen.append(os.read(reading, 1000)),
    )
    with open(writing, 'wb') as stdout:
        assert main([GROUP, '--follow'], BytesIO(), stdout, StringIO(), clock=clock) == 130
    os.close(reading)
    assert seen == [text(line(-1800)), text(line(5))]


# -- S3 ----------------------------------------------------------------------------------------------------------------

BUCKET = 's3://bucket/net'


@pytest.fixture
def bucket(fake: FakeAWS) -> FakeAWS:
    """A bucket with one object, of half an hour ago."""
    fake.add_bucket('bucket')
    deliver(fake, line(-1800))
    return fake


def deliver(fake: FakeAWS, *lines: bytes, **options: str) -> None:
    for key, body in s3_objects(lines, prefix='net', **options).items():
        fake.put_object('bucket', key, body)


def read_keys(fake: FakeAWS) -> list[str]:
    return [call.params['Key'] for call in fake.calls('GetObject')]


@pytest.mark.parametrize('layout', ['default', 'hourly', 'hive', 'hive-hourly'])
def test_new_objects_are_read_once(layout: str, fake: FakeAWS, following: Follow) -> None:
    fake.add_bucket('bucket')
    deliver(fake, line(-1800), layout=layout)
    # Much later than CloudWatch Logs would take it: a record may lie in any object that is new.
    late, odd = line(-1795, 1), line(-3000, 2)
    clock = Steps(
        lambda: deliver(fake, line(-600), late, odd, layout=layout),
        lambda: None,
        lambda: deliver(fake, line(-600, 3), line(5), layout=layout),
    )
    result = following(clock, BUCKET)
    assert result.stdout == text(line(-1800), late, line(-600), line(-600, 3), line(5))
    assert result.stderr == ''
    assert clock.slept == [60, 60, 60, 60]
    assert len(read_keys(fake)) == len(set(read_keys(fake))) == 5


def test_objects_in_parquet(bucket: FakeAWS, following: Follow) -> None:
    clock = Steps(lambda: deliver(bucket, line(-600, 1), line(-600, 2), format='parquet'), lambda: None)
    assert following(clock, BUCKET, '-w', 'srcport>=1').stdout == text(line(-600, 1), line(-600, 2))


def test_an_object_that_cannot_be_read_is_reported_once(bucket: FakeAWS, following: Follow) -> None:
    objects = s3_objects([line(-600, number) for number in range(2000)], prefix='net')
    [(key, body)] = objects.items()
    clock = Steps(
        lambda: bucket.put_object('bucket', key, body[: len(body) // 2]),
        lambda: deliver(bucket, line(-300)),
        lambda: None,
    )
    result = following(clock, BUCKET)
    assert result.stdout.splitlines()[-1] == line(-300)
    assert 500 < len(result.lines) < 2000
    assert len(result.stderr.splitlines()) == 1
    assert f'{key}: the gzip data ends too early' in result.stderr


def test_a_bucket_without_flow_logs_is_reported_once(fake: FakeAWS, following: Follow) -> None:
    fake.add_bucket('bucket')
    clock = Steps(lambda: None, lambda: deliver(fake, line(30)), lambda: None)
    result = following(clock, BUCKET)
    assert result.stdout == text(line(30))
    assert len(result.stderr.splitlines()) == 1
    assert 'no flow logs' in result.stderr


@pytest.mark.usefixtures('impatient')
@pytest.mark.parametrize('operation', ['ListObjectsV2', 'GetObject'])
@pytest.mark.parametrize('threads', ['1', '4'])
def test_a_transient_error_of_s3_loses_nothing(
    operation: str, threads: str, bucket: FakeAWS, following: Follow
) -> None:
    arrived = [line(-minute * 60, minute) for minute in range(29, 0, -1)]

    def trouble() -> None:
        deliver(bucket, *arrived)
        bucket.fault(operation, '503', at=2)

    result = following(Steps(trouble, lambda: None), BUCKET, '--thread-count', threads)
    assert result.stdout == text(line(-1800), *arrived)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.endswith('; --follow goes on\n')


@pytest.mark.usefixtures('impatient')
def test_an_outage_in_the_middle_of_an_object_repeats_nothing(bucket: FakeAWS, following: Follow) -> None:
    """The connection breaks in the middle of the object, and cannot be set up again until the next round."""
    arrived = [line(-600, number, f'10.0.{number % 251}.{number % 241}') for number in range(20_000)]

    def trouble() -> None:
        deliver(bucket, *arrived)
        bucket.fault('GetObject', 'cut', at=1)
        bucket.fault('GetObject', '503', at=2)

    result = following(Steps(trouble, lambda: None), BUCKET, '--thread-count', '1')
    assert result.stdout == text(line(-1800), *arrived)
    assert 'ServiceUnavailable' in result.stderr


def test_the_keys_that_are_remembered_do_not_grow(bucket: FakeAWS) -> None:
    clock = Steps()

    def hour() -> None:
        clock.skip(minutes=30)()
        deliver(bucket, line(int(clock._now.timestamp()) - NOW_S - 300))

    clock._steps = [hour] * 20
    start = NOW - timedelta(hours=1)
    reader = S3FlowLogsReader('bucket/net', start_time=start, end_time=NOW, exact_window=True)
    read: list[bytes] = []
    remembered: list[int] = []

    def once() -> None:
        read.extend(block.data for block in reader.blocks())
        assert reader._seen
        remembered.append(len(reader._seen))

    with pytest.raises(KeyboardInterrupt):
        follow(reader, once, clock, lambda error: None)
    assert len(read) == 21
    assert max(remembered) <= 4


# -- with the other options --------------------------------------------------------------------------------------------


def test_conditions_columns_and_forms_of_output(group: FakeAWS, following: Follow) -> None:
    clock = Steps(
        lambda: group.put_lines(GROUP, [line(1, 22), line(2, 80)]), lambda: group.put_lines(GROUP, [line(11, 22)])
    )
    argv = ['-w', 'srcport=22', '-c', 'start,srcport', '-o', 'csv', '--header', '--times', 'iso']
    lines = following(clock, GROUP, *argv).stdout.decode().splitlines()
    assert lines == ['start,srcport', '2016-02-01T15:00:01Z,22', '2016-02-01T15:00:11Z,22']


def test_findip_asks_only_for_the_address(group: FakeAWS, following: Follow) -> None:
    wanted = line(1, 7, '10.0.3.7')
    clock = Steps(lambda: group.put_lines(GROUP, [wanted, line(1, 8, '10.0.3.71')]), lambda: None)
    assert following(clock, GROUP, 'findip', '10.0.3.7').stdout == text(wanted)
    assert {call.params['filterPattern'] for call in group.calls('FilterLogEvents')} == {'"10.0.3.7"'}


def test_raw_lines(group: FakeAWS, following: Follow) -> None:
    odd = line(1).replace(b' ', b'  ')
    clock = Steps(lambda: group.put_lines(GROUP, [odd]))
    assert following(clock, GROUP, '--raw').stdout == text(line(-1800), odd)


def test_the_format_is_asked_for_once(group: FakeAWS, following: Follow) -> None:
    group.add_flow_log(log_group=GROUP)
    following(Steps(lambda: None, lambda: None), GROUP)
    assert (group.count('DescribeFlowLogs'), group.count('FilterLogEvents')) == (1, 3)


def test_lines_that_are_not_records_are_reported_once(group: FakeAWS, following: Follow) -> None:
    clock = Steps(lambda: group.put_lines(GROUP, [b'nonsense', line(1)]), lambda: None, lambda: None)
    result = following(clock, GROUP)
    assert result.stdout == text(line(-1800), line(1))
    assert result.stderr == 'flowlogs_reader: 1 line was left out: not records of this log format\n'


def test_that_there_is_nothing_yet_is_reported_once(fake: FakeAWS, following: Follow) -> None:
    fake.add_log_group(GROUP)
    result = following(Steps(lambda: None, lambda: fake.put_lines(GROUP, [line(15)])), GROUP)
    assert result.stdout == text(line(15))
    assert result.stderr.startswith('flowlogs_reader: waiting for records of flows in us-east-1 from ')
    assert len(result.stderr.splitlines()) == 1
    assert following(Steps(now=NOW + timedelta(days=1)), GROUP, '--quiet').stderr == ''


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures('impatient')
@pytest.mark.parametrize('kind', ['throttle', '500', '503', 'drop', 'repeat_token'])
def test_a_transient_error_is_reported_and_the_reading_goes_on(kind: str, group: FakeAWS, following: Follow) -> None:
    """The second page of the second round fails, after the first page was written but for its last event."""
    group.logs.page_events = 2
    arrived = [line(1), line(2), line(2, 1), line(3), line(3, 1)]

    def trouble() -> None:
        group.put_lines(GROUP, arrived)
        group.fault('FilterLogEvents', kind, at=2)

    result = following(Steps(trouble, lambda: None), GROUP, '--thread-count', '1')
    assert result.stdout == text(line(-1800), *arrived)
    assert result.stderr.endswith('; --follow goes on\n')
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures('impatient')
def test_an_outage_is_reported_once_and_requests_become_rarer(group: FakeAWS, following: Follow) -> None:
    quiet = [lambda: None] * 6
    clock = Steps(
        lambda: group.fault('FilterLogEvents', '503', times=7), *quiet,
        lambda: group.put_lines(GROUP, [line(1)]), lambda: None,
        lambda: group.fault('FilterLogEvents', 'throttle', times=1), lambda: None,
    )  # fmt: skip
    result = following(clock, GROUP)
    assert result.stdout == text(line(-1800), line(1))
    assert clock.slept == [10, 20, 40, 80, 160, 300, 300, 300, 10, 10, 20, 10]
    said = [message.partition(': ')[2] for message in result.stderr.splitlines()]
    assert [message.partition(')')[0].partition('(')[2] for message in said] == [
        'ServiceUnavailableException', 'ThrottlingException',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('kind', 'says'),
    [
        ('vanish', 'The specified log group does not exist'),
        ('deny', 'not allowed'),
        ('expire_credentials', 'the credentials have expired'),
    ],
)
def test_an_error_that_lasts_ends_it(kind: str, says: str, group: FakeAWS, following: Follow) -> None:
    clock = Steps(lambda: group.fault('FilterLogEvents', kind, at=1), lambda: None)
    result = following(clock, GROUP, status=1)
    assert result.stdout == text(line(-1800))
    assert says in result.stderr
    # Half an hour before the round that was complete: what is older has arrived.
    until = '2016-02-01T14:30:00Z'
    assert f'the output is complete up to {until}: go on from there with -s {until}' in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert len(clock.slept) == 1


@pytest.mark.usefixtures('impatient')
def test_before_anything_has_worked_every_error_ends_it(group: FakeAWS, following: Follow) -> None:
    group.fault('FilterLogEvents', '503')
    assert 'ServiceUnavailable' in following(Steps(), GROUP, status=1).stderr


def test_a_log_group_that_is_not_there_ends_it(fake: FakeAWS, following: Follow) -> None:
    result = following(Steps(), GROUP, status=1)
    assert result.stderr.startswith(f'flowlogs_reader: there is no log group {GROUP} in us-east-1')


def test_long_rounds_are_followed_by_long_pauses(group: FakeAWS, following: Follow) -> None:
    clock = Steps(lambda: None, working=5)
    following(clock, GROUP)
    assert clock.slept == [15, 15]


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        ([GROUP, '-e', 'now'], '-e does not go with --follow'),
        ([GROUP, '-s', '2h', '--for', '1h'], '--for does not go with --follow'),
        ([GROUP, 'print', '10'], 'print N does not go with --follow'),
        ([GROUP, 'top'], '--follow does not go with top: it is for print, findip'),
        ([GROUP, 'ipset'], '--follow does not go with ipset'),
        ([GROUP, 'aggregate'], '--follow does not go with aggregate'),
        ([GROUP, 'timeline'], '--follow does not go with timeline'),
        (['-'], '--follow does not go with a file'),
        ([str(ROOT / 'tests' / 'data' / 'seed-hour.log')], '--follow does not go with a file'),
        (['--list'], '--follow does not go with --list'),
        ([GROUP, '-s', '2016-02-01 15:00:01'], 'is not before the end'),
    ],
)
def test_a_usage_error_is_reported_before_any_request(argv: Sequence[str], says: str, group: FakeAWS, cli: Cli) -> None:
    result = cli(*argv, '--follow', status=2)
    assert says in result.stderr.splitlines()[-1]
    assert group.calls() == []


def test_help_says_that_records_come_late(cli: Cli) -> None:
    assert 'minutes late' in ' '.join(cli('--help', 'options').stdout.decode().partition('--follow')[2].split())


# -- as a process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def process(fake: FakeAWS) -> Iterator[subprocess.Popen[bytes]]:
    """The command line in a process of its own, following a log group with two records of this moment."""
    now = int(datetime.now(timezone.utc).timestamp())
    fake.add_log_group(GROUP, lines=traffic.lines(2, start=now - 60))
    argv = [sys.executable, '-m', 'flowlogs_reader', GROUP, '--follow']
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_ctrl_c_ends_it_without_a_word(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout and process.stderr
    printed = [process.stdout.readline(), process.stdout.readline()]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert [len(record.split()) for record in printed] == [14, 14]
    assert (process.stdout.read(), process.stderr.read()) == (b'', b'')


def test_a_reader_that_goes_away_ends_it_though_nothing_arrives(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b''
