"""Which sources there are: a row for each, loaded when it is chosen."""

from __future__ import annotations

import os
import re
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import BaseReader


class Source:
    """A row: `about` is what a location is in words, `reader` the module and class that read it.

    `recognises` says by its form whether a text is a location of this source. Rows are asked in the order of SOURCES.
    `asks_aws` says whether the reader takes a session, and `settings` are the keywords that the command line, which
    promises exact windows, opens it with.
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
        """The class of its reader. Nothing of a source that is not chosen is ever imported."""
        module, _, name = self.reader.partition(':')
        found: type[BaseReader] = getattr(import_module(f'.{module}', __package__), name)
        return found


def _is_bucket(location: str) -> bool:
    return location.startswith('s3://') or re.match(r'arn:[a-z-]+:s3:', location) is not None


def _is_file(location: str) -> bool:
    # No log group is called like that, even if there is no such file.
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
    """The source of a location, by its form and by whether there is such a file; None if no source takes it."""
    return next((row for row in SOURCES.values() if row.recognises(location)), None)
