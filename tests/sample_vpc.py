"""A VPC and its flow logs, made up: hosts in two Availability Zones, a NAT gateway, the internet. Deterministic.

Traffic between two interfaces is recorded at both, if both are logged, in capture windows of their own: the records of
the receiver have other times and sizes than those of the sender, and the same sum.

    python -m tests.sample_vpc    writes tests/data/sample-v5.log
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

V5 = (
    'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action '
    'log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type '
    'sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path'
).split()
DEFAULT = V5[:14]
ACCOUNT, VPC, REGION = '743065858817', 'vpc-0a1b2c3d4e5f60718', 'eu-west-1'
START = 1454324400
# Subnet -> its CIDR block and the id of its zone.
SUBNETS = {
    'subnet-0000000000000aa00': ('10.0.0.0/24', 'euw1-az1'),  # the public one
    'subnet-0000000000000aa01': ('10.0.1.0/24', 'euw1-az1'),
    'subnet-0000000000000bb02': ('10.0.2.0/24', 'euw1-az2'),
}
# Address -> the AWS service that it belongs to.
INTERNET = {
    '103.246.150.154': '-', '54.245.120.220': '-', '104.216.59.132': '-', '52.218.36.10': 'S3',
    '52.94.5.20': 'DYNAMODB',
}  # fmt: skip
SCANNER = '104.216.59.132'


class Host(NamedTuple):
    """An interface; the NAT gateway has no instance."""

    address: str
    interface: str
    subnet: str
    instance: str

    @property
    def zone(self) -> str:
        return SUBNETS[self.subnet][1]


class Record(NamedTuple):
    """The values of a record by field, and whether it is the one to count of those that two ends made."""

    values: dict[str, str]
    counts: bool

    def line(self, fields: Sequence[str] = DEFAULT) -> bytes:
        return ' '.join(self.values[name] for name in fields).encode()


class Flow(NamedTuple):
    """Packets from one address to another; the ends as an interface sees them."""

    source: str
    target: str
    srcport: int
    dstport: int
    packets: int
    bytes: int
    start: int
    seconds: int


def host(number: int, subnet: str) -> Host:
    place = SUBNETS[subnet][0].split('.')[2]
    mark = f'{int(place):02x}{number:02x}'
    return Host(f'10.0.{place}.{number}', f'eni-0000000000000{mark}', subnet, f'i-0000000000000{mark}')


PUBLIC, FIRST, SECOND = SUBNETS
NAT = host(220, PUBLIC)._replace(instance='-')
WEB, APP, BATCH = host(15, FIRST), host(16, FIRST), host(17, FIRST)
DATABASE, CACHE = host(25, SECOND), host(26, SECOND)
# They talk to nobody but each other.
PRIMARY, STANDBY = host(40, FIRST), host(41, SECOND)
HOSTS = (NAT, WEB, APP, BATCH, DATABASE, CACHE, PRIMARY, STANDBY)
OWNERS = {one.address: one for one in HOSTS}


def records(
    count: int = 300, seed: int = 5, logged: Callable[[Host], bool] = lambda _: True, seconds: int = 900
) -> list[Record]:
    """Return the records of `count` flows, and of the answers to them, in the order of their starts."""
    rng = random.Random(seed)
    found = [
        record for _ in range(count) for flow in _exchange(rng, seconds) for record in _recorded(flow, rng, logged)
    ]
    return sorted(found, key=lambda record: int(record.values['start']))


def _exchange(rng: random.Random, seconds: int) -> Iterator[Flow]:
    source, target, dstport = rng.choice(
        [(WEB.address, APP.address, 8080), (WEB.address, CACHE.address, 6379), (APP.address, DATABASE.address, 5432),
         (BATCH.address, DATABASE.address, 5432), (BATCH.address, '52.218.36.10', 443),
         (APP.address, '52.94.5.20', 443),
         (BATCH.address, '103.246.150.154', 443), ('54.245.120.220', WEB.address, 443),
         (PRIMARY.address, STANDBY.address, 5432), (SCANNER, WEB.address, 0)]
    )  # fmt: skip
    start = START + rng.randrange(seconds)
    if source == SCANNER:
        for _ in range(rng.randrange(8, 16)):
            yield Flow(source, target, 40000, rng.randrange(1, 1024), 1, 40, start + rng.randrange(20), 1)
        return
    packets = rng.randrange(1, 200)
    there = Flow(source, target, rng.randrange(32768, 61000), dstport, packets, packets * rng.randrange(40, 1400),
                 start, rng.randrange(1, 120))  # fmt: skip
    yield there
    back = rng.randrange(1, packets + 1)
    yield Flow(target, source, dstport, there.srcport, back, back * rng.randrange(40, 1400), start, there.seconds)


def _recorded(flow: Flow, rng: random.Random, logged: Callable[[Host], bool]) -> Iterator[Record]:
    """Yield the records of a flow at the interfaces that it passes."""
    sender, receiver = OWNERS.get(flow.source), OWNERS.get(flow.target)
    rejected = flow.source == SCANNER
    outward = sender if sender and sender is not WEB and not receiver else None
    inward = receiver if receiver and receiver is not WEB and not sender else None
    if sender and logged(sender):
        yield from _captured(flow, sender, 'egress', rng, True, '8' if not receiver and sender is WEB else '1')
    if receiver and logged(receiver):
        counts = not (sender and logged(sender))
        yield from _captured(flow, receiver, 'ingress', rng, counts, '-', rejected)
    if logged(NAT) and outward:
        # The gateway gets the packets of a host, and sends them on as its own.
        via, on = flow._replace(target=NAT.address), flow._replace(source=NAT.address)
        yield from _captured(via, NAT, 'ingress', rng, not logged(outward), '-', packet=(flow.source, flow.target))
        yield from _captured(on, NAT, 'egress', rng, True, '8')
    if logged(NAT) and inward:
        via, on = flow._replace(target=NAT.address), flow._replace(source=NAT.address)
        yield from _captured(via, NAT, 'ingress', rng, True, '-')
        yield from _captured(on, NAT, 'egress', rng, True, '1', packet=(flow.source, flow.target))


def _captured(
    flow: Flow, at: Host, direction: str, rng: random.Random, counts: bool, path: str, rejected: bool = False,
    packet: tuple[str, str] | None = None,
) -> Iterator[Record]:  # fmt: skip
    """Yield a record for each capture window, a minute long, of which each interface has its own."""
    first = flow.start - (flow.start - rng.randrange(60)) % 60
    windows = range(first, flow.start + flow.seconds, 60)
    windows = windows[: min(len(windows), flow.packets)]
    original, final = packet or (flow.source, flow.target)
    for number, begin in enumerate(windows):
        packets, octets = (_share(total, number, len(windows)) for total in (flow.packets, flow.bytes))
        start, end = max(begin, flow.start), min(begin + 59, flow.start + flow.seconds)
        values = (
            f'5 {ACCOUNT} {at.interface} {flow.source} {flow.target} {flow.srcport} {flow.dstport} 6 {packets} '
            f'{octets} {start} {max(start, end)} {"REJECT" if rejected else "ACCEPT"} OK {VPC} {at.subnet} '
            f'{at.instance} {2 if rejected else 19} IPv4 {original} {final} {REGION} {at.zone} - - '
            f'{INTERNET.get(original, "-")} {INTERNET.get(final, "-")} {direction} {path}'
        )
        yield Record(dict(zip(V5, values.split(), strict=True)), counts)


def _share(total: int, number: int, count: int) -> int:
    return total * (number + 1) // count - total * number // count


def sample() -> bytes:
    """Return what tests/data/sample-v5.log holds."""
    return b''.join(line + b'\n' for line in [' '.join(V5).encode(), *(record.line(V5) for record in records(32))])


if __name__ == '__main__':
    Path(__file__).with_name('data').joinpath('sample-v5.log').write_bytes(sample())
