"""The parts of the cascade between the networks and the teeth: grids, grey values, tiles, regions, memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from grids import GRIDS
from teethseg.cascade.coarse import SMALL, CoarseResult, _dentition_box, _stage_2_box, sample
from teethseg.cascade.inference import InferenceConfig, fallbacks, is_out_of_memory, run_tiled, run_with_fallbacks
from teethseg.cascade.networks.cascade_net import (
    COARSE,
    FINE,
    Architecture,
    CascadeNet,
    depth_to_space,
    space_to_depth,
)
from teethseg.cascade.networks.summary import parameter_count
from teethseg.cascade.normalisation import CEILING, FLOOR, first_levels, normalise, tooth_levels
from teethseg.cascade.region import Region
from teethseg.errors import OutOfMemoryError, UsageError
from teethseg.padding import PatientGreys
from teethseg.volume import Volume

CPU = torch.device("cpu")


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 7, 4), (3, 2, 5)])
@pytest.mark.parametrize("rounded", [0.0, 1e-6, -1e-6])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_part_of_a_scan_is_looked_at_on_the_same_grid(shift, rounded, flipped):
    spacing = 0.5
    volume = Volume(np.zeros((60, 60, 60), np.uint8), (spacing,) * 3, (-14.75, 20.0, -100.3))
    corner = tuple(np.array(volume.origin) + spacing * np.array(shift[::-1]) + rounded)
    part = Volume(volume.array[shift[0] :, shift[1] :, shift[2] :], volume.spacing, corner)
    if flipped:
        last = part.affine @ [*(n - 1 for n in part.array.shape[::-1]), 1.0]
        part = Volume(part.array[::-1, ::-1, ::-1], part.spacing, tuple(last[:3]), -np.eye(3))
    whole, again = (
        Region.within(v, low, np.array(low) + 12, 0.4, 8)
        for v, low in ((volume, (-10.0, 24.0, -95.0)), (part, (-8.3, 24.1, -93.0)))
    )
    steps = (np.array(again.origin) - whole.origin) / 0.8
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert np.all(np.array(whole.origin) <= (-10.0, 24.0, -95.0)) and np.all(
        whole.end > np.array((2.0, 36.0, -83.0)) - 0.4
    )


def test_a_scan_of_the_right_spacing_is_taken_as_it_is():
    axes = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], float)
    volume = Volume(np.zeros((70, 60, 50), np.uint8), (0.4,) * 3, (3.17, -20.0, 14.05), axes)
    region = Region.within(volume, *(np.array(p) for p in ((-5.0, -10.0, 0.0), (1.0, -2.0, 9.0))), 0.4, 8)
    index = (np.linalg.inv(volume.affine) @ [*region.origin, 1])[:3]
    np.testing.assert_allclose(index, np.round(index), atol=1e-4)


def test_shipped_networks_fit_the_size_limit_and_keep_shapes():
    for architecture in (COARSE, FINE):
        network = CascadeNet(architecture)
        size = architecture.divisor * 2
        with torch.inference_mode():
            output = network(torch.randn(1, 1, size, size, size + architecture.divisor))
        for name, channels in architecture.full_heads.items():
            assert output[name].shape == (1, channels, size, size, size + architecture.divisor)
        for name, channels in architecture.half_heads.items():
            assert output[name].shape[1:3] == (channels, size // 2)
    both = parameter_count(CascadeNet(COARSE)) + parameter_count(CascadeNet(FINE))
    assert 2 * both < 20e6  # bytes in half precision


def test_shuffling_back_and_forth_changes_nothing():
    x = torch.randn(2, 3, 4, 6, 8)
    assert torch.equal(depth_to_space(space_to_depth(x)), x)
    # The eight voxels of a block become the eight channels of one.
    assert set(space_to_depth(x)[0, :8, 0, 0, 0].tolist()) == set(x[0, 0, :2, :2, :2].flatten().tolist())


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_a_region_covers_every_voxel_of_a_volume(direction):
    volume = Volume(np.zeros((7, 5, 9)), (0.4, 0.7, 1.1), (3.0, -8.0, 20.0), direction)
    region = Region.covering(volume, 0.5, multiple=4)
    assert all(n % 4 == 0 for n in region.shape)
    index = np.array(np.meshgrid(range(9), range(5), range(7))).reshape(3, -1)
    world = (volume.affine[:3, :3] @ index + volume.affine[:3, 3:]).T
    assert np.all(world >= np.array(region.origin) - 1e-6)
    assert np.all(world <= region.end + 0.5 + 1e-6)
    low, high = volume.extent
    assert np.allclose([low, high], [world.min(axis=0), world.max(axis=0)])


def test_half_grid_lies_in_the_middle_of_its_blocks():
    region = Region((10.0, 20.0, 30.0), 0.4, (8, 8, 8))
    values = np.zeros(region.shape, np.float32)
    values[:] = np.asarray(region.origin)[0] + 0.4 * np.arange(8)
    means = values.reshape(4, 2, 4, 2, 4, 2).mean(axis=(1, 3, 5))
    half = region.half()
    assert np.allclose(means[0, 0], half.origin[0] + half.spacing * np.arange(4))
    assert np.allclose(sample(values, region, half), means, atol=1e-5)


def _phantom(gain=1.0, offset=0.0, metal=0):
    """Air, muscle, bone in known shares with noise; grey values on the scale of a device."""
    rng = np.random.default_rng(0)
    image = np.concatenate(
        [np.full(4000, -1000.0), np.full(5000, 50.0), np.full(1500, 1200.0), np.full(metal, 12000.0)]
    )
    return (image + rng.normal(0, 40, image.size)) * gain + offset


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.7, 1000.0), (1.4, -300.0), (0.06, 62.0)])
def test_grey_values_are_brought_to_one_scale_whatever_the_device(gain, offset):
    image = _phantom(gain, offset)
    soft, hard = first_levels(image)
    scaled = normalise(image, soft, hard)
    assert np.median(scaled[4000:9000]) == pytest.approx(0.0, abs=0.05)
    assert np.median(scaled[9000:]) == pytest.approx(1.0, abs=0.05)


def test_a_ct_of_mostly_air_clothes_and_table_has_the_same_levels():
    """Bone is a trace of such a field of view: the three commonest things in it are air, cloth and flesh."""
    rng = np.random.default_rng(1)
    tissues = np.concatenate([np.full(100_000, -1000.0), np.full(8000, 50.0), np.full(400, 1200.0)])
    image = np.concatenate([tissues + rng.normal(0, 40, tissues.size), rng.uniform(-950, -250, 3000)])
    soft, hard = first_levels(image)
    assert soft == pytest.approx(50, abs=100)
    assert hard == pytest.approx(1200, abs=150)


@pytest.mark.parametrize("air", [0.25, 0.02, 0.0])
@pytest.mark.parametrize("gain", [1.0, 0.06])
def test_a_small_field_of_view_has_the_same_levels_with_much_little_and_no_air(air, gain):
    """Beside teeth most voxels are flesh and bone: without air the classes of a histogram are others."""
    rng = np.random.default_rng(2)
    tissues = (int(20_000 * air / (1 - air)), -1000.0), (11_000, 50.0), (6000, 600.0), (3000, 1500.0)
    image = np.concatenate([rng.normal(grey, 60 + grey / 12 * (grey > 0), n) for n, grey in tissues])
    image = np.round((image + 1000) * gain)  # with the lower gain fewer values than a histogram has bins
    soft, hard = first_levels(image)
    assert (soft / gain - 1000) == pytest.approx(50, abs=150)
    teeth = image > (1200 + 1000) * gain
    soft, tooth = tooth_levels(image, teeth, (soft, hard))
    assert (soft / gain - 1000) == pytest.approx(50, abs=100)
    assert (tooth / gain - 1000) == pytest.approx(1500, abs=100)


def test_soft_tissue_nearly_as_bright_as_the_mean_of_bone_is_found():
    """Thin bone is darker than teeth, so the mean of both lies not far above soft tissue."""
    rng = np.random.default_rng(3)
    tissues = (6000, -1500.0, 200), (10_000, 400.0, 60), (3500, 800.0, 150), (500, 1500.0, 150)
    image = np.concatenate([rng.normal(grey, sd, n) for n, grey, sd in tissues])
    soft, hard = first_levels(image)
    assert hard < 1000
    assert soft == pytest.approx(400, abs=60)


def test_a_little_metal_moves_nothing_and_is_clipped():
    clean, metal = first_levels(_phantom()), first_levels(_phantom(metal=40))
    assert np.allclose(clean, metal, atol=40)
    assert normalise(_phantom(metal=40), *metal).max() == CEILING
    assert normalise(np.array([-1e6]), *metal).min() == FLOOR


def test_constant_images_have_levels_all_the_same():
    soft, hard = first_levels(np.full((4, 4, 4), 7))
    assert hard > soft
    assert np.isfinite(normalise(np.full(3, 7), soft, hard)).all()


def test_tooth_level_is_that_of_the_teeth_unless_there_are_none():
    image = np.zeros((10, 10, 10))
    tooth = np.zeros_like(image, bool)
    tooth[:5] = True
    image[:5] = 1500
    image[0, :3] = 9000  # metal
    assert tooth_levels(image, tooth, (0.0, 900.0)) == pytest.approx((0.0, 1500.0), abs=10)
    assert tooth_levels(image, np.zeros_like(tooth), (0.0, 900.0)) == (0.0, 900.0)
    assert tooth_levels(image, ~tooth, (0.0, 900.0)) == (0.0, 900.0)  # the predicted tooth is as dark as muscle


class _Echo(torch.nn.Module):
    """Returns its input for every voxel, at full and at half resolution."""

    architecture = Architecture(1.0, (1, 1, 1, 1), {"same": 1}, {"corner": 1})

    def forward(self, image):
        return {"same": image, "corner": image[..., ::2, ::2, ::2]}


def test_tiles_put_together_are_the_whole():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(96, 160, 112)).astype(np.float32)
    told = []
    result = run_tiled(_Echo(), image, InferenceConfig(CPU, 64), lambda *done: told.append(done))
    assert np.allclose(result["same"][0], image, atol=2e-2)  # bfloat16 blending
    assert np.allclose(result["corner"][0], image[::2, ::2, ::2], atol=2e-2)
    assert len(told) > 8
    assert told[-1] == (len(told), len(told))


def test_a_network_says_much_the_same_in_tiles_and_at_once():
    torch.manual_seed(0)
    network = CascadeNet(Architecture(1.0, (8, 8), {"a": 1}, {"b": 1}))
    image = np.random.default_rng(2).normal(size=(32, 32, 96)).astype(np.float32)
    whole = run_tiled(network, image, InferenceConfig(CPU, 96))["a"]
    tiled = run_tiled(network, image, InferenceConfig(CPU, 80))["a"]
    assert np.corrcoef(whole.ravel(), tiled.ravel())[0, 1] > 0.98


def test_memory_ladder_steps_down_and_says_so():
    tried, told = [], []

    def work(config):
        tried.append(config.tile)
        if config.tile > 64:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
        return "done"

    config, result = run_with_fallbacks(fallbacks("cpu"), work, told.append)
    assert (result, config.tile) == ("done", 64)
    assert tried == sorted(tried, reverse=True)
    assert len(told) == len(tried) - 1

    def never(config):
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match="crop the scan"):
        run_with_fallbacks(fallbacks("cpu"), never, told.append)

    def broken(config):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        run_with_fallbacks(fallbacks("cpu"), broken, told.append)


def test_out_of_memory_is_distinguished_from_other_faults():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_a_usage_error():
    with pytest.raises(UsageError, match="cuda"):
        next(fallbacks("cuda"))


def _blob(shape, *balls):
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    mask = np.zeros(shape, bool)
    for centre, radius in balls:
        mask |= (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2
    return mask


def _places(region, front=6.0):
    """Positions that grow from the midline outwards, in the part of the scan where the teeth are; one elsewhere."""
    shape = tuple(n // 2 for n in region.shape)
    place = np.full(shape, front, np.float32)
    x = np.abs(np.arange(shape[2]) - shape[2] / 2)
    place[: shape[0] // 2] = np.clip(1 + x / 4, 1, 8)
    return place


def test_region_holds_both_sides_of_the_arch_and_leaves_a_skull_that_looks_like_one_tooth():
    region = Region((100.0, 0.0, -50.0), 1.0, (150, 120, 130))
    right, left, speck = ((30, 40, 35), 9), ((32, 40, 85), 8), ((70, 110, 65), 2)
    skull = ((130, 50, 60), 19)  # larger than all the teeth
    mask = _blob(region.shape, right, left, speck, skull)
    low, high = _dentition_box(mask, _places(region), region)
    # x, y, z of both sides, though there is a gap of 33 mm between them
    assert np.allclose(low, [126, 31, -29], atol=2.1)
    assert np.allclose(high, [193, 49, -10], atol=2.1)


def test_two_teeth_beyond_a_gap_belong_to_a_region_with_many_teeth_and_a_spot_of_bone_does_not():
    """A small field of view shows most of one side and little of the other."""
    region = Region((100.0, 0.0, -50.0), 1.0, (150, 120, 130))
    many, few, spot = ((30, 40, 35), 14), ((32, 40, 85), 6), ((32, 85, 40), 3)  # few: 0.08 of many
    low, high = _dentition_box(_blob(region.shape, many, few, spot), _places(region), region)
    assert np.allclose(low, [121, 26, -34], atol=2.1)
    assert np.allclose(high, [191, 54, -6], atol=2.1)


def test_objects_outside_the_region_are_counted():
    region = Region((100.0, 0.0, -50.0), 1.0, (150, 120, 130))
    teeth, lone, spot = ((30, 40, 35), 14), ((75, 75, 75), 4), ((70, 20, 20), 2)
    tooth = _blob(region.shape, teeth, lone, spot).astype(np.float32)
    box = _dentition_box(tooth > 0.5, _places(region), region)
    empty = np.zeros(region.shape, np.float32)
    coarse = CoarseResult(region, tooth, empty, empty, PatientGreys(0, 1), (0.0, 1.0), box, empty)
    assert coarse.far_objects == 1
    skull = _blob(region.shape, teeth, ((135, 100, 110), 8)).astype(np.float32)
    assert replace(coarse, upper=skull).far_objects == 0
    assert replace(coarse, upper=empty, lower=_blob(region.shape, teeth).astype(np.float32)).far_objects == 0
    assert replace(coarse, box=None).far_objects == 0


def test_stage_2_sees_a_small_scan_whole_and_the_teeth_of_a_large_one_with_a_margin():
    box = np.array([60.0, 40.0, 50.0]), np.array([70.0, 60.0, 58.0])
    small = Volume(np.zeros((31, 41, 51), np.uint8), origin=(50.0, 35.0, 40.0))
    assert np.array_equal(_stage_2_box(box, small), small.extent)
    large = Volume(np.zeros((121, 146, 151), np.uint8), origin=(0.0, 35.0, 0.0))
    assert np.array_equal(_stage_2_box(box, large), [[51, 35, 41], [79, 69, 67]])


def test_a_small_scan_is_small_in_any_direction():
    """Its box in LPS grows as it is turned."""
    direction = Rotation.from_euler("xyz", (30, 20, 30), degrees=True).as_matrix()
    scan = Volume(np.zeros((57, 57, 57), np.uint8), direction=direction)
    box = np.array([0.0, 0.0, 10.0]), np.array([5.0, 5.0, 15.0])
    assert np.array_equal(_stage_2_box(box, scan), scan.extent)
    assert np.prod(np.subtract(*scan.extent[::-1])) > SMALL


def test_no_teeth_no_region():
    region = Region((0.0, 0.0, 0.0), 1.0, (40, 40, 40))
    assert _dentition_box(np.zeros(region.shape, bool), _places(region), region) is None
    assert _dentition_box(_blob(region.shape, ((20, 20, 20), 2)), _places(region), region) is None
