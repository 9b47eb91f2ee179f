"""Paths of the data files that ship with the library."""

from __future__ import annotations

from pathlib import Path


def resource(*parts: str) -> Path:
    """A file or folder of `Resources`, beside the library in Slicer and in a checkout, inside it when installed by pip."""
    here = Path(__file__).resolve().parent
    inside = here.joinpath("Resources", *parts)
    return inside if inside.exists() else here.parent.joinpath("Resources", *parts)
