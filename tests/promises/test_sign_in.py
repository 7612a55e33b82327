"""The credential providers of botocore as they are, over a fake STS, SSO portal and SSO-OIDC: expired keys, sign-ins to
IAM Identity Center and credential_process, with and without a role on top, from the command line and from the library.

Each run is a process of its own: botocore looks up the home directory, and the cache of the AWS CLI in it, once.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError, UnauthorizedSSOTokenError

from flowlogs_reader import AwsSession
from flowlogs_reader.aws.session import SignIn
from flowlogs_reader.cli.summary import explain
from tests import traffic
from tests.conftest import ROOT
from tests.fake.aws import FakeAWS, s3_objects

LINES = list(traffic.lines(200, per_second=20))
WINDOW = ('-s', '2016-02-01 10:00:00', '-e', '2016-02-01 12:00:00')
ACCOUNT, OTHER = '123456789010', '210987654321'
ROLE = f'arn:aws:iam::{OTHER}:role/reader'
START_URL = 'https://example.awsapps.com/start'
LOCATIONS = ['flowlogs', 's3://flowlogs']
# botocore renews keys of less than ten minutes before every request.
SHORT = 300

CONFIG = f"""
[sso-session work]
sso_start_url = {START_URL}
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile dev]
sso_session = work
sso_account_id = {ACCOUNT}
sso_role_name = ReadOnly
region = us-east-1

[profile "old style"]
sso_start_url = {START_URL}
sso_region = us-east-1
sso_account_id = {ACCOUNT}
sso_role_name = ReadOnly
region = us-east-1

[profile role]
role_arn = {ROLE}
source_profile = dev
region = us-east-1

[profile expired]
aws_access_key_id = AKIAEXPIRED
aws_secret_access_key = secret
aws_session_token = token
region = us-east-1

[profile over-expired]
role_arn = {ROLE}
source_profile = expired
region = us-east-1

[profile process]
credential_process = PROCESS
region = us-east-1
"""

PROCESS = """
import json, sys, time
from datetime import datetime, timezone
from pathlib import Path
asked = Path(__file__).with_suffix('.asked')
asked.write_text(asked.read_text() + 'x' if asked.exists() else 'x')
until = datetime.fromtimestamp(time.time() + float(sys.argv[1]), timezone.utc)
print(json.dumps({
    'Version': 1, 'AccessKeyId': f'AKIAPROCESS{len(asked.read_text()):05}', 'SecretAccessKey': 'secret',
    'Expiration': until.isoformat(),
}))
"""

READ = """
import sys
from datetime import datetime
from flowlogs_reader import AwsSession, FlowLogsReader, S3FlowLogsReader
location, profile, role = sys.argv[1:]
reader = S3FlowLogsReader if location.startswith('s3:') else FlowLogsReader
session = AwsSession(profile_name=profile, role_arn=role or None)
for record in reader(location, session=session, start_time=datetime(2016, 2, 1, 10), end_time=datetime(2016, 2, 1, 12)):
    print(record.to_message())
"""

Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def flowlogs(fake: FakeAWS, bare_environment: Path) -> FakeAWS:
    """The records in a log group in pages of 50 and in a bucket, and a home directory with profiles."""
    for account in (ACCOUNT, OTHER):
        fake.add_log_group('flowlogs', lines=LINES, account=account)
    fake.logs.page_events = 50
    fake.add_bucket('flowlogs', objects=s3_objects(LINES, max_lines=50))
    fake.add_role(ROLE)
    fake.sts.expired.add('AKIAEXPIRED')
    process = bare_environment / 'process.py'
    process.write_text(PROCESS)
    (bare_environment / '.aws').mkdir()
    config = CONFIG.replace('PROCESS', f'{sys.executable} {process} {SHORT}')
    (bare_environment / '.aws' / 'config').write_text(config)
    return fake


@pytest.fixture
def run(flowlogs: FakeAWS) -> Runner:
    """Runs Python with the fake AWS and the profiles of the home directory, and without keys."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith('AWS_')}
    environ.update(AWS_ENDPOINT_URL=flowlogs.url, AWS_EC2_METADATA_DISABLED='true', AWS_MAX_ATTEMPTS='2')

    def run(*argv: str, status: int = 0, program: str = '') -> subprocess.CompletedProcess[str]:
        words = ['-c', program] if program else ['-m', 'flowlogs_reader']
        done = subprocess.run(
            [sys.executable, *words, *argv], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == status, done.stderr
        return done

    return run


def sign_in(home: Path, token: str, lifetime: float, name: str = 'work', **more: object) -> Path:
    """What `aws sso login` leaves in the cache of the AWS CLI."""
    cache = home / '.aws' / 'sso' / 'cache'
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f'{hashlib.sha1(name.encode()).hexdigest()}.json'
    ends = (datetime.now(timezone.utc) + timedelta(seconds=lifetime)).strftime('%Y-%m-%dT%H:%M:%SZ')
    file.write_text(
        json.dumps({'startUrl': START_URL, 'region': 'us-east-1', 'accessToken': token, 'expiresAt': ends, **more})
    )
    return file


def refreshable(refresh_token: str) -> dict[str, object]:
    ends = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 10**6))
    return {
        'refreshToken': refresh_token,
        'clientId': 'client',
        'clientSecret': 'secret',
        'registrationExpiresAt': ends,
    }


