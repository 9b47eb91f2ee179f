"""Crossing triangles, teeth that touch, thinning out, mending: checks and repairs before a mesh is written."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from vtkmodules.vtkCommonDataModel import vtkTriangle

from teethseg.surfaces.contacts import CLEARANCE, overlapping, separated
from teethseg.surfaces.export_options import ExportOptions
from teethseg.surfaces.intersections import cross_each_other, self_intersections, smooth_vertices
from teethseg.surfaces.mesh import dentition_surfaces, tooth_surface, without_self_intersections
from teethseg.surfaces.mesh_quality import check_mesh
from teethseg.surfaces.pulp import pulp_mask
from teethseg.surfaces.simplify import decimated_to_count, decimated_within_error
from teethseg.surfaces.solids import difference, overlap_mm3, repaired, solid
from teethseg.surfaces.tooth_surfaces import tooth_surfaces
from teethseg.surfaces.triangles import arrays, corners, from_arrays, signed_distances
from teethseg.volume import Volume
from test_surfaces import CENTRE, CORNERS, RADII, TETRAHEDRON, distance, ellipsoid


def crossing(vertices, faces) -> set[tuple[int, int]]:
    pairs = self_intersections(np.array(vertices, dtype=float), np.array(faces))
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == len(pairs)
    return {tuple(sorted(pair)) for pair in pairs.tolist()}


@pytest.mark.parametrize("seed", range(8))
def test_crossings_are_those_that_vtk_finds_pair_by_pair(seed):
    random = np.random.default_rng(seed)
    vertices, faces = random.normal((70, -30, 200), size=(90, 3)), np.arange(90).reshape(30, 3)
    expected = {
        (one, two)
        for one, two in combinations(range(30), 2)
        if vtkTriangle.TrianglesIntersect(*vertices[faces[one]].tolist(), *vertices[faces[two]].tolist())
    }
    assert len(expected) > 20
    assert crossing(vertices, faces) == expected


def test_neighbouring_faces_cross_only_beyond_what_they_share():
    assert crossing(CORNERS, TETRAHEDRON) == set()
    # Two faces with a common edge: lying open, and folded onto each other.
    hinge = [(0, 0, 0), (1, 0, 0), (0.3, 1, 0)]
    assert crossing([*hinge, (0.5, -1, 0)], [(0, 1, 2), (1, 0, 3)]) == set()
    assert crossing([*hinge, (0.5, 1, 1e-3)], [(0, 1, 2), (1, 0, 3)]) == set()
    assert crossing([*hinge, (0.5, 0.8, 0)], [(0, 1, 2), (1, 0, 3)]) == {(0, 1)}
    # With a common corner: side by side, one through the other, in one plane apart and overlapping.
    fan = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    assert crossing([*fan, (-1, 0, 0.5), (0, -1, 0.5)], [(0, 1, 2), (0, 3, 4)]) == set()
    assert crossing([*fan, (0.4, 0.4, -1), (0.4, 0.4, 1)], [(0, 1, 2), (0, 3, 4)]) == {(0, 1)}
    assert crossing([*fan, (-1, 0, 0), (0, -1, 0)], [(0, 1, 2), (0, 3, 4)]) == set()
    assert crossing([*fan, (0.2, 0.1, 0), (0.1, 0.3, 0)], [(0, 1, 2), (0, 4, 3)]) == {(0, 1)}
    # In one plane without a common corner, and twice the same face.
    assert crossing([*fan, (3, 0, 0), (4, 0, 0), (3, 1, 0)], [(0, 1, 2), (3, 4, 5)]) == set()
    assert crossing([*fan, (0.2, 0.2, 0), (4, 0, 0), (3, 1, 0)], [(0, 1, 2), (3, 4, 5)]) == {(0, 1)}
    assert crossing(CORNERS, [*TETRAHEDRON, TETRAHEDRON[0, [1, 2, 0]]]) == {(0, 4)}


@pytest.mark.parametrize("seed", range(4))
def test_what_smooth_vertices_save_changes_nothing(seed):
    vertices, faces = arrays(tooth_surface(ellipsoid(0.5), 14))
    vertices = vertices + np.random.default_rng(seed).normal(0, (0.0, 0.1, 0.2, 0.3)[seed], vertices.shape)
    smooth = smooth_vertices(vertices, faces)
    every = self_intersections(vertices, faces, np.zeros(len(vertices), bool))
    few = self_intersections(vertices, faces, smooth)
    assert {tuple(sorted(pair)) for pair in few.tolist()} == {tuple(sorted(pair)) for pair in every.tolist()}
    assert (len(every) > 0) == (seed > 0) and smooth.any() and (seed > 0 or smooth.mean() > 0.95)
    # Doubled faces go round each vertex twice. With a face removed, the ring of faces round its corners is open.
    assert not smooth_vertices(vertices, np.concatenate([faces, faces])).any()
    assert not smooth_vertices(vertices, faces[1:]).any()


def test_surfaces_that_meet_are_distinguished_from_those_that_only_come_near():
    one, two = (corners(np.array(CORNERS, float) + shift, np.array(TETRAHEDRON)) for shift in (0, 0.2))
    assert cross_each_other(one, two) and cross_each_other(two, one)
    assert not cross_each_other(one, two + 2)
    inside = corners(0.2 * np.array(CORNERS, float) + 0.1, np.array(TETRAHEDRON))
    assert not cross_each_other(one, inside)  # nested: the surfaces do not meet, the solids do
    outer, inner = ellipsoid(0.5), ellipsoid(0.5, radii=0.5 * RADII)
    nested = {14: tooth_surface(outer, 14), 15: tooth_surface(inner, 14)}
    assert overlapping(nested) == {(14, 15): pytest.approx(check_mesh(nested[15]).volume_mm3, rel=1e-3)}


def test_a_surface_is_untangled_only_where_it_crosses_itself():
    labels = ellipsoid(0.5)
    raw, smooth = tooth_surface(labels, 14, smoothing=None), tooth_surface(labels, 14)
    assert without_self_intersections(smooth, raw) is smooth
    vertices, faces = arrays(smooth)
    pulled = vertices.copy()
    pulled[vertices[:, 0].argmax(), 0] -= 2.5 * RADII[0]
    mesh = without_self_intersections(from_arrays(pulled, faces), raw)
    assert check_mesh(mesh).printable
    moved = np.linalg.norm(arrays(mesh)[0] - vertices, axis=1) > 1e-6
    assert 0 < moved.mean() < 0.3


def test_check_finds_a_surface_that_passes_through_itself():
    poly = tooth_surface(ellipsoid(0.5), 14)
    assert check_mesh(poly).self_intersections == 0
    vertices, faces = arrays(poly)
    vertices[vertices[:, 0].argmax(), 0] -= 2.5 * RADII[0]  # pulled out on the other side
    check = check_mesh(from_arrays(vertices, faces))
    assert check.self_intersections > 0 and not check.printable
    assert "pairs of triangles that cross" in check.reasons[0]


def test_check_measures_size_and_distance_to_the_label():
    labels = ellipsoid(0.4)
    poly = tooth_surface(labels, 14)
    steps = tooth_surface(labels, 14, smoothing=None)
    check = check_mesh(poly, None, steps)
    np.testing.assert_allclose(check.size_mm, 2 * RADII, atol=0.2)
    assert 0.02 < check.label_distance_mean_mm < check.label_distance_p95_mm < 0.3
    vertices, faces = arrays(poly)
    far = check_mesh(from_arrays(vertices + np.array([5, 0, 0]), faces), None, steps)
    assert far.label_distance_p95_mm > 3


def touching(spacing=0.4) -> dict:
    """Two ellipsoids side by side along x that overlap by 0.3 mm, and one far away."""
    near, far = (CENTRE + np.array([shift, 0, 0]) for shift in (2 * RADII[0] - 0.3, 40))
    return {
        14: tooth_surface(ellipsoid(spacing, value=14), 14),
        15: tooth_surface(ellipsoid(spacing, centre=near, value=15), 15),
        24: tooth_surface(ellipsoid(spacing, centre=far, value=24), 24),
    }


@pytest.mark.parametrize("gap", [0.0, 0.1, 0.3])
def test_teeth_that_overlap_are_parted_evenly(gap):
    teeth = touching()
    assert overlap_mm3(solid(teeth[14]), solid(teeth[15])) > 0.5
    apart, left = separated(teeth, gap)
    assert not left
    assert overlap_mm3(solid(apart[14]), solid(apart[15])) == 0
    assert apart[24] is teeth[24]
    least = min(signed_distances(apart[a], arrays(apart[b])[0]).min() for a, b in ((14, 15), (15, 14)))
    assert 0.75 * gap <= least <= max(gap, CLEARANCE) + 0.02
    moved = {fdi: np.linalg.norm(arrays(apart[fdi])[0] - arrays(teeth[fdi])[0], axis=1) for fdi in (14, 15)}
    assert moved[14].max() == pytest.approx(moved[15].max(), abs=0.06)
    assert moved[14].max() < (0.3 + max(gap, CLEARANCE)) / 2 + 0.06
    assert (moved[14] > 0).mean() < 0.2  # only vertices near the neighbour move
    assert all(check_mesh(poly).ok for poly in apart.values())


def test_what_cannot_be_pushed_apart_is_cut_away():
    teeth = touching()
    rest = difference(teeth[14], [teeth[15], teeth[24]])
    check = check_mesh(rest)
    assert check.printable and check.components == 1
    overlap = overlap_mm3(solid(teeth[14]), solid(teeth[15]))
    assert check.volume_mm3 == pytest.approx(check_mesh(teeth[14]).volume_mm3 - overlap, rel=1e-4)
    assert overlap_mm3(solid(rest), solid(teeth[15])) < 1e-6


def test_smoothed_neighbours_of_one_label_map_do_not_overlap():
    array = np.zeros((20, 20, 40), dtype=np.uint8)
    array[4:16, 4:16, 4:20] = 16
    array[4:16, 4:16, 20:36] = 17
    array[8:12, 8:12, 20:23] = 16  # a bump into the neighbour
    apart, left = separated(dentition_surfaces(Volume(array, (0.4,) * 3)))
    assert not left and overlap_mm3(solid(apart[16]), solid(apart[17])) == 0


def test_thinning_out_to_a_count_and_within_an_error():
    poly = tooth_surface(ellipsoid(0.2), 14)
    few = decimated_to_count(poly, 1000)
    assert 900 <= few.GetNumberOfPolys() <= 1000 and check_mesh(few).ok
    assert decimated_to_count(few, 5000) is few
    counts = []
    for error in (0.01, 0.05):
        thin = decimated_within_error(poly, error)
        assert np.abs(signed_distances(thin, arrays(poly)[0])).max() <= error
        assert np.abs(distance(arrays(thin)[0])).max() < error + 0.1
        assert check_mesh(thin).ok
        counts.append(thin.GetNumberOfPolys())
    assert counts[1] < counts[0] < poly.GetNumberOfPolys()


def test_mending_joins_points_that_nearly_meet_and_refuses_holes():
    poly = tooth_surface(ellipsoid(0.5), 14)
    vertices, faces = arrays(poly)
    # A seam: one face on corners of its own, a hundredth of a micrometre off.
    split = np.concatenate([vertices, vertices[faces[0]] + 1e-5])
    seam = faces.copy()
    seam[0] = len(vertices) + np.arange(3)
    open_mesh = from_arrays(split, seam)
    check = check_mesh(open_mesh)
    assert not check.printable and check.open_edges
    mesh, again = repaired(open_mesh, check)
    assert check_mesh(mesh) == again
    assert again.printable and again.volume_mm3 == pytest.approx(check.volume_mm3, rel=1e-3)
    torn = from_arrays(vertices, faces[20:])
    assert repaired(torn, check_mesh(torn))[0] is torn


def test_pulp_is_recognised_by_its_darkness_or_not_at_all():
    labels = ellipsoid(0.3, radii=np.array([4.0, 4.5, 8.0]))
    tooth = labels.array > 0
    away = (np.stack(np.indices(tooth.shape), axis=-1) - np.argwhere(tooth).mean(axis=0)) * 0.3 / (5, 1.2, 1.2)
    pulp = tooth & ((away**2).sum(axis=-1) < 1)
    noise = np.random.default_rng(0).normal(0, 60, tooth.shape)
    image = np.where(pulp, 900.0, np.where(tooth, 1800.0, 300.0)) + noise
    found = pulp_mask(image, tooth, (0.3,) * 3)
    assert 2 * (found & pulp).sum() / (found.sum() + pulp.sum()) > 0.85
    assert pulp_mask(np.where(tooth, 1800.0, 300.0) + noise, tooth, (0.3,) * 3) is None


def test_a_pulp_is_found_in_a_coarse_and_blurred_scan_but_no_filled_one():
    spacing = (0.5,) * 3
    labels = ellipsoid(0.5, radii=np.array([3.5, 4.0, 9.0]))
    tooth = labels.array > 0
    away = (np.stack(np.indices(tooth.shape), axis=-1) - np.argwhere(tooth).mean(axis=0)) * 0.5 / (6, 1.0, 0.8)
    pulp = tooth & ((away**2).sum(axis=-1) < 1)
    noise = np.random.default_rng(0).normal(0, 30, tooth.shape)

    def scan(inside: float) -> np.ndarray:
        return gaussian_filter(np.where(pulp, inside, np.where(tooth, 1000.0, 100.0)), 1.0) + noise

    found = pulp_mask(scan(100), tooth, spacing)
    assert 2 * (found & pulp).sum() / (found.sum() + pulp.sum()) > 0.7
    assert pulp_mask(scan(3000), tooth, spacing) is None


@pytest.mark.parametrize("seed", range(12))
def test_any_label_map_gives_sound_surfaces_that_keep_apart(seed):
    """Noise: teeth that touch by corners, single voxels, holes, teeth within each other and at every border."""
    random = np.random.default_rng(seed)
    values = random.choice([0, 11, 12, 21], random.integers(2, 9, 3), p=random.dirichlet((2, 1, 1, 1)))
    labels = Volume(values.astype(np.uint8), tuple(random.uniform(0.2, 0.6, 3)), tuple(random.normal(size=3) * 50))
    options = ExportOptions(smoothing=str(random.choice(["none", "light", "strong"])))
    made, warnings = tooth_surfaces(labels, options)
    assert set(made) == set(np.unique(values)) - {0}
    assert all(one.check.printable and one.check.components == 1 for one in made.values())
    overlaps = [overlap_mm3(solid(a.mesh), solid(b.mesh)) > 1e-6 for a, b in combinations(made.values(), 2)]
    assert sum(overlaps) == sum("overlap" in warning for warning in warnings)  # every overlap has its warning
