"""Shares of the whole: the per cent that each row of a table has, and a row for all other rows."""

from __future__ import annotations

from collections.abc import Sequence

from ..kernel import Sums
from .sums import SUMS, sums_of

# The key of the row for all other rows.
OTHER = b'other'


def with_shares(rows: bytes, table: Sums, keys: int, measure: str, more: Sequence[int | None]) -> bytes:
    """Return rows of a table of so many keys with their share of the bytes, packets or flows at the end.

    `more` has for each value after the sums the sum over all rows; None if it is not a sum. If the table has other rows
    too, one more has what is left for them. Its key is OTHER, and what is not a sum is missing.
    """
    lines = [line.split(b' ') for line in rows.splitlines()]
    packets, octets, flows = sums_of(table, keys)
    whole = [*[None] * keys, packets, octets, None, None, flows, *more]
    if len(lines) < len(table):
        left = [
            b'-' if total is None else b'%d' % (total - sum(int(line[at]) for line in lines))
            for at, total in enumerate(whole)
        ]
        lines.append([OTHER, *left[1:]])
    place = keys + SUMS.index(measure)
    return b''.join([b'%b %b\n' % (b' '.join(line), _share(int(line[place]), whole[place] or 0)) for line in lines])


def _share(part: int, whole: int) -> bytes:
    return b'%.1f' % (100 * part / whole if whole else 0)
