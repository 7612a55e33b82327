"""Blocks whose records are rows of an Arrow table: Arrow filters and sums them, and few become text. Needs pyarrow.

Such a Block has only rows whose text is canonical: see :func:`plain`. The kernel decides which texts pass a test, and
writes the keys of sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
from pyarrow import types

try:
    # pyarrow.compute and pyarrow.acero export these names, but to import those takes 45 ms of CPU time: more than the
    # sums of a million records. The private modules have had these names since pyarrow 12.
    from pyarrow._acero import AggregateNodeOptions, Declaration, TableSourceNodeOptions
    from pyarrow._compute import (
        CastOptions,
        MatchSubstringOptions,
        ReplaceSubstringOptions,
        SetLookupOptions,
        SortOptions,
        call_function,
    )
except ImportError:
    from pyarrow.acero import AggregateNodeOptions, Declaration, TableSourceNodeOptions
    from pyarrow.compute import (
        CastOptions,
        MatchSubstringOptions,
        ReplaceSubstringOptions,
        SetLookupOptions,
        SortOptions,
        call_function,
    )

from .. import kernel
from ..kernel.limits import MAX_SECONDS
from ..records.block import Block, Places
from ..records.layout import Layout
from ..records.record import NEVER_NONE
from .filter import Selection

# Rows that are summed at a time; a smaller number until it is known that they make fewer groups.
SUMMED_ROWS = 1 << 20
FIRST_ROWS = 1 << 17
# Groups that are converted to lines at a time: about a megabyte of text.
GROUPS = 1 << 14
MAX_INT = 2**63 - 1
# The sum of SUMMED_ROWS values of this size fits into 64 bits.
MAX_SUMMED = MAX_INT // SUMMED_ROWS
GRAPHIC = bytes(range(0x21, 0x7F))
TEXT, _, MOMENT = b'TIM'
# (field, function of Arrow, text of a sum without values), in the order of `sums`.
AGGREGATES = (
    ('packets', 'hash_sum', '0'),
    ('bytes', 'hash_sum', '0'),
    ('start', 'hash_min', '-'),
    ('end', 'hash_max', '-'),
)


def call(name: str, *values: Any, options: Any = None) -> Any:
    """Call a function of pyarrow.compute. Values are arrays, columns, tables or Python values."""
    return call_function(name, [*values], options)


def cast(values: Any, type: Any, safe: bool = True) -> Any:
    return call('cast', values, options=CastOptions.safe(type) if safe else CastOptions.unsafe(type))


def is_in(values: Any, chosen: Any) -> Any:
    return call('is_in', values, options=SetLookupOptions(value_set=chosen))


# -- columns -----------------------------------------------------------------------------------------------------------


def plain(layout: Layout, columns: Sequence[Any]) -> Any:
    """Convert the stored columns to a table that Arrow can filter and sum.

    Texts become dictionary-encoded, with ``-`` for missing values; numbers become signed integers. The name of a column
    is its place in the layout. Return None if the text of a value is not, or may not be, canonical: the kernel must
    then check the lines as text.
    """
    found = []
    for name, kind, column in zip(layout.fields, layout.kinds, columns):
        values = _plain_texts(name, column) if kind == TEXT else _plain_numbers(name, kind, column)
        if values is None:
            return None
        found.append(values)
    return pa.Table.from_arrays(found, [*map(str, range(len(found)))])


def _plain_texts(name: str, column: Any) -> Any:
    coded = _coded(column)
    if coded is None:
        return None
    texts, codes = coded.dictionary, coded.indices
    try:
        texts = texts if types.is_string(texts.type) else cast(texts, pa.string())
    except pa.ArrowException:
        return None
    codes = codes if types.is_int32(codes.type) else cast(codes, pa.int32())
    texts = call('coalesce', texts, '-') if texts.null_count else texts
    if codes.null_count:
        codes = call('coalesce', codes, pa.scalar(len(texts), pa.int32()))
        texts = pa.concat_arrays([texts, pa.array(['-'])])
    texts = _dashed(name, texts)
    if _memory_of(texts).translate(None, GRAPHIC):
        return None
    return pa.DictionaryArray.from_arrays(codes, texts, safe=False)


def _coded(column: Any) -> Any:
    """A column of texts, dictionary-encoded; None if it has another type."""
    if types.is_null(column.type) or types.is_integer(column.type):
        column = cast(column, pa.string())
    if _is_text(column.type):
        column = call('dictionary_encode', column)
    return column if types.is_dictionary(column.type) and _is_text(column.type.value_type) else None


def _is_text(type: Any) -> bool:
    return any(test(type) for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def _plain_numbers(name: str, kind: int, column: Any) -> Any:
    if types.is_null(column.type):
        return pa.nulls(len(column), pa.int64())
    if types.is_timestamp(column.type):
        column = _seconds(column)
    if types.is_floating(column.type):
        try:
            column = _whole_numbers(column)
        except pa.ArrowException:
            return None
    if not types.is_integer(column.type):
        return None
    bounds = call('min_max', column).as_py()
    largest = MAX_SECONDS if kind == MOMENT else MAX_SUMMED if name in ('packets', 'bytes') else MAX_INT
    if bounds['min'] is not None and not 0 <= bounds['min'] <= bounds['max'] <= largest:
        return None
    # Arrow would convert an unsigned column to another type in comparisons, and the type of its sums is another one.
    return cast(column, pa.int64()) if types.is_unsigned_integer(column.type) else column


def _whole_numbers(column: Any) -> Any:
    """A column of floats as integers. Some writers store numbers as floats if values are missing, which may be NaN."""
    return cast(call('if_else', call('is_nan', column), None, column), pa.int64())


def _seconds(column: Any) -> Any:
    """A column of timestamps as Unix seconds."""
    return cast(cast(column, pa.timestamp('s'), safe=False), pa.int64())


# -- text --------------------------------------------------------------------------------------------------------------


def text_of(name: str, column: Any) -> Any:
    """The values of any column as texts of a log. Raises ValueError if its type cannot be one of a log."""
    if types.is_dictionary(column.type):
        column = cast(column, column.type.value_type)
    if types.is_timestamp(column.type):
        column = _seconds(column)
    if types.is_floating(column.type):
        column = _whole_numbers(column)
    if types.is_nested(column.type) or types.is_boolean(column.type):
        raise ValueError(f'the column {name} holds {column.type}, which is not a type of flow logs')
    return _dashed(name, call('coalesce', cast(column, pa.string()), '-'))


def _dashed(name: str, texts: Any) -> Any:
    """The texts, with ``-`` for missing values."""
    # Writers that convert all values to text write None for a missing value.
    missing = is_in(texts, pa.array(['', 'None'] if name in NEVER_NONE else ['']))
    return call('if_else', missing, '-', texts) if call('any', missing).as_py() else texts


def lines_of(columns: Sequence[Any]) -> bytes:
    """A line for each row of texts."""
    joined = call('binary_join_element_wise', *columns, ' ')
    if call('any', call('match_substring', joined, options=MatchSubstringOptions('\n'))).as_py():
        # No part of a row that contains a line end may look like a record.
        joined = call('replace_substring', joined, options=ReplaceSubstringOptions('\n', '\0'))
    return _with_ends(joined)


def _plain_lines(columns: Sequence[Any]) -> bytes:
    """A line for each row of plain columns."""
    *others, last = map(_plain_text, columns)
    # To join the line end with the last column is cheaper than with the whole line.
    return _memory_of(call('binary_join_element_wise', *others, call('binary_join_element_wise', last, '\n', ''), ' '))


def _plain_text(column: Any) -> Any:
    if not isinstance(column, pa.Array):
        return column
    if types.is_dictionary(column.type):
        return call('take', column.dictionary, column.indices)
    texts = cast(column, pa.string())
    return call('coalesce', texts, '-') if texts.null_count else texts


def _with_ends(texts: Any) -> bytes:
    return _memory_of(call('binary_join_element_wise', texts, '\n', ''))


def _memory_of(texts: Any) -> bytes:
    """All texts of an array, concatenated: one copy of its memory."""
    assert texts.type == pa.string()
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return b''
    at = memoryview(offsets).cast('i')
    return bytes(memoryview(data)[at[texts.offset] : at[texts.offset + len(texts)]])


# -- blocks ------------------------------------------------------------------------------------------------------------


class Grouping:
    """Whether it pays to sum rows in Arrow, as the rows so far show; one object for all blocks of a file.

    If most rows are groups of their own (`aggregate`), the kernel sums them in less time and half the memory.
    """

    def __init__(self) -> None:
        self.pays = True
        self.rows = FIRST_ROWS

    def learn(self, rows: int, groups: int) -> None:
        self.pays = groups < 0.7 * rows
        self.rows = SUMMED_ROWS if self.pays else FIRST_ROWS


class ArrowBlock(Block):
    """A Block of the rows of a table that :func:`plain` made.

    `line_count` may be larger than the number of rows: it counts rows that were not read because none can pass.
    """

    rows: Any
    grouping: Grouping
    _line_count: int

    def __new__(
        cls,
        layout: Layout,
        rows: Any,
        line_count: int,
        grouping: Grouping,
        origin: str = '',
        ended: tuple[int, int] | None = None,
    ) -> ArrowBlock:
        block = super().__new__(cls, layout, b'', origin, ended)
        block.rows, block._line_count, block.grouping = rows, line_count, grouping
        return block

    @property
    def data(self) -> bytes:
        return _text(self.rows)

    @property
    def is_canonical(self) -> bool:
        return True

    @property
    def has_lines(self) -> bool:
        return self._line_count > 0

    @property
    def line_count(self) -> int:
        return self._line_count

    @property
    def size(self) -> int:
        size: int = self.rows.nbytes
        return size

    def from_place(self, origin: str, ended: tuple[int, int] | None) -> ArrowBlock:
        return ArrowBlock(self.layout, self.rows, self.line_count, self.grouping, origin, ended)

    def candidates(self, selection: Selection) -> bytes:
        return _text(self._passing(selection))

    def add_to(self, table: Any, selection: Selection, keys: Places, sums: Sequence[int]) -> tuple[int, int]:
        if any(kind == 'same' for _, _, _, kind, _ in selection.tests.each):
            return super().add_to(table, selection, keys, sums)
        rows = self._passing(selection)
        if len(rows):
            flows = _are_flows(rows, sums) if table.flows_only else True
            for places in keys:
                for lines in _groups(rows, places, sums, table.track, flows, self.grouping):
                    table.add_groups(lines)
        return len(rows), 0

    @property
    def grows(self) -> bool:
        return self.line_count < self.grouping.rows

    def with_next(self, following: Block) -> Block | None:
        if not isinstance(following, ArrowBlock):
            return None
        same = (self.layout, self.ended) == (following.layout, following.ended)
        lines = self.line_count + following.line_count
        if not same or lines > self.grouping.rows or self.rows.schema != following.rows.schema:
            return None
        rows = pa.concat_tables([self.rows, following.rows])
        return ArrowBlock(self.layout, rows, lines, self.grouping, self.origin, self.ended)

    def _passing(self, selection: Selection) -> Any:
        """The rows that pass the window and all tests but those of kind 'same'."""
        tests, window, _ = selection
        verdicts = [_verdict(self.rows, self.layout.kinds, test) for test in tests.each if test[3] != 'same']
        if window:
            verdicts.append(_in_window(self.rows, window))
        columns = [verdict for verdict in verdicts if not isinstance(verdict, bool)]
        if any(verdict is False for verdict in verdicts):
            return self.rows.slice(0, 0)
        return call('filter', self.rows, _all(columns)) if columns else self.rows


def _text(rows: Any) -> bytes:
    return b''.join([_plain_lines(batch.columns) for batch in rows.to_batches()])


def _all(columns: Sequence[Any]) -> Any:
    return reduce(lambda one, other: call('and', one, other), columns)


def _any(columns: Sequence[Any]) -> Any:
    return reduce(lambda one, other: call('or', one, other), columns)


# -- tests and windows -------------------------------------------------------------------------------------------------


def _verdict(rows: Any, kinds: bytes, test: kernel.Test) -> Any:
    """Whether each row passes a test: a column of booleans, or one boolean for all rows."""
    places, negated, *match = test
    found = [match[0] if place < 0 else _matches(rows.column(place), kinds[place], *match) for place in places]
    columns = [each for each in found if not isinstance(each, bool)]
    if any(each is True for each in found) or not columns:
        return any(each is True for each in found) != negated
    return call('invert', _any(columns)) if negated else _any(columns)


def _matches(column: Any, kind: int, missing: bool, test: str, payload: Any) -> Any:
    """Whether each value matches. Arrow compares numbers; for other tests the kernel tests each distinct value."""
    if kind == TEXT:
        met = [(_met(chunk.dictionary, kind, missing, test, payload), chunk.indices) for chunk in column.chunks]
        return pa.chunked_array([call('take', *pair) for pair in met], pa.bool_())
    if test == 'number':
        met = [_within(column, low, high) for low, high in payload if low <= MAX_INT]
        return call('coalesce', _any(met), missing) if met else call('and', call('is_null', column), missing)
    distinct = call('drop_null', call('unique', column))
    met = is_in(column, call('filter', distinct, _met(cast(distinct, pa.string()), kind, missing, test, payload)))
    return call('or', met, call('and', call('is_null', column), missing))


def _within(column: Any, low: int, high: int) -> Any:
    """Whether each value is in a range, both ends included; null for a missing value."""
    return _all([call('greater_equal', column, low), call('less_equal', column, min(high, MAX_INT))])


def _met(texts: Any, kind: int, missing: bool, test: str, payload: Any) -> Any:
    """Whether each text matches, as the kernel decides."""
    kept, *_ = kernel.keep(bytes([kind]), (((0,), False, missing, test, payload),), None, _with_ends(texts))
    return is_in(texts, pa.array(kept.decode().splitlines(), pa.string()))


def _in_window(rows: Any, window: kernel.Window) -> Any:
    start, end, start_ms, end_ms, timeless = window
    times = [rows.column(place) for place in (start, end) if place >= 0]
    if not times:
        return timeless
    return call('coalesce', _within(call('coalesce', *times), -(-start_ms // 1000), (end_ms - 1) // 1000), timeless)


# -- sums --------------------------------------------------------------------------------------------------------------


def _are_flows(rows: Any, sums: Sequence[int]) -> Any:
    """Whether each row is a flow: it has packets or bytes; without such fields, log_status says so. True: all are."""
    packets, octets, _, _, status = sums
    counts = [rows.column(place) for place in (packets, octets) if place >= 0]
    if any(count.null_count == 0 for count in counts) or not counts and status < 0:
        return True
    if counts:
        return _any([call('is_valid', count) for count in counts])
    return call('invert', _matches(rows.column(status), TEXT, False, 'text', (b'NODATA', b'SKIPDATA')))


def _groups(
    rows: Any, places: Sequence[int], sums: Sequence[int], track: Iterable[str], flows: Any, grouping: Grouping
) -> Iterator[bytes]:
    """Sum the rows that are `flows` by the columns at these places. Yield lines for kernel.Sums.add_groups."""
    keys = {f'key{at}': place for at, place in enumerate(places) if place >= 0}
    summed = {name: place for (name, *_), place in zip(AGGREGATES, sums) if name in track and place >= 0}
    columns, texts = _columns(rows, {**keys, **summed})
    ones = pa.repeat(pa.scalar(1, pa.int32()), len(rows))
    names = [(f'key{at}', '-') for at in range(len(places))]
    names += [(name, missing) for name, _, missing in AGGREGATES] + [('flows', '0')]
    if grouping.pays:
        found = _aggregated(columns, ones, flows, [*keys], [*summed])
        grouping.learn(len(rows), len(found))
    else:
        found = pa.table({**columns, 'flows': ones})
        found = found if flows is True else call('filter', found, flows)
    for begin in range(0, len(found), GROUPS):
        part = found.slice(begin, GROUPS)
        yield _plain_lines([_shown(part, name, missing, texts.get(name)) for name, missing in names])


def _shown(found: Any, name: str, missing: str, texts: Any) -> Any:
    """A column of groups as text, or the text `missing` if there is no such column."""
    if name not in found.column_names:
        return missing
    column = found.column(name).combine_chunks()
    return call('coalesce', cast(column, pa.string()), missing) if texts is None else call('take', texts, column)


def _columns(rows: Any, places: dict[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns with new names, and the dictionaries of those that are texts: such a column has the indices."""
    columns, texts = {}, {}
    for name, column in zip(places, rows.select([*places.values()]).unify_dictionaries().columns):
        if types.is_dictionary(column.type):
            texts[name] = column.chunk(0).dictionary
            column = pa.chunked_array([chunk.indices for chunk in column.chunks])
        columns[name] = column
    return columns, texts


