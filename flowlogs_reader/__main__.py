"""``python -m flowlogs_reader``, and the command of that name."""

from __future__ import annotations

import gc
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


def run() -> int:
    """The whole command line, its imports included, within reach of Ctrl-C. Returns the exit status."""
    # Data of the imports and of the reading is no garbage: looking through it again and again takes a tenth of a run.
    gc.set_threshold(100_000)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from .cli.main import main

        return main()
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A second Ctrl-C, while Python tidies up, ends the process at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


if __name__ == '__main__':
    sys.exit(run())
