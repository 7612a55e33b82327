"""The work that is done for each record, in two versions: in C (the folder native), and in Python (:mod:`.pure`).

Both return the same bytes for the same arguments. :mod:`.pure` documents the functions. Python is used if the C version
is not built, or if the environment variable FLOWLOGS_READER_PURE is 1. `NATIVE` says whether the C version is in use.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
NATIVE = False
__all__ = [
    'NATIVE',
    'Sums',
    'check',
    'column_getter',
    'columns',
    'compile_tests',
    'encode',
    'find_events',
    'keep',
    'letter_lines',
    'lines_with',
]
if TYPE_CHECKING:
    from .pure import Sums, check, column_getter, columns, compile_tests, encode, find_events, keep, letter_lines
    from .pure import Test as Test
    from .pure import Tests as Tests
    from .pure import Window as Window
    from .pure import lines_with as lines_with
else:
    try:
        if os.environ.get('FLOWLOGS_READER_PURE') == '1':
            raise ImportError
        from ._native import *  # noqa: F403

        NATIVE = True
    except ImportError:  # Python was chosen, or the package was installed without a compiler
        from .pure import *  # noqa: F403
