"""The CloudWatch Logs service: FilterLogEvents, DescribeLogGroups, DescribeLogStreams, and queries (Insights)."""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.fake.insights import InsightsService
from tests.fake.loggroup import LogGroup
from tests.fake.patterns import compile_pattern
from tests.fake.wire import AwsError, Call, Params, Reply, Tokens

PAGE_EVENTS = 10_000
PAGE_BYTES = 1_048_576
_FIRST_BACKWARDS = 1_704_067_200_000  # startFromHead=False is for startTime >= 2024-01-01


class LogsService:
    """FilterLogEvents, DescribeLogGroups, DescribeLogStreams; `insights` has the operations of queries."""

    def __init__(self, tokens: Tokens):
        self.groups: dict[tuple[str, str, str], LogGroup] = {}
        self.scan_limit: int | None = None  # events looked at for one page; small ones make partial and empty pages
        self.page_events = PAGE_EVENTS
        self._tokens = tokens
        self.insights = InsightsService(self.groups, tokens)

    def parse(self, target: str, body: bytes) -> tuple[str, Params]:
        return target.rpartition('.')[2], json.loads(body or b'{}')

    def handle(self, call: Call) -> Reply:
        operations: dict[str, Callable[[Call], Reply]] = {
            'FilterLogEvents': self._filter_log_events,
            'DescribeLogGroups': self._describe_log_groups,
            'DescribeLogStreams': self._describe_log_streams,
            'CreateLogGroup': self._create_log_group,
            'CreateLogStream': lambda call: Reply([b'']),
            'PutLogEvents': self._put_log_events,
            'DeleteLogGroup': self._delete_log_group,
            'StartQuery': self.insights.start_query,
            'GetQueryResults': self.insights.get_query_results,
            'StopQuery': self.insights.stop_query,
            'DescribeQueries': self.insights.describe_queries,
        }
        if call.operation not in operations:
            raise AwsError('UnknownOperationException', f'{call.operation} is not faked')
        return operations[call.operation](call)

    def _group(self, call: Call) -> LogGroup:
        name, identifier = call.params.get('logGroupName', ''), call.params.get('logGroupIdentifier', '')
        if bool(name) == bool(identifier):
            raise _invalid('Exactly one of logGroupName or logGroupIdentifier must be specified.')
        if not re.fullmatch(r'[\w#+=/:,.@-]+' if identifier else r'[.\-_/#A-Za-z0-9]+', name or identifier):
            member = 'logGroupIdentifier' if identifier else 'logGroupName'
            raise _invalid(
                f"Value '{name or identifier}' at '{member}' failed to satisfy constraint: regular expression"
            )
        account, region, name = call.account, call.region, name or identifier
        if name.startswith('arn:'):
            region, account, name = _parts_of(name)
        group = self.groups.get((account, region, name))
        if group is None or region != call.region:
            raise AwsError('ResourceNotFoundException', 'The specified log group does not exist.')
        return group

    def _filter_log_events(self, call: Call) -> Reply:
        scan = _Scan.of(call.params)
        group = self._group(call)
        if group.log_class != 'STANDARD':
            raise AwsError(
                'InvalidOperationException',
                f'The operation is not supported for the log group class {group.log_class}.',
            )
        with group.lock:
            return self._page(call, group, scan, scan.indices(group))

    def _page(self, call: Call, group: LogGroup, scan: '_Scan', window: range) -> Reply:
        scope = [call.operation, group.arn, scan.scope]
        step = window.step
        position = window.start
        if call.token:
            timestamp, rank = self._tokens.read(call.token, scope, AwsError.trouble('expire_token', 'logs'))
            position = bisect_left(group.timestamps, timestamp) + rank
        stop = window.stop
        if self.scan_limit is not None and abs(stop - position) > self.scan_limit:
            stop = position + step * self.scan_limit
        chosen, following = scan.take(group, range(position, stop, step), min(scan.limit, self.page_events))
        if call.fault == 'empty_pages':
            chosen, following = [], position
        elif call.fault == 'duplicate' and len(chosen) > 1:
            following = chosen[-1]
        natural = None
        if following != window.stop and (following - window.stop) * step < 0:
            moment = group.timestamps[following]
            natural = self._tokens.make(scope, [moment, following - bisect_left(group.timestamps, moment)])
        return _events_reply(group, chosen, call.next_token(natural))

    def _describe_log_groups(self, call: Call) -> Reply:
        prefix, pattern = call.params.get('logGroupNamePrefix', ''), call.params.get('logGroupNamePattern', '')
        if prefix and pattern:
            raise _invalid('LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.')
        log_class = call.params.get('logGroupClass')
        classes = {log_class} if log_class in (None, 'STANDARD', 'DELIVERY') else {'INFREQUENT_ACCESS', 'ESSENTIALS'}
        rows = [
            _group_row(group)
            for (account, region, name), group in sorted(self.groups.items())
            if (account, region) == (call.account, call.region) and name.startswith(prefix) and pattern in name
            and (log_class is None or group.log_class in classes)
        ]  # fmt: skip
        return self._rows(call, 'logGroups', rows, [prefix, pattern, log_class])

    def _describe_log_streams(self, call: Call) -> Reply:
        prefix, order = call.params.get('logStreamNamePrefix'), call.params.get('orderBy', 'LogStreamName')
        if prefix and order == 'LastEventTime':
            raise _invalid('Cannot order by LastEventTime with a logStreamNamePrefix.')
        rows = [row for row in self._group(call).stream_rows() if row['logStreamName'].startswith(prefix or '')]
        if order == 'LastEventTime':
            rows.sort(key=lambda row: row.get('lastEventTimestamp', 0))
        if call.params.get('descending'):
            rows.reverse()
        return self._rows(call, 'logStreams', rows, [prefix, order, call.params.get('descending')])

    def _create_log_group(self, call: Call) -> Reply:
        name = call.params['logGroupName']
        self.groups[call.account, call.region, name] = LogGroup(name, call.region, call.account)
        return Reply([b''])

    def _delete_log_group(self, call: Call) -> Reply:
        del self.groups[call.account, call.region, self._group(call).name]
        return Reply([b''])

    def _put_log_events(self, call: Call) -> Reply:
        events = call.params['logEvents']
        times = iter([event['timestamp'] for event in events])
        stream = call.params['logStreamName']
        self._group(call).add([event['message'] for event in events], lambda _: next(times), lambda _: stream, None)
        return Reply([b'{}'])

    def _rows(self, call: Call, member: str, rows: list[Params], scan: list[object]) -> Reply:
        limit = call.params.get('limit', 50)
        if not 1 <= limit <= 50:
            raise _invalid("Value at 'limit' failed to satisfy constraint: Member must be between 1 and 50")
        scope = [call.operation, call.region, scan]
        first = self._tokens.read(call.token, scope, AwsError.trouble('expire_token', 'logs')) if call.token else 0
        last = first if call.fault == 'empty_pages' else first + limit
        answer: Params = {member: rows[first:last]}
        if token := call.next_token(self._tokens.make(scope, last) if last < len(rows) else None):
            answer['nextToken'] = token
        return Reply([json.dumps(answer, separators=(',', ':')).encode()])


