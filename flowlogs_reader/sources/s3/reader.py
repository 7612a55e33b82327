"""Flow logs in S3, under the keys that AWS delivers them to."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from ...aws.session import retry_without
from ...errors import DamagedError, FlowLogsError, IncompleteError, error_code, explain
from ...query.filters import Window
from ...query.typed_times import resume_text
from ...records.layout import Block
from ..base import BaseReader, milliseconds
from ..decode import CHUNK
from ..objects import Contents, Once, Piece
from ..ordered import in_order
from .keys import CAPTURE_WINDOW, DAY, SUFFIXES, Key, KeyWindow, day_folder, key_time, place

T = TypeVar('T')
_LOCATION = re.compile(r'(?:s3://|arn:[a-z-]+:s3:::)?([A-Za-z0-9._-]{1,255})(?:/(.*))?', re.DOTALL)
# Errors that say something about one object, after which the others may well be readable.
OBJECT_ERRORS = frozenset({
    'AccessDenied', '403', 'NoSuchKey', '404', 'InvalidObjectState', 'PreconditionFailed', '412', 'InvalidRange', '416',
})  # fmt: skip
# Connections that may break in the middle of an object, one after the other, without bringing more of it.
MAX_BREAKS = 3
# Of more days than this in one month, those that there are keys for are asked for first.
MAX_DAYS_UNASKED = 3
# Blocks of a few hundred kilobytes that each thread may have ready.
AHEAD = 2
PAGE = 1000
# Later than any record, in milliseconds.
FAR = 2**63
SERVICE = 'vpcflowlogs'


class Page(NamedTuple):
    """One answer of ListObjectsV2."""

    keys: list[str]
    folders: list[str]
    more: bool


class S3FlowLogsReader(BaseReader):
    """The flow log records in an S3 bucket, by the times of their keys, oldest first, then by the names of the keys.

    `location` is ``bucket`` or ``bucket/prefix``, also as ``s3://…`` or ARN. The prefix is the one of the flow log, or
    goes deeper: AWSLogs, an account, a Region, a day. VPC and transit gateway logs are found in every layout that AWS
    offers: by day or by hour, Hive-compatible or not, text or Parquet.

    `include_accounts` and `include_regions` are names; others are left alone.

    As in flowlogs-reader 5.0.1, whole objects are returned, chosen by the times in their names. With `exact_window` it
    is exactly the records that start in [start_time, end_time); later objects are read as far as that takes.

    `thread_count` 0 reads one object ahead, 1 reads nothing ahead, more reads so many at once.

    Raises botocore's errors, and IncompleteError where AWS repeats itself. An object that cannot be read ends up in
    `unreadable`, and so does a location without any flow logs.
    """

    def __init__(
        self,
        location: str,
        include_accounts: Iterable[str] | None = None,
        include_regions: Iterable[str] | None = None,
        thread_count: int = 0,
        exact_window: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(thread_count=thread_count, exact_window=exact_window, **options)
        self.bucket, self.prefix = parse_location(location)
        self.include_accounts = None if include_accounts is None else set(include_accounts)
        self.include_regions = None if include_regions is None else set(include_regions)
        self._margin = CAPTURE_WINDOW if exact_window else 0
        # No key lies in the future, and nobody wants to list the days until the year 9999.
        tomorrow = milliseconds(datetime.now(timezone.utc)) + DAY * 1000
        self._keys = KeyWindow(self.start_ms, min(self.end_ms, tomorrow), self._margin)
        self._once: Once | None = None

    @property
    def boto_client(self) -> Any:
        if self._client is None:
            self._client = self.session.client('s3')
            events = self._client.meta.events
            events.register_first('needs-retry.s3.ListObjectsV2', retry_without(['IsTruncated']))
        return self._client

    def describe(self) -> str:
        window = ' to '.join(map(resume_text, (self.start_ms, self.end_ms)))
        return f's3://{self.bucket}/{self.prefix} from {window}'

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """The keys are those of this window; the records are all that start in the first one or later."""
        super().go_on(start_ms, end_ms, late_ms)
        self._keys = KeyWindow(start_ms, end_ms, self._margin)
        if self._once is None:
            self._once = Once()
            self._window = Window(start_ms, FAR) if self._window else None
        self._once.forget(self._keys)

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        # Sessions are not thread-safe: the client is made before any thread begins.
        self._client = self.boto_client
        keys = self._one_key() or self._found_keys(self._region_folders())
        once = self._once
        tasks = (partial(self._object, key) for key in keys if once is None or self._origin(key) not in once)
        # With a limit the first object is mostly enough.
        workers = 0 if limit else self._workers
        pieces: Iterable[Piece] = in_order(tasks, workers=workers, waiting=workers * AHEAD)
        for block in self._take(pieces if once is None else once.fresh(pieces)):
            if block.time is not None:
                # What is still to come ends after this key's time, and so begins at most a capture window before it.
                self.complete_until = (block.time - CAPTURE_WINDOW) * 1000
            yield block

    @property
    def _workers(self) -> int:
        return {0: 1, 1: 0}.get(self.thread_count, self.thread_count)

    def _all(self, tasks: Iterable[Callable[[], Iterable[T]]]) -> Iterator[T]:
        return in_order(tasks, workers=self._workers, waiting=PAGE)

    # -- objects ----------------------------------------------------------------------------------------------------

    def _object(self, key: Key) -> Iterator[Piece]:
        contents = Contents(self._origin(key), self.layout, key.time, self._columns)
        return contents.pieces(self._body(key.name))

    def _origin(self, key: Key) -> str:
        return f's3://{self.bucket}/{key.name}'

    def _body(self, key: str) -> Iterator[bytes]:
        """The bytes of an object. Raises DamagedError for what is wrong with it alone."""
        from botocore.exceptions import ClientError, FlexibleChecksumError, HTTPClientError, IncompleteReadError

        at = breaks = 0
        asked = {'Bucket': self.bucket, 'Key': key}
        while True:
            try:
                response = self.boto_client.get_object(**asked)
            except ClientError as error:
                if error_code(error) in OBJECT_ERRORS or error_code(error).startswith('KMS'):
                    raise DamagedError(explain(error)) from None
                raise
            etag = response.get('ETag')
            if at and not response.get('ContentRange', '').startswith(f'bytes {at}-'):
                raise DamagedError(f'after {at} bytes: the rest was asked for, and something else came')
            try:
                # Not `with response['Body']`: that gives the bare stream, which takes a broken connection for the end.
                with closing(response['Body']) as body:
                    while chunk := body.read(CHUNK):
                        at, breaks = at + len(chunk), 0
                        yield chunk
                return
            except FlexibleChecksumError as error:
                raise DamagedError(explain(error)) from None
            except (HTTPClientError, IncompleteReadError) as error:
                breaks += 1
                if breaks == MAX_BREAKS:
                    raise DamagedError(f'after {at} bytes: {explain(error)}') from None
            if at:
                asked.update({'Range': f'bytes={at}-', **({'IfMatch': etag} if etag else {})})

    # -- keys -------------------------------------------------------------------------------------------------------

    def _region_folders(self) -> list[str]:
        """The folders of the accounts and Regions asked for. The levels of the tree below the prefix are listed."""
        start = place(self.prefix)
        folders = [start.root if start else f'{self.prefix}AWSLogs/']
        for level, wanted in (
            ('account', self.include_accounts), ('service', {SERVICE}), ('region', self.include_regions),
        ):  # fmt: skip
            if not start or getattr(start, level) is None:
                folders = list(self._all(partial(self._below, folder) for folder in folders))
            found = {folder: getattr(place(folder), level) for folder in folders}
            # Folders that somebody else made may have any names.
            there = {folder: name for folder, name in found.items() if name}
            folders = [folder for folder in there if wanted is None or there[folder] in wanted]
            if not folders:
                self._unreadable(FlowLogsError(self._nothing(level, sorted(set(there.values())))))
                break
        return folders

    def _below(self, folder: str) -> list[str]:
        """The folders in one above the Regions. Only Hive layouts have to be asked for the name of the service's."""
        at = place(folder)
        if at and at.account and not at.service and '=' not in folder.rpartition('AWSLogs/')[2]:
            return [f'{folder}{SERVICE}/']
        return self._folders(folder)

    def _nothing(self, level: str, there: list[str]) -> str:
        location = f's3://{self.bucket}/{self.prefix}'
        if there and level != 'service':
            return f'{location} has no flow logs of the {level}s asked for: there are {", ".join(there[:10])}'
        beside = [] if place(self.prefix) else self._folders(self.prefix)
        hint = f': the folders there are {", ".join(beside[:10])}' if beside else ': check the bucket and the prefix'
        return f'{location} has no flow logs in AWSLogs/{hint}'

    def _one_key(self) -> list[Key]:
        """The object that the location itself names, if it does."""
        name = self.prefix.removesuffix('/')
        time = key_time(name)
        return [Key(time, name)] if time is not None and name.endswith(SUFFIXES) else []

    def _found_keys(self, regions: list[str]) -> Iterator[Key]:
        """The keys that can hold records of the window, in order; listed day by day, as they are asked for."""
        for _, days in groupby(self._keys.days(), key=lambda day: (day.year, day.month)):
            for folders in self._day_folders(regions, list(days)):
                yield from sorted(self._all(partial(self._keys_in, folder) for folder in folders))

    def _day_folders(self, regions: list[str], days: list[datetime]) -> Iterator[list[str]]:
        """For each of these days of one month, where there may be keys for it."""
        below = [[self._narrowed(day_folder(region, day)) for region in regions] for day in days]
        by_day = [[folder for folder in folders if folder] for folders in below]
        if sum(map(bool, by_day)) > MAX_DAYS_UNASKED:
            months = sorted({folder[: folder.rindex('/', 0, -1) + 1] for folders in by_day for folder in folders})
            there = frozenset(self._all(partial(self._folders, month) for month in months))
            by_day = [[folder for folder in folders if folder in there] for folders in by_day]
        yield from by_day

    def _narrowed(self, folder: str) -> str:
        """The folder of a day, or what the prefix leaves of it."""
        if folder.startswith(self.prefix):
            return folder
        return self.prefix if self.prefix.startswith(folder) else ''

    def _keys_in(self, folder: str) -> list[Key]:
        """The keys below the folder of a day or an hour that can hold records of the window."""
        found: list[str] = []
        for page in self._pages(folder):
            found += page.keys
            if page.more and any('/' in name[len(folder) :] for name in page.keys):
                return self._keys_by_hour(folder)
        return list(self._timed(dict.fromkeys(found)))

    def _keys_by_hour(self, folder: str) -> list[Key]:
        """The same for a day that fills more than a page, where hours have folders of their own."""
        pages = list(self._pages(folder, '/'))
        hours = [hour for page in pages for hour in page.folders if self._keys.may_hold(hour)]
        return [key for page in pages for key in self._timed(page.keys)] + [
            key for hour in hours for key in self._keys_in(hour)
        ]

    def _timed(self, names: Iterable[str]) -> Iterator[Key]:
        for name in names:
            time = key_time(name)
            if time is not None and name.endswith(SUFFIXES) and self._keys.holds(time):
                yield Key(time, name)

    def _folders(self, folder: str) -> list[str]:
        return [name for page in self._pages(folder, '/') for name in page.folders]

    def _pages(self, prefix: str, delimiter: str = '') -> Iterator[Page]:
        """What is below a prefix. Keys of other times than the window's are passed over where that saves pages."""
        asked = {'Bucket': self.bucket, 'Prefix': prefix, **({'Delimiter': delimiter} if delimiter else {})}
        tokens: set[str] = set()
        while True:
            response = self.boto_client.list_objects_v2(**asked)
            keys = [item['Key'] for item in response.get('Contents', ())]
            token = response.get('NextContinuationToken')
            # A client that was handed in may be a stub.
            if not self._handed_in and response.get('IsTruncated') is not (token is not None):
                raise IncompleteError(f'S3 gave an unreadable list of s3://{self.bucket}/{prefix}')
            yield Page(keys, [item['Prefix'] for item in response.get('CommonPrefixes', ())], token is not None)
            if token is None:
                return
            if token in tokens:
                raise IncompleteError(f'S3 gave the same page token twice for s3://{self.bucket}/{prefix}')
            tokens.add(token)
            after = self._keys.skip(keys[-1]) if keys and not delimiter else None
            asked.pop('ContinuationToken', None)
            asked.update({'StartAfter': after} if after else {'ContinuationToken': token})


def parse_location(location: str) -> tuple[str, str]:
    """The bucket, and the prefix with a slash at its end or empty. Raises ValueError where there is no bucket."""
    found = _LOCATION.fullmatch(location)
    if not found:
        raise ValueError(f'{location!r} names no bucket: give BUCKET, BUCKET/PREFIX or s3://BUCKET/PREFIX')
    prefix = found[2] or ''
    return found[1], prefix.rstrip('/') + '/' if prefix else ''
