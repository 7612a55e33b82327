"""The command line: options, usage errors, actions and what goes to which stream."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path

import pytest

import flowlogs_reader
from flowlogs_reader import kernel
from flowlogs_reader.cli import options, remote
from flowlogs_reader.cli.actions import ACTIONS
from flowlogs_reader.cli.help import TOPICS
from flowlogs_reader.cli.main import main
from flowlogs_reader.cli.options import OPTIONS, OUTPUTS
from flowlogs_reader.engines import local
from flowlogs_reader.engines import run as engines
from flowlogs_reader.query.conditions import parse_condition
from flowlogs_reader.records.fields import FIELDS
from flowlogs_reader.sources import base
from flowlogs_reader.sources.gunzip import isal_zlib
from tests import traffic
from tests.conftest import DATA, HOUR, MINUTE, MINUTE_WINDOW, NOW, ROOT, SEED_REGION, Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log

GROUP = ('VPCFlowLogGroup', '--region', SEED_REGION)
PROGRAM = (sys.executable, '-m', 'flowlogs_reader')
MINUTE_LINES = MINUTE.decode().splitlines()


# -- usage -------------------------------------------------------------------------------------------------------------

WRONG = [
    ([], 'LOCATION'),
    (['g', 'tpo'], "there is no action 'tpo': did you mean top? A location of this name comes first"),
    (['g', 'PRINT'], "no action 'PRINT'"),
    (['g', 'print', 'two'], "'two'"),
    (['g', 'print', '-1'], '-1'),
    (['g', 'print', '--', '-1'], "'-1'"),
    (['g', 'print', '1.5'], "'1.5'"),
    (['g', 'print', '١'], "'١'"),
    (['g', 'print', ''], "''"),
    (['g', 'print', '1', '2'], "'1 2'"),
    (['g', 'ipset', 'x'], 'ipset takes no arguments'),
    (['g', 'aggregate', '10.0.0.1'], "no field '10.0.0.1'"),
    (['g', 'findip'], 'findip takes one or more IP addresses'),
    (['g', 'findip', '10.0.0.256'], "'10.0.0.256' is not an IP address"),
    (['g', 'findip', '10.0.0.1', 'host'], "'host' is not an IP address"),
    (['g', '--external-id', 'x'], '--role-arn'),
    (['g', '-s', '2016-02-01 11:00:00', '-e', '2016-02-01 10:59:00'], 'is not before the end'),
    (['g', '-s', '2016-02-01 11:00:00', '-e', '2016-02-01 11:00:00'], 'is not before the end'),
    (['g', '-s', '2016-02-01 15:00:01'], 'is not before the end'),
    (['g', '-s', 'yesterdayish'], "cannot read the time 'yesterdayish'"),
    (['g', '-e', '2016-02-30 00:00:00'], "cannot read the time '2016-02-30 00:00:00'"),
    (['g', '-s', ' '], "cannot read the time ' '"),
    (['g', '--profile', 'nobody'], 'nobody'),
    (['g', '--fields', 'version version'], 'the log format has the field version twice'),
    (['g', '--fields', 'ver$ion'], "'ver$ion'"),
    (['g', '--thread-count', 'x'], "'x'"),
    (['g', '--thread-count', '-1'], '--thread-count'),
    (['g', '--location-type', 'ftp'], "'ftp'"),
    (['g', '--no-such-option'], '--no-such-option'),
    (['g', '', '-w', 'dstport'], 'LOCATION is empty'),
    (['g', '-v'], 'there is no option -v: did you mean --debug?'),
    (['g', '-c', ','], '--columns has no names'),
    (['g', '--region'], '--region'),
    ([str(DATA / 'seed-hour.log'), '--filter-pattern', 'REJECT'], '--filter-pattern does not go with a file'),
    ([str(DATA / 'seed-hour.log'), '--region', 'eu-west-1'], '--region does not go with a file'),
    (['-', '--profile', 'p'], '--profile does not go with a file'),
    (['-', '--role-arn', 'arn:aws:iam::123456789010:role/r'], '--role-arn does not go with a file'),
]


@pytest.mark.parametrize(('argv', 'says'), WRONG, ids=[' '.join(argv) or 'nothing' for argv, _ in WRONG])
def test_a_usage_error_is_reported_before_any_request(argv: list[str], says: str, seeded: FakeAWS, cli: Cli) -> None:
    result = cli(*argv, status=2)
    usage, *_, message = result.stderr.splitlines()
    assert usage == 'usage: flowlogs_reader LOCATION [LOCATION ...] [ACTION [ARG ...]] [options]'
    assert message.startswith('flowlogs_reader: error: ')
    assert says in message
    assert result.stdout == b''
    assert seeded.calls() == []


def test_a_profile_from_the_environment_that_is_not_there(
    seeded: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_PROFILE', 'nobody')
    result = cli('g', status=1)
    assert 'nobody' in result.stderr
    assert result.stderr.count('\n') == 1
    assert seeded.calls() == []


@pytest.mark.parametrize(
    'words',
    [
        '{window} findip 54.245.120.220 {region}',
        'findip {window} 54.245.120.220 {region}',
        '{region} findip 54.245.120.220 {window}',
        'findip 54.245.120.220 {region} {window}',
    ],
)
@pytest.mark.parametrize('group_first', [True, False])
def test_options_stand_anywhere(words: str, group_first: bool, seeded: FakeAWS, cli: Cli) -> None:
    argv: list[str] = [] if group_first else ['--thread-count', '1']
    argv.append('VPCFlowLogGroup')
    for word in words.split():
        argv += {'{window}': MINUTE_WINDOW, '{region}': GROUP[1:]}.get(word, [word])
    assert cli(*argv).lines == [line for line in MINUTE_LINES if '54.245.120.220' in line]


def test_options_before_everything(seeded: FakeAWS, cli: Cli) -> None:
    assert cli(*MINUTE_WINDOW, *GROUP[1:], 'VPCFlowLogGroup', 'print', '3').lines == MINUTE_LINES[:3]
    assert cli('-s', '2016-02-01 10:59:00', 'VPCFlowLogGroup', 'print', '3', *GROUP[1:]).lines == MINUTE_LINES[:3]


class TestHelp:
    @pytest.fixture
    def help(self, cli: Cli) -> str:
        result = cli('--help')
        assert result.stderr == ''
        return result.stdout.decode()

    def test_it_fits_one_screen(self, help: str) -> None:
        # With the line of the prompt.
        assert len(help.splitlines()) < 50

    def test_it_names_every_action_option_and_topic(self, help: str) -> None:
        for action in ACTIONS:
            assert re.search(rf'^  {action} ', help, re.M)
        for option in OPTIONS:
            assert not option.flags[0].startswith('-') or all(flag in help.split() for flag in option.flags[-1:])
        assert {*filter(None, TOPICS)} <= {*re.findall(r'\w+', help.partition('more: ')[2])}

    def test_there_are_five_examples(self, help: str) -> None:
        examples = help.partition('examples:\n')[2]
        assert examples.count('flowlogs_reader') == 5

    @pytest.mark.parametrize('topic', [*ACTIONS, *TOPICS])
    def test_no_line_is_longer_than_80_columns(self, topic: str, cli: Cli) -> None:
        text = cli('--help', *filter(None, [topic])).stdout.decode()
        assert topic == 'man' or max(map(len, text.splitlines())) <= 80
        assert 'default: off' not in text and 'default: none' not in text

    def test_the_options_are_listed_with_their_defaults(self, cli: Cli) -> None:
        text = cli('--help', 'options').stdout.decode()
        for option in OPTIONS:
            assert ' '.join(option.about.split()) in ' '.join(text.split()) or option.name == 'action'
        assert re.search(r'--thread-count N .*\(default:\s+4\)', text, re.S)

    def test_an_action_has_its_own_options(self, cli: Cli) -> None:
        text = cli('--help', 'aggregate').stdout.decode()
        assert ' '.join(text.split()).startswith(
            'usage: flowlogs_reader LOCATION [LOCATION ...] aggregate [N] [FIELD ...]'
        )
        assert '\n  --both-ways ' in text and '\n  --share ' not in text
        assert cli('flows', 'aggregate', '-h').stdout.decode() == text
        assert cli('aggregate', '--help').stdout.decode() == text
        # The first word is a location, if there is another one.
        assert cli('top', 'aggregate', '--help').stdout.decode() == text

    @pytest.mark.parametrize('action', ACTIONS)
    def test_the_help_on_an_action_is_about_no_other(self, action: str, cli: Cli) -> None:
        text = cli('--help', action).stdout.decode().partition('options beside')[2].partition('example:')[0]
        others = {*ACTIONS} - {action, 'print', 'report'}
        assert not others & {*re.findall(r'[a-z]+', text)}

    def test_the_overview_names_every_form_of_output(self, cli: Cli) -> None:
        (row,) = (line for line in cli('--help').lines if '-o, --output' in line)
        assert {*OUTPUTS} <= {*re.findall(r'[a-z]+', row)}

    def test_the_fields_are_those_of_the_table(self, cli: Cli) -> None:
        rows = re.findall(r'^  (\w+) +(\d+) (?:text|number|time)\b', cli('--help', 'fields').stdout.decode(), re.M)
        assert rows == [(field.name, str(field.version)) for field in FIELDS]

    def test_the_conditions_are_valid(self, cli: Cli) -> None:
        text = cli('--help', 'conditions').stdout.decode()
        found = [word for line in text.splitlines() for word in re.findall(r"-w '?(\S+=[^' ]+)", line[:34])]
        assert len(found) > 10
        for condition in found:
            if 'FIELD' not in condition:
                parse_condition(condition)

    def test_the_times_are_valid(self, cli: Cli) -> None:
        lines = cli('--help', 'times').stdout.decode().splitlines()[1:]
        options = [shlex.split(line[:28]) for line in lines if line.startswith(('  -s', '  --for', '  --tz'))]
        assert len(options) > 5
        for given in options:
            # A window from now to now is empty.
            if given[1] != 'now':
                assert cli(str(DATA / 'seed-minute.log'), *given, now=NOW.replace(year=2030)).status == 0

    def test_the_permissions_are_those_of_the_readme(self, cli: Cli) -> None:
        text = cli('--help', 'permissions').stdout.decode()
        (policy,) = re.findall(r'^```json\n(.*?)^```$', (ROOT / 'README.md').read_text('utf-8'), re.M | re.S)
        for statement in json.loads(policy)['Statement']:
            assert {*statement['Action']} <= {*re.findall(r'\w+:\w+', text)}

    def test_the_manual_page_has_everything(self, cli: Cli) -> None:
        text = cli('--help', 'man').stdout.decode()
        assert text.startswith('.TH FLOWLOGS_READER 1\n')
        for option in OPTIONS:
            if option.flags[0].startswith('-'):
                assert option.about.replace('\\', '\\e').replace('-', '\\-').replace("'", '\\(aq') in text
        requests = [line for line in text.splitlines() if line.startswith(("'", '.'))]
        assert all(re.match(r'\.(TH|SH|TP|PP|B|br|nh|ad)\b', line) for line in requests)

    @pytest.mark.skipif(not shutil.which('man'), reason='man is not installed')
    def test_man_shows_the_manual_page(self, cli: Cli) -> None:
        page = cli('--help', 'man').stdout
        command = ['man', '--warnings', '-E', 'utf-8', '-l', '-']
        done = subprocess.run(command, input=page, capture_output=True, check=True)
        assert done.stderr == b''
        titles = re.findall('^[A-Z ]+$', done.stdout.decode(), re.M)
        assert titles[:4] == ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'ACTIONS']
        assert titles[-2:] == ['EXIT STATUS', 'EXAMPLES']
        assert "-w 'FIELD!=VALUE'" in done.stdout.decode()
        # No name is divided, and what follows a list is a paragraph of its own.
        assert 's3:AbortMultipartUpload' in done.stdout.decode()
        assert '\n\n       Without -s, -e and --for it is' in done.stdout.decode()

    @pytest.mark.skipif(not shutil.which('groff'), reason='groff is not installed')
    def test_what_the_manual_page_quotes_can_be_copied(self, cli: Cli) -> None:
        """Without the settings of some systems, ' is a quotation mark of print."""
        page = cli('--help', 'man').stdout
        done = subprocess.run(['groff', '-man', '-Tutf8', '-P-c'], input=page, capture_output=True, check=True)
        shown = re.sub('.\x08', '', done.stdout.decode())
        assert "-w 'FIELD!=VALUE'" in shown and '’' not in shown

    def test_an_unknown_topic(self, cli: Cli) -> None:
        assert "there is no help on 'x': choose from print, findip" in cli('--help', 'x', status=2).stderr
        assert "there is no help on 'tpo': did you mean top?" in cli('--help', 'tpo', status=2).stderr

    def test_it_asks_nobody_and_does_not_even_load_boto3(self) -> None:
        code = (
            'import sys; from flowlogs_reader.cli.main import main; status = main(sys.argv[1:]); '
            'assert not [name for name in sys.modules if name.startswith(("boto", "dateutil"))]; sys.exit(status)'
        )
        for argv in (['--help'], [str(DATA / 'seed-minute.log')]):
            subprocess.run([sys.executable, '-c', code, *argv], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    @pytest.mark.parametrize(
        ('argv', 'slow'),
        [(['--help'], {'ipaddress', 'datetime'}), ([str(DATA / 'seed-minute.log')], {'shutil', 'tempfile'})],
    )
    def test_it_loads_little_beside_argparse(self, argv: list[str], slow: set[str]) -> None:
        code = (
            'import argparse, sys; before = {*sys.modules}; '
            'from flowlogs_reader.cli.main import main; main(sys.argv[1:]); '
            'print(*{*sys.modules} - before, file=sys.stderr)'
        )
        done = subprocess.run([sys.executable, '-c', code, *argv], cwd=ROOT, check=True, capture_output=True)
        slow = {*slow, 'difflib', 'json', 'dataclasses', 'logging'}
        assert not slow & {*done.stderr.decode().split()}


def test_what_is_written_twice_is_the_same() -> None:
    """--help does not import the engines and the sources."""
    assert [*ACTIONS] == [*local.ACTIONS]
    assert options.ENGINES == engines.NAMES
    assert [*remote.TITLES] == [*engines.ENGINES]
    assert options.MAX_THREADS == base.MAX_THREADS


def test_version(cli: Cli) -> None:
    told = cli('--version').stdout.decode()
    assert told.startswith(f'flowlogs_reader {flowlogs_reader.__version__} (')
    assert ('compiled kernel' in told) == kernel.NATIVE
    assert ('ISA-L' in told) == (isal_zlib is not None)


# -- the window --------------------------------------------------------------------------------------------------------


def window_asked(fake: FakeAWS) -> tuple[datetime, datetime]:
    params = fake.calls('FilterLogEvents')[-1].params
    start, last = (datetime.fromtimestamp(params[name] / 1000, timezone.utc) for name in ('startTime', 'endTime'))
    return start, last


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f'2016-02-01T{text}+00:00')


