"""Times, lengths and zones as people type them: read exactly, or refused with advice."""

import re
import time
import zoneinfo
from datetime import datetime, timedelta, timezone, tzinfo

import pytest
from dateutil import tz as dateutil_tz
from hypothesis import given
from hypothesis import strategies as st

from flowlogs_reader.errors import UsageError
from flowlogs_reader.query.typed_times import parse_length, parse_time, parse_zone
from flowlogs_reader.records.times import EPOCH, UTC, iso, resume_text

NOW = datetime(2016, 2, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2021, 7, 20, 3, 4, 5, 678, tzinfo=UTC)
BERLIN = parse_zone('Europe/Berlin')
TOKYO = parse_zone('Asia/Tokyo')
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


def read(text: str, tz: tzinfo = UTC, time_format: str | None = None) -> str:
    moment = parse_time(text, now=NOW, tz=tz, time_format=time_format)
    assert moment.tzinfo is UTC
    return moment.replace(tzinfo=None).isoformat(' ')


def refusal(text: str, tz: tzinfo = UTC, time_format: str | None = None, now: datetime = NOW) -> str:
    with pytest.raises(UsageError) as caught:
        parse_time(text, now=now, tz=tz, time_format=time_format)
    message = str(caught.value)
    assert type(caught.value) is UsageError
    assert len(message.splitlines()) == 1
    assert message.startswith('cannot read the time ')
    assert '; type ' in message
    return message


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('now', '2016-02-01 12:00:00'),
        ('NOW', '2016-02-01 12:00:00'),
        ('0m', '2016-02-01 12:00:00'),
        ('2h', '2016-02-01 10:00:00'),
        ('90m', '2016-02-01 10:30:00'),
        ('1h30m', '2016-02-01 10:30:00'),
        ('1h 30m', '2016-02-01 10:30:00'),
        ('3d', '2016-01-29 12:00:00'),
        ('45s', '2016-02-01 11:59:15'),
        ('1w', '2016-01-25 12:00:00'),
        ('2 hours', '2016-02-01 10:00:00'),
        ('30m ago', '2016-02-01 11:30:00'),
        ('  1 hour 5 min  ago ', '2016-02-01 10:55:00'),
    ],
)
def test_lengths_before_now(text, expected):
    assert read(text) == read(text, tz=TOKYO) == expected


# It is Monday, in Tokyo too; in Samoa it is Tuesday, 02:00.
@pytest.mark.parametrize(
    ('text', 'utc', 'tokyo', 'samoa'),
    [
        ('today', '02-01 00:00', '01-31 15:00', '02-01 10:00'),
        ('Yesterday', '01-31 00:00', '01-30 15:00', '01-31 10:00'),
        ('yesterday 14:00', '01-31 14:00', '01-31 05:00', '02-01 00:00'),
        ('today at 7pm', '02-01 19:00', '02-01 10:00', '02-02 05:00'),
        ('  yesterday   00:00:30 ', '01-31 00:00', '01-30 15:00', '01-31 10:00'),
        ('yesterday 14:00Z', '01-31 14:00', '01-31 14:00', '01-31 14:00'),
        ('yesterday 23:30 +14:00', '02-01 09:30', '02-01 09:30', '02-01 09:30'),
        ('monday', '01-25 00:00', '01-24 15:00', '01-31 10:00'),
        ('Sun', '01-31 00:00', '01-30 15:00', '01-30 10:00'),
        ('tuesday 09:15', '01-26 09:15', '01-26 00:15', '01-25 19:15'),
        ('sat at 12am', '01-30 00:00', '01-29 15:00', '01-29 10:00'),
    ],
)
def test_days_by_word_are_days_of_the_zone(text, utc, tokyo, samoa):
    for zone, expected in ((UTC, utc), (TOKYO, tokyo), (timezone(timedelta(hours=14)), samoa)):
        assert read(text, tz=zone)[:16] == f'2016-{expected}'
        assert read(text, tz=zone, time_format='%d/%m/%Y')[:16] == f'2016-{expected}'


@pytest.mark.parametrize('day', range(7))
@pytest.mark.parametrize('weekday', 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split())
def test_a_weekday_is_the_last_one_before_today(weekday, day):
    now = NOW + timedelta(days=day)
    found = parse_time(weekday, now=now)
    assert f'{found:%A %H:%M:%S}' == f'{weekday} 00:00:00'
    assert 1 <= (now.date() - found.date()).days <= 7
    assert parse_time(f'{weekday[:3]} 14:00', now=now) == found + timedelta(hours=14)


