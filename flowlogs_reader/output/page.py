"""A page with charts and tables: one HTML file that loads nothing.

Texts of the log are untrusted. In HTML and JSON they are escaped, the script escapes them for Plotly (which interprets
some tags), and the page's policy allows its own two scripts only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import MissingExtraError
from ..query.result import Column, Result, Tables
from ..records.fields import Kind
from ..records.times import UTC, iso
from .parts import ALWAYS, PARTS, Part, Rows, in_words, is_drawn, label_of, seconds_of, with_layout
from .stream import writing
from .writer import Style, Writer

# Texts that are longer than an IPv4 address or an interface id may be broken anywhere.
LONG = 24
# Longer tables are scrolled.
TALL = 30
HEADINGS = {
    'bytes_sent': 'sent', 'bytes_received': 'received', 'dstports': 'ports', 'src_az_id': 'source',
    'dst_az_id': 'destination',
}  # fmt: skip


class Page(Writer):
    """Writes several tables as one page, at the end of the read: the page also has the facts of the read.

    `written` counts the rows. Raises MissingExtraError if Plotly is not installed.
    """

    def __init__(self, stdout: BinaryIO, tz: tzinfo = UTC) -> None:
        super().__init__(stdout, Style(tz=tz))
        self._tz = tz
        self._library = _library()
        self._tables: dict[str, tuple[tuple[Column, ...], list[tuple[Any, ...]], int]] = {}

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
        script = _asset('page.js').encode()
        page = ''.join(self._html(facts, notes, _policy(script, self._library))).encode('utf-8', 'backslashreplace')
        with writing():
            for part in (page, self._library, b'</script>\n<script>', script, b'</script>\n</body>\n</html>\n'):
                self._stdout.write(part)
            self._stdout.flush()

    def _html(self, facts: Sequence[tuple[str, str]], notes: Sequence[str], policy: str) -> Iterator[str]:
        """Yield the page up to the text of its scripts."""
        parts = [self._rows(part) for part in PARTS if part.table in self._tables]
        shown = [rows for rows in parts if rows.rows or rows.part.table in ALWAYS]
        charts: list[dict[str, Any]] = []
        title = f'Flow logs: {facts[0][1]}' if facts else 'Flow logs'
        yield (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
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
        yield f'</main>\n<script type="application/json" id="charts">{_json(charts)}</script>\n<script>'

    def _rows(self, part: Part) -> Rows:
        columns, rows, groups = self._tables[part.table]
        return Rows(part, columns, rows, groups, self._tz)

    def _span(self) -> Iterator[tuple[str, str]]:
        names = {'start': 'First packet', 'end': 'Last packet'}
        for name, value in self._sums().items():
            if name in names and value:
                yield names[name], iso(seconds_of(value), self._tz)

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
        shown = chart._replace(series=tuple(series for series in chart.series if is_drawn(rows, series)))
        name = f'{part.table}-chart-{number}'
        charts.append({'id': name, **with_layout(chart.draw(shown, rows), len(shown.series))})
        alternative = escape(in_words(shown, rows))
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
        date, time = iso(seconds_of(value), rows.tz).split('T')
        return f'<td class="time"><span>{date}</span><wbr><span>T{time}</span></td>'
    if _is_sum(column, rows):
        groups = f'{value:,}'.split(',')
        return f'<td class="number">{"".join([f"<span>{digits}</span>" for digits in groups])}</td>'
    text = '-' if value is None else str(value)
    name = label_of(column.name, value)
    more = '' if value is None or name == text else f' <span class="soft">{escape(name)}</span>'
    kind = 'long' if len(text) > LONG else 'text'
    return f'<td class="{kind}">{escape(text)}{more}</td>'


def _heading(name: str) -> str:
    return escape(HEADINGS.get(name, name)).replace('_', '_<wbr>')


def _is_sum(column: Column, rows: Rows) -> bool:
    return column.kind is Kind.INTEGER and column.name not in rows.part.keys


def _definitions(name: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f'<dl class="{name}">\n'
    for term, value in pairs:
        # A long number may be broken after a comma.
        text = re.sub(r'(?<=\d),(?=\d)', ',<wbr>', escape(value))
        yield f'<div><dt>{escape(term)}</dt><dd>{text}</dd></div>\n'
    yield '</dl>\n'


# -- what the page is made of -----------------------------------------------------------------------------------------


def _library() -> bytes:
    """Return plotly.js, in UTF-8. The Python package has one file of it, with all charts.

    It is read without an import: that takes longer than reading it.
    """
    package = find_spec('plotly')
    if not package or not package.submodule_search_locations:
        raise MissingExtraError('report', 'a report')
    text = Path(package.submodule_search_locations[0], 'package_data', 'plotly.min.js').read_bytes()
    # The end tag of a script would end it in the page. A browser hashes the script with its own line ends.
    return text.replace(b'</script', b'<\\/script').replace(b'\r\n', b'\n')


def _asset(name: str) -> str:
    data = pkgutil.get_data(__package__, name)
    assert data is not None
    return data.decode()


def _policy(*scripts: bytes) -> str:
    """Return the policy of the page: these scripts run, and no address is loaded."""
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    allowed = ' '.join([f"'sha256-{digest}'" for digest in hashes])
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _json(value: object) -> str:
    r"""Return JSON that a script element can hold.

    >>> _json('</script>\u2028')
    '"\\u003c/script\\u003e\\u2028"'
    """
    text = json.dumps(value, separators=(',', ':'))
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
