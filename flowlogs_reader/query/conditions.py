"""Conditions that records must meet, parsed from texts such as ``dstport=22,3389``.

A condition is data only. Tests of lines, filter patterns of CloudWatch Logs and SQL are made from it elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import NamedTuple

from ..errors import Cause, UsageError
from ..records.fields import KNOWN, Kind
from ..records.layout import normalise
from .mappings import CLASSES, MAPPINGS, Mapping, Network
from .names import NUMBER_NAMES, TCP_FLAGS

ADDRESSES = ('srcaddr', 'dstaddr', 'pkt_srcaddr', 'pkt_dstaddr')
ANY_ADDRESS = 'any address'
# One name for several fields: one of them must meet the condition.
EITHER = {
    'addr': ('srcaddr', 'dstaddr'),
    'port': ('srcport', 'dstport'),
    'pkt_addr': ('pkt_srcaddr', 'pkt_dstaddr'),
}
# The largest values. Protocol and flags are octets of the packet's header. The kernel converts times in milliseconds to
# seconds: so more than 11 digits, as in typed times, would never be equal to one.
_LAST_TIME = 10**11 - 1
LARGEST = {
    'srcport': 65535, 'dstport': 65535, 'protocol': 255, 'tcp_flags': 255, 'start': _LAST_TIME, 'end': _LAST_TIME,
}  # fmt: skip
# The kernel accepts numbers of at most 19 digits.
MAX_NUMBER = 10**19 - 1
# Labels of the mapping `class` that may be written in place of networks.
ADDRESS_CLASSES = ('private', 'internet')
_CONDITION = re.compile(r'\s*([A-Za-z][A-Za-z0-9_-]*(?:/(?:[^=!<>]*[^=!<>\s])?)?)\s*(!=|<=|>=|=|<|>)(.*)', re.DOTALL)
_KINDS = {Kind.TEXT: 'text', Kind.INTEGER: 'a number', Kind.TIME: 'a time'}
_JOINT = re.compile(r'(?<=\s)(?:and|or)\s|&&|\|\||[\s,]+', re.IGNORECASE)
# A text with more joints than these is not two conditions: to try each of thousands would take minutes.
MAX_JOINTS = 100
# Operators of other languages, and ours.
_OTHER_OPERATORS = {'=>': '>=', '=<': '<=', '<>': '!='}
# More names than these are not listed in a message.
MANY_NAMES = 15
_RANGE = re.compile(r'([^-]+)-([^-]+)')


class Range(NamedTuple):
    """The whole numbers from `low` to `high`, both included."""

    low: int
    high: int


class Flags(NamedTuple):
    """The numbers in which all bits of `mask` are set."""

    mask: int


class OtherField(NamedTuple):
    """The value of another field of the same record."""

    field: str


# None is a missing value, or with a mapping an address without a label.
Value = str | Range | Flags | Network | OtherField | None


class Condition(NamedTuple):
    """A field, an operator and values.

    `field` is a field's name, a key of EITHER, or ANY_ADDRESS. `operator` is ``=`` (one of the values), ``!=`` (none of
    them), or ``<``, ``<=``, ``>``, ``>=`` with one Range of a single number. `text` is what the user wrote: conditions
    with other texts may be equal.

    An OtherField is the only value, with any operator. If it or the field has no value, the record does not meet the
    condition, whatever the operator.

    With a `mapping`, the labels of addresses are compared. The values are labels, or an OtherField.
    """

    field: str
    operator: str
    values: tuple[Value, ...]
    text: str = ''
    mapping: Mapping | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self[:3] == other[:3] and self.mapping == other.mapping

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((*self[:3], self.mapping))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are compared: one of them must have one of the values, or with ``!=`` none."""
        return ADDRESSES if self.field == ANY_ADDRESS else EITHER.get(self.field, (self.field,))

    @property
    def negated(self) -> bool:
        return self.operator == '!='

    @property
    def other(self) -> str | None:
        """The field that the fields are compared with; None if they are compared with values."""
        value = self.values[0] if self.values else None
        return value.field if isinstance(value, OtherField) else None

    @property
    def needed(self) -> tuple[tuple[str, ...], ...]:
        """The fields that the condition needs: a tuple of alternatives for each."""
        return (self.fields, (self.other,)) if self.other else (self.fields,)


