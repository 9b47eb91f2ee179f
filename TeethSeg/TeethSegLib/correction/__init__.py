"""Correcting teeth: tools on arrays that desktop and browser share. Each returns an `Edit` and touches no other tooth."""

from __future__ import annotations

from importlib import import_module

# Loaded when first asked for: panels import this package at start, and scipy takes its time.
_HOME = {
    "Edit": "edit",
    "renumber": "numbers",
    "shift_numbers": "numbers",
    "merge_teeth": "numbers",
    "remove_tooth": "numbers",
    "split_tooth": "parting",
    "cut_contact": "parting",
    "give_piece": "parting",
    "remove_islands": "shaping",
    "fill_pulp": "shaping",
    "smooth_tooth": "shaping",
    "grow_tooth": "growing",
    "regrow_tooth": "growing",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
