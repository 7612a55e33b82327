"""Background threads, which a system may refuse to start."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread


def in_background(work: Callable[[], None]) -> bool:
    """Start a thread for `work`. Return False if the system has no more threads: a container may have few."""
    try:
        # A daemon: a stalled read must not keep the process from ending.
        Thread(target=work, daemon=True).start()
    except RuntimeError:
        return False
    return True