def test_a_day_that_has_no_midnight():
    assert 'clocks in this zone were put forward over it' in refusal(
        'yesterday', tz=parse_zone('America/Sao_Paulo'), now=datetime(2015, 10, 19, 12, tzinfo=UTC)
    )
    assert read('yesterday 14:00', tz=parse_zone('America/Sao_Paulo')) == '2016-01-31 16:00:00'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('2016-02-01T10:59:22Z', '2016-02-01 10:59:22'),
        ('2016-02-01t10:59:22z', '2016-02-01 10:59:22'),
        ('2016-02-01 10:59:22 UTC', '2016-02-01 10:59:22'),
        ('2016-02-01T19:59:22+09:00', '2016-02-01 10:59:22'),
        ('2016-02-01 19:59:22 +0900', '2016-02-01 10:59:22'),
        ('2016-02-01T19:59+09', '2016-02-01 10:59:00'),
        ('2016-02-01T05:29:22-05:30', '2016-02-01 10:59:22'),
        ('2016-02-01T10:59:22.25Z', '2016-02-01 10:59:22.250000'),
        ('2016-02-01T10:59:22,123456789Z', '2016-02-01 10:59:22.123456'),
        ('20160201T105900Z', '2016-02-01 10:59:00'),
        ('20160201T1059Z', '2016-02-01 10:59:00'),
        ('20160201T10Z', '2016-02-01 10:00:00'),
        ('9999-12-31T23:59:59.999999Z', '9999-12-31 23:59:59.999999'),
        ('0', '1970-01-01 00:00:00'),
        ('145432436', '1974-08-11 05:53:56'),
        ('1454324362', '2016-02-01 10:59:22'),
        ('1454324362.25', '2016-02-01 10:59:22.250000'),
        ('1454324362250', '2016-02-01 10:59:22.250000'),
        ('Mon Feb  1 10:59:22 UTC 2016', '2016-02-01 10:59:22'),
        ('Mon, 01 Feb 2016 19:59:22 +0900', '2016-02-01 10:59:22'),
        ('7pm GMT, 1 February 2016', '2016-02-01 19:00:00'),
    ],
)
def test_what_holds_its_own_zone_means_the_same_in_every_zone(text, expected):
    assert read(text) == read(text, tz=TOKYO) == read(text, tz=BERLIN) == expected


@pytest.mark.parametrize(
    ('text', 'in_utc'),
    [
        ('2016-02-01', '2016-02-01 00:00:00'),
        ('20160201', '2016-02-01 00:00:00'),
        ('2016/02/01', '2016-02-01 00:00:00'),
        ('2016-02-01T10:59', '2016-02-01 10:59:00'),
        ('2016-02-01 10:59:22', '2016-02-01 10:59:22'),
        ('2016-2-1 1:2:3', '2016-02-01 01:02:03'),
        ('20160201105900', '2016-02-01 10:59:00'),
        ('2016-02-01 7pm', '2016-02-01 19:00:00'),
        ('Feb 1 2016 10:59', '2016-02-01 10:59:00'),
        ('1 Feb 2016 7pm', '2016-02-01 19:00:00'),
        ('Feb 1 2016 12am', '2016-02-01 00:00:00'),
        ('Feb 1 2016 12:30 PM', '2016-02-01 12:30:00'),
        ('February 1st, 2016 at 7:05 pm', '2016-02-01 19:05:00'),
        ('10:59 Monday 1 Feb 2016', '2016-02-01 10:59:00'),
        ('1-Feb-2016', '2016-02-01 00:00:00'),
        ('Feb-01-2016', '2016-02-01 00:00:00'),
        ('2016-Feb-01', '2016-02-01 00:00:00'),
        ('13/02/2016', '2016-02-13 00:00:00'),
        ('02/13/2016', '2016-02-13 00:00:00'),
        ('02/02/2016', '2016-02-02 00:00:00'),
    ],
)
def test_naive_times_are_read_in_the_zone(text, in_utc):
    assert read(text) == in_utc
    nine_hours_before = datetime.fromisoformat(in_utc) - timedelta(hours=9)
    assert read(text, tz=TOKYO) == nine_hours_before.isoformat(' ')


