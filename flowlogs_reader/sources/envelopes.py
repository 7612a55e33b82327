"""Removes what other tools put around records: leading columns, tabs, JSON.

written.py does the same for the output of this tool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address

from ..errors import DamagedError
from ..records.block import Block
from ..records.layout import Layout
from .filter import is_record
from .written import may_have_names, named_records, undo

_MESSAGE = re.compile(rb'"message"\s*:\s*("(?:[^"\\\n]|\\.)*")')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
# An event holds 1 MB at most (PutLogEvents).
MAX_OBJECT = 1 << 21
_EVENT = re.compile(rb'(?m)^EVENTS\t(?:[^\t\n ]*\t)*([^\t\n]* [^\t\n]*).*$')
# Leading columns: a time, a log group and a log stream.
MAX_WRAPPING = 3
_ISO_TIME = re.compile(rb'[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)?')
# Lines that are looked at to detect the wrapping.
SAMPLE = 10


def unwrapped(layout: Layout, data: bytes) -> bytes:
    """Return the lines without their wrapping, which is detected from the first lines."""
    left = SAMPLE
    begin = 0
    while left and begin < len(data):
        line = data[begin : data.index(b'\n', begin)]
        begin += len(line) + 1
        if is_record(layout, line):
            if not may_have_names(layout, line):
                return data
        elif unwrap := wrapping(layout, line):
            return unwrap(data)
        else:
            left -= 1
    return data


def wrapping(layout: Layout, line: bytes) -> Callable[[bytes], bytes] | None:
    """Return a function that removes the wrapping that `line` has, or None if it has none.

    ``aws logs filter-log-events --output text`` writes EVENTS and tab-separated columns; a CloudWatch export to S3
    writes an ISO time before each record; ``aws logs tail`` and awslogs write the group or the stream.
    """
    if line.startswith(b'EVENTS\t'):
        return lambda data: _EVENT.sub(rb'\1', data)
    columns = line.split()
    surplus = len(columns) - len(layout.fields)
    if 0 < surplus <= MAX_WRAPPING and _is_wrapped(columns[:surplus], layout, columns[surplus:]):
        # Only in lines with as many columns: others are not wrapped, or differently.
        widths = surplus, len(layout.fields) - 1
        leading = re.compile(
            rb'(?m)^[ \t]*(?:[^ \t\n]+[ \t]+){%d}(?=(?:[^ \t\n]+[ \t]+){%d}[^ \t\n]+[ \t\r]*$)' % widths
        )
        return lambda data: leading.sub(b'', data)
    return undo(layout, line)


def _is_wrapped(leading: Sequence[bytes], layout: Layout, columns: Sequence[bytes]) -> bool:
    """Whether there are extra columns before a record, rather than a record of another layout."""
    if not all(_ISO_TIME.fullmatch(column) or _is_name(column) for column in leading):
        return False
    addresses = [column for name, column in zip(layout.fields, columns) if name.endswith('addr')]
    return all(map(_is_address, addresses)) and columns[0] != b'-' and is_record(layout, b' '.join(columns))


def _is_name(column: bytes) -> bool:
    return not column.isdigit() and column != b'-' and not _is_address(column)


def _is_address(column: bytes) -> bool:
    try:
        return column == b'-' or bool(ip_address(column.decode()))
    except ValueError:
        return False


def messages(chunks: Iterable[bytes], layout: Layout) -> Iterator[Block]:
    """Yield the messages of CloudWatch Logs events in JSON, as Firehose and ``aws logs`` write it.

    Firehose writes JSON documents without newlines between them. Raises DamagedError if the JSON breaks off.
    """
    found = False
    for data in _objects(chunks):
        lines = [_unquoted(text) if b'\\' in text else text[1:-1] for text in _MESSAGE.findall(data)]
        if lines:
            found = True
            yield Block(layout, b'\n'.join(lines) + b'\n')
        else:
            for block in named_records(data):
                found = True
                yield block
    if not found:
        raise DamagedError('this is JSON without the "message" of any event, and without the fields of a record')


def _objects(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield JSON in pieces that end with an object."""
    pending = b''
    depth = 0
    for chunk in chunks:
        pending += chunk
        # An object that ends here has its last brace here: what is pending is not searched again for nothing.
        end = _end_of_object(pending) if b'}' in chunk else 0
        if end:
            piece, pending = pending[:end], pending[end:]
            depth += _depth(piece)
            yield piece
        elif len(pending) > MAX_OBJECT:
            raise DamagedError(f'a JSON object of more than {MAX_OBJECT} bytes is not a log event')
    if depth + _depth(pending) or b'"' in _STRING.sub(b'', pending):
        raise DamagedError('the JSON ends too early')


def _end_of_object(data: bytes) -> int:
    """Return the end of the last complete object, or 0 if there is none. Braces in strings do not count."""
    marked = _STRING.sub(b'\0', data)
    broken_off = marked.find(b'"')
    end = marked.rfind(b'}', 0, len(marked) if broken_off < 0 else broken_off) + 1
    strings = _STRING.findall(data)[: marked.count(b'\0', 0, end)]
    return end + sum(map(len, strings)) - len(strings)


def _depth(data: bytes) -> int:
    """Return how many more objects and lists begin here than end."""
    structure = _STRING.sub(b'', data)
    return structure.count(b'{') + structure.count(b'[') - structure.count(b'}') - structure.count(b']')


def _unquoted(text: bytes) -> bytes:
    # Imported here: most reads of files need no JSON.
    from json import loads

    try:
        return ' '.join(loads(text).split()).encode('utf-8', 'replace')
    except ValueError:
        return text
