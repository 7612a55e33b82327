"""Exit statuses."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The exit statuses of the command."""

    DONE = 0
    NOT_ALL_READ = 1
    USAGE = 2
    INTERRUPTED = 130


class Exit(Exception):
    """Ends the command line with this status."""

    def __init__(self, status: int) -> None:
        self.status = status
