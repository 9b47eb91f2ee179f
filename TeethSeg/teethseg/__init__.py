"""TeethSeg: tooth segmentation and numbering in dental cone-beam CT.

The public API is what ``__all__`` names; everything else may change from version to version (see CONTRIBUTING.md).

>>> import teethseg
>>> scan = teethseg.read_scan("scan.nii.gz")  # doctest: +SKIP
>>> dentition = teethseg.segment(scan)  # doctest: +SKIP
>>> teethseg.export_surfaces(dentition, "stl")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

NOTICE = "Research use, not a medical device."

__all__ = [
    "NOTICE",
    "Dentition",
    "Volume",
    "__version__",
    "evaluate",
    "export_surfaces",
    "number",
    "read_labels",
    "read_scan",
    "segment",
    "write_labels",
]

if TYPE_CHECKING:
    from .api import evaluate, export_surfaces, number, read_labels, read_scan, segment, write_labels
    from .cascade.dentition import Dentition
    from .volume import Volume

# Loaded when first asked for: the command line and the panel import this package at start.
_MODULES = {"Dentition": ".cascade.dentition", "Volume": ".volume"}


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULES.get(name, ".api"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
