"""`teethseg segment`: a scan in, numbered teeth out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..anatomy import Notation
from ..io.json_text import json_text
from .inputs import check_distinct
from .options import DeviceChoice, NetworksChoice, NotationChoice, Overwrite, ScanPath, SeriesChoice, WeightsPath
from .progress import Steps

if TYPE_CHECKING:
    from ..cascade.dentition import FoundTooth


def segment(
    scan: ScanPath,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Where the teeth go: .seg.nrrd for 3D Slicer (names and colours), .dcm for a DICOM SEG, .nrrd or .nii.gz "
            "for a label map.",
        ),
    ],
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="R.json", help="Also write a report: teeth, confidences, warnings, times."),
    ] = None,
    stl: Annotated[
        Path | None, typer.Option("--stl", metavar="DIR", help="Also write one STL file per tooth into this folder.")
    ] = None,
    labels: Annotated[
        Literal["fdi", "position", "binary"],
        typer.Option(
            "--labels",
            help="The values in OUT: FDI numbers (11-48), positions from the midline (1-8), or 1 for all teeth.",
        ),
    ] = "fdi",
    notation: NotationChoice = "fdi",
    device: DeviceChoice = "auto",
    weights: WeightsPath = None,
    dentition: NetworksChoice = "auto",
    series: SeriesChoice = None,
    overwrite: Overwrite = False,
) -> None:
    """Find, outline and number every tooth in a scan.

    The result lies on the grid of the scan. Files that OUT and R.json name are replaced if they exist.

    Research use, not a medical device: check the result before you rely on it.
    """
    from ..io.atomic_write import check_folder, written_whole
    from ..io.files import check_output, read_scan, write_labels
    from ..io.scan_checks import check_scan

    check_output(output, labels)
    check_distinct({"--output": output, "--report": report}, {"the scan": scan})
    if report:
        check_folder(report)
    if stl:
        from ..surfaces.files import check_surface_folder

        check_surface_folder(stl, overwrite=overwrite)

    with Steps() as steps:
        with steps.timed("read scan"):
            volume = read_scan(scan, series)
            volume = replace(volume, warnings=check_scan(volume))
        with steps.timed("load networks"):
            from ..cascade import pipeline
            from ..cascade.findings import find
            from ..cascade.network_choice import choose_weights
            from ..cascade.weights import load_weights

            if report:  # imports come first, because they may fail or run out of memory
                from ..report import peak_memory_mb, report_of
            if stl:
                from ..surfaces.export import export
                from ..surfaces.export_options import ExportOptions
            choice = choose_weights(volume, dentition, weights)
            networks = load_weights(choice.file)
        found, networks = pipeline.segment_chosen(choice, networks, device, steps.show, keep_maps=stl is not None)
        result = found.dentition
        with steps.timed("write segmentation"):
            numbers = [tooth.fdi for tooth in result.teeth]
            write_labels(output, result.labels, numbers, notation, labels, scan, series)
        if stl:
            with steps.timed("write surfaces"):
                options = ExportOptions(naming=notation)
                exported = export(stl, result, options, overwrite, maps=found.maps)
            result = replace(result, warnings=(*result.warnings, *exported.warnings))
        if report:
            seconds = _in_order(steps.seconds, found.seconds)
            surfaces = exported.report() if stl else None
            content = report_of(
                result, seconds, peak_memory_mb(), found.device, networks.name, networks.sha256, surfaces
            )
            with written_whole(report) as draft:
                draft.write_text(json_text(content, indent=2), encoding="utf-8")
        steps.warn(result.warnings)
        for finding in find(result.teeth):
            steps.tell(f"Check{'' if notation == 'fdi' else ' (FDI numbers)'}: {finding.text}")
        steps.tell(_summary(result.teeth, notation))
        if stl:
            steps.tell(f"Surfaces: {exported.summary}.")
        for path in filter(None, (output, report, stl)):
            steps.tell(f"Written: {path}")


def _in_order(own: dict[str, float], cascade: dict[str, float]) -> dict[str, float]:
    """Seconds of all steps in the order of execution."""
    before = {step: own[step] for step in ("read scan", "load networks")}
    return before | cascade | own


def _summary(teeth: Sequence[FoundTooth], notation: Notation) -> str:
    if not teeth:
        return "No teeth: the segmentation is empty."
    names = {found: found.tooth.notation(notation) for found in sorted(teeth, key=lambda found: found.fdi)}
    text = f"{len(teeth)} {'tooth' if len(teeth) == 1 else 'teeth'}: {' '.join(names.values())}."
    unsure = ", ".join(f"{name} ({' '.join(found.flags)})" for found, name in names.items() if found.flags)
    return f"{text} Look at {unsure}." if unsure else text
