"""Conditions as people write them: which values pass, and the messages for invalid ones."""

from __future__ import annotations

import pickle
from ipaddress import ip_network

import pytest

from flowlogs_reader.errors import UsageError
from flowlogs_reader.query.conditions import (
    Condition,
    Flags,
    OtherField,
    Range,
    find_addresses,
    host_bits,
    parse_condition,
)
from flowlogs_reader.query.mappings import CLASSES
from flowlogs_reader.records.block import Block
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources.filter import Filter

# The condition, values that pass, values that do not.
PASSES = [
    ('srcaddr=10.0.0.1', '10.0.0.1', '10.0.0.10 110.0.0.1 - 2001:db8::1'),
    ('srcaddr=10.0.0.0/8', '10.0.0.0 10.255.255.255', '11.0.0.0 - 2001:db8::1 unknown'),
    ('srcaddr=10.0.0.1,192.168.0.0/16', '10.0.0.1 192.168.7.7', '10.0.0.2'),
    ('srcaddr=10.1.2.3/255.0.0.0', '10.9.9.9', '11.0.0.1'),
    ('dstaddr=0.0.0.0/0', '1.2.3.4', '- ::1'),
    ('dstaddr=2001:db8::/32', '2001:db8::1 2001:DB8:0:0:0:0:0:2', '2001:db9::1 10.0.0.1 -'),
    ('dstaddr=2001:db8::1', '2001:db8::1 2001:db8:0:0:0:0:0:1 2001:0db8::0001', '2001:db8::2'),
    ('dstaddr=2001:0DB8:0:0::1', '2001:db8:0:0:0:0:0:1', '-'),
    ('srcaddr=-', '-', '10.0.0.1'),
    ('srcaddr=private', '10.0.0.1 100.64.0.1 169.254.1.1 fd00::1 fe80::1', '8.8.8.8 - 224.0.0.1 2600::1 unknown'),
    ('dstaddr=Internet,-', '8.8.8.8 2600::1 -', '10.0.0.1 203.0.113.1 ::1 ff02::1 unknown'),
    ('srcaddr=internet,10.0.0.0/8', '8.8.8.8 10.0.0.1', '192.168.0.1'),
    ('srcaddr=-,10.0.0.1', '- 10.0.0.1', '10.0.0.2'),
    ('dstport=443', '443', '4430 0 -'),
    ('dstport = 443', '443', '80'),
    ('dstport=22,8000-8100', '22 8000 8050 8100', '23 7999 8101 -'),
    ('dstport=ssh,RDP', '22 3389', '23'),
    ('dstport=http-https', '80 443 100', '79 444'),
    ('dstport=-', '-', '0'),
    ('dstport=0', '0', '- 1'),
    ('protocol=tcp', '6', '17'),
    ('protocol=6,udp', '6 17', '1'),
    ('bytes>=1000', '1000 9223372036854775807', '999 0 -'),
    ('bytes>1000', '1001', '1000 -'),
    ('bytes<1000', '999 0', '1000 -'),
    ('bytes<=1000', '1000', '1001 -'),
    ('start>=1454324362', '1454324362', '1454324361'),
    ('action=REJECT', 'REJECT', 'ACCEPT -'),
    ('action=reject', 'REJECT', 'ACCEPT'),
    ('flow-direction=INGRESS', 'ingress', 'egress'),
    ('type=ipv6', 'IPv6', 'IPv4'),
    ('log_status=nodata,SKIPDATA', 'NODATA SKIPDATA', 'OK'),
    ('action=-', '-', 'ACCEPT'),
    ('interface_id=eni-1,eni-2', 'eni-1 eni-2', 'eni-11 ENI-1 -'),
    ('Interface-ID=eni-1', 'eni-1', 'eni-2'),
    ('pkt_dst_aws_service=S3', 'S3', 'EC2 s3'),
    ('pkt_src_aws_service=s3', 'S3', 'EC2 s3'),
    ('region=US-EAST-1', 'us-east-1', 'US-EAST-1 eu-west-1 -'),
    ('vpc_id=vpc-A', 'vpc-A', 'vpc-a VPC-A'),
    ('account_id=012345678901', '012345678901', '12345678901'),
    ('tcp_flags=syn', '2 3 18', '1 16 0 -'),
    ('tcp_flags=syn,ack', '18 19', '2 16 -'),
    ('tcp_flags=SYN+ACK', '18 19', '2 16 -'),
    ('tcp_flags=2', '2', '18 3 -'),
    ('traffic_path=igw', '8', '2 7 -'),
    ('traffic_path=IGW,igw-or-endpoint,endpoint', '8 2 7', '1 -'),
    ('traffic_path=vpc,inter-region-peering,local-zone', '1 5 6', '2 4'),
    ('traffic_path=1-vgw', '1 2 3', '4'),
    ('traffic_path=peering,4-6', '4 5 6', '3 7'),
    ('tcp_flags=2,18-19', '2 18 19', '3'),
    ('tcp_flags=-', '-', '0'),
    ('encryption_status=0', '0', '1 -'),
]


