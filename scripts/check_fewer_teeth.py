#!/usr/bin/env python3
"""Are the teeth left in a real scan numbered right if others are taken out of it?

    python scripts/check_fewer_teeth.py SCAN [--labels LABELS] [--weights W.safetensors] [--only TEXT] [--keep FOLDER]

Each row takes some teeth out: their voxels, and bright ones attached to them (brackets), become what lies beside them,
smoothed and with the noise of the scan. Gaps stay open, and jaws keep their shape, so this is the mouth just after
extractions; the bone beside a root leaves a faint trace of it. The teeth left are compared with LABELS, or with the result of
the whole scan: found (at least 30 % of the voxels), number right, wrong and sure. What is called a tooth where one was taken
out counts as false.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from teethseg.cascade.dentition import Dentition
from teethseg.cascade.network_choice import choose_weights
from teethseg.cascade.pipeline import segment_chosen
from teethseg.cascade.tooth_properties import SURE
from teethseg.cascade.weights import load_weights
from teethseg.io.files import read_labels, read_scan, write_scan
from teethseg.io.scan_checks import check_scan
from teethseg.volume import Volume

FOUND = 0.3  # share of a tooth's voxels
ROOM, REACH = 1.0, 4.0  # mm round a tooth that go with it, and within which bright voxels do
SMOOTH = 0.8  # mm
UPPER, LOWER = (1, 2), (3, 4)
JAWS = (*UPPER, *LOWER)
FRONT, PREMOLARS, MOLARS, ALL = (1, 2, 3), (4, 5), (6, 7, 8), range(1, 9)


def patterns(teeth: list[int]) -> Iterator[tuple[str, set[int]]]:
    """Name and FDI numbers of the teeth that are taken out."""

    def some(positions, quadrants=JAWS) -> set[int]:
        return {fdi for fdi in teeth if fdi // 10 in quadrants and fdi % 10 in positions}

    yield "none", set()
    yield "first premolars", some((4,))
    yield "second premolars", some((5,))
    yield "first molars", some((6,))
    yield "upper laterals", some((2,), UPPER)
    yield "one lower incisor", some((1,), (4,))
    yield "canines", some((3,))
    yield "upper first and lower second premolars", some((4,), UPPER) | some((5,), LOWER)
    yield "premolars", some(PREMOLARS)
    yield "molars", some(MOLARS)
    yield "front teeth", some(FRONT)
    yield "all but molars", some((*FRONT, *PREMOLARS))
    yield "all but front teeth", some((*PREMOLARS, *MOLARS))
    yield "all but first molars", some(set(ALL) - {6})
    yield "all but canines", some(set(ALL) - {3})
    yield "right side", some(ALL, (1, 4))
    for jaw, quadrants in (("upper", UPPER), ("lower", LOWER)):
        yield f"{jaw} jaw", some(ALL, quadrants)
        yield f"{jaw} jaw but molars", some((*FRONT, *PREMOLARS), quadrants)
        yield f"{jaw} jaw but front teeth", some((*PREMOLARS, *MOLARS), quadrants)
    yield "every second tooth", set(sorted(teeth)[::2])
    random = np.random.default_rng(7)
    for share in (0.2, 0.4, 0.6, 0.8):
        for number in (1, 2):
            gone = {fdi for fdi in teeth if random.random() < share}
            yield f"{share:.0%} by chance, {number}", gone


def without(scan: Volume, labels: np.ndarray, gone: set[int]) -> tuple[Volume, np.ndarray]:
    """The scan without some teeth, and where they were."""
    spacing = scan.spacing_zyx
    array = scan.array.astype(np.float32)
    taken = np.isin(labels, list(gone))
    left = (labels > 0) & ~taken
    if not gone:
        return scan, taken
    to_taken = ndimage.distance_transform_edt(~taken, sampling=spacing)
    to_left = ndimage.distance_transform_edt(~left, sampling=spacing) if left.any() else np.full(taken.shape, np.inf)
    bright = array > np.median(array[taken])
    hole = ((to_taken <= ROOM) | (bright & (to_taken <= REACH))) & (to_taken < to_left)
    source = ndimage.distance_transform_edt(
        hole | (labels > 0), sampling=spacing, return_distances=False, return_indices=True
    )
    filled = np.where(hole, array[tuple(source)], array)
    sigma = [SMOOTH / step for step in spacing]
    smooth = ndimage.gaussian_filter(filled, sigma)
    flesh = (to_taken > REACH) & (to_taken < 3 * REACH) & ~left & ~bright
    residual = (array - smooth)[flesh]
    noise = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    random = np.random.default_rng(1)
    filled[hole] = smooth[hole] + random.normal(0.0, noise, np.count_nonzero(hole))
    limits = np.iinfo(scan.array.dtype) if scan.array.dtype.kind in "iu" else np.finfo(scan.array.dtype)
    return scan.with_array(np.clip(filled, limits.min, limits.max).astype(scan.array.dtype)), hole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose names have this text")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the scans without teeth there")
    options = parser.parse_args()
    scan = read_scan(options.scan)
    check_scan(scan)
    load = cache(load_weights)

    def teeth_in(part: Volume) -> Dentition:
        choice = choose_weights(part, weights=options.weights)
        return segment_chosen(choice, load(choice.file), load=load)[0].dentition

    labels = (read_labels(options.labels) if options.labels else teeth_in(scan).labels).array
    teeth = [int(fdi) for fdi in np.unique(labels)[1:]]
    if not teeth:
        raise SystemExit("There is no tooth to take out of the scan.")
    print("| taken out | teeth left | found | number right | sure | wrong, called sure | false teeth | mistakes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    total = np.zeros(6, int)
    for name, gone in patterns(teeth):
        if options.only not in name:
            continue
        part, hole = without(scan, labels, gone)
        if options.keep:
            write_scan(options.keep / f"{name}.nrrd", part)
        dentition = teeth_in(part)
        found = dentition.labels.array
        sure = {tooth.fdi for tooth in dentition.teeth if tooth.confidence >= SURE}
        missed, wrong = [], {}
        rest = [fdi for fdi in teeth if fdi not in gone]
        for fdi in rest:
            counts = np.bincount(found[labels == fdi], minlength=2)
            if counts[1:].sum() < FOUND * counts.sum():
                missed.append(fdi)
            elif (number := 1 + int(counts[1:].argmax())) != fdi:
                wrong[fdi] = number
        inside, sizes = (np.bincount(a.ravel(), minlength=90) for a in (found[hole], found))
        false = [tooth.fdi for tooth in dentition.teeth if inside[tooth.fdi] > sizes[tooth.fdi] / 2]
        right = len(rest) - len(missed) - len(wrong)
        counts = [
            len(rest),
            len(rest) - len(missed),
            right,
            len(sure),
            sum(n in sure for n in wrong.values()),
            len(false),
        ]
        total += counts
        text = [f"{fdi} missed" for fdi in missed] + [f"{fdi} called {n}" for fdi, n in wrong.items()]
        text += [f"false {fdi}{' (sure)' if fdi in sure else ''}" for fdi in false]
        print(f"| {name} | {' | '.join(map(str, counts))} | {', '.join(text)} |", flush=True)
    print(f"| all | {' | '.join(map(str, total))} | |")


if __name__ == "__main__":
    main()
