"""The objects in a bucket as Athena finds them: folder structures, partitions, flow logs and their formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from functools import lru_cache, partial
from sys import intern
from typing import NamedTuple

from ...errors import FlowLogsError, UsageError
from ...kernel import check
from ...query.query import Window
from ...records.layout import Layout
from ...sources.decode import inflate, peek
from ...sources.keys import BUCKET, CAPTURE_WINDOW, Key, KeyWindow
from ...sources.ordered import in_order
from ...sources.s3.reader import S3FlowLogsReader
from ..remote.contract import is_too_odd

# What Athena calls the parts of a path: none of them is the name of a field, which Parquet tables have as columns.
_FOLDER = re.compile(
    r"""(?P<base>(?:[^'$\\]*/)?AWSLogs/)
    (?P<account_word>aws-account-id=)?(?P<acct>[^/='$]+)/
    (?P<service>(?:(?:aws-)?service=)?vpcflowlogs)/
    (?P<region_word>aws-region=)?(?P<rgn>[^/='$]+)/
    (?:(?P<date>\d{4}/\d\d/\d\d)|year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d))/
    (?:(?P<hour_word>hour=)?(?P<hour>\d\d)/)?""",
    re.VERBOSE,
)
# Athena does not read objects whose names begin with a dot or an underscore.
_NAME = re.compile(r"(?![._])[^/']*_([^_/']+)_\d{8}T\d{4}Z_[^/']*")
PARQUET = '.parquet'
# An object of fewer bytes may have no header row: it holds nothing.
EMPTY = 64
# Bytes of text that are looked at to see whether lines are records.
SAMPLE = 1 << 16
# A sample of the smallest object with so many bytes.
SAMPLED = 1_000
# The year 9000, in Unix seconds: later times in names have more digits.
LAST_TIME = 221_845_392_000


@lru_cache
def _columns_of(template: str) -> tuple[str, ...]:
    return tuple(re.findall(r'\$\{(.*?)\}', template))


class Folders(NamedTuple):
    """A folder structure, and whether its objects are Parquet: what one table of Athena stands for.

    `base` is the path up to AWSLogs/, `template` the rest, with partition columns such as ``${acct}``.
    """

    base: str
    template: str
    parquet: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The partition columns, in the order of the path."""
        return _columns_of(self.template)

    @property
    def pattern(self) -> str:
        """A regular expression that paths of its objects match, and paths of other structures below it do not."""
        parts = re.split(r'\$\{(.*?)\}', self.template)
        digits = {'day': '[0-9]{4}/[0-9]{2}/[0-9]{2}', 'year': '[0-9]{4}', 'month': '[0-9]{2}', 'hour': '[0-9]{2}'}
        if 'year' in self.columns:
            digits['day'] = '[0-9]{2}'
        folder = ''.join(digits.get(part, '[^/]+') if at % 2 else part for at, part in enumerate(parts))
        suffixes = 'parquet' if self.parquet else 'log|gz|txt'
        return f'/AWSLogs/{folder}[^/]*_[0-9]{{8}}T[0-9]{{4}}Z_[^/]*[.]({suffixes})$'


class Place(NamedTuple):
    """A partition: its folder structure, and the values of the partition columns."""

    folders: Folders
    values: tuple[str, ...]


class Item(NamedTuple):
    """An object: its key, the partition that it is in, and the flow log that wrote it."""

    key: Key
    place: Place
    flow_log: str

    @property
    def folders(self) -> Folders:
        return self.place.folders

    def value(self, column: str) -> str:
        return self.place.values[self.folders.columns.index(column)]


class Format(NamedTuple):
    """The format of a flow log: a Layout, and its header row as text; '' if its objects have none."""

    layout: Layout
    header: str


def items(keys: Iterable[Key]) -> list[Item]:
    """Return the objects of these keys, sorted by name. Raises UsageError for what Athena would not find."""
    places: dict[tuple[str, bool], Place | None] = {}
    found: list[Item] = []
    for key in keys:
        folder, _, name = key.name.rpartition('/')
        kind = folder, name.endswith(PARQUET)
        if kind not in places:
            places[kind] = _place(f'{folder}/', kind[1])
        place, match = places[kind], _NAME.fullmatch(name)
        if not place or not match:
            raise UsageError(f'Athena cannot read {key.name}: it is not in a folder that AWS makes')
        if key.archived:
            raise UsageError(f'Athena leaves out {key.name}: the object is archived')
        # There are many objects of few flow logs.
        found.append(Item(key, place, intern(match[1])))
    return sorted(found, key=lambda item: item.key.name)


def _place(folder: str, parquet: bool) -> Place | None:
    match = _FOLDER.fullmatch(folder)
    if not match:
        return None
    part = match.groupdict(default='')
    date = ['day'] if part['date'] else ['year', 'month', 'day']
    names = ['acct', 'rgn', *date, *(['hour'] if part['hour'] else [])]
    values = {**part, 'day': part['date'] or part['day']}
    days = '${day}/' if part['date'] else 'year=${year}/month=${month}/day=${day}/'
    hours = part['hour_word'] + '${hour}/' if part['hour'] else ''
    regions = part['region_word'] + '${rgn}/'
    template = f'{part["account_word"]}${{acct}}/{part["service"]}/{regions}{days}{hours}'
    return Place(Folders(part['base'], template, parquet), tuple(values[name] for name in names))


# -- formats -----------------------------------------------------------------------------------------------------------


def formats(reader: S3FlowLogsReader, objects: Iterable[Item]) -> dict[tuple[str, bool], Format]:
    """Return the format of each flow log, by its id and whether its objects are Parquet, from one object of each.

    AWS does not let the format of a flow log change (vpc/latest/userguide/flow-logs). Raises UsageError if too many
    lines of an object are not records.
    """
    samples: dict[tuple[str, bool], Item] = {}
    for item in objects:
        name = item.flow_log, item.folders.parquet
        samples[name] = min(samples.get(name, item), item, key=_sample_order)
    tasks = (partial(_sampled, reader, item) for item in samples.values())
    return dict(zip(samples, in_order(tasks, workers=reader.workers, waiting=len(samples))))


def _sample_order(item: Item) -> tuple[bool, int, str]:
    size = item.key.size or 0
    return size < SAMPLED, size if size >= SAMPLED else -size, item.key.name


def _sampled(reader: S3FlowLogsReader, item: Item) -> Iterator[Format]:
    yield _parquet_format(reader, item) if item.folders.parquet else _text_format(reader, item)


def _parquet_format(reader: S3FlowLogsReader, item: Item) -> Format:
    for piece in reader.pieces(item.key):
        if piece.error:
            raise piece.error
        if piece.block:
            return Format(piece.block.layout, '')
    raise FlowLogsError(f'{reader.origin(item.key)} has no rows, which would show the format of {item.flow_log}')


def _text_format(reader: S3FlowLogsReader, item: Item) -> Format:
    with closing(reader.body(item.key.name)) as body:
        data, _ = peek(inflate(body), SAMPLE)
    lines = data[: data.rfind(b'\n') + 1] or data + b'\n'
    first, _, rest = lines.partition(b'\n')
    try:
        header = Layout.from_header(first)
    except ValueError as error:
        raise FlowLogsError(f'{reader.origin(item.key)}: unusable header row: {error}') from None
    layout = header or reader.layout or Layout()
    rest = rest if header else lines
    kept, odd = check(layout.kinds, rest)
    lines_read = odd + kept.count(b'\n')
    if is_too_odd(odd, lines_read):
        raise UsageError(
            f'{odd} of the first {lines_read} lines of {reader.origin(item.key)} are not records of the '
            f'format "{" ".join(layout.fields)}": Athena would return too many lines to read here'
        )
    return Format(layout, first.decode('ascii', 'replace').rstrip('\r') if header else '')


# -- windows -----------------------------------------------------------------------------------------------------------


class KeyTimes(NamedTuple):
    """The times in the names of keys that are read for a part of a window: [first, stop), in Unix seconds.

    Records that cannot be dated, and malformed lines, are in several of these. They count for the part in whose
    [own_first, own_stop) the key is.
    """

    first: int
    stop: int
    own_first: int
    own_stop: int

    @classmethod
    def of(cls, window: Window, whole: Window) -> KeyTimes:
        """`window` is a part of the `whole` window of the query."""
        keys = KeyWindow(window.start_ms, window.end_ms, CAPTURE_WINDOW)
        begins, ends = (ms // 1000 // BUCKET * BUCKET for ms in window)
        first, stop = min(keys.first, LAST_TIME), min(keys.stop, LAST_TIME)
        own_first = first if window.start_ms <= whole.start_ms else begins
        return cls(first, stop, own_first, stop if window.end_ms >= whole.end_ms else ends)

    def hold(self, item: Item) -> bool:
        return self.first <= item.key.time < self.stop


def key_minute(seconds: int, up: bool = False) -> str:
    """Return a time as names of keys have it, in whole minutes.

    >>> key_minute(1454324162), key_minute(1454324162, up=True)
    ('20160201T1056Z', '20160201T1057Z')
    """
    minutes = -(-seconds // 60) if up else seconds // 60
    return datetime.fromtimestamp(minutes * 60, timezone.utc).strftime('%Y%m%dT%H%MZ')
