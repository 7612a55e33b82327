"""The texts of --help, on one screen each, made from the tables of actions, options and fields.

`--help` shows an overview, and `--help TOPIC` one of TOPICS, an action or, as `man`, everything as a manual page.
"""

from __future__ import annotations

from textwrap import wrap

from ..query.names import PORTS, PROTOCOLS, TRAFFIC_PATHS
from ..records.fields import FIELDS, Kind
from .actions import ACTIONS
from .options import GROUPS, LOCATION, OPTIONS, OUTPUTS, USAGE, Option
from .stderr import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WIDTH = 80
DESCRIPTION = 'Reads AWS VPC Flow Logs from CloudWatch Logs, S3 or files, and writes lines for awk and sort.'
# The options that the overview explains, in one line each. It names the others.
COMMON = {
    'list': 'the flow logs there are, or those of a resource',
    'start_time': 'from this time on, such as 2h (ago) or 2016-02-01',
    'end_time': 'to this time, not included',
    'for': 'a length after -s or before -e, such as 10m',
    'follow': 'go on as records arrive, until Ctrl-C',
    'tz': 'the time zone, such as Asia/Tokyo, or local',
    'where': 'only records with dstport=22,443 or bytes>=1000',
    'columns': 'of records, such as start,srcaddr,bytes',
    'output': f'{", ".join(OUTPUTS[:-1])} or {OUTPUTS[-1]}',
    'times': 'epoch or iso',
    'by': 'sort by bytes, packets or flows',
    'once': 'count once what both ends recorded',
    'region': 'the AWS Region',
    'profile': 'a profile of the AWS configuration',
    'engine': 'insights or athena: AWS scans large logs itself',
    'estimate': 'how much it would read, and the price',
}
EXAMPLES = """\
flowlogs_reader VPCFlowLogGroup --region ap-northeast-1
flowlogs_reader VPCFlowLogGroup -s 2h top dstaddr -w srcaddr=172.20.0.10
flowlogs_reader VPCFlowLogGroup findip 54.245.120.220 -s 2016-02-01 --for 10m
flowlogs_reader s3://flow-logs -s 1d timeline 1h -w action=REJECT --tz local
zcat flows.log.gz | flowlogs_reader - aggregate --both-ways""".splitlines()
STATUSES = {
    0: 'done, also when nothing matched or the reader of the pipe went away',
    1: 'some or all could not be read',
    2: 'usage error',
    130: 'interrupted',
}
CONDITIONS = (
    ('-w FIELD=VALUE[,VALUE ...]', 'the field has one of these values; several -w must all hold'),
    ("-w 'FIELD!=VALUE'", 'it has none of them; quote ! < and > for the shell'),
    ("-w 'bytes>=1000000'", 'numbers: < <= > >='),
    ('-w dstport=22,8000-8100', 'numbers and ranges'),
    ('-w dstport=ssh -w protocol=tcp', 'ports and protocols by name'),
    ('-w srcaddr=10.0.0.0/8', 'addresses and CIDR blocks, IPv6 in any spelling'),
    ('-w dstaddr=internet', 'classes of addresses: internet, private, special'),
    ('-w addr=10.0.0.1 -w port=443', 'one of both sides; pkt_addr: one of the pkt- addresses'),
    ('-w tcp_flags=syn,ack', 'all of these flags were seen; a number must be equal'),
    ('-w traffic_path=igw,endpoint', 'ways out of the VPC by name'),
    ('-w srcaddr=-', 'the value is missing'),
    ("-w 'pkt_srcaddr!=srcaddr'", 'compare two fields of a record'),
    ("-w 'srcaddr/az!=dstaddr/az'", 'zone, subnet or vpc of an address, as EC2 knows them'),
)
CONDITIONS_END = [
    f'{what} by name: {", ".join(names)}.'
    for what, names in (('Ports', PORTS), ('Protocols', PROTOCOLS), ('Traffic paths', TRAFFIC_PATHS))
]
TIMES = (
    ('-s 2h', 'from 2 hours ago to now; also 10m, 1h30m, 7d'),
    ('-s now', 'now'),
    ('-s yesterday -e today', 'a whole day in the zone of --tz'),
    ("-s 'monday 14:00'", 'a weekday is the last one before today'),
    ("-s '2016-02-01 10:59:22'", 'the default form; --time-format names another one'),
    ('-s 2016-02-01T10:59:22Z', 'ISO 8601, with or without an offset; 2016-02-01 is midnight'),
    ('-s 1454324362', 'Unix seconds, or milliseconds'),
    ("-s 'Feb 1 2016 7pm'", 'in words'),
    ('-e TIME', 'the end is not included; without -s the window begins an hour before it'),
    ('--for 10m', '10 minutes after -s, before -e or before now'),
    ('--tz Asia/Tokyo', 'the zone of times without an offset, and of dates that are written'),
)
TIMES_END = (
    'Without -s, -e and --for it is the last hour, or all of a file. A record is in the window in which its flow '
    'starts. AWS delivers records 5 to 15 minutes late: a window that ends now is never complete.'
)
FIELDS_END = 'Names may have hyphens, as AWS writes them. Fields that are not in this table are text.'
PERMISSIONS = (
    ('read a log group', 'logs:FilterLogEvents, logs:DescribeLogStreams on the log group'),
    ('read a bucket', 's3:ListBucket on the bucket, s3:GetObject on its objects, kms:Decrypt on the key of the bucket'),
    (
        'find formats, log groups, zones',
        'logs:DescribeLogGroups, ec2:DescribeFlowLogs, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, '
        'ec2:DescribeRegions on *',
    ),
    ('--role-arn', 'sts:AssumeRole on the role'),
    (
        '--engine insights',
        'logs:StartQuery and logs:FilterLogEvents on the log group; logs:GetQueryResults, logs:StopQuery '
        'and logs:DescribeQueries on *',
    ),
    (
        '--engine athena',
        'athena:GetWorkGroup, athena:StartQueryExecution, athena:GetQueryExecution, athena:GetQueryResults, '
        'athena:GetQueryResultsStream, athena:StopQueryExecution on the workgroup; glue:GetDatabase, glue:GetTable, '
        'and with --create-table glue:CreateTable; where results go s3:GetBucketLocation, s3:ListBucket, s3:GetObject, '
        's3:PutObject, s3:AbortMultipartUpload, s3:ListBucketMultipartUploads, s3:ListMultipartUploadParts',
    ),
)


