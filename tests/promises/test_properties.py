"""Properties that hold for any input: hypothesis generates it, and plain Python on FlowRecords gives the results."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from io import BytesIO, StringIO
from ipaddress import ip_address
from itertools import cycle, islice, permutations
from operator import ge, gt, le, lt
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flowlogs_reader import DEFAULT_FIELDS, FileFlowLogsReader, FlowRecord, aggregated_records
from flowlogs_reader.cli.main import main
from flowlogs_reader.kernel import check, columns, find_events
from flowlogs_reader.kernel.pure.events import parse_page, scan_page
from flowlogs_reader.query.conditions import Condition, Flags, Range, parse_condition
from flowlogs_reader.records.block import Block
from flowlogs_reader.records.fields import FIELDS, KNOWN, Kind
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources.cloudwatch.ordering import HeldEvents, RecentIds
from flowlogs_reader.sources.cloudwatch.pages import page_of
from flowlogs_reader.sources.filter import Filter, is_record
from tests import traffic
from tests.conftest import NOW
from tests.streams import Cut, output_of

# -- records of any format ---------------------------------------------------------------------------------------------

FIVE_TUPLE = ('srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol')
ADDRESSES = ('10.0.0.1', '10.0.0.10', '110.0.0.1', '8.8.8.8', '2001:db8::1', '2001:db8:0:0:0:0:0:1', 'fe80::9', '-')
WORDS = {
    'action': ('ACCEPT', 'REJECT', '-'),
    'log_status': ('OK', 'NODATA', 'SKIPDATA'),
    'interface_id': ('eni-00000001', 'eni-00000002', '-'),
}
printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
integers = st.sampled_from([0, 1, 6, 22, 443, 10**18]).map(str) | st.integers(0, 70_000).map(str)
times = st.sampled_from(['0', '1454324362', '1454324363', '2147483647']) | st.integers(0, 2**31 - 1).map(str)


def values_of(name: str) -> st.SearchStrategy[str]:
    """Canonical values of a field."""
    if name.endswith('addr'):
        return st.sampled_from(ADDRESSES)
    if name in WORDS:
        return st.sampled_from(WORDS[name])
    kind = KNOWN[name].kind if name in KNOWN else Kind.TEXT
    return st.just('-') | {Kind.TEXT: printable, Kind.INTEGER: integers, Kind.TIME: times}[kind]


field_names = st.sampled_from([field.name for field in FIELDS]) | st.from_regex(r'x_[a-z0-9_]{1,8}', fullmatch=True)
layouts = st.just(Layout()) | st.lists(field_names, min_size=1, max_size=20, unique=True).map(Layout)


def having(*names: str) -> st.SearchStrategy[Layout]:
    """Layouts that have these fields, somewhere."""
    more = st.lists(field_names.filter(lambda name: name not in names), max_size=12, unique=True)
    return st.just(Layout()) | more.flatmap(lambda others: st.permutations([*names, *others])).map(Layout)


@st.composite
def logs(draw: st.DrawFn, layouts: st.SearchStrategy[Layout] = layouts) -> tuple[Layout, list[str]]:
    """A Layout and canonical lines of it."""
    layout = draw(layouts)
    rows = st.tuples(*map(values_of, layout.fields)).map(' '.join)
    return layout, draw(st.lists(rows, max_size=12))


def records_of(layout: Layout, lines: list[str]) -> list[FlowRecord]:
    return [FlowRecord.from_cwl_event({'message': line}, layout.fields) for line in lines]


def text_of(lines: list[str]) -> bytes:
    return ''.join(f'{line}\n' for line in lines).encode()


# -- text -> record -> text --------------------------------------------------------------------------------------------


@given(logs(st.just(Layout())))
def test_text_to_record_to_text_in_the_default_format(log: tuple[Layout, list[str]]) -> None:
    layout, lines = log
    assert [record.to_message() for record in records_of(layout, lines)] == lines


@given(logs())
def test_text_to_record_to_text_in_any_format(log: tuple[Layout, list[str]]) -> None:
    layout, lines = log
    for line, record in zip(lines, records_of(layout, lines)):
        again = FlowRecord.from_cwl_event({'message': record.to_message()}, layout.output_fields)
        assert again == record
        assert again.to_message() == record.to_message()
        columns = dict(zip(layout.output_fields, record.to_message().split(' ')))
        assert ' '.join(columns[name] for name in layout.fields) == line
        assert FlowRecord(dict(zip(layout.fields, line.split(' ')))) == record
        assert hash(again) == hash(record)


@given(logs())
def test_canonical_lines_are_passed_on_as_they_are(log: tuple[Layout, list[str]]) -> None:
    layout, lines = log
    assert check(layout.kinds, text_of(lines)) == (text_of(lines), 0)


@given(logs(), st.data())
def test_other_spellings_of_a_line_become_the_canonical_one(log: tuple[Layout, list[str]], data: st.DataObject) -> None:
    layout, lines = log
    space = st.sampled_from([' ', '  ', '\t', ' \t '])
    odd = [''.join(f'{column}{data.draw(space)}' for column in line.split(' ')) + '\r' for line in lines]
    assert check(layout.kinds, text_of(odd)) == (text_of(lines), 0)


@given(logs(), st.data())
def test_columns_are_the_values_of_the_lines(log: tuple[Layout, list[str]], data: st.DataObject) -> None:
    """For any fields, one or several for a column, whether or not a line has to be made canonical first."""
    layout, lines = log
    names = st.sampled_from([*layout.fields, 'x_lacking'])
    groups = data.draw(st.lists(names | st.lists(names, max_size=4).map(tuple), max_size=5))
    places = [
        layout.places([group])[0] if isinstance(group, str) else layout.places(group) for group in groups
    ]  # fmt: skip
    rows = [values_in(layout, line) for line in lines]
    expected = [
        [' '.join(row.get(name, '-') for name in ([group] if isinstance(group, str) else group)) for row in rows]
        for group in groups
    ]
    for text, odd in ((text_of(lines), 0), (b' ' + text_of([*lines, 'x ' * 300]), 1)):
        found, skipped = columns(layout.kinds, (), None, places, text)
        assert [[value.decode() for value in column] for column in found] == expected
        assert skipped == odd


# -- any cut of a stream -----------------------------------------------------------------------------------------------


def read_alone(stream: BytesIO) -> FileFlowLogsReader:
    """A reader that does not raise for what it cannot read."""
    return FileFlowLogsReader(stream, on_unreadable=lambda error: None)


pieces = st.lists(st.integers(1, 40), min_size=1, max_size=5)
spoilt = st.sampled_from(['garbage', '', '2 1 eni-1', '\u00e9 \u00e9', '{"message": "2 1"}', 'x' * 300])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of one or two formats with header rows, and with lines that are not records."""
    text = []
    for layout, lines in draw(st.lists(logs(), min_size=1, max_size=2)):
        text.append(' '.join(layout.fields).replace('_', '-'))
        text += lines
        text += draw(st.lists(spoilt, max_size=2))
    return '\n'.join(text).encode() + draw(st.sampled_from([b'', b'\n']))


