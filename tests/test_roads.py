"""The options and the environment of a road reach the command line and the library, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import traffic
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log

LOG = Log(list(traffic.lines(10)))


def test_a_road_brings_options_and_an_environment(fake: FakeAWS, tmp_path: Path) -> None:
    def cli(*argv: str, **more: Any) -> Any:
        return argv, more, os.environ.get('ENGINE')

    road = replace(ROADS['stdin plain'], options=('--quiet',), environ={'ENGINE': 'other'})
    read = road.lay(LOG, fake, tmp_path).over(cli)
    assert read('print', '1', status=0) == (('-', '--quiet', 'print', '1'), {'stdin': LOG.text(), 'status': 0}, 'other')
    assert 'ENGINE' not in os.environ


def test_the_library_has_the_environment_and_refuses_options(fake: FakeAWS, tmp_path: Path) -> None:
    road = replace(ROADS['file plain'], environ={'ENGINE': 'other'})
    with road.lay(LOG, fake, tmp_path).reader({}) as reader:
        assert os.environ['ENGINE'] == 'other'
        assert b''.join(block.data for block in reader.blocks()).splitlines() == LOG.lines
    assert 'ENGINE' not in os.environ
    place = replace(road, name='with options', options=('--quiet',)).lay(LOG, fake, tmp_path)
    with pytest.raises(ValueError), place.reader({}):
        pass


def test_every_road_may_be_laid_beside_the_others(fake: FakeAWS, tmp_path: Path) -> None:
    places = [road.lay(LOG, fake, tmp_path) for road in ROADS.values()]
    assert all(place.stdin for place in places if place.argv == ('-',))
    locations = [place.argv[0] for place in places if place.argv != ('-',)]
    assert len(set(locations)) == len(locations) > 10
