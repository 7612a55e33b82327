"""The page of a report: its texts and tables."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from flowlogs_reader.cli.main import main
from flowlogs_reader.output.parts import PARTS
from tests.conftest import DATA, MINUTE, NOW, SEED_REGION, Cli
from tests.engines.test_report import V5, vpc
from tests.fake.aws import FakeAWS
from tests.roads import Log
from tests.streams import Screen
from tests.traffic import lines

MINUTE_LOG = str(DATA / 'seed-minute.log')
# What a log may hold where AWS writes a name: canonical lines have any printable characters but spaces.
HOSTILE = [
    '</script><script>hacked=1</script>',
    '<img/src=x/onerror=hacked=1>',
    '"onmouseover="hacked=1',
    "'};hacked=1;//",
    '<!--<script>',
    '<b>bold</b>',
    '<a/href="javascript:hacked=1">x</a>',
    '%{x}&lt;&amp;',
    '${hacked=1}`',
]


class Texts(HTMLParser):
    """The tables of a page by section, its terms with their descriptions, notes and headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.captions: dict[str, str] = {}
        self.terms: dict[str, str] = {}
        self.notes: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._section = self._term = ''
        self._text = ''
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == 'section':
            self._section = dict(attrs)['id'] or ''
            self.tables[self._section] = []
        if tag == 'tr':
            self.tables[self._section].append([])
        if tag in ('td', 'th', 'dt', 'dd', 'li', 'caption'):
            self._text = ''

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ('td', 'th'):
            self.tables[self._section][-1].append(self._text)
        if tag == 'dt':
            self._term = self._text
        if tag == 'dd':
            self.terms[self._term] = self._text
        if tag == 'caption':
            self.captions[self._section] = self._text
        if tag == 'li' and not self._section:
            self.notes.append(self._text.strip())


def page_of(cli: Cli, *argv: str, **more: Any) -> str:
    return str(cli(*argv, 'report', **more).stdout.decode())


def v5(path: Path, count: int = 300) -> str:
    log = path / 'v5.log'
    log.write_bytes(Log(vpc(count), V5).text())
    return str(log)


def test_the_tables_have_the_numbers_of_top_and_timeline(cli: Cli, tmp_path: Path) -> None:
    log = v5(tmp_path)
    page = Texts(page_of(cli, log))

    def told(*argv: str) -> list[list[str]]:
        return [line.split('\t') for line in cli(log, *argv, '--no-header').lines]

    def rows(name: str, keys: int) -> list[list[str]]:
        """As top has them: the sums first, and no name beside a number."""
        return [[*row[keys:], *(value.split(' ')[0] for value in row[:keys])] for row in page.tables[name][1:]]

    minutes = re.fullmatch(r'\d+ intervals of (\d+) min', page.captions['timeline'])
    assert minutes
    assert page.tables['timeline'][1:] == told('timeline', f'{minutes[1]}m')
    assert rows('pairs', 2) == told('top', '15')
    assert rows('ports', 2) == told('top', '15', 'dstport', 'protocol')
    assert rows('protocols', 1) == told('top', 'protocol')
    assert rows('interfaces', 1) == told('top', '15', 'interface_id')
    assert rows('directions', 1) == told('top', 'flow_direction')
    flows_first = ('-w', 'action=REJECT', '--by', 'flows')
    ranked = [[row[2], row[0], row[1], *row[3:]] for row in told('top', '15', 'srcaddr', *flows_first)]
    assert rows('rejected_sources', 1) == ranked
    ranked = [[row[2], row[0], row[1], *row[3:]] for row in told('top', '15', 'dstport', 'protocol', *flows_first)]
    assert rows('rejected_ports', 2) == ranked
    ports = told('top', '15', 'srcaddr', '--distinct', 'dstport', '--by', 'dstport', '-w', 'dstport<srcport')
    assert [[row[0], row[1]] for row in page.tables['scans'][1:]] == [[row[-1], row[3]] for row in ports]
    totals = [int(number) for number in told('timeline', '1d')[0][1:]]
    assert [int(page.terms[name].replace(',', '')) for name in ('flows', 'bytes', 'packets')] == totals[:3]


