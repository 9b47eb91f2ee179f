"""The pictures of one segmented scan, for the command `teethseg picture`."""

from __future__ import annotations

import os

from ..anatomy import TEETH
from ..surfaces.mesh import dentition_surfaces
from ..volume import Volume
from .render import render_surfaces
from .slices import slice_sheet


def picture(
    scan: Volume,
    labels: Volume,
    reference: Volume | None,
    out_path: str | os.PathLike,
    meshes_path: str | os.PathLike | None = None,
) -> None:
    """Write a PNG of slices with outlines and, if a second path is given, one of the surfaces.

    Parameters
    ----------
    scan : Volume
        Any intensities.
    labels : Volume
        Label map with FDI numbers; other values are outlined in white and have no surface.
    reference : Volume or None
        A label map for comparison.
    out_path, meshes_path : path
        PNG files.

    Raises
    ------
    TeethSegError
        If a file cannot be written.
    """
    slice_sheet(scan, labels, reference, out_path)
    if meshes_path is not None:
        surfaces = dentition_surfaces(labels)
        render_surfaces({fdi: poly for fdi, poly in surfaces.items() if fdi in TEETH}, meshes_path)
