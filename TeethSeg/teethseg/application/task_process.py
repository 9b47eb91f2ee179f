"""`python -m teethseg.application.task_process FOLDER`: the process that `background_tasks.TaskProcess` starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import TeethSegError
from ..io.json_text import json_text, read_json
from ..volume import Volume
from ..worker.files import MAPS, REQUEST, RESULT
from ..worker.job import MessageWriter, main, watch_caller
from ..worker.protocol import Progress


def work(folder: Path, writer: MessageWriter) -> None:
    """Run the task in a folder, as a process of its own."""
    order = read_json(folder / REQUEST)
    watch_caller(order["caller"], folder, writer)
    run(folder, writer.send)


def run(folder: Path, say: Callable[[Progress], None]) -> None:
    """Run the task in a folder; its result is a file there."""
    order = read_json(folder / REQUEST)
    if order["version"] != __version__:
        raise TeethSegError(f"This is TeethSeg {__version__}, not {order['version']}: restart the program.")
    volumes = {name: _volume(folder / f"{name}.npy", about) for name, about in order["volumes"].items()}

    def progress(step: str, done: int, total: int) -> None:
        say(Progress(step, done, total))

    result = _KINDS[order["kind"]](order, volumes, folder, progress)
    (folder / RESULT).write_text(json_text(result), encoding="utf-8")


def _files(order: dict[str, Any], volumes: dict[str, Volume], folder: Path, progress) -> dict[str, Any]:
    from .export import write

    written = write(_job(order, volumes, folder), Path(order["folder"]), order["overwrite"], progress)
    return {
        "files": [str(file) for file in written.files],
        "warnings": list(written.warnings),
        "summary": asdict(written.summary) if written.summary is not None else None,
        "images": written.images,
    }


def _rows(order: dict[str, Any], volumes: dict[str, Volume], folder: Path, progress) -> dict[str, Any]:
    from .export import measured_rows

    return {"rows": measured_rows(_job(order, volumes, folder), progress)}


def _case(order: dict[str, Any], volumes: dict[str, Volume], _folder: Path, _progress) -> dict[str, Any]:
    from ..annotation import save_case
    from ..annotation.worklist import Worklist

    worklist = Worklist.from_json(order["worklist"]) if order["worklist"] else None
    missing, labels = tuple(order["missing"]), volumes["labels"].array
    save_case(
        order["folder"],
        volumes["scan"],
        labels,
        order["patient"],
        worklist=worklist,
        missing=missing,
        unfinished=True,
    )
    return {"folder": order["folder"]}


def _batch(order: dict[str, Any], _volumes: dict[str, Volume], _folder: Path, progress) -> dict[str, Any]:
    from ..batch.run import BatchOptions, run_batch

    arguments = {field.name: order[field.name] for field in fields(BatchOptions)}
    for name in ("folder", "output", "weights"):
        arguments[name] = Path(arguments[name]) if arguments[name] is not None else None
    done = run_batch(BatchOptions(**arguments), progress, lambda _line: None)
    return {**asdict(done), "index": str(done.index)}


_KINDS = {"files": _files, "rows": _rows, "case": _case, "batch": _batch}


def _job(order: dict[str, Any], volumes: dict[str, Volume], folder: Path):
    from ..cascade.predictions import ToothMaps
    from ..io.dicom_references import Reference, SourceSeries
    from .export import ExportJob

    source = order["source"]
    if source is not None:
        source = SourceSeries(**{**source, "images": tuple(Reference(**one) for one in source["images"])})
    maps = ToothMaps.load(folder / MAPS) if (folder / MAPS).exists() else None
    labels = volumes["labels"]
    return ExportJob(
        order["values"],
        labels,
        volumes.get("scan", labels),
        maps,
        order["notation"],
        order["stem"],
        order["rows"],
        order["report"],
        frozenset(order["corrected"]),
        source,
        tuple(order["source_files"]),
    )


def _volume(file: Path, about: dict[str, Any]) -> Volume:
    array = np.load(file, allow_pickle=False)
    if list(array.shape) != about["shape"]:
        whole = np.zeros(about["shape"], array.dtype)
        whole[tuple(slice(a, a + size) for a, size in zip(about["start"], array.shape, strict=True))] = array
        array = whole
    padding = tuple(about["padding"]) if about["padding"] is not None else None
    direction = np.reshape(about["direction"], (3, 3))
    return Volume(array, tuple(about["spacing"]), tuple(about["origin"]), direction, (), padding)


if __name__ == "__main__":
    main(Path(sys.argv[1]), work)
