"""Estimates of the memory that the cascade needs, and the free memory.

The estimates choose the configuration that is tried first; they rule out none.
"""

from __future__ import annotations

# Measured on Linux as peaks of the whole process, with some reserve.
PROGRAM = 450_000_000  # bytes for Python with its libraries and both networks
REGION = 550_000_000  # bytes for the maps of both jaws, independent of the tile size
PER_VOXEL = {"half": 75, "single": 140}  # bytes per voxel of a tile while it passes the network of stage 2
SMALLEST_TILE = 64


def tile_memory(tile: int, half: bool) -> int:
    """Bytes that a tile of `tile` voxels along each edge takes on its device."""
    return tile**3 * PER_VOXEL["half" if half else "single"]


def needed_memory(scan_bytes: int, voxels: int) -> int:
    """Bytes of main memory that a whole run on the CPU with the smallest tiles takes, Python included.

    Parameters
    ----------
    scan_bytes, voxels : int
        Size of the scan's array; the label map takes one byte per voxel.
    """
    return PROGRAM + REGION + scan_bytes + voxels + tile_memory(SMALLEST_TILE, half=False)


def free_main_memory() -> int:
    """Bytes of main memory that a program can allocate without swapping."""
    import psutil

    return psutil.virtual_memory().available