@pytest.mark.filterwarnings('ignore:no line of standard input')
@given(files(), pieces, st.booleans())
def test_any_cut_of_a_stream_gives_one_result(data: bytes, sizes: list[int], compressed: bool) -> None:
    whole = read_alone(BytesIO(data))
    expected = [record.to_message() for record in whole]
    cut = read_alone(Cut(gzip.compress(data, mtime=0) if compressed else data, sizes))
    assert [record.to_message() for record in cut] == expected
    assert (cut.skipped_records, cut.bytes_processed) == (whole.skipped_records, whole.bytes_processed)


@given(logs(st.just(Layout())), pieces, st.sampled_from(['print', 'print 3', 'findip 10.0.0.1', 'ipset', 'aggregate']))
def test_any_cut_of_a_stream_gives_one_result_in_every_action(
    log: tuple[Layout, list[str]], sizes: list[int], action: str
) -> None:
    data = text_of(log[1])
    assert output_of('-', *action.split(), stdin=Cut(data, sizes)) == output_of(
        '-', *action.split(), stdin=BytesIO(data)
    )


# -- Block level == record level ---------------------------------------------------------------------------------------


def looks_like_something_else(lines: list[str]) -> bool:
    """Whether a file of these records would be taken for JSON or Parquet, or one of them for a header row: hypothesis
    makes texts such as the names of fields, which it finds in the source code.
    """
    return ''.join(lines[:1]).startswith(('{', '[', 'PAR1')) or any(map(is_header, lines))


def is_header(line: str) -> bool:
    try:
        return Layout.from_header(line.encode()) is not None
    except ValueError:
        return True


