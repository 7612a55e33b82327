"""The table of options: a row has the spellings of an option, its help, and what it goes with."""

from __future__ import annotations

import argparse
import re

from .. import __version__
from ..records.fields import FIELD_SETS
from ..sources.registry import SOURCES
from .actions import ACTIONS
from .stderr import PROGRAM

# --help and usage errors need this module, so it imports nothing that takes longer than argparse.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OUTPUTS = ('text', 'tsv', 'csv', 'jsonl', 'parquet')
TIME_FORMAT = '%Y-%m-%d %H:%M:%S'
TIME_ZONE = 'UTC'
THREADS = 4
# The environment variable that the scripts of cli/completion.py set.
COMPLETING = 'FLOWLOGS_READER_COMPLETING'
# The number of connections that a client keeps.
MAX_THREADS = 50
LOCATION = (
    'a log group (name or ARN), s3://BUCKET/PREFIX, a file, a directory with a slash, or - for standard input; '
    'or several of these'
)
USAGE = f'{PROGRAM} LOCATION [LOCATION ...] [ACTION [ARG ...]] [options]\n       {PROGRAM} --list [RESOURCE] [options]'
# The sections of --help and their texts. The list of actions replaces ACTIONS.
GROUPS = {
    'what to read, and what to do': 'actions:\nACTIONS',
    'when': """TIME: 2h (ago), yesterday, monday, '2016-02-01 10:59:22' (see --help times)
the start is included, the end is not; without -s, -e and --for a file is read
whole""",
    'which records': """CONDITION: FIELD=VALUE[,VALUE ...], or != < <= > >=; several -w must all hold
  addresses: 10.0.0.1, 10.0.0.0/8, private, internet; numbers: 22, 8000-8100;
  ports and protocols: ssh, tcp; tcp_flags=syn,ack; - is a missing value;
  addr, port and pkt_addr are both sides; pkt_srcaddr!=srcaddr compares fields""",
    'output': '',
    'AWS': '',
    'engines on AWS': 'they scan much data quickly, and AWS bills what they scan; SIZE: 500MB, 10GB',
    'other': '',
}
RECORDS = tuple(name for name, action in ACTIONS.items() if action.records)
LINES = tuple(name for name, action in ACTIONS.items() if not action.page)
# Those of the session, which files need too if the query asks EC2 for the subnets.
SESSION = ('region', 'profile', 'role_arn', 'external_id')
# As in engines/run.py, which takes longer to import.
REMOTE = ('insights', 'athena')
LOCAL_ONLY = ('local',)
ENGINES = (*LOCAL_ONLY, *REMOTE)
IN_AWS = tuple(source.name for source in SOURCES.values() if source.asks_aws)


