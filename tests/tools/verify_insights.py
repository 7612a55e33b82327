"""Try on AWS what nobody could verify about CloudWatch Logs Insights, for a few cents. For people with an AWS account:

    python tests/tools/verify_insights.py --region eu-west-1

It creates a log group, stores some hundred lines in it, runs small queries, says for each point what it saw and whether
that is what the program relies on, and deletes the log group. The exit status is 1 if something is not as expected.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from botocore.session import Session

from flowlogs_reader.cli.main import main as flowlogs_reader
from tests import traffic
from tests.tools.trial import Point, Seen, tell

STREAM = 'eni-0123456789abcdef0-all'
RECORDS = 300
# Longer than any small query takes, in seconds.
PATIENCE = 120
COMMANDS = (
    'top srcaddr dstport',
    'top srcaddr/16 -w dstport!=443 -w srcaddr=10.0.0.0/8 --by flows',
    'top dstport -w addr=2600:1f18::/32',
    'top srcaddr -w bytes>=1000 -w packets!=-',
    'timeline 7s',
    'ipset',
    'aggregate srcaddr dstaddr --both-ways --flows',
    'findip 10.0.3.7',
    'print -w action=REJECT',
)
PARSE = (
    'parse @message /^(?<vVersion>[0-9]+) .* (?<vBytes>[0-9-]+) (?<vStart>[0-9]+) [0-9]+ (?<vAction>[!-~]+) [A-Z]+$/'
)


class InsightsTrial:
    """A log group of one's own, and queries."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.logs = Session(profile=options.profile).create_client('logs', options.region)
        self.group = options.log_group
        self.start = int(time.time()) // 60 * 60 - 3600
        self.end = self.start + RECORDS
        self.lines = [line.decode() for line in traffic.lines(RECORDS, per_second=1, start=self.start)]
        record = '2 1 eni-0 10.0.0.4 10.0.0.9 22 50000 6 1 {} {} {} ACCEPT OK'
        # Two numbers whose sum is more than 64-bit floating point holds exactly; odd lines; SKIPDATA.
        self.lines += [record.format(9_007_199_254_740_992 + at, self.start + 200, self.start + 201) for at in (1, 2)]
        self.lines += ['nothing like a record', record.format('40  ', self.start + 9, self.start + 9)]
        self.lines.append(f'2 1 eni-0 - - - - - - - {self.start + 30} {self.start + 90} - SKIPDATA')

    @contextmanager
    def stored(self) -> Iterator[None]:
        """Create the log group, and wait until the lines can be found; delete it at the end."""
        self.logs.create_log_group(logGroupName=self.group)
        try:
            self.logs.create_log_stream(logGroupName=self.group, logStreamName=STREAM)
            events = [{'timestamp': self._time(line), 'message': line} for line in self.lines]
            events.sort(key=lambda event: event['timestamp'])
            self.logs.put_log_events(logGroupName=self.group, logStreamName=STREAM, logEvents=events)
            for _ in range(PATIENCE):
                if self.counted('stats count(*) as n') == len(self.lines):
                    break
                time.sleep(self.options.pause)
            yield
        finally:
            self.logs.delete_log_group(logGroupName=self.group)

    def _time(self, line: str) -> int:
        values = line.split()
        return int(values[10] if len(values) > 10 else self.start + 60) * 1000

    def run(self, query: str, stop: bool = False, **more: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
        """Return the answer to a query at its end, and its rows."""
        asked = {'startTime': self.start, 'endTime': self.end, 'queryString': query, **more}
        number = self.logs.start_query(logGroupName=self.group, **asked)['queryId']
        if stop:
            self.logs.stop_query(queryId=number)
        for _ in range(PATIENCE):
            answer: dict[str, Any] = self.logs.get_query_results(queryId=number)
            if answer['status'] not in ('Scheduled', 'Running'):
                break
            time.sleep(self.options.pause)
        else:
            self.logs.stop_query(queryId=number)
        return answer, [{cell['field']: cell.get('value', '') for cell in row} for row in answer['results']]

    def counted(self, query: str) -> int:
        _, rows = self.run(query)
        return int(float(rows[0]['n'])) if rows else 0

    def command(self, *argv: str) -> tuple[int, bytes, str]:
        """The exit status, stdout and stderr of the command line over the log group."""
        stdout, stderr = io.BytesIO(), io.StringIO()
        place = ['--region', self.options.region] if self.options.region else []
        place += ['--profile', self.options.profile] if self.options.profile else []
        window = ['-s', str(self.start), '-e', str(self.end)]
        status = flowlogs_reader([self.group, *argv, *window, *place], io.BytesIO(), stdout, stderr)
        return status, stdout.getvalue(), stderr.getvalue()


# -- what is looked at ------------------------------------------------------------------------------------------------


def estimates(trial: InsightsTrial) -> Seen:
    _, rows = trial.run(f'{PARSE}\n| stats count(*) as n by vAction\n| limit 100000\n| estimate')
    _, said, _ = trial.command('top', '--engine', 'insights', '--estimate', '-o', 'jsonl')
    return Seen(f'the answer to `estimate` is {rows}; read as {said.decode().strip()}', b'"bytes": null' not in said)


def texts_of_queries(trial: InsightsTrial) -> Seen:
    problems = []
    for command in COMMANDS:
        status, _, said = trial.command(*command.split(), '--engine', 'insights', '--estimate')
        if status:
            problems.append(f'{command}: {said.strip()}')
    return Seen('; '.join(problems) or f'the queries of {len(COMMANDS)} commands are taken', not problems)


def parsed_text(trial: InsightsTrial) -> Seen:
    """Numbers that were parsed are text: comparisons, arithmetic, sums and extremes of them."""
    middle = trial.start + 100
    found = trial.counted(f'{PARSE} | filter vStart >= {middle} and vStart < {middle + 10} | stats count(*) as n')
    expected = sum(middle <= int(line.split()[10]) < middle + 10 for line in trial.lines[:RECORDS])
    _, rows = trial.run(
        f'{PARSE} | filter ispresent(vVersion) | stats min(vStart) as low, max(vStart) as high, count(*) as n '
        f'by vStart - (vStart % 100) as bucket'
    )
    low = min(int(float(row['low'])) for row in rows)
    return Seen(f'{found} lines of {expected} are in a part of the window; the first is at {low}; a row is {rows[0]}',
                found == expected and low == trial.start)  # fmt: skip


def large_sums(trial: InsightsTrial) -> Seen:
    _, rows = trial.run(f'{PARSE} | filter strlen(vBytes) = 16 | stats sum(replace(vBytes, "-", "0")) as n')
    exact = 2 * 9_007_199_254_740_992 + 3
    return Seen(f'a sum of {exact} comes back as {rows}')


def missing_names(trial: InsightsTrial) -> Seen:
    _, rows = trial.run(
        f'{PARSE} | stats count(*) as n by coalesce(vAction, concat("raw ", @message)) as k0, vVersion as k1 | limit 50'
    )
    raw = [row for row in rows if row.get('k0', '').startswith('raw ')]
    return Seen(f'lines that do not match come back as {raw[:2]}', any('nothing like' in row['k0'] for row in raw))


def compared_with_missing(trial: InsightsTrial) -> Seen:
    texts = ['vAction != "x"', 'not (vAction = "x")', 'vAction = "x"']
    odd = [
        trial.counted(f'{PARSE} | filter {text} and not ispresent(vVersion) | stats count(*) as n') for text in texts
    ]
    return Seen(f'of lines without the name, {", ".join(texts)} keep {odd}')


def one_second(trial: InsightsTrial) -> Seen:
    answer, rows = trial.run('stats count(*) as n', startTime=trial.start + 5, endTime=trial.start + 5)
    return Seen(f'a window whose end is its start: {answer["status"]}, {rows}', rows[0]['n'] == '1')


def cut_rows(trial: InsightsTrial) -> Seen:
    answer, rows = trial.run(f'{PARSE} | stats count(*) as n by vStart | limit 7')
    return Seen(f'{len(rows)} rows at a limit of 7; the statistics are {answer.get("statistics")}', len(rows) == 7)


def answers(trial: InsightsTrial) -> Seen:
    different = []
    for command in COMMANDS:
        options = ['-w', 'bytes<9000000000000000']
        (_, local, _), (_, remote, said) = (
            trial.command(*command.split(), *options, *more) for more in ([], ['--engine', 'insights'])
        )
        if sorted(local.splitlines()) != sorted(remote.splitlines()):
            different.append(f'{command}: {said.splitlines()[-1:]}')
    return Seen('; '.join(different) or f'{len(COMMANDS)} commands give what a direct read gives', not different)


def stopped(trial: InsightsTrial) -> Seen:
    try:
        answer, _ = trial.run('stats count(*) as n', stop=True)
    except trial.logs.exceptions.InvalidParameterException as error:
        return Seen(f'the query was complete before it could be stopped: {error}')
    return Seen(f'a query that is stopped at once ends as {answer["status"]}: {answer.get("statistics")}')


POINTS = (
    Point('What does `estimate` answer?', estimates),
    Point('Are the queries of all commands taken?', texts_of_queries),
    Point('Are numbers that were parsed compared and summed as numbers?', parsed_text),
    Point('How are sums above 2^53?', large_sums),
    Point('Do coalesce and concat take names that a line lacks?', missing_names),
    Point('What does a comparison with a missing name give?', compared_with_missing),
    Point('Is a window of one second taken?', one_second),
    Point('How is a cut at the limit shown?', cut_rows),
    Point('Are the answers those of a direct read?', answers),
    Point('What does a query cost that is stopped?', stopped),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description='Try on AWS what could not be verified about CloudWatch Logs Insights.'
    )
    parser.add_argument('--log-group', default='verify-flowlogs-reader', help='to be created, and deleted at the end')
    parser.add_argument('--region')
    parser.add_argument('--profile')
    parser.add_argument('--pause', type=float, default=1.0, help='seconds between two looks at a query')
    trial = InsightsTrial(parser.parse_args(argv))
    with trial.stored():
        failed = tell(POINTS, trial)
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