def help_on(topic: str) -> str | None:
    """Return the help on a topic, '' for the overview, or None if there is no such topic."""
    if topic in ACTIONS:
        return _text(_action(topic))
    make = TOPICS.get(topic)
    return _text(make()) if make else None


def _overview() -> Iterator[str]:
    yield f'usage: {USAGE}'
    yield from wrap(f'{DESCRIPTION} LOCATION: {LOCATION}.', WIDTH)
    yield ''
    yield 'actions:'
    for name, action in ACTIONS.items():
        yield from _row(f'{name} {action.arguments}', action.about, 31)
    yield ''
    yield 'options:'
    for option in OPTIONS:
        if option.name in COMMON:
            yield from _row(_spelling(option, choices=False), COMMON[option.name], 31)
    others = [option.shown for option in OPTIONS if option.name not in COMMON and option.shown.startswith('-')]
    for line in wrap(f'others: {" ".join(others)}', WIDTH - 2, break_on_hyphens=False):
        yield f'  {line}'
    yield ''
    yield 'examples:'
    yield from (f'  {example}' for example in EXAMPLES)
    yield 'exit status: 0 done, 1 some or all could not be read, 2 usage error'
    yield f'more: --help {", ".join(ACTIONS)};'
    yield f'      --help {", ".join(name for name in TOPICS if name)}'


def _action(name: str) -> Iterator[str]:
    action = ACTIONS[name]
    words = f'{PROGRAM} LOCATION [LOCATION ...] {name} {action.arguments} [options]'.split()
    yield from wrap(f'usage: {" ".join(words)}', WIDTH, subsequent_indent='       ')
    yield ''
    yield from wrap(f'{action.about[0].upper()}{action.about[1:]}. {action.details}', WIDTH)
    if own := [option for option in OPTIONS if option.actions and name in option.actions]:
        yield ''
        yield 'options beside those of all actions (--help options):'
        for option in own:
            yield from _option(option, name)
    if examples := [example for example in EXAMPLES if f' {name} ' in example]:
        yield ''
        yield 'example:'
        yield from (f'  {example}' for example in examples)


def _options() -> Iterator[str]:
    for number, (group, about) in enumerate(GROUPS.items()):
        if number:
            yield ''
        yield f'{group}:'
        yield from (f'  {line}' for line in about.splitlines() if not line.startswith('ACTIONS') and line != 'actions:')
        for option in OPTIONS:
            if option.group == group and option.name != 'action':
                yield from _option(option)


def _fields() -> Iterator[str]:
    kinds = {Kind.TEXT: 'text', Kind.INTEGER: 'number', Kind.TIME: 'time'}
    yield 'fields, the version that added them, their kinds, and what they mean:'
    for field in FIELDS:
        yield from _row(f'{field.name:<26} {field.version:>2} {kinds[field.kind]:<6}', field.about, 40)
    yield from wrap(FIELDS_END, WIDTH)


def _conditions() -> Iterator[str]:
    yield 'conditions, which all records that come out must meet:'
    for condition, about in CONDITIONS:
        yield from _row(condition, about, 34)
    for line in CONDITIONS_END:
        yield from wrap(line, WIDTH, break_on_hyphens=False)
    yield from wrap('The fields: --help fields.', WIDTH)


