"""Messages on stderr: one line each, without control characters, dropped if stderr is closed or full.

A terminal gets a long message as several lines, which end between words.
"""

from __future__ import annotations

import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, TextIO

PROGRAM = 'flowlogs_reader'
# Of a terminal that does not tell its width.
USUAL_WIDTH = 80
# COLUMNS may be any number, and bars are as long as the terminal is wide.
WIDEST = 10_000


def print_message(stderr: TextIO, message: str) -> None:
    """Write a message after the name of the program."""
    print_line(stderr, f'{PROGRAM}: {printable(message)}')


def print_line(stderr: TextIO, line: str) -> None:
    """Write a line. On a terminal, a line that is too long for it goes on in other lines, with an indent."""
    if width := terminal_width(stderr):
        from textwrap import fill

        line = fill(line, width, subsequent_indent='  ', break_long_words=False, break_on_hyphens=False)
    write(stderr, f'{line}\n')


def terminal_width(stream: IO[Any]) -> int:
    """Return the width of a terminal, in characters, or 0 if the stream is not one."""
    try:
        if not stream.isatty():
            return 0
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = USUAL_WIDTH
    from shutil import get_terminal_size

    # COLUMNS comes first.
    return min(WIDEST, get_terminal_size((columns or USUAL_WIDTH, 0)).columns or USUAL_WIDTH)


def write(stderr: TextIO, text: str) -> None:
    """Write text, or drop it if stderr is closed or full: the exit status still reports errors."""
    try:
        stderr.write(text)
        stderr.flush()
    except (OSError, ValueError):
        redirect_to_null(stderr)


def redirect_to_null(stream: IO[Any]) -> None:
    """Redirect a stream that cannot be written, so that flushing its buffer at exit does not fail."""
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def printable(text: str) -> str:
    r"""Return text with control characters escaped: names of files and keys, and answers of AWS, may have any.

    >>> printable('no s3://b/\x1b[2J\n')
    'no s3://b/\\x1b[2J\\n'
    """
    return ''.join([char if char.isprintable() else char.encode('unicode_escape').decode() for char in text])
