"""`LabelMap`: the segments of a file as one label map, with their names and structures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..anatomy import TEETH
from ..errors import InputError, UnclearNumberingError
from ..structures import STRUCTURES, UNKNOWN_VALUE, Kind, Structure
from ..volume import Volume
from .label_places import centres, equal_scheme, other_scheme, place_doubt
from .label_schemes import OPTION, Identified, LabelScheme, SegmentInfo, identify, telling_schemes

LARGEST_LABEL = 255  # larger values are grey values, or ids of objects without a structure
_IS_TOOTH = np.isin(np.arange(256), list(TEETH))


@dataclass(frozen=True)
class LabelMap:
    """Content of a file of labels.

    Attributes
    ----------
    volume : Volume
        Label values of `structures` (FDI numbers for teeth), uint8, if teeth were identified; else the file's own values.
    segments : tuple of SegmentInfo
        As the file describes them.
    identified : Identified
        Their structures.
    name : str
        Name of the file, for messages.
    """

    volume: Volume
    segments: tuple[SegmentInfo, ...]
    identified: Identified
    name: str

    def labels(self) -> Volume:
        """Labels for display: FDI numbers if names or codes identify teeth, else the file's own values.

        The volume's warnings name labels that were left out and uncertain numbers.
        """
        if self.identified.has_teeth and not self.identified.by_values:
            return self.teeth()
        return replace(self.volume, warnings=self.volume.warnings + self.identified.warnings)

    def teeth(self, keep: Collection[Kind] = ()) -> Volume:
        """FDI numbers of the teeth alone, uint8; the volume's warnings name labels that were left out, and doubts.

        Parameters
        ----------
        keep : collection of str
            Kinds of structures besides teeth that keep their values: "supernumerary" (91-94), "unknown" (255).

        Raises
        ------
        InputError
            If there are labels, but no single teeth, or none that can be told.
        """
        if not self.identified.has_teeth:
            unjudged = self._unjudged(keep)
            if not unjudged:
                self._check_told()
            return replace(
                self.volume, array=np.where(np.isin(self.volume.array, unjudged), UNKNOWN_VALUE, 0).astype(np.uint8)
            )
        table = np.zeros(256, np.uint8)
        for one in self.identified.structures:
            table[one.value if one else 0] = self._read_as(one, keep)
        places = centres(self.volume)
        self._check_numbering(places)
        doubt = place_doubt(places, self.name) or self._equal_numbering(places)
        warnings = (*self.volume.warnings, *self.identified.warnings, *self._left_out(keep))
        warnings += (doubt,) if doubt else ()
        return replace(self.volume, array=looked_up(table, self.volume.array), warnings=warnings)

    def _unjudged(self, keep: Collection[Kind]) -> list[int]:
        """The values of unjudged parts, if these are kept and there is nothing else: a scan of no teeth, judged in part."""
        pairs = zip(self.segments, self.identified.structures, strict=True)
        kinds = {one.value: (found or STRUCTURES.get(one.value)) for one, found in pairs}
        judged = [found for found in kinds.values() if found is None or found.kind != "unknown"]
        return [] if judged or "unknown" not in keep else list(kinds)

    def _check_numbering(self, places: Mapping[int, np.ndarray]) -> None:
        """Refuse possible FDI numbers whose positions show that they belong to another scheme."""
        other = other_scheme(places) if self.identified.by_numbers else None
        if other:
            raise UnclearNumberingError(
                f"{self.name} does not tell its teeth, as its numbers can be FDI's, but lie as {other} numbers teeth: "
                f"say which is right, {OPTION} {other} or {OPTION} fdi.",
                (other, "fdi"),
            )

    def _equal_numbering(self, places: Mapping[int, np.ndarray]) -> str:
        """A warning if label values fit another scheme equally well."""
        equal = equal_scheme(places) if self.identified.by_values else None
        if not equal:
            return ""
        return (
            f"The values of {self.name} were taken for FDI numbers, but may be those of {equal}, by which they are other "
            f"teeth: say which is right, {OPTION} {equal} or {OPTION} fdi."
        )

    def _read_as(self, one: Structure | None, keep: Collection[Kind]) -> int:
        """The value of a structure in a label map of teeth: the tooth's number, for its pulp too; 0 if it is left out."""
        if one is None:
            return 0
        if one.is_tooth or one.kind in keep:
            return one.value
        whole = one.kind == "pulp" and any(other and other.value == one.fdi for other in self.identified.structures)
        return one.fdi or 0 if whole else 0

    def _left_out(self, keep: Collection[Kind]) -> Iterator[str]:
        others: list[str] = []
        extra: list[str] = []
        unclear: list[str] = []
        pulps = 0
        for segment, one in zip(self.segments, self.identified.structures, strict=True):
            called = segment.name or (one.name if one else f"value {segment.value}")
            if one is None:
                unclear.append(called)
            elif not self._read_as(one, keep):
                (extra if one.kind == "supernumerary" else others).append(called)
            else:
                pulps += one.kind == "pulp"
        if others:
            yield f"Left out of {self.name}, as these are no teeth: {listed(others)}."
        if extra:
            yield f"Left out of {self.name}, as extra teeth have no number: {listed(extra)}."
        if unclear:
            yield f"Left out of {self.name}, as nothing tells which teeth these are: {listed(unclear)}."
        if pulps:
            yield f"{pulps} pulps of {self.name} were counted to their teeth."

    def _check_told(self) -> None:
        if self.identified.doubt:
            raise UnclearNumberingError(
                f"{self.name} does not tell its teeth, as {self.identified.doubt}: {self.identified.remedy}.",
                telling_schemes(self.segments),
            )
        if self.segments and self.volume.array.any():
            pairs = zip(self.segments, self.identified.structures, strict=True)
            names = listed([one.name or (found.name if found else f"value {one.value}") for one, found in pairs])
            raise InputError(
                f"{self.name} holds no single teeth, only {names}: give a segmentation with a label for every tooth."
            )


