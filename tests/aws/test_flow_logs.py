"""`--list`: which flow logs there are, and the command that reads each."""

from __future__ import annotations

import shlex
import threading

import pytest

from tests.conftest import HOUR, NOW, Cli
from tests.fake.aws import DEFAULT_FORMAT, REGION, FakeAWS

HEADER = 'flow_log_id	region	resource_id	traffic_type	destination	format	status	command'
FIREHOSE = 'arn:aws:firehose:us-east-1:123456789010:deliverystream/flows'
VPC, SUBNET, ENI, INSTANCE = 'vpc-0a', 'subnet-0a', 'eni-0a', 'i-0a'


@pytest.fixture(autouse=True)
def few_regions(fake: FakeAWS) -> None:
    """A client for each Region takes its time."""
    fake.ec2.regions = ['ap-northeast-1', 'eu-west-1', 'us-east-1', 'us-west-2']


def rows(stdout: bytes) -> list[dict[str, str]]:
    header, *lines = stdout.decode().splitlines()
    assert header == HEADER
    return [dict(zip(header.split('\t'), line.split('\t'), strict=True)) for line in lines]


def ids(stdout: bytes) -> list[str]:
    return [row['resource_id'] for row in rows(stdout)]


# -- the rows ----------------------------------------------------------------------------------------------------------


def test_a_flow_log_is_a_row_that_ends_with_the_command_that_reads_it(fake: FakeAWS, cli: Cli) -> None:
    fake.add_flow_log(VPC, log_group='/vpc/flows', flowLogId='fl-01', trafficType='REJECT')
    result = cli('--list')
    command = 'flowlogs_reader /vpc/flows --region us-east-1'
    row = f'fl-01	us-east-1	{VPC}	REJECT	/vpc/flows	default	ACTIVE	{command}'
    assert result.stdout.decode() == f'{HEADER}\n{row}\n'
    assert result.stderr == ''


def test_the_command_reads_the_flow_log(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.add_log_group('VPCFlowLogGroup', 'ap-northeast-1', HOUR.splitlines())
    fake.add_flow_log(log_group='VPCFlowLogGroup', region='ap-northeast-1')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'ap-northeast-1')
    [row] = rows(cli('--list').stdout)
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'eu-west-1')
    assert cli(*shlex.split(row['command'])[1:], now=NOW).stdout == HOUR


DESTINATIONS: list[tuple[dict[str, str], str, str]] = [
    ({'log_group': 'flows'}, 'flows', 'flows'),
    ({'destination': 'arn:aws:logs:us-east-1:123456789010:log-group:/a/b:*'}, '/a/b', '/a/b'),
    (
        {
            'destination': 'arn:aws:logs:us-east-1:999999999999:log-group:central:*',
            'log_group': 'central',
            'deliverCrossAccountRole': 'arn:aws:iam::999999999999:role/flows',
        },
        'arn:aws:logs:us-east-1:999999999999:log-group:central',
        'arn:aws:logs:us-east-1:999999999999:log-group:central',
    ),
    ({'destination': 'arn:aws:s3:::bucket'}, 's3://bucket', 's3://bucket'),
    (
        {'destination': 'arn:aws-cn:s3:::bucket/a b/', 'logDestinationType': 's3'},
        's3://bucket/a b',
        "'s3://bucket/a b'",
    ),
]


def test_what_flow_logs_deliver_to(fake: FakeAWS, cli: Cli) -> None:
    for flow_log, _, _ in DESTINATIONS:
        fake.add_flow_log(**flow_log)
    listed = rows(cli('--list').stdout)
    assert [row['destination'] for row in listed] == [destination for _, destination, _ in DESTINATIONS]
    commands = [f'flowlogs_reader {location} --region us-east-1' for _, _, location in DESTINATIONS]
    assert [row['command'] for row in listed] == commands


