"""What a parsed command line asks for: the Namespace -> checked values that the other modules take."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from ..engines.follow import INTERVALS
from ..output.terminal import wants_colour
from ..output.writer import Style
from ..query.conditions import field_name, parse_condition
from ..query.filters import Filter
from ..query.typed_times import EPOCH, iso, parse_length, parse_time, parse_zone, resume_text
from ..records.layout import Layout
from ..sources.base import DEFAULT_WINDOW, milliseconds
from .actions import ACTIONS
from .plan import Plan, Settings

if TYPE_CHECKING:
    from argparse import Namespace


class Request(NamedTuple):
    """`fields` and `window` (start and end) are None where the source has its own.

    `interval` is how many seconds there are between two rounds of reading; None for one round only.
    """

    plan: Plan
    where: Filter
    fields: tuple[str, ...] | None
    window: tuple[datetime, datetime] | None
    style: Style
    interval: int | None = None

    def notes(self) -> list[str]:
        """What to tell about how the conditions were understood."""
        return [condition.note for condition in self.where.conditions if condition.note]

    def lacking(self, layout: Layout) -> list[str]:
        """The fields that are asked about and that no record of this layout has."""
        names = [*self.where.missing(layout), *(name for name in self.plan.fields if name not in layout.position)]
        return list(dict.fromkeys(names))

    def lacking_note(self, layouts: Iterable[Layout], shown: bool) -> str:
        """What to tell about fields that are asked about and that no record that was read can have; '' for nothing.

        With `shown`, columns that are asked for count as well.
        """
        layouts = list(layouts)
        columns = self.style.columns or () if shown else ()
        lacking = [
            list(dict.fromkeys([*self.lacking(layout), *(name for name in columns if name not in layout.position)]))
            for layout in layouts
        ]
        names = [name for name in lacking[0] if all(name in others for others in lacking)] if lacking else []
        if not names:
            return ''
        return f'this log has no field {", ".join(names)}: its fields are {" ".join(layouts[0].fields)}'

    def skipdata_note(self, skipped: Counter[int]) -> str:
        """What SKIPDATA records, counted by their start in Unix seconds, mean for sums."""
        first, last = (iso(time, self.style.tz) for time in (min(skipped), max(skipped)))
        times = f'{skipped.total()} times from {first} to {last}' if skipped.total() > 1 else f'at {first}'
        return f'the numbers are too low: AWS skipped records {times} (SKIPDATA)'


def make_request(options: Namespace, source: str, now: datetime, terminal: int) -> Request:
    """Raises ValueError where something that does not depend on the source is wrong."""
    tz = parse_zone(options.tz)
    fields = Layout(re.sub(r'\$\{([^${}]*)\}|,', r' \1 ', options.fields).split()).fields if options.fields else None
    window = _window(options, source, now, tz)
    seconds = (milliseconds(window[0]) // 1000, -(-milliseconds(window[1]) // 1000)) if window else None
    if options.action not in ACTIONS:
        raise ValueError(f'there is no action {options.action!r}: choose from {", ".join(ACTIONS)}')
    settings = Settings(
        by=options.by or 'bytes',
        flows=bool(options.flows),
        both_ways=bool(options.both_ways),
        raw=bool(options.raw),
        extra_fields=fields or (),
        window=seconds,
        tz=tz,
    )
    plan = ACTIONS[options.action].plan(options.arguments, settings)
    conditions = [parse_condition(text, fields or ()) for text in options.where or ()]
    request = Request(
        plan=plan,
        where=Filter([*plan.conditions, *conditions], note_skipdata=plan.sums),
        fields=fields,
        window=window,
        style=make_style(options, terminal, tz, fields or ()),
        interval=INTERVALS[source] if options.follow else None,
    )
    lacking = request.lacking(Layout(fields)) if fields else []
    if lacking:
        raise ValueError(f'--fields has no {", ".join(lacking)}: the fields of the log are {" ".join(fields or ())}')
    return request


def make_style(options: Namespace, terminal: int, tz: tzinfo, extra_fields: tuple[str, ...] = ()) -> Style:
    """Raises ValueError for columns that no log has."""
    columns = None
    if options.columns is not None:
        columns = tuple(field_name(name, extra_fields) for name in re.split('[, ]+', options.columns.strip(', ')))
        twice = [name for name in columns if columns.count(name) > 1]
        if twice:
            raise ValueError(f'--columns has {twice[0]} twice')
    return Style(
        output=options.output or 'text',
        columns=columns,
        header=options.header,
        times=options.times,
        tz=tz,
        terminal=terminal,
        colour=terminal > 0 and wants_colour(os.environ),
        live=terminal > 0 or bool(options.follow),
    )


def _window(options: Namespace, source: str, now: datetime, tz: tzinfo) -> tuple[datetime, datetime] | None:
    given = options.start_time, options.end_time
    length = None if getattr(options, 'for') is None else parse_length(getattr(options, 'for'))
    if source == 'file' and given == (None, None) and length is None:
        return None
    start, end = (
        None if text is None else parse_time(text, now=now, tz=tz, time_format=options.time_format) for text in given
    )
    if length and start and end:
        raise ValueError('--for gives a length after -s or before -e: it does not go with both')
    if start and length:
        end = _moved(start, length)
    end = end or now
    start = start or _moved(end, -(length or DEFAULT_WINDOW))
    if start >= end and not (options.follow and start == end):
        raise ValueError(f'the start, {_shown(start)}, is not before the end, {_shown(end)}')
    return start, end


def _moved(moment: datetime, length: timedelta) -> datetime:
    try:
        return max(EPOCH, moment + length)
    except OverflowError:
        raise ValueError(f'--for leads out of the calendar from {iso(moment)}') from None


def _shown(moment: datetime) -> str:
    return resume_text(milliseconds(moment))
