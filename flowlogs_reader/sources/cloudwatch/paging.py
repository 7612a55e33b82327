"""The pages of a time window: one request after the other, or several slices of the window at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ...aws.trouble import error_code
from ...errors import IncompleteError
from ..ordered import in_order
from .pages import PAGE, Page, page_of

OPERATION = 'filter_log_events'
# A page holds at most 10,000 events (FilterLogEvents, `limit`).
PAGE_EVENTS = 10_000
# The last page of a slice is rarely full: fewer pages in a slice waste requests, more keep the first slice waiting.
PAGES_IN_SLICE = 3
# How much longer or shorter than the one before a slice may be: traffic comes in bursts.
STRETCH = 4


class Paging:
    """Asks FilterLogEvents for the events of a group; `asked` are the parameters that are the same for every request.

    Raises botocore's errors, and IncompleteError if AWS repeats itself or answers with something else.
    """

    def __init__(self, client: Any, log_group_name: str, asked: Mapping[str, Any]) -> None:
        self._client = client
        self._log_group_name = log_group_name
        self._asked = {'interleaved': True, **asked}

    def pages(self, start_ms: int, end_ms: int, workers: int, page_size: int | None = None) -> Iterator[Page]:
        """The pages of [start_ms, end_ms), in milliseconds, in the order of time. 0 workers read one page ahead."""
        if start_ms >= end_ms:
            return
        whole = partial(self._chain, start_ms, end_ms, page_size)
        if workers <= 1:
            yield from in_order([whole], workers=1 - workers, waiting=1)
            return
        chain = whole()
        first = next(chain, Page(b'', b'', until=end_ms))
        cut = _cut(first, start_ms, end_ms, workers)
        if not cut:
            yield first
            yield from in_order([lambda: chain], workers=1, waiting=1)
            return
        yield first.before_last()
        tasks = (partial(self._slice, cut, *bounds) for bounds in cut)
        yield from in_order(tasks, workers=workers, waiting=workers)

    def _slice(self, cut: Slices, start_ms: int, end_ms: int) -> Iterator[Page]:
        pages = 0
        for page in self._chain(start_ms, end_ms, None):
            pages += 1
            yield page
        cut.took(pages, end_ms - start_ms)

    def _chain(self, start_ms: int, end_ms: int, page_size: int | None) -> Iterator[Page]:
        """The pages of [start_ms, end_ms), one request after the other.

        A page token lives for 24 hours (FilterLogEvents). After that the chain begins anew where it was: the events of
        that moment come again, and are recognised.
        """
        from botocore.exceptions import ClientError

        since, begun = start_ms, True
        while begun:
            begun = False
            try:
                for page in self._requests(since, end_ms, page_size):
                    yield page
                    if page.last is not None and page.last > since:
                        since, begun = page.last, True
                return
            except ClientError as error:
                if not begun or error_code(error) != 'InvalidParameterException':
                    raise

    def _requests(self, start_ms: int, end_ms: int, page_size: int | None) -> Iterator[Page]:
        # FilterLogEvents includes the end.
        kwargs: dict[str, Any] = {'startTime': start_ms, 'endTime': end_ms - 1, **self._asked}
        if page_size:
            kwargs['PaginationConfig'] = {'PageSize': min(page_size, PAGE_EVENTS)}
        tokens: set[int] = set()
        for response in self._responses(kwargs):
            token = response.get('nextToken')
            try:
                page = response.get(PAGE) or page_of(response['events'])
            except (LookupError, TypeError, ValueError, AttributeError):
                raise IncompleteError(f'CloudWatch Logs gave an unreadable page of {self._log_group_name}') from None
            yield page if token else page._replace(until=end_ms)
            if token and hash(token) in tokens:
                raise IncompleteError(f'CloudWatch Logs gave the same page token twice for {self._log_group_name}')
            tokens.add(hash(token))

    def _responses(self, kwargs: dict[str, Any]) -> Iterator[dict[str, Any]]:
        from botocore.exceptions import PaginationError

        try:
            yield from self._client.get_paginator(OPERATION).paginate(**kwargs)
        except PaginationError as error:
            if 'same next token' not in str(error):
                raise
            raise IncompleteError(
                f'CloudWatch Logs gave the same page token twice for {self._log_group_name}'
            ) from error


def _cut(first: Page, start_ms: int, end_ms: int, workers: int) -> Slices | None:
    """What the first page has left, in slices. Its last events may be incomplete, and are read again."""
    if first.until is not None or not first.in_order:
        return None
    if first.first is None or first.last is None:
        return slices(start_ms, end_ms, 0, workers)
    return slices(first.last, end_ms, first.last - first.first, workers)


class Slices:
    """Cuts [begin, end) into slices of about PAGES_IN_SLICE pages each, going by what earlier ones took.

    Times are milliseconds. Slices are drawn one at a time, while others are being read.
    """

    def __init__(self, begin: int, end: int, length: int) -> None:
        self._begin = begin
        self._end = end
        self._length = max(1, length)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self._begin < self._end:
            begin, self._begin = self._begin, min(self._begin + self._length, self._end)
            yield begin, self._begin

    def took(self, pages: int, length: int) -> None:
        """Reports how many pages a slice of some length had."""
        fitting = length * PAGES_IN_SLICE // pages
        self._length = max(1, self._length // STRETCH, min(fitting, self._length * STRETCH))


def slices(begin: int, end: int, covered: int, workers: int) -> Slices | None:
    """Slices of what a first page has left, when its events spread over so many milliseconds; None for a page or two.

    There are enough slices for all workers, where they would not become shorter than a page for that.
    """
    rest = end - begin
    if not covered:
        return Slices(begin, end, rest // (workers * STRETCH))
    if rest < covered * 2:
        return None
    return Slices(begin, end, min(covered * PAGES_IN_SLICE, max(covered, rest // (workers * 2))))
