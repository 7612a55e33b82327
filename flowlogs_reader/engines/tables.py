"""Flows summed by what a user chooses: fields, networks, and the two directions of a conversation together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from itertools import compress
from operator import itemgetter
from typing import NamedTuple

from ..kernel.memo import Memo
from ..query.conditions import ADDRESSES, field_name
from ..records.layout import Column, Layout
from .sums import SUMMED, Table, Total

NO_FLOWS = (b'NODATA', b'SKIPDATA')
_PREFIXED = re.compile(r'(.*)/([0-9]{1,3})')


class Key(NamedTuple):
    """A field to sum by; with the length of a prefix, the network of its address.

    IPv4 addresses stay whole where the length is for IPv6.
    """

    field: str
    prefix: int | None = None

    @property
    def name(self) -> str:
        """As the user writes it."""
        return self.field if self.prefix is None else f'{self.field}/{self.prefix}'

    @property
    def column(self) -> str:
        """A name that a Layout takes."""
        return self.name.replace('/', '_')


def parse_keys(texts: Iterable[str], sums: Sequence[str], extra_fields: Iterable[str] = ()) -> tuple[Key, ...]:
    """The keys in texts such as ``srcaddr/24``, beside columns that hold sums.

    Raises ValueError that says what would fit.
    """
    keys: list[Key] = []
    for text in texts:
        match = _PREFIXED.fullmatch(text)
        field = field_name(match[1] if match else text, extra_fields)
        if match and (field not in ADDRESSES or int(match[2]) > 128):
            raise ValueError(f'{text!r}: an address may have a prefix length of 0 to 128, such as srcaddr/24')
        keys.append(Key(field, int(match[2]) if match else None))
        if keys[-1] in keys[:-1]:
            raise ValueError(f'{keys[-1].name} is there twice')
        if field in sums:
            raise ValueError(f'{field} is summed, and cannot be summed by')
    return tuple(keys)


def check_both_ways(keys: Sequence[Key]) -> None:
    """Raises ValueError where a conversation would not have both its ends in these keys."""
    columns = [key.column for key in keys]
    for key in keys:
        if twin(key.column) not in columns:
            raise ValueError(f'--both-ways needs {twin(key.name)} beside {key.name}')
    if not any(map(_is_source, columns)):
        raise ValueError('--both-ways needs fields of both ends, such as srcaddr dstaddr')


def twin(name: str) -> str:
    """The same field of the other end; the field itself where it belongs to both."""
    return name.replace('src', 'dst') if 'src' in name else name.replace('dst', 'src')


def _is_source(name: str) -> bool:
    return 'src' in name


class Keyed:
    """The keys and the sums of flows, out of the columns `names` of a log."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.names = [*(key.field for key in keys), *SUMMED, 'log_status']
        self.networks = {
            at: Memo(partial(network, length=key.prefix)) for at, key in enumerate(keys) if key.prefix is not None
        }

    def flows(self, layout: Layout, columns: Sequence[Column]) -> tuple[list[Column], Column]:
        """A column for each key, and one that a Table adds. Where a log counts neither packets nor bytes, a flow has 0
        packets.
        """
        *keys, packets, octets, starts, ends, statuses = columns
        if not has_counts(layout):
            flags = [status not in NO_FLOWS for status in statuses]
            kept: list[Column] = [[*compress(column, flags)] for column in (*keys, octets, starts, ends)]
            *keys, octets, starts, ends = kept
            packets = [b'0'] * len(octets)
        for at, networks in self.networks.items():
            keys[at] = [*map(networks.__getitem__, keys[at])]
        return keys, [*map(b' '.join, zip(packets, octets, starts, ends))]


def has_counts(layout: Layout) -> bool:
    return 'packets' in layout.position or 'bytes' in layout.position


def network(text: bytes, length: int) -> bytes:
    """The block with a prefix of this length that an address is in.

    >>> network(b'172.20.0.10', 24), network(b'172.20.0.10', 64)
    (b'172.20.0.0/24', b'172.20.0.10')
    """
    try:
        address = ip_network(text.decode())
    except ValueError:
        return text
    return text if length >= address.max_prefixlen else str(address.supernet(new_prefix=length)).encode()


class FlowTable:
    """A Table with keys of the user's choice."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._names = [key.name for key in keys]
        self._joined = [' '.join(key.field for key in keys), ' '.join(SUMMED)]
        self._keyed = Keyed(keys)
        self._table = Table()

    def names(self, layout: Layout) -> Sequence[str]:
        return self._joined if self._is_plain(layout) else self._keyed.names

    def add(self, layout: Layout, columns: Sequence[Column]) -> None:
        if self._is_plain(layout):
            keys, sums = columns
        else:
            separate, sums = self._keyed.flows(layout, columns)
            keys = [*map(b' '.join, zip(*separate))]
        self._table.add(keys, sums)

    def _is_plain(self, layout: Layout) -> bool:
        """Whether the Table can add what the log has."""
        return not self._keyed.networks and has_counts(layout)

    def totals(self) -> Iterator[Total]:
        return self._table.totals()

    @property
    def columns(self) -> tuple[str, ...]:
        """What the lines hold."""
        return (*self._names, *SUMMED, 'flows')

    def lines(self) -> Iterator[bytes]:
        return self._table.lines()


class Conversations:
    """A Table whose rows hold both directions of a conversation.

    The end with the lower port is the destination: a service, as a rule. Where ports are no keys or the same, it is the
    end whose other keys come later as text, so that the order of the records does not matter.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._names = [key.name for key in keys]
        self._keyed = Keyed(keys)
        self._both, self._to_source = Table(), Table()
        names = [key.column for key in keys]
        self._turn = itemgetter(*(names.index(twin(name)) for name in names))
        sources = sorted(filter(_is_source, names), key=lambda name: (not name.endswith('port'), name))
        self._ends = [(names.index(name), names.index(twin(name)), name.endswith('port')) for name in sources]

    def names(self, layout: Layout) -> Sequence[str]:
        return self._keyed.names

    def add(self, layout: Layout, columns: Sequence[Column]) -> None:
        separate, sums = self._keyed.flows(layout, columns)
        rows = [*zip(*separate)]
        flags = [self._goes_to_source(row) for row in rows]
        keys = [b' '.join(self._turn(row) if flag else row) for row, flag in zip(rows, flags)]
        self._both.add(keys, sums)
        self._to_source.add([*compress(keys, flags)], [*compress(sums, flags)])

    def _goes_to_source(self, row: tuple[bytes, ...]) -> bool:
        for source, destination, is_port in self._ends:
            one, other = row[source], row[destination]
            if one != other:
                # Of two numbers without leading zeros the longer one is larger.
                return (len(one), one) < (len(other), other) if is_port else one > other
        return False

    @property
    def columns(self) -> tuple[str, ...]:
        """What the lines hold."""
        return (*self._names, *SUMMED, 'flows', 'bytes_to_dst', 'bytes_to_src')

    def lines(self) -> Iterator[bytes]:
        to_source = {b' '.join(total.key): total.bytes for total in self._to_source.totals()}
        for line in self._both.lines():
            key, *sums = line.rsplit(b' ', len(SUMMED) + 1)
            back = to_source.get(key, 0)
            yield b'%b %d %d\n' % (line[:-1], int(sums[1]) - back, back)
