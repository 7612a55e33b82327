"""Mappings: the label of the smallest network; and private, internet and other addresses."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlogs_reader.query.mappings import CLASSES, Mapping

Address = IPv4Address | IPv6Address

PRIVATE = '10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fe80::/10 fc00::/7'.split()
# Where Python's versions do not agree, or call reachable what is not one host of the internet: protocol assignments,
# 6to4, NAT64 in a network, documentation, segment routing, and all IPv6 that is not assigned yet.
UNSURE = '192.0.0.0/24 192.88.99.0/24 2001::/23 2002::/16 64:ff9b:1::/48 3fff::/20 5f00::/16'.split()
UNICAST = ip_network('2000::/3')


def label_of(mapping: Mapping, address: Address) -> str | None:
    """By the ranges, which have to be in order and apart."""
    labels = [
        label
        for first, last, version, label in mapping.ranges
        if version == address.version and first <= int(address) <= last
    ]
    assert len(labels) <= 1
    return labels[0] if labels else None


def longest(mapping: Mapping, address: Address) -> str | None:
    around = [(network.prefixlen, label) for network, label in mapping.networks if address in network]
    return max(around)[1] if around else None


networks = st.one_of(
    st.tuples(st.just('10.0.'), st.integers(0, 3), st.integers(16, 32)).map(lambda p: f'{p[0]}{p[1] * 64}.0/{p[2]}'),
    st.sampled_from(['0.0.0.0/0', '::/0', '2600::/16', '2600:1f18::/33', '10.0.0.1/32', '255.255.255.255/32']),
).map(lambda text: ip_network(text, strict=False))


@settings(max_examples=200)
@given(st.dictionaries(networks, st.sampled_from('abc'), max_size=8))
def test_the_smallest_network_gives_the_label(given: dict[object, str]) -> None:
    mapping = Mapping('site', tuple(given.items()))  # type: ignore[arg-type]
    for address in edges([network for network, _ in mapping.networks]):
        assert label_of(mapping, address) == longest(mapping, address), address
    ranges = [(version, first, last) for first, last, version, _ in mapping.ranges]
    assert ranges == sorted(ranges)
    none = mapping.having([None])
    wanted = mapping.having(['a', None])
    for address in edges([network for network, _ in mapping.networks]):
        inside = [
            any(each.version == address.version and each.first <= int(address) <= each.last for each in some)
            for some in (none, wanted)
        ]
        found = label_of(mapping, address)
        assert inside == [found is None, found in (None, 'a')]


def edges(of: list[object]) -> Iterator[Address]:
    """The first and the last address of networks, and their neighbours."""
    for network in of:
        for end in (network[0], network[-1]):  # type: ignore[index]
            for step in (-1, 0, 1):
                if 0 <= int(end) + step < 2**end.max_prefixlen:
                    yield type(end)(int(end) + step)


def expected(address: Address) -> str:
    if any(address in ip_network(text) for text in PRIVATE):
        return 'private'
    if address.is_multicast or not address.is_global:
        return 'special'
    nat64 = address in ip_network('64:ff9b::/96')
    return 'internet' if address.version == 4 or address in UNICAST or nat64 else 'special'


ADDRESSES = st.one_of(
    st.ip_addresses(),
    st.sampled_from([*edges([network for network, _ in CLASSES.networks])]),
    st.integers(0, 2**125 - 1).map(lambda number: IPv6Address(int(UNICAST[0]) + number)),
)


@settings(max_examples=500)
@given(ADDRESSES)
def test_classes_are_what_ipaddress_says(address: Address) -> None:
    if not any(address in ip_network(text) for text in UNSURE):
        assert label_of(CLASSES, address) == expected(address)


@pytest.mark.parametrize(
    ('label', 'addresses'),
    [
        ('private', '10.0.0.1 172.31.255.255 192.168.0.1 100.127.255.255 169.254.169.254 fd00:ec2::254 fe80::1'),
        ('internet', '8.8.8.8 172.32.0.0 100.128.0.0 192.88.99.1 192.0.0.9 2600:1f18::1 64:ff9b::808:808 2001:20::1'),
        ('special', '0.0.0.0 127.0.0.1 192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.7 239.255.255.250'),
        ('special', '240.0.0.1 255.255.255.255 :: ::1 ::ffff:8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002::1'),
        ('special', '3fff::1 4000::1 5f00::1 fec0::1 ff02::1'),
    ],
)  # fmt: skip
def test_classes(label: str, addresses: str) -> None:
    """After the registries of IANA."""
    assert {text: label_of(CLASSES, ip_address(text)) for text in addresses.split()} == dict.fromkeys(
        addresses.split(), label
    )


def test_every_address_has_a_class() -> None:
    assert CLASSES.having([None]) == ()
    assert CLASSES.labels == ('special', 'internet', 'private')


def test_a_mapping_is_data() -> None:
    assert CLASSES.ranges
    again = pickle.loads(pickle.dumps(CLASSES))
    assert again == CLASSES and hash(again) == hash(CLASSES) and again.ranges == CLASSES.ranges
