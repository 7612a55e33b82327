"""The fake AWS keeps to the facts, as seen by real boto3 clients; the traffic generator keeps its promises."""

import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, PaginationError, ResponseStreamingError
from botocore.parsers import ResponseParserError

from tests import traffic
from tests.conftest import OLD_BOTOCORE
from tests.fake.aws import FakeAWS
from tests.fake.patterns import compile_pattern
from tests.fake.s3 import s3_objects
from tests.fake.wire import AwsError

START = 1454324362
LINES = list(traffic.lines(3_000))
ClientMaker = Callable[..., Any]


@pytest.fixture
def fake() -> Iterator[FakeAWS]:
    with FakeAWS() as fake:
        yield fake


@pytest.fixture
def client(fake: FakeAWS) -> ClientMaker:
    """Make a client of the fake; it tries once unless told otherwise."""

    def make(service: str, region: str = 'us-east-1', attempts: int = 1, keys: dict[str, str] | None = None) -> Any:
        config = Config(retries={'total_max_attempts': attempts, 'mode': 'standard'}, proxies={})
        names = {'AccessKeyId': 'aws_access_key_id', 'SecretAccessKey': 'aws_secret_access_key'}
        names['SessionToken'] = 'aws_session_token'
        given = keys or {'AccessKeyId': 'AKIATEST', 'SecretAccessKey': 'secret'}
        chosen = {name: given[key] for key, name in names.items() if key in given}
        return SESSION.client(service, region, endpoint_url=fake.url, config=config, **chosen)

    return make


SESSION: Any = boto3.session.Session()
# The fake answers as AWS does today; botocore of 2025 knew less of it, and took short bodies otherwise.
newer_botocore = pytest.mark.skipif(OLD_BOTOCORE, reason='needs a newer botocore')


def messages(client: Any, **params: Any) -> list[str]:
    pages = client.get_paginator('filter_log_events').paginate(logGroupName='flowlogs', **params)
    return [event['message'] for page in pages for event in page['events']]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response['Error']['Code'])


