"""One flow log record as a Python object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from ..kernel import column_getter
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

    __slots__ = ('_line', '_texts')
    # Each log format has a subclass of its own, made by record_class: its attributes know their columns.
    layout: ClassVar[Layout | None] = None
    _line: str
    # The columns, or the line that they are in: see kernel.column_getter.
    _texts: list[str] | str

    def __new__(cls, event_data: Mapping[str, Any]) -> FlowRecord:
        given = {normalise(name): value for name, value in event_data.items() if value is not None}
        names = tuple(name for name in KNOWN if name in given) + tuple(name for name in given if name not in KNOWN)
        if not names:
            return _record(cls, '', [])
        texts = [str(_seconds(given[name])).encode('utf-8', 'replace') or b'-' for name in names]
        return _checked(record_class(names, cls.__mro__), b' '.join(texts))

    @classmethod
    def from_cwl_event(cls, cwl_event: Mapping[str, Any], fields: Iterable[str] = DEFAULT_FIELDS) -> FlowRecord:
        """The record in the ``message`` of a CloudWatch Logs event whose log has these fields.

        Raises ValueError for a wrong number of columns, and for letters where a number belongs.
        """
        return _checked(record_class(tuple(fields), cls.__mro__), cwl_event['message'].encode('utf-8', 'replace'))

    def __getattr__(self, name: str) -> Any:
        if name not in FlowRecord.__slots__ and self.layout and name in self.layout.position:
            return convert(name, self._columns()[self.layout.position[name]])
        raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')

    def _columns(self) -> list[str]:
        if isinstance(self._texts, str):
            self._texts = self._texts.split(' ')
        return self._texts

    def to_dict(self) -> dict[str, Any]:
        """The values that are not missing, by field name."""
        names = [name for name in self.layout.output_fields if name in self.layout.position] if self.layout else []
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def to_message(self) -> str:
        """The record as the command line prints it: the 14 default columns, then the others that its format has."""
        if not self.layout:
            return ' '.join('-' * len(DEFAULT_FIELDS))
        columns = dict(zip(self.layout.fields, self._line.split(' ')))
        return ' '.join([columns.get(name, '-') for name in self.layout.output_fields])

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
        fields = self.layout.fields if self.layout else ()
        return _restored, (_base(type(self)), fields, self._line, self._texts), getattr(self, '__dict__', None)


def records(layout: Layout, data: bytes) -> Iterator[FlowRecord]:
    """The records in canonical lines (see :meth:`Layout.check`); nothing is checked here."""
    cls = record_class(layout.fields)
    new = object.__new__
    lines = data.decode().split('\n')
    lines.pop()
    for line in lines:
        record = new(cls)
        record._line = record._texts = line
        yield record


@lru_cache(maxsize=64)
def record_class(fields: tuple[str, ...], ancestry: tuple[Any, ...] = FlowRecord.__mro__) -> type[FlowRecord]:
    """FlowRecord, or a user's subclass, for a log format: making it takes as long as reading some thousand records."""
    base = next(cls for cls in ancestry if cls.layout is None)
    layout = Layout(fields)
    members: dict[str, Any] = {'__slots__': (), 'layout': layout, '__doc__': FlowRecord.__doc__}
    for name, position in layout.position.items():
        if name in KNOWN:
            members[name] = property(_getter(position, KNOWN[name].kind), doc=KNOWN[name].about)
    return type(base.__name__, (base,), members)


def _getter(position: int, kind: Kind) -> Callable[[FlowRecord], Any]:
    value = column_getter(position, kind is not Kind.TEXT)
    if kind is not Kind.TIME:
        return value

    def time(record: FlowRecord) -> datetime | None:
        number = value(record)
        return None if number is None else moment(number)

    return time


def _checked(cls: type[FlowRecord], line: bytes) -> FlowRecord:
    """The texts are kept as given, for the milliseconds that a canonical line has no room for."""
    assert cls.layout
    return _record(cls, b' '.join(cls.layout.parse(line)).decode(), line.decode().split())


def _record(cls: type[FlowRecord], line: str, texts: list[str] | str) -> FlowRecord:
    record = object.__new__(cls)
    record._line, record._texts = line, texts
    return record


def _base(cls: type[FlowRecord]) -> type[FlowRecord]:
    """FlowRecord, or the user's subclass, of which this class is made for a log format."""
    ancestry: tuple[Any, ...] = cls.__mro__
    base: type[FlowRecord] = next(base for base in ancestry if base.layout is None)
    return base


def _restored(base: type[FlowRecord], fields: tuple[str, ...], line: str, texts: list[str] | str) -> FlowRecord:
    """What was pickled: classes that are made for a log format have no name to be found by."""
    return _record(record_class(fields, base.__mro__) if fields else base, line, texts)


def _seconds(value: Any) -> Any:
    if isinstance(value, datetime):
        return int((value - _EPOCH).total_seconds())
    return value


def moment(number: int) -> datetime:
    """A time in a record, in Unix seconds, or milliseconds if it does not fit into 31 bits, as a naive datetime."""
    return _EPOCH + (timedelta(milliseconds=number) if number > MAX_SECONDS else timedelta(seconds=number))


def _moment(text: str) -> datetime:
    return moment(int(text))


_CONVERT: dict[str, Callable[[str], Any]] = {
    field.name: int if field.kind is Kind.INTEGER else _moment for field in FIELDS if field.kind is not Kind.TEXT
}


def convert(name: str, text: str) -> Any:
    """The value of an attribute from its text."""
    if text == '-':
        return None
    converter = _CONVERT.get(name)
    return converter(text) if converter else text


for _field in FIELDS:
    # What a log format does not have is missing from its records.
    setattr(FlowRecord, _field.name, property(lambda record: None, doc=_field.about))
