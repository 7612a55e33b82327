"""Layouts: the ordered fields of a log.

A *canonical* line is what AWS writes: one space between two values, digits where numbers belong, ``-`` for a missing
value, only printable ASCII. The kernel checks lines, and makes them canonical if possible; all later stages rely on
that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from ipaddress import ip_address

from ..errors import UsageError
from ..kernel.limits import MAX_FIELDS, MAX_LINE, MAX_SECONDS
from .fields import DEFAULT_FIELDS, KNOWN, Kind

_PRINTABLE = bytes(range(0x20, 0x7F))
_TEXT, _TIME = (kind.value.encode()[0] for kind in (Kind.TEXT, Kind.TIME))
_NAME = re.compile(r'[a-z][a-z0-9_]*')
_FORMAT_FIELD = re.compile(r'\$\{([^${}]*)\}')


def normalise(name: str) -> str:
    """Return the name of a field as Python, Athena and Parquet spell it.

    >>> normalise('account-id')
    'account_id'
    """
    return name.strip().replace('-', '_').lower()


class Layout:
    """The ordered fields of a log.

    >>> Layout(['version', 'account-id', 'bytes']).fields
    ('version', 'account_id', 'bytes')

    Names may have hyphens or underscores. Unknown names are kept, and their values are text: AWS added three versions
    of the format within one year. `kinds` has a letter for each field, for the kernel (see Kind).

    Raises UsageError if a name is empty, malformed or given twice.
    """

    def __init__(self, fields: Iterable[str] = DEFAULT_FIELDS) -> None:
        self.fields = tuple(map(normalise, fields.split() if isinstance(fields, str) else fields))
        if not 0 < len(self.fields) <= MAX_FIELDS:
            raise UsageError(f'a log format has 1 to {MAX_FIELDS} fields, not {len(self.fields)}')
        self.position: dict[str, int] = {}
        for index, name in enumerate(self.fields):
            if not _NAME.fullmatch(name):
                raise UsageError(f'{name[:60]!r} is not the name of a field')
            if name in self.position:
                raise UsageError(f'the log format has the field {name} twice')
            self.position[name] = index
        kinds = (KNOWN[name].kind if name in KNOWN else Kind.TEXT for name in self.fields)
        self.kinds = ''.join(kind.value for kind in kinds).encode()

    @classmethod
    def from_format(cls, log_format: str) -> Layout:
        """Return the Layout of a ``LogFormat`` of EC2 DescribeFlowLogs: ``${version} ${account-id} …``."""
        return cls(_FORMAT_FIELD.findall(log_format))

    @classmethod
    def from_header(cls, line: bytes) -> Layout | None:
        """Return the Layout of a header row, or None if the line is not a header row.

        In a header row, every token is a name, and at least half of the names are documented by AWS. A record has a
        number somewhere, which is not a name. Raises UsageError if the header row is not a valid layout.
        """
        text = line[:MAX_LINE].decode('ascii', 'replace')
        # CSV has commas.
        names = [normalise(token) for token in text.replace(',', ' ').split()]
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
        """The fields in the order of text output: the 14 default ones, other known ones in table order, the rest."""
        extra = [name for name in self.fields if name not in DEFAULT_FIELDS]
        known = [name for name in KNOWN if name in extra]
        return (*DEFAULT_FIELDS, *known, *(name for name in extra if name not in KNOWN))

    def places(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the index of each field, for the kernel: -1 if the layout does not have it."""
        return tuple(self.position.get(name, -1) for name in names)

    def parse(self, line: bytes) -> list[bytes]:
        """Return the canonical values of one line.

        Raises ValueError, which names the field and the problem, for a line that the kernel leaves out.
        """
        if len(line) > MAX_LINE:
            raise ValueError(f'a line of {len(line)} bytes is not a flow log record')
        values = line.split()
        if len(values) != len(self.fields):
            last = self.fields[min(len(values), len(self.fields) - 1)]
            raise ValueError(f'{len(values)} values, but the format has {len(self.fields)} fields (it ends at {last})')
        for index, value in enumerate(values):
            values[index] = _canonical_value(self.fields[index], self.kinds[index], value)
        return values


def default_record(line: bytes) -> bytes | None:
    """Return the record of the default format that a longer line begins with, or None.

    >>> default_record(b'2 123456789010 eni-1 10.0.0.1 10.0.0.2 5 443 6 1 40 100 160 ACCEPT OK vpc-1 3')
    b'2 123456789010 eni-1 10.0.0.1 10.0.0.2 5 443 6 1 40 100 160 ACCEPT OK'

    Every value must be valid for its field. The addresses and the action may be missing only in records without data.
    """
    values = line.split()
    if len(values) <= len(DEFAULT_FIELDS) or len(line) > MAX_LINE:
        return None
    begin = b' '.join(values[: len(DEFAULT_FIELDS)])
    try:
        texts = _DEFAULT.parse(begin)
        fits = _is_default({name: text.decode() for name, text in zip(DEFAULT_FIELDS, texts)})
    except ValueError:
        return None
    return begin if fits else None


def _is_default(value: dict[str, str]) -> bool:
    """Whether these canonical values are valid for their fields. Raises ValueError for an invalid address."""
    words = {name: KNOWN[name].words for name in ('action', 'log_status')}
    flow = [value[name] for name in ('srcaddr', 'dstaddr', 'action')]
    if flow != ['-'] * len(flow) or value['log_status'] == 'OK':
        for name in ('srcaddr', 'dstaddr'):
            ip_address(value[name])
        if value['action'] not in words['action']:
            return False
    return (
        value['log_status'] in words['log_status']
        and (value['account_id'].isdigit() or value['account_id'] in ('-', 'unknown'))
        and (value['interface_id'] == '-' or value['interface_id'].startswith('eni-'))
        and all(value[name] == '-' or int(value[name]) <= most for name, most in _MOST.items())
        and ('-' in (value['start'], value['end']) or int(value['start']) <= int(value['end']))
    )


def _canonical_value(name: str, kind: int, value: bytes) -> bytes:
    """The value as AWS writes it. Raises ValueError, which names the field, if it is not a value of the field."""
    if value == b'-':
        return value
    shown = repr(value[:40])[1:]
    if kind == _TEXT:
        if value.translate(None, _PRINTABLE):
            raise ValueError(f'{name} is {shown}: not printable text')
        return value
    digits = value.lstrip(b'0') or b'0'
    if not value.isdigit() or len(digits) > 19:
        raise ValueError(f'{name} is {shown}: not a number')
    if kind == _TIME and int(digits) > MAX_SECONDS:
        seconds = int(digits) // 1000
        if seconds > MAX_SECONDS:
            raise ValueError(f'{name} is {shown}, a time after 2038-01-19 even in milliseconds')
        return b'%d' % seconds
    return digits


_DEFAULT = Layout()
_MOST = {'version': 255, 'srcport': 65_535, 'dstport': 65_535, 'protocol': 255}
