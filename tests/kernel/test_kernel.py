"""Both kernels against naive code, and against each other."""

from __future__ import annotations

import csv
import gc
import io
import json
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlogs_reader.kernel import pure
from flowlogs_reader.records.layout import Layout

from . import inputs, naive
from .support import native, outcome

TRACK = ('packets', 'bytes', 'start', 'end')


def written(rows: list[naive.Row]) -> bytes:
    return b''.join(b' '.join(row) + b'\n' for row in rows)


# --- lines ------------------------------------------------------------------------------------------------------------


@given(st.data())
def test_check(kernel: ModuleType, data: Any) -> None:
    kinds = data.draw(inputs.kinds)
    block = data.draw(inputs.blocks(kinds))
    rows, skipped = naive.kept(kinds, (), None, block)
    checked = kernel.check(kinds, block)
    assert checked == (written(rows), skipped)
    assert (checked[0] is block) == (checked[0] == block)
    again = kernel.check(kinds, checked[0])
    assert again == (checked[0], 0)
    assert again[0] is checked[0]


@given(st.data())
def test_check_is_what_the_layout_does(kernel: ModuleType, data: Any) -> None:
    layout = Layout()
    block = data.draw(inputs.blocks(inputs.DEFAULT))
    # A tail without a newline is a line for the kernel.
    block += b'' if block.endswith(b'\n') else b'\n'
    for line in block.split(b'\n'):
        if not line or line.isspace() or len(line) > 65_536:
            continue
        try:
            expected = (b' '.join(layout.parse(line)) + b'\n', 0)
        except ValueError:
            expected = (b'', 1)
        assert kernel.check(inputs.DEFAULT, line + b'\n') == expected


