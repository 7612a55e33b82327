"""Random and mutated input for both kernels, the native one under AddressSanitizer and UBSan:

    python tests/kernel/fuzz_native.py [SECONDS [TARGET ...]]

The same results are expected, or the same errors. Needs gcc or clang with its sanitizers.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flowlogs_reader.kernel import pure
from tests.kernel.build import build, load

DEFAULT = b'ITTTTIIIIIMMTT'
SECONDS = 60
SANITIZED = ('-fsanitize=address,undefined', '-fno-sanitize-recover=all')
WORDS = (
    b'- - - OK NODATA SKIPDATA ACCEPT accept a ~ "q" a,b \\ 0 1 7 007 00 6 443 65535 4294967296 9999999999999999999 '
    b'99999999999999999999 18446744073709551616 00000000000000000000000005 +5 -5 1_0 5.0 1454324362 1454324362123 '
    b'1999999999 2000000000 2147483647 2147483648 2147483647999 2147483648000 10.0.0.1 10.0.0.255 172.20.0.10 1.2.3 '
    b'1.2.3.4.5 01.2.3.4 256.1.1.1 1.2.3.4%a :: ::1 1:: 2600:1f18::a:b 2600:1F18:0:0:0:0:A:B ::ffff:1.2.3.4 '
    b'1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9 1::2::3 :1:: 1:::2 fe80::1%eth0 fe80::1% 12345:: g:: '
    b'1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 10.0.0.0/8 10.0.0.1/8 2600::/16 ::1.2.3.4 1:2:3:4:5:6:7:1.2.3.4 \xff \0 a\0b \x7f'
).split(b' ')
LONG = [b'x' * 16_380, b'7' * 65_530, b'0' * 66_000 + b'1', b'a b ' * 4_000, b'\t' * 20_000]
TIMES = [None, None, None, 'iso', 'date']


class Inputs:
    """Random arguments."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pick = self.random.choice

    def some(self, make: Callable[[], Any], most: int, least: int = 0) -> list[Any]:
        return [make() for _ in range(self.random.randint(least, most))]

    def kinds(self) -> bytes:
        return DEFAULT if self.random.random() < 0.3 else bytes(self.some(lambda: self.pick(b'TIM'), 6, 1))

    def word(self) -> bytes:
        roll = self.random.random()
        if roll < 0.02:
            return self.random.randbytes(self.random.randint(0, 20))
        if roll < 0.2:
            return b'%d' % self.random.getrandbits(self.pick([1, 8, 16, 32, 41, 63, 64]))
        if roll < 0.25:
            return bytes(self.some(lambda: self.pick(b'0123456789abcdef:.%/'), 20, 1))
        return self.pick(WORDS)

    def value(self, kind: int) -> bytes:
        if self.random.random() < 0.02:
            return self.word()
        if kind == ord('I'):
            return b'%d' % self.random.getrandbits(self.pick([1, 8, 16, 32, 63]))
        if kind == ord('M'):
            return b'%d' % (1454324300 + self.random.getrandbits(7))
        return self.pick(WORDS) if self.random.random() < 0.98 else self.word()

    def line(self, kinds: bytes) -> bytes:
        line = b' '.join(map(self.value, kinds)) + b'\n'
        roll = self.random.random()
        if roll < 0.05:
            line = line.replace(b' ', self.pick([b'  ', b'\t', b' \r', b'\v']), self.random.randint(1, 3))
        elif roll < 0.1:
            line = self.mutated(line)
        elif roll < 0.11:
            line = line.replace(b' ', b' ' + self.pick(LONG), 1)
        return line

    def lines(self, kinds: bytes) -> bytes:
        data = b''.join(self.some(lambda: self.line(kinds), self.pick([1, 3, 10, 400])))
        return data[: -self.random.randint(1, 9)] if self.random.random() < 0.1 else data

    def group(self, keys: int) -> bytes:
        def number(*bits: int) -> bytes:
            return b'%d' % self.random.getrandbits(self.pick(bits))

        numbers = number(8, 64, 90), number(8, 64, 90), self.value(ord('M')), self.value(ord('M')), number(4, 8, 32)
        line = b' '.join([*(self.pick(WORDS[:20]) for _ in range(keys)), *numbers]) + b'\n'
        return line if self.random.random() < 0.98 else line.replace(b' ', b' ' + self.word(), 1)

    def mutated(self, data: bytes) -> bytes:
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(data))
            piece = self.pick([b'', b'\n', b' ', b'"', b'\\', b'{', b'}', b',', b'\0', b'0', b'-', b'\\u', b'\xc3\xa9'])
            data = data[:at] + self.pick([piece, self.random.randbytes(2)]) + data[at + self.random.randint(0, 2) :]
        return data

    def place(self, kinds: bytes, allowed: bytes = b'TIM') -> int:
        if self.random.random() < 0.01:
            return self.random.randint(-2, 300)
        return self.pick([-1, *(at for at, kind in enumerate(kinds) if kind in allowed)] * 3 + [-1])

    def test(self, kinds: bytes) -> Any:
        kind = self.pick(['text', 'number', 'flags', 'address', 'same'])
        allowed = b'IM' if kind in ('number', 'flags') else b'TIM'
        payload: Any
        if kind == 'same':
            operator = self.pick(['=', '!=', '<', '<=', '>', '>=', '@=', '@!=', '@<', '@<=', '@>', '@>='])
            allowed = b'IM' if operator[0] in '<>' else b'TIM'
            payload = self.place(kinds, allowed), operator
            if operator[-1] == '=' and self.random.random() < 0.4:
                payload = *payload, self.labels()
        elif kind == 'flags':
            payload = self.random.getrandbits(self.pick([2, 8, 63, 70]))
        elif kind == 'number':
            payload = tuple(self.some(lambda: self.range(64), 8))
        elif kind == 'address':
            versions = (4, 32), (6, 128), (4, 130)
            payload = tuple((*self.range(bits), version) for version, bits in self.some(lambda: self.pick(versions), 8))
        else:
            payload = tuple(self.some(self.word, 12))
        places = tuple(self.some(lambda: self.place(kinds, allowed), 3))
        return places, self.pick([True, False]), self.pick([True, False]), kind, payload

    def range(self, bits: int) -> tuple[int, int]:
        low, high = sorted(self.random.getrandbits(self.pick([8, bits])) for _ in range(2))
        return self.pick([low, 0]), high

    def labels(self) -> Any:
        """Ranges of addresses that seldom overlap."""
        versions = (4, 32), (6, 128)
        return tuple(
            (low, low + self.random.getrandbits(self.pick([4, bits - 3, bits])), version, self.pick([b'a', b'b', b'-']))
            for version, bits in self.some(lambda: self.pick(versions), 3)
            for low in (self.random.getrandbits(self.pick([8, bits])),)
        )

    def tests(self, kinds: bytes) -> Any:
        return tuple(self.some(lambda: self.test(kinds), self.pick([0, 1, 3])))

    def window(self, kinds: bytes) -> Any:
        if self.random.random() < 0.7:
            return None
        start, end = (self.pick([0, 1454324362000, -(10**30), 10**30, 1454324400001]) for _ in range(2))
        return self.place(kinds, b'M'), self.place(kinds, b'M'), start, end, self.pick([True, False])

    def key(self) -> Any:
        return self.pick([
            None, None, None, ('prefix', self.random.randint(0, 33), self.random.randint(0, 129)), ('prefix', 24, 96),
            ('bucket', self.random.randint(1, 10**5), self.random.randint(-(10**5), 10**5)),
            ('bucket', 2**62, self.pick([-(2**62), 2**62])), ('prefix', 10**30, 0),
            ('map', {b'ACCEPT': b'yes', b'-': b'none'}, b'no'), ('label', self.labels(), b'-'),
        ])  # fmt: skip


