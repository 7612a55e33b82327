"""The benchmark: its table is computed right. Nothing is installed or timed here."""

import re

import pytest

from tests.tools.bench import HEADER, Measurement, main, markdown, measure, table_row
from tests.tools.bench_jobs import GROWTH_JOBS, JOBS, JSON, RECORDS, TABLE, Answer, Command, Goal, Row, numbers_answer

FLOW = b'2 123456789010 eni-1 10.0.0.1 10.0.0.2 0 0 1 10 840 1454324362 1454324422 ACCEPT OK\n'
SAME = Answer(1_000_000, 7)


class Stub:
    """A place where nothing is installed and nothing runs."""

    records, latency = 1_000, 200.0

    def program(self, who: str, name: str) -> str:
        return f'/{who}/{name}'

    def fake(self, *options: str) -> dict[str, str]:
        return {'OPTIONS': ' '.join(options)}

    def files(self, kind: str) -> str:
        return {'gz file': '/records.log.gz', 'Parquet file': '/records.parquet'}.get(kind, '/records/')


def measured(**others):
    return {
        'ours': [Measurement(1.0, 2.0, 70, SAME), Measurement(9.0, 1.0, 90, SAME), Measurement(2.0, 1.5, 80, SAME)],
        'it': [Measurement(20.0, 30.0, 50, SAME)] * 3,
        **others,
    }


def row(**changes):
    goals = (Goal('cpu', 20, 'CPU 20 × less'), Goal('wall', 11, 'wall 11 × less'), Goal('peak', 80, 'under 80 MiB'))
    return Row('print', 'ours', ('it',), goals)._replace(**changes)


def test_list_names_every_job(capsys):
    assert main(['--list']) == 0
    assert capsys.readouterr().out.split() == [*JOBS, *GROWTH_JOBS]


def test_row_has_medians_ratios_and_verdicts():
    cells = table_row(row(), measured(), 1_000_000)
    assert len(cells) == len(HEADER)
    assert cells == [
        'print', '2.00 s, CPU 1.50 s, 80 MiB', '', '`it`: 20.00 s, CPU 30.00 s, 50 MiB', 'CPU 20',
        'CPU 20 × less: ok; wall 11 × less: **short**; under 80 MiB: **short**', 'same, 1,000,000',
    ]  # fmt: skip


def test_row_is_beside_the_best_of_the_others_and_has_both_kernels():
    times = {'pure': 4.0, 'it': 3.0, 'DuckDB': 1.0}
    runs = measured(**{who: [Measurement(wall, wall, 9, SAME)] for who, wall in times.items()})
    goals = (Goal('wall', 0.5, 'within 2 ×'), Goal('wall', 1, 'as fast'))
    cells = table_row(row(beside=('it', 'DuckDB'), goals=goals, pure='pure', metric='wall'), runs, 1)
    assert cells[2:] == [
        '4.00 s, CPU 4.00 s, 9 MiB', '`it`: 3.00 s, CPU 3.00 s, 9 MiB; DuckDB: 1.00 s, CPU 1.00 s, 9 MiB',
        'wall 0.5, pure 0.25; **DuckDB is faster**', 'within 2 ×: ok; as fast: **short**', 'same, 1,000,000',
    ]  # fmt: skip


def test_row_of_ours_alone_has_the_cost_of_a_record():
    cells = table_row(row(beside=(), goals=()), measured(), 500_000)
    assert cells == ['print', '2.00 s, CPU 1.50 s, 80 MiB', '', '', '3.00 µs CPU a record', '', '1,000,000']


@pytest.mark.parametrize(
    'answer, words',
    [
        (Answer(999_999, 7), '**differ** (`{}`): 999,999 and 1,000,000'),
        (Answer(1_000_000, 8), '**differ** (`{}`): in content'),
        (Answer(1_000_000), 'same, 1,000,000'),
        (None, '**differ** (`{}`): 0 and 1,000,000'),
    ],
)
def test_row_compares_the_answers(answer, words):
    wrong_once = [Measurement(1.0, 1.0, 1, SAME), Measurement(1.0, 1.0, 1, answer)]
    assert table_row(row(), measured(it=wrong_once), 1)[-1] == words.format('it')
    assert table_row(row(check=('other',)), measured(other=wrong_once), 1)[-1] == words.format('other')
    assert table_row(row(pure='other'), measured(other=wrong_once), 1)[-1] == words.format('other')


