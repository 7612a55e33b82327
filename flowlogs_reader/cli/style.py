"""Makes the Style of the output from the parsed options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..output.short import Fit
from ..output.terminal import wants_colour
from ..output.writer import Style
from ..query.query import Query
from .actions import ACTIONS
from .options import RECORDS

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

# The columns of --list that a narrow terminal shows too.
LIST_KEPT = ('status', 'command')


def table_style(options: Namespace, terminal: int) -> Style:
    """Make the Style of a table that is not the result of an action: of --list and --estimate.

    `terminal` is the width of the terminal in characters, or 0 if stdout is not one. Raises UsageError for options that
    do not go with the encoding.
    """
    if options.output == 'parquet':
        _check_parquet(options, terminal)
    return Style(
        output=options.output or 'text',
        header=True if options.header is None else options.header,
        terminal=terminal,
        colour=terminal > 0 and wants_colour(os.environ),
        live=terminal > 0 or bool(options.follow),
        human=bool(options.human),
        names=bool(options.names),
    )


def list_style(options: Namespace, terminal: int, on_short: Callable[[int, int], None]) -> Style:
    """Make the Style of --list. Arguments and errors are those of :func:`action_style`."""
    return table_style(options, terminal)._replace(fit=Fit(kept=LIST_KEPT, on_short=on_short))


def action_style(options: Namespace, terminal: int, query: Query, on_short: Callable[[int, int], None]) -> Style:
    """Make the Style of the result of an action, from the options and the defaults of the action.

    `terminal` as in :func:`table_style`. `on_short` is called with the numbers of columns shown, and of all, if not all
    of them fit. Raises UsageError for options that do not go with the encoding.
    """
    action = ACTIONS[query.action]
    style = table_style(options, terminal)
    # Neither other encodings nor raw lines get a header because of the terminal.
    header = action.header or terminal > 0 and style.output == 'text' and not query.raw
    return style._replace(
        columns=query.columns,
        raw=query.raw,
        header=header if options.header is None else options.header,
        times='epoch' if style.output == 'parquet' else options.times or action.times,
        tz=query.tz,
        bars=query.measure if action.bars else '',
        fit=_fit(options, query, on_short),
    )


def _fit(options: Namespace, query: Query, on_short: Callable[[int, int], None]) -> Fit | None:
    """Return how the output fits a terminal; None for columns that the user chose."""
    span = (query.window.end_ms - query.window.start_ms) // 1000 if query.window and not options.follow else None
    if query.action not in RECORDS:
        # The rows of a timeline are found by their start.
        start = ('start',) if ACTIONS[query.action].bars else ()
        kept = (*start, *(key.name for key in (*query.keys, *query.distinct)), query.measure)
        return Fit(span, kept=kept, on_short=on_short)
    if options.columns not in (None, 'short'):
        return None
    return Fit(span, always=options.columns == 'short', on_short=on_short)


def _check_parquet(options: Namespace, terminal: int) -> None:
    """Raises UsageError for options that do not go with a file of typed values, or if the output is a terminal."""
    for name, reason in (
        ('header', 'which has names and types'),
        ('times', 'which has Unix seconds, as the files of AWS do'),
        ('names', 'which has numbers, as the files of AWS do'),
        ('follow', 'which is not complete before its end'),
        ('human', 'which has numbers'),
    ):
        if getattr(options, name) is not None:
            raise UsageError(f'--{name} does not go with -o parquet, {reason}')
    if terminal:
        raise UsageError('-o parquet is not for a terminal: send it to a file, as in … -o parquet > flows.parquet')
