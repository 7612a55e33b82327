"""What is known about a read: counts, what was left out, how far it came."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..errors import FlowLogsError
from ..records.layout import Layout


@dataclass
class ReadReport:
    """The facts of a read. Sources fill it while they read; who tells the user makes sentences of it.

    `origin` says what was read, in words; `place` is what an error of AWS is about, if AWS itself does not say so.
    `text_bytes` is the size of the text that came from the source, `stored_bytes` the size in which files and objects
    hold it. `read` has every layout that was read. It counts the records of those that lack the fields of a condition,
    whether or not they meet the conditions; of the others nobody needs a count, and it is 0. `matched` counts the
    records of each layout that came out.
    `left_out` counts lines that are not records of their layout, `odd_line` is the first of them, and `sound` says
    whether any line was a record. `unreadable` holds the files and objects that could not be read, or not to their end.
    `skipdata` counts the SKIPDATA records by their start, in Unix seconds, if that was asked for.

    Nothing is missing from what came out before `complete_until`, in milliseconds since the epoch; None if the source
    cannot tell. With `spilled`, some of what starts at that moment has come out as well: the moment held more records
    than memory should. With `in_order`, nothing that starts later has come out yet. `format_trouble` is why EC2 did not
    tell the format, if it was asked and did not refuse.
    """

    origin: str = ''
    place: str = ''
    start_ms: int = 0
    text_bytes: int = 0
    stored_bytes: int = 0
    read: Counter[Layout] = field(default_factory=Counter)
    matched: Counter[Layout] = field(default_factory=Counter)
    left_out: int = 0
    odd_line: tuple[Layout, bytes] | None = None
    sound: bool = False
    unreadable: list[FlowLogsError] = field(default_factory=list)
    skipdata: Counter[int] = field(default_factory=Counter)
    complete_until: int | None = None
    in_order: bool = False
    spilled: bool = False
    format_trouble: Exception | None = None

    @property
    def mismatch(self) -> bool:
        """Whether lines were read and none was a record of its layout."""
        return self.odd_line is not None and not self.sound

    def merge(self, other: ReadReport) -> None:
        """Adds the facts of another read, of another place or by another engine."""
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
        # Of several reads one after the other it is not known up to when all of them are complete.
        self.complete_until, self.in_order, self.spilled = None, False, False
        self.format_trouble = self.format_trouble or other.format_trouble
