"""The local engine: a function for each action, which answers a Query over sources with a Result.

It writes nothing, reads nothing before the Result is iterated over, and records the facts of the read in the reports of
the sources. If the read fails, the Result yields what was read before, then raises the error. If it fails before the
first record, a table has no rows.

Sources already have the conditions and the window of the query: they were opened with them, so that AWS can apply them.
An engine on AWS takes the place of a source: see engines/remote/contract.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from operator import attrgetter

from ..errors import FlowLogsError
from ..kernel import Sums
from ..query.groups import GroupKey
from ..query.query import Query
from ..query.result import Column, Records, Result, Table, column_of
from ..records.block import LOCATION, Block, with_location
from ..records.fields import MEASURES, Kind
from ..sources.base import BaseReader
from .compare import COMPARED, Comparison
from .conversations import Conversations
from .distinct import DistinctValues
from .ends import IN_AND_OUT, BothEnds, keys_of_ends
from .once import bytes_seen_twice, read_sums
from .report import report
from .share import with_shares
from .sums import (
    SUMS,
    after_reading,
    chunks_of,
    fields_of,
    picked,
    ranked,
    read_into,
    tab_separated,
    table_of,
    transform_of,
)
from .timeline import Interval, Timeline, undated

# Rows of top, if the query does not say how many.
TOP = 10
BOTH_WAYS = ('bytes_to_dst', 'bytes_to_src')
_OCTETS = {b'%d' % octet: octet for octet in range(256)}
Sources = Sequence[BaseReader]


def run(query: Query, sources: Sources) -> Result:
    """Answer the query. Nothing is read before the result is iterated over."""
    return ACTIONS[query.action](query, sources)


def records(query: Query, sources: Sources) -> Records:
    """Return the records, source by source, or the first `limit` of them."""
    return Records(_blocks(query, sources))


def _blocks(query: Query, sources: Sources) -> Iterator[Block]:
    left = query.limit
    for source in sources:
        for block in source.blocks(left, query.raw, query.columns):
            yield with_location(block) if LOCATION in (query.columns or ()) else block
            if left is not None:
                left -= block.data.count(b'\n')
        if left == 0:
            return


def addresses(query: Query, sources: Sources) -> Table:
    """Return each address that occurs, once, in numeric order, IPv4 before IPv6."""
    table = Sums([None], (), flows_only=False)
    keys = [('srcaddr',), ('dstaddr',)]

    def chunks() -> Iterator[bytes]:
        found = b''.join([picked(chunk, [0]) for chunk in chunks_of(table)]).split()
        if ordered := sorted([text for text in found if text != b'-'], key=_address_order):
            yield b'\n'.join([*ordered, b''])

    return Table([Column('addr', Kind.TEXT)], after_reading(partial(read_into, table, sources, keys), chunks))


def _address_order(text: bytes) -> bytes:
    # An IPv4 address, in a tenth of the time.
    try:
        octets = bytes(map(_OCTETS.__getitem__, text.split(b'.')))
    except KeyError:
        octets = b''
    if len(octets) == 4:
        return b'4' + octets
    try:
        address = ip_address(text.decode())
    except ValueError:
        return b'9' + text
    return b'%d' % address.version + address.packed + text


def top(query: Query, sources: Sources) -> Table:
    """Return the rows with the most bytes, packets, flows or distinct values.

    Equal rows are in the order of the text of their keys. To compare two windows, return the rows that changed most.
    """
    if query.compare:
        return _compared(query, sources)
    keys = (*keys_of_ends(query.keys), *query.distinct)
    table = table_of(keys, ('packets', 'bytes'))
    width = len(query.keys)
    # What a line has after the keys and the sums.
    more = [f'distinct_{key.name}' for key in query.distinct]
    more += [*IN_AND_OUT * query.both_ends, *['share'] * query.share]
    columns = [*map(_sum_column, (*MEASURES, *more)), *_key_columns(query)]
    places = [width + SUMS.index(name) for name in MEASURES]
    places += [width + len(SUMS) + at for at in range(len(more))] + [*range(width)]
    reading = partial(_read_sums, query, table, keys, sources)
    return Table(columns, after_reading(reading, lambda: tab_separated([_largest(query, table)])), places)


def _largest(query: Query, table: Sums) -> bytes:
    """Return the rows of top as canonical lines: the keys, the sums, and what else the query asks for."""
    count, width = query.limit or TOP, len(query.keys)
    # The sums of all rows, and the sums over all rows of what a line has after them (None: it is not a sum).
    sums = table
    whole: Sequence[int | None] = ()
    if query.distinct:
        names = [key.name for key in query.distinct]
        measure = names.index(query.measure) if query.measure in names else query.measure
        distinct = DistinctValues(table, width, len(names))
        rows, sums, whole = distinct.top(count, measure), distinct.sums, [None] * len(names)
    elif query.both_ends:
        ends = BothEnds(table, query.keys)
        rows, sums, whole = ends.top(count, query.measure), ends.sums, ends.whole
    else:
        rows = table.top(count, query.measure)
    return with_shares(rows, sums, width, query.measure, whole) if query.share else rows


def _compared(query: Query, sources: Sources) -> Table:
    comparison = Comparison(query)
    width = len(query.keys)
    columns = [*map(_sum_column, COMPARED), *_key_columns(query)]
    places = [*range(width, width + len(COMPARED)), *range(width)]
    limit = query.limit or TOP
    rows = after_reading(partial(comparison.read, sources), lambda: [b''.join(comparison.rows(limit))])
    return Table(columns, tab_separated(rows), places)


def _read_sums(query: Query, table: Sums, keys: Sequence[GroupKey], sources: Sources) -> None:
    """Read all records into a table of these keys, each flow once if the query says so."""
    fields = fields_of(keys)
    read_sums(query, table, [*map(transform_of, keys)], [fields], fields, sources)
    if not query.once:
        sources[0].report.seen_twice += bytes_seen_twice(table, keys, query.conditions)


def aggregate(query: Query, sources: Sources) -> Table:
    """Return the sums of each key, with columns in alphabetical order as in flowlogs-reader 5.0.1."""
    table = table_of(query.keys)
    lines = [*_key_columns(query), *map(_sum_column, SUMS)]
    chunks: Callable[[], Iterable[bytes]] = partial(chunks_of, table)
    if query.both_ways:
        lines += map(_sum_column, BOTH_WAYS)
        chunks = partial(Conversations(query.keys).chunks, table)
    columns = sorted((column for column in lines if column.name != 'flows' or query.flows), key=attrgetter('name'))

    def rows() -> Iterable[bytes]:
        if not query.ranked:
            return chunks()
        count = len(table) if query.limit is None else query.limit
        if not query.both_ways:
            return [table.top(count, query.measure)]
        return [ranked(chunks(), len(query.keys), query.measure, count)]

    reading = partial(_read_sums, query, table, query.keys, sources)
    return Table(columns, after_reading(reading, lambda: tab_separated(rows())), [*map(lines.index, columns)])


def timeline(query: Query, sources: Sources) -> Table:
    """Return the sums of each interval, and of each value of a key, and its accepted and rejected flows."""
    key = query.keys[0] if query.keys else None
    counted = Timeline(query.interval, query.window, query.tz, key)
    start, *sums = map(_sum_column, Interval._fields)

    def rows() -> Iterator[tuple[int | str, ...]]:
        for row in counted.rows():
            if why := counted.incomplete(int(row[0]), query.delivered_ms):
                table.incomplete[int(row[0])] = why
            yield row
        if counted.undated:
            raise FlowLogsError(undated(counted.undated))

    table = Table.of_rows([start, *_key_columns(query), *sums], rows())
    table.incomplete = sources[0].report.incomplete
    reading = partial(counted.read, sources, query.conditions if query.once else None)
    table.chunks = after_reading(reading, partial(iter, table.chunks))
    return table


def _key_columns(query: Query) -> list[Column]:
    kinds = [column_of(key.fields[0]).kind if key.is_plain else Kind.TEXT for key in query.keys]
    if query.share:
        # One row is of all others.
        kinds[0] = Kind.TEXT
    return [Column(key.name, kind) for key, kind in zip(query.keys, kinds)]


def _sum_column(name: str) -> Column:
    return Column(name, {'start': Kind.TIME, 'end': Kind.TIME, 'share': Kind.DECIMAL}.get(name, Kind.INTEGER))


ACTIONS: dict[str, Callable[[Query, Sources], Result]] = {
    'print': records,
    'findip': records,
    'ipset': addresses,
    'top': top,
    'aggregate': aggregate,
    'timeline': timeline,
    'report': report,
}
