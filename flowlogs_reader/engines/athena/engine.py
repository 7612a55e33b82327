"""The engine athena: answers queries over flow logs in S3 by Amazon Athena."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any
from uuid import uuid4

from ...aws.session import retry_without
from ...aws.trouble import error_code, is_aws_error, member
from ...errors import FlowLogsError, UsageError
from ...query.query import Window
from ...records.fields import KNOWN
from ...records.layout import Layout
from ...sources.keys import DAY, KeyWindow, key_time, period_of
from ...sources.report import Estimate
from ...sources.s3.reader import S3FlowLogsReader
from ..remote.contract import Answer, Busy, Group, Line, RemoteEngine, State, Task
from ..remote.plan import Plan
from .objects import EMPTY, Format, Item, KeyTimes, formats, items
from .pieces import Piece, pieces_of
from .ready import check_table, check_workgroup
from .results import rows
from .sql import BEFORE, SUM_COLUMNS, Form, key_names, needed_fields, query_text

# What each answer has, if it is from AWS.
ANSWERS = {
    'GetWorkGroup': 'WorkGroup',
    'StartQueryExecution': 'QueryExecutionId',
    'GetQueryExecution': 'QueryExecution',
    'GetQueryResults': 'ResultSet',
}
DATABASE, WORKGROUP = 'default', 'primary'
# The longest query, in bytes (athena/latest/ug/service-limits).
MAX_TEXT = 262_144
# Each query is charged for so many bytes at least.
LEAST_CHARGED = 10_000_000
# How fast a query reads, in bytes a second: a guess, for estimates.
SPEED = 500_000_000
_WORKGROUP = re.compile('[a-zA-Z0-9._-]{1,128}')
_OUTPUT = re.compile('s3://[A-Za-z0-9][A-Za-z0-9._-]+(/.*)?')
_TIMED_OUT = re.compile(r'timed? ?out|EXCEEDED_TIME_LIMIT|exceeded the time limit', re.IGNORECASE)
_EXHAUSTED = re.compile(r'exhausted resources|EXCEEDED_.*MEMORY', re.IGNORECASE)


class Athena(RemoteEngine):
    """Runs queries in a workgroup of Athena, over tables of the Glue Data Catalog that this class defines.

    `reader` says which objects are read. `output_location` is where Athena writes results if the workgroup does not say
    that. With `create_table` tables that do not exist are created.
    """

    NAME = 'athena'
    MAX_SCAN = 100 * 10**9
    # About US$5 for each TB (aws.amazon.com/athena/pricing).
    PRICE = 5 / 10**12
    # The quota of an account is 30 minutes, or up to 240 (athena/latest/ug/service-limits); queries may wait before.
    LONGEST = 270 * 60
    COMMENT = '--'
    OPERATION = 'StartQueryExecution'

    def __init__(
        self,
        reader: S3FlowLogsReader,
        *,
        database: str = DATABASE,
        workgroup: str = WORKGROUP,
        output_location: str | None = None,
        create_table: bool = False,
    ) -> None:
        if not _WORKGROUP.fullmatch(workgroup):
            raise UsageError(
                f'{workgroup[:150]!r} is not the name of a workgroup: that has letters, digits and . _ - only'
            )
        if output_location and not _OUTPUT.fullmatch(output_location):
            raise UsageError(f'results are written to a place such as s3://bucket/prefix/, not to {output_location!r}')
        self._reader = reader
        self._database = database.lower()
        self._workgroup = workgroup
        self._output = output_location
        self._create = create_table
        self._formats: dict[tuple[str, bool], Format] = {}

    # -- AWS --------------------------------------------------------------------------------------------------------

    @cached_property
    def region(self) -> str:
        """The Region in which queries run: the one that was asked for, or the bucket's. Another one costs transfer."""
        session = self._reader.session
        if session.region_name:
            return str(session.region_name)
        try:
            answer = self._reader.boto_client.head_bucket(Bucket=self._reader.bucket)
        except Exception as error:
            if not is_aws_error(error):
                raise
            return str(session.region)
        return str(answer['ResponseMetadata']['HTTPHeaders'].get('x-amz-bucket-region') or session.region)

    @cached_property
    def _athena(self) -> Any:
        client = self._reader.session.client('athena', self.region)
        events = client.meta.events
        for operation, name in ANSWERS.items():
            events.register_first(f'needs-retry.athena.{operation}', retry_without([name]))
        events.register_first('needs-retry.athena.StartQueryExecution', _raise_busy)
        return client

    @cached_property
    def _glue(self) -> Any:
        return self._reader.session.client('glue', self.region)

    # -- what there is ----------------------------------------------------------------------------------------------

    @cached_property
    def _objects(self) -> list[Item]:
        """All objects in the partitions that hold the window, by name."""
        if key_time(self._reader.prefix.removesuffix('/')) is not None:
            raise UsageError('Athena reads folders, not a single object: read that directly')
        window = self._window
        # No key is in the future.
        stop = min(window.stop, int(time.time()) + DAY)
        days = KeyWindow(window.first // DAY * DAY * 1000, -(-stop // DAY) * DAY * 1000)
        return items(self._reader.found_keys(days))

    @cached_property
    def _window(self) -> KeyTimes:
        """The times of keys that are read for the whole window."""
        whole = Window(self._reader.start_ms, self._reader.end_ms)
        return KeyTimes.of(whole, whole)

    def layouts(self) -> Sequence[Layout]:
        objects = [item for item in self._objects if self._window.hold(item)]
        if not objects:
            # No query is made. All fields are in the format: it is not known which are not.
            return [self._reader.layout or Layout(KNOWN)]
        self._formats = formats(self._reader, objects)
        return [*dict.fromkeys(found.layout for found in self._formats.values())]

    @cached_property
    def _pieces(self) -> list[Piece]:
        """What the queries for the whole window read."""
        reader = self._reader
        return [*pieces_of(self._objects, self._database, reader.bucket, reader.prefix, self._window)]

    def parts(self, plan: Plan) -> Sequence[Piece]:
        return [piece._replace(forms=tuple(self._forms(plan, piece))) for piece in self._pieces]

    def _forms(self, plan: Plan, piece: Piece) -> Iterator[Form]:
        layouts = [part.layout for part in plan.parts]
        is_parquet = piece.table.folders.parquet
        ids: defaultdict[Format, list[str]] = defaultdict(list)
        for flow_log in sorted({item.flow_log for item in piece.objects}):
            ids[self._formats[flow_log, is_parquet]].append(flow_log)
        for found, flow_logs in ids.items():
            part = layouts.index(found.layout)
            fields = found.layout.fields
            if is_parquet and not plan.lines:
                fields = needed_fields(plan.parts[part], plan.sums)
            if is_parquet and (unknown := [name for name in fields if name not in KNOWN]):
                raise UsageError(f'the table of Athena has no column {", ".join(unknown)}')
            yield Form(part, found.header, tuple(flow_logs), fields)

    # -- queries ----------------------------------------------------------------------------------------------------

    def task(self, plan: Plan, part: Piece, window: Window) -> Task:
        text = query_text(plan, part.forms, part.scan(KeyTimes.of(window, plan.window)), window)
        if len(text.encode()) > MAX_TEXT:
            raise UsageError(
                f'the query has {len(text.encode())} bytes, and Athena takes {MAX_TEXT} at most: ask with fewer values '
                'in the conditions'
            )
        parameters: dict[str, Any] = {
            'QueryExecutionContext': {'Database': self._database},
            'WorkGroup': self._workgroup,
        }
        if self._output:
            parameters['ResultConfiguration'] = {'OutputLocation': self._output}
        return Task(plan, part, window, text, parameters)

    def preamble(self) -> Iterator[str]:
        for table in dict.fromkeys(piece.table for piece in self._pieces):
            shown = f'{table.database}.{table.name}'
            yield f'{self.COMMENT} {shown}: once, for all queries of {table.template}\n{table.ddl()}\n'

    def check(self, plan: Plan) -> None:
        if plan.everything:
            raise UsageError(
                'Athena is billed by the byte: without conditions that it can test, read the bucket itself, which '
                'gives the same records'
            )

    def estimate(self, tasks: Sequence[Task], run: Callable[[Iterable[Task]], list[Answer]]) -> Estimate:
        """By the sizes of the objects: of Parquet that is the most."""
        charged = [task.part.charged(KeyTimes.of(task.window, task.plan.window)) for task in tasks]
        sizes = [sum(item.key.size or 0 for item in objects) for objects in charged]
        dollars = sum(max(size, LEAST_CHARGED) for size in sizes) * self.PRICE
        return Estimate(sum(sizes), len(tasks), sum(map(len, charged)), dollars, 2 + sum(sizes) / SPEED)

    # -- running ----------------------------------------------------------------------------------------------------

    def get_ready(self) -> None:
        # Of Parquet less than the whole objects is scanned: how much is not known.
        texts = [piece.objects for piece in self._pieces if not piece.table.folders.parquet]
        largest = max((sum(item.key.size or 0 for item in objects) for objects in texts), default=0)
        check_workgroup(self._athena, self._workgroup, self.region, self._output, largest)
        statements = '\n'.join(self.preamble())
        for table in dict.fromkeys(piece.table for piece in self._pieces):
            check_table(self._glue, table, self.region, self._create, statements)

    def start(self, task: Task) -> str:
        asked = {'QueryString': task.text, 'ClientRequestToken': str(uuid4()), **task.parameters}
        try:
            return self._start(asked)
        except Exception as error:
            if not isinstance(error, Busy) and not error_code(error):
                # The query may have been started all the same. A request with its token gives its id: AWS starts no
                # second one.
                with suppress(Exception):
                    self.stop(self._start(asked))
            raise

    def _start(self, asked: dict[str, Any]) -> str:
        return str(member(self._athena.start_query_execution(**asked), 'QueryExecutionId'))

    def poll(self, query_id: str) -> State:
        execution = member(self._athena.get_query_execution(QueryExecutionId=query_id), 'QueryExecution')
        status = execution.get('Status') or {}
        state = status.get('State')
        scanned = int((execution.get('Statistics') or {}).get('DataScannedInBytes') or 0)
        failure = status.get('AthenaError') or {}
        reason = str(status.get('StateChangeReason') or failure.get('ErrorMessage') or '')
        if state == 'SUCCEEDED':
            return State('done', scanned=scanned)
        if state == 'FAILED' and _TIMED_OUT.search(reason):
            return State('timeout', reason, scanned)
        if state == 'FAILED':
            return State('failed', reason, scanned, bool(failure.get('Retryable') or _EXHAUSTED.search(reason)))
        if state == 'CANCELLED':
            return State('failed', reason or 'it was cancelled', scanned)
        return State('running', scanned=scanned)

    def stop(self, query_id: str) -> None:
        self._athena.stop_query_execution(QueryExecutionId=query_id)

    def fetch(self, task: Task, query_id: str) -> Answer:
        plan, piece = task.plan, task.part
        keys = [] if plan.lines else key_names(plan, piece.forms)
        columns = [*BEFORE, *keys, 'flows', *(SUM_COLUMNS[name][0] for name in plan.sums)]
        found: list[Group | Line] = []
        headers: Counter[int] = Counter()
        for row in rows(self._athena, self._reader.boto_client, query_id, columns):
            values = dict(zip(columns, row))
            at, flows = _number(values['form']), _number(values['flows'])
            form = piece.forms[at]
            if values['raw'] and values['raw'].rstrip('\r') == form.header:
                headers[at] += flows
            elif values['raw']:
                found.append(self._line(form, values))
            elif not keys or not values[keys[0]]:
                # There are records, which do not count.
                self._reader.report.sound = True
            else:
                own = tuple(row[len(BEFORE) :][: len(plan.parts[form.part].keys)])
                found.append(_group(form, own, values))
        self._check_headers(piece, KeyTimes.of(task.window, plan.window), headers)
        return Answer(found)

    def _line(self, form: Form, values: dict[str, str]) -> Line:
        """The line. As in the bucket lines are ordered by the time and the name of the object; in it by their start."""
        text, layout = values['raw'].encode(), form.layout
        ended = key_time(values['place']) or 0
        at = layout.position.get('start', layout.position.get('end', len(layout.fields)))
        parts = text.split(b' ', at + 1)
        start = parts[at].decode() if at < len(parts) and parts[at].isdigit() else ''
        order = f'{ended:12} {values["place"]} {start:>19}'
        return Line(text, _number(values['flows']), layout, order, period_of(ended))

    def _check_headers(self, piece: Piece, times: KeyTimes, headers: Counter[int]) -> None:
        """Raises FlowLogsError if objects of a flow log lack the header row: their format may be another one."""
        written = Counter(item.flow_log for item in piece.objects if times.hold(item) and (item.key.size or 0) > EMPTY)
        for at, form in enumerate(piece.forms):
            expected = sum(written[flow_log] for flow_log in form.flow_logs)
            if form.header and headers[at] < expected:
                raise FlowLogsError(
                    f'{expected - headers[at]} of {expected} objects of {", ".join(form.flow_logs[:3])} do not begin '
                    f'with the fields "{form.header}": the flow log has several formats, which Athena cannot tell apart'
                )


def _raise_busy(response: tuple[Any, dict[str, Any]] | None, **_: Any) -> None:
    """A handler of botocore's needs-retry event. It raises Busy: botocore would wait inside the request."""
    if response and response[1].get('Error', {}).get('Code') == 'TooManyRequestsException':
        raise Busy


def _group(form: Form, keys: tuple[str, ...], values: dict[str, str]) -> Group:
    first, last = (values.get(name, '-') for name in ('earliest', 'latest'))
    return Group(
        form.part,
        keys,
        _number(values.get('packets', '0')),
        _number(values.get('octets', '0')),
        None if first == '-' else _number(first),
        None if last == '-' else _number(last),
        _number(values['flows']),
    )


def _number(text: str) -> int:
    """Raises FlowLogsError if a value of a result is not a whole number."""
    if not (text.isascii() and text.isdigit()):
        raise FlowLogsError(f'Athena returned {text[:40]!r} for a number')
    return int(text)
