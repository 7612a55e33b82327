"""What is done once for each record, in Python: the reference for native.c, and what runs where that is not built.

Every function takes lines as bytes. Three values describe them:

- `kinds`: one letter for each field of the log's format: ``T`` text, ``I`` integer, ``M`` moment in Unix seconds.
- `place`: the index of a field in the format, or -1 for a field that the format lacks. Such a field is ``-``.
- `tests` and `window`: what a record must pass, see :data:`Test` and :data:`Window`.

A *canonical* line is what AWS writes: one space between two columns, digits where numbers belong, ``-`` for a missing
value, nothing but printable ASCII. Other lines are repaired if that is possible, or counted as skipped.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial, reduce
from heapq import nsmallest
from ipaddress import ip_address, ip_network
from itertools import chain, compress, islice, repeat
from operator import and_, eq, ge, gt, le, lt, ne, not_, or_
from threading import Lock
from typing import Any, NamedTuple

from .memo import Memo

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
#: How a key is made of a value: None as it is, ('prefix', n4, n6), ('bucket', seconds, offset), ('map', dict, default).
Transform = Any
Column = Sequence[bytes]
# The first and the last place of fields that are neighbours in the format.
Span = tuple[int, int]
Events = tuple[bytes, bytes, 'int | None', 'int | None', int, bool, 'str | None']

MAX_FIELDS = 256
# 54 columns, the longest of them ARNs and 256-character tags in percent encoding, stay far below it.
MAX_LINE = 65_536
# AWS documents seconds, yet flowlogs-reader 5.0.1 met milliseconds. A moment of more than 31 bits is one of these.
MAX_SECONDS = 2**31 - 1
# Where buckets are counted in 64 bits, this leaves room to add.
MAX_BUCKET = 2**62
TRACKED = ('packets', 'bytes', 'start', 'end')
# Later than any moment of a record, and earlier.
NEVER, BEFORE = 2**63, -1
# A sum is one integer: bytes, packets and flows, each in so many bits. One addition adds all three.
LANE = 128
ONE_FLOW = 1 << 2 * LANE
# Bytes of lines that are summed at a time.
_SUMMED_PIECE = 1 << 16
MASK = (1 << LANE) - 1
SHIFTS = {'bytes': 0, 'packets': LANE, 'flows': 2 * LANE}

_PRINTABLE = bytes(range(0x20, 0x7F))
# A possessive quantifier leaves nothing to come back to, and takes a fifth less; Python 3.10 has none.
_P = b'+' if sys.version_info >= (3, 11) else b''
_TEXT = rb'[^ ]+' + _P
_LAST_TEXT = rb'[^ \n]+' + _P
# Canonical values, likely ones first. A line of plain ones, without zeros and missing values, takes a quarter less.
_PLAIN = {'T': _TEXT, 'I': rb'[1-9][0-9]{0,18}' + _P, 'M': rb'1[0-9]{9}'}
_ANY = {
    'T': _TEXT,
    'I': rb'(?:[1-9][0-9]{0,18}' + _P + rb'|[0-])',
    'M': rb'(?:1[0-9]{9}|[1-9][0-9]{0,8}|[0-])',
}
_EITHER = dict.fromkeys('TIM', _TEXT)
# All moments, the last one included: 2147483647.
_MOMENT = (
    rb'(?:1[0-9]{9}|[1-9][0-9]{0,8}|[0-]|20[0-9]{8}|21[0-3][0-9]{7}|214[0-6][0-9]{6}|2147[0-3][0-9]{5}|'
    rb'21474[0-7][0-9]{4}|214748[0-2][0-9]{3}|2147483[0-5][0-9]{2}|21474836[0-3][0-9]|214748364[0-7])'
)
_LETTER = re.compile(rb'\n[a-z]')
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {'=': eq, '!=': ne, '<': lt, '<=': le, '>': gt, '>=': ge}


# --- lines ------------------------------------------------------------------------------------------------------------


def check(kinds: bytes, data: bytes, /) -> tuple[bytes, int]:
    """The canonical lines of data, and how many of its lines are no records of this format.

    >>> check(b'ITI', b'2 10.0.0.1 40\\n2  10.0.0.2 007\\r\\n3 times nothing\\n\\n')
    (b'2 10.0.0.1 40\\n2 10.0.0.2 7\\n', 1)

    Data in which every line is canonical comes back as it is, the same object.
    """
    return _log(kinds).check(_bytes(data))


def keep(
    kinds: bytes, tests: tuple[Test, ...] | Tests, window: Window | None, data: bytes, /
) -> tuple[bytes, int, int]:
    """The canonical lines that pass every test and are in the window, their number, and how many are no records.

    >>> keep(b'TI', (((0,), False, False, 'text', (b'10.0.0.1',)),), None, b'10.0.0.1 40\\n10.0.0.2 50\\n')
    (b'10.0.0.1 40\\n', 1, 0)

    The same object, if all lines are kept as they are.
    """
    data, _, flags, skipped = _sift(kinds, tests, window, (), data)
    if flags is not None:
        data = b''.join(compress(data.splitlines(keepends=True), flags))
    return data, data.count(b'\n'), skipped


def columns(
    kinds: bytes,
    tests: tuple[Test, ...] | Tests,
    window: Window | None,
    places: Sequence[int | tuple[int, ...]],
    data: bytes,
    /,
) -> tuple[list[list[bytes]], int]:
    """Columns of the lines that :func:`keep` keeps, and how many lines are no records.

    >>> columns(b'TII', (), None, (2, (1, 0)), b'10.0.0.1 40 1\\n')
    ([[b'1'], [b'40 10.0.0.1']], 0)

    Several places make one column, with a space between two values.
    """
    groups = tuple(place if isinstance(place, tuple) else (place,) for place in places)
    _, found, flags, skipped = _sift(kinds, tests, window, groups, data)
    return [[*column] if flags is None else [*compress(column, flags)] for column in found], skipped


def column_getter(place: int, number: bool, /) -> Callable[[Any], Any]:
    """A function that gives the column at a place, as text or as a number; None if it is missing.

    It takes an object of which the attribute `_texts` is a canonical line as text, or the list of its columns.
    """

    def text(record: Any) -> str | None:
        texts = record._texts
        if texts.__class__ is str:
            texts = record._texts = texts.split(' ')
        value: str = texts[place]
        return None if value == '-' else value

    def value(record: Any) -> int | None:
        texts = record._texts
        if texts.__class__ is str:
            texts = record._texts = texts.split(' ')
        return None if texts[place] == '-' else int(texts[place])

    if place < 0:
        raise ValueError('a place is 0 or more')
    return value if number else text


def letter_lines(data: bytes, /) -> tuple[int, ...]:
    """Where lines begin with a lower-case ASCII letter: header rows do, and records rarely.

    >>> letter_lines(b'version bytes\\n2 40\\n\\nversion end\\n')
    (0, 20)
    """
    first = (0,) if _LETTER.match(b'\n' + _bytes(data)[:1]) else ()
    return (*first, *[match.start() + 1 for match in _LETTER.finditer(data)])


def _sift(
    kinds: bytes,
    tests: tuple[Test, ...] | Tests,
    window: Window | None,
    groups: tuple[tuple[int, ...], ...],
    data: bytes,
) -> tuple[bytes, list[Column], list[bool] | None, int]:
    """Canonical lines, columns of them, which of them are to be kept (None: all), and how many are no records."""
    log, sieve = _log(kinds), _sieve(kinds, tests, window)
    _check_places(kinds, (place for group in groups for place in group))
    asked = (*groups, *sieve.groups)
    if not asked:
        data, skipped = log.check(_bytes(data))
        found: list[Column] = []
    else:
        data, found, skipped = log.read(_bytes(data), asked)
    flags = sieve.flags(found[len(groups) :], data.count(b'\n')) if sieve.sifts else None
    return data, found[: len(groups)], flags, skipped


def _bytes(data: bytes) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f'data must be bytes, not {type(data).__name__}')
    return data


def _check_places(kinds: bytes, places: Iterable[int], allowed: bytes = b'TIM') -> None:
    for place in places:
        if not -1 <= place < len(kinds):
            raise ValueError(f'{place} is not a place in a format of {len(kinds)} fields')
        if place >= 0 and kinds[place] not in allowed:
            raise ValueError(f'the field at place {place} does not hold what is asked of it')


@lru_cache(maxsize=64)
def _log(kinds: bytes) -> _Log:
    return _Log(kinds)


class _Log:
    """A log with fields of these kinds, and the expressions that are compiled for it."""

    def __init__(self, kinds: bytes) -> None:
        if not 0 < len(kinds) <= MAX_FIELDS or kinds.strip(b'TIM'):
            raise ValueError(f'the kinds of a log are 1 to {MAX_FIELDS} letters T, I or M, not {kinds[:60]!r}')
        self.kinds = kinds.decode()
        plain, full = (b' '.join(self.values(values)) for values in (_PLAIN, _ANY))
        self._canonical = re.compile(b'(?m)^(?:' + plain + b'|' + full + b')\n')
        self._captures = lru_cache(maxsize=64)(partial(_Capture, self))

    def values(self, patterns: dict[str, bytes]) -> list[bytes]:
        """The expression of each column. ``[^ ]`` takes half the time of ``[^ \\n]``, but a match could run over many
        lines where no space bounds it: in the first and in the last column.
        """
        values = [patterns[kind] for kind in self.kinds]
        for at in (0, -1):
            values[at] = _LAST_TEXT if values[at] == _TEXT else values[at]
        return values

    def check(self, data: bytes) -> tuple[bytes, int]:
        # Every match begins a line and holds at least one newline: as many matches as newlines means all lines.
        if self._canonical.subn(b'', data)[1] == _lines_of_text(data):
            return data, 0
        checked = [self.repair(line) for line in data.split(b'\n') if line and not line.isspace()]
        kept = [line for line in checked if line is not None]
        whole = b''.join(kept)
        return data if whole == data else whole, len(checked) - len(kept)

    def read(self, data: bytes, groups: tuple[tuple[int, ...], ...]) -> tuple[bytes, list[Column], int]:
        """What :meth:`check` gives, and columns of it. One pass over the data takes two thirds of the time of two."""
        capture: _Capture = self._captures(groups, True)
        found = capture.expression.findall(data)
        if len(found) == _lines_of_text(data):
            return data, capture.columns(found), 0
        data, skipped = self.check(data)
        capture = self._captures(groups, False)
        return data, capture.columns(capture.expression.findall(data)), skipped

    def repair(self, line: bytes) -> bytes | None:
        """One line, made canonical with its newline, or None if it is no record of this format."""
        whole = line + b'\n'
        if self._canonical.fullmatch(whole) and not line.translate(None, _PRINTABLE):
            return whole
        values = line.split() if len(line) <= MAX_LINE else ()
        if len(values) != len(self.kinds):
            return None
        canonical = [*map(_canonical_value, self.kinds, values)]
        return None if None in canonical else b' '.join(canonical) + b'\n'  # type: ignore[arg-type]


def _canonical_value(kind: str, value: bytes) -> bytes | None:
    if value == b'-':
        return value
    if kind == 'T':
        return None if value.translate(None, _PRINTABLE) else value
    digits = value.lstrip(b'0') or b'0'
    if not value.isdigit() or len(digits) > 19:
        return None
    if kind == 'M' and int(digits) > MAX_SECONDS:
        seconds = int(digits) // 1000
        return None if seconds > MAX_SECONDS else b'%d' % seconds
    return digits


def _lines_of_text(data: bytes) -> int:
    """The number of lines in data, or -1 if there is a character that no record has, or no newline at the end."""
    odd = data.translate(None, _PRINTABLE)
    lines = odd.count(b'\n')
    return lines if lines == len(odd) and (not data or data.endswith(b'\n')) else -1


class _Capture:
    """An expression of which each match is a line, and how columns come out of what it finds.

    It expects canonical lines, or with `checking` matches no others.
    """

    def __init__(self, log: _Log, groups: tuple[tuple[int, ...], ...], checking: bool) -> None:
        spans: set[Span] = set()
        # The groups that each column is put together from; None for a field that the format lacks.
        self._parts: list[list[Span | None]] = []
        for places in groups:
            run = _run(places)
            if run and not any(_crosses(run, span) for span in spans):
                self._parts.append([run])
            else:
                self._parts.append([None if place < 0 else (place, place) for place in places])
            spans.update(span for span in self._parts[-1] if span)
        # Groups are numbered as they open; of those that open at one place the longest comes first.
        self._spans = sorted(spans, key=lambda span: (span[0], -span[1])) or [(0, 0)]
        end = len(log.kinds) if checking else max(last for _, last in self._spans) + 1
        values = log.values(_ANY if checking else _EITHER)[:end]
        for first, last in self._spans:
            values[first] = b'(' + values[first]
            values[last] += b')'
        rest = b'\n' if end == len(log.kinds) else rb' [^\n]*\n'
        self.expression = re.compile(b'(?m)^' + b' '.join(values) + rest)

    def columns(self, found: list[Any]) -> list[Column]:
        by_span: dict[Span | None, Column] = {None: [b'-'] * len(found), **dict.fromkeys(self._spans, ())}
        by_span.update(zip(self._spans, zip(*found) if len(self._spans) > 1 else [found]))
        made: list[Column] = []
        for part in self._parts:
            if len(part) == 1:
                made.append(by_span[part[0]])
            else:
                made.append([*map(b' '.join, zip(*[by_span[span] for span in part]))] or [b''] * len(found))
        return made


def _run(places: tuple[int, ...]) -> Span | None:
    """The first and the last of these places, if they are neighbours in this order."""
    if not places or places[0] < 0 or places != tuple(range(places[0], places[0] + len(places))):
        return None
    return places[0], places[-1]


def _crosses(one: Span, other: Span) -> bool:
    """Whether two runs overlap, and neither holds the other: no two groups can."""
    (begin, end), (later, last) = sorted((one, other))
    return begin < later <= end < last


# --- tests and windows ------------------------------------------------------------------------------------------------


class Tests:
    """What :func:`compile_tests` makes; two are never equal."""

    def __init__(self, kinds: bytes, tests: tuple[Test, ...]) -> None:
        self.kinds, self.tests = kinds, tests


def compile_tests(kinds: bytes, tests: tuple[Test, ...], /) -> Tests:
    """Tests that can be given in place of `tests` wherever lines have these kinds: they are compiled only once.

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


