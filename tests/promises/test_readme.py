"""README.md: its commands and examples are run, and their output is compared with the README."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flowlogs_reader import __version__
from flowlogs_reader.cli.actions import ACTIONS
from flowlogs_reader.cli.options import OPTIONS
from flowlogs_reader.errors import EXTRAS
from flowlogs_reader.records.fields import FIELDS, Kind
from tests.conftest import HOUR, MINUTE, ROOT, SEED_REGION
from tests.fake.aws import FakeAWS
from tests.fake.s3 import s3_objects
from tests.sample_vpc import HOSTS, REGION, SUBNETS, WEB

README = (ROOT / 'README.md').read_text('utf-8')
# The language and the text of each fenced block.
FENCED = re.findall(r'^```(\w*)\n(.*?)^```$', README, re.M | re.S)
ENVIRONMENT = dict(os.environ)


def blocks(language: str) -> list[str]:
    return [text for name, text in FENCED if name == language]


def sessions() -> list[tuple[str, str]]:
    """Commands after `$ `, with continuations after `> `, and what they write to the terminal."""
    found = []
    for text in blocks('console'):
        for one in re.split(r'^\$ ', text, flags=re.M)[1:]:
            command = re.match(r'.*\n(?:> .*\n)*', one)
            assert command
            found.append((command[0].replace('\n> ', '\n').strip(), one[command.end() :]))
    return found


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {name for name, _ in FENCED} == {'sh', 'console', 'pycon', 'python', 'json', 'text'}


@pytest.fixture
def shown_aws(seeded: FakeAWS) -> FakeAWS:
    """The seed records in a bucket too, and flow logs of other Regions."""
    seeded.add_bucket('flow-logs', SEED_REGION, s3_objects((MINUTE + HOUR).splitlines(), prefix='net'))
    seeded.add_flow_log(
        'subnet-0d5c8a1e2f3b4a697',
        destination='arn:aws:s3:::audit-logs/net',
        region='eu-west-1',
        file_format='parquet',
        log_format='${version} ${vpc-id} ${srcaddr} ${dstaddr} ${bytes} ${start} ${end} ${action}',
    )
    seeded.add_flow_log(
        'vpc-0b7d2c4e6f8091a3b', log_group='edge', deliverLogsStatus='FAILED', deliverLogsErrorMessage='Access error'
    )
    for name, (block, zone) in SUBNETS.items():
        seeded.add_subnet(name, block, zone, REGION)
    for host in HOSTS:
        # A flow log of the Region covers the subnet of one of them.
        subnet = 'subnet-0d5c8a1e2f3b4a697' if host is WEB else host.subnet
        tags = [{'key': 'Name', 'value': 'web'}] if host is WEB else []
        seeded.add_interface(
            host.interface, REGION, subnet_id=subnet, private_ip=host.address, instance_id=host.instance,
            availabilityZoneId=host.zone, description='Primary network interface', tagSet=tags,
        )  # fmt: skip
    return seeded


@pytest.mark.usefixtures('shown_aws', 'command')
@pytest.mark.parametrize(('line', 'shown'), sessions(), ids=[line[:60] for line, _ in sessions()])
def test_commands_give_what_is_shown(line: str, shown: str) -> None:
    done = subprocess.run(
        ['bash', '-c', line], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.stdout.decode() == shown


@pytest.mark.usefixtures('command')
def test_the_fake_aws_can_be_tried() -> None:
    (block,) = (text for text in blocks('text') if 'tests/fake/aws.py' in text)
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = str(free.getsockname()[1])
    # Fewer records, and no wait for a slow machine: the address is written when it is ready.
    start, *rest = block.replace('8642', port).replace('100000', '1000').replace('sleep 5\n', '').splitlines()
    command = shlex.split(start.removesuffix('&').replace('python3', sys.executable))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as fake:
        try:
            assert fake.stdout and fake.stdout.readline().decode() == f'http://127.0.0.1:{port}\n'
            done = subprocess.run(['bash', '-e'], input='\n'.join(rest).encode(), cwd=ROOT, capture_output=True)
        finally:
            fake.terminate()
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == 2 * 6


def test_python_examples_give_what_is_shown(seeded: FakeAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    examples = doctest.DocTestParser().get_doctest('\n'.join(blocks('pycon')), {}, 'README.md', 'README.md', 0)
    said: list[str] = []
    results = doctest.DocTestRunner().run(examples, out=said.append)
    assert results.attempted > 10
    assert results.failed == 0, ''.join(said)


@pytest.mark.parametrize('text', blocks('python'))
def test_notebooks_run_if_their_library_is_installed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ('pyarrow', 'pandas', 'polars', 'duckdb'):
        if library in text or library == 'pyarrow':
            pytest.importorskip(library)
    monkeypatch.chdir(ROOT)
    printed: list[object] = []
    exec(text, {'print': printed.append})
    assert '172.20.0.10' in str(printed[0])


def test_the_policy_can_be_pasted() -> None:
    (policy,) = map(json.loads, blocks('json'))
    actions = {action for statement in policy['Statement'] for action in statement['Action']}
    assert actions >= {'logs:FilterLogEvents', 'logs:DescribeLogGroups', 'ec2:DescribeFlowLogs', 's3:GetObject'}


def test_quick_start_is_two_commands_and_the_second_is_what_ci_runs() -> None:
    section = README.partition('## Quick start\n')[2].partition('\n## ')[0]
    quick = re.findall(r'^```sh\n(.*?)^```$', section, re.M | re.S)
    assert [text.count('\n') for text in quick] == [1, 1]
    assert blocks('sh') == quick
    steps = [line for line in (ROOT / '.ci' / 'run').read_text().splitlines() if not line.startswith('#')]
    browser = steps.pop(2)
    assert browser.startswith('command -v chromium') and browser.endswith('|| true')
    assert steps == ['set -eu', 'cd "$(dirname "$0")/.."', quick[1].strip()]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone."""
    ignore = shutil.ignore_patterns('.*', '__pycache__', 'build', 'dist', '*.egg-info')
    return Path(shutil.copytree(ROOT, tmp_path / 'clone', ignore=ignore))