class _Scan(NamedTuple):
    """What one FilterLogEvents call asks for."""

    start: int
    end: int | None
    pattern: str
    names: tuple[str, ...] | None
    prefix: str | None
    forwards: bool
    limit: int

    @classmethod
    def of(cls, params: Params) -> '_Scan':
        names, prefix = params.get('logStreamNames'), params.get('logStreamNamePrefix')
        start, end, limit = params.get('startTime'), params.get('endTime'), params.get('limit', PAGE_EVENTS)
        if names is not None and prefix is not None:
            raise _invalid('logStreamNames and logStreamNamePrefix are mutually exclusive.')
        if not 1 <= limit <= PAGE_EVENTS or (names is not None and not 1 <= len(names) <= 100):
            raise _invalid("Value at 'limit' or 'logStreamNames' failed to satisfy constraint")
        if end is not None and (start or 0) > end:
            raise _invalid('End time should not be lower than the start time.')
        forwards = params.get('startFromHead', True)
        if not forwards and (start or 0) < _FIRST_BACKWARDS:
            raise _invalid('startFromHead=false needs a startTime of 2024-01-01 or later.')
        compile_pattern(params.get('filterPattern', ''))
        chosen = tuple(names) if names is not None else None
        return cls(start or 0, end, params.get('filterPattern', ''), chosen, prefix, forwards, limit)

    @property
    def scope(self) -> tuple[object, ...]:
        return self[:-1]

    def indices(self, group: LogGroup) -> range:
        """The events of the time window in the order of the scan."""
        first = bisect_left(group.timestamps, self.start)
        last = len(group.timestamps) if self.end is None else bisect_right(group.timestamps, self.end)
        return range(first, last) if self.forwards else range(last - 1, first - 1, -1)

    def take(self, group: LogGroup, window: range, limit: int) -> tuple[Sequence[int], int]:
        """The events of one page and the position where the next page goes on."""
        if not window:
            return [], window.stop
        found = self._found(group, window)
        chosen = found[:limit]
        sizes = group.sizes
        if isinstance(chosen, range) and chosen.step == 1 and chosen:
            fits = bisect_right(sizes, sizes[chosen[0]] + PAGE_BYTES) - 1 - chosen[0]
            chosen = chosen[: max(fits, 1)]
        else:
            total = 0
            for count, index in enumerate(chosen):
                total += sizes[index + 1] - sizes[index]
                if total > PAGE_BYTES and count:
                    chosen = chosen[:count]
                    break
        return chosen, found[len(chosen)] if len(chosen) < len(found) else window.stop

    def _found(self, group: LogGroup, window: range) -> Sequence[int]:
        low, high = min(window[0], window[-1]), max(window[0], window[-1]) + 1
        matching = _between(group.matching(self.pattern), low, high)
        if self.names is not None or self.prefix is not None:
            wanted = set(_between(group.in_streams(self.names, self.prefix), low, high))
            matching = [index for index in matching if index in wanted]
        return matching if self.forwards else matching[::-1]


