"""Measures this checkout beside flowlogs-reader 5.0.1, awslogs, DuckDB, mawk, grep and zcat; prints a Markdown table.

`tox -e bench`, or `python tests/tools/bench.py --records 100000 --rounds 1 --job file-top` for a quick look.
What is compared is installed into environments of their own. Whole processes are measured, in turns within one run;
what they put out is compared, and figures are medians over the rounds. Memory is the peak of the largest of a
command's processes; Linux never tells less than the peak of this process, about 25 MiB.
"""

import argparse
import gzip
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
if not __package__:  # run as a script
    sys.path.insert(0, str(ROOT))

from tests.tools.bench_jobs import COLUMNS, GROWTH_JOBS, JOBS, PEER, PER_SECOND, Answer, Command, Goal, Job, Row  # noqa: E402

HEADER = ('job', 'ours', 'ours, pure Python', 'beside', 'times as fast', 'must reach', 'answers')
INSTALLED = {  # what pip installs for each, and what the header of the table names
    'ours': ('', 'flowlogs-reader boto3 pyarrow isal'),
    PEER: (f'flowlogs-reader=={PEER}', 'flowlogs-reader boto3'),
    'awslogs': ('awslogs', 'awslogs boto3'),
    'DuckDB': ('duckdb', 'duckdb'),
}
# Seconds after which a command of another program is not run again: chance matters little, and the whole takes long.
SLOW = 12
CREDENTIALS = {
    'AWS_ACCESS_KEY_ID': 'AKIAFAKEFAKEFAKEFAKE', 'AWS_SECRET_ACCESS_KEY': 'secret', 'AWS_DEFAULT_REGION': 'us-east-1',
    'AWS_EC2_METADATA_DISABLED': 'true', 'AWS_CONFIG_FILE': '/dev/null', 'AWS_SHARED_CREDENTIALS_FILE': '/dev/null',
}  # fmt: skip


class Measurement(NamedTuple):
    """One run of a command: seconds, seconds of user and system time, MiB. `failure` is its last word if it failed."""

    wall: float
    cpu: float
    peak: float
    answer: Answer | None = None
    failure: str = ''


# --- the table --------------------------------------------------------------------------------------------------------


def table_row(row: Row, measured: dict[str, list[Measurement]], records: int) -> list[str]:
    """The cells of a row, from the measurements of each command of its job."""
    failures = [_failure(measured[who]) for who in (row.ours, row.pure) if who]
    if any(failures):
        return [row.title, *[''] * 5, '**failed**: ' + '; '.join(filter(None, failures))]
    ours = _medians(measured[row.ours])
    pure = _medians(measured[row.pure]) if row.pure else None
    beside = {who: _medians(measured[who]) for who in row.beside if not _failure(measured[who])}
    best = min(beside, key=lambda who: getattr(beside[who], row.metric), default='')
    sides = [f'{label(who)}: {_figures(measured[who])}' for who in row.beside]
    if not row.beside:
        ratio = f'{ours.cpu / records * 1e6:.2f} µs CPU a record'
    else:
        ratio = _ratios(row.metric, ours, pure, label(best), beside[best]) if best else ''
    rest = ' beside the rest' if len(beside) < len(row.beside) else ''
    goals = [f'{goal.text}: {_verdict(goal, ours, beside.get(best), rest)}' for goal in row.goals]
    pure_figures = _figures(measured[row.pure]) if row.pure else ''
    cells = [row.title, _figures(measured[row.ours]), pure_figures, '; '.join(sides), ratio, '; '.join(goals)]
    return [*cells, _agreement(row, measured)]


def label(who: str) -> str:
    return f'flowlogs-reader {who}' if who == PEER else who if who in INSTALLED else f'`{who}`'


def _failure(runs: Sequence[Measurement]) -> str:
    return next((run.failure for run in runs if run.failure), '')


