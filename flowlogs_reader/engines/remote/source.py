"""Locations that an engine on AWS reads, in the place of their readers."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import attrgetter

from ...aws.trouble import is_aws_error
from ...errors import Cause, FlowLogsError, UsageError
from ...kernel import Sums
from ...query.query import Query
from ...query.result import Records, Table
from ...records.block import Block
from ...records.layout import Layout
from ...sources.base import BaseReader
from ...sources.cloudwatch.ordering import by_layout
from ...sources.further import Further
from ...sources.report import Estimate, Usage, size_text
from ...sources.several import SeveralReaders, summed
from .. import local
from ..sums import Keys
from .contract import Line, RemoteEngine, Task
from .plan import check_fields, check_query, plan_groups, plan_lines
from .question import Question, Wanted
from .runner import Runner

# Bytes of repeated lines that are made at a time.
_REPEATED = 1 << 20


class RemoteSource(BaseReader):
    """Takes the place of the reader of a location, and reads through an engine: see contract.py.

    `reader` gives the window, the conditions and the names. `max_scan` is how many bytes all queries may scan (None: as
    many as the engine has in MAX_SCAN). `on_estimate` is called with what the read will take before any query is
    started that costs. The other callbacks are those of :class:`~.runner.Runner`. Raises UsageError if the engine
    cannot answer the query.
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
        self._questions: list[Question] = []
        if engine.DATED and self.start_ms % 1000 == self.end_ms % 1000 == 0:
            # The engine asks for events of whole seconds: none of these need be left out.
            self.where.window = None

    def describe(self) -> str:
        return self.reader.describe()

    def diagnose(self, error: Exception) -> object | None:
        return self.reader.diagnose(error)

    def set_query(self, query: Query) -> None:
        super().set_query(query)
        self.query = query._replace(window=self.query.window)

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
        """As BaseReader. The tables get the groups by their first start, then by their keys."""
        self._ask(Wanted.all_of(table, keys, further))
        first, *others = self._questions
        for block in self._blocks_of(first.lines):
            self._account(block, *first.add_lines(block))
        for question in others:
            for block in self._blocks_of(question.lines):
                question.add_lines(block)
        for question in self._questions:
            question.fill()
        yield Block(self._layouts[0], b'')

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        """The lines that the engine finds, by time, then as text."""
        self._ask()
        (question,) = self._questions
        yield from self._blocks_of(sorted(question.lines, key=attrgetter('order', 'text')))

    def _ask(self, tables: Sequence[Wanted] = ()) -> None:
        """Prepare the read, then run the queries; or nothing if :class:`RemoteSources` has done both."""
        if self._questions:
            return
        self.prepare(tables)
        if not self._only:
            self.allow(self.estimated)
            self.get_ready()
            self.run_queries()

    def prepare(self, tables: Sequence[Wanted] = ()) -> None:
        """Plan the queries that fill tables, or find lines, and estimate what they scan."""
        self.report.origin = self.report.origin or self.describe()
        self._layouts = tuple(self.engine.layouts())
        self.report.format_trouble = self.reader.report.format_trouble
        check_fields(self.query, self._layouts)
        self._questions = [*self._asked(tables)]
        self.tasks = [
            self.engine.task(question.plan, part, question.plan.window)
            for question in self._questions
            for part in self.engine.parts(question.plan)
        ]
        if self._only == 'queries':
            return
        for question in self._questions:
            self.engine.check(question.plan)
        free = self._runner()
        self.estimated = self.engine.estimate(self.tasks, lambda tasks: [answer for _, answer in free.run(tasks)])

    def _asked(self, tables: Sequence[Wanted]) -> Iterator[Question]:
        """Yield a question for each table, or for lines if there are none."""
        layouts, dated, digits = self._layouts, self.engine.DATED, self.engine.DIGITS
        if not tables:
            yield Question(plan_lines(self.query, layouts, dated, digits), self.where)
        for at, wanted in enumerate(tables):
            # Only the first question counts SKIPDATA. It is always asked: odd lines are in its answers.
            where = self.where.also(wanted.conditions) if at else self.where
            query = self.query._replace(conditions=where.conditions)
            if not at or any(map(wanted.counts, layouts)):
                plan = plan_groups(query, layouts, wanted.table, wanted.keys, dated, digits, wanted.counts)
                yield Question(plan, where, wanted)

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

    def get_ready(self) -> None:
        """Raises UsageError if the queries cannot run."""
        if self.tasks:
            self.engine.get_ready()

    def run_queries(self, before: int = 0) -> None:
        """Run the queries, and keep what they find. `before` is how many bytes of `max_scan` were scanned already."""
        runner = self._runner(max_scan=self.max_scan, before=before)
        self.report.usage = runner.usage
        questions = {id(question.plan): question for question in self._questions}
        with closing(runner.run(self.tasks)) as answers:
            for task, answer in answers:
                question = questions[id(task.plan)]
                found = question.add(answer.rows)
                if question is self._questions[0]:
                    self._count(found)
        self.report.read.update(dict.fromkeys(self._layouts, 0))
        self.report.sound = self.report.sound or self.reader.report.sound

    def _count(self, found: Counter[Layout]) -> None:
        """Add flows of groups to the report."""
        for layout, flows in found.items():
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
        self._ask([])
        yield from super().blocks(limit, raw, columns)

    def sum_into(
        self, table: Sums, keys: Keys, columns: Iterable[str] = (), further: Sequence[Further] = ()
    ) -> Iterator[Block]:
        self._ask(Wanted.all_of(table, keys, further))
        yield from super().sum_into(table, keys, columns, further)

    def _ask(self, tables: Sequence[Wanted]) -> None:
        try:
            for source in self._sources:
                self._try(source, partial(source.prepare, tables))
            self._sources[0].allow(summed(source.estimated for source in self._sources))
            for source in self._sources:
                self._try(source, source.get_ready)
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