# --- sums -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _group_lines(kinds: bytes) -> re.Pattern[bytes]:
    """The expression of a line of a table: canonical, with all its sums, and with a flow at least."""
    values = _log(kinds).values(_ANY)
    number = rb'(?:[1-9][0-9]{0,18}' + _P + b'|0)'
    values[-5], values[-4], values[-1] = number, number, rb'[1-9][0-9]{0,18}' + _P
    values[-3] = values[-2] = _MOMENT
    return re.compile(b'(?m)^' + b' '.join(values) + b'\\n')


class _Needed(NamedTuple):
    """The columns that a table needs: of counts, start and end, where it has them; then those of the keys.

    `counted` says whether packets and bytes are in the counts. If neither is, log_status stands there.
    """

    groups: tuple[tuple[int, ...], ...]
    has_counts: bool
    has_start: bool
    has_end: bool
    counted: tuple[bool, bool]


class Sums:
    """Sums of packets, bytes and flows for each key, in the order in which the keys first appear.

    >>> table = Sums((None,), ('packets', 'bytes'))
    >>> table.add(b'TII', (), None, ((0,),), (1, 2, -1, -1, -1), b'10.0.0.1 1 40\\n10.0.0.1 2 60\\n')
    (2, 0)
    >>> table.lines()
    b'10.0.0.1 3 100 - - 2\\n'

    `keys` says how each key is made (:data:`Transform`). `track` says which of packets, bytes, start and end are
    summed; flows always are. What is not tracked is not read. With `flows_only` records that count neither packets nor
    bytes are left out: NODATA and SKIPDATA. Both can be read again, as attributes.

    Raises RuntimeError in a thread that calls it while another one does.
    """

    def __init__(self, keys: Sequence[Transform], track: Iterable[str] = TRACKED, flows_only: bool = True) -> None:
        keys, track = tuple(keys), frozenset(track)
        if track - {*TRACKED}:
            raise ValueError(f'{min(track - {*TRACKED})!r} cannot be tracked')
        self._signature = repr((keys, sorted(track), bool(flows_only)))
        self._keys = [_transform(key) for key in keys]
        # Buckets need numbers.
        self._kinds = [b'IM' if key and key[0] == 'bucket' else b'TIM' for key in keys]
        self.track = track
        self._timed = not track.isdisjoint(('start', 'end'))
        self.flows_only = flows_only
        # For each key a sum (see LANE); or with times a list of it, the first start and the last end.
        self._totals: Counter[bytes] = Counter()
        self._timed_totals: dict[bytes, list[int]] = {}
        # The keys in their order, while pages of lines are asked for.
        self._listed: list[bytes] | None = None
        self._sums: dict[tuple[bool, bool], Memo[int]] = {}
        self._starts = Memo(lambda text: NEVER if text == b'-' else int(text))
        self._ends = Memo(lambda text: BEFORE if text == b'-' else int(text))
        self._lock = Lock()

    def add(
        self,
        kinds: bytes,
        tests: tuple[Test, ...] | Tests,
        window: Window | None,
        alternatives: tuple[tuple[int, ...], ...],
        sums: tuple[int, int, int, int, int],
        data: bytes,
        /,
    ) -> tuple[int, int]:
        """Adds the records that pass; returns how many these were, and how many lines are no records.

        Each of the `alternatives` is the places of the keys: a record is added once for each. `sums` are the places of
        packets, bytes, start, end and log_status.
        """
        with self._alone():
            _log(kinds)
            _sieve(kinds, tests, window)
            needed = self._groups(kinds, alternatives, sums)
            self._listed = None
            kept = skipped = 0
            for piece in _pieces(_bytes(data)):
                data, found, flags, odd = _sift(kinds, tests, window, needed[0], piece)
                if flags is not None:
                    found = [[*compress(column, flags)] for column in found]
                count = data.count(b'\n') if flags is None else sum(flags)
                self._add_columns(alternatives, needed, found, count)
                kept += count
                skipped += odd
            return kept, skipped

    def _add_columns(
        self, alternatives: tuple[tuple[int, ...], ...], needed: _Needed, found: Sequence[Column], count: int
    ) -> None:
        waiting = iter(found)
        values = self._values(needed.counted, next(waiting)) if needed.has_counts else None
        # What is not asked for is the same for all records.
        starts: Iterable[int] = [*map(self._starts.__getitem__, next(waiting))] if needed.has_start else repeat(NEVER)
        ends: Iterable[int] = [*map(self._ends.__getitem__, next(waiting))] if needed.has_end else repeat(BEFORE)
        made = [self._made_keys(alternative, waiting, count) for alternative in alternatives]
        keys = made[0] if made else ()
        if len(made) > 1:
            # Keys appear in the order of the records.
            keys = [*chain.from_iterable(zip(*made))]
            values = values and [value for value in values for _ in made]
            starts, ends = (
                [each for each in column for _ in made] if isinstance(column, list) else column
                for column in (starts, ends)
            )
        if self._timed:
            self._add_timed(keys, repeat(ONE_FLOW) if values is None else values, starts, ends)
        elif values is None:
            self._count(keys)
        else:
            self._add(keys, values)

    def add_groups(self, data: bytes) -> None:
        """Adds flows that were summed before: a line for each group, as :meth:`lines` writes them.

        >>> table = Sums((('prefix', 8, 8),))
        >>> table.add_groups(b'10.0.0.1 3 100 20 30 2\\n10.0.0.2 1 40 10 15 1\\n')
        >>> table.lines()
        b'10.0.0.0/8 4 140 10 30 3\\n'

        A line has a value for each key, then packets, bytes, start, end and flows, with one space between two. The
        values are made into keys as :meth:`add` makes them: what :meth:`lines` gave stays as it is, but for a 'map'.
        The value of a 'bucket' is a number or ``-``. Packets, bytes and flows are numbers, of flows there is at least
        one; start and end are moments or ``-``. Numbers have at most 19 digits, none of them a leading zero. What is
        not tracked is checked, and not added. The same key may be in several lines. Lines are added in their order,
        so that keys that are new come last, in this order.

        Raises ValueError if a line is something else, or has no newline; then nothing of the data is added.
        """
        kinds = b''.join([b'T' if b'T' in allowed else b'I' for allowed in self._kinds]) + b'IIMMI'
        with self._alone():
            if _group_lines(kinds).subn(b'', _bytes(data))[1] != _lines_of_text(data):
                raise ValueError('these are not the lines of a table')
            self._listed = None
            for piece in _pieces(data):
                values = piece.split()
                self._add_groups(*(values[at :: len(kinds)] for at in range(len(kinds))))

    def _add_groups(self, *columns: Column) -> None:
        *values, packets, octets, starts, ends, flows = columns
        keys = self._joined(values, len(flows))
        counts = zip(map(int, flows), self._counts('packets', packets), self._counts('bytes', octets))
        sums = [((flow << LANE) + packet << LANE) + octet for flow, packet, octet in counts]
        if self._timed:
            firsts = map(self._starts.__getitem__, starts) if 'start' in self.track else repeat(NEVER)
            lasts = map(self._ends.__getitem__, ends) if 'end' in self.track else repeat(BEFORE)
            self._add_timed(keys, sums, firsts, lasts)
        else:
            self._add(keys, sums)

    def _counts(self, name: str, column: Column) -> Iterable[int]:
        return map(int, column) if name in self.track else repeat(0)

    def _groups(
        self, kinds: bytes, alternatives: tuple[tuple[int, ...], ...], sums: tuple[int, int, int, int, int]
    ) -> _Needed:
        packets, octets, start, end, status = sums
        _check_places(kinds, (packets, octets), b'IM')
        _check_places(kinds, (start, end), b'M')
        _check_places(kinds, (status,))
        for alternative in alternatives:
            if len(alternative) != len(self._keys):
                raise ValueError(f'{len(self._keys)} keys cannot be made of {len(alternative)} places')
            for place, allowed in zip(alternative, self._kinds):
                _check_places(kinds, (place,), allowed)
        counted = packets >= 0, octets >= 0
        own: list[tuple[int, ...]] = []
        if any(counted):
            if self.flows_only or not self.track.isdisjoint(('packets', 'bytes')):
                own.append(tuple(place for place in (packets, octets) if place >= 0))
        elif self.flows_only and status >= 0:
            own.append((status,))
        has_start, has_end = start >= 0 and 'start' in self.track, end >= 0 and 'end' in self.track
        has_counts = bool(own)
        own += [(place,) for place, has in ((start, has_start), (end, has_end)) if has]
        for alternative in alternatives:
            own += [(place,) for place in alternative] if any(self._keys) else [alternative]
        return _Needed(tuple(own), has_counts, has_start, has_end, counted)

    def _values(self, counted: tuple[bool, bool], rows: Column) -> list[int]:
        """What each record adds: 0, if it is no flow."""
        if counted not in self._sums:
            self._sums[counted] = Memo(partial(self._value, counted))
        return [*map(self._sums[counted].__getitem__, rows)]

    def _value(self, counted: tuple[bool, bool], row: bytes) -> int:
        if not any(counted):
            return 0 if row in (b'NODATA', b'SKIPDATA') else ONE_FLOW
        values = row.split(b' ')
        if self.flows_only and values.count(b'-') == len(values):
            return 0
        numbers = iter([0 if value == b'-' else int(value) for value in values])
        packets, octets = (next(numbers) if has else 0 for has in counted)
        packets *= 'packets' in self.track
        octets *= 'bytes' in self.track
        return ONE_FLOW + (packets << LANE) + octets

    def _made_keys(self, alternative: tuple[int, ...], waiting: Iterator[Column], count: int) -> Column:
        if not alternative:
            next(waiting, None)
            return [b''] * count
        if not any(self._keys):
            return next(waiting)
        return self._joined(waiting, count)

    def _joined(self, columns: Iterable[Column], count: int) -> Column:
        """The keys that are made of a column of values for each."""
        made = [map(key, column) if key else column for key, column in zip(self._keys, columns)]
        return [*map(b' '.join, zip(*made))] if len(made) > 1 else [*made[0]] if made else [b''] * count

    def _count(self, keys: Column) -> None:
        """Adds one flow for each key: a Counter does it in C."""
        totals = self._totals
        for key, count in Counter(keys).items():
            totals[key] += count * ONE_FLOW

    def _add(self, keys: Column, values: Iterable[int]) -> None:
        totals, get = self._totals, self._totals.get
        for key, value in zip(keys, values):
            if value:
                totals[key] = get(key, 0) + value

    def _add_timed(self, keys: Column, values: Iterable[int], starts: Iterable[int], ends: Iterable[int]) -> None:
        totals, get = self._timed_totals, self._timed_totals.get
        for key, value, start, end in zip(keys, values, starts, ends):
            if not value:
                continue
            total = get(key)
            if total is None:
                totals[key] = [value, start, end]
                continue
            total[0] += value
            if start < total[1]:
                total[1] = start
            if end > total[2]:
                total[2] = end

    def merge(self, other: Sums, /) -> None:
        """Adds what another table of the same keys has; keys that are new here come last, in its order."""
        if not isinstance(other, Sums):
            raise TypeError('only tables of the same kernel can be merged')
        if other._signature != self._signature:
            raise ValueError('only tables of the same keys and sums can be merged')
        with self._alone():
            if other is self:
                self._merge(other)
                return
            with other._alone():
                self._merge(other)

    def _merge(self, other: Sums) -> None:
        self._listed = None
        for key, total in other._timed_totals.items():
            self._add_timed([key], total[:1], total[1:2], total[2:])
        for key, value in other._totals.items():
            self._totals[key] += value

    def __len__(self) -> int:
        with self._alone():
            return len(self._all())

    def lines(self, begin: int = 0, count: int | None = None) -> bytes:
        """Rows as canonical lines: the keys, packets, bytes, start, end, flows. All, or `count` from `begin` on."""
        if begin < 0 or (count is not None and count < 0):
            raise ValueError('rows are counted from 0')
        with self._alone():
            rows = self._all()
            if self._listed is None:
                self._listed = [*rows]
            keys = self._listed[begin : None if count is None else begin + count]
            return b''.join([self._line(key, rows[key]) for key in keys])

    def top(self, count: int, by: str) -> bytes:
        """The rows with the largest 'bytes', 'packets' or 'flows'; what is equal is in the order of its text."""
        if by not in SHIFTS or by not in {*self.track, 'flows'}:
            raise ValueError(f'rows cannot be ordered by {by!r}')
        if count < 0:
            raise ValueError('rows are counted from 0')
        shift = SHIFTS[by]

        def order(row: tuple[bytes, Any]) -> tuple[int, bytes]:
            key, total = row
            value: int = total[0] if self._timed else total
            return -(value >> shift & MASK), key

        with self._alone():
            return b''.join([self._line(*row) for row in nsmallest(count, self._all().items(), order)])

    def _all(self) -> dict[bytes, Any]:
        return self._timed_totals if self._timed else self._totals

    def _line(self, key: bytes, total: Any) -> bytes:
        value, start, end = total if self._timed else (total, NEVER, BEFORE)
        return b'%b%b%d %d %b %b %d\n' % (
            key,
            b' ' if self._keys else b'',
            value >> LANE & MASK,
            value & MASK,
            b'-' if start == NEVER else b'%d' % start,
            b'-' if end == BEFORE else b'%d' % end,
            value >> 2 * LANE,
        )

    def _alone(self) -> _Alone:
        return _Alone(self._lock)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Runs of whole lines of data: what is made of a small one stays in the processor's cache."""
    begin = 0
    while begin < len(data):
        end = data.rfind(b'\n', begin, begin + _SUMMED_PIECE) + 1 or data.find(b'\n', begin) + 1 or len(data)
        yield data[begin:end]
        begin = end


