"""A page with charts and tables: one HTML file that loads nothing.

Texts of the log are untrusted. In HTML and JSON they are escaped, the script escapes them for Plotly (which knows some
tags), and the page's policy allows its own two scripts only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape
from importlib.util import find_spec
from operator import add, sub
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..errors import MissingExtraError
from ..query.conditions import PROTOCOLS
from ..query.result import Column, Result, Tables
from ..records.fields import Kind
from ..records.times import UTC, iso
from .stream import writing

BLUE, RED, GREY = '#3b82c4', '#d9583b', '#8a94a3'
BAR = 30
# Texts that are longer than an IPv4 address or an interface id may be broken anywhere.
LONG = 24
# Longer tables are scrolled.
TALL = 60
PATHS = {
    1: 'same VPC', 2: 'internet gateway or gateway endpoint', 3: 'virtual private gateway',
    4: 'peering in the Region', 5: 'peering between Regions', 6: 'Local Zone', 7: 'gateway endpoint',
    8: 'internet gateway',
}  # fmt: skip
NAMES: dict[str, dict[int, str]] = {
    'protocol': {number: name for name, number in PROTOCOLS.items()},
    'traffic_path': PATHS,
}
HEADINGS = {
    'bytes_sent': 'sent', 'bytes_received': 'received', 'dstports': 'ports', 'src_az_id': 'source',
    'dst_az_id': 'destination',
}  # fmt: skip


class Series(NamedTuple):
    """A column that is drawn: its name in the legend, and its colour."""

    column: str
    name: str
    colour: str


class Chart(NamedTuple):
    """A chart of some columns, which count `unit`."""

    draw: Callable[[Chart, Rows], dict[str, Any]]
    unit: str
    series: tuple[Series, ...]


class Part(NamedTuple):
    """A part of the page: a table with a row for each `group`, and its charts. `link` joins the `keys` of a row."""

    table: str
    title: str
    about: str
    group: str
    keys: tuple[str, ...]
    charts: tuple[Chart, ...]
    link: str = ' → '


class Rows:
    """The rows of a table, of which there are `groups` in all."""

    def __init__(self, part: Part, columns: Sequence[Column], rows: Sequence[Sequence[Any]], groups: int, tz: tzinfo):
        self.part = part
        self.columns = columns
        self.rows = rows
        self.groups = groups
        self.tz = tz
        self._place = {column.name: at for at, column in enumerate(columns)}

    def values(self, name: str) -> list[Any]:
        if name == 'unknown':
            flows, *verdicts = map(self.values, ('flows', 'accepted', 'rejected'))
            return [*map(sub, flows, map(add, *verdicts))]
        return [row[self._place[name]] for row in self.rows]

    def counted(self) -> str:
        """Return how many rows there are, and of how many."""
        count, (noun, *rest) = len(self.rows), self.part.group.split(' ')
        of_all = f' of {self.groups:,}' if self.groups > count else ''
        plural = '' if count == 1 and not of_all else 's'
        return ' '.join([f'{count:,}{of_all} {noun}{plural}', *rest, *self._interval()])

    def _interval(self) -> Iterator[str]:
        """Yield the length of the intervals of a timeline."""
        if not self.part.keys and len(self.rows) > 1:
            first, second = self.values('start')[:2]
            yield f'of {(second - first) // timedelta(minutes=1):,} min'

    def labels(self) -> list[str]:
        """Return the keys of each row as one text, with names for numbers."""
        keys = [[_name(key, value) for value in self.values(key)] for key in self.part.keys]
        return [self.part.link.join(values) for values in zip(*keys)]


def _name(field: str, value: object) -> str:
    if value is None:
        return '(none)'
    return NAMES.get(field, {}).get(value, str(value)) if isinstance(value, int) else str(value)


# -- charts -----------------------------------------------------------------------------------------------------------


def _bars(chart: Chart, rows: Rows) -> dict[str, Any]:
    """Return a bar for each row, the first one at the top, with its label above it."""
    places = [*range(len(rows.rows))]
    data: list[dict[str, Any]] = [
        {
            'type': 'bar',
            'orientation': 'h',
            'name': series.name,
            'x': rows.values(series.column),
            'y': places,
            'width': 0.42,
            'offset': 0,
            'marker': {'color': series.colour},
            'hovertemplate': '%{customdata}<br>' + _counted(chart, series) + '<extra></extra>',
        }
        for series in chart.series
    ]
    label = {
        'type': 'scatter',
        'mode': 'text',
        'textposition': 'middle right',
        'cliponaxis': False,
        'hoverinfo': 'skip',
    }
    data.append({**label, 'x': [0] * len(places), 'y': [place - 0.22 for place in places], 'showlegend': False})
    layout = {
        'height': BAR * len(places) + 90,
        'xaxis': _number_axis(chart, rows),
        'yaxis': {'range': [len(places) - 0.4, -0.6], 'visible': False, 'fixedrange': True},
    }
    return {'data': data, 'layout': layout, 'labels': rows.labels()}


def _times(chart: Chart, rows: Rows) -> dict[str, Any]:
    """Return a bar for each interval, as wide as the interval."""
    starts = [*map(_seconds, rows.values('start'))]
    seconds = starts[1] - starts[0] if len(starts) > 1 else 60
    moments = [datetime.fromtimestamp(start, rows.tz).strftime('%Y-%m-%d %H:%M:%S') for start in starts]
    data = [
        {
            'type': 'bar',
            'name': series.name,
            'x': moments,
            'y': rows.values(series.column),
            'width': seconds * 1000,
            'offset': 0,
            'marker': {'color': series.colour, 'line': {'width': 0}},
            'hovertemplate': '%{x|%Y-%m-%d %H:%M}<br>' + _counted(chart, series, 'y') + '<extra></extra>',
        }
        for series in chart.series
    ]
    axis = {'type': 'date', 'showgrid': False, 'tickangle': 0, 'nticks': 7, 'fixedrange': True}
    layout = {'height': 300, 'xaxis': axis, 'yaxis': {**_number_axis(chart, rows), 'automargin': True}}
    return {'data': data, 'layout': layout}


def _matrix(chart: Chart, rows: Rows) -> dict[str, Any]:
    """Return a field for each pair of keys: the first one across, the second one down."""
    (series,) = chart.series
    sources, destinations = ([*map(_escaped, map(str, rows.values(key)))] for key in rows.part.keys)
    across, down = sorted({*sources}), sorted({*destinations})
    found = dict(zip(zip(sources, destinations), rows.values(series.column)))
    data = {
        'type': 'heatmap',
        'x': across,
        'y': down,
        'z': [[found.get((source, destination)) for source in across] for destination in down],
        'xgap': 2,
        'ygap': 2,
        'colorscale': [[0, '#a9c9e8'], [1, '#1f5f9e']],
        'showscale': False,
        'texttemplate': '%{z:.3s}',
        'hovertemplate': '%{x} → %{y}<br>' + _counted(chart, series, 'z') + '<extra></extra>',
    }
    axis = {'type': 'category', 'showgrid': False, 'fixedrange': True}
    layout = {
        'height': 44 * len(down) + 110,
        'xaxis': {**axis, 'title': {'text': 'source'}, 'tickangle': 0},
        'yaxis': {**axis, 'title': {'text': 'destination'}, 'autorange': 'reversed', 'automargin': True},
    }
    return {'data': [data], 'layout': layout}


def _counted(chart: Chart, series: Series, axis: str = 'x') -> str:
    name = f' {series.name}' if len(chart.series) > 1 else ''
    return f'%{{{axis}:,d}} {chart.unit}{name}'


def _number_axis(chart: Chart, rows: Rows) -> dict[str, Any]:
    suffix = 'B' if chart.unit == 'bytes' else ''
    axis = {
        'tickformat': '~s', 'ticksuffix': suffix, 'nticks': 6, 'tickangle': 0, 'rangemode': 'tozero',
        'fixedrange': True, 'title': {'text': chart.unit, 'standoff': 8},
    }  # fmt: skip
    few = max(_stacked(chart, rows)) < 6
    return {**axis, 'tickformat': 'd', 'dtick': 1, 'nticks': None} if few else axis


def _stacked(chart: Chart, rows: Rows) -> list[int]:
    """Return the sum of the series for each row."""
    return [sum(values) for values in zip(*(rows.values(series.column) for series in chart.series))]


def _escaped(text: str) -> str:
    """Return a text as Plotly shows it: it knows some tags."""
    return escape(text, quote=False)


def _layout(drawn: dict[str, Any], series: int) -> dict[str, Any]:
    """Add what all charts have in common."""
    common = {
        'barmode': 'stack',
        'bargap': 0,
        'autosize': True,
        'dragmode': False,
        'font': {'family': 'system-ui, sans-serif', 'size': 13},
        'margin': {'l': 8 if 'labels' in drawn else 60, 'r': 12, 't': 34, 'b': 46},
        'paper_bgcolor': 'rgba(0,0,0,0)',
        'plot_bgcolor': 'rgba(0,0,0,0)',
        'showlegend': series > 1,
        'legend': {'orientation': 'h', 'traceorder': 'normal', 'x': 0, 'y': 1, 'yanchor': 'bottom'},
        'hovermode': 'closest',
    }
    return {**drawn, 'layout': {**common, **drawn['layout']}}


# -- the parts --------------------------------------------------------------------------------------------------------

_BYTES = Chart(_bars, 'bytes', (Series('bytes', '', BLUE),))
_REJECTED = Chart(_bars, 'flows', (Series('flows', '', RED),))
_VERDICTS = (
    Series('accepted', 'accepted', BLUE),
    Series('rejected', 'rejected', RED),
    Series('unknown', 'no verdict', GREY),
)
PARTS = (
    Part(
        'timeline', 'Over time', 'Flows by the time of their first packet.', 'interval', (),
        (Chart(_times, 'flows', _VERDICTS), Chart(_times, 'bytes', (Series('bytes', '', BLUE),))),
    ),
    Part(
        'pairs', 'Pairs of hosts', 'Source and destination with the most bytes.', 'pair', ('srcaddr', 'dstaddr'),
        (_BYTES,),
    ),
    Part(
        'hosts', 'Hosts', 'Addresses with the most bytes. A flow counts at both of its ends.', 'host', ('addr',),
        (Chart(_bars, 'bytes', (Series('bytes_sent', 'sent', BLUE), Series('bytes_received', 'received', GREY))),),
    ),
    Part(
        'ports', 'Destination ports', 'Destination ports with the most bytes.', 'port', ('dstport', 'protocol'),
        (_BYTES,), '/',
    ),
    Part(
        'rejected_sources', 'Rejected, by source', 'Sources with the most rejected flows.', 'source', ('srcaddr',),
        (_REJECTED,),
    ),
    Part(
        'rejected_ports', 'Rejected, by destination port', 'Destination ports with the most rejected flows.', 'port',
        ('dstport', 'protocol'), (_REJECTED,), '/',
    ),
    Part(
        'scans', 'Scans',
        'Sources of flows to the most different destination ports. A flow to a higher port than its own is taken for a '
        'reply, and does not count. “rejected” are all rejected flows of the source.',
        'source', ('srcaddr',), (Chart(_bars, 'port', (Series('dstports', '', BLUE),)),),
    ),
    Part('protocols', 'Protocols', 'Protocols with the most bytes.', 'protocol', ('protocol',), (_BYTES,)),
    Part(
        'interfaces', 'Interfaces', 'Network interfaces with the most bytes.', 'interface', ('interface_id',),
        (_BYTES,),
    ),
    Part('directions', 'Direction', 'Seen from the interface.', 'direction', ('flow_direction',), (_BYTES,)),
    Part(
        'zones', 'Availability Zones',
        'Bytes between the zones of the interfaces of this log, and what is outside of them. A flow between two of '
        'these interfaces counts once.',
        'pair of zones', ('src_az_id', 'dst_az_id'),
        (Chart(_matrix, 'bytes', (Series('bytes', '', BLUE),)),),
    ),
    Part(
        'services', 'AWS services', 'The AWS services of the source and the destination of the packets.',
        'pair of services', ('pkt_src_aws_service', 'pkt_dst_aws_service'), (_BYTES,),
    ),
    Part(
        'paths', 'Traffic path', 'How egress traffic leaves the VPC.', 'path', ('traffic_path',), (_BYTES,),
    ),
)  # fmt: skip
# Parts that are shown even if they have no rows: that nothing was rejected is an answer.
ALWAYS = ('rejected_sources', 'rejected_ports')


class Page:
    """Writes several tables as a page, when all of them and what is told about the read are known.

    `written` counts the rows. Raises MissingExtraError if Plotly is not installed.
    """

    def __init__(self, stdout: BinaryIO, tz: tzinfo = UTC) -> None:
        self._stdout = stdout
        self._tz = tz
        self._library = _library()
        self._tables: dict[str, tuple[tuple[Column, ...], list[tuple[Any, ...]], int]] = {}
        self.written = 0
        self.before_write: Callable[[], None] | None = None

    def write(self, result: Result) -> None:
        """Read a result to its end. Raises the errors of the read."""
        assert isinstance(result, Tables)
        for name, table, groups in result.tables:
            rows = [*table]
            self._tables[name] = table.columns, rows, groups
            self.written += len(rows)

    def flush(self) -> None:
        """Nothing is written before the end."""

    def end(self, facts: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
        """Write the page. `facts` and `notes` say what was read, and what is missing. Raises OutputError."""
        if not self._tables:
            return
        if self.before_write:
            self.before_write()
        page = ''.join(self._html(facts, notes)).encode('utf-8', 'backslashreplace')
        with writing():
            self._stdout.write(page)
            self._stdout.flush()

    def _html(self, facts: Sequence[tuple[str, str]], notes: Sequence[str]) -> Iterator[str]:
        script = _asset('page.js')
        parts = [self._rows(part) for part in PARTS if part.table in self._tables]
        shown = [rows for rows in parts if rows.rows or rows.part.table in ALWAYS]
        charts: list[dict[str, Any]] = []
        title = f'Flow logs: {facts[0][1]}' if facts else 'Flow logs'
        yield (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, self._library)}">\n'
            f'<title>{escape(title)}</title>\n<style>\n{_asset("page.css")}</style>\n</head>\n<body>\n'
            '<header>\n<h1>Flow log report</h1>\n'
        )
        yield from _definitions('facts', [*facts, *self._span()])
        if notes:
            yield '<ul class="notes" aria-label="What to know about these numbers">\n'
            yield from (f'<li>{escape(note)}</li>\n' for note in notes)
            yield '</ul>\n'
        yield from self._totals()
        links = ''.join(f'<li><a href="#{rows.part.table}">{escape(rows.part.title)}</a></li>\n' for rows in shown)
        yield f'</header>\n<nav aria-label="Contents"><ul>\n{links}</ul></nav>\n<main>\n'
        for rows in shown:
            yield from _section(rows, charts)
        yield f'</main>\n<script type="application/json" id="charts">{_json(charts)}</script>\n'
        yield f'<script>{self._library}</script>\n<script>{script}</script>\n</body>\n</html>\n'

    def _rows(self, part: Part) -> Rows:
        columns, rows, groups = self._tables[part.table]
        return Rows(part, columns, rows, groups, self._tz)

    def _span(self) -> Iterator[tuple[str, str]]:
        names = {'start': 'First packet', 'end': 'Last packet'}
        for name, value in self._sums().items():
            if name in names and value:
                yield names[name], iso(_seconds(value), self._tz)

    def _sums(self) -> dict[str, Any]:
        columns, rows, _ = self._tables['totals']
        return {column.name: value for column, value in zip(columns, rows[0])}

    def _totals(self) -> Iterator[str]:
        """The sums of everything, and how many there are of each."""
        sums = self._sums()
        facts = [(name, f'{sums[name]:,}') for name in ('flows', 'accepted', 'rejected', 'packets', 'bytes')]
        facts += [
            (name, f'{self._tables[name][2]:,}') for name in ('hosts', 'pairs', 'interfaces') if self._tables[name][1]
        ]
        yield from _definitions('sums', facts)


def _section(rows: Rows, charts: list[dict[str, Any]]) -> Iterator[str]:
    """A part of the page; its charts are added to `charts`."""
    part = rows.part
    yield f'<section id="{part.table}" aria-labelledby="{part.table}-title">\n'
    yield f'<h2 id="{part.table}-title">{escape(part.title)}</h2>\n<p class="soft">{escape(part.about)}</p>\n'
    if not rows.rows:
        yield '<p>None.</p>\n</section>\n'
        return
    yield '<div class="part">\n<div>\n'
    for number, chart in enumerate(part.charts):
        shown = chart._replace(series=tuple(series for series in chart.series if _is_drawn(rows, series)))
        name = f'{part.table}-chart-{number}'
        charts.append({'id': name, **_layout(chart.draw(shown, rows), len(shown.series))})
        alternative = escape(_alternative(shown, rows))
        yield f'<figure class="chart" id="{name}" role="img" aria-label="{alternative}"></figure>\n'
    yield '</div>\n'
    yield from _table(rows)
    yield '</div>\n</section>\n'


def _table(rows: Rows) -> Iterator[str]:
    """A table with all numbers as text. It can be scrolled with the keyboard."""
    label = escape(rows.part.title)
    tall = ' tall' if len(rows.rows) > TALL else ''
    yield f'<div class="table{tall}" tabindex="0" role="region" aria-label="{label}: table">\n<table>\n'
    yield f'<caption>{escape(rows.counted())}</caption>\n<thead><tr>'
    for column in rows.columns:
        kind = ' class="number"' if _is_sum(column, rows) else ''
        yield f'<th scope="col"{kind}>{_heading(column.name)}</th>'
    yield '</tr></thead>\n<tbody>\n'
    for row in rows.rows:
        yield f'<tr>{"".join([_cell(column, value, rows) for column, value in zip(rows.columns, row)])}</tr>\n'
    yield '</tbody>\n</table>\n</div>\n'


def _cell(column: Column, value: Any, rows: Rows) -> str:
    if column.kind is Kind.TIME:
        return f'<td class="text">{escape(iso(_seconds(value), rows.tz))}</td>'
    if _is_sum(column, rows):
        groups = f'{value:,}'.split(',')
        return f'<td class="number">{"".join([f"<span>{digits}</span>" for digits in groups])}</td>'
    text = '-' if value is None else str(value)
    name = _name(column.name, value)
    more = '' if value is None or name == text else f' <span class="soft">{escape(name)}</span>'
    kind = 'long' if len(text) > LONG else 'text'
    return f'<td class="{kind}">{escape(text)}{more}</td>'


def _heading(name: str) -> str:
    return escape(HEADINGS.get(name, name)).replace('_', '_<wbr>')


def _is_sum(column: Column, rows: Rows) -> bool:
    return column.kind is Kind.INTEGER and column.name not in rows.part.keys


def _is_drawn(rows: Rows, series: Series) -> bool:
    return series.column != 'unknown' or any(rows.values('unknown'))


def _alternative(chart: Chart, rows: Rows) -> str:
    """Return a chart in words."""
    sums = _stacked(chart, rows)
    largest = max(range(len(sums)), key=sums.__getitem__)
    where = rows.labels()[largest] if rows.part.keys else iso(_seconds(rows.values('start')[largest]), rows.tz)
    what = f'{rows.part.title}: chart of {chart.unit} for {rows.counted()}'
    return f'{what}. The most, {sums[largest]:,}, are of {where}. The table has all numbers.'


def _definitions(name: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f'<dl class="{name}">\n'
    for term, value in pairs:
        yield f'<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>\n'
    yield '</dl>\n'


def _seconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


# -- what the page is made of -----------------------------------------------------------------------------------------


def _library() -> str:
    """Return plotly.js. The Python package has one file of it, with all charts.

    It is read without an import: that takes longer than reading it.
    """
    package = find_spec('plotly')
    if not package or not package.submodule_search_locations:
        raise MissingExtraError('report', 'a report')
    text = Path(package.submodule_search_locations[0], 'package_data', 'plotly.min.js').read_text('utf-8')
    # As a part of a page it must not have the tag that ends it.
    return text.replace('</script', '<\\/script')


def _asset(name: str) -> str:
    data = pkgutil.get_data(__package__, name)
    assert data is not None
    return data.decode()


def _policy(*scripts: str) -> str:
    """Return the policy of the page: these scripts run, and no address is loaded."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = ' '.join([f"'sha256-{digest}'" for digest in hashes])
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _json(value: object) -> str:
    r"""Return JSON that a script element can hold.

    >>> _json('</script>\u2028')
    '"\\u003c/script\\u003e\\u2028"'
    """
    text = json.dumps(value, separators=(',', ':'))
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
