"""Runs the queries of an engine on AWS: starts a few at a time, watches them, splits their windows, stops them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

from ...errors import Cause, FlowLogsError, UsageError
from ...query.query import Window
from ...sources.report import Usage, size_text
from .contract import Answer, Busy, RemoteEngine, State, Task
from .interrupts import held_back, terminable

# Queries at a time: the quota of an account is shared with dashboards and everybody else.
CONCURRENT = 4
# Seconds between two looks at a query, after the first, which is at once: the least, the most, and how they grow.
FIRST_WAIT, LAST_WAIT, GROWTH = 0.5, 5.0, 1.5
# How often the window of a query that fails or times out is split.
MAX_RETRIES = 2
# How many windows are made of one whose answer has too many rows.
PIECES = 4


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

    def run(self, tasks: Iterable[Task]) -> Generator[tuple[Task, Answer], None, None]:
        """Yield the tasks, or those into which they were split, with their answers. Whoever stops early closes it.

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
                            task = self._running[query_id].task
                            if answer := self._look_at(query_id):
                                yield task, answer
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
        self._ask_again(running, state)
        return None

    def _ask_again(self, running: _Running, state: State) -> None:
        """Queue a query for each part of the window of one that failed, timed out, or was cut.

        Raises FlowLogsError if that does not help, UsageError if more than `max_scan` bytes would be scanned.
        """
        task, is_cut = running.task, state.status == 'done'
        retries = running.retries if is_cut else running.retries + 1
        pieces = split(task.window, PIECES if is_cut else 2)
        if is_cut and len(pieces) < 2:
            raise FlowLogsError(f'{self._engine.NAME}: one second has more rows than a query returns')
        may_help = is_cut or state.status == 'timeout' or state.retry
        if not may_help or retries > MAX_RETRIES or len(pieces) < 2:
            raise FlowLogsError(f'{self._engine.NAME}: the query {_ENDED[state.status]}{_because(state.reason)}')
        self._check_budget(more=state.scanned)
        again = [self._engine.task(task.plan, task.part, piece) for piece in pieces]
        self._waiting.extendleft((piece, retries) for piece in reversed(again))

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
        """Stop every running query. Neither an error nor a signal must keep others from being stopped.

        If AWS is silent, the first one only: each would take as long as a request may be without an answer.
        """
        from botocore.exceptions import ReadTimeoutError

        with held_back():
            for query_id in [*self._running]:
                try:
                    self._engine.stop(query_id)
                except ReadTimeoutError:
                    return
                except Exception:
                    continue


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