class _Alone:
    """Holds a lock, and waits for none: two threads in one table are a mistake."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError('another thread is using this table')

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _transform(key: Transform) -> Callable[[bytes], bytes] | None:
    if key is None:
        return None
    if key[0] == 'prefix':
        _, n4, n6 = key
        if n4 < 0 or n6 < 0:
            raise ValueError('the length of a prefix is 0 or more')
        return Memo(partial(network, n4=n4, n6=n6)).__getitem__
    if key[0] == 'bucket':
        _, seconds, offset = key
        if not 0 < seconds <= MAX_BUCKET or not -MAX_BUCKET <= offset <= MAX_BUCKET:
            raise ValueError('a bucket has 1 to 2**62 seconds')
        return Memo(
            lambda text: text if text == b'-' else b'%d' % (int(text) - (int(text) + offset) % seconds)
        ).__getitem__
    if key[0] == 'map':
        _, mapping, default = key
        for value in (default, *mapping.values()):
            if not value or value.translate(None, _PRINTABLE[1:]):
                raise ValueError(f'{value!r} cannot be a column of a line')
        return partial(_mapped, dict(mapping), default)
    raise ValueError(f'a key cannot be made by {key[0]!r}')


def _mapped(mapping: dict[bytes, bytes], default: bytes, text: bytes) -> bytes:
    return mapping.get(text, default)


def network(text: bytes, n4: int, n6: int) -> bytes:
    """The network that an address is in, with a prefix of `n4` bits, or of `n6` bits for IPv6.

    >>> network(b'172.20.0.10', 24, 64), network(b'172.20.0.10', 64, 64)
    (b'172.20.0.0/24', b'172.20.0.10')

    Other text comes back as it is; so does an address where the length leaves it whole.
    """
    try:
        block = ip_network(text.decode())
    except ValueError:
        return text
    length = n4 if block.version == 4 else n6
    if length >= block.max_prefixlen or length > block.prefixlen:
        return text
    return str(block.supernet(new_prefix=length)).encode()


# --- output -----------------------------------------------------------------------------------------------------------

ENCODINGS = ('text', 'tsv', 'csv', 'jsonl')
_EPOCH = datetime(1970, 1, 1)
# Each takes half the time of bytes.replace.
_MISSING_IN_CSV = re.compile(rb',-(?=[,\n])')
_MISSING_TEXT, _MISSING_NUMBER = re.compile(b': "-"'), re.compile(b'\x01-\x01')
# What separators and line ends are not.
_NO_END = {separator: bytes({*range(256)} - {*separator, *b'\n'}) for separator in (b' ', b'\t')}
_SECONDS = re.compile(rb'-?[0-9]{1,19}')


def encode(
    encoding: str,
    names: Sequence[bytes],
    numbers: Sequence[bool],
    places: Sequence[int],
    times: Sequence[str | None],
    separator: bytes,
    data: bytes,
    /,
) -> bytes:
    """Columns of lines as 'text', 'tsv', 'csv' or 'jsonl'.

    >>> encode('jsonl', (b'bytes', b'end'), (True, False), (1, 0), (None, 'iso'), b' ', b'1454324362 40\\n')
    b'{"bytes": 40, "end": "2016-02-01T10:59:22Z"}\\n'

    `names`, `numbers` and `times` belong to the columns of the output, which are at these `places` of a line. A column
    of times is written as 'iso' or 'date', and is text. Text keeps the separator. Raises ValueError for a line that
    lacks one of the places, or for a time that is none.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f'there is no encoding {encoding!r}')
    if not 0 < len(places) == len(names) == len(numbers) == len(times):
        raise ValueError('each column has a name, a place, a form of time, and holds numbers or not')
    if separator not in (b' ', b'\t'):
        raise ValueError('the separator is a space or a tab')
    if min(places) < -1 or {*times} - {None, 'iso', 'date'}:
        raise ValueError('a place is -1 or more, and a time is iso or date')
    data = _bytes(data)
    data = data if data.endswith(b'\n') or not data else data + b'\n'
    if not data:
        return data
    columns = _picked(tuple(places), tuple(times), separator, data)
    numeric = [number and not time for number, time in zip(numbers, times)]
    if columns and 'date' in times and separator == b' ' and encoding != 'text':
        # A date has a space in it.
        return b''.join([_line(encoding, row, names, numeric) for row in zip(*columns)])
    lines = b'\n'.join([*map(separator.join, zip(*columns)), b'']) if columns else data
    if encoding == 'text':
        return lines
    if encoding == 'tsv':
        return lines.replace(separator, b'\t')
    if encoding == 'csv':
        return _csv(lines, separator, len(places))
    return _jsonl(lines, separator, names, numeric)


