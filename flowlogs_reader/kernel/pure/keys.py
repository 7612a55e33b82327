"""Keys to sum by, made of values: the network of an address, the bucket of a time, a name from a mapping."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Any

from ..memo import Memo
from .lines import _PRINTABLE

#: How a key is made of a value: None as it is, ('prefix', n4, n6), ('bucket', seconds, offset), ('map', dict, default).
Transform = Any
# Where buckets are counted in 64 bits, this leaves room to add.
MAX_BUCKET = 2**62


def _transform(key: Transform) -> Callable[[bytes], bytes] | None:
    if key is None:
        return None
    if key[0] == 'prefix':
        _, n4, n6 = key
        if n4 < 0 or n6 < 0:
            raise ValueError('the length of a prefix is 0 or more')
        return Memo(partial(network, n4=n4, n6=n6)).__getitem__
    if key[0] == 'bucket':
        _, seconds, offset = key
        if not 0 < seconds <= MAX_BUCKET or not -MAX_BUCKET <= offset <= MAX_BUCKET:
            raise ValueError('a bucket has 1 to 2**62 seconds')
        return Memo(
            lambda text: text if text == b'-' else b'%d' % (int(text) - (int(text) + offset) % seconds)
        ).__getitem__
    if key[0] == 'map':
        _, mapping, default = key
        for value in (default, *mapping.values()):
            if not value or value.translate(None, _PRINTABLE[1:]):
                raise ValueError(f'{value!r} cannot be a column of a line')
        return partial(_mapped, dict(mapping), default)
    raise ValueError(f'a key cannot be made by {key[0]!r}')


def _mapped(mapping: dict[bytes, bytes], default: bytes, text: bytes) -> bytes:
    return mapping.get(text, default)


def network(text: bytes, n4: int, n6: int) -> bytes:
    """The network that an address is in, with a prefix of `n4` bits, or of `n6` bits for IPv6.

    >>> network(b'172.20.0.10', 24, 64), network(b'172.20.0.10', 64, 64)
    (b'172.20.0.0/24', b'172.20.0.10')

    Other text comes back as it is; so does an address where the length leaves it whole.
    """
    try:
        block = ip_network(text.decode())
    except ValueError:
        return text
    length = n4 if block.version == 4 else n6
    if length >= block.max_prefixlen or length > block.prefixlen:
        return text
    return str(block.supernet(new_prefix=length)).encode()
