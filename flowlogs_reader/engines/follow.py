"""Reading on while records arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ..aws.trouble import is_transient
from ..records.times import milliseconds
from ..sources.base import BaseReader

# A round rests at least so many times as long as it took, so that AWS is asked a quarter of the time at most.
REST = 3
MAX_PAUSE = 300
# A record comes up to 10 minutes (the aggregation interval) and 5 (CloudWatch Logs) or 10 (S3) minutes after its start,
# and later when AWS is slow (vpc/latest/userguide/flow-log-records). What comes later than this is missed.
OVERLAP_MS = 30 * 60 * 1000


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


def follow(
    reader: BaseReader,
    read: Callable[[], None],
    clock: Clock,
    tell: Callable[[Exception], None],
) -> None:
    """Calls `read` again and again, each time with another window of `reader`, until that raises what is not transient.

    Every window ends now, and begins half an hour before the one that was last read completely ended: records arrive
    late and out of order. The reader leaves out what has come out before, and forgets what no later window will hold.

    A transient error of AWS is told once, and the reading goes on with longer and longer pauses. In the first round
    nothing has worked yet, so that every error is raised.
    """
    interval = reader.POLL_SECONDS or MAX_PAUSE
    start = since = reader.start_ms
    failures = 0
    complete = False
    while True:
        begun = clock.now()
        now = max(milliseconds(begun), since)
        late = now - OVERLAP_MS
        reader.go_on(since, now, late)
        try:
            read()
        except Exception as error:
            reader.start_ms = reader.report.start_ms = start
            if not (complete and is_transient(error)):
                raise
            failures += 1
            if failures == 1:
                tell(error)
            since = max(since, min(reader.complete_until or since, late))
        else:
            failures, complete = 0, True
            since = max(since, late)
        took = (clock.now() - begun).total_seconds()
        clock.sleep(max(took * REST, min(MAX_PAUSE, interval * 2**failures)))