def action(log: tuple[Layout, list[str]], *argv: str) -> list[str]:
    """The output of the command line for a log."""
    layout, lines = log
    assume(not looks_like_something_else(lines))
    fields = [] if layout == Layout() else ['--fields', ' '.join(layout.fields)]
    return output_of('-', *argv, *fields, stdin=BytesIO(text_of(lines))).decode().splitlines()


@given(logs())
def test_print_is_to_message(log: tuple[Layout, list[str]]) -> None:
    assert action(log, 'print') == [record.to_message() for record in records_of(*log)]


@given(logs(), st.integers(1, 15))
def test_print_n_is_the_first_n_records(log: tuple[Layout, list[str]], count: int) -> None:
    assert action(log, 'print', str(count)) == [record.to_message() for record in records_of(*log)][:count]


@given(
    logs(having('srcaddr', 'dstaddr')),
    st.lists(st.sampled_from([text for text in ADDRESSES if text != '-']), min_size=1, max_size=3),
)
def test_findip_compares_the_addresses_of_records(log: tuple[Layout, list[str]], wanted: list[str]) -> None:
    def holds(record: FlowRecord) -> bool:
        ends = (record.srcaddr, record.dstaddr, record.pkt_srcaddr, record.pkt_dstaddr)
        return not {ip_address(text) for text in wanted}.isdisjoint(ip_address(text) for text in ends if text)

    expected = [record.to_message() for record in records_of(*log) if holds(record)]
    assert action(log, 'findip', *wanted) == expected


@given(logs(having('srcaddr', 'dstaddr')))
def test_ipset_is_the_set_of_the_addresses_of_records(log: tuple[Layout, list[str]]) -> None:
    found = {text for record in records_of(*log) for text in (record.srcaddr, record.dstaddr) if text}
    assert action(log, 'ipset') == sorted(found, key=lambda text: (ip_address(text).version, ip_address(text), text))


@given(logs(having(*FIVE_TUPLE, 'packets', 'bytes', 'start', 'end')))
def test_aggregate_is_aggregated_records(log: tuple[Layout, list[str]]) -> None:
    names = 'bytes dstaddr dstport end packets protocol srcaddr srcport start'.split()
    rows = [
        '\t'.join('-' if row[name] is None else str(row[name]) for name in names)
        for row in aggregated_records(records_of(*log))
    ]
    assert action(log, 'aggregate') == ['\t'.join(names), *rows] * bool(rows)


@given(logs(), st.lists(st.sampled_from(DEFAULT_FIELDS[:9]), max_size=3, unique=True))
def test_aggregated_records_on_a_reader_and_on_its_records(log: tuple[Layout, list[str]], keys: list[str]) -> None:
    layout, lines = log
    assume(not looks_like_something_else(lines))
    expected = list(aggregated_records(records_of(layout, lines), keys))
    assert list(aggregated_records(FileFlowLogsReader(BytesIO(text_of(lines)), fields=layout.fields), keys)) == expected
    summed: dict[tuple[Any, ...], list[FlowRecord]] = {}
    for record in records_of(layout, lines):
        if record.packets is not None or record.bytes is not None:
            summed.setdefault(tuple(getattr(record, name) for name in keys), []).append(record)
    assert [(row['packets'], row['bytes'], row['start'], row['end']) for row in expected] == [
        (
            sum(record.packets or 0 for record in flows),
            sum(record.bytes or 0 for record in flows),
            min((record.start for record in flows if record.start), default=None),
            max((record.end for record in flows if record.end), default=None),
        )
        for flows in summed.values()
    ]


CONDITIONS = st.sampled_from([
    'srcaddr=10.0.0.1', 'addr=10.0.0.1,8.8.8.8', 'addr=10.0.0.0/8', 'addr=2001:db8::1', 'dstaddr!=10.0.0.1', 'addr!=-',
    'dstport=443', 'dstport=0-443', 'port=22', 'port!=22', 'bytes>=443', 'bytes<443', 'packets!=0', 'protocol=tcp,17',
    'action=REJECT', 'action!=accept', 'log_status=nodata', 'interface_id=eni-00000001', 'interface_id!=eni-00000001',
    'tcp_flags=syn', 'vpc_id=-', 'start>=1454324362', 'srcport=-',
])  # fmt: skip


def values_in(layout: Layout, line: str) -> dict[str, str]:
    return dict(zip(layout.fields, line.split(' ')))


