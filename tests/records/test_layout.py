"""The field table and Layouts: what a log format is, and which lines are records of it."""

from __future__ import annotations

import pytest

from flowlogs_reader.records.fields import DEFAULT_FIELDS, FIELDS, KNOWN, Kind
from flowlogs_reader.records.layout import Layout
from tests.conftest import HOUR, MINUTE

DEFAULT_FORMAT = (
    '${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} '
    '${bytes} ${start} ${end} ${action} ${log-status}'
)
TRANSIT_GATEWAY = """
    version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id
    tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni tgw-src-az-id
    tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end log-status
    type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired tcp-flags
    region flow-direction pkt-src-aws-service pkt-dst-aws-service""".split()


class TestFields:
    """docs.aws.amazon.com: vpc/latest/userguide/flow-log-records, vpc/latest/tgw/tgw-flow-logs."""

    def test_the_default_format(self) -> None:
        assert ' '.join(DEFAULT_FIELDS).replace('_', '-') == DEFAULT_FORMAT.translate(str.maketrans('', '', '${}'))

    @pytest.mark.parametrize(
        ('version', 'count'), [(2, 14), (3, 21), (4, 25), (5, 29), (7, 39), (8, 40), (9, 41), (10, 42), (11, 54)]
    )
    def test_as_many_vpc_fields_up_to_each_version_as_aws_has(self, version: int, count: int) -> None:
        assert sum(field.version <= version and field.version != 6 for field in FIELDS) == count

    def test_every_transit_gateway_field(self) -> None:
        names = {name.replace('-', '_') for name in TRANSIT_GATEWAY}
        assert names <= set(KNOWN)
        assert {field.name for field in FIELDS if field.version == 6} <= names

    def test_kinds(self) -> None:
        by_kind = {kind: {field.name for field in FIELDS if field.kind is kind} for kind in Kind}
        assert by_kind[Kind.TIME] == {'start', 'end'}
        assert by_kind[Kind.INTEGER] == set(
            'version srcport dstport protocol packets bytes tcp_flags traffic_path encryption_status '
            'packets_lost_no_route packets_lost_blackhole packets_lost_mtu_exceeded packets_lost_ttl_expired'.split()
        )

    def test_one_row_each_with_a_few_words(self) -> None:
        assert len(KNOWN) == len(FIELDS)
        assert all(field.about and len(field.about) < 80 for field in FIELDS)


