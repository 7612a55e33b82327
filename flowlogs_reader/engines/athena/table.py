"""Tables of Athena over flow logs in S3: their definition for Glue, and as DDL.

A table of text has one column, the whole line: text is read whole whatever its columns are, every format fits, and
malformed lines stay visible. A table of Parquet has a column for every field that AWS documents, with the type that AWS
writes (vpc/latest/userguide/flow-log-records). Partitions are computed from the path (partition projection): nothing
has to be added when AWS writes new objects.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

from ...records.fields import FIELDS, Kind
from .objects import Folders

# The parameter by which a table of ours is known, and the version of its definition.
MARKER = 'flowlogs_reader.version'
VERSION = '1'
# Terminates a column that is the whole line: no line has this byte.
DELIMITER = '\x01'
FIRST_YEAR = 2015
# The fields that AWS writes as 32-bit integers; other integers and times have 64 bits.
SMALL = frozenset(['version', 'srcport', 'dstport', 'protocol', 'tcp_flags', 'traffic_path', 'encryption_status'])
LINE = 'line'
_HIVE = 'org.apache.hadoop.hive'
_TEXT = {
    'InputFormat': 'org.apache.hadoop.mapred.TextInputFormat',
    'OutputFormat': f'{_HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat',
    'SerdeInfo': {
        'SerializationLibrary': f'{_HIVE}.serde2.lazy.LazySimpleSerDe',
        'Parameters': {'field.delim': DELIMITER, 'serialization.format': DELIMITER},
    },
}
_PARQUET = {
    'InputFormat': f'{_HIVE}.ql.io.parquet.MapredParquetInputFormat',
    'OutputFormat': f'{_HIVE}.ql.io.parquet.MapredParquetOutputFormat',
    'SerdeInfo': {
        'SerializationLibrary': f'{_HIVE}.ql.io.parquet.serde.ParquetHiveSerDe',
        'Parameters': {'serialization.format': '1'},
    },
}


class Table(NamedTuple):
    """The table for a folder structure of a bucket, in a database. It is not known whether it exists."""

    database: str
    bucket: str
    folders: Folders

    @property
    def name(self) -> str:
        """The name: the same for the same place, and for no other."""
        kind = 'parquet' if self.folders.parquet else 'text'
        digest = sha256(f'{self.location} {self.template} {kind} {VERSION}'.encode()).hexdigest()
        return f'flowlogs_{kind}_{digest[:12]}'

    @property
    def location(self) -> str:
        return f's3://{self.bucket}/{self.folders.base}'

    @property
    def template(self) -> str:
        return self.location + self.folders.template

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The columns and their types."""
        if not self.folders.parquet:
            return [(LINE, 'string')]
        return [
            (field.name, 'string' if field.kind is Kind.TEXT else 'int' if field.name in SMALL else 'bigint')
            for field in FIELDS
        ]

    @property
    def parameters(self) -> dict[str, str]:
        """The properties of the table (athena/latest/ug/partition-projection-supported-types)."""
        found = {'projection.enabled': 'true'}
        for name in self.folders.columns:
            for word, value in self._projection(name).items():
                found[f'projection.{name}.{word}'] = value
        return {**found, 'storage.location.template': self.template, MARKER: VERSION}

    def _projection(self, name: str) -> dict[str, str]:
        if name in ('acct', 'rgn'):
            return {'type': 'injected'}
        if name == 'day' and 'year' not in self.folders.columns:
            dates = {'format': 'yyyy/MM/dd', 'range': f'{FIRST_YEAR}/01/01,NOW'}
            return {'type': 'date', **dates, 'interval': '1', 'interval.unit': 'DAYS'}
        ranges = {
            'year': (f'{FIRST_YEAR},2099', '4'),
            'month': ('1,12', '2'),
            'day': ('1,31', '2'),
            'hour': ('0,23', '2'),
        }
        span, digits = ranges[name]
        return {'type': 'integer', 'range': span, 'digits': digits}

    def glue_input(self) -> dict[str, Any]:
        """Return the TableInput of Glue's CreateTable."""
        storage = _PARQUET if self.folders.parquet else _TEXT
        return {
            'Name': self.name,
            'TableType': 'EXTERNAL_TABLE',
            'Parameters': {'EXTERNAL': 'TRUE', **self.parameters},
            'PartitionKeys': [{'Name': name, 'Type': 'string'} for name in self.folders.columns],
            'StorageDescriptor': {
                'Columns': [{'Name': name, 'Type': kind} for name, kind in self.columns],
                'Location': self.location,
                **storage,
            },
        }

    def ddl(self) -> str:
        """Return the statement that creates the same table."""
        columns = ',\n  '.join(f'`{name}` {kind}' for name, kind in self.columns)
        partitions = ', '.join(f'`{name}` string' for name in self.folders.columns)
        stored = 'STORED AS PARQUET'
        if not self.folders.parquet:
            stored = "ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\001'\nSTORED AS TEXTFILE"
        properties = ',\n  '.join(f"'{name}' = '{value}'" for name, value in self.parameters.items())
        return (
            f'CREATE EXTERNAL TABLE IF NOT EXISTS `{self.database}`.`{self.name}` (\n  {columns}\n)\n'
            f"PARTITIONED BY ({partitions})\n{stored}\nLOCATION '{self.location}'\n"
            f'TBLPROPERTIES (\n  {properties}\n)'
        )

    def is_ours(self, table: dict[str, Any]) -> bool:
        """Whether a table of Glue is this one, as far as Glue says it."""
        parameters = table.get('Parameters') or {}
        stored = (table.get('StorageDescriptor') or {}).get('Columns')
        columns = [(column.get('Name'), column.get('Type')) for column in stored or ()]
        same = all(parameters.get(name) == value for name, value in self.parameters.items())
        return same and (not stored or columns == self.columns)
