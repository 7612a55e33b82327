"""What the command line writes, it reads again."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlogs_reader.cli.main import main
from flowlogs_reader.records.fields import DEFAULT_FIELDS, KNOWN, Kind
from tests.conftest import HOUR, Cli

DATA = Path(__file__).parents[1] / 'data'
CUSTOM = ('version', 'vpc_id', 'srcaddr', 'start', 'tcp_flags', 'instance_tag', 'end')
values = {
    Kind.INTEGER: st.integers(0, 2**31 - 1).map(str),
    Kind.TIME: st.integers(0, 2**31 - 1).map(str),
    Kind.TEXT: st.sampled_from(['eni-1', '10.0.0.1', '2600:1f18::a:b', 'ACCEPT', 'a%2Cb', 'OK', 'NODATA']),
}


def lines_of(fields: Sequence[str]) -> st.SearchStrategy[bytes]:
    kinds = [KNOWN[name].kind if name in KNOWN else Kind.TEXT for name in fields]
    # AWS always writes the version and times, and it is times that show in which form they are.
    named = st.sampled_from(['1', '6', '17', '200', '0', '3', '18', '64', '-'])
    line = st.tuples(
        *[
            values[kind] if kind is Kind.TIME or not at
            else named if name in ('protocol', 'tcp_flags', 'traffic_path')
            else st.just('-') | values[kind]
            for at, (name, kind) in enumerate(zip(fields, kinds))
        ]
    ).map(' '.join)  # fmt: skip
    return st.lists(line, min_size=1, max_size=20).map(lambda lines: ('\n'.join(lines) + '\n').encode())


def run(data: bytes, *argv: str) -> bytes:
    stdout, stderr = io.BytesIO(), io.StringIO()
    assert main(['-', *argv], io.BytesIO(data), stdout, stderr) == 0, stderr.getvalue()
    assert 'left out' not in stderr.getvalue()
    return stdout.getvalue()


encodings = st.sampled_from(['text', 'tsv', 'csv', 'jsonl', 'parquet'])
forms = st.sampled_from(
    [(), ('--names',), ('--names', '--times', 'iso'), ('--times', 'iso'), ('--times', 'iso', '--tz', 'Asia/Kathmandu')]
)


@settings(max_examples=30)
@given(lines_of(DEFAULT_FIELDS), encodings, forms, st.booleans())
def test_records_of_the_default_format(data: bytes, encoding: str, form: tuple[str, ...], header: bool) -> None:
    options = form if encoding != 'parquet' else ()
    if encoding not in ('jsonl', 'parquet'):
        options = (*options, '--header' if header else '--no-header')
    assert run(run(data, '-o', encoding, *options)) == data


@settings(max_examples=30)
@given(lines_of(CUSTOM), encodings, forms)
def test_records_of_another_format(data: bytes, encoding: str, form: tuple[str, ...]) -> None:
    log = ' '.join(CUSTOM).encode() + b'\n' + data
    options = form if encoding != 'parquet' else ()
    if encoding not in ('jsonl', 'parquet'):
        options = (*options, '--header')
    columns = ('-c', ','.join(CUSTOM))
    assert run(run(log, '-o', encoding, *columns, *options), *columns) == data
    # Without a choice of columns, all fields come.
    whole = run(log, '-o', encoding, *options)
    assert run(whole, *columns) == data
    assert run(run(log, '--raw', '--header'), *columns) == data


@pytest.mark.parametrize(('log', 'told'), [('sample-v5.log', True), ('seed-hour.log', False)])
def test_raw_lines_of_a_file_without_names(log: str, told: bool, tmp_path: Path) -> None:
    saved = tmp_path / 'saved.log'
    for options, expected in ([], told), (['--header'], False):
        argv = [sys.executable, '-m', 'flowlogs_reader', str(DATA / log), '--raw', *options]
        with saved.open('wb') as stdout:
            done = subprocess.run(argv, stdout=stdout, stderr=subprocess.PIPE, check=True)
        assert (b'--header writes its names' in done.stderr) == expected
        piped = subprocess.run(argv, capture_output=True, check=True)
        assert (piped.stdout, piped.stderr) == (saved.read_bytes(), b'')


def test_raw_lines_with_header_rows_keep_their_formats(cli: Cli) -> None:
    log = b'version vpc-id x-new\n2  vpc-1 a\r\n3 vpc-2 b\nversion srcaddr bytes\n2 10.0.0.1 007\n'
    assert cli('-', '--raw', '--header', stdin=log).stdout == log
    assert cli('-', '--raw', '--no-header', stdin=log).stdout == cli('-', '--raw', stdin=log).stdout
    assert cli('-', '--raw', '--header', stdin=HOUR).stdout.partition(b'\n')[2] == HOUR


def test_csv_and_json_of_several_formats(cli: Cli) -> None:
    log = b'version vpc-id bytes\n2 vpc-1 5\nversion srcaddr bytes\n2 10.0.0.1 -\n'
    expected = cli('-', '-c', 'vpc_id,srcaddr,bytes', stdin=log).stdout
    for encoding, options in (('csv', ['--header']), ('tsv', ['--header']), ('jsonl', [])):
        written = cli('-', '-o', encoding, *options, stdin=log).stdout
        assert cli('-', '-c', 'vpc_id,srcaddr,bytes', stdin=written).stdout == expected, encoding


def test_values_that_csv_quotes(cli: Cli) -> None:
    log = b'version instance-tag bytes\n2 a,b 5\n2 "c" -\n2 d 7\n'
    for encoding, options in (('csv', ['--header']), ('jsonl', [])):
        written = cli('-', '-o', encoding, *options, '-c', 'version,instance_tag,bytes', stdin=log).stdout
        assert cli('-', '-c', 'version,instance_tag,bytes', stdin=written).stdout == b'2 a,b 5\n2 "c" -\n2 d 7\n'


@pytest.mark.parametrize('encoding', ['csv', 'jsonl'])
def test_odd_lines_among_good_ones_are_counted(cli: Cli, encoding: str) -> None:
    lines = cli('-', '-o', encoding, stdin=HOUR).stdout.splitlines(keepends=True)
    odd = {'csv': b'2,"a,b,c\n', 'jsonl': b'{"version": "2 2", "srcaddr": "x\\n2 3"}\n'}[encoding]
    result = cli('-', stdin=b''.join([*lines[:2], odd, *lines[2:]]))
    assert result.stdout == HOUR
    assert result.stderr.startswith('flowlogs_reader: 1 line was left out: not records of this log format\n')


def test_a_file_of_several_widths_says_what_to_do(cli: Cli) -> None:
    result = cli('-', stdin=HOUR + b'2 10.0.0.1 10.0.0.2 5 6\n')
    assert result.stdout == HOUR
    assert result.stderr == (
        'flowlogs_reader: 1 line was left out: not records of this log format\n'
        'flowlogs_reader: a line that was left out has 5 columns, and the format has 14: if it is a record of another '
        'format, put a header row before such lines, or read them alone with --fields\n'
    )
