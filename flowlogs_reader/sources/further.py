"""Further tables that are filled in the same read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from ..kernel import Sums
from ..query.conditions import Condition
from ..records.block import Block
from .filter import Filter

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


class Further(NamedTuple):
    """A table of sums by `keys`, which are fields, of records that meet these conditions besides those of the query.

    With `only_with` records that have none of these fields in their Layout are left out.
    """

    table: Sums
    keys: Sequence[str]
    conditions: tuple[Condition, ...] = ()
    only_with: Sequence[str] = ()


class Filling:
    """Adds Blocks to further tables, half of them in a thread: the kernel does not hold the GIL.

    Without the thread, a report of 1,000,000 records takes 0.2 s longer.
    """

    def __init__(self, where: Filter, further: Sequence[Further]) -> None:
        jobs = [(each, where.also(each.conditions)) for each in further]
        self._there, self._here = jobs[::2], jobs[1::2]
        self._pool = _worker() if jobs else None
        self._waiting: Future[None] | None = None
        self.fields = {name for each, own in jobs for name in (*each.keys, *own.fields)}

    def __enter__(self) -> Filling:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown()
        if self._waiting and not error:
            self._waiting.result()

    def add(self, block: Block) -> None:
        """Add a Block. The thread may still be busy with it."""
        if self._waiting:
            self._waiting.result()
        if self._pool:
            try:
                self._waiting = self._pool.submit(_add, self._there, block)
            except RuntimeError:
                # The system has no more threads: nothing takes the work out of the queue.
                self._pool = self._waiting = None
        if not self._pool:
            _add(self._there, block)
        _add(self._here, block)


def _worker() -> ThreadPoolExecutor:
    # Most reads fill one table only, and the import takes 5 ms.
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1)


def _add(jobs: Iterable[tuple[Further, Filter]], block: Block) -> None:
    for each, where in jobs:
        if not each.only_with or not block.layout.position.keys().isdisjoint(each.only_with):
            where.add(each.table, block, [each.keys])
