"""Which options go with the action, the locations and each other. What does not is a UsageError."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING

from ..engines.run import LOCAL, check_source
from ..errors import UsageError
from ..sources.keys import SUFFIXES
from ..sources.registry import Source
from .options import MAX_THREADS, OPTIONS, SESSION, Option, takers
from .words import check_utf8

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO, TextIO


def check_list(options: Namespace) -> None:
    """Raises UsageError if an option was given that does not go with --list."""
    for option in OPTIONS:
        value = getattr(options, option.name, None)
        if value not in (None, []) and not (option.with_list or option.list_only):
            what = option.shown if option.shown.startswith('-') else repr(value)
            raise UsageError(f'{what} does not go with --list')
    _check_role(options)
    _check_text(options)


def check_options(options: Namespace, sources: Sequence[Source]) -> None:
    """Raises UsageError if an option does not go with the action, the sources or another option."""
    for option in OPTIONS:
        if getattr(options, option.name, None) is not None:
            _check_option(option, options.action, sources, options.engine or LOCAL)
    _check_output(options)
    if options.follow:
        _check_follow(options)
    for source in sources:
        check_source(options.engine or LOCAL, source.name)
    if options.external_id and not options.role_arn:
        raise UsageError('--external-id goes with --role-arn')
    _check_role(options)
    if options.thread_count < 0:
        raise UsageError(f'--thread-count is a number of requests, from 0 to {MAX_THREADS}')
    _check_text(options)


def _check_role(options: Namespace) -> None:
    """Raises UsageError if --role-arn is not the ARN of a role."""
    if options.role_arn and not re.match('arn:[a-z-]+:iam::[0-9]+:role/.', options.role_arn):
        example = 'arn:aws:iam::123456789012:role/NAME'
        raise UsageError(f'--role-arn takes the ARN of a role, such as {example}, not {options.role_arn!r}')


def _check_option(option: Option, action: str, sources: Sequence[Source], engine: str) -> None:
    """Raises UsageError if an option that was given does not go with the action, the sources or the engine."""
    if option.list_only:
        raise UsageError(f'{option.shown} goes with --list')
    # An option of a reader is for the locations that it goes with. A mode of the whole run goes with all of them.
    unfit = [source for source in sources if option.sources and source.name not in option.sources]
    if unfit and option.name not in SESSION and (len(unfit) == len(sources) or option.name == 'follow'):
        raise UsageError(f'{option.shown} does not go with {unfit[0].about}')
    if option.engines and engine not in option.engines:
        if LOCAL in option.engines:
            raise UsageError(f'{option.shown} does not go with --engine {engine}')
        raise UsageError(f'{option.shown} goes with --engine {" or ".join(option.engines)}')
    if option.actions and action not in option.actions:
        raise UsageError(f'{option.shown} does not go with {action}: it is for {takers(option)}')


def _check_output(options: Namespace) -> None:
    """Raises UsageError for options of the output that do not go together."""
    for name in ('columns', 'output', 'times', 'human', 'names'):
        if options.raw and getattr(options, name) is not None:
            raise UsageError(f'--{name} does not go with --raw, which leaves lines as they are')
    if options.human and options.output in ('csv', 'jsonl', 'parquet'):
        raise UsageError(f'--human does not go with -o {options.output}, which has numbers')
    if options.header and options.output == 'jsonl':
        raise UsageError('--header does not go with -o jsonl, which names every value')


def _check_follow(options: Namespace) -> None:
    """Raises UsageError for an option that does not go with --follow."""
    for name, value in (('-e', options.end_time), ('--for', getattr(options, 'for')), ('--estimate', options.estimate)):
        if value is not None:
            raise UsageError(f'{name} does not go with --follow, which has no end')


def _check_text(options: Namespace) -> None:
    """Raises UsageError for an argument that is not UTF-8: AWS would not accept it. File names may have any bytes."""
    for name, value in vars(options).items():
        if isinstance(value, str) and name != 'location':
            check_utf8(value)


def check_output_file(location: str, stdin: BinaryIO | None, stdout: BinaryIO) -> None:
    """Raises UsageError if a file that would be read is also the output: the read would find no end, or an empty file.

    `location` is a file, a directory or - for `stdin`; None: the one of the process.
    """
    output = regular_file(stdout)
    if not output:
        return
    if location == '-':
        source = regular_file(stdin or sys.stdin)
        if source and os.path.samestat(source, output):
            raise UsageError('the file at standard input is also the output: write to another file')
        return
    for path in _files_to_read(location):
        try:
            same = os.path.samestat(os.stat(path), output)
        except OSError:
            continue
        if same:
            group = ', or read the log group of that name with --location-type cwl' if may_name_log_group(path) else ''
            where = f'outside of {location}' if path != location else 'to another file'
            raise UsageError(f'{path} is also the output: write {where}{group}')


def may_name_log_group(path: str) -> bool:
    """Whether the user of a path may mean the log group of that name."""
    return not ('/' in path or path.endswith(SUFFIXES))


def regular_file(stream: BinaryIO | TextIO | None) -> os.stat_result | None:
    """Return the status of the file that a stream is, or None for a pipe, a device and a closed stream."""
    try:
        status = os.fstat(stream.fileno()) if stream else None
    except (OSError, ValueError):
        return None
    return status if status and stat.S_ISREG(status.st_mode) else None


def _files_to_read(location: str) -> Iterator[str]:
    if not os.path.isdir(location):
        yield location
    for folder, _, names in os.walk(location):
        yield from (os.path.join(folder, name) for name in names if name.endswith(SUFFIXES))
