"""The options of the command line: what they are, what they mean, and which of them go together."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, BinaryIO, NoReturn, TextIO

from . import __version__
from .actions import ACTIONS
from .timespec import DEFAULT_TIME_FORMAT

PROGRAM = 'flowlogs_reader'
SOURCES = {'cwl': 'a log group', 's3': 'a bucket', 'file': 'a file'}
# Options that make sense for some sources only: the name in the Namespace, and the sources.
BELONGS_TO = {
    'filter_pattern': ('cwl',),
    'region': ('cwl', 's3'),
    'profile': ('cwl', 's3'),
    'role_arn': ('cwl', 's3'),
    'external_id': ('cwl', 's3'),
}

LIST_TAKES = {'list', 'all_regions', 'region', 'profile', 'role_arn', 'external_id', 'debug'}


class Exit(Exception):
    """The command line ends here, with this status."""

    def __init__(self, status: int) -> None:
        self.status = status


class Parser(argparse.ArgumentParser):
    """Argparse with streams handed in, that never ends the process."""

    streams: tuple[BinaryIO, TextIO]

    def _print_message(self, message: str, file: Any = None) -> None:
        stdout, stderr = self.streams
        if file is sys.stderr:
            stderr.write(message)
        else:
            stdout.write(message.encode())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            self.streams[1].write(message)
        raise Exit(status)


def make_parser() -> Parser:
    actions = '\n'.join(f'  {f"{name} {action.arguments}":<16} {action.about}' for name, action in ACTIONS.items())
    parser = Parser(
        prog=PROGRAM,
        usage=f'{PROGRAM} LOCATION [ACTION [ARG ...]] [options]\n       {PROGRAM} --list [RESOURCE] [options]',
        description='Reads AWS VPC Flow Logs from CloudWatch Logs or files, and writes them as lines for awk and sort.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group('what to read, and what to do', f'actions:\n{actions}')
    what.add_argument('location', metavar='LOCATION', nargs='?', help='a log group (name or ARN), a file, or - for standard input')
    what.add_argument('action', metavar='ACTION', nargs='?', default='print', help='default: print')
    what.add_argument('arguments', metavar='ARG', nargs='*', help='arguments of the action')
    what.add_argument('--location-type', choices=SOURCES, help='what LOCATION is (default: told by its form)')
    what.add_argument('--fields', metavar='NAMES', help='the fields of the log, in its order (default: asked from EC2)')
    what.add_argument(
        '--list', metavar='RESOURCE', nargs='?', const='',
        help='instead: the flow logs of this account, or those that cover eni-…, subnet-…, vpc-…, i-… or tgw-…',
    )  # fmt: skip
    when = parser.add_argument_group('when', 'times are UTC; the start is included, the end is not; without either, a file is read whole')
    when.add_argument(
        '-s', '--start-time', metavar='TIME', help='default: one hour before the end'
    )
    when.add_argument('-e', '--end-time', metavar='TIME', help='default: now')
    when.add_argument(
        '--time-format', metavar='FORMAT', default=DEFAULT_TIME_FORMAT,
        help='of TIME, as in strptime (default: %(default)s)'.replace('%(default)s', DEFAULT_TIME_FORMAT.replace('%', '%%')),
    )  # fmt: skip
    aws = parser.add_argument_group('AWS')
    aws.add_argument('--region', help='default: AWS_REGION, AWS_DEFAULT_REGION, the profile, us-east-1')
    aws.add_argument('--all-regions', action='store_true', help='with --list: of every Region (default: off)')
    aws.add_argument('--profile', help='of the AWS configuration files (default: AWS_PROFILE)')
    aws.add_argument('--role-arn', metavar='ARN', help='a role to assume (default: none)')
    aws.add_argument('--external-id', metavar='ID', help='what the role asks for (default: none)')
    aws.add_argument('--filter-pattern', metavar='PATTERN', help='for CloudWatch Logs to filter by (default: none)')
    aws.add_argument('--thread-count', metavar='N', type=int, default=4, help='requests at a time (default: 4)')
    other = parser.add_argument_group('other')
    other.add_argument('--debug', action='store_true', help='show where an error arose (default: off)')
    other.add_argument('--version', action='version', version=f'{PROGRAM} {__version__}')
    return parser


def source_of(options: argparse.Namespace) -> str:
    """Which kind of source the location is."""
    if options.location_type:
        return str(options.location_type)
    if options.location == '-' or os.path.isfile(options.location):
        return 'file'
    return 'cwl'


def check_list(options: argparse.Namespace, parser: Parser) -> None:
    for name, value in vars(options).items():
        if name not in LIST_TAKES and value not in (parser.get_default(name), []):
            what = f'--{name.replace("_", "-")}' if name not in ('location', 'action', 'arguments') else repr(value)
            raise ValueError(f'{what} does not go with --list')


def check_options(options: argparse.Namespace, source: str) -> None:
    if options.location is None:
        raise ValueError('LOCATION is missing: give a log group, a file or -, or ask for the flow logs with --list')
    if options.all_regions:
        raise ValueError('--all-regions goes with --list')
    for name, sources in BELONGS_TO.items():
        if getattr(options, name) is not None and source not in sources:
            raise ValueError(f'--{name.replace("_", "-")} does not go with {SOURCES[source]}')
    if options.external_id and not options.role_arn:
        raise ValueError('--external-id goes with --role-arn')
    if options.thread_count < 0:
        raise ValueError('--thread-count is 0 or more')


EPILOG = """\
examples:
  flowlogs_reader VPCFlowLogGroup --region ap-northeast-1
  flowlogs_reader VPCFlowLogGroup -s '2016-02-01 10:59:00' -e '2016-02-01 11:00:00'
  flowlogs_reader VPCFlowLogGroup findip 54.245.120.220 | awk '{b[$5] += $10} END {for (i in b) print b[i], i}'
  flowlogs_reader VPCFlowLogGroup print 10 --profile audit
  zcat flows.log.gz | flowlogs_reader - aggregate

exit status:
  0  done, also when nothing matched or the reader of the pipe went away
  1  some or all could not be read
  2  usage error
  130  interrupted
"""
