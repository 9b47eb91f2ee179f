"""Export of teeth as printable surfaces, for the command line, the panel and the browser.

Surfaces are made from the probability maps of stage 2 if there are any and the tooth was not edited, and otherwise from the
labels. They are smoothed at constant volume, decimated, separated from their neighbours, checked, and written. A tooth whose
mesh fails a check is made again with less smoothing and without decimation, then repaired, and otherwise left out with the
reason. The teeth of a jaw can be merged into one surface, with the bone around their roots.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..anatomy import TEETH, Notation, tooth
from ..boxes import Box, bounding_box, label_boxes, union
from ..errors import UsageError
from ..io.json_text import read_json
from ..resampling import covered_box, crop
from ..volume import Volume
from .bone import MOST_REACH, jaw_with_bone
from .contacts import overlapping, separated
from .files import MANIFEST, check_surface_folder, write_surfaces
from .level_set import level_set_body
from .measures import ToothMeasures, measure_teeth
from .mesh import (
    DEFAULT_SMOOTHING,
    GENTLE_SMOOTHING,
    STRONG_SMOOTHING,
    Body,
    Smoothing,
    label_body,
    mask_body,
    without_self_intersections,
)
from .mesh_formats import Format, Space
from .mesh_quality import VOLUME_TOLERANCE_PERCENT, MeshCheck, Summary, check_mesh
from .pulp import find_pulp, hollowed
from .simplify import decimated_to_count, decimated_within_error
from .solids import difference, repaired
from .triangles import arrays, enclosed_volume
from .writers import NamedMesh

if TYPE_CHECKING:
    from ..cascade.dentition import Dentition
    from ..cascade.predictions import ToothMaps

Parts = Literal["tooth", "jaw", "merged", "bone"]
Strength = Literal["none", "light", "strong"]
# Files of single teeth (`write_surfaces`); merged jaws are written beside them.
_FILES: dict[Parts, Literal["tooth", "jaw", "none"]] = {
    "tooth": "tooth",
    "jaw": "jaw",
    "merged": "none",
    "bone": "none",
}

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
MOST_GAP = 0.3  # mm
# Shifts in mm in all directions: a comparison whose result changes with them depends on rounding.
_ROUNDING = 1e-4 * np.array([(1, 0.6, 0.4), (0.6, -0.4, -1), (-1, 0.4, -0.6), (-0.4, -1, 0.6)])


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes
    ----------
    format : str
        A key of `mesh_formats.MESH_FORMATS`: 'stl', 'obj', 'ply' or 'glb'.
    parts : {'tooth', 'jaw', 'merged', 'bone'}
        A file for each tooth; a file for each jaw with separate teeth; a file for each jaw with touching teeth merged; the
        same with the bone around the roots.
    space : {'LPS', 'RAS'}
    smoothing : {'none', 'light', 'strong'}
        With 'none', surfaces from labels keep the steps of the voxels.
    target_triangles : int, optional
        Approximate number of triangles for each tooth.
    error_mm : float, optional
        Largest error of the surface by decimation in mm.
    gap_mm : float
        Gap between neighbours, 0 to 0.3 mm. Touching teeth are always separated by 0.02 mm.
    pulp : bool
        Whether teeth are hollow at the pulp, if the scan shows it.
    bone_mm : float
        Largest distance of the bone from the roots.
    naming : {'fdi', 'universal', 'palmer'}
    """

    format: Format = "stl"
    parts: Parts = "tooth"
    space: Space = "LPS"
    smoothing: Strength = "light"
    target_triangles: int | None = None
    error_mm: float | None = None
    gap_mm: float = 0.0
    pulp: bool = False
    bone_mm: float = 4.0
    naming: Notation = "fdi"

    def check(self, scan: bool = True) -> None:
        """Refuse options that contradict each other; `scan`: whether the scan is given.

        Raises
        ------
        UsageError
            If so.
        """
        for name, choices in (
            ("format", Format),
            ("parts", Parts),
            ("space", Space),
            ("smoothing", Strength),
            ("naming", Notation),
        ):
            if getattr(self, name) not in get_args(choices):
                raise UsageError(f"{getattr(self, name)} is no {name}: choose {', '.join(get_args(choices))}.")
        if not 0 <= self.gap_mm <= MOST_GAP:
            raise UsageError(f"A gap of {self.gap_mm} mm cannot be left: choose 0 to {MOST_GAP} mm.")
        if self.target_triangles is not None and self.error_mm is not None:
            raise UsageError("A number of triangles and an error cannot both be kept: give one of them.")
        if self.target_triangles is not None and self.target_triangles < 100:
            raise UsageError(f"{self.target_triangles} triangles make no tooth: ask for 100 or more.")
        if self.error_mm is not None and not self.error_mm > 0:
            raise UsageError(f"An error of {self.error_mm} mm cannot be kept: give more than 0.")
        if self.merges and (self.gap_mm or self.pulp):
            raise UsageError("A merged arch has neither gaps nor pulp: leave them out or choose other parts.")
        if self.pulp and not scan:
            raise UsageError("Pulp is found in the scan: give the scan too, or leave teeth solid.")
        if self.parts == "bone" and not scan:
            raise UsageError("Bone is found in the scan: give the scan too, or choose other parts.")
        if not 0.5 <= self.bone_mm <= MOST_REACH:
            raise UsageError(
                f"Bone within {self.bone_mm} mm of the roots cannot be kept: choose 0.5 to {MOST_REACH} mm."
            )

    @property
    def decimates(self) -> bool:
        """Whether the meshes are decimated."""
        return self.target_triangles is not None or self.error_mm is not None

    @property
    def merges(self) -> bool:
        """Whether the teeth of a jaw become one surface."""
        return self.parts in ("merged", "bone")


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


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    Attributes
    ----------
    files : tuple of Path
        The manifest last.
    rows : tuple of dict
        Table with a row for each tooth.
    warnings : tuple of str
        Notes for the user, one line each.
    summary : Summary
        Of the checks of all meshes.
    manifest : dict
        As in the file.
    """

    files: tuple[Path, ...]
    rows: tuple[dict, ...]
    warnings: tuple[str, ...]
    summary: Summary
    manifest: dict

    def report(self) -> dict:
        """Files and checks of all meshes, ready for JSON."""
        names = ("fdi", "name", "file", "made_from", "smoothing_change_percent", "note", "check")
        meshes = [*self.manifest["teeth"], *self.manifest.get("other", ())]
        return {
            "folder": str(self.files[-1].parent),
            "summary": str(self.summary),
            "meshes": [{name: mesh[name] for name in names if name in mesh} for mesh in meshes],
        }


def export(
    folder: str | os.PathLike,
    teeth: Dentition | Volume,
    options: ExportOptions | None = None,
    overwrite: bool = False,
    *,
    maps: ToothMaps | None = None,
    image: Volume | None = None,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> ExportResult:
    """Write the surfaces of teeth and a manifest into a folder: all files or none.

    Parameters
    ----------
    folder : path
    teeth : Dentition or Volume
        The teeth, or a label map of FDI numbers.
    options : ExportOptions, optional
    overwrite : bool
        Whether files of an earlier export may be replaced.
    maps : ToothMaps, optional
        Probability maps of the run, for finer surfaces.
    image : Volume, optional
        The scan on the grid of the labels; needed for pulp and bone.
    progress : callable
        Called with the name of the step, the number of finished parts and of all parts.

    Raises
    ------
    UsageError
        If the options do not fit together, or the folder holds files that must not be replaced.
    TeethSegError
        If the folder cannot be written to.
    """
    options = options or ExportOptions()
    options.check(image is not None)
    check_surface_folder(folder, overwrite=overwrite)
    labels = teeth if isinstance(teeth, Volume) else teeth.labels
    surfaces, warnings = tooth_surfaces(labels, options, maps=maps, image=image, progress=progress)
    with _threads() as threads:
        measured = measure_teeth(labels, {fdi: one.mesh for fdi, one in surfaces.items()}, threads.map)
    measures = {one.fdi: one for one in measured}
    axes = {fdi: one.long_axis_lps for fdi, one in measures.items()}
    more = _arches(labels, list(surfaces), options, image, axes, warnings) if options.merges else []

    progress("write files", 0, 1)
    write_surfaces(
        folder,
        {fdi: one.mesh for fdi, one in surfaces.items()},
        notation=options.naming,
        overwrite=overwrite,
        form=options.format,
        parts=_FILES[options.parts],
        space=options.space,
        checks={fdi: one.check for fdi, one in surfaces.items()},
        details={fdi: _details(one, measures.get(fdi)) for fdi, one in surfaces.items()},
        about={
            "smoothing": options.smoothing,
            "gap_mm": options.gap_mm,
            "hollow_pulp": options.pulp,
            **({"bone_mm": options.bone_mm} if options.parts == "bone" else {}),
        },
        more=more,
    )
    manifest = read_json(Path(folder) / MANIFEST)
    files = tuple(Path(folder) / name for name in (*manifest["files"], MANIFEST))
    file_of = {entry["fdi"]: entry["file"] for entry in manifest["teeth"]}
    rows = tuple(_row(fdi, one, measures.get(fdi), file_of.get(fdi)) for fdi, one in surfaces.items())
    notes: dict[str, list[str]] = {}
    for fdi, one in surfaces.items():
        name = tooth(fdi).notation(options.naming)
        if not one.check.printable:
            warnings.append(f"Tooth {name} was left out: its surface has {', '.join(one.check.reasons)}.")
        elif one.note:
            notes.setdefault(one.note, []).append(name)
    for note, names in notes.items():
        warnings.append(f"{'Tooth' if len(names) == 1 else 'Teeth'} {', '.join(names)}: {note}.")
    for part, check in more:
        if not check.printable:
            warnings.append(f"{part.name} was left out: its surface has {', '.join(check.reasons)}.")
    if cut := [fdi for fdi, one in measures.items() if one.cut]:
        cut_names = ", ".join(tooth(fdi).notation(options.naming) for fdi in cut)
        warnings.append(f"Cut by the border of the scan, and closed flat there: {cut_names}.")
    checks = [check for _, check in more] if options.merges else [one.check for one in surfaces.values()]
    return ExportResult(files, rows, tuple(warnings), Summary.of(checks), manifest)


def tooth_surfaces(
    labels: Volume,
    options: ExportOptions | None = None,
    *,
    maps: ToothMaps | None = None,
    image: Volume | None = None,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> tuple[dict[int, ToothSurface], list[str]]:
    """Checked surfaces of all teeth of a label map, separated from each other, and warnings; for arguments see `export`."""
    options = options or ExportOptions()
    options.check(image is not None)
    boxes = label_boxes(labels.array)
    numbers = _numbers(labels, boxes)
    owners = _owners(labels, boxes, maps) if maps is not None else {}
    owner_boxes = label_boxes(maps.owner) if maps is not None and owners else {}

    def body(fdi: int) -> Body:
        if maps is not None and fdi in owners:
            return level_set_body(maps, owners[fdi], labels, owner_boxes[owners[fdi]])
        return label_body(labels, fdi, boxes[fdi])

    def label_steps(fdi: int, found: Body) -> vtkPolyData:
        return label_body(labels, fdi, boxes[fdi]).raw if fdi in owners else found.raw

    with _threads() as threads:

        def each(task: Callable, items: Iterable[int], step: str) -> dict:
            items = list(items)
            results = {}
            for number, (fdi, result) in enumerate(zip(items, threads.map(task, items), strict=True)):
                progress(step, number + 1, len(items))
                results[fdi] = result
            return results

        bodies = each(body, numbers, "make surfaces")
        for fdi in list(owners):
            # Labels take precedence where the maps disagree with them.
            volume = numbers[fdi] * labels.voxel_volume
            change = 100 * (bodies[fdi].volume_mm3 / volume - 1)
            if abs(change) > 3 * VOLUME_TOLERANCE_PERCENT:
                del owners[fdi]
                bodies[fdi] = body(fdi)
            elif abs(change) > VOLUME_TOLERANCE_PERCENT / 2:
                nearer = 1 + np.copysign(VOLUME_TOLERANCE_PERCENT / 2, change) / 100
                bodies[fdi] = replace(bodies[fdi], volume_mm3=nearer * volume)
        steps = each(lambda fdi: label_steps(fdi, bodies[fdi]), numbers, "make surfaces")
        meshes: dict[int, vtkPolyData] = {}
        volumes: dict[int, float] = {}
        apart: dict[int, vtkPolyData] = {}
        done: dict[int, ToothSurface] = {}
        notes = dict.fromkeys(numbers, "")
        todo, warnings = list(numbers), []
        ways = {fdi: _attempts(options, "maps" if fdi in owners else "labels") for fdi in numbers}

        def shaped(fdi: int, attempt: int) -> vtkPolyData:
            smoothing, thinned = ways[fdi][min(attempt, len(ways[fdi]) - 1)]
            mesh = bodies[fdi].surface(smoothing)
            return _decimated(mesh, options) if thinned else mesh

        def judged(fdi: int) -> ToothSurface:
            # The volume removed for a gap is no error of the surface.
            label_volume = numbers[fdi] * labels.voxel_volume + _volume(apart[fdi]) - volumes[fdi]
            check = check_mesh(apart[fdi], label_volume, steps[fdi])
            change = 100 * (volumes[fdi] / bodies[fdi].volume_mm3 - 1)
            return ToothSurface(apart[fdi], check, "maps" if fdi in owners else "labels", change, notes[fdi])

        for attempt in range(max(map(len, ways.values()), default=1)):
            made = each(partial(shaped, attempt=attempt), todo, "smooth")
            meshes |= made
            volumes |= {fdi: _volume(mesh) for fdi, mesh in made.items()}
            start = apart | made
            apart, overlaps = separated(start, options.gap_mm, threads.map)
            # Separation may have moved the neighbours of surfaces that were made again.
            moved = [fdi for fdi in numbers if fdi in made or apart[fdi] is not start[fdi]]
            done |= each(judged, moved, "check")
            todo = [fdi for fdi, one in done.items() if not one.check.printable]
            if not todo:
                break
            for fdi in todo:
                why = ", ".join(done[fdi].check.reasons)
                notes[fdi] = f"less smooth than asked for, or not decimated, as it had {why}"
        for fdi in todo:
            moved_apart = done[fdi]
            notes[fdi] = f"as contoured, cut back or repaired, as it had {', '.join(moved_apart.check.reasons)}"
            # The contoured mesh is sound, but overlaps its neighbours, which are subtracted if possible.
            others = [apart[other] for other in numbers if other != fdi]
            for mesh in (difference(meshes[fdi], others), meshes[fdi]):
                apart[fdi] = mesh
                done[fdi] = judged(fdi)
                if done[fdi].check.printable:
                    break
            else:
                mesh, check = repaired(moved_apart.mesh, moved_apart.check)
                apart[fdi], done[fdi] = mesh, replace(moved_apart, mesh=mesh, check=check, note=notes[fdi])
        if todo:
            overlaps = overlapping({fdi: one.mesh for fdi, one in done.items()}, each=threads.map)
        for (one, two), volume in overlaps.items():
            names = " and ".join(tooth(fdi).notation(options.naming) for fdi in (one, two))
            warnings.append(f"Teeth {names} overlap by {volume:.3f} mm³.")
        if options.pulp and image is not None:
            pulps = find_pulp(image, labels)
            done = each(lambda fdi: _hollow(done[fdi], pulps.get(fdi)), numbers, "hollow out")
    return done, warnings


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8))


def _attempts(options: ExportOptions, source: Literal["maps", "labels"]) -> list[tuple[Smoothing | None, bool]]:
    """Attempts to make a surface, each more likely to be sound than the last: smoothing, and whether to decimate."""
    fallbacks = SMOOTHING_FALLBACKS[source][options.smoothing]
    return [(fallbacks[0], True)] * options.decimates + [(smoothing, False) for smoothing in fallbacks]


def _decimated(mesh: vtkPolyData, options: ExportOptions, teeth: int = 1) -> vtkPolyData:
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


def _arches(
    labels: Volume,
    teeth: Iterable[int],
    options: ExportOptions,
    image: Volume | None,
    axes: Mapping[int, Sequence[float]],
    warnings: list[str],
) -> list[tuple[NamedMesh, MeshCheck]]:
    """Each jaw as one surface, with a body for each group of touching teeth; appends to `warnings`."""
    arches = []
    for jaw in ("upper", "lower"):
        numbers = [fdi for fdi in teeth if tooth(fdi).jaw == jaw]
        if not numbers:
            continue
        start: Sequence[int]
        if options.parts == "bone" and image is not None:
            found = jaw_with_bone(image, labels, numbers, axes, options.bone_mm)
            if found is None:
                warnings.append(
                    f"The {jaw} teeth were left out: no bone can be distinguished from soft tissue around their roots."
                )
                continue
            mask, start = found
        else:
            box = union(found for fdi, found in label_boxes(labels.array).items() if fdi in numbers)
            mask, start = np.isin(labels.array[box], numbers), [side.start for side in box]
        body = mask_body(mask, labels, start, every_piece=True)
        why: tuple[str, ...] = ()
        for smoothing, thinned in _attempts(options, "labels"):
            mesh = without_self_intersections(body.surface(smoothing), body.raw)
            mesh = _decimated(mesh, options, len(numbers)) if thinned else mesh
            check = check_mesh(mesh, body.volume_mm3, body.raw, pieces=len(numbers))
            if check.printable:
                break
            why = check.reasons
        if why and check.printable:
            warnings.append(
                f"The {jaw} jaw is less smooth than asked for, or not decimated, as it had {', '.join(why)}."
            )
        name = f"{jaw}_jaw" if options.parts == "bone" else f"{jaw}_arch"
        arches.append((NamedMesh(name, (0.95, 0.93, 0.85), mesh), check))
    return arches


def _details(one: ToothSurface, measures: ToothMeasures | None) -> dict:
    more: dict[str, Any] = {
        "made_from": one.source,
        "smoothing_change_percent": round(one.smoothing_change_percent, 3),
        "cut_by_border": bool(measures and measures.cut),
        "note": one.note,
    }
    if measures:
        more["long_axis_lps"] = [round(part, 4) for part in measures.long_axis_lps]
        more["measures"] = measures.row()
    return more


def _row(fdi: int, one: ToothSurface, measures: ToothMeasures | None, file: str | None) -> dict:
    check = one.check

    def rounded(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    return {
        "fdi": fdi,
        "universal": tooth(fdi).universal,
        "name": tooth(fdi).name,
        **({} if measures is None else {name: value for name, value in measures.row().items() if name != "fdi"}),
        "volume_mm3": round(check.volume_mm3, 1),
        "volume_against_label_percent": rounded(check.volume_error_percent, 2),
        "smoothing_change_percent": round(one.smoothing_change_percent, 2),
        "distance_to_label_mm": rounded(check.label_distance_mean_mm, 3),
        "distance_to_label_p95_mm": rounded(check.label_distance_p95_mm, 3),
        "triangles": check.triangles,
        "size_mm": " x ".join(f"{side:.1f}" for side in check.size_mm),
        "made_from": one.source,
        "cut": bool(measures and measures.cut),
        "ok": check.ok,
        "problems": ", ".join(check.reasons),
        "file": file or "",
    }
