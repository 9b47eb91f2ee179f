"""The plain U-Net of the first experiments, in 2D and 3D."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class DoubleConvolution(nn.Sequential):
    """Two convolutions of kernel 3 with bias, each followed by batch normalisation and ReLU."""

    def __init__(self, dimensions: int, in_channels: int, out_channels: int):
        layers: list[nn.Module] = []
        for source in (in_channels, out_channels):
            layers += [
                _CONVOLUTION[dimensions](source, out_channels, 3, padding=1),
                _NORM[dimensions](out_channels),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UpConvolution(nn.Sequential):
    """Doubles the grid: transposed convolution of kernel and stride 2 with bias, batch normalisation, ReLU."""

    def __init__(self, dimensions: int, in_channels: int, out_channels: int):
        super().__init__(
            _TRANSPOSED[dimensions](in_channels, out_channels, 2, stride=2),
            _NORM[dimensions](out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """U-Net whose width doubles with every level; returns logits on the grid of its input.

    `levels` counts every resolution, the deepest one (the bottleneck) included, so there are `levels - 1` poolings.
    An encoder level is a `DoubleConvolution`; max pooling by 2 leads down. A decoder level is an `UpConvolution` that
    halves the channels, concatenation with the encoder's output of that level, and a `DoubleConvolution`. A
    convolution of kernel 1 with bias makes the logits. Every normalisation has learned scale and shift. With one
    input channel this gives exactly the parameter counts of the first experiments:

    ========== ====== ======= ============ ==========
    dimensions levels filters out_channels parameters
    ========== ====== ======= ============ ==========
    2          4      64      1            7,702,721
    3          4      64      1            22,400,321
    3          3      18      1            430,075
    3          3      9       9            108,036
    ========== ====== ======= ============ ==========

    Sizes that the poolings do not divide are padded at the far end with the edge value, and the logits are cropped
    back, so any size works.

    Parameters
    ----------
    dimensions : {2, 3}
    levels : int
        Number of resolutions, at least 1.
    filters : int
        Channels of the first level.
    in_channels, out_channels : int

    References
    ----------
    Ronneberger et al., U-Net, MICCAI 2015. Çiçek et al., 3D U-Net, MICCAI 2016.
    """

    def __init__(
        self, dimensions: int = 3, levels: int = 3, filters: int = 18, in_channels: int = 1, out_channels: int = 1
    ):
        super().__init__()
        if dimensions not in _CONVOLUTION:
            raise ValueError(f"a U-Net has 2 or 3 dimensions, not {dimensions}")
        if min(levels, filters, in_channels, out_channels) < 1:
            raise ValueError("levels, filters and channels of a U-Net are at least 1")
        self.dimensions, self.in_channels = dimensions, in_channels
        self.divisor = 2 ** (levels - 1)
        widths = [filters * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList(
            DoubleConvolution(dimensions, source, width)
            for source, width in zip([in_channels, *widths], widths, strict=False)
        )
        self.pool = _POOL[dimensions](2)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))  # (deep, shallow), bottleneck first
        self.up = nn.ModuleList(UpConvolution(dimensions, deep, shallow) for deep, shallow in pairs)
        self.decoder = nn.ModuleList(DoubleConvolution(dimensions, 2 * shallow, shallow) for _, shallow in pairs)
        self.head = _CONVOLUTION[dimensions](filters, out_channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits, shape (N, out_channels, *size), of an image of shape (N, in_channels, *size).

        Raises
        ------
        ValueError
            If the image has another number of axes.
        """
        if image.ndim != self.dimensions + 2:
            raise ValueError(
                f"a {self.dimensions}D U-Net takes (batch, channel, *size), not a shape of {image.ndim} axes"
            )
        size = image.shape[2:]
        x = self._pad(image)
        skips: list[torch.Tensor] = []
        for block in self.encoder:
            if skips:
                x = self.pool(x)
            x = block(x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        unpadded = (..., *(slice(n) for n in size))
        return self.head(x)[unpadded]

    def _pad(self, image: torch.Tensor) -> torch.Tensor:
        ends = [-n % self.divisor for n in image.shape[2:]]
        if not any(ends):
            return image
        # functional.pad counts from the last axis, (before, after) each.
        return functional.pad(image, [n for end in reversed(ends) for n in (0, end)], mode="replicate")
