"""What can be done with the records: one small function for each action, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from .aggregation import FIVE_TUPLE, Table
from .conditions import Condition, find_addresses
from .output import Writer
from .reader import BaseReader


class Plan(NamedTuple):
    """What an action will do, once its arguments are checked."""

    run: Callable[[BaseReader, Writer], None]
    conditions: tuple[Condition, ...] = ()


class Action(NamedTuple):
    """`plan` checks the arguments, and raises ValueError that says what is wrong with them."""

    arguments: str
    about: str
    plan: Callable[[Sequence[str]], Plan]


def plan_print(arguments: Sequence[str]) -> Plan:
    if len(arguments) > 1:
        raise ValueError(f'print takes one number at most, not {" ".join(arguments)!r}')
    count = arguments[0] if arguments else '0'
    if not (count.isascii() and count.isdigit()):
        raise ValueError(f'print takes how many records to print, 0 or more, not {count!r}')
    return Plan(partial(print_records, limit=int(count) or None))


def print_records(reader: BaseReader, writer: Writer, limit: int | None = None) -> None:
    for block in reader.blocks(limit):
        writer.records(block)


def plan_findip(arguments: Sequence[str]) -> Plan:
    if not arguments:
        raise ValueError('findip takes one or more IP addresses')
    return Plan(print_records, (find_addresses(arguments),))


def plan_ipset(arguments: Sequence[str]) -> Plan:
    _no_arguments('ipset', arguments)
    return Plan(print_addresses)


def print_addresses(reader: BaseReader, writer: Writer) -> None:
    """Each address once, in numeric order, IPv4 before IPv6."""
    seen: set[bytes] = set()
    for block in reader.blocks():
        for name in ('srcaddr', 'dstaddr'):
            seen.update(address for (address,) in set(block.layout.rows(block.data, [name])))
    seen.discard(b'-')
    writer.lines(sorted(seen, key=_address_order))


def _address_order(text: bytes) -> tuple[int, int, bytes]:
    try:
        address = ip_address(text.decode())
    except ValueError:
        return 9, 0, text
    return address.version, int(address), text


def plan_aggregate(arguments: Sequence[str]) -> Plan:
    _no_arguments('aggregate', arguments)
    return Plan(print_aggregate)


def print_aggregate(reader: BaseReader, writer: Writer) -> None:
    """The flows of each five-tuple: columns in alphabetical order, as flowlogs-reader 5.0.1 writes them."""
    table = Table(FIVE_TUPLE)
    for block in reader.blocks():
        table.add(block.layout, block.data)
    header = sorted([*FIVE_TUPLE, 'packets', 'bytes', 'start', 'end'])
    rows = []
    for total in table.totals():
        row: dict[str, object] = dict(zip(FIVE_TUPLE, map(bytes.decode, total.key)))
        row.update(packets=total.packets, bytes=total.bytes, start=_date(total.start), end=_date(total.end))
        rows.append([row[name] for name in header])
    writer.table(header, rows)


def _date(seconds: int | None) -> str:
    return '-' if seconds is None else str(datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None))


def _no_arguments(action: str, arguments: Sequence[str]) -> None:
    if arguments:
        raise ValueError(f'{action} takes no arguments, not {" ".join(arguments)!r}')


ACTIONS: dict[str, Action] = {
    'print': Action('[N]', 'the records, or the first N of them (the default action)', plan_print),
    'findip': Action('IP ...', 'the records with one of these addresses at either end', plan_findip),
    'ipset': Action('', 'each address that occurs, once, sorted', plan_ipset),
    'aggregate': Action('', 'packets and bytes of each five-tuple, tab-separated', plan_aggregate),
}