class TestFilterLogEvents:
    def test_every_line_comes_back_in_order(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES)
        fake.logs.page_events = 700
        logs = client('logs')
        events = list(logs.get_paginator('filter_log_events').paginate(logGroupName='flowlogs').search('events'))
        assert [event['message'].encode() for event in events] == LINES
        ids = [event['eventId'] for event in events]
        assert ids == sorted(set(ids)) and {len(i) for i in ids} == {56} and all(map(str.isdigit, ids))
        assert events[0]['timestamp'] == START * 1000
        assert events[0]['logStreamName'] == LINES[0].split()[2].decode() + '-all'
        assert fake.count('FilterLogEvents') == 5

    def test_order_is_timestamp_then_ingestion_then_arrival(self, fake: FakeAWS, client: ClientMaker) -> None:
        arrivals = {b'late': 9_000, b'soon': 8_000, b'soon too': 8_000, b'first': 9_999}
        times = {b'first': 1_000}
        fake.add_log_group(
            'flowlogs', lines=arrivals, timestamp=lambda m: times.get(m, 2_000), ingestion=arrivals.__getitem__,
            stream=lambda m: 's',
        )  # fmt: skip
        assert messages(client('logs')) == ['first', 'soon', 'soon too', 'late']

    def test_page_holds_at_most_one_megabyte_of_messages(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=traffic.lines(12_000))
        page = client('logs').filter_log_events(logGroupName='flowlogs')
        size = sum(len(event['message']) for event in page['events'])
        assert 1_048_000 < size <= 1_048_576 and 9_000 < len(page['events']) < 10_000
        fake.add_log_group('short', lines=(b'x %d' % n for n in range(10_001)))
        assert len(client('logs').filter_log_events(logGroupName='short')['events']) == 10_000

    @pytest.mark.parametrize('first, last, count', [(1, 3, 900), (1, 1, 300), (0, 9, 3_000)])
    def test_both_bounds_are_inclusive(
        self, fake: FakeAWS, client: ClientMaker, first: int, last: int, count: int
    ) -> None:
        fake.add_log_group('flowlogs', lines=LINES)
        window = {'startTime': (START + first) * 1000, 'endTime': (START + last) * 1000}
        assert len(messages(client('logs'), **window)) == count
        later = {'startTime': window['startTime'] + 1, 'endTime': window['endTime'] + 1}
        assert len(messages(client('logs'), **later)) == count - 300

    def test_body_is_as_aws_writes_it(self, fake: FakeAWS) -> None:
        body = raw_page(fake, [b'a "b" \\ \xc3\xa9'])
        assert body.startswith(
            b'{"events":[{"logStreamName":"eni-00000000-all","timestamp":1451606400000,"message":"a \\"b\\" '
        )
        assert json.loads(body)['events'][0]['message'] == 'a "b" \\ \u00e9'
        assert json.loads(body)['searchedLogStreams'] == [] and 'nextToken' not in json.loads(body)

    def test_key_order_can_be_chosen(self) -> None:
        with FakeAWS(event_keys=('eventId', 'ingestionTime', 'logStreamName', 'message', 'timestamp')) as fake:
            assert list(json.loads(raw_page(fake, LINES[:1]))['events'][0]) == list(fake.event_keys)

    def test_streams(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES)
        eni = traffic.PROBE_INTERFACE
        expected = [line.decode() for line in LINES if eni.encode() in line]
        logs = client('logs')
        assert messages(logs, logStreamNames=[f'{eni}-all', 'nothing']) == expected
        assert messages(logs, logStreamNamePrefix=eni) == expected
        assert len(expected) == 3
        with pytest.raises(ClientError) as error:
            messages(logs, logStreamNames=['a'], logStreamNamePrefix='a')
        assert code_of(error) == 'InvalidParameterException'

    @newer_botocore
    def test_backwards(self, fake: FakeAWS, client: ClientMaker) -> None:
        recent = list(traffic.lines(50, start=1_704_067_200, per_second=10))
        fake.add_log_group('flowlogs', lines=recent)
        fake.logs.page_events = 20
        found = messages(client('logs'), startTime=1_704_067_200_000, startFromHead=False)
        assert [line.encode() for line in found] == recent[::-1]
        with pytest.raises(ClientError):
            messages(client('logs'), startTime=1_704_067_199_999, startFromHead=False)

    def test_partial_and_empty_pages(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES)
        fake.logs.scan_limit = 400
        pages = list(
            client('logs').get_paginator('filter_log_events').paginate(
                logGroupName='flowlogs', filterPattern=f'"{traffic.PROBE_HOST} "'
            )
        )  # fmt: skip
        assert [bool(page['events']) for page in pages].count(False) >= 3
        assert len(pages) == 8 and 'nextToken' not in pages[-1]
        assert sum(traffic.PROBE_HOST in event['message'].split() for page in pages for event in page['events']) == 3

    def test_late_lines_take_their_place(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES[::2])
        fake.put_lines('flowlogs', LINES[1::2])
        assert sorted(messages(client('logs'))) == sorted(line.decode() for line in LINES)
        starts = [int(message.split()[10]) for message in messages(client('logs'))]
        assert starts == sorted(starts)

    @pytest.mark.parametrize(
        'params',
        [
            {'startTime': 2, 'endTime': 1},
            {'filterPattern': 'a,b'},
            {'filterPattern': '"open'},
            {'nextToken': 'garbage'},
            {'logGroupIdentifier': 'flowlogs'},
            {'limit': 10_001},
        ],
    )
    def test_garbage_is_refused(self, fake: FakeAWS, params: dict[str, Any]) -> None:
        fake.add_log_group('flowlogs', lines=LINES[:5])
        assert raw(fake, {'logGroupName': 'flowlogs', **params})['__type'] == 'InvalidParameterException'

    def test_token_is_bound_to_its_scan(self, fake: FakeAWS) -> None:
        fake.add_log_group('flowlogs', lines=LINES)
        first = raw(fake, {'logGroupName': 'flowlogs', 'limit': 10})
        again = raw(fake, {'logGroupName': 'flowlogs', 'limit': 10, 'nextToken': first['nextToken']})
        assert again['nextToken'] != first['nextToken']
        other = raw(fake, {'logGroupName': 'flowlogs', 'startTime': 1, 'nextToken': first['nextToken']})
        assert other['__type'] == 'InvalidParameterException'

    def test_infrequent_access_groups_cannot_be_filtered(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES[:5], log_class='INFREQUENT_ACCESS')
        with pytest.raises(ClientError):
            messages(client('logs'))
        found = client('logs').describe_log_groups(logGroupNamePrefix='flow')['logGroups']
        assert found[0]['logGroupClass'] == 'INFREQUENT_ACCESS' and found[0]['arn'].endswith(':flowlogs:*')


