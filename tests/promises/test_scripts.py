"""What scripts for flowlogs-reader 5.0.1 rely on: each point where a change would break one silently is a test.

Expectations are what 5.0.1 from PyPI gives for the same input, or what the README's list of differences has instead.
"""

from __future__ import annotations

import copy
import csv
import gzip
import inspect
import io
import json
import pickle
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, PaginationError

from flowlogs_reader import (
    DEFAULT_FIELDS,
    AwsSession,
    DamagedError,
    FileFlowLogsReader,
    FlowLogsError,
    FlowLogsReader,
    FlowRecord,
    IncompleteError,
    NothingThereError,
    S3FlowLogsReader,
    aggregated_records,
)
from flowlogs_reader.records.layout import Layout
from tests import traffic
from tests.conftest import MINUTE, MINUTE_WINDOW, SEED_REGION, Cli
from tests.fake.aws import FakeAWS, s3_objects

DAY = {'start_time': datetime(2016, 2, 1), 'end_time': datetime(2016, 2, 2)}
LINES = MINUTE.splitlines()
BAD = LINES[3].replace(b' 443 ', b' https ')
# FlowRecord.__slots__ of 5.0.1, which is also the order of its columns.
LEGACY = """
version account_id interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
vpc_id subnet_id instance_id tcp_flags type pkt_srcaddr pkt_dstaddr region az_id sublocation_type sublocation_id
pkt_src_aws_service pkt_dst_aws_service flow_direction traffic_path resource_type tgw_id tgw_attachment_id
tgw_src_vpc_account_id tgw_dst_vpc_account_id tgw_src_vpc_id tgw_dst_vpc_id tgw_src_subnet_id tgw_dst_subnet_id
tgw_src_eni tgw_dst_eni tgw_src_az_id tgw_dst_az_id tgw_pair_attachment_id packets_lost_no_route packets_lost_blackhole
packets_lost_mtu_exceeded packets_lost_ttl_expired
""".split()
WIDE = [*traffic.FIELDS, 'vpc-id', 'subnet-id', 'instance-id', 'tcp-flags', 'type']


def messages(records: Sequence[FlowRecord]) -> list[bytes]:
    return [record.to_message().encode() for record in records]


def until_it_raises(reader: Any) -> tuple[list[FlowRecord], Exception | None]:
    """The records that a reader yields, and the exception that ends it."""
    found: list[FlowRecord] = []
    try:
        for record in reader:
            found.append(record)
    except Exception as error:
        return found, error
    return found, None


# -- 1: no read ends quietly ------------------------------------------------------------------------------------------

OBJECTS = s3_objects(traffic.lines(900, per_second=1))
KEYS = sorted(OBJECTS)
TEXTS = {key: gzip.decompress(OBJECTS[key]).splitlines()[1:] for key in KEYS}


@pytest.fixture
def bucket(fake: FakeAWS) -> FakeAWS:
    """Records of a quarter of an hour, in four objects or more."""
    fake.add_bucket('logs', objects=OBJECTS)
    return fake


def s3_reader(**options: Any) -> S3FlowLogsReader:
    return S3FlowLogsReader('logs', **DAY, **options)


@pytest.mark.parametrize('threads', [0, 1, 4])
@pytest.mark.parametrize(
    ('trouble', 'code'), [('denied', 'AccessDenied'), ('gone', 'NoSuchKey'), ('archived', 'InvalidObjectState')]
)
def test_if_aws_refuses_an_object_its_own_error_ends_the_iteration(
    trouble: str, code: str, threads: int, bucket: FakeAWS
) -> None:
    options: dict[str, Any] = {'denied': {'denied': True}, 'archived': {'storage_class': 'GLACIER'}}.get(trouble, {})
    bucket.put_object('logs', KEYS[1], OBJECTS[KEYS[1]], **options)
    if trouble == 'gone':
        bucket.fault('GetObject', 'vanish', at=lambda params: params['Key'] == KEYS[1])
    reader = s3_reader(thread_count=threads)
    found, error = until_it_raises(reader)
    assert messages(found) == [line for key in KEYS if key != KEYS[1] for line in TEXTS[key]]
    assert isinstance(error, ClientError)
    assert error.response['Error']['Code'] == code
    (kept,) = reader.unreadable
    assert KEYS[1] in str(kept)
    # Python 3.10 has no notes.
    assert getattr(error, '__notes__', [str(kept)]) == [str(kept)]
    assert list(reader) == []


