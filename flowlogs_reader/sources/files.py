"""Flow logs in local files and directories, and on standard input."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import BinaryIO

from ..errors import FlowLogsError
from ..query.conditions import Condition
from ..records.block import Block
from ..records.fields import DEFAULT_FIELDS
from ..records.times import EPOCH, resume_text
from .base import BaseReader
from .gunzip import CHUNK
from .keys import CAPTURE_WINDOW, SUFFIXES, Key, KeyWindow, key_time, period_of
from .objects import Contents, Piece
from .ordered import in_order

STDIN = 'standard input'
FOREVER = datetime.max.replace(tzinfo=timezone.utc)
# Blocks to decompress ahead: up to a megabyte each.
AHEAD = 8


class FileFlowLogsReader(BaseReader):
    """Reads the records of a file, a directory or an open binary stream: text, gzip, zstd or Parquet.

    Without `start_time` and `end_time` it reads everything; with one of them, the records that start in the window.
    The layout comes from the header rows; without them it is `fields`.

    In a directory it reads files at any depth whose names end with .log, .gz, .txt or .parquet. Files with a time in
    their names, as S3 objects have, come last, sorted by that time. Folders and files outside the window are skipped,
    and links to directories are not followed.

    `thread_count` 1 decompresses nothing ahead. The error of a file that cannot be read, or only in part, is added to
    `unreadable`, and is raised after everything else was returned.
    """

    DEFAULT_WINDOW = None

    def __init__(
        self,
        location: str | os.PathLike[str] | BinaryIO,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        thread_count: int = 0,
        fields: Sequence[str] | None = DEFAULT_FIELDS,
        where: Iterable[str | Condition] = (),
        count_skipdata: bool = False,
        raise_on_error: bool = False,
        on_unreadable: Callable[[FlowLogsError], None] | None = None,
    ) -> None:
        super().__init__(
            start_time=start_time or EPOCH,
            end_time=end_time or FOREVER,
            exact_window=bool(start_time or end_time),
            thread_count=thread_count,
            fields=fields,
            where=where,
            count_skipdata=count_skipdata,
            raise_on_error=raise_on_error,
            on_unreadable=on_unreadable,
        )
        self.location = location
        self._keys = KeyWindow(self.start_ms, self.end_ms, margin=CAPTURE_WINDOW)

    def describe(self) -> str:
        window = ' to '.join(map(resume_text, (self.start_ms, self.end_ms)))
        return f'{self._name()} from {window}' if self.where.window else self._name()

    def _name(self) -> str:
        return os.fspath(self.location) if isinstance(self.location, (str, os.PathLike)) else STDIN

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        if not isinstance(self.location, (str, os.PathLike)):
            # Not in a thread: a blocked read of a stream would keep the process from ending.
            yield from self._blocks_in(self._contents(STDIN).pieces(_chunks(self.location)))
            return
        location = os.fspath(self.location)
        if os.path.isdir(location):
            files = [self._contents(os.path.join(location, key.name), key.time) for key in self._files(location)]
        else:
            files = [self._contents(location)]
        tasks = [partial(_pieces, file) for file in files]
        self.report.expected_bytes = sum(_size(file.origin) for file in files)
        # Inflating releases the interpreter, so that threads can inflate several files at a time. What is done with the
        # text needs a core too: with a worker for each core, a read takes a tenth longer.
        workers = 0 if limit else min(self.workers, len(tasks), max(1, (os.cpu_count() or 1) - 1))
        yield from self._blocks_in(in_order(tasks, workers=workers, waiting=AHEAD * max(1, workers)))

    def _files(self, directory: str) -> list[Key]:
        """Return the flow log files below a directory that can hold records of the window, by time, then name."""
        found: list[Key] = []
        skipped = 0
        for folder, folders, names in os.walk(directory, onerror=self._unreadable_folder):
            within = [name for name in folders if self._keys.may_hold(os.path.join(folder, name))]
            skipped += len(folders) - len(within)
            folders[:] = within
            for name in names:
                if name.endswith(SUFFIXES) and not _is_special(os.path.join(folder, name)):
                    time = key_time(name)
                    if self._keys.holds(time):
                        path = os.path.relpath(os.path.join(folder, name), directory)
                        found.append(Key(time or 0, path.replace(os.sep, '/')))
                    else:
                        skipped += 1
        if not found and not skipped and not self.report.unreadable:
            self._unreadable(FlowLogsError(f'{directory}: no file in it ends with {", ".join(SUFFIXES)}'))
        return sorted(found)

    def _unreadable_folder(self, error: OSError) -> None:
        self._unreadable(FlowLogsError(f'{error.filename}: {error.strerror}'))

    def _contents(self, origin: str, time: int | None = None) -> Contents:
        return Contents(origin, self.layout, period_of(time) if time else None, self._columns, self.where)


# Not a method: threads must not refer to the reader (sources/base.py).
def _pieces(file: Contents) -> Iterator[Piece]:
    """Yield the contents of a file, or the error if it cannot be opened."""
    try:
        stream = open(file.origin, 'rb', buffering=0)
    except OSError as error:
        yield Piece(error=FlowLogsError(f'{file.origin}: {error.strerror}'))
        return
    with stream:
        yield from file.pieces(_chunks(stream), stream if stream.seekable() else None)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _is_special(path: str) -> bool:
    """Whether it is a pipe or a device: reading one may block forever."""
    return os.path.exists(path) and not os.path.isfile(path)


def _waited(stream: BinaryIO) -> bool:
    """Wait for data, or the end, if the stream does not block: then reading nothing is not its end. False if it blocks.

    Another process that has the same pipe may set that at any time: Node.js and ssh do.
    """
    try:
        fd = stream.fileno()
        if os.get_blocking(fd):
            return False
    except (AttributeError, OSError):
        # It is not a file of the system, or this is Windows.
        return False
    data = select.poll()
    data.register(fd, select.POLLIN)
    data.poll()
    return True


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    # read() of a buffered stream would wait for a whole chunk; read1() returns what a pipe has.
    read = getattr(stream, 'read1', stream.read)
    try:
        while chunk := read(CHUNK) or (_waited(stream) and read(CHUNK)):
            yield chunk
    except OSError as error:
        raise FlowLogsError(f'reading failed: {error.strerror or error}') from None
