"""The merged reports of two reads have the facts of both."""

from __future__ import annotations

from pathlib import Path

from flowlogs_reader import FileFlowLogsReader, Layout, ReadReport
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
