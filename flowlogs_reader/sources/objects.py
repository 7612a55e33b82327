"""What is in a file or an object, of whatever kind -> Blocks, counted; and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

from ..errors import DamagedError, FlowLogsError, MissingExtraError
from ..records.layout import Block, Layout
from .decode import PARQUET, inflate, peek, text_blocks
from .parquet import parquet_blocks
from .s3.keys import KeyWindow, key_time


class Piece(NamedTuple):
    """A Block on its way to the reader, or why there is none; and what was read for it since the last Piece.

    `text` counts bytes of text, `stored` the bytes that it was kept as. `end` is the name of what ends with this Piece.
    """

    block: Block | None = None
    text: int = 0
    stored: int = 0
    error: FlowLogsError | None = None
    end: str = ''


class Counted(Iterator[bytes]):
    """Data as it comes; `size` is how much came since the last :meth:`take`."""

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
    """How to read a file or an object: its name, and what the reader knows and wants.

    `layout` is for text without a header row, `time` (Unix seconds) for records without times. With `columns` others
    may be left out.
    """

    origin: str
    layout: Layout | None = None
    time: int | None = None
    columns: Collection[str] | None = None

    def pieces(self, chunks: Iterable[bytes], file: BinaryIO | None = None) -> Iterator[Piece]:
        """The Blocks in this data. What is wrong with it comes as the last Piece, after all that could be read.

        `file` is where the data comes from, where that can be read at any place.
        Raises MissingExtraError where Parquet is met without pyarrow.
        """
        stored = Counted(chunks)
        text: Counted | None = None
        problem = None
        try:
            head, data = peek(stored, len(PARQUET))
            if head.startswith(PARQUET):
                blocks = self._parquet(data, file, stored)
            elif head and self.origin.endswith('.parquet'):
                raise DamagedError('this is no Parquet data')
            else:
                text = Counted(inflate(data))
                blocks = text_blocks(text, self.layout)
            for block in blocks:
                size = len(block.data) if text is None else text.take()
                yield Piece(block._replace(origin=self.origin, time=self.time), size, stored.take())
        except MissingExtraError:
            raise
        except FlowLogsError as error:
            problem = type(error)(f'{self.origin}: {error}')
        yield Piece(None, text.take() if text else 0, stored.take(), problem, self.origin)

    def _parquet(self, data: Iterator[bytes], file: BinaryIO | None, stored: Counted) -> Iterator[Block]:
        """Parquet is read from its end: what comes as a stream goes through a temporary file."""
        with TemporaryFile() if file is None else nullcontext(file) as whole:
            if file is None:
                whole.writelines(data)
            else:
                stored.size = whole.seek(0, os.SEEK_END)
            yield from parquet_blocks(whole, self.columns, self.origin)


class Once:
    """Lets each object through once, over many readings, some of which break off. Objects are known by their origin."""

    def __init__(self) -> None:
        self._read: set[str] = set()
        self._bytes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, origin: str) -> bool:
        """Whether the whole object has come out."""
        return origin in self._read

    def forget(self, keys: KeyWindow) -> None:
        """Forgets all objects but those with these keys."""
        self._read = {origin for origin in self._read if keys.holds(key_time(origin))}

    def fresh(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The pieces of objects, less what came out of these before. They may be cut elsewhere, yet hold the same."""
        at = 0
        for piece in pieces:
            if piece.block:
                origin, data = piece.block.origin, piece.block.data
                out = self._bytes.get(origin, 0)
                yield piece._replace(block=piece.block._replace(data=data[max(0, out - at) :]))
                at += len(data)
                self._bytes[origin] = max(out, at)
            else:
                yield piece
            if piece.end:
                at = 0
                self._bytes.pop(piece.end, None)
                self._read.add(piece.end)
