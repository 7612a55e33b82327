"""Listing of the keys that can hold records of a window (ListObjectsV2), with as few requests as possible."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from ...errors import Cause, IncompleteError, NothingThereError
from ..keys import SUFFIXES, Key, KeyWindow, day_folder, key_time, place
from ..ordered import in_order

T = TypeVar('T')
SERVICE = 'vpcflowlogs'
# If more days than this of one month are read, its folder is listed first, to find the days that have keys.
MAX_DAYS_UNASKED = 3
# Objects of these storage classes must be restored before they can be read.
ARCHIVES = frozenset(['GLACIER', 'DEEP_ARCHIVE'])
# Items that may wait for their turn.
WAITING = 1000


class ListingPage(NamedTuple):
    """One answer of ListObjectsV2: size and storage class by key, and folders. `more`: another page follows."""

    keys: dict[str, tuple[int, str]]
    folders: list[str]
    more: bool


class Listing:
    """Lists the keys below a prefix of a bucket, with `workers` requests at a time.

    With `strict`, an answer that AWS never gives raises IncompleteError. For a client of the caller it is false: stubs
    in tests give such answers.
    """

    def __init__(
        self, client: Any, bucket: str, prefix: str, window: KeyWindow, workers: int, strict: bool = True
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._keys = window
        self._workers = workers
        self._strict = strict

    def region_folders(self, accounts: Collection[str] | None, regions: Collection[str] | None) -> list[str]:
        """Return the folders of these accounts and Regions (None: all).

        Raises NothingThereError if none is found.
        """
        start = place(self._prefix)
        folders = [start.root if start else f'{self._prefix}AWSLogs/']
        for level, wanted in (('account', accounts), ('service', {SERVICE}), ('region', regions)):
            if not start or getattr(start, level) is None:
                folders = list(self._all(partial(self._below, folder) for folder in folders))
            found = {folder: getattr(place(folder), level) for folder in folders}
            # Folders that users created may have any names.
            there = {folder: name for folder, name in found.items() if name}
            folders = [folder for folder in there if wanted is None or there[folder] in wanted]
            if not folders:
                raise NothingThereError(self._not_found(level, sorted(set(there.values()))))
        return folders

    def _below(self, folder: str) -> list[str]:
        """Return the folders in a folder above the Regions. The service's name is known unless it is a Hive path."""
        at = place(folder)
        if at and at.account and not at.service and '=' not in folder.rpartition('AWSLogs/')[2]:
            return [f'{folder}{SERVICE}/']
        return self._folders(folder)

    def _not_found(self, level: str, there: list[str]) -> str:
        location = f's3://{self._bucket}/{self._prefix}'
        if there and level != 'service':
            return f'{location} has no flow logs of the {level}s asked for: there are {", ".join(there[:10])}'
        beside = [] if place(self._prefix) else self._folders(self._prefix)
        hint = ': check the bucket and the prefix'
        if beside:
            names = ', '.join(beside[:10])
            hint = f': the folders there are {names}: give one, such as s3://{self._bucket}/{beside[0]}'
        return f'{location} has no flow logs in AWSLogs/{hint}'

    def keys(self, regions: Sequence[str]) -> Iterator[Key]:
        """Yield the keys that can hold records of the window, in order. A day is listed when its keys are needed."""
        for _, days in groupby(self._keys.days(), key=lambda day: (day.year, day.month)):
            for folders in self._day_folders(regions, list(days)):
                yield from sorted(self._all(partial(self._keys_in, folder) for folder in folders))

    def _day_folders(self, regions: Sequence[str], days: list[datetime]) -> Iterator[list[str]]:
        """Yield, for each of these days of one month, the folders that can have keys of it."""
        below = [[self._narrowed(day_folder(region, day)) for region in regions] for day in days]
        by_day = [[folder for folder in folders if folder] for folders in below]
        if sum(map(bool, by_day)) > MAX_DAYS_UNASKED:
            months = sorted({folder[: folder.rindex('/', 0, -1) + 1] for folders in by_day for folder in folders})
            there = frozenset(self._all(partial(self._folders, month) for month in months))
            by_day = [[folder for folder in folders if folder in there] for folders in by_day]
        yield from by_day

    def _narrowed(self, folder: str) -> str:
        """Return the folder of a day, or the prefix if it is inside the folder, or '' if neither contains the other."""
        if folder.startswith(self._prefix):
            return folder
        return self._prefix if self._prefix.startswith(folder) else ''

    def _keys_in(self, folder: str) -> list[Key]:
        """Return the keys below the folder of a day or an hour that can hold records of the window."""
        found: dict[str, tuple[int, str]] = {}
        for page in self._pages(folder):
            found.update(page.keys)
            if page.more and any('/' in name[len(folder) :] for name in page.keys):
                return self._keys_by_hour(folder)
        return list(self._timed(found))

    def _keys_by_hour(self, folder: str) -> list[Key]:
        """Return the same as :meth:`_keys_in`. It lists only the folders of hours that can have keys of the window."""
        pages = list(self._pages(folder, '/'))
        hours = [hour for page in pages for hour in page.folders if self._keys.may_hold(hour)]
        return [key for page in pages for key in self._timed(page.keys)] + [
            key for hour in hours for key in self._keys_in(hour)
        ]

    def _timed(self, objects: Mapping[str, tuple[int, str]]) -> Iterator[Key]:
        for name, (size, storage_class) in objects.items():
            time = key_time(name)
            if time is not None and name.endswith(SUFFIXES) and self._keys.holds(time):
                yield Key(time, name, size, storage_class in ARCHIVES)

    def _folders(self, folder: str) -> list[str]:
        return [name for page in self._pages(folder, '/') for name in page.folders]

    def _pages(self, prefix: str, delimiter: str = '') -> Iterator[ListingPage]:
        """Yield what is below a prefix. Skips keys outside the window if that saves pages."""
        asked = {'Bucket': self._bucket, 'Prefix': prefix, **({'Delimiter': delimiter} if delimiter else {})}
        tokens: set[str] = set()
        while True:
            response = self._client.list_objects_v2(**asked)
            found = response.get('Contents', ())
            keys = {item['Key']: (item.get('Size', 0), item.get('StorageClass', '')) for item in found}
            token = response.get('NextContinuationToken')
            if self._strict and response.get('IsTruncated') is not (token is not None):
                text = f'S3 gave an unreadable list of s3://{self._bucket}/{prefix}'
                raise IncompleteError(text, Cause.ANSWER_UNREADABLE)
            yield ListingPage(keys, [item['Prefix'] for item in response.get('CommonPrefixes', ())], token is not None)
            if token is None:
                return
            if token in tokens:
                raise IncompleteError(f'S3 gave the same page token twice for s3://{self._bucket}/{prefix}')
            tokens.add(token)
            after = self._keys.start_after(next(reversed(keys))) if keys and not delimiter else None
            asked.pop('ContinuationToken', None)
            asked.update({'StartAfter': after} if after else {'ContinuationToken': token})

    def _all(self, tasks: Iterable[Callable[[], Iterable[T]]]) -> Iterator[T]:
        return in_order(tasks, workers=self._workers, waiting=WAITING)