@pytest.mark.parametrize(
    ('text', 'readings'),
    [
        ('01/02/03', '2003-01-02 or 2003-02-01 or 2001-02-03'),
        ('01/02/2016', '2016-01-02 or 2016-02-01'),
        ('01/02/2016 10:59', '2016-01-02 or 2016-02-01'),
        ('10.02.2016', '2016-10-02 or 2016-02-10'),
        ('1-2-2016', '2016-01-02 or 2016-02-01'),
        ('13/02/03', '2003-02-13 or 2013-02-03'),
        ('12/31/99', '1999-12-31'),
        ('Feb 1 16', '2016-02-01'),
    ],
)
def test_the_ambiguous_is_refused_with_its_readings(text, readings):
    assert refusal(text).endswith(f'the order of day, month and year is not clear; type {readings}')


MISSING = 'the year, month or day is missing'
NO_FORM = 'it has no known form or does not exist'


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('', MISSING),
        ('   ', MISSING),
        ('Feb', MISSING),
        ('Feb 1', MISSING),
        ('Feb 2016', MISSING),
        ('Monday Feb 2016', MISSING),
        ('Monday 10', MISSING),
        ('Mon, 10:59', MISSING),
        ('2016-02', MISSING),
        ('Feb 1 10:59:22', MISSING),
        ('10:59', "the date is missing; type the date too, such as '2016-02-01 10:59'"),
        ('7pm', "the date is missing; type the date too, such as '2016-02-01 7pm'"),
        ('12', 'a bare number is'),
        ('2016', 'a bare number is'),
        ('201602011059', 'a bare number is'),
        ('9' * 60, 'a bare number is'),
        ('9' * 5000, 'it has no known form'),
        ('1.5h', "'h' has no meaning there"),
        ('1h30', "'h' has no meaning there"),
        ('-2h', "'h' has no meaning there"),
        ('1y', "'y' has no meaning there"),
        ('yesterday noon', "'noon' is not a time of day; type one such as 'yesterday 14:00'"),
        ('today Feb 1', "'feb 1' is not a time of day; type one such as 'today 14:00'"),
        ('yesterday 13pm', 'an hour with pm must be in 1..12'),
        ('10:59 yesterday', "'yesterday' has no meaning there"),
        ('mond', MISSING),
        ('tomorrow 10:59', "'tomorrow' has no meaning there"),
        ('EST', 'the zone EST is not known there; type Z or an offset'),
        ('Feb 1 2016 10:59 EST', 'the zone EST is not known there; type Z or an offset'),
        ('Feb 1 2016 10:59 UTC+3', 'the zone UTC is not known there; type Z or an offset'),
        ('2016-02-01 10:59 JST', 'the zone JST is not known there; type Z or an offset'),
        ('Tuesday Feb 1 2016', '2016-02-01 is a Monday'),
        ('10:59 11:59 Feb 1 2016', 'it holds two times of day'),
        ('7pm 8pm Feb 1 2016', 'it holds two times of day'),
        ('Feb 1 2016 13pm', 'an hour with pm must be in 1..12'),
        ('Feb Mar 1 2016', NO_FORM),
        ('Feb 30 2016', NO_FORM),
        ('10.59 Feb 2016', NO_FORM),
        ('1.5 2016 Feb', NO_FORM),
        ('Feb 1 2016 2017', NO_FORM),
        ('2016-02-01 10', NO_FORM),
        ('2016-02-01 10:5', NO_FORM),
        ('2016-02-01-05', NO_FORM),
        ('2016-02-01..2016-02-02', NO_FORM),
        ('10000-01-01', NO_FORM),
        ('1 Feb 2016 \x00', NO_FORM),
        ('2016-02-01T105', 'has no meaning there'),
        ('2016-02-01T10:59+99:00', 'has no meaning there'),
        ('２０１６年', 'it has no known form'),
        ('x' * 5_000, 'it has no known form'),
        ('2016-02-30', 'day is out of range for month'),
        ('2016-13-01', 'month must be in 1..12'),
        ('2016-02-01T24:00', 'hour must be in 0..23'),
        ('2016-02-01T10:59:60', 'second must be in 0..59'),
        ('0000-01-01', 'year 0 is out of range'),
        ('0001-01-01', 'it is before 1970 (0001-01-01T00:00:00Z)'),
        ('1969-12-31T23:59:59Z', 'it is before 1970 (1969-12-31T23:59:59Z)'),
        ('9999w', 'it is before 1970'),
        ('99999999w', 'date value out of range'),
        ('9999-12-31T23:59:59-05:00', 'date value out of range'),
    ],
)
def test_the_unclear_is_refused_with_a_reason(text, why):
    assert why.split(' must')[0].split(' is out of')[0] in refusal(text)  # Python words its own reasons anew at times


