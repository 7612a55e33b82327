"""The reader of flow logs in S3."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ...aws.session import AwsSession, refuse_redirect, retry_without
from ...errors import FlowLogsError, NothingThereError, UsageError
from ...query.conditions import Condition
from ...query.query import Window
from ...records.block import Block
from ...records.fields import DEFAULT_FIELDS
from ...records.times import milliseconds, resume_text
from ..aws_reader import AwsReader
from ..keys import CAPTURE_WINDOW, DAY, SUFFIXES, Key, KeyWindow, key_time
from ..objects import Contents, Piece
from ..ordered import in_order
from ..report import Estimate
from .listing import Listing
from .objects import Objects
from .seen import SeenObjects

_LOCATION = re.compile(r'(?:s3://|arn:[a-z-]+:s3:::)?([A-Za-z0-9._-]{1,255})(?:/(.*))?', re.DOTALL)
# Blocks of up to a megabyte that each thread reads ahead. With two, eight threads take 7 MB more, and no less time.
AHEAD = 1
# For estimates: the usual times of a request and of a byte, and US dollars for a GET (list price).
SECONDS_AN_OBJECT = 0.05
BYTES_A_SECOND = 20_000_000
GET_PRICE = 0.0004 / 1000
# Later than any record, in milliseconds.
FAR = 2**63


class S3FlowLogsReader(AwsReader):
    """Reads the flow log records in an S3 bucket, in the order of the times, then the names, of the keys.

    `location` is ``bucket`` or ``bucket/prefix``, also as ``s3://…`` or ARN. The prefix is the one of the flow log, or
    longer: AWSLogs, an account, a Region, a day. VPC and transit gateway logs are found in all folder structures and
    file formats of AWS: by day or by hour, Hive-compatible or not, text or Parquet.

    `include_accounts` and `include_regions` limit the read to these accounts and Regions.

    As in flowlogs-reader 5.0.1, whole objects are returned, chosen by the times in their names. With `exact_window`,
    exactly the records that start in [start_time, end_time) are returned; that may need later objects.

    `thread_count` 0 reads one object ahead, 1 reads nothing ahead, more reads so many at once.

    Raises botocore's errors, and IncompleteError if AWS repeats a page token. The error of an object that cannot be
    read, or of a location without flow logs, is added to `unreadable`, and is raised after everything else was
    returned.
    """

    POLL_SECONDS = 60

    def __init__(
        self,
        location: str,
        include_accounts: Iterable[str] | None = None,
        include_regions: Iterable[str] | None = None,
        thread_count: int = 0,
        fields: Sequence[str] | None = DEFAULT_FIELDS,
        region_name: str | None = None,
        profile_name: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        boto_client: Any = None,
        boto_client_kwargs: dict[str, Any] | None = None,
        raise_on_error: bool = False,
        *,
        where: Iterable[str | Condition] = (),
        count_skipdata: bool = False,
        exact_window: bool = False,
        on_unreadable: Callable[[FlowLogsError], None] | None = None,
        session: AwsSession | None = None,
    ) -> None:
        super().__init__(
            region_name=region_name,
            profile_name=profile_name,
            start_time=start_time,
            end_time=end_time,
            boto_client=boto_client,
            boto_client_kwargs=boto_client_kwargs,
            session=session,
            exact_window=exact_window,
            thread_count=thread_count,
            fields=fields,
            where=where,
            count_skipdata=count_skipdata,
            raise_on_error=raise_on_error,
            on_unreadable=on_unreadable,
        )
        self.bucket, self.prefix = parse_location(location)
        self.include_accounts = None if include_accounts is None else set(include_accounts)
        self.include_regions = None if include_regions is None else set(include_regions)
        self._margin = CAPTURE_WINDOW if exact_window else 0
        # No key is in the future: do not list the days until the year 9999.
        tomorrow = milliseconds(datetime.now(timezone.utc)) + DAY * 1000
        self._keys = KeyWindow(self.start_ms, min(self.end_ms, tomorrow), self._margin)
        self._seen: SeenObjects | None = None

    @property
    def boto_client(self) -> Any:
        if self._client is None:
            self._client = self.session.client('s3')
            events = self._client.meta.events
            events.register_first('needs-retry.s3.ListObjectsV2', retry_without(['IsTruncated']))
            events.register_first('needs-retry.s3.GetObject', retry_without(['ETag']))
            events.register_first('needs-retry.s3', refuse_redirect)
        return self._client

    def describe(self) -> str:
        window = ' to '.join(map(resume_text, (self.start_ms, self.end_ms)))
        return f's3://{self.bucket}/{self.prefix} from {window}'

    def estimate(self) -> Estimate:
        """Return what reading the whole window would take, from the listing, without the transfer out of the Region."""
        keys = list(self.found_keys())
        sizes = [key.size for key in keys if key.size is not None]
        size = sum(sizes) if len(sizes) == len(keys) else None
        seconds = ((size or 0) / BYTES_A_SECOND + len(keys) * SECONDS_AN_OBJECT) / max(1, self.workers)
        return Estimate(size, len(keys), len(keys), len(keys) * GET_PRICE, seconds)

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """Prepare for the next window: new keys of this window, all records that start in the first window or later."""
        super().go_on(start_ms, end_ms, late_ms)
        self._keys = KeyWindow(start_ms, end_ms, self._margin)
        if self._seen is None:
            self._seen = SeenObjects()
            self.where.window = Window(start_ms, FAR) if self.where.window else None
        self._seen.forget(self._keys)

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        # Sessions are not thread-safe: create the client before the threads start.
        self._client = self.boto_client
        self.report.place = f's3://{self.bucket}'
        objects, seen = self._objects(), self._seen
        try:
            keys = self.found_keys()
        except NothingThereError as error:
            self._unreadable(error)
            keys = []
        tasks = (partial(objects.pieces, key) for key in keys if not seen or objects.origin(key) not in seen)
        # With a limit the first object is usually enough.
        workers = 0 if limit else self.workers
        pieces: Iterable[Piece] = in_order(tasks, workers=workers, waiting=workers * AHEAD)
        for block in self._blocks_in(pieces if seen is None else seen.drop_repeats(pieces)):
            if block.ended is not None:
                # Later records end after this period began, and start at most a capture window before it.
                self.report.complete_until = (block.ended[0] - CAPTURE_WINDOW) * 1000
            yield block

    def found_keys(self, window: KeyWindow | None = None) -> Iterable[Key]:
        """Return the key that the location itself is, or the keys below it that can hold records of the window.

        `window` replaces the window of the reader. Raises NothingThereError if there are no flow logs.
        """
        name = self.prefix.removesuffix('/')
        time = key_time(name)
        if time is not None and name.endswith(SUFFIXES):
            return [Key(time, name)]
        if set() in (self.include_accounts, self.include_regions):
            return []
        listing = Listing(
            self.boto_client, self.bucket, self.prefix, window or self._keys, self.workers, not self._client_given
        )
        return listing.keys(listing.region_folders(self.include_accounts, self.include_regions))

    def _objects(self) -> Objects:
        contents = Contents('', self.layout, None, self._columns, self.where)
        return Objects(self.boto_client, self.bucket, contents, strict=not self._client_given)

    def origin(self, key: Key) -> str:
        return self._objects().origin(key)

    def pieces(self, key: Key) -> Iterator[Piece]:
        """Yield the contents of an object."""
        return self._objects().pieces(key)

    def body(self, key: str) -> Generator[bytes, None, None]:
        """Yield the bytes of an object. Raises DamagedError for an error of this object only."""
        return self._objects().body(key)


def parse_location(location: str) -> tuple[str, str]:
    """Return the bucket and the prefix (with a slash at its end, or empty). Raises UsageError without a bucket."""
    found = _LOCATION.fullmatch(location)
    if not found:
        raise UsageError(f'{location!r} does not name a bucket: give BUCKET, BUCKET/PREFIX or s3://BUCKET/PREFIX')
    prefix = found[2] or ''
    return found[1], prefix.rstrip('/') + '/' if prefix else ''
