"""Where to cut a time window so that its parts can be read at the same time."""

from __future__ import annotations

from collections.abc import Iterator

# The last page of a slice is rarely full: fewer pages in a slice waste requests, more keep the first slice waiting.
PAGES_IN_SLICE = 3
# How much longer or shorter than the one before a slice may be: traffic comes in bursts.
STRETCH = 4


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
