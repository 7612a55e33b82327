"""What is told on stderr: on one line, harmless to a terminal, and not told where nobody can hear it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

from ..errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any, TextIO

PROGRAM = 'flowlogs_reader'


def tell(stderr: TextIO, message: str) -> None:
    """A message of one line, in the name of the program."""
    write(stderr, f'{PROGRAM}: {printable(message)}\n')


def write(stderr: TextIO, text: str) -> None:
    """Writes, or does without: the exit status says whether all is well when stderr is closed or full."""
    try:
        stderr.write(text)
        stderr.flush()
    except (OSError, ValueError):
        abandon(stderr)


@contextmanager
def writing() -> Iterator[None]:
    """A full disk is an error of its own; a closed pipe is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'cannot write the output: {error.strerror}') from error


def abandon(stream: IO[Any]) -> None:
    """Nobody reads any more: what the buffer still holds must not be written, nor complained about, at the end."""
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
