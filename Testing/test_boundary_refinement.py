import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from teethseg.cascade.boundary_refinement import at_edges

SPACING = 0.4


def ball(shift: float = 0.0, radius: float = 4.0) -> np.ndarray:
    """Signed distance (mm, positive inside) to a ball whose centre lies `shift` mm along the last axis."""
    z, y, x = (np.arange(48) - 23.5) * SPACING, (np.arange(44) - 21.5) * SPACING, (np.arange(52) - 25.5) * SPACING
    return radius - np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + (x - shift) ** 2)


def scan(noise: float, outside: float = 0.0) -> np.ndarray:
    """A ball of tooth (1) in surroundings, blurred by 0.4 mm, with noise."""
    clean = gaussian_filter(np.where(ball() > 0, 1.0, outside), 1.0)
    return (clean + np.random.default_rng(1).normal(0, noise, clean.shape)).astype(np.float32)


def dice(logits: np.ndarray) -> float:
    found, truth = logits > 0, ball() > 0
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


@pytest.mark.parametrize("noise", [0.0, 0.15])
@pytest.mark.parametrize(("shift", "radius"), [(0.4, 4.0), (0.0, 4.5), (0.0, 3.5)])
def test_an_outline_astray_is_drawn_to_the_edge(shift, radius, noise):
    drawn = (2 * ball(shift, radius)).astype(np.float32)
    moved = at_edges(drawn, scan(noise), SPACING)
    assert 1 - dice(moved) < 0.6 * (1 - dice(drawn))


def test_a_right_outline_stays_also_in_noise():
    assert dice(at_edges((2 * ball()).astype(np.float32), scan(0.15), SPACING)) > 0.97
    assert dice(at_edges((2 * ball()).astype(np.float32), scan(1.5), SPACING)) > 0.96


def test_without_an_edge_the_network_is_believed():
    drawn = (2 * ball(0.4)).astype(np.float32)
    assert np.array_equal(at_edges(drawn, np.full(drawn.shape, 1.0, np.float32), SPACING), drawn)
    brighter_around = scan(0.0, outside=2.0)  # for example an orthodontic band or a bracket
    assert np.array_equal(at_edges(drawn, brighter_around, SPACING), drawn)
    nothing = np.full(drawn.shape, -5, np.float32)
    assert np.array_equal(at_edges(nothing, scan(0.0), SPACING), nothing)


def test_far_from_the_outline_nothing_changes():
    drawn = (2 * ball()).astype(np.float32)
    image = scan(0.0)
    image[0:3] = 1.0  # bone that the network did not take for tooth
    far = np.abs(ball()) > 1.6
    assert np.array_equal(at_edges(drawn, image, SPACING)[far], drawn[far])
