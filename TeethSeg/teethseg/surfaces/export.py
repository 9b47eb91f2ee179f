"""Export of teeth as printable surfaces, for the command line, the panel and the browser.

Surfaces are made from the probability maps of stage 2 if there are any and the tooth was not edited, and otherwise from the
labels (`tooth_surfaces`). A tooth whose surface fails its checks in spite of all repairs is left out with the
reason. The teeth of a jaw can be merged into one surface, with the bone around their roots.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..anatomy import tooth
from ..boxes import label_boxes, union
from ..io.json_text import read_json
from ..volume import Volume
from .bone import jaw_with_bone
from .export_options import ExportOptions, Parts
from .files import MANIFEST, check_surface_folder, write_surfaces
from .measures import ToothMeasures, measure_teeth
from .mesh import (
    mask_body,
    without_self_intersections,
)
from .mesh_quality import MeshCheck, Summary, check_mesh
from .tooth_surfaces import ToothSurface, attempts, decimated, threads, tooth_surfaces
from .writers import NamedMesh

if TYPE_CHECKING:
    from ..cascade.dentition import Dentition
    from ..cascade.predictions import ToothMaps

# Files of single teeth (`write_surfaces`); merged jaws are written beside them.
_FILES: dict[Parts, Literal["tooth", "jaw", "none"]] = {
    "tooth": "tooth",
    "jaw": "jaw",
    "merged": "none",
    "bone": "none",
}


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
    with threads() as pool:
        measured = measure_teeth(labels, {fdi: one.mesh for fdi, one in surfaces.items()}, pool.map)
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
        for smoothing, thinned in attempts(options, "labels"):
            mesh = without_self_intersections(body.surface(smoothing), body.raw)
            mesh = decimated(mesh, options, len(numbers)) if thinned else mesh
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
