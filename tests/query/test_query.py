"""A Query is data: it is frozen, equal to its like, and goes to another process and back."""

from __future__ import annotations

import pickle
from multiprocessing import get_context

import pytest

from flowlogs_reader.engines.local import run
from flowlogs_reader.query.conditions import find_addresses, parse_condition
from flowlogs_reader.query.groups import parse_keys
from flowlogs_reader.query.query import Query, Window
from flowlogs_reader.query.result import Table
from flowlogs_reader.query.typed_times import parse_zone
from flowlogs_reader.sources.files import FileFlowLogsReader
from tests.conftest import DATA

CONDITIONS = (
    'dstport=22,8000-8100,-', 'srcaddr!=10.0.0.0/8,2001:db8::/32', 'tcp_flags=syn,ack', 'bytes>=40', 'action=reject',
    'addr=10.0.0.1', 'interface_id=eni-1,-', 'az_id=use1-az1', 'srcaddr/class=internet', 'pkt_srcaddr!=srcaddr',
)  # fmt: skip


def make_query() -> Query:
    return Query(
        action='top',
        conditions=(*map(parse_condition, CONDITIONS), find_addresses(['10.0.0.1', '2001:db8::1'])),
        window=Window(0, 1),
        fields=('srcaddr', 'bytes'),
        keys=parse_keys(['srcaddr/24', 'dstport', 'dstaddr/class'], ['bytes']),
        limit=3,
        tz=parse_zone('Asia/Tokyo'),
    )


@pytest.mark.parametrize('protocol', range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles(protocol: int) -> None:
    query = make_query()
    again = pickle.loads(pickle.dumps(query, protocol))
    assert again == query and hash(again) == hash(query)
    assert again.conditions[0].text == CONDITIONS[0]


def test_it_is_frozen() -> None:
    query = make_query()
    with pytest.raises(AttributeError):
        query.action = 'print'  # type: ignore[misc]
    with pytest.raises(AttributeError):
        query.conditions[0].field = 'srcport'  # type: ignore[misc]


def test_what_the_user_wrote_does_not_make_a_condition_another() -> None:
    assert parse_condition('dstport=22') == parse_condition('dstport = ssh')
    assert parse_condition('dstport=22') != parse_condition('dstport!=22')


def answer(query: Query) -> list[tuple[object, ...]]:
    reader = FileFlowLogsReader(str(DATA / 'seed-hour.log'), where=query.conditions)
    table = run(query, [reader])
    assert isinstance(table, Table)
    return list(table)


def test_another_process_answers_it() -> None:
    query = Query('top', (parse_condition('action=ACCEPT'),), keys=parse_keys(['dstaddr'], ['bytes']), limit=2)
    with get_context('spawn').Pool(1) as pool:
        (there,) = pool.map(answer, [query])
    # awk '$13 == "ACCEPT" {b[$5] += $10; p[$5] += $9; f[$5]++} END {for (k in b) print b[k], p[k], f[k], k}'
    assert there == [(4140, 33, 3, '172.20.0.10'), (3002, 24, 2, '27.0.2.250')]
