"""The plan of an engine that runs on AWS: what to group, sum and compare, for each layout, without any query language.

A plan is made of a Query and the layouts of a log. Writers of query text (engines/insights/text.py,
engines/athena/sql.py) turn it into text. It depends on neither of them, and is frozen.

The engine on AWS handles *plain* lines only: lines that match the patterns of a part, field by field, with one space
between two. Every plain line is canonical, so that AWS can test and sum it as the kernel does. All other lines come
back whole, with a count, and go through the Layout, the conditions and the window here: malformed lines, lines that the
kernel repairs, header rows, and SKIPDATA records if the query has sums. So a writer makes

    WHERE  not plain  OR  (plain AND every test AND in the window AND is a flow)
    GROUP BY keys of the plain lines, or the whole line

A line may be plain in several layouts. It belongs to the first one in which it is: a part has these layouts in
`earlier`. A pattern is a regular expression of ASCII characters that Java, RE2 and Joni read alike; it has neither
groups nor a slash.

AWS tests values, and compares numbers with each other. Other conditions between two fields, such as
``pkt_dstaddr!=dstaddr``, are tested here: a plan groups by their fields too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ... import kernel
from ...errors import FlowLogsError, UsageError
from ...query.conditions import ADDRESSES, Condition
from ...query.query import Query, Window
from ...records.layout import Layout
from ...sources.filter import SUMMED, kernel_test
from ..timeline import Timeline, dated_by

# Members of a Query that a plan can express, or that are applied to the result here. A query that needs any other
# member is refused: new ones are refused until somebody adds them.
UNDERSTOOD = frozenset([
    'action', 'conditions', 'window', 'fields', 'columns', 'optional', 'raw', 'limit', 'keys', 'distinct', 'measure',
    'once', 'share', 'ranked', 'compare', 'both_ways', 'flows', 'interval', 'delivered_ms', 'tz',
])  # fmt: skip
ACTIONS = ('print', 'findip', 'ipset', 'top', 'aggregate', 'timeline', 'report')
_STATUS = 'log_status'
_COUNTS = ('packets', 'bytes')


class Key(NamedTuple):
    """A field to group by. With a `bucket` of so many seconds and an offset, the time t counts as
    ``t - (t + offset) % seconds``; the field is then a number in every plain line, and 0 <= offset < seconds."""

    field: str
    bucket: tuple[int, int] | None = None


@dataclass(frozen=True)
class Part:
    """The plan for the plain lines of one layout.

    `patterns` has a pattern for each field of the layout. `tests` must all be passed; they are as the kernel has them
    (see Test in kernel/pure/tests.py), and their places are places of the layout: never -1. If `possible` is false, no
    line passes.

    The ranges of addresses are in order, and no two touch. A test of the kind 'same' compares numbers.

    `keys` are the fields to group by, without repetitions. Fields that the layout lacks are among them: they are ``-``.
    `alternatives` are indexes of `keys`: each group counts once for each alternative. The other keys are those of the
    plan's conditions `here`.

    `time` is the field that must be in the window: 'start' or 'end', a number in every plain line; or None if the
    window cannot be compared with a line of this layout. `flow` are the fields of which one must not be ``-``, or
    log_status, which must not be NODATA or SKIPDATA; if it is empty every record counts.
    """

    layout: Layout
    patterns: tuple[str, ...]
    earlier: tuple[Layout, ...] = ()
    tests: tuple[kernel.Test, ...] = ()
    possible: bool = True
    keys: tuple[Key, ...] = ()
    alternatives: tuple[tuple[int, ...], ...] = ()
    time: str | None = None
    flow: tuple[str, ...] = ()

    def has(self, field: str) -> bool:
        return field in self.layout.position

    @property
    def tested(self) -> set[int]:
        """The places of all fields that the tests look at."""
        compared = {payload[0] for *_, kind, payload in self.tests if kind == 'same'}
        return compared.union(*(places for places, *_ in self.tests))


@dataclass(frozen=True)
class Plan:
    """What to ask an engine.

    With `lines` it returns whole lines: the plain ones that pass, and all others. Otherwise it returns a Group for each
    distinct value of the keys, with sums of `sums` (of packets, bytes, start, end), and all other lines. Sums of values
    that are ``-`` or missing in the layout are 0, times are then None.

    `window` is half-open, in milliseconds: ``start >= ceil(start_ms / 1000) and start < ceil(end_ms / 1000)``.
    `limit` is how many lines are wanted: None is all. The conditions `here` are tested here: on lines as all conditions
    are, on groups by their keys. With `everything` AWS has no conditions to test.
    """

    window: Window
    parts: tuple[Part, ...]
    lines: bool = False
    sums: tuple[str, ...] = ()
    limit: int | None = None
    here: tuple[Condition, ...] = ()
    everything: bool = False


def seconds_of(window: Window) -> tuple[int, int]:
    """Return a window in whole seconds, half-open: a record's time is in both or in none."""
    return -(-window.start_ms // 1000), -(-window.end_ms // 1000)


def check_query(query: Query, engine: str) -> None:
    """Raises UsageError if an engine on AWS cannot answer the query. Asks AWS nothing."""
    members = zip(query._fields, query, Query())
    unknown = [name for name, value, default in members if name not in UNDERSTOOD and value != default]
    if query.action not in ACTIONS or unknown:
        raise UsageError(f'the engine {engine} cannot answer {" ".join([query.action, *unknown])}')
    if query.window is None:
        raise UsageError(f'the engine {engine} needs a window of time')


def check_fields(query: Query, layouts: Sequence[Layout]) -> None:
    """Raises FlowLogsError if a field that the query asks for is in none of the layouts."""
    lacking = [
        names[0] for names in query.asked_fields if all({*layout.fields}.isdisjoint(names) for layout in layouts)
    ]
    if lacking:
        known = ' '.join(layouts[0].fields)
        raise FlowLogsError(f'this log has no field {", ".join(dict.fromkeys(lacking))}: its fields are {known}')


def plan_lines(query: Query, layouts: Sequence[Layout], dated: bool, digits: int = 18) -> Plan:
    """Return the plan for records (print, findip). `dated` and `digits` as in :func:`plan_groups`."""
    there, here = divided(query.conditions)
    parts = [_part(query, there, layouts, at, dated, digits, numbers=()) for at in range(len(layouts))]
    limit = None if here else query.limit
    return Plan(_window(query), tuple(parts), lines=True, limit=limit, here=here, everything=not there)


def plan_groups(
    query: Query,
    layouts: Sequence[Layout],
    table: kernel.Sums,
    keys: Callable[[Layout], Sequence[Sequence[str]]],
    dated: bool,
    digits: int = 18,
    counts: Callable[[Layout], bool] = lambda layout: True,
) -> Plan:
    """Return the plan that fills a table of the kernel, where a record counts once for each of the `keys`.

    With `dated` the source itself compares the time of events with the window (CloudWatch Logs). `digits` is how many
    digits a number of a plain line may have: as many as the engine can add exactly. `counts` says whether lines of a
    layout count at all.
    """
    sums = tuple(name for name in SUMMED if name in table.track)
    bucket = _bucket(query)
    there, here = divided(query.conditions)
    compared = [name for condition in here for names in condition.needed for name in names]
    parts: list[Part] = []
    for at, layout in enumerate(layouts):
        alternatives = [tuple(names) for names in keys(layout)]
        names = [*dict.fromkeys([*(name for alternative in alternatives for name in alternative), *compared])]
        # A time that is a key too is grouped as it is: the table makes intervals of it.
        in_intervals = {dated_by(layout)} if all(each.count(dated_by(layout)) < 2 for each in alternatives) else set()
        own = tuple(Key(name, bucket if name in in_intervals else None) for name in names)
        numbers = {*sums, *(key.field for key in own if key.bucket)} & {'start', 'end'}
        part = _part(query, there, layouts, at, dated, digits, numbers)
        parts.append(
            replace(
                part,
                possible=part.possible and counts(layout),
                keys=own,
                alternatives=tuple(tuple(map(names.index, alternative)) for alternative in alternatives),
                flow=_flow(layout) if table.flows_only else (),
            )
        )
    return Plan(_window(query), tuple(parts), sums=sums, here=here)


def divided(conditions: Iterable[Condition]) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Return the conditions that AWS tests, and those that are tested here: they compare two fields without numbers."""
    there: list[Condition] = []
    here: list[Condition] = []
    for condition in conditions:
        compared = [] if condition.other is None else [*condition.fields, condition.other]
        is_there = all(chr(kind) in 'IM' for kind in Layout(compared).kinds) if compared else True
        (there if is_there else here).append(condition)
    return tuple(there), tuple(here)


def _part(
    query: Query,
    conditions: Iterable[Condition],
    layouts: Sequence[Layout],
    at: int,
    dated: bool,
    digits: int,
    numbers: Iterable[str],
) -> Part:
    layout = layouts[at]
    time = dated_by(layout)
    if dated and time == 'end':
        time = None
    needed = {*numbers, time} if time else {*numbers}
    patterns = tuple(
        _pattern(name, chr(kind), digits, name in needed, query.sums) for name, kind in zip(layout.fields, layout.kinds)
    )
    earlier = tuple(other for other in layouts[:at] if len(other.fields) == len(layout.fields))
    tests: list[kernel.Test] = []
    possible = True
    for condition in conditions:
        test = _simplified(kernel_test(condition, layout))
        if isinstance(test, bool):
            possible = possible and test
        else:
            tests.append(test)
    return Part(layout, patterns, earlier, tuple(tests), possible, time=time)


def _simplified(test: kernel.Test) -> kernel.Test | bool:
    """The test without fields that the layout lacks, which are ``-``; or its result if that is always the same."""
    places, negated, missing, kind, payload = test
    own = tuple(place for place in places if place >= 0)
    if kind == 'same' and payload[0] < 0:
        return missing != negated
    if missing and len(own) < len(places):
        return not negated
    if kind == 'address':
        payload = merged(payload)
    return (own, negated, missing, kind, payload) if own else negated


def merged(ranges: Iterable[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
    """Return ranges of addresses (first, last, version) of which no two touch: `internet` has 23 instead of 156.

    >>> merged([(2, 3, 4), (0, 1, 4), (7, 9, 4)])
    ((0, 3, 4), (7, 9, 4))
    """
    found: list[tuple[int, int, int]] = []
    for first, last, version in sorted(ranges, key=lambda each: (each[2], each[0])):
        if found and version == found[-1][2] and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last), version
        else:
            found.append((first, last, version))
    return tuple(found)


def _pattern(name: str, kind: str, digits: int, needed: bool, sums: bool) -> str:
    """The pattern of a field in plain lines. `needed` is a time that must not be missing."""
    missing = '' if needed else '|-'
    if kind == 'I':
        return f'(?:0|[1-9][0-9]{{0,{digits - 1}}}{missing})'
    if kind == 'M':
        # All times have ten digits: whether Insights compares them as numbers or as texts in min() is not documented.
        return f'(?:1[0-9]{{9}}|20[0-9]{{8}}{missing})'
    if name == _STATUS and sums:
        return '(?:OK|NODATA|INCOMPLETEDATA|-)'
    if name in ADDRESSES:
        # Not %, which begins a zone: whether engines take that for a part of an address is not documented.
        return '[&-~!-$]+'
    return '[!-~]+'


def _flow(layout: Layout) -> tuple[str, ...]:
    counts = tuple(name for name in _COUNTS if name in layout.position)
    return counts or ((_STATUS,) if _STATUS in layout.position else ())


def _bucket(query: Query) -> tuple[int, int] | None:
    """The seconds of the intervals into which a query divides time, and their offset; None if it does not."""
    if query.compare:
        # As engines/compare.py tells two windows apart.
        return query.compare, -seconds_of(_window(query))[0] % query.compare
    if query.action not in ('timeline', 'report'):
        return None
    seconds, offset = Timeline(query.interval, query.window, query.tz).bucket
    return seconds, offset % seconds


def _window(query: Query) -> Window:
    if query.window is None:
        raise UsageError('an engine on AWS needs a window of time')
    return query.window
