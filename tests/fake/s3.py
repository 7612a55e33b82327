"""S3: buckets in memory with what a reader needs of the API, and flow log lines laid out as AWS delivers them."""

import gzip
import hashlib
import io
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from tests.fake.wire import ACCOUNT, REGION, AwsError, Call, Params, Reply, Tokens, xml_reply
from tests.traffic import FIELDS

_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
_UPLOADED = datetime(2016, 2, 1, 12, tzinfo=timezone.utc)
_MAX_KEYS = 1_000
_LIST_PARAMS = {
    'prefix': 'Prefix', 'delimiter': 'Delimiter', 'start-after': 'StartAfter', 'max-keys': 'MaxKeys',
    'continuation-token': 'ContinuationToken', 'encoding-type': 'EncodingType',
}  # fmt: skip


@dataclass
class StoredObject:
    """One object; `denied` refuses it, a storage class of the Glacier family needs a restore first, `sse_c` a key."""

    body: bytes
    storage_class: str = 'STANDARD'
    denied: bool = False
    modified: datetime = _UPLOADED
    sse_c: bool = False
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        self.etag = f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class Bucket:
    """Objects by key, with the keys in order."""

    def __init__(self, name: str, region: str):
        self.name, self.region = name, region
        self.objects: dict[str, StoredObject] = {}
        self.keys: list[str] = []

    def put(self, key: str, stored: StoredObject) -> None:
        if key not in self.objects:
            insort(self.keys, key, key=str.encode)
        self.objects[key] = stored

    def delete(self, key: str) -> None:
        del self.objects[key]
        self.keys.remove(key)


