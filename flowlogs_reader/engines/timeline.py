"""Flows counted by the interval in which they start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from ..errors import FlowLogsError
from ..query.typed_times import UTC, iso
from ..records.layout import Column, Layout
from .tables import FlowTable, Key

# More rows than anybody reads; a day has 86,400 seconds.
MAX_ROWS = 100_000


class Interval(NamedTuple):
    """The flows that start in an interval: its beginning in Unix seconds, sums, and how many were let through."""

    start: int
    flows: int
    bytes: int
    packets: int
    accepted: int
    rejected: int


class Timeline:
    """Flows by intervals of `seconds`, of which the first of a day begins at midnight in `tz`.

    `window` is [begin, end) in Unix seconds: every interval of it has a row. Without one, every interval from the first
    flow to the last has. A flow counts where it starts, or ends where the log has no `start`. Where clocks change, the
    intervals go on in steps of the same length.

    Raises ValueError where the window would have more rows than MAX_ROWS.
    """

    def __init__(self, seconds: int, window: tuple[int, int] | None = None, tz: tzinfo = UTC) -> None:
        self._seconds = seconds
        self._window = window
        self._tz = tz
        self._offset: int | None = None
        self._sums: dict[int, list[int]] = defaultdict(lambda: [0] * 5)
        self.undated = 0
        if window:
            self._check(*window, ValueError)

    def names(self, layout: Layout) -> Sequence[str]:
        return self._table(layout).names(layout)

    def add(self, layout: Layout, columns: Sequence[Column]) -> None:
        """Raises FlowLogsError where the log has no times, or too many."""
        table = self._table(layout)
        table.add(layout, columns)
        for total in table.totals():
            time, action = total.key
            if time == b'-':
                self.undated += total.flows
                continue
            counts = total.flows * (action == b'ACCEPT'), total.flows * (action == b'REJECT')
            sums = self._sums[self._begin(int(time))]
            for at, number in enumerate((total.flows, total.bytes, total.packets, *counts)):
                sums[at] += number
        if len(self._sums) > MAX_ROWS:
            self._check(min(self._sums), max(self._sums) + 1, FlowLogsError)

    def rows(self) -> Iterator[Interval]:
        """In the order of time. Raises FlowLogsError where the flows are too far apart."""
        if not self._window and not self._sums:
            return
        starts = set(self._sums)
        first, last = self._window or (min(starts, default=0), max(starts, default=-1) + 1)
        self._check(first, last, FlowLogsError)
        starts.update(range(self._begin(first), last, self._seconds))
        for start in sorted(starts):
            yield Interval(start, *self._sums.get(start, (0,) * 5))

    def _table(self, layout: Layout) -> FlowTable:
        """A table of few rows: a Block holds few moments."""
        name = next((name for name in ('start', 'end') if name in layout.position), None)
        if not name:
            raise FlowLogsError(f'this log has no times: its fields are {" ".join(layout.fields)}')
        return FlowTable([Key(name), Key('action')])

    def _begin(self, time: int) -> int:
        """When the interval began in which a moment lies."""
        if self._offset is None:
            moment = datetime.fromtimestamp(self._window[0] if self._window else time, self._tz)
            self._offset = (moment.utcoffset() or timedelta()) // timedelta(seconds=1)
        return time - (time + self._offset) % self._seconds

    def _check(self, first: int, last: int, error: type[Exception]) -> None:
        rows = (last - first) // self._seconds
        if rows > MAX_ROWS:
            span = f'{iso(first, self._tz)} to {iso(last, self._tz)}'
            raise error(f'a timeline of {span} would have {rows:,} rows: give a longer interval, or -s and -e')
