"""What a run writes to stderr: errors, notes and progress; and whether anything failed."""

from __future__ import annotations

import os
from typing import TextIO

from .progress import Progress, QueryProgress
from .status import Status
from .stderr import print_message, printable, write
from .summary import Note, explain


class Messages:
    """The messages of one run. `told` are those about the result: a page has them too.

    `debug` shows a traceback with each error; `quiet` drops what is not an error. `progress` is a line on the terminal,
    which is cleared before a message is written.
    """

    def __init__(self, stderr: TextIO, debug: bool, quiet: bool) -> None:
        self.stderr = stderr
        self.told: list[str] = []
        self.failed = False
        self.progress: Progress | QueryProgress | None = None
        self._debug = debug
        self._quiet = quiet

    @property
    def status(self) -> Status:
        return Status.NOT_ALL_READ if self.failed else Status.DONE

    @property
    def shows_progress(self) -> bool:
        return self.stderr.isatty() and not self._quiet and os.environ.get('TERM') != 'dumb'

    def error(self, error: Exception, message: str = '') -> None:
        """Write the message of an error: by default what it says and what to do."""
        self.add(Note(message or explain(error), failed=True))
        self.traceback(error)

    def add(self, note: Note) -> None:
        """Write a message about the result, and keep it in `told`."""
        self.failed = self.failed or note.failed
        self.told.append(note.text)
        if note.failed:
            self.write(note.text)
        else:
            self.note(note.text)

    def note(self, message: str) -> None:
        """Write a message that is not an error."""
        if not self._quiet:
            self.write(message)

    def write(self, message: str) -> None:
        self.clear_progress()
        print_message(self.stderr, message)

    def traceback(self, error: Exception) -> None:
        if self._debug:
            import traceback

            for line in ''.join(traceback.format_exception(error)).splitlines():
                write(self.stderr, f'{printable(line)}\n')

    def clear_progress(self) -> None:
        if self.progress:
            self.progress.clear()
