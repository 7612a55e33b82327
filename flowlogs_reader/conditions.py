"""What a person writes for a condition (``dstport=22,3389``) -> a test of one column's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from .fields import KNOWN, Kind
from .layout import normalise

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
_CONDITION = re.compile(r'\s*([A-Za-z][A-Za-z0-9_-]*)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*', re.DOTALL)
_RANGE = re.compile(r'([^-]+)-([^-]+)')


class Condition(NamedTuple):
    """A test that one of `fields` must pass, or with `negated`, that none may pass.

    `literals` are texts of which every line that meets the condition holds at least one, whatever its format; None
    where there are no such texts. They allow lines to be ruled out before anything is parsed.
    """

    text: str
    fields: tuple[str, ...]
    test: Test
    negated: bool = False
    literals: tuple[bytes, ...] | None = None


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
    name, operator, value = normalise(match[1]), match[2], match[3]
    fields = EITHER.get(name, (name,))
    if name not in EITHER and name not in KNOWN and name not in extra_fields:
        known = [*EITHER, *KNOWN, *extra_fields]
        close = get_close_matches(name, known, 3) or known
        raise ValueError(f'there is no field {name}: {"did you mean " if len(close) < 4 else ""}{", ".join(close)}')
    if operator in ('=', '!='):
        test, literals = _any_of(name, fields[0], value)
        negated = operator == '!='
        return Condition(text, fields, test, negated, None if negated else literals)
    return Condition(text, fields, _ordering(name, fields[0], operator, value))


def find_addresses(texts: Iterable[str]) -> Condition:
    """The condition of ``findip``: one of the addresses or CIDR blocks stands in any address column."""
    given = ','.join(texts)
    test, literals = _any_of('addr', 'srcaddr', given)
    return Condition(f'findip {given}', ADDRESSES, test, literals=literals)


def host_bits_note(text: str) -> str | None:
    """What to tell about a CIDR block that names a host: which block is meant."""
    notes = [
        f'{item.strip()} is read as {ip_network(item.strip(), strict=False)}'
        for item in text.rpartition('=')[2].split(',')
        if '/' in item and _has_host_bits(item.strip())
    ]
    return ', '.join(notes) or None


def _has_host_bits(text: str) -> bool:
    try:
        return ip_network(text, strict=False).network_address != ip_address(text.partition('/')[0])
    except ValueError:
        return False


def _any_of(name: str, field: str, value: str) -> tuple[Test, tuple[bytes, ...] | None]:
    values = [item.strip() for item in value.split(',')]
    if not all(values):
        raise ValueError(f'{name} is compared with nothing; "-" stands for a missing value')
    if field in ADDRESSES:
        return _address_test(name, values)
    if field == 'tcp_flags' and any(item.lower() in TCP_FLAGS for item in values):
        return _flags_test(values), None
    if field in KNOWN and KNOWN[field].kind is not Kind.TEXT:
        return _number_test(name, field, values), None
    texts = tuple(_word(field, item).encode() for item in values)
    return frozenset(texts).__contains__, texts if field == 'interface_id' and b'-' not in texts else None


def _address_test(name: str, values: list[str]) -> tuple[Test, tuple[bytes, ...] | None]:
    networks: list[IPv4Network | IPv6Network] = []
    for item in values:
        if item != '-':
            try:
                networks.append(ip_network(item, strict=False))
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


def _number_test(name: str, field: str, values: list[str]) -> Test:
    missing = '-' in values
    ranges = []
    for item in values:
        if item != '-':
            low, high = (match[1], match[2]) if (match := _RANGE.fullmatch(item)) else (item, item)
            ranges.append((_number(name, field, low), _number(name, field, high)))
            if ranges[-1][0] > ranges[-1][1]:
                raise ValueError(f'the range {item} of {name} ends before it begins')

    def test(text: bytes) -> bool:
        if text == b'-':
            return missing
        number = int(text)
        return any(low <= number <= high for low, high in ranges)

    return test


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
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        known = f', or one of {", ".join(names)}' if names else ''
        raise ValueError(f'{name} takes a number{known}; not {text[:40]!r}')
    return int(text)


def _word(field: str, text: str) -> str:
    words = WORDS.get(field)
    if not words or text == '-':
        return text
    for word in words:
        if word.lower() == text.lower():
            return word
    raise ValueError(f'{field} is one of {", ".join(words)}; not {text[:40]!r}')