def parse_condition(text: str, extra_fields: Collection[str] = ()) -> Condition:
    """Return the condition that a text such as ``dstport=22,443`` or ``bytes>=1000`` means.

    >>> parse_condition('dstport=ssh,8000-8100').values
    (Range(low=22, high=22), Range(low=8000, high=8100))

    `extra_fields` are names that AWS does not document. Raises UsageError, which says what is valid.
    """
    match = _CONDITION.fullmatch(text)
    if not match and _is_field(text, extra_fields):
        raise UsageError(f'the condition {text!r} has no operator and no value', Cause.OPERATOR_MISSING)
    if not match:
        raise UsageError(f'the condition {text!r} is not FIELD=VALUE (or != < <= > >=), such as dstport=443')
    written, operator, value = match.groups()
    _check_form(text, written, operator, value, extra_fields)
    name, mapping = mapped_field(written, extra_fields, EITHER)
    first = EITHER.get(name, (name,))[0]
    if operator not in ('=', '!=') and (mapping or not _is_number(first)):
        raise UsageError(f'{written.strip()} is text, which can be compared with = and != only')
    values: tuple[Value, ...]
    if _is_field(value, extra_fields):
        values = (_other_field(written.strip(), name, mapping, value.strip(), extra_fields),)
    elif mapping:
        values = _labels(mapping, _items(written, value, extra_fields))
    elif operator in ('=', '!='):
        values = _values(name, first, _items(name, value, extra_fields))
    else:
        bound = _number(name, first, value, value)
        values = (Range(bound, bound),)
    return Condition(name, operator, values, text, mapping)


def _check_form(text: str, written: str, operator: str, value: str, extra_fields: Collection[str]) -> None:
    """Raises UsageError for other operators, for several conditions in one text, and for a missing value."""
    if value.startswith('='):
        raise UsageError(f'{text!r}: one = is enough: {written.strip()}{operator}{value[1:].strip()}')
    if own := _OTHER_OPERATORS.get(operator + value[:1]):
        raise UsageError(f'{text!r}: the operator is {own}: {written.strip()}{own}{value[1:].strip()}')
    for joint in islice(_JOINT.finditer(value), MAX_JOINTS):
        if is_condition(value, extra_fields, joint.end()):
            one, other = f'{written.strip()}{operator}{value[: joint.start()].strip()}', value[joint.end() :].strip()
            if joint[0].strip().lower() in ('or', '||'):
                raise UsageError(
                    f'{text!r}: conditions cannot be joined by or; one field may have several values: 22,443'
                )
            raise UsageError(f'{text!r} is two conditions, {one} and {other}', Cause.SEVERAL_CONDITIONS)
    if not value.strip() and operator not in ('=', '!='):
        raise UsageError(f'{text!r}: the value is missing')


def is_condition(text: str, extra_fields: Collection[str] = (), begin: int = 0) -> bool:
    """Whether a text has, from `begin` on, the form of a condition about a field that exists."""
    match = _CONDITION.fullmatch(text, begin)
    return match is not None and _is_field(match[1], extra_fields)


def find_addresses(texts: Iterable[str]) -> Condition:
    """Return the condition of ``findip``: one of the four address fields is in these addresses or CIDR blocks."""
    given = ','.join(texts)
    items = _items('findip', given)
    if '-' in items:
        raise UsageError("'-' is not an IP address or CIDR block for findip")
    networks = tuple(network for item in items for network in _networks('findip', item))
    return Condition(ANY_ADDRESS, '=', networks, f'findip {given}')


def field_name(text: str, extra_fields: Collection[str] = (), words: Collection[str] = ()) -> str:
    """Return the normalised name of a field: one that AWS documents, one of `extra_fields` or one of `words`.

    Raises UsageError, which lists similar names.
    """
    name = normalise(text)
    names = [*words, *KNOWN, *extra_fields]
    if name in names:
        return name
    if name in EITHER:
        raise UsageError(f'{name} is {" and ".join(EITHER[name])}: give one of them here')
    close = _similar(name, names)
    similar = f' (similar: {", ".join(close)})' if close else ''
    raise UsageError(f'there is no field {text[:60]!r}{similar}', Cause.FIELD_UNKNOWN)


