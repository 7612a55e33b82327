"""What all readers do when they are left, closed or broken: nothing is left behind, and no read ends quietly."""

from __future__ import annotations

import gc
import gzip
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from traceback import format_stack

import pytest

from flowlogs_reader import FileFlowLogsReader, FlowLogsReader, S3FlowLogsReader
from flowlogs_reader.records.block import Block
from flowlogs_reader.sources.base import BaseReader
from tests import traffic
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects

LINES = list(traffic.lines(6_000, start=1454324400, per_second=20))
TEXT = b'\n'.join(LINES) + b'\n'
# More than a thread reads ahead.
BODY = gzip.compress(TEXT * 6, 1)
OBJECTS = s3_objects(LINES[:1000], max_lines=50)
WINDOW = {'start_time': datetime(2016, 2, 1, 11), 'end_time': datetime(2016, 2, 1, 13)}
Make = Callable[[], BaseReader]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Files of which the first one has a bad line at its beginning."""
    (tmp_path / '0.log').write_bytes(LINES[0] + b'\nbad\n' + TEXT)
    (tmp_path / '1.log.gz').write_bytes(BODY)
    (tmp_path / '2.log.gz').write_bytes(BODY)
    return tmp_path


@pytest.fixture(params=['file', 's3', 'cwl'])
def make(request: pytest.FixtureRequest, fake: FakeAWS, directory: Path) -> Make:
    if request.param == 'file':
        return lambda: FileFlowLogsReader(directory, thread_count=2)
    if request.param == 's3':
        fake.add_bucket('logs', objects=OBJECTS)
        return lambda: S3FlowLogsReader('logs', thread_count=2, **WINDOW)
    fake.add_log_group('logs', lines=LINES)
    fake.logs.page_events = 300
    return lambda: FlowLogsReader('logs', thread_count=2, **WINDOW)


@pytest.fixture
def nothing_is_left(directory: Path) -> Callable[[], None]:
    """Fails if a thread of in_order, started in this test, does not end, or a file in the directory stays open."""
    before = set(threading.enumerate())

    def check() -> None:
        workers = [each for each in set(threading.enumerate()) - before if each.name.endswith('(work)')]
        for thread in workers:
            thread.join(30)
        frames = sys._current_frames()
        stacks = [format_stack(frames[each.ident]) for each in workers if each.ident in frames and each.is_alive()]
        assert not stacks
        fds = [os.path.realpath(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')]
        assert not any(str(directory) in path for path in fds)

    return check


def test_a_reader_that_nobody_uses_any_more_ends_its_threads(make: Make, nothing_is_left: Callable[[], None]) -> None:
    for record in make():
        assert record.version == 2
        break
    gc.collect()
    nothing_is_left()


def test_a_bad_line_ends_the_threads(directory: Path, nothing_is_left: Callable[[], None]) -> None:
    reader = FileFlowLogsReader(directory, thread_count=2, raise_on_error=True)
    with pytest.raises(ValueError, match='1 values'):
        list(reader)
    nothing_is_left()


def test_with_a_limit_nothing_is_left_behind(make: Make, nothing_is_left: Callable[[], None]) -> None:
    reader = make()
    assert sum(block.line_count for block in reader.blocks(limit=3)) == 3
    nothing_is_left()


def test_two_threads_may_close_a_reader(directory: Path) -> None:
    """Python 3.11 crashed, or raised ValueError: generator already executing."""
    closing, go_on = threading.Event(), threading.Event()

    class SlowToClose(FileFlowLogsReader):
        def _read(self, limit: int | None) -> Generator[Block, None, None]:
            yield from self._slow(super()._read(limit))

        def _slow(self, blocks: Iterator[Block]) -> Iterator[Block]:
            try:
                yield from blocks
            finally:
                closing.set()
                go_on.wait(30)

    reader = SlowToClose(directory)
    blocks = reader.blocks()
    next(blocks)
    closed: list[bool] = []
    threads = [threading.Thread(target=lambda: closed.append(reader.close() is None)) for _ in range(2)]
    threads[0].start()
    assert closing.wait(30)
    threads[1].start()
    # Long enough for the second thread to begin.
    threads[1].join(0.1)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert closed == [True, True]


def test_what_was_closed_cannot_be_read_again(make: Make, nothing_is_left: Callable[[], None]) -> None:
    """The records between what was returned and what comes next would be missing."""
    reader = make()
    assert len(list(islice(reader, 3))) == 3
    reader.close()
    nothing_is_left()
    for _ in range(2):
        with pytest.raises(ValueError, match='this reader is closed'):
            list(reader.blocks())
    reader = make()
    list(reader.blocks(limit=3))
    with pytest.raises(ValueError, match='this reader is closed'):
        list(reader.columns('srcaddr'))
