"""Group keys: the fields, and networks or labels of addresses, to sum by."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ..errors import UsageError
from .conditions import ADDRESSES, EITHER, field_name, mapped_field
from .mappings import Mapping

_PREFIXED = re.compile(r'(.*)/([0-9]{1,3})')


class GroupKey(NamedTuple):
    """A field to sum by. With a `prefix` length, the key is the network of the address; with a `mapping`, its label.

    `field` may be a key of EITHER: then each flow counts at both its ends. A prefix of more than 32 bits leaves an IPv4
    address as it is. An address without a label has the key ``-``.
    """

    field: str
    prefix: int | None = None
    mapping: Mapping | None = None

    @property
    def name(self) -> str:
        """The key as the user writes it, and the name of its column."""
        if self.mapping:
            return f'{self.field}/{self.mapping.name}'
        return self.field if self.prefix is None else f'{self.field}/{self.prefix}'

    @property
    def fields(self) -> tuple[str, ...]:
        """The field, or those of the source and the destination."""
        return EITHER.get(self.field, (self.field,))

    @property
    def is_plain(self) -> bool:
        """Whether it is the value of the field as it is."""
        return self.prefix is None and self.mapping is None


def parse_keys(
    texts: Iterable[str], sums: Sequence[str], extra_fields: Collection[str] = (), words: Collection[str] = ()
) -> tuple[GroupKey, ...]:
    """Return the keys in texts such as ``srcaddr/24``, or ``srcaddr,dstport`` for several.

    `sums` are the names of the columns of sums, which cannot be keys. `extra_fields` are names that AWS does not
    document. `words` are names for both ends of a flow (see EITHER), if each flow may count at both.

    >>> [key.name for key in parse_keys(['srcaddr/24', 'dstaddr/class'], ['bytes'])]
    ['srcaddr/24', 'dstaddr/class']

    Raises UsageError, which says what is valid.
    """
    keys: list[GroupKey] = []
    for text in (item for given in texts for item in given.strip(',').split(',')):
        key = _parse_key(text, extra_fields, words)
        if key in keys:
            raise UsageError(f'{key.name} is given twice')
        if key.field in sums:
            raise UsageError(f'{key.field} is a sum, and cannot be a key')
        keys.append(key)
    return tuple(keys)


def _parse_key(text: str, extra_fields: Collection[str], words: Collection[str]) -> GroupKey:
    match = _PREFIXED.fullmatch(text)
    if not match:
        field, mapping = mapped_field(text, extra_fields, words)
        return GroupKey(field, mapping=mapping)
    field = field_name(match[1], extra_fields, words)
    if EITHER.get(field, (field,))[0] not in ADDRESSES or int(match[2]) > 128:
        raise UsageError(f'{text!r}: an address may have a prefix length of 0 to 128, such as srcaddr/24')
    return GroupKey(field, int(match[2]))


def check_both_ways(keys: Sequence[GroupKey]) -> None:
    """Raises UsageError if these keys do not hold both ends of a conversation."""
    for key in keys:
        if counterpart(key) not in keys:
            raise UsageError(f'both directions in one row need {counterpart(key).name} beside {key.name}')
    if not any(map(is_source, keys)):
        raise UsageError('both directions in one row need fields of both ends, such as srcaddr dstaddr')


def counterpart(key: GroupKey) -> GroupKey:
    """Return the same key of the other end, or the key itself if it belongs to both ends."""
    old, new = ('src', 'dst') if 'src' in key.field else ('dst', 'src')
    return key._replace(field=key.field.replace(old, new))


def is_source(key: GroupKey) -> bool:
    return 'src' in key.field
