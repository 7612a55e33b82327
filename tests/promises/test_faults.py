"""Every fault that the fake AWS can make, over every source and number of threads: the output is complete and the exit
status 0, or it is complete up to a time that one line names, together with how to go on from there, and the status 1.
"""

from __future__ import annotations

import gzip
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from tests import traffic
from tests.conftest import Cli, Result
from tests.fake.aws import FakeAWS, s3_objects
from tests.fake.wire import Call, Reply

LINES = list(traffic.lines(480, per_second=20))  # 24 seconds
TEXTS = [line.decode() for line in LINES]
START, END = '2016-02-01T10:59:00Z', '2016-02-01T11:30:00Z'
FIELDS = ' '.join(traffic.FIELDS)
THREADS = (0, 1, 4, 8)
PASSING, LASTING, LATE = {3}, range(4, 10_000), range(12, 10_000)
HALF_HOUR = list(traffic.lines(1440, per_second=1))[::3]  # for S3, whose objects hold five minutes
PAGED = lambda params: 'nextToken' in params  # noqa: E731
COMPLETE, RESUMED, LACKING = 'complete', 'resumed', 'lacking'


class Case(NamedTuple):
    """A fault, the calls that have it, and how the read ends: complete, up to a time, or without some objects."""

    kind: str
    at: Any
    ends: str
    says: str = ''
    seconds: float = 0.0
    times: int | None = None
    operation: str = 'FilterLogEvents'

    def __str__(self) -> str:
        how = 'passing' if self.at is PASSING or self.times else 'lasting'
        return f'{self.kind}-{how}' if self.operation == 'FilterLogEvents' else f'{self.operation}-{self.kind}-{how}'


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
    Case('nothing', PASSING, COMPLETE),
    Case('nothing', LASTING, RESUMED, 'an unreadable page of flowlogs'),
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


def on(operation: str, *cases: Case) -> list[Case]:
    return [case._replace(operation=operation) for case in cases]


