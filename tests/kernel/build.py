"""Builds of kernel/native for tests: with every warning, with failing allocations, with sanitizers."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / 'flowlogs_reader' / 'kernel' / 'native' / 'module.c'
WARNINGS = ('-std=c11', '-Wall', '-Wextra', '-Wconversion', '-Wshadow', '-Werror', '-DPy_LIMITED_API=0x030a0000')
# Python's own headers are not held to these warnings.
HEADERS = ('-isystem', sysconfig.get_path('include'))
NAME = 'flowlogs_reader.kernel._native'


def can_build() -> bool:
    header = Path(sysconfig.get_path('include'), 'Python.h')
    return shutil.which('cc') is not None and header.exists() and SOURCE.exists()


def build(folder: Path, *options: str) -> Path:
    """Raises CalledProcessError, with what the compiler said, if it does not compile without a warning."""
    path = folder / '_native.abi3.so'
    command = ['cc', *WARNINGS, '-O1', '-g', '-fPIC', '-shared', *HEADERS, *options, str(SOURCE), '-o', str(path)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return path


def load(path: Path) -> Any:
    loader = ExtensionFileLoader(NAME, str(path))
    spec = spec_from_loader(NAME, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
