"""Events of many event pages: drops repeats, and holds back the last moment until all its events have arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import lt

from ...kernel import check
from ...records.block import Block
from ...records.layout import Layout
from ..filter import is_record
from .pages import Page, join_lines, split_last

# Event ids that are remembered, in two generations, to recognise repeated events.
REMEMBERED_IDS = 10_000
# Bytes of events with the same timestamp that are held back until a later event arrives.
MAX_HELD = 8_000_000


class HeldEvents:
    """Holds back the events of the last moment of a page until an event page shows that there are no more of them.

    AWS orders events by time, then by arrival. If they were released at once, a read that fails here could not be
    resumed without a gap or a repetition. The released events are complete up to `since`, in milliseconds; if
    `spilled`, they include some events of that moment too.
    """

    spilled = False

    def __init__(self, since: int) -> None:
        self._lines = self._ids = b''
        self.since = since

    def release(self, page: Page) -> tuple[bytes, bytes]:
        """Add a page. Return the lines that need not be held back any more, and their ids."""
        if page.until is not None:
            ready = self._lines + page.lines, self._ids + page.ids
            self._lines, self._ids, self.since, self.spilled = b'', b'', page.until, False
            return ready
        if page.last is None:
            return b'', b''
        if page.last < self.since:
            # Repeated events: RecentIds drops them.
            return page.lines, page.ids
        (lines, last_lines), (ids, last_ids) = (split_last(texts, page.last_count) for texts in (page.lines, page.ids))
        if self.since == page.last and len(self._lines) <= MAX_HELD:
            self._lines += last_lines
            self._ids += last_ids
            return lines, ids
        self.spilled = self.since == page.last
        ready = self._lines + lines, self._ids + ids
        self._lines, self._ids, self.since = last_lines, last_ids, page.last
        return ready


class _Generation:
    """Ids that are forgotten together. The set is built on the first look-up."""

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
    """Recognises repeated events by their ids, of which it remembers at least the last `limit` (None: all).

    Ids of CloudWatch Logs have always been observed to rise with time. While they do, each is greater than all before
    it, and no look-up is needed.
    """

    def __init__(self, limit: int | None = REMEMBERED_IDS) -> None:
        self.limit = limit
        self._highest = b''
        self._young, self._old = _Generation(), _Generation()

    def __len__(self) -> int:
        return self._young.size + self._old.size

    def drop_repeats(self, lines: bytes, ids: bytes, remember: bool = True) -> tuple[bytes, bytes]:
        """Return the events that are not repeated. If an event has no id, all are returned."""
        split_ids = ids.split(b'\n')[:-1]
        if not split_ids or b'' in split_ids:
            return lines, ids
        if self._highest < split_ids[0] and all(map(lt, split_ids, split_ids[1:])):
            self._highest = split_ids[-1]
        else:
            self._highest = max(self._highest, *split_ids)
            lines, ids = self._unseen(lines, split_ids)
            split_ids = ids.split(b'\n')[:-1]
        if remember:
            self._young.add(split_ids)
        if self.limit is not None and self._young.size > self.limit:
            self.forget()
        return lines, ids

    def forget(self) -> None:
        """Forget the older of two generations of ids."""
        self._old, self._young = self._young, _Generation()

    def _unseen(self, lines: bytes, ids: list[bytes]) -> tuple[bytes, bytes]:
        young, old = self._young.ids, self._old.ids
        first: dict[bytes, bytes] = {}
        for event_id, line in zip(ids, lines.split(b'\n')):
            if event_id not in young and event_id not in old:
                first.setdefault(event_id, line)
        return join_lines(first.values()), join_lines(first)


def by_layout(lines: bytes, layouts: Sequence[Layout], origin: str) -> Iterator[Block]:
    """Yield Blocks of lines, each with a Layout that has as many fields as its lines have values.

    Flow logs of several layouts may share a log group, and even a log stream (vpc/latest/userguide/flow-logs-cwl).
    """
    if len(layouts) == 1 or not lines:
        yield Block(layouts[0], lines, origin)
        return
    by_width: dict[int, list[Layout]] = {}
    for layout in layouts:
        by_width.setdefault(len(layout.fields), []).append(layout)
    for width, run in groupby(lines.split(b'\n')[:-1], key=lambda line: len(line.split())):
        data = join_lines(list(run))
        candidates = by_width.get(width, [layouts[0]])
        fits = next((layout for layout in candidates if not check(layout.kinds, data)[1]), None)
        if fits or len(candidates) == 1:
            yield Block(fits or candidates[0], data, origin)
            continue
        for layout, some in groupby(data.split(b'\n')[:-1], key=partial(_fitting, candidates)):
            yield Block(layout, join_lines(list(some)), origin)


def _fitting(layouts: Sequence[Layout], line: bytes) -> Layout:
    """Return the first Layout of which the line is a record, or else the first one."""
    return next((layout for layout in layouts if is_record(layout, line)), layouts[0])
