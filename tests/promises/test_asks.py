"""What an engineer on call asks, over every kind of source: sums by class, fields against fields, hosts.

The expected answers are computed here, from the rows that the log is made of.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from operator import itemgetter
from pathlib import Path

import pytest

from tests import random_vpc as vpc
from tests.conftest import Cli
from tests.fake.aws import FakeAWS
from tests.random_vpc import Row
from tests.roads import ROADS

WINDOW = ('-s', str(vpc.START - 60), '-e', str(vpc.START + 3600))
ROWS = vpc.rows()
FLOWS = [row for row in ROWS if row['bytes'] != '-']
# A road to each kind of source, and Parquet, whose rows are summed by Arrow.
ASKED = ('cloudwatch', 's3 hive', 'file gzip', 'file parquet', 'stdin plain')
Ask = Callable[..., list[str]]


@pytest.fixture(params=ASKED)
def ask(request: pytest.FixtureRequest, fake: FakeAWS, tmp_path: Path, cli: Cli) -> Ask:
    read = ROADS[request.param].lay(vpc.log(ROWS), fake, tmp_path).over(cli)
    return lambda *argv: read(*argv, *WINDOW).stdout.decode().replace('\t', ' ').splitlines()


def top(rows: Iterable[Row], key: Callable[[Row], str], count: int = 10) -> list[str]:
    """The lines of `top`, without the header."""
    sums: dict[str, Counter[str]] = {}
    for row in rows:
        sums.setdefault(key(row), Counter()).update(
            {'bytes': int(row['bytes']), 'packets': int(row['packets']), 'flows': 1}
        )
    order = sorted(sums, key=lambda text: (-sums[text]['bytes'], text))
    return [' '.join([*(str(sums[text][name]) for name in ('bytes', 'packets', 'flows')), text]) for text in order][
        :count
    ]


PRIVATE = [ip_network(text) for text in '10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10'.split()]
PRIVATE += [ip_network(text) for text in 'fc00::/7 fe80::/10 169.254.0.0/16'.split()]


def ends(row: Row) -> tuple[str, str]:
    return row['srcaddr'], row['dstaddr']


def class_of(text: str) -> str:
    address = ip_address(text)
    if any(address in network for network in PRIVATE):
        return 'private'
    return 'internet' if address.is_global and not address.is_multicast else 'special'


# -- inside or outside -------------------------------------------------------------------------------------------------


def test_sums_by_class(ask: Ask) -> None:
    expected = top(FLOWS, lambda row: f'{class_of(row["srcaddr"])} {class_of(row["dstaddr"])}')
    assert len(expected) == 5
    assert ask('top', 'srcaddr/class', 'dstaddr/class') == [
        'bytes packets flows srcaddr/class dstaddr/class',
        *expected,
    ]


@pytest.mark.parametrize(
    ('conditions', 'passes'),
    [
        (['dstaddr=internet'], lambda row: class_of(row['dstaddr']) == 'internet'),
        (['dstaddr/class=internet'], lambda row: class_of(row['dstaddr']) == 'internet'),
        (['dstaddr!=internet'], lambda row: class_of(row['dstaddr']) != 'internet'),
        (['pkt_srcaddr=private', 'dstaddr!=private'],
         lambda row: class_of(row['pkt_srcaddr']) == 'private' != class_of(row['dstaddr'])),
        (['addr=Internet,203.0.113.0/24'],
         lambda row: 'internet' in map(class_of, ends(row)) or '203.0.113.9' in ends(row)),
        (['addr!=internet'], lambda row: 'internet' not in map(class_of, ends(row))),
        (['srcaddr/class=special'], lambda row: class_of(row['srcaddr']) == 'special'),
        (['srcaddr/class!=dstaddr/class'], lambda row: class_of(row['srcaddr']) != class_of(row['dstaddr'])),
        (['srcaddr/class=dstaddr/class', 'action=REJECT'],
         lambda row: class_of(row['srcaddr']) == class_of(row['dstaddr']) and row['action'] == 'REJECT'),
    ],
)  # fmt: skip
def test_inside_or_outside(conditions: list[str], passes: Callable[[Row], bool], ask: Ask) -> None:
    argv = [word for condition in conditions for word in ('-w', condition)]
    expected = top(filter(passes, FLOWS), lambda row: row['dstaddr'])
    assert expected
    assert ask('top', 'dstaddr', '--no-header', *argv) == expected


def test_a_timeline_by_class(ask: Ask) -> None:
    flows = Counter((int(row['start']) // 300 * 300, class_of(row['dstaddr'])) for row in FLOWS)
    rows = [line.split() for line in ask('timeline', '5m', 'dstaddr/class', '--times', 'epoch', '--no-header')]
    assert {(int(start), label): int(count) for start, label, count, *_ in rows if count != '0'} == flows


def test_both_directions_by_class(ask: Ask) -> None:
    pairs: Counter[str] = Counter()
    for row in FLOWS:
        pairs[' '.join(sorted((class_of(row['srcaddr']), class_of(row['dstaddr']))))] += int(row['bytes'])
    rows = ask('aggregate', 'srcaddr/class', 'dstaddr/class', '--both-ways', '--times', 'epoch', '--no-header')
    found = {' '.join(sorted((values[3], values[6]))): int(values[0]) for values in map(str.split, rows)}
    assert found == pairs


# -- fields against fields ---------------------------------------------------------------------------------------------


def known(row: Row, *names: str) -> bool:
    return all(row[name] != '-' for name in names)


@pytest.mark.parametrize(
    ('condition', 'passes'),
    [
        ('pkt_srcaddr!=srcaddr', lambda row: row['pkt_srcaddr'] != row['srcaddr']),
        ('pkt_dstaddr=dstaddr', lambda row: row['pkt_dstaddr'] == row['dstaddr']),
        ('addr!=pkt_srcaddr', lambda row: row['pkt_srcaddr'] not in ends(row)),
        ('srcport=dstport', lambda row: row['srcport'] == row['dstport']),
        ('srcport<dstport', lambda row: int(row['srcport']) < int(row['dstport'])),
        ('bytes>=packets', lambda row: int(row['bytes']) >= int(row['packets'])),
        ('tcp_flags!=traffic_path',
         lambda row: known(row, 'tcp_flags', 'traffic_path') and row['tcp_flags'] != row['traffic_path']),
        ('traffic_path<=tcp_flags',
         lambda row: known(row, 'tcp_flags', 'traffic_path') and int(row['traffic_path']) <= int(row['tcp_flags'])),
    ],
)  # fmt: skip
def test_fields_against_fields(condition: str, passes: Callable[[Row], bool], ask: Ask) -> None:
    flows = [row for row in FLOWS if passes(row)]
    assert flows
    assert ask('top', 'dstaddr', '--no-header', '-w', condition) == top(flows, lambda row: row['dstaddr'])
    wanted = sorted(' '.join(row[name] for name in ('start', 'end', 'srcaddr', 'srcport', 'bytes')) for row in flows)
    assert sorted(ask('print', '-w', condition, '-c', 'start,end,srcaddr,srcport,bytes')) == wanted


# -- hosts -------------------------------------------------------------------------------------------------------------


def both_ends(rows: Iterable[Row], key: Callable[[Row, str], str]) -> dict[str, list[int]]:
    """Bytes, packets, flows, bytes in and bytes out: each flow counts at its source and at its destination."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        for end, octets in (('src', (0, int(row['bytes']))), ('dst', (int(row['bytes']), 0))):
            values = (int(row['bytes']), int(row['packets']), 1, *octets)
            total = sums.setdefault(key(row, end), [0] * 5)
            total[:] = map(sum, zip(total, values))
    return sums


