"""kernel/native compiles without a warning, with and without SSE2, and handles failed allocations."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlogs_reader.kernel import pure
from tests.traffic import lines

from .build import HEADERS, SOURCE, build, can_build, load
from .inputs import DEFAULT

pytestmark = pytest.mark.skipif(
    not can_build() or sys.platform == 'win32', reason='there is no C compiler, or no Python.h, or no source'
)

SUMS = (8, 9, 10, 11, 13)
LINES = b''.join(line + b'\n' for line in lines(600))
# Two of these lines are made canonical, and one is skipped.
ODD = LINES[:3_000].rpartition(b'\n')[0] + b'\n' + LINES[:200].partition(b'\n')[0] + b'\r\nnothing\n' + b' x ' * 14
TESTS = (
    ((12,), False, False, 'text', (b'ACCEPT', b'a', b'b', b'c', b'd', b'e')),
    ((9,), False, False, 'number', ((40, 10**9),)),
    ((3, 4), True, False, 'address', ((1, 5, 4),)),
    ((3,), True, False, 'same', (4, '@=')),
    ((7,), False, True, 'flags', 2),
)
KEYS = (('prefix', 24, 48), None, ('bucket', 60, 0), ('map', {b'ACCEPT': b'yes'}, b'no'))
BODY = json.dumps(
    {
        'events': [{'message': f'2 1 \t\U0001f600é {at}', 'timestamp': at, 'eventId': str(at)} for at in range(99)],
        'nextToken': 'x',
    }
).encode()


@pytest.mark.parametrize('options', [(), ('-DKERNEL_NO_SIMD',)])
def test_no_warning_and_the_same_results(tmp_path: Path, options: tuple[str, ...]) -> None:
    kernel = load(build(tmp_path, *options))
    for name, call in CALLS.items():
        assert call(kernel) == call(pure), name


def test_each_part_includes_what_it_uses() -> None:
    parts = sorted(SOURCE.parent.glob('*.h'))
    assert len(parts) > 15
    # -w: on their own, most functions of a part are not used.
    subprocess.run(['cc', '-std=c11', '-w', '-fsyntax-only', *HEADERS, '-x', 'c', *parts], check=True)


@pytest.fixture(scope='module')
def failing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A kernel in which the n-th allocation fails after fail_in(n), and alive() counts those that are not freed."""
    return load(build(tmp_path_factory.mktemp('failing'), '-DKERNEL_TEST_ALLOC'))


def added(kernel: Any) -> Any:
    table = kernel.Sums(KEYS)
    assert table.add(DEFAULT, TESTS, None, ((3, 4, 10, 12), (4, 3, 11, 12)), SUMS, LINES + ODD)
    return table


def merged(kernel: Any) -> bytes:
    tables = [kernel.Sums((None, None)) for _ in range(2)]
    for table, data in zip(tables, (LINES, ODD)):
        table.add(DEFAULT, (), None, ((3, 4),), SUMS, data)
    tables[1].merge(tables[0])
    return bytes(tables[1].lines()) + bytes(tables[1].top(5, 'bytes'))


def kept(kernel: Any) -> Any:
    tests = kernel.compile_tests(DEFAULT, TESTS)
    assert kernel.keep(DEFAULT, tests, None, LINES) == kernel.keep(DEFAULT, TESTS, None, LINES)
    return kernel.keep(DEFAULT, tests, (10, 11, 0, 10**13, False), ODD)


def regrouped(kernel: Any) -> bytes:
    table = kernel.Sums((None, None))
    table.add_groups(b''.join(b'%d key-%d 1 2 3 - 4\n' % (at % 99, at) for at in range(400)))
    return bytes(table.lines())


def encoded(encoding: str) -> Callable[[Any], Any]:
    names = tuple(b'field_%d' % at for at in range(14))
    times = (*[None] * 10, 'iso', 'date', None, None)
    return lambda kernel: kernel.encode(encoding, names, (True,) * 14, (*range(13), -1), times, b' ', LINES)


