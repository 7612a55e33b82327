"""Flows summed by key fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple

from .fields import KNOWN
from .layout import Block, Layout, normalise
from .record import FlowRecord, convert

FIVE_TUPLE = ('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol')
SUMMED = ('packets', 'bytes', 'start', 'end')
# Distinct texts of numbers whose int is remembered: times and packet counts repeat, and converting costs three look-ups.
REMEMBERED = 65_536


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
        # The first record of a key stays a row of text, since most keys have no second one: (key, packets, bytes, start,
        # end). With a second one it becomes a list: packets and bytes as numbers, start and end as text, flows.
        self._totals: dict[bytes, Any] = {}
        self._numbers = _Numbers()

    def add(self, layout: Layout, data: bytes) -> None:
        """Adds the records in canonical lines."""
        run = layout.run(self.key_fields) if self.key_fields else None
        names = [run] if run else list(self.key_fields)
        rows: Iterable[tuple[bytes, ...]] = layout.rows(data, [*names, *SUMMED])
        if not run:
            width = len(self.key_fields)
            rows = [(b' '.join(row[:width]), *row[width:]) for row in rows]
        totals, number = self._totals, self._numbers
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
                total = totals[key] = [number[total[1]], number[total[2]], total[3], total[4], 1]
            total[0] += number[packets]
            total[1] += number[octets]
            if start != total[2] and (total[2] == b'-' or number[start] < number[total[2]] and start != b'-'):
                total[2] = start
            if end != total[3] and (total[3] == b'-' or number[end] > number[total[3]] and end != b'-'):
                total[3] = end
            total[4] += 1

    def totals(self) -> Iterator[Total]:
        for key, total in self._totals.items():
            columns = tuple(key.split(b' ')) if self.key_fields else ()
            if type(total) is list:
                packets, octets, start, end, flows = total
                yield Total(columns, packets, octets, flows, _time(start), _time(end))
            elif total[1] != b'-' or total[2] != b'-':
                numbers = self._numbers
                yield Total(columns, numbers[total[1]], numbers[total[2]], 1, _time(total[3]), _time(total[4]))

    def lines(self) -> Iterator[bytes]:
        """The totals as canonical lines: the key fields, packets, bytes, start, end, flows."""
        for key, total in self._totals.items():
            if type(total) is list:
                yield b'%b %d %d %b %b %d\n' % (key, *total)
            elif total[1] != b'-' and total[2] != b'-':
                yield b'%b %b %b %b %b 1\n' % total
            elif total[1] != b'-' or total[2] != b'-':
                yield b'%b %d %d %b %b 1\n' % (key, self._numbers[total[1]], self._numbers[total[2]], *total[3:])


class _Numbers(dict[bytes, int]):
    """The value of a canonical number; a missing one counts as 0."""

    def __missing__(self, text: bytes) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        number = self[text] = 0 if text == b'-' else int(text)
        return number


def _time(text: bytes) -> int | None:
    return None if text == b'-' else int(text)


def aggregated_records(
    records: Iterable[FlowRecord], key_fields: Sequence[str] = FIVE_TUPLE
) -> Iterator[dict[str, Any]]:
    """A dict for each distinct key: the key fields, then `packets`, `bytes`, first `start`, last `end`.

    >>> flow = {'srcaddr': '10.0.0.1', 'packets': 1, 'bytes': 40, 'start': 10, 'end': 20}
    >>> [row['bytes'] for row in aggregated_records([FlowRecord(flow), FlowRecord(flow)], ['srcaddr'])]
    [80]

    Values are what the attributes of a FlowRecord are. A key value that a record lacks is None and a key like any other;
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
