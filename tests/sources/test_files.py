"""Local files, directories and standard input."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import zlib
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest

from flowlogs_reader import FileFlowLogsReader, FlowLogsError
from tests import traffic
from tests.conftest import ROOT, Cli
from tests.fake.s3 import s3_objects

LINES = list(traffic.lines(4000, start=1454324400, per_second=4))  # 11:00:00 to 11:16:39
BODY = b'\n'.join(LINES) + b'\n'
LINE = LINES[0]
NAME = '123456789010_vpcflowlogs_us-east-1_fl-{}_20160201T{}Z_0123abcd.log.gz'
WINDOW = ('-s', '2016-02-01 11:05', '-e', '2016-02-01 11:10')


def line(number: int) -> bytes:
    return b'2 123456789010 eni-%d 10.0.0.1 10.0.0.2 1 2 6 1 40 1454324400 1454324460 ACCEPT OK' % number


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def in_window(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if 1454324700 <= int(line.split()[10]) < 1454325000]


def read(location: object, **options: object) -> list[bytes]:
    reader = FileFlowLogsReader(location, **options)  # type: ignore[arg-type]
    return [line for block in reader.blocks() for line in block.data.splitlines()]


# -- one file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', ['0', '1', '8'])
@pytest.mark.parametrize('name', ['flows.log', 'flows.log.gz', 'flows'])
def test_a_file_is_read_whole_whatever_its_name(cli: Cli, tmp_path: Path, name: str, threads: str) -> None:
    for data in (BODY, gzip.compress(BODY)):
        path = write(tmp_path / name, data)
        assert cli(str(path), '--thread-count', threads).stdout == BODY


def test_a_window_chooses_the_records_that_start_in_it(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / NAME.format('a', '1500'), BODY)
    assert cli(str(path), *WINDOW).stdout.splitlines() == in_window(LINES)


def test_with_one_end_the_other_side_is_open(tmp_path: Path) -> None:
    path = write(tmp_path / 'flows.log', BODY)
    edge = datetime(2016, 2, 1, 11, 5)
    before, after = read(path, end_time=edge), read(path, start_time=edge)
    assert before + after == LINES and before and after


def test_records_without_times_are_in_every_window(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / 'flows.log', b'srcaddr dstaddr start end\n10.0.0.1 10.0.0.2 - -\n10.0.0.1 10.0.0.3 5 -\n')
    out = cli(str(path), *WINDOW, '-c', 'dstaddr').stdout
    assert out == b'10.0.0.2\n'


def test_a_record_without_a_start_counts_by_its_end(cli: Cli, tmp_path: Path) -> None:
    path = write(
        tmp_path / 'flows.log', b'srcaddr end\n10.0.0.1 1454324699\n10.0.0.2 1454324700\n10.0.0.3 1454325000\n'
    )
    assert cli(str(path), *WINDOW, '-c', 'srcaddr').stdout == b'10.0.0.2\n'


@pytest.mark.parametrize('threads', [0, 1])
def test_counters(tmp_path: Path, threads: int) -> None:
    text = traffic.HEADER + b'\n' + BODY + b'garbage\n'
    for data in (text, gzip.compress(text)):
        reader = FileFlowLogsReader(write(tmp_path / 'x', data), thread_count=threads)
        assert len(list(reader)) == 4000
        assert (reader.bytes_processed, reader.compressed_bytes_processed) == (len(text), len(data))
        assert reader.skipped_records == 1


def test_a_file_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / 'flows.log'
    result = cli(str(path), '--location-type', 'file', status=1)
    assert result.stderr == f'flowlogs_reader: {path}: No such file or directory\n'
    for threads in (0, 1):
        with pytest.raises(FlowLogsError, match='No such file'):
            read(path, thread_count=threads)


EMPTY_FILES = {
    'no bytes': b'',
    'gzip': gzip.compress(b''),
    'header': traffic.HEADER,
    'both': gzip.compress(traffic.HEADER + b'\n'),
}


@pytest.mark.parametrize('data', EMPTY_FILES.values(), ids=EMPTY_FILES)
def test_a_file_without_records_is_not_an_error(cli: Cli, tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / 'x.log.gz', data)
    result = cli(str(path))
    assert (result.stdout, result.stderr) == (b'', f'flowlogs_reader: no records: {path} was read completely\n')


def test_of_a_truncated_file_everything_before_the_break_is_printed(cli: Cli, tmp_path: Path) -> None:
    data = gzip.compress(BODY)
    path = write(tmp_path / 'x.log.gz', data[: len(data) // 2])
    result = cli(str(path), status=1)
    assert result.stderr == f'flowlogs_reader: {path}: the gzip data ends too early\n'
    # But not the beginning of a line: it may look like a valid record.
    decoded = zlib.decompressobj(31).decompress(data[: len(data) // 2])
    assert result.stdout == decoded[: decoded.rindex(b'\n') + 1] != decoded


def test_garbage(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / 'x.log', bytes(range(256)) * 20)
    result = cli(str(path), status=1)
    assert result.stderr == f'flowlogs_reader: {path}: this is neither text nor gzip, zstd or Parquet data\n'


# -- directories ----------------------------------------------------------------------------------------------------


def test_a_directory_is_read_at_any_depth(cli: Cli, tmp_path: Path) -> None:
    paths = ['b.log', 'a/z.log.gz', 'a/b/c.gz', 'c.txt', 'd.log.tmp', 'README.md', 'gz', '.x/y.log']
    for number, name in enumerate(paths):
        write(tmp_path / 'logs' / name, gzip.compress(line(number) + b'\n'))
    result = cli(f'{tmp_path}/logs', '-c', 'interface_id')
    assert result.lines == ['eni-7', 'eni-2', 'eni-1', 'eni-0', 'eni-3']


def test_a_slash_makes_it_a_directory(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / 'logs' / 'x.log', LINE)
    monkeypatch.chdir(tmp_path)
    for location in (['logs/'], ['./logs'], ['logs', '--location-type', 'file']):
        assert cli(*location).stdout == LINE + b'\n'


def test_files_come_in_the_order_of_the_times_in_their_names(cli: Cli, tmp_path: Path) -> None:
    names = ['b/' + NAME.format('a', '1100'), 'a/' + NAME.format('b', '1105'), 'a/' + NAME.format('z', '1100'), 'z.log']
    for number, name in enumerate(names):
        write(tmp_path / name, line(number))
    for threads in ('0', '1'):
        result = cli(f'{tmp_path}/', '-c', 'interface_id', '--thread-count', threads)
        assert result.lines == ['eni-3', 'eni-2', 'eni-0', 'eni-1']


@pytest.mark.parametrize('layout', ['default', 'hourly', 'hive', 'hive-hourly'])
def test_a_copy_of_a_bucket(cli: Cli, tmp_path: Path, layout: str) -> None:
    objects = s3_objects(LINES, layout, prefix='x')
    for key, data in objects.items():
        write(tmp_path / key, data)
    # Files of other times are not opened: these would be reported as unreadable.
    for key in s3_objects(traffic.lines(2000, start=1454324400 - 3 * 86_400), layout, prefix='x'):
        write(tmp_path / key, b'\x1f\x8bbroken')
    late = next(iter(s3_objects([line(1).replace(b'1454324460', b'1454326200')], layout, prefix='x')))
    write(tmp_path / late, b'\x1f\x8bbroken')
    result = cli(f'{tmp_path}/x', *WINDOW)
    assert sorted(result.stdout.splitlines()) == sorted(in_window(LINES)) and not result.stderr
    files = [gzip.decompress(objects[key]).splitlines()[1:] for key in sorted(objects)]
    assert result.stdout.splitlines() == in_window([line for file in files for line in file])


def test_folders_of_other_times_are_not_even_opened(cli: Cli, tmp_path: Path) -> None:
    tree = tmp_path / 'AWSLogs/1/vpcflowlogs/us-east-1/2016/01'
    for day in ('30', '31'):
        write(tree / day / 'x.log', LINE)
    assert not cli(f'{tmp_path}/', *WINDOW).stdout
    # People have dated folders of their own, which say nothing about the records in them.
    write(tmp_path / 'backup/2016/01/31/x.log', in_window(LINES)[0])
    assert cli(f'{tmp_path}/', *WINDOW).stdout.splitlines() == in_window(LINES)[:1]


def test_a_file_that_cannot_be_read_does_not_silence_the_others(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / 'a.log', line(1))
    (tmp_path / 'b.log').symlink_to('b.log')
    write(tmp_path / 'c.log.gz', b'\x1f\x8bbroken gzip')
    (tmp_path / 'd.log').symlink_to('nowhere')
    write(tmp_path / 'e.log', line(2))
    result = cli(f'{tmp_path}/', '-c', 'interface_id', status=1)
    assert result.lines == ['eni-1', 'eni-2']
    assert [text.replace(str(tmp_path), '') for text in result.stderr.splitlines()] == [
        'flowlogs_reader: /b.log: Too many levels of symbolic links',
        'flowlogs_reader: /c.log.gz: the gzip data is damaged '
        '(Error -3 while decompressing data: unknown compression method)',
        'flowlogs_reader: /d.log: No such file or directory',
    ]
    reader = FileFlowLogsReader(tmp_path, on_unreadable=lambda error: None)
    assert len(list(reader)) == 2 and len(reader.unreadable) == 3


def test_a_directory_that_cannot_be_read_does_not_silence_the_others(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / 'logs' / 'a.log', line(1))
    # Too long a path: unlike missing permissions, this stops root too.
    monkeypatch.chdir(tmp_path / 'logs')
    for _ in range(18):
        os.mkdir('d' * 250)
        os.chdir('d' * 250)
    monkeypatch.chdir(tmp_path)
    result = cli('logs/', '-c', 'interface_id', status=1)
    assert result.lines == ['eni-1']
    assert result.stderr.count('\n') == 1 and result.stderr.endswith('dd: File name too long\n')


def test_a_directory_without_flow_logs(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / 'x.csv', LINE)
    result = cli(f'{tmp_path}/', status=1)
    assert result.stderr == f'flowlogs_reader: {tmp_path}/: no file in it ends with .log, .gz, .txt, .parquet\n'


def test_with_raise_on_error_the_first_bad_file_ends_it(tmp_path: Path) -> None:
    write(tmp_path / 'a.log', line(1))
    write(tmp_path / 'b.log.gz', b'\x1f\x8bbroken gzip')
    write(tmp_path / 'c.log', line(2))
    reader = FileFlowLogsReader(tmp_path, raise_on_error=True)
    assert next(reader).interface_id == 'eni-1'
    with pytest.raises(FlowLogsError, match='b.log.gz'):
        next(reader)


# -- streams --------------------------------------------------------------------------------------------------------


def test_standard_input(cli: Cli) -> None:
    assert cli('-', stdin=BODY).stdout == cli('-', stdin=gzip.compress(BODY)).stdout == BODY
    assert cli('-', 'print', '2', stdin=BODY).stdout.splitlines() == LINES[:2]
    assert read(BytesIO(BODY)) == LINES


def test_nothing_on_standard_input(cli: Cli) -> None:
    assert cli('-').stderr == 'flowlogs_reader: no records: standard input was read completely\n'


def test_what_a_pipe_holds_comes_out_at_once(two_minutes: None) -> None:
    """A reader of a stream that goes on for ever, such as tail -f."""
    out, into = os.pipe()
    with open(out, 'rb') as stream, open(into, 'wb', buffering=0) as writer:
        records = iter(FileFlowLogsReader(stream))
        for number in range(3):
            writer.write(line(number) + b'\n')
            assert next(records).interface_id == f'eni-{number}'


@pytest.mark.parametrize('buffering', [0, -1])
def test_a_pipe_that_does_not_block_is_read_to_its_end(buffering: int) -> None:
    """Another process may have set that: the pipe is then empty at times, which is not its end."""
    out, into = os.pipe()
    os.set_blocking(out, False)
    with open(out, 'rb', buffering) as stream, open(into, 'wb', buffering=0) as writer:
        records = iter(FileFlowLogsReader(stream))
        feeder = threading.Timer(0.05, lambda: writer.write(line(0) + b'\n'))
        feeder.start()
        assert next(records).interface_id == 'eni-0'
        feeder.join()
        writer.write(line(1))
        writer.close()
        assert [record.interface_id for record in records] == ['eni-1']


def test_a_pipe_may_be_read_by_its_name(cli: Cli) -> None:
    """As bash hands over <(zcat flows.log.gz)."""
    out, into = os.pipe()
    with open(out, 'rb'), open(into, 'wb', buffering=0) as writer:
        writer.write(LINE + b'\n')
        writer.close()
        assert cli(f'/dev/fd/{out}').stdout == LINE + b'\n'


def test_local_files_need_neither_boto3_nor_pyarrow(tmp_path: Path) -> None:
    path = write(tmp_path / 'x.log.gz', gzip.compress(BODY))
    code = (
        'import sys; from flowlogs_reader.cli.main import main\n'
        'assert main(sys.argv[1:]) == 0\n'
        'assert not {"boto3", "botocore", "pyarrow", "dateutil", "tqdm"} & set(sys.modules)\n'
    )
    for location in (str(path), '-', f'{tmp_path}/'):
        argv = [sys.executable, '-c', code, location, 'findip', traffic.PROBE_HOST]
        result = subprocess.run(argv, input=path.read_bytes(), capture_output=True, cwd=ROOT)
        assert (result.returncode, result.stderr) == (0, b'') and result.stdout.count(b'\n') == 4


def test_the_process_ends_while_a_stream_is_still_open() -> None:
    code = 'import sys; from flowlogs_reader.cli.main import main; sys.exit(main(sys.argv[1:]))'
    out, into = os.pipe()
    with open(into, 'wb', buffering=0) as writer, open(out, 'rb') as stream:
        writer.write(BODY[:20_000])
        for location in ('-', '/dev/stdin'):
            result = subprocess.run(
                [sys.executable, '-c', code, location, 'print', '1'],
                stdin=stream,
                capture_output=True,
                cwd=ROOT,
                timeout=60,
            )
            assert (result.returncode, result.stderr) == (0, b'')
            assert result.stdout.count(b'\n') == 1
            writer.write(BODY[:20_000])
