"""Records on a narrow terminal: few columns, with short times and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ..records.fields import SHORT
from .encodings import Shape, size_text
from .terminal import GAP, Aligned

DAY = 86400
YEAR = 366 * DAY
# With these names and numbers of at most so many digits, a line of IPv4 addresses has 80 characters at most.
NAMES = {b'srcport': b'sport', b'dstport': b'dport', b'protocol': b'proto', b'packets': b'pkts'}
DIGITS = {'packets': 5, 'bytes': 8}
DIGITS_BESIDE_DATES = {'packets': 5, 'bytes': 5}
# From this width on, two spaces between the columns fit too.
WIDE = 90


@dataclass(frozen=True)
class Fit:
    """How records fit a terminal.

    `span` is the length of the window in seconds; None if it is not known. With `always` records are short even if all
    columns fit. `on_short` is called with the number of columns that are shown, and of all.
    """

    span: int | None = None
    always: bool = False
    on_short: Callable[[int, int], None] | None = None


class Short(Aligned):
    """Aligned records. If they are wider than the terminal, only the columns SHORT are shown."""

    def __init__(self, fit: Fit, width: int, tz: tzinfo, colour: bool = False, human: bool = False) -> None:
        super().__init__(colour, human)
        self._fit = fit
        self._width = width
        self._tz = tz
        self._places: list[int] | None = None
        within_day = fit.span is not None and fit.span <= DAY
        within_year = fit.span is None or fit.span < YEAR
        self._time = '%H:%M:%S' if within_day else '%m-%d %H:%M' if within_year else '%Y-%m-%d'
        self._digits = DIGITS if within_day else DIGITS_BESIDE_DATES

    def begin(self, shape: Shape, header: bool) -> None:
        if self._shape is None or shape.columns != self._shape.columns:
            self._places = None
        super().begin(shape, header)

    def lines(self, data: bytes) -> bytes:
        assert self._shape
        rows = self._rows(data)
        if self._places is None:
            self._places = self._chosen(rows)
        if not self._places:
            return self._aligned(rows, self._shape.names, self._shape.numbers, GAP)
        names = [self._shape.names[place] for place in self._places]
        numbers = [self._shape.numbers[place] for place in self._places]
        shown = [[row[place] for place in self._places] for row in rows]
        short = [[self._short(name, value) for name, value in zip(names, row)] for row in shown]
        return self._aligned(short, names, numbers, GAP if self._width >= WIDE else b' ')

    def _chosen(self, rows: Sequence[Sequence[bytes]]) -> list[int]:
        """Return the places of the columns that are shown; none if all are."""
        assert self._shape
        widths = [max(map(len, values)) for values in zip(*rows)]
        width = sum(widths) + len(GAP) * (len(widths) - 1)
        names = [column.name for column in self._shape.columns]
        places = [names.index(name) for name in SHORT if name in names]
        if not places or not (self._fit.always or width > self._width):
            return []
        self._widths = [0] * len(places)
        if self._fit.on_short and len(places) < len(names):
            self._fit.on_short(len(places), len(names))
        return places

    def _short(self, column: bytes, value: bytes) -> bytes:
        if value == column:
            return NAMES.get(column, column)
        name = column.decode()
        if name == 'start' and value.isdigit():
            return datetime.fromtimestamp(int(value), self._tz).strftime(self._time).encode()
        return size_text(value) if len(value) > self._digits.get(name, len(value)) else value