@pytest.mark.parametrize('size', [65_530, 65_536, 65_537, 70_000, 200_000])
@pytest.mark.parametrize('make', [
    lambda word: b'%b 1 2' % word,
    lambda word: b'%b 1 2 ' % word,
    lambda word: b'1 %b 2' % word,
    lambda word: b'a 1 %b' % word.replace(b'x', b'7'),
    lambda word: b'a 1 2' + b' ' * len(word),
    lambda word: b'%b 1 2000000001' % word,
    lambda word: b'%b 1 1454324362123' % word,
    lambda word: b'a ' * (len(word) // 2),
    lambda word: b'\0%b 1 2' % word,
])  # fmt: skip
@pytest.mark.parametrize('end', [b'\n', b''])
def test_long_lines(kernel: ModuleType, size: int, make: Any, end: bytes) -> None:
    block = b'a 1 2\n' * 3 + make(b'x' * size) + end
    rows, skipped = naive.kept(b'TIM', (), None, block)
    assert kernel.check(b'TIM', block) == (written(rows), skipped)


def test_10_000_columns_and_256_fields(kernel: ModuleType) -> None:
    assert kernel.check(b'I' * 256, b'1 ' * 10_000 + b'\n') == (b'', 1)
    wide = b' '.join([b'1'] * 256) + b'\n'
    assert kernel.check(b'I' * 256, wide * 200) == (wide * 200, 0)
    for kinds in (b'', b'I' * 257, b'X', b'TIx'):
        with pytest.raises(ValueError):
            kernel.check(kinds, b'')


@given(st.data())
def test_keep_and_columns(kernel: ModuleType, data: Any) -> None:
    kinds = data.draw(inputs.kinds)
    tests, window = data.draw(inputs.tests(kinds)), data.draw(inputs.windows(kinds))
    block = data.draw(inputs.blocks(kinds))
    rows, skipped = naive.kept(kinds, tests, window, block)
    kept = kernel.keep(kinds, tests, window, block)
    assert kept == (written(rows), len(rows), skipped)
    assert (kept[0] is block) == (kept[0] == block)
    groups = data.draw(
        st.lists(inputs.places(kinds) | st.lists(inputs.places(kinds), max_size=4).map(tuple), max_size=4)
    )
    columns = [
        [b' '.join(naive.at(row, place) for place in (group if isinstance(group, tuple) else (group,))) for row in rows]
        for group in groups
    ]
    assert kernel.columns(kinds, tests, window, groups, block) == (columns, skipped)
    compiled = kernel.compile_tests(kinds, tests)
    for _ in range(2):
        assert kernel.keep(kinds, compiled, window, block) == kept
        assert kernel.columns(kinds, compiled, window, groups, block) == (columns, skipped)


@given(st.data())
def test_each_kind_of_test(kernel: ModuleType, data: Any) -> None:
    """One column and one test, so that many lines pass and many do not."""
    kind = data.draw(st.sampled_from([*inputs.payloads]))
    letter = b'I' if kind in ('number', 'flags') else b'T'
    values = data.draw(st.lists(inputs.value(letter.decode(), False), max_size=20))
    test = ((0,), data.draw(st.booleans()), data.draw(st.booleans()), kind, data.draw(inputs.payloads[kind]))
    block = written([[value] for value in values])
    rows, skipped = naive.kept(letter, (test,), None, block)
    assert kernel.keep(letter, (test,), None, block) == (written(rows), len(rows), skipped)


@settings(max_examples=100)
@given(inputs.addresses, inputs.addresses)
def test_addresses_are_what_ipaddress_takes(kernel: ModuleType, one: bytes, other: bytes) -> None:
    found = naive.address(one)
    line = b'%b %b\n' % (one, other)
    for version, last in ((4, 2**32 - 1), (6, 2**128 - 1)):
        any_address = ((0,), False, False, 'address', ((0, last, version),))
        expected = line if found and found.version == version else b''
        assert kernel.keep(b'TT', (any_address,), None, line)[0] == expected
    if found:
        own = ((0,), False, False, 'address', ((int(found), int(found), found.version),))
        assert kernel.keep(b'TT', (own,), None, line)[0] == line
    for operator in ('@=', '@!=', '@<', '@<=', '@>', '@>=', '=', '!='):
        test = ((0,), False, False, 'same', (1, operator))
        assert bool(kernel.keep(b'TT', (test,), None, line)[0]) == naive.same(one, other, operator), operator


@pytest.mark.parametrize('arguments', [
    ((((5,), False, False, 'text', ()),), None),
    ((((-2,), False, False, 'text', ()),), None),
    ((((10**30,), False, False, 'text', ()),), None),
    ((((0,), False, False, 'number', ()),), None),
    ((((0,), False, False, 'flags', 1),), None),
    ((((0,), False, False, 'no such test', ()),), None),
    ((((0,), False, False, 'same', (1, '<')),), None),
    ((((1,), False, False, 'same', (0, '<')),), None),
    ((((1,), False, False, 'same', (7, '=')),), None),
    ((((1,), False, False, 'same', (1, '<>')),), None),
    ((((0,), False, False, 'same', (0, '@=', ())),), None),
    ((((1,), False, False, 'same', (1, '<', ())),), None),
    ((((0,), False, False, 'same', (0, '=', ((2, 1, 4, b'a'),))),), None),
    ((), (0, 2, 0, 1, True)),
    ((), (1, 2, 0, 1, True)),
    ((), (3, 2, 0, 1, True)),
])  # fmt: skip
def test_wrong_tests_and_windows(kernel: ModuleType, arguments: Any) -> None:
    with pytest.raises(ValueError):
        kernel.keep(b'TIM', *arguments, b'a 1 1\n')
    with pytest.raises(ValueError):
        kernel.keep(b'TIM', kernel.compile_tests(b'TIM', arguments[0]), arguments[1], b'a 1 1\n')


def test_compiled_tests_belong_to_their_format(kernel: ModuleType) -> None:
    tests = kernel.compile_tests(b'TI', (((1,), False, False, 'number', ((1, 9),)),))
    table = kernel.Sums((None,), ())
    for _ in range(2):
        table.add(b'TI', tests, None, ((0,),), (-1, -1, -1, -1, -1), b'a 5\nb 15\n')
    assert table.lines() == b'a 0 0 - - 2\n'
    for kinds in (b'TT', b'T', b'TII'):
        with pytest.raises(ValueError):
            kernel.keep(kinds, tests, None, b'a 5\n')
        with pytest.raises(ValueError):
            table.add(kinds, tests, None, ((0,),), (-1, -1, -1, -1, -1), b'a 5\n')
    with pytest.raises(ValueError):
        kernel.compile_tests(b'X', ())


def test_compiled_tests_outlive_what_they_are_made_of(kernel: ModuleType) -> None:
    tests = kernel.compile_tests(b'T', (((0,), False, False, 'text', tuple(b'%d' % at for at in range(5_000))),))
    gc.collect()
    data = b'4999\n5000\n7\n' * 100
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.extend(kernel.keep(b'T', tests, None, data) for _ in range(50)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(b'4999\n7\n' * 100, 200, 0)] * 150


def test_wrong_types(kernel: ModuleType) -> None:
    for data in ('text', bytearray(b''), memoryview(b''), None, 5):
        for call in (
            lambda data: kernel.check(b'T', data),
            lambda data: kernel.keep(b'T', (), None, data),
            lambda data: kernel.columns(b'T', (), None, (0,), data),
            lambda data: kernel.encode('text', (b'a',), (False,), (0,), (None,), b' ', data),
            kernel.find_events,
            kernel.letter_lines,
            lambda data: kernel.lines_with((b'a',), data),
            lambda data: kernel.lines_with((data,), b'a'),
        ):
            with pytest.raises(TypeError):
                call(data)


@given(st.lists(inputs.value('I', False) | inputs.value('T', False), min_size=1, max_size=6), st.booleans())
def test_column_getter(kernel: ModuleType, values: list[bytes], number: bool) -> None:
    texts = [value.decode() for value in values]
    for shape in (' '.join(texts), texts):
        record = SimpleNamespace(_texts=shape)
        for place, text in enumerate(texts * 2):
            get = kernel.column_getter(place % len(texts), number)
            if text == '-':
                assert get(record) is None
            elif not number:
                assert get(record) == text
            elif text.isdigit():
                assert get(record) == int(text)
            else:
                with pytest.raises(ValueError):
                    get(record)
        with pytest.raises(IndexError):
            kernel.column_getter(len(texts), number)(record)
    with pytest.raises(ValueError):
        kernel.column_getter(-1, number)
    with pytest.raises(AttributeError):
        kernel.column_getter(0, number)(None)


@given(st.lists(st.sampled_from([b'bytes', b'a', b'z', b'A', b'`', b'{', b'2 ', b' a', b'\n', b'\r', b'\0', b'\xe9'])))
def test_letter_lines(kernel: ModuleType, parts: list[bytes]) -> None:
    data = b''.join(parts)
    begins = [0, *(at + 1 for at, byte in enumerate(data) if byte == 10)]
    assert kernel.letter_lines(data) == tuple(at for at in begins if data[at : at + 1].islower())


@given(st.data())
def test_lines_with(kernel: ModuleType, data: Any) -> None:
    lines = data.draw(inputs.blocks(inputs.DEFAULT))
    # Parts of the lines, of which some are in many of them; and texts that may be in none.
    parts = st.tuples(st.integers(0, max(0, len(lines) - 1)), st.integers(1, 60)).map(
        lambda part: lines[part[0] :][: part[1]] or b'x'
    )
    texts = tuple(data.draw(st.lists(parts | st.sampled_from(inputs.WORDS), max_size=4)))
    assert kernel.lines_with(texts, lines) == naive.lines_with(texts, lines)
    with pytest.raises(ValueError):
        kernel.lines_with((*texts, b''), lines)


@pytest.mark.parametrize('size', [1, 2, 3, 4, 15, 16, 17, 64, 200])
def test_texts_are_found_wherever_they_are(kernel: ModuleType, size: int) -> None:
    text = bytes(range(33, 33 + 90))[:size] + b'#' * (size - 90)
    for before in (*range(130), 16_300 - size, 16_384 - size, 16_384 - size // 2, 16_384):
        # Beginnings and ends of the text are not the text.
        padding = (text[:-1] + b'_' + text[1:] + b'_' + b'-' * 300) * 99
        line = padding[:before] + text + padding[:20] + b'\n'
        for data in (line, b'no\n' + line + b'no', (b'-' * 799 + b'\n') * 40 + line[:-1]):
            assert kernel.lines_with((text,), data) == naive.lines_with((text,), data)


# --- sums -------------------------------------------------------------------------------------------------------------


@given(st.data())
def test_sums(kernel: ModuleType, data: Any) -> None:
    kinds = data.draw(inputs.kinds)
    arguments, alternatives, places = data.draw(inputs.tables(kinds))
    table, expected = kernel.Sums(*arguments), naive.Sums(*arguments)
    for _ in range(data.draw(st.integers(1, 3))):
        tests, window = data.draw(inputs.tests(kinds)), data.draw(inputs.windows(kinds))
        block = data.draw(inputs.blocks(kinds))
        added = kinds, tests, window, alternatives, places, block
        assert table.add(*added) == expected.add(*added)
        check_table(table, expected, data)


def check_table(table: Any, expected: naive.Sums, data: Any) -> None:
    lines = expected.lines()
    assert table.lines() == b''.join(lines)
    assert len(table) == len(lines)
    begin, count = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    assert table.lines(begin, count) == b''.join(lines[begin : begin + count])
    assert table.lines(begin + count, 2) == b''.join(lines[begin + count : begin + count + 2])
    assert table.lines(begin) == b''.join(lines[begin:])
    for by in ('packets', 'bytes', 'flows'):
        if by in (*expected.track, 'flows'):
            assert table.top(count, by) == expected.top(count, by)
        else:
            with pytest.raises(ValueError):
                table.top(count, by)


@given(st.data())
def test_merged_tables(kernel: ModuleType, data: Any) -> None:
    """The merged tables of two parts are equal to the table of the whole."""
    kinds = data.draw(inputs.kinds)
    arguments, alternatives, places = data.draw(inputs.tables(kinds))
    expected = naive.Sums(*arguments)
    tables = []
    for _ in range(data.draw(st.integers(1, 3))):
        block = data.draw(inputs.blocks(kinds, long=False))
        tables.append(kernel.Sums(*arguments))
        added = kinds, (), None, alternatives, places, block
        assert tables[-1].add(*added) == expected.add(*added)
    for other in tables[1:]:
        tables[0].merge(other)
    check_table(tables[0], expected, data)
    for total in expected.totals.values():
        for name in ('packets', 'bytes', 'flows'):
            total[name] *= 2
    tables[0].merge(tables[0])
    check_table(tables[0], expected, data)


def test_sums_beyond_64_bits(kernel: ModuleType) -> None:
    table = kernel.Sums((None,), TRACK)
    line = b'a %d %d 1 2147483647\n' % (10**19 - 1, 10**19 - 2)
    table.add(b'TIIMM', (), None, ((0,),), (1, 2, 3, 4, -1), line * 1000)
    for _ in range(20):
        table.merge(table)
    flows = 1000 << 20
    row = b'a %d %d 1 2147483647 %d\n' % ((10**19 - 1) * flows, (10**19 - 2) * flows, flows)
    assert table.lines() == row
    assert table.top(1, 'packets') == row


def test_a_large_table(kernel: ModuleType) -> None:
    """Keys in several chunks of memory, one of them larger than a chunk; pages in any order."""
    table, other = kernel.Sums((None, None), ('bytes',)), kernel.Sums((None, None), ('bytes',))
    keys = [b'key-%d word-%d' % (number, number % 7) for number in range(60_000)]
    keys[30_000] = b'%b -' % (b'x' * 3_000_000)
    expected = [b'%b 0 %d - - %d\n' % (key, number * 2, 2) for number, key in enumerate(keys)]
    block = b''.join(b'%b %d\n' % (key, number) for number, key in enumerate(keys))
    for one in (table, other):
        assert one.add(b'TTI', (), None, ((0, 1),), (-1, 2, -1, -1, -1), block) == (60_000, 0)
    table.merge(other)
    assert len(table) == 60_000
    assert table.lines() == b''.join(expected)
    for begin in (0, 29_999, 30_000, 30_001, 100, 59_990, 70_000):
        assert table.lines(begin, 3) == b''.join(expected[begin : begin + 3])
    assert table.top(3, 'bytes') == b''.join(expected[:-4:-1])
    # The end has moved since the last call.
    assert table.lines(60_000) == b''
    table.add(b'TTI', (), None, ((0, 1),), (-1, 2, -1, -1, -1), b'new - 1\n')
    assert table.lines(60_000) == b'new - 0 1 - - 1\n'


@settings(max_examples=100)
@given(inputs.addresses, st.integers(0, 129), st.integers(0, 129))
@example(b'10.0.0.0/8', 24, 24)
def test_networks(kernel: ModuleType, text: bytes, n4: int, n6: int) -> None:
    table = kernel.Sums((('prefix', n4, n6),), ())
    table.add(b'T', (), None, ((0,),), (-1, -1, -1, -1, -1), text + b'\n')
    found = table.lines().split(b' ')[0]
    assert found == naive.key(('prefix', n4, n6), text)
    assert found == pure.network(text, n4, n6)


@settings(max_examples=100)
@given(inputs.addresses, inputs.addresses, st.sampled_from(inputs.LABELS))
@example(b'-', b'10.0.0.1', inputs.LABELS[1])
@example(b'255.255.255.255', b'10.0.0.1', inputs.LABELS[1])
def test_labels(kernel: ModuleType, text: bytes, other: bytes, labels: Any) -> None:
    table = kernel.Sums((('label', labels, b'none'),), ())
    table.add(b'T', (), None, ((0,),), (-1, -1, -1, -1, -1), text + b'\n')
    assert table.lines().split(b' ')[0] == naive.label(text, labels, b'none')
    one, another = (naive.label(each, labels, b'-') for each in (text, other))
    for operator, met in (('=', one == another), ('!=', one != another)):
        for missing in (True, False):
            test = ((0,), False, missing, 'same', (1, operator, labels))
            kept = kernel.keep(b'TT', (test,), None, b'%b %b\n' % (text, other))[1]
            assert bool(kept) == (missing if b'-' in (one, another) else met)


@pytest.mark.parametrize('keys, track', [
    ((('prefix', -1, 0),), ()),
    ((('bucket', 0, 0),), ()),
    ((('bucket', 2**63, 0),), ()),
    ((('bucket', 1, -(2**63)),), ()),
    ((('nothing', 1, 2),), ()),
    ((('map', {b'a': b'b c'}, b'd'),), ()),
    ((('map', {}, b''),), ()),
    ((('label', ((0, 1, 4, b'a b'),), b'-'),), ()),
    ((('label', (), b''),), ()),
    ((('label', ((0, 2**32, 4, b'a'),), b'-'),), ()),
    ((('label', ((0, 2**128, 6, b'a'),), b'-'),), ()),
    ((('label', ((-1, 0, 4, b'a'),), b'-'),), ()),
    ((('label', ((0, 0, 5, b'a'),), b'-'),), ()),
    ((('label', ((3, 2, 4, b'a'),), b'-'),), ()),
    ((('label', ((5, 9, 4, b'b'), (0, 5, 4, b'a')), b'-'),), ()),
    ((None,), ('flows',)),
    ((None,), ('packets', 'nothing')),
])  # fmt: skip
def test_wrong_tables(kernel: ModuleType, keys: Any, track: Any) -> None:
    with pytest.raises(ValueError):
        kernel.Sums(keys, track)


@pytest.mark.parametrize('alternatives, sums', [
    (((0, 1),), (1, 1, 2, 2, 0)),
    (((),), (1, 1, 2, 2, 0)),
    (((3,),), (1, 1, 2, 2, 0)),
    (((0,),), (0, 1, 2, 2, 0)),
    (((0,),), (1, 1, 1, 2, 0)),
    (((0,),), (1, 1, 2, 2, 9)),
])  # fmt: skip
def test_wrong_additions(kernel: ModuleType, alternatives: Any, sums: Any) -> None:
    table = kernel.Sums((None,))
    with pytest.raises(ValueError):
        table.add(b'TIM', (), None, alternatives, sums, b'a 1 1\n')
    bucket = kernel.Sums((('bucket', 60, 0),))
    with pytest.raises(ValueError):
        bucket.add(b'TIM', (), None, ((0,),), (1, 1, 2, 2, 0), b'a 1 1\n')
    assert len(table) == len(bucket) == 0


def test_tables_that_cannot_be_merged(kernel: ModuleType) -> None:
    table = kernel.Sums((None,))
    for other in (kernel.Sums((None, None)), kernel.Sums((None,), ()), kernel.Sums((None,), TRACK, False)):
        with pytest.raises(ValueError):
            table.merge(other)
    for other in (None, {}, naive):
        with pytest.raises(TypeError):
            table.merge(other)
    for call in (lambda: table.lines(-1), lambda: table.lines(0, -1), lambda: table.top(-1, 'bytes')):
        with pytest.raises(ValueError):
            call()
    assert table.lines(10**30, 10**30) == b''
    assert table.top(10**30, 'bytes') == b''


def test_a_map_is_copied(kernel: ModuleType) -> None:
    mapping = {b'a': b'b'}
    table = kernel.Sums((('map', mapping, b'none'),), ())
    mapping.clear()
    table.add(b'T', (), None, ((0,),), (-1, -1, -1, -1, -1), b'a\nc\n')
    assert table.lines() == b'b 0 0 - - 1\nnone 0 0 - - 1\n'


def test_threads_are_kept_apart(kernel: ModuleType) -> None:
    """A table in use raises RuntimeError in other threads; calls that did not raise have added their records."""
    table = kernel.Sums((None,), ('bytes',))
    block = b''.join(b'key-%d 1\n' % (number % 3_000) for number in range(30_000))
    added = []

    def add() -> None:
        for _ in range(20):
            try:
                added.append(table.add(b'TI', (), None, ((0,),), (-1, 1, -1, -1, -1), block)[0])
                table.lines(0, 5)
                table.top(5, 'bytes')
            except RuntimeError:
                pass

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert added
    assert sum(int(line.split()[2]) for line in table.lines().splitlines()) == sum(added)


# --- output -----------------------------------------------------------------------------------------------------------

cells = st.one_of(
    st.sampled_from([b'-', b'', b'a', b'a b', b'"', b'a,b', b'\\', b'-x', b': "-"', b'%s', b'x' * 70 + b'"', b'\x01']),
    st.text('ab-,"\\: %', max_size=20).map(str.encode),
    st.integers(0, 10**12).map(lambda number: b'%d' % number),
)


@st.composite
def sheets(draw: Any) -> Any:
    """The arguments of encode, and rows of cells."""
    separator = draw(st.sampled_from([b' ', b'\t']))
    width = draw(st.integers(1, 5))
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6))
    if separator == b' ':
        rows = [[cell.replace(b' ', b'') for cell in row] for row in rows]
    if draw(st.booleans()):
        places = tuple(range(width))
    else:
        places = tuple(draw(st.lists(st.integers(-1, width - 1), min_size=1, max_size=5)))
    numbers = tuple(draw(st.booleans()) for _ in places)
    return places, numbers, separator, rows


