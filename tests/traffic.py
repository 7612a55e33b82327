"""Realistic VPC flow log lines in the default format: seeded, oldest first and quick to make."""

import gzip
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

ACCOUNT = '123456789010'
REGION = 'us-east-1'
FIELDS = (
    'version', 'account-id', 'interface-id', 'srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol', 'packets', 'bytes',
    'start', 'end', 'action', 'log-status',
)  # fmt: skip
HEADER = ' '.join(FIELDS).encode()

# An endpoint in exactly one record of every 1,000. '10.0.3.71' is in the traffic too: a careless search finds it.
PROBE_HOST = '10.0.3.7'
PROBE_INTERFACE = 'eni-0000000000000beef'
_NEIGHBOUR = '10.0.3.71'

_HOSTS = 300
_EXTERNALS = 20_000
_PAIRS = 1 << 16
_SLOTS = 1 << 14
_BATCH = 1_024
_BLOCK = 1_000  # the special records stand at fixed places in every run of this many
_SERVICES = (443, 443, 443, 443, 80, 80, 53, 22, 25, 123, 3306, 5432, 6379, 8080, 3389, 23)
_UDP = frozenset({53, 123})


class _Pools(NamedTuple):
    """Rendered pieces of lines: a line is a flow and an outcome; a flow is a lasting one, or a pair and ports."""

    pairs: list[bytes]  # version account-id interface-id srcaddr dstaddr
    ports: list[bytes]  # srcport dstport protocol
    lasting: list[bytes]  # a pair and ports
    outcomes: list[tuple[bytes, int, bytes]]  # packets bytes; seconds; action log-status
    probes: list[bytes]
    interfaces: list[bytes]


def lines(count: int, *, seed: int = 7, start: int = 1454324362, per_second: int = 300) -> Iterator[bytes]:
    """Yield `count` lines without a newline, `per_second` of them with each value of the start column.

    >>> next(lines(1)).split()[10]
    b'1454324362'
    """
    pools = _pools(seed)
    rng = random.Random(seed)
    specials = _specials()
    for first in range(0, count, _BATCH):  # whole batches are drawn, so that a shorter run is the head of a longer one
        draws = zip(_flows(rng, pools, _BATCH), rng.choices(pools.outcomes, k=_BATCH))
        for index, (flow, (volume, length, verdict)) in enumerate(islice(draws, count - first), first):
            begin = start + index // per_second
            if index % _BLOCK in specials:
                yield _special(specials[index % _BLOCK], index, begin, pools)
            else:
                yield b'%b %b %d %d %b' % (flow, volume, begin, begin + length, verdict)


def write_log(path: str | Path, count: int, gz: bool = False, header: bool = False, **options: int) -> None:
    """Write `count` lines to `path`, gzipped or not; `options` go to `lines`."""
    with gzip.GzipFile(path, 'wb', mtime=0) if gz else open(path, 'wb') as file:
        if header:
            file.write(HEADER + b'\n')
        for line in lines(count, **options):
            file.write(line + b'\n')


def to_format(line: bytes, fields: Sequence[str], **values: str) -> bytes:
    """Render a default-format line with other fields (hyphen or underscore names) in the order of `fields`.

    Fields that the line does not hold are made up from it or are '-'; `values` (underscore names) overrides them.

    >>> to_format(b'2 1 eni-1 10.0.0.1 8.8.8.8 5 53 17 1 60 100 160 ACCEPT OK', ['flow-direction', 'dstaddr', 'type'])
    b'egress 8.8.8.8 IPv4'
    """
    names = [field.replace('_', '-') for field in fields]
    known = dict(zip(FIELDS, line.decode().split(), strict=True))
    known['version'] = str(max((_VERSIONS.get(name, 2) for name in names), default=2))
    known |= _made_up(known)
    known |= {name.replace('_', '-'): value for name, value in values.items()}
    return ' '.join(known.get(name, '-') for name in names).encode()


@lru_cache(maxsize=4)
def _pools(seed: int) -> _Pools:
    rng = random.Random(seed)
    hosts = _hosts(rng)
    externals = _externals(rng)
    pairs = list(_rendered_pairs(rng, hosts, externals))
    probe = [f'2 {ACCOUNT} {PROBE_INTERFACE} {PROBE_HOST} {other}'.encode() for other in externals[:200]]
    probe += [f'2 {ACCOUNT} {PROBE_INTERFACE} {other} {PROBE_HOST}'.encode() for other in externals[100:300]]
    rng.shuffle(probe)
    interfaces = [f'2 {ACCOUNT} {eni}'.encode() for _, eni in hosts]
    ports = [_ports(rng) for _ in range(_SLOTS)]
    lasting = [b'%b %b' % flow for flow in zip(rng.choices(pairs, k=_PAIRS), rng.choices(ports, k=_PAIRS))]
    return _Pools(pairs, ports, lasting, [_outcome(rng) for _ in range(_SLOTS)], probe, interfaces)


def _flows(rng: random.Random, pools: _Pools, size: int) -> list[bytes]:
    """Every second flow is a lasting one, seen again and again; the rest are mostly new."""
    flows = [b''] * size
    flows[::2] = rng.choices(pools.lasting, k=len(flows[::2]))
    half = len(flows[1::2])
    flows[1::2] = map(b' '.join, zip(rng.choices(pools.pairs, k=half), rng.choices(pools.ports, k=half)))
    return flows


