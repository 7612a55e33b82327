"""The output: columns, encodings, headers, times, and raw lines."""

from __future__ import annotations

import csv
import json
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlogs_reader.output.encodings import Encoding, Shape
from flowlogs_reader.output.writer import Style, Writer
from flowlogs_reader.query.result import Column, Records
from flowlogs_reader.query.typed_times import parse_zone
from flowlogs_reader.records.block import Block
from flowlogs_reader.records.fields import DEFAULT_FIELDS, Kind
from flowlogs_reader.records.layout import Layout
from tests.conftest import MINUTE, Cli

FIRST = MINUTE.splitlines(keepends=True)[0]
NODATA = b'2 743065858817 eni-63444414 - - - - - - - 1454324362 1454324415 - NODATA\n'
ODD = FIRST.replace(b' ', b'  ', 1).replace(b' eni', b'\teni').replace(b'44589', b'0044589').replace(b'\n', b'\r\n')
ODD = ODD.replace(b'1454324362', b'1454324362123')
COLUMNS = ('srcaddr', 'start', 'bytes')

# -- formats -----------------------------------------------------------------------------------------------------------

values = st.one_of(
    st.just('-'),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8),
    st.text(st.sampled_from('-,":\\%bx'), min_size=1, max_size=4),
)
numbers = st.one_of(st.just('-'), st.integers(0, 10**19 - 1).map(str))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[bool], list[list[str]]]:
    """Which columns hold numbers, and rows."""
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    return kinds, draw(st.lists(st.tuples(*[numbers if kind else values for kind in kinds]).map(list), min_size=1))


def encoded(name: str, kinds: list[bool], rows: list[list[str]], separator: str) -> str:
    columns = tuple(Column(f'f{at}', Kind.INTEGER if kind else Kind.TEXT) for at, kind in enumerate(kinds))
    data = ''.join(separator.join(row) + '\n' for row in rows)
    encoding = Encoding(name)
    encoding.begin(Shape(columns, tuple(range(len(columns))), separator.encode(), (None,) * len(columns)), header=False)
    return (encoding.lines(data.encode()) + encoding.end()).decode()


@given(tables(), st.sampled_from(' \t'))
def test_csv_is_read_back_by_the_csv_module(table: tuple[list[bool], list[list[str]]], separator: str) -> None:
    kinds, rows = table
    text = encoded('csv', kinds, rows, separator)
    assert list(csv.reader(StringIO(text), strict=True)) == [
        ['' if cell == '-' else cell for cell in row] for row in rows
    ]


@given(tables(), st.sampled_from(' \t'))
def test_jsonl_is_read_back_by_the_json_module(table: tuple[list[bool], list[list[str]]], separator: str) -> None:
    kinds, rows = table
    expected = [
        {
            f'f{at}': None if cell == '-' else int(cell) if kind else cell
            for at, (kind, cell) in enumerate(zip(kinds, row))
        }
        for row in rows
    ]
    assert [json.loads(line) for line in encoded('jsonl', kinds, rows, separator).splitlines()] == expected


@given(tables())
def test_tsv_and_text_keep_the_values(table: tuple[list[bool], list[list[str]]]) -> None:
    kinds, rows = table
    assert [line.split('\t') for line in encoded('tsv', kinds, rows, ' ').splitlines()] == rows
    assert [line.split(' ') for line in encoded('text', kinds, rows, ' ').splitlines()] == rows


def test_values_with_spaces_stay_one_column_of_a_table() -> None:
    rows = [['2016-02-01 10:59:22', 'a, "b"']]
    assert encoded('csv', [False] * 2, rows, '\t') == '2016-02-01 10:59:22,"a, ""b"""\n'
    assert json.loads(encoded('jsonl', [False] * 2, rows, '\t')) == {'f0': '2016-02-01 10:59:22', 'f1': 'a, "b"'}


# -- records -----------------------------------------------------------------------------------------------------------


def written(*blocks: Block, style: Style) -> bytes:
    """The output of Blocks: the same for one result with all Blocks and, as with --follow, one result for each."""
    outputs = set()
    for results in ([Records(blocks)], [Records([block]) for block in blocks]):
        stdout = BytesIO()
        writer = Writer(stdout, style)
        for result in results:
            writer.write(result)
        writer.flush()
        assert bool(writer.written) == bool(stdout.getvalue())
        outputs.add(stdout.getvalue())
    (output,) = outputs
    return output


def test_a_default_block_is_written_as_it_is() -> None:
    class Identical(BytesIO):
        def write(self, data: object) -> int:
            assert data is MINUTE
            return len(MINUTE)

    writer = Writer(Identical())
    writer.write(Records([Block(Layout(), MINUTE)]))
    assert writer.written == len(MINUTE)


