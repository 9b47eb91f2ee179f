"""Training of one stage with PyTorch Lightning: averaged weights, checkpoints, resuming, a log with curves."""

from __future__ import annotations

import errno
import io
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, overload

import lightning
import torch
from filelock import FileLock, Timeout
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.data import DataLoader, Dataset

from ..cascade.inference import chosen_device
from ..cascade.networks.cascade_net import ARCHITECTURES, LATER_HEADS, CascadeNet
from ..cascade.networks.plain import U_NETS, PlainNet
from ..cascade.precision import lightning_precision
from ..cascade.weights import load_weights
from ..errors import InputError, TeethSegError, UsageError
from ..io.atomic_write import written_whole
from ..io.case_sources import CaseSource, usable_cases
from .data import TARGETS, CoarseSamples, FineSamples, FixedSamples
from .fixed_size import FixedSize
from .losses import coarse_loss, fine_loss
from .memory_fit import fit_to_memory
from .optimisation import FrozenEncoder, optimiser_and_schedule
from .options import FitOptions, Network, Stage, make_folder, resumed_options, save_options
from .plain import plain_loss, plain_scores
from .plots import DONE, curves, history, line_plot
from .sampling import Sampling, augmentations
from .targets import IGNORE

log = logging.getLogger(__name__)

Cases = Path | Sequence[CaseSource]
_SAMPLES = {"coarse": CoarseSamples, "fine": FineSamples}
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_LOSSES = {"coarse": coarse_loss, "fine": fine_loss}


