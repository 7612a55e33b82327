"""The progress of a long read: shown on a terminal, and nowhere else."""

from __future__ import annotations

import fcntl
import gzip
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from flowlogs_reader import FileFlowLogsReader, FlowLogsReader
from flowlogs_reader.cli.main import main
from flowlogs_reader.cli.progress import DELAY, INTERVAL, Progress
from flowlogs_reader.sources.base import BaseReader
from tests import traffic
from tests.conftest import HOUR, NOW, ROOT, SEED_REGION
from tests.fake.aws import FakeAWS
from tests.streams import Terminal

GROUP = 'flows'
START = datetime(2016, 2, 1, 11, tzinfo=timezone.utc)
END = START + timedelta(seconds=1000)
# Ten records a second, ten seconds a page, a hundred pages.
LINES = [*traffic.lines(10_000, start=int(START.timestamp()), per_second=10)]
WINDOW = ('-s', '2016-02-01 11:00:00', '-e', '2016-02-01 11:16:40')
# To the end of the line.
CLEAR = '\x1b[K'


def shown(written: str) -> list[str]:
    """The final text of each line of a terminal: a carriage return goes back to the beginning."""
    lines = []
    for line in written.replace('\r\n', '\n').split('\n'):
        seen = ''
        for text in line.split('\r'):
            cleared = text.removeprefix(CLEAR)
            seen = cleared + ('' if cleared != text else seen[len(text) :])
        lines.append(seen.rstrip())
    return lines


def states(written: str) -> list[str]:
    """The texts that were shown before."""
    return [state.strip() for state in written.split('\r') if state.replace(CLEAR, '').strip()]


@pytest.fixture(autouse=True)
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TERM', 'xterm')


@pytest.fixture
def group(fake: FakeAWS) -> FakeAWS:
    fake.add_log_group(GROUP, lines=LINES)
    fake.logs.page_events = 100
    return fake


def watched(reader: BaseReader, seconds: float) -> str:
    """What a read shows when its Blocks are so many seconds apart."""
    terminal, passed = Terminal(), 0.0

    def clock() -> float:
        nonlocal passed
        passed += seconds
        return passed

    reader.on_block = progress = Progress(reader, terminal, clock)
    for _ in reader.blocks():
        pass
    progress.close()
    return terminal.getvalue()


def log_group(**options: object) -> FlowLogsReader:
    return FlowLogsReader(GROUP, start_time=START, end_time=END, **options)


@pytest.mark.usefixtures('group')
def test_it_shows_how_far_it_is_how_many_records_and_how_many_megabytes() -> None:
    told = [state for state in states(watched(log_group(), DELAY)) if 'records' in state]
    assert len(told) == 100
    # Up to the last moment of the previous page: the events of this page's last moment are still held back.
    assert told[49].startswith('49%|')
    assert '2016-02-01T11:08:09Z, 4,990 records, 0.6 MB' in told[49]
    percents = [int(state.split('%')[0]) for state in told]
    assert percents == sorted(percents)
    assert percents[-1] == 99


@pytest.mark.usefixtures('group')
def test_nothing_of_it_is_left_at_the_end() -> None:
    written = watched(log_group(), DELAY)
    assert '\n' not in written
    assert shown(written) == ['']


@pytest.mark.usefixtures('group')
def test_a_short_read_shows_nothing() -> None:
    assert watched(log_group(), DELAY / 200) == ''


@pytest.mark.usefixtures('group')
def test_it_changes_now_and_then_only() -> None:
    told = [state for state in states(watched(log_group(), INTERVAL / 4)) if 'records' in state]
    assert 15 < len(told) < 25


def test_pages_without_a_match_count_too(group: FakeAWS) -> None:
    group.logs.scan_limit = 100
    told = states(watched(log_group(where=['addr=192.0.2.1'], thread_count=2), DELAY))
    assert ', 0 records, 0.0 MB' in told[-1]
    # An empty page does not show how far the read is in its slice.
    assert int(told[-1].split('%')[0]) > 50


def test_of_a_file_the_bytes_are_counted(tmp_path: Path) -> None:
    log = tmp_path / 'flows.log.gz'
    log.write_bytes(gzip.compress(b''.join(line + b'\n' for line in traffic.lines(20_000))))
    told = states(watched(FileFlowLogsReader(log), DELAY))
    assert told[-1].startswith('100%|')
    assert '20,000 records, 2.2 MB [' in told[-1]
    assert shown(watched(FileFlowLogsReader(log), DELAY)) == ['']


