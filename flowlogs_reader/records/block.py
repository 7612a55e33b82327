"""Blocks: runs of whole lines of one layout, the unit in which records travel from the sources to the output."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from .layout import Layout


class Block(NamedTuple):
    """A run of whole lines of one Layout, each with its newline.

    `origin` names where they come from. `ended` is the period [begin, end), in Unix seconds, in which the records ended
    as far as the source knows: it dates records that hold no time. `raw` is a line as it was written, if that was asked
    for and the line is not canonical.
    """

    layout: Layout
    data: bytes
    origin: str = ''
    ended: tuple[int, int] | None = None
    raw: bytes = b''


def first_lines(data: bytes, count: int) -> bytes:
    """The first `count` lines, or all of them if there are fewer."""
    if data.count(b'\n') <= count:
        return data
    return b''.join(islice(data.splitlines(keepends=True), count))
