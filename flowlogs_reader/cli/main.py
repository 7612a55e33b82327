"""The command line: streams in, exit status out. --help and usage errors do not import what only a run needs."""

from __future__ import annotations

import os
import sys
from io import StringIO

from ..errors import OutputError
from ..output.stream import binary_stream, writing
from .options import COMPLETING
from .parser import make_parser
from .status import Exit, Status
from .stderr import print_message, redirect_to_null, write

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
    """Run the command line, and return its exit status. Streams, time and clock default to those of the process."""
    stderr = stderr or sys.stderr or StringIO()
    if stdout is None:
        if sys.stdout is None:
            print_message(stderr, 'standard output is closed')
            return Status.NOT_ALL_READ
        # With PYTHONUNBUFFERED, a write to sys.stdout may write only a part: use a separate buffer.
        stdout = binary_stream(sys.stdout.fileno())
    try:
        status = _run(sys.argv[1:] if argv is None else argv, stdin, stdout, stderr, now, clock)
        with writing():
            stdout.flush()
    except BrokenPipeError:
        redirect_to_null(stdout)
        return Status.DONE
    except (OutputError, OSError) as error:
        print_message(stderr, str(error))
        redirect_to_null(stdout)
        return Status.NOT_ALL_READ
    except MemoryError:
        print_message(stderr, 'there is not enough memory: the output holds a part of the answer, or nothing')
        redirect_to_null(stdout)
        return Status.NOT_ALL_READ
    except KeyboardInterrupt:
        if stderr.isatty():
            # The terminal shows ^C: the prompt of the shell begins a new line.
            write(stderr, '\n')
        redirect_to_null(stdout)
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
    if shell := os.environ.get(COMPLETING):
        from .completion import candidates

        with writing():
            stdout.write(''.join([f'{word}\n' for word in candidates([*argv] or [''], shell)]).encode())
        return Status.DONE
    parser = make_parser((stdout, stderr))
    try:
        options = parser.options(argv)
        # These imports take a tenth of a second.
        from .clock import Clock
        from .run import Run

        clock = clock or Clock(stdout, now)
        return Run(options, stdin, stdout, stderr, now or clock.now(), clock).run(parser)
    except Exit as end:
        return end.status
