"""Segmentations as 3D Slicer keeps them (.seg.nrrd): a label map whose segments have names, colours and DICOM codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..anatomy import TEETH, Notation, Tooth, tooth
from ..errors import InputError
from ..volume import Volume
from .scan_checks import check_labels

Labelling = Literal["fdi", "position", "binary"]

TERMINOLOGY_CONTEXT = "TeethSeg"
_ANY_TOOTH = ("38199008", "Tooth")
_ANY_TOOTH_COLOUR = (1.0, 250 / 255, 220 / 255)  # Slicer's own colour for teeth


@dataclass(frozen=True)
class Segment:
    """One row of a segmentation: label value, lasting id, name for people, colour (0..1) and terminology entry."""

    value: int
    id: str
    name: str
    colour: tuple[float, float, float]
    terminology: str


def terminology_entry(code: str, meaning: str) -> str:
    """Slicer's text for an anatomical structure with a SNOMED CT code, as kept in a segment's tags."""
    return (
        f"{TERMINOLOGY_CONTEXT}~SCT^123037004^Anatomical Structure~SCT^{code}^{meaning}~^^"
        "~Anatomic codes - DICOM master list~^^~^^"
    )


def segment_name(tooth: Tooth, notation: Notation = "fdi") -> str:
    """Name of a tooth's segment: 'Tooth 16' (FDI), 'Tooth #3' (Universal) or 'Tooth 6⏌' (Palmer).

    The sharp keeps Universal numbers apart from FDI's.
    """
    return f"Tooth {'#' if notation == 'universal' else ''}{tooth.notation(notation)}"


_SPELLINGS = {text: one.fdi for one in TEETH.values() for text in (str(one.fdi), f"#{one.universal}", one.palmer)}
_FDI_OF_CODE = {one.code: one.fdi for one in TEETH.values()}


def fdi_of_name(name: str) -> int | None:
    """FDI number that a segment's name stands for ('Tooth 16', 'tooth_16', '16', 'Tooth #3', 'Tooth 6⏌'), if any."""
    return _SPELLINGS.get(re.sub(r"(?i)tooth|fdi|[\s_.:-]", "", name).upper())


def segment_table(
    numbers: Iterable[int], labelling: Labelling = "fdi", notation: Notation = "fdi"
) -> tuple[Segment, ...]:
    """The segments of a label map.

    Parameters
    ----------
    numbers : iterable of int
        FDI numbers of the teeth.
    labelling : {'fdi', 'position', 'binary'}
        What the label values stand for: one segment a tooth, a position from the midline (1-8), or one for all.
    notation : {'fdi', 'universal', 'palmer'}
        How teeth are named.
    """
    teeth = [tooth(number) for number in sorted(set(numbers))]
    if labelling == "fdi":
        return tuple(
            Segment(t.fdi, f"tooth_{t.fdi}", segment_name(t, notation), t.colour, terminology_entry(t.code, t.meaning))
            for t in teeth
        )
    any_tooth = terminology_entry(*_ANY_TOOTH)
    if labelling == "position":
        return tuple(
            Segment(p, f"position_{p}", f"Position {p}", tooth(10 + p).colour, any_tooth)
            for p in sorted({t.position for t in teeth})
        )
    return (Segment(1, "teeth", "Teeth", _ANY_TOOTH_COLOUR, any_tooth),) if teeth else ()


def relabel(labels: Volume, labelling: Labelling) -> Volume:
    """A label map with FDI numbers as one with positions 1-8, with 1 for every tooth, or as it is; uint8."""
    array = check_labels(labels.array)
    if labelling == "fdi":
        return labels.with_array(array)
    table = np.zeros(256, np.uint8)
    for fdi, one in TEETH.items():
        table[fdi] = one.position if labelling == "position" else 1
    return labels.with_array(_looked_up(table, array))


def _looked_up(table: np.ndarray, array: np.ndarray) -> np.ndarray:
    # Plane by plane: numpy turns the whole of an index into 64-bit integers.
    values = np.empty(array.shape, table.dtype)
    for plane, indices in zip(values, array, strict=True):
        plane[...] = table[indices]
    return values


