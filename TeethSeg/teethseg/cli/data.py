"""`teethseg data`: whether labelled cases are fit to train with, and how they look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError, TeethSegError, UsageError
from .progress import Steps

if TYPE_CHECKING:
    from ..volume import Volume

app = typer.Typer(no_args_is_help=True, help="Check labelled cases, and look at them, before you train.")

CasesPath = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="Folder with cases: case folders, DICOM folders with segmentations, scenes of 3D Slicer (.mrml, .mrb).",
    ),
]
_ROWS = 20  # of a page
Row = tuple[str, "Volume", "Volume"]  # title, scan, labels


@app.command()
def check(
    folder: CasesPath,
    picture: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="OUT.png", help="Also draw the cases, as 'teethseg data sheet' does."),
    ] = None,
) -> None:
    """List every problem of labelled cases: geometry, labels, empty or unfinished cases, duplicates, patients.

    One line for each on standard output, 'error' (the case cannot be used) or 'note'. Ends with status 3 if there is an
    error.
    """
    from ..training.case_checks import check_cases

    _check_folder(folder)
    if picture is not None:
        _check_picture(picture)
    with Steps() as steps:
        cases, problems = check_cases(folder, lambda done, total: steps.show("check", done, max(total, 1)))
        if not cases and not problems:
            raise InputError(f"No labelled case in {folder}: a case has a scan, its labels and, best, a case.json.")
        for problem in problems:
            print(f"{problem.severity}: {problem.case}: {' '.join(problem.text.split())}")
        patients = len({case.source.patient for case in cases})
        teeth = sum(len(case.teeth) for case in cases)
        steps.tell(f"{len(cases)} cases of {patients} patients can be used, with {teeth} teeth.")
        if picture is not None:
            _draw(_cases(folder, steps, lambda _: None), picture, steps)  # what cannot be read is listed already
        wrong = {problem.case for problem in problems if problem.severity == "error"}
        if wrong:
            raise InputError(f"{len(wrong)} cases cannot be used: mend them, or take them away.")


@app.command()
def sheet(
    folder: CasesPath,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.png", help=f"Slices and outlines, a row for each case; from {_ROWS} on, more pages."
        ),
    ],
    augmented: Annotated[
        bool, typer.Option("--augmented", help="Show samples as the network is shown them: turned, bent, noisy, cut.")
    ] = False,
    stage: Annotated[
        Literal["coarse", "fine"], typer.Option("--stage", help="Whose samples, with --augmented.")
    ] = "fine",
    augment: Annotated[
        str,
        typer.Option("--augment", metavar="NAMES", help="Only these, with commas: turn, flip, elastic ...; none; all."),
    ] = "all",
    turns: Annotated[int, typer.Option("--turns", min=0, help="So many turns of 20 degrees, with --augmented.")] = 0,
    count: Annotated[int, typer.Option("--count", min=1, help="How many samples, with --augmented.")] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Number that the samples follow from.")] = 1,
) -> None:
    """Draw labelled cases with the outlines and numbers of their teeth: see that image, mask and numbers fit."""
    _check_folder(folder)
    _check_picture(output)
    with Steps() as steps:
        rows = _samples(folder, stage, count, seed, augment, turns) if augmented else _cases(folder, steps, steps.warn)
        if not _draw(rows, output, steps):
            raise InputError(f"No labelled case in {folder} can be drawn: run 'teethseg data check' on it.")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the one that holds the cases.")


def _check_picture(output: Path) -> None:
    from ..io.atomic_write import check_folder

    if output.suffix.lower() != ".png":
        raise UsageError(f"{output.name} is no name for a picture: let it end in .png.")
    check_folder(output)


def _draw(rows: Iterator[Row], output: Path, steps: Steps) -> int:
    """Write pages with a row for each case or sample; returns their number."""
    from ..pictures.contact_sheet import sample_sheet

    pages = 0
    for first in rows:
        pages += 1
        file = output if pages == 1 else output.with_stem(f"{output.stem}-{pages}")
        sample_sheet(chain([first], islice(rows, _ROWS - 1)), file, outlines=True)  # scans are large: one at a time
        steps.tell(f"Written: {file}")
    return pages


def _cases(folder: Path, steps: Steps, warn: Callable[[Iterable[str]], None]) -> Iterator[Row]:
    """Title, scan and labels of every case that can be read."""
    from ..io.case_sources import find_cases
    from ..io.files import read_scan, read_teeth

    sources, problems = find_cases(folder)
    warn(f"{problem.case}: {problem.text}" for problem in problems)
    for done, source in enumerate(sources):
        steps.show("draw", done, len(sources))
        try:
            with source.opened() as files:
                labels = read_teeth(files.labels, files.labels_are, keep=("supernumerary", "unknown"))
                scan = read_scan(files.image, files.series)
            yield source.name, scan, labels
        except TeethSegError as error:
            warn([f"{source.name}: {error}"])


def _samples(folder: Path, stage: str, count: int, seed: int, augment: str, turns: int) -> Iterator[Row]:
    try:
        from ..training.data import CoarseSamples, FineSamples
    except ImportError as error:
        raise TeethSegError(
            f"Samples need a package that is not installed ({error.name}): run pip install 'teethseg[train]'."
        ) from error
    from ..training.sampling import Sampling, augmentations
    from ..volume import Volume

    sampling = Sampling(augment=augmentations(augment), turns=turns)
    samples = (CoarseSamples if stage == "coarse" else FineSamples)(folder, count, seed, sampling=sampling)
    for index in range(count):
        image, labels, case = samples.drawn(index)
        spacing = (samples.spacing,) * 3
        yield f"sample {index + 1}: {case.patient}", Volume(image, spacing), Volume(labels, spacing)
