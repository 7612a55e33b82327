"""The bytes of a file or an object -> Blocks: decompression, whole lines, header rows, wrappings."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

from .errors import DamagedError, FlowLogsError
from .fields import KNOWN
from .layout import MAX_LINE, Block, Layout

# Compressed bytes are read in pieces whose text stays in the processor's cache: larger ones take a quarter longer.
CHUNK = 1 << 16
# Text is handed on in about this size. A piece of a gzip bomb never becomes longer either.
TEXT = 1 << 18
GZIP = b'\x1f\x8b'
ZSTD = b'\x28\xb5\x2f\xfd'
PARQUET = b'PAR1'
BYTE_ORDER_MARK = b'\xef\xbb\xbf'
_GZIP_MEMBER = 31  # zlib: the largest window, and a gzip header
_names = '|'.join(sorted(KNOWN, key=len, reverse=True))
_HEADER = re.compile(rb'\n(?=[a-z])(?:%s)[ \t\r\n]' % _names.replace('_', '[-_]').encode())


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text in gzip or zstd data, or in neither, told by its first bytes.

    Raises DamagedError where the data breaks off or is corrupt, after all that could be decoded.
    """
    chunks = iter(chunks)
    head = b''
    for chunk in chunks:
        head += chunk
        if len(head) >= len(ZSTD):
            break
    rest = _preceded(head, chunks)
    if head.startswith(GZIP):
        return _gunzip(rest)
    if head.startswith(ZSTD):
        return _unzstd(rest)
    return rest


def _preceded(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from chunks


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP_MEMBER)
    for chunk in chunks:
        while chunk:
            if member.eof:
                # gzip(1) lets zeros pad a file, and members follow each other.
                chunk = chunk.lstrip(b'\0')
                if not chunk:
                    break
                member = zlib.decompressobj(_GZIP_MEMBER)
            try:
                text = member.decompress(chunk, TEXT)
            except zlib.error as error:
                raise DamagedError(f'the gzip data is damaged ({error})') from None
            if text:
                yield text
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        yield member.flush()
        raise DamagedError('the gzip data ends too early')


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        from compression.zstd import ZstdDecompressor, ZstdError
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
    """Runs of whole lines. The last one gets its newline; of a line too long for a record only the beginning is kept."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        cut = chunk.rfind(b'\n') + 1
        if cut:
            yield b''.join([*waiting, chunk[:cut]])
            waiting, size = [], 0
        if size <= MAX_LINE:
            waiting.append(chunk[cut : cut + MAX_LINE + 1])
            size += len(waiting[-1])
    if size:
        yield b''.join([*waiting, b'\n'])


def text_blocks(chunks: Iterable[bytes], layout: Layout | None, origin: str) -> Iterator[Block]:
    """Blocks of the lines in these pieces of text.

    A header row, at the beginning or in the middle (several files through cat), sets the Layout of what follows it.
    Before the first one it is `layout`, or the default format.
    """
    current = layout or Layout()
    begins_file = True
    for data in whole_lines(chunks):
        # The first line may be a header row of any fields; later ones are looked at where they begin with a known field.
        data = data.removeprefix(BYTE_ORDER_MARK) if begins_file else data
        at_header = [0] if begins_file else []
        at_header += [match.start() + 1 for match in _HEADER.finditer(data)]
        begins_file = False
        begin = 0
        for at in at_header:
            end = data.index(b'\n', at) + 1
            header = _header(data[at:end], origin)
            if header:
                if at > begin:
                    yield _unwrapped(current, data[begin:at], origin)
                begin = end
                current = current if header == current else header
        if begin < len(data):
            yield _unwrapped(current, data[begin:], origin)


def _header(line: bytes, origin: str) -> Layout | None:
    try:
        return Layout.from_header(line)
    except ValueError as error:
        raise FlowLogsError(f'{origin}: unusable header row: {error}') from None


def _unwrapped(layout: Layout, data: bytes, origin: str) -> Block:
    line = data[: data.index(b'\n')]
    if layout.repair(line) is None:
        unwrap = wrapping(layout, line)
        if unwrap:
            data = unwrap(data)
    return Block(layout, data, origin)


def wrapping(layout: Layout, line: bytes) -> Callable[[bytes], bytes] | None:
    """How to take records out of what other tools put around them, going by one line; None where it looks unwrapped.

    ``aws logs filter-log-events --output text`` writes EVENTS and tab-separated columns, Firehose JSON with a message,
    a CloudWatch export to S3 an ISO time before each record, and awslogs group and stream.
    """
    if line.startswith(b'EVENTS\t'):
        return lambda data: re.sub(rb'(?m)^EVENTS\t(?:[^\t\n ]*\t)*([^\t\n]* [^\t\n]*).*$', rb'\1', data)
    if line.startswith(b'{'):
        return _messages
    surplus = len(line.split()) - len(layout.fields)
    if surplus > 0 and layout.repair(b' '.join(line.split()[surplus:])) is not None:
        leading = re.compile(rb'(?m)^[ \t]*(?:[^ \t\n]+[ \t]+){%d}' % surplus)
        return lambda data: leading.sub(b'', data)
    return None


def _messages(data: bytes) -> bytes:
    """The ``message`` of each line of JSON, or the messages of its ``logEvents``; lines without any stay as they are."""
    lines: list[str] = []
    for line in data.decode('utf-8', 'replace').splitlines():
        try:
            document = json.loads(line)
            lines += [event['message'] for event in document.get('logEvents', [document])]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            lines.append(line)
    return ''.join(f'{str(line).strip()}\n' for line in lines).encode('utf-8', 'replace')