def passing(condition: Condition, values: str) -> list[str]:
    """The values for which a line is kept: the same for each field of the condition."""
    found = []
    for value in values.split():
        kept = []
        for name in condition.fields:
            line = f'{value} x\n'.encode()
            data, matched, skipped = Filter([condition]).keep(Block(Layout([name, 'another_field']), line))
            assert (data, skipped) == (line * matched, 0)
            kept.append(bool(data))
        assert len(set(kept)) == 1
        found += [value] * kept[0]
    return found


@pytest.mark.parametrize(('text', 'passes', 'fails'), PASSES, ids=[text for text, _, _ in PASSES])
def test_which_values_pass(text: str, passes: str, fails: str) -> None:
    condition = parse_condition(text)
    assert passing(condition, passes) == passes.split()
    assert passing(condition, fails) == []


EQUAL = [case for case in PASSES if '<' not in case[0] and '>' not in case[0]]


@pytest.mark.parametrize(('text', 'passes', 'fails'), EQUAL, ids=[text for text, _, _ in EQUAL])
def test_not_equal_keeps_exactly_what_equal_drops(text: str, passes: str, fails: str) -> None:
    layout = Layout([text.partition('=')[0], 'version'])
    lines = [f'{value} 2\n' for value in f'{passes} {fails}'.split()]
    block = Block(layout, ''.join(lines).encode())
    kept = [
        Filter.parse([condition]).keep(block)[0].decode().splitlines(keepends=True)
        for condition in (text, text.replace('=', '!=', 1))
    ]
    assert kept == [lines[: len(passes.split())], lines[len(passes.split()) :]]


@pytest.mark.parametrize(
    ('text', 'fields'),
    [
        ('addr=10.0.0.1', ('srcaddr', 'dstaddr')),
        ('port=22', ('srcport', 'dstport')),
        ('pkt-addr!=10.0.0.1', ('pkt_srcaddr', 'pkt_dstaddr')),
        ('bytes>0', ('bytes',)),
    ],
)
def test_some_names_stand_for_both_sides(text: str, fields: tuple[str, ...]) -> None:
    assert parse_condition(text).fields == fields


@pytest.mark.parametrize(
    ('text', 'passes', 'fails'),
    [
        ('addr/class=internet', '8.8.8.8 2600::1', '10.0.0.1 - unknown 224.0.0.1'),
        ('srcaddr/class!=internet', '10.0.0.1 - unknown 224.0.0.1', '8.8.8.8 2600::1'),
        ('DSTADDR/CLASS=Special,private', '10.0.0.1 224.0.0.1', '8.8.8.8 -'),
        ('srcaddr/class=-', '-', '8.8.8.8 10.0.0.1'),
    ],
)
def test_classes_of_addresses(text: str, passes: str, fails: str) -> None:
    assert passing(parse_condition(text), passes) == passes.split()
    assert passing(parse_condition(text), fails) == []


