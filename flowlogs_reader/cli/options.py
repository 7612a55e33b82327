"""The options of the command line: what they are, what they mean, which of them go together; exit statuses."""

from __future__ import annotations

import argparse
import os
import re
from enum import IntEnum

from .. import __version__
from .actions import ACTIONS, MEASURES
from .stderr import PROGRAM, tell, write, writing

# --help and typing errors are answered from here: nothing above takes longer to import than argparse does itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn, TextIO

OUTPUTS = ('text', 'tsv', 'csv', 'jsonl')
TIME_FORMAT = '%Y-%m-%d %H:%M:%S'
SOURCES = {'cwl': 'a log group', 's3': 'a bucket', 'file': 'a file'}
# Options that make sense for some sources only: the name in the Namespace, and the sources.
BELONGS_TO = {
    'filter_pattern': ('cwl',),
    'pushdown': ('cwl',),
    'include_accounts': ('s3',),
    'include_regions': ('s3',),
    'region': ('cwl', 's3'),
    'profile': ('cwl', 's3'),
    'role_arn': ('cwl', 's3'),
    'external_id': ('cwl', 's3'),
    'follow': ('cwl', 's3'),
}
# As many connections as a client keeps.
MAX_THREADS = 50
LOCATION = 'a log group (name or ARN), s3://BUCKET/PREFIX, a file, a directory with a slash, or - for standard input'
WHEN = """TIME: 2h (ago), now, 2016-02-01, '2016-02-01 10:59:22', 2016-02-01T10:59:22Z, Unix seconds
the start is included, the end is not; without -s, -e and --for a file is read whole"""
WHICH = """CONDITION: FIELD=VALUE[,VALUE ...], or != < <= > >= for the =; several -w must all hold
  addresses: 10.0.0.1 or 10.0.0.0/8; numbers: 22 or 8000-8100; ports and protocols: ssh, tcp; tcp_flags=syn,ack
  addr, port and pkt_addr are both sides; - is a missing value"""
# Options that belong to some actions only: each action says to which.
OF_ACTIONS = ('columns', 'raw', 'times', 'follow', 'by', 'flows', 'both_ways')
LIST_TAKES = {
    'list', 'all_regions', 'region', 'profile', 'role_arn', 'external_id', 'output', 'header', 'quiet', 'debug',
}  # fmt: skip


class Status(IntEnum):
    """Exit statuses."""

    DONE = 0
    NOT_ALL_READ = 1
    USAGE = 2
    INTERRUPTED = 130


class Exit(Exception):
    """The command line ends here, with this status."""

    def __init__(self, status: int) -> None:
        self.status = status


class Parser(argparse.ArgumentParser):
    """Argparse with streams handed in, that never ends the process."""

    streams: tuple[BinaryIO, TextIO]

    def _print_message(self, message: str, file: Any = None) -> None:
        with writing():
            self.streams[0].write(message.encode())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise Exit(status)

    def error(self, message: str) -> NoReturn:
        write(self.streams[1], self.format_usage())
        tell(self.streams[1], f'error: {message}')
        raise Exit(Status.USAGE)