def _picked(
    places: tuple[int, ...], times: tuple[str | None, ...], separator: bytes, data: bytes
) -> list[Iterable[bytes]] | None:
    """These columns of each line; None if they are the lines as they stand."""
    count = data.count(b'\n')
    if places == (*range(len(places)),) and not any(times):
        # All that is left of lines that have these columns and no others.
        ends = separator * (len(places) - 1) + b'\n'
        if data.translate(None, _NO_END[separator]) == ends * count:
            return None
    # As in _Log.values: [^ ] is quicker, and as many matches as lines means that none runs over a line end.
    inner, outer = rb'[^%b]*' % separator + _P, rb'[^%b\n]*' % separator + _P
    used = sorted({*places} - {-1})
    columns: dict[int, Column] = {-1: [b'-'] * count}
    if used:
        values = [outer, *[inner] * (used[-1] - 1), outer][: used[-1] + 1]
        values = [b'(' + value + b')' if at in used else value for at, value in enumerate(values)]
        found = re.findall(b'(?m)^' + separator.join(values) + rb'(?:%b[^\n]*)?\n' % separator, data)
        if len(found) != count:
            raise ValueError('a line lacks a column')
        columns.update(zip(used, zip(*found) if len(used) > 1 else [found]))
    return [
        map(Memo(partial(_time, form)).__getitem__, columns[place]) if form else columns[place]
        for place, form in zip(places, times)
    ]


