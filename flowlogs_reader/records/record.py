"""One flow log record as a Python object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar

from .fields import DEFAULT_FIELDS, FIELD_SETS, FIELDS, KNOWN, Kind
from .layout import MAX_SECONDS, Layout, default_record, normalise

_EPOCH = datetime(1970, 1, 1)
_KEPT = ('_line', '_texts')
# What stands for a missing value: Python's, and those of pandas.
_MISSING = {'NoneType', 'NaTType', 'NAType'}
# The fields of flowlogs-reader 5.0.1. The tags that came later may have any value.
NEVER_NONE = frozenset(FIELD_SETS['legacy'])


class FlowRecord:
    """A record with an attribute for every field that AWS documents, and for others that its log format has.

    >>> record = FlowRecord({'srcaddr': '10.0.0.1', 'bytes': '40', 'start': '1454324362'})
    >>> record.srcaddr, record.bytes, record.start, record.dstaddr
    ('10.0.0.1', 40, datetime.datetime(2016, 2, 1, 10, 59, 22), None)

    Addresses, ids and words are str, numbers int, `start` and `end` naive datetimes in UTC, missing values None.
    Records are immutable, hashable, and equal when all their values are. Values are converted when they are asked for.

    `event_data` maps field names (with underscores or hyphens) to text or numbers, also those of numpy and pandas;
    times are Unix seconds, or milliseconds where they do not fit into 31 bits. What is empty, ``-``, NaN or, as others
    write Parquet, the text ``None`` is missing. Raises ValueError that names the field that does not fit.

    ``FlowRecord.__slots__`` lists the fields that flowlogs-reader 5.0.1 knows, in its order: scripts write CSV by it.
    """

    # Replaced below, when the class is made: these are what an instance keeps.
    __slots__ = _KEPT
    # Each log format has a subclass of its own, made by record_class: its attributes know their columns.
    layout: ClassVar[Layout | None] = None
    _line: str
    _texts: list[str] | None

    def __init__(self, event_data: Mapping[str, Any]) -> None:
        texts_of = ((normalise(name), _text(normalise(name), value)) for name, value in event_data.items())
        given = {name: text for name, text in texts_of if text is not None}
        names = tuple(name for name in KNOWN if name in given) + tuple(name for name in given if name not in KNOWN)
        base = _base(type(self))
        if not names:
            cls, self._line, self._texts = base, '', []
        else:
            cls = record_class(names, base.__mro__)
            texts = [given[name].encode('utf-8', 'replace') or b'-' for name in names]
            self._line, self._texts = _checked(cls, b' '.join(texts))
        # Here and not in __new__, which would see what a subclass makes event_data of.
        self.__class__ = cls

    @classmethod
    def from_cwl_event(cls, cwl_event: Mapping[str, Any], fields: Iterable[str] = DEFAULT_FIELDS) -> FlowRecord:
        """The record in the ``message`` of a CloudWatch Logs event whose log has these fields.

        If the fields are not given, a message that begins with a record of the default format is that record. Raises
        ValueError for a wrong number of columns, and for letters where a number belongs.
        """
        line = cwl_event['message'].encode('utf-8', 'replace')
        if fields is DEFAULT_FIELDS:
            line = default_record(line) or line
        made = record_class(tuple(fields), cls.__mro__)
        assert made.layout
        if b'None' in line:
            line = _without_none(made.layout, line)
        line, texts = _checked(made, line)
        base = _base(made)
        if base.__init__ is FlowRecord.__init__:
            return _record(made, line, texts)
        # A subclass is made as its author makes it.
        return base(dict(zip(made.layout.fields, texts)))

    def __getattr__(self, name: str) -> Any:
        if name not in _KEPT and self.layout and name in self.layout.position:
            return convert(name, self._columns()[self.layout.position[name]])
        raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')

    def _columns(self) -> list[str]:
        if self._texts is None:
            self._texts = self._line.split(' ')
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
        base = _base(type(self))
        # The slots of a subclass. copyreg would take the names in FlowRecord.__slots__ for some.
        own = base.__mro__[: base.__mro__.index(FlowRecord)]
        slots = chain.from_iterable(_names(cls.__dict__.get('__slots__', ())) for cls in own)
        added = {name: getattr(self, name) for name in slots if name[:2] != '__' and hasattr(self, name)}
        state = (getattr(self, '__dict__', None), added) if added else getattr(self, '__dict__', None)
        return _restored, (base, fields, self._line, self._texts), state


def records(layout: Layout, data: bytes) -> Iterator[FlowRecord]:
    """The records in canonical lines (see :meth:`Layout.check`); nothing is checked here."""
    cls = record_class(layout.fields)
    new = object.__new__
    lines = data.decode().split('\n')
    lines.pop()
    for line in lines:
        record = new(cls)
        record._line = line
        record._texts = None
        yield record


@lru_cache(maxsize=64)
def record_class(fields: tuple[str, ...], ancestry: tuple[Any, ...] = FlowRecord.__mro__) -> type[FlowRecord]:
    """FlowRecord, or a user's subclass, for a log format: making it takes as long as reading some thousand records."""
    base = next(cls for cls in ancestry if cls.layout is None)
    layout = Layout(fields)
    members: dict[str, Any] = {'__slots__': (), 'layout': layout, '__doc__': FlowRecord.__doc__}
    for name, position in layout.position.items():
        if name in KNOWN:
            members[name] = property(_getter(position, _CONVERT.get(name)), doc=KNOWN[name].about)
    made = type(base.__name__, (base,), members)
    # It is the base's that a record shows.
    del made.__slots__  # type: ignore[attr-defined]
    return made


