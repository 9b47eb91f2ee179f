"""Reads and writes segmentations of 3D Slicer (.seg.nrrd): label maps whose segments have names, colours and codes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..anatomy import TEETH, Notation, Tooth, tooth
from ..structures import STRUCTURES, Code, Structure, structure
from ..volume import Volume
from .label_maps import LabelMap, listed, looked_up, overlap_note, put, values_in, values_to_write
from .label_schemes import LabelScheme, SegmentInfo
from .scan_checks import check_labels
from .source_files import DamagedFile, reading

Labelling = Literal["fdi", "position", "binary"]

TERMINOLOGY_CONTEXT = "TeethSeg"
_ID = r"Segment(\d+)_ID"
_ANY_TOOTH = next(one for one in STRUCTURES.values() if one.key == "teeth")


@dataclass(frozen=True)
class Segment:
    """One row of a segmentation: label value, permanent id, displayed name, colour (0..1) and terminology entry."""

    value: int
    id: str
    name: str
    colour: tuple[float, float, float]
    terminology: str


def terminology_entry(one: Structure) -> str:
    """Slicer's terminology entry of a structure, as stored in a segment's tags."""
    codes = ("^".join(code) if code else "^^" for code in (one.category, one.code, one.modifier, one.region, None))
    category, code, modifier, region, none = codes
    return f"{TERMINOLOGY_CONTEXT}~{category}~{code}~{modifier}~Anatomic codes - DICOM master list~{region}~{none}"


def codes_of_entry(entry: str) -> dict[str, Code | None]:
    """Type, side and region of a terminology entry: arguments `code`, `modifier`, `region` of `SegmentInfo`."""
    fields = entry.split("~")
    places = {"code": 2, "modifier": 3, "region": 5}
    codes = {name: fields[place].split("^") if len(fields) > place else [] for name, place in places.items()}
    return {name: Code(*parts) if len(parts) == 3 and parts[1] else None for name, parts in codes.items()}


def segment_name(tooth: Tooth, notation: Notation = "fdi") -> str:
    """Name of a tooth's segment: 'Tooth 16' (FDI), 'Tooth #3' (Universal) or 'Tooth 6⏌' (Palmer).

    The '#' distinguishes Universal from FDI numbers.
    """
    return f"Tooth {'#' if notation == 'universal' else ''}{tooth.notation(notation)}"


def segment_table(
    numbers: Iterable[int], labelling: Labelling = "fdi", notation: Notation = "fdi"
) -> tuple[Segment, ...]:
    """The segments of a label map.

    Parameters
    ----------
    numbers : iterable of int
        FDI numbers of the teeth, and label values of other structures.
    labelling : {'fdi', 'position', 'binary'}
        Meaning of the label values: FDI numbers, positions from the midline (1-8), or one value for all teeth.
    notation : {'fdi', 'universal', 'palmer'}
        Tooth numbers in the names.
    """
    found = [structure(number) for number in sorted(set(numbers))]
    if labelling == "fdi":
        return tuple(
            Segment(one.value, one.key, _name(one, notation), one.colour, terminology_entry(one)) for one in found
        )
    teeth = [tooth(one.value) for one in found if one.is_tooth]
    any_tooth = terminology_entry(_ANY_TOOTH)
    if labelling == "position":
        return tuple(
            Segment(p, f"position_{p}", f"Position {p}", tooth(10 + p).colour, any_tooth)
            for p in sorted({t.position for t in teeth})
        )
    return (Segment(1, "teeth", "Teeth", _ANY_TOOTH.colour, any_tooth),) if teeth else ()


def _name(one: Structure, notation: Notation) -> str:
    return segment_name(tooth(one.value), notation) if one.is_tooth else one.name[0].upper() + one.name[1:]


def relabel(labels: Volume, labelling: Labelling) -> Volume:
    """Convert FDI numbers of a label map to positions 1-8, or to 1 for every tooth, or keep them; uint8."""
    array = check_labels(labels.array)
    if labelling == "fdi":
        return labels.with_array(array)
    table = np.zeros(256, np.uint8)
    for fdi, one in TEETH.items():
        table[fdi] = one.position if labelling == "position" else 1
    return labels.with_array(looked_up(table, array))


def write_segmentation(
    path: str | Path,
    labels: Volume,
    numbers: Iterable[int] | None = None,
    notation: Notation = "fdi",
    labelling: Labelling = "fdi",
    tags: Mapping[int, Mapping[str, str]] | None = None,
    level: int = 4,
) -> None:
    """Write a `.seg.nrrd` for 3D Slicer: one shared layer on the whole grid of `labels`.

    Parameters
    ----------
    path : path of the file
    labels : Volume
        FDI numbers, and label values of other structures (`structures`); 0 elsewhere.
    numbers : iterable of int, optional
        FDI numbers of the teeth (and values of other structures) that become segments; those found in `labels` unless given.
    notation, labelling :
        As for `segment_table`.
    tags : mapping of int to mapping of str to str, optional
        Further tags by the value of a segment, such as `Segmentation.Status`; text without '|'.
    level : int
        Compression, 1 (fast) to 9.
    """
    if numbers is None:
        present = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels.array], axis=0)
        numbers = (np.flatnonzero(present[1:]) + 1).tolist()
    from .nrrd import write_nrrd  # pynrrd comes only with the first run in Slicer; names and codes are needed before

    extent = " ".join(f"0 {n - 1}" for n in labels.size)
    fields: dict[str, str] = {}
    for index, segment in enumerate(segment_table(numbers, labelling, notation)):
        segment_tags = {"Segmentation.Status": "inprogress", **((tags or {}).get(segment.value, {}))}
        segment_tags["TerminologyEntry"] = segment.terminology
        fields |= {
            f"Segment{index}_Color": " ".join(f"{part:.6g}" for part in segment.colour),
            f"Segment{index}_ColorAutoGenerated": "0",
            f"Segment{index}_Extent": extent,
            f"Segment{index}_ID": segment.id,
            f"Segment{index}_LabelValue": str(segment.value),
            f"Segment{index}_Layer": "0",
            f"Segment{index}_Name": segment.name,
            f"Segment{index}_NameAutoGenerated": "0",
            f"Segment{index}_Tags": "".join(f"{name}:{text}|" for name, text in segment_tags.items()),
        }
    fields |= {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    write_nrrd(path, relabel(labels, labelling), fields, level=level)


def read_segmentation(path: str | Path, scheme: LabelScheme | None = None) -> LabelMap:
    """Read a `.seg.nrrd` with any number of layers.

    Parameters
    ----------
    path : path of the file
    scheme : str, optional
        The numbering of labels that neither names nor codes identify (`label_schemes`).

    Raises
    ------
    InputError
        If the file is unreadable, or several segments share a value and nothing identifies their structures.
    """
    from .nrrd import read_nrrd

    return label_map_of(*read_nrrd(path, layers=True), Path(path).name, scheme)


def holds_segments(header: dict) -> bool:
    """Whether a NRRD header is that of a segmentation; the file's name does not count."""
    return any(re.fullmatch(r"Segment\d+_ID", key) for key in header)


