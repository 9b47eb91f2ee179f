"""The encoder and decoder of `CascadeNet`: a slim 3D U-Net with group normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class ConvBlock(nn.Sequential):
    """Two times 3x3x3 convolution, group normalisation, ReLU; the first convolution may halve the grid."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        layers: list[nn.Module] = []
        for source, step in ((in_channels, stride), (out_channels, 1)):
            layers += [
                nn.Conv3d(source, out_channels, 3, stride=step, padding=1, bias=False),
                nn.GroupNorm(max(1, out_channels // 8), out_channels),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class Backbone(nn.Module):
    """U-Net from (N, in_channels, Z, Y, X) to (N, features[0], Z, Y, X), one level for each entry of `features`."""

    def __init__(self, in_channels: int, features: Sequence[int]):
        super().__init__()
        widths = [in_channels, *features]
        self.encoder = nn.ModuleList(
            ConvBlock(source, width, stride=1 if level == 0 else 2)
            for level, (source, width) in enumerate(pairwise(widths))
        )
        self.decoder = nn.ModuleList(
            ConvBlock(deep + shallow, shallow) for deep, shallow in zip(features[:0:-1], features[-2::-1], strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of images (B, C, Z, Y, X)."""
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        x = skips.pop()
        for block in self.decoder:
            skip = skips.pop()
            x = functional.interpolate(x, size=skip.shape[2:], mode="nearest")
            x = torch.cat([x, skip], dim=1)
            del (
                skip
            )  # otherwise its memory, and that of the smaller grid's features, stays allocated while the block runs
            x = block(x)
        return x