CALLS: dict[str, Callable[[Any], Any]] = {
    'check': lambda kernel: kernel.check(DEFAULT, LINES),
    'check odd': lambda kernel: kernel.check(DEFAULT, ODD + b'\0' * 70_000),
    'keep': lambda kernel: kernel.keep(DEFAULT, TESTS, (10, 11, 0, 10**13, False), LINES + ODD),
    'compiled tests': kept,
    'columns': lambda kernel: kernel.columns(DEFAULT, TESTS, None, (3, (4, 3), (5, 6)), LINES + ODD),
    'letter_lines': lambda kernel: kernel.letter_lines(b'bytes\n2\n' * 99),
    'lines_with': lambda kernel: kernel.lines_with((b'10.0.0.7', b'NODATA'), LINES),
    'sums': lambda kernel: added(kernel).lines(),
    'top': lambda kernel: added(kernel).top(5, 'flows'),
    'merge': merged,
    'add_groups': regrouped,
    'encode text': encoded('text'),
    'encode csv': encoded('csv'),
    'encode jsonl': encoded('jsonl'),
    'find_events': lambda kernel: kernel.find_events(BODY),
}


def test_every_allocation_may_fail(failing: Any) -> None:
    """The n-th allocation fails, for each n: that raises MemoryError, and frees all memory."""
    kernel = failing
    for name, call in CALLS.items():
        expected = call(pure)
        failures = 0
        gc.collect()
        while True:
            alive = kernel.alive()
            kernel.fail_in(failures)
            try:
                found = call(kernel)
            except MemoryError:
                failures += 1
            else:
                assert found == expected, name
                break
            finally:
                kernel.fail_in(-1)
            assert kernel.alive() == alive, (name, failures)
        assert failures > 0, name
        assert kernel.alive() == alive, name


def test_a_table_outlives_a_failure(failing: Any) -> None:
    kernel = failing
    table = kernel.Sums((None, None))
    for fail_in in range(30):
        kernel.fail_in(fail_in)
        try:
            table.add(DEFAULT, (), None, ((3, 4),), SUMS, LINES)
        except MemoryError:
            pass
        finally:
            kernel.fail_in(-1)
        rows = table.lines().splitlines()
        assert len(rows) == len(table) == len({tuple(row.split()[:2]) for row in rows})


def test_it_installs_without_a_compiler(tmp_path: Path) -> None:
    """The one slow test here: it copies the source and installs it with pip."""
    source = tmp_path / 'source'
    root = SOURCE.parents[3]
    ignored = shutil.ignore_patterns('*.so', '*.pyd', '__pycache__')
    shutil.copytree(root / 'flowlogs_reader', source / 'flowlogs_reader', ignore=ignored)
    for name in ('setup.py', 'README.md', 'LICENSE'):
        shutil.copy(root / name, source)
    pytest.importorskip('setuptools')
    options = ['--no-deps', '--no-build-isolation', '--quiet', '--target', str(tmp_path / 'site')]
    environ = {**os.environ, 'CC': '/bin/false'}
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'install', *options, str(source)], env=environ, capture_output=True, text=True
    )
    if done.returncode and "invalid command 'bdist_wheel'" in done.stderr:
        pytest.skip('the wheel package is not installed')
    assert done.returncode == 0, done.stderr
    code = 'import flowlogs_reader.kernel as k; print(k.NATIVE, k.check(b"T", b" a\\n"), k.__file__)'
    environ = {**os.environ, 'PYTHONPATH': str(tmp_path / 'site')}
    environ.pop('FLOWLOGS_READER_PURE', None)
    shown = subprocess.run(
        [sys.executable, '-c', code], env=environ, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert shown.stdout.startswith(f"False (b'a\\n', 0) {tmp_path}")


def test_the_environment_chooses_python() -> None:
    code = 'import flowlogs_reader.kernel as k; print(k.NATIVE, k.check.__module__)'
    environ = {**os.environ, 'FLOWLOGS_READER_PURE': '1'}
    shown = subprocess.run([sys.executable, '-c', code], env=environ, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ['False', 'flowlogs_reader.kernel.pure.lines']