def run_in(clone: Path, command: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command that asks an index for packages. Skips the test where there is none."""
    done = subprocess.run(
        ['bash', '-c', command], cwd=clone, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True
    )
    if b'No matching distribution found' in done.stderr or b'Could not find suitable distribution' in done.stderr:
        pytest.skip('no package index is reached from here')
    return done


def test_the_first_command_installs_and_prints_the_sample(clone: Path) -> None:
    """pip asks its index for the dependencies."""
    done = run_in(clone, blocks('sh')[0])
    assert (done.returncode, done.stdout) == (0, HOUR), done.stderr.decode()
    shown = subprocess.run(
        [clone / '.venv' / 'bin' / 'pip', 'show', '--files', 'flowlogs_reader'], check=True, capture_output=True
    ).stdout.decode()
    assert f'Version: {__version__}\n' in shown
    for path in ROOT.glob('flowlogs_reader/**/*'):
        if path.suffix in ('.py', '.typed', '.json', '.css', '.js'):
            assert f'  {path.relative_to(ROOT)}\n' in shown
    requires = re.search(r'^Requires: (.*)$', shown, re.M)
    assert requires
    assert sorted(requires[1].split(', ')) == ['boto3', 'python-dateutil']
    # An old pip keeps the metadata in another folder than a new one: Python knows both.
    code = (
        'import json; from importlib.metadata import metadata, requires; '
        'print(json.dumps([requires("flowlogs_reader"), metadata("flowlogs_reader").get_all("Project-URL")]))'
    )
    done = subprocess.run([clone / '.venv' / 'bin' / 'python', '-c', code], cwd='/', check=True, capture_output=True)
    needed, addresses = json.loads(done.stdout)
    for extra, library in EXTRAS.items():
        assert any(re.fullmatch(f'{library} *; extra == .{extra}.', line) for line in needed)
    urls = dict(address.split(', ') for address in addresses)
    assert urls.keys() == {'Source', 'Issues', 'Changes'}
    assert all(url.startswith(urls['Source']) for url in urls.values())


def test_the_second_command_finds_every_python_that_is_here(clone: Path) -> None:
    """It finds those of pyenv too, whatever is on PATH. It makes the environments, and runs nothing in them."""
    versions = Path(ENVIRONMENT.get('PYENV_ROOT', '~/.pyenv')).expanduser() / 'versions'
    here = {f'{sys.version_info.major}.{sys.version_info.minor}'}
    here |= {name for name in ('3.10', '3.11', '3.12', '3.13') if any(versions.glob(f'{name}.*/bin/python{name}'))}
    environments = ','.join(f'py{name.replace(".", "")}' for name in sorted(here))
    command = f'{blocks("sh")[1].strip()} -e {environments} --notest --skip-pkg-install'
    done = run_in(clone, 'unset ${!TOX_*} ${!UV_*} PYENV_VERSION; ' + command)
    assert done.returncode == 0, done.stdout.decode()
    assert 'SKIP' not in done.stdout.decode()


def test_setup_py_develop_takes_a_python_dateutil_that_botocore_takes(clone: Path) -> None:
    """setuptools before 80 asks the index by itself and takes the newest version that the first to ask allows."""
    # pip brings the rest beforehand: such a setuptools takes a minute to read the index's pages of botocore.
    done = run_in(
        clone,
        'python3 -m venv .venv && .venv/bin/pip install --quiet setuptools boto3'
        ' && .venv/bin/pip uninstall --quiet --yes python-dateutil'
        ' && .venv/bin/python setup.py --quiet develop && .venv/bin/flowlogs_reader --version',
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines()[-1].startswith(f'flowlogs_reader {__version__} (')
    subprocess.run([clone / '.venv' / 'bin' / 'pip', 'check'], check=True, capture_output=True)


def test_libraries_are_installed_by_their_own_names() -> None:
    """pip knows the name of the package, but its index has an older one under it."""
    for library in EXTRAS.values():
        assert f'`pip install "{library}"`' in README
    texts = [README, *(path.read_text('utf-8') for path in ROOT.glob('flowlogs_reader/**/*.py'))]
    assert not [text for text in texts if re.search(r'flowlogs[_-]reader\[', text)]


def test_the_changes_come_last_and_begin_with_this_version() -> None:
    changes = README.rpartition('\n## ')[2]
    assert changes.startswith('Changes\n')
    versions = re.findall(r'^### (.*)$', changes, re.M)
    assert versions[0] == __version__
    assert versions[-1] == '6.0.0'


def test_the_licence_is_the_standard_text() -> None:
    text = (ROOT / 'LICENSE').read_text()
    assert text.startswith('\n                                 Apache License\n                           Version 2.0')
    assert text.endswith(
        '   See the License for the specific language governing permissions and\n   limitations under the License.\n'
    )


def rows_of(title: str) -> list[list[str]]:
    """The cells of each row of the table in a section that begins with code."""
    section = README.partition(f'\n### {title}\n')[2].partition('\n#')[0]
    return [[cell.strip() for cell in line.split(' | ')] for line in section.splitlines() if line.startswith('| `')]


def test_the_table_of_fields_has_every_field() -> None:
    kinds = {Kind.TEXT: 'text', Kind.INTEGER: 'number', Kind.TIME: 'time'}
    rows = [tuple(row[:3]) for row in rows_of('Fields')]
    assert rows == [(f'| `{field.name}`', str(field.version), kinds[field.kind]) for field in FIELDS]


def test_the_table_of_options_has_every_option_once() -> None:
    rows = [re.findall('(--?[a-z][a-z-]*)', row[0]) for row in rows_of('Options')]
    flags = [[*option.flags] for option in OPTIONS if option.shown.startswith('-')]
    expected = [[*each, '--no-header'] if each == ['--header'] else each for each in flags]
    assert rows == expected


def test_the_table_of_actions_has_every_action() -> None:
    assert [row[0] for row in rows_of('Actions')] == [
        f'| `{f"{name} {action.arguments}".strip()}`' for name, action in ACTIONS.items()
    ]
