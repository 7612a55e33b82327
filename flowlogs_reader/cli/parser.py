"""The parser of the command line, made from the table of options."""

from __future__ import annotations

import argparse

from ..output.stream import writing
from .actions import ACTIONS
from .options import GROUPS, OPTIONS, PARSER_OWN
from .status import Exit, Status
from .stderr import PROGRAM, print_message, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO, NoReturn, TextIO


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that writes to the given streams, and does not end the process."""

    streams: tuple[BinaryIO, TextIO]

    def _print_message(self, message: str, file: Any = None) -> None:
        with writing():
            self.streams[0].write(message.encode())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise Exit(status)

    def options(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the options and arguments. An option with an empty value counts as not given.

        Scripts write ``--profile "$PROFILE"`` even if the variable may be empty.
        """
        options = self.parse_intermixed_args(argv)
        for option in OPTIONS:
            value = getattr(options, option.name, None)
            if option.may_be_empty and (value == '' or isinstance(value, list)):
                setattr(options, option.name, [*filter(None, value)] or None)
        return options

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        # Do not convert an empty value to a number.
        return arg_string if self._is_empty(action, arg_string) else super()._get_value(action, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if not self._is_empty(action, value):
            super()._check_value(action, value)

    @staticmethod
    def _is_empty(action: argparse.Action, value: Any) -> bool:
        return bool(action.option_strings) and value == ''

    def error(self, message: str) -> NoReturn:
        write(self.streams[1], self.format_usage())
        print_message(self.streams[1], f'error: {message}')
        raise Exit(Status.USAGE)


def make_parser(streams: tuple[BinaryIO, TextIO]) -> Parser:
    """Return the parser. `streams` are stdout and stderr.

    Raises RuntimeError if an option has no row in the table: nothing would check it.
    """
    parser = Parser(
        prog=PROGRAM,
        usage=f'{PROGRAM} LOCATION [LOCATION ...] [ACTION [ARG ...]] [options]\n'
        f'       {PROGRAM} --list [RESOURCE] [options]',
        description='Reads AWS VPC Flow Logs from CloudWatch Logs, S3 or files, and writes lines for awk and sort.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = '\n'.join(f'  {f"{name} {action.arguments}":<21} {action.about}' for name, action in ACTIONS.items())
    for title, about in GROUPS.items():
        group = parser.add_argument_group(title, about.replace('ACTIONS', actions) or None)
        for option in OPTIONS:
            if option.group == title:
                group.add_argument(*option.flags, **option.argparse)
    check_table(parser)
    parser.streams = streams
    return parser


def check_table(parser: argparse.ArgumentParser) -> None:
    """Raises RuntimeError if an option or argument of the parser has no row."""
    rows = {option.name for option in OPTIONS} | PARSER_OWN
    if missing := {action.dest for action in parser._actions} - rows:
        raise RuntimeError(f'without a row in cli/options.py: {", ".join(sorted(missing))}')


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
