"""Mesh file formats: a new one is an entry of `MESH_FORMATS` and a module of `surfaces.writers` of the same name.

Command line, panel and page offer the formats of this table. Writers are imported only when a file is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

# Name, which is also the file extension, and text for menus.
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
