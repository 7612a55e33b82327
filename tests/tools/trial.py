"""What the programs share that try an engine on AWS: points, what was seen, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What was seen, and whether it is what the program relies on; None if it relies on nothing here."""

    text: str
    expected: bool | None = None


class Point(NamedTuple):
    """Something that AWS does not document, or that could not be tried without an account."""

    question: str
    look: Callable[[Any], Seen]


def tell(points: Iterable[Point], trial: object) -> int:
    """Look at all points, print what was seen, and return how many are not as expected."""
    failed = 0
    for point in points:
        try:
            seen = point.look(trial)
        except Exception as error:  # the other points are worth trying all the same
            seen = Seen(f'{type(error).__name__}: {error}', False)
        mark = {True: 'as expected', False: 'NOT AS EXPECTED', None: 'for information'}[seen.expected]
        print(f'{point.question}\n  {mark}: {seen.text}', flush=True)
        failed += seen.expected is False
    return failed
