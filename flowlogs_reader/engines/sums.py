"""Flows summed by key fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, groupby, islice
from operator import is_not
from typing import Any, NamedTuple

from ..kernel.memo import Memo
from ..records.fields import KNOWN
from ..records.layout import Column, Layout, normalise
from ..records.record import FlowRecord, convert

FIVE_TUPLE = ('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol')
SUMMED = ('packets', 'bytes', 'start', 'end')
# How the sums of a record begin that is no flow.
UNCOUNTED = b'- - '
MINUS = UNCOUNTED[0]
# Later than any time of a record.
NEVER = 2**63


class Total(NamedTuple):
    """The flows that share a key: its columns as text, sums, the first start and the last end in Unix seconds."""

    key: tuple[bytes, ...]
    packets: int
    bytes: int
    flows: int
    start: int | None
    end: int | None


class Table:
    """Sums of packets, bytes and flows for each key, in the order in which the keys first appear.

    Memory grows with the number of keys: about 300 bytes each.
    """

    def __init__(self) -> None:
        # The sums of the first record of a key stay text, since most keys have no second one: packets, bytes, start,
        # end. With a second one they become a list of numbers, and the number of flows.
        self._totals: dict[bytes, Any] = {}
        self._numbers = Memo(_number)
        self._starts = Memo(_start)
        self._ends = Memo(_end)

    def add(self, keys: Column, sums: Column) -> None:
        """Adds a flow for each key: SUMMED with a space between two, ``-`` where a value is missing.

        Records without packets and bytes (NODATA, SKIPDATA) are no flows and are left out.
        """
        flags = [row[0] != MINUS or not row.startswith(UNCOUNTED) for row in sums]
        if not all(flags):
            keys, sums = [*compress(keys, flags)], [*compress(sums, flags)]
        totals, numbers, starts, ends = self._totals, self._numbers, self._starts, self._ends
        firsts = map(totals.setdefault, keys, sums)
        # What is said of a key that was there is not the object that was handed in.
        for key, row in compress(zip(keys, sums), list(map(is_not, firsts, sums))):
            total = totals[key]
            if type(total) is bytes:
                total = totals[key] = self._parsed(total)
            packets, octets, start, end = row.split(b' ')
            total[0] += numbers[packets]
            total[1] += numbers[octets]
            if starts[start] < total[2]:
                total[2] = starts[start]
            if ends[end] > total[3]:
                total[3] = ends[end]
            total[4] += 1

    def _parsed(self, row: bytes) -> list[int]:
        packets, octets, start, end = row.split(b' ')
        return [self._numbers[packets], self._numbers[octets], self._starts[start], self._ends[end], 1]

    def totals(self) -> Iterator[Total]:
        for line in self.lines():
            key, packets, octets, start, end, flows = line[:-1].rsplit(b' ', 5)
            columns = tuple(key.split(b' ')) if key else ()
            yield Total(columns, int(packets), int(octets), int(flows), _time(start), _time(end))

    def lines(self) -> Iterator[bytes]:
        """The totals as canonical lines: the key fields, packets, bytes, start, end, flows."""
        for key, total in self._totals.items():
            if type(total) is bytes:
                if b'-' not in total:
                    yield key + b' ' + total + b' 1\n'
                    continue
                total = self._parsed(total)
            packets, octets, start, end, flows = total
            times = b'%d' % start if start != NEVER else b'-', b'%d' % end if end >= 0 else b'-'
            yield b'%b %d %d %b %b %d\n' % (key, packets, octets, *times, flows)


def _number(text: bytes) -> int:
    return 0 if text == b'-' else int(text)


def _start(text: bytes) -> int:
    return NEVER if text == b'-' else int(text)


def _end(text: bytes) -> int:
    return -1 if text == b'-' else int(text)


def _time(text: bytes) -> int | None:
    return None if text == b'-' else int(text)


def aggregated_records(
    records: Iterable[FlowRecord], key_fields: Sequence[str] = FIVE_TUPLE
) -> Iterator[dict[str, Any]]:
    """A dict for each distinct key: the key fields, then `packets`, `bytes`, first `start`, last `end`.

    >>> flow = {'srcaddr': '10.0.0.1', 'packets': 1, 'bytes': 40, 'start': 10, 'end': 20}
    >>> [row['bytes'] for row in aggregated_records([FlowRecord(flow), FlowRecord(flow)], ['srcaddr'])]
    [80]

    Values are what the attributes of a FlowRecord are. A key value that a record lacks is None, a key like any other;
    records without packets and bytes (NODATA, SKIPDATA) are left out. Rows come in the order of first appearance, after
    all records have been read; memory grows with the number of keys. A reader that has not been read from is summed
    without building records, several times faster. Raises ValueError for a key field that neither AWS nor any of the
    records has.
    """
    fields = tuple(map(normalise, key_fields))
    names = ' '.join(fields), ' '.join(SUMMED)
    table = Table()
    unknown = {name for name in fields if name not in KNOWN}
    for layout, columns in _tables(records, names):
        unknown -= layout.position.keys()
        table.add(*columns)
    for total in table.totals():
        if unknown:
            raise ValueError(f'no record has a field {min(unknown)}')
        row = {name: convert(name, text.decode()) for name, text in zip(fields, total.key)}
        times = {name: None if at is None else convert(name, str(at)) for name, at in zip(('start', 'end'), total[4:])}
        yield {**row, 'packets': total.packets, 'bytes': total.bytes, **times}


def _tables(records: Iterable[FlowRecord], names: Sequence[str]) -> Iterator[tuple[Layout, list[Column]]]:
    if getattr(records, 'unread', False):
        yield from records.tables(lambda layout: names)  # type: ignore[attr-defined]
        return
    fields = ' '.join(names).split()
    # Objects that have the attributes of a FlowRecord will do.
    records = (
        record if isinstance(record, FlowRecord) else FlowRecord({name: getattr(record, name, None) for name in fields})
        for record in records
    )
    for layout, run in groupby(records, key=lambda record: record.layout):
        while layout and (data := ''.join([record._line + '\n' for record in islice(run, 1000)])):
            yield layout, layout.columns(data.encode(), names)
