"""How lines are written: as they are, or as TSV, CSV or JSON lines.

Each encoding takes whole lines of printable text with one separator between two columns and `-` where a value is
missing, and works on all of them at once: a Block of records costs a few operations, not a few for each record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..records.fields import KNOWN, Kind

# The lines, the character between two columns, the names of the columns, and which of them hold numbers.
Encoding = Callable[[bytes, bytes, Sequence[str], Sequence[bool]], bytes]

# Columns of numbers that are in no record, only in tables.
COUNTS = {'flows', 'accepted', 'rejected', 'bytes_to_dst', 'bytes_to_src'}


def kind_of(name: str) -> Kind:
    """What a column holds. Names that AWS does not document hold text."""
    if name in KNOWN:
        return KNOWN[name].kind
    return Kind.INTEGER if name in COUNTS else Kind.TEXT


def text(data: bytes, separator: bytes, names: Sequence[str], numbers: Sequence[bool]) -> bytes:
    return data


def tsv(data: bytes, separator: bytes, names: Sequence[str], numbers: Sequence[bool]) -> bytes:
    return data.replace(separator, b'\t')


def csv(data: bytes, separator: bytes, names: Sequence[str], numbers: Sequence[bool]) -> bytes:
    """RFC 4180, with bare newlines. A missing value is empty.

    >>> csv(b'10.0.0.1 -\\n', b' ', ['srcaddr', 'bytes'], [False, True])
    b'10.0.0.1,\\n'
    """
    if len(names) == 1 or b',' in data or b'"' in data:
        lines = (b','.join(map(_csv_value, line.split(separator))) for line in data[:-1].split(b'\n'))
        # A line with nothing on it would be no row.
        return b''.join([(line or b'""') + b'\n' for line in lines])
    data = b'\n' + data.replace(separator, b',')
    if b',-' in data or b'\n-' in data:
        # Twice, since a match takes the comma that the next one needs.
        data = data.replace(b',-,', b',,').replace(b',-,', b',,').replace(b',-\n', b',\n').replace(b'\n-,', b'\n,')
    return data[1:]


def _csv_value(value: bytes) -> bytes:
    if value == b'-':
        return b''
    return b'"%b"' % value.replace(b'"', b'""') if b',' in value or b'"' in value else value


def jsonl(data: bytes, separator: bytes, names: Sequence[str], numbers: Sequence[bool]) -> bytes:
    """One JSON object for each line. A missing value is null.

    >>> jsonl(b'10.0.0.1 40\\n- 0\\n', b' ', ['srcaddr', 'bytes'], [False, True])
    b'{"srcaddr": "10.0.0.1", "bytes": 40}\\n{"srcaddr": null, "bytes": 0}\\n'
    """
    data = data.replace(b'\\', b'\\\\').replace(b'"', b'\\"')
    # Numbers stand between two \x01, which no text holds, until those that are missing have become null.
    values = (b'\x01%b\x01' if number else b'"%b"' for number in numbers)
    members = [b'"%b": %b' % (name.encode(), value) for name, value in zip(names, values)]
    template = b'{' + b', '.join(members) + b'}\n'
    written = template * data.count(b'\n') % tuple(data[:-1].replace(b'\n', separator).split(separator))
    return written.replace(b': "-"', b': null').replace(b'\x01-\x01', b'null').replace(b'\x01', b'')


ENCODINGS: dict[str, Encoding] = {'text': text, 'tsv': tsv, 'csv': csv, 'jsonl': jsonl}
