"""Reads of [a, b) and of [b, c) give exactly the records of [a, c); a read that ended early gives the first of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlogs_reader.errors import FlowLogsError
from flowlogs_reader.sources.base import BaseReader
from tests import traffic
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log, Place

FIRST = 1454324362  # the start of the first line
SECONDS = 8
LINES = list(traffic.lines(40 * SECONDS, per_second=40))
LOGS = {
    'cloudwatch': Log(LINES),
    's3 default': Log(LINES, max_lines=20, in_order=False),
    # The records out of order: a file is read as it is.
    'file plain': Log(random.Random(1).sample(LINES, len(LINES))),
}
THREADS = (0, 1, 8)
ONE_TRY = {'config': Config(retries={'total_max_attempts': 1})}


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=FIRST, milliseconds=ms)


@pytest.fixture(scope='module')
def aws() -> Iterator[FakeAWS]:
    with FakeAWS() as fake:
        fake.logs.page_events = 30
        fake.s3.page_keys = 4
        yield fake


@pytest.fixture(scope='module')
def places(aws: FakeAWS, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    path = tmp_path_factory.mktemp('resume')
    return {road: ROADS[road].lay(log, aws, path) for road, log in LOGS.items()}


def make_client(aws: FakeAWS, service: str) -> Any:
    import boto3

    keys = {'aws_access_key_id': 'AKIAFAKEFAKEFAKEFAKE', 'aws_secret_access_key': 'secret'}
    return boto3.client(service, region_name='us-east-1', endpoint_url=aws.url, config=ONE_TRY['config'], **keys)


@pytest.fixture(scope='module')
def clients(aws: FakeAWS) -> dict[str, Any]:
    """One client for each service: to make one takes longer than to read with it."""
    return {service: make_client(aws, service) for service in ('logs', 's3')}


Open = Callable[[str, int, int, int], AbstractContextManager[BaseReader]]


@pytest.fixture(scope='module')
def open_reader(places: dict[str, Place], clients: dict[str, Any]) -> Open:
    """Opens the reader of a window along a road; the window is in milliseconds from the first line on."""
    return lambda road, threads, start, end: places[road].reader(
        clients, start_time=at(start), end_time=at(end), thread_count=threads
    )


def lines_of(opened: AbstractContextManager[BaseReader]) -> list[bytes]:
    with opened as reader:
        return b''.join(block.data for block in reader.blocks()).splitlines()


# Times around the records. Cuts on whole seconds, when most records start, are as likely as others.
moments = st.one_of(st.integers(-2, SECONDS + 2).map(lambda seconds: seconds * 1000), st.integers(-2_000, 10_000))


@pytest.mark.parametrize('threads', THREADS)
@pytest.mark.parametrize('road', LOGS)
@given(cuts=st.lists(moments, min_size=3, max_size=5, unique=True).map(sorted))
@example(cuts=[0, 1000, 2000, 8000])
@settings(max_examples=12)
def test_neighbouring_windows_together_are_the_whole(
    road: str, threads: int, open_reader: Open, cuts: list[int]
) -> None:
    parts = [lines_of(open_reader(road, threads, *bounds)) for bounds in pairwise(cuts)]
    whole = lines_of(open_reader(road, threads, cuts[0], cuts[-1]))
    expected = [line for line in LINES if cuts[0] <= (int(line.split()[10]) - FIRST) * 1000 < cuts[-1]]
    assert sorted(line for part in parts for line in part) == sorted(whole) == sorted(expected)
    if road == 'cloudwatch':
        assert [line for part in parts for line in part] == whole == expected


@pytest.mark.parametrize('threads', THREADS)
@given(fails_at=st.integers(1, 14), kind=st.sampled_from(['deny', '500', 'half_json', 'expire_token']))
@settings(max_examples=20)
def test_an_interrupted_read_never_goes_beyond_a_gap_and_can_be_resumed(
    threads: int, aws: FakeAWS, open_reader: Open, fails_at: int, kind: str
) -> None:
    """Any one of the requests that are sent at the same time may fail."""
    whole = SECONDS * 1000
    fault = aws.fault('FilterLogEvents', kind, at=fails_at, times=10_000)
    found: list[bytes] = []
    with open_reader('cloudwatch', threads, 0, whole) as reader:
        try:
            for block in reader.blocks():
                found += block.data.splitlines()
        except (ClientError, FlowLogsError):
            pass
        finally:
            aws.clear_faults()
    assert found == LINES[: len(found)]
    assert reader.complete_until is not None
    until = reader.complete_until - FIRST * 1000
    assert bool(fault.hits) == (until < whole)
    assert found + lines_of(open_reader('cloudwatch', threads, until, whole)) == LINES
