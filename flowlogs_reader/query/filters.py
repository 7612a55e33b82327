"""Conditions and time windows over Blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from itertools import compress
from operator import and_, not_, or_

from ..kernel.memo import Memo
from ..records.layout import Column, Layout
from ..sources.s3.keys import KeyWindow
from .conditions import Condition, parse_condition

# Above this number of texts, parsing the lines is cheaper than one search through the bytes for each text.
MAX_SEARCHES = 16
# Shorter ones, such as port numbers, are in so many lines that a search does not pay; CloudWatch can do it for 443.
MIN_SEARCH = 6
MIN_TERM = 3
MAX_PATTERN = 1024
SKIPDATA = b'SKIPDATA'
_QUOTABLE = re.compile(r'[!#-\[\]-~]+')
_INTERFACE = re.compile(r'eni-[0-9a-f]{8,17}')


class Filter:
    """Conditions of which every record must meet all.

    >>> both = Filter.parse(['dstaddr=10.0.0.1', 'bytes>=40'])
    >>> both.keep(Layout(['dstaddr', 'bytes']), b'10.0.0.1 40\\n10.0.0.1 39\\n')
    (b'10.0.0.1 40\\n', 0)

    With `note_skipdata` the SKIPDATA records that may stand for records that meet the conditions are counted in
    `skipdata`, by their start: what a SKIPDATA record does not know counts as met.
    """

    def __init__(self, conditions: Iterable[Condition] = (), note_skipdata: bool = False) -> None:
        self.conditions = tuple(conditions)
        self.note_skipdata = note_skipdata
        self.skipdata: Counter[bytes] = Counter()
        self._verdicts = [Memo(condition.test) for condition in self.conditions]
        searchable = (c.literals for c in self.conditions if c.literals and len(c.literals) <= MAX_SEARCHES)
        self._searches = [texts for texts in searchable if min(map(len, texts)) >= MIN_SEARCH]

    @classmethod
    def parse(cls, texts: Iterable[str], extra_fields: Sequence[str] = ()) -> Filter:
        """Raises ValueError where a text is no condition. `extra_fields` are names that AWS does not document."""
        return cls(parse_condition(text, extra_fields) for text in ([texts] if isinstance(texts, str) else texts))

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def keep(
        self, layout: Layout, data: bytes, window: Window | None = None, time: int | None = None
    ) -> tuple[bytes, int]:
        """The canonical lines that meet the conditions, and how many of the lines looked at were malformed.

        Lines without any of the texts that a condition asks for are passed over unread: most of them, usually. With a
        `window`, only lines in it are kept; `time` is what it takes for lines without one.
        """
        data, _, flags, skipped = self._sift(layout, data, (), window, time)
        return (data if flags is None else b''.join(compress(data.splitlines(keepends=True), flags))), skipped

    def columns(
        self, layout: Layout, data: bytes, names: Sequence[str], window: Window | None = None, time: int | None = None
    ) -> tuple[list[Column], int]:
        """The same lines as columns (see :meth:`Layout.columns`), and how many were malformed."""
        _, columns, flags, skipped = self._sift(layout, data, names, window, time)
        return ([*columns] if flags is None else [[*compress(column, flags)] for column in columns]), skipped

    def _sift(
        self, layout: Layout, data: bytes, names: Sequence[str], window: Window | None, time: int | None
    ) -> tuple[bytes, Sequence[Column], list[bool] | None, int]:
        """Canonical lines, columns of them, which of them are to be kept (None: all), and how many are malformed."""
        if self.note_skipdata and SKIPDATA in data:
            self._note_skipdata(layout, data)
        for literals in self._searches:
            data = lines_with(data, literals)
        tested = [name for condition in self.conditions for name in condition.fields]
        if not (names or tested or window):
            data, skipped = layout.check(data)
            return data, (), None, skipped
        data, columns, skipped = layout.read(data, [*names, *tested, *(('start',) if window else ())])
        verdicts: list[Iterable[bool]] = []
        at = len(names)
        for condition, verdict in zip(self.conditions, self._verdicts):
            own = columns[at : at + len(condition.fields)]
            met = _combined(or_, [map(verdict.__getitem__, column) for column in own])
            verdicts.append(map(not_, met) if condition.negated else met)
            at += len(own)
        if window and (inside := window.inside(layout, data, columns[-1], time)) is not None:
            verdicts.append(inside)
        flags = list(_combined(and_, verdicts)) if verdicts else None
        return data, columns[: len(names)], None if flags and all(flags) else flags, skipped

    def _note_skipdata(self, layout: Layout, data: bytes) -> None:
        lines = layout.check(lines_with(data, [SKIPDATA]))[0]
        names = [name for condition in self.conditions for name in condition.fields]
        for status, start, *values in zip(*layout.columns(lines, ['log_status', 'start', *names])):
            if status == SKIPDATA and self._may_hide(iter(values)):
                self.skipdata[start] += 1

    def _may_hide(self, values: Iterator[bytes]) -> bool:
        """Whether none of the values that are known speaks against the conditions."""
        for condition, verdict in zip(self.conditions, self._verdicts):
            own = [next(values) for _ in condition.fields]
            if b'-' not in own and any(verdict[value] for value in own) == condition.negated:
                return False
        return True

    def missing(self, layout: Layout) -> list[str]:
        """The fields that conditions name and no record of this layout can have."""
        return [
            condition.fields[0]
            for condition in self.conditions
            if not any(name in layout.position for name in condition.fields)
        ]

    def pattern(self) -> str | None:
        """A CloudWatch filter pattern that lets every matching line pass, and some others; None where there is none.

        Quoted terms match anywhere in a line; terms with ``?`` are alternatives and cannot be mixed with others
        (AmazonCloudWatch/latest/logs/FilterAndPatternSyntax).
        """
        choices = [self._terms(condition) for condition in self.conditions]
        patterns = [' '.join(f'"{terms[0]}"' for terms in choices if len(terms) == 1)]
        patterns += [' '.join(f'?"{term}"' for term in terms) for terms in choices if len(terms) > 1]
        return next((pattern for pattern in patterns if 0 < len(pattern) <= MAX_PATTERN), None)

    def _terms(self, condition: Condition) -> list[str]:
        """Texts of which each line that is needed holds at least one; none where that cannot be said."""
        terms = [text.decode() for text in condition.literals or ()]
        if not all(len(term) >= MIN_TERM and _QUOTABLE.fullmatch(term) for term in terms):
            return []
        if terms and self.note_skipdata and condition.fields != ('interface_id',):
            terms.append(SKIPDATA.decode())
        return terms

    def interfaces(self) -> list[str]:
        """The ids of the interfaces of which every matching record is one; none where no condition says so."""
        for condition in self.conditions:
            ids = [text.decode() for text in condition.literals or ()]
            if condition.fields == ('interface_id',) and 0 < len(ids) <= MAX_SEARCHES:
                return ids if all(map(_INTERFACE.fullmatch, ids)) else []
        return []


def _combined(operator: Callable[[bool, bool], bool], verdicts: Sequence[Iterable[bool]]) -> Iterable[bool]:
    """For each line what the operator makes of the verdicts on it, of which there is one at least."""
    return reduce(partial(map, operator), verdicts)


class Window:
    """The records that start in [start, end), in milliseconds since the epoch; those without a start by their end."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self._inside = Memo(lambda text: text != b'-' and start_ms <= int(text) * 1000 < end_ms)
        self._keys = KeyWindow(start_ms, end_ms)

    def inside(self, layout: Layout, data: bytes, starts: Column, time: int | None = None) -> list[bool] | None:
        """Which of canonical lines, with these starts, are in the window; None where all are.

        Lines with neither start nor end count by the time, in Unix seconds, of the key that they lie under. Where that
        is None they are kept: nothing speaks against them.
        """
        if all(map(self._inside.__getitem__, set(starts))):
            return None
        timeless = self._keys.holds(time)
        (ends,) = layout.columns(data, ('end',))
        times = [start if start != b'-' else end for start, end in zip(starts, ends)]
        return [timeless if text == b'-' else self._inside[text] for text in times]


def lines_with(data: bytes, texts: Iterable[bytes]) -> bytes:
    """The lines that hold one of the texts, by searching the bytes; all lines where hits are too many to pay."""
    enough = len(data) // 400
    begins: dict[int, int] = {}
    for text in texts:
        at = data.find(text)
        while at >= 0:
            end = data.find(b'\n', at) + 1 or len(data)
            begins[data.rfind(b'\n', 0, at) + 1] = end
            if len(begins) > enough + 16:
                return data
            at = data.find(text, end)
    return b''.join([data[begin : begins[begin]] for begin in sorted(begins)])