def test_damaged_data_is_a_damaged_error_after_all_that_could_be_read(bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[1], OBJECTS[KEYS[1]][:-30])
    found, error = until_it_raises(s3_reader())
    assert len(found) > 890
    assert type(error) is DamagedError and KEYS[1] in str(error)


def test_several_unreadable_objects_are_one_error_that_has_them_all(bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[0], OBJECTS[KEYS[0]], denied=True)
    bucket.put_object('logs', KEYS[1], OBJECTS[KEYS[1]][:-30])
    reader = s3_reader()
    found, error = until_it_raises(reader)
    assert isinstance(error, IncompleteError)
    assert error.unreadable == reader.unreadable
    assert [key in str(each) for key, each in zip(KEYS, error.unreadable)] == [True, True]
    assert str(error).startswith(f'2 parts could not be read; the first: s3://logs/{KEYS[0]}: ')
    assert pickle.loads(pickle.dumps(error)).unreadable[1].args == error.unreadable[1].args
    assert found


@pytest.mark.parametrize('level', ['blocks', 'columns', 'aggregated_records'])
def test_every_level_ends_with_the_error(level: str, bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[1], b'', denied=True)
    reader = s3_reader()
    found = {
        'blocks': lambda: reader.blocks(),
        'columns': lambda: reader.columns('srcaddr'),
        'aggregated_records': lambda: aggregated_records(reader, ['action']),
    }[level]()
    assert next(iter(found))
    with pytest.raises(ClientError, match='AccessDenied'):
        list(found)  # type: ignore[call-overload]


def test_sums_of_what_was_read_come_out_before_the_error(bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[1], b'', denied=True)
    rows, error = until_it_raises(aggregated_records(s3_reader(), ['interface_id']))
    good = [line.split() for key in KEYS if key != KEYS[1] for line in TEXTS[key]]
    assert sum(row['bytes'] for row in rows) == sum(int(line[9]) for line in good if line[9] != b'-')  # type: ignore[index]
    assert isinstance(error, ClientError)


def test_whoever_takes_the_errors_gets_no_exception(bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[0], b'', denied=True)
    bucket.put_object('logs', KEYS[1], b'', denied=True)
    told: list[FlowLogsError] = []
    found, error = until_it_raises(s3_reader(on_unreadable=told.append))
    assert found and error is None
    assert [key in str(each) for key, each in zip(KEYS, told)] == [True, True]


def test_raise_on_error_raises_the_first_where_it_is_met(bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[1], b'', denied=True)
    bucket.put_object('logs', KEYS[2], OBJECTS[KEYS[2]][:-30])
    found, error = until_it_raises(s3_reader(raise_on_error=True, thread_count=1))
    assert messages(found) == TEXTS[KEYS[0]]
    assert isinstance(error, ClientError)


def test_a_reader_that_is_left_early_says_nothing(bucket: FakeAWS) -> None:
    bucket.put_object('logs', KEYS[1], b'', denied=True)
    with s3_reader() as reader:
        assert next(reader)
        for _ in reader.blocks():
            break


def test_a_bucket_without_flow_logs_is_an_error(fake: FakeAWS) -> None:
    """In 5.0.1 it is empty: see the differences."""
    fake.add_bucket('empty')
    with pytest.raises(NothingThereError, match='has no flow logs'):
        list(S3FlowLogsReader('empty', **DAY))
    assert list(S3FlowLogsReader('empty', include_accounts=[], **DAY)) == []