def sheet_text(rows: list[list[bytes]], separator: bytes) -> bytes:
    return b''.join(separator.join(row) + b'\n' for row in rows)


@given(sheets(), st.sampled_from(['text', 'tsv', 'csv', 'jsonl']))
def test_encode(kernel: ModuleType, sheet: Any, encoding: str) -> None:
    places, numbers, separator, rows = sheet
    names = tuple(b'name_%d%%' % at for at in range(len(places)))
    picked = [[naive.at(row, place) for place in places] for row in rows]
    arguments = encoding, names, numbers, places, (None,) * len(places), separator, sheet_text(rows, separator)
    found = kernel.encode(*arguments)
    if encoding in ('text', 'tsv'):
        assert found == sheet_text(picked, b'\t' if encoding == 'tsv' else separator)
    elif encoding == 'csv':
        assert [*csv.reader(io.StringIO(found.decode(), newline=''))] == [
            ['' if cell == b'-' else cell.decode() for cell in row] for row in picked
        ]
    else:
        lines = found.decode().split('\n')[:-1]
        assert len(lines) == len(picked)
        for line, row in zip(lines, picked):
            values = [json_value(cell, number) for cell, number in zip(row, numbers)]
            assert line == '{' + ', '.join(f'"{name.decode()}": {value}' for name, value in zip(names, values)) + '}'
    # A last line without a newline is a line.
    cut = kernel.encode(*arguments[:-1], arguments[-1][:-1])
    assert cut == found or not (rows and rows[-1] != [b''])


