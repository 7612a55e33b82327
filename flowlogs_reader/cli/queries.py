"""Makes the Query from the parsed options, and that of each location.

Invalid arguments raise UsageError here, before any request to AWS.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..query.conditions import field_name, parse_condition
from ..query.query import Query, Window
from ..query.typed_times import parse_length, parse_time, parse_zone
from ..records.block import LOCATION
from ..records.fields import FIELD_SETS
from ..records.times import EPOCH, iso, milliseconds, resume_text
from ..sources.registry import Source
from .actions import ACTIONS
from .options import TIME_FORMAT, TIME_ZONE

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

# A record arrives up to so long after its flow starts: an aggregation interval of 10 minutes, then 5 minutes on the way
# to CloudWatch Logs. To S3 it may take 5 more, and AWS may be slow (vpc/latest/userguide/flow-log-records).
DELIVERY = timedelta(minutes=15)
# June 2015, in milliseconds (aws.amazon.com/blogs/aws/vpc-flow-logs-log-and-view-network-traffic-flows).
FIRST_FLOW_LOGS = 1433116800000


class Read(NamedTuple):
    """A read of a location: its source, and its query, whose window may differ from those of others."""

    location: str
    source: Source
    query: Query


def make_queries(options: Namespace, sources: Sequence[Source], now: datetime) -> tuple[Query, list[Query]]:
    """Make the Query of all locations, and that of each: by default their windows are different.

    Without times a file is read whole, and a log group from an hour ago. Together they have no window.
    """
    lengths = [source.load().DEFAULT_WINDOW for source in sources]
    queries = {length: make_query(options, length, now) for length in dict.fromkeys(lengths)}
    first = queries[lengths[0]]
    return first if len(queries) == 1 else first._replace(window=None), [queries[length] for length in lengths]


def make_query(options: Namespace, default_window: timedelta | None, now: datetime) -> Query:
    """Make the Query. `default_window` is the length of the window if no times are given; None: everything is read."""
    tz = parse_zone(TIME_ZONE if options.tz is None else options.tz)
    fields: tuple[str, ...] = options.fields or ()
    asked = ACTIONS[options.action].ask(options.arguments, options)
    conditions = tuple(parse_condition(text, fields) for text in options.where or ())
    query = Query(
        action=options.action,
        conditions=(*asked.pop('conditions', ()), *conditions),
        window=_window(options, default_window, now, tz),
        fields=options.fields,
        columns=_columns(options),
        optional=_optional(options),
        raw=bool(options.raw),
        tz=tz,
        once=bool(options.once),
        delivered_ms=milliseconds(now - DELIVERY),
        **asked,
    )
    if query.compare:
        _check_compare(query, options.compare)
    needed = (*query.asked_fields, *((name,) for name in query.required_fields))
    lacking = [names[0] for names in needed if fields and not {*names} & {*fields}]
    if lacking:
        missing = ', '.join(dict.fromkeys(lacking))
        raise UsageError(f'--fields has no {missing}: the fields of the log are {" ".join(fields)}')
    return query


def _check_compare(query: Query, length: str) -> None:
    """Raises UsageError if there are no two windows that can be compared."""
    window, earlier = query.window, query.earlier_window
    if not window or not earlier:
        raise UsageError('--compare needs a window of time: give -s, -e or --for')
    if earlier.end_ms > window.start_ms:
        raise UsageError(f'--compare {length} is shorter than the window: the two would overlap: --for shortens it')
    if earlier.start_ms < FIRST_FLOW_LOGS:
        told = resume_text(earlier.start_ms) if earlier.start_ms >= 0 else 'a time before 1970'
        raise UsageError(f'--compare {length} leads to {told}: there were no flow logs then')


def reads_of(locations: Sequence[str], sources: Sequence[Source], queries: Sequence[Query]) -> list[Read]:
    """Return what is read: each location once, unless windows are compared.

    Then AWS is read twice, each time with one window; files and standard input once, with a window that holds both.
    """
    reads: list[Read] = []
    for location, source, query in zip(locations, sources, queries):
        if source.asks_aws and query.compare:
            reads.append(Read(location, source, query._replace(window=query.earlier_window)))
        reads.append(Read(location, source, query if source.asks_aws else query.over_both_windows))
    return reads


def _columns(options: Namespace) -> tuple[str, ...] | None:
    if options.columns is None:
        return None
    names = _column_names(options)
    if names == ['']:
        raise UsageError('--columns has no names: give fields, or all')
    if 'all' in names:
        if len(names) > 1:
            raise UsageError('--columns all goes with no other columns')
        return None
    own = options.fields or ()
    columns = tuple(
        column
        for name in names
        for column in (FIELD_SETS[name] if name in FIELD_SETS else [field_name(name, own, [LOCATION])])
    )
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise UsageError(f'--columns has {twice[0]} twice')
    return columns


def _optional(options: Namespace) -> tuple[str, ...]:
    """The columns that a log may lack: those that were given as a set, such as default, and the location."""
    names = [] if options.columns is None else _column_names(options)
    return tuple(column for name in names for column in FIELD_SETS.get(name, [LOCATION] if name == LOCATION else ()))


def _column_names(options: Namespace) -> list[str]:
    return re.split('[, ]+', options.columns.strip(', '))


def has_times(options: Namespace) -> bool:
    """Whether the user gave a window: a start, an end or a length."""
    return (options.start_time, options.end_time, getattr(options, 'for')) != (None, None, None)


def _window(options: Namespace, default: timedelta | None, now: datetime, tz: tzinfo) -> Window | None:
    if default is None and not has_times(options):
        return None
    given = options.start_time, options.end_time
    length = None if getattr(options, 'for') is None else parse_length(getattr(options, 'for'))
    time_format = TIME_FORMAT if options.time_format is None else options.time_format
    start, end = (None if text is None else parse_time(text, now=now, tz=tz, time_format=time_format) for text in given)
    if length and start and end:
        raise UsageError('--for gives a length after -s or before -e: it does not go with both')
    if start and length:
        end = _moved(start, length)
    end = end or now
    start = start or _moved(end, -(length or default or timedelta(hours=1)))
    if start >= end and not (options.follow and start == end):
        shown = _shown(end) if given[1] or length else f'now ({_shown(end)}): -e gives another one'
        raise UsageError(f'the start, {_shown(start)}, is not before the end, {shown}')
    return Window(milliseconds(start), milliseconds(end))


def _moved(moment: datetime, length: timedelta) -> datetime:
    try:
        return max(EPOCH, moment + length)
    except OverflowError:
        raise UsageError(f'--for leads out of the calendar from {iso(moment)}') from None


def _shown(moment: datetime) -> str:
    return resume_text(milliseconds(moment))
