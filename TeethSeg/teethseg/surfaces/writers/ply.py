"""Binary PLY with a colour at each vertex; no names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonMisc import vtkErrorCode
from vtkmodules.vtkIOPLY import vtkPLYWriter

from ..mesh_formats import Space
from ..triangles import from_arrays
from . import Mesh, NamedMesh, header


def write(path: Path, parts: Sequence[NamedMesh], meshes: Sequence[Mesh], space: Space) -> None:
    """Write all parts as one mesh, each in its colour."""
    poly = _joined(meshes)
    poly.GetPointData().SetNormals(None)
    counts = [len(vertices) for vertices, _ in meshes]
    colours = np.repeat([np.rint(255 * np.array(part.colour)) for part in parts], counts, axis=0).astype(np.uint8)
    array = numpy_to_vtk(colours, deep=True)
    array.SetName("RGB")
    poly.GetPointData().AddArray(array)
    writer = vtkPLYWriter()
    writer.SetInputData(poly)
    writer.SetFileTypeToBinary()
    writer.SetDataByteOrderToLittleEndian()
    writer.SetArrayName("RGB")
    writer.AddComment(header(space))
    _written(writer, path)
    _check_size(path, poly.GetNumberOfPoints(), poly.GetNumberOfPolys())


def _joined(meshes: Sequence[Mesh]) -> vtkPolyData:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    faces = [faces + start for (_, faces), start in zip(meshes, starts, strict=False)]
    return from_arrays(np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(faces))


def _written(writer, path: Path) -> None:
    writer.SetFileName(os.fspath(path))
    writer.AddObserver("ErrorEvent", lambda *_: None)  # raised below, not printed
    writer.Write()
    if code := writer.GetErrorCode():
        raise OSError(f"{path.name}: {vtkErrorCode.GetStringFromErrorCode(code)}")


def _check_size(path: Path, points: int, faces: int) -> None:
    """Check the size of the file: VTK does not notice if the disk is full at the last bytes."""
    end = b"end_header\n"
    with path.open("rb") as file:
        start = file.read(4096)
    # A point is three floats and three bytes of colour, a face one byte and three integers.
    if end not in start or path.stat().st_size != start.index(end) + len(end) + 15 * points + 13 * faces:
        raise OSError("it was written only in part; the disk may be full")
