"""Classification of botocore's exceptions: their cause, their text, and whether a retry may help.

This module does not import botocore: it recognises the classes by their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import Cause, FlowLogsError, IncompleteError, UsageError

# Causes by the error codes of CloudWatch Logs, EC2, S3 and STS.
CAUSE_BY_CODE = {
    'AccessDeniedException': Cause.DENIED,
    'AccessDenied': Cause.DENIED,
    'UnauthorizedOperation': Cause.DENIED,
    '403': Cause.DENIED,
    'ExpiredTokenException': Cause.CREDENTIALS_EXPIRED,
    'ExpiredToken': Cause.CREDENTIALS_EXPIRED,
    'RequestExpired': Cause.CREDENTIALS_EXPIRED,
    'UnrecognizedClientException': Cause.CREDENTIALS_REJECTED,
    'InvalidSignatureException': Cause.CREDENTIALS_REJECTED,
    'InvalidClientTokenId': Cause.CREDENTIALS_REJECTED,
    'InvalidAccessKeyId': Cause.CREDENTIALS_REJECTED,
    'SignatureDoesNotMatch': Cause.CREDENTIALS_REJECTED,
    'AuthFailure': Cause.CREDENTIALS_REJECTED,
    'InvalidToken': Cause.CREDENTIALS_REJECTED,
    'RequestTimeTooSkewed': Cause.CREDENTIALS_REJECTED,
    'ThrottlingException': Cause.THROTTLED,
    'Throttling': Cause.THROTTLED,
    'RequestLimitExceeded': Cause.THROTTLED,
    'SlowDown': Cause.THROTTLED,
    'ResourceNotFoundException': Cause.GROUP_UNKNOWN,
    'NoSuchBucket': Cause.BUCKET_UNKNOWN,
    'NoSuchKey': Cause.OBJECT_GONE,
    'InvalidObjectState': Cause.OBJECT_ARCHIVED,
    'PermanentRedirect': Cause.REGION_OTHER,
    'AuthorizationHeaderMalformed': Cause.REGION_OTHER,
    'IllegalLocationConstraintException': Cause.REGION_OTHER,
    'ServiceUnavailableException': Cause.UNAVAILABLE,
    'ServiceUnavailable': Cause.UNAVAILABLE,
    'Unavailable': Cause.UNAVAILABLE,
    'InternalError': Cause.UNAVAILABLE,
    'InternalFailure': Cause.UNAVAILABLE,
    # If an answer has no code, botocore takes its HTTP status.
    **dict.fromkeys(('500', '502', '503', '504'), Cause.UNAVAILABLE),
}
# Causes by the names of the classes of errors that botocore raises itself.
CAUSE_BY_CLASS = {
    'NoCredentialsError': Cause.CREDENTIALS_MISSING,
    'PartialCredentialsError': Cause.CREDENTIALS_PARTIAL,
    'ProfileNotFound': Cause.PROFILE_UNKNOWN,
    'NoRegionError': Cause.REGION_MISSING,
    'InvalidRegionError': Cause.REGION_INVALID,
    'SSOTokenLoadError': Cause.SIGNED_OUT,
    'UnauthorizedSSOTokenError': Cause.SIGNED_OUT,
    'TokenRetrievalError': Cause.SIGNED_OUT,
    'LoginRefreshRequired': Cause.SIGNED_OUT,
    'LoginTokenLoadError': Cause.SIGNED_OUT,
    'EndpointConnectionError': Cause.UNREACHABLE,
    'ConnectTimeoutError': Cause.UNREACHABLE,
    'ReadTimeoutError': Cause.UNREACHABLE,
    'ConnectionClosedError': Cause.UNREACHABLE,
    'ProxyConnectionError': Cause.UNREACHABLE,
    'SSLError': Cause.UNREACHABLE,
    'HTTPClientError': Cause.UNREACHABLE,
    'ResponseStreamingError': Cause.CONNECTION_BROKEN,
    'IncompleteReadError': Cause.CONNECTION_BROKEN,
    'ResponseParserError': Cause.ANSWER_UNREADABLE,
}
# Classes of botocore whose errors may be temporary: no connection, or an answer that broke off.
TRANSIENT_CLASSES = {'HTTPClientError', 'ConnectionError', 'IncompleteReadError', 'ResponseParserError'}


class SignIn(NamedTuple):
    """The profile that a user signs in to, through IAM Identity Center (`sso`) or with ``aws login``."""

    profile: str
    sso: bool


def is_aws_error(error: BaseException) -> bool:
    """Whether botocore raised it. Its ClientError and BotoCoreError have no common base class."""
    return any(base.__module__.startswith('botocore.') for base in type(error).__mro__)


def error_code(error: BaseException) -> str:
    """Return the error code in AWS's answer, or '' if there was no answer."""
    response = getattr(error, 'response', None)
    return str(response.get('Error', {}).get('Code', '')) if isinstance(response, dict) else ''


def cause_of(error: BaseException) -> Cause | None:
    """Return the cause of an error of botocore or of this package, or None if it is not known."""
    if isinstance(error, (FlowLogsError, UsageError)):
        return error.cause
    cause = Cause.LOG_CLASS if is_log_class(error) else CAUSE_BY_CODE.get(error_code(error))
    for base in type(error).__mro__:
        cause = cause or CAUSE_BY_CLASS.get(base.__name__)
    # AWS gives its errors names: another status than those above comes from a proxy.
    return cause or (Cause.ANSWER_UNREADABLE if error_code(error).isdigit() else None)


def is_log_class(error: BaseException) -> bool:
    """Whether CloudWatch Logs refused it because of the class of the log group, such as Infrequent Access."""
    refused = error_code(error) in ('InvalidOperationException', 'InvalidParameterException')
    return refused and re.search('class|infrequent', str(error), re.IGNORECASE) is not None


def is_denied(error: BaseException) -> bool:
    """Whether AWS refused it because a permission is missing."""
    return cause_of(error) is Cause.DENIED


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later: throttling, a server error, a broken connection."""
    if isinstance(error, IncompleteError):
        return True
    if not is_aws_error(error):
        return False
    response = getattr(error, 'response', None)
    if isinstance(response, dict):
        status = response.get('ResponseMetadata', {}).get('HTTPStatusCode', 0)
        return status >= 500 or cause_of(error) is Cause.THROTTLED
    return not TRANSIENT_CLASSES.isdisjoint(base.__name__ for base in type(error).__mro__)


def said(error: BaseException) -> str:
    """Return the text of an error on one line, without a full stop at its end."""
    if isinstance(error, (FlowLogsError, UsageError)):
        return str(error).rstrip('.')
    # If botocore cannot parse an answer, its error ends with the whole answer: a page of a proxy, for example.
    text = str(error).partition(' Further retries may succeed:')[0]
    return (re.sub(r'\s+', ' ', text).strip() or type(error).__name__).rstrip('.: ')


def member(answer: Mapping[str, Any], name: str) -> Any:
    """Return a member that AWS always sends. Raises IncompleteError if it is missing: the answer is not from AWS."""
    if name not in answer:
        raise IncompleteError(f'the answer has no {name}', Cause.ANSWER_UNREADABLE)
    return answer[name]
