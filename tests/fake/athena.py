"""Athena: StartQueryExecution, GetQueryExecution, GetQueryResults, StopQueryExecution and GetWorkGroup.

The SQL runs in trino.py, over the tables of the fake Glue and the objects of the fake S3. What AWS does not document is
refused.
"""

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.fake.glue import GlueService
from tests.fake.s3 import S3Service, StoredObject
from tests.fake.wire import AwsError, Call, Params, Reply, Tokens

PAGE_ROWS = 1_000
_LIMIT = 262_144
_START = frozenset({
    'QueryString', 'ClientRequestToken', 'QueryExecutionContext', 'ResultConfiguration', 'WorkGroup',
    'ResultReuseConfiguration',
})  # fmt: skip
_LOCATION = re.compile(r's3://([a-z0-9.-]{3,63})/?(.*)')
_STOPPED = 'Query cancelled by user'
_CUTOFF = 'Query cancelled! : Bytes scanned limit was exceeded'

Row = Sequence[str | None]


@dataclass
class WorkGroup:
    """A workgroup. `cutoff` is BytesScannedCutoffPerQuery, `encryption` the EncryptionOption of results."""

    output: str | None = None
    enforced: bool = False
    managed: bool = False
    cutoff: int | None = None
    state: str = 'ENABLED'
    engine: str = 'Athena engine version 3'
    encryption: str | None = None

    def results_in(self, output: str | None) -> dict[str, Any]:
        """A ResultConfiguration."""
        found: dict[str, Any] = {'OutputLocation': output} if output else {}
        if self.encryption:
            found['EncryptionConfiguration'] = {'EncryptionOption': self.encryption}
        return found

    def described(self, name: str) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            'EnforceWorkGroupConfiguration': self.enforced,
            'PublishCloudWatchMetricsEnabled': True,
            'RequesterPaysEnabled': False,
            'EngineVersion': {'SelectedEngineVersion': 'AUTO', 'EffectiveEngineVersion': self.engine},
        }
        if self.managed:
            configuration['ManagedQueryResultsConfiguration'] = {'Enabled': True}
        else:
            configuration['ResultConfiguration'] = self.results_in(self.output)
        if self.cutoff is not None:
            configuration['BytesScannedCutoffPerQuery'] = self.cutoff
        return {'Name': name, 'State': self.state, 'Configuration': configuration}


@dataclass
class Failure:
    """How a query ends instead of succeeding. The categories are 1 system, 2 user, 3 other."""

    reason: str
    category: int = 2
    retryable: bool = False
    state: str = 'FAILED'


@dataclass
class Execution:
    """A query: what was asked, how far it is, and what came out."""

    id: str
    call: Call
    group: WorkGroup
    group_name: str
    output: str | None
    states: list[str]
    failure: Failure | None
    token: str | None
    reason: str | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Row] = ()
    has_header: bool = True
    scanned: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def state(self) -> str:
        return self.states[0]

    @property
    def ended(self) -> bool:
        return self.state in ('SUCCEEDED', 'FAILED', 'CANCELLED')

    def end(self, state: str, reason: str | None = None, failure: Failure | None = None) -> None:
        self.states, self.reason, self.failure = [state], reason, failure


