"""The surface of each tooth: contoured, smoothed, decimated, separated from its neighbours, and checked.

A tooth whose mesh fails a check is made again with less smoothing and without decimation, then cut back or repaired.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..anatomy import TEETH, tooth
from ..boxes import Box, bounding_box, label_boxes, union
from ..errors import UsageError
from ..resampling import covered_box, crop
from ..volume import Volume
from .contacts import overlapping, separated
from .export_options import ExportOptions
from .level_set import level_set_body
from .mesh import DEFAULT_SMOOTHING, GENTLE_SMOOTHING, STRONG_SMOOTHING, Body, Smoothing, label_body
from .mesh_quality import VOLUME_TOLERANCE_PERCENT, MeshCheck, check_mesh
from .pulp import find_pulp, hollowed
from .simplify import decimated_to_count, decimated_within_error
from .solids import difference, repaired
from .triangles import arrays, enclosed_volume

if TYPE_CHECKING:
    from ..cascade.predictions import ToothMaps

# Smoothing by option, and the fallbacks if the mesh fails a check, down to the mesh as contoured (None). Labels have steps; the
# level set of probabilities has only fine ribs, where the grids of network and scan interfere, and `Smoothing(0)` only corrects
# its volume.
SMOOTHING_FALLBACKS: dict[str, dict[str, tuple[Smoothing | None, ...]]] = {
    "labels": {
        "strong": (STRONG_SMOOTHING, DEFAULT_SMOOTHING, GENTLE_SMOOTHING, None),
        "light": (DEFAULT_SMOOTHING, GENTLE_SMOOTHING, None),
        "none": (None,),
    },
    "maps": {
        "strong": (DEFAULT_SMOOTHING, GENTLE_SMOOTHING, Smoothing(0), None),
        "light": (Smoothing(30, 0.03), GENTLE_SMOOTHING, Smoothing(0), None),
        "none": (Smoothing(0), None),
    },
}
# Shifts in mm in all directions: a comparison whose result changes with them depends on rounding.
_ROUNDING = 1e-4 * np.array([(1, 0.6, 0.4), (0.6, -0.4, -1), (-1, 0.4, -0.6), (-0.4, -1, 0.6)])


@dataclass(frozen=True)
class ToothSurface:
    """The mesh of a tooth with its check.

    Attributes
    ----------
    mesh : vtkPolyData
        In LPS mm.
    check : MeshCheck
    source : {'maps', 'labels'}
        Source of the surface.
    smoothing_change_percent : float
        Change of the volume by smoothing and decimation.
    note : str
        Deviations from the options, with their reasons; empty if there are none.
    """

    mesh: vtkPolyData
    check: MeshCheck
    source: Literal["maps", "labels"]
    smoothing_change_percent: float
    note: str = ""


def tooth_surfaces(
    labels: Volume,
    options: ExportOptions | None = None,
    *,
    maps: ToothMaps | None = None,
    image: Volume | None = None,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> tuple[dict[int, ToothSurface], list[str]]:
    """Checked surfaces of all teeth of a label map, apart from each other, and warnings; for arguments see `export.export`."""
    options = options or ExportOptions()
    options.check(image is not None)
    with threads() as pool:
        maker = _Maker(labels, options, maps, pool, progress)
        overlaps = maker.make()
        if options.pulp and image is not None:
            maker.hollow_out(find_pulp(image, labels))
    warnings = []
    for (one, two), volume in overlaps.items():
        names = " and ".join(tooth(fdi).notation(options.naming) for fdi in (one, two))
        warnings.append(f"Teeth {names} overlap by {volume:.3f} mm³.")
    return maker.surfaces, warnings


class _Maker:
    """Makes the surfaces of one dentition; every dictionary has the FDI numbers as keys.

    Attributes
    ----------
    surfaces : dict of int to ToothSurface
        The present results; complete after `make`.
    """

    def __init__(
        self,
        labels: Volume,
        options: ExportOptions,
        maps: ToothMaps | None,
        pool: ThreadPoolExecutor,
        progress: Callable[[str, int, int], None],
    ):
        self._labels, self._options, self._maps = labels, options, maps
        self._pool, self._progress = pool, progress
        self._boxes = label_boxes(labels.array)
        self._numbers = _numbers(labels, self._boxes)
        self._owners = _owners(labels, self._boxes, maps) if maps is not None else {}
        self._owner_boxes = label_boxes(maps.owner) if maps is not None and self._owners else {}
        self._bodies: dict[int, Body] = self._each(self._body, self._numbers, "make surfaces")
        self._let_labels_decide()
        self._steps: dict[int, vtkPolyData] = self._each(self._label_steps, self._numbers, "make surfaces")
        self._shaped: dict[int, vtkPolyData] = {}  # smoothed and decimated, not yet separated
        self._apart: dict[int, vtkPolyData] = {}  # separated from the neighbours
        self._notes = dict.fromkeys(self._numbers, "")
        self.surfaces: dict[int, ToothSurface] = {}

    def make(self) -> dict[tuple[int, int], float]:
        """Make all surfaces; returns the volumes, mm³, by which pairs of teeth still overlap."""
        overlaps, failed = self._with_less_and_less_smoothing()
        for fdi in failed:
            self._rescue(fdi)
        if failed:
            meshes = {fdi: one.mesh for fdi, one in self.surfaces.items()}
            overlaps = overlapping(meshes, each=self._pool.map)
        return overlaps

    def hollow_out(self, pulps: Mapping[int, Body]) -> None:
        """Make the teeth hollow at their pulps."""
        self.surfaces = self._each(lambda fdi: _hollow(self.surfaces[fdi], pulps.get(fdi)), self._numbers, "hollow out")

    def _each(self, task: Callable, items: Iterable[int], step: str) -> dict:
        items = list(items)
        results = {}
        for number, (fdi, result) in enumerate(zip(items, self._pool.map(task, items), strict=True)):
            self._progress(step, number + 1, len(items))
            results[fdi] = result
        return results

    def _source(self, fdi: int) -> Literal["maps", "labels"]:
        return "maps" if fdi in self._owners else "labels"

    def _body(self, fdi: int) -> Body:
        if self._maps is not None and fdi in self._owners:
            owner = self._owners[fdi]
            return level_set_body(self._maps, owner, self._labels, self._owner_boxes[owner])
        return label_body(self._labels, fdi, self._boxes[fdi])

    def _label_steps(self, fdi: int) -> vtkPolyData:
        """The surface of the tooth's voxels, with their steps."""
        body = label_body(self._labels, fdi, self._boxes[fdi]) if fdi in self._owners else self._bodies[fdi]
        return body.raw

    def _let_labels_decide(self) -> None:
        """Keep the volume of the labels where the maps disagree with them."""
        for fdi in list(self._owners):
            volume = self._numbers[fdi] * self._labels.voxel_volume
            change = 100 * (self._bodies[fdi].volume_mm3 / volume - 1)
            if abs(change) > 3 * VOLUME_TOLERANCE_PERCENT:
                del self._owners[fdi]
                self._bodies[fdi] = self._body(fdi)
            elif abs(change) > VOLUME_TOLERANCE_PERCENT / 2:
                nearer = 1 + np.copysign(VOLUME_TOLERANCE_PERCENT / 2, change) / 100
                self._bodies[fdi] = replace(self._bodies[fdi], volume_mm3=nearer * volume)

    def _with_less_and_less_smoothing(self) -> tuple[dict[tuple[int, int], float], list[int]]:
        """Make every surface, and those that fail a check again; returns overlaps (mm³) and the teeth that still fail."""
        ways = {fdi: attempts(self._options, self._source(fdi)) for fdi in self._numbers}
        failed = list(self._numbers)
        overlaps: dict[tuple[int, int], float] = {}
        for attempt in range(max(map(len, ways.values()), default=1)):
            chosen = {fdi: ways[fdi][min(attempt, len(ways[fdi]) - 1)] for fdi in failed}
            made = self._each(partial(self._shape, chosen), failed, "smooth")
            self._shaped |= made
            start = self._apart | made
            self._apart, overlaps = separated(start, self._options.gap_mm, self._pool.map)
            # Separation may have moved the neighbours of surfaces that were made again.
            moved = [fdi for fdi in self._numbers if fdi in made or self._apart[fdi] is not start[fdi]]
            self.surfaces |= self._each(self._checked, moved, "check")
            failed = [fdi for fdi, one in self.surfaces.items() if not one.check.printable]
            if not failed:
                break
            for fdi in failed:
                why = ", ".join(self.surfaces[fdi].check.reasons)
                self._notes[fdi] = f"less smooth than asked for, or not decimated, as it had {why}"
        return overlaps, failed

    def _shape(self, chosen: Mapping[int, tuple[Smoothing | None, bool]], fdi: int) -> vtkPolyData:
        smoothing, thinned = chosen[fdi]
        mesh = self._bodies[fdi].surface(smoothing)
        return decimated(mesh, self._options) if thinned else mesh

    def _checked(self, fdi: int) -> ToothSurface:
        mesh, volume = self._apart[fdi], _volume(self._shaped[fdi])
        # The volume removed for a gap is no error of the surface.
        label_volume = self._numbers[fdi] * self._labels.voxel_volume + _volume(mesh) - volume
        check = check_mesh(mesh, label_volume, self._steps[fdi])
        change = 100 * (volume / self._bodies[fdi].volume_mm3 - 1)
        return ToothSurface(mesh, check, self._source(fdi), change, self._notes[fdi])

    def _rescue(self, fdi: int) -> None:
        """Take the contoured mesh: it is sound, but overlaps its neighbours. Subtract these if possible, else repair it."""
        failed = self.surfaces[fdi]
        self._notes[fdi] = f"as contoured, cut back or repaired, as it had {', '.join(failed.check.reasons)}"
        neighbours = [self._apart[other] for other in self._numbers if other != fdi]
        for mesh in (difference(self._shaped[fdi], neighbours), self._shaped[fdi]):
            self._apart[fdi] = mesh
            self.surfaces[fdi] = self._checked(fdi)
            if self.surfaces[fdi].check.printable:
                return
        mesh, check = repaired(failed.mesh, failed.check)
        self._apart[fdi] = mesh
        self.surfaces[fdi] = replace(failed, mesh=mesh, check=check, note=self._notes[fdi])