def _aggregated(columns: dict[str, Any], ones: Any, flows: Any, keys: Sequence[str], summed: Sequence[str]) -> Any:
    """Return the sums of columns by the keys, in the order of their first rows, without groups that have no flow.

    `ones` is a column of the number 1.
    """
    # Aggregation returns groups in any order: the number of its first row sorts them.
    columns = {**columns, 'row': call('cumulative_sum', ones)}
    if flows is not True:
        # Sums leave out missing values. Packets and bytes of other rows are missing already.
        for name in {'row', 'start', 'end'} & columns.keys():
            columns[name] = call('if_else', flows, columns[name], None)
    if not keys:
        columns['all'] = ones
    asked = [(name, function, None, name) for name, function, _ in AGGREGATES if name in summed]
    asked += [('row', 'hash_min', None, 'row'), ('row', 'hash_count', None, 'flows')]
    groups = Declaration.from_sequence(
        [
            Declaration('table_source', TableSourceNodeOptions(pa.table(columns))),
            Declaration('aggregate', AggregateNodeOptions(asked, keys=[*keys] or ['all'])),
        ]
    ).to_table(use_threads=False)
    # Missing values are sorted last.
    order = call('sort_indices', groups, options=SortOptions([('row', 'ascending')]))
    return call('take', groups, order.slice(0, len(groups) - groups.column('row').null_count))
