"""Several locations in one command: what each alone gives, one after the other; and sums over all of them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import random_vpc as vpc
from tests.conftest import MINUTE, SEED_REGION, Cli, Follow
from tests.fake.aws import FakeAWS, s3_objects
from tests.following import Steps, line, text
from tests.promises.test_asks import FLOWS, ROWS, WINDOW, class_of, top
from tests.roads import ROADS, Log, Place

# A road to each kind of source, and to each format: default fields without a header, version 5 with one.
PARTS = ('cloudwatch', 's3 hive', 's3 parquet', 'directory', 'file gzip', 'file parquet', 'stdin plain')
LINES = MINUTE.decode().splitlines()


def default_lines(rows: list[vpc.Row]) -> Log:
    names = [name.replace('-', '_') for name in Log([]).fields]
    return Log([' '.join(row[name] for name in names).encode() for row in rows])


@pytest.fixture
def parts(fake: FakeAWS, tmp_path: Path) -> list[Place]:
    """The records dealt out to all the roads: every second part has the default format."""
    shares = [ROWS[at :: len(PARTS)] for at in range(len(PARTS))]
    logs = [default_lines(rows) if at % 2 else vpc.log(rows) for at, rows in enumerate(shares)]
    return [ROADS[road].lay(log, fake, tmp_path) for road, log in zip(PARTS, logs)]


@pytest.fixture
def together(parts: list[Place], cli: Cli) -> Callable[..., list[str]]:
    words = [place.argv[0] for place in parts]
    return lambda *argv: cli(*words, *argv, *WINDOW, '--quiet', stdin=parts[-1].stdin).lines


def test_records_come_location_by_location(parts: list[Place], together: Callable[..., list[str]], cli: Cli) -> None:
    columns = '-c', 'start,srcaddr,dstaddr,bytes,vpc_id'
    each = [place.over(cli)(*WINDOW, *columns).lines for place in parts]
    assert [len(lines) for lines in each] == [len(ROWS[at :: len(PARTS)]) for at in range(len(PARTS))]
    everything = [row for rows in each for row in rows]
    assert together(*columns) == everything
    assert together('print', '200', *columns) == everything[:200]
    assert together('findip', '8.8.8.8', *columns) == [row for row in everything if ' 8.8.8.8 ' in row]


@pytest.mark.parametrize('more', [[], ['-w', 'dstaddr=internet']])
def test_sums_are_over_all(more: list[str], together: Callable[..., list[str]]) -> None:
    flows = [row for row in FLOWS if not more or class_of(row['dstaddr']) == 'internet']
    found = [line.replace('\t', ' ') for line in together('top', '20', 'dstaddr', 'protocol', '--no-header', *more)]
    assert found == top(flows, lambda row: f'{row["dstaddr"]} {row["protocol"]}', 20)


def test_other_tables_are_over_all(together: Callable[..., list[str]]) -> None:
    assert sum(int(line.split('\t')[1]) for line in together('timeline', '1m', '--no-header')) == len(FLOWS)
    addresses = {row[name] for row in ROWS for name in ('srcaddr', 'dstaddr')} - {'-'}
    assert sorted(together('ipset', '--no-header')) == sorted(addresses)
    rows = [json.loads(line) for line in together('aggregate', 'action', '-o', 'jsonl')]
    assert sum(row['bytes'] for row in rows) == sum(int(row['bytes']) for row in FLOWS)


# -- locations and actions ---------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files a.log, b.log.gz and c.log with one record each; files with names of actions."""
    monkeypatch.chdir(tmp_path)
    for name, at in (('a.log', 0), ('b.log.gz', 1), ('c.log', 2), ('top', 3), ('print', 4)):
        data = LINES[at].encode() + b'\n'
        Path(name).write_bytes(gzip.compress(data) if name.endswith('gz') else data)
    return tmp_path


