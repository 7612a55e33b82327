"""Names the engine on AWS that would answer sooner, once, during a long direct read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ..engines.run import engine_class, engine_for
from ..errors import UsageError
from ..query.query import Query
from ..records.block import Block
from ..sources.base import BaseReader
from ..sources.report import dollars_text
from .actions import ACTIONS
from .options import RECORDS

# How long a read must have taken, and how much longer it must take.
TAKEN = timedelta(seconds=20)
LEFT = timedelta(minutes=2)


class Suggestion:
    """Called with every Block of a read; tells once that an engine would be quicker, if it is one.

    `source` is the name of the source. `tell` writes a line to stderr.
    """

    def __init__(
        self, reader: BaseReader, source: str, query: Query, now: Callable[[], datetime], tell: Callable[[str], None]
    ) -> None:
        self._reader = reader
        self._query = query
        self._now = now
        self._tell = tell
        self._begin = now()
        self._engine = engine_for(source) or ''
        self._done = not self._engine

    def __call__(self, block: Block) -> None:
        reached = self._reader.complete_until
        if self._done or reached is None:
            return
        taken = self._now() - self._begin
        part = (reached - self._reader.start_ms) / max(1, self._reader.end_ms - self._reader.start_ms)
        if taken < TAKEN or part <= 0:
            return
        if taken * (1 - part) / part <= LEFT:
            return
        self._done = True
        if not self._can_answer():
            return
        # The events may be in a small part of the window.
        part = self._reader.part_read() or part
        left = taken * (1 - part) / part
        if left > LEFT:
            self._tell(
                f'this takes about {left / timedelta(minutes=1):.0f} min more: --engine {self._engine} answers it '
                f'sooner{self._price(part)}'
            )

    def _can_answer(self) -> bool:
        """Whether the engine can answer, and it makes sense to ask it."""
        # Most reads are over before it is needed.
        from ..engines.remote.plan import check_query, divided

        if self._query.action in RECORDS and (self._query.limit or not divided(self._query.conditions)[0]):
            return False
        try:
            check_query(self._query, self._engine)
        except UsageError:
            return False
        return True

    def _price(self, part: float) -> str:
        """The price, if it can be known: a query scans the log once, but there may be several queries."""
        reader, is_insights = self._reader, self._engine == 'insights'
        # CloudWatch Logs may leave out records that do not meet the conditions.
        is_larger = is_insights and (self._query.conditions or len(reader.report.read) > 1)
        if is_larger or ACTIONS[self._query.action].page:
            return ', --estimate says for how much'
        scanned = reader.bytes_processed if is_insights else reader.compressed_bytes_processed
        return f', for {dollars_text(scanned / part * engine_class(self._engine).PRICE)}'
