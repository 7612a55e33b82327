"""The bytes of a file or an object -> Blocks: decompression, whole lines, header rows, wrappings."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address

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
_HEADER = re.compile(rb'\n(?=[a-z])(?:%s)(?=[ \t\r\n])' % _names.replace('_', '[-_]').encode())
_MESSAGE = re.compile(rb'"message"\s*:\s*("(?:[^"\\\n]|\\.)*")')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
# An event holds 1 MB at most (PutLogEvents).
MAX_OBJECT = 1 << 21
_EVENT = re.compile(rb'(?m)^EVENTS\t(?:[^\t\n ]*\t)*([^\t\n]* [^\t\n]*).*$')
_CONTROL = bytes(set(range(0x20)) - set(b'\t\n\r'))
_TOO_LONG = b'\xff'
# A time, a log group and a log stream.
MAX_WRAPPING = 3
_ISO_TIME = re.compile(rb'[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)?')
# How many lines are looked at to find out what stands around the records.
SAMPLE = 10


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


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text in gzip or zstd data, or in neither, told by its first bytes.

    Raises DamagedError where the data breaks off or is corrupt, after all that could be decoded.
    """
    head, chunks = peek(chunks, len(ZSTD))
    if head.startswith(GZIP):
        return _gunzip(chunks)
    if head.startswith(ZSTD):
        return _unzstd(chunks)
    return chunks


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
            before = member.copy()
            try:
                text = member.decompress(chunk, TEXT)
            except zlib.error as error:
                yield from _salvage(before, chunk)
                raise DamagedError(f'the gzip data is damaged ({error})') from None
            if text:
                yield text
            chunk = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        yield member.flush()
        raise DamagedError('the gzip data ends too early')


def _salvage(member: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    """What a chunk gives up to the byte that is wrong: zlib itself lets go of it all."""
    try:
        for at in range(len(chunk)):
            yield member.decompress(chunk[at : at + 1])
    except zlib.error:
        return


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
        yield from _messages(chunks, current)
        return
    begins_file = True
    for data in whole_lines(chunks):
        if begins_file:
            data = data.removeprefix(BYTE_ORDER_MARK)
        for lines, header in _sections(data, begins_file):
            if lines:
                if begins_file and len(lines) == len(data) and _is_binary(current, lines):
                    raise DamagedError('this is neither text nor gzip, zstd or Parquet data')
                yield Block(current, _unwrapped(current, lines))
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
    if begins_file or _HEADER.match(b'\n' + data[:64]):
        yield 0
    for match in _HEADER.finditer(data):
        yield match.start() + 1


def _is_binary(layout: Layout, data: bytes) -> bool:
    """Whether these lines are no text, so that one message serves better than the number of lines."""
    if len(data.translate(None, _CONTROL)) == len(data):
        return False
    return not layout.check(_unwrapped(layout, data))[0]


def _unwrapped(layout: Layout, data: bytes) -> bytes:
    begin = 0
    for _ in range(SAMPLE):
        line = data[begin : data.index(b'\n', begin)]
        if layout.repair(line) is not None:
            return data
        unwrap = wrapping(layout, line)
        if unwrap:
            return unwrap(data)
        begin += len(line) + 1
        if begin == len(data):
            break
    return data


def wrapping(layout: Layout, line: bytes) -> Callable[[bytes], bytes] | None:
    """How to take records out of what other tools put around them, going by one line; None where it looks unwrapped.

    ``aws logs filter-log-events --output text`` writes EVENTS and tab-separated columns, a CloudWatch export to S3 an
    ISO time before each record, ``aws logs tail`` and awslogs the group or the stream.
    """
    if line.startswith(b'EVENTS\t'):
        return lambda data: _EVENT.sub(rb'\1', data)
    columns = line.split()
    surplus = len(columns) - len(layout.fields)
    if 0 < surplus <= MAX_WRAPPING and _is_wrapped(columns[:surplus], layout, columns[surplus:]):
        # Of lines with as many columns only: others are wrapped in nothing, or in something else.
        widths = surplus, len(layout.fields) - 1
        leading = re.compile(
            rb'(?m)^[ \t]*(?:[^ \t\n]+[ \t]+){%d}(?=(?:[^ \t\n]+[ \t]+){%d}[^ \t\n]+[ \t\r]*$)' % widths
        )
        return lambda data: leading.sub(b'', data)
    return None


def _is_wrapped(leading: Sequence[bytes], layout: Layout, columns: Sequence[bytes]) -> bool:
    """Whether columns come before a record, rather than that the format is not the one of the log."""
    if not all(_ISO_TIME.fullmatch(column) or _is_name(column) for column in leading):
        return False
    addresses = [column for name, column in zip(layout.fields, columns) if name.endswith('addr')]
    return all(map(_is_address, addresses)) and columns[0] != b'-' and layout.repair(b' '.join(columns)) is not None


def _is_name(column: bytes) -> bool:
    return not column.isdigit() and column != b'-' and not _is_address(column)


def _is_address(column: bytes) -> bool:
    try:
        return column == b'-' or bool(ip_address(column.decode()))
    except ValueError:
        return False


def _messages(chunks: Iterable[bytes], layout: Layout) -> Iterator[Block]:
    """The records in JSON: the messages of CloudWatch Logs events, as Firehose and ``aws logs`` write them.

    Firehose puts document after document without a newline. Raises DamagedError where the JSON breaks off.
    """
    found = False
    for data in _objects(chunks):
        lines = [_unquoted(text) if b'\\' in text else text[1:-1] for text in _MESSAGE.findall(data)]
        if lines:
            found = True
            yield Block(layout, b'\n'.join(lines) + b'\n')
    if not found:
        raise DamagedError('this is JSON without the "message" of any event')


def _objects(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """JSON in pieces that end where an object does."""
    waiting = b''
    depth = 0
    for chunk in chunks:
        waiting += chunk
        end = _end_of_object(waiting)
        if end:
            piece, waiting = waiting[:end], waiting[end:]
            depth += _depth(piece)
            yield piece
        elif len(waiting) > MAX_OBJECT:
            raise DamagedError(f'a JSON object of more than {MAX_OBJECT} bytes is no event of a log')
    if depth + _depth(waiting) or b'"' in _STRING.sub(b'', waiting):
        raise DamagedError('the JSON ends too early')


def _end_of_object(data: bytes) -> int:
    """Where the last object ends that does so outside of a string; 0 where none does."""
    marked = _STRING.sub(b'\0', data)
    broken_off = marked.find(b'"')
    end = marked.rfind(b'}', 0, len(marked) if broken_off < 0 else broken_off) + 1
    strings = _STRING.findall(data)[: marked.count(b'\0', 0, end)]
    return end + sum(map(len, strings)) - len(strings)


def _depth(data: bytes) -> int:
    """How many more objects and lists begin here than end."""
    structure = _STRING.sub(b'', data)
    return structure.count(b'{') + structure.count(b'[') - structure.count(b'}') - structure.count(b']')


def _unquoted(text: bytes) -> bytes:
    try:
        return ' '.join(json.loads(text).split()).encode('utf-8', 'replace')
    except ValueError:
        return text
