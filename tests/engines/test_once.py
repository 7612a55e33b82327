"""--once: a flow that both ends recorded counts at its sender only. The sums are those of the VPC that made the log."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path

import pytest

from flowlogs_reader import FileFlowLogsReader, kernel
from flowlogs_reader.engines.once import EachFlowOnce, Witnesses
from flowlogs_reader.records.block import Block
from tests import sample_vpc as vpc
from tests.conftest import DATA, Cli
from tests.fake.aws import FakeAWS
from tests.roads import ROADS, Log
from tests.sample_vpc import HOSTS, NAT, Host, Record

LOGGED: dict[str, Callable[[Host], bool]] = {
    'twice': lambda host: True,  # every flow between two hosts is recorded twice
    'once': lambda host: host in (vpc.WEB, vpc.BATCH, vpc.PRIMARY),  # they do not talk to each other
    'mixture': lambda host: host.subnet != vpc.SECOND,
}
MADE = {name: vpc.records(logged=logged) for name, logged in LOGGED.items()}
WINDOW = ['-s', '1454324000', '-e', '1454326000']
FORMATS = {'default': vpc.DEFAULT, 'v5': vpc.V5}


def sums(records: Iterable[Record], *keys: str) -> dict[tuple[str, ...], list[int]]:
    """Return bytes, packets and the number of the records that count."""
    found: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for values, counts in records:
        if counts:
            total = found[tuple(values[key.replace('_', '-')] for key in keys)]
            for at, number in enumerate((int(values['bytes']), int(values['packets']), 1)):
                total[at] += number
    return dict(found)


def table(lines: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    return {tuple(row[3:]): [*map(int, row[:3])] for row in (line.split('\t') for line in lines[1:])}


def text(records: Iterable[Record], fields: Sequence[str]) -> bytes:
    return b''.join(line + b'\n' for line in [' '.join(fields).encode(), *(one.line(fields) for one in records)])


def test_the_sample_was_made_here() -> None:
    assert (DATA / 'sample-v5.log').read_bytes() == vpc.sample()


def test_the_logs_are_what_they_are_said_to_be() -> None:
    inside = {host.address for host in HOSTS if host is not NAT}
    for name, records in MADE.items():
        pairs = [one for one in records if {one.values['srcaddr'], one.values['dstaddr']} <= inside]
        counted = sum(one.counts for one in pairs)
        assert {'twice': counted < len(pairs) * 0.6, 'once': counted == len(pairs), 'mixture': True}[name]
        starts = {(one.values['start'], one.values['bytes']) for one in pairs if one.counts}
        copies = {(one.values['start'], one.values['bytes']) for one in pairs if not one.counts}
        assert len(copies - starts) >= len(copies) / 2  # their capture windows differ


@pytest.mark.parametrize('fields', FORMATS)
@pytest.mark.parametrize('made', MADE)
@pytest.mark.parametrize('road', ['cloudwatch', 's3 hourly', 'file gzip', 'stdin plain', 'file parquet', 's3 parquet'])
def test_the_sums_are_those_of_the_vpc(
    road: str, made: str, fields: str, fake: FakeAWS, tmp_path: Path, cli: Cli
) -> None:
    records = MADE[made]
    log = Log([one.line(FORMATS[fields]) for one in records], FORMATS[fields])
    read = ROADS[road].lay(log, fake, tmp_path).over(cli)
    for keys in (['srcaddr', 'dstaddr'], ['dstport'], ['dstaddr', 'protocol', 'srcport']):
        found = table(read('top', '9999', *keys, '--once', *WINDOW).lines)
        expected = sums(records, *keys)
        # Of two that talk to nobody else, a log without flow_direction does not tell whose records are which.
        assert {key: total[:2] for key, total in found.items()} == {key: total[:2] for key, total in expected.items()}
        if fields == 'v5':
            assert found == expected


@pytest.mark.parametrize('seed', range(6))
def test_any_part_of_the_vpc_may_be_logged(seed: int, cli: Cli) -> None:
    rng = random.Random(seed)
    chosen = {host for host in HOSTS if rng.random() < 0.6}
    records = vpc.records(rng.randrange(10, 60), seed, lambda host: host in chosen)
    for fields in FORMATS.values():
        found = table(cli('-', 'top', '9999', 'srcaddr', 'dstaddr', '--once', stdin=text(records, fields)).lines)
        expected = sums(records, 'srcaddr', 'dstaddr')
        assert {key: total[:2] for key, total in found.items()} == {key: total[:2] for key, total in expected.items()}


@pytest.mark.parametrize('made', MADE)
def test_every_action_counts_once(made: str, cli: Cli) -> None:
    records = MADE[made]
    log = text(records, vpc.V5)
    header, *rows = (
        line.split('\t') for line in cli('-', 'timeline', '1m', '--once', '--times', 'epoch', stdin=log).lines
    )
    by_minute: dict[str, int] = defaultdict(int)
    for values, counts in records:
        by_minute[str(int(values['start']) // 60 * 60)] += int(values['bytes']) * counts
    assert {row[0]: int(row[2]) for row in rows} == by_minute
    by_verdict = sums(records, 'action')
    rows = [line.split('\t') for line in cli('-', 'timeline', '1d', 'action', '--once', stdin=log).lines[1:]]
    assert {(row[1],): [int(row[3]), int(row[4]), int(row[2])] for row in rows} == by_verdict
    argv = ['-', 'aggregate', 'srcaddr', 'interface_id', '--flows', '--once']
    header, *rows = (line.split('\t') for line in cli(*argv, stdin=log).lines)
    found = [dict(zip(header, row)) for row in rows]
    assert {(row['srcaddr'], row['interface_id']): [int(row[name]) for name in ('bytes', 'packets', 'flows')]
            for row in found} == sums(records, 'srcaddr', 'interface_id')  # fmt: skip
    first = min(int(one.values['start']) for one in records if one.counts)
    assert min(row['start'] for row in found).endswith(f':{first % 60:02}')
    both = cli('-', 'aggregate', 'srcaddr', 'dstaddr', '--both-ways', '--once', '-o', 'csv', stdin=log).lines
    assert sum(int(row.split(',')[0]) for row in both[1:]) == sum(total[0] for total in by_verdict.values())
    found_ports = cli('-', 'top', '999', 'srcaddr', '--distinct', 'dstport', '--once', '--no-header', stdin=log).lines
    ports: dict[str, set[str]] = defaultdict(set)
    for values, counts in records:
        if counts:
            ports[values['srcaddr']].add(values['dstport'])
    assert {row.split('\t')[4]: int(row.split('\t')[3]) for row in found_ports} == {
        key: len(ports[key]) for key in ports
    }


def test_networks_are_made_after_the_addresses_were_compared(cli: Cli) -> None:
    records = MADE['twice']
    expected = sums(records, 'dstport', 'srcaddr')
    nets: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for (port, address), total in expected.items():
        key = (port, '.'.join(address.split('.')[:3]) + '.0/24')
        nets[key] = [sum(pair) for pair in zip(nets[key], total)]
    found = table(cli('-', 'top', '9999', 'dstport', 'srcaddr/24', '--once', stdin=text(records, vpc.V5)).lines)
    assert found == nets


def test_both_kernels_count_alike() -> None:
    for fields in FORMATS.values():
        found = {
            subprocess.run(
                [sys.executable, '-m', 'flowlogs_reader', '-', 'aggregate', '--once', '--flows'],
                input=text(MADE['mixture'], fields),
                env={**os.environ, 'FLOWLOGS_READER_PURE': pure},
                check=True,
                capture_output=True,
            ).stdout
            for pure in ('0', '1')
        }
        assert len(found) == 1


def test_a_rejection_that_only_the_receiver_recorded_stays(cli: Cli) -> None:
    """The sender's record says ACCEPT, so a condition leaves it out."""
    log = text([], vpc.DEFAULT) + b''.join(
        b'2 1 eni-%b 10.0.0.%b 10.0.0.%b 5000 %b 6 1 40 1454324400 1454324459 %b OK\n' % (at, one, other, port, action)
        for at, one, other, port, action in [
            (b'1', b'1', b'2', b'22', b'ACCEPT'), (b'2', b'1', b'2', b'22', b'REJECT'),
            (b'1', b'1', b'3', b'23', b'REJECT'), (b'2', b'2', b'3', b'23', b'REJECT'),
            (b'3', b'1', b'3', b'23', b'REJECT'),
        ]
    )  # fmt: skip
    rejected = cli('-', 'top', 'srcaddr', 'dstport', '-w', 'action=REJECT', '--once', '--no-header', stdin=log)
    assert rejected.lines == ['40\t1\t1\t10.0.0.1\t22', '40\t1\t1\t10.0.0.1\t23', '40\t1\t1\t10.0.0.2\t23']
    everything = cli('-', 'top', 'action', '--once', '--no-header', stdin=log)
    assert everything.lines == ['80\t2\t2\tREJECT', '40\t1\t1\tACCEPT']


