"""Lines: makes them canonical, and finds columns of their values.

A regular expression is matched against all lines of a block at once: a loop over lines in Python takes far longer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from ..limits import MAX_FIELDS, MAX_LINE, MAX_SECONDS

# The values of a field, or of several fields with a space between them: one for each line.
Column = Sequence[bytes]
# The first and the last place of fields that are next to each other in the format.
Span = tuple[int, int]
PRINTABLE = bytes(range(0x20, 0x7F))
# A possessive quantifier does not backtrack, which saves a fifth of the time. Python 3.10 does not have it.
POSSESSIVE = b'+' if sys.version_info >= (3, 11) else b''
_TEXT = rb'[^ ]+' + POSSESSIVE
_LAST_TEXT = rb'[^ \n]+' + POSSESSIVE
# Patterns of canonical values. Those of likely values, without zeros and missing values, are tried first: they take a
# quarter less time.
_LIKELY_VALUE = {'T': _TEXT, 'I': rb'[1-9][0-9]{0,18}' + POSSESSIVE, 'M': rb'1[0-9]{9}'}
ANY_VALUE = {
    'T': _TEXT,
    'I': rb'(?:[1-9][0-9]{0,18}' + POSSESSIVE + rb'|[0-])',
    'M': rb'(?:1[0-9]{9}|[1-9][0-9]{0,8}|[0-])',
}
# Every moment up to the last one, 2147483647.
MOMENT = (
    rb'(?:1[0-9]{9}|[1-9][0-9]{0,8}|[0-]|20[0-9]{8}|21[0-3][0-9]{7}|214[0-6][0-9]{6}|2147[0-3][0-9]{5}|'
    rb'21474[0-7][0-9]{4}|214748[0-2][0-9]{3}|2147483[0-5][0-9]{2}|21474836[0-3][0-9]|214748364[0-7])'
)
_STRICT_VALUE = {**ANY_VALUE, 'T': rb'[!-~]+' + POSSESSIVE}
_UNCHECKED_VALUE = dict.fromkeys('TIM', _TEXT)
_LETTER = re.compile(rb'\n[a-z]')
# If a search finds more than one line in so many bytes, about every fourth line, it does not save time. A few lines are
# always found.
_BYTES_PER_LINE, _FEW_LINES = 400, 16


def check(kinds: bytes, data: bytes, /) -> tuple[bytes, int]:
    """The canonical lines of the data, and the number of other lines, which are not records of this format.

    >>> check(b'ITI', b'2 10.0.0.1 40\\n2  10.0.0.2 007\\r\\n3 times nothing\\n\\n')
    (b'2 10.0.0.1 40\\n2 10.0.0.2 7\\n', 1)

    If every line is canonical already, the same object is returned.
    """
    return lines_of(kinds).check(require_bytes(data))


def letter_lines(data: bytes, /) -> tuple[int, ...]:
    """The offsets of lines that begin with a lower-case ASCII letter: header rows do, records rarely.

    >>> letter_lines(b'version bytes\\n2 40\\n\\nversion end\\n')
    (0, 20)
    """
    first = (0,) if _LETTER.match(b'\n' + require_bytes(data)[:1]) else ()
    return (*first, *[match.start() + 1 for match in _LETTER.finditer(data)])


def lines_with(texts: tuple[bytes, ...], data: bytes, /) -> bytes:
    """The lines that contain at least one of the texts; all lines if those are about every fourth line or more.

    >>> lines_with((b'10.0.0.7', b'10.0.0.8'), b'10.0.0.1 40\\n10.0.0.7 50\\n')
    b'10.0.0.7 50\\n'

    The data is searched before anything is parsed. Raises ValueError if a text is empty.
    """
    if not all(map(require_bytes, texts)):
        raise ValueError('every line contains an empty text')
    most = len(require_bytes(data)) // _BYTES_PER_LINE + _FEW_LINES
    ends: dict[int, int] = {}
    for text in texts:
        at = data.find(text)
        while at >= 0:
            end = data.find(b'\n', at) + 1 or len(data)
            ends[data.rfind(b'\n', 0, at) + 1] = end
            if len(ends) > most:
                return data
            at = data.find(text, end)
    return b''.join([data[begin : ends[begin]] for begin in sorted(ends)])


def require_bytes(data: bytes) -> bytes:
    """The data. Raises TypeError if it is not bytes."""
    if not isinstance(data, bytes):
        raise TypeError(f'data must be bytes, not {type(data).__name__}')
    return data


def check_places(kinds: bytes, places: Iterable[int], allowed: bytes = b'TIM') -> None:
    """Raises ValueError if a place is not in the format, or the field there is not of an allowed kind."""
    for place in places:
        if not -1 <= place < len(kinds):
            raise ValueError(f'{place} is not a place in a format of {len(kinds)} fields')
        if place >= 0 and kinds[place] not in allowed:
            raise ValueError(f'the field at place {place} is not of the kind that is needed')


@lru_cache(maxsize=64)
def lines_of(kinds: bytes) -> Lines:
    return Lines(kinds)


class Lines:
    """Lines with fields of these kinds: compiles regular expressions for them, and applies these."""

    def __init__(self, kinds: bytes) -> None:
        if not 0 < len(kinds) <= MAX_FIELDS or kinds.strip(b'TIM'):
            raise ValueError(f'the kinds of a log are 1 to {MAX_FIELDS} letters T, I or M, not {kinds!r}')
        self.kinds = kinds.decode()
        plain, full = (b' '.join(self.values(values)) for values in (_LIKELY_VALUE, ANY_VALUE))
        self._canonical = re.compile(b'(?m)^(?:' + plain + b'|' + full + b')\n')
        strict = b' '.join(_STRICT_VALUE[kind] for kind in self.kinds) + b'\n'
        self._strict = re.compile(strict)
        self._sound = re.compile(strict.replace(ANY_VALUE['M'], MOMENT))
        self._numbers = [at for at, kind in enumerate(self.kinds) if kind != 'T']
        self._odd_before = False
        # Canonical lines that follow each other, or one other line.
        self._pieces = re.compile(b'((?:' + strict + rb')+)|([^\n]+)\n?')
        self._captures = lru_cache(maxsize=64)(partial(_Capture, self))

    def values(self, patterns: dict[str, bytes]) -> list[bytes]:
        """The pattern of each field.

        ``[^ ]`` takes half the time of ``[^ \\n]``, but it matches line ends too. The first and the last field have a
        space on one side only, so that a match could go on over many lines: they get the slower pattern.
        """
        values = [patterns[kind] for kind in self.kinds]
        for at in (0, -1):
            values[at] = _LAST_TEXT if values[at] == _TEXT else values[at]
        return values

    def check(self, data: bytes) -> tuple[bytes, int]:
        # Every match begins at a line and has one newline: if there are as many matches as newlines, all lines match.
        # If a log had lines that are not canonical, it has more of them: trying would take a fifth of the time.
        if not self._odd_before and self._canonical.subn(b'', data)[1] == line_count(data):
            return data, 0
        kept: list[bytes] = []
        skipped = 0
        for canonical, other in self._pieces.findall(data):
            lines = canonical or self._repaired(other)
            if lines is None:
                skipped += 1
            else:
                kept.append(lines)
        self._odd_before = len(kept) > 1
        whole = b''.join(kept)
        return data if whole == data else whole, skipped

    def read(self, data: bytes, groups: tuple[tuple[int, ...], ...]) -> tuple[bytes, list[Column], int]:
        """The results of :meth:`check`, and columns of the lines. One pass takes two thirds of the time of two."""
        capture: _Capture = self._captures(groups, True)
        if not self._odd_before and len(found := capture.expression.findall(data)) == line_count(data):
            return data, capture.columns(found), 0
        data, skipped = self.check(data)
        capture = self._captures(groups, False)
        return data, capture.columns(capture.expression.findall(data)), skipped

    def _repaired(self, line: bytes) -> bytes | None:
        """The line as a canonical line with a newline; b'' if it is blank, None if it is not a record of the format."""
        values = line.split()
        if not values:
            return b''
        if len(line) > MAX_LINE or len(values) != len(self.kinds):
            # A long line without a newline may be canonical.
            return line + b'\n' if self._strict.fullmatch(line + b'\n') else None
        whole = b' '.join(values) + b'\n'
        if self._sound.fullmatch(whole):
            return whole
        for at in self._numbers:
            values[at] = _canonical_number(self.kinds[at], values[at])
        whole = b' '.join(values) + b'\n'
        return whole if self._sound.fullmatch(whole) else None


def _canonical_number(kind: str, text: bytes) -> bytes:
    """The number as AWS writes it, if the text is one."""
    if not text.isdigit():
        return text
    digits = text.lstrip(b'0') or b'0'
    if kind == 'M' and 9 < len(digits) < 20 and int(digits) > MAX_SECONDS:
        return b'%d' % (int(digits) // 1000)
    return digits


def line_count(data: bytes) -> int:
    """The number of lines, or -1 if a character is not printable ASCII, or the last newline is missing."""
    odd = data.translate(None, PRINTABLE)
    lines = odd.count(b'\n')
    return lines if lines == len(odd) and (not data or data.endswith(b'\n')) else -1


class _Capture:
    """A regular expression that matches one line, and makes columns of its groups.

    `groups` has the places of each column. With `checking` only canonical lines match; without it all lines must be
    canonical already.
    """

    def __init__(self, log: Lines, groups: tuple[tuple[int, ...], ...], checking: bool) -> None:
        spans: set[Span] = set()
        # The groups of the expression that make up each column; None for a field that the format does not have.
        self._parts: list[list[Span | None]] = []
        for places in groups:
            whole = _span(places)
            if whole and not any(_crosses(whole, span) for span in spans):
                self._parts.append([whole])
            else:
                self._parts.append([None if place < 0 else (place, place) for place in places])
            spans.update(span for span in self._parts[-1] if span)
        # Groups are numbered in the order in which they open. If two open at the same place, the longer one is first.
        self._spans = sorted(spans, key=lambda span: (span[0], -span[1])) or [(0, 0)]
        end = len(log.kinds) if checking else max(last for _, last in self._spans) + 1
        values = log.values(ANY_VALUE if checking else _UNCHECKED_VALUE)[:end]
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


def _span(places: tuple[int, ...]) -> Span | None:
    """The first and the last of these places, if the fields are next to each other in the format, in this order."""
    if not places or places[0] < 0 or places != tuple(range(places[0], places[0] + len(places))):
        return None
    return places[0], places[-1]


def _crosses(one: Span, other: Span) -> bool:
    """Whether two spans overlap, and neither contains the other. Groups of an expression cannot do that."""
    (begin, end), (later, last) = sorted((one, other))
    return begin < later <= end < last
