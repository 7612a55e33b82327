"""Applies conditions and a window to Blocks: converts them to tests of the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any, NamedTuple

from .. import kernel
from ..query.conditions import ADDRESSES, MAX_NUMBER, Condition, Flags, Range, parse_condition
from ..query.mappings import Mapping
from ..query.query import Window
from ..records.block import Block
from ..records.fields import FIELDS
from ..records.layout import Layout

# With more texts than this, a search of the bytes for each of them takes longer than parsing the lines.
MAX_SEARCHES = 16
# Shorter texts, such as port numbers, are in so many lines that a search saves nothing.
MIN_SEARCH = 6
SKIPDATA = b'SKIPDATA'
# Fields with few values.
KNOWN_WORDS = frozenset(field.name for field in FIELDS if field.words)
# The fields that are summed.
SUMMED = ('packets', 'bytes', 'start', 'end')


def literals(condition: Condition) -> tuple[bytes, ...] | None:
    """Texts to search lines for, or None: a line that meets the condition contains at least one of them.

    Other lines need not be parsed.
    """
    if condition.operator != '=' or condition.mapping:
        return None
    texts: list[bytes] = []
    for value in condition.values:
        if isinstance(value, Range) and value.low == value.high:
            texts.append(b'%d' % value.low)
        elif isinstance(value, str):
            texts.append(value.encode())
        elif isinstance(value, IPv4Network) and value.prefixlen == 32:
            texts.append(str(value.network_address).encode())
        else:
            # A missing value, a range, or an IPv6 address, which may be spelt in several ways.
            return None
    return tuple(texts)


def kernel_test(condition: Condition, layout: Layout, unknown: bool = False) -> kernel.Test:
    """The condition as a test of the kernel. With `unknown`, a missing value meets the condition."""
    if condition.other:
        # Without a value on one side, a record meets neither = nor !=.
        missing = condition.negated != unknown
        return (layout.places(condition.fields), condition.negated, missing, 'same', _compared(condition, layout))
    values = [value for value in condition.values if value is not None]
    missing = len(values) < len(condition.values)
    if unknown:
        missing = not condition.negated
    return (layout.places(condition.fields), condition.negated, missing, *_kind_and_payload(condition, values))


def kernel_labels(mapping: Mapping) -> tuple[tuple[int, int, int, bytes], ...]:
    """The labels of a mapping as the kernel takes them."""
    return tuple((first, last, version, label.encode()) for first, last, version, label in mapping.ranges)


def _compared(condition: Condition, layout: Layout) -> tuple[object, ...]:
    """What the kernel's test 'same' compares, and how."""
    (other,) = layout.places([condition.other or ''])
    operator = '=' if condition.negated else condition.operator
    if condition.mapping:
        return other, operator, kernel_labels(condition.mapping)
    return other, f'@{operator}' if condition.fields[0] in ADDRESSES else operator


def _kind_and_payload(condition: Condition, values: Sequence[object]) -> tuple[str, object]:
    if condition.mapping:
        labels = [value for value in condition.values if value is None or isinstance(value, str)]
        return 'address', tuple(labelled[:3] for labelled in condition.mapping.having(labels))
    first = values[0] if values else ''
    if isinstance(first, Flags):
        return 'flags', first.mask
    if isinstance(first, Range):
        bounds = {
            '<': (0, first.low - 1), '<=': (0, first.low), '>': (first.low + 1, MAX_NUMBER),
            '>=': (first.low, MAX_NUMBER),
        }  # fmt: skip
        if condition.operator in bounds:
            return 'number', (bounds[condition.operator],)
        return 'number', tuple((value.low, value.high) for value in values if isinstance(value, Range))
    if isinstance(first, (IPv4Network, IPv6Network)):
        networks = [value for value in values if isinstance(value, (IPv4Network, IPv6Network))]
        hosts = [network.network_address for network in networks if network.prefixlen == network.max_prefixlen]
        if len(hosts) == len(networks) and all(isinstance(host, IPv4Address) for host in hosts):
            # An IPv4 address has one spelling only: compare texts.
            return 'text', tuple(str(host).encode() for host in hosts)
        return 'address', tuple((int(net[0]), int(net[-1]), net.version) for net in networks)
    return 'text', tuple(value.encode() for value in values if isinstance(value, str))


class LineTests(NamedTuple):
    """The tests for lines of one layout, and the same tests compiled by the kernel."""

    each: tuple[kernel.Test, ...]
    compiled: kernel.Tests


class Selection(NamedTuple):
    """Which lines of one layout pass, as arguments of the kernel. Each of them has a text of each of the `searches`."""

    tests: LineTests
    window: kernel.Window | None
    searches: Sequence[tuple[bytes, ...]]