@pytest.mark.parametrize(
    ('argv', 'places'),
    [
        (['a.log', 'b.log.gz', 'c.log'], [0, 1, 2]),
        (['c.log', 'a.log', 'print'], [2, 0]),
        (['c.log', 'a.log', 'print', '1'], [2]),
        (['-w', 'bytes>1', 'a.log', 'b.log.gz', 'print', '5'], [0, 1]),
        (['a.log', '-w', 'bytes>1', 'b.log.gz'], [0, 1]),
        (['a.log', 'findip', '103.246.150.154', '54.245.120.220'], [0]),
        (['top'], [3]),
        (['print', 'print'], [4]),
        (['top', 'print', '1'], [3]),
        (['a.log', './top', './print'], [0, 3, 4]),
        (['a.log', './top', 'print', '2'], [0, 3]),
    ],
    ids=str,
)
def test_the_words_up_to_the_first_action_are_locations(
    argv: list[str], places: list[int], files: Path, cli: Cli
) -> None:
    assert cli(*argv, '--quiet').lines == [LINES[place] for place in places]


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (['a.log', 'tpo'], "there is no action 'tpo': did you mean top? A location of this name comes first"),
        (['a.log', 'b.log.gz', 'timelin', '5m'], 'did you mean timeline?'),
        (['a.log', 'Top', 'srcaddr'], 'did you mean top?'),
        (['a.log', 'find-ip', '10.0.0.1'], 'did you mean findip?'),
        (['a.log', '5'], "'5' is not a location: did you forget print?"),
        (['a.log', 'srcaddr', 'dstport'], "'srcaddr' is not a location: did you forget top?"),
        (['a.log', 'addr/24,dstport'], 'did you forget top?'),
        (['a.log', '10.0.0.0/8'], "'10.0.0.0/8' is not a location: did you forget findip?"),
        (['a.log', '2001:db8::1', '10.0.0.1'], 'did you forget findip?'),
        (['a.log', 'a.log'], 'a.log is given twice'),
        (['a.log', './a.log', 'top'], './a.log is given twice'),
        (['a.log', 's3://b', 's3://b/'], 's3://b/ is given twice'),
        (['-', 'a.log', '-'], '- is given twice'),
        (['a.log', ''], 'LOCATION is empty'),
        (['a.log', 'https://b'], 'https:// is not a place'),
        (['a.log', 's3://b', '--follow'], '--follow does not go with a file'),
        (['a.log', 'b.log.gz', '--filter-pattern', 'x'], '--filter-pattern does not go with a file'),
    ],
    ids=str,
)
def test_words_that_are_not_locations(argv: list[str], says: str, files: Path, fake: FakeAWS, cli: Cli) -> None:
    assert says in cli(*argv, status=2).stderr.splitlines()[-1]
    assert fake.calls() == []


def test_a_file_whose_name_is_close_to_an_action_is_read(files: Path, cli: Cli) -> None:
    Path('tops').write_bytes(MINUTE)
    assert cli('a.log', 'tops', '--quiet').lines == [LINES[0], *LINES]


def test_scripts_for_one_log_group_go_on_working(seeded: FakeAWS, cli: Cli) -> None:
    """Command lines of flowlogs-reader 5.0.1."""
    window = ['-s', '2016-02-01 10:59:00', '-e', '2016-02-01 11:00:00', '--region', SEED_REGION]
    assert cli('VPCFlowLogGroup', 'print', '5', *window).lines == LINES[:5]
    wanted = ['54.245.120.220', '104.216.59.132']
    found = cli('VPCFlowLogGroup', *window, 'findip', *wanted)
    assert found.lines == [row for row in LINES if any(address in row for address in wanted)]
    assert len(cli('VPCFlowLogGroup', 'aggregate', 'srcaddr', *window).lines) == 5
    seeded.add_log_group('top', SEED_REGION, MINUTE.splitlines())
    assert cli('top', *window).lines == LINES
    assert cli('top', 'top', '1', *window, '--no-header').lines[0].startswith('4816')


# -- each on its own ---------------------------------------------------------------------------------------------------


def test_windows_are_each_ones_own(seeded: FakeAWS, files: Path, cli: Cli) -> None:
    """Without times, a file is read whole and a log group from an hour ago."""
    recent = cli('VPCFlowLogGroup', '--region', SEED_REGION).lines
    assert cli('a.log', 'VPCFlowLogGroup', 'c.log', '--region', SEED_REGION).lines == [LINES[0], *recent, LINES[2]]
    timeline = cli('a.log', 'VPCFlowLogGroup', 'timeline', '1h', '--region', SEED_REGION, '--no-header').lines
    assert sum(int(row.split('\t')[1]) for row in timeline) == 1 + len(recent)
    assert cli('a.log', 'VPCFlowLogGroup', '--region', SEED_REGION, '-s', '2016-02-01 11:00', '--for', '1h').lines == []


