"""in_order: results of many tasks at the same time, in the order of the tasks, with a bounded number waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from flowlogs_reader.sources.ordered import in_order

WORKERS = [0, 1, 2, 5]


def pages(task: int, count: int) -> Callable[[], Iterator[tuple[int, int]]]:
    return lambda: iter([(task, page) for page in range(count)])


@pytest.mark.parametrize('workers', WORKERS)
@pytest.mark.parametrize('sizes', [[], [0], [3], [0, 2, 0, 5, 1], [1] * 40])
def test_the_order_is_that_of_the_tasks(workers: int, sizes: list[int]) -> None:
    tasks = [pages(task, count) for task, count in enumerate(sizes)]
    expected = [(task, page) for task, count in enumerate(sizes) for page in range(count)]
    assert list(in_order(tasks, workers=workers, waiting=2)) == expected


def test_a_first_task_that_is_last_to_be_ready_does_not_change_the_order() -> None:
    others_ran = threading.Event()

    def slow() -> Iterator[str]:
        assert others_ran.wait(30)
        yield 'slow'

    def quick() -> Iterator[str]:
        yield 'quick'
        others_ran.set()

    assert list(in_order([slow, quick, quick], workers=2, waiting=4)) == ['slow', 'quick', 'quick']


def test_tasks_run_at_the_same_time() -> None:
    together = threading.Barrier(3)

    def task() -> Iterator[bool]:
        yield together.wait(30) >= 0

    assert list(in_order([task] * 3, workers=3, waiting=3)) == [True] * 3


@pytest.mark.parametrize('workers', WORKERS)
def test_an_error_comes_after_all_that_was_before_it(workers: int) -> None:
    def broken() -> Iterator[tuple[int, int]]:
        yield 9, 9
        raise ValueError('broken')

    found = []
    with pytest.raises(ValueError, match='broken'):
        for item in in_order([pages(0, 3), broken, pages(1, 3)], workers=workers, waiting=8):
            found.append(item)
    assert found == [(0, 0), (0, 1), (0, 2), (9, 9)]


@pytest.mark.parametrize('workers', WORKERS)
def test_an_error_of_the_list_of_tasks_comes_after_the_tasks(workers: int) -> None:
    def tasks() -> Iterator[Callable[[], Iterator[tuple[int, int]]]]:
        yield pages(0, 2)
        raise OSError('no more of the list')

    found = []
    with pytest.raises(OSError, match='no more of the list'):
        for item in in_order(tasks(), workers=workers, waiting=4):
            found.append(item)
    assert found == [(0, 0), (0, 1)]


@pytest.mark.parametrize(('workers', 'waiting'), [(1, 1), (1, 3), (3, 2), (3, 6)])
def test_no_more_is_made_than_may_wait(workers: int, waiting: int) -> None:
    made = 0
    lock = threading.Lock()
    begun: set[int] = set()

    def task(number: int) -> Callable[[], Iterator[int]]:
        def run() -> Iterator[int]:
            nonlocal made
            for _ in range(10):
                with lock:
                    made += 1
                    begun.add(number)
                yield number

        return run

    taken = 0
    for _ in in_order([task(number) for number in range(50)], workers=workers, waiting=waiting):
        taken += 1
        with lock:
            # Items that were taken, those that wait, one of each worker, and one that the first task may always add.
            assert made <= taken + waiting + workers + 1
            assert len(begun) <= taken // 10 + 1 + 3 * workers
    assert taken == 500


def test_whoever_stops_early_stops_the_work() -> None:
    begun = []

    def task(number: int) -> Callable[[], Iterator[int]]:
        def run() -> Iterator[int]:
            begun.append(number)
            yield number

        return run

    before = set(threading.enumerate())
    items = in_order([task(number) for number in range(1000)], workers=3, waiting=3)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()
    assert len(begun) < 20


def test_the_garbage_collector_closes_the_pool_in_its_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can run between the check of a condition and the wait, where the notification would be lost."""
    wait, taken, closed = threading.Condition.wait, threading.Event(), threading.Event()

    def task() -> Iterator[str]:
        yield 'a'
        taken.wait()
        yield from 'bc'

    def close_and_wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        if threading.current_thread() in workers and taken.is_set() and not closed.is_set():
            closed.set()
            items.close()  # type: ignore[attr-defined]
        return wait(condition, timeout)

    before = set(threading.enumerate())
    items = in_order([task], workers=1, waiting=0)
    assert next(items) == 'a'
    workers = set(threading.enumerate()) - before
    monkeypatch.setattr(threading.Condition, 'wait', close_and_wait)
    taken.set()
    for thread in workers:
        thread.join(30)
        assert not thread.is_alive()
    assert closed.is_set()


@pytest.mark.parametrize('left', [0, 1, 2])
def test_a_system_without_more_threads(left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, []

    def start_if_one_is_left(thread: threading.Thread) -> None:
        if len(started) == left:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, 'start', start_if_one_is_left)
    tasks = [pages(task, 3) for task in range(9)]
    assert list(in_order(tasks, workers=4, waiting=2)) == [(task, page) for task in range(9) for page in range(3)]
    assert len(started) == left