# The condition, pairs of values of its two fields that pass, pairs that do not.
PAIRS = [
    ('pkt_srcaddr!=srcaddr', '10.0.0.1|10.0.0.2 10.0.0.1|::1', '10.0.0.1|10.0.0.1 ::1|0:0:0:0:0:0:0:1 -|10.0.0.1 -|-'),
    (
        'pkt_srcaddr=srcaddr',
        '10.0.0.1|10.0.0.1 2600::A|2600:0:0:0:0:0:0:a',
        '10.0.0.1|10.0.0.2 -|- -|10.0.0.1 10.0.0.1|-',
    ),
    ('az_id!=next_hop_az_id', 'use1-az1|use1-az2', 'use1-az1|use1-az1 use1-az1|- -|-'),
    ('srcport=dstport', '53|53 0|0', '53|54 -|-'),
    ('srcport!=dstport', '53|54', '53|53 53|- -|53'),
    ('srcport<dstport', '53|443 9|10', '443|53 53|53 -|53 53|- -|-'),
    ('srcport <= DstPort ', '53|53 0|9', '10|9'),
    ('bytes>packets', '100|20 9223372036854775808|9223372036854775807', '20|100 5|5'),
    ('start>=end', '5|5 6|5', '5|6 -|5'),
    ('srcaddr/class!=dstaddr/class', '10.0.0.1|8.8.8.8', '10.0.0.1|fd00::1 8.8.8.8|- -|-'),
    ('srcaddr/class=dstaddr/class', '10.0.0.1|fd00::1', '10.0.0.1|8.8.8.8 -|- -|8.8.8.8'),
]


@pytest.mark.parametrize(('text', 'passes', 'fails'), PAIRS, ids=[text for text, _, _ in PAIRS])
def test_fields_are_compared_with_each_other(text: str, passes: str, fails: str) -> None:
    condition = parse_condition(text)
    assert [len(names) for names in condition.needed] == [1, 1]
    layout = Layout([*(name for (name,) in condition.needed), 'version'])
    lines = [f'{pair.replace("|", " ")} 2\n' for pair in f'{passes} {fails}'.split()]
    kept, _, skipped = Filter([condition]).keep(Block(layout, ''.join(lines).encode()))
    assert (kept.decode(), skipped) == (''.join(lines[: len(passes.split())]), 0)


def test_one_name_for_two_fields_is_compared_with_a_field() -> None:
    block = Block(Layout(['srcaddr', 'dstaddr', 'pkt_srcaddr']), b'a b a\na b b\na b c\na - c\na - -\n')
    assert Filter.parse(['addr=pkt_srcaddr']).keep(block)[0] == b'a b a\na b b\n'
    assert Filter.parse(['addr!=pkt_srcaddr']).keep(block)[0] == b'a b c\n'


def test_fields_of_a_format_of_its_own_are_compared() -> None:
    block = Block(Layout(['own', 'other', 'az_id']), b'a a b\na b a\n- - -\n')
    assert Filter.parse(['own=other'], ['own', 'other']).keep(block)[0] == b'a a b\n'
    assert Filter.parse(['az_id=own'], ['own', 'other']).keep(block)[0] == b'a b a\n'
    with pytest.raises(UsageError, match='is text'):
        parse_condition('own<other', ['own', 'other'])


def test_fields_that_aws_does_not_document() -> None:
    condition = parse_condition('new-field=a,b', ['new_field'])
    assert condition.fields == ('new_field',)
    assert passing(condition, 'a b c') == ['a', 'b']


