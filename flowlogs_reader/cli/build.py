"""Makes a Query, a Style and a reader from the parsed options.

Invalid arguments raise UsageError here, before any request to AWS.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ..aws.log_groups import parse_arn
from ..errors import FlowLogsError, UsageError
from ..output.short import Fit
from ..output.terminal import wants_colour
from ..output.writer import Style
from ..query.conditions import field_name, parse_condition
from ..query.query import Query, Window
from ..query.typed_times import parse_length, parse_time, parse_zone
from ..records.block import LOCATION
from ..records.fields import FIELD_SETS
from ..records.times import EPOCH, UTC, iso, milliseconds, resume_text
from ..sources.registry import Source
from .actions import ACTIONS
from .options import OPTIONS, RECORDS, SESSION, TIME_FORMAT, TIME_ZONE
from .process import tune_malloc

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Sequence

    from ..aws.session import AwsSession
    from ..sources.base import BaseReader

# AWS delivers records up to so long after the end of an aggregation interval of 10 minutes, or later if it is slow
# (vpc/latest/userguide/flow-log-records).
DELIVERY = timedelta(minutes=15)
# June 2015, in milliseconds (aws.amazon.com/blogs/aws/vpc-flow-logs-log-and-view-network-traffic-flows).
FIRST_FLOW_LOGS = 1433116800000


class Read(NamedTuple):
    """A read of a location: its source, and its query, whose window may differ from those of others."""

    location: str
    source: Source
    query: Query


# -- the query --------------------------------------------------------------------------------------------------------


def make_queries(options: Namespace, sources: Sequence[Source], now: datetime) -> tuple[Query, list[Query]]:
    """Make the Query of all locations, and that of each: by default their windows are different.

    Without times a file is read whole, and a log group from an hour ago. Together they have no window.
    """
    lengths = [source.load().DEFAULT_WINDOW for source in sources]
    queries = {length: make_query(options, length, now) for length in dict.fromkeys(lengths)}
    first = queries[lengths[0]]
    return first if len(queries) == 1 else replace(first, window=None), [queries[length] for length in lengths]


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
        raise UsageError(f'--compare {length} is shorter than the window: the two would overlap')
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
            reads.append(Read(location, source, replace(query, window=query.earlier_window)))
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


def _window(options: Namespace, default: timedelta | None, now: datetime, tz: tzinfo) -> Window | None:
    given = options.start_time, options.end_time
    length = None if getattr(options, 'for') is None else parse_length(getattr(options, 'for'))
    if default is None and given == (None, None) and length is None:
        return None
    time_format = TIME_FORMAT if options.time_format is None else options.time_format
    start, end = (None if text is None else parse_time(text, now=now, tz=tz, time_format=time_format) for text in given)
    if length and start and end:
        raise UsageError('--for gives a length after -s or before -e: it does not go with both')
    if start and length:
        end = _moved(start, length)
    end = end or now
    start = start or _moved(end, -(length or default or timedelta(hours=1)))
    if start >= end and not (options.follow and start == end):
        raise UsageError(f'the start, {_shown(start)}, is not before the end, {_shown(end)}')
    return Window(milliseconds(start), milliseconds(end))


def _moved(moment: datetime, length: timedelta) -> datetime:
    try:
        return max(EPOCH, moment + length)
    except OverflowError:
        raise UsageError(f'--for leads out of the calendar from {iso(moment)}') from None


def _shown(moment: datetime) -> str:
    return resume_text(milliseconds(moment))


def _check_parquet(options: Namespace, terminal: int) -> None:
    for name, reason in (
        ('header', 'which has names and types'),
        ('times', 'which has Unix seconds, as the files of AWS do'),
        ('names', 'which has numbers, as the files of AWS do'),
        ('follow', 'which is not complete before its end'),
        ('human', 'which has numbers'),
    ):
        if getattr(options, name) is not None:
            raise UsageError(f'--{name} does not go with -o parquet, {reason}')
    if terminal:
        raise UsageError('-o parquet is not for a terminal: send it to a file, as in … -o parquet > flows.parquet')


def make_style(
    options: Namespace,
    terminal: int,
    query: Query | None = None,
    on_short: Callable[[int, int], None] | None = None,
) -> Style:
    """Make the Style of the output, from the options and the defaults of the action."""
    action = ACTIONS[query.action] if query else None
    times = options.times or (action.times if action else 'epoch')
    if options.output == 'parquet':
        _check_parquet(options, terminal)
        times = 'epoch'
    header = action.header if action else True
    # Neither other encodings nor raw lines get a header because of the terminal.
    encoded = options.output not in (None, 'text') or bool(query and query.raw)
    return Style(
        output=options.output or 'text',
        columns=query.columns if query else None,
        raw=bool(query and query.raw),
        header=(header or terminal > 0 and not encoded) if options.header is None else options.header,
        times=times,
        tz=query.tz if query else UTC,
        terminal=terminal,
        colour=terminal > 0 and wants_colour(os.environ),
        bars=query.measure if query and action and action.bars else '',
        live=terminal > 0 or bool(options.follow),
        human=bool(options.human),
        fit=_fit(options, query, on_short) if query else None,
        names=bool(options.names),
    )


def _fit(options: Namespace, query: Query, on_short: Callable[[int, int], None] | None) -> Fit | None:
    """Return how the output fits a terminal; None for columns that the user chose."""
    span = (query.window.end_ms - query.window.start_ms) // 1000 if query.window and not options.follow else None
    if query.action not in RECORDS:
        start = ('start',) if ACTIONS[query.action].bars else ()
        kept = (*start, *(key.name for key in (*query.keys, *query.distinct)), query.measure)
        return Fit(span, kept=kept, on_short=on_short)
    if options.columns not in (None, 'short'):
        return None
    return Fit(span, always=options.columns == 'short', on_short=on_short)


# -- the reader -------------------------------------------------------------------------------------------------------


def open_sources(
    options: Namespace,
    reads: Sequence[Read],
    stdin: Callable[[], BinaryIO],
    on_unreadable: Callable[[FlowLogsError], None],
) -> list[BaseReader]:
    """Make the reader for each read, with the conditions and the window of its query."""
    tune_malloc()
    sessions: dict[str | None, AwsSession] = {}

    def session_of(location: str) -> AwsSession:
        arn = parse_arn(location)
        region = arn.region if arn else None
        if region not in sessions:
            sessions[region] = make_session(options, location, alone=len(options.locations) == 1)
        return sessions[region]

    def open_source(location: str, source: Source, query: Query) -> BaseReader:
        settings: dict[str, Any] = {
            'fields': query.fields,
            'where': query.conditions,
            'count_skipdata': query.sums,
            'on_unreadable': on_unreadable,
            **source.settings,
        }
        if query.window:
            settings['start_time'], settings['end_time'] = (
                EPOCH + timedelta(milliseconds=ms) for ms in (query.window.start_ms, query.window.end_ms)
            )
        for option in OPTIONS:
            value = getattr(options, option.name, None)
            if option.keyword and value is not None and (not option.sources or source.name in option.sources):
                settings[option.keyword] = value
        if source.asks_aws:
            settings['session'] = session_of(location)
        # A reader takes its location, and keywords for its options: see sources/base.py.
        reader_class: Callable[..., BaseReader] = source.load()
        return reader_class(stdin() if location == '-' and source.name == 'file' else location, **settings)

    return [open_source(*read) for read in reads]


def subnet_session(options: Namespace, readers: Iterable[BaseReader], query: Query) -> AwsSession | None:
    """Make the session that asks for the subnets, if the query needs them: the one of a reader, if one has it.

    Raises UsageError if the Region is not known, or for options of a session that nobody needs.
    """
    own: AwsSession | None = next(filter(None, (getattr(reader, 'session', None) for reader in readers)), None)
    if not query.unknown_mappings:
        for option in OPTIONS:
            if own is None and option.name in SESSION and getattr(options, option.name) is not None:
                raise UsageError(f'{option.shown} does not go with a file')
        return None
    from ..aws.session import NO_REGION

    session = own or make_session(options)
    if own is None and session.region_and_source[1] == NO_REGION:
        needs = f'/{min(query.unknown_mappings)} needs the subnets of the VPC, which EC2 knows'
        raise UsageError(f'{needs}: give --region, and credentials (--profile)')
    return session


def make_session(options: Namespace, location: str = '', alone: bool = True) -> AwsSession:
    """Make the session for AWS clients. If the location is an ARN, it has the Region.

    Raises UsageError if --region is another one, and there is no other location that it may be for.
    """
    from ..aws.session import AwsSession

    arn = parse_arn(location)
    if arn and alone and options.region not in (None, arn.region):
        raise UsageError(f'the log group is in {arn.region}, as its ARN says: leave --region {options.region} out')
    region = arn.region if arn else options.region
    session = AwsSession(region, options.profile, options.role_arn, options.external_id)
    if options.profile:
        session.check_profile()
    return session


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise UsageError('standard input is closed')
    return sys.stdin.buffer
