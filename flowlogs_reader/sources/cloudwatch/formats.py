"""The layouts of a log group, from EC2 DescribeFlowLogs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

from ...aws.session import AwsSession
from ...aws.trouble import is_aws_error, is_denied, member
from ...errors import FlowLogsError
from ...records.layout import Layout


class Formats:
    """The Layouts of a log group: `layout` if it is given, else what EC2 answers, else the default format.

    `trouble` is the error of EC2; a missing permission is not one.
    """

    def __init__(self, layout: Layout | None, log_group: str, client: Any = None) -> None:
        self._layout = layout
        self._log_group = log_group
        self._client = client
        self._asking: Thread | None = None
        self._found: list[Layout] = []
        self.trouble: Exception | None = None

    def ask(self, session: AwsSession) -> Callable[[], list[Layout]]:
        """Start the request to EC2 in a thread, and return a function that waits for the Layouts."""
        if self._layout:
            return partial(list, [self._layout])
        if self._asking is None:
            client = self._client or _client_with_short_timeouts(session)
            self._asking = Thread(target=self._describe, args=(client,), daemon=True)
            self._asking.start()
        asking = self._asking

        def layouts() -> list[Layout]:
            asking.join()
            return self._found or [Layout()]

        return layouts

    def _describe(self, client: Any) -> None:
        """Ask EC2. A missing permission or flow log is normal: the group may belong to another account."""
        formats: list[str] = []
        asked: dict[str, Any] = {'Filters': [{'Name': 'log-group-name', 'Values': [self._log_group]}]}
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
                self.trouble = error
            return
        for log_format in dict.fromkeys(formats):
            try:
                self._found.append(Layout.from_format(log_format))
            except ValueError:
                continue


def _client_with_short_timeouts(session: AwsSession) -> Any:
    """Return an EC2 client: in a subnet with an endpoint for Logs only, records must not wait long for EC2."""
    from botocore.config import Config

    return session.client(
        'ec2',
        config=Config(connect_timeout=5, read_timeout=10, retries={'mode': 'standard', 'total_max_attempts': 3}),
    )