def test_files_that_cannot_be_read_end_the_iteration_too(tmp_path: Path) -> None:
    (tmp_path / 'a.log').write_bytes(MINUTE)
    (tmp_path / 'b.log.gz').write_bytes(gzip.compress(MINUTE)[:-30])
    found, error = until_it_raises(FileFlowLogsReader(tmp_path))
    assert messages(found)[: len(LINES)] == LINES
    assert isinstance(error, DamagedError)
    (tmp_path / 'c.log').symlink_to('c.log')
    _, error = until_it_raises(FileFlowLogsReader(tmp_path))
    assert isinstance(error, IncompleteError) and len(error.unreadable) == 2


@pytest.mark.parametrize(('said', 'raised'), [('no', PaginationError), ('the same next token twice', IncompleteError)])
def test_a_pagination_error_keeps_its_own_words(said: str, raised: type[Exception], seeded: FakeAWS) -> None:
    class Paginator:
        def paginate(self, **_: Any) -> Any:
            raise PaginationError(message=said)

    client = boto3.client('logs', SEED_REGION)
    client.get_paginator = lambda operation: Paginator()
    with pytest.raises(raised, match=said if raised is PaginationError else 'the same page token twice'):
        list(FlowLogsReader('VPCFlowLogGroup', boto_client=client, **DAY))


# -- 2: logs of the default fields and more ---------------------------------------------------------------------------


def wide_group(fake: FakeAWS, fields: Sequence[str] = WIDE, name: str = 'wide') -> list[bytes]:
    lines = [traffic.to_format(line, fields) for line in LINES]
    fake.add_log_group(name, lines=lines, timestamp=lambda line: 1454324362000, stream=lambda line: 's')
    fake.add_flow_log(log_group=name, log_format=' '.join(f'${{{field}}}' for field in fields))
    return lines


def test_a_log_of_the_default_fields_and_more_is_read_as_the_default_fields(fake: FakeAWS) -> None:
    lines = wide_group(fake)
    reader = FlowLogsReader('wide', **DAY)
    assert sorted(messages(list(reader))) == sorted(b' '.join(line.split()[:14]) for line in lines)
    assert reader.skipped_records == 0
    assert reader.fields == DEFAULT_FIELDS
    (row,) = aggregated_records(FlowLogsReader('wide', **DAY), ['version'])
    assert row['bytes'] == sum(int(line.split()[9]) for line in lines)


def test_a_file_of_it_too_whatever_separates_its_columns() -> None:
    mixed = [LINES[0] + b' vpc-1', LINES[1], b'\t'.join(LINES[2].split()) + b'\tx\ty', b'garbage', LINES[4]]
    reader = FileFlowLogsReader(io.BytesIO(b'\n'.join(mixed)))
    assert messages(list(reader)) == [LINES[0], LINES[1], LINES[2], LINES[4]]
    assert reader.skipped_records == 1


def test_from_cwl_event_takes_it_too() -> None:
    message = f'{LINES[0].decode()} vpc-1 subnet-1'
    assert FlowRecord.from_cwl_event({'message': message}).to_message().encode() == LINES[0]
    with pytest.raises(ValueError, match='16 values, but the format has 14 fields'):
        FlowRecord.from_cwl_event({'message': message}, [*DEFAULT_FIELDS])
    late = message.replace('1454324362', '1454324362123').replace('1454324415', '1454324415456')
    assert FlowRecord.from_cwl_event({'message': late}).start == datetime(2016, 2, 1, 10, 59, 22, 123000)


NO_DATA = '2 743065858817 eni-63444414 - - - - - - - 1454324362 1454324415 - NODATA'


def test_records_without_data_are_among_them() -> None:
    assert FlowRecord.from_cwl_event({'message': f'{NO_DATA} vpc-1'}).to_message() == NO_DATA


