"""How lines are written: as text, or as TSV, CSV or JSON lines.

An encoding has a prologue, lines, and an epilogue, so that it may as well be a format with a head and a tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kernel import encode
from ..query.result import Column
from ..records.fields import Kind


@dataclass(frozen=True)
class Shape:
    """What lines look like: their columns, where in a line the value of each is, and what is between two values.

    `times` is the form of each column that holds times and is to be written as 'iso' or 'date'; None for all others.
    With `whole` the lines hold these columns and no others, in this order.
    """

    columns: tuple[Column, ...]
    places: tuple[int, ...]
    separator: bytes
    times: tuple[str | None, ...]
    whole: bool = False

    @property
    def names(self) -> list[bytes]:
        return [column.name.encode() for column in self.columns]

    @property
    def numbers(self) -> list[bool]:
        """Which columns are written as numbers: times are, as Unix seconds."""
        return [column.kind is not Kind.TEXT and not form for column, form in zip(self.columns, self.times)]

    def encoded(self, encoding: str, lines: bytes) -> bytes:
        if encoding == 'text' and self.whole and not any(self.times):
            return lines
        return encode(encoding, self.names, self.numbers, self.places, self.times, self.separator, lines)


class Encoding:
    """Writes lines of one Shape after another, with a header if it is asked for one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shape: Shape | None = None
        self._headed = False

    def begin(self, shape: Shape, headed: bool) -> None:
        """The lines that follow have this shape. Columns that change get a header of their own."""
        if self._shape is None or shape.columns != self._shape.columns:
            self._headed = headed
        self._shape = shape

    def lines(self, data: bytes) -> bytes:
        """Some lines of the shape, encoded, after a header if one is due."""
        assert self._shape
        header, self._headed = self._header() if self._headed else b'', False
        return header + self._shape.encoded(self._name, data)

    def end(self) -> bytes:
        """What comes after the last line."""
        return b''

    def _header(self) -> bytes:
        assert self._shape
        if self._name == 'jsonl':
            # Every value has its name already.
            return b''
        names = self._shape.names
        line = self._shape.separator.join(names) + b'\n'
        return encode(
            self._name, names, [False] * len(names), range(len(names)), [None] * len(names), self._shape.separator, line
        )


ENCODINGS: Sequence[str] = ('text', 'tsv', 'csv', 'jsonl')
