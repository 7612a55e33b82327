"""What can be done with the records: one small function for each action, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from heapq import nsmallest
from ipaddress import ip_address
from operator import attrgetter
from typing import NamedTuple, Protocol

from .aggregation import FIVE_TUPLE, SUMMED, Total
from .conditions import Condition, find_addresses
from .errors import FlowLogsError
from .layout import Layout
from .output import Writer
from .reader import BaseReader
from .tables import Conversations, FlowTable, Key, check_both_ways, parse_keys
from .timeline import Timeline
from .timespec import UTC, parse_length

TOP = 10
MEASURES = ('bytes', 'packets', 'flows')
# Options that go with some actions only, by their names in a Namespace.
RECORDS = ('columns', 'raw', 'times', 'follow')


@dataclass(frozen=True)
class Settings:
    """What the options say to the actions. `window` is [start, end) in Unix seconds, None where all is read."""

    by: str = 'bytes'
    flows: bool = False
    both_ways: bool = False
    raw: bool = False
    extra_fields: tuple[str, ...] = ()
    window: tuple[int, int] | None = None
    tz: tzinfo = UTC


class Plan(NamedTuple):
    """What an action will do, once its arguments are checked.

    `fields` are those that the log should have for it. With `sums` the result is too low where AWS skipped records.
    """

    run: Callable[[BaseReader, Writer], None]
    conditions: tuple[Condition, ...] = ()
    fields: tuple[str, ...] = ()
    sums: bool = False


class Action(NamedTuple):
    """`plan` checks the arguments, and raises ValueError that says what is wrong with them."""

    arguments: str
    about: str
    plan: Callable[[Sequence[str], Settings], Plan]
    options: tuple[str, ...]


class Summing(Protocol):
    """What flows can be added to."""

    def add(self, layout: Layout, data: bytes) -> None: ...


def plan_print(arguments: Sequence[str], settings: Settings) -> Plan:
    if len(arguments) > 1:
        raise ValueError(f'print takes one number at most, not {" ".join(arguments)!r}')
    count = arguments[0] if arguments else '0'
    if not _is_number(count):
        raise ValueError(f'print takes how many records to print, 0 or more, not {count!r}')
    return Plan(partial(print_records, limit=int(count) or None, raw=settings.raw))


def print_records(reader: BaseReader, writer: Writer, limit: int | None = None, raw: bool = False) -> None:
    write = writer.raw if raw else writer.records
    for block in reader.blocks(limit, raw):
        write(block)


def plan_findip(arguments: Sequence[str], settings: Settings) -> Plan:
    if not arguments:
        raise ValueError('findip takes one or more IP addresses or CIDR blocks')
    return Plan(partial(print_records, raw=settings.raw), (find_addresses(arguments),))


def plan_ipset(arguments: Sequence[str], settings: Settings) -> Plan:
    if arguments:
        raise ValueError(f'ipset takes no arguments, not {" ".join(arguments)!r}')
    return Plan(print_addresses)


def print_addresses(reader: BaseReader, writer: Writer) -> None:
    """Each address once, in numeric order, IPv4 before IPv6."""
    seen: set[bytes] = set()
    for block in reader.blocks(columns=('srcaddr', 'dstaddr')):
        for name in ('srcaddr', 'dstaddr'):
            seen.update(address for (address,) in set(block.layout.rows(block.data, [name])))
    seen.discard(b'-')
    writer.addresses(sorted(seen, key=_address_order))


def _address_order(text: bytes) -> tuple[int, int, bytes]:
    try:
        address = ip_address(text.decode())
    except ValueError:
        return 9, 0, text
    return address.version, int(address), text


def plan_aggregate(arguments: Sequence[str], settings: Settings) -> Plan:
    keys = parse_keys(arguments or FIVE_TUPLE, SUMMED, settings.extra_fields)
    if settings.both_ways:
        check_both_ways(keys)
    return Plan(partial(print_aggregate, keys=keys, settings=settings), fields=_fields(keys), sums=True)


def print_aggregate(reader: BaseReader, writer: Writer, keys: Sequence[Key], settings: Settings) -> None:
    """The flows of each key: columns in alphabetical order, as flowlogs-reader 5.0.1 writes them."""
    table = Conversations(keys) if settings.both_ways else FlowTable(keys)
    header = sorted(name for name in table.columns if name != 'flows' or settings.flows)
    write = partial(writer.totals, header, table.columns, table.lines, times='date')
    sum_up(reader, table, write, _fields(keys))


def plan_top(arguments: Sequence[str], settings: Settings) -> Plan:
    counted = bool(arguments) and _is_number(arguments[0])
    count = int(arguments[0]) if counted else TOP
    if not count:
        raise ValueError('top takes how many rows to print, 1 or more, not 0')
    try:
        keys = parse_keys(arguments[counted:] or ('srcaddr', 'dstaddr'), MEASURES, settings.extra_fields)
    except ValueError as error:
        raise ValueError(f'top takes a number and fields: {error}') from None
    return Plan(partial(print_top, keys=keys, count=count, by=settings.by), fields=_fields(keys), sums=True)


def print_top(reader: BaseReader, writer: Writer, keys: Sequence[Key], count: int, by: str) -> None:
    """The keys with the most bytes, packets or flows; what is equal comes in the order of its text."""
    table = FlowTable(keys)
    measure: Callable[[Total], int] = attrgetter(by)

    def write() -> None:
        first = nsmallest(count, table.totals(), key=lambda total: (-measure(total), total.key))
        rows = ([total.bytes, total.packets, total.flows, *map(bytes.decode, total.key)] for total in first)
        writer.table([*MEASURES, *(key.name for key in keys)], rows)

    sum_up(reader, table, write, _fields(keys))


def plan_timeline(arguments: Sequence[str], settings: Settings) -> Plan:
    if len(arguments) > 1:
        raise ValueError(f'timeline takes one length of time, such as 5m, not {" ".join(arguments)!r}')
    seconds = int(parse_length(arguments[0] if arguments else '1m').total_seconds())
    return Plan(partial(print_timeline, timeline=Timeline(seconds, settings.window, settings.tz)), sums=True)


def print_timeline(reader: BaseReader, writer: Writer, timeline: Timeline) -> None:
    header = ['start', 'flows', 'bytes', 'packets', 'accepted', 'rejected']
    sum_up(reader, timeline, lambda: writer.table(header, timeline.rows(), times='iso', bars='flows'), ('action',))
    if timeline.undated:
        raise FlowLogsError(f'{timeline.undated} flows are in no interval: the log does not say when they started')


def sum_up(reader: BaseReader, sums: Summing, write: Callable[[], None], fields: Iterable[str]) -> None:
    """Reads everything, then writes. What was read before an error is worth having, and is written all the same.

    `fields` are those that are looked at besides the sums.
    """
    failure = None
    try:
        for block in reader.blocks(columns=[*fields, *SUMMED]):
            sums.add(block.layout, block.data)
    except Exception as error:
        failure = error
    write()
    if failure:
        raise failure


def _fields(keys: Iterable[Key]) -> tuple[str, ...]:
    return tuple(key.field for key in keys)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


ACTIONS: dict[str, Action] = {
    'print': Action('[N]', 'the records, or the first N of them (the default action)', plan_print, RECORDS),
    'findip': Action('IP ...', 'the records with one of these addresses or blocks', plan_findip, RECORDS),
    'ipset': Action('', 'each address that occurs, once, sorted', plan_ipset, ()),
    'top': Action(
        '[N] [FIELD ...]', 'the 10, or N, pairs of hosts, or FIELDs, with most bytes', plan_top, ('times', 'by')
    ),
    'aggregate': Action(
        '[FIELD ...]',
        'packets and bytes of each five-tuple, or FIELDs',
        plan_aggregate,
        ('times', 'flows', 'both_ways'),
    ),
    'timeline': Action('[INTERVAL]', 'flows in each minute, or INTERVAL, by verdict', plan_timeline, ('times',)),
}
