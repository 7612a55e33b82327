"""Records as tables of Arrow, from every source."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import flowlogs_reader.records
from flowlogs_reader import (
    DamagedError,
    FileFlowLogsReader,
    FlowLogsReader,
    FlowRecord,
    MissingExtraError,
    S3FlowLogsReader,
)
from flowlogs_reader.records import typed
from flowlogs_reader.records.fields import DEFAULT_FIELDS
from tests.conftest import DATA, HOUR, MINUTE, SEED_REGION
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects

SEED = DATA / 'seed-hour.log'
WINDOW = {'start_time': datetime(2016, 2, 1, 10), 'end_time': datetime(2016, 2, 1, 16)}
TWO_FORMATS = b'version srcaddr bytes start\n2 10.0.0.1 40 -\n2 - - 1454324362\nversion srcaddr vpc-id\n3 ::1 vpc-1\n'


def rows_of(records: Any, names: Any = DEFAULT_FIELDS) -> list[dict[str, Any]]:
    """The attributes of records. Times of a record are naive."""
    rows = [{name: getattr(record, name) for name in names} for record in records]
    for row in rows:
        for name in {'start', 'end'} & row.keys():
            row[name] = row[name] and row[name].replace(tzinfo=timezone.utc)
    return rows


@pytest.mark.parametrize('source', ['file', 'group', 'bucket', 'parquet'])
def test_a_table_has_the_values_of_the_records(source: str, seeded: FakeAWS, tmp_path: Path) -> None:
    lines = (MINUTE + HOUR).splitlines()
    seeded.add_bucket('logs', SEED_REGION, s3_objects(lines, format='parquet' if source == 'parquet' else 'text'))

    def reader(**options: Any) -> Any:
        if source == 'file':
            return FileFlowLogsReader(SEED, **options)
        options = {**WINDOW, **options, 'region_name': SEED_REGION}
        return (
            FlowLogsReader('VPCFlowLogGroup', **options)
            if source == 'group'
            else S3FlowLogsReader('s3://logs', **options)
        )

    found = reader().to_arrow()
    expected = rows_of(reader())
    assert len(expected) >= HOUR.count(b'\n')
    assert found.to_pylist() == expected
    assert found.schema.field('start').type == pa.timestamp('s', 'UTC')
    chosen = reader(where=['protocol=6']).to_arrow('end', 'flow-direction', 'bytes')
    assert chosen.schema.names == ['end', 'flow_direction', 'bytes']
    wanted = rows_of(reader(where=['protocol=6']), chosen.schema.names)
    assert chosen.to_pylist() == wanted


def test_batches_come_while_records_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(typed, 'PIECE', 500)
    for number in range(9):
        (tmp_path / f'{number}.log').write_bytes(HOUR)
    reader = FileFlowLogsReader(tmp_path, thread_count=1)
    batches = reader.to_arrow_batches('srcaddr')
    first = next(batches)
    assert reader.bytes_processed < 4 * len(HOUR)
    rest = [*batches]
    assert len(rest) > 2 and {batch.schema for batch in rest} == {first.schema}
    lines = sum(map(len, [first, *rest]))
    assert lines == 9 * HOUR.count(b'\n')
    assert pa.RecordBatchReader.from_batches(first.schema, rest).read_all().num_rows == lines - len(first)


def test_formats_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / 'two.log'
    path.write_bytes(TWO_FORMATS)
    assert [batch.schema.names for batch in FileFlowLogsReader(path).to_arrow_batches()] == [
        ['version', 'srcaddr', 'bytes', 'start'], ['version', 'srcaddr', 'vpc_id'],
    ]  # fmt: skip
    found = FileFlowLogsReader(path).to_arrow()
    names = ['version', 'srcaddr', 'bytes', 'start', 'vpc_id']
    assert found.schema.names == names
    assert found.to_pylist() == rows_of(FileFlowLogsReader(path), names)


def test_a_table_without_records_has_the_columns(tmp_path: Path) -> None:
    where = ['srcaddr=1.1.1.1']
    assert FileFlowLogsReader(SEED, where=where).to_arrow().schema == FileFlowLogsReader(SEED).to_arrow().schema
    found = FileFlowLogsReader(SEED, where=where).to_arrow('bytes', 'x_new')
    assert found.num_rows == 0 and [str(type) for type in found.schema.types] == ['int64', 'string']


def test_records_before_an_error_come_first(tmp_path: Path) -> None:
    (tmp_path / '1.log').write_bytes(HOUR)
    (tmp_path / '2.gz').write_bytes(b'\x1f\x8bdamaged')
    batches = FileFlowLogsReader(tmp_path).to_arrow_batches()
    assert len(next(batches)) == HOUR.count(b'\n')
    with pytest.raises(DamagedError, match='2.gz'):
        next(batches)
    large = tmp_path / 'large.log'
    large.write_bytes(b'srcport srcaddr\n4294967296 10.0.0.1\n')
    with pytest.raises(ValueError, match='srcport 4294967296 does not fit into 32 bits'):
        FileFlowLogsReader(large).to_arrow()


def test_programs_take_the_table() -> None:
    flows = FileFlowLogsReader(SEED).to_arrow()
    total = sum(record.bytes or 0 for record in FileFlowLogsReader(SEED))
    duckdb = pytest.importorskip('duckdb')
    assert duckdb.sql('SELECT sum(bytes) FROM flows').fetchall() == [(total,)]
    pandas = pytest.importorskip('pandas')
    frame = flows.to_pandas()
    assert frame['bytes'].sum() == total
    assert frame['start'].dtype == pandas.DatetimeTZDtype('s', 'UTC')
    # A row of a frame is what FlowRecord takes.
    assert FlowRecord(dict(frame.iloc[0])).srcaddr == next(iter(FileFlowLogsReader(SEED))).srcaddr


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, typed.__name__)
    monkeypatch.delattr(flowlogs_reader.records, 'typed')
    for name in [name for name in sys.modules if name.partition('.')[0] == 'pyarrow']:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match='making Arrow tables needs a library: pip install "pyarrow>=14"'):
        FileFlowLogsReader(SEED).to_arrow()
