"""Common questions about flow logs, over every source: the same command gives the same bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from tests import traffic
from tests.conftest import DATA, MINUTE, SEED_REGION, Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log

WINDOW = ('-s', '2016-02-01T10:59Z', '-e', '2016-02-01T11:00Z')
LINES = MINUTE.decode().splitlines()
BEFORE = MINUTE.replace(b'14543243', b'14543153').replace(b'14543244', b'14543154')  # two and a half hours earlier


# A road to each kind of source.
ASKED = ('cloudwatch', 's3 default', 'file plain', 'stdin plain')
Ask = Callable[..., bytes]


@pytest.fixture(params=ASKED)
def ask(request: pytest.FixtureRequest, fake: FakeAWS, tmp_path: Path, cli: Cli) -> Ask:
    """Asks something about the seed minute, in a log that holds other records too."""
    log = Log((BEFORE + MINUTE).splitlines(), region=SEED_REGION)
    read = ROADS[request.param].lay(log, fake, tmp_path).over(cli)
    return lambda *argv: read(*argv, *WINDOW).stdout


QUESTIONS: list[tuple[str, list[str]]] = [
    (
        'top',
        [
            'bytes packets flows srcaddr dstaddr',
            '4816 42 4 172.20.0.10 103.246.150.154',
            '3071 33 4 103.246.150.154 172.20.0.10',
            '2232 11 1 172.20.0.10 54.245.120.220',
            '1079 7 1 54.245.120.220 172.20.0.10',
            '40 1 1 104.216.59.132 172.20.0.106',
        ],
    ),
    ('top 1 dstaddr -w srcaddr=172.20.0.10 --no-header', ['4816 42 4 103.246.150.154']),
    ('top 2 srcaddr/16 --by flows --no-header', ['7048 53 5 172.20.0.0/16', '3071 33 4 103.246.0.0/16']),
    ('top srcaddr dstport -w action=REJECT --no-header', ['40 1 1 104.216.59.132 6379']),
    ('print 1 -w addr=104.216.0.0/16 -c srcaddr,dstport,action', ['104.216.59.132 6379 REJECT']),
    (
        'findip 54.245.120.0/24 -c start,srcport,dstport,bytes --times iso --tz Asia/Tokyo',
        ['2016-02-01T19:59:22+09:00 443 48618 1079', '2016-02-01T19:59:22+09:00 48618 443 2232'],
    ),
    ('ipset -w action=REJECT', ['104.216.59.132', '172.20.0.106']),
    (
        'aggregate action --flows -o csv',
        [
            'action,bytes,end,flows,packets,start',
            'ACCEPT,11198,2016-02-01 11:00:15,10,93,2016-02-01 10:59:22',
            'REJECT,40,2016-02-01 11:00:11,1,1,2016-02-01 10:59:41',
        ],
    ),
    (
        'aggregate srcaddr dstaddr --both-ways -w port=443 -o csv --no-header --times epoch',
        [
            '7887,3071,4816,172.20.0.10,1454324415,75,103.246.150.154,1454324362',
            '3311,2232,1079,54.245.120.220,1454324415,18,172.20.0.10,1454324362',
        ],
    ),
    (
        'timeline 30s',
        [
            'start flows bytes packets accepted rejected',
            '2016-02-01T10:59:00Z 10 11198 93 10 0',
            '2016-02-01T10:59:30Z 1 40 1 0 1',
        ],
    ),
    ('timeline 1m -w action=REJECT --no-header --times epoch', ['1454324340 1 40 1 0 1']),
]


@pytest.mark.parametrize(('question', 'answer'), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_questions(question: str, answer: list[str], ask: Ask) -> None:
    lines = ask(*question.split()).decode().splitlines()
    assert (lines if '-o' in question else [line.replace('\t', ' ') for line in lines]) == answer


CONDITIONS: list[tuple[str, list[int]]] = [
    ('-w srcaddr=172.20.0.10', [0, 4, 5, 8, 9]),
    ('-w dstaddr=172.20.0.0/24 -w bytes>=900', [1, 2, 3]),
    ('-w port=6379,8000-9000', [10]),
    ('-w protocol=tcp -w packets<=6 -w action!=REJECT', [5, 7]),
    ('-w interface_id=eni-98fccfd1,eni-1', [10]),
    ('-w dstport!=https', [1, 2, 3, 6, 7, 10]),
    ('findip 54.245.120.220 -w bytes>2000', [8]),
    ('print 2 -w dstport=443 -w bytes=1501', [0, 4]),
    ('-w start>1454324362', [10]),
    ('-w account_id=743065858817 -w log_status=ok -w version=2', [*range(11)]),
    ('-w srcaddr=-', []),
]


@pytest.mark.parametrize(('argv', 'places'), CONDITIONS, ids=[argv for argv, _ in CONDITIONS])
def test_conditions(argv: str, places: list[int], ask: Ask) -> None:
    expected = [LINES[place] for place in places]
    assert ask(*argv.split()).decode().splitlines() == expected


@pytest.mark.parametrize(
    'argv', ['-w dstport!=https -w packets>4', 'findip 103.246.150.154 -w bytes=1501 -w srcaddr=172.16.0.0/12']
)
def test_conditions_and_formats(argv: str, ask: Ask) -> None:
    expected = ask(*argv.split()).decode().splitlines()
    assert len(expected) in (3, 4)
    assert ask(*argv.split(), '--raw').decode().splitlines() == expected
    rows = [json.loads(line) for line in ask(*argv.split(), '-o', 'jsonl').splitlines()]
    assert [' '.join(map(str, row.values())) for row in rows] == expected
    text = ask(*argv.split(), '-o', 'csv', '--header', '-c', 'bytes,interface-id').decode()
    assert list(csv.reader(StringIO(text)))[1:] == [[line.split()[9], line.split()[2]] for line in expected]


def test_a_busy_log_gives_the_same_from_everywhere(fake: FakeAWS, tmp_path: Path, cli: Cli) -> None:
    """Tables, whose rows do not depend on the order in which a source delivers."""
    log = Log(list(traffic.lines(2_000, per_second=20)), region=SEED_REGION)
    window = '-s', '2016-02-01T10:59:30Z', '-e', '2016-02-01T11:00:30Z'
    everywhere = [ROADS[road].lay(log, fake, tmp_path).over(cli) for road in ASKED]
    for argv in (
        ['top', '20', 'srcaddr/8', 'dstport', '-w', 'protocol=tcp'],
        ['top', '20', '-w', 'bytes>=5000', '-w', 'srcport!=443', '--by', 'packets'],
        ['timeline', '7s', '-w', 'addr=10.0.0.0/16'],
        ['aggregate', 'dstaddr/12', 'srcaddr/12', '--both-ways', '--flows', '-w', 'action=ACCEPT'],
    ):
        results = [read(*argv, *window) for read in everywhere]
        assert len({b'\n'.join(sorted(result.stdout.splitlines())) for result in results}) == 1
        assert len({result.stderr for result in results}) == 1
        assert len(results[0].lines) > 5


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'window',
    [
        ['-s', '2016-02-01 10:59:00', '--for', '1m'],
        ['-e', '2016-02-01 11:00:00', '--for', '60s'],
        ['-s', '2016-02-01 19:59', '-e', '2016-02-01 20:00', '--tz', 'Asia/Tokyo'],
        ['-s', '2016-02-01 19:59', '--for', '1m', '--tz', 'Asia/Tokyo'],
        ['-s', '2016-02-01T10:59Z', '--for', '1m', '--tz', 'Asia/Tokyo'],
        ['-s', '4h1m', '-e', '4h'],
        ['-s', 'today 10:59', '-e', 'today 11am'],
        ['-s', 'yesterday 23:59', '-e', 'today', '--tz', 'Pacific/Tongatapu'],
        ['-s', '4h1m', '--for', '1m'],
        ['-s', '4h 1m ago', '-e', '1454324400'],
    ],
    ids=' '.join,
)
def test_the_window_may_be_written_in_many_ways(window: list[str], seeded: FakeAWS, cli: Cli) -> None:
    assert cli('VPCFlowLogGroup', '--region', SEED_REGION, *window).stdout == MINUTE
    call = seeded.calls('FilterLogEvents')[0]
    assert (call.params['startTime'], call.params['endTime']) == (1454324340000, 1454324399999)


def test_a_length_alone_ends_now(seeded: FakeAWS, cli: Cli) -> None:
    assert cli('VPCFlowLogGroup', '--region', SEED_REGION, '--for', '5h').stdout.startswith(MINUTE)


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_block_with_host_bits_is_said_so(cli: Cli) -> None:
    for argv in (['-w', 'srcaddr=172.20.0.10/16'], ['findip', '172.20.0.10/16']):
        result = cli('-', *argv, stdin=MINUTE)
        assert result.stderr == 'flowlogs_reader: 172.20.0.10/16 is read as 172.20.0.0/16\n'
        assert set(result.lines) <= set(LINES)


@pytest.mark.parametrize(
    ('condition', 'status', 'places'),
    [('vpc_id=vpc-1', 1, 0), ('vpc_id!=vpc-1', 0, 11), ('vpc_id=-', 0, 11), ('pkt_addr=10.0.0.1', 1, 0)],
)
def test_a_field_that_the_log_lacks_is_reported(condition: str, status: int, places: int, cli: Cli) -> None:
    result = cli('-', '-w', condition, stdin=MINUTE, status=status)
    name = condition.partition('=')[0].rstrip('!').replace('pkt_addr', 'pkt_srcaddr')
    assert result.stderr.startswith(f'flowlogs_reader: this log has no field {name}: its fields are version account_id')
    assert result.lines == LINES[:places]


@pytest.mark.parametrize('condition', ['srcaddr=pkt_srcaddr', 'pkt_srcaddr!=srcaddr'])
def test_a_compared_field_that_the_log_lacks_is_reported(condition: str, cli: Cli) -> None:
    result = cli('-', '-w', condition, stdin=MINUTE, status=1)
    assert result.stderr.startswith('flowlogs_reader: this log has no field pkt_srcaddr: its fields are version')
    assert result.lines == []


def test_a_column_that_the_log_lacks_is_reported(cli: Cli) -> None:
    result = cli('-', 'print', '1', '-c', 'srcaddr,vpc_id', stdin=MINUTE)
    assert result.lines == ['172.20.0.10 -']
    assert 'this log has no field vpc_id: its fields are version account_id' in result.stderr
    nothing = cli('-', '-c', 'vpc_id', '-w', 'dstport=1', stdin=MINUTE)
    assert nothing.stderr.startswith('flowlogs_reader: no records')


def test_records_that_lack_a_field_that_others_have_are_counted(cli: Cli) -> None:
    log = MINUTE + b'vpc-id srcaddr\nvpc-1 10.0.0.1\n'
    result = cli('-', '-w', 'vpc_id=vpc-1', '-c', 'srcaddr', stdin=log)
    assert result.stdout == b'10.0.0.1\n'
    assert result.stderr == (
        'flowlogs_reader: 11 records have no field vpc_id: it is not in their format; they count as missing it\n'
    )


def test_conditions_on_fields_that_aws_does_not_document(cli: Cli) -> None:
    argv = ['--fields', 'srcaddr new-field bytes', '-w', 'new_field=a']
    result = cli('-', *argv, '-c', 'bytes,new_field', stdin=b'10.0.0.1 a 1\n10.0.0.2 b 2\n')
    assert result.stdout == b'1 a\n'


def test_with_fields_what_they_lack_is_a_usage_error(seeded: FakeAWS, cli: Cli) -> None:
    result = cli('VPCFlowLogGroup', '--fields', 'srcaddr bytes', '-w', 'dstport=443', status=2)
    assert '--fields has no dstport: the fields of the log are srcaddr bytes' in result.stderr
    assert seeded.calls() == []


@pytest.mark.parametrize(
    ('argv', 'stdin'),
    [
        (['-w', 'srcaddr=10.0.0.0/8'], MINUTE),
        (['findip', '172.20.0.10/16'], MINUTE),
        (['top'], MINUTE + b'spoilt\n'),
    ],
)
def test_quiet_leaves_only_errors(argv: list[str], stdin: bytes, cli: Cli) -> None:
    loud, quiet = cli('-', *argv, stdin=stdin), cli('-', *argv, '--quiet', stdin=stdin)
    assert (bool(loud.stderr), quiet.stderr, quiet.stdout) == (True, '', loud.stdout)


@pytest.mark.parametrize(
    'argv', [['/no/such/file.log', '--location-type', 'file'], [str(DATA / 'seed-hour.log'), '-w', 'vpc_id=vpc-1']]
)
def test_quiet_does_not_silence_errors(argv: list[str], cli: Cli) -> None:
    assert cli(*argv, '--quiet', status=1).stderr
    assert cli(*argv, '--quiet', 'timeline', '0s', status=2).stderr


def test_no_header_and_header_for_every_action(cli: Cli) -> None:
    for action in (['top'], ['aggregate'], ['timeline'], ['ipset'], ['print'], ['findip', '172.20.0.10']):
        bare, headed = (cli('-', *action, option, stdin=MINUTE).lines for option in ('--no-header', '--header'))
        assert headed[1:] == bare
        assert headed[0].split()[0] in ('bytes', 'start', 'addr', 'version')
