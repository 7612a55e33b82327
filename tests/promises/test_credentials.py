"""Credentials and privacy: no secrets in messages, read-only requests, roles and profiles."""

from __future__ import annotations

import ast
import fcntl
import os
import pkgutil
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import traffic
from tests.conftest import DATA, MODULES, ROOT, Cli
from tests.fake.aws import FakeAWS, s3_objects

LINES = list(traffic.lines(300, per_second=30))
TEXT = b''.join(line + b'\n' for line in LINES)
WINDOW = ('-s', '2016-02-01 10:00:00')
ROLE = 'arn:aws:iam::210987654321:role/reader'
SECRET, TOKEN = 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY', 'FwoGZXIvYXdzEXAMPLESESSIONTOKEN'
# What signs a request, or lets its reader sign one.
TELLTALE = re.compile(
    f'{SECRET}|{TOKEN}|token-of-|Signature|AWS4-HMAC|X-Amz-Security-Token|Authorization', re.IGNORECASE
)


@pytest.fixture
def flowlogs(fake: FakeAWS) -> FakeAWS:
    """The records in a log group in pages of 50 and in a bucket, for everybody and for the account of the role."""
    for account in ('123456789010', '210987654321'):
        fake.add_log_group('flowlogs', lines=LINES, account=account)
    fake.logs.page_events = 50
    fake.add_bucket('flowlogs', objects=s3_objects(LINES))
    return fake


# -- secrets ----------------------------------------------------------------------------------------------------------

TROUBLES = ['deny', 'throttle', '500', 'drop', 'cut', 'half_json', 'expire_credentials', 'vanish', 'repeat_token']


