"""FlowRecord: what scripts written for flowlogs-reader 5.0.1 rely on, and what was wrong there."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime
from io import BytesIO

import pytest

from flowlogs_reader import DEFAULT_FIELDS, FileFlowLogsReader, FlowRecord
from flowlogs_reader.records.fields import FIELDS, Kind
from tests.conftest import MINUTE

LINE = MINUTE.decode().splitlines()[0]
EVENT = {'message': LINE, 'timestamp': 1454324362000}
NODATA = '2 743065858817 eni-63444414 - - - - - - - 1454324362 1454324415 - NODATA'
VALUES = {
    'version': 2,
    'account_id': '743065858817',
    'interface_id': 'eni-63444414',
    'srcaddr': '172.20.0.10',
    'dstaddr': '103.246.150.154',
    'srcport': 44589,
    'dstport': 443,
    'protocol': 6,
    'packets': 12,
    'bytes': 1501,
    'start': datetime(2016, 2, 1, 10, 59, 22),
    'end': datetime(2016, 2, 1, 11, 0, 15),
    'action': 'ACCEPT',
    'log_status': 'OK',
}


def record(text: str, fields: str = ' '.join(DEFAULT_FIELDS)) -> FlowRecord:
    return FlowRecord.from_cwl_event({'message': text}, fields.split())


def test_from_a_dict_with_underscore_keys() -> None:
    made = FlowRecord(dict(zip(DEFAULT_FIELDS, LINE.split())))
    assert made == FlowRecord.from_cwl_event(EVENT)
    assert made.to_dict() == VALUES


def test_from_a_dict_in_any_order_with_numbers_and_unknown_names() -> None:
    made = FlowRecord({'later': 'x', 'bytes': 40, 'src-port': None, 'version': 2, 'account-id': '1'})
    assert made.to_dict() == {'version': 2, 'account_id': '1', 'bytes': 40, 'later': 'x'}
    assert list(made.to_dict()) == ['version', 'account_id', 'bytes', 'later']
    assert made.later == 'x'


def test_from_a_cloudwatch_event() -> None:
    made = FlowRecord.from_cwl_event(EVENT)
    assert {name: getattr(made, name) for name in DEFAULT_FIELDS} == VALUES


def test_from_a_cloudwatch_event_with_fields_of_either_spelling() -> None:
    for fields in (('vpc_id', 'pkt_srcaddr', 'tcp_flags'), ['vpc-id', 'pkt-srcaddr', 'tcp-flags']):
        made = FlowRecord.from_cwl_event({'message': 'vpc-1 10.0.0.1 19'}, fields)
        assert (made.vpc_id, made.pkt_srcaddr, made.tcp_flags, made.srcaddr) == ('vpc-1', '10.0.0.1', 19, None)


def test_an_attribute_for_every_known_field_and_none_when_missing() -> None:
    for made in (FlowRecord({}), record('-', 'srcaddr')):
        for field in FIELDS:
            assert getattr(made, field.name) is None
    with pytest.raises(AttributeError, match="'FlowRecord' object has no attribute 'scraddr'"):
        FlowRecord.from_cwl_event(EVENT).scraddr  # noqa: B018


def test_numbers_are_ints_and_the_rest_is_text() -> None:
    for field in FIELDS:
        value = getattr(FlowRecord({field.name: '6'}), field.name)
        assert type(value) is {Kind.TEXT: str, Kind.INTEGER: int, Kind.TIME: datetime}[field.kind], field.name


def test_zero_is_a_number_and_not_a_missing_value() -> None:
    made = record(LINE.replace(' 44589 443 ', ' 0 0 '))
    assert (made.srcport, made.dstport) == (0, 0)
    assert made.to_dict()['srcport'] == 0
    assert ' 0 0 6 ' in made.to_message()


def test_nodata_has_the_interface_and_the_times_only() -> None:
    made = record(NODATA)
    assert made.to_dict().keys() == {'version', 'account_id', 'interface_id', 'start', 'end', 'log_status'}
    assert made.to_message() == NODATA


def test_times_are_naive_utc() -> None:
    made = record(LINE)
    assert made.start == datetime(2016, 2, 1, 10, 59, 22)
    assert made.start.tzinfo is None


@pytest.mark.parametrize(
    ('text', 'moment'),
    [
        ('0', datetime(1970, 1, 1)),
        ('2147483647', datetime(2038, 1, 19, 3, 14, 7)),
        ('2147483648', datetime(1970, 1, 25, 20, 31, 23, 648000)),
        ('1700000000123', datetime(2023, 11, 14, 22, 13, 20, 123000)),
    ],
)
def test_milliseconds_are_detected_from_their_size(text: str, moment: datetime) -> None:
    made = record(f'{text} {text}', 'start end')
    assert made.start == made.end == moment
    assert FlowRecord({'start': int(text)}).start == moment


def test_equality_and_hash_go_by_the_values() -> None:
    same, other = FlowRecord(dict(zip(DEFAULT_FIELDS, LINE.split()))), record(LINE.replace('443', '444'))
    made = FlowRecord.from_cwl_event(EVENT)
    assert made == same == next(FileFlowLogsReader(BytesIO(MINUTE)))
    assert hash(made) == hash(same)
    assert made != other
    assert len({made, same, other}) == 2
    assert made != LINE
    assert made != made.to_dict()
    assert FlowRecord({}) == record('- -', 'srcaddr dstaddr')
    assert hash(FlowRecord({})) == hash(record('- -', 'srcaddr dstaddr'))


def test_equality_does_not_depend_on_the_order_of_the_log() -> None:
    one, two = record('10.0.0.1 6', 'srcaddr protocol'), record('6 10.0.0.1', 'protocol srcaddr')
    assert one == two
    assert hash(one) == hash(two)
    assert str(one) == str(two)
    assert one.to_message() == two.to_message()


def test_str_names_the_values_that_are_there() -> None:
    text = ', '.join(f'{name}: {value}' for name, value in VALUES.items())
    assert str(FlowRecord.from_cwl_event(EVENT)) == text
    assert str(record(NODATA)).endswith('end: 2016-02-01 11:00:15, log_status: NODATA')
    assert repr(FlowRecord({'bytes': 1})) == '<FlowRecord bytes: 1>'
    assert str(FlowRecord({})) == ''


def test_to_message_has_the_default_columns_first_and_no_trailing_dashes() -> None:
    assert FlowRecord.from_cwl_event(EVENT).to_message() == LINE
    assert record('eni-1 vpc-1 - 19', 'interface-id vpc-id srcaddr tcp-flags').to_message() == (
        '- - eni-1 - - - - - - - - - - - vpc-1 19'
    )
    assert FlowRecord({}).to_message() == ' '.join('-' * 14)


@pytest.mark.parametrize('text', ['1454324362', '1700000000123', '5'])
def test_a_record_made_of_the_values_of_another_one_is_equal(text: str) -> None:
    made = record(text, 'start')
    assert FlowRecord(made.to_dict()) == made


def test_records_can_be_pickled_and_copied() -> None:
    for made in (record(LINE), record('1700000000123 new', 'start x-new'), FlowRecord({}), record(NODATA)):
        for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
            assert again == made
            assert again.to_message() == made.to_message()


def test_records_are_immutable() -> None:
    made = record(LINE)
    with pytest.raises(AttributeError):
        made.bytes = 1
    with pytest.raises(AttributeError):
        made.note = 'x'  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        (LINE.rpartition(' ')[0], '13 values, but the format has 14 fields'),
        (LINE + ' extra', '15 values, but the format has 14 fields'),
        ('', '0 values'),
        (LINE.replace(' 443 ', ' https '), "dstport is 'https': not a number"),
        (LINE.replace(' 443 ', ' -1 '), "dstport is '-1'"),
        (LINE.replace(' 443 ', ' 4_43 '), "dstport is '4_43'"),
        (LINE.replace(' 443 ', ' ٤٤٣ '), 'dstport is'),
        (LINE.replace(' 443 ', ' 4.5 '), "dstport is '4.5'"),
        (LINE.replace(' 443 ', ' ' + '9' * 20 + ' '), 'dstport is'),
        (LINE.replace('1454324362', 'now'), "start is 'now'"),
        (LINE.replace('1454324362', '1454324362000000'), 'start is .* after 2038-01-19 even in milliseconds'),
        (LINE.replace('ACCEPT', 'AKZEPTIERT\u00e9'), 'action is'),
    ],
)
def test_a_line_that_is_not_a_record_is_an_error_that_names_the_field(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        record(text)


def test_the_same_in_a_dict() -> None:
    with pytest.raises(ValueError, match='protocol is'):
        FlowRecord({'protocol': 'tcp'})
    with pytest.raises(ValueError, match='x y'):
        FlowRecord({'x y': 1})
    assert FlowRecord({'srcaddr': '', 'bytes': ''}).to_dict() == {}
    # A value with a space must not become the values of two fields.
    with pytest.raises(ValueError, match="srcaddr is 'a b': a value has no spaces"):
        FlowRecord({'srcaddr': 'a b', 'dstaddr': ' '})
    assert FlowRecord({'srcaddr': ' a\t', 'dstaddr': ' '}).to_dict() == {'srcaddr': 'a'}


def test_an_unknown_field_may_have_the_name_of_a_method() -> None:
    values = {'srcaddr': '10.0.0.1', 'layout': 'x', 'to_dict': 'y', 'to_message': '-'}
    made = FlowRecord(values)
    assert made.to_dict() == {name: value for name, value in values.items() if value != '-'}
    assert str(made) == 'srcaddr: 10.0.0.1, layout: x, to_dict: y'


def test_times_of_numpy() -> None:
    numpy = pytest.importorskip('numpy')
    made = FlowRecord({'start': numpy.datetime64('2016-02-01T10:59:22'), 'end': numpy.datetime64('NaT', 's')})
    assert (made.start, made.end) == (VALUES['start'], None)


def test_white_space_of_any_kind_separates() -> None:
    assert record('  ' + LINE.replace(' ', '  \t') + '\r\n') == record(LINE)
    assert record(LINE.replace(' 443 ', ' 0443 ')).dstport == 443
