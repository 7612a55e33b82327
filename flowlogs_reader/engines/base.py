"""What an engine owes: it answers a Query over sources with a Result.

An engine is a function ``run(query, sources) -> Result``. It reads nothing before the Result is iterated over, writes
nothing, and leaves what is known about the read in the sources' reports. If the reading fails, the Result gives what
was read before and then raises the error. A table of a read that brought nothing has no rows.

Sources have the conditions and the window of the query already: they were opened with them, so that AWS can leave out
what is not asked for.
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
