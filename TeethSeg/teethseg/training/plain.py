"""Targets, loss and scores of the U-Nets of the first experiments: tooth mask, and position of every voxel."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from ..anatomy import SUPERNUMERARY
from .losses import categorical_dice, foreground_dice_loss, mask_dice_loss, mask_loss
from .options import Loss
from .targets import IGNORE, UNKNOWN, is_tooth, positions


def plain_targets(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Targets on the grid of the labels.

    Parameters
    ----------
    labels : ndarray uint8, shape (Z, Y, X)
        FDI numbers, supernumerary teeth, UNKNOWN, 0 elsewhere.

    Returns
    -------
    dict
        `tooth` float32 and `known` bool (1, Z, Y, X); `class` int64 (Z, Y, X): 0 no tooth, 1 to 8 the position, IGNORE
        for unknown voxels and teeth without a position.
    """
    classes = positions(labels).astype(np.int64)
    classes[(labels == UNKNOWN) | np.isin(labels, SUPERNUMERARY)] = IGNORE
    return {
        "tooth": is_tooth(labels)[None].astype(np.float32),
        "known": (labels != UNKNOWN)[None],
        "class": classes,
    }


def plain_loss(
    output: dict[str, torch.Tensor], target: dict[str, torch.Tensor], loss: Loss = "cascade"
) -> dict[str, torch.Tensor]:
    """Terms of the loss, one for each U-Net; their sum is minimised."""
    outline = mask_loss if loss == "cascade" else mask_dice_loss
    of_classes = {"cascade": _entropy_and_dice, "dice": foreground_dice_loss, "categorical-dice": categorical_dice}[
        loss
    ]
    return {
        name: of_classes(logits, target["class"])
        if name == "class"
        else outline(logits, target["tooth"], target["known"])
        for name, logits in output.items()
    }


def _entropy_and_dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if not (target != IGNORE).any():
        return logits.sum() * 0.0
    return functional.cross_entropy(logits, target, ignore_index=IGNORE) + foreground_dice_loss(logits, target)


def plain_scores(output: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Dice of the tooth mask, and share of tooth voxels with the right position."""
    found, truth = (output["tooth"] > 0) & target["known"], target["tooth"] > 0.5
    scores = {"dice": (2 * (found & truth).sum() + 1) / (found.sum() + truth.sum() + 1)}
    inside = target["class"] > 0
    if "class" in output and inside.any():
        predicted = output["class"][:, 1:].argmax(dim=1) + 1
        scores["position_accuracy"] = (predicted == target["class"])[inside].float().mean()
    return scores
