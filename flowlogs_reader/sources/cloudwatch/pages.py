"""The pages of FilterLogEvents, out of the bytes of a response."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from operator import le
from threading import Lock
from typing import Any, NamedTuple

# Where take_page leaves the Page in a response.
PAGE = 'flowlogs_reader.page'
# Events are taken out of so many bytes at a time: what is made of them stays in the processor's cache, and is gone
# before Python's garbage collector takes it for lasting. All at once they take a tenth longer.
PIECE = 1 << 18
# The threads of a process that wait for AWS take turns here: the interpreter runs one of them anyway, and each takes
# 10 MB for it.
_DECODING = Lock()
_MEMBER = re.compile(rb'"([A-Za-z]+)"\s*:\s*(?:"([^"]*)"|([0-9]+))')
# Milliseconds until the year 5138.
TIME_DIGITS = 14
# What is taken of an event: the values of these members.
_TAKEN = (b'timestamp', b'message', b'eventId')


class Page(NamedTuple):
    """The events of a page in the order that AWS gave them: a line for each message, a line for each id.

    `first` and `last` are the times of the first and the last event in milliseconds; `last_count` events at the end
    share the last one. `until` is the end of what was asked for, in milliseconds, on its last page; None on others.
    """

    lines: bytes
    ids: bytes
    first: int | None = None
    last: int | None = None
    last_count: int = 0
    in_order: bool = True
    until: int | None = None

    def before_last(self) -> Page:
        """The page without the events of its last moment, of which the next page may hold more."""
        lines, ids = (cut(texts, self.last_count)[0] for texts in (self.lines, self.ids))
        return self._replace(lines=lines, ids=ids, last_count=0)


def take_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Takes the events out of a FilterLogEvents response, and leaves the token for botocore to parse.

    A handler of botocore's before-parse event: botocore walks a response along its shapes, which takes five times as
    long as everything else here. Where a body is none, no Page comes of it, and botocore has nothing to parse.
    """
    if response_dict['status_code'] != 200:
        return
    body: bytes = response_dict['body']
    headers = response_dict['headers']
    found = None
    if 'content-encoding' in headers or headers.get('content-length', str(len(body))) == str(len(body)):
        with _DECODING:
            found = scan_page(body) or load_page(body)
    token = None
    if found:
        customized_response_dict[PAGE], token = found
    response_dict['body'] = json.dumps({'nextToken': token} if token else {}).encode()


def scan_page(body: bytes) -> tuple[Page, str | None] | None:
    """The events and the token in a response whose events all look like the first one: in half the time of a JSON
    parser.

    None where the body may not be what it looks like: with a backslash anywhere, a quote may be part of a message; with
    more objects than events that were found, or fewer, events differ in their members, or the body was cut off.
    """
    begin = body.find(b'{', 1)
    shape = _shape(body[begin : body.find(b'}', begin) + 1])
    if not shape or b'\\' in body:
        return None
    pattern, names = shape
    times: list[bytes] = []
    lines: list[bytes] = []
    ids: list[bytes] = []
    at = begin
    while at < len(body):
        piece_end = body.find(b'}', at + PIECE) + 1 or len(body)
        found = pattern.findall(body, at, piece_end)
        columns = dict(zip(names, zip(*found)))
        times += columns.get(b'timestamp', ())
        lines.append(joined(columns.get(b'message', ())))
        ids.append(joined(columns.get(b'eventId', ())))
        at = piece_end
    if not times or body.count(b'}') != len(times) + 1:
        return None
    # Without its events, the response is an empty page with a token: small enough to be parsed.
    around = load_page(body[:begin] + body[body.rindex(b'}', 0, body.rindex(b'}')) + 1 :])
    in_order = len(times[0]) == len(times[-1]) <= TIME_DIGITS and all(map(le, times, times[1:]))
    if not around or around[0].lines or not in_order:
        return None
    last = times[-1]
    return Page(b''.join(lines), b''.join(ids), int(times[0]), int(last), times.count(last)), around[1]


def _shape(event: bytes) -> tuple[re.Pattern[bytes], list[bytes]] | None:
    """The expression of events that differ from this one in their values only, and the names of its groups."""
    names: list[bytes] = []
    parts: list[bytes] = []
    at = 0
    for member in _MEMBER.finditer(event):
        name, text, number = member.groups()
        value = rb'[0-9]+' if text is None else rb'[^"]*'
        if name in _TAKEN:
            if (text is None) != (name == b'timestamp'):
                return None
            names.append(name)
            value = b'(%b)' % value
        begin, end = member.span(3 if text is None else 2)
        parts += [re.escape(event[at:begin]), value]
        at = end
    if sorted(names) != sorted(_TAKEN):
        return None
    return re.compile(b''.join([*parts, re.escape(event[at:])])), names


def load_page(body: bytes) -> tuple[Page, str | None] | None:
    """The events and the token in a response; None where it is not what FilterLogEvents answers."""
    try:
        document = json.loads(body)
        events, token = document['events'], document.get('nextToken')
        sound = isinstance(events, list) and (token is None or isinstance(token, str))
        return (page_of(events), token) if sound else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def page_of(events: Sequence[dict[str, Any]]) -> Page:
    """Events as boto3 gives them. A line end inside a message must not make two records of it.

    Those that are in no order of time, as AWS never has them, are brought into it. Raises LookupError, TypeError,
    AttributeError or ValueError where they are no events.
    """
    times = [event.get('timestamp', 0) for event in events]
    if not all(isinstance(time, int) and 0 <= time < 10**TIME_DIGITS for time in times):
        raise ValueError('the timestamp of an event is no time')
    in_order = all(map(le, times, times[1:]))
    if not in_order:
        events = sorted(events, key=lambda event: event.get('timestamp', 0))
        times.sort()
    last = times[-1] if times else None
    messages = [event['message'] for event in events]
    if '\n' in ''.join(messages):
        messages = [message.replace('\n', ' ') for message in messages]
    return Page(
        '\n'.join([*messages, '']).encode('utf-8', 'replace'),
        '\n'.join([*(event.get('eventId', '') for event in events), '']).encode('utf-8', 'replace'),
        times[0] if times else None,
        last,
        times.count(last) if times else 0,
        in_order,
    )


def joined(texts: Iterable[bytes]) -> bytes:
    """A line for each text."""
    return b'\n'.join([*texts, b''])


def cut(lines: bytes, count: int) -> tuple[bytes, bytes]:
    """The lines before the last `count`, and these."""
    parts = lines[:-1].rsplit(b'\n', count)
    begin = len(parts[0]) + 1 if len(parts) > count else 0
    return lines[:begin], lines[begin:]
