"""Read AWS VPC Flow Logs from CloudWatch Logs, S3, files and standard input."""

from .aggregation import aggregated_records
from .cloudwatch import FlowLogsReader
from .errors import FlowLogsError
from .fields import DEFAULT_FIELDS
from .files import FileFlowLogsReader
from .record import FlowRecord

__all__ = [
    'DEFAULT_FIELDS',
    'FileFlowLogsReader',
    'FlowLogsError',
    'FlowLogsReader',
    'FlowRecord',
    'aggregated_records',
]
__version__ = '6.0.0'
