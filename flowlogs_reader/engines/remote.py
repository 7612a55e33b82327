"""Engines on AWS: what one of them must do, and what they share: running, splitting, stopping, and merging rows.

An engine is a subclass of :class:`RemoteEngine` for the source that it reads: a log group (engines/insights.py), a
bucket (engines/athena.py). It writes query text, and starts, watches and stops queries; it decides nothing else. The
rest is here:

1. :class:`RemoteSource` takes the place of the reader of a location. The functions of engines/local.py read it like any
   reader: it adds what the engine sums to their tables (``sum_into``), or yields the lines that the engine finds
   (``blocks``). So keys, prefixes, ``--both-ways``, intervals, order and columns are those of the local engine.
2. It makes a Plan (engines/plan.py) of the query, the engine's layouts and the table that wants to be filled.
3. The engine makes a :class:`Task` of each of its `parts` for the window: the text and the parameters of one query. It
   estimates what they scan. Above `max_scan` nothing is started.
4. :class:`Runner` runs the tasks, a few at a time. If an answer has as many rows as the engine returns at most, or the
   query timed out, its window is split, and its rows are dropped. On any exception every running query is stopped.
5. When everything has been read, the rows are merged. A :class:`Group` is added to the table. A :class:`Line` goes
   through the Layout, the conditions and the window of the query, as often as it occurred. The report gets the facts.

Nothing is yielded before all queries are complete, those of other locations too (:class:`RemoteSources`): if one fails,
there are no rows.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from ..aws.trouble import is_aws_error
from ..errors import Cause, FlowLogsError, UsageError
from ..kernel import Sums
from ..query.query import Query, Window
from ..query.result import ROWS, Records, Table
from ..records.block import Block
from ..records.layout import Layout
from ..sources.base import BaseReader
from ..sources.cloudwatch.ordering import by_layout
from ..sources.further import Further
from ..sources.report import Estimate, Usage, size_text
from ..sources.several import SeveralReaders, summed
from . import local
from .interrupts import held_back, terminable
from .plan import Plan, check_fields, check_query, plan_groups, plan_lines
from .sums import add_groups

# As BaseReader.sum_into has them.
Keys = Sequence[Sequence[str]] | Callable[[Layout], Sequence[Sequence[str]]]
# Queries at a time: the quota of an account is shared with dashboards and everybody else.
CONCURRENT = 4
# Seconds between two looks at a query, after the first, which is at once: the least, the most, and how they grow.
FIRST_WAIT, LAST_WAIT, GROWTH = 0.5, 5.0, 1.5
# How often the window of a query that fails or times out is split.
MAX_RETRIES = 2
# How many windows are made of one whose answer has too many rows.
PIECES = 4
# Bytes of repeated lines that are made at a time.
_REPEATED = 1 << 20


class Task(NamedTuple):
    """One query: its text, and the parameters of the request that starts it, without the text.

    `part` is the engine's number of it, `window` the half-open part of the query's window, in milliseconds.
    """

    part: int
    window: Window
    text: str
    parameters: Mapping[str, Any]


class Group(NamedTuple):
    """Flows that have the same keys: the values of the keys of ``plan.parts[part]``, canonical or ``-``, and sums.

    What is not in `plan.sums` is 0, or None for times.
    """

    part: int
    keys: tuple[str, ...]
    packets: int = 0
    bytes: int = 0
    start: int | None = None
    end: int | None = None
    flows: int = 1


class Line(NamedTuple):
    """A whole line, without its newline, and how often it occurred.

    `layout` is its format, if the engine knows that; otherwise it is detected. `order` is what lines are sorted by,
    such as the time of the event. `ended` is as in Block.
    """

    text: bytes
    times: int = 1
    layout: Layout | None = None
    order: str | int = 0
    ended: tuple[int, int] | None = None


class Answer(NamedTuple):
    """All rows of a query that is complete. If they are `cut` at the engine's limit, the window will be split."""

    rows: Sequence[Group | Line]
    cut: bool = False