def most(sums: dict[str, list[int]], count: int, measure: int = 0) -> list[str]:
    order = sorted(sums, key=lambda text: (-sums[text][measure], text))[:count]
    return [' '.join([*map(str, sums[text]), text]) for text in order]


HOSTS: list[tuple[list[str], Callable[[Row, str], str]]] = [
    (['addr'], lambda row, end: row[f'{end}addr']),
    (['port'], lambda row, end: row[f'{end}port']),
    (['pkt_addr/16', '-w', 'type=IPv4'], lambda row, end: f'{ip_network(row[f"pkt_{end}addr"] + "/16", strict=False)}'),
    (['addr/class,dstport'], lambda row, end: f'{class_of(row[f"{end}addr"])} {row["dstport"]}'),
    (['port', 'addr', 'action'], lambda row, end: f'{row[f"{end}port"]} {row[f"{end}addr"]} {row["action"]}'),
]


@pytest.mark.parametrize(('keys', 'key'), HOSTS, ids=[' '.join(keys) for keys, _ in HOSTS])
def test_each_flow_counts_at_both_its_ends(keys: list[str], key: Callable[[Row, str], str], ask: Ask) -> None:
    flows = [row for row in FLOWS if row['type'] == 'IPv4' or '-w' not in keys]
    sums = both_ends(flows, key)
    header, *found = ask('top', '20', *keys)
    assert header.startswith('bytes packets flows bytes_in bytes_out ')
    assert found == most(sums, 20)
    assert ask('top', '3', *keys, '--by', 'flows', '--no-header') == most(sums, 3, 2)


