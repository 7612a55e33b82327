"""The command line: arguments -> source, conditions, action, writer; exceptions -> messages and exit statuses."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from functools import partial
from shutil import get_terminal_size
from io import StringIO
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from .aws import AwsSession
from .cloudwatch import FlowLogsReader
from .errors import FlowLogsError, error_code, explain, is_aws_error
from .files import FileFlowLogsReader
from .flow_logs import FlowLog, Search
from .follow import Clock, follow
from .memory import keep_flat
from .options import PROGRAM, Exit, check_list, check_options, make_parser, source_of
from .output import Writer
from .progress import Progress
from .reader import BaseReader
from .request import Request, make_request, make_style
from .s3 import S3FlowLogsReader
from .timespec import UTC, resume_text

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
    clock: Clock | None = None,
) -> int:
    """Run the command line, and return its exit status. The streams, the time and the clock can be handed in."""
    stderr = stderr or sys.stderr or StringIO()
    if stdout is None:
        if sys.stdout is None:
            stderr.write(f'{PROGRAM}: standard output is closed\n')
            return Status.NOT_ALL_READ
        # A buffer of its own: with PYTHONUNBUFFERED the one of sys.stdout may write a part and say so.
        stdout = open(sys.stdout.fileno(), 'wb', closefd=False)
    clock = clock or Clock(stdout, now)
    command = _Command(stdin, stdout, stderr, now or clock.now(), clock)
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

    def __init__(self, stdin: BinaryIO | None, stdout: BinaryIO, stderr: TextIO, now: datetime, clock: Clock) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.now = now
        self.clock = clock
        self.progress: Progress | None = None
        self.rounds = 0
        self.debug = self.quiet = False
        self.failed = False

    def run(self, argv: Sequence[str]) -> int:
        parser = make_parser()
        parser.streams = (self.stdout, self.stderr)
        try:
            options = parser.parse_intermixed_args(argv)
            self.debug, self.quiet = options.debug, options.quiet
            try:
                if options.list is not None:
                    check_list(options, parser)
                    style = make_style(options, _width(self.stdout), UTC)
                    work = partial(self._list, self._search(options), Writer(self.stdout, style))
                else:
                    work = partial(self._read, *self._prepare(options, source_of(options)))
            except ValueError as error:
                parser.error(str(error))
        except Exit as end:
            return end.status
        return work()

    def _prepare(self, options: Namespace, source: str) -> tuple[Request, BaseReader]:
        """Everything that can be wrong with the arguments is a ValueError here, before AWS is asked anything."""
        check_options(options, source)
        request = make_request(options, source, self.now, _width(self.stdout))
        settings: dict[str, Any] = {
            'fields': request.fields,
            'where': request.where,
            'on_unreadable': self._complain,
        }
        if request.window:
            settings['start_time'], settings['end_time'] = request.window
        if source == 'file':
            location = self._stdin() if options.location == '-' else options.location
            return request, FileFlowLogsReader(location, thread_count=options.thread_count, **settings)
        if source == 's3':
            return request, S3FlowLogsReader(
                options.location,
                include_accounts=options.include_accounts,
                include_regions=options.include_regions,
                thread_count=options.thread_count,
                exact_window=True,
                session=self._session(options),
                **settings,
            )
        return request, FlowLogsReader(
            options.location,
            filter_pattern=options.filter_pattern,
            thread_count=options.thread_count,
            session=self._session(options),
            **settings,
        )

    def _session(self, options: Namespace) -> AwsSession:
        keep_flat()
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

    def _list(self, search: Search, writer: Writer) -> int:
        rows: list[FlowLog] = []
        try:
            rows = search.rows(self._complain)
            writer.table(FlowLog._fields, rows)
            writer.flush()
        except FlowLogsError as error:
            self._complain(error)
        if not rows and not self.failed:
            self._note(search.nothing())
        return Status.NOT_ALL_READ if self.failed else Status.DONE

    def _stdin(self) -> BinaryIO:
        if self.stdin is None:
            if sys.stdin is None:
                raise ValueError('standard input is closed')
            return sys.stdin.buffer
        return self.stdin

    def _read(self, request: Request, reader: BaseReader) -> int:
        writer = Writer(self.stdout, request.style)
        for note in request.notes():
            self._note(note)
        try:
            if request.interval is None:
                self._read_once(request, reader, writer)
            else:
                follow(reader, partial(self._round, request, reader, writer), self.clock, request.interval, self._retry)
        except BrokenPipeError:
            raise
        except Exception as error:
            if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                raise
            self._complain(error, self._what_failed(reader, error))
        self._tell_what_was_left_out(request, reader, writer)
        return Status.NOT_ALL_READ if self.failed else Status.DONE

    def _read_once(self, request: Request, reader: BaseReader, writer: Writer) -> None:
        if self.stderr.isatty() and not self.quiet:
            self.progress = reader.on_block = Progress(reader, self.stderr)
            writer.before_write = self.progress.clear if _width(self.stdout) else None
        try:
            request.plan.run(reader, writer)
            writer.flush()
        finally:
            if self.progress:
                self.progress.close()

    def _round(self, request: Request, reader: BaseReader, writer: Writer) -> None:
        self.rounds += 1
        request.plan.run(reader, writer)
        if self.rounds == 1 or reader.skipped_records:
            self._tell_what_was_left_out(request, reader, writer)

    def _retry(self, error: Exception) -> None:
        self._tell(f'{explain(error)}; trying again')

    def _complain(self, error: Exception, message: str = '') -> None:
        self.failed = True
        self._tell(message or str(error))
        if self.debug:
            self.stderr.write(''.join(traceback.format_exception(error)))

    def _what_failed(self, reader: BaseReader, error: Exception) -> str:
        begun = reader.complete_until is not None and reader.complete_until > reader.start_ms
        if error_code(error) == 'ResourceNotFoundException' and isinstance(reader, FlowLogsReader) and not begun:
            return reader.explain_missing_group()
        message = str(error) if isinstance(error, FlowLogsError) else explain(error)
        if is_aws_error(error) and isinstance(reader, S3FlowLogsReader):
            message = f's3://{reader.bucket}: {message}'
        if begun and reader.complete_until is not None:
            until = resume_text(reader.complete_until)
            more = ' and holds some of what follows' if isinstance(reader, S3FlowLogsReader) else ''
            message += f'; the output is complete up to {until}{more}: go on from there with -s {until}'
        return message

    def _tell_what_was_left_out(self, request: Request, reader: BaseReader, writer: Writer) -> None:
        if reader.skipped_records:
            count = reader.skipped_records
            self._note(f'{count} {"line was" if count == 1 else "lines were"} left out: not records of this log format')
            if not writer.written and reader.mismatch:
                self._complain(FlowLogsError(reader.mismatch))
        elif lacking := request.lacking_note(reader.layouts):
            if reader.matched:
                self._note(lacking)
            else:
                self._complain(FlowLogsError(lacking))
        elif not (writer.written and reader.matched) and not self.failed:
            self._note(f'no records: {reader.describe()} was read completely')
        if skipped := reader.skipdata():
            self._note(request.skipdata_note(skipped))

    def _note(self, message: str) -> None:
        if not self.quiet:
            self._tell(message)

    def _tell(self, message: str) -> None:
        if self.progress:
            self.progress.clear()
        self.stderr.write(f'{PROGRAM}: {message}\n')


def _width(stream: BinaryIO) -> int:
    """Of the terminal that a stream goes to; 0 where it does not."""
    return get_terminal_size().columns if stream.isatty() else 0
