"""What the words of the command line are: locations, the action and its arguments."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..query.conditions import EITHER, is_condition
from ..records.fields import KNOWN
from ..records.layout import Layout, normalise
from ..sources.registry import SOURCES, Source, recognise
from .actions import ACTIONS
from .options import THREADS
from .stderr import PROGRAM

if TYPE_CHECKING:
    from argparse import Namespace

# The second word of a time.
_IN_TIME = re.compile('[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:?[0-9]{2})?|ago')
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
_GROUP_NAME = re.compile('[A-Za-z0-9._/#-]{1,512}')


def prepare(options: Namespace) -> None:
    """Set the locations, the default action and thread count, and make a tuple of the names in --fields.

    Raises UsageError for a word that looks like a misspelt action or a condition.
    """
    words = [word for word in (options.location, options.action, *options.arguments) if word is not None]
    # The first word is a location, even if it has the name of an action.
    at = next((at for at, word in enumerate(words) if at and word in ACTIONS), len(words))
    options.locations = words[:at]
    options.action, *options.arguments = words[at:] or ['print']
    for word in words:
        if is_condition(word) and not os.path.exists(word):
            raise UsageError(f'{word!r} is a condition: did you forget -w?')
        if (options.start_time or options.end_time) and _IN_TIME.fullmatch(word) and not os.path.exists(word):
            raise UsageError(f"quote a time that has a space, such as -s '2016-02-01 10:59': {word!r} stands alone")
    # sources_of refuses an empty one.
    for word in filter(str.strip, options.locations[1:]):
        _check_belongs(word, options)
        _check_spelling(word, options.locations[0])
    options.thread_count = THREADS if options.thread_count is None else options.thread_count
    if options.fields:
        options.fields = Layout(re.sub(r'\$\{([^${}]*)\}|,', r' \1 ', options.fields).split()).fields


def _check_belongs(word: str, options: Namespace) -> None:
    """Raises UsageError if a word is the next item of an option before it, rather than a location."""
    if os.path.exists(word):
        return
    if options.columns and normalise(word) in KNOWN:
        raise UsageError(f'separate columns with commas: -c {options.columns.strip(",")},{word}')
    for condition in options.where or ():
        if normalise(condition) in {*KNOWN, *EITHER}:
            example = f'{condition}={word}' if word[0] not in '!=<>' else f"'{condition}{word}…'"
            raise UsageError(f'-w takes one word, such as -w {example}: quote < and > for the shell')
    if word == 'help':
        raise UsageError('there is no action help: --help is an overview. A location of this name comes first')


def _check_spelling(word: str, location: str) -> None:
    """Raises UsageError if a word is a misspelt action, or the argument of a forgotten one; and no file and no URL.

    `location` is the first one.
    """
    if os.path.exists(word):
        return
    first = re.split('[,/]', word)[0]
    action = ''
    if word.lstrip('-').isdigit():
        action = 'print'
    elif normalise(first) in {*KNOWN, *EITHER}:
        action = 'top'
    elif _is_address(first):
        action = 'findip'
    if action and location in ACTIONS and not os.path.exists(location):
        raise UsageError(f'the action comes after the location: {PROGRAM} LOCATION {location} {word}')
    if action:
        raise UsageError(f'{word!r} is not a location: did you forget {action}? A location of this name comes first')
    for name in ACTIONS:
        if not re.search('[:/]', word) and _is_misspelt(word.lower(), name):
            raise UsageError(f'there is no action {word!r}: did you mean {name}? A location of this name comes first')


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _is_misspelt(word: str, name: str) -> bool:
    """Whether the words differ in one character at most, or in two that have changed places."""
    begin = len(os.path.commonprefix([word, name]))
    rest, other = word[begin:], name[begin:]
    end = len(os.path.commonprefix([rest[::-1], other[::-1]]))
    rest, other = rest[: len(rest) - end], other[: len(other) - end]
    return len(rest) < 2 and len(other) < 2 or len(rest) == 2 and rest == other[::-1]


def sources_of(options: Namespace) -> list[Source]:
    """Return the source of each location. Raises UsageError if a location is missing, unknown or given twice."""
    if not options.locations:
        raise UsageError(
            'LOCATION is missing: give a log group, s3://BUCKET, a file or -, or ask for the flow logs with --list; '
            '--help is an overview'
        )
    sources = [_source_of(location, options.location_type) for location in options.locations]
    seen: set[str] = set()
    for location, source in zip(options.locations, sources):
        is_file = source.name == 'file' and location != '-'
        same = os.path.realpath(location) if is_file else location.rstrip('/')
        if same in seen:
            raise UsageError(f'{location} is given twice')
        seen.add(same)
        if source.name != 'file':
            check_utf8(location)
    return sources


def _source_of(location: str, location_type: str | None) -> Source:
    if not location.strip():
        raise UsageError('LOCATION is empty: give a log group, a bucket, a file or -')
    if location_type:
        return SOURCES[location_type]
    source = recognise(location)
    if bucket := re.match('(?i)s3:/*(?=[^/])', location):
        if bucket[0] != 's3://' and source is not SOURCES['file']:
            raise UsageError(f'{location} is not a location: did you mean s3://{location[bucket.end() :]}?')
    if source is None:
        scheme = location.partition('://')[0]
        raise UsageError(
            f'{scheme}:// is not a place that logs are read from: there are s3://BUCKET/PREFIX, log groups, files, '
            'and - for standard input'
        )
    if source.name == 'cwl' and not location.startswith('arn:') and not _GROUP_NAME.fullmatch(location):
        raise UsageError(f'{location[:60]!r} is not a file, and a log group cannot have this name')
    return source


def check_utf8(text: str) -> None:
    """Raises UsageError for an argument with bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f'{text[:60]!r} is not text in UTF-8') from None
