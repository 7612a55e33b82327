"""Try on AWS what nobody could verify about its engines, for a few cents. For people with an AWS account:

    python tests/tools/verify_engines.py --bucket my-scratch-bucket --output-location s3://my-scratch-bucket/results/

It runs verify_insights.py, and with a bucket verify_athena.py, which have more options. Both remove what they make. The
exit status is 1 if something is not as expected.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.tools import verify_athena, verify_insights


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Try on AWS what could not be verified about its engines.')
    parser.add_argument('--bucket', help='for Athena')
    parser.add_argument('--output-location', help='for results of Athena, if the workgroup has none')
    parser.add_argument('--region')
    parser.add_argument('--profile')
    parser.add_argument('--pause', default='1', help='seconds between two looks at a query')
    given = {f'--{name.replace("_", "-")}': value for name, value in vars(parser.parse_args(argv)).items() if value}
    shared = [word for name in ('--region', '--profile', '--pause') if name in given for word in (name, given[name])]
    own = [word for name in ('--bucket', '--output-location') if name in given for word in (name, given[name])]
    print('CloudWatch Logs Insights\n')
    failed = verify_insights.main(shared)
    if '--bucket' in given:
        print('\nAthena\n')
        failed |= verify_athena.main([*shared, *own])
    return failed


if __name__ == '__main__':
    sys.exit(main())
