"""Patch size, and number of series computed together, that fit into memory.

The memory of a training step is estimated before the run: the network runs on PyTorch's meta device, where tensors have sizes
but no values, and the tensors that autograd saves are counted. This works for every network.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from ..cascade.memory import free_main_memory
from ..errors import OutOfMemoryError
from .options import SMALLEST_PATCH, FitOptions

log = logging.getLogger(__name__)

USUAL_PATCH = {"coarse": 128, "fine": 112}
# Measured on a CPU in float32 with the losses, PyTorch 2.13: beside the saved tensors, a step takes four to six times the
# largest tensor, and up to 80 MB.
_PASSING, BASE = 6, 120_000_000
SHARE = 0.8  # of the free memory
_WORKER = 700_000_000  # bytes of main memory of a process that prepares samples


def step_memory(network: nn.Module, shape: Sequence[int]) -> int:
    """Upper bound of the memory of a step in float32, in bytes, without the weights of the network.

    Parameters
    ----------
    network : Module
        Not changed.
    shape : sequence of int
        Of the input, (N, C, Z, Y, X).
    """
    meta = copy.deepcopy(network).to("meta").train()
    weights = {one.untyped_storage()._cdata for one in meta.parameters()}  # noqa: SLF001  # the storage's identity
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # noqa: SLF001
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        meta(torch.empty(tuple(shape), device="meta"))
    sizes = [tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in weights]
    return sum(sizes) + _PASSING * max(sizes) + BASE


def free_memory(device: torch.device, workers: int) -> int:
    """Bytes that a step may take on a device; on a CPU the workers that prepare samples get their part of main memory."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    else:
        free = free_main_memory() - workers * _WORKER
    return int(SHARE * max(free, 0))


def fit_to_memory(options: FitOptions, network: nn.Module, device: torch.device) -> FitOptions:
    """Options with numbers in place of `auto` for `patch` and `together`.

    Patches are at most as large as usual for the stage. Of series in one size, as many of a `batch` as fit are computed
    together; the gradients of the others are added, so the result of a step does not depend on the memory.

    Raises
    ------
    OutOfMemoryError
        If even the smallest does not fit.
    """
    free = free_memory(device, options.workers)
    if options.fixed:
        if options.together:
            return options
        size = tuple(int(part) for part in options.fixed.lower().split("x"))
        parts = [n for n in range(options.batch, 0, -1) if options.batch % n == 0]
        found = next((n for n in parts if step_memory(network, (n, 1, *size)) <= free), None)
        if found is None:
            raise OutOfMemoryError(
                f"A series of {options.fixed} does not fit into the {_gigabytes(free)} of memory that training may take: "
                "give a smaller 'fixed', or close other programs."
            )
        if found < options.batch:
            log.warning("%d of %d series are computed together: more do not fit into memory.", found, options.batch)
        return replace(options, together=found)
    if options.patch:
        return options
    usual = USUAL_PATCH[options.stage]
    found = next(
        (n for n in range(usual, SMALLEST_PATCH - 1, -16) if step_memory(network, (1, 1, n, n, n)) <= free), None
    )
    if found is None:
        raise OutOfMemoryError(
            f"Not even patches of {SMALLEST_PATCH} voxels fit into the {_gigabytes(free)} of memory that training may take: "
            "close other programs, or take fewer --workers."
        )
    if found < usual:
        log.warning("Patches of %d voxels, not %d: larger ones do not fit into memory.", found, usual)
    return replace(options, patch=found)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
