"""The shell sessions that the tool was made for, to the byte: real pipes, a real AWS API on loopback, 15:00 UTC."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import HOUR, MINUTE, SEED_REGION

SESSION_2 = f'flowlogs_reader VPCFlowLogGroup --region {SEED_REGION}'
SESSION_3 = f"{SESSION_2} -s '2016-02-01 10:59:00' -e '2016-02-01 11:00:00'"
LOCAL_TIME = r"""awk -F" " '{print strftime("%F %T %Z",$11) " " $4 " " $5 " " $6 " " $7 " " $10 " " $13}'"""
TOP_HOSTS = r"""awk '$4 ~ /^172.20.0.10$/ {arr[$5] += $10} END {for (i in arr) print arr[i] "\t" i}' | sort -nr"""

needs_gawk = pytest.mark.skipif(not shutil.which('gawk'), reason='gawk is not installed: its strftime is needed')

pytestmark = pytest.mark.usefixtures('seeded', 'command')


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(['bash', '-o', 'pipefail', '-c', line], stdin=subprocess.DEVNULL, capture_output=True)


def output_of(line: str) -> bytes:
    done = shell(line)
    assert (done.returncode, done.stderr) == (0, b'')
    return done.stdout


@pytest.fixture
def gawk(command: Path) -> None:
    """awk is gawk, whatever else this machine calls so."""
    (command / 'awk').symlink_to(str(shutil.which('gawk')))


def test_session_1_a_group_that_is_in_another_region() -> None:
    done = shell('flowlogs_reader VPCFlowLogGroup')
    assert (done.returncode, done.stdout) == (1, b'')
    assert done.stderr == (
        b'flowlogs_reader: there is no log group VPCFlowLogGroup in us-east-1 (because no Region is configured); '
        b'there is one in ap-northeast-1: add --region ap-northeast-1\n'
    )


def test_session_2_the_last_hour() -> None:
    assert output_of(SESSION_2) == HOUR


def test_session_3_a_minute() -> None:
    assert output_of(SESSION_3) == MINUTE


def test_session_4_findip() -> None:
    lines = MINUTE.splitlines(keepends=True)
    window = "-s '2016-02-01 10:59:00' -e '2016-02-01 11:00:00'"
    found = output_of(f'flowlogs_reader VPCFlowLogGroup findip 54.245.120.220 --region {SEED_REGION} {window}')
    assert found == lines[3] + lines[8]


@needs_gawk
@pytest.mark.usefixtures('gawk')
def test_session_5_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TZ', 'Asia/Tokyo')
    lines = output_of(f'{SESSION_3} | {LOCAL_TIME}').splitlines()
    assert len(lines) == 11
    assert lines[0] == b'2016-02-01 19:59:22 JST 172.20.0.10 103.246.150.154 44589 443 1501 ACCEPT'
    assert lines[-1] == b'2016-02-01 19:59:41 JST 104.216.59.132 172.20.0.106 57664 6379 40 REJECT'


@needs_gawk
@pytest.mark.usefixtures('gawk')
def test_session_6_top_hosts_with_gawk() -> None:
    assert output_of(f'{SESSION_3} | {TOP_HOSTS}') == b'4816\t103.246.150.154\n2232\t54.245.120.220\n'


def test_session_6_top_hosts_with_the_awk_of_this_machine() -> None:
    assert output_of(f'{SESSION_3} | {TOP_HOSTS}') == b'4816\t103.246.150.154\n2232\t54.245.120.220\n'
