"""Questions that an engine on AWS must answer as the local engine does, for tests of every such engine.

The logs have what makes engines differ: IPv6, NODATA and SKIPDATA, lines that are not canonical, zeros that are not
missing values, and records at the edges of windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tests import traffic
from tests.conftest import Result

# Two seconds after the first record of tests/traffic.py, and within the last minute.
WINDOW = ('-s', '2016-02-01T10:59:24Z', '-e', '2016-02-01T11:03:37Z')
CUT = ('-s', '2016-02-01T10:59:30.500Z', '-e', '2016-02-01T11:01:02.250Z')
V5 = (
    *traffic.FIELDS, 'vpc-id', 'subnet-id', 'instance-id', 'tcp-flags', 'type', 'pkt-srcaddr', 'pkt-dstaddr', 'region',
    'az-id', 'sublocation-type', 'sublocation-id', 'pkt-src-aws-service', 'pkt-dst-aws-service', 'flow-direction',
    'traffic-path',
)  # fmt: skip
# As AWS lets users choose them: in another order, without version, account and action.
OWN = ('srcaddr', 'dstaddr', 'interface-id', 'end', 'start', 'bytes', 'packets', 'dstport', 'log-status', 'tcp-flags')


def _record(ends: str, counts: str, start: int, seconds: int, verdict: str = 'ACCEPT OK') -> bytes:
    """A line; `ends` are addresses, ports and the protocol, `start` counts from START."""
    begin = START + start
    return f'2 123456789010 eni-0a {ends} {counts} {begin} {begin + seconds} {verdict}'.encode()


START = 1454324362
_HERE, _THERE = '2600:1f18:1000:0:0:0:0:5', '2a00:1450:4001:81b:0:0:0:200e'
LINES = [
    *traffic.lines(500, per_second=2),
    # IPv6, in both directions.
    _record(f'{_HERE} {_THERE} 40001 443 6', '5 700', 9, 51),
    _record(f'{_THERE} {_HERE} 443 40001 6', '6 9000', 8, 62),
    _record('2600:1f18:1000:0:0:0:0:6 10.0.0.4 0 0 58', '1 80', 40, 1, 'REJECT OK'),
    # Zeros, and a value that is missing where others are.
    _record('10.0.0.4 10.0.0.5 0 0 1', '0 0', 20, 0),
    _record('10.0.0.4 10.0.0.5 22 50000 6', '3 -', 21, 4, 'REJECT OK'),
    # Records at the edges of the windows.
    *(_record('10.9.9.9 10.9.9.8 1 22 17', f'1 {at}', at, 1) for at in range(98, 102)),
    *(_record('- - - - -', '- -', at, 60, f'- {status}') for at, status in ((30, 'SKIPDATA'), (31, 'NODATA'))),
    _record('- - - - -', '- -', 130, 60, '- SKIPDATA'),
]
_SSH = '10.0.0.4 10.0.0.{} 22 50000 6'
# Lines that the kernel repairs, and lines that are no records.
ODD = [
    _record(_SSH.format(77), '3 90', 50, 5).replace(b' 6 ', b'  6 '),
    _record(_SSH.format(78), '003 0090', 51, 5, 'REJECT OK'),
    _record(_SSH.format(79), '3 90', 52, 3) + b'\r',
    _record(_SSH.format(80), '3 90', 53, 2).replace(b' ACCEPT', b''),
    _record(_SSH.format(81), '3 1234567890123456789', 54, 1),
    _record('10.0.0.4 10.0.0.82 x 50000 6', '3 90', 55, 1),
    b'2 123456789010 eni-0a 10.0.0.4 10.0.0.83 22 50000 6 3 90 %d000 %d000 ACCEPT OK' % (START + 56, START + 57),
    b'nothing like a record',
    b'nothing like a record',
]

# Sums and lines over any log.
COMMANDS = [
    *map(str.split, (
        'top',
        'top 3',
        'top 100',
        'top srcaddr',
        'top dstport --by packets',
        'top dstaddr dstport --by flows',
        'top 20 srcaddr/16 dstaddr/16',
        'top srcaddr/24 dstport --by flows',
        'top 50 srcaddr/0',
        'top 30 srcaddr/64',
        'top 30 dstaddr/48 --by packets',
        'top 5 interface_id',
        'top action log_status --by flows',
        'top srcport protocol',
        'top 4 srcaddr --times iso -o csv',
        'top 8 srcaddr -o jsonl',
        'top --no-header dstport',
        'top srcaddr/class dstaddr/class',
        'top srcaddr dstaddr/class --by flows',
        'top 6 srcaddr --distinct dstport',
        'top addr',
        'top port --by flows',
        'top 4 addr port --share',
        'top 5 srcaddr dstaddr --share',
        'top srcaddr --once',
        'top srcaddr,dstport --compare 5m',
        'top 20 srcaddr,dstport --compare 90s -s 2016-02-01T11:01Z -e 2016-02-01T11:02Z',
        'top srcaddr -w dstport=443',
        'top srcaddr -w dstport=ssh,rdp,8000-9000',
        'top srcaddr -w dstport!=443',
        'top dstport -w srcaddr=10.0.0.0/8',
        'top dstport -w srcaddr!=10.0.0.0/8',
        'top dstport -w addr=10.0.3.7',
        'top dstport -w addr!=10.0.0.4',
        'top dstport -w srcaddr=10.0.0.4,10.0.0.5',
        'top dstport -w srcaddr=2600:1f18::/32',
        'top dstport -w addr=2600:1f18:1000::5',
        'top dstport -w srcaddr=2600:1f18:1000::5,10.0.0.0/9',
        'top dstport -w srcaddr!=::/0',
        'top srcaddr -w port=22 -w protocol=tcp',
        'top srcaddr -w port!=443 -w action=REJECT',
        'top srcaddr -w bytes>=100000',
        'top srcaddr -w bytes<100',
        'top srcaddr -w packets>50 -w packets<=500',
        'top srcaddr -w bytes=-',
        'top srcaddr -w bytes!=-',
        'top srcaddr -w srcport=0',
        'top srcaddr -w action=-',
        'top srcaddr -w action!=ACCEPT',
        'top srcaddr -w interface_id=eni-0a',
        'top srcaddr -w interface_id!=eni-0a,eni-0b',
        'top srcaddr -w log_status=OK',
        'top srcaddr -w srcaddr=private',
        'top srcaddr -w srcaddr/class=private',
        'top srcaddr -w addr=internet',
        'top srcaddr -w dstaddr!=internet',
        'top dstport -w srcaddr=0.0.0.0/1,128.0.0.0/1',
        'top srcaddr -w start>=1454324400',
        'top srcaddr -w account_id=123456789010 -w srcaddr!=10.0.0.0/8 -w dstport!=53,80',
        'top srcaddr -w dstport=1',
        'top srcaddr -w dstport<srcport',
        'top dstport -w packets=bytes',
        'top action -w port!=protocol',
        'top srcaddr -w srcaddr/class!=dstaddr/class --by flows',
        'top 3 dstport -w srcaddr=dstaddr',
        'aggregate',
        'aggregate --flows',
        'aggregate srcaddr dstaddr --both-ways',
        'aggregate --both-ways --flows',
        'aggregate srcaddr dstaddr dstport srcport --both-ways -w protocol=6',
        'aggregate interface_id --flows -o jsonl',
        'aggregate srcaddr/16 dstport -w dstport=22,443 --times iso',
        'aggregate dstport -w action=REJECT',
        'aggregate srcaddr --by bytes',
        'aggregate 5 srcaddr dstport --by flows --flows',
        'aggregate srcaddr dstaddr --once',
        'aggregate srcport --flows -w srcaddr!=dstaddr -w srcport>dstport',
        'timeline',
        'timeline 1m --once',
        'timeline 7s',
        'timeline 10m',
        'timeline 1h --tz Asia/Kolkata',
        'timeline 45s --tz America/St_Johns',
        'timeline 30s -w action=REJECT',
        'timeline 1m protocol',
        'timeline 1m srcaddr/16 -w dstport=443',
        'timeline 20s -w addr=10.0.3.7',
        'timeline 1m -w srcaddr/class=dstaddr/class',
        'ipset',
        'ipset -w dstport=443',
        'ipset -w srcaddr=::/0',
        'ipset -w srcaddr/class!=dstaddr/class',
        'ipset -w action=REJECT -o jsonl',
        'findip 10.0.3.7',
        'findip 10.0.0.4 2600:1f18:1000::/48',
        'findip 10.0.0.0/24 -c start,srcaddr,dstaddr,bytes --times iso',
        'print -w action=REJECT',
        'print -w srcaddr=10.0.0.4 -o jsonl',
        'print -w bytes>=100000 -o csv --header',
        'print -w port=22 --raw',
        'print -w srcaddr/class!=dstaddr/class -w action=REJECT',
        'print -w dstport<=packets',
        'top start,dstport --compare 5m',
    )),
]  # fmt: skip
# Over the log of format V5.
V5_COMMANDS = [
    *map(str.split, (
        'top tcp_flags flow_direction',
        'top srcaddr -w tcp_flags=syn',
        'top srcaddr -w tcp_flags=syn,ack --by flows',
        'top srcaddr -w tcp_flags!=syn',
        'top srcaddr -w tcp_flags=3',
        'top srcaddr -w flow_direction=egress',
        'top pkt_srcaddr -w pkt_addr=10.0.0.0/8',
        'top subnet_id type',
        'top 3 srcaddr -w type=IPv6',
        'top srcaddr,pkt_dstaddr -w pkt_dstaddr!=dstaddr',
        'top 3 dstaddr --once -w tcp_flags<=protocol -w pkt_srcaddr=srcaddr',
        'top traffic_path -w traffic_path!=-',
        'top az_id -w az_id=USE1-AZ1',
        'timeline 1m flow_direction',
        'findip 10.0.3.7 -c v5',
        'aggregate srcaddr dstaddr flow_direction --flows',
    )),
]  # fmt: skip
# Over the log of the format OWN: neither action nor protocol.
OWN_COMMANDS = [
    *map(str.split, (
        'top',
        'top srcaddr dstport -w tcp_flags=syn',
        'timeline 30s',
        'ipset',
        'aggregate',
        'aggregate srcaddr dstaddr --both-ways',
        'print -w dstport=443',
        'top -w start<end',
        'print -w srcaddr/class!=dstaddr/class -w dstport=443',
    )),
]  # fmt: skip


def in_format(fields: Sequence[str], lines: Iterable[bytes] = LINES) -> list[bytes]:
    """The lines in another format. Some flows go through a NAT gateway."""
    gateway = {'pkt_dstaddr': '198.51.100.7'}
    return [traffic.to_format(line, fields, **(gateway if line[-20] % 3 else {})) for line in lines]


def tables_of(page: Result) -> list[str]:
    """The tables of a report, as they are in the page."""
    return re.findall('<table.*?</table>', page.stdout.decode(), re.DOTALL)


def ordered(command: list[str]) -> bool:
    """Whether the order of the rows is that of the local engine."""
    return command[0] not in ('aggregate', 'print', 'findip')
