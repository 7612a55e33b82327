"""What the fake AWS services share: calls, replies, errors, tokens, XML and scripted faults."""

import base64
import itertools
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape
from zlib import crc32

ACCOUNT = '123456789010'
REGION = 'us-east-1'

Params = dict[str, Any]
Selector = int | Collection[int] | Callable[[Params], bool] | None

KINDS = frozenset({
    'throttle', '500', '503', 'cut', 'drop', 'half_json', 'stall', 'repeat_token', 'loop_tokens', 'expire_token',
    'expire_credentials', 'empty_pages', 'duplicate', 'deny', 'change_object', 'vanish', 'nothing',
})  # fmt: skip

# kind -> service -> (code, HTTP status, message). Each service has its own words for the same trouble.
TROUBLES: dict[str, dict[str, tuple[str, int, str]]] = {
    'throttle': {
        'logs': ('ThrottlingException', 400, 'Rate exceeded'),
        'athena': ('TooManyRequestsException', 400, 'You have exceeded the limit for the number of queries'),
        'ec2': ('RequestLimitExceeded', 503, 'Request limit exceeded.'),
        's3': ('SlowDown', 503, 'Please reduce your request rate.'),
        'sts': ('Throttling', 400, 'Rate exceeded'),
    },
    '500': {
        'logs': ('InternalFailure', 500, 'The request processing has failed because of an unknown error.'),
        'ec2': ('InternalError', 500, 'An internal error has occurred'),
        's3': ('InternalError', 500, 'We encountered an internal error. Please try again.'),
        'sts': ('InternalFailure', 500, 'The request processing has failed because of an unknown error.'),
    },
    '503': {
        'logs': ('ServiceUnavailableException', 503, 'The service cannot complete the request.'),
        'ec2': ('Unavailable', 503, 'The service is unavailable. Please try again shortly.'),
        's3': ('ServiceUnavailable', 503, 'Please reduce your request rate.'),
        'sts': ('ServiceUnavailable', 503, 'The service is unavailable.'),
    },
    'deny': {
        'logs': ('AccessDeniedException', 400, 'User: {arn} is not authorized to perform: {action}'),
        'ec2': ('UnauthorizedOperation', 403, 'You are not authorized to perform this operation. User: {arn}'),
        's3': ('AccessDenied', 403, 'User: {arn} is not authorized to perform: {action}'),
        'sts': ('AccessDenied', 403, 'User: {arn} is not authorized to perform: {action}'),
    },
    'expired': {
        'logs': ('ExpiredTokenException', 400, 'The security token included in the request is expired'),
        'ec2': ('RequestExpired', 400, 'Request has expired.'),
        's3': ('ExpiredToken', 400, 'The provided token has expired.'),
        'sts': ('ExpiredToken', 403, 'The security token included in the request is expired'),
    },
    'unknown_key': {
        'logs': ('UnrecognizedClientException', 400, 'The security token included in the request is invalid.'),
        'ec2': ('AuthFailure', 401, 'AWS was not able to validate the provided access credentials'),
        's3': ('InvalidAccessKeyId', 403, 'The AWS Access Key Id you provided does not exist in our records.'),
        'sts': ('InvalidClientTokenId', 403, 'The security token included in the request is invalid.'),
    },
    'expire_token': {
        'logs': ('InvalidParameterException', 400, 'The specified nextToken is invalid/expired'),
        'ec2': ('InvalidNextToken', 400, 'The token is not valid.'),
        's3': ('InvalidArgument', 400, 'The continuation token provided is incorrect'),
        'sts': ('ValidationError', 400, 'The token is not valid.'),
    },
    'vanish': {
        'logs': ('ResourceNotFoundException', 400, 'The specified log group does not exist.'),
        'ec2': ('InvalidFlowLogId.NotFound', 400, 'The flow log does not exist'),
        's3': ('NoSuchKey', 404, 'The specified key does not exist.'),
        'sts': ('NoSuchEntity', 404, 'The entity does not exist'),
    },
}


class AwsError(Exception):
    """An answer other than success, before it is put into the words of a protocol."""

    def __init__(
        self, code: str, message: str, status: int = 400, *, headers: dict[str, str] | None = None, **more: str
    ):
        super().__init__(f'{code}: {message}')
        self.code, self.message, self.status = code, message, status
        self.headers = headers or {}
        self.more = more

    @classmethod
    def trouble(cls, kind: str, service: str, **words: str) -> 'AwsError':
        words_of = TROUBLES[kind]
        code, status, message = words_of.get(service) or words_of['logs']
        return cls(code, message.format(**words) if words else message, status)


@dataclass
class Call:
    """One request, decoded. `params` has the names that boto3 uses; `number` counts its operation from 1."""

    service: str
    operation: str
    region: str
    params: Params
    access_key: str
    account: str = ACCOUNT
    number: int = 0
    fault: str | None = None
    earlier_token: str | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def token(self) -> str | None:
        """The page token that the request carries."""
        return next((self.params[name] for name in TOKEN_NAMES if self.params.get(name)), None)

    def next_token(self, natural: str | None) -> str | None:
        """The token to answer with, given the one that a sound service would answer with."""
        if self.fault == 'repeat_token' and self.token:
            return self.token
        if self.fault == 'loop_tokens' and self.earlier_token:
            return self.earlier_token
        return natural


