"""Folders of surfaces: one binary STL file per tooth, in millimetres and LPS, and a manifest that says what they are.

STL has no field for unit or space: both stand in the 80 byte header of each file, as 3D Slicer writes and reads it
(`SPACE=LPS`), and in the manifest.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonMisc import vtkErrorCode
from vtkmodules.vtkIOGeometry import vtkSTLWriter

from .. import __version__
from ..anatomy import TEETH, Notation, Tooth, tooth
from ..errors import TeethSegError, UsageError
from .checks import MeshCheck, check_mesh
from .triangles import arrays, enclosed_volume

MANIFEST = "manifest.json"
STL_HEADER = "TeethSeg surface. SPACE=LPS UNIT=mm"


def write_surfaces(
    folder: str | os.PathLike,
    surfaces: Mapping[int, vtkPolyData],
    label_volumes_mm3: Mapping[int, float] | None = None,
    *,
    notation: Notation = "fdi",
    overwrite: bool = False,
) -> dict[int, MeshCheck]:
    """Write one STL file per tooth and `manifest.json`: all of them or, when anything fails, none.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    surfaces : mapping of FDI number to vtkPolyData
        Triangle meshes in LPS millimetres. One that bounds no solid (`MeshCheck.printable`) is not written; the
        manifest lists it without a file and with the reasons.
    label_volumes_mm3 : mapping of FDI number to float, optional
        Volume of each label's voxels, which its mesh is then compared with.
    notation : {'fdi', 'universal', 'palmer'}
        How files are named, see `file_name`.
    overwrite : bool
        Whether the files that an earlier run left in the folder may be replaced. Files that its manifest does not
        name are never touched.

    Returns
    -------
    dict of FDI number to MeshCheck
        What was found in each mesh.

    Raises
    ------
    UsageError
        If the folder holds files that must not be replaced, or a surface has no FDI number.
    TeethSegError
        If the folder cannot be written to.
    """
    folder = Path(folder).resolve()
    if unknown := set(surfaces) - set(TEETH):
        raise UsageError(f"{min(unknown)} is not the FDI number of a tooth; number surfaces 11-48 or 51-85")
    label_volumes_mm3 = label_volumes_mm3 or {}
    checks = {fdi: check_mesh(poly, label_volumes_mm3.get(fdi)) for fdi, poly in surfaces.items()}
    files = {fdi: file_name(tooth(fdi), notation) for fdi, check in checks.items() if check.printable}
    replaced = _replaced(folder, [*files.values(), MANIFEST], overwrite)

    # The draft lies where a rename is enough to put it in place, and makes no folder that a failure would leave.
    home = next(place for place in (folder, *folder.parents) if place.exists())
    draft = home / f".{folder.name}.{os.getpid()}.partial"
    try:
        draft.mkdir()
        for fdi, name in files.items():
            _write_stl(draft / name, surfaces[fdi])
        teeth = [_manifest_entry(fdi, surfaces[fdi], check, files.get(fdi)) for fdi, check in checks.items()]
        manifest = {"generator": f"TeethSeg {__version__}", "unit": "mm", "space": "LPS", "teeth": teeth}
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        _put_in_place(draft, folder, [*files.values(), MANIFEST], replaced)
    except OSError as error:
        cause = error.strerror or error
        raise TeethSegError(
            f"cannot write surfaces to {folder}: {cause}; mend that or choose another folder"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return checks


def check_surface_folder(folder: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Refuse a folder that `write_surfaces` could not use, before any work is done for it.

    Raises
    ------
    UsageError
        If it holds files that must not be replaced.
    """
    _replaced(Path(folder).resolve(), [], overwrite)


def file_name(one: Tooth, notation: Notation = "fdi") -> str:
    """Name of a tooth's STL file.

    `FDI_16_upper_right_first_molar.stl`, `3.stl` (Universal, what planning programs expect) or
    `Palmer_UR6_upper_right_first_molar.stl` (Palmer's corners as letters: not every file system takes the signs).
    """
    if notation == "universal":
        return f"{one.universal}.stl"
    number = f"FDI_{one.fdi}"
    if notation == "palmer":
        corner = (one.jaw[0] + one.side[0]).upper()
        number = f"Palmer_{corner}{one.palmer.strip('⏌⎿⎾⏋')}"
    return f"{number}_{one.name.replace(' ', '_')}.stl"


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
        "check": {"ok": check.ok, "reasons": check.reasons, **asdict(check)},
    }


def _write_stl(path: Path, poly: vtkPolyData) -> None:
    writer = vtkSTLWriter()
    writer.SetInputData(poly)
    writer.SetFileName(os.fspath(path))
    writer.SetFileTypeToBinary()
    writer.SetHeader(STL_HEADER)
    writer.AddObserver("ErrorEvent", lambda *_: None)  # raised below instead of printed
    writer.Write()
    if code := writer.GetErrorCode():
        raise OSError(f"{path.name}: {vtkErrorCode.GetStringFromErrorCode(code)}")


def _replaced(folder: Path, wanted: list[str], overwrite: bool) -> list[str]:
    """Names of an earlier run's files in the folder, which the new ones replace."""
    try:
        present = {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{folder} is not a folder that can be read ({error.strerror}); choose another") from error
    if all(name.startswith(".") for name in present):
        return []
    if not overwrite:
        raise UsageError(f"{folder} holds files already; choose another folder or ask for overwriting")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        named = {entry["file"] for entry in manifest["teeth"]} | {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} holds files that no earlier run wrote; choose another folder") from error
    if strangers := present.intersection(wanted) - named:
        raise UsageError(
            f"{folder / min(strangers)} was not written by an earlier run; move it or choose another folder"
        )
    return sorted(present & named)


def _put_in_place(draft: Path, folder: Path, names: list[str], replaced: list[str]) -> None:
    """Move the draft to the folder; if a move fails, undo those before it."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(folder)
        return
    old = draft / "replaced"
    old.mkdir()
    moves = [(folder / name, old / name) for name in replaced]
    moves += [(draft / name, folder / name) for name in names]
    done = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise
