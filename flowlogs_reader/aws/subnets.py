"""The subnets of a Region (EC2 DescribeSubnets), and mappings of addresses to their zones, subnets and VPCs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any, NamedTuple

from ..errors import FlowLogsError
from ..query.mappings import SUBNET_MAPPINGS, Mapping, Network, holds
from .session import AwsSession
from .trouble import cause_of, is_aws_error, member, said


class Subnet(NamedTuple):
    """A CIDR block of a subnet; one of IPv4 and one of IPv6 belong to the same subnet. `az` is the id of the zone."""

    block: Network
    az: str
    subnet: str
    vpc: str


def find_subnets(session: AwsSession) -> list[Subnet]:
    """Return the subnets of the session's Region. Raises FlowLogsError if EC2 cannot be asked."""
    try:
        pages = session.client('ec2').get_paginator('describe_subnets').paginate()
        return [subnet for page in pages for row in member(page, 'Subnets') for subnet in _blocks(row)]
    except Exception as error:
        if not (is_aws_error(error) or isinstance(error, FlowLogsError)):
            raise
        text = f'cannot list the subnets in {session.region}: {said(error)}'
        raise FlowLogsError(text, cause_of(error)) from error


def _blocks(row: dict[str, Any]) -> Iterator[Subnet]:
    texts = [row.get('CidrBlock'), *(each.get('Ipv6CidrBlock') for each in row.get('Ipv6CidrBlockAssociationSet', ()))]
    az = row.get('AvailabilityZoneId') or row.get('AvailabilityZone') or '-'
    for text in filter(None, texts):
        yield Subnet(ip_network(text), az, row['SubnetId'], row.get('VpcId', '-'))


def mappings_of(subnets: Iterable[Subnet]) -> tuple[dict[str, Mapping], dict[Network, list[str]]]:
    """Return the mappings of SUBNET_MAPPINGS by name, and the blocks that are left out, with their VPCs.

    A block is left out if it overlaps with one of another VPC: an address in it may be in either VPC.
    """
    shared: dict[Network, list[str]] = {}
    # The blocks that hold the current one, the largest first.
    around: list[Subnet] = []
    ordered = sorted(subnets, key=lambda one: (one.block.version, one.block))
    for subnet in ordered:
        around = [outer for outer in around if holds(outer.block, subnet.block)]
        for outer in around:
            if outer.vpc != subnet.vpc:
                for one, other in ((outer, subnet), (subnet, outer)):
                    shared[one.block] = sorted({*shared.get(one.block, ()), one.vpc, other.vpc})
        around.append(subnet)
    known = [subnet for subnet in ordered if subnet.block not in shared]
    labels = {name: tuple((each.block, getattr(each, name)) for each in known) for name in SUBNET_MAPPINGS}
    return {name: Mapping(name, networks) for name, networks in labels.items()}, shared
