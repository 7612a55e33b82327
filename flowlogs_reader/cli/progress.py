"""Shows the progress of a long read, or of an engine's queries, on a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TextIO

from ..records.block import Block
from ..records.times import resume_text
from ..sources.base import BaseReader
from ..sources.report import Usage, size_text
from .stderr import terminal_width, write

# Seconds until the line appears, and between two updates.
DELAY = 1.0
INTERVAL = 0.2
_BAR = '{percentage:3.0f}%|{bar}| {desc}'
# The part of a read that must be done before the remaining time is known well enough.
ENOUGH = 0.05


class Progress:
    """A line on `stderr` with the part of a read that is done, the records, the MB and the remaining time.

    Call it with every Block: it counts lines, and writes at most five times a second. Call :meth:`clear` before you
    write to the same terminal, and :meth:`stop` when another program uses it from now on. With tqdm the line has a bar.
    """

    def __init__(self, reader: BaseReader, stderr: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._stderr = stderr
        self._clock = clock
        self._begin = clock()
        self._due = self._begin + DELAY
        self._records = 0
        # When the first records had come, and how much was done by then: what is empty before them takes no time.
        self._first: tuple[float, float] | None = None
        self._shown = False
        self._bar: Any = None

    def __call__(self, block: Block) -> None:
        now = self._clock()
        if self._records and self._first is None:
            self._first = now, self._done() or 0
        self._records += block.line_count
        if now >= self._due:
            self._due = now + INTERVAL
            self._show(now)

    def clear(self) -> None:
        # tqdm would clear its own characters only.
        if self._shown:
            write(self._stderr, '\r\x1b[K')
        self._shown = False

    def stop(self) -> None:
        self.clear()
        self._due = math.inf

    def close(self) -> None:
        self.stop()
        if self._bar is not None:
            self._bar.close()

    def _show(self, now: float) -> None:
        done = self._done()
        # A longer line would be wrapped, and could not be cleared. On Ctrl-C the terminal adds two characters.
        room = terminal_width(self._stderr) - 3
        if self._bar is None and not self._shown:
            self._bar = self._make_bar(done, room)
        self._shown = True
        text = self._text(now, done)
        if self._bar is None:
            part = '' if done is None else f'{done:4.0%} '
            write(self._stderr, f'\r{part}{text}'[: room + 1] + '\x1b[K')
            return
        self._bar.ncols = room
        self._bar.n = done or 0
        self._bar.set_description_str(text, refresh=False)
        self._bar.refresh()

    def _text(self, now: float, done: float | None) -> str:
        reached = self._reader.complete_until
        where = '' if reached is None else f'{resume_text(reached)}, '
        left = self._left(now, done)
        times = _duration(now - self._begin) + ('' if left is None else f'<{_duration(left)}')
        return f'{where}{self._records:,} records, {self._reader.bytes_processed / 1e6:,.1f} MB [{times}]'

    def _left(self, now: float, done: float | None) -> float | None:
        """Return about how many seconds the rest takes; None if it is not known."""
        if done is None or self._first is None:
            return None
        since, before = self._first
        read = done - before
        return (1 - done) * (now - since) / read if read > ENOUGH * (1 - before) else None

    def _done(self) -> float | None:
        """Return the part of the read that is done: of the bytes if their number is known, otherwise of the window."""
        report, reached = self._reader.report, self._reader.complete_until
        if report.expected_bytes:
            return min(1.0, report.stored_bytes / report.expected_bytes)
        length = self._reader.end_ms - self._reader.start_ms
        return None if reached is None else min(1.0, max(0, reached - self._reader.start_ms) / max(1, length))

    def _make_bar(self, done: float | None, room: int) -> Any:
        if done is None:
            return None
        try:
            from tqdm import tqdm
        except ImportError:
            return None

        return tqdm(total=1, initial=done, bar_format=_BAR, file=self._stderr, leave=False, ncols=room)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes:02}:{rest:02}'


class QueryProgress:
    """A line on `stderr` with the seconds and the bytes that queries of an engine on AWS have taken."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr
        self._shown = False

    def __call__(self, usage: Usage) -> None:
        write(self._stderr, f'\r\x1b[K{usage.seconds:.0f} s, {size_text(usage.scanned)} scanned')
        self._shown = True

    def clear(self) -> None:
        if self._shown:
            write(self._stderr, '\r\x1b[K')
        self._shown = False

    close = clear
