"""Losses of both stages."""

from __future__ import annotations

import torch
from monai.losses import DiceCELoss, DiceLoss
from torch.nn import functional

from .targets import IGNORE

_dice = DiceLoss(sigmoid=True, batch=True)
_jaw = DiceCELoss(softmax=True, to_onehot_y=True, batch=True, include_background=False)


def position_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over 8 positions (N, 8, ...), smoothed onto neighbouring positions; voxels with IGNORE count nothing.

    Calling a tooth its neighbour is a smaller mistake than calling it something else.
    """
    known = target != IGNORE
    if not known.any():
        return logits.sum() * 0.0
    chosen = logits.movedim(1, -1)[known]
    place = target[known]
    distance = (torch.arange(8, device=place.device)[None] - place[:, None]).abs()
    soft = torch.where(distance == 0, 0.9, torch.where(distance == 1, 0.05, 0.0))
    soft = soft / soft.sum(dim=1, keepdim=True)
    return -(soft * functional.log_softmax(chosen, dim=1)).sum(dim=1).mean()


def coarse_loss(output: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Terms of stage 1's loss; their sum is minimised."""
    return {
        "jaw": _jaw(output["jaw"], target["jaw"][:, None]),
        "position": 0.5 * position_loss(output["position"], target["position"]),
    }


def fine_loss(output: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Terms of stage 2's loss; their sum is minimised."""
    terms = {}
    for name in ("tooth", "core"):
        entropy = functional.binary_cross_entropy_with_logits(output[name], target[name])
        terms[name] = entropy + _dice(output[name], target[name])
    inside = target["tooth_half"]
    count = inside.sum().clamp(min=1)
    known = target["offset_known"].float()
    miss = functional.smooth_l1_loss(output["offset"], target["offset"] / 10, reduction="none")
    terms["offset"] = 0.5 * (miss * known).sum() / known.sum().clamp(min=1)
    terms["position"] = 0.5 * position_loss(output["position"], target["position"])
    jaw = functional.binary_cross_entropy_with_logits(output["upper"], target["upper"], reduction="none")
    terms["upper"] = 0.3 * (jaw * inside).sum() / count
    return terms
