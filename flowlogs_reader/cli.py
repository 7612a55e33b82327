"""The command line: arguments -> source, conditions, action, writer; exceptions -> messages and exit statuses."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from .actions import ACTIONS, Plan
from .aws import AwsSession
from .cloudwatch import FlowLogsReader
from .errors import FlowLogsError, error_code, explain, is_aws_error
from .files import FileFlowLogsReader
from .filters import Filter
from .flow_logs import FlowLog, Search
from .layout import Layout
from .options import PROGRAM, Exit, check_list, check_options, make_parser, source_of
from .output import Writer
from .reader import DEFAULT_WINDOW, BaseReader, milliseconds
from .timespec import parse_time, resume_text

if TYPE_CHECKING:
    from argparse import Namespace


class Status(IntEnum):
    """Exit statuses."""

    DONE = 0
    NOT_ALL_READ = 1
    USAGE = 2
    INTERRUPTED = 130


def main(
    argv: Sequence[str] | None = None,
    stdin: BinaryIO | None = None,
    stdout: BinaryIO | None = None,
    stderr: TextIO | None = None,
    now: datetime | None = None,
) -> int:
    """Run the command line, and return its exit status. The streams and the clock can be handed in."""
    stderr = stderr or sys.stderr
    if stdout is None:
        if sys.stdout is None:
            stderr.write(f'{PROGRAM}: standard output is closed\n')
            return Status.NOT_ALL_READ
        # A buffer of its own: with PYTHONUNBUFFERED the one of sys.stdout may write a part and say so.
        stdout = open(sys.stdout.fileno(), 'wb', closefd=False)
    command = _Command(stdin, stdout, stderr, now or datetime.now(timezone.utc))
    try:
        status = command.run(sys.argv[1:] if argv is None else argv)
        stdout.flush()
    except BrokenPipeError:
        _abandon(stdout)
        return Status.DONE
    except OSError as error:
        if not command.failed:
            stderr.write(f'{PROGRAM}: cannot write the output: {error.strerror}\n')
        _abandon(stdout)
        return Status.NOT_ALL_READ
    except KeyboardInterrupt:
        _abandon(stdout)
        return Status.INTERRUPTED
    return status


def _abandon(stdout: BinaryIO) -> None:
    """Nobody reads any more: what is still in the buffer must not be written, nor complained about, when it is closed."""
    try:
        descriptor = stdout.fileno()
    except (OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


class _Command:
    """One run of the command line."""

    def __init__(self, stdin: BinaryIO | None, stdout: BinaryIO, stderr: TextIO, now: datetime) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.now = now
        self.debug = False
        self.failed = False

    def run(self, argv: Sequence[str]) -> int:
        parser = make_parser()
        parser.streams = (self.stdout, self.stderr)
        try:
            options = parser.parse_intermixed_args(argv)
            self.debug = options.debug
            try:
                if options.list is not None:
                    check_list(options, parser)
                    work = partial(self._list, self._search(options))
                else:
                    work = partial(self._read, *self._prepare(options, source_of(options)))
            except ValueError as error:
                parser.error(str(error))
        except Exit as end:
            return end.status
        return work()

    def _prepare(self, options: Namespace, source: str) -> tuple[Plan, BaseReader]:
        """Everything that can be wrong with the arguments is a ValueError here, before AWS is asked anything."""
        check_options(options, source)
        if options.action not in ACTIONS:
            raise ValueError(f'there is no action {options.action!r}: choose from {", ".join(ACTIONS)}')
        plan = ACTIONS[options.action].plan(options.arguments)
        settings = {
            'fields': Layout(re.sub('[,${}]', ' ', options.fields).split()).fields if options.fields else None,
            'where': Filter(plan.conditions),
            'on_unreadable': self._complain,
            **self._window(options, source),
        }
        if source == 'file':
            location = self._stdin() if options.location == '-' else options.location
            return plan, FileFlowLogsReader(location, **settings)
        return plan, FlowLogsReader(
            options.location,
            filter_pattern=options.filter_pattern,
            thread_count=options.thread_count,
            session=self._session(options),
            **settings,
        )

    def _session(self, options: Namespace) -> AwsSession:
        session = AwsSession(options.region, options.profile, options.role_arn, options.external_id)
        if options.profile:
            session.check_profile()
        return session

    def _search(self, options: Namespace) -> Search:
        given = {'--profile': options.profile, '--role-arn': options.role_arn, '--external-id': options.external_id}
        arguments = [word for name, value in given.items() if value for word in (name, value)]
        search = Search(self._session(options), options.list, options.all_regions, arguments)
        search.check()
        return search

    def _list(self, search: Search) -> int:
        writer = Writer(self.stdout)
        rows: list[FlowLog] = []
        try:
            rows = search.rows(self._complain)
            writer.table(FlowLog._fields, rows)
            writer.flush()
        except FlowLogsError as error:
            self._complain(error)
        if not rows and not self.failed:
            self._tell(search.nothing())
        return Status.NOT_ALL_READ if self.failed else Status.DONE

    def _window(self, options: Namespace, source: str) -> dict[str, datetime]:
        if source == 'file' and options.start_time is None and options.end_time is None:
            return {}
        start, end = (
            parse_time(text, now=self.now, time_format=options.time_format) if text is not None else None
            for text in (options.start_time, options.end_time)
        )
        end = end or self.now
        start = start or end - DEFAULT_WINDOW
        if start >= end:
            raise ValueError(f'the start, {_moment(start)}, is not before the end, {_moment(end)}')
        return {'start_time': start, 'end_time': end}

    def _stdin(self) -> BinaryIO:
        if self.stdin is None:
            if sys.stdin is None:
                raise ValueError('standard input is closed')
            return sys.stdin.buffer
        return self.stdin

    def _read(self, plan: Plan, reader: BaseReader) -> int:
        writer = Writer(self.stdout)
        try:
            plan.run(reader, writer)
            writer.flush()
        except BrokenPipeError:
            raise
        except Exception as error:
            if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                raise
            self._complain(error, self._what_failed(reader, error))
        self._tell_what_was_left_out(reader, writer)
        return Status.NOT_ALL_READ if self.failed else Status.DONE

    def _complain(self, error: Exception, message: str = '') -> None:
        self.failed = True
        self._tell(message or str(error))
        if self.debug:
            self.stderr.write(''.join(traceback.format_exception(error)))

    def _what_failed(self, reader: BaseReader, error: Exception) -> str:
        if error_code(error) == 'ResourceNotFoundException' and isinstance(reader, FlowLogsReader):
            return reader.explain_missing_group()
        message = str(error) if isinstance(error, FlowLogsError) else explain(error)
        if reader.complete_until is not None and reader.complete_until > reader.start_ms:
            until = resume_text(reader.complete_until)
            message += f'; the output is complete up to {until}: go on from there with -s {until}'
        return message

    def _tell_what_was_left_out(self, reader: BaseReader, writer: Writer) -> None:
        if reader.skipped_records:
            count = reader.skipped_records
            self._tell(f'{count} {"line was" if count == 1 else "lines were"} left out: not records of this log format')
            if not writer.written and reader.mismatch:
                self._complain(FlowLogsError(reader.mismatch))
        elif not writer.written and not self.failed:
            self._tell(f'no records: {reader.describe()} was read completely')

    def _tell(self, message: str) -> None:
        self.stderr.write(f'{PROGRAM}: {message}\n')


def _moment(moment: datetime) -> str:
    return resume_text(milliseconds(moment))