def test_what_firehose_gets_cannot_be_read_and_the_row_says_so(fake: FakeAWS, cli: Cli) -> None:
    fake.add_flow_log(destination=FIREHOSE, logDestinationType='kinesis-data-firehose')
    [row] = rows(cli('--list').stdout)
    assert row['destination'] == FIREHOSE
    assert row['command'].startswith('# cannot be read from Firehose')


def test_the_format_of_a_flow_log(fake: FakeAWS, cli: Cli) -> None:
    fake.add_flow_log(log_format=DEFAULT_FORMAT)
    fake.add_flow_log(log_format='${version} ${srcaddr} ${dstaddr}')
    fake.add_flow_log(log_format='${srcaddr} ${dstaddr}', destination='arn:aws:s3:::b', file_format='parquet')
    fake.add_flow_log(log_format='nonsense')
    shown = [row['format'] for row in rows(cli('--list').stdout)]
    assert shown == ['default', '3 fields', '2 fields, Parquet', '-']


def test_the_status_says_why_nothing_arrives(fake: FakeAWS, cli: Cli) -> None:
    fake.add_flow_log()
    fake.add_flow_log(deliverLogsStatus='FAILED', deliverLogsErrorMessage='Access error')
    fake.add_flow_log(deliverLogsErrorMessage='Rate limited')
    fake.add_flow_log(deliverLogsStatus='FAILED')
    shown = [row['status'] for row in rows(cli('--list').stdout)]
    assert shown == ['ACTIVE', 'FAILED: Access error', 'FAILED: Rate limited', 'FAILED: no reason given']


@pytest.mark.parametrize('encoding', ['text', 'csv', 'jsonl', 'parquet'])
def test_a_reason_of_any_characters_is_one_value(encoding: str, fake: FakeAWS, cli: Cli) -> None:
    fake.add_flow_log(deliverLogsStatus='FAILED', deliverLogsErrorMessage='no\ttabs\nlines or \x9b31m')
    stdout = cli('--list', '--region', 'us-east-1', '-o', encoding).stdout
    assert rb'FAILED: no\ttabs\nlines or \x9b31m' in stdout.replace(rb'\\', b'\\')


def test_many_flow_logs_come_in_pages(fake: FakeAWS, cli: Cli) -> None:
    fake.ec2.page_rows = 2
    for number in range(5):
        fake.add_flow_log(f'vpc-{number}', log_group=f'group-{number}')
    assert ids(cli('--list').stdout) == [f'vpc-{number}' for number in range(5)]
    assert fake.count('DescribeFlowLogs') == 3


def test_the_command_names_the_identity_that_was_used(fake: FakeAWS, cli: Cli) -> None:
    role = 'arn:aws:iam::210987654321:role/audit'
    fake.add_role(role, external_id='x y')
    fake.add_flow_log(log_group='theirs', account='210987654321')
    fake.add_flow_log(log_group='mine')
    [row] = rows(cli('--list', '--role-arn', role, '--external-id', 'x y').stdout)
    assert row['command'] == f"flowlogs_reader theirs --region us-east-1 --role-arn {role} --external-id 'x y'"