def json_value(cell: bytes, number: bool) -> str:
    if cell == b'-':
        return 'null'
    text = cell.decode().replace('\\', '\\\\').replace('"', '\\"')
    return text if number else f'"{text}"'


@given(
    st.lists(st.integers(-62_135_596_800, 253_402_300_799) | st.integers(0, 2**31 - 1) | st.none(), max_size=8),
    st.sampled_from(['iso', 'date']),
)
def test_times(kernel: ModuleType, times: list[int | None], form: str) -> None:
    values = [b'-' if time is None else b'%d' % time for time in times]
    data = b''.join(b'%b 1\n' % value for value in values)
    shown = [naive.time(form, value) for value in values]
    arguments = (b'time', b'n'), (True, True), (0, 1), (form, None), b' ', data
    assert kernel.encode('text', *arguments) == b''.join(b'%b 1\n' % text for text in shown)
    assert kernel.encode('csv', *arguments) == b''.join(b'%b,1\n' % (b'' if text == b'-' else text) for text in shown)
    assert [json.loads(line) for line in kernel.encode('jsonl', *arguments).splitlines()] == [
        {'time': None if text == b'-' else text.decode(), 'n': 1} for text in shown
    ]


@pytest.mark.parametrize('value', [
    b'x', b'', b'+1', b'1_0', b'1.5', b'--1', b'253402300800', b'-62135596801', b'9' * 19, b'9' * 20, b'0' * 5000,
    b'-x',
])  # fmt: skip
def test_values_that_are_not_times(kernel: ModuleType, value: bytes) -> None:
    for form in ('iso', 'date'):
        with pytest.raises(ValueError):
            kernel.encode('text', (b'a',), (False,), (0,), (form,), b'\t', value + b'\n')


