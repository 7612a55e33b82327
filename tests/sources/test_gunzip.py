"""ISA-L and zlib return the same text for any gzip data, damaged or not, in chunks of any size."""

from __future__ import annotations

import gzip
import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlogs_reader.errors import DamagedError
from flowlogs_reader.sources import gunzip as module
from flowlogs_reader.sources.gunzip import gunzip
from tests import traffic

TEXT = b'\n'.join(traffic.lines(3000)) + b'\n'
SOUND = gzip.compress(TEXT)
HALVES = gzip.compress(TEXT[:100_000]) + bytes(7) + gzip.compress(TEXT[100_000:])

needs_isal = pytest.mark.skipif(module.isal_zlib is None, reason='isal is not installed')


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def outcome(chunks: Iterator[bytes], file: object = None) -> tuple[bytes, str]:
    found = bytearray()
    try:
        for text in gunzip(chunks, file):  # type: ignore[arg-type]
            assert len(text) <= module.TEXT
            found += text
    except DamagedError as error:
        return bytes(found), str(error)
    return bytes(found), ''


def by_zlib(data: bytes, size: int) -> tuple[bytes, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'isal_zlib', None)
        return outcome(pieces(data, size))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from([SOUND, HALVES])))
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    end = draw(st.sampled_from([len(data), len(data) - 3]) | st.integers(0, len(data)))
    return bytes(data[:end]) + draw(st.sampled_from([b'', b'', bytes(9), b'garbage', SOUND[:50]]))


@needs_isal
@settings(max_examples=150)
@given(damaged(), st.sampled_from([500, 4096, 1 << 16, 1 << 20]))
def test_isal_gives_what_zlib_gives(data: bytes, size: int) -> None:
    assert outcome(pieces(data, size)) == by_zlib(data, size)


@needs_isal
@settings(max_examples=50)
@given(damaged())
def test_a_file_is_read_again_in_place_of_a_store(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp('gz') / 'x.gz'
    path.write_bytes(data)
    with open(path, 'rb', buffering=0) as file:
        chunks = iter(lambda: file.read(module.CHUNK), b'')
        assert outcome(chunks, file) == by_zlib(data, module.CHUNK)


@pytest.mark.parametrize('kept', [0, 10_000, len(SOUND)])
@pytest.mark.parametrize('data', [SOUND, HALVES, SOUND[:-9], SOUND[:20_000] + b'x' + SOUND[20_001:]])
def test_a_member_longer_than_the_store_is_left_to_zlib(
    data: bytes, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, 'AT_MOST', kept)
    monkeypatch.setattr(module, 'IN_MEMORY', 1000)
    assert outcome(pieces(data, 5000)) == by_zlib(data, 5000)


@contextmanager
def a_disk_that_takes(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize('data', [SOUND, HALVES, SOUND[:-9], SOUND[:20_000] + b'x' + SOUND[20_001:]])
@pytest.mark.parametrize('size', [0, 900, 1200, 30_000])
def test_a_full_disk_leaves_the_rest_to_zlib(data: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_zlib(data, 700)
    monkeypatch.setattr(module, 'IN_MEMORY', 1000)
    with a_disk_that_takes(size):
        assert outcome(pieces(data, 700)) == expected
    monkeypatch.setattr('tempfile.tempdir', '/nowhere/at/all')
    assert outcome(pieces(data, 700)) == expected


def test_without_isal_zlib_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'isal_zlib', None)
    assert outcome(iter([HALVES])) == (TEXT, '')
    assert b''.join(gunzip(iter([SOUND]), BytesIO(SOUND))) == zlib.decompress(SOUND, module.MEMBER)