def test_the_command_names_the_profile(
    fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp('aws') / 'config'
    config.write_text('[profile audit]\nregion = eu-west-2\naws_access_key_id = AKIA1\naws_secret_access_key = s\n')
    monkeypatch.setenv('AWS_CONFIG_FILE', str(config))
    fake.add_flow_log(log_group='flows', region='eu-west-2')
    [row] = rows(cli('--list', '--profile', 'audit').stdout)
    assert row['command'] == 'flowlogs_reader flows --region eu-west-2 --profile audit'


# -- Regions -----------------------------------------------------------------------------------------------------------


def test_one_region_is_asked_with_one_request(fake: FakeAWS, cli: Cli) -> None:
    fake.add_flow_log(VPC, log_group='here', region='eu-west-1')
    fake.add_flow_log('vpc-0b', log_group='there', region='eu-west-2')
    assert ids(cli('--list', '--region', 'eu-west-1').stdout) == [VPC]
    assert [(call.operation, call.region) for call in fake.calls()] == [('DescribeFlowLogs', 'eu-west-1')]


def test_all_regions_are_asked_at_once_and_shown_in_order(fake: FakeAWS, cli: Cli) -> None:
    fake.latency_ms = 20
    for region in ('us-west-2', 'ap-northeast-1', 'eu-west-1'):
        fake.add_flow_log(log_group='flows', region=region)
    listed = rows(cli('--list', '--all-regions').stdout)
    assert [row['region'] for row in listed] == ['ap-northeast-1', 'eu-west-1', 'us-west-2']
    assert [row['command'].split()[-1] for row in listed] == ['ap-northeast-1', 'eu-west-1', 'us-west-2']
    assert sorted(call.region for call in fake.calls('DescribeFlowLogs')) == sorted(fake.ec2.regions)
    assert fake.max_concurrent('DescribeFlowLogs') > 1


def test_a_system_without_more_threads_asks_one_region_after_the_other(
    fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMore(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr('flowlogs_reader.aws.background.Thread', NoMore)
    for region in ('us-west-2', 'eu-west-1'):
        fake.add_flow_log(log_group='flows', region=region)
    listed = rows(cli('--list', '--all-regions').stdout)
    assert [row['region'] for row in listed] == ['eu-west-1', 'us-west-2']
    # The search for the group elsewhere does without.
    assert 'there is no log group nowhere' in cli('nowhere', status=1).stderr


def test_a_region_that_fails_does_not_silence_the_others(fake: FakeAWS, cli: Cli) -> None:
    regions = {'eu-west-1', 'us-east-1'}
    fake.ec2.regions = sorted(regions)
    for region in regions:
        fake.add_flow_log(log_group='flows', region=region)
    fake.fault('DescribeFlowLogs', 'deny', times=1)
    result = cli('--list', '--all-regions', status=1)
    [listed] = rows(result.stdout)
    [refused] = regions - {listed['region']}
    assert result.stderr.startswith(f'flowlogs_reader: cannot list the flow logs in {refused}: ')
    assert len(result.stderr.splitlines()) == 1


# -- a resource --------------------------------------------------------------------------------------------------------


@pytest.fixture
def network(fake: FakeAWS) -> FakeAWS:
    """Flow logs on a VPC, a subnet and an interface in it, and on others."""
    fake.add_interface(ENI, vpc_id=VPC, subnet_id=SUBNET, instance_id=INSTANCE)
    fake.add_interface('eni-0a2', vpc_id=VPC, subnet_id='subnet-0a2', instance_id=INSTANCE)
    fake.add_interface('eni-0b', vpc_id='vpc-0b', subnet_id='subnet-0b', instance_id='i-0b')
    for resource in (VPC, SUBNET, 'subnet-0a2', ENI, 'eni-0a2', 'vpc-0b', 'subnet-0b', 'eni-0b', 'tgw-0a'):
        fake.add_flow_log(resource, log_group=f'of-{resource}')
    return fake


@pytest.mark.parametrize(
    ('resource', 'covered_by'),
    [
        (ENI, [VPC, SUBNET, ENI]),
        (SUBNET, [VPC, SUBNET]),
        (VPC, [VPC]),
        (INSTANCE, [VPC, SUBNET, 'subnet-0a2', ENI, 'eni-0a2']),
        ('tgw-0a', ['tgw-0a']),
    ],
)
def test_the_flow_logs_that_cover_a_resource(resource: str, covered_by: list[str], network: FakeAWS, cli: Cli) -> None:
    assert ids(cli('--list', resource).stdout) == covered_by


def test_a_resource_is_found_in_the_region_that_has_it(network: FakeAWS, cli: Cli) -> None:
    network.add_interface('eni-0c', 'eu-west-1', vpc_id='vpc-0c', subnet_id='subnet-0c')
    network.add_flow_log('vpc-0c', log_group='c', region='eu-west-1')
    assert ids(cli('--list', 'eni-0c', '--all-regions').stdout) == ['vpc-0c']
    assert [call.region for call in network.calls('DescribeFlowLogs')] == ['eu-west-1']


# -- nothing, and errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('argv', 'told'),
    [
        (['--list'], 'this account has no flow logs in us-east-1 (because no Region is configured): try --all-regions'),
        (['--list', '--region', 'eu-west-1'], 'no flow logs in eu-west-1 (from --region): try --all-regions'),
        (['--list', '--all-regions'], 'this account has no flow logs in any Region'),
        (['--list', VPC], f'no flow log covers {VPC} in us-east-1'),
    ],
)
def test_nothing_found_is_reported_and_is_not_a_failure(argv: list[str], told: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli(*argv)
    assert told in result.stderr
    assert (result.stdout, len(result.stderr.splitlines())) == (b'', 1)


@pytest.mark.parametrize('resource', ['eni-0f', 'subnet-0f', 'i-0f'])
def test_a_resource_that_is_not_there_is_reported(resource: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli('--list', resource, status=1)
    says = f'flowlogs_reader: there is no {resource} in {REGION} (because no Region is configured): check the id'
    assert result.stderr.startswith(says)
    assert fake.count('DescribeFlowLogs') == 0


@pytest.mark.parametrize('operation', ['DescribeFlowLogs', 'DescribeNetworkInterfaces'])
def test_not_being_allowed_to_is_one_line(operation: str, network: FakeAWS, cli: Cli) -> None:
    network.deny(operation)
    result = cli('--list', ENI, status=1)
    assert len(result.stderr.splitlines()) == 1
    assert f'cannot list the flow logs in {REGION}: ' in result.stderr
    assert 'UnauthorizedOperation' in result.stderr
    assert 'add this action to the policy' in result.stderr


def test_the_regions_cannot_be_asked_for(fake: FakeAWS, cli: Cli) -> None:
    fake.deny('DescribeRegions')
    result = cli('--list', '--all-regions', status=1)
    assert (result.stdout, len(result.stderr.splitlines())) == (b'', 1)
    assert 'DescribeRegions' in result.stderr


def test_no_credentials_is_one_line(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AWS_ACCESS_KEY_ID')
    result = cli('--list', status=1)
    assert len(result.stderr.splitlines()) == 1
    assert 'Unable to locate credentials' in result.stderr
    assert fake.calls() == []


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (['--list', 'web-server'], "not 'web-server'"),
        (['--list', 'eni_0a'], "not 'eni_0a'"),
        (['--list', 'eni-0a*'], "not 'eni-0a*'"),
        (['VPCFlowLogGroup', '--list'], "'VPCFlowLogGroup' does not go with --list"),
        (['--list', VPC, 'top'], "'top' does not go with --list"),
        (['--list', '-s', '2016-02-01 10:00:00'], '--start-time does not go with --list'),
        (['--list', '--fields', 'version'], '--fields does not go with --list'),
        (['--list', '--profile', 'nobody'], 'nobody'),
        (['VPCFlowLogGroup', '--all-regions'], '--all-regions goes with --list'),
    ],
)
def test_a_usage_error_is_reported_before_any_request(argv: list[str], says: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli(*argv, status=2)
    assert says in result.stderr.splitlines()[-1]
    assert fake.calls() == []


def test_only_reading_operations_are_called(network: FakeAWS, cli: Cli) -> None:
    cli('--list', INSTANCE, '--all-regions')
    cli('--list', SUBNET)
    allowed = {'DescribeFlowLogs', 'DescribeNetworkInterfaces', 'DescribeRegions', 'DescribeSubnets'}
    assert {call.operation for call in network.calls()} == allowed