def _figures(runs: Sequence[Measurement]) -> str:
    if failure := _failure(runs):
        return f'**failed**, {failure}'
    wall, cpu, peak, *_ = _medians(runs)
    return f'{wall:.2f} s, CPU {cpu:.2f} s, {peak:.0f} MiB'


def _ratios(metric: str, ours: Measurement, pure: Measurement | None, who: str, best: Measurement) -> str:
    """How many times as much the best of the others takes, by the row's metric."""
    kinds = [('', ours), ('pure ', pure)] if pure else [('', ours)]
    ratios = {kind: getattr(best, metric) / getattr(side, metric) for kind, side in kinds}
    text = ', '.join(f'{kind}{ratio:.3g}' for kind, ratio in ratios.items())
    return f'{_METRICS[metric]} {text}' + ('' if ratios[''] >= 1 else f'; **{who} is faster**')


_METRICS = {'wall': 'wall', 'cpu': 'CPU'}


def _verdict(goal: Goal, ours: Measurement, best: Measurement | None, rest: str) -> str:
    if goal.metric == 'peak':
        rest = ''
    elif best is None:
        return '**not measured**'
    return f'ok{rest}' if reached(goal, ours, best) else '**short**'


def reached(goal: Goal, ours: Measurement, best: Measurement | None) -> bool:
    if goal.metric == 'peak':
        return ours.peak < goal.limit
    return best is not None and getattr(best, goal.metric) >= goal.limit * getattr(ours, goal.metric)


def _medians(runs: Sequence[Measurement]) -> Measurement:
    return Measurement(*(median(run[at] for run in runs) for at in range(3)))


def _agreement(row: Row, measured: dict[str, list[Measurement]]) -> str:
    """Whether ours and those that give the same put out the same, each time."""
    first = measured[row.ours][0].answer
    if first is None:
        return ''
    others = [who for who in (row.pure, *(row.check or row.beside)) if who and not _failure(measured[who])]
    answers = {who: [run.answer for run in measured[who]] for who in (row.ours, *others)}
    wrong = [who for who, given in answers.items() if not all(answer and first.agrees(answer) for answer in given)]
    if wrong:
        counts = sorted({answer.records if answer else 0 for given in answers.values() for answer in given})
        numbers = ' and '.join(f'{count:,}' for count in counts) if counts[1:] else 'in content'
        return f'**differ** ({", ".join(map(label, wrong))}): {numbers}'
    if missing := [who for who in row.check if who not in others]:
        return f'{first.records:,}, **not compared**: {", ".join(_failure(measured[who]) for who in missing)}'
    return f'{"same, " if others else ""}{first.records:,}'


def markdown(cells: Sequence[str]) -> str:
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(command: Command, output: Path) -> Measurement:
    """Run a command with a pipe to read from, as in a shell; what it writes is compared after the clock has stopped."""
    environ = {'PATH': os.environ['PATH'], 'LC_ALL': 'C', **command.environ}
    with tempfile.TemporaryFile() as errors, open(output, 'wb') as file:
        began = time.perf_counter()
        process = subprocess.Popen(
            ['sh', '-c', command.line], env=environ, stdout=subprocess.PIPE, stderr=errors, bufsize=0
        )
        assert process.stdout
        try:
            shutil.copyfileobj(process.stdout, file, 1 << 16)
        except BaseException:
            process.kill()
            raise
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        words = errors.read().decode(errors='replace').strip().splitlines()
    figures = wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    if process.returncode:
        return Measurement(*figures, failure=f'{words[-1] if words else "no message"} (status {process.returncode})')
    with open(output, 'rb') as lines:
        return Measurement(*figures, command.answer(lines))


