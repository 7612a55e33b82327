"""gzip data -> text: with ISA-L if it is installed (the extra ``fast``), three times faster than zlib; else with zlib.

A zlib decompressor can be copied before each chunk, so that all text before a damaged byte can be recovered. One of
ISA-L cannot: if it meets damage, zlib inflates the member again, from compressed bytes that were kept for that.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO

from ..errors import DamagedError


def _isal() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        return None
    return isal_zlib


# None if it is not installed.
isal_zlib = _isal()

# The maximum size of a piece of text, of a gzip bomb too.
TEXT = 1 << 20
# zlib's wbits for a gzip header and the largest window.
MEMBER = 31
# Compressed bytes of a member to keep in memory, and in total. zlib inflates the rest of a longer stream.
IN_MEMORY = 1 << 20
AT_MOST = 1 << 26
# The text of a chunk, about 800 KB, fits into the processor's cache. Half the size takes a sixth longer: a thread hands
# each piece of text to another one.
CHUNK = 1 << 17


class _MemberStore:
    """The compressed bytes of a member so far: in the file that they come from, or in memory, then in a temporary file.

    If they are too many, or the disk is full or read-only, `is_full` is set, and the last chunk is not stored.
    """

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file if file is not None and hasattr(os, 'pread') else None
        self._copy: Any = BytesIO()
        self._begin = self._end = 0
        self.is_full = False

    def add(self, chunk: bytes) -> None:
        self._end += len(chunk)
        if self._file is None:
            self.is_full = self._end > AT_MOST or not self._is_copied(chunk)

    def _is_copied(self, chunk: bytes) -> bool:
        try:
            if self._end > IN_MEMORY and isinstance(self._copy, BytesIO):
                self._copy = _on_disk(self._copy.getvalue())
            # An unbuffered file may write less if the disk is full.
            return bool(self._copy.write(chunk) == len(chunk))
        except OSError:
            return False

    def begin_member(self, chunk: bytes) -> None:
        """Begin a member with this chunk, which is the end of the one that was added last."""
        self._begin = self._end - len(chunk)
        if self._file is None:
            self._copy.seek(0)
            self._copy.truncate()
            self._begin = self._end = 0
            self.add(chunk)

    def read(self, left: int) -> Iterator[bytes]:
        """Yield the bytes of the member, without the last `left` that were added."""
        at, end = self._begin, self._end - left
        while at < end:
            size = min(CHUNK, end - at)
            if self._file:
                chunk = os.pread(self._file.fileno(), size, at)
            else:
                self._copy.seek(at)
                chunk = self._copy.read(size)
            if not chunk:
                raise DamagedError('the gzip data was cut off while it was being read')
            at += len(chunk)
            yield chunk

    def close(self) -> None:
        self._copy.close()


def _on_disk(data: bytes) -> BinaryIO:
    """Return a temporary file that holds these bytes. Raises OSError if it cannot."""
    from tempfile import TemporaryFile

    file = TemporaryFile(buffering=0)
    try:
        if file.write(data) < len(data):
            raise OSError('the disk is full')
    except OSError:
        file.close()
        raise
    return file


def gunzip(chunks: Iterator[bytes], file: BinaryIO | None = None) -> Iterator[bytes]:
    """Yield the text of gzip members, one after the other. `file` is the file of the chunks, if it is seekable.

    Raises DamagedError, after all text before the damage.
    """
    if isal_zlib is None:
        yield from _inflate_with_zlib(chunks)
        return
    with closing(_MemberStore(file)) as store:
        yield from _inflate_with_isal(chunks, store)


def _inflate_with_isal(chunks: Iterator[bytes], store: _MemberStore) -> Iterator[bytes]:
    member = isal_zlib.decompressobj(MEMBER)
    done = 0
    for chunk in chunks:
        store.add(chunk)
        while chunk:
            if member.eof:
                # gzip(1) allows padding with zeros, and several members.
                chunk = chunk.lstrip(b'\0')
                if not chunk:
                    break
                member, done = isal_zlib.decompressobj(MEMBER), 0
                store.begin_member(chunk)
            try:
                text = member.decompress(chunk, TEXT)
            except isal_zlib.error:
                text = None
            if text is None or store.is_full:
                # A full store does not have the chunk. `text` is inflated a second time.
                yield from _restart_with_zlib(chunks, store, chunk, done)
                return
            done += len(text)
            if text:
                yield text
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        yield from _restart_with_zlib(chunks, store, b'', done)


def _restart_with_zlib(chunks: Iterator[bytes], store: _MemberStore, chunk: bytes, done: int) -> Iterator[bytes]:
    """Inflate the member from its beginning, and all that follows it, with zlib; without its first `done` bytes."""
    yield from _inflate_with_zlib(chain(store.read(len(chunk)), [chunk], chunks), done)


def _skip(text: bytes, done: int) -> Iterator[bytes]:
    if len(text) > done:
        yield text[done:]


def _inflate_with_zlib(chunks: Iterator[bytes], done: int = 0) -> Iterator[bytes]:
    """Yield the text of chunks, without its first `done` bytes."""
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
                    yield from _skip(piece, done)
                    done = max(0, done - len(piece))
                raise DamagedError(f'the gzip data is damaged ({error})') from None
            yield from _skip(text, done)
            done = max(0, done - len(text))
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        yield from _skip(member.flush(), done)
        raise DamagedError('the gzip data ends too early')


def _salvage(member: Any, chunk: bytes) -> Iterator[bytes]:
    """Yield the text of a chunk up to the damaged byte: zlib drops all text of a chunk that has one."""
    try:
        for at in range(len(chunk)):
            yield member.decompress(chunk[at : at + 1])
    except zlib.error:
        return
