"""The program that tries CloudWatch Logs Insights on AWS runs over the fake, and leaves nothing there."""

from __future__ import annotations

import pytest

from tests.fake.aws import FakeAWS
from tests.tools.verify_insights import POINTS, main


def test_everything_is_as_expected_on_the_fake(fake: FakeAWS, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--region', 'us-east-1', '--pause', '0']) == 0
    shown = capsys.readouterr().out
    assert shown.count('\n') == 2 * len(POINTS)
    assert 'NOT AS EXPECTED' not in shown
    assert not fake.logs.groups
    assert not fake.logs.insights.running


def test_what_is_not_as_expected_is_reported(fake: FakeAWS, capsys: pytest.CaptureFixture[str]) -> None:
    fake.deny('FilterLogEvents')
    assert main(['--region', 'us-east-1', '--pause', '0']) == 1
    assert 'NOT AS EXPECTED' in capsys.readouterr().out
    assert not fake.logs.groups
