"""Flow logs in CloudWatch Logs, through FilterLogEvents."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from threading import Thread
from typing import Any

from ...aws.log_groups import parse_arn, whereabouts
from ...aws.session import retry_without
from ...errors import FlowLogsError, IncompleteError, error_code, explain, is_aws_error, is_denied, member
from ...query.typed_times import resume_text
from ...records.fields import DEFAULT_FIELDS
from ...records.layout import Block, Layout
from ..base import BaseReader
from ..ordered import in_order
from .ordering import REMEMBERED_IDS, Held, RecentIds, by_format
from .pages import PAGE, Page, page_of, take_page
from .paging import Slices, slices

OPERATION = 'filter_log_events'
# A page holds at most 10,000 events (FilterLogEvents, `limit`).
PAGE_EVENTS = 10_000
# FilterLogEvents takes this many stream names.
MAX_STREAMS = 100


class FlowLogsReader(BaseReader):
    """The flow log records of a CloudWatch Logs group whose events lie in [start_time, end_time), oldest first.

    `log_group_name` is a name or an ARN, whose Region counts where none is given. `filter_pattern` is handed to
    CloudWatch, which bills nothing for the scan but returns only matching events. `fields` names the columns of the
    log; None asks EC2 DescribeFlowLogs.

    `thread_count` 0 reads one page ahead, 1 reads nothing ahead, more reads as many slices of the time window at once.
    A `boto_client` is used as it is, through its paginator. `pushdown` lets conditions be handed to CloudWatch as a
    filter pattern, where that cannot change the result.

    With `spilled`, some of what starts at `complete_until` has come out as well: a moment held more than memory should.
    `format_trouble` says why EC2 did not tell the format, where it was asked and did not refuse.

    Raises botocore's errors, IncompleteError where AWS repeats itself, and ValueError with `raise_on_error`.
    """

    def __init__(
        self,
        log_group_name: str,
        filter_pattern: str | None = None,
        thread_count: int = 0,
        fields: Sequence[str] | None = DEFAULT_FIELDS,
        ec2_client: Any = None,
        pushdown: bool = True,
        **options: Any,
    ) -> None:
        self._arn = parse_arn(log_group_name)
        region_name = options.pop('region_name', None) or (self._arn and self._arn.region)
        super().__init__(thread_count=thread_count, fields=fields, region_name=region_name, **options)
        self.log_group_name = log_group_name
        self.paginator_kwargs: dict[str, Any] = {} if filter_pattern is None else {'filterPattern': filter_pattern}
        pushed = self.where.pattern() if pushdown and not filter_pattern else None
        if pushed:
            self.paginator_kwargs['filterPattern'] = pushed
        self._pushdown = pushdown and self._client is None
        self._ec2_client = ec2_client
        self._seen = RecentIds()
        self._came: RecentIds | None = None
        self._late_ms = self._forgot_ms = 0
        self._asking: Thread | None = None
        self._found: list[Layout] = []
        self.format_trouble = ''
        self.spilled = False

    @property
    def boto_client(self) -> Any:
        if self._client is None:
            self._client = self.session.client('logs')
            events = self._client.meta.events
            events.register('before-parse.cloudwatch-logs.FilterLogEvents', take_page)
            events.register_first('needs-retry.cloudwatch-logs.FilterLogEvents', retry_without((PAGE, 'events')))
        return self._client

    def describe(self) -> str:
        window = ' to '.join(map(resume_text, (self.start_ms, self.end_ms)))
        return f'{self.log_group_name} in {self.session.region} from {window}'

    def go_on(self, start_ms: int, end_ms: int, late_ms: int) -> None:
        """Ids are forgotten in generations of as many milliseconds as windows overlap."""
        super().go_on(start_ms, end_ms, late_ms)
        if self._came is None:
            self._came, self._forgot_ms = RecentIds(limit=None), start_ms
        elif start_ms - self._forgot_ms >= end_ms - late_ms:
            self._came.forget()
            self._forgot_ms = start_ms
        self._late_ms = late_ms

    def explain_missing_group(self) -> str:
        """Why the log group may not be found, and where it is; asks other Regions for up to three seconds."""
        region, source = self.session.region_and_source
        name = self._name()
        message = f'there is no log group {name} in {region} ({source})'
        if self._arn:
            return f'{message} of account {self._arn.account}: check the ARN, and whether that account shares it'
        regions, similar = whereabouts(self.session, name)
        if os.path.isdir(name):
            return f'{message}; there is a directory of this name: to read it, write {name}/'
        if regions:
            return f'{message}; there is one in {", ".join(regions)}: add --region {regions[0]}'
        if similar:
            return f'{message}; there is {", ".join(similar)}'
        return f'{message}, nor in another Region that answered, nor a file: check the name, --region and --profile'

    def _read(self, limit: int | None) -> Generator[Block, None, None]:
        self.complete_until = self.start_ms
        # Sessions are not thread-safe: the client is made before any thread begins.
        self._client = self.boto_client
        formats = self._formats()
        if self._pushdown:
            self.paginator_kwargs.pop('logStreamNames', None)
            self.paginator_kwargs.update(self._streams())
        for lines in self._lines(limit):
            self.bytes_processed += len(lines) - lines.count(b'\n')
            yield from by_format(lines, formats(), self.log_group_name)
        if not self.layouts:
            # Where CloudWatch found nothing, it is still known what its records would have.
            self.layouts = dict.fromkeys(formats())

    # -- pages ------------------------------------------------------------------------------------------------------

    def _lines(self, limit: int | None) -> Iterator[bytes]:
        """Lines in order, each event once. What comes out is complete up to `complete_until` at any moment.

        With a limit nothing is held back for that: it would take more requests than the messages themselves.
        """
        held = Held(self.start_ms)
        for page in self._pages(limit):
            lines, ids = (page.lines, page.ids) if limit else held.through(page)
            # Ids of a moment that is not over must not be forgotten.
            self._seen.limit = None if held.spilled else REMEMBERED_IDS
            self.spilled = held.spilled
            lines, ids = self._seen.fresh(lines, ids)
            if self._came is not None:
                lines, ids = self._came.fresh(lines, ids, remember=held.since >= self._late_ms)
            yield lines
            self.complete_until = held.since

    def _pages(self, limit: int | None) -> Iterator[Page]:
        if self.start_ms >= self.end_ms:
            return
        whole = partial(self._chain, self.start_ms, self.end_ms, limit)
        workers = self.thread_count if limit is None else 1
        if workers <= 1:
            yield from in_order([whole], workers=1 - workers, waiting=1)
            return
        chain = whole()
        first = next(chain, Page(b'', b'', until=self.end_ms))
        cut = self._cut(first, workers)
        if not cut:
            yield first
            yield from in_order([lambda: chain], workers=1, waiting=1)
            return
        yield first.before_last()
        tasks = (partial(self._slice, cut, *bounds) for bounds in cut)
        yield from in_order(tasks, workers=workers, waiting=workers)

    def _cut(self, first: Page, workers: int) -> Slices | None:
        """What the first page has left, in slices. Its last events may be incomplete, and are read again."""
        if first.until is not None or not first.in_order:
            return None
        if first.first is None or first.last is None:
            return slices(self.start_ms, self.end_ms, 0, workers)
        return slices(first.last, self.end_ms, first.last - first.first, workers)

    def _slice(self, cut: Slices, start_ms: int, end_ms: int) -> Iterator[Page]:
        pages = 0
        for page in self._chain(start_ms, end_ms, None):
            pages += 1
            yield page
        cut.took(pages, end_ms - start_ms)

    def _chain(self, start_ms: int, end_ms: int, limit: int | None) -> Iterator[Page]:
        """The pages of [start_ms, end_ms), one request after the other.

        A page token lives for 24 hours (FilterLogEvents). After that the chain begins anew where it was: the events of
        that moment come again, and are recognised.
        """
        from botocore.exceptions import ClientError

        since, begun = start_ms, True
        while begun:
            begun = False
            try:
                for page in self._requests(since, end_ms, limit):
                    yield page
                    if page.last is not None and page.last > since:
                        since, begun = page.last, True
                return
            except ClientError as error:
                if not begun or error_code(error) != 'InvalidParameterException':
                    raise

    def _requests(self, start_ms: int, end_ms: int, limit: int | None) -> Iterator[Page]:
        kwargs: dict[str, Any] = {**self._group(), 'startTime': start_ms, 'endTime': end_ms - 1, 'interleaved': True}
        kwargs.update(self.paginator_kwargs)
        if limit and not self.where:
            kwargs['PaginationConfig'] = {'PageSize': min(limit, PAGE_EVENTS)}
        tokens: set[int] = set()
        for response in self._responses(kwargs):
            token = response.get('nextToken')
            try:
                page = response.get(PAGE) or page_of(response['events'])
            except (LookupError, TypeError, ValueError, AttributeError):
                raise IncompleteError(f'CloudWatch Logs gave an unreadable page of {self.log_group_name}') from None
            yield page if token else page._replace(until=end_ms)
            if token and hash(token) in tokens:
                raise IncompleteError(f'CloudWatch Logs gave the same page token twice for {self.log_group_name}')
            tokens.add(hash(token))

    def _responses(self, kwargs: dict[str, Any]) -> Iterator[dict[str, Any]]:
        from botocore.exceptions import PaginationError

        try:
            yield from self.boto_client.get_paginator(OPERATION).paginate(**kwargs)
        except PaginationError as error:
            raise IncompleteError(
                f'CloudWatch Logs gave the same page token twice for {self.log_group_name}'
            ) from error

    def _group(self) -> dict[str, str]:
        if self.log_group_name.startswith('arn:'):
            return {'logGroupIdentifier': self.log_group_name.removesuffix(':*')}
        return {'logGroupName': self.log_group_name}

    def _name(self) -> str:
        return self._arn.name if self._arn else self.log_group_name

    def _streams(self) -> dict[str, list[str]]:
        """The log streams to read when a condition names interfaces: one stream holds all records of an interface
        (vpc/latest/userguide/flow-logs-cwl), and begins with its id as far as anybody has seen. Where no stream does
        for one of them, all are read.
        """
        interfaces = self.where.interfaces()
        if not interfaces:
            return {}
        names: list[str] = []
        try:
            for interface in interfaces:
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

    # -- format -----------------------------------------------------------------------------------------------------

    def _formats(self) -> Callable[[], list[Layout]]:
        """The Layouts of the group, found out while the first page is on its way."""
        if self.layout:
            return partial(list, [self.layout])
        if self._asking is None:
            self._asking = Thread(target=self._describe, args=(self._found, self._ec2()), daemon=True)
            self._asking.start()
        asking = self._asking

        def formats() -> list[Layout]:
            asking.join()
            return self._found or [Layout()]

        return formats

    def _ec2(self) -> Any:
        if self._ec2_client is None:
            from botocore.config import Config

            # In a subnet with an endpoint for Logs only, EC2 cannot be reached: the records need not wait for it long.
            hasty = Config(connect_timeout=5, read_timeout=10, retries={'mode': 'standard', 'total_max_attempts': 3})
            self._ec2_client = self.session.client('ec2', config=hasty)
        return self._ec2_client

    def _describe(self, found: list[Layout], client: Any) -> None:
        """Asks DescribeFlowLogs. No permission, or no flow log, is normal: the group may be another account's."""
        formats: list[str] = []
        asked: dict[str, Any] = {'Filters': [{'Name': 'log-group-name', 'Values': [self._name()]}]}
        try:
            while True:
                answer = client.describe_flow_logs(**asked)
                formats += [flow_log.get('LogFormat', '') for flow_log in member(answer, 'FlowLogs')]
                if not answer.get('NextToken'):
                    break
                asked['NextToken'] = answer['NextToken']
        except Exception as error:
            if not (is_aws_error(error) or isinstance(error, FlowLogsError)):
                raise
            if not is_denied(error):
                self.format_trouble = f'the format of the log is not known ({explain(error)}): the default one is taken'
            return
        for log_format in dict.fromkeys(formats):
            try:
                found.append(Layout.from_format(log_format))
            except ValueError:
                continue
