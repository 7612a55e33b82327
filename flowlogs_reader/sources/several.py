"""Reads several locations, one after the other, as if they were one. If one fails, the others are still read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from ..aws.trouble import is_aws_error, is_transient
from ..errors import FlowLogsError
from ..kernel import Sums
from ..query.query import Query
from ..records.block import Block
from ..records.layout import Layout
from .base import BaseReader
from .further import Further
from .report import Estimate, ReadReport

# Messages name at most so many locations. If there are more, messages have only their number.
NAMED = 3


def summed(each: Iterable[Estimate]) -> Estimate:
    """Return the sum of what several reads take."""
    return Estimate(*[None if None in numbers else sum(filter(None, numbers)) for numbers in zip(*each)])


class SeveralReaders(BaseReader):
    """Reads several readers as if they were one. Each has its own window, layouts and conditions.

    `on_failure` is called with a reader and the error that ended its read; the others are still read. If the readers
    are followed, that reader is left out of later rounds. From the second round on, a transient error of AWS is raised
    instead, after the others were read: the caller then repeats the round.

    `report` has the facts of all reads that have ended.
    """

    def __init__(self, readers: Sequence[BaseReader], on_failure: Callable[[BaseReader, Exception], None]) -> None:
        super().__init__(
            start_time=min(reader.start_time for reader in readers),
            end_time=max(reader.end_time for reader in readers),
            exact_window=False,
        )
        self.readers = list(readers)
        self.on_failure = on_failure
        self._rounds = 0
        self._count = len(readers)

    def describe(self) -> str:
        if self._count > NAMED:
            return f'each of {self._count} locations'
        return f'each of {", ".join(reader.describe() for reader in self.readers)}'

    def mismatch(self) -> None:
        """Return None: a log of another format was reported as a failure of its reader."""

    def set_query(self, query: Query) -> None:
        for reader in self.readers:
            reader.set_query(query)

    def queries(self) -> Iterator[str]:
        return chain.from_iterable(reader.queries() for reader in self.readers)

    def estimate(self) -> Estimate:
        """Return the sum of what the reads of all locations would take."""
        return summed([reader.estimate() for reader in self.readers])

    @property
    def poll_seconds(self) -> int | None:
        return min((reader.poll_seconds or 0 for reader in self.readers), default=0) or None

    @property
    def bytes_processed(self) -> int:
        return sum(reader.bytes_processed for reader in self.readers)

    @property
    def complete_until(self) -> int | None:
        known = [reader.complete_until for reader in self.readers]
        times = [time for time in known if time is not None]
        return min(times) if times and len(times) == len(known) else None

    @property
    def unread(self) -> bool:
        return all(reader.unread for reader in self.readers)

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self.report = ReadReport(start_ms=start_ms)
        self._rounds += 1
        for reader in self.readers:
            reader.go_on(start_ms, end_ms, late_ms)

    def close(self) -> None:
        for reader in self.readers:
            reader.close()

    def blocks(
        self, limit: int | None = None, raw: bool = False, columns: Iterable[str] | None = None
    ) -> Iterator[Block]:
        left = limit
        names = None if columns is None else [*columns]

        def read(reader: BaseReader) -> Iterator[Block]:
            return iter(()) if left == 0 else reader.blocks(left, raw, names)

        for block in self._each(read):
            if left is not None:
                left -= block.line_count
            yield block

    def sum_into(
        self,
        table: Sums,
        keys: Sequence[Sequence[str]] | Callable[[Layout], Sequence[Sequence[str]]],
        columns: Iterable[str] = (),
        further: Sequence[Further] = (),
    ) -> Iterator[Block]:
        names = [*columns]
        return self._each(lambda reader: reader.sum_into(table, keys, names, further))

    def _each(self, read: Callable[[BaseReader], Iterator[Block]]) -> Iterator[Block]:
        """Yield the Blocks of each reader, and merge its report."""
        self.report.origin = self.describe()
        waiting: Exception | None = None
        for reader in self.readers[:]:
            reader.on_block = self.on_block
            failure: Exception | None = None
            try:
                yield from read(reader)
                failure = reader.mismatch() if self._rounds < 2 else None
            except Exception as error:
                if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                    raise
                failure = error
            finally:
                self._merge(reader)
            if failure is None:
                continue
            if self._rounds > 1 and is_transient(failure):
                waiting = waiting or failure
                continue
            self.on_failure(reader, failure)
            if self._rounds:
                self.readers.remove(reader)
        if waiting or (self._rounds and not self.readers):
            raise waiting or FlowLogsError('no location is left to be followed')

    def _merge(self, reader: BaseReader) -> None:
        origin = self.report.origin
        self.report.merge(reader.report)
        self.report.origin = origin
