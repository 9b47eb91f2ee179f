"""Tooth shapes from a folder of surface meshes named by FDI number.

Every mesh is in its place in the patient: the jaw determines the direction of the crown, the neighbours that of the arch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation, label
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkFloatArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil
from vtkmodules.vtkIOGeometry import vtkSTLReader

from ..anatomy import PERMANENT, Jaw, Tooth, arch, tooth
from ..errors import InputError
from ..surfaces.triangles import arrays, enclosed_volume, from_arrays
from ..tooth_sizes import TEXTBOOK
from .shapes import MARGIN, SPACING, ToothShape, signed_distance, tooth_shape

_NAME = re.compile(r"FDI_(\d\d)(?!\d).*\.stl$", re.IGNORECASE)
_REACH = 2  # positions along the arch, largest distance of a neighbour
_MIRROR_COPY = 0.02  # relative difference in volume below which left and right are the same tooth


@dataclass(frozen=True)
class _Mesh:
    path: Path
    tooth: Tooth
    vertices: np.ndarray  # (V, 3) LPS mm
    faces: np.ndarray  # (F, 3)

    @cached_property
    def volume_and_centroid(self) -> tuple[float, np.ndarray]:
        return enclosed_volume(self.vertices, self.faces)

    @property
    def volume(self) -> float:
        return abs(self.volume_and_centroid[0])

    @property
    def centroid(self) -> np.ndarray:
        return self.volume_and_centroid[1]


def load_tooth_meshes(folder: Path | str) -> dict[tuple[Jaw, int], list[ToothShape]]:
    """Tooth shapes from STL files in a folder, in the tooth's own frame.

    Parameters
    ----------
    folder : path
        Holds closed STL meshes of permanent teeth, in mm and patient space (LPS), with names that contain `FDI_` and
        the number (FDI_11.stl), each in its place in the jaw. Other files are ignored.

    Returns
    -------
    dict
        (jaw, position) -> shapes, in the order of the file names. A left tooth that mirrors the right one (volumes
        within 2 %) is left out.

    Raises
    ------
    InputError
        If there are no such meshes, a mesh is unreadable or open, or a tooth has no neighbour.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name one that holds tooth meshes (FDI_11.stl ... FDI_48.stl).")
    meshes = []
    for path in sorted(folder.iterdir()):
        match = _NAME.search(path.name)
        if match and int(match[1]) in PERMANENT:
            meshes.append(_read(path, int(match[1])))
    if not meshes:
        raise InputError(f"No tooth meshes in {folder}: files named FDI_11.stl ... FDI_48.stl are needed.")

    centres = {mesh.tooth.fdi: mesh.centroid for mesh in meshes}
    kept: dict[tuple[Jaw, int], list[_Mesh]] = defaultdict(list)
    for mesh in meshes:
        others = kept[mesh.tooth.jaw, mesh.tooth.position]
        if not any(
            other.tooth.side != mesh.tooth.side and abs(other.volume / mesh.volume - 1) < _MIRROR_COPY
            for other in others
        ):
            others.append(mesh)
    return {key: [_shape(mesh, centres) for mesh in group] for key, group in kept.items()}


def _read(path: Path, fdi: int) -> _Mesh:
    reader = vtkSTLReader()
    reader.SetFileName(str(path))
    # Reported below in one line. VTK's stubs know numbers of events only.
    reader.AddObserver("ErrorEvent", lambda *_: None)  # type: ignore[arg-type]
    reader.Update()
    mesh = _Mesh(path, tooth(fdi), *arrays(reader.GetOutput()))
    if len(mesh.faces) == 0 or not np.isfinite(mesh.vertices).all() or mesh.volume == 0:
        raise InputError(f"{path} holds no readable surface: export the tooth again as a closed STL mesh.")
    return mesh


