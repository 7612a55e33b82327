"""Names of numbers: ports, protocols, TCP flags, ways out of a VPC."""

from __future__ import annotations

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
# From the field traffic-path in docs.aws.amazon.com, vpc/latest/userguide/flow-log-records. Only on Nitro instances are
# 7 and 8 used; others have 2 for both.
TRAFFIC_PATHS = {
    'vpc': 1, 'igw-or-endpoint': 2, 'vgw': 3, 'peering': 4, 'inter-region-peering': 5, 'local-zone': 6,
    'endpoint': 7, 'igw': 8,
}  # fmt: skip
NUMBER_NAMES = {'srcport': PORTS, 'dstport': PORTS, 'protocol': PROTOCOLS, 'traffic_path': TRAFFIC_PATHS}
TCP_FLAGS = {'fin': 1, 'syn': 2, 'rst': 4, 'psh': 8, 'ack': 16, 'urg': 32}
# The fields whose values can be written as names. Ports are not among them: most ports do not belong to a service.
NAMED = ('protocol', 'tcp_flags', 'traffic_path')
_BY_NUMBER = {
    field: {b'%d' % number: name.encode() for name, number in NUMBER_NAMES[field].items()}
    for field in ('protocol', 'traffic_path')
}


def name_of(field: str, text: bytes) -> bytes:
    """Return the name of a value of a field of NAMED, or the value itself if it has none.

    >>> name_of('protocol', b'6'), name_of('tcp_flags', b'18'), name_of('traffic_path', b'8')
    (b'tcp', b'SYN+ACK', b'igw')
    """
    if field in _BY_NUMBER:
        return _BY_NUMBER[field].get(text, text)
    number = int(text) if text.isdigit() else 0
    names = [name.upper().encode() for name, flag in TCP_FLAGS.items() if number & flag]
    return b'+'.join(names) if names and number < 2 * max(TCP_FLAGS.values()) else text


def number_of(field: str, text: bytes) -> bytes:
    """Return the number for a text that :func:`name_of` wrote; other texts as they are.

    >>> number_of('protocol', b'tcp'), number_of('tcp_flags', b'SYN+ACK'), number_of('protocol', b'6')
    (b'6', b'18', b'6')
    """
    numbers = TCP_FLAGS if field == 'tcp_flags' else NUMBER_NAMES[field]
    found = [numbers.get(name.lower()) for name in text.decode('ascii', 'replace').split('+')]
    numeric = [number for number in found if number is not None]
    return b'%d' % sum(numeric) if len(numeric) == len(found) else text
