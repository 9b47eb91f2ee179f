"""Options of a training run, saved as YAML beside its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from .. import __version__
from ..errors import InputError, UsageError
from ..io.atomic_write import written_whole

Stage = Literal["coarse", "fine"]
Schedule = Literal["cosine", "one-cycle", "plateau", "constant"]
Optimiser = Literal["adamw", "adam", "rmsprop"]
Loss = Literal["cascade", "dice", "categorical-dice"]
Network = Literal[
    "cascade",
    "unet-2d-axial",
    "unet-2d-sagittal",
    "unet-2d-cascade",
    "unet-3d-22m",
    "unet-3d-430k",
    "unet-3d-cascade",
]  # `U_NETS` and that of the stage
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
FitBy = Literal["crop", "depth", "resize"]
Standard = Literal["levels", "volume", "slice"]
Plane = Literal["axial", "coronal", "sagittal"]

FILE = "parameters.yaml"
_MAY_CHANGE = ("steps", "workers", "devices", "nodes", "patience", "keep_every", "tensorboard")  # when a run is resumed
_DIVISOR = 16  # of patch sizes, for both networks
SMALLEST_PATCH = 2 * _DIVISOR
_FITTED = ("patch", "together")  # 0 or auto: chosen by the free memory


@dataclass(frozen=True)
class FitOptions:
    """Options of a run.

    Attributes
    ----------
    stage : {"coarse", "fine"}
    steps : int
        Optimiser steps in all.
    batch : int
        Samples in a step. Patches vary in size, so they are computed one after the other and their gradients summed. Series
        in one size (`fixed`) are computed `together` at a time.
    patch : int
        Largest edge of a sample in voxels, a multiple of 16; 0 or auto: as large as fits into memory, see `memory_fit`.
    learning_rate : float
        Its highest value.
    schedule : {"cosine", "one-cycle", "plateau", "constant"}
        Of the learning rate: cosine after a warm-up; one cycle (Smith 2018); halved on a plateau of the validation loss.
    optimiser : {"adamw", "adam", "rmsprop"}
    loss : {"cascade", "dice", "categorical-dice"}
        Of outlines and positions: cross-entropy and Dice; Dice only; mean Dice of the classes in the target.
    layer_decay : float
        Factor of the learning rate from one level of the network to the next, from the heads to the encoder.
    freeze : int
        Steps in which the encoder is frozen.
    epoch : int
        Steps between validations and checkpoints.
    checks : int
        Samples of each validation set, always the same ones.
    patience : int
        Number of validations without a better state after which the run ends; 0: never.
    keep_every : int
        Epochs between checkpoints that are kept; 0: only the best and the last.
    precision : {"auto", "32-true", "bf16-mixed", "16-mixed"}
        auto: the fastest precision of the device (`cascade.precision`).
    devices, nodes : int
        Number of graphics cards in a computer, and of computers.
    workers : int
        Processes that prepare samples.
    seed : int
        Of the random numbers.
    around, centred, without : float
        Shares of samples near a tooth, centred on a tooth, without teeth; see `sampling.Sampling`.
    whole : int
        1: scans no larger than `patch` are used whole.
    augment : str
        `all`, `none`, or names of `sampling.AUGMENTATIONS` with commas between them.
    turns : int
        If not 0: this number of rotations by 20 degrees about the vertical axis, one after the other, in place of random ones.
    fixed : str
        Fixed-size mode: every series in this size (slices x rows x columns, such as 72x120x120), each once a pass, in an
        order shuffled anew for every pass. Empty: samples as above.
    together : int
        Number of series in one size computed together, a divisor of `batch`; 0 or auto: as many as fit into memory.
    fixed_by, standardise, plane : str
        See `fixed_size.FixedSize`.
    network : str
        `cascade`: the network of the stage. A name of `cascade.networks.plain.U_NETS`: a U-Net of the first experiments,
        trained with the samples of the stage.
    tensorboard : int
        1: also log for TensorBoard, in `log/tensorboard` of the run.
    """

    stage: Stage
    steps: int = 20_000
    batch: int = 2
    patch: int = 112
    learning_rate: float = 2e-3
    schedule: Schedule = "cosine"
    optimiser: Optimiser = "adamw"
    loss: Loss = "cascade"
    layer_decay: float = 1.0
    freeze: int = 0
    epoch: int = 250
    checks: int = 24
    patience: int = 0
    keep_every: int = 0
    precision: Precision = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 1
    seed: int = 1
    around: float = 0.8
    centred: float = 0.0
    without: float = 0.0
    whole: int = 0
    augment: str = "all"
    turns: int = 0
    fixed: str = ""
    together: int = 0
    fixed_by: FitBy = "crop"
    standardise: Standard = "levels"
    plane: Plane = "axial"
    network: Network = "cascade"
    tensorboard: int = 0

    def __post_init__(self):
        if self.patch and (self.patch % _DIVISOR or self.patch < SMALLEST_PATCH):
            raise UsageError(
                f"--patch {self.patch} is no multiple of {_DIVISOR}: take {max(2, self.patch // _DIVISOR) * _DIVISOR}."
            )
        if self.together < 0 or (self.together and self.batch % self.together):
            raise UsageError(f"together is {self.together}: give a number that divides batch ({self.batch}), or auto.")
        for name in ("steps", "batch", "epoch", "checks", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}: give 1 or more.")
        for name in ("freeze", "patience", "keep_every", "workers", "seed", "turns"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}: give 0 or more.")
        if not 0 < self.layer_decay <= 1 or not 0 < self.learning_rate <= 1:
            raise UsageError("layer_decay and learning_rate lie between 0 and 1.")
        if self.network != "cascade" and (self.freeze or self.layer_decay != 1):
            raise UsageError(
                f"freeze and layer_decay are for the networks of the cascade: leave them out with {self.network}."
            )


_TYPES = get_type_hints(FitOptions)


def with_values(options: FitOptions, values: Mapping[str, Any]) -> FitOptions:
    """Options with some values changed; texts are converted to the type of the option.

    Raises
    ------
    UsageError
        If an option does not exist or does not take the value.
    """
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _TYPES:
            raise UsageError(f"There is no option {name}: there are {', '.join(_TYPES)}.")
        allowed = get_args(_TYPES[name])
        try:
            fits = name in _FITTED and value == "auto"
            changed[name] = 0 if fits else value if allowed else _TYPES[name](value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{name} is {value!r}: give a number.") from error
        if allowed and value not in allowed:
            raise UsageError(f"{name} is {value!r}: give one of {', '.join(allowed)}.")
    return replace(options, **changed)


def read_values(path: Path) -> dict[str, Any]:
    """The options in a YAML file; the other facts that a run saves there are ignored.

    Raises
    ------
    InputError
        If it cannot be read or holds no options.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} is no YAML file that can be read: correct it.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no options: write lines such as 'patch: 96'.")
    return dict(content.get("options") or content)


