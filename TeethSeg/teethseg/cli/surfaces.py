"""`teethseg surfaces`: writes printable surfaces of teeth that are segmented already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..surfaces.mesh_formats import Format
from .options import LabelsAre, LabelsPath, NotationChoice, Overwrite
from .progress import Steps


def surfaces(
    labels: LabelsPath,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files; made if it does not exist.")],
    form: Annotated[Format, typer.Option("--format", help="Kind of files.")] = "stl",
    parts: Annotated[
        Literal["tooth", "jaw", "merged", "bone"],
        typer.Option(
            "--parts",
            help="tooth: a file for each tooth; jaw: one for each jaw, its teeth apart; merged: one for each jaw as a "
            "merged arch, touching teeth joined; bone: that with the bone around the roots (needs --scan).",
        ),
    ] = "tooth",
    space: Annotated[
        Literal["LPS", "RAS"], typer.Option("--space", help="Coordinates in the files; most programs expect LPS.")
    ] = "LPS",
    smoothing: Annotated[
        Literal["none", "light", "strong"], typer.Option("--smoothing", help="Volumes are kept by each of them.")
    ] = "light",
    triangles: Annotated[
        int | None, typer.Option("--triangles", metavar="N", help="About as many triangles for each tooth.")
    ] = None,
    error: Annotated[
        float | None,
        typer.Option("--error", metavar="MM", help="As few triangles as keep the surface within that distance."),
    ] = None,
    gap: Annotated[
        float, typer.Option("--gap", metavar="MM", help="Air to leave between neighbours, 0 to 0.3 mm.")
    ] = 0.0,
    scan_path: Annotated[
        Path | None, typer.Option("--scan", metavar="SCAN", help="The scan of the teeth, for --hollow and for bone.")
    ] = None,
    hollow: Annotated[
        bool, typer.Option("--hollow", help="Leave the pulp hollow where the scan shows it (needs --scan).")
    ] = False,
    bone: Annotated[
        float, typer.Option("--bone", metavar="MM", help="How far from the roots bone is kept, with --parts bone.")
    ] = 4.0,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="T.csv", help="Also write sizes, angles and checks as a table.")
    ] = None,
    labels_are: LabelsAre = None,
    notation: NotationChoice = "fdi",
    overwrite: Overwrite = False,
) -> None:
    """Write one closed surface per tooth, for example after you corrected a segmentation in 3D Slicer."""
    from ..io.atomic_write import check_folder
    from ..io.files import read_scan, read_teeth
    from ..resampling import check_lies_in, labels_on_grid
    from ..surfaces.export import export
    from ..surfaces.export_options import ExportOptions
    from ..surfaces.files import check_surface_folder
    from ..surfaces.measures import write_csv
    from .inputs import check_distinct

    options = ExportOptions(
        format=form,
        parts=parts,
        space=space,
        smoothing=smoothing,
        target_triangles=triangles,
        error_mm=error,
        gap_mm=gap,
        pulp=hollow,
        bone_mm=bone,
        naming=notation,
    )
    options.check(scan_path is not None)
    check_distinct({"--table": table}, {"LABELS": labels, "--scan": scan_path})
    check_surface_folder(folder, overwrite=overwrite)
    if table:
        check_folder(table)
    with Steps() as steps:
        with steps.timed("read labels"):
            volume = read_teeth(labels, labels_are)
            steps.warn(volume.warnings)
            scan = None
            if scan_path:
                scan = read_scan(scan_path)
                steps.warn(check_lies_in(volume, scan, labels.name, scan_path.name))
                volume = labels_on_grid(volume, scan)
        result = export(folder, volume, options, overwrite, image=scan, progress=steps.show)
        if table:
            write_csv(table, result.rows)
        steps.warn(result.warnings)
        steps.tell(f"Surfaces: {result.summary}.")
        steps.tell(f"Written: {len(result.files) - 1} {form.upper()} files in {folder}")
        if table:
            steps.tell(f"Written: {table}")
