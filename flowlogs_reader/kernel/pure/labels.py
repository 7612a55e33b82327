"""Labels of addresses: what the addresses of a range are called."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import ip_address

from ..memo import Memo
from .lines import PRINTABLE

#: (first, last, version, label): inclusive ranges of addresses that do not overlap.
Labels = tuple[tuple[int, int, int, bytes], ...]
# The number of addresses of each IP version.
_SIZES = {4: 1 << 32, 6: 1 << 128}


def labelled(labels: Labels, default: bytes) -> Memo[bytes]:
    """The label of each text: `default` if it is not an address, or in none of the ranges.

    >>> labelled(((10 << 24, (11 << 24) - 1, 4, b'lab'),), b'-')[b'10.0.0.1']
    b'lab'

    Raises ValueError for ranges that overlap, and for a label that cannot be a value of a line.
    """
    ordered = sorted((version, first, last, label) for first, last, version, label in labels)
    if not all(0 <= first <= last < _SIZES.get(version, 0) for version, first, last, _ in ordered):
        raise ValueError('a label needs a range of addresses')
    if any(following[:2] <= (version, last) for (version, _, last, _), following in zip(ordered, ordered[1:])):
        raise ValueError('the ranges of labels must not overlap')
    check_values([default, *[label for *_, label in ordered]])

    def label_of(text: bytes) -> bytes:
        try:
            address = ip_address(text.decode())
        except ValueError:
            return default
        at = bisect_right(ordered, (address.version, int(address) + 1)) - 1
        version, _, last, label = ordered[at] if at >= 0 else (0, 0, 0, b'')
        return label if version == address.version and int(address) <= last else default

    return Memo(label_of)


def check_values(texts: Iterable[bytes]) -> None:
    """Raises ValueError for a text that cannot be a value of a line."""
    for text in texts:
        if not text or text.translate(None, PRINTABLE[1:]):
            raise ValueError(f'{text!r} cannot be a value of a line')