class Option:
    """A row of the table. `flags` are its spellings, `group` is a section of --help.

    `actions` and `sources` are those that it goes with; None: all. `with_list`: it goes with --list too; `list_only`:
    it goes with --list only. `keyword`: the keyword of the reader that gets its value. `engines` are those that it goes
    with; None: all. `setting`: the keyword of the engine that gets its value. `abouts` are the help with one action
    only. `settings` are the other arguments of add_argument.
    """

    def __init__(
        self,
        *flags: str,
        group: str,
        actions: tuple[str, ...] | None = None,
        sources: tuple[str, ...] | None = None,
        with_list: bool = False,
        list_only: bool = False,
        keyword: str = '',
        engines: tuple[str, ...] | None = None,
        setting: str = '',
        abouts: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.flags = flags
        self.group = group
        self.actions = actions
        self.sources = sources
        self.with_list = with_list
        self.list_only = list_only
        self.keyword = keyword
        self.engines = engines
        self.setting = setting
        self.abouts = abouts or {}
        self.argparse = settings
        if flags[0].startswith('-') and settings.get('action') not in ('append', ShowVersion, 'topic', 'script'):
            # None: the option was not given. checks.py checks only those that were.
            self.argparse.setdefault('default', None)

    @property
    def name(self) -> str:
        """The attribute of the Namespace that has its value."""
        return str(self.argparse.get('dest') or self.flags[-1].lstrip('-').replace('-', '_'))

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty value counts as not given."""
        return self.flags[0].startswith('-') and 'const' not in self.argparse

    @property
    def about(self) -> str:
        """What --help says."""
        return str(self.argparse['help']).replace('%%', '%')

    def about_with(self, action: str) -> str:
        """What --help says of it with an action."""
        return self.abouts.get(action) or re.sub('^(?:with|of) [a-z, ]+: ', '', self.about)

    @property
    def takes_nothing(self) -> bool:
        takers = (None, 'append', 'topic', 'script')
        return self.argparse.get('action') not in takers or self.argparse.get('nargs') == 0

    @property
    def shown(self) -> str:
        """Its name in error messages."""
        return self.flags[-1]


class ShowVersion(argparse.Action):
    """Shows the version, and whether the compiled kernel and ISA-L are in use: both decide the speed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from .. import kernel
        from ..sources.gunzip import isal_zlib

        version = 'compiled' if kernel.NATIVE else 'Python'
        inflater = 'ISA-L' if isal_zlib else 'zlib'
        parser._print_message(f'{PROGRAM} {__version__} ({version} kernel, {inflater})\n')
        parser.exit()


def _names(text: str) -> list[str]:
    return text.replace(',', ' ').split()


_WHAT, _WHEN, _WHICH, _OUTPUT, _AWS, _ENGINES, _OTHER = GROUPS
OPTIONS = (
    Option('location', group=_WHAT, metavar='LOCATION', nargs='?', help=LOCATION),
    Option('action', group=_WHAT, metavar='ACTION', nargs='?', help='default: print'),
    Option('arguments', group=_WHAT, metavar='ARG', nargs='*', help='arguments of the action'),
    Option(
        '--location-type', group=_WHAT, choices=tuple(SOURCES),
        help='what LOCATION is (default: recognised by its form)',
    ),
    Option(
        '--fields', group=_WHAT, metavar='NAMES', help='the fields of the log, in its order (default: asked from EC2)'
    ),
    Option(
        '--list', group=_WHAT, metavar='RESOURCE', nargs='?', const='', with_list=True,
        help='instead: the flow logs there are, or those of an eni-…, subnet-…, vpc-…, i-…, tgw-… or address',
    ),
    Option('-s', '--start-time', group=_WHEN, metavar='TIME', help='default: one hour before the end'),
    Option('-e', '--end-time', group=_WHEN, metavar='TIME', help='default: now'),
    Option(
        '--time-format', group=_WHEN, metavar='FORMAT',
        help=f'the format of TIME, as in strptime (default: {TIME_FORMAT.replace("%", "%%")})',
    ),
    Option('--for', group=_WHEN, metavar='LENGTH', help='a length after -s or before -e, such as 10m or 1h30m'),
    Option(
        '--follow', group=_WHEN, actions=RECORDS, sources=IN_AWS, engines=LOCAL_ONLY, action='store_true',
        help='go on as records arrive, until Ctrl-C; AWS delivers them 5 to 15 minutes late',
    ),
    Option(
        '--tz', group=_WHEN, metavar='ZONE',
        help='the zone of times without an offset, and of dates in the output, such as Asia/Tokyo, or local '
        '(default: UTC)',
    ),
    Option('-w', '--where', group=_WHICH, metavar='CONDITION', action='append', help='default: all records'),
    Option(
        '-c', '--columns', group=_OUTPUT, actions=RECORDS, metavar='NAMES',
        help=f'of print, findip: fields, {", ".join(FIELD_SETS)}, location or all (default: all, the usual 14 first)',
    ),
    Option('-o', '--output', group=_OUTPUT, actions=LINES, with_list=True, choices=OUTPUTS, help='default: text'),
    Option(
        '--header', group=_OUTPUT, actions=LINES, with_list=True, action=argparse.BooleanOptionalAction,
        help='a header, or none (default: for tables only)',
    ),
    Option(
        '--times', group=_OUTPUT, actions=(*RECORDS, 'top', 'aggregate', 'timeline'), choices=('epoch', 'iso'),
        help='default: epoch; a date for aggregate, iso for timeline',
        abouts={
            **dict.fromkeys((*RECORDS, 'top'), 'default: epoch'), 'aggregate': 'default: a date',
            'timeline': 'default: iso',
        },
    ),
    Option(
        '--human', group=_OUTPUT, actions=(*RECORDS, 'top', 'aggregate', 'timeline'), action='store_true',
        help='numbers of bytes as sizes: 1.2G, as du -h writes them; for text and tsv',
    ),
    Option(
        '--names', group=_OUTPUT, actions=(*RECORDS, 'top', 'aggregate', 'timeline'), action='store_true',
        help='protocols, TCP flags and traffic paths by name: tcp, SYN+ACK, igw',
    ),
    Option(
        '--raw', group=_OUTPUT, actions=RECORDS, action='store_true',
        help='the lines as they are in the log',
    ),
    Option(
        '--once', group=_OUTPUT, actions=('top', 'aggregate', 'timeline'), action='store_true',
        help='count a flow that both ends recorded at its sender only',
    ),
    Option(
        '--compare', group=_OUTPUT, actions=('top',), metavar='LENGTH',
        help='what changed most, compared with LENGTH earlier, such as 1d',
    ),
    Option(
        '--distinct', group=_OUTPUT, actions=('top',), metavar='NAMES', type=_names,
        help='with top: the number of distinct values of these fields in each row',
    ),
    Option(
        '--by', group=_OUTPUT, actions=('top', 'aggregate', 'timeline'), metavar='MEASURE',
        help='what top (default: bytes) and aggregate (default: unsorted) sort by: bytes, packets or flows; '
        'timeline draws these (default: flows) or rejected',
        abouts={
            'top': 'sort by bytes (default), packets, flows or a field of --distinct',
            'aggregate': 'sort by bytes, packets or flows (default: unsorted)',
            'timeline': 'what the bars show: flows (default), bytes, packets or rejected',
        },
    ),
    Option(
        '--share', group=_OUTPUT, actions=('top',), action='store_true',
        help='with top: the per cent of the whole, and a row of all others',
    ),
    Option(
        '--flows', group=_OUTPUT, actions=('aggregate',), action='store_true',
        help='with aggregate: count them too',
    ),
    Option(
        '--both-ways', group=_OUTPUT, actions=('aggregate',), action='store_true',
        help='with aggregate: both directions of a conversation in one row',
    ),
    Option(
        '--region', group=_AWS, sources=IN_AWS, with_list=True,
        help='default: AWS_REGION, AWS_DEFAULT_REGION, the profile, us-east-1',
    ),
    Option(
        '--all-regions', group=_AWS, list_only=True, action='store_true',
        help='with --list: ask every Region',
    ),
    Option(
        '--profile', group=_AWS, sources=IN_AWS, with_list=True,
        help='a profile of the AWS configuration files (default: AWS_PROFILE)',
    ),
    Option(
        '--role-arn', group=_AWS, sources=IN_AWS, with_list=True, metavar='ARN', help='a role to assume'
    ),
    Option(
        '--external-id', group=_AWS, sources=IN_AWS, with_list=True, metavar='ID',
        help='the external id that the role requires',
    ),
    Option(
        '--include-accounts', group=_AWS, sources=('s3',), keyword='include_accounts', metavar='ACCOUNTS', type=_names,
        help='only these accounts of a bucket, separated by commas (default: all)',
    ),
    Option(
        '--include-regions', group=_AWS, sources=('s3',), keyword='include_regions', metavar='REGIONS', type=_names,
        help='only these Regions of a bucket, separated by commas (default: all)',
    ),
    Option(
        '--filter-pattern', group=_AWS, sources=('cwl',), engines=LOCAL_ONLY, keyword='filter_pattern',
        metavar='PATTERN', help='a filter pattern for CloudWatch Logs',
    ),
    Option(
        '--no-pushdown', group=_AWS, sources=('cwl',), engines=LOCAL_ONLY, keyword='pushdown', dest='pushdown',
        action='store_false',
        help='have CloudWatch Logs send everything, and filter here',
    ),
    Option(
        '--thread-count', group=_AWS, keyword='thread_count', metavar='N', type=int,
        help=f'requests at a time, {MAX_THREADS} at most (default: {THREADS})',
    ),
    Option(
        '--engine', group=_ENGINES, choices=ENGINES,
        help='what answers: insights for a log group, athena for a bucket (default: local)',
    ),
    Option(
        '--estimate', group=_ENGINES, sources=IN_AWS, action='store_true',
        help='instead: how many bytes it would read, and the price',
    ),
    Option(
        '--max-scan', group=_ENGINES, engines=REMOTE, metavar='SIZE',
        help='do not start if it would scan more (default: insights 10GB, athena 100GB)',
    ),
    Option(
        '--show-query', group=_ENGINES, engines=REMOTE, action='store_true',
        help='instead: the queries that it would send',
    ),
    Option(
        '--create-table', group=_ENGINES, engines=('athena',), setting='create_table', action='store_true',
        help='create the table in the Glue catalogue if there is none',
    ),
    Option(
        '--database', group=_ENGINES, engines=('athena',), setting='database', metavar='NAME',
        help='the database of the table (default: default)',
    ),
    Option(
        '--workgroup', group=_ENGINES, engines=('athena',), setting='workgroup', metavar='NAME',
        help='the workgroup of Athena (default: primary)',
    ),
    Option(
        '--output-location', group=_ENGINES, engines=('athena',), setting='output_location', metavar='S3URL',
        help='where Athena stores results, if the workgroup does not say it',
    ),
    Option(
        '--quiet', group=_OTHER, with_list=True, action='store_true',
        help='nothing on stderr but errors',
    ),
    Option(
        '--debug', group=_OTHER, with_list=True, action='store_true', help='show a traceback with each error'
    ),
    Option(
        '-h', '--help', group=_OTHER, action='topic', nargs='?', metavar='TOPIC',
        help='show an overview, or help on an action, options, fields, conditions, times or permissions; man is a '
        'manual page',
    ),
    Option(
        '--completion', group=_OTHER, action='script', choices=('bash', 'zsh', 'fish'),
        help='print a script for the shell to complete words: eval "$(flowlogs_reader --completion bash)"',
    ),
    Option('--version', group=_OTHER, action=ShowVersion, nargs=0, help='show the version, and which kernel is in use'),
)  # fmt: skip


def takers(option: Option) -> str:
    """The actions that an option goes with, for messages."""
    return ', '.join(name for name in ACTIONS if option.actions is None or name in option.actions)
