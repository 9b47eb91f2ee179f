#!/usr/bin/env python3
"""Stores small outputs of the networks, so that tests notice worse instances or numbers (Testing/test_goldens.py).

    python scripts/goldens.py maps CASE OUT.npz
    python scripts/goldens.py numbers OUT.json CASES [CASES ...] [--weights FILE]

`maps` stores the maps of stage 2 for one small simulated case, in few bits, with the true teeth. `numbers` stores the
evidence of both stages for every object of whole sets of cases, with its true number. Both print the present instances
or numbers from them. Make the files anew only with other weights, and name the change in the commit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.instances import find_instances
from teethseg.cascade.numbering import MidlinePrior, number_teeth
from teethseg.cascade.pipeline import _Run
from teethseg.cascade.predictions import FineMaps
from teethseg.cascade.region import Region
from teethseg.cascade.tooth_properties import SURE
from teethseg.cascade.weights import load_weights
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_scan, read_teeth
from teethseg.io.json_text import json_text
from teethseg.resampling import labels_on_grid

IOU = 0.5  # least IoU at which an object counts as a tooth of the reference


def packed(maps: FineMaps, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Maps in one byte a value, 0 far from teeth; the core as a logit, because cores are also separated at 0.9999."""
    near = maps.tooth > 0.02
    z, y, x = (size // 2 for size in near.shape)
    half = near.reshape(z, 2, y, 2, x, 2).any(axis=(1, 3, 5))
    chance = np.clip(maps.core.astype(float), 1e-6, 1 - 1e-6)
    return {
        "tooth": (np.rint(64 * maps.tooth) * near).astype(np.uint8),
        "core": (np.rint(8 * np.log(chance / (1 - chance))) * near).astype(np.int8),
        "offset": (np.rint(np.clip(4 * maps.offset.astype(float), -127, 127)) * half).astype(np.int8),
        "position": (np.rint(np.clip(-8 * maps.position.astype(float), 0, 80)) * half).astype(np.uint8),
        "upper": (np.rint(16 * maps.upper.astype(float)) * half).astype(np.uint8),
        "truth": truth,
        "place": np.array([*maps.origin, maps.spacing]),
    }


def unpacked(file: Path) -> tuple[FineMaps, np.ndarray]:
    """The maps that `packed` kept, with the true teeth (FDI numbers on the same grid)."""
    with np.load(file, allow_pickle=False) as kept:
        *origin, spacing = kept["place"].tolist()
        core = kept["core"].astype(np.float32)
        maps = FineMaps(
            kept["tooth"] / np.float32(64),
            np.where(kept["tooth"] > 0, 1 / (1 + np.exp(-core / 8)), 0).astype(np.float32),
            kept["offset"] / np.float32(4),
            kept["position"] / np.float32(-8),
            kept["upper"] / np.float32(16),
            tuple(origin),
            spacing,
        )
        return maps, kept["truth"]


def overlaps(labels: np.ndarray, truth: np.ndarray) -> dict[int, tuple[int, float]]:
    """Of every label: the number of the true tooth that it overlaps most, 0 for none, and their IoU."""
    found = {}
    sizes = np.bincount(truth.ravel(), minlength=256)
    for label in range(1, int(labels.max()) + 1):
        mine = labels == label
        if not mine.any():
            continue
        counts = np.bincount(truth[mine], minlength=256)
        counts[0] = 0
        best = int(counts.argmax())
        shared = int(counts[best])
        iou = shared / (sizes[best] + np.count_nonzero(mine) - shared) if shared else 0.0
        found[label] = (best if shared else 0, float(iou))
    return found


def kept_evidence(one: InstanceEvidence, fdi: int) -> dict:
    return {
        "fdi": fdi,
        "mm3": round(one.volume_mm3),
        "lps": [round(float(part), 1) for part in one.centroid_lps],
        "position": [round(float(part), 1) for part in one.position_log_probs],
        "upper": round(one.upper_probability, 2),
        "tooth": round(one.tooth_probability, 2),
        "cut": one.touches_border,
        "deciduous": one.deciduous_probability and round(one.deciduous_probability, 2),
        "germ": one.germ_probability and round(one.germ_probability, 2),
    }


def evidence_of(teeth: list[dict]) -> list[InstanceEvidence]:
    """The evidence that `kept_evidence` kept."""
    return [
        InstanceEvidence(
            label,
            float(one["mm3"]),
            np.array(one["lps"]),
            np.array(one["position"]),
            one["upper"],
            one["tooth"],
            one["cut"],
            deciduous_probability=one["deciduous"],
            germ_probability=one["germ"],
        )
        for label, one in enumerate(teeth, 1)
    ]


def numbers_right(mouths: list[dict]) -> tuple[int, int, int, int]:
    """Teeth, right numbers, sure numbers and sure wrong ones, of a file of kept evidence."""
    count = right = sure = wrong = 0
    for mouth in mouths:
        midline = MidlinePrior(**mouth["midline"]) if mouth["midline"] else None
        found = number_teeth(evidence_of(mouth["teeth"]), midline)
        for one, numbered in zip(mouth["teeth"], found, strict=True):
            is_sure = bool(numbered.fdi) and numbered.confidence >= SURE
            count += one["fdi"] > 0
            right += one["fdi"] > 0 and one["fdi"] == numbered.fdi
            sure += is_sure
            wrong += is_sure and one["fdi"] != numbered.fdi
    return count, right, sure, wrong


def read(case: Path, weights: Path | None = None):
    """A case as the pipeline reads it, and the true teeth on its region's grid."""
    reading = _Run(load_weights(weights), "cpu", lambda step, done, total: None).read(read_scan(case / "image.nrrd"))
    maps = reading.maps
    region = Region(maps.origin, maps.spacing, maps.tooth.shape)
    teeth = read_teeth(labels_file(case), keep=["supernumerary"])
    return reading, labels_on_grid(teeth, region.volume(maps.tooth)).array.astype(np.uint8)


def make_maps(case: Path, out: Path) -> None:
    reading, truth = read(case)
    with out.open("wb") as file:
        np.savez_compressed(file, **packed(reading.maps, truth))
    maps, truth = unpacked(out)
    for fdi, iou in overlaps(find_instances(maps).labels, truth).values():
        print(f"{fdi}: {iou:.3f}")


def make_numbers(folders: list[Path], out: Path, weights: Path | None) -> None:
    mouths = []
    for case in (case for folder in folders for case in case_folders(folder)):
        reading, truth = read(case, weights)
        found = overlaps(reading.instances.labels, truth)
        teeth = [
            kept_evidence(one, found[one.label][0] if found[one.label][1] >= IOU else 0) for one in reading.evidence
        ]
        midline = reading.midline and {"x": round(reading.midline.x, 1), "sd": reading.midline.sd}
        mouths.append({"case": case.name, "midline": midline, "teeth": teeth})
    out.write_text(json_text(mouths) + "\n", encoding="utf-8")
    print("{} teeth, {} numbers right, {} called sure, {} of these wrong".format(*numbers_right(mouths)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("maps")
    one.add_argument("case", type=Path)
    one.add_argument("out", type=Path)
    one = kinds.add_parser("numbers")
    one.add_argument("out", type=Path)
    one.add_argument("cases", type=Path, nargs="+")
    one.add_argument("--weights", type=Path, help="others than those that ship for permanent teeth")
    options = parser.parse_args()
    if options.kind == "maps":
        make_maps(options.case, options.out)
    else:
        make_numbers(options.cases, options.out, options.weights)


if __name__ == "__main__":
    main()
