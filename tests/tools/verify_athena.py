"""Try on AWS what nobody could verify about Athena, for a few cents. For a person with an AWS account:

    python tests/tools/verify_athena.py --bucket my-scratch-bucket --output-location s3://my-scratch-bucket/results/

It stores a few small objects below `--prefix` in the bucket, creates one table in the Glue catalogue, runs small
queries, says for each point what it saw and whether that is what the program relies on, and removes what it made. The
exit status is 1 if something is not as expected.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from botocore.session import Session

from flowlogs_reader.cli.main import main as flowlogs_reader
from flowlogs_reader.engines.athena.objects import Folders
from flowlogs_reader.engines.athena.table import Table
from tests import traffic
from tests.tools.trial import Point, Seen, tell

ACCOUNT, REGION = '123456789010', 'us-east-1'
FOLDER = f'AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2016/02/01/'
# Longer than any small query takes, in seconds.
PATIENCE = 120
WINDOW = ('-s', '2016-02-01T10:55:00Z', '-e', '2016-02-01T11:30:00Z')
COMMANDS = (
    'top srcaddr dstport',
    'top srcaddr/16 -w dstport!=443 -w srcaddr=10.0.0.0/8 --by flows',
    'top dstport -w addr=2600:1f18::/32',
    'timeline 7s',
    'ipset',
    'aggregate srcaddr dstaddr --both-ways --flows',
    'findip 10.0.3.7',
)


class AthenaTrial:
    """Objects in a bucket, a table over them, and queries."""

    def __init__(self, options: argparse.Namespace) -> None:
        session = Session(profile=options.profile)
        self.options = options
        self.s3, self.glue, self.athena = (
            session.create_client(service, options.region) for service in ('s3', 'glue', 'athena')
        )
        self.prefix = f'{options.prefix.strip("/")}/'
        self.table = Table(options.database, options.bucket, Folders(f'{self.prefix}AWSLogs/', TEMPLATE, False))
        self.objects = {f'{self.prefix}{FOLDER}{name}': body for name, body in made_objects()}
        # A folder of its own, so that it can be removed.
        given = options.output_location
        self.results = f'{given.rstrip("/")}/verify-flowlogs-reader/' if given else ''

    @property
    def location(self) -> str:
        return f's3://{self.options.bucket}/{self.prefix}'

    @contextmanager
    def laid_out(self) -> Iterator[None]:
        """Store the objects and create the table; remove both at the end, and the results."""
        try:
            for key, body in self.objects.items():
                self.s3.put_object(Bucket=self.options.bucket, Key=key, Body=body)
            self.glue.create_table(DatabaseName=self.options.database, TableInput=self.table.glue_input())
            yield
        finally:
            with suppress(self.glue.exceptions.EntityNotFoundException):
                self.glue.delete_table(DatabaseName=self.options.database, Name=self.table.name)
            for key in self.objects:
                self.s3.delete_object(Bucket=self.options.bucket, Key=key)
            if self.results:
                bucket, _, folder = self.results.removeprefix('s3://').partition('/')
                pages = self.s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=folder)
                for item in [item for page in pages for item in page.get('Contents', ())]:
                    self.s3.delete_object(Bucket=bucket, Key=item['Key'])

    def run(self, sql: str, stop: bool = False) -> tuple[dict[str, Any], list[list[str | None]]]:
        """Return what Athena says about a query at its end, and its rows as they are. With `stop` it is stopped."""
        asked: dict[str, Any] = {
            'QueryString': sql,
            'WorkGroup': self.options.workgroup,
            'QueryExecutionContext': {'Database': self.options.database},
        }
        if self.results:
            asked['ResultConfiguration'] = {'OutputLocation': self.results}
        number = self.athena.start_query_execution(**asked)['QueryExecutionId']
        if stop:
            self.athena.stop_query_execution(QueryExecutionId=number)
        for _ in range(PATIENCE):
            execution: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=number)['QueryExecution']
            if execution['Status']['State'] not in ('QUEUED', 'RUNNING'):
                break
            time.sleep(self.options.pause)
        else:
            self.athena.stop_query_execution(QueryExecutionId=number)
        rows: list[list[str | None]] = []
        if execution['Status']['State'] == 'SUCCEEDED':
            pages = self.athena.get_paginator('get_query_results').paginate(QueryExecutionId=number)
            found = [row['Data'] for page in pages for row in page['ResultSet']['Rows']]
            rows = [[value.get('VarCharValue') for value in row] for row in found]
        return execution, rows

    def source(self, columns: str, more: str = '') -> str:
        """A query of these columns of all lines."""
        partition = f"acct = '{ACCOUNT}' AND rgn = '{REGION}' AND day = '2016/02/01'"
        return f'SELECT {columns} FROM "{self.table.database}"."{self.table.name}" WHERE {partition}{more}'

    def command(self, *argv: str) -> tuple[int, bytes, str]:
        """The exit status, stdout and stderr of the command line over the objects."""
        stdout, stderr = io.BytesIO(), io.StringIO()
        place = ['--region', self.options.region] if self.options.region else []
        place += ['--profile', self.options.profile] if self.options.profile else []
        status = flowlogs_reader([self.location, *argv, *WINDOW, *place], io.BytesIO(), stdout, stderr, NOW)
        return status, stdout.getvalue(), stderr.getvalue()

    @property
    def engine(self) -> list[str]:
        settings = ['--database', self.options.database, '--workgroup', self.options.workgroup]
        return ['--engine', 'athena', *settings, *(['--output-location', self.results] if self.results else [])]


NOW = datetime(2016, 2, 1, 15, tzinfo=timezone.utc)
TEMPLATE = '${acct}/vpcflowlogs/${rgn}/${day}/'
ODD = [b'too short', b'2 123456789010 eni-0a 10.0.0.4 10.0.0.77 22 50000 6 3 90 1454324400 1454324401 ACCEPT OK\r']


def made_objects() -> Iterator[tuple[str, bytes]]:
    """Small objects as AWS would name them: of three periods, of which a window needs two."""
    lines = [*traffic.lines(300, per_second=1)]
    for minute, own in (('1055', [*lines[:150], *ODD]), ('1100', lines[150:]), ('1800', lines[:50])):
        name = f'{ACCOUNT}_vpcflowlogs_{REGION}_fl-0123456789abcdef0_20160201T{minute}Z_0a1b2c3d.log.gz'
        yield name, gzip.compress(b'\n'.join([traffic.HEADER, *own, b'']))


# -- what is looked at ------------------------------------------------------------------------------------------------


def lines_of_a_table(trial: AthenaTrial) -> Seen:
    _, rows = trial.run(trial.source('line'))
    texts = {row[0] for row in rows}
    returns = [text for text in texts if text and text.endswith('\r')]
    header = traffic.HEADER.decode() in texts
    stored = sum(gzip.decompress(body).count(b'\n') for body in trial.objects.values())
    return Seen(
        f'{len(rows) - 1} lines of {stored}; the header rows {"are" if header else "are not"} among them; a carriage '
        f'return at the end is {"kept" if returns else "cut off"}',
        header and len(rows) - 1 == stored,
    )


def ranges_of_paths(trial: AthenaTrial) -> Seen:
    keys = sorted(trial.objects)
    path = f's3://{trial.options.bucket}/{keys[-1]}'
    everything, _ = trial.run(trial.source('count(*) AS n'))
    some, rows = trial.run(trial.source('count(*) AS n', f' AND "$path" >= \'{path}\' AND "$path" <= \'{path}\''))
    scanned = [execution['Statistics']['DataScannedInBytes'] for execution in (everything, some)]
    sizes = sum(map(len, trial.objects.values())), len(trial.objects[keys[-1]])
    spared = 'spares' if scanned[1] < scanned[0] else 'does not spare'
    return Seen(
        f'a range of "$path" {spared} objects: {scanned[0]} bytes of {sizes[0]}, with the range {scanned[1]} of '
        f'{sizes[1]}; {rows[1][0]} lines',
        scanned[0] <= sizes[0] and rows[1] == ['51'],
    )


def addresses(trial: AthenaTrial) -> Seen:
    expressions = {
        "TRY_CAST('10.0.0.3' AS ipaddress) BETWEEN IPADDRESS '10.0.0.0' AND IPADDRESS '10.0.0.255'": 'true',
        "TRY_CAST('10.0.1.3' AS ipaddress) BETWEEN IPADDRESS '10.0.0.0' AND IPADDRESS '10.0.0.255'": 'false',
        "TRY_CAST('2600:1f18::5' AS ipaddress) BETWEEN IPADDRESS '2600::' AND IPADDRESS '2600:ffff::'": 'true',
        "COALESCE(TRY_CAST('-' AS ipaddress) = IPADDRESS '::1', false)": 'false',
        "TRY_CAST('010.0.0.1' AS ipaddress) IS NULL": 'true',
    }
    _, rows = trial.run('SELECT ' + ', '.join(f'{text} AS v{at}' for at, text in enumerate(expressions)))
    return Seen(f'{rows[1:]}', rows[1:] == [[*expressions.values()]])


def with_ties(trial: AthenaTrial) -> Seen:
    execution, _ = trial.run('EXPLAIN (TYPE VALIDATE) SELECT 1 AS x ORDER BY x FETCH FIRST 1 ROWS WITH TIES')
    return Seen(f'FETCH FIRST … WITH TIES: {execution["Status"]["State"]}')


def texts_of_queries(trial: AthenaTrial) -> Seen:
    problems = []
    for command in COMMANDS:
        _, shown, _ = trial.command(*command.split(), *trial.engine, '--show-query')
        sql = shown.decode().rpartition('-- StartQueryExecution')[2].partition('\n')[2]
        execution, _ = trial.run(f'EXPLAIN (TYPE VALIDATE) {sql}')
        if execution['Status']['State'] != 'SUCCEEDED':
            problems.append(f'{command}: {execution["Status"].get("StateChangeReason")}')
    return Seen('; '.join(problems) or f'the SQL of {len(COMMANDS)} commands is valid', not problems)


def answers(trial: AthenaTrial) -> Seen:
    different = []
    for command in COMMANDS:
        (_, local, _), (_, remote, said) = (trial.command(*command.split(), *more) for more in ([], trial.engine))
        if sorted(local.splitlines()) != sorted(remote.splitlines()):
            different.append(f'{command}: {said.splitlines()[-1:]}')
    return Seen('; '.join(different) or f'{len(COMMANDS)} commands give what a direct read gives', not different)


def stopped(trial: AthenaTrial) -> Seen:
    execution, _ = trial.run(trial.source('count(*) AS n'), stop=True)
    scanned = execution.get('Statistics', {}).get('DataScannedInBytes')
    state = execution['Status']['State']
    return Seen(f'a query that is stopped at once ends as {state}, with {scanned} bytes scanned', state == 'CANCELLED')


def without_literals(trial: AthenaTrial) -> Seen:
    execution, _ = trial.run(f'SELECT count(*) AS n FROM "{trial.table.database}"."{trial.table.name}"')
    reason = str(execution['Status'].get('StateChangeReason'))
    return Seen(reason[:200], 'CONSTRAINT_VIOLATION' in reason)


def statement(trial: AthenaTrial) -> Seen:
    trial.glue.delete_table(DatabaseName=trial.options.database, Name=trial.table.name)
    execution, _ = trial.run(trial.table.ddl())
    state = execution['Status']['State']
    if state != 'SUCCEEDED':
        return Seen(f'{state}: {execution["Status"].get("StateChangeReason")}', False)
    made = trial.glue.get_table(DatabaseName=trial.options.database, Name=trial.table.name)['Table']
    return Seen(json.dumps(made.get('Parameters'), sort_keys=True)[:300], trial.table.is_ours(made))


POINTS = (
    Point('Which lines does the table of text have?', lines_of_a_table),
    Point('Do ranges of "$path" spare the objects that they rule out?', ranges_of_paths),
    Point('What happens without literals for the account and the Region?', without_literals),
    Point('Are addresses cast and compared as in Trino?', addresses),
    Point('Does FETCH FIRST WITH TIES parse?', with_ties),
    Point('Is the SQL of all commands valid?', texts_of_queries),
    Point('Are the answers those of a direct read?', answers),
    Point('What does a query cost that is stopped?', stopped),
    Point('Does the statement of --show-query make the table that CreateTable makes?', statement),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Try on AWS what could not be verified about Athena.')
    parser.add_argument('--bucket', required=True, help='for small objects, which are removed at the end')
    parser.add_argument('--prefix', default='verify-flowlogs-reader', help='where in the bucket')
    parser.add_argument('--database', default='default', help='of the Glue catalogue')
    parser.add_argument('--workgroup', default='primary')
    parser.add_argument('--output-location', help='if the workgroup has none; results elsewhere are not removed')
    parser.add_argument('--region', help='of the bucket and of Athena')
    parser.add_argument('--profile')
    parser.add_argument('--pause', type=float, default=1.0, help='seconds between two looks at a query')
    options = parser.parse_args(argv)
    trial = AthenaTrial(options)
    with trial.laid_out():
        failed = tell(POINTS, trial)
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
