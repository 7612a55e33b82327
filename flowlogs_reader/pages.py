"""The pages of FilterLogEvents: out of a response, each event once, and never past a point where the order may break."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from .layout import Block, Layout

EVENTS = 'flowlogs_reader.page'
# Event ids that are remembered, in two generations, to recognise an event that comes again.
REMEMBERED_IDS = 20_000
# Events with one and the same timestamp that are held back until a later one shows that they are all there.
MAX_HELD = 50_000
ATTEMPTS = 5
_TIME = re.compile(rb'"timestamp":([0-9]{1,16})[,}]')


class Page(NamedTuple):
    """The events of a page in the order that AWS gave them: messages, ids, and the time of the last one in milliseconds.

    `last_count` events at the end share the time `last`. `until` is the end of what was asked for, in milliseconds, on
    its last page; None when other pages follow.
    """

    messages: list[bytes]
    ids: list[bytes]
    last: int | None = None
    last_count: int = 0
    in_order: bool = True
    until: int | None = None

    def before_last(self) -> Page:
        """The page without the events of its last moment, of which the next page may hold more."""
        size = len(self.messages) - self.last_count
        return self._replace(messages=self.messages[:size], ids=self.ids[:size])


def take_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Takes the events out of a FilterLogEvents response, and leaves the token for botocore to parse.

    A handler of botocore's before-parse event: botocore walks a response along its shapes, which takes five times as
    long as everything else here. A body that is not understood stays as it is, for botocore to treat like any other.
    """
    if response_dict['status_code'] != 200:
        return
    body: bytes = response_dict['body']
    found = scan_page(body) or load_page(body)
    if found:
        customized_response_dict[EVENTS], token = found
        response_dict['body'] = json.dumps({'nextToken': token} if token else {}).encode()


def retry_unreadable(response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: Any) -> float | None:
    """Has a page asked for again that has no events member, after this many seconds; None leaves it to botocore.

    A handler of botocore's needs-retry event. botocore itself takes a body that was cut off for an empty answer: the last
    page, so that the read would end early and say nothing.
    """
    if response and response[0].status_code == 200 and EVENTS not in response[1] and attempts < ATTEMPTS:
        return 0.1 * 2**attempts
    return None


def scan_page(body: bytes) -> tuple[Page, str | None] | None:
    """The events and the token in a response, found by the texts around them: in half the time of a JSON parser.

    None where the body may not be what it looks like: with a backslash anywhere, quotes may be part of a message; with
    an open bracket, it may have been cut off.
    """
    if b'\\' in body or body.count(b'[') != body.count(b']') or not body.endswith(b'}'):
        return None
    messages, ids, tokens = (_strings(body, mark) for mark in (b'"message":"', b'"eventId":"', b'"nextToken":"'))
    if len(messages) != len(ids) or len(tokens) > 1:
        return None
    token = tokens[0].decode('ascii', 'replace') if tokens else None
    if not messages:
        return (Page([], []), token) if b'"events":[]' in body else None
    # The time of the last event, with the character after its digits, is found again where its moment begins.
    time = _TIME.match(body, body.rfind(b'"timestamp":'))
    if not time:
        return None
    return Page(messages, ids, int(time[1]), body.count(b'"timestamp":', body.index(time[0]))), token


def _strings(body: bytes, mark: bytes) -> list[bytes]:
    """The strings that begin right after each mark."""
    parts = body.split(mark)
    del parts[0]
    return [part[: part.find(b'"')] for part in parts]


def load_page(body: bytes) -> tuple[Page, str | None] | None:
    """The events and the token in a response; None where it is not what FilterLogEvents answers."""
    try:
        document = json.loads(body)
        return page_of(document['events']), document.get('nextToken')
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def page_of(events: Sequence[dict[str, Any]]) -> Page:
    """Events as boto3 gives them. A line end inside a message must not make two records of it."""
    times = [event.get('timestamp', 0) for event in events]
    last = max(times, default=None)
    return Page(
        [event['message'].encode('utf-8', 'replace').replace(b'\n', b' ') for event in events],
        [event.get('eventId', '').encode() for event in events],
        last,
        len(times) - times.index(last) if last is not None else 0,
        all(earlier <= later for earlier, later in zip(times, times[1:])),
    )


class Held:
    """Events that share the last moment of a page, until a later page shows that there are no more of them.

    AWS orders events by time, then by arrival. Were they let out at once, a read that fails here could not be resumed
    without a gap or a repetition. What came out is complete up to `since`, in milliseconds.
    """

    def __init__(self, since: int) -> None:
        self._messages: list[bytes] = []
        self.since = since

    def through(self, page: Page) -> list[bytes]:
        """The messages that may go out."""
        if page.until is not None:
            ready, self._messages, self.since = self._messages + page.messages, [], page.until
            return ready
        if page.last is None:
            return []
        size = len(page.messages) - page.last_count
        if size <= 0 and self.since == page.last and len(self._messages) <= MAX_HELD:
            self._messages += page.messages
            return []
        ready = self._messages + page.messages[:size]
        self._messages, self.since = page.messages[size:], page.last
        return ready


class RecentIds:
    """Recognises events that come a second time within the last 20,000 or more."""

    def __init__(self) -> None:
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def fresh(self, page: Page) -> Page:
        """The page without what has come before. Events without an id are each an event of their own."""
        ids = set(page.ids)
        if b'' in ids:
            return page
        if len(ids) < len(page.ids) or not self._young.isdisjoint(ids) or not self._old.isdisjoint(ids):
            page = self._without_seen(page)
        self._young |= ids
        if len(self._young) > REMEMBERED_IDS:
            self._old, self._young = self._young, set()
        return page

    def _without_seen(self, page: Page) -> Page:
        seen = self._young | self._old
        first_at: dict[bytes, int] = {}
        for at, event_id in enumerate(page.ids):
            if event_id not in seen:
                first_at.setdefault(event_id, at)
        body = len(page.ids) - page.last_count
        return page._replace(
            messages=[page.messages[at] for at in first_at.values()],
            ids=list(first_at),
            last_count=sum(at >= body for at in first_at.values()),
        )


def by_format(messages: list[bytes], layouts: Sequence[Layout], origin: str) -> Iterator[Block]:
    """Messages as Blocks, each with the Layout that has as many columns as its lines.

    Flow logs of several formats may share a log group, and even a log stream (vpc/latest/userguide/flow-logs-cwl).
    """
    if len(layouts) == 1:
        yield Block(layouts[0], _lines(messages), origin)
        return
    by_width: dict[int, list[Layout]] = {}
    for layout in layouts:
        by_width.setdefault(len(layout.fields), []).append(layout)
    for width, run in groupby(messages, key=lambda message: len(message.split())):
        data = _lines(list(run))
        candidates = by_width.get(width, [layouts[0]])
        fits = (layout for layout in candidates if not layout.check(data)[1])
        yield Block(next(fits, candidates[0]), data, origin)


def _lines(messages: list[bytes]) -> bytes:
    return b'\n'.join([*messages, b''])
