#!/usr/bin/env python3
"""Is a part of a scan segmented like the whole: one jaw, one side, the front, the molars, small cubes?

    python scripts/check_views.py SCAN [--labels LABELS] [--weights W.safetensors]
    python scripts/check_views.py SCAN --without-teeth 16

Each row is a box cut out of the scan, as a device with a smaller field of view would have recorded it. Teeth with at least
half of their volume inside are compared with LABELS, or with the result of the whole scan: is the tooth found (at least 30 %
of its voxels), is its number right, is a wrong number called sure? Dice is that of all these teeth together.

`--without-teeth` cuts out random cubes of 50 mm in which no tooth was found, and counts what is called a tooth there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from teethseg.cascade.pipeline import segment
from teethseg.cascade.tooth_properties import SURE
from teethseg.cascade.weights import Weights, load_weights
from teethseg.io.files import read_labels, read_scan
from teethseg.io.scan_checks import check_scan
from teethseg.resampling import crop
from teethseg.volume import Volume

HALF = 0.5  # share of a tooth inside, from which on it is compared
FOUND = 0.3  # share of its voxels inside
ROOM = 3.0  # mm round the teeth of a box
CUBES, CENTRES = (50.0, 40.0), (11, 16, 26, 31, 36, 46)  # mm; teeth in the middle of a cube
JAWS = {"upper": (1, 2), "lower": (3, 4)}
FRONT, MOLARS, SIDE = (1, 2, 3), (6, 7, 8), range(1, 9)


@dataclass(frozen=True)
class Mouth:
    """A scan and its labels, both with axes (S, P, L), and the voxels of each tooth."""

    scan: Volume
    labels: np.ndarray
    voxels: dict[int, np.ndarray]

    @classmethod
    def of(cls, scan: Volume, labels: Volume) -> Mouth:
        scan, array = scan.oriented(), labels.oriented().array
        return cls(scan, array, {int(fdi): np.argwhere(array == fdi) for fdi in np.unique(array)[1:]})

    def teeth(self, quadrants, positions=SIDE) -> list[int]:
        """Teeth of these quadrants and positions."""
        return [fdi for fdi in self.voxels if fdi // 10 in quadrants and fdi % 10 in positions]

    def box(self, teeth: list[int], room: float = ROOM) -> np.ndarray:
        """First and last index (z, y, x) of the box round teeth, shape (2, 3)."""
        voxels = np.concatenate([self.voxels[fdi] for fdi in teeth])
        step = np.ceil(room / np.array(self.scan.spacing_zyx)).astype(int)
        ends = np.array([voxels.min(axis=0) - step, voxels.max(axis=0) + step + 1])
        return np.clip(ends, 0, self.labels.shape)

    def cube(self, fdi: int, edge: float) -> np.ndarray:
        """The cube, `edge` mm wide, round the centre of a tooth."""
        half = edge / 2 / np.array(self.scan.spacing_zyx)
        centre = self.voxels[fdi].mean(axis=0)
        return np.clip(np.round([centre - half, centre + half]).astype(int), 0, self.labels.shape)

    def bite(self) -> int:
        """Height (index) at which the two jaws meet."""
        ends = [[self.voxels[fdi][:, 0] for fdi in self.teeth(jaw)] for jaw in JAWS.values()]
        upper, lower = np.median([z.min() for z in ends[0]]), np.median([z.max() for z in ends[1]])
        return int((upper + lower) / 2)


def views(mouth: Mouth) -> Iterator[tuple[str, np.ndarray]]:
    """Name and box of each view."""
    yield "all teeth", mouth.box(mouth.teeth((1, 2, 3, 4)), 6.0)
    boxes: dict[str, list[int]] = {"right side": mouth.teeth((1, 4)), "left side": mouth.teeth((2, 3))}
    for group, positions in (("front", FRONT), ("molars", MOLARS)):
        for jaw, quadrants in JAWS.items():
            boxes[f"{jaw} {group}"] = mouth.teeth(quadrants, positions)
        boxes[f"{group} of both jaws"] = mouth.teeth((1, 2, 3, 4), positions)
    for quadrant in (1, 2, 3, 4):
        for first, last in ((1, 4), (4, 7), (6, 8)):
            boxes[f"quadrant {quadrant}, {first} to {last}"] = mouth.teeth((quadrant,), range(first, last + 1))
    yield from ((name, mouth.box(teeth)) for name, teeth in boxes.items() if teeth)
    if all(mouth.teeth(quadrants) for quadrants in JAWS.values()):
        for end, (jaw, quadrants) in enumerate(JAWS.items()):  # the upper jaw ends below, the lower one above
            for group, positions in (("", SIDE), (", molars only", MOLARS)):
                if teeth := mouth.teeth(quadrants, positions):
                    box = mouth.box(teeth)
                    box[end, 0] = mouth.bite()
                    yield f"{jaw} jaw as far as the bite{group}", box
    for edge in CUBES:
        for fdi in filter(mouth.voxels.__contains__, CENTRES):
            yield f"cube of {edge:.0f} mm round {fdi}", mouth.cube(fdi, edge)


def row(mouth: Mouth, box: np.ndarray, weights: Weights) -> tuple[list[int], float, str]:
    """Counts (teeth, found, number right, wrong and sure), Dice, and what is wrong."""
    part = tuple(slice(*ends) for ends in box.T.tolist())
    scan = crop(mouth.scan, part)
    truth = mouth.labels[part]
    dentition = segment(scan, weights).dentition
    found = dentition.labels.array
    sure = {tooth.fdi for tooth in dentition.teeth if tooth.confidence >= SURE}
    inside = np.bincount(truth.ravel(), minlength=max(mouth.voxels) + 1)
    teeth = [fdi for fdi, voxels in mouth.voxels.items() if inside[fdi] >= HALF * len(voxels)]
    missed, wrong = [], {}
    for fdi in teeth:
        counts = np.bincount(found[truth == fdi], minlength=2)
        if counts[1:].sum() < FOUND * inside[fdi]:
            missed.append(fdi)
        elif (number := 1 + int(counts[1:].argmax())) != fdi:
            wrong[fdi] = number
    compared = np.isin(truth, [0, *teeth])
    ours, theirs = (found > 0) & compared, (truth > 0) & compared
    dice = 2 * np.count_nonzero(ours & theirs) / max(1, np.count_nonzero(ours) + np.count_nonzero(theirs))
    sure_wrong = sum(number in sure for number in wrong.values())
    counts = [len(teeth), len(teeth) - len(missed), len(teeth) - len(missed) - len(wrong), sure_wrong]
    text = [f"{fdi} missed" for fdi in missed] + [f"{fdi} called {number}" for fdi, number in wrong.items()]
    return counts, float(dice), ", ".join(text)


def cubes_without_teeth(scan: Volume, labels: np.ndarray, count: int) -> Iterator[Volume]:
    """Random cubes of 50 mm without a labelled voxel that show more than one tissue; axes (S, P, L)."""
    random, spread, edge = np.random.default_rng(5), scan.array.std(), CUBES[0]
    size = np.minimum(np.round(edge / np.array(scan.spacing_zyx)).astype(int), scan.array.shape)
    for _ in range(100 * count):
        start = random.integers(0, np.array(scan.array.shape) - size + 1)
        box = tuple(slice(a, a + n) for a, n in zip(start.tolist(), size.tolist(), strict=True))
        if not labels[box].any() and scan.array[box].std() > spread / 2:
            yield crop(scan, box)
            count -= 1
        if not count:
            return


def print_false(scan: Volume, labels: Volume, count: int, weights: Weights) -> None:
    """Print what is called a tooth in cubes without teeth."""
    print("| cube | called teeth | sure | volumes, mm³ |")
    print("| ---: | ---: | ---: | --- |")
    total = np.zeros(2, int)
    for number, cube in enumerate(cubes_without_teeth(scan.oriented(), labels.oriented().array, count), start=1):
        teeth = segment(cube, weights).dentition.teeth
        counts = np.array([len(teeth), sum(tooth.confidence >= SURE for tooth in teeth)])
        total += counts
        print(
            f"| {number} | {counts[0]} | {counts[1]} | {', '.join(f'{t.volume_mm3:.0f}' for t in teeth)} |", flush=True
        )
    print(f"| all | {total[0]} | {total[1]} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--without-teeth", type=int, metavar="CUBES")
    options = parser.parse_args()
    scan, weights = read_scan(options.scan), load_weights(options.weights)
    check_scan(scan)
    labels = read_labels(options.labels) if options.labels else segment(scan, weights).dentition.labels
    if options.without_teeth:
        print_false(scan, labels, options.without_teeth, weights)
        return
    mouth = Mouth.of(scan, labels)
    if not mouth.voxels:
        raise SystemExit("There is no tooth to look for in parts of the scan.")
    print("| view | teeth half inside | found | number right | wrong, called sure | Dice | mistakes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    total, scores = np.zeros(4, int), []
    for name, box in views(mouth):
        counts, dice, text = row(mouth, box, weights)
        total += counts
        scores.append(dice)
        print(f"| {name} | {' | '.join(map(str, counts))} | {dice:.3f} | {text} |", flush=True)
    print(f"| all {len(scores)} | {' | '.join(map(str, total))} | {np.mean(scores):.3f} | |")


if __name__ == "__main__":
    main()
