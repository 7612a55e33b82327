"""The reader of flow logs in CloudWatch Logs (FilterLogEvents)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from ...aws.log_groups import MissingLogGroup, find_missing_group, parse_arn
from ...aws.session import AwsSession, retry_without
from ...aws.trouble import error_code, is_aws_error
from ...errors import FlowLogsError
from ...query.conditions import Condition
from ...records.block import Block
from ...records.fields import DEFAULT_FIELDS
from ...records.layout import Layout
from ...records.times import resume_text
from ..aws_reader import AwsReader
from ..report import Estimate
from .formats import Formats
from .ordering import REMEMBERED_IDS, HeldEvents, RecentIds, by_layout
from .pages import PAGE, Page, join, page_of, store_page
from .paging import PAGE_EVENTS, PAGES_IN_SLICE, Paging
from .pushdown import filter_pattern as pattern_of
from .pushdown import interfaces
from .sampling import SAMPLE_EVENTS, SAMPLE_PAGES, measure

# The largest number of stream names (FilterLogEvents, `logStreamNames`).
MAX_STREAMS = 100
# The largest page, and the usual length of an event and of a request.
PAGE_BYTES = 1_048_576
EVENT_BYTES = 110
SECONDS_A_PAGE = 0.5


class FlowLogsReader(AwsReader):
    """Reads the flow log records of a CloudWatch Logs group with event times in [start_time, end_time), oldest first.

    `log_group_name` is a name or an ARN, whose Region is the default. `filter_pattern` is passed to CloudWatch, which
    returns only matching events, and bills nothing for the scan. `fields` are the names of the log's fields; None asks
    EC2 DescribeFlowLogs, with `ec2_client` if it is given.

    `thread_count` 0 reads one event page ahead, 1 reads nothing ahead, more reads so many slices of the window at once.
    A `boto_client` is used unchanged, with its paginator. `pushdown` lets CloudWatch apply conditions as a filter
    pattern, if that cannot change the result.

    The other keywords are those of :class:`~flowlogs_reader.sources.base.BaseReader`. Raises botocore's errors,
    IncompleteError if AWS repeats a page token, UsageError for an invalid argument, and ValueError for a malformed line
    with `raise_on_error`.
    """

    POLL_SECONDS = 10
    FIELDS_HELP = 'fields=None asks EC2 for those of the log, fields=[...] names them'

    def __init__(
        self,
        log_group_name: str,
        filter_pattern: str | None = None,
        thread_count: int = 0,
        fields: Sequence[str] | None = DEFAULT_FIELDS,
        ec2_client: Any = None,
        region_name: str | None = None,
        profile_name: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        boto_client: Any = None,
        boto_client_kwargs: dict[str, Any] | None = None,
        raise_on_error: bool = False,
        *,
        where: Iterable[str | Condition] = (),
        count_skipdata: bool = False,
        exact_window: bool = False,
        pushdown: bool = True,
        on_unreadable: Callable[[FlowLogsError], None] | None = None,
        session: AwsSession | None = None,
    ) -> None:
        self._arn = parse_arn(log_group_name)
        super().__init__(
            region_name=region_name or (self._arn.region if self._arn else None),
            profile_name=profile_name,
            start_time=start_time,
            end_time=end_time,
            boto_client=boto_client,
            boto_client_kwargs=boto_client_kwargs,
            session=session,
            exact_window=exact_window,
            thread_count=thread_count,
            fields=fields,
            where=where,
            count_skipdata=count_skipdata,
            raise_on_error=raise_on_error,
            on_unreadable=on_unreadable,
        )
        self.log_group_name = log_group_name
        self.paginator_kwargs: dict[str, Any] = {} if filter_pattern is None else {'filterPattern': filter_pattern}
        pushed = pattern_of(self.where.conditions, count_skipdata) if pushdown and not filter_pattern else None
        if pushed:
            self.paginator_kwargs['filterPattern'] = pushed
        self._pushdown = pushdown and self._client is None
        self._formats = Formats(self.layout, self._name(), ec2_client)
        self._seen = RecentIds()
        self._follow_ids: RecentIds | None = None
        self._late_ms = self._forgot_ms = 0

    @property
    def boto_client(self) -> Any:
        if self._client is None:
            self._client = self.session.client('logs')
            events = self._client.meta.events
            events.register('before-parse.cloudwatch-logs.FilterLogEvents', store_page)
            events.register_first('needs-retry.cloudwatch-logs.FilterLogEvents', retry_without((PAGE, 'events')))
        return self._client

    def describe(self) -> str:
        window = ' to '.join(map(resume_text, (self.start_ms, self.end_ms)))
        return f'{self.log_group_name} in {self.session.region} from {window}'

    def diagnose(self, error: Exception) -> MissingLogGroup | object | None:
        """Look for a log group that was not found; asks other Regions for up to three seconds."""
        if error_code(error) != 'ResourceNotFoundException' or self.report.matched:
            return super().diagnose(error)
        return find_missing_group(self.session, self._name(), self._arn)

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """Prepare for the next window. A generation of ids lasts as long as windows overlap."""
        super().go_on(start_ms, end_ms, late_ms)
        if self._follow_ids is None:
            self._follow_ids, self._forgot_ms = RecentIds(limit=None), start_ms
        elif start_ms - self._forgot_ms >= end_ms - late_ms:
            self._follow_ids.forget()
            self._forgot_ms = start_ms
        self._late_ms = late_ms

    def layouts(self) -> list[Layout]:
        """Return the formats of the log: those that were given, else those that EC2 reports, else the default one."""
        found = self._formats.ask(self.session)()
        self.report.format_trouble = self._formats.trouble
        return found

    def sample(self, count: int) -> bytes:
        """Return the first lines of the window, `count` at most: those of one event page. Raises botocore's errors."""
        return self._page(self.start_ms, self.end_ms - 1, count)[0].lines

    def estimate(self) -> Estimate:
        """Return what reading the whole window would take, from samples of it; at most what the log group stores.

        Conditions are left out of account. FilterLogEvents is not billed by the byte.
        """
        size = measure(self.start_ms, self.end_ms, self._sampled)
        stored = None if size.exact else self._stored_bytes()
        if size.bytes is None and stored is None:
            return Estimate(dollars=0.0)
        # CloudWatch counts stored bytes some time after it received them.
        text = max(size.seen, min(known for known in (size.bytes, stored) if known is not None))
        events = size.events * text / size.bytes if size.bytes else text / EVENT_BYTES
        pages = max(1, ceil(text / PAGE_BYTES), ceil(events / PAGE_EVENTS))
        # The last page of each slice is not full.
        requests = pages + (ceil(pages / PAGES_IN_SLICE) if pages > 1 < self.thread_count else 0)
        seconds = requests * SECONDS_A_PAGE / max(1, self.thread_count)
        return Estimate(round(text), requests, dollars=0.0, seconds=seconds)

    def part_read(self) -> float | None:
        """Return the part of the read that is done, by samples of the whole window and of its rest."""
        reached = self.complete_until
        if reached is None:
            return None
        try:
            whole = measure(self.start_ms, self.end_ms, self._sampled).bytes
            rest = measure(reached, self.end_ms, self._sampled).bytes
        except Exception as error:
            if not is_aws_error(error):
                raise
            return super().part_read()
        return super().part_read() if not whole or rest is None else max(0.0, 1 - rest / whole)

    def _stored_bytes(self) -> int | None:
        """Return the bytes that the log group stores, or None if AWS does not say so."""
        try:
            answer = self.boto_client.describe_log_groups(logGroupNamePrefix=self._name())
        except Exception as error:
            if not is_aws_error(error):
                raise
            return None
        groups = answer.get('logGroups', ())
        return next((group.get('storedBytes') for group in groups if group['logGroupName'] == self._name()), 0) or None

    def _sampled(self, start_ms: int, end_ms: int) -> tuple[Page, bool]:
        """Return the first events of a window, of two moments if few pages have them, and whether there are more."""
        whole, token = self._page(start_ms, end_ms - 1, SAMPLE_EVENTS)
        for _ in range(SAMPLE_PAGES - 1):
            if not token or whole.first != whole.last:
                break
            page, token = self._page(start_ms, end_ms - 1, SAMPLE_EVENTS, token)
            whole = join(whole, page)
        return whole, bool(token)

    def _page(
        self, start_ms: int, end_ms: int, count: int = PAGE_EVENTS, token: str | None = None
    ) -> tuple[Page, str | None]:
        """Return an event page of a window with its end, the first one or that of a token, and the next token."""
        asked: dict[str, Any] = {'startTime': start_ms, 'endTime': end_ms, 'limit': count}
        if token:
            asked['nextToken'] = token
        answer = self.boto_client.filter_log_events(**self._group(), **asked)
        return answer.get(PAGE) or page_of(answer['events']), answer.get('nextToken')

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        self.report.complete_until, self.report.in_order = self.start_ms, True
        # Sessions are not thread-safe: create the client before the threads start.
        self._client = self.boto_client
        formats = self._formats.ask(self.session)
        if self._pushdown:
            self.paginator_kwargs.pop('logStreamNames', None)
            self.paginator_kwargs.update(self._streams())
        for lines in self._lines(limit):
            self.report.text_bytes += len(lines) - lines.count(b'\n')
            layouts = formats()
            self.report.format_trouble = self._formats.trouble
            yield from by_layout(lines, layouts, self.log_group_name)
        if not self.report.read:
            # Report the layouts even if CloudWatch found nothing.
            self.report.read.update(dict.fromkeys(formats(), 0))

    def _lines(self, limit: int | None) -> Iterator[bytes]:
        """Yield lines in order, each event once. At any time they are complete up to `complete_until`.

        With a limit no events are held back: that would take more requests than the events themselves.
        """
        held = HeldEvents(self.start_ms)
        paging = Paging(self.boto_client, self.log_group_name, {**self._group(), **self.paginator_kwargs})
        workers = self.workers if limit is None else 0
        page_size = limit if limit and not self.where.conditions else None
        for page in paging.pages(self.start_ms, self.end_ms, workers, page_size):
            lines, ids = (page.lines, page.ids) if limit else held.release(page)
            # Keep all ids of a moment that has spilled: its events may still be repeated.
            self._seen.limit = None if held.spilled else REMEMBERED_IDS
            self.report.spilled = held.spilled
            lines, ids = self._seen.drop_repeats(lines, ids)
            if self._follow_ids is not None:
                lines, ids = self._follow_ids.drop_repeats(lines, ids, remember=held.since >= self._late_ms)
            yield lines
            self.report.complete_until = held.since

    def _group(self) -> dict[str, str]:
        if self.log_group_name.startswith('arn:'):
            return {'logGroupIdentifier': self.log_group_name.removesuffix(':*')}
        return {'logGroupName': self.log_group_name}

    def _name(self) -> str:
        return self._arn.name if self._arn else self.log_group_name

    def _streams(self) -> dict[str, list[str]]:
        """Return the log streams to read if a condition requires interfaces; empty to read all streams.

        A stream has all records of an interface (vpc/latest/userguide/flow-logs-cwl); all names that were observed
        begin with its id. If an interface has no such stream, all streams are read.
        """
        wanted = interfaces(self.where.conditions)
        if not wanted:
            return {}
        names: list[str] = []
        try:
            for interface in wanted:
                answer = self.boto_client.describe_log_streams(**self._group(), logStreamNamePrefix=interface)
                found = [stream['logStreamName'] for stream in answer.get('logStreams', ())]
                if not found or 'nextToken' in answer:
                    return {}
                names += found
        except Exception as error:
            if not is_aws_error(error):
                raise
            return {}
        return {'logStreamNames': names} if len(names) <= MAX_STREAMS else {}
