"""A log group held as rendered JSON, so that serving a page is little more than a copy."""

import json
import re
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice
from operator import itemgetter

from tests.fake.patterns import Pattern, compile_pattern
from tests.fake.wire import ACCOUNT, REGION, Params

EVENT_KEYS = ('logStreamName', 'timestamp', 'message', 'ingestionTime', 'eventId')
CREATED = 1_451_606_400_000  # 2016-01-01: when groups are made, and the time of a line without one
_DELIVERY = 720_000  # ingestion comes this many ms after the event's timestamp
_LOAD = 50_000
_UNSAFE = re.compile(rb'[^ !#-\[\]-~]')
_SEQUENCE_BITS = 96

Time = Callable[[bytes], int]
Stream = Callable[[bytes], str]


# timestamp, ingestion time, sequence, stream, message: sorts as AWS orders events
Event = tuple[int, int, int, str, bytes]


def start_column(line: bytes) -> int:
    """The event time of a default-format line: its start in ms."""
    start = int(line.split(None, 11)[10])
    return start if start > 2_147_483_647 else start * 1000


def eni_stream(line: bytes) -> str:
    eni = line.split(None, 3)[2]
    return f'{eni.decode()}-all' if eni.startswith(b'eni-') else 'eni-00000000-all'


def event_id(timestamp: int, ingestion: int) -> int:
    """The part of an eventId that its times make: ids are 56 digits and grow with time, then with arrival."""
    return (timestamp << 144) + (ingestion << _SEQUENCE_BITS)


