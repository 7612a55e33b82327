"""What a source of records owes, and what all sources share.

A source is a place where flow logs lie: a log group, a bucket, files. To be one, a class

* is a subclass of :class:`BaseReader` (or of :class:`~flowlogs_reader.sources.aws_reader.AwsReader`, if it asks AWS),
  whose constructor takes the location first and spells out its keywords;
* has a row in :mod:`flowlogs_reader.sources.registry`, which recognises its locations and loads it when it is chosen;
* gives, in ``_read``, Blocks of whole lines in the order of time, unchecked: they are checked and filtered here. Its
  Blocks may be of a class of its own, if its records are not text (records/block.py);
* fills ``self.report`` (:class:`~flowlogs_reader.sources.report.ReadReport`) while it reads: sizes, how far it is
  complete, what was unreadable. What it counts itself it counts in the thread that draws the Blocks;
* says in ``describe`` what is being read, and in ``diagnose`` what it knows about a failure;
* says in DEFAULT_WINDOW how long the window is if the user gives none (None: everything is read), and in POLL_SECONDS
  how often it makes sense to look for new records (None: it cannot be followed). If it can be followed, ``go_on``
  prepares it for the next window.

It states facts. Options of the command line, and advice, are the business of ``cli``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import ClassVar, TypeVar

from ..aws.trouble import error_code
from ..errors import Cause, FlowLogsError, IncompleteError, UsageError
from ..kernel import Sums, check
from ..query.conditions import Condition
from ..query.query import Window
from ..records.block import Block, first_lines, joined
from ..records.fields import DEFAULT_FIELDS
from ..records.layout import Layout, default_record
from ..records.record import FlowRecord, records
from ..records.times import milliseconds
from .filter import Filter, fields_summed
from .objects import Piece
from .report import ReadReport

Reader = TypeVar('Reader', bound='BaseReader')
# What flowlogs-reader 5.0.1 reads if it is given no times.
LAST_HOUR = timedelta(hours=1)
# Requests at a time, and the connections that a client keeps.
MAX_THREADS = 50
_PACKAGE = __name__.partition('.')[0]
# What is left of the lines of the default format without everything that is not white space.
_NO_SPACE = bytes(set(range(256)) - set(b' \t\n\r\v\f'))
_DEFAULT_SHAPE = b' ' * (len(DEFAULT_FIELDS) - 1) + b'\n'


class BaseReader(Iterator[FlowRecord]):
    """Flow log records of the half-open window [start_time, end_time), on three levels.

    :meth:`blocks` gives runs of canonical lines, :meth:`columns` tuples of chosen fields, and iteration gives a
    :class:`FlowRecord` for each record. Each level is several times cheaper than the next. All of them draw on one
    stream: a reader is read once.

    `where` takes conditions as the command line does (``'dstport=443'``): only records that meet all of them come out.
    With `exact_window` each record is compared with the window; without it the source chooses by its own units. With
    `raise_on_error` a line that is not a record of the layout is a ValueError, after the records before it; otherwise
    it is counted in `skipped_records` and left out.

    What cannot be read, such as one object of many, is kept in `unreadable`. After everything else has come out, the
    iteration raises: botocore's ClientError if AWS refused, DamagedError for damaged data, IncompleteError if there are
    several. It does not if `on_unreadable` was given: that is called with each error instead. With `raise_on_error` the
    first one is raised where it is met.

    If `fields` are not given, a line that begins with a record of the default format is taken for that record. If no
    line is one, a warning says so.

    `bytes_processed` counts the text that was read, `compressed_bytes_processed` the bytes in which files and objects
    hold it. `report` has all that is known about the read. `on_block` is called with each Block as the source gave it,
    and with an empty one if a page brought nothing.
    """

    DEFAULT_WINDOW: ClassVar[timedelta | None] = LAST_HOUR
    POLL_SECONDS: ClassVar[int | None] = None
    # What helps if the fields of the log are not the default ones.
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
        # The default itself, not an equal one: fields that were given are taken at their word.
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
        self._columns: frozenset[str] | None = None
        self._records: Iterator[FlowRecord] | None = None

    # -- what a source provides -------------------------------------------------------------------------------------

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        """Blocks of lines as the source has them, unchecked, in order; with a `limit`, little more than that."""
        raise NotImplementedError

    def describe(self) -> str:
        """What is being read, in words."""
        raise NotImplementedError

    def diagnose(self, error: Exception) -> object | None:
        """More facts about an error that ended the read, which may take some requests; None if there are none."""
        return None

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """Prepares for reading another window, without what has come out before: see engines/follow.py.

        What lies before `late_ms` will be in no window after that, and need not be remembered. Times are milliseconds
        since the epoch.
        """
        self.close()
        self._source = None
        self.start_ms, self.end_ms = start_ms, end_ms
        self.report.start_ms = start_ms
        self.report.left_out = 0

    # -- what all sources share -------------------------------------------------------------------------------------

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The names of the log's fields: as given, or as found out when the first records were read; None before.

        Of several formats it is the first one.
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
        """Milliseconds since the epoch before which nothing is missing from what came out; None if not known."""
        return self.report.complete_until

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
        `columns` names all fields that the caller will look at: sources that store fields apart may leave out others.
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
                    return

    def sum_into(
        self,
        table: Sums,
        keys: Sequence[Sequence[str]] | Callable[[Layout], Sequence[Sequence[str]]],
        columns: Iterable[str] = (),
    ) -> Iterator[Block]:
        """Adds every record that meets the conditions to a table, once for each of the `keys`, which are fields.

        The keys may depend on the Layout; `columns` then names all fields that they may be, besides start and end.
        Yields each Block after it was added, so that the caller can look at the table meanwhile. Small Blocks may have
        been joined.
        """
        names = [*columns, 'start', 'end'] if callable(keys) else chain(*keys)
        with self._reading(None, [*names, *fields_summed(table)]) as source:
            for block in joined(source):
                own = keys(block.layout) if callable(keys) else keys
                self._account(block, *self.where.add(table, block, own))
                yield block

    def columns(self, *names: str) -> Iterator[tuple[bytes, ...]]:
        """For each record a tuple of these fields as they stand in the log; ``-`` if a value is missing."""
        with self._reading(None, names) as source:
            for block in source:
                values, skipped = self.where.values(block, names)
                self._account(block, max(map(len, values), default=0), skipped)
                yield from zip(*values)

    @contextmanager
    def _reading(self, limit: int | None, columns: Iterable[str] | None) -> Iterator[Iterable[Block]]:
        """The Blocks as the source has them. Whoever closes the generator that reads them closes the source."""
        if columns is not None:
            self._columns = self.where.fields.union(columns)
        if self._source is None:
            self.report.origin = self.report.origin or self.describe()
            self._source = self._read(limit)
        source: Iterable[Block] = self._source
        if self._assumed:
            source = _shortened(source, self._assumed)
        if self.raise_on_error:
            source = self._strictly(source)
        try:
            yield source
        except GeneratorExit:
            self.close()
            raise
        self._warn()
        if self._on_unreadable is None and self.unreadable:
            raise _one_of(self.unreadable)

    def _strictly(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The lines before the first one that is not a record. Then raises the ValueError that says why it is not."""
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
        """Says once if the assumed fields are those of no line."""
        if self._assumed and not self._warned and (mismatch := self.mismatch()):
            self._warned = True
            warnings.warn(f'{mismatch}; {self.FIELDS_HELP}', stacklevel=_outside())

    def _account(self, block: Block, matched: int, skipped: int) -> None:
        report = self.report
        if block.has_lines:
            # Newlines are counted for a note about conditions only: 0.05 s per 1,000,000 lines.
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
        self.report.odd_line = self.report.odd_line or (block.layout, lines[0][:1000])

    def __iter__(self) -> Iterator[FlowRecord]:
        if self._records is None:
            self._records = self._make_records()
        return self._records

    def __next__(self) -> FlowRecord:
        return next(iter(self))

    @property
    def iterator(self) -> Iterator[FlowRecord]:
        """The iterator below this one, as flowlogs-reader 5.0.1 has it."""
        return iter(self)

    def _make_records(self) -> Iterator[FlowRecord]:
        for block in self.blocks():
            yield from records(block.layout, block.data)

    def mismatch(self) -> FlowLogsError | None:
        """What is wrong if lines were read and none had the format; None otherwise."""
        if not self.report.mismatch or not self.report.odd_line:
            return None
        layout, line = self.report.odd_line
        return FlowLogsError(
            f'no line of {self.describe()} has the format "{" ".join(layout.fields)}": the lines have '
            f'{len(line.split())} columns, the format has {len(layout.fields)}',
            Cause.FORMAT_MISMATCH,
        )

    def _store(self, pieces: Iterable[Piece]) -> Iterator[Block]:
        """The Blocks in what worker threads read; counted here, in one thread."""
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