@pytest.mark.parametrize(
    ('options', 'start', 'last'),
    [
        ([], '14:00:00.000', '14:59:59.999'),
        (['-s', '2016-02-01 10:59:00'], '10:59:00.000', '14:59:59.999'),
        (['-e', '2016-02-01 11:00:00'], '10:00:00.000', '10:59:59.999'),
        ([*MINUTE_WINDOW], '10:59:00.000', '10:59:59.999'),
        (['--start-time', '2016-02-01 10:59:00', '--end-time', '2016-02-01 10:59:01'], '10:59:00.000', '10:59:00.999'),
        (['-s', '01.02.2016 10', '--time-format', '%d.%m.%Y %H'], '10:00:00.000', '14:59:59.999'),
        (['-s', '2016-02-01T19:59:22+09:00'], '10:59:22.000', '14:59:59.999'),
    ],
)
def test_the_window_is_half_open(options: list[str], start: str, last: str, seeded: FakeAWS, cli: Cli) -> None:
    cli(*GROUP, *options)
    assert window_asked(seeded) == (moment(start), moment(last))


def test_a_millisecond_of_now_is_not_lost(seeded: FakeAWS, cli: Cli) -> None:
    cli(*GROUP, now=NOW.replace(microsecond=123_999))
    assert window_asked(seeded) == (moment('14:00:00.123'), moment('15:00:00.122'))


