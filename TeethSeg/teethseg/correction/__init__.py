"""Correcting teeth: tools on arrays that desktop and browser share. Each returns an `Edit` and touches no other tooth."""

from __future__ import annotations

from importlib import import_module

# Loaded when first asked for: panels import this package at start, and scipy takes its time.
_HOME = {
    "Edit": "edit",
    "renumber": "relabel",
    "shift_numbers": "relabel",
    "merge_teeth": "relabel",
    "remove_tooth": "relabel",
    "split_tooth": "splitting",
    "cut_contact": "splitting",
    "give_piece": "splitting",
    "remove_islands": "morphology",
    "fill_pulp": "morphology",
    "smooth_tooth": "morphology",
    "grow_tooth": "shape_model_fit",
    "regrow_tooth": "shape_model_fit",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
