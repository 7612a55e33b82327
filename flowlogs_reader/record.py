"""One flow log record as a Python object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from .fields import DEFAULT_FIELDS, FIELDS, KNOWN, Kind
from .layout import MAX_SECONDS, Layout, normalise

_EPOCH = datetime(1970, 1, 1)


class FlowRecord:
    """A record with an attribute for every field that AWS documents, and for others that its log format has.

    >>> record = FlowRecord({'srcaddr': '10.0.0.1', 'bytes': '40', 'start': '1454324362'})
    >>> record.srcaddr, record.bytes, record.start, record.dstaddr
    ('10.0.0.1', 40, datetime.datetime(2016, 2, 1, 10, 59, 22), None)

    Addresses, ids and words are str, numbers int, `start` and `end` naive datetimes in UTC, missing values None.
    Records are immutable, hashable, and equal when all their values are. Values are converted when they are asked for.

    `event_data` maps field names (with underscores or hyphens) to text or numbers; times are Unix seconds, or
    milliseconds where they do not fit into 31 bits. Raises ValueError that names the field that does not fit.
    """

    __slots__ = ('layout', 'line', '_texts')
    layout: Layout | None
    line: bytes

    def __init__(self, event_data: Mapping[str, Any]) -> None:
        given = {normalise(name): value for name, value in event_data.items() if value is not None}
        names = tuple(name for name in KNOWN if name in given) + tuple(name for name in given if name not in KNOWN)
        self.layout, self.line, self._texts = None, b'', None
        if names:
            texts = [str(_seconds(given[name])).encode('utf-8', 'replace') or b'-' for name in names]
            self._take(_layout(names), b' '.join(texts))

    @classmethod
    def from_cwl_event(cls, cwl_event: Mapping[str, Any], fields: Iterable[str] = DEFAULT_FIELDS) -> FlowRecord:
        """The record in the ``message`` of a CloudWatch Logs event whose log has these fields.

        Raises ValueError for a wrong number of columns, and for letters where a number belongs.
        """
        record = cls.__new__(cls)
        record._take(_layout(tuple(fields)), cwl_event['message'].encode('utf-8', 'replace'))
        return record

    @classmethod
    def from_line(cls, layout: Layout, line: bytes) -> FlowRecord:
        """The record in a canonical line (see :meth:`Layout.check`) without its newline; nothing is checked here."""
        record = cls.__new__(cls)
        record.layout = layout
        record.line = line
        record._texts = None
        return record

    def _take(self, layout: Layout, line: bytes) -> None:
        self.layout = layout
        self.line = b' '.join(layout.parse(line))
        # Kept as given, for the milliseconds that the line has no room for.
        self._texts = line.decode().split()

    def __getattr__(self, name: str) -> Any:
        if name not in FlowRecord.__slots__ and self.layout and name in self.layout.position:
            return self._value(name)
        raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')

    def _value(self, name: str) -> Any:
        position = self.layout.position.get(name) if self.layout else None
        if position is None:
            return None
        if self._texts is None:
            self._texts = self.line.decode().split()
        text = self._texts[position]
        return convert(name, text)

    def to_dict(self) -> dict[str, Any]:
        """The values that are not missing, by field name."""
        values = {name: self._value(name) for name in self._names()}
        return {name: value for name, value in values.items() if value is not None}

    def to_message(self) -> str:
        """The record as the command line prints it: the 14 default columns, then the others that its format has."""
        if not self.layout:
            return ' '.join('-' * len(DEFAULT_FIELDS))
        columns = dict(zip(self.layout.fields, self.line.split()))
        return b' '.join([columns.get(name, b'-') for name in self.layout.output_fields]).decode()

    def _names(self) -> list[str]:
        return [name for name in self.layout.output_fields if name in self.layout.position] if self.layout else []

    def __str__(self) -> str:
        return ', '.join(f'{name}: {value}' for name, value in self.to_dict().items())

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self}>'

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlowRecord):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(frozenset(self.to_dict().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.layout:
            return FlowRecord, ({},)
        return FlowRecord, (dict(zip(self.layout.fields, self._texts or self.line.decode().split())),)


@lru_cache(maxsize=64)
def _layout(fields: tuple[str, ...]) -> Layout:
    """One Layout for each format, since compiling one costs as much as reading a thousand records."""
    return Layout(fields)


def _seconds(value: Any) -> Any:
    if isinstance(value, datetime):
        return int((value - _EPOCH).total_seconds())
    return value


def _moment(text: str) -> datetime:
    number = int(text)
    return _EPOCH + (timedelta(milliseconds=number) if number > MAX_SECONDS else timedelta(seconds=number))


_CONVERT: dict[str, Callable[[str], Any]] = {
    field.name: int if field.kind is Kind.INTEGER else _moment for field in FIELDS if field.kind is not Kind.TEXT
}


def convert(name: str, text: str) -> Any:
    """The value of an attribute from its text."""
    if text == '-':
        return None
    converter = _CONVERT.get(name)
    return converter(text) if converter else text


def _attribute(name: str) -> property:
    return property(lambda record: record._value(name), doc=KNOWN[name].about)


for _field in FIELDS:
    setattr(FlowRecord, _field.name, _attribute(_field.name))