def resumed_options(options: FitOptions, run: Path) -> FitOptions:
    """Options of a resumed run: sizes that were chosen by the free memory stay as they were."""
    if not (run / FILE).exists():
        return options
    before = read_values(run / FILE)
    return replace(options, **{name: before[name] for name in _FITTED if name in before and not getattr(options, name)})


def make_folder(run: Path) -> None:
    """Make the folder of a run, unless it is there.

    Raises
    ------
    UsageError
        If it cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{run} cannot be made ({error.strerror}): name another folder with --run.") from error


def save_options(run: Path, options: FitOptions, begun: bool, **about: Any) -> None:
    """Write `parameters.yaml` of a run; for a resumed run, make sure that its options are the same.

    Raises
    ------
    UsageError
        If the run was begun with other options.
    """
    import yaml

    file = run / FILE
    if begun and file.exists():
        before = read_values(file)
        for name, value in asdict(options).items():
            if name in before and before[name] != value and name not in _MAY_CHANGE:
                raise UsageError(
                    f"{run} was begun with {name} {before[name]}, not {value}: give the same, or another --run."
                )
    make_folder(run)
    content = {"teethseg": __version__, **about, "options": asdict(options)}
    with written_whole(file) as draft:
        draft.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


NAMES = tuple(one.name for one in fields(FitOptions))
