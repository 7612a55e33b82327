"""The AWS session: one profile, role, Region and retry policy for the clients of all services."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cause, FlowLogsError, UsageError
from .trouble import SignIn, cause_of, is_aws_error

if TYPE_CHECKING:
    from botocore.session import Session

FALLBACK_REGION = 'us-east-1'
# What `region_and_source` says if no Region is configured.
NO_REGION = 'because no Region is configured'
MODELS = str(Path(__file__).parent / 'models')
# Where the AWS CLI keeps the credentials of assumed roles.
CLI_CACHE = '~/.aws/cli/cache'
# FilterLogEvents has quotas of 5 to 25 requests a second: on long windows botocore's default of 3 attempts is too few.
ATTEMPTS = 10
# Attempts before the first answer of an address: without one, the Region or the network is wrong.
FIRST_ATTEMPTS = 3
# Seconds without a byte after which a request is sent again, and how often one is sent that gets none. With botocore's
# 60 seconds, and ATTEMPTS, a read of an address that is silent would take 10 minutes to say so.
READ_TIMEOUT = 30
SILENT_ATTEMPTS = 3
# Connections that a client keeps.
MAX_CONNECTIONS = 50
# Attempts if an answer is unreadable.
UNREADABLE_ATTEMPTS = 5


class AwsSession:
    """Creates clients. Nothing is imported, read or requested before the first one is created.

    The clients are botocore's, as boto3's are: this package does not need what boto3 adds, and importing boto3 takes a
    tenth of the time of a short read.

    `region_name` is the Region that was asked for, or None. With `role_arn` the role is assumed with the profile's
    credentials, and again before they expire. `client_kwargs` are passed to every client, and override the settings
    here.
    """

    def __init__(
        self,
        region_name: str | None = None,
        profile_name: str | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.region_name = region_name
        self._profile_name = profile_name or None
        self._role_arn = role_arn
        self._external_id = external_id
        self._client_kwargs = dict(client_kwargs or {})

    @property
    def region(self) -> str:
        return self.region_and_source[0]

    @cached_property
    def region_and_source(self) -> tuple[str, str]:
        """The Region, and in words how it was chosen.

        boto3 ignores AWS_REGION, which the other AWS SDKs and AWS Lambda use.
        """
        if self.region_name:
            return self.region_name, 'as asked for'
        with _settings_errors():
            return self._configured_region()

    def _configured_region(self) -> tuple[str, str]:
        for variable in ('AWS_REGION', 'AWS_DEFAULT_REGION'):
            if os.environ.get(variable):
                return os.environ[variable], f'from {variable}'
        configured = self._plain_session.get_config_variable('region')
        if configured:
            return configured, f'from the profile {self._plain_session.profile or "default"}'
        return FALLBACK_REGION, NO_REGION

    def client(self, service: str, region_name: str | None = None, **kwargs: Any) -> Any:
        """Return a new client. Sessions are not thread-safe: create clients in one thread, then share them."""
        with _settings_errors():
            return self._make_client(service, region_name, kwargs)

    def _make_client(self, service: str, region_name: str | None, kwargs: dict[str, Any]) -> Any:
        from botocore.config import Config

        settings: dict[str, Any] = {'region_name': region_name or self.region, **self._client_kwargs, **kwargs}
        config = Config(max_pool_connections=MAX_CONNECTIONS, user_agent_extra='flowlogs_reader')
        if not self._user_set_retries:
            # The adaptive mode suits quotas; after one SlowDown of S3 it would be slow for seconds.
            mode = 'standard' if service == 's3' else 'adaptive'
            config = config.merge(Config(retries={'mode': mode, 'total_max_attempts': ATTEMPTS}))
        if 'config' in settings:
            config = config.merge(settings['config'])
        settings['config'] = config
        if not settings.get('aws_access_key_id'):
            self._sign_in()
        client = self._session.create_client(service, **settings)
        if not self._user_set_retries:
            client.meta.events.register_first('needs-retry', _StopIfUnreachable())
        return client

    def _sign_in(self) -> None:
        """Assume the role now, if one is set: Ctrl-C can end a prompt for an MFA code only in the main thread."""
        credentials = self._session.get_credentials()
        if credentials:
            try:
                texts = credentials.get_frozen_credentials()[:3]
            except EOFError:
                raise FlowLogsError(
                    'the role asks for an MFA code, and there is no terminal to type it on: run this in a terminal '
                    'once; it is then not asked for again for an hour'
                ) from None
            # urllib3's error about an invalid header would show the credentials.
            if not all(text.isprintable() for text in texts if text):
                raise FlowLogsError('the AWS credentials contain a line end or another invalid character')

    def check_profile(self) -> None:
        """Raises UsageError if the profile does not exist. Reads the configuration files only."""
        from botocore.exceptions import BotoCoreError, ProfileNotFound

        try:
            self._plain_session.get_scoped_config()
        except ProfileNotFound as error:
            raise UsageError(f'{error}; aws configure list-profiles lists the profiles') from None
        except BotoCoreError as error:
            raise UsageError(str(error)) from None

    def sign_in_for(self, error: BaseException) -> SignIn | None:
        """Return how to sign in again, if the error is an expired sign-in and the profile says how; otherwise None."""
        if cause_of(error) is not Cause.SIGNED_OUT:
            return None
        profiles = self._plain_session.full_config.get('profiles', {})
        name, passed = self._plain_session.profile or 'default', set[str]()
        # A role takes its credentials from another profile: the user signs in to that one.
        while name not in passed and (profile := profiles.get(name)):
            if not profile.keys().isdisjoint(('sso_session', 'sso_start_url')):
                return SignIn(name, sso=True)
            if 'login_session' in profile:
                return SignIn(name, sso=False)
            passed.add(name)
            name = profile.get('source_profile', '')
        return None

    def similar_regions(self) -> list[str] | None:
        """Return Regions with names like the session's Region, if botocore does not know it; None if it does."""
        from difflib import get_close_matches

        session = self._profile_session
        known = [
            name for part in session.get_available_partitions() for name in session.get_available_regions('logs', part)
        ]
        return None if self.region in known else get_close_matches(self.region.lower(), known, 3)

    def regions(self, service: str) -> list[str]:
        """Return the Regions of the session's partition that have the service."""
        from botocore.exceptions import UnknownRegionError

        try:
            partition = self._profile_session.get_partition_for_region(self.region)
        except UnknownRegionError:
            return [self.region]
        return list(self._profile_session.get_available_regions(service, partition))

    @cached_property
    def _profile_session(self) -> Session:
        """The session with the profile's own credentials."""
        return self._prepare(self._plain_session)

    @cached_property
    def _session(self) -> Session:
        """The session with the role's credentials if a role is set, otherwise with the profile's."""
        if not self._role_arn:
            return self._profile_session
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.exceptions import NoCredentialsError

        source = self._profile_session.get_credentials()
        if source is None:
            raise NoCredentialsError()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(self._profile_session.create_client, region_name=self.region),
            source_credentials=source,
            role_arn=self._role_arn,
            extra_args={'ExternalId': self._external_id} if self._external_id else {},
        )
        session = self._prepare(self._new_session())
        # botocore has no public way to set refreshable credentials.
        session._credentials = DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method='assume-role'
        )
        return session

    def _prepare(self, session: Session) -> Session:
        from botocore.config import Config

        # For all clients: botocore creates its own to assume a role, or to use a sign-in.
        session.set_default_client_config(Config(connect_timeout=10, read_timeout=READ_TIMEOUT))
        # For the STS client that botocore creates if the profile has a role.
        session.set_config_variable('region', self.region)
        # Use reduced models of Logs, EC2, Athena and Glue: loading botocore's model of EC2 takes 30 MB and 0.2 seconds,
        # that of Glue half of it.
        loader = session.get_component('data_loader')
        loader.search_paths.insert(0, MODELS)
        # To check the name of a service, botocore lists the folders of 400 services, three times.
        loader.list_available_services = lambda type_name: _names_in(loader.search_paths)
        # Use the cache of the AWS CLI, so that a role does not ask for an MFA code again for an hour.
        providers = session.get_component('credential_provider')
        providers.get_provider('assume-role').cache = _CliCache()
        return session

    @cached_property
    def _plain_session(self) -> Session:
        """The session as botocore makes it: enough to read the configuration files."""
        return self._new_session()

    def _new_session(self) -> Session:
        from botocore.session import Session

        default = None if self._profile_name else _default_session()
        if default is None:
            return Session(profile=self._profile_name)
        # A copy, because _prepare changes it, with the credentials and the Region of boto3's default session.
        session = Session(profile=default.profile)
        session._credentials = default.get_credentials()
        session.set_config_variable('region', default.get_config_variable('region'))
        return session

    @property
    def _user_set_retries(self) -> bool:
        if os.environ.get('AWS_MAX_ATTEMPTS') or os.environ.get('AWS_RETRY_MODE'):
            return True
        scoped = self._profile_session.get_scoped_config()
        return 'max_attempts' in scoped or 'retry_mode' in scoped