def threads() -> ThreadPoolExecutor:
    """Threads for the teeth of one dentition: one a processor, eight at most."""
    return ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8))


def attempts(options: ExportOptions, source: Literal["maps", "labels"]) -> list[tuple[Smoothing | None, bool]]:
    """Attempts to make a surface, each more likely to be sound than the last: smoothing, and whether to decimate."""
    fallbacks = SMOOTHING_FALLBACKS[source][options.smoothing]
    return [(fallbacks[0], True)] * options.decimates + [(smoothing, False) for smoothing in fallbacks]


def decimated(mesh: vtkPolyData, options: ExportOptions, teeth: int = 1) -> vtkPolyData:
    """A mesh of some teeth, decimated as the options say."""
    if options.target_triangles is not None:
        return decimated_to_count(mesh, options.target_triangles * teeth)
    return mesh if options.error_mm is None else decimated_within_error(mesh, options.error_mm)


def _volume(mesh: vtkPolyData) -> float:
    return enclosed_volume(*arrays(mesh))[0]


def _numbers(labels: Volume, boxes: Mapping[int, Box]) -> dict[int, int]:
    """Number of voxels by FDI number; `boxes` are those of the labels."""
    numbers = {fdi: int(np.count_nonzero(labels.array[box] == fdi)) for fdi, box in boxes.items()}
    if unknown := numbers.keys() - TEETH.keys():
        raise UsageError(f"{min(unknown)} is not the FDI number of a tooth: number teeth 11-48 or 51-85.")
    return numbers


