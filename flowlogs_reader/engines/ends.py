"""Sums by host or port: each flow counts at both its ends."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..kernel import Sums
from ..query.groups import GroupKey
from .sums import SUMS, folded, key_of, rows_of, sums_of

# The columns that a row has after the sums.
IN_AND_OUT = ('bytes_in', 'bytes_out')


def keys_of_ends(keys: Sequence[GroupKey]) -> tuple[GroupKey, ...]:
    """Return the keys, with the two fields for each one that stands for both ends of a flow."""
    return tuple(dict.fromkeys(key._replace(field=field) for key in keys for field in key.fields))


class BothEnds:
    """The rows by `keys` of a table by the keys of both ends: each flow counts at its source and at its destination.

    Bytes go out at the source, and come in at the destination.
    """

    def __init__(self, table: Sums, keys: Sequence[GroupKey]) -> None:
        wide = keys_of_ends(keys)
        sources, destinations = (
            folded(table, len(wide), [wide.index(key._replace(field=key.fields[end])) for key in keys])
            for end in (0, -1)
        )
        self.sums = Sums([None] * len(keys), table.track)
        self.sums.merge(sources)
        self.sums.merge(destinations)
        self._directions = (destinations, sources)
        self._keys = len(keys)

    def top(self, count: int, measure: str) -> bytes:
        """Return the `count` rows with the most bytes, packets or flows: keys, sums, bytes in and bytes out."""
        rows = {key_of(row): row for row in self.sums.top(count, measure).splitlines()}
        octets = [_bytes_of(table, rows.keys()) for table in self._directions]
        more = {key: b' '.join([b'%d' % found.get(key, 0) for found in octets]) for key in rows}
        return b''.join([b'%b %b\n' % (row, more[key]) for key, row in rows.items()])

    @property
    def whole(self) -> list[int]:
        """The bytes in and the bytes out of all rows."""
        return [sums_of(table, self._keys)[1] for table in self._directions]


def _bytes_of(table: Sums, wanted: Container[bytes]) -> dict[bytes, int]:
    """Return the bytes of the keys that are `wanted`."""
    rows = (row.rsplit(b' ', len(SUMS)) for row in rows_of(table))
    return {key: int(octets) for key, _, octets, *_ in rows if key in wanted}
