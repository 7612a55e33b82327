"""Parsers of times, lengths of time and time zones that users type.

Nothing is guessed: for a text with two meanings, or with a missing part, the UsageError says what to type instead. Only
words such as `yesterday` depend on today's date. The caller passes the current time.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo

from ..errors import UsageError
from ..records.times import EPOCH, UTC, iso

DEFAULT_TIME_FORMAT = '%Y-%m-%d %H:%M:%S'

_FORMS = (
    "2h, 1h30m, now, today, 'yesterday 14:00', monday, 2016-02-01, '2016-02-01 10:59:22', 2016-02-01T10:59:22Z or Unix "
    'seconds'
)
_UNITS = {
    'weeks': r'w(?:eeks?)?',
    'days': r'd(?:ays?)?',
    'hours': r'h(?:ours?|rs?)?',
    'minutes': r'm(?:in(?:ute)?s?)?',
    'seconds': r's(?:ec(?:ond)?s?)?',
}
# Eight digits: even that many weeks fit in a timedelta.
_LENGTH = re.compile(r'\s*'.join(rf'(?:(?P<{unit}>\d{{1,8}})\s*{word})?' for unit, word in _UNITS.items()), re.ASCII)
_UNIX = re.compile(r'(?:(0|\d{9,11})(?:\.(\d{1,9}))?|(\d{13}))', re.ASCII)
_ZONED_ISO = re.compile(r'\d{4}-?\d\d-?\d\d[T ].+(?:Z|[+-]\d\d:?\d\d)', re.ASCII)
_YEAR_FIRST = re.compile(r'(?=\d{4}\D|\d{8}$)(\d{4})([-/. ]?)(\d\d?)\2(\d\d?)', re.ASCII)
_CLOCK = re.compile(
    r"""(?:(?<=\d)T(?=\d\d) | (?<![^\s,])(?=\d\d?(?::\d\d|\s*[ap]m\b)))
    (?P<hour>\d\d|\d(?=\D))
    (?:(?P<colon>:?)(?P<minute>\d\d) (?:(?P=colon)(?P<second>\d\d) (?:[.,](?P<part>\d{1,9}))?)?)?
    \s*(?P<half>[ap]m)? \s*(?P<zone>Z|UTC|GMT|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)? (?![^\s,])""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_DAYS = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
_WEEKDAYS = ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')
_MONTHS = ('jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec')
_FILLERS = {'st', 'nd', 'rd', 'th', 'of', 'on', 'at'}


class _Unclear(ValueError):
    """Says why a text cannot be read, and what to type instead."""

    def __init__(self, why: str, instead: str = _FORMS) -> None:
        super().__init__(why)
        self.instead = instead


def parse_time(text: str, *, now: datetime, tz: tzinfo = UTC, time_format: str | None = None) -> datetime:
    """Return the moment that `text` names, as an aware UTC datetime within 1970..9999.

    >>> now = datetime(2016, 2, 1, 12, 0, tzinfo=UTC)
    >>> [str(parse_time(text, now=now)) for text in ('90m', '2016-02-01T19:59:22+09:00')]
    ['2016-02-01 10:30:00+00:00', '2016-02-01 10:59:22+00:00']

    Reads `now`, a length before now (`2h`, `1h30m`, `30m ago`), `today`, `yesterday` or a weekday (the last one before
    today) with or without a time of day, ISO 8601, a date alone (its midnight), Unix seconds (9 to 11 digits, or 0) or
    milliseconds (13 digits), and dates in words (`Feb 1 2016 7pm`).
    A time without Z, UTC, GMT or an offset is in `tz`. When clocks go back, a time occurs twice: the earlier one is
    meant. A time that clocks skip is an error. A `time_format` (as in strptime) is tried first. With one, other forms
    are read only if they cannot be mistaken for it: now, lengths, days by word, Unix times, ISO 8601 with an offset.
    Raises UsageError.
    """
    try:
        moment = _moment(' '.join(text.split()), now, tz, time_format or DEFAULT_TIME_FORMAT)
        if moment < EPOCH:
            raise _Unclear(f'it is before 1970 ({iso(moment)})', 'a later time, such as 2016-02-01')
    except (ValueError, OverflowError) as exc:
        instead = exc.instead if isinstance(exc, _Unclear) else _FORMS
        raise UsageError(f'cannot read the time {_quote(text)}: {exc}; type {instead}') from None
    return moment


def parse_length(text: str) -> timedelta:
    """Return the length of time that `text` names: whole seconds, more than zero.

    >>> parse_length('1h30m')
    datetime.timedelta(seconds=5400)

    Units go from large to small, each at most once. Months and years are not units, since they vary in length. Raises
    UsageError.
    """
    length = _length(' '.join(text.split()))
    if not length:
        why = 'it is not a number and a unit' if length is None else 'it must be more than zero'
        raise UsageError(f'cannot read the length {_quote(text)}: {why}; type for example 90s, 10m, 1h30m, 2d or 1w')
    return length


