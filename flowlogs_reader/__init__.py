"""Read AWS VPC Flow Logs from CloudWatch Logs, S3, files and standard input."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .aggregation import aggregated_records
    from .cloudwatch import FlowLogsReader
    from .errors import FlowLogsError
    from .fields import DEFAULT_FIELDS
    from .files import FileFlowLogsReader
    from .record import FlowRecord
    from .s3 import S3FlowLogsReader

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
    'DEFAULT_FIELDS': 'fields',
    'FileFlowLogsReader': 'files',
    'FlowLogsError': 'errors',
    'FlowLogsReader': 'cloudwatch',
    'FlowRecord': 'record',
    'S3FlowLogsReader': 's3',
    'aggregated_records': 'aggregation',
}


def __dir__() -> list[str]:
    return [*__all__, '__version__']


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for: Ctrl-C meets the command line before its long imports."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)
