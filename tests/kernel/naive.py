"""What the kernel does, written as simply as possible: with split, int and ipaddress, a line at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from typing import Any

LIMIT = 65_536
PRINTABLE = {*range(0x21, 0x7F)}
Row = list[bytes]


def number(text: bytes) -> int | None:
    """A number without leading zeros, of up to 19 digits."""
    sound = text and {*text} <= {*b'0123456789'} and (text == b'0' or text[:1] != b'0') and len(text) <= 19
    return int(text) if sound else None


def is_canonical(kind: str, value: bytes) -> bool:
    if kind == 'T':
        return bool(value) and {*value} <= PRINTABLE
    found = number(value)
    # The regular expression does not have times from 2000000000 on.
    return value == b'-' or (found is not None and (kind == 'I' or found < 2_000_000_000))


def repaired(kind: str, value: bytes) -> bytes | None:
    if value == b'-':
        return value
    if kind == 'T':
        return value if {*value} <= PRINTABLE else None
    if not {*value} <= {*b'0123456789'} or len(value.lstrip(b'0')) > 19:
        return None
    found = int(value)
    if kind == 'M' and found >= 2**31:
        found //= 1000
        return None if found >= 2**31 else b'%d' % found
    return b'%d' % found


def rows(kinds: bytes, data: bytes) -> Iterator[Row | None]:
    """The values of each line; None for a line that is not a record."""
    letters = kinds.decode()
    for line in data.split(b'\n'):
        if not line.strip(b' \t\r\v\f'):
            continue
        columns = line.split(b' ')
        if len(columns) == len(letters) and all(map(is_canonical, letters, columns)):
            yield columns
            continue
        values = line.split()
        if len(line) > LIMIT or len(values) != len(letters):
            yield None
            continue
        made = [*map(repaired, letters, values)]
        yield None if None in made else made  # type: ignore[misc]


def lines_with(texts: tuple[bytes, ...], data: bytes) -> bytes:
    """The lines in which one of the texts begins; all of the data if these are many."""
    at, found = 0, []
    for line in re.findall(rb'[^\n]*\n|[^\n]+', data):
        if any(data.find(text, at, at + len(line) - 1 + len(text)) >= 0 for text in texts):
            found.append(line)
        at += len(line)
    return b''.join(found) if len(found) <= len(data) // 400 + 16 else data


def at(row: Row, place: int) -> bytes:
    return b'-' if place < 0 else row[place]


def address(text: bytes) -> Any:
    try:
        return ip_address(text.decode())
    except ValueError:
        return None


def matches(row: Row, value: bytes, missing: bool, kind: str, payload: Any) -> bool:
    other = at(row, payload[0]) if kind == 'same' else b''
    if b'-' in (value, other):
        return missing
    if kind == 'text':
        return value in payload
    if kind == 'number':
        return any(int(value) in range(low, high + 1) for low, high in payload)
    if kind == 'flags':
        return payload >= 0 and all(int(value) >> bit & 1 for bit in range(payload.bit_length()) if payload >> bit & 1)
    if kind == 'address':
        found = address(value)
        return found is not None and any(
            found.version == version and first <= int(found) <= last for first, last, version in payload
        )
    if len(payload) > 2:
        one, another = (label(text, payload[2], b'-') for text in (value, other))
        return missing if b'-' in (one, another) else (one == another) == (payload[1] == '=')
    return same(value, other, payload[1])


def label(text: bytes, labels: Any, default: bytes) -> bytes:
    found = address(text)
    for first, last, version, name in labels:
        if found and found.version == version and first <= int(found) <= last:
            return bytes(name)
    return default


def same(value: bytes, other: bytes, operator: str) -> bool:
    one: Any = value
    another: Any = other
    if operator.startswith('@') and address(value) and address(other):
        one, another = (
            (found.version, int(found), getattr(found, 'scope_id', None) or '')
            for found in (address(value), address(other))
        )
    elif operator in ('<', '<=', '>', '>='):
        one, another = int(value), int(other)
    operator = operator.removeprefix('@')
    return {
        '=': one == another,
        '!=': one != another,
        '<': one < another,
        '<=': one <= another,
        '>': one > another,
        '>=': one >= another,
    }[operator]


def passes(row: Row, tests: Any, window: Any) -> bool:
    for places, negated, missing, kind, payload in tests:
        if any(matches(row, at(row, place), missing, kind, payload) for place in places) == negated:
            return False
    if not window:
        return True
    start, end, start_ms, end_ms, timeless = window
    known = [value for value in (at(row, start), at(row, end)) if value != b'-']
    return start_ms <= int(known[0]) * 1000 < end_ms if known else timeless


def kept(kinds: bytes, tests: Any, window: Any, data: bytes) -> tuple[list[Row], int]:
    found = [*rows(kinds, data)]
    return [row for row in found if row is not None and passes(row, tests, window)], found.count(None)


def key(transform: Any, value: bytes) -> bytes:
    if transform is None:
        return value
    kind, *arguments = transform
    if kind == 'map':
        mapping, default = arguments
        return mapping.get(value, default)
    if kind == 'label':
        return label(value, *arguments)
    if value == b'-':
        return value
    if kind == 'bucket':
        seconds, offset = arguments
        return b'%d' % (int(value) - (int(value) + offset) % seconds)
    try:
        block = ip_network(value.decode())
    except ValueError:
        return value
    length = arguments[0] if block.version == 4 else arguments[1]
    if length >= block.max_prefixlen or length > block.prefixlen:
        return value
    return str(type(block)((int(block.network_address), length), strict=False)).encode()


class Sums:
    def __init__(self, keys: Any, track: Any, flows_only: bool) -> None:
        self.keys, self.track, self.flows_only = keys, track, flows_only
        self.totals: dict[bytes, dict[str, Any]] = {}

    def add(self, kinds: bytes, tests: Any, window: Any, alternatives: Any, sums: Any, data: bytes) -> tuple[int, int]:
        found, skipped = kept(kinds, tests, window, data)
        for row in found:
            packets, octets, start, end, status = (at(row, place) for place in sums)
            if sums[0] < 0 and sums[1] < 0:
                is_flow = status not in (b'NODATA', b'SKIPDATA')
            else:
                is_flow = (packets, octets) != (b'-', b'-')
            if self.flows_only and not is_flow:
                continue
            for places in alternatives:
                text = b' '.join(key(transform, at(row, place)) for transform, place in zip(self.keys, places))
                total = self.totals.setdefault(text, {'packets': 0, 'bytes': 0, 'flows': 0, 'start': None, 'end': None})
                total['flows'] += 1
                for name, value, better in (('start', start, min), ('end', end, max)):
                    if name in self.track and value != b'-':
                        known = total[name]
                        total[name] = int(value) if known is None else better(known, int(value))
                for name, value in (('packets', packets), ('bytes', octets)):
                    if name in self.track and value != b'-':
                        total[name] += int(value)
        return len(found), skipped

    def lines(self) -> list[bytes]:
        return [self.line(text) for text in self.totals]

    def line(self, text: bytes) -> bytes:
        total = self.totals[text]
        values = [total[name] for name in ('packets', 'bytes', 'start', 'end', 'flows')]
        shown = [b'-' if value is None else b'%d' % value for value in values]
        return b' '.join([*([text] if self.keys else []), *shown]) + b'\n'

    def top(self, count: int, by: str) -> bytes:
        order = sorted(self.totals, key=lambda text: (-self.totals[text][by], text.split(b' ')))
        return b''.join(map(self.line, order[:count]))


def time(form: str | None, value: bytes) -> bytes:
    if not form or value == b'-':
        return value
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=int(value))
    text = f'{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment:%H:%M:%S}Z'
    return (text if form == 'iso' else text.replace('T', ' ').rstrip('Z')).encode()
