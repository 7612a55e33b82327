"""The lines that pass tests and a window, whole or as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from .lines import Column, _bytes, _check_places, _log
from .tests import Test, Tests, Window, _sieve


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