TOKEN_NAMES = ('nextToken', 'NextToken', 'ContinuationToken')


@dataclass
class Reply:
    """What goes back: the body in parts, so that a large page is sent without being copied."""

    parts: list[bytes]
    status: int = 200
    content_type: str = 'application/x-amz-json-1.1'
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # when given, the Content-Length to announce whatever the parts hold

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    def halved(self) -> bytes:
        body = b''.join(self.parts)
        return body[: len(body) // 2]


def xml_reply(tag: str, value: Any, *, namespace: str = '', status: int = 200, **headers: str) -> Reply:
    opening = f'{tag} xmlns="{namespace}"' if namespace else tag
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{opening}>{xml(value)}</{tag}>'
    return Reply([body.encode()], status, 'text/xml;charset=UTF-8', headers)


def xml(value: Any) -> str:
    """Nested dicts and lists as XML: dict keys are tags; a list repeats `item`, or its key when that ends with '*'."""
    if isinstance(value, dict):
        return ''.join(_element(tag, child) for tag, child in value.items() if child is not None)
    if isinstance(value, list):
        return ''.join(f'<item>{xml(child)}</item>' for child in value)
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return escape(str(value), {'\r': '&#13;'})


def _element(tag: str, value: Any) -> str:
    if tag.endswith('*'):
        return ''.join(f'<{tag[:-1]}>{xml(child)}</{tag[:-1]}>' for child in value)
    return f'<{tag}>{xml(value)}</{tag}>'


def error_reply(service: str, error: AwsError) -> Reply:
    """The error as the protocol of the service writes it."""
    request_id = {'RequestId': '00000000-0000-4000-8000-000000000000'}
    shown = {'Code': error.code, 'Message': error.message, **error.more}
    if service in ('logs', 'sso', 'sso-oidc', 'athena', 'glue'):
        body = json.dumps({'__type': error.code, 'message': error.message}, separators=(',', ':')).encode()
        reply = Reply([body], error.status, headers={'x-amzn-ErrorType': error.code})
    elif service == 'ec2':
        reply = xml_reply('Response', {'Errors': {'Error': shown}, 'RequestID': request_id['RequestId']})
    elif service == 's3':
        reply = xml_reply('Error', shown | request_id)
    else:
        reply = xml_reply('ErrorResponse', {'Error': {'Type': 'Sender', **shown}, **request_id})
    reply.status = error.status
    reply.headers |= error.headers
    return reply


class Tokens:
    """Opaque page tokens: no two are alike, and a token is good only for the scan that it was made for."""

    def __init__(self) -> None:
        self._serial = itertools.count(1)

    def make(self, scan: Any, position: Any) -> str:
        text = json.dumps([next(self._serial), hash_of(scan), position], separators=(',', ':'))
        return base64.urlsafe_b64encode(text.encode()).decode()

    def read(self, token: str, scan: Any, error: AwsError) -> Any:
        try:
            _, made_for, position = json.loads(base64.urlsafe_b64decode(token.encode()))
        except ValueError:
            raise error from None
        if made_for != hash_of(scan):
            raise error
        return position


def hash_of(value: Any) -> int:
    return crc32(json.dumps(value, sort_keys=True).encode())


@dataclass
class Fault:
    """One line of the fault script: which calls of an operation go wrong, and how."""

    operation: str
    kind: str
    at: Selector = None
    times: int | None = None
    seconds: float = 0.0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'unknown fault {self.kind!r}: one of {", ".join(sorted(KINDS))}')
        if self.times is None and isinstance(self.at, int):
            self.times = 1

    def strikes(self, params: Params) -> bool:
        """Count one call of the operation and say whether the fault strikes it."""
        self.seen += 1
        if self.times is not None and self.hits >= self.times:
            return False
        struck = self._selects(params)
        self.hits += struck
        return struck

    def _selects(self, params: Params) -> bool:
        if self.at is None:
            return True
        if callable(self.at):
            return bool(self.at(params))
        if isinstance(self.at, int):
            return self.seen >= self.at
        return self.seen in self.at


class Script:
    """The faults of one fake, asked once for each call."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, call: Call) -> Fault | None:
        """The first fault that strikes this call; every fault of the operation counts it."""
        with self._lock:
            struck = [
                fault for fault in self._faults if fault.operation == call.operation and fault.strikes(call.params)
            ]
        return struck[0] if struck else None


_CREDENTIAL = re.compile(r'Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request')


def credential_scope(authorization: str) -> tuple[str, str, str] | None:
    """(access key id, Region, service) of a Signature Version 4 header, or None for an unsigned request."""
    found = _CREDENTIAL.search(authorization)
    return (found[1], found[2], found[3]) if found else None


def numbered(values: dict[str, str], prefix: str) -> Iterator[str]:
    """The values of `prefix.1`, `prefix.2`, ... in a query request."""
    for number in itertools.count(1):
        if (value := values.get(f'{prefix}.{number}')) is None:
            return
        yield value
