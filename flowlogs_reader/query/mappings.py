"""Mappings: networks with labels. An address has the label of the smallest network that contains it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network, summarize_address_range
from typing import NamedTuple

Network = IPv4Network | IPv6Network
_EVERYTHING: tuple[Network, ...] = (IPv4Network('0.0.0.0/0'), IPv6Network('::/0'))


class Labelled(NamedTuple):
    """The addresses from `first` to `last`, both included, of an IP version, and their label."""

    first: int
    last: int
    version: int
    label: str

    @property
    def networks(self) -> Iterator[Network]:
        """The networks that these addresses make up."""
        kind = IPv4Address if self.version == 4 else IPv6Address
        return summarize_address_range(kind(self.first), kind(self.last))


class Mapping(NamedTuple):
    """A name, and networks with labels: ``srcaddr/NAME`` means the labels of source addresses.

    >>> Mapping('site', ((ip_network('10.0.0.0/8'), 'all'), (ip_network('10.0.0.0/9'), 'lab'))).ranges
    (Labelled(first=167772160, last=176160767, version=4, label='lab'), Labelled(first=176160768, last=184549375, ...

    Labels are printable text without spaces. An address outside all networks has none.
    """

    name: str
    networks: tuple[tuple[Network, str], ...] = ()

    @property
    def ranges(self) -> tuple[Labelled, ...]:
        """The labelled addresses as ranges that do not overlap, in numeric order, IPv4 first."""
        return _ranges(self.networks)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of the first network of each."""
        return tuple(dict.fromkeys(label for _, label in self.networks))

    def having(self, labels: Collection[str | None]) -> tuple[Labelled, ...]:
        """Return the ranges that have one of these labels; None asks for addresses without a label, which have ''."""
        if None in labels:
            everything = Mapping(self.name, (*((network, '') for network in _EVERYTHING), *self.networks))
            return everything.having([label or '' for label in labels])
        return tuple(labelled for labelled in self.ranges if labelled.label in labels)


@lru_cache(maxsize=64)
def _ranges(networks: tuple[tuple[Network, str], ...]) -> tuple[Labelled, ...]:
    found: list[Labelled] = []
    for labelled in _pieces(networks):
        if found and found[-1][1:] == (labelled.first - 1, *labelled[2:]):
            labelled = labelled._replace(first=found.pop().first)
        found.append(labelled)
    return tuple(found)


def _pieces(networks: tuple[tuple[Network, str], ...]) -> Iterator[Labelled]:
    """Yield ranges that do not overlap. Of two networks that overlap, one contains the other, and is cut."""
    order = sorted(networks, key=lambda pair: (pair[0].version, int(pair[0][0]), pair[0].prefixlen))
    # The networks that contain the address `at`, the smallest last.
    around: list[tuple[Network, str]] = []
    at = 0
    for network, label in [*order, (None, '')]:
        while around and (network is None or not holds(around[-1][0], network)):
            outer, own = around.pop()
            if at <= int(outer[-1]):
                yield Labelled(at, int(outer[-1]), outer.version, own)
            at = int(outer[-1]) + 1
        if network is not None:
            if around and at < int(network[0]):
                yield Labelled(at, int(network[0]) - 1, network.version, around[-1][1])
            at = int(network[0])
            around.append((network, label))


def holds(outer: Network, inner: Network) -> bool:
    """Whether a network contains all of another one, or is the same."""
    return outer.version == inner.version and int(outer[0]) <= int(inner[0]) <= int(outer[-1])


# As in the registries iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry: what they call
# globally reachable is the internet. Multicast addresses are not in them.
_CLASSES = (
    ('special', '::/0'),
    # 2000::/3 are the global unicast addresses, 64:ff9b::/96 IPv4 hosts behind NAT64.
    ('internet', '0.0.0.0/0 2000::/3 64:ff9b::/96'),
    # RFC 1918, carrier-grade NAT (RFC 6598), link-local, ULA (RFC 4193).
    ('private', '10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fe80::/10 fc00::/7'),
    # This network, loopback, protocol assignments, documentation, benchmarks, multicast, reserved.
    ('special', '0.0.0.0/8 127.0.0.0/8 192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24'),
    ('special', '198.18.0.0/15 224.0.0.0/4 240.0.0.0/4'),
    # Protocol assignments, documentation, 6to4.
    ('special', '2001::/23 2001:db8::/32 3fff::/20 2002::/16'),
    # Anycast, AMT, AS112 and ORCHIDv2 are reachable, though in blocks of protocol assignments.
    ('internet', '192.0.0.9/32 192.0.0.10/32 2001:1::1/128 2001:1::2/128 2001:1::3/128'),
    ('internet', '2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28'),
)
CLASSES = Mapping('class', tuple((ip_network(text), label) for label, texts in _CLASSES for text in texts.split()))
# Mappings whose networks only AWS knows: see Query.with_mappings.
SUBNET_MAPPINGS = ('az', 'subnet', 'vpc')
MAPPINGS: dict[str, Mapping] = {CLASSES.name: CLASSES, **{name: Mapping(name) for name in SUBNET_MAPPINGS}}
