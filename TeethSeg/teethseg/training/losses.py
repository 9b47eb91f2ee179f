"""Losses of both stages: cross-entropy and Dice (`cascade`), or Dice only, for outlines and positions."""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch.nn import functional

from ..cascade.networks.cascade_net import LATER_HEADS
from .options import Loss
from .targets import IGNORE

_dice = DiceLoss(batch=True)
_EPSILON = 1e-5


def categorical_dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the mean Dice of the classes in the target; voxels with IGNORE are left out.

    Unlike the mean over all classes, it does not reward a patch for classes that it lacks.

    Parameters
    ----------
    logits : tensor (N, C, ...)
    target : tensor (N, ...) of int64
    """
    known = target != IGNORE
    classes = functional.one_hot(target.clamp(min=0), logits.shape[1]).movedim(-1, 1) * known[:, None]
    share = logits.softmax(dim=1) * known[:, None]
    axes = [0, *range(2, logits.ndim)]
    both, size = (share * classes).sum(axes), classes.sum(axes)
    dice = 2 * both / (share.sum(axes) + size + _EPSILON)
    present = size > 0
    return 1 - dice[present].mean() if present.any() else logits.sum() * 0.0


def foreground_dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Dice loss over all classes but the first (N, C, ...); voxels with IGNORE are left out."""
    known = target != IGNORE
    classes = functional.one_hot(target.clamp(min=0), logits.shape[1]).movedim(-1, 1) * known[:, None]
    share = logits.softmax(dim=1) * known[:, None]
    return _dice(share[:, 1:], classes[:, 1:].to(share.dtype))


def jaw_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and Dice of upper and lower teeth (N, 3, ...); voxels with IGNORE are left out."""
    known = target != IGNORE
    if not known.any():
        return logits.sum() * 0.0
    classes = functional.one_hot(target.clamp(min=0), 3).movedim(-1, 1)[:, 1:] * known[:, None]
    share = logits.softmax(dim=1)[:, 1:] * known[:, None]
    return functional.cross_entropy(logits, target, ignore_index=IGNORE) + _dice(share, classes.to(share.dtype))


def mask_loss(logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy and Dice over the known voxels; all (N, 1, ...)."""
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = (entropy * known).sum() / known.sum().clamp(min=1)
    return entropy + _dice(logits.sigmoid() * known, target * known)


def position_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over 8 positions (N, 8, ...), with label smoothing to the neighbouring positions.

    To take a tooth for its neighbour is a smaller error than any other position. Voxels with IGNORE are left out.
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


def binary_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of logits (N, 1, ...) for targets (N, ...) of 0 and 1; voxels with IGNORE are left out."""
    known = target != IGNORE
    if not known.any():
        return logits.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(logits[:, 0][known], target[known].to(logits.dtype))


def coarse_loss(
    output: dict[str, torch.Tensor], target: dict[str, torch.Tensor], loss: Loss = "cascade"
) -> dict[str, torch.Tensor]:
    """Terms of the loss of stage 1; their sum is minimised."""
    jaw, position = _of_classes(loss)
    return {
        "jaw": jaw(output["jaw"], target["jaw"]),
        "position": 0.5 * position(output["position"], target["position"]),
    }


def fine_loss(
    output: dict[str, torch.Tensor], target: dict[str, torch.Tensor], loss: Loss = "cascade"
) -> dict[str, torch.Tensor]:
    """Terms of the loss of stage 2; their sum is minimised."""
    outline = mask_loss if loss == "cascade" else mask_dice_loss
    terms = {name: outline(output[name], target[name], target["known"]) for name in ("tooth", "core")}
    inside = target["tooth_half"]
    count = inside.sum().clamp(min=1)
    known = target["offset_known"].float()
    miss = functional.smooth_l1_loss(output["offset"], target["offset"] / 10, reduction="none")
    terms["offset"] = 0.5 * (miss * known).sum() / known.sum().clamp(min=1)
    terms["position"] = 0.5 * _of_classes(loss)[1](output["position"], target["position"])
    jaw = functional.binary_cross_entropy_with_logits(output["upper"], target["upper"], reduction="none")
    terms["upper"] = 0.3 * (jaw * inside).sum() / count
    for name in LATER_HEADS:
        terms[name] = 0.3 * binary_loss(output[name], target[name])
    return terms


def _of_classes(loss: Loss):
    """Losses of the jaw head, whose first class is background, and of the position head."""
    if loss == "cascade":
        return jaw_loss, position_loss
    return (foreground_dice_loss if loss == "dice" else categorical_dice), categorical_dice


def mask_dice_loss(logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Dice loss over the known voxels; all (N, 1, ...)."""
    return _dice(logits.sigmoid() * known, target * known)
