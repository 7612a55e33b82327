"""gzip data -> text: with ISA-L if it is installed (the extra ``fast``), three times faster than zlib; else with zlib.

zlib can be copied before each chunk, so that a damaged chunk gives all that comes before the byte that is wrong. ISA-L
cannot. If it meets damage, zlib does the same member again, from the compressed bytes that were kept for that.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from ..errors import DamagedError

isal_zlib: Any = None
with suppress(ImportError):
    from isal import isal_zlib

# Text is handed on in about this size. A piece of a gzip bomb never becomes longer either.
TEXT = 1 << 18
# zlib: the largest window, and a gzip header.
MEMBER = 31
# Compressed bytes of a member that are kept in memory, and in all. Of a longer stream zlib inflates the rest.
IN_MEMORY = 1 << 20
AT_MOST = 1 << 26
# Compressed bytes are read in pieces whose text stays in the processor's cache: larger ones take a quarter longer.
CHUNK = 1 << 16


class _Kept:
    """The compressed bytes of a member so far: in the file that they come from, if it is one, or in a temporary one."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file if file is not None and hasattr(os, 'pread') else None
        self._spool = None if self._file else SpooledTemporaryFile(IN_MEMORY)
        self._begin = self._end = 0

    def add(self, chunk: bytes) -> None:
        self._end += len(chunk)
        if self._spool:
            self._spool.write(chunk)

    def begin_member(self, left: int) -> None:
        """The member begins with the last `left` bytes that were added."""
        self._begin = self._end - left
        if self._spool:
            self._spool.seek(self._begin)
            rest = self._spool.read()
            self._spool.seek(0)
            self._spool.truncate()
            self._spool.write(rest)
            self._begin, self._end = 0, len(rest)

    @property
    def is_full(self) -> bool:
        return self._spool is not None and self._end > AT_MOST

    def read(self, left: int) -> Iterator[bytes]:
        """The bytes of the member, without the last `left` that were added."""
        at, end = self._begin, self._end - left
        while at < end:
            size = min(CHUNK, end - at)
            if self._file:
                chunk = os.pread(self._file.fileno(), size, at)
            else:
                assert self._spool
                self._spool.seek(at)
                chunk = self._spool.read(size)
            if not chunk:
                raise DamagedError('the gzip data was cut off while it was being read')
            at += len(chunk)
            yield chunk
        if self._spool:
            self._spool.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._spool:
            self._spool.close()


def gunzip(chunks: Iterator[bytes], file: BinaryIO | None = None) -> Iterator[bytes]:
    """The text of gzip members, one after the other. `file` is where the chunks come from, if it can be read again.

    Raises DamagedError after all that could be inflated.
    """
    if isal_zlib is None:
        yield from _by_zlib(chunks)
        return
    with closing(_Kept(file)) as kept:
        yield from _by_isal(chunks, kept)


def _by_isal(chunks: Iterator[bytes], kept: _Kept) -> Iterator[bytes]:
    member = isal_zlib.decompressobj(MEMBER)
    given = 0
    for chunk in chunks:
        kept.add(chunk)
        while chunk:
            if member.eof:
                # gzip(1) lets zeros pad a file, and members follow each other.
                chunk = chunk.lstrip(b'\0')
                if not chunk:
                    break
                member, given = isal_zlib.decompressobj(MEMBER), 0
                kept.begin_member(len(chunk))
            try:
                text = member.decompress(chunk, TEXT)
            except isal_zlib.error:
                text = None
            if text is None or kept.is_full:
                # Text that came with a full store is inflated once more.
                yield from _again(chunks, kept, chunk, given)
                return
            given += len(text)
            if text:
                yield text
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        yield from _again(chunks, kept, b'', given)


def _again(chunks: Iterator[bytes], kept: _Kept, chunk: bytes, given: int) -> Iterator[bytes]:
    """Inflates the member with zlib, from its beginning, and all that follows it; without the text that was given."""
    yield from _by_zlib(chain(kept.read(len(chunk)), [chunk], chunks), given)


def _without(text: bytes, given: int) -> Iterator[bytes]:
    if len(text) > given:
        yield text[given:]


def _by_zlib(chunks: Iterator[bytes], given: int = 0) -> Iterator[bytes]:
    """The text of chunks, without its first `given` bytes."""
    member = zlib.decompressobj(MEMBER)
    for chunk in chunks:
        while chunk:
            if member.eof:
                chunk = chunk.lstrip(b'\0')
                if not chunk:
                    break
                member = zlib.decompressobj(MEMBER)
            before = member.copy()
            try:
                text = member.decompress(chunk, TEXT)
            except zlib.error as error:
                for piece in _salvage(before, chunk):
                    yield from _without(piece, given)
                    given = max(0, given - len(piece))
                raise DamagedError(f'the gzip data is damaged ({error})') from None
            yield from _without(text, given)
            given = max(0, given - len(text))
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        yield from _without(member.flush(), given)
        raise DamagedError('the gzip data ends too early')


def _salvage(member: Any, chunk: bytes) -> Iterator[bytes]:
    """What a chunk gives up to the byte that is wrong: zlib itself lets go of it all."""
    try:
        for at in range(len(chunk)):
            yield member.decompress(chunk[at : at + 1])
    except zlib.error:
        return
