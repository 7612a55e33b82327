"""Completion in bash, zsh and fish.

The scripts call the program itself, with the words up to the cursor as arguments and the name of the shell in the
environment variable COMPLETING. It prints the words that fit, one a line, and sends no request.
"""

from __future__ import annotations

import os
import re

from ..records.fields import FIELD_SETS, FIELDS, KNOWN, MEASURES
from ..records.layout import normalise
from .actions import ACTIONS, TIMELINE_MEASURES
from .options import COMPLETING, OPTIONS, Option
from .stderr import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What completes nothing leaves the names of files to the shell.
SCRIPTS = {
    'bash': """\
_PROGRAM() {
    local IFS=$'\\n'
    COMPREPLY=($(COMPLETING=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null))
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _PROGRAM PROGRAM
""",
    'zsh': """\
#compdef PROGRAM
_PROGRAM() {
    local -a found
    found=(${(f)"$(COMPLETING=zsh "${words[1]}" "${(@)words[2,CURRENT]}" 2> /dev/null)"})
    if (( $#found )); then
        compadd -S '' -- ${(M)found:#*=}
        compadd -- ${found:#*=}
    else
        _files
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _PROGRAM PROGRAM
""",
    'fish': """\
function __PROGRAM
    set -l words (commandline -opc) (commandline -ct)
    set -l found (COMPLETING=fish $words[1] $words[2..-1] 2> /dev/null)
    if count $found > /dev/null
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c PROGRAM -f -a '(__PROGRAM)'
""",
}


def script(shell: str) -> str:
    """Return the script of a shell, for `eval`."""
    return SCRIPTS[shell].replace('COMPLETING', COMPLETING).replace('PROGRAM', PROGRAM)


def candidates(words: Sequence[str], shell: str) -> list[str]:
    """Return the completions of the last word."""
    *before, word = _joined(words) if shell == 'bash' else words
    option, equals, value = word.partition('=')
    if equals and option.startswith('--'):
        # bash completes what comes after the equals sign.
        prefix = '' if shell == 'bash' else f'{option}='
        return [prefix + found for found in _fitting(_values(option, value, shell), value)]
    if word.startswith('-') and word != '-':
        return _fitting((flag for row in OPTIONS for flag in row.flags), word)
    previous = _option(before[-1]) if before else None
    if previous and not previous.takes_nothing:
        return _fitting(_values(before[-1], word, shell), word if shell != 'bash' else word.rpartition('=')[2])
    return _fitting(_arguments(before, word), word)


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words of bash, which takes an equals sign as a word of its own, as the user wrote them."""
    return re.sub('\0?=\0?', '=', '\0'.join(words)).split('\0')


def _fitting(found: Iterable[str], word: str) -> list[str]:
    return sorted({each for each in found if each.startswith(word)})


def _option(word: str) -> Option | None:
    return next((row for row in OPTIONS if word in row.flags and word.startswith('-')), None)


def _values(flag: str, word: str, shell: str) -> Iterable[str]:
    """Return the values of an option."""
    option = _option(flag)
    if option is None:
        return ()
    if choices := option.argparse.get('choices'):
        return [str(choice) for choice in choices]
    if option.name == 'where':
        return _conditions(word, shell)
    if option.name in ('columns', 'distinct', 'fields'):
        begun = word.rpartition(',')[0]
        sets = (*FIELD_SETS, 'all') if option.name == 'columns' and not begun else ()
        return [f'{begun},{name}' if begun else name for name in (*sets, *_fields())]
    if option.name == 'by':
        # Fields are for --distinct.
        return (*TIMELINE_MEASURES, *(_fields() if word else ()))
    if option.name == 'tz':
        return _zones()
    if option.name == 'profile':
        return _configured()[0]
    if option.name in ('region', 'include_regions'):
        return _regions()
    if option.name == 'help':
        from .help import TOPICS

        return (*ACTIONS, *filter(None, TOPICS))
    return ()


def _arguments(before: Sequence[str], word: str) -> Iterable[str]:
    """Return what may stand among the locations, the action and its arguments."""
    words = [
        word
        for at, word in enumerate(before)
        if not word.startswith('-') and not (at and (option := _option(before[at - 1])) and not option.takes_nothing)
    ]
    action = next((word for word in words[1:] if word in ACTIONS), None)
    if action is None:
        return ACTIONS if words else ()
    if 'FIELD' not in ACTIONS[action].arguments:
        return ()
    from ..query.conditions import EITHER

    keys = [name for name in _fields() if name not in MEASURES]
    return (*(EITHER if action == 'top' else ()), *keys, *_mapped(word))


def _conditions(word: str, shell: str) -> Iterable[str]:
    from ..query.conditions import EITHER

    field, equals, _ = word.partition('=')
    if not equals:
        return [f'{name}=' for name in (*EITHER, *_fields(), *_mapped(word))]
    known = KNOWN.get(field.replace('-', '_'))
    return [value if shell == 'bash' else f'{field}={value}' for value in (known.words if known else ())]


def _fields() -> list[str]:
    return [field.name for field in FIELDS]


def _mapped(word: str) -> list[str]:
    """Return the address before a slash with each mapping; before the slash is typed none."""
    address, slash, _ = word.partition('/')
    if not slash:
        return []
    from ..query.conditions import ADDRESSES, EITHER
    from ..query.mappings import MAPPINGS

    known = EITHER.get(normalise(address), (normalise(address),))[0] in ADDRESSES
    return [f'{address}/{name}' for name in MAPPINGS] if known else []


def _zones() -> Iterable[str]:
    from zoneinfo import available_timezones

    return ('local', *available_timezones())


def _configured() -> tuple[set[str], set[str]]:
    """Return the profiles and the Regions of the AWS configuration files."""
    from configparser import Error, RawConfigParser

    profiles, regions = set(), set()
    for variable, name in (('AWS_CONFIG_FILE', 'config'), ('AWS_SHARED_CREDENTIALS_FILE', 'credentials')):
        parser = RawConfigParser(strict=False)
        try:
            parser.read(os.path.expanduser(os.environ.get(variable) or f'~/.aws/{name}'))
        except (Error, UnicodeDecodeError):
            continue
        for section in parser.sections():
            kind, _, rest = section.partition(' ')
            if kind == 'profile':
                profiles.add(rest.strip('"\' '))
            elif name == 'credentials' or section == 'default':
                profiles.add(section)
            if region := parser.get(section, 'region', fallback=''):
                regions.add(region)
    return profiles, regions


def _regions() -> set[str]:
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    found = _configured()[1]
    try:
        return found.union(Session().get_available_regions('ec2'))
    except BotoCoreError:  # botocore cannot parse the configuration files
        return found