def meets(layout: Layout, line: str, texts: list[str]) -> bool:
    values = values_in(layout, line)
    conditions = map(parse_condition, texts)
    return all(any(holds(one, values.get(name, '-')) for name in one.fields) != one.negated for one in conditions)


COMPARED = {'<': lt, '<=': le, '>': gt, '>=': ge}


def holds(condition: Condition, value: str) -> bool:
    """Whether a value meets a condition, or for `!=` the same condition with `=`: in plain Python."""
    if value == '-':
        return None in condition.values
    if condition.operator in COMPARED:
        (bound,) = condition.values
        return isinstance(bound, Range) and COMPARED[condition.operator](int(value), bound.low)
    return any(allows(one, value) for one in condition.values)


def allows(one: Any, value: str) -> bool:
    if isinstance(one, Range):
        return int(value) in range(one.low, one.high + 1)
    if isinstance(one, Flags):
        return int(value) & one.mask == one.mask
    return one == value if one is None or isinstance(one, str) else ip_address(value) in one


@given(logs(), st.lists(CONDITIONS, min_size=1, max_size=3))
def test_conditions_on_blocks_are_conditions_on_records(log: tuple[Layout, list[str]], texts: list[str]) -> None:
    layout, lines = log
    chosen = Filter.parse(texts)
    block = Block(layout, text_of(lines))
    met = [line for line in lines if meets(layout, line, texts)]
    assert chosen.keep(block) == (text_of(met), len(met), 0)
    # Caches from the whole Block do not change the result for one line.
    for line in lines:
        one = block._replace(data=text_of([line]))
        met = [line] * meets(layout, line, texts)
        assert chosen.keep(one) == (text_of(met), len(met), 0)


EVERY_ACTION = (
    'print', 'print 3', 'findip 10.0.0.1', 'ipset', 'top', 'top 2 dstport srcaddr/16 --by flows', 'aggregate',
    'aggregate action protocol --flows', 'aggregate srcaddr dstaddr --both-ways', 'timeline 1000d',
    'print -c start,bytes,srcaddr -o csv --times iso',
)  # fmt: skip


@settings(max_examples=150)
@given(
    logs(having(*DEFAULT_FIELDS)),
    st.lists(CONDITIONS.filter(lambda text: not text.startswith(('vpc_id', 'tcp_flags'))), max_size=3),
    st.sampled_from(
        [(), ('-s', '1454324363'), ('-s', '0', '-e', '1454324363'), ('-s', '1000000000', '-e', '1500000000')]
    ),
    st.sampled_from(EVERY_ACTION),
)
def test_conditions_and_window_leave_every_action_the_records_that_meet_them(
    log: tuple[Layout, list[str]], texts: list[str], window: tuple[str, ...], words: str
) -> None:
    layout, lines = log

    # A flow without a start is in no interval, and is reported.
    assume(not (words.startswith('timeline') and any(values_in(layout, line)['start'] == '-' for line in lines)))
    first, end = [*map(int, window[1::2]), int(NOW.timestamp()), 0][:2]

    def in_window(line: str) -> bool:
        values = values_in(layout, line)
        start = values['end'] if values['start'] == '-' else values['start']
        return not window or start == '-' or first <= int(start) < end

    kept = [line for line in lines if in_window(line) and meets(layout, line, texts)]
    given_conditions = [word for text in texts for word in ('-w', text)]
    # The rows of a timeline depend on the window itself.
    narrowed = window if words.startswith('timeline') else ()
    assert action(log, *words.split(), *given_conditions, *window) == action((layout, kept), *words.split(), *narrowed)


# -- random bytes ------------------------------------------------------------------------------------------------------

bytes_near_a_log = st.lists(
    st.binary(max_size=60)
    | logs().map(lambda log: text_of(log[1]))
    | st.sampled_from([
        b'\n', b'\r\n', b' ', b'\x00', b'\x1f\x8b', b'\x1f\x8b\x08\x00', b'(\xb5/\xfd', b'PAR1', b'\xef\xbb\xbf',
        b'{"message":"', b'{"logEvents":[{"message":1}]}\n', b'EVENTS\t', b'version account-id start end\n',
        b'start start\n', b'[' * 50, b'2016-02-01T10:59:22.000Z ', b'group stream ', b'\xff\xfe',
    ]),
    max_size=8,
).map(b''.join)  # fmt: skip


