"""The stages: a stage imports only from the stages above it, and no modules import each other in a circle."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from flowlogs_reader.cli.options import OPTIONS
from tests.conftest import MODULES, ROOT

# In the order in which data flows; errors.py is above all, the package's own files are below.
STAGES = ('errors', 'kernel', 'records', 'query', 'aws', 'sources', 'engines', 'output', 'cli')
STRANGERS = {('engines', 'output'), ('output', 'engines')}
DOORS = {'__init__', '__main__'}


def name_of(path: Path) -> str:
    return '.'.join(path.relative_to(ROOT / 'flowlogs_reader').with_suffix('').parts)


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a module imports: late imports, and those for type checking, included."""
    here = name_of(path).split('.')[:-1]
    names = {name_of(module).removesuffix('.__init__') for module in MODULES}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or '').startswith('flowlogs_reader')):
            base = here[: len(here) - node.level + 1] if node.level else []
            prefix = '.'.join([*base, *filter(None, (node.module or '').removeprefix('flowlogs_reader').split('.'))])
            wanted = [f'{prefix}.{alias.name}'.lstrip('.') for alias in node.names]
            found |= {name if name in names else prefix or '__init__' for name in wanted}
    return found


def stage_of(name: str) -> str:
    return name.partition('.')[0]


@pytest.mark.parametrize('path', MODULES, ids=name_of)
def test_a_stage_imports_only_from_those_above_it(path: Path) -> None:
    here = stage_of(name_of(path))
    if here in DOORS:
        return
    assert here in STAGES, 'a module outside the house'
    for name in imports_of(path) - {'__init__'}:
        there = stage_of(name)
        assert STAGES.index(there) <= STAGES.index(here), f'{here} imports {name}, which is below it'
        assert (here, there) not in STRANGERS, f'{here} imports {name}'


def test_options_are_named_in_the_command_line_only() -> None:
    flags = {flag for option in OPTIONS for flag in option.flags if flag.startswith('--')}
    for path in MODULES:
        # Commands of other programs have options too.
        text = re.sub('``aws .*?``', '', path.read_text('utf-8'))
        named = flags.intersection(re.findall(r'(?<![\w-])--[a-z-]+', text))
        assert not named or stage_of(name_of(path)) == 'cli', f'{path} names {named}'


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name_of(path).removesuffix('.__init__'): imports_of(path) - DOORS - {'kernel._native'} for path in MODULES}
    order = [*TopologicalSorter(graph).static_order()]
    assert {*order} == {*graph}
    assert order.index('kernel.pure') < order.index('kernel') < order.index('sources.filter')


@pytest.mark.parametrize('path', sorted((ROOT / 'flowlogs_reader').rglob('__init__.py')), ids=name_of)
def test_folders_have_no_code_of_their_own(path: Path) -> None:
    """--help stays instant; the kernel chooses between its two halves."""
    if path.parent.name not in ('flowlogs_reader', 'kernel', 'pure'):
        assert path.read_text() == ''
