"""Tests and windows: they decide which lines are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial, reduce
from ipaddress import ip_address
from itertools import islice
from operator import and_, eq, ge, gt, le, lt, ne, not_, or_
from typing import Any

from ..memo import Memo
from .labels import Labels, labelled
from .lines import Column, check_places, lines_of

#: (places, negated, missing, kind, payload). A line passes if (any value at the places matches) != negated. The
#: value ``-`` matches if `missing` is true. Other values are compared with the payload, which depends on the kind:
#:
#: - 'text': texts that it may equal.
#: - 'number': inclusive ranges of integers.
#: - 'flags': a mask; all of its bits must be set.
#: - 'address': inclusive ranges of addresses as (first, last, version).
#: - 'same': (place, operator): another value of the line. ``@`` before the operator: they are compared as addresses.
#:   (place, operator, labels): the labels of two addresses are equal (``=``) or not (``!=``). An address without a
#:   label counts as missing.
Test = tuple[tuple[int, ...], bool, bool, str, Any]
#: (start place, end place, start_ms, end_ms, timeless): a record is in the window if its start is in
#: [start_ms, end_ms). If the start is missing, its end counts; if both are missing, `timeless` decides.
Window = tuple[int, int, int, int, bool]
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {'=': eq, '!=': ne, '<': lt, '<=': le, '>': gt, '>=': ge}


class Tests:
    """The result of :func:`compile_tests`. Two of them are never equal."""

    def __init__(self, kinds: bytes, tests: tuple[Test, ...]) -> None:
        self.kinds, self.tests = kinds, tests


def compile_tests(kinds: bytes, tests: tuple[Test, ...], /) -> Tests:
    """Compile tests once, for many calls. The result takes the place of `tests` for lines of these kinds.

    >>> from flowlogs_reader.kernel.pure import keep
    >>> port = compile_tests(b'TI', (((1,), False, False, 'number', ((443, 443),)),))
    >>> keep(b'TI', port, None, b'10.0.0.1 443\\n10.0.0.1 80\\n')
    (b'10.0.0.1 443\\n', 1, 0)

    Thousands of networks take milliseconds to compile.
    """
    lines_of(kinds)
    Selector(kinds, tests, None)
    return Tests(kinds, tests)


@lru_cache(maxsize=64)
def selector(kinds: bytes, tests: tuple[Test, ...] | Tests, window: Window | None) -> Selector:
    return Selector(kinds, tests, window)


class Selector:
    """Tests and a window as functions. `groups` has the places of the columns that they need."""

    def __init__(self, kinds: bytes, tests: tuple[Test, ...] | Tests, window: Window | None) -> None:
        if isinstance(tests, Tests):
            if tests.kinds != kinds:
                raise ValueError('the tests were compiled for lines of other kinds')
            tests = tests.tests
        self.is_needed = bool(tests or window)
        self.groups: list[tuple[int, ...]] = []
        self._tests: list[tuple[int, bool, Callable[..., bool], int]] = []
        for places, negated, missing, kind, payload in tests:
            check_places(kinds, places, b'IM' if kind in ('number', 'flags') else b'TIM')
            if kind == 'same':
                function = _comparison(kinds, places, missing, *payload)
                self.groups += [(place,) for own in places for place in (own, payload[0])]
                self._tests.append((len(places), negated, function, 2))
            else:
                matches: dict[bytes, bool] = Memo(_match(missing, kind, payload))
                self.groups += [(place,) for place in places]
                self._tests.append((len(places), negated, matches.__getitem__, 1))
        self._window = window
        if window:
            start_place, end_place, start_ms, end_ms, _ = window
            check_places(kinds, (start_place, end_place), b'M')
            self._inside = Memo(lambda text: text != b'-' and start_ms <= int(text) * 1000 < end_ms)
            self.groups += [(start_place,), (end_place,)]

    def flags(self, found: Sequence[Column], count: int) -> list[bool] | None:
        """Whether each line is kept, decided from its columns; None if all are."""
        verdicts: list[Iterable[bool]] = []
        waiting = iter(found)
        for places, negated, function, arguments in self._tests:
            met: list[Iterable[bool]] = [map(function, *islice(waiting, arguments)) for _ in range(places)]
            either = reduce(partial(map, or_), met) if met else [False] * count
            verdicts.append(map(not_, either) if negated else either)
        if self._window and (inside := self._in_window(*waiting)) is not None:
            verdicts.append(inside)
        flags = list(reduce(partial(map, and_), verdicts)) if verdicts else []
        return None if all(flags) else flags

    def _in_window(self, starts: Column, ends: Column) -> list[bool] | None:
        if all(map(self._inside.__getitem__, set(starts))):
            return None
        timeless = bool(self._window and self._window[4])
        times = [start if start != b'-' else end for start, end in zip(starts, ends)]
        return [timeless if text == b'-' else self._inside[text] for text in times]


def _match(missing: bool, kind: str, payload: Any) -> Callable[[bytes], bool]:
    """A function that says whether a value matches."""
    if kind == 'text':
        return ({*payload} - {b'-'} | ({b'-'} if missing else set())).__contains__
    if kind == 'number':
        return lambda text: missing if text == b'-' else any(low <= int(text) <= high for low, high in payload)
    if kind == 'flags':
        return lambda text: missing if text == b'-' else int(text) & payload == payload
    if kind == 'address':
        return lambda text: missing if text == b'-' else _in_ranges(text, payload)
    raise ValueError(f'there is no test of the kind {kind!r}')


def _in_ranges(text: bytes, ranges: tuple[tuple[int, int, int], ...]) -> bool:
    try:
        address = ip_address(text.decode())
    except ValueError:
        return False
    number, own_version = int(address), address.version
    return any(first <= number <= last and version == own_version for first, last, version in ranges)


def _comparison(
    kinds: bytes, places: tuple[int, ...], missing: bool, other: int, operator: str, labels: Labels | None = None
) -> Callable[[bytes, bytes], bool]:
    """A function that says whether two values of a line match."""
    check_places(kinds, (other,))
    compare = _OPERATORS.get(operator.removeprefix('@'))
    if not compare or (labels is not None and operator not in ('=', '!=')):
        raise ValueError(f'there is no operator {operator!r}')
    if labels is not None:
        label = labelled(labels, b'-')

        def compare_labels(one: bytes, another: bytes) -> bool:
            first, second = label[one], label[another]
            return missing if b'-' in (first, second) else compare(first, second)

        return compare_labels
    if operator.startswith('@'):
        addresses = Memo(_address_order)

        def order(one: bytes, another: bytes) -> bool:
            if b'-' in (one, another):
                return missing
            first, second = addresses[one], addresses[another]
            return compare(first, second) if first and second else compare(one, another)

        return order
    if compare not in (eq, ne):
        check_places(kinds, (*places, other), b'IM')
    # Numbers have no leading zeros: of two, the longer one is larger.
    return lambda one, another: missing if b'-' in (one, another) else compare((len(one), one), (len(another), another))


def _address_order(text: bytes) -> tuple[int, int, bytes] | None:
    """The sort key of an address: version, number, zone. None if the text is not an address."""
    try:
        address = ip_address(text.decode())
    except ValueError:
        return None
    return address.version, int(address), text.partition(b'%')[2]
