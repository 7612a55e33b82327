"""A stream in pieces has all its bytes."""

from __future__ import annotations

from tests.streams import Cut


def test_a_cut_stream_gives_all_its_bytes() -> None:
    stream = Cut(b'abcdef', [2, 1])
    assert [*iter(lambda: stream.read(1000), b'')] == [b'a', b'bc', b'd', b'ef']