class StageModule(lightning.LightningModule):
    """A network with its loss, optimiser and scores.

    Parameters
    ----------
    stage : {"coarse", "fine"}
    steps : int
        Optimiser steps in all.
    learning_rate : float
        Its highest value.
    options : dict
        The other values of `FitOptions`.
    """

    def __init__(self, stage: Stage, steps: int, learning_rate: float = 2e-3, options: dict | None = None):  # noqa: ARG002  # saved as hyperparameters
        super().__init__()
        self.save_hyperparameters()
        self.stage = stage
        self.sets = ["val"]  # names of the validation loaders; the first one chooses the best state
        name = self.options.network
        self.network = CascadeNet(ARCHITECTURES[stage][0]) if name == "cascade" else PlainNet(U_NETS[name])

    @property
    def options(self) -> FitOptions:
        """The options that the checkpoint keeps."""
        given: Any = self.hparams
        own = {"stage": given.stage, "steps": given.steps, "learning_rate": given.learning_rate}
        return FitOptions(**{**(given.options or {}), **own})

    def forward(self, batch):
        """The network's output for a batch."""
        return self.network(batch["image"])

    def _loss(self, batch, prefix: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        output = self(batch)
        loss = plain_loss if isinstance(self.network, PlainNet) else _LOSSES[self.stage]
        terms = loss(output, batch["target"], self.options.loss)
        total = sum(terms.values(), start=torch.zeros(()))
        size = len(batch["image"])
        self._write(prefix, {**terms, "loss": total}, size)
        return total, output

    def _write(self, prefix: str, values: dict[str, torch.Tensor], size: int) -> None:
        """Log means over an epoch of values of `size` samples."""
        how: dict[str, Any] = {"on_step": False, "on_epoch": True, "batch_size": size, "add_dataloader_idx": False}
        for name, value in values.items():
            # All processes of a run must choose the same best state by the loss; not every process has all scores.
            self.log(f"{prefix}_{name}", value, **how, sync_dist=name == "loss")

    def training_step(self, batch, _):
        """Loss of one batch."""
        return self._loss(batch, "train")[0]

    def validation_step(self, batch, _, dataloader_idx: int = 0):
        """Scores of one batch of the set `dataloader_idx`."""
        name = self.sets[dataloader_idx]
        if dataloader_idx == 0:
            self.log(DONE, float(self.global_step), on_epoch=True, batch_size=1, add_dataloader_idx=False)
        _, output = self._loss(batch, name)
        scores = plain_scores if isinstance(self.network, PlainNet) else _scores
        self._write(name, scores(output, batch["target"]), len(batch["image"]))

    def configure_optimizers(self):
        """Optimiser and schedule, see `optimisation`."""
        return optimiser_and_schedule(self.network, self.options)


def _scores(output, target) -> dict[str, torch.Tensor]:
    """Dice of the tooth mask, and share of tooth voxels with the right position and jaw."""
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
    """Sets the epoch of the data set, so that no sample comes twice, also after a resume."""

    def on_train_epoch_start(self, trainer, _module):
        trainer.train_dataloader.dataset.epoch = trainer.current_epoch + 1


class _WholeFiles(TorchCheckpointIO):
    """Writes checkpoints whole or not at all.

    Lightning's own way leads over the system's temporary folder. If that lies on another disk, a full disk or a kill
    destroys the checkpoint that is replaced.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:  # noqa: ARG002
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as draft:
            draft.write_bytes(content.getbuffer())


class _Report(Callback):
    """Reports progress and scores, and draws the curves."""

    def __init__(self, tell: Callable[[int, int, dict[str, float]], None], run: Path):
        self.tell, self.run = tell, run

    def on_validation_end(self, trainer, module):
        if trainer.sanity_checking or not trainer.is_global_zero:  # one process reports for all
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k != DONE}
        self.tell(trainer.global_step, module.hparams.steps, metrics)
        if drawn := curves(history(self.run)):
            with written_whole(self.run / CURVES) as draft:
                draft.write_text(_PAGE.format("\n".join(drawn)), encoding="utf-8")


def fit(
    stage: Stage,
    cases: Cases,
    validation: Cases,
    run: Path,
    steps: int,
    *,
    start: Path | None = None,
    watch: Sequence[Path] = (),
    accelerator: str = "auto",
    cache: Path | None = None,
    tell: Callable[[int, int, dict[str, float]], None] = lambda *_: None,
    **options,
) -> Path:
    """Train one stage; called again with the same `run`, training resumes where it stopped.

    Parameters
    ----------
    stage : {"coarse", "fine"}
    cases, validation : Path, or sequence of CaseSource
        Folders with training cases, or the cases; no patient may be in both.
    run : Path
        Folder for checkpoints, `parameters.yaml`, `curves.html` and, for each call, `log/version_n/metrics.csv`.
    steps : int
        Optimiser steps in all.
    start : Path, optional
        A checkpoint, or a weights file with its card, to start from (fine-tuning).
    watch : sequence of Path
        More folders of cases, such as real scans, whose scores are logged beside those of `validation` as `FOLDER_dice`
        and so on. They do not choose the best state. Their patients may be in training too, but then they are no test.
    cache : Path, optional
        Cache of prepared cases, which runs may share; `run/cache` unless given.
    tell : callable
        Called after each validation with the number of steps done, of all steps, and the metrics.
    **options
        See `FitOptions`.

    Returns
    -------
    Path
        The best checkpoint by validation loss.
    """
    fit_options = FitOptions(stage=stage, steps=steps, **options)
    _check_patients(cases, validation)
    sets = ["val", *(folder.resolve().name for folder in watch)]
    if len({*sets, "train"}) <= len(sets):
        raise UsageError(f"Folders to watch need names of their own, not {', '.join(sets[1:])}: rename one.")
    with _alone_in(run):
        resume = run / "last.ckpt"
        fit_options = _fit_to_memory(resumed_options(fit_options, run) if resume.exists() else fit_options, accelerator)
        about = {
            "cases": _case_names(cases),
            "validation": _case_names(validation),
            "start": str(start) if start else None,
        }
        save_options(run, fit_options, resume.exists(), **about)
        module, trainer, training = _set_up(fit_options, cases, run, accelerator, cache or run / "cache", tell)
        checking = [validation_samples(fit_options, folder, cache or run / "cache") for folder in (validation, *watch)]
        check_loaders = [_loader(one, 1, min(fit_options.workers, 1)) for one in checking]
        module.sets = sets
        if start is not None:
            _load_start(module.network, start, fit_options)
        going_on = resume if resume.exists() else None
        with _one_line_errors(run):
            trainer.fit(module, training, check_loaders, ckpt_path=going_on, weights_only=True)
    if trainer.global_step < steps:
        log.warning(
            "Ended after step %d of %d: no better state in %d validations.",
            trainer.global_step,
            steps,
            fit_options.patience,
        )
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    return Path(best or run / "best.ckpt")


@contextmanager
def _alone_in(run: Path) -> Iterator[None]:
    """A block in which no other training writes to the folder of a run; the system ends the lock with the process."""
    make_folder(run)
    lock = FileLock(run / LOCK)
    try:
        if getattr(rank_zero_only, "rank", 0) == 0:  # one process stands for all of a training
            lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"Another training is running in {run}: wait for it, or name another folder with --run."
        ) from None
    except OSError as error:
        raise UsageError(f"{run} cannot be written to ({error.strerror}): name another folder with --run.") from error
    except NotImplementedError:  # some network drives
        log.warning("%s cannot be locked: start no other training in it.", run)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _one_line_errors(run: Path) -> Iterator[None]:
    """A block in which a full disk, what a worker cannot do, and its death become one line."""
    try:
        yield
    except TeethSegError as error:
        text = str(error).strip()
        if "Original Traceback" not in text:
            raise
        cause = text.splitlines()[-1].partition(": ")[2]  # PyTorch passes on the worker's traceback
        raise type(error)(cause) from error
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise TeethSegError(
            "A process that prepares samples was killed, or ran out of memory: take fewer --workers; the same command goes on "
            "from the last checkpoint."
        ) from error
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise TeethSegError(
            f"{run} cannot be written to ({error.strerror}): free some space; the same command goes on from the last "
            "checkpoint."
        ) from error


def find_learning_rate(
    options: FitOptions,
    cases: Cases,
    run: Path,
    *,
    accelerator: str = "auto",
    cache: Path | None = None,
    tries: int = 100,
) -> float | None:
    """Try learning rates from 1e-7 to 0.3, each for one step; `run/learning-rate.svg` shows the losses.

    Returns
    -------
    float or None
        Where the loss falls fastest (Smith 2017); None if it falls nowhere.
    """
    make_folder(run)
    options = _fit_to_memory(options, accelerator)
    module, trainer, training = _set_up(options, cases, run, accelerator, cache or run / "cache", None)
    with _one_line_errors(run):
        finder = Tuner(trainer).lr_find(
            module, training, min_lr=1e-7, max_lr=0.3, num_training=tries, early_stop_threshold=None, update_attr=False
        )
    if finder is None:  # interrupted
        return None
    points = list(zip(finder.results["lr"], finder.results["loss"], strict=True))
    found = finder.suggestion(skip_begin=min(10, tries // 4), skip_end=1)
    with written_whole(run / RATES) as draft:
        text = line_plot({"loss": points}, "Loss by learning rate", "learning rate", mark=found, log=True)
        draft.write_text(text, encoding="utf-8")
    return found


CURVES, RATES, LOCK = "curves.html", "learning-rate.svg", "run.lock"
_PAGE = '<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="60"><title>Training</title>\n{}\n'


def _set_up(
    options: FitOptions, cases: Cases, run: Path, accelerator: str, cache: Path, tell: Callable | None
) -> tuple[StageModule, lightning.Trainer, DataLoader]:
    """Network, trainer and data of a run; without `tell` nothing is logged or saved."""
    lightning.seed_everything(options.seed, workers=True, verbose=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    sampling = sampling_options(options)
    samples = training_samples(options, cases, options.epoch * options.batch, options.seed, cache, sampling)
    # Workers are started again in every epoch, because only then do they get its number. Samples of different sizes make no
    # batch: their gradients are summed.
    workers, together = options.workers, options.together if options.fixed else 1
    loader = _loader(samples, together, workers)
    precision: Any = options.precision
    if precision == "auto":
        precision = lightning_precision(_device(accelerator))
    callbacks: list[Callback] = [_NewEpoch()]
    if options.freeze:
        callbacks.append(FrozenEncoder(options.freeze))
    if tell is not None:
        callbacks += [EMAWeightAveraging(decay=0.995), *_checkpoints(options, run), _Report(tell, run)]
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=_strategy(options),
        precision=precision,
        max_steps=options.steps,
        max_epochs=-1,
        accumulate_grad_batches=options.batch // together,
        gradient_clip_val=1.0,
        callbacks=callbacks,
        plugins=[_WholeFiles()],
        logger=_loggers(options, run) if tell is not None else False,
        enable_checkpointing=tell is not None,
        default_root_dir=run,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=options.epoch,
    )
    module = StageModule(options.stage, options.steps, options.learning_rate, asdict(options))
    return module, trainer, loader


def _loader(samples: Dataset, together: int, workers: int) -> DataLoader:
    return DataLoader(
        samples,
        together,
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_leave_interrupts if workers else None,
    )


def _leave_interrupts(_number: int) -> None:
    """Ctrl-C reaches workers too; a worker that it ends keeps the run waiting for 5 seconds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _strategy(options: FitOptions) -> str:
    """Lightning strategy: several processes must not wait for the gradients of frozen parameters."""
    several = options.devices * options.nodes > 1
    return "ddp_find_unused_parameters_true" if several and options.freeze else "auto"


def _fit_to_memory(options: FitOptions, accelerator: str) -> FitOptions:
    """Options whose samples fit into the memory of the device."""
    with torch.device("meta"):
        network = StageModule(options.stage, options.steps, options.learning_rate, asdict(options)).network
    return fit_to_memory(options, network, _device(accelerator))


def training_samples(
    options: FitOptions, cases: Cases, count: int, seed: int, cache: Path, sampling: Sampling | None = None
) -> Dataset:
    """Training samples of a stage: patches and parts of scans, or whole series in one size.

    Raises
    ------
    UsageError
        If the network cannot take series in this size.
    """
    plain = options.network != "cascade"
    if not options.fixed:
        samples = _SAMPLES[options.stage](cases, count, seed, options.patch, cache=cache, sampling=sampling)
        if plain:
            samples.targets = TARGETS["plain"]
        return samples
    fixed = fixed_size(options)
    if plain:
        if options.network.startswith("unet-2d") and fixed.plane != "axial":
            raise UsageError(f"{options.network} has its plane in its name: leave plane axial.")
        return FixedSamples(cases, fixed, count, seed, TARGETS["plain"], cache=cache, sampling=sampling)
    architecture = ARCHITECTURES[options.stage][0]
    if fixed.by != "crop" or fixed.plane != "axial" or fixed.standardise != "levels":
        raise UsageError(
            f"Stage {options.stage} needs voxels of {architecture.spacing} mm and its own grey levels: leave fixed_by crop, "
            "plane axial and standardise levels."
        )
    if wrong := [n for n in fixed.size if n % architecture.divisor]:
        raise UsageError(f"fixed has {wrong[0]}, which is no multiple of {architecture.divisor}: give multiples.")
    given: dict[str, Any] = {"spacing": architecture.spacing, "cache": cache, "sampling": sampling}
    return FixedSamples(cases, fixed, count, seed, TARGETS[options.stage], **given)


def validation_samples(options: FitOptions, cases: Cases, cache: Path) -> Dataset:
    """Validation samples, always the same ones; whole series without augmentation."""
    unchanged = Sampling(augment=frozenset()) if options.fixed else None
    return training_samples(options, cases, options.checks, 0, cache, unchanged)


def fixed_size(options: FitOptions) -> FixedSize:
    """The size of fixed-size mode."""
    return FixedSize.of(options.fixed, options.fixed_by, options.standardise, options.plane)


def sampling_options(options: FitOptions) -> Sampling:
    """Sampling and augmentation of the training samples of a run."""
    shares = (options.around, options.centred, options.without)
    return Sampling(*shares, bool(options.whole), augmentations(options.augment), options.turns)


def _loggers(options: FitOptions, run: Path) -> list[Logger]:
    """The CSV log, from which the curves are drawn, and on request that of TensorBoard."""
    loggers: list[Logger] = [CSVLogger(run, name="log")]
    if options.tensorboard:
        try:
            loggers.append(TensorBoardLogger(run / "log", name="tensorboard", default_hp_metric=False))
        except ModuleNotFoundError as error:
            raise TeethSegError(
                "TensorBoard is not installed: run pip install 'teethseg[tensorboard]', or leave it out (curves.html in the "
                "run's folder shows the same curves)."
            ) from error
    return loggers


def _checkpoints(options: FitOptions, run: Path) -> list[Callback]:
    """Checkpoint callbacks, the best state first: `trainer.checkpoint_callback` is the first one."""
    found: list[Callback] = [
        ModelCheckpoint(run, "best", monitor="val_loss", save_top_k=1, enable_version_counter=False),
        ModelCheckpoint(run, "last", enable_version_counter=False, save_on_train_epoch_end=True),
    ]
    if options.keep_every:
        every: dict[str, Any] = {"every_n_train_steps": options.keep_every * options.epoch, "save_top_k": -1}
        found.append(ModelCheckpoint(run, "{step:07d}", **every))
    if options.patience:
        found.append(EarlyStopping("val_loss", patience=options.patience))
    return found


def _case_names(cases: Cases) -> str | list[str]:
    return str(cases) if isinstance(cases, Path) else [case.name for case in cases]


def _device(accelerator: str) -> torch.device:
    """The device of Lightning's accelerator of this name."""
    return torch.device(chosen_device("auto" if accelerator == "gpu" else accelerator))


def _load_start(network: CascadeNet | PlainNet, file: Path, options: FitOptions) -> None:
    if isinstance(network, PlainNet):
        if file.suffix == ".safetensors":
            raise UsageError(f"{file.name} holds the networks of the cascade: name a checkpoint of {options.network}.")
        network.load_state_dict(load_checkpoint(file, options.network).state_dict())
        return
    network.take_over(
        getattr(load_weights(file), options.stage) if file.suffix == ".safetensors" else load_checkpoint(file)
    )


def _check_patients(cases: Cases, validation: Cases) -> None:
    def patients(given):
        return {case.patient for case in (usable_cases(given, log.warning) if isinstance(given, Path) else given)}

    both = patients(cases) & patients(validation)
    if both:
        raise UsageError(f"Patient {min(both)} is in training and in validation: put all scans of a patient in one.")


@overload
def load_checkpoint(checkpoint: Path, name: Literal["cascade"] = "cascade") -> CascadeNet: ...


@overload
def load_checkpoint(checkpoint: Path, name: Network) -> CascadeNet | PlainNet: ...


def load_checkpoint(checkpoint: Path, name: Network = "cascade") -> CascadeNet | PlainNet:
    """The network of a checkpoint, with averaged weights if it holds them.

    Raises
    ------
    InputError
        If it cannot be read, or holds another network.
    """
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        held = (saved["hyper_parameters"].get("options") or {}).get("network", "cascade")
    except OSError as error:
        raise InputError(f"{checkpoint} cannot be read ({error.strerror}): check the path.") from error
    except Exception as error:  # bytes that are no checkpoint can fail in any way
        raise InputError(
            f"{checkpoint.name} is no checkpoint of 'teethseg train', or damaged: name another."
        ) from error
    if held != name:
        wanted = "a network of the cascade" if name == "cascade" else name
        raise InputError(
            f"{checkpoint.name} holds the network {held}; {wanted} is needed here: name another checkpoint."
        )
    state = {k.removeprefix("network."): v for k, v in saved["state_dict"].items() if k.startswith("network.")}
    if name != "cascade":
        plain = PlainNet(U_NETS[name])
        plain.load_state_dict(state)
        return plain.eval()
    for architecture in ARCHITECTURES[saved["hyper_parameters"]["stage"]]:
        for number in range(len(LATER_HEADS) + 1):  # checkpoints from before these heads
            network = CascadeNet(architecture.without(LATER_HEADS[number:]))
            if all(key in state and state[key].shape == value.shape for key, value in network.state_dict().items()):
                network.load_state_dict(state)
                return network.eval()
    raise InputError(f"{checkpoint.name} holds another network than those of this version: train it anew.")
