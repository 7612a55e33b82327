"""What an engine gives back: records, or a table. Any output can write either."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..records.block import Block
from ..records.fields import KNOWN, Kind
from ..records.record import moment

# Rows of a table that are handed on at once.
ROWS = 4096


class Column(NamedTuple):
    """A named, typed column. Times are Unix seconds."""

    name: str
    kind: Kind


def column_of(name: str) -> Column:
    """The column of a field. Names that AWS does not document hold text."""
    return Column(name, KNOWN[name].kind if name in KNOWN else Kind.TEXT)


class Records:
    """Records, as Blocks of canonical lines, oldest first.

    Iterating reads them. Raises what the reading raises, after all that was read before.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = blocks


class Table:
    """Columns and rows. Reading begins when rows are asked for.

    Rows come as `chunks` of lines with a tab between two values; `places` says where in a line the value of each column
    is. Values are canonical text, ``-`` if missing. Raises what the reading raised, after the rows of what was read
    before.
    """

    def __init__(self, columns: Sequence[Column], chunks: Iterable[bytes], places: Sequence[int] | None = None) -> None:
        self.columns = tuple(columns)
        self.chunks = chunks
        self.places = tuple(range(len(self.columns)) if places is None else places)

    @classmethod
    def of_rows(cls, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Table:
        """A table of Python values: None is missing; text holds no tabs and no line ends."""
        return cls(columns, _chunks(rows))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Each row as a tuple of str and int; times are naive datetimes in UTC, missing values None."""
        for chunk in self.chunks:
            for line in chunk[:-1].split(b'\n'):
                values = line.split(b'\t')
                yield tuple(_value(column, values[place]) for column, place in zip(self.columns, self.places))


Result = Records | Table


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
    return moment(int(text)) if column.kind is Kind.TIME else text.decode()