def test_a_log_of_rejected_flows_only(cli: Cli) -> None:
    """The receivers recorded them, and their senders are in the log as receivers of others."""
    rejected = [(b'1', b'7', b'1'), (b'2', b'1', b'2'), (b'2', b'7', b'2'), (b'3', b'1', b'3'), (b'1', b'8', b'1')]
    log = text([], vpc.DEFAULT) + b''.join(
        b'2 1 eni-%b 10.0.0.%b 10.0.0.%b 5000 22 6 1 40 1454324400 1454324459 REJECT OK\n' % row for row in rejected
    )
    assert cli('-', 'top', 'action', '--once', '--no-header', stdin=log).lines == ['200\t5\t5\tREJECT']


def test_two_that_talk_to_nobody_else_count_once_if_it_does_not_matter_which(cli: Cli) -> None:
    pair = [one for one in MADE['twice'] if one.values['srcaddr'] == vpc.PRIMARY.address]
    log = text(pair, vpc.DEFAULT)
    once = sums(pair, 'srcaddr')[vpc.PRIMARY.address,]
    result = cli('-', 'top', 'srcaddr', '--once', stdin=log)
    assert table(result.lines)[vpc.PRIMARY.address,][:2] == once[:2]
    assert result.stderr == ''
    both = cli('-', 'top', 'interface_id', '--once', stdin=log)
    assert sum(total[0] for total in table(both.lines).values()) == 2 * once[0]
    told = 'flows were recorded at two interfaces and may count twice: the sender is not known'
    assert both.stderr == f'flowlogs_reader: {len(pair)} {told}\n'
    assert cli('-', 'top', 'interface_id', '--once', '--quiet', stdin=log).stderr == ''