class Filter:
    """Selects records that meet all conditions and start in the window.

    >>> both = Filter.parse(['dstaddr=10.0.0.1', 'bytes>=40'])
    >>> both.keep(Block(Layout(['dstaddr', 'bytes']), b'10.0.0.1 40\\n10.0.0.1 39\\n'))
    (b'10.0.0.1 40\\n', 1, 0)

    If a record has no start, its end must be in the window; if it has neither, the period in which the records of its
    Block `ended` must overlap the window. If that is not known, the record is kept.

    With `count_skipdata`, `skipdata` counts SKIPDATA records by their start, if they may stand for records that meet
    the conditions: a missing value of a SKIPDATA record meets every condition.
    """

    def __init__(
        self, conditions: Iterable[Condition] = (), window: Window | None = None, count_skipdata: bool = False
    ) -> None:
        self.conditions = tuple(conditions)
        self.window = window
        self.count_skipdata = count_skipdata
        self.skipdata: Counter[int] = Counter()
        # A word such as REJECT is in so many lines that a search saves nothing either.
        rare = [condition for condition in self.conditions if not KNOWN_WORDS & {*condition.fields}]
        searchable = [texts for texts in map(literals, rare) if texts and len(texts) <= MAX_SEARCHES]
        self._searches = [texts for texts in searchable if min(map(len, texts)) >= MIN_SEARCH]
        self._compiled: dict[tuple[Layout, bool], LineTests] = {}

    @classmethod
    def parse(cls, texts: Iterable[Any], extra_fields: Sequence[str] = ()) -> Filter:
        """Parse conditions: one text or Condition, or several. Raises UsageError for a bad one.

        `extra_fields` are names that AWS does not document.
        """
        # A Condition is a named tuple: it could be iterated over too.
        given = [texts] if isinstance(texts, (str, Condition)) else texts
        return cls(parse_condition(each, extra_fields) if isinstance(each, str) else each for each in given)

    def also(self, conditions: Iterable[Condition] = ()) -> Filter:
        """Another Filter of the same lines, with more conditions. It does not count SKIPDATA a second time."""
        return Filter((*self.conditions, *conditions), self.window)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that the conditions and the window need."""
        names = {name for condition in self.conditions for either in condition.needed for name in either}
        if self.window:
            names |= {'start', 'end'}
        if self.count_skipdata:
            names |= {'start', 'log_status'}
        return frozenset(names)

    def selection(self, layout: Layout, ended: tuple[int, int] | None) -> Selection:
        """The conditions and the window for lines of this layout. `ended` is that of a Block."""
        return Selection(self._tests(layout), self._kernel_window(layout, ended), self._searches)

    def lacked(self, layout: Layout) -> bool:
        """Whether the layout has no field of a condition."""
        needed = (names for condition in self.conditions for names in condition.needed)
        return any(map(layout.position.keys().isdisjoint, needed))

    def _tests(self, layout: Layout, of_skipdata: bool = False) -> LineTests:
        """The conditions as tests of the kernel. With `of_skipdata`, only SKIPDATA records pass: see the class."""
        if (layout, of_skipdata) not in self._compiled:
            tests = [kernel_test(condition, layout, unknown=of_skipdata) for condition in self.conditions]
            if of_skipdata:
                tests.insert(0, (layout.places(['log_status']), False, False, 'text', (SKIPDATA,)))
            self._compiled[layout, of_skipdata] = LineTests(
                tuple(tests), kernel.compile_tests(layout.kinds, tuple(tests))
            )
        return self._compiled[layout, of_skipdata]

    def keep(self, block: Block) -> tuple[bytes, int, int]:
        """Return the canonical lines that pass, their number, and the number of skipped lines.

        A search for the texts of the conditions usually rules out most lines. These are not parsed, and not counted.
        """
        self._count_skipdata(block)
        selection = self.selection(block.layout, block.ended)
        lines = block.candidates(selection)
        return kernel.keep(block.layout.kinds, selection.tests.compiled, selection.window, lines)

    def values(self, block: Block, names: Sequence[str]) -> tuple[list[list[bytes]], int]:
        """Return a list of values for each field, from the lines that pass, and the number of skipped lines."""
        self._count_skipdata(block)
        layout = block.layout
        selection = self.selection(layout, block.ended)
        lines = block.candidates(selection)
        return kernel.columns(layout.kinds, selection.tests.compiled, selection.window, layout.places(names), lines)

    def add(self, table: kernel.Sums, block: Block, keys: Sequence[Sequence[str]]) -> tuple[int, int]:
        """Add the lines that pass to a table, once for each tuple of fields in `keys`.

        Return the number of lines that passed, and the number of skipped lines.
        """
        self._count_skipdata(block)
        layout = block.layout
        alternatives = tuple(map(layout.places, keys))
        return block.add_to(table, self.selection(layout, block.ended), alternatives, _summed(layout))

    def _kernel_window(self, layout: Layout, ended: tuple[int, int] | None) -> kernel.Window | None:
        if not self.window:
            return None
        start_ms, end_ms = self.window
        timeless = ended is None or ended[0] * 1000 < end_ms and start_ms < ended[1] * 1000
        start, end = layout.places(('start', 'end'))
        return start, end, start_ms, end_ms, timeless

    def _count_skipdata(self, block: Block) -> None:
        if not self.count_skipdata:
            return
        layout = block.layout
        tests, window = self._tests(layout, of_skipdata=True), self._kernel_window(layout, block.ended)
        if lines := block.candidates(Selection(tests, window, [(SKIPDATA,)])):
            (starts,), _ = kernel.columns(layout.kinds, tests.compiled, window, layout.places(['start']), lines)
            self.skipdata.update(int(start) for start in starts if start != b'-')


def fields_summed(table: kernel.Sums) -> frozenset[str]:
    """The fields that a table needs, besides its keys."""
    return frozenset([*table.track, *(('packets', 'bytes', 'log_status') if table.flows_only else ())])


def _summed(layout: Layout) -> tuple[int, int, int, int, int]:
    """The places of the fields that are summed, and of log_status, which says whether a record is a flow."""
    packets, octets, start, end, status = layout.places((*SUMMED, 'log_status'))
    return packets, octets, start, end, status


def is_record(layout: Layout, line: bytes) -> bool:
    """Whether a line, without its newline, is a record of a layout, canonical or not."""
    return bool(kernel.check(layout.kinds, line + b'\n')[0])
