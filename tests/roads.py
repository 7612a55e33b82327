"""Roads: every way from stored flow logs to the command line, for tests that expect the same result from all.

Such a test takes the names of its roads from ROADS, stores a log for each, and reads it there:

    @pytest.mark.parametrize('road', ROADS)
    def test_something(cli, fake, tmp_path, road):
        read = ROADS[road].lay(Log(lines), fake, tmp_path).over(cli)
        assert read('findip', '10.0.0.1').lines == expected

A further source, format, kernel or engine is one more row of ROADS.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flowlogs_reader import FileFlowLogsReader, FlowLogsReader, S3FlowLogsReader
from flowlogs_reader.sources.base import BaseReader
from tests.conftest import Cli, Result
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects
from tests.traffic import FIELDS, REGION


@dataclass(frozen=True)
class Log:
    """The lines to store.

    `header` has the names of their fields, and text files begin with it. Without one the lines have the default format,
    and text files are lines only. AWS always tells the format: a log group has a flow log, an object has a header row.

    With a `region` the log is stored there, and the command line gets that Region. `max_lines` is the most that an
    object in S3 holds. AWS puts a hash into the names of objects, so that those of one moment are in any order; with
    `in_order` they have numbers instead, in the order of their lines.
    """

    lines: Sequence[bytes]
    header: Sequence[str] = ()
    region: str = ''
    max_lines: int = 700
    in_order: bool = True

    @property
    def fields(self) -> Sequence[str]:
        return self.header or FIELDS

    def text(self) -> bytes:
        header = [' '.join(self.header).encode()] if self.header else []
        return b''.join(line + b'\n' for line in [*header, *self.lines])

    def objects(self, layout: str, format: str) -> dict[str, bytes]:
        """The objects that AWS would deliver, by key."""
        objects = s3_objects(
            self.lines,
            layout,
            format=format,
            header=self.fields,
            region=self.region or REGION,
            prefix='some/prefix',
            max_lines=self.max_lines,
        )
        if not self.in_order:
            return objects
        return {
            f'{key.rpartition("_")[0]}_{number:08}.{key.partition(".")[2]}': body
            for number, (key, body) in enumerate(objects.items())
        }


class Place(NamedTuple):
    """Where a log is stored: the arguments to read it, the data on stdin, and variables of the environment."""

    argv: tuple[str, ...]
    stdin: bytes = b''
    environ: Mapping[str, str] = {}

    def over(self, cli: Cli) -> Cli:
        """The command line over this log: what it still takes is an action and options."""

        def run(*argv: str, **more: Any) -> Result:
            with self._environment():
                return cli(*self.argv, *argv, stdin=self.stdin, **more)

        return run

    @contextmanager
    def reader(self, clients: Mapping[str, Any], **options: Any) -> Iterator[BaseReader]:
        """The library's reader of exactly a window of this log; `clients` are those of boto3, by service."""
        (location,) = self.argv  # the library does not take options of the command line
        reader: BaseReader
        with self._environment():
            if location.startswith('s3://'):
                reader = S3FlowLogsReader(location, boto_client=clients['s3'], exact_window=True, **options)
            elif '/' in location:
                reader = FileFlowLogsReader(location, **options)
            else:
                reader = FlowLogsReader(location, boto_client=clients['logs'], **options)
            with reader:
                yield reader

    @contextmanager
    def _environment(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            yield


# Lays a log on the fake AWS, or in a directory of its own, whose name is free on the fake as well.
Layer = Callable[[Log, FakeAWS, Path], Place]


@dataclass(frozen=True)
class Road:
    """A way to store a log, and the options and the environment to read it.

    The same files read in another way are a further road:
    Road('file kernel', file(Log.text), environ={'KERNEL': 'other'}).
    """

    name: str
    layer: Layer
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    def lay(self, log: Log, fake: FakeAWS, path: Path) -> Place:
        """Lays the log once; other roads may lead to the same fake and path."""
        own = path / f'{self.name.replace(" ", "-")}-logs'
        own.mkdir()
        place = self.layer(log, fake, own)
        return place._replace(argv=(*place.argv, *self.options), environ=self.environ)


# -- AWS ---------------------------------------------------------------------------------------------------------------


def log_group(log: Log, fake: FakeAWS, path: Path) -> Place:
    start, interface = map(log.fields.index, ('start', 'interface-id'))
    fake.add_log_group(
        path.name,
        log.region or REGION,
        log.lines,
        timestamp=lambda line: int(line.split()[start]) * 1000,
        stream=lambda line: f'{line.split()[interface].decode()}-all',
    )
    log_format = ' '.join(f'${{{name}}}' for name in log.fields)
    fake.add_flow_log(log_group=path.name, log_format=log_format, region=log.region or REGION)
    return in_region(log, path.name)


def bucket(layout: str, format: str) -> Layer:
    def lay(log: Log, fake: FakeAWS, path: Path) -> Place:
        fake.add_bucket(path.name, log.region or REGION, log.objects(layout, format))
        return in_region(log, f's3://{path.name}/some/prefix')

    return lay


def in_region(log: Log, location: str) -> Place:
    return Place((location, '--region', log.region) if log.region else (location,))


# -- files -------------------------------------------------------------------------------------------------------------


def directory(layout: str, format: str) -> Layer:
    """A copy of a bucket."""

    def lay(log: Log, fake: FakeAWS, path: Path) -> Place:
        for key, body in log.objects(layout, format).items():
            (path / key).parent.mkdir(parents=True, exist_ok=True)
            (path / key).write_bytes(body)
        return Place((str(path),))

    return lay


def file(body: Callable[[Log], bytes], name: str = 'flows.log') -> Layer:
    def lay(log: Log, fake: FakeAWS, path: Path) -> Place:
        (path / name).write_bytes(body(log))
        return Place((str(path / name),))

    return lay


def stdin(body: Callable[[Log], bytes]) -> Layer:
    return lambda log, fake, path: Place(('-',), body(log))


def gzip_members(log: Log) -> bytes:
    """Several gzip files put together, each with its header row."""
    runs = (log.lines[first : first + 300] for first in range(0, len(log.lines), 300))
    return b''.join(gzip.compress(replace(log, lines=run).text(), mtime=0) for run in runs)


def parquet(log: Log) -> bytes:
    (only,) = s3_objects(log.lines, header=log.fields, format='parquet', bucket_minutes=10**6).values()
    return only


BODIES: dict[str, Callable[[Log], bytes]] = {
    'plain': Log.text,
    'gzip': lambda log: gzip.compress(log.text(), mtime=0),
    'members': gzip_members,
    'windows': lambda log: b'\xef\xbb\xbf' + log.text().replace(b'\n', b'\r\n'),
    'parquet': parquet,
}

# -- the table ---------------------------------------------------------------------------------------------------------

ROADS = {
    road.name: road
    for road in (
        Road('cloudwatch', log_group),
        Road('s3 default', bucket('default', 'text')),
        Road('s3 hourly', bucket('hourly', 'text')),
        Road('s3 hive', bucket('hive', 'text')),
        Road('s3 hive-hourly', bucket('hive-hourly', 'text')),
        Road('s3 parquet', bucket('hourly', 'parquet')),
        Road('s3 hive parquet', bucket('hive', 'parquet')),
        Road('directory', directory('default', 'text')),
        Road('directory parquet', directory('hive-hourly', 'parquet')),
        *(Road(f'file {name}', file(body, f'flows.{name}')) for name, body in BODIES.items()),
        *(Road(f'stdin {name}', stdin(body)) for name, body in BODIES.items()),
    )
}
