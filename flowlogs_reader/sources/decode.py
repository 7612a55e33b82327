"""The bytes of a file or an object -> Blocks: decompression, whole lines, header rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ..errors import DamagedError, FlowLogsError
from ..kernel import check, letter_lines
from ..records.block import Block
from ..records.fields import KNOWN
from ..records.layout import MAX_LINE, Layout
from .envelopes import messages, unwrapped
from .gunzip import TEXT, gunzip

GZIP = b'\x1f\x8b'
ZSTD = b'\x28\xb5\x2f\xfd'
PARQUET = b'PAR1'
BYTE_ORDER_MARK = b'\xef\xbb\xbf'
_names = '|'.join(sorted(KNOWN, key=len, reverse=True))
_KNOWN_FIELD = re.compile(rb'(?:%s)(?=[ \t\r\n])' % _names.replace('_', '[-_]').encode())
_CONTROL = bytes(set(range(0x20)) - set(b'\t\n\r'))
_TOO_LONG = b'\xff'


def peek(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, at least `size` where there are so many, and all of the data."""
    chunks = iter(chunks)
    head = b''
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break
    return head, _preceded(head, chunks)


def _preceded(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from chunks


def inflate(chunks: Iterable[bytes], file: BinaryIO | None = None) -> Iterator[bytes]:
    """The text in gzip or zstd data, or in neither, as its first bytes show.

    `file` is where the chunks come from, if it can be read again.

    Raises DamagedError where the data breaks off or is corrupt, after all that could be decoded.
    """
    head, chunks = peek(chunks, len(ZSTD))
    if head.startswith(GZIP):
        return gunzip(chunks, file)
    if head.startswith(ZSTD):
        return _unzstd(chunks)
    return chunks


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        from compression.zstd import ZstdDecompressor, ZstdError  # type: ignore[import-not-found]
    except ImportError:
        raise FlowLogsError('zstd data needs Python 3.14 or newer; or pipe it in: zstdcat FILE | … -') from None
    frame = ZstdDecompressor()
    for chunk in chunks:
        while chunk or not (frame.eof or frame.needs_input):
            if frame.eof:
                frame = ZstdDecompressor()
            try:
                yield frame.decompress(chunk, TEXT)
            except ZstdError as error:
                raise DamagedError(f'the zstd data is damaged ({error})') from None
            chunk = frame.unused_data
    if not frame.eof:
        raise DamagedError('the zstd data ends too early')


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Runs of whole lines. The last one gets its newline; a line that an error breaks off in is left out.

    Of a line too long for a record only the beginning is kept, and a byte that keeps it from looking sound.
    """
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        cut = chunk.rfind(b'\n') + 1
        if cut:
            # A view, so that the text is copied once.
            yield _marked(b''.join([*waiting, memoryview(chunk)[:cut]]))
            waiting, size = [], 0
        if size <= MAX_LINE:
            waiting.append(chunk[cut:])
            size += len(chunk) - cut
            if size > MAX_LINE:
                waiting = [b''.join(waiting)[:MAX_LINE], _TOO_LONG]
    if size:
        yield b''.join([*waiting, b'\n'])


def _marked(data: bytes) -> bytes:
    at = 0
    while at + MAX_LINE < len(data):
        end = data.rfind(b'\n', at, at + MAX_LINE + 1) + 1
        if not end:
            data = data[: at + MAX_LINE] + _TOO_LONG + data[data.index(b'\n', at) :]
            end = at + MAX_LINE + 2
        at = end
    return data


def text_blocks(chunks: Iterable[bytes], layout: Layout | None = None) -> Iterator[Block]:
    """Blocks of the lines in these pieces of text.

    A header row, at the beginning or in the middle (several files through cat), sets the Layout of what follows it.
    Before the first one it is `layout`, or the default format. Raises DamagedError where the text is none.
    """
    current = layout or Layout()
    head, chunks = peek(chunks, 4)
    if head.removeprefix(BYTE_ORDER_MARK).startswith((b'{', b'[')):
        yield from messages(chunks, current)
        return
    begins_file = True
    for data in whole_lines(chunks):
        if begins_file:
            data = data.removeprefix(BYTE_ORDER_MARK)
        for lines, header in _sections(data, begins_file):
            if lines:
                if begins_file and len(lines) == len(data) and _is_binary(current, lines):
                    raise DamagedError('this is neither text nor gzip, zstd or Parquet data')
                yield Block(current, unwrapped(current, lines))
            if header and header != current:
                current = header
        begins_file = False


def _sections(data: bytes, begins_file: bool) -> Iterator[tuple[bytes, Layout | None]]:
    """The lines up to each header row, and its Layout; then the other lines."""
    begin = 0
    for at in _candidates(data, begins_file):
        end = data.index(b'\n', at) + 1
        try:
            header = Layout.from_header(data[at:end])
        except ValueError as error:
            yield data[begin:at], None
            raise FlowLogsError(f'unusable header row: {error}') from None
        if header:
            yield data[begin:at], header
            begin = end
    yield data[begin:], None


def _candidates(data: bytes, begins_file: bool) -> Iterator[int]:
    """Where header rows may begin: a first line of any fields, later lines that begin with a known field."""
    if begins_file:
        yield 0
    for at in letter_lines(data):
        if (at or not begins_file) and _KNOWN_FIELD.match(data, at):
            yield at


def _is_binary(layout: Layout, data: bytes) -> bool:
    """Whether these lines are no text, so that one message serves better than the number of lines."""
    if len(data.translate(None, _CONTROL)) == len(data):
        return False
    return not check(layout.kinds, unwrapped(layout, data))[0]
