"""The pages of FilterLogEvents: out of a response, each event once, and never past a point that may be incomplete."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import le, lt
from threading import Lock
from typing import Any, NamedTuple

from .layout import Block, Layout

# Where take_page leaves the Page in a response.
PAGE = 'flowlogs_reader.page'
# Event ids that are remembered, in two generations, to recognise an event that comes again.
REMEMBERED_IDS = 10_000
# Bytes of events with one and the same timestamp that are held back until a later one shows that they are all there.
MAX_HELD = 8_000_000
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
        lines, ids = (_cut(texts, self.last_count)[0] for texts in (self.lines, self.ids))
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
        lines.append(_lines(columns.get(b'message', ())))
        ids.append(_lines(columns.get(b'eventId', ())))
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


class Held:
    """Events that share the last moment of a page, until a later page shows that there are no more of them.

    AWS orders events by time, then by arrival. Were they let out at once, a read that fails here could not be resumed
    without a gap or a repetition. What came out is complete up to `since`, in milliseconds; where they `spilled`, it
    holds some events of that moment as well.
    """

    spilled = False

    def __init__(self, since: int) -> None:
        self._lines = self._ids = b''
        self.since = since

    def through(self, page: Page) -> tuple[bytes, bytes]:
        """The lines that may go out, and their ids."""
        if page.until is not None:
            ready = self._lines + page.lines, self._ids + page.ids
            self._lines, self._ids, self.since, self.spilled = b'', b'', page.until, False
            return ready
        if page.last is None:
            return b'', b''
        if page.last < self.since:
            # Events that come again: they are recognised by their ids.
            return page.lines, page.ids
        (lines, last_lines), (ids, last_ids) = (_cut(texts, page.last_count) for texts in (page.lines, page.ids))
        if self.since == page.last and len(self._lines) <= MAX_HELD:
            self._lines += last_lines
            self._ids += last_ids
            return lines, ids
        self.spilled = self.since == page.last
        ready = self._lines + lines, self._ids + ids
        self._lines, self._ids, self.since = last_lines, last_ids, page.last
        return ready


class _Generation:
    """Ids that are remembered and forgotten together. They become a set when one is looked up."""

    def __init__(self) -> None:
        self._added: list[list[bytes]] = []
        self._ids: set[bytes] = set()
        self.size = 0

    def add(self, ids: list[bytes]) -> None:
        self._added.append(ids)
        self.size += len(ids)

    @property
    def ids(self) -> set[bytes]:
        self._ids.update(*self._added)
        self._added.clear()
        return self._ids


class RecentIds:
    """Recognises events that come a second time within the last `limit` or more; without one, until :meth:`forget`.

    Ids of CloudWatch Logs rise with time, as far as anybody has seen. As long as they do, each is greater than all
    before it, and none needs to be looked up.
    """

    def __init__(self, limit: int | None = REMEMBERED_IDS) -> None:
        # None keeps all, until the next time that there is one.
        self.limit = limit
        self._highest = b''
        self._young, self._old = _Generation(), _Generation()

    def __len__(self) -> int:
        return self._young.size + self._old.size

    def fresh(self, lines: bytes, ids: bytes, remember: bool = True) -> tuple[bytes, bytes]:
        """The events that have not come before. Those without an id are each an event of its own."""
        each = ids.split(b'\n')[:-1]
        if not each or b'' in each:
            return lines, ids
        if self._highest < each[0] and all(map(lt, each, each[1:])):
            self._highest = each[-1]
        else:
            self._highest = max(self._highest, *each)
            lines, ids = self._unseen(lines, each)
            each = ids.split(b'\n')[:-1]
        if remember:
            self._young.add(each)
        if self.limit is not None and self._young.size > self.limit:
            self.forget()
        return lines, ids

    def forget(self) -> None:
        """Forgets the older of two generations of ids."""
        self._old, self._young = self._young, _Generation()

    def _unseen(self, lines: bytes, each: list[bytes]) -> tuple[bytes, bytes]:
        young, old = self._young.ids, self._old.ids
        first: dict[bytes, bytes] = {}
        for event_id, line in zip(each, lines.split(b'\n')):
            if event_id not in young and event_id not in old:
                first.setdefault(event_id, line)
        return _lines(first.values()), _lines(first)


def by_format(lines: bytes, layouts: Sequence[Layout], origin: str) -> Iterator[Block]:
    """Lines as Blocks, each with the Layout that has as many columns as its lines.

    Flow logs of several formats may share a log group, and even a log stream (vpc/latest/userguide/flow-logs-cwl).
    """
    if len(layouts) == 1 or not lines:
        yield Block(layouts[0], lines, origin)
        return
    by_width: dict[int, list[Layout]] = {}
    for layout in layouts:
        by_width.setdefault(len(layout.fields), []).append(layout)
    for width, run in groupby(lines.split(b'\n')[:-1], key=lambda line: len(line.split())):
        data = _lines(list(run))
        candidates = by_width.get(width, [layouts[0]])
        fits = next((layout for layout in candidates if not layout.check(data)[1]), None)
        if fits or len(candidates) == 1:
            yield Block(fits or candidates[0], data, origin)
            continue
        for layout, some in groupby(data.split(b'\n')[:-1], key=partial(_fitting, candidates)):
            yield Block(layout, _lines(list(some)), origin)


def _fitting(layouts: Sequence[Layout], line: bytes) -> Layout:
    """The first of the Layouts that a line is a record of, or else the first one."""
    return next((layout for layout in layouts if layout.repair(line) is not None), layouts[0])


def _lines(texts: Iterable[bytes]) -> bytes:
    return b'\n'.join([*texts, b''])


def _cut(lines: bytes, count: int) -> tuple[bytes, bytes]:
    """The lines before the last `count`, and these."""
    parts = lines[:-1].rsplit(b'\n', count)
    begin = len(parts[0]) + 1 if len(parts) > count else 0
    return lines[:begin], lines[begin:]