def _outside() -> int:
    """The stack level, as the caller counts it, of the script that draws on a reader: that is where to warn."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get('__name__', '').partition('.')[0] in (_PACKAGE, 'contextlib'):
        level, frame = level + 1, frame.f_back
    return level


def _one_of(unreadable: Sequence[FlowLogsError]) -> Exception:
    """What to raise for everything that could not be read."""
    first = unreadable[0]
    if len(unreadable) == 1:
        return _as_raised(first)
    causes = {error.cause for error in unreadable}
    text = f'{len(unreadable)} parts could not be read; the first: {first}'
    return IncompleteError(text, causes.pop() if len(causes) == 1 else None, unreadable)


def _as_raised(error: FlowLogsError) -> Exception:
    """botocore's own error if AWS refused, as flowlogs-reader 5.0.1 raises it; else this one."""
    refusal = error.__cause__
    if not isinstance(refusal, Exception) or not error_code(refusal):
        return error
    # It does not say which object it is about. Python 3.10 has no notes.
    if hasattr(refusal, 'add_note') and str(error) not in getattr(refusal, '__notes__', ()):
        refusal.add_note(str(error))
    return refusal


def _shortened(blocks: Iterable[Block], assumed: Layout) -> Iterator[Block]:
    """Of lines in the assumed format that begin with a record of it, only that record."""
    for block in blocks:
        if block.layout is assumed:
            shape = block.data.translate(None, _NO_SPACE)
            if shape != _DEFAULT_SHAPE * (len(shape) // len(_DEFAULT_SHAPE)):
                lines = [default_record(line) or line for line in block.data.split(b'\n')]
                block = block.of_text(b'\n'.join(lines))
        yield block


def _apart(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks of canonical lines as they are, and each line of any other Block in a Block of its own."""
    for block in blocks:
        if block.is_canonical or check(block.layout.kinds, data := block.data)[0] is data:
            yield block
        else:
            for line in data[:-1].split(b'\n'):
                yield block.of_text(line + b'\n', raw=line + b'\n')


def _closed() -> Generator[Block, None, None]:
    raise ValueError('this reader is closed')
    yield