@given(layouts, bytes_near_a_log)
def test_check_never_crashes_and_is_done_after_one_time(layout: Layout, data: bytes) -> None:
    data += b'\n'
    kept, skipped = check(layout.kinds, data)
    assert check(layout.kinds, kept) == (kept, 0)
    assert kept.count(b'\n') + skipped == sum(1 for line in data.split(b'\n') if line and not line.isspace())
    repaired = [check(layout.kinds, line + b'\n')[0] for line in data.split(b'\n')]
    # The result for the data is that of its lines.
    assert kept == b''.join(repaired)
    for line, own in zip(data.split(b'\n'), repaired):
        assert is_record(layout, line) == bool(own)
        if own:
            assert b' '.join(layout.parse(line)) + b'\n' == own
        else:
            with pytest.raises(ValueError, match='.'):
                layout.parse(line)


@given(bytes_near_a_log)
def test_a_header_row_is_a_layout_or_none_or_a_value_error(data: bytes) -> None:
    for line in data.split(b'\n'):
        try:
            layout = Layout.from_header(line)
        except ValueError as error:
            assert '\n' not in str(error)
        else:
            assert layout is None or layout.fields


@pytest.mark.filterwarnings('ignore:no line of standard input')
@given(bytes_near_a_log, pieces)
def test_no_file_crashes_a_reader(data: bytes, sizes: list[int]) -> None:
    reader = read_alone(Cut(data, sizes))
    for record in reader:
        assert FlowRecord.from_cwl_event({'message': record.to_message()}, record.layout.output_fields) == record  # type: ignore[union-attr]
    assert all('\n' not in str(error) for error in reader.unreadable)


@given(bytes_near_a_log, st.sampled_from(['print', 'findip 10.0.0.1', 'ipset', 'aggregate']))
def test_no_file_crashes_the_command_line(data: bytes, words: str) -> None:
    stdout, stderr = BytesIO(), StringIO()
    assert main(['-', *words.split()], BytesIO(data), stdout, stderr, NOW) in (0, 1)
    assert 'Traceback' not in stderr.getvalue()


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_no_message_crashes_a_record(message: bytes) -> None:
    try:
        record = FlowRecord.from_cwl_event({'message': message.decode('utf-8', 'replace')})
    except ValueError:
        return
    assert len(record.to_message().split(' ')) == 14


