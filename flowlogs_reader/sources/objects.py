"""The contents of a file or an object -> Blocks, byte counts and errors."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from ..errors import DamagedError, FlowLogsError, MissingExtraError
from ..records.block import Block
from ..records.layout import Layout
from .decode import PARQUET, inflate, peek, text_blocks
from .filter import Filter
from .parquet import parquet_blocks


class Piece(NamedTuple):
    """A Block or an error, and the number of bytes that were read for it.

    `text` counts bytes of text, `stored` bytes as stored (compressed). `end` is the name of the file or object if this
    is its last Piece.
    """

    block: Block | None = None
    text: int = 0
    stored: int = 0
    error: FlowLogsError | None = None
    end: str = ''


class CountedChunks(Iterator[bytes]):
    """Passes chunks on; `size` is the number of bytes since the last :meth:`take`."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.size = 0

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.size += len(chunk)
        return chunk

    def take(self) -> int:
        size, self.size = self.size, 0
        return size


class Contents(NamedTuple):
    """How to read a file or an object named `origin`.

    `layout` is for text without a header row, `ended` (see Block) for records without times. Fields that are not in
    `columns` may be left out (None: all are needed), and records that do not pass `where`.
    """

    origin: str
    layout: Layout | None = None
    ended: tuple[int, int] | None = None
    columns: Collection[str] | None = None
    where: Filter | None = None

    def pieces(self, chunks: Iterable[bytes], file: BinaryIO | None = None) -> Iterator[Piece]:
        """Yield the Blocks in `chunks`. An error is in the last Piece, after all that could be read.

        `file` is the file of the chunks, if it is seekable. Raises MissingExtraError for Parquet without pyarrow.
        """
        stored = CountedChunks(chunks)
        text: CountedChunks | None = None
        problem = None
        try:
            head, data = peek(stored, len(PARQUET))
            if head.startswith(PARQUET):
                blocks = self._parquet(data, file, stored)
            elif head and self.origin.endswith('.parquet'):
                raise DamagedError('this is not Parquet data')
            else:
                text = CountedChunks(inflate(data, file))
                blocks = text_blocks(text, self.layout)
            for block in blocks:
                size = block.size if text is None else text.take()
                yield Piece(block.from_place(self.origin, self.ended), size, stored.take())
        except MissingExtraError:
            raise
        except FlowLogsError as error:
            problem = error.within(self.origin)
        yield Piece(None, text.take() if text else 0, stored.take(), problem, self.origin)

    def _parquet(self, data: Iterator[bytes], file: BinaryIO | None, stored: CountedChunks) -> Iterator[Block]:
        """Yield the Blocks of Parquet, which is read from its end: a stream is copied to a temporary file first."""
        from tempfile import TemporaryFile

        if file is not None:
            stored.size = file.seek(0, os.SEEK_END)
            yield from parquet_blocks(file, self.columns, self.origin, self.where)
            return
        try:
            with TemporaryFile() as copy:
                copy.writelines(data)
                copy.flush()
                yield from parquet_blocks(copy, self.columns, self.origin, self.where)
        except OSError as error:
            raise FlowLogsError(f'a temporary file cannot be written: {error.strerror or error}') from None