@pytest.mark.parametrize(
    'line',
    [
        LINES[0].replace(b'743065858817', b'vpc-1'),
        LINES[0].replace(b'eni-63444414', b'subnet-1'),
        LINES[0].replace(b'172.20.0.10', b'ingress'),
        LINES[0].replace(b'172.20.0.10', b'-'),
        LINES[0].replace(b' 443 ', b' 70000 '),
        LINES[0].replace(b' 443 ', b' https '),
        LINES[0].replace(b' 6 12 ', b' 1500 12 '),
        LINES[0].replace(b'1454324415', b'7'),
        LINES[0].replace(b'ACCEPT', b'-'),
        LINES[0].replace(b'ACCEPT', b'IPv4'),
        LINES[0].replace(b'OK', b'-'),
        LINES[0].replace(b'OK', b'vpc-1'),
        NO_DATA.replace(' - ', ' IPv4 ', 1).encode(),
        b' '.join([*LINES[0].split()[1:], b'x']),
        b'2016-02-01T10:59:22Z eni-1 ' + LINES[0],
    ],
)
def test_no_value_lands_under_a_wrong_name(line: bytes) -> None:
    """A format that begins like the default one, but is another one, is not read as that."""
    with pytest.raises(ValueError, match='15 values|16 values'):
        FlowRecord.from_cwl_event({'message': (line + b' x' if len(line.split()) == 14 else line).decode()})


def test_a_reader_that_left_out_every_line_warns_once(fake: FakeAWS) -> None:
    wide_group(fake, ['srcaddr', 'dstaddr', 'bytes', 'start', 'end'], 'odd')
    reader = FlowLogsReader('odd', **DAY)
    with pytest.warns(UserWarning, match='the lines have 5 columns, the format has 14; fields=None asks EC2') as told:
        assert list(reader) == []
        assert list(reader.blocks()) == []
    assert len(told) == 1
    assert told[0].filename == __file__
    assert reader.skipped_records == len(LINES)
    with pytest.warns(UserWarning, match=r'fields=\[...\] names those of the log'):
        assert list(FileFlowLogsReader(io.BytesIO(b'10.0.0.1 5\n'))) == []


def test_with_fields_that_were_given_nothing_is_taken_or_warned_of(fake: FakeAWS) -> None:
    wide_group(fake)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for fields in ([*DEFAULT_FIELDS], 'srcaddr bytes'):
            assert list(FlowLogsReader('wide', fields=fields, **DAY)) == []
        assert len(list(FlowLogsReader('wide', fields=None, **DAY))) == len(LINES)


def test_the_signature_still_shows_the_default_fields() -> None:
    for function in (FlowLogsReader, FileFlowLogsReader, S3FlowLogsReader, FlowRecord.from_cwl_event):
        assert inspect.signature(function).parameters['fields'].default == DEFAULT_FIELDS


# -- 3: awk beyond column 14 ------------------------------------------------------------------------------------------


def printed(cli: Cli, columns: str, fields: Sequence[str] = WIDE, **more: Any) -> list[list[str]]:
    lines = [traffic.to_format(line, fields) for line in LINES]
    text = b'\n'.join([' '.join(fields).encode(), *lines])
    result = cli('-', '-c', columns, stdin=text, **more)
    assert result.stderr == ''
    return [line.split(' ') for line in result.lines]


@pytest.mark.parametrize(
    'fields',
    [
        traffic.FIELDS,
        WIDE,
        ['vpc-id', 'tcp-flags', *traffic.FIELDS],
        ['srcaddr', 'bytes'],
        ['instance-tag', *WIDE],
    ],
    ids=len,
)
def test_legacy_columns_are_those_of_5_0_1_for_every_log(fields: Sequence[str], cli: Cli) -> None:
    rows = printed(cli, 'legacy', fields)
    names = [name.replace('-', '_') for name in fields]
    for row, line in zip(rows, LINES, strict=True):
        value = dict(zip(names, traffic.to_format(line, fields).decode().split()))
        assert row == [value.get(name, '-') for name in LEGACY]
    assert rows[0][17] == ('-' if 'tcp_flags' not in names else rows[0][LEGACY.index('tcp_flags')])