def test_what_was_read_and_what_is_missing(seeded: FakeAWS, cli: Cli) -> None:
    seeded.put_lines('VPCFlowLogGroup', [b'nonsense'], SEED_REGION)
    skipped = b'2 743065858817 eni-63444414 - - - - - - - 1454337327 1454337387 - SKIPDATA'
    seeded.put_lines('VPCFlowLogGroup', [skipped], SEED_REGION)
    result = cli('VPCFlowLogGroup', '--region', SEED_REGION, 'report', '-w', 'srcport!=1', '--tz', 'Asia/Tokyo')
    page = Texts(result.stdout.decode())
    assert page.terms['Source'].startswith('VPCFlowLogGroup in ap-northeast-1')
    assert page.terms['Window'] == '2016-02-01T23:00:00+09:00 to 2016-02-02T00:00:00+09:00'
    assert page.terms['Condition'] == 'srcport!=1'
    assert page.terms['Lines left out'].startswith('1 ')
    assert page.terms['Skipped by AWS'].startswith('1 ')
    assert page.terms['Unreadable'].startswith('0 ')
    assert page.terms['Not delivered yet'].startswith('some records after 2016-02-01T23:45:00+09:00')
    assert page.terms['First packet'] == '2016-02-01T23:35:27+09:00'
    # The page has every line of stderr.
    told = [line.removeprefix('flowlogs_reader: ') for line in result.stderr.splitlines()]
    assert [note for note in page.notes if note in told] == told
    assert len(told) == 2


def test_an_object_that_cannot_be_read_is_on_the_page(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / 'a.log').write_bytes(MINUTE)
    (tmp_path / 'b.log.gz').write_bytes(b'\x1f\x8b\x08\x00nonsense')
    page = Texts(page_of(cli, f'{tmp_path}/', status=1))
    assert page.terms['Unreadable'].startswith('1 ')
    assert any('b.log.gz' in note for note in page.notes)
    assert len(page.tables['pairs']) == 6


def test_a_read_that_fails_before_the_first_record_writes_nothing(seeded: FakeAWS, cli: Cli) -> None:
    result = cli('nowhere', 'report', status=1)
    assert result.stdout == b''
    assert 'there is no log group' in result.stderr


def test_a_read_that_ends_early_is_a_page_that_says_so(fake: FakeAWS, cli: Cli) -> None:
    fake.add_log_group('flows', lines=[*lines(1000, start=int(NOW.timestamp()) - 2000, per_second=1)])
    fake.logs.page_events = 100
    fake.fault('FilterLogEvents', 'deny', at=5)
    result = cli('flows', '--thread-count', '1', 'report', status=1)
    page = Texts(result.stdout.decode())
    told = result.stderr.splitlines()[-1].removeprefix('flowlogs_reader: ')
    assert told in page.notes
    assert 'AccessDenied' in told
    assert 300 < int(page.terms['flows']) < 500
    # Tables that are filled in other threads have all that was read too.
    for header, *rows in (page.tables['timeline'], page.tables['protocols']):
        assert sum(int(row[header.index('flows')]) for row in rows) == int(page.terms['flows'])


def test_no_records_are_a_page_too(cli: Cli) -> None:
    page = Texts(page_of(cli, MINUTE_LOG, '-w', 'dstport=1'))
    assert page.terms['flows'] == '0'
    assert any(note.startswith('no records') for note in page.notes)
    assert [name for name, rows in page.tables.items() if rows] == []