def test_bytes_that_count_twice_are_reported_if_the_keys_show_it(cli: Cli) -> None:
    records = MADE['twice']
    twice = sum(int(values['bytes']) for values, counts in records if not counts)
    told = f'flowlogs_reader: {twice} bytes were recorded at both ends and count twice: --once counts them once\n'
    keys = ['interface_id', 'srcaddr', 'dstaddr']
    for argv, expected in (
        (['top', *keys, 'flow_direction'], told),
        (['aggregate', *keys, 'flow_direction'], told),
        (['top', *keys, '--once'], ''),
        (['top', 'srcaddr', 'dstaddr'], ''),
        (['top', 'interface_id', 'srcaddr/24', 'dstaddr'], ''),
    ):
        assert cli('-', *argv, stdin=text(records, vpc.V5)).stderr == expected
    assert cli('-', 'top', *keys, stdin=text(MADE['once'], vpc.V5)).stderr == ''


def test_ipv6_addresses_of_an_interface_are_its_own_too() -> None:
    rows = [
        b'eni-1 10.0.0.1 10.0.0.2 -', b'eni-2 10.0.0.1 10.0.0.2 -', b'eni-1 10.0.0.3 10.0.0.1 -',
        b'eni-1 2600::1 2600::2 -', b'eni-2 2600::1 2600::2 -', b'eni-1 2600::9 2600::1 -', b'eni-2 2600::2 2600::9 -',
        b'eni-2 10.0.0.2 8.8.8.8 -', b'- 10.0.0.1 10.0.0.2 -',
    ]  # fmt: skip
    found = kernel.Sums([None] * 4, ('bytes',))
    found.add_groups(b''.join(b'%b 1 40 - - 1\n' % row for row in rows))
    witnesses = Witnesses(found, all_records=True, may_guess=False)
    assert [b' '.join(row[:4]) for row in witnesses.copies()] == [rows[1], rows[4]]
    assert witnesses.undecided == 0


@pytest.mark.parametrize('lacking', ['interface-id', 'srcaddr', 'dstaddr'])
@pytest.mark.parametrize('action', ['top action', 'aggregate action', 'timeline'])
def test_a_log_that_does_not_say_who_recorded_is_an_error(action: str, lacking: str, cli: Cli) -> None:
    fields = [name for name in vpc.DEFAULT if name != lacking]
    result = cli('-', *action.split(), '--once', stdin=text(MADE['once'], fields), status=1)
    name = lacking.replace('-', '_')
    assert f'which flows were recorded twice is not known: this log has no field {name}; its fields' in result.stderr
    assert result.stdout == b''


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (['print', '--once'], '--once does not go with print: it is for top, aggregate, timeline'),
        (['ipset', '--once'], '--once does not go with ipset'),
        (['findip', '10.0.0.1', '--once'], '--once does not go with findip'),
        (['top', 'dstport', '--once', '--fields', 'srcaddr dstaddr dstport bytes'], '--fields has no interface_id'),
    ],
)
def test_arguments_that_do_not_fit(argv: list[str], says: str, fake: FakeAWS, cli: Cli) -> None:
    result = cli('group', *argv, status=2)
    assert says in result.stderr.splitlines()[-1]
    assert (result.stdout, fake.calls()) == (b'', [])


@pytest.mark.parametrize(('error', 'rows'), [(KeyboardInterrupt, 0), (OSError, 1)])
def test_nothing_is_summed_after_ctrl_c(error: type[BaseException], rows: int) -> None:
    """What was read before an error is; of a large log that takes seconds."""

    def fail(block: Block) -> None:
        raise error

    reader = FileFlowLogsReader(BytesIO(text(MADE['once'], vpc.DEFAULT)))
    reader.on_block = fail
    found = kernel.Sums([None], ())
    with pytest.raises(error):
        EachFlowOnce(found, [None], {'version'}, ()).read([reader], [('version',)], ['version'])
    assert len(found) == rows