def parse_zone(name: str) -> tzinfo:
    """Return the time zone with this IANA name, or `UTC`, or `local` for the zone of this machine.

    >>> iso(1454324362, parse_zone('Asia/Tokyo'))
    '2016-02-01T19:59:22+09:00'

    `local` uses the history of the zone, not today's offset. If the system has no time zone database, as on Windows,
    install `tzdata` from PyPI; without it only `UTC` and `local` are known. Raises UsageError.
    """
    if name.upper() == 'UTC':
        return UTC
    import zoneinfo  # here and below: imports that most runs do not need

    if name == 'local':
        from dateutil.tz import gettz, tzlocal

        try:
            return gettz() or tzlocal()
        except (ValueError, OSError):  # TZ names a file that is not a zone file
            return tzlocal()
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path, NUL or not a zone file; a directory or too long
        why = _why_no_zone(name, zoneinfo.available_timezones())
        raise UsageError(f'cannot read the zone {_quote(name)}: {why}') from None


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + '...')


def _length(text: str) -> timedelta | None:
    match = _LENGTH.fullmatch(text)
    given = {unit: int(number) for unit, number in match.groupdict().items() if number} if match else {}
    return timedelta(**given) if given else None


def _moment(text: str, now: datetime, tz: tzinfo, time_format: str) -> datetime:
    formatted = _formatted(text, time_format)
    if formatted:
        return _in_utc(formatted, tz)
    if len(text) > 64 or not text.isascii():
        raise _Unclear('it has no known form')
    if text.lower() == 'now':
        return now.astimezone(UTC)
    length = _length(re.sub(r'\s+ago$', '', text))
    if length is not None:
        return now.astimezone(UTC) - length
    unix = _UNIX.fullmatch(text)
    if unix:
        seconds, part, ms = unix.groups()
        return EPOCH + timedelta(seconds=int(seconds or 0), microseconds=_micro(part), milliseconds=int(ms or 0))
    by_word = _by_word(text, now, tz)
    if by_word:
        return _in_utc(by_word, tz)
    here = now.astimezone(tz)
    if time_format != DEFAULT_TIME_FORMAT and not _ZONED_ISO.fullmatch(text):
        raise _Unclear(f'it does not match the format {time_format!r}', f'a time like {here.strftime(time_format)!r}')
    return _in_utc(_calendar(text, here), tz)


def _by_word(text: str, now: datetime, tz: tzinfo) -> datetime | None:
    """Return the moment in a text such as `yesterday 14:00`, naive unless it contains the zone; else None."""
    word, _, rest = text.lower().partition(' ')
    # A weekday may also begin a date.
    weekday = next((at for at, name in enumerate(_WEEKDAYS) if word in (name, _DAYS[at])), None)
    rest = rest.removeprefix('at ')
    clock = _CLOCK.fullmatch(rest)
    if word not in ('today', 'yesterday') and (weekday is None or (rest and not clock)):
        return None
    if rest and not clock:
        raise _Unclear(f'{_quote(rest)} is not a time of day', f"one such as '{word} 14:00'")
    of_day = _time_of_day(clock) if clock else time()
    day = now.astimezone(of_day.tzinfo or tz).date()
    if weekday is None:
        back = int(word == 'yesterday')
    else:
        # The same weekday as today's is that of a week ago.
        back = (day.weekday() - weekday - 1) % 7 + 1
    return datetime.combine(day - timedelta(days=back), of_day)


def _formatted(text: str, time_format: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, time_format)
    except (ValueError, re.error):  # re.error: a directive occurs twice
        return None
    # strptime parses %Z but returns a naive datetime, and treats a Z in the format as a letter.
    if moment.tzinfo is None and re.search(r'(?:\b|\d)(?:Z|UTC|GMT)$', text, re.IGNORECASE):
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None and '%Z' in time_format.replace('%%', ''):
        raise _Unclear('the name of a zone is not enough', 'an offset such as +0900, with %z in the format')
    return moment


def _in_utc(moment: datetime, tz: tzinfo) -> datetime:
    local = moment if moment.tzinfo else moment.replace(tzinfo=tz)
    utc = local.astimezone(UTC)
    if utc.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
        day_before = local - timedelta(days=1)  # has the offset before the change
        real = (day_before.astimezone(UTC) + timedelta(days=1)).astimezone(local.tzinfo)
        raise _Unclear('clocks in this zone were put forward over it', real.isoformat())
    return utc