def test_of_a_stream_nothing_is_known() -> None:
    (told,) = states(watched(FileFlowLogsReader(BytesIO(HOUR)), DELAY))
    assert told.startswith(f'{len(HOUR.splitlines())} records, 0.0 MB [') and '<' not in told


def seconds(text: str) -> int:
    """The remaining time in a line."""
    minutes, rest = re.findall(r'<(\d+):(\d\d)\]', text)[0]
    return int(minutes) * 60 + int(rest)


@pytest.mark.usefixtures('group')
@pytest.mark.parametrize('hours_before', [0, 3])
@pytest.mark.parametrize('with_tqdm', [True, False])
def test_the_remaining_time_is_right_after_a_tenth(
    hours_before: int, with_tqdm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the window begins long before the first record."""
    if not with_tqdm:
        monkeypatch.setitem(sys.modules, 'tqdm', None)
    reader = FlowLogsReader(GROUP, start_time=START - timedelta(hours=hours_before), end_time=END)
    told = [state for state in states(watched(reader, DELAY)) if 'records' in state]
    assert len(told) == 100
    for at in range(10, 95):
        assert (99 - at) / 2 <= seconds(told[at]) <= (101 - at) * 2, told[at]


@pytest.mark.usefixtures('group')
def test_the_remaining_time_is_not_shown_before_it_is_known() -> None:
    """The window is ten years longer than the log."""
    reader = FlowLogsReader(GROUP, start_time=START, end_time=END + timedelta(days=3650))
    told = [state for state in states(watched(reader, DELAY)) if 'records' in state]
    assert not [state for state in told[:-1] if '<' in state]


@pytest.mark.usefixtures('group')
def test_without_tqdm_there_is_a_line_without_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'tqdm', None)
    monkeypatch.setenv('COLUMNS', '80')
    written = watched(log_group(), DELAY)
    told = [state for state in states(written) if 'records' in state]
    assert told[49] == '49% 2016-02-01T11:08:09Z, 4,990 records, 0.6 MB [00:50<00:51]\x1b[K'
    assert '\n' not in written
    assert written.endswith('\r\x1b[K')
    monkeypatch.setenv('COLUMNS', '20')
    assert max(len(state.replace('\x1b[K', '')) for state in states(watched(log_group(), DELAY))) < 20


# -- on the command line -----------------------------------------------------------------------------------------------


@pytest.fixture
def slow(group: FakeAWS) -> FakeAWS:
    """A log group of which one page takes longer than a short read, and is followed by others."""
    group.fault('FilterLogEvents', 'stall', at=5, seconds=DELAY * 1.2)
    return group


def run(argv: Sequence[str], stderr: StringIO) -> bytes:
    stdout = BytesIO()
    assert main([GROUP, *WINDOW, '--thread-count', '1', *argv], BytesIO(), stdout, stderr) == 0
    return stdout.getvalue()


@pytest.mark.usefixtures('slow')
@pytest.mark.parametrize(
    ('argv', 'stderr', 'term'),
    [([], StringIO, 'xterm'), (['--quiet'], Terminal, 'xterm'), ([], Terminal, 'dumb')],
    ids=['no terminal', '--quiet', 'dumb'],
)
def test_otherwise_it_shows_nothing(
    argv: list[str], stderr: Callable[[], StringIO], term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('TERM', term)
    stream = stderr()
    assert run(argv, stream).splitlines() == LINES
    assert stream.getvalue() == ''


@pytest.mark.usefixtures('group')
def test_a_message_meanwhile_is_on_a_line_of_its_own(group: FakeAWS) -> None:
    group.put_lines(GROUP, [b'nonsense'])
    group.fault('FilterLogEvents', 'stall', at=5, seconds=DELAY * 1.2)
    stderr = Terminal()
    run([], stderr)
    assert shown(stderr.getvalue()) == ['flowlogs_reader: 1 line was left out: not records of this log format', '']


def on_a_terminal(argv: Sequence[str], stdout: Path | None) -> tuple[int, str]:
    """Runs the program with stderr on a terminal, and stdout on the same one or in a file."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 200, 0, 0))
    written: list[bytes] = []

    def drain() -> None:
        # Linux raises an error, where others give nothing, when the last process has closed the terminal.
        try:
            while data := os.read(master, 65536):
                written.append(data)
        except OSError:
            pass

    reading = threading.Thread(target=drain)
    reading.start()
    command = [sys.executable, '-m', 'flowlogs_reader', GROUP, *WINDOW, '--thread-count', '1', *argv]
    environment = {**os.environ, 'NO_COLOR': '1'}
    with open(stdout or os.devnull, 'wb') as file:
        status = subprocess.call(command, cwd=ROOT, env=environment, stdout=file if stdout else slave, stderr=slave)
    os.close(slave)
    reading.join()
    os.close(master)
    return status, b''.join(written).decode()


@pytest.mark.usefixtures('slow')
def test_a_real_terminal(tmp_path: Path) -> None:
    status, written = on_a_terminal([], tmp_path / 'out')
    assert status == 0
    assert (tmp_path / 'out').read_bytes().splitlines() == LINES
    assert re.search(r'\d+%\|.*\| 2016-02-01T11:\d\d:\d\dZ, [\d,]+ records, \d\.\d MB \[', written)
    assert shown(written) == ['']
    # There is room for ^C: if it were wrapped, the line could not be cleared.
    assert max(map(len, re.split(r'\r(?:\x1b\[K)?|\n', written))) <= 200 - 3


@pytest.mark.usefixtures('slow')
@pytest.mark.parametrize('argv', [['-w', 'protocol=icmp', '-c', 'all', '--no-header'], ['top', '5']], ids=' '.join)
def test_records_on_the_same_terminal_stay_whole(argv: list[str]) -> None:
    status, written = on_a_terminal([*argv], None)
    assert status == 0
    assert ' records, ' in written
    stdout = BytesIO()
    assert main([GROUP, *WINDOW, *argv], BytesIO(), stdout, StringIO()) == 0
    expected = [line.split() for line in stdout.getvalue().decode().splitlines()]
    told = [line.split() for line in shown(written) if line and not line.startswith('flowlogs_reader: ')]
    assert told == expected


@pytest.mark.usefixtures('slow')
@pytest.mark.parametrize('action', ['print', 'top'])
def test_nothing_is_drawn_once_output_flows_into_a_pipe(action: str, tmp_path: Path) -> None:
    """A pager may use the terminal then. Here `cat` stands for it, and writes to the same terminal."""
    script = tmp_path / 'script'
    script.write_text(f'{sys.executable} -m flowlogs_reader "$@" | cat')
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
    argv = [GROUP, *WINDOW, '--thread-count', '1', action]
    process = subprocess.Popen(['bash', script, *argv], cwd=ROOT, stdout=slave, stderr=slave)
    os.close(slave)
    written = b''
    try:
        while data := os.read(master, 65536):
            written += data
    except OSError:
        pass
    os.close(master)
    assert process.wait() == 0
    before, first, after = written.partition(b'2 123456789010' if action == 'print' else b'bytes\t')
    assert first and b' records, ' not in after and b'\x1b' not in after
    # Before the first record of print there is one line at most: on a busy machine that may take a second.
    assert action == 'print' or b' records, ' in before


def test_queries_of_an_engine_on_aws_show_what_they_have_scanned(seeded: FakeAWS) -> None:
    seeded.logs.insights.polls = 1
    stderr = Terminal()
    argv = ['VPCFlowLogGroup', 'top', '--engine', 'insights', '--region', SEED_REGION, '-s', '2016-02-01']
    assert main(argv, None, BytesIO(), stderr, NOW) == 0
    shown = stderr.getvalue()
    assert 'kB scanned' in shown or 'bytes scanned' in shown
    # The line is gone before a message is written, and at the end.
    assert shown.count('\r\x1b[K') > shown.count(' s, ')


@pytest.mark.parametrize(('argv', 'header'), [([], 'bytes\t'), (['--estimate'], 'engine\t')])
def test_it_is_gone_before_the_first_line_of_the_output(argv: list[str], header: str, seeded: FakeAWS) -> None:
    seeded.logs.insights.polls = 1
    screen = Terminal()

    class Stdout(BytesIO):
        def write(self, data: Any) -> int:
            return screen.write(bytes(data).decode())

    options = ['--engine', 'insights', '--region', SEED_REGION, '-s', '2016-02-01', *argv]
    assert main(['VPCFlowLogGroup', 'top', *options], None, Stdout(), screen, NOW) == 0
    lines = [line.rpartition('\x1b[K')[2] for line in screen.getvalue().split('\n')]
    assert ' scanned\r' in screen.getvalue()
    assert [line for line in lines if header in line] == [line for line in lines if line.startswith(header)] != []