def _owners(labels: Volume, boxes: Mapping[int, Box], maps: ToothMaps) -> dict[int, int]:
    """Owner in the maps of each tooth that was not edited (it may be renumbered); `boxes` are those of the labels."""
    region = Volume(maps.owner, (maps.spacing,) * 3, maps.origin)
    ends = [box for box in (*boxes.values(), covered_box(labels, region)) if box is not None]
    if not ends:
        return {}
    labels = crop(labels, union(ends))
    first = maps.labels(labels)
    both = np.bincount(labels.array.ravel() * np.uint16(256) + first.ravel(), minlength=256 * 256).reshape(256, 256)
    both[0] = 0
    now = np.where(both.any(axis=0), both.argmax(axis=0), 0).astype(np.uint8)  # number of each owner
    now[0] = 0
    changed = now[first] != labels.array
    if found := bounding_box(changed):
        # Voxels with a share near one half depend on rounding, for example of positions in files.
        part = crop(labels, found)
        for shift in _ROUNDING:
            moved = replace(maps, origin=tuple(np.array(maps.origin) + shift))
            changed[found] &= now[moved.labels(part)] != part.array
    touched = set(np.unique(labels.array[changed])) | set(np.unique(now[first[changed]]))
    owners: dict[int, list[int]] = {}
    for owner in np.flatnonzero(now):
        owners.setdefault(int(now[owner]), []).append(int(owner))
    return {fdi: found[0] for fdi, found in owners.items() if len(found) == 1 and fdi not in touched}


def _hollow(one: ToothSurface, pulp: Body | None) -> ToothSurface:
    found = hollowed(one.mesh, one.check, pulp) if pulp and one.check.printable else None
    if found is None:
        why = "its pulp reaches its surface" if pulp else "no pulp was found in the scan"
        return replace(one, note="; ".join(filter(None, (one.note, f"solid, because {why}"))))
    mesh, check = found
    return replace(one, mesh=mesh, check=check)
