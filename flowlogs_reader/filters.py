"""Conditions and time windows over Blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from operator import and_, not_, or_

from .conditions import Condition, Test, parse_condition
from .layout import Layout

# The distinct values of a column that a condition remembers: about 10 MB at most.
REMEMBERED = 65_536
# Above this number of texts, parsing the lines is cheaper than one search through the bytes for each text.
MAX_SEARCHES = 16
MAX_PATTERN = 1024


class Filter:
    """Conditions of which every record must meet all.

    >>> Filter.parse(['dstaddr=10.0.0.1', 'bytes>=40']).keep(Layout(['dstaddr', 'bytes']), b'10.0.0.1 40\\n10.0.0.1 39\\n')
    (b'10.0.0.1 40\\n', 0)
    """

    def __init__(self, conditions: Iterable[Condition] = ()) -> None:
        self.conditions = tuple(conditions)
        self._verdicts = [_Remembered(condition.test) for condition in self.conditions]
        self._searches = [
            condition.literals
            for condition in self.conditions
            if condition.literals and len(condition.literals) <= MAX_SEARCHES
        ]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Filter:
        """Raises ValueError where a text is no condition."""
        return cls(map(parse_condition, [texts] if isinstance(texts, str) else texts))

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def keep(self, layout: Layout, data: bytes) -> tuple[bytes, int]:
        """The canonical lines that meet the conditions, and how many of the lines looked at were malformed.

        Lines without any of the texts that a condition asks for are passed over unread: most of them, usually.
        """
        for literals in self._searches:
            data = lines_with(data, literals)
        data, skipped = layout.check(data)
        if not data or not self.conditions:
            return data, skipped
        names = [name for condition in self.conditions for name in condition.fields]
        columns = dict(zip(names, zip(*layout.rows(data, names))))
        flags: Iterable[bool] = ()
        for condition, verdict in zip(self.conditions, self._verdicts):
            met: Iterable[bool] = map(verdict.__getitem__, columns[condition.fields[0]])
            for name in condition.fields[1:]:
                if name in layout.position:
                    met = map(or_, met, map(verdict.__getitem__, columns[name]))
            if condition.negated:
                met = map(not_, met)
            flags = map(and_, flags, met) if flags else met
        return select(data, list(flags)), skipped

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
        choices = [[f'"{text.decode()}"' for text in condition.literals or ()] for condition in self.conditions]
        patterns = [' '.join(choice[0] for choice in choices if len(choice) == 1)]
        patterns += [' '.join('?' + term for term in choice) for choice in choices if len(choice) > 1]
        return next((pattern for pattern in patterns if 0 < len(pattern) <= MAX_PATTERN), None)


class Window:
    """The records that start in [start, end), in milliseconds since the epoch. Those without a start count by their end."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self._inside = _Remembered(lambda text: text != b'-' and start_ms <= int(text) * 1000 < end_ms)

    def keep(self, layout: Layout, data: bytes) -> bytes:
        """Of canonical lines those in the window. Lines with neither start nor end are kept: nothing speaks against them."""
        if not data or not ('start' in layout.position or 'end' in layout.position):
            return data
        times = [start if start != b'-' else end for start, end in layout.rows(data, ('start', 'end'))]
        return select(data, list(map(self._inside.__getitem__, times)))


class _Remembered(dict[bytes, bool]):
    """The verdicts of a test, each asked for once: columns repeat their values, and a look-up takes a tenth of a test."""

    def __init__(self, test: Test) -> None:
        super().__init__()
        self._test = test

    def __missing__(self, text: bytes) -> bool:
        if len(self) >= REMEMBERED:
            self.clear()
        verdict = self[text] = self._test(text)
        return verdict


def select(data: bytes, flags: Sequence[bool]) -> bytes:
    """The flagged ones of the lines."""
    if all(flags):
        return data
    return b''.join(compress(data.splitlines(keepends=True), flags))


def lines_with(data: bytes, texts: Iterable[bytes]) -> bytes:
    """The lines that hold one of the texts, by searching the bytes; all lines, where hits are too many for that to pay."""
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
