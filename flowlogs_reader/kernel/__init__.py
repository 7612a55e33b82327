"""What is done once for each record, twice over: in C, and in Python for where that is not built.

Both give the same bytes; :mod:`.pure` says what each function does. The environment variable FLOWLOGS_READER_PURE=1
chooses Python. `NATIVE` says which of the two is in use.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
NATIVE = False
if TYPE_CHECKING:
    from .pure import Sums, check, columns, encode, find_events, keep, letter_lines
    from .pure import Test as Test
    from .pure import Window as Window
else:
    try:
        if os.environ.get('FLOWLOGS_READER_PURE') == '1':
            raise ImportError
        from ._native import Sums, check, columns, encode, find_events, keep, letter_lines

        NATIVE = True
    except ImportError:  # it was installed without a compiler
        from .pure import Sums, check, columns, encode, find_events, keep, letter_lines

__all__ = ['NATIVE', 'Sums', 'check', 'columns', 'encode', 'find_events', 'keep', 'letter_lines']