@pytest.mark.parametrize(
    ('style', 'expected'),
    [
        (Style(columns=COLUMNS), b'172.20.0.10 1454324362 1501\n- 1454324362 -\n'),
        (Style(columns=COLUMNS, output='tsv'), b'172.20.0.10\t1454324362\t1501\n-\t1454324362\t-\n'),
        (Style(columns=COLUMNS, output='csv'), b'172.20.0.10,1454324362,1501\n,1454324362,\n'),
        (Style(columns=('action', 'end'), output='csv', header=True), b'action,end\nACCEPT,1454324415\n,1454324415\n'),
        (
            Style(columns=COLUMNS, output='jsonl'),
            b'{"srcaddr": "172.20.0.10", "start": 1454324362, "bytes": 1501}\n'
            b'{"srcaddr": null, "start": 1454324362, "bytes": null}\n',
        ),
        (
            Style(columns=COLUMNS, output='jsonl', times='iso', tz=parse_zone('Asia/Tokyo')),
            b'{"srcaddr": "172.20.0.10", "start": "2016-02-01T19:59:22+09:00", "bytes": 1501}\n'
            b'{"srcaddr": null, "start": "2016-02-01T19:59:22+09:00", "bytes": null}\n',
        ),
        (Style(columns=('bytes',)), b'1501\n-\n'),
        (Style(columns=('bytes',), output='csv'), b'1501\n""\n'),
        (Style(columns=('vpc_id', 'dstaddr')), b'- 103.246.150.154\n- -\n'),
        (Style(columns=('vpc_id',), output='jsonl'), b'{"vpc_id": null}\n' * 2),
        (
            Style(columns=('end', 'version'), times='iso', header=True),
            b'end version' + b'\n2016-02-01T11:00:15Z 2' * 2 + b'\n',
        ),
        (Style(columns=('end', 'version'), times='epoch'), b'1454324415 2\n' * 2),
    ],
)  # fmt: skip
def test_styles(style: Style, expected: bytes) -> None:
    assert written(Block(Layout(), FIRST + NODATA), style=style) == expected


def test_all_columns_with_dates() -> None:
    line = written(Block(Layout(), FIRST), style=Style(times='iso'))
    assert line == FIRST.replace(b'1454324362', b'2016-02-01T10:59:22Z').replace(b'1454324415', b'2016-02-01T11:00:15Z')


@pytest.mark.parametrize('output', ['text', 'tsv', 'csv'])
def test_a_header_comes_once_and_again_where_the_columns_change(output: str) -> None:
    wide = Block(Layout([*DEFAULT_FIELDS, 'vpc-id']), FIRST.replace(b'\n', b' vpc-1\n'))
    narrow = Block(Layout(), FIRST)
    lines = written(narrow, narrow, wide, wide, narrow, style=Style(output=output, header=True)).decode().splitlines()
    assert [at for at, line in enumerate(lines) if line.startswith('version')] == [0, 3, 6]
    assert (lines[0].split()[-1:], lines[3].endswith('vpc_id')) == (lines[6].split()[-1:], True)
    assert len(lines) == 8


def test_columns_that_are_fixed_have_one_header_whatever_the_formats_are() -> None:
    style = Style(output='csv', columns=('vpc_id', 'bytes'), header=True)
    blocks = Block(Layout(), FIRST), Block(Layout(['bytes', 'vpc-id']), b'7 vpc-1\n')
    assert written(*blocks, style=style) == b'vpc_id,bytes\n,1501\nvpc-1,7\n'


def test_text_with_a_header_is_a_log_that_can_be_read(cli: Cli) -> None:
    columns = '--columns=start,srcaddr,bytes,interface_id,end'
    once = cli('-', columns, '--header', stdin=MINUTE).stdout
    assert cli('-', columns, '--header', stdin=once).stdout == once


def test_custom_formats_come_in_the_fixed_order_in_every_format(cli: Cli) -> None:
    log = b'dstaddr new-field start type srcaddr\n10.0.0.2 x 1454324362 IPv4 10.0.0.1\n'
    row = json.loads(cli('-', '-o', 'jsonl', stdin=log).stdout)
    assert list(row) == [*DEFAULT_FIELDS, 'type', 'new_field']
    assert {name: value for name, value in row.items() if value is not None} == {
        'srcaddr': '10.0.0.1', 'dstaddr': '10.0.0.2', 'start': 1454324362, 'type': 'IPv4', 'new_field': 'x',
    }  # fmt: skip
    assert cli('-', '-o', 'csv', stdin=log).stdout == b',,,10.0.0.1,10.0.0.2,,,,,,1454324362,,,,IPv4,x\n'


