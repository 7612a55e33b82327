"""top, aggregate and timeline: the numbers, their order, and messages about what they leave out."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timezone
from io import BytesIO
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlogs_reader import FlowRecord
from flowlogs_reader.kernel.pure import network
from flowlogs_reader.records.layout import Layout
from tests import traffic
from tests.conftest import DATA, MINUTE, NOW, SEED_REGION, Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log
from tests.streams import Cut, output_of

SEED = str(DATA / 'seed-minute.log')
TRAFFIC = b''.join(line + b'\n' for line in traffic.lines(3_000, per_second=20))
RECORDS = [FlowRecord.from_cwl_event({'message': line.decode()}) for line in TRAFFIC.splitlines()]
FLOWS = [record for record in RECORDS if record.log_status == 'OK']
FIVE = 'srcaddr dstaddr srcport dstport protocol'.split()


def rows(result: Any) -> list[list[str]]:
    return [line.split('\t') for line in result.lines]


def flow(
    start: int, *, src: str = '10.0.0.1', dst: str = '10.0.0.2', octets: int = 100, action: str = 'ACCEPT'
) -> bytes:
    return b'2 1 eni-1 %b %b 50000 443 6 1 %d %d %d %b OK\n' % (
        src.encode(),
        dst.encode(),
        octets,
        start,
        start + 60,
        action.encode(),
    )


NODATA = b'2 1 eni-1 - - - - - - - %d %d - NODATA\n'
SKIPDATA = b'2 1 eni-%d - - - - - - - %d %d - SKIPDATA\n'


# -- top ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('by', ['bytes', 'packets', 'flows'])
@pytest.mark.parametrize('keys', [['srcaddr', 'dstaddr'], ['dstport'], ['action', 'protocol', 'srcaddr']], ids=' '.join)
def test_top_is_the_largest_sums(by: str, keys: list[str], cli: Cli) -> None:
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for record in FLOWS:
        total = sums[tuple(str(getattr(record, key)) for key in keys)]
        for at, number in enumerate((record.bytes, record.packets, 1)):
            total[at] += number
    order = ['bytes', 'packets', 'flows'].index(by)
    expected = sorted(sums.items(), key=lambda item: (-item[1][order], item[0]))
    found = rows(cli('-', 'top', '7', *keys, '--by', by, stdin=TRAFFIC))
    assert found[0] == ['bytes', 'packets', 'flows', *keys]
    assert found[1:] == [[*map(str, total), *key] for key, total in expected[:7]]


def test_top_of_ten_hosts_by_bytes_is_the_default(cli: Cli) -> None:
    default = cli('-', 'top', stdin=TRAFFIC)
    assert default.stdout == cli('-', 'top', '10', 'srcaddr', 'dstaddr', '--by', 'bytes', stdin=TRAFFIC).stdout
    assert len(default.lines) == 11
    assert default.stdout == cli('-', 'top', '10', stdin=TRAFFIC).stdout


def test_what_is_equal_comes_in_the_order_of_its_text_whatever_came_first(cli: Cli) -> None:
    log = [flow(1454324362, src=f'10.0.0.{last}') for last in (3, 1, 4, 2, 5)]
    found = [cli('-', 'top', '3', 'srcaddr', '--no-header', stdin=b''.join(lines)).lines for lines in (log, log[::-1])]
    assert found == [[f'100\t1\t1\t10.0.0.{last}' for last in (1, 2, 3)]] * 2


def test_the_outbound_hosts_of_one_host(cli: Cli) -> None:
    """The awk of session 6 of the transcripts, as a command."""
    result = cli(SEED, 'top', 'dstaddr', '-w', 'srcaddr=172.20.0.10', '--no-header')
    assert [(row[0], row[3]) for row in rows(result)] == [('4816', '103.246.150.154'), ('2232', '54.245.120.220')]


def value_of(record: FlowRecord, key: str) -> str:
    """The value of a key: the text of a field, or a network, such as that of srcaddr/16."""
    field, _, length = key.partition('/')
    text = str(getattr(record, field))
    if not length or int(length) >= ip_address(text).max_prefixlen:
        return text
    return str(ip_network((text, int(length)), strict=False))


@pytest.mark.parametrize('length', [0, 8, 20, 24, 32, 64, 128])
def test_a_key_with_a_prefix_length_is_a_network(length: int, cli: Cli) -> None:
    sums: dict[str, int] = defaultdict(int)
    for record in FLOWS:
        sums[value_of(record, f'srcaddr/{length}')] += record.bytes
    found = rows(cli('-', 'top', '9999', f'srcaddr/{length}', stdin=TRAFFIC))
    assert found[0][-1] == f'srcaddr/{length}'
    assert {row[3]: int(row[0]) for row in found[1:]} == sums


@pytest.mark.parametrize(
    ('text', 'length', 'block'),
    [('10.1.2.3', 16, '10.1.0.0/16'), ('10.1.2.3', 32, '10.1.2.3'), ('2001:DB8:0:0:1::', 48, '2001:db8::/48'),
     ('-', 8, '-'),
     ('unknown', 8, 'unknown')],
)  # fmt: skip
def test_networks(text: str, length: int, block: str) -> None:
    assert network(text.encode(), length, length) == block.encode()


def test_the_length_of_a_network_goes_by_the_kind_of_its_address() -> None:
    assert [network(text, 8, 48) for text in (b'10.1.2.3', b'2001:db8::1')] == [b'10.0.0.0/8', b'2001:db8::/48']


# -- aggregate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('keys', [FIVE, ['interface_id'], ['dstport', 'srcaddr/16'], ['action']], ids=' '.join)
def test_aggregate_by_any_fields(keys: list[str], cli: Cli) -> None:
    sums: dict[tuple[str, ...], list[FlowRecord]] = {}
    for record in FLOWS:
        sums.setdefault(tuple(value_of(record, key) for key in keys), []).append(record)
    expected = [
        dict(zip(keys, key))
        | {
            'bytes': str(sum(record.bytes for record in flows)),
            'packets': str(sum(record.packets for record in flows)),
            'start': str(min(record.start for record in flows)),
            'end': str(max(record.end for record in flows)),
            'flows': str(len(flows)),
        }
        for key, flows in sums.items()
    ]
    header, *found = rows(cli('-', 'aggregate', *keys, '--flows', stdin=TRAFFIC))
    assert header == sorted(expected[0])
    assert [dict(zip(header, row)) for row in found] == expected


def test_aggregate_without_options_is_the_five_tuple_without_flows(cli: Cli) -> None:
    header, *found = rows(cli('-', 'aggregate', stdin=TRAFFIC))
    assert header == 'bytes dstaddr dstport end packets protocol srcaddr srcport start'.split()
    assert found == [
        [cell for at, cell in enumerate(row) if at != 4]
        for row in rows(cli('-', 'aggregate', *FIVE, '--flows', stdin=TRAFFIC))[1:]
    ]


@pytest.mark.parametrize(
    ('argv', 'start'),
    [
        ([], '2016-02-01 10:59:22'),
        (['--tz', 'Asia/Tokyo'], '2016-02-01 19:59:22+09:00'),
        (['--times', 'iso'], '2016-02-01T10:59:22Z'),
        (['--times', 'iso', '--tz', 'Asia/Tokyo'], '2016-02-01T19:59:22+09:00'),
        (['--times', 'epoch'], 1454324362),
    ],
)
def test_times_of_aggregate(argv: list[str], start: str | int, cli: Cli) -> None:
    line = cli('-', 'aggregate', 'dstport', '-o', 'jsonl', *argv, stdin=flow(1454324362)).stdout
    row = json.loads(line)
    assert row.pop('end') != row['start']
    assert row == {'bytes': 100, 'dstport': 443, 'packets': 1, 'start': start}


class TestBothWays:
    def test_a_conversation_is_one_row(self, cli: Cli) -> None:
        header, *found = rows(cli(SEED, 'aggregate', '--both-ways', '--flows'))
        assert header == (
            'bytes bytes_to_dst bytes_to_src dstaddr dstport end flows packets protocol srcaddr srcport start'.split()
        )
        assert found[0] == (
            '2436 1501 935 103.246.150.154 443 2016-02-01,11:00:15 2 22 6 172.20.0.10 44589 2016-02-01,10:59:22'
        ).replace(',', '\0').replace(' ', '\t').replace('\0', ' ').split('\t')
        assert len(found) == 6  # 11 flows: five conversations with an answer, one without
        assert found[-1][:3] == ['40', '40', '0']

    def test_the_order_of_the_records_changes_nothing_but_the_order_of_the_rows(self, cli: Cli) -> None:
        backwards = b''.join(TRAFFIC.splitlines(keepends=True)[::-1])
        for keys in ([], ['srcaddr', 'dstaddr'], ['srcaddr/16', 'dstaddr/16', 'protocol']):
            one, other = (cli('-', 'aggregate', *keys, '--both-ways', stdin=log).lines for log in (TRAFFIC, backwards))
            assert sorted(one) == sorted(other)

    def test_nothing_is_lost_and_the_lower_port_is_the_destination(self, cli: Cli) -> None:
        header, *found = rows(cli('-', 'aggregate', '--both-ways', '--flows', stdin=TRAFFIC))
        table = [dict(zip(header, row)) for row in found]
        assert sum(int(row['flows']) for row in table) == len(FLOWS)
        assert sum(int(row['bytes']) for row in table) == sum(record.bytes for record in FLOWS)
        for row in table:
            assert int(row['bytes']) == int(row['bytes_to_dst']) + int(row['bytes_to_src'])
            assert int(row['dstport']) <= int(row['srcport'])
        ends = {(row['srcaddr'], row['srcport'], row['dstaddr'], row['dstport'], row['protocol']) for row in table}
        assert len(ends) == len(table)
        assert not any(
            (dst, dport, src, sport, proto) in ends - {(src, sport, dst, dport, proto)}
            for src, sport, dst, dport, proto in ends
        )

    def test_ports_are_compared_as_numbers(self, cli: Cli) -> None:
        line = b'2 1 eni-1 10.0.0.1 10.0.0.2 9000 10000 6 1 100 1454324362 1454324422 ACCEPT OK\n'
        row = json.loads(cli('-', 'aggregate', '--both-ways', '-o', 'jsonl', stdin=line).stdout)
        assert (row['srcport'], row['dstport'], row['srcaddr'], row['bytes_to_src']) == (10000, 9000, '10.0.0.2', 100)


# -- timeline ----------------------------------------------------------------------------------------------------------


def naive_timeline(seconds: int, first: int, last: int) -> list[list[str]]:
    table: dict[int, list[int]] = {start: [0] * 5 for start in range(first - first % seconds, last, seconds)}
    for record in FLOWS:
        start = int(record.start.replace(tzinfo=timezone.utc).timestamp())
        total = table[start - start % seconds]
        for at, number in enumerate(
            (1, record.bytes, record.packets, record.action == 'ACCEPT', record.action == 'REJECT')
        ):
            total[at] += number
    return [[str(start), *map(str, total)] for start, total in sorted(table.items())]


@pytest.mark.parametrize(('length', 'seconds'), [('1s', 1), ('3s', 3), ('1m', 60)])
def test_each_flow_counts_where_it_starts(length: str, seconds: int, cli: Cli) -> None:
    starts = [int(record.start.replace(tzinfo=timezone.utc).timestamp()) for record in FLOWS]
    found = rows(cli('-', 'timeline', length, '--times', 'epoch', stdin=TRAFFIC))
    assert found[0] == 'start flows bytes packets accepted rejected'.split()
    assert found[1:] == naive_timeline(seconds, min(starts), max(starts) + 1)


def test_intervals_without_flows_have_rows_too(cli: Cli) -> None:
    log = flow(1454324362) + NODATA % (1454324400, 1454324460) + flow(1454324362 + 180, action='REJECT')
    assert rows(cli('-', 'timeline', stdin=log))[1:] == [
        ['2016-02-01T10:59:00Z', '1', '100', '1', '1', '0'],
        ['2016-02-01T11:00:00Z', '0', '0', '0', '0', '0'],
        ['2016-02-01T11:01:00Z', '0', '0', '0', '0', '0'],
        ['2016-02-01T11:02:00Z', '1', '100', '1', '0', '1'],
    ]


def test_the_window_asked_for_has_all_its_rows(cli: Cli) -> None:
    window = ['-s', '2016-02-01T10:58:30Z', '-e', '2016-02-01T11:01:00Z']
    found = rows(cli('-', 'timeline', *window, stdin=flow(1454324362) + flow(1454324362 + 600)))[1:]
    assert [(row[0][11:16], row[1]) for row in found] == [('10:58', '0'), ('10:59', '1'), ('11:00', '0')]
    nothing = cli('-', 'timeline', *window)
    assert [row[1:] for row in rows(nothing)[1:]] == [['0'] * 5] * 3
    assert 'no records' in nothing.stderr


def test_days_begin_at_midnight_in_the_zone(cli: Cli) -> None:
    log = flow(1454324362) + flow(1454324362 + 86400)
    found = rows(cli('-', 'timeline', '1d', '--tz', 'Asia/Kolkata', stdin=log))[1:]
    assert [row[0] for row in found] == ['2016-02-01T00:00:00+05:30', '2016-02-02T00:00:00+05:30']


@pytest.mark.parametrize(
    ('argv', 'rows'),
    [
        (['timeline', '1s', '-s', '2016-01-01', '-e', '2016-02-01'], '2,678,400'),
        (['timeline', '1s', '-s', '0', '-e', '2016-02-01'], '1,454,284,800'),
    ],
)
def test_a_window_with_an_absurd_number_of_rows_is_a_usage_error(argv: list[str], rows: str, cli: Cli) -> None:
    assert f'would have {rows} rows: give a longer interval' in cli('-', *argv, status=2).stderr


def test_a_log_with_an_absurd_number_of_rows_is_reported(cli: Cli) -> None:
    result = cli('-', 'timeline', '1s', status=1, stdin=flow(1454324362) + flow(1454324362 + 10**6))
    assert result.stdout == b''
    assert 'would have 1,000,001 rows: give a longer interval, or -s and -e' in result.stderr


def test_a_log_without_start_counts_by_end_and_one_without_times_is_reported(cli: Cli) -> None:
    log = b'srcaddr bytes packets end action\n10.0.0.1 5 1 1454324400 ACCEPT\n'
    assert rows(cli('-', 'timeline', stdin=log))[1:] == [['2016-02-01T11:00:00Z', '1', '5', '1', '1', '0']]
    result = cli('-', 'timeline', status=1, stdin=b'srcaddr bytes\n10.0.0.1 5\n')
    assert 'this log has no times: its fields are srcaddr bytes' in result.stderr


def test_flows_without_a_start_are_reported(cli: Cli) -> None:
    log = b'start end bytes\n- 1454324400 5\n1454324400 1454324401 5\n'
    result = cli('-', 'timeline', status=1, stdin=log)
    assert [row[1] for row in rows(result)[1:]] == ['1']
    assert '1 flows are not in any interval' in result.stderr


@pytest.mark.parametrize('road', ['cloudwatch', 's3 hourly', 'file gzip', 'stdin plain', 'file parquet'])
@pytest.mark.parametrize('key', ['action', 'dstport', 'srcaddr/8'])
def test_a_timeline_has_a_row_for_each_interval_and_value(
    road: str, key: str, fake: FakeAWS, tmp_path: Path, cli: Cli
) -> None:
    log = Log(TRAFFIC.splitlines()[:1000], region=SEED_REGION)
    flows = [record for record in RECORDS[:1000] if record.log_status == 'OK']
    found = rows(
        ROADS[road].lay(log, fake, tmp_path).over(cli)('timeline', '20s', key, '--times', 'epoch', *traffic_window())
    )
    values = {value_of(record, key) for record in flows}
    order = sorted(values, key=lambda value: (int(value) if key == 'dstport' else 0, value))
    starts = [*range(1454324360, 1454324440, 20)]
    expected = {(start, value): [0] * 5 for start in starts for value in order}
    for record in flows:
        start = int(record.start.replace(tzinfo=timezone.utc).timestamp())
        total = expected[start - start % 20, value_of(record, key)]
        for at, number in enumerate(
            (1, record.bytes, record.packets, record.action == 'ACCEPT', record.action == 'REJECT')
        ):
            total[at] += number
    assert found[0] == ['start', key, 'flows', 'bytes', 'packets', 'accepted', 'rejected']
    assert found[1:] == [[str(start), value, *map(str, total)] for (start, value), total in expected.items()]


def traffic_window() -> list[str]:
    return ['-s', '1454324360', '-e', '1454324440']


def test_an_interval_without_flows_has_a_row_for_each_value(cli: Cli) -> None:
    log = flow(1454324362) + flow(1454324362 + 120, action='REJECT')
    found = [row[:3] for row in rows(cli('-', 'timeline', 'action', '--times', 'epoch', stdin=log))[1:]]
    assert found == [
        [str(1454324340 + 60 * at), action, str(flows)]
        for at, counts in enumerate([(1, 0), (0, 0), (0, 1)])
        for action, flows in zip(('ACCEPT', 'REJECT'), counts)
    ]
    window = ['-s', '2016-02-01T10:59Z', '--for', '2m']
    assert [row[1:3] for row in rows(cli('-', 'timeline', 'action', *window))[1:]] == [['-', '0']] * 2


def test_a_timeline_with_too_many_values_is_reported(cli: Cli) -> None:
    log = b''.join(flow(1454324362, src=f'10.0.{at // 250}.{at % 250}') for at in range(500))
    result = cli('-', 'timeline', '1s', 'srcaddr', status=1, stdin=log + flow(1454324362 + 200))
    assert result.stdout == b''
    assert 'by 500 values of srcaddr would have 100,500 rows: give a longer interval' in result.stderr


CUT = ['-s', '2016-02-01T10:58:30Z', '-e', '2016-02-01T11:01:00Z']


@pytest.mark.parametrize(
    ('argv', 'now', 'told'),
    [
        ([], NOW, ''),
        (['-s', '2016-02-01T10:58Z', '-e', '2016-02-01T11:01Z'], NOW, ''),
        (CUT, NOW, 'the window cuts 2016-02-01T10:58:00Z'),
        (['-s', '2016-02-01T10:58:30Z', '-e', '2016-02-01T11:01:00.001Z'], NOW,
         'the window cuts 2016-02-01T10:58:00Z and 2016-02-01T11:01:00Z'),
        (CUT, datetime(2016, 2, 1, 11, 16, tzinfo=timezone.utc), 'the window cuts 2016-02-01T10:58:00Z'),
        (CUT, datetime(2016, 2, 1, 11, 15, 59, tzinfo=timezone.utc),
         'the window cuts 2016-02-01T10:58:00Z; AWS may still deliver flows of 2016-02-01T11:00:00Z and later'),
        ([], datetime(2016, 2, 1, 11, 10, tzinfo=timezone.utc),
         'AWS may still deliver flows of 2016-02-01T10:59:00Z and later'),
        (['--tz', 'Asia/Tokyo'], datetime(2016, 2, 1, 11, 10, tzinfo=timezone.utc),
         'AWS may still deliver flows of 2016-02-01T19:59:00+09:00 and later'),
        (['--quiet'], datetime(2016, 2, 1, 11, 10, tzinfo=timezone.utc), ''),
    ],
)  # fmt: skip
def test_incomplete_intervals_are_reported(argv: list[str], now: datetime, told: str, cli: Cli) -> None:
    result = cli('-', 'timeline', *argv, stdin=MINUTE, now=now)
    assert result.stderr == (f'flowlogs_reader: some intervals are incomplete: {told}\n' if told else '')
    assert b':59:00' in result.stdout


# -- logs that lack fields ---------------------------------------------------------------------------------------------


def test_flows_of_a_log_that_counts_nothing_are_still_flows(cli: Cli) -> None:
    log = b'srcaddr start action log-status\n10.0.0.1 1454324400 ACCEPT OK\n- 1454324400 - NODATA\n'
    log += b'10.0.0.1 1454324401 REJECT OK\n'
    assert rows(cli('-', 'top', 'srcaddr', '--by', 'flows', stdin=log))[1:] == [['0', '0', '2', '10.0.0.1']]
    assert rows(cli('-', 'timeline', stdin=log))[1:] == [['2016-02-01T11:00:00Z', '2', '0', '0', '1', '1']]
    assert json.loads(cli('-', 'aggregate', 'srcaddr', '--flows', '-o', 'jsonl', stdin=log).stdout)['flows'] == 2


def test_aggregate_without_keys_takes_a_log_that_lacks_some_of_the_five(cli: Cli) -> None:
    for argv in ([], ['--fields', 'srcaddr bytes start end']):
        log = b'10.0.0.1 5 1454324400 1454324460\n'
        result = cli('-', 'aggregate', *argv, stdin=log if argv else b'srcaddr bytes start end\n' + log)
        assert result.lines[1:] == ['5\t-\t-\t2016-02-01 11:01:00\t0\t-\t10.0.0.1\t-\t2016-02-01 11:00:00']
        assert result.stderr == ''


def test_nodata_and_skipdata_are_not_flows(cli: Cli) -> None:
    log = NODATA % (1454324362, 1454324422) + SKIPDATA % (1, 1454324362, 1454324422)
    for action in ('top', 'aggregate', 'timeline', 'ipset'):
        assert cli('-', action, stdin=log).stdout == b''


@pytest.mark.parametrize(
    'action', [['top', 'vpc_id'], ['aggregate', 'vpc_id'], ['top', 'srcaddr', 'vpc-id']], ids=' '.join
)
def test_a_key_that_the_log_lacks_is_reported(action: list[str], cli: Cli) -> None:
    result = cli('-', *action, stdin=MINUTE)
    assert result.stderr == (
        'flowlogs_reader: this log has no field vpc_id: its fields are version account_id interface_id srcaddr dstaddr '
        'srcport dstport protocol packets bytes start end action log_status\n'
    )


# -- what the numbers leave out ----------------------------------------------------------------------------------------


class TestSkipData:
    LOG = flow(1454324362) + SKIPDATA % (1, 1454324370, 1454324430) + SKIPDATA % (2, 1454324381, 1454324441)

    @pytest.mark.parametrize('action', ['top', 'aggregate', 'timeline'])
    def test_the_message_says_how_many_and_from_when(self, action: str, cli: Cli) -> None:
        assert cli('-', action, stdin=self.LOG).stderr == (
            'flowlogs_reader: totals are incomplete: AWS skipped records 2 times from 2016-02-01T10:59:30Z to '
            '2016-02-01T10:59:41Z (SKIPDATA)\n'
        )

    def test_one_and_in_the_zone(self, cli: Cli) -> None:
        result = cli('-', 'top', '--tz', 'Asia/Tokyo', stdin=self.LOG.rpartition(b'2 1 eni-2')[0])
        assert result.stderr.endswith('AWS skipped records at 2016-02-01T19:59:30+09:00 (SKIPDATA)\n')

    @pytest.mark.parametrize(
        ('argv', 'count'),
        [
            (['-w', 'action=ACCEPT'], 2),  # what was skipped may have been accepted
            (['-w', 'srcaddr=10.0.0.1', '-w', 'bytes>1'], 2),
            (['-w', 'dstport!=22'], 2),
            (['-w', 'interface_id=eni-1'], 1),
            (['-w', 'interface_id!=eni-1'], 1),
            (['-w', 'interface_id=eni-3'], 0),
            (['-s', '2016-02-01T10:59:00Z', '-e', '2016-02-01T10:59:40Z'], 1),
            (['-s', '2016-02-01T10:59:00Z', '-e', '2016-02-01T10:59:30Z'], 0),
            (['--quiet'], 0),
        ],
    )
    def test_only_what_may_have_changed_the_numbers_counts(self, argv: list[str], count: int, cli: Cli) -> None:
        stderr = cli('-', 'aggregate', *argv, stdin=self.LOG).stderr
        assert ('2 times' in stderr, ' at ' in stderr) == (count == 2, count == 1)

    @pytest.mark.parametrize('action', [['print'], ['ipset'], ['findip', '10.0.0.1']], ids=' '.join)
    def test_actions_that_do_not_sum_say_nothing(self, action: list[str], cli: Cli) -> None:
        assert cli('-', *action, stdin=self.LOG).stderr == ''

    @pytest.mark.parametrize('condition', ['srcaddr=10.0.0.1', 'interface_id=eni-1', 'action=ACCEPT', 'dstport=443'])
    def test_what_is_pushed_to_cloudwatch_leaves_it_in(self, condition: str, fake: FakeAWS, cli: Cli) -> None:
        fake.add_log_group('group', lines=self.LOG.splitlines())
        window = ['-s', '2016-02-01T10:59:00Z', '-e', '2016-02-01T11:00:00Z']
        result = cli('group', 'top', '-w', condition, '--fields', ' '.join(Layout().fields), *window)
        assert len(result.lines) == 2
        assert 'totals are incomplete: AWS skipped records' in result.stderr
        assert fake.calls('FilterLogEvents')[0].params['filterPattern']


def test_a_read_that_breaks_off_still_gives_its_sums(fake: FakeAWS, cli: Cli) -> None:
    lines = [flow(1454324362 + second) for second in range(1000)]
    fake.add_log_group('group', SEED_REGION, [line.strip() for line in lines])
    fake.add_flow_log(log_group='group', region=SEED_REGION)
    fake.logs.page_events = 100
    fake.fault('FilterLogEvents', 'deny', at=3, times=10**6)
    window = ('-s', '2016-02-01', '-e', '2016-02-02')
    result = cli('group', 'aggregate', '--flows', '--region', SEED_REGION, '--thread-count', '1', *window, status=1)
    (row,) = rows(result)[1:]
    assert 100 <= int(row[4]) < 1000
    assert 'the output is complete up to' in result.stderr


# -- arguments ---------------------------------------------------------------------------------------------------------

WRONG = [
    (['top', 'ten'], "top takes a number and fields: there is no field 'ten'"),
    (['top', '0'], '1 or more, not 0'),
    (['top', '-1'], '-1'),
    (['top', '1.5'], "no field '1.5'"),
    (['top', '5', '6'], "no field '6'"),
    (['top', 'srcadr'], '(similar: srcaddr'),
    (['top', 'srcaddr', 'srcaddr'], 'srcaddr is given twice'),
    (['top', 'bytes'], 'bytes is a sum'),
    (['top', 'srcaddr/129'], "'srcaddr/129': an address may have a prefix length of 0 to 128"),
    (['top', 'dstport/8'], "'dstport/8': an address may have a prefix length"),
    (['top', 'srcaddr/'], "'srcaddr/': there is no mapping ''"),
    (['top', 'srcaddr/zone'], "'srcaddr/zone': there is no mapping 'zone': there is srcaddr/class"),
    (['top', 'action/class'], "'action/class': only addresses have networks, such as srcaddr/class"),
    (['top', 'srcaddr/class', 'SRCADDR/class'], 'srcaddr/class is given twice'),
    (
        ['aggregate', 'srcaddr/class', 'dstaddr', '--both-ways'],
        'both directions in one row need dstaddr/class beside srcaddr/class',
    ),
    (['top', 'srcaddr,dstadr'], "no field 'dstadr'"),
    (['top', 'srcaddr,,dstaddr'], "no field ''"),
    (['top', 'addr', 'srcaddr,addr'], 'addr is given twice'),
    (['top', 'addr/200'], "'addr/200': an address may have a prefix length"),
    (['top', 'addr', '--distinct', 'dstport'], '--distinct does not go with addr: give srcaddr or dstaddr'),
    (['top', 'addr', '--fields', 'srcaddr bytes'], '--fields has no dstaddr'),
    (['top', '--distinct', 'dstport', '--by', 'dstport', '--share'], '--share is of bytes, packets or flows'),
    (['aggregate', 'srcaddr', '--share'], '--share does not go with aggregate: it is for top'),
    (['aggregate', 'addr'], 'addr is srcaddr and dstaddr: give one of them here'),
    (['timeline', '5m', 'port'], 'port is srcport and dstport: give one of them here'),
    (['-c', 'addr,bytes'], 'addr is srcaddr and dstaddr'),
    (['aggregate', '5', 'srcaddr'], 'aggregate 5: a number of rows goes with --by'),
    (['aggregate', '0', 'srcaddr', '--by', 'bytes'], 'aggregate takes how many rows to print, 1 or more, not 0'),
    (['aggregate', '--by', 'rejected'], '--by of aggregate is bytes, packets or flows'),
    (['top', '--by', 'size'], "'size'"),
    (['aggregate', 'start'], 'start is a sum'),
    (['aggregate', 'srcaddr', '--both-ways'], 'both directions in one row need dstaddr beside srcaddr'),
    (
        ['aggregate', 'srcaddr/24', 'dstaddr', '--both-ways'],
        'both directions in one row need dstaddr/24 beside srcaddr/24',
    ),
    (['aggregate', 'protocol', '--both-ways'], 'both directions in one row need fields of both ends'),
    (['timeline', '0m'], "cannot read the length '0m': it must be more than zero"),
    (['timeline', '5'], "cannot read the length '5'"),
    (['timeline', '1m', '5m'], "a length of time, such as 5m, and a field: there is no field '5m'"),
    (['timeline', 'acton'], 'a field: there is no field'),
    (['timeline', 'action', '5m'], '5m comes before the fields: timeline 5m action'),
    (['timeline', '5m', 'action', 'dstport'], "timeline takes one field, not 'action dstport'"),
    (['timeline', '5m', 'start'], 'start is a sum'),
    (['timeline', '5m', 'dstport/8'], "'dstport/8': an address may have a prefix length"),
    (['timeline', '--by', 'size'], "--by of timeline is bytes, packets, flows or rejected; not 'size'"),
    (['top', '--by', 'rejected'], "--by of top is bytes, packets or flows; not 'rejected'"),
    (['timeline', '5m', 'vpc_id', '--fields', 'srcaddr start'], '--fields has no vpc_id'),
    (['top', '-w', 'dstport'], "'dstport' has no operator and no value"),
    (['top', '-w', 'vpc_id=x', '--fields', 'srcaddr bytes'], '--fields has no vpc_id, dstaddr: the'),
    (['-w', 'srcaddr!=pkt_srcaddr', '--fields', 'srcaddr bytes'], '--fields has no pkt_srcaddr: the'),
    (['-s', '1h', '-e', '5m', '--for', '10m'], '--for gives a length after -s or before -e'),
    (['-s', '1h', '--for', '0s'], 'more than zero'),
    (['-s', '1h', '--for', 'ever'], "'ever'"),
    (['-s', '1h', '--for', '99999999w'], 'out of the calendar'),
]  # fmt: skip


@pytest.mark.parametrize(('argv', 'says'), WRONG, ids=[' '.join(argv) for argv, _ in WRONG])
def test_arguments_that_do_not_fit_are_reported_before_any_request(
    argv: list[str], says: str, seeded: FakeAWS, cli: Cli
) -> None:
    result = cli('VPCFlowLogGroup', '--region', SEED_REGION, *argv, status=2)
    assert says in result.stderr.splitlines()[-1]
    assert (result.stdout, seeded.calls()) == (b'', [])


@pytest.mark.parametrize('action', ['top', 'aggregate', 'aggregate --both-ways', 'timeline', 'top srcaddr/24'])
@given(cuts=st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_any_cut_of_a_stream_gives_one_result(action: str, cuts: list[int]) -> None:
    log = b''.join(line + b'\n' for line in traffic.lines(60, per_second=7))
    whole = output_of('-', *action.split(), stdin=BytesIO(log))
    assert whole
    assert output_of('-', *action.split(), stdin=Cut(log, cuts)) == whole
