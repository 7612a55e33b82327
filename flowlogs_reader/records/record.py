"""One flow log record as a Python object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar

from ..kernel import column_getter
from ..kernel.limits import MAX_SECONDS
from .fields import DEFAULT_FIELDS, FIELD_SETS, FIELDS, KNOWN, Kind
from .layout import Layout, default_record, normalise

_EPOCH = datetime(1970, 1, 1)
_SLOTS = ('_line', '_texts')
# The types of missing values in Python and pandas.
_MISSING = {'NoneType', 'NaTType', 'NAType'}
# Fields that never have the value None: those of flowlogs-reader 5.0.1. Later ones are tags, with any text.
NEVER_NONE = frozenset(FIELD_SETS['legacy'])


class FlowRecord:
    """A record with an attribute for every field that AWS documents, and for every other field of its log format.

    >>> record = FlowRecord({'srcaddr': '10.0.0.1', 'bytes': '40', 'start': '1454324362'})
    >>> record.srcaddr, record.bytes, record.start, record.dstaddr
    ('10.0.0.1', 40, datetime.datetime(2016, 2, 1, 10, 59, 22), None)

    Addresses, ids and words are str, numbers int, `start` and `end` naive datetimes in UTC, missing values None.
    Records are immutable, hashable, and equal if all their values are equal. A value is converted when it is used.

    `event_data` maps field names (with underscores or hyphens) to text or numbers, also those of numpy and pandas;
    times are Unix seconds, or milliseconds if they do not fit into 31 bits. Missing values are empty text, ``-``, NaN
    and the text ``None``, which some programs write into Parquet. Raises ValueError, which names the invalid field.

    ``FlowRecord.__slots__`` has the fields of flowlogs-reader 5.0.1 in its order: scripts use it as the header of CSV.
    """

    # The class attribute is replaced below, when the slots of the instances exist.
    __slots__ = _SLOTS
    # record_class makes a subclass for each log format: its properties have the places of their values.
    layout: ClassVar[Layout | None] = None
    # The record as a canonical line.
    _line: str
    # Its values as they were given, or the line that has them: see kernel.column_getter.
    _texts: list[str] | str

    def __init__(self, event_data: Mapping[str, Any]) -> None:
        texts_of = ((normalise(name), _text(normalise(name), value)) for name, value in event_data.items())
        given = {name: text for name, text in texts_of if text is not None}
        names = tuple(name for name in KNOWN if name in given) + tuple(name for name in given if name not in KNOWN)
        base = _base(type(self))
        if not names:
            cls, self._line, self._texts = base, '', []
        else:
            cls = record_class(names, base)
            self._line, self._texts = _checked(cls, b' '.join([_one_value(name, given[name]) for name in names]))
        # Not in __new__: a subclass may take other arguments, and pass event_data to this method.
        self.__class__ = cls

    @classmethod
    def from_cwl_event(cls, cwl_event: Mapping[str, Any], fields: Iterable[str] = DEFAULT_FIELDS) -> FlowRecord:
        """The record in the ``message`` of a CloudWatch Logs event whose log has these fields.

        If `fields` is not given, a message that is longer than a record of the default format, and begins with one, is
        read as that record. Raises ValueError for a wrong number of values, and for text in place of a number.
        """
        line = cwl_event['message'].encode('utf-8', 'replace')
        if fields is DEFAULT_FIELDS:
            line = default_record(line) or line
        made = record_class(tuple(fields), _base(cls))
        assert made.layout
        if b'None' in line:
            line = _without_none(made.layout, line)
        line, texts = _checked(made, line)
        base = _base(made)
        if base.__init__ is FlowRecord.__init__:
            return _record(made, line, texts)
        # A subclass with its own __init__: call it.
        record: FlowRecord = base(dict(zip(made.layout.fields, texts)))
        return record

    def __getattr__(self, name: str) -> Any:
        if name not in _SLOTS and self.layout and name in self.layout.position:
            return convert(name, self._values()[self.layout.position[name]])
        raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')

    def _values(self) -> list[str]:
        if isinstance(self._texts, str):
            self._texts = self._texts.split(' ')
        return self._texts

    def to_dict(self) -> dict[str, Any]:
        """The values that are not missing, by field name."""
        names = [name for name in self.layout.output_fields if name in self.layout.position] if self.layout else []
        # A field that AWS does not document may have the name of a method.
        values = {name: getattr(self, name) if name in KNOWN else self.__getattr__(name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def to_message(self) -> str:
        """The record as the command line prints it: the 14 default fields, then the other fields of its format."""
        if not self.layout:
            return ' '.join('-' * len(DEFAULT_FIELDS))
        values = dict(zip(self.layout.fields, self._line.split(' ')))
        return ' '.join([values.get(name, '-') for name in self.layout.output_fields])

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
        # Only slots of subclasses: FlowRecord.__slots__ has names of fields, which copyreg would take for slots.
        own = base.__mro__[: base.__mro__.index(FlowRecord)]
        slots = chain.from_iterable(_names(cls.__dict__.get('__slots__', ())) for cls in own)
        added = {name: getattr(self, name) for name in slots if name[:2] != '__' and hasattr(self, name)}
        state = (getattr(self, '__dict__', None), added) if added else getattr(self, '__dict__', None)
        return _restored, (base, fields, self._line, self._texts), state


def records(layout: Layout, data: bytes) -> Iterator[FlowRecord]:
    """Yield the records of canonical lines, without checking them."""
    cls = record_class(layout.fields)
    new = object.__new__
    lines = data.decode().split('\n')
    lines.pop()
    for line in lines:
        record = new(cls)
        record._line = record._texts = line
        yield record


@lru_cache(maxsize=64)
def record_class(fields: tuple[str, ...], base: Any = FlowRecord) -> type[FlowRecord]:
    """The subclass for a log format of `base`: FlowRecord, or a user's subclass of it.

    It is cached: making it takes as long as reading some thousand records.
    """
    layout = Layout(fields)
    members: dict[str, Any] = {'__slots__': (), 'layout': layout, '__doc__': FlowRecord.__doc__}
    for name, position in layout.position.items():
        if name in KNOWN:
            members[name] = property(_getter(position, KNOWN[name].kind), doc=KNOWN[name].about)
    made: type[FlowRecord] = type(base.__name__, (base,), members)
    # Let the class show the __slots__ of its base.
    del made.__slots__
    return made


def _getter(position: int, kind: Kind) -> Callable[[FlowRecord], Any]:
    value = column_getter(position, kind is not Kind.TEXT)
    if kind is not Kind.TIME:
        return value

    def time(record: FlowRecord) -> datetime | None:
        number = value(record)
        return None if number is None else moment(number)

    return time


def _checked(cls: type[FlowRecord], line: bytes) -> tuple[str, list[str]]:
    """The canonical line, and the texts as they were given: these may have milliseconds, a canonical line does not."""
    assert cls.layout
    return b' '.join(cls.layout.parse(line)).decode(), line.decode().split()


def _record(cls: type[FlowRecord], line: str, texts: list[str] | str) -> FlowRecord:
    record = object.__new__(cls)
    record._line, record._texts = line, texts
    return record


def _base(cls: Any) -> Any:
    """The class that record_class made this class from: FlowRecord, or a user's subclass of it.

    Both are a type[FlowRecord], which mypy does not take for hashable: FlowRecord defines __hash__ for its records.
    """
    return next(base for base in cls.__mro__ if base.layout is None)


def _restored(base: Any, fields: tuple[str, ...], line: str, texts: list[str] | str) -> FlowRecord:
    """Unpickle a record. pickle cannot find the class for a log format by its name, so it is made again."""
    return _record(record_class(fields, base) if fields else base, line, texts)


def _text(name: str, value: Any) -> str | None:
    """The text of a value in a log, or None if it is missing. Numbers may be those of numpy, or floats of pandas."""
    if isinstance(value, str):
        return None if value == 'None' and name in NEVER_NONE else value
    if hasattr(value, 'item'):  # a number or a time of numpy
        value = value.item()
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, datetime):
        naive = value.replace(tzinfo=None) - (value.utcoffset() or timedelta())
        ms = (naive - _EPOCH) // timedelta(milliseconds=1)
        # Milliseconds are recognised by their size, as in moment().
        return str(ms if ms % 1000 and ms > MAX_SECONDS else ms // 1000)
    if isinstance(value, bool) and name in _CONVERT:
        value = int(value)
    if isinstance(value, float):
        if value != value:
            return None
        value = int(value) if value.is_integer() else value
    return str(value)


def _one_value(name: str, text: str) -> bytes:
    """The text as a value of a line, ``-`` if it is blank. Raises ValueError if it would be several values."""
    values = text.encode('utf-8', 'replace').split()
    if len(values) > 1:
        raise ValueError(f'{name} is {text[:40]!r}: a value has no spaces')
    return values[0] if values else b'-'


def _without_none(layout: Layout, line: bytes) -> bytes:
    """The line with ``-`` in place of the text None in fields that never have that value."""
    values = line.split()
    if len(values) == len(layout.fields):
        for at, name in enumerate(layout.fields):
            if values[at] == b'None' and name in NEVER_NONE:
                values[at] = b'-'
    return b' '.join(values)


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots


def moment(number: int) -> datetime:
    """A naive datetime in UTC from Unix seconds, or from milliseconds if the number does not fit into 31 bits."""
    return _EPOCH + (timedelta(milliseconds=number) if number > MAX_SECONDS else timedelta(seconds=number))


def _moment(text: str) -> datetime:
    return moment(int(text))


_CONVERT: dict[str, Callable[[str], Any]] = {
    field.name: int if field.kind is Kind.INTEGER else _moment for field in FIELDS if field.kind is not Kind.TEXT
}


def convert(name: str, text: str) -> Any:
    """The value of an attribute, converted from the text in the log."""
    if text == '-':
        return None
    converter = _CONVERT.get(name)
    return converter(text) if converter else text


for _field in FIELDS:
    # The class for a log format has properties of its own: this one is for fields that the format does not have.
    setattr(FlowRecord, _field.name, property(lambda record: None, doc=_field.about))

FlowRecord.__slots__ = [*FIELD_SETS['legacy']]  # type: ignore[assignment]