def _default_session() -> Any:
    """Return the botocore session of boto3.setup_default_session(), if it was called. Does not import boto3."""
    boto3 = sys.modules.get('boto3')
    default = getattr(boto3, 'DEFAULT_SESSION', None)
    return getattr(default, '_session', None)


@contextmanager
def _settings_errors() -> Iterator[None]:
    """Turn errors in the environment, the configuration files or a credential process into FlowLogsError."""
    try:
        yield
    except (ValueError, OSError) as error:
        if is_aws_error(error):
            raise
        raise FlowLogsError(f'the AWS settings cannot be used: {error}') from error


def retry_without(members: Collection[str]) -> Callable[..., float | None]:
    """Return a handler of botocore's needs-retry event that retries if the answer has none of these members.

    botocore parses a body that is cut off, or not from AWS, as an empty answer: it would look like the last page, and
    the read would end early without an error.
    """

    def check(response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: Any) -> float | None:
        if response and 200 <= response[0].status_code < 300 and response[1].keys().isdisjoint(members):
            return 0.1 * attempts if attempts < UNREADABLE_ATTEMPTS else None
        return None

    return check


def refuse_redirect(response: tuple[Any, dict[str, Any]] | None, **_: Any) -> None:
    """A handler of botocore's needs-retry event. Raises FlowLogsError for a redirect that is not from S3.

    S3 names the error or the Region. Other redirects are the login pages of networks: botocore asks for the Region of
    the bucket then, and asks again when that is redirected too, until Python's stack is full.
    """
    if response and 300 <= response[0].status_code < 400:
        code = response[1].get('Error', {}).get('Code', '')
        if code == str(response[0].status_code) and 'x-amz-bucket-region' not in response[0].headers:
            raise FlowLogsError(f'the answer is a redirect ({code}) without a Region', Cause.ANSWER_UNREADABLE)


