"""One run of the command line: options -> query, source, engine, output; exceptions -> messages, exit status."""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, BinaryIO, TextIO

from ..aws.trouble import is_aws_error
from ..engines import local
from ..engines.follow import follow
from ..errors import FlowLogsError, OutputError, UsageError
from ..output.writer import Writer
from ..query.conditions import host_bits
from ..query.query import Query
from ..sources.base import BaseReader
from ..sources.keys import SUFFIXES
from ..sources.registry import Source
from . import build
from .clock import Clock
from .options import MAX_THREADS
from .parser import Parser
from .progress import Progress
from .status import Status
from .stderr import printable, tell, write
from .summary import ADVICE, after, explain, failure

if TYPE_CHECKING:
    from argparse import Namespace

    from ..aws.session import AwsSession
    from .listing import Listing


class Run:
    """One run of the command line."""

    def __init__(self, stdin: BinaryIO | None, stdout: BinaryIO, stderr: TextIO, now: datetime, clock: Clock) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._now = now
        self._clock = clock
        self._progress: Progress | None = None
        self._rounds = 0
        self._debug = self._quiet = False
        self._failed = False

    def run(self, options: Namespace, parser: Parser) -> int:
        """Returns the exit status."""
        self._debug, self._quiet = bool(options.debug), bool(options.quiet)
        try:
            if options.list is not None:
                work = self._prepare_list(options)
            else:
                work = self._prepare_read(options)
        except UsageError as error:
            self._show_traceback(error)
            advice = f': {ADVICE[error.cause]}' if error.cause else ''
            parser.error(f'{error}{advice}')
        return work()

    # -- --list -----------------------------------------------------------------------------------------------------

    def _prepare_list(self, options: Namespace) -> partial[int]:
        from .listing import Listing

        build.check_list(options)
        session = build.make_session(options)
        listing = Listing(options, session)
        writer = Writer(self._stdout, build.make_style(options, self._width()))
        return partial(self._list, listing, writer, session)

    def _list(self, listing: Listing, writer: Writer, session: AwsSession) -> int:
        def complain(error: FlowLogsError) -> None:
            self._complain(error, explain(error, session.sign_in_for(error)))

        try:
            writer.write(listing.table(complain))
            writer.flush()
        except OutputError:
            raise
        except FlowLogsError as error:
            self._complain(error)
        if not writer.written and not self._failed:
            self._note(listing.nothing())
        return self._status()

    # -- reading ----------------------------------------------------------------------------------------------------

    def _prepare_read(self, options: Namespace) -> partial[int]:
        build.prepare(options)
        source = build.source_of(options)
        build.check_options(options, source)
        reader_class = source.load()
        query = build.make_query(options, reader_class.DEFAULT_WINDOW, self._now)
        self._check_file(options, source)
        reader = build.open_source(options, source, query, self._standard_input, self._complain)
        if options.thread_count > MAX_THREADS:
            self._note(f'--thread-count is {MAX_THREADS} at most, and is taken as that')
        writer = Writer(self._stdout, build.make_style(options, self._width(), query))
        # The engine checks the query; nothing is read before the result is.
        local.run(query, [reader])
        return partial(self._read, query, reader, writer, options, options.location if source.name == 'cwl' else '')

    def _check_file(self, options: Namespace, source: Source) -> None:
        """Raises UsageError for a file that is the output as well: the shell has just emptied it."""
        location = options.location
        if source.name != 'file' or location == '-' or not os.path.isfile(location):
            return
        if self._is_output(location):
            raise UsageError(
                f'{location} is where the output goes: --location-type cwl reads the log group of that name'
            )
        if not (options.location_type or '/' in location or location.endswith(SUFFIXES)):
            self._note(f'{location} is a file here; --location-type cwl reads the log group of that name')

    def _is_output(self, path: str) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._stdout.fileno()))
        except (OSError, ValueError):
            return False

    def _standard_input(self) -> BinaryIO:
        return build.standard_input() if self._stdin is None else self._stdin

    def _read(self, query: Query, reader: BaseReader, writer: Writer, options: Namespace, log_group: str) -> int:
        for note in filter(None, map(host_bits, query.conditions)):
            self._note(note)
        try:
            if options.follow:
                follow(reader, partial(self._round, query, reader, writer), self._clock, self._retry)
            else:
                self._read_once(query, reader, writer)
        except (BrokenPipeError, OutputError):
            raise
        except Exception as error:
            if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                raise
            message = failure(query, reader.report, error, reader.diagnose(error), writer.written, log_group)
            self._complain(error, message)
        self._tell_after(query, reader, writer)
        return self._status()

    def _read_once(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        if self._stderr.isatty() and not self._quiet:
            self._progress = reader.on_block = Progress(reader, self._stderr)
            writer.before_write = self._progress.clear if self._width() else None
        try:
            writer.write(local.run(query, [reader]))
            writer.flush()
        finally:
            if self._progress:
                self._progress.close()

    def _round(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        self._rounds += 1
        writer.write(local.run(query, [reader]))
        if self._rounds == 1 or reader.report.left_out:
            self._tell_after(query, reader, writer)

    def _retry(self, error: Exception) -> None:
        self._tell(f'{explain(error)}; --follow goes on')

    def _tell_after(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        for note in after(query, reader.report, reader.mismatch(), writer.written, self._failed):
            self._failed = self._failed or note.failed
            if note.failed:
                self._tell(note.text)
            else:
                self._note(note.text)

    # -- stderr -----------------------------------------------------------------------------------------------------

    def _complain(self, error: Exception, message: str = '') -> None:
        self._failed = True
        self._tell(message or explain(error))
        self._show_traceback(error)

    def _show_traceback(self, error: Exception) -> None:
        if self._debug:
            import traceback

            for line in ''.join(traceback.format_exception(error)).splitlines():
                write(self._stderr, f'{printable(line)}\n')

    def _note(self, message: str) -> None:
        if not self._quiet:
            self._tell(message)

    def _tell(self, message: str) -> None:
        if self._progress:
            self._progress.clear()
        tell(self._stderr, message)

    def _status(self) -> int:
        return Status.NOT_ALL_READ if self._failed else Status.DONE

    def _width(self) -> int:
        """Of the terminal that stdout goes to; 0 if it does not go to one."""
        return get_terminal_size().columns if self._stdout.isatty() else 0
