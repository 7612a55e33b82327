"""Makes messages, advice and the exit status from the report of a read.

Sources and engines only state facts. All sentences about a read are made here.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from .. import __version__
from ..aws.log_groups import MissingLogGroup
from ..aws.trouble import SignIn, cause_of, error_code, is_aws_error, said
from ..errors import Cause
from ..query.mappings import Network
from ..query.query import Query
from ..records.fields import DEFAULT_FIELDS
from ..records.times import iso, milliseconds, resume_text
from ..sources.keys import SUFFIXES
from ..sources.report import ReadReport, size_text
from .actions import ACTIONS
from .stderr import PROGRAM

# What a location may be meant for.
INSTEAD = {
    'help': '--help is an overview',
    'list': '--list lists the flow logs',
    'ls': '--list lists the flow logs',
    'version': '--version shows it',
}
_BUCKET = re.compile('[a-z0-9][a-z0-9.-]{2,62}(/.*)?')
_PLAIN = re.compile(rb'[!-~]+(?: [!-~]+)*')
_ADDRESS = re.compile(rb'(?<!\S)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\S)')
ADVICE = {
    Cause.DENIED: 'not allowed: add this action to the policy of the identity (see --help permissions)',
    Cause.CREDENTIALS_EXPIRED: (
        'the credentials have expired: sign in again (aws sso login, aws login) or renew the keys'
    ),
    Cause.CREDENTIALS_REJECTED: (
        'AWS rejected the access key: check the profile, the keys and the clock of this machine'
    ),
    Cause.CREDENTIALS_MISSING: 'set AWS_PROFILE, give --profile, or run aws configure',
    Cause.CREDENTIALS_PARTIAL: 'give both halves of the access key',
    Cause.SIGNED_OUT: 'the sign-in has ended: run aws sso login, or aws login',
    Cause.PROFILE_UNKNOWN: 'check --profile and AWS_PROFILE; aws configure list-profiles shows what there is',
    Cause.REGION_MISSING: 'give --region or set AWS_DEFAULT_REGION',
    Cause.REGION_INVALID: 'check the spelling of the Region',
    Cause.REGION_OTHER: 'the bucket is in another Region: add --region',
    Cause.BUCKET_UNKNOWN: 'check the name of the bucket',
    Cause.GROUP_UNKNOWN: 'the log group went away while it was being read',
    Cause.OBJECT_GONE: 'the object went away while it was being read',
    Cause.OBJECT_ARCHIVED: 'the object is archived: restore it first',
    Cause.THROTTLED: (
        'AWS is throttling: try again, or raise AWS_MAX_ATTEMPTS; a direct read sends less with a lower --thread-count'
    ),
    Cause.UNAVAILABLE: 'AWS is not available: try again',
    Cause.UNREACHABLE: 'AWS cannot be reached: check the Region, the network, AWS_ENDPOINT_URL and the proxy',
    Cause.CONNECTION_BROKEN: 'the connection broke: try again',
    Cause.ANSWER_UNREADABLE: 'the answer is cut off, or not from AWS: check AWS_ENDPOINT_URL and the proxy',
    Cause.FORMAT_MISMATCH: 'give the fields of this log with --fields',
    Cause.TOO_MANY_INTERVALS: 'give a longer interval, or -s and -e',
    Cause.SEVERAL_FORMATS: 'choose columns with -c',
    Cause.OVER_BUDGET: 'give a shorter window, or allow more with --max-scan',
    Cause.TABLE_MISSING: 'create it with --create-table, or by this statement',
    Cause.OUTPUT_MISSING: 'give one with --output-location s3://BUCKET/PREFIX/',
    Cause.LOG_CLASS: 'log groups of the class Infrequent Access are read with --engine insights',
    Cause.FIELD_UNKNOWN: '--help fields lists them',
    Cause.OPERATOR_MISSING: "quote < and >, which the shell takes for names of files: -w 'bytes>=1000'",
    Cause.SEVERAL_CONDITIONS: 'give each its own -w',
    Cause.TIME_IN_CONDITION: 'give times with -s and -e',
    Cause.NAME_UNKNOWN: '--help conditions lists the names',
    Cause.RESOURCE_UNKNOWN: 'check the id or address, --region and --profile',
}


class Note(NamedTuple):
    """A message for stderr. `failed`: the exit status must say that something could not be read."""

    text: str
    failed: bool = False


def explain(error: BaseException, sign_in: SignIn | None = None) -> str:
    """Return what failed and what to do. `sign_in` is the command that signs in again, if the sign-in has ended."""
    cause = cause_of(error)
    text = chosen(said(error))
    if sign_in:
        # Some errors of botocore say that a sign-in is needed, but not which command does it.
        reason = '' if 'login' in text else f'{text}: '
        return f'{reason}the sign-in has ended: run {_command(sign_in)}'
    if error_code(error) == 'NoSuchBucket':
        text = f'there is no such bucket ({error_code(error)})'
    # Errors without a cause have no advice.
    return f'{text}: {ADVICE[cause]}' if cause else text


def _command(sign_in: SignIn) -> str:
    words = ['aws', *(['sso'] if sign_in.sso else []), 'login']
    return shlex.join(words if sign_in.profile == 'default' else [*words, '--profile', sign_in.profile])


def failure(
    query: Query,
    report: ReadReport,
    error: Exception,
    diagnosis: object,
    written: int,
    location: str = '',
    mistake: str = '',
) -> str:
    """Return why a read ended, what the output contains, and how to go on.

    `location` is the one of several that the error is about, if there are several. `mistake` is what :func:`mistaken`
    returns.
    """
    mistake = f'; {mistake}' if mistake and not report.matched else ''
    if isinstance(diagnosis, MissingLogGroup):
        # The message says already that there is no such file.
        return _missing_group(diagnosis, '' if diagnosis.name.endswith(SUFFIXES) else mistake)
    message = explain(error, diagnosis if isinstance(diagnosis, SignIn) else None)
    if is_aws_error(error) and report.place:
        message = f'{report.place}: {message}'
    if location not in message:
        message = f'{location}: {message}'
    message += mistake
    until = report.complete_until
    if until is not None and until > report.start_ms and (report.in_order or not query.sums):
        return f'{message}; {_complete_up_to(report, until, bool(location))}'
    if location and report.matched:
        return f'{message}; the output holds a part of its records'
    if written:
        return f'{message}; the output holds a part of the records: read them again'
    return message


def mistaken(location: str, others: Sequence[str], region: str, similar: Sequence[str] | None) -> str:
    """Return what a location that was read as a log group may be instead, or that its Region does not exist; else ''.

    `others` are the other locations; `similar` are names of Regions if botocore does not know `region`, else None.
    """
    if os.path.isdir(location):
        return f'{location} is a directory: to read it, write {location}/'
    if location.endswith(SUFFIXES):
        return f'{location} is read as a log group: there is no such file'
    if location in ACTIONS:
        return f'the action comes after the location: {PROGRAM} {others[0] if others else "LOCATION"} {location}'
    if location in INSTEAD and not others:
        return INSTEAD[location]
    if re.fullmatch('(eni|i|subnet|tgw|vpc)-[0-9a-f]{8,}', location):
        return f'--list {location} lists the flow logs that cover it'
    if others and location.isalpha() and location.islower():
        return 'if it is to be an action, --help lists them'
    if similar is not None:
        closest = f': did you mean {similar[0]}?' if similar else ''
        return f'botocore knows no Region {region}{closest}'
    return ''


def _complete_up_to(report: ReadReport, until: int, is_one_of_several: bool) -> str:
    later = '' if report.in_order else ' and holds some of what starts later; drop that'
    if report.spilled:
        later = ' and holds some of what starts then; drop that'
    told = resume_text(until)
    if is_one_of_several:
        return f'the output has its records up to {told}{later}'
    return f'the output is complete up to {told}{later}: go on from there with -s {told}'


def chosen(region_source: str) -> str:
    """Return how the Region was chosen: the library does not know the option."""
    return region_source.replace('as asked for', 'from --region')


def _missing_group(group: MissingLogGroup, mistake: str) -> str:
    message = f'there is no log group {group.name} in {group.region}'
    if group.account:
        return f'{message} of account {group.account}: check the ARN, and whether that account shares it{mistake}'
    message += f' ({chosen(group.region_source)})'
    if os.path.isdir(group.name):
        return message + mistake
    if group.elsewhere:
        return f'{message}; there is one in {", ".join(group.elsewhere)}: add --region {group.elsewhere[0]}{mistake}'
    if group.similar:
        return f'{message}; there is {", ".join(group.similar)}{mistake}'
    message += ', nor in another Region that answered, nor a file: check the name, --region and --profile'
    if not mistake and not group.name.endswith(SUFFIXES) and _BUCKET.fullmatch(group.name):
        mistake = f'; to read a bucket, write s3://{group.name}'
    return message + mistake


def after(
    query: Query,
    report: ReadReport,
    mismatch: Exception | None,
    written: int,
    failed: bool,
    waits: bool = False,
    advice: str = '',
) -> Iterator[Note]:
    """Yield the messages at the end of a read: lines that were left out, fields that are missing, incomplete sums.

    `waits` says that the next records are waited for. `advice` is what to do if there are no records.
    """
    matched = report.matched.total()
    if report.left_out:
        were = 'line was' if report.left_out == 1 else 'lines were'
        yield Note(f'{report.left_out} {were} left out: not records of this log format')
        if mismatch and not (written and matched):
            yield Note(explain(mismatch), failed=True)
        elif other := _other_format(report):
            yield Note(other)
    elif lacking := _lacked_by_all(query, report):
        yield Note(lacking, failed=not matched)
    elif not (written and matched) and not failed:
        # It has no end.
        origin = report.origin.rpartition(' to ')[0] or report.origin
        waiting = f'waiting for records of {origin}: AWS delivers them 5 to 15 minutes late; Ctrl-C ends this'
        yield Note(waiting if waits else f'no records: {report.origin} was read completely{advice}')
    yield from map(Note, _lacked_by_some(query, report))
    if matched and report.format_trouble:
        trouble = explain(report.format_trouble)
        yield Note(f'the format of the log is not known ({trouble}): the default one is used')
    yield from map(Note, _doubts(query, report))


def nameless(report: ReadReport) -> Iterator[str]:
    """Yield what raw lines in a file lack if their format is not the default one, which is read without names."""
    if any(layout.fields != DEFAULT_FIELDS for layout in report.matched):
        yield 'the lines have a format of their own: --header writes its names before them, for a read of the file'


def _doubts(query: Query, report: ReadReport) -> Iterator[str]:
    """Yield what may be wrong with sums: flows that are not there, or count twice."""
    if report.skipdata:
        yield _skipdata(query, report.skipdata)
    if report.seen_twice:
        yield f'{report.seen_twice} bytes were recorded at both ends and count twice: --once counts them once'
    if report.undecided:
        were = 'flow was' if report.undecided == 1 else 'flows were'
        yield f'{report.undecided} {were} recorded at two interfaces and may count twice: the sender is not known'
    if query.compare and query.window and query.window.end_ms > (query.delivered_ms or query.window.end_ms):
        since = iso((query.delivered_ms or 0) // 1000, query.tz)
        yield f'AWS may still deliver flows of {since} and later: the numbers of now may be too low'
    if report.incomplete:
        yield _incomplete(query, report.incomplete)


def _other_format(report: ReadReport) -> str:
    """Return what to do if the first line that was left out looks like a record of another format; '' otherwise."""
    if not report.odd_line:
        return ''
    layout, line = report.odd_line
    width, expected = len(line.split()), len(layout.fields)
    if width == expected or len(line) > 500 or not (_PLAIN.fullmatch(line) and _ADDRESS.search(line)):
        return ''
    return (
        f'a line that was left out has {width} columns, and the format has {expected}: if it is a record of another '
        'format, put a header row before such lines, or read them alone with --fields'
    )


def _lacked_by_all(query: Query, report: ReadReport) -> str:
    """Return a message about fields that the query needs and no format of the log has; '' if there are none.

    Columns of the output count only if records matched.
    """
    named = [name for name in query.columns or () if name not in query.optional]
    columns = [(name,) for name in named] if report.matched else []
    asked = [*query.asked_fields, *columns]
    names = [names[0] for names in asked if all(_lacks(layout.fields, names) for layout in report.read)]
    if not names or not report.read:
        return ''
    fields = next(iter(report.read)).fields
    return f'this log has no field {", ".join(dict.fromkeys(names))}: its fields are {" ".join(fields)}'


def _lacked_by_some(query: Query, report: ReadReport) -> Iterator[str]:
    """Yield a message for each field that the query needs and only some formats of the log have."""
    of_conditions = len(query.condition_fields)
    told: set[str] = set()
    for at, names in enumerate(query.asked_fields):
        # Count all records that were read for a condition, and those that matched for a key.
        counts = report.read if at < of_conditions else report.matched
        lacking = sum(count for layout, count in counts.items() if _lacks(layout.fields, names))
        if lacking and names[0] not in told and not all(_lacks(layout.fields, names) for layout in report.read):
            told.add(names[0])
            have = 'record has' if lacking == 1 else 'records have'
            yield f'{lacking} {have} no field {names[0]}: it is not in their format; they count as missing it'


def _lacks(fields: Iterable[str], names: Iterable[str]) -> bool:
    return {*fields}.isdisjoint(names)


def _skipdata(query: Query, skipped: Counter[int]) -> str:
    first, last = (iso(time, query.tz) for time in (min(skipped), max(skipped)))
    times = f'{skipped.total()} times from {first} to {last}' if skipped.total() > 1 else f'at {first}'
    return f'totals are incomplete: AWS skipped records {times} (SKIPDATA)'


def shared_blocks(shared: Mapping[Network, Sequence[str]]) -> str:
    """The CIDR blocks that are left out of the mappings of subnets, with the VPCs that have them."""
    blocks = [f'{block} ({", ".join(vpcs)})' for block, vpcs in shared.items()]
    more = f' and {len(blocks) - 3} more' if len(blocks) > 3 else ''
    return f'addresses of {", ".join(blocks[:3])}{more} are not mapped: several VPCs have them'


def _incomplete(query: Query, intervals: dict[int, tuple[str, ...]]) -> str:
    """The intervals of a timeline that may lack flows."""
    cut = [iso(start, query.tz) for start in sorted(intervals) if 'cut' in intervals[start]]
    recent = [start for start in intervals if 'recent' in intervals[start]]
    parts = [f'the window cuts {" and ".join(cut)}'] if cut else []
    if recent:
        parts.append(f'AWS may still deliver flows of {iso(min(recent), query.tz)} and later')
    return f'some intervals are incomplete: {"; ".join(parts)}'


def facts(query: Query, report: ReadReport, now: datetime) -> list[tuple[str, str]]:
    """What was read, as terms and descriptions for the head of a page."""
    told = [('Source', report.origin)]
    if query.window:
        first, end = (iso(ms // 1000, query.tz) for ms in query.window)
        told.append(('Window', f'{first} to {end}'))
    told += [('Condition', condition.text) for condition in query.conditions]
    if report.usage:
        told.append(('Read', f'by queries in AWS, which scanned {size_text(report.usage.scanned)}'))
    else:
        told.append(('Records', f'{report.matched.total():,}, in {size_text(report.text_bytes)} of text'))
    told += [
        ('Counted', 'every record of a flow, so not NODATA and SKIPDATA; what two interfaces recorded counts twice'),
        ('Lines left out', f'{report.left_out:,} (not records of this log format)'),
        ('Skipped by AWS', f'{report.skipdata.total():,} (SKIPDATA records)'),
        ('Unreadable', f'{len(report.unreadable):,} (files or objects)'),
    ]
    if query.window and query.delivered_ms and query.delivered_ms < query.window.end_ms:
        late = iso(query.delivered_ms // 1000, query.tz)
        told.append(('Not delivered yet', f'some records after {late}: AWS delivers them 5 to 15 minutes late'))
    told.append(('Made', f'{iso(milliseconds(now) // 1000, query.tz)} by {PROGRAM} {__version__}'))
    return told