@pytest.mark.parametrize(
    ('name', 'last', 'count'), [('v3', 'pkt_dstaddr', 21), ('v4', 'sublocation_id', 25), ('v5', 'traffic_path', 29)]
)
def test_the_columns_of_a_version(name: str, last: str, count: int, cli: Cli) -> None:
    assert LEGACY[count - 1] == last
    assert printed(cli, name) == [row[:count] for row in printed(cli, 'legacy')]


def test_the_default_columns_and_all_of_them(cli: Cli) -> None:
    assert printed(cli, 'default') == [row[:14] for row in printed(cli, 'legacy')]
    assert printed(cli, 'all') == [row[:19] for row in printed(cli, 'legacy')]
    assert printed(cli, 'default,tcp_flags') == [[*row[:14], row[17]] for row in printed(cli, 'legacy')]


def test_a_set_of_columns_goes_with_the_other_outputs(cli: Cli) -> None:
    (first, *_) = cli('-', '-c', 'legacy', '-o', 'csv', '--header', stdin=MINUTE).lines
    assert first.split(',') == LEGACY
    (line, *_) = cli('-', '-c', 'v3', '-o', 'jsonl', stdin=MINUTE).lines
    assert list(json.loads(line)) == LEGACY[:21]


def test_a_field_that_a_set_lacks_and_the_log_too_is_reported(cli: Cli) -> None:
    result = cli('-', '-c', 'default,ecs_task_id', stdin=MINUTE)
    assert result.stderr.startswith('flowlogs_reader: this log has no field ecs_task_id')
    for columns in ('all,srcaddr', 'default,srcaddr'):
        assert '--columns' in cli('-', '-c', columns, stdin=MINUTE, status=2).stderr


# -- 4: an unset variable of a script ---------------------------------------------------------------------------------

EMPTY = (
    '--profile', '--region', '--role-arn', '--external-id', '--filter-pattern', '--thread-count', '--fields',
    '--time-format', '--location-type', '--for', '--tz', '-w', '-c', '-o', '--times',
)  # fmt: skip


