"""Writers of mesh files, one module for each format (`surfaces.mesh_formats`).

Each module has a function `write(path, parts, meshes, space)`: `parts` have names and colours, `meshes` are their vertices
(V, 3) in mm in the coordinates of the file, and faces (F, 3).

Own code for STL, OBJ and glTF, because the coordinate system must be in the header of the file (3D Slicer reads it there) and
parts must keep their names: VTK's OBJ and glTF writers write one unnamed mesh, trimesh (MIT) writes its own header. VTK writes
PLY, which needs neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..mesh_formats import Format, Space
from ..triangles import arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtkmodules.vtkCommonDataModel import vtkPolyData

Mesh = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class NamedMesh:
    """A mesh in LPS mm with name and colour (red, green, blue from 0 to 1)."""

    name: str
    colour: tuple[float, float, float]
    mesh: vtkPolyData


def header(space: Space) -> str:
    """The comment in each file; 3D Slicer reads the coordinate system from it."""
    return f"TeethSeg surface. SPACE={space} UNIT=mm"


def write_mesh(path: Path, parts: Sequence[NamedMesh], form: Format, space: Space = "LPS") -> None:
    """Write a file with one or more meshes.

    Parameters
    ----------
    path : Path
    parts : sequence of NamedMesh
        Groups in OBJ, nodes in GLB; STL keeps neither names nor colours, PLY no names.
    form : str
        A key of `mesh_formats.MESH_FORMATS`.
    space : {'LPS', 'RAS'}
        Coordinate system of the file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    # LPS to RAS is a rotation about the vertical by 180 degrees: faces stay counter-clockwise.
    turn = np.array([1, 1, 1] if space == "LPS" else [-1, -1, 1])
    meshes = [(vertices * turn, faces) for vertices, faces in (arrays(part.mesh) for part in parts)]
    import_module(f".{form}", __name__).write(path, parts, meshes, space)
