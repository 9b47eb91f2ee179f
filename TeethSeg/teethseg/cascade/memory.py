"""Estimates of the memory that the cascade needs, and the free memory. They choose the first way to try and forbid none."""

from __future__ import annotations

# Measured on Linux as peaks of the whole process, with some reserve.
PROGRAM = 450_000_000  # bytes: Python with its libraries, both networks
REGION = 550_000_000  # bytes: maps of both jaws, however small the tiles
PER_VOXEL = {"half": 75, "single": 140}  # bytes for a tile's voxel while it passes the network of stage 2
SMALLEST_TILE = 64


def tile_memory(tile: int, half: bool) -> int:
    """Bytes that a tile of `tile` voxels along each edge takes on the device that it is computed on."""
    return tile**3 * PER_VOXEL["half" if half else "single"]


def needed_memory(scan_bytes: int, voxels: int) -> int:
    """Bytes of main memory that a whole run on the CPU takes in the smallest tiles, Python included.

    Parameters
    ----------
    scan_bytes, voxels : int
        Size of the scan's array; the label map has a byte a voxel.
    """
    return PROGRAM + REGION + scan_bytes + voxels + tile_memory(SMALLEST_TILE, half=False)


def free_main_memory() -> int:
    """Bytes that programs can still have without slowing the computer down."""
    import psutil

    return psutil.virtual_memory().available
