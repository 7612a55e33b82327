"""Blocks: runs of whole lines of one layout, the unit that stages pass on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from .layout import Layout


class Block(NamedTuple):
    """A run of whole lines of one Layout, each with its newline.

    `origin` names the log group, file or object. `ended` is the period [begin, end), in Unix seconds, in which the
    records ended, if the source knows it: it dates records without a time. `raw` is the line as it is in the log, if
    that was asked for and the line is not canonical.

    The lines are text here. A source that has its records in another form gives Blocks of a class of its own, which
    makes text of as few of them as it can (sources/arrow.py): whoever asks for `data` gets all of them. The methods are
    what the two have in common. `tests` are those of sources/filter.py, `window` and places what kernel/pure says.
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
        """How many bytes the lines have as text, or otherwise as they are in memory."""
        return len(self.data)

    def of_text(self, data: bytes, raw: bytes = b'') -> Block:
        """A Block of other lines, as text, from the same place."""
        return Block(self.layout, data, self.origin, self.ended, raw)

    def from_place(self, origin: str, ended: tuple[int, int] | None) -> Block:
        """This Block, with where it comes from."""
        return self._replace(origin=origin, ended=ended)

    def candidates(self, tests: Any, window: Any, searches: Iterable[Sequence[bytes]]) -> bytes:
        """Lines among which are all that pass the tests and are in the window.

        A line that passes holds at least one text of each of the `searches`.
        """
        data = self.data
        for texts in searches:
            data = lines_with(data, texts)
        return data

    def add_to(
        self,
        table: Any,
        tests: Any,
        window: Any,
        alternatives: tuple[tuple[int, ...], ...],
        sums: tuple[int, int, int, int, int],
        searches: Iterable[Sequence[bytes]],
    ) -> tuple[int, int]:
        """Adds the lines that pass to a table of the kernel's; returns how many these were, and how many malformed."""
        lines = self.candidates(tests, window, searches)
        passed, skipped = table.add(self.layout.kinds, tests.compiled, window, alternatives, sums, lines)
        return passed, skipped

    @property
    def grows(self) -> bool:
        """Whether it pays to wait for :meth:`with_next`."""
        return False

    def with_next(self, following: Block) -> Block | None:
        """Both as one Block; None if that cannot be, or does not pay."""
        return None


def joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same lines, in Blocks as large as pays. What came before an error is given before it is raised."""
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


def first_lines(data: bytes, count: int) -> bytes:
    """Return the first `count` lines, or all if there are fewer."""
    if data.count(b'\n') <= count:
        return data
    return b''.join(islice(data.splitlines(keepends=True), count))


def lines_with(data: bytes, texts: Iterable[bytes]) -> bytes:
    """The lines that hold one of the texts, by searching the bytes; all lines if there are too many hits to pay."""
    enough = len(data) // 400
    begins: dict[int, int] = {}
    for text in texts:
        at = data.find(text)
        while at >= 0:
            end = data.find(b'\n', at) + 1 or len(data)
            begins[data.rfind(b'\n', 0, at) + 1] = end
            if len(begins) > enough + 16:
                return data
            at = data.find(text, end)
    return b''.join([data[begin : begins[begin]] for begin in sorted(begins)])
