"""`teethseg evaluate`: how good a segmentation is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .progress import Steps


def evaluate(
    prediction: Annotated[Path, typer.Argument(metavar="PREDICTION", help="The teeth to judge, numbered by FDI.")],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The right teeth, numbered by FDI, on the same grid.")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="F", help="Also write all scores to this file.")
    ] = None,
    quality: Annotated[
        Path | None,
        typer.Option(
            "--quality",
            metavar="QUALITY.json",
            help="What is known of the reference: teeth whose outline is not judged (grade C), other numbers allowed.",
        ),
    ] = None,
) -> None:
    """Compare a segmentation with a reference: overlap, surface distance, teeth found, numbers right."""
    from ..evaluation import metrics
    from ..evaluation.report import print_report, to_json
    from ..files import read_labels
    from ..writing import check_folder, written_whole
    from .inputs import read_json_object

    if json_file:
        check_folder(json_file)
    with Steps() as steps:
        remarks = read_json_object(quality) if quality else None
        with steps.timed("read labels"):
            found, expected = read_labels(prediction), read_labels(reference)
        steps.warn(found.warnings + expected.warnings)
        with steps.timed("compare"):
            scores = metrics.evaluate(found, expected, remarks)
        if json_file:
            with written_whole(json_file) as draft:
                draft.write_text(to_json(scores), encoding="utf-8")
    print_report(scores)
