"""Simulated scans with lower contrast, more blur and more noise, for training."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.io.case_folder import write_case_folder
from teethseg.simulation.tissues import Tissue
from teethseg.training.data import FineSamples
from teethseg.training.degradation import degraded, low_contrast
from teethseg.training.sampling import Sampling
from teethseg.volume import Volume

SOFT, TOOTH = 40.0, 2000.0


@pytest.fixture
def root_in_bone():
    """A root (grey value of tooth) in bone halfway between soft tissue and tooth, metal at one end, air at the other."""
    image = np.full((24, 20, 20), (SOFT + TOOTH) / 2, np.float32)
    image[:, 8:12, 8:12] = TOOTH
    image[:4] = -1000.0
    image[-2:, 8:12, 8:12] = 9000.0
    return image


def test_low_contrast_brings_bone_nearer_to_tooth_and_leaves_all_else(root_in_bone):
    pressed = low_contrast(root_in_bone, SOFT, TOOTH, 0.4)
    share = (pressed - SOFT) / (TOOTH - SOFT)
    assert share[10, 0, 0] == pytest.approx(0.5**0.4, abs=1e-3)
    other = root_in_bone != root_in_bone[10, 0, 0]
    assert np.array_equal(pressed[other], root_in_bone[other])


def test_low_contrast_keeps_the_order_of_grey_values():
    greys = np.linspace(-1000, 4000, 500, dtype=np.float32)
    assert (np.diff(low_contrast(greys, SOFT, TOOTH, 0.4)) > 0).all()


def test_some_samples_stay_and_others_lose_contrast_sharpness_or_quiet(root_in_bone):
    rng = np.random.default_rng(0)
    scans = [degraded(root_in_bone, SOFT, TOOTH, 0.4, rng) for _ in range(60)]
    assert all(scan.dtype == np.float32 and scan.shape == root_in_bone.shape for scan in scans)
    same = sum(np.array_equal(scan, root_in_bone) for scan in scans)
    assert 0.25 < same / len(scans) < 0.6
    bone = [scan[6:18, :3, :3] for scan in scans]
    brighter = [one.mean() > root_in_bone[10, 0, 0] + 100 for one in bone]
    noisy = [one.std() > 0.04 * (TOOTH - SOFT) for one in bone]
    edge = [abs(scan[6:18, 9:11, 7].mean() - scan[6:18, 9:11, 2].mean()) > 100 for scan in scans]
    assert all(5 < sum(effect) < 30 for effect in (brighter, noisy, edge))
    assert sum(a and b for a, b in zip(brighter, noisy, strict=True)) < sum(brighter)


def test_the_same_random_numbers_give_the_same_scan(root_in_bone):
    one, other = (degraded(root_in_bone, SOFT, TOOTH, 0.4, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, other)


def test_samples_of_simulated_cases_are_degraded_if_the_augmentation_is_in_use(tmp_path):
    tissues = np.full((48, 48, 48), Tissue.SOFT, np.uint8)
    tissues[16:32, 16:32, 16:32] = Tissue.DENTINE
    maps = Volume(tissues, (0.4,) * 3, (0.0, 0.0, 0.0))
    labels = maps.with_array(np.where(tissues == Tissue.DENTINE, 11, 0).astype(np.uint8))
    write_case_folder(tmp_path / "a", maps, labels, "a", maps, simulated=True)

    def images(*augmentations):
        samples = FineSamples(tmp_path, 12, 1, 48, sampling=Sampling(augment=frozenset(augmentations)))
        return [samples.drawn(index)[0] for index in range(12)]

    alike = [np.array_equal(one, other) for one, other in zip(images(), images("degradation"), strict=True)]
    assert 0 < sum(alike) < 12
