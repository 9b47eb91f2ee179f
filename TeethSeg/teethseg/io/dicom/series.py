"""Groups the frames of a folder into series, and describes each series.

Files may lie in sub-folders, in any order and under any name. Each `Series` holds frames of one size, orientation, pixel
spacing and acquisition, whatever its Series Instance UID covers. Other frames under that UID form a series of their own, or
are left out with a note that names them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .acquisitions import split_acquisitions, without_duplicates
from .frame_geometry import UnknownGeometry, with_positions, with_shared_values
from .frames import Frame, frames_of
from .headers import DamagedDicom, Header, NotDicom, read_header
from .values import text
from .wording import counted, names_of

WHOLE_VOLUME = 16  # slices; a series with fewer is taken for a scout or a screenshot
_MAX_GEOMETRIES = 100  # different geometries in a series; scouts, captures and several acquisitions make a few
_MIN_SINGLE_SLICES = 3  # single-slice series that may be one series together

# Objects without an image of the patient, or derived from a scan.
_OTHER_OBJECTS = {
    "SEG": "a segmentation",
    "RTSTRUCT": "contours",
    "RTDOSE": "a dose",
    "SR": "a report",
    "DOC": "a document",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "REG": "a registration",
}
_SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_ORIENTATION_TOLERANCE, _SPACING_TOLERANCE = 0.01, 2e-3  # of unit vectors; of the spacing


@dataclass(frozen=True)
class LeftOut:
    """A file or frame that is not used, and the reason in words that follow 'it'."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Series:
    """Frames that can be read as one scan.

    Attributes
    ----------
    key : str
        Identifier for the user: the series number, with a counter where several series share the number.
    uid, number, description, date, kernel : str
        Attributes from its files.
    frames : tuple of Frame
        In the order of the files.
    part : str
        Difference from other series under the same UID.
    left_out : tuple of LeftOut
        Other files and frames under its UID.
    notes : tuple of str
        Assumptions, for the user.
    unfit : str
        The reason why it is no scan, in words that follow 'it'; empty if it may be one.
    """

    uid: str
    frames: tuple[Frame, ...]
    number: str = ""
    description: str = ""
    date: str = ""
    kernel: str = ""
    part: str = ""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    unfit: str = ""
    key: str = ""

    @property
    def is_volume(self) -> bool:
        """Whether the series can be read as a scan."""
        return not self.unfit and len(self.frames) >= WHOLE_VOLUME

    @cached_property
    def spacing(self) -> tuple[float, float, float] | None:
        """Voxel size along rows, down columns, and from slice to slice, in mm; None if it is unknown."""
        if self.unfit or len(self.frames) < 2:
            return None
        first = self.frames[0].plane
        heights = np.array([frame.plane.position for frame in self.frames]) @ first.normal
        return first.spacing[1], first.spacing[0], float(np.ptp(heights)) / (len(self.frames) - 1)

    @property
    def size(self) -> tuple[int, int, int]:
        """Columns, rows and slices; zeros without frames."""
        rows, columns = self.frames[0].shape if self.frames else (0, 0)
        return columns, rows, len(self.frames)

    def __str__(self) -> str:
        facts = [" x ".join(map(str, self.size[:2])) + f", {counted(len(self.frames), 'slice')}"] if self.frames else []
        if self.spacing:
            facts.append(" x ".join(f"{side:.3g}" for side in self.spacing) + " mm")
        facts += filter(None, [self.date, self.kernel and f"kernel {self.kernel}", self.part])
        name = f"'{self.description}'" if self.description else "no description"
        return f"{self.key or self.number or self.uid} {name}: {', '.join(facts)}"


@dataclass
class SeriesListing:
    """Series of a folder, or of one file."""

    series: list[Series] = field(default_factory=list)
    damaged: list[LeftOut] = field(default_factory=list)  # files whose series is unknown
    others: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # numbers of other objects, by kind


def find_series(files: Iterable[Path]) -> SeriesListing:
    """Find the series in files; DICOM objects that are no images are counted."""
    listing = SeriesListing()
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    for path in files:
        try:
            header = read_header(path)
        except NotDicom:
            continue
        except (DamagedDicom, OSError) as error:
            reason = str(error) if isinstance(error, DamagedDicom) else "cannot be opened"
            listing.damaged.append(LeftOut(path.name, reason))
            continue
        if kind := _other_object(header):
            listing.others[kind] += 1
        else:
            study, series = text(header.dataset, "StudyInstanceUID"), text(header.dataset, "SeriesInstanceUID")
            groups[study, series].add(header)
    for (_, uid), group in _with_single_slices_joined(_with_studies_joined(groups)).items():
        listing.series += group.series(uid)
    listing.series = _with_keys(sorted(listing.series, key=_sort_key))
    return listing


def _other_object(header: Header) -> str:
    if header.sop_class in _SEGMENTATION_CLASSES:
        return _OTHER_OBJECTS["SEG"]
    return _OTHER_OBJECTS.get(header.modality, "" if header.keyword or "Rows" in header.dataset else "no picture")


