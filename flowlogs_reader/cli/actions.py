"""The table of actions: their arguments, help texts and default output.

engines/local.py has a function for each action. --help needs this module, so functions here import what takes long.
"""

from __future__ import annotations

from ..errors import UsageError
from ..records.fields import KNOWN, MEASURES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..query.groups import GroupKey

# What the bars of a timeline can show.
TIMELINE_MEASURES = (*MEASURES, 'rejected')


class Action:
    """A row. `ask` checks the arguments and returns members of a Query. It raises UsageError.

    `about` is what the overview of --help says, `details` what --help says of the action alone.

    `records` says that the result is records, not a table. `times` is the default form of times, `header` says whether
    there is a header by default, and `bars` whether rows are intervals whose measure is drawn on a terminal. `page`
    says that the output is a page.
    """

    def __init__(
        self,
        arguments: str,
        about: str,
        details: str,
        ask: Callable[[Sequence[str], Namespace], dict[str, Any]],
        records: bool = False,
        times: str = 'epoch',
        header: bool = True,
        bars: bool = False,
        page: bool = False,
    ) -> None:
        self.arguments = arguments
        self.about = about
        self.details = details
        self.ask = ask
        self.records = records
        self.times = times
        self.header = header
        self.bars = bars
        self.page = page


def ask_print(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    if options.follow and arguments:
        raise UsageError('print N does not go with --follow, which has no end: … print --follow | head -n N does')
    if len(arguments) > 1:
        raise UsageError(f'print takes one number at most, not {" ".join(arguments)!r}')
    count = arguments[0] if arguments else '0'
    if not _is_number(count):
        raise UsageError(f'print takes how many records to print, 0 or more, not {count!r}')
    return {'limit': int(count) or None}


def ask_findip(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    from ..query.conditions import find_addresses

    if not arguments:
        raise UsageError('findip takes one or more IP addresses or CIDR blocks')
    return {'conditions': (find_addresses(arguments),)}


def ask_ipset(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    if arguments:
        raise UsageError(f'ipset takes no arguments, not {" ".join(arguments)!r}')
    return {}


def ask_top(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    from ..query.conditions import EITHER
    from ..query.groups import parse_keys

    count, names = _counted(arguments, 'top')
    _check_number_first('top', names, str.isdigit)
    try:
        keys = parse_keys(names or ('srcaddr', 'dstaddr'), MEASURES, options.fields or (), EITHER)
    except UsageError as error:
        raise UsageError(f'top takes a number and fields: {error}', error.cause) from None
    distinct = _distinct(options, keys)
    measures = (*MEASURES, *(key.name for key in distinct))
    _check_by(options, measures)
    measure = _measure(options.by, measures, MEASURES[0], 'top')
    if options.share and measure not in MEASURES:
        raise UsageError(f'--share is of bytes, packets or flows, which --by chooses; not of {measure}')
    return {
        'keys': keys, 'limit': count, 'distinct': distinct, 'measure': measure, 'share': bool(options.share),
        'compare': _compare(options),
    }  # fmt: skip


def _check_by(options: Namespace, measures: Sequence[str]) -> None:
    """Raises UsageError if --by is a field that --distinct would count."""
    from ..records.layout import normalise

    if options.by and options.by not in measures and normalise(options.by) in KNOWN:
        raise UsageError(f'--by {options.by} sorts by its distinct values: it goes with --distinct {options.by}')


def _compare(options: Namespace) -> int | None:
    """Return how many seconds earlier the window of --compare is."""
    from ..query.typed_times import parse_length

    if options.compare is None:
        return None
    for name in ('distinct', 'share', 'human'):
        if getattr(options, name):
            raise UsageError(f'--compare does not go with --{name}')
    return int(parse_length(options.compare).total_seconds())


def _counted(arguments: Sequence[str], action: str) -> tuple[int | None, Sequence[str]]:
    """Return the number of rows with which the arguments begin, or None, and the other arguments."""
    if not arguments or not _is_number(arguments[0]):
        return None, arguments
    if not int(arguments[0]):
        raise UsageError(f'{action} takes how many rows to print, 1 or more, not 0')
    return int(arguments[0]), arguments[1:]


def _check_number_first(action: str, names: Sequence[str], is_number: Callable[[str], bool]) -> None:
    """Raises UsageError if a number, or a length of time, comes after a field."""
    for name in names[1:]:
        if is_number(name):
            others = [other for other in names if other is not name]
            raise UsageError(f'{name} comes before the fields: {action} {name} {" ".join(others)}')


def _distinct(options: Namespace, keys: Sequence[GroupKey]) -> tuple[GroupKey, ...]:
    """Return the keys of --distinct. Raises UsageError if they are not fields, or are keys already."""
    from ..query.groups import parse_keys

    try:
        distinct = parse_keys(options.distinct or (), MEASURES, options.fields or ())
    except UsageError as error:
        raise UsageError(f'--distinct takes fields: {error}', error.cause) from None
    for key in distinct:
        if key in keys:
            raise UsageError(f'--distinct {key.name}: {key.name} is a key already, and has one value in each row')
    for key in keys:
        if distinct and len(key.fields) > 1:
            raise UsageError(f'--distinct does not go with {key.name}: give {" or ".join(key.fields)}')
    return distinct


def ask_aggregate(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    from ..query.groups import check_both_ways, parse_keys
    from ..query.query import FIVE_TUPLE

    count, names = _counted(arguments, 'aggregate')
    _check_number_first('aggregate', names, str.isdigit)
    if count and not options.by:
        raise UsageError(f'aggregate {count}: a number of rows goes with --by, which sorts them')
    summed = ('packets', 'bytes', 'start', 'end', 'flows')
    keys = parse_keys(names or FIVE_TUPLE, summed, options.fields or ())
    if options.both_ways:
        check_both_ways(keys)
    measure = _measure(options.by, MEASURES, MEASURES[0], 'aggregate')
    return {
        'keys': keys, 'limit': count, 'measure': measure, 'ranked': bool(options.by),
        'both_ways': bool(options.both_ways), 'flows': bool(options.flows) or options.by == 'flows',
    }  # fmt: skip


def ask_timeline(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    from ..query.groups import parse_keys
    from ..query.typed_times import parse_length

    timed = bool(arguments) and arguments[0][:1].isdigit()
    _check_number_first('timeline', arguments[timed:], lambda text: text[:1].isdigit())
    summed = ('start', *TIMELINE_MEASURES, 'accepted')
    try:
        keys = parse_keys(arguments[timed:], summed, options.fields or ())
    except UsageError as error:
        raise UsageError(f'timeline takes a length of time, such as 5m, and a field: {error}', error.cause) from None
    if len(keys) > 1:
        raise UsageError(f'timeline takes one field, not {" ".join(key.name for key in keys)!r}')
    return {
        'keys': keys,
        'interval': int(parse_length(arguments[0] if timed else '1m').total_seconds()),
        'measure': _measure(options.by, TIMELINE_MEASURES, 'flows', 'timeline'),
    }


def _measure(given: str | None, measures: Sequence[str], default: str, action: str) -> str:
    """Return what --by says. Raises UsageError if it is not one of these measures."""
    if given is None:
        return default
    if given not in measures:
        raise UsageError(f'--by of {action} is {", ".join(measures[:-1])} or {measures[-1]}; not {given[:40]!r}')
    return given


def ask_report(arguments: Sequence[str], options: Namespace) -> dict[str, Any]:
    if len(arguments) > 1 or arguments and not (_is_number(arguments[0]) and int(arguments[0])):
        raise UsageError(f'report takes how many rows a table has, 1 or more, not {" ".join(arguments)!r}')
    return {'limit': int(arguments[0]) if arguments else None}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


ACTIONS: dict[str, Action] = {
    'print': Action(
        '[N]',
        'the records, or the first N (the default action)',
        'They are as AWS wrote them, oldest first: the 14 default fields, then the others. -c chooses columns.',
        ask_print,
        records=True,
        header=False,
    ),
    'findip': Action(
        'IP ...',
        'the records with one of these addresses or blocks',
        'An address may be srcaddr, dstaddr, pkt_srcaddr or pkt_dstaddr. A block is a CIDR block, such as 10.0.0.0/8.',
        ask_findip,
        records=True,
        header=False,
    ),
    'ipset': Action(
        '',
        'each address that occurs, once, sorted',
        'The addresses are those of srcaddr and dstaddr, in numeric order, IPv4 before IPv6.',
        ask_ipset,
        header=False,
    ),
    'top': Action(
        '[N] [FIELD ...]',
        'the 10 or N largest pairs of hosts, or of FIELDs',
        'A row has the bytes, packets and flows of a group. A FIELD may be an address with a prefix length '
        '(srcaddr/24) or a mapping (srcaddr/class, srcaddr/az). addr and port count a flow at both its ends.',
        ask_top,
    ),
    'aggregate': Action(
        '[N] [FIELD ...]',
        'packets and bytes of each five-tuple, or FIELDs',
        'A row also has the first start and the last end. With --by the rows are sorted, and N is their number.',
        ask_aggregate,
        times='date',
    ),
    'timeline': Action(
        '[INTERVAL] [FIELD]',
        'flows in each minute, or INTERVAL, by verdict',
        'A row has the flows, bytes, packets, accepted and rejected flows of an interval, also of one without flows. '
        'With a FIELD there is a row for each of its values.',
        ask_timeline,
        times='iso',
        bars=True,
    ),
    'report': Action(
        '[N]',
        'a page (HTML) with charts and tables of N rows',
        'It loads nothing: send it to a file. It needs plotly.',
        ask_report,
        page=True,
    ),
}
