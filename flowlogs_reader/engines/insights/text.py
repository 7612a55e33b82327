"""The query text of CloudWatch Logs Insights for a plan.

AWS discovers fields in the default format only. So the query parses ``@message``, with a regular expression for the
layout. It uses documented functions only: AmazonCloudWatch/latest/logs, CWL_QuerySyntax and the pages below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple

from ...errors import UsageError
from ...query.query import Window
from ...records.layout import Layout
from ..remote.plan import Key, Part, Plan, seconds_of

# The most rows of an answer (StartQuery).
MAX_ROWS = 100_000
# How many more lines are asked for than are wanted: the last moment may be incomplete, and some lines may be odd.
SPARE = 10_000
# Numbers of 15 digits are exact in 64-bit floating point.
DIGITS = 15
# The prefix of a whole line in the column of a key. No plain value has a space.
RAW = 'raw '
_PLAIN = re.compile('[!-~]+')
# The text before and after the field of a sum, and its alias. Aliases differ from fields that AWS discovers itself.
SUMS = {
    'packets': ('sum(replace(', ', "-", "0"))', 'sPackets'),
    'bytes': ('sum(replace(', ', "-", "0"))', 'sBytes'),
    'start': ('min(', ')', 'sFirst'),
    'end': ('max(', ')', 'sLast'),
}
FLOWS = 'sFlows'
# Fields with few values.
_FEW = frozenset(['version', 'account_id', 'action', 'log_status', 'region', 'type', 'resource_type'])


def query_text(plan: Plan, at: int, window: Window) -> str:
    """Return the query of a part for a window. The query of the first part also returns all lines that are not plain.

    Raises UsageError if a condition cannot be written.
    """
    return '\n| '.join(_commands(plan, at, seconds_of(window)))


def _commands(plan: Plan, at: int, seconds: tuple[int, int]) -> Iterator[str]:
    part = plan.parts[at]
    names = _names(plan, part)
    yield f'parse @message {_expression(part, names)}'
    others = [*range(1, len(plan.parts))] if not at else [_index(plan, layout) for layout in part.earlier]
    for other in others:
        yield f'parse @message {_expression(plan.parts[other], {0: f"o{other}"})}'
    mark = names[min(names)]
    absent = [f'not ispresent(o{other})' for other in others]
    passed = [*_conditions(plan, part, names, seconds)]
    if at:
        yield f'filter {" and ".join([f"ispresent({mark})", *absent, *passed])}'
    elif not part.possible:
        yield f'filter {" and ".join([f"not ispresent({mark})", *absent])}'
    elif absent:
        plain = ' and '.join([f'ispresent({mark})', *passed])
        yield f'filter ({" and ".join([f"not ispresent({mark})", *absent])}) or ({plain})'
    elif passed:
        yield f'filter not ispresent({mark}) or ({" and ".join(passed)})'
    if plan.lines:
        yield 'fields @timestamp, @message'
        yield 'sort @timestamp asc'
    else:
        yield f'stats {", ".join(_sums(plan, part, names))} by {", ".join(_keys(plan, part, names))}'
    yield f'limit {most_rows(plan)}'


def most_rows(plan: Plan) -> int:
    """Return how many rows an answer may have: fewer than the most if only the first lines are wanted."""
    return min(MAX_ROWS, plan.limit + SPARE) if plan.lines and plan.limit else MAX_ROWS


def _index(plan: Plan, layout: Layout) -> int:
    return next(at for at, part in enumerate(plan.parts) if part.layout == layout)


def _names(plan: Plan, part: Part) -> dict[int, str]:
    """The names of the fields that the query needs, by their place. There is at least one: it marks plain lines."""
    places = part.tested
    fields = [part.time, *(() if plan.lines else (*(key.field for key in part.keys), *plan.sums, *part.flow))]
    places |= {part.layout.position[field] for field in fields if field in part.layout.position}
    if not (plan.lines or own_keys(part)):
        places.add(_least_varied(part.layout))
    names: dict[int, str] = {}
    for place in sorted(places or {0}):
        words = part.layout.fields[place].split('_')
        name = 'v' + ''.join(word.capitalize() for word in words)
        names[place] = name if name not in names.values() else f'{name}x{place}'
    return names


def _expression(part: Part, names: Mapping[int, str]) -> str:
    values = [
        f'(?<{names[place]}>{pattern})' if place in names else pattern for place, pattern in enumerate(part.patterns)
    ]
    return f'/^{" ".join(values)}$/'


def _conditions(plan: Plan, part: Part, names: Mapping[int, str], seconds: tuple[int, int]) -> Iterator[str]:
    position = part.layout.position
    if part.flow and not plan.lines:
        flow = [names[position[field]] for field in part.flow]
        if part.flow == ('log_status',):
            yield f'not ({flow[0]} = "NODATA" or {flow[0]} = "SKIPDATA")'
        else:
            missing = ' and '.join([f'{name} = "-"' for name in flow])
            yield f'not ({missing})'
    for places, negated, missed, kind, payload in part.tests:
        if kind == 'same':
            other, operator = payload
            either = [_compared(names[place], operator, names[other], missed) for place in places]
        else:
            either = [text for place in places for text in _alternatives(names[place], missed, kind, payload)]
        if either:
            yield f'not ({" or ".join(either)})' if negated else _any_of(either)
        else:
            yield _constant(names, negated)
    if part.time:
        # The time of the event, too: AWS delivers a record with the time of its start. Here windows are half-open.
        time = names[position[part.time]]
        yield f'{time} >= {seconds[0]} and {time} < {seconds[1]}'


def _constant(names: Mapping[int, str], value: bool) -> str:
    """A condition that all plain lines meet, or none."""
    mark = names[min(names)]
    return f'ispresent({mark})' if value else f'not ispresent({mark})'


def _alternatives(name: str, missing: bool, kind: str, payload: Any) -> list[str]:
    """What a value may be: it must meet one of these. Each is one comparison, one call, or in parentheses."""
    missed = [f'{name} = "-"'] if missing else []
    if kind == 'text':
        # Other text is in no plain line.
        texts = [text.decode() for text in payload if _PLAIN.fullmatch(text.decode()) and text != b'-']
        return [*missed, *_among(name, map(_quoted, texts))]
    if kind == 'number':
        known = [pair for pair in payload if pair[0] < 10**DIGITS]
        ranges = [
            *_among(name, [str(low) for low, high in known if low == high]),
            *(_in_range(name, low, high) for low, high in known if low < high),
        ]
        return [*missed, *([f'({name} != "-" and {_any_of(ranges)})'] if ranges else [])]
    if kind == 'flags':
        bits = [bit for bit in range(payload.bit_length()) if payload >> bit & 1]
        number = f'replace({name}, "-", "0")'
        # Insights has no bitwise operators.
        tests = [f'floor({number} / {1 << bit}) % 2 = 1' for bit in bits]
        return [*missed, f'({name} != "-" and {" and ".join(tests)})' if tests else f'{name} != "-"']
    if kind == 'address':
        own = [[(first, last) for first, last, family in payload if family == version] for version in (4, 6)]
        return [*missed, *_in_ranges(name, own[0], 4), *_in_ranges(name, own[1], 6)]
    raise UsageError(f'CloudWatch Logs Insights cannot compare by {kind}')


def _compared(name: str, operator: str, other: str, missing: bool) -> str:
    """A comparison of two numbers: of their difference with 0, since samples compare with literals only."""
    known = f'{name} != "-" and {other} != "-"'
    difference = ' - '.join(f'replace({each}, "-", "0")' for each in (name, other))
    return f'({f"not ({known}) or " if missing else f"{known} and "}{difference} {operator} 0)'


def _any_of(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f'({" or ".join(conditions)})'


def _among(name: str, values: Iterable[str]) -> list[str]:
    """A condition that a value is one of these, which are as in a query; none if there are no values."""
    known = [*values]
    if len(known) < 2:
        return [f'{name} = {value}' for value in known]
    return [f'{name} in [{", ".join(known)}]']


def _in_range(name: str, low: int, high: int) -> str:
    bounds = [f'{name} >= {low}'] if low else []
    if high < 10**DIGITS:
        bounds.append(f'{name} <= {high}')
    return f'({" and ".join(bounds)})' if bounds else f'{name} >= 0'


class _Block(NamedTuple):
    """The addresses of a network that are in none of the `holes`."""

    network: IPv4Network | IPv6Network
    holes: tuple[_Block, ...] = ()

    @property
    def networks(self) -> int:
        return 1 + sum(hole.networks for hole in self.holes)


def _in_ranges(name: str, ranges: Sequence[tuple[int, int]], version: int) -> list[str]:
    """Conditions of which an address in one of the ranges meets one. The ranges are in order, and no two touch."""
    return _in_blocks(name, _divided(0, 32 if version == 4 else 128, ranges, version)[0])


def _divided(first: int, bits: int, ranges: Sequence[tuple[int, int]], version: int) -> tuple[list[_Block], ...]:
    """Return blocks of what is in the ranges, and of what is not, of the 2^bits addresses from `first` on.

    They have few networks: `internet` is 156 networks, or 27 if some are holes in others.
    """
    last = first + (1 << bits) - 1
    own = [pair for pair in ranges if pair[0] <= last and pair[1] >= first]
    network = IPv4Network((first, 32 - bits)) if version == 4 else IPv6Network((first, 128 - bits))
    if not own:
        return [], [_Block(network)]
    if own[0][0] <= first and last <= own[0][1]:
        return [_Block(network)], []
    halves = [_divided(begin, bits - 1, own, version) for begin in (first, first + (1 << (bits - 1)))]
    inside, outside = (one + other for one, other in zip(*halves))
    counts = [sum(block.networks for block in blocks) for blocks in (inside, outside)]
    if counts[1] + 1 < counts[0]:
        return [_Block(network, tuple(outside))], outside
    if counts[0] + 1 < counts[1]:
        return inside, [_Block(network, tuple(inside))]
    return inside, outside


def _in_blocks(name: str, blocks: Iterable[_Block]) -> list[str]:
    # An IPv4 address has one spelling only: compare texts.
    hosts = [block for block in blocks if block.network.version == 4 and block.network.prefixlen == 32]
    others = [block for block in blocks if block not in hosts]
    return [
        *_among(name, [f'"{host.network[0]}"' for host in hosts]),
        *(_in_block(name, block) for block in others),
    ]


def _in_block(name: str, block: _Block) -> str:
    inside = f'isIpv{block.network.version}InSubnet({name}, "{block.network}")'
    return f'({inside} and not ({" or ".join(_in_blocks(name, block.holes))}))' if block.holes else inside


def _quoted(text: str) -> str:
    for quote in ('"', "'"):
        if quote not in text and '\\' not in text:
            return f'{quote}{text}{quote}'
    raise UsageError(f'CloudWatch Logs Insights cannot compare with {text[:40]!r}')


def _sums(plan: Plan, part: Part, names: Mapping[int, str]) -> Iterator[str]:
    yield f'count(*) as {FLOWS}'
    for field in plan.sums:
        if part.has(field):
            before, after, alias = SUMS[field]
            yield f'{before}{names[part.layout.position[field]]}{after} as {alias}'


def own_keys(part: Part) -> list[tuple[int, Key]]:
    """The keys that the layout has, with their indexes: a plain one first, if there is one."""
    keys = [(at, key) for at, key in enumerate(part.keys) if part.has(key.field)]
    return sorted(keys, key=lambda each: each[1].bucket is not None)


def _least_varied(layout: Layout) -> int:
    """The place of a field to group by if the layout has none of the keys: so there are few rows, not all lines."""
    return next((place for place, field in enumerate(layout.fields) if field in _FEW), 0)


def _keys(plan: Plan, part: Part, names: Mapping[int, str]) -> Iterator[str]:
    """The keys, and in place of the first one the whole line if it is not plain."""
    line = f'concat("{RAW}", @message)'
    own = [key for _, key in own_keys(part)] or [Key(part.layout.fields[_least_varied(part.layout)])]
    for at, key in enumerate(own):
        value = _key(key, names[part.layout.position[key.field]])
        # Lines that are not plain have no keys. Whether rows without one of them come back is not documented.
        missing = line if not at else '"-"' if key.bucket is None else '0'
        yield f'coalesce({value}, {missing}) as k{at}' if part is plan.parts[0] else f'{value} as k{at}'


def _key(key: Key, name: str) -> str:
    if key.bucket is None:
        return name
    seconds, offset = key.bucket
    return f'{name} - ({f"({name} + {offset})" if offset else name} % {seconds})'
