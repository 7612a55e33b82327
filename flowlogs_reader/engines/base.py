"""The contract of an engine: it answers a Query over sources with a Result.

An engine is a function ``run(query, sources) -> Result``. It writes nothing, reads nothing before the Result is
iterated over, and records the facts of the read in the sources' reports. If the read fails, the Result yields what was
read before, then raises the error. If nothing was read, a table has no rows.

Sources already have the conditions and the window of the query: they were opened with them, so that AWS can apply them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..query.query import Query
from ..query.result import Result
from ..sources.base import BaseReader


class Engine(Protocol):
    """The type of ``run``."""

    def __call__(self, query: Query, sources: Sequence[BaseReader]) -> Result: ...
