"""The merged reports of two reads have the facts of both."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

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


def test_every_fact_of_two_reads_is_in_the_merged_report() -> None:
    layout, odd = Layout(['srcaddr']), (Layout(['bytes']), b'many')
    errors = [FlowLogsError(text) for text in 'ab']
    whole = ReadReport('one', start_ms=5, text_bytes=1, stored_bytes=2, left_out=3, seen_twice=4, undecided=5)
    whole.read, whole.matched = Counter({layout: 6}), Counter({layout: 7})
    whole.sound, whole.unreadable, whole.complete_until, whole.in_order = True, errors[:1], 9, True
    whole.skipdata, whole.incomplete, whole.usage = Counter({60: 1}), {60: ('cut',)}, Usage(1, 2, 3.0, 4.0)
    other = ReadReport('two', start_ms=4, text_bytes=10, stored_bytes=20, left_out=30, seen_twice=40, undecided=50)
    other.read, other.matched = Counter({layout: 60, Layout(): 1}), Counter({layout: 70})
    other.odd_line, other.unreadable, other.spilled, other.format_trouble = odd, errors[1:], True, errors[1]
    other.skipdata, other.incomplete, other.usage = Counter({60: 2, 90: 1}), {90: ('recent',)}, Usage(1, 1, 1.0, 1.0)
    whole.merge(other)
    assert whole == ReadReport(
        'one, two', start_ms=4, text_bytes=11, stored_bytes=22, left_out=33, seen_twice=44, undecided=55, sound=True,
        read=Counter({layout: 66, Layout(): 1}), matched=Counter({layout: 77}), odd_line=odd, unreadable=errors,
        skipdata=Counter({60: 3, 90: 1}), incomplete={60: ('cut',), 90: ('recent',)}, format_trouble=errors[1],
        usage=Usage(2, 3, 4.0, 5.0),
    )  # fmt: skip


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
