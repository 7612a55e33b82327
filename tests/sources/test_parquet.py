"""Parquet files, local and in S3."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from flowlogs_reader import FileFlowLogsReader
from flowlogs_reader.errors import DamagedError
from flowlogs_reader.records.fields import DEFAULT_FIELDS
from flowlogs_reader.sources.parquet import ROWS, parquet_blocks
from tests import traffic
from tests.conftest import Cli
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects

LINES = list(traffic.lines(3000, start=1454324400, per_second=1000))
BODY = b'\n'.join(LINES) + b'\n'
WINDOW = ('-s', '2016-02-01 11:00', '-e', '2016-02-01 12:00')


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def as_parquet(lines: list[bytes], **options: Any) -> bytes:
    columns = zip(*(line.decode().split() for line in lines))
    numbers = ('version', 'srcport', 'dstport', 'protocol', 'packets', 'bytes', 'start', 'end')
    return parquet({
        name: [None if text == '-' else int(text) if name in numbers else text for text in column]
        for name, column in zip(DEFAULT_FIELDS, columns)
    }, **options)  # fmt: skip


def lines_of(data: bytes, columns: set[str] | None = None, path: str = '') -> list[tuple[tuple[str, ...], bytes]]:
    blocks = parquet_blocks(io.BytesIO(data), columns, path)
    return [(block.layout.fields, line) for block in blocks for line in block.data.splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], str]:
    def write(data: bytes) -> str:
        (tmp_path / 'x.parquet').write_bytes(data)
        return str(tmp_path / 'x.parquet')

    return write


@pytest.mark.parametrize('threads', ['0', '1'])
def test_it_gives_the_bytes_that_text_gives(
    cli: Cli, file: Callable[[bytes], str], tmp_path: Path, threads: str
) -> None:
    path = file(as_parquet(LINES, compression='gzip'))
    text = tmp_path / 'x.log'
    text.write_bytes(BODY)
    for action in (
        ['print'], ['print', '7'], ['findip', traffic.PROBE_HOST], ['ipset'], ['aggregate'], ['top', '5'], ['timeline'],
        ['aggregate', '--both-ways'], ['aggregate', 'srcaddr/16', 'action'], ['top', 'dstport', '-w', 'protocol=tcp'],
        ['print', '-w', 'dstport=443', '-c', 'bytes'], ['print', '-o', 'jsonl'], ['print', *WINDOW],
    ):  # fmt: skip
        expected = cli(str(text), *action, '--thread-count', threads)
        got = cli(path, *action, '--thread-count', threads)
        assert got.stdout == expected.stdout, action
        assert got.stderr == expected.stderr and got.stdout


def test_standard_input(cli: Cli) -> None:
    assert cli('-', stdin=as_parquet(LINES)).stdout == BODY


def test_kinds_of_columns() -> None:
    data = parquet({
        'Account-ID': pa.array(['1', None, '']),
        'srcaddr': pa.array(['10.0.0.1', None, '10.0.0.3']).dictionary_encode(),
        'dstaddr': pa.array([b'10.0.0.1', None, b'10.0.0.3']),
        'srcport': pa.array([443, None, 0], pa.int32()),
        'bytes': pa.array([2.0, float('nan'), 0.0]),
        'tcp_flags': pa.array([2.0, None, 0.0]),
        'packets': pa.array([2**40, None, 0], pa.uint64()),
        'start': pa.array([1454324400, None, 0], pa.timestamp('us', 'UTC')).cast(pa.timestamp('ms', 'UTC'), safe=False),
        'end': pa.array([1454324400123, None, 0]),
        'az_id': pa.nulls(3),
        'new_field': pa.array(['a', None, 'c'], pa.large_string()),
    })  # fmt: skip
    fields = (
        'account_id', 'srcaddr', 'dstaddr', 'srcport', 'bytes', 'tcp_flags', 'packets', 'start', 'end', 'az_id',
        'new_field',
    )  # fmt: skip
    assert lines_of(data) == [
        (fields, b'1 10.0.0.1 10.0.0.1 443 2 2 1099511627776 1454 1454324400123 - a'),
        (fields, b'- - - - - - - - - - -'),
        (fields, b'- 10.0.0.3 10.0.0.3 0 0 0 0 0 0 - c'),
    ]


def test_timestamps_become_seconds(cli: Cli, file: Callable[[bytes], str]) -> None:
    moment = datetime(2016, 2, 1, 11, 0, 59, 999_999, timezone.utc)
    path = file(parquet({'srcaddr': ['10.0.0.1'], 'start': [moment], 'end': [moment.replace(tzinfo=None)]}))
    assert cli(path, '-c', 'start,end').stdout == b'1454324459 1454324459\n'


def test_only_the_columns_that_are_needed_are_read(file: Callable[[bytes], str]) -> None:
    class Watched(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Watched.read_bytes += len(data)
            return data

    data = as_parquet(LINES * 20, compression='none', use_dictionary=False)
    for columns, share in ((None, 1.0), ({'srcport'}, 0.1)):
        Watched.read_bytes = 0
        fields = {block.layout.fields for block in parquet_blocks(Watched(data), columns)}
        assert fields == {('srcport',) if columns else DEFAULT_FIELDS}
        assert share * 0.5 < Watched.read_bytes / len(data) < share * 1.2
    reader = FileFlowLogsReader(file(data), where=['dstport=443'])
    assert next(iter(reader.columns('srcaddr', 'vpc_id')))[1] == b'-'
    (layout,) = reader.report.read
    assert set(layout.fields) == {'srcaddr', 'dstport'}


def test_if_no_needed_column_is_there_the_rows_still_count() -> None:
    assert [line for _, line in lines_of(parquet({'srcaddr': ['a', 'b'], 'dstaddr': ['c', 'd']}), {'bytes'})] == [
        b'a',
        b'b',
    ]


def test_batches_are_bounded() -> None:
    data = as_parquet(LINES * 10)
    sizes = [block.data.count(b'\n') for block in parquet_blocks(io.BytesIO(data))]
    assert max(sizes) <= ROWS and sum(sizes) == 30_000


def test_columns_of_partitions() -> None:
    data = parquet({'srcaddr': ['10.0.0.1']})
    path = 'x/account-id=123/region=us-east-1/aws-service=vpcflowlogs/year=2016/x.parquet'
    assert lines_of(data, path=path) == [(('srcaddr', 'account_id', 'region'), b'10.0.0.1 123 us-east-1')]
    assert lines_of(data, {'region'}, path) == [(('srcaddr', 'region'), b'10.0.0.1 us-east-1')]
    assert lines_of(parquet({'region': ['a']}), path='region=b/x.parquet') == [(('region',), b'a')]


def test_counters(file: Callable[[bytes], str]) -> None:
    data = as_parquet(LINES)
    reader = FileFlowLogsReader(file(data))
    assert len(list(reader)) == 3000
    assert (reader.bytes_processed, reader.compressed_bytes_processed, reader.skipped_records) == (
        len(BODY),
        len(data),
        0,
    )


def test_a_table_without_rows(cli: Cli, file: Callable[[bytes], str]) -> None:
    path = file(parquet({'srcaddr': pa.array([], pa.string())}))
    assert cli(path).stderr == f'flowlogs_reader: no records: {path} was read completely\n'
    assert not cli(file(b'')).stdout


@pytest.mark.parametrize(
    'data, problem',
    [
        (b'PAR1garbage', ''),
        (as_parquet(LINES)[:-2000], ''),
        (parquet({'a': [1], 'b': [2]}), 'no field of a flow log is among its columns (a, b)'),
        (parquet({'srcaddr': [['10.0.0.1']]}), 'the column srcaddr holds list<'),
        (parquet({'start': [True]}), 'the column start holds bool'),
        (parquet({'bytes': [1.5]}), 'Float value 1.5'),
        (parquet({'srcaddr': [b'\xff\xfe']}), 'Invalid UTF8'),
        (parquet({'start': [1], 'Start': [1]}), 'two of its columns are one field (start, Start)'),
        (parquet({'start': [1], 'two words': [1]}), "'two words' is not the name of a field"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(cli: Cli, file: Callable[[bytes], str], data: bytes, problem: str) -> None:
    path = file(data)
    result = cli(path, status=1)
    assert result.stderr.startswith(f'flowlogs_reader: {path}: the Parquet data cannot be read: {problem}')
    assert result.stderr.count('\n') == 1
    assert not result.stdout


@pytest.mark.parametrize('values', [[[1]], [{'a': 1}]])
def test_a_nested_column_is_reported_if_it_is_needed(
    cli: Cli, file: Callable[[bytes], str], values: list[object]
) -> None:
    path = file(parquet({'srcaddr': ['10.0.0.1'], 'bytes': [40], 'tags': values}))
    assert ': the column tags holds ' in cli(path, '-w', 'bytes=40', status=1).stderr
    assert cli(path, '-w', 'bytes=40', '-c', 'srcaddr').stdout == b'10.0.0.1\n'


def test_a_file_with_that_name_that_is_not_parquet(cli: Cli, file: Callable[[bytes], str]) -> None:
    path = file(b'garbage')
    assert cli(path, status=1).stderr == f'flowlogs_reader: {path}: this is not Parquet data\n'


def test_damage_in_the_middle_leaves_what_came_before() -> None:
    data = bytearray(as_parquet(LINES, compression='gzip', row_group_size=1000))
    second = pyarrow.parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(4).data_page_offset
    data[second + 40 : second + 400] = bytes(360)
    blocks = parquet_blocks(io.BytesIO(data))
    assert next(blocks).data.splitlines() == LINES[:1000]
    with pytest.raises(DamagedError):
        list(blocks)


def test_without_pyarrow_one_line_says_what_to_install(
    cli: Cli, file: Callable[[bytes], str], fake: FakeAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(as_parquet(LINES))
    fake.add_bucket('logs', objects=s3_objects(LINES, format='parquet'))
    for name in [name for name in sys.modules if name.partition('.')[0] == 'pyarrow']:
        monkeypatch.setitem(sys.modules, name, None)
    for argv in ([path], ['s3://logs', *WINDOW]):
        result = cli(*argv, status=1)
        assert result.stderr == 'flowlogs_reader: reading Parquet needs a library: pip install "pyarrow>=14"\n'


def test_a_disk_that_is_full_is_reported_of_each_object(
    cli: Cli, fake: FakeAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = s3_objects(LINES, format='parquet', max_lines=2000)
    fake.add_bucket('logs', objects=objects)
    monkeypatch.setattr('tempfile.tempdir', '/nowhere/at/all')
    result = cli('s3://logs', *WINDOW, status=1)
    assert [line.partition('parquet: ')[2] for line in result.stderr.splitlines()] == [
        'a temporary file cannot be written: No such file or directory'
    ] * len(objects)


def test_objects_in_s3(cli: Cli, fake: FakeAWS) -> None:
    objects = s3_objects(LINES, 'hive', format='parquet')
    objects[max(objects)] = b'PAR1'
    fake.add_bucket('logs', objects=objects)
    fake.fault('GetObject', 'cut', at=1)
    result = cli('s3://logs', *WINDOW, status=1)
    last = max(line.split()[11] for line in LINES)
    assert set(result.stdout.splitlines()) < set(LINES) and last not in result.stdout.split()
    assert result.stderr.startswith(f'flowlogs_reader: s3://logs/{max(objects)}: the Parquet data cannot be read: ')
    assert result.stderr.count('\n') == 1
