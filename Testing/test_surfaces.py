"""Surfaces: closed, manifold, facing outwards, where the tooth is and as large as it is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from teethseg.surfaces.mesh import Smoothing, dentition_surfaces, tooth_surface
from teethseg.surfaces.mesh_quality import check_mesh
from teethseg.surfaces.triangles import arrays, enclosed_volume, from_arrays
from teethseg.volume import Volume

OBLIQUE = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()
MIRROR = np.diag([-1.0, 1.0, 1.0])
CENTRE = np.array([12.0, -31.0, 47.0])
RADII = np.array([3.0, 4.0, 7.0])  # along LPS x, y, z: as large as a premolar


def ellipsoid(spacing, direction=None, radii=RADII, centre=CENTRE, value=14) -> Volume:
    """A label map on a grid around an ellipsoid whose axes are those of the patient, centred between voxels."""
    direction = np.eye(3) if direction is None else direction
    spacing = np.broadcast_to(spacing, 3)
    size = np.ceil(2.4 * max(radii) / spacing).astype(int)
    affine = direction * spacing
    origin = centre - affine @ (size / 2 - [0.13, 0.31, 0.22])
    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    inside = np.sum(((index @ affine.T + origin - centre) / radii) ** 2, axis=-1) < 1
    return Volume((inside.T * value).astype(np.uint8), spacing, origin, direction)


def distance(vertices, radii=RADII, centre=CENTRE) -> np.ndarray:
    """Signed distance in mm to the ellipsoid, to first order: exact enough next to its surface."""
    place = (vertices - centre) / radii
    level = np.linalg.norm(place, axis=1)
    return (level - 1) * level / np.linalg.norm(place / radii, axis=1)


def assert_sound(poly, volume=None):
    check = check_mesh(poly, volume)
    assert check.ok, check.reasons
    return check


@pytest.mark.parametrize("spacing", [0.2, 0.3, 0.4, 0.5, (0.3, 0.3, 0.6)])
def test_surface_of_known_shape(spacing):
    labels = ellipsoid(spacing)
    poly = tooth_surface(labels, 14)
    check = assert_sound(poly, np.count_nonzero(labels.array) * labels.voxel_volume)
    assert check.euler == 2
    assert check.volume_mm3 == pytest.approx(4 / 3 * np.pi * RADII.prod(), rel=0.02)
    error = np.abs(distance(arrays(poly)[0]))
    assert error.mean() < 0.1 * max(np.atleast_1d(spacing))
    assert np.quantile(error, 0.95) < 0.25 * max(np.atleast_1d(spacing))


@pytest.mark.parametrize(
    "direction",
    [OBLIQUE, MIRROR, OBLIQUE @ MIRROR, np.eye(3)[[2, 0, 1]], np.eye(3)[[1, 0, 2]], np.diag([-1.0, -1.0, -1.0])],
    ids=["oblique", "mirrored", "oblique-mirrored", "permuted", "permuted-left-handed", "all-flipped"],
)
def test_place_and_outside_do_not_depend_on_the_grid(direction):
    labels = ellipsoid((0.3, 0.4, 0.5), direction)
    poly = tooth_surface(labels, 14)
    check = assert_sound(poly, np.count_nonzero(labels.array) * labels.voxel_volume)
    vertices, faces = arrays(poly)
    assert check.volume_mm3 > 0
    np.testing.assert_allclose(enclosed_volume(vertices, faces)[1], CENTRE, atol=0.03)
    assert np.abs(distance(vertices)).mean() < 0.05
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fx,fx->f", normals, (corners.mean(axis=1) - CENTRE) / RADII**2) > 0).all()


def test_point_normals_look_outwards():
    from vtkmodules.util.numpy_support import vtk_to_numpy

    poly = tooth_surface(ellipsoid(0.4, OBLIQUE @ MIRROR), 14)
    normals = vtk_to_numpy(poly.GetPointData().GetNormals())
    true = (arrays(poly)[0] - CENTRE) / RADII**2
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    assert np.einsum("vx,vx->v", normals, true).min() > 0.9


def test_thin_tooth_does_not_shrink():
    radii = np.array([1.4, 2.0, 9.0])  # a lower incisor
    labels = ellipsoid(0.5, OBLIQUE, radii)
    voxels = np.count_nonzero(labels.array) * labels.voxel_volume
    assert_sound(tooth_surface(labels, 14), voxels)
    strong = enclosed_volume(*arrays(tooth_surface(labels, 14, smoothing=Smoothing(60, 0.003))))[0]
    assert strong == pytest.approx(voxels, rel=0.02)


def test_touching_teeth_are_separate_bodies():
    array = np.zeros((20, 20, 40), dtype=np.uint8)
    array[4:16, 4:16, 4:20] = 16
    array[4:16, 4:16, 20:36] = 17
    labels = Volume(array, (0.4, 0.4, 0.4))
    surfaces = dentition_surfaces(labels)
    assert set(surfaces) == {16, 17}
    for poly in surfaces.values():
        assert_sound(poly, 12 * 12 * 16 * 0.4**3)
    seam = 19.5 * 0.4
    assert arrays(surfaces[16])[0][:, 0].max() == pytest.approx(seam, abs=0.2)
    assert arrays(surfaces[17])[0][:, 0].min() == pytest.approx(seam, abs=0.2)


@pytest.mark.parametrize("smoothing", [None, Smoothing()])
def test_parts_that_touch_by_an_edge_stay_one_body(smoothing):
    array = np.zeros((12, 12, 12), dtype=np.uint8)
    array[2:6, 2:6, 2:10] = 11
    array[6:10, 6:10, 2:10] = 11
    check = assert_sound(tooth_surface(Volume(array), 11, smoothing=smoothing))
    assert check.volume_mm3 == pytest.approx(256, rel=0.05)


@pytest.mark.parametrize("smoothing", [None, Smoothing()])
def test_only_the_largest_body_counts(smoothing):
    array = np.zeros((20, 12, 12), dtype=np.uint8)
    array[2:8, 2:8, 2:8] = 11
    array[8:12, 8:12, 8:12] = 11  # touches by a corner
    array[16, 2, 2] = 11  # an island
    poly = tooth_surface(Volume(array), 11, smoothing=smoothing)
    check = check_mesh(poly, np.count_nonzero(array))
    assert check.printable and check.components == 1
    assert check.volume_mm3 == pytest.approx(216, rel=0.05)
    assert "volume" in check.reasons[0]  # the reason names the volume left out
    assert arrays(poly)[0].max() < 8.5


def test_single_voxel():
    array = np.zeros((3, 3, 3), dtype=np.uint8)
    array[1, 2, 0] = 48
    poly = tooth_surface(Volume(array, origin=(10, 20, 30)), 48)
    check = check_mesh(poly)
    assert check.ok and check.euler == 2 and check.triangles == 8
    np.testing.assert_allclose(enclosed_volume(*arrays(poly))[1], (10, 22, 31), atol=1e-5)


def test_cavities_are_filled_and_tunnels_stay():
    solid = ellipsoid(0.4)
    array = solid.array.copy()
    middle = np.array(array.shape) // 2
    array[tuple(slice(m - 2, m + 2) for m in middle)] = 0
    hollow = check_mesh(tooth_surface(solid.with_array(array), 14))
    assert hollow.ok and hollow.components == 1 and hollow.euler == 2
    assert hollow.volume_mm3 == pytest.approx(np.count_nonzero(solid.array) * solid.voxel_volume, rel=1e-3)
    array[:, middle[1] - 2 : middle[1] + 2, middle[2] - 2 : middle[2] + 2] = 0
    tunnel = check_mesh(tooth_surface(solid.with_array(array), 14), np.count_nonzero(array) * solid.voxel_volume)
    assert tunnel.ok and tunnel.euler == 0


def test_tooth_at_the_border_of_the_scan_is_closed():
    whole = ellipsoid(0.4)
    cut = Volume(whole.array[whole.array.shape[0] // 2 :], whole.spacing, whole.origin)
    assert_sound(tooth_surface(cut, 14), np.count_nonzero(cut.array) * cut.voxel_volume)
    full = Volume(np.full((8, 9, 10), 14, dtype=np.uint8))
    poly = tooth_surface(full, 14, smoothing=None)
    assert_sound(poly, 720)
    vertices = arrays(poly)[0]
    np.testing.assert_allclose([vertices.min(axis=0), vertices.max(axis=0)], [[-0.5] * 3, [9.5, 8.5, 7.5]])


@pytest.mark.parametrize("seed", range(60))
def test_any_label_map_gives_sound_surfaces(seed):
    random = np.random.default_rng(seed)
    values = random.choice([0, 11, 12, 21], random.integers(1, 12, 3), p=random.dirichlet((2, 1, 1, 1)))
    direction = np.linalg.qr(random.normal(size=(3, 3)))[0]
    labels = Volume(values.astype(np.uint8), random.uniform(0.1, 1, 3), random.normal(size=3) * 100, direction)
    for smoothing in (None, Smoothing(), Smoothing(80, 0.001)):
        for poly in dentition_surfaces(labels, smoothing=smoothing).values():
            assert_sound(poly)


def test_absent_tooth():
    with pytest.raises(ValueError, match="36"):
        tooth_surface(ellipsoid(0.5), 36)
    with pytest.raises(ValueError, match="36"):
        dentition_surfaces(ellipsoid(0.5), [14, 36])
    assert dentition_surfaces(Volume(np.zeros((4, 4, 4), dtype=np.uint8))) == {}


TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def check_of(vertices, faces, volume=None):
    return check_mesh(from_arrays(np.array(vertices, dtype=float), np.array(faces)), volume)


def test_check_of_a_sound_mesh():
    check = check_of(CORNERS, TETRAHEDRON, 1 / 6)
    assert check.ok and check.closed and check.manifold and check.outward
    assert (check.triangles, check.vertices, check.components, check.euler) == (4, 4, 1, 2)
    assert check.volume_mm3 == pytest.approx(1 / 6)


def test_check_welds_points_at_the_same_place():
    assert check_of(CORNERS[TETRAHEDRON].reshape(-1, 3), np.arange(12).reshape(4, 3)).ok


def test_check_finds_holes():
    check = check_of(CORNERS, TETRAHEDRON[:3])
    assert not check.closed and check.reasons == ("3 open edges",)


def test_check_finds_meshes_inside_out():
    check = check_of(CORNERS, TETRAHEDRON[:, ::-1])
    assert not check.outward and check.reasons == ("inside out",)


def test_check_finds_single_flipped_faces():
    faces = TETRAHEDRON.copy()
    faces[0] = faces[0, ::-1]
    check = check_of(CORNERS, faces)
    assert check.flipped_edges == 3 and not check.outward and check.non_manifold_vertices == 0


def test_check_finds_non_manifold_edges():
    corners = [*CORNERS, (0, -1, 0), (0, 0, -1)]  # the second tetrahedron shares the edge from 0 to 1
    check = check_of(corners, [*TETRAHEDRON, *np.array([0, 1, 4, 5])[TETRAHEDRON]])
    assert check.non_manifold_edges == 1 and not check.manifold and check.components == 1


def test_check_finds_non_manifold_vertices():
    corners = [*CORNERS, (-1, 0, 0), (0, -1, 0), (0, 0, -1)]  # the second tetrahedron shares the point 0
    check = check_of(corners, [*TETRAHEDRON, *np.array([0, 5, 4, 6])[TETRAHEDRON]])
    assert check.non_manifold_edges == 0 and check.non_manifold_vertices == 1 and check.components == 1
    assert check.reasons == ("1 non-manifold vertices",)


def test_check_finds_pieces_slivers_and_wrong_volume():
    far = [*CORNERS, *(CORNERS + 5)]
    assert check_of(far, [*TETRAHEDRON, *(TETRAHEDRON + 4)]).reasons == ("2 separate pieces",)
    assert check_of(CORNERS, [*TETRAHEDRON, [1, 1, 2]]).degenerate_triangles == 1
    assert check_of(CORNERS, TETRAHEDRON, 0.16).reasons == ("volume +4.2 % off its label",)
    assert check_of(CORNERS, TETRAHEDRON, 0.165).ok


def test_check_of_an_empty_mesh():
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    assert check_mesh(vtkPolyData()).reasons == ("no triangles",)


@pytest.mark.slow
def test_whole_dentition_is_quick():
    array = np.zeros((330, 360, 360), dtype=np.uint8)
    tooth = ellipsoid(0.5, radii=np.array([4.0, 4.5, 10.0])).array > 0
    for number in range(28):
        start = 60 * (number // 6), 60 * (number % 6)
        box = array[
            100 : 100 + tooth.shape[0], start[0] : start[0] + tooth.shape[1], start[1] : start[1] + tooth.shape[2]
        ]
        box[tooth] = number + 11
    labels = Volume(array, (0.5, 0.5, 0.5))
    start = time.process_time()  # of all threads, without other work of the computer
    surfaces = dentition_surfaces(labels)
    checks = [check_mesh(poly) for poly in surfaces.values()]
    assert time.process_time() - start < 8
    assert len(checks) == 28 and all(check.ok for check in checks)


@pytest.mark.slow
def test_real_dentition(shared_data):
    import SimpleITK as sitk

    image = sitk.ReadImage(shared_data / "real" / "slicer-dental-pre" / "labels.nii.gz")
    labels = Volume(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    voxels = np.bincount(labels.array.ravel()) * labels.voxel_volume
    surfaces = dentition_surfaces(labels)
    assert len(surfaces) == 28
    for fdi, poly in surfaces.items():
        assert_sound(poly, voxels[fdi])
