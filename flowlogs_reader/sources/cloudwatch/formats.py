"""The Layouts of a log group, from EC2 DescribeFlowLogs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from ...aws.background import in_background
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
        self._answer: Future[list[Layout]] | None = None
        self.trouble: Exception | None = None

    def ask(self, session: AwsSession) -> Callable[[], list[Layout]]:
        """Start the request to EC2 in a thread, and return a function that waits for the Layouts."""
        if self._answer is None:
            self._answer = Future()
            if self._layout:
                self._answer.set_result([self._layout])
            else:
                client = self._client or _client_with_short_timeouts(session)
                ask_ec2 = partial(self._ask_ec2, client, self._answer)
                if not in_background(ask_ec2):
                    ask_ec2()
        return self._answer.result

    def _ask_ec2(self, client: Any, answer: Future[list[Layout]]) -> None:
        try:
            answer.set_result(self._found(client) or [Layout()])
        except BaseException as error:
            answer.set_exception(error)

    def _found(self, client: Any) -> list[Layout]:
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
            return []
        layouts: list[Layout] = []
        for log_format in dict.fromkeys(formats):
            with suppress(ValueError):
                layouts.append(Layout.from_format(log_format))
        return layouts


def _client_with_short_timeouts(session: AwsSession) -> Any:
    """Return an EC2 client: in a subnet with an endpoint for Logs only, records must not wait long for EC2."""
    from botocore.config import Config

    return session.client(
        'ec2',
        config=Config(connect_timeout=5, read_timeout=10, retries={'mode': 'standard', 'total_max_attempts': 3}),
    )
