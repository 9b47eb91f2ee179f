"""The panoramic view as data."""

from __future__ import annotations

import numpy as np
import pytest

from grids import rotation
from teethseg.pictures.panoramic_reformat import unrolled
from teethseg.volume import Volume

# Teeth along a lower arch, FDI number by angle in degrees from the middle (the patient's right is negative), and one above.
ARCH = {46: -70, 44: -45, 42: -15, 31: 10, 33: 35, 36: 65}
RADIUS = 24.0


def arch_case(direction: np.ndarray | None = None) -> tuple[Volume, Volume]:
    """A dark scan with a bright ball for each tooth, brightest in 36."""
    direction = np.eye(3) if direction is None else direction
    count, spacing = np.array([80, 60, 40]), 0.8
    origin = direction @ (-count * spacing / 2)
    index = np.stack(np.meshgrid(*map(np.arange, count), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
    points = index * spacing @ direction.T + origin
    labels = np.zeros(points.shape[:3], np.uint8)
    image = np.zeros(points.shape[:3], np.int16)
    for fdi, middle in centres().items():
        inside = np.linalg.norm(points - middle, axis=-1) < 3.0
        labels[inside], image[inside] = fdi, 2000 if fdi == 36 else 1000
    place = {"spacing": (spacing,) * 3, "origin": tuple(origin), "direction": direction}
    return Volume(image, **place), Volume(labels, **place)


def centres() -> dict[int, np.ndarray]:
    angles = {fdi: np.radians(degrees) for fdi, degrees in ARCH.items()}
    return {fdi: np.array([RADIUS * np.sin(a), 10 - RADIUS * np.cos(a), -3.0]) for fdi, a in angles.items()}


@pytest.mark.parametrize("direction", [None, rotation((4.0, -3.0, 8.0))], ids=["straight", "oblique"])
def test_teeth_stand_in_the_order_of_the_arch_and_pixels_lead_back_to_them(direction):
    scan, labels = arch_case(direction)
    found = unrolled(scan, labels)
    middles = {fdi: np.concatenate(lines).mean(axis=0) for fdi, lines in found.outlines.items()}
    assert sorted(middles, key=lambda fdi: middles[fdi][0]) == list(ARCH)  # the patient's right is on the left
    for fdi, (column, row) in middles.items():
        assert np.linalg.norm(found.place(column, row) - centres()[fdi]) < 2.0
    column, row = middles[36].astype(int)
    others = [found.grey[int(middles[fdi][1]), int(middles[fdi][0])] for fdi in ARCH if fdi != 36]
    assert found.grey[row, column] > 1.3 * max(others)


def test_upper_rows_are_higher_in_the_patient():
    found = unrolled(*arch_case())
    assert found.place(100, 5)[2] > found.place(100, 60)[2]


def test_without_an_arch_there_is_no_view():
    scan, labels = arch_case()
    few = labels.with_array(np.where(labels.array == 36, labels.array, 0))
    assert unrolled(scan, few) is None
    assert unrolled(scan, labels.with_array(np.zeros_like(labels.array))) is None