messages = st.text(max_size=30) | st.sampled_from(
    ['2 1 eni-1', '"', '\\', '","eventId":"', '{}', ']}', '}]}', '[', '\u00e9', '\n']
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A response of FilterLogEvents; events are mostly in the order of time, as AWS has them."""
    times = draw(st.lists(st.integers(0, 3), max_size=5))
    times = sorted(times) if draw(st.booleans()) else times
    ids = st.text('0123456789', max_size=3)
    events = [{'message': draw(messages), 'timestamp': time, 'eventId': draw(ids)} for time in times]
    order = draw(st.permutations(['message', 'timestamp', 'eventId']))
    page: dict[str, Any] = {'events': [{name: event[name] for name in order} for event in events]}
    if draw(st.booleans()):
        page['searchedLogStreams'] = draw(
            st.lists(st.just({'logStreamName': 's', 'searchedCompletely': True}), max_size=1)
        )
    if draw(st.booleans()):
        page['nextToken'] = draw(st.text('abcXYZ019+/=_-', max_size=5))
    names = draw(st.permutations(list(page)))
    separators = draw(st.sampled_from([(',', ':'), (',', ':'), (', ', ': ')]))
    ascii_only = draw(st.booleans())
    return json.dumps({name: page[name] for name in names}, separators=separators, ensure_ascii=ascii_only).encode()


@settings(max_examples=200)
@given(bodies())
def test_searching_a_page_finds_what_parsing_it_finds(body: bytes) -> None:
    parsed = parse_page(body)
    assert parsed is not None
    for found in (scan_page(body), find_events(body)):
        assert found is None or (found[:6], found[6] or None) == (parsed[:6], parsed[6] or None)
    assert find_events(body) is not None


@settings(max_examples=100)
@given(bodies())
def test_a_page_that_was_cut_off_is_never_taken_for_a_whole_one(body: bytes) -> None:
    for size in range(len(body)):
        assert scan_page(body[:size]) is None
        assert parse_page(body[:size]) is None
        assert find_events(body[:size]) is None


@pytest.mark.parametrize('separators', [(',', ':'), (', ', ': ')])
@pytest.mark.parametrize('names', [*permutations(('message', 'timestamp', 'eventId', 'ingestionTime'))])
@pytest.mark.parametrize('count', [1, 2, 5000])
def test_the_page_of_a_plain_log_is_searched_and_not_parsed(
    names: Sequence[str], separators: tuple[str, str], count: int
) -> None:
    lines = islice(cycle(traffic.lines(1000)), count)
    events = [
        {'message': line.decode(), 'timestamp': at // 7, 'eventId': f'{at:056}', 'ingestionTime': 9}
        for at, line in enumerate(lines, 10**6)
    ]
    page = {
        'events': [{name: event[name] for name in names} for event in events],
        'searchedLogStreams': [],
        'nextToken': 'n',
    }
    for body in (page, {name: page[name] for name in reversed(page)}):
        text = json.dumps(body, separators=separators).encode()
        found = scan_page(text)
        assert found == parse_page(text) == find_events(text)
        assert found is not None
        lines_found, ids, *_ = found
        assert lines_found.count(b'\n') == ids.count(b'\n') == count


@given(st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=6), st.booleans()), max_size=12))
def test_each_event_comes_out_once(pages: list[tuple[list[int], bool]]) -> None:
    recent = RecentIds(limit=None)
    came: set[int] = set()
    for numbers, rising in pages:
        numbers = sorted(numbers) if rising else numbers
        expected = [number for number in dict.fromkeys(numbers) if number not in came]
        came.update(numbers)
        lines, ids = (''.join(map(form.format, numbers)).encode() for form in ('line {}\n', '{:03}\n'))
        kept = tuple(''.join(map(form.format, expected)).encode() for form in ('line {}\n', '{:03}\n'))
        assert recent.drop_repeats(lines, ids) == kept


def test_an_event_that_comes_again_soon_is_left_out_in_any_order_of_ids() -> None:
    recent = RecentIds()
    assert recent.drop_repeats(b'a\nb\n', b'1\n2\n') == (b'a\nb\n', b'1\n2\n')
    assert recent.drop_repeats(b'b\nc\n', b'2\n3\n') == (b'c\n', b'3\n')
    assert recent.drop_repeats(b'e\nd\ne\n', b'5\n4\n5\n') == (b'e\nd\n', b'5\n4\n')
    assert recent.drop_repeats(b'd\nf\n', b'4\n6\n') == (b'f\n', b'6\n')
    assert recent.drop_repeats(b'x\nx\n', b'\n\n') == (b'x\nx\n', b'\n\n')
    assert recent.drop_repeats(b'', b'') == (b'', b'')


def test_events_are_forgotten_a_generation_at_a_time() -> None:
    recent = RecentIds(limit=2)
    for first in range(0, 30, 3):
        ids = b''.join(b'%02d\n' % number for number in range(first, first + 3))
        assert recent.drop_repeats(ids, ids) == (ids, ids)
        assert len(recent) <= 6
    assert recent.drop_repeats(b'27\n', b'27\n') == (b'', b'')
    assert recent.drop_repeats(b'02\n', b'02\n') == (b'02\n', b'02\n')


@given(
    st.lists(st.integers(0, 6), max_size=30).map(sorted),
    st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 40), max_size=3)), max_size=12),
    st.integers(0, 12),
)
def test_what_is_out_is_complete_up_to_a_moment_whatever_comes_again(
    times: list[int], cuts: list[tuple[int, list[int]]], read: int
) -> None:
    """Pages of any sizes, with events of earlier pages among them; the reading ends after some of them."""
    events = [{'timestamp': time, 'message': str(at), 'eventId': f'{at:03}'} for at, time in enumerate(times)]
    pages, begin = [], 0
    for size, again in cuts:
        repeated = [events[at] for at in again if at < min(begin, len(events))]
        pages.append(page_of(sorted([*repeated, *events[begin : begin + size]], key=lambda event: event['timestamp'])))
        begin += size
    pages.append(page_of(events[begin:])._replace(until=100))
    held, recent = HeldEvents(0), RecentIds()
    out = b''.join(recent.drop_repeats(*held.release(page))[0] for page in pages[:read])
    rest = [event['message'] for event in events if event['timestamp'] >= held.since]
    assert out.decode().split() + rest == [event['message'] for event in events]


def test_the_properties_are_not_empty() -> None:
    """The lists above have lines that are records: otherwise the comparisons would compare nothing."""
    seen: list[int] = []

    @settings(max_examples=30)
    @given(logs())
    def collect(log: tuple[Layout, list[str]]) -> None:
        seen.append(len(log[1]))

    collect()
    assert sum(seen) > 30
