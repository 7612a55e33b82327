"""The contract of a source of records, and the code that all sources share.

A source is a place that has flow logs: a log group, a bucket, files. The class of a source

* is a subclass of :class:`BaseReader`, or of :class:`~flowlogs_reader.sources.aws_reader.AwsReader` if it sends
  requests to AWS. Its constructor takes the location first, and names all its keywords;
* has a row in :mod:`flowlogs_reader.sources.registry`, which recognises its locations, and imports it when it is used;
* implements ``_read``, which yields Blocks of whole lines in the order of time. BaseReader checks and filters the
  lines. If the records are not text, a source may have its own class of Blocks (records/block.py);
* fills ``self.report`` (:class:`~flowlogs_reader.sources.report.ReadReport`) while it reads: sizes, the time up to
  which the read is complete, what was unreadable. It does so in the thread that iterates over the Blocks;
* passes tasks to threads (sources/ordered.py) that do not refer to the reader. A reader that nobody uses any more is
  then freed, and its threads end;
* returns from ``describe`` what is being read, and from ``diagnose`` more facts about a failure;
* has in DEFAULT_WINDOW the length of the window if the user gives no times (None: everything is read), and in
  POLL_SECONDS the time between two looks for new records (None: it cannot be followed). If it can be followed,
  ``go_on`` prepares it for the next window.

Messages of a source state facts. Only ``cli`` names options of the command line, and gives advice.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import chain
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, TypeVar

from ..aws.trouble import error_code
from ..errors import Cause, FlowLogsError, IncompleteError, MissingExtraError, UsageError
from ..kernel import Sums, check
from ..query.conditions import Condition
from ..query.query import Query, Window
from ..records.block import Block, first_lines, joined, runs
from ..records.fields import DEFAULT_FIELDS
from ..records.layout import Layout, default_record, normalise
from ..records.record import FlowRecord, records
from ..records.times import milliseconds
from .filter import Filter, fields_summed, is_record
from .further import Filling, Further
from .objects import Piece
from .report import Estimate, ReadReport

if TYPE_CHECKING:
    import pyarrow

Reader = TypeVar('Reader', bound='BaseReader')
# The window of flowlogs-reader 5.0.1 if no times are given.
LAST_HOUR = timedelta(hours=1)
# Requests at a time, at most: as many as a client keeps connections. aws/session.py is not imported for files.
MAX_THREADS = 50
_PACKAGE = __name__.partition('.')[0]
# A line of the default format without its values: only white space is left. See _shortened.
_NO_SPACE = bytes(set(range(256)) - set(b' \t\n\r\v\f'))
_DEFAULT_SHAPE = b' ' * (len(DEFAULT_FIELDS) - 1) + b'\n'


class BaseReader(Iterator[FlowRecord]):
    """Reads the flow log records of the window [start_time, end_time), in one of three forms.

    :meth:`blocks` yields runs of canonical lines, :meth:`columns` tuples of values of the given fields, and iteration
    yields a :class:`FlowRecord` for each record. Each form is several times faster than the next. A reader can be read
    once: all forms read the same stream.

    `where` has conditions in the syntax of the command line (``'dstport=443'``): a record must meet all of them. With
    `exact_window` each record is compared with the window; without it the source only selects objects or events by
    their times. With `raise_on_error`, a line that is not a record of the layout raises ValueError after the records
    before it; otherwise the line is left out, and counted in `skipped_records`.

    Errors about a part of the data, such as one object of many, are kept in `unreadable`. The iteration yields all
    other records, and then raises: botocore's ClientError if AWS refused, DamagedError if data is damaged, or
    IncompleteError if there are several errors. If `on_unreadable` is given, it is called with each error instead. With
    `raise_on_error`, the first error is raised at once.

    If `fields` is not given, a longer line that begins with a record of the default format is read as that record. If
    no line is such a record, a warning is issued.

    `bytes_processed` counts the bytes of text that were read, `compressed_bytes_processed` the bytes of the files and
    objects. `report` has all facts about the read. `on_block` is called with each Block that the source yields, and
    with an empty Block if an event page has no events.
    """

    DEFAULT_WINDOW: ClassVar[timedelta | None] = LAST_HOUR
    POLL_SECONDS: ClassVar[int | None] = None
    # What the warning suggests if the log does not have the default fields.
    FIELDS_HELP: ClassVar[str] = 'fields=[...] names those of the log'

    def __init__(
        self,
        *,
        start_time: datetime,
        end_time: datetime,
        exact_window: bool,
        thread_count: int = 0,
        fields: Sequence[str] | None = DEFAULT_FIELDS,
        where: Iterable[str | Condition] = (),
        count_skipdata: bool = False,
        raise_on_error: bool = False,
        on_unreadable: Callable[[FlowLogsError], None] | None = None,
    ) -> None:
        self.start_time, self.end_time = start_time, end_time
        self.start_ms, self.end_ms = milliseconds(start_time), milliseconds(end_time)
        if self.start_ms > self.end_ms:
            raise UsageError(f'the window ends at {end_time}, before it begins at {start_time}')
        self.thread_count = min(thread_count or 0, MAX_THREADS)
        self.layout = Layout(fields) if fields else None
        # Compared by identity: fields that were given are not assumed, even if they are equal to the default ones.
        self._assumed = self.layout if fields is DEFAULT_FIELDS else None
        known = self.layout.fields if self.layout else ()
        conditions = Filter.parse(where, known).conditions
        self.where = Filter(conditions, Window(self.start_ms, self.end_ms) if exact_window else None, count_skipdata)
        self.raise_on_error = raise_on_error
        self._on_unreadable = on_unreadable
        self._warned = False
        self.report = ReadReport(start_ms=self.start_ms, skipdata=self.where.skipdata)
        self.on_block: Callable[[Block], None] | None = None
        self._reported: set[str] = set()
        self._source: Generator[Block, None, None] | None = None
        self._closed = False
        self._columns: frozenset[str] | None = None
        self._records: Iterator[FlowRecord] | None = None

    def set_query(self, query: Query) -> None:
        """Replace the conditions of the query, before the first read. Some are known only after the reader was made."""
        # The reader may have more conditions, after those of the query.
        self.where.conditions = (*query.conditions, *self.where.conditions[len(query.conditions) :])

    @property
    def poll_seconds(self) -> int | None:
        return self.POLL_SECONDS

    @property
    def workers(self) -> int:
        """The number of threads that read ahead: one for a `thread_count` of 0, none for 1."""
        return {0: 1, 1: 0}.get(self.thread_count, self.thread_count)

    # -- what a source provides -------------------------------------------------------------------------------------

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        """Yield Blocks of unchecked lines in order. With a `limit`, not many more lines than that need be read."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return what is being read, for messages."""
        raise NotImplementedError

    def diagnose(self, error: Exception) -> object | None:
        """Return more facts about the error that ended the read, or None. This may send requests."""
        return None

    def queries(self) -> Iterator[str]:
        """Yield the queries that an engine on AWS would run, as text. Other readers have none."""
        yield from ()

    def estimate(self) -> Estimate:
        """Return what a read would take, by requests that cost nothing. Raises UsageError if that cannot be known."""
        raise UsageError('only reads of AWS can be estimated')

    def part_read(self) -> float | None:
        """Return the part of the read that is done, from 0 to 1; None if it is not known. This may send requests."""
        if self.report.expected_bytes:
            return min(1.0, self.report.stored_bytes / self.report.expected_bytes)
        if self.complete_until is None:
            return None
        return min(1.0, max(0, self.complete_until - self.start_ms) / max(1, self.end_ms - self.start_ms))

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """Prepare the reader for another window; records that it has yielded are left out. See engines/follow.py.

        Later windows start at `late_ms` or after it, so that earlier records can be forgotten. Times are milliseconds
        since the epoch.
        """
        self.close()
        self._source, self._closed = None, False
        self.start_ms, self.end_ms = start_ms, end_ms
        self.report.start_ms = start_ms
        self.report.left_out = 0

    # -- what all sources share -------------------------------------------------------------------------------------

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The fields of the log: those that were given, or those of the first records. None if they are not known yet.

        If the log has several formats, these are the fields of the first one.
        """
        found = None if self.layout and not self._assumed else next(iter(self.report.read), None)
        layout = found or self.layout
        return layout.fields if layout else None

    @property
    def bytes_processed(self) -> int:
        return self.report.text_bytes

    @property
    def compressed_bytes_processed(self) -> int:
        return self.report.stored_bytes

    @property
    def skipped_records(self) -> int:
        return self.report.left_out

    @property
    def unreadable(self) -> list[FlowLogsError]:
        return self.report.unreadable

    @property
    def complete_until(self) -> int | None:
        """The time up to which all records have been yielded, in milliseconds since the epoch; None if not known."""
        return self.report.complete_until

    def __enter__(self: Reader) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def unread(self) -> bool:
        """Whether the read has not begun yet."""
        return self._source is None

    def close(self) -> None:
        """End the read, and the threads that read ahead. Closing the generator of :meth:`blocks` does the same."""
        if self._source is not None:
            # Python 3.11 crashes if two threads close a generator at a time that yields from another one.
            with self._closing:
                self._source.close()
            self._closed = True

    def blocks(
        self, limit: int | None = None, raw: bool = False, columns: Iterable[str] | None = None
    ) -> Iterator[Block]:
        """Yield Blocks of canonical lines that meet the conditions; with a limit, at most that many lines.

        With `raw`, a line that was not canonical has its own Block, which also has the line as it is in the log.
        `columns` names all fields that the caller will use: a source that stores each field apart may not read the
        others.
        """
        left = limit
        with self._reading(limit, columns) as source:
            for block in _apart(source) if raw else source:
                data, matched, skipped = self.where.keep(block)
                if left is not None:
                    if matched > left:
                        data, matched = first_lines(data, left), left
                    left -= matched
                self._account(block, matched, skipped)
                if data:
                    yield block.of_text(data, block.raw)
                if left == 0:
                    # The rest of this Block is lost, so that the read cannot go on.
                    self.close()
                    return

    def sum_into(
        self,
        table: Sums,
        keys: Sequence[Sequence[str]] | Callable[[Layout], Sequence[Sequence[str]]],
        columns: Iterable[str] = (),
        further: Sequence[Further] = (),
    ) -> Iterator[Block]:
        """Add every record that meets the conditions to a table, and yield each Block after it was added.

        `keys` has one or more tuples of fields: a record is added once for each tuple. It may be a function of the
        Layout; then `columns` names all fields that it may return, besides start and end. The caller can look at the
        table between two Blocks. Small Blocks may have been joined. `further` tables are filled too, by the end.
        """
        fillings = [Filling(self.where, each) for each in further]
        names = [*columns, 'start', 'end'] if callable(keys) else chain(*keys)
        needed = {*names, *fields_summed(table)}.union(*(filling.fields for filling in fillings))
        with self._reading(None, needed) as source, ExitStack() as stack:
            for filling in fillings:
                stack.enter_context(filling)
            for block in joined(source):
                own = keys(block.layout) if callable(keys) else keys
                for filling in fillings:
                    filling.add(block)
                self._account(block, *self.where.add(table, block, own))
                yield block

    def columns(self, *names: str) -> Iterator[tuple[bytes, ...]]:
        """Yield a tuple of the values of these fields for each record, as they are in the log; ``-`` is missing."""
        with self._reading(None, names) as source:
            for block in source:
                values, skipped = self.where.values(block, names)
                self._account(block, max(map(len, values), default=0), skipped)
                yield from zip(*values)

    def to_arrow_batches(self, *names: str) -> Iterator[pyarrow.RecordBatch]:
        """Yield record batches of Arrow, of about a megabyte of text each. Needs pyarrow.

        >>> reader.to_arrow_batches('start', 'srcaddr', 'bytes')  # doctest: +SKIP

        Without `names`, a batch has the fields of its layout: a log with several formats has batches of several
        schemas. `start` and `end` are timestamps in UTC, numbers have the types that AWS uses in Parquet, and a missing
        value is null. Raises ValueError for a number that is too large for its type.
        """
        typed, asked = _typed(), tuple(map(normalise, names))
        for layout, lines in runs(self.blocks(columns=asked or None), typed.PIECE):
            fields = asked or layout.fields
            yield typed.batch_of(typed.schema_of_fields(fields), layout.places(fields), b' ', lines)

    def to_arrow(self, *names: str) -> pyarrow.Table:
        """Return all records as a Table of Arrow, from which pandas, polars and DuckDB take them. Needs pyarrow.

        Names and types are as in :meth:`to_arrow_batches`. If the log has several formats, the Table has the fields of
        all of them, and null where the format of a record lacks one.
        """
        typed = _typed()
        batches = [*self.to_arrow_batches(*names)]
        return typed.table_of(batches, tuple(map(normalise, names)) or self.fields or DEFAULT_FIELDS)

    @contextmanager
    def _reading(self, limit: int | None, columns: Iterable[str] | None) -> Iterator[Iterable[Block]]:
        """The Blocks of the source, which is closed if they are not all read. Raises ValueError if it was closed."""
        if self._closed:
            raise ValueError('this reader is closed')
        if columns is not None:
            self._columns = self.where.fields.union(columns)
        if self._source is None:
            self.report.origin = self.report.origin or self.describe()
            # The lock first: another thread may close the reader as soon as it has a source.
            self._closing, self._source = RLock(), self._read(limit)
        source: Iterable[Block] = self._source
        if self._assumed:
            source = _shortened(source, self._assumed)
        if self.raise_on_error:
            source = self._strictly(source)
        try:
            yield source
        except BaseException:
            self.close()
            raise
        self._warn()
        if self._on_unreadable is None and self.unreadable:
            raise _combined(self.unreadable)

    def _strictly(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the lines up to the first one that is not a record, and raise ValueError for that."""
        for block in blocks:
            if block.is_canonical or not check(block.layout.kinds, block.data)[1]:
                yield block
                continue
            begin = 0
            for line in block.data.split(b'\n'):
                if check(block.layout.kinds, line + b'\n')[1]:
                    break
                begin += len(line) + 1
            if begin:
                yield block.of_text(block.data[:begin])
            self._leave_out(1, block.of_text(line + b'\n'))
            block.layout.parse(line)

    def _warn(self) -> None:
        """Issue a warning, once, if no line has the assumed fields."""
        if self._assumed and not self._warned and (mismatch := self.mismatch()):
            self._warned = True
            warnings.warn(f'{mismatch}; {self.FIELDS_HELP}', stacklevel=_script_level())

    def _account(self, block: Block, matched: int, skipped: int) -> None:
        report = self.report
        if block.has_lines:
            # Only a note about conditions needs the number of lines: to count them takes 0.05 s for 1,000,000.
            lacked = self.where.lacked(block.layout)
            report.read[block.layout] += block.line_count - skipped if lacked else 0
        if matched:
            report.matched[block.layout] += matched
        if skipped:
            self._leave_out(skipped, block)
        report.sound = report.sound or block.has_lines and not skipped
        if self.on_block:
            self.on_block(block)

    def _leave_out(self, count: int, block: Block) -> None:
        self.report.left_out += count
        lines = [line for line in block.data.split(b'\n') if line and not line.isspace()]
        self.report.sound = self.report.sound or count < len(lines)
        if not self.report.odd_line:
            odd = next((line for line in lines if not is_record(block.layout, line)), lines[0])
            self.report.odd_line = (block.layout, odd[:1000])

    def __iter__(self) -> Iterator[FlowRecord]:
        if self._records is None:
            self._records = self._make_records()
        return self._records

    def __next__(self) -> FlowRecord:
        return next(iter(self))

    @property
    def iterator(self) -> Iterator[FlowRecord]:
        """The iterator itself: an attribute of the readers of flowlogs-reader 5.0.1."""
        return iter(self)

    def _make_records(self) -> Iterator[FlowRecord]:
        for block in self.blocks():
            yield from records(block.layout, block.data)

    def mismatch(self) -> FlowLogsError | None:
        """Return an error if lines were read and none had the format of the log; None otherwise."""
        if not self.report.mismatch or not self.report.odd_line:
            return None
        layout, line = self.report.odd_line
        width = len(line.split())
        problem = f'the lines have {width} column{"" if width == 1 else "s"}, the format has {len(layout.fields)}'
        if width == len(layout.fields):
            try:
                layout.parse(line)
            except ValueError as error:
                problem = f'in the first one, {error}'
        text = f'no line of {self.describe()} has the format "{" ".join(layout.fields)}": {problem}'
        return FlowLogsError(text, Cause.FORMAT_MISMATCH)

    def _blocks_in(self, pieces: Iterable[Piece]) -> Iterator[Block]:
        """Yield the Blocks that worker threads have read, and add their sizes to the report: in this thread only."""
        for piece in pieces:
            self.report.text_bytes += piece.text
            self.report.stored_bytes += piece.stored
            if piece.error:
                self._unreadable(piece.error)
            if piece.block:
                yield piece.block

    def _unreadable(self, error: FlowLogsError) -> None:
        if self.raise_on_error:
            raise _as_raised(error)
        if str(error) in self._reported:
            return
        self._reported.add(str(error))
        self.report.unreadable.append(error)
        if self._on_unreadable:
            self._on_unreadable(error)


