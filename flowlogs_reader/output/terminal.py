"""Output to a terminal: aligned columns, REJECT in red, bars, control characters escaped."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence

from .encodings import Encoding, Shape

SHORTEST_BAR = 5
GAP = b'  '
_RED = b'\x1b[31m%b\x1b[0m'
_CONTROL = re.compile(rb'[^\t\n -~]')


def wants_colour(environment: Mapping[str, str]) -> bool:
    """Whether the user of a terminal wants colours (https://no-color.org)."""
    return not environment.get('NO_COLOR') and environment.get('TERM') != 'dumb'


class Aligned(Encoding):
    """Text with aligned columns.

    A column is as wide as its widest value so far: lines are written before all values are known.
    """

    def __init__(self, colour: bool = False, human: bool = False) -> None:
        super().__init__('text', human)
        self._colour = colour
        self._widths: list[int] = []

    def begin(self, shape: Shape, header: bool) -> None:
        if self._shape is None or shape.columns != self._shape.columns:
            self._widths = [0] * len(shape.columns)
        super().begin(shape, header)

    def lines(self, data: bytes) -> bytes:
        assert self._shape
        return self._aligned(self._rows(data), self._shape.names, self._shape.numbers, GAP)

    def _rows(self, data: bytes) -> list[list[bytes]]:
        assert self._shape
        return [line.split(self._shape.separator) for line in super().lines(data)[:-1].split(b'\n')]

    def _aligned(
        self,
        rows: Sequence[Sequence[bytes]],
        names: Sequence[bytes],
        numbers: Sequence[bool],
        gap: bytes,
        limits: Sequence[int] = (),
    ) -> bytes:
        """Return aligned lines. Values that are longer than the limit of their column move the rest of their line."""
        self._widths = [max(old, *map(len, values)) for old, values in zip(self._widths, zip(*rows))]
        if limits:
            self._widths = [*map(min, self._widths, limits)]
        action = names.index(b'action') if self._colour and b'action' in names else None
        return b''.join([gap.join(self._cells(row, numbers, action)).rstrip() + b'\n' for row in rows])

    def _cells(self, row: Sequence[bytes], numbers: Sequence[bool], action: int | None) -> Iterator[bytes]:
        for at, (value, width, number) in enumerate(zip(row, self._widths, numbers)):
            cell = value.rjust(width) if number else value.ljust(width)
            yield _RED % cell if at == action and value == b'REJECT' else cell


def escaped(data: bytes) -> bytes:
    r"""Return data with control characters escaped.

    >>> escaped(b'2 \x1b[2J\n')
    b'2 \\x1b[2J\n'
    """
    return _CONTROL.sub(lambda match: b'\\x%02x' % match[0][0], data)


def with_bars(
    rows: Sequence[Sequence[bytes]], header: Sequence[str], column: int, width: int, incomplete: Container[int] = ()
) -> list[list[bytes]]:
    """Return each row with a bar in proportion to its number. The longest one fills the line.

    The bars are empty if there is no room for bars that say something.
    The bars of `incomplete` rows, which are given by their index, have another character, and at least one of it.
    """
    longest = max((int(row[column]) for row in rows), default=0) or 1
    cells = (max(map(len, values)) for values in zip(header, *rows))
    room = width - sum(cells) - len(GAP) * len(header)
    if room < SHORTEST_BAR:
        return [[*row, b''] for row in rows]
    lengths = [-(-int(row[column]) * room // longest) for row in rows]
    bars = [b':' * max(length, 1) if at in incomplete else b'#' * length for at, length in enumerate(lengths)]
    return [[*row, bar] for row, bar in zip(rows, bars)]