def make_parser(streams: tuple[BinaryIO, TextIO]) -> Parser:
    parser = Parser(
        prog=PROGRAM,
        usage=f'{PROGRAM} LOCATION [ACTION [ARG ...]] [options]\n       {PROGRAM} --list [RESOURCE] [options]',
        description='Reads AWS VPC Flow Logs from CloudWatch Logs, S3 or files, and writes lines for awk and sort.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for add in (_add_what, _add_when, _add_which, _add_output, _add_aws, _add_other):
        add(parser)
    parser.streams = streams
    return parser


def _add_what(parser: Parser) -> None:
    actions = '\n'.join(f'  {f"{name} {action.arguments}":<21} {action.about}' for name, action in ACTIONS.items())
    what = parser.add_argument_group('what to read, and what to do', f'actions:\n{actions}')
    what.add_argument('location', metavar='LOCATION', nargs='?', help=LOCATION)
    what.add_argument('action', metavar='ACTION', nargs='?', default='print', help='default: print')
    what.add_argument('arguments', metavar='ARG', nargs='*', help='arguments of the action')
    what.add_argument('--location-type', choices=SOURCES, help='what LOCATION is (default: told by its form)')
    what.add_argument('--fields', metavar='NAMES', help='the fields of the log, in its order (default: asked from EC2)')
    what.add_argument(
        '--list', metavar='RESOURCE', nargs='?', const='',
        help='instead: the flow logs there are, or those of eni-…, subnet-…, vpc-…, i-… or tgw-… (default: off)',
    )  # fmt: skip


def _add_when(parser: Parser) -> None:
    when = parser.add_argument_group('when', WHEN)
    when.add_argument('-s', '--start-time', metavar='TIME', help='default: one hour before the end')
    when.add_argument('-e', '--end-time', metavar='TIME', help='default: now')
    when.add_argument(
        '--time-format', metavar='FORMAT', default=TIME_FORMAT,
        help=f'of TIME, as in strptime (default: {TIME_FORMAT.replace("%", "%%")})',
    )  # fmt: skip
    when.add_argument('--for', metavar='LENGTH', help='after -s or before -e, such as 10m or 1h30m (default: none)')
    when.add_argument(
        '--follow', action='store_true', default=None,
        help='go on as records arrive, until Ctrl-C; AWS delivers them 5 to 15 minutes late (default: off)',
    )  # fmt: skip
    when.add_argument(
        '--tz', metavar='ZONE', default='UTC',
        help='of times without an offset, and of dates in the output, such as Asia/Tokyo, or local (default: UTC)',
    )  # fmt: skip


def _add_aws(parser: Parser) -> None:
    aws = parser.add_argument_group('AWS')
    aws.add_argument('--region', help='default: AWS_REGION, AWS_DEFAULT_REGION, the profile, us-east-1')
    aws.add_argument('--all-regions', action='store_true', help='with --list: of every Region (default: off)')
    aws.add_argument('--profile', help='of the AWS configuration files (default: AWS_PROFILE)')
    aws.add_argument('--role-arn', metavar='ARN', help='a role to assume (default: none)')
    aws.add_argument('--external-id', metavar='ID', help='what the role asks for (default: none)')
    for kind in ('accounts', 'regions'):
        about = f'of a bucket, separated by commas (default: all {kind})'
        aws.add_argument(f'--include-{kind}', metavar=kind.upper(), type=_names, help=about)
    aws.add_argument('--filter-pattern', metavar='PATTERN', help='for CloudWatch Logs to filter by (default: none)')
    aws.add_argument(
        '--no-pushdown', dest='pushdown', action='store_false', default=None,
        help='have CloudWatch Logs send everything, and filter here (default: off)',
    )  # fmt: skip
    aws.add_argument(
        '--thread-count', metavar='N', type=int, default=4, help='requests at a time, up to 50 (default: 4)'
    )


def _add_other(parser: Parser) -> None:
    other = parser.add_argument_group('other')
    other.add_argument('--quiet', action='store_true', help='nothing on stderr but errors (default: off)')
    other.add_argument('--debug', action='store_true', help='show where an error arose (default: off)')
    other.add_argument('--version', action='version', version=f'{PROGRAM} {__version__}')


def _add_which(parser: Parser) -> None:
    which = parser.add_argument_group('which records', WHICH)
    which.add_argument('-w', '--where', metavar='CONDITION', action='append', help='default: all records')


def _add_output(parser: Parser) -> None:
    how = parser.add_argument_group('output')
    how.add_argument('-c', '--columns', metavar='NAMES', help='of print, findip (default: all, the usual 14 first)')
    how.add_argument('-o', '--output', choices=OUTPUTS, help='default: text')
    how.add_argument('--header', action=argparse.BooleanOptionalAction, help='default: for tables only')
    how.add_argument('--times', choices=('epoch', 'iso'), help='default: epoch; a date for aggregate, iso for timeline')
    how.add_argument('--raw', action='store_true', default=None, help='the lines as they are in the log (default: off)')
    how.add_argument('--by', choices=MEASURES, help='what top sorts by (default: bytes)')
    how.add_argument('--flows', action='store_true', default=None, help='with aggregate: count them too (default: off)')
    how.add_argument(
        '--both-ways', action='store_true', default=None,
        help='with aggregate: both directions of a conversation in one row (default: off)',
    )  # fmt: skip


def _names(text: str) -> list[str]:
    return text.replace(',', ' ').split()


def source_of(options: argparse.Namespace) -> str:
    """Which kind of source the location is. Raises ValueError where there is no location."""
    if options.location is None:
        raise ValueError('LOCATION is missing: give a log group, a file or -, or ask for the flow logs with --list')
    if options.location_type:
        return str(options.location_type)
    if not options.location.strip():
        raise ValueError('LOCATION is empty: give a log group, a file or -')
    if options.location.startswith('s3://') or re.match(r'arn:[a-z-]+:s3:', options.location):
        return 's3'
    if os.path.isdir(options.location):
        return 'file' if '/' in options.location else 'cwl'
    # No log group begins like that, even where there is no such file.
    if options.location == '-' or options.location.startswith(('./', '../')):
        return 'file'
    return 'file' if os.path.exists(options.location) else 'cwl'


def check_list(options: argparse.Namespace, parser: Parser) -> None:
    for name, value in vars(options).items():
        if name not in LIST_TAKES and value not in (parser.get_default(name), []):
            what = f'--{name.replace("_", "-")}' if name not in ('location', 'action', 'arguments') else repr(value)
            raise ValueError(f'{what} does not go with --list')


def check_options(options: argparse.Namespace, source: str) -> None:
    if options.all_regions:
        raise ValueError('--all-regions goes with --list')
    for name, sources in BELONGS_TO.items():
        if getattr(options, name) is not None and source not in sources:
            raise ValueError(f'--{name.replace("_", "-")} does not go with {SOURCES[source]}')
    _check_output(options)
    if options.follow:
        _check_follow(options)
    if options.external_id and not options.role_arn:
        raise ValueError('--external-id goes with --role-arn')
    if not 0 <= options.thread_count <= MAX_THREADS:
        raise ValueError(f'--thread-count is 0 to {MAX_THREADS}')
    for name, value in vars(options).items():
        # Bytes that were no text on the command line: file names may hold any, requests to AWS may not.
        if isinstance(value, str) and (name, source) != ('location', 'file') and not _is_text(value):
            raise ValueError(f'{value[:60]!r} is not text in UTF-8')


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_follow(options: argparse.Namespace) -> None:
    for name, value in (('-e', options.end_time), ('--for', getattr(options, 'for'))):
        if value is not None:
            raise ValueError(f'{name} does not go with --follow, which has no end')
    if options.action == 'print' and options.arguments:
        raise ValueError('print N does not go with --follow, which has no end: … print --follow | head -n N does')


def _check_output(options: argparse.Namespace) -> None:
    action = ACTIONS.get(options.action)
    for name in OF_ACTIONS:
        if getattr(options, name) is not None and action and name not in action.options:
            takers = ', '.join(other for other in ACTIONS if name in ACTIONS[other].options)
            raise ValueError(f'--{name.replace("_", "-")} does not go with {options.action}: it is for {takers}')
    for name in ('columns', 'output', 'times', 'header'):
        if options.raw and getattr(options, name) is not None:
            raise ValueError(f'--{name} does not go with --raw, which leaves lines as they are')
    if options.header and options.output == 'jsonl':
        raise ValueError('--header does not go with -o jsonl, which names every value')


EPILOG = """\
examples:
  flowlogs_reader VPCFlowLogGroup --region ap-northeast-1
  flowlogs_reader VPCFlowLogGroup -s '2016-02-01 10:59:00' --for 1m findip 54.245.120.220
  flowlogs_reader VPCFlowLogGroup -s 2h top dstaddr -w srcaddr=172.20.0.10
  flowlogs_reader VPCFlowLogGroup -w action=REJECT -w dstport=ssh,rdp top srcaddr dstport --by flows
  flowlogs_reader VPCFlowLogGroup -s 1d timeline 1h -w addr=172.20.0.0/16 --tz Asia/Tokyo
  flowlogs_reader VPCFlowLogGroup -c start,srcaddr,dstaddr,bytes,action --times iso -o csv --header
  zcat flows.log.gz | flowlogs_reader - aggregate --both-ways

exit status:
  0  done, also when nothing matched or the reader of the pipe went away
  1  some or all could not be read
  2  usage error
  130  interrupted
"""
