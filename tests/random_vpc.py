"""Flow logs of a small VPC in format version 5: two zones, a NAT gateway, peers, IPv6, records without data."""

from __future__ import annotations

import random
from collections.abc import Iterable

from flowlogs_reader.records.fields import FIELDS as ALL_FIELDS
from tests.roads import Log

Row = dict[str, str]
FIELDS = tuple(field.name for field in ALL_FIELDS if field.version <= 5)
START = 1_454_324_340
MINUTES = 10

HOSTS = {f'10.0.{zone}.{host}': f'use1-az{zone}' for zone in (1, 2) for host in range(10, 16)}
NAT = '10.0.1.5'
OUTSIDE = (
    '8.8.8.8', '54.239.28.85', '52.95.110.1', '103.246.150.154', '100.64.0.7', '192.168.7.7', '169.254.10.1',
    '203.0.113.9', '224.0.0.251', '2600:1f18:1:2::a', '2a00:1450:4001:82b::200e', 'fd00:ec2::254', 'fe80::1',
    'ff02::fb', '2001:db8::7', '172.31.255.255', '172.32.0.1',
)  # fmt: skip
PORTS = ('443', '443', '80', '53', '22', '3306')


def rows(count: int = 500, seed: int = 14) -> list[Row]:
    """Records by start: values by the names of the fields, `-` for a missing one."""
    rng = random.Random(seed)
    made = [_row(rng) for _ in range(count)]
    return sorted(made, key=lambda row: int(row['start']))


def log(records: Iterable[Row]) -> Log:
    lines = [' '.join(row[name] for name in FIELDS).encode() for row in records]
    return Log(lines, header=[name.replace('_', '-') for name in FIELDS])


def _row(rng: random.Random) -> Row:
    host, inside = rng.choice([*HOSTS]), rng.random() < 0.4
    peer = rng.choice([*HOSTS] if inside else OUTSIDE)
    source, destination = (host, peer) if rng.random() < 0.6 else (peer, host)
    start = START + rng.randrange(60 * MINUTES)
    row = dict.fromkeys(FIELDS, '-') | {
        'version': '5', 'account_id': '123456789010', 'interface_id': f'eni-{host.replace(".", "")}',
        'start': str(start), 'end': str(start + rng.randrange(60)), 'vpc_id': 'vpc-1', 'region': 'us-east-1',
        'az_id': HOSTS[host], 'subnet_id': f'subnet-{HOSTS[host]}', 'type': 'IPv6' if ':' in peer else 'IPv4',
    }  # fmt: skip
    if rng.random() < 0.05:
        return row | {'log_status': rng.choice(['NODATA', 'SKIPDATA'])}
    egress = source == host
    real = {'pkt_srcaddr': source, 'pkt_dstaddr': destination}
    if egress and rng.random() < 0.3:
        # What goes out through the gateway has its address as the source.
        source = NAT
    paths = ['1'] if inside else ['8', '8', '7', '4', '-']
    ports = rng.choice([*PORTS]), str(rng.randrange(1024, 65_536))
    port = {'dstport': ports[0], 'srcport': ports[1]} if egress else {'dstport': ports[1], 'srcport': ports[0]}
    if rng.random() < 0.05:
        port = dict.fromkeys(port, '53')
    packets = rng.randrange(1, 200)
    protocol = '17' if '53' in port.values() else rng.choice(['6', '6', '1'])
    return row | real | port | {
        'srcaddr': source, 'dstaddr': destination, 'protocol': protocol,
        'packets': str(packets), 'bytes': str(packets * rng.randrange(40, 1500)),
        'action': rng.choice(['ACCEPT', 'ACCEPT', 'REJECT']), 'log_status': 'OK',
        'tcp_flags': rng.choice(['0', '2', '3', '18', '19', '4', '-']),
        'flow_direction': 'egress' if egress else 'ingress',
        'traffic_path': rng.choice(paths) if egress else '-',
    }  # fmt: skip