def all_lines(done: subprocess.CompletedProcess[str]) -> bool:
    return sorted(done.stdout.splitlines()) == sorted(line.decode() for line in LINES)


# -- signed in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('role', ['', ROLE], ids=['profile', 'role'])
@pytest.mark.parametrize('location', LOCATIONS)
def test_a_sign_in_of_the_aws_cli_is_used(
    location: str, role: str, flowlogs: FakeAWS, run: Runner, bare_environment: Path
) -> None:
    sign_in(bare_environment, 'access-0', 7200)
    flowlogs.sso.access_tokens.add('access-0')
    done = run(location, *WINDOW, '--profile', 'dev', *(['--role-arn', role] if role else []))
    assert all_lines(done) and done.stderr == ''
    assert (flowlogs.count('GetRoleCredentials'), flowlogs.count('CreateToken')) == (1, 0)
    assert flowlogs.count('AssumeRole') == bool(role)
    account = OTHER if role else ACCOUNT
    assert {call.account for call in flowlogs.calls() if call.service in ('logs', 's3')} == {account}
    assert all_lines(run(location, 'dev', role, program=READ))


@pytest.mark.parametrize('role', ['', ROLE], ids=['profile', 'role'])
@pytest.mark.parametrize('location', LOCATIONS)
def test_keys_of_a_sign_in_are_renewed_in_mid_read(
    location: str, role: str, flowlogs: FakeAWS, run: Runner, bare_environment: Path
) -> None:
    sign_in(bare_environment, 'access-0', 7200)
    flowlogs.sso.access_tokens.add('access-0')
    flowlogs.sso.lifetime = SHORT
    flowlogs.add_role(ROLE, lifetime=SHORT)
    done = run(location, *WINDOW, '--profile', 'dev', '--thread-count', '1', *(['--role-arn', role] if role else []))
    assert all_lines(done) and done.stderr == ''
    keys = {call.access_key for call in flowlogs.calls() if call.service in ('logs', 's3')}
    assert len(keys) >= 4
    assert flowlogs.count('GetRoleCredentials') >= 4
    assert flowlogs.count('AssumeRole') >= (4 if role else 0)


@pytest.mark.parametrize('location', LOCATIONS)
def test_a_token_that_has_expired_is_renewed_in_the_cache_of_the_aws_cli(
    location: str, flowlogs: FakeAWS, run: Runner, bare_environment: Path
) -> None:
    file = sign_in(bare_environment, 'access-0', -60, **refreshable('refresh-0'))
    flowlogs.sso.refresh_tokens.add('refresh-0')
    assert all_lines(run(location, *WINDOW, '--profile', 'dev'))
    assert flowlogs.count('CreateToken') == 1
    assert json.loads(file.read_text())['accessToken'] in flowlogs.sso.access_tokens
    assert all_lines(run(location, *WINDOW, '--profile', 'dev'))
    assert flowlogs.count('CreateToken') == 1


# -- signed out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'command'),
    [
        (['--profile', 'dev'], 'aws sso login --profile dev'),
        (['--profile', 'dev', '--role-arn', ROLE], 'aws sso login --profile dev'),
        (['--profile', 'role'], 'aws sso login --profile dev'),
        (['--profile', 'old style'], "aws sso login --profile 'old style'"),
    ],
    ids=['session', 'role over it', 'source profile', 'old style'],
)
@pytest.mark.parametrize('state', ['never', 'expired', 'revoked'])
@pytest.mark.parametrize('location', [*LOCATIONS, '--list'])
def test_one_line_says_how_to_sign_in_again(
    location: str, state: str, options: list[str], command: str, flowlogs: FakeAWS, run: Runner, bare_environment: Path
) -> None:
    if state != 'never':
        for name in ('work', START_URL):
            sign_in(bare_environment, 'access-0', 7200 if state == 'revoked' else -60, name)
    window = WINDOW if location != '--list' else ()
    done = run(location, *window, *options, status=1)
    assert done.stdout == ''
    assert done.stderr.count('\n') == 1
    assert done.stderr.endswith(f': the sign-in has ended: run {command}\n')


