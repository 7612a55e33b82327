"""Entry point of ``python -m flowlogs_reader`` and of the command ``flowlogs_reader``."""

from __future__ import annotations

import gc
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


def run() -> int:
    """Run the command line and return its exit status. Ctrl-C is handled from here on, during imports too."""
    # With the default threshold, garbage collection takes a tenth of a run, and finds nothing to free.
    gc.set_threshold(100_000)
    # pyarrow's own allocators keep what was freed: `top` over a Parquet file of 1,000,000 records takes 100 MB more.
    os.environ.setdefault('ARROW_DEFAULT_MEMORY_POOL', 'system')
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        sys.unraisablehook = _interrupt_again
    try:
        from .cli.main import main

        return main()
    except (KeyboardInterrupt, RuntimeError) as error:
        # Python 3.11 makes a RuntimeError of what is raised while it creates a class: in an import.
        if KeyboardInterrupt in (type(error), type(error.__cause__)):
            return 130
        raise
    finally:
        # Python looks for garbage when it ends, which takes 10 ms: leave that to the system.
        gc.freeze()
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Restore the default handler: a second Ctrl-C, during cleanup, ends the process at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Repeat a Ctrl-C that met a finalizer, or a callback of an import: Python prints and drops what they raise."""
    if unraisable.exc_type is KeyboardInterrupt and hasattr(signal, 'setitimer'):  # not on Windows
        signal.signal(signal.SIGALRM, _interrupt)
        # Not at once: this function is still a part of the finalizer.
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == '__main__':
    sys.exit(run())