def _time(form: str, text: bytes) -> bytes:
    if text == b'-':
        return text
    if not _SECONDS.fullmatch(text):
        raise ValueError(f'{text[:40].decode("ascii", "replace")!r} is not a time')
    try:
        moment = _EPOCH + timedelta(seconds=int(text))
    except OverflowError:
        raise ValueError(f'{int(text)} is out of the range of dates') from None
    return (moment.isoformat() + 'Z' if form == 'iso' else moment.isoformat(' ')).encode()


def _csv(data: bytes, separator: bytes, width: int) -> bytes:
    """RFC 4180, with bare newlines. A missing value is empty."""
    if width == 1 or b',' in data or b'"' in data:
        return b''.join([_line('csv', line.split(separator)) for line in data[:-1].split(b'\n')])
    data = _MISSING_IN_CSV.sub(b',', b'\n' + data.replace(separator, b','))
    return data.replace(b'\n-,', b'\n,')[1:]


def _csv_value(value: bytes) -> bytes:
    if value == b'-':
        return b''
    return b'"%b"' % value.replace(b'"', b'""') if b',' in value or b'"' in value else value


def _jsonl(data: bytes, separator: bytes, names: Sequence[bytes], numbers: Sequence[bool]) -> bytes:
    """One JSON object for each line. A missing value is null."""
    if b'\x01' in data:
        return b''.join([_line('jsonl', line.split(separator), names, numbers) for line in data[:-1].split(b'\n')])
    data = data.replace(b'\\', b'\\\\').replace(b'"', b'\\"')
    # Numbers stand between two \x01, which no text holds, until those that are missing have become null.
    values = (b'\x01%b\x01' if number else b'"%b"' for number in numbers)
    members = [b'"%b": %b' % (name.replace(b'%', b'%%'), value) for name, value in zip(names, values)]
    template = b'{' + b', '.join(members) + b'}\n'
    written = template * data.count(b'\n') % tuple(data[:-1].replace(b'\n', separator).split(separator))
    return _MISSING_NUMBER.sub(b'null', _MISSING_TEXT.sub(b': null', written)).replace(b'\x01', b'')


