"""Each test of the kernel runs with Python and with C, if that is built."""

from __future__ import annotations

from types import ModuleType

import pytest

from flowlogs_reader.kernel import pure

from .support import native


@pytest.fixture(params=['pure', 'native'])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    return pure if request.param == 'pure' else native()
