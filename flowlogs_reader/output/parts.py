"""The parts of a report's page: what they are called, and their charts as data and layout for Plotly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape
from operator import add, sub
from typing import Any, NamedTuple

from ..query.names import NAMED, name_of
from ..query.result import Column
from ..records.times import UTC, iso

BLUE, RED, GREY = '#3b82c4', '#d9583b', '#8a94a3'
BAR = 30


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
        """Return the values of a column, or as 'unknown' the flows that were neither accepted nor rejected."""
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
        keys = [[label_of(key, value) for value in self.values(key)] for key in self.part.keys]
        return [self.part.link.join(values) for values in zip(*keys)]


def label_of(field: str, value: object) -> str:
    """Return a value as charts show it: with its name, if it has one."""
    if value is None:
        return '(none)'
    text = str(value)
    return name_of(field, text.encode()).decode() if field in NAMED else text


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
        'height': BAR * len(places) + (90 if len(chart.series) > 1 else 64),
        'xaxis': _number_axis(chart, rows),
        'yaxis': {'range': [len(places) - 0.4, -0.6], 'visible': False, 'fixedrange': True},
    }
    return {'data': data, 'layout': layout, 'labels': rows.labels()}


def _times(chart: Chart, rows: Rows) -> dict[str, Any]:
    """Return a bar for each interval, as wide as the interval."""
    starts = [*map(seconds_of, rows.values('start'))]
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
    # Ticks that are not seen keep the first time away from the 0 of the other axis.
    ticks = {'ticks': 'outside', 'ticklen': 6, 'tickcolor': 'rgba(0,0,0,0)'}
    axis = {'type': 'date', 'showgrid': False, 'tickangle': 0, 'nticks': 7, 'fixedrange': True, **ticks}
    layout = {'height': 300, 'xaxis': axis, 'yaxis': {**_number_axis(chart, rows), 'automargin': True}}
    return {'data': data, 'layout': layout}


def _matrix(chart: Chart, rows: Rows) -> dict[str, Any]:
    """Return a cell for each pair of keys: the first key is across, the second one down."""
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
    axis = {
        'tickformat': '~s', 'nticks': 6, 'tickangle': 0, 'rangemode': 'tozero',
        'fixedrange': True, 'title': {'text': chart.unit, 'standoff': 8},
    }  # fmt: skip
    few = max(_stacked(chart, rows)) < 6
    return {**axis, 'tickformat': 'd', 'dtick': 1, 'nticks': None} if few else axis


def _stacked(chart: Chart, rows: Rows) -> list[int]:
    """Return the sum of the series for each row."""
    return [sum(values) for values in zip(*(rows.values(series.column) for series in chart.series))]


def _escaped(text: str) -> str:
    """Return a text that Plotly shows as it is: Plotly interprets some tags."""
    return escape(text, quote=False)


def with_layout(drawn: dict[str, Any], series: int) -> dict[str, Any]:
    """Add what all charts have in common."""
    common = {
        'barmode': 'stack',
        'bargap': 0,
        'autosize': True,
        'dragmode': False,
        'font': {'family': 'system-ui, sans-serif', 'size': 13},
        'margin': {'l': 8 if 'labels' in drawn else 60, 'r': 12, 't': 34 if series > 1 else 8, 'b': 46},
        'paper_bgcolor': 'rgba(0,0,0,0)',
        'plot_bgcolor': 'rgba(0,0,0,0)',
        'showlegend': series > 1,
        'legend': {'orientation': 'h', 'traceorder': 'normal', 'x': 0, 'y': 1, 'yanchor': 'bottom'},
        'hovermode': 'closest',
    }
    return {**drawn, 'layout': {**common, **drawn['layout']}}


def is_drawn(rows: Rows, series: Series) -> bool:
    """Whether a series is drawn: flows without a verdict only if there are any."""
    return series.column != 'unknown' or any(rows.values('unknown'))


def in_words(chart: Chart, rows: Rows) -> str:
    """Return a chart in words."""
    sums = _stacked(chart, rows)
    largest = max(range(len(sums)), key=sums.__getitem__)
    where = rows.labels()[largest] if rows.part.keys else iso(seconds_of(rows.values('start')[largest]), rows.tz)
    what = f'{rows.part.title}: chart of {chart.unit} for {rows.counted()}'
    return f'{what}. The most, {sums[largest]:,}, are of {where}. The table has all numbers.'


def seconds_of(moment: datetime) -> int:
    """Return a naive time in UTC as Unix seconds."""
    return int(moment.replace(tzinfo=UTC).timestamp())


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
        'ports', 'Destination ports',
        'Destination ports with the most bytes. A reply goes to the port of the client.', 'port',
        ('dstport', 'protocol'), (_BYTES,), '/',
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
        'source', ('srcaddr',), (Chart(_bars, 'ports', (Series('dstports', '', BLUE),)),),
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
