"""The only code that writes records to stdout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from .errors import FlowLogsError
from .fields import DEFAULT_FIELDS
from .layout import Block, Layout


class Writer:
    """Writes records and tables as text: records with one space between columns, tables with tabs and a header."""

    def __init__(self, stdout: BinaryIO) -> None:
        self._stdout = stdout
        self.written = 0

    def records(self, block: Block) -> None:
        """The records of a Block: the 14 default columns, then the others that its format has."""
        self._write(in_output_order(block.layout, block.data))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A header and rows; nothing at all where there are no rows."""
        lines = ['\t'.join(map(str, row)) + '\n' for row in rows]
        if lines:
            self._write(''.join(['\t'.join(header) + '\n', *lines]).encode())

    def lines(self, texts: Iterable[bytes]) -> None:
        self._write(b''.join([text + b'\n' for text in texts]))

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        with _told():
            self._stdout.write(data)

    def flush(self) -> None:
        with _told():
            self._stdout.flush()


@contextmanager
def _told() -> Iterator[None]:
    """A full disk is an error of its own; a closed pipe is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FlowLogsError(f'cannot write the output: {error.strerror}') from error


def in_output_order(layout: Layout, data: bytes) -> bytes:
    if layout.fields == DEFAULT_FIELDS:
        return data
    rows = layout.rows(data, layout.output_fields)
    return b'\n'.join(map(b' '.join, rows)) + b'\n'
