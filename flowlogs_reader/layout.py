"""The fields of AWS flow logs, and what is compiled once from the order in which a log holds them.

A *canonical* line is what AWS writes: one space between two columns, digits where numbers belong, ``-`` where a value
is missing, nothing but printable ASCII. Everything downstream of :meth:`Layout.check` may rely on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

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

# Most columns are numbers without surprises: that line is tried first, and is twice as fast as the full definition.
_PLAIN = {Kind.TEXT: rb'[^ ]+', Kind.INTEGER: rb'[1-9][0-9]{0,18}', Kind.TIME: rb'1[0-9]{9}'}
_FULL = {
    Kind.TEXT: rb'[^ ]+',
    Kind.INTEGER: rb'(?:0|[1-9][0-9]{0,18}|-)',
    Kind.TIME: rb'(?:0|[1-9][0-9]{0,8}|1[0-9]{9}|-)',
}


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
        self.fields = tuple(map(normalise, fields))
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
        self._captures: dict[tuple[str, ...], re.Pattern[bytes]] = {}

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
        odd = data.translate(None, _PRINTABLE)
        lines = odd.count(b'\n')
        # Every match begins a line and holds at least one newline: as many matches as newlines means all lines.
        if len(odd) == lines and self._canonical.subn(b'', data)[1] == lines:
            return data, 0
        checked = [self.repair(line) for line in data.split(b'\n') if line and not line.isspace()]
        kept = [line for line in checked if line is not None]
        return b''.join(kept), len(checked) - len(kept)

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

    def rows(self, data: bytes, names: Sequence[str]) -> list[tuple[bytes, ...]]:
        """Some columns of every line of canonical data, a tuple for each line.

        A field that the format lacks gives ``-``. A name may also be a run of fields that are neighbours in the log, as
        :meth:`run` gives it; they come as one value with the spaces between them, at the price of one column.
        """
        present = sorted({name for name in names if name.partition(' ')[0] in self.position}, key=self._place)
        if not present:
            return [(b'-',) * len(names)] * data.count(b'\n')
        found = self._capture(tuple(present)).findall(data)
        rows: list[tuple[bytes, ...]] = [*zip(found)] if len(present) == 1 else found
        if present == list(names):
            return rows
        pick = [present.index(name) if name in present else -1 for name in names]
        return [tuple([row[index] if index >= 0 else b'-' for index in pick]) for row in rows]

    def run(self, names: Sequence[str]) -> str | None:
        """The name under which :meth:`rows` gives these fields as one value, or None where they are no neighbours."""
        at = self.position.get(names[0], len(self.fields))
        return ' '.join(names) if self.fields[at : at + len(names)] == tuple(names) else None

    def _place(self, name: str) -> int:
        return self.position[name.partition(' ')[0]]

    def _capture(self, names: tuple[str, ...]) -> re.Pattern[bytes]:
        """The expression whose groups are these columns, in the order of the log, on canonical lines."""
        if names not in self._captures:
            opening = {self._place(name) for name in names}
            closing = {self._place(name) + name.count(' ') for name in names}
            end = max(closing) + 1
            parts = [b'(' * (index in opening) + self._text(index) + b')' * (index in closing) for index in range(end)]
            rest = b'\n' if end == len(self.fields) else b' [^\n]*\n'
            self._captures[names] = re.compile(b'(?m)^' + b' '.join(parts) + rest)
        return self._captures[names]

    @cached_property
    def _canonical(self) -> re.Pattern[bytes]:
        plain, full = (
            b' '.join(self._text(at) if kind is Kind.TEXT else values[kind] for at, kind in enumerate(self.kinds))
            for values in (_PLAIN, _FULL)
        )
        return re.compile(b'(?m)^(?:' + plain + b'|' + full + b')\n')

    def _text(self, index: int) -> bytes:
        """Any value of a column. ``[^ ]`` takes half the time of ``[^ \\n]``, yet would let a match run over many lines
        where no space bounds it: in the first and in the last column.
        """
        return rb'[^ \n]+' if index in (0, len(self.fields) - 1) else rb'[^ ]+'


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
    if kind is Kind.TEXT:
        if column.translate(None, _PRINTABLE):
            raise ValueError(f'{name} is {column[:40]!r}: not printable text')
        return column
    digits = column.lstrip(b'0') or b'0'
    if not column.isdigit() or len(digits) > 19:
        raise ValueError(f'{name} is {column[:40]!r} where a number belongs')
    if kind is Kind.TIME and int(digits) > MAX_SECONDS:
        seconds = int(digits) // 1000
        if seconds > MAX_SECONDS:
            raise ValueError(f'{name} is {column[:40]!r}, a time after 2038-01-19 even in milliseconds')
        return b'%d' % seconds
    return digits
