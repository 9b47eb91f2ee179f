"""Fitting a stage: PyTorch Lightning, cosine learning rate, averaged weights, checkpoints, resume, a log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from ..cascade.networks.cascade_net import ARCHITECTURES, LATER_HEADS, CascadeNet
from ..cascade.precision import lightning_precision
from ..cascade.weights import load_weights
from ..errors import InputError, UsageError
from ..io.case_sources import usable_cases
from .data import CoarseSamples, FineSamples
from .losses import coarse_loss, fine_loss
from .targets import IGNORE

Stage = Literal["coarse", "fine"]
_LOSSES = {"coarse": coarse_loss, "fine": fine_loss}


class StageModule(lightning.LightningModule):
    """A network of the cascade with its loss, optimiser and scores.

    Parameters
    ----------
    stage : {"coarse", "fine"}
    steps : int
        Optimiser steps in all; the learning rate falls to zero along a cosine over them.
    learning_rate : float
        Its height after a short warm-up.
    """

    def __init__(self, stage: Stage, steps: int, learning_rate: float = 2e-3):  # noqa: ARG002  # saved as hyperparameters
        super().__init__()
        self.save_hyperparameters()
        self.stage = stage
        self.sets = ["val"]  # names of the data loaders that it is scored on; the first one chooses the best state
        self.network = CascadeNet(ARCHITECTURES[stage][0])

    def forward(self, batch):
        """The network's output for a batch."""
        return self.network(batch["image"])

    def _loss(self, batch, prefix: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        output = self(batch)
        terms = _LOSSES[self.stage](output, batch["target"])
        total = sum(terms.values())
        size = len(batch["image"])
        self._write(prefix, {**terms, "loss": total}, size)
        return total, output

    def _write(self, prefix: str, values: dict[str, torch.Tensor], size: int) -> None:
        """Log means over an epoch of values of `size` samples."""
        named = {f"{prefix}_{name}": value for name, value in values.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=size, add_dataloader_idx=False)

    def training_step(self, batch, _):
        """Loss of one batch."""
        return self._loss(batch, "train")[0]

    def validation_step(self, batch, _, dataloader_idx: int = 0):
        """Scores of one batch of the set `dataloader_idx`."""
        name = self.sets[dataloader_idx]
        _, output = self._loss(batch, name)
        self._write(name, _scores(output, batch["target"]), len(batch["image"]))

    def configure_optimizers(self):
        """AdamW, with a linear warm-up and a cosine decay."""
        steps, warm = self.hparams.steps, min(200, self.hparams.steps // 10 + 1)
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.hparams.learning_rate, weight_decay=1e-4)
        warming = torch.optim.lr_scheduler.LinearLR(optimiser, 0.05, total_iters=warm)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps - warm), eta_min=1e-6)
        schedule = torch.optim.lr_scheduler.SequentialLR(optimiser, [warming, falling], [warm])
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _scores(output, target) -> dict[str, torch.Tensor]:
    """Dice of tooth or not, and share of tooth voxels with the right position and jaw."""
    if "jaw" in output:
        found, truth = (output["jaw"].argmax(dim=1) > 0) & (target["jaw"] != IGNORE), target["jaw"] > 0
        jaw = (output["jaw"].argmax(dim=1) == target["jaw"])[truth].float()
    else:
        found, truth = (output["tooth"] > 0) & target["known"], target["tooth"] > 0.5
        inside = target["tooth_half"] > 0.5
        jaw = ((output["upper"] > 0) == (target["upper"] > 0.5))[inside].float()
    known = target["position"] != IGNORE
    position = (output["position"].argmax(dim=1) == target["position"])[known].float()
    dice = (2 * (found & truth).sum() + 1) / (found.sum() + truth.sum() + 1)
    scores = {"dice": dice}
    if position.numel():
        scores |= {"position_accuracy": position.mean(), "jaw_accuracy": jaw.mean()}
    for name in LATER_HEADS:
        judged = target[name] != IGNORE if name in output else None
        if judged is not None and judged.any():
            right = (output[name][:, 0] > 0) == (target[name] > 0)
            scores[f"{name}_accuracy"] = right[judged].float().mean()
    return scores


class _NewEpoch(Callback):
    """Tells the data set which epoch it is, so that no sample comes twice, also after a resume."""

    def on_train_epoch_start(self, trainer, _module):
        trainer.train_dataloader.dataset.epoch = trainer.current_epoch + 1


class _Report(Callback):
    def __init__(self, tell: Callable[[int, int, dict[str, float]], None]):
        self.tell = tell

    def on_validation_end(self, trainer, module):
        if not trainer.sanity_checking:
            metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
            self.tell(trainer.global_step, module.hparams.steps, metrics)


