"""Which flow logs an account has, what they watch, and the command that reads each: what ``--list`` shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..errors import FlowLogsError, explain, is_aws_error, member
from ..records.fields import DEFAULT_FIELDS
from ..records.layout import Layout
from ..sources.ordered import in_order
from .session import AwsSession

# How many Regions are asked at a time.
WORKERS = 8
_RESOURCE = re.compile(r'[a-z]+(-[a-z]+)*-[0-9a-f]+')


class FlowLog(NamedTuple):
    """One flow log as a row of text: DescribeFlowLogs, and the shell command that reads what it delivers."""

    flow_log_id: str
    region: str
    resource_id: str
    traffic_type: str
    destination: str
    format: str
    status: str
    command: str


class Search(NamedTuple):
    """What to look for: all flow logs, or those that cover a resource; in the session's Region, or in all of them.

    `arguments` are the options that the commands need besides a location and a Region.
    """

    session: AwsSession
    resource: str = ''
    all_regions: bool = False
    arguments: Sequence[str] = ()

    def check(self) -> None:
        """Raises ValueError where the resource is no id of one."""
        if self.resource and not _RESOURCE.fullmatch(self.resource):
            raise ValueError(f'--list takes an eni-…, subnet-…, vpc-…, i-… or tgw-… id, not {self.resource!r}')

    def rows(self, on_unreadable: Callable[[FlowLogsError], None]) -> list[FlowLog]:
        """The flow logs, by Region. A Region that cannot be asked is handed to `on_unreadable`, and left out.

        Raises FlowLogsError where nobody knows the resource.
        """
        try:
            regions = self._regions() if self.all_regions else [self.session.region]
            # Sessions are not thread-safe: the clients are made before any thread begins.
            tasks = [partial(self._ask, region, self.session.client('ec2', region_name=region)) for region in regions]
        except Exception as error:
            on_unreadable(_failure('', error))
            return []
        found: list[FlowLog] = []
        known = False
        for answer in in_order(tasks, workers=min(WORKERS, len(tasks) - 1), waiting=len(tasks)):
            if isinstance(answer, FlowLogsError):
                on_unreadable(answer)
            known = known or answer is not None
            found += answer if isinstance(answer, list) else []
        if not known:
            raise FlowLogsError(f'there is no {self.resource} {self._where()}: check the id, --region and --profile')
        return found

    def nothing(self) -> str:
        """What to tell where no flow log was found."""
        if self.resource:
            advice = 'those of a VPC that another account shares can be seen there only'
            return f'no flow log covers {self.resource} {self._where()}: {advice}'
        return f'this account has no flow logs {self._where()}' + ('' if self.all_regions else ': try --all-regions')

    def _where(self) -> str:
        return 'in any Region' if self.all_regions else 'in {} ({})'.format(*self.session.region_and_source)

    def _regions(self) -> list[str]:
        """The Regions that are enabled for this account."""
        answer = self.session.client('ec2').describe_regions()
        return sorted(region['RegionName'] for region in member(answer, 'Regions'))

    def _ask(self, region: str, client: Any) -> Iterator[list[FlowLog] | FlowLogsError | None]:
        """The flow logs of a Region, or why they are not known, or None where the Region has no such resource."""
        try:
            resources = covering(client, self.resource) if self.resource else []
            if self.resource and not resources:
                yield None
                return
            filters = [{'Name': 'resource-id', 'Values': resources}] if resources else []
            pages = client.get_paginator('describe_flow_logs').paginate(Filters=filters)
            yield [describe(row, region, self.arguments) for page in pages for row in member(page, 'FlowLogs')]
        except Exception as error:
            yield _failure(region, error)


def _failure(region: str, error: Exception) -> FlowLogsError:
    """Only what AWS, its settings or the network cause: anything else is raised."""
    if not (is_aws_error(error) or isinstance(error, FlowLogsError)):
        raise error
    failure = FlowLogsError(f'cannot list the flow logs{region and f" in {region}"}: {explain(error)}')
    failure.__cause__ = error
    return failure


def covering(client: Any, resource: str) -> list[str]:
    """The ids whose flow logs record the traffic of a resource: its own, and those of its interfaces, subnets and VPC.

    Empty where the Region does not know the interface, instance or subnet.
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


def describe(row: dict[str, Any], region: str, arguments: Iterable[str] = ()) -> FlowLog:
    """A row of DescribeFlowLogs."""
    destination, region_to_read = _destination(row, region)
    if row.get('LogDestinationType') == 'kinesis-data-firehose':
        command = '# cannot be read from Firehose: read what the stream delivers, from where it delivers it'
    else:
        command = shlex.join(['flowlogs_reader', destination, '--region', region_to_read, *arguments])
    return FlowLog(
        flow_log_id=row['FlowLogId'],
        region=region,
        resource_id=row.get('ResourceId', '-'),
        traffic_type=row.get('TrafficType', '-'),
        destination=destination,
        format=_format(row),
        status=_status(row),
        command=command,
    )


def _destination(row: dict[str, Any], region: str) -> tuple[str, str]:
    """Where the records go, as the command line takes it, and in which Region that is."""
    arn = row.get('LogDestination', '').removesuffix(':*')
    _, _, service, place, _, name = (*arn.split(':', 5), *[''] * 6)[:6]
    if service == 's3':
        return f's3://{name.rstrip("/")}', region
    if service == 'logs':
        # The log group of another account can be read by its ARN only.
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
    """What AWS says about the delivery where that fails; otherwise about the flow log."""
    error = row.get('DeliverLogsErrorMessage')
    if error or row.get('DeliverLogsStatus') == 'FAILED':
        return f'FAILED: {error or "no reason given"}'
    return str(row.get('FlowLogStatus', '-'))