def raw(fake: FakeAWS, params: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(raw_body(fake, params)))


def raw_page(fake: FakeAWS, lines: list[bytes]) -> bytes:
    fake.add_log_group('raw', lines=lines)
    return raw_body(fake, {'logGroupName': 'raw'})


def raw_body(fake: FakeAWS, params: dict[str, Any]) -> bytes:
    headers = {
        'authorization': 'AWS4-HMAC-SHA256 Credential=AKIATEST/20160201/us-east-1/logs/aws4_request, Signature=0',
        'x-amz-target': 'Logs_20140328.FilterLogEvents',
    }
    reply, done = fake.answer('POST', '/', headers, json.dumps(params).encode())
    done()
    return b''.join(reply.parts)


LINE = '2 123456789010 eni-1 10.0.0.1 10.0.2.7 49152 443 6 10 8000 1454324362 1454324422 ACCEPT OK'


@pytest.mark.parametrize(
    'pattern, expected',
    [
        ('', True),
        ('" "', True),
        ('ACCEPT', True),
        ('accept', False),
        ('ACC', True),
        ('ACCEPT OK', True),
        ('ACCEPT REJECT', False),
        ('"10.0.0.1"', True),
        ('"10.0.0.1" "10.0.2.7"', True),
        ('?REJECT ?"10.0.2.7"', True),
        ('?REJECT ?NODATA', False),
        ('ACCEPT -REJECT', True),
        ('ACCEPT -OK', False),
        ('-REJECT', True),
        ('ACCEPT ?REJECT', True),  # optional terms are ignored beside another kind
        (r'%10\.0\.[0-3]\.7%', True),
        ('[...]', True),
        ('[a, b]', False),
        ('[v, a, i, s, d, sp, dp, p, pk, b, st, en, act, status]', True),
        ('[v, a, i, s = 10.0.0.1, ...]', True),
        ('[v, a, i, s = "10.0.0.1" || s = "10.9.9.9", ...]', True),
        ('[v, a, i, s = 10.0.0.1 && s != 10.0.0.1, ...]', False),
        ('[v, a, i, s, d = 10.0.2.*, ...]', True),
        ('[v, a, i, s, d = 10.0.3.*, ...]', False),
        (r'[v, a, i, s, d = %^10\.0\.2\.%, ...]', True),
        ('[..., b >= 8000, st, en, act, status]', True),
        ('[..., b > 8000, st, en, act, status]', False),
        ('[..., act != ACCEPT, status]', False),
        ('[..., dp = 443 || dp = 80, p, pk, b, st, en, act, status = "OK"]', True),
        ('{ $.a = 1 }', False),
    ],
)
def test_pattern(pattern: str, expected: bool) -> None:
    compiled = compile_pattern(pattern)
    assert (compiled is None or compiled.matches(LINE)) == expected


@pytest.mark.parametrize(
    'pattern',
    [
        '10.0.0.1',
        'a b.c',
        '"x',
        '[a',
        '[a, s = 1 || d = 1]',
        '[..., a, ...]',
        '[a b]',
        '%(a)%',
        'x' * 1025,
        '{ $.a',
        '[a > b]',
    ],
)
def test_invalid_pattern(pattern: str) -> None:
    with pytest.raises(AwsError, match='InvalidParameterException'):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    'pattern', [f'?"{traffic.PROBE_HOST}" ?NODATA', '[v, a, i, s="10.0.3.7" || s="10.0.3.71", ...]', 'OK -REJECT']
)
def test_index_finds_what_a_scan_of_every_line_finds(fake: FakeAWS, client: ClientMaker, pattern: str) -> None:
    fake.add_log_group('flowlogs', lines=LINES)
    compiled = compile_pattern(pattern)
    assert compiled is not None
    expected = [line.decode() for line in LINES if compiled.matches(line.decode())]
    assert messages(client('logs'), filterPattern=pattern) == expected and expected


