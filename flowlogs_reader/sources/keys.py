"""Parsing of the keys of S3 objects, and paths of their copies: account, Region, folder structure and time.

Source: docs.aws.amazon.com, vpc/latest/userguide/flow-logs-s3-path and vpc/latest/tgw/flow-logs-s3 (read 2026-11).
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

SUFFIXES = ('.log', '.gz', '.txt', '.parquet')
# The time in a key is the start of five minutes, in UTC. The records of the object end in these.
BUCKET = 300
# A record ends at most this many seconds after its start: the longest aggregation interval.
CAPTURE_WINDOW = 600
DAY = 86_400

_TIMED = re.compile(r'_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z_[^/]*')
_PLACE = re.compile(
    r"""(?P<root>(?:.*/)?AWSLogs/
    (?:(?:aws-account-id=)?(?P<account>[^/=]+)/
    (?:(?:(?:aws-)?service=)?(?P<service>[^/=]+)/
    (?:(?:aws-region=)?(?P<region>[^/=]+)/)?)?)?)""",
    re.VERBOSE | re.DOTALL,
)
# Only below a Region: users may have their own folders with dates.
_DATED = re.compile(r'\bvpcflowlogs/[^/]+/(?:year=)?(\d{4})/(?:month=)?(\d\d)/(?:day=)?(\d\d)(?:/(?:hour=)?(\d\d))?/?$')
_PARTITION = re.compile(r'([^/=]+)=([^/]*)/')


class Key(NamedTuple):
    """A key or path with the time in its name, in Unix seconds. Keys sort in the order in which they are read.

    `size`, in bytes, and `archived` are what a listing says; the size is None if nobody asked.
    """

    time: int
    name: str
    size: int | None = None
    archived: bool = False


class Place(NamedTuple):
    """The parts of a folder's path in a bucket; None for levels below the folder. `root` is the path to the Region."""

    root: str
    account: str | None
    service: str | None
    region: str | None


class KeyWindow:
    """Selects the keys of objects that can have records of the window [start_ms, end_ms), in Unix milliseconds.

    It compares the times in their names with the window, whose start is rounded down to five minutes. `margin` extends
    the end, in seconds: a record that starts in the window ends up to CAPTURE_WINDOW later.
    """

    def __init__(self, start_ms: int, end_ms: int, margin: int = 0) -> None:
        self.first = start_ms // 1000 // BUCKET * BUCKET
        self.stop = -(-end_ms // 1000) + (margin + 1 if margin else 0) if start_ms < end_ms else self.first

    def holds(self, time: int | None) -> bool:
        """Whether a key with this time can hold records of the window. Keys without a time always can."""
        return time is None or self.first <= time < self.stop

    def may_hold(self, folder: str) -> bool:
        """Whether a folder can have records of the window: compares the day or hour in its name."""
        span = folder_span(folder)
        return span is None or span[0] < self.stop and self.first < span[1]

    def days(self) -> list[datetime]:
        """Return the days, in UTC, whose folders can have records of the window."""
        days = range(self.first // DAY, -(-self.stop // DAY)) if self.first < self.stop else ()
        return [datetime.fromtimestamp(day * DAY, timezone.utc) for day in days]

    def start_after(self, name: str) -> str | None:
        """Return a StartAfter for ListObjectsV2 that skips keys of the flow log of `name` outside the window, or None.

        Keys sort by flow log first, then by time: <account>_vpcflowlogs_<Region>_<flow log>_<time>_<hash>.log.gz.
        """
        time, found = key_time(name), _TIMED.search(name, name.rfind('/') + 1)
        if time is None or found is None or self.holds(time):
            return None
        flow_log = name[: found.start() + 1]
        if time >= self.stop:
            return flow_log + ':'
        return flow_log + datetime.fromtimestamp(self.first, timezone.utc).strftime('%Y%m%dT%H%M')


def key_time(name: str) -> int | None:
    """Return the time in the name of an object or file, in Unix seconds, or None if it has no time.

    >>> key_time('1_vpcflowlogs_us-east-1_fl-1_20160201T1055Z_cafe.log.gz')
    1454324100
    """
    found = _TIMED.search(name, name.rfind('/') + 1)
    return _unix(*found.groups()) if found else None


def period_of(time: int) -> tuple[int, int]:
    """Return the period [begin, end), in Unix seconds, in which the records of a key with this time ended."""
    return time, time + BUCKET


def place(folder: str) -> Place | None:
    """Return the parts of the path of a folder, or None if it is not below AWSLogs/."""
    found = _PLACE.match(folder)
    return Place(*found.groups()) if found else None


def day_folder(root: str, day: datetime, pattern: str = '%Y/%m/%d') -> str:
    """Return the folder for a day (or month) in the folder of a Region, in the same form: Hive-compatible or not."""
    if '=' in root.rstrip('/').rpartition('/')[2]:
        pattern = pattern.replace('%Y', 'year=%Y').replace('%m', 'month=%m').replace('%d', 'day=%d')
    return f'{root}{day.strftime(pattern)}/'


def folder_span(folder: str) -> tuple[int, int] | None:
    """Return the day or hour [begin, end) of a folder, in Unix seconds, or None if it has no date.

    >>> folder_span('AWSLogs/1/vpcflowlogs/us-east-1/2016/02/01/10/')
    (1454320800, 1454324400)
    """
    found = _DATED.search(folder)
    begin = _unix(*found.groups('0')) if found else None
    if not found or begin is None:
        return None
    return begin, begin + (DAY if found[4] is None else 3600)


def partitions(path: str) -> dict[str, str]:
    """Return the Hive partition columns in a path.

    >>> partitions('AWSLogs/aws-account-id=1/aws-region=us-east-1/x.parquet')
    {'aws-account-id': '1', 'aws-region': 'us-east-1'}
    """
    return dict(_PARTITION.findall(path))


def _unix(year: str, month: str, day: str, hour: str, minute: str = '0') -> int | None:
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=timezone.utc)
        return int(moment.timestamp())
    except ValueError:
        return None
