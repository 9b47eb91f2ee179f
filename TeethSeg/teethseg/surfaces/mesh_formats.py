"""Mesh file formats: a new one is an entry of `MESH_FORMATS` and a module of `surfaces.writers` of the same name.

The command line, the panel and the page offer the formats of this table. Nothing heavy is imported before a file is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

# Name, which is also the ending of files, and the words for menus.
MESH_FORMATS = {
    "stl": "STL: for printing",
    "obj": "OBJ: named groups",
    "ply": "PLY: colours",
    "glb": "glTF: names and colours",
}

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[tuple(MESH_FORMATS)]
Space = Literal["LPS", "RAS"]
