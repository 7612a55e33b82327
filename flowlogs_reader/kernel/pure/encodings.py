"""Lines written as text, tsv, csv or jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from ..memo import Memo
from .lines import POSSESSIVE, Column, require_bytes

ENCODINGS = ('text', 'tsv', 'csv', 'jsonl')
_EPOCH = datetime(1970, 1, 1)
# A substitution with one of these takes half the time of bytes.replace.
_MISSING_IN_CSV = re.compile(rb',-(?=[,\n])')
_MISSING_TEXT, _MISSING_NUMBER = re.compile(b': "-"'), re.compile(b'\x01-\x01')
# For each separator, all bytes that are neither the separator nor a newline.
_NOT_ENDS = {separator: bytes({*range(256)} - {*separator, *b'\n'}) for separator in (b' ', b'\t')}
_SECONDS = re.compile(rb'-?[0-9]{1,19}')


def encode(
    encoding: str,
    names: Sequence[bytes],
    numbers: Sequence[bool],
    places: Sequence[int],
    times: Sequence[str | None],
    separator: bytes,
    data: bytes,
    /,
) -> bytes:
    """The lines, or some of their values, as 'text', 'tsv', 'csv' or 'jsonl'.

    >>> encode('jsonl', (b'bytes', b'end'), (True, False), (1, 0), (None, 'iso'), b' ', b'1454324362 40\\n')
    b'{"bytes": 40, "end": "2016-02-01T10:59:22Z"}\\n'

    The output has a column for each of the `places`, which say where in a line its values are. For each column, `names`
    has its name, `numbers` says whether it has numbers, and `times` how its times are written: 'iso' or 'date', which
    are text, or None if it has no times. The values of a line are separated by `separator`, a space or a tab, which the
    encoding 'text' keeps. Raises ValueError if a line has too few values, or if a value is not a time.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f'there is no encoding {encoding!r}')
    if not 0 < len(places) == len(names) == len(numbers) == len(times):
        raise ValueError('names, numbers, places and times must have the same length, and not be empty')
    if separator not in (b' ', b'\t'):
        raise ValueError('the separator is a space or a tab')
    _check_columns(places, times)
    data = require_bytes(data)
    data = data if data.endswith(b'\n') or not data else data + b'\n'
    if not data:
        return data
    columns = _picked(tuple(places), tuple(times), separator, data)
    numeric = [number and not time for number, time in zip(numbers, times)]
    if columns and 'date' in times and separator == b' ' and encoding != 'text':
        # Dates contain the separator, a space.
        return b''.join([_line(encoding, row, names, numeric) for row in zip(*columns)])
    lines = b'\n'.join([*map(separator.join, zip(*columns)), b'']) if columns else data
    if encoding == 'text':
        return lines
    if encoding == 'tsv':
        return lines.replace(separator, b'\t')
    if encoding == 'csv':
        return _csv(lines, separator, len(places))
    return _jsonl(lines, separator, names, numeric)


def _check_columns(places: Sequence[int], times: Sequence[str | None]) -> None:
    """Raises ValueError if a place or a form of time is not valid."""
    if min(places) < -1:
        raise ValueError('a place must be -1 or more')
    for form in {*times} - {None, 'iso', 'date'}:
        raise ValueError(f"times are written as 'iso' or 'date', not {form!r}")


def _picked(
    places: tuple[int, ...], times: tuple[str | None, ...], separator: bytes, data: bytes
) -> list[Iterable[bytes]] | None:
    """The values at these places, for each place; None if each line has these values and no others, in this order."""
    count = data.count(b'\n')
    if places == (*range(len(places)),) and not any(times):
        # The separators and the newline of a line that has exactly these values.
        ends = separator * (len(places) - 1) + b'\n'
        if data.translate(None, _NOT_ENDS[separator]) == ends * count:
            return None
    # [^ ] is faster than [^ \n], see Lines.values. If there are as many matches as lines, none contains a line end.
    inner, outer = rb'[^%b]*' % separator + POSSESSIVE, rb'[^%b\n]*' % separator + POSSESSIVE
    used = sorted({*places} - {-1})
    columns: dict[int, Column] = {-1: [b'-'] * count}
    if used:
        values = [outer, *[inner] * (used[-1] - 1), outer][: used[-1] + 1]
        values = [b'(' + value + b')' if at in used else value for at, value in enumerate(values)]
        found = re.findall(b'(?m)^' + separator.join(values) + rb'(?:%b[^\n]*)?\n' % separator, data)
        if len(found) != count:
            raise ValueError('a line has too few values')
        columns.update(zip(used, zip(*found) if len(used) > 1 else [found]))
    return [
        map(Memo(partial(_time, form)).__getitem__, columns[place]) if form else columns[place]
        for place, form in zip(places, times)
    ]


def _time(form: str, text: bytes) -> bytes:
    if text == b'-':
        return text
    if not _SECONDS.fullmatch(text):
        raise ValueError(f'{text[:40].decode("ascii", "replace")!r} is not a time')
    try:
        moment = _EPOCH + timedelta(seconds=int(text))
    except OverflowError:
        raise ValueError(f'{int(text)} is out of the range of dates') from None
    return (moment.isoformat() + 'Z' if form == 'iso' else moment.isoformat(' ')).encode()


def _csv(data: bytes, separator: bytes, width: int) -> bytes:
    """CSV as in RFC 4180, but lines end with a newline only. A missing value is empty."""
    if width == 1 or b',' in data or b'"' in data:
        return b''.join([_line('csv', line.split(separator)) for line in data[:-1].split(b'\n')])
    data = _MISSING_IN_CSV.sub(b',', b'\n' + data.replace(separator, b','))
    return data.replace(b'\n-,', b'\n,')[1:]


def _csv_value(value: bytes) -> bytes:
    if value == b'-':
        return b''
    return b'"%b"' % value.replace(b'"', b'""') if b',' in value or b'"' in value else value


def _jsonl(data: bytes, separator: bytes, names: Sequence[bytes], numbers: Sequence[bool]) -> bytes:
    """One JSON object for each line. A missing value is null."""
    if b'\x01' in data:
        return b''.join([_line('jsonl', line.split(separator), names, numbers) for line in data[:-1].split(b'\n')])
    data = data.replace(b'\\', b'\\\\').replace(b'"', b'\\"')
    # Numbers are written between two \x01, which no text contains: so missing numbers are found, and replaced by null.
    values = (b'\x01%b\x01' if number else b'"%b"' for number in numbers)
    members = [b'"%b": %b' % (name.replace(b'%', b'%%'), value) for name, value in zip(names, values)]
    template = b'{' + b', '.join(members) + b'}\n'
    written = template * data.count(b'\n') % tuple(data[:-1].replace(b'\n', separator).split(separator))
    return _MISSING_NUMBER.sub(b'null', _MISSING_TEXT.sub(b': null', written)).replace(b'\x01', b'')


def _line(encoding: str, values: Sequence[bytes], names: Sequence[bytes] = (), numbers: Sequence[bool] = ()) -> bytes:
    """One line, encoded value by value."""
    if encoding == 'tsv':
        return b'\t'.join(values) + b'\n'
    if encoding == 'csv':
        # An empty line would not be a row.
        return (b','.join(map(_csv_value, values)) or b'""') + b'\n'
    members = []
    for value, name, number in zip(values, names, numbers):
        text = value.replace(b'\\', b'\\\\').replace(b'"', b'\\"')
        members.append(b'"%b": %b' % (name, b'null' if value == b'-' else text if number else b'"%b"' % text))
    return b'{%b}\n' % b', '.join(members)
