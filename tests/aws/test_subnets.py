"""srcaddr/az, /subnet and /vpc: where addresses are, by the subnets that EC2 knows; and --list of an address."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from flowlogs_reader.aws.subnets import Subnet, mappings_of
from tests import sample_vpc as vpc
from tests.conftest import Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log
from tests.sample_vpc import SUBNETS, V5, VPC

RECORDS = [record.values for record in vpc.records(60)]
WINDOW = ['-s', '1454324000', '-e', '1454326000']
REGION = vpc.REGION
LOG = Log([' '.join(values[name] for name in V5).encode() for values in RECORDS], V5, region=REGION)


@pytest.fixture(autouse=True)
def subnets(fake: FakeAWS) -> None:
    for name, (block, zone) in SUBNETS.items():
        fake.add_subnet(name, block, zone, REGION, vpc_id=VPC)
    fake.add_subnet('subnet-0f', '10.0.9.0/24', 'use1-az1', 'us-east-1', vpc_id='vpc-0f')


def label(address: str, name: str) -> str:
    for subnet, (block, zone) in SUBNETS.items():
        if ip_address(address) in ip_network(block):
            return {'az': zone, 'subnet': subnet, 'vpc': VPC}[name]
    return '-'


def expected(*names: str, across: bool = False) -> set[tuple[str, ...]]:
    """Return bytes, packets, flows and the labels of source and destination."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for values in RECORDS:
        key = tuple(label(values[name.partition('/')[0]], name.partition('/')[2]) for name in names)
        if across and (len(set(key)) == 1 or '-' in key):
            continue
        for at, number in enumerate((int(values['bytes']), int(values['packets']), 1)):
            sums[key][at] += number
    return {(*map(str, total), *key) for key, total in sums.items()}


@pytest.mark.parametrize('road', ['cloudwatch', 's3 hourly', 's3 parquet', 'file gzip', 'stdin plain', 'file parquet'])
def test_keys_and_conditions_say_where_addresses_are(road: str, fake: FakeAWS, tmp_path: Path, cli: Cli) -> None:
    place = ROADS[road].lay(LOG, fake, tmp_path).over(cli)
    region = [] if road in ('cloudwatch', 's3 hourly', 's3 parquet') else ['--region', REGION]

    def read(*argv: str) -> set[tuple[str, ...]]:
        return {tuple(line.split('\t')) for line in place(*argv, '--no-header', *region, *WINDOW).lines}

    assert read('top', '99', 'srcaddr/az', 'dstaddr/az') == expected('srcaddr/az', 'dstaddr/az')
    assert read('top', '99', 'srcaddr/subnet', 'dstaddr/vpc') == expected('srcaddr/subnet', 'dstaddr/vpc')
    inside = ['-w', 'srcaddr/az!=-', '-w', 'dstaddr/az!=-']
    across = read('top', '99', 'srcaddr/az', 'dstaddr/az', '-w', 'srcaddr/az!=dstaddr/az', *inside)
    assert across == expected('srcaddr/az', 'dstaddr/az', across=True)
    one = read('print', '-c', 'srcaddr', '-w', 'srcaddr/az=euw1-az2')
    starts = '10.0.2.'
    assert {line[0] for line in one} == {
        values['srcaddr'] for values in RECORDS if values['srcaddr'].startswith(starts)
    }
    assert {call.region for call in fake.calls('DescribeSubnets')} == {REGION}
    assert fake.count('DescribeSubnets') == 4  # once for each command


def test_several_locations_share_the_subnets(fake: FakeAWS, tmp_path: Path, cli: Cli) -> None:
    parts = [Log(LOG.lines[at::2], V5, region=REGION) for at in range(2)]
    places = [ROADS[road].lay(part, fake, tmp_path) for road, part in zip(['file gzip', 's3 hourly'], parts)]
    argv = [*(place.argv[0] for place in places), 'top', '99', 'srcaddr/az', 'dstaddr/az']
    more = ['-w', 'srcaddr/az!=dstaddr/az', '--no-header', '--quiet', '--region', REGION, *WINDOW]
    found = {tuple(line.split('\t')) for line in cli(*argv, *more).lines}
    assert found == expected('srcaddr/az', 'dstaddr/az', across=True)
    assert fake.count('DescribeSubnets') == 1


def test_every_action_takes_them(fake: FakeAWS, cli: Cli) -> None:
    argv = ['--region', REGION, '--no-header']
    once = cli('-', 'top', '99', 'srcaddr/az', '--once', *argv, stdin=LOG.text()).lines
    counted = [values for values, counts in vpc.records(60) if counts]
    sums: dict[str, int] = defaultdict(int)
    for values in counted:
        sums[label(values['srcaddr'], 'az')] += int(values['bytes'])
    assert {line.split('\t')[3]: int(line.split('\t')[0]) for line in once} == sums
    daily = cli('-', 'timeline', '1d', 'dstaddr/az', *argv, stdin=LOG.text()).lines
    assert {line.split('\t')[1] for line in daily} == {'-', 'euw1-az1', 'euw1-az2'}
    zones = cli('-', 'top', 'srcaddr', '--distinct', 'dstaddr/az', '--by', 'dstaddr/az', *argv, stdin=LOG.text()).lines
    reached: dict[str, set[str]] = defaultdict(set)
    for values in RECORDS:
        reached[values['srcaddr']].add(label(values['dstaddr'], 'az'))
    assert {line.split('\t')[4]: int(line.split('\t')[3]) for line in zones} == {
        source: len(found - {'-'})
        for source, found in reached.items()
        if source in {line.split('\t')[4] for line in zones}
    }
    assert cli('-', 'aggregate', 'srcaddr/vpc', *argv, stdin=LOG.text()).lines


