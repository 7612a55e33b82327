"""The library as scripts use it: each promise to scripts written for flowlogs-reader 5.0.1 is one test."""

from __future__ import annotations

import gzip
import inspect
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pytest

import flowlogs_reader
from flowlogs_reader import (
    DEFAULT_FIELDS,
    FileFlowLogsReader,
    FlowLogsError,
    FlowLogsReader,
    FlowRecord,
    Query,
    Window,
    aggregated_records,
    run,
)
from tests.conftest import HOUR, MINUTE, ROOT, SEED_REGION
from tests.fake.aws import FakeAWS

DAY = {'start_time': datetime(2016, 2, 1), 'end_time': datetime(2016, 2, 2)}
TOKYO = timezone(timedelta(hours=9))


@pytest.fixture
def reader(seeded: FakeAWS) -> FlowLogsReader:
    return FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, **DAY)


# -- names -------------------------------------------------------------------------------------------------------------


def test_the_public_names() -> None:
    for name in ('FlowRecord', 'FlowLogsReader', 'S3FlowLogsReader', 'aggregated_records'):
        assert name in flowlogs_reader.__all__
    names: dict[str, object] = {}
    exec('from flowlogs_reader import *', names)
    assert names.keys() >= set(flowlogs_reader.__all__)
    with pytest.raises(ImportError, match='FlowLogReader'):
        from flowlogs_reader import FlowLogReader  # type: ignore[attr-defined]  # noqa: F401


def test_importing_it_is_light() -> None:
    code = (
        'import sys, flowlogs_reader; flowlogs_reader.FlowLogsReader("g"); '
        'print(*[name for name in ("boto3", "botocore", "dateutil", "pyarrow", "tqdm") if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True, capture_output=True)
    assert done.stdout == b'\n'


def test_the_type_hints_are_shipped() -> None:
    assert (Path(flowlogs_reader.__file__).parent / 'py.typed').exists()


# -- constructors ------------------------------------------------------------------------------------------------------


def test_the_keywords_of_5_0_1() -> None:
    made = FlowLogsReader(
        'g',
        filter_pattern='REJECT',
        thread_count=2,
        fields=DEFAULT_FIELDS,
        ec2_client=object(),
        region_name='eu-west-1',
        profile_name='p',
        start_time=datetime(2016, 2, 1),
        end_time=datetime(2016, 2, 2),
        boto_client=object(),
        boto_client_kwargs={},
        raise_on_error=True,
    )
    assert (made.log_group_name, made.thread_count, made.raise_on_error) == ('g', 2, True)
    assert made.paginator_kwargs == {'filterPattern': 'REJECT'}


def test_the_first_arguments_may_be_given_by_position() -> None:
    names = list(inspect.signature(FlowLogsReader).parameters)
    assert names[:5] == ['log_group_name', 'filter_pattern', 'thread_count', 'fields', 'ec2_client']
    assert inspect.signature(FlowLogsReader).parameters['fields'].default == DEFAULT_FIELDS


def test_a_keyword_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TypeError, match='log_group'):
        FlowLogsReader('g', log_group='g')  # type: ignore[call-arg]
    for engine in ('local', 'insights'):
        with pytest.raises(TypeError, match='workgrop'):
            run(Query(window=Window(0, 1000)), 'g', engine, workgrop='w')


def test_the_constructor_asks_nobody(seeded: FakeAWS) -> None:
    FlowLogsReader('VPCFlowLogGroup', fields=None, region_name=SEED_REGION)
    assert seeded.calls() == []


# -- the window --------------------------------------------------------------------------------------------------------


def test_the_default_window_is_the_last_hour() -> None:
    before = datetime.now(timezone.utc).replace(tzinfo=None)
    made = FlowLogsReader('g')
    after = datetime.now(timezone.utc).replace(tzinfo=None)
    assert before <= made.end_time <= after
    assert made.end_time - made.start_time == timedelta(hours=1)


def test_only_an_end_means_the_hour_before_it() -> None:
    made = FlowLogsReader('g', end_time=datetime(2016, 2, 1, 11))
    assert made.start_time == datetime(2016, 2, 1, 10)


def test_times_stay_as_they_were_given() -> None:
    start, end = datetime(2016, 2, 1), datetime(2016, 2, 2, tzinfo=timezone.utc)
    made = FlowLogsReader('g', start_time=start, end_time=end)
    assert made.start_time is start
    assert made.end_time is end
    assert (made.start_ms, made.end_ms) == (1454284800000, 1454371200000)


