"""What tests of --follow share: a clock whose pauses are steps of the test, and records around NOW."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from flowlogs_reader.cli.clock import Clock
from tests.conftest import NOW

NOW_S = int(NOW.timestamp())
Step = Callable[[], object]


class Steps(Clock):
    """A clock that stands still while the program works. When it waits, a step happens; after the last, Ctrl-C."""

    def __init__(self, *steps: Step, now: datetime = NOW, working: float = 0) -> None:
        self._now = now
        self._steps = list(steps)
        self._working = timedelta(seconds=working)
        self.slept: list[float] = []

    def now(self) -> datetime:
        self._now += self._working
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)
        if not self._steps:
            raise KeyboardInterrupt
        self._steps.pop(0)()

    def skip(self, **length: float) -> Step:
        """A step: this much time passes."""

        def step() -> None:
            self._now += timedelta(**length)

        return step


def line(start: int, number: int = 0, address: str = '10.0.0.1') -> bytes:
    """A record that starts so many seconds after NOW."""
    begin = NOW_S + start
    return f'2 123456789010 eni-0a {address} 10.9.9.9 {number} 443 6 1 40 {begin} {begin + 59} ACCEPT OK'.encode()


def text(*lines: bytes) -> bytes:
    return b''.join(each + b'\n' for each in lines)
