"""Read AWS VPC Flow Logs from CloudWatch Logs, S3, files and standard input."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .engines.sums import aggregated_records
    from .errors import FlowLogsError
    from .records.fields import DEFAULT_FIELDS
    from .records.record import FlowRecord
    from .sources.cloudwatch.reader import FlowLogsReader
    from .sources.files import FileFlowLogsReader
    from .sources.s3.reader import S3FlowLogsReader

__all__ = [
    'DEFAULT_FIELDS',
    'FileFlowLogsReader',
    'FlowLogsError',
    'FlowLogsReader',
    'FlowRecord',
    'S3FlowLogsReader',
    'aggregated_records',
]
__version__ = '6.0.0'

_HOMES = {
    'DEFAULT_FIELDS': 'records.fields',
    'FileFlowLogsReader': 'sources.files',
    'FlowLogsError': 'errors',
    'FlowLogsReader': 'sources.cloudwatch.reader',
    'FlowRecord': 'records.record',
    'S3FlowLogsReader': 'sources.s3.reader',
    'aggregated_records': 'engines.sums',
}


def __dir__() -> list[str]:
    return [*__all__, '__version__']


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for: Ctrl-C meets the command line before its long imports."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)