def fit(
    stage: Stage,
    cases: Path,
    validation: Path,
    run: Path,
    steps: int,
    *,
    batch: int = 2,
    patch: int = 112,
    learning_rate: float = 2e-3,
    epoch: int = 250,
    checks: int = 24,
    workers: int = 1,
    seed: int = 1,
    start: Path | None = None,
    watch: Sequence[Path] = (),
    accelerator: str = "auto",
    cache: Path | None = None,
    tell: Callable[[int, int, dict[str, float]], None] = lambda *_: None,
) -> Path:
    """Train one stage; called again with the same `run`, it goes on where it stopped.

    Parameters
    ----------
    stage : {"coarse", "fine"}
    cases, validation : Path
        Folders with training cases; no patient may be in both.
    run : Path
        Where checkpoints and, for each sitting, `log/version_n/metrics.csv` go.
    steps : int
        Optimiser steps in all.
    batch, patch : int
        Samples a step, and the largest edge of one in voxels. Sizes vary, so gradients of one sample at a time are
        summed.
    epoch : int
        Steps between validations and checkpoints.
    checks : int
        Samples of each set that a validation looks at, always the same ones.
    start : Path, optional
        A checkpoint, or a weights file with its card, to start from (fine-tuning).
    watch : sequence of Path
        More folders of cases, of other styles or real ones, whose scores are written beside those of `validation`, as
        `FOLDER_dice` and so on. They choose nothing, so a patient may be in training, too; but then they test nothing.
    cache : Path, optional
        Where prepared cases are kept, for this and other runs; `run/cache` unless given.
    tell : callable
        Called after each validation with steps done, steps in all, metrics.

    Returns
    -------
    Path
        The best checkpoint by validation loss.
    """
    _check_patients(cases, validation)
    sets = ["val", *(folder.resolve().name for folder in watch)]
    if len({*sets, "train"}) <= len(sets):
        raise UsageError(f"Folders to watch need names of their own, not {', '.join(sets[1:])}: rename one.")
    lightning.seed_everything(seed, workers=True, verbose=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    samples = CoarseSamples if stage == "coarse" else FineSamples
    cache = cache or run / "cache"
    training = samples(cases, epoch * batch, seed, patch, cache=cache)
    checking = [samples(folder, checks, 0, patch, cache=cache) for folder in (validation, *watch)]
    # Workers start anew every epoch: only so do they learn its number.
    train_loader = DataLoader(training, num_workers=workers, prefetch_factor=3 if workers else None)
    check_loaders = [DataLoader(one, num_workers=min(workers, 1)) for one in checking]
    module = StageModule(stage, steps, learning_rate)
    module.sets = sets
    if start is not None:
        module.network.take_over(_start_network(start, stage))
    best = ModelCheckpoint(run, "best", monitor="val_loss", save_top_k=1, enable_version_counter=False)
    last = ModelCheckpoint(run, "last", enable_version_counter=False, save_on_train_epoch_end=True)
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=lightning_precision(_device(accelerator)),
        max_steps=steps,
        max_epochs=-1,
        accumulate_grad_batches=batch,
        gradient_clip_val=1.0,
        callbacks=[EMAWeightAveraging(decay=0.995), best, last, _NewEpoch(), _Report(tell)],
        logger=CSVLogger(run, name="log"),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=epoch,
    )
    resume = run / "last.ckpt"
    trainer.fit(module, train_loader, check_loaders, ckpt_path=resume if resume.exists() else None, weights_only=True)
    return Path(best.best_model_path or run / "best.ckpt")


def _device(accelerator: str) -> torch.device:
    """The device that Lightning's accelerator of this name computes on."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    names = {"auto": "cuda" if cuda else "mps" if mps else "cpu", "gpu": "cuda" if cuda else "mps"}
    return torch.device(names.get(accelerator, accelerator))


def _start_network(file: Path, stage: Stage) -> CascadeNet:
    if file.suffix == ".safetensors":
        return getattr(load_weights(file), stage)
    return trained_network(file)


def _check_patients(cases: Path, validation: Path) -> None:
    def patients(folder):
        return {case.patient for case in usable_cases(folder)}

    both = patients(cases) & patients(validation)
    if both:
        raise UsageError(f"Patient {min(both)} is in training and in validation: put all scans of a patient in one.")


def trained_network(checkpoint: Path) -> CascadeNet:
    """The network of a checkpoint; averaged weights where it holds them."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = {k.removeprefix("network."): v for k, v in saved["state_dict"].items() if k.startswith("network.")}
    for architecture in ARCHITECTURES[saved["hyper_parameters"]["stage"]]:
        for number in range(len(LATER_HEADS) + 1):  # checkpoints from before these heads
            network = CascadeNet(architecture.without(LATER_HEADS[number:]))
            if all(key in state and state[key].shape == value.shape for key, value in network.state_dict().items()):
                network.load_state_dict(state)
                return network.eval()
    raise InputError(f"{checkpoint.name} holds another network than those of this version: train it anew.")
