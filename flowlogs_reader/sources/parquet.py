"""Parquet files -> Blocks of lines. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from ..errors import DamagedError, MissingExtraError
from ..records.block import Block
from ..records.fields import KNOWN
from ..records.layout import Layout, normalise
from ..records.record import NEVER_NONE
from .keys import partitions

# Rows that are made into lines at a time: about a megabyte of text.
ROWS = 8192
BUFFER = 1 << 16


def parquet_blocks(file: BinaryIO, columns: Collection[str] | None = None, path: str = '') -> Iterator[Block]:
    """The rows as lines, a missing value as ``-``. With `columns` only those are read.

    A field that Hive partitions carry in the path, and the file therefore lacks, is taken from there. AWS itself leaves
    all fields in the file.

    Raises MissingExtraError without pyarrow, and DamagedError where the file, or what is in it, cannot be read.
    """
    try:
        from pyarrow import ArrowException
    except ImportError:
        raise MissingExtraError('parquet', 'reading Parquet') from None
    try:
        yield from _blocks(file, columns, path)
    except (ArrowException, OSError, ValueError) as error:
        raise DamagedError(f'the Parquet data cannot be read: {" ".join(str(error).split())[:200]}') from None


def _blocks(file: BinaryIO, columns: Collection[str] | None, path: str) -> Iterator[Block]:
    from pyarrow.parquet import ParquetFile

    # Read as it goes: with pre_buffer all that is compressed of a row group would be held in memory.
    parquet = ParquetFile(file, pre_buffer=False, buffer_size=BUFFER)
    names = {normalise(name): name for name in parquet.schema_arrow.names}
    if len(names) < len(parquet.schema_arrow.names):
        raise ValueError(f'two of its columns are one field ({", ".join(parquet.schema_arrow.names)})')
    if KNOWN.keys().isdisjoint(names):
        raise ValueError(f'no field of a flow log is among its columns ({", ".join(names)})')
    extra = {normalise(name): value for name, value in partitions(path).items()}
    extra = {name: value for name, value in extra.items() if name in KNOWN and name not in names}
    if columns is not None:
        names = {name: names[name] for name in names if name in columns} or dict(list(names.items())[:1])
        extra = {name: value for name, value in extra.items() if name in columns}
    layout = Layout([*names, *extra])
    for group in range(parquet.num_row_groups):
        # One by one, since a batch may otherwise reach into a row group that is damaged.
        for batch in parquet.iter_batches(ROWS, [group], list(names.values()), use_threads=False):
            values = [_texts(name, batch.column(stored)) for name, stored in names.items()]
            yield Block(layout, _lines([*values, *extra.values()]))


def _texts(name: str, column: Any) -> Any:
    """The values of a column as they stand in a log. Raises ValueError where they cannot."""
    import pyarrow as pa
    from pyarrow import compute, types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_timestamp(column.type):
        column = column.cast(pa.timestamp('s'), safe=False).cast(pa.int64())
    if types.is_floating(column.type):
        # Other writers make numbers with missing values into floats.
        column = column.cast(pa.int64())
    if types.is_nested(column.type) or types.is_boolean(column.type):
        raise ValueError(f'the column {name} holds {column.type}, which no field of a flow log is')
    texts = compute.fill_null(column.cast(pa.string()), '-')
    if name in NEVER_NONE:
        # Writers that make texts of everything write it for a missing value.
        texts = compute.if_else(compute.equal(texts, 'None'), '-', texts)
    return compute.if_else(compute.equal(texts, ''), '-', texts)


def _lines(columns: list[Any]) -> bytes:
    """A line for each row, taken from the memory of the joined texts as one piece."""
    import pyarrow as pa
    from pyarrow import compute

    joined = compute.binary_join_element_wise(*columns, ' ')
    if compute.any(compute.match_substring(joined, '\n')).as_py():
        # Of a row with a line end in it no part may look like a record.
        joined = compute.replace_substring(joined, '\n', '\0')
    lines = compute.binary_join_element_wise(joined, '\n', '')
    _, offsets, data = lines.buffers()
    end = memoryview(offsets).cast('i')[len(lines)]
    assert lines.type == pa.string() and lines.offset == 0
    return bytes(memoryview(data)[:end])
