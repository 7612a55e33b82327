"""The base class of sources in AWS: a session, a client, and the last hour as default window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from ..aws.session import AwsSession
from ..errors import FlowLogsError
from ..query.conditions import Condition
from .base import LAST_HOUR, BaseReader


class AwsReader(BaseReader):
    """A reader with clients of one AWS session.

    `session` replaces `region_name`, `profile_name` and `boto_client_kwargs`. A `boto_client` is used unchanged. The
    default window is the last hour.
    """

    def __init__(
        self,
        *,
        region_name: str | None,
        profile_name: str | None,
        start_time: datetime | None,
        end_time: datetime | None,
        boto_client: Any,
        boto_client_kwargs: dict[str, Any] | None,
        session: AwsSession | None,
        exact_window: bool,
        thread_count: int,
        fields: Sequence[str] | None,
        where: Iterable[str | Condition],
        count_skipdata: bool,
        raise_on_error: bool,
        on_unreadable: Callable[[FlowLogsError], None] | None,
    ) -> None:
        end_time = end_time or datetime.now(timezone.utc).replace(tzinfo=None)
        super().__init__(
            start_time=start_time or end_time - LAST_HOUR,
            end_time=end_time,
            exact_window=exact_window,
            thread_count=thread_count,
            fields=fields,
            where=where,
            count_skipdata=count_skipdata,
            raise_on_error=raise_on_error,
            on_unreadable=on_unreadable,
        )
        self.session = session or AwsSession(region_name, profile_name, client_kwargs=boto_client_kwargs)
        self.region_name = self.session.region_name
        self._client = boto_client
        self._client_given = boto_client is not None

    def diagnose(self, error: Exception) -> object | None:
        return self.session.sign_in_for(error)
