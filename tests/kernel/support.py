"""The two kernels, and how to compare them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


def native() -> ModuleType:
    """The kernel in C. Skips the test if it is not built; in continuous integration it must be, with a compiler."""
    try:
        from flowlogs_reader.kernel import _native
    except ImportError:
        if os.environ.get('CI') == 'true' and shutil.which('cc'):
            raise
        pytest.skip('the native kernel is not built')
    return _native


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, or the type of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error)
