"""Flows summed by key fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple

from .fields import KNOWN
from .layout import Block, Layout, normalise
from .memo import Memo
from .record import FlowRecord, convert

FIVE_TUPLE = ('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol')
SUMMED = ('packets', 'bytes', 'start', 'end')
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

    Records without packets and bytes (NODATA, SKIPDATA) are no flows and are left out. Memory grows with the number of
    keys: about 300 bytes each.
    """

    def __init__(self, key_fields: Sequence[str]) -> None:
        self.key_fields = tuple(map(normalise, key_fields))
        self._sums_keys = not set(SUMMED).isdisjoint(self.key_fields)
        # The first record of a key stays a row of text, since most keys have no second one: (key, packets, bytes,
        # start, end). With a second one it becomes a list of numbers: packets, bytes, start, end, flows.
        self._totals: dict[bytes, Any] = {}
        self._numbers = Memo(_number)
        self._starts = Memo(_start)
        self._ends = Memo(_end)

    def add(self, layout: Layout, data: bytes) -> None:
        """Adds the records in canonical lines."""
        run = layout.run(self.key_fields) if self.key_fields and not self._sums_keys else None
        names = [run] if run else list(self.key_fields)
        rows: Iterable[tuple[bytes, ...]] = layout.rows(data, [*names, *SUMMED])
        if not run:
            width = len(self.key_fields)
            rows = [(b' '.join(row[:width]), *row[width:]) for row in rows]
        totals, numbers, starts, ends = self._totals, self._numbers, self._starts, self._ends
        for row in rows:
            total = totals.setdefault(row[0], row)
            if total is row:
                continue
            key, packets, octets, start, end = row
            if packets == b'-' and octets == b'-':
                continue
            if type(total) is tuple:
                if total[1] == b'-' and total[2] == b'-':
                    del totals[key]
                    totals[key] = row
                    continue
                total = totals[key] = [*map(numbers.__getitem__, total[1:3]), starts[total[3]], ends[total[4]], 1]
            total[0] += numbers[packets]
            total[1] += numbers[octets]
            if starts[start] < total[2]:
                total[2] = starts[start]
            if ends[end] > total[3]:
                total[3] = ends[end]
            total[4] += 1

    def totals(self) -> Iterator[Total]:
        for line in self.lines():
            key, packets, octets, start, end, flows = line[:-1].rsplit(b' ', 5)
            columns = tuple(key.split(b' ')) if self.key_fields else ()
            yield Total(columns, int(packets), int(octets), int(flows), _time(start), _time(end))

    def lines(self) -> Iterator[bytes]:
        """The totals as canonical lines: the key fields, packets, bytes, start, end, flows."""
        for key, total in self._totals.items():
            if type(total) is list:
                packets, octets, start, end, flows = total
                times = b'%d' % start if start != NEVER else b'-', b'%d' % end if end >= 0 else b'-'
                yield b'%b %d %d %b %b %d\n' % (key, packets, octets, *times, flows)
            elif total[1] != b'-' and total[2] != b'-':
                yield b'%b %b %b %b %b 1\n' % total
            elif total[1] != b'-' or total[2] != b'-':
                yield b'%b %d %d %b %b 1\n' % (key, self._numbers[total[1]], self._numbers[total[2]], *total[3:])


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
    table = Table(key_fields)
    blocks = records.blocks() if getattr(records, 'unread', False) else _blocks_of(records)  # type: ignore[attr-defined]
    unknown = {name for name in table.key_fields if name not in KNOWN}
    for block in blocks:
        unknown -= block.layout.position.keys()
        table.add(block.layout, block.data)
    for total in table.totals():
        if unknown:
            raise ValueError(f'no record has a field {min(unknown)}')
        row = {name: convert(name, text.decode()) for name, text in zip(table.key_fields, total.key)}
        times = {name: None if at is None else convert(name, str(at)) for name, at in zip(('start', 'end'), total[4:])}
        yield {**row, 'packets': total.packets, 'bytes': total.bytes, **times}


def _blocks_of(records: Iterable[FlowRecord]) -> Iterator[Block]:
    for layout, run in groupby(records, key=lambda record: record.layout):
        while layout and (data := ''.join([record.line + '\n' for record in islice(run, 1000)])):
            yield Block(layout, data.encode())
