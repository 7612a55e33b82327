"""The clock of a run."""

from __future__ import annotations

import select
import time
from datetime import datetime, timedelta, timezone
from typing import BinaryIO


class Clock:
    """Returns the time and waits. It starts at `now` if that is given."""

    def __init__(self, stdout: BinaryIO, now: datetime | None = None) -> None:
        self._stdout = stdout
        self._ahead = now - datetime.now(timezone.utc) if now else timedelta()

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + self._ahead

    def sleep(self, seconds: float) -> None:
        """Wait. Raises BrokenPipeError if the reader of the output goes away: without writes, nothing else shows it."""
        try:
            poll = select.poll()
            poll.register(self._stdout.fileno(), 0)
        except (AttributeError, OSError, ValueError):  # Windows; no file
            time.sleep(seconds)
            return
        if poll.poll(seconds * 1000):
            raise BrokenPipeError