class S3Service:
    """ListObjectsV2, Get-, Head-, Put- and DeleteObject, HeadBucket and GetBucketLocation, path style."""

    def __init__(self, tokens: Tokens):
        self.buckets: dict[str, Bucket] = {}
        self.page_keys = _MAX_KEYS
        self._tokens = tokens

    def parse(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes = b''
    ) -> tuple[str, Params]:
        name, _, key = unquote(path.lstrip('/')).partition('/')
        asked = dict(parse_qsl(query, keep_blank_values=True))
        params: Params = {'Bucket': name}
        if key:
            names = {'if-match': 'IfMatch', 'range': 'Range'}
            params |= {'Key': key} | {names[header]: headers[header] for header in names if header in headers}
            params |= {'Body': body} if method == 'PUT' else {}
            return f'{method.title()}Object', params
        if method == 'HEAD':
            return 'HeadBucket', params
        if 'location' in asked:
            return 'GetBucketLocation', params
        if asked.get('list-type') == '2':
            return 'ListObjectsV2', params | {_LIST_PARAMS[k]: v for k, v in asked.items() if k in _LIST_PARAMS}
        return f'{method}Bucket', params

    def handle(self, call: Call) -> Reply:
        if call.operation not in _OPERATIONS:
            raise AwsError('NotImplemented', f'{call.operation} is not faked', 501)
        bucket = self.buckets.get(call.params['Bucket'])
        if bucket is None:
            raise AwsError('NoSuchBucket', 'The specified bucket does not exist', 404, BucketName=call.params['Bucket'])
        if call.region != bucket.region and call.operation != 'GetBucketLocation':
            raise _elsewhere(bucket)
        reply: Reply = getattr(self, _OPERATIONS[call.operation])(call, bucket)
        reply.headers['x-amz-bucket-region'] = bucket.region
        return reply

    def change(self, call: Call) -> None:
        """Put another body in the place of the object that the call asks for."""
        bucket = self.buckets[call.params['Bucket']]
        old = bucket.objects[call.params['Key']]
        more = gzip.compress(b'') if call.params['Key'].endswith('.gz') else b' '
        bucket.put(call.params['Key'], StoredObject(old.body + more, old.storage_class, old.denied, old.modified))

    def _location(self, call: Call, bucket: Bucket) -> Reply:
        return xml_reply('LocationConstraint', '' if bucket.region == REGION else bucket.region, namespace=_NAMESPACE)

    def _head_bucket(self, call: Call, bucket: Bucket) -> Reply:
        return Reply([], content_type='application/xml')

    def _list(self, call: Call, bucket: Bucket) -> Reply:
        params = call.params
        prefix, delimiter = params.get('Prefix', ''), params.get('Delimiter', '')
        asked = _max_keys(params.get('MaxKeys', str(_MAX_KEYS)))
        scope = ['ListObjectsV2', bucket.name, prefix, delimiter]
        after = params.get('StartAfter', '')
        if call.token:
            after = self._tokens.read(call.token, scope, AwsError.trouble('expire_token', 's3'))
        rows, last, more = _page(bucket.keys, prefix, delimiter, after, min(asked, self.page_keys))
        if call.fault == 'empty_pages':
            rows, last, more = [], after, True
        token = call.next_token(self._tokens.make(scope, last) if more else None)
        encode = quote if params.get('EncodingType') == 'url' else str
        answer = {
            'Name': bucket.name, 'Prefix': encode(prefix), 'Delimiter': encode(delimiter) or None, 'MaxKeys': asked,
            'KeyCount': len(rows), 'IsTruncated': token is not None, 'EncodingType': params.get('EncodingType'),
            'StartAfter': encode(params['StartAfter']) if 'StartAfter' in params else None,
            'ContinuationToken': call.token, 'NextContinuationToken': token,
            'Contents*': [_listed(encode(key), bucket.objects[key]) for key, folder in rows if not folder],
            'CommonPrefixes*': [{'Prefix': encode(key)} for key, folder in rows if folder],
        }  # fmt: skip
        return xml_reply('ListBucketResult', answer, namespace=_NAMESPACE)

    def _get(self, call: Call, bucket: Bucket) -> Reply:
        stored = self._object(call, bucket)
        if stored.storage_class in ('GLACIER', 'DEEP_ARCHIVE'):
            message = "The operation is not valid for the object's storage class"
            raise AwsError('InvalidObjectState', message, 403, StorageClass=stored.storage_class)
        headers = _object_headers(stored)
        wanted = re.fullmatch(r'bytes=(\d+)-(\d*)', call.params.get('Range', ''))
        if not wanted:
            return Reply([stored.body], 200, 'application/octet-stream', headers)
        first, last = int(wanted[1]), min(int(wanted[2] or len(stored.body)), len(stored.body) - 1)
        if first >= len(stored.body):
            raise AwsError('InvalidRange', 'The requested range is not satisfiable', 416)
        headers['Content-Range'] = f'bytes {first}-{last}/{len(stored.body)}'
        return Reply([stored.body[first : last + 1]], 206, 'application/octet-stream', headers)

    def _head(self, call: Call, bucket: Bucket) -> Reply:
        stored = self._object(call, bucket)
        return Reply([stored.body], 200, 'application/octet-stream', _object_headers(stored))

    def _put(self, call: Call, bucket: Bucket) -> Reply:
        stored = StoredObject(call.params['Body'])
        bucket.put(call.params['Key'], stored)
        return Reply([], 200, 'application/xml', {'ETag': stored.etag})

    def _delete(self, call: Call, bucket: Bucket) -> Reply:
        if call.params['Key'] in bucket.objects:
            bucket.delete(call.params['Key'])
        return Reply([], 204, 'application/xml')

    def _object(self, call: Call, bucket: Bucket) -> StoredObject:
        key = call.params['Key']
        stored = bucket.objects.get(key)
        if stored is None:
            raise AwsError('NoSuchKey', 'The specified key does not exist.', 404, Key=key)
        if stored.denied:
            raise AwsError('AccessDenied', 'Access Denied', 403)
        if stored.sse_c:
            message = 'The object was stored using a form of Server Side Encryption'
            raise AwsError('InvalidRequest', message, 400)
        if call.params.get('IfMatch', stored.etag).strip('"') != stored.etag.strip('"'):
            message = 'At least one of the pre-conditions you specified did not hold'
            raise AwsError('PreconditionFailed', message, 412, Condition='If-Match')
        return stored


_OPERATIONS = {
    'ListObjectsV2': '_list', 'GetObject': '_get', 'HeadObject': '_head', 'PutObject': '_put',
    'DeleteObject': '_delete', 'HeadBucket': '_head_bucket', 'GetBucketLocation': '_location',
}  # fmt: skip


def _elsewhere(bucket: Bucket) -> AwsError:
    message = 'The bucket you are attempting to access must be addressed using the specified endpoint.'
    endpoint = f'{bucket.name}.s3.{bucket.region}.amazonaws.com'
    headers = {'x-amz-bucket-region': bucket.region}
    return AwsError('PermanentRedirect', message, 301, headers=headers, Endpoint=endpoint, Bucket=bucket.name)


def _max_keys(text: str) -> int:
    if not text.isdigit():
        raise AwsError('InvalidArgument', 'Provided max-keys not an integer or within integer range', 400)
    return min(int(text), _MAX_KEYS)


def _page(
    keys: list[str], prefix: str, delimiter: str, after: str, limit: int
) -> tuple[list[tuple[str, bool]], str, bool]:
    """(key or common prefix, is it a common prefix) after `after`; the last of them; are there more."""
    rows: list[tuple[str, bool]] = []
    at = max(_place(keys, prefix), bisect_right(keys, after.encode(), key=str.encode))
    if delimiter and after.endswith(delimiter) and after.startswith(prefix) and len(after) > len(prefix):
        at = max(at, _place(keys, _beyond(after)))
    while at < len(keys) and keys[at].startswith(prefix):
        if len(rows) >= limit:
            return rows, rows[-1][0] if rows else after, limit > 0
        cut = keys[at].find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            rows.append((keys[at], False))
            at += 1
        else:
            folder = keys[at][: cut + len(delimiter)]
            rows.append((folder, True))
            at = _place(keys, _beyond(folder))
    return rows, '', False