def test_an_arn_has_its_own_region(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('here', 'us-east-1', [line(-60, 1)])
    fake.add_log_group('there', 'eu-west-1', [line(-60, 2)])
    arn = 'arn:aws:logs:eu-west-1:123456789010:log-group:there'
    assert cli('here', arn, '--region', 'us-east-1').lines == [line(-60, 1).decode(), line(-60, 2).decode()]
    assert 'leave --region us-east-1 out' in cli(arn, '--region', 'us-east-1', status=2).stderr


def test_options_of_one_kind_of_location_are_for_those(seeded: FakeAWS, files: Path, cli: Cli) -> None:
    window = ['-s', '2016-02-01 10:59:00', '-e', '2016-02-01 11:00:00', '--region', SEED_REGION]
    found = cli('a.log', 'VPCFlowLogGroup', '--filter-pattern', 'REJECT', *window)
    assert found.lines == [LINES[0], LINES[10]]


FAILING = [
    ('nosuch', 'there is no log group nosuch in us-east-1'),
    ('s3://nosuch', 'check the name of the bucket'),
    ('./nosuch.log', './nosuch.log: No such file or directory'),
    ('damaged.log.gz', 'damaged.log.gz'),
    ('other.log', 'no line of other.log has the format'),
    ('denied', 'denied: An error occurred (AccessDeniedException)'),
]


@pytest.mark.parametrize('place', [0, 1, 2])
@pytest.mark.parametrize(('location', 'says'), FAILING, ids=[location for location, _ in FAILING])
@pytest.mark.parametrize('action', [[], ['top', 'srcport', '--no-header']], ids=['print', 'top'])
def test_one_that_fails_does_not_silence_the_others(
    action: list[str], location: str, says: str, place: int, files: Path, fake: FakeAWS, cli: Cli
) -> None:
    Path('damaged.log.gz').write_bytes(gzip.compress(MINUTE)[:-9])
    Path('other.log').write_bytes(b'1 2 3\n4 5 6\n')
    fake.add_log_group('denied', lines=[line(-60)])
    if location == 'denied':
        fake.deny('FilterLogEvents')
    sound = ['a.log', 'c.log']
    expected = cli(*sound, *action, '--quiet').stdout
    argv = [*sound[:place], location, *sound[place:]]
    found = cli(*argv, *action, '--quiet', status=1)
    if location == 'damaged.log.gz':
        # What can be read of it is read.
        assert len(found.stdout) >= len(expected)
    else:
        assert found.stdout == expected
    assert says in found.stderr
    assert found.stderr.count('\n') == 1


def test_all_fail(files: Path, cli: Cli) -> None:
    found = cli('./x.log', './y.log', 'top', status=1)
    assert found.stdout == b''
    assert [text.split(': ')[1] for text in found.stderr.splitlines()] == ['./x.log', './y.log']


def test_a_read_that_breaks_off_says_how_far_it_is_complete(fake: FakeAWS, files: Path, cli: Cli) -> None:
    lines = [line(at - 3000, at) for at in range(200)]
    fake.add_log_group('flows', lines=lines)
    fake.logs.page_events = 25
    fake.fault('FilterLogEvents', 'deny', at=3)
    found = cli('flows', 'a.log', '--thread-count', '1', status=1)
    *whole, last = found.lines
    assert 25 <= len(whole) < 75 and last == LINES[0]
    assert whole == [each.decode() for each in lines[: len(whole)]]
    assert 'flows: ' in found.stderr and 'the output has its records up to 2016-02-01T' in found.stderr


def test_messages_about_all_locations(files: Path, cli: Cli) -> None:
    assert cli('a.log', 'c.log', '-w', 'dstport=1').stderr == (
        'flowlogs_reader: no records: each of a.log, c.log was read completely\n'
    )
    assert 'no records: each of 4 locations was' in cli('a.log', 'c.log', './top', './print', '-w', 'dstport=1').stderr
    Path('odd.log').write_bytes(MINUTE + b'odd\n')
    assert cli('a.log', 'odd.log', 'top').stderr == (
        'flowlogs_reader: 1 line was left out: not records of this log format\n'
    )


def test_an_estimate_of_all_is_the_sum(fake: FakeAWS, cli: Cli) -> None:
    lines = [line(-60, number) for number in range(9)]
    fake.add_log_group('one', lines=lines)
    fake.add_bucket('two', objects=s3_objects(lines[:4]))
    group, bucket, both = (
        json.loads(cli(*places, '--estimate', '-o', 'jsonl').stdout)
        for places in (['one'], ['s3://two'], ['one', 's3://two'])
    )
    assert (group['bytes'], bucket['objects']) == (sum(map(len, lines)), 1)
    assert [both[name] for name in ('bytes', 'requests')] == [
        group[name] + bucket[name] for name in ('bytes', 'requests')
    ]
    assert both['objects'] is None


# -- where a record comes from -----------------------------------------------------------------------------------------


def test_the_location_of_each_record(parts: list[Place], together: Callable[..., list[str]], cli: Cli) -> None:
    plain = together('-c', 'start,bytes')
    found = [row.rsplit(' ', 1) for row in together('-c', 'start,bytes,location')]
    assert [values for values, _ in found] == plain
    at = 0
    for place, rows in zip(parts, [ROWS[at :: len(PARTS)] for at in range(len(PARTS))]):
        origins = {origin for _, origin in found[at : at + len(rows)]}
        location = 'standard%20input' if place.argv[0] == '-' else place.argv[0]
        assert all(origin.startswith(location) for origin in origins)
        at += len(rows)


def test_the_location_in_every_encoding(files: Path, cli: Cli) -> None:
    Path('a b%.log').write_bytes(MINUTE)
    argv = ['a.log', 'a b%.log', 'print', '2', '-c', 'location,dstport']
    assert cli(*argv).lines == ['a.log 443', 'a%20b%25.log 443']
    assert cli(*argv, '-o', 'csv', '--header').lines == ['location,dstport', 'a.log,443', 'a%20b%25.log,443']
    assert [json.loads(row) for row in cli(*argv, '-o', 'jsonl').lines] == [
        {'location': 'a.log', 'dstport': 443}, {'location': 'a%20b%25.log', 'dstport': 443},
    ]  # fmt: skip
    Path(os.fsdecode(b'\xff.log')).write_bytes(MINUTE)
    assert cli(os.fsdecode(b'\xff.log'), 'print', '1', '-c', 'location').lines == ['%FF.log']
    assert cli('c.log', '-c', 'location,default').lines == [f'c.log {LINES[2]}']
    own = cli('-', '--fields', 'location bytes', '-c', 'bytes,location', stdin=b'here 5\n')
    assert own.lines == ['5 here']


# -- follow ------------------------------------------------------------------------------------------------------------


def test_follow_polls_them_in_turn(fake: FakeAWS, following: Follow) -> None:
    fake.add_log_group('one', lines=[line(-60, 1)])
    fake.add_log_group('two', lines=[line(-90, 2)])
    clock = Steps(
        lambda: (fake.put_lines('two', [line(5, 3)]), fake.put_lines('one', [line(6, 4)])),
        lambda: None,
        lambda: fake.put_lines('two', [line(10, 5)]),
    )
    result = following(clock, 'one', 'two')
    assert result.stdout == text(line(-60, 1), line(-90, 2), line(6, 4), line(5, 3), line(10, 5))
    assert result.stderr == ''
    assert len(clock.slept) == 4


def test_follow_goes_on_without_one_that_fails(fake: FakeAWS, following: Follow) -> None:
    fake.add_log_group('one', lines=[line(-60, 1)])
    clock = Steps(lambda: fake.put_lines('one', [line(6, 4)]), lambda: None)
    result = following(clock, 'nosuch', 'one')
    assert result.stdout == text(line(-60, 1), line(6, 4))
    assert result.stderr.count('there is no log group nosuch') == 1
    assert 'no location is left to be followed' in following(Steps(), 'nosuch', 'neither', status=1).stderr


def test_follow_reads_all_again_after_a_passing_error(
    fake: FakeAWS, following: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    fake.add_log_group('one', lines=[line(-60, 1)])
    fake.add_log_group('other', lines=[line(-90, 2)])

    def trouble() -> None:
        fake.put_lines('one', [line(2, 3)])
        fake.put_lines('other', [line(3, 4)])
        fake.fault('FilterLogEvents', '503', at=1, times=1)

    result = following(Steps(trouble, lambda: None, lambda: None), 'one', 'other')
    assert result.stdout == text(line(-60, 1), line(-90, 2), line(3, 4), line(2, 3))
    assert result.stderr.count('\n') == 1 and '--follow goes on' in result.stderr
