"""Dental implants: a screw in the bone where a tooth is missing, with or without a crown. They are not labelled.

Diameters (3 to 5.2 mm) and lengths (6 to 15 mm) are those of commercial implants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .tissues import Tissue


def draw_implant(
    tissue: np.ndarray,
    free: np.ndarray,
    sdf: np.ndarray,
    crown_height: float,
    along: Callable[[int], np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Draw an implant in place of a tooth.

    Parameters
    ----------
    tissue : ndarray uint8, shape (Z, Y, X)
        A box of the head around the missing tooth; changed in place.
    free : ndarray bool, shape (Z, Y, X)
        Mask of the voxels without teeth.
    sdf : ndarray float32, shape (Z, Y, X)
        Signed distance in mm to the missing tooth.
    crown_height : float
        Of the missing tooth, mm.
    along : callable
        Coordinate (Z, Y, X) in mm in the frame of the tooth: 0 distal, 1 lingual, 2 apical, from the top of the crown.
    """
    distal, lingual, depth = along(0), along(1), along(2)
    radius, length = rng.uniform(1.5, 2.6), rng.uniform(6, 15)
    shoulder = crown_height + rng.uniform(-1, 4)  # top of the screw
    below = depth - shoulder
    thread = 0.2 * np.cos(2 * np.pi * below / rng.uniform(0.6, 1.2))
    thickness = radius * (1 - rng.uniform(0, 0.35) * np.clip(below / length, 0, 1)) + thread
    axis = np.sqrt(distal**2 + lingual**2)
    screw = (axis < thickness) & (below >= 0) & (below < length)
    material = Tissue.RESTORATION if rng.random() < 0.5 else Tissue.METAL  # ceramic or metal crown
    if rng.random() < 0.7:
        neck = crown_height * rng.uniform(0.6, 1.0)
        tissue[free & (sdf < 0) & (depth < neck)] = material
        post = (axis < rng.uniform(0.9, 0.9 * radius)) & (depth > crown_height * 0.4) & (below < 0)
    else:  # a healing cap, or a screw covered by gums
        post = (axis < radius) & (below < 0) & (below > -rng.choice([0.0, 2.0, 5.0]))
    tissue[free & (post | screw)] = Tissue.METAL