def test_blocks_of_several_vpcs_are_reported_and_not_mapped(fake: FakeAWS, cli: Cli) -> None:
    fake.add_subnet('subnet-0e', '10.0.2.128/25', 'euw1-az3', REGION, vpc_id='vpc-0e')
    result = cli('-', 'top', '99', 'srcaddr/az', '--region', REGION, '--no-header', stdin=LOG.text())
    assert {line.split('\t')[3] for line in result.lines} == {'euw1-az1', '-'}
    assert result.stderr == (
        f'flowlogs_reader: addresses of 10.0.2.0/24 ({VPC}, vpc-0e), 10.0.2.128/25 ({VPC}, vpc-0e) are not mapped: '
        'several VPCs have them\n'
    )
    assert cli('-', 'top', 'srcaddr/az', '--region', REGION, '--quiet', stdin=LOG.text()).stderr == ''


def test_mappings() -> None:
    def subnet(block: str, name: str, of: str = 'vpc-1') -> Subnet:
        return Subnet(ip_network(block), f'az-of-{name}', name, of)

    mappings, shared = mappings_of(
        [
            subnet('10.1.0.0/16', 'a'), subnet('10.2.0.0/16', 'b'), subnet('10.2.0.0/16', 'c', 'vpc-2'),
            subnet('10.3.7.0/24', 'd'), subnet('10.3.0.0/16', 'e', 'vpc-2'), subnet('10.3.9.0/24', 'f', 'vpc-3'),
            subnet('2600:1f18:1:2::/64', 'a'), subnet('10.4.0.0/24', 'g', 'vpc-2'),
        ]
    )  # fmt: skip
    assert {str(block): vpcs for block, vpcs in shared.items()} == {
        '10.2.0.0/16': ['vpc-1', 'vpc-2'],
        '10.3.0.0/16': ['vpc-1', 'vpc-2', 'vpc-3'],
        '10.3.7.0/24': ['vpc-1', 'vpc-2'],
        '10.3.9.0/24': ['vpc-2', 'vpc-3'],
    }
    assert [(str(block), name) for block, name in mappings['subnet'].networks] == [
        ('10.1.0.0/16', 'a'), ('10.4.0.0/24', 'g'), ('2600:1f18:1:2::/64', 'a'),
    ]  # fmt: skip
    assert mappings['az'].labels == ('az-of-a', 'az-of-g')
    assert mappings['vpc'].labels == ('vpc-1', 'vpc-2')


def test_a_block_of_ipv6_belongs_to_its_subnet(fake: FakeAWS, cli: Cli) -> None:
    fake.add_subnet('subnet-06', '10.0.6.0/24', 'euw1-az1', REGION, ipv6='2600:1f18:1:6::/64')
    log = b'srcaddr bytes\n2600:1f18:1:6::9 4\n10.0.6.9 5\n'
    assert cli('-', 'top', 'srcaddr/subnet', '--region', REGION, stdin=log).lines[1:] == ['9\t0\t2\tsubnet-06']


def test_many_subnets_come_in_pages(fake: FakeAWS, cli: Cli) -> None:
    fake.ec2.page_rows = 1
    assert cli('-', 'top', 'srcaddr/az', '--region', REGION, stdin=LOG.text()).stdout
    assert fake.count('DescribeSubnets') == len(SUBNETS)


def test_a_label_that_does_not_exist_is_reported(fake: FakeAWS, cli: Cli) -> None:
    argv = ['--region', REGION, '-w', 'srcaddr/az=euw1-az9']
    result = cli('-', 'top', *argv, stdin=LOG.text(), status=1)
    assert result.stdout == b''
    assert 'srcaddr/az=euw1-az9: there is no such az: there is euw1-az1, euw1-az2' in result.stderr


def test_not_being_allowed_to_ask_is_one_line(fake: FakeAWS, cli: Cli) -> None:
    fake.deny('DescribeSubnets')
    result = cli('-', 'top', 'srcaddr/az', '--region', REGION, stdin=LOG.text(), status=1)
    assert (result.stdout, len(result.stderr.splitlines())) == (b'', 1)
    assert f'cannot list the subnets in {REGION}: ' in result.stderr
    assert 'add this action to the policy' in result.stderr


