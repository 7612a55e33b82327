"""What is done only where a person looks: columns line up, REJECT stands out, nothing controls the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

SHORTEST_BAR = 10
GAP = b'  '
_RED = b'\x1b[31m%b\x1b[0m'
_CONTROL = re.compile(rb'[^\t\n -~]')


def wants_colour(environment: Mapping[str, str]) -> bool:
    """Whether the user of a terminal wants colours (https://no-color.org)."""
    return not environment.get('NO_COLOR') and environment.get('TERM') != 'dumb'


class Aligned:
    """An encoding (see formats.py) in columns of one width each.

    A width is that of the widest value so far: lines are not held back until all are known.
    """

    def __init__(self, colour: bool = False) -> None:
        self._colour = colour
        self._names: Sequence[str] = ()
        self._widths: list[int] = []

    def __call__(self, data: bytes, separator: bytes, names: Sequence[str], numbers: Sequence[bool]) -> bytes:
        if names != self._names:
            self._names, self._widths = names, [0] * len(names)
        rows = [line.split(separator) for line in data[:-1].split(b'\n')]
        self._widths = [max(old, *map(len, column)) for old, column in zip(self._widths, zip(*rows))]
        action = names.index('action') if self._colour and 'action' in names else None
        return b''.join([GAP.join(self._cells(row, numbers, action)).rstrip() + b'\n' for row in rows])

    def _cells(self, row: Sequence[bytes], numbers: Sequence[bool], action: int | None) -> Iterator[bytes]:
        for at, (value, width, number) in enumerate(zip(row, self._widths, numbers)):
            cell = value.rjust(width) if number else value.ljust(width)
            yield _RED % cell if at == action and value == b'REJECT' else cell


def escaped(data: bytes) -> bytes:
    r"""Without the characters that a terminal obeys.

    >>> escaped(b'2 \x1b[2J\n')
    b'2 \\x1b[2J\n'
    """
    return _CONTROL.sub(lambda match: b'\\x%02x' % match[0][0], data)


def with_bars(rows: Sequence[Sequence[str]], header: Sequence[str], column: int, width: int) -> Iterator[Sequence[str]]:
    """Each row with a bar that is as long as its number is large, and has room beside it."""
    longest = max((int(row[column]) for row in rows), default=0) or 1
    cells = (max(map(len, values)) for values in zip(header, *rows))
    room = max(SHORTEST_BAR, width - sum(cells) - len(GAP) * len(header))
    for row in rows:
        yield *row, '#' * -(-int(row[column]) * room // longest)
