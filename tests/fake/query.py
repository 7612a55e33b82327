"""The services that speak the query protocol and answer in XML: EC2 (flow logs, interfaces, Regions) and STS."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from tests.fake.wire import ACCOUNT, AwsError, Call, Params, Reply, Tokens, numbered, xml_reply
from tests.traffic import FIELDS

DEFAULT_FORMAT = ' '.join(f'${{{name}}}' for name in FIELDS)
REGIONS = (
    'ap-northeast-1', 'ap-southeast-1', 'ap-southeast-2', 'ca-central-1', 'eu-central-1', 'eu-north-1', 'eu-west-1',
    'eu-west-2', 'sa-east-1', 'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2',
)  # fmt: skip
_EC2_NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/'
_STS_NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'
_FLOW_LOG_FILTERS = {
    'log-group-name': 'logGroupName', 'resource-id': 'resourceId', 'log-destination-type': 'logDestinationType',
    'flow-log-id': 'flowLogId', 'traffic-type': 'trafficType', 'deliver-log-status': 'deliverLogsStatus',
}  # fmt: skip
_INTERFACE_FILTERS = {
    'network-interface-id': 'networkInterfaceId', 'subnet-id': 'subnetId', 'vpc-id': 'vpcId', 'status': 'status',
    'private-ip-address': 'privateIpAddress', 'addresses.private-ip-address': 'privateIpAddress',
    'attachment.instance-id': 'attachment.instanceId', 'description': 'description',
    'addresses.association.public-ip': 'association.publicIp', 'ipv6-addresses.ipv6-address': 'ipv6Address',
}  # fmt: skip
_SUBNET_FILTERS = {'subnet-id': 'subnetId', 'vpc-id': 'vpcId'}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.000Z')


def _fields(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


class Ec2Service:
    """DescribeFlowLogs, DescribeNetworkInterfaces, DescribeSubnets and DescribeRegions, in the names of EC2's XML."""

    def __init__(self, tokens: Tokens):
        self.flow_logs: list[tuple[str, str, dict[str, Any]]] = []  # account, Region, row
        self.interfaces: list[tuple[str, str, dict[str, Any]]] = []
        self.subnets: list[tuple[str, str, dict[str, Any]]] = []
        self.regions: list[str] = list(REGIONS)
        self.page_rows = 1_000
        self._tokens = tokens

    def parse(self, body: bytes) -> tuple[str, Params]:
        values = _fields(body)
        params: Params = {
            name: value for name, value in values.items() if '.' not in name and name not in ('Action', 'Version')
        }
        filters = {}
        for number in range(1, 201):
            if name := values.get(f'Filter.{number}.Name'):
                filters[name] = list(numbered(values, f'Filter.{number}.Value'))
        if filters:
            params['Filters'] = filters
        for member in ('FlowLogId', 'NetworkInterfaceId', 'RegionName'):
            if chosen := list(numbered(values, member)):
                params[f'{member}s'] = chosen
        return values.get('Action', ''), params

    def handle(self, call: Call) -> Reply:
        operations: dict[str, Callable[[Call], Reply]] = {
            'DescribeFlowLogs': self._describe_flow_logs,
            'DescribeNetworkInterfaces': self._describe_network_interfaces,
            'DescribeSubnets': self._describe_subnets,
            'DescribeRegions': self._describe_regions,
        }
        if call.operation not in operations:
            raise AwsError('InvalidAction', f'The action {call.operation} is not faked')
        return operations[call.operation](call)

    def add_flow_log(self, account: str, region: str, row: dict[str, Any]) -> str:
        row.setdefault('flowLogId', f'fl-{len(self.flow_logs) + 1:017x}')
        row.setdefault('creationTime', _iso(1_451_606_400))
        self.flow_logs.append((account, region, row))
        return str(row['flowLogId'])

    def _describe_flow_logs(self, call: Call) -> Reply:
        ids = call.params.get('FlowLogIds')
        mine = [row for account, region, row in self.flow_logs if (account, region) == (call.account, call.region)]
        rows = [row for row in _filtered(mine, call, _FLOW_LOG_FILTERS) if not ids or row['flowLogId'] in ids]
        return self._page(call, 'flowLogSet', rows)

    def _describe_network_interfaces(self, call: Call) -> Reply:
        ids = call.params.get('NetworkInterfaceIds', [])
        mine = [row for account, region, row in self.interfaces if (account, region) == (call.account, call.region)]
        missing = set(ids) - {row['networkInterfaceId'] for row in mine}
        if missing:
            message = f"The networkInterface ID '{min(missing)}' does not exist"
            raise AwsError('InvalidNetworkInterfaceID.NotFound', message)
        rows = [row for row in _filtered(mine, call, _INTERFACE_FILTERS) if not ids or row['networkInterfaceId'] in ids]
        return self._page(call, 'networkInterfaceSet', rows)

    def _describe_subnets(self, call: Call) -> Reply:
        """The subnets that were added, and those of the network interfaces."""
        mine, own = (
            [row for account, region, row in rows if (account, region) == (call.account, call.region)]
            for rows in (self.interfaces, self.subnets)
        )
        rows = {row['subnetId']: {'subnetId': row['subnetId'], 'vpcId': row['vpcId']} for row in mine}
        rows.update({row['subnetId']: row for row in own})
        return self._page(call, 'subnetSet', list(_filtered(list(rows.values()), call, _SUBNET_FILTERS)))

    def _describe_regions(self, call: Call) -> Reply:
        chosen = call.params.get('RegionNames') or self.regions
        rows = [
            {'regionName': name, 'regionEndpoint': f'ec2.{name}.amazonaws.com', 'optInStatus': 'opt-in-not-required'}
            for name in self.regions
            if name in chosen
        ]
        return self._page(call, 'regionInfo', rows)

    def _page(self, call: Call, member: str, rows: list[dict[str, Any]]) -> Reply:
        scope = [call.operation, call.region, call.params.get('Filters')]
        first = self._tokens.read(call.token, scope, AwsError.trouble('expire_token', 'ec2')) if call.token else 0
        limit = min(int(call.params.get('MaxResults', self.page_rows)), self.page_rows)
        last = first if call.fault == 'empty_pages' else first + limit
        token = call.next_token(self._tokens.make(scope, last) if last < len(rows) else None)
        answer = {'requestId': '0', member: rows[first:last], 'nextToken': token}
        return xml_reply(f'{call.operation}Response', answer, namespace=_EC2_NAMESPACE)


