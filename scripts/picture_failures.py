#!/usr/bin/env python3
"""Draws the worst results, as a picture for the model card.

    python scripts/picture_failures.py OUT.png CASES RESULTS [CASES RESULTS ...]

CASES: folders of cases (`image.nrrd`, `labels...`); RESULTS: the output of `segment_cases.py` for them. The picture
shows the two worst of every kind of mistake (something taken for a tooth, a tooth missed, a wrong number called sure, a
bad outline), in an axial and in an upright slice: found in red, the truth in dashed green. Mistakes are ranked by
volume, by confidence, by Dice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage.measure import find_contours

from teethseg.anatomy import TEETH
from teethseg.cascade.dentition import UNCERTAIN_NUMBER
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_labels, read_scan
from teethseg.pictures.canvas import Lines, few_colours, save_png, write
from teethseg.volume import Volume

SIDE_MM, PIXEL_MM, CAPTION = 34.0, 0.12, 44
FOUND, TRUTH, WHITE = (255, 60, 60), (80, 230, 120), (255, 255, 255)
KINDS = ("taken for a tooth", "missed", "wrong number, called sure", "bad outline")
EACH = 2


@dataclass(frozen=True)
class Mistake:
    kind: str
    weight: float  # the more, the worse
    description: str
    case: Path
    result: Path
    centre: np.ndarray  # voxel (z, y, x)


def mistakes(case: Path, result: Path) -> Iterator[Mistake]:
    """Everything that is wrong with one result; cut teeth of less than 0.1 ml are no mistake when missed."""
    truth = read_labels(labels_file(case))
    found = read_labels(result).array
    ml = float(np.prod(truth.spacing)) / 1000
    report = json.loads(result.with_name(f"{case.name}.json").read_text(encoding="utf-8"))
    both = np.bincount(truth.array.ravel() * np.int64(256) + found.ravel(), minlength=65536).reshape(256, 256)
    in_truth, in_found = both.sum(axis=1), both.sum(axis=0)

    def at(mask: np.ndarray) -> np.ndarray:
        return np.argwhere(mask).mean(axis=0)

    for entry in report["teeth"]:
        fdi = entry["fdi"]
        likest = int(both[1:, fdi].argmax()) + 1
        shared = both[likest, fdi]
        if both[1:, fdi].sum() < 0.2 * in_found[fdi]:
            volume = in_found[fdi] * ml
            yield Mistake(KINDS[0], volume, f"called {fdi}, {volume:.1f} ml", case, result, at(found == fdi))
            continue
        iou = shared / (in_found[fdi] + in_truth[likest] - shared)
        dice = 2 * shared / (in_found[fdi] + in_truth[likest])
        if iou >= 0.5 and likest != fdi and UNCERTAIN_NUMBER not in entry["flags"]:
            sure = entry["confidence"]
            yield Mistake(KINDS[2], sure, f"{likest} called {fdi} ({sure:.2f})", case, result, at(found == fdi))
        elif likest == fdi:
            yield Mistake(KINDS[3], 1 - dice, f"{fdi}: Dice {dice:.2f}", case, result, at(truth.array == fdi))
    for fdi in np.flatnonzero(in_truth)[1:]:
        volume = in_truth[fdi] * ml
        if fdi in TEETH and volume > 0.1 and both[fdi, 1:].sum() < 0.5 * in_truth[fdi]:
            yield Mistake(KINDS[1], volume, f"{fdi}, {volume:.1f} ml", case, result, at(truth.array == fdi))


def tile(mistake: Mistake) -> Image.Image:
    """An axial slice above an upright one that runs to the front or to the side, whichever shows the jaw's length."""
    scan, truth = read_scan(mistake.case / "image.nrrd"), read_labels(labels_file(mistake.case))
    found = read_labels(mistake.result)
    teeth = scan.array[truth.array > 0]
    low, high = np.percentile(scan.array, 5), np.percentile(teeth, 97)
    steps = np.arange(-SIDE_MM / 2, SIDE_MM / 2, PIXEL_MM)
    z, y, x = mistake.centre * scan.spacing_zyx
    across = (scan.array.shape[2] - 1) * scan.spacing[0] / 2
    side = abs(x - across) > 14
    flat = np.meshgrid([z], y + steps, x + steps, indexing="ij")
    upright = np.meshgrid(z - steps, [y] if not side else y + steps, [x] if side else x + steps, indexing="ij")
    size = len(steps)
    image = Image.new("RGB", (size, CAPTION + 2 * size + 4))
    for number, places in enumerate((flat, upright)):
        places = np.reshape(places, (3, size, size)) / np.array(scan.spacing_zyx)[:, None, None]
        grey = map_coordinates(scan.array.astype(np.float32), places, order=1, cval=float(low))
        grey = np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        panel = Image.fromarray(np.repeat(grey[..., None], 3, axis=-1))
        lines = Lines((size, size))
        outline(lines, truth, places, TRUTH, 1.4, 5)
        outline(lines, found, places, FOUND, 1.4, None)
        lines.lay_on(panel)
        image.paste(panel, (0, CAPTION + number * (size + 4)))
    write(image, (size / 2, 12), mistake.kind, size=15, colour=WHITE)
    write(image, (size / 2, 32), f"{mistake.case.name}: {mistake.description}", size=13, colour=WHITE)
    return image


def outline(lines: Lines, labels: Volume, places: np.ndarray, colour, width: float, dash: float | None) -> None:
    """Outlines of all labels in a slice."""
    values = map_coordinates(labels.array, places, order=0, mode="constant")
    for value in np.unique(values)[1:]:
        for line in find_contours((values == value).astype(float), 0.5):
            lines.line(line[:, ::-1], colour, width, dash)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", metavar="CASES RESULTS")
    options = parser.parse_args()
    if len(options.folders) % 2:
        parser.error("for each folder of cases, give the folder of its results")
    found = [
        mistake
        for cases, results in zip(options.folders[::2], options.folders[1::2], strict=True)
        for case in case_folders(cases)
        for mistake in mistakes(case, results / f"{case.name}.seg.nrrd")
    ]
    shown = []
    for kind in KINDS:
        worst = sorted((m for m in found if m.kind == kind), key=lambda m: -m.weight)[:EACH]
        print(f"{kind}: {sum(m.kind == kind for m in found) if kind != KINDS[3] else len(worst)}")
        shown += [tile(mistake) for mistake in worst]
    if not shown:
        raise SystemExit("Nothing is wrong.")
    picture = Image.new("RGB", (sum(t.width + 6 for t in shown) - 6, shown[0].height))
    for place, one in enumerate(shown):
        picture.paste(one, (place * (one.width + 6), 0))
    save_png(few_colours(picture), options.out)


if __name__ == "__main__":
    main()