@given(
    st.sampled_from(['text', 'tsv', 'csv', 'jsonl', 'xml']),
    st.lists(st.integers(-2, 4), max_size=4),
    st.lists(st.sampled_from([None, None, 'iso', 'date', 'epoch']), max_size=4),
    st.sampled_from([b' ', b'\t', b',', b'']),
    st.lists(st.lists(cells, max_size=4), max_size=4),
    st.booleans(),
)
def test_encode_of_anything(encoding: str, places: Any, times: Any, separator: bytes, rows: Any, whole: bool) -> None:
    """Lines that lack columns, and arguments that do not fit."""
    times = (times + [None] * 4)[: len(places)]
    data = sheet_text(rows, separator)[: None if whole else -1]
    arguments = encoding, [b'n'] * len(places), [True] * len(places), places, times, separator, data
    assert outcome(native().encode, *arguments) == outcome(pure.encode, *arguments)


def test_encode_gives_back_what_it_got(kernel: ModuleType) -> None:
    data = b'a b\nc d\n' * 2
    assert kernel.encode('text', (b'a', b'b'), (False,) * 2, (0, 1), (None,) * 2, b' ', data) is data
    assert kernel.encode('text', (b'a',), (False,), (0,), (None,), b' ', data) == b'a\nc\n' * 2
    assert kernel.encode('csv', (b'a', b'b'), (False,) * 2, (0, 1), (None,) * 2, b' ', b'') == b''


