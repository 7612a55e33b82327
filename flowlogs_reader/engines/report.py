"""The tables of a report, from one read.

The read fills a few tables of the kernel with several keys each. The others are sums of their rows: one more table for
each record costs more than one more sum of rows, which are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..errors import FlowLogsError
from ..kernel import Sums, keep
from ..query.conditions import parse_condition
from ..query.query import Query
from ..query.result import Column, NamedTable, Table, Tables, column_of
from ..records.fields import MEASURES, Kind
from ..records.layout import Layout
from ..sources.base import BaseReader
from ..sources.filter import SUMMED
from ..sources.further import Further
from .sums import SUMS, add_groups, chunks_of, kinds_of, picked
from .timeline import Interval, Timeline, dated_by, undated

# Rows of a table, if the query does not say how many.
TOP = 15
# What the read sums by. A pair of hosts has few values of the other fields.
PAIRS = ('srcaddr', 'dstaddr', 'action', 'interface_id')
PORTS = ('dstport', 'protocol', 'action')
SCANS = ('srcaddr', 'dstport')
# What only some formats have.
EXTRAS = (
    'flow_direction', 'az_id', 'traffic_path', 'pkt_src_aws_service', 'pkt_dst_aws_service', 'tgw_src_az_id',
    'tgw_dst_az_id',
)  # fmt: skip
PAIRS_AND_EXTRAS = ('srcaddr', 'dstaddr', *EXTRAS)
VERDICTS = (b'ACCEPT', b'REJECT')
# Usually the client has the higher port.
NO_REPLY = parse_condition('dstport<srcport')
MISSING = b'-'
# The other end of a flow of which only one end is an interface of the log.
OUTSIDE = b'outside'
Key = tuple[bytes, ...]
Row = dict[str, int | None]


def report(query: Query, sources: Sequence[BaseReader]) -> Tables:
    """Return the tables of a report. Those of fields that the log does not have are left out."""
    return Tables(Report(query).tables(sources))


class Summed:
    """A table of the kernel with the names of its keys."""

    def __init__(self, fields: Sequence[str], track: Iterable[str] = ('packets', 'bytes')) -> None:
        self.fields = tuple(fields)
        self.table = Sums([None] * len(fields), track)

    def __len__(self) -> int:
        return len(self.table)

    def by(self, *fields: str, **words: Iterable[bytes]) -> Summed:
        """Return the sums by some of its fields, of the rows in which each field of `words` has one of the values."""
        if fields == self.fields and not words:
            return self
        summed = Summed(fields, self.table.track)
        for chunk in self._chunks(words):
            add_groups(summed.table, self._cut(chunk, fields))
        return summed

    def by_each(self, *each: Sequence[str]) -> list[Summed]:
        """Return the sums by each of these groups of fields, from one pass over the rows."""
        found = [Summed(fields, self.table.track) for fields in each]
        for chunk in self._chunks({}):
            for summed in found:
                add_groups(summed.table, self._cut(chunk, summed.fields))
        return found

    def top(self, count: int, measure: str) -> list[tuple[Key, Row]]:
        """Return the keys and sums of the rows with the largest sums."""
        return [*map(_parsed, self.table.top(count, measure).splitlines())]

    def rows(self, **words: Iterable[bytes]) -> Iterator[tuple[Key, Row]]:
        """Yield the keys and sums of all rows, or of those in which each field of `words` has one of the values."""
        for chunk in self._chunks(words):
            yield from map(_parsed, chunk.splitlines())

    def distinct(self, field: str) -> Summed:
        """Return how many rows each value of a field has, as a number of flows."""
        counted = Summed([field], ())
        counted.table = Sums([None], (), flows_only=False)
        for chunk in self._chunks({}):
            counted.table.add(
                kinds_of(len(self.fields)), (), None, ((self.fields.index(field),),), (-1, -1, -1, -1, -1), chunk
            )
        return counted

    def add(self, other: Summed, *fields: str) -> None:
        """Add the rows of another table, with these fields of it as the keys."""
        for chunk in other._chunks({}):
            add_groups(self.table, other._cut(chunk, fields))

    def _chunks(self, words: dict[str, Iterable[bytes]]) -> Iterator[bytes]:
        """Yield lines; their keys are compared as text."""
        tests = tuple(
            ((self.fields.index(name),), False, MISSING in {*values}, 'text', tuple(values))
            for name, values in words.items()
        )
        for chunk in chunks_of(self.table):
            yield keep(kinds_of(len(self.fields)), tests, None, chunk)[0] if tests else chunk

    def _cut(self, lines: bytes, fields: Sequence[str]) -> bytes:
        """Return lines with only these fields before their sums."""
        width = len(self.fields)
        return picked(lines, [*map(self.fields.index, fields), *range(width, width + len(SUMS))])


class Report:
    """The tables of a report, in the order in which a page shows them."""

    def __init__(self, query: Query) -> None:
        self._limit = query.limit or TOP
        self._timeline = Timeline(None, query.window, query.tz)
        self._pairs, self._ports = Summed(PAIRS, SUMMED), Summed(PORTS)
        self._scans = Summed(SCANS, ())
        self._extras = Summed(PAIRS_AND_EXTRAS)

    def tables(self, sources: Iterable[BaseReader]) -> Iterator[NamedTable]:
        """Read the sources, then yield the tables. An error of the read is raised after them."""
        further = [
            Further(self._extras.table, PAIRS_AND_EXTRAS, only_with=EXTRAS),
            Further(self._pairs.table, PAIRS),
            Further(self._ports.table, PORTS),
            Further(self._scans.table, SCANS, (NO_REPLY,)),
        ]
        failure = None
        try:
            for source in sources:
                for _ in source.sum_into(self._timeline.table, _times, ['action'], further):
                    pass
            self._timeline.finish()
        except Exception as error:
            failure = error
        if self._pairs or not failure:
            yield from self._shown()
        if failure:
            raise failure
        if self._timeline.undated:
            raise FlowLogsError(undated(self._timeline.undated))

    def _shown(self) -> Iterator[NamedTable]:
        interfaces, pairs = self._pairs.by_each(('interface_id', 'action'), ('srcaddr', 'dstaddr'))
        rejected = self._pairs.by('srcaddr', action=[b'REJECT'])
        extras = self._extras.by(*EXTRAS)
        yield _totals(interfaces.by('action'))
        yield NamedTable('timeline', Table.of_rows([*map(_column, Interval._fields)], self._timeline.rows()))
        yield self._largest('pairs', pairs)
        yield self._hosts('hosts', pairs)
        yield self._largest('ports', self._ports.by('dstport', 'protocol'))
        yield self._largest('rejected_sources', rejected, 'flows')
        yield self._largest('rejected_ports', self._ports.by('dstport', 'protocol', action=[b'REJECT']), 'flows')
        yield self._scanning('scans', rejected)
        yield self._largest('protocols', self._ports.by('protocol'))
        yield self._largest('interfaces', interfaces.by('interface_id'))
        yield self._largest('directions', extras.by('flow_direction'))
        yield self._largest('zones', _zones(self._extras, extras))
        yield self._largest('services', extras.by('pkt_src_aws_service', 'pkt_dst_aws_service'))
        yield self._largest('paths', extras.by('traffic_path'))

    def _largest(self, name: str, summed: Summed, measure: str = 'bytes') -> NamedTable:
        """Return the keys with the most bytes or flows."""
        columns = sorted(MEASURES, key=lambda column: column != measure)
        top, groups = self._top(summed, measure)
        rows = [(*_texts(key), *map(row.__getitem__, columns)) for key, row in top]
        return _table(name, summed.fields, columns, rows, groups)

    def _hosts(self, name: str, pairs: Summed) -> NamedTable:
        """Return the addresses with the most bytes, sent and received. A flow counts at both ends."""
        sent, received = pairs.by_each(('srcaddr',), ('dstaddr',))
        hosts = Summed(['addr'])
        hosts.add(sent, 'srcaddr')
        hosts.add(received, 'dstaddr')
        top, groups = self._top(hosts, 'bytes')
        words = [key[0] for key, _ in top]
        ends = [dict(end.rows(**{end.fields[0]: words})) for end in (sent, received)]
        rows = [
            (*_texts(key), row['bytes'], *(end[key]['bytes'] if key in end else 0 for end in ends), row['packets'],
             row['flows'])
            for key, row in top
        ]  # fmt: skip
        return _table(name, ['addr'], ('bytes', 'bytes_sent', 'bytes_received', 'packets', 'flows'), rows, groups)

    def _scanning(self, name: str, rejected: Summed) -> NamedTable:
        """Return the sources of flows to the most ports, how many flows these were, and all rejected flows."""
        top, groups = self._top(self._scans.distinct('srcaddr'), 'flows')
        words = [key[0] for key, _ in top]
        flows, refused = (
            dict(each.rows(srcaddr=words)) for each in (self._scans.by('srcaddr', srcaddr=words), rejected)
        )
        rows = [
            (*_texts(key), row['flows'], flows[key]['flows'], refused[key]['flows'] if key in refused else 0)
            for key, row in top
        ]
        return _table(name, ['srcaddr'], ('dstports', 'flows', 'rejected'), rows, groups)

    def _top(self, summed: Summed, measure: str) -> tuple[list[tuple[Key, Row]], int]:
        """Return the largest rows, and how many there are. Flows without any of the keys are left out."""
        nowhere = (MISSING,) * len(summed.fields)
        top = summed.top(self._limit + 1, measure)
        known = [(key, row) for key, row in top if key != nowhere]
        return known[: self._limit], len(summed) - (len(top) - len(known))


def _totals(by_action: Summed) -> NamedTable:
    """Return the sums of all flows, the first start and the last end."""
    actions = {key[0]: row['flows'] for key, row in by_action.rows()}
    _, row = _parsed(by_action.by().table.lines() or b'0 0 - - 0')
    columns = ('start', 'end', *MEASURES)
    sums = (*map(row.get, columns), *(actions.get(word, 0) for word in VERDICTS))
    return _table('totals', (), (*columns, 'accepted', 'rejected'), [sums], 1)


def _zones(pairs: Summed, extras: Summed) -> Summed:
    """Return the sums between Availability Zones."""
    zones = extras.by('tgw_src_az_id', 'tgw_dst_az_id')
    if all(key == (MISSING, MISSING) for key, _ in zones.top(2, 'flows')):
        zones = _zones_of_ends(pairs)
    named = Summed(['src_az_id', 'dst_az_id'])
    named.add(zones, *zones.fields)
    return named


def _zones_of_ends(pairs: Summed) -> Summed:
    """Return the sums between the Availability Zones of the interfaces of a log, and what is outside of them.

    The sender's interface knows the zone of the source, and the receiver's that of the destination. A flow between two
    interfaces counts once, as the sender's interface recorded it.
    """
    fields = ('tgw_src_az_id', 'tgw_dst_az_id')
    zones = Summed(fields)
    own: dict[bytes, bytes] = {}
    senders: dict[bytes, bytes] = {}
    for end, direction in (('srcaddr', b'egress'), ('dstaddr', b'ingress')):
        for (address, zone), _ in pairs.by(end, 'az_id', flow_direction=[direction]).rows():
            # VPCs may use the same addresses in several zones.
            own[address] = zone if own.get(address, zone) == zone else MISSING
            if direction == b'egress':
                senders[address] = b'sender'
    if {*own.values()} <= {MISSING}:
        return zones
    of_end = ('map', own, OUTSIDE)
    for direction in (b'egress', b'ingress'):
        mapped = Summed((*fields, 'sender'))
        mapped.table = Sums([of_end, of_end, ('map', senders, MISSING)], ('packets', 'bytes'))
        mapped.add(pairs.by('srcaddr', 'dstaddr', flow_direction=[direction]), 'srcaddr', 'dstaddr', 'srcaddr')
        zones.add(mapped.by(*fields, sender=[b'sender' if direction == b'egress' else MISSING]), *fields)
    return zones


def _times(layout: Layout) -> list[tuple[str, str]]:
    """Return the keys of the timeline."""
    return [(dated_by(layout) or 'start', 'action')]


def _parsed(line: bytes) -> tuple[Key, Row]:
    *key, packets, octets, start, end, flows = line.split()
    values = (None if text == MISSING else int(text) for text in (packets, octets, start, end, flows))
    return tuple(key), dict(zip(SUMS, values))


def _texts(key: Key) -> list[str | None]:
    return [None if value == MISSING else value.decode() for value in key]


def _table(
    name: str, fields: Sequence[str], sums: Sequence[str], rows: Sequence[Sequence[object]], groups: int
) -> NamedTable:
    columns = [*map(column_of, fields), *map(_column, sums)]
    return NamedTable(name, Table.of_rows(columns, rows), groups)


def _column(name: str) -> Column:
    return Column(name, Kind.TIME if name in ('start', 'end') else Kind.INTEGER)