# -- actions -----------------------------------------------------------------------------------------------------------

SMALL = b"""\
2 1 eni-1 10.0.0.2 10.0.0.10 44000 443 6 10 1000 1454324362 1454324422 ACCEPT OK
2 1 eni-1 10.0.0.10 10.0.0.2 443 44000 6 8 8000 1454324365 1454324425 ACCEPT OK
2 1 eni-1 - - - - - - - 1454324365 1454324425 - NODATA
2 1 eni-1 10.0.0.2 10.0.0.10 44000 443 6 6 540 1454324300 1454324400 REJECT OK
2 1 eni-1 2001:db8::1 2001:DB8:0:0:0:0:0:2 34892 22 6 54 8855 1454324370 1454324430 ACCEPT OK
2 1 eni-1 10.0.0.2 8.8.8.8 0 0 1 4 336 1454324370 1454324430 ACCEPT OK
2 1 eni-1 - - - - - - - 1454324371 1454324431 - SKIPDATA
"""


@pytest.fixture(params=['cloudwatch', 'file plain', 'file gzip', 'stdin plain'])
def small(request: pytest.FixtureRequest, fake: FakeAWS, cli: Cli, tmp_path: Path) -> Cli:
    """The command line over the same records from every source."""
    read = ROADS[request.param].lay(Log(SMALL.splitlines()), fake, tmp_path).over(cli)
    # A file is read whole without a window, a log group is not.
    return partial(read, '-s', '2016-02-01 10:00:00') if request.param == 'cloudwatch' else read


