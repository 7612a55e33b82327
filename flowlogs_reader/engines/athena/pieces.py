"""Pieces: what one query of Athena reads, as partitions and paths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from .objects import Folders, Item, KeyTimes, Place
from .sql import Form, Scan
from .table import Table

# An injected partition column takes 1,000 values at most; and the ids of so many flow logs fit into a query.
MAX_VALUES, MAX_FLOW_LOGS = 500, 2_000
# Ranges of paths of one query.
MAX_RANGES = 100


class Piece(NamedTuple):
    """Objects of one table. `around` are all objects in the same partitions, and perhaps more.

    `prefix` is what keys must begin with. `forms` are the formats of the objects, for a plan.
    """

    table: Table
    objects: tuple[Item, ...]
    around: tuple[Item, ...]
    prefix: str
    forms: tuple[Form, ...] = ()

    def charged(self, times: KeyTimes) -> list[Item]:
        """All objects in the selected partitions: it is not documented that Athena spares those that paths rule out."""
        return _in_partitions(self.around, self._values(times))

    def scan(self, times: KeyTimes) -> Scan:
        """Return what a query for a part of the window reads."""
        values = self._values(times)
        # Years and months of a piece are one; days are a range.
        spans = {name: (days[0], days[-1]) for name, days in values.items() if name == 'day'}
        chosen = {
            name: found for name, found in values.items() if name not in spans and (name != 'hour' or len(found) < 24)
        }
        is_folder = len(self.prefix) > len(self.table.folders.base)
        within = f's3://{self.table.bucket}/{self.prefix}' if is_folder else ''
        return Scan(self.table, chosen, spans, times, self._ranges(values, times), within)

    def _values(self, times: KeyTimes) -> dict[str, list[str]]:
        """The values of the partition columns of the objects for a part of the window; there is at least one object."""
        objects = [item for item in self.objects if times.hold(item)] or [self.objects[0]]
        return {name: sorted({item.value(name) for item in objects}) for name in self.table.folders.columns}

    def _ranges(self, values: Mapping[str, Sequence[str]], times: KeyTimes) -> list[tuple[str, str]]:
        """Ranges of paths that leave out objects in these partitions; none if there are no such objects."""
        partitions = _in_partitions(self.around, values)
        own = self.table.folders
        runs = [
            [*run] for holds, run in groupby(partitions, lambda item: item.folders == own and times.hold(item)) if holds
        ]
        if len(runs) > MAX_RANGES or sum(map(len, runs)) == len(partitions):
            return []
        bucket = f's3://{self.table.bucket}/'
        return [(bucket + run[0].key.name, bucket + run[-1].key.name) for run in runs]


def pieces_of(objects: Sequence[Item], database: str, bucket: str, prefix: str, times: KeyTimes) -> Iterator[Piece]:
    """Yield the pieces that have objects of these times: of one table, few accounts and flow logs each.

    If the folders are Hive-compatible, a piece has one month. `objects` are all in the partitions that are read.
    """
    by_table: defaultdict[tuple[Folders, tuple[str, ...]], list[Item]] = defaultdict(list)
    # Text and Parquet may be in the same folders.
    by_folder: defaultdict[tuple[Folders, tuple[str, ...]], list[Item]] = defaultdict(list)
    for item in objects:
        month = tuple(item.value(name) for name in ('year', 'month') if name in item.folders.columns)
        by_table[item.folders, month].append(item)
        by_folder[item.folders._replace(parquet=False), month].append(item)
    for (folders, month), found in sorted(by_table.items()):
        around = tuple(by_folder[folders._replace(parquet=False), month])
        for some in _by_accounts(found):
            if own := tuple(item for item in some if times.hold(item)):
                yield Piece(Table(database, bucket, folders), own, around, prefix)


def _by_accounts(objects: Iterable[Item]) -> Iterator[list[Item]]:
    waiting: list[Item] = []
    accounts: set[str] = set()
    flow_logs: set[str] = set()
    for account, run in groupby(sorted(objects, key=_account_order), key=lambda item: item.value('acct')):
        own = [*run]
        ids = {item.flow_log for item in own}
        if waiting and (len(accounts) >= MAX_VALUES or len(flow_logs | ids) > MAX_FLOW_LOGS):
            yield waiting
            waiting, accounts, flow_logs = [], set(), set()
        waiting += own
        accounts.add(account)
        flow_logs |= ids
    if waiting:
        yield waiting


def _account_order(item: Item) -> tuple[str, str]:
    return item.value('acct'), item.key.name


def _in_partitions(objects: Sequence[Item], values: Mapping[str, Sequence[str]]) -> list[Item]:
    """The objects in the partitions that have these values; days from the first to the last."""

    def holds(place: Place) -> bool:
        pairs = zip(place.folders.columns, place.values)
        return all(
            values[name][0] <= value <= values[name][-1] if name == 'day' else value in values[name]
            for name, value in pairs
        )

    held = {place: holds(place) for place in {item.place for item in objects}}
    return [item for item in objects if held[item.place]]
