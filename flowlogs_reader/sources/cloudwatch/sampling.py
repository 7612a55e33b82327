"""How much text a window of a log group has, from small samples of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .pages import Page

# Samples after the first one; events in a page of a sample; the most pages of a sample, because pages may be empty or
# partial (FilterLogEvents, `nextToken`).
SAMPLES = 16
SAMPLE_EVENTS = 2000
SAMPLE_PAGES = 5


class Size(NamedTuple):
    """The bytes of the text (None: not known), those of them that were seen, the events, and whether all were seen."""

    bytes: float | None
    seen: float
    events: float
    exact: bool


class _Gap(NamedTuple):
    """A part of the window that no sample has seen, in milliseconds, and its bytes a millisecond (None: not known)."""

    begin: int
    end: int
    rate: float | None

    @property
    def bytes(self) -> float:
        return float('inf') if self.rate is None else self.rate * (self.end - self.begin)


def measure(start_ms: int, end_ms: int, sample: Callable[[int, int], tuple[Page, bool]]) -> Size:
    """Return the size of [start_ms, end_ms).

    `sample` returns the first events from one moment to another, and whether there are more.

    Events may be in any part of the window. What comes after a sample is assumed to be as dense as the sample. Then the
    largest unseen part is sampled again from its middle, and so on.
    """
    size = events = 0.0
    gaps: list[_Gap] = []

    def look(begin: int, end: int) -> None:
        nonlocal size, events
        page, more = sample(begin, end)
        count = page.lines.count(b'\n')
        text = float(len(page.lines) - count)
        if more and page.first is not None and page.last is not None and count > page.last_count:
            # Its last moment may have more events than the page.
            text *= (count - page.last_count) / count
            count -= page.last_count
            gaps.append(_Gap(page.last, end, text / (page.last - page.first)))
        elif more:
            gaps.append(_Gap(begin, end, None))
            text = count = 0
        size += text
        events += count

    look(start_ms, end_ms)
    for _ in range(SAMPLES):
        gap = max(gaps, key=lambda gap: gap.bytes, default=None)
        if gap is None or gap.end - gap.begin < 2:
            break
        gaps.remove(gap)
        middle = (gap.begin + gap.end) // 2
        gaps.append(gap._replace(end=middle))
        look(middle, gap.end)
    if any(gap.rate is None for gap in gaps):
        return Size(None, size, events, exact=False)
    rest = sum(gap.bytes for gap in gaps)
    return Size(size + rest, size, events * (1 + rest / size) if size else 0, exact=not gaps)
