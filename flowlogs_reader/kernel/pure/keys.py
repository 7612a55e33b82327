"""Group keys made from values: the network of an address, the bucket of a time, the entry of a mapping, a label."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Any

from ..memo import Memo
from .labels import check_values, labelled

#: How a key is made from a value. None: the key is the value. ('prefix', n4, n6): the network of an address, with a
#: prefix of n4 bits, or n6 for IPv6. ('bucket', seconds, offset): a number, rounded down. ('map', dict, default): a
#: look-up. ('label', labels, default): the label of an address.
Transform = Any
# Within this bound, native/keys.h can add an offset to a number of 19 digits in 64 bits.
MAX_BUCKET = 2**62


def key_function(key: Transform) -> Callable[[bytes], bytes] | None:
    """The function that makes a key from a value; None if the key is the value.

    Raises ValueError if the transform is not valid.
    """
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
        return Memo(partial(_bucket, seconds, offset)).__getitem__
    if key[0] == 'map':
        _, mapping, default = key
        check_values([default, *mapping.values()])
        return partial(_mapped, dict(mapping), default)
    if key[0] == 'label':
        _, labels, default = key
        return labelled(labels, default).__getitem__
    raise ValueError(f'a key cannot be made by {key[0]!r}')


def _bucket(seconds: int, offset: int, text: bytes) -> bytes:
    return text if text == b'-' else b'%d' % (int(text) - (int(text) + offset) % seconds)


def _mapped(mapping: dict[bytes, bytes], default: bytes, text: bytes) -> bytes:
    return mapping.get(text, default)


def network(text: bytes, n4: int, n6: int) -> bytes:
    """The network that contains an address, with a prefix of `n4` bits, or of `n6` bits for IPv6.

    >>> network(b'172.20.0.10', 24, 64), network(b'172.20.0.10', 64, 64)
    (b'172.20.0.0/24', b'172.20.0.10')

    Text that is not an address is returned as it is, and so is an address if the prefix is as long as the address.
    """
    try:
        block = ip_network(text.decode())
    except ValueError:
        return text
    length = n4 if block.version == 4 else n6
    if length >= block.max_prefixlen or length > block.prefixlen:
        return text
    return str(block.supernet(new_prefix=length)).encode()
