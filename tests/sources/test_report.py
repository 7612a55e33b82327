"""The merged reports of two reads have the facts of both."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from flowlogs_reader import FileFlowLogsReader, FlowLogsError, Layout, ReadReport
from flowlogs_reader.sources.report import Usage
from tests.conftest import DATA, HOUR, MINUTE

SEED = ('seed-hour.log', 'seed-minute.log')


def report_of(path: Path) -> ReadReport:
    reader = FileFlowLogsReader(str(path), where=['action=ACCEPT'], on_unreadable=lambda error: None)
    for _ in reader.blocks():
        pass
    return reader.report


def test_counts_are_added_and_examples_kept(tmp_path: Path) -> None:
    odd = tmp_path / 'odd.log'
    odd.write_bytes(MINUTE + b'2 1 eni-1 ACCEPT too short\n')
    parts = [report_of(DATA / 'seed-hour.log'), report_of(odd), report_of(DATA / 'seed-minute.log')]
    whole = ReadReport(start_ms=parts[0].start_ms)
    for part in parts:
        whole.merge(part)
    records = [*HOUR.splitlines(), *MINUTE.splitlines(), *MINUTE.splitlines()]
    assert whole.matched == {Layout(): sum(b' ACCEPT ' in line for line in records)}
    assert whole.text_bytes == sum(part.text_bytes for part in parts) == len(HOUR + MINUTE * 2) + 27
    assert whole.left_out == 1 and whole.odd_line == parts[1].odd_line and whole.sound
    assert all(name in whole.origin for name in (*SEED, 'odd.log'))
    assert whole.complete_until is None


def with_facts(**facts: Any) -> ReadReport:
    report = ReadReport()
    report.usage = Usage()
    for name, value in facts.items():
        setattr(report.usage if name in Usage.__annotations__ else report, name, value)
    return report


def test_every_fact_of_two_reads_is_in_the_merged_report() -> None:
    odd, one, two = (Layout(['bytes']), b'many'), FlowLogsError('one'), FlowLogsError('two')
    whole = with_facts(
        origin='a', start_ms=5, text_bytes=1, stored_bytes=2, left_out=3, seen_twice=4, undecided=5, sound=True,
        read=Counter({Layout(): 6}), matched=Counter({Layout(): 7}), unreadable=[one], skipdata=Counter({60: 1}),
        incomplete={60: ('cut',)}, complete_until=9, in_order=True, queries=1, scanned=2, dollars=0.5,
        seconds=4.0,
    )  # fmt: skip
    whole.merge(with_facts(
        origin='b', start_ms=4, text_bytes=10, stored_bytes=20, left_out=30, seen_twice=40, undecided=50, odd_line=odd,
        read=Counter({Layout(): 60, odd[0]: 1}), matched=Counter({Layout(): 70}), unreadable=[two],
        skipdata=Counter({60: 2, 90: 1}), incomplete={90: ('recent',)}, spilled=True, format_trouble=two,
        queries=2, scanned=20, dollars=0.25, seconds=8.0,
    ))  # fmt: skip
    expected = with_facts(
        origin='a, b', start_ms=4, text_bytes=11, stored_bytes=22, left_out=33, seen_twice=44, undecided=55, sound=True,
        odd_line=odd, read=Counter({Layout(): 66, odd[0]: 1}), matched=Counter({Layout(): 77}), unreadable=[one, two],
        skipdata=Counter({60: 3, 90: 1}), incomplete={60: ('cut',), 90: ('recent',)}, format_trouble=two,
        queries=3, scanned=22, dollars=0.75, seconds=12.0,
    )  # fmt: skip
    for name in ReadReport.__annotations__.keys() - {'usage'}:
        assert getattr(whole, name) == getattr(expected, name), name
    for name in Usage.__annotations__:
        assert getattr(whole.usage, name) == getattr(expected.usage, name), name


def test_the_same_places_merge_in_any_grouping() -> None:
    one, two, three = (report_of(DATA / name) for name in (*SEED, SEED[0]))
    left = ReadReport()
    for part in (one, two, three):
        left.merge(part)
    right = ReadReport()
    right.merge(two)
    right.merge(three)
    first = ReadReport()
    first.merge(one)
    first.merge(right)
    assert (left.matched, left.text_bytes, left.left_out, left.origin) == (
        first.matched, first.text_bytes, first.left_out, first.origin,
    )  # fmt: skip
