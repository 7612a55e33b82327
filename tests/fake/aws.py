"""A small AWS on loopback: CloudWatch Logs, S3, EC2, STS and SSO as far as a flow log reader needs them.

In a test:

    with FakeAWS() as fake:
        fake.add_log_group('flowlogs', lines=traffic.lines(1000))
        client = boto3.client('logs', 'us-east-1', endpoint_url=fake.url, ...)  # or set os.environ from fake.environ()

As a process of its own, for measurements: `python tests/fake/aws.py --records 1000000 --latency 20` prints its URL.
GET /_fake tells what was asked of it; `/_fake?reset=1&latency=50&rate=5` starts anew.
"""

import argparse
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if not __package__:  # run as a script, or imported from the directory of the tests
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.fake.athena import AthenaService, WorkGroup
from tests.fake.glue import GlueService
from tests.fake.http_server import Server
from tests.fake.loggroup import EVENT_KEYS, LogGroup, Stream, Time
from tests.fake.logs import LogsService
from tests.fake.query import DEFAULT_FORMAT, Ec2Service, Role, StsService
from tests.fake.record import RateLimit, Record
from tests.fake.s3 import Bucket, S3Service, StoredObject, s3_objects
from tests.fake.sso import SsoService
from tests.fake.wire import (
    ACCOUNT,
    REGION,
    AwsError,
    Call,
    Fault,
    Params,
    Reply,
    Script,
    Selector,
    Tokens,
    credential_scope,
    error_reply,
)

__all__ = ['ACCOUNT', 'DEFAULT_FORMAT', 'REGION', 'Call', 'FakeAWS', 'Fault', 'Role', 's3_objects']

_RAISED = {'throttle', '500', '503', 'deny', 'expire_token', 'vanish'}


