"""The only code that writes records and tables to stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import BinaryIO, NamedTuple

from ..kernel.memo import Memo
from ..query.names import NAMED, name_of
from ..query.result import Column, Records, Result, Table, column_of
from ..records.block import Block
from ..records.fields import DEFAULT_FIELDS, Kind
from ..records.layout import Layout
from ..records.times import UTC, iso
from .encodings import Encoding, Shape
from .short import Fit, Short
from .stream import writing
from .terminal import Aligned, escaped, with_bars


class Style(NamedTuple):
    """How the output looks.

    `output` is the encoding. `columns` are the fields of records (None: those of their layout); `raw` writes lines as
    they are in the log. `header` writes headers; `times` is 'epoch' (Unix seconds), 'iso' or 'date', in the zone `tz`.
    `terminal` is the width of the terminal in characters, or 0 if stdout is not one; with `colour` it shows colours.
    `bars` is the column of tables to draw there. `live` flushes after every write. `human` writes numbers of bytes as
    sizes. `fit` says how records or tables fit a terminal. With `names`, values of the fields NAMED are written by
    name.
    """

    output: str = 'text'
    columns: tuple[str, ...] | None = None
    raw: bool = False
    header: bool = False
    times: str = 'epoch'
    tz: tzinfo = UTC
    terminal: int = 0
    colour: bool = False
    bars: str = ''
    live: bool = False
    human: bool = False
    fit: Fit | None = None
    names: bool = False


def _encoding(style: Style) -> Encoding:
    if style.output == 'parquet':
        from .parquet import Parquet

        return Parquet()
    return Encoding(style.output, style.human)


class Writer:
    """Writes results. In text output, records have a space between two columns, tables a tab.

    `written` is 0 until there is a record or a row. `before_write` is called before each write. Raises
    MissingExtraError if the output needs a library that is not installed.
    """

    def __init__(self, stdout: BinaryIO, style: Style | None = None) -> None:
        style = style or Style()
        self._stdout = stdout
        self._style = style
        aligned = style.terminal > 0 and style.output == 'text'
        self._encoding: Encoding = _terminal(style) if aligned else _encoding(style)
        self._zoned = {form: Memo(partial(self._time, form)) for form in ('iso', 'date')}
        self._named = {field: Memo(partial(name_of, field)) for field in NAMED if style.names}
        self._raw_layout: Layout | None = None
        self.written = 0
        self.before_write: Callable[[], None] | None = None

    def write(self, result: Result) -> None:
        """Read a result to its end and write it. Raises OutputError, and the errors of the read."""
        if isinstance(result, Table):
            self._table(result)
        elif isinstance(result, Records):
            self._records(result)

    def flush(self) -> None:
        """Write what encodings and buffers still hold."""
        if end := self._encoding.end():
            self._write(end)
        with writing():
            self._stdout.flush()

    def end(self, facts: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
        """Write what is still held after a read that failed. Lines say nothing of how they were read."""
        self.flush()

    def _records(self, result: Records) -> None:
        self._encoding.expect([*map(column_of, self._style.columns or DEFAULT_FIELDS)])
        for block in result.blocks:
            if self._style.raw:
                if self._style.header:
                    self._raw_header(block.layout)
                data = block.raw or block.data
                self.written += len(data)
                self._write(escaped(data) if self._style.terminal else data)
            else:
                self._block(block)

    def _raw_header(self, layout: Layout) -> None:
        """Write a header row as AWS writes it into files, if the layout is another one than before."""
        if layout != self._raw_layout:
            self._raw_layout = layout
            self._write(' '.join(layout.fields).replace('_', '-').encode() + b'\n')

    def _block(self, block: Block) -> None:
        """Write the columns asked for, or the 14 default ones and then the others of the layout."""
        names = self._style.columns or block.layout.output_fields
        whole = names == block.layout.fields
        self._lines([*map(column_of, names)], block.layout.places(names), b' ', block.data, whole)

    def _table(self, table: Table) -> None:
        if self._style.bars and isinstance(self._encoding, Aligned):
            table = self._with_bars(table)
        self._encoding.expect(table.columns)
        for chunk in table.chunks:
            if chunk:
                self._lines(table.columns, table.places, b'\t', chunk)

    def _with_bars(self, table: Table) -> Table:
        """Return the table with a column of bars. The first bar can be drawn when all rows are known."""
        header = [column.name for column in table.columns]

        def chunks() -> Iterator[bytes]:
            rows: list[list[bytes]] = []
            starts: list[bytes] = []
            failure = None
            try:
                for chunk in table.chunks:
                    starts += [line.partition(b'\t')[0] for line in chunk[:-1].split(b'\n')]
                    shown = self._shown(table.columns, table.places, b'\t', chunk)
                    rows += [line.split(b'\t') for line in shown[:-1].split(b'\n')]
            except Exception as error:
                failure = error
            incomplete = {at for at, start in enumerate(starts) if int(start) in table.incomplete}
            drawn = with_bars(rows, header, header.index(self._style.bars), self._style.terminal, incomplete)
            yield b''.join([b'\t'.join(row) + b'\n' for row in drawn])
            if failure:
                raise failure

        columns = [column if not self._form(column) else Column(column.name, Kind.TEXT) for column in table.columns]
        return Table([*columns, Column('', Kind.TEXT)], chunks())

    def _shown(self, columns: Sequence[Column], places: Sequence[int], separator: bytes, data: bytes) -> bytes:
        """Return these columns of the lines as text."""
        shape, data = self._shape(columns, places, separator, data)
        return shape.encoded('text', data)

    def _lines(
        self, columns: Sequence[Column], places: Sequence[int], separator: bytes, data: bytes, whole: bool = False
    ) -> None:
        shape, data = self._shape(columns, places, separator, data, whole)
        self._encoding.begin(shape, self._style.header)
        self.written += len(data)
        self._write(self._encoding.lines(data))

    def _shape(
        self, columns: Sequence[Column], places: Sequence[int], separator: bytes, data: bytes, whole: bool = False
    ) -> tuple[Shape, bytes]:
        """Return the shape of the lines, and the lines.

        The kernel writes times in UTC, and numbers as they are. Times of another zone and names are made here, and
        lines of only these columns are returned.
        """
        forms = [self._form(column) for column in columns]
        made = [self._maker(column, form) for column, form in zip(columns, forms)]
        if any(make is not None for make in made):
            data = _made(made, places, separator, data)
            columns = [
                column if make is None else Column(column.name, Kind.TEXT) for column, make in zip(columns, made)
            ]
            forms = [form if make is None else None for form, make in zip(forms, made)]
            places = range(len(columns))
        return Shape(tuple(columns), tuple(places), separator, tuple(forms), whole), data

    def _maker(self, column: Column, form: str | None) -> Memo[bytes] | None:
        """Return what makes the text of the values of a column; None if the kernel does."""
        if form and self._style.tz is not UTC:
            return self._zoned[form]
        return self._named.get(column.name)

    def _form(self, column: Column) -> str | None:
        return self._style.times if column.kind is Kind.TIME and self._style.times != 'epoch' else None

    def _time(self, form: str, text: bytes) -> bytes:
        if text == b'-':
            return text
        if form == 'iso':
            return iso(int(text), self._style.tz).encode()
        # As in flowlogs-reader 5.0.1, with the offset of the zone.
        return str(datetime.fromtimestamp(int(text), self._style.tz)).encode()

    def _write(self, data: bytes) -> None:
        if self.before_write:
            self.before_write()
        with writing():
            self._stdout.write(data)
            if self._style.live:
                self._stdout.flush()


def _terminal(style: Style) -> Aligned:
    if style.fit:
        return Short(style.fit, style.terminal, style.tz, style.colour, style.human)
    return Aligned(style.colour, style.human)


def _made(made: Sequence[Memo[bytes] | None], places: Sequence[int], separator: bytes, data: bytes) -> bytes:
    """Return lines of the values at these places, some of them made into other texts."""
    rows = [line.split(separator) for line in data[:-1].split(b'\n')]
    columns = [[row[place] if place >= 0 else b'-' for row in rows] for place in places]
    columns = [column if make is None else [*map(make.__getitem__, column)] for make, column in zip(made, columns)]
    return b'\n'.join([*map(separator.join, zip(*columns)), b''])
