"""Coverage-guided fuzzing of everything that takes text from outside, and the two kernels on the same input:

    python tests/tools/fuzz.py [SECONDS [TARGET ...]]

`tox -e fuzz` runs all targets, each for a minute. A target gets random bytes, and raises where something is wrong that
is not refused as it should be; what was found is a regression test in test_hostile.py. The targets of the kernels are
in tests/kernel/fuzz_native.py. atheris runs on Linux and macOS, and tells how many inputs it tried.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import atheris

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

with atheris.instrument_imports(include=['flowlogs_reader']):
    from flowlogs_reader.errors import FlowLogsError
    from flowlogs_reader.kernel import check, columns, find_events, keep
    from flowlogs_reader.kernel.pure.events import parse_page, scan_page
    from flowlogs_reader.query.conditions import parse_condition
    from flowlogs_reader.query.groups import parse_keys
    from flowlogs_reader.query.query import Window
    from flowlogs_reader.query.typed_times import parse_length, parse_time, parse_zone
    from flowlogs_reader.records.block import Block
    from flowlogs_reader.records.layout import Layout
    from flowlogs_reader.records.record import records
    from flowlogs_reader.sources.cloudwatch.pushdown import filter_pattern
    from flowlogs_reader.sources.decode import inflate, text_blocks
    from flowlogs_reader.sources.filter import Filter, is_record
    from flowlogs_reader.sources.keys import KeyWindow, day_folder, key_time, partitions, place
    from flowlogs_reader.sources.objects import Contents

from tests.kernel import fuzz_native

NOW = datetime(2016, 2, 1, 15, tzinfo=timezone.utc)
SECONDS = 60
FORMATS = [
    Layout(),
    Layout(['version', 'srcaddr', 'bytes']),
    Layout(['bytes']),
    Layout(['srcaddr']),
    Layout(['start', 'x_new', 'tcp_flags', 'end']),
]


def check_canonical(layout: Layout, data: bytes) -> None:
    """Checks that lines are canonical, as all later stages need."""
    assert data == b'' or data.endswith(b'\n')
    for line in data.splitlines(keepends=True):
        assert is_record(layout, line[:-1]), line
        assert check(layout.kinds, line) == (line, 0), line
        values = line[:-1].split(b' ')
        assert len(values) == len(layout.fields)
        assert [*zip(*every_column(layout, line)[0])] == [tuple(values)]
    assert check(layout.kinds, data) == (data, 0)
    assert [record.to_dict() is not None for record in records(layout, data)] == [True] * data.count(b'\n')
    assert keep(layout.kinds, (), None, data) == (data, data.count(b'\n'), 0)
    found, skipped = every_column(layout, data)
    assert not skipped
    assert all(len(column) == data.count(b'\n') for column in found)


def every_column(layout: Layout, data: bytes) -> tuple[list[list[bytes]], int]:
    return columns(layout.kinds, (), None, layout.places(layout.fields), data)


def lines(data: bytes) -> None:
    layout, data = FORMATS[data[0] % len(FORMATS)] if data else FORMATS[0], data[1:] + b'\n'
    kept, skipped = check(layout.kinds, data)
    check_canonical(layout, kept)
    given = [line for line in data.split(b'\n') if line.strip()]
    assert kept.count(b'\n') + skipped == len(given)
    # The result for the data is that of its lines.
    assert kept == b''.join(check(layout.kinds, line + b'\n')[0] for line in given)
    for line in given:
        try:
            values = layout.parse(line)
        except ValueError:
            assert not is_record(layout, line), line
        else:
            assert check(layout.kinds, line + b'\n')[0] == b' '.join(values) + b'\n', line
    assert keep(layout.kinds, (), None, data) == (kept, kept.count(b'\n'), skipped)
    assert every_column(layout, data) == (every_column(layout, kept)[0], skipped)
    Filter(window=Window(1454324362000, 1454324363000)).keep(Block(layout, data))


def header(data: bytes) -> None:
    try:
        layout = Layout.from_header(data)
    except ValueError:
        return
    if layout:
        assert Layout(layout.fields) == layout
        assert check(layout.kinds, ' '.join('-' * len(layout.fields)).encode() + b'\n')[1] == 0
    try:
        Layout.from_format(data.decode('utf-8', 'replace'))
    except ValueError:
        pass


def text(data: bytes) -> None:
    """Data in two pieces, cut anywhere, has the same result as the whole."""
    cut = data[0] if data else 0
    data = data[1:]
    found, error = whole = read([data])
    parts = read([data[:cut], data[cut:]])
    # The first lines of a piece decide whether it is text, and which wrapping its lines have.
    narrowest = min((len(layout.fields) for layout, _ in [*found, *parts[0]]), default=14)
    wrapped = any(len(line.split()) > narrowest for line in data.splitlines())
    if not wrapped and 'neither text' not in error + parts[1]:
        assert parts == whole
    for layout, kept in found:
        check_canonical(layout, kept)


def read(chunks: list[bytes]) -> tuple[list[tuple[Layout, bytes]], str]:
    """Lines by their Layout, whatever Blocks they came in, and the error after them."""
    found: list[tuple[Layout, bytes]] = []
    error = ''
    try:
        for block in text_blocks(chunks):
            kept = check(block.layout.kinds, block.data)[0]
            if found and found[-1][0] == block.layout:
                kept = found.pop()[1] + kept
            found.append((block.layout, kept))
    except FlowLogsError as problem:
        error = str(problem)
    return [(layout, kept) for layout, kept in found if kept], error


def gzip(data: bytes) -> None:
    """Sound gzip data, damaged at one place; and arbitrary data behind a gzip header."""
    if len(data) < 4:
        return
    place, flip, body = data[0] * 256 + data[1], data[2], data[3:]
    packed = bytearray(zlib.compress(body, wbits=31))
    assert b''.join(inflate([bytes(packed)])) == body
    packed[place % len(packed)] ^= flip
    for chunks in ([bytes(packed)], [bytes(packed[:place]), bytes(packed[place:])], [b'\x1f\x8b' + body]):
        for piece in Contents('x').pieces(chunks):
            assert piece.error is None or isinstance(piece.error, FlowLogsError)


def timespec(data: bytes) -> None:
    texts = data.decode('utf-8', 'surrogateescape').split('\n', 1)
    for parse in (
        lambda: parse_time(texts[0], now=NOW, time_format=texts[1] if len(texts) > 1 and texts[1] else None),
        lambda: parse_length(texts[0]),
    ):
        try:
            parse()
        except ValueError as error:
            assert '\n' not in str(error)


def zone(data: bytes) -> None:
    """Apart from the other times: a wrong name is compared with the files of all zones, which takes 20 ms."""
    try:
        parse_zone(data.decode('utf-8', 'surrogateescape'))
    except ValueError as error:
        assert '\n' not in str(error)


def where(data: bytes) -> None:
    text = data.decode('utf-8', 'replace')
    try:
        condition = parse_condition(text, ['x_new'])
    except ValueError:
        pass
    else:
        line = b'2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 4 1454324362 1454324363 ACCEPT OK\n'
        kept, matched, skipped = Filter([condition]).keep(Block(Layout(), line))
        assert (kept, skipped) == (line * matched, 0)
        filter_pattern([condition])
    try:
        parse_keys(text.split(), (), ())
    except ValueError:
        pass


def page(data: bytes) -> None:
    """The fast scan of an event page finds what a JSON parser finds, and both refuse a page that is cut."""
    provider = atheris.FuzzedDataProvider(data)
    body = json.dumps(document(provider), separators=(',', ':'), ensure_ascii=provider.ConsumeBool()).encode(
        'utf-8', 'replace'
    )
    quick, sound = scan_page(body), parse_page(body)
    assert quick is None or quick == sound, (body, quick, sound)
    assert find_events(body) == sound, (body, sound)
    cut = body[: provider.ConsumeIntInRange(0, len(body) - 1)]
    assert scan_page(cut) is None, cut
    assert parse_page(cut) is None, cut
    assert find_events(cut) is None, cut
    rest = provider.ConsumeBytes(provider.remaining_bytes())
    scan_page(rest)
    parse_page(rest)
    find_events(rest)


def document(provider: Any) -> dict[str, Any]:
    """An answer of FilterLogEvents, with the members of an event in one of the orders that AWS may choose."""
    events = []
    names = ['message', 'eventId', 'timestamp']
    if provider.ConsumeBool():
        names.reverse()
    for _ in range(provider.ConsumeIntInRange(0, 4)):
        event = {
            'message': provider.ConsumeUnicode(provider.ConsumeIntInRange(0, 20)),
            'eventId': str(provider.ConsumeIntInRange(0, 10**6)),
            'timestamp': provider.ConsumeIntInRange(0, 3),
        }
        events.append({name: event[name] for name in names})
    answer: dict[str, Any] = {'events': sorted(events, key=lambda event: event['timestamp'])}
    if provider.ConsumeBool():
        answer['searchedLogStreams'] = []
    if provider.ConsumeBool():
        answer['nextToken'] = provider.ConsumeUnicodeNoSurrogates(5) or 'x'
    return answer


def keys(data: bytes) -> None:
    name = data.decode('utf-8', 'surrogateescape')
    time = key_time(name)
    assert time is None or isinstance(time, int)
    partitions(name)
    found = place(name)
    if found and found.region:
        day_folder(found.root, NOW)
    window = KeyWindow(0, 10**12)
    window.may_hold(name)
    window.start_after(name)


TARGETS: dict[str, Callable[[bytes], None]] = {
    'lines': lines, 'header': header, 'text': text, 'gzip': gzip, 'timespec': timespec, 'zone': zone,
    'where': where, 'page': page, 'keys': keys,
}  # fmt: skip
SEEDS = {
    'lines': [
        b'\0' + b'2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 4 1454324362 1454324363 ACCEPT OK',
        b'\x012  10.0.0.1 007\r',
    ],
    'header': [b'version srcaddr dstaddr', b'${version} ${srcaddr}', b'account-id x-new'],
    'text': [
        b'\x20version srcaddr bytes\n2 10.0.0.1 5\n', b'\x05{"message":"2 1 \\u0020eni"}\n',
        b'\x09EVENTS\t1\t2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 4 1454324362 1454324363 ACCEPT OK\tx\n',
    ],
    'gzip': [b'\0\5\1' + b'2 1 eni-1\n' * 9],
    'timespec': [b'2016-02-01T10:59:22Z\n', b'1h30m ago\n%d.%m.%Y', b'Feb 1 2016 7pm', b'1454324362.5'],
    'zone': [b'Asia/Tokyo', b'UTC', b'local'],
    'where': [b'srcaddr=10.0.0.0/8,-', b'tcp_flags=syn,ack', b'dstport!=ssh,8000-8100', b'bytes>=40', b'x_new=a'],
    'page': [bytes(range(60))],
    'keys': [
        b'AWSLogs/1/vpcflowlogs/r/2016/02/01/1_vpcflowlogs_r_fl-1_20160201T1055Z_ab.log.gz',
        b'p/AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=r/year=2016/month=02/day=01/hour=10/',
    ],
}  # fmt: skip


def fuzz(target: str, seconds: str, corpus: Path) -> None:
    """Runs a target, and ends the process."""
    for number, seed in enumerate(SEEDS[target]):
        (corpus / f'seed-{number}').write_bytes(seed)
    options = [f'-max_total_time={seconds}', '-max_len=1000', '-timeout=20', '-rss_limit_mb=1024']
    options += [f'-artifact_prefix={corpus}/', '-print_final_stats=1']
    atheris.Setup([sys.argv[0], str(corpus), *options], TARGETS[target])
    atheris.Fuzz()


def main(argv: list[str]) -> int:
    if '--help' in argv:
        print(__doc__)
        return 0
    if argv[1:2] == ['--corpus']:
        fuzz(argv[3], argv[4], Path(argv[2]))
    seconds = argv[1] if len(argv) > 1 else str(SECONDS)
    names = argv[2:] or [*TARGETS, *fuzz_native.TARGETS]
    failed = 0
    for target in filter(TARGETS.__contains__, names):
        with TemporaryDirectory() as corpus:
            command = [sys.executable, __file__, '--corpus', corpus, target, seconds]
            done = subprocess.run(command, capture_output=True, text=True)
        tried = [line.split()[-1] for line in done.stderr.splitlines() if 'number_of_executed_units' in line]
        print(
            f'{target}: {tried[0] if tried else "?"} inputs in {seconds} s, exit status {done.returncode}', flush=True
        )
        if done.returncode:
            failed += 1
            print(done.stdout[-2_000:], done.stderr[-3_000:])
    kernels = [*filter(fuzz_native.TARGETS.__contains__, names)]
    if kernels and fuzz_native.main([__file__, seconds, *kernels]):
        failed += 1
    return min(failed, 1)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
