#!/usr/bin/env python3
"""Repeats the first experiments: fits plain U-Nets to one labelled scan.

    python scripts/seed_experiments.py SCAN LABELS --out DIR [--other SCAN] [--only NAME ...] [--longer FACTOR]

SCAN is cut to 163 x 112 x 120 voxels (left-right, front-back, height) round its teeth, padded to 168 x 120 x 120,
turned nine times by 20 degrees about the left-right axis, and cut into parts along an axis. Every network of
`EXPERIMENTS` learns from these parts, with Adam and then with RMSprop. The script prints two tables. The first gives
Dice on a turn that was trained on, Dice on a turn between these, parameters and processor seconds. The second gives the
effect of the post-processing ideas of that time on the held-out turn (`seed_wishes.py`). Of --other, an unlabelled
scan, it draws pictures: by-eye.png, wishes.png, turns.png.

**All figures measure the fit to one scan**: the held-out turns show the same teeth. Steps are few, so that two cores
are enough; --longer multiplies them. DIR keeps finished results, and a second start continues from there.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import lightning
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.transforms import NormalizeIntensity, SpatialCrop, SpatialPad
from PIL import Image
from scipy import ndimage
from skimage.measure import find_contours
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Dataset

from seed_wishes import dice, teeth_apart, wishes
from teethseg.cascade.networks.plain import PlainNet
from teethseg.cascade.networks.summary import parameter_count
from teethseg.cascade.region import Region
from teethseg.errors import InputError, TeethSegError
from teethseg.io.atomic_write import written_whole
from teethseg.io.files import read_scan, read_teeth
from teethseg.io.json_text import json_text
from teethseg.padding import patient_greys
from teethseg.pictures.arch_pictures import Overlay, picture, side_by_side
from teethseg.pictures.canvas import few_colours, save_png
from teethseg.resampling import labels_on_grid, resample_to_region
from teethseg.training.fit import StageModule
from teethseg.training.plain import plain_targets
from teethseg.training.targets import is_tooth
from teethseg.volume import Volume

CROP, PADDED = (120, 112, 163), (120, 120, 168)  # voxels (z, y, x)
SPACING = 0.5  # mm
TURN, TURNS = 20.0, 9  # degrees
HELD_OUT = 10.0  # a turn that lies between those trained on
RATES = {"adam": 2e-3, "rmsprop": 5e-4}  # one after the other, half of the steps each
SEED = 1
_SETTLE = 6  # parts that the statistics of the normalisation are taken from at the end


@dataclass(frozen=True)
class Experiment:
    """One network, the parts that it sees, and how long it learns.

    Attributes
    ----------
    title : str
    network : str
        Of `U_NETS`.
    slices : int
        Of a part.
    axis : {"z", "x"}
        Along which scans are cut into parts: across the turns, or along their axis.
    steps : int
        One part each.
    loss : {"dice", "categorical-dice"}
    """

    title: str
    network: str
    slices: int
    axis: Literal["z", "x"]
    steps: int
    loss: str = "dice"


# The cheap ones first.
EXPERIMENTS: Mapping[str, Experiment] = {
    "3d-small-24": Experiment("3D, 24 slices", "unet-3d-430k", 24, "x", 30),
    "3d-cascade": Experiment(
        "3D, then a second stage with 9 channels, 24 slices", "unet-3d-cascade", 24, "x", 24, "categorical-dice"
    ),
    "2d-sagittal": Experiment("2D, sagittal slices", "unet-2d-sagittal", 4, "x", 16),
    "2d-axial": Experiment("2D, axial slices", "unet-2d-axial", 4, "z", 16),
    "3d-small-72": Experiment("3D, 72 slices", "unet-3d-430k", 72, "x", 8),
    "2d-cascade": Experiment("2D, axial then sagittal", "unet-2d-cascade", 8, "z", 8),
    "3d-large-24": Experiment("3D, 24 slices", "unet-3d-22m", 24, "x", 6),
    "3d-large-72": Experiment("3D, 72 slices", "unet-3d-22m", 72, "x", 4),
}


@dataclass(frozen=True)
class Block:
    """A piece of a scan: standardised grey values float32 and FDI numbers uint8, both (Z, Y, X)."""

    image: np.ndarray
    labels: np.ndarray

    def turned(self, degrees: float) -> Block:
        """Turned about the left-right axis (x) through the middle; voxels from outside are 0."""

        def turn(array: np.ndarray, order: int) -> np.ndarray:
            return ndimage.rotate(array, degrees, axes=(0, 1), reshape=False, order=order)

        return Block(turn(self.image, 1), turn(self.labels, 0))

    def parts(self, slices: int, axis: Literal["z", "x"]) -> list[Block]:
        """Pieces of `slices` slices that cover the block with the least overlap."""
        along = "zyx".index(axis)
        return [
            Block(*(np.take(one, range(start, start + slices), along) for one in (self.image, self.labels)))
            for start in starts(self.image.shape[along], slices)
        ]


def starts(length: int, slices: int) -> list[int]:
    """First slices of the parts of an axis."""
    count = -(-length // slices)
    return np.linspace(0, max(length - slices, 0), count).round().astype(int).tolist()


def block_around(image: np.ndarray, labels: np.ndarray, centre: Sequence[float]) -> Block:
    """163 x 112 x 120 voxels round a centre (z, y, x), standardised and padded with 0 to 168 x 120 x 120.

    Where the scan ends, padding begins earlier.
    """
    cut = SpatialCrop(roi_center=[round(place) for place in centre], roi_size=CROP)
    grey, numbers = (np.asarray(cut(one[None])) for one in (image.astype(np.float32), labels))
    pad = SpatialPad(PADDED)
    return Block(np.asarray(pad(NormalizeIntensity()(grey)))[0], np.asarray(pad(numbers))[0].astype(np.uint8))


def middle(labels: np.ndarray) -> list[float]:
    """The middle (z, y, x) of the box that holds all teeth.

    Raises
    ------
    InputError
        If the labels hold no tooth.
    """
    where = np.argwhere(is_tooth(labels))
    if not len(where):
        raise InputError("The labels hold no tooth: name a label map with FDI numbers.")
    return ((where.min(axis=0) + where.max(axis=0)) / 2).tolist()


def labelled_block(scan: Path, labels: Path) -> Block:
    """The block of a labelled scan, on a grid of 0.5 mm.

    Raises
    ------
    InputError
        If a file is not there or holds something else.
    """
    image, region = on_grid(read_scan(scan))
    teeth = read_teeth(labels, keep=("supernumerary", "unknown"))
    numbers = labels_on_grid(teeth, Volume(image, (SPACING,) * 3, region.origin)).array
    return block_around(image, numbers, middle(numbers))


def on_grid(scan: Volume) -> tuple[np.ndarray, Region]:
    """Grey values of a scan on a grid of 0.5 mm, and this grid."""
    region, greys = Region.covering(scan, SPACING), patient_greys(scan.array, scan.padding)
    return resample_to_region(scan, region.origin, SPACING, region.shape, greys.darkest, greys), region


def unlabelled_block(path: Path) -> Block:
    """The block of an unlabelled scan, round the teeth that stage 1 of the shipped weights finds.

    Raises
    ------
    InputError
        If stage 1 finds none.
    """
    from teethseg.cascade.coarse import run_coarse
    from teethseg.cascade.inference import fallbacks
    from teethseg.cascade.weights import load_weights

    scan = read_scan(path)
    image, region = on_grid(scan)
    seen = run_coarse(scan, load_weights().coarse, next(fallbacks("cpu")))
    if seen.box is None:
        raise InputError(f"{path.name} shows no teeth: name another scan with --other.")
    centre = ((np.mean(seen.box, axis=0) - region.origin) / SPACING)[::-1]
    return block_around(image, np.zeros(image.shape, np.uint8), centre)


class Parts(Dataset):
    """The parts of all turns as samples."""

    def __init__(self, block: Block, experiment: Experiment):
        turns = (block.turned(TURN * number) for number in range(TURNS))
        self.parts = [part for turn in turns for part in turn.parts(experiment.slices, experiment.axis)]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> dict:
        part = self.parts[index]
        target = {name: torch.from_numpy(value) for name, value in plain_targets(part.labels).items()}
        return {"image": torch.from_numpy(np.ascontiguousarray(part.image[None])), "target": target}


def fitted(block: Block, experiment: Experiment, steps: int) -> PlainNet:
    """A network that has learned from the turns of a block: half of the steps with Adam, the other half with RMSprop."""
    warnings.filterwarnings("ignore", module=r"lightning\.")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(SEED, verbose=False)
    samples = Parts(block, experiment)
    order = torch.Generator().manual_seed(SEED)
    loader = DataLoader(samples, shuffle=True, generator=order)
    network = None
    for optimiser, rate in RATES.items():
        options = {
            "network": experiment.network, "loss": experiment.loss, "optimiser": optimiser, "schedule": "constant",
        }  # fmt: skip
        module = StageModule("fine", max(1, steps // 2), rate, options)
        if network is not None:
            module.network.load_state_dict(network.state_dict())
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_steps=max(1, steps // 2),
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, loader)
        network = module.network
    # In few steps the running means of the normalisation lag behind the weights.
    chosen = torch.randperm(len(samples), generator=order)[:_SETTLE].tolist()
    update_bn((samples[at]["image"][None] for at in chosen), network)
    return network.eval()


def chances(network: PlainNet, image: np.ndarray, experiment: Experiment) -> tuple[np.ndarray, np.ndarray | None]:
    """Probability of tooth (Z, Y, X), computed in parts as in training; and the likeliest class, of a second stage."""
    size = list(image.shape)
    size["zyx".index(experiment.axis)] = experiment.slices
    with torch.inference_mode():
        given = torch.from_numpy(np.ascontiguousarray(image))[None, None]
        output = sliding_window_inference(given, size, 1, network, overlap=0.0)
    classes = output["class"][0].argmax(dim=0).numpy() if "class" in output else None
    return output["tooth"][0, 0].sigmoid().numpy(), classes


@dataclass(frozen=True)
class Outcome:
    """A row of the table; `wished` has Dice, objects and separate teeth, by post-processing idea."""

    steps: int
    parameters: list[int]
    seconds: float
    dice_trained: float
    dice_held_out: float
    positions: float | None
    teeth: int
    wished: dict[str, tuple[float, int, int]]


def outcome(block: Block, experiment: Experiment, steps: int, other: Block | None, out: Path) -> Outcome:
    """Fit a network, evaluate it, and keep its probabilities for another scan."""
    started = time.process_time()
    network = fitted(block, experiment, steps)
    seconds = time.process_time() - started
    trained, held_out = block.turned(TURN), block.turned(HELD_OUT)
    seen = chances(network, trained.image, experiment)[0]
    chance, classes = chances(network, held_out.image, experiment)
    if other is not None:
        with written_whole(out) as draft, draft.open("wb") as file:
            np.save(file, chances(network, other.image, experiment)[0].astype(np.float16), allow_pickle=False)
    right = None
    if classes is not None:
        wanted = plain_targets(held_out.labels)["class"]
        right = float(np.mean(classes[wanted > 0] == wanted[wanted > 0]))
    truth = np.where(is_tooth(held_out.labels), held_out.labels, 0)
    return Outcome(
        steps,
        [parameter_count(net) for net in network.nets],
        seconds,
        dice(seen > 0.5, is_tooth(trained.labels)),
        dice(chance > 0.5, truth),
        right,
        len(np.unique(truth)) - 1,
        {
            name: (dice(found, truth), len(np.unique(found)) - 1, teeth_apart(found, truth))
            for name, found in wishes(held_out.image, chance, SPACING).items()
        },
    )


def tables(outcomes: Mapping[str, Outcome]) -> str:
    """Both tables, as Markdown."""
    lines = [
        "Fitting one scan; no figure says how good a network is on other scans.",
        "",
        "| network | parameters | steps | Dice, turn trained on | Dice, held-out turn | positions right | processor seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in outcomes.items():
        counts = " + ".join(f"{count:,}" for count in one.parameters)
        right = "" if one.positions is None else f"{one.positions:.2f}"
        lines.append(
            f"| {EXPERIMENTS[name].title} | {counts} | {one.steps} | {one.dice_trained:.3f} | {one.dice_held_out:.3f} | "
            f"{right} | {one.seconds:.0f} |"
        )
    lines += ["", "| network | wish | Dice, held-out turn | objects | teeth with an object of their own |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for name, one in outcomes.items():
        for wish, (score, found, apart) in one.wished.items():
            lines.append(f"| {EXPERIMENTS[name].title} | {wish} | {score:.3f} | {found} | {apart} of {one.teeth} |")
    return "\n".join(lines)


def draw(out: Path, other: Block, found: Mapping[str, np.ndarray]) -> None:
    """Pictures of an unlabelled scan: the turns, each network's teeth, and each idea applied to the first."""
    turns = [other.turned(TURN * number) for number in range(0, TURNS, 2)]
    images = [shown(turn.image, None, "x") for turn in turns]
    write_row(out / "turns.png", images, [f"{TURN * number:.0f} degrees" for number in range(0, TURNS, 2)])
    if not found:
        return
    level = int(np.argmax(np.sum(list(found.values()), axis=0).sum(axis=(1, 2))))
    images = [shown(other.image, chance > 0.5, "z", level) for chance in found.values()]
    write_row(out / "by-eye.png", images, list(found))
    chance = next(iter(found.values()))
    made = wishes(other.image, chance, SPACING)
    images = [shown(other.image, objects, "z", level) for objects in made.values()]
    write_row(out / "wishes.png", images, list(made))


