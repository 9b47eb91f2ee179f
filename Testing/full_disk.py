"""A disk that is full, for tests of everything that writes."""

from __future__ import annotations

import signal
from contextlib import contextmanager


@contextmanager
def full_disk(bytes_left: int):
    """No file of this process can grow beyond that."""
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
