"""What a fake AWS keeps about the calls that it answers: a record of them, and limits on their rate."""

import threading
import time
from collections import Counter, deque

from tests.fake.wire import Call, Params, Reply


class Record:
    """What was asked, thread-safe."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._numbers: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.bytes_sent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begin(self, call: Call) -> None:
        with self._lock:
            self._numbers[call.operation] += 1
            call.number = self._numbers[call.operation]
            self._calls.append(call)
            self._running[call.operation] += 1
            self.peak[call.operation] = max(self.peak[call.operation], self._running[call.operation])

    def end(self, call: Call, reply: Reply) -> None:
        with self._lock:
            self._running[call.operation] -= 1
            self.bytes_sent[call.operation] += reply.size

    def calls(self, operation: str | None = None) -> list[Call]:
        with self._lock:
            return [call for call in self._calls if operation in (None, call.operation)]

    def clear(self) -> None:
        with self._lock:
            for kept in (self._calls, self._numbers, self.peak, self.bytes_sent):
                kept.clear()

    def earlier_token(self, call: Call) -> str | None:
        """The last token of the same scan that is not the one in this call."""
        calls = self.calls(call.operation)
        same = [other for other in calls if _without_token(other) == _without_token(call) and other is not call]
        return next((other.token for other in reversed(same) if other.token not in (None, call.token)), None)

    def summary(self) -> Params:
        with self._lock:
            return {
                'count': dict(self._numbers), 'max_concurrent': dict(self.peak), 'bytes_sent': dict(self.bytes_sent),
            }  # fmt: skip


def _without_token(call: Call) -> Params:
    return {name: value for name, value in call.params.items() if value != call.token}


class RateLimit:
    """At most so many calls in any one second."""

    def __init__(self, per_second: float):
        self.per_second = per_second
        self._taken: dict[object, deque[float]] = {}
        self._lock = threading.Lock()

    def allows(self, key: object) -> bool:
        now = time.monotonic()
        with self._lock:
            taken = self._taken.setdefault(key, deque())
            while taken and taken[0] <= now - 1:
                taken.popleft()
            if self.per_second and len(taken) >= self.per_second:
                return False
            taken.append(now)
            return True
