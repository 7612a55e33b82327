"""The report of a read: counts, what was left out, up to when it is complete."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ..errors import FlowLogsError
from ..records.layout import Layout


class Estimate(NamedTuple):
    """What a read would take: bytes, requests, objects, US dollars (list price), seconds. None is not known."""

    bytes: int | None = None
    requests: int | None = None
    objects: int | None = None
    dollars: float | None = None
    seconds: float | None = None


def size_text(count: int) -> str:
    """Return a number of bytes as people read it.

    >>> size_text(41_800_000_000)
    '41.8 GB'
    """
    for unit, name in ((10**12, 'TB'), (10**9, 'GB'), (10**6, 'MB'), (10**3, 'kB')):
        if count >= unit:
            return f'{count / unit:.1f} {name}'
    return f'{count} bytes'


def dollars_text(amount: float | None) -> str:
    """Return an amount of money as people read it.

    >>> dollars_text(0.2094), dollars_text(0.00001)
    ('US$0.21 (list price)', 'US$0.01 or less (list price)')
    """
    if amount is None:
        return 'an unknown price'
    shown = f'US${amount:.2f}' if amount > 0.01 else 'US$0.01 or less'
    return f'{shown} (list price)'


class Usage:
    """What an engine on AWS took: queries, bytes scanned, US dollars (list price), seconds."""

    queries: int = 0
    scanned: int = 0
    dollars: float = 0.0
    seconds: float = 0.0

    def merge(self, other: Usage) -> None:
        """Add what another read took."""
        self.queries += other.queries
        self.scanned += other.scanned
        self.dollars += other.dollars
        self.seconds += other.seconds


class ReadReport:
    """The facts of a read. Sources fill it while they read; the command line makes messages of it.

    `origin` describes what was read; `place` is what an AWS error is about, if its text does not say so.
    `text_bytes` is the size of the text (of Parquet that is not made into text, the size of the needed columns in
    memory), `stored_bytes` its size in files and objects (compressed).
    `read` has every layout that was read. It counts the records of those that lack the fields of a condition, whether
    or not they meet the conditions; for other layouts the count is 0. `matched` counts the records of each layout that
    were returned.
    `left_out` counts lines that are not records of their layout; `odd_line` is the first of them, and `sound` says
    whether any line was a record. `unreadable` are the errors of files and objects that could not be read in full.
    `skipdata` counts the SKIPDATA records by their start, in Unix seconds, if that was asked for. `incomplete` has the
    intervals of a timeline that may lack flows (query/result.py).

    `seen_twice` counts the bytes that were recorded at both ends of a flow, as far as that is known. If each flow was
    to count once, `undecided` counts the flows that two interfaces recorded of which the sender is not known.

    `expected_bytes` is what `stored_bytes` will be in the end; 0 if that is not known.

    `complete_until`, in milliseconds since the epoch: all records before it were returned; None if the source cannot
    say. `spilled`: some records of that moment were returned too, because there were too many to hold in memory.
    `in_order`: no later record was returned yet. `format_trouble` is the error of EC2 when it was asked for the format;
    a missing permission is not one. `usage` is what an engine on AWS took.
    """

    origin: str = ''
    place: str = ''
    start_ms: int = 0
    text_bytes: int = 0
    stored_bytes: int = 0
    read: Counter[Layout]
    matched: Counter[Layout]
    left_out: int = 0
    odd_line: tuple[Layout, bytes] | None = None
    sound: bool = False
    unreadable: list[FlowLogsError]
    skipdata: Counter[int]
    incomplete: dict[int, tuple[str, ...]]
    seen_twice: int = 0
    undecided: int = 0
    complete_until: int | None = None
    expected_bytes: int = 0
    in_order: bool = False
    spilled: bool = False
    format_trouble: Exception | None = None
    usage: Usage | None = None

    def __init__(self, origin: str = '', start_ms: int = 0, skipdata: Counter[int] | None = None) -> None:
        self.origin, self.start_ms = origin, start_ms
        self.read, self.matched, self.unreadable, self.incomplete = Counter(), Counter(), [], {}
        self.skipdata = Counter() if skipdata is None else skipdata

    @property
    def mismatch(self) -> bool:
        """Whether lines were read and none was a record of its layout."""
        return self.odd_line is not None and not self.sound

    def merge(self, other: ReadReport) -> None:
        """Add the facts of a read of another source, or by another engine."""
        self.origin = ', '.join(filter(None, (self.origin, other.origin)))
        self.start_ms = min(self.start_ms, other.start_ms)
        self.text_bytes += other.text_bytes
        self.stored_bytes += other.stored_bytes
        self.read.update(other.read)
        self.matched.update(other.matched)
        self.left_out += other.left_out
        self.odd_line = self.odd_line or other.odd_line
        self.sound = self.sound or other.sound
        self.unreadable += other.unreadable
        self.skipdata.update(other.skipdata)
        self.incomplete.update(other.incomplete)
        self.seen_twice += other.seen_twice
        self.undecided += other.undecided
        # It is not known up to when several reads, one after the other, are complete.
        self.complete_until, self.in_order, self.spilled = None, False, False
        self.format_trouble = self.format_trouble or other.format_trouble
        if other.usage:
            self.usage = self.usage or Usage()
            self.usage.merge(other.usage)
