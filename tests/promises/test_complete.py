"""A read of the library is complete, or it ends with an exception: for any files and objects, whatever is wrong."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from flowlogs_reader import (
    DamagedError,
    FileFlowLogsReader,
    FlowLogsError,
    IncompleteError,
    S3FlowLogsReader,
    aggregated_records,
)
from flowlogs_reader.sources.base import BaseReader
from tests import traffic
from tests.fake.aws import FakeAWS, s3_objects

WINDOW = {'start_time': datetime(2016, 2, 1, 10), 'end_time': datetime(2016, 2, 1, 13)}
# A quarter of an hour of records in ten objects.
OBJECTS = s3_objects(traffic.lines(500, per_second=1), max_lines=60)
KEYS = sorted(OBJECTS)
REFUSED = {'denied': 'AccessDenied', 'archived': 'InvalidObjectState', 'gone': 'NoSuchKey'}
# A failure is not shrunk: that would take minutes.
few = settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])


class State(NamedTuple):
    """The state of an object: whole, refused by AWS, or damaged: only its first `size` bytes are left."""

    kind: str
    size: int = 0

    def text(self, body: bytes) -> bytes:
        """What can be read of it, by zlib alone."""
        if self.kind in REFUSED:
            return b''
        if self.kind == 'noise':
            return b''
        member = zlib.decompressobj(31)
        return member.decompress(self.body(body)) + member.flush()

    def lines(self, body: bytes) -> list[bytes]:
        """Its whole lines, without the header row."""
        return self.text(body).split(b'\n')[1:-1]

    def body(self, body: bytes) -> bytes:
        if self.kind == 'noise':
            return bytes(range(256)) * 4
        # Fewer than 4 bytes are not detected as gzip; without the last 8 bytes gzip data is damaged in any case.
        return body[: 4 + self.size % (len(body) - 8)] if self.kind == 'damaged' else body


states = st.lists(
    st.just(State('good'))
    | st.sampled_from([State('denied'), State('archived'), State('gone'), State('noise')])
    | st.builds(State, st.just('damaged'), st.integers(0, 1 << 16)),
    min_size=len(KEYS),
    max_size=len(KEYS),
)
one_bad = st.tuples(st.sampled_from(range(len(KEYS))), st.integers(0, 1 << 16), st.sampled_from([*REFUSED, 'damaged']))
few_bad = one_bad.map(lambda bad: [State(bad[2], bad[1]) if at == bad[0] else State('good') for at in range(len(KEYS))])
all_good = st.just([State('good')] * len(KEYS))
any_states = states | few_bad | all_good
threads = st.sampled_from([0, 1, 2, 4, 9])


def in_bucket(fake: FakeAWS, path: Path, states: list[State], thread_count: int, **more: Any) -> BaseReader:
    fake.clear_faults()
    fake.add_bucket('logs')
    for key, state in zip(KEYS, states):
        options: dict[str, Any] = {'storage_class': 'GLACIER'} if state.kind == 'archived' else {}
        fake.put_object('logs', key, state.body(OBJECTS[key]), denied=state.kind == 'denied', **options)
    gone = {key for key, state in zip(KEYS, states) if state.kind == 'gone'}
    fake.fault('GetObject', 'vanish', at=lambda params: params['Key'] in gone)
    return S3FlowLogsReader('logs', thread_count=thread_count, **WINDOW, **more)


def in_directory(fake: FakeAWS, path: Path, states: list[State], thread_count: int, **more: Any) -> BaseReader:
    for key, state in zip(KEYS, states):
        file = path / key.rpartition('/')[2]
        file.unlink(missing_ok=True)
        if state.kind in REFUSED:
            # Not even root can read a link to itself.
            file.symlink_to(file.name)
        else:
            file.write_bytes(state.body(OBJECTS[key]))
    return FileFlowLogsReader(path, thread_count=thread_count, **more)


Open = Callable[..., BaseReader]
roads = pytest.mark.parametrize('open_reader', [in_bucket, in_directory])


@roads
@few
@given(states=any_states, thread_count=threads)
def test_what_can_be_read_comes_out_and_an_exception_reports_the_rest(
    open_reader: Open, states: list[State], thread_count: int, fake: FakeAWS, tmp_path: Path
) -> None:
    reader = open_reader(fake, tmp_path, states, thread_count)
    found: list[bytes] = []
    error: Exception | None = None
    try:
        for record in reader:
            found.append(record.to_message().encode())
    except Exception as raised:
        error = raised
    assert found == [line for key, state in zip(KEYS, states) for line in state.lines(OBJECTS[key])]
    bad = [(key, state) for key, state in zip(KEYS, states) if state.kind != 'good']
    assert [key.rpartition('/')[2] in str(each) for (key, _), each in zip(bad, reader.unreadable, strict=True)] == (
        [True] * len(bad)
    )
    if not bad:
        assert error is None
    elif len(bad) > 1:
        assert isinstance(error, IncompleteError)
        assert error.unreadable == reader.unreadable
    elif bad[0][1].kind not in REFUSED:
        assert type(error) is DamagedError
    elif open_reader is in_bucket:
        assert isinstance(error, ClientError)
        assert error.response['Error']['Code'] == REFUSED[bad[0][1].kind]
    else:
        assert isinstance(error, FlowLogsError)


@roads
@few
@given(states=any_states, thread_count=threads, strict=st.booleans())
def test_it_is_the_same_for_sums_and_for_those_who_take_the_errors(
    open_reader: Open, states: list[State], thread_count: int, strict: bool, fake: FakeAWS, tmp_path: Path
) -> None:
    lines = [line.split() for key, state in zip(KEYS, states) for line in state.lines(OBJECTS[key])]
    is_bad = any(state.kind != 'good' for state in states)
    told: list[FlowLogsError] = []
    more: dict[str, Any] = {} if strict else {'on_unreadable': told.append}
    reader = open_reader(fake, tmp_path, states, thread_count, **more)
    octets, raised = 0, False
    try:
        for row in aggregated_records(reader, ['interface_id']):
            octets += row['bytes']
    except (FlowLogsError, ClientError):
        raised = True
    assert octets == sum(int(line[9]) for line in lines if line[9] != b'-')
    assert raised is (strict and is_bad)
    assert told == ([] if strict else reader.unreadable)
    assert bool(reader.unreadable) is is_bad


def test_the_objects_hold_what_they_should() -> None:
    """So that there is something to lose."""
    assert len(KEYS) >= 8
    assert sum(len(State('good').lines(OBJECTS[key])) for key in KEYS) == 500
    assert sum(bool(State('damaged', len(OBJECTS[key]) - 30).lines(OBJECTS[key])) for key in KEYS) >= 5
    assert gzip.decompress(OBJECTS[KEYS[0]]).startswith(b'version account-id')
