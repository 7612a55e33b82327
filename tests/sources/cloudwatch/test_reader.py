"""FlowLogsReader over FilterLogEvents: windows, pages, formats, errors, and numbers of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, PaginationError

from flowlogs_reader import DEFAULT_FIELDS, FlowLogsError, FlowLogsReader
from flowlogs_reader.errors import Cause, IncompleteError
from flowlogs_reader.records.fields import FIELDS
from tests import traffic
from tests.conftest import HOUR, MINUTE, MINUTE_WINDOW, SEED_REGION, Cli
from tests.fake.aws import ACCOUNT, REGION, FakeAWS
from tests.traffic import to_format

START = datetime(2016, 2, 1, 10, 59, 22)  # of the first line of the traffic
LINES = list(traffic.lines(2_000, per_second=100))  # twenty seconds
DAY = {'start_time': datetime(2016, 2, 1), 'end_time': datetime(2016, 2, 2)}
TWO_TRIES = Config(retries={'total_max_attempts': 2, 'mode': 'standard'})
ROADS = [0, 1, 4]  # thread_count: one page ahead, none ahead, slices


def lines_of(reader: FlowLogsReader) -> list[bytes]:
    return b''.join(block.data for block in reader.blocks()).splitlines()


@pytest.fixture
def flowlogs(fake: FakeAWS) -> FakeAWS:
    """A log group of 2,000 records in pages of 150."""
    fake.add_log_group('flowlogs', lines=LINES)
    fake.logs.page_events = 150
    return fake


def reader(threads: int = 0, **options: Any) -> FlowLogsReader:
    return FlowLogsReader('flowlogs', thread_count=threads, **{**DAY, **options})


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', ROADS)
class TestPages:
    def test_every_record_once_and_in_order(self, flowlogs: FakeAWS, threads: int) -> None:
        assert lines_of(reader(threads)) == LINES

    def test_empty_pages_with_a_token_go_on(self, flowlogs: FakeAWS, threads: int) -> None:
        flowlogs.fault('FilterLogEvents', 'empty_pages', at={2, 3, 5})
        assert lines_of(reader(threads)) == LINES

    def test_an_empty_first_page_goes_on(self, flowlogs: FakeAWS, threads: int) -> None:
        flowlogs.fault('FilterLogEvents', 'empty_pages', at=1)
        assert lines_of(reader(threads)) == LINES

    def test_partial_pages_go_on(self, flowlogs: FakeAWS, threads: int) -> None:
        flowlogs.logs.scan_limit = 40
        assert lines_of(reader(threads, filter_pattern='"NODATA"')) == [line for line in LINES if b'NODATA' in line]

    def test_an_event_that_comes_twice_counts_once(self, flowlogs: FakeAWS, threads: int) -> None:
        flowlogs.fault('FilterLogEvents', 'duplicate')
        assert lines_of(reader(threads)) == LINES

    def test_equal_records_of_different_events_both_count(self, fake: FakeAWS, threads: int) -> None:
        fake.add_log_group('flowlogs', lines=LINES[:1] * 5)
        assert lines_of(reader(threads)) == LINES[:1] * 5

    def test_a_repeated_token_is_an_error_after_what_was_read(self, flowlogs: FakeAWS, threads: int) -> None:
        flowlogs.fault('FilterLogEvents', 'repeat_token', at=lambda params: 'nextToken' in params)
        self.check_incomplete(reader(threads))

    def test_tokens_that_go_round_are_an_error_after_what_was_read(self, flowlogs: FakeAWS, threads: int) -> None:
        flowlogs.fault('FilterLogEvents', 'loop_tokens', at=lambda params: 'nextToken' in params)
        self.check_incomplete(reader(threads))

    def check_incomplete(self, reader: FlowLogsReader) -> None:
        found: list[bytes] = []
        with pytest.raises(IncompleteError, match='same page token twice for flowlogs'):
            for block in reader.blocks():
                found += block.data.splitlines()
        assert found == LINES[: len(found)]
        assert len(found) < len(LINES)

    def test_what_came_out_before_an_error_is_complete_up_to_the_time_given(
        self, flowlogs: FakeAWS, threads: int
    ) -> None:
        flowlogs.fault('FilterLogEvents', 'deny', at=6, times=1_000)
        failing = reader(threads)
        found: list[bytes] = []
        with pytest.raises(ClientError):
            for block in failing.blocks():
                found += block.data.splitlines()
        flowlogs.clear_faults()
        assert failing.complete_until is not None
        resumed = datetime.fromtimestamp(failing.complete_until / 1000, timezone.utc)
        assert found + lines_of(reader(threads, start_time=resumed)) == LINES


def test_bytes_processed_counts_the_messages(flowlogs: FakeAWS) -> None:
    counted = reader()
    list(counted)
    assert counted.bytes_processed == sum(map(len, LINES))


def test_messages_with_line_ends_quotes_and_other_text_are_one_line_each(fake: FakeAWS) -> None:
    odd = [b'a\nb', b'"quoted" \\ text', 'Grüße 你好'.encode(), LINES[0], LINES[1].replace(b' ', b'\t'), b'']
    fake.add_log_group('flowlogs', lines=odd, timestamp=lambda line: 1454324362000, stream=lambda line: 's')
    tolerant = reader()
    assert lines_of(tolerant) == LINES[:2]
    assert tolerant.skipped_records == 3
    with pytest.raises(ValueError, match='1 values, but|2 values, but'):
        list(reader(raise_on_error=True))


@pytest.mark.parametrize(
    'keys', [('eventId', 'message', 'timestamp'), ('timestamp', 'eventId', 'ingestionTime', 'message')]
)
def test_the_order_of_the_members_does_not_matter(keys: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeAWS(event_keys=keys) as fake:
        for name, value in fake.environ().items():
            monkeypatch.setenv(name, value)
        fake.add_log_group('flowlogs', lines=LINES)
        fake.logs.page_events = 300
        assert lines_of(reader()) == LINES


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', ROADS)
@pytest.mark.parametrize(
    ('first_ms', 'end_ms'), [(0, 1), (1, 2), (999, 1000), (0, 2000), (1500, 19_001), (19_001, 60_000)]
)
def test_the_window_is_half_open_to_the_millisecond(fake: FakeAWS, threads: int, first_ms: int, end_ms: int) -> None:
    times = {line: 1454324362000 + at * 500 for at, line in enumerate(dict.fromkeys(LINES[:40]))}
    fake.add_log_group('flowlogs', lines=times, timestamp=times.__getitem__)
    fake.logs.page_events = 3
    start, end = (START + timedelta(milliseconds=ms) for ms in (first_ms, end_ms))
    expected = [line for line, time in times.items() if first_ms <= time - 1454324362000 < end_ms]
    assert lines_of(reader(threads, start_time=start, end_time=end)) == expected
    for call in fake.calls('FilterLogEvents'):
        assert isinstance(call.params['startTime'], int)
        assert call.params['startTime'] >= 1454324362000 + first_ms
        assert call.params['endTime'] <= 1454324362000 + end_ms - 1


def test_times_are_exact_integers(fake: FakeAWS) -> None:
    fake.add_log_group('flowlogs')
    # 1454324362.001 is not a float: int(float * 1000) would be a millisecond early.
    lines_of(reader(start_time=START.replace(microsecond=1_999), end_time=START.replace(microsecond=57_000)))
    params = fake.calls('FilterLogEvents')[-1].params
    assert (params['startTime'], params['endTime']) == (1454324362001, 1454324362056)


def test_an_empty_window_asks_for_nothing(fake: FakeAWS) -> None:
    assert list(reader(start_time=START, end_time=START)) == []
    assert fake.calls() == []


# -- the log group -----------------------------------------------------------------------------------------------------


def test_the_region_in_an_arn_counts(seeded: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'eu-west-1')
    arn = f'arn:aws:logs:{SEED_REGION}:{ACCOUNT}:log-group:VPCFlowLogGroup'
    assert cli(arn, *MINUTE_WINDOW).stdout == MINUTE
    assert cli(f'{arn}:*', *MINUTE_WINDOW, '--region', SEED_REGION).stdout == MINUTE
    assert 'as its ARN says' in cli(arn, '--region', 'eu-west-1', status=2).stderr
    assert len(list(FlowLogsReader(arn, **DAY))) == len((MINUTE + HOUR).splitlines())
    elsewhere = arn.replace('VPCFlowLogGroup', 'other')
    assert f'other in {SEED_REGION} of account {ACCOUNT}: check the ARN' in cli(elsewhere, status=1).stderr


@pytest.mark.parametrize('suffix', ['', ':*'])
def test_an_arn_is_asked_for_as_an_identifier(flowlogs: FakeAWS, suffix: str) -> None:
    arn = f'arn:aws:logs:{REGION}:{ACCOUNT}:log-group:flowlogs'
    assert lines_of(FlowLogsReader(arn + suffix, **DAY)) == LINES
    params = flowlogs.calls('FilterLogEvents')[0].params
    assert params['logGroupIdentifier'] == arn
    assert 'logGroupName' not in params


def test_a_name_is_asked_for_as_a_name(flowlogs: FakeAWS) -> None:
    lines_of(reader())
    params = flowlogs.calls('FilterLogEvents')[0].params
    assert params['logGroupName'] == 'flowlogs'
    assert 'logGroupIdentifier' not in params


def test_the_format_is_asked_for_by_the_name_in_an_arn(fake: FakeAWS) -> None:
    names = ['srcaddr', 'dstaddr', 'start']
    fake.add_log_group(
        'flowlogs', lines=[to_format(line, names) for line in LINES[:9]], timestamp=lambda _: 1454324362000
    )
    fake.add_flow_log(log_group='flowlogs', log_format='${srcaddr} ${dstaddr} ${start}')
    arn = f'arn:aws:logs:{REGION}:{ACCOUNT}:log-group:flowlogs'
    assert len(list(FlowLogsReader(arn, fields=None, **DAY))) == 9


class TestMissingGroup:
    """The message if the log group does not exist."""

    def test_where_it_does_exist(self, seeded: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv('AWS_DEFAULT_REGION', 'eu-west-1')
        result = cli('VPCFlowLogGroup', status=1)
        assert result.stderr == (
            'flowlogs_reader: there is no log group VPCFlowLogGroup in eu-west-1 (from AWS_DEFAULT_REGION); '
            'there is one in ap-northeast-1: add --region ap-northeast-1\n'
        )

    @pytest.mark.parametrize(
        ('variables', 'options', 'told'),
        [
            ({'AWS_REGION': 'eu-west-1', 'AWS_DEFAULT_REGION': 'eu-west-2'}, [], 'eu-west-1 (from AWS_REGION)'),
            ({}, [], 'us-east-1 (because no Region is configured)'),
            ({'AWS_REGION': 'eu-west-1'}, ['--region', 'sa-east-1'], 'sa-east-1 (from --region)'),
        ],
    )
    def test_the_region_and_where_it_came_from(
        self, variables: dict[str, str], options: list[str], told: str, seeded: FakeAWS, cli: Cli,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert f'there is no log group VPCFlowLogGroup in {told}; ' in cli('VPCFlowLogGroup', *options, status=1).stderr

    def test_every_region_of_the_partition_is_asked_once(
        self, seeded: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr('flowlogs_reader.aws.log_groups.SECONDS', 60.0)
        cli('VPCFlowLogGroup', status=1)
        regions = [call.region for call in seeded.calls('DescribeLogGroups')]
        assert len(regions) > 15
        assert SEED_REGION in regions
        assert not [region for region in regions if region.startswith(('cn-', 'us-gov-'))]

    def test_several_regions(self, seeded: FakeAWS, cli: Cli) -> None:
        seeded.add_log_group('VPCFlowLogGroup', 'eu-west-1')
        message = cli('VPCFlowLogGroup', status=1).stderr
        assert 'there is one in ap-northeast-1, eu-west-1: add --region ap-northeast-1' in message

    def test_similar_names_in_this_region(self, fake: FakeAWS, cli: Cli) -> None:
        fake.add_log_group('VPCFlowLogGroup')
        fake.add_log_group('something-else')
        assert '; there is VPCFlowLogGroup\n' in cli('VPCFlowLogsGroup', status=1).stderr

    def test_a_directory_of_that_name(
        self, fake: FakeAWS, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / 'logs').mkdir()
        assert 'logs is a directory: to read it, write logs/' in cli('logs', status=1).stderr

    def test_a_region_that_nobody_knows(self, seeded: FakeAWS, cli: Cli) -> None:
        message = cli('VPCFlowLogGroup', '--region', 'nowhere-1', status=1).stderr
        assert 'there is no log group VPCFlowLogGroup in nowhere-1' in message

    def test_nothing_anywhere(self, fake: FakeAWS, cli: Cli) -> None:
        message = cli('nowhere', status=1).stderr
        assert 'nor in another Region that answered, nor a file: check the name, --region and --profile' in message

    def test_a_missing_permission_to_list_groups_is_not_a_second_error(self, seeded: FakeAWS, cli: Cli) -> None:
        seeded.deny('DescribeLogGroups')
        message = cli('VPCFlowLogGroup', status=1).stderr
        assert message.startswith('flowlogs_reader: there is no log group VPCFlowLogGroup in us-east-1')
        assert message.count('\n') == 1

    def test_regions_that_do_not_answer_are_not_waited_for(
        self, seeded: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr('flowlogs_reader.aws.log_groups.SECONDS', 0.5)
        seeded.fault('DescribeLogGroups', 'stall', at=lambda params: True, seconds=60)
        message = cli('VPCFlowLogGroup', status=1).stderr
        assert 'nor in another Region that answered' in message

    def test_the_library_raises_what_aws_says(self, fake: FakeAWS) -> None:
        with pytest.raises(ClientError, match='ResourceNotFoundException'):
            list(reader())


# -- formats -----------------------------------------------------------------------------------------------------------

CUSTOM = ['version', 'vpc-id', 'srcaddr', 'dstaddr', 'bytes', 'start', 'end', 'tcp-flags']


def log_format(names: Sequence[str]) -> str:
    return ' '.join(f'${{{name}}}' for name in names)


def in_format(names: Sequence[str], lines: Sequence[bytes] = LINES[:9]) -> list[bytes]:
    return [to_format(line, names) for line in lines]


def load(fake: FakeAWS, lines: Sequence[bytes], *formats: str) -> None:
    """A log group with these lines a second apart, and a flow log for each format."""
    times = {id(line): 1454324362000 + at * 1000 for at, line in enumerate(lines)}
    order = iter(times.values())
    fake.add_log_group('flowlogs', lines=lines, timestamp=lambda line: next(order), stream=lambda line: 's')
    for one in formats:
        fake.add_flow_log(log_group='flowlogs', log_format=one)


class TestFormats:
    def test_the_librarys_default_is_the_default_format_and_asks_nobody(self, flowlogs: FakeAWS) -> None:
        list(reader())
        assert reader().layout is not None
        assert reader().layout.fields == DEFAULT_FIELDS  # type: ignore[union-attr]
        assert flowlogs.calls('DescribeFlowLogs') == []

    def test_fields_that_are_given_win(self, fake: FakeAWS) -> None:
        load(fake, in_format(CUSTOM), log_format(CUSTOM[::-1]))
        assert lines_of(reader(fields=CUSTOM)) == in_format(CUSTOM)
        assert fake.calls('DescribeFlowLogs') == []

    def test_ec2_is_asked_once_for_this_group(self, fake: FakeAWS) -> None:
        load(fake, in_format(CUSTOM), log_format(CUSTOM))
        fake.add_flow_log(log_group='another', log_format=log_format(CUSTOM[::-1]))
        assert lines_of(reader(fields=None)) == in_format(CUSTOM)
        (call,) = fake.calls('DescribeFlowLogs')
        assert call.params['Filters'] == {'log-group-name': ['flowlogs']}

    def test_an_ec2_client_may_be_handed_in(self, fake: FakeAWS) -> None:
        load(fake, in_format(CUSTOM))
        fake.add_flow_log(log_group='flowlogs', log_format=log_format(CUSTOM), region='eu-west-1')
        client = boto3.client('ec2', region_name='eu-west-1')
        assert lines_of(reader(fields=None, ec2_client=client)) == in_format(CUSTOM)

    def test_no_flow_log_means_the_default_format(self, flowlogs: FakeAWS) -> None:
        assert lines_of(reader(fields=None)) == LINES

    @pytest.mark.parametrize('trouble', ['deny', '500', 'throttle', 'drop', 'cut', 'half_json'])
    def test_no_answer_from_ec2_means_the_default_format(self, flowlogs: FakeAWS, trouble: str) -> None:
        flowlogs.fault('DescribeFlowLogs', trouble)
        assert lines_of(reader(fields=None, boto_client_kwargs={'config': TWO_TRIES})) == LINES

    def test_an_unusable_format_means_the_default_one(self, flowlogs: FakeAWS) -> None:
        flowlogs.add_flow_log(log_group='flowlogs', log_format='${version} ${version}')
        flowlogs.add_flow_log(log_group='flowlogs', log_format='')
        assert lines_of(reader(fields=None)) == LINES

    def test_several_flow_logs_of_one_format(self, fake: FakeAWS) -> None:
        load(fake, in_format(CUSTOM), log_format(CUSTOM), log_format(CUSTOM))
        assert lines_of(reader(fields=None)) == in_format(CUSTOM)

    def test_several_formats_are_distinguished_by_their_columns(self, fake: FakeAWS) -> None:
        mixed = [line for pair in zip(in_format(CUSTOM), LINES[:9]) for line in pair]
        load(fake, mixed, log_format(CUSTOM), log_format(traffic.FIELDS))
        found = list(reader(fields=None))
        assert [record.vpc_id is not None for record in found] == [True, False] * 9
        assert [record.srcaddr for record in found[::2]] == [record.srcaddr for record in found[1::2]]
        assert [record.end for record in found[::2]] == [record.end for record in found[1::2]]

    def test_formats_of_equal_length_are_distinguished_by_their_kinds(self, fake: FakeAWS) -> None:
        texts_first, numbers_first = ['srcaddr', 'dstaddr', 'bytes'], ['bytes', 'srcaddr', 'dstaddr']
        load(fake, in_format(numbers_first), log_format(texts_first), log_format(numbers_first))
        expected = [int(line.split()[9]) for line in LINES[:9]]
        assert [record.bytes for record in reader(fields=None)] == expected

    def test_formats_of_equal_length_line_by_line(self, fake: FakeAWS) -> None:
        one, other = ['version', 'srcaddr', 'bytes'], ['srcaddr', 'bytes', 'version']
        lines = [to_format(line, one if at % 2 else other) for at, line in enumerate(LINES[:9])]
        load(fake, lines, log_format(one), log_format(other))
        mixed = reader(fields=None)
        assert [record.bytes for record in mixed] == [int(line.split()[9]) for line in LINES[:9]]
        assert mixed.skipped_records == 0

    @pytest.mark.parametrize('trouble', ['500', 'throttle', 'drop', 'nothing'])
    def test_a_format_that_could_not_be_asked_for_is_reported(self, trouble: str, flowlogs: FakeAWS, cli: Cli) -> None:
        flowlogs.fault('DescribeFlowLogs', trouble, at=lambda params: True)
        result = cli('flowlogs', 'print', '1', '-s', '2016-02-01')
        assert result.lines == [LINES[0].decode()]
        assert 'the format of the log is not known (' in result.stderr
        assert result.stderr.endswith('): the default one is used\n')

    def test_not_to_be_allowed_to_ask_is_normal(self, flowlogs: FakeAWS, cli: Cli) -> None:
        flowlogs.deny('DescribeFlowLogs')
        assert cli('flowlogs', 'print', '1', '-s', '2016-02-01').stderr == ''

    def test_pages_of_descriptions(self) -> None:
        """A client of the user's own is asked as flowlogs-reader 5.0.1 asks."""
        client = MagicMock()
        client.describe_flow_logs.side_effect = [
            {'FlowLogs': [{'LogFormat': '${srcaddr} ${bytes}'}], 'NextToken': 'n'},
            {'FlowLogs': [{'LogFormat': '${dstaddr} ${bytes} ${action}'}]},
        ]
        logs = MagicMock()
        logs.get_paginator.return_value.paginate.return_value = [
            {'events': [{'message': '10.0.0.1 5'}, {'message': '10.0.0.2 6 REJECT'}]}
        ]
        found = list(reader(fields=None, ec2_client=client, boto_client=logs))
        assert [(record.srcaddr, record.dstaddr, record.bytes) for record in found] == [
            ('10.0.0.1', None, 5), (None, '10.0.0.2', 6),
        ]  # fmt: skip
        assert client.describe_flow_logs.call_args.kwargs['NextToken'] == 'n'

    @pytest.mark.parametrize('options', [[], ['--no-pushdown']])
    def test_a_field_that_the_log_lacks_is_reported_whether_or_not_cloudwatch_looks_for_it(
        self, options: list[str], flowlogs: FakeAWS, cli: Cli
    ) -> None:
        result = cli('flowlogs', '-s', '2016-02-01', '-w', 'vpc_id=vpc-1', *options, status=1)
        assert 'this log has no field vpc_id' in result.stderr

    def test_lines_that_no_format_fits_are_left_out(self, fake: FakeAWS) -> None:
        load(fake, [b'one two', *in_format(CUSTOM)], log_format(CUSTOM), log_format(traffic.FIELDS))
        some = reader(fields=None)
        assert lines_of(some) == in_format(CUSTOM)
        assert some.skipped_records == 1
        assert some.mismatch() is None

    def test_when_nothing_fits_the_error_says_what_to_give(self, fake: FakeAWS, cli: Cli) -> None:
        load(fake, in_format(CUSTOM))
        nothing = reader(fields=None)
        assert lines_of(nothing) == []
        mismatch = nothing.mismatch()
        assert isinstance(mismatch, FlowLogsError)
        assert str(mismatch).endswith('the lines have 8 columns, the format has 14')
        assert mismatch.cause is Cause.FORMAT_MISMATCH
        result = cli('flowlogs', '-s', '2016-02-01', status=1)
        assert 'the lines have 8 columns, the format has 14: give the fields of this log with --fields' in result.stderr

    def test_ec2_is_asked_in_the_region_of_the_log_group(self, seeded: FakeAWS, cli: Cli) -> None:
        cli('VPCFlowLogGroup', '--region', SEED_REGION)
        assert {call.region for call in seeded.calls()} == {SEED_REGION}

    def test_every_field_that_aws_documents(self, fake: FakeAWS) -> None:
        names = [field.name.replace('_', '-') for field in FIELDS]
        load(fake, in_format(names), log_format(names))
        found = list(reader(fields=None))
        assert [record.to_dict()['vpc_id'] for record in found] == ['vpc-0a1b2c3d4e5f60718'] * 9


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', ROADS)
@pytest.mark.parametrize('trouble', ['throttle', '500', '503', 'drop', 'cut', 'half_json'])
def test_passing_trouble_is_tried_again(flowlogs: FakeAWS, trouble: str, threads: int) -> None:
    flowlogs.fault('FilterLogEvents', trouble, at={3})
    assert lines_of(reader(threads, boto_client_kwargs={'config': TWO_TRIES})) == LINES


