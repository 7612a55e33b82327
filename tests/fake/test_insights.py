"""The interpreter of CloudWatch Logs Insights: it reproduces AWS's samples, and refuses what AWS does not document."""

from __future__ import annotations

import pytest

from tests.fake.insights import Refused, run_query

# Flow logs as in AWS's own examples (AmazonCloudWatch/latest/logs, CWL_QuerySyntax-examples).
FLOWS = [
    (1_454_324_362_000, '2 1 eni-1 10.0.0.1 10.0.0.9 443 40000 6 10 1000 1454324362 1454324415 ACCEPT OK'),
    (1_454_324_363_000, '2 1 eni-1 10.0.0.2 10.0.0.9 443 40001 6 20 3000 1454324363 1454324415 ACCEPT OK'),
    (1_454_324_400_000, '2 1 eni-1 10.0.0.1 10.0.0.9 53 40002 17 5 500 1454324400 1454324415 REJECT OK'),
    (1_454_328_000_000, '2 1 eni-2 - - - - - - - 1454328000 1454328060 - SKIPDATA'),
    (1_454_328_001_000, '2 1 eni-2 172.31.0.1 8.8.8.8 1 2 17 1 50 1454328001 1454328060 ACCEPT OK'),
]
MIB = [
    (0, 'user=alice, method:POST, latency := 4'),
    (1000, 'user=bob, method:GET, latency := 17'),
    (2000, 'nothing'),
]

SAMPLES = [
    # The top 15 packet transfers across hosts.
    (
        'stats sum(packets) as packetsTransferred by srcAddr, dstAddr | sort packetsTransferred desc | limit 15',
        [
            ['20', '10.0.0.2', '10.0.0.9'],
            ['15', '10.0.0.1', '10.0.0.9'],
            ['1', '172.31.0.1', '8.8.8.8'],
            ['0', '-', '-'],
        ],
    ),
    # The top byte transfers for hosts on a subnet.
    (
        'filter isIpv4InSubnet(srcAddr, "10.0.0.0/24") | stats sum(bytes) as bytesTransferred by dstAddr '
        '| sort bytesTransferred desc | limit 15',
        [['4500', '10.0.0.9']],
    ),
    # The addresses that used UDP.
    (
        'filter protocol=17 | stats count(*) by srcAddr',
        [['1', '10.0.0.1'], ['1', '172.31.0.1']],
    ),
    # The addresses where flow records were skipped.
    (
        'filter logStatus="SKIPDATA" | stats count(*) by bin(1h) as t | sort t',
        [['1', '2016-02-01 12:00:00.000']],
    ),
    # One record for each.
    (
        'fields srcAddr, dstPort | filter srcAddr != "-" | dedup srcAddr | limit 2',
        [['10.0.0.1', '40000'], ['10.0.0.2', '40001']],
    ),
    ("filter srcAddr like '172.31.' and dstAddr not like '172.31.' | fields dstAddr", [['8.8.8.8']]),
    ('stats sum(bytes) as b by srcAddr | stats max(b) as most', [['3000']]),
    ('filter action in ["REJECT", "-"] | stats count(*) as n', [['2']]),
    ('filter ispresent(srcAddr) and not ispresent(@log) | stats count(*) as n', [['5']]),
    ('filter packets ^ 2 = 400 | fields srcAddr', [['10.0.0.2']]),
    ('filter floor(packets / 4) % 2 = 1 | fields packets | sort packets asc', [['5'], ['20']]),
    ('fields strlen(srcAddr) as length, concat(srcAddr, ":", dstPort) as to | limit 1', [['8', '10.0.0.1:40000']]),
]  # fmt: skip


@pytest.mark.parametrize(('query', 'rows'), SAMPLES)
def test_samples(query: str, rows: list[list[str]]) -> None:
    found = [[value for name, value in row.items() if name != '@ptr'] for row in run_query(query, FLOWS)]
    assert sorted(found) == sorted(rows)
    if 'sort' in query and 'count' not in query:
        assert found == rows


@pytest.mark.parametrize(
    ('parse', 'expected'),
    [
        ('parse @message "user=*, method:*, latency := *" as @user, @method, latency', None),
        ('parse @message "user=*, method:*, latency := *" as u, m, latency', ['17', '4']),
        ('parse @message /user=(?<u>[a-z]+), method:(?<m>[A-Z]+), latency := (?<latency>[0-9]+)/', ['17', '4']),
        ('parse @message "user=*, method:*" as u, m', ['GET, latency := 17', 'POST, latency := 4']),
    ],
)
def test_parse(parse: str, expected: list[str] | None) -> None:
    """A glob of which the last star takes the rest, an expression with names; lines that do not match have no names."""
    last = 'latency' if 'latency' in parse else 'm'
    query = f'{parse} | filter ispresent({last}) | fields {last}'
    if expected is None:
        with pytest.raises(Refused):
            run_query(query, MIB)
    else:
        assert sorted(row[last] for row in run_query(query, MIB)) == expected


def test_natural_order() -> None:
    """Text comes before numbers, and runs of digits count as numbers."""
    events = [(at, value) for at, value in enumerate(['20', 'abc', 'x10', '3', 'x9'])]
    found = run_query('fields @message | sort @message asc', events)
    assert [row['@message'] for row in found] == ['abc', 'x9', 'x10', '3', '20']


def test_bins_are_cut_without_a_word() -> None:
    """300 s are read as 60."""
    rows = run_query('stats count(*) as n by bin(300s) as t', FLOWS[:3])
    assert len(rows) == len(run_query('stats count(*) as n by bin(1m) as t', FLOWS[:3])) == 2


@pytest.mark.parametrize('unknown', ['null', 'false'])
def test_comparisons_with_a_missing_field(unknown: str) -> None:
    """AWS does not document them."""
    query = 'parse @message /latency := (?<l>[0-9]+)/ | filter {} | stats count(*) as n'
    counts = [int(run_query(query.format(each), MIB, unknown)[0]['n']) for each in ('l != 4', 'not (l = 4)', 'l = 4')]
    assert counts == ([1, 1, 1] if unknown == 'null' else [2, 2, 1])


@pytest.mark.parametrize(
    'query',
    [
        'where_is @message',
        'filter srcAddr == "x"',
        'filter srcaddr = "x"',
        'filter srcAddr = "a" && dstAddr = "b"',
        'filter bytes & 2 = 2',
        'filter contains(srcAddr, "10")',
        'filter isIpv4InSubnet(srcAddr, "10.0.0.1/8")',
        'filter isIpv4InSubnet(srcAddr, "::/0")',
        'filter srcAddr in ("a", "b")',
        'filter srcAddr < "b"',
        'parse @message /(?<a_b>x)/',
        'parse @message /x/',
        'parse @message "* *" as a',
        'parse @message /(?<a>x)/ | parse @message /(?<a>y)/',
        'parse @message /(?<bytes>x)/',
        'stats sum(bytes) as bytes',
        'stats median(bytes)',
        'stats count(*) as n by srcAddr | filter dstAddr = "x"',
        'stats count(*) as n by srcAddr | fields @message',
        'sort bytes | stats count(*) as n',
        'limit 0',
        'limit 100001',
        'dedup srcAddr | fields srcAddr',
        'fields @message | estimate | limit 1',
        'stats count(*) by bin(5)',
        'fields @message |',
        'filter "a\\"b" = srcAddr',
    ],
)
def test_what_is_not_documented_is_refused(query: str) -> None:
    with pytest.raises(Refused):
        run_query(query, FLOWS)
