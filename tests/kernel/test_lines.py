"""Lines in the kernel: which are records of a format, how they are made canonical, and their columns."""

from __future__ import annotations

from types import ModuleType

import pytest

from flowlogs_reader.kernel.limits import MAX_LINE
from flowlogs_reader.records.fields import KNOWN, Kind
from flowlogs_reader.records.layout import Layout
from tests.conftest import HOUR, MINUTE


class TestCheck:
    LAYOUT = Layout(['srcaddr', 'bytes', 'start', 'action'])
    KINDS = LAYOUT.kinds

    def test_canonical_lines_come_back_as_they_are(self, kernel: ModuleType) -> None:
        data = MINUTE + HOUR
        assert kernel.check(Layout().kinds, data)[0] is data
        assert kernel.check(Layout().kinds, data)[1] == 0
        assert kernel.check(self.KINDS, b'') == (b'', 0)

    def test_canonical_lines_that_are_not_plain_come_back_as_they_are_too(self, kernel: ModuleType) -> None:
        data = b'10.0.0.1 0 0 REJECT\n- - - -\n10.0.0.1 40 1454324362 ACCEPT\n'
        assert kernel.check(self.KINDS, data)[0] is data

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
    def test_what_is_meant_is_put_right(self, kernel: ModuleType, line: bytes) -> None:
        assert kernel.check(self.KINDS, line + b'\n') == (b'10.0.0.1 40 1454324362 ACCEPT\n', 0)
        assert b' '.join(self.LAYOUT.parse(line)) == b'10.0.0.1 40 1454324362 ACCEPT'

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
    def test_a_line_that_is_not_a_record_is_counted_and_left_out(self, kernel: ModuleType, line: bytes) -> None:
        good = b'- - - -\n10.0.0.1 0 0 REJECT\n'
        assert kernel.check(self.KINDS, good[:8] + line + b'\n' + good[8:]) == (good, 1)
        with pytest.raises(ValueError, match='.'):
            self.LAYOUT.parse(line)

    def test_empty_lines_do_not_count(self, kernel: ModuleType) -> None:
        assert kernel.check(self.KINDS, b'\n\n - - - -\n \t\n\r\n') == (b'- - - -\n', 0)

    def test_zeros_and_the_largest_numbers_are_kept(self, kernel: ModuleType) -> None:
        data = b'0.0.0.0 0 0 0\n:: 9999999999999999999 2147483647 -\n'
        assert kernel.check(self.KINDS, data) == (data, 0)

    @pytest.mark.parametrize('name', [name for name, field in KNOWN.items() if field.kind is not Kind.TEXT])
    def test_letters_are_not_a_number_in_any_field(self, kernel: ModuleType, name: str) -> None:
        assert kernel.check(Layout([name]).kinds, b'many\n7\n-\n') == (b'7\n-\n', 1)

    def test_unknown_fields_hold_any_text(self, kernel: ModuleType) -> None:
        assert kernel.check(Layout(['later', 'start']).kinds, b'%ff=1;a.b 7\n') == (b'%ff=1;a.b 7\n', 0)

    def test_a_column_cannot_reach_over_the_end_of_a_line(self, kernel: ModuleType) -> None:
        two = Layout(['srcaddr', 'dstaddr', 'action']).kinds
        assert kernel.check(two, b'a b\nc d\n') == (b'', 2)
        assert kernel.check(two, b'a b c\nd\ne f g\n') == (b'a b c\ne f g\n', 1)

    def test_a_last_line_without_its_newline_gets_it(self, kernel: ModuleType) -> None:
        assert kernel.check(self.KINDS, b'- - - -\n10.0.0.1 40 0 -') == (b'- - - -\n10.0.0.1 40 0 -\n', 0)

    def test_a_line_that_is_too_long_is_put_right_no_more(self, kernel: ModuleType) -> None:
        wide = b'x' * (MAX_LINE - len(b'  1 2 3')) + b'  1 2 3'
        assert kernel.check(b'TIII', wide + b'\n') == (wide.replace(b'  ', b' ') + b'\n', 0)
        assert kernel.check(b'TIII', b'x' + wide + b'\n') == (b'', 1)


class TestColumns:
    LAYOUT = Layout(['srcaddr', 'dstaddr', 'srcport', 'bytes', 'action'])
    DATA = b'10.0.0.1 10.0.0.2 80 40 ACCEPT\n- - - - -\n'
    # Lines that have to be made canonical take another path.
    ODD = b'10.0.0.1 10.0.0.2 0080 40\tACCEPT\r\nneither nor\n\n- - - - -\n'

    def places(self, names: list[str]) -> list[int | tuple[int, ...]]:
        """A name stands for a place; several names, or none, for a tuple of places."""
        every = [self.LAYOUT.places(name.split()) for name in names]
        return [places[0] if len(places) == 1 else places for places in every]

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
    def test_columns(self, kernel: ModuleType, names: list[str], rows: list[tuple[bytes, ...]]) -> None:
        places = self.places(names)
        for data, odd in ((self.DATA, 0), (self.ODD, 1)):
            found, skipped = kernel.columns(self.LAYOUT.kinds, (), None, places, data)
            assert ([*zip(*found)], skipped) == (rows, odd)
        assert kernel.columns(self.LAYOUT.kinds, (), None, places, b'') == ([[] for _ in names], 0)

    def test_one_place_may_be_in_a_tuple_of_its_own(self, kernel: ModuleType) -> None:
        assert kernel.columns(self.LAYOUT.kinds, (), None, [(3,)], self.DATA) == ([[b'40', b'-']], 0)

    def test_no_columns(self, kernel: ModuleType) -> None:
        assert kernel.columns(self.LAYOUT.kinds, (), None, [], self.DATA) == ([], 0)
        assert kernel.columns(self.LAYOUT.kinds, (), None, [], self.ODD) == ([], 1)
        kept = kernel.keep(self.LAYOUT.kinds, (), None, self.DATA)
        assert kept[0] is self.DATA
        assert kept[1:] == (2, 0)
        assert kernel.keep(self.LAYOUT.kinds, (), None, self.ODD) == (self.DATA, 2, 1)

    @pytest.mark.parametrize('place', [5, -2, (0, 5)])
    def test_a_place_that_the_format_does_not_have_is_an_error(
        self, kernel: ModuleType, place: int | tuple[int, ...]
    ) -> None:
        with pytest.raises(ValueError, match='is not a place in a format of 5 fields'):
            kernel.columns(self.LAYOUT.kinds, (), None, [place], self.DATA)
