"""The public API: functions from files or arrays to files or arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from .cascade.dentition import Dentition
from .io import files
from .io.scan_checks import check_scan
from .volume import Volume

if TYPE_CHECKING:
    from .anatomy import Notation
    from .cascade.network_choice import DentitionChoice
    from .evaluation.metrics import Evaluation
    from .io.label_schemes import LabelScheme
    from .surfaces.export import ExportResult

Device = Literal["auto", "cpu", "cuda", "mps"]
PathLike = str | os.PathLike[str]


def read_scan(path: PathLike, series: str | None = None) -> Volume:
    """Read a scan and check that teeth can be found in it.

    Parameters
    ----------
    path : path
        A file (.nrrd, .nhdr, .nii, .nii.gz, .mha, .mhd, .gipl, .gipl.gz, DICOM) or a folder with a DICOM series.
    series : str, optional
        Number or UID of the series to take, where a folder holds several.

    Returns
    -------
    Volume
        Voxels ``(z, y, x)`` as in the file, geometry in LPS millimetres, and the reader's warnings.

    Raises
    ------
    teethseg.errors.InputError
        If the file is unreadable, damaged or not a scan of teeth.
    """
    scan = files.read_scan(Path(path), series)
    return replace(scan, warnings=check_scan(scan))


def read_labels(path: PathLike, labels_are: LabelScheme | None = None) -> Volume:
    """Read the teeth of a label map or segmentation of any program; the result has FDI numbers as values, 0 for no tooth.

    Parameters
    ----------
    path : path
        A segmentation of 3D Slicer (.seg.nrrd) or a label map; names and codes in it count before values.
    labels_are : {'fdi', 'universal', 'toothfairy', 'totalsegmentator', 'batchdentalseg', 'dentalsegmentator'}, optional
        Numbering of the values, for files whose names and codes do not identify the teeth.

    Returns
    -------
    Volume
        uint8. Its `warnings` name the labels that are not teeth and were left out, and every doubtful number.

    Raises
    ------
    teethseg.errors.InputError
        If the file is unreadable, no label map, or does not identify the teeth.
    """
    return files.read_teeth(Path(path), labels_are)


def segment(
    scan: Volume | PathLike,
    *,
    device: Device = "auto",
    weights: PathLike | None = None,
    dentition: DentitionChoice = "auto",
    progress: Callable[[str, int, int], None] | None = None,
) -> Dentition:
    """Find, outline and number every tooth of a scan.

    Parameters
    ----------
    scan : Volume or path
        Voxels ``(z, y, x)`` in any orientation, with any grey values.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where the networks run; 'auto' takes a graphics card if there is one.
    weights : path, optional
        A `.safetensors` file with its card; the shipped weights unless given.
    dentition : {'auto', 'permanent', 'mixed'}
        Choice of networks: for permanent teeth, or for children with mixed dentitions. 'auto' takes the latter for
        patients under 14 years if the file has the age, else where there seem to be deciduous teeth in the result (an adult's
        retained ones, too); a warning says so.
    progress : callable, optional
        Called with the name of the step, the number of finished parts and of all parts.

    Returns
    -------
    Dentition
        ``labels``: a uint8 label map of FDI numbers on the scan's own grid. ``teeth``: number, confidence (0 to 1), volume
        (mm³), centre (LPS mm) and flags of each tooth. ``warnings``: one line each.

    Raises
    ------
    teethseg.errors.InputError, teethseg.errors.WeightsError, teethseg.errors.OutOfMemoryError
        One line each: the cause, then the remedy.
    """
    from .cascade import pipeline
    from .cascade.network_choice import choose_weights
    from .cascade.weights import load_weights

    show = progress if progress is not None else lambda step, done, total: None
    choice = choose_weights(_scan(scan), dentition, _path(weights))
    found, _ = pipeline.segment_chosen(choice, load_weights(choice.file), device, show)
    return found.dentition


def number(
    scan: Volume | PathLike,
    instances: Volume | PathLike,
    *,
    device: Device = "auto",
    weights: PathLike | None = None,
) -> Dentition:
    """Give FDI numbers to teeth that another program or person has outlined.

    Parameters
    ----------
    scan : Volume or path
        As for `segment`.
    instances : Volume or path
        A label map on the grid of the scan with one value for each tooth; 0 is no tooth.
    device, weights :
        As for `segment`.

    Returns
    -------
    Dentition
        The same outlines under FDI numbers. An instance that gets no number is left out, with a warning.

    Raises
    ------
    teethseg.errors.InputError
        If the label map and the scan have different grids.
    """
    from .cascade.renumbering import number_instances
    from .cascade.weights import load_weights

    labels = instances if isinstance(instances, Volume) else files.read_labels(Path(instances))
    return number_instances(_scan(scan), labels, load_weights(_path(weights)), device)


def export_surfaces(
    dentition: Dentition | Volume,
    folder: PathLike,
    *,
    format: str = "stl",
    space: Literal["LPS", "RAS"] = "LPS",
    notation: Notation = "fdi",
    overwrite: bool = False,
) -> ExportResult:
    """Write one closed surface per tooth, in millimetres, and `manifest.json` with volumes, measures and checks.

    Parameters
    ----------
    dentition : Dentition or Volume
        A result of `segment`, or a label map of FDI numbers.
    folder : path
        Made if it does not exist.
    format : {'stl', 'obj', 'ply', 'glb'}
        Mesh format (`teethseg.surfaces.mesh_formats.MESH_FORMATS`).
    space : {'LPS', 'RAS'}
        Directions of the coordinates.
    notation : {'fdi', 'universal', 'palmer'}
        Tooth numbers in the names of the files.
    overwrite : bool
        Whether to replace the surfaces of an earlier export in `folder`.

    Returns
    -------
    ExportResult
        `manifest`: the content of `manifest.json`. `warnings`: one line each.

    Raises
    ------
    teethseg.errors.UsageError
        If the folder holds files that must not be replaced.
    """
    from .surfaces.export import export
    from .surfaces.export_options import ExportOptions

    found = dentition if isinstance(dentition, Dentition) else Dentition(dentition, ())
    return export(Path(folder), found, ExportOptions(format=format, space=space, naming=notation), overwrite)


def evaluate(prediction: Dentition | Volume | PathLike, reference: Volume | PathLike) -> Evaluation:
    """Compare a segmentation with a reference: overlap, surface distances, teeth found, numbers right.

    Parameters
    ----------
    prediction : Dentition, Volume or path
    reference : Volume or path
        Label maps of FDI numbers, of the same scan. The grids may differ: one may be cropped, or have other axes.

    Returns
    -------
    Evaluation
        `binary`: scores of the tooth mask (Dice, NSD, HD95 in mm). `instances` and `numbering`: teeth found at an IoU of
        0.5, and their numbers. `teeth`: scores of each tooth.

    Raises
    ------
    teethseg.errors.InputError
        If the two do not overlap in space, or hold values that are not FDI numbers.
    """
    from .evaluation import metrics
    from .evaluation.common_grid import on_common_grid

    found = prediction.labels if isinstance(prediction, Dentition) else _labels(prediction)
    found, expected, _ = on_common_grid(found, _labels(reference))
    return metrics.evaluate(found, expected)


def write_labels(
    path: PathLike,
    dentition: Dentition | Volume,
    *,
    notation: Notation = "fdi",
    labels: Literal["fdi", "position", "binary"] = "fdi",
) -> None:
    """Write teeth as a segmentation of 3D Slicer (`.seg.nrrd`) or a label map (`.nrrd`, `.nii.gz`, ...).

    Parameters
    ----------
    path : path
        The file; its ending chooses the format.
    dentition : Dentition or Volume
        A result of `segment`, or a label map of FDI numbers.
    notation : {'fdi', 'universal', 'palmer'}
        Tooth numbers in the names of the segments.
    labels : {'fdi', 'position', 'binary'}
        Label values: FDI numbers, positions 1-8, or 1 for every tooth.

    Raises
    ------
    teethseg.errors.UsageError
        If the ending of the path is of no known format.
    """
    volume = dentition.labels if isinstance(dentition, Dentition) else dentition
    numbers = [int(value) for value in np.unique(volume.array) if value]
    files.write_labels(Path(path), volume, numbers, notation, labels)


def _scan(scan: Volume | PathLike) -> Volume:
    return replace(scan, warnings=check_scan(scan)) if isinstance(scan, Volume) else read_scan(scan)


def _labels(labels: Volume | PathLike) -> Volume:
    return labels if isinstance(labels, Volume) else read_labels(labels)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
