"""Flows counted by the interval in which they start, and by the values of a group key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from math import gcd
from typing import NamedTuple

from ..errors import Cause, FlowLogsError, UsageError
from ..kernel import Sums
from ..query.conditions import Condition
from ..query.groups import GroupKey
from ..query.query import Window
from ..records.fields import KNOWN, Kind
from ..records.layout import Layout
from ..records.times import UTC, iso
from ..sources.base import BaseReader
from .once import EachFlowOnce
from .sums import transform_of

# Enough for a day of 86,400 seconds.
MAX_ROWS = 100_000
# Since the first flow logs (2015), the offsets of all zones from UTC are multiples of so many seconds.
OFFSET_UNIT = 900
# The number of intervals that a chart can show.
SHOWN = 200
# The lengths of a chart's intervals, in seconds. Longer ones are whole weeks.
LENGTHS = (60, 300, 900, 3600, 6 * 3600, 86400)
WEEK = 7 * 86400


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

    Without `seconds`, intervals are as short as a chart allows.

    With a `window` every interval of it has a row; without one, every interval from the first flow to the last. With a
    `key` an interval has a row for each value that the key has in any interval. A flow counts in the interval of its
    `start`, or of its `end` if the log has no `start`. All intervals have the same length, even if clocks change.
    `undated` counts flows without a time.

    Call :meth:`read`; or fill `table`, and then call :meth:`finish`.

    Raises UsageError if the window would have more rows than MAX_ROWS.
    """

    def __init__(
        self, seconds: int | None, window: Window | None = None, tz: tzinfo = UTC, key: GroupKey | None = None
    ) -> None:
        self._tz = tz
        self._key = key
        self._window_ms = window
        self._window = (window.start_ms // 1000, -(-window.end_ms // 1000)) if window else None
        self._given = seconds or (_fitting(*self._window) if self._window else None)
        self._seconds = seconds = self._given or LENGTHS[0]
        self.undated = 0
        self._complete = False
        if self._window and self._count(*self._window) > MAX_ROWS:
            raise UsageError(self._too_many(*self._window), Cause.TOO_MANY_INTERVALS)
        # Without a window, the offset of the zone is not known before the first flow.
        unit = seconds if self._window else gcd(seconds, OFFSET_UNIT)
        offset = self._offset(self._window[0]) if self._window else 0
        # The unit in which flows are counted, in seconds, and its offset: see Transform in the kernel.
        self.bucket = (unit, offset)
        self._transforms = [('bucket', *self.bucket), *([transform_of(key)] if key else []), None]
        # Of the start of each bucket, the key if there is one, and action.
        self.table = Sums(self._transforms, ('packets', 'bytes'))

    def finish(self) -> None:
        """Say that everything was read: from now on, intervals without flows have rows too."""
        self._complete = True

    def read(self, sources: Sequence[BaseReader], once: Sequence[Condition] | None = None) -> None:
        """Read all records. With `once`, count each flow once: `once` are the conditions that the records meet.

        Raises FlowLogsError if a log has no times, or the flows are too far apart.
        """
        columns = [*([self._key.field] if self._key else []), 'action']

        def keys(layout: Layout) -> list[Sequence[str]]:
            if not (time := dated_by(layout)):
                raise FlowLogsError(f'this log has no times: its fields are {" ".join(layout.fields)}')
            return [(time, *columns)]

        if once is not None:
            EachFlowOnce(self.table, self._transforms, columns[:-1], once).read(sources, keys, columns)
        else:
            self._read(sources, keys, columns)
        self._complete = True

    def _read(
        self, sources: Sequence[BaseReader], keys: Callable[[Layout], list[Sequence[str]]], columns: Iterable[str]
    ) -> None:
        for source in sources:
            for _ in source.sum_into(self.table, keys, columns):
                # The table has one to three rows for each row of the result: one for each value of `action`. If the
                # result has too many rows, rows() raises now, and not after the whole read.
                if len(self.table) > 4 * MAX_ROWS:
                    list(self.rows())

    def rows(self) -> Iterator[tuple[int | str, ...]]:
        """Yield an Interval for each interval, in order of time.

        With a key, an interval has a row for each value, and the value comes after the start.
        If the read failed before the first flow, there are no rows. Raises FlowLogsError if there are too many.
        """
        found = self._found()
        if not found and not (self._window and self._complete):
            return
        times = [time for time, _ in found]
        first, last = self._window or (min(times), max(times) + 1)
        self._seconds = self._given or _fitting(first, last)
        offset = self._offset(first)
        sums: dict[tuple[int, str], list[int]] = {}
        for (time, value), numbers in found.items():
            row = (time - (time + offset) % self._seconds, value)
            sums[row] = [sum(pair) for pair in zip(sums.get(row, [0] * 5), numbers)]
        values = sorted({value for _, value in sums} or {'-'}, key=self._order)
        if self._count(first, last) * len(values) > MAX_ROWS:
            raise FlowLogsError(self._too_many(first, last, len(values)), Cause.TOO_MANY_INTERVALS)
        starts = {*(start for start, _ in sums), *range(first - (first + offset) % self._seconds, last, self._seconds)}
        for start in sorted(starts):
            for value in values:
                interval = Interval(start, *sums.get((start, value), (0,) * 5))
                yield (start, value, *interval[1:]) if self._key else interval

    def incomplete(self, start: int, delivered_ms: int | None) -> tuple[str, ...]:
        """Return why the interval from `start` may lack flows: it is 'cut' by the window, or 'recent'.

        An interval is recent if it ends after `delivered_ms`.
        """
        start_ms, end_ms = start * 1000, (start + self._seconds) * 1000
        window = self._window_ms
        cut = window is not None and (start_ms < window.start_ms or window.end_ms < end_ms)
        recent = delivered_ms is not None and delivered_ms < end_ms
        return ('cut',) * cut + ('recent',) * recent

    def _found(self) -> dict[tuple[int, str], list[int]]:
        """Return flows, bytes, packets, accepted and rejected flows by the start of the table's intervals and value."""
        found: dict[tuple[int, str], list[int]] = {}
        self.undated = 0
        for line in self.table.lines().decode().splitlines():
            time, *value, action, packets, octets, _, _, flows = line.split(' ')
            if time == '-':
                self.undated += int(flows)
                continue
            verdicts = [int(flows) * (action == word) for word in ('ACCEPT', 'REJECT')]
            numbers = [int(flows), int(octets), int(packets), *verdicts]
            row = int(time), ''.join(value)
            found[row] = [sum(pair) for pair in zip(found.get(row, [0] * 5), numbers)]
        return found

    def _order(self, value: str) -> tuple[int, str]:
        """Return a value to sort by. Numbers are sorted by value: they have no leading zeros. Texts are texts."""
        field = KNOWN.get(self._key.field) if self._key else None
        return (len(value) if field and field.kind is not Kind.TEXT else 0, value)

    def _offset(self, time: int) -> int:
        """Return the offset of the zone from UTC, in seconds, at a moment."""
        moment = datetime.fromtimestamp(time, self._tz)
        return (moment.utcoffset() or timedelta()) // timedelta(seconds=1)

    def _count(self, first: int, last: int) -> int:
        return (last - first) // self._seconds

    def _too_many(self, first: int, last: int, values: int = 1) -> str:
        span = f'{iso(first, self._tz)} to {iso(last, self._tz)}'
        by = f' by {values:,} values of {self._key.name}' if self._key and values > 1 else ''
        return f'a timeline of {span}{by} would have {self._count(first, last) * values:,} rows'


def _fitting(first: int, last: int) -> int:
    """Return the shortest length of which a chart can show all intervals from `first` to `last`."""
    weeks = -(-(last - first) // (SHOWN * WEEK))
    return next((length for length in LENGTHS if last - first <= SHOWN * length), weeks * WEEK)


def undated(flows: int) -> str:
    return f'{flows} flows are not in any interval: the log has no time for them'


def dated_by(layout: Layout) -> str | None:
    """Return the field that says when a flow is: `start`, or `end` without that; None if the log has neither."""
    return next((name for name in ('start', 'end') if name in layout.position), None)