class TestActions:
    def test_print_is_the_default_and_gives_every_line_as_it_was(
        self, small: Cli, request: pytest.FixtureRequest
    ) -> None:
        # A log group is read in the order of time, a file as it is.
        by_time = sorted(SMALL.splitlines(keepends=True), key=lambda line: int(line.split()[10]))
        assert small().stdout == (b''.join(by_time) if 'cloudwatch' in request.node.name else SMALL)
        assert small('print').stdout == small('print', '0').stdout == small().stdout
        assert small().stderr == ''

    @pytest.mark.parametrize('count', [1, 3, 7, 8])
    def test_print_n_is_the_head_of_print(self, small: Cli, count: int) -> None:
        assert small('print', str(count)).lines == small().lines[:count]

    def test_findip_looks_at_both_ends_and_compares_addresses_not_texts(self, small: Cli) -> None:
        assert small('findip', '10.0.0.2').stdout.count(b'\n') == 4
        assert small('findip', '10.0.0.1').stdout == b''
        assert small('findip', '8.8.8.8', '2001:db8:0::1').stdout.count(b'\n') == 2
        assert small('findip', '2001:db8::2').lines == small('findip', '2001:0DB8::0001').lines != []

    def test_ipset_sorts_by_address_v4_first(self, small: Cli) -> None:
        assert small('ipset').lines == ['8.8.8.8', '10.0.0.2', '10.0.0.10', '2001:db8::1', '2001:DB8:0:0:0:0:0:2']

    def test_aggregate_sums_five_tuples(self, small: Cli) -> None:
        rows = [line.split('\t') for line in small('aggregate').lines]
        assert rows[0] == 'bytes dstaddr dstport end packets protocol srcaddr srcport start'.split()
        first = '2016-02-01 11:00:22', '2016-02-01 10:58:20'
        assert ['1540', '10.0.0.10', '443', first[0], '16', '6', '10.0.0.2', '44000', first[1]] in rows
        assert ['336', '8.8.8.8', '0', '2016-02-01 11:00:30', '4', '1', '10.0.0.2', '0', '2016-02-01 10:59:30'] in rows
        assert len(rows) == 5

    def test_aggregate_keeps_the_order_of_first_appearance(self, small: Cli) -> None:
        keys = [line.split()[3:8] for line in small().lines if 'DATA' not in line]
        rows = [line.split('\t') for line in small('aggregate').lines[1:]]
        assert [[row[6], row[1], row[7], row[2], row[5]] for row in rows] == [
            list(key) for key in dict.fromkeys(map(tuple, keys))
        ]

    @pytest.mark.parametrize('action', ['print', 'ipset', 'aggregate'])
    def test_nothing_at_all_comes_of_nothing(self, action: str, cli: Cli, fake: FakeAWS) -> None:
        fake.add_log_group('empty')
        for argv, stdin in ((['empty'], b''), (['-'], b''), (['-'], b'\n\n')):
            assert cli(*argv, action, stdin=stdin).stdout == b''


