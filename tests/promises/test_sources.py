"""One expectation, every road: the same command gives the same bytes from every source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from io import BytesIO, StringIO
from ipaddress import ip_address
from pathlib import Path

import pytest

from flowlogs_reader.cli.parser import make_parser
from flowlogs_reader.cli.words import prepare, sources_of
from flowlogs_reader.records.fields import DEFAULT_FIELDS
from tests import traffic
from tests.conftest import Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log

START, END = 1454324420, 1454324990
WINDOW = ('-s', '2016-02-01 11:00:20', '-e', '2016-02-01 11:09:50')
CUSTOM = (
    'interface-id', 'start', 'end', 'srcaddr', 'dstaddr', 'vpc-id', 'srcport', 'dstport', 'protocol', 'bytes',
    'packets', 'tcp-flags', 'flow-direction', 'action', 'traffic-path', 'log-status',
)  # fmt: skip
# The order in which the command line puts the columns of CUSTOM after the default ones.
CUSTOM_EXTRA = ('vpc-id', 'tcp-flags', 'flow-direction', 'traffic-path')


def with_end(line: bytes, seconds: int) -> bytes:
    """Lines of one length keep the order of their starts in the keys of S3, which go by ends."""
    columns = line.split()
    columns[11] = b'%d' % (int(columns[10]) + seconds)
    return b' '.join(columns)


def make_lines() -> list[bytes]:
    """Some 4,000 records, NODATA and SKIPDATA among them; at the edges of the window some on either side."""
    lines = [with_end(line, 59) for line in traffic.lines(4200, start=START - 60, per_second=6)]
    at = next(number for number, line in enumerate(lines) if int(line.split()[10]) == END)
    # The last record of the window ends a whole capture window later, in an object of its own.
    return [*lines[:at], with_end(lines[at - 1], 599), *lines[at:]]


LINES = make_lines()
INSIDE = [line for line in LINES if START <= int(line.split()[10]) < END]


def custom(lines: Sequence[bytes]) -> list[bytes]:
    return [traffic.to_format(line, CUSTOM) for line in lines]


def printed(lines: Sequence[bytes]) -> bytes:
    return b''.join(line + b'\n' for line in lines)


def ipset(lines: Sequence[bytes]) -> bytes:
    addresses = {address for line in lines for address in line.decode().split()[3:5]} - {'-'}
    in_order = sorted(map(ip_address, addresses), key=lambda address: (address.version, address))
    spelled = {ip_address(address): address for address in addresses}
    return ''.join(f'{spelled[address]}\n' for address in in_order).encode()


def aggregate(lines: Sequence[bytes]) -> bytes:
    sums: dict[tuple[str, ...], list[int]] = {}
    for line in lines:
        _, _, _, src, dst, srcport, dstport, protocol, packets, size, start, end, *_ = line.decode().split()
        if src != '-':
            total = sums.setdefault((src, dst, srcport, dstport, protocol), [0, 0, int(start), int(end)])
            total[:] = total[0] + int(packets), total[1] + int(size), min(total[2], int(start)), max(total[3], int(end))
    rows = ['bytes\tdstaddr\tdstport\tend\tpackets\tprotocol\tsrcaddr\tsrcport\tstart\n']
    for (src, dst, srcport, dstport, protocol), (packets, size, start, end) in sums.items():
        begin, until = (datetime.fromtimestamp(time, timezone.utc).strftime('%F %T') for time in (start, end))
        rows.append(f'{size}\t{dst}\t{dstport}\t{until}\t{packets}\t{protocol}\t{src}\t{srcport}\t{begin}\n')
    return ''.join(rows).encode()


def custom_printed(lines: Sequence[bytes]) -> bytes:
    names = [
        *(name.replace('_', '-') if name.replace('_', '-') in CUSTOM else '' for name in DEFAULT_FIELDS),
        *CUSTOM_EXTRA,
    ]
    rows = (dict(zip(CUSTOM, line.decode().split())) for line in custom(lines))
    return ''.join(' '.join(row.get(name, '-') for name in names) + '\n' for row in rows).encode()


@pytest.mark.parametrize('road', ROADS)
def test_every_road_gives_the_same_bytes(cli: Cli, fake: FakeAWS, tmp_path: Path, road: str) -> None:
    read = ROADS[road].lay(Log(LINES, traffic.FIELDS), fake, tmp_path).over(cli)
    probe = f' {traffic.PROBE_HOST} '.encode()
    for argv, expected in (
        (['print'], printed(INSIDE)),
        (['print', '--thread-count', '1'], printed(INSIDE)),
        (['print', '25', '--thread-count', '8'], printed(INSIDE[:25])),
        (['findip', traffic.PROBE_HOST], printed([line for line in INSIDE if probe in line])),
        (['ipset'], ipset(INSIDE)),
        (['aggregate', '--thread-count', '0'], aggregate(INSIDE)),
        (['print', '-w', 'log_status=NODATA'], printed([line for line in INSIDE if line.endswith(b'NODATA')])),
    ):
        assert expected
        result = read(*argv, *WINDOW)
        assert result.stdout == expected, argv
        assert not [note for note in result.stderr.splitlines() if 'SKIPDATA' not in note]


@pytest.mark.parametrize('road', ROADS)
def test_every_road_finds_the_format(cli: Cli, fake: FakeAWS, tmp_path: Path, road: str) -> None:
    lines = LINES[:1000]
    read = ROADS[road].lay(Log(custom(lines), CUSTOM), fake, tmp_path).over(cli)
    inside = [line for line in lines if line in set(INSIDE)]
    assert read(*WINDOW).stdout == custom_printed(inside)
    assert read('ipset', *WINDOW).stdout == ipset(inside)
    wanted = [line for line in inside if line.split()[6] == b'443']
    assert read('-w', 'dstport=443', *WINDOW).stdout == custom_printed(wanted)


@pytest.mark.parametrize('road', ROADS)
def test_every_road_knows_the_edges_of_the_window(cli: Cli, fake: FakeAWS, tmp_path: Path, road: str) -> None:
    starts = [START - 1, START, END - 1, END]
    lines = [b'2 1 eni-%d 10.0.0.1 10.0.0.2 1 2 6 1 40 %d %d ACCEPT OK' % (at, at, at + 600) for at in starts]
    read = ROADS[road].lay(Log(lines, traffic.FIELDS), fake, tmp_path).over(cli)
    assert read(*WINDOW).stdout == printed(lines[1:3])
    result = read('-s', '2016-01-01 00:00', '-e', '2016-01-01 00:10')
    assert not result.stdout and 'no records: ' in result.stderr and result.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'location, source',
    [
        ('flows', 'file'), ('./flows', 'file'), ('dir/', 'file'), ('./dir', 'file'), ('dir/inner', 'file'),
        ('-', 'file'), ('/dev/null', 'file'), ('dir', 'cwl'), ('flowlogs', 'cwl'), ('/aws/vpc/flowlogs', 'cwl'),
        ('dir/nowhere', 'cwl'),
        ('arn:aws:logs:us-east-1:123456789010:log-group:flows:*', 'cwl'), ('s3://bucket', 's3'),
        ('s3://bucket/a', 's3'),
        ('arn:aws:s3:::bucket/prefix', 's3'), ('arn:aws-us-gov:s3:::bucket', 's3'), ('bucket/prefix', 'cwl'),
    ],
)  # fmt: skip
def test_a_location_is_recognised_by_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, source: str
) -> None:
    (tmp_path / 'dir' / 'inner').mkdir(parents=True)
    (tmp_path / 'flows').touch()
    monkeypatch.chdir(tmp_path)
    for kind in (None, 'cwl', 's3', 'file'):
        given = [location, *(['--location-type', kind] if kind else [])]
        options = make_parser((BytesIO(), StringIO())).parse_args(given)
        prepare(options)
        assert [found.name for found in sources_of(options)] == [kind or source]


@pytest.mark.parametrize('argv', [['flowlogs', '--include-accounts', '1'], ['-', '--include-regions', 'us-east-1']])
def test_options_of_buckets_go_with_buckets_only(cli: Cli, argv: list[str]) -> None:
    assert f'{argv[1]} does not go with a ' in cli(*argv, status=2).stderr
