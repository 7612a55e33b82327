"""Flow logs in local files and directories, and on standard input."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from .decode import CHUNK, inflate, text_blocks
from .errors import FlowLogsError
from .layout import Block
from .reader import BaseReader

STDIN = 'standard input'
SUFFIXES = ('.log', '.gz', '.txt', '.parquet')


class FileFlowLogsReader(BaseReader):
    """The records of a file, of the files in a directory, or of an open binary stream, plain or compressed.

    Without `start_time` and `end_time` everything is read; with one of them, exactly the records that start in the window.
    The format comes from the header rows; without one it is `fields`.
    """

    def __init__(
        self,
        location: str | os.PathLike[str] | BinaryIO,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        **options: Any,
    ) -> None:
        super().__init__(start_time=start_time, end_time=end_time, exact_window=bool(start_time or end_time), **options)
        self.location = location

    def describe(self) -> str:
        return str(self.location) if isinstance(self.location, (str, os.PathLike)) else STDIN

    def _read(self, limit: int | None) -> Iterator[Block]:
        if not isinstance(self.location, (str, os.PathLike)):
            yield from self._stream(self.location, STDIN)
            return
        for path in files_in(Path(self.location)):
            try:
                with open(path, 'rb', buffering=0) as stream:
                    yield from self._stream(stream, str(path))
            except OSError as error:
                self._unreadable(FlowLogsError(f'{path}: {error.strerror}'))

    def _stream(self, stream: BinaryIO, origin: str) -> Iterator[Block]:
        try:
            for block in text_blocks(self._counted(inflate(self._chunks(stream))), self.layout, origin):
                yield block
        except FlowLogsError as error:
            self._unreadable(FlowLogsError(f'{origin}: {error}'))

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        while chunk := stream.read(CHUNK):
            self.compressed_bytes_processed += len(chunk)
            yield chunk

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bytes_processed += len(chunk)
            yield chunk


def files_in(path: Path) -> list[Path]:
    """The file itself, or the flow log files below a directory in the order of their names."""
    if not path.is_dir():
        return [path]
    return sorted(Path(root, name) for root, _, names in os.walk(path) for name in names if name.endswith(SUFFIXES))