def _filtered(rows: list[dict[str, Any]], call: Call, names: dict[str, str]) -> Iterable[dict[str, Any]]:
    """Rows that pass every Filter: one of its values, in which * and ? are wildcards, equals the member."""
    filters = call.params.get('Filters', {})
    for name in filters:
        if name not in names:
            raise AwsError('InvalidParameterValue', f"The filter '{name}' is invalid")
    return [
        row
        for row in rows
        if all(
            any(fnmatchcase(_member(row, names[name]), value) for value in values) for name, values in filters.items()
        )
    ]


def _member(row: dict[str, Any], path: str) -> str:
    value: Any = row
    for name in path.split('.'):
        value = (value or {}).get(name)
    return str(value or '')


@dataclass
class Role:
    """A role that may be assumed. Its keys say that they live `lifetime` seconds and are good for `uses` calls."""

    arn: str
    external_id: str | None = None
    lifetime: float | None = None
    uses: int | None = None


@dataclass
class Session:
    """Keys handed out by AssumeRole."""

    role: Role
    name: str
    token: str
    expires: float
    uses: int | None = field(default=None)

    @property
    def account(self) -> str:
        return self.role.arn.split(':')[4]

    @property
    def arn(self) -> str:
        return f'arn:aws:sts::{self.account}:assumed-role/{self.role.arn.rpartition("/")[2]}/{self.name}'


class StsService:
    """GetCallerIdentity and AssumeRole; also knows which access keys are good, for all services."""

    def __init__(self) -> None:
        self.roles: dict[str, Role] = {}
        self.sessions: dict[str, Session] = {}
        self.expired: set[str] = set()
        self._lock = threading.Lock()

    def parse(self, body: bytes) -> tuple[str, Params]:
        values = _fields(body)
        return values.get('Action', ''), {
            name: value for name, value in values.items() if name not in ('Action', 'Version')
        }

    def account(self, access_key: str) -> str:
        session = self.sessions.get(access_key)
        return session.account if session else ACCOUNT

    def arn(self, access_key: str) -> str:
        session = self.sessions.get(access_key)
        return session.arn if session else f'arn:aws:iam::{ACCOUNT}:user/reader'

    def check(self, access_key: str, token: str | None, service: str) -> None:
        """Refuse keys that have expired, are used up, or were never handed out."""
        with self._lock:
            session = self.sessions.get(access_key)
            if access_key in self.expired:
                raise AwsError.trouble('expired', service)
            if session is None:
                if access_key.startswith('ASIA'):
                    raise AwsError.trouble('unknown_key', service)
                return
            if session.token != token:
                raise AwsError.trouble('unknown_key', service)
            if time.time() >= session.expires or session.uses == 0:
                raise AwsError.trouble('expired', service)
            if session.uses is not None:
                session.uses -= 1

    def handle(self, call: Call) -> Reply:
        if call.operation == 'GetCallerIdentity':
            arn, account = self.arn(call.access_key), self.account(call.access_key)
            return _sts_reply(call, {'Arn': arn, 'UserId': call.access_key, 'Account': account})
        if call.operation == 'AssumeRole':
            return self._assume_role(call)
        raise AwsError('InvalidAction', f'Could not find operation {call.operation}')

    def _assume_role(self, call: Call) -> Reply:
        role = self.roles.get(call.params['RoleArn'])
        if role is None or role.external_id not in (None, call.params.get('ExternalId')):
            message = f'User: {self.arn(call.access_key)} is not authorized to perform: sts:AssumeRole on resource: '
            raise AwsError('AccessDenied', message + call.params['RoleArn'], 403)
        asked = float(call.params.get('DurationSeconds', 3600))
        lifetime = asked if role.lifetime is None else role.lifetime
        with self._lock:
            key = f'ASIA{len(self.sessions) + 1:016d}'
            session = Session(
                role, call.params['RoleSessionName'], f'token-of-{key}', time.time() + lifetime, role.uses
            )
            self.sessions[key] = session
        credentials = {
            'AccessKeyId': key, 'SecretAccessKey': 'secret', 'SessionToken': session.token,
            'Expiration': _iso(session.expires),
        }  # fmt: skip
        user = {'AssumedRoleId': f'AROA:{session.name}', 'Arn': session.arn}
        return _sts_reply(call, {'Credentials': credentials, 'AssumedRoleUser': user})


def _sts_reply(call: Call, result: dict[str, Any]) -> Reply:
    answer = {f'{call.operation}Result': result, 'ResponseMetadata': {'RequestId': '0'}}
    return xml_reply(f'{call.operation}Response', answer, namespace=_STS_NAMESPACE)
