#!/usr/bin/env python3
"""Does the result stay the same when nothing about the patient changes?

    python scripts/check_stability.py SCAN [--weights W.safetensors] [--table changes|poses|greys|quality|orientations]
        [--crop MM]

`changes` segments a scan unchanged, then turned, cropped, remapped, resampled, blurred by another interpolation and
stored in another axis order. It compares on the grid of the changed scan: the same FDI numbers, and the Dice of all
teeth. Both results are laid on that grid from the 0.4 mm maps that they were made from. With `--carried`, the labels of
the first result are resampled there voxel by voxel, as without the maps. Labels that agree perfectly then reach 0.953
to 0.959 only (on a scan of 0.5 mm that is turned, or brought to 0.3 or 0.7 mm).

`poses` turns the head about each axis of the patient, and scales it.

`greys` does the same with the same patient in other grey values: shifted, scaled, of other types, inverted, and with padding
of many values round a cylinder.

`quality` lowers the contrast between bone and tooth, blurs the scan, and adds noise: where are the first teeth missed? The
last column of these tables counts the teeth found from canine to canine of the lower jaw: they were the first to go.

`orientations` stores the same voxels in another orientation than the file states: turned and mirrored. A number is
right if it has the tooth's own jaw, position and side. Where a scan does not show the sides, they may be wrong, but the
number must not be sure. The last columns give the number of looks of stage 1, and all their voxels as a multiple of
those of the first look (turned scans are read whole a second time).

If it finds no tooth, the script prints the time of the search only.

`--crop MM` compares within a box that is larger on each side, by MM, than the teeth found in the whole scan.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from teethseg.cascade.dentition import Dentition
from teethseg.cascade.normalisation import first_levels
from teethseg.cascade.number_choice import mirrored
from teethseg.cascade.pipeline import segment
from teethseg.cascade.region import Region
from teethseg.cascade.tooth_properties import SURE
from teethseg.cascade.weights import Weights, load_weights
from teethseg.io.files import read_scan
from teethseg.io.scan_checks import check_scan, with_numbers
from teethseg.resampling import crop
from teethseg.training.degradation import low_contrast
from teethseg.volume import Volume, from_sitk, to_sitk

LOWER_FRONT = (43, 42, 41, 31, 32, 33)


def turned_grid(volume: Volume, degrees: Sequence[float]) -> Volume:
    """The same voxels on a grid turned about the scan's centre, by a rotation vector (x, y, z) in degrees."""
    turn = Rotation.from_rotvec(np.radians(degrees)).as_matrix()
    centre = volume.to_lps((np.array(volume.array.shape) - 1) / 2)
    origin = centre + turn @ (np.asarray(volume.origin) - centre)
    return replace(volume, origin=tuple(origin), direction=turn @ volume.direction)


def turned(scan: Volume, degrees: Sequence[float]) -> tuple[Volume, Volume]:
    """The patient turned, resampled on the scan's own grid; and that grid in the patient who was not turned."""
    grid = turned_grid(scan, degrees)
    image = sitk.Resample(to_sitk(scan), to_sitk(grid), sitk.Transform(), sitk.sitkLinear, float(scan.array.min()))
    changed = from_sitk(image).array
    return scan.with_array(changed), grid.with_array(changed)


def resampled(scan: Volume, spacing: float) -> Volume:
    """The scan at another voxel size (cubes)."""
    image = to_sitk(scan)
    size = [int(np.floor((n - 1) * s / spacing)) + 1 for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    grid = (size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), (spacing,) * 3, image.GetDirection())
    if spacing > max(scan.spacing):
        image = sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), 0.4 * spacing)
    return from_sitk(sitk.Resample(image, *grid, float(scan.array.min())))


def on_grid(labels: Volume, scan: Volume) -> np.ndarray:
    """Labels on the grid of a scan, nearest neighbour."""
    return from_sitk(sitk.Resample(to_sitk(labels), to_sitk(scan), sitk.Transform(), sitk.sitkNearestNeighbor, 0)).array


# Name, changed scan, and its grid in the patient who was neither turned nor scaled.
Changes = Iterator[tuple[str, Volume, Volume]]


def same_place(changes: Iterator[tuple[str, Volume]]) -> Changes:
    """Changes that move nothing."""
    return ((name, changed, changed) for name, changed in changes)


def variants(scan: Volume, labels: np.ndarray) -> Changes:
    """Turned about an oblique axis, remapped, resampled, stored in another axis order, and cropped."""
    for degrees in (10.0, -10.0):
        yield f"turned by {degrees:.0f} degrees", *turned(scan, np.full(3, degrees / np.sqrt(3)))
    yield from same_place(_variants(scan, labels))


def poses(scan: Volume, _labels: np.ndarray) -> Changes:
    """Turned about the patient's axes, and scaled."""
    for name, degrees in {
        "chin up by 25 degrees": (25, 0, 0),
        "chin down by 15 degrees": (-15, 0, 0),
        "chin down by 25 degrees": (-25, 0, 0),
        "tilted by 20 degrees": (0, 20, 0),
        "tilted by 30 degrees": (0, 30, 0),
        "looking aside by 25 degrees": (0, 0, 25),
        "looking aside by 40 degrees": (0, 0, -40),
    }.items():
        yield name, *turned(scan, degrees)
    for scale in (0.8, 0.9, 1.1, 1.2):
        spacing = tuple(scale * np.array(scan.spacing))
        yield f"scaled by {scale}", replace(scan, spacing=spacing), scan


