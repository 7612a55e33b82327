"""Engines on AWS on the command line: their options, messages before and after a read, and what is shown instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.run import LOCAL, open_engine
from ..errors import UsageError
from ..query.query import Query
from ..query.result import Column, Table
from ..records.fields import Kind
from ..sources.base import BaseReader
from ..sources.report import Estimate, Usage, dollars_text, size_text
from .options import OPTIONS

if TYPE_CHECKING:
    from argparse import Namespace

    from ..engines.remote.source import RemoteSource
    from .clock import Clock

TITLES = {'insights': 'CloudWatch Logs Insights', 'athena': 'Athena'}
_UNITS = {'': 1, 'k': 10**3, 'm': 10**6, 'g': 10**9, 't': 10**12}
_SIZE = re.compile(r'([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([kmgt]?)b?(?:ytes)?', re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return a number of bytes.

    >>> parse_size('10GB'), parse_size('1.5 tb'), parse_size('4096')
    (10000000000, 1500000000000, 4096)

    Raises UsageError if the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f'--max-scan takes a size, such as 500MB, 10GB or 2TB, not {text[:40]!r}')
    return int(float(match[1]) * _UNITS[match[2].lower()])


def remote_source(
    options: Namespace,
    query: Query,
    reader: BaseReader,
    clock: Clock,
    tell: Callable[[str], None],
    on_progress: Callable[[Usage], None] | None,
) -> RemoteSource:
    """Return what takes the place of the reader with ``--engine insights`` or ``athena``. Asks AWS nothing.

    `tell` writes a line to stderr. Raises UsageError if the engine cannot answer.
    """
    from ..engines.remote.source import RemoteSource

    name = options.engine
    settings: dict[str, Any] = {}
    for option in OPTIONS:
        value = getattr(options, option.name, None)
        if option.setting and value is not None:
            settings[option.setting] = value
    return RemoteSource(
        open_engine(name, reader, settings),
        query,
        reader,
        max_scan=None if options.max_scan is None else parse_size(options.max_scan),
        sleep=clock.sleep,
        on_estimate=lambda estimate: tell(before(name, estimate)),
        on_progress=on_progress,
        on_wait=lambda: tell(f'{TITLES[name]} runs as many queries as the account may have: waiting'),
    )


def remote_sources(sources: Sequence[BaseReader], on_failure: Callable[[BaseReader, Exception], None]) -> BaseReader:
    """Return what reads several locations with ``--engine insights`` or ``athena``."""
    from ..engines.remote.source import RemoteSources

    return RemoteSources(sources, on_failure)


def before(engine: str, estimate: Estimate) -> str:
    """What a read will scan and cost."""
    if estimate.bytes is None:
        return f'{TITLES[engine]} does not say how much it will scan'
    return f'{TITLES[engine]} will scan about {size_text(estimate.bytes)}, about {dollars_text(estimate.dollars)}'


def used(engine: str, usage: Usage) -> str:
    """What a read has scanned and cost."""
    return (
        f'{TITLES[engine]} scanned {size_text(usage.scanned)} in {usage.seconds:.0f} s, about '
        f'{dollars_text(usage.dollars)}'
    )


def query_lines(source: BaseReader) -> bytes:
    """What ``--show-query`` prints."""
    return '\n'.join(source.queries()).encode()


def estimate_table(engine: str, estimate: Estimate) -> Table:
    """What ``--estimate`` prints."""
    dollars = None if estimate.dollars is None else f'{estimate.dollars:.6f}'
    seconds = None if estimate.seconds is None else round(estimate.seconds)
    columns = [Column('engine', Kind.TEXT), *(Column(name, Kind.INTEGER) for name in ('bytes', 'requests', 'objects'))]
    columns += [Column('seconds', Kind.INTEGER), Column('dollars', Kind.DECIMAL)]
    row = (engine, estimate.bytes, estimate.requests, estimate.objects, seconds, dollars)
    return Table.of_rows(columns, [row])


def is_remote(options: Namespace) -> bool:
    """Whether --engine names an engine on AWS."""
    return options.engine not in (None, LOCAL)
