"""CloudWatch Logs Insights: query text of a plan, and the queries of one log group.

The query parses ``@message`` with an expression that is made from the layout, because AWS finds fields by itself in the
default format only. Only functions and forms of AWS's documentation are used: AmazonCloudWatch/latest/logs,
CWL_QuerySyntax and the pages below it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from typing import Any, ClassVar, NamedTuple

from ..aws.session import retry_without
from ..aws.trouble import error_code, is_denied, is_log_class, member, said
from ..errors import FlowLogsError, IncompleteError, UsageError
from ..query.query import Window
from ..records.layout import Layout
from ..sources.cloudwatch.reader import FlowLogsReader
from ..sources.report import Estimate
from .remote.contract import Answer, Busy, Group, Line, RemoteEngine, State, Task
from .remote.plan import Key, Part, Plan, seconds_of

# The most rows of an answer, and the longest text of a query (StartQuery).
MAX_ROWS = 100_000
MAX_TEXT = 10_000
# Sums are probably made in 64-bit floating point: integers are exact below this.
MAX_SUM = 2**53
# Lines of the log that are looked at, and how many of them may be odd: each of those comes back whole.
SAMPLE, MAX_ODD = 1000, 50
# How many more lines are asked for than are wanted: the last moment may be incomplete, and some lines may be odd.
SPARE = 10_000
# How much the clock of this machine may be ahead, in milliseconds.
CLOCK_SKEW = 60_000
# The prefix of a whole line in the column of a key. No plain value has a space.
_RAW = 'raw '
_PLAIN = re.compile('[!-~]+')
_STATUS = {'Complete': 'done', 'Failed': 'failed', 'Cancelled': 'failed', 'Timeout': 'timeout'}
# The text before and after the field of a sum, and its alias. Aliases differ from fields that AWS discovers itself.
_SUMS = {
    'packets': ('sum(replace(', ', "-", "0"))', 'sPackets'),
    'bytes': ('sum(replace(', ', "-", "0"))', 'sBytes'),
    'start': ('min(', ')', 'sFirst'),
    'end': ('max(', ')', 'sLast'),
}
_FLOWS = 'sFlows'
# Fields with few values.
_FEW = frozenset(['version', 'account_id', 'action', 'log_status', 'region', 'type', 'resource_type'])
# How the ids of queries begin that need not be run.
_NOTHING = 'nothing '


# -- query text --------------------------------------------------------------------------------------------------------


def query_text(plan: Plan, at: int, window: Window) -> str:
    """Return the query of a part for a window. The query of the first part also returns all lines that are not plain.

    Raises UsageError if a condition cannot be written.
    """
    return '\n| '.join(_commands(plan, at, seconds_of(window)))


def _commands(plan: Plan, at: int, seconds: tuple[int, int]) -> Iterator[str]:
    part = plan.parts[at]
    names = _names(plan, part)
    yield f'parse @message {_expression(part, names)}'
    others = [*range(1, len(plan.parts))] if not at else [_index(plan, layout) for layout in part.earlier]
    for other in others:
        yield f'parse @message {_expression(plan.parts[other], {0: f"o{other}"})}'
    mark = names[min(names)]
    absent = [f'not ispresent(o{other})' for other in others]
    passed = [*_conditions(plan, part, names, seconds)]
    if at:
        yield f'filter {" and ".join([f"ispresent({mark})", *absent, *passed])}'
    elif not part.possible:
        yield f'filter {" and ".join([f"not ispresent({mark})", *absent])}'
    elif absent:
        plain = ' and '.join([f'ispresent({mark})', *passed])
        yield f'filter ({" and ".join([f"not ispresent({mark})", *absent])}) or ({plain})'
    elif passed:
        yield f'filter not ispresent({mark}) or ({" and ".join(passed)})'
    if plan.lines:
        yield 'fields @timestamp, @message'
        yield 'sort @timestamp asc'
    else:
        yield f'stats {", ".join(_sums(plan, part, names))} by {", ".join(_keys(plan, part, names))}'
    yield f'limit {most_rows(plan)}'


def most_rows(plan: Plan) -> int:
    """Return how many rows an answer may have: fewer than the most if only the first lines are wanted."""
    return min(MAX_ROWS, plan.limit + SPARE) if plan.lines and plan.limit else MAX_ROWS


def _index(plan: Plan, layout: Layout) -> int:
    return next(at for at, part in enumerate(plan.parts) if part.layout == layout)


def _names(plan: Plan, part: Part) -> dict[int, str]:
    """The names of the fields that the query needs, by their place. There is at least one: it marks plain lines."""
    places = part.tested
    fields = [part.time, *(() if plan.lines else (*(key.field for key in part.keys), *plan.sums, *part.flow))]
    places |= {part.layout.position[field] for field in fields if field in part.layout.position}
    if not (plan.lines or _own_keys(part)):
        places.add(_least_varied(part.layout))
    names: dict[int, str] = {}
    for place in sorted(places or {0}):
        words = part.layout.fields[place].split('_')
        name = 'v' + ''.join(word.capitalize() for word in words)
        names[place] = name if name not in names.values() else f'{name}x{place}'
    return names


def _expression(part: Part, names: Mapping[int, str]) -> str:
    values = [
        f'(?<{names[place]}>{pattern})' if place in names else pattern for place, pattern in enumerate(part.patterns)
    ]
    return f'/^{" ".join(values)}$/'


def _conditions(plan: Plan, part: Part, names: Mapping[int, str], seconds: tuple[int, int]) -> Iterator[str]:
    position = part.layout.position
    if part.flow and not plan.lines:
        flow = [names[position[field]] for field in part.flow]
        if part.flow == ('log_status',):
            yield f'not ({flow[0]} = "NODATA" or {flow[0]} = "SKIPDATA")'
        else:
            missing = ' and '.join([f'{name} = "-"' for name in flow])
            yield f'not ({missing})'
    for places, negated, missed, kind, payload in part.tests:
        if kind == 'same':
            other, operator = payload
            either = [_compared(names[place], operator, names[other], missed) for place in places]
        else:
            either = [text for place in places for text in _alternatives(names[place], missed, kind, payload)]
        if either:
            yield f'not ({" or ".join(either)})' if negated else _any_of(either)
        else:
            yield _constant(names, negated)
    if part.time:
        # The time of the event, too: AWS delivers a record with the time of its start. Here windows are half-open.
        time = names[position[part.time]]
        yield f'{time} >= {seconds[0]} and {time} < {seconds[1]}'


def _constant(names: Mapping[int, str], value: bool) -> str:
    """A condition that all plain lines meet, or none."""
    mark = names[min(names)]
    return f'ispresent({mark})' if value else f'not ispresent({mark})'


def _alternatives(name: str, missing: bool, kind: str, payload: Any) -> list[str]:
    """What a value may be: it must meet one of these. Each is one comparison, one call, or in parentheses."""
    missed = [f'{name} = "-"'] if missing else []
    if kind in ('text', 'fold'):
        value = f'tolower({name})' if kind == 'fold' else name
        # Other text is in no plain line.
        texts = [text.decode() for text in payload if _PLAIN.fullmatch(text.decode()) and text != b'-']
        return [*missed, *_among(value, map(_quoted, texts))]
    if kind == 'number':
        known = [pair for pair in payload if pair[0] < 10**Insights.DIGITS]
        ranges = [
            *_among(name, [str(low) for low, high in known if low == high]),
            *(_in_range(name, low, high) for low, high in known if low < high),
        ]
        return [*missed, *([f'({name} != "-" and {_any_of(ranges)})'] if ranges else [])]
    if kind == 'flags':
        bits = [bit for bit in range(payload.bit_length()) if payload >> bit & 1]
        number = f'replace({name}, "-", "0")'
        # Insights has no bitwise operators.
        tests = [f'floor({number} / {1 << bit}) % 2 = 1' for bit in bits]
        return [*missed, f'({name} != "-" and {" and ".join(tests)})' if tests else f'{name} != "-"']
    if kind == 'address':
        own = [[(first, last) for first, last, family in payload if family == version] for version in (4, 6)]
        return [*missed, *_in_ranges(name, own[0], 4), *_in_ranges(name, own[1], 6)]
    raise UsageError(f'CloudWatch Logs Insights cannot compare by {kind}')


def _compared(name: str, operator: str, other: str, missing: bool) -> str:
    """A comparison of two numbers: of their difference with 0, since samples compare with literals only."""
    known = f'{name} != "-" and {other} != "-"'
    difference = ' - '.join(f'replace({each}, "-", "0")' for each in (name, other))
    return f'({f"not ({known}) or " if missing else f"{known} and "}{difference} {operator} 0)'


def _any_of(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f'({" or ".join(conditions)})'


def _among(name: str, values: Iterable[str]) -> list[str]:
    """A condition that a value is one of these, which are as in a query; none if there are no values."""
    known = [*values]
    if len(known) < 2:
        return [f'{name} = {value}' for value in known]
    return [f'{name} in [{", ".join(known)}]']


def _in_range(name: str, low: int, high: int) -> str:
    bounds = [f'{name} >= {low}'] if low else []
    if high < 10**Insights.DIGITS:
        bounds.append(f'{name} <= {high}')
    return f'({" and ".join(bounds)})' if bounds else f'{name} >= 0'


def _in_ranges(name: str, ranges: Iterable[tuple[int, int]], version: int) -> list[str]:
    """Conditions of which an address in one of the ranges meets one. The ranges are in order, and no two touch.

    The other addresses may be fewer blocks: `internet` is 156 blocks.
    """
    own = [*ranges]
    if not own:
        return []
    edges = [-1, *(edge for pair in own for edge in pair), 1 << (32 if version == 4 else 128)]
    gaps = [(end + 1, begin - 1) for end, begin in zip(edges[::2], edges[1::2]) if end + 1 < begin]
    inside, outside = (_in_networks(name, each, version) for each in (own, gaps))
    if len(outside) >= len(inside):
        return inside
    everything = '0.0.0.0/0' if version == 4 else '::/0'
    all_of_them = f'isIpv{version}InSubnet({name}, "{everything}")'
    return [f'({all_of_them} and not ({" or ".join(outside)}))'] if outside else [all_of_them]


def _in_networks(name: str, ranges: Iterable[tuple[int, int]], version: int) -> list[str]:
    address = IPv4Address if version == 4 else IPv6Address
    networks = [block for first, last in ranges for block in summarize_address_range(address(first), address(last))]
    # An IPv4 address has one spelling only.
    hosts = [network for network in networks if version == 4 and network.prefixlen == 32]
    blocks = [f'isIpv{version}InSubnet({name}, "{network}")' for network in networks if network not in hosts]
    return [*_among(name, [f'"{host[0]}"' for host in hosts]), *blocks]


def _quoted(text: str) -> str:
    for quote in ('"', "'"):
        if quote not in text and '\\' not in text:
            return f'{quote}{text}{quote}'
    raise UsageError(f'CloudWatch Logs Insights cannot compare with {text[:40]!r}')


def _sums(plan: Plan, part: Part, names: Mapping[int, str]) -> Iterator[str]:
    yield f'count(*) as {_FLOWS}'
    for field in plan.sums:
        if part.has(field):
            before, after, alias = _SUMS[field]
            yield f'{before}{names[part.layout.position[field]]}{after} as {alias}'


def _own_keys(part: Part) -> list[tuple[int, Key]]:
    """The keys that the layout has, with their indexes: a plain one first, if there is one."""
    keys = [(at, key) for at, key in enumerate(part.keys) if part.has(key.field)]
    return sorted(keys, key=lambda each: each[1].bucket is not None)


def _least_varied(layout: Layout) -> int:
    """The place of a field to group by if the layout has none of the keys: so there are few rows, not all lines."""
    return next((place for place, field in enumerate(layout.fields) if field in _FEW), 0)


def _keys(plan: Plan, part: Part, names: Mapping[int, str]) -> Iterator[str]:
    """The keys, and in place of the first one the whole line if it is not plain."""
    line = f'concat("{_RAW}", @message)'
    own = [key for _, key in _own_keys(part)] or [Key(part.layout.fields[_least_varied(part.layout)])]
    for at, key in enumerate(own):
        value = _key(key, names[part.layout.position[key.field]])
        # Lines that are not plain have no keys. Whether rows without one of them come back is not documented.
        missing = line if not at else '"-"' if key.bucket is None else '0'
        yield f'coalesce({value}, {missing}) as k{at}' if part is plan.parts[0] else f'{value} as k{at}'


def _key(key: Key, name: str) -> str:
    if key.bucket is None:
        return name
    seconds, offset = key.bucket
    return f'{name} - ({f"({name} + {offset})" if offset else name} % {seconds})'


# -- queries -----------------------------------------------------------------------------------------------------------


class Ask(NamedTuple):
    """What a query is for: the part of the plan with this index, or an `estimate` of what that query scans."""

    at: int
    estimate: bool = False


class Insights(RemoteEngine):
    """The queries of one log group. `reader` reads the same group directly."""

    NAME: ClassVar[str] = 'insights'
    MAX_SCAN: ClassVar[int] = 10 * 10**9
    # US$0.005 for each GB in most Regions.
    PRICE: ClassVar[float] = 0.005 / 10**9
    # A query is ended by AWS after 60 minutes (cloudwatch_limits_cwl), and may wait before.
    LONGEST: ClassVar[float] = 90 * 60
    # Numbers of 15 digits are exact in 64-bit floating point.
    DIGITS: ClassVar[int] = 15
    DATED: ClassVar[bool] = True
    OPERATION: ClassVar[str] = 'StartQuery'

    def __init__(self, reader: FlowLogsReader) -> None:
        self._reader = reader
        self._made: Any = None
        # The answers of complete queries, until their rows are fetched.
        self._complete: dict[str, dict[str, Any]] = {}
        self._empty = 0
        # Whether a query may have been started whose id did not arrive.
        self._lost = False

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = self._reader.boto_client
            events = self._made.meta.events
            events.register_first('needs-retry.cloudwatch-logs.StartQuery', self._after_start)
            events.register_first('needs-retry.cloudwatch-logs.GetQueryResults', retry_without(['status']))
        return self._made

    def layouts(self) -> Sequence[Layout]:
        return self._reader.layouts()

    def parts(self, plan: Plan) -> Sequence[Ask]:
        # The first query returns the lines that are not plain. The others return plain lines only.
        return [Ask(at) for at, part in enumerate(plan.parts) if part.possible or not at]

    def check(self, plan: Plan) -> None:
        sample = self._sample
        # Plain lines that do not count never come back.
        self._reader.report.sound = not sample
        if sample is None:
            return
        if plan.everything:
            raise UsageError(
                'CloudWatch Logs Insights is billed by the byte: without conditions that it can test, read the log '
                'group itself, which gives the same records'
            )
        plain = re.compile('|'.join(_line_pattern(part) for part in plan.parts).encode())
        lines = [line for line in sample.split(b'\n') if line and not line.isspace() and b' SKIPDATA' not in line]
        odd = [line for line in lines if not plain.fullmatch(line)]
        self._reader.report.sound = self._reader.report.sound or len(odd) < len(lines)
        if len(odd) > MAX_ODD and len(odd) * 20 > len(lines):
            raise UsageError(
                f'{len(odd)} of the first {len(lines)} lines are not as AWS writes this format: CloudWatch Logs '
                'Insights would return each of them'
            )

    @cached_property
    def _sample(self) -> bytes | None:
        """The first lines of the log; None if it cannot be read without Insights."""
        try:
            return self._reader.sample(SAMPLE)
        except Exception as error:
            if is_log_class(error):
                return None
            if is_denied(error):
                return b''
            raise

    def task(self, plan: Plan, part: Ask, window: Window) -> Task:
        text = query_text(plan, part.at, window) + ('\n| estimate' if part.estimate else '')
        if len(text) > MAX_TEXT:
            raise UsageError(
                f'the query has {len(text):,} characters, and CloudWatch Logs Insights takes {MAX_TEXT:,}: ask for '
                'fewer values at a time'
            )
        # Both bounds are included, in seconds. The events of flow logs have whole seconds.
        start, end = window.start_ms // 1000, (window.end_ms - 1) // 1000
        parameters = {**self._group(), 'startTime': start, 'endTime': end, 'limit': most_rows(plan)}
        return Task(plan, part, window, text, parameters)

    def _group(self) -> dict[str, Any]:
        name = self._reader.log_group_name
        if name.startswith('arn:'):
            return {'logGroupIdentifiers': [name.removesuffix(':*')]}
        return {'logGroupName': name}

    def estimate(self, tasks: Sequence[Task], run: Callable[[Iterable[Task]], list[Answer]]) -> Estimate:
        """Estimate with the command `estimate`, which compiles the query and does not run it."""
        asking = [self.task(task.plan, task.part._replace(estimate=True), task.window) for task in tasks]
        texts = [row.text for answer in run(asking) for row in answer.rows if isinstance(row, Line)]
        scanned = sum(map(int, texts)) if all(texts) else None
        return Estimate(scanned, requests=len(tasks), dollars=None if scanned is None else scanned * self.PRICE)

    def start(self, task: Task) -> str:
        begin = int(time.time() * 1000)
        try:
            query_id = self._start(task)
        except Exception:
            self._stop_lost(task, begin, '')
            raise
        self._stop_lost(task, begin, query_id)
        return query_id

    def _start(self, task: Task) -> str:
        try:
            answer = self._client.start_query(queryString=task.text, **task.parameters)
        except Exception as error:
            code = error_code(error)
            if code == 'LimitExceededException':
                raise Busy from error
            if code == 'MalformedQueryException' and 'end date and time' in str(error):
                # The window is before the group was made, or before what it retains.
                self._empty += 1
                return f'{_NOTHING}{self._empty}'
            if code == 'MalformedQueryException':
                raise FlowLogsError(f'CloudWatch Logs Insights does not take the query: {said(error)}') from error
            raise
        return str(member(answer, 'queryId'))

    def _after_start(self, response: tuple[Any, dict[str, Any]] | None, **_: Any) -> None:
        """A handler of botocore's needs-retry event. It raises Busy: botocore would wait inside the request."""
        status = response[0].status_code if response else 0
        if not response or status >= 500 or (status == 200 and 'queryId' not in response[1]):
            # The query may run all the same.
            self._lost = True
        elif response[1].get('Error', {}).get('Code') == 'LimitExceededException':
            raise Busy

    def _stop_lost(self, task: Task, begin: int, query_id: str) -> None:
        """Stop queries of the task that were started since `begin`, in milliseconds, whose ids did not arrive."""
        if not self._lost:
            return
        self._lost = False
        name = self._reader.log_group_name.removesuffix(':*').rpartition('log-group:')[2]
        with suppress(Exception):
            for status in ('Scheduled', 'Running'):
                answer = self._client.describe_queries(logGroupName=name, status=status)
                for query in answer.get('queries', ()):
                    same = query.get('queryString') == task.text and query.get('createTime', 0) >= begin - CLOCK_SKEW
                    if same and query.get('queryId') != query_id:
                        self._client.stop_query(queryId=query['queryId'])

    def poll(self, query_id: str) -> State:
        if query_id.startswith(_NOTHING):
            return State('done')
        answer = self._client.get_query_results(queryId=query_id)
        status = str(member(answer, 'status'))
        scanned = int(answer.get('statistics', {}).get('bytesScanned') or 0)
        if status == 'Complete':
            self._complete[query_id] = answer
        return State(_STATUS.get(status, 'running'), f'its status is {status}', scanned, status == 'Failed')

    def fetch(self, task: Task, query_id: str) -> Answer:
        if query_id.startswith(_NOTHING):
            return Answer([])
        rows, stated = self._rows(query_id)
        if task.part.estimate:
            return Answer([Line(_estimated(rows))])
        plan = task.plan
        if len(rows) >= most_rows(plan) or stated > len(rows):
            rows = _first_lines(plan, rows)
            if not rows:
                return Answer([], cut=True)
        return Answer([*(map(_line_of, rows) if plan.lines else _groups(plan, task.part.at, rows))])

    def _rows(self, query_id: str) -> tuple[list[dict[str, str]], int]:
        """The rows of a complete query, and how many AWS says there are."""
        answer = self._complete.pop(query_id)
        stated = int(answer.get('statistics', {}).get('resultCount') or 0)
        rows: list[dict[str, str]] = []
        tokens: set[str] = set()
        while True:
            for row in answer.get('results', ()):
                rows.append({cell['field']: cell['value'] for cell in row if 'field' in cell and 'value' in cell})
            token = answer.get('nextToken')
            if not token:
                return rows, stated
            if token in tokens:
                raise IncompleteError('CloudWatch Logs Insights gave the same page token twice')
            tokens.add(token)
            answer = self._client.get_query_results(queryId=query_id, nextToken=token)

    def stop(self, query_id: str) -> None:
        if not query_id.startswith(_NOTHING):
            self._client.stop_query(queryId=query_id)


