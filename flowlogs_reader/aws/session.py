"""One AWS session for everything a reader asks: the same profile, role, Region and retries for Logs, S3 and EC2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import Cause, FlowLogsError, UsageError
from .trouble import cause_of, is_aws_error

if TYPE_CHECKING:
    from botocore.session import Session

FALLBACK_REGION = 'us-east-1'
MODELS = str(Path(__file__).parent / 'models')
# Where the AWS CLI keeps the credentials of assumed roles.
CLI_CACHE = '~/.aws/cli/cache'
# A scan of a long window meets FilterLogEvents quotas of 5 to 25 requests a second; botocore's own 3 attempts are few.
ATTEMPTS = 10
# As many for an address where nobody has answered yet: it is the Region or the network, not a busy moment.
FIRST_ATTEMPTS = 3
# Requests at a time, and connections that a client keeps.
MAX_THREADS = 50
# Seconds apart, so many answers that are none have a reason that will not go away.
UNREADABLE_ATTEMPTS = 5


class SignIn(NamedTuple):
    """The profile that a user signs in to, through IAM Identity Center (`sso`) or with ``aws login``."""

    profile: str
    sso: bool


class AwsSession:
    """Where clients come from. Nothing is imported, read or asked before the first one is made.

    The clients are botocore's, which boto3's are too: boto3 adds resources and file transfers, of which nothing here
    makes use, and takes a tenth of the time of a short read to import.

    `region_name` is the Region that was asked for, or None. With `role_arn` the role is assumed with the profile's
    credentials, and again before the new ones run out.
    `client_kwargs` go to every client and win over what is set here.
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
        """The Region, and in words where it comes from.

        boto3 itself ignores AWS_REGION, which the other AWS SDKs and AWS Lambda use.
        """
        if self.region_name:
            return self.region_name, 'as asked for'
        with _usable_settings():
            return self._configured_region()

    def _configured_region(self) -> tuple[str, str]:
        for variable in ('AWS_REGION', 'AWS_DEFAULT_REGION'):
            if os.environ.get(variable):
                return os.environ[variable], f'from {variable}'
        configured = self._bare.get_config_variable('region')
        if configured:
            return configured, f'from the profile {self._bare.profile or "default"}'
        return FALLBACK_REGION, 'because no Region is configured'

    def client(self, service: str, region_name: str | None = None, **kwargs: Any) -> Any:
        """A new client. Sessions are not thread-safe: make clients in one thread, then share them."""
        with _usable_settings():
            return self._make_client(service, region_name, kwargs)

    def _make_client(self, service: str, region_name: str | None, kwargs: dict[str, Any]) -> Any:
        from botocore.config import Config

        settings: dict[str, Any] = {'region_name': region_name or self.region, **self._client_kwargs, **kwargs}
        config = Config(max_pool_connections=MAX_THREADS, connect_timeout=10, user_agent_extra='flowlogs_reader')
        if not self._user_set_retries:
            # One SlowDown of S3 makes the adaptive mode crawl for seconds: it suits quotas, not a busy moment.
            mode = 'standard' if service == 's3' else 'adaptive'
            config = config.merge(Config(retries={'mode': mode, 'total_max_attempts': ATTEMPTS}))
        if 'config' in settings:
            config = config.merge(settings['config'])
        settings['config'] = config
        if not settings.get('aws_access_key_id'):
            self._sign_in()
        client = self._session.create_client(service, **settings)
        if not self._user_set_retries:
            client.meta.events.register_first('needs-retry', _Unreachable())
        return client

    def _sign_in(self) -> None:
        """Assumes the role now, if there is one: a question for an MFA code is for the thread that Ctrl-C ends."""
        credentials = self._session.get_credentials()
        if credentials:
            try:
                texts = credentials.get_frozen_credentials()[:3]
            except EOFError:
                raise FlowLogsError(
                    'the role asks for an MFA code, and there is no terminal to type it on: run this in a terminal '
                    'once, and for an hour it will not be asked for'
                ) from None
            # urllib3 would show them in its complaint about the header that they make.
            if not all(text.isprintable() for text in texts if text):
                raise FlowLogsError('the AWS credentials hold a line end or another character that no key has')

    def check_profile(self) -> None:
        """Raises UsageError if there is no such profile. Reads the configuration files only."""
        from botocore.exceptions import BotoCoreError, ProfileNotFound

        try:
            self._bare.get_scoped_config()
        except ProfileNotFound as error:
            raise UsageError(f'{error}; aws configure list-profiles shows what there is') from None
        except BotoCoreError as error:
            raise UsageError(str(error)) from None

    def sign_in_for(self, error: BaseException) -> SignIn | None:
        """How to sign in again, if the error says that the sign-in has ended and the profile tells how it was done."""
        if cause_of(error) is not Cause.SIGNED_OUT:
            return None
        profiles = self._bare.full_config.get('profiles', {})
        name, passed = self._bare.profile or 'default', set[str]()
        # A role has its credentials from another profile: that is the one to sign in to.
        while name not in passed and (profile := profiles.get(name)):
            if not profile.keys().isdisjoint(('sso_session', 'sso_start_url')):
                return SignIn(name, sso=True)
            if 'login_session' in profile:
                return SignIn(name, sso=False)
            passed.add(name)
            name = profile.get('source_profile', '')
        return None

    def regions(self, service: str) -> list[str]:
        """The Regions of the partition that this session works in."""
        from botocore.exceptions import UnknownRegionError

        try:
            partition = self._base.get_partition_for_region(self.region)
        except UnknownRegionError:
            return [self.region]
        return list(self._base.get_available_regions(service, partition))

    @cached_property
    def _base(self) -> Session:
        """The session with the profile's own credentials."""
        return self._prepared(self._bare)

    @cached_property
    def _session(self) -> Session:
        """The session with the role's credentials, where there is one."""
        if not self._role_arn:
            return self._base
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.exceptions import NoCredentialsError

        source = self._base.get_credentials()
        if source is None:
            raise NoCredentialsError()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(self._base.create_client, region_name=self.region),
            source_credentials=source,
            role_arn=self._role_arn,
            extra_args={'ExternalId': self._external_id} if self._external_id else {},
        )
        session = self._prepared(self._new_session())
        # botocore offers no public way to give a session credentials that refresh themselves.
        session._credentials = DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method='assume-role'
        )
        return session

    def _prepared(self, session: Session) -> Session:
        from botocore.credentials import JSONFileCache

        # For the STS client that botocore makes by itself where a profile names a role.
        session.set_config_variable('region', self.region)
        # Logs and EC2 as far as this package uses them come before botocore's own models: those of EC2 take 30 MB and
        # 0.2 seconds, those of Logs a tenth of that.
        loader = session.get_component('data_loader')
        loader.search_paths.insert(0, MODELS)
        # To tell a wrong name from a right one, botocore looks into the folders of 400 services, three times.
        loader.list_available_services = lambda type_name: _names_in(loader.search_paths)
        # The cache of the AWS CLI, so that a role that asks for an MFA code does not ask again for an hour.
        providers = session.get_component('credential_provider')
        providers.get_provider('assume-role').cache = JSONFileCache(os.path.expanduser(CLI_CACHE))
        return session

    @cached_property
    def _bare(self) -> Session:
        return self._new_session()

    def _new_session(self) -> Session:
        from botocore.session import Session

        default = None if self._profile_name else _default_session()
        if default is None:
            return Session(profile=self._profile_name)
        # A session of our own, for what is changed in it, with what the user has set up for all of boto3.
        session = Session(profile=default.profile)
        session._credentials = default.get_credentials()
        session.set_config_variable('region', default.get_config_variable('region'))
        return session

    @property
    def _user_set_retries(self) -> bool:
        if os.environ.get('AWS_MAX_ATTEMPTS') or os.environ.get('AWS_RETRY_MODE'):
            return True
        scoped = self._base.get_scoped_config()
        return 'max_attempts' in scoped or 'retry_mode' in scoped


