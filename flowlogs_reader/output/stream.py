"""The stream that output is written to, and its errors."""

from __future__ import annotations

from contextlib import contextmanager
from io import BufferedWriter, FileIO

from ..errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


class _Waiting(FileIO):
    """A file that waits until it takes data: programs such as ssh and Node.js make the pipes of others non-blocking."""

    def write(self, data: Buffer, /) -> int:
        while (written := super().write(data)) is None:
            from select import POLLOUT, poll

            ready = poll()
            ready.register(self, POLLOUT)
            ready.poll()
        return written


def binary_stream(fd: int) -> BufferedWriter:
    """Return a stream that writes all data to a file descriptor, which stays open when the stream is closed."""
    return BufferedWriter(_Waiting(fd, 'wb', closefd=False))


@contextmanager
def writing() -> Iterator[None]:
    """Turn errors such as a full disk into OutputError. A closed pipe stays a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'cannot write the output: {error.strerror}') from error
