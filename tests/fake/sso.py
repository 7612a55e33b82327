"""IAM Identity Center: CreateToken of SSO-OIDC and GetRoleCredentials of the SSO portal, which nobody signs."""

import itertools
import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fake.query import Role, Session, StsService
from tests.fake.wire import AwsError, Call, Params, Reply

# (method, path) -> service, operation
_PATHS = {
    ('POST', '/token'): ('sso-oidc', 'CreateToken'),
    ('GET', '/federation/credentials'): ('sso', 'GetRoleCredentials'),
}


class SsoService:
    """Knows which sign-ins are good: access tokens for the portal, refresh tokens for another access token.

    Keys for a role live `lifetime` seconds: botocore renews those of less than 600 at each call.
    """

    def __init__(self, sts: StsService):
        self.access_tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.lifetime = 3600.0
        self._sts = sts
        self._serial = itertools.count(1)

    def parse(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Call | None:
        """The call, or None if it is none of these."""
        parts = urlsplit(target)
        if (method, parts.path) not in _PATHS:
            return None
        service, operation = _PATHS[method, parts.path]
        params: Params = dict(parse_qsl(parts.query)) if method == 'GET' else json.loads(body)
        return Call(service, operation, '', params, '', headers=headers)

    def handle(self, call: Call) -> Reply:
        return self._create_token(call) if call.operation == 'CreateToken' else self._role_credentials(call)

    def _create_token(self, call: Call) -> Reply:
        refresh = call.params.get('refreshToken')
        if call.params['grantType'] != 'refresh_token' or refresh not in self.refresh_tokens:
            raise AwsError('InvalidGrantException', 'Invalid grant provided', 400)
        token = f'access-{next(self._serial)}'
        self.access_tokens.add(token)
        return _json({'accessToken': token, 'expiresIn': 3600, 'refreshToken': refresh, 'tokenType': 'Bearer'})

    def _role_credentials(self, call: Call) -> Reply:
        if call.headers.get('x-amz-sso_bearer_token') not in self.access_tokens:
            raise AwsError('UnauthorizedException', 'Session token not found or invalid', 401)
        account, name = call.params['account_id'], call.params['role_name']
        key = f'ASIASSO{next(self._serial):013d}'
        expires = time.time() + self.lifetime
        role = Role(f'arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_{name}')
        self._sts.sessions[key] = Session(role, 'me', f'token-of-{key}', expires)
        credentials = {
            'accessKeyId': key, 'secretAccessKey': 'secret', 'sessionToken': f'token-of-{key}',
            'expiration': int(expires * 1000),
        }  # fmt: skip
        return _json({'roleCredentials': credentials})


def _json(answer: dict[str, Any]) -> Reply:
    return Reply([json.dumps(answer).encode()], content_type='application/json')