def test_a_file_needs_credentials(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AWS_ACCESS_KEY_ID')
    result = cli('-', 'top', 'srcaddr/az', '--region', REGION, stdin=LOG.text(), status=1)
    assert 'Unable to locate credentials' in result.stderr
    monkeypatch.setenv('AWS_REGION', REGION)
    assert 'Unable to locate' in cli('-', 'top', 'srcaddr/az', stdin=LOG.text(), status=1).stderr


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (['top', 'srcaddr/az'], '/az needs the subnets of the VPC, which EC2 knows: give --region, and credentials'),
        (['-w', 'srcaddr/vpc=vpc-1'], '/vpc needs the subnets'),
        (['top', 'srcaddr', '--region', REGION], '--region does not go with a file'),
        (['top', 'srcaddr/class', '--profile', 'x'], '--profile does not go with a file'),
        (['top', 'dstport/az', '--region', REGION], "'dstport/az': only addresses have networks"),
        (['top', 'srcaddr/zone', '--region', REGION], "'srcaddr/zone': there is no mapping 'zone'"),
        (['-w', 'srcaddr/az>use1-az1', '--region', REGION], 'srcaddr/az is text, which can be compared with = and !='),
        (['-w', 'srcaddr/az=dstaddr/vpc', '--region', REGION], 'are not of one kind'),
    ],
)
def test_arguments_that_do_not_fit(argv: list[str], says: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli('-', *argv, stdin=LOG.text(), status=2)
    assert says in result.stderr.splitlines()[-1]
    assert (result.stdout, fake.calls()) == (b'', [])


# -- --list of an address ----------------------------------------------------------------------------------------------


@pytest.fixture
def network(fake: FakeAWS) -> FakeAWS:
    web = {'description': 'Primary\tinterface', 'availabilityZoneId': 'use1-az1'}
    fake.add_interface(
        'eni-0a', vpc_id='vpc-0a', subnet_id='subnet-0a', instance_id='i-0a', private_ip='10.0.1.15', **web,
        tagSet=[{'key': 'Name', 'value': 'web 1'}, {'key': 'team', 'value': 'x'}], association={'publicIp': '3.3.3.3'},
    )  # fmt: skip
    fake.add_interface('eni-0b', vpc_id='vpc-0b', subnet_id='subnet-0b', private_ip='10.0.1.15')
    fake.add_interface('eni-0c', vpc_id='vpc-0a', subnet_id='subnet-0c', private_ip='10.0.1.16', ipv6Address='2600::7')
    for resource in ('vpc-0a', 'eni-0a', 'subnet-0c'):
        fake.add_flow_log(resource, log_group=f'of-{resource}')
    return fake


HEADER = 'interface_id instance_id subnet_id az_id vpc_id name description'.split()


@pytest.mark.parametrize(
    ('address', 'found'),
    [
        ('10.0.1.15', [('eni-0a', 'of-vpc-0a'), ('eni-0a', 'of-eni-0a'), ('eni-0b', '-')]),
        ('10.0.1.16', [('eni-0c', 'of-vpc-0a'), ('eni-0c', 'of-subnet-0c')]),
        ('3.3.3.3', [('eni-0a', 'of-vpc-0a'), ('eni-0a', 'of-eni-0a')]),
        ('2600:0:0::0007', [('eni-0c', 'of-vpc-0a'), ('eni-0c', 'of-subnet-0c')]),
    ],
)
def test_the_interfaces_of_an_address_and_their_flow_logs(
    address: str, found: list[tuple[str, str]], network: FakeAWS, cli: Cli
) -> None:
    header, *rows = (line.split('\t') for line in cli('--list', address).lines)
    assert header[:8] == [*HEADER, 'flow_log_id']
    assert [(row[0], row[header.index('destination')]) for row in rows] == found
    by_name = [dict(zip(header, row, strict=True)) for row in rows]
    for row in by_name:
        if row['interface_id'] == 'eni-0a':
            assert [row[name] for name in HEADER] == [
                'eni-0a', 'i-0a', 'subnet-0a', 'use1-az1', 'vpc-0a', 'web 1', 'Primary interface',
            ]  # fmt: skip
            assert row['command'] == f'flowlogs_reader {row["destination"]} --region us-east-1'
        if row['interface_id'] == 'eni-0b':
            assert row['command'] == '# no flow log covers this interface'
    allowed = {'DescribeFlowLogs', 'DescribeNetworkInterfaces'}
    assert {call.operation for call in network.calls()} == allowed


def test_an_address_that_no_interface_has_is_reported(network: FakeAWS, cli: Cli) -> None:
    result = cli('--list', '10.9.9.9', status=1)
    assert result.stderr.startswith('flowlogs_reader: no interface has 10.9.9.9 in us-east-1 (because no Region')
    network.add_interface('eni-0d', 'eu-west-1', private_ip='10.9.9.9')
    network.ec2.regions = ['eu-west-1', 'us-east-1']
    assert cli('--list', '10.9.9.9', '--all-regions', '--no-header').lines[0].startswith('eni-0d\t-\t')


def test_a_block_is_not_an_address(fake: FakeAWS, cli: Cli) -> None:
    assert "or an IP address, not '10.0.0.0/8'" in cli('--list', '10.0.0.0/8', status=2).stderr