@pytest.mark.parametrize(
    ('trouble', 'code'),
    [
        ('deny', 'AccessDeniedException'),
        ('expire_credentials', 'ExpiredToken'),
        ('expire_token', 'nextToken is invalid'),
    ],
)
def test_lasting_trouble_is_one_line_that_says_how_far_the_output_goes(
    flowlogs: FakeAWS, trouble: str, code: str, cli: Cli
) -> None:
    flowlogs.fault('FilterLogEvents', trouble, at=4, times=99)
    result = cli('flowlogs', '-s', '2016-02-01', '--fields', ' '.join(DEFAULT_FIELDS), '--thread-count', '0', status=1)
    assert code in result.stderr
    assert result.stderr.count('\n') == 1
    resume = result.stderr.strip().rpartition('go on from there with -s ')[2]
    flowlogs.clear_faults()
    flowlogs.sts.expired.clear()
    rest = cli('flowlogs', '-s', resume, '--fields', ' '.join(DEFAULT_FIELDS))
    assert (result.stdout + rest.stdout).splitlines() == LINES
    assert result.stdout


def test_a_repeated_token_is_reported_on_the_command_line(flowlogs: FakeAWS, cli: Cli) -> None:
    flowlogs.fault('FilterLogEvents', 'repeat_token', at=lambda params: 'nextToken' in params)
    result = cli('flowlogs', '-s', '2016-02-01', '--thread-count', '0', status=1)
    assert 'the same page token twice' in result.stderr
    assert 'the output is complete up to' in result.stderr


