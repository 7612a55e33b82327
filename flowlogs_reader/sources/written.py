"""Converts the output of this tool back to lines of a log: CSV, JSON lines, ISO times, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from ..kernel.memo import Memo
from ..query.names import NAMED, name_of, number_of
from ..records.block import Block
from ..records.fields import Kind
from ..records.layout import Layout
from .filter import is_record

_CSV_LINE = re.compile(rb'(?m)^[^ \t\r\n]*,[^ \t\r\n]*')
# Where a value is missing.
_EMPTY = re.compile(rb'(?<=,)(?=,)|^(?=,)|(?<=,)\Z')
# No record has this character.
_NOT_A_RECORD = '\xff'
_ISO = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)')


def undo(layout: Layout, line: bytes) -> Callable[[bytes], bytes] | None:
    """Return a function that converts lines like this one to lines of the log; None if the result is not a record."""
    with_numbers: Callable[[bytes], bytes] = partial(_with_numbers, layout)
    for function in (with_numbers, lambda data: with_numbers(_without_commas(data))):
        if is_record(layout, function(line + b'\n')[:-1]):
            return function
    return None


def _without_commas(data: bytes) -> bytes:
    """CSV -> text. Lines with white space are not CSV of a log."""
    return _CSV_LINE.sub(_values_of_csv, data)


def _values_of_csv(line: re.Match[bytes]) -> bytes:
    if b'"' not in line[0]:
        return _EMPTY.sub(b'-', line[0]).replace(b',', b' ')
    from csv import Error, reader

    try:
        (row,) = reader([line[0].decode('utf-8', 'surrogateescape')])
    except (Error, ValueError):
        return line[0]
    return ' '.join([value or '-' for value in row]).encode('utf-8', 'surrogateescape')


def _with_numbers(layout: Layout, data: bytes) -> bytes:
    """ISO times -> Unix seconds, and names -> numbers."""
    changes = [
        (at, _SECONDS if kind == ord(Kind.TIME.value) else _NUMBERS[name])
        for at, (name, kind) in enumerate(zip(layout.fields, layout.kinds))
        if kind == ord(Kind.TIME.value) or name in NAMED
    ]
    lines = []
    for line in data[:-1].split(b'\n'):
        values = line.split()
        for place, numbers in changes:
            if place < len(values):
                values[place] = numbers[values[place]]
        lines.append(b' '.join(values) + b'\n')
    return b''.join(lines)


def may_have_names(layout: Layout, line: bytes) -> bool:
    """Whether a record is the same with numbers and with names, so that others may have names."""
    values = dict(zip(layout.fields, line.split()))
    named = [(field, values[field]) for field in NAMED if field in values]
    return bool(named) and all(name_of(field, value) == value for field, value in named)


def _seconds(text: bytes) -> bytes:
    shown = text.decode('ascii', 'replace')
    if not _ISO.fullmatch(shown):
        return text
    try:
        # Python 3.10 does not know Z.
        return b'%d' % datetime.fromisoformat(shown.replace('Z', '+00:00')).timestamp()
    except ValueError:
        return text


_SECONDS = Memo(_seconds)
_NUMBERS = {field: Memo(partial(number_of, field)) for field in NAMED}


def named_records(data: bytes) -> Iterator[Block]:
    """Yield Blocks of the JSON objects whose members are fields, each on a line of its own.

    If no line has such an object, nothing is yielded. Otherwise any other line is yielded as one that is not a record.
    """
    from json import loads

    layouts: dict[tuple[str, ...], Layout | None] = {}
    runs: list[tuple[Layout, list[str]]] = []
    odd: list[str] = []
    for text in filter(None, data.splitlines()):
        try:
            record = loads(text)
            names = (*record.keys(),)
            if names not in layouts:
                layouts[names] = Layout.from_header(' '.join(names).encode())
            layout = layouts[names]
        except (ValueError, AttributeError, RecursionError):
            layout = None
        if layout is None:
            odd.append(_NOT_A_RECORD)
            continue
        if not runs or layout != runs[-1][0]:
            runs.append((layout, []))
        values = ['-' if value is None else str(value) for value in record.values()]
        runs[-1][1].append(' '.join(values).replace('\n', _NOT_A_RECORD))
    if runs:
        runs[-1][1].extend(odd)
    for layout, lines in runs:
        text = '\n'.join([*lines, '']).encode('utf-8', 'replace')
        first = text[: text.index(b'\n')]
        sound = is_record(layout, first) and not may_have_names(layout, first)
        change = None if sound else undo(layout, first)
        yield Block(layout, change(text) if change else text)