class TestDescribe:
    def test_log_groups_live_in_one_region_and_account(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', 'eu-west-1', LINES[:3])
        group = fake.add_log_group('flowlogs', 'eu-west-1', LINES[:2], account='210987654321')
        with pytest.raises(ClientError, match='The specified log group does not exist') as error:
            messages(client('logs'))
        assert code_of(error) == 'ResourceNotFoundException'
        west = client('logs', 'eu-west-1')
        assert len(messages(west)) == 3
        assert len(west.filter_log_events(logGroupIdentifier=group.arn)['events']) == 2
        assert [call.region for call in fake.calls('FilterLogEvents')] == ['us-east-1', 'eu-west-1', 'eu-west-1']

    def test_log_groups_page(self, fake: FakeAWS, client: ClientMaker) -> None:
        for number in range(120):
            fake.add_log_group(f'vpc/flow-{number:03d}')
        logs = client('logs')
        pages = list(logs.get_paginator('describe_log_groups').paginate())
        assert [len(page['logGroups']) for page in pages] == [50, 50, 20]
        assert len(logs.describe_log_groups(logGroupNamePrefix='vpc/flow-11')['logGroups']) == 10
        assert len(logs.describe_log_groups(logGroupNamePattern='-00')['logGroups']) == 10

    def test_log_streams(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES)
        streams = list(
            client('logs').get_paginator('describe_log_streams').paginate(logGroupName='flowlogs').search('logStreams')
        )
        assert len(streams) == len({line.split()[2] for line in LINES})
        assert all(stream['storedBytes'] == 0 for stream in streams)

    def test_flow_logs(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_flow_log('vpc-1', log_group='flowlogs')
        fake.add_flow_log('eni-1', log_group='flowlogs', log_format='${srcaddr} ${dstaddr}')
        arn = 'arn:aws:s3:::bucket/prefix'
        fake.add_flow_log('vpc-1', destination=arn, file_format='parquet', hive=True, maxAggregationInterval=60)
        fake.add_flow_log('vpc-1', log_group='flowlogs', region='eu-west-1')
        fake.ec2.page_rows = 1
        pages = client('ec2').get_paginator('describe_flow_logs')
        rows = list(pages.paginate().search('FlowLogs'))
        assert len(rows) == 3 and fake.count('DescribeFlowLogs') == 3
        assert rows[2]['LogDestination'] == arn and rows[2]['MaxAggregationInterval'] == 60
        assert rows[2]['DestinationOptions'] == {
            'FileFormat': 'parquet', 'HiveCompatiblePartitions': True, 'PerHourPartition': False,
        }  # fmt: skip
        named = list(pages.paginate(Filters=[{'Name': 'log-group-name', 'Values': ['flowlogs']}]).search('FlowLogs'))
        assert [row['LogFormat'][:10] for row in named] == ['${version}', '${srcaddr}']
        both = [
            {'Name': 'resource-id', 'Values': ['eni-1', 'subnet-1']},
            {'Name': 'log-destination-type', 'Values': ['s3']},
        ]
        assert list(pages.paginate(Filters=both).search('FlowLogs')) == []
        with pytest.raises(ClientError, match='InvalidParameterValue'):
            client('ec2').describe_flow_logs(Filters=[{'Name': 'nonsense', 'Values': ['x']}])

    def test_network_interfaces_and_regions(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_interface('eni-1', instance_id='i-1', subnet_id='subnet-1')
        fake.add_interface('eni-2', vpc_id='vpc-2')
        ec2 = client('ec2')
        found = ec2.describe_network_interfaces(Filters=[{'Name': 'attachment.instance-id', 'Values': ['i-1']}])
        assert [(row['NetworkInterfaceId'], row['SubnetId']) for row in found['NetworkInterfaces']] == [
            ('eni-1', 'subnet-1')
        ]
        assert (
            ec2.describe_network_interfaces(NetworkInterfaceIds=['eni-2'])['NetworkInterfaces'][0]['VpcId'] == 'vpc-2'
        )
        with pytest.raises(ClientError, match='NotFound'):
            ec2.describe_network_interfaces(NetworkInterfaceIds=['eni-3'])
        assert 'eu-west-1' in {region['RegionName'] for region in ec2.describe_regions()['Regions']}
        fake.deny('ec2')
        with pytest.raises(ClientError) as error:
            ec2.describe_flow_logs()
        assert code_of(error) == 'UnauthorizedOperation'


class TestS3:
    def test_listing(self, fake: FakeAWS, client: ClientMaker) -> None:
        keys = [f'p/{day:02d}/{number}' for day in range(3) for number in range(4)] + ['a b+c', 'z/\u00e9=1']
        fake.add_bucket('bucket', objects=dict.fromkeys(keys, b'x'))
        fake.s3.page_keys = 5
        pages = client('s3').get_paginator('list_objects_v2')
        assert list(pages.paginate(Bucket='bucket').search('Contents[].Key')) == sorted(keys)
        assert fake.count('ListObjectsV2') == 3
        under = list(pages.paginate(Bucket='bucket', Prefix='p/', Delimiter='/').search('CommonPrefixes[].Prefix'))
        assert under == ['p/00/', 'p/01/', 'p/02/']
        after = list(pages.paginate(Bucket='bucket', Prefix='p/', StartAfter='p/01/2').search('Contents[].Key'))
        assert after == ['p/01/3', 'p/02/0', 'p/02/1', 'p/02/2', 'p/02/3']
        fake.s3.page_keys = 1
        folders = list(pages.paginate(Bucket='bucket', Prefix='p/', Delimiter='/').search('CommonPrefixes[].Prefix'))
        assert folders == under
        assert 'Contents' not in client('s3').list_objects_v2(Bucket='bucket', Prefix='none/')

    def test_objects(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_bucket('bucket', objects={'k=1/a b': b'0123456789'})
        fake.put_object('bucket', 'cold', b'x', storage_class='GLACIER')
        fake.put_object('bucket', 'secret', b'x', denied=True)
        s3 = client('s3')
        assert s3.get_object(Bucket='bucket', Key='k=1/a b')['Body'].read() == b'0123456789'
        part = s3.get_object(Bucket='bucket', Key='k=1/a b', Range='bytes=2-4')
        assert (part['Body'].read(), part['ContentRange']) == (b'234', 'bytes 2-4/10')
        assert s3.head_object(Bucket='bucket', Key='k=1/a b')['ContentLength'] == 10
        expected = {'cold': 'InvalidObjectState', 'secret': 'AccessDenied', 'gone': 'NoSuchKey'}
        for key, code in expected.items():
            with pytest.raises(ClientError) as error:
                s3.get_object(Bucket='bucket', Key=key)
            assert code_of(error) == code
        with pytest.raises(ClientError) as error:
            s3.list_objects_v2(Bucket='nowhere')
        assert code_of(error) == 'NoSuchBucket'

    def test_bucket_in_another_region(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_bucket('bucket', 'eu-west-1', {'key': b'x'})
        assert client('s3').get_object(Bucket='bucket', Key='key')['Body'].read() == b'x'  # botocore follows by itself
        assert [call.region for call in fake.calls('GetObject')] == ['us-east-1', 'eu-west-1']
        assert client('s3').get_bucket_location(Bucket='bucket')['LocationConstraint'] == 'eu-west-1'
        assert client('s3').head_bucket(Bucket='bucket')['BucketRegion'] == 'eu-west-1'

    def test_object_changed_or_gone_between_list_and_get(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_bucket('bucket', objects={'a': b'old', 'b': b'old'})
        s3 = client('s3')
        tag = s3.list_objects_v2(Bucket='bucket')['Contents'][0]['ETag']
        fake.fault('GetObject', 'change_object', at=lambda params: params['Key'] == 'a', times=1)
        fake.fault('GetObject', 'vanish', at=lambda params: params['Key'] == 'b')
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket='bucket', Key='a', IfMatch=tag)
        assert code_of(error) == 'PreconditionFailed'
        assert s3.get_object(Bucket='bucket', Key='a')['Body'].read() == b'old '
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket='bucket', Key='b')
        assert code_of(error) == 'NoSuchKey'

    @pytest.mark.parametrize(
        'layout, folder',
        [
            ('default', 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/01/'),
            ('hourly', 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/01/11/'),
            ('hive', 'AWSLogs/aws-account-id=123456789010/aws-service=vpcflowlogs/aws-region=us-east-1/'
             'year=2016/month=02/day=01/'),
            ('hive-hourly', 'AWSLogs/aws-account-id=123456789010/aws-service=vpcflowlogs/aws-region=us-east-1/'
             'year=2016/month=02/day=01/hour=11/'),
        ],
    )  # fmt: skip
    def test_layout(self, layout: str, folder: str) -> None:
        objects = s3_objects(LINES, layout, prefix='some/where')
        chosen = {key: body for key, body in objects.items() if '_20160201T1100Z_' in key}
        (key,) = chosen
        assert key.startswith(f'some/where/{folder}123456789010_vpcflowlogs_us-east-1_fl-') and key.endswith('.log.gz')
        header, *rows = gzip.decompress(chosen[key]).splitlines()
        assert header == traffic.HEADER
        assert all(1454324400 <= int(row.split()[11]) < 1454324700 for row in rows)
        total = [row for body in objects.values() for row in gzip.decompress(body).splitlines()[1:]]
        assert sorted(total) == sorted(LINES)

    def test_parquet(self) -> None:
        parquet = pytest.importorskip('pyarrow.parquet')
        pyarrow = pytest.importorskip('pyarrow')
        objects = s3_objects(LINES, format='parquet', max_lines=500)
        assert all(key.endswith('.log.parquet') for key in objects) and len(objects) > 4
        tables = [parquet.read_table(pyarrow.BufferReader(body)) for body in objects.values()]
        assert sum(table.num_rows for table in tables) == len(LINES)
        assert str(tables[0].schema.field('start').type) == 'int64' and 'log_status' in tables[0].column_names


class TestSts:
    ARN = 'arn:aws:iam::210987654321:role/flow-reader'

    def test_role_sees_its_own_account(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_role(self.ARN, external_id='shared', uses=1)
        fake.add_log_group('flowlogs', lines=LINES[:4], account='210987654321')
        with pytest.raises(ClientError) as error:
            client('sts').assume_role(RoleArn=self.ARN, RoleSessionName='test')
        assert code_of(error) == 'AccessDenied'
        answer = client('sts').assume_role(RoleArn=self.ARN, RoleSessionName='test', ExternalId='shared')
        logs = client('logs', keys=answer['Credentials'])
        assert len(messages(logs)) == 4
        with pytest.raises(ClientError) as error:  # the keys were good for one call
            messages(logs)
        assert code_of(error) == 'ExpiredTokenException'

    def test_session_that_botocore_made_is_renewed(
        self, fake: FakeAWS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake.add_role(self.ARN, lifetime=300, uses=1)
        fake.add_log_group('flowlogs', lines=LINES[:40], account='210987654321')
        config = tmp_path / 'config'
        config.write_text(f'[profile r]\nrole_arn={self.ARN}\ncredential_source=Environment\nregion=us-east-1\n')
        for name, value in (fake.environ('us-east-1') | {'AWS_CONFIG_FILE': str(config)}).items():
            monkeypatch.setenv(name, value)
        fake.logs.page_events = 10
        logs = boto3.session.Session(profile_name='r').client('logs')
        assert len(messages(logs)) == 40
        assert fake.count('AssumeRole') >= 4
        assert boto3.session.Session().client('sts').get_caller_identity()['Account'] == '123456789010'

    def test_keys_expire(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_log_group('flowlogs', lines=LINES[:40])
        fake.logs.page_events = 10
        fake.fault('FilterLogEvents', 'expire_credentials', at=3)
        with pytest.raises(ClientError) as error:
            messages(client('logs'))
        assert code_of(error) == 'ExpiredTokenException' and fake.count('FilterLogEvents') == 3
        with pytest.raises(ClientError) as error:
            client('ec2').describe_flow_logs()
        assert code_of(error) == 'RequestExpired'
        with pytest.raises(ClientError) as error:
            client('logs', keys={'AccessKeyId': 'ASIAUNKNOWN', 'SecretAccessKey': 's'}).describe_log_groups()
        assert code_of(error) == 'UnrecognizedClientException'


class TestFaults:
    @pytest.fixture(autouse=True)
    def small_pages(self, fake: FakeAWS) -> None:
        fake.add_log_group('flowlogs', lines=LINES[:60])
        fake.logs.page_events = 20
        fake.retry_after_ms = 0

    @pytest.mark.parametrize(
        'kind, code',
        [
            ('throttle', 'ThrottlingException'),
            ('503', 'ServiceUnavailableException'),
            ('500', 'InternalFailure'),
            ('deny', 'AccessDeniedException'),
            ('vanish', 'ResourceNotFoundException'),
            ('expire_token', 'InvalidParameterException'),
        ],
    )
    def test_error_on_the_second_page(self, fake: FakeAWS, client: ClientMaker, kind: str, code: str) -> None:
        fake.fault('FilterLogEvents', kind, at=2)
        with pytest.raises(ClientError) as error:
            messages(client('logs'))
        assert code_of(error) == code and fake.count('FilterLogEvents') == 2

    @pytest.mark.parametrize('kind', ['500', '503', 'drop'])
    def test_retry_gets_over_it(self, fake: FakeAWS, client: ClientMaker, kind: str) -> None:
        fake.fault('FilterLogEvents', kind, at={2, 4})
        assert len(messages(client('logs', attempts=3))) == 60
        assert fake.count('FilterLogEvents') == 5

    @newer_botocore
    @pytest.mark.parametrize('kind', ['cut', 'half_json'])
    def test_half_a_document_looks_like_an_empty_last_page(self, fake: FakeAWS, client: ClientMaker, kind: str) -> None:
        """botocore neither minds a short body nor JSON that it cannot read: it gives a page without its members."""
        fake.fault('FilterLogEvents', kind, at=2)
        pages = list(client('logs', attempts=3).get_paginator('filter_log_events').paginate(logGroupName='flowlogs'))
        assert [set(page) - {'ResponseMetadata', 'searchedLogStreams'} for page in pages] == [
            {'events', 'nextToken'},
            set(),
        ]
        assert pages[1]['ResponseMetadata']['HTTPStatusCode'] == 200

    @newer_botocore
    @pytest.mark.parametrize('kind', ['cut', 'half_json'])
    def test_half_an_xml_document_is_noticed(self, fake: FakeAWS, client: ClientMaker, kind: str) -> None:
        fake.fault('DescribeFlowLogs', kind, at=1)
        with pytest.raises(ResponseParserError):
            client('ec2').describe_flow_logs()

    def test_cut_object(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.add_bucket('bucket', objects={'key': b'x' * 100_000})
        fake.fault('GetObject', 'cut', at=lambda params: params['Key'] == 'key', times=1)
        s3 = client('s3')
        with pytest.raises((ResponseStreamingError, HTTPClientError)):
            s3.get_object(Bucket='bucket', Key='key')['Body'].read()
        assert len(s3.get_object(Bucket='bucket', Key='key')['Body'].read()) == 100_000

    def test_same_token_again(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.fault('FilterLogEvents', 'repeat_token', at=2)
        with pytest.raises(PaginationError):
            messages(client('logs'))

    def test_tokens_in_a_loop(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.fault('FilterLogEvents', 'loop_tokens')
        pages = client('logs').get_paginator('filter_log_events').paginate(logGroupName='flowlogs')
        tokens = [page['nextToken'] for page in islice(pages, 8)]
        assert tokens[0] == tokens[2] == tokens[4] == tokens[6] and tokens[1] == tokens[3] == tokens[5] != tokens[0]

    def test_empty_pages(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.fault('FilterLogEvents', 'empty_pages', at=1, times=3)
        assert len(messages(client('logs'))) == 60
        assert fake.count('FilterLogEvents') == 6

    def test_duplicate(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.fault('FilterLogEvents', 'duplicate', at=3)
        found = messages(client('logs'))
        assert (len(found), found[-1]) == (61, found[-2]) and len(set(found)) == 60

    def test_stall_and_latency(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.fault('FilterLogEvents', 'stall', at=1, seconds=0.1)
        fake.latency_ms = 20
        begin = time.monotonic()
        assert len(messages(client('logs'))) == 60
        assert time.monotonic() - begin >= 0.16

    def test_rate_limit(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.limit_rate('FilterLogEvents', 2)
        with pytest.raises(ClientError, match='Rate exceeded'):
            messages(client('logs'))
        assert fake.count('FilterLogEvents') == 3
        assert client('logs', 'eu-west-1').describe_log_groups()['logGroups'] == []

    def test_concurrency_is_seen(self, fake: FakeAWS, client: ClientMaker) -> None:
        fake.latency_ms = 60
        logs = client('logs')
        threads = [threading.Thread(target=logs.describe_log_groups) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert fake.max_concurrent('DescribeLogGroups') == 4 and fake.count() == 4

    def test_unknown_kind(self, fake: FakeAWS) -> None:
        with pytest.raises(ValueError, match='unknown fault'):
            fake.fault('FilterLogEvents', 'nonsense')


def test_own_process() -> None:
    script = Path(__file__).with_name('aws.py')
    command = [sys.executable, str(script), '--records', '100', '--bucket', 'bucket', '--latency', '1']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            logs = SESSION.client(
                'logs', 'us-east-1', endpoint_url=url, aws_access_key_id='a', aws_secret_access_key='b'
            )
            assert len(logs.filter_log_events(logGroupName='flowlogs')['events']) == 100
            with urlopen(f'{url}/_fake?reset=1') as answer:
                assert json.load(answer)['count'] == {'FilterLogEvents': 1}
        finally:
            process.terminate()


class TestTraffic:
    def test_same_seed_same_lines(self) -> None:
        assert list(traffic.lines(3_000)) == LINES
        assert list(traffic.lines(100, seed=8)) != LINES[:100]

    def test_mix(self) -> None:
        lines = list(traffic.lines(20_000))
        rows = [line.decode().split(' ') for line in lines]
        assert {len(row) for row in rows} == {14}
        starts = [int(row[10]) for row in rows]
        assert starts == sorted(starts) and starts[0] == START and starts[300] == START + 1
        assert sum(traffic.PROBE_HOST in row for row in rows) == 20
        assert 200 <= sum(row[13] == 'NODATA' for row in rows) <= 220
        assert sum(row[13] == 'SKIPDATA' for row in rows) == 4
        assert 0.08 < sum(row[12] == 'REJECT' for row in rows) / len(rows) < 0.12
        assert any(row[5:8] == ['0', '0', '1'] for row in rows) and any(':' in row[3] for row in rows)
        assert all(row[3] != row[4] for row in rows if row[13] == 'OK')

    def test_write_log(self, tmp_path: Path) -> None:
        traffic.write_log(tmp_path / 'a.gz', 500, gz=True, header=True)
        traffic.write_log(tmp_path / 'b', 500, seed=7)
        header, rest = gzip.decompress((tmp_path / 'a.gz').read_bytes()).split(b'\n', 1)
        assert header == traffic.HEADER and rest == (tmp_path / 'b').read_bytes()
        assert rest.splitlines() == LINES[:500]

    def test_to_format(self) -> None:
        line = b'2 1 eni-1 10.0.0.1 8.8.8.8 5 53 17 1 60 100 160 ACCEPT OK'
        assert traffic.to_format(line, traffic.FIELDS) == line
        fields = ['version', 'vpc_id', 'pkt-dstaddr', 'flow-direction', 'traffic-path', 'reject-reason', 'brand-new']
        assert traffic.to_format(line, fields, vpc_id='vpc-9') == b'8 vpc-9 8.8.8.8 egress 8 - -'
        nodata = b'2 1 eni-1 - - - - - - - 100 160 - NODATA'
        assert traffic.to_format(nodata, ['type', 'srcaddr', 'tcp-flags', 'log-status']) == b'- - - NODATA'
