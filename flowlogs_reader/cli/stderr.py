"""Messages on stderr: one line each, harmless to a terminal, and dropped if nobody can read them."""

from __future__ import annotations

import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, TextIO

PROGRAM = 'flowlogs_reader'


def tell(stderr: TextIO, message: str) -> None:
    """A message of one line, in the name of the program."""
    write(stderr, f'{PROGRAM}: {printable(message)}\n')


def write(stderr: TextIO, text: str) -> None:
    """Writes, or does without: the exit status says whether all is well if stderr is closed or full."""
    try:
        stderr.write(text)
        stderr.flush()
    except (OSError, ValueError):
        abandon(stderr)


def abandon(stream: IO[Any]) -> None:
    """Drops what the buffer still holds: nobody reads any more, and the end of the process must not complain."""
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def printable(text: str) -> str:
    r"""Without characters that a terminal obeys: names of files and keys, and what AWS answers, may hold any.

    >>> printable('no s3://b/\x1b[2J\n')
    'no s3://b/\\x1b[2J\\n'
    """
    return ''.join([char if char.isprintable() else char.encode('unicode_escape').decode() for char in text])
