"""Parquet files of records and tables, with the types that AWS uses. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from ..errors import Cause, FlowLogsError, MissingExtraError
from ..query.result import Column
from .encodings import Encoding, Shape

# Rows of a row group: about 15 MB of records in memory. DuckDB writes groups of this size too.
ROWS = 122_880


class Parquet(Encoding):
    """Encodes lines as one Parquet file. Times are Unix seconds, and a missing value is null.

    All lines must have the same columns. Raises MissingExtraError without pyarrow.
    """

    def __init__(self) -> None:
        try:
            import pyarrow.parquet

            from ..records import typed
        except ImportError:
            raise MissingExtraError('parquet', 'writing Parquet') from None
        super().__init__('parquet')
        self._pyarrow, self._typed = pyarrow, typed
        self._file = BytesIO()
        self._writer: Any = None
        self._expected: Sequence[Column] = ()
        self._lines: list[bytes] = []
        self._batches: list[Any] = []
        self._size = self._rows = 0

    def expect(self, columns: Sequence[Column]) -> None:
        self._expected = columns

    def begin(self, shape: Shape, header: bool) -> None:
        if shape != self._shape:
            self._convert()
        self._shape = shape

    def lines(self, data: bytes) -> bytes:
        """Return the bytes of the row groups that are complete."""
        self._lines.append(data)
        self._size += len(data)
        if self._size >= self._typed.PIECE:
            self._convert()
        return self._take()

    def end(self) -> bytes:
        """Return the rest of the file. Without lines, it has the columns that were expected, and no rows."""
        self._convert()
        if self._writer is None:
            self._open(self._typed.schema_of(self._expected))
        if self._writer.is_open:
            self._write_group()
            self._writer.close()
        return self._take()

    def _convert(self) -> None:
        """Convert the lines that are held to rows, and write a row group if there are enough of them."""
        lines, self._lines, self._size = b''.join(self._lines), [], 0
        shape = self._shape
        if not lines or not shape:
            return
        schema = self._typed.schema_of(shape.columns)
        if self._writer is None:
            self._open(schema)
        if schema != self._writer.schema:
            raise FlowLogsError(_difference(self._writer.schema.names, schema.names), Cause.SEVERAL_FORMATS)
        try:
            self._batches.append(self._typed.batch_of(schema, shape.places, shape.separator, lines))
        except ValueError as error:
            raise FlowLogsError(f'cannot write Parquet: {error}') from None
        self._rows += len(self._batches[-1])
        if self._rows >= ROWS:
            self._write_group()

    def _open(self, schema: Any) -> None:
        self._writer = self._pyarrow.parquet.ParquetWriter(self._file, schema, compression='zstd')

    def _write_group(self) -> None:
        if self._batches:
            self._writer.write_table(self._pyarrow.Table.from_batches(self._batches), row_group_size=self._rows)
        self._batches, self._rows = [], 0

    def _take(self) -> bytes:
        written = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return written


def _difference(first: Sequence[str], names: Sequence[str]) -> str:
    other = [name for name in names if name not in first] + [name for name in first if name not in names]
    return f'a Parquet file has the same columns for all records, and formats of this log differ in {" ".join(other)}'
