"""Numbers of distinct values for each key, out of a table of the keys and the values."""

from __future__ import annotations

from collections import Counter
from heapq import nsmallest

from ..kernel import Sums, columns
from .sums import chunks_of, folded, key_of, kinds_of, rows_of


class DistinctValues:
    """The rows of a table whose first `keys` columns are keys, and the `fields` next ones fields of distinct values.

    A missing value does not count, as with COUNT(DISTINCT ...) in SQL.
    """

    def __init__(self, table: Sums, keys: int, fields: int) -> None:
        self._keys = keys
        self.sums = folded(table, keys + fields, range(keys))
        self._counts = [self._counted(table, fields, field) for field in range(fields)]

    def top(self, count: int, measure: str | int) -> bytes:
        """Return the `count` rows with the most bytes, packets or flows, or values of a field, which is given by index.

        Equal rows are in the order of the text of their keys. A row has the keys, the sums, and a number for each
        field.
        """
        if isinstance(measure, str):
            rows = self.sums.top(count, measure).splitlines()
        else:
            counts = self._counts[measure]
            rows = nsmallest(count, rows_of(self.sums), lambda row: (-counts[key_of(row)], key_of(row)))
        return b''.join([b'%b %b\n' % (row, self._numbers(row)) for row in rows])

    def _counted(self, table: Sums, fields: int, field: int) -> Counter[bytes]:
        """Return the number of values of a field for each key."""
        places = [*range(self._keys), self._keys + field]
        pairs = table if fields == 1 else folded(table, self._keys + fields, places)
        kinds, key = kinds_of(self._keys + 1), tuple(range(self._keys))
        is_known = ((self._keys,), True, True, 'text', ())
        found: Counter[bytes] = Counter()
        for chunk in chunks_of(pairs):
            found.update(columns(kinds, (is_known,), None, (key,), chunk)[0][0])
        return found

    def _numbers(self, row: bytes) -> bytes:
        return b' '.join([b'%d' % counts[key_of(row)] for counts in self._counts])
