"""Dice and time of teeth grown from clicks, which are placed in a reference as a careful user would place them.

    python scripts/benchmark_clicks.py                      a simulated case
    python scripts/benchmark_clicks.py SCAN REFERENCE       a scan and its label map of FDI numbers
    options: --seed N (simulated case), --without 36 45 (teeth left out), --teeth 11 16 (only these), --clicks 3,
             --alone (each tooth without the others)

The first click is the middle of the crown, the second the middle of a root, the third the middle of another root or,
where there is one root only, a place near its apex. Teeth that the edge of the scan cuts are left out.

Teeth are grown in the order of the worklist, as found and never corrected. A finished tooth blocks the later ones: a
click that falls into it is left out, and a tooth without its first click counts as Dice 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import edt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.anatomy import TEETH
from teethseg.boxes import bounding_box
from teethseg.correction.edit import numbers_in
from teethseg.correction.shape_model_fit import grow_tooth
from teethseg.volume import Volume

KINDS = {"incisors": (1, 2), "canines": (3,), "premolars": (4, 5), "molars": (6, 7, 8)}


def place_clicks(tooth: np.ndarray, spacing: tuple[float, float, float], upper: bool) -> list[tuple[int, int, int]]:
    """Three clicks (z, y, x) in a tooth's mask whose first axis runs upwards: crown, root, other root or near the apex."""
    depth = edt.edt(tooth, anisotropy=spacing, parallel=1, black_border=True)
    voxels = np.argwhere(tooth)
    depths = depth[tuple(voxels.T)]
    place = voxels * np.asarray(spacing)
    height = place[:, 0] if upper else -place[:, 0]
    along = (height - height.min()) / np.ptp(height)  # 0 at the cusps, 1 at the apex

    def deepest(low: float, high: float, where: np.ndarray | bool = True) -> int:
        return int(np.where((along >= low) & (along <= high) & where, depths, -1.0).argmax())

    crown, root = deepest(0.15, 0.35), deepest(0.55, 0.7)
    aside = np.linalg.norm((place - place[root])[:, 1:], axis=1)
    level = (along >= 0.55) & (along <= 0.75)
    other = level & (aside > 3.0) & (depths > 0.6 * depths[level].max())
    third = deepest(0.8, 0.9)
    if other.any():
        far = deepest(0.55, 0.75, other)
        line = np.linspace(voxels[root], voxels[far], 20).round().astype(int)
        if depth[tuple(line.T)].min() < 0.5 * min(depths[root], depths[far]):  # a waist or a gap: another root
            third = far
    return [tuple(int(c) for c in voxels[i]) for i in (crown, root, third)]


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def measure(
    scan: Volume, reference: np.ndarray, teeth: list[int], counts: list[int], alone: bool
) -> dict[int, list[tuple[float, float]]]:
    """Dice and seconds of every tooth for every number of clicks; earlier teeth stay in the labels unless `alone`."""
    spacing = scan.spacing_zyx
    rows = {}
    done = {count: np.zeros(reference.shape, np.uint8) for count in counts}
    for fdi in teeth:
        mine = reference == fdi
        box = bounding_box(mine)
        if any(side.start == 0 or side.stop == size for side, size in zip(box, mine.shape, strict=True)):
            continue
        first = [side.start for side in box]
        clicks = [
            tuple(c + f for c, f in zip(click, first, strict=True))
            for click in place_clicks(mine[box], spacing, TEETH[fdi].jaw == "upper")
        ]
        rows[fdi] = []
        for count, labels in done.items():
            free = [click for click in clicks[:count] if not labels[click]]
            if clicks[0] not in free:
                rows[fdi].append((0.0, 0.0))
                continue
            start = time.process_time()
            grow_tooth(labels, scan.array, spacing, fdi, free, direction=scan.direction).apply(labels)
            seconds = time.process_time() - start
            rows[fdi].append((dice(labels == fdi, mine), seconds))
            if alone:
                labels[:] = 0
        text = "  ".join(f"{score:.3f} ({seconds:.1f} s)" for score, seconds in rows[fdi])
        print(f"{fdi}  {text}", file=sys.stderr, flush=True)
    return rows


def print_table(rows: dict[int, list[tuple[float, float]]], counts: list[int]) -> None:
    kinds = {"all": range(1, 9), **KINDS}
    print("| clicks | teeth | number | mean Dice | median Dice | lowest Dice | CPU seconds a tooth | slowest |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for column, count in enumerate(counts):
        for kind, places in kinds.items():
            chosen = np.array([row[column] for fdi, row in rows.items() if fdi % 10 in places])
            if len(chosen):
                score, seconds = chosen.T
                print(
                    f"| {count} | {kind} | {len(chosen)} | {score.mean():.3f} | {np.median(score):.3f} "
                    f"| {score.min():.3f} | {seconds.mean():.2f} | {seconds.max():.2f} |"
                )


def load(options: argparse.Namespace) -> tuple[Volume, np.ndarray]:
    if options.scan is None:
        from teethseg.simulation.cases import simulate_case
        from teethseg.simulation.sources import shape_source

        case = simulate_case(options.seed, shape_source(None), "jaws", 0.4, options.hard)
        return case.scan, case.labels.array
    from teethseg.io.files import read_labels, read_scan
    from teethseg.resampling import labels_on_grid

    scan = read_scan(options.scan)
    # Brought to patient axes, so that the arrays' first axis runs upwards.
    return scan.oriented(), labels_on_grid(read_labels(options.reference), scan.oriented()).array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", nargs="?")
    parser.add_argument("reference", nargs="?")
    parser.add_argument("--seed", type=int, default=900, help="of the simulated case")
    parser.add_argument("--hard", type=float, default=1.0, help="of the simulated case, 0 to 1")
    parser.add_argument("--clicks", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--teeth", type=int, nargs="+", help="only these")
    parser.add_argument("--without", type=int, nargs="+", default=[], help="teeth to leave out")
    parser.add_argument("--alone", action="store_true", help="grow each tooth without the others")
    options = parser.parse_args()
    if (options.scan is None) != (options.reference is None):
        parser.error("give both a scan and its reference, or none")
    scan, reference = load(options)
    teeth = [fdi for fdi in options.teeth or numbers_in(reference) if fdi in TEETH and fdi not in options.without]
    print_table(measure(scan, reference, teeth, options.clicks, options.alone), options.clicks)


if __name__ == "__main__":
    main()