WRONG = [
    ('dstport', "'dstport' has no operator and no value"),
    ('', "'' is not FIELD=VALUE"),
    ('=443', "'=443' is not FIELD=VALUE"),
    ('443=dstport', 'is not FIELD=VALUE'),
    ('destport=443', "no field 'destport' (similar: dstport, srcport, port)"),
    ('colour=red', "no field 'colour'"),
    ('dstport=', 'empty value'),
    ('dstport=22,', 'empty value'),
    ('dstport=x', "dstport takes a number up to 65535, or a name such as ssh or https; not 'x'"),
    ('dstport=htps', "dstport has no 'htps': did you mean https or http"),
    ('dstport=65536', 'dstport is a number from 0 to 65535, not 65536'),
    ('port<70000', 'port is a number from 0 to 65535, not 70000'),
    ('dstport=443 and action=ACCEPT', 'is two conditions, dstport=443 and action=ACCEPT'),
    ('dstport=443&&action=ACCEPT', 'is two conditions, dstport=443 and action=ACCEPT'),
    ('dstport=443 AND bytes>1 and flows>1', 'is two conditions, dstport=443 and bytes>1 and flows>1'),
    ('dstport=443 action=ACCEPT', 'is two conditions, dstport=443 and action=ACCEPT'),
    ('dstport=443,action=ACCEPT', 'is two conditions, dstport=443 and action=ACCEPT'),
    ('dstport=443, 22 , action=ACCEPT', 'is two conditions, dstport=443, 22 and action=ACCEPT'),
    ('bytes=>1000', 'the operator is >=: bytes>=1000'),
    ('bytes =< 1000', 'the operator is <=: bytes<=1000'),
    ('action<>ACCEPT', 'the operator is !=: action!=ACCEPT'),
    ('dstport=443 or dstport=80', 'conditions cannot be joined by or'),
    ('port>=', "'port>=': the value is missing"),
    ('start>=2016-02-01', "start takes Unix seconds; not '2016-02-01'"),
    ('end<1454324362123', "end takes Unix seconds; not '1454324362123'"),
    ('dstport=-1', "'-1'"),
    ('dstport=٢٢', 'takes a number'),
    ('dstport==22', "'dstport==22': one = is enough: dstport=22"),
    ('action!==ACCEPT', 'one = is enough: action!=ACCEPT'),
    ('dstport=100-22', 'the range 100-22 of dstport ends before it begins'),
    ('dstport>=-', "'-'"),
    ('protocol=256', 'from 0 to 255'),
    ('protocol=quic', 'or one of icmp'),
    ('bytes=1.5', "bytes takes a number; not '1.5'"),
    ('bytes>=1,2', "'1,2'"),
    ('bytes=99999999999999999999', 'takes a number'),
    ('srcaddr=10.0.0', "'10.0.0' is not an IP address or CIDR block for srcaddr"),
    ('addr=10.0.0.0/33', "'10.0.0.0/33'"),
    ('addr=fe80::1%eth0', "'fe80::1%eth0'"),
    ('addr=host', "'host'"),
    ('addr=010.0.0.1', "'010.0.0.1'"),
    ('addr>10.0.0.1', 'addr is text'),
    ('action>ACCEPT', 'action is text'),
    ('action=DENY', 'action is one of ACCEPT, REJECT; not'),
    ('flow_direction=in', 'flow_direction is one of ingress, egress'),
    ('type=ipv5', 'type is one of IPv4, IPv6, EFA'),
    ('log_status=fine', 'log_status is one of OK, NODATA, SKIPDATA'),
    ('tcp_flags=syn,2', "tcp_flags has no '2'"),
    ('tcp_flags=cwr', "'cwr'"),
    ('tcp_flags=256', 'from 0 to 255'),
    ('tcp_flags=syn+', "tcp_flags has no ''"),
    ('tcp_flags=fin+cwr', "tcp_flags has no 'cwr': give a number, or names of fin, syn"),
    ('traffic_path=nat', 'traffic_path takes a number, or one of vpc, igw-or-endpoint'),
    ('srcport!=443,dstport', 'dstport is the name of a field: a field is compared with one field, or with values'),
    ('srcaddr=srcaddr', 'srcaddr is compared with itself'),
    ('addr=SrcAddr', 'addr is compared with itself'),
    ('pkt_srcaddr=addr', 'addr is srcaddr and dstaddr: write it on the left side'),
    ('srcport=port', 'port is srcport and dstport: write it on the left side'),
    ('srcaddr=bytes', 'srcaddr is an address, bytes is a number: only fields of one kind are compared'),
    ('start<bytes', 'start is a time, bytes is a number'),
    ('vpc_id=srcaddr', 'vpc_id is text, srcaddr is an address'),
    ('az_id<next_hop_az_id', 'az_id is text, which can be compared with = and != only'),
    ('srcaddr>dstaddr', 'srcaddr is text'),
    ('srcaddr/class=dstaddr', 'srcaddr/class and dstaddr are not of one kind'),
    ('srcaddr=dstaddr/class', 'srcaddr and dstaddr/class are not of one kind'),
    ('srcaddr/class=srcaddr/class', 'srcaddr/class is compared with itself'),
    ('srcaddr/class<internet', 'srcaddr/class is text'),
    ('srcaddr/class=intern', "there is no class 'intern': choose from special, internet, private"),
    ('srcaddr/class=internet,10.0.0.1', "there is no class '10.0.0.1'"),
    ('srcaddr/class=', 'srcaddr/class has an empty value'),
    ('srcaddr/24=10.0.0.0', "'srcaddr/24': there is no mapping '24': there is srcaddr/class"),
    ('dstport/class=internet', "'dstport/class': only addresses have networks, such as srcaddr/class"),
    ('srcaddr=external', "'external' is not an IP address or CIDR block for srcaddr, nor private or internet"),
]