@pytest.mark.parametrize('measure', ['bytes', 'packets', 'flows'])
@pytest.mark.parametrize('field', ['srcaddr', 'protocol', 'tcp_flags'])
def test_shares_of_the_whole(field: str, measure: str, cli: Cli) -> None:
    log = vpc.log(ROWS).text()
    sums: dict[str, list[int]] = {}
    for row in FLOWS:
        total = sums.setdefault(row[field], [0] * 3)
        total[:] = map(sum, zip(total, (int(row['bytes']), int(row['packets']), 1)))
    at = ('bytes', 'packets', 'flows').index(measure)
    whole = [*map(sum, zip(*sums.values()))]
    order = sorted(sums, key=lambda text: (-sums[text][at], text))
    for count in (1, 2, len(order), 99):
        shown = {text: sums[text] for text in order[:count]}
        if count < len(order):
            shown['other'] = [*map(sum, zip(*(sums[text] for text in order[count:])))]
        expected = [
            ' '.join([*map(str, total), f'{100 * total[at] / whole[at]:.1f}', text]) for text, total in shown.items()
        ]
        argv = ['top', str(count), field, '--share', '--by', measure, '--quiet']
        header, *found = cli('-', *argv, stdin=log).stdout.decode().replace('\t', ' ').splitlines()
        assert header == f'bytes packets flows share {field}'
        assert found == expected


def test_shares_are_numbers_and_the_others_have_a_row_in_every_encoding(cli: Cli) -> None:
    log = vpc.log(ROWS).text()
    first, other = cli('-', 'top', '1', 'dstport', 'srcaddr', '--share', '-o', 'jsonl', '--quiet', stdin=log).lines
    assert isinstance(json.loads(first)['share'], float) and isinstance(json.loads(first)['dstport'], str)
    assert (json.loads(other)['dstport'], json.loads(other)['srcaddr']) == ('other', None)
    hosts = [
        json.loads(line) for line in cli('-', 'top', '3', 'addr', '--share', '-o', 'jsonl', '--quiet', stdin=log).lines
    ]
    whole = sum(int(row['bytes']) for row in FLOWS)
    assert [sum(row[name] for row in hosts) for name in ('bytes', 'bytes_in', 'bytes_out')] == [2 * whole, whole, whole]
    distinct = cli('-', 'top', '1', 'srcaddr', '--distinct', 'dstport', '--share', '--no-header', '--quiet', stdin=log)
    assert distinct.lines[1].split('\t')[3] == '-' and distinct.lines[1].endswith('other')
    assert cli('-', 'top', '--share', '--no-header', '-w', 'dstport=1', '--quiet', stdin=log).lines == []


@pytest.mark.parametrize('more', [[], ['--both-ways']])
@pytest.mark.parametrize('measure', ['bytes', 'packets', 'flows'])
def test_aggregate_sorts_and_cuts(measure: str, more: list[str], cli: Cli) -> None:
    log = vpc.log(ROWS).text()
    ask = ['-', 'aggregate', 'srcaddr,dstaddr', *more, '-o', 'jsonl', '--flows', '--quiet']
    rows = [json.loads(line) for line in cli(*ask, stdin=log).lines]
    rows.sort(key=lambda row: (-row[measure], f'{row["srcaddr"]} {row["dstaddr"]}'))
    assert [json.loads(line) for line in cli(*ask, '--by', measure, stdin=log).lines] == rows
    ask.insert(2, '7')
    assert [json.loads(line) for line in cli(*ask, '--by', measure, stdin=log).lines] == rows[:7]
    ask.remove('--flows')
    assert ('flows' in json.loads(cli(*ask, '--by', measure, stdin=log).lines[0])) == (measure == 'flows')