# --- events -----------------------------------------------------------------------------------------------------------

texts = st.text(max_size=20) | st.text('ab "\\\n\t\ud83d\ude00\x00é{}[],:', max_size=12)
messages = st.one_of(texts, st.just('2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 4 1454324362 1454324363 ACCEPT OK'))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=5,
)


@st.composite
def bodies(draw: Any) -> bytes:
    """Usually an event page of FilterLogEvents."""
    plain = draw(st.booleans())
    times = draw(st.lists(st.integers(0, 3) | st.integers(0, 10**15), max_size=5))
    if draw(st.integers(0, 5)):
        times.sort()
    events: list[Any] = []
    names = draw(st.permutations(['message', 'timestamp', 'eventId', 'ingestionTime', 'logStreamName']))
    for time in times:
        event = {
            'message': 'plain' if plain else draw(messages),
            'timestamp': time,
            'eventId': f'{time:056}' if plain else draw(texts),
            'ingestionTime': 5,
            'logStreamName': 'eni-1-all',
        }
        made = {name: event[name] for name in names}
        if draw(st.integers(0, 9)) == 0:
            made.pop(draw(st.sampled_from(names)))
        if draw(st.integers(0, 9)) == 0:
            made[draw(st.sampled_from([*names, 'other']))] = draw(json_values)
        events.append(made)
    answer = {'events': events, 'searchedLogStreams': draw(st.just([]) | json_values)}
    if draw(st.booleans()):
        answer['nextToken'] = 'token' if plain else draw(texts | st.none())
    if draw(st.integers(0, 9)) == 0:
        answer[draw(st.sampled_from(['events', 'nextToken', 'other']))] = draw(json_values)
    answer = {name: answer[name] for name in draw(st.permutations([*answer]))}
    spacing = draw(st.sampled_from([{'separators': (',', ':')}, {}, {'indent': 1}]))
    text = json.dumps(answer, ensure_ascii=draw(st.booleans()), **spacing)
    return text.encode('utf-8', draw(st.sampled_from(['replace', 'surrogatepass'])))


