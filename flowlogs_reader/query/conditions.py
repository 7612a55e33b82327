"""What a person writes for a condition (``dstport=22,3389``) -> a test of one column's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ..records.fields import KNOWN, Kind
from ..records.layout import normalise

Test = Callable[[bytes], bool]

ADDRESSES = ('srcaddr', 'dstaddr', 'pkt_srcaddr', 'pkt_dstaddr')
# One word for several fields: the condition holds where it holds for one of them.
EITHER = {
    'addr': ('srcaddr', 'dstaddr'),
    'port': ('srcport', 'dstport'),
    'pkt_addr': ('pkt_srcaddr', 'pkt_dstaddr'),
}
PORTS = {
    'ftp': 21, 'ssh': 22, 'telnet': 23, 'smtp': 25, 'dns': 53, 'domain': 53, 'dhcp': 67, 'http': 80, 'kerberos': 88,
    'pop3': 110, 'ntp': 123, 'imap': 143, 'snmp': 161, 'bgp': 179, 'ldap': 389, 'https': 443, 'smb': 445, 'syslog': 514,
    'ldaps': 636, 'imaps': 993, 'mssql': 1433, 'oracle': 1521, 'nfs': 2049, 'mysql': 3306, 'rdp': 3389,
    'postgres': 5432, 'postgresql': 5432, 'vnc': 5900, 'redis': 6379, 'elasticsearch': 9200, 'memcached': 11211,
    'mongodb': 27017,
}  # fmt: skip
PROTOCOLS = {
    'icmp': 1, 'igmp': 2, 'ipip': 4, 'tcp': 6, 'udp': 17, 'ipv6': 41, 'gre': 47, 'esp': 50, 'ah': 51, 'icmpv6': 58,
    'ospf': 89, 'pim': 103, 'vrrp': 112, 'l2tp': 115, 'sctp': 132,
}  # fmt: skip
NUMBER_NAMES = {'srcport': PORTS, 'dstport': PORTS, 'protocol': PROTOCOLS}
TCP_FLAGS = {'fin': 1, 'syn': 2, 'rst': 4, 'psh': 8, 'ack': 16, 'urg': 32}
# Fields with few values: anything else is a typing error.
WORDS = {
    'action': ('ACCEPT', 'REJECT'),
    'log_status': ('OK', 'NODATA', 'SKIPDATA', 'INCOMPLETEDATA'),
    'flow_direction': ('ingress', 'egress'),
    'type': ('IPv4', 'IPv6', 'EFA'),
}
# The largest value of numbers that have one; protocol and flags are octets of the packet's header.
LARGEST = {'srcport': 65535, 'dstport': 65535, 'protocol': 255, 'tcp_flags': 255}
_CONDITION = re.compile(r'\s*([A-Za-z][A-Za-z0-9_-]*)\s*(!=|<=|>=|=|<|>)(.*)', re.DOTALL)
_RANGE = re.compile(r'([^-]+)-([^-]+)')


class Condition(NamedTuple):
    """A test that one of `fields` must pass, or with `negated`, that none may pass.

    `literals` are texts of which every line that meets the condition holds at least one, whatever its format; None
    where there are no such texts. They allow lines to be ruled out before anything is parsed. `note` says how the text
    was understood, where that may surprise.
    """

    text: str
    fields: tuple[str, ...]
    test: Test
    negated: bool = False
    literals: tuple[bytes, ...] | None = None
    note: str = ''


def parse_condition(text: str, extra_fields: Iterable[str] = ()) -> Condition:
    """The condition ``FIELD OP VALUE[,VALUE …]``.

    >>> parse_condition('dstport=22,8000-8100').test(b'8080')
    True
    >>> parse_condition('srcaddr=10.0.0.0/8').test(b'11.0.0.1')
    False

    `extra_fields` are names beyond the ones that AWS documents. Raises ValueError that says what would fit.
    """
    match = _CONDITION.fullmatch(text)
    if not match:
        raise ValueError(f'the condition {text!r} is not FIELD=VALUE (or != < <= > >=), such as dstport=443')
    name, operator, value = match.groups()
    name = field_name(name, extra_fields, EITHER)
    fields = EITHER.get(name, (name,))
    if operator in ('=', '!='):
        test, literals = _any_of(name, fields[0], value)
        negated = operator == '!='
        note = _host_bits(value) if fields[0] in ADDRESSES else ''
        return Condition(text, fields, test, negated, None if negated else literals, note)
    return Condition(text, fields, _ordering(name, fields[0], operator, value))


def find_addresses(texts: Iterable[str]) -> Condition:
    """The condition of ``findip``: one of the addresses or CIDR blocks stands in any address column."""
    given = ','.join(texts)
    if '-' in _items('findip', given):
        raise ValueError("'-' is no IP address or CIDR block for findip")
    test, literals = _any_of('findip', 'srcaddr', given)
    return Condition(f'findip {given}', ADDRESSES, test, literals=literals, note=_host_bits(given))


def field_name(text: str, extra_fields: Iterable[str] = (), words: Iterable[str] = ()) -> str:
    """The name of a field that AWS documents, one of `extra_fields`, or one of `words`, however it is spelt.

    Raises ValueError that says what there is.
    """
    name = normalise(text)
    names = [*words, *KNOWN, *extra_fields]
    if name in names:
        return name
    close = get_close_matches(name, names, 3)
    advice = f'did you mean {" or ".join(close)}?' if close else f'choose from {", ".join(names)}'
    raise ValueError(f'there is no field {text[:60]!r}: {advice}')


def _host_bits(value: str) -> str:
    """What to tell about CIDR blocks that name a host: which blocks are meant."""
    blocks = [(item, ip_network(item, strict=False)) for item in _items('', value) if '/' in item]
    return ', '.join(
        f'{item} is read as {network}'
        for item, network in blocks
        if network.network_address != ip_address(item.partition('/')[0])
    )


def _items(name: str, value: str) -> list[str]:
    values = [item.strip() for item in value.split(',')]
    if not all(values):
        raise ValueError(f'{name} is given an empty value; "-" stands for a missing one')
    return values


def _any_of(name: str, field: str, value: str) -> tuple[Test, tuple[bytes, ...] | None]:
    values = _items(name, value)
    if field in ADDRESSES:
        return _address_test(name, values)
    if field == 'tcp_flags' and any(item.lower() in TCP_FLAGS for item in values):
        return _flags_test(values), None
    if field in KNOWN and KNOWN[field].kind is not Kind.TEXT:
        return _number_test(name, field, values)
    texts = tuple(_word(field, item).encode() for item in values)
    return frozenset(texts).__contains__, texts if b'-' not in texts else None


def _address_test(name: str, values: list[str]) -> tuple[Test, tuple[bytes, ...] | None]:
    networks: list[IPv4Network | IPv6Network] = []
    for item in values:
        if item != '-':
            try:
                networks.append(ip_network(item.replace('%', ' '), strict=False))  # % begins a zone, which no log has
            except ValueError:
                raise ValueError(f'{item!r} is no IP address or CIDR block for {name}') from None
    hosts = [network.network_address for network in networks if network.prefixlen == network.max_prefixlen]
    missing = '-' in values
    if len(hosts) == len(networks) and not missing and all(isinstance(host, IPv4Address) for host in hosts):
        texts = tuple(str(host).encode() for host in hosts)
        return frozenset(texts).__contains__, texts

    def test(text: bytes) -> bool:
        if text == b'-':
            return missing
        try:
            address = ip_address(text.decode())
        except ValueError:
            return False
        return any(address in network for network in networks if network.version == address.version)

    return test, None


def _flags_test(values: list[str]) -> Test:
    unknown = [item for item in values if item.lower() not in TCP_FLAGS]
    if unknown:
        raise ValueError(f'tcp_flags has no {unknown[0]!r}: give a number, or names of {", ".join(TCP_FLAGS)}')
    mask = sum({TCP_FLAGS[item.lower()] for item in values})
    return lambda text: text != b'-' and int(text) & mask == mask


def _number_test(name: str, field: str, values: list[str]) -> tuple[Test, tuple[bytes, ...] | None]:
    missing = '-' in values
    ranges = []
    for item in values:
        if item != '-':
            low, high = (match[1], match[2]) if (match := _RANGE.fullmatch(item)) else (item, item)
            ranges.append((_number(name, field, low), _number(name, field, high)))
            if ranges[-1][0] > ranges[-1][1]:
                raise ValueError(f'the range {item} of {name} ends before it begins')
    single = not missing and all(low == high for low, high in ranges)

    def test(text: bytes) -> bool:
        if text == b'-':
            return missing
        number = int(text)
        return any(low <= number <= high for low, high in ranges)

    return test, tuple(b'%d' % number for number, _ in ranges) if single else None


def _ordering(name: str, field: str, operator: str, value: str) -> Test:
    if field not in KNOWN or KNOWN[field].kind is Kind.TEXT:
        raise ValueError(f'{name} holds text, which can be compared with = and != only')
    bound = _number(name, field, value)
    if operator == '<':
        return lambda text: text != b'-' and int(text) < bound
    if operator == '<=':
        return lambda text: text != b'-' and int(text) <= bound
    if operator == '>':
        return lambda text: text != b'-' and int(text) > bound
    return lambda text: text != b'-' and int(text) >= bound


def _number(name: str, field: str, text: str) -> int:
    text = text.strip()
    names = NUMBER_NAMES.get(field, {})
    if text.lower() in names:
        return names[text.lower()]
    largest = LARGEST.get(field, 10**19 - 1)
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= largest):
        limit = f' up to {largest}' if field in LARGEST else ''
        known = f', or one of {", ".join(names)}' if names else ''
        raise ValueError(f'{name} takes a number{limit}{known}; not {text[:40]!r}')
    return int(text)


def _word(field: str, text: str) -> str:
    words = WORDS.get(field)
    if not words or text == '-':
        return text
    for word in words:
        if word.lower() == text.lower():
            return word
    raise ValueError(f'{field} is one of {", ".join(words)}; not {text[:40]!r}')
