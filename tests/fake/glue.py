"""The Glue Data Catalog: GetDatabase, GetTable, CreateTable and DeleteTable."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.fake.wire import AwsError, Call, Params, Reply

TableKey = tuple[str, str, str, str]
_MEMBERS = frozenset({
    'Name', 'Description', 'Owner', 'Retention', 'StorageDescriptor', 'PartitionKeys', 'TableType', 'Parameters',
})  # fmt: skip
_STORAGE = frozenset({
    'Columns', 'Location', 'InputFormat', 'OutputFormat', 'Compressed', 'NumberOfBuckets', 'SerdeInfo',
    'BucketColumns', 'SortColumns', 'Parameters', 'StoredAsSubDirectories',
})  # fmt: skip


class GlueService:
    """Tables by account, Region, database and name; the database `default` exists everywhere."""

    def __init__(self) -> None:
        self.databases = {'default'}
        self.tables: dict[TableKey, dict[str, Any]] = {}

    def parse(self, target: str, body: bytes) -> tuple[str, Params]:
        service, _, operation = target.partition('.')
        if service != 'AWSGlue':
            raise ValueError(f'{target!r} is not an operation of Glue')
        return operation, json.loads(body or b'{}')

    def handle(self, call: Call) -> Reply:
        operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            'GetDatabase': self._get_database,
            'GetTable': self._get_table,
            'CreateTable': self._create_table,
            'DeleteTable': self._delete_table,
        }
        if call.operation not in operations:
            raise AwsError('UnknownOperationException', f'{call.operation} is not faked')
        answer = operations[call.operation](call)
        return Reply([json.dumps(answer).encode()])

    def table(self, account: str, region: str, database: str, name: str) -> dict[str, Any] | None:
        return self.tables.get((account, region, database, name))

    def _get_database(self, call: Call) -> dict[str, Any]:
        return {'Database': {'Name': self._database(call.params.get('Name'))}}

    def _get_table(self, call: Call) -> dict[str, Any]:
        key = self._key(call, call.params.get('Name'))
        if key not in self.tables:
            raise AwsError('EntityNotFoundException', f'Table {key[3]} not found.')
        return {'Table': {'DatabaseName': key[2], 'CreateTime': 1454284800.0, **self.tables[key]}}

    def _create_table(self, call: Call) -> dict[str, Any]:
        given = call.params.get('TableInput', {})
        key = self._key(call, given.get('Name'))
        self.check(given)
        if key in self.tables:
            raise AwsError('AlreadyExistsException', 'Table already exists.')
        self.tables[key] = given
        return {}

    def _delete_table(self, call: Call) -> dict[str, Any]:
        key = self._key(call, call.params.get('Name'))
        if self.tables.pop(key, None) is None:
            raise AwsError('EntityNotFoundException', f'Table {key[3]} not found.')
        return {}

    def _key(self, call: Call, name: Any) -> TableKey:
        if not isinstance(name, str) or not name:
            raise _invalid('Name is required')
        return call.account, call.region, self._database(call.params.get('DatabaseName')), name.lower()

    def _database(self, name: Any) -> str:
        if not isinstance(name, str) or not name:
            raise _invalid('the name of a database is required')
        if name.lower() not in self.databases:
            raise AwsError('EntityNotFoundException', f'Database {name} not found.')
        return name.lower()

    @staticmethod
    def check(table: dict[str, Any]) -> None:
        """Raises AwsError for a TableInput that Glue, or Athena later, would not take."""
        storage = table.get('StorageDescriptor', {})
        if unknown := (table.keys() - _MEMBERS) | (storage.keys() - _STORAGE):
            raise _invalid(f'unknown members {", ".join(sorted(unknown))}')
        columns = [*storage.get('Columns', ()), *table.get('PartitionKeys', ())]
        names = [table['Name'], *(column['Name'] for column in columns)]
        for name in names:
            if not re.fullmatch('[a-z0-9_]{1,255}', name):
                raise _invalid(f'{name!r} is not a name that Athena takes')
        if len(set(names[1:])) < len(names[1:]):
            raise _invalid('two columns have one name')
        if any(column['Type'] not in ('string', 'int', 'bigint') for column in columns):
            raise _invalid('a type of a column is not faked')
        if not all(isinstance(value, str) for value in table.get('Parameters', {}).values()):
            raise _invalid('parameters are strings')
        if table.get('TableType') != 'EXTERNAL_TABLE':
            raise _invalid('Athena takes external tables only')
        if not re.fullmatch(r's3://[a-z0-9.-]+/(?:[^/]+/)*', storage.get('Location', '')):
            raise _invalid('the location of a table is a folder in S3')


def _invalid(message: str) -> AwsError:
    return AwsError('InvalidInputException', message)