@pytest.mark.parametrize('zone', ['Asia/Tokyo', 'America/New_York', 'UTC'])
def test_naive_times_are_utc_wherever_the_script_runs(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TZ', zone)
    assert FlowLogsReader('g', start_time=datetime(2016, 2, 1), end_time=datetime(2016, 2, 2)).start_ms == 1454284800000


def test_aware_times_are_converted(seeded: FakeAWS) -> None:
    window = {
        'start_time': datetime(2016, 2, 1, 19, 59, tzinfo=TOKYO),
        'end_time': datetime(2016, 2, 1, 20, 0, tzinfo=TOKYO),
    }
    found = FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, **window)
    assert [record.to_message().encode() for record in found] == MINUTE.splitlines()


def test_a_window_that_ends_before_it_begins_is_an_error() -> None:
    with pytest.raises(ValueError, match='before it begins'):
        FlowLogsReader('g', start_time=datetime(2016, 2, 2), end_time=datetime(2016, 2, 1))


def test_an_empty_window_holds_nothing(seeded: FakeAWS) -> None:
    moment = datetime(2016, 2, 1, 10, 59, 22)
    assert list(FlowLogsReader('VPCFlowLogGroup', start_time=moment, end_time=moment)) == []


# -- iteration ---------------------------------------------------------------------------------------------------------


def test_iteration_gives_records(reader: FlowLogsReader) -> None:
    found = list(reader)
    assert all(isinstance(record, FlowRecord) for record in found)
    assert b''.join(record.to_message().encode() + b'\n' for record in found) == MINUTE + HOUR


def test_a_reader_is_an_iterator_and_next_then_list_goes_on(reader: FlowLogsReader) -> None:
    assert isinstance(reader, Iterator)
    assert iter(reader) is not None
    first = next(reader)
    rest = list(reader)
    assert first.to_message().encode() == MINUTE.splitlines()[0]
    assert len(rest) == 17
    assert list(reader) == []
    with pytest.raises(StopIteration):
        next(reader)


def test_a_for_loop_that_was_left_can_be_taken_up_again(reader: FlowLogsReader) -> None:
    for _ in reader:
        break
    assert sum(1 for _ in reader) == 17


def test_blocks_and_columns_are_the_cheaper_levels(seeded: FakeAWS) -> None:
    def make() -> FlowLogsReader:
        return FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, **DAY)

    assert b''.join(block.data for block in make().blocks()) == MINUTE + HOUR
    expected = [(record.srcaddr.encode(), record.bytes, b'-') for record in make()]
    assert [(a, int(b), c) for a, b, c in make().columns('srcaddr', 'bytes', 'vpc_id')] == expected


def test_where_takes_conditions(seeded: FakeAWS) -> None:
    found = list(FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, where=['action=REJECT'], **DAY))
    assert [record.srcaddr for record in found] == ['104.216.59.132', '195.99.212.67']


def test_aggregated_records_of_a_reader(reader: FlowLogsReader) -> None:
    rows = list(aggregated_records(reader, key_fields=('srcaddr',)))
    assert rows[0]['srcaddr'] == '172.20.0.10'
    assert rows[0]['bytes'] == 1501 + 1501 + 313 + 2232 + 1501 + 3 * 1501


# -- counters and errors -----------------------------------------------------------------------------------------------


def test_counters(fake: FakeAWS) -> None:
    fake.add_log_group('g', lines=[*MINUTE.splitlines(), b'2 1 eni-1 too short'])
    made = FlowLogsReader('g', **DAY)
    assert (made.bytes_processed, made.compressed_bytes_processed, made.skipped_records) == (0, 0, 0)
    assert len(list(made)) == 11
    assert made.bytes_processed == len(MINUTE) - 11 + len('2 1 eni-1 too short')
    assert made.skipped_records == 1


def test_counters_of_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / 'flows.log.gz'
    path.write_bytes(gzip.compress(MINUTE + b'garbage\n'))
    made = FileFlowLogsReader(path)
    assert len(list(made)) == 11
    assert made.bytes_processed == len(MINUTE) + 8
    assert made.compressed_bytes_processed == path.stat().st_size
    assert made.skipped_records == 1