def mapped_field(
    text: str, extra_fields: Collection[str] = (), words: Collection[str] = ()
) -> tuple[str, Mapping | None]:
    """Return the field and the mapping in a text such as ``srcaddr/class``.

    Raises UsageError as :func:`field_name` does, and for a mapping that does not exist, or a field without addresses.
    """
    written, slash, mapping = text.strip().partition('/')
    field = field_name(written, extra_fields, words)
    if not slash:
        return field, None
    known = ', '.join(f'srcaddr/{name}' for name in MAPPINGS)
    if EITHER.get(field, (field,))[0] not in ADDRESSES:
        raise UsageError(f'{text!r}: only addresses have networks, such as {known}')
    if mapping.lower() not in MAPPINGS:
        raise UsageError(f'{text!r}: there is no mapping {mapping[:40]!r}: there is {known}')
    return field, MAPPINGS[mapping.lower()]


def host_bits(condition: Condition) -> str:
    """Describe how CIDR blocks with host bits, such as ``10.0.0.1/8``, are read; '' if there are none."""
    if condition.fields[0] not in ADDRESSES or condition.mapping or condition.other:
        return ''
    written = condition.text.removeprefix('findip ') if condition.field == ANY_ADDRESS else ''
    match = _CONDITION.fullmatch(condition.text)
    items = (written or (match[3] if match else '')).split(',')
    blocks = [(item.strip(), ip_network(item.strip(), strict=False)) for item in items if '/' in item]
    return ', '.join(
        f'{item} is read as {network}'
        for item, network in blocks
        if network.network_address != ip_address(item.partition('/')[0])
    )


def _values(name: str, first: str, items: Sequence[str]) -> tuple[Value, ...]:
    """Return the values in a list. `first` is the first field of the condition: it gives their type."""
    if first in ADDRESSES:
        return tuple(value for item in items for value in ((None,) if item == '-' else _networks(name, item)))
    flags = [flag for item in items for flag in item.lower().split('+')]
    if first == 'tcp_flags' and not TCP_FLAGS.keys().isdisjoint(flags):
        return (_flags(flags),)
    if _is_number(first):
        return tuple(None if item == '-' else _range(name, first, item) for item in items)
    return tuple(None if item == '-' else _word(first, item) for item in items)


def _labels(mapping: Mapping, items: Sequence[str]) -> tuple[Value, ...]:
    known = {label.lower(): label for label in mapping.labels}
    for item in items:
        if known and item != '-' and item.lower() not in known:
            raise UsageError(f'there is no {mapping.name} {item[:40]!r}: choose from {", ".join(known.values())}')
    return tuple(None if item == '-' else known.get(item.lower(), item) for item in items)


def _items(name: str, value: str, extra_fields: Collection[str] = ()) -> list[str]:
    items = [item.strip() for item in value.split(',')]
    for item in items:
        if not item:
            raise UsageError(f'{name} has an empty value; "-" means a missing one')
        if _is_field(item, extra_fields):
            raise UsageError(f'{item} is the name of a field: a field is compared with one field, or with values')
    return items


def _is_field(text: str, extra_fields: Collection[str]) -> bool:
    return normalise(text.partition('/')[0]) in {*KNOWN, *extra_fields, *EITHER}


def _other_field(
    written: str, name: str, mapping: Mapping | None, text: str, extra_fields: Collection[str]
) -> OtherField:
    """Return the field in `text`, the right side of a condition.

    `written` is the text of the left side, which means `name` and `mapping`. Raises UsageError if the two sides cannot
    be compared.
    """
    fields = EITHER.get(name, (name,))
    other, other_mapping = mapped_field(text, extra_fields, EITHER)
    if other in EITHER:
        raise UsageError(f'{other} is {" and ".join(EITHER[other])}: write it on the left side')
    if mapping != other_mapping:
        raise UsageError(f'{written} and {text} are not of one kind: give both the same mapping')
    kinds = [_kind(field) for field in (fields[0], other)]
    if len({*kinds} - {''}) > 1:
        raise UsageError(f'{written} is {kinds[0]}, {text} is {kinds[1]}: only fields of one kind are compared')
    if other in fields:
        raise UsageError(f'{written} is compared with itself')
    return OtherField(other)


