"""``python -m flowlogs_reader``, and the command of that name."""

import signal
import sys


def run() -> int:
    """The whole command line, its imports included, within reach of Ctrl-C. Returns the exit status."""
    try:
        from .cli import main

        return main()
    except KeyboardInterrupt:
        return 130
    finally:
        # A second Ctrl-C, while Python tidies up, ends the process at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == '__main__':
    sys.exit(run())