def _default_session() -> Any:
    """The botocore session below boto3.setup_default_session(), if that was called; boto3 is not imported for it."""
    boto3 = sys.modules.get('boto3')
    default = getattr(boto3, 'DEFAULT_SESSION', None)
    return getattr(default, '_session', None)


@contextmanager
def _usable_settings() -> Iterator[None]:
    """What the environment, the configuration files or a credential process say may be anything."""
    try:
        yield
    except (ValueError, OSError) as error:
        if is_aws_error(error):
            raise
        raise FlowLogsError(f'the AWS settings cannot be used: {error}') from error


def retry_without(members: Collection[str]) -> Callable[..., float | None]:
    """A handler of botocore's needs-retry event: has AWS asked again where its answer has none of these members.

    botocore takes a body that was cut off, or is none of AWS's, for an answer with nothing in it: the last page, so
    that a read would end early and say nothing.
    """

    def check(response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: Any) -> float | None:
        if response and response[0].status_code == 200 and response[1].keys().isdisjoint(members):
            return 0.1 * attempts if attempts < UNREADABLE_ATTEMPTS else None
        return None

    return check


def _names_in(folders: Iterable[str]) -> list[str]:
    return [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]


class _Unreachable:
    """Ends the retries early where AWS cannot be reached at all. A handler of botocore's needs-retry event."""

    def __init__(self) -> None:
        self._answered = False

    def __call__(self, response: object, attempts: int, caught_exception: Exception | None = None, **_: object) -> None:
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, SSLError

        self._answered = self._answered or response is not None
        hopeless = isinstance(caught_exception, (EndpointConnectionError, ConnectTimeoutError, SSLError))
        if caught_exception and hopeless and not self._answered and attempts >= FIRST_ATTEMPTS:
            raise caught_exception