def test_hostile_texts_are_texts(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / '<i>&.log'
    log.write_bytes(hostile_log())
    page = page_of(cli, str(log))
    tables = Texts(page).tables
    assert {row[0] for row in tables['interfaces'][1:]} == {*HOSTILE}
    assert {row[0] for row in tables['rejected_sources'][1:]} == {*HOSTILE}
    scripts = [attrs for tag, attrs in Texts(page).tags if tag == 'script']
    assert scripts == [{'type': 'application/json', 'id': 'charts'}, {}, {}]
    assert not [tag for tag, attrs in Texts(page).tags if any(name.startswith('on') for name in attrs)]
    assert not {'img', 'b', 'i', 'a/href'} & {tag for tag, _ in Texts(page).tags}
    data = re.search(r'id="charts">(.*?)</script>', page)
    assert data
    assert not {'<', '>', '&', '\u2028'} & {*data[1]}
    assert {*HOSTILE} == {
        label for chart in json.loads(data[1]) if 'interfaces' in chart['id'] for label in chart['labels']
    }


def hostile_log() -> bytes:
    rows = [f'{text} {text} 10.0.0.1 5 40 100 160 REJECT {number}' for number, text in enumerate(HOSTILE)]
    header = 'interface-id srcaddr dstaddr packets bytes start end action traffic-path'
    return '\n'.join([header, *rows, '']).encode()


def test_the_page_loads_nothing_and_is_small(cli: Cli, tmp_path: Path) -> None:
    page = page_of(cli, v5(tmp_path))
    assert len(page.encode()) < 6_000_000
    texts = Texts(page)
    addresses = [
        value
        for tag, attrs in texts.tags
        for name, value in attrs.items()
        if name in ('src', 'srcset', 'href', 'data', 'action', 'poster')
    ]
    assert {*addresses} == {f'#{part.table}' for part in PARTS}
    policy = next(attrs['content'] for tag, attrs in texts.tags if 'http-equiv' in attrs)
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert '@import' not in page.partition('</style>')[0]


def test_a_page_has_what_a_screen_reader_needs(cli: Cli, tmp_path: Path) -> None:
    tags = Texts(page_of(cli, v5(tmp_path))).tags
    assert ('html', {'lang': 'en'}) in tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch('h[1-6]', tag)]
    assert levels == [1, *[2] * len(PARTS)]
    figures = [attrs for tag, attrs in tags if tag == 'figure']
    assert len(figures) == len(PARTS) + 1
    assert all(figure['role'] == 'img' and len(str(figure['aria-label'])) > 40 for figure in figures)
    assert all(attrs == {'scope': 'col'} or attrs['scope'] == 'col' for tag, attrs in tags if tag == 'th')
    assert sum(tag == 'caption' for tag, _ in tags) == len(PARTS)


def test_rows_as_many_as_asked_for(cli: Cli, tmp_path: Path) -> None:
    page = Texts(cli(v5(tmp_path), 'report', '2').stdout.decode())
    assert len(page.tables['pairs']) == len(page.tables['hosts']) == 3
    assert page.captions['hosts'] == '2 of 12 hosts'


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('argument', ['0', 'x', '-1', '1 2', ''])
def test_other_numbers_of_rows_are_refused(cli: Cli, argument: str) -> None:
    assert 'report takes how many rows' in cli(MINUTE_LOG, 'report', '--', *argument.split(' '), status=2).stderr


@pytest.mark.parametrize('options', [['-o', 'csv'], ['--header'], ['--raw'], ['-c', 'all'], ['--by', 'flows']])
def test_options_of_lines_are_refused(cli: Cli, options: list[str]) -> None:
    assert 'does not go with report' in cli(MINUTE_LOG, 'report', *options, status=2).stderr


def test_without_plotly_one_line_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('flowlogs_reader.output.page.find_spec', lambda name: None)
    result = cli(MINUTE_LOG, 'report', status=1)
    assert result.stdout == b''
    assert result.stderr == 'flowlogs_reader: a report needs a library: pip install "plotly>=5.10"\n'


def test_a_terminal_is_refused_with_the_remedy() -> None:
    ours, theirs = os.openpty()
    stderr = StringIO()
    with open(theirs, 'wb') as stdout:
        assert main([MINUTE_LOG, 'report'], BytesIO(), stdout, stderr, NOW) == 2
    os.close(ours)
    assert stderr.getvalue().endswith('send it to a file, as in … report > report.html\n')


@pytest.mark.parametrize('instead', ['--estimate', '--engine insights --estimate', '--engine insights --show-query'])
def test_a_terminal_shows_what_a_report_would_take(instead: str, seeded: FakeAWS) -> None:
    stdout, stderr = Screen(), StringIO()
    argv = ['VPCFlowLogGroup', 'report', '--region', SEED_REGION, *instead.split()]
    assert main(argv, BytesIO(), stdout, stderr, NOW) == 0, stderr.getvalue()
    assert stdout.getvalue().startswith((b'engine ', b'# StartQuery '))
