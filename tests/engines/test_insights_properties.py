"""Properties: whatever the lines and the question, CloudWatch Logs Insights and the local engine agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import BytesIO, StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlogs_reader.cli.main import main
from tests.conftest import NOW
from tests.engines.matrix import START, ordered
from tests.fake.aws import FakeAWS

NAMES = (f'flows{number}' for number in itertools.count())
ADDRESSES = st.sampled_from(['10.0.0.1', '10.0.0.2', '10.1.0.1', '8.8.8.8', '2600:1f18:0:0:0:0:0:5', '::1', '-', 'x'])
PORTS = st.sampled_from(['0', '22', '443', '65535', '-', '007'])
COUNTS = st.sampled_from(['0', '1', '40', '-', '-', '12345678901234', '1234567890123456'])
TIMES = st.builds(lambda at: f'{START + at}', st.integers(0, 99)) | st.sampled_from(['-', f'{START + 50}000', '5'])
WORDS = st.sampled_from(['ACCEPT OK', 'REJECT OK', '- NODATA', '- SKIPDATA', 'ACCEPT SKIPDATA', '- -', 'ACCEPT new'])
FIELDS = (
    st.sampled_from(['2', '-', '02']), st.sampled_from(['123456789010', '-']), st.sampled_from(['eni-1', 'eni-2', '-']),
    ADDRESSES, ADDRESSES, PORTS, PORTS, st.sampled_from(['6', '17', '-']), COUNTS, COUNTS, TIMES, TIMES, WORDS,
)  # fmt: skip
# What makes a line odd; most lines are left as they are.
BREAKS = st.sampled_from(
    [
        *[lambda line: line] * 6,
        lambda line: line + '\r',
        lambda line: line.replace(' ', '  ', 1),
        lambda line: line + ' more',
        lambda line: line.rpartition(' ')[0],
        lambda line: 'é' + line,
    ]
)
LINES = st.lists(
    st.builds(lambda line, change: change(' '.join(line)).encode(), st.tuples(*FIELDS), BREAKS), min_size=1, max_size=20
)
CONDITIONS = st.sampled_from([
    'srcaddr=10.0.0.0/16', 'srcaddr!=10.0.0.1', 'addr=10.0.0.1,::1', 'addr!=2600::/16', 'dstaddr=-', 'dstaddr!=-',
    'dstport=22', 'dstport!=22,443', 'port<443', 'port=-', 'bytes>=40', 'bytes<40', 'packets=-,0', 'packets!=-',
    'action=REJECT', 'action!=ACCEPT', 'action=-', 'log_status=OK', 'interface_id=eni-1', 'protocol=tcp',
    'end>1454324400', 'version!=2', 'srcaddr=private', 'dstport<srcport', 'packets!=bytes', 'port>=protocol',
    'srcaddr!=dstaddr', 'srcaddr/class=dstaddr/class', 'start<end',
])  # fmt: skip
KEYS = st.sampled_from(
    ['srcaddr', 'dstaddr/16', 'srcaddr/24', 'dstport', 'protocol', 'action', 'interface_id', 'log_status']
)
COMMANDS = st.one_of(
    st.builds(lambda keys: ['top', '50', *keys], st.lists(KEYS, min_size=1, max_size=3, unique=True)),
    st.builds(lambda keys: ['aggregate', *keys, '--flows'], st.lists(KEYS, min_size=1, max_size=3, unique=True)),
    st.builds(lambda length: ['timeline', f'{length}s'], st.integers(1, 200)),
    st.sampled_from([
        ['ipset'], ['findip', '10.0.0.0/24', '::1'], ['aggregate', '--both-ways', '--flows'], ['top', 'addr'],
        ['top', 'srcaddr', '--distinct', 'dstport'], ['print', '-w', 'version=2', '--raw'],
    ]),
)  # fmt: skip
WINDOWS = st.builds(
    lambda first, length: ['-s', f'{START + first}', '-e', f'{START + first + length}'],
    st.integers(-5, 60), st.integers(1, 120),
)  # fmt: skip


@pytest.fixture(scope='module')
def logs() -> Iterator[FakeAWS]:
    with FakeAWS() as fake, pytest.MonkeyPatch.context() as patch:
        fake.retry_after_ms = 0
        for name, value in fake.environ('us-east-1').items():
            patch.setenv(name, value)
        yield fake


def event_time(line: bytes) -> int:
    """AWS dates an event by the start of its record; what is none is dated somehow."""
    values = line.split()
    start = values[10].decode() if len(values) > 10 else ''
    if not (start.isascii() and start.isdigit()):
        return (START + 30) * 1000
    return int(start) if int(start) > 2**31 else int(start) * 1000


def asked(*argv: str) -> tuple[int, list[str], list[str]]:
    stdout, stderr = BytesIO(), StringIO()
    status = main(argv, None, stdout, stderr, NOW)
    # Which line was the first to be left out depends on the order of lines.
    told = [line for line in stderr.getvalue().splitlines() if 'left out: ' in line or 'SKIPDATA' in line]
    return status, stdout.getvalue().decode().splitlines(), told


@settings(max_examples=40, deadline=None)
@given(lines=LINES, command=COMMANDS, conditions=st.lists(CONDITIONS, max_size=2), window=WINDOWS, null=st.booleans())
def test_the_engines_agree(
    logs: FakeAWS, lines: list[bytes], command: list[str], conditions: list[str], window: list[str], null: bool
) -> None:
    name = next(NAMES)
    logs.add_log_group(name, lines=lines, timestamp=event_time, stream=lambda line: 'eni-1-all')
    logs.logs.insights.unknown = 'null' if null else 'false'
    argv = [name, *command, *window, '--no-header', *(word for each in conditions for word in ('-w', each))]
    # Conditions that CloudWatch Logs applies leave odd lines out: then these are not counted.
    local = asked(*argv, '--no-pushdown')
    remote = asked(*argv, '--engine', 'insights')
    assert not logs.logs.insights.running
    del logs.logs.groups['123456789010', 'us-east-1', name]
    if not ordered(command):
        local[1].sort(), remote[1].sort()
    assert remote == local
