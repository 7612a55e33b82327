"""The tables of a report, against sums over the lines."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest

from flowlogs_reader import FileFlowLogsReader, FlowLogsError
from flowlogs_reader.engines.local import run
from flowlogs_reader.query.query import Query, Window
from flowlogs_reader.query.result import Tables
from flowlogs_reader.sources.base import BaseReader
from flowlogs_reader.sources.several import SeveralReaders
from tests.conftest import Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log
from tests.traffic import REGION, lines

START = 1454324362
V5 = (
    'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action '
    'log-status az-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path'
).split()
Record = Mapping[str, str]
Tabled = dict[str, list[tuple[Any, ...]]]


def own(number: int) -> tuple[str, str, str]:
    """An interface: its address, its id and its zone."""
    return f'10.0.{number % 3}.{number}', f'eni-{number:08}', f'use1-az{number % 3 + 1}'


def vpc(count: int, seed: int = 1) -> list[bytes]:
    """A log of a VPC in which flows between two of its interfaces are recorded at both."""
    rng = random.Random(seed)
    made = []

    def record(at: int, *values: object) -> None:
        made.append(' '.join(map(str, (5, 123456789010, own(at)[1], *values))).encode())

    for number in range(count):
        start = START + number * 40
        one, other = rng.sample(range(1, 9), 2)
        outside = f'198.51.100.{rng.randrange(4)}'
        flow = (
            rng.choice([40000, 443]), rng.choice([443, 22, 50000]), rng.choice([6, 17]), rng.randrange(1, 9),
            rng.randrange(40, 9000), start, start + 20, rng.choice(['ACCEPT', 'ACCEPT', 'REJECT']), 'OK',
        )  # fmt: skip
        service = rng.choice(['-', 'S3', 'EC2'])
        if number % 3:
            record(one, own(one)[0], own(other)[0], *flow, own(one)[2], '-', '-', 'egress', 1)
            record(other, own(one)[0], own(other)[0], *flow, own(other)[2], '-', '-', 'ingress', '-')
        elif number % 2:
            record(one, own(one)[0], outside, *flow, own(one)[2], '-', service, 'egress', 8)
        else:
            record(one, outside, own(one)[0], *flow, own(one)[2], service, '-', 'ingress', '-')
    made.append(f'5 123456789010 {own(1)[1]} {"- " * 7}{START} {START + 9} - NODATA - - - - -'.encode())
    return made


def tables(reader: BaseReader, **query: Any) -> Tabled:
    result = run(Query(action='report', **query), [reader])
    assert isinstance(result, Tables)
    return {name: [*table] for name, table, _ in result.tables}


def records(fields: Sequence[str], found: Iterable[bytes]) -> list[Record]:
    return [
        record
        for line in found
        if (record := dict(zip(fields, line.decode().split())))['log-status'] not in ('NODATA', 'SKIPDATA')
    ]


def largest(
    found: Iterable[Record],
    keys: Callable[[Record], Iterable[tuple[str, ...]]],
    measure: str = 'bytes',
    limit: int = 15,
) -> list[tuple[Any, ...]]:
    """The keys with the largest sums, and bytes, packets and flows."""
    sums: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for record in found:
        for key in keys(record):
            sums[key].update(bytes=int(record['bytes']), packets=int(record['packets']), flows=1)
    sums = {key: row for key, row in sums.items() if {*key} != {'-'}}
    ordered = sorted(sums, key=lambda key: (-sums[key][measure], ' '.join(key).encode()))
    columns = sorted(('bytes', 'packets', 'flows'), key=lambda name: name != measure)
    return [(*key, *(sums[key][name] for name in columns)) for key in ordered[:limit]]


def by(*names: str) -> Callable[[Record], Iterable[tuple[str, ...]]]:
    return lambda record: [tuple(record.get(name, '-') for name in names)]


def as_text(rows: Iterable[Sequence[Any]], keys: int) -> list[tuple[Any, ...]]:
    return [(*('-' if value is None else str(value) for value in row[:keys]), *row[keys:]) for row in rows]


def zones_between(found: Iterable[Record]) -> list[tuple[Any, ...]]:
    """Between zones, each flow once: at its sender, or if that is outside at its receiver."""
    zone = {
        record['srcaddr' if record['flow-direction'] == 'egress' else 'dstaddr']: record['az-id'] for record in found
    }
    once = [record for record in found if record['flow-direction'] == 'egress' or record['srcaddr'] not in zone]
    return largest(once, lambda record: [tuple(zone.get(record[end], 'outside') for end in ('srcaddr', 'dstaddr'))])


def check(found: Sequence[Record], tabled: Tabled, limit: int = 15) -> None:
    """The tables that every log has are those of naive sums."""
    rejected = [record for record in found if record['action'] == 'REJECT']
    for name, keys, measure, of in (
        ('pairs', ('srcaddr', 'dstaddr'), 'bytes', found),
        ('ports', ('dstport', 'protocol'), 'bytes', found),
        ('protocols', ('protocol',), 'bytes', found),
        ('interfaces', ('interface-id',), 'bytes', found),
        ('rejected_sources', ('srcaddr',), 'flows', rejected),
        ('rejected_ports', ('dstport', 'protocol'), 'flows', rejected),
        ('directions', ('flow-direction',), 'bytes', found),
        ('services', ('pkt-src-aws-service', 'pkt-dst-aws-service'), 'bytes', found),
        ('paths', ('traffic-path',), 'bytes', found),
    ):
        assert as_text(tabled[name], len(keys)) == largest(of, by(*keys), measure, limit), name
    hosts = largest(found, lambda record: [(record['srcaddr'],), (record['dstaddr'],)], limit=limit)
    assert [(row[0], row[1], *row[4:]) for row in tabled['hosts']] == hosts
    for addr, _, sent, received, *_ in tabled['hosts']:
        ends = [sum(int(record['bytes']) for record in found if record[end] == addr) for end in ('srcaddr', 'dstaddr')]
        assert [sent, received] == ends
    (totals,) = tabled['totals']
    assert totals[2:5] == (*(sum(int(record[name]) for record in found) for name in ('bytes', 'packets')), len(found))
    assert totals[5:] == tuple(sum(record['action'] == word for record in found) for word in ('ACCEPT', 'REJECT'))


def scanners(found: Sequence[Record]) -> list[tuple[Any, ...]]:
    """How many ports each source sends to, without replies; how many flows; and its rejected flows."""
    ports: dict[str, list[str]] = defaultdict(list)
    for record in found:
        if int(record['dstport']) < int(record['srcport']):
            ports[record['srcaddr']].append(record['dstport'])
    rejected = Counter(record['srcaddr'] for record in found if record['action'] == 'REJECT')
    rows = [(source, len({*seen}), len(seen), rejected[source]) for source, seen in ports.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:15]


def test_every_table_of_a_v5_log(tmp_path: Path) -> None:
    found = vpc(300)
    log = tmp_path / 'v5.log'
    log.write_bytes(Log(found, V5).text())
    tabled = tables(FileFlowLogsReader(log))
    check(records(V5, found), tabled)
    assert tabled['zones'] == zones_between(records(V5, found))
    assert tabled['scans'] == scanners(records(V5, found))
    assert tabled['totals'][0][:2] == (moment(START), moment(START + 299 * 40 + 20))


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)


def test_as_many_rows_as_asked_for_and_how_many_there_are(tmp_path: Path) -> None:
    found = vpc(300)
    log = tmp_path / 'v5.log'
    log.write_bytes(Log(found, V5).text())
    check(records(V5, found), tables(FileFlowLogsReader(log), limit=3), limit=3)
    result = run(Query(action='report', limit=3), [FileFlowLogsReader(log)])
    assert isinstance(result, Tables)
    groups = {name: count for name, _, count in result.tables}
    assert groups['pairs'] == len({(record['srcaddr'], record['dstaddr']) for record in records(V5, found)})
    assert groups['hosts'] == len({record[end] for record in records(V5, found) for end in ('srcaddr', 'dstaddr')})
    # What is not the value of any flow's field does not count.
    assert groups['paths'] == 2


@pytest.mark.parametrize('road', ROADS)
def test_every_road_has_the_same_tables(road: str, fake: FakeAWS, tmp_path: Path) -> None:
    found = [*lines(1500)]
    place = ROADS[road].lay(Log(found), fake, tmp_path)
    if place.argv == ('-',):
        reader: BaseReader = FileFlowLogsReader(BytesIO(place.stdin))
        tabled = tables(reader)
    else:
        clients = {name: boto3.client(name, region_name=REGION) for name in ('s3', 'logs')}
        window = {'start_time': moment(START - 60), 'end_time': moment(START + 3600)}
        with place.reader(clients, **window) as reader:
            tabled = tables(reader)
    names = Log(found).fields
    check(records(names, found), tabled)
    assert tabled['directions'] == tabled['zones'] == tabled['services'] == tabled['paths'] == []


def test_a_system_without_more_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, 'start', refuse)
    found = vpc(300)
    log = tmp_path / 'v5.log'
    log.write_bytes(Log(found, V5).text())
    check(records(V5, found), tables(FileFlowLogsReader(log)))


def test_conditions_hold_for_every_table(tmp_path: Path) -> None:
    found = vpc(200)
    log = tmp_path / 'v5.log'
    log.write_bytes(Log(found, V5).text())
    kept = [record for record in records(V5, found) if record['dstport'] == '443']
    check(kept, tables(FileFlowLogsReader(log, where=['dstport=443'])))


@pytest.mark.parametrize(
    ('span', 'interval'),
    [
        (timedelta(minutes=1), 60),
        (timedelta(hours=3), 60),
        (timedelta(hours=4), 300),
        (timedelta(days=1), 900),
        (timedelta(days=7), 3600),
        (timedelta(days=30), 6 * 3600),
        (timedelta(days=100), 86400),
        (timedelta(days=3 * 365), 7 * 86400),
        (timedelta(days=10 * 365), 3 * 7 * 86400),
    ],
)
@pytest.mark.parametrize('with_window', [True, False])
def test_the_intervals_fit_a_chart(span: timedelta, interval: int, with_window: bool) -> None:
    end = START + int(span.total_seconds()) - 1
    found = [b'2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 %d %d ACCEPT OK\n' % (time, time + 1) for time in (START, end)]
    reader = FileFlowLogsReader(BytesIO(b''.join(found)))
    window = Window(START * 1000, (end + 1) * 1000) if with_window else None
    starts = [row[0] for row in tables(reader, window=window)['timeline']]
    assert {later - start for start, later in zip(starts, starts[1:])} <= {timedelta(seconds=interval)}
    assert len(starts) <= 202
    assert starts[0] <= moment(START) < starts[0] + timedelta(seconds=interval)
    assert starts[-1] <= moment(end) < starts[-1] + timedelta(seconds=interval)


def test_an_address_of_two_zones_is_of_neither() -> None:
    header = 'srcaddr dstaddr bytes packets start end flow-direction az-id'
    found = [
        '10.0.0.1 10.0.0.2 100 1 10 20 egress az1',
        '10.0.0.1 10.0.0.3 10 1 10 20 egress az2',
        '10.0.0.2 10.0.0.3 1 1 10 20 egress az3',
    ]
    tabled = tables(FileFlowLogsReader(BytesIO('\n'.join([header, *found, '']).encode())))
    assert tabled['zones'] == [(None, 'az3', 100, 1, 1), (None, 'outside', 10, 1, 1), ('az3', 'outside', 1, 1, 1)]


def test_zones_of_a_transit_gateway_are_in_its_log() -> None:
    header = 'srcaddr dstaddr bytes packets start end tgw-src-az-id tgw-dst-az-id'
    found = ['10.0.0.1 10.0.0.2 100 1 10 20 az1 az2', '10.0.0.1 10.0.0.3 10 1 10 20 az1 az1']
    tabled = tables(FileFlowLogsReader(BytesIO('\n'.join([header, *found, '']).encode())))
    assert tabled['zones'] == [('az1', 'az2', 100, 1, 1), ('az1', 'az1', 10, 1, 1)]


def test_flows_without_a_time_are_an_error_after_the_tables() -> None:
    result = run(Query(action='report'), [FileFlowLogsReader(BytesIO(b'srcaddr dstaddr bytes\n10.0.0.1 10.0.0.2 5\n'))])
    assert isinstance(result, Tables)
    seen = {}
    with pytest.raises(FlowLogsError, match='1 flows are not in any interval'):
        for name, table, _ in result.tables:
            seen[name] = [*table]
    assert seen['pairs'] == [('10.0.0.1', '10.0.0.2', 5, 0, 1)]
    assert seen['timeline'] == []


def test_a_log_without_flows_has_tables_without_rows() -> None:
    tabled = tables(FileFlowLogsReader(BytesIO(b'')))
    assert tabled.pop('totals') == [(None, None, 0, 0, 0, 0, 0)]
    assert not any(tabled.values())


def test_several_locations_have_one_report(cli: Cli, tmp_path: Path) -> None:
    """Each location has its own format and window; all conditions hold for each."""
    found, default = vpc(150), [*lines(500)]
    (tmp_path / 'v5.log').write_bytes(Log(found, V5).text())
    (tmp_path / 'default.log').write_bytes(Log(default).text())
    page = cli(str(tmp_path / 'v5.log'), str(tmp_path / 'default.log'), 'report', '-w', 'dstport=443')
    both = [*records(V5, found), *records(Log(default).fields, default)]
    kept = [record for record in both if record['dstport'] == '443']
    assert kept
    readers = [FileFlowLogsReader(tmp_path / name, where=['dstport=443']) for name in ('v5.log', 'default.log')]
    tabled = tables(SeveralReaders(readers, pytest.fail))
    check(kept, tabled)
    assert f'<dd>{len(kept):,}</dd>' in page.stdout.decode()
