"""The fields of AWS flow logs, and what is compiled once from the order in which a log holds them.

A *canonical* line is what AWS writes: one space between two columns, digits where numbers belong, ``-`` where a value
is missing, nothing but printable ASCII. Everything downstream of :meth:`Layout.check` may rely on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from .fields import DEFAULT_FIELDS, KNOWN, Kind

# 54 VPC fields in version 11; the limit only has to stop nonsense from being compiled.
MAX_FIELDS = 256
# Fifty-four columns, the longest of them ARNs and 256-character tags in percent encoding, stay far below it.
MAX_LINE = 65_536
# AWS documents seconds, yet flowlogs-reader 5.0.1 met milliseconds; it takes what does not fit into 31 bits for them.
MAX_SECONDS = 2**31 - 1

_PRINTABLE = bytes(range(0x20, 0x7F))
_NAME = re.compile(r'[a-z][a-z0-9_]*')
_FORMAT_FIELD = re.compile(r'\$\{([^${}]*)\}')

# Canonical values, likely ones first. A line of plain ones, without zeros and missing values, takes a quarter less.
_PLAIN = {Kind.TEXT: rb'[^ ]+', Kind.INTEGER: rb'[1-9][0-9]{0,18}', Kind.TIME: rb'1[0-9]{9}'}
_ANY = {
    Kind.TEXT: rb'[^ ]+',
    Kind.INTEGER: rb'(?:[1-9][0-9]{0,18}|[0-])',
    Kind.TIME: rb'(?:1[0-9]{9}|[1-9][0-9]{0,8}|[0-])',
}
Column = Sequence[bytes]
# The first and the last place in a log of fields that are neighbours.
Span = tuple[int, int]


def normalise(name: str) -> str:
    """The name of a field as Python, Athena and Parquet spell it.

    >>> normalise('account-id')
    'account_id'
    """
    return name.strip().replace('-', '_').lower()


class Layout:
    """The ordered fields of a log format.

    >>> Layout(['version', 'srcaddr', 'bytes']).check(b'2 10.0.0.1 40\\n')
    (b'2 10.0.0.1 40\\n', 0)

    Names are taken with hyphens or underscores. Names that AWS did not have yet are kept and hold text: three versions
    of the format came within one year.

    Raises ValueError when a name is empty, malformed or given twice.
    """

    def __init__(self, fields: Iterable[str] = DEFAULT_FIELDS) -> None:
        self.fields = tuple(map(normalise, fields.split() if isinstance(fields, str) else fields))
        if not 0 < len(self.fields) <= MAX_FIELDS:
            raise ValueError(f'a log format has 1 to {MAX_FIELDS} fields, not {len(self.fields)}')
        self.position: dict[str, int] = {}
        for index, name in enumerate(self.fields):
            if not _NAME.fullmatch(name):
                raise ValueError(f'{name[:60]!r} is not the name of a field')
            if name in self.position:
                raise ValueError(f'the field {name} stands twice in the log format')
            self.position[name] = index
        self.kinds = tuple(KNOWN[name].kind if name in KNOWN else Kind.TEXT for name in self.fields)
        self._captures: dict[tuple[tuple[str, ...], bool], _Capture] = {}

    @classmethod
    def from_format(cls, log_format: str) -> Layout:
        """The Layout of a ``LogFormat`` of EC2 DescribeFlowLogs: ``${version} ${account-id} …``."""
        return cls(_FORMAT_FIELD.findall(log_format))

    @classmethod
    def from_header(cls, line: bytes) -> Layout | None:
        """The Layout of a header row, or None where the line is none.

        A header row has names only, and AWS knows at least half of them; a record has a number somewhere.
        Raises ValueError for a header row that cannot be used.
        """
        names = [normalise(token) for token in line[:MAX_LINE].decode('ascii', 'replace').split()]
        known = sum(name in KNOWN for name in names)
        if not known or known * 2 < len(names) or not all(map(_NAME.fullmatch, names)):
            return None
        return cls(names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return f'Layout({" ".join(self.fields)!r})'

    @cached_property
    def output_fields(self) -> tuple[str, ...]:
        """The columns of text output: the 14 default ones, known ones in the order of the field table, then others."""
        extra = [name for name in self.fields if name not in DEFAULT_FIELDS]
        known = [name for name in KNOWN if name in extra]
        return (*DEFAULT_FIELDS, *known, *(name for name in extra if name not in KNOWN))

    def check(self, data: bytes) -> tuple[bytes, int]:
        """The canonical lines of a run of whole lines, and how many lines were no record of this format.

        A run in which every line is canonical comes back as it is. Others are read tolerantly: runs of white space,
        carriage returns, leading zeros and times in milliseconds are put right; empty lines do not count.
        """
        # Every match begins a line and holds at least one newline: as many matches as newlines means all lines.
        if self._canonical.subn(b'', data)[1] == _lines_of_text(data):
            return data, 0
        checked = [self.repair(line) for line in data.split(b'\n') if line and not line.isspace()]
        kept = [line for line in checked if line is not None]
        return b''.join(kept), len(checked) - len(kept)

    def read(self, data: bytes, names: Sequence[str]) -> tuple[bytes, list[Column], int]:
        """The canonical lines and the number of the others as from :meth:`check`, and columns as from :meth:`columns`.

        One pass over the data gives them all, in two thirds of the time of two.
        """
        capture = self._capture(tuple(names), checking=True)
        found = capture.expression.findall(data)
        if len(found) == _lines_of_text(data):
            return data, capture.columns(found), 0
        data, skipped = self.check(data)
        return data, self.columns(data, names), skipped

    def repair(self, line: bytes) -> bytes | None:
        """One line, made canonical with its newline, or None where it is no record of this format."""
        whole = line + b'\n'
        if self._canonical.fullmatch(whole) and not line.translate(None, _PRINTABLE):
            return whole
        try:
            return b' '.join(self.parse(line)) + b'\n'
        except ValueError:
            return None

    def parse(self, line: bytes) -> list[bytes]:
        """The canonical columns of one line.

        Raises ValueError that names the field and what is wrong with it.
        """
        if len(line) > MAX_LINE:
            raise ValueError(f'a line of {len(line)} bytes is no flow log record')
        columns = line.split()
        if len(columns) != len(self.fields):
            at = self.fields[min(len(columns), len(self.fields) - 1)]
            raise ValueError(f'{len(columns)} columns where the format has {len(self.fields)} (it ends at {at})')
        for index, column in enumerate(columns):
            columns[index] = _canonical_value(self.fields[index], self.kinds[index], column)
        return columns

    def columns(self, data: bytes, names: Sequence[str]) -> list[Column]:
        """Some columns of canonical data, each with a value for every line.

        A name may also be several fields with a space between two of them: they come as one value, with a space between
        two of theirs. That costs no more than one field where they are neighbours in the log. A field that the format
        lacks gives ``-``.
        """
        capture = self._capture(tuple(names), checking=False)
        return capture.columns(capture.expression.findall(data))

    def _capture(self, names: tuple[str, ...], checking: bool) -> _Capture:
        if (names, checking) not in self._captures:
            self._captures[names, checking] = _Capture(self, names, checking)
        return self._captures[names, checking]

    @cached_property
    def _canonical(self) -> re.Pattern[bytes]:
        plain, full = (b' '.join(self._values(kinds)) for kinds in (_PLAIN, _ANY))
        return re.compile(b'(?m)^(?:' + plain + b'|' + full + b')\n')

    def _values(self, kinds: dict[Kind, bytes]) -> list[bytes]:
        """The expression of each column. ``[^ ]`` takes half the time of ``[^ \\n]``, yet would let a match run over
        many lines where no space bounds it: in the first and in the last column.
        """
        values = [kinds[kind] for kind in self.kinds]
        for at in (0, -1):
            values[at] = rb'[^ \n]+' if values[at] == _ANY[Kind.TEXT] else values[at]
        return values


class _Capture:
    """An expression of the lines of a Layout, each a match, and how to get columns out of what it finds.

    It expects canonical lines, or with `checking` matches no others.
    """

    def __init__(self, layout: Layout, names: Sequence[str], checking: bool) -> None:
        spans: set[Span] = set()
        # The groups that each column is put together from; None for a field that the format lacks.
        self._parts: list[list[Span | None]] = []
        for name in names:
            places = [layout.position.get(field) for field in name.split(' ') if name]
            run = _run(places)
            if run and not any(_crosses(run, span) for span in spans):
                self._parts.append([run])
            else:
                self._parts.append([None if place is None else (place, place) for place in places])
            spans.update(span for span in self._parts[-1] if span)
        # Groups are numbered as they open; of those that open at one place the longest comes first.
        self._spans = sorted(spans, key=lambda span: (span[0], -span[1])) or [(0, 0)]
        end = len(layout.fields) if checking else max(last for _, last in self._spans) + 1
        values = layout._values(_ANY if checking else dict.fromkeys(Kind, _ANY[Kind.TEXT]))[:end]
        for first, last in self._spans:
            values[first] = b'(' + values[first]
            values[last] += b')'
        rest = b'\n' if end == len(layout.fields) else rb' [^\n]*\n'
        self.expression = re.compile(b'(?m)^' + b' '.join(values) + rest)

    def columns(self, found: list[Any]) -> list[Column]:
        by_span: dict[Span | None, Column] = {None: [b'-'] * len(found), **dict.fromkeys(self._spans, ())}
        by_span.update(zip(self._spans, zip(*found) if len(self._spans) > 1 else [found]))
        columns: list[Column] = []
        for part in self._parts:
            if len(part) == 1:
                columns.append(by_span[part[0]])
            else:
                columns.append([*map(b' '.join, zip(*[by_span[span] for span in part]))] or [b''] * len(found))
        return columns


def _run(places: Sequence[int | None]) -> Span | None:
    """The first and the last of these places, if they are neighbours in this order."""
    first = places[0] if places else None
    if first is None or places != [*range(first, first + len(places))]:
        return None
    return first, first + len(places) - 1


def _crosses(one: Span, other: Span) -> bool:
    """Whether two runs overlap, and neither holds the other: no two groups can."""
    (begin, end), (later, last) = sorted((one, other))
    return begin < later <= end < last


def _lines_of_text(data: bytes) -> int:
    """The number of lines in data, or -1 where they hold what no record does."""
    odd = data.translate(None, _PRINTABLE)
    lines = odd.count(b'\n')
    return lines if lines == len(odd) else -1


class Block(NamedTuple):
    """A run of whole lines of one Layout, each with its newline, and where they come from.

    `time`, in Unix seconds, is what the source knows about the age of records that hold no time. `raw` is how a line
    that is not canonical was written, where :func:`apart` was asked to keep that.
    """

    layout: Layout
    data: bytes
    origin: str = ''
    time: int | None = None
    raw: bytes = b''


def apart(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks in which every line is canonical as they are; of other Blocks each line in a Block of its own."""
    for block in blocks:
        if block.layout.check(block.data)[0] is block.data:
            yield block
        else:
            for line in block.data[:-1].split(b'\n'):
                yield block._replace(data=line + b'\n', raw=line + b'\n')


def _canonical_value(name: str, kind: Kind, column: bytes) -> bytes:
    """Raises ValueError where the column cannot be a value of the field."""
    if column == b'-':
        return column
    shown = repr(column[:40])[1:]
    if kind is Kind.TEXT:
        if column.translate(None, _PRINTABLE):
            raise ValueError(f'{name} is {shown}: not printable text')
        return column
    digits = column.lstrip(b'0') or b'0'
    if not column.isdigit() or len(digits) > 19:
        raise ValueError(f'{name} is {shown} where a number belongs')
    if kind is Kind.TIME and int(digits) > MAX_SECONDS:
        seconds = int(digits) // 1000
        if seconds > MAX_SECONDS:
            raise ValueError(f'{name} is {shown}, a time after 2038-01-19 even in milliseconds')
        return b'%d' % seconds
    return digits