def label_map_of(volume: Volume, header: dict, name: str, scheme: LabelScheme | None) -> LabelMap:
    """The segments of a NRRD file that was read with all its layers.

    Raises
    ------
    DamagedFile
        If the header contradicts itself or the voxels.
    InputError
        If several segments share a value and nothing identifies their structures.
    """
    labels = check_labels(volume.array)
    layers = labels if labels.ndim == 4 else labels[..., None]
    segments, places = _rows(header, layers.shape[3])
    _check_rows(segments, places, layers.shape[3])
    found, targets = values_to_write(segments, scheme, name)
    merged = np.zeros(layers.shape[:3], np.min_scalar_type(max(targets, default=0)))
    of_none: Counter[int] = Counter()
    taken = 0
    for layer in range(layers.shape[3]):
        plane = layers[..., layer]
        table = np.zeros(int(plane.max(initial=0)) + 1, merged.dtype)
        for segment, place, target in zip(segments, places, targets, strict=True):
            if place == layer and segment.value < len(table):
                table[segment.value] = target
        own = {segment.value for segment, place in zip(segments, places, strict=True) if place == layer}
        of_none += Counter({value: np.count_nonzero(plane == value) for value in values_in(plane) if value not in own})
        values = looked_up(table, plane)
        if found.has_teeth:
            taken += put(merged, values)
        else:
            np.copyto(merged, values, where=values > 0)
    warnings = (*volume.warnings, *_of_none_note(of_none, name), *overlap_note(taken, name))
    grid = Volume(merged, volume.spacing, volume.origin, volume.direction, warnings)
    return LabelMap(grid, tuple(segments), found, name)


def read_tags(path: str | Path) -> dict[int, dict[str, str]]:
    """The tags of each segment of a `.seg.nrrd`, by the label value that `read_segmentation` gives it.

    Raises
    ------
    InputError
        If the file is unreadable.
    """
    from .nrrd import read_nrrd

    with reading(path):
        _, header = read_nrrd(path, layers=True)
        segments, _layers = _rows(header, 1)
        _, targets = values_to_write(segments, None, Path(path).name)
    texts = {header[key]: header.get(key.replace("_ID", "_Tags"), "") for key in header if re.fullmatch(_ID, key)}
    tags = {}
    for segment, target in zip(segments, targets, strict=True):
        parts = (part.partition(":") for part in texts[segment.id].split("|") if ":" in part)
        tags[target] = {name: text for name, _, text in parts}
    return tags


def _of_none_note(of_none: Mapping[int, int], name: str) -> tuple[str, ...]:
    if not of_none:
        return ()
    values = listed([str(value) for value in sorted(of_none)])
    return (f"Left out of {name}, as no segment has their value ({values}): {sum(of_none.values())} voxels.",)


def _check_rows(segments: list[SegmentInfo], places: list[int], layers: int) -> None:
    """Refuse segments whose voxels are ambiguous or missing."""
    names: dict[tuple[int, int], str] = {}
    for segment, place in zip(segments, places, strict=True):
        if segment.value < 1 or not 0 <= place < layers:
            raise DamagedFile(
                f"its segment '{segment.name}' has the value {segment.value} in layer {place} of {layers}"
            )
        if (place, segment.value) in names:
            raise DamagedFile(f"its segments '{names[place, segment.value]}' and '{segment.name}' share a label value")
        names[place, segment.value] = segment.name


def _rows(header: dict, count: int) -> tuple[list[SegmentInfo], list[int]]:
    """The segments of a `.seg.nrrd` header, and their layers.

    3D Slicer 4.10 gave each segment a layer of its own, and did not write the layer.
    """
    segments, layers = [], []
    indices = sorted(int(match[1]) for key in header if (match := re.fullmatch(_ID, key)))
    own_layers = count == len(indices) and not any(f"Segment{index}_Layer" in header for index in indices)
    for at, field in enumerate(f"Segment{index}_".__add__ for index in indices):
        identity = header[field("ID")]
        entry = re.search(r"TerminologyEntry:([^|]*)", header.get(field("Tags"), ""))
        codes = codes_of_entry(entry[1]) if entry else {}
        value = int(header.get(field("LabelValue"), 1))
        segments.append(SegmentInfo(header.get(field("Name"), identity), value, identity, **codes))
        layers.append(int(header.get(field("Layer"), at if own_layers else 0)))
    return segments, layers