PARTS = 'Feb March Mon Friday 10:59 7pm 1 12 31 1st 16 2016 2016-02 02/01 10:59Z'


@pytest.fixture
def machine_zone(monkeypatch):
    """Set the zone of the machine, which dateutil and strptime look at."""

    def set_zone(name):
        monkeypatch.setenv('TZ', name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize('now', [NOW, LATER])
@pytest.mark.parametrize('zone', ['UTC0', 'EST5EDT', 'JST-9'])
@pytest.mark.parametrize(
    'text', [*sorted({*PARTS.split()} - {'Mon', 'Friday'}), 'Feb 1 2016 10:59 EST', 'Feb 1 2016 10:59 JST']
)
def test_nothing_is_filled_in_from_today_or_the_machine(machine_zone, text, zone, now):
    machine_zone(zone)
    assert refusal(text, now=now)


def outcome(text: str, now: datetime) -> timedelta | datetime | str:
    """What a text means apart from now: the same for every now."""
    try:
        moment = parse_time(text, now=now)
    except UsageError as exc:
        assert len(str(exc).splitlines()) == 1
        return 'refused'
    assert moment >= EPOCH
    if text.lower().split()[0] in ('mon', 'friday') and not re.search(r'(?<![+-])\d{4}|\bfeb|\bmar', text.lower()):
        assert timedelta(0) < now - moment < timedelta(days=9)
        return 'a day of last week'
    return now - moment if text.strip().endswith(('ago', 'w', 'd', 'h', 'm', 's', 'now')) else moment


WORDS = f"""{PARTS} now ago 2h 30m am pm AM T Z UTC GMT EST +09:00 -0500 2015 .5 of on at th 00 59 99 0
    2016-02-01 20160201 1454324362 - / : , . '"""
SCRAPS = st.lists(
    st.tuples(st.sampled_from(WORDS.split()), st.sampled_from(['', ' ', ' ', '-', '/', 'T', ', '])), max_size=7
)


@given(SCRAPS.map(lambda pairs: ''.join(word + gap for word, gap in pairs)))
def test_any_heap_of_parts_is_refused_or_means_the_same_every_day(text):
    assert outcome(text, NOW) == outcome(text, LATER)


@given(st.text(), st.sampled_from([None, '%d/%m/%Y', '%Y %Z', '%d %d', '%', '%q', '%s', 'x' * 500]))
def test_any_text_raises_nothing_but_a_usage_error(text, time_format):
    for call in (lambda: parse_time(text, now=NOW, time_format=time_format), lambda: parse_length(text)):
        try:
            call()
        except UsageError as exc:
            assert len(str(exc).splitlines()) == 1


@given(st.text(), st.text(alphabet='%YmdHMSZzpbBjfyaA -/:TZ', max_size=12))
def test_any_format_raises_nothing_but_a_usage_error(text, time_format):
    try:
        parse_time(text, now=NOW, time_format=time_format)
    except UsageError as exc:
        assert len(str(exc).splitlines()) == 1


DAYS = st.sampled_from(['%d %b %Y', '%B %d, %Y', '%a %Y-%b-%d'])


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)), DAYS)
def test_dates_in_words_are_read_exactly(moment, day):
    moment = moment.replace(microsecond=0)
    assert read(f'{moment:{day} %H:%M:%S}') == moment.isoformat(' ')
    assert read(f'{moment:%H:%M:%S {day}}') == moment.isoformat(' ')


def test_where_clocks_go_back_it_is_the_earlier_moment():
    assert read('2016-10-30 02:30', tz=BERLIN) == '2016-10-30 00:30:00'
    assert read('2016-10-30 02:30+01:00', tz=BERLIN) == '2016-10-30 01:30:00'


