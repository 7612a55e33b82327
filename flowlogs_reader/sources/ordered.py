"""Concurrent tasks whose results are returned in order, with a bounded number of waiting items."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from ..aws.background import in_background

T = TypeVar('T')
Task = Callable[[], Iterable[T]]
# How long a thread waits, in seconds, before it looks again whether the pool is closed: see _Pool._wait_until.
LOOK_AGAIN = 1.0


def in_order(tasks: Iterable[Task[T]], workers: int, waiting: int) -> Iterator[T]:
    """Yield the items of every task, in the order of the tasks.

    >>> list(in_order([lambda: 'ab', lambda: 'c'], workers=2, waiting=4))
    ['a', 'b', 'c']

    Each of `workers` threads runs one task at a time. With 0, or if no thread can be started, the calling thread runs
    the tasks. At most `waiting` items, plus one for each worker, wait for their turn, and at most three tasks for each
    worker have begun. An error of a task is raised after the items before it. `tasks` may be slow or fail: one thread
    at a time takes the next one.
    """
    tasks = iter(tasks)
    pool = _Pool(tasks, tasks_in_flight=workers * 3, waiting=waiting)
    try:
        started = [in_background(pool.work) for _ in range(workers)]
        if any(started):
            yield from pool.items()
        else:
            yield from chain.from_iterable(task() for task in tasks)
    finally:
        pool.close()


class _Queue(Generic[T]):
    """The items of one task that were not yet returned, and how it ended."""

    def __init__(self) -> None:
        self.items: deque[T] = deque()
        self.ended = False
        self.error: BaseException | None = None


class _Pool(Generic[T]):
    """The queues in the order of their tasks. Items are returned from the first one."""

    def __init__(self, tasks: Iterator[Task[T]], tasks_in_flight: int, waiting: int) -> None:
        self._tasks = tasks
        self._tasks_in_flight = tasks_in_flight
        self._room = waiting
        self._queues: deque[_Queue[T]] = deque()
        self._changed = threading.Condition()
        self._taking = threading.Lock()
        self._exhausted = False
        self._closed = False

    def items(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(self._next_is_known)
                if not self._queues:
                    return
                queue = self._queues[0]
                if queue.items:
                    item = queue.items.popleft()
                    self._room += 1
                else:
                    if queue.error:
                        raise queue.error
                    self._queues.popleft()
                    self._changed.notify_all()
                    continue
                self._changed.notify_all()
            yield item

    def _next_is_known(self) -> bool:
        if self._queues:
            return bool(self._queues[0].items) or self._queues[0].ended
        return self._exhausted

    def work(self) -> None:
        """Run tasks until none is left."""
        while (taken := self._next_task()) is not None:
            task, queue = taken
            try:
                for item in task():
                    if not self._put(queue, item):
                        return
            except BaseException as error:
                queue.error = error
            self._end(queue)

    def _next_task(self) -> tuple[Task[T], _Queue[T]] | None:
        with self._taking:
            with self._changed:
                self._wait_until(lambda: len(self._queues) < self._tasks_in_flight)
                if self._closed or self._exhausted:
                    return None
            queue: _Queue[T] = _Queue()
            task: Task[T] | None = None
            try:
                task = next(self._tasks, None)
            except BaseException as error:
                queue.error, queue.ended = error, True
            with self._changed:
                self._exhausted = task is None
                if task or queue.error:
                    self._queues.append(queue)
                self._changed.notify_all()
        return (task, queue) if task else None

    def _put(self, queue: _Queue[T], item: T) -> bool:
        """Return False if the pool is closed. The first queue never waits for room that later ones occupy."""
        with self._changed:
            self._wait_until(lambda: self._room > 0 or (self._queues[0] is queue and not queue.items))
            if self._closed:
                return False
            queue.items.append(item)
            self._room -= 1
            self._changed.notify_all()
            return True

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until the pool is closed or ready.

        The garbage collector can run in this thread and close the pool of a reader that was left: between the check and
        the wait nobody hears the notification.
        """
        while not self._changed.wait_for(lambda: self._closed or ready(), LOOK_AGAIN):
            pass

    def _end(self, queue: _Queue[T]) -> None:
        with self._changed:
            queue.ended = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._queues.clear()
            self._changed.notify_all()
