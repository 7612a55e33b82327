"""ARNs of log groups, and the search for a log group that was not found: other Regions, similar names."""

from __future__ import annotations

import re
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from .background import in_background

if TYPE_CHECKING:
    from .session import AwsSession

# A search takes so many seconds at most.
SECONDS = 3.0
_ARN = re.compile(r'arn:[a-z-]+:logs:([a-z0-9-]+):([0-9]*):log-group:(.+?)(?::\*)?')


class Arn(NamedTuple):
    """The ARN of a log group."""

    region: str
    account: str
    name: str


def parse_arn(text: str) -> Arn | None:
    """Return the parts of the ARN of a log group, or None if the text is not one.

    >>> parse_arn('arn:aws:logs:eu-west-1:123456789012:log-group:flows:*')
    Arn(region='eu-west-1', account='123456789012', name='flows')
    """
    found = _ARN.fullmatch(text)
    return Arn(*found.groups()) if found else None


class MissingLogGroup(NamedTuple):
    """Facts about a log group that was not found.

    `region` was asked; `region_source` says in words how it was chosen. `elsewhere` are other Regions that have a group
    of this name, `similar` names in `region`. With an `account`, the group was given by its ARN: no search was made.
    """

    name: str
    region: str
    region_source: str
    account: str = ''
    elsewhere: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()


def find_missing_group(session: AwsSession, name: str, arn: Arn | None = None) -> MissingLogGroup:
    """Look for a log group in other Regions, and for similar names, for up to SECONDS."""
    missing = MissingLogGroup(name, *session.region_and_source)
    if arn:
        return missing._replace(account=arn.account)
    elsewhere, similar = search_regions(session, name, SECONDS)
    return missing._replace(elsewhere=tuple(elsewhere), similar=tuple(similar))


def search_regions(session: AwsSession, name: str, seconds: float) -> tuple[list[str], list[str]]:
    """Return the other Regions that have a log group of this name, and similar names in the session's Region.

    Calls DescribeLogGroups in all Regions at the same time, and uses the answers within `seconds`. Errors are ignored,
    and Regions for which the system has no more threads.
    """
    from botocore.config import Config

    deadline = monotonic() + seconds
    config = Config(connect_timeout=seconds, read_timeout=seconds, retries={'total_max_attempts': 1})
    answers: SimpleQueue[tuple[str, list[str]]] = SimpleQueue()
    asked = 0
    # The session's Region is asked first, for all names.
    for region in dict.fromkeys([session.region, *session.regions('logs')]):
        if monotonic() > deadline:
            break
        client = session.client('logs', region_name=region, config=config)
        prefix = name if asked else ''
        if not in_background(partial(_names, client, region, prefix, answers)):
            break
        asked += 1
    found: dict[str, list[str]] = {}
    for _ in range(asked):
        try:
            region, names = answers.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            break
        found.setdefault(region, []).extend(names)
    from difflib import get_close_matches

    similar = get_close_matches(name, found.get(session.region, []), 3)
    return sorted(region for region, names in found.items() if name in names and region != session.region), similar


def _names(client: Any, region: str, prefix: str, answers: SimpleQueue[tuple[str, list[str]]]) -> None:
    try:
        response = client.describe_log_groups(**({'logGroupNamePrefix': prefix} if prefix else {'limit': 50}))
        answers.put((region, [group['logGroupName'] for group in response['logGroups']]))
    except Exception:
        answers.put((region, []))