S3_PAGED = lambda params: 'ContinuationToken' in params  # noqa: E731
OBJECTS = s3_objects(HALF_HOUR, max_lines=40)
KEYS = sorted(OBJECTS)
ONE_KEY = lambda params: params['Key'] == KEYS[1]  # noqa: E731
IN_KEY_ORDER = [line for key in KEYS for line in gzip.decompress(OBJECTS[key]).decode().splitlines()[1:]]
S3 = [
    *on(
        'ListObjectsV2',
        Case('throttle', PASSING, COMPLETE),
        Case('throttle', LASTING, RESUMED, 'AWS is throttling'),
        Case('500', PASSING, COMPLETE),
        Case('500', LASTING, RESUMED, 'InternalError'),
        Case('503', PASSING, COMPLETE),
        Case('503', LASTING, RESUMED, 'AWS is not available'),
        Case('drop', PASSING, COMPLETE),
        Case('drop', LASTING, RESUMED, 'AWS cannot be reached'),
        Case('cut', PASSING, COMPLETE),
        Case('half_json', PASSING, COMPLETE),
        Case('nothing', PASSING, COMPLETE),
        Case('nothing', LASTING, RESUMED, 'S3 gave an unreadable list'),
        Case('stall', PASSING, COMPLETE, seconds=0.2),
        Case('repeat_token', S3_PAGED, RESUMED, 'the same page token twice'),
        Case('loop_tokens', S3_PAGED, RESUMED, 'the same page token twice'),
        Case('expire_token', S3_PAGED, RESUMED, 'continuation token'),
        Case('expire_credentials', LASTING, RESUMED, 'the credentials have expired'),
        Case('empty_pages', PASSING, COMPLETE),
        Case('deny', LASTING, RESUMED, 'not allowed'),
    ),
    *on(
        'GetObject',
        Case('throttle', PASSING, COMPLETE),
        Case('throttle', LATE, RESUMED, 'AWS is throttling'),
        Case('500', PASSING, COMPLETE),
        Case('500', LATE, RESUMED, 'InternalError'),
        Case('503', PASSING, COMPLETE),
        Case('503', LATE, RESUMED, 'AWS is not available'),
        Case('drop', PASSING, COMPLETE),
        Case('drop', LATE, RESUMED, 'AWS cannot be reached'),
        Case('cut', PASSING, COMPLETE),
        Case('cut', ONE_KEY, LACKING, 'the connection broke'),
        Case('half_json', ONE_KEY, LACKING, 'the connection broke'),
        Case('nothing', PASSING, COMPLETE),
        Case('nothing', ONE_KEY, LACKING, 'the connection broke'),
        Case('stall', PASSING, COMPLETE, seconds=0.2),
        Case('expire_credentials', LATE, RESUMED, 'the credentials have expired'),
        Case('deny', ONE_KEY, LACKING, 'not allowed'),
        Case('vanish', ONE_KEY, LACKING, 'the object went away'),
        Case('change_object', ONE_KEY, COMPLETE),
    ),
]


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits retries to two attempts, which makes the tests fast."""
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '2')


@pytest.fixture
def flowlogs(fake: FakeAWS) -> FakeAWS:
    """A log group of 480 records in pages of 25, a second of traffic and a bit; and the same in a bucket."""
    fake.add_log_group('flowlogs', lines=LINES)
    fake.logs.page_events = 25
    fake.add_bucket('flowlogs', objects=OBJECTS)
    fake.s3.page_keys = 3
    return fake


def where_to_go_on(result: Result) -> str | None:
    """The time in the error line from which to go on; None if there was no output."""
    (line,) = result.stderr.splitlines()
    assert line.startswith('flowlogs_reader: ')
    found = re.search(r'; the output is complete up to (\S+?)(:| and .*:) go on from there with -s (\S+)$', line)
    if not found:
        assert bool(result.stdout) == line.endswith('; the output holds a part of the records: read them again')
        return None
    assert found[1] == found[3]
    return found[1]


def runner(cli: Cli, location: str, threads: int) -> Callable[..., Result]:
    def run(*argv: str, location: str = location, status: int = 0) -> Result:
        return cli(location, '-e', END, '--thread-count', str(threads), *argv, status=status)

    return run


def mend(fake: FakeAWS) -> None:
    fake.clear_faults()
    fake.sts.expired.clear()


@pytest.mark.parametrize('threads', THREADS)
@pytest.mark.parametrize('case', CLOUDWATCH, ids=str)
def test_cloudwatch(case: Case, threads: int, flowlogs: FakeAWS, cli: Cli) -> None:
    run = runner(cli, 'flowlogs', threads)
    fault = flowlogs.fault(case.operation, case.kind, case.at, case.times, seconds=case.seconds)
    result = run('--fields', FIELDS, '-s', START, status=case.ends != COMPLETE)
    assert fault.hits
    if case.ends == COMPLETE:
        assert result.lines == TEXTS
        assert result.stderr == ''
        return
    assert case.says in result.stderr
    mend(flowlogs)
    rest = run('--fields', FIELDS, '-s', where_to_go_on(result) or START)
    assert result.lines + rest.lines == TEXTS  # where it does not say where to go on, nothing came out


@pytest.mark.parametrize('threads', THREADS)
@pytest.mark.parametrize('case', S3, ids=str)
def test_s3(case: Case, threads: int, flowlogs: FakeAWS, cli: Cli) -> None:
    """Objects have records of several minutes in no order: the output ends with an object, not at a time."""
    run = runner(cli, 's3://flowlogs', threads)
    fault = flowlogs.fault(case.operation, case.kind, case.at, case.times, seconds=case.seconds)
    result = run('-s', START, status=case.ends != COMPLETE)
    assert fault.hits
    if case.ends == COMPLETE:
        assert (result.lines, result.stderr) == (IN_KEY_ORDER, '')
        return
    assert case.says in result.stderr
    mend(flowlogs)
    if case.ends == LACKING:
        (key,) = re.findall('^flowlogs_reader: (s3://.*?): ', result.stderr, re.M)
        lacking = run('-s', START, location=key)
        assert [line for line in IN_KEY_ORDER if line in result.lines] == result.lines
        assert set(result.lines) | set(lacking.lines) == set(IN_KEY_ORDER)
        return
    assert IN_KEY_ORDER[: len(result.lines)] == result.lines
    until = where_to_go_on(result)
    # With threads, the fault may be in one of the first objects: then there is no time from which to go on.
    assert until or threads > 1 or case.operation != 'GetObject'
    # The last object holds later records too.
    assert not until or f'{until} and holds some of what starts later; drop that: go on' in result.stderr
    before = [line for line in result.lines if until and int(line.split()[10]) < unix(until)]
    assert Counter(before + run('-s', until or START).lines) == Counter(IN_KEY_ORDER)


def unix(text: str) -> float:
    return datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()


def test_an_object_that_changes_while_it_is_read_is_not_glued_together(flowlogs: FakeAWS, cli: Cli) -> None:
    run = runner(cli, 's3://flowlogs', 1)
    flowlogs.fault('GetObject', 'cut', ONE_KEY, times=1)
    flowlogs.fault('GetObject', 'change_object', lambda params: ONE_KEY(params) and 'Range' in params)
    result = run('-s', START, status=1)
    assert 'At least one of the pre-conditions you specified did not hold' in result.stderr
    assert result.stderr.count('\n') == 1
    assert Counter(result.lines) <= Counter(IN_KEY_ORDER)


def test_an_s3_that_stalls_in_the_middle_of_objects(
    flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, two_minutes: None
) -> None:
    """The rest of one object is requested again; the next objects would take as long."""
    monkeypatch.setattr('flowlogs_reader.aws.session.READ_TIMEOUT', 1)
    handle, ended = flowlogs.s3.handle, threading.Event()

    class Stalled(Reply):
        size = 1000

        def __init__(self) -> None:
            super().__init__(parts=self.nothing(), headers={'ETag': '"x"'})  # type: ignore[arg-type]

        def nothing(self) -> Iterator[bytes]:
            ended.wait()
            yield b''

    monkeypatch.setattr(
        flowlogs.s3, 'handle', lambda call: Stalled() if call.operation == 'GetObject' else handle(call)
    )
    result = runner(cli, 's3://flowlogs', 1)('-s', START, status=1)
    ended.set()
    assert f'Read timeout on endpoint URL: "s3://flowlogs/{KEYS[0]}": AWS cannot be reached' in result.stderr
    assert (result.stderr.count('\n'), flowlogs.count('GetObject')) == (1, 3)


@pytest.mark.parametrize('action', ['ipset', 'aggregate', 'top', 'timeline'])
def test_what_was_read_before_an_error_is_summed_up(action: str, flowlogs: FakeAWS, cli: Cli) -> None:
    run = runner(cli, 'flowlogs', 1)
    flowlogs.fault('FilterLogEvents', 'deny', LASTING)
    result = run(action, '--fields', FIELDS, '-s', START, status=1)
    mend(flowlogs)
    until = where_to_go_on(result)
    assert until
    beginning = cli('flowlogs', action, '--fields', FIELDS, '-s', START, '-e', until)
    assert result.stdout
    if action != 'timeline':  # which has a row for every minute asked for
        assert result.stdout == beginning.stdout


# -- answers that are not from AWS -------------------------------------------------------------------------------------

EVENT = {'timestamp': 1454324362000, 'message': 'x', 'eventId': '1'}
ANSWERS = {
    'not an object': [b'null', b'[]', b'5', b'"x"', b'<html>', b'\xff\xfe', b'', b'[' * 100_000],
    'not events': [b'{"events":%b}' % value for value in (b'5', b'"x"', b'{}', b'[1]', b'[null]', b'null')],
    'no message': [b'{"events":[{"timestamp":5,"eventId":"1"}]}', b'{"events":[{"message":null,"timestamp":5}]}'],
    'no time': [
        b'{"events":[{"message":"x","eventId":"1","timestamp":%b}]}' % time
        for time in (b'"5"', b'[5]', b'-5', b'9' * 30, b'9' * 5000, b'null')
    ],
    'no token': [b'{"events":[],"nextToken":%b}' % token for token in (b'5', b'["a"]', b'{}')],
}


@pytest.mark.parametrize('kind', ANSWERS)
def test_an_answer_that_is_not_from_aws(kind: str, fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('flowlogs_reader.aws.session.UNREADABLE_ATTEMPTS', 1)
    for body in ANSWERS[kind]:
        monkeypatch.setattr(fake.logs, 'handle', lambda call, body=body: Reply([body]))
        result = cli('flowlogs', '-s', START, status=1)
        assert 'CloudWatch Logs gave an unreadable page of flowlogs' in result.stderr, body
        assert result.stdout == b''


@pytest.mark.parametrize('headers', [{'Content-Encoding': 'gzip'}, {'X-Amzn-Trace': 'x'}])
@pytest.mark.parametrize('operation', ['DescribeFlowLogs', 'ListObjectsV2'])
def test_a_page_of_a_proxy_is_reported(
    operation: str, headers: dict[str, str], flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, argv = {'DescribeFlowLogs': ('ec2', '--list'), 'ListObjectsV2': ('s3', 's3://flowlogs')}[operation]
    monkeypatch.setattr('flowlogs_reader.aws.session.UNREADABLE_ATTEMPTS', 1)
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    page = b'<html><body>Please sign in<br>' + b'x' * 10_000 + b'</body></html>'
    monkeypatch.setattr(getattr(flowlogs, service), 'handle', lambda call: Reply([page], headers=headers))
    result = cli(argv, *(() if argv == '--list' else ('-s', START)), status=1)
    assert result.stderr.count('\n') == 1
    # The page is not told.
    assert len(result.stderr) < 500


@pytest.mark.parametrize('status', [200, 204, 302])
def test_a_page_of_a_proxy_is_not_an_object(
    status: int, flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('flowlogs_reader.aws.session.UNREADABLE_ATTEMPTS', 1)
    handle = flowlogs.s3.handle
    page = Reply([b'<html><body>Please sign in</body></html>' if status == 200 else b''], status)
    monkeypatch.setattr(flowlogs.s3, 'handle', lambda call: page if call.operation == 'GetObject' else handle(call))
    result = cli('s3://flowlogs', '-s', START, status=1)
    assert result.stdout == b''
    assert result.stderr.count('the answer is cut off, or not from AWS') == len(OBJECTS)


def test_a_server_that_begins_anew_when_asked_to_go_on(flowlogs: FakeAWS, cli: Cli) -> None:
    """S3-compatible stores may not know Range."""
    flowlogs.fault('GetObject', 'cut', ONE_KEY, times=1)
    handle = flowlogs.s3.handle

    def whole(call: Call) -> Reply:
        call.params.pop('Range', None)
        return handle(call)

    flowlogs.s3.handle = whole  # type: ignore[method-assign]
    result = runner(cli, 's3://flowlogs', 1)('-s', START, status=1)
    assert 'the answer is not the requested rest of the object' in result.stderr
    assert Counter(result.lines) <= Counter(IN_KEY_ORDER)


@pytest.mark.parametrize('trouble', ['deny', 'expire_token'])
def test_a_moment_of_more_events_than_memory_should_hold(
    trouble: str, fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('flowlogs_reader.sources.cloudwatch.ordering.MAX_HELD', 1000)
    monkeypatch.setattr('flowlogs_reader.sources.cloudwatch.reader.REMEMBERED_IDS', 10)
    lines = list(traffic.lines(300))
    fake.add_log_group('flowlogs', lines=lines, timestamp=lambda line: 1454324362000)
    fake.logs.page_events = 20
    text = b''.join(line + b'\n' for line in lines)
    window = ('-s', '2016-02-01', '-e', '2016-02-02', '--thread-count', '1', '--fields', ' '.join(traffic.FIELDS))
    fake.fault('FilterLogEvents', trouble, at=12, times=1)
    if trouble == 'expire_token':
        assert cli('flowlogs', *window).stdout == text
        return
    result = cli('flowlogs', *window, status=1)
    assert text.startswith(result.stdout) and result.stdout
    assert 'complete up to 2016-02-01T10:59:22Z and holds some of what starts then; drop that' in result.stderr
