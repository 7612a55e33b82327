"""Regression tests for silent errors that a review found."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from flowlogs_reader import FlowRecord, aggregated_records
from tests.conftest import MINUTE_WINDOW, ROOT, Cli
from tests.fake.aws import FakeAWS

V5 = ('version', 'interface-id', 'srcaddr', 'dstaddr', 'pkt-srcaddr', 'az-id', 'pkt-dst-aws-service', 'bytes', 'start')
ROW = b'5 eni-1 10.0.0.1 10.0.0.2 10.0.0.9 use1-az1 S3 40 1454324362'


class Marked(FlowRecord):
    """A subclass of a user's, with an attribute of its own."""

    mark = 'none'


def log(path: Path, *rows: bytes, fields: tuple[str, ...] = V5) -> str:
    place = path / 'flows.log'
    place.write_bytes(b'\n'.join([' '.join(fields).encode(), *rows, b'']))
    return str(place)


def test_only_what_the_user_typed_is_a_usage_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that raises ValueError while a run is prepared has a traceback, and is not exit status 2."""

    def broken(name: str) -> None:
        raise ValueError('a bug')

    monkeypatch.setattr('flowlogs_reader.cli.queries.parse_zone', broken)
    with pytest.raises(ValueError, match='a bug'):
        cli('-', status=2)


def test_debug_shows_where_a_usage_error_arose(cli: Cli) -> None:
    told = cli('-', '-w', 'nonsense', '--debug', status=2).stderr
    assert 'Traceback' in told and 'parse_condition' in told
    assert 'Traceback' not in cli('-', '-w', 'nonsense', status=2).stderr


def test_the_same_object_twice_is_two_flows() -> None:
    flow = FlowRecord({'srcaddr': '10.0.0.1', 'packets': 1, 'bytes': 40, 'start': 10, 'end': 20})
    (row,) = aggregated_records([flow, flow, flow], ['srcaddr'])
    assert (row['packets'], row['bytes']) == (3, 120)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_record_keeps_its_class(protocol: int) -> None:
    made = Marked({'srcaddr': '10.0.0.1', 'start': 1454324362123})
    made.mark = 'mine'  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(made, protocol))
    assert again == made and again.start == made.start
    assert isinstance(again, Marked) and again.mark == 'mine'
    read = Marked.from_cwl_event({'message': '10.0.0.1 40'}, ['srcaddr', 'bytes'])
    assert type(pickle.loads(pickle.dumps(read, protocol))) is type(read)


@pytest.mark.parametrize('location', ['gs://bucket/logs', 'https://example.org/x', 'file:///tmp/x'])
def test_an_unknown_scheme_is_not_a_log_group(location: str, fake: FakeAWS, cli: Cli) -> None:
    told = cli(location, status=2).stderr
    assert 'is not a place that logs are read from' in told and 's3://BUCKET/PREFIX' in told
    assert fake.calls() == []


@pytest.mark.parametrize('action', [('timeline',), ('top',), ('aggregate',), ('ipset',)])
@pytest.mark.parametrize('location', ['flowlogs', 's3://flowlogs'])
def test_a_table_of_a_read_that_brought_nothing_is_not_written(
    location: str, action: tuple[str, ...], fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('AWS_ACCESS_KEY_ID')
    monkeypatch.delenv('AWS_SECRET_ACCESS_KEY')
    result = cli(location, *action, *MINUTE_WINDOW, status=1)
    assert result.stdout == b''
    assert 'Unable to locate credentials' in result.stderr


@pytest.mark.parametrize(
    ('condition', 'found'),
    [
        ('pkt_dst_aws_service=s3', 1),
        ('pkt_dst_aws_service!=s3', 0),
        ('az_id=USE1-AZ1', 1),
        ('pkt_dst_aws_service=s', 0),
    ],
)
def test_values_that_aws_writes_in_one_case_are_found_in_any(
    condition: str, found: int, cli: Cli, tmp_path: Path
) -> None:
    assert len(cli(log(tmp_path, ROW), '-w', condition).lines) == found


@pytest.mark.parametrize('argv', [('top', 'az_id'), ('aggregate', 'az_id')])
def test_records_whose_format_lacks_a_key_are_counted(argv: tuple[str, ...], fake: FakeAWS, cli: Cli) -> None:
    old = [b'2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1454324362 1454324365 ACCEPT OK'] * 2
    fake.add_log_group('mixed', lines=[*old, ROW], timestamp=lambda line: 1454324362000)
    fake.add_flow_log(log_group='mixed')
    fake.add_flow_log(log_group='mixed', log_format=' '.join(f'${{{name}}}' for name in V5))
    told = cli('mixed', *argv, *MINUTE_WINDOW).stderr
    assert (
        told == 'flowlogs_reader: 2 records have no field az_id: it is not in their format; they count as missing it\n'
    )


def test_records_whose_format_lacks_a_condition_are_counted(cli: Cli) -> None:
    text = b'srcaddr bytes\n10.0.0.1 40\nsrcaddr bytes az-id\n10.0.0.1 40 use1-az1\n'
    result = cli('-', '-w', 'az_id=use1-az1', '-c', 'srcaddr,az_id', stdin=text)
    assert result.stdout == b'10.0.0.1 use1-az1\n'
    assert '1 record has no field az_id' in result.stderr


def test_an_error_quotes_the_whole_value(cli: Cli) -> None:
    told = cli('-', '-w', 'traffic_path=internet-gateway', status=2).stderr
    assert "not 'internet-gateway'" in told


def test_a_run_over_a_file_loads_no_other_source(tmp_path: Path) -> None:
    code = (
        'import sys; from flowlogs_reader.cli.main import main; '
        'status = main([sys.argv[1], "top"]); '
        'print(*sys.modules, file=sys.stderr); '
        'sys.exit(status)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, log(tmp_path, ROW)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stderr.split()
    assert 'flowlogs_reader.sources.files' in loaded
    assert not [name for name in loaded if name.startswith('boto')]
    assert not [name for name in loaded if 'cloudwatch' in name or '.s3' in name or name.endswith('aws.session')]


def test_a_new_option_without_a_row_is_an_error_at_start() -> None:
    from io import BytesIO, StringIO

    from flowlogs_reader.cli.parser import check_table, make_parser

    parser = make_parser((BytesIO(), StringIO()))
    check_table(parser)
    parser.add_argument('--surprise')
    with pytest.raises(RuntimeError, match='surprise'):
        check_table(parser)
