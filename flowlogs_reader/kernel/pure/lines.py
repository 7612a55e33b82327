"""Canonical lines: the check of each line, and the columns that one expression takes out of all of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

Column = Sequence[bytes]
# The first and the last place of fields that are neighbours in the format.
Span = tuple[int, int]
MAX_FIELDS = 256
# 54 columns, the longest of them ARNs and 256-character tags in percent encoding, stay far below it.
MAX_LINE = 65_536
# AWS documents seconds, yet flowlogs-reader 5.0.1 met milliseconds. A moment of more than 31 bits is one of these.
MAX_SECONDS = 2**31 - 1
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
_LETTER = re.compile(rb'\n[a-z]')


def check(kinds: bytes, data: bytes, /) -> tuple[bytes, int]:
    """The canonical lines of data, and how many of its lines are no records of this format.

    >>> check(b'ITI', b'2 10.0.0.1 40\\n2  10.0.0.2 007\\r\\n3 times nothing\\n\\n')
    (b'2 10.0.0.1 40\\n2 10.0.0.2 7\\n', 1)

    Data in which every line is canonical comes back as it is, the same object.
    """
    return _log(kinds).check(_bytes(data))


def letter_lines(data: bytes, /) -> tuple[int, ...]:
    """Where lines begin with a lower-case ASCII letter: header rows do, and records rarely.

    >>> letter_lines(b'version bytes\\n2 40\\n\\nversion end\\n')
    (0, 20)
    """
    first = (0,) if _LETTER.match(b'\n' + _bytes(data)[:1]) else ()
    return (*first, *[match.start() + 1 for match in _LETTER.finditer(data)])


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
