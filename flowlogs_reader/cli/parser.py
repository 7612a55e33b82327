"""The parser of the command line, made from the table of options."""

from __future__ import annotations

import argparse
import re
from functools import partial

from ..output.stream import writing
from .actions import ACTIONS
from .options import OPTIONS, USAGE
from .status import Exit, Status
from .stderr import PROGRAM, print_line, print_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO, NoReturn, TextIO

# Options of other programs, and what is written here.
OPTIONS_ELSEWHERE = {
    '-f': '--follow',
    '-p': '--profile',
    '-q': '--quiet',
    '-r': '--region',
    '-v': '--debug',
    '-V': '--version',
    '--csv': '-o csv',
    '--filters': '-w',
    '--format': '--output',
    '--from': '--start-time',
    '--group-by': 'the action top FIELD',
    '--json': '-o jsonl',
    '--last': '--for',
    '--limit': 'the action print N',
    '--local': '--tz local',
    '--log-group-name': 'LOCATION, with no option before it',
    '--max-items': 'the action print N',
    '--query': '--columns or --where',
    '--since': '--start-time',
    '--sort': '--by',
    '--sort-by': '--by',
    '--tail': '--follow',
    '--timezone': '--tz',
    '--until': '--end-time',
    '--utc': '--tz UTC',
    '--verbose': '--debug',
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that writes to the given streams, and does not end the process."""

    streams: tuple[BinaryIO, TextIO]
    words: Sequence[str] = ()

    def _print_message(self, message: str, file: Any = None) -> None:
        with writing():
            self.streams[0].write(message.encode())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise Exit(status)

    def options(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the options and arguments. An option with an empty value counts as not given.

        Scripts write ``--profile "$PROFILE"`` even if the variable may be empty.
        """
        self.words = argv
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
        if action.choices and value not in action.choices and not self._is_empty(action, value):
            choices = [*map(str, action.choices)]
            listed = f': choose from {", ".join(choices)}'
            # It is not an option that names the output file.
            to_file = f'{listed}; > {value} writes a file' if action.dest == 'output' and '.' in value else ''
            advice = to_file or _similar(value, choices) or listed
            raise argparse.ArgumentError(action, f'there is no {value!r}{advice}')

    @staticmethod
    def _is_empty(action: argparse.Action, value: Any) -> bool:
        return bool(action.option_strings) and value == ''

    def error(self, message: str) -> NoReturn:
        actions = '|'.join(ACTIONS)
        if action := re.match(rf'unrecognized arguments: (?:\S+ )*?(-n|--(?:{actions}))(?: ([0-9]+))?(?!\S)', message):
            words = ['print' if action[1] == '-n' else action[1][2:], *filter(None, [action[2]])]
            message = f'there is no option {action[1]}: did you mean the action {" ".join(words)}?'
        elif unknown := re.match(r'unrecognized arguments: (?:\S+ )*?(--?[^\s=]+)', message):
            message = f'there is no option {unknown[1]}{_instead(unknown[1]) or ": --help options lists them"}'
        elif needs := re.match(r'argument (\S+): expected one argument', message):
            message = _value_missing(needs[1])
        for line in self.format_usage().splitlines():
            print_line(self.streams[1], line)
        print_message(self.streams[1], f'error: {message}')
        raise Exit(Status.USAGE)


class ShowCompletion(argparse.Action):
    """Prints the script of a shell."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, flag: str | None = None) -> None:
        from .completion import script

        parser._print_message(script(shell))
        parser.exit()


class ShowHelp(argparse.Action):
    """Shows the help on a topic; without one that on the action of the command line, or the overview."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, topic: Any, flag: str | None = None) -> None:
        from .help import TOPICS, help_on

        words = getattr(parser, 'words', ())
        # A location comes first, even if it is named as an action. If nothing follows it, the action is meant.
        named = next((word for word in (*words[1:], *words[:1]) if word in ACTIONS), '')
        named = named if topic is None else str(topic)
        text = help_on(named)
        if text is None:
            topics = [*ACTIONS, *filter(None, TOPICS)]
            advice = _similar(named, topics) or f': choose from {", ".join(topics)}'
            parser.error(f'there is no help on {named[:40]!r}{advice}')
        parser._print_message(text)
        parser.exit()


def _instead(flag: str) -> str:
    """Return what to write instead of an unknown option, or ''."""
    from ..query.conditions import EITHER
    from ..records.fields import KNOWN

    field = flag.lstrip('-').replace('-', '_')
    if advice := OPTIONS_ELSEWHERE.get(flag) or (f'-w {field}=VALUE' if field in {*KNOWN, *EITHER} else ''):
        return f': did you mean {advice}?'
    flags = {flag.lstrip('-'): flag for option in OPTIONS for flag in option.flags if flag.startswith('-')}
    close = _close(flag.lstrip('-'), [*flags])
    return f': did you mean {flags[close]}?' if close else ''


def _value_missing(flags: str) -> str:
    """Return the message that an option, such as `-s/--start-time`, has no value: what the value is."""
    from .help import COMMON

    option = next(option for option in OPTIONS if '/'.join(option.flags) == flags)
    if choices := option.argparse.get('choices'):
        return f'{option.shown} needs one of {", ".join(choices)}'
    value = option.argparse.get('metavar') or option.name.upper()
    return f'{option.shown} needs {value}: {COMMON.get(option.name, option.about)}'


def _similar(word: str, words: Sequence[str]) -> str:
    """Return a suggestion for a misspelt word, or ''."""
    close = _close(word, words)
    return f': did you mean {close}?' if close else ''


def _close(word: str, words: Sequence[str]) -> str:
    """Return the word that is most like a misspelt one, or ''."""
    from difflib import get_close_matches

    return ''.join(get_close_matches(word.lower(), words, 1))


def make_parser(streams: tuple[BinaryIO, TextIO]) -> Parser:
    """Return the parser. `streams` are stdout and stderr.

    Raises RuntimeError if an option has no row in the table: nothing would check it.
    """
    # --help is a row of the table.
    # Without a width, argparse imports shutil, and asks for the size of the terminal for each option.
    formatter = partial(argparse.HelpFormatter, width=80)
    parser = Parser(prog=PROGRAM, usage=USAGE, add_help=False, formatter_class=formatter)
    parser.register('action', 'topic', ShowHelp)
    parser.register('action', 'script', ShowCompletion)
    for option in OPTIONS:
        parser.add_argument(*option.flags, **option.argparse)
    check_table(parser)
    parser.streams = streams
    return parser


def check_table(parser: argparse.ArgumentParser) -> None:
    """Raises RuntimeError if an option or argument of the parser has no row."""
    rows = {option.name for option in OPTIONS}
    if missing := {action.dest for action in parser._actions} - rows:
        raise RuntimeError(f'without a row in cli/options.py: {", ".join(sorted(missing))}')