def values_to_write(
    segments: Sequence[SegmentInfo], scheme: LabelScheme | None, name: str
) -> tuple[Identified, list[int]]:
    """The structures of segments, and the label value of each in one label map (0: none).

    Parameters
    ----------
    segments : sequence of SegmentInfo
    scheme : str or None
        See `label_schemes.identify`.
    name : str
        Of the file.

    Raises
    ------
    InputError
        If several segments share a value and nothing identifies their structures.
    """
    found = identify(segments, scheme)
    if found.has_teeth:
        return found, [one.value if one else 0 for one in found.structures]
    values = [segment.value for segment in segments]
    if len(set(values)) < len(values):
        raise InputError(
            f"The segments of {name} do not tell which teeth they are: name them by FDI number ('Tooth 26')."
        )
    return found, values


def named(volume: Volume, names: dict[int, str], scheme: LabelScheme | None, name: str) -> LabelMap:
    """A label map without segments, whose values may have names."""
    largest = int(volume.array.max(initial=0))
    if largest > LARGEST_LABEL:
        doubt = f"it has values up to {largest} (is it a scan?)"
        return LabelMap(volume, (), Identified((), doubt=doubt, remedy="give a label map of teeth"), name)
    segments = tuple(SegmentInfo(names.get(value, ""), value) for value in values_in(volume.array))
    found = identify(segments, scheme)
    if found.has_teeth:
        table = np.zeros(max((one.value for one in segments), default=0) + 1, np.uint8)
        for segment, one in zip(segments, found.structures, strict=True):
            table[segment.value] = one.value if one else 0
        volume = replace(volume, array=looked_up(table, volume.array))
    return LabelMap(volume, segments, found, name)


def values_in(array: np.ndarray) -> list[int]:
    """The values of a label map other than 0, in order."""
    found: set[int] = set()
    for plane in array:  # plane by plane, to avoid a copy of the whole array
        counted = plane.dtype.itemsize == 1  # counting bytes takes a fifth of the time of sorting
        found.update((np.flatnonzero(np.bincount(plane.ravel())) if counted else np.unique(plane)).tolist())
    return sorted(found - {0})


def put(merged: np.ndarray, values: np.ndarray) -> int:
    """Overlay values on a label map of `structures`, in place; only teeth replace teeth.

    Returns
    -------
    int
        Number of voxels that changed from one tooth to another.
    """
    taken = 0
    for plane, new in zip(merged, values, strict=True):
        taken += int(np.count_nonzero((new != plane) & _IS_TOOTH[new] & _IS_TOOTH[plane]))
        np.copyto(plane, new, where=(new > 0) & (_IS_TOOTH[new] | ~_IS_TOOTH[plane]))
    return taken


def overlap_note(taken: int, name: str) -> tuple[str, ...]:
    """A warning about overlapping teeth, if there are any."""
    return (f"Teeth of {name} overlap: {taken} voxels went to the later one.",) if taken else ()


def looked_up(table: np.ndarray, array: np.ndarray) -> np.ndarray:
    """`table[array]`, plane by plane, because numpy converts an index array to 64-bit integers."""
    values = np.empty(array.shape, table.dtype)
    for plane, indices in zip(values, array, strict=True):
        plane[...] = table[indices]
    return values


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first names, separated by commas, and the number of further ones."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
