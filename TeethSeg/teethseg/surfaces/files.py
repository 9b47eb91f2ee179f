"""Folders of surfaces: mesh files in millimetres, and a manifest that describes them.

STL has no field for unit or coordinate system: both are in the 80-byte header of each file, as 3D Slicer writes and reads it
(`SPACE=LPS`), and in the manifest.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from vtkmodules.vtkCommonDataModel import vtkPolyData

from .. import NOTICE, __version__
from ..anatomy import TEETH, Notation, Tooth, tooth
from ..errors import TeethSegError, UsageError
from ..io.atomic_write import draft_folder, remove_left_drafts, replace_files, replace_folder
from ..io.json_text import json_text, read_json
from .mesh_formats import Format, Space
from .mesh_quality import MeshCheck, check_mesh
from .triangles import arrays, enclosed_volume
from .writers import NamedMesh, write_mesh

MANIFEST = "manifest.json"


def write_surfaces(
    folder: str | os.PathLike,
    surfaces: Mapping[int, vtkPolyData],
    label_volumes_mm3: Mapping[int, float] | None = None,
    *,
    notation: Notation = "fdi",
    overwrite: bool = False,
    form: Format = "stl",
    parts: Literal["tooth", "jaw", "none"] = "tooth",
    space: Space = "LPS",
    checks: Mapping[int, MeshCheck] | None = None,
    details: Mapping[int, Mapping] | None = None,
    about: Mapping | None = None,
    more: Sequence[tuple[NamedMesh, MeshCheck]] = (),
) -> dict[int, MeshCheck]:
    """Write the surfaces of teeth and `manifest.json`: all files or none.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    surfaces : mapping of FDI number to vtkPolyData
        Triangle meshes in LPS millimetres. A mesh that bounds no solid (`MeshCheck.printable`) is not written; the manifest
        lists it without a file, with the reasons.
    label_volumes_mm3 : mapping of FDI number to float, optional
        Volume of the voxels of each label, to compare its mesh with.
    notation : {'fdi', 'universal', 'palmer'}
        Tooth numbers in file names, see `file_name`.
    overwrite : bool
        Whether files of an earlier run in the folder may be replaced. Files that its manifest does not name are never
        touched.
    form : str
        A key of `mesh_formats.MESH_FORMATS`.
    parts : {'tooth', 'jaw', 'none'}
        A file for each tooth, a file for each jaw, or only entries of the manifest.
    space : {'LPS', 'RAS'}
        Coordinate system of the mesh files; the manifest is in LPS.
    checks : mapping of FDI number to MeshCheck, optional
        Checks of the meshes; without them the meshes are checked here.
    details : mapping of FDI number to mapping, optional
        Additional values for the entry of a tooth in the manifest.
    about : mapping, optional
        Additional values for the manifest.
    more : sequence of (NamedMesh, MeshCheck)
        Meshes that are no single teeth; each is written to a file of its name if it bounds a solid.

    Returns
    -------
    dict of FDI number to MeshCheck
        Check of each mesh.

    Raises
    ------
    UsageError
        If the folder holds files that must not be replaced, or a surface has no FDI number.
    TeethSegError
        If the folder cannot be written to.
    """
    folder = Path(os.path.realpath(folder))  # unlike `resolve`, it takes loops of links
    if unknown := set(surfaces) - set(TEETH):
        raise UsageError(f"{min(unknown)} is not the FDI number of a tooth: number surfaces 11-48 or 51-85.")
    volumes = label_volumes_mm3 or {}
    checks = checks or {fdi: check_mesh(poly, volumes.get(fdi)) for fdi, poly in surfaces.items()}
    file_of: dict[int, str] = {}
    files: dict[str, list[NamedMesh]] = {}
    for fdi, mesh in surfaces.items():
        if parts == "none" or not checks[fdi].printable:
            continue
        one = tooth(fdi)
        name = file_name(one, notation, form)
        file_of[fdi] = name if parts == "tooth" else f"{one.jaw}_teeth.{form}"
        files.setdefault(file_of[fdi], []).append(NamedMesh(Path(name).stem, one.colour, mesh))
    for part, check in more:
        if check.printable:
            files[f"{part.name}.{form}"] = [part]
    old_files = _replaced(folder, [*files, MANIFEST], overwrite)
    manifest = {
        "generator": f"TeethSeg {__version__}",
        "notice": NOTICE,
        "unit": "mm",
        "space": space,
        "lps_to_file": [[1, 0, 0], [0, 1, 0], [0, 0, 1]] if space == "LPS" else [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        **(about or {}),
        "files": [*files],
        "teeth": [
            _manifest_entry(fdi, poly, checks[fdi], file_of.get(fdi)) | dict((details or {}).get(fdi, {}))
            for fdi, poly in surfaces.items()
        ],
    }
    if more:
        manifest["other"] = [
            {
                "name": part.name,
                "file": f"{part.name}.{form}" if check.printable else None,
                "check": _check_entry(check),
            }
            for part, check in more
        ]

    # The draft is on the same file system, so that a rename is enough, and a failure leaves no new folder.
    home = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with draft_folder(home) as draft:
            new = draft / "new"
            new.mkdir()
            for name, meshes in files.items():
                write_mesh(new / name, meshes, form, space)
            (new / MANIFEST).write_text(json_text(manifest, indent=2), encoding="utf-8")
            if folder.exists():
                replace_files(new, folder, old_files, draft, last=MANIFEST)
            else:
                folder.parent.mkdir(parents=True, exist_ok=True)
                replace_folder(new, folder, draft)
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from error
    return dict(checks)


def check_surface_folder(folder: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Refuse a folder that `write_surfaces` cannot use, before the surfaces are made.

    Raises
    ------
    UsageError
        If it holds files that must not be replaced.
    TeethSegError
        If the user has no permission to write to it.
    """
    folder = Path(os.path.realpath(folder))
    _replaced(folder, [], overwrite)
    home = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(home, os.W_OK | os.X_OK):
        raise _unwritable(folder, os.strerror(errno.EACCES))


