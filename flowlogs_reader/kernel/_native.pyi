from collections.abc import Iterable, Sequence

from .pure import Events, Test, Transform, Window

def check(kinds: bytes, data: bytes, /) -> tuple[bytes, int]: ...
def keep(kinds: bytes, tests: tuple[Test, ...], window: Window | None, data: bytes, /) -> tuple[bytes, int, int]: ...
def columns(
    kinds: bytes,
    tests: tuple[Test, ...],
    window: Window | None,
    places: Sequence[int | tuple[int, ...]],
    data: bytes,
    /,
) -> tuple[list[list[bytes]], int]: ...
def encode(
    encoding: str,
    names: Sequence[bytes],
    numbers: Sequence[bool],
    places: Sequence[int],
    times: Sequence[str | None],
    separator: bytes,
    data: bytes,
    /,
) -> bytes: ...
def find_events(body: bytes, /) -> Events | None: ...
def letter_lines(data: bytes, /) -> tuple[int, ...]: ...

class Sums:
    def __new__(cls, keys: Sequence[Transform], track: Iterable[str] = ..., flows_only: bool = ...) -> Sums: ...
    def add(
        self,
        kinds: bytes,
        tests: tuple[Test, ...],
        window: Window | None,
        alternatives: tuple[tuple[int, ...], ...],
        sums: tuple[int, int, int, int, int],
        data: bytes,
        /,
    ) -> tuple[int, int]: ...
    def merge(self, other: Sums, /) -> None: ...
    def lines(self, begin: int = 0, count: int | None = None) -> bytes: ...
    def top(self, count: int, by: str) -> bytes: ...
    def __len__(self) -> int: ...
