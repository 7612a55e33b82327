"""Conditions and a window applied to Blocks: what the kernel tests, made from what the user asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import NamedTuple

from .. import kernel
from ..query.conditions import MAX_NUMBER, Condition, Flags, Range, parse_condition
from ..query.query import Window
from ..records.block import Block
from ..records.fields import FIELDS
from ..records.layout import Layout

# The values of a field, or of several with a space between two: one for each line.
Values = Sequence[bytes]
# Above this number of texts, parsing the lines is cheaper than one search through the bytes for each text.
MAX_SEARCHES = 16
# Shorter texts, such as port numbers, are in so many lines that a search does not pay.
MIN_SEARCH = 6
SKIPDATA = b'SKIPDATA'
# Fields with few values.
KNOWN_WORDS = frozenset(field.name for field in FIELDS if field.words)
# What a sum is made of.
SUMMED = ('packets', 'bytes', 'start', 'end')


def literals(condition: Condition) -> tuple[bytes, ...] | None:
    """Texts of which every line that meets the condition holds at least one, in any layout; None if there are none.

    They allow lines to be ruled out before anything is parsed.
    """
    if condition.operator != '=':
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
    """The test that the kernel makes of a line. With `unknown` a missing value meets the condition."""
    values = [value for value in condition.values if value is not None]
    missing = len(values) < len(condition.values)
    if unknown:
        missing = not condition.negated
    return (layout.places(condition.fields), condition.negated, missing, *_kind_and_payload(condition, values))


def _kind_and_payload(condition: Condition, values: Sequence[object]) -> tuple[str, object]:
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
            # AWS spells an IPv4 address in one way only.
            return 'text', tuple(str(host).encode() for host in hosts)
        return 'address', tuple((int(net[0]), int(net[-1]), net.version) for net in networks)
    return 'text', tuple(value.encode() for value in values if isinstance(value, str))


class LineTests(NamedTuple):
    """The tests of lines of a layout: one by one, and compiled by the kernel."""

    each: tuple[kernel.Test, ...]
    compiled: kernel.Tests


class Filter:
    """Conditions of which every record must meet all, and a window in which it must start.

    >>> both = Filter.parse(['dstaddr=10.0.0.1', 'bytes>=40'])
    >>> both.keep(Block(Layout(['dstaddr', 'bytes']), b'10.0.0.1 40\\n10.0.0.1 39\\n'))
    (b'10.0.0.1 40\\n', 1, 0)

    A record without a start counts by its end, and one without both by when its Block `ended`; if that is not known
    either, it is kept: nothing speaks against it.

    With `count_skipdata` the SKIPDATA records that may stand for records that meet the conditions are counted in
    `skipdata`, by their start: a value that a SKIPDATA record does not know counts as one that meets them.
    """

    def __init__(
        self, conditions: Iterable[Condition] = (), window: Window | None = None, count_skipdata: bool = False
    ) -> None:
        self.conditions = tuple(conditions)
        self.window = window
        self.count_skipdata = count_skipdata
        self.skipdata: Counter[int] = Counter()
        # A word such as REJECT is in so many lines that a search does not pay either.
        rare = [condition for condition in self.conditions if not KNOWN_WORDS & {*condition.fields}]
        searchable = [texts for texts in map(literals, rare) if texts and len(texts) <= MAX_SEARCHES]
        self._searches = [texts for texts in searchable if min(map(len, texts)) >= MIN_SEARCH]
        self._compiled: dict[tuple[Layout, bool], LineTests] = {}

    @classmethod
    def parse(cls, texts: Iterable[str | Condition], extra_fields: Sequence[str] = ()) -> Filter:
        """Raises UsageError if a text is not a condition. `extra_fields` are names that AWS does not document."""
        given = [texts] if isinstance(texts, str) else texts
        return cls(each if isinstance(each, Condition) else parse_condition(each, extra_fields) for each in given)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it looks at."""
        names = {name for condition in self.conditions for name in condition.fields}
        if self.window:
            names |= {'start', 'end'}
        if self.count_skipdata:
            names |= {'start', 'log_status'}
        return frozenset(names)

    def asked(self, layout: Layout, ended: tuple[int, int] | None) -> tuple[LineTests, kernel.Window | None]:
        """The conditions and the window as the kernel takes them. `ended` as in Block."""
        return self._tests(layout), self._kernel_window(layout, ended)

    def lacked(self, layout: Layout) -> bool:
        """Whether there is a condition of which a layout has no field."""
        return any(layout.position.keys().isdisjoint(condition.fields) for condition in self.conditions)

    def _tests(self, layout: Layout, of_skipdata: bool = False) -> LineTests:
        """The conditions as the kernel takes them; or, for SKIPDATA records, with unknown values that meet them."""
        if (layout, of_skipdata) not in self._compiled:
            tests = [kernel_test(condition, layout, unknown=of_skipdata) for condition in self.conditions]
            if of_skipdata:
                tests.insert(0, (layout.places(['log_status']), False, False, 'text', (SKIPDATA,)))
            self._compiled[layout, of_skipdata] = LineTests(
                tuple(tests), kernel.compile_tests(layout.kinds, tuple(tests))
            )
        return self._compiled[layout, of_skipdata]

    def keep(self, block: Block) -> tuple[bytes, int, int]:
        """The canonical lines that pass, their number, and how many of the lines looked at were malformed.

        Lines without any of the texts that a condition asks for are passed over unread: most of them, usually.
        """
        tests, window = self.asked(block.layout, block.ended)
        return kernel.keep(block.layout.kinds, tests.compiled, window, self._candidates(block))

    def values(self, block: Block, names: Sequence[str]) -> tuple[list[list[bytes]], int]:
        """The values of these fields in the same lines, and how many lines were malformed."""
        layout = block.layout
        tests, window = self.asked(layout, block.ended)
        return kernel.columns(layout.kinds, tests.compiled, window, layout.places(names), self._candidates(block))

    def add(self, table: kernel.Sums, block: Block, keys: Sequence[Sequence[str]]) -> tuple[int, int]:
        """Adds the same lines to a table, once for each of the `keys`, which are fields; and counts both as before."""
        layout = block.layout
        if self.count_skipdata:
            self._count_skipdata(block)
        alternatives = tuple(map(layout.places, keys))
        return block.add_to(table, *self.asked(layout, block.ended), alternatives, _summed(layout), self._searches)

    def _kernel_window(self, layout: Layout, ended: tuple[int, int] | None) -> kernel.Window | None:
        if not self.window:
            return None
        start_ms, end_ms = self.window
        timeless = ended is None or ended[0] * 1000 < end_ms and start_ms < ended[1] * 1000
        start, end = layout.places(('start', 'end'))
        return start, end, start_ms, end_ms, timeless

    def _candidates(self, block: Block) -> bytes:
        """The lines that may pass, as far as the Block itself can tell."""
        if self.count_skipdata:
            self._count_skipdata(block)
        return block.candidates(*self.asked(block.layout, block.ended), self._searches)

    def _count_skipdata(self, block: Block) -> None:
        layout = block.layout
        tests, window = self._tests(layout, of_skipdata=True), self._kernel_window(layout, block.ended)
        if lines := block.candidates(tests, window, [(SKIPDATA,)]):
            (starts,), _ = kernel.columns(layout.kinds, tests.compiled, window, layout.places(['start']), lines)
            self.skipdata.update(int(start) for start in starts if start != b'-')


def fields_summed(table: kernel.Sums) -> frozenset[str]:
    """The fields that a table reads, besides its keys."""
    return frozenset([*table.track, *(('packets', 'bytes', 'log_status') if table.flows_only else ())])


def _summed(layout: Layout) -> tuple[int, int, int, int, int]:
    """Where what a sum is made of is, and what tells whether a record is a flow."""
    packets, octets, start, end, status = layout.places((*SUMMED, 'log_status'))
    return packets, octets, start, end, status


def is_record(layout: Layout, line: bytes) -> bool:
    """Whether a line, without its newline, is a record of a layout, canonical or not."""
    return bool(kernel.check(layout.kinds, line + b'\n')[0])