class State(NamedTuple):
    """What AWS says about a query: 'running', 'done', 'failed' or 'timeout', why, and the bytes scanned so far.

    A query that failed is tried again with a shorter window, if `retry` says that this can help.
    """

    status: str
    reason: str = ''
    scanned: int = 0
    retry: bool = False


class Busy(Exception):
    """AWS runs as many queries as it allows: raised by :meth:`RemoteEngine.start`; the query is started later."""


class RemoteEngine:
    """What an engine on AWS does for one source. It asks AWS nothing before :meth:`layouts`."""

    # As the user calls it.
    NAME: ClassVar[str]
    # Bytes that are scanned without asking.
    MAX_SCAN: ClassVar[int]
    # US dollars for each byte scanned: the list price.
    PRICE: ClassVar[float]
    # Seconds that a query takes at most, and that others may keep it from being started.
    LONGEST: ClassVar[float]
    # In front of a line that is not query text.
    COMMENT: ClassVar[str] = '#'
    # The operation that starts a query.
    OPERATION: ClassVar[str] = ''
    # Digits of a number that the engine adds exactly.
    DIGITS: ClassVar[int] = 18
    # Whether the source compares the time of events with the window; otherwise records are dated by their fields.
    DATED: ClassVar[bool] = False
    # Whether lines may be header rows of files.
    HEADERS: ClassVar[bool] = False

    def layouts(self) -> Sequence[Layout]:
        """Return the formats of the log, in the order in which a line is tried."""
        raise NotImplementedError

    def prepare(self, plan: Plan) -> int:
        """Take the plan, and return how many parts it needs: queries for the same window.

        Raises UsageError if the engine cannot answer.
        """
        raise NotImplementedError

    def check(self, plan: Plan) -> None:
        """Look at the log, without a request that costs. Raises UsageError if the engine should not be used for it."""

    def task(self, part: int, window: Window) -> Task:
        """Return the query of a part for a window. Raises UsageError if its text is too long."""
        raise NotImplementedError

    def preamble(self) -> Iterator[str]:
        """Yield what must exist before the queries run, as text for the user: DDL."""
        yield from ()

    def estimate(self, tasks: Sequence[Task], run: Callable[[Iterable[Task]], list[Answer]]) -> Estimate:
        """Return what the tasks scan, without a request that costs. `run` runs tasks that are free."""
        raise NotImplementedError

    def start(self, task: Task) -> str:
        """Start a query and return its id. Raises Busy if it must wait."""
        raise NotImplementedError

    def poll(self, query_id: str) -> State:
        """Ask how a query is doing."""
        raise NotImplementedError

    def fetch(self, task: Task, query_id: str) -> Answer:
        """Return all rows of a query that is done. Raises FlowLogsError if a row is not what was asked for."""
        raise NotImplementedError

    def stop(self, query_id: str) -> None:
        """Stop a query. If it has already ended, this does nothing."""
        raise NotImplementedError


class _Running(NamedTuple):
    task: Task
    retries: int
    began: float
    due: float
    wait: float
    scanned: int = 0


