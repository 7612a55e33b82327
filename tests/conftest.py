"""Fixtures for all tests: an environment without AWS settings, the fake AWS, and the command line in process."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from io import BytesIO, StringIO
from pathlib import Path
from typing import NamedTuple

import boto3
import botocore
import pytest
from botocore.loaders import JSONFileLoader, Loader

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


@pytest.fixture(autouse=True, scope='session')
def service_models_loaded_once() -> Iterator[None]:
    """Each new session looks for botocore's descriptions of the services and reads them: longer than a test takes."""
    load = functools.cache(JSONFileLoader().load_file)
    listed: dict[tuple[str, ...], list[str]] = {}
    look = Loader.list_available_services

    def services(self: Loader, kind: str) -> list[str]:
        key = (kind, *self.search_paths)
        if key not in listed:
            listed[key] = look(self, kind)
        return listed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, 'load_file', lambda self, path: load(path))
        patch.setattr(Loader, 'list_available_services', services)
        yield


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No AWS settings, no proxies, a home directory without configuration files (returned), and no metadata service."""
    monkeypatch.setattr(boto3, 'DEFAULT_SESSION', None)
    for name in list(os.environ):
        if name.startswith('AWS_') or name.lower().endswith('_proxy'):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp('home')
    monkeypatch.setenv('HOME', str(home))
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    return home


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
