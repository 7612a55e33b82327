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
# From one moment to another, in milliseconds: the first events, and whether there are more.
Sample = Callable[[int, int], tuple[Page, bool]]


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


class _Seen(NamedTuple):
    """What a sample shows: bytes of text, events, and the part after them that it does not show, if there is one."""

    bytes: float
    events: int
    gap: _Gap | None


def measure(start_ms: int, end_ms: int, sample: Sample) -> Size:
    """Return the size of [start_ms, end_ms).

    `sample` returns the first events from one moment to another, and whether there are more.

    Events may be in any part of the window. What comes after a sample is assumed to be as dense as the sample. Then the
    largest unseen part is sampled again from its middle, and so on.
    """
    seen = [_look(start_ms, end_ms, sample)]
    gaps = [*filter(None, (seen[0].gap,))]
    for _ in range(SAMPLES):
        gap = max(gaps, key=lambda gap: gap.bytes, default=None)
        if gap is None or gap.end - gap.begin < 2:
            break
        gaps.remove(gap)
        middle = (gap.begin + gap.end) // 2
        seen.append(_look(middle, gap.end, sample))
        gaps += filter(None, (gap._replace(end=middle), seen[-1].gap))
    size, events = sum(each.bytes for each in seen), sum(each.events for each in seen)
    if any(gap.rate is None for gap in gaps):
        return Size(None, size, events, exact=False)
    rest = sum(gap.bytes for gap in gaps)
    return Size(size + rest, size, events * (1 + rest / size) if size else 0, exact=not gaps)


def _look(begin: int, end: int, sample: Sample) -> _Seen:
    """Take a sample of [begin, end), in milliseconds."""
    page, more = sample(begin, end)
    count = page.lines.count(b'\n')
    text = float(len(page.lines) - count)
    if not more:
        return _Seen(text, count, None)
    if page.first is None or page.last is None or count <= page.last_count:
        return _Seen(0.0, 0, _Gap(begin, end, None))
    # Its last moment may have more events than the page.
    text *= (count - page.last_count) / count
    return _Seen(text, count - page.last_count, _Gap(page.last, end, text / (page.last - page.first)))
