"""The field table: one row for each field that AWS puts into VPC and transit gateway flow logs.

Sources: docs.aws.amazon.com, vpc/latest/userguide/flow-log-records and vpc/latest/tgw/tgw-flow-logs (read 2026-11).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The type of the values of a field, with the letter that the kernel uses for it. Only tables have DECIMAL."""

    TEXT = 'T'
    INTEGER = 'I'
    TIME = 'M'
    DECIMAL = 'D'


class Field(NamedTuple):
    """A field of a flow log record: its name with underscores, its kind, the version that added it, its meaning.

    `words` has all possible values, if AWS documents them. `case` is 'upper' or 'lower' if AWS writes every value in
    that case.
    """

    name: str
    kind: Kind
    version: int
    about: str
    words: tuple[str, ...] = ()
    case: str = ''


_TEXT, _INTEGER, _TIME = Kind.TEXT, Kind.INTEGER, Kind.TIME

FIELDS: tuple[Field, ...] = (
    Field('version', _INTEGER, 2, 'highest version among the fields of the format'),
    Field('account_id', _TEXT, 2, 'owner of the interface; "unknown" for some that AWS created'),
    Field('interface_id', _TEXT, 2, 'network interface (ENI)'),
    Field('srcaddr', _TEXT, 2, 'source address as seen at the interface'),
    Field('dstaddr', _TEXT, 2, 'destination address as seen at the interface'),
    Field('srcport', _INTEGER, 2, 'source port; 0 for ICMP'),
    Field('dstport', _INTEGER, 2, 'destination port; 0 for ICMP'),
    Field('protocol', _INTEGER, 2, 'IANA protocol number: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6'),
    Field('packets', _INTEGER, 2, 'packets of the flow in the capture window'),
    Field('bytes', _INTEGER, 2, 'bytes of the flow in the capture window'),
    Field('start', _TIME, 2, 'first packet seen'),
    Field('end', _TIME, 2, 'last packet seen'),
    Field('action', _TEXT, 2, 'ACCEPT or REJECT', words=('ACCEPT', 'REJECT')),
    # INCOMPLETEDATA: only Cloud WAN writes it (network-manager/latest/cloudwan/cwan-flow-logs).
    Field('log_status', _TEXT, 2, 'OK, NODATA or SKIPDATA', words=('OK', 'NODATA', 'SKIPDATA', 'INCOMPLETEDATA')),
    Field('vpc_id', _TEXT, 3, 'VPC of the interface'),
    Field('subnet_id', _TEXT, 3, 'subnet of the interface'),
    Field('instance_id', _TEXT, 3, 'your instance on the interface'),
    Field('tcp_flags', _INTEGER, 3, 'OR of FIN 1, SYN 2, RST 4, SYN-ACK 18'),
    Field('type', _TEXT, 3, 'IPv4, IPv6 or EFA', words=('IPv4', 'IPv6', 'EFA')),
    Field('pkt_srcaddr', _TEXT, 3, 'source address of the packet itself'),
    Field('pkt_dstaddr', _TEXT, 3, 'destination address of the packet itself'),
    Field('region', _TEXT, 4, 'Region of the interface', case='lower'),
    Field('az_id', _TEXT, 4, 'Availability Zone id', case='lower'),
    Field('sublocation_type', _TEXT, 4, 'wavelength, outpost or localzone', case='lower'),
    Field('sublocation_id', _TEXT, 4, 'id of the sublocation'),
    Field('pkt_src_aws_service', _TEXT, 5, 'AWS address range of the packet source', case='upper'),
    Field('pkt_dst_aws_service', _TEXT, 5, 'AWS address range of the packet destination', case='upper'),
    Field('flow_direction', _TEXT, 5, 'ingress or egress', words=('ingress', 'egress')),
    Field('traffic_path', _INTEGER, 5, 'way out of the VPC, 1 to 8'),
    Field('resource_type', _TEXT, 6, 'always TransitGateway'),
    Field('tgw_id', _TEXT, 6, 'transit gateway'),
    Field('tgw_attachment_id', _TEXT, 6, 'transit gateway attachment'),
    Field('tgw_src_vpc_account_id', _TEXT, 6, 'account of the source VPC'),
    Field('tgw_dst_vpc_account_id', _TEXT, 6, 'account of the destination VPC'),
    Field('tgw_src_vpc_id', _TEXT, 6, 'source VPC'),
    Field('tgw_dst_vpc_id', _TEXT, 6, 'destination VPC'),
    Field('tgw_src_subnet_id', _TEXT, 6, 'source subnet'),
    Field('tgw_dst_subnet_id', _TEXT, 6, 'destination subnet'),
    Field('tgw_src_eni', _TEXT, 6, 'attachment interface of the source'),
    Field('tgw_dst_eni', _TEXT, 6, 'attachment interface of the destination'),
    Field('tgw_src_az_id', _TEXT, 6, 'Availability Zone of the source', case='lower'),
    Field('tgw_dst_az_id', _TEXT, 6, 'Availability Zone of the destination', case='lower'),
    Field('tgw_pair_attachment_id', _TEXT, 6, 'the other attachment of the flow'),
    Field('packets_lost_no_route', _INTEGER, 6, 'packets lost for want of a route'),
    Field('packets_lost_blackhole', _INTEGER, 6, 'packets lost to a blackhole route'),
    Field('packets_lost_mtu_exceeded', _INTEGER, 6, 'packets lost because they were too large'),
    Field('packets_lost_ttl_expired', _INTEGER, 6, 'packets lost because their time to live ended'),
    Field('ecs_cluster_arn', _TEXT, 7, 'ECS cluster'),
    Field('ecs_cluster_name', _TEXT, 7, 'name of the ECS cluster'),
    Field('ecs_container_instance_arn', _TEXT, 7, 'ECS container instance'),
    Field('ecs_container_instance_id', _TEXT, 7, 'id of the ECS container instance'),
    Field('ecs_container_id', _TEXT, 7, 'runtime id of the container'),
    Field('ecs_second_container_id', _TEXT, 7, 'runtime id of the second container'),
    Field('ecs_service_name', _TEXT, 7, 'ECS service'),
    Field('ecs_task_definition_arn', _TEXT, 7, 'ECS task definition'),
    Field('ecs_task_arn', _TEXT, 7, 'ECS task'),
    Field('ecs_task_id', _TEXT, 7, 'id of the ECS task'),
    Field('reject_reason', _TEXT, 8, 'BPA (Block Public Access) or EC (encryption controls)', case='upper'),
    Field('resource_id', _TEXT, 9, 'regional NAT gateway'),
    Field('encryption_status', _INTEGER, 10, '0 none, 1 Nitro, 2 application, 3 both'),
    Field('instance_tag', _TEXT, 11, 'value of a tag of the instance, percent-encoded'),
    Field('instance_tag_2', _TEXT, 11, 'value of a second tag of the instance'),
    Field('interface_tag', _TEXT, 11, 'value of a tag of the interface'),
    Field('interface_tag_2', _TEXT, 11, 'value of a second tag of the interface'),
    Field('asg_tag', _TEXT, 11, 'value of a tag of the Auto Scaling group'),
    Field('asg_tag_2', _TEXT, 11, 'value of a second tag of the Auto Scaling group'),
    Field('interface_type', _TEXT, 11, 'service behind the interface, such as nat_gateway', case='lower'),
    Field('next_hop_interface_id', _TEXT, 11, 'interface of the next hop'),
    Field('next_hop_subnet_id', _TEXT, 11, 'subnet of the next hop'),
    Field('next_hop_az_id', _TEXT, 11, 'Availability Zone of the next hop', case='lower'),
    Field('next_hop_vpc_id', _TEXT, 11, 'VPC of the next hop'),
    Field('next_hop_interface_type', _TEXT, 11, 'service behind the interface of the next hop', case='lower'),
)

KNOWN: dict[str, Field] = {field.name: field for field in FIELDS}
DEFAULT_FIELDS: tuple[str, ...] = tuple(field.name for field in FIELDS if field.version == 2)
# Sets of fields by name: those up to a version of the VPC format, and the 47 that flowlogs-reader 5.0.1 writes
# ('legacy'), in its order.
FIELD_SETS: dict[str, tuple[str, ...]] = {
    name: tuple(field.name for field in FIELDS if field.version <= version)
    for name, version in (('default', 2), ('v3', 3), ('v4', 4), ('v5', 5), ('legacy', 6))
}
# The columns that fit a narrow terminal.
SHORT: tuple[str, ...] = (
    'start', 'srcaddr', 'srcport', 'dstaddr', 'dstport', 'protocol', 'packets', 'bytes', 'action',
)  # fmt: skip
FIELD_SETS['short'] = SHORT
# What flows can be ranked by.
MEASURES: tuple[str, ...] = ('bytes', 'packets', 'flows')
