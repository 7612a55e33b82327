"""The benchmark: its table is computed right. Nothing is installed or timed here."""

from pathlib import Path

import pytest

from tests.tools.bench import HEADER, Measurement, main, markdown, measure, table_row
from tests.tools.bench_jobs import FLOWS, GROWTH_JOBS, JOBS, RECORDS, Answer, Command, Goal, Row, numbers_answer

FLOW = b'2 123456789010 eni-1 10.0.0.1 10.0.0.2 0 0 1 10 840 1454324362 1454324422 ACCEPT OK\n'
SAME = Answer(1_000_000, 7)


class Stub:
    """A place where nothing is installed and nothing runs."""

    records, latency = 1_000, 200.0

    def program(self, who: str, name: str) -> str:
        return f'/{who}/{name}'

    def fake(self, *options: str) -> dict[str, str]:
        return {'OPTIONS': ' '.join(options)}

    def log(self) -> Path:
        return Path('/records.log.gz')


def measured(**others):
    return {
        'ours': [Measurement(1.0, 2.0, 70, SAME), Measurement(9.0, 1.0, 90, SAME), Measurement(2.0, 1.5, 80, SAME)],
        'it': [Measurement(20.0, 30.0, 50, SAME)] * 3,
        **others,
    }


def row(**changes):
    goals = (Goal('cpu', 20, 'CPU 20 × less'), Goal('wall', 11, 'wall 11 × less'), Goal('peak', 80, 'under 80 MiB'))
    return Row('print', 'ours', 'it', goals)._replace(**changes)


def test_list_names_every_job(capsys):
    assert main(['--list']) == 0
    assert capsys.readouterr().out.split() == [*JOBS, *GROWTH_JOBS]


def test_row_has_medians_ratios_and_verdicts():
    cells = table_row(row(), measured(), 1_000_000)
    assert len(cells) == len(HEADER)
    assert cells == [
        'print', 'it', '2.00 / 20.00', '1.50 / 30.00', '80 / 50', 'wall 10, CPU 20',
        'CPU 20 × less: ok; wall 11 × less: **short**; under 80 MiB: **short**', 'same, 1,000,000',
    ]  # fmt: skip


def test_row_of_ours_alone_has_the_cost_of_a_record():
    cells = table_row(row(beside=None, goals=()), measured(), 500_000)
    assert cells == ['print', '', '2.00', '1.50', '80', '3.00 µs CPU a record', '', '1,000,000']


@pytest.mark.parametrize(
    'answer, words',
    [
        (Answer(999_999, 7), '**differ**: 999,999 and 1,000,000'),
        (Answer(1_000_000, 8), '**differ** in content'),
        (Answer(1_000_000), 'same, 1,000,000'),
        (None, '**differ**: 0 and 1,000,000'),
    ],
)
def test_row_compares_the_answers(answer, words):
    wrong_once = [Measurement(1.0, 1.0, 1, SAME), Measurement(1.0, 1.0, 1, answer)]
    assert table_row(row(), measured(it=wrong_once), 1)[-1] == words
    assert table_row(row(check='other'), measured(other=wrong_once), 1)[-1] == words


def test_row_of_a_command_that_failed_says_why():
    cells = table_row(row(), measured(it=[Measurement(0.1, 0.1, 1, failure='no such option (status 2)')]), 1)
    assert cells == ['print', 'it', '', '', '', '', '', '**failed**: no such option (status 2)']


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
    assert FLOWS([header, dates]) == FLOWS([seconds, header])
    assert FLOWS([dates]) != FLOWS([seconds.replace(b'62\n', b'63\n')])


def test_a_command_is_measured_with_its_answer(tmp_path):
    found = measure(Command('echo "$COUNT" 12', numbers_answer, {'COUNT': '3'}), tmp_path / 'output')
    assert (found.answer, found.failure) == (Answer(3, 12), '')
    assert min(found[:3]) > 0


def test_a_command_that_fails_is_told_in_its_own_words(tmp_path):
    found = measure(Command('echo 3; echo trouble >&2; exit 4', numbers_answer), tmp_path / 'output')
    assert (found.answer, found.failure) == (None, 'trouble (status 4)')


@pytest.mark.parametrize('name', [*JOBS, *GROWTH_JOBS])
def test_rows_of_a_job_are_made_of_its_commands(name):
    job = {**JOBS, **GROWTH_JOBS}[name](Stub())
    assert job.rows
    for line in job.rows:
        assert {line.ours, line.beside or line.ours, line.check or line.ours} <= set(job.commands)
        assert job.commands[line.ours].line.startswith('/ours/')
