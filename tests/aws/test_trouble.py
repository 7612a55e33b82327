"""What botocore's exceptions mean: causes, codes, and which of them may pass."""

from __future__ import annotations

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from flowlogs_reader.aws.trouble import (
    CAUSE_BY_CLASS,
    CAUSE_BY_CODE,
    TRANSIENT_CLASSES,
    cause_of,
    error_code,
    is_aws_error,
    is_denied,
    is_transient,
    member,
    said,
)
from flowlogs_reader.errors import Cause, FlowLogsError, IncompleteError, UsageError
from tests.conftest import OLD_BOTOCORE


def client_error(code: str, status: int = 400) -> exceptions.ClientError:
    response = {'Error': {'Code': code, 'Message': 'Said so.'}, 'ResponseMetadata': {'HTTPStatusCode': status}}
    return exceptions.ClientError(response, 'FilterLogEvents')


def class_error(name: str) -> Exception:
    """An error of one of botocore's classes, whatever it takes to make one."""
    if not hasattr(exceptions, name) and name != 'ResponseParserError' and OLD_BOTOCORE:
        pytest.skip('this botocore does not have it yet')
    kind = ResponseParserError if name == 'ResponseParserError' else getattr(exceptions, name)
    made: Exception = kind.__new__(kind)
    return made


# -- codes, classes and causes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('code', CAUSE_BY_CODE)
def test_a_known_code_has_its_cause(code: str) -> None:
    error = client_error(code)
    assert (error_code(error), cause_of(error)) == (code, CAUSE_BY_CODE[code])
    assert is_denied(error) == (code in ('AccessDeniedException', 'AccessDenied', 'UnauthorizedOperation', '403'))


@pytest.mark.parametrize('name', CAUSE_BY_CLASS)
def test_every_class_with_a_cause_is_one_of_botocores(name: str) -> None:
    error = class_error(name)
    assert is_aws_error(error)
    assert cause_of(error) is CAUSE_BY_CLASS[name]
    assert error_code(error) == ''


def test_a_class_without_a_cause_has_that_of_its_base() -> None:
    error = type('NewProxyError', (exceptions.ProxyConnectionError,), {})(proxy_url='http://p', error='refused')
    assert cause_of(error) is Cause.UNREACHABLE


def test_what_is_not_known_has_no_cause() -> None:
    assert cause_of(client_error('Whatever')) is None
    assert cause_of(OSError()) is None
    assert not is_denied(client_error('Whatever'))


def test_an_error_that_is_not_from_aws() -> None:
    assert error_code(OSError()) == ''
    assert not is_aws_error(OSError())
    assert not is_transient(OSError())


@pytest.mark.parametrize('kind', [FlowLogsError, IncompleteError, UsageError])
def test_errors_of_the_package_say_their_cause_themselves(kind: type[FlowLogsError | UsageError]) -> None:
    assert cause_of(kind('x', Cause.OBJECT_GONE)) is Cause.OBJECT_GONE
    assert cause_of(kind('x')) is None
    assert not is_aws_error(kind('x'))


# -- what may pass -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('error', 'transient'),
    [
        (client_error('ThrottlingException'), True),
        (client_error('RequestLimitExceeded', 503), True),
        (client_error('SlowDown'), True),
        (client_error('InternalFailure', 500), True),
        (client_error('ServiceUnavailableException', 503), True),
        (client_error('AccessDeniedException'), False),
        (client_error('ExpiredTokenException'), False),
        (client_error('ResourceNotFoundException'), False),
        (client_error('Whatever', 499), False),
        (exceptions.EndpointConnectionError(endpoint_url='http://e'), True),
        (exceptions.ReadTimeoutError(endpoint_url='http://e'), True),
        (exceptions.ConnectionClosedError(endpoint_url='http://e'), True),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), True),
        (ResponseParserError('no XML'), True),
        (exceptions.NoCredentialsError(), False),
        (exceptions.ProfileNotFound(profile='p'), False),
        (IncompleteError('the same page token twice'), True),
        (FlowLogsError('damaged'), False),
        (UsageError('wrong'), False),
        (ConnectionError('reset'), False),
    ],
    ids=repr,
)
def test_what_may_pass(error: Exception, transient: bool) -> None:
    assert is_transient(error) == transient


def test_the_classes_that_may_pass_are_botocores() -> None:
    assert {name for name in TRANSIENT_CLASSES if hasattr(exceptions, name)} == TRANSIENT_CLASSES - {
        ResponseParserError.__name__
    }


# -- words -------------------------------------------------------------------------------------------------------------


def test_what_an_error_says_is_one_line_without_a_full_stop() -> None:
    assert said(ValueError(' Said\n  so.\t')) == 'Said so'
    assert said(OSError()) == 'OSError'


def test_an_answer_without_a_member_is_not_from_aws() -> None:
    assert member({'FlowLogs': []}, 'FlowLogs') == []
    with pytest.raises(IncompleteError, match='^the answer has no FlowLogs$') as raised:
        member({'Regions': []}, 'FlowLogs')
    assert raised.value.cause is Cause.ANSWER_UNREADABLE