def write_segmentation(
    path: str | Path,
    labels: Volume,
    numbers: Iterable[int] | None = None,
    notation: Notation = "fdi",
    labelling: Labelling = "fdi",
) -> None:
    """Write a `.seg.nrrd` for 3D Slicer: one shared layer on the whole grid of `labels`, also where it is empty.

    Parameters
    ----------
    path : path of the file
    labels : Volume
        FDI numbers, 0 elsewhere.
    numbers : iterable of int, optional
        FDI numbers of the teeth that become segments; those found in `labels` unless given.
    notation, labelling :
        As for `segment_table`.
    """
    if numbers is None:
        present = sum(np.bincount(plane.ravel(), minlength=256) for plane in labels.array)
        numbers = (np.flatnonzero(present[1:]) + 1).tolist()
    from .nrrd import write_nrrd  # pynrrd comes only with the first run in Slicer; names and codes are needed before

    extent = " ".join(f"0 {n - 1}" for n in labels.array.shape[::-1])
    fields = {}
    for index, segment in enumerate(segment_table(numbers, labelling, notation)):
        fields |= {
            f"Segment{index}_Color": " ".join(f"{part:.6g}" for part in segment.colour),
            f"Segment{index}_ColorAutoGenerated": "0",
            f"Segment{index}_Extent": extent,
            f"Segment{index}_ID": segment.id,
            f"Segment{index}_LabelValue": str(segment.value),
            f"Segment{index}_Layer": "0",
            f"Segment{index}_Name": segment.name,
            f"Segment{index}_NameAutoGenerated": "0",
            f"Segment{index}_Tags": f"Segmentation.Status:inprogress|TerminologyEntry:{segment.terminology}|",
        }
    fields |= {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    write_nrrd(path, relabel(labels, labelling), fields, level=4)


def read_segmentation(path: str | Path) -> Volume:
    """Read a `.seg.nrrd` with any number of layers as one label map, on the grid of the file.

    Values become FDI numbers where the segments' names, DICOM codes or ids tell them (in this order: in Slicer a user
    renames a segment and leaves code and id as they were). Segments that are no tooth are then left out. Where no
    segment tells, the values stay as they are.

    Returns
    -------
    Volume
        uint8, or a larger type where the values need it; what was left out stands in its `warnings`.

    Raises
    ------
    InputError
        If the file is unreadable or holds several segments under one value without telling which teeth they are.
    """
    from .nrrd import read_nrrd

    volume, header = read_nrrd(path, layers=True)
    labels = check_labels(volume.array)
    layers = labels if labels.ndim == 4 else labels[..., None]
    sources, warnings = _sources(header, Path(path).name)
    merged = np.zeros(layers.shape[:3], np.min_scalar_type(max((s.target for s in sources), default=0)))
    for layer in range(layers.shape[3]):
        plane = layers[..., layer]
        table = np.zeros(int(plane.max(initial=0)) + 1, merged.dtype)
        for source in sources:
            if source.layer == layer and source.value < len(table):
                table[source.value] = source.target
        targets = _looked_up(table, plane)
        np.copyto(merged, targets, where=targets > 0)
    return Volume(merged, volume.spacing, volume.origin, volume.direction, volume.warnings + warnings)


@dataclass(frozen=True)
class _Source:
    """Where a segment lies in a file, and the value it gets."""

    layer: int
    value: int
    target: int


def _sources(header: dict, file_name: str) -> tuple[list[_Source], tuple[str, ...]]:
    """The segments to read, and warnings, from the fields of a `.seg.nrrd` header."""
    warnings, rows = [], []
    indices = sorted(int(match[1]) for key in header if (match := re.fullmatch(r"Segment(\d+)_ID", key)))
    for field in (f"Segment{index}_".__add__ for index in indices):
        identity = header[field("ID")]
        name = header.get(field("Name"), identity)
        code = re.search(r"TerminologyEntry:[^~]*~[^~]*~[^~^]*\^(\d+)\^", header.get(field("Tags"), ""))
        told = [fdi_of_name(name), _FDI_OF_CODE.get(code[1]) if code else None, fdi_of_name(identity)]
        told = [fdi for fdi in told if fdi]
        if told and told[0] != told[-1]:
            warnings.append(f"The segment '{name}' still has the code or id of tooth {told[-1]}: its name counts.")
        layer, value = int(header.get(field("Layer"), 0)), int(header.get(field("LabelValue"), 1))
        rows.append((name, told[0] if told else None, layer, value))
    if any(fdi for _, fdi, *_ in rows):
        others = [name for name, fdi, *_ in rows if not fdi]
        if others:
            warnings.append(f"Left out, as their names tell no tooth: {', '.join(others)}.")
        sources = [_Source(layer, value, fdi) for _, fdi, layer, value in rows if fdi]
    else:
        sources = [_Source(layer, value, value) for *_, layer, value in rows]
        if len({source.value for source in sources}) < len(sources):
            raise InputError(f"The segments of {file_name} do not tell which teeth they are: name them by FDI number.")
    return sources, tuple(warnings)
