"""Runs a network over an array: device, precision, and tiles that fit into memory.

MONAI's `sliding_window_inference` is not used, because 3D Slicer does not have MONAI. The tile size follows the free memory.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import OutOfMemoryError, UsageError, is_lack_of_memory
from .memory import REGION, SMALLEST_TILE, free_main_memory, tile_memory
from .networks.ensemble import StageNetwork
from .precision import autocast, half_type

TileProgress = Callable[[int, int], None]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class InferenceConfig:
    """A device and a tile size.

    Attributes
    ----------
    device : torch.device
    tile : int
        Edge in voxels of the largest tile.
    note : str
        For the user: the reason why no larger tile or faster device is used.
    """

    device: torch.device
    tile: int
    note: str = ""

    @property
    def name(self) -> str:
        """The kind of device: "cpu", "cuda" or "mps"."""
        return str(self.device.type)

    @property
    def half(self) -> bool:
        """Whether it computes in half precision."""
        return half_type(self.device) is not None

    @property
    def memory(self) -> int:
        """Bytes that must be free on its device."""
        in_main_memory = REGION if self.device.type == "cpu" else 0
        return in_main_memory + tile_memory(self.tile, self.half)


def free_memory(device: torch.device) -> int:
    """Bytes of memory that are free on a device."""
    if device.type != "cuda":
        return free_main_memory()
    try:
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by PyTorch's allocator
        return torch.cuda.mem_get_info(device)[0] + cached
    except RuntimeError:  # too little memory for a context, or a driver error
        return 0


def chosen_device(device: str) -> str:
    """The kind of device for an option: cpu, cuda or mps.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}

    Raises
    ------
    UsageError
        If this computer has no such device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if (device == "cuda" and not cuda) or (device == "mps" and not mps):
        raise UsageError(f"There is no usable {device} device in this computer: choose the device cpu or auto.")
    return device if device != "auto" else "cuda" if cuda else "mps" if mps else "cpu"


def fallbacks(device: str, free: Callable[[torch.device], int] = free_memory) -> Iterator[InferenceConfig]:
    """Configurations from the fastest to the one that needs least memory.

    Configurations that need more than the free memory are skipped, except the last, because the need is only an estimate.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
    free : callable
        Returns the free bytes of a device; called again for each configuration.
    """
    chosen = chosen_device(device)
    configs = [InferenceConfig(torch.device(chosen), tile) for tile in (256, 160, 96) if chosen != "cpu"]
    configs += [InferenceConfig(torch.device("cpu"), tile) for tile in (256, 160, 96, SMALLEST_TILE)]
    reason = ""
    for config in configs:
        available = free(config.device)
        if config is not configs[-1] and available < config.memory:
            reason = reason or f"Only {available / 1e9:.1f} GB of memory are free on {config.name}"
            continue
        yield replace(
            config, note=f"{reason}: tiles of {config.tile} voxels on {config.name} take longer." if reason else ""
        )
        reason = ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    return isinstance(error, torch.OutOfMemoryError) or is_lack_of_memory(error)


def run_with_fallbacks(
    configs: Iterator[InferenceConfig], work: Callable[[InferenceConfig], object], tell: Callable[[str], None]
):
    """Do `work` with the first configuration that has enough memory and a working device.

    Work that fails on a graphics card, for example because its driver is too old, is done on the CPU.

    Returns
    -------
    InferenceConfig
    object
        What `work` returned.

    Raises
    ------
    OutOfMemoryError
        If no configuration has enough memory.
    """

    def report(text: str) -> None:
        tell(text)
        _LOG.info(text)  # the worker forwards it while the run continues

    failed: set[str] = set()
    for config in configs:
        if config.name in failed:
            continue
        if config.note:
            report(config.note)
        try:
            return config, work(config)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                report(
                    f"Memory ran out on {config.name} with tiles of {config.tile} voxels; trying the next smaller way."
                )
            elif config.name == "cpu":
                raise
            else:
                failed.add(config.name)
                cause = str(error).strip().partition("\n")[0][:200]
                report(
                    f"The {config.name} device failed ({cause}): the run goes on without it; update its driver and PyTorch."
                )
        if config.name == "cuda":
            with contextlib.suppress(RuntimeError):
                torch.cuda.empty_cache()
    raise OutOfMemoryError("Memory ran out in every way of running: close other programs or crop the scan to the jaws.")


def _starts(size: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """Starts of tiles that cover `size`, all equally long and evenly spaced."""
    if size <= tile:
        return [0]
    count = -(-(size - overlap) // (tile - overlap))
    return [round(i * (size - tile) / (count - 1) / multiple) * multiple for i in range(count)]


def run_tiled(
    network: StageNetwork,
    image: np.ndarray,
    config: InferenceConfig,
    progress: TileProgress = lambda done, total: None,
) -> dict[str, np.ndarray]:
    """Logits of a network over a whole array, computed in overlapping tiles that are blended.

    Parameters
    ----------
    network : CascadeNet or Ensemble
    image : ndarray float32, shape (Z, Y, X)
        Normalised; sizes are multiples of the network's divisor.
    config : InferenceConfig
    progress : callable
        Called after each tile with tiles done and tiles in all.

    Returns
    -------
    dict of str to ndarray float32
        By head: (channels, Z, Y, X) at full, (channels, Z/2, Y/2, X/2) at half resolution.
    """
    divisor, architecture = network.architecture.divisor, network.architecture
    overlap = max(2 * divisor, 32) if config.tile > 64 else divisor
    sizes = [min(n, config.tile) for n in image.shape]
    starts = [_starts(n, s, overlap, divisor) for n, s in zip(image.shape, sizes, strict=True)]
    boxes = [
        tuple(slice(a, a + s) for a, s in zip(corner, sizes, strict=True)) for corner in itertools.product(*starts)
    ]
    half_shape = tuple(n // 2 for n in image.shape)
    heads = [(name, n, image.shape) for name, n in architecture.full_heads.items()]
    heads += [(name, n, half_shape) for name, n in architecture.half_heads.items()]
    result = {name: np.zeros((n, *shape), np.float32) for name, n, shape in heads}
    weights = {shape: np.zeros(shape, np.float32) for _, _, shape in heads} if len(boxes) > 1 else {}
    network = network.to(config.device)
    for done, box in enumerate(boxes, start=1):
        half_box = tuple(slice(s.start // 2, s.stop // 2) for s in box)
        tile = torch.from_numpy(np.ascontiguousarray(image[box])[None, None]).to(config.device)
        with torch.inference_mode(), autocast(config.device):
            output = network(tile)
        for name, _, shape in heads:
            target_box = box if shape == image.shape else half_box
            values = output[name][0].float().cpu().numpy()
            if weights:
                share = _blend(values.shape[1:])
                values = values * share
                if name == next(head for head, _, s in heads if s == shape):
                    weights[shape][target_box] += share
            all_channels = (slice(None), *target_box)
            result[name][all_channels] += values
        progress(done, len(boxes))
    for name, _, shape in heads:
        if weights:
            result[name] /= weights[shape]
    return result


def _blend(shape: tuple[int, ...]) -> np.ndarray:
    """Weights of a tile: 1 in its middle, falling towards its faces, never 0."""
    ramps = [np.minimum(np.arange(n) + 1, n - np.arange(n)).astype(np.float32) / (n / 2) for n in shape]
    return np.clip(ramps[0][:, None, None] * ramps[1][:, None] * ramps[2], 1e-3, None)
