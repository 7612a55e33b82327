"""The rows of a query's result, from GetQueryResults or from the object that Athena writes to S3."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import IO, Any, cast

from ...aws.trouble import is_aws_error, member
from ...errors import FlowLogsError, IncompleteError

# The most that GetQueryResults returns at a time.
PAGE_ROWS = 1000

Row = tuple[str, ...]


def rows(athena: Any, s3: Any, query_id: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a query that succeeded; NULL is an empty text.

    A result of more than one page is read from S3, if it is there and may be read: one request instead of one for
    each thousand rows. Raises FlowLogsError if the columns are other ones.
    """
    asked: dict[str, Any] = {'QueryExecutionId': query_id, 'MaxResults': PAGE_ROWS}
    page = athena.get_query_results(**asked)
    if page.get('NextToken') and (location := _location(athena, query_id)):
        try:
            body = s3.get_object(**location)['Body']
        except Exception as error:
            # The identity may read results by Athena only.
            if not is_aws_error(error):
                raise
        else:
            yield from _without_header(_csv_rows(body), columns)
            return
    yield from _without_header(_page_rows(athena, asked, page), columns)


def _location(athena: Any, query_id: str) -> dict[str, str] | None:
    """Where the result is in S3; None if Athena keeps it (managed query results), or only clients can decrypt it."""
    execution = member(athena.get_query_execution(QueryExecutionId=query_id), 'QueryExecution')
    configuration = execution.get('ResultConfiguration') or {}
    if (configuration.get('EncryptionConfiguration') or {}).get('EncryptionOption') == 'CSE_KMS':
        return None
    location = configuration.get('OutputLocation') or ''
    bucket, _, key = location.removeprefix('s3://').partition('/')
    return {'Bucket': bucket, 'Key': key} if location.startswith('s3://') and key.endswith('.csv') else None


def _csv_rows(body: Any) -> Iterator[Row]:
    with body:
        text = TextIOWrapper(cast(IO[bytes], body), 'utf-8', 'replace', newline='')
        try:
            yield from map(tuple, csv.reader(text))
        except csv.Error as error:
            # A line of the log is too long, or with Python 3.10 has a zero byte.
            raise FlowLogsError(f'the result of Athena cannot be read as CSV: {error}') from error


def _page_rows(athena: Any, asked: dict[str, Any], page: Any) -> Iterator[Row]:
    tokens: set[str] = set()
    while True:
        for row in member(page, 'ResultSet').get('Rows') or ():
            yield tuple(value.get('VarCharValue') or '' for value in row.get('Data') or ())
        token = page.get('NextToken')
        if not token:
            return
        if token in tokens:
            raise IncompleteError('Athena gave the same page token twice')
        tokens.add(token)
        page = athena.get_query_results(**asked, NextToken=token)


def _without_header(found: Iterator[Row], columns: Sequence[str]) -> Iterator[Row]:
    """The rows after the one that has the names of the columns. Raises FlowLogsError if a row has another length."""
    header = tuple(columns)
    for at, row in enumerate(found):
        if at == 0 and row == header:
            continue
        if len(row) != len(header):
            raise FlowLogsError(f'Athena returned a row of {len(row)} values, where {len(header)} were asked for')
        yield row
