"""Messages between caller and worker: typed, one JSON object per line.

JSON of the standard library is used, because `multiprocessing` would send pickles, and other protocols would need packages that
3D Slicer does not have.

Both sides must have the same version, so decoding is strict: an extra or missing field, or one of another type, is an error.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..cascade.dentition import FoundTooth
from ..errors import TeethSegError
from ..io.json_text import json_text, parse_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FailureCode = Literal["out-of-memory", "weights", "input", "missing-package", "died", "cancelled", "disk-full", "other"]
# Exit status of the worker after a failure, in case its message cannot be written (full disk).
EXIT_CODES: dict[FailureCode, int] = {
    "other": 1,
    "input": 3,
    "out-of-memory": 4,
    "weights": 5,
    "missing-package": 6,
    "disk-full": 7,
}


class ProtocolError(TeethSegError):
    """A line that is no message of this version."""


@dataclass(frozen=True)
class Hello:
    """The worker is ready: versions of TeethSeg, Python and torch, and the first device."""

    version: str
    python: str
    torch: str
    device: str


@dataclass(frozen=True)
class Stage:
    """A step of the run begins."""

    name: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` parts of a step are finished; the whole run takes about `seconds_left` more (None: unknown)."""

    stage: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class Notice:
    """A warning, one line for the user."""

    text: str


@dataclass(frozen=True)
class Result:
    """The run is done and its files are complete."""


@dataclass(frozen=True)
class Failure:
    """The run is over without a result.

    Attributes
    ----------
    code : FailureCode
    text : str
        One line for the user: the cause, then the remedy.
    details : str
        Traceback and standard error, for developers.
    """

    code: FailureCode
    text: str
    details: str = ""


@dataclass(frozen=True)
class Heartbeat:
    """Sent once a second during the whole run. `memory_free` is that of the computer, in bytes."""

    memory_free: int


Message = Hello | Stage | Progress | Notice | Result | Failure | Heartbeat
_KINDS: dict[str, type] = {kind.__name__.lower(): kind for kind in get_args(Message)}


@dataclass(frozen=True)
class JobRequest:
    """`job.json`: the worker's task. The voxels lie beside it; position and orientation as in `Volume`."""

    version: str
    caller: int  # number of the caller's process; the worker ends with it
    device: str
    weights: str | None
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    warnings: tuple[str, ...]
    padding: tuple[float, float] | None = None
    mixed_weights: str | None = None  # used instead if the result looks like a mixed dentition
    patient_age: float | None = None  # years


@dataclass(frozen=True)
class JobResult:
    """`result.json`: the worker's result; the label map lies beside it."""

    teeth: tuple[FoundTooth, ...]
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    device: str
    weights: str
    sha256: str
    peak_memory_mb: float


T = TypeVar("T")


def encode(message: Message) -> str:
    """A message as one line, line feed included."""
    return json_text({"kind": type(message).__name__.lower(), **asdict(message)}) + "\n"


def decode(line: str) -> Message:
    """The message of a line.

    Raises
    ------
    ProtocolError
        If it is none.
    """
    data = _loaded(line)
    if not isinstance(data, dict) or data.get("kind") not in _KINDS:
        raise ProtocolError(f"The worker's line is no message of this version: {line.strip()[:200]!r}.")
    kind = data.pop("kind")
    return _checked(data, _KINDS[kind], kind)


def to_json(record: DataclassInstance) -> str:
    """A record (a dataclass) as the text of its file."""
    return json_text(asdict(record))


def from_json(text: str, kind: type[T]) -> T:
    """The record in a file's text.

    Raises
    ------
    ProtocolError
        If it is another one or damaged.
    """
    return _checked(_loaded(text), kind, kind.__name__)


def _loaded(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise ProtocolError(f"Worker and caller do not understand each other ({error}).") from error


def _checked(value: Any, hint: Any, name: str) -> Any:
    """`value`, from JSON, as an object of the type `hint`."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(value, hint, name)
    options, origin = get_args(hint), get_origin(hint)
    if origin in (UnionType, Union):
        return None if value is None else _checked(value, options[0], name)  # all unions here are X | None
    if origin is Literal and value in options:
        return value
    if origin is tuple and isinstance(value, list):
        if options[-1] is not Ellipsis and len(options) != len(value):
            raise ProtocolError(f"{name} has {len(value)} parts instead of {len(options)}.")
        return tuple(_checked(part, options[0], name) for part in value)
    if origin is dict and isinstance(value, dict):
        return {key: _checked(part, options[1], f"{name}.{key}") for key, part in value.items()}
    if hint is float and type(value) in (int, float):
        return float(value)
    if origin is None and type(value) is hint:  # bool is no int here
        return value
    raise ProtocolError(f"{name} is {value!r} instead of {getattr(hint, '__name__', hint)}.")


def _record(value: Any, kind: type, name: str) -> Any:
    known = {field.name: field for field in fields(kind)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    if not isinstance(value, dict) or value.keys() - known.keys() or needed - value.keys():
        raise ProtocolError(f"{name} has other fields than {', '.join(known) or 'none'}: {value!r:.200}.")
    hints = get_type_hints(kind)
    return kind(**{key: _checked(part, hints[key], f"{name}.{key}") for key, part in value.items()})
