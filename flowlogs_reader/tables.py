"""Flows summed by what a user chooses: fields, networks, and the two directions of a conversation together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from itertools import compress, repeat
from operator import itemgetter
from typing import NamedTuple

from .aggregation import SUMMED, Table, Total
from .conditions import ADDRESSES, field_name
from .layout import Layout
from .memo import Memo

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
    """Records brought into the columns of a Table: the keys, and what is summed."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.columns = tuple(key.column for key in keys)
        self._networks = {
            at: Memo(partial(network, length=key.prefix)) for at, key in enumerate(keys) if key.prefix is not None
        }
        self._sources = {**{key.column: key.field for key in keys}, **{name: name for name in SUMMED}}
        self.layout = Layout(self._sources)

    def lines(self, layout: Layout, data: bytes) -> tuple[Layout, bytes]:
        """Canonical lines that a Table can add: these ones, where they will do."""
        if not self._networks and _has_counts(layout):
            return layout, data
        return self.layout, b''.join([b' '.join(row) + b'\n' for row in self.rows(layout, data)])

    def rows(self, layout: Layout, data: bytes) -> list[tuple[bytes, ...]]:
        """The columns of `layout` for each flow. Where a log counts neither packets nor bytes, a flow has 0 packets."""
        rows = layout.rows(data, [*self._sources.values(), 'log_status'])
        if not _has_counts(layout):
            rows = [row for row in rows if row[-1] not in NO_FLOWS]
        columns: list[Iterable[bytes]] = list(zip(*[row[:-1] for row in rows]))
        if not columns:
            return []
        for at, networks in self._networks.items():
            columns[at] = map(networks.__getitem__, columns[at])
        if not _has_counts(layout):
            columns[self.layout.position['packets']] = repeat(b'0')
        return list(zip(*columns))


def _has_counts(layout: Layout) -> bool:
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
        self._keyed = Keyed(keys)
        self._table = Table(self._keyed.columns)

    def add(self, layout: Layout, data: bytes) -> None:
        self._table.add(*self._keyed.lines(layout, data))

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
        self._both, self._to_source = Table(self._keyed.columns), Table(self._keyed.columns)
        names = self._keyed.layout.fields
        twins = [twin(name) for name in names]
        self._turn = itemgetter(*map(names.index, twins))
        sources = sorted(filter(_is_source, self._keyed.columns), key=lambda name: (not name.endswith('port'), name))
        self._ends = [(names.index(name), names.index(twin(name)), name.endswith('port')) for name in sources]

    def add(self, layout: Layout, data: bytes) -> None:
        rows = self._keyed.rows(layout, data)
        flags = [self._goes_to_source(row) for row in rows]
        lines = [b' '.join(self._turn(row) if flag else row) + b'\n' for row, flag in zip(rows, flags)]
        self._both.add(self._keyed.layout, b''.join(lines))
        self._to_source.add(self._keyed.layout, b''.join(compress(lines, flags)))

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
