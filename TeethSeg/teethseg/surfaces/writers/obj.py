"""OBJ: a named group for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..mesh_formats import Space
from . import Mesh, NamedMesh, header


def write(path: Path, parts: Sequence[NamedMesh], meshes: Sequence[Mesh], space: Space) -> None:
    """Write each part as a group."""
    start = 1
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"# {header(space)}\n")
        for part, (vertices, faces) in zip(parts, meshes, strict=True):
            file.write(f"g {part.name}\n")
            file.write("v %.5f %.5f %.5f\n" * len(vertices) % tuple(vertices.ravel().tolist()))
            file.write("f %d %d %d\n" * len(faces) % tuple((faces + start).ravel().tolist()))
            start += len(vertices)
