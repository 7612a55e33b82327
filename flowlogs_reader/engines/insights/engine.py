"""The engine insights: answers queries over a log group by CloudWatch Logs Insights."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from ...aws.session import retry_without
from ...aws.trouble import error_code, is_denied, is_log_class, member, said
from ...errors import FlowLogsError, IncompleteError, UsageError
from ...query.query import Window
from ...records.layout import Layout
from ...sources.cloudwatch.reader import FlowLogsReader
from ...sources.report import Estimate
from ..remote.contract import Answer, Busy, Line, RemoteEngine, State, Task, is_too_odd
from ..remote.plan import Plan
from .results import estimated, first_lines, groups, line_of, line_pattern
from .text import DIGITS, most_rows, query_text

# The longest text of a query (StartQuery).
MAX_TEXT = 10_000
# Lines of the log that are looked at.
SAMPLE = 1000
# How much the clock of this machine may be ahead, in milliseconds.
CLOCK_SKEW = 60_000
_STATUS = {'Complete': 'done', 'Failed': 'failed', 'Cancelled': 'failed', 'Timeout': 'timeout'}
# How the ids of queries begin that need not be run.
_NOTHING = 'nothing '


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
    DIGITS: ClassVar[int] = DIGITS
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
        plain = re.compile('|'.join(line_pattern(part) for part in plan.parts).encode())
        lines = [line for line in sample.split(b'\n') if line and not line.isspace() and b' SKIPDATA' not in line]
        odd = [line for line in lines if not plain.fullmatch(line)]
        self._reader.report.sound = self._reader.report.sound or len(odd) < len(lines)
        if is_too_odd(len(odd), len(lines)):
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
            return Answer([Line(estimated(rows))])
        plan = task.plan
        if len(rows) >= most_rows(plan) or stated > len(rows):
            rows = first_lines(plan, rows)
            if not rows:
                return Answer([], cut=True)
        return Answer([*(map(line_of, rows) if plan.lines else groups(plan, task.part.at, rows))])

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
