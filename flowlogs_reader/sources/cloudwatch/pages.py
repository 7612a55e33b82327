"""FilterLogEvents' answers -> pages of events: lines and ids, out of the bytes of a response."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from ...kernel import find_events

# Under which key store_page puts the Page into a response.
PAGE = 'flowlogs_reader.page'
# The threads of a process that wait for AWS take turns here: the interpreter runs one of them anyway, and each takes
# 10 MB for it.
_DECODING = Lock()


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


def store_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Stores the events of a FilterLogEvents response as a Page, and leaves the token for botocore to parse.

    A handler of botocore's before-parse event: botocore walks a response along its shapes, which takes five times as
    long as everything else here. If a body is not an answer of FilterLogEvents, there is no Page, and nothing for
    botocore to parse.
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
    """Events as boto3 gives them, from a client that was handed in. Raises ValueError or TypeError if they are none."""
    found = find_events(json.dumps({'events': events}).encode())
    if not found:
        raise ValueError('these are not events of CloudWatch Logs')
    return Page(*found[:6])


def joined(texts: Iterable[bytes]) -> bytes:
    """A line for each text."""
    return b'\n'.join([*texts, b''])


def cut(lines: bytes, count: int) -> tuple[bytes, bytes]:
    """The lines before the last `count`, and these."""
    parts = lines[:-1].rsplit(b'\n', count)
    begin = len(parts[0]) + 1 if len(parts) > count else 0
    return lines[:begin], lines[begin:]
