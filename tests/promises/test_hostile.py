"""Hostile input: it is left out, refused with one line, or printed escaped; nothing hangs."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import pty
import re
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlogs_reader import DEFAULT_FIELDS, FileFlowLogsReader
from flowlogs_reader.cli.main import main
from flowlogs_reader.cli.stderr import printable
from flowlogs_reader.errors import FlowLogsError
from flowlogs_reader.kernel import find_events
from flowlogs_reader.kernel.pure.events import parse_page, scan_page
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources.decode import text_blocks
from tests import traffic
from tests.conftest import MODULES, NOW, ROOT, Cli
from tests.fake.aws import FakeAWS, s3_objects

LINES = list(traffic.lines(200))
GOOD = LINES[0]
TEXT = b''.join(line + b'\n' for line in LINES)
WINDOW = ('-s', '2016-02-01 10:00:00')
LEFT_OUT = 'flowlogs_reader: 1 line was left out: not records of this log format\n'
MEBIBYTE = 1 << 20


def one_line(stderr: str) -> bool:
    return stderr.count('\n') == 1 and stderr.endswith('\n') and stderr[:-1].isprintable()


def read_alone(data: bytes) -> FileFlowLogsReader:
    """A reader of this data that does not raise for what it cannot read."""
    return FileFlowLogsReader(io.BytesIO(data), fields=[*DEFAULT_FIELDS], on_unreadable=lambda error: None)


# -- arguments ----------------------------------------------------------------------------------------------------

MANY_DIGITS = '9' * 5_000
CODE = "__import__('os').system('touch hacked')"
ARGUMENTS = [
    *(
        ['-w', condition]
        for condition in (
            ' ', '=', 'srcaddr', f'bytes={MANY_DIGITS}', f'bytes>{MANY_DIGITS}', f'srcport={MANY_DIGITS}',
            f'srcaddr=10.0.0.0/{MANY_DIGITS}', 'srcaddr=' + '1.' * 5_000, 'srcaddr=' + ':' * 5_000, 'srcaddr=\x1b[2J',
            '__class__=1', '{0.__class__}=1', '%s=1', f'bytes={CODE}', f'{CODE}=1', 'srcport=$(id)', 'srcport=1;id',
            'action=\udcff', 'bytes=1\n2', 'bytes=١', 'tcp_flags=' + 'syn,' * 5_000, 'x' * 5_000 + '=1',
        )
    ),
    *(
        ['--fields', names]
        for names in (
            ' ', '${', '${}', '{0}', '%s', '$(id)', CODE, 'version version', 'version,' * 10_000, 'a/b', '\x1b[2J',
            '\udcff', 'srcaddr\0', 'Ünicode', 'version\n' * 300,
        )
    ),
    *(['--columns', names] for names in (' ', '*', '{0}', '%s', CODE, 'srcaddr,srcaddr', 'x' * 5_000, '\x1b[2J')),
    *(['-s', time] for time in (MANY_DIGITS, ' ', '\x1b[2J', '2016-02-01\0', '2016-02-01 ' + '0' * 5_000, '-9h', '%s')),
    *(['--for', length] for length in (f'{MANY_DIGITS}h', '0s', '1h 1h', ' ')),
    *(['--tz', zone] for zone in ('../../etc/passwd', '/etc/passwd', '\0', '\x1b[2J', 'x' * 5_000, ' ')),
    *(['-s', 'x', '--time-format', form] for form in ('%', '%' * 5_000, '%Y%Y', '{0}', '\0', '%Q')),
    *(['--thread-count', count] for count in (MANY_DIGITS, '-1', '1e3', '0x10', ' ')),
    *(['print', count] for count in (MANY_DIGITS, '9' * 30, '-1', '1.0', '\x1b[2J', '')),
    *(['findip', address] for address in ('1' * 5_000, '10.0.0.1/33', '::1%eth0', '', '\x1b[2J', CODE)),
    *(['aggregate', key] for key in ('x' * 5_000, 'srcaddr/-1', f'srcaddr/{MANY_DIGITS}', CODE, '{0}', '\x1b[2J')),
    *(['top', word] for word in (MANY_DIGITS, '0', '١', CODE)),
    *(['timeline', length] for length in (f'{MANY_DIGITS}s', '0s', '\x1b[2J', '{0}')),
    ['\udcff'], ['-o', 'xml'], ['--by', '__class__'],
]  # fmt: skip


@pytest.mark.parametrize('argv', ARGUMENTS, ids=lambda argv: ascii(' '.join(argv))[:40])
def test_nonsense_in_the_arguments_is_a_usage_error(
    argv: list[str], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli('-', *argv, stdin=TEXT, status=2)
    *usage, message = result.stderr.splitlines(keepends=True)
    assert all(line.startswith(('usage: ', '  ')) for line in usage)
    assert one_line(message)
    assert message.startswith('flowlogs_reader: error: ')
    assert result.stdout == b''
    assert list(tmp_path.iterdir()) == []


LOCATIONS = [
    '\0', 'x\0y', '\x1b[2J', '\udcff', 'a' * 70_000, '~', '$(id)', '-\n', 'arn:aws:logs:x', 'arn:aws:s3:::', 's3://',
    's3:///x', 's3://b/../..', 's3://b/\n"\'', 's3://' + 'a' * 300, 's3://b/' + 'x/' * 600, 'file:///etc/passwd',
    '../' * 3_000, 'http://127.0.0.1/', CODE,
]  # fmt: skip


@pytest.mark.parametrize('location', LOCATIONS, ids=lambda text: ascii(text)[:40])
def test_nonsense_for_a_location_is_one_line(location: str, fake: FakeAWS, cli: Cli) -> None:
    stdout, stderr = io.BytesIO(), io.StringIO()
    fake.deny('DescribeLogGroups')  # in every Region, which takes a second
    assert main([location, '--region', 'us-east-1'], io.BytesIO(), stdout, stderr, NOW) in (1, 2)
    assert stdout.getvalue() == b''
    assert one_line(stderr.getvalue().splitlines(keepends=True)[-1])
    assert not [line for line in stderr.getvalue().splitlines() if not line.startswith(('flowlogs_', 'usage: ', '   '))]


@given(text=st.text())
def test_a_message_is_one_line_that_controls_nothing(text: str) -> None:
    told = printable(text)
    assert told.isprintable()
    assert text.isprintable() <= (told == text)


# -- records ------------------------------------------------------------------------------------------------------

HOSTILE_LINES = {
    'escape codes': GOOD.replace(b'ACCEPT', b'\x1b[2J\x1b]0;owned\x07'),
    'a carriage return in the middle': GOOD.replace(b'ACCEPT', b'ACC\rEPT'),
    'a NUL': GOOD.replace(b'ACCEPT', b'ACC\0EPT'),
    'C1 control characters': GOOD.replace(b'ACCEPT', '\x9b2J'.encode()),
    'invalid UTF-8': GOOD.replace(b'ACCEPT', b'\xff\xfe\x80'),
    'valid UTF-8': GOOD.replace(b'ACCEPT', 'ACCÉPT\u202e'.encode()),
    'other white space': GOOD.replace(b'ACCEPT', b'ACC\x0bEPT\x0cOK\x85'),
    'a number of 5,000 digits': GOOD.replace(b' 17 3 ', b' 17 %b ' % MANY_DIGITS.encode()),
    'a time of 5,000 digits': GOOD.replace(b'1454324362', MANY_DIGITS.encode()),
    'a negative number': GOOD.replace(b' 17 3 ', b' 17 -3 '),
    'digits that are none in ASCII': GOOD.replace(b' 17 3 ', ' 17 ٣ '.encode()),
    'a line of a megabyte': b'x' * MEBIBYTE,
    'a sound line after a megabyte of spaces': b' ' * MEBIBYTE + GOOD,
    'a sound line before a megabyte of spaces': GOOD + b' ' * MEBIBYTE,
    '10,000 columns': b'1 ' * 10_000,
    'a format string': b'%s ' * 13 + b'%n',
}


@pytest.mark.parametrize('where', ['file', 'gzip', 'log group', 'S3'])
@pytest.mark.parametrize('line', HOSTILE_LINES.values(), ids=HOSTILE_LINES)
def test_a_hostile_record_is_left_out_and_counted(
    line: bytes, where: str, fake: FakeAWS, cli: Cli, tmp_path: Path
) -> None:
    lines = [*LINES[:5], line, *LINES[5:9]]
    data = b''.join(one + b'\n' for one in lines)
    argv: tuple[str, ...] = (str(tmp_path / 'x.log'), *WINDOW)
    if where in ('file', 'gzip'):
        (tmp_path / 'x.log').write_bytes(gzip.compress(data) if where == 'gzip' else data)
    elif where == 'log group':
        at = iter(range(len(lines)))
        fake.add_log_group('g', lines=lines, timestamp=lambda _: 1454324362000 + next(at), stream=lambda _: 's')
        argv = ('g', *WINDOW)
    else:
        (key,) = s3_objects(LINES[:1])
        fake.add_bucket('b', objects={key: gzip.compress(b' '.join(map(str.encode, traffic.FIELDS)) + b'\n' + data)})
        argv = ('s3://b', *WINDOW)
    result = cli(*argv)
    assert result.stdout.splitlines() == LINES[:9]
    assert result.stderr == LEFT_OUT
    for action in ('ipset', 'aggregate', 'top', 'timeline'):
        assert cli(*argv, action).stdout == cli('-', action, *WINDOW, stdin=b'\n'.join(LINES[:9])).stdout


@pytest.mark.parametrize('digits', [1, 19, 5_000])
def test_leading_zeros_of_any_number_change_nothing(digits: int, cli: Cli) -> None:
    line = GOOD.replace(b' 17 3 ', b' 17 ' + b'0' * digits + b'3 ')
    assert cli('-', stdin=line).stdout == GOOD + b'\n'


def on_a_terminal(*argv: str) -> bytes:
    """What the command line writes where stdout is a terminal."""
    ours, its = pty.openpty()
    with subprocess.Popen([sys.executable, '-m', 'flowlogs_reader', *argv], cwd=ROOT, stdout=its) as process:
        os.close(its)
        written = b''
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # how Linux says that the other end was closed
            pass
        os.close(ours)
        assert process.wait(timeout=60) == 0
    return written


@pytest.mark.parametrize(
    'options', [['-c', 'all'], [], ['--raw'], ['-o', 'jsonl'], ['-o', 'csv'], ['-o', 'tsv'], ['top'], ['ipset']]
)
def test_nothing_from_a_log_controls_a_terminal(options: list[str], tmp_path: Path) -> None:
    header = b'srcaddr dstaddr bytes packets start end instance-tag action'
    values = [b'\x1b[2J', b'\x9b2J', '\x9b2J'.encode(), b'\x07', b'\x7f', b'a\rb', b'%1b%5B2J']
    rows = [b'10.0.0.1 10.0.0.2 1 1 1454324362  1454324363 %b ACCEPT' % value for value in [*values, b'sound']]
    (tmp_path / 'x.log').write_bytes(b'\n'.join([header, *rows, b'']))
    written = on_a_terminal(str(tmp_path / 'x.log'), *options).replace(b'\r\n', b'\n')
    assert not re.search(rb'[^\n\t -~]', written)
    assert b'sound' in written or options in ([], ['top'], ['ipset'])


# -- headers and formats ------------------------------------------------------------------------------------------

NAMES = ' '.join(traffic.FIELDS)
HEADERS = {
    '10,000 fields': ('version ' + ' '.join(f'f{at}' for at in range(10_000)), None),
    '10,000 known fields': (' '.join(['srcaddr'] * 10_000), 'a log format has 1 to 256 fields'),
    'fields that stand twice': (NAMES + ' srcaddr', 'the log format has the field srcaddr twice'),
    'escape codes': (NAMES + ' \x1b[2J', None),
    'a format string': (NAMES + ' %s{0}', None),
}


@pytest.mark.parametrize(('header', 'says'), HEADERS.values(), ids=HEADERS)
def test_a_header_row_that_cannot_be_used(header: str, says: str | None, cli: Cli) -> None:
    """It is reported, or counts as a line that is not a record."""
    result = cli('-', stdin=f'{header}\n'.encode() + TEXT, status=1 if says else 0)
    if says:
        assert says in result.stderr
        assert one_line(result.stderr)
        assert result.stdout == b''
    else:
        assert result.stdout == TEXT
        assert result.stderr == LEFT_OUT


@pytest.mark.parametrize(
    'log_format',
    [
        '',
        '${',
        '${}',
        '${version} ${version}',
        '${' * 10_000,
        '${version}' * 10_000,
        '$(id)',
        '{0}',
        '${\x1b[2J}',
        'x' * 10**6,
    ],
)
def test_a_log_format_that_cannot_be_used_leaves_the_default_one(log_format: str, fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('g', lines=LINES)
    fake.add_flow_log(log_group='g', log_format=log_format.replace('\x1b', '\\x1b'))
    result = cli('g', *WINDOW)
    assert (result.stdout, result.stderr) == (TEXT, '')
    assert one_line(cli('--list').stdout.decode().splitlines(keepends=True)[-1].replace('\t', ' '))


# -- compressed data ----------------------------------------------------------------------------------------------


def bomb(of: bytes, size: int) -> Iterator[bytes]:
    """gzip data of `size` equal bytes: a megabyte of it for a gigabyte."""
    member = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = of * (16 * MEBIBYTE // len(of))
    compressed = gzip.compress(piece, 1)
    yield from repeat(compressed, size // len(piece))
    yield member.compress(b'\n') + member.flush()


def peak_memory(argv: list[str]) -> tuple[int, int, bytes, bytes]:
    """The exit status of the command line, its peak memory in MiB, and what it wrote."""
    code = (
        'import re, sys; from flowlogs_reader.cli.main import main; status = main(); '
        'peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]; '
        'sys.stderr.write(f"\\n{peak}"); sys.exit(status)'
    )
    limit = 1 << 30
    done = subprocess.run(
        [sys.executable, '-c', code, *argv], cwd=ROOT, capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    told, _, peak = done.stderr.rpartition(b'\n')
    return done.returncode, int(peak) // 1024, done.stdout, told


@pytest.mark.parametrize('of', [b'\0', b'1 ', b'{"message":"', b'EVENTS\t'])
def test_a_gzip_bomb_of_one_line(of: bytes, tmp_path: Path) -> None:
    """A gigabyte in one line, between valid ones: memory stays bounded, and the line is left out and counted."""
    path = tmp_path / 'bomb.log.gz'
    with path.open('wb') as file:
        file.writelines(chain([gzip.compress(TEXT)], bomb(of, 1 << 30), [gzip.compress(TEXT)]))
    status, peak, stdout, told = peak_memory([str(path)])
    assert (status, stdout) == (0, TEXT * 2)
    assert told == LEFT_OUT.encode()
    assert peak < 64


def test_a_gzip_bomb_of_a_header_row(tmp_path: Path) -> None:
    path = tmp_path / 'bomb.log.gz'
    with path.open('wb') as file:
        file.writelines(chain([gzip.compress(TEXT)], bomb(b'version ', 1 << 30)))
    status, peak, stdout, told = peak_memory([str(path)])
    assert (status, stdout) == (1, TEXT)
    assert b': unusable header row: a log format has 1 to 256 fields' in told
    assert told.count(b'\n') == 1
    assert peak < 64


def test_a_gzip_bomb_of_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / 'bomb.log.gz'
    with path.open('wb') as file:
        file.writelines(chain([gzip.compress(TEXT)], bomb(b'\n', 1 << 25), [gzip.compress(TEXT)]))
    status, peak, stdout, told = peak_memory([str(path)])
    assert (status, stdout, told) == (0, TEXT * 2, b'')
    assert peak < 64


@given(
    data=st.binary(max_size=300),
    prefix=st.sampled_from([b'', gzip.compress(TEXT)[:200], TEXT[:100], b'PAR1', b'\x28\xb5\x2f\xfd', b'{"message":']),
)
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(data: bytes, prefix: bytes) -> None:
    reader = read_alone(prefix + data)
    for block in reader.blocks():
        assert re.fullmatch(rb'(?:[!-~]+(?: [!-~]+)*\n)+', block.data)
    for error in reader.unreadable:
        assert str(error).startswith('standard input: ')


# -- S3 keys and paths --------------------------------------------------------------------------------------------

FOLDER = 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/01/'
NAME = '123456789010_vpcflowlogs_us-east-1_fl-0123456789abcdef0_20160201T1055Z_{}.log.gz'
KEYS = {
    'dots': FOLDER + '../../../../../../etc/' + NAME.format('dots'),
    'newlines and quotes': FOLDER + NAME.format('a\n"\'$(id)`id`;'),
    'escape codes': FOLDER + NAME.format('\x1b[2J'),
    'not ASCII': FOLDER + NAME.format('Grüße 你好'),
    'deep': FOLDER + 'x/' * 300 + NAME.format('deep'),
    'percent signs': FOLDER + NAME.format('%s%00%2e%2e'),
}


@pytest.mark.parametrize('key', KEYS.values(), ids=KEYS)
def test_a_key_of_any_characters_is_read_and_shown_harmlessly(
    key: str, fake: FakeAWS, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    header = b' '.join(map(str.encode, traffic.FIELDS)) + b'\n'
    fake.add_bucket('b', objects={key: gzip.compress(header + TEXT)})
    assert cli('s3://b', *WINDOW).stdout == TEXT
    fake.put_object('b', key, gzip.compress(header + TEXT), denied=True)
    result = cli('s3://b', *WINDOW, status=1)
    assert one_line(result.stderr)
    assert result.stderr.startswith(f'flowlogs_reader: s3://b/{printable(key)}: ')
    assert list(tmp_path.iterdir()) == []


def test_many_folders_and_keys_that_are_not_flow_logs(fake: FakeAWS, cli: Cli) -> None:
    objects = s3_objects(LINES)
    for at in range(1_001):
        objects[f'AWSLogs/{at:012}/vpcflowlogs'] = b''
        objects[f'{FOLDER}{at}'] = b'\0'
        objects[f'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/31/{at}.log.gz'] = b'\0'
        objects[f'{FOLDER}{at}_99999999T9999Z_.log.gz'] = b'\0'
        objects[f'{FOLDER}{at}_20160201T1055Z_.log.gz.md5'] = b'\0'
    fake.add_bucket('b', objects=objects)
    result = cli('s3://b', *WINDOW)
    assert sorted(result.stdout.splitlines()) == sorted(LINES)
    assert fake.count('GetObject') == len(s3_objects(LINES))


def test_paths_of_any_characters(cli: Cli, tmp_path: Path, two_minutes: None) -> None:
    """Names that are not UTF-8, circular links, and files whose reading would block."""
    names = [b'a\n\x1b[2J.log', b'\xff\xfe.log', b'$(id).log', b'-o.log']
    for name in names:
        Path(os.fsdecode(bytes(tmp_path) + b'/' + name)).write_bytes(GOOD + b'\n')
    (tmp_path / 'round').symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / 'fifo.log')
    (tmp_path / 'bad\x1b[2J.log').write_bytes(b'\0\n')
    result = cli(str(tmp_path), status=1)
    assert result.stdout == (GOOD + b'\n') * len(names)
    assert one_line(result.stderr)


# -- Parquet ------------------------------------------------------------------------------------------------------


def columns() -> dict[str, Callable[[Any], Any]]:
    """One value of every kind that a column may have."""
    return {
        'float': lambda pa: pa.array([5.5]),
        'infinity': lambda pa: pa.array([float('inf')]),
        'negative': lambda pa: pa.array([-5]),
        'uint64': lambda pa: pa.array([2**64 - 1], pa.uint64()),
        'text': lambda pa: pa.array(['x']),
        'list': lambda pa: pa.array([[1, 2]]),
        'struct': lambda pa: pa.array([{'a': 1}]),
        'map': lambda pa: pa.array([[('a', 1)]], pa.map_(pa.string(), pa.int32())),
        'bool': lambda pa: pa.array([True]),
        'date': lambda pa: pa.array([0], pa.date32()),
        'binary': lambda pa: pa.array([b'\xff\0']),
        '5,000 digits': lambda pa: pa.array([MANY_DIGITS]),
        'a line end': lambda pa: pa.array(['1\n2 3']),
        'a space': lambda pa: pa.array(['1 2']),
        'escape codes': lambda pa: pa.array(['\x1b[2J']),
    }


@pytest.mark.parametrize('kind', columns())
def test_a_parquet_column_of_the_wrong_type(kind: str, cli: Cli, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip('pyarrow')
    parquet = pytest.importorskip('pyarrow.parquet')
    path = tmp_path / 'x.parquet'
    times = {'start': pyarrow.array([1454324362]), 'end': pyarrow.array([1454324363])}
    parquet.write_table(pyarrow.table({**times, 'bytes': columns()[kind](pyarrow)}), path)
    result = cli(str(path), status=1)
    assert result.stdout == b''
    assert all(line.startswith('flowlogs_reader: ') for line in result.stderr.splitlines())
    assert result.stderr.replace('\n', '').isprintable()


@given(at=st.integers(0, 10_000), value=st.integers(1, 255), cut=st.integers(0, 10_000) | st.none())
@settings(max_examples=150)
def test_damaged_parquet_is_read_or_refused(at: int, value: int, cut: int | None) -> None:
    body = bytearray(next(iter(s3_objects(LINES[:5], format='parquet').values())))
    body[at % len(body)] ^= value
    reader = read_alone(bytes(body[: None if cut is None else cut % len(body)]))
    for block in reader.blocks():
        assert re.fullmatch(rb'(?:[!-~]+(?: [!-~]+)*\n)+', block.data)


# -- time grows with the input, not with its square ---------------------------------------------------------------

# Input so large that a search from each position to the end of the line, or of the input, would take an hour.
N = 2_000_000
GROWING = {
    'one column for each line': lambda n: b'x\n' * n,
    'two columns for each line': lambda n: b'2 x\n' * n,
    'one long line': lambda n: b'x' * n,
    'many columns': lambda n: b'1 ' * n,
    'spaces': lambda n: b' ' * n + b'x',
    'spaces in every line': lambda n: (b'x' + b' ' * 1_000 + b'\n') * (n // 1_000),
    'EVENTS and tabs': lambda n: b'EVENTS\t' + b'x\t' * n,
    'EVENTS over and over': lambda n: b'EVENTS\t' * n,
    'EVENTS in every line': lambda n: b'EVENTS\tx\tx\n' * (n // 10),
    'header rows': lambda n: b'type\n' * (n // 100),
    'words before every record': lambda n: (b'a b c ' + GOOD + b'\n') * (n // 200),
    'long words before a record': lambda n: (b'a ' * 10_000 + GOOD + b'\n') * (n // 20_000),
    'messages without an end': lambda n: b'{"message":"' * n,
    'messages with backslashes': lambda n: b'{"message":"' + b'\\' * n,
    'messages with spaces': lambda n: b'{"message"' + b' ' * n,
    'braces': lambda n: b'{' + b'}' * n,
    'brackets': lambda n: b'[' * n,
    'numbers': lambda n: GOOD.replace(b' 3 ', b' ' + b'9' * n + b' '),
}


@pytest.mark.parametrize('text', GROWING.values(), ids=GROWING)
def test_reading_takes_time_in_proportion(text: Callable[[int], bytes], two_minutes: None) -> None:
    """Checks whole lines, and takes columns, which uses other regular expressions."""
    data = text(N)
    records = sum(block.data.count(b'\n') for block in read_alone(data).blocks())
    columns = read_alone(data).columns('srcaddr', 'bytes', 'start')
    assert sum(1 for _ in columns) == records


@pytest.mark.parametrize(
    'argv',
    [
        ['-w', 'bytes=' + ' ' * 120_000 + 'x' + ' ' * 120_000 + 'y'],
        ['-w', ' ' * 120_000 + 'bytes'],
        ['-w', 'srcaddr/' + ' ' * 120_000],
        ['-w', 'a' * 120_000],
        ['-w', 'a' + '-' * 120_000],
        ['-w', 'srcport=' + '1-' * 60_000],
        ['-w', 'srcport=' + '1,' * 60_000 + 'x'],
        ['--fields', '${' * 60_000],
        ['--fields', '${a' * 60_000],
        ['--fields', '$' * 120_000],
        ['-s', '1' * 120_000],
        ['-s', ' 1h' * 40_000],
        ['-s', 'a ' * 60_000],
        ['--for', '1h ' * 40_000],
        ['aggregate', 'srcaddr' + '/' * 120_000],
        ['--columns', ',' * 120_000 + 'x'],
    ],
    ids=lambda argv: argv[1][:20],
)
def test_arguments_are_understood_in_proportion(argv: list[str], cli: Cli, two_minutes: None) -> None:
    assert one_line(cli('-', *argv, status=2).stderr.splitlines(keepends=True)[-1])


def test_pages_are_understood_in_proportion(two_minutes: None) -> None:
    for piece in (
        b'"message":"',
        b'"timestamp":',
        b'"timestamp":1,',
        b'[',
        b'{"events":[]',
        b'"nextToken":"',
        b'}],"',
        b'}]',
    ):
        for body in (b'{"events":[' + piece * (N // 10), piece * (N // 10) + b']}', piece * (N // 10) + b'}'):
            assert scan_page(body) is None or parse_page(body) is None
            assert find_events(body) is None


# -- what input can never reach -----------------------------------------------------------------------------------


def calls_in(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text('utf-8'))) if isinstance(node, ast.Call))


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_evaluated_formatted_or_handed_to_a_shell(path: Path) -> None:
    for call in calls_in(path):
        name = ast.unparse(call.func)
        assert name not in {'eval', 'exec', 'compile', '__import__', 'input', 'globals', 'locals'}, name
        assert not name.startswith(
            ('os.system', 'os.popen', 'os.exec', 'os.spawn', 'subprocess.', 'pickle.', 'marshal.')
        )
        assert not name.endswith(('.format_map', '.safe_substitute')), name
        if name.endswith('.format'):
            assert isinstance(call.func, ast.Attribute)
            assert isinstance(call.func.value, ast.Constant), f'{path.name}: {ast.unparse(call)}'
    imported = re.findall(r'^\s*(?:import|from) ([\w.]+)', path.read_text('utf-8'), re.M)
    assert {'subprocess', 'pickle', 'marshal', 'ctypes.util', 'code', 'yaml'}.isdisjoint(imported)


@pytest.mark.parametrize(
    'value', [CODE, '{0.__class__}', '%(x)s', '$(touch hacked)', '`touch hacked`', '; touch hacked']
)
def test_texts_are_compared_and_nothing_else(
    value: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli('-', '-w', f'interface-id={value}', '-w', f'account-id!={value}', stdin=TEXT)
    assert result.stdout == b''
    tagged = json.dumps({'message': GOOD.decode()}) + '\n'
    assert cli('-', '-w', f'account-id!={value}', stdin=tagged.encode()).stdout == GOOD + b'\n'
    assert list(tmp_path.iterdir()) == []


# -- what fuzzing found ------------------------------------------------------------------------------------------------


def test_a_line_is_a_header_row_at_the_beginning_of_a_piece_if_it_is_one_in_the_middle() -> None:
    pieces = [b'x\nsr1 version b version\n', b'bytes\nsrcaddr bytes\n10.0.0.1 5\n', b'sr1 version b version\n']
    blocks = [list(text_blocks(cut)) for cut in ([b''.join(pieces)], pieces)]
    whole, parts = ([(block.layout, block.data) for block in found] for found in blocks)
    assert b''.join(data for _, data in whole) == b''.join(data for _, data in parts)
    assert whole[-1][0] == parts[-1][0] == Layout(['srcaddr', 'bytes'])


def test_what_comes_before_a_header_row_that_cannot_be_used_comes_out() -> None:
    text = b'srcaddr bytes\n10.0.0.1 5\nbytes bytes\n1 2\n'
    blocks = text_blocks([text])
    assert next(blocks).data == b'10.0.0.1 5\n'
    with pytest.raises(FlowLogsError, match='the log format has the field bytes twice'):
        next(blocks)


def test_a_page_token_is_handed_back_as_it_came() -> None:
    body = '{"events":[{"message":"m","timestamp":5,"eventId":"1"}],"nextToken":"Ѓx"}'.encode()
    parsed = parse_page(body)
    assert parsed is not None
    assert parsed[6] == 'Ѓx'
    assert find_events(body) == parsed
    assert scan_page(body) in (parsed, None)
