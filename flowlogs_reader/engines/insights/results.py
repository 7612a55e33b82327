"""The rows of an answer of CloudWatch Logs Insights, as groups and lines. All values are text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from ...errors import FlowLogsError, IncompleteError
from ..remote.contract import Group, Line
from ..remote.plan import Part, Plan
from .text import FLOWS, RAW, SUMS, own_keys

# Sums are probably made in 64-bit floating point: integers are exact below this.
MAX_SUM = 2**53


def first_lines(plan: Plan, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows of a cut answer before its last moment, if there are enough plain ones; or no rows."""
    if not (plan.lines and plan.limit and rows):
        return []
    last = max(row.get('@timestamp', '') for row in rows)
    first = [row for row in rows if row.get('@timestamp', '') < last]
    plain = re.compile('|'.join(map(line_pattern, plan.parts)))
    found = sum(1 for row in first if plain.fullmatch(row.get('@message', '')))
    return first if found >= plan.limit else []


def line_pattern(part: Part) -> str:
    """Return the regular expression of the plain lines of a part."""
    return ' '.join(part.patterns)


def line_of(row: Mapping[str, str]) -> Line:
    """Return the line that a row is. Raises IncompleteError if the row has none."""
    if '@message' not in row:
        raise IncompleteError('CloudWatch Logs Insights gave a row without its message')
    return Line(_bytes(row['@message']), order=row.get('@timestamp', ''))


def _bytes(message: str) -> bytes:
    # A line end inside a message must not make two records of it.
    return message.replace('\n', ' ').encode('utf-8', 'replace')


def groups(plan: Plan, at: int, rows: Iterable[Mapping[str, str]]) -> Iterator[Group | Line]:
    """Raises FlowLogsError if a value is not what was asked for, or not exact."""
    part = plan.parts[at]
    own = [(*each, re.compile(part.patterns[part.layout.position[each[1].field]])) for each in own_keys(part)]
    for row in rows:
        flows = _number(row.get(FLOWS, ''))
        first = row.get('k0', '')
        if first.startswith(RAW):
            yield Line(_bytes(first.removeprefix(RAW)), flows)
            continue
        keys = ['-'] * len(part.keys)
        for number, (place, key, pattern) in enumerate(own):
            value = row.get(f'k{number}', '')
            keys[place] = str(_number(value)) if key.bucket else value
            if not pattern.fullmatch(keys[place]):
                raise FlowLogsError(f'CloudWatch Logs Insights gave {value[:60]!r} for {key.field}')
        sums = {name: _number(row.get(SUMS[name][-1], '')) for name in plan.sums if part.has(name)}
        yield Group(
            at, tuple(keys), sums.get('packets', 0), sums.get('bytes', 0), sums.get('start'), sums.get('end'), flows
        )


def _number(text: str) -> int:
    """Raises FlowLogsError if a value is not a whole number, or not exact."""
    try:
        number = Decimal(text)
        is_whole = 0 <= number == number.to_integral_value()
    except InvalidOperation:
        is_whole = False
    if not is_whole:
        raise FlowLogsError(f'CloudWatch Logs Insights gave {text[:60]!r} for a number')
    if number >= MAX_SUM:
        raise FlowLogsError(
            f'CloudWatch Logs Insights gave a sum of {text[:60]}, which is not exact above {MAX_SUM:,}: give a '
            'shorter window'
        )
    return int(number)


def estimated(rows: Sequence[Mapping[str, str]]) -> bytes:
    """The number of bytes in the answer to `estimate`; nothing if there is none. AWS does not document its name."""
    values = {name: value for row in rows for name, value in row.items() if not name.startswith('@')}
    numbers = {name: number for name, value in values.items() if (number := _bytes_of(value)) is not None}
    named = {name: number for name, number in numbers.items() if 'byte' in name.lower()} or numbers
    return b'%d' % next(iter(named.values())) if len(named) == 1 else b''


def _bytes_of(text: str) -> int | None:
    try:
        return int(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return None