def page(body: bytes) -> Any:
    """The expected result, with a JSON parser."""
    try:
        answer = json.loads(body)
        events, token = answer['events'], answer.get('nextToken')
        if not isinstance(events, list) or not (token is None or isinstance(token, str)):
            return None
        times = [event.get('timestamp', 0) for event in events]
        if not all(isinstance(time, int) and 0 <= time < 10**14 for time in times):
            return None
        ordered = sorted(events, key=lambda event: event.get('timestamp', 0))
        lines = ''.join([event['message'].replace('\n', ' ') + '\n' for event in ordered])
        ids = ''.join([event.get('eventId', '') + '\n' for event in ordered])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    first, last = (min(times), max(times)) if times else (None, None)
    texts = [text.encode('utf-8', 'replace') for text in (lines, ids)]
    return *texts, first, last, times.count(last), times == sorted(times), token


@settings(max_examples=80)
@given(st.data())
def test_find_events(kernel: ModuleType, data: Any) -> None:
    body = data.draw(bodies())
    change = data.draw(st.sampled_from(['', '', '', 'cut', 'insert', 'replace', 'swap']))
    at = data.draw(st.integers(0, len(body)))
    if change == 'cut':
        body = body[:at]
    elif change:
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b',', b'}', b'{', b'"', b'\\', b' ', b'0', b'\\u']))
        body = body[:at] + piece + body[at + (len(piece) if change == 'replace' else 0) :]
    assert kernel.find_events(body) == page(body)


