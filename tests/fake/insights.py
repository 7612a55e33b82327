"""CloudWatch Logs Insights: an interpreter of its query language, and StartQuery, GetQueryResults and StopQuery.

The interpreter knows what AWS documents (AmazonCloudWatch/latest/logs, CWL_QuerySyntax and the pages below it) and
refuses everything else. What AWS does not document is a setting, such as what a comparison with a missing field gives.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from tests.fake.loggroup import LogGroup
from tests.fake.wire import AwsError, Call, Params, Reply, Tokens

MAX_TEXT = 10_000
MAX_ROWS = 100_000
DEFAULT_ROWS = 10_000
PAGE_ROWS = 10_000
MAX_STATS = 10
# bin() cuts larger numbers without a word.
UNITS = {'ms': (1, 1000), 's': (1000, 60), 'm': (60_000, 60), 'h': (3_600_000, 24)}
# The fields that Insights finds in flow logs of the default format.
DISCOVERED = (
    'version', 'accountId', 'interfaceId', 'srcAddr', 'dstAddr', 'srcPort', 'dstPort', 'protocol', 'packets', 'bytes',
    'startTime', 'endTime', 'action', 'logStatus',
)  # fmt: skip
SYSTEM = ('@timestamp', '@message', '@logStream', '@ingestionTime', '@log', '@ptr')

Row = dict[str, Any]
Expression = Callable[[Row], Any]

_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*(?:
    (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>\d+(?:\.\d+)?(?:ms|s|m|h)?\b)
    |(?P<quoted>`[^`]+`)
    |(?P<name>@?[A-Za-z_][A-Za-z0-9_.]*)
    |(?P<operator>!=|<=|>=|=~|[-+*/^%=<>(),|\[\]])
    )""",
    re.VERBOSE,
)
_REGEX = re.compile(r'\s*/((?:[^/\\\n]|\\.)+)/')
_GROUP = re.compile(r'\(\?<([^>]*)>')
_WORDS = {'and', 'or', 'not', 'in', 'like', 'as', 'by', 'asc', 'desc'}


class Refused(Exception):
    """Insights does not take the query, or this interpreter does not know that it does."""


# -- values ------------------------------------------------------------------------------------------------------------


