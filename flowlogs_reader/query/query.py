"""The query: what the user asks, as one frozen, picklable value that any engine can answer."""

from __future__ import annotations

from datetime import tzinfo
from typing import NamedTuple

from ..errors import FlowLogsError
from ..records.times import UTC
from .conditions import Condition, Range
from .groups import GroupKey
from .mappings import Mapping

# The fields that tell whether the sender or the receiver of a flow recorded it.
RECORDER = ('interface_id', 'srcaddr', 'dstaddr')
FIVE_TUPLE = ('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol')


class Window(NamedTuple):
    """The records that start in [start_ms, end_ms), in milliseconds since the epoch."""

    start_ms: int
    end_ms: int


class Query(NamedTuple):
    """A question about flow logs.

    `action` is print, findip, ipset, top, aggregate, timeline or report. Records must meet all `conditions`, and start
    in the `window` (None: at any time). `fields` are the names of the log's fields, if the user gave them.

    print, findip: up to `limit` records with the fields `columns` (None: those of the log), or as `raw` lines. Fields
    that are `optional` may be missing from the log.
    top: sums by `keys`, and the number of distinct values of each key in `distinct`; the `limit` rows with the largest
    `measure` (bytes, packets, flows, or the name of a key in `distinct`). With `share`, each row has its share of the
    total, and one more row is of all others. A key for both ends counts each flow at both. With `compare`, the rows are
    those whose measure changed most since the same window so many seconds earlier.
    aggregate: sums by `keys`; `both_ways` sums both directions of a conversation in one row; `flows` counts flows too.
    If it is `ranked`, the rows are the `limit` ones (None: all) with the largest `measure`.
    timeline: sums for intervals of `interval` seconds, and for each value of the key, if `keys` has one. The first
    interval of a day begins at midnight in `tz`. `measure` is the sum that the user looks at. AWS may deliver more
    records of intervals that end after `delivered_ms`.
    report: several tables of sums, each with the `limit` largest rows.
    With `once`, top, aggregate and timeline count each flow once, at its sender, even if both ends recorded it.
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
    distinct: tuple[GroupKey, ...] = ()
    measure: str = 'bytes'
    once: bool = False
    compare: int | None = None
    share: bool = False
    ranked: bool = False
    both_ways: bool = False
    flows: bool = False
    interval: int = 60
    delivered_ms: int | None = None
    tz: tzinfo = UTC

    @property
    def sums(self) -> bool:
        """Whether the result has sums, which are too low if AWS skipped records."""
        return self.action not in ('print', 'findip', 'ipset')

    @property
    def both_ends(self) -> bool:
        """Whether each flow counts at both its ends."""
        return any(len(key.fields) > 1 for key in self.keys)

    @property
    def condition_fields(self) -> tuple[tuple[str, ...], ...]:
        """The fields that the conditions need: a tuple of alternatives for each."""
        return tuple(names for condition in self.conditions for names in condition.needed)

    @property
    def asked_fields(self) -> tuple[tuple[str, ...], ...]:
        """The fields that the conditions and then the keys need: a tuple of alternatives for each.

        The default keys of aggregate are left out: the user did not ask for them, and some logs lack some of them.
        """
        by_default = self.action == 'aggregate' and self.keys == tuple(map(GroupKey, FIVE_TUPLE))
        keys = () if by_default else tuple((field,) for key in (*self.keys, *self.distinct) for field in key.fields)
        return (*self.condition_fields, *keys)

    @property
    def required_fields(self) -> tuple[str, ...]:
        """The fields without which a log cannot answer the query at all: if it lacks one, the read fails."""
        return (*(RECORDER if self.once else ()), *(('start',) if self.compare else ()))

    @property
    def earlier_window(self) -> Window | None:
        """The window that the query compares its own with."""
        if not self.window or not self.compare:
            return None
        return Window(*(time - self.compare * 1000 for time in self.window))

    @property
    def over_both_windows(self) -> Query:
        """The query for one read of both windows. A condition leaves out the records between them."""
        window, earlier = self.window, self.earlier_window
        if not window or not earlier:
            return self
        # In whole seconds, as the times of records.
        first, last = -(-earlier.end_ms // 1000), -(-window.start_ms // 1000) - 1
        gap = (Condition('start', '!=', (Range(first, last),)),) if first <= last else ()
        return self._replace(window=Window(earlier.start_ms, window.end_ms), conditions=(*self.conditions, *gap))

    @property
    def unknown_mappings(self) -> frozenset[str]:
        """The names of mappings without networks: AWS has to be asked for these."""
        used = [key.mapping for key in (*self.keys, *self.distinct)] + [each.mapping for each in self.conditions]
        return frozenset(mapping.name for mapping in used if mapping and not mapping.networks)

    def with_mappings(self, found: dict[str, Mapping]) -> Query:
        """Return the query with these mappings, by name, in place of those of the same names.

        Raises FlowLogsError if a condition has a label that its mapping does not have.
        """

        def known(mapping: Mapping | None) -> Mapping | None:
            return found.get(mapping.name, mapping) if mapping else None

        conditions = tuple(each._replace(mapping=known(each.mapping)) for each in self.conditions)
        for each in conditions:
            if each.mapping and each.mapping.name in found:
                labels = each.mapping.labels
                if any(isinstance(value, str) and value not in labels for value in each.values):
                    there = ', '.join(sorted(labels)) or 'none'
                    raise FlowLogsError(f'{each.text}: there is no such {each.mapping.name}: there is {there}')
        keys, distinct = (
            tuple(key._replace(mapping=known(key.mapping)) for key in old) for old in (self.keys, self.distinct)
        )
        return self._replace(conditions=conditions, keys=keys, distinct=distinct)
