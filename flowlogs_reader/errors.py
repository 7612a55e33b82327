"""The exceptions that the package raises, and the causes that a caller can decide by.

    Exception
     +-- FlowLogsError             something that a user, AWS or the machine caused; `cause` says what, if it is known
     |    +-- IncompleteError      what came out is not everything; `unreadable` has the parts that could not be read
     |    +-- DamagedError         one file or object cannot be read, or not to its end
     |    +-- NothingThereError    a location holds no flow logs, or none that were asked for
     |    +-- OutputError          what was read cannot be written
     |    +-- MissingExtraError    a part of the package is needed that is installed separately
     +-- ValueError
          +-- UsageError           what the caller asked for has no meaning

botocore's own exceptions pass through the library unchanged; :mod:`flowlogs_reader.aws.trouble` sorts them into the
same causes.
"""

from __future__ import annotations

from enum import Enum, auto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Cause(Enum):
    """Why something failed, in a form that a program can decide by."""

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
    FORMAT_MISMATCH = auto()
    TOO_MANY_INTERVALS = auto()
    RESOURCE_UNKNOWN = auto()


class FlowLogsError(Exception):
    """Something that a user, AWS or the machine caused. The text says what was tried and why it failed."""

    def __init__(self, text: str, cause: Cause | None = None) -> None:
        super().__init__(text)
        self.cause = cause

    def within(self, place: str) -> FlowLogsError:
        """The same error, with the place where it was met before its text."""
        error = type(self)(f'{place}: {self}', self.cause)
        error.__cause__ = self.__cause__
        return error


class IncompleteError(FlowLogsError):
    """What came out is not everything: the source ended early, or several of its parts could not be read.

    `unreadable` has an error for each of these parts.
    """

    def __init__(self, text: str, cause: Cause | None = None, unreadable: Sequence[FlowLogsError] = ()) -> None:
        super().__init__(text, cause)
        self.unreadable = list(unreadable)


class DamagedError(FlowLogsError):
    """One file or object cannot be read, or not to its end. What came before the damage has been handed on."""


class NothingThereError(FlowLogsError):
    """A location holds no flow logs, or none of the accounts and Regions that were asked for."""


class OutputError(FlowLogsError):
    """What was read cannot be written."""


# What the extras of the package are made of. setup.py reads this line.
EXTRAS = {'fast': 'isal>=1.5', 'parquet': 'pyarrow>=14', 'progress': 'tqdm>=4.60'}


class MissingExtraError(FlowLogsError):
    """A library is needed that is installed separately."""

    def __init__(self, extra: str, purpose: str) -> None:
        # Not by the name of this package: pip might ask an index for it, and get another one.
        super().__init__(f'{purpose} needs a library: pip install "{EXTRAS[extra]}"')


class UsageError(ValueError):
    """What the caller asked for has no meaning. The text says what would have one."""

    def __init__(self, text: str, cause: Cause | None = None) -> None:
        super().__init__(text)
        self.cause = cause