# -- text output -------------------------------------------------------------------------------------------------------


def test_the_default_columns_come_first_whatever_the_format_is(cli: Cli) -> None:
    header = b'vpc-id bytes x-new tcp-flags start end srcaddr dstaddr action\n'
    line = b'vpc-1 0 new 19 1454324362 1454324422 - 10.0.0.1 -\n'
    written = b'- - - - 10.0.0.1 - - - - 0 1454324362 1454324422 - - vpc-1 19 new\n'
    assert cli('-', stdin=header + line).stdout == written


def test_fields_may_be_given_in_several_spellings(cli: Cli) -> None:
    line = b'vpc-1 10.0.0.1 17\n'
    for names in ('vpc-id srcaddr protocol', 'vpc_id,srcaddr,protocol', '${vpc-id} ${srcaddr} ${protocol}'):
        assert cli('-', '--fields', names, stdin=line).stdout == b'- - - 10.0.0.1 - - - 17 - - - - - - vpc-1\n'


# -- what goes to stderr -----------------------------------------------------------------------------------------------


def test_malformed_lines_are_left_out_and_counted(cli: Cli) -> None:
    bad = MINUTE_LINES[0].replace(' 6 ', ' tcp ')
    text = '\n'.join([MINUTE_LINES[0], bad, 'garbage', '', MINUTE_LINES[1]]) + '\n'
    result = cli('-', stdin=text.encode())
    assert result.lines == MINUTE_LINES[:2]
    assert result.stderr == 'flowlogs_reader: 2 lines were left out: not records of this log format\n'
    result = cli('-', stdin=f'{MINUTE_LINES[0]}\n{bad}\n'.encode())
    assert result.stderr == 'flowlogs_reader: 1 line was left out: not records of this log format\n'