@pytest.mark.parametrize('zone', [BERLIN, dateutil_tz.gettz('Europe/Berlin')])
def test_a_time_that_clocks_leapt_over_is_refused(zone):
    assert refusal('2016-03-27 02:30', tz=zone).endswith(
        'clocks in this zone were put forward over it; type 2016-03-27T03:30:00+02:00'
    )
    assert read('2016-03-27 03:30', tz=zone) == '2016-03-27 01:30:00'


@pytest.mark.parametrize(
    ('time_format', 'text', 'expected'),
    [
        ('%Y-%m-%d %H:%M:%S', '2016-02-01 10:59:22', '2016-02-01 09:59:22'),
        ('%d/%m/%Y', '01/02/2016', '2016-01-31 23:00:00'),
        ('%Y-%d-%m', '2016-02-01', '2016-01-01 23:00:00'),
        ('%Y年%m月%d日', '2016年02月01日', '2016-01-31 23:00:00'),
        ('%d.%m.%Y %H:%M %z', '01.02.2016 19:59 +0900', '2016-02-01 10:59:00'),
        ('%Y-%m-%dT%H:%M:%SZ', '2016-02-01T10:59:22Z', '2016-02-01 10:59:22'),
        ('%Y-%m-%d %Z', '2016-02-01 UTC', '2016-02-01 00:00:00'),
        ('%d/%m/%Y', 'now', '2016-02-01 12:00:00'),
        ('%d/%m/%Y', '2h', '2016-02-01 10:00:00'),
        ('%d/%m/%Y', '1454324362', '2016-02-01 10:59:22'),
        ('%d/%m/%Y', '2016-02-01T10:59:22Z', '2016-02-01 10:59:22'),
        ('%d/%m/%Y', '2016-02-01T19:59:22+09:00', '2016-02-01 10:59:22'),
    ],
)
def test_a_format_is_tried_first(time_format, text, expected):
    assert read(text, tz=BERLIN, time_format=time_format) == expected


@pytest.mark.parametrize('text', ['2016-02-01', '2016-02-01 10:59:22', 'Feb 1 2016', '12', '10:59', '', '32/01/2016'])
def test_a_text_that_does_not_match_the_format_is_refused_with_an_example(text):
    message = refusal(text, time_format='%d/%m/%Y')
    assert message.endswith("it does not match the format '%d/%m/%Y'; type a time like '01/02/2016'")


@pytest.mark.parametrize(
    ('time_format', 'why'),
    [('%H:%M', 'it is before 1970 (1900-01-01T10:59:00Z)'), ('%q', "does not match the format '%q'")],
)
def test_a_format_that_cannot_name_a_time(time_format, why):
    assert why in refusal('10:59', time_format=time_format)


def test_a_zone_name_that_strptime_would_forget(machine_zone):
    machine_zone('CET-1CEST')
    message = refusal('2016-02-01 CET', time_format='%Y-%m-%d %Z')
    assert message.endswith('the name of a zone is not enough; type an offset such as +0900, with %z in the format')


@given(st.integers(0, LAST_MS), st.sampled_from([UTC, TOKYO, BERLIN]), st.sampled_from([None, '%d/%m/%Y']))
def test_resume_text_reads_back_to_the_millisecond(ms, zone, time_format):
    moment = parse_time(resume_text(ms), now=NOW, tz=zone, time_format=time_format)
    assert (moment - EPOCH) == timedelta(milliseconds=ms)


