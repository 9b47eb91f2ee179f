"""`teethseg train`: fit one of the two networks to labelled scans."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import TeethSegError, UsageError
from .options import DeviceChoice
from .progress import Steps

_DIVISOR = 16  # of the sizes that both networks take


def train(
    stage: Annotated[
        Literal["coarse", "fine"],
        typer.Argument(
            metavar="STAGE", help="coarse (where the teeth are, whole scan) or fine (outlines and numbers)."
        ),
    ],
    cases: Annotated[
        Path,
        typer.Argument(
            metavar="CASES",
            help="Folder with training cases: each a folder with image.nrrd, labels.seg.nrrd, case.json.",
        ),
    ],
    validation: Annotated[
        Path,
        typer.Argument(metavar="VALIDATION", help="Folder with other patients' cases, to choose the best state by."),
    ],
    run: Annotated[
        Path,
        typer.Option(
            "--run", metavar="DIR", help="Folder for checkpoints and log. With one from before, training goes on."
        ),
    ],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps in all.")] = 20_000,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Samples a step.")] = 2,
    patch: Annotated[
        int, typer.Option("--patch", min=32, help="Largest edge of a sample in voxels, a multiple of 16.")
    ] = 112,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=1e-7, max=1.0, help="Its highest value.")
    ] = 2e-3,
    epoch: Annotated[int, typer.Option("--epoch", min=1, help="Steps between validations and checkpoints.")] = 250,
    checks: Annotated[int, typer.Option("--checks", min=1, help="Samples that a validation looks at.")] = 24,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare samples.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Number that random choices follow from.")] = 1,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start", metavar="FILE", help="Checkpoint or weights (.safetensors) to start from (fine-tuning)."
        ),
    ] = None,
    watch: Annotated[
        list[Path] | None,
        typer.Option(
            "--watch",
            metavar="FOLDER",
            help="More cases, of another style or real, whose scores are logged beside; they choose nothing. Repeatable.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", metavar="DIR", help="Where prepared cases are kept for all runs; without it, in DIR of --run."
        ),
    ] = None,
    device: DeviceChoice = "auto",
) -> None:
    """Train one of the two networks on labelled scans, real or simulated.

    Ctrl-C stops it; the same command goes on from the last checkpoint. Then 'teethseg model export' makes weights of
    the two best checkpoints.
    """
    if patch % _DIVISOR:
        raise UsageError(f"--patch {patch} is no multiple of {_DIVISOR}: take {patch // _DIVISOR * _DIVISOR}.")
    try:
        from ..training.fit import fit
    except ImportError as error:
        raise TeethSegError(
            f"Training needs a package that is not installed ({error.name}): run pip install 'teethseg[train]'."
        ) from error
    warnings.filterwarnings("ignore", module=r"lightning\.")  # it talks to programmers

    with Steps() as progress:

        def tell(done: int, total: int, metrics: dict[str, float]) -> None:
            progress.show("train", done, total)
            scores = (f"{name} {value:.4f}" for name, value in sorted(metrics.items()) if not name.startswith("train_"))
            progress.tell(f"step {done}: {', '.join(scores)}")

        progress.show("train", 0, steps)
        try:
            best = fit(
                stage,
                cases,
                validation,
                run,
                steps,
                batch=batch,
                patch=patch,
                learning_rate=learning_rate,
                epoch=epoch,
                checks=checks,
                workers=workers,
                seed=seed,
                start=start,
                watch=watch or (),
                accelerator=device,
                cache=cache,
                tell=tell,
            )
        except SystemExit as end:
            if end.code == 1:  # how Lightning answers Ctrl-C
                raise KeyboardInterrupt from end
            raise
        progress.tell(f"Best checkpoint: {best}")
