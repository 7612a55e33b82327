"""The bytes of S3 objects (GetObject). A read that breaks off goes on where it stopped."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from ...aws.trouble import cause_of, error_code, said
from ...errors import Cause, DamagedError
from ..gunzip import CHUNK
from ..keys import Key, period_of
from ..objects import Contents, Piece

# Errors of one object: others may be readable. InvalidRequest: the object is encrypted with a key of its owner (SSE-C).
OBJECT_ERRORS = frozenset({
    'AccessDenied', '403', 'NoSuchKey', '404', 'InvalidObjectState', 'PreconditionFailed', '412', 'InvalidRange', '416',
    'InvalidRequest',
})  # fmt: skip
# Broken connections in a row without a new byte, after which an object is given up.
MAX_BREAKS = 3


class Objects(NamedTuple):
    """The objects of a bucket; `contents` says how to read them. Threads use this, and not the reader (base.py).

    With `strict`, an answer that S3 never gives raises DamagedError. For a client of the caller it is false: stubs in
    tests give such answers.
    """

    client: Any
    bucket: str
    contents: Contents
    strict: bool = True

    def origin(self, key: Key) -> str:
        return f's3://{self.bucket}/{key.name}'

    def pieces(self, key: Key) -> Iterator[Piece]:
        """Yield the contents of an object."""
        contents = self.contents._replace(origin=self.origin(key), ended=period_of(key.time))
        return contents.pieces(self.body(key.name, key.size))

    def body(self, key: str, size: int | None = None) -> Generator[bytes, None, None]:
        """Yield the bytes of an object. Raises DamagedError for an error of this object only, else botocore's errors.

        `size` is what a listing says: an answer with fewer bytes is one that broke off.
        """
        from botocore.exceptions import FlexibleChecksumError, HTTPClientError, IncompleteReadError, ReadTimeoutError
        from urllib3.exceptions import HTTPError

        at = breaks = 0
        asked = {'Bucket': self.bucket, 'Key': key}
        while True:
            response = self._answer(asked, at)
            try:
                # Not `with response['Body']`: that gives the raw stream, which treats a broken connection as the end.
                with closing(response['Body']) as body:
                    while chunk := body.read(CHUNK):
                        at, breaks = at + len(chunk), 0
                        yield chunk
                if not self.strict or size is None or at >= size:
                    return
                raise IncompleteReadError(actual_bytes=at, expected_bytes=size)
            except FlexibleChecksumError as error:
                raise DamagedError(said(error), cause_of(error)) from error
            except (HTTPClientError, HTTPError, IncompleteReadError) as error:
                # botocore does not convert all errors of urllib3: that of damaged TLS data is not converted.
                breaks += 1
                if breaks == MAX_BREAKS and isinstance(error, ReadTimeoutError):
                    # S3 is silent: the next object would take as long. botocore's own error has no address.
                    raise ReadTimeoutError(endpoint_url=f's3://{self.bucket}/{key}', error=error) from error
                if breaks == MAX_BREAKS:
                    raise DamagedError(f'after {at} bytes: {said(error)}', cause_of(error)) from error
            if at:
                etag = response.get('ETag')
                asked.update({'Range': f'bytes={at}-', **({'IfMatch': etag} if etag else {})})

    def _answer(self, asked: dict[str, str], at: int) -> dict[str, Any]:
        """Return the answer to a request for an object, or for the rest of it after `at` bytes."""
        from botocore.exceptions import ClientError

        try:
            response: dict[str, Any] = self.client.get_object(**asked)
        except ClientError as error:
            if error_code(error) in OBJECT_ERRORS or error_code(error).startswith('KMS'):
                raise DamagedError(said(error), cause_of(error)) from error
            raise
        if self.strict and 'ETag' not in response:
            raise DamagedError('the answer has no ETag', Cause.ANSWER_UNREADABLE)
        if at and not response.get('ContentRange', '').startswith(f'bytes {at}-'):
            raise DamagedError(f'after {at} bytes: the answer is not the requested rest of the object')
        return response
