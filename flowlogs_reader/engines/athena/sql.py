"""The SQL of Athena for a plan: Trino's dialect, engine version 3, documented functions only.

A row of the result is a group (`raw` is empty), a line that has to be read here, or the header row of a flow log's
objects. One group, without keys, is that of the plain lines that do not count. Values are never NULL: the result object
in S3 does not tell NULL from an empty text.

The dialect has traps, hence no division (it cuts off), no ``contains(cidr, address)`` (it fails if the versions differ,
trino issue 18497), no ``array[n]`` (it fails in short lines), and no comparison without COALESCE that could be NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from ...kernel.limits import MAX_LINE
from ...query.query import Window
from ...records.fields import KNOWN, Kind
from ...records.layout import Layout
from ...records.record import NEVER_NONE
from ..remote.plan import Key, Part, Plan
from .objects import KeyTimes, key_minute
from .table import LINE, Table

if TYPE_CHECKING:
    from ...kernel import Test

# Of a path, with one group: the time in the name of an object, and the flow log that wrote it.
TIME = '_([0-9]{8}T[0-9]{4}Z)_[^/]*$'
FLOW_LOG = '_([^_/]+)_[0-9]{8}T[0-9]{4}Z_[^/]*$'
# The columns of the result before the keys.
BEFORE = ('form', 'place', 'raw')
# The column of each sum, and how it is made. A sum may have more than 18 digits, for which bigint would fail.
SUM_COLUMNS = {
    'packets': ('packets', 'sum(CAST(packets AS decimal(38, 0)))'),
    'bytes': ('octets', 'sum(CAST(octets AS decimal(38, 0)))'),
    'start': ('earliest', 'min(earliest)'),
    'end': ('latest', 'max(latest)'),
}


class Form(NamedTuple):
    """The flow logs of one format: `part` is its index in the plan, `header` the header row, or ''.

    `fields` are the fields that are read: of Parquet only those that are needed, since each costs.
    """

    part: int
    header: str
    flow_logs: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        return Layout(self.fields)


class Scan(NamedTuple):
    """What a query reads: partitions by column (a list, or the first and the last), and ranges of paths.

    The ranges only spare Athena objects that the other conditions rule out. `within` is a folder that paths must be in.
    """

    table: Table
    chosen: Mapping[str, Sequence[str]]
    spans: Mapping[str, tuple[str, str]]
    times: KeyTimes
    ranges: Sequence[tuple[str, str]] = ()
    within: str = ''


def query_text(plan: Plan, forms: Sequence[Form], scan: Scan, window: Window) -> str:
    """Return the query for a part of the window of the plan."""
    return _Writer(plan, forms, scan, window).text()


def key_names(plan: Plan, forms: Sequence[Form]) -> list[str]:
    """Return the names of the columns of the keys in the result."""
    return [f'key{at}' for at in range(max(len(plan.parts[form.part].keys) for form in forms))]


def needed_fields(part: Part, sums: Sequence[str]) -> tuple[str, ...]:
    """Return the fields of a layout that a query without whole lines looks at, in their order."""
    tested = {part.layout.fields[place] for place in part.tested}
    names = {*tested, *(key.field for key in part.keys), *sums, *part.flow, 'start', 'end', 'log_status'}
    return tuple(name for name in part.layout.fields if name in names)


class _Writer:
    """Writes a query from the result inwards: each SELECT reads from the next one. `at` is the index of a form."""

    def __init__(self, plan: Plan, forms: Sequence[Form], scan: Scan, window: Window) -> None:
        self._plan = plan
        self._forms = forms
        self._scan = scan
        self._window = window
        self._layouts = [form.layout for form in forms]
        self._parts = [plan.parts[form.part] for form in forms]

    def text(self) -> str:
        keys = [] if self._plan.lines else key_names(self._plan, self._forms)
        groups = [*BEFORE, *keys]
        made = [SUM_COLUMNS[name] for name in self._plan.sums]
        sums = [f"COALESCE(CAST({text} AS varchar), '-') AS {column}" for column, text in made]
        return (
            f'SELECT {", ".join(groups)}, count(*) AS flows{"".join(f", {text}" for text in sums)}\n'
            f'FROM (\n{_indented(self._rows(keys))}\n)\n'
            f'GROUP BY {", ".join(groups)}'
        )

    # -- from the result to the objects -----------------------------------------------------------------------------

    def _rows(self, keys: Sequence[str]) -> str:
        """What is grouped and summed. Plain lines that do not count make one group, without keys."""
        # What the name of the object tells about a line: when it ended, and for whole lines their order.
        whole = self._plan.lines
        apart, place = ('(plain AND NOT met)', 'path') if whole else ('plain', "'_' || minute || '_'")
        columns = ['form', f"CASE WHEN header OR {apart} THEN '' ELSE {place} END AS place"]
        columns.append(f"CASE WHEN {apart} THEN '' ELSE line END AS raw")
        columns += [f"CASE WHEN met THEN {self._key(at)} ELSE '' END AS {name}" for at, name in enumerate(keys)]
        for name in self._plan.sums:
            number = self._number(name)
            value = f'{number} END' if name in ('start', 'end') else f'COALESCE({number}, 0) ELSE 0 END'
            columns.append(f'CASE WHEN met THEN {value} AS {SUM_COLUMNS[name][0]}')
        own = self._own_time().removeprefix(' AND ')
        where = f'\nWHERE plain OR header OR ({own})' if own else ''
        return f'SELECT {_listed(columns)}\nFROM (\n{_indented(self._tested())}\n){where}'

    def _tested(self) -> str:
        """The lines, and whether they are plain and count: `met`."""
        counted = [f'(form = {at} AND plain{self._conditions(at)})' for at in range(len(self._forms))]
        columns = ['line', 'form', 'path', 'minute', 'c', 'header', 'plain', f'{_either(counted)} AS met']
        return f'SELECT {_listed(columns)}\nFROM (\n{_indented(self._checked())}\n)'

    def _checked(self) -> str:
        """The lines with their values, and whether they are header rows, or plain."""
        plain = [
            f"(form = {at} AND regexp_like(line, '{self._pattern(at)}'){self._without_zones(at)})"
            for at in range(len(self._forms))
        ]
        headers = [
            f'(form = {at} AND line = {_quoted(form.header)})' for at, form in enumerate(self._forms) if form.header
        ]
        columns = ['line', 'form', 'path', 'minute', "split(line, ' ') AS c"]
        columns.append(f'{_either(headers) if headers else "false"} AS header')
        columns.append(f'(length(line) <= {MAX_LINE} AND {_either(plain)}) AS plain')
        return f"SELECT {_listed(columns)}\nFROM (\n{_indented(self._lines())}\n)\nWHERE form >= 0 AND line <> ''"

    def _lines(self) -> str:
        """The lines of the objects, with the format and the time of the object."""
        forms = ' '.join(
            f'WHEN flow_log IN ({_literals(form.flow_logs)}) THEN {at}' for at, form in enumerate(self._forms)
        )
        columns = [self._line(), 'path', 'minute', f'CASE {forms} ELSE -1 END AS form']
        return f'SELECT {_listed(columns)}\nFROM (\n{_indented(self._objects())}\n)'

    def _objects(self) -> str:
        table, times = self._scan.table, self._scan.times
        names = [LINE]
        if table.folders.parquet:
            fields = {name for form in self._forms for name in form.fields}
            names = [_name(name) for name in KNOWN if name in fields]
        columns = [*names, '"$path" AS path', f'regexp_extract("$path", \'{TIME}\', 1) AS minute']
        columns.append(f'regexp_extract("$path", \'{FLOW_LOG}\', 1) AS flow_log')
        where = [_one_of(name, values) for name, values in self._scan.chosen.items()]
        where += [_between(name, *span) for name, span in self._scan.spans.items()]
        if self._scan.within:
            # 0 is the character after the slash at its end.
            beyond = self._scan.within[:-1] + '0'
            where.append(f'"$path" >= {_quoted(self._scan.within)} AND "$path" < {_quoted(beyond)}')
        if self._scan.ranges:
            where.append(_either([_between('"$path"', *pair) for pair in self._scan.ranges]))
        where.append(f'regexp_like("$path", \'{table.folders.pattern}\')')
        minute = f'regexp_extract("$path", \'{TIME}\', 1)'
        where.append(f"{minute} >= '{key_minute(times.first)}' AND {minute} < '{key_minute(times.stop, up=True)}'")
        conditions = '\n  AND '.join(where)
        return f'SELECT {_listed(columns)}\nFROM {_name(table.database)}.{_name(table.name)}\nWHERE {conditions}'

    def _line(self) -> str:
        """The line: of Parquet it is made of the needed columns, in the order of the flow log's fields."""
        if not self._scan.table.folders.parquet:
            return LINE
        texts = [" || ' ' || ".join(map(_text_of, form.fields)) for form in self._forms]
        return f'{self._by_form(texts, "flow_log")} AS {LINE}'

    # -- values -----------------------------------------------------------------------------------------------------

    def _by_form(self, texts: Sequence[str], told_by: str = 'form') -> str:
        """An expression that depends on the format."""
        if len(set(texts)) == 1:
            return texts[0]
        if told_by == 'form':
            cases = [f'WHEN {at} THEN {text}' for at, text in enumerate(texts)]
            return f'CASE form {" ".join(cases)} END'
        cases = [
            f'WHEN flow_log IN ({_literals(form.flow_logs)}) THEN {text}' for form, text in zip(self._forms, texts)
        ]
        return f'CASE {" ".join(cases)} END'

    def _value(self, at: int, field: str) -> str:
        place = self._layouts[at].position.get(field)
        return "'-'" if place is None else f'element_at(c, {place + 1})'

    def _number(self, field: str) -> str:
        texts = [
            f'TRY_CAST({self._value(at, field)} AS bigint)' if field in layout.position else 'CAST(NULL AS bigint)'
            for at, layout in enumerate(self._layouts)
        ]
        return self._by_form(texts)

    def _key(self, number: int) -> str:
        texts = []
        for at, part in enumerate(self._parts):
            texts.append(self._grouped(at, part.keys[number]) if number < len(part.keys) else "'-'")
        return self._by_form(texts)

    def _grouped(self, at: int, key: Key) -> str:
        value = self._value(at, key.field)
        if key.bucket is None or key.field not in self._layouts[at].position:
            return value
        seconds, offset = key.bucket
        number = f'TRY_CAST({value} AS bigint)'
        return f'CAST({number} - mod({f"{number} + {offset}" if offset else number}, {seconds}) AS varchar)'

    # -- conditions -------------------------------------------------------------------------------------------------

    def _pattern(self, at: int) -> str:
        part = self._parts[at]
        patterns = dict(zip(part.layout.fields, part.patterns))
        return f'^{" ".join(patterns[name] for name in self._layouts[at].fields)}$'

    def _without_zones(self, at: int) -> str:
        """Python takes addresses with a zone (fe80::1%eth0), Trino does not: such a line is read here."""
        part = self._parts[at]
        places = {place for test in part.tests if test[3] == 'address' for place in test[0]}
        values = sorted(self._value(at, part.layout.fields[place]) for place in places)
        return ''.join(f" AND strpos({value}, '%') = 0" for value in values)

    def _conditions(self, at: int) -> str:
        part = self._parts[at]
        if not part.possible:
            return ' AND false'
        found = [self._in_window(at), *(self._test(at, test) for test in part.tests), self._flow(at)]
        return ''.join(f'\n    AND {text}' for text in found if text)

    def _in_window(self, at: int) -> str:
        part = self._parts[at]
        if part.time:
            number = f'TRY_CAST({self._value(at, part.time)} AS bigint)'
            first, stop = (-(-ms // 1000) for ms in self._window)
            return f'{number} >= {first} AND {number} < {stop}'
        # The record ended in the five minutes of the key.
        whole = self._plan.window
        overlaps = f"minute > '{key_minute(whole.start_ms // 1000 - 300)}'"
        overlaps += f" AND minute < '{key_minute(-(-whole.end_ms // 1000), up=True)}'"
        return overlaps + self._own_time()

    def _own_time(self) -> str:
        """Whether the time of the key belongs to this part of the window."""
        times = self._scan.times
        after = f" AND minute >= '{key_minute(times.own_first)}'" if times.own_first != times.first else ''
        return after + (f" AND minute < '{key_minute(times.own_stop)}'" if times.own_stop != times.stop else '')

    def _flow(self, at: int) -> str:
        part = self._parts[at]
        if not part.flow:
            return ''
        if part.flow == ('log_status',):
            return f"{self._value(at, 'log_status')} NOT IN ('NODATA', 'SKIPDATA')"
        return _either([f"{self._value(at, name)} <> '-'" for name in part.flow])

    def _test(self, at: int, test: Test) -> str:
        places, negated, missing, kind, payload = test
        known = self._parts[at].layout.fields
        values = [self._value(at, known[place]) for place in places]
        if kind == 'same':
            other, operator = payload
            met = _either([_compared(value, operator, self._value(at, known[other]), missing) for value in values])
        else:
            met = _either([_match(value, missing, kind, payload) for value in values])
        return f'NOT {met}' if negated else met


def _match(value: str, missing: bool, kind: str, payload: Any) -> str:
    """Whether a value of a plain line matches: see Test in the kernel."""
    found = [f"{value} = '-'"] if missing else []
    if kind == 'text':
        texts = sorted(text.decode() for text in payload if text != b'-')
        if texts:
            found.append(_one_of(value, texts))
    elif kind == 'number':
        number = f'COALESCE(TRY_CAST({value} AS bigint), -1)'
        largest = 10**18 - 1
        found += [
            f'{number} = {low}' if low == high else f'{number} BETWEEN {low} AND {min(high, largest)}'
            for low, high in payload
            if low <= largest
        ]
    elif kind == 'flags':
        found.append(
            f"({value} <> '-' AND bitwise_and(COALESCE(TRY_CAST({value} AS bigint), 0), {payload}) = {payload})"
        )
    else:
        found += [_in_addresses(value, payload, version) for version in (4, 6)]
    return _either([text for text in found if text]) if any(found) else 'false'


def _compared(value: str, operator: str, other: str, missing: bool) -> str:
    """Whether two numbers of a plain line compare so. `missing` is the result if one of them is missing."""
    numbers = [f'TRY_CAST({text} AS bigint)' for text in (value, other)]
    return f'COALESCE({numbers[0]} {operator} {numbers[1]}, {str(missing).lower()})'


def _in_addresses(value: str, ranges: Iterable[tuple[int, int, int]], version: int) -> str:
    address = IPv4Address if version == 4 else IPv6Address
    number = f'TRY_CAST({value} AS ipaddress)'
    found = [
        f"{number} = IPADDRESS '{address(first)}'"
        if first == last
        else f"{number} BETWEEN IPADDRESS '{address(first)}' AND IPADDRESS '{address(last)}'"
        for first, last, own in ranges
        if own == version
    ]
    colon = '=' if version == 4 else '>'
    return f"(strpos({value}, ':') {colon} 0 AND COALESCE({_either(found)}, false))" if found else ''


# -- pieces of text ----------------------------------------------------------------------------------------------------


def _text_of(field: str) -> str:
    """The value of a column of a Parquet table, written as in a text log."""
    column = _name(field)
    if KNOWN[field].kind is not Kind.TEXT:
        return f"COALESCE(CAST({column} AS varchar), '-')"
    # What other writers write for a missing value.
    missing = "('', 'None')" if field in NEVER_NONE else "('')"
    return f"CASE WHEN {column} IS NULL OR {column} IN {missing} THEN '-' ELSE {column} END"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literals(texts: Iterable[str]) -> str:
    return ', '.join(map(_quoted, texts))


def _one_of(value: str, texts: Sequence[str]) -> str:
    return f'{value} = {_quoted(texts[0])}' if len(texts) == 1 else f'{value} IN ({_literals(texts)})'


def _between(value: str, first: str, last: str) -> str:
    if first == last:
        return f'{value} = {_quoted(first)}'
    return f'{value} >= {_quoted(first)} AND {value} <= {_quoted(last)}'


def _either(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 and texts[0].startswith('(') else f'({" OR ".join(texts)})'


def _listed(columns: Sequence[str]) -> str:
    return ',\n  '.join(columns)


def _indented(text: str) -> str:
    return '  ' + text.replace('\n', '\n  ')
