"""One run of the command line: options -> source, filter, action, writer; exceptions -> messages, exit status."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import datetime
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from ..aws.flow_logs import FlowLog, Search
from ..aws.log_groups import parse_arn
from ..aws.session import AwsSession
from ..engines.follow import Clock, follow
from ..errors import FlowLogsError, OutputError, error_code, explain, is_aws_error
from ..output.writer import Writer
from ..query.typed_times import UTC, resume_text
from ..sources.base import BaseReader
from ..sources.cloudwatch.reader import FlowLogsReader
from ..sources.files import FileFlowLogsReader
from ..sources.s3.keys import SUFFIXES
from ..sources.s3.reader import S3FlowLogsReader
from .build import Request, make_request, make_style
from .options import Parser, Status, check_list, check_options, source_of
from .process import keep_flat
from .progress import Progress
from .stderr import printable, tell, write

if TYPE_CHECKING:
    from argparse import Namespace


class Command:
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

    def run(self, options: Namespace, parser: Parser) -> int:
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
            self._check_file(options)
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
        arn = parse_arn(options.location)
        if arn and options.region not in (None, arn.region):
            raise ValueError(f'the log group is in {arn.region}, as its ARN says: leave --region {options.region} out')
        options.region = arn.region if arn else options.region
        return request, FlowLogsReader(
            options.location,
            filter_pattern=options.filter_pattern,
            pushdown=options.pushdown is None,
            thread_count=options.thread_count,
            session=self._session(options),
            **settings,
        )

    def _check_file(self, options: Namespace) -> None:
        """Raises ValueError for a file that is the output as well: the shell has just emptied it."""
        location = options.location
        if location == '-' or not os.path.isfile(location):
            return
        if self._is_output(location):
            raise ValueError(
                f'{location} is where the output goes: --location-type cwl reads the log group of that name'
            )
        if not (options.location_type or '/' in location or location.endswith(SUFFIXES)):
            self._note(f'{location} is a file here; --location-type cwl reads the log group of that name')

    def _is_output(self, path: str) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(self.stdout.fileno()))
        except (OSError, ValueError):
            return False

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
        except OutputError:
            raise
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
        except (BrokenPipeError, OutputError):
            raise
        except Exception as error:
            if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                raise
            self._complain(error, self._what_failed(request, reader, writer, error))
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
        self._tell(f'{explain(error)}; --follow goes on')

    def _complain(self, error: Exception, message: str = '') -> None:
        self.failed = True
        self._tell(message or str(error))
        if self.debug:
            for line in ''.join(traceback.format_exception(error)).splitlines():
                write(self.stderr, f'{printable(line)}\n')

    def _what_failed(self, request: Request, reader: BaseReader, writer: Writer, error: Exception) -> str:
        until = reader.complete_until
        missing = error_code(error) == 'ResourceNotFoundException'
        if missing and isinstance(reader, FlowLogsReader) and not reader.matched:
            return reader.explain_missing_group()
        message = str(error) if isinstance(error, FlowLogsError) else explain(error)
        if is_aws_error(error) and isinstance(reader, S3FlowLogsReader):
            message = f's3://{reader.bucket}: {message}'
        in_order = isinstance(reader, FlowLogsReader)
        if isinstance(reader, FlowLogsReader) and not reader.matched and reader.log_group_name.endswith(SUFFIXES):
            message += f'; {reader.log_group_name} is taken for a log group: there is no such file'
        if until is not None and until > reader.start_ms and (in_order or not request.plan.sums):
            later = '' if in_order else ' and holds some of what starts later; drop that'
            if isinstance(reader, FlowLogsReader) and reader.spilled:
                later = ' and holds some of what starts then; drop that'
            told = resume_text(until)
            message += f'; the output is complete up to {told}{later}: go on from there with -s {told}'
        elif writer.written:
            message += '; the output holds a part of the records: read them again'
        return message

    def _tell_what_was_left_out(self, request: Request, reader: BaseReader, writer: Writer) -> None:
        if reader.skipped_records:
            count = reader.skipped_records
            self._note(f'{count} {"line was" if count == 1 else "lines were"} left out: not records of this log format')
            if not writer.written and reader.mismatch:
                self._complain(FlowLogsError(reader.mismatch))
        elif lacking := request.lacking_note(reader.layouts, shown=reader.matched):
            if reader.matched:
                self._note(lacking)
            else:
                self._complain(FlowLogsError(lacking))
        elif not (writer.written and reader.matched) and not self.failed:
            self._note(f'no records: {reader.describe()} was read completely')
        if isinstance(reader, FlowLogsReader) and reader.matched and reader.format_trouble:
            self._note(reader.format_trouble)
        if skipped := reader.skipdata():
            self._note(request.skipdata_note(skipped))

    def _note(self, message: str) -> None:
        if not self.quiet:
            self._tell(message)

    def _tell(self, message: str) -> None:
        if self.progress:
            self.progress.clear()
        tell(self.stderr, message)


def _width(stream: BinaryIO) -> int:
    """Of the terminal that a stream goes to; 0 where it does not."""
    return get_terminal_size().columns if stream.isatty() else 0
