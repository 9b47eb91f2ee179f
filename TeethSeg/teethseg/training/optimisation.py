"""Optimisers with layer-wise learning rates, schedules, and a frozen encoder for the first steps."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from ..cascade.networks.cascade_net import CascadeNet
from ..cascade.networks.plain import PlainNet
from .options import FitOptions

_OPTIMISERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
_DECAY = {"adamw": 1e-4}
_WARM, _COLDEST = 200, 1e-6  # warm-up steps; lowest learning rate


def layer_groups(network: CascadeNet) -> list[list[torch.nn.Parameter]]:
    """Parameters by level: the heads, then the decoder from its last level, then the encoder from its deepest level."""
    backbone = network.backbone
    heads = [*network.full_head.parameters(), *network.half_head.parameters()]
    levels = [*reversed(backbone.decoder), *reversed(backbone.encoder)]
    return [heads, *(list(level.parameters()) for level in levels)]


def optimiser_and_schedule(network: CascadeNet | PlainNet, options: FitOptions) -> dict[str, Any]:
    """Optimiser and learning rate schedule for Lightning."""
    rates = [options.learning_rate]
    # One group, so that checkpoints of earlier versions resume.
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if options.layer_decay != 1 and isinstance(network, CascadeNet):
        parts = layer_groups(network)
        rates = [options.learning_rate * options.layer_decay**depth for depth in range(len(parts))]
        groups = [{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True)]
    decay = {"weight_decay": _DECAY[options.optimiser]} if options.optimiser in _DECAY else {}
    optimiser = _OPTIMISERS[options.optimiser](groups, lr=options.learning_rate, **decay)
    if options.schedule == "plateau":
        falling = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=5)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": falling, "monitor": "val_loss"}}
    schedule = _schedule(optimiser, rates, options)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _schedule(optimiser: torch.optim.Optimizer, rates: list[float], options: FitOptions):
    if options.schedule == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=options.steps + 1)
    if options.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
    warm = min(_WARM, options.steps // 10 + 1)
    warming = torch.optim.lr_scheduler.LinearLR(optimiser, 0.05, total_iters=warm)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, options.steps - warm), eta_min=_COLDEST)
    return torch.optim.lr_scheduler.SequentialLR(optimiser, [warming, falling], [warm])


class FrozenEncoder(Callback):
    """Freezes the encoder for the first steps, counted over all calls of a resumed run."""

    def __init__(self, steps: int):
        self.steps = steps

    def on_train_batch_start(self, trainer, module, *_):
        """Freeze or release the encoder by the number of steps done."""
        learns = trainer.global_step >= self.steps
        for parameter in module.network.backbone.encoder.parameters():
            parameter.requires_grad_(learns)