def number_of(value: Any) -> float | int | None:
    """The number that a value is, or None: a text that is none, or a missing value."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return value
    text = str(value).strip()
    if re.fullmatch(r'[-+]?\d+', text):
        return int(text)
    return float(text) if re.fullmatch(r'[-+]?\d+\.\d+', text) else None


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return '1' if value else '0'
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value).upper().replace('+', '')
    return str(value)


# -- the language ------------------------------------------------------------------------------------------------------


class Parser:
    """Parses a query. `unknown` is what a comparison with a missing value gives: 'null' or 'false'.

    With 'null' it is neither true nor false, and `not` leaves it so. With 'false' a missing value differs from every
    other. With `whole`, `stats` leaves out groups that lack one of their keys.
    """

    def __init__(self, text: str, unknown: str, whole: bool = False) -> None:
        self._text = text
        self._at = 0
        self._unknown = unknown
        self._whole = whole
        self._visible = {*SYSTEM, *DISCOVERED}
        self.limit: int | None = None
        self.estimates = False

    # tokens

    def _next(self, regex: bool = False) -> tuple[str, str]:
        if regex and (found := _REGEX.match(self._text, self._at)):
            return 'regex', found[1]
        match = _TOKEN.match(self._text, self._at)
        if not match:
            rest = self._text[self._at :].strip()
            if rest and not rest.startswith('#'):
                raise Refused(f'unexpected symbol found {rest[:20]!r} at {self._at}')
            return 'end', ''
        kind = match.lastgroup or ''
        return kind, match[kind]

    def _take(self, regex: bool = False) -> tuple[str, str]:
        token = self._next(regex)
        found = (_REGEX if token[0] == 'regex' else _TOKEN).match(self._text, self._at)
        self._at = found.end() if found else len(self._text)
        return token

    def _accept(self, *words: str) -> str:
        kind, value = self._next()
        if kind in ('operator', 'name') and value.lower() in words:
            self._take()
            return value.lower()
        return ''

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise Refused(f'{word!r} is missing before {self._text[self._at : self._at + 20]!r}')

    # commands

    def parse(self) -> list[Callable[[list[Row]], list[Row]]]:
        commands: list[tuple[str, Callable[[list[Row]], list[Row]]]] = []
        while True:
            kind, word = self._take()
            name = {'display': 'fields', 'where': 'filter'}.get(word.lower(), word.lower())
            make = {
                'fields': self._fields, 'filter': self._filter, 'parse': self._parse, 'stats': self._stats,
                'sort': self._sort, 'limit': self._limit, 'dedup': self._dedup, 'estimate': self._estimate,
            }.get(name)  # fmt: skip
            if kind != 'name' or make is None:
                raise Refused(f'unknown command {word!r}')
            earlier = [command for command, _ in commands]
            self._check_order(name, earlier)
            commands.append((name, make()))
            if not self._accept('|'):
                break
        if self._next()[0] != 'end':
            raise Refused(f'unexpected symbol found {self._next()[1]!r}')
        return [command for _, command in commands]

    @staticmethod
    def _check_order(name: str, earlier: Sequence[str]) -> None:
        if 'estimate' in earlier:
            raise Refused('estimate is the last command')
        if 'dedup' in earlier and name not in ('limit', 'estimate'):
            raise Refused('only limit may follow dedup')
        if name == 'stats' and ({'sort', 'limit'} & {*earlier}):
            raise Refused('sort and limit come after the last stats')
        if name == 'stats' and earlier.count('stats') == MAX_STATS:
            raise Refused('too many stats commands')

    def _fields(self) -> Callable[[list[Row]], list[Row]]:
        made = [*self._listed(self._named)]

        def run(rows: list[Row]) -> list[Row]:
            for row in rows:
                values = {name: value for name, expression in made if (value := expression(row)) is not None}
                row.update(values)
                row['_shown'] = [*dict.fromkeys([*row.get('_shown', ()), *(name for name, _ in made)])]
            return rows

        return run

    def _filter(self) -> Callable[[list[Row]], list[Row]]:
        condition = self._expression()
        return lambda rows: [row for row in rows if condition(row) is True]

    def _parse(self) -> Callable[[list[Row]], list[Row]]:
        source = self._name()
        kind, pattern = self._take(regex=True)
        if kind == 'regex':
            names = _GROUP.findall(pattern)
            if not names or not all(re.fullmatch('[A-Za-z][A-Za-z0-9]*', name) for name in names):
                raise Refused(f'the expression has no group, or a bad name: {names}')
            expression = re.compile(_GROUP.sub(r'(?P<\1>', pattern))
            if self._accept('as'):
                raise Refused('an expression names its groups itself')
        elif kind == 'string':
            glob = pattern[1:-1]
            self._expect('as')
            names = [*self._listed(self._new_name)]
            if glob.count('*') != len(names):
                raise Refused(f'{glob.count("*")} wildcards and {len(names)} names')
            pieces = [re.escape(piece) for piece in glob.split('*')]
            groups = ['(.*?)' for _ in names]
            if glob.endswith('*'):
                groups[-1] = '(.*)'
            expression = re.compile(
                ''.join(itertools.chain(*itertools.zip_longest(pieces, groups, fillvalue=''))), re.DOTALL
            )
        else:
            raise Refused('parse takes a text with wildcards, or an expression')
        self._define(names)

        def run(rows: list[Row]) -> list[Row]:
            for row in rows:
                if row.get(source) is not None and (found := expression.search(text_of(row[source]))):
                    row.update({name: value for name, value in zip(names, found.groups()) if value is not None})
            return rows

        return run

    def _stats(self) -> Callable[[list[Row]], list[Row]]:
        sums = [*self._listed(self._sum)]
        keys = [*self._listed(partial(self._named, define=False))] if self._accept('by') else []
        names = [name for name, _ in [*sums, *keys]]
        if len({*names}) < len(names):
            raise Refused(f'a name is given twice: {names}')
        if {name for name, _ in sums} & self._visible:
            raise Refused('an alias is the name of a field')
        self._visible = {*names}

        def run(rows: list[Row]) -> list[Row]:
            groups: dict[tuple[str | None, ...], list[Row]] = {}
            for row in rows:
                key = tuple(None if (value := made(row)) is None else text_of(value) for _, made in keys)
                groups.setdefault(key, []).append(row)
            if not keys and not groups:
                groups[()] = []
            found: list[Row] = []
            for key, members in groups.items():
                if self._whole and None in key:
                    continue
                values = {name: value for (name, _), value in zip(keys, key) if value is not None}
                values |= {name: value for name, total in sums if (value := total(members)) is not None}
                found.append({**values, '_shown': names})
            return _in_any_order(found)

        return run

    def _sum(self) -> tuple[str, Callable[[list[Row]], Any]]:
        begin = self._at
        function = self._name().lower()
        self._expect('(')
        if function == 'count' and self._accept('*', ')'):
            if self._text[self._at - 1] == '*':
                self._expect(')')
            total: Callable[[list[Row]], Any] = len
        else:
            value = self._expression()
            self._expect(')')
            total = partial(_aggregate(function), value)
        shown = self._text[begin : self._at].strip()
        return (self._new_name() if self._accept('as') else shown), total

    def _sort(self) -> Callable[[list[Row]], list[Row]]:
        orders = [*self._listed(self._order)]

        def run(rows: list[Row]) -> list[Row]:
            rows = _in_any_order(rows)
            for value, descending in reversed(orders):
                rows = sorted(rows, key=lambda row, value=value: _natural(value(row)), reverse=descending)
            return rows

        return run

    def _order(self) -> tuple[Expression, bool]:
        if word := self._accept('desc', 'asc'):
            # `sort desc` of AWS's own samples: by the only sum.
            return (lambda row: row[row['_shown'][0]]), word == 'desc'
        return self._expression(), self._accept('asc', 'desc') == 'desc'

    def _limit(self) -> Callable[[list[Row]], list[Row]]:
        kind, text = self._take()
        if kind != 'number' or not text.isdigit() or not 1 <= int(text) <= MAX_ROWS:
            raise Refused(f'limit takes a number up to {MAX_ROWS}, not {text!r}')
        self.limit = count = int(text)
        return lambda rows: rows[:count]

    def _dedup(self) -> Callable[[list[Row]], list[Row]]:
        names = [*self._listed(self._name)]

        def run(rows: list[Row]) -> list[Row]:
            seen: set[tuple[Any, ...]] = set()
            kept: list[Row] = []
            for row in rows:
                key = tuple(row.get(name) for name in names)
                if None in key or key not in seen:
                    kept.append(row)
                seen.add(key)
            return kept

        return run

    def _estimate(self) -> Callable[[list[Row]], list[Row]]:
        self.estimates = True
        return lambda rows: rows

    # names

    def _listed(self, one: Callable[[], Any]) -> Iterator[Any]:
        yield one()
        while self._accept(','):
            yield one()

    def _name(self) -> str:
        kind, text = self._take()
        if kind not in ('name', 'quoted') or text.lower() in _WORDS:
            raise Refused(f'{text!r} is not a name')
        return text.strip('`')

    def _new_name(self) -> str:
        name = self._name()
        if name.startswith('@'):
            raise Refused(f'{name} cannot be an alias')
        return name

    def _define(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._visible:
                raise Refused(f'{name} is there already')
            self._visible.add(name)

    def _named(self, define: bool = True) -> tuple[str, Expression]:
        begin = self._at
        value = self._expression()
        shown = self._text[begin : self._at].strip()
        if self._accept('as'):
            shown = self._new_name()
            if define:
                self._define([shown])
        return shown, value

    # expressions

    def _expression(self) -> Expression:
        value = self._and()
        while self._accept('or'):
            value = _either(value, self._and())
        return value

    def _and(self) -> Expression:
        value = self._not()
        while self._accept('and'):
            value = _both(value, self._not())
        return value

    def _not(self) -> Expression:
        if self._accept('not'):
            return _negated(self._not())
        return self._comparison()

    def _comparison(self) -> Expression:
        value = self._additive()
        operator = self._accept('=', '!=', '<', '<=', '>', '>=', '=~', 'like', 'in', 'not')
        if not operator:
            return value
        negated = operator == 'not'
        if negated:
            operator = self._accept('like', 'in')
            if not operator:
                raise Refused('not before a comparison takes like or in')
        if operator in ('like', '=~'):
            compared = self._like(value)
        elif operator == 'in':
            self._expect('[')
            listed = [*self._listed(self._literal)]
            self._expect(']')
            compared = self._any_of(value, listed)
        else:
            compared = partial(self._compare, operator, value, self._additive())
        return _negated(compared) if negated else compared

    def _like(self, value: Expression) -> Expression:
        kind, text = self._take(regex=True)
        if kind == 'regex':
            expression = re.compile(text)
        elif kind == 'string':
            expression = re.compile(re.escape(text[1:-1]))
        else:
            raise Refused('like takes a text or an expression')

        def like(row: Row) -> Any:
            found = value(row)
            return self._missing() if found is None else bool(expression.search(text_of(found)))

        return like

    def _any_of(self, value: Expression, listed: Sequence[Any]) -> Expression:
        compared = [partial(self._compare, '=', value, lambda row, one=one: one) for one in listed]

        def found(row: Row) -> Any:
            results = [one(row) for one in compared]
            return True if True in results else None if None in results else False

        return found

    def _literal(self) -> Any:
        kind, text = self._take()
        if kind == 'string':
            return self._unquoted(text)
        if kind == 'number' and text.replace('.', '', 1).isdigit():
            return number_of(text)
        raise Refused(f'{text!r} is not a value')

    @staticmethod
    def _unquoted(text: str) -> str:
        if '\\' in text:
            raise Refused('how to escape characters is not documented')
        return text[1:-1]

    def _missing(self) -> bool | None:
        return None if self._unknown == 'null' else False

    def _compare(self, operator: str, one: Expression, other: Expression, row: Row) -> bool | None:
        left, right = one(row), other(row)
        if left is None or right is None:
            return None if self._unknown == 'null' else operator == '!='
        if isinstance(left, bool) or isinstance(right, bool):
            raise Refused('a condition is compared with a value')
        numbers = number_of(left), number_of(right)
        numeric = not (isinstance(left, str) and isinstance(right, str))
        if operator in ('=', '!='):
            same = numbers[0] == numbers[1] if numeric else left == right
            return same if operator == '=' else not same
        if not numeric:
            raise Refused(f'{operator} compares numbers, not {left!r} and {right!r}')
        if None in numbers:
            return self._missing()
        before, after = numbers
        return {'<': before < after, '<=': before <= after, '>': before > after, '>=': before >= after}[operator]

    def _additive(self) -> Expression:
        value = self._multiplicative()
        while operator := self._accept('+', '-'):
            value = partial(_arithmetic, operator, value, self._multiplicative())
        return value

    def _multiplicative(self) -> Expression:
        value = self._power()
        while operator := self._accept('*', '/', '%'):
            value = partial(_arithmetic, operator, value, self._power())
        return value

    def _power(self) -> Expression:
        value = self._primary()
        if self._accept('^'):
            return partial(_arithmetic, '^', value, self._power())
        return value

    def _primary(self) -> Expression:
        if self._accept('('):
            value = self._expression()
            self._expect(')')
            return value
        if self._accept('-'):
            return partial(_arithmetic, '-', lambda row: 0, self._primary())
        kind, text = self._next()
        if kind in ('string', 'number'):
            constant = self._literal()
            return lambda row: constant
        name = self._name()
        if self._accept('('):
            return self._call(name.lower())
        if name not in self._visible:
            raise Refused(f'Unknown symbols found: {name}')
        return lambda row: row.get(name)

    def _call(self, function: str) -> Expression:
        if function == 'bin':
            return self._bin()
        arguments = [] if self._next()[1] == ')' else [*self._listed(self._expression)]
        self._expect(')')
        if function == 'ispresent':
            (argument,) = arguments
            return lambda row: argument(row) is not None
        if function == 'coalesce':
            return lambda row: next((value for each in arguments if (value := each(row)) is not None), None)
        if function not in FUNCTIONS:
            raise Refused(f'unknown function {function}')
        count, call = FUNCTIONS[function]
        if count is not None and len(arguments) != count:
            raise Refused(f'{function} takes {count} arguments, not {len(arguments)}')

        def value(row: Row) -> Any:
            values = [each(row) for each in arguments]
            return None if None in values else call(*values)

        return value

    def _bin(self) -> Expression:
        kind, text = self._take()
        match = re.fullmatch(r'(\d+)(ms|s|m|h)', text)
        if kind != 'number' or not match:
            raise Refused(f'bin takes a period of time, not {text!r}')
        self._expect(')')
        unit, most = UNITS[match[2]]
        length = min(int(match[1]), most) * unit
        return lambda row: timestamp_text(_ms_of(row['@timestamp']) // length * length)


def _both(one: Expression, other: Expression) -> Expression:
    def value(row: Row) -> Any:
        results = one(row), other(row)
        return False if False in results else None if None in results else True

    return value


def _either(one: Expression, other: Expression) -> Expression:
    def value(row: Row) -> Any:
        results = one(row), other(row)
        return True if True in results else None if None in results else False

    return value


def _negated(one: Expression) -> Expression:
    def value(row: Row) -> Any:
        result = one(row)
        return None if result is None else not result

    return value


def _arithmetic(operator: str, one: Expression, other: Expression, row: Row) -> Any:
    left, right = number_of(one(row)), number_of(other(row))
    if left is None or right is None or (operator in '/%' and right == 0):
        return None
    return {
        '+': lambda: left + right, '-': lambda: left - right, '*': lambda: left * right, '/': lambda: left / right,
        '%': lambda: math.fmod(left, right) if isinstance(left, float) else left % right, '^': lambda: left**right,
    }[operator]()  # fmt: skip


def _in_subnet(versions: tuple[int, ...], text: Any, block: Any) -> bool:
    networks = {4: IPv4Network, 6: IPv6Network}
    try:
        # A block must begin at its network address.
        network = networks[6 if ':' in block else 4](block)
    except ValueError:
        raise Refused(f'{block!r} is not a block of addresses') from None
    if network.version not in versions:
        raise Refused(f'{block!r} is of the other family')
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _rounded(function: Callable[[float], int], value: Any) -> Any:
    number = number_of(value)
    return None if number is None else function(number)


FUNCTIONS: dict[str, tuple[int | None, Callable[..., Any]]] = {
    'floor': (1, partial(_rounded, math.floor)),
    'ceil': (1, partial(_rounded, math.ceil)),
    'abs': (1, partial(_rounded, abs)),
    'strlen': (1, lambda text: len(text_of(text))),
    'trim': (1, lambda text: text_of(text).strip()),
    'tolower': (1, lambda text: text_of(text).lower()),
    'toupper': (1, lambda text: text_of(text).upper()),
    'concat': (None, lambda *texts: ''.join(map(text_of, texts))),
    'replace': (3, lambda text, old, new: text_of(text).replace(text_of(old), text_of(new))),
    'strcontains': (2, lambda text, part: int(text_of(part) in text_of(text))),
    'isvalidip': (1, lambda text: bool(re.fullmatch('[0-9a-fA-F:.]+', text_of(text)))),
    'isipv4insubnet': (2, partial(_in_subnet, (4,))),
    'isipv6insubnet': (2, partial(_in_subnet, (6,))),
    'isipinsubnet': (2, partial(_in_subnet, (4, 6))),
    'tomillis': (1, lambda moment: _ms_of(moment)),
}


def _aggregate(function: str) -> Callable[[Expression, list[Row]], Any]:
    def values(value: Expression, rows: list[Row]) -> list[Any]:
        return [found for row in rows if (found := value(row)) is not None]

    def numbers(value: Expression, rows: list[Row]) -> list[float]:
        return [float(number) for found in values(value, rows) if (number := number_of(found)) is not None]

    def extreme(best: Callable[..., Any], value: Expression, rows: list[Row]) -> Any:
        found = values(value, rows)
        if not found:
            return None
        if None in [number_of(each) for each in found]:
            return best(map(text_of, found))
        number = best(found, key=number_of)
        if all(isinstance(each, str) for each in found) and number_of(best(found)) != number_of(number):
            raise Refused('whether min() and max() compare texts as numbers is not documented')
        return number_of(number)

    functions: dict[str, Callable[[Expression, list[Row]], Any]] = {
        # In 64-bit floating point, as AWS probably does.
        'sum': lambda value, rows: sum(numbers(value, rows)),
        'avg': lambda value, rows: sum(found) / len(found) if (found := numbers(value, rows)) else None,
        'count': lambda value, rows: len(values(value, rows)),
        'min': partial(extreme, min),
        'max': partial(extreme, max),
    }
    if function not in functions:
        raise Refused(f'unknown function {function}')
    return functions[function]


def _in_any_order(rows: Sequence[Row]) -> list[Row]:
    """Rows whose order is not documented: those of `stats`, and those that `sort` finds equal."""
    return random.Random(len(rows)).sample(rows, len(rows))


def _natural(value: Any) -> tuple[Any, ...]:
    """The documented order: values that are no numbers come before numbers, and runs of digits count as numbers."""
    if value is None:
        return (0,)
    if (number := number_of(value)) is not None:
        return 2, number
    pieces = re.findall(r'\d+|\D+', text_of(value))
    return 1, *((1, int(piece), '') if piece.isdigit() else (0, 0, piece) for piece in pieces)


def timestamp_text(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, timezone.utc)
    return f'{moment:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d}'


def _ms_of(text: str) -> int:
    moment = datetime.strptime(f'{text}000', '%Y-%m-%d %H:%M:%S.%f').replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def run_query(text: str, events: Iterable[tuple[int, str]], unknown: str = 'null') -> list[dict[str, str]]:
    """The rows of a query over events (times in ms, and messages). Raises Refused."""
    rows, _ = _run(Parser(text, unknown), events)
    return rows


def _run(parser: Parser, events: Iterable[tuple[int, str]]) -> tuple[list[dict[str, str]], Parser]:
    commands = parser.parse()
    rows = [_event(*event) for event in events]
    for command in commands:
        rows = command(rows)
    return [_shown(row) for row in rows], parser


def _event(time: int, message: str) -> Row:
    values = message.split(' ')
    found = dict(zip(DISCOVERED, values)) if len(values) == len(DISCOVERED) else {}
    return {**found, '@timestamp': timestamp_text(time), '@message': message, '@ptr': f'ptr{time}'}


def _shown(row: Row) -> dict[str, str]:
    names = row.get('_shown') or ['@timestamp', '@message']
    own = [*names, '@ptr'] if '@ptr' in row else names
    return {name: text_of(row[name]) for name in own if row.get(name) is not None}


# -- the service -------------------------------------------------------------------------------------------------------


@dataclass
class Running:
    """A query that was started."""

    id: str
    rows: list[dict[str, str]]
    total: int
    statistics: dict[str, float]
    polls: int
    text: str
    group: str
    status: str = 'Scheduled'
    created: int = field(default_factory=lambda: int(time.time() * 1000))
    ends_as: str = 'Complete'


@dataclass
class InsightsService:
    """Queries over the log groups of a fake. What is not documented, and what goes wrong, are settings:

    `unknown` and `whole` as in Parser; `polls` is how often a query is not complete yet when it is asked for; `most` is
    how many may run at a time, `max_rows` and `page_rows` are the most rows of an answer and of a page of it. `ends_as`
    gives the status in which a query ends, by its parameters. `estimate_name` is the name of the column of `estimate`;
    AWS does not document it.
    """

    groups: dict[tuple[str, str, str], LogGroup]
    tokens: Tokens
    unknown: str = 'null'
    whole: bool = False
    polls: int = 0
    most: int = 100
    max_rows: int = MAX_ROWS
    page_rows: int = PAGE_ROWS
    ends_as: Callable[[Params], str] = lambda params: 'Complete'
    estimate_name: str = 'estimatedBytes'
    queries: dict[str, Running] = field(default_factory=dict)

    @property
    def running(self) -> list[Running]:
        return [query for query in self.queries.values() if query.status in ('Scheduled', 'Running')]

    def start_query(self, call: Call) -> Reply:
        params = call.params
        if len(self.running) >= self.most:
            raise AwsError('LimitExceededException', 'Account maximum query concurrency limit of reached.')
        unknown = params.keys() - {
            'logGroupName', 'logGroupNames', 'logGroupIdentifiers', 'startTime', 'endTime', 'queryString', 'limit',
        }  # fmt: skip
        group = self._group(call)
        start, end, limit = params.get('startTime'), params.get('endTime'), params.get('limit', DEFAULT_ROWS)
        if unknown or not all(type(each) is int for each in (start, end, limit)):
            raise _invalid(f'unknown or wrong parameters: {params}')
        if start > end or max(start, end) >= 10**11 or not 1 <= limit <= MAX_ROWS:
            raise _invalid('the times are seconds, the end is not before the start; limit is 1 to 100000')
        text = params.get('queryString', '')
        if len(text) > MAX_TEXT:
            raise _invalid('the query is too long')
        if end * 1000 < group.created:
            raise AwsError(
                'MalformedQueryException',
                "Query's end date and time is either before the log groups creation time or exceeds the log groups log "
                'retention settings',
            )
        if group.log_class == 'DELIVERY':
            raise AwsError('InvalidOperationException', 'Queries are not supported for the log group class DELIVERY')
        return self._started(group, params, text, limit)

    def _started(self, group: LogGroup, params: Params, text: str, limit: int) -> Reply:
        times = group.timestamps
        indexes = range(bisect_left(times, params['startTime'] * 1000), bisect_right(times, params['endTime'] * 1000))
        scanned = group.sizes[indexes.stop] - group.sizes[indexes.start] if indexes else 0
        try:
            parser = Parser(text, self.unknown, self.whole)
            parser.parse()
            if parser.estimates:
                rows = [{self.estimate_name: str(scanned)}]
                scanned = 0
            else:
                parser = Parser(text, self.unknown, self.whole)
                rows, parser = _run(parser, ((times[at], group.message(at)) for at in indexes))
        except Refused as error:
            raise AwsError('MalformedQueryException', str(error)) from None
        # The limit in the text is stronger than that of the request.
        total = len(rows)
        rows = rows[: min(self.max_rows, parser.limit or limit)]
        query_id = f'{len(self.queries):08d}-0000-4000-8000-000000000000'
        statistics = {'recordsMatched': 0.0, 'recordsScanned': float(len(indexes)), 'bytesScanned': float(scanned)}
        self.queries[query_id] = Running(
            query_id, rows, total, statistics, 0 if parser.estimates else self.polls, text, group.name,
            ends_as=self.ends_as(params),
        )  # fmt: skip
        return _reply({'queryId': query_id})

    def get_query_results(self, call: Call) -> Reply:
        query = self._query(call)
        if query.status in ('Scheduled', 'Running'):
            query.status = 'Running' if query.polls > 0 else query.ends_as
            query.polls -= 1
        answer: Params = {'queryLanguage': 'CWLI', 'status': query.status, 'results': []}
        answer['statistics'] = dict(query.statistics)
        if query.status == 'Complete':
            answer['statistics']['resultCount'] = float(query.total)
            most = min(self.page_rows, call.params.get('maxItems', PAGE_ROWS))
            scope = [call.operation, query.id]
            expired = AwsError.trouble('expire_token', 'logs')
            first = self.tokens.read(call.token, scope, expired) if call.token else 0
            rows = query.rows[first : first + most]
            answer['results'] = [[{'field': name, 'value': value} for name, value in row.items()] for row in rows]
            if first + most < len(query.rows):
                answer['nextToken'] = self.tokens.make(scope, first + most)
        return _reply(answer)

    def describe_queries(self, call: Call) -> Reply:
        name, status = call.params.get('logGroupName'), call.params.get('status')
        rows = [
            {'queryId': query.id, 'queryString': query.text, 'status': query.status, 'logGroupName': query.group}
            | {'createTime': query.created}
            for query in self.queries.values()
            if name in (None, query.group) and status in (None, query.status)
        ]
        return _reply({'queries': rows})

    def stop_query(self, call: Call) -> Reply:
        query = self._query(call)
        if query.status not in ('Scheduled', 'Running'):
            raise _invalid('Query is not in running state')
        query.status = 'Cancelled'
        return _reply({'success': True})

    def _query(self, call: Call) -> Running:
        query = self.queries.get(call.params.get('queryId', ''))
        if query is None:
            raise AwsError('ResourceNotFoundException', 'Query with id does not exist.')
        return query

    def _group(self, call: Call) -> LogGroup:
        params = call.params
        given = [name for name in ('logGroupName', 'logGroupNames', 'logGroupIdentifiers') if params.get(name)]
        if len(given) != 1:
            raise _invalid('exactly one of logGroupName, logGroupNames and logGroupIdentifiers is to be given')
        value = params[given[0]]
        names = [value] if isinstance(value, str) else value
        if len(names) != 1:
            raise _invalid('one log group at a time is faked')
        account, region, name = call.account, call.region, names[0]
        if name.startswith('arn:') and given[0] == 'logGroupIdentifiers':
            found = re.fullmatch(r'arn:aws[\w-]*:logs:([\w-]+):(\d{12}):log-group:([^:*]+)', name)
            if not found:
                raise _invalid(f'{name} is not the ARN of a log group')
            region, account, name = found.groups()
        if not re.fullmatch(r'[.\-_/#A-Za-z0-9]+', name):
            raise _invalid(f'{name} is not the name of a log group')
        group = self.groups.get((account, region, name))
        if group is None or region != call.region:
            raise AwsError('ResourceNotFoundException', 'The specified log group does not exist.')
        return group


def _invalid(message: str) -> AwsError:
    return AwsError('InvalidParameterException', message)


def _reply(answer: Params) -> Reply:
    return Reply([json.dumps(answer, separators=(',', ':')).encode()])