def check(inputs: Inputs) -> list[Any]:
    kinds = inputs.kinds()
    data = inputs.lines(kinds)
    return [lambda kernel: kernel.check(kinds, data)]


def keep(inputs: Inputs) -> list[Any]:
    kinds = inputs.kinds()
    tests, window, lines = inputs.tests(kinds), inputs.window(kinds), inputs.lines(kinds)
    return [
        lambda kernel: kernel.keep(kinds, tests, window, lines),
        lambda kernel: kernel.keep(kinds, kernel.compile_tests(kinds, tests), window, lines),
    ]


def columns(inputs: Inputs) -> list[Any]:
    kinds = inputs.kinds()
    groups = inputs.some(
        lambda: inputs.pick([inputs.place(kinds), tuple(inputs.some(lambda: inputs.place(kinds), 4))]), 4
    )
    arguments = kinds, inputs.tests(kinds), inputs.window(kinds), groups, inputs.lines(kinds)
    return [lambda kernel: kernel.columns(*arguments)]


def column_getter(inputs: Inputs) -> list[Any]:
    texts = inputs.word() + b' '.join(inputs.some(inputs.word, 9))
    line = texts.decode('utf-8', 'replace')
    given = inputs.pick([line, line.split(' '), None, 5])
    place, number = inputs.random.randint(-1, 9), inputs.pick([True, False])
    return [lambda kernel: kernel.column_getter(place, number)(SimpleNamespace(_texts=given))]


