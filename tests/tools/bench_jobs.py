"""The jobs of the benchmark: what runs side by side, what must be reached, and how two outputs are compared."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache, partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from tests.traffic import PROBE_HOST

NAME = 'flowlogs'  # of the log group and of the bucket
PEER = '5.0.1'
FIRST_START = datetime.fromtimestamp(1454324362, timezone.utc)  # where traffic.lines begins
PER_SECOND = 250  # records with one start time: windows then hold a round number of records


class Place(Protocol):
    """Where a benchmark runs. What a property or a method needs is made when it is first asked for."""

    records: int
    latency: float

    def program(self, who: str, name: str) -> str:
        """Path of an installed command: who is 'ours', '5.0.1' or 'awslogs'."""

    def fake(self, *options: str) -> dict[str, str]:
        """Environment that leads to a fake AWS started with these options."""

    def log(self) -> Path:
        """The same records as a gzip file."""


class Answer(NamedTuple):
    """What a command put out: how many records, and a sum over them that is None where the command gives none."""

    records: int
    total: int | None = None

    def agrees(self, other: 'Answer') -> bool:
        return self.records == other.records and (None in (self.total, other.total) or self.total == other.total)


class Command(NamedTuple):
    """A line for the shell, and how its output is read. `once`: too slow to be run in every round."""

    line: str
    answer: Callable[[Iterable[bytes]], Answer | None]
    environ: dict[str, str] = {}
    once: bool = False


class Goal(NamedTuple):
    """`wall` and `cpu`: the other side takes at least `limit` times as much; `peak`: ours is under `limit` MiB."""

    metric: str
    limit: float
    text: str


class Row(NamedTuple):
    """A line of the table: two commands of a job. `check` is the one that gives the same answer as ours."""

    title: str
    ours: str
    beside: str | None
    goals: tuple[Goal, ...] = ()
    check: str | None = None


class Job(NamedTuple):
    """Commands that take turns, and the rows made from their measurements."""

    commands: dict[str, Command]
    rows: Sequence[Row]
    records: int
    repeat: int = 1  # turns in each round, for commands that take no time


# --- answers ----------------------------------------------------------------------------------------------------------


def lines_answer(normal: Callable[[bytes], bytes], lines: Iterable[bytes]) -> Answer:
    """Count and checksum of lines in any order."""
    records = total = 0
    for line in lines:
        records += 1
        total += crc32(normal(line))
    return Answer(records, total)


def record_line(line: bytes) -> bytes:
    """A default-format record as it stands in the log: 5.0.1 adds 33 empty columns and prints 0 as '-'."""
    text = line.rstrip(b'\n').removesuffix(b' -' * 33)
    return text.replace(b' 0 ', b' - ').replace(b' 0 ', b' - ')


def aggregate_line(line: bytes) -> bytes:
    """A row of the table of five-tuples, its dates as Unix seconds."""
    columns = line.split(b'\t')
    columns[3], columns[8] = _seconds(columns[3]), _seconds(columns[8].rstrip(b'\n'))
    return b'\t'.join(columns)


@lru_cache(maxsize=65_536)
def _seconds(text: bytes) -> bytes:
    if b':' not in text:
        return text
    return b'%d' % datetime.fromisoformat(f'{text.decode()}+00:00').timestamp()


def numbers_answer(lines: Iterable[bytes]) -> Answer:
    """From a command that counts for itself: records, or records and a total."""
    return Answer(*map(int, b' '.join(lines).split()))


RECORDS = partial(lines_answer, record_line)
FLOWS = partial(lines_answer, aggregate_line)
LINES = partial(lines_answer, bytes)


def no_answer(lines: Iterable[bytes]) -> None:
    """For commands whose output says nothing about records."""


# --- commands ---------------------------------------------------------------------------------------------------------

WHERE = "-w action=ACCEPT -w protocol=6 -w 'bytes>=40'"
MET = '$13 == "ACCEPT" && $8 == 6 && $10 >= 40'
FOUND = f'($4 == "{PROBE_HOST}" || $5 == "{PROBE_HOST}")'
# `aggregate` in mawk: the same columns, the same sums.
TABLE = """
BEGIN { print "bytes\\tdstaddr\\tdstport\\tend\\tpackets\\tprotocol\\tsrcaddr\\tsrcport\\tstart" }
CONDITION {
    k = $4 " " $5 " " $6 " " $7 " " $8
    p[k] += $9
    b[k] += $10
    if (!(k in s) || $11 < s[k]) s[k] = $11
    if ($12 > e[k]) e[k] = $12
}
END {
    for (k in p) {
        split(k, c, " ")
        printf "%.0f\\t%s\\t%s\\t%s\\t%.0f\\t%s\\t%s\\t%s\\t%s\\n", b[k], c[2], c[4], e[k], p[k], c[5], c[1], c[3], s[k]
    }
}"""
LIBRARY = """\
import sys
from datetime import datetime
from flowlogs_reader import FlowLogsReader
name, start, end = sys.argv[1:]
records = total = 0
for record in FlowLogsReader(name, start_time=datetime.fromisoformat(start), end_time=datetime.fromisoformat(end)):
    records += 1
    if record.srcaddr:
        total += record.bytes
