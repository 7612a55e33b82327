"""What can be done with the records: one small function for each action, in one table.

Imports stand in the functions: --help shows the table, and need not wait for what only a run takes.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from ..engines.sums import Total
    from ..engines.tables import Key
    from ..engines.timeline import Timeline
    from ..output.writer import Writer
    from ..records.layout import Column, Layout
    from ..sources.base import BaseReader
    from .plan import Plan, Settings

    class Summing(Protocol):
        """What flows can be added to."""

        def names(self, layout: Layout) -> Sequence[str]:
            """The columns that it needs (see Layout.columns)."""

        def add(self, layout: Layout, columns: Sequence[Column]) -> None: ...


TOP = 10
MEASURES = ('bytes', 'packets', 'flows')
# Options that go with some actions only, by their names in a Namespace.
RECORDS = ('columns', 'raw', 'times', 'follow')


class Action:
    """What an action takes and does.

    `plan` checks the arguments, and raises ValueError that says what is wrong with them. `options` are its own.
    """

    def __init__(
        self, arguments: str, about: str, plan: Callable[[Sequence[str], Settings], Plan], options: tuple[str, ...]
    ) -> None:
        self.arguments = arguments
        self.about = about
        self.plan = plan
        self.options = options


def plan_print(arguments: Sequence[str], settings: Settings) -> Plan:
    from .plan import Plan

    if len(arguments) > 1:
        raise ValueError(f'print takes one number at most, not {" ".join(arguments)!r}')
    count = arguments[0] if arguments else '0'
    if not _is_number(count):
        raise ValueError(f'print takes how many records to print, 0 or more, not {count!r}')
    return Plan(partial(print_records, limit=int(count) or None, raw=settings.raw))


def print_records(reader: BaseReader, writer: Writer, limit: int | None = None, raw: bool = False) -> None:
    write = writer.raw if raw else writer.records
    for block in reader.blocks(limit, raw, writer.columns):
        write(block)


def plan_findip(arguments: Sequence[str], settings: Settings) -> Plan:
    from ..query.conditions import find_addresses
    from .plan import Plan

    if not arguments:
        raise ValueError('findip takes one or more IP addresses or CIDR blocks')
    return Plan(partial(print_records, raw=settings.raw), (find_addresses(arguments),))


def plan_ipset(arguments: Sequence[str], settings: Settings) -> Plan:
    from .plan import Plan

    if arguments:
        raise ValueError(f'ipset takes no arguments, not {" ".join(arguments)!r}')
    return Plan(print_addresses)


class Addresses:
    """Each address once."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def names(self, layout: Layout) -> Sequence[str]:
        return 'srcaddr', 'dstaddr'

    def add(self, layout: Layout, columns: Sequence[Column]) -> None:
        self.seen.update(*columns)


def print_addresses(reader: BaseReader, writer: Writer) -> None:
    """Each address once, in numeric order, IPv4 before IPv6."""
    addresses = Addresses()

    def write() -> None:
        writer.addresses(sorted(addresses.seen - {b'-'}, key=_address_order))

    sum_up(reader, addresses, write, ('srcaddr', 'dstaddr'))


def _address_order(text: bytes) -> tuple[int, int, bytes]:
    from ipaddress import ip_address

    try:
        address = ip_address(text.decode())
    except ValueError:
        return 9, 0, text
    return address.version, int(address), text


def plan_aggregate(arguments: Sequence[str], settings: Settings) -> Plan:
    from ..engines.sums import FIVE_TUPLE, SUMMED
    from ..engines.tables import check_both_ways, parse_keys
    from .plan import Plan

    keys = parse_keys(arguments or FIVE_TUPLE, (*SUMMED, 'flows'), settings.extra_fields)
    if settings.both_ways:
        check_both_ways(keys)
    # As flowlogs-reader 5.0.1 had no other keys, a log may lack some of them.
    fields = _fields(keys) if arguments else ()
    return Plan(partial(print_aggregate, keys=keys, settings=settings), fields=fields, sums=True)


def print_aggregate(reader: BaseReader, writer: Writer, keys: Sequence[Key], settings: Settings) -> None:
    """The flows of each key: columns in alphabetical order, as flowlogs-reader 5.0.1 writes them."""
    from ..engines.tables import Conversations, FlowTable

    table = Conversations(keys) if settings.both_ways else FlowTable(keys)
    header = sorted(name for name in table.columns if name != 'flows' or settings.flows)
    write = partial(writer.totals, header, table.columns, table.lines, times='date')
    sum_up(reader, table, write, _fields(keys))


def plan_top(arguments: Sequence[str], settings: Settings) -> Plan:
    from ..engines.tables import parse_keys
    from .plan import Plan

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
    from heapq import nsmallest

    from ..engines.tables import FlowTable

    table = FlowTable(keys)
    measure: Callable[[Total], int] = attrgetter(by)

    def write() -> None:
        first = nsmallest(count, table.totals(), key=lambda total: (-measure(total), total.key))
        rows = ([total.bytes, total.packets, total.flows, *map(bytes.decode, total.key)] for total in first)
        writer.table([*MEASURES, *(key.name for key in keys)], rows)

    sum_up(reader, table, write, _fields(keys))


def plan_timeline(arguments: Sequence[str], settings: Settings) -> Plan:
    from ..engines.timeline import Timeline
    from ..query.typed_times import parse_length
    from .plan import Plan

    if len(arguments) > 1:
        raise ValueError(f'timeline takes one length of time, such as 5m, not {" ".join(arguments)!r}')
    seconds = int(parse_length(arguments[0] if arguments else '1m').total_seconds())
    return Plan(partial(print_timeline, timeline=Timeline(seconds, settings.window, settings.tz)), sums=True)


def print_timeline(reader: BaseReader, writer: Writer, timeline: Timeline) -> None:
    from ..errors import FlowLogsError

    header = ['start', 'flows', 'bytes', 'packets', 'accepted', 'rejected']
    sum_up(reader, timeline, lambda: writer.table(header, timeline.rows(), times='iso', bars='flows'), ('action',))
    if timeline.undated:
        raise FlowLogsError(f'{timeline.undated} flows are in no interval: the log does not say when they started')


def sum_up(reader: BaseReader, sums: Summing, write: Callable[[], None], fields: Iterable[str]) -> None:
    """Reads everything, then writes. What was read before an error is worth having, and is written all the same.

    `fields` are those that are looked at besides the sums.
    """
    from ..engines.sums import SUMMED

    failure = None
    try:
        for layout, columns in reader.tables(sums.names, [*fields, *SUMMED]):
            sums.add(layout, columns)
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
    'print': Action('[N]', 'the records, or the first N of them; 0 is all (the default action)', plan_print, RECORDS),
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
