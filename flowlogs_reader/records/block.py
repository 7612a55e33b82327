"""Blocks: runs of whole lines of one layout, the unit that stages pass on."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from .layout import Layout


class Block(NamedTuple):
    """A run of whole lines of one Layout, each with its newline.

    `origin` names the log group, file or object. `ended` is the period [begin, end), in Unix seconds, in which the
    records ended, if the source knows it: it dates records without a time. `raw` is the line as it is in the log, if
    that was asked for and the line is not canonical.
    """

    layout: Layout
    data: bytes
    origin: str = ''
    ended: tuple[int, int] | None = None
    raw: bytes = b''


def first_lines(data: bytes, count: int) -> bytes:
    """Return the first `count` lines, or all if there are fewer."""
    if data.count(b'\n') <= count:
        return data
    return b''.join(islice(data.splitlines(keepends=True), count))
