"""What can go wrong that is not a bug, and what to tell about it."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class FlowLogsError(Exception):
    """Something that a user or AWS caused. The text says what was tried, why it failed and what to do next."""


class IncompleteError(FlowLogsError):
    """The source ended early, and what came out is not everything."""


class OutputError(FlowLogsError):
    """What was read cannot be written."""


class DamagedError(FlowLogsError):
    """Compressed data is broken. What stood before the break has been handed on."""


class MissingExtraError(FlowLogsError):
    """A part of the package that is installed separately is needed."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs an extra: pip install "flowlogs_reader[{extra}]"')


_EXPIRED = 'the credentials have expired: sign in again (aws sso login, aws login) or renew the keys'
_REJECTED = 'AWS rejected the access key: check the profile, the keys and the clock of this machine'
_DENIED = 'not allowed: add this action to the policy of the identity (see Permissions in the README)'
_THROTTLED = 'AWS is throttling: lower --thread-count or raise AWS_MAX_ATTEMPTS'
_UNREACHABLE = 'AWS cannot be reached: check the Region, the network, AWS_ENDPOINT_URL and the proxy'
_SIGN_IN = 'the sign-in has ended: run aws sso login (or aws login), with --profile as here'

# Error codes of CloudWatch Logs, EC2, S3 and STS that mean the same, and what helps.
ADVICE_BY_CODE = {
    'AccessDeniedException': _DENIED,
    'AccessDenied': _DENIED,
    'UnauthorizedOperation': _DENIED,
    '403': _DENIED,
    'ExpiredTokenException': _EXPIRED,
    'ExpiredToken': _EXPIRED,
    'RequestExpired': _EXPIRED,
    'UnrecognizedClientException': _REJECTED,
    'InvalidSignatureException': _REJECTED,
    'InvalidClientTokenId': _REJECTED,
    'InvalidAccessKeyId': _REJECTED,
    'SignatureDoesNotMatch': _REJECTED,
    'AuthFailure': _REJECTED,
    'ThrottlingException': _THROTTLED,
    'RequestLimitExceeded': _THROTTLED,
    'SlowDown': _THROTTLED,
    'ResourceNotFoundException': 'the log group went away while it was being read',
    'NoSuchBucket': 'check the name of the bucket',
    'NoSuchKey': 'the object went away while it was being read',
    'InvalidObjectState': 'the object is archived: restore it first',
    'PermanentRedirect': 'the bucket is in another Region: add --region',
    'AuthorizationHeaderMalformed': 'the bucket is in another Region: add --region',
    'IllegalLocationConstraintException': 'the bucket is in another Region: add --region',
    'ServiceUnavailableException': 'AWS is not available: try again',
    'ServiceUnavailable': 'AWS is not available: try again',
}
# The same for errors that botocore raises itself, by the name of the class, so that botocore need not be imported.
ADVICE_BY_CLASS = {
    'NoCredentialsError': 'set AWS_PROFILE, give --profile, or run aws configure',
    'PartialCredentialsError': 'give both halves of the access key',
    'ProfileNotFound': 'check --profile and AWS_PROFILE; aws configure list-profiles shows what there is',
    'NoRegionError': 'give --region or set AWS_DEFAULT_REGION',
    'InvalidRegionError': 'check the spelling of the Region',
    'SSOTokenLoadError': _SIGN_IN,
    'UnauthorizedSSOTokenError': _SIGN_IN,
    'TokenRetrievalError': _SIGN_IN,
    'LoginRefreshRequired': _SIGN_IN,
    'EndpointConnectionError': _UNREACHABLE,
    'ConnectTimeoutError': _UNREACHABLE,
    'ReadTimeoutError': _UNREACHABLE,
    'ConnectionClosedError': _UNREACHABLE,
    'ProxyConnectionError': _UNREACHABLE,
    'SSLError': _UNREACHABLE,
    'HTTPClientError': _UNREACHABLE,
    'ResponseStreamingError': 'the connection broke: try again',
    'IncompleteReadError': 'the connection broke: try again',
}

# Classes of botocore's whose errors end by themselves: no connection, or an answer that broke off.
TRANSIENT_CLASSES = {'HTTPClientError', 'ConnectionError', 'IncompleteReadError', 'ResponseParserError'}


def is_aws_error(error: BaseException) -> bool:
    """Whether botocore raised it: its ClientError and BotoCoreError have no common base of their own."""
    return any(base.__module__.startswith('botocore.') for base in type(error).__mro__)


def is_denied(error: BaseException) -> bool:
    """Whether AWS refused it for want of a permission."""
    return ADVICE_BY_CODE.get(error_code(error)) == _DENIED


def member(answer: Mapping[str, Any], name: str) -> Any:
    """A member that AWS never leaves out. Raises IncompleteError where it is missing: something else answered."""
    if name not in answer:
        raise IncompleteError(f'the answer has no {name}: it is none of AWS; check AWS_ENDPOINT_URL and the proxy')
    return answer[name]


def error_code(error: BaseException) -> str:
    """The code in AWS's answer, or '' where there was none."""
    response = getattr(error, 'response', None)
    return str(response.get('Error', {}).get('Code', '')) if isinstance(response, dict) else ''


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later: throttling, trouble at AWS, a broken connection."""
    if isinstance(error, IncompleteError):
        return True
    if not is_aws_error(error):
        return False
    response = getattr(error, 'response', None)
    if isinstance(response, dict):
        status = response.get('ResponseMetadata', {}).get('HTTPStatusCode', 0)
        return status >= 500 or ADVICE_BY_CODE.get(error_code(error)) == _THROTTLED
    return not TRANSIENT_CLASSES.isdisjoint(base.__name__ for base in type(error).__mro__)


def explain(error: BaseException) -> str:
    """One line on what failed and what helps, for an error of botocore's or of the operating system."""
    code = error_code(error)
    said = re.sub(r'\s+', ' ', str(error)).strip() or type(error).__name__
    advice = ADVICE_BY_CODE.get(code)
    for base in type(error).__mro__:
        advice = advice or ADVICE_BY_CLASS.get(base.__name__)
    said = said.rstrip('.')
    return f'{said}: {advice}' if advice else said
