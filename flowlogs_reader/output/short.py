"""What fits a narrow terminal: few columns, with short names, times, numbers and addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import cache, partial
from ipaddress import ip_address
from typing import Any, NamedTuple

from ..kernel.memo import Memo
from ..query.conditions import ADDRESSES
from ..records.fields import DEFAULT_FIELDS, SHORT
from .encodings import Shape, size_text
from .terminal import GAP, Aligned

NAMES = {b'srcport': b'sport', b'dstport': b'dport', b'protocol': b'proto', b'packets': b'pkts'}
TIMES = ('start', 'end')
# Columns of addresses: fields, and keys for both ends of a flow.
HOSTS = {*ADDRESSES, 'addr', 'pkt_addr'}
IPV4 = 15
PORTS = ('srcport', 'dstport')
# With these widths, a line of IPv4 addresses has 80 characters at most: with bytes of 8 digits beside a time of day, or
# of 5 beside a date.
PACKETS, BYTES, BYTES_BESIDE_DATES = 5, 8, 5
# Parts of 2016-02-01 10:59:22.
WITH_DATE = ((0, 19), (5, 19), (5, 16))
TIME_OF_DAY = (11, 19)
# What tables can do without, and what they need least: first columns of the list of flow logs, then sums.
SPARE = (
    'description', 'instance_id', 'subnet_id', 'vpc_id', 'flow_log_id', 'format', 'destination', 'traffic_type',
    'region', 'az_id', 'interface_id', 'name', 'resource_id', 'end', 'start', 'packets', 'flows', 'accepted', 'bytes',
    'rejected', 'share', 'bytes_to_src', 'bytes_to_dst',
)  # fmt: skip
# What records can do without on a terminal of fewer than 80 columns.
SPARE_OF_RECORDS = ('protocol', 'packets', 'srcport', 'bytes')


class Fit(NamedTuple):
    """How records or a table fit a terminal.

    `span` is the length of the window in seconds; None if it is not known. With `always` records are short even if all
    columns fit. `kept` are the columns that a table has on any terminal; None for records. `on_short` is called with
    the number of columns that are shown, and of all.
    """

    span: int | None = None
    always: bool = False
    kept: tuple[str, ...] | None = None
    on_short: Callable[[int, int], None] | None = None


class View(NamedTuple):
    """How lines are shown: these columns; unless `whole`, with short texts, and this part of times (None: as they are).

    `digits` is how many digits a number of bytes may have.
    """

    places: Sequence[int]
    whole: bool = False
    time: tuple[int, int] | None = None
    digits: int = BYTES
    gap: bytes = GAP


class Short(Aligned):
    """Aligned records or tables. If they are wider than the terminal, columns are left out.

    Records are shown with all columns, the default ones, SHORT or a part of SHORT.
    """

    def __init__(self, fit: Fit, width: int, tz: tzinfo, colour: bool = False, human: bool = False) -> None:
        super().__init__(colour, human)
        self._fit = fit
        self._width = width
        self._tz = tz
        self._view: View | None = None
        self._told = False
        self._limits: list[int] = []
        self._moments = Memo(self._moment)
        self._compressed = Memo(_compressed)

    def begin(self, shape: Shape, header: bool) -> None:
        if self._shape is None or shape.columns != self._shape.columns:
            self._view = None
        super().begin(shape, header)

    def lines(self, data: bytes) -> bytes:
        assert self._shape
        rows = self._rows(data)
        view = self._view = self._view or self._chosen(rows)
        names = [self._shape.names[place] for place in view.places]
        numbers = [self._shape.numbers[place] for place in view.places]
        shown = [[row[place] for place in view.places] for row in rows]
        if not view.whole:
            shown = [[self._short(view, name, value) for name, value in zip(names, row)] for row in shown]
        return self._aligned(shown, names, numbers, view.gap, self._limits)

    def _chosen(self, rows: Sequence[Sequence[bytes]]) -> View:
        """Return the first view that fits, or else the last one."""
        assert self._shape
        views = self._table_views(rows) if self._fit.kept is not None else self._record_views(rows)
        width_of = cache(partial(self._column_width, [{*values} for values in zip(*rows)]))
        for view in views:
            widths = [width_of(place, view.whole, view.time, view.digits) for place in view.places]
            excess = sum(widths) + len(view.gap) * (len([*filter(None, widths)]) - 1) - self._width
            if excess <= 0:
                break
        self._widths = [0] * len(view.places)
        columns = [self._shape.columns[place].name for place in view.places]
        needs = {
            at: max(len(self._short(view, name.encode(), row[view.places[at]])) for row in rows)
            for at, name in enumerate(columns)
            if name in HOSTS
        }
        self._limits = [] if view.whole else self._limits_of(needs, widths, -excess)
        if self._fit.on_short and not self._told and len(view.places) < len(self._shape.columns):
            self._told = True
            # The column of bars has no name, and is not a column of the result.
            self._fit.on_short(*(len([*filter(None, names)]) for names in (columns, self._shape.names)))
        return view

    def _record_views(self, rows: Sequence[Sequence[bytes]]) -> Iterator[View]:
        names = self._names()
        short, default = ([names.index(name) for name in fields if name in names] for fields in (SHORT, DEFAULT_FIELDS))
        if not short or not self._fit.always:
            yield View(range(len(names)), whole=True)
        if not short:
            return
        if not self._fit.always:
            yield View(default, whole=True)
        forms = [TIME_OF_DAY] if self._is_within_day(rows) else [*WITH_DATE]
        if 'start' in names and any(b':' in row[names.index('start')] for row in rows):
            yield from (View(short, time=None, gap=gap) for gap in (GAP, b' '))
        yield from (View(short, time=form, gap=gap) for form in forms for gap in (GAP, b' '))
        yield View(short, time=forms[-1], gap=b' ', digits=BYTES if forms == [TIME_OF_DAY] else BYTES_BESIDE_DATES)
        for left_out in range(0 if self._fit.always else len(SPARE_OF_RECORDS)):
            spare = SPARE_OF_RECORDS[: left_out + 1]
            shown = [place for place in short if names[place] not in spare]
            yield View(shown, time=forms[-1], gap=b' ', digits=BYTES_BESIDE_DATES)

    def _table_views(self, rows: Sequence[Sequence[bytes]]) -> Iterator[View]:
        names, kept = self._names(), self._fit.kept or ()
        places = [*range(len(names))]
        yield View(places, whole=True)
        forms: list[tuple[int, int] | None] = [None, *WITH_DATE]
        if self._is_within_day(rows):
            forms[-1:] = [TIME_OF_DAY]
        spare = [names.index(name) for name in SPARE if name in names and name not in kept]
        for left_out in range(len(spare) + 1):
            shown = [place for place in places if place not in spare[:left_out]]
            yield from (View(shown, time=form, gap=gap) for form in forms for gap in (GAP, b' '))

    def _names(self) -> list[str]:
        assert self._shape
        return [column.name for column in self._shape.columns]

    def _is_within_day(self, rows: Sequence[Sequence[bytes]]) -> bool:
        """Whether a time of day says enough: for these rows, and for the window if it is known."""
        columns = [values for name, values in zip(self._names(), zip(*rows)) if name in TIMES]
        texts = {self._moments[value] for values in columns for value in {*values}}
        moments = [datetime.fromisoformat(text.decode()) for text in texts if text]
        day = timedelta(days=1)
        return (self._fit.span is None or self._fit.span <= day.total_seconds()) and (
            not moments or max(moments) - min(moments) <= day
        )

    def _column_width(self, values: Sequence[set[bytes]], place: int, *how: Any) -> int:
        """Return how wide a column is; of records, as wide as later ones of IPv4 may be. `how` is as in View."""
        view = View((), *how)
        name, records = self._names()[place], self._fit.kept is None
        if view.whole:
            return max(IPV4 if records and name in HOSTS else 0, *map(len, values[place]))
        if records and name in HOSTS:
            return IPV4
        likely = {**dict.fromkeys(PORTS, 5), 'packets': PACKETS, 'bytes': view.digits, 'action': 6}
        least = likely.get(name, 0) if records else 0
        return max(least, *(len(self._short(view, name.encode(), value)) for value in values[place]))

    def _limits_of(self, needs: Mapping[int, int], widths: Sequence[int], room: int) -> list[int]:
        """Return how wide columns may become. Addresses share the room: a long one moves its own line only.

        `needs` are the places of addresses, and how wide they are so far. None gets more than it needs before the
        others have what they need.
        """
        limits = [max(width, self._width) for width in widths]
        left = room + sum(widths[at] for at in needs)
        places = sorted(needs, key=needs.__getitem__)
        for number, at in enumerate(places):
            limits[at] = max(IPV4, min(needs[at], left // (len(places) - number)))
            left -= limits[at]
        for at in places:
            limits[at] += max(0, left) // len(places)
        return limits

    def _short(self, view: View, column: bytes, value: bytes) -> bytes:
        if value == column:
            return NAMES.get(column, column)
        name = column.decode()
        if name in TIMES:
            return (view.time and self._moments[value][slice(*view.time)]) or value
        if name in HOSTS:
            return self._compressed[value] if len(value) > IPV4 else value
        if self._fit.kept is None and name in ('packets', 'bytes'):
            return size_text(value) if len(value) > (PACKETS if name == 'packets' else view.digits) else value
        return value

    def _moment(self, value: bytes) -> bytes:
        """Return a time as 2016-02-01 10:59:22, without its zone; nothing for other texts."""
        try:
            if value.isdigit():
                moment = datetime.fromtimestamp(int(value), self._tz)
            else:
                moment = datetime.fromisoformat(value[:19].decode())
            return moment.strftime('%Y-%m-%d %H:%M:%S').encode()
        except (ValueError, OverflowError, OSError):
            return b''


def _compressed(address: bytes) -> bytes:
    try:
        return str(ip_address(address.decode())).encode()
    except ValueError:
        return address
