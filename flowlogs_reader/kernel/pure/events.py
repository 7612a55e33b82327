"""Event pages: the events in the answers of FilterLogEvents of CloudWatch Logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import le
from typing import Any

from .lines import POSSESSIVE, PRINTABLE, require_bytes

#: The result of :func:`find_events`.
Events = tuple[bytes, bytes, 'int | None', 'int | None', int, bool, 'str | None']
# Bytes that are scanned for events at a time. The objects made from them stay in the processor's cache, and are freed
# before Python's garbage collector counts them as long-lived. To scan all bytes at once takes a tenth longer.
_PIECE = 1 << 18
# A time in milliseconds has at most 14 digits: until the year 5138.
_TIME_DIGITS = 14
_MEMBER = re.compile(rb'"([A-Za-z]+)"\s*:\s*(?:"([^"]*)"|([0-9]+))')
# The members of an event that are used.
_USED = (b'eventId', b'message', b'timestamp')
_NO_BRACES = bytes({*PRINTABLE} - {*b'{}'})


def find_events(body: bytes, /) -> Events | None:
    """The events of an event page: (lines, ids, first, last, last_count, in_order, token).

    >>> find_events(b'{"events": [{"message": "2 1", "timestamp": 5, "eventId": "7"}], "nextToken": "x"}')
    (b'2 1\\n', b'7\\n', 5, 5, 1, True, 'x')

    `lines` has a line for each message, `ids` one for each id. `first` and `last` are times in milliseconds;
    `last_count` events have the last one. `in_order` says whether the events were in the order of time; the lines
    always are. Return None if the body is not an answer of FilterLogEvents.
    """
    return scan_page(require_bytes(body)) or parse_page(body)


def scan_page(body: bytes) -> Events | None:
    """The events of a page, found with a regular expression made from the first one. A JSON parser takes twice as long.

    Return None if the result could be wrong. If there is a backslash, a quote may be part of a message. If there are
    more braces than those of the events that were found, events have different members, or the body is something else.
    """
    begin = body.find(b'{', 1)
    first_end = body.find(b'}', begin) + 1
    between = body[first_end : body.find(b'{', first_end)]
    # What is between two events: a comma, perhaps with spaces.
    comma = between if between.strip(b' ') == b',' else b','
    shape = _shape(body[begin:first_end])
    if not shape or b'\\' in body:
        return None
    # An event, and one that is followed by another: all but the last are.
    event, names = re.compile(shape[0]), shape[1]
    followed = re.compile(b'%b(?=%b\\{)' % (shape[0], re.escape(comma)))
    last_end = body.rfind(b'}', 0, body.rfind(b'}')) + 1
    last_begin = body.rfind(b'{', 0, last_end)
    last_event = event.fullmatch(body, last_begin, last_end)
    if not last_event:
        return None
    times: list[bytes] = []
    lines: list[bytes] = []
    ids: list[bytes] = []
    for events in chain(_in_pieces(followed, len(comma), body, begin, last_begin), [[last_event.groups()]]):
        columns = dict(zip(names, zip(*events)))
        times += columns.get(b'timestamp', ())
        lines.append(_joined(columns.get(b'message', ())))
        ids.append(_joined(columns.get(b'eventId', ())))
    # No other braces, no control characters, nothing but ASCII; and times in order.
    if body.translate(None, _NO_BRACES) != b'{%b}' % (b'{}' * len(times)) or not _in_order(times):
        return None
    # Parse the page with \x01 in place of its events: that is little text. Without a backslash no text of the page is
    # \x01.
    around = _document(body[:begin] + b'"\\u0001"' + body[last_end:])
    if not around or around[0] != ['\x01']:
        return None
    last = times[-1]
    return b''.join(lines), b''.join(ids), int(times[0]), int(last), times.count(last), True, around[1]


def _in_pieces(followed: re.Pattern[bytes], between: int, body: bytes, begin: int, last: int) -> Iterator[list[Any]]:
    """Yield the used values of the events before the `last` one, of about _PIECE bytes of the body at a time.

    `followed` matches an event before the next one, which begins `between` bytes after its end.
    """
    at = begin
    while at < last:
        end = body.find(b'}', at + _PIECE, last) + 1 or last
        yield followed.findall(body, at, min(end + between, last) + 1)
        at = end


def _shape(event: bytes) -> tuple[bytes, list[bytes]] | None:
    """A regular expression for events with the same members as this one, and the names of its groups."""
    from json import loads

    try:
        parsed = loads(event)
    except (ValueError, RecursionError):
        return None
    names: list[bytes] = []
    parts: list[bytes] = []
    at = 0
    for member in _MEMBER.finditer(event):
        name, text, number = member.groups()
        value = rb'(?:[1-9][0-9]{0,18}' + POSSESSIVE + b'|0)' if text is None else rb'[^"]*' + POSSESSIVE
        if name in _USED:
            if (text is None) != (name == b'timestamp'):
                return None
            # The value must be what the JSON parser reads: of a number such as 1.5 it is only a part.
            if parsed.get(name.decode()) != (int(number) if text is None else text.decode('utf-8', 'replace')):
                return None
            names.append(name)
            value = b'(%b)' % value
        begin, end = member.span(3 if text is None else 2)
        parts += [re.escape(event[at:begin]), value]
        at = end
    if sorted(names) != [*_USED]:
        return None
    return b''.join([*parts, re.escape(event[at:])]), names


def _in_order(times: list[bytes]) -> bool:
    """Whether the times are in order. They must have the same length: then the order of text is that of time."""
    length = len(times[0])
    return length <= _TIME_DIGITS and all(map(le, times, times[1:])) and {*map(len, times)} == {length}


def parse_page(body: bytes) -> Events | None:
    """The events of a page, found with a JSON parser; None if it is not an event page."""
    found = _document(body)
    try:
        return (*_events_of(found[0]), found[1]) if found else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _document(body: bytes) -> tuple[list[Any], str | None] | None:
    """The events and the token of a page, or None if it is not an event page."""
    # Imported here: most reads of files need no JSON.
    from json import loads

    try:
        document = loads(body)
        events, token = document['events'], document.get('nextToken')
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (events, token) if isinstance(events, list) and isinstance(token, str | None) else None


def _events_of(events: Sequence[dict[str, Any]]) -> tuple[bytes, bytes, int | None, int | None, int, bool]:
    """The result of :func:`find_events` without the token.

    A newline in a message becomes a space, so that it remains one line. AWS returns events in the order of time; others
    are sorted. Raises LookupError, TypeError, AttributeError or ValueError if they are not events.
    """
    times = [event.get('timestamp', 0) for event in events]
    if not all(isinstance(time, int) and 0 <= time < 10**_TIME_DIGITS for time in times):
        raise ValueError('the timestamp of an event is not a time')
    in_order = all(map(le, times, times[1:]))
    if not in_order:
        events = sorted(events, key=lambda event: event.get('timestamp', 0))
        times.sort()
    last = times[-1] if times else None
    messages = [event['message'] for event in events]
    if '\n' in ''.join(messages):
        messages = [message.replace('\n', ' ') for message in messages]
    return (
        '\n'.join([*messages, '']).encode('utf-8', 'replace'),
        '\n'.join([*(event.get('eventId', '') for event in events), '']).encode('utf-8', 'replace'),
        times[0] if times else None,
        last,
        times.count(last) if times else 0,
        in_order,
    )


def _joined(texts: Iterable[bytes]) -> bytes:
    """A line for each text."""
    return b'\n'.join([*texts, b''])