def _hosts(rng: random.Random) -> list[tuple[str, str]]:
    """(address, interface) of the internal hosts, the most popular first; the probe's neighbour is the last."""
    free = [f'10.0.{third}.{fourth}' for third in range(8) for fourth in range(4, 255) if (third, fourth) != (3, 7)]
    free.remove(_NEIGHBOUR)
    addresses = [*rng.sample(free, _HOSTS - 1), _NEIGHBOUR]
    return [(address, f'eni-0{rng.getrandbits(64):016x}') for address in addresses]


def _externals(rng: random.Random) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < _EXTERNALS:
        first = rng.choice((3, 8, 13, 18, 34, 35, 44, 52, 54, 62, 77, 91, 104, 142, 151, 172, 185, 198, 203, 213))
        second = rng.randrange(32, 255) if first == 172 else rng.randrange(256)
        found[f'{first}.{second}.{rng.randrange(256)}.{rng.randrange(1, 255)}'] = None
    return list(found)


def _rendered_pairs(rng: random.Random, hosts: list[tuple[str, str]], externals: list[str]) -> Iterator[bytes]:
    """Every external host once, then popular ones again; one pair in five is internal, one in a hundred is IPv6."""
    busy = rng.choices(hosts, _skew(len(hosts), 0.9), k=_PAIRS)
    others = [*externals, *rng.choices(externals, _skew(len(externals), 0.9), k=_PAIRS - len(externals))]
    peers = cycle(rng.choices(hosts, _skew(len(hosts), 0.9), k=997))
    for number, ((address, eni), other) in enumerate(zip(busy, others)):
        if number >= len(externals) and number % 3 == 0:
            other = next(peer for peer, _ in peers if peer != address)
        if number >= len(externals) and number % 70 == 0:
            address, other = _ipv6(address), f'2600:9000:20ed:0:0:0:{rng.getrandbits(16):x}:{rng.getrandbits(16):x}'
        source, target = (address, other) if rng.getrandbits(1) else (other, address)
        yield f'2 {ACCOUNT} {eni} {source} {target}'.encode()


def _ipv6(address: str) -> str:
    return '2600:1f18:1000:1000:0:0:{:x}:{:x}'.format(*map(int, address.split('.')[2:]))


def _skew(size: int, power: float) -> list[float]:
    return [1 / rank**power for rank in range(1, size + 1)]


def _ports(rng: random.Random) -> bytes:
    if rng.random() < 0.01:
        return b'0 0 1'
    service, client = rng.choice(_SERVICES), rng.randrange(1024, 65536)
    source, target = (client, service) if rng.random() < 0.5 else (service, client)
    return b'%d %d %d' % (source, target, 17 if service in _UDP else 6)


def _outcome(rng: random.Random) -> tuple[bytes, int, bytes]:
    packets = int(rng.paretovariate(0.9)) % 100_000 + 1
    volume = b'%d %d' % (packets, packets * rng.randrange(40, 1500))
    return volume, rng.randrange(1, 600), b'REJECT OK' if rng.random() < 0.1 else b'ACCEPT OK'


def _specials() -> dict[int, str]:
    """Place in a run of 1,000 -> kind: ten NODATA (1 %), one probe (0.1 %), and one that is SKIPDATA now and then."""
    return {**dict.fromkeys(range(37, _BLOCK, 100), 'NODATA'), 499: 'probe', 613: 'SKIPDATA'}


def _special(kind: str, index: int, begin: int, pools: _Pools) -> bytes:
    turn = index // _BLOCK
    if kind == 'probe':
        verdict = b'REJECT OK' if turn % 10 == 9 else b'ACCEPT OK'
        pair, ports = pools.probes[turn % len(pools.probes)], pools.ports[turn % len(pools.ports)]
        return b'%b %b %d %d %d %d %b' % (pair, ports, turn % 90 + 1, turn % 90 * 600 + 40, begin, begin + 59, verdict)
    if kind == 'SKIPDATA' and turn % 5:
        kind = 'NODATA'
    eni = pools.interfaces[crc32(b'%d' % index) % len(pools.interfaces)]
    return b'%b - - - - - - - %d %d - %b' % (eni, begin, begin + 60, kind.encode())


# The version of each made-up field, from the field tables of the VPC user guide; fields of version 2 are left out.
_VERSIONS = {
    name: version
    for version, names in {
        3: 'vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr',
        4: 'region az-id sublocation-type sublocation-id',
        5: 'pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path',
        7: 'ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id '
        'ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id',
        8: 'reject-reason',
        9: 'resource-id',
        10: 'encryption-status',
        11: 'instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2 interface-type '
        'next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id next-hop-interface-type',
    }.items()
    for name in names.split()
}


def _made_up(known: dict[str, str]) -> dict[str, str]:
    """Plausible values for fields that a default line lacks; those about packets only where there is data."""
    mark = crc32(known['interface-id'].encode())
    values = {
        'vpc-id': 'vpc-0a1b2c3d4e5f60718',
        'subnet-id': f'subnet-{mark % 4:017x}',
        'instance-id': f'i-{mark:017x}',
        'region': REGION,
        'az-id': f'use1-az{mark % 4 + 1}',
    }
    if known['srcaddr'] == '-':
        return values
    egress = known['srcaddr'].startswith(('10.', '2600:1f18:'))
    return values | {
        'tcp-flags': ('0', '2', '3', '19')[crc32(known['srcport'].encode()) % 4] if known['protocol'] == '6' else '0',
        'type': 'IPv6' if ':' in known['srcaddr'] else 'IPv4',
        'pkt-srcaddr': known['srcaddr'],
        'pkt-dstaddr': known['dstaddr'],
        'flow-direction': 'egress' if egress else 'ingress',
        'traffic-path': ('1' if known['dstaddr'].startswith('10.') else '8') if egress else '-',
    }
