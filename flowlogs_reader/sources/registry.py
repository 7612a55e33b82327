"""The table of sources. A source is imported when it is chosen."""

from __future__ import annotations

import os
import re
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from ..query.query import Query
    from .base import BaseReader


class Source:
    """A row: `about` describes a location, `reader` is the module and class that read it.

    `recognises` detects a location of this source from its text; the first row of SOURCES that does is chosen.
    `asks_aws` says whether the reader takes a session. `settings` are keywords that the command line adds, because its
    windows are exact.
    """

    def __init__(
        self,
        name: str,
        about: str,
        reader: str,
        recognises: Callable[[str], bool],
        asks_aws: bool = False,
        settings: dict[str, object] | None = None,
    ) -> None:
        self.name = name
        self.about = about
        self.reader = reader
        self.recognises = recognises
        self.asks_aws = asks_aws
        self.settings = settings or {}

    def load(self) -> type[BaseReader]:
        """Import and return the class of the reader."""
        module, _, name = self.reader.partition(':')
        found: type[BaseReader] = getattr(import_module(f'.{module}', __package__), name)
        return found

    def open(self, location: str | BinaryIO, query: Query, **keywords: Any) -> BaseReader:
        """Make the reader of a location for a query. `keywords` are others of its class."""
        # The help of the command line imports this module too, and should start at once.
        from datetime import timedelta

        from ..records.times import EPOCH

        if query.window:
            start, end = (EPOCH + timedelta(milliseconds=ms) for ms in query.window)
            keywords = {'start_time': start, 'end_time': end, **keywords}
        # A reader takes its location, and names its keywords: see base.py.
        reader_class: Callable[..., BaseReader] = self.load()
        return reader_class(
            location,
            fields=query.fields,
            where=query.conditions,
            count_skipdata=query.sums,
            **self.settings,
            **keywords,
        )


def _is_bucket(location: str) -> bool:
    return location.startswith('s3://') or re.match(r'arn:[a-z-]+:s3:', location) is not None


def _is_file(location: str) -> bool:
    # A log group cannot have such a name, even if the file does not exist.
    if location == '-' or location.startswith(('./', '../')):
        return True
    return '/' in location if os.path.isdir(location) else os.path.exists(location)


def _is_group(location: str) -> bool:
    return '://' not in location


SOURCES: dict[str, Source] = {
    row.name: row
    for row in (
        Source('s3', 'a bucket', 's3.reader:S3FlowLogsReader', _is_bucket, True, {'exact_window': True}),
        Source('file', 'a file', 'files:FileFlowLogsReader', _is_file),
        Source('cwl', 'a log group', 'cloudwatch.reader:FlowLogsReader', _is_group, True),
    )
}


def recognise(location: str) -> Source | None:
    """Return the source of a location, by its form and by whether the file exists, or None if no source matches."""
    return next((row for row in SOURCES.values() if row.recognises(location)), None)
