"""Read AWS VPC Flow Logs from CloudWatch Logs, S3, files and standard input.

>>> from flowlogs_reader import FileFlowLogsReader
>>> sum(record.bytes for record in FileFlowLogsReader('tests/data/seed-minute.log'))
11238

A reader is an iterator of FlowRecords: FlowLogsReader reads a log group, S3FlowLogsReader a bucket, and
FileFlowLogsReader a file, a directory or a stream. aggregated_records sums records by their fields. run answers a
Query, as the command line does.

The package has one module or folder for each stage of processing. A stage imports only from those above it:

    errors      exceptions and their causes
    kernel      the work for each record: check, test, sum, encode
    records     lines: fields, layouts, Blocks, FlowRecord
    query       queries: conditions, group keys, times; and results
    aws         access to AWS: sessions, meaning of errors, log groups, flow logs
    sources     input: files, CloudWatch Logs, S3
    engines     answering queries
    output      writing results
    cli         the command line: argv in, exit status out
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .aws.session import AwsSession
    from .engines.run import run
    from .engines.sums import aggregated_records
    from .errors import (
        Cause,
        DamagedError,
        FlowLogsError,
        IncompleteError,
        MissingExtraError,
        NothingThereError,
        OutputError,
        UsageError,
    )
    from .query.query import Query, Window
    from .records.block import Block
    from .records.fields import DEFAULT_FIELDS
    from .records.layout import Layout
    from .records.record import FlowRecord
    from .sources.cloudwatch.reader import FlowLogsReader
    from .sources.files import FileFlowLogsReader
    from .sources.report import ReadReport
    from .sources.s3.reader import S3FlowLogsReader

__all__ = [
    'AwsSession',
    'Block',
    'Cause',
    'DEFAULT_FIELDS',
    'DamagedError',
    'FileFlowLogsReader',
    'FlowLogsError',
    'FlowLogsReader',
    'FlowRecord',
    'IncompleteError',
    'Layout',
    'MissingExtraError',
    'NothingThereError',
    'OutputError',
    'Query',
    'ReadReport',
    'S3FlowLogsReader',
    'UsageError',
    'Window',
    'aggregated_records',
    'run',
]
__version__ = '6.1.0'

_MODULES = {
    'AwsSession': 'aws.session',
    'Block': 'records.block',
    'DEFAULT_FIELDS': 'records.fields',
    'FileFlowLogsReader': 'sources.files',
    'FlowLogsReader': 'sources.cloudwatch.reader',
    'FlowRecord': 'records.record',
    'Layout': 'records.layout',
    'Query': 'query.query',
    'ReadReport': 'sources.report',
    'S3FlowLogsReader': 'sources.s3.reader',
    'Window': 'query.query',
    'aggregated_records': 'engines.sums',
    'run': 'engines.run',
}


def __dir__() -> list[str]:
    return [*__all__, '__version__']


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the command line can handle Ctrl-C before its long imports."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    return getattr(import_module(f'.{_MODULES.get(name, "errors")}', __name__), name)
