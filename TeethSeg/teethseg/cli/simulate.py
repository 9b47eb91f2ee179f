"""`teethseg simulate`: writes simulated scans with known teeth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .progress import Steps


def simulate(
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for the cases; each gets a folder of its own in it.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="How many scans to make.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Number of the first one; the same number gives the same.")
    ] = 0,
    shapes: Annotated[
        Path | None,
        typer.Option(
            "--shapes",
            metavar="DIR",
            help="Tooth surfaces to use beside TeethSeg's own: FDI_11.stl ... FDI_48.stl, in mm.",
        ),
    ] = None,
    view: Annotated[
        Literal["jaws", "head", "part", "mixed"],
        typer.Option(
            "--view",
            help="Field of view: both jaws, the whole head, a part, or head and jaws mixed.",
        ),
    ] = "jaws",
    mouth: Annotated[
        Literal["adult", "front", "crowns", "open", "child", "anomalies"],
        typer.Option(
            "--mouth",
            help="Whose teeth: an adult's; lower front in a thin dense ridge; crowns of metal; jaws apart on a block; a "
            "child's of 5 to 14; an adult's with retained deciduous, missing, unerupted and extra teeth.",
        ),
    ] = "adult",
    spacing: Annotated[float, typer.Option("--spacing", min=0.2, max=2.0, help="Voxel size in mm.")] = 0.4,
    clean: Annotated[bool, typer.Option("--clean", help="No noise, blur or metal artefacts.")] = False,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="PNG", help="Also draw the scans on one page, a row for each.")
    ] = None,
    beside: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--beside", metavar="SCAN LABELS", help="A real scan and its teeth, to draw on that page too."),
    ] = None,
) -> None:
    """Make simulated scans with known teeth, to try TeethSeg, to test it or to train it."""
    from ..errors import UsageError
    from ..io.atomic_write import check_folder
    from ..io.files import read_labels, read_scan
    from ..pictures.contact_sheet import sample_sheet
    from ..simulation.cases import simulate_cases
    from ..simulation.sources import shape_source

    if beside and not sheet:
        raise UsageError("--beside adds cases to the sheet, and there is no sheet: give --sheet too.")
    if sheet:
        check_folder(sheet)
    with Steps() as steps:
        others = [(beside[0].name, read_scan(beside[0]), read_labels(beside[1]))] if beside else []
        with steps.timed("load shapes"):
            source = shape_source(shapes)
        steps.show("simulate", 0, count)
        cases = simulate_cases(
            folder, count, seed, source, view, spacing, artefact_level=0.0 if clean else 1.0, mouth=mouth
        )
        made = []
        for done, case in enumerate(cases, start=1):
            steps.show("simulate", done, count)
            steps.tell(f"Written: {case}")
            made.append(case)
        if sheet:
            with steps.timed("draw"):
                drawn = ((c.name, read_scan(c / "image.nrrd"), read_labels(c / "labels.seg.nrrd")) for c in made)
                sample_sheet((*others, *drawn), sheet)
            steps.tell(f"Written: {sheet}")