@pytest.mark.parametrize('option', EMPTY)
def test_an_empty_value_means_that_the_option_was_not_given(
    option: str, seeded: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_REGION', SEED_REGION)
    assert cli('VPCFlowLogGroup', *MINUTE_WINDOW, option, '').stdout == MINUTE
    if option.startswith('--'):
        assert cli('VPCFlowLogGroup', *MINUTE_WINDOW, f'{option}=').stdout == MINUTE


def test_empty_times_are_the_last_hour(seeded: FakeAWS, cli: Cli) -> None:
    region = ('--region', SEED_REGION)
    assert cli('VPCFlowLogGroup', '-s', '', '-e', '', *region) == cli('VPCFlowLogGroup', *region)
    assert cli('VPCFlowLogGroup', '-s', '', *MINUTE_WINDOW[2:], *region).stdout == MINUTE


def test_empty_lists_of_accounts_and_regions_are_all_of_them(bucket: FakeAWS, cli: Cli) -> None:
    window = ('-s', '2016-02-01 10:00:00', '-e', '2016-02-01 12:00:00')
    result = cli('s3://logs', '--include-accounts', '', '--include-regions', '', *window)
    assert result.stdout.splitlines() == [line for key in KEYS for line in TEXTS[key]]


def test_one_empty_condition_of_several_is_ignored(cli: Cli) -> None:
    result = cli('-', '-w', '', '-w', 'action=REJECT', stdin=MINUTE)
    assert result == cli('-', '-w', 'action=REJECT', stdin=MINUTE)


def test_empty_values_with_list(seeded: FakeAWS, cli: Cli) -> None:
    shown = cli('--list', '--region', SEED_REGION)
    assert cli('--list', '', '--region', SEED_REGION, '--profile', '', '-o', '', '-s', '') == shown


def test_an_empty_location_or_argument_stays_an_error(cli: Cli) -> None:
    assert 'LOCATION is empty' in cli('', status=2).stderr
    for argv in (['print', ''], ['findip', '']):
        cli('-', *argv, stdin=MINUTE, status=2)
    with pytest.raises(ClientError, match='ResourceNotFound'):
        list(FlowLogsReader('nothing', profile_name='', boto_client=_nowhere()))


def _nowhere() -> Any:
    class Client:
        def get_paginator(self, operation: str) -> Any:
            raise ClientError({'Error': {'Code': 'ResourceNotFoundException'}}, operation)

    return Client()


# -- 5: more threads than there are -----------------------------------------------------------------------------------


def test_more_than_50_threads_are_50(seeded: FakeAWS, cli: Cli) -> None:
    argv = ('VPCFlowLogGroup', *MINUTE_WINDOW, '--region', SEED_REGION, '--thread-count', '200')
    result = cli(*argv)
    assert (result.stdout, result.stderr) == (
        MINUTE,
        'flowlogs_reader: --thread-count is limited to 50\n',
    )
    assert cli(*argv, '--quiet').stderr == ''
    assert FlowLogsReader('g', thread_count=200).thread_count == 50


# -- 6: FlowRecord ----------------------------------------------------------------------------------------------------

RECORD = FlowRecord.from_cwl_event({'message': LINES[0].decode()})


class Labelled(FlowRecord):
    def __init__(self, event_data: Any, label: str = 'none') -> None:
        super().__init__(event_data)
        self.label = label

    @property
    def megabytes(self) -> float:
        return self.bytes / 1e6  # type: ignore[no-any-return]


class Renamed(FlowRecord):
    """A subclass that changes the names in its event data."""

    __slots__ = ('source',)

    def __init__(self, row: Any) -> None:
        super().__init__({'srcaddr': row['src'], 'bytes': row['size']})
        self.source = row['src']


def test_slots_are_the_names_of_the_fields_in_the_order_of_5_0_1() -> None:
    assert FlowRecord.__slots__ == LEGACY
    assert RECORD.__slots__ == LEGACY
    assert next(FileFlowLogsReader(io.BytesIO(MINUTE))).__slots__ == LEGACY
    assert Labelled({}).__slots__ == LEGACY


def test_csv_by_slots() -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FlowRecord.__slots__)
    for record in FileFlowLogsReader(io.BytesIO(MINUTE)):
        writer.writerow([getattr(record, name) for name in FlowRecord.__slots__])
    header, first, *_ = out.getvalue().splitlines()
    assert header == ','.join(LEGACY)
    start, end = '2016-02-01 10:59:22', '2016-02-01 11:00:15'
    values = (
        LINES[0].decode().replace('1454324362', start.replace(' ', '_')).replace('1454324415', end.replace(' ', '_'))
    )
    assert first == values.replace(' ', ',').replace('_', ' ') + ',' * (47 - 14)


def test_records_stay_small_and_hold_nothing_else() -> None:
    assert not hasattr(RECORD, '__dict__')
    with pytest.raises(AttributeError):
        RECORD.note = 'x'  # type: ignore[attr-defined]


@pytest.mark.parametrize('value', ['None', None, '-', '', float('nan')])
def test_the_text_none_and_nan_are_missing(value: Any) -> None:
    made = FlowRecord({'srcaddr': '10.0.0.1', 'bytes': value, 'start': value, 'vpc_id': value})
    assert (made.bytes, made.start) == (None, None)
    assert made.to_dict().keys() <= {'srcaddr', 'vpc_id'}
    assert value != value or made.vpc_id is None


def test_none_in_a_message_is_missing_and_the_value_of_a_tag() -> None:
    made = FlowRecord.from_cwl_event({'message': 'None None None'}, ['bytes', 'vpc-id', 'instance-tag'])
    assert (made.bytes, made.vpc_id, made.instance_tag) == (None, None, 'None')


class Number:
    """A number like those of numpy: not a float, int or bool."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def item(self) -> Any:
        return self._value

    def __str__(self) -> str:
        return f'np.number({self._value})'


class NAType:
    """Like pandas.NA, which cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise TypeError('boolean value of NA is ambiguous')