def _getter(position: int, converter: Callable[[str], Any] | None) -> Callable[[FlowRecord], Any]:
    def text(record: FlowRecord) -> str | None:
        texts = record._texts
        if texts is None:
            texts = record._texts = record._line.split(' ')
        value = texts[position]
        return None if value == '-' else value

    def value(record: FlowRecord) -> Any:
        texts = record._texts
        if texts is None:
            texts = record._texts = record._line.split(' ')
        value = texts[position]
        return None if value == '-' else converter(value)  # type: ignore[misc]

    return value if converter else text


def _checked(cls: type[FlowRecord], line: bytes) -> tuple[str, list[str]]:
    """The canonical line, and its texts as given, for the milliseconds that a canonical line has no room for."""
    assert cls.layout
    return b' '.join(cls.layout.parse(line)).decode(), line.decode().split()


def _record(cls: type[FlowRecord], line: str, texts: list[str] | None) -> FlowRecord:
    record = object.__new__(cls)
    record._line, record._texts = line, texts
    return record


def _base(cls: type[FlowRecord]) -> type[FlowRecord]:
    """FlowRecord, or the user's subclass, of which this class is made for a log format."""
    ancestry: tuple[Any, ...] = cls.__mro__
    base: type[FlowRecord] = next(base for base in ancestry if base.layout is None)
    return base


def _restored(base: type[FlowRecord], fields: tuple[str, ...], line: str, texts: list[str] | None) -> FlowRecord:
    """What was pickled: classes that are made for a log format have no name to be found by."""
    return _record(record_class(fields, base.__mro__) if fields else base, line, texts)


def _text(name: str, value: Any) -> str | None:
    """A value as it stands in a log, or None if it is missing. Numbers may be those of numpy, or floats of pandas."""
    if isinstance(value, str):
        return None if value == 'None' and name in NEVER_NONE else value
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, datetime):
        naive = value.replace(tzinfo=None) - (value.utcoffset() or timedelta())
        return str(int((naive - _EPOCH).total_seconds()))
    if hasattr(value, 'item'):  # a number of numpy
        value = value.item()
    if isinstance(value, bool) and name in _CONVERT:
        value = int(value)
    if isinstance(value, float):
        if value != value:
            return None
        value = int(value) if value.is_integer() else value
    return str(value)


def _without_none(layout: Layout, line: bytes) -> bytes:
    """The line with ``-`` for the text None, if no value of the field is spelt like that."""
    columns = line.split()
    if len(columns) == len(layout.fields):
        for at, name in enumerate(layout.fields):
            if columns[at] == b'None' and name in NEVER_NONE:
                columns[at] = b'-'
    return b' '.join(columns)


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots


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

FlowRecord.__slots__ = [*FIELD_SETS['legacy']]  # type: ignore[assignment]