def run(job: Job, rounds: int, output: Path) -> dict[str, list[Measurement]]:
    """The commands of a job in turns. One that failed, or of others one that is SLOW, is not run again."""
    measured: dict[str, list[Measurement]] = {who: [] for who in job.commands}
    for who, command in job.commands.items():
        if who.startswith('ours'):  # the fake indexes a filter pattern when it sees it first
            tell(f'  warm-up {who}: {measure(command, output).wall:.2f} s')
    for _ in range(rounds * job.repeat):
        for who, command in job.commands.items():
            runs = measured[who]
            slow = not who.startswith('ours') and runs and runs[-1].wall > SLOW
            if not (runs and (runs[-1].failure or slow)):
                runs.append(measure(command, output))
                tell(f'  {who}: {runs[-1].wall:.2f} s {runs[-1].failure}')
    return measured


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the place --------------------------------------------------------------------------------------------------------


class Place:
    """Virtual environments, fakes and files, each made when it is first asked for. A context manager."""

    def __init__(self, directory: Path, records: int, latency: float):
        self.directory, self.records, self.latency = directory.resolve(), records, latency
        self._files: dict[str, str] = {}
        self._fakes: dict[tuple[str, ...], dict[str, str]] = {}
        self._closing = ExitStack()

    def __enter__(self) -> 'Place':
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / '.gitignore').write_text('*\n')
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def program(self, who: str, name: str) -> str:
        return str(self._installed[who] / 'bin' / name)

    @cached_property
    def _installed(self) -> dict[str, Path]:
        return {who: self._environment(who, package) for who, (package, _) in INSTALLED.items()}

    def _environment(self, who: str, package: str) -> Path:
        """A virtual environment; those of others are kept for the next time, ours is installed anew."""
        path = self.directory / who
        wanted = [package] if package else _checkout(self.directory / 'checkout')
        ready = path / 'ready'
        if not (ready.exists() and ready.read_text() == ' '.join(wanted)):
            tell(f'installing {package or "this checkout"} into {path}')
            subprocess.run([sys.executable, '-m', 'venv', '--clear', path], check=True)
            _pip(path, *wanted)
            ready.write_text(' '.join(wanted))
        elif not package:
            _pip(path, '--force-reinstall', '--no-deps', wanted[0])
        return path

    def versions(self) -> str:
        """Of everything that is measured, and whether ours has its kernel in C."""
        found = {who: self._says(who, _VERSIONS, names) for who, (_, names) in INSTALLED.items()}
        native = self._says('ours', 'from flowlogs_reader.kernel import NATIVE; print(NATIVE)') == 'True'
        found['ours'] += ', kernel in C' if native else ', **no kernel in C**'
        tools = (['mawk', '-W', 'version'], ['zcat', '--version'], ['grep', '--version'])
        return '; '.join([*found.values(), *map(_tool, tools)])

    def _says(self, who: str, script: str, *arguments: str) -> str:
        return subprocess.check_output([self.program(who, 'python'), '-I', '-c', script, *arguments], text=True).strip()

    def fake(self, *options: str) -> dict[str, str]:
        if options not in self._fakes:
            tell(f'starting a fake AWS: {" ".join(options)}')
            line = [sys.executable, ROOT / 'tests' / 'fake' / 'aws.py', *options]
            process = self._closing.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
            self._closing.callback(process.terminate)
            assert process.stdout
            self._fakes[options] = {**CREDENTIALS, 'AWS_ENDPOINT_URL': process.stdout.readline().strip()}
        return self._fakes[options]

    def files(self, kind: str) -> str:
        if kind not in self._files:
            tell(f'writing a {kind}')
            self._files[kind] = str(self._written(kind)) + ('/' if kind.startswith('directory') else '')
        return self._files[kind]

    def _written(self, kind: str) -> Path:
        path = self.directory / {'gz file': 'records.log.gz', 'Parquet file': 'records.parquet'}.get(kind, 'records')
        if kind == 'gz file':
            # In a process of its own: what it needs would count as memory of every command that is measured.
            call = f'write_log({str(path)!r}, {self.records}, gz=True, per_second={PER_SECOND})'
            subprocess.run([sys.executable, '-c', f'from tests.traffic import write_log; {call}'], cwd=ROOT, check=True)
        elif kind == 'Parquet file':
            columns = [f'{name}={_ARROW[kind]}' for name, kind in COLUMNS.items()]
            python = self.program('ours', 'python')
            subprocess.run([python, '-I', '-c', _PARQUET, self.files('gz file'), path, *columns], check=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            with gzip.open(self.files('gz file')) as lines:
                for number in range(16):
                    with gzip.open(path / f'{number:02}.log.gz', 'wb') as file:
                        file.writelines(islice(lines, -(-self.records // 16)))
        return path


_VERSIONS = """\
import sys
from importlib.metadata import version
print(', '.join(f'{name} {version(name)}' for name in sys.argv[1].split()))
"""
_ARROW = {'INTEGER': 'int32', 'BIGINT': 'int64', 'VARCHAR': 'string'}
_PARQUET = """\
import sys, pyarrow
from pyarrow import csv, parquet
log, path, *columns = sys.argv[1:]
types = {name: pyarrow.type_for_alias(kind) for name, kind in (column.split('=') for column in columns)}
convert = csv.ConvertOptions(column_types=types, null_values=['-'], strings_can_be_null=True)
table = csv.read_csv(log, csv.ReadOptions(column_names=[*types]), csv.ParseOptions(delimiter=' '), convert)
parquet.write_table(table, path, compression='gzip')  # as AWS does
"""


def _tool(line: list[str]) -> str:
    """The first line that a program says of its version."""
    if not shutil.which(line[0]):
        return f'**no {line[0]} on this machine**'
    done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.split('\n')[0]


def _checkout(copy: Path) -> list[str]:
    """A copy of this checkout to install from, so that building leaves nothing behind in it, and what makes it fast."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns('.*', '*.so', 'tests', 'build', 'dist', '*.egg-info'))
    return [f'{copy}[all]']


def _pip(path: Path, *arguments: str) -> None:
    subprocess.run([path / 'bin' / 'pip', 'install', '-qq', *arguments], check=True, stdout=sys.stderr)


# --- the command ------------------------------------------------------------------------------------------------------


def machine() -> str:
    """The processor and its cores, and the Python that runs everything."""
    model = platform.processor() or platform.machine()
    if os.path.exists('/proc/cpuinfo'):
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        model = next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')), model)
    return f'{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}'


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--records', type=int, default=1_000_000, help='default: %(default)s')
    parser.add_argument('--latency', metavar='MS', type=float, default=200, help='of a page in one job (%(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='default: %(default)s')
    parser.add_argument('--job', metavar='NAME', action='append', choices=[*JOBS, *GROWTH_JOBS], help='can be repeated')
    parser.add_argument('--growth', action='store_true', help='and 100,000 to 5,000,000 records')
    parser.add_argument('--list', action='store_true', help='the names of the jobs')
    parser.add_argument('--date', default=date.today().isoformat(), help='for the header (default: today)')
    parser.add_argument('--directory', type=Path, default=ROOT / '.bench', help='for environments and files (.bench)')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(argv)
    if options.list:
        print('\n'.join([*JOBS, *GROWTH_JOBS]))
        return 0
    names = options.job or [*JOBS]
    names += [name for name in GROWTH_JOBS if options.growth and name not in names]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))  # so that the fakes end too
    with Place(options.directory, options.records, options.latency) as place:
        print(f'{options.date}, {machine()}. {options.records:,} records, medians of {options.rounds} rounds.', end=' ')
        print(f'Ours: {place.versions()}.\n')
        print(markdown(HEADER), markdown(['---'] * len(HEADER)), sep='\n', flush=True)
        for name in names:
            tell(name)
            job = {**JOBS, **GROWTH_JOBS}[name](place)
            measured = run(job, options.rounds, options.directory / 'output')
            for row in job.rows:
                print(markdown(table_row(row, measured, job.records)), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
