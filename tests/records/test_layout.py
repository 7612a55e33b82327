"""The field table and Layouts: what a log format is."""

from __future__ import annotations

import pytest

from flowlogs_reader.records.fields import DEFAULT_FIELDS, FIELDS, KNOWN, Kind
from flowlogs_reader.records.layout import Layout
from tests.conftest import MINUTE

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
        assert layout.kinds[2:] == b'TT'

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
    def test_a_record_and_other_text_are_not_header_rows(self, line: bytes) -> None:
        assert Layout.from_header(line) is None

    @pytest.mark.parametrize(
        ('fields', 'says'),
        [
            ([], '1 to 256 fields, not 0'),
            (['x'] * 257, '1 to 256 fields, not 257'),
            (['srcaddr', 'srcaddr'], 'the log format has the field srcaddr twice'),
            (['vpc-id', 'vpc_id'], 'the log format has the field vpc_id twice'),
            (['srcaddr', ''], "'' is not the name of a field"),
            (['src addr'], "'src addr' is not"),
            (['1st'], "'1st' is not"),
            (['(a+)+'], 'is not the name of a field'),
        ],
    )
    def test_invalid_formats(self, fields: list[str], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            Layout(fields)
        with pytest.raises(ValueError, match=r'fields, not 0'):
            Layout.from_format('version account-id')

    def test_a_header_row_that_cannot_be_used(self) -> None:
        with pytest.raises(ValueError, match='the log format has the field start twice'):
            Layout.from_header(b'start end start')

    def test_layouts_are_equal_when_their_fields_are(self) -> None:
        assert len({Layout(), Layout.from_format(DEFAULT_FORMAT), Layout(['srcaddr'])}) == 2
        assert Layout() != DEFAULT_FIELDS
        assert repr(Layout(['srcaddr', 'dstaddr'])) == "Layout('srcaddr dstaddr')"


class TestForTheKernel:
    """Kinds and places, as the kernel takes them."""

    def test_a_letter_for_the_kind_of_each_field(self) -> None:
        for name, field in KNOWN.items():
            assert Layout([name]).kinds == field.kind.value.encode()
        assert Layout(['start', 'later', 'bytes']).kinds == b'MTI'
        assert Layout().kinds == b'ITTTTIIIIIMMTT'

    def test_a_place_for_each_name(self) -> None:
        layout = Layout(['srcaddr', 'bytes', 'start'])
        assert layout.places(['start', 'vpc_id', 'srcaddr', 'start']) == (2, -1, 0, 2)
        assert layout.places(layout.fields) == (0, 1, 2)
        assert layout.places([]) == ()


class TestParse:
    """Why a line is not a record. Which lines are records is tested in tests/kernel/test_lines.py."""

    LAYOUT = Layout(['srcaddr', 'bytes', 'start'])

    def test_the_values_of_a_record(self) -> None:
        assert self.LAYOUT.parse(b'10.0.0.1\t007  1454324362999\r') == [b'10.0.0.1', b'7', b'1454324362']
        assert self.LAYOUT.parse(b'- - -') == [b'-', b'-', b'-']

    @pytest.mark.parametrize(
        ('line', 'says'),
        [
            (b'10.0.0.1 40', '2 values, but the format has 3 fields (it ends at start)'),
            (b'10.0.0.1', '1 values, but the format has 3 fields (it ends at bytes)'),
            (b'', '0 values, but the format has 3 fields (it ends at srcaddr)'),
            (b'a 1 2 3', '4 values, but the format has 3 fields (it ends at start)'),
            (b'\x1b[2J 40 1', "srcaddr is '\\x1b[2J': not printable text"),
            (b'10.0.0.1 many 1', "bytes is 'many': not a number"),
            (b'10.0.0.1 99999999999999999999 1', "bytes is '99999999999999999999': not a number"),
            (b'10.0.0.1 40 today', "start is 'today': not a number"),
            (
                b'10.0.0.1 40 9999999999999',
                "start is '9999999999999', a time after 2038-01-19 even in milliseconds",
            ),
            (b'x' * 65_537, 'a line of 65537 bytes is not a flow log record'),
        ],
    )
    def test_what_is_wrong_is_said_with_the_field(self, line: bytes, says: str) -> None:
        with pytest.raises(ValueError) as raised:
            self.LAYOUT.parse(line)
        assert str(raised.value) == says
