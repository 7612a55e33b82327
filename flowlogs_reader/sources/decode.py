"""Makes Blocks from the bytes of a file or an object: decompresses, splits into whole lines, reads header rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ..errors import DamagedError, FlowLogsError
from ..kernel import check, letter_lines
from ..kernel.limits import MAX_LINE
from ..records.block import Block
from ..records.fields import KNOWN
from ..records.layout import Layout
from .envelopes import messages, unwrapped
from .gunzip import TEXT, gunzip

GZIP = b'\x1f\x8b'
ZSTD = b'\x28\xb5\x2f\xfd'
PARQUET = b'PAR1'
BYTE_ORDER_MARK = b'\xef\xbb\xbf'
_NAME = re.compile(rb'([a-z0-9_-]+)[ ,\t\r\n]')
_NAMES = re.compile(rb'[a-z0-9_ ,\t-]+\r?\n')
_CONTROL = bytes(set(range(0x20)) - set(b'\t\n\r'))
_TOO_LONG = b'\xff'


def peek(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, at least `size` if there are so many, and an iterator over all chunks, with these."""
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
    """Decompress gzip and zstd data, which is detected from the first bytes; other data is not changed.

    `file` is the file that the chunks are read from, if it is seekable. Raises DamagedError if the data is corrupt or
    ends too early, after all that could be decompressed.
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
    """Join and split chunks, so that each has whole lines. A last line without a newline gets one.

    If the chunks end with an exception, the line that it cuts off is left out. A line longer than MAX_LINE is cut, and
    gets a byte at its end that no record contains, so that it is skipped.
    """
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        cut = chunk.rfind(b'\n') + 1
        if cut:
            # A memoryview saves a copy.
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
    """Return the lines; those that are longer than MAX_LINE are cut and marked with _TOO_LONG."""
    at = 0
    while at + MAX_LINE < len(data):
        end = data.rfind(b'\n', at, at + MAX_LINE + 1) + 1
        if not end:
            data = data[: at + MAX_LINE] + _TOO_LONG + data[data.index(b'\n', at) :]
            end = at + MAX_LINE + 2
        at = end
    return data


def text_blocks(chunks: Iterable[bytes], layout: Layout | None = None) -> Iterator[Block]:
    """Yield Blocks of the lines in these chunks of text.

    A header row sets the Layout of the lines after it. It may be in the middle: cat joins files. The lines before the
    first header row have `layout`, or the default one. Raises DamagedError if the data is not text.
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
    """Yield the lines before each header row with its Layout, and at last the lines after all header rows."""
    begin = 0
    for at in _candidates(data, begins_file):
        end = data.index(b'\n', at) + 1
        try:
            header = Layout.from_header(data[at:end])
        except ValueError as error:
            # A line that begins with another word is more likely text: it is left out, and the read goes on.
            if not (begins_file and not at or _begins_with_field(data, at)):
                continue
            yield data[begin:at], None
            raise FlowLogsError(f'unusable header row: {error}') from None
        if header:
            yield data[begin:at], header
            begin = end
    yield data[begin:], None


def _candidates(data: bytes, begins_file: bool) -> Iterator[int]:
    """Yield the offsets of lines that may be header rows.

    These are the first line, lines that begin with a known field, and lines that have only what names have.
    """
    if begins_file:
        yield 0
    for at in letter_lines(data):
        if (at or not begins_file) and (_begins_with_field(data, at) or _NAMES.match(data, at)):
            yield at


def _begins_with_field(data: bytes, at: int) -> bool:
    """Whether a line begins with the name of a known field."""
    name = _NAME.match(data, at)
    return name is not None and name[1].decode().replace('-', '_') in KNOWN


def _is_binary(layout: Layout, data: bytes) -> bool:
    """Whether the data is not text: one message then says more than the number of skipped lines."""
    if len(data.translate(None, _CONTROL)) == len(data):
        return False
    return not check(layout.kinds, unwrapped(layout, data))[0]
