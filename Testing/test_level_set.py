"""Surfaces from the fine network's maps: sub-voxel precision, shared borders, and priority of edited labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from teethseg.cascade.predictions import FineMaps, ToothMaps
from teethseg.surfaces.export_options import ExportOptions
from teethseg.surfaces.level_set import level_set_body
from teethseg.surfaces.mesh_quality import check_mesh
from teethseg.surfaces.solids import overlap_mm3, solid
from teethseg.surfaces.tooth_surfaces import SMOOTHING_FALLBACKS, tooth_surfaces
from teethseg.surfaces.triangles import arrays, enclosed_volume
from teethseg.volume import Volume
from test_surfaces import CENTRE, OBLIQUE, RADII, distance

SPACING = 0.4
NEAR = CENTRE + np.array(
    [2 * RADII[0] - 0.8, 0, 0]
)  # the neighbour reaches 0.8 mm into the tooth; the border cuts it where they meet
VOLUME = 4 / 3 * np.pi * RADII.prod()


def network(second: bool = False, spacing: float = SPACING, doubt: str = "border") -> ToothMaps:
    """Predictions of one ellipsoid or two adjacent ones, with an uncertainty of 0.2 mm in border or position."""
    low = CENTRE - RADII - 3.1
    high = (NEAR if second else CENTRE) + RADII + 3.3
    axes = [np.arange(start, stop, spacing) for start, stop in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes[::-1], indexing="ij"), axis=-1)[..., ::-1]
    own = distance(points.reshape(-1, 3)).reshape(points.shape[:3])
    other = distance(points.reshape(-1, 3), centre=NEAR).reshape(own.shape) if second else np.full_like(own, 99)
    nearest = np.minimum(own, other)
    if doubt == "border":
        tooth = ndtr(-nearest / 0.2)
    else:
        tooth = gaussian_filter(np.clip(0.5 - nearest / spacing, 0, 1), 0.2 / spacing)
    owner = np.where(tooth > 0.5, np.where(own <= other, 14, 15), 0)
    return ToothMaps(np.rint(255 * tooth).astype(np.uint8), owner.astype(np.uint8), tuple(low), spacing)


def scan_grid(maps: ToothMaps, spacing=0.3, direction=OBLIQUE) -> Volume:
    """An empty image around the maps, tilted."""
    middle = np.array(maps.origin) + maps.spacing * (np.array(maps.tooth.shape[::-1]) - 1) / 2
    size = np.full(3, int(34 / spacing))
    origin = middle - direction @ (spacing * (size - 1) / 2)
    return Volume(np.zeros(size, np.uint8), (spacing,) * 3, origin, direction)


def predicted(maps: ToothMaps, grid: Volume) -> Volume:
    return grid.with_array(maps.labels(grid))


@pytest.mark.parametrize("doubt", ["border", "place"])
@pytest.mark.parametrize(("spacing", "mean"), [(0.2, 0.01), (0.4, 0.015), (0.5, 0.02)])
def test_surface_of_known_shape(spacing, mean, doubt):
    poly = level_set_body(network(spacing=spacing, doubt=doubt), 14).surface(SMOOTHING_FALLBACKS["maps"]["none"][0])
    check = check_mesh(poly)
    assert check.printable and check.components == 1 and check.euler == 2
    error = np.abs(distance(arrays(poly)[0]))
    assert error.mean() < mean and error.max() < 0.1
    assert check.volume_mm3 == pytest.approx(VOLUME, rel=0.006)


def test_the_kinds_of_doubt_are_off_to_both_sides():
    border, place = (level_set_body(network(doubt=doubt), 14).volume_mm3 / VOLUME - 1 for doubt in ("border", "place"))
    assert -0.006 < place < border < 0.006


def test_neighbours_share_the_border_where_they_meet():
    maps = network(second=True)
    seam = (CENTRE + NEAR)[0] / 2
    meshes = {fdi: level_set_body(maps, fdi).raw for fdi in (14, 15)}
    ends = arrays(meshes[14])[0][:, 0].max(), arrays(meshes[15])[0][:, 0].min()
    assert ends == pytest.approx((seam, seam), abs=0.6 * SPACING)  # the border lies between voxels of different teeth
    volumes = [enclosed_volume(*arrays(mesh))[0] for mesh in meshes.values()]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)
    assert overlap_mm3(*(solid(mesh) for mesh in meshes.values())) < 0.02
    free = arrays(meshes[14])[0]
    free = free[free[:, 0] < seam - 0.6]
    assert np.abs(distance(free)).mean() < 0.01


def test_surfaces_come_from_the_maps_as_long_as_nobody_changes_the_tooth():
    maps = network(second=True)
    labels = predicted(maps, scan_grid(maps))
    made, warnings = tooth_surfaces(labels, maps=maps)
    assert {one.source for one in made.values()} == {"maps"} and not warnings
    assert all(one.check.ok for one in made.values())
    assert overlap_mm3(solid(made[14].mesh), solid(made[15].mesh)) == 0
    free = arrays(made[14].mesh)[0]
    assert np.abs(distance(free[free[:, 0] < CENTRE[0] + 1])).mean() < 0.02

    corrected = labels.array.copy()
    half = np.argwhere(corrected == 14)[:, 0].mean().astype(int)
    corrected[:half][corrected[:half] == 14] = 0
    made, _ = tooth_surfaces(labels.with_array(corrected), maps=maps)
    assert made[14].source == "labels" and made[15].source == "maps"
    voxels = np.count_nonzero(corrected == 14) * labels.voxel_volume
    assert made[14].check.volume_mm3 == pytest.approx(voxels, rel=0.02)


def test_a_new_number_alone_changes_no_surface():
    maps = network(second=True)
    labels = predicted(maps, scan_grid(maps))
    renumbered = np.array([0, *range(1, 256)], np.uint8)
    renumbered[[14, 15]] = 15, 16
    before, _ = tooth_surfaces(labels, maps=maps)
    after, _ = tooth_surfaces(labels.with_array(renumbered[labels.array]), maps=maps)
    assert set(after) == {15, 16} and after[15].source == after[16].source == "maps"
    np.testing.assert_array_equal(arrays(before[14].mesh)[0], arrays(after[15].mesh)[0])
    # The maps contain no tooth that equals two merged ones.
    merged, _ = tooth_surfaces(labels.with_array(np.where(labels.array, 14, 0).astype(np.uint8)), maps=maps)
    assert merged[14].source == "labels"


def test_rounding_of_places_changes_no_tooth_and_a_few_voxels_do():
    maps = network(second=True)
    grid = Volume(np.zeros(np.array(maps.tooth.shape) * 4 // 5, np.uint8), (0.5,) * 3, maps.origin)
    labels = predicted(maps, grid)
    moved = Volume(labels.array, labels.spacing, tuple(np.array(maps.origin) + 1e-6))
    assert {one.source for one in tooth_surfaces(moved, maps=maps)[0].values()} == {"maps"}
    edited = labels.array.copy()
    edited[tuple(np.argwhere(edited == 15).mean(axis=0).astype(int))] = 0
    made, _ = tooth_surfaces(labels.with_array(edited), maps=maps)
    assert made[14].source == "maps" and made[15].source == "labels"


def test_what_is_tooth_and_nobodys_is_left_out():
    maps = network(second=True)
    alone = ToothMaps(maps.tooth, np.where(maps.owner == 15, 0, maps.owner), maps.origin, maps.spacing)
    volume = level_set_body(alone, 14).volume_mm3
    assert volume == pytest.approx(level_set_body(maps, 14).volume_mm3, rel=0.01)


def test_a_tooth_is_cut_flat_where_the_scan_ends():
    maps = network()
    low = np.array(maps.origin)
    shape = np.array(maps.tooth.shape[::-1])
    shape[2] = round((CENTRE[2] + 2.0 - low[2]) / SPACING)
    labels = predicted(maps, Volume(np.zeros(shape[::-1], np.uint8), (SPACING,) * 3, low))
    made, _ = tooth_surfaces(labels, ExportOptions(smoothing="none"), maps=maps)
    assert made[14].source == "maps" and made[14].check.printable
    vertices, faces = arrays(made[14].mesh)
    end = low[2] + SPACING * (shape[2] - 0.5)
    assert vertices[:, 2].max() == pytest.approx(end, abs=0.02)
    lid = vertices[faces][(vertices[faces][..., 2] > end - 0.02).all(axis=1)]
    area = np.linalg.norm(np.cross(lid[:, 1] - lid[:, 0], lid[:, 2] - lid[:, 0]), axis=1).sum() / 2
    section = np.pi * RADII[0] * RADII[1] * (1 - ((end - CENTRE[2]) / RADII[2]) ** 2)
    assert 0.8 * section < area < section  # the rim is bevelled by half a voxel


def test_kept_maps_are_the_part_around_the_teeth(tmp_path):
    shape = (30, 40, 50)
    half = tuple(size // 2 for size in shape)
    random = np.random.default_rng(0)
    tooth = random.random(shape, np.float32)
    fine = FineMaps(tooth, tooth, np.zeros((3, *half)), np.zeros((8, *half)), np.zeros(half), (5.0, -7.0, 11.0), 0.4)
    owner = np.zeros(shape, np.uint8)
    assert ToothMaps.around(fine, owner) is None
    owner[12:15, 2:30, 44:47] = 38
    maps = ToothMaps.around(fine, owner, margin=6)
    assert maps.tooth.shape == maps.owner.shape == (15, 36, 12)
    np.testing.assert_allclose(maps.tooth / 255, tooth[6:21, 0:36, 38:50], atol=0.002)
    assert maps.origin == pytest.approx((5 + 0.4 * 38, -7, 11 + 0.4 * 6))
    maps.save(tmp_path / "maps.npz")
    again = ToothMaps.load(tmp_path / "maps.npz")
    assert (again.origin, again.spacing) == (maps.origin, maps.spacing)
    np.testing.assert_array_equal(again.owner, maps.owner)
    np.testing.assert_array_equal(again.tooth, maps.tooth)


@pytest.mark.parametrize("seed", range(25))
def test_any_maps_give_sound_surfaces(seed):
    """Noise: touching corners, single voxels, holes, teeth at every border, teeth without a sure voxel."""
    random = np.random.default_rng(seed)
    shape = random.integers(1, 12, 3)
    owner = random.choice([0, 11, 12, 21], shape, p=random.dirichlet((2, 1, 1, 1))).astype(np.uint8)
    tooth = np.where(owner > 0, random.integers(128, 256, shape), random.integers(0, 128, shape)).astype(np.uint8)
    maps = ToothMaps(tooth, owner, tuple(random.normal(size=3) * 50), float(random.uniform(0.2, 0.6)))
    for fdi in np.unique(owner[owner > 0]):
        check = check_mesh(level_set_body(maps, int(fdi)).raw)
        assert check.printable and check.components == 1, check.reasons