def test_raise_on_error_raises_and_names_the_field(fake: FakeAWS) -> None:
    bad = MINUTE.splitlines()[3].replace(b' 443 ', b' https ')
    fake.add_log_group('g', lines=[*MINUTE.splitlines()[:3], bad, *MINUTE.splitlines()[4:]])
    with pytest.raises(ValueError, match='srcport'):
        list(FlowLogsReader('g', raise_on_error=True, **DAY))
    assert len(list(FlowLogsReader('g', **DAY))) == 10


def test_what_cannot_be_read_is_kept_and_does_not_end_the_iteration(tmp_path: Path) -> None:
    for name, data in (('a.log', MINUTE), ('b.log.gz', gzip.compress(MINUTE)[:-20]), ('c.log', HOUR)):
        (tmp_path / name).write_bytes(data)
    told: list[FlowLogsError] = []
    made = FileFlowLogsReader(tmp_path, on_unreadable=told.append)
    found = [record.to_message().encode() for record in made]
    assert found[:11] == MINUTE.splitlines()
    assert found[-7:] == HOUR.splitlines()
    assert told == made.unreadable != []
    assert 'b.log.gz' in str(told[0])
    with pytest.raises(FlowLogsError, match=r'b\.log\.gz'):
        list(FileFlowLogsReader(tmp_path, raise_on_error=True))


# -- what scripts for flowlogs-reader 5.0.1 may do ---------------------------------------------------------------------


def test_a_subclass_of_flow_record_makes_its_own() -> None:
    class Mine(FlowRecord):
        @property
        def megabytes(self) -> float:
            return self.bytes / 1e6

    event = {'message': '10.0.0.1 5000000'}
    record = Mine.from_cwl_event(event, ['srcaddr', 'bytes'])
    assert isinstance(record, Mine)
    assert (record.megabytes, record.srcaddr, record.dstaddr) == (5.0, '10.0.0.1', None)
    again = type(record).from_cwl_event({'message': '7 10.0.0.2'}, ['bytes', 'dstaddr'])
    assert isinstance(again, Mine)
    assert (again.bytes, again.srcaddr, again.dstaddr) == (7, None, '10.0.0.2')
    assert Mine({'bytes': 5}).megabytes == 5e-6
    assert record == FlowRecord.from_cwl_event(event, ['srcaddr', 'bytes'])


def test_what_has_the_attributes_of_a_record_can_be_summed() -> None:
    class Flow(NamedTuple):
        srcaddr: str
        packets: int
        bytes: int
        start: datetime = datetime(2016, 2, 1)
        end: datetime = datetime(2016, 2, 1)

    rows = list(aggregated_records([Flow('a', 1, 2), Flow('b', 1, 1), Flow('a', 3, 4)], ['srcaddr']))  # type: ignore[list-item]
    assert [(row['srcaddr'], row['packets'], row['bytes']) for row in rows] == [('a', 4, 6), ('b', 1, 1)]
    assert rows[0]['start'] == datetime(2016, 2, 1)


def test_a_session_that_was_set_up_for_all_of_boto3_counts(
    seeded: FakeAWS, monkeypatch: pytest.MonkeyPatch, bare_environment: Path
) -> None:
    import boto3

    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_DEFAULT_REGION'):
        monkeypatch.delenv(name, raising=False)
    boto3.setup_default_session(aws_access_key_id='AKIASETUP', aws_secret_access_key='s', region_name=SEED_REGION)
    whole_day = {'start_time': datetime(2016, 2, 1), 'end_time': datetime(2016, 2, 2)}
    assert len(list(FlowLogsReader('VPCFlowLogGroup', **whole_day))) == 18
    assert {(call.access_key, call.region) for call in seeded.calls()} == {('AKIASETUP', SEED_REGION)}


def test_fields_may_be_one_text() -> None:
    reader = FileFlowLogsReader(BytesIO(b'10.0.0.1 5\n'), fields='srcaddr bytes')
    assert reader.fields == ('srcaddr', 'bytes')
    assert [record.bytes for record in reader] == [5]
    assert FlowLogsReader('g', fields=None).fields is None


def test_a_reader_is_closed_by_with(seeded: FakeAWS) -> None:
    with FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, start_time=datetime(2016, 2, 1)) as reader:
        assert next(reader)
    with pytest.raises(ValueError, match='this reader is closed'):
        list(reader.blocks())


def test_the_public_names_are_listed() -> None:
    assert {'FlowLogsReader', 'FlowRecord', 'aggregated_records', '__version__'} <= set(dir(flowlogs_reader))
