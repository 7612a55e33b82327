"""CloudWatch Logs filter patterns over plain log lines: terms, `?a ?b`, `-x`, `%re%` and `[...]` columns."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from tests.fake.wire import AwsError

Test = Callable[[str], bool]

_TERM = re.compile(r'\s*(?P<sign>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<word>\w+))(?=\s|$)')
_COLUMN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\S+')
_CONDITION = re.compile(
    r'\s*(?:(?P<name>\w+)\s*)?(?P<op>!=|<=|>=|=|<|>)\s*(?:"(?P<quoted>[^"]*)"|%(?P<regex>[^%]+)%|(?P<bare>[^\s"%&|,\]]+))\s*'
)
_REGEX_TEXT = re.compile(r'[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|\\*+.]+')
_ORDERS = {'<': operator.lt, '>': operator.gt, '<=': operator.le, '>=': operator.ge}
_MAX_PATTERN = 1024
_MAX_REGEXES = 2


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. A line that holds none of the literals `any_of` cannot match, if there are any."""

    matches: Test
    any_of: tuple[str, ...] = ()


def _invalid(detail: str = '') -> AwsError:
    return AwsError('InvalidParameterException', 'Invalid filter pattern' + detail)


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> Pattern | None:
    """Compile a filterPattern; None stands for one that matches every line.

    >>> compile_pattern('?"10.0.0.1" ?REJECT').matches('2 1 eni-1 10.0.0.9 10.0.0.1 ACCEPT')
    True
    """
    if len(text) > _MAX_PATTERN:
        limit = 'failed to satisfy constraint: Member must have length less than or equal to 1024'
        raise AwsError('InvalidParameterException', f"1 validation error detected: Value at 'filterPattern' {limit}")
    text = text.strip()
    if text in ('', '" "', '""'):
        return None
    if text.startswith('['):
        return _columns(text)
    if text.startswith('{'):
        if not text.endswith('}'):
            raise _invalid()
        return Pattern(lambda line: False)  # a JSON pattern: a flow log line is never JSON
    return _terms(text)


def _terms(text: str) -> Pattern:
    groups: dict[str, list[tuple[str | None, Test]]] = {'': [], '?': [], '-': []}
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if not found:
            raise _invalid()
        groups[found['sign']].append(_term(found))
        position = found.end()
    needed, optional, banned = groups[''], groups['?'], groups['-']
    if needed or banned:  # then AWS ignores the terms with a question mark
        literals = [literal for literal, _ in needed if literal is not None]
        return Pattern(
            lambda line: all(t(line) for _, t in needed) and not any(t(line) for _, t in banned), tuple(literals[:1])
        )
    literals = [literal for literal, _ in optional if literal is not None]
    complete = len(literals) == len(optional)
    return Pattern(lambda line: any(t(line) for _, t in optional), tuple(literals) if complete else ())


def _term(found: re.Match[str]) -> tuple[str | None, Test]:
    if found['regex'] is not None:
        return None, _regex(found['regex'])
    literal = found['word'] if found['word'] is not None else re.sub(r'\\(.)', r'\1', found['quoted'])
    return literal, lambda line: literal in line


def _regex(text: str) -> Test:
    if not _REGEX_TEXT.fullmatch(text):
        raise _invalid()
    try:
        search = re.compile(text, re.ASCII).search
    except re.error:
        raise _invalid() from None
    return lambda value: search(value) is not None


def _columns(text: str) -> Pattern:
    """A bracket pattern: one test for each column, in order; `...` stands for any number of columns."""
    if not text.endswith(']') or text.count('%') > 2 * _MAX_REGEXES:
        raise _invalid()
    parts = [part.strip() for part in re.findall(r'((?:"[^"]*"|%[^%]*%|[^,"%])*)(?:,|$)', text[1:-1])[:-1]]
    if parts.count('...') > 1 or not all(parts):
        raise _invalid()
    any_of = next(filter(None, map(_literals, parts)), ())
    if '...' not in parts:
        tests = [_column(part) for part in parts]
        return Pattern(lambda line: _match(tests, _split(line), exact=True), any_of)
    at = parts.index('...')
    head, tail = [_column(part) for part in parts[:at]], [_column(part) for part in parts[at + 1 :]]

    def matches(line: str) -> bool:
        values = _split(line)
        if len(values) < len(head) + len(tail):
            return False
        return _match(head, values) and _match(tail, values[len(values) - len(tail) :])

    return Pattern(matches, any_of)


def _literals(column: str) -> tuple[str, ...]:
    """The texts of which a line must hold one for this column to match, where that is plain to see."""
    found = [_CONDITION.fullmatch(piece) for piece in column.split('||')]
    values = [(f['quoted'] or f['bare'] or '') if f and f['op'] == '=' else '' for f in found]
    return tuple(values) if all(v and '*' not in v and _number(v) is None for v in values) else ()


def _split(line: str) -> list[str]:
    return [value[1:-1] if value[0] in '["' and len(value) > 1 else value for value in _COLUMN.findall(line)]


def _match(tests: list[Test | None], values: list[str], exact: bool = False) -> bool:
    if exact and len(tests) != len(values):
        return False
    return all(test is None or test(value) for test, value in zip(tests, values))


def _column(text: str) -> Test | None:
    """The test of one column, or None for a bare name: `name`, `name op value`, more after `&&` or `||`."""
    if re.fullmatch(r'\w+', text):
        return None
    pieces = re.split(r'(&&|\|\|)', text) if '%' not in text else [text]
    conditions = [_CONDITION.fullmatch(piece) for piece in pieces[::2]]
    if not conditions[0] or not conditions[0]['name'] or not all(conditions):
        raise _invalid()
    if len({found['name'] for found in conditions if found and found['name']}) > 1:
        raise _invalid()  # conditions on several columns cannot be joined
    tests = [_condition(found) for found in conditions if found]
    joins = pieces[1::2]

    def matches(value: str) -> bool:
        result = tests[0](value)
        for join, test in zip(joins, tests[1:]):
            result = (result and test(value)) if join == '&&' else (result or test(value))
        return result

    return matches


def _condition(found: re.Match[str]) -> Test:
    equal: Test
    if found['op'] in _ORDERS:
        compare, limit = _ORDERS[found['op']], _number(found['bare'] or '')
        if limit is None:
            raise _invalid()
        return lambda value: (number := _number(value)) is not None and compare(number, limit)
    if found['regex'] is not None:
        equal = _regex(found['regex'])
    else:
        equal = _equal(found['quoted'] if found['bare'] is None else found['bare'])
    return equal if found['op'] == '=' else lambda value: not equal(value)


def _equal(wanted: str) -> Test:
    if '*' in wanted:
        match = re.compile(translate(wanted.replace('[', '[[]').replace('?', '[?]'))).match
        return lambda value: match(value) is not None
    number = _number(wanted)
    if number is not None:
        return lambda value: value == wanted or _number(value) == number
    return lambda value: value == wanted


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