def _calendar(text: str, now: datetime) -> datetime:
    """Return the date and time of day in a text; naive unless the text contains the zone."""
    if re.fullmatch(r'\d+', text):
        if len(text) == 14:
            text = f'{text[:8]}T{text[8:]}'
        elif len(text) != 8:
            why = 'a bare number is Unix seconds (10 digits), milliseconds (13) or a date (8: 20160201)'
            raise _Unclear(why, 'one of these, or a length such as 10m')
    clocks = list(_CLOCK.finditer(text))
    if not clocks:
        return datetime.combine(_date(text), time())
    if len(clocks) > 1:
        raise _Unclear('it holds two times of day')
    before, after = text[: clocks[0].start()], text[clocks[0].end() :]
    if not (before + after).strip(' ,'):
        raise _Unclear('the date is missing', f"the date too, such as '{now:%Y-%m-%d} {text}'")
    day = _date(f'{before.rstrip(" ,")} {after.lstrip(" ,")}'.strip())
    return datetime.combine(day, _time_of_day(clocks[0]))


def _time_of_day(clock: re.Match[str]) -> time:
    hour, half, zone = int(clock['hour']), (clock['half'] or '').lower(), clock['zone']
    if half:
        if not 1 <= hour <= 12:
            raise _Unclear(f'an hour with {half} must be in 1..12')
        hour = hour % 12 + (12 if half == 'pm' else 0)
    offset = None
    if zone:
        digits = re.sub(r'\D', '', zone)
        length = timedelta(hours=int(digits[:2] or 0), minutes=int(digits[2:] or 0))
        offset = timezone(-length if zone[0] == '-' else length)
    return time(hour, int(clock['minute'] or 0), int(clock['second'] or 0), _micro(clock['part']), offset)


def _micro(digits: str | None) -> int:
    return int((digits or '')[:6].ljust(6, '0'))


def _date(text: str) -> date:
    """Return the full date in a text: a year of four digits, month and day, in any unambiguous order."""
    year_first = _YEAR_FIRST.fullmatch(text)
    if year_first:
        year, _, month, day = year_first.groups()
        return date(int(year), int(month), int(day))
    words, numbers = re.findall('[A-Za-z]+', text), re.findall(r'\d+', text)
    months = [word for word in words if word[:3].lower() in _MONTHS]
    weekdays = [word for word in words if word[:3].lower() in _DAYS]
    for word in words:
        if word not in months + weekdays and word.lower() not in _FILLERS:
            if re.fullmatch('Z|[A-Z]{3,5}', word):
                raise _Unclear(f'the zone {word} is not known there', 'Z or an offset such as +09:00 after the time')
            raise _Unclear(f'{word!r} has no meaning there')
    parts = len(months) + len(numbers)
    if parts < 3:
        raise _Unclear('the year, month or day is missing')
    # dateutil lets a later part overwrite an earlier one: pass it exactly three.
    readings = _readings(text) if parts == 3 and re.fullmatch(r"[\w ,./'-]+", text) else []
    if not readings:
        raise _Unclear('it has no known form or does not exist')
    if len(readings) > 1 or not any(len(number) == 4 for number in numbers):
        raise _Unclear('the order of day, month and year is not clear', ' or '.join(map(str, readings)))
    if any(word[:3].lower() != _DAYS[readings[0].weekday()] for word in weekdays):
        raise _Unclear(f'{readings[0]} is a {readings[0]:%A}')
    return readings[0]


def _readings(text: str) -> list[date]:
    """Return all dates that dateutil can make of a text: it tries each order of day, month and year."""
    from dateutil import parser

    class Calendar(parser.parserinfo):
        def convertyear(self, year: int, century_specified: bool = False) -> int:
            """Expand two digits as POSIX does: dateutil would use today's date."""
            return year if century_specified or year > 99 else year + (1900 if year > 68 else 2000)

    read = parser.parser(Calendar()).parse
    # dateutil fills missing parts from a default: with two defaults that differ in every part, the results differ.
    defaults = datetime(1972, 1, 1), datetime(1977, 3, 15, 1, 1, 1, 1)
    found: list[date] = []
    for day_first, year_first in ((False, False), (True, False), (False, True)):
        try:
            first, second = (read(text, default=day, dayfirst=day_first, yearfirst=year_first) for day in defaults)
        except (ValueError, OverflowError):
            continue
        if first.date() == second.date() and first.date() not in found:
            found.append(first.date())
    return found


def _why_no_zone(name: str, known: set[str]) -> str:
    if not known:
        return 'this machine has no time zone database; type UTC or local, or pip install tzdata'
    from difflib import get_close_matches

    # Users type the city as often as the whole name.
    by_word = {word.lower(): key for key in sorted(known) for word in (key, key.rpartition('/')[2])}
    close = [by_word[word] for word in get_close_matches(name[:40].lower(), by_word, cutoff=0.7)]
    names = ', '.join(dict.fromkeys(close or ['Asia/Tokyo']))
    return f'it is not a known name; type an IANA name such as {names}, or UTC or local'
