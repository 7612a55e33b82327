"""Makes Blocks from Parquet files. Needs pyarrow.

If all rows are wanted, or values are not what AWS writes, the Blocks are text. Otherwise they are rows of Arrow
(sources/arrow.py), and a row group is not read if its statistics show that no row can match.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO

from .. import kernel
from ..errors import DamagedError, MissingExtraError
from ..kernel.limits import MAX_SECONDS
from ..records.block import Block
from ..records.fields import KNOWN, Kind
from ..records.layout import Layout, normalise
from .filter import SKIPDATA, Filter
from .keys import partitions

# Rows that are converted to lines at a time: about a megabyte of text.
ROWS = 8192
# Values of all columns that are read at a time, if they are not converted to lines: about six megabytes.
VALUES = 1 << 20
BUFFER = 1 << 16


def parquet_blocks(
    file: BinaryIO, columns: Collection[str] | None = None, path: str = '', where: Filter | None = None
) -> Iterator[Block]:
    """Yield Blocks of the rows; a missing value is ``-``. With `columns`, other columns are not read.

    Row groups that cannot have rows that pass `where` are not read, but their rows are counted. If the file does not
    have a field, but a Hive partition in its `path` does, the value of the partition is used. AWS writes all fields
    into the file.

    Raises MissingExtraError without pyarrow, and DamagedError if the file, or a part of it, cannot be read.
    """
    try:
        from pyarrow import ArrowException
    except ImportError:
        raise MissingExtraError('parquet', 'reading Parquet') from None
    try:
        yield from _File(file, columns, path).blocks(where or Filter())
    except (ArrowException, OSError, ValueError) as error:
        raise DamagedError(f'the Parquet data cannot be read: {" ".join(str(error).split())[:200]}') from None


class _File:
    """An open Parquet file, with its fields, and the fields that its path adds."""

    def __init__(self, file: BinaryIO, columns: Collection[str] | None, path: str) -> None:
        self._file = file
        self._opened = parquet = self._open()
        names = {normalise(name): name for name in parquet.schema_arrow.names}
        if len(names) < len(parquet.schema_arrow.names):
            raise ValueError(f'two of its columns are one field ({", ".join(parquet.schema_arrow.names)})')
        if KNOWN.keys().isdisjoint(names):
            raise ValueError(f'no field of a flow log is among its columns ({", ".join(names)})')
        extra = {normalise(name): value for name, value in partitions(path).items()}
        extra = {name: value for name, value in extra.items() if name in KNOWN and name not in names}
        if columns is not None:
            names = {name: names[name] for name in names if name in columns} or dict(list(names.items())[:1])
            extra = {name: value for name, value in extra.items() if name in columns}
        self._everything = columns is None
        self._names, self._extra = names, extra
        self._layout = Layout([*names, *extra])

    def _open(self, **options: Any) -> Any:
        from pyarrow.parquet import ParquetFile

        # With pre_buffer, all compressed data of a row group would be in memory at once.
        return ParquetFile(self._file, pre_buffer=False, buffer_size=BUFFER, **options)

    def blocks(self, where: Filter) -> Iterator[Block]:
        tests, window, _ = where.selection(self._layout, None)
        as_text = self._everything and not tests.each and not window
        for group in range(self._opened.num_row_groups):
            if as_text:
                yield from self._text_blocks(group)
            elif self._is_ruled_out(group, tests.each, window, where.count_skipdata):
                yield self._unread_block(group)
            else:
                yield from self._arrow_blocks(group)

    def _text_blocks(self, group: int, begin: int = 0) -> Iterator[Block]:
        """Yield the rows of a row group from `begin` on, as text."""
        # One row group at a time: a batch could otherwise include rows of the next one, which may be damaged.
        for batch in self._opened.iter_batches(ROWS, [group], [*self._names.values()], use_threads=False):
            if begin < len(batch):
                yield self._text_block(batch.slice(begin))
            begin = max(0, begin - len(batch))

    def _text_block(self, batch: Any) -> Block:
        from .arrow import lines_of, text_of

        values = [text_of(name, batch.column(stored)) for name, stored in self._names.items()]
        return Block(self._layout, lines_of([*values, *self._extra.values()]))

    def _arrow_blocks(self, group: int) -> Iterator[Block]:
        """Yield the rows of a row group as rows of Arrow, or as text if they are not canonical.

        If a batch cannot be read, the rest is read as text, in smaller batches: more rows are saved.
        """
        from pyarrow import ArrowException

        done = 0
        size = max(ROWS, VALUES // len(self._layout.fields))
        try:
            for batch in self._coded.iter_batches(size, [group], [*self._names.values()], use_threads=True):
                for block in self._blocks_of(batch):
                    yield block
                    done += block.line_count
        except (ArrowException, OSError, ValueError):
            yield from self._text_blocks(group, done)

    @cached_property
    def _coded(self) -> Any:
        """The same file, opened so that columns of text are dictionary-encoded: reading takes half the time."""
        from pyarrow.types import is_nested

        schema = self._opened.schema_arrow
        texts = [stored for name, stored in self._names.items() if name not in KNOWN or KNOWN[name].kind is Kind.TEXT]
        # A nested column has no values of its own: Arrow raises KeyError.
        flat = [stored for stored in texts if not is_nested(schema.field(stored).type)]
        return self._open(read_dictionary=flat, metadata=self._opened.metadata)

    @cached_property
    def _grouping(self) -> Any:
        from .arrow import Grouping

        return Grouping()

    def _blocks_of(self, batch: Any) -> Iterator[Block]:
        import pyarrow as pa

        from .arrow import ArrowBlock, plain

        columns = [batch.column(stored) for stored in self._names.values()]
        columns += [pa.repeat(pa.scalar(text), len(batch)) for text in self._extra.values()]
        rows = None if '' in self._extra.values() else plain(self._layout, columns)
        if rows is not None:
            yield ArrowBlock(self._layout, rows, len(batch), self._grouping)
            return
        for begin in range(0, len(batch), ROWS):
            yield self._text_block(batch.slice(begin, ROWS))

    # -- row groups that cannot match -------------------------------------------------------------------------------

    def _unread_block(self, group: int) -> Block:
        """A Block without rows that has the line count of a row group."""
        import pyarrow as pa

        from .arrow import ArrowBlock, plain

        rows = plain(self._layout, [pa.nulls(0)] * len(self._layout.fields))
        return ArrowBlock(self._layout, rows, self._opened.metadata.row_group(group).num_rows, self._grouping)

    def _is_ruled_out(
        self, group: int, tests: Sequence[kernel.Test], window: kernel.Window | None, count_skipdata: bool
    ) -> bool:
        """Whether the statistics of a row group show that no row passes, and no SKIPDATA record has to be counted."""
        bounds = _Bounds(self._opened, group, self._layout, self._names)
        if window and bounds.lie_outside(window):
            return True
        skipdata: kernel.Test = (self._layout.places(['log_status']), False, False, 'text', (SKIPDATA,))
        return any(map(bounds.rule_out, tests)) and not (count_skipdata and not bounds.rule_out(skipdata))


class _Bounds:
    """The smallest and the largest values of the columns of a row group, from its statistics."""

    def __init__(self, parquet: Any, group: int, layout: Layout, names: Mapping[str, str]) -> None:
        self._schema = parquet.schema_arrow
        self._group = parquet.metadata.row_group(group)
        paths = parquet.metadata.schema
        self._places = {paths.column(at).path: at for at in range(len(paths))}
        self._stored = [names.get(name) for name in layout.fields]

    def _of(self, place: int, test: Callable[[Any], bool]) -> tuple[Any, Any, int] | None:
        """(smallest value, largest value, number of missing ones); None if not known, or the type fails the test."""
        stored = self._stored[place] if place >= 0 else None
        if stored not in self._places or not test(self._schema.field(stored).type):
            return None
        try:
            # Only those that are needed: pyarrow ends the process if it meets some kinds of damage in them.
            statistics = self._group.column(self._places[stored]).statistics
            if not statistics or not statistics.has_min_max or not statistics.has_null_count:
                return None
            return statistics.min, statistics.max, statistics.null_count
        except ValueError:
            return None

    def lie_outside(self, window: kernel.Window) -> bool:
        """Whether no row can be in the window."""
        from pyarrow.types import is_signed_integer

        start, _, start_ms, end_ms, _ = window
        known = self._of(start, is_signed_integer)
        # Numbers above MAX_SECONDS are milliseconds.
        if not known or known[2] or known[0] < 0 or known[1] > MAX_SECONDS:
            return False
        return bool(known[1] * 1000 < start_ms or known[0] * 1000 >= end_ms)

    def rule_out(self, test: kernel.Test) -> bool:
        """Whether no row can pass a test."""
        places, negated, missing, kind, payload = test
        if negated or missing or kind not in ('number', 'text'):
            return False
        return all(place < 0 or self._lacks(place, kind, payload) for place in places)

    def _lacks(self, place: int, kind: str, payload: Any) -> bool:
        from pyarrow.types import is_signed_integer, is_string

        known = self._of(place, is_string if kind == 'text' else is_signed_integer)
        if not known:
            return False
        if kind == 'number':
            return not any(low <= known[1] and known[0] <= high for low, high in payload)
        least, largest = known[0].encode(), known[1].encode()
        return not any(least <= text <= largest for text in payload)