class _Group:
    """The frames of one Series Instance UID."""

    def __init__(self) -> None:
        self.headers: list[Header] = []
        self.frames: list[Frame] = []
        self.colour: list[LeftOut] = []
        self.left_out: list[LeftOut] = []
        self.notes: list[str] = []

    def add(self, header: Header) -> None:
        self.headers.append(header)
        if header.in_colour:
            self.colour.append(LeftOut(header.path.name, "is in colour"))
            return
        try:
            frames = frames_of(header)
        except MemoryError:
            raise
        except Exception as error:  # pydicom raises many kinds of error on damaged headers
            reason = str(error) if isinstance(error, DamagedDicom) else "is damaged"
            self.left_out.append(LeftOut(header.path.name, reason))
            return
        for frame in frames:
            if "LOCALIZER" in frame.image_type:
                self.left_out.append(LeftOut(frame.name, "is a scout"))
            else:
                self.frames.append(frame)

    def absorb(self, other: _Group) -> None:
        """Add the frames and files of another UID."""
        self.headers += other.headers
        self.frames += other.frames
        self.colour += other.colour
        self.left_out += other.left_out

    def series(self, uid: str) -> list[Series]:
        description = _description(uid, self.headers[0])
        if not self.frames:
            unfit = "is in colour" if self.colour else self.left_out[0].reason
            return [replace(description, left_out=(*self.colour, *self.left_out), unfit=unfit)]
        self.left_out += self.colour
        try:
            result = [
                replace(description, **_positioned(frames, ", ".join(filter(None, (patient, difference)))))
                for patient_frames, patient in _by_patient(self.frames)
                for frames, difference in _by_geometry(with_shared_values(patient_frames))
            ]
        except UnknownGeometry as error:
            return [replace(description, frames=tuple(self.frames), left_out=tuple(self.left_out), unfit=str(error))]
        return self._with_small_ones_left_out(_with_acquisitions(result))

    def _with_small_ones_left_out(self, found_series: list[Series]) -> list[Series]:
        """Keep the largest series and others that could be scans; the rest become left-out frames of the largest."""
        found_series.sort(key=lambda one: (not one.unfit, len(one.frames)), reverse=True)
        largest, *others = found_series
        kept = [one for one in others if one.is_volume and 2 * len(one.frames) >= len(largest.frames)]
        small = [
            LeftOut(frame.name, f"is of another kind ({one.part})" if one.part else one.unfit or "is of another kind")
            for one in others
            if one not in kept
            for frame in one.frames
        ]
        left_out = (*self.left_out, *small, *largest.left_out)
        part = largest.part if kept else ""
        return [replace(largest, left_out=left_out, notes=(*self.notes, *largest.notes), part=part), *kept]


def _description(uid: str, header: Header) -> Series:
    dates = (text(header.dataset, name) for name in ("SeriesDate", "AcquisitionDate", "ContentDate", "StudyDate"))
    date = next((date for date in dates if len(date) == 8 and date.isdigit()), "")
    return Series(
        uid,
        (),
        text(header.dataset, "SeriesNumber"),
        text(header.dataset, "SeriesDescription"),
        f"{date[:4]}-{date[4:6]}-{date[6:]}" if date else "",
        text(header.dataset, "ConvolutionKernel"),
    )


