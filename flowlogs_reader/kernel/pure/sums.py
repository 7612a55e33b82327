"""Sums of packets, bytes and flows for each key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from heapq import nsmallest
from itertools import chain, compress, repeat
from threading import Lock
from typing import Any, NamedTuple

from ..memo import Memo
from .keys import Transform, key_function
from .lines import ANY_VALUE, MOMENT, POSSESSIVE, Column, check_places, line_count, lines_of, require_bytes
from .selection import select
from .tests import Test, Tests, Window, selector

TRACKED = ('packets', 'bytes', 'start', 'end')
# In place of a missing start and a missing end: later and earlier than the time of any record.
NO_START, NO_END = 2**63, -1
# A sum is one integer of three numbers with LANE bits each: flows, packets, bytes. One addition adds all three.
LANE = 128
ONE_FLOW = 1 << 2 * LANE
MASK = (1 << LANE) - 1
SHIFTS = {'bytes': 0, 'packets': LANE, 'flows': 2 * LANE}
# Bytes of lines that are summed at a time: the data that is made of them stays in the processor's cache.
_SUMMED_PIECE = 1 << 16


@lru_cache(maxsize=64)
def _group_lines(kinds: bytes) -> re.Pattern[bytes]:
    """A regular expression that matches one line of :meth:`Sums.lines`, with at least one flow."""
    values = lines_of(kinds).values(ANY_VALUE)
    number = rb'(?:[1-9][0-9]{0,18}' + POSSESSIVE + b'|0)'
    values[-5], values[-4], values[-1] = number, number, rb'[1-9][0-9]{0,18}' + POSSESSIVE
    values[-3] = values[-2] = MOMENT
    return re.compile(b'(?m)^' + b' '.join(values) + b'\\n')


class _Needed(NamedTuple):
    """The columns that a table needs of the lines, as `groups` of places.

    First come the counts, the start and the end: each of them only if `has_counts`, `has_start` or `has_end` is true.
    Then come the keys. The counts are packets and bytes, as one column; `counted` says which of the two the format has.
    If it has neither, the column has log_status.
    """

    groups: tuple[tuple[int, ...], ...]
    has_counts: bool
    has_start: bool
    has_end: bool
    counted: tuple[bool, bool]


class Sums:
    """Sums of packets, bytes and flows for each key, in the order in which the keys first appear.

    >>> table = Sums((None,), ('packets', 'bytes'))
    >>> table.add(b'TII', (), None, ((0,),), (1, 2, -1, -1, -1), b'10.0.0.1 1 40\\n10.0.0.1 2 60\\n')
    (2, 0)
    >>> table.lines()
    b'10.0.0.1 3 100 - - 2\\n'

    `keys` says how each key is made (:data:`.keys.Transform`). `track` says which of packets, bytes, start and end are
    summed; flows always are. What is not tracked is not read. With `flows_only`, records that have neither packets nor
    bytes are left out: NODATA and SKIPDATA. `track` and `flows_only` are attributes too.

    A method raises RuntimeError if another thread is using the table.
    """

    def __init__(self, keys: Sequence[Transform], track: Iterable[str] = TRACKED, flows_only: bool = True) -> None:
        keys, track = tuple(keys), frozenset(track)
        if track - {*TRACKED}:
            raise ValueError(f'{min(track - {*TRACKED})!r} cannot be tracked')
        self._signature = repr((keys, sorted(track), bool(flows_only)))
        self._keys = [key_function(key) for key in keys]
        # The kinds of fields that each key can be made from: a bucket needs a number.
        self._kinds = [b'IM' if key and key[0] == 'bucket' else b'TIM' for key in keys]
        self.track = track
        self._timed = not track.isdisjoint(('start', 'end'))
        self.flows_only = flows_only
        # For each key a sum (see LANE); if times are tracked, a list: the sum, the first start and the last end.
        self._totals: Counter[bytes] = Counter()
        self._timed_totals: dict[bytes, list[int]] = {}
        # The keys in their order, for calls of lines() until the table changes.
        self._listed: list[bytes] | None = None
        self._sums: dict[tuple[bool, bool], Memo[int]] = {}
        self._starts = Memo(lambda text: NO_START if text == b'-' else int(text))
        self._ends = Memo(lambda text: NO_END if text == b'-' else int(text))
        self._lock = Lock()

    def add(
        self,
        kinds: bytes,
        tests: tuple[Test, ...] | Tests,
        window: Window | None,
        alternatives: tuple[tuple[int, ...], ...],
        sums: tuple[int, int, int, int, int],
        data: bytes,
        /,
    ) -> tuple[int, int]:
        """Add the records that pass. Return the number of these, and the number of skipped lines.

        `alternatives` has one or more tuples, each with the places of all keys: a record is added once for each tuple.
        `sums` has the places of packets, bytes, start, end and log_status.
        """
        with self._exclusive():
            lines_of(kinds)
            selector(kinds, tests, window)
            needed = self._needed(kinds, alternatives, sums)
            self._listed = None
            kept = skipped = 0
            for piece in _pieces(require_bytes(data)):
                lines, found, flags, left_out = select(kinds, tests, window, needed.groups, piece)
                if flags is not None:
                    found = [[*compress(column, flags)] for column in found]
                count = lines.count(b'\n') if flags is None else sum(flags)
                self._add_columns(alternatives, needed, found, count)
                kept += count
                skipped += left_out
            return kept, skipped

    def _add_columns(
        self, alternatives: tuple[tuple[int, ...], ...], needed: _Needed, found: Sequence[Column], count: int
    ) -> None:
        waiting = iter(found)
        values = self._values(needed.counted, next(waiting)) if needed.has_counts else None
        # A time that is not tracked is the same for all records.
        starts: Iterable[int] = (
            [*map(self._starts.__getitem__, next(waiting))] if needed.has_start else repeat(NO_START)
        )
        ends: Iterable[int] = [*map(self._ends.__getitem__, next(waiting))] if needed.has_end else repeat(NO_END)
        made = [self._made_keys(alternative, waiting, count) for alternative in alternatives]
        keys = made[0] if made else ()
        if len(made) > 1:
            # Keys are in the order of the records: all keys of the first record, then those of the second.
            keys = [*chain.from_iterable(zip(*made))]
            values = values and [value for value in values for _ in made]
            starts, ends = (
                [each for each in column for _ in made] if isinstance(column, list) else column
                for column in (starts, ends)
            )
        if self._timed:
            self._add_timed(keys, repeat(ONE_FLOW) if values is None else values, starts, ends)
        elif values is None:
            self._count(keys)
        else:
            self._add(keys, values)

    def add_groups(self, data: bytes, /) -> None:
        """Add sums that were made elsewhere: a line for each group, as :meth:`lines` writes them.

        >>> table = Sums((('prefix', 8, 8),))
        >>> table.add_groups(b'10.0.0.1 3 100 20 30 2\\n10.0.0.2 1 40 10 15 1\\n')
        >>> table.lines()
        b'10.0.0.0/8 4 140 10 30 3\\n'

        A line has a value for each key, then packets, bytes, start, end and flows, with one space between two. Keys are
        made from the values as in :meth:`add`: those that :meth:`lines` wrote do not change, except with a 'map' or a
        'label'. The value for a 'bucket' is a number or ``-``. Packets, bytes and flows are numbers; flows is at least
        1. Start and end are moments or ``-``. Numbers have at most 19 digits and no leading zero. What is not tracked
        is checked, but not added. Several lines may have the same key. New keys come last, in the order of the lines.

        Raises ValueError if a line has another form, or no newline. No line is added in that case.
        """
        kinds = b''.join([b'T' if b'T' in allowed else b'I' for allowed in self._kinds]) + b'IIMMI'
        with self._exclusive():
            if _group_lines(kinds).subn(b'', require_bytes(data))[1] != line_count(data):
                raise ValueError('these are not the lines of a table')
            self._listed = None
            for piece in _pieces(data):
                values = piece.split()
                self._add_groups(*(values[at :: len(kinds)] for at in range(len(kinds))))

    def _add_groups(self, *columns: Column) -> None:
        *values, packets, octets, starts, ends, flows = columns
        keys = self._joined(values, len(flows))
        counts = zip(map(int, flows), self._counts('packets', packets), self._counts('bytes', octets))
        sums = [((flow << LANE) + packet << LANE) + octet for flow, packet, octet in counts]
        if self._timed:
            firsts = map(self._starts.__getitem__, starts) if 'start' in self.track else repeat(NO_START)
            lasts = map(self._ends.__getitem__, ends) if 'end' in self.track else repeat(NO_END)
            self._add_timed(keys, sums, firsts, lasts)
        else:
            self._add(keys, sums)

    def _counts(self, name: str, column: Column) -> Iterable[int]:
        return map(int, column) if name in self.track else repeat(0)

    def _needed(
        self, kinds: bytes, alternatives: tuple[tuple[int, ...], ...], sums: tuple[int, int, int, int, int]
    ) -> _Needed:
        packets, octets, start, end, status = sums
        check_places(kinds, (packets, octets), b'IM')
        check_places(kinds, (start, end), b'M')
        check_places(kinds, (status,))
        for alternative in alternatives:
            if len(alternative) != len(self._keys):
                raise ValueError(f'{len(self._keys)} keys cannot be made of {len(alternative)} places')
            for place, allowed in zip(alternative, self._kinds):
                check_places(kinds, (place,), allowed)
        counted = packets >= 0, octets >= 0
        own: list[tuple[int, ...]] = []
        if any(counted):
            if self.flows_only or not self.track.isdisjoint(('packets', 'bytes')):
                own.append(tuple(place for place in (packets, octets) if place >= 0))
        elif self.flows_only and status >= 0:
            own.append((status,))
        has_start, has_end = start >= 0 and 'start' in self.track, end >= 0 and 'end' in self.track
        has_counts = bool(own)
        own += [(place,) for place, has in ((start, has_start), (end, has_end)) if has]
        for alternative in alternatives:
            own += [(place,) for place in alternative] if any(self._keys) else [alternative]
        return _Needed(tuple(own), has_counts, has_start, has_end, counted)

    def _values(self, counted: tuple[bool, bool], rows: Column) -> list[int]:
        """The sum (see LANE) that each record adds: 0 if it is not a flow."""
        if counted not in self._sums:
            self._sums[counted] = Memo(partial(self._value, counted))
        return [*map(self._sums[counted].__getitem__, rows)]

    def _value(self, counted: tuple[bool, bool], row: bytes) -> int:
        if not any(counted):
            return 0 if row in (b'NODATA', b'SKIPDATA') else ONE_FLOW
        values = row.split(b' ')
        if self.flows_only and values.count(b'-') == len(values):
            return 0
        numbers = iter([0 if value == b'-' else int(value) for value in values])
        packets, octets = (next(numbers) if has else 0 for has in counted)
        packets *= 'packets' in self.track
        octets *= 'bytes' in self.track
        return ONE_FLOW + (packets << LANE) + octets

    def _made_keys(self, alternative: tuple[int, ...], waiting: Iterator[Column], count: int) -> Column:
        if not alternative:
            next(waiting, None)
            return [b''] * count
        if not any(self._keys):
            return next(waiting)
        return self._joined(waiting, count)

    def _joined(self, columns: Iterable[Column], count: int) -> Column:
        """The key of each line, made from the values in the columns."""
        made = [map(key, column) if key else column for key, column in zip(self._keys, columns)]
        return [*map(b' '.join, zip(*made))] if len(made) > 1 else [*made[0]] if made else [b''] * count

    def _count(self, keys: Column) -> None:
        """Add one flow for each key. A Counter, which is written in C, counts them."""
        totals = self._totals
        for key, count in Counter(keys).items():
            totals[key] += count * ONE_FLOW

    def _add(self, keys: Column, values: Iterable[int]) -> None:
        totals, get = self._totals, self._totals.get
        for key, value in zip(keys, values):
            if value:
                totals[key] = get(key, 0) + value

    def _add_timed(self, keys: Column, values: Iterable[int], starts: Iterable[int], ends: Iterable[int]) -> None:
        totals, get = self._timed_totals, self._timed_totals.get
        for key, value, start, end in zip(keys, values, starts, ends):
            if not value:
                continue
            total = get(key)
            if total is None:
                totals[key] = [value, start, end]
                continue
            total[0] += value
            if start < total[1]:
                total[1] = start
            if end > total[2]:
                total[2] = end

    def merge(self, other: Sums, /) -> None:
        """Add the sums of another table with the same keys. New keys come last, in the order of that table."""
        if not isinstance(other, Sums):
            raise TypeError('only tables of the same kernel can be merged')
        if other._signature != self._signature:
            raise ValueError('only tables of the same keys and sums can be merged')
        with self._exclusive():
            if other is self:
                self._merge(other)
                return
            with other._exclusive():
                self._merge(other)

    def _merge(self, other: Sums) -> None:
        self._listed = None
        for key, total in other._timed_totals.items():
            self._add_timed([key], total[:1], total[1:2], total[2:])
        for key, value in other._totals.items():
            self._totals[key] += value

    def __len__(self) -> int:
        with self._exclusive():
            return len(self._rows())

    def lines(self, begin: int = 0, count: int | None = None) -> bytes:
        """Rows as canonical lines: keys, packets, bytes, start, end, flows. `count` rows from `begin` on, None: all."""
        if begin < 0 or (count is not None and count < 0):
            raise ValueError('rows are counted from 0')
        with self._exclusive():
            rows = self._rows()
            if self._listed is None:
                self._listed = [*rows]
            keys = self._listed[begin : None if count is None else begin + count]
            return b''.join([self._line(key, rows[key]) for key in keys])

    def top(self, count: int, by: str) -> bytes:
        """The `count` rows with the most 'bytes', 'packets' or 'flows', as lines. Equal rows are sorted by key."""
        if by not in SHIFTS or by not in {*self.track, 'flows'}:
            raise ValueError(f'rows cannot be ordered by {by!r}')
        if count < 0:
            raise ValueError('rows are counted from 0')
        shift = SHIFTS[by]

        def order(row: tuple[bytes, Any]) -> tuple[int, bytes]:
            key, total = row
            value: int = total[0] if self._timed else total
            return -(value >> shift & MASK), key

        with self._exclusive():
            return b''.join([self._line(*row) for row in nsmallest(count, self._rows().items(), order)])

    def _rows(self) -> dict[bytes, Any]:
        return self._timed_totals if self._timed else self._totals

    def _line(self, key: bytes, total: Any) -> bytes:
        value, start, end = total if self._timed else (total, NO_START, NO_END)
        return b'%b%b%d %d %b %b %d\n' % (
            key,
            b' ' if self._keys else b'',
            value >> LANE & MASK,
            value & MASK,
            b'-' if start == NO_START else b'%d' % start,
            b'-' if end == NO_END else b'%d' % end,
            value >> 2 * LANE,
        )

    def _exclusive(self) -> _Exclusive:
        return _Exclusive(self._lock)


def _pieces(data: bytes) -> Iterator[bytes]:
    """The data in pieces of whole lines, of about _SUMMED_PIECE bytes."""
    begin = 0
    while begin < len(data):
        end = data.rfind(b'\n', begin, begin + _SUMMED_PIECE) + 1 or data.find(b'\n', begin) + 1 or len(data)
        yield data[begin:end]
        begin = end


class _Exclusive:
    """Holds a lock, but does not wait for it: two threads that use one table at the same time are a mistake."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError('another thread is using this table')

    def __exit__(self, *_: object) -> None:
        self._lock.release()
