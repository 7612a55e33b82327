"""What the command line hands to an action, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from ..output.writer import Writer
from ..query.conditions import Condition
from ..query.typed_times import UTC
from ..sources.base import BaseReader


@dataclass(frozen=True)
class Settings:
    """What the options say to the actions. `window` is [start, end) in Unix seconds, None where all is read."""

    by: str = 'bytes'
    flows: bool = False
    both_ways: bool = False
    raw: bool = False
    extra_fields: tuple[str, ...] = ()
    window: tuple[int, int] | None = None
    tz: tzinfo = UTC


class Plan(NamedTuple):
    """What an action will do, once its arguments are checked.

    `fields` are those that the log should have for it. With `sums` the result is too low where AWS skipped records.
    """

    run: Callable[[BaseReader, Writer], None]
    conditions: tuple[Condition, ...] = ()
    fields: tuple[str, ...] = ()
    sums: bool = False
