"""`ToothShape`: a tooth as a signed distance field in its own frame, for parametric teeth and meshes.

The frame of a tooth, in millimetres: x distal (away from the midline along the arch), y lingual, z apical. The origin lies at
the level of the highest cusp or incisal edge, midway between the widest points of the crown. The frame is the same for both
sides: x is mirrored for one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, maximum_filter

from ..anatomy import Jaw
from ..tooth_sizes import ToothSize

SPACING = 0.3
MARGIN = 1.8  # mm of empty space around a tooth in its grid


@dataclass(frozen=True)
class ToothShape:
    """The shape of a tooth.

    Attributes
    ----------
    jaw : {"upper", "lower"}
    position : int
        1 (central incisor) to 8 (third molar); of a deciduous tooth 1 to 5.
    sdf, pulp : ndarray of float32, shape (Z, Y, X)
        Signed distance in mm to the surface of the tooth, and of its pulp (chamber and canals); negative inside.
        Exact near the surface of the tooth, approximate for the pulp.
    spacing : float
        Voxel size in mm, the same along all axes.
    origin : (float, float, float)
        Centre (x, y, z) of voxel 0 in the tooth's own frame (see the module), in mm.
    crown_height, length : float
        z of the cemento-enamel junction and of the apex, in mm.
    width, depth : float
        Mesio-distal and bucco-lingual extent of the crown in mm.
    """

    jaw: Jaw
    position: int
    sdf: np.ndarray
    pulp: np.ndarray
    spacing: float
    origin: tuple[float, float, float]
    crown_height: float
    length: float
    width: float
    depth: float

    @property
    def volume(self) -> float:
        """Volume in mm³, with partial voxels at the surface."""
        return float(np.clip(0.5 - self.sdf / self.spacing, 0, 1).sum(dtype=float)) * self.spacing**3


def signed_distance(implicit: np.ndarray, spacing: float) -> np.ndarray:
    """Signed distance in mm to the zero level of an implicit function, with sub-voxel accuracy.

    Voxels next to the surface find their foot point along the gradient; all others use the foot point of the nearest of
    these voxels. Own code: the distance transforms of SciPy and edt start from voxel centres.

    Parameters
    ----------
    implicit : ndarray, shape (Z, Y, X)
        Smooth near its zero level, negative inside; only voxels next to the zero level and their neighbours are used.
    spacing : float
        Voxel size in mm.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
    """
    inside = implicit < 0
    beside = np.zeros(inside.shape, bool)
    for axis in range(3):
        here, there = [slice(None)] * 3, [slice(None)] * 3
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        crossing = inside[tuple(here)] != inside[tuple(there)]
        beside[tuple(here)] |= crossing
        beside[tuple(there)] |= crossing

    where = np.nonzero(beside)
    shape = inside.shape
    gradient = np.empty((3, len(where[0])), np.float32)
    for axis in range(3):
        low, high = list(where), list(where)
        low[axis] = np.maximum(where[axis] - 1, 0)
        high[axis] = np.minimum(where[axis] + 1, shape[axis] - 1)
        gradient[axis] = (implicit[tuple(high)] - implicit[tuple(low)]) / (high[axis] - low[axis])
    normal = gradient / np.maximum(np.linalg.norm(gradient, axis=0), 1e-6)
    step = -implicit[where] / np.maximum(np.linalg.norm(gradient, axis=0), 1e-6)
    foot = np.stack(where) + np.clip(step, -1.2, 1.2) * normal  # at most one voxel away

    number = np.zeros(shape, np.int32)
    number[where] = np.arange(len(where[0]))
    nearest = distance_transform_edt(~beside, return_distances=False, return_indices=True)
    owner = number[tuple(nearest)]
    squared = np.zeros(shape, np.float32)
    for axis in range(3):
        along = np.arange(shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        squared += (foot[axis].astype(np.float32)[owner] - along) ** 2
    distance = np.sqrt(squared)

    # Near the surface, the distance to the tangent plane at the foot point is more accurate than that to the point.
    close = np.nonzero(distance < 2.5)
    own = owner[close]
    plane = np.abs(((np.stack(close) - foot[:, own]) * normal[:, own]).sum(axis=0))
    weight = np.clip((distance[close] - 1) / 1.5, 0, 1)
    distance[close] = weight * distance[close] + (1 - weight) * plane
    return np.where(inside, -distance, distance) * np.float32(spacing)


def pulp_distance(sdf: np.ndarray, spacing: float, roof: float) -> np.ndarray:
    """Pulp chamber and canals along the middle of crown and roots.

    Parameters
    ----------
    sdf : ndarray, shape (Z, Y, X)
        Signed distance of the tooth in mm, z towards the apex.
    spacing : float
        Voxel size in mm.
    roof : float
        Distance in mm from voxel plane 0 to the roof of the chamber; the pulp lies apical to it.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Signed distance to the pulp in mm, approximately; negative inside.
    """
    depth = np.maximum(-sdf, 0)
    # Depth at the middle of the crown or root around a voxel: the largest depth nearby, smoothed. The neighbourhood is wide
    # across the axis, so that the pulp of a flat root is no flat sheet.
    along, across = (2 * round(reach / spacing) + 1 for reach in (0.6, 1.8))
    middle = maximum_filter(depth, size=(along, across, across))
    middle = gaussian_filter(middle, 0.6 / spacing, truncate=2.5)
    core = 0.78 * middle - depth
    core = np.where(sdf < 0, core, np.maximum(core, sdf))
    above = np.float32(roof) - np.arange(sdf.shape[0], dtype=np.float32)[:, None, None] * np.float32(spacing)
    return np.maximum(core, above).astype(np.float32)


def _extent(sdf: np.ndarray, axis: int, spacing: float) -> tuple[float, float]:
    """First and last position of the zero level along an axis, in mm from voxel 0."""
    profile = sdf.min(axis=tuple(a for a in range(3) if a != axis))
    inside = np.nonzero(profile < 0)[0]
    first, last = inside[0], inside[-1]
    low = first - profile[first] / (profile[first] - profile[first - 1]) if first else 0.0
    high = last + profile[last] / (profile[last] - profile[last + 1]) if last + 1 < len(profile) else float(last)
    return float(low) * spacing, float(high) * spacing


def tooth_shape(
    jaw: Jaw,
    position: int,
    sdf: np.ndarray,
    spacing: float,
    cervix: float,
) -> ToothShape:
    """A `ToothShape` from a signed distance field with the axes of the tooth.

    Parameters
    ----------
    sdf : ndarray of float32, shape (Z, Y, X)
        Signed distance in mm, negative inside.
    spacing : float
        Voxel size in mm.
    cervix : float
        z of the cemento-enamel junction in mm from voxel plane 0.
    """
    top, bottom = _extent(sdf, 0, spacing)
    crown = sdf[: int(np.ceil(cervix / spacing)) + 1]
    (front, back), (mesial, distal) = (_extent(crown, axis, spacing) for axis in (1, 2))
    # The pulp extends farther towards the edge of a front tooth than into the cusps of other teeth.
    roof = 0.3 if position <= 3 else 0.45
    pulp = pulp_distance(sdf, spacing, top + roof * (cervix - top))
    origin = (-(mesial + distal) / 2, -(front + back) / 2, -top)
    sdf = np.array(sdf, np.float32)
    sdf.flags.writeable = pulp.flags.writeable = False
    return ToothShape(
        jaw=jaw,
        position=position,
        sdf=sdf,
        pulp=pulp,
        spacing=spacing,
        origin=origin,
        crown_height=float(cervix) - top,
        length=bottom - top,
        width=distal - mesial,
        depth=back - front,
    )


def resized(shape: ToothShape, position: int, size: ToothSize, flare: float = 0.0) -> ToothShape:
    """A tooth scaled to other dimensions: crown and root separately along the axis, width and depth across.

    Parameters
    ----------
    shape : ToothShape
    position : int
        Position of the new tooth.
    size : ToothSize
        Its dimensions in mm.
    flare : float
        Relative increase of the distance between the root tips; the roots of deciduous molars diverge.
    """
    stretch = np.array([size.width / shape.width, size.depth / shape.depth])
    reach = stretch * (1 + max(flare, 0))
    low = np.array(shape.origin[:2]) * reach
    high = low + (np.array(shape.sdf.shape[:0:-1]) - 1) * shape.spacing * reach
    root = (shape.length - shape.crown_height) / size.root
    z = np.arange(-MARGIN, size.length + MARGIN, SPACING)[:, None, None]
    y = np.arange(low[1], high[1] + SPACING, SPACING)[None, :, None]
    x = np.arange(low[0], high[0] + SPACING, SPACING)[None, None, :]
    wide = 1 + flare * np.clip((z - size.crown) / size.root, 0, 1.2)
    source = (
        np.where(z < size.crown, z * shape.crown_height / size.crown, shape.crown_height + (z - size.crown) * root),
        y / (stretch[1] * wide),
        x / (stretch[0] * wide),
    )
    places = [(s - o) / shape.spacing for s, o in zip(source, reversed(shape.origin), strict=True)]
    outside = float(shape.sdf.max())
    stretched = map_coordinates(shape.sdf, np.broadcast_arrays(*places), order=1, cval=outside, output=np.float32)
    sdf = signed_distance(stretched, SPACING)
    return tooth_shape(shape.jaw, position, sdf, SPACING, size.crown + MARGIN)
