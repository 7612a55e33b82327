"""The events in a FilterLogEvents response of CloudWatch Logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from operator import le
from typing import Any

from .lines import _P, _PRINTABLE, _bytes

Events = tuple[bytes, bytes, 'int | None', 'int | None', int, bool, 'str | None']
# Events are taken out of so many bytes at a time: what is made of them stays in the processor's cache, and is gone
# before Python's garbage collector takes it for lasting. All at once they take a tenth longer.
_PIECE = 1 << 18
# Milliseconds until the year 5138.
_TIME_DIGITS = 14
_MEMBER = re.compile(rb'"([A-Za-z]+)"\s*:\s*(?:"([^"]*)"|([0-9]+))')
_TAKEN = (b'eventId', b'message', b'timestamp')
_NO_BRACES = bytes({*_PRINTABLE} - {*b'{}'})


def find_events(body: bytes, /) -> Events | None:
    """The events of a FilterLogEvents response: lines, ids, first, last, last_count, in_order, token.

    >>> find_events(b'{"events": [{"message": "2 1", "timestamp": 5, "eventId": "7"}], "nextToken": "x"}')
    (b'2 1\\n', b'7\\n', 5, 5, 1, True, 'x')

    There is a line for each message, and one for each id. `first` and `last` are times in milliseconds; `last_count`
    events at the end share the last one. None if the body is not what FilterLogEvents answers.
    """
    return _scanned(_bytes(body)) or _loaded(body)


def _scanned(body: bytes) -> Events | None:
    """The events of a response in which all look like the first one, in half the time of a JSON parser.

    None if the body may not be what it looks like. With a backslash anywhere, a quote may be part of a message. With
    more braces than those of the events that were found, events differ in their members, or the body is something else.
    """
    begin = body.find(b'{', 1)
    first_end = body.find(b'}', begin) + 1
    between = body[first_end : body.find(b'{', first_end)]
    # Between two events there is a comma, and maybe a space.
    comma = between if between.strip(b' ') == b',' else b','
    shape = _shape(body[begin:first_end])
    if not shape or b'\\' in body:
        return None
    # Every event but the last one is followed by another.
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
    at = begin
    while at < last_begin:
        end = body.find(b'}', at + _PIECE, last_begin) + 1 or last_begin
        found = dict(zip(names, zip(*followed.findall(body, at, min(end + len(comma), last_begin) + 1))))
        times += found.get(b'timestamp', ())
        lines.append(_joined(found.get(b'message', ())))
        ids.append(_joined(found.get(b'eventId', ())))
        at = end
    found = dict(zip(names, zip(last_event.groups())))
    times += found[b'timestamp']
    lines.append(_joined(found[b'message']))
    ids.append(_joined(found[b'eventId']))
    # Neither other braces, nor characters that JSON does not have, nor others than ASCII.
    if body.translate(None, _NO_BRACES) != b'{%b}' % (b'{}' * len(times)) or not _in_order(times):
        return None
    # With a mark instead of its events, the response is small enough to be parsed. No text without a backslash is \x01.
    around = _document(body[:begin] + b'"\\u0001"' + body[last_end:])
    if not around or around[0] != ['\x01']:
        return None
    last = times[-1]
    return b''.join(lines), b''.join(ids), int(times[0]), int(last), times.count(last), True, around[1]


def _shape(event: bytes) -> tuple[bytes, list[bytes]] | None:
    """The expression of events that differ from this one in their values only, and the names of its groups."""
    try:
        sound = json.loads(event)
    except (ValueError, RecursionError):
        return None
    names: list[bytes] = []
    parts: list[bytes] = []
    at = 0
    for member in _MEMBER.finditer(event):
        name, text, number = member.groups()
        value = rb'(?:[1-9][0-9]{0,18}' + _P + b'|0)' if text is None else rb'[^"]*' + _P
        if name in _TAKEN:
            if (text is None) != (name == b'timestamp'):
                return None
            # A number such as 1.5 is not what the expression takes it for.
            if sound.get(name.decode()) != (int(number) if text is None else text.decode('utf-8', 'replace')):
                return None
            names.append(name)
            value = b'(%b)' % value
        begin, end = member.span(3 if text is None else 2)
        parts += [re.escape(event[at:begin]), value]
        at = end
    if sorted(names) != [*_TAKEN]:
        return None
    return b''.join([*parts, re.escape(event[at:])]), names


def _in_order(times: list[bytes]) -> bool:
    """Whether these are times of one length, so that their order as text is the order of time."""
    length = len(times[0])
    return length <= _TIME_DIGITS and all(map(le, times, times[1:])) and {*map(len, times)} == {length}


def _loaded(body: bytes) -> Events | None:
    found = _document(body)
    try:
        return (*_page_of(found[0]), found[1]) if found else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _document(body: bytes) -> tuple[list[Any], str | None] | None:
    """The events and the token in a response."""
    try:
        document = json.loads(body)
        events, token = document['events'], document.get('nextToken')
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (events, token) if isinstance(events, list) and isinstance(token, str | None) else None


def _page_of(events: Sequence[dict[str, Any]]) -> tuple[bytes, bytes, int | None, int | None, int, bool]:
    """A line end inside a message must not make two records of it. Events that are in no order of time, as AWS never
    has them, are brought into it. Raises LookupError, TypeError, AttributeError or ValueError if they are no events.
    """
    times = [event.get('timestamp', 0) for event in events]
    if not all(isinstance(time, int) and 0 <= time < 10**_TIME_DIGITS for time in times):
        raise ValueError('the timestamp of an event is no time')
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