@pytest.mark.parametrize(('text', 'says'), WRONG, ids=[text or 'nothing' for text, _ in WRONG])
def test_what_cannot_fit_is_refused_with_what_can(text: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_condition(text)
    assert says in str(raised.value)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    ('text', 'note'),
    [
        ('srcaddr=10.0.0.1/8', '10.0.0.1/8 is read as 10.0.0.0/8'),
        ('srcaddr!=10.0.0.1/8,10.0.0.0/8', '10.0.0.1/8 is read as 10.0.0.0/8'),
        ('addr=2001:db8::1/32, 10.0.0.9/30', '2001:db8::1/32 is read as 2001:db8::/32, 10.0.0.9/30 is …'),
        ('addr=10.0.0.0/8,10.0.0.1,10.0.0.1/32,-', ''),
        ('asg_tag=a/b', ''),
        ('srcaddr=internet', ''),
        ('srcaddr/class=dstaddr/class', ''),
    ],
)  # fmt: skip
def test_a_block_with_host_bits_is_masked_and_said_so(text: str, note: str) -> None:
    assert host_bits(parse_condition(text)) == note.replace('…', 'read as 10.0.0.8/30')


def test_a_condition_is_data() -> None:
    condition = parse_condition('dstport=ssh,8000-8100,-')
    assert condition == Condition('dstport', '=', (Range(22, 22), Range(8000, 8100), None))
    assert condition.text == 'dstport=ssh,8000-8100,-'
    assert pickle.loads(pickle.dumps(condition)) == condition
    assert len({condition, parse_condition('dstport = 22,8000-8100,-')}) == 1
    assert parse_condition('addr!=10.0.0.1/8').values == (ip_network('10.0.0.0/8'),)
    assert parse_condition('tcp_flags=syn,ack').values == (Flags(18),)
    assert parse_condition('action=reject').values == ('REJECT',)
    assert parse_condition('bytes > packets') == Condition('bytes', '>', (OtherField('packets'),))
    mapped = parse_condition('srcaddr/class=Internet,-')
    assert mapped == Condition('srcaddr', '=', ('internet', None), mapping=CLASSES)
    assert pickle.loads(pickle.dumps(mapped)) == mapped
    assert [parse_condition(f'bytes{operator}1').negated for operator in ('=', '!=', '<', '>=')] == [
        False, True, False, False,
    ]  # fmt: skip


class TestFindAddresses:
    def test_any_of_them_in_any_address_column(self) -> None:
        condition = find_addresses(['10.0.0.1', '192.168.0.0/16', '2001:DB8::1'])
        assert condition.fields == ('srcaddr', 'dstaddr', 'pkt_srcaddr', 'pkt_dstaddr')
        inside, outside = '10.0.0.1 192.168.1.1 2001:db8:0:0:0:0:0:1', '10.0.0.2 - 2001:db8::2'
        assert passing(condition, inside) == inside.split()
        assert passing(condition, outside) == []

    def test_commas_separate_too(self) -> None:
        assert passing(find_addresses(['10.0.0.1,10.0.0.2']), '10.0.0.1 10.0.0.2 10.0.0.3') == ['10.0.0.1', '10.0.0.2']

    def test_host_bits(self) -> None:
        assert host_bits(find_addresses(['10.0.0.1/8'])) == '10.0.0.1/8 is read as 10.0.0.0/8'
        assert host_bits(find_addresses(['10.0.0.1', '10.0.0.0/8'])) == ''

    @pytest.mark.parametrize('text', ['-', 'host', '10.0.0.1,', '10.0.0.0/99'])
    def test_texts_that_are_not_addresses(self, text: str) -> None:
        with pytest.raises(UsageError, match='findip'):
            find_addresses([text])
