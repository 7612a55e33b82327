"""The table in the README's section *Reliability*: each of its rows is a test of that name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT


def rows() -> list[str]:
    """The last column of the table: the names of tests."""
    section = (ROOT / 'README.md').read_text('utf-8').partition('\n## Reliability\n')[2].partition('\n## ')[0]
    return [line.split('|')[-2] for line in section.splitlines() if line.startswith('| ') and '`test_' in line]


def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text('utf-8'))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')}


@pytest.fixture(scope='module')
def names_of_tests() -> set[str]:
    """The names of all tests."""
    return set().union(*map(defined_in, (ROOT / 'tests').rglob('test_*.py')))


def test_the_readme_has_a_row_for_every_kind_of_trouble() -> None:
    assert len(rows()) >= 25


@pytest.mark.parametrize('row', rows())
def test_a_row_is_a_test(row: str, names_of_tests: set[str]) -> None:
    names = re.findall(r'`(test_\w+)`', row)
    assert names
    assert set(names) <= names_of_tests
