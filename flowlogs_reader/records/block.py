"""Blocks: runs of whole lines of one layout, the unit that stages pass on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from ..kernel import lines_with
from .layout import Layout

# The column that says where a record comes from.
LOCATION = 'location'
_UNQUOTED = ''.join(map(chr, range(0x21, 0x7F))).replace('%', '')


class Block(NamedTuple):
    """A run of whole lines of one Layout, each with its newline.

    `origin` names the log group, file or object. `ended` is the period [begin, end), in Unix seconds, in which the
    records ended, if the source knows it; it stands for the times of records without any. `raw` is the line as it is in
    the log, if `raw` was asked for and the line is not canonical.

    This class has the lines as text. A source whose records are not text has its own class of Blocks, as in
    sources/arrow.py: `data` converts all of its records to text, the other methods as few as possible. In the arguments
    of methods, `tests` are LineTests (sources/filter.py); kernel/pure documents `window` and the places.
    """

    layout: Layout
    data: bytes
    origin: str = ''
    ended: tuple[int, int] | None = None
    raw: bytes = b''

    @property
    def is_canonical(self) -> bool:
        """Whether all lines are known to be canonical."""
        return False

    @property
    def has_lines(self) -> bool:
        return bool(self.data)

    @property
    def line_count(self) -> int:
        return self.data.count(b'\n')

    @property
    def size(self) -> int:
        """The bytes of the lines as text, or of the records in memory if they are not text."""
        return len(self.data)

    def of_text(self, data: bytes, raw: bytes = b'') -> Block:
        """A Block of other lines, as text, with the same layout, origin and period."""
        return Block(self.layout, data, self.origin, self.ended, raw)

    def from_place(self, origin: str, ended: tuple[int, int] | None) -> Block:
        """This Block with another origin and period."""
        return self._replace(origin=origin, ended=ended)

    def candidates(self, tests: Any, window: Any, searches: Iterable[tuple[bytes, ...]]) -> bytes:
        """All lines that pass the tests and the window, and perhaps others.

        A line that passes must contain at least one text of each of the `searches`.
        """
        data = self.data
        for texts in searches:
            data = lines_with(texts, data)
        return data

    def add_to(
        self,
        table: Any,
        tests: Any,
        window: Any,
        alternatives: tuple[tuple[int, ...], ...],
        sums: tuple[int, int, int, int, int],
        searches: Iterable[tuple[bytes, ...]],
    ) -> tuple[int, int]:
        """Add the lines that pass to a kernel.Sums (see its `add`). Return their number, and that of skipped lines."""
        lines = self.candidates(tests, window, searches)
        passed, skipped = table.add(self.layout.kinds, tests.compiled, window, alternatives, sums, lines)
        return passed, skipped

    @property
    def grows(self) -> bool:
        """Whether this Block should be joined with the next one, if :meth:`with_next` can do that."""
        return False

    def with_next(self, following: Block) -> Block | None:
        """This Block and the next one as one; None if they cannot be joined, or if that would not save time."""
        return None


def joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """Join small Blocks. If the Blocks end with an exception, all Blocks before it are yielded before it is raised."""
    waiting: Block | None = None
    failure = None
    try:
        for block in blocks:
            both = None if waiting is None else waiting.with_next(block)
            if waiting is not None and both is None:
                yield waiting
            block, waiting = both or block, None
            if block.grows:
                waiting = block
            else:
                yield block
    except Exception as error:
        failure = error
    if waiting is not None:
        yield waiting
    if failure:
        raise failure


def with_location(block: Block) -> Block:
    """Return the Block with one more field, LOCATION: its origin, percent-encoded as AWS writes tags.

    If the log has a field of that name, it stays as it is.
    """
    if LOCATION in block.layout.position or not block.data:
        return block
    from urllib.parse import quote

    origin = quote(block.origin or '-', _UNQUOTED, errors='surrogateescape').encode()
    lines = block.data.replace(b'\n', b' %b\n' % origin)
    return Block(Layout([*block.layout.fields, LOCATION]), lines, block.origin, block.ended)


def runs(blocks: Iterable[Block], size: int) -> Iterator[tuple[Layout, bytes]]:
    """Join the lines of Blocks of one layout that follow each other: yield the layout, and about `size` bytes of lines.

    If the Blocks end with an exception, all lines before it are yielded before it is raised.
    """
    layout, held = Layout(), 0
    waiting: list[bytes] = []
    failure = None
    try:
        for block in blocks:
            if waiting and (block.layout != layout or held >= size):
                yield layout, b''.join(waiting)
                waiting, held = [], 0
            layout = block.layout
            waiting.append(block.data)
            held += len(waiting[-1])
    except Exception as error:
        failure = error
    if waiting:
        yield layout, b''.join(waiting)
    if failure:
        raise failure


def first_lines(data: bytes, count: int) -> bytes:
    """Return the first `count` lines, or all if there are fewer."""
    if data.count(b'\n') <= count:
        return data
    return b''.join(islice(data.splitlines(keepends=True), count))
