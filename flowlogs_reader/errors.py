"""The exceptions that the package raises, and their causes for programs to test.

    Exception
     +-- FlowLogsError             the user, AWS or the machine caused a failure; `cause` says which, if it is known
     |    +-- IncompleteError      records are missing from the result; `unreadable` has an error for each part
     |    +-- DamagedError         one file or object cannot be read, or only in part
     |    +-- NothingThereError    a location has no flow logs, or none that were asked for
     |    +-- OutputError          the output cannot be written
     |    +-- MissingExtraError    an optional library is not installed
     +-- ValueError
          +-- UsageError           the caller gave an invalid argument

botocore's own exceptions pass through the library unchanged; :mod:`flowlogs_reader.aws.trouble` maps them to the same
causes.
"""

from __future__ import annotations

from enum import Enum, auto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    E = TypeVar('E', bound='FlowLogsError')


class Cause(Enum):
    """Why something failed, for programs to test."""

    DENIED = auto()
    CREDENTIALS_EXPIRED = auto()
    CREDENTIALS_REJECTED = auto()
    CREDENTIALS_MISSING = auto()
    CREDENTIALS_PARTIAL = auto()
    SIGNED_OUT = auto()
    PROFILE_UNKNOWN = auto()
    REGION_MISSING = auto()
    REGION_INVALID = auto()
    REGION_OTHER = auto()
    BUCKET_UNKNOWN = auto()
    GROUP_UNKNOWN = auto()
    OBJECT_GONE = auto()
    OBJECT_ARCHIVED = auto()
    THROTTLED = auto()
    UNAVAILABLE = auto()
    UNREACHABLE = auto()
    CONNECTION_BROKEN = auto()
    ANSWER_UNREADABLE = auto()
    FORMAT_MISMATCH = auto()
    TOO_MANY_INTERVALS = auto()
    SEVERAL_FORMATS = auto()
    RESOURCE_UNKNOWN = auto()
    FIELD_UNKNOWN = auto()
    OPERATOR_MISSING = auto()
    SEVERAL_CONDITIONS = auto()
    TIME_IN_CONDITION = auto()
    NAME_UNKNOWN = auto()
    OVER_BUDGET = auto()
    LOG_CLASS = auto()
    OUTPUT_MISSING = auto()
    TABLE_MISSING = auto()


class FlowLogsError(Exception):
    """A failure that the user, AWS or the machine caused. The text says what was tried and why it failed."""

    def __init__(self, text: str, cause: Cause | None = None) -> None:
        super().__init__(text)
        self.cause = cause

    def within(self, place: str) -> FlowLogsError:
        """Return the same error with `place`, where it occurred, in front of its text."""
        error = _restored(type(self), f'{place}: {self}', vars(self))
        error.__cause__ = self.__cause__
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception would pickle a call of the class with the text only: a subclass may take other arguments.
        return _restored, (type(self), str(self), vars(self))


def _restored(kind: type[E], text: str, attributes: dict[str, Any]) -> E:
    """Return an error without calling the `__init__` of its class."""
    error = kind.__new__(kind, text)
    vars(error).update(attributes)
    return error


class IncompleteError(FlowLogsError):
    """Records are missing from the result: the source ended early, or several of its parts could not be read.

    `unreadable` has an error for each of these parts.
    """

    def __init__(self, text: str, cause: Cause | None = None, unreadable: Sequence[FlowLogsError] = ()) -> None:
        super().__init__(text, cause)
        self.unreadable = list(unreadable)


class DamagedError(FlowLogsError):
    """One file or object cannot be read, or only in part. The records before the damage were returned."""


class NothingThereError(FlowLogsError):
    """A location has no flow logs, or none of the accounts and Regions that were asked for."""


class OutputError(FlowLogsError):
    """The output cannot be written."""


# The libraries that each extra of the package installs. setup.py reads this line.
EXTRAS = {'fast': 'isal>=1.5', 'parquet': 'pyarrow>=14', 'progress': 'tqdm>=4.60', 'report': 'plotly>=5.10'}


class MissingExtraError(FlowLogsError):
    """An optional library is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        # Do not name this package: pip would install flowlogs_reader 5.0.1 from the index.
        super().__init__(f'{purpose} needs a library: pip install "{EXTRAS[extra]}"')


class UsageError(ValueError):
    """The caller gave an invalid argument. The text says what is valid.

    `statement` is SQL of several lines: after the caller has run it, the argument is valid. It is empty if SQL does not
    help.
    """

    def __init__(self, text: str, cause: Cause | None = None, statement: str = '') -> None:
        super().__init__(text)
        self.cause = cause
        self.statement = statement
