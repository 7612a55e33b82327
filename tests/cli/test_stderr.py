"""Messages on a terminal end their lines between words; elsewhere each is one line."""

from __future__ import annotations

from io import BytesIO, StringIO

import pytest

from flowlogs_reader.cli.main import main
from flowlogs_reader.cli.stderr import print_message
from tests.conftest import DATA
from tests.streams import Screen, Terminal

LONG = 'a-path/with-hyphens/that-is-longer-than-forty-characters'


@pytest.mark.parametrize('width', [40, 80, 1000])
def test_a_terminal_breaks_no_word(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', str(width))
    message = f"{LONG} is not there: try 'yesterday 14:00', or --output-location s3://flow-logs/AWSLogs/ and so on"
    terminal = Terminal()
    print_message(terminal, message)
    first, *others = terminal.getvalue().splitlines()
    assert all(len(line) <= width for line in (first, *others) if LONG not in line)
    assert all(line.startswith('  ') and line[2] != ' ' for line in others)
    assert ' '.join([first, *map(str.strip, others)]) == f'flowlogs_reader: {message}'


@pytest.mark.parametrize('columns', ['9' * 12, '-1', 'wide'])
def test_a_width_that_no_terminal_has(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', columns)
    screen = Screen()
    assert main([str(DATA / 'seed-minute.log'), 'timeline'], None, screen, StringIO()) == 0
    assert len(screen.getvalue()) < 100_000


def test_usage_errors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '40')
    terminal, file = Terminal(), StringIO()
    assert [main(['g', '-s', '10:59'], None, BytesIO(), stderr) for stderr in (terminal, file)] == [2, 2]
    assert max(map(len, terminal.getvalue().splitlines())) <= 40
    assert file.getvalue().count('\n') == 3
    assert terminal.getvalue().split() == file.getvalue().split()
