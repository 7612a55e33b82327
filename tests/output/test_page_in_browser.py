"""The page of a report in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowlogs_reader.output.parts import PARTS
from tests.browser import BROWSER, Browser
from tests.conftest import Cli
from tests.output.test_page import HOSTILE, Texts, hostile_log, page_of, v5

pytestmark = pytest.mark.skipif(not BROWSER, reason='no Chromium is installed: pages are not opened')


@pytest.fixture(scope='module')
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp('profile')) as browser:
        yield browser


TROUBLE = ('Runtime.exceptionThrown', 'Runtime.consoleAPICalled', 'Log.entryAdded')
# Of each chart: how many bars or cells are drawn, and the texts in it.
DRAWN = """[...document.querySelectorAll('.chart')].map((chart) => ({
    id: chart.id,
    marks: chart.querySelectorAll('.bars .point path, .heatmaplayer image').length,
    width: chart.querySelector('.main-svg').clientWidth,
    texts: [...chart.querySelectorAll('text')].map((text) => text.textContent),
    inside: chart.getBoundingClientRect().right <= innerWidth,
}))"""


@pytest.mark.parametrize(('width', 'dark'), [(390, False), (1280, True)], ids=['phone, light', 'desktop, dark'])
def test_every_chart_is_drawn(browser: Browser, cli: Cli, tmp_path: Path, width: int, dark: bool) -> None:
    page = tmp_path / 'report.html'
    page.write_text(page_of(cli, v5(tmp_path)))
    browser.open(page, width, 900, dark)
    assert [event for event in browser.events if event['method'] in TROUBLE] == []
    requests = [
        event['params']['request']['url'] for event in browser.events if event['method'] == 'Network.requestWillBeSent'
    ]
    assert [url for url in requests if not url.startswith('data:')] == [page.as_uri()]
    drawn = browser.value(DRAWN)
    assert len(drawn) == len(PARTS) + 1
    tables = Texts(page.read_text()).tables
    for chart in drawn:
        rows = len(tables[chart['id'].partition('-')[0]]) - 1
        series = 2 if chart['id'] in ('timeline-chart-0', 'hosts-chart-0') else 1
        assert chart['marks'] == (1 if chart['id'].startswith('zones') else rows * series), chart['id']
        assert chart['inside'] and chart['width'] > 250
    assert browser.value('document.documentElement.scrollWidth') <= width
    # The table of times is not cut, and all charts of numbers begin at 0.
    assert browser.value("(table => table.scrollWidth - table.clientWidth)(document.querySelector('.table'))") == 0
    assert all('0' in chart['texts'] for chart in drawn if not chart['id'].startswith('zones'))
    # Numbers have commas; what is copied has digits only.
    comma = "getComputedStyle(document.querySelector('#pairs .number span + span'), '::before').content"
    assert browser.value(comma) == '","'
    copied = browser.value(
        "getSelection().selectAllChildren(document.querySelector('#pairs tbody')), `${getSelection()}`"
    )
    assert [line.split('\t') for line in copied.splitlines()] == tables['pairs'][1:]
    shown = browser.value("getComputedStyle(document.querySelector('.chart text')).fill")
    assert (int(re.findall(r'\d+', shown)[0]) > 128) == dark


def test_hostile_texts_do_nothing_on_a_screen_and_on_paper(browser: Browser, cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / 'report.html'
    page.write_text(page_of(cli, '-', stdin=hostile_log()))
    browser.open(page)
    assert browser.value('typeof hacked') == 'undefined'
    assert [event for event in browser.events if event['method'] in TROUBLE] == []
    (chart,) = [chart for chart in browser.value(DRAWN) if chart['id'] == 'interfaces-chart-0']
    assert {*HOSTILE} <= {*chart['texts']}
    assert browser.value("document.querySelectorAll('.chart a, img, main script').length") == 0
    browser.print(tmp_path / 'report.pdf')
    assert (tmp_path / 'report.pdf').read_bytes().startswith(b'%PDF')
