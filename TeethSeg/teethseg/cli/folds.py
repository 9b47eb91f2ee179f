"""`teethseg folds`: cross-validation by patient, and a test set that is looked at once."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError, UsageError
from .options import DeviceChoice
from .progress import Steps
from .train import chosen_options, lightnings_interrupt, need_training_packages

if TYPE_CHECKING:
    from ..io.case_sources import CaseSource
    from ..training.cases import CaseStore
    from ..training.fold_report import Group
    from ..training.options import FitOptions

app = typer.Typer(
    no_args_is_help=True, help="Train and score by patient: k folds, and a test set that is looked at once."
)

RunPath = Annotated[
    Path, typer.Option("--run", metavar="DIR", help="Folder for the folds; with one from before, it goes on.")
]
CasesPath = Annotated[Path, typer.Argument(metavar="CASES", help="Folder with labelled cases.")]
CachePath = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where prepared cases are kept; without it, in DIR of --run."),
]
_WORST = 3  # cases that are drawn


@app.command()
def run(
    context: typer.Context,
    stage: Annotated[Literal["coarse", "fine"], typer.Argument(metavar="STAGE", help="coarse or fine.")],
    cases: CasesPath,
    run: RunPath,
    folds: Annotated[int, typer.Option("--folds", min=2, help="How many.")] = 5,
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.0, max=0.9, help="Share of the patients that no fold ever sees.")
    ] = 0.2,
    start: Annotated[Path | None, typer.Option("--start", metavar="FILE", help="As of 'teethseg train'.")] = None,
    parameters: Annotated[Path | None, typer.Option("--parameters", metavar="FILE.yaml", help="As of train.")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="As of train.")] = None,
    cache: CachePath = None,
    device: DeviceChoice = "auto",
) -> None:
    """Train a network for each fold, score it on the fold's patients, and write report.html.

    Ctrl-C stops it; the same command goes on.
    """
    need_training_packages()
    from ..cascade.networks.ensemble import Ensemble
    from ..training.case_scores import SPACINGS, score_cases
    from ..training.cases import CaseStore
    from ..training.fit import fit, load_checkpoint
    from ..training.fold_report import Group
    from ..training.folds import check_leaks, load_or_draw_plan

    options = chosen_options(context, stage, {}, parameters, values)
    if options.network != "cascade":
        raise UsageError(f"Folds judge the networks of the cascade: train {options.network} with 'teethseg train'.")
    cache = cache or run / "cache"
    store = CaseStore(SPACINGS[stage], cache)
    groups: list[Group] = []
    with Steps("Stopped. The same command goes on from the last checkpoint, if there is one.") as steps:
        sources = _prepared(cases, store, steps)
        plan = load_or_draw_plan(run, sources, folds, test_share, options.seed)
        check_leaks(plan, sources, store)
        for number in range(folds):
            name = f"fold {number + 1}"
            training, validation = plan.of_fold(number, sources)
            place = run / f"fold-{number + 1}"

            def show(done: int, total: int, _scores: dict[str, float], step: str = f"train {name}") -> None:
                steps.show(step, done, total)

            with lightnings_interrupt():
                best = fit(
                    cases=training,
                    validation=validation,
                    run=place,
                    start=start,
                    accelerator=device,
                    cache=cache,
                    tell=show,
                    **asdict(options),
                )
            network = Ensemble([load_checkpoint(best)])
            scores = score_cases(network, stage, validation, store, device)
            groups.append(Group(name, tuple(scores), place))
            _report(run, groups, sources, options, store, device)
            steps.tell(f"Fold {number + 1}: {_words(groups[-1])}")
        steps.tell(f"Written: {run / 'report.html'}")


@app.command("test")
def judge_test_set(cases: CasesPath, run: RunPath, cache: CachePath = None, device: DeviceChoice = "auto") -> None:
    """Judge all folds together, averaged, on the patients of the test set. Do it once, at the very end: looks are counted."""
    need_training_packages()
    from ..cascade.networks.ensemble import Ensemble
    from ..training.case_scores import SPACINGS, score_cases
    from ..training.cases import CaseStore
    from ..training.fit import load_checkpoint
    from ..training.fold_report import Group
    from ..training.folds import check_leaks, read_plan, record_look
    from ..training.options import FILE, FitOptions, read_values, with_values

    plan = read_plan(run)
    if not plan.test:
        raise InputError(f"{run} has no test set: it was begun with --test-share 0.")
    places = [run / f"fold-{number + 1}" for number in range(len(plan.folds))]
    lacking = [place.name for place in places if not (place / "best.ckpt").exists()]
    if lacking:
        raise InputError(f"{', '.join(lacking)} of {run} is not trained: run 'teethseg folds run' to its end first.")
    options = with_values(FitOptions("fine"), read_values(places[0] / FILE))
    store = CaseStore(SPACINGS[options.stage], cache or run / "cache")
    with Steps() as steps:
        sources = _prepared(cases, store, steps)
        check_leaks(plan, sources, store)
        looks = record_look(run)
        if len(looks) > 1:
            steps.warn(
                [f"The test set was looked at before ({', '.join(looks[:-1])}): this look is not honest any more."]
            )
        networks = [load_checkpoint(place / "best.ckpt") for place in places]
        with steps.timed("judge folds"):
            groups = []
            for number, (place, one) in enumerate(zip(places, networks, strict=True)):
                scores = score_cases(one, options.stage, plan.of_fold(number, sources)[1], store, device)
                groups.append(Group(f"fold {number + 1}", tuple(scores), place))
        with steps.timed("judge test set"):
            held_out = [case for case in sources if case.patient in plan.test]
            scores = score_cases(Ensemble(networks), options.stage, held_out, store, device)
        groups.append(Group("test set, all folds averaged", tuple(scores)))
        _report(run, groups, sources, options, store, device)
        steps.tell(f"Test set: {_words(groups[-1])}")
        steps.tell(f"Written: {run / 'report.html'}")


def _prepared(folder: Path, store: CaseStore, steps: Steps) -> list[CaseSource]:
    """The cases that can be read, prepared; the others are named and left out."""
    from ..io.case_sources import usable_cases

    listed, prepared = usable_cases(folder, lambda line: steps.warn([line])), []
    for done, source in enumerate(listed):
        steps.show("prepare cases", done, len(listed))
        try:
            store.get(source)
            prepared.append(source)
        except InputError as error:  # a broken case names itself and the rest goes on
            steps.warn([f"{source.name} was left out: {error}"])
    return prepared


def _report(
    run: Path, groups: list[Group], sources: list[CaseSource], options: FitOptions, store: CaseStore, device: str
) -> None:
    """Write the report of the finished folds; their worst cases are judged again to be drawn."""
    from ..io.json_text import read_json
    from ..training.case_scores import SPACINGS, score_case
    from ..training.fit import load_checkpoint
    from ..training.fold_report import worst_case_picture, write_report
    from ..training.folds import LOOKS

    named = {source.name: source for source in sources}
    worst = sorted(
        ((one, group.run) for group in groups if group.run for one in group.cases), key=lambda pair: pair[0].dice
    )[:_WORST]
    pictures = []
    for one, place in worst:
        network = load_checkpoint(place / "best.ckpt")
        judged, found, case = score_case(network, options.stage, named[one.case], store, device)
        pictures.append(worst_case_picture(judged, found, case.labels, case.source, SPACINGS[options.stage]))
    looks = read_json(run / LOOKS) if (run / LOOKS).exists() else []
    write_report(run, groups, pictures, looks)


def _words(group: Group) -> str:
    from ..training.fold_report import SCORES, spread

    return ", ".join(f"{score.replace('_', ' ')} {spread(group.cases, score)[0]:.3f}" for score in SCORES)