def test_quotes_and_commas_in_tags(cli: Cli) -> None:
    log = b'srcaddr bytes instance-tag\n10.0.0.1 40 a,"b"\\%20-\n10.0.0.2 - -\n'
    rows = csv.reader(StringIO(cli('-', '-c', 'srcaddr,bytes,instance_tag', '-o', 'csv', stdin=log).stdout.decode()))
    assert list(rows) == [['10.0.0.1', '40', 'a,"b"\\%20-'], ['10.0.0.2', '', '']]
    lines = cli('-', '-c', 'srcaddr,instance_tag', '-o', 'jsonl', stdin=log).lines
    assert [json.loads(line)['instance_tag'] for line in lines] == ['a,"b"\\%20-', None]


# -- lines as they were ------------------------------------------------------------------------------------------------


def test_raw_lines_are_those_of_the_log(cli: Cli) -> None:
    log = FIRST + ODD + NODATA + b'not a record\n\n' + FIRST.replace(b'\n', b' \t\n')
    result = cli('-', '--raw', stdin=log)
    assert result.stdout == log.replace(b'not a record\n\n', b'')
    assert result.stderr == 'flowlogs_reader: 1 line was left out: not records of this log format\n'


@pytest.mark.parametrize(
    ('argv', 'expected'),
    [
        (['-w', 'dstport=443'], FIRST + ODD),
        (['-w', 'srcport=44589', '-w', 'action=ACCEPT'], FIRST + ODD),
        (['-w', 'srcaddr=-'], NODATA),
        (['print', '2'], FIRST + ODD),
        (['findip', '172.20.0.10'], FIRST + ODD),
        (['-s', '2016-02-01T10:59:22Z', '-e', '2016-02-01T10:59:23Z'], FIRST + ODD + NODATA),
        (['-s', '2016-02-01T10:59:23Z', '-e', '2016-02-01T10:59:24Z'], b''),
    ],
)
def test_raw_lines_are_chosen_by_what_they_mean(argv: list[str], expected: bytes, cli: Cli) -> None:
    assert cli('-', *argv, '--raw', stdin=FIRST + ODD + NODATA).stdout == expected


def test_without_raw_the_same_lines_are_canonical(cli: Cli) -> None:
    assert cli('-', stdin=FIRST + ODD).stdout == FIRST * 2


# -- options that do not fit -------------------------------------------------------------------------------------------

WRONG = [
    (['-c', 'colour'], "there is no field 'colour'"),
    (['-c', 'srcadr'], '(similar: srcaddr'),
    (['-c', 'start,end,start'], '--columns has start twice'),
    (['-c', 'addr'], 'addr is srcaddr and dstaddr: give one of them here'),
    (['-o', 'xml'], "'xml'"),
    (['-o', 'jsonl', '--header'], '--header does not go with -o jsonl'),
    (['--times', 'unix'], "'unix'"),
    (['--tz', 'Tokyo'], 'type an IANA name such as Asia/Tokyo'),
    (['--raw', '-c', 'start'], '--columns does not go with --raw'),
    (['--raw', '-o', 'csv'], '--output does not go with --raw'),
    (['--raw', '--times', 'iso'], '--times does not go with --raw'),
    (['top', '-c', 'start'], '--columns does not go with top: it is for print, findip'),
    (['aggregate', '--raw'], '--raw does not go with aggregate'),
    (['ipset', '--times', 'iso'], '--times does not go with ipset: it is for print, findip, top, aggregate, timeline'),
    (['--by', 'flows'], '--by does not go with print: it is for top'),
    (['top', '--flows'], '--flows does not go with top: it is for aggregate'),
    (['timeline', '--both-ways'], '--both-ways does not go with timeline: it is for aggregate'),
]


@pytest.mark.parametrize(('argv', 'says'), WRONG, ids=[' '.join(argv) for argv, _ in WRONG])
def test_options_that_do_not_fit_are_reported_before_anything_is_read(argv: list[str], says: str, cli: Cli) -> None:
    result = cli('-', *argv, status=2, stdin=MINUTE)
    assert says in result.stderr.splitlines()[-1]
    assert result.stdout == b''


def test_columns_take_hyphens_spaces_and_unknown_names_that_the_log_has(cli: Cli) -> None:
    result = cli('-', '--fields', 'new-field start', '-c', 'Start, new-field', stdin=b'x 1454324362\n')
    assert result.stdout == b'1454324362 x\n'
