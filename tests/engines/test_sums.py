"""aggregated_records: flows summed by key fields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flowlogs_reader import FileFlowLogsReader, FlowRecord, aggregated_records
from tests import traffic
from tests.conftest import MINUTE

EPOCH = datetime(1970, 1, 1)
SECOND = timedelta(seconds=1)
FLOWS = [
    '2 1 eni-1 10.0.0.1 10.0.0.2 44000 443 6 10 1000 1700000000 1700000060 ACCEPT OK',
    '2 1 eni-2 10.0.0.2 10.0.0.1 443 44000 6 8 8000 1700000005 1700000065 ACCEPT OK',
    '2 1 eni-1 - - - - - - - 1700000000 1700000060 - NODATA',
    '2 1 eni-1 10.0.0.1 10.0.0.2 44000 443 6 6 540 1699999900 1700000160 REJECT OK',
    '2 1 eni-2 - - - - - - - 1700000000 1700000060 - SKIPDATA',
    '2 1 eni-2 10.0.0.1 8.8.8.8 0 0 1 4 336 1700000010 1700000070 ACCEPT OK',
]


def records(lines: list[str] = FLOWS) -> list[FlowRecord]:
    return [FlowRecord.from_cwl_event({'message': line}) for line in lines]


def test_rows_are_dicts_of_the_key_then_the_sums() -> None:
    first, second, third = aggregated_records(records())
    assert first == {
        'srcaddr': '10.0.0.1',
        'dstaddr': '10.0.0.2',
        'srcport': 44000,
        'dstport': 443,
        'protocol': 6,
        'packets': 16,
        'bytes': 1540,
        'start': datetime(2023, 11, 14, 22, 11, 40),
        'end': datetime(2023, 11, 14, 22, 16),
    }
    assert list(first) == 'srcaddr dstaddr srcport dstport protocol packets bytes start end'.split()
    assert (second['srcaddr'], second['bytes']) == ('10.0.0.2', 8000)
    assert (third['srcport'], third['dstport'], third['protocol']) == (0, 0, 1)


def test_it_takes_any_iterable_and_gives_an_iterator() -> None:
    rows = aggregated_records(iter(records()))
    assert isinstance(rows, Iterator)
    assert len(list(rows)) == 3
    assert list(aggregated_records([])) == []
    assert list(aggregated_records(records([FLOWS[2], FLOWS[4]]))) == []
    assert list(aggregated_records([FlowRecord({})])) == []


@pytest.mark.parametrize(
    ('keys', 'expected'),
    [
        (('srcaddr',), [('10.0.0.1', 1876), ('10.0.0.2', 8000)]),
        (['dstport', 'srcaddr'], [(443, '10.0.0.1', 1540), (44000, '10.0.0.2', 8000), (0, '10.0.0.1', 336)]),
        (('interface_id',), [('eni-1', 1540), ('eni-2', 8336)]),
        (('interface-id', 'action'), [('eni-1', 'ACCEPT', 1000), ('eni-2', 'ACCEPT', 8336), ('eni-1', 'REJECT', 540)]),
        ((), [(9876,)]),
        (('vpc_id',), [(None, 9876)]),
    ],
)
def test_key_fields(keys: tuple[str, ...], expected: list[tuple[object, ...]]) -> None:
    rows = list(aggregated_records(records(), key_fields=keys))
    names = [name.replace('-', '_') for name in keys]
    assert [(*[row[name] for name in names], row['bytes']) for row in rows] == expected


def test_a_time_may_be_a_key() -> None:
    rows = list(aggregated_records(records(), key_fields=('end',)))
    assert rows[0]['end'] == datetime(2023, 11, 14, 22, 14, 20)
    assert sum(row['bytes'] for row in rows) == 9876


def test_records_of_several_formats() -> None:
    mixed = [
        FlowRecord({'srcaddr': '10.0.0.1', 'bytes': 1, 'packets': 1, 'start': 20, 'end': 30}),
        FlowRecord({'bytes': 2, 'srcaddr': '10.0.0.1', 'vpc_id': 'v'}),
        FlowRecord({'srcaddr': '10.0.0.1', 'packets': 4, 'start': 10}),
        FlowRecord({'vpc_id': 'v', 'bytes': 8, 'packets': 0}),
    ]
    assert list(aggregated_records(mixed, ['srcaddr'])) == [
        {'srcaddr': '10.0.0.1', 'packets': 5, 'bytes': 3, 'start': EPOCH + 10 * SECOND, 'end': EPOCH + 30 * SECOND},
        {'srcaddr': None, 'packets': 0, 'bytes': 8, 'start': None, 'end': None},
    ]


def test_sums_are_exact_beyond_64_bits() -> None:
    flow = FlowRecord({'srcaddr': 'a', 'bytes': 2**63, 'packets': 1})
    assert [row['bytes'] for row in aggregated_records([flow] * 4, ['srcaddr'])] == [2**65]


def test_a_name_that_is_not_a_field_is_an_error() -> None:
    with pytest.raises(ValueError, match='scraddr'):
        list(aggregated_records(records(), ['scraddr']))


class TestReader:
    """On a reader the sums are made without records, with the same result."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        traffic.write_log(tmp_path / 'flows.log', 5_000)
        return tmp_path / 'flows.log'

    @pytest.mark.parametrize(
        'keys', [('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol'), ('dstport',), ('vpc_id', 'action')]
    )
    def test_a_reader_gives_what_its_records_give(self, path: Path, keys: tuple[str, ...]) -> None:
        expected = list(aggregated_records(list(FileFlowLogsReader(path)), keys))
        assert list(aggregated_records(FileFlowLogsReader(path), keys)) == expected
        assert len(expected) > 1

    def test_a_reader_that_was_read_from_goes_on_where_it_stands(self, path: Path) -> None:
        begun, whole = FileFlowLogsReader(path), list(FileFlowLogsReader(path))
        for _ in range(3):
            next(begun)
        assert list(aggregated_records(begun)) == list(aggregated_records(whole[3:]))

    def test_counters_count_as_ever(self, path: Path) -> None:
        with open(path, 'ab') as log:
            log.write(b'garbage\n' + MINUTE)
        reader = FileFlowLogsReader(path)
        list(aggregated_records(reader))
        assert reader.skipped_records == 1
        assert reader.bytes_processed == path.stat().st_size
        assert list(reader) == []
