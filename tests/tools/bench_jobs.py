"""The jobs of the benchmark: what runs side by side, what must be reached, and how two outputs are compared."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache, partial
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
        """Path of an installed command: who is 'ours', '5.0.1', 'awslogs' or 'DuckDB'."""

    def fake(self, *options: str) -> dict[str, str]:
        """Environment that leads to a fake AWS started with these options."""

    def files(self, kind: str) -> str:
        """The same records as a 'gz file', a 'Parquet file' or a 'directory of 16 gz files', which ends in a slash."""


class Answer(NamedTuple):
    """What a command put out: how many records, and a sum over them that is None where the command gives none."""

    records: int
    total: int | None = None

    def agrees(self, other: 'Answer') -> bool:
        return self.records == other.records and (None in (self.total, other.total) or self.total == other.total)


class Command(NamedTuple):
    """A line for the shell, and how its output is read."""

    line: str
    answer: Callable[[Iterable[bytes]], Answer | None]
    environ: dict[str, str] = {}


class Goal(NamedTuple):
    """`wall`, `cpu`: the best of the others takes at least `limit` times as much; `peak`: ours is under `limit` MiB."""

    metric: str
    limit: float
    text: str


class Row(NamedTuple):
    """A line of the table. `check` are the commands that give the same answer as ours, where `beside` does not."""

    title: str
    ours: str
    beside: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    check: tuple[str, ...] = ()
    pure: str = ''
    metric: str = 'cpu'  # by which the best of the others is found


class Job(NamedTuple):
    """Commands that take turns, and the rows made from their measurements."""

    commands: dict[str, Command]
    rows: Sequence[Row]
    records: int
    repeat: int = 1  # turns in each round, for commands that take no time


# --- answers ----------------------------------------------------------------------------------------------------------


def lines_answer(normal: Callable[[bytes], bytes], lines: Iterable[bytes]) -> Answer:
    """Count and checksum of lines in any order, without those that are nothing in their normal form."""
    records = total = 0
    for line in map(normal, lines):
        if line:
            records += 1
            total += crc32(line)
    return Answer(records, total)


def record_line(line: bytes) -> bytes:
    """A default-format record as it stands in the log: 5.0.1 adds 33 empty columns and prints 0 as '-'."""
    text = line.rstrip(b'\n').removesuffix(b' -' * 33)
    return text.replace(b' 0 ', b' - ').replace(b' 0 ', b' - ')


def table_line(line: bytes) -> bytes:
    """A row of a table, its dates as Unix seconds. The header is nothing."""
    return _DATE.sub(lambda date: _seconds(date[0]), line) if line[:1].isdigit() else b''


_DATE = re.compile(rb'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?')


@lru_cache(maxsize=65_536)
def _seconds(date: bytes) -> bytes:
    return b'%d' % datetime.fromisoformat(f'{date.decode().rstrip("Z")}+00:00').timestamp()


def json_line(line: bytes) -> bytes:
    """Of the two only ours writes spaces, and no value has any."""
    return line.replace(b' ', b'')


def numbers_answer(lines: Iterable[bytes]) -> Answer:
    """From a command that counts for itself: records, or records and a total."""
    return Answer(*map(int, b' '.join(lines).split()))


RECORDS = partial(lines_answer, record_line)
TABLE = partial(lines_answer, table_line)
JSON = partial(lines_answer, json_line)
LINES = partial(lines_answer, bytes)


def no_answer(lines: Iterable[bytes]) -> None:
    """For commands whose output says nothing about records."""


# --- commands ---------------------------------------------------------------------------------------------------------

WHERE = "-w action=ACCEPT -w protocol=6 -w 'bytes>=40'"
MET = '$13 == "ACCEPT" && $8 == 6 && $10 >= 40'
DATA = '$4 != "-"'
FOUND = f'($4 == "{PROBE_HOST}" || $5 == "{PROBE_HOST}")'
# What an awk user writes; CONDITION and KEY are filled in.
TOP = r"""
CONDITION { k = KEY; b[k] += $10; p[k] += $9; n[k]++ }
END { for (k in b) printf "%.0f\t%.0f\t%d\t%s\n", b[k], p[k], n[k], k | "sort -rn | head" }"""
FIVE_TUPLES = r"""
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
        printf "%.0f\t%s\t%s\t%s\t%.0f\t%s\t%s\t%s\t%s\n", b[k], c[2], c[4], e[k], p[k], c[5], c[1], c[3], s[k]
    }
}"""
MINUTES = r"""
CONDITION { m = $11 - $11 % 60; n[m]++; b[m] += $10; p[m] += $9; if ($13 == "ACCEPT") a[m]++; else r[m]++ }
END { for (m in n) printf "%d\t%d\t%.0f\t%.0f\t%d\t%d\n", m, n[m], b[m], p[m], a[m], r[m] }"""
ADDRESSES = 'CONDITION { a[$4]; a[$5] } END { for (k in a) print k }'
# What a DuckDB user writes; LOG is the file, as one of TABLES.
SQL_TOP = """
SELECT sum(bytes), sum(packets), count(*), KEY FROM LOG WHERE CONDITION GROUP BY ALL ORDER BY 1 DESC LIMIT 10"""
SQL_FIVE_TUPLES = """
SELECT sum(bytes), dstaddr, dstport, max("end"), sum(packets), protocol, srcaddr, srcport, min(start)
FROM LOG WHERE srcaddr IS NOT NULL GROUP BY ALL"""
SQL_MINUTES = """
SELECT start // 60 * 60, count(*), sum(bytes), sum(packets),
    count(*) FILTER (action = 'ACCEPT'), count(*) FILTER (action = 'REJECT')
