"""Error messages: one line with what was tried, why it failed and what to do next."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path

import pytest
from botocore import exceptions

from flowlogs_reader.aws.trouble import CAUSE_BY_CLASS, CAUSE_BY_CODE
from flowlogs_reader.cli.main import main
from flowlogs_reader.cli.summary import ADVICE, explain
from flowlogs_reader.errors import (
    Cause,
    DamagedError,
    FlowLogsError,
    IncompleteError,
    MissingExtraError,
    NothingThereError,
    OutputError,
    UsageError,
)
from tests import traffic
from tests.conftest import MINUTE, ROOT, Cli
from tests.fake.aws import FakeAWS
from tests.fake.wire import TROUBLES

LINES = list(traffic.lines(50))
WINDOW = ('-s', '2016-02-01')


def client_error(code: str, message: str = 'Said\n  so.') -> exceptions.ClientError:
    return exceptions.ClientError({'Error': {'Code': code, 'Message': message}}, 'FilterLogEvents')


def test_every_cause_has_advice_of_one_line() -> None:
    assert {*ADVICE} == {*Cause}
    assert all(advice and '\n' not in advice for advice in ADVICE.values())


@pytest.mark.parametrize('code', CAUSE_BY_CODE)
def test_every_known_code_is_one_line_with_advice(code: str) -> None:
    line = explain(client_error(code))
    assert '\n' not in line
    text = f'({code})' if code == 'NoSuchBucket' else 'Said so'
    assert line.endswith(f'{text}: {ADVICE[CAUSE_BY_CODE[code]]}')
    assert f'({code})' in line


def test_an_unknown_code_is_reported_as_it_came() -> None:
    said = 'An error occurred (Whatever) when calling the FilterLogEvents operation: Said so'
    assert explain(client_error('Whatever')) == said


def test_an_answer_that_has_only_a_status_may_not_be_from_aws() -> None:
    operation = 'An error occurred (404) when calling the FilterLogEvents operation'
    advice = ADVICE[Cause.ANSWER_UNREADABLE]
    assert explain(client_error('404', '')) == f'{operation}: {advice}'
    assert explain(client_error('404', 'Not Found')) == f'{operation}: Not Found: {advice}'


def test_advice_goes_by_the_base_class_if_there_is_none_for_the_class() -> None:
    line = explain(exceptions.ProxyConnectionError(proxy_url='http://p', error='refused'))
    assert line.endswith(f': {ADVICE[CAUSE_BY_CLASS["ProxyConnectionError"]]}')
    assert 'AWS cannot be reached' in explain(exceptions.ConnectTimeoutError(endpoint_url='http://e', error='x'))


def test_an_error_without_words_is_reported_by_its_name() -> None:
    assert explain(OSError()) == 'OSError'


@pytest.mark.parametrize('kind', [FlowLogsError, UsageError])
def test_an_error_of_the_package_is_reported_with_the_advice_for_its_cause(
    kind: type[FlowLogsError | UsageError],
) -> None:
    assert explain(kind('no.', Cause.REGION_MISSING)) == 'no: give --region or set AWS_DEFAULT_REGION'
    assert explain(kind('no')) == 'no'


def test_children() -> None:
    for kind in (DamagedError, IncompleteError, NothingThereError, OutputError, MissingExtraError):
        assert issubclass(kind, FlowLogsError)
    assert issubclass(UsageError, ValueError)
    assert not issubclass(UsageError, FlowLogsError)
    assert str(MissingExtraError('parquet', 'a Parquet file')) == (
        'a Parquet file needs a library: pip install "pyarrow>=14"'
    )


@pytest.mark.parametrize(
    ('kind', 'says'),
    [
        ('deny', 'not allowed: add this action to the policy'),
        ('throttle', 'AWS is throttling: try again, or raise AWS_MAX_ATTEMPTS'),
        ('503', 'AWS is not available: try again'),
        ('expire_credentials', 'the credentials have expired: sign in again'),
    ],
)
def test_lasting_trouble_of_cloudwatch_logs(
    kind: str, says: str, fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '2')
    fake.add_log_group('g', lines=LINES)
    fake.fault('FilterLogEvents', kind)
    result = cli('g', *WINDOW, status=1)
    code = TROUBLES['expired' if kind == 'expire_credentials' else kind]['logs'][0]
    assert result.stdout == b''
    assert code in result.stderr
    assert says in result.stderr
    assert result.stderr.startswith('flowlogs_reader: ')
    assert result.stderr.count('\n') == 1


def test_an_unknown_access_key(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', 'ASIAUNKNOWN')
    result = cli('g', status=1)
    assert 'AWS rejected the access key: check the profile, the keys and the clock' in result.stderr


def test_no_credentials(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AWS_ACCESS_KEY_ID')
    result = cli('g', status=1)
    assert 'Unable to locate credentials: set AWS_PROFILE, give --profile, or run aws configure' in result.stderr
    assert fake.calls() == []


def test_half_a_key_pair(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AWS_SECRET_ACCESS_KEY')
    assert 'give both halves of the access key' in cli('g', status=1).stderr


def test_nobody_there(fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
    result = cli('g', status=1)
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"' in result.stderr
    assert 'AWS cannot be reached: check the Region, the network' in result.stderr


def test_a_region_that_cannot_be_one(fake: FakeAWS, cli: Cli) -> None:
    assert 'check the spelling of the Region' in cli('g', '--region', 'us east 1', status=1).stderr


def test_a_bad_filter_pattern_is_reported_in_the_words_of_aws(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('g', lines=LINES)
    result = cli('g', *WINDOW, '--filter-pattern', '"open', status=1)
    assert 'InvalidParameterException' in result.stderr
    assert 'ilter pattern' in result.stderr
    assert result.stderr.count('\n') == 1


def test_an_impossible_name_of_a_log_group(fake: FakeAWS, cli: Cli) -> None:
    for name in ('a b', 'a*', 'x' * 600):
        assert 'is not a file, and a log group cannot have this name' in cli(name, *WINDOW, status=2).stderr
        result = cli(name, *WINDOW, '--location-type', 'cwl', status=1)
        assert result.stderr.count('\n') == 1


def test_an_infrequent_access_group(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('g', lines=LINES, log_class='INFREQUENT_ACCESS')
    result = cli('g', *WINDOW, status=1)
    assert 'INFREQUENT_ACCESS' in result.stderr
    assert result.stderr.count('\n') == 1


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (['g', '--regoin', 'eu-west-1'], 'there is no option --regoin: did you mean --region?'),
        (['g', '--colums=srcaddr'], 'there is no option --colums: did you mean --columns?'),
        (['g', '--Region', 'eu-west-1'], 'there is no option --Region: did you mean --region?'),
        (['g', '-W', 'port=1'], 'there is no option -W: did you mean -w?'),
        (['g', '-x'], 'there is no option -x: --help options lists them'),
        (['g', '--xyzzy'], 'there is no option --xyzzy: --help options lists them'),
        (['g', '-o', 'josn'], "there is no 'josn': did you mean jsonl?"),
        (['g', '-o', 'CSV'], "there is no 'CSV': did you mean csv?"),
        (['g', '-o', 'xml'], "there is no 'xml': choose from text, tsv"),
        (['g', '--location-type', 'clw'], "there is no 'clw': did you mean cwl?"),
        (['g', '--times', 'isoo'], "there is no 'isoo': did you mean iso?"),
        (['g', 'tpo'], "there is no action 'tpo': did you mean top?"),
        (['g', '-n', '5'], 'there is no option -n: did you mean the action print 5?'),
        (['g', '--top', '5'], 'there is no option --top: did you mean the action top 5?'),
        (['g', '-f'], 'there is no option -f: did you mean --follow?'),
        (['g', '--since=2h'], 'there is no option --since: did you mean --start-time?'),
        (['g', '--json'], 'there is no option --json: did you mean -o jsonl?'),
        (['g', '--log-group-name', 'g'], 'did you mean LOCATION, with no option before it?'),
        (['g', '--port', '22'], 'there is no option --port: did you mean -w port=VALUE?'),
        (['g', '--interface-id', 'x'], 'did you mean -w interface_id=VALUE?'),
        (['g', '--zzz'], 'there is no option --zzz: --help options lists them'),
        (['g', '-s', '-2h'], '--start-time needs TIME: from this time on, such as 2h (ago)'),
        (['g', '--engine'], '--engine needs one of local, insights, athena'),
        (['g', '--max-scan'], '--max-scan needs SIZE: do not start if it would scan more'),
        (['g', '-o', 'out.csv'], 'choose from text, tsv, csv, jsonl, parquet; > out.csv writes a file'),
        (['g', '-s', '2016-02-01', '10:59'], "quote a time that has a space, such as -s '2016-02-01 10:59'"),
        (['g', 'top', '5', '-e', '5', 'hours', 'ago'], "such as -s '2016-02-01 10:59': 'ago' stands alone"),
        (['g', '--role-arn', 'audit'], '--role-arn takes the ARN of a role, such as arn:aws:iam::'),
        (['--list', '--role-arn', 'audit'], '--role-arn takes the ARN of a role, such as arn:aws:iam::'),
        (['g', '-5'], "'-5' is not a location: did you forget print?"),
        (['old/*.gz'], "'old/*.gz' is not a file, and a log group cannot have this name"),
        (['S3://flows', 'top'], 'S3://flows is not a location: did you mean s3://flows?'),
        (['g', '--tail', '--timeline'], 'there is no option --timeline: did you mean the action timeline?'),
        (['g', '-c', 'srcaddr', 'dstaddr'], 'separate columns with commas: -c srcaddr,dstaddr'),
        (['g', '-w', 'dstport', '443'], '-w takes one word, such as -w dstport=443: quote < and > for the shell'),
        (['g', '-w', 'bytes', '>=', '1000'], "-w takes one word, such as -w 'bytes>=…': quote < and >"),
        (['g', '-w', 'port=1 and action=REJECT'], 'two conditions, port=1 and action=REJECT: give each its own -w'),
        (['g', '-w', 'start>=2016-02-01'], "start takes Unix seconds; not '2016-02-01': give times with -s and -e"),
        (['g', '-w', 'port=x'], "not 'x': --help conditions lists the names"),
        (['findip', '10.0.0.1', 'g'], 'the action comes after the location: flowlogs_reader LOCATION findip 10.0.0.1'),
        (['top', '5', 'g'], 'the action comes after the location: flowlogs_reader LOCATION top 5'),
        ([], '--help is an overview'),
        (['g', '-s', '2027-01-01'], 'is not before the end, now (2016-02-01T15:00:00Z): -e gives another one'),
        (['g', 'help'], 'there is no action help: --help is an overview'),
        (['s3:/flows/x'], 's3:/flows/x is not a location: did you mean s3://flows/x?'),
        (['s3:flows'], 's3:flows is not a location: did you mean s3://flows?'),
        (['s3:///flows', 'top'], 's3:///flows is not a location: did you mean s3://flows?'),
        (['g', 'top', 'port', '3', '--by', 'packets'], '3 comes before the fields: top 3 port'),
        (['g', 'aggregate', 'srcaddr', '3', 'dstaddr'], '3 comes before the fields: aggregate 3 srcaddr dstaddr'),
        (['g', 'timeline', 'action', '5s'], '5s comes before the fields: timeline 5s action'),
        (['g', 'top', 'srcaddr', '--by', 'dstport'], 'it goes with --distinct dstport'),
        (['g', 'dstport=443'], "'dstport=443' is a condition: did you forget -w?"),
        (['g', 'top', 'dstport=443'], "'dstport=443' is a condition: did you forget -w?"),
        (['bytes>=800000'], "'bytes>=800000' is a condition: did you forget -w?"),
        (['g', '-w', 'bytes'], "the condition 'bytes' has no operator and no value: quote < and >"),
        (['g', '-w', 'dstprt=443'], "no field 'dstprt' (similar: dstport, start, srcport): --help fields lists them"),
        (['g', 'top', 'srcadr'], "no field 'srcadr' (similar: srcaddr, pkt_srcaddr"),
        (['g', 'top', 'xyzzy'], "no field 'xyzzy': --help fields lists them"),
        (['g', '-c', 'srcadr'], '--help fields lists them'),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_a_typing_error_has_a_remedy(cli: Cli, argv: list[str], says: str) -> None:
    result = cli(*argv, status=2)
    assert says in result.stderr.splitlines()[-1]
    # Nobody reads a list of 76 fields.
    assert len(result.stderr.splitlines()[-1]) < 200


def test_a_file_may_have_the_name_of_a_condition(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('dstport=443').write_bytes(MINUTE)
    assert cli('dstport=443').stdout == MINUTE


M = 'tests/data/seed-minute.log'


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (['tests'], 'tests is a directory: to read it, write tests/'),
        (['top', M], f'the action comes after the location: flowlogs_reader {M} top'),
        (['top'], 'the action comes after the location: flowlogs_reader LOCATION top'),
        (['help'], '--help is an overview'),
        (['list'], '--list lists the flow logs'),
        (['vpc-0a1b2c3d'], '--list vpc-0a1b2c3d lists the flow logs that cover it'),
        (['count', M], 'if it is to be an action, --help lists them'),
        (['nosuch', '--region', 'euwest1'], 'botocore knows no Region euwest1: did you mean eu-west-1?'),
        (['nosuch', '--region', 'EU-WEST-1'], 'botocore knows no Region EU-WEST-1: did you mean eu-west-1?'),
        (['nosuch', '--region', 'x'], 'botocore knows no Region x'),
    ],
)
def test_a_log_group_that_is_not_there_may_be_something_else(
    fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch, argv: list[str], says: str
) -> None:
    monkeypatch.chdir(ROOT)
    line = cli(*argv, status=1).stderr
    assert line.startswith(f'flowlogs_reader: there is no log group {argv[0]} in ')
    assert line.endswith(f'; {says}\n')
    assert line.count('\n') == 1
    if '--region' in argv:
        fake.stop()
        for location in (argv[0], '--list', 's3://bucket'):
            line = cli(location, *argv[1:], status=1).stderr
            assert 'AWS cannot be reached' in line
            assert line.endswith(f'; {says}\n')
    monkeypatch.delenv('AWS_ACCESS_KEY_ID')
    line = cli(*argv, status=1).stderr
    assert 'Unable to locate credentials' in line
    assert line.endswith(f'; {says}\n')


def test_if_memory_is_not_enough_one_line_says_so() -> None:
    class Large(BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            raise MemoryError

    stderr = StringIO()
    assert main(['-', 'top'], Large(), BytesIO(), stderr) == 1
    assert stderr.getvalue().startswith('flowlogs_reader: there is not enough memory')
    assert stderr.getvalue().count('\n') == 1
