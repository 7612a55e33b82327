"""Shows the progress of a long read on a terminal: of records if tqdm is installed, of an engine's queries always."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TextIO

from ..records.block import Block
from ..records.times import resume_text
from ..sources.base import BaseReader
from ..sources.report import Usage, size_text
from .stderr import write

# Seconds until the line appears, and between two updates.
DELAY = 1.0
INTERVAL = 0.2
_WINDOW = '{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}]'
_NO_WINDOW = '{desc} [{elapsed}]'


class Progress:
    """A line on `stderr` with the part of the window, the records and the MB that a reader has read.

    Call it with every Block: it counts lines, and writes at most five times a second. Call :meth:`clear` before you
    write to the same terminal.
    """

    def __init__(self, reader: BaseReader, stderr: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._stderr = stderr
        self._clock = clock
        self._due = clock() + DELAY
        self._records = 0
        self._bar: Any = None

    def __call__(self, block: Block) -> None:
        self._records += block.line_count
        now = self._clock()
        if now >= self._due:
            self._due = now + INTERVAL
            self._show()

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        reached = self._reader.complete_until
        done = 0 if reached is None else max(0, reached - self._reader.start_ms)
        if self._bar is None:
            self._bar = self._make_bar(done)
            if self._bar is None:
                self._due = math.inf
                return
        where = '' if reached is None else f'{resume_text(reached)}, '
        megabytes = self._reader.bytes_processed / 1e6
        self._bar.n = done
        self._bar.set_description_str(f'{where}{self._records:,} records, {megabytes:,.1f} MB', refresh=False)
        self._bar.refresh()

    def _make_bar(self, done: int) -> Any:
        try:
            from tqdm import tqdm
        except ImportError:
            return None

        known = self._reader.complete_until is not None
        return tqdm(
            total=self._reader.end_ms - self._reader.start_ms if known else None,
            initial=done,
            bar_format=_WINDOW if known else _NO_WINDOW,
            file=self._stderr,
            leave=False,
            smoothing=0,
            dynamic_ncols=True,
        )


class QueryProgress:
    """A line on `stderr` with the seconds and the bytes that queries of an engine on AWS have taken."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr

    def __call__(self, usage: Usage) -> None:
        write(
            self._stderr, f'\r\x1b[K{usage.seconds:.0f} s, {size_text(usage.scanned)} scanned, {usage.queries} queries'
        )

    def clear(self) -> None:
        write(self._stderr, '\r\x1b[K')

    close = clear