class TestMaking:
    def test_from_a_field_tuple(self) -> None:
        assert Layout().fields == DEFAULT_FIELDS
        assert Layout(('vpc-id', 'srcaddr')) == Layout(['vpc_id', 'srcaddr']) == Layout(iter(['VPC-ID', ' srcaddr ']))

    @pytest.mark.parametrize('spacing', [' ', '', '  ', ',', '\n'])
    def test_from_a_log_format(self, spacing: str) -> None:
        assert Layout.from_format(DEFAULT_FORMAT.replace(' ', spacing)) == Layout()

    def test_from_the_default_format_of_a_transit_gateway(self) -> None:
        layout = Layout.from_format(' '.join(f'${{{name}}}' for name in TRANSIT_GATEWAY))
        assert len(layout.fields) == 36
        assert layout.output_fields[:14] == DEFAULT_FIELDS
        assert set(layout.output_fields) >= set(layout.fields)

    @pytest.mark.parametrize('separator', ['-', '_'])
    def test_from_a_header_row(self, separator: str) -> None:
        row = ' '.join(DEFAULT_FIELDS).replace('_', separator).encode()
        for line in (row, row + b'\r\n', b' ' + row.replace(b' ', b'\t') + b' '):
            assert Layout.from_header(line) == Layout()

    def test_a_header_row_may_hold_fields_that_are_new(self) -> None:
        layout = Layout.from_header(b'version srcaddr brand-new another_new')
        assert layout is not None
        assert layout.fields == ('version', 'srcaddr', 'brand_new', 'another_new')
        assert layout.kinds[2:] == (Kind.TEXT, Kind.TEXT)

    @pytest.mark.parametrize(
        'line',
        [
            MINUTE.splitlines()[0],
            b'',
            b'hello world',
            b'srcaddr one two',
            b'srcaddr 10.0.0.1',
            b'\xff\xfe start',
            b'- -',
        ],
    )
    def test_a_record_and_other_text_are_no_header_row(self, line: bytes) -> None:
        assert Layout.from_header(line) is None

    @pytest.mark.parametrize(
        ('fields', 'says'),
        [
            ([], '1 to 256 fields, not 0'),
            (['x'] * 257, '1 to 256 fields, not 257'),
            (['srcaddr', 'srcaddr'], 'srcaddr stands twice'),
            (['vpc-id', 'vpc_id'], 'vpc_id stands twice'),
            (['srcaddr', ''], "'' is not the name of a field"),
            (['src addr'], "'src addr' is not"),
            (['1st'], "'1st' is not"),
            (['(a+)+'], 'is not the name of a field'),
        ],
    )
    def test_what_is_no_format(self, fields: list[str], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            Layout(fields)
        with pytest.raises(ValueError, match=r'fields, not 0'):
            Layout.from_format('version account-id')

    def test_a_header_row_that_cannot_be_used(self) -> None:
        with pytest.raises(ValueError, match='start stands twice'):
            Layout.from_header(b'start end start')

    def test_layouts_are_equal_when_their_fields_are(self) -> None:
        assert len({Layout(), Layout.from_format(DEFAULT_FORMAT), Layout(['srcaddr'])}) == 2
        assert Layout() != DEFAULT_FIELDS
        assert repr(Layout(['srcaddr', 'dstaddr'])) == "Layout('srcaddr dstaddr')"


class TestCheck:
    LAYOUT = Layout(['srcaddr', 'bytes', 'start', 'action'])

    def test_canonical_lines_come_back_as_they_are(self) -> None:
        data = MINUTE + HOUR
        assert Layout().check(data)[0] is data
        assert Layout().check(data)[1] == 0
        assert self.LAYOUT.check(b'') == (b'', 0)

    @pytest.mark.parametrize(
        'line',
        [
            b'10.0.0.1  40   1454324362 ACCEPT',
            b'10.0.0.1\t40\t1454324362\tACCEPT',
            b' 10.0.0.1 40 1454324362 ACCEPT ',
            b'10.0.0.1 40 1454324362 ACCEPT\r',
            b'10.0.0.1 0040 1454324362 ACCEPT',
            b'10.0.0.1 40 1454324362999 ACCEPT',
            b'10.0.0.1 40 01454324362 ACCEPT',
        ],
    )
    def test_what_is_meant_is_put_right(self, line: bytes) -> None:
        assert self.LAYOUT.check(line + b'\n') == (b'10.0.0.1 40 1454324362 ACCEPT\n', 0)

    @pytest.mark.parametrize(
        'line',
        [
            b'10.0.0.1 40 1454324362',
            b'10.0.0.1 40 1454324362 ACCEPT OK',
            b'10.0.0.1 forty 1454324362 ACCEPT',
            b'10.0.0.1 40 today ACCEPT',
            b'10.0.0.1 -40 1454324362 ACCEPT',
            b'10.0.0.1 +40 1454324362 ACCEPT',
            b'10.0.0.1 4e1 1454324362 ACCEPT',
            b'10.0.0.1 40 9999999999999 ACCEPT',
            b'10.0.0.1 99999999999999999999 1454324362 ACCEPT',
            b'10.0.0.\x001 40 1454324362 ACCEPT',
            b'10.0.0.1 40 1454324362 ACC\xc3\x89PT',
            b'\x1b[31m 40 1454324362 ACCEPT',
        ],
    )
    def test_what_is_no_record_is_counted_and_left_out(self, line: bytes) -> None:
        good = b'- - - -\n10.0.0.1 0 0 REJECT\n'
        assert self.LAYOUT.check(good[:8] + line + b'\n' + good[8:]) == (good, 1)

    def test_empty_lines_do_not_count(self) -> None:
        assert self.LAYOUT.check(b'\n\n - - - -\n \t\n\r\n') == (b'- - - -\n', 0)

    def test_zeros_and_the_largest_numbers_are_kept(self) -> None:
        data = b'0.0.0.0 0 0 0\n:: 9999999999999999999 2147483647 -\n'
        assert self.LAYOUT.check(data) == (data, 0)

    @pytest.mark.parametrize('name', [name for name, field in KNOWN.items() if field.kind is not Kind.TEXT])
    def test_letters_are_no_number_in_any_field(self, name: str) -> None:
        assert Layout([name]).check(b'many\n7\n-\n') == (b'7\n-\n', 1)

    def test_unknown_fields_hold_any_text(self) -> None:
        assert Layout(['later', 'start']).check(b'%ff=1;a.b 7\n') == (b'%ff=1;a.b 7\n', 0)

    def test_a_column_cannot_reach_over_the_end_of_a_line(self) -> None:
        two = Layout(['srcaddr', 'dstaddr', 'action'])
        assert two.check(b'a b\nc d\n') == (b'', 2)
        assert two.check(b'a b c\nd\ne f g\n') == (b'a b c\ne f g\n', 1)


class TestColumns:
    LAYOUT = Layout(['srcaddr', 'dstaddr', 'srcport', 'bytes', 'action'])
    DATA = b'10.0.0.1 10.0.0.2 80 40 ACCEPT\n- - - - -\n'

    @pytest.mark.parametrize(
        ('names', 'rows'),
        [
            (['srcaddr'], [(b'10.0.0.1',), (b'-',)]),
            (['action'], [(b'ACCEPT',), (b'-',)]),
            (['bytes', 'srcaddr'], [(b'40', b'10.0.0.1'), (b'-', b'-')]),
            (['bytes', 'bytes'], [(b'40', b'40'), (b'-', b'-')]),
            (['vpc_id'], [(b'-',), (b'-',)]),
            (['vpc_id', 'srcport'], [(b'-', b'80'), (b'-', b'-')]),
            (['srcaddr dstaddr srcport', 'action'], [(b'10.0.0.1 10.0.0.2 80', b'ACCEPT'), (b'- - -', b'-')]),
            (['srcaddr dstaddr srcport', 'dstaddr'], [(b'10.0.0.1 10.0.0.2 80', b'10.0.0.2'), (b'- - -', b'-')]),
            (['srcaddr dstaddr', 'dstaddr srcport'], [(b'10.0.0.1 10.0.0.2', b'10.0.0.2 80'), (b'- -', b'- -')]),
            (['dstaddr srcport', 'srcaddr dstaddr'], [(b'10.0.0.2 80', b'10.0.0.1 10.0.0.2'), (b'- -', b'- -')]),
            (['dstaddr srcaddr'], [(b'10.0.0.2 10.0.0.1',), (b'- -',)]),
            (['bytes action vpc_id'], [(b'40 ACCEPT -',), (b'- - -',)]),
            (['', 'bytes'], [(b'', b'40'), (b'', b'-')]),
        ],
    )
    def test_columns(self, names: list[str], rows: list[tuple[bytes, ...]]) -> None:
        assert [*zip(*self.LAYOUT.columns(self.DATA, names))] == rows
        assert [*map(len, self.LAYOUT.columns(b'', names))] == [0] * len(names)

    def test_no_columns(self) -> None:
        assert self.LAYOUT.columns(self.DATA, []) == []
        assert self.LAYOUT.read(self.DATA, []) == (self.DATA, [], 0)
