"""Filter patterns from conditions: CloudWatch must send at least all records that meet them."""

from __future__ import annotations

import re

import pytest

from flowlogs_reader.query.conditions import find_addresses, parse_condition
from flowlogs_reader.sources.cloudwatch.pushdown import MAX_PATTERN, filter_pattern, interfaces


class TestPattern:
    """Every line that meets the conditions passes the pattern that CloudWatch gets."""

    @pytest.mark.parametrize(
        ('conditions', 'pattern'),
        [
            (['addr=10.0.0.1'], '"10.0.0.1"'),
            (['addr=10.0.0.1,10.0.0.2'], '?"10.0.0.1" ?"10.0.0.2"'),
            (['interface_id=eni-12345678', 'addr=10.0.0.1'], '"eni-12345678" "10.0.0.1"'),
            (['addr!=10.0.0.1'], None),
            (['addr=10.0.0.0/8'], None),
            (['addr=2001:db8::1'], None),
            (['addr=internet'], None),
            (['srcaddr/class=internet'], None),
            (['pkt_srcaddr=srcaddr'], None),
            (['bytes>1'], None),
            (['vpc_id=a,b'], None),
            (['dstport=22'], None),
            (['dstport=443'], '"443"'),
            (['asg_tag=a b"c'], None),
            (['asg_tag=a\\b'], None),
            (['dstport=22', 'action=REJECT'], '"REJECT"'),
            (['addr=10.0.0.1,10.0.0.2', 'action=REJECT'], '"REJECT"'),
            ([], None),
        ],
    )
    def test_patterns(self, conditions: list[str], pattern: str | None) -> None:
        assert filter_pattern([*map(parse_condition, conditions)]) == pattern

    def test_it_stays_within_1024_characters(self) -> None:
        many = ','.join(f'192.168.100.{last}' for last in range(100, 200))
        assert filter_pattern([parse_condition(f'addr={many}')]) is None
        fifty = filter_pattern([parse_condition(f'addr={",".join(many.split(",")[:50])}')])
        assert fifty is not None
        assert len(fifty) <= MAX_PATTERN == 1024
        assert len(re.findall(r'\?"[^"]+"', fifty)) == 50

    def test_skipdata_passes_if_it_may_stand_for_what_is_wanted(self) -> None:
        def pattern(*conditions: str) -> str | None:
            return filter_pattern([*map(parse_condition, conditions)], with_skipdata=True)

        assert pattern('addr=10.0.0.1') == '?"10.0.0.1" ?"SKIPDATA"'
        assert pattern('interface_id=eni-12345678') == '"eni-12345678"'
        assert pattern('interface_id=eni-12345678', 'addr=10.0.0.1') == '"eni-12345678"'
        assert pattern('addr!=10.0.0.1') is None
        assert pattern() is None

    def test_findip(self) -> None:
        assert filter_pattern([find_addresses(['10.0.0.1', '10.0.0.2'])]) == '?"10.0.0.1" ?"10.0.0.2"'
        assert filter_pattern([find_addresses(['10.0.0.0/24'])]) is None


@pytest.mark.parametrize(
    ('conditions', 'ids'),
    [
        (['interface_id=eni-12345678'], ['eni-12345678']),
        (['interface_id=eni-12345678,eni-0123456789abcdef0'], ['eni-12345678', 'eni-0123456789abcdef0']),
        (['dstport=443', 'interface_id=eni-12345678'], ['eni-12345678']),
        (['interface_id=' + ','.join(f'eni-{at:08x}' for at in range(16))], [f'eni-{at:08x}' for at in range(16)]),
        (['interface_id=' + ','.join(f'eni-{at:08x}' for at in range(17))], []),
        (['interface_id!=eni-12345678'], []),
        (['interface_id=eni-12345678,-'], []),
        (['interface_id=eni-12345678,lambda'], []),
        (['interface_id=eni-'], []),
        (['next_hop_interface_id=eni-12345678'], []),
        (['vpc_id=vpc-1'], []),
        ([], []),
    ],
)
def test_the_interfaces_to_which_every_record_belongs(conditions: list[str], ids: list[str]) -> None:
    assert interfaces([*map(parse_condition, conditions)]) == ids
