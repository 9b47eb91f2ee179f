"""Ends a process when its parent has ended, in whatever way."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
_PULSE = 1.0  # seconds


def end_with_parent() -> None:
    """End this process as soon as its parent has ended; on Windows, when it next writes to a pipe of the parent."""
    parent = os.getppid()
    if sys.platform == "linux":  # works even while a library blocks all threads
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    elif sys.platform != "win32":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PULSE)
    os._exit(1)
