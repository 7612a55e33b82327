"""Sums of both directions of a conversation in one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from ..kernel import Sums
from ..query.groups import GroupKey, counterpart, is_source
from ..query.result import ROWS
from .sums import rows_of


class _Conversation:
    """Sums of both directions; `back` is the number of bytes to the source."""

    packets: int = 0
    bytes: int = 0
    flows: int = 0
    start: int | None = None
    end: int | None = None
    back: int = 0


class Conversations:
    """Merges the rows of a table, one for each direction, into rows for both directions of a conversation.

    The end with the lower port is the destination: usually a service. If ports are equal or not keys, it is the end
    whose other keys sort later as text, so that the order of the records does not matter.
    """

    def __init__(self, keys: Sequence[GroupKey]) -> None:
        self._reversed = [keys.index(counterpart(key)) for key in keys]
        sources = sorted(filter(is_source, keys), key=lambda key: (not key.name.endswith('port'), key.name))
        self._ends = [(keys.index(key), keys.index(counterpart(key)), key.name.endswith('port')) for key in sources]

    def chunks(self, table: Sums) -> Iterator[bytes]:
        """Yield lines: the keys, packets, bytes, start, end, flows, bytes to the destination, bytes to the source."""
        conversations = iter(self._merge(table).items())
        while rows := list(islice(conversations, ROWS)):
            yield b''.join([_line(key, total) for key, total in rows])

    def _merge(self, table: Sums) -> dict[tuple[bytes, ...], _Conversation]:
        width = len(self._reversed)
        found: dict[tuple[bytes, ...], _Conversation] = {}
        for row in rows_of(table):
            values = row.split(b' ')
            key = tuple(values[:width])
            packets, octets, flows = (int(values[width + at]) for at in (0, 1, 4))
            start, end = (None if text == b'-' else int(text) for text in values[width + 2 : width + 4])
            goes_back = self._goes_to_source(key)
            if goes_back:
                key = tuple([key[place] for place in self._reversed])
            total = found.setdefault(key, _Conversation())
            total.packets += packets
            total.bytes += octets
            total.flows += flows
            total.start = min(_known(total.start, start), default=None)
            total.end = max(_known(total.end, end), default=None)
            total.back += octets if goes_back else 0
        return found

    def _goes_to_source(self, row: tuple[bytes, ...]) -> bool:
        for source, destination, is_port in self._ends:
            one, other = row[source], row[destination]
            if one != other:
                # Of two numbers without leading zeros the longer one is larger.
                return (len(one), one) < (len(other), other) if is_port else one > other
        return False


def _known(*values: int | None) -> list[int]:
    return [value for value in values if value is not None]


def _line(key: tuple[bytes, ...], total: _Conversation) -> bytes:
    times = ['-' if time is None else time for time in (total.start, total.end)]
    sums = (total.packets, total.bytes, *times, total.flows, total.bytes - total.back, total.back)
    return b'%b %b\n' % (b' '.join(key), ' '.join(map(str, sums)).encode())