def _line(encoding: str, values: Sequence[bytes], names: Sequence[bytes] = (), numbers: Sequence[bool] = ()) -> bytes:
    """One line, value by value."""
    if encoding == 'tsv':
        return b'\t'.join(values) + b'\n'
    if encoding == 'csv':
        # A line with nothing on it would be no row.
        return (b','.join(map(_csv_value, values)) or b'""') + b'\n'
    members = []
    for value, name, number in zip(values, names, numbers):
        text = value.replace(b'\\', b'\\\\').replace(b'"', b'\\"')
        members.append(b'"%b": %b' % (name, b'null' if value == b'-' else text if number else b'"%b"' % text))
    return b'{%b}\n' % b', '.join(members)


# --- events of CloudWatch Logs ----------------------------------------------------------------------------------------

# Events are taken out of so many bytes at a time: what is made of them stays in the processor's cache, and is gone
# before Python's garbage collector takes it for lasting. All at once they take a tenth longer.
_PIECE = 1 << 18
# Milliseconds until the year 5138.
_TIME_DIGITS = 14
_MEMBER = re.compile(rb'"([A-Za-z]+)"\s*:\s*(?:"([^"]*)"|([0-9]+))')
_TAKEN = (b'eventId', b'message', b'timestamp')
_NO_BRACES = bytes({*_PRINTABLE} - {*b'{}'})


