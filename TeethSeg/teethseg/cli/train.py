"""`teethseg train`: fit one of the two networks to labelled scans."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..errors import TeethSegError, UsageError
from ..training.options import FitOptions, Stage
from .options import DeviceChoice
from .progress import Steps


def train(
    context: typer.Context,
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
        str,
        typer.Option(
            "--patch", metavar="N|auto", help="Largest edge of a sample in voxels, a multiple of 16; auto: what fits."
        ),
    ] = "112",
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
    parameters: Annotated[
        Path | None,
        typer.Option(
            "--parameters",
            metavar="FILE.yaml",
            help="Options from a file, such as the parameters.yaml of another run; those given here count before them.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other option: network, schedule, optimiser, loss, freeze, layer_decay, patience, keep_every, precision, "
            "devices, nodes. Repeatable.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write curves for TensorBoard, too (pip install 'teethseg[tensorboard]')."),
    ] = False,
    rate_only: Annotated[
        bool,
        typer.Option("--find-rate", help="Only try learning rates, print the best and draw learning-rate.svg in DIR."),
    ] = False,
    device: DeviceChoice = "auto",
) -> None:
    """Train one of the two networks on labelled scans, real or simulated.

    Ctrl-C stops it; the same command goes on from the last checkpoint. Then 'teethseg model export' makes weights of
    the two best checkpoints.
    """
    named = {
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "learning_rate": learning_rate,
        "epoch": epoch,
        "checks": checks,
        "workers": workers,
        "seed": seed,
        "tensorboard": int(tensorboard),
    }
    options = chosen_options(context, stage, named, parameters, values)
    need_training_packages()
    from ..training.fit import find_learning_rate, fit

    with Steps("Stopped. The same command goes on from the last checkpoint, if there is one.") as progress:
        if rate_only:
            progress.show("try rates", 0, 1)
            with lightnings_interrupt():
                found = find_learning_rate(options, cases, run, accelerator=device, cache=cache)
            progress.tell(f"Losses by rate: {run / 'learning-rate.svg'}")
            if found is None:
                raise TeethSegError("The loss falls at no learning rate: look at the cases with 'teethseg data sheet'.")
            print(f"{found:.2g}")
            return

        def tell(done: int, total: int, metrics: dict[str, float]) -> None:
            progress.show("train", done, total)
            scores = (f"{name} {value:.4f}" for name, value in sorted(metrics.items()) if not name.startswith("train_"))
            progress.tell(f"step {done}: {', '.join(scores)}")

        progress.show("train", 0, options.steps)
        with lightnings_interrupt():
            best = fit(
                cases=cases,
                validation=validation,
                run=run,
                start=start,
                watch=watch or (),
                accelerator=device,
                cache=cache,
                tell=tell,
                **asdict(options),
            )
        progress.tell(f"Best checkpoint: {best}")


def need_training_packages() -> None:
    """Check that the packages of `teethseg[train]` are installed, and silence Lightning's hints to programmers.

    Raises
    ------
    TeethSegError
        If a package is missing.
    """
    try:
        import lightning  # noqa: F401
        import monai  # noqa: F401
    except ImportError as error:
        raise TeethSegError(
            f"Training needs a package that is not installed ({error.name}): run pip install 'teethseg[train]'."
        ) from error
    warnings.filterwarnings("ignore", module=r"lightning\.")


def chosen_options(
    context: typer.Context, stage: Stage, named: dict[str, Any], parameters: Path | None, values: list[str] | None
) -> FitOptions:
    """Options of a run: the command line overrides the file, and the file overrides the defaults."""
    from ..training.options import read_values, with_values

    given = {name: value for name, value in named.items() if _is_given(context, name)}
    for pair in values or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair} sets nothing: give NAME=VALUE, such as --set schedule=one-cycle.")
        given[name] = value
    read = {} if parameters is None else {k: v for k, v in read_values(parameters).items() if k != "stage"}
    return with_values(FitOptions(stage), {**named, **read, **given})


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@contextmanager
def lightnings_interrupt() -> Iterator[None]:
    """A block in which Ctrl-C raises KeyboardInterrupt, instead of Lightning's exit."""
    try:
        yield
    except SystemExit as end:
        if end.code == 1:  # Lightning's status after Ctrl-C
            raise KeyboardInterrupt from end
        raise
