"""During a long direct read, one line names the engine on AWS that would answer sooner."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO, StringIO

import pytest

from flowlogs_reader.cli.clock import Clock
from flowlogs_reader.cli.main import main
from tests import traffic
from tests.conftest import NOW
from tests.fake.aws import FakeAWS, s3_objects

LINES = [*traffic.lines(600, per_second=2)]
WINDOW = ('-s', '2016-02-01 10:59:00', '--for', '10m')


class FastClock(Clock):
    """A clock on which so many seconds pass whenever somebody looks at it."""

    def __init__(self, step: float) -> None:
        super().__init__(BytesIO(), NOW)
        self._step = timedelta(seconds=step)
        self._time = NOW

    def now(self) -> datetime:
        self._time += self._step
        return self._time


@pytest.fixture
def logs(fake: FakeAWS) -> FakeAWS:
    fake.add_log_group('flows', lines=LINES)
    fake.logs.page_events = 20
    fake.add_bucket('flows', objects=s3_objects(LINES, max_lines=20))
    return fake


def told(*argv: str, step: float) -> list[str]:
    stderr = StringIO()
    assert main(argv, None, BytesIO(), stderr, NOW, FastClock(step)) == 0
    return [line for line in stderr.getvalue().splitlines() if '--engine' in line]


@pytest.mark.usefixtures('logs')
@pytest.mark.parametrize(
    ('argv', 'words'),
    [
        ('flows top', '--engine insights answers it sooner, for US$0.01 or less'),
        ('flows top -w dstport=443', '--engine insights answers it sooner, --estimate says for how much'),
        ('flows print -w action=REJECT', '--engine insights'),
        ('flows timeline', '--engine insights'),
        ('flows print', ''),
        ('flows print 500 -w action=ACCEPT', ''),
        ('flows print -w srcaddr!=dstaddr', ''),
        ('flows top -w srcaddr!=dstaddr', '--engine insights'),
        ('flows top --filter-pattern ACCEPT', ''),
        ('flows top --quiet', ''),
    ],
)
def test_an_engine_is_named_once(argv: str, words: str) -> None:
    found = told(*argv.split(), *WINDOW, '--thread-count', '1', step=30)
    assert len(found) == bool(words)
    if words:
        assert words in found[0]
        assert 'min more' in found[0]


@pytest.mark.usefixtures('logs')
@pytest.mark.parametrize('location', ['flows', 's3://flows'])
def test_the_price_of_several_queries_is_not_that_of_one(location: str) -> None:
    pytest.importorskip('plotly')
    (line,) = told(location, 'report', *WINDOW, '--thread-count', '1', step=30)
    assert line.endswith('answers it sooner, --estimate says for how much')


@pytest.mark.usefixtures('logs')
def test_of_a_bucket() -> None:
    (line,) = told('s3://flows', 'top', *WINDOW, '--thread-count', '1', step=15)
    assert '--engine athena answers it sooner, for US$' in line


@pytest.mark.usefixtures('logs')
@pytest.mark.parametrize('location', ['flows', 's3://flows'])
def test_a_short_read_is_left_alone(location: str) -> None:
    assert not told(location, 'top', *WINDOW, step=0.5)


@pytest.mark.usefixtures('logs')
def test_a_window_that_is_almost_empty_misleads_nobody() -> None:
    """By the clock of the window, its first minutes are a small part of the read."""
    window = ('-s', '2016-02-01 10:59:00', '--for', '1d')
    assert not told('flows', 'top', *window, '--thread-count', '1', step=2)
    assert told('flows', 'top', *window, '--thread-count', '1', step=60)


@pytest.mark.usefixtures('logs')
def test_what_cannot_be_sampled_is_estimated_from_the_window(logs: FakeAWS) -> None:
    logs.fault('FilterLogEvents', 'deny', at=lambda params: params.get('limit') == 2000)
    assert told('flows', 'top', *WINDOW, '--thread-count', '1', step=15)
