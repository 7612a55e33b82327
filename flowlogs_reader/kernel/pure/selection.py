"""Selection: the lines that pass tests and a window, as lines or as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from .lines import Column, check_places, lines_of, require_bytes
from .tests import Test, Tests, Window, selector


def keep(
    kinds: bytes, tests: tuple[Test, ...] | Tests, window: Window | None, data: bytes, /
) -> tuple[bytes, int, int]:
    """The canonical lines that pass every test and are in the window, their number, and the number of skipped lines.

    >>> keep(b'TI', (((0,), False, False, 'text', (b'10.0.0.1',)),), None, b'10.0.0.1 40\\n10.0.0.2 50\\n')
    (b'10.0.0.1 40\\n', 1, 0)

    If all lines are kept unchanged, the same object is returned.
    """
    data, _, flags, skipped = select(kinds, tests, window, (), data)
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
    """Columns of the lines that :func:`keep` returns, and the number of skipped lines.

    >>> columns(b'TII', (), None, (2, (1, 0)), b'10.0.0.1 40 1\\n')
    ([[b'1'], [b'40 10.0.0.1']], 0)

    A tuple of places makes one column, with a space between two values.
    """
    groups = tuple(place if isinstance(place, tuple) else (place,) for place in places)
    _, found, flags, skipped = select(kinds, tests, window, groups, data)
    return [[*column] if flags is None else [*compress(column, flags)] for column in found], skipped


def column_getter(place: int, number: bool, /) -> Callable[[Any], Any]:
    """A function that returns the value of a record at a place, as text or as a number, or None if it is missing.

    The record is an object whose attribute `_texts` is a canonical line as a str, or the list of its values. This
    version replaces the line by the list; native/values.h finds the value in the line.
    """
    if place < 0:
        raise ValueError('a place is 0 or more')

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

    return value if number else text


def select(
    kinds: bytes,
    tests: tuple[Test, ...] | Tests,
    window: Window | None,
    groups: tuple[tuple[int, ...], ...],
    data: bytes,
) -> tuple[bytes, list[Column], list[bool] | None, int]:
    """Canonical lines, columns of them, whether each is kept (None: all are), and the number of skipped lines."""
    lines, tested = lines_of(kinds), selector(kinds, tests, window)
    check_places(kinds, (place for group in groups for place in group))
    asked = (*groups, *tested.groups)
    if not asked:
        data, skipped = lines.check(require_bytes(data))
        found: list[Column] = []
    else:
        data, found, skipped = lines.read(require_bytes(data), asked)
    flags = tested.flags(found[len(groups) :], data.count(b'\n')) if tested.is_needed else None
    return data, found[: len(groups)], flags, skipped
