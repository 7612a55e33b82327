"""Sums of two windows of the same length, and what changed from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest

from ..errors import FlowLogsError
from ..kernel import Sums, keep
from ..query.query import Query
from ..records.layout import Layout
from ..sources.base import BaseReader
from .ends import BothEnds, keys_of_ends
from .once import read_sums
from .sums import SUMS, add_groups, chunks_of, fields_of, kinds_of, picked, rows_of, transform_of

# The columns of a comparison before the keys.
COMPARED = ('now', 'before', 'change')


class Comparison:
    """Sums of the query's window, and of the one that is `query.compare` seconds earlier.

    The sources have the records of both windows, and no others. A flow belongs to the window of its `start`.
    """

    def __init__(self, query: Query) -> None:
        assert query.window and query.compare
        self._query = query
        self._keys = keys_of_ends(query.keys)
        # The buckets are `compare` seconds long, and one begins with the window. No window is longer than a bucket, so
        # the window is in this bucket, and the earlier one in the bucket before it.
        self._begin = -(-query.window.start_ms // 1000)
        bucket = ('bucket', query.compare, -self._begin % query.compare)
        self._transforms = [bucket, *map(transform_of, self._keys)]
        self._table = Sums(self._transforms, ('packets', 'bytes'))

    def read(self, sources: Sequence[BaseReader]) -> None:
        """Read all records. Raises FlowLogsError if a log has no field start."""
        columns = ['start', *fields_of(self._keys)]

        def keys(layout: Layout) -> list[Sequence[str]]:
            if 'start' not in layout.position:
                raise FlowLogsError(f'this log has no field start: its fields are {" ".join(layout.fields)}')
            return [columns]

        read_sums(self._query, self._table, self._transforms, keys, columns, sources)

    def rows(self, count: int) -> Iterator[bytes]:
        """Yield the `count` lines with the largest change: keys, now, before, change.

        Equal changes are in the order of the text of their keys.
        """
        now, before = (self._sums_from(begin) for begin in (self._begin, self._begin - (self._query.compare or 0)))

        def change(key: bytes) -> int:
            return now.get(key, 0) - before.get(key, 0)

        for key in nsmallest(count, now.keys() | before.keys(), lambda key: (-abs(change(key)), key)):
            yield b'%b %d %d %d\n' % (key, now.get(key, 0), before.get(key, 0), change(key))

    def _sums_from(self, begin: int) -> dict[bytes, int]:
        """Return the measure of each key in the window that begins at a time."""
        width = 1 + len(self._keys)
        in_window = ((0,), False, False, 'text', (b'%d' % begin,))
        table = Sums([None] * len(self._keys), self._table.track)
        for chunk in chunks_of(self._table):
            lines, *_ = keep(kinds_of(width), (in_window,), None, chunk)
            add_groups(table, picked(lines, range(1, width + len(SUMS))))
        if self._query.both_ends:
            table = BothEnds(table, self._query.keys).sums
        place = SUMS.index(self._query.measure) - len(SUMS)
        values = (row.rsplit(b' ', len(SUMS)) for row in rows_of(table))
        return {key: int(sums[place]) for key, *sums in values}
