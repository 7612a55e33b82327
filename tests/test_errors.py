"""The exceptions of the package as objects: they are pickled, copied, and given a place."""

from __future__ import annotations

import copy
import pickle

import pytest

from flowlogs_reader import Cause, DamagedError, FlowLogsError, IncompleteError, MissingExtraError

PART = DamagedError('the data ends early', Cause.CONNECTION_BROKEN)
ERRORS = [FlowLogsError('no', Cause.DENIED), PART, IncompleteError('1 part', unreadable=[PART])]
ERRORS += [MissingExtraError('parquet', 'reading Parquet')]


@pytest.mark.parametrize('error', ERRORS)
def test_an_error_keeps_its_class_its_text_and_its_attributes(error: FlowLogsError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error) and again.args == error.args
        assert repr(vars(again)) == repr(vars(error))


@pytest.mark.parametrize('error', ERRORS)
def test_a_place_is_put_in_front_of_the_text(error: FlowLogsError) -> None:
    error.__cause__ = OSError()
    placed = error.within('flows.log')
    assert type(placed) is type(error) and str(placed) == f'flows.log: {error}'
    assert vars(placed) == vars(error) and placed.__cause__ is error.__cause__
