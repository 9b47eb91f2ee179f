"""Options of an export of surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..anatomy import Notation
from ..errors import UsageError
from .bone import MOST_REACH
from .mesh_formats import Format, Space

Parts = Literal["tooth", "jaw", "merged", "bone"]
Strength = Literal["none", "light", "strong"]
MOST_GAP = 0.3  # mm


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes
    ----------
    format : str
        A key of `mesh_formats.MESH_FORMATS`: 'stl', 'obj', 'ply' or 'glb'.
    parts : {'tooth', 'jaw', 'merged', 'bone'}
        A file for each tooth; a file for each jaw with separate teeth; a file for each jaw with touching teeth merged; the
        same with the bone around the roots.
    space : {'LPS', 'RAS'}
    smoothing : {'none', 'light', 'strong'}
        With 'none', surfaces from labels keep the steps of the voxels.
    target_triangles : int, optional
        Approximate number of triangles for each tooth.
    error_mm : float, optional
        Largest error of the surface by decimation in mm.
    gap_mm : float
        Gap between neighbours, 0 to 0.3 mm. Touching teeth are always separated by 0.02 mm.
    pulp : bool
        Whether teeth are hollow at the pulp, if the scan shows it.
    bone_mm : float
        Largest distance of the bone from the roots.
    naming : {'fdi', 'universal', 'palmer'}
    """

    format: Format = "stl"
    parts: Parts = "tooth"
    space: Space = "LPS"
    smoothing: Strength = "light"
    target_triangles: int | None = None
    error_mm: float | None = None
    gap_mm: float = 0.0
    pulp: bool = False
    bone_mm: float = 4.0
    naming: Notation = "fdi"

    def check(self, scan: bool = True) -> None:
        """Refuse options that contradict each other; `scan`: whether the scan is given.

        Raises
        ------
        UsageError
            If so.
        """
        for name, choices in (
            ("format", Format),
            ("parts", Parts),
            ("space", Space),
            ("smoothing", Strength),
            ("naming", Notation),
        ):
            if getattr(self, name) not in get_args(choices):
                raise UsageError(f"{getattr(self, name)} is no {name}: choose {', '.join(get_args(choices))}.")
        if not 0 <= self.gap_mm <= MOST_GAP:
            raise UsageError(f"A gap of {self.gap_mm} mm cannot be left: choose 0 to {MOST_GAP} mm.")
        if self.target_triangles is not None and self.error_mm is not None:
            raise UsageError("A number of triangles and an error cannot both be kept: give one of them.")
        if self.target_triangles is not None and self.target_triangles < 100:
            raise UsageError(f"{self.target_triangles} triangles make no tooth: ask for 100 or more.")
        if self.error_mm is not None and not self.error_mm > 0:
            raise UsageError(f"An error of {self.error_mm} mm cannot be kept: give more than 0.")
        if self.merges and (self.gap_mm or self.pulp):
            raise UsageError("A merged arch has neither gaps nor pulp: leave them out or choose other parts.")
        if self.pulp and not scan:
            raise UsageError("Pulp is found in the scan: give the scan too, or leave teeth solid.")
        if self.parts == "bone" and not scan:
            raise UsageError("Bone is found in the scan: give the scan too, or choose other parts.")
        if not 0.5 <= self.bone_mm <= MOST_REACH:
            raise UsageError(
                f"Bone within {self.bone_mm} mm of the roots cannot be kept: choose 0.5 to {MOST_REACH} mm."
            )

    @property
    def decimates(self) -> bool:
        """Whether the meshes are decimated."""
        return self.target_triangles is not None or self.error_mm is not None

    @property
    def merges(self) -> bool:
        """Whether the teeth of a jaw become one surface."""
        return self.parts in ("merged", "bone")
