"""Requests to CloudWatch Logs: how many, how many at a time, and what CloudWatch filters."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from flowlogs_reader import FlowLogsReader
from tests import traffic
from tests.conftest import Cli
from tests.fake.aws import FakeAWS

OPERATION = 'FilterLogEvents'
PROBE = traffic.PROBE_HOST
LINES = list(traffic.lines(4_000, per_second=20))  # 200 seconds
TEXT = b''.join(line + b'\n' for line in LINES)
PAGE = 100
WINDOW = ('-s', '2016-02-01', '-e', '2016-02-02')
DAY = {'start_time': datetime(2016, 2, 1), 'end_time': datetime(2016, 2, 2)}


@pytest.fixture
def flowlogs(fake: FakeAWS) -> FakeAWS:
    """A log group of 4,000 records in 40 pages."""
    fake.add_log_group('flowlogs', lines=LINES)
    fake.add_flow_log(log_group='flowlogs')
    fake.logs.page_events = PAGE
    return fake


def params(fake: FakeAWS) -> list[dict[str, Any]]:
    return [call.params for call in fake.calls(OPERATION)]


# -- how often ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('argv', [[], ['--thread-count', '1'], ['--thread-count', '8'], ['print', '9'], ['ipset']])
def test_a_small_result_takes_one_request(argv: list[str], fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('flowlogs', lines=LINES)
    cli('flowlogs', *argv, *WINDOW)
    assert [set(asked) - {'interleaved', 'limit'} for asked in params(fake)] == [
        {'logGroupName', 'startTime', 'endTime'}
    ]
    assert fake.count('DescribeFlowLogs') == 1


def test_the_first_records_take_a_page_of_that_size(flowlogs: FakeAWS, cli: Cli) -> None:
    assert cli('flowlogs', 'print', '7', *WINDOW).lines == [line.decode() for line in LINES[:7]]
    assert [asked['limit'] for asked in params(flowlogs)] == [7]


def test_the_first_request_covers_the_whole_window_and_slices_what_is_left(flowlogs: FakeAWS, cli: Cli) -> None:
    assert cli('flowlogs', '--thread-count', '4', *WINDOW).stdout == TEXT
    first, *others = params(flowlogs)
    assert (first['startTime'], first['endTime']) == (1454284800000, 1454371199999)
    begun = sorted({(asked['startTime'], asked['endTime']) for asked in others})
    # Side by side, without a gap: each begins where the one before it ends.
    assert begun[0][0] > first['startTime']
    assert [begin for begin, _ in begun[1:]] == [end + 1 for _, end in begun[:-1]]
    assert begun[-1][1] == first['endTime']
    # Three pages in a slice, of which the last one is partly filled; more slices while their length is being found.
    assert 40 <= len(others) + 1 <= 120


@pytest.mark.parametrize(('threads', 'at_once'), [(1, 1), (2, 2), (4, 4), (8, 8)])
def test_so_many_requests_at_a_time(threads: int, at_once: int, flowlogs: FakeAWS, cli: Cli) -> None:
    flowlogs.latency_ms = 20
    assert cli('flowlogs', '--thread-count', str(threads), *WINDOW).stdout == TEXT
    assert flowlogs.max_concurrent(OPERATION) <= at_once
    assert threads == 1 or flowlogs.max_concurrent(OPERATION) > 1


@pytest.mark.parametrize(('threads', 'asked'), [(1, 1), (0, 3), (4, 13)])
def test_a_slow_reader_is_not_run_ahead_of(threads: int, asked: int, flowlogs: FakeAWS) -> None:
    """Pages in memory: one that is read, those that wait (one, or one for each thread), and one more in each thread."""
    reader = FlowLogsReader('flowlogs', thread_count=threads, **DAY)
    next(iter(reader))
    assert flowlogs.count(OPERATION) <= asked
    reader.close()


@pytest.fixture
def short_waits() -> None:
    """As long as they are, for the other tests too: the rate below is real."""


@pytest.mark.parametrize('threads', [1, 8])
def test_five_requests_a_second_are_enough(threads: int, flowlogs: FakeAWS, cli: Cli) -> None:
    flowlogs.logs.page_events = 800
    flowlogs.limit_rate(OPERATION, 5)
    flowlogs.retry_after_ms = None
    assert cli('flowlogs', '--thread-count', str(threads), *WINDOW).stdout == TEXT


# -- what is left to CloudWatch ----------------------------------------------------------------------------------------

INTERFACE = LINES[0].split()[2].decode()
OTHER = next(line.split()[2].decode() for line in LINES if line.split()[2].decode() != INTERFACE)


@pytest.mark.parametrize(
    ('argv', 'pattern', 'streams'),
    [
        (['findip', PROBE], f'"{PROBE}"', None),
        (['findip', PROBE, '8.8.8.8'], f'?"{PROBE}" ?"8.8.8.8"', None),
        (['-w', f'srcaddr={PROBE}'], f'"{PROBE}"', None),
        (['-w', f'addr={PROBE}', '-w', 'action=REJECT'], f'"{PROBE}" "REJECT"', None),
        (['-w', f'addr={PROBE},10.0.0.9', '-w', 'action=REJECT'], '"REJECT"', None),
        (['-w', 'dstport=443', '-w', 'bytes>=100'], '"443"', None),
        (['-w', f'interface_id={INTERFACE}'], f'"{INTERFACE}"', [INTERFACE]),
        (['-w', f'interface_id={INTERFACE},{OTHER}'], f'?"{INTERFACE}" ?"{OTHER}"', [INTERFACE, OTHER]),
        (['top', '-w', 'action=REJECT'], '?"REJECT" ?"SKIPDATA"', None),
        # If a pattern could lose records, the client filters.
        (['findip', '10.0.3.0/24'], None, None),
        (['findip', '2001:db8::1'], None, None),
        (['-w', f'srcaddr!={PROBE}'], None, None),
        (['-w', 'dstport=22-443'], None, None),
        (['-w', 'protocol=6'], None, None),
        (['findip', *(f'10.1.{high}.{low}' for high in range(5) for low in range(30))], None, None),
    ],
)
def test_what_is_pushed_down_changes_nothing(
    argv: list[str], pattern: str | None, streams: list[str] | None, flowlogs: FakeAWS, cli: Cli
) -> None:
    flowlogs.logs.page_events = 10_000
    pushed = cli('flowlogs', *argv, *WINDOW)
    asked = params(flowlogs)
    assert {one.get('filterPattern') for one in asked} == {pattern}
    named = [name for one in asked for name in one.get('logStreamNames', ())]
    assert [name[: len(INTERFACE)] for name in named] == (streams or [])
    flowlogs.record.clear()
    whole = cli('flowlogs', *argv, '--no-pushdown', *WINDOW)
    assert all('filterPattern' not in one and 'logStreamNames' not in one for one in params(flowlogs))
    assert flowlogs.count('DescribeLogStreams') == 0
    assert (pushed.stdout, pushed.status) == (whole.stdout, whole.status)


def test_a_pattern_of_the_users_own_stays_alone(flowlogs: FakeAWS, cli: Cli) -> None:
    result = cli('flowlogs', 'findip', PROBE, '--filter-pattern', 'REJECT', *WINDOW)
    assert {one['filterPattern'] for one in params(flowlogs)} == {'REJECT'}
    assert result.lines == [line.decode() for line in LINES if b' %b ' % PROBE.encode() in line and b'REJECT' in line]


@pytest.mark.parametrize('trouble', ['denied', 'more than a page'])
def test_streams_that_are_not_all_known_are_not_named(trouble: str, fake: FakeAWS, cli: Cli) -> None:
    ((interface, count),) = Counter(line.split()[2].decode() for line in LINES).most_common(1)
    assert count > 100
    number = iter(range(len(LINES)))
    fake.add_log_group('flowlogs', lines=LINES, stream=lambda line: f'{line.split()[2].decode()}-{next(number)}')
    if trouble == 'denied':
        fake.deny('DescribeLogStreams')
    expected = [line.decode() for line in LINES if interface.encode() in line]
    assert cli('flowlogs', '-w', f'interface_id={interface}', *WINDOW).lines == expected
    assert fake.count('DescribeLogStreams') == 1
    assert all('logStreamNames' not in one for one in params(fake))


def test_an_interface_without_a_stream_of_its_own_is_looked_for_in_all(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('flowlogs', lines=LINES, stream=lambda line: 'all-of-them')
    expected = [line.decode() for line in LINES if INTERFACE.encode() in line]
    assert cli('flowlogs', '-w', f'interface_id={INTERFACE}', *WINDOW).lines == expected
    assert all('logStreamNames' not in one for one in params(fake))
