"""Simulated training cases: folders with a scan, its labels and its tissues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ..boxes import label_boxes, meets_edge, triple
from ..io.case_folder import check_new, write_case_folder
from ..volume import Volume
from .arch import Mouth, ShapeSource
from .grid import Grid
from .head import Head
from .scanner import Scanner

FieldOfView = Literal["jaws", "head", "part", "mixed"]


@dataclass(frozen=True)
class SimulatedCase:
    """A simulated scan. All three are on one grid, axis-aligned in LPS, millimetres."""

    scan: Volume  # int16 grey values
    labels: Volume  # uint8 FDI numbers
    tissues: Volume  # uint8, values of `Tissue`
    unerupted: tuple[int, ...] = ()  # numbers of the unerupted teeth: germs and impacted teeth
    # Share of a tooth's volume in the field of view, by number of the labelled teeth.
    share_inside: Mapping[int, float] = field(default_factory=dict)


def view_grid(head: Head, view: FieldOfView, spacing: float, rng: np.random.Generator) -> Grid:
    """Grid of the field of view: both `jaws` with a margin, the whole `head`, or a `part` of the jaws that cuts teeth.

    `mixed` is the head in 70 of 100 cases and the jaws in the others, as in the training of stage 1.
    """
    if view == "mixed":
        view = "head" if rng.random() < 0.7 else "jaws"
    if view == "head":
        low = np.array([-85.0, -42.0, rng.uniform(-85, -60)])
        high = np.array([85.0, rng.uniform(95, 130), rng.uniform(50, 110)])
    else:
        seats = np.array([tooth.matrix[:3, 3].tolist() for tooth in head.dentition.teeth] or [[0.0, 20.0, 0.0]])
        low = np.minimum(seats.min(axis=0), [-26, -1, -6]) - rng.uniform([9, 8, 24], [16, 18, 36])
        high = np.maximum(seats.max(axis=0), [26, 38, 6]) + rng.uniform([9, 9, 24], [16, 20, 36])
        if view == "part":
            size = (high - low) * rng.uniform(0.4, 0.8, 3)
            low = low + rng.uniform(0, 1, 3) * (high - low - size)
            high = low + size
    x, y, z = (np.ceil((high - low) / spacing / 2).astype(int) * 2).tolist()
    return Grid(triple(low), spacing, (z, y, x))


def shares_inside(head: Head, grid: Grid, labels: np.ndarray) -> dict[int, float]:
    """Share of each tooth's volume that lies inside a field of view, from 0 to 1.

    The teeth that its border cuts are drawn again, whole, on the same lattice.

    Parameters
    ----------
    head : Head
    grid : Grid
    labels : ndarray, shape (Z, Y, X)
        Labels of `head` on `grid`.

    Returns
    -------
    dict
        By FDI number, for the teeth in `labels`.
    """
    boxes = label_boxes(labels)
    shares = dict.fromkeys(boxes, 1.0)
    cut = {number for number, box in boxes.items() if meets_edge(box, labels.shape)}
    if not cut:
        return shares
    extents = [tooth.extent for tooth in head.dentition.teeth if tooth.fdi in cut]
    low = np.min([extent[0] for extent in extents], axis=0)
    high = np.max([extent[1] for extent in extents], axis=0)
    origin, spacing = np.array(grid.origin), grid.spacing
    first, last = np.floor((low - origin) / spacing).astype(int), np.ceil((high - origin) / spacing).astype(int)
    x, y, z = (last - first + 1).tolist()
    whole = np.bincount(head.draw_labels(Grid(triple(origin + first * spacing), spacing, (z, y, x))).ravel())
    inside = np.bincount(labels.ravel())
    return shares | {number: round(min(1.0, float(inside[number] / whole[number])), 3) for number in sorted(cut)}


def simulate_case(
    seed: int,
    shapes: ShapeSource,
    view: FieldOfView = "jaws",
    spacing: float = 0.4,
    artefact_level: float = 1.0,
    mouth: Mouth = "adult",
) -> SimulatedCase:
    """One labelled scan; the same arguments give the same scan.

    Parameters
    ----------
    seed : int
    shapes : ShapeSource
        Source of the tooth shapes, see `sources.shape_source`.
    view : {"jaws", "head", "part", "mixed"}
        Field of view, see `view_grid`.
    spacing : float
        Voxel size in mm.
    artefact_level : float
        Level of noise, blur and metal artefacts, from 0 (none) to 1.
    mouth : Mouth
        Kind of mouth, see `arch.Mouth`.
    """
    rng = np.random.default_rng(seed)
    head = Head(rng, shapes, mouth)
    grid = view_grid(head, view, spacing, rng)
    tissue, labels = head.draw(grid)
    scan = Scanner(seed, artefact_level, extra_artefacts=mouth != "adult")(torch.from_numpy(tissue), spacing)
    image = scan.image.round().clamp(-32000, 32000).to(torch.int16).numpy()
    unerupted = tuple(sorted(tooth.fdi for tooth in head.dentition.teeth if tooth.unerupted))
    scan_volume = Volume(image, (spacing,) * 3, grid.origin)
    return SimulatedCase(
        scan_volume,
        scan_volume.with_array(labels),
        scan_volume.with_array(tissue),
        unerupted,
        shares_inside(head, grid, labels),
    )


def write_case(folder: Path, case: SimulatedCase, patient: str, tissues: bool = True) -> None:
    """Write `image.nrrd`, `labels.seg.nrrd`, `case.json` and, for training, `tissues.nrrd` into a new folder.

    The folder appears when it is complete.

    Raises
    ------
    UsageError
        If the folder exists already.
    TeethSegError
        If it cannot be written.
    """
    shown = case.tissues if tissues else None
    write_case_folder(
        folder,
        case.scan,
        case.labels,
        patient,
        shown,
        simulated=True,
        unerupted=list(case.unerupted),
        share_inside=dict(case.share_inside),
    )


def simulate_cases(
    folder: Path,
    count: int,
    seed: int,
    shapes: ShapeSource,
    view: FieldOfView,
    spacing: float,
    artefact_level: float = 1.0,
    mouth: Mouth = "adult",
) -> Iterator[Path]:
    """Write `count` cases below a folder, one after the other; case n depends only on `seed` + n.

    Raises
    ------
    UsageError
        If one of them exists already; then none is written.
    """
    targets = {number: Path(folder) / f"case-{number:05d}" for number in range(seed, seed + count)}
    for target in targets.values():
        check_new(target)
    for number, target in targets.items():
        write_case(target, simulate_case(number, shapes, view, spacing, artefact_level, mouth), f"simulated-{number}")
        yield target