class Runner:
    """Runs tasks of an engine, CONCURRENT at a time, and stops all of them if anything goes wrong.

    `sleep` waits so many seconds. `on_progress` is called with the Usage so far whenever AWS was asked. `on_wait` is
    called if AWS runs as many queries as it allows. `max_scan` is how many bytes may be scanned, with `before` bytes
    of other locations; None means no limit.
    """

    def __init__(
        self,
        engine: RemoteEngine,
        sleep: Callable[[float], None] = time.sleep,
        on_progress: Callable[[Usage], None] | None = None,
        on_wait: Callable[[], None] | None = None,
        max_scan: int | None = None,
        before: int = 0,
    ) -> None:
        self._engine = engine
        self._sleep = sleep
        self._on_progress = on_progress
        self._on_wait = on_wait
        self._max_scan = max_scan
        self._before = before
        self._begin = time.monotonic()
        self._running: dict[str, _Running] = {}
        self._waiting: deque[tuple[Task, int]] = deque()
        self._ended = 0
        self._start_after = 0.0
        self._start_wait = FIRST_WAIT
        self._busy_since: float | None = None
        self.usage = Usage()

    def run(self, tasks: Iterable[Task]) -> Generator[Answer, None, None]:
        """Yield the answers of the tasks, or of the parts into which they were split. Whoever stops early closes it.

        Raises FlowLogsError with AWS's reason if a query fails, UsageError if more than `max_scan` bytes are scanned.
        """
        with terminable():
            try:
                self._waiting.extend((task, 0) for task in tasks)
                while self._waiting or self._running:
                    self._start_some()
                    self._wait()
                    for query_id in [*self._running]:
                        if self._running[query_id].due <= time.monotonic():
                            if answer := self._look_at(query_id):
                                yield answer
            finally:
                self._stop_all()

    def _start_some(self) -> None:
        while self._waiting and len(self._running) < CONCURRENT and self._start_after <= time.monotonic():
            task, retries = self._waiting[0]
            try:
                with held_back():
                    query_id = self._engine.start(task)
                    self._waiting.popleft()
                    now = time.monotonic()
                    self._running[query_id] = _Running(task, retries, now, now, FIRST_WAIT / GROWTH)
            except Busy:
                now = time.monotonic()
                self._busy_since = self._busy_since or now
                if now - self._busy_since > self._engine.LONGEST:
                    raise FlowLogsError(
                        f'{self._engine.NAME}: AWS has run as many queries as the account may have, for '
                        f'{_minutes(now - self._busy_since)}'
                    ) from None
                if self._on_wait:
                    self._on_wait()
                self._start_after = now + self._start_wait
                self._start_wait = min(LAST_WAIT, self._start_wait * GROWTH)
            else:
                self._start_wait, self._busy_since = FIRST_WAIT, None
                self.usage.queries += 1

    def _wait(self) -> None:
        """Wait for the next moment at which something is to be done."""
        due = [running.due for running in self._running.values()]
        if self._waiting and len(self._running) < CONCURRENT:
            due.append(self._start_after)
        if due and (seconds := min(due) - time.monotonic()) > 0:
            self._sleep(seconds)

    def _look_at(self, query_id: str) -> Answer | None:
        running = self._running[query_id]
        task = running.task
        state = self._engine.poll(query_id)
        wait = min(LAST_WAIT, running.wait * GROWTH)
        self._running[query_id] = running._replace(due=time.monotonic() + wait, wait=wait, scanned=state.scanned)
        self._count()
        if state.status == 'running' and (time_taken := time.monotonic() - running.began) > self._engine.LONGEST:
            raise FlowLogsError(
                f'{self._engine.NAME}: the query has not ended after {_minutes(time_taken)}{_because(state.reason)}: '
                'it was stopped'
            )
        if state.status == 'running':
            return None
        answer = self._engine.fetch(task, query_id) if state.status == 'done' else None
        del self._running[query_id]
        self._ended += state.scanned
        if answer and not answer.cut:
            return answer
        retries = running.retries + (answer is None)
        if not answer and (retries > MAX_RETRIES or not (state.retry or state.status == 'timeout')):
            raise FlowLogsError(f'{self._engine.NAME}: the query {_ENDED[state.status]}{_because(state.reason)}')
        pieces = split(task.window, PIECES if answer else 2)
        if len(pieces) < 2 and answer:
            raise FlowLogsError(f'{self._engine.NAME}: one second has more rows than a query returns')
        if len(pieces) < 2:
            raise FlowLogsError(f'{self._engine.NAME}: the query {_ENDED[state.status]}{_because(state.reason)}')
        self._check_budget(more=state.scanned)
        self._waiting.extendleft((self._engine.task(task.part, piece), retries) for piece in reversed(pieces))
        return None

    def _count(self) -> None:
        self.usage.scanned = self._ended + sum(running.scanned for running in self._running.values())
        self.usage.dollars = self.usage.scanned * self._engine.PRICE
        self.usage.seconds = time.monotonic() - self._begin
        self._check_budget()
        if self._on_progress:
            self._on_progress(self.usage)

    def _check_budget(self, more: int = 0) -> None:
        scanned = self._before + self.usage.scanned
        if self._max_scan is not None and scanned + more > self._max_scan:
            raise UsageError(
                f'{self._engine.NAME} has scanned {size_text(scanned)}, and would scan more than '
                f'{size_text(self._max_scan)}: it was stopped',
                Cause.OVER_BUDGET,
            )

    def _stop_all(self) -> None:
        """Stop every running query. Neither an error nor a signal must keep others from being stopped."""
        with held_back():
            for query_id in [*self._running]:
                with suppress(Exception):
                    self._engine.stop(query_id)
                self._running.pop(query_id, None)


