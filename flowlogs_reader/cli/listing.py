"""The table of --list: the flow logs, each with the command that reads it."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Callable

from ..aws.flow_logs import FlowLog, Interface, Search
from ..aws.session import AwsSession
from ..errors import FlowLogsError, UsageError
from ..query.result import Column, Table
from ..records.fields import Kind
from .stderr import PROGRAM, printable
from .summary import chosen

COLUMNS = (
    'flow_log_id', 'region', 'resource_id', 'traffic_type', 'destination', 'format', 'status', 'command',
)  # fmt: skip


class Listing:
    """Lists the flow logs that the options ask for. Raises UsageError if the resource is not a resource id."""

    def __init__(self, options: Namespace, session: AwsSession) -> None:
        try:
            self._search = Search(session, options.list, bool(options.all_regions))
        except UsageError as error:
            raise UsageError(f'--list: {error}') from None
        given = {'--profile': options.profile, '--role-arn': options.role_arn, '--external-id': options.external_id}
        self._arguments = [word for name, value in given.items() if value for word in (name, value)]

    def table(self, on_unreadable: Callable[[FlowLogsError], None]) -> Table:
        """Return the flow logs. Raises FlowLogsError if no Region has the resource."""
        rows = [(*(interface or ()), *self._shown(log)) for interface, log in self._search.rows(on_unreadable)]
        names = [*(Interface._fields if self._search.address else ()), *COLUMNS]
        # Reasons of failures and descriptions are any text.
        cells = [[*map(printable, row)] for row in rows]
        return Table.of_rows([Column(name, Kind.TEXT) for name in names], cells)

    def _shown(self, row: FlowLog | None) -> tuple[str, ...]:
        if row is None:
            return (*['-'] * (len(COLUMNS) - 1), '# no flow log covers this interface')
        return (*row[: row._fields.index('location')], self._command(row))

    def nothing(self) -> str:
        """Return the message if no flow log was found."""
        if self._search.resource:
            advice = 'those of a VPC that another account shares are only visible in that account'
            return f'no flow log covers {self._search.resource} {chosen(self._search.where())}: {advice}'
        advice = '' if self._search.all_regions else ': try --all-regions'
        return f'this account has no flow logs {chosen(self._search.where())}{advice}'

    def _command(self, row: FlowLog) -> str:
        if not row.location:
            return '# cannot be read from Firehose: read the destination of the stream'
        return shlex.join([PROGRAM, row.location, '--region', row.location_region, *self._arguments])