def _between(indices: Sequence[int], low: int, high: int) -> Sequence[int]:
    return indices[bisect_left(indices, low) : bisect_left(indices, high)]


def _invalid(message: str) -> AwsError:
    return AwsError('InvalidParameterException', message)


def _group_row(group: LogGroup) -> Params:
    row = {
        'logGroupName': group.name, 'creationTime': group.created, 'metricFilterCount': 0, 'arn': f'{group.arn}:*',
        'storedBytes': group.sizes[-1], 'logGroupClass': group.log_class, 'logGroupArn': group.arn,
    }  # fmt: skip
    return row | ({'retentionInDays': group.retention} if group.retention else {})


def _events_reply(group: LogGroup, chosen: Sequence[int], token: str | None) -> Reply:
    if isinstance(chosen, range) and chosen.step == 1 and chosen:
        events = group.rendered(chosen[0], chosen[-1] + 1)
    else:
        events = b','.join([group.rendered(index, index + 1) for index in chosen])
    tail = b',"nextToken":"%b"}' % token.encode() if token else b'}'
    return Reply([b'{"events":[', events, b'],"searchedLogStreams":[]' + tail])


def _parts_of(arn: str) -> tuple[str, str, str]:
    """(Region, account, name) of a log group ARN without `:*`."""
    found = re.fullmatch(r'arn:aws[\w-]*:logs:([\w-]+):(\d{12}):log-group:([^:]+)', arn)
    if not found:
        raise _invalid(f"Value '{arn}' at 'logGroupIdentifier' is not the ARN of a log group")
    return found[1], found[2], found[3]