def write_row(path: Path, images: list[Image.Image], titles: list[str]) -> None:
    """Write pictures side by side, small on disk."""
    save_png(few_colours(side_by_side(images, titles)), path)


def shown(image: np.ndarray, objects: np.ndarray | None, axis: str, at: int | None = None) -> Image.Image:
    """A slice across an axis, with outlines of objects in changing colours; up is up, and the front is on top."""
    along = "zyx".index(axis)
    at = image.shape[along] // 2 if at is None else at
    grey = np.take(image, at, along)
    numbers = np.zeros(grey.shape, int) if objects is None else np.take(objects, at, along).astype(int)
    if axis == "x":
        grey, numbers = grey[::-1], numbers[::-1]
    colours = (11, 16, 23, 34, 37, 42)  # of teeth
    outlines: dict[int, list[np.ndarray]] = {}
    for number in np.unique(numbers[numbers > 0]).tolist():
        edges = find_contours(np.pad(numbers == number, 1).astype(float), 0.5)
        outlines.setdefault(colours[number % len(colours)], []).extend(edge[:, ::-1] - 1 for edge in edges)
    return picture(grey, (-1.5, 3.5), 1.5, Overlay(outlines=outlines))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--longer", type=float, default=1.0, help="Times as many steps.")
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """Do the experiments that are not done yet, and print the tables."""
    for path in filter(None, (options.scan, options.labels, options.other)):
        if not path.exists():
            raise InputError(f"{path} does not exist: name a scan with teeth, and its labels (FDI numbers).")
    options.out.mkdir(parents=True, exist_ok=True)
    block = labelled_block(options.scan, options.labels)
    other = unlabelled_block(options.other) if options.other else None
    outcomes: dict[str, Outcome] = {}
    for name in options.only:
        experiment, file = EXPERIMENTS[name], options.out / f"{name}.json"
        if not file.exists():
            steps = max(2, round(experiment.steps * options.longer))
            made = outcome(block, experiment, steps, other, file.with_suffix(".npy"))
            with written_whole(file) as draft:
                draft.write_text(json_text(asdict(made), indent=1), encoding="utf-8")
        outcomes[name] = Outcome(**json.loads(file.read_text(encoding="utf-8")))
        print(f"{name}: {outcomes[name].dice_held_out:.3f}", file=sys.stderr, flush=True)
    if other is not None:
        kept = {name: options.out / f"{name}.npy" for name in options.only}
        draw(
            options.out,
            other,
            {
                name: np.load(file, allow_pickle=False).astype(np.float32)
                for name, file in kept.items()
                if file.exists()
            },
        )
    print(tables(outcomes))


if __name__ == "__main__":
    try:
        run(arguments())
    except TeethSegError as error:
        sys.exit(str(error))
