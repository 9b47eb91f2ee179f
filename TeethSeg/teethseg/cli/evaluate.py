"""`teethseg evaluate`: compares segmentations with references."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, UsageError
from ..io.label_schemes import LabelScheme
from .options import LabelsAre
from .progress import Steps


def evaluate(
    prediction: Annotated[
        Path,
        typer.Argument(metavar="PREDICTION", help="The teeth to judge; with --strata a folder of such files."),
    ],
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCE",
            help="The right teeth, of the same scan; with --strata a folder of cases.",
        ),
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="F", help="Also write all scores to this file.")
    ] = None,
    quality: Annotated[
        Path | None,
        typer.Option(
            "--quality",
            metavar="QUALITY.json",
            help="Grades of the reference: teeth whose outline is not judged (grade C), other numbers allowed.",
        ),
    ] = None,
    labels_are: LabelsAre = None,
    reference_labels_are: Annotated[
        LabelScheme | None,
        typer.Option("--reference-labels-are", help="The same of REFERENCE, if it is numbered another way."),
    ] = None,
    strata: Annotated[
        bool,
        typer.Option(
            "--strata",
            help="Judge many scans, CASE.seg.nrrd (and CASE.json, its report) for every folder CASE of REFERENCE, by "
            "type of tooth, metal, border, share inside the field of view, its size, and stated doubt.",
        ),
    ] = False,
) -> None:
    """Compare a segmentation with a reference: overlap, surface distance, teeth found, numbers right."""
    if strata:
        if quality:
            raise UsageError("--quality is about one reference: judge that one without --strata.")
        _evaluate_cases(prediction, reference, json_file, labels_are, reference_labels_are or labels_are)
        return
    from ..evaluation import metrics
    from ..evaluation.common_grid import on_common_grid
    from ..evaluation.report import print_report, to_json
    from ..io.atomic_write import check_folder, written_whole
    from ..io.files import read_teeth
    from .inputs import check_distinct, read_json_object

    check_distinct({"--json": json_file}, {"PREDICTION": prediction, "REFERENCE": reference, "--quality": quality})
    if json_file:
        check_folder(json_file)
    with Steps() as steps:
        remarks = read_json_object(quality) if quality else None
        with steps.timed("read labels"):
            predicted = read_teeth(prediction, labels_are)
            expected = read_teeth(reference, reference_labels_are or labels_are, keep=["supernumerary", "unknown"])
        steps.warn(predicted.warnings + expected.warnings)
        with steps.timed("compare"):
            predicted, expected, remarks_on_grid = on_common_grid(
                predicted, expected, (prediction.name, reference.name)
            )
            steps.warn(remarks_on_grid)
            scores = metrics.evaluate(predicted, expected, remarks)
        if json_file:
            with written_whole(json_file) as draft:
                draft.write_text(to_json(scores), encoding="utf-8")
    print_report(scores)


def _evaluate_cases(
    predictions: Path,
    cases: Path,
    json_file: Path | None,
    labels_are: LabelScheme | None,
    reference_labels_are: LabelScheme | None,
) -> None:
    """Judge every case of a folder."""
    from ..evaluation import metrics
    from ..evaluation.common_grid import on_common_grid
    from ..evaluation.report import print_strata, strata_to_json
    from ..evaluation.strata import Stratum, add_case
    from ..io.atomic_write import check_folder, written_whole
    from ..io.case_folder import case_folders, labels_file
    from ..io.files import read_scan, read_teeth
    from ..simulation.tissues import Tissue
    from .inputs import read_report

    if json_file:
        check_folder(json_file)
    strata: dict[str, Stratum] = {}
    scores: dict[str, metrics.Evaluation] = {}
    with Steps() as steps:
        folders = case_folders(cases)
        missing = [case.name for case in folders if not (predictions / f"{case.name}.seg.nrrd").exists()]
        if missing:
            raise InputError(f"{predictions} holds no {missing[0]}.seg.nrrd: segment every case of {cases} first.")
        twice = [name for name, count in Counter(case.name for case in folders).items() if count > 1]
        if twice:
            raise InputError(
                f"{cases} holds several folders named {twice[0]}, but results have that name once: rename."
            )
        for done, case in enumerate(folders):
            steps.show("compare", done, len(folders))
            predicted = read_teeth(predictions / f"{case.name}.seg.nrrd", labels_are)
            expected = read_teeth(labels_file(case), reference_labels_are, keep=["supernumerary", "unknown"])
            steps.warn(f"{case.name}: {warning}" for warning in predicted.warnings + expected.warnings)
            tissues, report = case / "tissues.nrrd", predictions / f"{case.name}.json"
            names = (f"{case.name}.seg.nrrd", f"{case.name}/{labels_file(case).name}")
            found_on_grid, expected_on_grid, remarks = on_common_grid(predicted, expected, names)
            steps.warn(remarks)
            scores[case.name] = metrics.evaluate(found_on_grid, expected_on_grid)
            metal = read_scan(tissues).array == Tissue.METAL if tissues.exists() else None
            if metal is not None and metal.shape != expected.array.shape:
                raise InputError(
                    f"{tissues} lies on another grid than {labels_file(case).name}: make both of one scan."
                )
            report_content = read_report(report) if report.exists() else None
            unerupted, share_inside = _known_of_teeth(case / "case.json")
            add_case(strata, scores[case.name], expected, metal, report_content, unerupted, share_inside)
        if json_file:
            with written_whole(json_file) as draft:
                draft.write_text(strata_to_json(strata, scores), encoding="utf-8")
    print_strata(strata, scores)


def _known_of_teeth(file: Path) -> tuple[list[int], dict[int, float]]:
    """Numbers of the unerupted teeth, and shares of volumes inside the field of view, of a `case.json` that names them."""
    from .inputs import read_json_object

    about = read_json_object(file)
    try:
        unerupted = [int(number) for number in about.get("unerupted") or ()]
        shares = {int(number): float(share) for number, share in (about.get("share_inside") or {}).items()}
        if not all(0 <= share <= 1 for share in shares.values()):
            raise ValueError
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f'{file}: give "unerupted" as a list of numbers, "share_inside" as shares from 0 to 1 by number.'
        ) from error
    return unerupted, shares