def find_events(body: bytes, /) -> Events | None:
    """The events of a FilterLogEvents response: lines, ids, first, last, last_count, in_order, token.

    >>> find_events(b'{"events": [{"message": "2 1", "timestamp": 5, "eventId": "7"}], "nextToken": "x"}')
    (b'2 1\\n', b'7\\n', 5, 5, 1, True, 'x')

    There is a line for each message, and one for each id. `first` and `last` are times in milliseconds; `last_count`
    events at the end share the last one. None if the body is not what FilterLogEvents answers.
    """
    return _scanned(_bytes(body)) or _loaded(body)


def _scanned(body: bytes) -> Events | None:
    """The events of a response in which all look like the first one, in half the time of a JSON parser.

    None if the body may not be what it looks like. With a backslash anywhere, a quote may be part of a message. With
    more braces than those of the events that were found, events differ in their members, or the body is something else.
    """
    begin = body.find(b'{', 1)
    first_end = body.find(b'}', begin) + 1
    between = body[first_end : body.find(b'{', first_end)]
    # Between two events there is a comma, and maybe a space.
    comma = between if between.strip(b' ') == b',' else b','
    shape = _shape(body[begin:first_end])
    if not shape or b'\\' in body:
        return None
    # Every event but the last one is followed by another.
    event, names = re.compile(shape[0]), shape[1]
    followed = re.compile(b'%b(?=%b\\{)' % (shape[0], re.escape(comma)))
    last_end = body.rfind(b'}', 0, body.rfind(b'}')) + 1
    last_begin = body.rfind(b'{', 0, last_end)
    last_event = event.fullmatch(body, last_begin, last_end)
    if not last_event:
        return None
    times: list[bytes] = []
    lines: list[bytes] = []
    ids: list[bytes] = []
    at = begin
    while at < last_begin:
        end = body.find(b'}', at + _PIECE, last_begin) + 1 or last_begin
        found = dict(zip(names, zip(*followed.findall(body, at, min(end + len(comma), last_begin) + 1))))
        times += found.get(b'timestamp', ())
        lines.append(_joined(found.get(b'message', ())))
        ids.append(_joined(found.get(b'eventId', ())))
        at = end
    found = dict(zip(names, zip(last_event.groups())))
    times += found[b'timestamp']
    lines.append(_joined(found[b'message']))
    ids.append(_joined(found[b'eventId']))
    # Neither other braces, nor characters that JSON does not have, nor others than ASCII.
    if body.translate(None, _NO_BRACES) != b'{%b}' % (b'{}' * len(times)) or not _in_order(times):
        return None
    # With a mark instead of its events, the response is small enough to be parsed. No text without a backslash is \x01.
    around = _document(body[:begin] + b'"\\u0001"' + body[last_end:])
    if not around or around[0] != ['\x01']:
        return None
    last = times[-1]
    return b''.join(lines), b''.join(ids), int(times[0]), int(last), times.count(last), True, around[1]


