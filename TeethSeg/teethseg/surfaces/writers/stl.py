"""Binary STL: triangles only, neither names nor colours."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..mesh_formats import Space
from ..triangles import corners, cross, unit
from . import Mesh, NamedMesh, header


def write(path: Path, _parts: Sequence[NamedMesh], meshes: Sequence[Mesh], space: Space) -> None:
    """Write all parts as one set of triangles."""
    triangles = np.concatenate([corners(*mesh) for mesh in meshes], axis=2)
    rows = np.zeros(triangles.shape[2], [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])
    rows["normal"] = unit(cross(triangles[1] - triangles[0], triangles[2] - triangles[0]).T)
    rows["corners"] = triangles.transpose(2, 0, 1)
    path.write_bytes(header(space).encode().ljust(80, b"\0") + struct.pack("<I", len(rows)) + rows.tobytes())
