"""The fastest floating-point precision of a device, for inference and training."""

from __future__ import annotations

import contextlib

import torch

# Functions of `torch.cpu` that tell whether a processor has instructions for bfloat16. Without these instructions PyTorch
# emulates the type: a training step took 140 times as long as in float32.
_BFLOAT16_INSTRUCTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")


def half_type(device: torch.device) -> torch.dtype | None:
    """The half-precision type that a device computes faster than float32; None if it has none.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    torch.bfloat16, torch.float16 or None
    """
    if device.type == "cuda":
        try:
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        except (RuntimeError, AssertionError):  # a driver error: the first use of the device raises it again
            return torch.float16
    if device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in _BFLOAT16_INSTRUCTIONS):
        return torch.bfloat16
    return None


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """A context in which networks compute in `half_type`, or in float32 on a device without one."""
    half = half_type(device)
    return contextlib.nullcontext() if half is None else torch.autocast(device.type, half)


def lightning_precision(device: torch.device) -> str:
    """The same choice under its name in Lightning."""
    return {torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed", None: "32-true"}[half_type(device)]