def _variants(scan: Volume, labels: np.ndarray) -> Iterator[tuple[str, Volume]]:
    yield "gain 0.7, offset -300", scan.with_array(scan.array * np.float32(0.7) - 300)
    yield "gain 1.4, offset 1000", scan.with_array(scan.array * np.float32(1.4) + 1000)
    low, high = np.percentile(scan.array, [0.5, 99.8])
    grey = np.clip((scan.array.astype(np.float32) - low) / (high - low) * 255, 0, 255)
    yield "8-bit", scan.with_array(grey.round().astype(np.uint8))
    yield "voxels of 0.3 mm", resampled(scan, 0.3)
    yield "voxels of 0.7 mm", resampled(scan, 0.7)
    matrix = scan.direction[:, [1, 2, 0]] * [-1, 1, 1]
    axes = np.ascontiguousarray(np.moveaxis(scan.array, 2, 0)[..., ::-1])
    last = scan.direction[:, 1] * scan.spacing[1] * (scan.array.shape[1] - 1)
    spacing = (scan.spacing[1], scan.spacing[2], scan.spacing[0])
    yield "another axis order", Volume(axes, spacing, tuple(np.asarray(scan.origin) + last), matrix)
    teeth = np.argwhere(np.isin(labels, range(31, 39)))
    if len(teeth):
        room = np.ceil(10 / np.array(scan.spacing_zyx)).astype(int)
        low, high = np.maximum(teeth.min(axis=0) - room, 0), teeth.max(axis=0) + room
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        yield "cropped round quadrant 3", crop(scan, box)


def grey_remaps(scan: Volume, _labels: np.ndarray) -> Iterator[tuple[str, Volume]]:
    """The same patient in other grey values."""
    whole = scan.array.astype(np.int32)
    low, high = int(whole.min()), int(np.percentile(whole, 99.99))
    share = np.clip((whole - low) / (high - low), 0, 1)
    for name, array in {
        "1024 higher": whole + 1024,
        "1024 lower": whole - 1024,
        "16 bit, unsigned": (whole - low).astype(np.uint16),
        "16 bit, unsigned, all of its range": (share * 65535).round().astype(np.uint16),
        "8 bit, unsigned": (share * 255).round().astype(np.uint8),
        "8 bit, signed": ((share * 255).round() - 128).astype(np.int8),
        "32 bit, slope 100": whole * 100,
        "float, slope 0.0004, intercept -0.2": whole.astype(np.float32) * np.float32(0.0004) - np.float32(0.2),
        "inverted": -whole,
        "inverted, 8 bit": (255 - (share * 255).round()).astype(np.uint8),
    }.items():
        yield name, scan.with_array(array)
    outside = ~cylinder(scan)
    for value in (-32768, low - 1000, high + 1000, 32767, 65535):
        yield f"padding of {value} round a cylinder", scan.with_array(np.where(outside, value, whole))
    gaps = scan.with_array(np.where(outside, np.float32(np.nan), whole.astype(np.float32)))
    yield "no number round a cylinder", with_numbers(gaps)


def worse_scans(scan: Volume, labels: np.ndarray) -> Iterator[tuple[str, Volume]]:
    """The same patient with less contrast between bone and tooth, more blur or more noise."""
    grey = scan.array.astype(np.float32)
    soft, tooth = first_levels(grey)[0], float(np.median(grey[labels > 0]))
    for power in (0.6, 0.4):
        yield f"contrast: power {power}", scan.with_array(low_contrast(grey, soft, tooth, power))
    for sigma in (0.4, 0.6, 0.8):
        yield f"blur of {sigma} mm", scan.with_array(gaussian_filter(grey, sigma / np.array(scan.spacing_zyx)))
    for share in (0.1, 0.2):
        noise = np.random.default_rng(0).normal(0, share * (tooth - soft), grey.shape).astype(np.float32)
        yield f"noise of {share:.0%} of the contrast", scan.with_array(grey + noise)


def cylinder(scan: Volume) -> np.ndarray:
    """The upright cylinder that just fits into a scan's box, bool of its shape."""
    upright = scan.oriented()
    _, y, x = (np.linspace(-1, 1, n) for n in upright.array.shape)
    inside = np.broadcast_to(np.hypot(y[:, None], x) <= 1, upright.array.shape)
    seen = upright.with_array(inside.astype(np.uint8))
    return on_grid(seen, scan) > 0


# From the patient's LPS to the file's: turns keep handedness, mirrors do not.
STORED = {
    "as it is": np.diag([1, 1, 1]),
    "upside down, mirrored": np.diag([1, 1, -1]),
    "upside down, turned": np.diag([-1, 1, -1]),
    "facing back, turned": np.diag([-1, -1, 1]),
    "facing back, mirrored": np.diag([1, -1, 1]),
    "upside down and facing back, turned": np.diag([1, -1, -1]),
    "lying, face at the top": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "lying, face at the bottom": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "facing left": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "lying on the side": np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    "axes x and z exchanged": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]),
    "axes y and z exchanged": np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
}


