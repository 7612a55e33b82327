"""What an engineer on call asks, over every kind of source: sums by class, fields against fields, hosts.

The expected answers are computed here, from the rows that the log is made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
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
