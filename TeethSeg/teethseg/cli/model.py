"""`teethseg model`: describes networks and weights, and exports trained ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError, UsageError
from ..io.json_text import json_text
from .options import DeviceChoice, WeightsPath

if TYPE_CHECKING:
    from ..cascade.networks.cascade_net import CascadeNet
    from ..cascade.networks.ensemble import StageNetwork
    from ..cascade.networks.unet import UNet
    from ..io.case_sources import CaseSource
    from ..volume import Volume

app = typer.Typer(no_args_is_help=True, help="Look at the networks and their weights, and make weights of checkpoints.")

_EDGE = 96  # voxels of the example input
_SEED_UNETS = {  # dimensions, levels, filters, channels in, channels out
    "unet2d": (2, 4, 64, 1, 1),
    "unet3d": (3, 4, 64, 1, 1),
    "unet3d-18": (3, 3, 18, 1, 1),
    "unet3d-9": (3, 3, 9, 1, 9),
}
_DERIVED_KEYS = ("sha256", "architecture", "members", "card_sha256")  # of a card; computed from the weights


@app.command()
def summary(
    network: Annotated[
        Literal["coarse", "fine", "unet2d", "unet3d", "unet3d-18", "unet3d-9"] | None,
        typer.Argument(
            metavar="[NETWORK]", help=f"coarse or fine (TeethSeg's own), {', '.join(_SEED_UNETS)} (plain U-Nets)."
        ),
    ] = None,
    dimensions: Annotated[int | None, typer.Option("--dimensions", min=2, max=3, help="Of a plain U-Net.")] = None,
    levels: Annotated[int | None, typer.Option("--levels", min=1, max=8, help="Resolutions of a plain U-Net.")] = None,
    filters: Annotated[int | None, typer.Option("--filters", min=1, help="Channels of its first level.")] = None,
    channels_in: Annotated[int | None, typer.Option("--in", min=1, help="Channels of the image.")] = None,
    channels_out: Annotated[int | None, typer.Option("--out", min=1, help="Channels of the result.")] = None,
) -> None:
    """Show the layers of a network and their parameters; without a name, all networks and their sizes."""
    from ..cascade.networks.cascade_net import COARSE, FINE, CascadeNet
    from ..cascade.networks.unet import UNet

    own = {"coarse": COARSE, "fine": FINE}
    options = (dimensions, levels, filters, channels_in, channels_out)
    custom = any(value is not None for value in options)

    def build(name: str) -> CascadeNet | UNet:
        import torch

        with torch.device("meta"):  # allocates no memory
            return CascadeNet(own[name]) if name in own else UNet(*_SEED_UNETS[name])

    if network in own and custom:
        raise UsageError(
            f"The options describe a plain U-Net, and '{network}' is none: leave the name or the options out."
        )
    if custom:
        import torch

        default = _SEED_UNETS[network or ("unet2d" if dimensions == 2 else "unet3d")]
        settings = [fallback if value is None else value for value, fallback in zip(options, default, strict=True)]
        with torch.device("meta"):
            _print_layers("{}D U-Net, {} levels, {} filters, {} in, {} out".format(*settings), UNet(*settings))
    elif network:
        _print_layers(network, build(network))
    else:
        _print_networks({name: build(name) for name in (*own, *_SEED_UNETS)})


def _print_layers(title: str, network: CascadeNet | UNet) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..cascade.networks.summary import layer_table, parameter_count
    from ..cascade.networks.unet import UNet

    shape: tuple[int, ...] = (1, 1, _EDGE, _EDGE, _EDGE)
    if isinstance(network, UNet):
        shape = (1, network.in_channels, *[_EDGE] * network.dimensions)
    table = Table(title=f"{title}: input {_size(shape)}", caption=f"{parameter_count(network):,} parameters in all")
    for heading in ("layer", "type"):
        table.add_column(heading)
    for heading in ("output", "parameters"):
        table.add_column(heading, justify="right")
    for row in layer_table(network, shape):
        table.add_row(row.name, row.type, _size(row.output_shape), f"{row.parameters:,}" if row.parameters else "")
    Console().print(table)


def _print_networks(networks: dict[str, CascadeNet | UNet]) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..cascade.networks.cascade_net import CascadeNet
    from ..cascade.networks.summary import parameter_count

    table = Table(title="Networks", caption="Layers: teethseg model summary NETWORK")
    for heading in ("network", "description"):
        table.add_column(heading)
    table.add_column("parameters", justify="right")
    about = {"coarse": "stage 1: the whole scan at {:g} mm", "fine": "stage 2: the jaws at {:g} mm"}
    for name, network in networks.items():
        if isinstance(network, CascadeNet):
            description = about[name].format(network.architecture.spacing)
        else:
            dimensions, levels, filters, _, channels_out = _SEED_UNETS[name]
            description = f"plain {dimensions}D U-Net: {levels} levels, {filters} filters, {channels_out} out"
        table.add_row(name, description, f"{parameter_count(network):,}")
    Console().print(table)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


@app.command()
def show(weights: WeightsPath = None) -> None:
    """Show where weights come from, and check that the file is undamaged."""
    from ..cascade.networks.summary import parameter_count
    from ..cascade.weights import load_weights

    loaded = load_weights(weights)
    print(f"name: {loaded.name}")
    print(f"sha256: {loaded.sha256} (the file is as its card says)")
    for stage in ("coarse", "fine"):
        print(f"{stage} network: {parameter_count(getattr(loaded, stage)):,} parameters")
    for key, value in loaded.card.items():
        if key not in ("name", "sha256"):
            print(f"{key}: {value if isinstance(value, str) else json_text(value, indent=2).rstrip()}")


@app.command()
def export(
    coarse: Annotated[
        Path,
        typer.Argument(metavar="COARSE", help="Checkpoint of 'teethseg train coarse', or weights with that stage."),
    ],
    fine: Annotated[
        Path, typer.Argument(metavar="FINE", help="Checkpoint of 'teethseg train fine', or weights with that stage.")
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUT.safetensors", help="The weights; OUT.json beside it is their card.")
    ],
    card: Annotated[
        Path,
        typer.Option("--card", metavar="CARD.json", help="Content of the card: training data, licences, scores ..."),
    ],
    more_coarse: Annotated[
        list[Path] | None,
        typer.Option("--and-coarse", metavar="CKPT", help="One more of stage 1, to average. Repeatable."),
    ] = None,
    more_fine: Annotated[
        list[Path] | None, typer.Option("--and-fine", metavar="CKPT", help="One more of stage 2. Repeatable.")
    ] = None,
) -> None:
    """Make weights for 'teethseg segment', the panel and the page of the checkpoints that training gave.

    With several of a stage, such as those of all folds, their results are averaged; time and size grow with their number.
    """
    from ..cascade.weights import save_weights
    from ..io.atomic_write import check_folder
    from .inputs import read_json_object

    if output.suffix != ".safetensors":
        raise UsageError(f"{output.name} is no name for weights: let it end in .safetensors.")
    check_folder(output)
    about = {key: value for key, value in read_json_object(card).items() if key not in _DERIVED_KEYS}
    save_weights(
        output,
        _combined([_stage_network(file, "coarse") for file in (coarse, *(more_coarse or ()))]),
        _combined([_stage_network(file, "fine") for file in (fine, *(more_fine or ()))]),
        about,
    )


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.safetensors", help="Weights; 'shipped' means those of TeethSeg.")],
    second: Annotated[Path, typer.Argument(metavar="B.safetensors", help="Other weights, or 'shipped'.")],
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="Labelled cases that neither was trained on.")],
    json_file: Annotated[Path | None, typer.Option("--json", metavar="F", help="Also write all scores here.")] = None,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Number that it follows from.")] = 1,
    device: DeviceChoice = "auto",
) -> None:
    """Say which weights are better on labelled scans, by how much, and how sure that is.

    The interval holds 95 % of the differences that as many patients, drawn at random from these, would show.
    """
    from rich.console import Console

    from ..cascade.weights import load_weights
    from ..evaluation.comparison import ScoredCase, compare_scores, comparison_table, comparison_to_json, score_scan
    from ..io.atomic_write import check_folder, written_whole
    from ..io.case_sources import usable_cases
    from .progress import Steps

    if json_file:
        check_folder(json_file)
    networks = [load_weights(None if str(path) == "shipped" else path) for path in (first, second)]
    if networks[0].sha256 == networks[1].sha256:
        raise UsageError("A and B are the same weights: name two.")
    scored: list[ScoredCase] = []
    with Steps() as steps:
        cases = usable_cases(data, lambda line: steps.warn([line]))
        for done, case in enumerate(cases):
            steps.show("compare", done, len(cases))
            try:
                scan, expected = _read_case(case)
                pair = [score_scan(scan, expected, one, device) for one in networks]
                scored.append(ScoredCase(case.name, case.patient, *pair))
            except InputError as error:  # a broken case names itself and the rest goes on
                steps.warn([f"{case.name} was left out: {error}"])
        if not scored:
            raise InputError(f"No case of {data} can be judged: run 'teethseg data check' on it.")
        results = compare_scores(scored, resamples, seed)
        names = [one.name for one in networks]
        if json_file:
            with written_whole(json_file) as draft:
                draft.write_text(comparison_to_json(names, scored, results), encoding="utf-8")
    Console().print(comparison_table(names, scored, results))
    for result in results:
        print(result.sentence(*names))


def _read_case(case: CaseSource) -> tuple[Volume, Volume]:
    from ..io.files import read_scan, read_teeth
    from ..io.scan_checks import check_scan

    with case.opened() as files:
        scan = read_scan(files.image, files.series)
        expected = read_teeth(files.labels, files.labels_are, keep=("supernumerary", "unknown"))
    return replace(scan, warnings=check_scan(scan)), expected


def _combined(networks: list[CascadeNet]) -> StageNetwork:
    from ..cascade.networks.ensemble import Ensemble

    return networks[0] if len(networks) == 1 else Ensemble(networks)


@app.command()
def seal(
    weights: Annotated[
        Path,
        typer.Argument(metavar="FILE.safetensors", help="The weights whose card (FILE.json beside it) you changed."),
    ],
) -> None:
    """Renew the checksum of a card whose text you changed; the architecture in it must be unchanged."""
    from ..cascade.weights import load_weights, write_card
    from ..io.atomic_write import written_whole
    from .inputs import read_json_object

    card = weights.with_suffix(".json")
    content = read_json_object(card)
    with written_whole(card) as draft:
        write_card(draft, content)
    load_weights(weights)


def _stage_network(checkpoint: Path, stage: str) -> CascadeNet:
    """The network of one stage, from a checkpoint, or from weights where only the other stage was trained."""
    from ..cascade.networks.cascade_net import is_known
    from ..cascade.weights import load_weights
    from ..training.fit import load_checkpoint

    if checkpoint.suffix == ".safetensors":
        return getattr(load_weights(checkpoint), stage)
    network = load_checkpoint(checkpoint)
    if not is_known(stage, network.architecture):
        raise UsageError(f"{checkpoint.name} does not hold the {stage} network: give COARSE first, then FINE.")
    return network
