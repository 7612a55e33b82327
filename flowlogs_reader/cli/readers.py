"""Makes the readers and the sessions for AWS from the parsed options. Nothing is read, and nothing is asked of AWS."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

from ..aws.log_groups import parse_arn
from ..errors import FlowLogsError, UsageError
from ..query.query import Query
from .options import OPTIONS, SESSION
from .queries import Read

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Sequence

    from ..aws.session import AwsSession
    from ..sources.base import BaseReader


def open_sources(
    options: Namespace,
    reads: Sequence[Read],
    stdin: Callable[[], BinaryIO],
    on_unreadable: Callable[[FlowLogsError], None],
) -> list[BaseReader]:
    """Make the reader for each read, with the conditions and the window of its query.

    `stdin` returns standard input. `on_unreadable` is called with the error of each file or object that cannot be read.
    """
    sessions: dict[str | None, AwsSession] = {}
    return [_open(options, read, sessions, stdin, on_unreadable) for read in reads]


def _open(
    options: Namespace,
    read: Read,
    sessions: dict[str | None, AwsSession],
    stdin: Callable[[], BinaryIO],
    on_unreadable: Callable[[FlowLogsError], None],
) -> BaseReader:
    location, source, query = read
    settings: dict[str, Any] = {'on_unreadable': on_unreadable}
    for option in OPTIONS:
        value = getattr(options, option.name, None)
        if option.keyword and value is not None and (not option.sources or source.name in option.sources):
            settings[option.keyword] = value
    if source.asks_aws:
        settings['session'] = _session_for(location, options, sessions)
    return source.open(stdin() if location == '-' and source.name == 'file' else location, query, **settings)


def _session_for(location: str, options: Namespace, sessions: dict[str | None, AwsSession]) -> AwsSession:
    """Return the session for a location. Locations of one Region share it: `sessions` has those made so far."""
    arn = parse_arn(location)
    region = arn.region if arn else None
    if region not in sessions:
        sessions[region] = make_session(options, location, alone=len(options.locations) == 1)
    return sessions[region]


def subnet_session(options: Namespace, readers: Iterable[BaseReader], query: Query) -> AwsSession | None:
    """Make the session that asks for the subnets, if the query needs them: the one of a reader, if one has it.

    Raises UsageError if the Region is not known, or for options of a session that no location needs.
    """
    own: AwsSession | None = next(filter(None, (getattr(reader, 'session', None) for reader in readers)), None)
    if not query.unknown_mappings:
        for option in OPTIONS:
            if own is None and option.name in SESSION and getattr(options, option.name) is not None:
                raise UsageError(f'{option.shown} does not go with a file')
        return None
    from ..aws.session import NO_REGION

    session = own or make_session(options)
    if own is None and session.region_and_source[1] == NO_REGION:
        needs = f'/{min(query.unknown_mappings)} needs the subnets of the VPC, which EC2 knows'
        raise UsageError(f'{needs}: give --region, and credentials (--profile)')
    return session


def make_session(options: Namespace, location: str = '', alone: bool = True) -> AwsSession:
    """Make the session for AWS clients. If the location is an ARN, it has the Region.

    Raises UsageError if --region is another one, and there is no other location that it may be for.
    """
    from ..aws.session import AwsSession

    arn = parse_arn(location)
    if arn and alone and options.region not in (None, arn.region):
        raise UsageError(f'the log group is in {arn.region}, as its ARN says: leave --region {options.region} out')
    region = arn.region if arn else options.region
    session = AwsSession(region, options.profile, options.role_arn, options.external_id)
    if options.profile:
        session.check_profile()
    return session


def standard_input() -> BinaryIO:
    """Return standard input of the process. Raises UsageError if it is closed."""
    if sys.stdin is None:
        raise UsageError('standard input is closed')
    return sys.stdin.buffer
