"""`teethseg picture`: draws a scan and its teeth as PNG pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .options import LabelsAre, LabelsPath, ScanPath, SeriesChoice
from .progress import Steps


def picture(
    scan: ScanPath,
    labels: LabelsPath,
    output: Annotated[
        Path, typer.Argument(metavar="OUT.png", help="Slices of the scan with the outlines of the teeth.")
    ],
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="REF", help="Other labels to compare with, as dashed white outlines."),
    ] = None,
    meshes: Annotated[
        Path | None, typer.Option("--meshes", metavar="OUT2.png", help="Also draw the surfaces of the teeth.")
    ] = None,
    labels_are: LabelsAre = None,
    series: SeriesChoice = None,
) -> None:
    """Draw the teeth that were found, for a quick look or a report."""
    from ..io.atomic_write import check_folder
    from ..io.files import read_labels, read_scan
    from ..io.scan_checks import check_scan
    from ..pictures.picture import picture as draw
    from ..resampling import check_lies_in
    from .inputs import check_distinct, check_small

    given = {"the scan": scan, "LABELS": labels, "--reference": reference}
    check_distinct({"OUT.png": output, "--meshes": meshes}, given)
    for path in filter(None, (output, meshes)):
        if path.suffix.lower() != ".png":
            raise UsageError(f"{path.name} is no name for a picture: let it end in .png.")
        check_folder(path)

    def read(path: Path):
        labels = read_labels(path, labels_are)
        check_small(labels, path)
        steps.warn((*labels.warnings, *check_lies_in(labels, volume, path.name, scan.name)))
        return labels

    with Steps() as steps:
        with steps.timed("read scan"):
            volume = read_scan(scan, series)
            check_scan(volume)
        with steps.timed("read labels"):
            found = read(labels)
            expected = read(reference) if reference else None
        with steps.timed("draw"):
            draw(volume, found, expected, output, meshes)
        for path in filter(None, (output, meshes)):
            steps.tell(f"Written: {path}")