def _kind(name: str) -> str:
    """Return what the values of a field are, in words; '' if it is not known."""
    if name in ADDRESSES:
        return 'an address'
    return _KINDS[KNOWN[name].kind] if name in KNOWN else ''


def _is_number(name: str) -> bool:
    return name in KNOWN and KNOWN[name].kind is not Kind.TEXT


def _networks(name: str, item: str) -> tuple[Network, ...]:
    if item.lower() in ADDRESS_CLASSES:
        return tuple(network for labelled in CLASSES.having([item.lower()]) for network in labelled.networks)
    try:
        return (ip_network(item.replace('%', ' '), strict=False),)  # % begins an IPv6 zone: logs have none
    except ValueError:
        raise UsageError(f'{item!r} is not an IP address or CIDR block for {name}, nor private or internet') from None


def _flags(items: Sequence[str]) -> Flags:
    unknown = [item for item in items if item not in TCP_FLAGS]
    if unknown:
        raise UsageError(f'tcp_flags has no {unknown[0]!r}: give a number, or names of {", ".join(TCP_FLAGS)}')
    return Flags(sum({TCP_FLAGS[item] for item in items}))


def _range(name: str, first: str, item: str) -> Range:
    # A name may have a hyphen too, as igw-or-endpoint.
    match = None if item.lower() in NUMBER_NAMES.get(first, ()) else _RANGE.fullmatch(item)
    low, high = (match[1], match[2]) if match else (item, item)
    found = Range(_number(name, first, low, item), _number(name, first, high, item))
    if found.low > found.high:
        raise UsageError(f'the range {item} of {name} ends before it begins')
    return found


def _number(name: str, first: str, text: str, whole: str) -> int:
    """Return the number in a text, which is the `whole` value or one end of a range."""
    text = text.strip()
    names = NUMBER_NAMES.get(first, {})
    if text.lower() in names:
        return names[text.lower()]
    largest = LARGEST.get(first, MAX_NUMBER)
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= largest):
        raise _not_a_number(name, first, whole.strip()[:40])
    return int(text)


def _not_a_number(name: str, first: str, text: str) -> UsageError:
    """Return the error for a value that is neither a valid number of the field nor the name of one."""
    names = NUMBER_NAMES.get(first, {})
    if first in KNOWN and KNOWN[first].kind is Kind.TIME:
        return UsageError(f'{name} takes Unix seconds; not {text!r}', Cause.TIME_IN_CONDITION)
    if first in LARGEST and text.isascii() and text.isdigit():
        return UsageError(f'{name} is a number from 0 to {LARGEST[first]}, not {text}')
    if close := _similar(text.lower(), names):
        return UsageError(f'{name} has no {text!r}: did you mean {" or ".join(close)}?')
    limit = f' up to {LARGEST[first]}' if first in LARGEST else ''
    if len(names) > MANY_NAMES:
        why = f'{name} takes a number{limit}, or a name such as ssh or https; not {text!r}'
        return UsageError(why, Cause.NAME_UNKNOWN)
    known = f', or one of {", ".join(names)}' if names else ''
    return UsageError(f'{name} takes a number{limit}{known}; not {text!r}')


def _similar(text: str, names: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(text, [*names], 3)


def _word(name: str, text: str) -> str:
    """Return the text in the case in which AWS writes it. Raises UsageError for a word that AWS never writes."""
    known = KNOWN.get(name)
    if known and known.words:
        for word in known.words:
            if word.lower() == text.lower():
                return word
        raise UsageError(f'{name} is one of {", ".join(known.words)}; not {text[:40]!r}')
    if known and known.case:
        return text.upper() if known.case == 'upper' else text.lower()
    return text
