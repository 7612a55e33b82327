"""Blocks from the bytes of a file: compression, lines, header rows, and what other tools put around records."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlogs_reader.errors import DamagedError, FlowLogsError
from flowlogs_reader.kernel import check
from flowlogs_reader.kernel.limits import MAX_LINE
from flowlogs_reader.records.layout import Layout
from flowlogs_reader.sources.decode import TEXT, inflate, text_blocks, whole_lines
from tests import traffic

LINES = list(traffic.lines(3000))
BODY = b'\n'.join(LINES) + b'\n'
HEADER = traffic.HEADER + b'\n'
LINE = b'2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK'
OTHER_HEADER = b'srcaddr dstaddr bytes start\n'
OTHER = b'10.0.0.1 10.0.0.2 40 1418530010'


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in zip(edges, edges[1:])]


def in_pieces(data: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def inflated(chunks: Iterable[bytes]) -> tuple[bytes, str]:
    """The Blocks that were read, and the error that ended them."""
    out = []
    try:
        for text in inflate(chunks):
            out.append(text)
    except DamagedError as error:
        return b''.join(out), str(error)
    return b''.join(out), ''


def read(chunks: Iterable[bytes], layout: Layout | None = None) -> tuple[list[tuple[tuple[str, ...], bytes]], int]:
    """The canonical lines with their fields, and the number of skipped lines."""
    found, skipped = [], 0
    for block in text_blocks(chunks, layout):
        data, left_out = check(block.layout.kinds, block.data)
        skipped += left_out
        found += [(block.layout.fields, line) for line in data.splitlines()]
    return found, skipped


def lines_of(data: bytes, layout: Layout | None = None) -> list[bytes]:
    return [line for _, line in read([data], layout)[0]]


# -- compression ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [1, 7, 1 << 16])
def test_text_passes_as_it_is(size: int) -> None:
    assert inflated(in_pieces(BODY[:5000], size)) == (BODY[:5000], '')


@pytest.mark.parametrize('size', [1, 1000, 1 << 16])
def test_gzip_is_detected_from_its_content(size: int) -> None:
    assert inflated(in_pieces(gzip.compress(BODY), size)) == (BODY, '')


def test_members_follow_each_other_and_zeros_may_pad_them() -> None:
    members = gzip.compress(BODY) + bytes(700) + gzip.compress(LINE) + gzip.compress(b'') + bytes(5)
    assert inflated(in_pieces(members, 512)) == (BODY + LINE, '')


def test_nothing_is_nothing() -> None:
    assert inflated([]) == inflated([b'']) == inflated([gzip.compress(b'')]) == (b'', '')


def test_a_bomb_comes_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    assert len(bomb) < 1 << 16
    assert max(map(len, inflate([bomb]))) <= TEXT


@given(st.integers(1))
def test_of_truncated_gzip_everything_before_the_break_comes(at: int) -> None:
    whole = gzip.compress(BODY)
    broken = whole[: 2 + at % (len(whole) - 3)]
    text, problem = inflated(in_pieces(broken, 1000))
    assert BODY.startswith(text) and problem == 'the gzip data ends too early'
    assert text == zlib.decompressobj(31).decompress(broken)


def test_of_corrupt_gzip_everything_before_the_break_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    # A sound part that ends at a whole byte, then a block of a type that does not exist.
    broken = packer.compress(BODY) + packer.flush(zlib.Z_FULL_FLUSH) + b'\x07' + bytes(500)
    text, problem = inflated([broken])
    assert text == BODY
    assert problem == 'the gzip data is damaged (Error -3 while decompressing data: invalid block type)'


def test_a_wrong_checksum_is_reported_after_all_of_the_text() -> None:
    whole = bytearray(gzip.compress(BODY))
    whole[-8] ^= 1
    text, problem = inflated([bytes(whole)])
    assert text == BODY
    assert problem == 'the gzip data is damaged (Error -3 while decompressing data: incorrect data check)'


def test_data_after_gzip_that_is_not_gzip() -> None:
    text, problem = inflated([gzip.compress(BODY) + b'garbage'])
    assert text == BODY and problem.startswith('the gzip data is damaged')


@pytest.mark.skipif(sys.version_info >= (3, 14), reason='Python 3.14 has zstd')
def test_zstd_needs_python_3_14() -> None:
    with pytest.raises(FlowLogsError, match=r'^zstd data needs Python 3.14 or newer; or pipe it in: zstdcat FILE'):
        list(inflate([b'\x28\xb5\x2f\xfd' + bytes(20)]))


@pytest.mark.skipif(sys.version_info < (3, 14), reason='zstd came with Python 3.14')
def test_zstd() -> None:
    from compression import zstd

    data = zstd.compress(BODY) + zstd.compress(LINE)
    assert inflated(in_pieces(data, 999)) == (BODY + LINE, '')
    assert inflated([zstd.compress(BODY)[:-5]])[1] == 'the zstd data ends too early'


# -- lines ----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=8))
def test_lines_are_whole_wherever_the_data_is_cut(data: bytes, places: list[int]) -> None:
    runs = list(whole_lines(cut(data, *places)))
    assert all(run.endswith(b'\n') for run in runs)
    assert b''.join(runs) == (data if data.endswith(b'\n') or not data else data + b'\n')


def test_a_line_of_ten_megabytes_costs_only_itself() -> None:
    wide = LINE.replace(b'eni-1235b8ca', b'e' * 10_000_000)
    for size in (1 << 16, TEXT, 1 << 30):
        data = LINE + b'\n' + wide + b'\n' + LINE
        assert max(map(len, whole_lines(in_pieces(data, size)))) < 2 * max(size, MAX_LINE) + MAX_LINE or size == 1 << 30
        assert read(in_pieces(data, size)) == ([(Layout().fields, LINE)] * 2, 1)


@pytest.mark.parametrize('length, kept', [(MAX_LINE, True), (MAX_LINE + 1, False)])
@pytest.mark.parametrize('size', [100, 1 << 16, 1 << 20])
def test_where_lines_become_too_long_does_not_depend_on_how_they_come(length: int, kept: bool, size: int) -> None:
    line = LINE.replace(b'eni-1235b8ca', b'e' * (length - len(LINE) + 12))
    assert len(line) == length
    data = line + b'\n' + LINE + b'\n' + line + b'\n'
    found, skipped = read(in_pieces(data, size))
    assert [text for _, text in found] == ([line, LINE, line] if kept else [LINE])
    assert skipped == (0 if kept else 2)


def test_the_last_line_needs_no_newline() -> None:
    assert lines_of(LINE + b'\n' + LINE) == [LINE, LINE]


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    data = b'\xef\xbb\xbf' + (HEADER + LINE + b'\n\n' + LINE + b'\n').replace(b'\n', b'\r\n')
    assert read([data]) == read(cut(data, 1)) == ([(Layout().fields, LINE)] * 2, 0)
    assert lines_of(b'\xef\xbb\xbf' + LINE) == [LINE]


def test_a_nul_spoils_its_line_only() -> None:
    assert read([LINE.replace(b'22', b'\0') + b'\n' + LINE + b'\n']) == ([(Layout().fields, LINE)], 1)
    assert read([bytes(4096) + b'\n' + LINE + b'\n']) == ([(Layout().fields, LINE)], 1)


@pytest.mark.parametrize(
    'data', [bytes(range(256)) * 50, b'\x89PNG\r\n\x1a\n' + bytes(3000), (LINE + b'\n').decode().encode('utf-16')]
)
def test_data_that_is_not_text_is_reported_as_that(data: bytes) -> None:
    with pytest.raises(DamagedError, match='^this is neither text nor gzip, zstd or Parquet data$'):
        read([data])


# -- header rows ----------------------------------------------------------------------------------------------------


def test_without_a_header_row_the_fields_are_the_default_or_the_given_ones() -> None:
    assert read([LINE]) == ([(Layout().fields, LINE)], 0)
    layout = Layout(['srcaddr', 'dstaddr', 'bytes', 'start'])
    assert read([OTHER], layout) == ([(layout.fields, OTHER)], 0)


def test_a_header_row_wins() -> None:
    assert lines_of(HEADER + LINE, Layout(['srcaddr'])) == [LINE]


@pytest.mark.parametrize(
    'header', [HEADER, HEADER.replace(b'-', b'_'), HEADER.replace(b' ', b'\t'), HEADER.replace(b'\n', b' \r\n')]
)
def test_spellings_of_a_header_row(header: bytes) -> None:
    assert read([header + LINE]) == ([(Layout().fields, LINE)], 0)


def test_a_header_row_alone() -> None:
    assert read([HEADER]) == read([HEADER[:-1]]) == read([b'']) == read([b'\n\n']) == ([], 0)


def test_a_header_row_that_cannot_be_used() -> None:
    with pytest.raises(FlowLogsError, match='^unusable header row: the log format has the field srcaddr twice$'):
        read([b'srcaddr srcaddr start\n' + LINE])


CONCATENATED = HEADER + LINE + b'\n' + LINE + b'\n' + OTHER_HEADER + OTHER + b'\n\n' + OTHER_HEADER + HEADER + LINE


@given(st.lists(st.integers(0, len(CONCATENATED)), max_size=12))
def test_files_through_cat_are_separated_wherever_the_data_is_cut(places: list[int]) -> None:
    other = Layout(OTHER_HEADER.decode().split()).fields
    default = Layout().fields
    assert read(cut(CONCATENATED, *places)) == ([(default, LINE), (default, LINE), (other, OTHER), (default, LINE)], 0)


def test_a_header_row_in_the_middle_may_begin_with_an_unknown_field() -> None:
    other = b'new-field srcaddr start\n'
    assert read([HEADER + LINE + b'\n' + other + b'x 10.0.0.1 1418530010\n'])[0][1:] == [
        (('new_field', 'srcaddr', 'start'), b'x 10.0.0.1 1418530010')
    ]


def test_blocks_hold_many_lines() -> None:
    assert len(list(text_blocks(in_pieces(BODY)))) == -(-len(BODY) // (1 << 16))


# -- wrappings ------------------------------------------------------------------------------------------------------

NODATA = b'2 123456789010 eni-1235b8ca - - - - - - - 1431280876 1431280934 - NODATA'
EVENT = {'id': '3186', 'timestamp': 1418530010000, 'message': LINE.decode()}
WRAPPED = {
    'CloudWatch export to S3': b'2014-12-14T04:06:50.000Z %b\n',
    'aws logs filter-log-events --output text': b'EVENTS\t3186\t1418530012345\teni-1235b8ca-all\t%b\t1418530010000\n',
    'aws logs tail': b'2014-12-14T04:06:50+00:00 eni-1235b8ca-all %b\n',
    'aws logs tail --format short': b'2014-12-14T04:06:50 %b\n',
    'awslogs': b'flowlogs eni-1235b8ca-all %b\n',
    'Firehose': b'{"message":"%b"}\n',
    'Firehose without newlines': b'{"message":"%b"}',
    'jq': b'{ "message" : "%b" }\n',
    'aws logs filter-log-events': b'{\n  "events": [\n    {\n      "message": "%b",\n      "x": 1\n    }\n  ]\n}\n',
    'a list': b'[{"message": "%b"}]',
}


@pytest.mark.parametrize('name', WRAPPED)
def test_wrapped_records(name: str) -> None:
    data = b''.join(WRAPPED[name] % line for line in (LINE, NODATA, LINE))
    for chunks in ([data], in_pieces(data, 1), in_pieces(data, 50)):
        assert read(chunks) == ([(Layout().fields, line) for line in (LINE, NODATA, LINE)], 0)


@pytest.mark.parametrize('junk', [b'junk ', b'2014-12-14T04:06:50.000Z '])
def test_one_line_with_something_before_it_costs_no_other(junk: bytes) -> None:
    found, skipped = read([junk + LINE + b'\n' + LINE + b'\n' + NODATA + b'\n'])
    assert [line for _, line in found] == [LINE, LINE, NODATA] and not skipped


@pytest.mark.parametrize('missing', range(1, 10))
def test_columns_that_the_format_lacks_are_not_a_wrapping(missing: int) -> None:
    """Otherwise a wrong --fields would put values under wrong names."""
    layout = Layout(Layout().fields[:-missing])
    blocks = list(text_blocks([LINE + b'\n'], layout))
    assert [check(block.layout.kinds, block.data) for block in blocks] == [(b'', 1)]


def test_wrapped_records_after_lines_that_are_not_records() -> None:
    events = WRAPPED['aws logs filter-log-events --output text']
    data = b'SEARCHEDLOGSTREAMS\teni-1235b8ca-all\tTrue\n\n' + events % LINE + b'garbage\n' + events % LINE
    found, skipped = read([data])
    assert [line for _, line in found] == [LINE, LINE] and skipped == 2


def test_documents_of_a_subscription() -> None:
    document = json.dumps({'messageType': 'DATA_MESSAGE', 'owner': '1', 'logEvents': [EVENT] * 2000}).encode()
    assert len(document) > 4 * MAX_LINE
    for size in (1 << 12, 1 << 16, 1 << 20):
        found, skipped = read(in_pieces(document * 3, size))
        assert [line for _, line in found] == [LINE] * 6000 and not skipped


@pytest.mark.parametrize('size', [1, 7, 1 << 16])
def test_json_that_breaks_off_is_reported(size: int) -> None:
    for whole in (
        json.dumps({'events': [EVENT] * 3}).encode(),
        json.dumps({'events': [EVENT] * 3, 'braces': '}}]'}, indent=2).encode(),
        b''.join(json.dumps(EVENT).encode() for _ in range(3)),
    ):
        found, skipped = read(in_pieces(whole, size))
        assert [line for _, line in found] == [LINE] * 3 and not skipped
        for end in range(len(whole) - 1, len(whole) - 200, -1):
            blocks = text_blocks(in_pieces(whole[:end], size))
            documents = whole.startswith(b'{"id"') and end == len(whole) - len(json.dumps(EVENT))
            with nullcontext() if documents else pytest.raises(DamagedError):
                list(blocks)


@pytest.mark.parametrize('size', [1, 7, 1 << 16])
def test_braces_and_quotes_in_a_message_are_text(size: int) -> None:
    odd = {'message': 'a } { "quoted" ] \\ b', 'timestamp': 1}
    found, skipped = read(in_pieces(json.dumps({'events': [EVENT, odd, EVENT]}).encode(), size))
    assert [line for _, line in found] == [LINE, LINE] and skipped == 1


def test_escapes_in_a_message() -> None:
    text = LINE.decode().replace(' 22 ', r' \u0032\u0032 ').encode()
    assert lines_of(b'{"message":"%b\\n"}' % text) == [LINE]


def test_messages_that_are_not_records() -> None:
    control = b'{"logEvents":[{"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}'
    assert read([control + b'{"message":"%b"}' % LINE]) == ([(Layout().fields, LINE)], 1)


def test_json_without_messages() -> None:
    with pytest.raises(
        DamagedError, match='^this is JSON without the "message" of any event, and without the fields of a record$'
    ):
        read([b'{"colour": "10.0.0.1"}\n'])


def test_more_columns_are_not_taken_for_a_wrapping() -> None:
    assert read([LINE + b' vpc-1 subnet-1\n'])[1] == 1
    assert read([NODATA + b' vpc-1' + b' -' * 14 + b'\n'])[1] == 1


@given(
    st.lists(
        st.sampled_from([LINE, NODATA, b'', b'garbage', HEADER[:-1], OTHER_HEADER[:-1], OTHER, b'\xff\0', b'{']),
        max_size=12,
    )
)
def test_no_mixture_of_lines_is_too_much(parts: list[bytes]) -> None:
    try:
        found, _ = read(in_pieces(b'\n'.join(parts), 64))
    except FlowLogsError as error:
        assert '\n' not in str(error)
    else:
        assert {line for _, line in found} <= {LINE, NODATA, OTHER}
