"""Ten million records through print, top and aggregate, from a file and from CloudWatch: `tox -e load`, or

    python tests/tools/load.py [RECORDS]

Totals are compared with those of a program that shares nothing with this package; what comes out slower towards the end
than at the beginning, or takes more memory than the README promises, is told. Takes about 10 minutes, 2 GB of disk, and
4 GB of memory for the fake AWS.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests import traffic
from tests.fake.aws import FakeAWS

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDS = 10_000_000
WINDOW = ('-s', '2016-02-01', '-e', '2017-02-01')
TENTHS = 10
MEMORY_MB = {'print': 100, 'top': 1024, 'aggregate': 2048}


class Totals:
    """The sums of a log, with nothing but str.split and dict."""

    def __init__(self, path: Path) -> None:
        self.records = self.bytes = self.packets = 0
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.flows: defaultdict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
        with path.open() as file:
            for line in file:
                columns = line.split()
                self.records += 1
                if columns[9] != '-':
                    size, packets = int(columns[9]), int(columns[8])
                    self.bytes += size
                    self.packets += packets
                    self.pairs[columns[3], columns[4]] += size
                    flow = self.flows[tuple(columns[3:8])]
                    flow[0] += packets
                    flow[1] += size


class Run:
    """One run of the command line: its output in lines, how long each tenth of it took, and its peak memory."""

    def __init__(self, argv: list[str], env: dict[str, str], lines: int) -> None:
        program = [sys.executable, '-m', 'flowlogs_reader', *argv]
        self.seconds: list[float] = []
        begun = time.monotonic()
        process = subprocess.Popen(program, stdout=subprocess.PIPE, env=env, cwd=ROOT)
        assert process.stdout
        self.peak = 0
        watching = threading.Thread(target=self._watch, args=(process,))
        watching.start()
        self.output = Path(tempfile.mkstemp()[1])
        tenth, at = max(1, lines // TENTHS), 0
        with self.output.open('wb') as file:
            while piece := process.stdout.read(1 << 20):
                file.write(piece)
                at += piece.count(b'\n')
                if at >= tenth * (len(self.seconds) + 1):
                    self.seconds.append(time.monotonic() - begun)
        self.status = process.wait()
        watching.join()
        self.total = time.monotonic() - begun

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            try:
                status = Path(f'/proc/{process.pid}/status').read_text()
            except OSError:
                return
            if found := re.search(r'VmHWM:\s+(\d+)', status):
                self.peak = int(found[1]) // 1024
            time.sleep(0.2)

    @property
    def tenths(self) -> list[float]:
        return [after - before for before, after in zip([0.0, *self.seconds], self.seconds)]


def check(name: str, condition: bool, told: str) -> bool:
    print(f'  {"ok   " if condition else "WRONG"} {name}: {told}', flush=True)
    return condition


def rows(run: Run) -> Iterator[list[str]]:
    with run.output.open() as file:
        next(file)
        for line in file:
            yield line.rstrip('\n').split('\t')


def check_run(action: str, run: Run, path: Path, totals: Totals) -> bool:
    good = check('exit status', run.status == 0, str(run.status))
    good &= check('peak memory', run.peak <= MEMORY_MB[action], f'{run.peak} MiB, {MEMORY_MB[action]} at most')
    if action == 'print':
        same = subprocess.run(['cmp', str(path), str(run.output)]).returncode == 0
        good &= check('records', same, f'the same {totals.records:,} lines as went in')
        first, last = sum(run.tenths[1:4]), sum(run.tenths[-3:])
        good &= check(
            'no slowdown', last < first * 2, f'30 % near the end in {last:.1f} s, near the beginning in {first:.1f} s'
        )
    elif action == 'top':
        expected = sorted(totals.pairs.items(), key=lambda item: (-item[1], f'{item[0][0]} {item[0][1]}'))[:100]
        found = [((row[3], row[4]), int(row[0])) for row in rows(run)]
        good &= check('100 pairs with most bytes', found == expected, f'{len(found)} rows')
    else:
        # bytes dstaddr dstport end packets protocol srcaddr srcport start
        found_flows = {(row[6], row[1], row[7], row[2], row[5]): [int(row[4]), int(row[0])] for row in rows(run)}
        good &= check(
            'packets and bytes of each flow', found_flows == dict(totals.flows), f'{len(found_flows):,} flows'
        )
    run.output.unlink()
    return good


def main(argv: list[str]) -> int:
    if '--help' in argv:
        print(__doc__)
        return 0
    records = int(argv[1]) if len(argv) > 1 else RECORDS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'load.log'
        print(f'{records:,} records:', flush=True)
        traffic.write_log(path, records)
        totals = Totals(path)
        print(
            f'  {path.stat().st_size / 1e6:,.0f} MB, {totals.bytes:,} bytes in {totals.packets:,} packets', flush=True
        )
        server = subprocess.Popen(
            [sys.executable, 'tests/fake/aws.py', '--records', str(records), '--group', 'load'], cwd=ROOT,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdout
        env = {**os.environ, **FakeAWS().environ('us-east-1'), 'AWS_ENDPOINT_URL': server.stdout.readline().strip()}
        good = True
        try:
            for source, location in (('file', [str(path)]), ('CloudWatch', ['load', *WINDOW])):
                for action in ('print', 'top', 'aggregate'):
                    run = Run([*location, action, '--quiet', *(['100'] if action == 'top' else [])], env, records)
                    print(
                        f'{action} from {source}: {run.total:.1f} s, {records / run.total:,.0f} records a second',
                        flush=True,
                    )
                    good &= check_run(action, run, path, totals)
        finally:
            server.kill()
            server.wait()
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv))