def test_an_empty_result_is_said_to_be_complete_with_its_window(seeded: FakeAWS, cli: Cli) -> None:
    result = cli(*GROUP, '-s', '2016-02-01 09:00:00', '-e', '2016-02-01 10:00:00')
    assert result.stdout == b''
    assert result.stderr == (
        'flowlogs_reader: no records: VPCFlowLogGroup in ap-northeast-1 from 2016-02-01T09:00:00Z to '
        '2016-02-01T10:00:00Z was read completely\n'
    )
    for argv, advice in ((['-s', '2016-02-01 10:00:00'], ''), ([], ': that is the last hour, and -s 1d reads a day')):
        result = cli(*GROUP, 'findip', '192.0.2.1', *argv)
        assert result.stderr.endswith(f'was read completely{advice}\n')
        assert result.stdout == b''


def test_the_wrong_format_is_said_with_what_to_give(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('custom', lines=['vpc-1 10.0.0.1 10.0.0.2'], timestamp=lambda line: 1454338000000)
    result = cli('custom', status=1)
    assert result.stdout == b''
    assert '1 line was left out' in result.stderr
    assert 'the lines have 3 columns, the format has 14: give the fields of this log with --fields' in result.stderr
    result = cli('custom', '--fields', 'srcaddr start dstaddr', status=1)
    assert result.stderr.splitlines()[1].endswith(
        '"srcaddr start dstaddr": in the first one, start is \'10.0.0.1\': not a number: '
        'give the fields of this log with --fields'
    )
    assert cli('custom', '--fields', 'vpc-id srcaddr dstaddr').lines == [
        '- - - 10.0.0.1 10.0.0.2 - - - - - - - - - vpc-1'
    ]


def test_debug_shows_where_an_error_arose(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('g')
    fake.deny('FilterLogEvents')
    assert 'Traceback' in cli('g', '--debug', status=1).stderr
    assert 'Traceback' not in cli('g', status=1).stderr


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_is_read_whole_and_a_window_cuts_on_start(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / 'both.log'
    path.write_bytes(MINUTE + HOUR)
    assert cli(str(path)).stdout == MINUTE + HOUR
    assert cli(str(path), *MINUTE_WINDOW).stdout == MINUTE
    assert cli(str(path), '-s', '2016-02-01 14:00:00').stdout == HOUR
    assert cli(str(path), '--location-type', 'file', '-e', '2016-02-01 11:00:00').stdout == MINUTE


def test_a_file_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    result = cli(str(tmp_path / 'absent.log'), '--location-type', 'file', status=1)
    assert result.stderr == f'flowlogs_reader: {tmp_path}/absent.log: No such file or directory\n'


# -- streams, pipes, signals -------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def large() -> Iterator[FakeAWS]:
    """A log group of 100,000 records, in pages of 10,000."""
    with FakeAWS() as fake:
        fake.add_log_group('large', lines=traffic.lines(100_000))
        yield fake


def test_print_through_head_reads_a_part_only(large: FakeAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large.logs, 'page_events', 1_000)
    line = f"set -o pipefail; {sys.executable} -m flowlogs_reader large -s '2016-02-01' | head -1"
    env = {**os.environ, **large.environ('us-east-1')}
    done = subprocess.run(['bash', '-c', line], cwd=ROOT, env=env, capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, b'')
    assert done.stdout == next(traffic.lines(1)) + b'\n'
    # A pipe holds 64 KB: a page or two of a hundred, and what was on its way when the pipe broke.
    assert large.count('FilterLogEvents') < 30


def test_print_n_asks_for_no_more_than_n(large: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in large.environ('us-east-1').items():
        monkeypatch.setenv(name, value)
    before = large.count('FilterLogEvents')
    assert len(cli('large', 'print', '10', '-s', '2016-02-01').lines) == 10
    calls = large.calls('FilterLogEvents')[before:]
    assert [call.params['limit'] for call in calls] == [10]
    assert len(cli('large', 'print', '10001', '-s', '2016-02-01').lines) == 10_001
    calls = large.calls('FilterLogEvents')[before + 1 :]
    assert [call.params['limit'] for call in calls] == [10_000, 10_000]


class Broken(BytesIO):
    """A pipe whose reader went away after the first write."""

    def write(self, data: object) -> int:
        raise BrokenPipeError(32, 'Broken pipe')


class Interrupted(BytesIO):
    """Ctrl-C arrives while something is written."""

    def write(self, data: object) -> int:
        raise KeyboardInterrupt


@pytest.mark.parametrize(('stdout', 'status'), [(Broken(), 0), (Interrupted(), 130)])
def test_a_broken_pipe_is_success_and_an_interrupt_is_130(stdout: BytesIO, status: int) -> None:
    stderr = StringIO()
    assert main([str(DATA / 'seed-hour.log')], BytesIO(), stdout, stderr, NOW) == status
    assert stderr.getvalue() == ''


def test_a_closed_stdin_is_reported() -> None:
    done = subprocess.run(['bash', '-c', 'exec "$@" <&-', 'bash', *PROGRAM, '-'], cwd=ROOT, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.endswith(b'error: standard input is closed\n')


def test_unbuffered_python_writes_the_same(tmp_path: Path) -> None:
    path = tmp_path / 'flows.log'
    traffic.write_log(path, 20_000)
    done = subprocess.run(
        [*PROGRAM, str(path)], cwd=ROOT, env={**os.environ, 'PYTHONUNBUFFERED': '1'}, stdout=subprocess.PIPE
    )
    assert (done.returncode, done.stdout) == (0, path.read_bytes())


# -- what a location is ------------------------------------------------------------------------------------------------


def test_a_file_that_may_be_meant_for_a_log_group_is_reported(
    seeded: FakeAWS, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'VPCFlowLogGroup').write_bytes(MINUTE)
    (tmp_path / 'flows.log').write_bytes(MINUTE)
    result = cli('VPCFlowLogGroup')
    assert (result.stdout, result.stderr) == (
        MINUTE,
        'flowlogs_reader: VPCFlowLogGroup is a file here; --location-type cwl reads the log group of that name\n',
    )
    assert cli('VPCFlowLogGroup', '--location-type', 'cwl', '--region', SEED_REGION, *MINUTE_WINDOW).stdout == MINUTE
    assert all(
        cli(*argv).stderr == '' for argv in (['./VPCFlowLogGroup'], ['flows.log'], ['VPCFlowLogGroup', '--quiet'])
    )


@pytest.mark.parametrize(
    ('location', 'name', 'says'),
    [
        ('VPCFlowLogGroup', 'VPCFlowLogGroup', 'VPCFlowLogGroup is also the output: write to another file, or read'),
        ('out.log', 'out.log', 'error: out.log is also the output: write to another file\n'),
        ('./', 'folder/out.log', 'folder/out.log is also the output: write outside of ./\n'),
        ('-', 'out.txt', 'the file at standard input is also the output'),
    ],
)
def test_a_file_that_is_the_output_is_refused(location: str, name: str, says: str, tmp_path: Path, cli: Cli) -> None:
    """The shell makes it before the command begins."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(MINUTE)
    with path.open('rb') as source, path.open('ab') as output:
        argv = [*PROGRAM, location, 'print', '1', '--thread-count', '1']
        environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
        done = subprocess.run(
            argv, cwd=tmp_path, env=environment, stdin=source, stdout=output, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert says in done.stderr
    assert path.read_bytes() == MINUTE


def test_an_output_that_is_not_read_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / 'in.log').write_bytes(MINUTE)
    with (tmp_path / 'out.csv').open('wb') as output:
        subprocess.run([*PROGRAM, f'{tmp_path}/'], cwd=ROOT, stdout=output, check=True)
    assert (tmp_path / 'out.csv').read_bytes() == MINUTE


@pytest.mark.parametrize('location', ['./gone.log', '../gone', './gone/'])
def test_a_path_is_not_a_log_group(location: str, cli: Cli) -> None:
    assert cli(location, status=1).stderr == f'flowlogs_reader: {location}: No such file or directory\n'


def test_a_file_that_is_not_there_is_looked_for_in_aws_and_reported(cli: Cli) -> None:
    stderr = cli('gone.log', status=1).stderr
    assert 'Unable to locate credentials' in stderr
    assert stderr.endswith('; gone.log is read as a log group: there is no such file\n')


@pytest.mark.parametrize('location', ['', ' '])
@pytest.mark.parametrize('options', [[], ['--location-type', 'cwl'], ['--location-type', 'file']])
def test_an_empty_location_is_a_usage_error(location: str, options: list[str], cli: Cli) -> None:
    assert 'LOCATION is empty' in cli(location, *options, status=2).stderr


def test_an_empty_result_names_the_window(cli: Cli) -> None:
    stderr = cli(str(DATA / 'seed-hour.log'), '-s', '2016-02-01', '--for', '1h').stderr
    assert 'seed-hour.log from 2016-02-01T00:00:00Z to 2016-02-01T01:00:00Z was read completely' in stderr


def test_lines_that_meet_no_condition_are_not_a_wrong_format(cli: Cli) -> None:
    result = cli('-', '-w', 'dstport=1', stdin=MINUTE + b'no record\n')
    assert '1 line was left out' in result.stderr and 'has the format' not in result.stderr


@pytest.mark.parametrize(
    'action', [['print'], ['top'], ['timeline', '-s', '2016-02-01 10:59:00', '-e', '2016-02-01 11:00:00'], ['report']]
)
def test_a_wrong_format_is_an_error_if_rows_without_records_are_written_too(action: list[str], cli: Cli) -> None:
    if action == ['report']:
        pytest.importorskip('plotly')
    assert 'no line of standard input' in cli('-', *action, stdin=b'1 2 3\n', status=1).stderr
