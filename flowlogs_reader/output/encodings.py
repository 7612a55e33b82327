"""Encodings of lines: text, TSV, CSV and JSON lines.

An encoding has a prologue, lines and an epilogue, so that file formats with a head and a tail are possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..kernel import encode
from ..query.result import Column
from ..records.fields import Kind


class Shape(NamedTuple):
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
        """Return lines of this shape in an encoding, without a header."""
        if encoding == 'text' and self.whole and not any(self.times):
            return lines
        return encode(encoding, self.names, self.numbers, self.places, self.times, self.separator, lines)


def size_text(number: bytes) -> bytes:
    """Return a number of bytes as `du -h` writes it: rounded up, in powers of 1024. Other texts stay as they are.

    >>> [size_text(number) for number in (b'1023', b'1025', b'10240', b'-')]
    [b'1023', b'1.1K', b'10K', b'-']
    """
    if not number.isdigit() or int(number) < 1024:
        return number
    for power, unit in enumerate('KMGTPE', 1):
        tenths, whole = (-(-int(number) * factor // 1024**power) for factor in (10, 1))
        if tenths < 100:
            return f'{tenths // 10}.{tenths % 10}{unit}'.encode()
        if whole < 1024 or unit == 'E':
            break
    return f'{whole}{unit}'.encode()


class Encoding:
    """Encodes lines of one Shape after another, with headers if requested; `human` writes numbers of bytes as sizes."""

    def __init__(self, name: str, human: bool = False) -> None:
        self._name = name
        self._human = human
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
        text = self._shape.encoded(self._name, data)
        return header + (self._with_sizes(text) if self._human else text)

    def end(self) -> bytes:
        """Return what follows the last line."""
        return b''

    def _with_sizes(self, text: bytes) -> bytes:
        """Return the lines with numbers of bytes as sizes."""
        assert self._shape
        separator = b'\t' if self._name == 'tsv' else self._shape.separator
        sizes = [at for at, name in enumerate(self._shape.names) if name.startswith(b'bytes')]
        rows = [line.split(separator) for line in text[:-1].split(b'\n')]
        for row in rows if sizes else ():
            for at in sizes:
                row[at] = size_text(row[at])
        return b''.join([separator.join(row) + b'\n' for row in rows])

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