def _times() -> Iterator[str]:
    yield 'times, for -s (start, included) and -e (end, not included):'
    for time, about in TIMES:
        yield from _row(time, about, 28)
    yield from wrap(TIMES_END, WIDTH)


def _permissions() -> Iterator[str]:
    yield 'what the identity must be allowed to do:'
    for purpose, actions in PERMISSIONS:
        yield from _row(purpose, actions, 34)


def _manual() -> Iterator[str]:
    """The manual page, for man -l -."""
    yield f'.TH {PROGRAM.upper()} 1'
    # A name that is hyphenated, or spread over the line, cannot be copied.
    yield '.nh'
    yield '.ad l'
    yield from _section('NAME', [f'{PROGRAM} - read AWS VPC Flow Logs'])
    yield from _section('SYNOPSIS', [' '.join(line.split()) for line in USAGE.splitlines()], '.br')
    yield from _section('DESCRIPTION', [f'{DESCRIPTION} LOCATION: {LOCATION}.'])
    yield '.SH ACTIONS'
    for name, action in ACTIONS.items():
        yield from _entry(f'{name} {action.arguments}'.strip(), f'{action.about}. {action.details}')
    yield '.SH OPTIONS'
    for option in OPTIONS:
        if option.shown.startswith('-'):
            # --help options explains values such as TIME below the heading of a group. The manual page has no groups.
            told = option.about.startswith('default: ') and option.name in COMMON
            about = f'{COMMON[option.name]} ({option.about})' if told else option.about
            yield from _entry(_spelling(option), about)
    yield '.SH CONDITIONS'
    for condition, about in CONDITIONS:
        yield from _entry(condition, about)
    yield from _paragraphs(CONDITIONS_END)
    yield '.SH TIMES'
    for time, about in TIMES:
        yield from _entry(time, about)
    yield from _paragraphs([TIMES_END])
    yield '.SH FIELDS'
    for field in FIELDS:
        yield from _entry(f'{field.name} (version {field.version})', field.about)
    yield from _paragraphs([FIELDS_END])
    yield '.SH PERMISSIONS'
    for purpose, actions in PERMISSIONS:
        yield from _entry(purpose, actions)
    yield '.SH EXIT STATUS'
    for status, about in STATUSES.items():
        yield from _entry(str(status), about)
    yield from _section('EXAMPLES', EXAMPLES, '.br')


# The topics beside the actions.
TOPICS: dict[str, Callable[[], Iterator[str]]] = {
    '': _overview,
    'options': _options,
    'fields': _fields,
    'conditions': _conditions,
    'times': _times,
    'permissions': _permissions,
    'man': _manual,
}


def _text(lines: Iterator[str]) -> str:
    return '\n'.join([*lines, ''])


def _spelling(option: Option, choices: bool = True) -> str:
    """Return an option as the user writes it, with its argument: `-s, --start-time TIME`."""
    settings = option.argparse
    flags = ', '.join(option.flags) + (', --no-header' if option.name == 'header' else '')
    metavar = str(settings.get('metavar') or option.name.upper())
    if choices and 'choices' in settings:
        metavar = f'{{{",".join(settings["choices"])}}}'
    if not flags.startswith('-'):
        return metavar
    if option.takes_nothing:
        return flags
    return f'{flags} [{metavar}]' if settings.get('nargs') == '?' else f'{flags} {metavar}'


def _option(option: Option, action: str = '') -> Iterator[str]:
    return _row(_spelling(option), option.about_with(action) if action else option.about, 30)


def _row(term: str, about: str, place: int) -> Iterator[str]:
    """Yield a term and its description, which begins at a column."""
    lines = wrap(about, WIDTH - place, break_on_hyphens=False)
    first = f'  {term}'
    if len(first) >= place - 1:
        yield first
        first = ''
    for line in lines:
        yield f'{first:<{place}}{line}'
        first = ''


def _section(title: str, lines: Sequence[str], between: str = '') -> Iterator[str]:
    yield f'.SH {title}'
    for number, line in enumerate(lines):
        if number and between:
            yield between
        yield _roff(line)


def _paragraphs(texts: Sequence[str]) -> Iterator[str]:
    """Yield texts that follow entries."""
    for text in texts:
        yield '.PP'
        yield _roff(text)


def _entry(term: str, about: str) -> Iterator[str]:
    yield '.TP'
    yield f'.B {_roff(term)}'
    yield _roff(about)


def _roff(text: str) -> str:
    """Return text that troff shows as it is."""
    for char, shown in (('\\', '\\e'), ('-', '\\-'), ("'", '\\(aq'), ('`', '\\(ga'), ('^', '\\(ha'), ('~', '\\(ti')):
        text = text.replace(char, shown)
    return f'\\&{text}' if text.startswith('.') else text
