"""Annotating by hand, with help: grow a tooth from clicks, fill between slices, a worklist, training cases."""

from __future__ import annotations

from importlib import import_module

# Loaded when first asked for: panels import this package at start, and scipy takes its time.
_HOME = {
    "grow_tooth": "..correction.shape_model_fit",
    "between_slices": ".slices",
    "start_threshold": ".threshold",
    "Worklist": ".worklist",
    "save_case": ".cases",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