print(records, total)
"""


def window(records: int, around: int = 0) -> tuple[str, str]:
    """The start times of so many records, with so many hours around them."""
    end = FIRST_START + timedelta(seconds=-(-records // PER_SECOND))
    hours = timedelta(hours=around)
    return f'{FIRST_START - hours:%Y-%m-%d %H:%M:%S}', f'{end + hours:%Y-%m-%d %H:%M:%S}'


def _reader(place: Place, who: str, location: str, action: str, times: tuple[str, str], options: str = '') -> str:
    start, end = map(quote, times)
    return f'{place.program(who, "flowlogs_reader")} {location} {action} -s {start} -e {end} {options}'


def _mawk(place: Place, program: str) -> str:
    return f'zcat {quote(str(place.log()))} | mawk {quote(program)}'


def _traffic(records: int) -> tuple[str, ...]:
    return '--records', str(records), '--per-second', str(PER_SECOND)


def _logs(place: Place, records: int, latency: float = 0) -> dict[str, str]:
    return place.fake(*_traffic(records), '--latency', f'{latency:g}', '--group', NAME)


# --- jobs -------------------------------------------------------------------------------------------------------------

PEAK = Goal('peak', 100, 'under 100 MiB')
WALL_LESS = Goal('wall', 1, 'wall less')
WALL_WITHIN_3 = Goal('wall', 1 / 3, 'wall within 3 ×')


def _cloudwatch(
    place: Place, action: str, answer: Callable[..., Answer], goals: tuple[Goal, ...] = (), expected: str = ''
) -> Job:
    """Ours and 5.0.1. With the mawk program that gives what is `expected` of it, ours with three conditions too."""
    environ = _logs(place, place.records)
    times = window(place.records)
    lines = {'ours': _reader(place, 'ours', NAME, action, times), PEER: _reader(place, PEER, NAME, action, times)}
    title = f'CloudWatch `{action.split()[0]}`'
    rows = [Row(title, 'ours', PEER, goals)]
    if expected:
        lines['ours -w'] = _reader(place, 'ours', NAME, action, times, WHERE)
        lines['mawk'] = _mawk(place, expected)
        rows.append(Row(f'{title}, three `-w`; 5.0.1 has none', 'ours -w', PEER, goals, 'mawk'))
    return Job({who: Command(line, answer, environ) for who, line in lines.items()}, rows, place.records)


def cloudwatch_print(place: Place) -> Job:
    job = _cloudwatch(place, 'print', RECORDS, (Goal('cpu', 15, 'CPU 15 × less'), PEAK), MET)
    job.commands['awslogs'] = Command(_awslogs(place), RECORDS, job.commands['ours'].environ, once=True)
    job.rows.insert(1, Row('CloudWatch `print`', 'ours', 'awslogs'))
    return job


def _awslogs(place: Place) -> str:
    start, end = map(quote, window(place.records))
    options = f'--no-group --no-stream --color never --start {start} --end {end}'
    return f'{place.program("awslogs", "awslogs")} get {NAME} {options} --aws-endpoint-url "$AWS_ENDPOINT_URL"'


def cloudwatch_aggregate(place: Place) -> Job:
    return _cloudwatch(place, 'aggregate', FLOWS, (Goal('cpu', 12, 'CPU 12 × less'),), TABLE.replace('CONDITION', MET))


def cloudwatch_findip(place: Place) -> Job:
    goals = (Goal('wall', 50, 'wall 50 × less'), PEAK)
    return _cloudwatch(place, f'findip {PROBE_HOST}', RECORDS, goals, f'{FOUND} && {MET}')


def cloudwatch_ipset(place: Place) -> Job:
    return _cloudwatch(place, 'ipset', LINES)


def cloudwatch_latency(place: Place) -> Job:
    environ = _logs(place, place.records, place.latency)
    times = window(place.records)
    commands = {who: Command(_reader(place, who, NAME, 'print', times), RECORDS, environ) for who in ('ours', PEER)}
    title = f'CloudWatch `print`, {place.latency:g} ms a page'
    return Job(commands, [Row(title, 'ours', PEER, (Goal('wall', 6, 'wall 6 × less'),))], place.records)


def library(place: Place) -> Job:
    environ = _logs(place, place.records)
    arguments = ' '.join(map(quote, (NAME, *window(place.records))))
    commands = {
        # -I: without it each would import the package that lies in the current directory.
        who: Command(f'{place.program(who, "python")} -I -c {quote(LIBRARY)} {arguments}', numbers_answer, environ)
        for who in ('ours', PEER)
    }
    goal = Goal('cpu', 8, 'CPU 8 × less')
    return Job(commands, [Row('library, two attributes', 'ours', PEER, (goal,))], place.records)


def s3(place: Place, action: str, answer: Callable[..., Answer], goals: tuple[Goal, ...], threads: int = 0) -> Job:
    environ = place.fake(*_traffic(place.records), '--group', '', '--bucket', NAME)
    options = '--location-type s3' + (f' --thread-count {threads}' if threads else '')
    # Wide, because 5.0.1 takes or leaves whole files by the time in their names, and ours records by their start.
    times = window(place.records, around=1)
    commands = {
        who: Command(_reader(place, who, NAME, action, times, options), answer, environ) for who in ('ours', PEER)
    }
    title = f'S3 `{action.split()[0]}`' + (f', {threads} threads' if threads else '')
    return Job(commands, [Row(title, 'ours', PEER, goals)], place.records)


def _file(
    place: Place, action: str, answer: Callable[..., Answer], goals: tuple[Goal, ...], others: dict[str, Command]
) -> Job:
    """Ours beside others; the goals are measured against the first of them."""
    ours = f'{place.program("ours", "flowlogs_reader")} {quote(str(place.log()))} {action}'
    title = f'local gzip file, `{action.split()[0]}`'
    rows = [Row(title, 'ours', who, () if index else goals) for index, who in enumerate(others)]
    return Job({'ours': Command(ours, answer), **others}, rows, place.records)


def file_print(place: Place) -> Job:
    zcat = f'zcat {quote(str(place.log()))}'
    others = {'zcat': Command(zcat, RECORDS), 'zcat | wc -l': Command(f'{zcat} | wc -l', numbers_answer)}
    return _file(place, 'print', RECORDS, (WALL_WITHIN_3, PEAK), others)


def file_findip(place: Place) -> Job:
    grep = f'zcat {quote(str(place.log()))} | grep -F {quote(f" {PROBE_HOST} ")}'
    others = {'zcat | mawk': Command(_mawk(place, FOUND), RECORDS), 'zcat | grep -F': Command(grep, RECORDS)}
    return _file(place, f'findip {PROBE_HOST}', RECORDS, (WALL_LESS, PEAK), others)


def file_aggregate(place: Place) -> Job:
    others = {'zcat | mawk': Command(_mawk(place, TABLE.replace('CONDITION', '$4 != "-"')), FLOWS)}
    return _file(place, 'aggregate', FLOWS, (WALL_LESS,), others)


def start_up(place: Place) -> Job:
    lines = {
        'ours': f'{place.program("ours", "flowlogs_reader")} --help',
        'python -c pass': f'{place.program("ours", "python")} -c pass',
        PEER: f'{place.program(PEER, "flowlogs_reader")} --help',
    }
    rows = [Row('`--help`', 'ours', 'python -c pass', (WALL_WITHIN_3,)), Row('`--help`', 'ours', PEER)]
    return Job({who: Command(line, no_answer) for who, line in lines.items()}, rows, 0, repeat=5)


GROWTH = (100_000, 1_000_000, 5_000_000)


def growth(place: Place, action: str, answer: Callable[..., Answer], records: int, goals: tuple[Goal, ...] = ()) -> Job:
    """Ours alone, on the first records of the largest group."""
    line = _reader(place, 'ours', NAME, action, window(records))
    command = Command(line, answer, _logs(place, max(GROWTH)))
    return Job({'ours': command}, [Row(f'CloudWatch `{action}` of {records:,}', 'ours', None, goals)], records)


JOBS: dict[str, Callable[[Any], Job]] = {
    'cloudwatch-print': cloudwatch_print,
    'cloudwatch-aggregate': cloudwatch_aggregate,
    'cloudwatch-findip': cloudwatch_findip,
    'cloudwatch-ipset': cloudwatch_ipset,
    'cloudwatch-latency': cloudwatch_latency,
    'library': library,
    's3-print': partial(s3, action='print', answer=RECORDS, goals=(Goal('cpu', 20, 'CPU 20 × less'), PEAK)),
    's3-print-8': partial(s3, action='print', answer=RECORDS, goals=(PEAK,), threads=8),
    's3-findip-8': partial(s3, action=f'findip {PROBE_HOST}', answer=RECORDS, goals=(PEAK,), threads=8),
    's3-ipset-8': partial(s3, action='ipset', answer=LINES, goals=(), threads=8),
    'file-print': file_print,
    'file-findip': file_findip,
    'file-aggregate': file_aggregate,
    'help': start_up,
}
GROWTH_JOBS: dict[str, Callable[[Any], Job]] = {
    f'growth-{action}-{records}': partial(growth, action=action, answer=answer, records=records, goals=goals)
    for action, answer, goals in (('print', RECORDS, (PEAK,)), ('aggregate', FLOWS, ()))
    for records in GROWTH
}
