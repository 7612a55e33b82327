"""Athena's SQL, for tests: checked by trino-sql-validator, translated by sqlglot, run by DuckDB.

Tables are those of the Glue Data Catalog, over objects of the fake S3. A query sees only the objects that partition
projection selects, and is charged for the sizes of the objects that it reads. What is not known to mean the same in
Trino and in DuckDB is refused.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from importlib import import_module
from ipaddress import IPv4Address, ip_address
from itertools import product
from typing import Any, NamedTuple

import duckdb
import sqlglot
import trino_sql_validator
from sqlglot import exp

from tests.fake.s3 import Bucket, StoredObject

Tables = Mapping[tuple[str, str], dict[str, Any]]
TEXT_SERDE = 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe'
PARQUET_SERDE = 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'
_MAX_INJECTED = 1_000
_MAX_PARTITIONS = 1_000_000
# Expressions that mean the same in Trino and in DuckDB, or are rewritten below.
_KNOWN: tuple[type[exp.Expression], ...] = (
    exp.Select, exp.Subquery, exp.From, exp.Table, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit,
    exp.Union, exp.Alias, exp.TableAlias, exp.Column, exp.Identifier, exp.Literal, exp.Star, exp.Null, exp.Boolean,
    exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In, exp.Is,
    exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Neg, exp.Case, exp.If, exp.Coalesce, exp.Cast, exp.TryCast, exp.DataType,
    exp.Bracket, exp.Split, exp.StrPosition, exp.BitwiseAnd, exp.RegexpLike, exp.RegexpExtract, exp.Length, exp.Lower,
    exp.DataTypeParam, exp.Concat, exp.DPipe, exp.Count, exp.CountIf, exp.Sum, exp.Min, exp.Max, exp.Distinct,
)  # fmt: skip
_TYPES = {
    exp.DataType.Type.BIGINT, exp.DataType.Type.DECIMAL, exp.DataType.Type.VARCHAR, exp.DataType.Type.IPADDRESS,
}  # fmt: skip
# Words that must be quoted in a SELECT (athena/latest/ug/reserved-words). The validator takes some of them.
_RESERVED = set(
    (
        'ALTER AND AS BETWEEN BY CASE CAST CONSTRAINT CREATE CROSS CUBE CURRENT_CATALOG CURRENT_DATE CURRENT_PATH '
        'CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEALLOCATE DELETE DESCRIBE DISTINCT DROP ELSE END '
        'ESCAPE EXCEPT EXECUTE EXISTS EXTRACT FALSE FIRST FOR FROM FULL GROUP GROUPING HAVING IN INNER INSERT '
        'INTERSECT INTO IS JOIN JSON_ARRAY JSON_EXISTS JSON_OBJECT JSON_QUERY JSON_TABLE JSON_VALUE LAST LEFT LIKE '
        'LISTAGG LOCALTIME LOCALTIMESTAMP NATURAL NORMALIZE NOT NULL OF ON OR ORDER OUTER PREPARE RECURSIVE RIGHT '
        'ROLLUP SELECT SKIP TABLE THEN TRIM TRUE UESCAPE UNION UNNEST USING VALUES WHEN WHERE WITH'
    ).split()
)
_PATH = '$path'
_DATE_PARTS = {'yyyy': '%Y', 'MM': '%m', 'dd': '%d', 'HH': '%H'}


class Refused(Exception):
    """The query ends with state FAILED, for this reason."""


class Answer(NamedTuple):
    """The result of a query; a value is None for NULL. `scanned` are the bytes that are charged."""

    columns: list[str]
    rows: list[tuple[str | None, ...]]
    scanned: int
    has_header: bool = True


class Trino:
    """An engine over tables by database and name, and buckets by name.

    With `prunes_paths` objects that comparisons of "$path" rule out are not read, and not charged.
    """

    def __init__(self, tables: Tables, buckets: Mapping[str, Bucket], prunes_paths: bool = True) -> None:
        self._tables = tables
        self._buckets = buckets
        self._prunes_paths = prunes_paths

    def run(self, sql: str, database: str = 'default') -> Answer:
        """Raises Refused, which says why."""
        explained = re.match(r'EXPLAIN \(TYPE VALIDATE\)\s', sql)
        tree = self._parsed(sql[explained.end() :] if explained else sql)
        if explained:
            return Answer(['Valid'], [('true',)], 0)
        with _database().cursor() as connection:
            scanned = 0
            for number, table in enumerate([*tree.find_all(exp.Table)]):
                scan = self._scan(table, database)
                rows, size = scan.read()
                scanned += size
                connection.register(f'scan{number}', rows)
                new = exp.to_table(f'scan{number}')
                if table.alias:
                    new = exp.alias_(new, table.alias, table=True)
                table.replace(new)
            try:
                found = connection.execute(_rewritten(tree).sql(dialect='duckdb'))
                columns = [column[0] for column in found.description or ()]
                rows = [tuple(map(_text, row)) for row in found.fetchall()]
            except duckdb.Error as error:
                raise Refused(f'GENERIC_INTERNAL_ERROR: {error}') from error
        return Answer(columns, rows, scanned)

    def _parsed(self, sql: str) -> exp.Expression:
        checked = trino_sql_validator.validate(sql)
        if not checked.valid or checked.statement_count != 1 or checked.warnings:
            raise Refused(f'SYNTAX_ERROR: {checked.error or checked.warnings}')
        tree = sqlglot.parse_one(sql, read='athena')
        for node in tree.walk():
            if not isinstance(node, _KNOWN):
                raise Refused(
                    f'NOT_SUPPORTED: {type(node).__name__} in {node.sql(dialect="athena")[:100]} is not faked'
                )
            if isinstance(node, exp.Identifier) and not node.quoted and node.name.upper() in _RESERVED:
                raise Refused(f'SYNTAX_ERROR: {node.name} is a reserved word')
            if isinstance(node, exp.DataType) and node.this not in _TYPES:
                raise Refused(f'NOT_SUPPORTED: the type {node.sql()} is not faked')
            if isinstance(node, exp.Bracket) and not node.args.get('safe'):
                raise Refused(
                    f'INVALID_FUNCTION_ARGUMENT: {node.sql(dialect="athena")} fails in rows that are too short'
                )
        return tree

    def _scan(self, node: exp.Table, database: str) -> _Scan:
        key = (node.db or database).lower(), node.name.lower()
        table = self._tables.get(key)
        if table is None:
            raise Refused(f'TABLE_NOT_FOUND: Table awsdatacatalog.{".".join(key)} does not exist')
        select = node.parent_select
        where = select.args.get('where') if select else None
        conjuncts = list(_conjuncts(where.this)) if where else []
        return _Scan(table, conjuncts, self._buckets, self._prunes_paths)


def defined_table(sql: str) -> tuple[str, dict[str, Any]]:
    """Return the database, and the table as Glue has it, of a statement CREATE EXTERNAL TABLE.

    Raises Refused if it has anything else than what this program writes.
    """
    checked = trino_sql_validator.validate(sql, dialect='hive')
    if not checked.valid or checked.statement_count != 1:
        raise Refused(f'SYNTAX_ERROR: {checked.error}')
    made = sqlglot.parse_one(sql, read='athena')
    found = {type(each): each for each in made.args['properties'].expressions if not each.args.get('value')}
    found.pop(exp.ExternalProperty)
    text = exp.RowFormatDelimitedProperty in found
    delimiter = found.pop(exp.RowFormatDelimitedProperty).args['fields'].name if text else ''
    formats = {'TEXTFILE': TEXT_SERDE, 'PARQUET': PARQUET_SERDE}
    storage = {
        'Columns': _columns(made.this),
        'Location': found.pop(exp.LocationProperty).this.name,
        'SerdeInfo': {
            'SerializationLibrary': formats[found.pop(exp.FileFormatProperty).this.name],
            'Parameters': {'field.delim': delimiter},
        },
    }
    partitions = _columns(found.pop(exp.PartitionedByProperty).this)
    if found:
        raise Refused(f'NOT_SUPPORTED: {found} is not faked')
    properties = {
        each.this.name: each.args['value'].name
        for each in made.args['properties'].expressions
        if each.args.get('value')
    }
    return made.this.this.db, {
        'Name': made.this.this.name,
        'TableType': 'EXTERNAL_TABLE',
        'Parameters': {'EXTERNAL': 'TRUE', **properties},
        'PartitionKeys': partitions,
        'StorageDescriptor': storage,
    }


def _columns(schema: Any) -> list[dict[str, str]]:
    types = {'TEXT': 'string', 'INT': 'int', 'BIGINT': 'bigint'}
    return [{'Name': each.name, 'Type': types[each.kind.this.name]} for each in schema.expressions]


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """DuckDB with the functions that it lacks. Opening it takes as long as a small query."""
    connection = duckdb.connect(config={'threads': 1})
    connection.create_function(
        'ipaddress', _ipaddress, [duckdb.sqltype('VARCHAR')], duckdb.sqltype('BLOB'), null_handling='special'
    )
    return connection


class _Scan:
    """The objects of a table that a query reads, and their rows."""

    def __init__(
        self,
        table: dict[str, Any],
        conjuncts: Sequence[exp.Expression],
        buckets: Mapping[str, Bucket],
        prunes_paths: bool,
    ) -> None:
        self._storage = table['StorageDescriptor']
        self._parameters = table['Parameters']
        self._partitions = [column['Name'] for column in table['PartitionKeys']]
        if any(column['Type'] != 'string' for column in table['PartitionKeys']):
            raise Refused('NOT_SUPPORTED: partition columns other than strings are not faked')
        self._conjuncts = conjuncts
        self._buckets = buckets
        self._prunes_paths = prunes_paths

    def read(self) -> tuple[Any, int]:
        """Return the rows as a table of Arrow, and the bytes that are charged."""
        pyarrow: Any = import_module('pyarrow')
        serde = self._storage['SerdeInfo']['SerializationLibrary']
        read = {TEXT_SERDE: self._lines, PARQUET_SERDE: self._rows}[serde]
        columns = [column['Name'] for column in self._storage['Columns']]
        types = {column['Name']: _ARROW[column['Type']] for column in self._storage['Columns']}
        schema = pyarrow.schema([(name, getattr(pyarrow, types[name])()) for name in columns])
        parts, scanned = [], 0
        for values, path, stored in self._objects():
            scanned += len(stored.body)
            own = read(path, stored.body, schema)
            for name, value in [*values.items(), (_PATH, path)]:
                own = own.append_column(name, pyarrow.array([value] * len(own), pyarrow.string()))
            parts.append(own)
        for name in [*self._partitions, _PATH]:
            schema = schema.append(pyarrow.field(name, pyarrow.string()))
        return pyarrow.concat_tables(parts) if parts else schema.empty_table(), scanned

    def _lines(self, path: str, body: bytes, schema: Any) -> Any:
        pyarrow: Any = import_module('pyarrow')
        if len(schema) != 1 or self._storage['SerdeInfo']['Parameters'].get('field.delim') != '\x01':
            raise Refused('NOT_SUPPORTED: only text tables with one column are faked')
        if path.endswith('.gz'):
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError) as error:
                raise Refused(f'HIVE_CURSOR_ERROR: Failed to read file at {path}: {error}') from error
        lines = re.split('\r\n|\n|\r', body.decode('utf-8', 'replace'))
        texts = [line.partition('\x01')[0] for line in (lines[:-1] if lines[-1] == '' else lines)]
        return pyarrow.table([pyarrow.array(texts, pyarrow.string())], schema)

    @staticmethod
    def _rows(path: str, body: bytes, schema: Any) -> Any:
        pyarrow: Any = import_module('pyarrow')
        parquet: Any = import_module('pyarrow.parquet')
        try:
            stored = parquet.read_table(io.BytesIO(body))
        except (pyarrow.ArrowException, OSError) as error:
            raise Refused(f'HIVE_CANNOT_OPEN_SPLIT: {path} is not a valid Parquet File: {error}') from error
        found = []
        for wanted in schema:
            if wanted.name not in stored.column_names:
                found.append(pyarrow.nulls(len(stored), wanted.type))
                continue
            column = stored.column(wanted.name)
            if str(column.type) not in _READS[str(wanted.type)]:
                raise Refused(f'HIVE_BAD_DATA: Field {wanted.name} of {path} is {column.type}, not {wanted.type}')
            found.append(column.cast(wanted.type))
        return pyarrow.table(found, schema)

    # -- partition projection ---------------------------------------------------------------------------------------

    def _objects(self) -> Iterator[tuple[dict[str, str], str, StoredObject]]:
        """The objects below the locations of the selected partitions, from the template only."""
        for values, location in self._locations():
            name, _, prefix = location.removeprefix('s3://').partition('/')
            bucket = self._buckets.get(name)
            if bucket is None:
                raise Refused(f'HIVE_METASTORE_ERROR: the bucket {name} does not exist')
            for key in bucket.keys:
                path = f's3://{name}/{key}'
                if not key.startswith(prefix) or key.rpartition('/')[2].startswith(('_', '.')):
                    continue
                if self._prunes_paths and not all(_may_hold(path, conjunct) for conjunct in self._conjuncts):
                    continue
                if bucket.objects[key].denied:
                    raise Refused(f'PERMISSION_DENIED: Access denied when reading {path}')
                yield values, path, bucket.objects[key]

    def _locations(self) -> Iterator[tuple[dict[str, str], str]]:
        template = self._parameters.get('storage.location.template', '')
        if self._parameters.get('projection.enabled') != 'true':
            raise Refused('NOT_SUPPORTED: only tables with partition projection are faked')
        named = re.findall(r'\$\{([^}]*)\}', template)
        if {*named} != {*self._partitions} or not template.startswith('s3://') or not template.endswith('/'):
            raise Refused('INVALID_TABLE_PROPERTY: storage.location.template must name all partition columns')
        known = {'enabled', *(f'{name}.{word}' for name in self._partitions for word in _PROPERTIES)}
        for name in self._parameters:
            if name.startswith('projection.') and name.removeprefix('projection.') not in known:
                raise Refused(f'INVALID_TABLE_PROPERTY: {name}')
        choices = [[*self._values(name)] for name in self._partitions]
        count = 1
        for choice in choices:
            count *= len(choice)
        if count > _MAX_PARTITIONS:
            raise Refused('the query has more than a million partitions')
        for chosen in product(*choices):
            location, values = template, dict(zip(self._partitions, chosen))
            for name, value in values.items():
                location = location.replace(f'${{{name}}}', value)
            yield values, location

    def _values(self, name: str) -> Iterable[str]:
        """The values of a partition column that the query selects."""
        settings = {word: self._parameters.get(f'projection.{name}.{word}', '').strip() for word in _PROPERTIES}
        kind = settings['type'].lower()
        about = [conjunct for conjunct in self._conjuncts if _only_about(conjunct, name)]
        if kind == 'injected':
            return _injected(name, about)
        projected = {'enum': _enum, 'integer': _integers, 'date': _dates}.get(kind)
        if projected is None:
            raise Refused(f'INVALID_TABLE_PROPERTY: projection.{name}.type is {kind!r}')
        tests = [_predicate(conjunct) for conjunct in about]
        return [value for value in projected(settings) if all(test(value) for test in tests)]


_PROPERTIES = ('type', 'range', 'values', 'digits', 'format', 'interval', 'interval.unit')
_ARROW = {'string': 'string', 'int': 'int32', 'bigint': 'int64'}
_READS = {'string': ('string',), 'int32': ('int32',), 'int64': ('int32', 'int64')}


def _enum(settings: Mapping[str, str]) -> Iterable[str]:
    return settings['values'].split(',')


def _integers(settings: Mapping[str, str]) -> Iterable[str]:
    first, last = map(int, settings['range'].split(','))
    digits = int(settings['digits'] or 1)
    return [f'{number:0{digits}}' for number in range(first, last + 1, int(settings['interval'] or 1))]


def _dates(settings: Mapping[str, str]) -> Iterable[str]:
    return _dates_of(settings['format'], settings['range'], settings['interval'], settings['interval.unit'].upper())


@lru_cache
def _dates_of(format: str, span: str, interval: str, unit: str) -> Sequence[str]:
    parts = re.findall(r"'[^']*'|yyyy|MM|dd|HH|[^A-Za-z']+|.", format)
    if any(part.isalpha() and part not in _DATE_PARTS for part in parts):
        raise Refused(f'INVALID_TABLE_PROPERTY: the date format {format!r} is not faked')
    form = ''.join(_DATE_PARTS.get(part, part.strip("'").replace('%', '%%')) for part in parts)
    hours = 'HH' in parts
    if interval != '1' or unit != ('HOURS' if hours else 'DAYS'):
        raise Refused('INVALID_TABLE_PROPERTY: the interval does not fit the format')
    first, last = (_moment(text.strip(), form) for text in span.split(','))
    step = timedelta(hours=1) if hours else timedelta(days=1)
    return [(first + step * number).strftime(form) for number in range((last - first) // step + 1)]


def _moment(text: str, form: str) -> datetime:
    if text == 'NOW':
        return datetime.now(timezone.utc).replace(tzinfo=None)
    return datetime.strptime(text, form)


def _injected(name: str, about: Iterable[exp.Expression]) -> list[str]:
    found: list[set[str]] = []
    for conjunct in about:
        if isinstance(conjunct, exp.EQ):
            found.append({_literal(conjunct.expression)})
        elif isinstance(conjunct, exp.In):
            found.append({_literal(value) for value in conjunct.expressions})
    if not found:
        raise Refused(
            f'CONSTRAINT_VIOLATION: For the injected projected partition column {name}, the WHERE clause must contain '
            'only static equality conditions, and at least one such condition must be present.'
        )
    values = sorted(set.intersection(*found))
    if len(values) > _MAX_INJECTED:
        raise Refused(f'CONSTRAINT_VIOLATION: more than {_MAX_INJECTED} values for {name}')
    return values


def _conjuncts(condition: exp.Expression) -> Iterator[exp.Expression]:
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.this)
        yield from _conjuncts(condition.expression)
    else:
        yield condition


_COMPARISONS: dict[type[exp.Expression], Callable[[str, str], bool]] = {
    exp.EQ: lambda one, other: one == other,
    exp.LT: lambda one, other: one < other,
    exp.LTE: lambda one, other: one <= other,
    exp.GT: lambda one, other: one > other,
    exp.GTE: lambda one, other: one >= other,
}


def _only_about(condition: exp.Expression, name: str) -> bool:
    """Whether it is a comparison of a column with literals, which can select partitions."""
    if not isinstance(condition, (*_COMPARISONS, exp.In, exp.Between)) or not _is_column(condition.this, name):
        return False
    others = [node for key, node in condition.args.items() if key != 'this' and node]
    flat = [node for other in others for node in (other if isinstance(other, list) else [other])]
    return all(isinstance(node, exp.Literal) and node.is_string for node in flat)


def _is_column(node: exp.Expression, name: str) -> bool:
    return isinstance(node, exp.Column) and node.name.lower() == name


def _literal(node: exp.Expression) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise Refused(f'{node.sql()} is not a literal')
    return str(node.this)


def _predicate(condition: exp.Expression) -> Callable[[str], bool]:
    """A comparison of a column with literals, as a function of the value."""
    if isinstance(condition, exp.In):
        return {*map(_literal, condition.expressions)}.__contains__
    if isinstance(condition, exp.Between):
        low, high = _literal(condition.args['low']), _literal(condition.args['high'])
        return lambda value: low <= value <= high
    compare, other = _COMPARISONS[type(condition)], _literal(condition.expression)
    return lambda value: compare(value, other)


def _may_hold(path: str, condition: exp.Expression) -> bool:
    """Whether a condition may hold for an object, as far as comparisons of its path tell."""
    condition = condition.unnest()
    if isinstance(condition, exp.Or):
        return _may_hold(path, condition.this) or _may_hold(path, condition.expression)
    if isinstance(condition, exp.And):
        return _may_hold(path, condition.this) and _may_hold(path, condition.expression)
    return _predicate(condition)(path) if _only_about(condition, _PATH) else True


# -- translation -------------------------------------------------------------------------------------------------------


def _rewritten(tree: exp.Expression) -> exp.Expression:
    """The tree with what DuckDB does in another way than Trino, from the bottom up."""
    for node in reversed([*tree.walk()]):
        new = _in_duckdb(node)
        if new is not node:
            if node is tree:
                tree = new
            node.replace(new)
    return tree


def _in_duckdb(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.RegexpExtract):
        # Without a match Trino gives NULL, DuckDB an empty text.
        matches = exp.RegexpLike(this=node.this.copy(), expression=node.expression.copy())
        return exp.Case(ifs=[exp.If(this=matches, true=node.copy())])
    if isinstance(node, exp.Sum):
        # Trino fails if the sum does not fit.
        return exp.cast(node.copy(), 'BIGINT')
    if not isinstance(node, (exp.Cast, exp.TryCast)) or isinstance(node.this, (exp.Sum, exp.Cast)):
        return node
    kind = node.to.this
    if kind == exp.DataType.Type.IPADDRESS:
        if not isinstance(node, exp.TryCast) and not isinstance(node.this, exp.Literal):
            raise Refused('INVALID_CAST_ARGUMENT: Cannot cast value to IPADDRESS')
        return exp.func('ipaddress', node.this.copy())
    if kind == exp.DataType.Type.BIGINT and isinstance(node, exp.TryCast):
        # DuckDB rounds fractions, and takes blanks and underscores.
        text = node.this.copy()
        digits = exp.RegexpLike(this=exp.cast(text, 'TEXT'), expression=exp.Literal.string('^[+-]?[0-9]+$'))
        return exp.Case(ifs=[exp.If(this=digits, true=exp.TryCast(this=text.copy(), to=node.to.copy()))])
    return node


def _ipaddress(text: str | None) -> bytes | None:
    """16 bytes, as Trino keeps an address; None if the text is not one."""
    if text is None or '%' in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return b'\0' * 10 + b'\xff\xff' + address.packed if isinstance(address, IPv4Address) else address.packed


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    raise Refused(f'NOT_SUPPORTED: a result of the type {type(value).__name__} is not faked')
