"""The S3 source: layouts, requests, order, windows and trouble."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from flowlogs_reader import FlowLogsError, NothingThereError, S3FlowLogsReader
from flowlogs_reader.errors import IncompleteError
from flowlogs_reader.sources.s3.reader import parse_location
from tests import traffic
from tests.conftest import Cli
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects

LAYOUTS = ['default', 'hourly', 'hive', 'hive-hourly']
START = datetime(2016, 2, 1, 10)
END = datetime(2016, 2, 1, 11)
WINDOW = ('-s', '2016-02-01 10:00', '-e', '2016-02-01 11:00')
ACCOUNT, OTHER_ACCOUNT = '111111111111', '222222222222'


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(f'2016-02-{text}').replace(tzinfo=timezone.utc).timestamp())


def record(start: str, end: str | None = None, interface: str = 'eni-1') -> bytes:
    """A record with these times, such as '01 10:00:30'."""
    begin = seconds(start)
    until = begin + 59 if end is None else seconds(end)
    return b'2 123456789010 %b 10.0.0.1 10.0.0.2 1 2 6 1 40 %d %d ACCEPT OK' % (interface.encode(), begin, until)


def names(lines: Iterable[bytes]) -> list[str]:
    return [line.split()[2].decode() for line in lines]


def read(location: str = 'logs', start: datetime = START, end: datetime = END, **options: Any) -> list[bytes]:
    reader = S3FlowLogsReader(location, start_time=start, end_time=end, **options)
    return [line for block in reader.blocks() for line in block.data.splitlines()]


def listed(fake: FakeAWS) -> list[tuple[str, ...]]:
    """What was listed: prefix, delimiter, where to start."""
    calls = [call.params for call in fake.calls('ListObjectsV2')]
    return [tuple(call[name] for name in ('Prefix', 'Delimiter', 'StartAfter') if name in call) for call in calls]


def got(fake: FakeAWS) -> list[str]:
    return [call.params['Key'] for call in fake.calls('GetObject')]


def times_of(keys: Iterable[str]) -> list[str]:
    return [key.rpartition('Z_')[0][-4:] for key in keys]


# -- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('prefix', ['', 'a/b'])
def test_layouts_are_found_by_listing(fake: FakeAWS, layout: str, prefix: str) -> None:
    fake.add_bucket('logs', objects=s3_objects([record('01 10:30')], layout, prefix=prefix))
    for location in (
        f'logs/{prefix}',
        f's3://logs/{prefix}',
        f'arn:aws:s3:::logs/{prefix}',
        f'logs/{prefix}/'.replace('//', '/'),
    ):
        assert read(location) == [record('01 10:30')]


def test_several_layouts_in_one_bucket(fake: FakeAWS) -> None:
    objects = {}
    for number, layout in enumerate(LAYOUTS):
        line = record(f'01 10:0{number}:00', interface=f'eni-{number}')
        objects |= s3_objects([line], layout, flow_log_id=f'fl-{number}')
    fake.add_bucket('logs', objects=objects | {'AWSLogs/123456789010/CloudTrail/us-east-1/2016/02/01/x.json.gz': b''})
    keys = [key for key in objects if 'vpcflowlogs' in key]
    assert read() == [gzip.decompress(objects[key]).splitlines()[1] for key in sorted(keys)] and len(keys) == 4


@pytest.mark.parametrize('service', ['aws-service', 'service'])
def test_transit_gateways_spell_the_service_in_their_own_way(fake: FakeAWS, service: str) -> None:
    fields = 'version resource-type account-id tgw-id srcaddr dstaddr bytes start end log-status'.split()
    line = b'6 TransitGateway 123456789010 tgw-1 10.0.0.1 10.0.0.2 40 %d %d OK' % (
        seconds('01 10:00:00'),
        seconds('01 10:00:59'),
    )
    objects = s3_objects([line], 'hive', header=fields)
    fake.add_bucket('logs', objects={key.replace('aws-service', service): body for key, body in objects.items()})
    assert read() == [line]


PLAIN = 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/01/10/'
HIVE = (
    'AWSLogs/aws-account-id=123456789010/aws-service=vpcflowlogs/aws-region=us-east-1/'
    'year=2016/month=02/day=01/hour=10/'
)


@pytest.mark.parametrize('layout, folders', [('hourly', PLAIN), ('hive-hourly', HIVE)])
def test_a_prefix_may_go_deeper(fake: FakeAWS, layout: str, folders: str) -> None:
    lines = [record(f'{day} {hour}:30', interface=f'eni-{day}-{hour}') for day in ('01', '02') for hour in ('10', '11')]
    objects = s3_objects(lines, layout, prefix='x') | s3_objects(lines, layout, prefix='x', region='us-west-2')
    fake.add_bucket('logs', objects=objects)
    parts = folders.split('/')[:-1]
    expected = [2] * 3 + [1] * 5
    for depth, copies in enumerate(expected, 1):
        location = f'logs/x/{"/".join(parts[:depth])}'
        days = ['01', '02'] if depth < len(parts) - 1 else ['01']
        hours = ['10', '11'] if depth < len(parts) else ['10']
        found = names(read(location, start=START, end=START + timedelta(days=2)))
        assert found == [f'eni-{day}-{hour}' for day in days for hour in hours for _ in range(copies)], location


def test_a_key_may_be_named_itself(fake: FakeAWS) -> None:
    fake.add_bucket('logs', objects=s3_objects([record('01 10:00'), record('01 10:10')]))
    (key, _) = sorted(fake.s3.buckets['logs'].objects)
    assert read(f's3://logs/{key}') == [record('01 10:00')]
    assert not listed(fake)


@pytest.mark.parametrize(
    'location', ['', '/x', 's3://', 'arn:aws:s3:::', 'arn:aws:logs:us-east-1:1:log-group:x', 'a b/x']
)
def test_locations_without_a_bucket(cli: Cli, location: str) -> None:
    with pytest.raises(ValueError, match='does not name a bucket: give BUCKET, BUCKET/PREFIX or s3://BUCKET/PREFIX'):
        parse_location(location)
    expected = 'does not name a bucket' if location else 'LOCATION is empty'
    assert expected in cli(location, '--location-type', 's3', status=2).stderr


@pytest.mark.parametrize(
    'location, expected',
    [('b', ('b', '')), ('b/', ('b', '')), ('b//p', ('b', '/p/')), ('b/p', ('b', 'p/')), ('s3://b/p/q/', ('b', 'p/q/')),
     ('arn:aws-us-gov:s3:::b/p', ('b', 'p/'))],
)  # fmt: skip
def test_parse_location(location: str, expected: tuple[str, str]) -> None:
    reader = S3FlowLogsReader(location)
    assert (reader.bucket, reader.prefix) == expected


# -- requests -------------------------------------------------------------------------------------------------------


@pytest.fixture
def month(fake: FakeAWS) -> FakeAWS:
    """3 accounts, 4 Regions, 30 days, an object every 5 minutes of one hour of each day."""
    bucket = fake.add_bucket('logs')
    for account in ('111111111111', '222222222222', '333333333333'):
        for region in ('ap-northeast-1', 'eu-west-1', 'us-east-1', 'us-west-2'):
            for day in range(30):
                base = seconds('01 10:00') + day * 86_400
                lines = [
                    b'2 %b eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 %d %d ACCEPT OK'
                    % (account.encode(), base + 300 * n, base + 300 * n + 60)
                    for n in range(12)
                ]
                for key, body in s3_objects(lines, account=account, region=region).items():
                    fake.put_object(bucket.name, key, body)
    return fake


def test_only_what_can_hold_the_window_is_asked_for(month: FakeAWS, cli: Cli) -> None:
    result = cli('s3://logs', '-s', '2016-02-10 10:10', '-e', '2016-02-10 10:20')
    assert len(result.lines) == 3 * 4 * 2
    # The accounts; the Regions of each; one day of each Region; 10:10 and 10:15, and the capture window to 10:30.
    assert month.count('ListObjectsV2') == 1 + 3 + 3 * 4
    assert month.count('GetObject') == 3 * 4 * 5
    assert month.count() == 76
    assert {prefix.partition('/2016')[2] for prefix, *_ in listed(month)} == {'', '/02/10/'}
    assert set(times_of(got(month))) == {'1010', '1015', '1020', '1025', '1030'}


def test_the_library_takes_whole_objects_by_their_names(month: FakeAWS) -> None:
    assert len(read(start=datetime(2016, 2, 10, 10, 12), end=datetime(2016, 2, 10, 10, 20))) == 3 * 4 * 2
    assert (month.count('ListObjectsV2'), month.count('GetObject')) == (16, 24)


def test_the_first_records_cost_one_object(month: FakeAWS, cli: Cli) -> None:
    assert len(cli('s3://logs', 'print', '1', '-s', '2016-02-01', '-e', '2016-02-20').lines) == 1
    assert month.count('GetObject') == 1
    # Besides the 16: which days there are, for each Region.
    assert month.count('ListObjectsV2') == 16 + 12
    assert not any('2016/02/02' in prefix for prefix, *_ in listed(month))


def test_days_without_keys_are_not_listed(fake: FakeAWS) -> None:
    fake.add_bucket('logs', objects=s3_objects([record('03 10:00'), record('20 10:00')]))
    assert len(read(end=datetime(2016, 3, 31))) == 2
    root = 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/'
    assert listed(fake)[2:] == [(f'{root}02/', '/'), (f'{root}02/03/',), (f'{root}02/20/',), (f'{root}03/', '/')]


def test_accounts_and_regions_asked_for(month: FakeAWS, cli: Cli) -> None:
    window = ('-s', '2016-02-10 10:10', '-e', '2016-02-10 10:20')
    result = cli(
        's3://logs', '--include-accounts', '111111111111, 333333333333', '--include-regions', 'us-east-1', *window
    )
    assert [line.split()[1] for line in result.lines] == ['111111111111', '333333333333'] * 2
    assert month.count('ListObjectsV2') == 1 + 2 + 2
    assert len(read(include_accounts=['111111111111'], include_regions={'us-east-1'})) == 12
    assert read(include_accounts=[]) == []
    result = cli('s3://logs', '--include-accounts', '9', *window, status=1)
    assert result.stderr == (
        'flowlogs_reader: s3://logs/ has no flow logs of the accounts asked for: '
        'there are 111111111111, 222222222222, 333333333333\n'
    )
    result = cli('s3://logs', '--include-regions', 'eu-west-9', *window, status=1)
    assert 'has no flow logs of the regions asked for: there are ap-northeast-1, eu-west-1' in result.stderr


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('page_keys', [1, 7])
def test_listings_of_many_pages(fake: FakeAWS, layout: str, page_keys: int) -> None:
    lines = [
        record(f'01 {hour:02}:{minute:02}', interface=f'eni-{hour}-{minute}')
        for hour in (9, 10, 11)
        for minute in (0, 20, 40)
    ]
    objects = {}
    for account in (ACCOUNT, OTHER_ACCOUNT):
        for region in ('us-east-1', 'us-west-2'):
            for flow_log in ('fl-1', 'fl-2'):
                objects |= s3_objects(lines, layout, account=account, region=region, flow_log_id=flow_log)
    fake.add_bucket('logs', objects=objects)
    fake.s3.page_keys = page_keys
    found = names(read())
    assert found == [f'eni-10-{minute}' for minute in (0, 20, 40) for _ in range(8)]
    assert times_of(got(fake)) == sorted(times_of(got(fake)))


def test_more_than_a_thousand_accounts_and_keys(fake: FakeAWS) -> None:
    bucket = fake.add_bucket('logs')
    body = gzip.compress(record('01 10:00') + b'\n')
    name = 'AWSLogs/{0}/vpcflowlogs/us-east-1/2016/02/01/{0}_vpcflowlogs_us-east-1_fl-1_20160201T1000Z_{1:04}.log.gz'
    for number in range(1050):
        fake.put_object(bucket.name, name.format(100_000_000_000 + number, 0), b'')
        fake.put_object(bucket.name, name.format(ACCOUNT, number), body)
    assert len(read('logs/AWSLogs/111111111111', thread_count=8)) == 1050
    assert fake.count('ListObjectsV2') == 3
    assert read(include_accounts=['100000001049'], thread_count=8) == []
    assert fake.count('ListObjectsV2') == 3 + 2 + 1 + 1


def test_keys_of_other_times_are_passed_over_in_days_of_many_pages(fake: FakeAWS) -> None:
    bucket = fake.add_bucket('logs')
    name = 'AWSLogs/1/vpcflowlogs/us-east-1/2016/02/01/1_vpcflowlogs_us-east-1_{}_20160201T{:02}{:02}Z_x.log.gz'
    for flow_log in ('fl-1', 'fl-2'):
        for minutes in range(0, 1440, 5):
            key = name.format(flow_log, *divmod(minutes, 60))
            fake.put_object(bucket.name, key, gzip.compress(record('01 10:00', interface=flow_log) + b'\n'))
    fake.s3.page_keys = 50
    assert len(read()) == 24
    # The first 50 keys, from 10:00 on, past the rest of fl-1; the same for fl-2.
    first, *more = [call[1:] for call in listed(fake)[2:]]
    assert not first
    assert [after.rpartition('us-east-1_')[2] for (after,) in more] == [
        'fl-1_20160201T1000', 'fl-1_:', 'fl-2_20160201T1000', 'fl-2_:',
    ]  # fmt: skip


@pytest.mark.parametrize('layout', ['hourly', 'hive-hourly'])
def test_hours_of_other_times_are_passed_over_in_days_of_many_pages(fake: FakeAWS, layout: str) -> None:
    lines = [record(f'01 {hour:02}:{minute:02}') for hour in range(24) for minute in range(0, 60, 5)]
    fake.add_bucket('logs', objects=s3_objects(lines, layout))
    fake.s3.page_keys = 50
    assert len(read()) == 12
    day, again, hour = listed(fake)[-3:]
    assert again == (*day, '/') and hour[0][len(day[0]) :] in ('10/', 'hour=10/')


# -- windows --------------------------------------------------------------------------------------------------------

EDGES = [
    record('01 09:59:59', '01 10:00:01', 'eni-starts-before'),
    record('01 10:00:00', '01 10:00:00', 'eni-first'),
    record('01 10:59:59', '01 10:59:59', 'eni-last'),
    record('01 10:59:59', '01 11:09:59', 'eni-ends-a-capture-window-later'),
    record('01 11:00:00', '01 11:00:00', 'eni-starts-after'),
]


@pytest.mark.parametrize('layout', LAYOUTS)
def test_the_window_is_about_records(fake: FakeAWS, cli: Cli, layout: str) -> None:
    fake.add_bucket('logs', objects=s3_objects(EDGES, layout))
    expected = ['eni-first', 'eni-last', 'eni-ends-a-capture-window-later']
    assert names(cli('s3://logs', *WINDOW).stdout.splitlines()) == expected
    assert names(read(exact_window=True)) == expected
    assert names(read()) == ['eni-starts-before', 'eni-first', 'eni-last']
    assert sorted(times_of(got(fake)[:4])) == ['1000', '1055', '1100', '1105']


def test_across_midnight(fake: FakeAWS) -> None:
    lines = [record('01 23:59:59', '02 00:04:00', 'eni-1'), record('02 00:00:00', '02 00:00:30', 'eni-2')]
    fake.add_bucket('logs', objects=s3_objects(lines))
    day = datetime(2016, 2, 2)
    assert names(read(start=day - timedelta(minutes=5), end=day, exact_window=True)) == ['eni-1']
    assert names(read(start=day, end=day + timedelta(minutes=5), exact_window=True)) == ['eni-2']


def test_the_first_key_is_rounded_down(fake: FakeAWS) -> None:
    fake.add_bucket('logs', objects=s3_objects([record('01 10:02:10'), record('01 10:04:00')]))
    window = {'start': datetime(2016, 2, 1, 10, 2, 30), 'end': datetime(2016, 2, 1, 10, 5)}
    assert len(read(**window)) == 2
    assert read(**window, exact_window=True) == [record('01 10:04:00')]


def test_records_without_a_start_count_by_their_end_then_by_the_key(fake: FakeAWS) -> None:
    name = 'AWSLogs/1/vpcflowlogs/us-east-1/2016/02/01/1_vpcflowlogs_us-east-1_fl-1_20160201T{}Z_{}.log.gz'
    times = 'interface-id start end\neni-{0}-{1} - -\neni-{0}-in - {2}\neni-{0}-out - {3}\n'
    none = 'interface-id srcaddr\neni-{0}-without -\n'
    objects = {}
    for key_time in ('1000', '1055', '1100'):
        for kind, text in (('a', times), ('b', none)):
            body = text.format(key_time, 'empty', seconds('01 10:59:59'), seconds('01 11:00:00'))
            objects[name.format(key_time, kind)] = gzip.compress(body.encode())
    fake.add_bucket('logs', objects=objects)
    reader = S3FlowLogsReader('logs', start_time=START, end_time=END, exact_window=True)
    assert [interface.decode() for (interface,) in reader.columns('interface_id')] == [
        'eni-1000-empty', 'eni-1000-in', 'eni-1000-without', 'eni-1055-empty', 'eni-1055-in', 'eni-1055-without',
        'eni-1100-in',
    ]  # fmt: skip


@pytest.mark.parametrize('options', [{}, {'exact_window': True}])
def test_an_empty_window(fake: FakeAWS, options: dict[str, Any]) -> None:
    fake.add_bucket('logs', objects=s3_objects(EDGES))
    assert read(start=START, end=START, **options) == []
    assert not got(fake)


# -- order and counters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', [0, 1, 2, 8])
def test_order_and_counters_do_not_depend_on_threads(fake: FakeAWS, threads: int) -> None:
    objects = {}
    for number, (layout, account, region) in enumerate(
        [('hive', ACCOUNT, 'us-west-2'), ('default', OTHER_ACCOUNT, 'us-east-1'), ('hourly', ACCOUNT, 'us-east-1')]
    ):
        lines = traffic.lines(3000, seed=number, start=seconds('01 10:00'), per_second=2)
        objects |= s3_objects([*lines, b'garbage'], layout, account=account, region=region)
    fake.add_bucket('logs', objects=objects)
    reader = S3FlowLogsReader('logs', start_time=START, end_time=END, thread_count=threads)
    lines = [line for block in reader.blocks() for line in block.data.splitlines()]
    in_order = sorted(objects, key=lambda key: (times_of([key]), key))
    texts = [gzip.decompress(objects[key]) for key in in_order]
    assert lines == [line for text in texts for line in text.splitlines()[1:] if line != b'garbage']
    assert reader.bytes_processed == sum(map(len, texts))
    assert reader.compressed_bytes_processed == sum(map(len, objects.values()))
    assert reader.skipped_records == 3 and not reader.unreadable
    assert fake.max_concurrent('GetObject') <= max(1, threads)


def test_counters_grow_with_what_was_handed_on(fake: FakeAWS) -> None:
    objects = s3_objects([record(f'01 10:{minute:02}') for minute in range(0, 60, 5)])
    fake.add_bucket('logs', objects=objects)
    reader = S3FlowLogsReader('logs', start_time=START, end_time=END, thread_count=4)
    next(reader)
    assert reader.compressed_bytes_processed == len(objects[min(objects)])
    assert len(list(reader)) == 11
    assert reader.compressed_bytes_processed == sum(map(len, objects.values()))


def test_at_most_three_objects_for_each_thread_are_begun(fake: FakeAWS) -> None:
    fake.add_bucket(
        'logs', objects=s3_objects([record(f'01 10:{minute:02}') for minute in range(0, 60, 5)] * 30, max_lines=1)
    )
    reader = S3FlowLogsReader('logs', start_time=START, end_time=END, thread_count=2)
    blocks = reader.blocks()
    next(blocks)
    fake.latency_ms = 20
    for _ in range(20):
        next(blocks)
    assert fake.count('GetObject') <= 21 + 2 * 3
    blocks.close()


# -- trouble --------------------------------------------------------------------------------------------------------


@pytest.fixture
def hour(fake: FakeAWS) -> FakeAWS:
    """An hour of twelve objects with one record each, and no time to lose between retries."""
    fake.add_bucket(
        'logs',
        objects=s3_objects([record(f'01 10:{minute:02}', interface=f'eni-{minute}') for minute in range(0, 60, 5)]),
    )
    return fake


def key_at(fake: FakeAWS, time: str) -> str:
    return next(key for key in fake.s3.buckets['logs'].keys if f'T{time}Z' in key)


def test_one_object_that_cannot_be_read_does_not_silence_the_others(hour: FakeAWS, cli: Cli) -> None:
    keys = {time: key_at(hour, time) for time in ('1000', '1005', '1010', '1015', '1020', '1025', '1030', '1035')}
    good = hour.s3.buckets['logs'].objects[keys['1000']].body
    text = b'\n'.join(traffic.lines(5000, start=seconds('01 10:00'), per_second=100)) + b'\n'
    hour.put_object('logs', keys['1000'], gzip.compress(text)[:-1000])
    hour.put_object('logs', keys['1005'], b'')
    hour.put_object('logs', keys['1010'], gzip.compress(traffic.HEADER + b'\n'))
    hour.put_object('logs', keys['1015'], good, denied=True)
    hour.put_object('logs', keys['1020'], good, storage_class='GLACIER')
    hour.put_object('logs', keys['1025'], bytes(range(256)) * 30)
    hour.put_object('logs', keys['1030'], b'\x1f\x8b\x08nonsense')
    hour.fault('GetObject', 'vanish', at=lambda params: params['Key'] == keys['1035'])
    for threads in ('0', '1', '4'):
        result = cli('s3://logs', *WINDOW, '--thread-count', threads, status=1)
        found = names(result.stdout.splitlines())
        assert found[-4:] == ['eni-40', 'eni-45', 'eni-50', 'eni-55']
        assert len(found) > 4000 and text.startswith(b'\n'.join(result.stdout.splitlines()[:-4]) + b'\n')
        errors = result.stderr.splitlines()
        assert [times_of([error.partition('.log.gz: ')[0]])[0] for error in errors] == [
            '1000',
            '1015',
            '1020',
            '1025',
            '1030',
            '1035',
        ]
        for error, what in zip(
            errors, ('ends too early', 'AccessDenied', 'restore it first', 'neither text', 'damaged', 'went away')
        ):
            assert error.startswith('flowlogs_reader: s3://logs/AWSLogs/') and what in error


def test_the_library_keeps_what_it_could_not_read(hour: FakeAWS) -> None:
    hour.put_object('logs', key_at(hour, '1000'), b'x', denied=True)
    seen: list[FlowLogsError] = []
    reader = S3FlowLogsReader('logs', start_time=START, end_time=END, on_unreadable=seen.append)
    assert len(list(reader)) == 11 and seen == reader.unreadable and 'AccessDenied' in str(seen[0])
    with pytest.raises(ClientError, match='AccessDenied'):
        list(S3FlowLogsReader('logs', start_time=START, end_time=END, raise_on_error=True))


def test_an_object_that_only_its_owner_can_decrypt_does_not_silence_the_others(hour: FakeAWS, cli: Cli) -> None:
    hour.put_object('logs', key_at(hour, '1000'), b'x', sse_c=True)
    result = cli('s3://logs', *WINDOW, status=1)
    assert len(result.lines) == 11 and 'T1000Z' in result.stderr and 'InvalidRequest' in result.stderr


@pytest.mark.parametrize('kind', ['cut', 'drop', '500', '503', 'throttle'])
@pytest.mark.parametrize('operation', ['GetObject', 'ListObjectsV2'])
def test_passing_trouble_is_not_seen(hour: FakeAWS, cli: Cli, operation: str, kind: str) -> None:
    hour.fault(operation, kind, at={2, 3})
    assert len(cli('s3://logs', *WINDOW).lines) == 12


def test_a_broken_connection_goes_on_where_it_broke(fake: FakeAWS, cli: Cli) -> None:
    lines = list(traffic.lines(20_000, start=seconds('01 10:00'), per_second=100))
    objects = s3_objects(lines, bucket_minutes=60)
    (key,) = [key for key in objects if 'T1000Z' in key]
    fake.add_bucket('logs', objects={key: objects[key]})
    fake.fault('GetObject', 'cut', at={1, 2})
    result = cli('s3://logs', *WINDOW)
    assert gzip.decompress(objects[key]).endswith(result.stdout) and len(result.lines) == len(lines)
    ranges = [call.params.get('Range') for call in fake.calls('GetObject')]
    size = len(objects[key])
    assert ranges == [None, f'bytes={size // 2}-', f'bytes={size // 2 + (size - size // 2) // 2}-']


def test_a_connection_that_never_holds(hour: FakeAWS, cli: Cli) -> None:
    hour.put_object('logs', key_at(hour, '1000'), b'x')
    hour.fault('GetObject', 'cut', at=lambda params: 'T1000Z' in params['Key'])
    result = cli('s3://logs', *WINDOW, status=1)
    assert len(result.lines) == 11 and result.stderr.count('\n') == 1
    assert 'after 0 bytes: ' in result.stderr and 'the connection broke: try again' in result.stderr
    assert len([key for key in got(hour) if 'T1000Z' in key]) == 3


def test_an_object_that_changes_while_it_is_read(hour: FakeAWS, cli: Cli) -> None:
    key = key_at(hour, '1000')
    hour.fault('GetObject', 'cut', at=lambda params: params['Key'] == key and 'Range' not in params)
    hour.fault('GetObject', 'change_object', at=lambda params: params['Key'] == key and 'Range' in params)
    result = cli('s3://logs', *WINDOW, '--thread-count', '1', status=1)
    assert len(result.lines) == 11 and 'PreconditionFailed' in result.stderr and result.stderr.count('\n') == 1


@pytest.mark.parametrize('threads', ['0', '1', '4'])
def test_expired_credentials_end_the_read_and_say_how_far_it_came(hour: FakeAWS, cli: Cli, threads: str) -> None:
    hour.fault('GetObject', 'expire_credentials', at=lambda params: 'T1030Z' in params['Key'])
    result = cli('s3://logs', *WINDOW, '--thread-count', threads, status=1)
    printed = names(result.stdout.splitlines())
    # With four threads the credentials may be gone before the first object is there.
    last = int(printed[-1][4:]) if printed else -5
    assert printed == [f'eni-{minute}' for minute in range(0, last + 1, 5)] and last <= 25
    until = f'2016-02-01T10:{last - 10:02}:00Z' if last > 10 else ''
    message, _, rest = result.stderr.partition('; the output ')
    assert message == (
        'flowlogs_reader: s3://logs: An error occurred (ExpiredToken) when calling the GetObject operation: '
        'The provided token has expired: the credentials have expired: '
        'sign in again (aws sso login, aws login) or renew the keys'
    )
    assert rest.startswith(f'is complete up to {until} ' if last > 10 else 'holds a part' if printed else '')
    assert result.stderr.count('\n') == 1


def test_a_bucket_that_is_not_there(fake: FakeAWS, cli: Cli) -> None:
    result = cli('s3://logs', *WINDOW, status=1)
    assert result.stderr == (
        'flowlogs_reader: s3://logs: there is no such bucket (NoSuchBucket): check the name of the bucket\n'
    )
    with pytest.raises(ClientError, match='NoSuchBucket'):
        read()


def test_a_listing_that_is_not_allowed(hour: FakeAWS, cli: Cli) -> None:
    hour.deny('ListObjectsV2')
    result = cli('s3://logs', *WINDOW, status=1)
    assert '(AccessDenied) when calling the ListObjectsV2' in result.stderr and 'not allowed' in result.stderr
    assert result.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'location, hint',
    [
        ('logs', 'the folders there are a/, b/: give one, such as s3://logs/a/'),
        ('logs/c', 'check the bucket and the prefix'),
    ],
)
def test_a_prefix_without_flow_logs(fake: FakeAWS, cli: Cli, location: str, hint: str) -> None:
    fake.add_bucket('logs', objects={'a/AWSLogs/x': b'', 'b/x': b'', 'x': b''})
    result = cli(f's3://{location}', *WINDOW, status=1)
    assert result.stderr == f'flowlogs_reader: s3://{location}/ has no flow logs in AWSLogs/: {hint}\n'
    with pytest.raises(NothingThereError, match=hint):
        read(location)


def test_a_window_without_records(hour: FakeAWS, cli: Cli) -> None:
    result = cli('s3://logs', '-s', '2016-01-01 10:00', '-e', '2016-01-01 10:10')
    assert result.stderr == (
        'flowlogs_reader: no records: '
        's3://logs/ from 2016-01-01T10:00:00Z to 2016-01-01T10:10:00Z was read completely\n'
    )


@pytest.mark.parametrize('kind', ['repeat_token', 'loop_tokens'])
def test_pages_that_go_round_in_circles(hour: FakeAWS, kind: str) -> None:
    hour.s3.page_keys = 2
    folder = 'logs/AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/01'
    hour.fault('ListObjectsV2', kind)
    with pytest.raises(IncompleteError, match='the same page token twice for s3://logs/AWSLogs/'):
        read(folder)


def test_empty_pages_are_not_the_end(hour: FakeAWS) -> None:
    hour.fault('ListObjectsV2', 'empty_pages', at={1, 3, 4})
    assert len(read()) == 12


def test_a_bucket_in_another_region_just_works(fake: FakeAWS, cli: Cli) -> None:
    fake.add_bucket('logs', 'eu-west-1', s3_objects([record('01 10:00'), record('01 10:10')]))
    for threads in ('0', '4'):
        assert len(cli('s3://logs', *WINDOW, '--region', 'us-east-1', '--thread-count', threads).lines) == 2


# -- the library of 5.0.1 -------------------------------------------------------------------------------------------


def test_attributes_of_5_0_1() -> None:
    reader = S3FlowLogsReader('bkt/pre', include_accounts=['1', '2'], include_regions=('r',), thread_count=3)
    assert (reader.bucket, reader.prefix, reader.thread_count) == ('bkt', 'pre/', 3)
    assert (reader.include_accounts, reader.include_regions) == ({'1', '2'}, {'r'})
    assert (reader.bytes_processed, reader.compressed_bytes_processed, reader.skipped_records) == (0, 0, 0)
    assert S3FlowLogsReader('bkt').include_accounts is S3FlowLogsReader('bkt').include_regions is None
    assert S3FlowLogsReader('bkt').prefix == ''


def test_a_client_that_is_handed_in_is_asked_what_5_0_1_asked() -> None:
    client = boto3.client('s3', 'us-east-1', aws_access_key_id='x', aws_secret_access_key='x')
    ((key, body),) = s3_objects([record('01 10:00')]).items()
    folder = 'AWSLogs/123456789010/vpcflowlogs/us-east-1/'
    with Stubber(client) as stub:
        for prefix, found in (
            ('AWSLogs/', {'CommonPrefixes': [{'Prefix': 'AWSLogs/123456789010/'}]}),
            ('AWSLogs/123456789010/vpcflowlogs/', {'CommonPrefixes': [{'Prefix': folder}]}),
        ):
            stub.add_response('list_objects_v2', found, {'Bucket': 'logs', 'Prefix': prefix, 'Delimiter': '/'})
        stub.add_response(
            'list_objects_v2', {'Contents': [{'Key': key}]}, {'Bucket': 'logs', 'Prefix': f'{folder}2016/02/01/'}
        )
        stub.add_response('get_object', {'Body': StreamingBody(_Raw(body), len(body))}, {'Bucket': 'logs', 'Key': key})
        (found_record,) = S3FlowLogsReader('logs', boto_client=client, start_time=START, end_time=END)
        assert found_record.interface_id == 'eni-1'
        stub.assert_no_pending_responses()


class _Raw:
    """As much of a connection as a StreamingBody needs."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, size: int | None = None) -> bytes:
        data, self._body = self._body[:size], self._body[size or len(self._body) :]
        return data

    def close(self) -> None:
        self._body = b''