def _shape(event: bytes) -> tuple[bytes, list[bytes]] | None:
    """The expression of events that differ from this one in their values only, and the names of its groups."""
    try:
        sound = json.loads(event)
    except (ValueError, RecursionError):
        return None
    names: list[bytes] = []
    parts: list[bytes] = []
    at = 0
    for member in _MEMBER.finditer(event):
        name, text, number = member.groups()
        value = rb'(?:[1-9][0-9]{0,18}' + _P + b'|0)' if text is None else rb'[^"]*' + _P
        if name in _TAKEN:
            if (text is None) != (name == b'timestamp'):
                return None
            # A number such as 1.5 is not what the expression takes it for.
            if sound.get(name.decode()) != (int(number) if text is None else text.decode('utf-8', 'replace')):
                return None
            names.append(name)
            value = b'(%b)' % value
        begin, end = member.span(3 if text is None else 2)
        parts += [re.escape(event[at:begin]), value]
        at = end
    if sorted(names) != [*_TAKEN]:
        return None
    return b''.join([*parts, re.escape(event[at:])]), names


def _in_order(times: list[bytes]) -> bool:
    """Whether these are times of one length, so that their order as text is the order of time."""
    length = len(times[0])
    return length <= _TIME_DIGITS and all(map(le, times, times[1:])) and {*map(len, times)} == {length}


def _loaded(body: bytes) -> Events | None:
    found = _document(body)
    try:
        return (*_page_of(found[0]), found[1]) if found else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _document(body: bytes) -> tuple[list[Any], str | None] | None:
    """The events and the token in a response."""
    try:
        document = json.loads(body)
        events, token = document['events'], document.get('nextToken')
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (events, token) if isinstance(events, list) and isinstance(token, str | None) else None


def _page_of(events: Sequence[dict[str, Any]]) -> tuple[bytes, bytes, int | None, int | None, int, bool]:
    """A line end inside a message must not make two records of it. Events that are in no order of time, as AWS never
    has them, are brought into it. Raises LookupError, TypeError, AttributeError or ValueError if they are no events.
    """
    times = [event.get('timestamp', 0) for event in events]
    if not all(isinstance(time, int) and 0 <= time < 10**_TIME_DIGITS for time in times):
        raise ValueError('the timestamp of an event is no time')
    in_order = all(map(le, times, times[1:]))
    if not in_order:
        events = sorted(events, key=lambda event: event.get('timestamp', 0))
        times.sort()
    last = times[-1] if times else None
    messages = [event['message'] for event in events]
    if '\n' in ''.join(messages):
        messages = [message.replace('\n', ' ') for message in messages]
    return (
        '\n'.join([*messages, '']).encode('utf-8', 'replace'),
        '\n'.join([*(event.get('eventId', '') for event in events), '']).encode('utf-8', 'replace'),
        times[0] if times else None,
        last,
        times.count(last) if times else 0,
        in_order,
    )


def _joined(texts: Iterable[bytes]) -> bytes:
    """A line for each text."""
    return b'\n'.join([*texts, b''])
