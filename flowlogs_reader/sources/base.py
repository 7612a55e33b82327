"""What all readers share: the time window, the counters, and three levels on one stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any, TypeVar

from ..aws.session import MAX_THREADS, AwsSession
from ..errors import FlowLogsError
from ..query.filters import Filter, Window
from ..records.fields import DEFAULT_FIELDS
from ..records.layout import Block, Column, Layout, apart
from ..records.record import FlowRecord, records
from .objects import Piece

Reader = TypeVar('Reader', bound='BaseReader')
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DEFAULT_WINDOW = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)


def utc(moment: datetime) -> datetime:
    """An aware time in UTC. A naive one is taken for UTC, as flowlogs-reader 5.0.1 does."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the epoch, by integer arithmetic: a float second cannot hold every millisecond."""
    return (utc(moment) - EPOCH) // MILLISECOND


class BaseReader(Iterator[FlowRecord]):
    """Flow log records of the half-open window [start_time, end_time), on three levels.

    :meth:`blocks` gives runs of canonical lines, :meth:`columns` tuples of chosen columns, and iteration gives a
    :class:`FlowRecord` for each record. Each level is several times cheaper than the next. All of them draw on one
    stream, so that a reader is read once.

    With `exact_window` rows are compared with the window, for sources that can only choose whole files by their time.
    `where` takes conditions as the command line does (``'dstport=443'``): only records that meet all of them come out.
    With `raise_on_error` a line that is no record of the format is a ValueError; otherwise it is counted in
    `skipped_records` and left out. What cannot be read at all, such as one object of many, is kept in `unreadable`,
    handed to `on_unreadable`, and does not end the iteration either.

    `bytes_processed` counts the text read from the source, `compressed_bytes_processed` the bytes that files and
    objects keep it as. `complete_until` is the time, in milliseconds since the epoch, before which nothing is
    missing from what came out so far; None where the source cannot tell. `layouts` has the formats met so far.
    `on_block` is called with each Block as the source has it, an empty one where a page brings nothing.
    """

    def __init__(
        self,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        thread_count: int = 0,
        fields: Sequence[str] | None = DEFAULT_FIELDS,
        where: Iterable[str] | Filter = (),
        exact_window: bool = False,
        raise_on_error: bool = False,
        on_unreadable: Callable[[FlowLogsError], None] | None = None,
        session: AwsSession | None = None,
        region_name: str | None = None,
        profile_name: str | None = None,
        boto_client: Any = None,
        boto_client_kwargs: dict[str, Any] | None = None,
    ) -> None:
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        self.end_time = end_time or now
        self.start_time = start_time or (self.end_time - DEFAULT_WINDOW)
        self.start_ms, self.end_ms = milliseconds(self.start_time), milliseconds(self.end_time)
        if self.start_ms > self.end_ms:
            raise ValueError(f'the window ends at {self.end_time}, before it begins at {self.start_time}')
        self.thread_count = min(thread_count or 0, MAX_THREADS)
        self.layout = Layout(fields) if fields else None
        known = self.layout.fields if self.layout else ()
        self.where = where if isinstance(where, Filter) else Filter.parse(where, known)
        self._window = Window(self.start_ms, self.end_ms) if exact_window else None
        self.raise_on_error = raise_on_error
        self.unreadable: list[FlowLogsError] = []
        self._on_unreadable = on_unreadable
        self.session = session or AwsSession(region_name, profile_name, client_kwargs=boto_client_kwargs)
        self._client = boto_client
        self._handed_in = boto_client is not None
        self.bytes_processed = 0
        self.compressed_bytes_processed = 0
        self.skipped_records = 0
        self.complete_until: int | None = None
        self.layouts: dict[Layout, None] = {}
        self.on_block: Callable[[Block], None] | None = None
        self._matched = self._sound = False
        self._told: set[str] = set()
        self._source: Generator[Block, None, None] | None = None
        self._columns: frozenset[str] | None = None
        self._example: tuple[Layout, bytes] | None = None
        self._records: Iterator[FlowRecord] | None = None

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        """Blocks of lines as the source has them, unchecked, in order; with a `limit`, little more than that."""
        raise NotImplementedError

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """Prepares for reading another window, out of which what has come out before is left: see follow.py.

        What lies before `late_ms` will be in no window after that, and need not be remembered. Times are milliseconds
        since the epoch.
        """
        self.close()
        self._source = None
        self.start_ms, self.end_ms = start_ms, end_ms
        self.skipped_records = 0

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The names of the log's fields where they were given; None where they are found out."""
        return self.layout.fields if self.layout else None

    def __enter__(self: Reader) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def unread(self) -> bool:
        """Whether nothing has been asked of this reader yet."""
        return self._source is None

    def close(self) -> None:
        """Ends the reading, and the threads that read ahead. Closing the generator of :meth:`blocks` does the same."""
        if self._source is not None:
            self._source.close()
            self._source = _closed()

    def blocks(
        self, limit: int | None = None, raw: bool = False, columns: Iterable[str] | None = None
    ) -> Iterator[Block]:
        """Blocks of canonical lines that meet the conditions; with a limit, no more than so many lines.

        With `raw` a line that was not canonical comes in a Block of its own, which also holds it as it was written.
        `columns` names all that the caller will look at: sources that store columns apart may leave others unread.
        """
        left = limit
        with self._reading(limit, columns) as source:
            for block in apart(source) if raw else source:
                data, skipped = self.where.keep(block.layout, block.data, self._window, block.time)
                if left is not None:
                    data = first_lines(data, left)
                    left -= data.count(b'\n')
                self._account(block, bool(data), skipped)
                if data:
                    yield block._replace(data=data)
                if left == 0:
                    return

    def tables(
        self, names: Callable[[Layout], Sequence[str]], columns: Iterable[str] | None = None
    ) -> Iterator[tuple[Layout, list[Column]]]:
        """The same records as columns: those that `names` tells for each Layout, as :meth:`Layout.columns` has them."""
        with self._reading(None, columns) as source:
            for block in source:
                found, skipped = self.where.columns(
                    block.layout, block.data, names(block.layout), self._window, block.time
                )
                some = any(map(len, found))
                self._account(block, some, skipped)
                if some:
                    yield block.layout, found

    def columns(self, *names: str) -> Iterator[tuple[bytes, ...]]:
        """For each record a tuple of these columns as they stand in the log; ``-`` where a value is missing."""
        for _, columns in self.tables(lambda layout: names, names):
            yield from zip(*columns)

    @contextmanager
    def _reading(self, limit: int | None, columns: Iterable[str] | None) -> Iterator[Iterable[Block]]:
        """The Blocks as the source has them. Whoever closes the generator that reads them closes the source."""
        if columns is not None:
            tested = (name for condition in self.where.conditions for name in condition.fields)
            self._columns = frozenset([*columns, *tested, 'start', 'end', 'log_status'])
        if self._source is None:
            self._source = self._read(limit)
        try:
            yield self._source
        except GeneratorExit:
            self.close()
            raise

    def _account(self, block: Block, matched: bool, skipped: int) -> None:
        if block.data:
            self.layouts[block.layout] = None
        if skipped:
            self._skip(skipped, block)
        self._sound = self._sound or bool(block.data) and not skipped
        self._matched = self._matched or matched
        if self.on_block:
            self.on_block(block)

    def __iter__(self) -> Iterator[FlowRecord]:
        if self._records is None:
            self._records = self._make_records()
        return self._records

    def __next__(self) -> FlowRecord:
        return next(iter(self))

    def _make_records(self) -> Iterator[FlowRecord]:
        for block in self.blocks():
            yield from records(block.layout, block.data)

    @property
    def matched(self) -> bool:
        """Whether a record came out so far."""
        return self._matched

    def skipdata(self) -> Counter[int]:
        """How many SKIPDATA records there were so far at each time, where the Filter was told to note them."""
        starts = {int(start): count for start, count in self.where.skipdata.items() if start != b'-'}
        if self._window:
            starts = {start: count for start, count in starts.items() if self.start_ms <= start * 1000 < self.end_ms}
        return Counter(starts)

    def describe(self) -> str:
        """What is being read, in words."""
        raise NotImplementedError

    @property
    def mismatch(self) -> str | None:
        """What to do when no line at all had the format; None while some had."""
        if self._sound or not self._example:
            return None
        layout, line = self._example
        columns = len(line.split())
        return (
            f'no line of {self.describe()} has the format "{" ".join(layout.fields)}": the lines have {columns} '
            f'columns, the format has {len(layout.fields)}; give the fields of this log with --fields'
        )

    def _take(self, pieces: Iterable[Piece]) -> Iterator[Block]:
        """The Blocks in what workers read, counted here, where there is one thread."""
        for piece in pieces:
            self.bytes_processed += piece.text
            self.compressed_bytes_processed += piece.stored
            if piece.error:
                self._unreadable(piece.error)
            if piece.block:
                yield piece.block

    def _unreadable(self, error: FlowLogsError) -> None:
        if self.raise_on_error:
            raise error
        if str(error) in self._told:
            return
        self._told.add(str(error))
        self.unreadable.append(error)
        if self._on_unreadable:
            self._on_unreadable(error)

    def _skip(self, count: int, block: Block) -> None:
        self.skipped_records += count
        lines = [line for line in block.data.split(b'\n') if line and not line.isspace()]
        self._sound = self._sound or count < len(lines)
        self._example = self._example or (block.layout, lines[0][:1000])
        if self.raise_on_error:
            for line in lines:
                block.layout.parse(line)


def _closed() -> Generator[Block, None, None]:
    raise ValueError('this reader is closed')
    yield


def first_lines(data: bytes, count: int) -> bytes:
    """The first `count` lines, or fewer where there are no more."""
    if data.count(b'\n') <= count:
        return data
    return b''.join(islice(data.splitlines(keepends=True), count))
