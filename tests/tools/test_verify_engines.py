"""The trial of what could not be verified, over the fake: as a person with an AWS account runs it."""

from __future__ import annotations

import pytest

from tests.fake.aws import FakeAWS

for module in ('duckdb', 'numpy', 'sqlglot', 'trino_sql_validator'):
    pytest.importorskip(module, reason='there is no wheel for this Python')
from flowlogs_reader.engines.remote import runner  # noqa: E402
from tests.tools import verify_insights  # noqa: E402
from tests.tools.verify_athena import POINTS  # noqa: E402
from tests.tools.verify_engines import main  # noqa: E402


def test_every_point_is_as_expected_and_nothing_is_left(
    fake: FakeAWS, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    monkeypatch.setattr(runner, 'FIRST_WAIT', 0.0)
    fake.add_bucket('scratch')
    status = main(['--bucket', 'scratch', '--output-location', 's3://scratch/results/', '--pause', '0'])
    told = capsys.readouterr().out
    assert (status, 'NOT AS EXPECTED' in told) == (0, False), told
    # Two titles with empty lines around them.
    assert len(told.splitlines()) == 2 * len([*POINTS, *verify_insights.POINTS]) + 5
    assert not fake.glue.tables and not fake.athena.left_running
    assert not fake.s3.buckets['scratch'].keys