class LogGroup:
    """Events in AWS's order: one run of JSON objects each followed by a comma, with the offsets of each."""

    def __init__(self, name: str, region: str = REGION, account: str = ACCOUNT, *, keys: Sequence[str] = EVENT_KEYS):
        self.name, self.region, self.account = name, region, account
        self.log_class = 'STANDARD'
        self.created = CREATED
        self.retention: int | None = None
        self.unread = 0  # lines without a time or a stream
        self.lock = threading.RLock()
        self.timestamps = array('q')
        self.offsets = array('Q', [0])
        self.sizes = array('Q', [0])  # bytes of messages before each event
        self.streams: list[str] = []
        self._blob = bytearray()
        self._sequence = 0
        self._found: dict[str, Sequence[int]] = {}
        self._by_stream: defaultdict[str, array[int]] = defaultdict(lambda: array('Q'))
        self._template = b'{' + b','.join(_MEMBERS[key] for key in keys) + b'},'
        self._in_order = itemgetter(*map(EVENT_KEYS.index, keys))

    @property
    def arn(self) -> str:
        return f'arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}'

    def add(
        self, lines: Iterable[bytes | str], timestamp: Time | None, stream: Stream | None, ingestion: Time | None
    ) -> None:
        """Add lines as events. A line that the functions cannot read gets the time and the stream of the one before."""
        rest = iter(lines)
        while chunk := list(islice(rest, _LOAD)):
            self._merge(sorted(self._events(chunk, timestamp or start_column, stream or eni_stream, ingestion)))

    def _events(self, lines: list[bytes | str], timestamp: Time, stream: Stream, ingestion: Time | None) -> list[Event]:
        events: list[Event] = []
        time, name = (self.timestamps[-1], self.streams[-1]) if self.streams else (CREATED, 'eni-00000000-all')
        names: dict[str, str] = {}
        for sequence, line in enumerate(lines, self._sequence + 1):
            message = line.encode() if isinstance(line, str) else line
            try:
                time, name = timestamp(message), stream(message)
            except (ValueError, IndexError):
                self.unread += 1
            arrival = ingestion(message) if ingestion else time + _DELIVERY
            events.append((time, arrival, sequence, names.setdefault(name, name), message))
        self._sequence += len(events)
        return events

    def _merge(self, events: list[Event]) -> None:
        with self.lock:
            first = bisect_left(self.timestamps, events[0][0])
            if first < len(self.timestamps):
                events = sorted(events + self._take_from(first))
            start = len(self.streams)
            rendered = self._render(events)
            self._blob += b''.join(rendered)
            self.offsets.extend(islice(accumulate(map(len, rendered), initial=self.offsets[-1]), 1, None))
            self.sizes.extend(islice(accumulate((len(event[4]) for event in events), initial=self.sizes[-1]), 1, None))
            for index, event in enumerate(events, start):
                self._by_stream[event[3]].append(index)
            self.timestamps.extend(event[0] for event in events)
            self.streams.extend(event[3] for event in events)
            self._found.clear()

    def _take_from(self, first: int) -> list[Event]:
        """Remove and return the events from `first` on."""
        raw = json.loads(b'[%b]' % bytes(self._blob[self.offsets[first] :])[:-1])
        mask = (1 << _SEQUENCE_BITS) - 1
        events = [
            (e['timestamp'], e['ingestionTime'], int(e['eventId']) & mask, e['logStreamName'], e['message'].encode())
            for e in raw
        ]
        del self._blob[self.offsets[first] :], self.offsets[first + 1 :], self.sizes[first + 1 :]
        del self.timestamps[first:], self.streams[first:]
        for indices in self._by_stream.values():
            del indices[bisect_left(indices, first) :]
        return events

    def _render(self, events: Iterable[Event]) -> list[bytes]:
        template, in_order, base, times = self._template, self._in_order, 0, (0, 0)
        rendered = []
        for timestamp, ingestion, sequence, stream, message in events:
            if (timestamp, ingestion) != times:
                times = timestamp, ingestion
                base = event_id(timestamp, ingestion)
            if _UNSAFE.search(message):
                message = json.dumps(message.decode('utf-8', 'replace'), ensure_ascii=False)[1:-1].encode()
            values = stream.encode(), timestamp, message, ingestion, base + sequence
            rendered.append(template % in_order(values))
        return rendered

    def message(self, index: int) -> str:
        return str(json.loads(self.rendered(index, index + 1))['message'])

    def rendered(self, first: int, last: int) -> bytes:
        """The JSON of the events first <= index < last, with commas between them."""
        with self.lock:
            return bytes(memoryview(self._blob)[self.offsets[first] : max(self.offsets[last] - 1, 0)])

    def matching(self, text: str) -> Sequence[int]:
        """Indices of the events that match a filter pattern; found once, then remembered."""
        pattern = compile_pattern(text)
        if pattern is None:
            return range(len(self.timestamps))
        with self.lock:
            if text not in self._found:
                candidates = self._candidates(pattern)
                self._found[text] = array('Q', (i for i in candidates if pattern.matches(self.message(i))))
            return self._found[text]

    def _candidates(self, pattern: Pattern) -> Iterable[int]:
        literals = [literal.encode() for literal in pattern.any_of]
        if not literals or any(_UNSAFE.search(literal) for literal in literals):
            return range(len(self.timestamps))
        return sorted({index for literal in literals for index in self._holding(literal)})

    def _holding(self, literal: bytes) -> Iterable[int]:
        at = self._blob.find(literal)
        while at >= 0:
            index = bisect_right(self.offsets, at) - 1
            yield index
            at = self._blob.find(literal, self.offsets[index + 1])

    def in_streams(self, names: Iterable[str] | None, prefix: str | None) -> Sequence[int]:
        """Indices of the events in some streams."""
        if names is None and prefix is None:
            return range(len(self.timestamps))
        wanted = (
            set(names) if names is not None else {name for name in self._by_stream if name.startswith(prefix or '')}
        )
        return sorted(index for name in wanted for index in self._by_stream.get(name, ()))

    def stream_rows(self) -> list[Params]:
        """The streams as DescribeLogStreams tells them, by name."""
        rows = []
        for name, indices in sorted(self._by_stream.items()):
            row = {'logStreamName': name, 'creationTime': self.created, 'storedBytes': 0}
            row['arn'] = f'{self.arn}:log-stream:{name}'
            if indices:
                first, last = self.timestamps[indices[0]], self.timestamps[indices[-1]]
                row |= {'firstEventTimestamp': first, 'lastEventTimestamp': last, 'lastIngestionTime': last + _DELIVERY}
            rows.append(row)
        return rows


_MEMBERS = {
    'logStreamName': b'"logStreamName":"%b"',
    'timestamp': b'"timestamp":%d',
    'message': b'"message":"%b"',
    'ingestionTime': b'"ingestionTime":%d',
    'eventId': b'"eventId":"%056d"',
}