def _place(keys: list[str], key: str) -> int:
    return bisect_left(keys, key.encode(), key=str.encode)


def _beyond(prefix: str) -> str:
    """The first text after all texts that start with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _listed(key: str, stored: StoredObject) -> dict[str, Any]:
    modified = stored.modified.strftime('%Y-%m-%dT%H:%M:%S.000Z')
    size = len(stored.body)
    return {
        'Key': key,
        'LastModified': modified,
        'ETag': stored.etag,
        'Size': size,
        'StorageClass': stored.storage_class,
    }


def _object_headers(stored: StoredObject) -> dict[str, str]:
    headers = {
        'ETag': stored.etag,
        'Last-Modified': format_datetime(stored.modified, usegmt=True),
        'Accept-Ranges': 'bytes',
    }
    return headers if stored.storage_class == 'STANDARD' else headers | {'x-amz-storage-class': stored.storage_class}


def s3_objects(
    lines: Iterable[bytes],
    layout: str = 'default',
    *,
    account: str = ACCOUNT,
    region: str = REGION,
    prefix: str = '',
    format: str = 'text',
    bucket_minutes: int = 5,
    header: Sequence[str] = FIELDS,
    flow_log_id: str = 'fl-0123456789abcdef0',
    max_lines: int | None = None,
) -> dict[str, bytes]:
    """Lines as the objects that AWS would deliver, by key, in the buckets of `end` that name the files.

    `layout` is default, hourly, hive or hive-hourly; `format` text or parquet; `header` the fields of the lines, by
    hyphen or underscore names; `max_lines` splits a bucket over several files. A line without a readable end goes
    with the line before.
    """
    names = [name.replace('_', '-') for name in header]
    folder = _folder(layout, account, region)
    render = {'text': _text, 'parquet': _parquet}[format]
    suffix = {'text': 'log.gz', 'parquet': 'log.parquet'}[format]
    objects = {}
    for moment, rows in sorted(_by_bucket(lines, names.index('end'), bucket_minutes * 60).items()):
        time = datetime.fromtimestamp(moment, timezone.utc)
        for first in range(0, len(rows), max_lines or len(rows)):
            body = render(rows[first : first + (max_lines or len(rows))], names)
            mark = hashlib.sha1(b'%d ' % first + body, usedforsecurity=False).hexdigest()[:8]
            name = f'{account}_vpcflowlogs_{region}_{flow_log_id}_{time:%Y%m%dT%H%MZ}_{mark}.{suffix}'
            parts = (prefix.strip('/'), time.strftime(folder), name)
            objects['/'.join(part for part in parts if part)] = body
    return objects


def _folder(layout: str, account: str, region: str) -> str:
    plain = f'AWSLogs/{account}/vpcflowlogs/{region}/%Y/%m/%d'
    hive = f'AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/year=%Y/month=%m/day=%d'
    return {'default': plain, 'hourly': f'{plain}/%H', 'hive': hive, 'hive-hourly': f'{hive}/hour=%H'}[layout]


def _by_bucket(lines: Iterable[bytes], end_column: int, seconds: int) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    moment = 0
    for line in lines:
        try:
            end = int(line.split()[end_column])
            moment = (end // 1000 if end > 2_147_483_647 else end) // seconds * seconds
        except (ValueError, IndexError):
            pass
        found.setdefault(moment, []).append(line)
    return found


def _text(rows: list[bytes], names: list[str]) -> bytes:
    return gzip.compress(' '.join(names).encode() + b'\n' + b'\n'.join(rows) + b'\n', mtime=0)


# Fields that the user guide types as numbers in Parquet files; the other fields are strings.
_INT32 = frozenset('version srcport dstport protocol tcp-flags traffic-path encryption-status'.split())
_LOST = 'packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired'
_INT64 = frozenset(f'packets bytes start end {_LOST}'.split())


def _parquet(rows: list[bytes], names: list[str]) -> bytes:
    pyarrow: Any = import_module('pyarrow')  # an extra, and without type hints
    parquet: Any = import_module('pyarrow.parquet')

    columns = zip(*(row.decode().split() for row in rows), strict=True)
    arrays = {}
    for name, column in zip(names, columns, strict=True):
        number = pyarrow.int32() if name in _INT32 else pyarrow.int64() if name in _INT64 else None
        values = [None if value == '-' else int(value) if number else value for value in column]
        arrays[name.replace('-', '_')] = pyarrow.array(values, number or pyarrow.string())
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays), sink, compression='gzip')
    return sink.getvalue()
