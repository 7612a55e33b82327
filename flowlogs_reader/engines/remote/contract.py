"""The contract of an engine on AWS, and the values that it exchanges with the code that all of them share.

An engine is a subclass of :class:`RemoteEngine` for the source that it reads: a log group (engines/insights/), a
bucket (engines/athena/). It writes query text, and starts, watches and stops queries; it decides nothing else. The rest
is the same for all engines:

1. :class:`~.source.RemoteSource` takes the place of the reader of a location. The functions of engines/local.py read it
   like any reader: it adds what the engine sums to their tables (``sum_into``), or yields the lines that the engine
   finds (``blocks``). So keys, prefixes, directions, intervals, order and columns are those of the local engine.
2. It makes a :class:`~.question.Question` for each table that wants to be filled, with a Plan (plan.py) of the query,
   the engine's layouts and the table.
3. The engine divides a plan into `parts`, and makes a :class:`Task` of each for the window: the text and the parameters
   of one query. It estimates what all of them scan. Above `max_scan` nothing is started. It gets ready: queries
   need tables, for example.
4. :class:`~.runner.Runner` runs the tasks, a few at a time. If an answer has as many rows as the engine returns at
   most, or the query timed out, its window is split, and its rows are dropped. On any exception every running query is
   stopped.
5. When everything has been read, the rows are merged. A :class:`Group` is added to the table of its question. A
   :class:`Line` goes through the Layout, the conditions and the window, as often as it occurred. The report gets the
   facts.

Nothing is yielded before all queries are complete, those of other locations too (:class:`~.source.RemoteSources`): if
one fails, there are no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from ...query.query import Window
from ...records.layout import Layout
from ...sources.report import Estimate
from .plan import Plan

# Of the lines of a sample, one of so many may be odd, or so many of them: each odd line comes back whole.
ODD, MAX_ODD = 20, 50


class Task(NamedTuple):
    """One query: its text, and the parameters of the request that starts it, without the text.

    `part` is one of the engine's parts of the plan, `window` the half-open part of the plan's window, in milliseconds.
    """

    plan: Plan
    part: Any
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


def is_too_odd(odd: int, lines: int) -> bool:
    """Whether an engine should not be used, since so many of the lines of a sample would come back whole."""
    return odd > MAX_ODD and odd * ODD > lines


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

    def parts(self, plan: Plan) -> Sequence[Any]:
        """Return what the queries of a plan for the same window differ in, as :meth:`task` takes it.

        Raises UsageError if the engine cannot answer.
        """
        raise NotImplementedError

    def check(self, plan: Plan) -> None:
        """Look at the log, without a request that costs. Raises UsageError if the engine should not be used for it."""

    def task(self, plan: Plan, part: Any, window: Window) -> Task:
        """Return the query of a part of a plan for a window. Raises UsageError if its text is too long."""
        raise NotImplementedError

    def preamble(self) -> Iterator[str]:
        """Yield what must exist before the queries run, as text for the user: DDL."""
        yield from ()

    def estimate(self, tasks: Sequence[Task], run: Callable[[Iterable[Task]], list[Answer]]) -> Estimate:
        """Return what the tasks scan, without a request that costs. `run` runs tasks that are free."""
        raise NotImplementedError

    def get_ready(self) -> None:
        """Make sure that the queries can run, before any is started. This may create what is missing.

        Raises UsageError if they cannot run.
        """

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