_ENDED = {'failed': 'failed', 'timeout': 'took longer than AWS allows'}


def _because(reason: str) -> str:
    return f': {reason}' if reason else ''


def _minutes(seconds: float) -> str:
    return f'{seconds / 60:.0f} minutes'


def split(window: Window, count: int) -> list[Window]:
    """Divide a window into `count` parts, or fewer: their edges are whole seconds, and no two share a second."""
    first, last = window.start_ms // 1000, -(-window.end_ms // 1000)
    edges = {first + (last - first) * at // count for at in range(1, count)} - {first, last}
    bounds = [window.start_ms, *(edge * 1000 for edge in sorted(edges)), window.end_ms]
    return [Window(*pair) for pair in zip(bounds, bounds[1:])]


class RemoteSource(BaseReader):
    """Takes the place of the reader of a location, and reads through an engine. See the docstring of the module.

    `reader` gives the window, the conditions and the names. `on_estimate` is called with what the read will take before
    any query is started that costs.
    """

    def __init__(
        self,
        engine: RemoteEngine,
        query: Query,
        reader: BaseReader,
        *,
        max_scan: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
        on_estimate: Callable[[Estimate], None] | None = None,
        on_progress: Callable[[Usage], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        check_query(query, engine.NAME)
        super().__init__(
            start_time=reader.start_time,
            end_time=reader.end_time,
            exact_window=True,
            fields=None,
            where=query.conditions,
            count_skipdata=query.sums,
            on_unreadable=reader._on_unreadable,
        )
        self.engine = engine
        self.query = query
        self.reader = reader
        self.max_scan = engine.MAX_SCAN if max_scan is None else max_scan
        self.estimated = Estimate()
        self.tasks: list[Task] = []
        # 'queries' or 'estimate': stop after this step, without rows.
        self._only = ''
        self._on_estimate = on_estimate
        self._on_wait = on_wait
        self._runner = partial(Runner, engine, sleep, on_progress, self._tell_of_waiting)
        self._layouts: Sequence[Layout] = ()
        self._plan: Plan | None = None
        # What the queries found.
        self._lines: list[Line] = []
        self._sums: Sums | None = None
        if engine.DATED and self.start_ms % 1000 == self.end_ms % 1000 == 0:
            # The engine asks for events of whole seconds: none of these need be left out.
            self.where.window = None

    def describe(self) -> str:
        return self.reader.describe()

    def diagnose(self, error: Exception) -> object | None:
        return self.reader.diagnose(error)

    def set_query(self, query: Query) -> None:
        super().set_query(query)
        self.query = replace(query, window=self.query.window)

    def estimate(self) -> Estimate:
        """Return what the read would take. No query that costs is started. Raises UsageError as the read would."""
        self._look_ahead('estimate')
        return self.estimated

    def queries(self) -> Iterator[str]:
        """Yield what the read would send to AWS, as text: what must exist, then each query with its parameters."""
        self._look_ahead('queries')
        yield from self.engine.preamble()
        for task in self.tasks:
            parameters = json.dumps({**task.parameters})
            yield f'{self.engine.COMMENT} {self.engine.OPERATION} {parameters}\n{task.text}\n'

    def _look_ahead(self, only: str) -> None:
        """Let the local engine ask for what it needs."""
        self._only = only
        result = local.run(self.query, [self])
        parts: Iterable[object]
        if isinstance(result, Records):
            parts = result.blocks
        else:
            parts = result.chunks if isinstance(result, Table) else result.tables
        for _ in parts:
            pass

    def _tell_of_waiting(self) -> None:
        if self._on_wait:
            self._on_wait()
        self._on_wait = None

    def sum_into(
        self,
        table: Sums,
        keys: Keys,
        columns: Iterable[str] = (),
        further: Sequence[Further] = (),
    ) -> Iterator[Block]:
        """As BaseReader, but without further tables: no query that is answered here has any.

        The table gets the groups by their first start, then by their keys.
        """
        self._ask(table, keys)
        assert self._sums is not None
        keys_of = _callable(keys)
        for block in self._blocks_of(self._lines):
            self._account(block, *self.where.add(self._sums, block, keys_of(block.layout)))
        rows = self._sums.lines().splitlines(keepends=True)
        rows.sort(key=_by_start)
        for begin in range(0, len(rows), ROWS):
            add_groups(table, b''.join(rows[begin : begin + ROWS]))
        yield Block(self._layouts[0], b'')

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        """The lines that the engine finds, by time, then as text."""
        self._ask()
        self._lines.sort(key=attrgetter('order', 'text'))
        yield from self._blocks_of(self._lines)

    def _ask(self, table: Sums | None = None, keys: Keys = ()) -> None:
        """Prepare the read, then run the queries; or nothing if :class:`RemoteSources` has done both."""
        if self._plan:
            return
        self.prepare(table, keys)
        if not self._only:
            self.allow(self.estimated)
            self.run_queries()

    def prepare(self, table: Sums | None = None, keys: Keys = ()) -> None:
        """Plan the queries that fill a table, or find lines, and estimate what they scan."""
        self.report.origin = self.report.origin or self.describe()
        self._layouts = tuple(self.engine.layouts())
        self.report.format_trouble = self.reader.report.format_trouble
        check_fields(self.query, self._layouts)
        dated, digits = self.engine.DATED, self.engine.DIGITS
        if table is None:
            plan = plan_lines(self.query, self._layouts, dated, digits)
        else:
            keys_of = _callable(keys)
            plan = plan_groups(self.query, self._layouts, table, keys_of, dated, digits)
            # Addresses as they are: the table makes networks and intervals of them.
            self._sums = Sums([None] * len(keys_of(self._layouts[0])[0]), table.track, table.flows_only)
        parts = self.engine.prepare(plan)
        self._plan = plan
        self.tasks = [self.engine.task(part, plan.window) for part in range(parts)]
        if self._only == 'queries':
            return
        self.engine.check(plan)
        free = self._runner()
        self.estimated = self.engine.estimate(self.tasks, lambda tasks: [*free.run(tasks)])

    def allow(self, estimated: Estimate) -> None:
        """Tell what a read will take. Raises UsageError if that is more than `max_scan` bytes."""
        scanned = estimated.bytes
        if scanned is not None and scanned > self.max_scan:
            raise UsageError(
                f'{self.engine.NAME} would scan {size_text(scanned)}, more than {size_text(self.max_scan)}: nothing '
                'was read',
                Cause.OVER_BUDGET,
            )
        if self._on_estimate:
            self._on_estimate(estimated)

    def run_queries(self, before: int = 0) -> None:
        """Run the queries, and keep what they find. `before` is how many bytes of `max_scan` were scanned already."""
        assert self._plan
        runner = self._runner(max_scan=self.max_scan, before=before)
        self.report.usage = runner.usage
        with closing(runner.run(self.tasks)) as answers:
            for answer in answers:
                self._lines += [row for row in answer.rows if isinstance(row, Line)]
                self._add_groups(self._plan, [row for row in answer.rows if isinstance(row, Group)])
        self.report.read.update(dict.fromkeys(self._layouts, 0))
        self.report.sound = self.report.sound or self.reader.report.sound

    def _add_groups(self, plan: Plan, groups: Sequence[Group]) -> None:
        for part, rows in groupby(groups, key=attrgetter('part')):
            own = plan.parts[part]
            while some := [*islice(rows, ROWS)]:
                texts: list[str] = []
                for row in some:
                    times = ['-' if time is None else time for time in (row.start, row.end)]
                    sums = f'{row.packets} {row.bytes} {times[0]} {times[1]} {row.flows}\n'
                    for alternative in own.alternatives:
                        texts += [row.keys[place] + ' ' for place in alternative]
                        texts.append(sums)
                assert self._sums is not None
                add_groups(self._sums, ''.join(texts).encode())
                self._found(own.layout, sum(row.flows for row in some))

    def _found(self, layout: Layout, flows: int) -> None:
        self.report.matched[layout] += flows
        self.report.sound = True
        if self.where.lacked(layout):
            self.report.read[layout] += flows

    def _blocks_of(self, lines: Iterable[Line]) -> Iterator[Block]:
        """The lines as Blocks, as often as they occurred. Header rows of files are left out."""
        for (layout, ended, times), run in groupby(lines, key=attrgetter('layout', 'ended', 'times')):
            texts = [line.text for line in run if not (self.engine.HEADERS and _is_header(line.text))]
            data = b''.join([text + b'\n' for text in texts])
            if not data:
                continue
            layouts = [layout] if layout else self._layouts
            for block in by_layout(data, layouts, self.report.origin):
                yield from _repeated(block.from_place(block.origin, ended), times)


class RemoteSources(SeveralReaders):
    """Several locations that an engine on AWS reads: what all of them scan is estimated before any query is started
    that costs, and compared with `max_scan` of the first. There are rows only if all queries are complete.
    """

    def __init__(self, readers: Sequence[BaseReader], on_failure: Callable[[BaseReader, Exception], None]) -> None:
        super().__init__(readers, on_failure)
        self._sources = [reader for reader in readers if isinstance(reader, RemoteSource)]

    def blocks(
        self, limit: int | None = None, raw: bool = False, columns: Iterable[str] | None = None
    ) -> Iterator[Block]:
        self._ask()
        yield from super().blocks(limit, raw, columns)

    def sum_into(
        self, table: Sums, keys: Keys, columns: Iterable[str] = (), further: Sequence[Further] = ()
    ) -> Iterator[Block]:
        self._ask(table, keys)
        yield from super().sum_into(table, keys, columns, further)

    def _ask(self, table: Sums | None = None, keys: Keys = ()) -> None:
        try:
            for source in self._sources:
                self._try(source, partial(source.prepare, table, keys))
            self._sources[0].allow(summed(source.estimated for source in self._sources))
            before = 0
            for source in self._sources:
                self._try(source, partial(source.run_queries, before))
                before += source.report.usage.scanned if source.report.usage else 0
        except Exception:
            for source in self._sources:
                self._merge(source)
            raise

    def _try(self, source: RemoteSource, step: Callable[[], None]) -> None:
        """Raises FlowLogsError after `on_failure`: the error does not name the location."""
        try:
            step()
        except UsageError:
            raise
        except Exception as error:
            if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                raise
            self.on_failure(source, error)
            raise FlowLogsError(
                f'{source.engine.NAME} gives rows only if all locations can be read: there are none'
            ) from error


def _callable(keys: Keys) -> Callable[[Layout], Sequence[Sequence[str]]]:
    return keys if callable(keys) else lambda _: keys


def _repeated(block: Block, times: int) -> Iterator[Block]:
    """The lines of a Block so many times, in Blocks that are not too large."""
    at_a_time = max(1, _REPEATED // max(1, len(block.data)))
    while times > 0:
        yield block.of_text(block.data * min(times, at_a_time))
        times -= at_a_time


def _is_header(line: bytes) -> bool:
    try:
        return Layout.from_header(line) is not None
    except ValueError:
        return False


def _by_start(line: bytes) -> tuple[int, bytes]:
    """The order of rows: by start, those without one first, then by keys."""
    start = line.rsplit(b' ', 3)[1]
    return -1 if start == b'-' else int(start), line