# -- a client that is handed in ----------------------------------------------------------------------------------------


class TestHandedIn:
    """The client is the user's own: it may be anything that has get_paginator."""

    PAGES = (
        {'events': [{'message': line.decode()} for line in MINUTE.splitlines()[:2]]},
        {'events': []},
        {'events': [{'message': MINUTE.decode().splitlines()[2], 'timestamp': 1454324362000, 'eventId': '1'}]},
    )

    def client(self, pages: Any = PAGES) -> MagicMock:
        client = MagicMock()
        client.get_paginator.return_value.paginate.return_value = pages
        return client

    def test_it_is_used_as_it_is(self) -> None:
        client = self.client()
        found = FlowLogsReader('group', boto_client=client, filter_pattern='REJECT', **DAY)
        assert [record.to_message().encode() for record in found] == MINUTE.splitlines()[:3]
        client.get_paginator.assert_called_once_with('filter_log_events')
        kwargs = client.get_paginator.return_value.paginate.call_args.kwargs
        assert kwargs['logGroupName'] == 'group'
        assert kwargs['filterPattern'] == 'REJECT'
        assert (kwargs['startTime'], kwargs['endTime']) == (1454284800000, 1454371199999)
        assert found.boto_client is client
        client.meta.events.register.assert_not_called()

    def test_nothing_is_called_before_the_first_record_is_asked_for(self) -> None:
        client = self.client()
        FlowLogsReader('group', boto_client=client, **DAY)
        assert client.mock_calls == []

    def test_its_pagination_error_is_not_the_silent_end(self) -> None:
        def pages() -> Iterator[Any]:
            yield self.PAGES[0]
            raise PaginationError(message='The same next token was received twice')

        reader = FlowLogsReader('group', boto_client=self.client(pages()), thread_count=1, **DAY)
        with pytest.raises(FlowLogsError, match='same page token twice'):
            list(reader)

    @pytest.mark.parametrize('threads', ROADS)
    def test_a_real_client(self, flowlogs: FakeAWS, threads: int) -> None:
        client = boto3.client('logs', region_name=REGION)
        assert lines_of(reader(threads, boto_client=client)) == LINES