def _unwritable(folder: Path, cause: str) -> TeethSegError:
    return TeethSegError(f"Surfaces cannot be written to {folder} ({cause}): choose another folder or free some space.")


def file_name(one: Tooth, notation: Notation = "fdi", form: Format = "stl") -> str:
    """File name of a tooth.

    `FDI_16_upper_right_first_molar.stl`, `3.stl` (Universal, what planning programs expect) or
    `Palmer_UR6_upper_right_first_molar.stl` (with letters for the quadrant, as not every file system takes Palmer's signs).
    """
    if notation == "universal":
        return f"{one.universal}.{form}"
    number = f"FDI_{one.fdi}"
    if notation == "palmer":
        corner = (one.jaw[0] + one.side[0]).upper()
        number = f"Palmer_{corner}{one.palmer.strip('⏌⎿⎾⏋')}"
    return f"{number}_{one.name.replace(' ', '_')}.{form}"


def _manifest_entry(fdi: int, poly: vtkPolyData, check: MeshCheck, file: str | None) -> dict:
    one = tooth(fdi)
    _, centroid = enclosed_volume(*arrays(poly))
    return {
        "fdi": fdi,
        "universal": one.universal,
        "palmer": one.palmer,
        "name": one.name,
        "file": file,
        "volume_mm3": round(check.volume_mm3, 3),
        "centroid_lps_mm": [round(float(x), 3) for x in centroid],
        "check": _check_entry(check),
    }


def _check_entry(check: MeshCheck) -> dict:
    return {"ok": check.ok, "reasons": check.reasons, **asdict(check)}


def _replaced(folder: Path, wanted: list[str], overwrite: bool) -> list[str]:
    """Names of the files of an earlier run in the folder, which the new files replace."""
    remove_left_drafts(folder)  # a killed run may have left some
    try:
        present = {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{folder} is not a folder that can be read ({error.strerror}): choose another.") from error
    if all(name.startswith(".") for name in present):
        return []
    if not overwrite:
        raise UsageError(f"{folder} holds files already: choose another folder or ask for overwriting.")
    try:
        manifest = read_json(folder / MANIFEST)
        named = {entry["file"] for entry in manifest["teeth"]} | set(manifest.get("files", ())) | {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder} holds files that no earlier run wrote: choose another folder.") from error
    if strangers := present.intersection(wanted) - named:
        raise UsageError(
            f"{folder / min(strangers)} was not written by an earlier run: move it or choose another folder."
        )
    return sorted(present & named)
