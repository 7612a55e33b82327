"""Streams for the command line in process: data in pieces, terminals, and the output of a run."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any

from flowlogs_reader.cli.main import main
from tests.conftest import NOW


class Cut(BytesIO):
    """A stream whose reads return pieces of these sizes in turn."""

    def __init__(self, data: bytes, sizes: Sequence[int]) -> None:
        super().__init__(data)
        self._sizes = sizes
        self._turn = 0

    def read(self, size: int | None = -1) -> bytes:
        self._turn += 1
        return super().read(self._sizes[self._turn % len(self._sizes)])

    def readinto(self, buffer: Any) -> int:
        data = self.read()[: len(buffer)]
        buffer[: len(data)] = data
        return len(data)


class Screen(BytesIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


class Terminal(StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


def output_of(*argv: str, stdin: BytesIO) -> bytes:
    """What the command line writes, for tests without fixtures; its exit status must be 0."""
    stdout, stderr = BytesIO(), StringIO()
    status = main(argv, stdin, stdout, stderr, NOW)
    assert status == 0, stderr.getvalue()
    return stdout.getvalue()
