"""Flows counted by the interval in which they start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from math import gcd
from typing import NamedTuple

from ..errors import Cause, FlowLogsError, UsageError
from ..kernel import Sums
from ..query.query import Window
from ..records.layout import Layout
from ..records.times import UTC, iso
from ..sources.base import BaseReader

# Enough for a day of 86,400 seconds.
MAX_ROWS = 100_000
# Since the first flow logs (2015), the offsets of all zones from UTC are multiples of so many seconds.
OFFSET_UNIT = 900


class Interval(NamedTuple):
    """The flows that start in an interval: its start in Unix seconds, sums, accepted and rejected flows."""

    start: int
    flows: int
    bytes: int
    packets: int
    accepted: int
    rejected: int


class Timeline:
    """Sums flows by intervals of `seconds`; the first interval of a day begins at midnight in `tz`.

    With a `window` every interval of it has a row; without one, every interval from the first flow to the last. A flow
    counts in the interval of its `start`, or of its `end` if the log has no `start`. All intervals have the same
    length, even if clocks change. `undated` counts flows without a time.

    Raises UsageError if the window would have more rows than MAX_ROWS.
    """

    def __init__(self, seconds: int, window: Window | None = None, tz: tzinfo = UTC) -> None:
        self._seconds = seconds
        self._tz = tz
        self._window = (window.start_ms // 1000, -(-window.end_ms // 1000)) if window else None
        self.undated = 0
        self._complete = False
        if self._window and self._count(*self._window) > MAX_ROWS:
            raise UsageError(self._too_many(*self._window), Cause.TOO_MANY_INTERVALS)
        # Without a window, the offset of the zone is not known before the first flow.
        unit = seconds if self._window else gcd(seconds, OFFSET_UNIT)
        offset = self._offset(self._window[0]) if self._window else 0
        self._table = Sums([('bucket', unit, offset), None], ('packets', 'bytes'))

    def read(self, sources: Iterable[BaseReader]) -> None:
        """Read all records. Raises FlowLogsError if a log has no times, or the flows are too far apart."""
        for source in sources:
            for _ in source.sum_into(self._table, _keys, ['action']):
                # An interval has few rows, one for each value of `action`. rows() raises if there are too many.
                if len(self._table) > 4 * MAX_ROWS:
                    list(self.rows())
        self._complete = True

    def rows(self) -> Iterator[Interval]:
        """Yield the intervals by time; none if the read failed before the first flow.

        Raises FlowLogsError if the flows are too far apart.
        """
        found = self._found()
        if not found and not (self._window and self._complete):
            return
        first, last = self._window or (min(found), max(found) + 1)
        offset = self._offset(first)
        sums: dict[int, list[int]] = {}
        for time, numbers in found.items():
            begin = time - (time + offset) % self._seconds
            sums[begin] = [sum(pair) for pair in zip(sums.get(begin, [0] * 5), numbers)]
        if self._count(first, last) > MAX_ROWS:
            raise FlowLogsError(self._too_many(first, last), Cause.TOO_MANY_INTERVALS)
        starts = {*sums, *range(first - (first + offset) % self._seconds, last, self._seconds)}
        for start in sorted(starts):
            yield Interval(start, *sums.get(start, (0,) * 5))

    def _found(self) -> dict[int, list[int]]:
        """Return flows, bytes, packets, accepted and rejected flows by the start of the table's intervals."""
        found: dict[int, list[int]] = {}
        self.undated = 0
        for line in self._table.lines().splitlines():
            time, action, packets, octets, _, _, flows = line.split(b' ')
            if time == b'-':
                self.undated += int(flows)
                continue
            verdicts = [int(flows) * (action == word) for word in (b'ACCEPT', b'REJECT')]
            numbers = [int(flows), int(octets), int(packets), *verdicts]
            found[int(time)] = [sum(pair) for pair in zip(found.get(int(time), [0] * 5), numbers)]
        return found

    def _offset(self, time: int) -> int:
        """Return the offset of the zone from UTC, in seconds, at a moment."""
        moment = datetime.fromtimestamp(time, self._tz)
        return (moment.utcoffset() or timedelta()) // timedelta(seconds=1)

    def _count(self, first: int, last: int) -> int:
        return (last - first) // self._seconds

    def _too_many(self, first: int, last: int) -> str:
        span = f'{iso(first, self._tz)} to {iso(last, self._tz)}'
        return f'a timeline of {span} would have {self._count(first, last):,} rows'


def _keys(layout: Layout) -> Sequence[Sequence[str]]:
    name = next((name for name in ('start', 'end') if name in layout.position), None)
    if not name:
        raise FlowLogsError(f'this log has no times: its fields are {" ".join(layout.fields)}')
    return [(name, 'action')]