# -- names -------------------------------------------------------------------------------------------------------------

PATHS = {'-': '-', '1': 'vpc', '4': 'peering', '7': 'endpoint', '8': 'igw'}
FLAGS = {
    '-': '-', '0': '0', '2': 'SYN', '3': 'FIN+SYN', '4': 'RST', '18': 'SYN+ACK', '19': 'FIN+SYN+ACK',
}  # fmt: skip
NAMED = {
    'protocol': {'-': '-', '1': 'icmp', '6': 'tcp', '17': 'udp'},
    'tcp_flags': FLAGS,
    'traffic_path': PATHS,
}


@pytest.mark.parametrize('more', [[], ['--times', 'iso', '--tz', 'Asia/Tokyo']], ids=['epoch', 'zone'])
@pytest.mark.parametrize('output', ['text', 'tsv', 'csv', 'jsonl'])
def test_names_on_every_output(output: str, more: list[str], cli: Cli) -> None:
    log = vpc.log(ROWS).text()
    columns = ['start', *NAMED, 'dstport', 'version']
    argv = ['-', 'print', '-c', ','.join(columns), '-o', output, '--quiet', *more]
    plain, named = (cli(*argv, *option, stdin=log).lines for option in ([], ['--names']))
    split = {'text': ' ', 'tsv': '\t', 'csv': ','}
    if output == 'jsonl':
        rows = [json.loads(line) for line in plain]
        expected = [
            row | {field: row[field] and words[str(row[field])] for field, words in NAMED.items()} for row in rows
        ]
        # A zero without a name is text too: a column is of one kind.
        assert [json.loads(line) for line in named] == [
            row | {'tcp_flags': '0' if flags == 0 else row['tcp_flags']}
            for row, flags in zip(expected, (row['tcp_flags'] for row in rows))
        ]
        return
    assert [line.split(split[output]) for line in named] == [
        [NAMED.get(name, {}).get(value or '-', value) if value else value for name, value in zip(columns, values)]
        for values in (line.split(split[output]) for line in plain)
    ]


def test_names_of_tables(ask: Ask) -> None:
    for field, words in NAMED.items():
        expected = top(FLOWS, itemgetter(field))
        wanted = [' '.join([*line.split()[:3], words[line.split()[3]]]) for line in expected]
        assert ask('top', field, '--names', '--no-header') == wanted
    flows = Counter(NAMED['protocol'][row['protocol']] for row in FLOWS)
    rows = [line.split() for line in ask('timeline', '1d', 'protocol', '--names', '--no-header')]
    assert {row[1]: int(row[2]) for row in rows} == flows
    igw = [row for row in FLOWS if row['traffic_path'] == '8' and row['protocol'] == '6']
    found = ask(
        'aggregate', 'traffic_path', 'protocol', '--names', '--flows', '-w', 'traffic_path=igw', '-w', 'protocol=tcp'
    )
    assert [row.split()[-1] for row in found] == ['traffic_path', 'igw'] and f' {len(igw)} ' in found[1]


def test_names_that_are_not_known_stay_numbers(cli: Cli) -> None:
    log = b'tcp-flags protocol traffic-path\n0 253 99\n65 6 -\n63 0 2\n'
    assert cli('-', '-c', 'tcp_flags,protocol,traffic_path', '--names', '--header', stdin=log).lines == [
        'tcp_flags protocol traffic_path', '0 253 99', '65 tcp -', 'FIN+SYN+RST+PSH+ACK+URG 0 igw-or-endpoint',
    ]  # fmt: skip
    assert '--names does not go with --raw' in cli('-', '--names', '--raw', status=2).stderr
    assert '--names does not go with ipset' in cli('-', 'ipset', '--names', status=2).stderr