def letter_lines(inputs: Inputs) -> list[Any]:
    data = inputs.lines(b'T' + inputs.kinds())
    return [lambda kernel: kernel.letter_lines(data)]


def lines_with(inputs: Inputs) -> list[Any]:
    data = inputs.lines(DEFAULT)

    def text() -> bytes:
        at = inputs.random.randint(0, len(data))
        return inputs.pick([data[at : at + inputs.pick([1, 4, 9, 40])], inputs.word(), inputs.pick(WORDS)])

    texts = tuple(inputs.some(text, inputs.pick([1, 1, 4, 16])))
    return [lambda kernel: kernel.lines_with(texts, data)]


def sums(inputs: Inputs) -> list[Any]:
    keys = tuple(inputs.some(inputs.key, 4))
    track = [name for name in ('packets', 'bytes', 'start', 'end') if inputs.random.random() < 0.6]
    flows_only = inputs.pick([True, False])
    buckets = [b'IM' if key and key[0] == 'bucket' else b'TIM' for key in keys]
    additions = []
    for _ in range(inputs.random.randint(1, 3)):
        kinds = inputs.kinds()
        alternatives = tuple(
            tuple(inputs.place(kinds, allowed) for allowed in buckets) for _ in range(inputs.pick([1, 1, 2]))
        )
        places = tuple(inputs.place(kinds, allowed) for allowed in (b'IM', b'IM', b'M', b'M', b'TIM'))
        lines = inputs.lines(kinds)
        additions.append((kinds, inputs.tests(kinds), inputs.window(kinds), alternatives, places, lines))
    begin, count, by = inputs.random.randint(0, 20), inputs.random.randint(0, 20), inputs.pick(['bytes', 'flows'])

    def run(kernel: Any) -> Any:
        tables = []
        for addition in additions:
            tables.append(kernel.Sums(keys, track, flows_only))
            found = tables[-1].add(*addition)
            assert found[0] >= 0
        for table in tables[1:]:
            tables[0].merge(table)
        tables[0].add(*additions[-1])
        return len(tables[0]), tables[0].lines(), tables[0].lines(begin, count)

    def top(kernel: Any) -> Any:
        table = kernel.Sums(keys, track, flows_only)
        return table.add(*additions[0]), table.top(count, by)

    return [run, top]