class _CliCache:
    """The cache of the AWS CLI for credentials. If it cannot be written, as in many containers, it stays unchanged."""

    def __init__(self) -> None:
        from botocore.credentials import JSONFileCache

        self._files = JSONFileCache(os.path.expanduser(CLI_CACHE))

    def __contains__(self, key: str) -> bool:
        return key in self._files

    def __getitem__(self, key: str) -> Any:
        return self._files[key]

    def __setitem__(self, key: str, value: Any) -> None:
        with suppress(OSError):
            self._files[key] = value


def _names_in(folders: Iterable[str]) -> list[str]:
    return [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]


class _StopIfUnreachable:
    """A handler of botocore's needs-retry event that ends retries early if AWS cannot be reached, or is silent.

    Once it was silent, each later request has one attempt until there is an answer: an engine stops its queries.
    """

    def __init__(self) -> None:
        self._answered = self._silent = False

    def __call__(
        self,
        response: object,
        attempts: int,
        request_dict: dict[str, Any],
        caught_exception: Exception | None = None,
        **_: object,
    ) -> None:
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, SSLError

        if response is not None:
            self._answered, self._silent = True, False
        unreachable = isinstance(caught_exception, (EndpointConnectionError, ConnectTimeoutError, SSLError))
        if caught_exception and unreachable and not self._answered and attempts >= FIRST_ATTEMPTS:
            raise caught_exception
        if isinstance(caught_exception, ReadTimeoutError):
            context = request_dict['context']
            context['silent'] = context.get('silent', 0) + 1
            self._silent = self._silent or context['silent'] >= SILENT_ATTEMPTS
            if self._silent:
                raise caught_exception
