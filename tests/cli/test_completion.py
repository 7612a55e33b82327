"""Completion: the words that fit, and the scripts in real shells."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import termios
import time
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from flowlogs_reader.cli.actions import ACTIONS
from flowlogs_reader.cli.completion import SCRIPTS
from flowlogs_reader.cli.main import main
from flowlogs_reader.cli.options import COMPLETING, OPTIONS, OUTPUTS
from flowlogs_reader.query.conditions import EITHER
from flowlogs_reader.records.fields import FIELD_SETS, FIELDS
from tests.conftest import Cli

NAMES = [field.name for field in FIELDS]
# bytes and packets are sums.
KEYS = sorted({*NAMES} - {'bytes', 'packets'})
FLAGS = [flag for option in OPTIONS for flag in option.flags if flag.startswith('-')]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    def run(*words: str, shell: str = 'zsh') -> list[str]:
        monkeypatch.setenv(COMPLETING, shell)
        stdout, stderr = BytesIO(), StringIO()
        assert main(words, BytesIO(), stdout, stderr) == 0
        assert stderr.getvalue() == ''
        return stdout.getvalue().decode().splitlines()

    return run


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['-'], []),
        (['--'], [flag for flag in FLAGS if flag.startswith('--')]),
        (['g', '--out'], ['--output', '--output-location']),
        ([''], []),
        (['g', ''], list(ACTIONS)),
        (['g', 't'], ['timeline', 'top']),
        (['-s', '2h', 'g', 'to'], ['top']),
        # The first word is a location.
        (['top', 'to'], ['top']),
        (['g', 'top', ''], sorted(['addr', 'port', 'pkt_addr', *KEYS])),
        (['g', 'aggregate', ''], KEYS),
        (['g', 'top', '5', 'srcp'], ['srcport']),
        (['g', 'top', 'srcaddr/'], [f'srcaddr/{name}' for name in ('az', 'class', 'subnet', 'vpc')]),
        (['g', 'top', '5', 'pkt-addr/c'], ['pkt-addr/class']),
        (['g', 'top', 'dstport/'], []),
        (['g', '-w', 'dstaddr/v'], ['dstaddr/vpc=']),
        (['g', 'h', 'aggregate', 'dstaddr', 'dstp'], ['dstport']),
        (['g', 'findip', ''], []),
        (['g', '-w', ''], [f'{name}=' for name in (*NAMES, *EITHER)]),
        (['g', '-w', 'flow_direction='], ['flow_direction=egress', 'flow_direction=ingress']),
        (['g', '-w', 'flow-direction=in'], ['flow-direction=ingress']),
        (['g', '-w', 'dstport='], []),
        (['g', '-c', ''], [*NAMES, *FIELD_SETS, 'all']),
        (['g', '-c', 'start,srca'], ['start,srcaddr']),
        (['g', 'top', '--distinct', 'dstport,dsta'], ['dstport,dstaddr']),
        (['g', 'top', '--by', ''], ['bytes', 'packets', 'flows', 'rejected']),
        (['g', 'top', '--distinct', 'srcport', '--by', 'srcp'], ['srcport']),
        (['g', '-o', ''], OUTPUTS),
        (['g', '--output=c'], ['--output=csv']),
        (['g', '--tz', 'Asia/Tok'], ['Asia/Tokyo']),
        (['g', '--tz', 'Europe/Zur'], ['Europe/Zurich']),
        (['g', '--help', 'cond'], ['conditions']),
        (['g', '-s', ''], []),
        (['g', '--quiet', 'ti'], ['timeline']),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_the_words_that_fit(words: list[str], expected: list[str], complete: Callable[..., list[str]]) -> None:
    assert complete(*words) == sorted(expected)


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['g', '-w', 'action', '=', 'AC'], ['ACCEPT']),
        (['g', '-w', 'action', '='], ['ACCEPT', 'REJECT']),
        (['g', '--output', '=', 'c'], ['csv']),
        (['g', '-w', 'actio'], ['action=']),
    ],
    ids=lambda value: ' '.join(value),
)
def test_bash_has_words_of_its_own(words: list[str], expected: list[str], complete: Callable[..., list[str]]) -> None:
    assert complete(*words, shell='bash') == expected


def test_profiles_and_regions_of_the_configuration(
    bare_environment: Path, complete: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare_environment / '.aws').mkdir()
    (bare_environment / '.aws' / 'config').write_text(
        '[default]\nregion = mars-north-1\n[profile audit]\n[profile "two words"]\n[sso-session corp]\nx=1\n'
    )
    (bare_environment / '.aws' / 'credentials').write_text('[audit-keys]\naws_access_key_id = x\n')
    assert complete('g', '--profile', 'a') == ['audit', 'audit-keys']
    assert 'default' in complete('g', '--profile', '') and 'corp' not in complete('g', '--profile', '')
    assert complete('g', '--region', 'mars') == ['mars-north-1']
    assert complete('g', '--region', 'ap-northeast-1') == ['ap-northeast-1']
    (bare_environment / 'broken').write_text('no section\n')
    monkeypatch.setenv('AWS_CONFIG_FILE', str(bare_environment / 'broken'))
    assert complete('g', '--profile', '') == ['audit-keys'] and complete('g', '--region', '') == []
    monkeypatch.setenv('AWS_CONFIG_FILE', str(bare_environment / 'nowhere'))
    assert complete('g', '--profile', '') == ['audit-keys']


@pytest.mark.parametrize('shell', SCRIPTS)
def test_a_script_for_each_shell(shell: str, cli: Cli) -> None:
    text = cli('--completion', shell).stdout.decode()
    assert COMPLETING in text and 'PROGRAM' not in text
    assert "there is no 'tcsh'" in cli('--completion', 'tcsh', status=2).stderr


# -- in real shells ----------------------------------------------------------------------------------------------------

START = {
    'bash': (['bash', '--norc', '-i'], 'eval "$(flowlogs_reader --completion bash)"'),
    'zsh': (['zsh', '-f', '-i'], 'bindkey -e; eval "$(flowlogs_reader --completion zsh)"'),
    'fish': (['fish', '-i', '--no-config'], 'flowlogs_reader --completion fish | source'),
}
# What is typed before the tab, and the whole line after it.
TYPED = {
    'g --regi': 'g --region',
    'g time': 'g timeline',
    'g top dstp': 'g top dstport',
    'g -w dstpo': 'g -w dstport=',
    'g -w action=AC': 'g -w action=ACCEPT',
    'g -c start,srca': 'g -c start,srcaddr',
    'g --tz Asia/Tok': 'g --tz Asia/Tokyo',
    '--help cond': '--help conditions',
    'some-fi': 'some-file.log',
}
READY = 'r-e-a-d-y'


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, argv: list[str], directory: Path, environment: dict[str, str]) -> None:
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.chdir(directory)
            os.execvpe(argv[0], argv, environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 150, 0, 0))
        self.seen = ''

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Read until a pattern is on the terminal, and forget what was before it."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            assert ready, f'{pattern!r} is not in {self.seen!r}'
            data = os.read(self.terminal, 65536)
            # fish asks the terminal what it is, and waits for the answer.
            if b'\x1b[c' in data or b'\x1b[0c' in data:
                os.write(self.terminal, b'\x1b[?62c')
            self.seen += data.decode(errors='replace')
        self.seen = self.seen[found.end() :]
        return found

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.mark.parametrize('name', START)
def test_a_real_shell(name: str, tmp_path: Path, command: Path) -> None:
    if not shutil.which(name):
        pytest.skip(f'{name} is not installed')
    argv, setup = START[name]
    (tmp_path / 'some-file.log').touch()
    environment = {name: os.environ[name] for name in ('PATH', 'PYTHONPATH')}
    environment.update(HOME=str(tmp_path), TERM='dumb', LANG='C')
    shell = Shell(argv, tmp_path, environment)
    try:
        shell.type(f'{setup}\recho r-e-a"-d-y"\r')
        shell.wait(READY)
        for typed, whole in TYPED.items():
            shell.type(f'flowlogs_reader {typed}\t')
            # When the word is complete, its last characters are on the terminal.
            shell.wait(re.escape(whole[-3:]))
            shell.type('\x01echo "<\x05>"\r')
            assert shell.wait(r'\n<flowlogs_reader (.*?) *>')[1] == whole
    finally:
        shell.close()
