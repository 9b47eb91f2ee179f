"""Mesh files: binary STL, OBJ with groups, binary PLY with colours, and binary glTF (GLB). Numbers are millimetres.

References
----------
Khronos Group. glTF 2.0 specification (ISO/IEC 12113:2022). Its unit is the metre and its y axis points upwards: a root node
turns and scales what stands in the file in millimetres.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonMisc import vtkErrorCode
from vtkmodules.vtkIOPLY import vtkPLYWriter

from ..io.json_text import json_text
from .triangles import arrays, corners, cross, from_arrays, unit, vertex_areas

Format = Literal["stl", "obj", "ply", "glb"]
Space = Literal["LPS", "RAS"]


@dataclass(frozen=True)
class Part:
    """A named and coloured mesh in LPS mm; colour as red, green, blue in 0..1."""

    name: str
    colour: tuple[float, float, float]
    mesh: vtkPolyData


def header(space: Space) -> str:
    """What files say of themselves; 3D Slicer reads the space from it."""
    return f"TeethSeg surface. SPACE={space} UNIT=mm"


def write_mesh(path: Path, parts: Sequence[Part], form: Format, space: Space = "LPS") -> None:
    """Write a file with one or more meshes.

    Parameters
    ----------
    path : Path
    parts : sequence of Part
        Groups in OBJ, nodes in GLB; STL keeps neither names nor colours, PLY no names.
    form : {'stl', 'obj', 'ply', 'glb'}
    space : {'LPS', 'RAS'}
        Of the coordinates in the file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    # LPS to RAS turns by half a turn about the vertical: faces stay counter-clockwise.
    turn = np.array([1, 1, 1] if space == "LPS" else [-1, -1, 1])
    meshes = [(vertices * turn, faces) for vertices, faces in (arrays(part.mesh) for part in parts)]
    {"stl": _write_stl, "obj": _write_obj, "ply": _write_ply, "glb": _write_glb}[form](path, parts, meshes, space)


def _joined(meshes: Sequence[tuple[np.ndarray, np.ndarray]]) -> vtkPolyData:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    faces = [faces + start for (_, faces), start in zip(meshes, starts, strict=False)]
    return from_arrays(np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(faces))


def _written(writer, path: Path) -> None:
    writer.SetFileName(os.fspath(path))
    writer.AddObserver("ErrorEvent", lambda *_: None)  # raised below instead of printed
    writer.Write()
    if code := writer.GetErrorCode():
        raise OSError(f"{path.name}: {vtkErrorCode.GetStringFromErrorCode(code)}")


def _write_stl(path: Path, _parts, meshes, space: Space) -> None:
    triangles = np.concatenate([corners(*mesh) for mesh in meshes], axis=2)
    rows = np.zeros(triangles.shape[2], [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])
    rows["normal"] = unit(cross(triangles[1] - triangles[0], triangles[2] - triangles[0]).T)
    rows["corners"] = triangles.transpose(2, 0, 1)
    path.write_bytes(header(space).encode().ljust(80, b"\0") + struct.pack("<I", len(rows)) + rows.tobytes())


def _write_ply(path: Path, parts: Sequence[Part], meshes, space: Space) -> None:
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


def _write_obj(path: Path, parts: Sequence[Part], meshes, space: Space) -> None:
    start = 1
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"# {header(space)}\n")
        for part, (vertices, faces) in zip(parts, meshes, strict=True):
            file.write(f"g {part.name}\n")
            file.write("v %.5f %.5f %.5f\n" * len(vertices) % tuple(vertices.ravel().tolist()))
            file.write("f %d %d %d\n" * len(faces) % tuple((faces + start).ravel().tolist()))
            start += len(vertices)


def _write_glb(path: Path, parts: Sequence[Part], meshes, space: Space) -> None:
    blobs: list[bytes] = []
    views, accessors, nodes, entries, materials = [], [], [], [], []

    def accessor(values: np.ndarray, target: int, kind: dict) -> int:
        views.append({"buffer": 0, "byteOffset": sum(map(len, blobs)), "byteLength": values.nbytes, "target": target})
        blobs.append(values.tobytes())
        accessors.append({"bufferView": len(views) - 1, "count": len(values), **kind})
        return len(accessors) - 1

    for number, (part, (vertices, faces)) in enumerate(zip(parts, meshes, strict=True)):
        places = vertices.astype("<f4")
        ends = {"min": places.min(axis=0).tolist(), "max": places.max(axis=0).tolist()}
        normals = unit(vertex_areas(vertices, faces)).astype("<f4")
        attributes = {
            "POSITION": accessor(places, 34962, {"componentType": 5126, "type": "VEC3", **ends}),
            "NORMAL": accessor(normals, 34962, {"componentType": 5126, "type": "VEC3"}),
        }
        corners = accessor(faces.astype("<u4").ravel(), 34963, {"componentType": 5125, "type": "SCALAR"})
        entries.append(
            {"name": part.name, "primitives": [{"attributes": attributes, "indices": corners, "material": number}]}
        )
        linear = [float(value) ** 2.2 for value in part.colour]  # from sRGB, as glTF asks
        look = {"baseColorFactor": [*linear, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.6}
        materials.append({"name": part.name, "pbrMetallicRoughness": look})
        nodes.append({"name": part.name, "mesh": number})
    # Millimetres to metres; the patient's left becomes x, up becomes y, and the front z. Column by column.
    side = 0.001 if space == "LPS" else -0.001
    matrix = [side, 0, 0, 0, 0, 0, -side, 0, 0, 0.001, 0, 0, 0, 0, 0, 1]
    nodes.append({"name": f"millimetres {space}", "matrix": matrix, "children": list(range(len(parts)))})
    content = {
        "asset": {"version": "2.0", "generator": "TeethSeg", "extras": {"header": header(space)}},
        "scene": 0,
        "scenes": [{"nodes": [len(parts)]}],
        "nodes": nodes,
        "meshes": entries,
        "materials": materials,
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": sum(map(len, blobs))}],
    }
    text = json_text(content).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(blobs)
    with path.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(data)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(data), b"BIN\0") + data)
