"""Flows summed by keys, in the kernel's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from ..errors import UsageError
from ..kernel import Sums
from ..query.groups import GroupKey
from ..query.query import FIVE_TUPLE
from ..query.result import ROWS
from ..records.block import Block
from ..records.fields import KNOWN
from ..records.layout import Layout, normalise
from ..records.record import FlowRecord, convert
from ..sources.base import BaseReader
from ..sources.filter import SUMMED, Filter


def table_of(keys: Sequence[GroupKey], track: Iterable[str] = SUMMED) -> Sums:
    """An empty table for these keys. What is not tracked is not summed."""
    return Sums([None if key.prefix is None else ('prefix', key.prefix, key.prefix) for key in keys], track)


def fields_of(keys: Iterable[GroupKey]) -> tuple[str, ...]:
    return tuple(key.field for key in keys)


def read_into(table: Sums, sources: Iterable[BaseReader], keys: Sequence[Sequence[str]]) -> None:
    """Reads everything into a table."""
    for source in sources:
        for _ in source.sum_into(table, keys):
            pass


def after_reading(read: Callable[[], None], chunks: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """Reads everything, then gives the chunks. What was read before an error comes out before it is raised."""
    failure = None
    try:
        read()
    except Exception as error:
        failure = error
    yield from chunks()
    if failure:
        raise failure


def chunks_of(table: Sums) -> Iterator[bytes]:
    """The rows as canonical lines: the keys, packets, bytes, start, end, flows."""
    for begin in range(0, len(table), ROWS):
        yield table.lines(begin, ROWS)


def tabbed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Canonical lines as the lines of a Table."""
    return (chunk.replace(b' ', b'\t') for chunk in chunks)


def aggregated_records(
    records: Iterable[FlowRecord], key_fields: Sequence[str] = FIVE_TUPLE
) -> Iterator[dict[str, Any]]:
    """A dict for each distinct key: the key fields, then `packets`, `bytes`, first `start`, last `end`.

    >>> flow = {'srcaddr': '10.0.0.1', 'packets': 1, 'bytes': 40, 'start': 10, 'end': 20}
    >>> [row['bytes'] for row in aggregated_records([FlowRecord(flow), FlowRecord(flow)], ['srcaddr'])]
    [80]

    If reading fails, the rows of what was read come out before the error is raised.

    Values are what the attributes of a FlowRecord are. A key value that a record lacks is None, a key like any other;
    records without packets and bytes (NODATA, SKIPDATA) are left out. Rows come in the order of first appearance, after
    all records have been read; memory grows with the number of keys. A reader that has not been read from is summed
    without building records, several times faster. Raises UsageError for a key field that neither AWS nor any of the
    records has.
    """
    fields = tuple(map(normalise, key_fields))
    table = Sums([None] * len(fields))
    unknown = {name for name in fields if name not in KNOWN}

    def read() -> None:
        for layout in _added(table, records, fields):
            unknown.difference_update(layout.position)

    for chunk in after_reading(read, lambda: chunks_of(table)):
        if unknown:
            raise UsageError(f'no record has a field {min(unknown)}')
        for line in chunk.decode().splitlines():
            *values, packets, octets, start, end, _ = line.split(' ')
            row = {name: convert(name, text) for name, text in zip(fields, values)}
            times = {'start': convert('start', start), 'end': convert('end', end)}
            yield {**row, 'packets': int(packets), 'bytes': int(octets), **times}


def _added(table: Sums, records: Iterable[FlowRecord], fields: Sequence[str]) -> Iterator[Layout]:
    """Adds records to a table, and gives the Layouts that were met."""

    def keys(layout: Layout) -> list[Sequence[str]]:
        """Without packets and bytes in its layout, a record is not summed."""
        return [fields] if {'packets', 'bytes'} & layout.position.keys() else []

    if isinstance(records, BaseReader) and records.unread:
        for block in records.sum_into(table, keys, fields):
            yield block.layout
        return
    names = [*fields, *SUMMED]
    # Objects that have the attributes of a FlowRecord will do.
    records = (
        record if isinstance(record, FlowRecord) else FlowRecord({name: getattr(record, name, None) for name in names})
        for record in records
    )
    everything = Filter()
    for layout, run in groupby(records, key=lambda record: record.layout):
        while layout and (data := ''.join([record._line + '\n' for record in islice(run, 1000)])):
            everything.add(table, Block(layout, data.encode()), keys(layout))
            yield layout
