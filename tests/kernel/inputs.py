"""Inputs for the kernel: lines as AWS writes them, odd ones, and what is not a line at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

DEFAULT = b'ITTTTIIIIIMMTT'
ADDRESSES = [
    b'10.0.0.1', b'10.0.0.255', b'172.20.0.10', b'255.255.255.255', b'0.0.0.0', b'1.2.3', b'1.2.3.4.5', b'01.2.3.4',
    b'256.1.1.1', b'1.2.3.4%a', b'::', b'::1', b'1::', b'2600:1f18::a:b', b'2600:1F18:0:0:0:0:A:B', b'::ffff:1.2.3.4',
    b'::ffff:102:304', b'1:2:3:4:5:6:1.2.3.4', b'1:2:3:4:5:6:7:8', b'1:2:3:4:5:6:7:8:9', b'1::2::3', b':1::', b'1:::2',
    b'::1:', b'fe80::1%eth0', b'fe80::1%', b'fe80::1%a%b', b'12345::', b'g::', b'1:2:3:4:5:6:7::', b'::2:3:4:5:6:7:8',
    b'1::3:4:5:6:7:8', b'10.0.0.0/8', b'10.0.0.1/8', b'2600::/16', b'fe80::%a/64', b'::1.2.3.4', b'1.2.3.4::', b'0::0',
    b'::1.2.3.4:5', b'1:2:3:4:5:6:7:1.2.3.4', b'10.0.0.0/255.0.0.0', b'1:0:0:2::', b'0:0:1::', b'1:0:0:2:0:0:0:3',
]  # fmt: skip
WORDS = [b'-', b'OK', b'NODATA', b'SKIPDATA', b'ACCEPT', b'accept', b'REJECT', b'a', b'~', b'!', b'"q"', b'a,b', b'\\']
WIDE = b'9' * 19

digits = st.one_of(
    st.integers(0, 70_000),
    st.integers(0, 10**19 - 1),
    st.sampled_from([0, 9, 10, 99_999_999, 100_000_000, 10**16 - 1, 10**16, 10**19 - 1, 2**63, 2**64]),
).map(lambda number: b'%d' % number)
addresses = st.one_of(
    st.sampled_from(ADDRESSES),
    st.ip_addresses().map(lambda address: str(address).encode()),
    st.text('0123456789abcdefg:.%/', min_size=1, max_size=24).map(str.encode),
)
moments = st.one_of(
    st.integers(1_454_324_300, 1_454_324_400),
    st.sampled_from([0, 5, 999_999_999, 10**9, 2 * 10**9 - 1, 2 * 10**9, 2**31 - 1, 2**31, 1_454_324_362_123]),
    st.sampled_from([2**31 * 1000 - 1, 2**31 * 1000, 10**19 - 1]),
).map(lambda number: b'%d' % number)
odd = st.one_of(
    st.sampled_from(
        [b'007', b'00', b'0' * 30, b'0' * 30 + b'5', b'9' * 20, b'+5', b'-5', b'1_0', b'5.0', b'x', b'\xb2']
    ),
    st.sampled_from([b'\0', b'a\0b', b'\x7f', b'\xff', b'a\x1cb', b'--', b'']),
    st.binary(max_size=5),
)
separators = st.sampled_from([b' ', b' ', b' ', b' ', b' ', b'  ', b'\t', b' \r', b'\v', b'\f', b'\x1c', b'\x85'])
endings = st.sampled_from([b'\n', b'\n', b'\n', b'\n', b'\r\n', b' \n', b'\n\n', b'\n \t\n'])

kinds = st.one_of(st.just(DEFAULT), st.text('TIM', min_size=1, max_size=6).map(str.encode))


def value(kind: str, spoilt: bool) -> st.SearchStrategy[bytes]:
    usual = {'T': st.sampled_from(WORDS) | addresses, 'I': digits, 'M': moments}[kind] | st.just(b'-')
    return usual | odd if spoilt else usual


@st.composite
def lines(draw: Any, kinds: bytes) -> bytes:
    spoilt = draw(st.integers(0, 3)) == 0
    values = [draw(value(kind, spoilt)) for kind in kinds.decode()]
    if not spoilt:
        return b' '.join(values) + b'\n'
    values = values[: len(values) + draw(st.sampled_from([0, 0, 0, -1]))] + [b'x'] * draw(st.sampled_from([0, 0, 0, 1]))
    parts = [part for one in values for part in (one, draw(separators))]
    begin = draw(st.sampled_from([b'', b'', b'', b' ', b'\t']))
    return begin + b''.join(parts[:-1]) + draw(endings)


@st.composite
def blocks(draw: Any, kinds: bytes, long: bool = True) -> bytes:
    """Lines; sometimes more of them than the native kernel looks at once."""
    data = b''.join(draw(st.lists(lines(kinds), max_size=8)))
    if long and data and draw(st.integers(0, 9)) == 0:
        data *= draw(st.integers(1, 20_000)) // len(data) + 1
    if draw(st.integers(0, 9)) == 0:
        data = data[: -draw(st.integers(1, 5))]
    return data


def places(kinds: bytes, allowed: bytes = b'TIM') -> st.SearchStrategy[int]:
    return st.sampled_from([-1, *(at for at, kind in enumerate(kinds) if kind in allowed)])


@st.composite
def ranges(draw: Any, largest: int, *more: int) -> Any:
    low, high = sorted(draw(st.lists(st.integers(0, largest), min_size=2, max_size=2)))
    return (low, high, *more)


payloads = {
    'text': st.lists(st.sampled_from(WORDS) | addresses, max_size=9).map(tuple),
    'number': st.lists(ranges(10**19 - 1) | ranges(70_000) | ranges(9), max_size=6).map(tuple),
    'flags': st.integers(0, 63) | st.integers(-1, 2**70),
    'address': st.lists(
        st.one_of(
            ranges(2**32 - 1, 4),
            ranges(2**128 - 1, 6),
            st.sampled_from([(10 << 24, (11 << 24) - 1, 4), (0, 2**32 - 1, 4), (0, 2**128 - 1, 6), (1, 1, 6)]),
        ),
        max_size=6,
    ).map(tuple),
}


# Labels of addresses, most of them of those above.
LABELS = [
    (),
    ((10 << 24, (11 << 24) - 1, 4, b'ten'), (0, 2**32 - 1, 6, b'low'), (2**32 - 1, 2**32 - 1, 4, b'-')),
    ((0, 2**31, 4, b'a'), (2**31 + 1, 2**32 - 1, 4, b'b'), (0x2600 << 112, (0x2601 << 112) - 1, 6, b'a')),
    ((1, 2**128 - 1, 6, b'six'),),
]


@st.composite
def tests(draw: Any, kinds: bytes) -> Any:
    made = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from([*payloads, 'same']))
        allowed = b'IM' if kind in ('number', 'flags') else b'TIM'
        if kind == 'same':
            operator = draw(st.sampled_from(['=', '!=', '<', '<=', '>', '>=']))
            addresses_compared = draw(st.booleans())
            if addresses_compared:
                operator = '@' + operator
            elif operator not in ('=', '!='):
                allowed = b'IM'
            payload: Any = (draw(places(kinds, allowed)), operator)
            if operator in ('=', '!=') and draw(st.booleans()):
                payload = (*payload, draw(st.sampled_from(LABELS)))
        else:
            payload = draw(payloads[kind])
        own = tuple(draw(st.lists(places(kinds, allowed), max_size=3)))
        made.append((own, draw(st.booleans()), draw(st.booleans()), kind, payload))
    return tuple(made)


@st.composite
def windows(draw: Any, kinds: bytes) -> Any:
    if draw(st.booleans()):
        return None
    limits = st.one_of(
        st.integers(1_454_324_300_000, 1_454_324_400_000), st.integers(-5, 5_000), st.sampled_from([-(10**30), 10**30])
    )
    return (
        draw(places(kinds, b'M')), draw(places(kinds, b'M')), draw(limits), draw(limits), draw(st.booleans())
    )  # fmt: skip


transforms = st.one_of(
    st.none(),
    st.tuples(st.just('prefix'), st.integers(0, 40), st.integers(0, 140)),
    st.tuples(st.just('prefix'), st.just(24), st.integers(90, 128)),
    st.tuples(st.just('bucket'), st.integers(1, 10**6) | st.just(2**62), st.integers(-(10**5), 10**5)),
    st.just(('map', {b'OK': b'fine', b'ACCEPT': b'in', b'-': b'none'}, b'other')),
    st.tuples(st.just('label'), st.sampled_from(LABELS), st.sampled_from([b'-', b'none'])),
)


@st.composite
def tables(draw: Any, kinds: bytes) -> Any:
    """The arguments of a table, and what is added to it: alternatives and the places of sums."""
    keys = tuple(draw(st.lists(st.none() | transforms, max_size=4)))
    track = tuple(draw(st.sets(st.sampled_from(['packets', 'bytes', 'start', 'end']))))
    allowed = [b'IM' if transform and transform[0] == 'bucket' else b'TIM' for transform in keys]
    alternatives = tuple(
        tuple(draw(places(kinds, each)) for each in allowed) for _ in range(draw(st.sampled_from([1, 1, 2, 0, 3])))
    )
    sums = tuple(draw(places(kinds, each)) for each in (b'IM', b'IM', b'M', b'M', b'TIM'))
    return (keys, track, draw(st.booleans())), alternatives, sums
