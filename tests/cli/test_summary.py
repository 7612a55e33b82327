"""The messages at the end of a read, made from its report."""

from __future__ import annotations

import pytest

from flowlogs_reader.cli.summary import Note, after
from flowlogs_reader.query.conditions import parse_condition
from flowlogs_reader.query.query import Query
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources.report import ReadReport

CONDITIONS = tuple(map(parse_condition, ('vpc_id=vpc-1', 'addr=10.0.0.1', 'dstport=443')))
# One of the fields of addr will do.
FULL = Layout(['vpc-id', 'dstaddr', 'dstport'])


def told(*read: Layout, matched: int = 0) -> list[Note]:
    report = ReadReport('here')
    report.read.update(dict.fromkeys(read, 5))
    report.matched.update(dict.fromkeys(read, matched))
    return [*after(Query(conditions=CONDITIONS), report, None, matched, failed=False)]


def test_a_field_that_no_log_has_is_reported() -> None:
    fields = ' '.join(Layout().fields)
    assert told(Layout()) == [Note(f'this log has no field vpc_id: its fields are {fields}', failed=True)]
    assert told(FULL) == [Note('no records: here was read completely')]
    assert told(FULL, matched=2) == []


@pytest.mark.parametrize('layouts', [[Layout(), FULL], [FULL, Layout()]])
def test_a_field_that_only_some_logs_have_is_reported_with_the_number_of_records(layouts: list[Layout]) -> None:
    assert told(*layouts, matched=1) == [
        Note('5 records have no field vpc_id: it is not in their format; they count as missing it')
    ]


def test_several_fields_that_no_log_has() -> None:
    assert told(Layout(['dstport', 'bytes']), Layout(['dstport']))[0].text == (
        'this log has no field vpc_id, srcaddr: its fields are dstport bytes'
    )
