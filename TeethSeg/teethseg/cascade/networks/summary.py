"""Table of the layers of a network, without running it on data."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn


class Layer(NamedTuple):
    """A row of the table: name in the network, class, output shape, number of own parameters."""

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int


def layer_table(module: nn.Module, input_shape: Sequence[int]) -> list[Layer]:
    """Layers of a network in the order of the forward pass.

    Works on a copy on PyTorch's meta device, where tensors have shapes but no values: it takes little time and memory for
    inputs of any size, and does not change the network. A layer that is used twice has two rows; its parameters count in the
    first.

    Parameters
    ----------
    module : Module
    input_shape : sequence of int
        Shape of the input, batch and channel included: (N, C, H, W) or (N, C, D, H, W).

    Returns
    -------
    list of Layer
        Modules without children, and others that own parameters themselves. `output_shape` is that of the first
        tensor if a layer returns several.
    """
    module = copy.deepcopy(module).to("meta").eval()
    rows: list[Layer] = []
    counted: set[int] = set()

    def note(name: str):
        def hook(layer: nn.Module, _inputs, output):
            own = {id(p): p.numel() for p in layer.parameters(recurse=False) if id(p) not in counted}
            counted.update(own)
            rows.append(Layer(name, type(layer).__name__, _shape(output), sum(own.values())))

        return hook

    for name, layer in module.named_modules():
        if not list(layer.children()) or list(layer.parameters(recurse=False)):
            layer.register_forward_hook(note(name))
    with torch.no_grad():
        module(torch.empty(tuple(input_shape), device="meta"))
    return rows


def parameter_count(module: nn.Module) -> int:
    """Number of parameters of a network, each counted once."""
    return sum(p.numel() for p in module.parameters())


def _shape(output: Any) -> tuple[int, ...]:
    """Shape of the first tensor of an output, which may be a tensor or a nested dict or sequence."""
    while not isinstance(output, torch.Tensor):
        output = next(iter(output.values() if isinstance(output, dict) else output))
    return tuple(output.shape)
