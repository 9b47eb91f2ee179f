"""Grey value windows."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.window_level import DEFAULT_WINDOW, WINDOWS, grey_windows


@pytest.fixture
def scan() -> np.ndarray:
    """Air, soft tissue, bone and a few teeth, with one spot of metal."""
    values = np.random.default_rng(0).normal(0, 20, (40, 50, 60))
    values[:, :25] -= 1000
    values[:, 40:] += 700
    values[10:20, 42:46, 20:40] += 1300
    values[15, 44, 30] = 30_000
    return values.astype(np.int16)


def test_every_window_runs_from_dark_to_bright(scan):
    windows = grey_windows(scan)
    assert tuple(windows) == WINDOWS
    assert DEFAULT_WINDOW in windows
    assert all(low < high for low, high in windows.values())


def test_metal_does_not_darken_the_teeth(scan):
    windows = grey_windows(scan)
    assert windows["Whole range"][1] == 30_000
    for name in ("Bone and teeth", "Teeth"):
        assert 500 < windows[name][1] < 2500
    assert windows["Soft tissue"][1] < windows["Teeth"][1]


def test_windows_follow_the_scale_of_the_scan(scan):
    scaled = grey_windows(scan.astype(np.float32) * 0.001 + 5)
    for name, ends in grey_windows(scan).items():
        assert np.allclose(np.array(ends) * 0.001 + 5, scaled[name], atol=1e-3)


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_has_windows_too(value):
    assert all(low < high for low, high in grey_windows(np.full((3, 3, 3), value, np.int16)).values())
