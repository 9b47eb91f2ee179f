"""Closed surface meshes of the teeth of a label map, in patient space (LPS, millimetres).

Every tooth is cropped from the label map, reduced to one solid body, contoured by flying edges, smoothed without shrinking,
and transformed to the patient by the affine matrix of the scan.

References
----------
Schroeder W, Maynard R, Geveci B. Flying edges: a high-performance scalable isocontouring algorithm. LDAV 2015.
Taubin G, Zhang T, Golub G. Optimal surface smoothing as filter design. ECCV 1996 (windowed sinc).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from skimage.measure import label
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

from ..boxes import Box, bounding_box, label_boxes
from ..volume import Volume
from .intersections import self_intersections
from .mesh_quality import check_mesh
from .triangles import arrays, enclosed_volume, from_arrays, unit, vertex_areas


@dataclass(frozen=True)
class Smoothing:
    """Windowed sinc smoothing: more iterations or a lower pass band (0 to 2) smooth more; 0 iterations do not smooth.

    With the defaults, the mean error of a molar of known shape is 0.03 mm at voxels of 0.4 mm; without smoothing it is
    0.07 mm.
    """

    iterations: int = 30
    pass_band: float = 0.01


DEFAULT_SMOOTHING = Smoothing()
GENTLE_SMOOTHING = Smoothing(20, 0.1)
STRONG_SMOOTHING = Smoothing(40, 0.005)
_ON_FACE = 0.01  # voxels
_ROUNDS = 6  # of the repair of self-intersections
_RINGS = 4  # of triangles around a self-intersection


@dataclass(frozen=True)
class Cap:
    """Vertices of a flat cap at the border of the scan: their rows, and the plane `normal @ point = offset` in mm."""

    rows: np.ndarray
    normal: np.ndarray
    offset: float


@dataclass(frozen=True)
class Body:
    """One tooth before smoothing.

    Attributes
    ----------
    raw : vtkPolyData
        Contoured surface in LPS mm.
    volume_mm3 : float
        Volume that smoothing must keep.
    spacing : float
        Smallest side of the contoured voxels in mm.
    caps : tuple of Cap
        Vertices that smoothing must leave flat.
    """

    raw: vtkPolyData
    volume_mm3: float
    spacing: float
    caps: tuple[Cap, ...] = ()

    def surface(self, smoothing: Smoothing | None) -> vtkPolyData:
        """The smoothed surface with the volume of the body, unchecked; with None, the contoured surface."""
        if smoothing is None:
            return self.raw
        vertices, faces = arrays(_smoothed(self.raw, smoothing) if smoothing.iterations else self.raw)
        vertices = _with_volume(self._capped(vertices), faces, self.volume_mm3, at_most=0.25 * self.spacing)
        return from_arrays(self._capped(vertices), faces)

    def _capped(self, vertices: np.ndarray) -> np.ndarray:
        for cap in self.caps:
            away = vertices[cap.rows] @ cap.normal - cap.offset
            vertices[cap.rows] -= away[:, None] * cap.normal
        return vertices


def tooth_surface(labels: Volume, fdi: int, *, smoothing: Smoothing | None = DEFAULT_SMOOTHING) -> vtkPolyData:
    """The surface of one tooth: a single closed manifold shell, facing outwards, around the volume of its voxels.

    Only the largest component of the label is used (18-connectivity), with cavities filled. A tooth cut by the border of the
    scan is closed there.

    Parameters
    ----------
    labels : Volume
        Label map of integers; any spacing and direction, oblique and left-handed ones too.
    fdi : int
        Value of the tooth in the label map.
    smoothing : Smoothing or None
        None keeps the steps of the voxels.

    Returns
    -------
    vtkPolyData
        Triangles and outward unit point normals, in LPS millimetres.

    Raises
    ------
    ValueError
        If no voxel has that value.
    """
    return _sound_surface(label_body(labels, fdi, bounding_box(labels.array == fdi)), smoothing)


def dentition_surfaces(
    labels: Volume, fdi_list: Iterable[int] | None = None, *, smoothing: Smoothing | None = DEFAULT_SMOOTHING
) -> dict[int, vtkPolyData]:
    """The surfaces of several teeth, by FDI number; of every value in the label map if no list is given.

    As `tooth_surface`, but the label map is searched only once.
    """
    boxes = label_boxes(labels.array)
    return {
        fdi: _sound_surface(label_body(labels, fdi, boxes.get(fdi)), smoothing)
        for fdi in (boxes if fdi_list is None else fdi_list)
    }


def _sound_surface(body: Body, smoothing: Smoothing | None) -> vtkPolyData:
    # Smoothing can erase a body of a few voxels or a thread one voxel thick. Such a body gets less smoothing, or none.
    for wanted in (smoothing, GENTLE_SMOOTHING) if smoothing else ():
        poly = body.surface(wanted)
        if check_mesh(poly, body.volume_mm3).ok:
            return poly
    return body.raw


def label_body(labels: Volume, fdi: int, box: Box | None, *, every_piece: bool = False) -> Body:
    """The body of a label whose voxels lie in a box.

    Parameters
    ----------
    every_piece : bool
        Whether all components are kept, not only the largest.

    Raises
    ------
    ValueError
        If there is no box.
    """
    if box is None:
        raise ValueError(f"no voxel of the label map has the value {fdi}")
    return mask_body(labels.array[box] == fdi, labels, [axis.start for axis in box], every_piece=every_piece)


def mask_body(mask: np.ndarray, grid: Volume, start: Sequence[int], *, every_piece: bool = False) -> Body:
    """The body of a mask (z, y, x) whose first voxel is voxel `start` (z, y, x) of a grid; see `label_body`."""
    body = solid_body(mask, every_piece=every_piece)
    vertices, faces = _placed(*arrays(contour(body)), grid, start)
    volume = np.count_nonzero(body) * grid.voxel_volume
    return Body(from_arrays(vertices, faces), volume, min(grid.spacing), caps(vertices, grid))


def caps(vertices: np.ndarray, grid: Volume) -> tuple[Cap, ...]:
    """The caps of a body: its vertices (V, 3), LPS mm, on the outer faces of the voxels of a grid."""
    index, inverse = grid.to_index(vertices), grid.inverse_affine[2::-1]
    found = []
    for axis, count in enumerate(grid.array.shape):
        length = np.linalg.norm(inverse[axis, :3])
        for face in (-0.5, count - 0.5):
            rows = np.flatnonzero(np.abs(index[:, axis] - face) < _ON_FACE)
            if len(rows):
                found.append(Cap(rows, inverse[axis, :3] / length, (face - inverse[axis, 3]) / length))
    return tuple(found)


def solid_body(mask: np.ndarray, *, every_piece: bool = False) -> np.ndarray:
    """The largest component of a mask, or all of them, with cavities filled, padded by one voxel of background.

    18-connectivity for the body and 6-connectivity for the background, so that `contour` bounds a body by one shell.
    """
    body = np.pad(mask, 1)
    if not every_piece:
        parts = label(body, connectivity=2)
        body = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    background = label(~body, connectivity=1)
    return background != background[0, 0, 0]


def contour(level: np.ndarray) -> vtkPolyData:
    """Contour of the positive part of a level; points (x, y, z) in indices, where 0 is the second voxel.

    Parameters
    ----------
    level : ndarray, shape (Z, Y, X)
        The outermost voxels are negative, none is 0. With booleans, vertices lie midway between voxels.
    """
    # Flying edges separate voxels that touch only along an edge. With the sign reversed they stay joined, so that one body has
    # one shell.
    values = np.where(level, -1, 1).astype(np.int8) if level.dtype == bool else -level
    image = vtkImageData()
    image.SetDimensions(values.shape[::-1])
    image.SetOrigin(-1, -1, -1)
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    return edges.GetOutput()


def _smoothed(poly: vtkPolyData, smoothing: Smoothing) -> vtkPolyData:
    """The same faces with smoothed points. The filter commutes with affine maps, so it may run in mm on anisotropic voxels."""
    sinc = vtkWindowedSincPolyDataFilter()
    sinc.SetInputData(poly)
    sinc.SetNumberOfIterations(smoothing.iterations)
    sinc.SetPassBand(smoothing.pass_band)
    sinc.NormalizeCoordinatesOn()
    sinc.NonManifoldSmoothingOn()
    sinc.FeatureEdgeSmoothingOff()
    sinc.BoundarySmoothingOff()
    sinc.Update()
    return sinc.GetOutput()


def without_self_intersections(smooth: vtkPolyData, raw: vtkPolyData) -> vtkPolyData:
    """The smoothed surface, blended back to the raw surface around self-intersections (for example in interdental spaces)."""
    vertices, faces = arrays(smooth)
    start, firm = vertices, arrays(raw)[0]
    share: np.ndarray = np.zeros(len(vertices))  # of the raw surface in each vertex
    for _ in range(_ROUNDS):
        if not len(pairs := self_intersections(vertices, faces)):
            return from_arrays(vertices, faces) if share.any() else smooth
        share[faces[pairs]] = 1 + 1 / _RINGS
        for _ in range(_RINGS):
            np.maximum.at(share, faces, share[faces].max(axis=1, keepdims=True) - 1 / _RINGS)
        share = np.minimum(share, 1)
        vertices = start + share[:, None] * (firm - start)
    return smooth


def _placed(
    vertices: np.ndarray, faces: np.ndarray, grid: Volume, start: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Transform indices within a box that starts at voxel (z, y, x) to the patient, with faces oriented outwards."""
    vertices = grid.to_lps(vertices[:, ::-1] + start)
    # `contour` orients faces inwards; a left-handed grid reverses them once more.
    return vertices, faces if np.linalg.det(grid.direction) < 0 else faces[:, ::-1]


def _with_volume(vertices: np.ndarray, faces: np.ndarray, volume: float, at_most: float) -> np.ndarray:
    """Move vertices along their normals by at most `at_most` mm until the mesh encloses a volume in mm³.

    Contouring and smoothing shrink convex parts: without this correction, a lower incisor at 0.5 mm voxels loses 2.5 %.
    """
    moved = 0.0
    for _ in range(2):  # Newton's method: the second step only removes the curvature term
        areas = vertex_areas(vertices, faces)
        normals = unit(areas)
        gain_per_mm = np.einsum("vx,vx->", areas, normals) / 3
        step = (volume - enclosed_volume(vertices, faces)[0]) / gain_per_mm if gain_per_mm > 0 else 0.0
        step = np.clip(moved + step, -at_most, at_most) - moved
        vertices, moved = vertices + step * normals, moved + step
    return vertices
