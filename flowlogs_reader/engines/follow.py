"""Repeated reads, for new records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ..aws.trouble import is_transient
from ..records.times import milliseconds
from ..sources.base import BaseReader

# The pause after a round is at least so many times its duration: requests take a quarter of the time at most.
REST = 3
MAX_PAUSE = 300
# A record arrives up to 10 minutes (the aggregation interval) and 5 (CloudWatch Logs) or 10 (S3) minutes after its
# start, or later if AWS is slow (vpc/latest/userguide/flow-log-records). Records later than OVERLAP_MS are missed.
OVERLAP_MS = 30 * 60 * 1000


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


def follow(
    reader: BaseReader,
    read: Callable[[], None],
    clock: Clock,
    report_error: Callable[[Exception], None],
) -> None:
    """Call `read` repeatedly, each time with the next window of `reader`, until it raises a non-transient error.

    Every window ends now, and begins half an hour before the end of the last one that was read completely: records
    arrive late and out of order. The reader drops repeated records, and forgets those before later windows.

    A transient error of AWS is reported once, and the read is retried with longer and longer pauses. In the first round
    every error is raised.
    """
    interval = reader.poll_seconds or MAX_PAUSE
    start = since = reader.start_ms
    failures = 0
    complete = False
    while True:
        round_start = clock.now()
        now = max(milliseconds(round_start), since)
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
                report_error(error)
            since = max(since, min(reader.complete_until or since, late))
        else:
            failures, complete = 0, True
            since = max(since, late)
        duration = (clock.now() - round_start).total_seconds()
        clock.sleep(max(duration * REST, min(MAX_PAUSE, interval * 2**failures)))