def _by_patient(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """The frames of each patient, most frames first; some anonymisers give the scans of all patients the same UIDs.

    Identifiers that differ from frame to frame are no patient's. Frames without one belong to the patient with most frames.
    """
    counts = Counter(frame.header.patient for frame in frames if frame.header.patient).most_common()
    if not 1 < len(counts) <= max(2, len(frames) // 8):
        return [(list(frames), "")]
    patients = [patient for patient, _ in counts]
    groups = [[frame for frame in frames if (frame.header.patient or patients[0]) == patient] for patient in patients]
    return [(group, f"patient {number} of {len(patients)}") for number, group in enumerate(groups, 1)]


def _by_geometry(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """Groups of frames of one size, orientation and pixel spacing, each with its difference from the largest group.

    Raises
    ------
    UnknownGeometry
        If there are more than `_MAX_GEOMETRIES` groups.
    """
    groups: list[list[Frame]] = []
    for frame in frames:
        matching = next((group for group in groups if not _difference(frame, group[0])), None)
        if matching is not None:
            matching.append(frame)
            continue
        if len(groups) == _MAX_GEOMETRIES:
            raise UnknownGeometry(
                f"shows pictures of more than {_MAX_GEOMETRIES} directions or sizes, as raw projections do"
            )
        groups.append([frame])
    groups.sort(key=len, reverse=True)
    return [(group, _difference(group[0], groups[0][0])) for group in groups]


def _difference(a: Frame, b: Frame) -> str:
    """The attribute in which two frames differ so that they cannot belong to one stack; empty if none does."""
    if a.shape != b.shape:
        return f"size {a.shape[1]} x {a.shape[0]}"
    for name, tolerance in (("orientation", _ORIENTATION_TOLERANCE), ("spacing", None)):
        one, other = getattr(a, name), getattr(b, name)
        if (one is None) != (other is None):
            return f"no {name}" if one is None else f"with {name}"
        if one != other:
            allowed = _SPACING_TOLERANCE * max(other) if tolerance is None else tolerance
            if not np.allclose(one, other, rtol=0, atol=allowed):
                return "another orientation" if name == "orientation" else f"pixel spacing {one[0]:.4g} x {one[1]:.4g}"
    return ""


def _positioned(frames: Sequence[Frame], part: str) -> dict:
    """Attributes of a series: its frames with positions, without copies."""
    try:
        positioned = with_positions(frames)
    except UnknownGeometry as error:
        return {"frames": tuple(frames), "part": part, "unfit": str(error)}
    kept, copies = without_duplicates(positioned.frames)
    notes = positioned.notes
    if copies:
        notes += (f"{counted(copies, 'exact copy')} of slices {'was' if copies == 1 else 'were'} left out.",)
    left_out = tuple(LeftOut(frame.name, "does not say where it lies") for frame in positioned.without)
    return {"frames": tuple(kept), "part": part, "notes": notes, "left_out": left_out}


def _with_acquisitions(found_series: list[Series]) -> list[Series]:
    """Split each series that holds several acquisitions."""
    result = []
    for one in found_series:
        if one.unfit or len(one.frames) < 2:
            result.append(one)
            continue
        parts = split_acquisitions(one.frames)
        for index, (frames, difference) in enumerate(parts):
            part = ", ".join(filter(None, (one.part, difference)))
            result.append(replace(one, frames=tuple(frames), part=part, left_out=one.left_out if index == 0 else ()))
    return result


def _with_studies_joined(groups: dict[tuple[str, str], _Group]) -> dict[tuple[str, str], _Group]:
    """Join files of one series UID, even if an anonymiser gave each of them a study UID of its own."""
    studies = Counter(series for _, series in groups)
    result: dict[tuple[str, str], _Group] = {}
    for (study, series), group in groups.items():
        if not series or studies[series] < _MIN_SINGLE_SLICES or len(group.headers) > 1:
            result[study, series] = group
        elif ("", series) in result:
            result["", series].absorb(group)
        else:
            result["", series] = group
    return result


def _with_single_slices_joined(groups: dict[tuple[str, str], _Group]) -> dict[tuple[str, str], _Group]:
    """Join single-slice series of programs that give each slice a series UID of its own.

    Study, date, size, orientation, spacing and modality must agree. Description and number must agree too where several
    slices share them. Patient IDs replace studies where an anonymiser gave each file a study of its own.
    """
    single_slices = {key: group for key, group in groups.items() if len(group.frames) == 1 and len(group.headers) == 1}
    studies = Counter(study for study, _ in single_slices)
    anonymised = max(studies.values(), default=0) == 1
    descriptions = {key: _description("", group.headers[0]) for key, group in single_slices.items()}
    shared = Counter(
        name for one in descriptions.values() for name in (("description", one.description), ("number", one.number))
    )
    by_attributes: dict[tuple, list[tuple[str, str]]] = defaultdict(list)
    for key, group in single_slices.items():
        frame, header = group.frames[0], group.headers[0]
        orientation = None if frame.orientation is None else tuple(np.round(frame.orientation, 2).tolist())
        spacing = None if frame.spacing is None else tuple(np.round(frame.spacing, 3).tolist())
        study = text(header.dataset, "PatientID") if anonymised else key[0]
        about = descriptions[key]
        names = (("description", about.description), ("number", about.number))
        shared_names = tuple(name for name in names if shared[name] >= _MIN_SINGLE_SLICES)
        attributes = (study, about.date, frame.shape, orientation, spacing, shared_names, header.modality)
        by_attributes[attributes].append(key)
    result = dict(groups)
    for keys in by_attributes.values():
        if len(keys) >= _MIN_SINGLE_SLICES:
            first = groups[keys[0]]
            for key in keys[1:]:
                first.absorb(groups[key])
                del result[key]
            first.notes.append(
                f"Each of {len(keys)} slices has a series UID of its own: they were taken as one series."
            )
    return result


def _sort_key(series: Series) -> tuple:
    return len(series.number), series.number, series.uid, series.part


def _with_keys(found_series: Sequence[Series]) -> list[Series]:
    """Series with keys: the number where it is unique, else the number and a counter."""
    same = defaultdict(list)
    for one in found_series:
        same[one.number].append(one)
    result = []
    for one in found_series:
        siblings = same[one.number]
        numbered = f"{one.number or 'unnumbered'}-{siblings.index(one) + 1}"
        result.append(replace(one, key=one.number if len(siblings) == 1 and one.number else numbered))
    return result


def left_out_note(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """One line for each reason, with the first names; details in brackets only where all files share them."""
    reasons: dict[str, list[LeftOut]] = defaultdict(list)
    for one in left_out:
        reasons[one.reason.partition(" (")[0]].append(one)
    notes = []
    for short_reason, group in reasons.items():
        reason = group[0].reason if len({one.reason for one in group}) == 1 else short_reason
        which = "it" if len(group) == 1 else "each"
        notes.append(f"Left out of the series, as {which} {reason}: {names_of(group)}.")
    return tuple(notes)