@pytest.mark.parametrize('location', LOCATIONS)
def test_a_sign_in_that_ends_in_mid_read_is_reported_with_where_to_go_on(
    location: str, flowlogs: FakeAWS, run: Runner, bare_environment: Path
) -> None:
    sign_in(bare_environment, 'access-0', 7200)
    flowlogs.sso.access_tokens.add('access-0')
    flowlogs.sso.lifetime = SHORT
    handle = flowlogs.sso.handle

    def until_it_ends(call):  # type: ignore[no-untyped-def]
        # S3 is asked for folders first.
        if flowlogs.count('GetRoleCredentials') > (3 if location == 'flowlogs' else 7):
            flowlogs.sso.access_tokens.clear()
        return handle(call)

    flowlogs.sso.handle = until_it_ends  # type: ignore[method-assign]
    done = run(
        location, *WINDOW, '--profile', 'dev', '--thread-count', '1', '--fields', ' '.join(traffic.FIELDS), status=1
    )
    assert done.stderr.count('\n') == 1
    assert ': the sign-in has ended: run aws sso login --profile dev; the output ' in done.stderr
    if location == 'flowlogs':
        assert '\n'.join(map(bytes.decode, LINES)).startswith(done.stdout)
    assert 0 < done.stdout.count('\n') < len(LINES)


@pytest.mark.parametrize(
    ('profile', 'found'),
    [
        ('default', SignIn('default', sso=True)),
        ('dev', SignIn('dev', sso=True)),
        ('login', SignIn('login', sso=False)),
        ('role', SignIn('login', sso=False)),
        ('keys', None),
        ('circle', None),
        ('nothing', None),
    ],
)
def test_the_profile_to_sign_in_to(
    profile: str, found: SignIn | None, bare_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of `aws login`, whose provider needs the awscrt library for more."""
    config = bare_environment / 'config'
    config.write_text(
        '[default]\nsso_session = work\n[profile dev]\nsso_session = work\n[profile keys]\nregion = us-east-1\n'
        '[profile login]\nlogin_session = arn\n[profile role]\nrole_arn = arn\nsource_profile = login\n'
        '[profile circle]\nsource_profile = other\n[profile other]\nsource_profile = circle\n'
    )
    monkeypatch.setenv('AWS_CONFIG_FILE', str(config))
    session = AwsSession(profile_name=None if profile == 'default' else profile)
    ended = UnauthorizedSSOTokenError()
    assert session.sign_in_for(ended) == found
    assert session.sign_in_for(NoCredentialsError()) is None
    told = explain(ended, found)
    if found:
        option = '' if profile == 'default' else f' --profile {found.profile}'
        assert told == f'the sign-in has ended: run aws {"sso " if found.sso else ""}login{option}'
    else:
        assert told.endswith(': the sign-in has ended: run aws sso login, or aws login')


def test_the_library_raises_what_botocore_says(flowlogs: FakeAWS, run: Runner) -> None:
    done = run('flowlogs', 'dev', ROLE, program=READ, status=1)
    assert done.stderr.splitlines()[-1].startswith('botocore.exceptions.SSOTokenLoadError: ')


# -- other sources of a role ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('options', [['--profile', 'over-expired'], ['--profile', 'expired', '--role-arn', ROLE]])
@pytest.mark.parametrize('location', LOCATIONS)
def test_an_expired_source_profile_is_reported(
    location: str, options: list[str], flowlogs: FakeAWS, run: Runner
) -> None:
    done = run(location, *WINDOW, *options, status=1)
    assert (done.stdout, done.stderr.count('\n')) == ('', 1)
    assert '(ExpiredToken) when calling the AssumeRole operation' in done.stderr
    assert 'the credentials have expired: sign in again' in done.stderr
    assert {call.operation for call in flowlogs.calls()} == {'AssumeRole'}


@pytest.mark.parametrize('role', ['', ROLE], ids=['profile', 'role'])
@pytest.mark.parametrize('location', LOCATIONS)
def test_a_credential_process_is_run_again_in_mid_read(
    location: str, role: str, flowlogs: FakeAWS, run: Runner, bare_environment: Path
) -> None:
    flowlogs.add_role(ROLE, lifetime=SHORT)
    options = ['--role-arn', role] if role else []
    done = run(location, *WINDOW, '--profile', 'process', '--thread-count', '1', *options)
    assert all_lines(done) and done.stderr == ''
    asked = len((bare_environment / 'process.asked').read_text())
    assert asked >= 4
    renewed = flowlogs.calls('AssumeRole') if role else [c for c in flowlogs.calls() if c.service in ('logs', 's3')]
    assert len({call.access_key for call in renewed}) >= 4
    assert all_lines(run(location, 'process', role, program=READ))