def _typed() -> ModuleType:
    """Return records/typed.py. Raises MissingExtraError without pyarrow."""
    try:
        from ..records import typed
    except ImportError:
        raise MissingExtraError('parquet', 'making Arrow tables') from None
    return typed


def _script_level() -> int:
    """The stack level, for warnings.warn in the caller, of the script that uses the reader."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get('__name__', '').partition('.')[0] in (_PACKAGE, 'contextlib'):
        level, frame = level + 1, frame.f_back
    return level


def _combined(unreadable: Sequence[FlowLogsError]) -> Exception:
    """The exception to raise for all errors about parts of the data."""
    first = unreadable[0]
    if len(unreadable) == 1:
        return _as_raised(first)
    causes = {error.cause for error in unreadable}
    text = f'{len(unreadable)} parts could not be read; the first: {first}'
    return IncompleteError(text, causes.pop() if len(causes) == 1 else None, unreadable)


def _as_raised(error: FlowLogsError) -> Exception:
    """The exception to raise for an error: botocore's own if AWS refused, as in flowlogs-reader 5.0.1."""
    refusal = error.__cause__
    if not isinstance(refusal, Exception) or not error_code(refusal):
        return error
    # botocore's message does not name the object: add ours as a note. Python 3.10 has no notes.
    if hasattr(refusal, 'add_note') and str(error) not in getattr(refusal, '__notes__', ()):
        refusal.add_note(str(error))
    return refusal


def _shortened(blocks: Iterable[Block], assumed: Layout) -> Iterator[Block]:
    """Shorten lines with too many values that begin with a record of the assumed format to that record."""
    for block in blocks:
        if block.layout is assumed:
            shape = block.data.translate(None, _NO_SPACE)
            if shape != _DEFAULT_SHAPE * (len(shape) // len(_DEFAULT_SHAPE)):
                lines = [default_record(line) or line for line in block.data.split(b'\n')]
                block = block.of_text(b'\n'.join(lines))
        yield block


def _apart(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield Blocks of canonical lines unchanged. Split any other Block into Blocks of one line."""
    for block in blocks:
        if block.is_canonical or check(block.layout.kinds, data := block.data)[0] is data:
            yield block
        else:
            for line in data[:-1].split(b'\n'):
                yield block.of_text(line + b'\n', raw=line + b'\n')
