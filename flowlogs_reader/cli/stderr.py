"""Messages on stderr: one line each, without control characters, dropped if stderr is closed or full."""

from __future__ import annotations

import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, TextIO

PROGRAM = 'flowlogs_reader'


def print_message(stderr: TextIO, message: str) -> None:
    """Write a message of one line, after the name of the program."""
    write(stderr, f'{PROGRAM}: {printable(message)}\n')


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
