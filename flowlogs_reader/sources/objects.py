"""The contents of a file or an object, in any encoding -> Blocks, counted; and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

from ..errors import DamagedError, FlowLogsError, MissingExtraError
from ..records.block import Block
from ..records.layout import Layout
from .decode import PARQUET, inflate, peek, text_blocks
from .filter import Filter
from .parquet import parquet_blocks


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

    `layout` is for text without a header row, `ended` (see Block) for records without times. With `columns` other
    fields may be left out, and with `where` records that do not pass.
    """

    origin: str
    layout: Layout | None = None
    ended: tuple[int, int] | None = None
    columns: Collection[str] | None = None
    where: Filter | None = None

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
                raise DamagedError('this is not Parquet data')
            else:
                text = Counted(inflate(data))
                blocks = text_blocks(text, self.layout)
            for block in blocks:
                size = block.size if text is None else text.take()
                yield Piece(block.from_place(self.origin, self.ended), size, stored.take())
        except MissingExtraError:
            raise
        except FlowLogsError as error:
            problem = error.within(self.origin)
        yield Piece(None, text.take() if text else 0, stored.take(), problem, self.origin)

    def _parquet(self, data: Iterator[bytes], file: BinaryIO | None, stored: Counted) -> Iterator[Block]:
        """Parquet is read from its end: what comes as a stream goes through a temporary file."""
        with TemporaryFile() if file is None else nullcontext(file) as whole:
            if file is None:
                whole.writelines(data)
            else:
                stored.size = whole.seek(0, os.SEEK_END)
            yield from parquet_blocks(whole, self.columns, self.origin, self.where)
