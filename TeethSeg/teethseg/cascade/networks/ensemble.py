"""Several networks of one stage combined into one, such as those of all folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .cascade_net import Architecture, CascadeNet


class Ensemble(nn.Module):
    """Networks of one architecture, run one after the other; their outputs (logits, offsets) are averaged.

    Parameters
    ----------
    members : sequence of CascadeNet
        At least one.
    """

    architecture: Architecture

    def __init__(self, members: Sequence[CascadeNet]):
        super().__init__()
        if any(member.architecture != members[0].architecture for member in members):
            raise ValueError("networks of one architecture are needed")
        self.members = nn.ModuleList(members)
        self.architecture = members[0].architecture

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """As `CascadeNet`."""
        total = self.members[0](image)
        for member in self.members[1:]:
            total = {name: total[name] + value for name, value in member(image).items()}
        return {name: value / len(self.members) for name, value in total.items()}


def members_of(network: CascadeNet | Ensemble) -> list[CascadeNet]:
    """The members of an ensemble, or the single network."""
    if not isinstance(network, Ensemble):
        return [network]
    return [member for member in network.members if isinstance(member, CascadeNet)]


StageNetwork = CascadeNet | Ensemble