FROM LOG WHERE srcaddr IS NOT NULL GROUP BY ALL"""
SQL_ADDRESSES = """
SELECT DISTINCT unnest([srcaddr, dstaddr]) FROM (SELECT DISTINCT srcaddr, dstaddr FROM LOG) WHERE srcaddr IS NOT NULL"""
COLUMNS = {
    'version': 'INTEGER', 'account_id': 'VARCHAR', 'interface_id': 'VARCHAR', 'srcaddr': 'VARCHAR',
    'dstaddr': 'VARCHAR', 'srcport': 'INTEGER', 'dstport': 'INTEGER', 'protocol': 'INTEGER', 'packets': 'BIGINT',
    'bytes': 'BIGINT', 'start': 'BIGINT', 'end': 'BIGINT', 'action': 'VARCHAR', 'log_status': 'VARCHAR',
}  # fmt: skip
GZ = f"read_csv('FILES', delim=' ', header=false, nullstr='-', auto_detect=false, columns={COLUMNS})"
TABLES = {'gz file': GZ, 'directory of 16 gz files': GZ, 'Parquet file': "read_parquet('FILES')"}
TSV = r"DELIMITER '\t', HEADER false"
ISO = "HEADER false, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ'"
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
    return f'zcat {quote(place.files("gz file"))} | mawk {quote(program)}'


def _traffic(records: int) -> tuple[str, ...]:
    return '--records', str(records), '--per-second', str(PER_SECOND)


def _logs(place: Place, records: int, latency: float = 0) -> dict[str, str]:
    return place.fake(*_traffic(records), '--latency', f'{latency:g}', '--group', NAME)


# --- jobs -------------------------------------------------------------------------------------------------------------

PEAK = Goal('peak', 100, 'under 100 MiB')


def cpu_less(times: float) -> Goal:
    return Goal('cpu', times, f'CPU {times:g} × less')


def wall_less(times: float) -> Goal:
    return Goal('wall', times, f'wall {times:g} × less')


def faster(times: float) -> Goal:
    return Goal('wall', times, f'{times:g} × faster')


def within(times: float) -> Goal:
    return Goal('wall', 1 / times, f'within {times:g} ×')


AS_FAST = Goal('wall', 1, 'as fast')


class Local(NamedTuple):
    """A row about files: what ours does, how its output is compared, and the peers; `sql` is a query and its format."""

    action: str
    answer: Callable[[Iterable[bytes]], Answer]
    goals: tuple[Goal, ...]
    shell: dict[str, str] = {}
    sql: tuple[str, str] | None = None
    kind: str = 'gz file'
    note: str = ''  # what the peers do not give


def _mawk_top(key: str, condition: str = DATA) -> dict[str, str]:
    return {'mawk': TOP.replace('CONDITION', condition).replace('KEY', key)}


def _sql_top(key: str, condition: str = 'srcaddr IS NOT NULL') -> tuple[str, str]:
    return SQL_TOP.replace('CONDITION', condition).replace('KEY', key), TSV


PAIRS = _mawk_top(r'$4 "\t" $5')
SQL_PAIRS = _sql_top('srcaddr, dstaddr')
LOCAL = {
    'file-top': Local('top', TABLE, (faster(2),), PAIRS, SQL_PAIRS),
    'file-top-port': Local('top dstport', TABLE, (faster(2),), _mawk_top('$7'), _sql_top('dstport')),
    'file-top-where': Local(
        'top srcaddr -w action=REJECT -w dstport=1-1024',
        TABLE,
        (faster(1.5),),
        _mawk_top('$4', '$13 == "REJECT" && $7 >= 1 && $7 <= 1024'),
        _sql_top('srcaddr', "action = 'REJECT' AND dstport BETWEEN 1 AND 1024"),
    ),
    'file-aggregate': Local(
        'aggregate',
        TABLE,
        (AS_FAST,),
        {'mawk': FIVE_TUPLES},
        (SQL_FIVE_TUPLES, TSV),
        note='the others write Unix seconds for dates',
    ),
    'file-timeline': Local(
        'timeline',
        TABLE,
        (faster(2),),
        {'mawk': MINUTES},
        (SQL_MINUTES, TSV),
        note='the others write Unix seconds for dates, in any order, and would leave out empty minutes',
    ),
    'file-ipset': Local(
        'ipset', LINES, (faster(2),), {'mawk': ADDRESSES}, (SQL_ADDRESSES, TSV), note='the others do not sort'
    ),
    'file-where': Local(
        '-w srcaddr=10.0.1.0/24 -w action=REJECT',
        RECORDS,
        (faster(2), PEAK),
        {'mawk': r'$4 ~ /^10\.0\.1\./ && $13 == "REJECT"'},
    ),
    'file-findip': Local(
        f'findip {PROBE_HOST}',
        RECORDS,
        (faster(2), PEAK),
        {'mawk': FOUND, 'grep -F': f' {PROBE_HOST} '},
        note='grep finds the text in any column',
    ),
    'file-print': Local('print', RECORDS, (AS_FAST, PEAK), {'zcat': ''}),
    'file-window': Local(
        'print -s 1454324400 --for 30m',
        RECORDS,
        (faster(1.5), PEAK),
        {'mawk': '$11 >= 1454324400 && $11 < 1454326200'},
    ),
    'file-csv': Local(
        '-o csv -c start,srcaddr,dstaddr,bytes --times iso',
        LINES,
        (AS_FAST, PEAK),
        sql=('SELECT make_timestamp(start * 1000000), srcaddr, dstaddr, bytes FROM LOG', ISO),
    ),
    'file-jsonl': Local('-o jsonl', JSON, (faster(1.5), PEAK), sql=('FROM LOG', 'FORMAT json')),
    'parquet-top': Local('top', TABLE, (within(1.3),), sql=SQL_PAIRS, kind='Parquet file'),
    'parquet-where': Local(
        '-w action=REJECT -w dstport=22',
        RECORDS,
        (within(1.5),),
        sql=("FROM LOG WHERE action = 'REJECT' AND dstport = 22", "DELIMITER ' ', HEADER false, NULLSTR '-'"),
        kind='Parquet file',
    ),
    'directory-top': Local('top', TABLE, (faster(3),), PAIRS, SQL_PAIRS, 'directory of 16 gz files'),
}


def local(place: Place, row: Local) -> Job:
    """Ours with either kernel, and its peers."""
    path = place.files(row.kind)
    files = f'{path}*.gz' if path.endswith('/') else path
    ours = f'{place.program("ours", "flowlogs_reader")} {quote(path)} {row.action}'
    commands = {'ours': Command(ours, row.answer), 'pure': Command(ours, row.answer, {'FLOWLOGS_READER_PURE': '1'})}
    zcat = f'zcat {quote(path)}{files.removeprefix(path)}'
    for tool, program in row.shell.items():
        who, line = ('zcat', zcat) if tool == 'zcat' else (f'zcat | {tool}', f'{zcat} | {tool} {quote(program)}')
        commands[who] = Command(line.replace('CONDITION', DATA), row.answer)
    if row.sql:
        query, form = row.sql
        query = query.replace('LOG', TABLES[row.kind].replace('FILES', files))
        script = f"""import duckdb; duckdb.execute(r'''COPY ({query}) TO '/dev/stdout' ({form})''')"""
        commands['DuckDB'] = Command(f'{place.program("DuckDB", "python")} -I -c {quote(script)}', row.answer)
    peers = tuple(who for who in commands if who not in ('ours', 'pure'))
    title = f'{row.kind}, `{row.action}`' + (row.note and f'; {row.note}')
    return Job(commands, [Row(title, 'ours', peers, row.goals, pure='pure', metric='wall')], place.records)


def _cloudwatch(
    place: Place, action: str, answer: Callable[..., Answer], goals: tuple[Goal, ...], expected: str
) -> Job:
    """Ours without and with three conditions, and 5.0.1. The mawk program gives what is `expected` of the latter."""
    environ = _logs(place, place.records)
    times = window(place.records)
    lines = {'ours': _reader(place, 'ours', NAME, action, times), PEER: _reader(place, PEER, NAME, action, times)}
    title = f'CloudWatch `{action.split()[0]}`'
    metric = goals[0].metric
    rows = [Row(title, 'ours', (PEER,), goals, metric=metric)]
    lines['ours -w'] = _reader(place, 'ours', NAME, action, times, WHERE)
    lines['mawk'] = _mawk(place, expected)
    rows.append(Row(f'{title}, three `-w`; 5.0.1 has none', 'ours -w', (PEER,), goals, ('mawk',), metric=metric))
    return Job({who: Command(line, answer, environ) for who, line in lines.items()}, rows, place.records)


def cloudwatch_print(place: Place) -> Job:
    job = _cloudwatch(place, 'print', RECORDS, (cpu_less(18), PEAK), MET)
    job.commands['awslogs'] = Command(_awslogs(place), RECORDS, job.commands['ours'].environ)
    job.rows.insert(1, Row('CloudWatch `print`', 'ours', ('awslogs',)))
    return job


def _awslogs(place: Place) -> str:
    start, end = map(quote, window(place.records))
    options = f'--no-group --no-stream --color never --start {start} --end {end}'
    return f'{place.program("awslogs", "awslogs")} get {NAME} {options} --aws-endpoint-url "$AWS_ENDPOINT_URL"'


def cloudwatch_aggregate(place: Place) -> Job:
    return _cloudwatch(place, 'aggregate', TABLE, (cpu_less(12),), FIVE_TUPLES.replace('CONDITION', MET))


def cloudwatch_findip(place: Place) -> Job:
    return _cloudwatch(place, f'findip {PROBE_HOST}', RECORDS, (wall_less(60), PEAK), f'{FOUND} && {MET}')


def cloudwatch_ipset(place: Place) -> Job:
    return _cloudwatch(place, 'ipset', LINES, (cpu_less(12),), ADDRESSES.replace('CONDITION', MET))


def cloudwatch_latency(place: Place) -> Job:
    environ = _logs(place, place.records, place.latency)
    times = window(place.records)
    commands = {who: Command(_reader(place, who, NAME, 'print', times), RECORDS, environ) for who in ('ours', PEER)}
    title = f'CloudWatch `print`, {place.latency:g} ms a page'
    return Job(commands, [Row(title, 'ours', (PEER,), (wall_less(6),), metric='wall')], place.records)


def library(place: Place) -> Job:
    environ = _logs(place, place.records)
    arguments = ' '.join(map(quote, (NAME, *window(place.records))))
    commands = {
        # -I: without it each would import the package that lies in the current directory.
        who: Command(f'{place.program(who, "python")} -I -c {quote(LIBRARY)} {arguments}', numbers_answer, environ)
        for who in ('ours', PEER)
    }
    return Job(commands, [Row('library, two attributes', 'ours', (PEER,), (cpu_less(8),))], place.records)


def s3(place: Place, action: str, answer: Callable[..., Answer], goals: tuple[Goal, ...], threads: int = 0) -> Job:
    environ = place.fake(*_traffic(place.records), '--group', '', '--bucket', NAME)
    options = '--location-type s3' + (f' --thread-count {threads}' if threads else '')
    # Wide, because 5.0.1 takes or leaves whole files by the time in their names, and ours records by their start.
    times = window(place.records, around=1)
    commands = {
        who: Command(_reader(place, who, NAME, action, times, options), answer, environ) for who in ('ours', PEER)
    }
    title = f'S3 `{action.split()[0]}`' + (f', {threads} threads' if threads else '')
    return Job(commands, [Row(title, 'ours', (PEER,), goals)], place.records)


def start_up(place: Place) -> Job:
    lines = {
        'ours': f'{place.program("ours", "flowlogs_reader")} --help',
        'python -c pass': f'{place.program("ours", "python")} -c pass',
        PEER: f'{place.program(PEER, "flowlogs_reader")} --help',
    }
    rows = [
        Row('`--help`', 'ours', ('python -c pass',), (within(3),), metric='wall'),
        Row('`--help`', 'ours', (PEER,), metric='wall'),
    ]
    return Job({who: Command(line, no_answer) for who, line in lines.items()}, rows, 0, repeat=5)


GROWTH = (100_000, 1_000_000, 5_000_000)


def growth(place: Place, action: str, answer: Callable[..., Answer], records: int, goals: tuple[Goal, ...] = ()) -> Job:
    """Ours alone, on the first records of the largest group."""
    line = _reader(place, 'ours', NAME, action, window(records))
    command = Command(line, answer, _logs(place, max(GROWTH)))
    return Job({'ours': command}, [Row(f'CloudWatch `{action}` of {records:,}', 'ours', goals=goals)], records)


JOBS: dict[str, Callable[[Any], Job]] = {
    **{name: partial(local, row=row) for name, row in LOCAL.items()},
    'cloudwatch-print': cloudwatch_print,
    'cloudwatch-aggregate': cloudwatch_aggregate,
    'cloudwatch-findip': cloudwatch_findip,
    'cloudwatch-ipset': cloudwatch_ipset,
    'cloudwatch-latency': cloudwatch_latency,
    'library': library,
    's3-print': partial(s3, action='print', answer=RECORDS, goals=(cpu_less(22), PEAK)),
    's3-ipset': partial(s3, action='ipset', answer=LINES, goals=(cpu_less(15),)),
    's3-print-8': partial(s3, action='print', answer=RECORDS, goals=(PEAK,), threads=8),
    's3-findip-8': partial(s3, action=f'findip {PROBE_HOST}', answer=RECORDS, goals=(PEAK,), threads=8),
    's3-ipset-8': partial(s3, action='ipset', answer=LINES, goals=(), threads=8),
    'help': start_up,
}
GROWTH_JOBS: dict[str, Callable[[Any], Job]] = {
    f'growth-{action}-{records}': partial(growth, action=action, answer=answer, records=records, goals=goals)
    for action, answer, goals in (('print', RECORDS, (PEAK,)), ('aggregate', TABLE, ()))
    for records in GROWTH
}
