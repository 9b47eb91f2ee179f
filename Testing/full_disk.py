"""A disk that is full, for tests of everything that writes."""

from __future__ import annotations

import signal
from contextlib import contextmanager


@contextmanager
def full_disk(bytes_left: int):
    """Limit every file of this process to `bytes_left` bytes."""
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
