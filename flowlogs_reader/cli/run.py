"""One run of the command line: prepares a read from the options, runs it, and reports errors on stderr."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TextIO

from ..aws.trouble import cause_of, is_aws_error
from ..engines import local
from ..engines.follow import follow
from ..engines.run import LOCAL
from ..errors import Cause, FlowLogsError, MissingExtraError, OutputError, UsageError
from ..output.stream import writing
from ..output.writer import Writer
from ..query.conditions import host_bits
from ..query.query import Query
from ..records.block import Block
from ..sources.base import BaseReader
from ..sources.report import Usage
from ..sources.several import SeveralReaders
from . import checks, queries, readers, words
from .actions import ACTIONS
from .clock import Clock
from .malloc import tune_malloc
from .messages import Messages
from .options import MAX_THREADS, RECORDS
from .parser import Parser
from .progress import Progress, QueryProgress
from .remote import estimate_table, is_remote, query_lines, remote_source, remote_sources, used
from .status import Status
from .stderr import terminal_width, write
from .style import action_style, list_style, table_style
from .summary import ADVICE, after, explain, facts, failure, mistaken, nameless, shared_blocks

if TYPE_CHECKING:
    from argparse import Namespace

    from ..aws.session import AwsSession
    from .listing import Listing

PIPE = 'a pipe to cat'
REGION_MAY_BE_WRONG = (
    Cause.GROUP_UNKNOWN, Cause.UNREACHABLE, Cause.REGION_INVALID, Cause.CREDENTIALS_MISSING, Cause.CREDENTIALS_REJECTED,
)  # fmt: skip


class Run:
    """One run of the command line."""

    def __init__(
        self,
        options: Namespace,
        stdin: BinaryIO | None,
        stdout: BinaryIO,
        stderr: TextIO,
        now: datetime,
        clock: Clock,
    ) -> None:
        self._options = options
        self._stdin = stdin
        self._stdout = stdout
        self._messages = Messages(stderr, debug=bool(options.debug), quiet=bool(options.quiet))
        self._now = now
        self._clock = clock
        self._rounds = 0
        self._locations: list[str] = []
        self._if_none = ''

    def run(self, parser: Parser) -> int:
        """Do what the options ask for, and return the exit status."""
        try:
            if self._options.list is not None:
                work = self._prepare_list()
            else:
                work = self._prepare_read()
        except UsageError as error:
            self._messages.traceback(error)
            advice = f': {ADVICE[error.cause]}' if error.cause else ''
            parser.error(f'{error}{advice}')
        except MissingExtraError as error:
            self._messages.error(error)
            return Status.NOT_ALL_READ
        return work()

    # -- --list -----------------------------------------------------------------------------------------------------

    def _prepare_list(self) -> partial[int]:
        from .listing import Listing

        checks.check_list(self._options)
        session = readers.make_session(self._options)
        listing = Listing(self._options, session)
        writer = Writer(self._stdout, list_style(self._options, self._width(), partial(self._on_short, PIPE)))
        return partial(self._list, listing, writer, session)

    def _list(self, listing: Listing, writer: Writer, session: AwsSession) -> int:
        report = partial(self._report_unlisted, session)
        try:
            writer.write(listing.table(report))
            writer.flush()
        except OutputError:
            raise
        except FlowLogsError as error:
            report(error)
        if not writer.written and not self._messages.failed:
            self._messages.note(listing.nothing())
        return self._messages.status

    def _report_unlisted(self, session: AwsSession, error: FlowLogsError) -> None:
        """Report that the flow logs of a Region, or all of them, could not be listed."""
        mistake = self._mistake(session, error)
        message = explain(error, session.sign_in_for(error))
        self._messages.error(error, f'{message}; {mistake}' if mistake else message)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _prepare_read(self) -> partial[int]:
        options = self._options
        words.prepare(options)
        sources = words.sources_of(options)
        self._locations = options.locations
        checks.check_options(options, sources)
        query, query_of_each = queries.make_queries(options, sources, self._now)
        for location, source in zip(options.locations, sources):
            if source.name == 'file':
                checks.check_output_file(location, self._stdin, self._stdout)
                self._note_file(location)
        if query.window and not queries.has_times(options):
            self._if_none = ': that is the last hour, and -s 1d reads a day'
        reads = queries.reads_of(options.locations, sources, query_of_each)
        tune_malloc()
        opened = readers.open_sources(options, reads, self._standard_input, self._messages.error)
        session = readers.subnet_session(options, opened, query)
        reader = self._reader_of_all(reads, opened)
        if options.thread_count > MAX_THREADS:
            self._messages.note(f'--thread-count is limited to {MAX_THREADS}')
        writer = self._make_writer(query)
        # Only to check the query: the engine reads nothing before its result is iterated over.
        local.run(query, [reader])
        log_group = options.locations[0] if sources[0].name == 'cwl' else ''
        return partial(self._read, query, reader, writer, log_group, session)

    def _reader_of_all(self, reads: Sequence[queries.Read], opened: Sequence[BaseReader]) -> BaseReader:
        """Return one reader for all reads, which were opened as these readers."""
        if is_remote(self._options):
            opened = [
                remote_source(self._options, read.query, reader, self._clock, self._messages.note, self._query_progress)
                for read, reader in zip(reads, opened)
            ]
        if len(opened) == 1:
            return opened[0]
        read_by = dict(zip(map(id, opened), reads))
        several = remote_sources if is_remote(self._options) else SeveralReaders
        return several(opened, lambda failed, error: self._report_failure(failed, error, read_by[id(failed)]))

    def _make_writer(self, query: Query) -> Writer:
        """Raises UsageError if a terminal cannot show the output, and MissingExtraError."""
        if self._options.show_query:
            return Writer(self._stdout)
        if self._options.estimate:
            return Writer(self._stdout, table_style(self._options, self._width()))
        if not ACTIONS[query.action].page:
            on_short = partial(self._on_short, f'-c all, or {PIPE},' if query.action in RECORDS else PIPE)
            return Writer(self._stdout, action_style(self._options, self._width(), query, on_short))
        from ..output.page import Page

        if self._stdout.isatty():
            name = query.action
            raise UsageError(f'{name} writes a page, not text: send it to a file, as in … {name} > {name}.html')
        return Page(self._stdout, query.tz)

    def _on_short(self, how: str, shown: int, of_all: int) -> None:
        self._messages.note(f'{shown} of {of_all} columns fit: {how} shows all')

    def _report_failure(self, reader: BaseReader, error: Exception, read: queries.Read) -> None:
        """Report that the read of one of several locations has failed."""
        session = getattr(reader, 'session', None)
        mistake = self._mistake(session, error, read.location if read.source.name == 'cwl' else '')
        message = failure(read.query, reader.report, error, reader.diagnose(error), 0, read.location, mistake)
        # A location that is read twice, for two windows, may fail twice.
        if message not in self._messages.told:
            self._messages.error(error, message)

    def _mistake(self, session: AwsSession | None, error: Exception, log_group: str = '') -> str:
        """Return what may be wrong with the Region, or with the location if it is read as a log group, else ''."""
        region, similar = '', None
        if session and cause_of(error) in REGION_MAY_BE_WRONG:
            region, similar = session.region, session.similar_regions()
        others = [location for location in self._locations if location != log_group]
        return mistaken(log_group, others, region, similar)

    def _note_file(self, location: str) -> None:
        """Say that a location is a file, if it may be meant for a log group."""
        if len(self._options.locations) > 1 or self._options.location_type or not checks.may_name_log_group(location):
            return
        if os.path.isfile(location):
            self._messages.note(f'{location} is a file here; --location-type cwl reads the log group of that name')

    def _standard_input(self) -> BinaryIO:
        return readers.standard_input() if self._stdin is None else self._stdin

    def _read(
        self,
        query: Query,
        reader: BaseReader,
        writer: Writer,
        log_group: str,
        subnets_of: AwsSession | None,
    ) -> int:
        for note in filter(None, map(host_bits, query.conditions)):
            self._messages.note(note)
        try:
            if subnets_of:
                query = self._with_subnets(query, reader, subnets_of)
            self._ask(query, reader, writer)
        except (BrokenPipeError, OutputError):
            raise
        except UsageError as error:
            # Only AWS could tell that this cannot be answered.
            self._messages.error(error, f'error: {explain(error)}')
            write(self._messages.stderr, error.statement)
            return Status.USAGE
        except Exception as error:
            if not (isinstance(error, (FlowLogsError, OSError)) or is_aws_error(error)):
                raise
            mistake = self._mistake(getattr(reader, 'session', None), error, log_group)
            message = failure(query, reader.report, error, reader.diagnose(error), writer.written, mistake=mistake)
            self._messages.error(error, message)
        if not (self._options.show_query or self._options.estimate):
            self._end(query, reader, writer)
        return self._messages.status

    def _end(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        """Tell what the read lacks and took, and end the output."""
        self._report_read(query, reader, writer)
        if (usage := reader.report.usage) and usage.queries:
            self._messages.note(used(self._options.engine, usage))
        if query.raw and not self._options.header and checks.regular_file(self._stdout):
            for note in nameless(reader.report):
                self._messages.note(note)
        writer.end(facts(query, reader.report, self._now), self._messages.told)

    def _with_subnets(self, query: Query, reader: BaseReader, session: AwsSession) -> Query:
        """Return the query with the mappings of the subnets, and give the reader its conditions."""
        from ..aws.subnets import find_subnets, mappings_of

        mappings, shared = mappings_of(find_subnets(session))
        if shared:
            self._messages.note(shared_blocks(shared))
        query = query.with_mappings(mappings)
        reader.set_query(query)
        return query

    def _ask(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        """Read, follow, or show what a read would do or take."""
        options = self._options
        if options.show_query:
            with writing():
                self._stdout.write(query_lines(reader))
        elif options.estimate:
            writer.before_write = self._messages.clear_progress
            writer.write(estimate_table(options.engine or LOCAL, reader.estimate()))
            writer.flush()
        elif options.follow:
            follow(reader, partial(self._round, query, reader, writer), self._clock, self._report_retry)
        else:
            if is_remote(options):
                writer.before_write = self._messages.clear_progress
            else:
                self._watch(query, reader, writer)
            self._read_once(query, reader, writer)

    def _watch(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        """Show the progress of a read on a terminal, and name the engine on AWS that would be quicker."""
        watchers: list[Callable[[Block], None]] = []
        if self._messages.shows_progress:
            self._messages.progress = progress = Progress(reader, self._messages.stderr)
            if self._width():
                writer.before_write = progress.clear
            elif self._is_pipe():
                # A pager may use the terminal from now on.
                writer.before_write = progress.stop
            watchers.append(progress)
        (source, *others) = words.sources_of(self._options)
        if source.asks_aws and not (others or query.compare or self._options.filter_pattern or self._options.quiet):
            from .suggest import Suggestion

            watchers.append(Suggestion(reader, source.name, query, self._clock.now, self._messages.note))

        def watch(block: Block) -> None:
            for watcher in watchers:
                watcher(block)

        reader.on_block = watch if watchers else None

    def _read_once(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        try:
            writer.write(local.run(query, [reader]))
            writer.flush()
        finally:
            if self._messages.progress:
                self._messages.progress.close()

    def _query_progress(self, usage: Usage) -> None:
        """Show on a terminal how far the queries of an engine on AWS are."""
        if self._messages.shows_progress:
            shown = self._messages.progress
            progress = shown if isinstance(shown, QueryProgress) else QueryProgress(self._messages.stderr)
            progress(usage)
            self._messages.progress = progress

    def _round(self, query: Query, reader: BaseReader, writer: Writer) -> None:
        self._rounds += 1
        writer.write(local.run(query, [reader]))
        if self._rounds == 1 or reader.report.left_out:
            self._report_read(query, reader, writer, waits=True)

    def _report_retry(self, error: Exception) -> None:
        self._messages.write(f'{explain(error)}; --follow goes on')

    def _report_read(self, query: Query, reader: BaseReader, writer: Writer, waits: bool = False) -> None:
        mismatch, failed = reader.mismatch(), self._messages.failed
        for note in after(query, reader.report, mismatch, writer.written, failed, waits, self._if_none):
            self._messages.add(note)

    def _is_pipe(self) -> bool:
        try:
            return stat.S_ISFIFO(os.fstat(self._stdout.fileno()).st_mode)
        except (OSError, ValueError):
            return False

    def _width(self) -> int:
        """Return the width of the terminal, in characters, or 0 if stdout is not a terminal."""
        return terminal_width(self._stdout)