def _shape(mesh: _Mesh, centres: dict[int, np.ndarray]) -> ToothShape:
    axes = _own_axes(mesh, centres)
    vertices = (mesh.vertices - mesh.centroid) @ axes.T
    implicit = _implicit(from_arrays(vertices, mesh.faces), mesh)
    textbook = TEXTBOOK[mesh.tooth.jaw, mesh.tooth.position]
    length = float(np.ptp(vertices[:, 2]))
    return tooth_shape(
        mesh.tooth.jaw,
        mesh.tooth.position,
        signed_distance(implicit, SPACING),
        SPACING,
        MARGIN + length * textbook.crown / textbook.length,
    )


def _own_axes(mesh: _Mesh, centres: dict[int, np.ndarray]) -> np.ndarray:
    """Axes of the tooth (distal, lingual, apical) in the patient: unit vectors in rows, (3, 3)."""
    upper, right = mesh.tooth.jaw == "upper", mesh.tooth.side == "right"
    apical = _long_axis(mesh)
    apical = apical if (apical[2] > 0) == upper else -apical

    order = arch(mesh.tooth.jaw)  # from the patient's right to the left
    place = order.index(mesh.tooth.fdi)
    before = [fdi for fdi in order[max(place - _REACH, 0) : place] if fdi in centres]
    after = [fdi for fdi in order[place + 1 : place + 1 + _REACH] if fdi in centres]
    if not before and not after:
        raise InputError(
            f"{mesh.path} has no neighbour to tell how the arch runs: add a tooth beside FDI {mesh.tooth.fdi}."
        )
    first = centres[before[-1]] if before else mesh.centroid
    last = centres[after[0]] if after else mesh.centroid
    distal = first - last if right else last - first
    distal = distal - distal @ apical * apical
    distal = distal / np.linalg.norm(distal)
    # The handedness of (distal, lingual, apical) changes with the side and with the jaw.
    lingual = np.cross(apical, distal) * (-1 if upper == right else 1)
    return np.stack([distal, lingual, apical])


def _long_axis(mesh: _Mesh) -> np.ndarray:
    """Axis (3,) of the smallest moment of inertia of the solid, from the tetrahedra between its faces and its centroid."""
    corners = (mesh.vertices - mesh.centroid)[mesh.faces]
    volumes = np.einsum("fx,fx->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    whole = corners.sum(axis=1)
    spread = np.einsum("f,fcx,fcy->xy", volumes, corners, corners) + np.einsum("f,fx,fy->xy", volumes, whole, whole)
    values, vectors = np.linalg.eigh(spread / volumes.sum())
    return vectors[:, np.argmax(values)]


def _implicit(poly: vtkPolyData, mesh: _Mesh) -> np.ndarray:
    """Signed distance (Z, Y, X) in mm to a mesh, exact near the surface, ±1 elsewhere."""
    low, high = np.array(poly.GetBounds()).reshape(3, 2).T
    origin = low - MARGIN
    size = np.ceil((high - low + 2 * MARGIN) / SPACING).astype(int) + 1
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(poly)
    stencil.SetOutputOrigin(*origin)
    stencil.SetOutputSpacing(SPACING, SPACING, SPACING)
    stencil.SetOutputWholeExtent(0, int(size[0]) - 1, 0, int(size[1]) - 1, 0, int(size[2]) - 1)
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    inside = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).reshape(size[::-1]) > 0

    pieces, count = label(inside)
    if count > 1:
        inside = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    if abs(inside.sum() * SPACING**3 / mesh.volume - 1) > 0.1:
        raise InputError(f"{mesh.path} is no closed surface of one body: repair the mesh or remove it from the folder.")

    beside = binary_dilation(inside, iterations=2) & binary_dilation(~inside, iterations=2)
    where = np.stack(np.nonzero(beside)[::-1], axis=1)
    distances = vtkFloatArray()
    points = numpy_to_vtk(np.ascontiguousarray(where * SPACING + origin), deep=True)
    surface = vtkImplicitPolyDataDistance()
    surface.SetInput(poly)
    surface.EvaluateFunction(points, distances)
    implicit = np.where(inside, np.float32(-1), np.float32(1))
    implicit[beside] *= np.abs(vtk_to_numpy(distances))
    return implicit