@pytest.mark.parametrize('wrap', [lambda value: value, Number], ids=['python', 'numpy'])
def test_whole_floats_and_bools_are_numbers(wrap: Any) -> None:
    row = {'version': wrap(2.0), 'account_id': wrap(743065858817.0), 'bytes': wrap(True), 'packets': wrap(7)}
    made = FlowRecord({**row, 'start': wrap(1454324362.0), 'srcport': wrap(False), 'dstport': wrap(float('nan'))})
    assert made.to_message() == '2 743065858817 - - - 0 - - 7 1 1454324362 - - -'
    with pytest.raises(ValueError, match="bytes is '40.5'"):
        FlowRecord({'bytes': wrap(40.5)})
    with pytest.raises(ValueError, match="bytes is 'inf'"):
        FlowRecord({'bytes': wrap(float('inf'))})


def test_what_pandas_has_for_a_missing_value_is_missing() -> None:
    assert FlowRecord({'bytes': NAType(), 'srcaddr': NAType()}) == FlowRecord({})


def test_times_with_an_offset_are_converted() -> None:
    tokyo = datetime(2016, 2, 1, 19, 59, 22, tzinfo=timezone(timedelta(hours=9)))
    assert FlowRecord({'start': tokyo}).start == datetime(2016, 2, 1, 10, 59, 22)


def test_a_subclass_with_a_constructor_of_its_own() -> None:
    made = Labelled({'srcaddr': '10.0.0.1', 'bytes': '5000000'}, label='web')
    assert (made.label, made.megabytes, made.srcaddr, made.vpc_id) == ('web', 5.0, '10.0.0.1', None)
    assert Labelled.from_cwl_event({'message': LINES[0].decode()}).label == 'none'
    assert Labelled.from_cwl_event({'message': LINES[0].decode()}) == RECORD
    renamed = Renamed({'src': '10.0.0.2', 'size': 7})
    assert (renamed.source, renamed.srcaddr, renamed.bytes) == ('10.0.0.2', '10.0.0.2', 7)
    assert isinstance(renamed, Renamed)
    with pytest.raises(TypeError):
        FlowRecord({}, 1, 2, 3)  # type: ignore[call-arg]


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    'made', [RECORD, FlowRecord({}), Labelled({'bytes': 1}, 'x'), Renamed({'src': 'a', 'size': 1})]
)
def test_records_of_subclasses_are_pickled_and_copied(made: FlowRecord, protocol: int) -> None:
    for again in (pickle.loads(pickle.dumps(made, protocol)), copy.copy(made), copy.deepcopy(made)):
        # The class of a log format is made again after those of many others.
        assert type(again).__bases__ == type(made).__bases__
        assert again == made
        for name in ('label', 'source'):
            assert getattr(again, name, None) == getattr(made, name, None)


# -- 7: the records before a bad line ---------------------------------------------------------------------------------


@pytest.mark.parametrize('at', [0, 3, len(LINES) - 1])
def test_the_records_before_a_bad_line_come_out_first(at: int, fake: FakeAWS) -> None:
    text = b'\n'.join([*LINES[:at], BAD, *LINES[at + 1 :]])
    reader = FileFlowLogsReader(io.BytesIO(text), raise_on_error=True)
    found, error = until_it_raises(reader)
    assert messages(found) == LINES[:at]
    assert isinstance(error, ValueError) and "srcport is 'https'" in str(error)
    assert reader.skipped_records == 1
    fake.add_log_group('g', lines=[*LINES[:at], BAD, *LINES[at + 1 :]], timestamp=lambda line: 1454324362000)
    found, error = until_it_raises(FlowLogsReader('g', raise_on_error=True, **DAY))
    assert isinstance(error, ValueError) and len(found) < len(LINES)


def test_they_are_in_the_sums_and_the_lines_after_it_are_not() -> None:
    text = b'\n'.join([*LINES[:3], BAD, *LINES[4:]])
    reader = FileFlowLogsReader(io.BytesIO(text), raise_on_error=True)
    rows, error = until_it_raises(aggregated_records(reader, ['log_status']))
    assert [row['bytes'] for row in rows] == [sum(int(line.split()[9]) for line in LINES[:3])]  # type: ignore[index]
    assert isinstance(error, ValueError)