def _first_lines(plan: Plan, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows of a cut answer before its last moment, if there are enough plain ones; or no rows."""
    if not (plan.lines and plan.limit and rows):
        return []
    last = max(row.get('@timestamp', '') for row in rows)
    first = [row for row in rows if row.get('@timestamp', '') < last]
    plain = re.compile('|'.join(map(_line_pattern, plan.parts)))
    found = sum(1 for row in first if plain.fullmatch(row.get('@message', '')))
    return first if found >= plan.limit else []


def _line_pattern(part: Part) -> str:
    return ' '.join(part.patterns)


def _line_of(row: Mapping[str, str]) -> Line:
    if '@message' not in row:
        raise IncompleteError('CloudWatch Logs Insights gave a row without its message')
    return Line(_bytes(row['@message']), order=row.get('@timestamp', ''))


def _bytes(message: str) -> bytes:
    # A line end inside a message must not make two records of it.
    return message.replace('\n', ' ').encode('utf-8', 'replace')


def _groups(plan: Plan, at: int, rows: Iterable[Mapping[str, str]]) -> Iterator[Group | Line]:
    """Raises FlowLogsError if a value is not what was asked for, or not exact."""
    part = plan.parts[at]
    own = [(*each, re.compile(part.patterns[part.layout.position[each[1].field]])) for each in _own_keys(part)]
    for row in rows:
        flows = _number(row.get(_FLOWS, ''))
        first = row.get('k0', '')
        if first.startswith(_RAW):
            yield Line(_bytes(first.removeprefix(_RAW)), flows)
            continue
        keys = ['-'] * len(part.keys)
        for number, (place, key, pattern) in enumerate(own):
            value = row.get(f'k{number}', '')
            keys[place] = str(_number(value)) if key.bucket else value
            if not pattern.fullmatch(keys[place]):
                raise FlowLogsError(f'CloudWatch Logs Insights gave {value[:60]!r} for {key.field}')
        sums = {name: _number(row.get(_SUMS[name][-1], '')) for name in plan.sums if part.has(name)}
        yield Group(
            at, tuple(keys), sums.get('packets', 0), sums.get('bytes', 0), sums.get('start'), sums.get('end'), flows
        )


def _number(text: str) -> int:
    try:
        number = Decimal(text)
        exact = number == number.to_integral_value() and 0 <= number < MAX_SUM
    except InvalidOperation:
        raise FlowLogsError(f'CloudWatch Logs Insights gave {text[:60]!r} for a number') from None
    if not exact:
        raise FlowLogsError(
            f'CloudWatch Logs Insights gave a sum of {text[:60]}, which is not exact above {MAX_SUM:,}: give a '
            'shorter window'
        )
    return int(number)


def _estimated(rows: Sequence[Mapping[str, str]]) -> bytes:
    """The number of bytes in the answer to `estimate`; nothing if there is none. AWS does not document its name."""
    values = {name: value for row in rows for name, value in row.items() if not name.startswith('@')}
    numbers = {name: number for name, value in values.items() if (number := _bytes_of(value)) is not None}
    named = {name: number for name, number in numbers.items() if 'byte' in name.lower()} or numbers
    return b'%d' % next(iter(named.values())) if len(named) == 1 else b''


def _bytes_of(text: str) -> int | None:
    try:
        return int(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return None
