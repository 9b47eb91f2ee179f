"""Binary glTF: a named node with a material for each part.

References
----------
Khronos Group. glTF 2.0 specification (ISO/IEC 12113:2022). Its unit is the metre and its y axis points upwards: the matrix
of a root node transforms the coordinates of the file, which are millimetres.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...io.json_text import json_text
from ..mesh_formats import Space
from ..triangles import unit, vertex_areas
from . import Mesh, NamedMesh, header


def write(path: Path, parts: Sequence[NamedMesh], meshes: Sequence[Mesh], space: Space) -> None:
    """Write each part as a node."""
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
        linear = [float(value) ** 2.2 for value in part.colour]  # from sRGB, as glTF requires
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