class FakeAWS:
    """The server, its data and the record of what was asked. A context manager, or `start()` and `stop()`."""

    def __init__(self, *, latency_ms: float = 0, event_keys: Sequence[str] = EVENT_KEYS, port: int = 0):
        tokens = Tokens()
        self.logs, self.s3 = LogsService(tokens), S3Service(tokens)
        self.ec2, self.sts = Ec2Service(tokens), StsService()
        self.sso = SsoService(self.sts)
        self.glue = GlueService()
        self.athena = AthenaService(tokens, self.s3, self.glue)
        self.latency_ms = latency_ms
        self.retry_after_ms: int | None = None  # sent with every error, so that botocore does not back off for longer
        self.event_keys = tuple(event_keys)
        self.denied: set[str] = set()  # services ('ec2') or operations ('DescribeFlowLogs')
        self.record = Record()
        self.crashes: list[str] = []
        self._script = Script()
        self._rates: dict[str, RateLimit] = {}
        self._stopped = threading.Event()
        self._server = Server(port, self.answer, self.control)

    # --- life -----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self._server.server_port}'

    def start(self) -> 'FakeAWS':
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name='fake-aws').start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    __enter__ = start

    def __exit__(self, kind: object, *rest: object) -> None:
        self.stop()
        if self.crashes and kind is None:
            raise RuntimeError('the fake itself failed:\n' + self.crashes[0])

    def environ(self, region: str | None = None) -> dict[str, str]:
        """Variables that lead botocore here and nowhere else. Proxies are for the caller to remove."""
        found = {
            'AWS_ENDPOINT_URL': self.url,
            'AWS_ACCESS_KEY_ID': 'AKIAFAKEFAKEFAKEFAKE',
            'AWS_SECRET_ACCESS_KEY': 'secret',
            'AWS_EC2_METADATA_DISABLED': 'true',
            'AWS_CONFIG_FILE': '/dev/null',
            'AWS_SHARED_CREDENTIALS_FILE': '/dev/null',
        }
        return found | ({'AWS_DEFAULT_REGION': region} if region else {})

    # --- data -----------------------------------------------------------------------------------------------------

    def add_log_group(
        self,
        name: str,
        region: str = REGION,
        lines: Iterable[bytes | str] = (),
        *,
        timestamp: Time | None = None,
        stream: Stream | None = None,
        ingestion: Time | None = None,
        account: str = ACCOUNT,
        log_class: str = 'STANDARD',
        retention: int | None = None,
    ) -> LogGroup:
        """A log group with one event for each line: at the line's start column, in stream `<eni>-all`, unless told."""
        group = LogGroup(name, region, account, keys=self.event_keys)
        group.log_class, group.retention = log_class, retention
        group.add(lines, timestamp, stream, ingestion)
        self.logs.groups[account, region, name] = group
        return group

    def put_lines(
        self,
        name: str,
        lines: Iterable[bytes | str],
        region: str = REGION,
        *,
        timestamp: Time | None = None,
        stream: Stream | None = None,
        ingestion: Time | None = None,
        account: str = ACCOUNT,
    ) -> None:
        """More events for a group that exists, late ones among them if their times say so."""
        self.logs.groups[account, region, name].add(lines, timestamp, stream, ingestion)

    def add_flow_log(
        self,
        resource_id: str = 'vpc-0a1b2c3d4e5f60718',
        *,
        log_group: str | None = None,
        destination: str | None = None,
        log_format: str = DEFAULT_FORMAT,
        region: str = REGION,
        account: str = ACCOUNT,
        file_format: str = 'plain-text',
        hive: bool = False,
        hourly: bool = False,
        **more: Any,
    ) -> str:
        """A flow log to a log group by name, or to an ARN (S3 or log group); `more` are members of EC2's XML."""
        kind = 's3' if (destination or '').startswith('arn:aws:s3') else 'cloud-watch-logs'
        row: dict[str, Any] = {
            'deliverLogsStatus': 'SUCCESS',
            'flowLogStatus': 'ACTIVE',
            'logGroupName': log_group,
            'resourceId': resource_id,
            'trafficType': 'ALL',
            'logDestinationType': kind,
            'logDestination': destination,
            'logFormat': log_format,
            'maxAggregationInterval': 600,
        }
        if kind == 's3':
            options = {'fileFormat': file_format, 'hiveCompatiblePartitions': hive, 'perHourPartition': hourly}
            row['destinationOptions'] = options
        return self.ec2.add_flow_log(account, region, row | more)

    def add_interface(
        self,
        interface_id: str,
        region: str = REGION,
        *,
        vpc_id: str = 'vpc-0a1b2c3d4e5f60718',
        subnet_id: str = 'subnet-00000000000000001',
        private_ip: str = '10.0.0.4',
        instance_id: str | None = None,
        account: str = ACCOUNT,
        **more: Any,
    ) -> None:
        """A network interface for DescribeNetworkInterfaces."""
        attachment = {'instanceId': instance_id, 'status': 'attached'} if instance_id else None
        row = {
            'networkInterfaceId': interface_id, 'subnetId': subnet_id, 'vpcId': vpc_id, 'privateIpAddress': private_ip,
            'attachment': attachment, 'status': 'in-use', 'interfaceType': 'interface', 'ownerId': account,
        }  # fmt: skip
        self.ec2.interfaces.append((account, region, row | more))

    def add_subnet(
        self,
        subnet_id: str,
        cidr: str,
        zone_id: str,
        region: str = REGION,
        *,
        vpc_id: str = 'vpc-0a1b2c3d4e5f60718',
        ipv6: str = '',
        account: str = ACCOUNT,
    ) -> None:
        """A subnet for DescribeSubnets."""
        row = {
            'subnetId': subnet_id, 'vpcId': vpc_id, 'cidrBlock': cidr, 'availabilityZoneId': zone_id,
            'ipv6CidrBlockAssociationSet': [{'ipv6CidrBlock': ipv6}] if ipv6 else [],
        }  # fmt: skip
        self.ec2.subnets.append((account, region, row))

    def add_bucket(self, name: str, region: str = REGION, objects: dict[str, bytes] | None = None) -> Bucket:
        bucket = self.s3.buckets[name] = Bucket(name, region)
        for key, body in (objects or {}).items():
            self.put_object(name, key, body)
        return bucket

    def put_object(self, bucket: str, key: str, body: bytes, **options: Any) -> None:
        """Options: storage_class='GLACIER', denied=True, modified=datetime."""
        self.s3.buckets[bucket].put(key, StoredObject(body, **options))

    def add_role(
        self, arn: str, *, external_id: str | None = None, lifetime: float | None = None, uses: int | None = None
    ) -> None:
        """A role to assume. botocore renews keys with a lifetime under 600 s at each call: `uses=1` proves it."""
        self.sts.roles[arn] = Role(arn, external_id, lifetime, uses)

    def add_workgroup(self, name: str = 'primary', region: str = REGION, **options: Any) -> WorkGroup:
        """A workgroup of Athena. Options: output='s3://…', and those of WorkGroup."""
        group = self.athena.workgroups[region, name] = WorkGroup(**options)
        return group

    # --- trouble --------------------------------------------------------------------------------------------------

    def fault(
        self, operation: str, kind: str, at: Selector = None, times: int | None = None, *, seconds: float = 0.0
    ) -> Fault:
        """Make calls of an operation go wrong.

        `at` selects calls, counted from 1 from now on: a number (from that call on, once unless `times` says more), a
        collection of numbers, a predicate over the parameters, or None for every call; `times` ends it after so many.
        `seconds` is the length of a stall. Kinds: throttle, 500, 503, deny, expire_token and vanish answer with an
        error; expire_credentials refuses the access key from now on; drop closes the connection without an answer, cut
        in the middle of the body, half_json ends a sound answer half way, nothing answers 200 without a body; stall
        answers late; repeat_token, loop_tokens, empty_pages and duplicate spoil pages; change_object changes an object
        before it is read.
        """
        return self._script.add(Fault(operation, kind, at, times, seconds))

    def clear_faults(self) -> None:
        self._script.clear()

    def deny(self, *names: str) -> None:
        """Refuse services ('ec2') or operations ('DescribeFlowLogs') as IAM does."""
        self.denied.update(names)

    def limit_rate(self, operation: str, per_second: float) -> None:
        """Throttle an operation above a rate, for each account and Region; 0 lifts it."""
        self._rates[operation] = RateLimit(per_second)

    # --- record ---------------------------------------------------------------------------------------------------

    def count(self, operation: str | None = None) -> int:
        return len(self.calls(operation))

    def calls(self, operation: str | None = None) -> list[Call]:
        """The calls so far, oldest first."""
        return self.record.calls(operation)

    def max_concurrent(self, operation: str) -> int:
        """The most calls of an operation that were under way at one time."""
        return self.record.peak[operation]

    # --- serving --------------------------------------------------------------------------------------------------

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[Reply, Callable[[], None]]:
        """The reply to one HTTP request, and what to call when it has been sent."""
        call = self._call(method, target, headers, body)
        if call is None:
            return error_reply(
                'sts', AwsError('MissingAuthenticationToken', 'Request is not signed', 403)
            ), lambda: None
        self.record.begin(call)
        try:
            reply = self._handle(call)
        except AwsError as error:
            reply = error_reply(call.service, error)
        except Exception:  # a fault of the fake: make it loud
            self.crashes.append(traceback.format_exc())
            reply = error_reply(call.service, AwsError.trouble('500', call.service))
        if reply.status >= 400 and self.retry_after_ms is not None:
            reply.headers['x-amz-retry-after'] = str(self.retry_after_ms)
        return reply, lambda: self.record.end(call, reply)

    def control(self, asked: dict[str, str]) -> Params:
        """What /_fake does, for a fake in another process: change the latency or the rate, tell the record."""
        if 'latency' in asked:
            self.latency_ms = float(asked['latency'])
        if 'rate' in asked:
            self.limit_rate('FilterLogEvents', float(asked['rate']))
        summary = self.record.summary()
        if 'reset' in asked:
            self.record.clear()
        return summary

    def _call(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Call | None:
        """The request, decoded; None if it is not signed and has to be."""
        scope = credential_scope(headers.get('authorization', ''))
        if scope is None:
            return self.sso.parse(method, target, headers, body)
        access_key, region, service = scope
        operation, params = self._parse(service, method, target, headers, body)
        return Call(service, operation, region, params, access_key, self.sts.account(access_key), headers=headers)

    def _parse(
        self, service: str, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[str, Params]:
        if service == 'logs':
            return self.logs.parse(headers.get('x-amz-target', ''), body)
        if service in ('athena', 'glue'):
            return (self.athena if service == 'athena' else self.glue).parse(headers.get('x-amz-target', ''), body)
        if service == 's3':
            parts = urlsplit(target)
            return self.s3.parse(method, parts.path, parts.query, headers, body)
        return self.ec2.parse(body) if service == 'ec2' else self.sts.parse(body)

    def _handle(self, call: Call) -> Reply:
        if self.latency_ms:
            self._stopped.wait(self.latency_ms / 1000)
        fault = self._script.strike(call)
        call.fault = fault.kind if fault else None
        if fault and fault.kind == 'expire_credentials':
            self.sts.expired.add(call.access_key)
        self.sts.check(call.access_key, call.headers.get('x-amz-security-token'), call.service)
        rate = self._rates.get(call.operation)
        if call.fault == 'deny' or call.service in self.denied or call.operation in self.denied:
            arn = self.sts.arn(call.access_key)
            raise AwsError.trouble('deny', call.service, arn=arn, action=f'{call.service}:{call.operation}')
        if rate and not rate.allows((call.account, call.region)):
            raise AwsError.trouble('throttle', call.service)
        if fault and fault.kind in _RAISED:
            raise AwsError.trouble(fault.kind, call.service)
        if fault and fault.kind == 'stall':
            self._stopped.wait(fault.seconds)
        elif call.fault == 'change_object':
            self.s3.change(call)
        elif call.fault == 'loop_tokens':
            call.earlier_token = self.record.earlier_token(call)
        return self._damaged(call, self._service(call))

    def _service(self, call: Call) -> Reply:
        services: dict[str, Callable[[Call], Reply]] = {
            'logs': self.logs.handle, 's3': self.s3.handle, 'ec2': self.ec2.handle, 'sts': self.sts.handle,
            'sso': self.sso.handle, 'sso-oidc': self.sso.handle, 'athena': self.athena.handle, 'glue': self.glue.handle,
        }  # fmt: skip
        return services[call.service](call)

    @staticmethod
    def _damaged(call: Call, reply: Reply) -> Reply:
        if call.fault == 'cut':
            reply.length = reply.size
        if call.fault in ('cut', 'half_json'):
            reply.parts = [reply.halved()]
        if call.fault == 'nothing':
            reply.parts = [b'']
        if call.fault == 'drop':
            reply.parts, reply.status = [], 0
        return reply


def main(argv: Sequence[str] | None = None) -> None:
    from tests import traffic

    parser = argparse.ArgumentParser(
        description='A fake AWS with generated VPC flow logs; prints its URL, then serves.'
    )
    parser.add_argument('--records', type=int, default=100_000, help='lines in the log group and the bucket')
    parser.add_argument('--latency', type=float, default=0, help='ms before each answer')
    parser.add_argument('--rate', type=float, default=0, help='FilterLogEvents calls a second; 0 is no limit')
    parser.add_argument('--group', default='flowlogs', help="log group; '' for none")
    parser.add_argument('--bucket', default='', help='S3 bucket; none by default')
    parser.add_argument('--layout', default='default', choices=('default', 'hourly', 'hive', 'hive-hourly'))
    parser.add_argument('--format', default='text', choices=('text', 'parquet'))
    parser.add_argument('--region', default=REGION)
    parser.add_argument('--seed', type=int, default=7)
    parser.add_argument('--per-second', type=int, default=300, help='records with one start time')
    parser.add_argument('--port', type=int, default=0)
    args = parser.parse_args(argv)
    fake = FakeAWS(latency_ms=args.latency, port=args.port)
    fake.limit_rate('FilterLogEvents', args.rate)
    options = {'seed': args.seed, 'per_second': args.per_second}
    if args.group:
        fake.add_log_group(args.group, args.region, traffic.lines(args.records, **options))
        fake.add_flow_log(log_group=args.group, region=args.region)
    if args.bucket:
        lines = traffic.lines(args.records, **options)
        fake.add_bucket(
            args.bucket, args.region, s3_objects(lines, args.layout, region=args.region, format=args.format)
        )
    fake.start()
    print(fake.url, flush=True)
    threading.Event().wait()


if __name__ == '__main__':
    with suppress(KeyboardInterrupt):
        main()
