"""What is done once for each record, in Python: the reference for native.c, and what runs where that is not built.

Every function takes lines as bytes. Three values describe them:

- `kinds`: one letter for each field of the log's format: ``T`` text, ``I`` integer, ``M`` moment in Unix seconds.
- `place`: the index of a field in the format, or -1 for a field that the format lacks. Such a field is ``-``.
- `tests` and `window`: what a record must pass, see :data:`Test` and :data:`Window`.

A *canonical* line is what AWS writes: one space between two columns, digits where numbers belong, ``-`` for a missing
value, nothing but printable ASCII. Other lines are repaired if that is possible, or counted as skipped.
"""

from __future__ import annotations

from .encodings import encode
from .events import Events, find_events
from .keys import Transform, network
from .lines import check, letter_lines
from .selection import column_getter, columns, keep
from .sums import Sums
from .tests import Test, Tests, Window, compile_tests

__all__ = [
    'Events',
    'Sums',
    'Test',
    'Tests',
    'Transform',
    'Window',
    'check',
    'column_getter',
    'columns',
    'compile_tests',
    'encode',
    'find_events',
    'keep',
    'letter_lines',
    'network',
]
