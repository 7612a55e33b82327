"""Record batches of Arrow, made of canonical lines, with the types that AWS uses in Parquet files. Needs pyarrow.

Sources: docs.aws.amazon.com, vpc/latest/userguide/flow-log-records and vpc/latest/tgw/tgw-flow-logs (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import csv

from .fields import KNOWN, Kind

# Fields that AWS stores as INT_64; other numbers are INT_32. Sums and other columns of tables have 64 bits too.
WIDE = {'packets', 'bytes', *(name for name in KNOWN if name.startswith('packets_lost_'))}
# Bytes of lines that are converted at a time. In pieces of an eighth of that, the conversion takes twice as long.
PIECE = 1 << 20
# Times in files, as AWS writes them, and times for programs.
SECONDS, TIMESTAMP = pa.int64(), pa.timestamp('s', 'UTC')


def schema_of(columns: Iterable[tuple[str, Kind]], time: Any = SECONDS) -> Any:
    """Return the schema of these columns. `time` is the type of times."""
    return pa.schema([(name, time if kind is Kind.TIME else _type_of(name, kind)) for name, kind in columns])


def schema_of_fields(names: Iterable[str]) -> Any:
    """Return the schema of these fields, with times as timestamps. Fields that AWS does not document are text."""
    return schema_of([(name, KNOWN[name].kind if name in KNOWN else Kind.TEXT) for name in names], TIMESTAMP)


def _type_of(name: str, kind: Kind) -> Any:
    if kind is Kind.TEXT:
        return pa.string()
    if kind is Kind.DECIMAL:
        return pa.float64()
    return pa.int32() if kind is Kind.INTEGER and name in KNOWN and name not in WIDE else pa.int64()


def batch_of(schema: Any, places: Sequence[int], separator: bytes, lines: bytes) -> Any:
    """Return a record batch of lines: its columns are the values at these places, null for ``-`` and for a place -1.

    `lines` must not be empty, and each must end with a newline. Raises ValueError if a number is too large for the type
    of its column.
    """
    width = lines[: lines.index(b'\n')].count(separator) + 1
    stored = [SECONDS if type == TIMESTAMP else type for type in schema.types]
    types = {str(place): type for place, type in zip(places, stored) if place >= 0}
    try:
        table = csv.read_csv(
            pa.BufferReader(lines),
            csv.ReadOptions(column_names=[*map(str, range(width))], use_threads=False, block_size=len(lines) + 1),
            csv.ParseOptions(delimiter=separator.decode(), quote_char=False, double_quote=False),
            csv.ConvertOptions(
                column_types=types, include_columns=[*types], null_values=['-'], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        raise ValueError(_too_large(schema, places, separator, lines)) from None
    columns = [
        pa.nulls(table.num_rows, type) if place < 0 else table.column(str(place)).combine_chunks().cast(type)
        for place, type in zip(places, schema.types)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def table_of(batches: Sequence[Any], names: Iterable[str]) -> Any:
    """Return a pyarrow.Table of record batches, with the columns of all of them; without batches, with these fields."""
    tables = [pa.Table.from_batches([batch]) for batch in batches] or [schema_of_fields(names).empty_table()]
    return pa.concat_tables(tables, promote_options='default')


def _too_large(schema: Any, places: Sequence[int], separator: bytes, lines: bytes) -> str:
    """Return the message for the first number that is too large for its column."""
    for line in lines.splitlines():
        values = line.split(separator)
        for field, place in zip(schema, places):
            bits = field.type.bit_width if pa.types.is_integer(field.type) else 0
            if bits and place >= 0 and values[place] != b'-' and int(values[place]) >= 1 << (bits - 1):
                return f'{field.name} {values[place].decode()} does not fit into {bits} bits'
    return 'a value does not have the type of its column'
