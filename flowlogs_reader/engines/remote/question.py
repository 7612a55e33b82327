"""What is asked of an engine on AWS for one table, and what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

from ...kernel import Sums, keep
from ...query.conditions import Condition
from ...query.result import ROWS
from ...records.block import Block
from ...records.layout import Layout
from ...sources.filter import Filter, kernel_test
from ...sources.further import Further
from ..sums import SUMS, Keys, add_groups, kinds_of, picked
from .contract import Group, Line
from .plan import Part, Plan


class Wanted(NamedTuple):
    """A table to fill, as :class:`Further`; but a record counts once for each of the keys of its Layout."""

    table: Sums
    keys: Callable[[Layout], Sequence[Sequence[str]]]
    conditions: tuple[Condition, ...] = ()
    only_with: Sequence[str] = ()

    @classmethod
    def all_of(cls, table: Sums, keys: Keys, further: Iterable[Further]) -> list[Wanted]:
        """Return the tables of :meth:`BaseReader.sum_into`, from its arguments."""
        first = cls(table, keys if callable(keys) else partial(_same, keys))
        return [first, *(cls(each.table, partial(_same, [each.keys]), *each[2:]) for each in further)]

    def counts(self, layout: Layout) -> bool:
        """Whether records of a layout count at all."""
        return not self.only_with or not layout.position.keys().isdisjoint(self.only_with)


class Question:
    """What is asked for one table, or for lines, and what was found.

    `where` has the conditions and the window for lines that AWS does not test.
    """

    def __init__(self, plan: Plan, where: Filter, wanted: Wanted | None = None) -> None:
        self.plan = plan
        self.lines: list[Line] = []
        self._where = where
        if wanted:
            self._wanted = wanted
            # Addresses as they are: the table makes networks and intervals of them.
            width = len(plan.parts[0].alternatives[0])
            self._sums = Sums([None] * width, wanted.table.track, wanted.table.flows_only)

    def add(self, rows: Sequence[Group | Line]) -> Counter[Layout]:
        """Keep lines, add groups to the sums, and return how many flows the groups of each layout have."""
        found: Counter[Layout] = Counter()
        self.lines += [row for row in rows if isinstance(row, Line)]
        groups = (row for row in rows if isinstance(row, Group))
        for at, of_part in groupby(groups, key=attrgetter('part')):
            part = self.plan.parts[at]
            while some := [*islice(of_part, ROWS)]:
                found[part.layout] += self._add_groups(part, some)
        return found

    def _add_groups(self, part: Part, groups: Sequence[Group]) -> int:
        width = len(part.keys) + len(SUMS)
        rows = b''.join(map(_row, groups))
        if self.plan.here:
            layout = Layout([key.field for key in part.keys])
            tests = tuple(kernel_test(condition, layout) for condition in self.plan.here)
            rows = keep(kinds_of(len(part.keys)), tests, None, rows)[0]
        for alternative in part.alternatives:
            add_groups(self._sums, picked(rows, [*alternative, *range(len(part.keys), width)]))
        return sum(int(row.rpartition(b' ')[2]) for row in rows.splitlines())

    def add_lines(self, block: Block) -> tuple[int, int]:
        """Add lines as the local engine does. Return how many passed, and how many are not records."""
        if not self._wanted.counts(block.layout):
            return 0, 0
        return self._where.add(self._sums, block, self._wanted.keys(block.layout))

    def fill(self) -> None:
        """Add the sums to the table that is wanted, by their first start, then by their keys."""
        rows = self._sums.lines().splitlines(keepends=True)
        rows.sort(key=_by_start)
        for begin in range(0, len(rows), ROWS):
            add_groups(self._wanted.table, b''.join(rows[begin : begin + ROWS]))


def _same(keys: Sequence[Sequence[str]], _: Layout) -> Sequence[Sequence[str]]:
    return keys


def _row(group: Group) -> bytes:
    """A group as a line of a table."""
    times = ('-' if time is None else time for time in (group.start, group.end))
    return ' '.join(map(str, (*group.keys, group.packets, group.bytes, *times, group.flows))).encode() + b'\n'


def _by_start(line: bytes) -> tuple[int, bytes]:
    """The order of rows: by start, those without one first, then by keys."""
    start = line.rsplit(b' ', 3)[1]
    return -1 if start == b'-' else int(start), line
