"""-o parquet: typed records and tables, which other programs and this one read."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given

from flowlogs_reader.cli.main import main
from flowlogs_reader.output import parquet as output
from flowlogs_reader.output.writer import Style, Writer
from flowlogs_reader.query.result import Records
from flowlogs_reader.records import typed
from flowlogs_reader.records.block import Block
from flowlogs_reader.records.fields import DEFAULT_FIELDS, KNOWN, Kind
from flowlogs_reader.records.layout import Layout
from tests.conftest import DATA, HOUR, MINUTE, Cli
from tests.fake.aws import FakeAWS
from tests.kernel import inputs
from tests.streams import Screen

SEED = str(DATA / 'seed-hour.log')
NODATA = b'2 743065858817 eni-63444414 - - - - - - - 1454324362 1454324415 - NODATA\n'


def table_in(data: bytes) -> Any:
    return pyarrow.parquet.read_table(io.BytesIO(data))


def rows_of(lines: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Lines as rows of numbers, texts and None, by the names of their columns."""
    rows = []
    for line in lines:
        values = {name: None if text == '-' else text for name, text in zip(names, line.split(' '))}
        rows.append(
            {
                name: int(text) if text and name in KNOWN and KNOWN[name].kind is not Kind.TEXT else text
                for name, text in values.items()
            }
        )
    return rows


def test_records_have_the_types_of_aws(cli: Cli) -> None:
    found = table_in(cli('-', '-o', 'parquet', stdin=HOUR + NODATA).stdout)
    assert {name: str(type) for name, type in zip(found.schema.names, found.schema.types)} == {
        'version': 'int32', 'account_id': 'string', 'interface_id': 'string', 'srcaddr': 'string', 'dstaddr': 'string',
        'srcport': 'int32', 'dstport': 'int32', 'protocol': 'int32', 'packets': 'int64', 'bytes': 'int64',
        'start': 'int64', 'end': 'int64', 'action': 'string', 'log_status': 'string',
    }  # fmt: skip
    assert found.to_pylist() == rows_of((HOUR + NODATA).decode().splitlines(), DEFAULT_FIELDS)


def test_every_known_field_has_a_type_of_aws() -> None:
    wide = {'packets', 'bytes', *(name for name in KNOWN if name.startswith('packets_lost_'))}
    assert len(wide) == 6
    kinds = {Kind.TEXT: 'string', Kind.INTEGER: 'int32', Kind.TIME: 'int64'}
    schema = typed.schema_of([(name, field.kind) for name, field in KNOWN.items()])
    for name, type in zip(schema.names, schema.types):
        assert str(type) == ('int64' if name in wide else kinds[KNOWN[name].kind]), name


@pytest.mark.parametrize(
    'argv',
    [
        ['print'],
        ['print', '-c', 'srcaddr,tcp_flags,start'],
        ['findip', '172.20.0.10'],
        ['-w', 'protocol=6', '-c', 'dstport'],
        ['top', 'dstport', 'action'],
        ['top', 'srcaddr/16', '--share'],
        ['aggregate', '--both-ways'],
        ['timeline', '5m', '--tz', 'Asia/Tokyo'],
        ['ipset'],
    ],
)
def test_records_and_tables_have_the_values_of_csv(cli: Cli, argv: list[str]) -> None:
    options = ['--times', 'epoch'] if argv[0] in ('top', 'aggregate', 'timeline') else []
    text = cli('-', *argv, *options, '--header', '-o', 'csv', stdin=HOUR + MINUTE)
    expected = [*csv.reader(io.StringIO(text.stdout.decode()))]
    result = cli('-', *argv, '-o', 'parquet', stdin=HOUR + MINUTE)
    found = table_in(result.stdout)
    assert found.schema.names == expected[0]
    assert result.stderr == text.stderr
    for row, texts in zip(found.to_pylist(), expected[1:], strict=True):
        for (name, value), shown in zip(row.items(), texts):
            assert value == (None if not shown else float(shown) if isinstance(value, float) else shown) or (
                isinstance(value, int) and value == int(shown)
            ), name


@given(inputs.blocks(inputs.DEFAULT, long=False))
def test_what_is_written_is_read_again(lines: bytes) -> None:
    def run(*argv: str, stdin: bytes) -> bytes:
        stdout, stderr = io.BytesIO(), io.StringIO()
        assert main(['-', *argv], io.BytesIO(stdin), stdout, stderr) in (0, 1), stderr.getvalue()
        return stdout.getvalue()

    # Larger numbers than AWS writes are an error of their own.
    sound = b''.join([line for line in run(stdin=lines).splitlines(keepends=True) if fits(line)])
    assert run(stdin=run('-o', 'parquet', stdin=sound)) == sound


def fits(line: bytes) -> bool:
    numbers = zip(DEFAULT_FIELDS, line.split())
    return all(
        value == b'-' or KNOWN[name].kind is Kind.TEXT or int(value) < 1 << (63 if name in typed.WIDE else 31)
        for name, value in numbers
    )


