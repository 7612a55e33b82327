"""Which engine answers a query: the table of engines, and the function for scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from ..query.query import Query
from ..query.result import Result
from ..sources.registry import SOURCES, recognise
from . import local

if TYPE_CHECKING:
    from ..aws.session import AwsSession
    from ..sources.base import BaseReader
    from .remote.contract import RemoteEngine

LOCAL = 'local'


class EngineRow(NamedTuple):
    """An engine on AWS: the source that it reads, and the module and class of it."""

    source: str
    engine: str


ENGINES = {
    'insights': EngineRow('cwl', 'insights.engine:Insights'),
    'athena': EngineRow('s3', 'athena.engine:Athena'),
}
NAMES = (LOCAL, *ENGINES)


def check_source(engine: str, source: str) -> None:
    """Raises UsageError if an engine does not read locations of a source."""
    if engine not in NAMES:
        raise UsageError(f'there is no engine {engine!r}: choose from {", ".join(NAMES)}')
    if engine != LOCAL and ENGINES[engine].source != source:
        raise UsageError(
            f'the engine {engine} reads {SOURCES[ENGINES[engine].source].about}, not {SOURCES[source].about}'
        )


def engine_for(source: str) -> str | None:
    """Return the name of the engine on AWS that reads locations of a source, or None."""
    return next((name for name, row in ENGINES.items() if row.source == source), None)


def engine_class(engine: str) -> type[RemoteEngine]:
    """Import and return the class of an engine on AWS."""
    module, _, name = ENGINES[engine].engine.partition(':')
    found: type[RemoteEngine] = getattr(import_module(f'.{module}', __package__), name)
    return found


def open_engine(engine: str, reader: BaseReader, settings: Mapping[str, Any] | None = None) -> RemoteEngine:
    """Return an engine on AWS for the location of a reader. `settings` are keywords of its class."""
    make: Callable[..., RemoteEngine] = engine_class(engine)
    return make(reader, **(settings or {}))


def run(
    query: Query,
    locations: str | Sequence[str],
    engine: str = LOCAL,
    *,
    session: AwsSession | None = None,
    max_scan: int | None = None,
    **settings: Any,
) -> Result:
    """Answer a query about logs: log groups, buckets or files, as the command line names them.

    >>> from flowlogs_reader import Query
    >>> [address for (address,) in run(Query('ipset'), 'tests/data/seed-minute.log')][:2]
    ['54.245.120.220', '103.246.150.154']

    `engine` is 'local', 'insights' for log groups or 'athena' for buckets. The result is the same; only the order of
    rows with equal times may differ. An engine on AWS raises UsageError, before it starts a query that costs, if it
    would scan more than `max_scan` bytes in all (by default what the command line allows). `settings` are those of
    Athena: `database`, `workgroup`, `output_location`, `create_table`.

    The result is Records for print and findip, Tables for report, and a Table for all other actions; see
    query/result.py. Nothing is read before it is iterated over. If the read fails, a FlowLogsError or an error of
    botocore is raised after the rows of what was read before; of engines on AWS there are no rows then. These need a
    query with a window. Raises UsageError if an argument is invalid, or if the engine cannot answer.
    """
    if engine == LOCAL and settings:
        raise TypeError(f'the engine {LOCAL} has no setting {min(settings)!r}')
    sources: list[BaseReader] = []
    for location in [locations] if isinstance(locations, str) else locations:
        source = recognise(location)
        if source is None:
            raise UsageError(f'{location!r} is not a place that logs are read from')
        check_source(engine, source.name)
        own = {'session': session} if source.asks_aws and session else {}
        sources.append(source.open(location, query, **own))
    if engine != LOCAL:
        from .remote.source import RemoteSource, RemoteSources

        remote = [
            RemoteSource(open_engine(engine, reader, settings), query, reader, max_scan=max_scan) for reader in sources
        ]
        sources = [*remote] if len(remote) < 2 else [RemoteSources(remote, _raise)]
    return local.run(query, sources)


def _raise(reader: BaseReader, error: Exception) -> None:
    raise error
