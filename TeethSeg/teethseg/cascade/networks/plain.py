"""The networks of the first experiments: binary U-Nets (tooth or not), and one that predicts the eight positions.

They are baselines, trained by the same command as the networks of the cascade. Panel, page and `teethseg segment` use the
networks of the cascade only.
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
# By name, U-Nets that are run in sequence: each sees the image masked by the teeth of the one before it.
U_NETS: Mapping[str, tuple[PlainStage, ...]] = {
    "unet-2d-axial": (_AXIAL,),
    "unet-2d-sagittal": (_SAGITTAL,),
    "unet-2d-cascade": (_AXIAL, _SAGITTAL),
    "unet-3d-22m": (PlainStage(3, 4, 64),),
    "unet-3d-430k": (_SMALL,),
    "unet-3d-cascade": (_SMALL, PlainStage(3, 3, 9, CLASSES)),
}


class Sliced(nn.Module):
    """A 2D network applied to all slices of a volume (N, C, Z, Y, X) across one axis."""

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
    """U-Nets in sequence.

    A later network sees the image multiplied by the tooth probability of the one before it; outside teeth that is 0, the
    value of soft tissue. No gradient flows back to the earlier network, which has a loss of its own.

    Parameters
    ----------
    stages : sequence of PlainStage
        All but the last have one output channel.
    """

    def __init__(self, stages: tuple[PlainStage, ...]):
        super().__init__()
        self.nets = nn.ModuleList(map(_built, stages))
        names = ["tooth" if stage.out_channels == 1 else "class" for stage in stages]
        # An output that a later network has too gets the number of its network.
        self.heads = [f"{name}_{at + 1}" if name in names[at + 1 :] else name for at, name in enumerate(names)]

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
