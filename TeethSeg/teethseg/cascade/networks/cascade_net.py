"""`CascadeNet`: the network of both stages, which differ in their heads.

A space-to-depth stem halves the grid before the first convolution, and depth-to-space restores it for the full-resolution
heads. Most of the work is therefore done on an eighth of the voxels, at three to eight times the speed of the same network at
full resolution on a CPU. Heads that need no sharp edges stay at half resolution.

References
----------
Shi et al., Real-time single image super-resolution (CVPR 2016): sub-pixel shuffling. Wu, He: Group normalization (ECCV
2018); it is independent of the batch and of other scans' contrast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import nn

from .backbone import Backbone


@dataclass(frozen=True)
class Architecture:
    """Parameters of a `CascadeNet`; part of the model card.

    Attributes
    ----------
    spacing : float
        Voxel size in mm of the grid that the network works on.
    features : sequence of int
        Width of each level; the first is at half resolution.
    full_heads, half_heads : mapping of str to int
        Name and channels of the heads at full and at half resolution.
    """

    spacing: float
    features: tuple[int, ...]
    full_heads: Mapping[str, int] = field(default_factory=dict)
    half_heads: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict:
        """Values for a weights' card."""
        return asdict(self)

    def without(self, heads: Sequence[str]) -> Architecture:
        """The same without some heads at half resolution."""
        return replace(self, half_heads={name: n for name, n in self.half_heads.items() if name not in heads})

    @classmethod
    def from_json(cls, data: Mapping) -> Architecture:
        """The architecture that a weights' card describes."""
        return cls(**{**data, "features": tuple(data["features"])})

    @property
    def divisor(self) -> int:
        """Sizes of the input must be multiples of this."""
        return 2 ** len(self.features)


# Stage 1: tooth of either jaw, and position. Whole scan at 1.5 mm.
COARSE = Architecture(1.5, (16, 32, 64, 128), full_heads={"jaw": 3}, half_heads={"position": 8})
# Stage 2: outlines, cores, offsets to the tooth's centre, position, jaw; deciduous and unerupted teeth. Region at 0.4 mm.
FINE = Architecture(
    0.4,
    (24, 48, 96, 128),
    full_heads={"tooth": 1, "core": 1},
    half_heads={
        "offset": 3,
        "position": 8,
        "upper": 1,
        "deciduous": 1,
        "unerupted": 1,
    },
)
# Binary heads that older weights may lack; such weights still run, without these predictions.
LATER_HEADS = (
    "deciduous",
    "unerupted",
)
# Supported architectures of weights, by stage, apart from later heads. Training uses the first one.
ARCHITECTURES = {
    "coarse": (COARSE,),
    "fine": (
        FINE,
    ),
}  # fmt: skip


def is_known(stage: str, architecture: Architecture) -> bool:
    """Whether weights of a stage may have this architecture."""
    lacking = [name for name in LATER_HEADS if name not in architecture.half_heads]
    return any(architecture == one.without(lacking) for one in ARCHITECTURES[stage])


def space_to_depth(x: torch.Tensor) -> torch.Tensor:
    """(N, C, Z, Y, X) to (N, 8C, Z/2, Y/2, X/2)."""
    n, c, z, y, x_ = x.shape
    x = x.reshape(n, c, z // 2, 2, y // 2, 2, x_ // 2, 2)
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, 8 * c, z // 2, y // 2, x_ // 2)


def depth_to_space(x: torch.Tensor) -> torch.Tensor:
    """(N, 8C, Z, Y, X) to (N, C, 2Z, 2Y, 2X); the inverse of `space_to_depth`."""
    n, c, z, y, x_ = x.shape
    x = x.reshape(n, c // 8, 2, 2, 2, z, y, x_)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // 8, 2 * z, 2 * y, 2 * x_)


class CascadeNet(nn.Module):
    """A network of the cascade.

    Parameters
    ----------
    architecture : Architecture
        `COARSE`, `FINE` or one of your own.
    """

    architecture: Architecture

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.backbone = Backbone(8, architecture.features)
        width = architecture.features[0]
        self.full_head = nn.Conv3d(width, 8 * sum(architecture.full_heads.values()), 1)
        self.half_head = nn.Conv3d(width, sum(architecture.half_heads.values()), 1)

    def take_over(self, other: CascadeNet) -> None:
        """Copy the weights of a network that may lack some heads; the missing heads keep their initial weights.

        Raises
        ------
        ValueError
            If the architectures differ otherwise.
        """
        mine, theirs = self.architecture, other.architecture
        lacking = [name for name in mine.half_heads if name not in theirs.half_heads]
        if mine.without(lacking) != theirs:
            raise ValueError("the network to start from is another one")
        state = self.state_dict()
        given = other.state_dict()
        rows = torch.cat([torch.full((n,), name not in lacking) for name, n in mine.half_heads.items()])
        for key in state:
            if key.startswith("half_head"):
                state[key][rows] = given[key]
            else:
                state[key] = given[key]
        self.load_state_dict(state)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of every head.

        Parameters
        ----------
        image : tensor (N, 1, Z, Y, X)
            Normalised grey values; sizes are multiples of `architecture.divisor`.

        Returns
        -------
        dict of str to tensor
            By head: (N, channels, Z, Y, X) at full, (N, channels, Z/2, Y/2, X/2) at half resolution; float32.
        """
        x = space_to_depth(image)
        x = self.backbone(x.contiguous(memory_format=torch.channels_last_3d))
        full = depth_to_space(self.full_head(x)).float()
        half = self.half_head(x).float()
        return _split(full, self.architecture.full_heads) | _split(half, self.architecture.half_heads)


def _split(x: torch.Tensor, heads: Mapping[str, int]) -> dict[str, torch.Tensor]:
    return dict(zip(heads, torch.split(x, list(heads.values()), dim=1), strict=True))


__all__: Sequence[str] = (
    "COARSE",
    "FINE",
    "Architecture",
    "CascadeNet",
    "depth_to_space",
    "space_to_depth",
)
