"""Every fault that the fake AWS can make, over every source and number of threads: the output is complete and the exit
status 0, or it is complete up to a time that one line names, together with how to go on from there, and the status 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from botocore.config import Config

from flowlogs_reader import FlowLogsReader
from tests import traffic
from tests.conftest import Cli, Result
from tests.fake_aws import FakeAWS

LINES = list(traffic.lines(480, per_second=20))  # 24 seconds
FIELDS = ' '.join(traffic.FIELDS)
WINDOW = {'start_time': datetime(2016, 2, 1, 10, 59), 'end_time': datetime(2016, 2, 1, 11)}
THREADS = (0, 1, 4, 8)
PASSING, LASTING = {3, 4}, range(4, 10_000)
PAGED = lambda params: 'nextToken' in params  # noqa: E731
COMPLETE, RESUMED = 'complete', 'resumed'


class Case(NamedTuple):
    """A fault of FilterLogEvents or S3, which calls it strikes, and how the read ends."""

    kind: str
    at: Any
    ends: str
    says: str = ''
    seconds: float = 0.0
    times: int | None = None

    def __str__(self) -> str:
        how = 'passing' if self.at is PASSING or self.times else 'lasting'
        return f'{self.kind}-{how}'


CLOUDWATCH = [
    Case('throttle', PASSING, COMPLETE),
    Case('throttle', LASTING, RESUMED, 'AWS is throttling'),
    Case('500', PASSING, COMPLETE),
    Case('500', LASTING, RESUMED, 'InternalFailure'),
    Case('503', PASSING, COMPLETE),
    Case('503', LASTING, RESUMED, 'AWS is not available'),
    Case('drop', PASSING, COMPLETE),
    Case('drop', LASTING, RESUMED, 'AWS cannot be reached'),
    Case('cut', PASSING, COMPLETE),
    Case('cut', LASTING, RESUMED, ''),
    Case('half_json', PASSING, COMPLETE),
    Case('half_json', LASTING, RESUMED, 'unreadable page of flowlogs'),
    Case('stall', PASSING, COMPLETE, seconds=0.2),
    Case('repeat_token', PAGED, RESUMED, 'the same page token twice for flowlogs'),
    Case('loop_tokens', PAGED, RESUMED, 'the same page token twice for flowlogs'),
    Case('expire_token', PAGED, COMPLETE, times=1),
    Case('expire_token', LASTING, RESUMED, 'nextToken is invalid/expired'),
    Case('expire_credentials', LASTING, RESUMED, 'the credentials have expired'),
    Case('empty_pages', PASSING, COMPLETE),
    Case('duplicate', PASSING, COMPLETE),
    Case('duplicate', LASTING, COMPLETE),
    Case('deny', LASTING, RESUMED, 'not allowed'),
    Case('vanish', LASTING, RESUMED, 'the log group went away'),
]


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts are enough to see that there are some."""
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '3')


@pytest.fixture
def flowlogs(fake: FakeAWS) -> FakeAWS:
    """A log group of 480 records in pages of 25, a second of traffic and a bit."""
    fake.add_log_group('flowlogs', lines=LINES)
    fake.logs.page_events = 25
    return fake


def end_of(result: Result, source: str = '') -> str | None:
    """From where the error line says to go on; None where it says that nothing came out."""
    (line,) = result.stderr.splitlines()
    assert line.startswith('flowlogs_reader: ')
    found = re.search(r'the output is complete up to (\S+): go on from there with -s (\S+)$', line)
    if not found:
        assert result.stdout == b'', line
        return None
    assert found[1] == found[2]
    return found[2]


def check_end(case: Case, run: Callable[..., Result], mend: Callable[[], None]) -> None:
    """Runs with the fault; where the read ended early, runs again as told, and puts the outputs together."""
    start = '2016-02-01T10:59:00Z'
    result = run('-s', start, status=0 if case.ends == COMPLETE else 1)
    if case.ends == COMPLETE:
        assert result.stdout.splitlines() == LINES
        assert result.stderr == ''
        return
    assert case.says in result.stderr
    mend()
    rest = run('-s', end_of(result) or start)
    assert (result.stdout + rest.stdout).splitlines() == LINES


@pytest.mark.parametrize('threads', THREADS)
@pytest.mark.parametrize('case', CLOUDWATCH, ids=str)
def test_cloudwatch(case: Case, threads: int, flowlogs: FakeAWS, cli: Cli) -> None:
    fault = flowlogs.fault('FilterLogEvents', case.kind, case.at, case.times, seconds=case.seconds)

    def run(*argv: str, status: int = 0) -> Result:
        argv = ('flowlogs', '--fields', FIELDS, '-e', '2016-02-01 11:00:00', '--thread-count', str(threads), *argv)
        return cli(*argv, status=status)

    def mend() -> None:
        flowlogs.clear_faults()
        flowlogs.sts.expired.clear()

    check_end(case, run, mend)
    assert fault.hits
