"""Sums of flows by keys, in the kernel's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import chain, groupby, islice
from typing import Any

from ..errors import UsageError
from ..kernel import Sums, encode
from ..query.conditions import MAX_NUMBER
from ..query.groups import GroupKey
from ..query.query import FIVE_TUPLE
from ..query.result import ROWS
from ..records.block import Block
from ..records.fields import KNOWN
from ..records.layout import Layout, normalise
from ..records.record import FlowRecord, convert
from ..sources.base import BaseReader
from ..sources.filter import SUMMED, Filter, kernel_labels

# The values in a line of Sums after the keys.
SUMS = ('packets', 'bytes', 'start', 'end', 'flows')
# The fields of the keys, as BaseReader.sum_into takes them.
Keys = Sequence[Sequence[str]] | Callable[[Layout], Sequence[Sequence[str]]]


def table_of(keys: Sequence[GroupKey], track: Iterable[str] = SUMMED) -> Sums:
    """Return an empty table for these keys that sums the fields in `track`."""
    return Sums([*map(transform_of, keys)], track)


def transform_of(key: GroupKey) -> Any:
    """Return how the kernel makes a key of a value: see Sums in kernel/pure."""
    if key.mapping:
        return 'label', kernel_labels(key.mapping), b'-'
    return None if key.prefix is None else ('prefix', key.prefix, key.prefix)


def fields_of(keys: Iterable[GroupKey]) -> tuple[str, ...]:
    """Return the field of each key, as the keys of a layout."""
    return tuple(key.field for key in keys)


def read_into(table: Sums, sources: Iterable[BaseReader], keys: Keys, columns: Iterable[str] = ()) -> None:
    """Read all records of the sources into a table. `keys` and `columns` are those of BaseReader.sum_into."""
    for source in sources:
        for _ in source.sum_into(table, keys, columns):
            pass


def after_reading(read: Callable[[], None], chunks: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """Call `read`, then yield the chunks. If `read` raises, the error is raised after them; a UsageError at once."""
    failure = None
    try:
        read()
    except UsageError:
        raise
    except Exception as error:
        failure = error
    yield from chunks()
    if failure:
        raise failure


def chunks_of(table: Sums) -> Iterator[bytes]:
    """Yield the rows as canonical lines: the keys, packets, bytes, start, end, flows."""
    for begin in range(0, len(table), ROWS):
        yield table.lines(begin, ROWS)


def rows_of(table: Sums) -> Iterator[bytes]:
    """Yield the rows as :func:`chunks_of`, one at a time and without line ends."""
    return chain.from_iterable(map(bytes.splitlines, chunks_of(table)))


def key_of(row: bytes) -> bytes:
    """Return the keys of a row."""
    return row.rsplit(b' ', len(SUMS))[0]


def kinds_of(keys: int) -> bytes:
    """Return the kinds of the values in a line of a table with so many keys, for the kernel.

    All are text: a sum may have more digits than a number of a record.
    """
    return b'T' * (keys + len(SUMS))


def picked(lines: bytes, places: Sequence[int]) -> bytes:
    """Return the values at these places of each line."""
    count = len(places)
    return encode('text', [b'-'] * count, [False] * count, places, [None] * count, b' ', lines)


def folded(table: Sums, keys: int, places: Sequence[int]) -> Sums:
    """Return the sums of a table that has so many keys, by those of its keys that are at these places."""
    found = Sums([None] * len(places), table.track)
    kept = [*places, *range(keys, keys + len(SUMS))]
    for chunk in chunks_of(table):
        add_groups(found, picked(chunk, kept))
    return found


def add_groups(table: Sums, lines: bytes) -> None:
    """Add lines of another table to a table. Sums may have any number of digits."""
    try:
        table.add_groups(lines)
    except ValueError:
        table.add_groups(b''.join([short for line in lines.splitlines() for short in _short(line)]))


def _short(line: bytes) -> Iterator[bytes]:
    """Split a line of a table into lines whose sums have no more digits than the kernel takes.

    The line has enough flows to be split, because a value of one flow has no more digits than that.
    """
    *keys, packets, octets, start, end, flows = line.split(b' ')
    left = [int(packets), int(octets)]
    count = max(1, -(-max(left) // MAX_NUMBER))
    for more in reversed(range(count)):
        now = [b'%d' % min(number, MAX_NUMBER) for number in left]
        left = [max(0, number - MAX_NUMBER) for number in left]
        yield b' '.join([*keys, *now, start, end, b'%d\n' % (1 if more else int(flows) - count + 1)])


def ranked(chunks: Iterable[bytes], keys: int, measure: str, count: int) -> bytes:
    """Return the lines with so many keys that have the most bytes, packets or flows.

    Equal ones are in the order of the text of their keys, as Sums.top has them.
    """
    place = keys + SUMS.index(measure)

    def order(line: bytes) -> tuple[int, bytes]:
        values = line.split(b' ')
        return -int(values[place]), b' '.join(values[:keys])

    rows = chain.from_iterable(map(bytes.splitlines, chunks))
    return b''.join([line + b'\n' for line in nsmallest(count, rows, order)])


def sums_of(table: Sums, keys: int) -> list[int]:
    """Return the packets, bytes and flows of all rows of a table of so many keys."""
    totals = [0, 0, 0]
    width = keys + len(SUMS)
    for chunk in chunks_of(table):
        values = chunk.split()
        for at, name in enumerate(('packets', 'bytes', 'flows')):
            totals[at] += sum(map(int, values[keys + SUMS.index(name) :: width]))
    return totals


def tab_separated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield canonical lines as lines of a Table."""
    return (chunk.replace(b' ', b'\t') for chunk in chunks)


def aggregated_records(
    records: Iterable[FlowRecord], key_fields: Sequence[str] = FIVE_TUPLE
) -> Iterator[dict[str, Any]]:
    """Yield a dict for each distinct key: the key fields, then `packets`, `bytes`, first `start`, last `end`.

    >>> flow = {'srcaddr': '10.0.0.1', 'packets': 1, 'bytes': 40, 'start': 10, 'end': 20}
    >>> [row['bytes'] for row in aggregated_records([FlowRecord(flow), FlowRecord(flow)], ['srcaddr'])]
    [80]

    Values have the types of FlowRecord's attributes. A missing key value is None, a key like any other; records without
    packets and bytes (NODATA, SKIPDATA) are left out. Rows are in the order of first appearance, after all records have
    been read; memory grows with the number of keys. An unread reader is summed without building records, several times
    faster. Raises UsageError for a key field that neither AWS documents nor any of the records has.

    If the read fails, the error is raised after the rows of what was read before.
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
    """Add records to a table, and yield their Layouts."""

    def keys(layout: Layout) -> list[Sequence[str]]:
        """Return the keys of a layout: none if it has neither packets nor bytes."""
        return [fields] if {'packets', 'bytes'} & layout.position.keys() else []

    if isinstance(records, BaseReader) and records.unread:
        for block in records.sum_into(table, keys, fields):
            yield block.layout
        return
    names = [*fields, *SUMMED]
    # Any objects with the attributes of a FlowRecord are accepted.
    records = (
        record if isinstance(record, FlowRecord) else FlowRecord({name: getattr(record, name, None) for name in names})
        for record in records
    )
    everything = Filter()
    for layout, run in groupby(records, key=lambda record: record.layout):
        while layout and (data := ''.join([record._line + '\n' for record in islice(run, 1000)])):
            everything.add(table, Block(layout, data.encode()), keys(layout))
            yield layout
