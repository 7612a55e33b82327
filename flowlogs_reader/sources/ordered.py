"""Results of many slow tasks, read at the same time, handed on in order, with a bounded number of them waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar('T')
Task = Callable[[], Iterable[T]]


def in_order(tasks: Iterable[Task[T]], workers: int, waiting: int) -> Iterator[T]:
    """The items of every task, task after task, as if they had run one after the other.

    >>> list(in_order([lambda: 'ab', lambda: 'c'], workers=2, waiting=4))
    ['a', 'b', 'c']

    `workers` threads run the tasks, each a task at a time; 0 runs them in the calling thread. Over all tasks at most
    `waiting` items are held back for the sake of the order, plus one for each worker, and at most three tasks for each
    worker are begun and not yet handed on. An error of a task is raised where its items end, so that everything before
    it has come out. `tasks` may itself be slow or fail: it is drawn from one at a time.
    """
    if workers < 1:
        yield from chain.from_iterable(task() for task in tasks)
        return
    line = _Line(iter(tasks), tasks_in_flight=workers * 3, waiting=waiting)
    for _ in range(workers):
        # A daemon, because a thread that sits in a stalled read must not keep the process from ending.
        threading.Thread(target=line.work, daemon=True).start()
    try:
        yield from line.items()
    finally:
        line.close()


class _Lane(Generic[T]):
    """What one task has given so far."""

    def __init__(self) -> None:
        self.items: deque[T] = deque()
        self.ended = False
        self.error: BaseException | None = None


class _Line(Generic[T]):
    """The lanes in the order of their tasks; the first is the one being handed on."""

    def __init__(self, tasks: Iterator[Task[T]], tasks_in_flight: int, waiting: int) -> None:
        self._tasks = tasks
        self._tasks_in_flight = tasks_in_flight
        self._room = waiting
        self._lanes: deque[_Lane[T]] = deque()
        self._changed = threading.Condition()
        self._drawing = threading.Lock()
        self._exhausted = False
        self._closed = False

    def items(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(self._next_is_known)
                if not self._lanes:
                    return
                lane = self._lanes[0]
                if lane.items:
                    item = lane.items.popleft()
                    self._room += 1
                else:
                    if lane.error:
                        raise lane.error
                    self._lanes.popleft()
                    self._changed.notify_all()
                    continue
                self._changed.notify_all()
            yield item

    def _next_is_known(self) -> bool:
        if self._lanes:
            return bool(self._lanes[0].items) or self._lanes[0].ended
        return self._exhausted

    def work(self) -> None:
        """Runs tasks until there are none."""
        while (drawn := self._draw()) is not None:
            task, lane = drawn
            try:
                for item in task():
                    if not self._put(lane, item):
                        return
            except BaseException as error:
                lane.error = error
            self._end(lane)

    def _draw(self) -> tuple[Task[T], _Lane[T]] | None:
        with self._drawing:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._lanes) < self._tasks_in_flight)
                if self._closed or self._exhausted:
                    return None
            lane: _Lane[T] = _Lane()
            task: Task[T] | None = None
            try:
                task = next(self._tasks, None)
            except BaseException as error:
                lane.error, lane.ended = error, True
            with self._changed:
                self._exhausted = task is None
                if task or lane.error:
                    self._lanes.append(lane)
                self._changed.notify_all()
        return (task, lane) if task else None

    def _put(self, lane: _Lane[T], item: T) -> bool:
        """False when nobody wants items any more. The first lane never waits for room that later ones took."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._room > 0 or (self._lanes[0] is lane and not lane.items)
            )
            if self._closed:
                return False
            lane.items.append(item)
            self._room -= 1
            self._changed.notify_all()
            return True

    def _end(self, lane: _Lane[T]) -> None:
        with self._changed:
            lane.ended = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._lanes.clear()
            self._changed.notify_all()
