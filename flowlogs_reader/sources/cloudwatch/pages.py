"""Answers of FilterLogEvents -> event pages: lines and ids, taken from the bytes of a response."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from ...kernel import find_events

# The key under which store_page puts the Page into a response.
PAGE = 'flowlogs_reader.page'
# One thread at a time decodes: the interpreter runs only one of them anyway, and each needs 10 MB.
_DECODING = Lock()


class Page(NamedTuple):
    """An event page, in the order of AWS: a line for each message, a line for each id.

    `first` and `last` are the times of the first and the last event in milliseconds; the last `last_count` events have
    the time `last`. `until` is the end of the requested window, in milliseconds, on its last page; None on others.
    """

    lines: bytes
    ids: bytes
    first: int | None = None
    last: int | None = None
    last_count: int = 0
    in_order: bool = True
    until: int | None = None

    def before_last(self) -> Page:
        """Return the page without the events of its last moment, of which the next page may have more."""
        lines, ids = (split_last(texts, self.last_count)[0] for texts in (self.lines, self.ids))
        return self._replace(lines=lines, ids=ids, last_count=0)


def store_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Store the events of a FilterLogEvents response as a Page, and leave the token for botocore to parse.

    A handler of botocore's before-parse event: botocore's own parsing takes five times as long as everything else here.
    If the body is not an answer of FilterLogEvents, no Page is stored, and botocore parses an empty body.
    """
    if response_dict['status_code'] != 200:
        return
    body: bytes = response_dict['body']
    headers = response_dict['headers']
    token = None
    if 'content-encoding' in headers or headers.get('content-length', str(len(body))) == str(len(body)):
        with _DECODING:
            found = find_events(body)
        if found:
            customized_response_dict[PAGE], token = Page(*found[:6]), found[6]
    response_dict['body'] = json.dumps({'nextToken': token} if token else {}).encode()


def page_of(events: Sequence[dict[str, Any]]) -> Page:
    """Return the Page of events from boto3, for a client of the caller. Raises ValueError or TypeError if invalid."""
    found = find_events(json.dumps({'events': events}).encode())
    if not found:
        raise ValueError('these are not events of CloudWatch Logs')
    return Page(*found[:6])


def join(page: Page, later: Page) -> Page:
    """Return the events of a page and the one after it as one page."""
    if later.last is None:
        return page
    first = later.first if page.first is None else page.first
    more = page.last_count if page.last == later.last and later.first == later.last else 0
    lines, ids = page.lines + later.lines, page.ids + later.ids
    return later._replace(lines=lines, ids=ids, first=first, last_count=later.last_count + more)


def join_lines(texts: Iterable[bytes]) -> bytes:
    """Return a line for each text."""
    return b'\n'.join([*texts, b''])


def split_last(lines: bytes, count: int) -> tuple[bytes, bytes]:
    """Return the lines before the last `count`, and the last `count`."""
    parts = lines[:-1].rsplit(b'\n', count)
    begin = len(parts[0]) + 1 if len(parts) > count else 0
    return lines[:begin], lines[begin:]
