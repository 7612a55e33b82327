"""Measures this checkout beside flowlogs-reader 5.0.1, awslogs, zcat and mawk, and prints a Markdown table.

`tox -e bench`, or `python tests/tools/bench.py --records 100000 --rounds 1 --job cloudwatch-print` for a quick look.
Every job also compares what both sides put out. Figures are medians over the rounds. Memory is the peak of the largest
of a command's processes; Linux never tells less than the peak of this process, about 25 MiB.
"""

import argparse
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
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
if not __package__:  # run as a script
    sys.path.insert(0, str(ROOT))

from tests.tools.bench_jobs import GROWTH_JOBS, JOBS, PEER, PER_SECOND, Answer, Command, Goal, Job, Row  # noqa: E402

HEADER = ('job', 'beside', 'wall s', 'CPU s', 'peak MiB', 'ratio', 'must reach', 'answers')
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
    runs = [measured[who] for who in (row.ours, row.beside, row.check) if who]
    failures = {run.failure for several in runs for run in several if run.failure}
    if failures:
        return [row.title, row.beside or '', *[''] * 5, '**failed**: ' + '; '.join(sorted(failures))]
    ours = _medians(measured[row.ours])
    theirs = _medians(measured[row.beside]) if row.beside else None
    sides = [side for side in (ours, theirs) if side]
    cells = [' / '.join(f'{getattr(side, metric):{form}}' for side in sides) for metric, form in _FORMATS.items()]
    if theirs:
        ratio = f'wall {theirs.wall / ours.wall:.3g}, CPU {theirs.cpu / ours.cpu:.3g}'
    else:
        ratio = f'{ours.cpu / records * 1e6:.2f} µs CPU a record'
    goals = '; '.join(f'{goal.text}: {"ok" if reached(goal, ours, theirs) else "**short**"}' for goal in row.goals)
    return [row.title, row.beside or '', *cells, ratio, goals, _agreement(runs[0], runs[-1])]


_FORMATS = {'wall': '.2f', 'cpu': '.2f', 'peak': '.0f'}


def reached(goal: Goal, ours: Measurement, theirs: Measurement | None) -> bool:
    if goal.metric == 'peak':
        return ours.peak < goal.limit
    return theirs is not None and getattr(theirs, goal.metric) >= goal.limit * getattr(ours, goal.metric)


def _medians(runs: Sequence[Measurement]) -> Measurement:
    return Measurement(*(median(run[at] for run in runs) for at in range(3)))


def _agreement(ours: Sequence[Measurement], check: Sequence[Measurement]) -> str:
    answers = [run.answer for run in (*ours, *check)]
    first = answers[0]
    if first is None:
        return ''
    if all(answer and first.agrees(answer) for answer in answers):
        return f'{"" if check is ours else "same, "}{first.records:,}'
    counts = sorted({answer.records if answer else 0 for answer in answers})
    return '**differ**' + (f': {" and ".join(f"{count:,}" for count in counts)}' if counts[1:] else ' in content')


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
    """The commands of a job in turns. One that failed, or is slow, is not run again."""
    measured: dict[str, list[Measurement]] = {who: [] for who in job.commands}
    for who, command in job.commands.items():
        if who.startswith('ours'):  # the fake indexes a filter pattern when it sees it first
            tell(f'  warm-up {who}: {measure(command, output).wall:.2f} s')
    for _ in range(rounds * job.repeat):
        for who, command in job.commands.items():
            runs = measured[who]
            if not (runs and (runs[-1].failure or command.once)):
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
        wanted = {'ours': '', PEER: f'flowlogs-reader=={PEER}', 'awslogs': 'awslogs'}
        return {who: self._environment(who, package) for who, package in wanted.items()}

    def _environment(self, who: str, package: str) -> Path:
        """A virtual environment; those of others are kept for the next time, ours is installed anew."""
        path = self.directory / who
        if not (path / 'ready').exists():
            tell(f'installing {package or "this checkout"} into {path}')
            subprocess.run([sys.executable, '-m', 'venv', '--clear', path], check=True)
            _pip(path, *([package] if package else _checkout(path / 'checkout')))
            (path / 'ready').touch()
        elif not package:
            _pip(path, '--force-reinstall', '--no-deps', *_checkout(path / 'checkout'))
        return path

    def versions(self) -> dict[str, str]:
        script = 'from importlib.metadata import version; print(version({!r}), "with boto3", version("boto3"))'
        names = {'ours': 'flowlogs-reader', PEER: 'flowlogs-reader', 'awslogs': 'awslogs'}
        lines = {who: [self.program(who, 'python'), '-I', '-c', script.format(name)] for who, name in names.items()}
        return {who: subprocess.check_output(line, text=True).strip() for who, line in lines.items()}

    def fake(self, *options: str) -> dict[str, str]:
        if options not in self._fakes:
            tell(f'starting a fake AWS: {" ".join(options)}')
            line = [sys.executable, ROOT / 'tests' / 'fake' / 'aws.py', *options]
            process = self._closing.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
            self._closing.callback(process.terminate)
            assert process.stdout
            self._fakes[options] = {**CREDENTIALS, 'AWS_ENDPOINT_URL': process.stdout.readline().strip()}
        return self._fakes[options]

    def log(self) -> Path:
        return self._log

    @cached_property
    def _log(self) -> Path:
        path = self.directory / 'records.log.gz'
        tell(f'writing {path}')
        # In a process of its own: what the generator needs would count as memory of every command that is measured.
        call = f'write_log({str(path)!r}, {self.records}, gz=True, per_second={PER_SECOND})'
        subprocess.run([sys.executable, '-c', f'from tests.traffic import write_log; {call}'], cwd=ROOT, check=True)
        return path


def _checkout(copy: Path) -> list[str]:
    """A copy of this checkout to install from, so that building leaves nothing behind in it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns('.*', 'tests', 'build', 'dist', '*.egg-info'))
    return [str(copy)]


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
        versions = place.versions()
        print(f'{options.date}, {machine()}. {options.records:,} records, medians of {options.rounds}, ours / beside:')
        print(f'flowlogs-reader {versions["ours"]} beside {versions[PEER]}, awslogs {versions["awslogs"]}.\n')
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
