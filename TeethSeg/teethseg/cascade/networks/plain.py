"""The networks of the first experiments, by name: U-Nets that say tooth or not, and one that tells the eight positions.

They are trained by the same command as the networks of the cascade, and are there to be compared with: panel, page and
`teethseg segment` take the networks of the cascade only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .unet import UNet

CLASSES = 9  # no tooth, and the positions 1 to 8


@dataclass(frozen=True)
class PlainStage:
    """One U-Net; see `UNet` for the first four. In 2D it sees slices across the axis `across` of (z, y, x)."""

    dimensions: Literal[2, 3]
    levels: int
    filters: int
    out_channels: int = 1
    across: Literal["z", "y", "x"] = "z"


_SMALL = PlainStage(3, 3, 18)
_AXIAL, _SAGITTAL = (PlainStage(2, 4, 64, across=axis) for axis in ("z", "x"))
# By name, the U-Nets that follow each other: each sees the image where the one before it found teeth.
U_NETS: Mapping[str, tuple[PlainStage, ...]] = {
    "unet-2d-axial": (_AXIAL,),
    "unet-2d-sagittal": (_SAGITTAL,),
    "unet-2d-cascade": (_AXIAL, _SAGITTAL),
    "unet-3d-22m": (PlainStage(3, 4, 64),),
    "unet-3d-430k": (_SMALL,),
    "unet-3d-cascade": (_SMALL, PlainStage(3, 3, 9, CLASSES)),
}


class Sliced(nn.Module):
    """A 2D network on all slices of a volume (N, C, Z, Y, X) across one axis."""

    def __init__(self, network: nn.Module, across: Literal["z", "y", "x"]):
        super().__init__()
        self.network = network
        self.axis = 2 + "zyx".index(across)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The network's output, on the grid of the volume."""
        slices = image.movedim(self.axis, 1)
        output = self.network(slices.flatten(0, 1))
        return output.unflatten(0, slices.shape[:2]).movedim(1, self.axis)


class PlainNet(nn.Module):
    """U-Nets one after the other.

    A later one sees the image times the probability of a tooth that the one before it gives, so outside teeth it sees 0,
    the value of soft tissue. It teaches the earlier one nothing: that has its own answer to learn from.

    Parameters
    ----------
    stages : sequence of PlainStage
        All but the last have one output channel.
    """

    def __init__(self, stages: tuple[PlainStage, ...]):
        super().__init__()
        self.nets = nn.ModuleList(map(_built, stages))
        answers = ["tooth" if stage.out_channels == 1 else "class" for stage in stages]
        # An answer that a later network gives again is named by its place.
        self.heads = [f"{name}_{at + 1}" if name in answers[at + 1 :] else name for at, name in enumerate(answers)]

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits (N, channels, Z, Y, X), float32, of every network: `tooth` has 1 channel, `class` has 9.

        Parameters
        ----------
        image : tensor (N, 1, Z, Y, X)
            Of any size.
        """
        output, seen = {}, image
        for head, net in zip(self.heads, self.nets, strict=True):
            output[head] = net(seen).float()
            if len(output) < len(self.nets):
                seen = image * output[head].detach().sigmoid()
        return output


def _built(stage: PlainStage) -> nn.Module:
    network = UNet(stage.dimensions, stage.levels, stage.filters, out_channels=stage.out_channels)
    return network if stage.dimensions == 3 else Sliced(network, stage.across)
