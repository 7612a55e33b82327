"""Tests and windows: which lines pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial, reduce
from ipaddress import ip_address
from itertools import islice
from operator import and_, eq, ge, gt, le, lt, ne, not_, or_
from typing import Any

from ..memo import Memo
from .lines import Column, _check_places, _log

#: (places, negated, missing, kind, payload). A line passes if (any value at the places matches) != negated. A value
#: ``-`` matches if `missing`. What another value is compared with is in the payload, by kind:
#:
#: - 'text': texts that it may equal. 'fold': the same, whatever the case; the texts are in lower case.
#: - 'number': inclusive ranges of integers. 'flags': a mask, of which all bits must be set.
#: - 'address': inclusive ranges of addresses as (first, last, version).
#: - 'same': (place, operator): another value of the line; ``@`` before the operator compares addresses.
Test = tuple[tuple[int, ...], bool, bool, str, Any]
#: (start place, end place, start_ms, end_ms, timeless): a record is in the window if its start is in
#: [start_ms, end_ms), or its end, if the start is missing. If both are missing, `timeless` decides.
Window = tuple[int, int, int, int, bool]
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {'=': eq, '!=': ne, '<': lt, '<=': le, '>': gt, '>=': ge}


class Tests:
    """What :func:`compile_tests` makes; two are never equal."""

    def __init__(self, kinds: bytes, tests: tuple[Test, ...]) -> None:
        self.kinds, self.tests = kinds, tests


def compile_tests(kinds: bytes, tests: tuple[Test, ...], /) -> Tests:
    """Tests that can be given in place of `tests` wherever lines have these kinds: they are compiled only once.

    >>> from flowlogs_reader.kernel.pure import keep
    >>> port = compile_tests(b'TI', (((1,), False, False, 'number', ((443, 443),)),))
    >>> keep(b'TI', port, None, b'10.0.0.1 443\\n10.0.0.1 80\\n')
    (b'10.0.0.1 443\\n', 1, 0)

    Thousands of networks take milliseconds to compile.
    """
    _log(kinds)
    _Sieve(kinds, tests, None)
    return Tests(kinds, tests)


@lru_cache(maxsize=64)
def _sieve(kinds: bytes, tests: tuple[Test, ...] | Tests, window: Window | None) -> _Sieve:
    return _Sieve(kinds, tests, window)


class _Sieve:
    """Tests and a window, made into functions of the columns `groups`."""

    def __init__(self, kinds: bytes, tests: tuple[Test, ...] | Tests, window: Window | None) -> None:
        if isinstance(tests, Tests):
            if tests.kinds != kinds:
                raise ValueError('the tests were compiled for lines of other kinds')
            tests = tests.tests
        self.sifts = bool(tests or window)
        self.groups: list[tuple[int, ...]] = []
        self._tests: list[tuple[int, bool, Callable[..., bool], int]] = []
        for places, negated, missing, kind, payload in tests:
            _check_places(kinds, places, b'IM' if kind in ('number', 'flags') else b'TIM')
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
            _check_places(kinds, (start_place, end_place), b'M')
            self._inside = Memo(lambda text: text != b'-' and start_ms <= int(text) * 1000 < end_ms)
            self.groups += [(start_place,), (end_place,)]

    def flags(self, found: Sequence[Column], count: int) -> list[bool] | None:
        """Which of the lines, of which these are the columns, are to be kept; None if all are."""
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
    """A function of one value."""
    if kind in ('text', 'fold'):
        texts = {*payload} - {b'-'} | ({b'-'} if missing else set())
        return texts.__contains__ if kind == 'text' else lambda text: text.lower() in texts
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
    return any(first <= int(address) <= last and version == address.version for first, last, version in ranges)


def _comparison(
    kinds: bytes, places: tuple[int, ...], missing: bool, other: int, operator: str
) -> Callable[[bytes, bytes], bool]:
    """A function of two values of a line."""
    _check_places(kinds, (other,))
    compare = _OPERATORS.get(operator.removeprefix('@'))
    if not compare:
        raise ValueError(f'there is no operator {operator!r}')
    if operator.startswith('@'):
        addresses = Memo(_address_order)

        def order(one: bytes, another: bytes) -> bool:
            if b'-' in (one, another):
                return missing
            first, second = addresses[one], addresses[another]
            return compare(first, second) if first and second else compare(one, another)

        return order
    if compare not in (eq, ne):
        _check_places(kinds, (*places, other), b'IM')
    # Numbers without leading zeros: of two, the longer one is larger.
    return lambda one, another: missing if b'-' in (one, another) else compare((len(one), one), (len(another), another))


def _address_order(text: bytes) -> tuple[int, int, bytes] | None:
    """What an address is compared by; None if the text is not an address. Equal ones have the same zone."""
    try:
        address = ip_address(text.decode())
    except ValueError:
        return None
    return address.version, int(address), text.partition(b'%')[2]
