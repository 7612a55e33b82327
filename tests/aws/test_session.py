"""One AWS session for everything: Region, profile, role and retries are the same for CloudWatch Logs and EC2."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, ProfileNotFound, ReadTimeoutError
from botocore.loaders import Loader

from flowlogs_reader import FlowLogsError, FlowLogsReader, S3FlowLogsReader
from flowlogs_reader.aws.session import MODELS
from tests import traffic
from tests.conftest import Cli
from tests.fake.aws import FakeAWS, s3_objects

ROLE = 'arn:aws:iam::210987654321:role/audit'
LINES = list(traffic.lines(300, per_second=10))
KEYS = 'aws_access_key_id = AKIAAUDIT\naws_secret_access_key = s\n'
EVERYTHING = ('-s', '2016-02-01')


@pytest.fixture
def home(fake: FakeAWS, bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory whose AWS configuration counts; the keys and the address of the fake stay in the environment."""
    monkeypatch.delenv('AWS_CONFIG_FILE')
    monkeypatch.delenv('AWS_SHARED_CREDENTIALS_FILE')
    (bare_environment / '.aws').mkdir()
    return bare_environment


def configure(home: Path, text: str) -> None:
    (home / '.aws' / 'config').write_text(text)


def regions_asked(fake: FakeAWS) -> dict[str, set[str]]:
    asked: dict[str, set[str]] = {}
    for call in fake.calls():
        asked.setdefault(call.service, set()).add(call.region)
    return asked


