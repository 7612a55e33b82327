"""The objects that were returned already, for repeated reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..keys import KeyWindow, key_time
from ..objects import Piece


class SeenObjects:
    """Drops repeated objects, or parts of them, over many reads, some of which break off. The origin is the id."""

    def __init__(self) -> None:
        self._read: set[str] = set()
        self._bytes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, origin: str) -> bool:
        """Whether the whole object was returned."""
        return origin in self._read

    def forget(self, keys: KeyWindow) -> None:
        """Forget all objects but those whose keys are in this window."""
        self._read = {origin for origin in self._read if keys.holds(key_time(origin))}

    def drop_repeats(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the pieces of objects without the bytes returned before. Pieces may have had other sizes then."""
        at = 0
        for piece in pieces:
            if piece.block:
                origin, data = piece.block.origin, piece.block.data
                out = self._bytes.get(origin, 0)
                yield piece._replace(block=piece.block.of_text(data[max(0, out - at) :]) if out > at else piece.block)
                at += len(data)
                self._bytes[origin] = max(out, at)
            else:
                yield piece
            if piece.end:
                at = 0
                self._bytes.pop(piece.end, None)
                self._read.add(piece.end)
