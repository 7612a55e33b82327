"""Keys and paths of objects: what is parsed from them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from flowlogs_reader.sources.keys import Key, KeyWindow, day_folder, folder_span, key_time, partitions, place

NAME = '123456789010_vpcflowlogs_us-east-1_fl-0abc_{}_0123abcd.log.gz'
PLAIN = 'AWSLogs/123456789010/vpcflowlogs/us-east-1/'
HIVE = 'AWSLogs/aws-account-id=123456789010/aws-service=vpcflowlogs/aws-region=us-east-1/'


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


def window(start: str, end: str, margin: int = 0) -> KeyWindow:
    return KeyWindow(at(start) * 1000, at(end) * 1000, margin)


@pytest.mark.parametrize(
    'name, time',
    [
        (NAME.format('20160201T1055Z'), '2016-02-01 10:55:00'),
        (PLAIN + '2016/02/01/10/' + NAME.format('20160201T1055Z'), '2016-02-01 10:55:00'),
        ('x_20160229T0000Z_h.log.parquet', '2016-02-29 00:00:00'),
        ('folder_20160201T1055Z_x/README.txt', None),
        ('x_20160230T1055Z_h.log.gz', None),
        ('x_20160201T2460Z_h.log.gz', None),
        ('x_20160201T1055_h.log.gz', None),
        ('', None),
    ],
)
def test_key_time(name: str, time: str | None) -> None:
    assert key_time(name) == (time and at(time))


@pytest.mark.parametrize(
    'folder, expected',
    [
        ('', None),
        ('logs/', None),
        ('notAWSLogs/1/', None),
        ('AWSLogs/', ('AWSLogs/', None, None, None)),
        ('a/b/AWSLogs/1/', ('a/b/AWSLogs/1/', '1', None, None)),
        (PLAIN, (PLAIN, '123456789010', 'vpcflowlogs', 'us-east-1')),
        (PLAIN + '2016/02/01/10/', (PLAIN, '123456789010', 'vpcflowlogs', 'us-east-1')),
        (HIVE, (HIVE, '123456789010', 'vpcflowlogs', 'us-east-1')),
        (HIVE + 'year=2016/month=02/', (HIVE, '123456789010', 'vpcflowlogs', 'us-east-1')),
        ('AWSLogs/aws-account-id=1/service=y/', ('AWSLogs/aws-account-id=1/service=y/', '1', 'y', None)),
        ('AWSLogs/1/CloudTrail/', ('AWSLogs/1/CloudTrail/', '1', 'CloudTrail', None)),
    ],
)  # fmt: skip
def test_place(folder: str, expected: tuple[str | None, ...] | None) -> None:
    assert place(folder) == expected


def test_day_folders() -> None:
    day = datetime(2016, 2, 1)
    assert day_folder(PLAIN, day) == PLAIN + '2016/02/01/'
    assert day_folder(HIVE, day) == HIVE + 'year=2016/month=02/day=01/'


@pytest.mark.parametrize(
    'folder, span',
    [
        (PLAIN + '2016/02/01/', ('2016-02-01 00:00', '2016-02-02 00:00')),
        (PLAIN + '2016/02/01', ('2016-02-01 00:00', '2016-02-02 00:00')),
        (PLAIN + '2016/02/01/10/', ('2016-02-01 10:00', '2016-02-01 11:00')),
        (HIVE + 'year=2016/month=02/day=01/hour=23/', ('2016-02-01 23:00', '2016-02-02 00:00')),
        (PLAIN + '2016/02/', None),
        (PLAIN + '2016/13/01/', None),
        ('backup/2016/02/01/', None),
    ],
)
def test_folder_span(folder: str, span: tuple[str, str] | None) -> None:
    assert folder_span(folder) == (span and tuple(map(at, span)))


def test_the_first_key_of_a_window_is_rounded_down() -> None:
    keys = window('2016-02-01 10:02:30', '2016-02-01 10:10:00')
    assert [minute for minute in range(0, 60, 5) if keys.holds(at(f'2016-02-01 10:{minute:02}:00'))] == [0, 5]


def test_a_margin_takes_later_keys_in() -> None:
    keys = window('2016-02-01 10:00', '2016-02-01 10:10', margin=600)
    assert [minute for minute in range(0, 60, 5) if keys.holds(at(f'2016-02-01 10:{minute:02}:00'))] == [
        0,
        5,
        10,
        15,
        20,
    ]


def test_a_key_without_a_time_may_hold_anything() -> None:
    assert window('2016-02-01 10:00', '2016-02-01 10:10').holds(None)


def test_an_empty_window_holds_no_key() -> None:
    for margin in (0, 600):
        keys = window('2016-02-01 10:02', '2016-02-01 10:02', margin)
        assert not keys.holds(at('2016-02-01 10:00')) and keys.days() == []


def test_folders_of_other_times_hold_nothing() -> None:
    keys = window('2016-02-01 23:58', '2016-02-02 00:03')
    held = [day for day in range(1, 6) if keys.may_hold(f'{PLAIN}2016/02/{day:02}/')]
    assert held == [1, 2]
    assert keys.may_hold(f'{PLAIN}2016/02/01/23/') and not keys.may_hold(f'{PLAIN}2016/02/01/22/')
    assert keys.may_hold('anything/else')


def test_days_of_a_window() -> None:
    assert [day.day for day in window('2016-02-01 23:58', '2016-02-02 00:00').days()] == [1]
    assert [day.day for day in window('2016-02-01 23:58', '2016-02-02 00:00', margin=600).days()] == [1, 2]
    assert window('2016-02-01 00:00', '2016-02-01 00:00').days() == []


def test_listing_skips_to_the_window() -> None:
    keys = window('2016-02-01 10:02', '2016-02-01 10:10')
    early, inside, late = (f'd/{NAME.format(time)}' for time in ('20160201T0955Z', '20160201T1005Z', '20160201T1010Z'))
    first = f'd/{NAME.format("20160201T1000Z")}'
    assert early < (keys.start_after(early) or '') < first
    assert keys.start_after(inside) is None
    another = late.replace('fl-0abc', 'fl-0abd')
    assert late.replace('20160201T1010Z', '20991231T2355Z') < (keys.start_after(late) or '') < another
    assert keys.start_after('d/README.txt') is None


def test_keys_sort_by_time_then_name() -> None:
    assert sorted([Key(2, 'a'), Key(1, 'b'), Key(1, 'a')]) == [Key(1, 'a'), Key(1, 'b'), Key(2, 'a')]


def test_partitions() -> None:
    assert partitions(f'{HIVE}x=y.parquet') == {
        'aws-account-id': '123456789010', 'aws-service': 'vpcflowlogs', 'aws-region': 'us-east-1',
    }  # fmt: skip
    assert partitions(f'{PLAIN}x.parquet') == {}
