"""The fake Athena: it runs what AWS would run, in steps, and refuses everything else."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from tests import traffic
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects

for module in ('duckdb', 'numpy', 'sqlglot', 'trino_sql_validator'):
    pytest.importorskip(module, reason='there is no wheel for this Python')

LINES = [*traffic.lines(2_000, per_second=3)]
SOURCE = '"default"."logs" WHERE acct = \'123456789010\' AND rgn = \'us-east-1\''
TEMPLATE = 's3://flow-logs/AWSLogs/${acct}/vpcflowlogs/${rgn}/${day}/'
DATE = {'type': 'date', 'format': 'yyyy/MM/dd', 'range': '2016/01/30,NOW', 'interval': '1', 'interval.unit': 'DAYS'}


def table(name: str = 'logs', columns: tuple[tuple[str, str], ...] = (('line', 'string'),)) -> dict[str, Any]:
    hive = 'org.apache.hadoop.hive'
    serde = (
        f'{hive}.serde2.lazy.LazySimpleSerDe' if len(columns) == 1 else f'{hive}.ql.io.parquet.serde.ParquetHiveSerDe'
    )
    projection = {'acct.type': 'injected', 'rgn.type': 'injected', **{f'day.{word}': DATE[word] for word in DATE}}
    return {
        'Name': name,
        'TableType': 'EXTERNAL_TABLE',
        'Parameters': {
            'projection.enabled': 'true',
            'storage.location.template': TEMPLATE,
            **{f'projection.{word}': value for word, value in projection.items()},
        },
        'PartitionKeys': [{'Name': name, 'Type': 'string'} for name in ('acct', 'rgn', 'day')],
        'StorageDescriptor': {
            'Columns': [{'Name': name, 'Type': kind} for name, kind in columns],
            'Location': 's3://flow-logs/AWSLogs/',
            'SerdeInfo': {'SerializationLibrary': serde, 'Parameters': {'field.delim': '\x01'}},
        },
    }


class Athena:
    """Clients of the fake, and a bucket with a table."""

    def __init__(self, fake: FakeAWS) -> None:
        self.fake = fake
        fake.add_bucket('flow-logs', objects=s3_objects(LINES))
        fake.add_bucket('results')
        fake.add_workgroup(output='s3://results/some/place')
        session = Session()
        self.athena, self.glue = (session.create_client(name, 'us-east-1') for name in ('athena', 'glue'))
        self.glue.create_table(DatabaseName='default', TableInput=table())

    def start(self, sql: str, **more: Any) -> str:
        return str(self.athena.start_query_execution(QueryString=sql, **more)['QueryExecutionId'])

    def wait(self, number: str) -> Any:
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=number)['QueryExecution']
            if execution['Status']['State'] not in ('QUEUED', 'RUNNING'):
                return execution

    def rows(self, sql: str, **more: Any) -> list[tuple[str | None, ...]]:
        """The rows, after the header. A query that does not succeed fails the test."""
        number = self.start(sql, **more)
        status = self.wait(number)['Status']
        assert status['State'] == 'SUCCEEDED', status
        pages = self.athena.get_paginator('get_query_results').paginate(QueryExecutionId=number)
        rows = [row for page in pages for row in page['ResultSet']['Rows']]
        return [tuple(value.get('VarCharValue') for value in row['Data']) for row in rows][1:]

    def reason(self, sql: str) -> str:
        """Why a query fails."""
        status = self.wait(self.start(sql))['Status']
        assert status['State'] == 'FAILED'
        return str(status['StateChangeReason'])


@pytest.fixture
def athena(fake: FakeAWS) -> Athena:
    return Athena(fake)


def test_a_query_runs_in_steps_and_its_result_is_paged_and_stored(athena: Athena, fake: FakeAWS) -> None:
    fake.athena.requeues = True
    number = athena.start(
        f'SELECT line, TRY_CAST(line AS bigint) AS nothing, \'\' AS "empty" FROM {SOURCE} ORDER BY line'
    )
    seen = []
    for _ in range(5):
        execution = athena.athena.get_query_execution(QueryExecutionId=number)['QueryExecution']
        seen.append(execution['Status']['State'])
    assert seen == ['RUNNING', 'QUEUED', 'RUNNING', 'SUCCEEDED', 'SUCCEEDED']
    assert execution['Statistics']['DataScannedInBytes'] == sum(map(len, s3_objects(LINES).values()))
    first = athena.athena.get_query_results(QueryExecutionId=number)
    names, row = first['ResultSet']['Rows'][:2]
    assert len(first['ResultSet']['Rows']) == 1_000 and first['NextToken']
    assert [value['VarCharValue'] for value in names['Data']] == ['line', 'nothing', 'empty']
    assert row['Data'][1:] == [{}, {'VarCharValue': ''}]
    location = execution['ResultConfiguration']['OutputLocation']
    assert location == f's3://results/some/place/{number}.csv'
    stored = fake.s3.buckets['results'].objects[f'some/place/{number}.csv'].body.decode()
    expected = sorted(line.decode() for line in [traffic.HEADER, *LINES])
    # The header row of every object is a line of the table.
    assert {row[0] for row in csv.reader(io.StringIO(stored))} == {'line', *expected}
    assert stored.splitlines()[1].endswith(',,""')


@pytest.mark.parametrize(
    'sql, reason',
    [
        ('SELECT end FROM logs', 'SYNTAX_ERROR'),
        ('SELECT no_such_function(line) FROM logs', 'SYNTAX_ERROR'),
        ('SELECT 7 / 2 AS x', 'Div'),
        ("SELECT contains('10.0.0.0/8', CAST('10.0.0.1' AS ipaddress)) AS x", 'ArrayContains'),
        (f"SELECT split(line, ' ')[3] AS x FROM {SOURCE}", 'INVALID_FUNCTION_ARGUMENT'),
        ('SELECT line FROM nothing', 'TABLE_NOT_FOUND'),
        ("SELECT line FROM logs WHERE acct = '1'", 'CONSTRAINT_VIOLATION'),
        ("SELECT line FROM logs WHERE (acct = '1' OR acct = '2') AND rgn = 'x'", 'CONSTRAINT_VIOLATION'),
        (f'SELECT sum(9223372036854775807) AS x FROM {SOURCE}', 'GENERIC_INTERNAL_ERROR'),
    ],
)
def test_what_aws_does_not_document_or_answers_otherwise_fails(athena: Athena, sql: str, reason: str) -> None:
    assert reason in athena.reason(sql)


def test_only_the_partitions_that_a_query_selects_are_read(athena: Athena, fake: FakeAWS) -> None:
    fake.put_object('flow-logs', 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/02/x.log', b'tomorrow\n')
    fake.put_object('flow-logs', 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/02/_x.log', b'hidden\n')
    fake.put_object('flow-logs', 'AWSLogs/123456789010/vpcflowlogs/eu-west-1/2016/02/02/x.log', b'elsewhere\n')
    fake.put_object('flow-logs', 'AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/01/29/x.log', b'before the range\n')
    count = f'SELECT count(*) AS n FROM {SOURCE}'
    assert athena.rows(f"SELECT line FROM {SOURCE} AND day > '2016/02/01'") == [('tomorrow',)]
    assert athena.rows(f"SELECT day FROM {SOURCE} AND day IN ('2016/02/02', '2016/01/29')") == [('2016/02/02',)]
    assert athena.rows(count) == [(str(2_000 + len(s3_objects(LINES)) + 1),)]
    path = 's3://flow-logs/AWSLogs/123456789010/vpcflowlogs/us-east-1/2016/02/02/x.log'
    number = athena.start(f'SELECT "$path" AS p FROM {SOURCE} AND "$path" >= \'{path}\'')
    assert athena.wait(number)['Statistics']['DataScannedInBytes'] == len(b'tomorrow\n')
    fake.athena.prunes_paths = False
    number = athena.start(f'SELECT "$path" AS p FROM {SOURCE} AND "$path" >= \'{path}\'')
    assert athena.wait(number)['Statistics']['DataScannedInBytes'] > 10_000


def test_values_are_those_of_trino(athena: Athena) -> None:
    expressions = {
        "TRY_CAST('1.5' AS bigint)": None,
        "TRY_CAST(' 1' AS bigint)": None,
        "TRY_CAST('-' AS bigint)": None,
        "TRY_CAST('007' AS bigint)": '7',
        "regexp_extract('abc', 'x(b)', 1)": None,
        "regexp_extract('abc', 'a(b)', 1)": 'b',
        "element_at(split('a  b', ' '), 2)": '',
        "element_at(split('a', ' '), 2)": None,
        "strpos('fe80::1', ':')": '5',
        'mod(7, 5)': '2',
        "TRY_CAST('10.0.0.300' AS ipaddress) IS NULL": 'true',
        "TRY_CAST('10.0.0.3' AS ipaddress) BETWEEN IPADDRESS '10.0.0.0' AND IPADDRESS '10.0.0.255'": 'true',
        "TRY_CAST('::1' AS ipaddress) = IPADDRESS '0:0:0:0:0:0:0:1'": 'true',
        'bitwise_and(18, 2) = 2': 'true',
    }
    columns = ', '.join(f'{text} AS v{at}' for at, text in enumerate(expressions))
    assert athena.rows(f'SELECT {columns}') == [tuple(expressions.values())]


def test_parquet_columns_are_found_by_name_and_types_must_fit(athena: Athena, fake: FakeAWS) -> None:
    fake.add_bucket('flow-logs', objects=s3_objects(LINES, format='parquet'))
    columns = (('srcport', 'int'), ('bytes', 'bigint'), ('end', 'bigint'), ('tgw_id', 'string'))
    athena.glue.create_table(DatabaseName='default', TableInput=table('typed', columns))
    typed = SOURCE.replace('logs', 'typed', 1)
    expected = sum(int(line.split()[9]) for line in LINES if line.split()[9] != b'-')
    assert athena.rows(f'SELECT sum(bytes) AS b, count(tgw_id) AS t FROM {typed}') == [(str(expected), '0')]
    wrong = (('srcport', 'string'), ('bytes', 'int'))
    athena.glue.create_table(DatabaseName='default', TableInput=table('wrong', wrong))
    assert 'HIVE_BAD_DATA' in athena.reason(f'SELECT srcport FROM {SOURCE.replace("logs", "wrong", 1)}')


def test_a_query_can_be_stopped_fail_or_scan_too_much(athena: Athena, fake: FakeAWS) -> None:
    from tests.fake.athena import Failure

    fake.athena.hangs = True
    number = athena.start('SELECT 1 AS x')
    assert [each.id for each in fake.athena.left_running] == [number]
    athena.athena.stop_query_execution(QueryExecutionId=number)
    assert not fake.athena.left_running and athena.wait(number)['Status']['State'] == 'CANCELLED'
    fake.athena.hangs = False
    fake.athena.failures = [Failure('Query exhausted resources at this scale factor', 2, True)]
    status = athena.wait(athena.start('SELECT 1 AS x'))['Status']
    assert status['State'] == 'FAILED' and status['AthenaError']['Retryable']
    fake.add_workgroup('small', output='s3://results/', cutoff=10)
    status = athena.wait(athena.start(f'SELECT line FROM {SOURCE}', WorkGroup='small'))['Status']
    assert status['State'] == 'CANCELLED' and 'limit' in status['StateChangeReason']


@pytest.mark.parametrize(
    'group, more, reason',
    [
        ({}, {}, 'No output location'),
        ({'output': 's3://results/', 'state': 'DISABLED'}, {}, 'disabled'),
        ({'managed': True}, {'ResultConfiguration': {'OutputLocation': 's3://results/'}}, 'cannot be set together'),
        ({'output': 's3://results/'}, {'WorkGroup': 'other'}, 'not found'),
        ({'output': 's3://results/'}, {'QueryString': 'SELECT 1 AS x' + ' ' * 262_144}, 'maximum query length'),
    ],
)
def test_a_query_that_aws_does_not_start(
    athena: Athena, fake: FakeAWS, group: dict[str, Any], more: dict[str, Any], reason: str
) -> None:
    fake.add_workgroup(**group)
    with pytest.raises(ClientError, match=reason):
        athena.athena.start_query_execution(**{'QueryString': 'SELECT 1 AS x', **more})
    assert not fake.athena.executions


def test_managed_results_are_in_no_bucket(athena: Athena, fake: FakeAWS) -> None:
    fake.add_workgroup(managed=True)
    assert athena.rows('SELECT 1 AS x') == [('1',)]
    assert not fake.s3.buckets['results'].objects


def test_one_token_starts_one_query(athena: Athena, fake: FakeAWS) -> None:
    token = 'x' * 32
    assert athena.start('SELECT 1 AS x', ClientRequestToken=token) == athena.start(
        'SELECT 1 AS x', ClientRequestToken=token
    )
    assert len(fake.athena.executions) == 1


def test_tables_of_glue(athena: Athena, fake: FakeAWS) -> None:
    glue = athena.glue
    assert (
        glue.get_table(DatabaseName='default', Name='logs')['Table']['Parameters']['projection.acct.type'] == 'injected'
    )
    for call, code in (
        (lambda: glue.create_table(DatabaseName='default', TableInput=table()), 'AlreadyExistsException'),
        (lambda: glue.create_table(DatabaseName='default', TableInput=table('No-Name')), 'InvalidInputException'),
        (lambda: glue.create_table(DatabaseName='nothing', TableInput=table()), 'EntityNotFoundException'),
        (lambda: glue.get_table(DatabaseName='default', Name='nothing'), 'EntityNotFoundException'),
        (lambda: glue.get_database(Name='nothing'), 'EntityNotFoundException'),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response['Error']['Code'] == code
    glue.delete_table(DatabaseName='default', Name='logs')
    assert not fake.glue.tables


def test_a_text_that_is_damaged_fails(athena: Athena, fake: FakeAWS) -> None:
    key = next(iter(s3_objects(LINES)))
    fake.put_object('flow-logs', key, gzip.compress(b'x' * 1_000)[:-9])
    assert 'HIVE_CURSOR_ERROR' in athena.reason(f'SELECT line FROM {SOURCE}')


def test_it_names_the_library_that_it_lacks(athena: Athena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, 'tests.fake.trino', raising=False)
    monkeypatch.setitem(sys.modules, 'duckdb', None)
    status = athena.wait(athena.start('SELECT 1'))['Status']
    assert status['State'] == 'FAILED'
    assert status['StateChangeReason'] == "the fake Athena needs duckdb: pip install '.[test]'"