@pytest.mark.parametrize('row_group', [1, 5, 1000])
def test_row_groups_are_written_while_records_are_read(monkeypatch: pytest.MonkeyPatch, row_group: int) -> None:
    monkeypatch.setattr(output, 'ROWS', row_group)
    monkeypatch.setattr(typed, 'PIECE', 300)
    stdout = io.BytesIO()
    writer = Writer(stdout, Style('parquet'))
    lines = HOUR.splitlines(keepends=True)
    sizes = []
    for line in lines:
        writer.write(Records([Block(Layout(), line)]))
        sizes.append(len(stdout.getvalue()))
    writer.flush()
    writer.end((), ())
    file = pyarrow.parquet.ParquetFile(stdout)
    assert file.read().to_pylist() == rows_of(HOUR.decode().splitlines(), DEFAULT_FIELDS)
    # Every third line makes a piece that is converted.
    assert file.num_row_groups == {1: -(-len(lines) // 3), 5: -(-len(lines) // 6), 1000: 1}[row_group]
    # Row groups come out when they are complete.
    assert (sizes[-1] > 100) is (row_group < 1000)


def test_other_programs_read_it(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / 'flows.parquet'
    path.write_bytes(cli(SEED, '-o', 'parquet').stdout)
    lines = rows_of(HOUR.decode().splitlines(), DEFAULT_FIELDS)
    total = sum(row['bytes'] or 0 for row in lines)
    assert cli(str(path)).stdout == HOUR
    duckdb = pytest.importorskip('duckdb')
    assert duckdb.sql(f"SELECT count(*), sum(bytes) FROM '{path}'").fetchall() == [(len(lines), total)]
    pandas = pytest.importorskip('pandas')
    assert pandas.read_parquet(path)['bytes'].sum() == total


@pytest.mark.parametrize(
    'argv', [['findip', '1.1.1.1'], ['top', '-w', 'srcaddr=1.1.1.1'], ['-c', 'bytes', '-w', 'bytes=7']]
)
def test_without_records_it_is_a_file_without_rows(cli: Cli, argv: list[str]) -> None:
    result = cli(SEED, *argv, '-o', 'parquet')
    found = table_in(result.stdout)
    assert found.num_rows == 0 and 'bytes' in found.schema.names
    assert result.stderr == f'flowlogs_reader: no records: {SEED} was read completely\n'


def test_formats_with_other_columns_need_a_choice_of_columns(cli: Cli) -> None:
    data = b'version srcaddr bytes\n2 10.0.0.1 40\nversion srcaddr vpc-id\n3 10.0.0.2 vpc-1\n'
    result = cli('-', '-o', 'parquet', stdin=data, status=1)
    assert 'formats of this log differ in vpc_id: choose columns with -c' in result.stderr
    # What came before is complete.
    assert table_in(result.stdout)['srcaddr'].to_pylist() == ['10.0.0.1']
    chosen = table_in(cli('-', '-o', 'parquet', '-c', 'srcaddr,bytes,vpc_id', stdin=data).stdout)
    assert chosen.to_pylist() == [
        {'srcaddr': '10.0.0.1', 'bytes': 40, 'vpc_id': None}, {'srcaddr': '10.0.0.2', 'bytes': None, 'vpc_id': 'vpc-1'},
    ]  # fmt: skip


@pytest.mark.parametrize(('field', 'number', 'bits'), [('dstport', 2**31, 32), ('bytes', 2**63, 64)])
def test_numbers_that_do_not_fit_are_an_error(cli: Cli, field: str, number: int, bits: int) -> None:
    fine = f'srcaddr {field}\n10.0.0.1 {number - 1}\n10.0.0.3 -\n'.encode()
    argv = ('-', '-o', 'parquet', '-c', f'srcaddr,{field}')
    assert table_in(cli(*argv, stdin=fine).stdout)[field].to_pylist() == [number - 1, None]
    result = cli(*argv, stdin=fine + f'10.0.0.2 {number}\n'.encode(), status=1)
    assert f'cannot write Parquet: {field} {number} does not fit into {bits} bits' in result.stderr


def test_a_read_that_fails_leaves_a_file_of_what_was_read(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / 'cut.log.gz'
    path.write_bytes(gzip.compress(HOUR * 50, 0)[:-3000])
    result = cli(str(path), '-o', 'parquet', status=1)
    lines = cli(str(path), status=1).lines
    assert table_in(result.stdout).num_rows == len(lines) > 100


def test_the_list_of_flow_logs(cli: Cli, seeded: FakeAWS) -> None:
    text = cli('--list', '--region', 'ap-northeast-1', '-o', 'csv').lines
    found = table_in(cli('--list', '--region', 'ap-northeast-1', '-o', 'parquet').stdout)
    assert found.schema.names == text[0].split(',') and found.num_rows == len(text) - 1 == 1


@pytest.mark.parametrize(
    ('argv', 'problem'),
    [
        (['--times', 'iso'], '--times does not go with -o parquet, which has Unix seconds'),
        (['--header'], '--header does not go with -o parquet'),
        (['--raw'], '--output does not go with --raw'),
    ],
)
def test_options_that_do_not_go_with_it(cli: Cli, argv: list[str], problem: str) -> None:
    assert problem in cli(SEED, *argv, '-o', 'parquet', status=2).stderr


def test_following_has_no_end_at_which_a_file_is_complete(cli: Cli, seeded: FakeAWS) -> None:
    result = cli('VPCFlowLogGroup', '--follow', '-o', 'parquet', '--region', 'ap-northeast-1', status=2)
    assert '--follow does not go with -o parquet, which is not complete before its end' in result.stderr
    assert not seeded.calls()


def test_without_pyarrow_one_line_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition('.')[0] == 'pyarrow']:
        monkeypatch.setitem(sys.modules, name, None)
    result = cli(SEED, '-o', 'parquet', status=1)
    assert result.stderr == 'flowlogs_reader: writing Parquet needs a library: pip install "pyarrow>=14"\n'


def test_a_terminal_is_refused() -> None:
    stdout, stderr = Screen(), io.StringIO()
    assert main([SEED, '-o', 'parquet'], io.BytesIO(), stdout, stderr) == 2
    assert 'error: -o parquet is not for a terminal: send it to a file, as in' in stderr.getvalue()
    assert not stdout.getvalue()