def add_groups(inputs: Inputs) -> list[Any]:
    keys = (None,) * inputs.random.randint(0, 3)
    track = [name for name in ('packets', 'bytes', 'start', 'end') if inputs.random.random() < 0.6]
    data = b''.join(inputs.some(lambda: inputs.group(len(keys)), inputs.pick([1, 3, 100])))
    if inputs.random.random() < 0.2:
        data = inputs.mutated(data)

    def run(kernel: Any) -> Any:
        table = kernel.Sums(keys, track)
        for lines in (data[: len(data) // 2].rpartition(b'\n')[0] + b'\n', data):
            try:
                table.add_groups(lines)
            except ValueError:
                assert lines is data or len(table) == 0
        return table.lines(), table.top(5, 'flows')

    return [run]


def encode(inputs: Inputs) -> list[Any]:
    separator = inputs.pick([b' ', b'\t'])
    width = inputs.random.randint(1, 5)
    rows = inputs.some(lambda: separator.join(inputs.word() for _ in range(width)) + b'\n', inputs.pick([1, 4, 200]))
    data = b''.join(rows)
    data = inputs.mutated(data) if inputs.random.random() < 0.2 else data
    places = [*range(width)] if inputs.random.random() < 0.4 else inputs.some(lambda: inputs.random.randint(-1, 4), 5)
    times = [inputs.pick(TIMES) if inputs.random.random() < 0.3 else None for _ in places]
    numbers = [inputs.pick([True, False]) for _ in places]
    encoding = inputs.pick(['text', 'tsv', 'csv', 'jsonl'])
    return [lambda kernel: kernel.encode(encoding, [b'name'] * len(places), numbers, places, times, separator, data)]


def find_events(inputs: Inputs) -> list[Any]:
    events = []
    moment = 0
    for _ in range(inputs.random.randint(0, inputs.pick([1, 3, 40]))):
        moment += inputs.pick([0, 0, 1, 1000, -1 if inputs.random.random() < 0.05 else 0])
        text = inputs.line(DEFAULT)[:-1].decode('utf-8', inputs.pick(['replace', 'surrogateescape']))
        events.append({'message': text[:300], 'timestamp': 10**12 + moment, 'eventId': str(moment), 'ingestionTime': 5})
    document = {'events': events, 'nextToken': inputs.pick(['x', 'é', None]), 'searchedLogStreams': [{'a': [1, 'b']}]}
    document = {name: document[name] for name in inputs.random.sample([*document], inputs.pick([3, 3, 2]))}
    spacing = inputs.pick([(',', ':'), (', ', ': '), (' ,\n', '\t: ')])
    text = json.dumps(document, ensure_ascii=inputs.pick([True, False]), separators=spacing)
    body = text.encode('utf-8', inputs.pick(['replace', 'surrogatepass', 'surrogateescape'][:2]))
    if inputs.random.random() < 0.5:
        body = inputs.mutated(body)
    if inputs.random.random() < 0.1:
        body = body[: inputs.random.randint(0, len(body))]
    return [lambda kernel: kernel.find_events(body)]


TARGETS = {
    one.__name__: one
    for one in (check, keep, columns, column_getter, letter_lines, lines_with, sums, add_groups, encode, find_events)
}


def outcome(call: Callable[[Any], Any], kernel: Any) -> Any:
    try:
        return call(kernel)
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        return type(error)


def fuzz(library: Path, seconds: float, names: list[str]) -> int:
    native = load(library)
    for name in names:
        seed = inputs = 0
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            seed += 1
            for call in TARGETS[name](Inputs(seed)):
                inputs += 1
                expected, found = outcome(call, pure), outcome(call, native)
                if expected != found:
                    print(f'{name}: seed {seed} differs\npure   {expected!r:.2000}\nnative {found!r:.2000}')
                    return 1
        print(f'{name}: {inputs:,} inputs in {seconds:g} s, no difference', flush=True)
    return 0


def main(argv: list[str]) -> int:
    if '--help' in argv:
        print(__doc__)
        return 0
    seconds = float(argv[1]) if len(argv) > 1 else SECONDS
    names = argv[2:] or [*TARGETS]
    if 'FUZZ_LIBRARY' in os.environ:
        return fuzz(Path(os.environ['FUZZ_LIBRARY']), seconds, names)
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder), *SANITIZED, '-O1')
        preload = subprocess.run(
            ['cc', '-print-file-name=libasan.so'], capture_output=True, text=True, check=True
        ).stdout.strip()
        environ = {
            **os.environ,
            'FUZZ_LIBRARY': str(library),
            'LD_PRELOAD': preload,
            'ASAN_OPTIONS': 'detect_leaks=0',
            # Each object in memory of its own, so that reading past its end is seen.
            'PYTHONMALLOC': 'malloc',
            # Python has to be quick here, and its own source is not tested.
            'FLOWLOGS_READER_PURE': '1',
        }
        return subprocess.run([sys.executable, __file__, str(seconds), *names], env=environ).returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv))
