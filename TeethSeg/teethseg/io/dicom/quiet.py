"""Silences the libraries' messages about odd files: the user gets one line from TeethSeg instead."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def library_noise_silenced() -> Iterator[None]:
    """Silence pydicom's log and warnings, and the messages of the decoders' C libraries on standard error."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), _standard_error_closed():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error, as under pythonw
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere, suppress(OSError):
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
