"""Fixtures for all tests: an environment without AWS settings, the fake AWS, and the command line in process."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import boto3
import botocore
import pytest
from botocore import endpoint, hooks
from botocore.loaders import JSONFileLoader, Loader
from hypothesis import HealthCheck, settings

from flowlogs_reader.cli.clock import Clock
from flowlogs_reader.cli.main import main
from tests.fake.aws import FakeAWS

# tox -e oldest
OLD_BOTOCORE = tuple(map(int, botocore.__version__.split('.')[:2])) < (1, 40)
ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / 'tests' / 'data'
# Every module of the package: what must never be done is looked for in all of them.
MODULES = sorted((ROOT / 'flowlogs_reader').rglob('*.py'))
HOUR = (DATA / 'seed-hour.log').read_bytes()
MINUTE = (DATA / 'seed-minute.log').read_bytes()
SEED_REGION = 'ap-northeast-1'
# When the hour of the seed records had just passed.
NOW = datetime(2016, 2, 1, 15, tzinfo=timezone.utc)
MINUTE_WINDOW = ('-s', '2016-02-01 10:59:00', '-e', '2016-02-01 11:00:00')

# Properties have the same examples in every run, and as much time as the machine needs. tests/tools/fuzz.py searches.
settings.register_profile(
    'tests', max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile('tests')


@pytest.fixture(autouse=True, scope='session')
def signals_have_effect() -> Iterator[None]:
    """Shells ignore SIGINT in background jobs, nohup ignores SIGHUP, and processes that tests start inherit that."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True, scope='session')
def botocore_prepares_once() -> Iterator[None]:
    """Each session reads descriptions of services and examines handlers of events, which takes longer than a test."""
    load = functools.cache(JSONFileLoader().load_file)
    listed: dict[tuple[str, ...], list[str]] = {}
    look = Loader.list_available_services

    def services(self: Loader, kind: str) -> list[str]:
        key = (kind, *self.search_paths)
        if key not in listed:
            listed[key] = look(self, kind)
        return listed[key]

    accepts = functools.cache(hooks.accepts_kwargs)
    alias = functools.cache(hooks.EventAliaser(None)._alias_event_name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, 'load_file', lambda self, path: load(path))
        patch.setattr(Loader, 'list_available_services', services)
        # Methods without their objects, which would never be freed.
        patch.setattr(hooks, 'accepts_kwargs', lambda handler: accepts(getattr(handler, '__func__', handler)))
        patch.setattr(hooks.EventAliaser, '_alias_event_name', lambda self, name: alias(name))
        yield


@pytest.fixture(autouse=True, scope='session')
def no_settings_of_the_machine() -> Iterator[None]:
    """No AWS settings, no proxies, no size of a terminal: not for fixtures that several tests share either."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith('AWS_') or name.lower().endswith('_proxy') or name in ('COLUMNS', 'LINES', 'MANWIDTH'):
                patch.delenv(name)
        patch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
        yield


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory without configuration files, which is returned."""
    monkeypatch.setattr(boto3, 'DEFAULT_SESSION', None)
    home = tmp_path_factory.mktemp('home')
    monkeypatch.setenv('HOME', str(home))
    return home


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits a fiftieth of its time before it tries again."""
    monkeypatch.setattr(endpoint, 'time', SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 50)))


@pytest.fixture
def two_minutes() -> Iterator[None]:
    """Ends a test that would take for ever, or the square of its time, after two minutes: most take a second."""

    def stop(*_: object) -> None:
        raise TimeoutError('this takes too long')

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAWS]:
    """An empty AWS on loopback, to which the environment leads every client."""
    with FakeAWS() as fake:
        fake.retry_after_ms = 0
        for name, value in fake.environ().items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def seeded(fake: FakeAWS) -> FakeAWS:
    """The AWS of the seed records: their log group in its Region, and its flow log."""
    fake.add_log_group('VPCFlowLogGroup', SEED_REGION, (MINUTE + HOUR).splitlines())
    fake.add_flow_log(log_group='VPCFlowLogGroup', region=SEED_REGION)
    return fake


class Result(NamedTuple):
    """What a run of the command line left."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.decode().splitlines()


Cli = Callable[..., Result]


@pytest.fixture
def cli() -> Cli:
    """Runs the command line in process; an exit status other than the expected one fails the test."""

    def run(*argv: str, status: int = 0, stdin: bytes = b'', now: datetime = NOW) -> Result:
        stdout, stderr = BytesIO(), StringIO()
        died: list[object] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading, 'excepthook', died.append)
            got = main(argv, BytesIO(stdin), stdout, stderr, now)
        assert not died, f'a thread died: {died}'
        assert got == status, f'exit status {got}, not {status}; stderr: {stderr.getvalue()}'
        assert 'Traceback' not in stderr.getvalue() or '--debug' in argv
        return Result(got, stdout.getvalue(), stderr.getvalue())

    return run


Follow = Callable[..., Result]


@pytest.fixture
def following() -> Follow:
    """Runs the command line with --follow until the clock, of tests/following.py, has no more steps."""

    def run(clock: Clock, *argv: str, status: int = 130) -> Result:
        stdout, stderr = BytesIO(), StringIO()
        got = main([*argv, '--follow'], BytesIO(), stdout, stderr, clock=clock)
        assert got == status, f'exit status {got}, not {status}; stderr: {stderr.getvalue()}'
        return Result(got, stdout.getvalue(), stderr.getvalue())

    return run


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory at the head of PATH with a `flowlogs_reader` for which it is always NOW."""
    script = tmp_path / 'bin' / 'flowlogs_reader'
    script.parent.mkdir()
    script.write_text(
        f'#!{sys.executable}\n'
        'import sys\n'
        'from datetime import datetime\n'
        'from flowlogs_reader.cli.main import main\n'
        f'sys.exit(main(now=datetime.fromisoformat({NOW.isoformat()!r})))\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv('PATH', f'{script.parent}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    return script.parent
