"""Each flow once: of a flow that two interfaces of the log recorded, the records of its sender.

AWS records a flow at every interface that it passes. In a record, the address of the interface is always its primary
private one (vpc/latest/userguide/flow-logs-limitations). So it is the address that all records of the interface share:
the source if `flow_direction` is egress, the destination if it is ingress. If the destination of a record is the own
address of the interface, and the source is that of another interface of the log, then the record is the second one of
the same packets. This is not known before everything was read: until then the sums are kept by interface and addresses
too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from itertools import chain
from typing import Any

from ..errors import FlowLogsError
from ..kernel import Sums
from ..query.conditions import Condition
from ..query.groups import GroupKey
from ..query.mappings import CLASSES
from ..query.query import RECORDER, Query
from ..records.layout import Layout
from ..sources.base import BaseReader
from ..sources.report import ReadReport
from .sums import SUMS, Keys, add_groups, chunks_of, picked, read_into, rows_of

# Logs without flow_direction are common.
WITNESS = (*RECORDER, 'flow_direction')
# Fields that have the same value in the records of the sender and the receiver.
SHARED = {'srcaddr', 'dstaddr', 'srcport', 'dstport', 'protocol', 'type'}
DIRECTIONS = (b'ingress', b'egress')


def read_sums(
    query: Query,
    table: Sums,
    transforms: Sequence[Any],
    keys: Keys,
    columns: Sequence[str],
    sources: Iterable[BaseReader],
) -> None:
    """Read all records into a table whose keys are made by `transforms`; each flow once, if the query says so.

    `keys` and `columns` as in BaseReader.sum_into. If the read fails, the table has the sums of what was read before.
    """
    if query.once:
        fields = {name for key in (*query.keys, *query.distinct) for name in key.fields}
        EachFlowOnce(table, transforms, fields, query.conditions).read([*sources], keys, columns)
        return
    read_into(table, sources, keys, columns)


class EachFlowOnce:
    """Reads into a table of more keys, and then adds its sums to `table`, each flow once.

    `transforms` are how the keys of `table` are made, `fields` what they are made of. The `conditions` are those that
    all records meet.
    """

    def __init__(
        self, table: Sums, transforms: Sequence[Any], fields: Iterable[str], conditions: Iterable[Condition]
    ) -> None:
        self._table = table
        self._width = len(transforms)
        # Other keys are made when the sums are added to the table. An interval holds many moments.
        kept = [transform if transform and transform[0] == 'bucket' else None for transform in transforms]
        self._wide = Sums([*kept, *[None] * len(WITNESS)], table.track)
        self._may_guess = SHARED.issuperset(fields)
        self._all_records = _holds_both(conditions)

    def read(self, sources: Sequence[BaseReader], keys: Keys, columns: Iterable[str]) -> None:
        """Read all records of the sources, with keys and columns as in BaseReader.sum_into.

        If the read fails, the sums of what was read before are in the table.
        """

        def with_witness(layout: Layout) -> list[Sequence[str]]:
            _check_recorder(layout)
            return [(*fields, *WITNESS) for fields in (keys(layout) if callable(keys) else keys)]

        try:
            read_into(self._wide, sources, with_witness, [*columns, *WITNESS])
        except Exception:
            self._finish(sources[0].report)
            raise
        # Not after Ctrl-C: it takes seconds.
        self._finish(sources[0].report)

    def _finish(self, report: ReadReport) -> None:
        """Add what was read to the table, without the records of receivers that are copies."""
        width = self._width
        sums = [*range(width + len(WITNESS), width + len(WITNESS) + len(SUMS))]
        witness = tuple(range(width, width + len(WITNESS)))
        found = Sums([None] * len(WITNESS), ())
        for chunk in chunks_of(self._wide):
            add_groups(found, picked(chunk, [*witness, *sums]))
        witnesses = Witnesses(found, self._all_records, self._may_guess)
        copies = {b' '.join(row[: len(WITNESS)]) for row in witnesses.copies()}
        report.undecided += witnesses.undecided
        for chunk in chunks_of(self._wide):
            if copies:
                rows = zip(chunk.splitlines(keepends=True), picked(chunk, witness).splitlines())
                chunk = b''.join([row for row, witnessed in rows if witnessed not in copies])
            if chunk:
                add_groups(self._table, picked(chunk, [*range(width), *sums]))


def _check_recorder(layout: Layout) -> None:
    """Raises FlowLogsError if a log does not say who recorded a flow."""
    if lacking := [name for name in RECORDER if name not in layout.position]:
        raise FlowLogsError(
            f'which flows were recorded twice is not known: this log has no field {", ".join(lacking)}; its fields '
            f'are {" ".join(layout.fields)}'
        )


def bytes_seen_twice(table: Sums, keys: Sequence[GroupKey], conditions: Iterable[Condition]) -> int:
    """Return the bytes in a table that were recorded at both ends of a flow; 0 if its keys do not tell."""
    names = [key.name for key in keys]
    if not {*RECORDER} <= {*names}:
        return 0
    places = [names.index(name) if name in names else -1 for name in WITNESS]
    found = Sums([None] * len(WITNESS), ('bytes',))
    for chunk in chunks_of(table):
        add_groups(found, picked(chunk, [*places, *range(len(keys), len(keys) + len(SUMS))]))
    witnesses = Witnesses(found, _holds_both(conditions), may_guess=True)
    return sum(int(row[len(WITNESS) + SUMS.index('bytes')]) for row in witnesses.copies())


def _holds_both(conditions: Iterable[Condition]) -> bool:
    """Whether both records of a flow meet the conditions if one does."""
    return all(SHARED.issuperset(names) for condition in conditions for names in condition.needed)


class Witnesses:
    """Who recorded which flows: finds the records of receivers whose sender's interface is in the log too.

    The sender must have recorded the same addresses: in a log of rejected flows, only the receiver has a record. But
    what a host sends through a NAT gateway is recorded at the gateway with the gateway's address as the destination,
    and at the host with the final one. So an interface that also sends to addresses outside the log need not have the
    addresses in common with the sender, with `all_records`: if no condition can have kept the sender's record out.

    The keys of `table` are the fields of WITNESS. With `may_guess`, two interfaces that recorded only the traffic
    between them get its two addresses in any order: the sums are the same.
    """

    def __init__(self, table: Sums, all_records: bool, may_guess: bool) -> None:
        self._table = table
        self._all_records = all_records
        # For each interface, and whether IPv6, the addresses that may be its own; for each address the interfaces that
        # have it.
        self._own: dict[tuple[bytes, bool], set[bytes]] = {}
        self._owners: dict[bytes, set[bytes]] = defaultdict(set)
        self._collect_addresses()
        self._decide(may_guess)
        # Which interfaces recorded flows from one address to another, if both may be addresses of interfaces.
        self._recorders: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
        inside = {*self._owners, *chain.from_iterable(self._own.values())}
        self._gateways: set[bytes] = set()
        for interface, source, target, *_ in self._rows():
            if source in inside and target in inside:
                self._recorders[source, target].add(interface)
            elif source in inside and interface in self._owners.get(source, ()):
                self._gateways.add(interface)

    def copies(self) -> Iterator[list[bytes]]:
        """Yield the rows of receivers that were also recorded at the sender."""
        for row in self._rows():
            interface, source, target, *_ = row
            senders = self._owners.get(source, set()) - {interface}
            if senders and source != target and self._is_receiver(row):
                is_gateway = self._all_records and interface in self._gateways
                if is_gateway or senders & self._recorders.get((source, target), set()):
                    yield row

    def _rows(self) -> Iterator[list[bytes]]:
        return map(partial(bytes.split, sep=b' '), rows_of(self._table))

    @property
    def undecided(self) -> int:
        """How many flows two interfaces recorded of which it is not known who sent them."""
        return sum(
            int(flows)
            for interface, source, target, direction, *_, flows in self._rows()
            if direction not in DIRECTIONS
            and len(self._own[interface, b':' in source]) > 1
            and len(self._recorders.get((source, target), ())) > 1
        )

    def _is_receiver(self, row: Sequence[bytes]) -> bool:
        interface, _, target, direction, *_ = row
        if direction in DIRECTIONS:
            return direction == b'ingress'
        return self._own[interface, b':' in target] == {target}

    def _collect_addresses(self) -> None:
        """Find the addresses that may be those of each interface: those that all its records have."""
        for interface, source, target, direction, *_ in self._rows():
            side = {b'egress': {source}, b'ingress': {target}}.get(direction, {source, target})
            if direction in DIRECTIONS and interface != b'-':
                self._owners[min(side)].add(interface)
            known = self._own.setdefault((interface, b':' in source), side)
            if known != side:
                self._own[interface, b':' in source] = known & side
        # The records of regional NAT gateways have no interface.
        self._own.update(dict.fromkeys([at for at in self._own if at[0] == b'-'], set()))

    def _decide(self, may_guess: bool) -> None:
        """Find the own address of each interface that has several left, as far as possible."""
        for at, addresses in self._own.items():
            private = {*filter(_is_private, addresses)} if len(addresses) > 1 else set()
            self._settle(at, private or addresses)
        while True:
            # An address that is known to be that of one interface is not that of another one.
            left = {at: addresses for at, addresses in self._own.items() if len(addresses) > 1}
            free = {
                at: {one for one in each if not self._owners.get(one, set()) - {at[0]}} for at, each in left.items()
            }
            decided = {at: addresses for at, addresses in free.items() if len(addresses) == 1}
            if not decided:
                break
            for at, addresses in decided.items():
                self._settle(at, addresses)
        if may_guess:
            pairs: dict[frozenset[bytes], list[tuple[bytes, bool]]] = defaultdict(list)
            for at, addresses in left.items():
                pairs[frozenset(addresses)].append(at)
            for both, interfaces in pairs.items():
                if len(interfaces) == 2 == len(both):
                    for at, address in zip(sorted(interfaces), sorted(both)):
                        self._settle(at, {address})

    def _settle(self, at: tuple[bytes, bool], addresses: set[bytes]) -> None:
        """Keep the addresses that an interface may have. If there is one, the interface has it."""
        self._own[at] = addresses
        if len(addresses) == 1:
            self._owners[min(addresses)].add(at[0])


def _is_private(text: bytes) -> bool:
    try:
        address = ip_address(text.decode())
    except ValueError:
        return False
    private = CLASSES.having(['private'])
    return any(part.version == address.version and part.first <= int(address) <= part.last for part in private)
