"""`teethseg surfaces`: STL files from teeth that are segmented already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import LabelsPath, NotationChoice, Overwrite
from .progress import Steps


def surfaces(
    labels: LabelsPath,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the STL files; made if it does not exist.")],
    notation: NotationChoice = "fdi",
    overwrite: Overwrite = False,
) -> None:
    """Write one closed STL surface per tooth, for example after you corrected a segmentation in 3D Slicer."""
    from ..files import read_labels
    from ..surfaces.files import check_surface_folder, write_surfaces
    from ..surfaces.mesh import dentition_surfaces
    from .inputs import check_fdi

    check_surface_folder(folder, overwrite=overwrite)
    with Steps() as steps:
        with steps.timed("read labels"):
            volume = read_labels(labels)
            numbers = check_fdi(volume, labels)
        with steps.timed("make surfaces"):
            meshes = dentition_surfaces(volume, numbers)
        with steps.timed("write surfaces"):
            sizes = {fdi: count * volume.voxel_volume for fdi, count in numbers.items()}
            checks = write_surfaces(folder, meshes, sizes, notation=notation, overwrite=overwrite)
        steps.warn(volume.warnings)
        written = sum(check.printable for check in checks.values())
        steps.tell(f"Written: {written} STL files in {folder}")