BROKEN = [Measurement(0.1, 0.1, 1, failure='sh: mawk: not found (status 127)')]


def test_row_of_ours_that_failed_says_why():
    words = '**failed**: sh: mawk: not found (status 127)'
    assert table_row(row(), measured(ours=BROKEN), 1) == ['print', *[''] * 5, words]
    assert table_row(row(pure='pure'), measured(pure=BROKEN), 1) == ['print', *[''] * 5, words]


def test_row_does_without_a_peer_that_failed_and_says_why():
    two = table_row(row(beside=('mawk', 'it')), measured(mawk=BROKEN), 1)
    assert two[3].startswith('`mawk`: **failed**, sh: mawk: not found (status 127); `it`: 20.00 s')
    assert two[4:] == [
        'CPU 20', 'CPU 20 × less: ok beside the rest; wall 11 × less: **short**; under 80 MiB: **short**',
        'same, 1,000,000',
    ]  # fmt: skip
    none = table_row(row(), measured(it=BROKEN), 1)
    goals = 'CPU 20 × less: **not measured**; wall 11 × less: **not measured**; under 80 MiB: **short**'
    assert none[4:] == ['', goals, '1,000,000']
    unchecked = table_row(row(check=('mawk',)), measured(mawk=BROKEN), 1)
    assert unchecked[-1] == '1,000,000, **not compared**: sh: mawk: not found (status 127)'


def test_row_is_markdown():
    assert markdown(['zcat | wc -l', '1']) == '| zcat \\| wc -l | 1 |'


def test_records_of_5_0_1_are_the_same_records():
    theirs = FLOW.rstrip(b'\n').replace(b' 0 0 ', b' - - ') + b' -' * 33 + b'\n'
    nodata = b'2 123456789010 eni-1 - - - - - - - 1454324362 1454324422 - NODATA\n'
    assert RECORDS([FLOW, nodata]) == RECORDS([nodata.rstrip(b'\n') + b' -' * 33 + b'\n', theirs])
    assert RECORDS([FLOW]) != RECORDS([FLOW.replace(b'840', b'841')])


def test_tables_with_dates_and_with_seconds_are_the_same():
    header = b'bytes\tdstaddr\tdstport\tend\tpackets\tprotocol\tsrcaddr\tsrcport\tstart\n'
    dates = b'840\t10.0.0.2\t0\t2016-02-01 11:00:22\t10\t1\t10.0.0.1\t0\t2016-02-01 10:59:22\n'
    seconds = b'840\t10.0.0.2\t0\t1454324422\t10\t1\t10.0.0.1\t0\t1454324362\n'
    iso = dates.replace(b' 1', b'T1').replace(b':22\t', b':22Z\t')
    assert TABLE([header, dates]) == TABLE([seconds]) == TABLE([iso]) == Answer(1, TABLE([dates]).total)
    assert TABLE([dates]) != TABLE([seconds.replace(b'62\n', b'63\n')])


def test_json_with_and_without_spaces_is_the_same():
    assert JSON([b'{"bytes": 1, "action": null}\n']) == JSON([b'{"bytes":1,"action":null}\n'])
    assert JSON([b'{"bytes": 1}\n']) != JSON([b'{"bytes": 2}\n'])


def test_a_command_is_measured_with_its_answer(tmp_path):
    found = measure(Command('echo "$COUNT" 12', numbers_answer, {'COUNT': '3'}), tmp_path / 'output')
    assert (found.answer, found.failure) == (Answer(3, 12), '')
    assert min(found[:3]) > 0


def test_a_command_that_fails_is_reported_in_its_own_words(tmp_path):
    found = measure(Command('echo 3; echo trouble >&2; exit 4', numbers_answer), tmp_path / 'output')
    assert (found.answer, found.failure) == (None, 'trouble (status 4)')


@pytest.mark.parametrize('name', [*JOBS, *GROWTH_JOBS])
def test_rows_of_a_job_are_made_of_its_commands(name):
    job = {**JOBS, **GROWTH_JOBS}[name](Stub())
    assert job.rows
    for line in job.rows:
        assert {line.ours, line.pure or line.ours, *line.beside, *line.check} <= set(job.commands)
        assert job.commands[line.ours].line.startswith('/ours/')
    for command in job.commands.values():
        assert not re.search('CONDITION|KEY|LOG|FILES', command.line.replace('FLOWLOGS', ''))  # all is filled in
