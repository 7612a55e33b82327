"""Blocks: runs of whole lines of one layout, the unit that stages pass on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..kernel import lines_with
from .layout import Layout

# The column that says where a record comes from.
LOCATION = 'location'
# The places of the fields of each group key.
Places = tuple[tuple[int, ...], ...]
_UNQUOTED = ''.join(map(chr, range(0x21, 0x7F))).replace('%', '')


class Block(NamedTuple):
    """A run of whole lines of one Layout, each with its newline.

    `origin` names the log group, file or object. `ended` is the period [begin, end), in Unix seconds, in which the
    records ended, if the source knows it; it stands for the times of records without any. `raw` is the line as it is in
    the log, if `raw` was asked for and the line is not canonical.

    This class has the lines as text. If the records of a source are not text, it has its own class of Blocks
    (sources/arrow.py): `data` converts all records to text, the other methods as few as possible. A `selection` is one
    of sources/filter.py; kernel/pure documents the places of keys and sums.
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

    def candidates(self, selection: Any) -> bytes:
        """The lines that may pass the selection; others may be left out."""
        data = self.data
        for texts in selection.searches:
            data = lines_with(texts, data)
        return data

    def add_to(self, table: Any, selection: Any, keys: Places, sums: Sequence[int]) -> tuple[int, int]:
        """Add the lines that pass to a kernel.Sums. Return their number, and the number of skipped lines."""
        lines = self.candidates(selection)
        tests, window, _ = selection
        passed, skipped = table.add(self.layout.kinds, tests.compiled, window, keys, sums, lines)
        return passed, skipped

    @property
    def grows(self) -> bool:
        """Whether this Block should be joined with the next one, if :meth:`with_next` can."""
        return False

    def with_next(self, following: Block) -> Block | None:
        """This Block and the next one as one; None if they cannot be joined, or it saves no time."""
        return None


def joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """Join small Blocks. If an exception ends the Blocks, those before it are yielded before it is raised."""
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
    """Return the Block with a further field LOCATION: its origin, in percent encoding as AWS writes tags.

    A log that has such a field keeps its own.
    """
    if LOCATION in block.layout.position or not block.data:
        return block
    from urllib.parse import quote

    origin = quote(block.origin or '-', _UNQUOTED, errors='surrogateescape').encode()
    lines = block.data.replace(b'\n', b' %b\n' % origin)
    return Block(Layout([*block.layout.fields, LOCATION]), lines, block.origin, block.ended)


def runs(blocks: Iterable[Block], size: int) -> Iterator[tuple[Layout, bytes]]:
    """Yield layouts with lines: those of as many Blocks of one layout as have `size` bytes together.

    Lines before an error are yielded before it is raised.
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
