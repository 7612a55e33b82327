"""The event pages of a window: requested one after the other, or for several slices of the window concurrently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ...aws.trouble import error_code
from ...errors import Cause, IncompleteError
from ..ordered import in_order
from .pages import PAGE, Page, page_of

OPERATION = 'filter_log_events'
# A page holds at most 10,000 events (FilterLogEvents, `limit`).
PAGE_EVENTS = 10_000
# The last page of a slice is rarely full: fewer pages per slice waste requests, more delay the first results.
PAGES_IN_SLICE = 3
# How many times longer or shorter than the one before a slice may be: traffic comes in bursts.
STRETCH = 4


class Paging:
    """Requests the events of a log group from FilterLogEvents; `asked` are parameters of every request.

    Raises botocore's errors, and IncompleteError if AWS repeats a page token or an answer is invalid.
    """

    def __init__(self, client: Any, log_group_name: str, asked: Mapping[str, Any]) -> None:
        self._client = client
        self._log_group_name = log_group_name
        self._asked = {'interleaved': True, **asked}

    def pages(self, start_ms: int, end_ms: int, workers: int, page_size: int | None = None) -> Iterator[Page]:
        """Yield the pages of [start_ms, end_ms), in milliseconds, by time. One worker reads a page ahead."""
        if start_ms >= end_ms:
            return
        whole = partial(self._chain, start_ms, end_ms, page_size)
        if workers <= 1:
            yield from in_order([whole], workers=workers, waiting=1)
            return
        chain = whole()
        first = next(chain, Page(b'', b'', until=end_ms))
        slices = _slices_after(first, start_ms, end_ms, workers)
        if not slices:
            yield first
            yield from in_order([lambda: chain], workers=1, waiting=1)
            return
        yield first.before_last()
        tasks = (partial(self._slice, slices, *bounds) for bounds in slices)
        yield from in_order(tasks, workers=workers, waiting=workers)

    def _slice(self, slices: Slices, start_ms: int, end_ms: int) -> Iterator[Page]:
        pages = 0
        for page in self._chain(start_ms, end_ms, None):
            pages += 1
            yield page
        slices.adapt(pages, end_ms - start_ms)

    def _chain(self, start_ms: int, end_ms: int, page_size: int | None) -> Iterator[Page]:
        """Yield the pages of [start_ms, end_ms), one request after the other.

        A page token expires after 24 hours (FilterLogEvents). The chain then restarts at the last event: the events of
        that moment are repeated, and dropped later.
        """
        from botocore.exceptions import ClientError

        since, advanced = start_ms, True
        while advanced:
            advanced = False
            try:
                for page in self._requests(since, end_ms, page_size):
                    yield page
                    if page.last is not None and page.last > since:
                        since, advanced = page.last, True
                return
            except ClientError as error:
                if not advanced or error_code(error) != 'InvalidParameterException':
                    raise

    def _requests(self, start_ms: int, end_ms: int, page_size: int | None) -> Iterator[Page]:
        # FilterLogEvents includes events at endTime.
        kwargs: dict[str, Any] = {'startTime': start_ms, 'endTime': end_ms - 1, **self._asked}
        if page_size:
            kwargs['PaginationConfig'] = {'PageSize': min(page_size, PAGE_EVENTS)}
        tokens: set[int] = set()
        for response in self._responses(kwargs):
            token = response.get('nextToken')
            try:
                page = response.get(PAGE) or page_of(response['events'])
            except (LookupError, TypeError, ValueError, AttributeError):
                text = f'CloudWatch Logs gave an unreadable page of {self._log_group_name}'
                raise IncompleteError(text, Cause.ANSWER_UNREADABLE) from None
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


def _slices_after(first: Page, start_ms: int, end_ms: int, workers: int) -> Slices | None:
    """Return slices of the window after the first page, from its last moment on, which may be incomplete."""
    if first.until is not None or not first.in_order:
        return None
    if first.first is None or first.last is None:
        return _make_slices(start_ms, end_ms, 0, workers)
    return _make_slices(first.last, end_ms, first.last - first.first, workers)


class Slices:
    """Divides [begin, end), in milliseconds, into slices of about PAGES_IN_SLICE pages each.

    Slices are requested while others are being read: their length follows from the pages of earlier ones.
    """

    def __init__(self, begin: int, end: int, length: int) -> None:
        self._begin = begin
        self._end = end
        self._length = max(1, length)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self._begin < self._end:
            begin, self._begin = self._begin, min(self._begin + self._length, self._end)
            yield begin, self._begin

    def adapt(self, pages: int, length: int) -> None:
        """Adapt the length to the number of pages of a slice of `length` milliseconds."""
        fitting = length * PAGES_IN_SLICE // pages
        self._length = max(1, self._length // STRETCH, min(fitting, self._length * STRETCH))


def _make_slices(begin: int, end: int, covered: int, workers: int) -> Slices | None:
    """Return slices of [begin, end), if a page covers `covered` milliseconds; None for a page or two.

    There are enough slices for all workers, unless they would be shorter than a page.
    """
    rest = end - begin
    if not covered:
        return Slices(begin, end, rest // (workers * STRETCH))
    if rest < covered * 2:
        return None
    return Slices(begin, end, min(covered * PAGES_IN_SLICE, max(covered, rest // (workers * 2))))
