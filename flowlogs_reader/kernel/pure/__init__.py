"""The work that is done for each record, in Python: the reference for ../native, and used if that is not built.

Every function takes lines as bytes. These arguments describe them:

- `kinds`: one letter for each field of the log's format: ``T`` text, ``I`` integer, ``M`` moment in Unix seconds.
- `place`: the index of a field in the format, or -1 for a field that the format does not have. Its value is ``-``.
- `tests` and `window`: the conditions that a record must meet (:data:`.tests.Test`, :data:`.tests.Window`).

A *canonical* line is what AWS writes: one space between two values, digits where numbers belong, ``-`` for a missing
value, only printable ASCII. Other lines are made canonical if possible; otherwise they are counted as skipped.
"""

from __future__ import annotations

from .encodings import encode
from .events import Events, find_events
from .keys import Transform, network
from .lines import check, letter_lines, lines_with
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
    'lines_with',
    'network',
]