EVENT = b'{"message":"a b","timestamp":1,"eventId":"7"}'


@pytest.mark.parametrize('body', [
    b'', b'{', b'null', b'[]', b'{}', b'{"events":[]}', b'{"events":{}}', b'{"events":[],"events":[]}',
    b'{"events":null}',
    b'{"events":[%b]}' % EVENT,
    b'{"events":[%b,%b],"nextToken":"x"}' % (EVENT, EVENT),
    b'{"events":[%b;%b]}' % (EVENT, EVENT),
    b'{"events":[%b,,%b]}' % (EVENT, EVENT),
    b'{"events":[%b],"other":[%b]}' % (EVENT, EVENT),
    b'{"other":[%b],"events":[]}' % EVENT,
    b'{"events":[%b],"events":[%b]}' % (EVENT, EVENT),
    b'{"events":[%b]} ' % EVENT,
    b'{"events":[%b]}x' % EVENT,
    b'\xef\xbb\xbf{"events":[%b]}' % EVENT,
    '{"events":[]}'.encode('utf-16'),
    b'{"events":[%b],"nextToken":5}' % EVENT,
    b'{"events":[%b],"nextToken":"\\u0041"}' % EVENT,
    b'{"events":[%b],"nextToken":"\xc3\xa9"}' % EVENT,
    *(b'{"events":[%b]}' % EVENT.replace(b'a b', text) for text in (
        b'\\n', b'\\u000a', b'\\t\\r\\b\\f\\/\\"\\\\', b'\\u0000', b'\\ud83d\\ude00', b'\\ud83d', b'\\ude00\\ud83d',
        b'\\u12', b'\\ud83d\\u0041', b'\\ud83d\\ud83d\\ude00', b'\\x', b'\xc3\xa9', b'\xed\xa0\x80', b'\xff', b'\xc3',
        b'\n', b'\t', b'\x7f', b'\xf0\x9f\x98\x80', b'\xf4\x90\x80\x80', b'\xe0\x80\x80', b'\xc0\x80', b'}', b'{',
        b'],[', b'\\u00E9\\u20ac', b'\\',
    )),
    *(b'{"events":[%b,%b]}' % (EVENT, EVENT.replace(b':1,', b':%b,' % time)) for time in (
        b'0', b'01', b'1.0', b'1e3', b'-1', b'true', b'null', b'"1"', b'99999999999999', b'100000000000000', b' 2 ',
        b'9' * 5000,
    )),
    b'{"events":[%b,{}]}' % EVENT,
    b'{"events":[%b,5]}' % EVENT,
    b'{"events":[%b,{"message":"only"}]}' % EVENT,
    b'{"events":[{"message":"only"},%b]}' % EVENT,
    b'{"events":[{"message":"a","message":"b"}]}',
    b'{"events":[%b],"x":%b1%b}' % (EVENT, b'[' * 60, b']' * 60),
    b'{"events":[%b],"x":%b1%b}' % (EVENT, b'[' * 70, b']' * 70),
    b'{"events":[%b],"x":%b1%b}' % (EVENT, b'[' * 100_000, b']' * 100_000),
    b'{"events":[%b],"x":{"a":[1,{"b":[]},-0.5e+10,true,false,null,"\\u0041"],"c":{}}}' % EVENT,
    b'{"events":[%b],"x":NaN}' % EVENT, b'{"events":[%b],"x":-Infinity}' % EVENT, b'{"events":[%b],"x":01}' % EVENT,
    b'{"events":[%b],"x":1.}' % EVENT, b'{"events":[%b],"x":.5}' % EVENT, b'{"events":[%b],"x":1e}' % EVENT,
    b'{"events":[%b],"x":%b}' % (EVENT, b'9' * 5000),
])  # fmt: skip
def test_bodies(kernel: ModuleType, body: bytes) -> None:
    assert kernel.find_events(body) == page(body)


def test_a_large_page(kernel: ModuleType) -> None:
    events = [
        {'logStreamName': 's', 'timestamp': 10**12 + at // 10, 'message': f'2 1 eni {at}', 'eventId': f'{at:056}'}
        for at in range(10_000)
    ]
    body = json.dumps({'events': events, 'nextToken': 'x', 'searchedLogStreams': []}, separators=(',', ':')).encode()
    assert kernel.find_events(body) == page(body)
    assert kernel.find_events(body)[4] == 10
