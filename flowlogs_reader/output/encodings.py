"""Encodings of lines: text, TSV, CSV and JSON lines.

An encoding has a prologue, lines and an epilogue, so that file formats with a head and a tail are possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kernel import encode
from ..query.result import Column
from ..records.fields import Kind


@dataclass(frozen=True)
class Shape:
    """The structure of lines: columns, the index of each column's value in a line, and the separator of values.

    `times` is 'iso' or 'date' for each column whose times are written in this form; None for all others. With `whole`
    the lines hold these columns and no others, in this order.
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
        """For each column, whether its values are written as numbers, as Unix seconds are."""
        return [column.kind is not Kind.TEXT and not form for column, form in zip(self.columns, self.times)]

    def encoded(self, encoding: str, lines: bytes) -> bytes:
        if encoding == 'text' and self.whole and not any(self.times):
            return lines
        return encode(encoding, self.names, self.numbers, self.places, self.times, self.separator, lines)


class Encoding:
    """Encodes lines of one Shape after another, with headers if requested."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shape: Shape | None = None
        self._header_due = False

    def expect(self, columns: Sequence[Column]) -> None:
        """Say which columns the output has if there are no lines."""

    def begin(self, shape: Shape, header: bool) -> None:
        """Set the shape of the next lines. With `header`, new columns get a header."""
        if self._shape is None or shape.columns != self._shape.columns:
            self._header_due = header
        self._shape = shape

    def lines(self, data: bytes) -> bytes:
        """Return encoded lines of the shape, after a header if one is due."""
        assert self._shape
        header, self._header_due = self._header() if self._header_due else b'', False
        return header + self._shape.encoded(self._name, data)

    def end(self) -> bytes:
        """Return what follows the last line."""
        return b''

    def _header(self) -> bytes:
        assert self._shape
        if self._name == 'jsonl':
            # Every value already has a name.
            return b''
        names = self._shape.names
        line = self._shape.separator.join(names) + b'\n'
        return encode(
            self._name, names, [False] * len(names), range(len(names)), [None] * len(names), self._shape.separator, line
        )


ENCODINGS: Sequence[str] = ('text', 'tsv', 'csv', 'jsonl')
