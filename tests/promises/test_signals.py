"""Pipes, signals and full disks: the command line in a process of its own, with real file descriptors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from flowlogs_reader import FileFlowLogsReader, FlowLogsReader
from tests import traffic
from tests.conftest import DATA, NOW, ROOT
from tests.fake.aws import FakeAWS

PROGRAM = (sys.executable, '-m', 'flowlogs_reader')
WINDOW = ('-s', '2016-02-01 10:00:00', '-e', '2016-02-01 15:00:00')
RECORDS = 60_000


@pytest.fixture(scope='module')
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 60,000 records, much more than a pipe and the program hold."""
    path = tmp_path_factory.mktemp('signals') / 'large.log'
    traffic.write_log(path, RECORDS)
    return path


@pytest.fixture(scope='module')
def aws(large: Path) -> Iterator[FakeAWS]:
    """The same records in a log group, in many pages."""
    with FakeAWS() as fake:
        fake.add_log_group('large', lines=large.read_bytes().splitlines())
        fake.logs.page_events = 1_000
        yield fake


def start(
    argv: Sequence[str], fake: FakeAWS | None = None, *, path: Path | None = None, **streams: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    env = {**os.environ, **(fake.environ('us-east-1') if fake else {}), 'PYTHONPATH': str(path or ROOT)}
    return subprocess.Popen(
        [*PROGRAM, *argv],
        cwd=ROOT,
        env=env,
        stderr=subprocess.PIPE,
        bufsize=0,
        **streams,  # type: ignore[call-overload]
    )


@pytest.fixture(params=['file', 'log group', 'log group, 8 threads'])
def source(request: pytest.FixtureRequest, large: Path, aws: FakeAWS) -> list[str]:
    """The arguments that read the 60,000 records."""
    if request.param == 'file':
        return [str(large)]
    return ['large', *WINDOW, '--thread-count', '8' if '8' in request.param else '1']


def whole_lines(data: bytes, large: Path) -> bool:
    """Whether the output is the first records, and ends with a whole line."""
    return large.read_bytes().startswith(data) and data[-1:] in (b'', b'\n')


# -- the reader of the pipe ---------------------------------------------------------------------------------------


def test_a_reader_that_goes_away(source: list[str], aws: FakeAWS, large: Path) -> None:
    with start(source, aws, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        first = process.stdout.readline()
        process.stdout.close()
        assert (process.wait(timeout=60), process.stderr.read()) == (0, b'')
    assert first == large.read_bytes().splitlines(keepends=True)[0]


def test_a_reader_that_is_not_there_at_all(source: list[str], aws: FakeAWS) -> None:
    receiving, sending = os.pipe()
    os.close(receiving)
    with start(source, aws, stdout=sending) as process:
        os.close(sending)
        assert process.stderr
        assert (process.wait(timeout=60), process.stderr.read()) == (0, b'')


def test_a_reader_that_blocks_for_a_while(source: list[str], aws: FakeAWS, large: Path) -> None:
    """The program waits until the rest of its output is read, and its memory stays bounded."""
    before = aws.count('FilterLogEvents')
    with start(source, aws, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        begun = process.stdout.readline()
        wait_until_blocked(process.pid)
        assert aws.count('FilterLogEvents') - before < RECORDS / 1_000 / 2
        rest = process.stdout.read()
        assert (process.wait(timeout=60), process.stderr.read()) == (0, b'')
    assert begun + rest == large.read_bytes()


def test_a_pipe_that_does_not_block(large: Path) -> None:
    """Its reader, or another program, may have set that. When the pipe is full, the program waits."""
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    with start([str(large)], stdout=sending) as process, open(receiving, 'rb') as pipe:
        os.close(sending)
        assert process.stderr
        wait_until_blocked(process.pid)
        assert pipe.read() == large.read_bytes()
        assert (process.wait(timeout=60), process.stderr.read()) == (0, b'')


def wait_until_blocked(pid: int) -> None:
    """Waits until every thread of a process sleeps, and has not run between two checks."""
    earlier: list[list[str]] = []
    while True:
        try:
            stats = [path.read_text() for path in sorted(Path(f'/proc/{pid}/task').glob('*/stat'))]
        except (FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile
            stats = []
        values = [text.rpartition(')')[2].split() for text in stats]
        times = [each[11:13] for each in values]
        if values and all(each[0] == 'S' for each in values) and times == earlier:
            return
        earlier = times
        time.sleep(0.2)


# -- where the output goes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('action', [['print', '5'], ['print'], ['ipset'], ['top'], ['aggregate'], ['timeline']])
def test_a_full_disk(action: list[str], large: Path) -> None:
    with open('/dev/full', 'wb') as full, start([str(large), *action], stdout=full) as process:
        assert process.stderr
        told = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert told == b'flowlogs_reader: cannot write the output: No space left on device\n'


@pytest.mark.parametrize('argv', [['--help'], ['--version'], ['--list']])
def test_a_full_disk_for_help_and_lists(argv: list[str], aws: FakeAWS) -> None:
    aws.add_flow_log(log_group='large')
    with open('/dev/full', 'wb') as full, start(argv, aws, stdout=full) as process:
        assert process.stderr
        told = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert told == b'flowlogs_reader: cannot write the output: No space left on device\n'


def test_a_disk_that_fills_up(large: Path, tmp_path: Path) -> None:
    """A file that may grow to 300,000 bytes only: a number of whole memory pages."""
    output = tmp_path / 'output'
    line = f'ulimit -f 300; exec "$@" > {output}'
    done = subprocess.run(['bash', '-c', line, 'bash', *PROGRAM, str(large)], cwd=ROOT, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b'flowlogs_reader: cannot write the output: File too large\n')
    assert large.read_bytes().startswith(output.read_bytes())


@pytest.mark.parametrize(
    'argv', [['large', *WINDOW], [str(DATA / 'seed-hour.log')], ['--list'], ['--help'], ['--version'], ['no-such', 'x']]
)
def test_a_closed_stdout(argv: list[str], aws: FakeAWS) -> None:
    env = {**os.environ, **aws.environ('us-east-1')}
    done = subprocess.run(
        ['bash', '-c', 'exec "$@" >&-', 'bash', *PROGRAM, *argv], cwd=ROOT, env=env, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (1, b'flowlogs_reader: standard output is closed\n')


@pytest.mark.parametrize('stderr', ['2>&-', '2>/dev/full', '2> >(exec <&-)'])
@pytest.mark.parametrize(
    ('argv', 'status'), [(['x', '--bogus'], 2), (['nothing', *WINDOW], 1), (['large', *WINDOW], 0)]
)
def test_a_stderr_that_takes_nothing_does_not_change_the_status(
    argv: list[str], status: int, stderr: str, aws: FakeAWS, large: Path
) -> None:
    env = {**os.environ, **aws.environ('us-east-1'), 'AWS_MAX_ATTEMPTS': '1'}
    done = subprocess.run(
        ['bash', '-c', f'exec "$@" {stderr}', 'bash', *PROGRAM, *argv], cwd=ROOT, env=env, stdout=subprocess.PIPE
    )
    assert done.returncode == status
    assert done.stdout == (b'' if status else large.read_bytes())


# -- signals ------------------------------------------------------------------------------------------------------


@contextmanager
def stalled(aws: FakeAWS) -> Iterator[subprocess.Popen[bytes]]:
    """The program while it waits for an answer of CloudWatch Logs that does not come."""
    aws.fault('FilterLogEvents', 'stall', seconds=600)
    before = aws.count('FilterLogEvents')
    try:
        with start(['large', *WINDOW], aws, stdout=subprocess.PIPE) as process:
            while aws.count('FilterLogEvents') == before:
                assert process.poll() is None
            yield process
    finally:
        aws.clear_faults()


def test_ctrl_c_while_a_request_stalls(aws: FakeAWS) -> None:
    with stalled(aws) as process:
        process.send_signal(signal.SIGINT)
        assert (*process.communicate(timeout=60), process.returncode) == (b'', b'', 130)


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_while_the_reader_of_the_pipe_is_slow(
    number: signal.Signals, status: int, source: list[str], aws: FakeAWS, large: Path
) -> None:
    with start(source, aws, stdout=subprocess.PIPE) as process:
        assert process.stdout
        begun = process.stdout.readline()
        wait_until_blocked(process.pid)
        process.send_signal(number)
        rest, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (status, b'')
    # The pipe was full: the kernel cut the line.
    assert large.read_bytes().startswith(begun + rest)


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_between_two_pages_leaves_whole_lines(
    number: signal.Signals, status: int, aws: FakeAWS, large: Path
) -> None:
    asked = aws.count('FilterLogEvents')
    aws.fault('FilterLogEvents', 'stall', at=lambda params: 'nextToken' in params, seconds=600)
    try:
        with start(['large', *WINDOW, '--thread-count', '1'], aws, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stderr
            page = bytearray()
            reading = threading.Thread(target=lambda: page.extend(process.stdout.read()))
            reading.start()
            # The second page is requested after the first was written.
            while not any('nextToken' in call.params for call in aws.calls('FilterLogEvents')[asked:]):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            reading.join()
            told = process.stderr.read()
    finally:
        aws.clear_faults()
    assert (process.returncode, told) == (status, b'')
    assert whole_lines(bytes(page), large)


INTERRUPTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ['INTERRUPT_AT']:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize('road', ['module', 'script'])
@pytest.mark.parametrize(
    'module',
    [
        'flowlogs_reader.cli.main',
        'argparse',
        'flowlogs_reader.sources.base',
        'botocore.config',
        'botocore.session',
        'botocore.auth',
        'dateutil.tz',
    ],
)
def test_ctrl_c_while_the_program_is_starting(module: str, road: str, aws: FakeAWS, tmp_path: Path) -> None:
    (tmp_path / 'sitecustomize.py').write_text(INTERRUPTING)
    env = {**os.environ, **aws.environ('us-east-1'), 'PYTHONPATH': f'{tmp_path}:{ROOT}', 'INTERRUPT_AT': module}
    home, function = re.findall(r'=(flowlogs_reader[\w.]*):(\w+)', (ROOT / 'setup.py').read_text())[0]
    script = f'import sys\nfrom {home} import {function}\nsys.exit({function}())'
    argv = [*PROGRAM] if road == 'module' else [sys.executable, '-c', script]
    done = subprocess.run([*argv, 'large', *WINDOW], cwd=tmp_path, env=env, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b'', b'')


ELSEWHERE = {
    'in a finalizer': """
class Interrupting:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
""",
    'while a class is made': """
class Named:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)

def Interrupting():
    class Owner:
        name = Named()
""",
}


@pytest.mark.parametrize('place', ELSEWHERE)
def test_ctrl_c_where_python_drops_or_changes_what_is_raised(place: str, aws: FakeAWS, tmp_path: Path) -> None:
    text = INTERRUPTING.replace('os.kill(os.getpid(), signal.SIGINT)', 'Interrupting()') + ELSEWHERE[place]
    (tmp_path / 'sitecustomize.py').write_text(text)
    env = {
        **os.environ, **aws.environ('us-east-1'), 'PYTHONPATH': f'{tmp_path}:{ROOT}', 'INTERRUPT_AT': 'botocore.session'
    }  # fmt: skip
    done = subprocess.run([*PROGRAM, 'large', *WINDOW], cwd=tmp_path, env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (130, b'')


def test_a_second_ctrl_c_is_as_quiet(aws: FakeAWS) -> None:
    with stalled(aws) as process:
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.communicate() == (b'', b'')
        assert process.returncode in (130, -signal.SIGINT)


# -- what a library leaves behind ---------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', [0, 1, 8])
def test_no_thread_is_left_when_a_reader_is_closed(
    threads: int, aws: FakeAWS, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environ('us-east-1').items():
        monkeypatch.setenv(name, value)
    window = {'start_time': NOW.replace(hour=10), 'end_time': NOW, 'thread_count': threads}
    for close_generator in (True, False):
        for reader in (FlowLogsReader('large', **window), FileFlowLogsReader(large, thread_count=threads)):
            before = set(threading.enumerate())
            blocks = reader.blocks()
            next(blocks)
            blocks.close() if close_generator else reader.close()  # type: ignore[attr-defined]
            for thread in set(threading.enumerate()) - before:
                if 'process_request' not in thread.name:  # of the fake
                    thread.join(timeout=60)
                    assert not thread.is_alive(), thread
            with pytest.raises(ValueError, match='this reader is closed'):
                next(reader.blocks())
