"""What the user asks, as one frozen value: it pickles, does nothing, and any engine can answer it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from ..records.times import UTC
from .conditions import Condition
from .groups import GroupKey

FIVE_TUPLE = ('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol')


class Window(NamedTuple):
    """The records that start in [start_ms, end_ms), in milliseconds since the epoch."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Query:
    """A question about flow logs.

    `action` is the name of an action: print, findip, ipset, top, aggregate or timeline. `conditions` must all hold.
    `window` is None if everything that the source has is asked for. `fields` are the names of the log's fields if the
    user gave them.

    print, findip: `limit` records, the fields `columns` of them (None: those of the log), or `raw` lines. Those of the
    columns that are `optional` may well be missing from the log.
    top: `limit` rows of sums by `keys`, those with the largest `measure` (bytes, packets or flows).
    aggregate: sums by `keys`; `both_ways` sums both directions of a conversation in one row; `flows` counts them.
    timeline: sums by intervals of `interval` seconds, of which the first of a day begins at midnight in `tz`.
    """

    action: str = 'print'
    conditions: tuple[Condition, ...] = ()
    window: Window | None = None
    fields: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    raw: bool = False
    limit: int | None = None
    keys: tuple[GroupKey, ...] = ()
    measure: str = 'bytes'
    both_ways: bool = False
    flows: bool = False
    interval: int = 60
    tz: tzinfo = UTC

    @property
    def sums(self) -> bool:
        """Whether the answer holds sums, which are too low if AWS skipped records."""
        return self.action in ('top', 'aggregate', 'timeline')

    @property
    def asked_fields(self) -> tuple[tuple[str, ...], ...]:
        """The fields that conditions, and then keys, name; each with those that would do in its place.

        The five-tuple is what flowlogs-reader 5.0.1 sums by: not all logs have it, and nobody asked for its fields.
        """
        conditions = tuple(condition.fields for condition in self.conditions)
        by_default = self.action == 'aggregate' and self.keys == tuple(map(GroupKey, FIVE_TUPLE))
        return (*conditions, *(() if by_default else ((key.field,) for key in self.keys)))
