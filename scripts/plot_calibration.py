#!/usr/bin/env python3
"""Share of right numbers at each confidence that TeethSeg gave them: a table and a picture.

    python scripts/plot_calibration.py OUT.png RESULTS CASES [RESULTS CASES ...]

RESULTS holds CASE.seg.nrrd and CASE.json as `scripts/segment_cases.py` writes them. Only teeth that match a tooth of the
case (IoU 0.5) are counted. Bars show 95 % intervals (Wilson, J Am Stat Assoc 1927;22:209); the expected calibration error
is that of Guo et al. (ICML 2017).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from teethseg.evaluation.metrics import evaluate
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_teeth
from teethseg.pictures.canvas import Lines, save_png, write

EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
SIZE, MARGIN = 640, 70  # pixels
INK, LINE, POINT = (30, 30, 30), (170, 170, 170), (0, 90, 160)


def confidences(results: Path, cases: Path) -> list[tuple[float, bool]]:
    """Confidence of every matched tooth, and whether its number is right."""
    pairs = []
    for case in case_folders(cases):
        report = json.loads((results / f"{case.name}.json").read_text(encoding="utf-8"))
        confidence_of = {tooth["fdi"]: tooth["confidence"] for tooth in report["teeth"]}
        found, expected = (
            read_teeth(file, keep=["supernumerary"]) for file in (results / f"{case.name}.seg.nrrd", labels_file(case))
        )
        scores = evaluate(found, expected)
        pairs += [
            (confidence_of[tooth.predicted_fdi], bool(tooth.number_right))
            for tooth in scores.teeth
            if tooth.predicted_fdi
        ]
    return pairs


def wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share."""
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half


def bins(pairs: list[tuple[float, bool]]) -> list[tuple[float, float, int, int]]:
    """Mean confidence, share of right numbers, count and number of right ones, from the lowest confidence up."""
    sure, right = np.array(pairs, float).T
    place = np.clip(np.searchsorted(EDGES, sure, side="right") - 1, 0, len(EDGES) - 2)
    return [
        (float(sure[own].mean()), float(right[own].mean()), int(own.sum()), int(right[own].sum()))
        for own in (place == k for k in range(len(EDGES) - 1))
        if own.any()
    ]


def draw(rows: list[tuple[float, float, int, int]], path: Path) -> None:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    lines = Lines(image.size)
    inner = SIZE - 2 * MARGIN

    def at(x: float, y: float) -> tuple[float, float]:
        return MARGIN + x * inner, SIZE - MARGIN - y * inner

    for tick in np.linspace(0, 1, 6):
        lines.line(np.array([at(tick, 0), at(tick, 1)]), LINE, 0.5)
        lines.line(np.array([at(0, tick), at(1, tick)]), LINE, 0.5)
        write(image, at(tick, -0.04), f"{tick:.1f}", size=14, colour=INK)
        write(image, at(-0.05, tick), f"{tick:.1f}", size=14, colour=INK)
    lines.line(np.array([at(0, 0), at(1, 1)]), INK, 1.0, dash=5)
    for sure, share, count, right in rows:
        low, high = wilson(right, count)
        lines.line(np.array([at(sure, low), at(sure, high)]), POINT, 2.0)
        lines.line(np.array([at(sure - 0.008, share), at(sure + 0.008, share)]), POINT, 5.0)
    lines.lay_on(image)
    write(image, (SIZE / 2, SIZE - 18), "confidence stated", size=16, colour=INK)
    write(image, (SIZE / 2, 30), "share of numbers that are right (bars: 95 % interval)", size=16, colour=INK)
    save_png(image, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RESULTS CASES")
    options = parser.parse_args()
    if len(options.folders) % 2:
        parser.error("give a folder of results and a folder of cases, in turns")
    pairs = [
        pair
        for results, cases in zip(options.folders[::2], options.folders[1::2], strict=True)
        for pair in confidences(results, cases)
    ]
    if not pairs:
        parser.error("no tooth of these cases was found")
    rows = bins(pairs)
    print("| confidence, mean | numbers right | teeth | 95 % interval |\n| --- | --- | --- | --- |")
    for sure, share, count, right in rows:
        low, high = wilson(right, count)
        print(f"| {sure:.3f} | {100 * share:.1f} % | {count} | {100 * low:.1f} to {100 * high:.1f} % |")
    error = sum(count * abs(sure - share) for sure, share, count, _ in rows) / len(pairs)
    print(f"\nExpected calibration error {error:.3f}, {len(pairs)} teeth.")
    draw(rows, options.picture)


if __name__ == "__main__":
    main()
