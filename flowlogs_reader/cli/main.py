"""The command line: streams in, exit status out. What a run needs is imported when it is known that there is one."""

from __future__ import annotations

import sys
from io import StringIO

from ..errors import OutputError
from ..output.stream import writing
from .parser import make_parser
from .status import Exit, Status
from .stderr import abandon, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import BinaryIO, TextIO

    from .clock import Clock


def main(
    argv: Sequence[str] | None = None,
    stdin: BinaryIO | None = None,
    stdout: BinaryIO | None = None,
    stderr: TextIO | None = None,
    now: datetime | None = None,
    clock: Clock | None = None,
) -> int:
    """Run the command line, and return its exit status. The streams, the time and the clock can be handed in."""
    stderr = stderr or sys.stderr or StringIO()
    if stdout is None:
        if sys.stdout is None:
            tell(stderr, 'standard output is closed')
            return Status.NOT_ALL_READ
        # A buffer of its own: with PYTHONUNBUFFERED the one of sys.stdout may write a part and say so.
        stdout = open(sys.stdout.fileno(), 'wb', closefd=False)
    try:
        status = _run(sys.argv[1:] if argv is None else argv, stdin, stdout, stderr, now, clock)
        with writing():
            stdout.flush()
    except BrokenPipeError:
        abandon(stdout)
        return Status.DONE
    except (OutputError, OSError) as error:
        tell(stderr, str(error))
        abandon(stdout)
        return Status.NOT_ALL_READ
    except KeyboardInterrupt:
        abandon(stdout)
        return Status.INTERRUPTED
    return status


def _run(
    argv: Sequence[str],
    stdin: BinaryIO | None,
    stdout: BinaryIO,
    stderr: TextIO,
    now: datetime | None,
    clock: Clock | None,
) -> int:
    parser = make_parser((stdout, stderr))
    try:
        options = parser.options(argv)
        # A tenth of a second that --help and typing errors need not wait for.
        from .clock import Clock
        from .run import Run

        clock = clock or Clock(stdout, now)
        return Run(stdin, stdout, stderr, now or clock.now(), clock).run(options, parser)
    except Exit as end:
        return end.status
