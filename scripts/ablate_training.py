#!/usr/bin/env python3
"""Effect on stage 2 of continuing its training without one part of the simulation or of the loss.

    python scripts/ablate_training.py CASES JUDGED [JUDGED ...] --weights W.safetensors --run FOLDER [--steps N]

CASES: a folder of simulated training cases with `tissues.nrrd`. JUDGED: folders of cases (`image.nrrd`, `labels...`)
that the training does not use; each is scored separately. Every row starts from stage 2 of W, trains for N more steps
with a learning rate as high as in training, and is evaluated with stage 1 of W. (A network of half the width, trained
from scratch for 1000 steps, is too poor to compare: Dice 0.15.) Compare each row with the first. The second row differs
from the first by its seed only, so it shows the size of random differences. FOLDER keeps a file for each row: an
interrupted run continues, and two processes may share the rows. Prints a table of means: Dice of tooth against
background, and FDI instance F1 at an IoU of 0.5.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import default_collate

from teethseg.cascade.networks.cascade_net import CascadeNet
from teethseg.cascade.pipeline import segment
from teethseg.cascade.precision import autocast
from teethseg.cascade.weights import Weights, load_weights
from teethseg.evaluation.metrics import evaluate
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_labels, read_scan
from teethseg.io.json_text import json_text
from teethseg.simulation.scanner import Scanner, SimulatedScan
from teethseg.simulation.tissues import MEAN_RANGE, Tissue
from teethseg.training import data, losses

PATCH = 80
PLAIN = torch.tensor([sum(MEAN_RANGE[tissue]) / 2 for tissue in Tissue])
WORK = {Tissue.METAL, Tissue.ROOT_FILLING, Tissue.PLASTIC, Tissue.RESTORATION}


@dataclass(frozen=True)
class Variant:
    """Differences of a run: methods of the scanner and of the samples, dental work, the loss, the seed."""

    scanner: dict[str, Callable] = field(default_factory=dict)
    samples: dict[str, Callable] = field(default_factory=dict)
    no_dental_work: bool = False
    loss: Callable = losses.fine_loss
    seed: int = 1


def _one_machine(_self, image, means) -> SimulatedScan:
    return SimulatedScan(image, means[Tissue.SOFT].item(), means[Tissue.DENTINE].item())


def _straight(_self, case, centre, size, *_):
    """A patch that is not turned, scaled or mirrored."""
    return tuple(data._crop([case.tissues, case.labels], centre, size, [float(case.tissues.min()), 0]))


def _without_dice(output, target):
    dice, losses._dice = losses._dice, lambda *_: 0.0
    try:
        return losses.fine_loss(output, target)
    finally:
        losses._dice = dice


def _only_dice(output, target):
    terms = losses.fine_loss(output, target)
    for name in ("tooth", "core"):
        known = target["known"]
        terms[name] = losses._dice(output[name].sigmoid() * known, target[name] * known)
    return terms


def _only(*heads: str) -> Callable:
    return lambda output, target: {name: losses.fine_loss(output, target)[name] for name in heads}


def _nothing(_self, image, *_):
    return torch.zeros_like(image, dtype=torch.float32)


VARIANTS: dict[str, Variant] = {
    "everything": Variant(),
    "everything, another seed": Variant(seed=2),
    "no braces, wires, implants, crowns, fillings": Variant(no_dental_work=True),
    "no streaks and blooming of metal": Variant(scanner={"metal_artefact": _nothing}),
    "no texture of bone": Variant(scanner={"_texture": _nothing}),
    "no noise": Variant(scanner={"_noise": _nothing}),
    "no rings, motion, thick slices, cupping": Variant(
        scanner={
            "_rings": lambda _self, shape, _device: torch.zeros(shape),
            "_motion": lambda _self, image, _spacing: image,
            "_thick_slices": lambda _self, image, _spacing: image,
            "_shading": lambda _self, image, _spacing: image,
        }
    ),
    "one grey value a tissue, one machine's scale": Variant(
        scanner={"means": lambda _self: PLAIN.clone(), "_grey_scale": _one_machine}
    ),
    "no turning, scaling, mirroring": Variant(samples={"_turned": _straight}),
    "cross-entropy without Dice loss": Variant(loss=_without_dice),
    "Dice loss without cross-entropy": Variant(loss=_only_dice),
    "outlines and cores only: no votes, positions, jaws": Variant(loss=_only("tooth", "core")),
}


def train(start: CascadeNet, variant: Variant, cases: Path, steps: int) -> CascadeNet:
    """A network after `steps` more steps of one sample each, weights averaged as in `training.fit`."""
    torch.manual_seed(variant.seed)
    network = copy.deepcopy(start).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 40) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    samples = data.FineSamples(cases, steps, variant.seed, PATCH)
    for name, method in variant.samples.items():
        setattr(samples, name, method.__get__(samples))
    for name, method in variant.scanner.items():
        setattr(Scanner, name, method)
    for index in range(steps):
        batch = default_collate([samples[index]])
        with autocast(torch.device("cpu")):
            loss = sum(variant.loss(network(batch["image"]), batch["target"]).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
    return average.module.eval()


def without_work(load: Callable) -> Callable:
    """A case loader without dental work: it becomes dentine inside teeth and soft tissue elsewhere."""

    def plain(folder, spacing):
        case = load(folder, spacing)
        if case.tissues is None:
            return case
        work = np.isin(case.tissues, list(WORK))
        tooth = case.labels > 0
        tissues = np.where(work & tooth, Tissue.DENTINE, np.where(work, Tissue.SOFT, case.tissues))
        return replace(case, tissues=tissues.astype(np.uint8))

    return plain


def judge(fine: CascadeNet, weights: Weights, folder: Path) -> tuple[float, float]:
    """Mean Dice of tooth against background, and mean FDI instance F1, of the cases of a folder."""
    scores = []
    for case in case_folders(folder):
        found = segment(read_scan(case / "image.nrrd"), replace(weights, fine=fine)).dentition.labels
        one = evaluate(found, read_labels(labels_file(case)), None)
        scores.append((one.binary.dice, one.numbering.fdi_f1 or 0.0))
    return tuple(float(score) for score in np.mean(scores, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("judged", type=Path, nargs="+")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS))
    options = parser.parse_args()
    weights = load_weights(options.weights)
    options.run.mkdir(parents=True, exist_ok=True)
    load, kept = data.load_case, {name: getattr(Scanner, name) for name in vars(Scanner)}
    for number, (name, variant) in enumerate(VARIANTS.items()):
        result = options.run / f"{number:02}.json"
        try:
            if (options.only and name not in options.only) or result.exists():
                continue
            result.open("xb").close()  # claims the row, because two processes may share the rows
        except FileExistsError:
            continue
        try:
            data.load_case = without_work(load) if variant.no_dental_work else load
            network = train(weights.fine, variant, options.cases, options.steps)
        except BaseException:
            result.unlink()
            raise
        finally:
            for method in variant.scanner:
                setattr(Scanner, method, kept[method])
        scores = [judge(network, weights, folder) for folder in options.judged]
        result.write_text(json_text({"name": name, "scores": scores}), encoding="utf-8")
    print("| went on with | " + " | ".join(f"{folder.name}: Dice / FDI F1" for folder in options.judged) + " |")
    print("| --- |" + " --- |" * len(options.judged))
    for file in sorted(options.run.glob("*.json")):
        if text := file.read_text(encoding="utf-8"):
            row = json.loads(text)
            print(f"| {row['name']} | " + " | ".join(f"{d:.3f} / {f:.3f}" for d, f in row["scores"]) + " |")


if __name__ == "__main__":
    main()