@pytest.mark.parametrize('role', [False, True], ids=['keys', 'role'])
@pytest.mark.parametrize('trouble', TROUBLES)
@pytest.mark.parametrize('location', ['flowlogs', 's3://flowlogs'])
def test_no_secret_token_or_signature_is_shown(
    location: str, trouble: str, role: bool, flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with --debug, which shows everything else."""
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', SECRET)
    monkeypatch.setenv('AWS_SESSION_TOKEN', TOKEN)
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    flowlogs.add_role(ROLE)
    flowlogs.s3.page_keys = 1
    operation = 'FilterLogEvents' if location == 'flowlogs' else 'ListObjectsV2'
    fault = flowlogs.fault(operation, trouble, at=2, times=10_000)
    options = ['--role-arn', ROLE] if role else []
    result = cli(location, *WINDOW, '--debug', '--thread-count', '1', *options, status=1)
    assert fault.hits
    assert 'Traceback' in result.stderr
    assert not TELLTALE.search(result.stderr)
    assert not TELLTALE.search(result.stdout.decode())
    sent = flowlogs.calls(operation)[0].headers
    assert TELLTALE.search(str(sent))  # so that there was something to tell


@pytest.mark.parametrize('variable', ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_ACCESS_KEY_ID'])
@pytest.mark.parametrize('argv', [['flowlogs'], ['s3://flowlogs'], ['--list']], ids=' '.join)
def test_a_key_with_a_line_end_is_not_shown(
    argv: list[str], variable: str, flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', SECRET)
    monkeypatch.setenv('AWS_SESSION_TOKEN', TOKEN)
    monkeypatch.setenv(variable, os.environ[variable] + '\r')
    result = cli(*argv, '--debug', status=1)
    assert 'the AWS credentials contain a line end or another invalid character' in result.stderr
    assert not TELLTALE.search(result.stderr)


@pytest.mark.parametrize(
    ('variable', 'value'),
    [('AWS_ENDPOINT_URL', 'localhost:4566'), ('AWS_MAX_ATTEMPTS', 'abc'), ('AWS_PROFILE', 'nope')],
)
@pytest.mark.parametrize('argv', [['flowlogs'], ['s3://flowlogs'], ['--list']], ids=' '.join)
def test_settings_that_cannot_be_used_are_reported(
    argv: list[str], variable: str, value: str, flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    stderr = cli(*argv, status=1).stderr
    assert stderr.count('\n') == 1 and value in stderr


@pytest.mark.parametrize('process', ['echo no-json', 'no-such-program'])
@pytest.mark.parametrize('argv', [['flowlogs'], ['s3://flowlogs'], ['--list']], ids=' '.join)
def test_a_credential_process_that_does_not_work_is_reported(
    argv: list[str], process: str, flowlogs: FakeAWS, cli: Cli, bare_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_CONFIG_FILE'):
        monkeypatch.delenv(name, raising=False)
    (bare_environment / '.aws').mkdir()
    (bare_environment / '.aws' / 'config').write_text(f'[default]\ncredential_process = {process}\n')
    stderr = cli(*argv, status=1).stderr
    assert stderr.count('\n') == 1 and 'the AWS settings cannot be used' in stderr


@pytest.mark.parametrize('trouble', ['deny', 'throttle', 'expire_credentials', '500'])
def test_no_secret_is_shown_when_a_role_cannot_be_assumed(
    trouble: str, flowlogs: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', SECRET)
    monkeypatch.setenv('AWS_SESSION_TOKEN', TOKEN)
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    flowlogs.add_role(ROLE)
    flowlogs.fault('AssumeRole', trouble)
    result = cli('flowlogs', *WINDOW, '--role-arn', ROLE, '--debug', status=1)
    assert not TELLTALE.search(result.stderr)
    assert cli('flowlogs', *WINDOW, '--role-arn', ROLE, status=1).stderr.count('\n') == 1


# -- who it is asked as -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', ['0', '1', '4', '8'])
@pytest.mark.parametrize('location', ['flowlogs', 's3://flowlogs'])
def test_a_role_is_assumed_again_when_its_keys_run_out(
    location: str, threads: str, flowlogs: FakeAWS, cli: Cli
) -> None:
    """Keys near their end are renewed before each request, as they are after an hour of reading."""
    flowlogs.add_role(ROLE, lifetime=300, uses=None)
    result = cli(location, *WINDOW, '--role-arn', ROLE, '--thread-count', threads)
    assert sorted(result.stdout.splitlines()) == sorted(LINES)
    asked = [call for call in flowlogs.calls() if call.service != 'sts']
    assert flowlogs.count('AssumeRole') >= min(3, len(asked))
    assert len({call.access_key for call in asked}) > 1
    assert all(call.access_key.startswith('ASIA') for call in asked)


@pytest.fixture
def mfa(flowlogs: FakeAWS, bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> FakeAWS:
    """A profile whose role asks for an MFA code."""
    flowlogs.add_role(ROLE)
    keys = f'aws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\n'
    serial = 'mfa_serial = arn:aws:iam::123456789010:mfa/me\n'
    profile = f'[profile mfa]\nrole_arn = {ROLE}\nsource_profile = base\nregion = us-east-1\n{serial}'
    config = bare_environment / 'config'
    config.write_text(f'[profile base]\n{keys}{profile}')
    monkeypatch.setenv('AWS_CONFIG_FILE', str(config))
    return flowlogs


class Terminal:
    """A run of the command line with a terminal of its own, and stdin, stdout and stderr elsewhere."""

    def __init__(self, *argv: str) -> None:
        self.master, slave = pty.openpty()

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, '-m', 'flowlogs_reader', *argv], cwd=ROOT, preexec_fn=own_terminal, pass_fds=[slave],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.echoes_before = self.echoes()
        os.close(slave)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def prompt(self) -> str:
        text = b''
        while not text.endswith(b': '):
            text += os.read(self.master, 1_000)
        return text.decode()

    def finish(self) -> tuple[int, bytes, bytes]:
        stdout, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stdout, stderr

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()
        os.close(self.master)


@pytest.mark.parametrize('threads', ['0', '1', '8'])
def test_an_mfa_code_is_asked_for_on_the_terminal_and_cached_as_the_aws_cli_does(
    threads: str, mfa: FakeAWS, cli: Cli, bare_environment: Path
) -> None:
    argv = ('flowlogs', *WINDOW, '-e', '2016-02-01 15:00:00', '--profile', 'mfa', '--thread-count', threads)
    with Terminal(*argv) as terminal:
        assert terminal.prompt() == 'Enter MFA code for arn:aws:iam::123456789010:mfa/me: '
        assert not terminal.echoes()
        os.write(terminal.master, b'123456\n')
        assert terminal.finish() == (0, TEXT, b'')
    (assumed,) = mfa.calls('AssumeRole')
    assert assumed.params['TokenCode'] == '123456'
    (cached,) = (bare_environment / '.aws' / 'cli' / 'cache').iterdir()
    assert cached.suffix == '.json'
    assert cached.stat().st_mode & 0o077 == 0
    assert cli(*argv).stdout == TEXT
    assert mfa.count('AssumeRole') == 1


def test_ctrl_c_at_the_mfa_prompt_leaves_the_terminal_as_it_was(mfa: FakeAWS) -> None:
    with Terminal('flowlogs', *WINDOW, '--profile', 'mfa') as terminal:
        terminal.prompt()
        assert terminal.echoes_before
        assert not terminal.echoes()
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == (130, b'', b'')
        assert terminal.echoes()


def test_an_mfa_code_cannot_be_asked_for_without_a_terminal(mfa: FakeAWS) -> None:
    argv = [sys.executable, '-m', 'flowlogs_reader', 'flowlogs', *WINDOW, '--profile', 'mfa']
    done = subprocess.run(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True
    )
    assert (done.returncode, done.stdout) == (1, '')
    assert 'flowlogs_reader: the role asks for an MFA code, and there is no terminal' in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr


# -- transport --------------------------------------------------------------------------------------------------------


@pytest.fixture
def untrusted() -> Iterator[str]:
    """The address of a server whose certificate nobody signed."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / 'untrusted.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f'https://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('location', ['flowlogs', 's3://flowlogs'])
def test_a_certificate_that_nobody_trusts_is_refused(
    location: str, untrusted: str, fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AWS_ENDPOINT_URL', untrusted)
    result = cli(location, *WINDOW, status=1)
    assert 'certificate verify failed' in result.stderr
    assert result.stderr.count('\n') == 1


@pytest.mark.parametrize('location', ['flowlogs', 's3://flowlogs'])
def test_an_address_where_nobody_answers_is_reported(
    location: str, fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bound, so that no other server gets the port meanwhile, but not listening.
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        monkeypatch.setenv('AWS_ENDPOINT_URL', f'http://127.0.0.1:{silent.getsockname()[1]}')
        result = cli(location, *WINDOW, status=1)
    assert 'AWS cannot be reached: check the Region, the network' in result.stderr
    assert result.stderr.count('\n') == 1


def test_no_module_of_the_package_is_left_out() -> None:
    """Otherwise the tests for forbidden operations would pass without looking at all modules."""
    walked = pkgutil.walk_packages([str(ROOT / 'flowlogs_reader')], 'flowlogs_reader.')
    names = {'flowlogs_reader', *(module.name for module in walked)}
    looked_at = {'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__') for path in MODULES}
    # kernel/native is not Python: see tests/kernel.
    assert looked_at == names - {'flowlogs_reader.kernel._native'}
    assert len(looked_at) > 40


def names_in(path: Path) -> Iterator[str]:
    """Every identifier and text in a module."""
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tls_verification_is_never_touched(path: Path) -> None:
    names = set(names_in(path))
    assert {'verify', 'use_ssl', 'disable_warnings', 'CERT_NONE', 'check_hostname', 'UNSIGNED'}.isdisjoint(names)


# -- what is asked of AWS ---------------------------------------------------------------------------------------------

# Operations that read, and those that run queries. AssumeRole is botocore's: no module here names it.
MAY_CALL = {
    'logs': {
        'filter_log_events',
        'describe_log_groups',
        'describe_log_streams',
        'start_query',
        'stop_query',
        'get_query_results',
        'describe_queries',
    },
    'ec2': {'describe_flow_logs', 'describe_network_interfaces', 'describe_regions', 'describe_subnets'},
    's3': {'list_objects_v2', 'get_object', 'head_bucket', 'get_bucket_location'},
    'athena': {
        'start_query_execution',
        'stop_query_execution',
        'get_query_execution',
        'get_query_results',
        'get_work_group',
    },
    'glue': {'get_table', 'create_table'},
    'sts': set(),
}
# They are called with --engine only. Athena stores the result. For CreateTable see test_athena_trouble.py.
RUN_QUERIES = {'StartQuery', 'StopQuery', 'StartQueryExecution', 'StopQueryExecution'}


def test_only_operations_that_read_are_named_anywhere() -> None:
    from botocore import xform_name
    from botocore.session import Session

    names = {name for path in MODULES for name in names_in(path)}
    for service, allowed in MAY_CALL.items():
        operations = {xform_name(name) for name in Session().get_service_model(service).operation_names}
        assert operations & names <= allowed, service
        assert allowed <= operations


def test_only_operations_that_read_are_called(flowlogs: FakeAWS, cli: Cli) -> None:
    flowlogs.add_role(ROLE)
    flowlogs.add_flow_log(log_group='flowlogs')
    flowlogs.add_interface('eni-00000000000000001', instance_id='i-00000000000000001')
    role = ('--role-arn', ROLE)
    for location in ('flowlogs', 's3://flowlogs'):
        for action in ('print', 'ipset', 'top', 'aggregate', 'timeline'):
            cli(location, action, *WINDOW)
        cli(location, *WINDOW, *role)
        cli(location, *WINDOW, '-w', 'interface-id=eni-00000000000000001')
    cli('s3://nothing', *WINDOW, status=1)
    cli('nothing', *WINDOW, status=1)
    for resource in ('', 'eni-00000000000000001', 'i-00000000000000001', 'subnet-00000000000000001', 'vpc-1'):
        cli('--list', *filter(None, [resource]))
    cli('--list', '--all-regions')
    assert not {call.operation for call in flowlogs.calls()} & RUN_QUERIES
    for options in ([], ['--show-query'], ['--estimate']):
        cli('flowlogs', 'top', *WINDOW, '--engine', 'insights', *options)
    for option in ('--show-query', '--estimate'):
        cli('s3://flowlogs', 'top', *WINDOW, '--engine', 'athena', '--create-table', option)
    called = {call.operation for call in flowlogs.calls()}
    assert called <= {
        'FilterLogEvents', 'DescribeLogGroups', 'DescribeLogStreams', 'DescribeFlowLogs', 'DescribeNetworkInterfaces',
        'DescribeRegions', 'DescribeSubnets', 'ListObjectsV2', 'GetObject', 'HeadBucket', 'AssumeRole',
        'GetQueryResults', *RUN_QUERIES,
    }  # fmt: skip
    assert called >= {'FilterLogEvents', 'ListObjectsV2', 'GetObject', 'DescribeFlowLogs', 'AssumeRole'}