# -- 8: attributes ----------------------------------------------------------------------------------------------------


def test_the_region_that_was_asked_for() -> None:
    assert FlowLogsReader('g', region_name='eu-west-1').region_name == 'eu-west-1'
    assert S3FlowLogsReader('b', region_name='eu-west-1').region_name == 'eu-west-1'
    assert FlowLogsReader('g').region_name is None
    assert FlowLogsReader('arn:aws:logs:eu-west-2:1:log-group:g').region_name == 'eu-west-2'
    assert FlowLogsReader('g', session=AwsSession('eu-west-3')).region_name == 'eu-west-3'


def test_the_fields_once_they_are_known(fake: FakeAWS) -> None:
    wide_group(fake)
    reader = FlowLogsReader('wide', fields=None, **DAY)
    assert reader.fields is None
    first = next(reader)
    assert reader.fields == Layout(WIDE).fields
    assert {name: getattr(first, name) for name in reader.fields}['vpc_id'] == first.vpc_id
    text = b'srcaddr bytes\n10.0.0.1 5\n'
    found = FileFlowLogsReader(io.BytesIO(text))
    assert list(found) and found.fields == ('srcaddr', 'bytes')
    assert FileFlowLogsReader(io.BytesIO(text), fields=WIDE).fields == Layout(WIDE).fields


def test_the_iterator_of_a_reader(seeded: FakeAWS) -> None:
    reader = FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, **DAY)
    assert messages([next(reader.iterator), next(reader), next(reader.iterator)]) == LINES[:3]


# -- 9: different on purpose ------------------------------------------------------------------------------------------


def test_records_of_several_accounts_come_by_time(fake: FakeAWS) -> None:
    lines = [
        b' '.join([b'2', account, *line.split()[2:]])
        for account in (b'111111111111', b'222222222222')
        for line in traffic.lines(900, per_second=1)
    ]
    objects: dict[str, bytes] = {}
    for account in ('111111111111', '222222222222'):
        own = [line for line in lines if line.split()[1].decode() == account]
        for key, body in s3_objects(own).items():
            objects[key.replace(traffic.ACCOUNT, account)] = body
    fake.add_bucket('logs', objects=objects)
    accounts = [record.account_id for record in s3_reader()]
    assert len(accounts) == len(lines)
    # Not one account after the other.
    assert sum(one != other for one, other in zip(accounts, accounts[1:])) > 1


def test_clients_are_not_made_through_boto3_but_may_be_handed_in(
    seeded: FakeAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client('logs', SEED_REGION)
    monkeypatch.setattr(boto3, 'client', None)
    assert len(list(FlowLogsReader('VPCFlowLogGroup', boto_client=client, **DAY))) == 18
    assert len(list(FlowLogsReader('VPCFlowLogGroup', region_name=SEED_REGION, **DAY))) == 18


@pytest.mark.parametrize(
    'argv', [['-s', '2016-02-01 10:00:00', '-e', '2016-02-01 10:00:00'], ['findip'], ['ipset', 'foo']], ids=' '.join
)
def test_what_5_0_1_ignored_is_a_usage_error(argv: list[str], seeded: FakeAWS, cli: Cli) -> None:
    assert 'flowlogs_reader: error: ' in cli('VPCFlowLogGroup', *argv, status=2).stderr
    assert seeded.calls() == []


def test_skipped_data_is_a_line_on_stderr(cli: Cli) -> None:
    skipped = LINES[0].replace(b'OK', b'SKIPDATA') + b'\n'
    result = cli('-', 'aggregate', stdin=MINUTE + skipped)
    assert result.stderr == (
        'flowlogs_reader: totals are incomplete: AWS skipped records at 2016-02-01T10:59:22Z (SKIPDATA)\n'
    )
