"""`python -m teethseg.worker.probe [WEIGHTS]`: facts about this Python and its computer, as JSON on standard output.

It is a process of its own, so that torch, or a crash of the graphics driver, does not affect the caller.
"""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass

from ..cascade.model_card import check_card
from ..errors import WeightsError
from .protocol import to_json

# Imports of the worker, beside torch.
PACKAGES = ("numpy", "scipy", "SimpleITK", "skimage", "cc3d", "edt", "safetensors", "psutil")


@dataclass(frozen=True)
class Facts:
    """Facts about this Python and its computer; texts are one line.

    Attributes
    ----------
    python : str
        Its version.
    broken : tuple of str
        Modules that cannot be imported.
    torch : str or None
        Its version; None if it cannot be imported.
    torch_error : str
        Why not.
    device : str
        Where the networks will run: "cpu", "cuda" or "mps".
    gpu : str
        Name of the graphics card, "" if there is none that computes.
    gpu_free : int or None
        Free memory of the card, bytes.
    gpu_error : str
        Why an existing card cannot be used.
    memory_free : int or None
        Free main memory, bytes.
    weights : str
        Name of the weights, "" if they cannot be used; without torch only their checksum is verified.
    weights_error : str
        Why not.
    """

    python: str
    broken: tuple[str, ...]
    torch: str | None = None
    torch_error: str = ""
    device: str = "cpu"
    gpu: str = ""
    gpu_free: int | None = None
    gpu_error: str = ""
    memory_free: int | None = None
    weights: str = ""
    weights_error: str = ""


def find_facts(weights: str | None) -> Facts:
    """Collect the facts; `weights` as for `cascade.weights.load_weights`."""
    facts: dict = {"python": platform.python_version(), "broken": tuple(filter(_is_broken, PACKAGES))}
    if "psutil" not in facts["broken"]:
        import psutil

        facts["memory_free"] = psutil.virtual_memory().available
    try:
        import torch
    except Exception as error:  # a broken installation of torch raises many kinds of error
        facts["torch_error"] = _line(error)
    else:
        facts["torch"] = torch.__version__
        facts |= _graphics(torch)
    return Facts(**facts, **_weights(weights, "torch" in facts))


def _weights(file: str | None, load: bool) -> dict:
    """Check weights against their card and, with torch, load them."""
    try:
        if not load:
            return {"weights": check_card(file).name}
        from ..cascade.weights import load_weights

        return {"weights": load_weights(file).name}
    except WeightsError as error:
        return {"weights_error": str(error)}
    except ImportError as error:
        return {"weights_error": _line(error)}


def _is_broken(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:
        return True
    return False


def _graphics(torch) -> dict:
    """The graphics card that torch uses; tested with a convolution, which fails on incompatible drivers and cards."""
    if torch.backends.mps.is_available():
        return {"device": "mps", "gpu": "Apple GPU"}
    if not torch.cuda.is_available():
        # If the driver's tool is installed, there is a card.
        return {"gpu_error": f"PyTorch {torch.__version__} cannot use it"} if shutil.which("nvidia-smi") else {}
    try:
        image = torch.ones(1, 1, 8, 8, 8, device="cuda")
        torch.nn.functional.conv3d(image, image[..., :3, :3, :3]).sum().item()
        return {
            "device": "cuda",
            "gpu": torch.cuda.get_device_name(),
            "gpu_free": torch.cuda.mem_get_info()[0],
        }
    except RuntimeError as error:
        return {"gpu_error": _line(error)}


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        print(to_json(find_facts(sys.argv[1] if len(sys.argv) > 1 else None)))
