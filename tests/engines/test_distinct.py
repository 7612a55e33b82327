"""top --distinct: the number of distinct values for each key, over every road."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests import traffic
from tests.conftest import SEED_REGION, Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log

LINES = list(traffic.lines(2_000, per_second=20))
FLOWS = [line.decode().split() for line in LINES if line.endswith(b' OK')]
WINDOW = ['-s', '2016-02-01T10:59Z', '-e', '2016-02-01T11:05Z']
PLACE = {name.replace('-', '_'): at for at, name in enumerate(traffic.FIELDS)}


def expected(keys: list[str], fields: list[str], by: str, count: int) -> list[list[str]]:
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    values: dict[tuple[str, ...], list[set[str]]] = defaultdict(lambda: [set() for _ in fields])
    for flow in FLOWS:
        key = tuple(flow[PLACE[name]] for name in keys)
        for at, number in enumerate((int(flow[PLACE['bytes']]), int(flow[PLACE['packets']]), 1)):
            sums[key][at] += number
        for seen, name in zip(values[key], fields):
            seen.add(flow[PLACE[name]])
    rows = [[*sums[key], *map(len, values[key]), *key] for key in sums]
    at = ['bytes', 'packets', 'flows', *fields].index(by)
    rows.sort(key=lambda row: (-int(row[at]), row[-len(keys) :]))
    return [[*map(str, row)] for row in rows[:count]]


@pytest.mark.parametrize('road', ['cloudwatch', 's3 hourly', 's3 parquet', 'file gzip', 'stdin plain', 'file parquet'])
def test_numbers_of_distinct_values(road: str, fake: FakeAWS, tmp_path: Path, cli: Cli) -> None:
    read = ROADS[road].lay(Log(LINES, region=SEED_REGION), fake, tmp_path).over(cli)
    for keys, fields, by in (
        (['srcaddr'], ['dstport'], 'dstport'),
        (['srcaddr'], ['dstport'], 'bytes'),
        (['interface_id', 'action'], ['srcaddr', 'dstport', 'protocol'], 'srcaddr'),
        (['dstaddr'], ['srcaddr', 'srcport'], 'flows'),
    ):
        argv = ['top', '12', *keys, '--distinct', ','.join(fields), '--by', by, *WINDOW]
        header, *found = (line.split('\t') for line in read(*argv).lines)
        assert header == ['bytes', 'packets', 'flows', *(f'distinct_{name}' for name in fields), *keys]
        assert found == expected(keys, fields, by, 12)


def test_python_and_c_count_alike() -> None:
    found = {
        subprocess.run(
            [
                sys.executable,
                '-m',
                'flowlogs_reader',
                '-',
                'top',
                '99',
                'srcaddr/8',
                '--distinct',
                'dstaddr/16,dstport',
            ],
            input=b'\n'.join([*LINES, b'']),
            env={**os.environ, 'FLOWLOGS_READER_PURE': pure},
            check=True,
            capture_output=True,
        ).stdout
        for pure in ('0', '1')
    }
    assert len(found) == 1


def test_a_missing_value_does_not_count(cli: Cli) -> None:
    log = b'srcaddr vpc-id bytes\na v 1\na - 2\na w 4\na v 8\nb - 16\n'
    assert [line.split('\t') for line in cli('-', 'top', 'srcaddr', '--distinct', 'vpc_id', stdin=log).lines[1:]] == [
        ['16', '0', '1', '0', 'b'],
        ['15', '0', '4', '2', 'a'],
    ]
    by = cli('-', 'top', 'srcaddr', '--distinct', 'vpc-id', '--by', 'vpc_id', '-o', 'csv', stdin=log).lines
    assert by == ['bytes,packets,flows,distinct_vpc_id,srcaddr', '15,0,4,2,a', '16,0,1,0,b']


def test_sums_of_more_digits_than_a_record_has(cli: Cli) -> None:
    log = b'interface-id srcaddr dstaddr dstport start bytes\n' + b''.join(
        b'eni-%d 10.0.0.1 10.0.0.2 %d %d %d\n' % (at % 2, at % 4, 1454324360 + at, 2**63) for at in range(8)
    )
    total = f'{8 * 2**63}'
    assert cli('-', 'top', 'srcaddr', '--distinct', 'dstport,start', stdin=log).lines[1:] == [
        f'{total}\t0\t8\t4\t8\t10.0.0.1'
    ]
    compared = cli('-', 'top', 'srcaddr', '-s', '1454324364', '--for', '4s', '--compare', '4s', stdin=log)
    assert compared.lines[1:] == [f'{4 * 2**63}\t{4 * 2**63}\t0\t10.0.0.1']
    # One of the two interfaces is the sender's.
    assert cli('-', 'top', 'srcaddr', '--once', stdin=log).lines[1:] == [f'{4 * 2**63}\t0\t4\t10.0.0.1']


def test_a_field_that_the_log_lacks_is_reported(cli: Cli) -> None:
    result = cli('-', 'top', 'srcaddr', '--distinct', 'vpc_id', stdin=b'\n'.join([*LINES, b'']))
    assert 'this log has no field vpc_id' in result.stderr


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (
            ['top', 'srcaddr', '--distinct', 'dstprt'],
            "--distinct takes fields: there is no field 'dstprt' (similar: dstport",
        ),
        (['top', 'srcaddr', '--distinct', 'bytes'], '--distinct takes fields: bytes is a sum'),
        (['top', 'srcaddr', '--distinct', 'dstport,dstport'], 'dstport is given twice'),
        (['top', 'srcaddr', '--distinct', 'dstport/8'], "'dstport/8': an address may have a prefix length"),
        (['top', 'srcaddr', '--distinct', 'srcaddr'], '--distinct srcaddr: srcaddr is a key already'),
        (
            ['top', 'srcaddr', '--distinct', 'dstport', '--by', 'dstaddr'],
            '--by dstaddr sorts by its distinct values: it goes with --distinct dstaddr',
        ),
        (['aggregate', '--distinct', 'dstport'], '--distinct does not go with aggregate: it is for top'),
        (['top', '--distinct', 'vpc_id', '--fields', 'srcaddr dstaddr'], '--fields has no vpc_id'),
    ],
)
def test_arguments_that_do_not_fit(argv: list[str], says: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli('group', *argv, status=2)
    assert says in result.stderr.splitlines()[-1]
    assert (result.stdout, fake.calls()) == (b'', [])
