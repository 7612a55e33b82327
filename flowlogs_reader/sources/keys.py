"""What the key of an S3 object, or the path of its copy, tells: account, Region, layout and time.

Source: docs.aws.amazon.com, vpc/latest/userguide/flow-logs-s3-path and vpc/latest/tgw/flow-logs-s3 (read 2026-11).
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime, timezone
from typing import NamedTuple

SUFFIXES = ('.log', '.gz', '.txt', '.parquet')
# The time in a key is the beginning of the five minutes, in UTC, in which the records in it end.
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
# Below a Region only: people have dated folders of their own.
_DATED = re.compile(r'\bvpcflowlogs/[^/]+/(?:year=)?(\d{4})/(?:month=)?(\d\d)/(?:day=)?(\d\d)(?:/(?:hour=)?(\d\d))?/?$')
_PARTITION = re.compile(r'([^/=]+)=([^/]*)/')


class Key(NamedTuple):
    """A key or path with the time in its name, in Unix seconds. Keys sort as their records come out."""

    time: int
    name: str


class Place(NamedTuple):
    """How deep in the tree of an S3 bucket a folder is: what is below it is None. `root` ends at the Region at most."""

    root: str
    account: str | None
    service: str | None
    region: str | None


class KeyWindow:
    """The keys that can hold records of the window [start_ms, end_ms), in milliseconds since the epoch.

    Chosen by the times in their names, the first one rounded down to a whole bucket. With `margin` also later keys, up
    to so many seconds after the window: a record that begins in it ends within a capture window of that.
    """

    def __init__(self, start_ms: int, end_ms: int, margin: int = 0) -> None:
        self.first = start_ms // 1000 // BUCKET * BUCKET
        self.stop = -(-end_ms // 1000) + (margin + 1 if margin else 0) if start_ms < end_ms else self.first

    def holds(self, time: int | None) -> bool:
        """Whether a key with this time may. One without a time always may."""
        return time is None or self.first <= time < self.stop

    def may_hold(self, folder: str) -> bool:
        """Whether keys in a folder may, going by the day, or day and hour, that the folder is for."""
        span = folder_span(folder)
        return span is None or span[0] < self.stop and self.first < span[1]

    def days(self) -> list[datetime]:
        """The days, in UTC, under which such keys are filed."""
        days = range(self.first // DAY, -(-self.stop // DAY)) if self.first < self.stop else ()
        return [datetime.fromtimestamp(day * DAY, timezone.utc) for day in days]

    def skip(self, name: str) -> str | None:
        """What to list after instead of `name`, to pass over keys of the same flow log outside the window.

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
    """The time in the name of an object or file, in Unix seconds; None where there is none.

    >>> key_time('1_vpcflowlogs_us-east-1_fl-1_20160201T1055Z_cafe.log.gz')
    1454324100
    """
    found = _TIMED.search(name, name.rfind('/') + 1)
    return _unix(*found.groups()) if found else None


def period_of(time: int) -> tuple[int, int]:
    """The period [begin, end), in Unix seconds, in which the records below a key with this time ended."""
    return time, time + BUCKET


def place(folder: str) -> Place | None:
    """Where in the tree of a bucket a folder is; None outside of AWSLogs/."""
    found = _PLACE.match(folder)
    return Place(*found.groups()) if found else None


def day_folder(root: str, day: datetime, pattern: str = '%Y/%m/%d') -> str:
    """The folder for a day (or month) in that of a Region, whose name tells the layout."""
    if '=' in root.rstrip('/').rpartition('/')[2]:
        pattern = pattern.replace('%Y', 'year=%Y').replace('%m', 'month=%m').replace('%d', 'day=%d')
    return f'{root}{day.strftime(pattern)}/'


def folder_span(folder: str) -> tuple[int, int] | None:
    """The times, in Unix seconds, for which a folder is: [begin, end) of a day or an hour; None for other folders.

    >>> folder_span('AWSLogs/1/vpcflowlogs/us-east-1/2016/02/01/10/')
    (1454320800, 1454324400)
    """
    found = _DATED.search(folder)
    begin = _unix(*found.groups('0')) if found else None
    if not found or begin is None:
        return None
    return begin, begin + (DAY if found[4] is None else 3600)


def partitions(path: str) -> dict[str, str]:
    """The Hive partition columns in a path.

    >>> partitions('AWSLogs/aws-account-id=1/aws-region=us-east-1/x.parquet')
    {'aws-account-id': '1', 'aws-region': 'us-east-1'}
    """
    return dict(_PARTITION.findall(path))


def _unix(year: str, month: str, day: str, hour: str, minute: str = '0') -> int | None:
    try:
        return timegm(datetime(int(year), int(month), int(day), int(hour), int(minute)).timetuple())
    except ValueError:
        return None