class AthenaService:
    """Queries in workgroups. `failures` are how the next queries end; None is as they would.

    With `hangs` queries run until they are stopped. `requeues` puts each back into the queue once. `waits` is how often
    a query is seen in each state.
    """

    def __init__(self, tokens: Tokens, s3: S3Service, glue: GlueService):
        self.workgroups: dict[tuple[str, str], WorkGroup] = {}
        self.executions: dict[str, Execution] = {}
        self.failures: list[Failure | None] = []
        self.hangs = False
        self.requeues = False
        self.waits = 1
        self.page_rows = PAGE_ROWS
        self.prunes_paths = True
        self._s3, self._glue = s3, glue
        self._tokens = tokens
        self._lock = threading.Lock()

    @property
    def left_running(self) -> list[Execution]:
        """The queries that have not ended."""
        return [each for each in self.executions.values() if not each.ended]

    def parse(self, target: str, body: bytes) -> tuple[str, Params]:
        service, _, operation = target.partition('.')
        if service != 'AmazonAthena':
            raise ValueError(f'{target!r} is not an operation of Athena')
        return operation, json.loads(body or b'{}')

    def handle(self, call: Call) -> Reply:
        operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            'StartQueryExecution': self._start,
            'GetQueryExecution': self._get,
            'GetQueryResults': self._results,
            'StopQueryExecution': self._stop,
            'GetWorkGroup': self._get_work_group,
        }
        if call.operation not in operations:
            raise AwsError('UnknownOperationException', f'{call.operation} is not faked')
        return Reply([json.dumps(operations[call.operation](call)).encode()])

    def _workgroup(self, call: Call, name: Any) -> WorkGroup:
        if not isinstance(name, str) or not re.fullmatch('[a-zA-Z0-9._-]{1,128}', name):
            raise _invalid(f'{name!r} is not the name of a workgroup')
        known = self.workgroups.get((call.region, name))
        if known is None and name == 'primary':
            known = self.workgroups.setdefault((call.region, name), WorkGroup())
        if known is None:
            raise _invalid(f'WorkGroup {name} is not found.')
        return known

    def _get_work_group(self, call: Call) -> dict[str, Any]:
        name = call.params.get('WorkGroup')
        return {'WorkGroup': self._workgroup(call, name).described(str(name))}

    # -- starting ---------------------------------------------------------------------------------------------------

    def _start(self, call: Call) -> dict[str, Any]:
        params = call.params
        if unknown := params.keys() - _START:
            raise _invalid(f'{", ".join(sorted(unknown))} is not faked')
        sql, token = params.get('QueryString', ''), params.get('ClientRequestToken')
        if not 1 <= len(sql.encode()) <= _LIMIT:
            raise _invalid(f'Your query has exceeded the maximum query length of {_LIMIT} bytes.')
        if token is not None and not 32 <= len(token) <= 128:
            raise _invalid('a ClientRequestToken has 32 to 128 characters')
        context = params.get('QueryExecutionContext', {})
        if context.keys() - {'Database', 'Catalog'} or context.get('Catalog', 'AwsDataCatalog') != 'AwsDataCatalog':
            raise _invalid('only databases of AwsDataCatalog are faked')
        if params.get('ResultReuseConfiguration', {}).get('ResultReuseByAgeConfiguration', {}).get('Enabled'):
            raise _invalid('the results of other queries are not to be used')
        name = params.get('WorkGroup', 'primary')
        group = self._workgroup(call, name)
        if group.state != 'ENABLED':
            raise _invalid(f'WorkGroup {name} is disabled.')
        output = self._output(params, group)
        with self._lock:
            for each in self.executions.values():
                if token and each.token == token:
                    if each.call.params != params:
                        raise _invalid('Idempotent parameters do not match')
                    return {'QueryExecutionId': each.id}
            return {'QueryExecutionId': self._begin(call, group, name, output, token)}

    def _output(self, params: Params, group: WorkGroup) -> str | None:
        given = params.get('ResultConfiguration', {}).get('OutputLocation')
        if group.managed:
            if given:
                raise _invalid('ManagedQueryResultsConfiguration and ResultConfiguration cannot be set together')
            return None
        output = group.output if group.enforced or not given else given
        if not output:
            raise _invalid(
                'No output location provided. An output location is required either through the Workgroup result '
                'configuration setting or as an API input.'
            )
        if not _LOCATION.fullmatch(output):
            raise _invalid('outputLocation is not a valid S3 path.')
        return output

    def _begin(self, call: Call, group: WorkGroup, name: str, output: str | None, token: str | None) -> str:
        number = str(UUID(int=len(self.executions) + 1))
        states = ['QUEUED'] * self.waits + ['RUNNING'] * self.waits
        if self.requeues:
            states += ['QUEUED', 'RUNNING']
        states += ['RUNNING'] if self.hangs else ['SUCCEEDED']
        failure = self.failures.pop(0) if self.failures else None
        where = output and f'{output.rstrip("/")}/{number}.csv'
        self.executions[number] = Execution(number, call, group, name, where, states, failure, token)
        return number

    # -- running ----------------------------------------------------------------------------------------------------

    def _execution(self, call: Call) -> Execution:
        asked = call.params.get('QueryExecutionId')
        found = self.executions.get(str(asked))
        if found is None or (found.call.region, found.call.account) != (call.region, call.account):
            raise _invalid(f'QueryExecution {asked} was not found')
        return found

    def _get(self, call: Call) -> dict[str, Any]:
        execution = self._execution(call)
        with execution.lock:
            if execution.states[1:] == ['SUCCEEDED']:
                self._run(execution)
            elif len(execution.states) > 1:
                execution.states.pop(0)
            return {'QueryExecution': self._described(execution)}

    def _described(self, execution: Execution) -> dict[str, Any]:
        params = execution.call.params
        status: dict[str, Any] = {'State': execution.state, 'SubmissionDateTime': 1454284800.0}
        found: dict[str, Any] = {
            'QueryExecutionId': execution.id,
            'Query': params['QueryString'],
            'StatementType': 'DML',
            'QueryExecutionContext': params.get('QueryExecutionContext', {}),
            'Status': status,
            'WorkGroup': execution.group_name,
            'EngineVersion': {'SelectedEngineVersion': 'AUTO', 'EffectiveEngineVersion': execution.group.engine},
        }
        if execution.output:
            found['ResultConfiguration'] = execution.group.results_in(execution.output)
        else:
            found['ManagedQueryResultsConfiguration'] = {'Enabled': True}
        if execution.state != 'QUEUED':
            found['Statistics'] = {'DataScannedInBytes': execution.scanned, 'EngineExecutionTimeInMillis': 1000}
        if execution.reason:
            status['StateChangeReason'] = execution.reason
        if execution.failure:
            status['AthenaError'] = {
                'ErrorCategory': execution.failure.category,
                'Retryable': execution.failure.retryable,
                'ErrorMessage': execution.failure.reason,
            }
        return found

    def _run(self, execution: Execution) -> None:
        try:
            from tests.fake.trino import Refused, Trino, defined_table
        except ImportError as error:
            reason = f"the fake Athena needs {error.name}: pip install '.[test]'"
            execution.end('FAILED', reason, Failure(reason))
            return
        failure, call = execution.failure, execution.call
        if failure:
            execution.end(failure.state, failure.reason, failure)
            return
        catalog = {key[2:]: table for key, table in self._glue.tables.items() if key[:2] == (call.account, call.region)}
        database = call.params.get('QueryExecutionContext', {}).get('Database', 'default')
        if 'CREATE EXTERNAL TABLE' in call.params['QueryString']:
            name, table = defined_table(call.params['QueryString'])
            self._glue.check(table)
            self._glue.tables.setdefault((call.account, call.region, name, table['Name']), table)
            execution.end('SUCCEEDED')
            return
        engine = Trino(catalog, self._s3.buckets, self.prunes_paths)
        try:
            answer = engine.run(call.params['QueryString'], database)
        except Refused as error:
            execution.end('FAILED', str(error), Failure(str(error)))
            return
        execution.scanned = answer.scanned
        execution.columns, execution.rows, execution.has_header = answer.columns, answer.rows, answer.has_header
        if execution.group.cutoff is not None and answer.scanned > execution.group.cutoff:
            execution.end('CANCELLED', _CUTOFF)
        elif not execution.output or self._store(execution):
            execution.end('SUCCEEDED')

    def _store(self, execution: Execution) -> bool:
        location = _LOCATION.fullmatch(str(execution.output))
        assert location
        bucket = self._s3.buckets.get(location[1])
        if bucket is None or bucket.region != execution.call.region:
            execution.end('FAILED', f'Unable to verify/create output bucket {location[1]}')
            return False
        rows = [execution.columns, *execution.rows] if execution.has_header else execution.rows
        text = ''.join([','.join(map(_quoted, row)) + '\n' for row in rows])
        body = text.encode()
        if execution.group.encryption == 'CSE_KMS':
            # Only a client that has the key can decrypt it.
            body = bytes(byte ^ 0x5A for byte in body)
        bucket.put(location[2], StoredObject(body))
        bucket.put(f'{location[2]}.metadata', StoredObject(b'metadata'))
        return True

    def _stop(self, call: Call) -> dict[str, Any]:
        execution = self._execution(call)
        with execution.lock:
            if not execution.ended:
                execution.end('CANCELLED', _STOPPED)
        return {}

    # -- results ----------------------------------------------------------------------------------------------------

    def _results(self, call: Call) -> dict[str, Any]:
        execution = self._execution(call)
        if execution.state != 'SUCCEEDED':
            raise _invalid(f'Query has not yet finished. Current state: {execution.state}')
        asked = call.params.get('MaxResults', PAGE_ROWS)
        if not isinstance(asked, int) or not 1 <= asked <= PAGE_ROWS:
            raise _invalid(f'MaxResults is more than maximum allowed length {PAGE_ROWS}.')
        scope = ['GetQueryResults', execution.id]
        begin = 0
        if call.token:
            begin = self._tokens.read(call.token, scope, _invalid('The NextToken is not valid'))
        rows = [execution.columns, *execution.rows] if execution.has_header else [*execution.rows]
        end = begin + min(asked, self.page_rows)
        token = call.next_token(self._tokens.make(scope, end) if end < len(rows) else None)
        columns = [{'Name': name, 'Label': name, 'Type': 'varchar'} for name in execution.columns]
        page = [
            {'Data': [{} if value is None else {'VarCharValue': value} for value in row]} for row in rows[begin:end]
        ]
        answer: dict[str, Any] = {
            'UpdateCount': 0,
            'ResultSet': {'Rows': page, 'ResultSetMetadata': {'ColumnInfo': columns}},
        }
        return answer | ({'NextToken': token} if token else {})


def _quoted(value: str | None) -> str:
    """A value in the result object: NULL is nothing at all, an empty text is two quotes."""
    return '' if value is None else '"' + value.replace('"', '""') + '"'


def _invalid(message: str) -> AwsError:
    return AwsError('InvalidRequestException', message)
