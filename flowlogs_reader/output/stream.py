"""Errors of writing to a stream."""

from __future__ import annotations

from contextlib import contextmanager

from ..errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def writing() -> Iterator[None]:
    """Turn errors such as a full disk into OutputError. A closed pipe stays a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'cannot write the output: {error.strerror}') from error