class TestRegion:
    """--region, else AWS_REGION, else AWS_DEFAULT_REGION, else the profile's, else us-east-1; for every service."""

    LADDER = (
        (['--region', 'eu-west-1'], {'AWS_REGION': 'eu-west-2', 'AWS_DEFAULT_REGION': 'ca-central-1'}, 'eu-west-1'),
        ([], {'AWS_REGION': 'eu-west-2', 'AWS_DEFAULT_REGION': 'ca-central-1'}, 'eu-west-2'),
        ([], {'AWS_REGION': '', 'AWS_DEFAULT_REGION': 'ca-central-1'}, 'ca-central-1'),
        ([], {}, 'sa-east-1'),
        (['--profile', 'other'], {}, 'eu-north-1'),
        ([], {'AWS_PROFILE': 'other'}, 'eu-north-1'),
        (['--profile', 'bare'], {}, 'us-east-1'),
    )

    @pytest.mark.parametrize(('options', 'variables', 'region'), LADDER)
    def test_precedence(
        self, options: list[str], variables: dict[str, str], region: str, fake: FakeAWS, home: Path, cli: Cli,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        configure(
            home, f'[default]\nregion = sa-east-1\n[profile other]\nregion = eu-north-1\n{KEYS}[profile bare]\n{KEYS}'
        )
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        fake.add_log_group('flowlogs', region, LINES)
        assert len(cli('flowlogs', *EVERYTHING, *options).lines) == len(LINES)
        assert regions_asked(fake) == {'logs': {region}, 'ec2': {region}}

    @pytest.mark.parametrize(('given', 'region'), [('eu-west-1', 'eu-west-1'), (None, 'us-east-1')])
    def test_the_library_does_the_same(self, given: str | None, region: str, fake: FakeAWS) -> None:
        fake.add_log_group('flowlogs', region, LINES)
        assert (
            len(list(FlowLogsReader('flowlogs', fields=None, region_name=given, start_time=datetime(2016, 2, 1))))
            == 300
        )
        assert regions_asked(fake) == {'logs': {region}, 'ec2': {region}}


def test_a_profiles_keys_are_used_for_all_services(fake: FakeAWS, home: Path, cli: Cli) -> None:
    configure(home, f'[profile audit]\nregion = eu-west-1\n{KEYS}')
    fake.add_log_group('flowlogs', 'eu-west-1', LINES)
    cli('flowlogs', '--profile', 'audit', *EVERYTHING)
    list(FlowLogsReader('flowlogs', fields=None, profile_name='audit', start_time=datetime(2016, 2, 1)))
    assert {call.service for call in fake.calls()} == {'logs', 'ec2'}
    assert {call.access_key for call in fake.calls()} == {'AKIAAUDIT'}


class TestRole:
    def test_a_home_directory_that_cannot_be_written(
        self, fake: FakeAWS, home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The credentials of a role are cached in it if that is possible, but are not worth an error."""
        configure(home, f'[profile base]\n{KEYS}[profile audit]\nrole_arn = {ROLE}\nsource_profile = base\n')
        fake.add_role(ROLE)
        fake.add_log_group('flowlogs', lines=LINES, account='210987654321')
        monkeypatch.setenv('AWS_CONFIG_FILE', str(home / '.aws' / 'config'))
        monkeypatch.setenv('HOME', '/dev/null')
        assert len(cli('flowlogs', *EVERYTHING, '--profile', 'audit').lines) == len(LINES)

    def test_all_services_work_with_the_role(self, fake: FakeAWS, cli: Cli) -> None:
        fake.add_role(ROLE, external_id='e-1')
        fake.add_log_group('flowlogs', 'eu-west-1', LINES, account='210987654321')
        result = cli('flowlogs', *EVERYTHING, '--role-arn', ROLE, '--external-id', 'e-1', '--region', 'eu-west-1')
        assert len(result.lines) == len(LINES)
        (assume,) = fake.calls('AssumeRole')
        assert assume.params['RoleArn'] == ROLE
        assert assume.params['ExternalId'] == 'e-1'
        assert assume.region == 'eu-west-1'
        assert {call.account for call in fake.calls() if call.service != 'sts'} == {'210987654321'}

    def test_without_an_external_id_none_is_sent(self, fake: FakeAWS, cli: Cli) -> None:
        fake.add_role(ROLE)
        fake.add_log_group('flowlogs', account='210987654321')
        cli('flowlogs', '--role-arn', ROLE)
        assert 'ExternalId' not in fake.calls('AssumeRole')[0].params

    def test_the_wrong_external_id_is_one_line(self, fake: FakeAWS, cli: Cli) -> None:
        fake.add_role(ROLE, external_id='e-1')
        result = cli('flowlogs', '--role-arn', ROLE, '--external-id', 'e-2', status=1)
        assert 'sts:AssumeRole' in result.stderr
        assert 'not allowed' in result.stderr
        assert result.stderr.count('\n') == 1

    def test_credentials_are_renewed_on_a_long_read(self, fake: FakeAWS, cli: Cli) -> None:
        # Keys that are near their end are renewed before each request; each set of them is good for one only.
        fake.add_role(ROLE, lifetime=300, uses=1)
        fake.add_log_group('flowlogs', lines=LINES, account='210987654321')
        fake.logs.page_events = 30
        result = cli('flowlogs', *EVERYTHING, '--role-arn', ROLE, '--thread-count', '0')
        assert result.stdout.splitlines() == LINES
        assert fake.count('FilterLogEvents') >= 10
        assert fake.count('AssumeRole') >= 10

    def test_a_role_on_top_of_a_profile(self, fake: FakeAWS, home: Path, cli: Cli) -> None:
        configure(home, f'[profile audit]\n{KEYS}')
        fake.add_role(ROLE)
        fake.add_log_group('flowlogs', lines=LINES, account='210987654321')
        assert len(cli('flowlogs', *EVERYTHING, '--role-arn', ROLE, '--profile', 'audit').lines) == len(LINES)
        assert [call.access_key for call in fake.calls('AssumeRole')] == ['AKIAAUDIT']

    @pytest.mark.parametrize(('options', 'region'), [([], 'us-east-1'), (['--region', 'eu-west-1'], 'eu-west-1')])
    def test_the_role_of_a_profile_is_assumed_once_for_two_runs(
        self, options: list[str], region: str, fake: FakeAWS, home: Path, cli: Cli
    ) -> None:
        configure(home, f'[profile base]\n{KEYS}[profile audit]\nrole_arn = {ROLE}\nsource_profile = base\n')
        fake.add_role(ROLE)
        fake.add_log_group('flowlogs', region, LINES, account='210987654321')
        for _ in range(2):
            assert len(cli('flowlogs', *EVERYTHING, '--profile', 'audit', *options).lines) == len(LINES)
        assert [call.region for call in fake.calls('AssumeRole')] == [region]


@pytest.mark.parametrize('location', ['flowlogs', 's3://flowlogs'])
def test_profile_role_and_region_are_the_same_for_every_source(
    location: str, fake: FakeAWS, home: Path, cli: Cli
) -> None:
    configure(home, f'[profile audit]\n{KEYS}')
    fake.add_role(ROLE, external_id='e-1')
    fake.add_log_group('flowlogs', 'eu-west-1', LINES, account='210987654321')
    fake.add_bucket('flowlogs', 'eu-west-1', s3_objects(LINES))
    role = ('--profile', 'audit', '--role-arn', ROLE, '--external-id', 'e-1', '--region', 'eu-west-1')
    assert len(cli(location, *EVERYTHING, *role).lines) == len(LINES)
    assert [call.access_key for call in fake.calls('AssumeRole')] == ['AKIAAUDIT']
    others = [call for call in fake.calls() if call.service != 'sts']
    assert {call.region for call in fake.calls()} == {'eu-west-1'}
    assert {call.account for call in others} == {'210987654321'}
    services = {'logs', 'ec2'} if location == 'flowlogs' else {'s3'}
    assert {call.service for call in others} == services


class TestRetries:
    """Ten tries and an adaptive pace, unless the user has set either."""

    def retries(self, **options: object) -> dict[str, object]:
        return dict(FlowLogsReader('flowlogs', **options).boto_client.meta.config.retries)  # type: ignore[arg-type]

    def test_default(self, fake: FakeAWS) -> None:
        assert self.retries() == {'mode': 'adaptive', 'total_max_attempts': 10}
        # After one SlowDown, the adaptive mode would be slow for seconds.
        assert S3FlowLogsReader('flowlogs').boto_client.meta.config.retries['mode'] == 'standard'

    @pytest.mark.parametrize(
        ('variable', 'value', 'expected'),
        [('AWS_MAX_ATTEMPTS', '2', {'total_max_attempts': 2}), ('AWS_RETRY_MODE', 'legacy', {'mode': 'legacy'})],
    )
    def test_the_users_environment_wins(
        self, variable: str, value: str, expected: dict[str, object], fake: FakeAWS, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, value)
        found = self.retries()
        assert found.items() >= expected.items()
        assert found != {'mode': 'adaptive', 'total_max_attempts': 10}

    def test_the_users_profile_wins(self, fake: FakeAWS, home: Path) -> None:
        configure(home, '[default]\nmax_attempts = 4\n[profile plain]\n')
        assert self.retries()['total_max_attempts'] == 4
        assert self.retries(profile_name='plain')['total_max_attempts'] == 10

    def test_the_callers_config_wins(self, fake: FakeAWS) -> None:
        config = Config(retries={'mode': 'standard', 'total_max_attempts': 2})
        assert self.retries(boto_client_kwargs={'config': config}) == {'mode': 'standard', 'total_max_attempts': 2}

    def test_an_address_where_nobody_answers_is_tried_three_times(self, fake: FakeAWS) -> None:
        fake.stop()
        reader = FlowLogsReader('flowlogs')
        sent: list[object] = []
        reader.boto_client.meta.events.register('before-send', lambda request, **_: sent.append(request))
        with pytest.raises(EndpointConnectionError):
            next(reader)
        assert len(sent) == 3

    @pytest.mark.parametrize('operation', ['FilterLogEvents', 'ListObjectsV2', 'GetObject'])
    def test_an_address_that_is_silent_is_tried_three_times(
        self, operation: str, fake: FakeAWS, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr('flowlogs_reader.aws.session.READ_TIMEOUT', 1)
        fake.add_log_group('flowlogs')
        fake.add_bucket('flowlogs', objects=s3_objects([*traffic.lines(10, start=1454324400)]))
        fake.fault(operation, 'stall', seconds=60)
        window = {'start_time': datetime(2016, 2, 1, 11), 'end_time': datetime(2016, 2, 1, 13)}
        make = FlowLogsReader if operation == 'FilterLogEvents' else S3FlowLogsReader
        reader = make('flowlogs', thread_count=1, **window)
        sent: list[object] = []
        reader.boto_client.meta.events.register(f'before-send.*.{operation}', lambda request, **_: sent.append(request))
        with pytest.raises((ReadTimeoutError, FlowLogsError)):
            list(reader)
        assert len(sent) == 3

    @pytest.mark.parametrize('how', ['--role-arn', '--profile'])
    def test_a_silent_address_of_sts_is_given_up_as_soon(
        self, how: str, fake: FakeAWS, home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, two_minutes: None
    ) -> None:
        """botocore creates that client, and would wait a minute each time."""
        monkeypatch.setattr('flowlogs_reader.aws.session.READ_TIMEOUT', 1)
        configure(home, f'[profile base]\n{KEYS}[profile audit]\nrole_arn = {ROLE}\nsource_profile = base\n')
        fake.fault('AssumeRole', 'stall', seconds=600)
        result = cli('flowlogs', how, ROLE if how == '--role-arn' else 'audit', status=1)
        assert 'Read timeout on endpoint URL' in result.stderr

    def test_the_number_of_tries_is_what_is_sent(
        self, fake: FakeAWS, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv('AWS_MAX_ATTEMPTS', '2')
        fake.add_log_group('flowlogs')
        fake.fault('FilterLogEvents', 'throttle')
        result = cli('flowlogs', status=1)
        assert fake.count('FilterLogEvents') == 2
        assert 'AWS is throttling' in result.stderr


def test_boto_client_kwargs_go_to_the_client(fake: FakeAWS) -> None:
    reader = FlowLogsReader('flowlogs', boto_client_kwargs={'endpoint_url': fake.url + '/', 'region_name': 'eu-west-3'})
    assert reader.boto_client.meta.region_name == 'eu-west-3'
    assert reader.boto_client.meta.endpoint_url == fake.url + '/'


def test_no_client_is_made_before_it_is_needed(home: Path) -> None:
    reader = FlowLogsReader('flowlogs', profile_name='nobody')
    with pytest.raises(ProfileNotFound, match='nobody'):
        reader.boto_client  # noqa: B018


# -- the models --------------------------------------------------------------------------------------------------------

WIRE = ('shape', 'location', 'locationName', 'queryName', 'flattened', 'box')


@pytest.mark.parametrize('service', ['athena', 'ec2', 'glue', 'logs'])
def test_the_models_are_parts_of_botocores_own(service: str) -> None:
    """Older versions of botocore may lack a member; what both have is the same on the wire."""
    ours = Loader(extra_search_paths=[MODELS], include_default_search_paths=False).load_service_model(
        service, 'service-2'
    )
    theirs = Loader().load_service_model(service, 'service-2', ours['metadata']['apiVersion'])
    assert {key: ours['metadata'].get(key) for key in ('protocol', 'serviceId', 'targetPrefix', 'jsonVersion')} == {
        key: theirs['metadata'].get(key) for key in ('protocol', 'serviceId', 'targetPrefix', 'jsonVersion')
    }
    for name, operation in ours['operations'].items():
        for key in ('http', 'input', 'output'):
            assert operation[key] == theirs['operations'][name][key]
    compared = 0
    for name in ours['shapes'].keys() & theirs['shapes'].keys():
        one, other = ours['shapes'][name], theirs['shapes'][name]
        assert one['type'] == other['type'], name
        for member in one.get('members', {}).keys() & other.get('members', {}).keys():
            compared += 1
            assert [one['members'][member].get(key) for key in WIRE] == [
                other['members'][member].get(key) for key in WIRE
            ]
        assert one.get('member', {}).get('shape') == other.get('member', {}).get('shape')
    assert compared > 20