def stored(scan: Volume, matrix: np.ndarray) -> Volume:
    """The same voxels in a file that states another orientation."""
    origin = tuple(matrix @ np.array(scan.origin))
    return replace(scan, direction=matrix @ scan.direction, origin=origin)


def first_look(scan: Volume, weights: Weights) -> int:
    """Voxels that stage 1 looks at first: the whole scan."""
    net = weights.coarse.architecture
    return int(np.prod(Region.covering(scan, net.spacing, net.divisor).shape))


def print_orientations(scan: Volume, first: Dentition, weights: Weights) -> None:
    """Print a row for every orientation; teeth are compared voxel by voxel, because the arrays are the same."""
    print(
        f"| stored | teeth (of {len(first.teeth)}) | jaw and position right | side too | wrong, called sure | said "
        "| looks | voxels looked at |"
    )
    print("| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |")
    truth = first.labels.array
    for name, matrix in STORED.items():
        turned_file = stored(scan, matrix)
        result = segment(turned_file, weights)
        found = result.dentition
        right = sided = wrong = 0
        for one in found.teeth:
            here = truth[found.labels.array == one.fdi]
            true = int(np.bincount(here).argmax())
            same = one.fdi == true
            right += same or (true > 0 and one.fdi == mirrored(true))
            sided += same
            wrong += not same and one.confidence >= SURE
        warnings = "; ".join(text for text in found.warnings if text.startswith("The file shows")) or "nothing"
        cost = f"{result.looks} | {result.look_voxels / first_look(turned_file, weights):.1f} x"
        print(f"| {name} | {len(found.teeth)} | {right} | {sided} | {wrong} | {warnings} | {cost} |", flush=True)


def cropped(scan: Volume, labels: np.ndarray, margin: float) -> Volume:
    """The box of a scan that is `margin` mm larger on each side than all labels."""
    places = np.argwhere(labels)
    room = np.ceil(margin / np.array(scan.spacing_zyx)).astype(int)
    low, high = np.maximum(places.min(axis=0) - room, 0), places.max(axis=0) + room + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return crop(scan, box)


def dice(before: np.ndarray, again: np.ndarray, where: np.ndarray) -> float:
    """Dice of the teeth of two label maps, in a part of their grid."""
    a, b = (before > 0) & where, (again > 0) & where
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--table", choices=("changes", "poses", "greys", "quality", "orientations"), default="changes")
    parser.add_argument("--crop", type=float, metavar="MM", help="look at a box round the teeth alone")
    parser.add_argument("--carried", action="store_true", help="carry labels voxel by voxel")
    options = parser.parse_args()
    scan, weights = read_scan(options.scan), load_weights(options.weights)
    check_scan(scan)
    result = segment(scan, weights, keep_maps=True)
    if options.crop is not None and result.maps is not None:
        scan = cropped(scan, result.dentition.labels.array, options.crop)
        result = segment(scan, weights, keep_maps=True)
    first, maps = result.dentition.labels, result.maps
    if maps is None:
        size = Region.covering(scan, weights.coarse.architecture.spacing, weights.coarse.architecture.divisor).shape
        cost = (
            f"{result.looks} looks of stage 1 at {result.look_voxels / np.prod(size):.1f} times the voxels of its first"
        )
        raise SystemExit(f"No tooth was found: {cost}, {sum(result.seconds.values()):.1f} s in all.")
    if options.table == "orientations":
        print_orientations(scan, result.dentition, weights)
        return
    print(
        f"| changed | numbers beside those of the scan as it is ({np.unique(first.array).size - 1} teeth) | Dice "
        "| lower front teeth |"
    )
    print("| --- | --- | --- | --- |")
    changes = {
        "changes": variants,
        "poses": poses,
        "greys": lambda *given: same_place(grey_remaps(*given)),
        "quality": lambda *given: same_place(worse_scans(*given)),
    }[options.table](scan, first.array)
    for name, changed, grid in changes:
        again = segment(changed, weights).dentition.labels.array
        before = on_grid(first, grid) if options.carried else maps.labels(grid)
        seen = on_grid(grid.with_array(np.ones(grid.array.shape, np.uint8)), scan) > 0
        # Only teeth wholly inside are compared, because a crop changes the shape of a tooth that it cuts.
        whole = [t for t in np.unique(first.array)[1:] if seen[first.array == t].all()]
        lost, new = set(whole) - set(np.unique(again)), set(np.unique(again)) - set(np.unique(first.array))
        differences = [f"lost {sorted(map(int, lost))}"] * bool(lost) + [f"new {sorted(map(int, new))}"] * bool(new)
        same = dice(before, again, np.isin(before, [0, *whole]))
        front = np.count_nonzero(np.isin(LOWER_FRONT, again))
        print(
            f"| {name} | {', '.join(differences) or 'the same'} ({len(whole)} compared) | {same:.3f} | {front} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
