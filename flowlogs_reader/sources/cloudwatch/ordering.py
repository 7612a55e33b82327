"""The events of many pages: each once, in order, and never past a moment of which there may be more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import lt

from ...kernel import check
from ...records.block import Block
from ...records.layout import Layout
from ..filter import is_record
from .pages import Page, cut, joined

# Event ids that are remembered, in two generations, to recognise an event that comes again.
REMEMBERED_IDS = 10_000
# Bytes of events with one and the same timestamp that are held back until a later one shows that they are all there.
MAX_HELD = 8_000_000


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
        (lines, last_lines), (ids, last_ids) = (cut(texts, page.last_count) for texts in (page.lines, page.ids))
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

    def drop_repeats(self, lines: bytes, ids: bytes, remember: bool = True) -> tuple[bytes, bytes]:
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
        return joined(first.values()), joined(first)


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
        data = joined(list(run))
        candidates = by_width.get(width, [layouts[0]])
        fits = next((layout for layout in candidates if not check(layout.kinds, data)[1]), None)
        if fits or len(candidates) == 1:
            yield Block(fits or candidates[0], data, origin)
            continue
        for layout, some in groupby(data.split(b'\n')[:-1], key=partial(_fitting, candidates)):
            yield Block(layout, joined(list(some)), origin)


def _fitting(layouts: Sequence[Layout], line: bytes) -> Layout:
    """The first of the Layouts that a line is a record of, or else the first one."""
    return next((layout for layout in layouts if is_record(layout, line)), layouts[0])
