"""The flow logs of an account: what they record, and where AWS delivers them (EC2 DescribeFlowLogs)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from queue import SimpleQueue
from typing import Any, NamedTuple

from ..errors import Cause, FlowLogsError, UsageError
from ..records.fields import DEFAULT_FIELDS
from ..records.layout import Layout
from .background import in_background
from .session import AwsSession
from .trouble import cause_of, is_aws_error, member, said

Address = IPv4Address | IPv6Address
_RESOURCE = re.compile(r'(?!fl-)[a-z]+(-[a-z]+)*-[0-9a-f]+')


class FlowLog(NamedTuple):
    """One flow log, from DescribeFlowLogs.

    `location` is its destination as a reader takes it, and '' for a Firehose stream, which cannot be read.
    `location_region` is the Region of the destination.
    """

    flow_log_id: str
    region: str
    resource_id: str
    traffic_type: str
    destination: str
    format: str
    status: str
    location: str
    location_region: str


class Interface(NamedTuple):
    """A network interface, from DescribeNetworkInterfaces; `name` is the value of its tag Name."""

    interface_id: str
    instance_id: str
    subnet_id: str
    az_id: str
    vpc_id: str
    name: str
    description: str


class Found(NamedTuple):
    """A flow log; or, in a search for an address, an interface that has it, with a flow log that covers it, if any."""

    interface: Interface | None
    flow_log: FlowLog | None


class Search:
    """Lists all flow logs, or those that cover a resource, in the session's Region or in all Regions.

    A resource is an id, or an IP address: then its interfaces are found too. Raises UsageError if it is neither.
    """

    def __init__(self, session: AwsSession, resource: str = '', all_regions: bool = False) -> None:
        self.address = _address(resource)
        if resource and not (self.address or _RESOURCE.fullmatch(resource)):
            raise UsageError(
                f'a resource is an eni-…, subnet-…, vpc-…, i-… or tgw-… id, or an IP address, not {resource!r}'
            )
        self.session = session
        self.resource = str(self.address or resource)
        self.all_regions = all_regions

    def rows(self, on_unreadable: Callable[[FlowLogsError], None]) -> list[Found]:
        """Return what there is, by Region. If a Region fails, its error is passed to `on_unreadable`.

        Raises FlowLogsError if no Region has the resource.
        """
        try:
            regions = self._regions() if self.all_regions else [self.session.region]
            # Sessions are not thread-safe: create all clients before the threads start.
            clients = {region: self.session.client('ec2', region_name=region) for region in regions}
        except Exception as error:
            on_unreadable(_failure('', error))
            return []
        found: list[Found] = []
        known = False
        for answer in self._ask_all(clients):
            if isinstance(answer, FlowLogsError):
                on_unreadable(answer)
            elif isinstance(answer, Exception):
                raise answer
            known = known or answer is not None
            found += answer if isinstance(answer, list) else []
        if not known:
            missing = f'no interface has {self.resource}' if self.address else f'there is no {self.resource}'
            raise FlowLogsError(f'{missing} {self.where()}', Cause.RESOURCE_UNKNOWN)
        return found

    def where(self) -> str:
        """The Regions that are asked, in words."""
        return 'in any Region' if self.all_regions else 'in {} ({})'.format(*self.session.region_and_source)

    def _regions(self) -> list[str]:
        """The Regions that are enabled for this account."""
        answer = self.session.client('ec2').describe_regions()
        return sorted(region['RegionName'] for region in member(answer, 'Regions'))

    def _ask_all(self, clients: dict[str, Any]) -> list[list[Found] | Exception | None]:
        """Return the answer of each Region, in this order. All are asked at the same time: quotas are per Region.

        If the system has no more threads, the others are asked one after the other.
        """
        answers: dict[str, SimpleQueue[list[Found] | Exception | None]] = {name: SimpleQueue() for name in clients}

        def ask(region: str) -> None:
            try:
                answers[region].put(self._ask(region, clients[region]))
            except Exception as error:
                answers[region].put(error)

        for region in clients:
            if not in_background(partial(ask, region)):
                ask(region)
        return [answers[region].get() for region in clients]

    def _ask(self, region: str, client: Any) -> list[Found] | FlowLogsError | None:
        """Return what a Region has, the error, or None if the Region does not have the resource."""
        try:
            if self.address:
                return self._ask_for_address(region, client, self.address) or None
            resources = covering(client, self.resource) if self.resource else []
            if self.resource and not resources:
                return None
            filters = [{'Name': 'resource-id', 'Values': resources}] if resources else []
            return [Found(None, flow_log) for flow_log in _flow_logs(client, region, filters)]
        except Exception as error:
            return _failure(region, error)

    def _ask_for_address(self, region: str, client: Any, address: Address) -> list[Found]:
        interfaces = interfaces_of(client, address)
        ids = {one: {one.interface_id, one.subnet_id, one.vpc_id} for one in interfaces}
        if not ids:
            return []
        filters = [{'Name': 'resource-id', 'Values': sorted(set().union(*ids.values()))}]
        logs = _flow_logs(client, region, filters)
        found: list[Found] = []
        for one in interfaces:
            found += [Found(one, log) for log in logs if log.resource_id in ids[one]] or [Found(one, None)]
        return found


def _flow_logs(client: Any, region: str, filters: list[dict[str, Any]]) -> list[FlowLog]:
    pages = client.get_paginator('describe_flow_logs').paginate(Filters=filters)
    return [flow_log_of(row, region) for page in pages for row in member(page, 'FlowLogs')]


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def interfaces_of(client: Any, address: Address) -> list[Interface]:
    """Return the interfaces of a Region that have an address: a private one, one of IPv6, or a public one."""
    names = ['ipv6-addresses.ipv6-address'] if address.version == 6 else [
        'addresses.private-ip-address', 'addresses.association.public-ip',
    ]  # fmt: skip
    paginator = client.get_paginator('describe_network_interfaces')
    for name in names:
        pages = paginator.paginate(Filters=[{'Name': name, 'Values': [str(address)]}])
        if found := [_interface(row) for page in pages for row in member(page, 'NetworkInterfaces')]:
            return found
    return []


def _interface(row: dict[str, Any]) -> Interface:
    tags = {tag.get('Key'): tag.get('Value') for tag in row.get('TagSet', ())}
    texts = (
        row['NetworkInterfaceId'],
        row.get('Attachment', {}).get('InstanceId'),
        row.get('SubnetId'),
        row.get('AvailabilityZoneId') or row.get('AvailabilityZone'),
        row.get('VpcId'),
        tags.get('Name'),
        row.get('Description'),
    )
    # Tables are lines of values: a value has no line end and no tab.
    return Interface(*[' '.join((text or '').split()) or '-' for text in texts])


def _failure(region: str, error: Exception) -> FlowLogsError:
    """Return a FlowLogsError for an error of AWS, its settings or the network. Raises any other error."""
    if not (is_aws_error(error) or isinstance(error, FlowLogsError)):
        raise error
    failure = FlowLogsError(f'cannot list the flow logs{region and f" in {region}"}: {said(error)}', cause_of(error))
    failure.__cause__ = error
    return failure


def covering(client: Any, resource: str) -> list[str]:
    """Return the ids whose flow logs record the traffic of a resource: its own, its interfaces, subnets and VPC.

    The list is empty if the Region does not have the interface, instance or subnet.
    """
    kind = resource.partition('-')[0]
    operation, list_name, name = {
        'eni': ('describe_network_interfaces', 'NetworkInterfaces', 'network-interface-id'),
        'i': ('describe_network_interfaces', 'NetworkInterfaces', 'attachment.instance-id'),
        'subnet': ('describe_subnets', 'Subnets', 'subnet-id'),
    }.get(kind, ('', '', ''))
    if not operation:
        return [resource]
    pages = client.get_paginator(operation).paginate(Filters=[{'Name': name, 'Values': [resource]}])
    rows = [row for page in pages for row in member(page, list_name)]
    ids = [row.get(key) for row in rows for key in ('NetworkInterfaceId', 'SubnetId', 'VpcId')]
    return list(dict.fromkeys(filter(None, ids)))


def flow_log_of(row: dict[str, Any], region: str) -> FlowLog:
    """Return the FlowLog of a row of DescribeFlowLogs."""
    destination, region_to_read = _destination(row, region)
    readable = row.get('LogDestinationType') != 'kinesis-data-firehose'
    return FlowLog(
        flow_log_id=row['FlowLogId'],
        region=region,
        resource_id=row.get('ResourceId', '-'),
        traffic_type=row.get('TrafficType', '-'),
        destination=destination,
        format=_format(row),
        status=_status(row),
        location=destination if readable else '',
        location_region=region_to_read,
    )


def _destination(row: dict[str, Any], region: str) -> tuple[str, str]:
    """Return the destination as a reader takes it, and its Region."""
    arn = row.get('LogDestination', '').removesuffix(':*')
    _, _, service, place, _, name = (*arn.split(':', 5), *[''] * 6)[:6]
    if service == 's3':
        return f's3://{name.rstrip("/")}', region
    if service == 'logs':
        # A log group of another account can only be read by its ARN.
        name = arn if row.get('DeliverCrossAccountRole') else name.removeprefix('log-group:')
        return name, place or region
    return row.get('LogGroupName') or arn or '-', region


def _format(row: dict[str, Any]) -> str:
    try:
        fields = Layout.from_format(row.get('LogFormat', '')).fields
    except ValueError:
        return '-'
    text = 'default' if fields == DEFAULT_FIELDS else f'{len(fields)} fields'
    parquet = row.get('DestinationOptions', {}).get('FileFormat') == 'parquet'
    return f'{text}, Parquet' if parquet else text


def _status(row: dict[str, Any]) -> str:
    """Return AWS's delivery error if delivery fails, otherwise the status of the flow log."""
    error = row.get('DeliverLogsErrorMessage')
    if error or row.get('DeliverLogsStatus') == 'FAILED':
        return f'FAILED: {error or "no reason given"}'
    return str(row.get('FlowLogStatus', '-'))