@given(st.integers(86_400, LAST_MS // 1000 - 86_400), st.sampled_from([UTC, TOKYO, BERLIN]))
def test_iso_reads_back_to_the_second(seconds, zone):
    assert parse_time(iso(seconds, zone), now=NOW, tz=TOKYO) == EPOCH + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ('moment', 'zone', 'text'),
    [
        (0, UTC, '1970-01-01T00:00:00Z'),
        (-1, UTC, '1969-12-31T23:59:59Z'),
        (1454324362, TOKYO, '2016-02-01T19:59:22+09:00'),
        (1454324362, parse_zone('Etc/UTC'), '2016-02-01T10:59:22Z'),
        (1454324362, dateutil_tz.UTC, '2016-02-01T10:59:22Z'),
        (1454324362, parse_zone('Europe/London'), '2016-02-01T10:59:22+00:00'),
        (1454324362, timezone(timedelta(hours=-5)), '2016-02-01T05:59:22-05:00'),
        (datetime(2016, 2, 1, 10, 59, 22), TOKYO, '2016-02-01T19:59:22+09:00'),
        (NOW, UTC, '2016-02-01T12:00:00Z'),
        (NOW.replace(microsecond=250_000), UTC, '2016-02-01T12:00:00.250Z'),
        (NOW.replace(microsecond=250_001), UTC, '2016-02-01T12:00:00.250001Z'),
    ],
)
def test_iso(moment, zone, text):
    assert iso(moment, zone) == text


@pytest.mark.parametrize('call', [lambda: iso(10**15), lambda: iso(10**30, TOKYO), lambda: resume_text(10**30)])
def test_a_moment_that_has_no_date(call):
    with pytest.raises(ValueError, match='out of range'):
        call()


@pytest.mark.parametrize(
    ('text', 'length'),
    [
        ('10m', timedelta(minutes=10)),
        ('1h30m', timedelta(minutes=90)),
        ('90s', timedelta(seconds=90)),
        ('2d', timedelta(days=2)),
        ('1w', timedelta(weeks=1)),
        (' 2 weeks 1 day ', timedelta(days=15)),
    ],
)
def test_lengths(text, length):
    assert parse_length(text) == length


@pytest.mark.parametrize(
    'text',
    ['0s', '0h0m', '', '5', 'm', '1M', '1mo', '-1h', '1.5h', '1m1h', '1h1h', '1h ago', '１m', '1w' + ' ' * 9999 + 'x'],
)
def test_what_is_not_a_length(text):
    with pytest.raises(UsageError, match='^cannot read the length .*; type for example 90s, 10m, 1h30m, 2d or 1w$'):
        parse_length(text)


@given(st.tuples(*[st.integers(0, 99_999_999)] * 5).filter(any), st.sampled_from(['', ' ']))
def test_lengths_round_trip(numbers, gap):
    text = gap.join(f'{number}{unit}' for number, unit in zip(numbers, 'wdhms', strict=True) if number)
    weeks, days, hours, minutes, seconds = numbers
    assert parse_length(text) == timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def zone_refusal(name: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_zone(name)
    message = str(caught.value)
    assert message.startswith('cannot read the zone ')
    assert len(message.splitlines()) == 1
    return message


def test_zones(machine_zone):
    assert parse_zone('UTC') is parse_zone('utc') is UTC
    assert TOKYO.utcoffset(datetime(2016, 2, 1)) == timedelta(hours=9)
    machine_zone('Europe/Berlin')
    local = parse_zone('local')
    assert [local.utcoffset(datetime(2016, month, 1)) for month in (2, 7)] == [timedelta(hours=1), timedelta(hours=2)]


@pytest.mark.parametrize('name', [':/etc/passwd', ':/etc', ':/nowhere', 'Nowhere/Land'])
def test_a_zone_of_the_machine_that_is_none_counts_as_utc(name, machine_zone):
    machine_zone(name)
    assert parse_zone('local').utcoffset(datetime(2016, 2, 1)) == timedelta()


@pytest.mark.parametrize(
    'name', ['../../etc/passwd', '/etc/passwd', 'a\0b', '', '.', '..', 'x' * 10_000, '\udc80', '+09:00', 'a\nb']
)
def test_hostile_zones_get_the_same_refusal(name):
    message = 'it is not a known name; type an IANA name such as Asia/Tokyo, or UTC or local'
    assert zone_refusal(name).endswith(message)


@pytest.mark.parametrize(
    ('name', 'near'),
    [('asia/tokyo', 'Asia/Tokyo'), ('Asia/Tokio', 'Asia/Tokyo'), ('new_york', 'America/New_York')],
)
def test_an_unknown_zone_names_the_near_ones(name, near):
    assert f'type an IANA name such as {near}' in zone_refusal(name)


@given(st.text())
def test_any_zone_name_raises_nothing_but_a_usage_error(name):
    try:
        parse_zone(name)
    except UsageError as exc:
        assert len(str(exc).splitlines()) == 1


def test_without_a_database_it_says_what_to_install(monkeypatch):
    def missing(key):
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, 'ZoneInfo', missing)
    monkeypatch.setattr(zoneinfo, 'available_timezones', set)
    assert zone_refusal('Asia/Tokyo').endswith(
        'this machine has no time zone database; type UTC or local, or pip install tzdata'
    )
    assert parse_zone('UTC') is UTC
