"""The objects that were returned already, for repeated reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..keys import KeyWindow, key_time
from ..objects import Piece


class SeenObjects:
    """Drops objects, and parts of objects, that an earlier read returned. Reads may break off. An origin is an id."""

    def __init__(self) -> None:
        self._read: set[str] = set()
        # The bytes of text that were returned of objects whose read broke off.
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
        """Yield the pieces of objects without the bytes that were returned before, in pieces of any sizes."""
        position = 0
        for piece in pieces:
            if block := piece.block:
                data, returned = block.data, self._bytes.get(block.origin, 0)
                if returned > position:
                    piece = piece._replace(block=block.of_text(data[returned - position :]))
                yield piece
                position += len(data)
                self._bytes[block.origin] = max(returned, position)
            else:
                yield piece
            if piece.end:
                position = 0
                self._bytes.pop(piece.end, None)
                self._read.add(piece.end)
