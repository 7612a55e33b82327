"""The only code that writes records to stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from itertools import islice
from typing import BinaryIO

from ..cli.stderr import writing
from ..kernel.memo import Memo
from ..query.typed_times import UTC, iso
from ..records.fields import Kind
from ..records.layout import Block, Layout
from .encodings import ENCODINGS, Encoding, kind_of
from .terminal import Aligned, escaped, with_bars

# Rows of a table that are written at once.
ROWS = 4096


@dataclass(frozen=True)
class Style:
    """What the user wants the output to look like; None leaves it to what is written.

    `times` is 'epoch' (Unix seconds) or 'iso', shown in `tz`. `terminal` is the width of the terminal that is written
    to, in characters, or 0. With `live` everything is out as soon as it is written.
    """

    output: str = 'text'
    columns: tuple[str, ...] | None = None
    header: bool | None = None
    times: str | None = None
    tz: tzinfo = UTC
    terminal: int = 0
    colour: bool = False
    live: bool = False


class Writer:
    """Writes records and tables: as text, records with one space between columns, tables with tabs and a header."""

    def __init__(self, stdout: BinaryIO, style: Style = Style()) -> None:
        self._stdout = stdout
        self._style = style
        aligned = style.terminal > 0 and style.output == 'text'
        self._encoding: Encoding = Aligned(style.colour) if aligned else ENCODINGS[style.output]
        self._headed: Sequence[str] | None = None
        self._times = {form: Memo(partial(self._time, form)) for form in ('iso', 'date')}
        self.written = 0
        self.before_write: Callable[[], None] | None = None

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns of records that the user asks for."""
        return self._style.columns

    def records(self, block: Block) -> None:
        """The records of a Block: the columns asked for, or the 14 default ones and then the others of its format."""
        names = self._style.columns or block.layout.output_fields
        data = self._columns(block.layout, block.data, names)
        self._lines(data, b' ', names, self._style.times or 'epoch', bool(self._style.header))

    def raw(self, block: Block) -> None:
        """The lines of a Block as they were written."""
        data = block.raw or block.data
        self._write(escaped(data) if self._style.terminal else data)

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[object]],
        times: str = 'epoch',
        headed: bool = True,
        bars: str | None = None,
    ) -> None:
        """A header and rows; nothing at all where there are no rows.

        Cells hold no tabs and no line ends; None is a missing value. Columns of times hold Unix seconds, which are
        written in the form `times` where the user asks for none. `bars` names a column to draw on a terminal.
        """
        form = self._style.times or times
        headed = headed if self._style.header is None else self._style.header
        moments = [at for at, name in enumerate(header) if kind_of(name) is Kind.TIME and form != 'epoch']
        cells: Iterator[Sequence[str]] = (self._cells(row, moments, form) for row in rows)
        if bars and isinstance(self._encoding, Aligned):
            cells = with_bars(list(cells), header, header.index(bars), self._style.terminal)
            header = [*header, '']
        while lines := ['\t'.join(row) + '\n' for row in islice(cells, ROWS)]:
            self._lines(''.join(lines).encode(), b'\t', header, form, headed)

    def totals(
        self, header: Sequence[str], columns: Sequence[str], lines: Callable[[], Iterator[bytes]], times: str
    ) -> None:
        """A table like the others from canonical lines that hold these columns: it may have a million rows."""
        form = self._style.times or times
        headed = self._style.header is not False
        waiting = lines()
        while chunk := b''.join(islice(waiting, ROWS)):
            values = chunk.split()
            by_name: dict[str, Iterable[bytes]] = {
                name: values[at :: len(columns)] for at, name in enumerate(columns) if name in header
            }
            for name in header:
                if kind_of(name) is Kind.TIME and form != 'epoch':
                    by_name[name] = map(self._times[form].__getitem__, by_name[name])
            rows = zip(*[by_name[name] for name in header])
            self._lines(b'\n'.join(map(b'\t'.join, rows)) + b'\n', b'\t', header, form, headed)

    def addresses(self, texts: Iterable[bytes]) -> None:
        """A table with one column, without a header where the user does not ask for one."""
        self.table(['addr'], ([text.decode()] for text in texts), headed=False)

    def flush(self) -> None:
        with writing():
            self._stdout.flush()

    def _columns(self, layout: Layout, data: bytes, names: tuple[str, ...]) -> bytes:
        """Canonical lines of these columns."""
        moments = [at for at, name in enumerate(names) if self._style.times == 'iso' and kind_of(name) is Kind.TIME]
        if names == layout.fields and not moments:
            return data
        columns: list[Iterable[bytes]] = [*layout.columns(data, names)]
        for at in moments:
            columns[at] = map(self._times['iso'].__getitem__, columns[at])
        return b'\n'.join(map(b' '.join, zip(*columns))) + b'\n'

    def _cells(self, row: Sequence[object], moments: Sequence[int], form: str) -> list[str]:
        cells = ['-' if cell is None else str(cell) for cell in row]
        for at in moments:
            cells[at] = self._times[form][cells[at].encode()].decode()
        return cells

    def _time(self, form: str, text: bytes) -> bytes:
        if text == b'-':
            return text
        if form == 'iso':
            return iso(int(text), self._style.tz).encode()
        # As flowlogs-reader 5.0.1 writes them; in another zone than UTC with the offset.
        moment = datetime.fromtimestamp(int(text), self._style.tz)
        return str(moment.replace(tzinfo=None) if self._style.tz is UTC else moment).encode()

    def _lines(self, data: bytes, separator: bytes, names: Sequence[str], form: str, headed: bool) -> None:
        """Columns that change, because the format of the log does, get a header of their own."""
        if headed and names != self._headed and self._style.output != 'jsonl':
            self._headed = names
            data = separator.join([name.encode() for name in names]) + b'\n' + data
        texts = (Kind.TEXT,) if form == 'epoch' else (Kind.TEXT, Kind.TIME)
        self._write(self._encoding(data, separator, names, [kind_of(name) not in texts for name in names]))

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        if self.before_write:
            self.before_write()
        with writing():
            self._stdout.write(data)
            if self._style.live:
                self._stdout.flush()
