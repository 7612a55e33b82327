"""Reads of [a, b) and of [b, c) give exactly the records of [a, c); a read that ended early gives the first of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowlogs_reader import FileFlowLogsReader, FlowLogsReader, S3FlowLogsReader
from flowlogs_reader.errors import FlowLogsError
from flowlogs_reader.sources.base import BaseReader
from tests import traffic
from tests.fake.aws import FakeAWS, s3_objects

FIRST = 1454324362  # the start of the first line
SECONDS = 8
LINES = list(traffic.lines(40 * SECONDS, per_second=40))
SOURCES = ('cloudwatch', 's3', 'file')
THREADS = (0, 1, 8)
ONE_TRY = {'config': Config(retries={'total_max_attempts': 1})}


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=FIRST, milliseconds=ms)


@pytest.fixture(scope='module')
def aws() -> Iterator[FakeAWS]:
    with FakeAWS() as fake:
        fake.add_log_group('flowlogs', lines=LINES)
        fake.logs.page_events = 30
        fake.add_bucket('flowlogs', objects=s3_objects(LINES, max_lines=20))
        fake.s3.page_keys = 4
        yield fake


@pytest.fixture(scope='module')
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records out of order: a file is read as it is."""
    path = tmp_path_factory.mktemp('resume') / 'flows.log'
    shuffled = random.Random(1).sample(LINES, len(LINES))
    path.write_bytes(b''.join(line + b'\n' for line in shuffled))
    return path


def make_client(aws: FakeAWS, service: str) -> Any:
    import boto3

    keys = {'aws_access_key_id': 'AKIAFAKEFAKEFAKEFAKE', 'aws_secret_access_key': 'secret'}
    return boto3.client(service, region_name='us-east-1', endpoint_url=aws.url, config=ONE_TRY['config'], **keys)


@pytest.fixture(scope='module')
def clients(aws: FakeAWS) -> dict[str, Any]:
    """One client for each service: to make one takes longer than to read with it."""
    return {service: make_client(aws, service) for service in ('logs', 's3')}


def open_reader(source: str, threads: int, file: Path, clients: dict[str, Any], start: int, end: int) -> BaseReader:
    window = {'start_time': at(start), 'end_time': at(end), 'thread_count': threads}
    if source == 'file':
        return FileFlowLogsReader(file, **window)
    if source == 's3':
        return S3FlowLogsReader('flowlogs', boto_client=clients['s3'], exact_window=True, **window)
    return FlowLogsReader('flowlogs', boto_client=clients['logs'], **window)


def lines_of(reader: BaseReader) -> list[bytes]:
    return b''.join(block.data for block in reader.blocks()).splitlines()


# Around the records, with cuts on whole seconds, where most records are, as likely as between them.
moments = st.one_of(st.integers(-2, SECONDS + 2).map(lambda seconds: seconds * 1000), st.integers(-2_000, 10_000))


@pytest.mark.parametrize('threads', THREADS)
@pytest.mark.parametrize('source', SOURCES)
@given(cuts=st.lists(moments, min_size=3, max_size=5, unique=True).map(sorted))
@example(cuts=[0, 1000, 2000, 8000])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neighbouring_windows_together_are_the_whole(
    source: str, threads: int, file: Path, clients: dict[str, Any], cuts: list[int]
) -> None:
    parts = [lines_of(open_reader(source, threads, file, clients, *bounds)) for bounds in pairwise(cuts)]
    whole = lines_of(open_reader(source, threads, file, clients, cuts[0], cuts[-1]))
    expected = [line for line in LINES if cuts[0] <= (int(line.split()[10]) - FIRST) * 1000 < cuts[-1]]
    assert sorted(line for part in parts for line in part) == sorted(whole) == sorted(expected)
    if source == 'cloudwatch':
        assert [line for part in parts for line in part] == whole == expected


@pytest.mark.parametrize('threads', THREADS)
@given(fails_at=st.integers(1, 14), kind=st.sampled_from(['deny', '500', 'half_json', 'expire_token']))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_interrupted_read_never_goes_beyond_a_gap_and_can_be_resumed(
    threads: int, aws: FakeAWS, file: Path, clients: dict[str, Any], fails_at: int, kind: str
) -> None:
    """With whatever request fails of those that are under way at a time."""
    whole = SECONDS * 1000
    fault = aws.fault('FilterLogEvents', kind, at=fails_at, times=10_000)
    reader = open_reader('cloudwatch', threads, file, clients, 0, whole)
    found: list[bytes] = []
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
    assert found + lines_of(open_reader('cloudwatch', threads, file, clients, until, whole)) == LINES
