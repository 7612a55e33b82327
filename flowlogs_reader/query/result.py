"""The result of an engine: records, a table or several tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..records.block import Block
from ..records.fields import KNOWN, Kind
from ..records.record import moment

# Rows in each chunk of a table that is made of Python values.
ROWS = 4096


class Column(NamedTuple):
    """A named, typed column of a Table. Times are Unix seconds."""

    name: str
    kind: Kind


def column_of(name: str) -> Column:
    """Return the column of a field. Fields that AWS does not document are text."""
    return Column(name, KNOWN[name].kind if name in KNOWN else Kind.TEXT)


class Records:
    """Records, as Blocks of canonical lines, oldest first.

    Iterating over `blocks` reads the source. If the read fails, the error is raised after the Blocks read before it.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = blocks


class Table:
    """Columns and rows. Iterating over the rows reads the source.

    `chunks` are lines with a tab between two values; `places` has, for each column, the index of its value in a line.
    Values are canonical text, ``-`` if missing. If the read fails, the error is raised after the rows of what was read
    before.

    `incomplete` has the start, in Unix seconds, of each interval of a timeline that may lack flows, with the reasons:
    'cut' (by the window) and 'recent'. It is filled while the rows are read.
    """

    def __init__(self, columns: Sequence[Column], chunks: Iterable[bytes], places: Sequence[int] | None = None) -> None:
        self.columns = tuple(columns)
        self.chunks = chunks
        self.places = tuple(range(len(self.columns)) if places is None else places)
        self.incomplete: dict[int, tuple[str, ...]] = {}

    @classmethod
    def of_rows(cls, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Table:
        """Return a table of Python values: None is missing; text must not contain tabs or line ends."""
        return cls(columns, _chunks(rows))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield each row as a tuple of str, int and float; times are naive datetimes in UTC, missing values None."""
        for chunk in filter(None, self.chunks):
            for line in chunk[:-1].split(b'\n'):
                values = line.split(b'\t')
                yield tuple(_value(column, values[place]) for column, place in zip(self.columns, self.places))


class NamedTable(NamedTuple):
    """One of several tables. `groups` is the number of its rows without the limit, or 0 if there is no limit."""

    name: str
    table: Table
    groups: int = 0


class Tables:
    """Several tables of one read.

    Iterating over `tables` reads the source. If the read fails, the error is raised after the tables of what was read
    before.
    """

    def __init__(self, tables: Iterable[NamedTable]) -> None:
        self.tables = tables


Result = Records | Table | Tables


def _chunks(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    waiting = iter(rows)
    failure = None
    while failure is None:
        lines: list[str] = []
        try:
            for row in islice(waiting, ROWS):
                lines.append('\t'.join(['-' if cell is None else str(cell) for cell in row]))
        except Exception as error:
            failure = error
        if lines:
            yield '\n'.join([*lines, '']).encode()
        elif failure is None:
            return
    raise failure


def _value(column: Column, text: bytes) -> Any:
    if text == b'-':
        return None
    if column.kind is Kind.INTEGER:
        return int(text)
    if column.kind is Kind.DECIMAL:
        return float(text)
    return moment(int(text)) if column.kind is Kind.TIME else text.decode()
