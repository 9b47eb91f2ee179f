"""The image series in a folder: which frames belong together, and what each series is.

Files may lie in sub-folders, in any order and under any name. A series as it is offered holds frames of one size,
orientation, pixel spacing and acquisition, whatever its Series Instance UID holds; what else was under that UID is a series
of its own, or left out by name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .acquisitions import parted, without_copies
from .frames import Frame, frames_of
from .headers import Damaged, Header, NotDicom, read_header
from .places import Unplaced, completed, normal_of, placed
from .values import text
from .wording import counted, names_of

WHOLE_VOLUME = 16  # slices from which on a series is taken for a volume rather than a scout or a screenshot
_MOST_KINDS = 100  # of pictures in a series; scouts, captures and several acquisitions are a few
_FEWEST_LONE = 3  # series of one slice each that may be one series together

# Objects that hold no picture of the patient, or one that was made from a scan.
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
_SAME_DIRECTION, _SAME_SPACING = 0.01, 2e-3  # of unit vectors; of the spacing


@dataclass(frozen=True)
class LeftOut:
    """A file or frame that is not used, and why: words that follow 'it'."""

    name: str
    why: str


@dataclass(frozen=True, eq=False)
class Series:
    """Frames that are offered together.

    Attributes
    ----------
    key : str
        What a user names it by: its number, or its UID or a number with a part where the number alone is not enough.
    uid, number, description, date, kernel : str
        As its files say.
    frames : tuple of Frame
        In the order in which they were found.
    part : str
        What tells it from others under the same UID.
    left_out : tuple of LeftOut
        What else was under its UID.
    notes : tuple of str
        What had to be assumed, for the user.
    unfit : str
        Why it is no scan, if it is none: words that follow 'it'.
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
        """Along rows, down columns, and from slice to slice, in mm; None if it is not known."""
        if self.unfit or len(self.frames) < 2:
            return None
        first = self.frames[0]
        heights = np.array([frame.position for frame in self.frames]) @ normal_of(first)
        return first.spacing[1], first.spacing[0], float(np.ptp(heights)) / (len(self.frames) - 1)

    @property
    def size(self) -> tuple[int, int, int]:
        """Columns, rows and slices; zeros if there is no frame that could be one."""
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
class Folder:
    """Series of a folder, or of one file."""

    series: list[Series] = field(default_factory=list)
    damaged: list[LeftOut] = field(default_factory=list)  # of no known series
    others: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # objects that are no pictures, by kind


def find_series(files: Iterable[Path]) -> Folder:
    """The series in files; whatever is no image is passed over, and counted."""
    found = Folder()
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    for path in files:
        try:
            header = read_header(path)
        except NotDicom:
            continue
        except (Damaged, OSError) as error:
            found.damaged.append(LeftOut(path.name, str(error) if isinstance(error, Damaged) else "cannot be opened"))
            continue
        if kind := _other_object(header):
            found.others[kind] += 1
        else:
            study, series = text(header.dataset, "StudyInstanceUID"), text(header.dataset, "SeriesInstanceUID")
            groups[study, series].add(header)
    for (_, uid), group in _with_lone_slices_joined(_with_studies_joined(groups)).items():
        found.series += group.series(uid)
    found.series = _named(sorted(found.series, key=_order))
    return found


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
        if header.in_colour:  # its bytes are counted in other ways, or are no greys
            self.colour.append(LeftOut(header.path.name, "is in colour"))
            return
        try:
            frames = frames_of(header)
        except MemoryError:
            raise
        except Exception as error:  # damaged headers make pydicom raise nearly anything
            self.left_out.append(LeftOut(header.path.name, str(error) if isinstance(error, Damaged) else "is damaged"))
            return
        for frame in frames:
            if "LOCALIZER" in frame.image_type:
                self.left_out.append(LeftOut(frame.name, "is a scout"))
            else:
                self.frames.append(frame)

    def take(self, other: _Group) -> None:
        """What is under another UID belongs here too."""
        self.headers += other.headers
        self.frames += other.frames
        self.colour += other.colour
        self.left_out += other.left_out

    def series(self, uid: str) -> list[Series]:
        about = _about(uid, self.headers[0])
        if not self.frames:
            unfit = "is in colour" if self.colour else self.left_out[0].why
            return [replace(about, left_out=(*self.colour, *self.left_out), unfit=unfit)]
        self.left_out += self.colour
        try:
            result = [
                replace(about, **_checked(frames, ", ".join(filter(None, (whose, why)))))
                for own, whose in _of_patients(self.frames)
                for frames, why in _alike(completed(own))
            ]
        except Unplaced as error:
            return [replace(about, frames=tuple(self.frames), left_out=tuple(self.left_out), unfit=str(error))]
        return self._with_small_ones_left_out(_with_acquisitions(result))

    def _with_small_ones_left_out(self, found: list[Series]) -> list[Series]:
        """The largest, and others that could be scans too; the rest become a remark on the largest."""
        found.sort(key=lambda one: (not one.unfit, len(one.frames)), reverse=True)
        largest, *others = found
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


def _about(uid: str, header: Header) -> Series:
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


def _of_patients(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """The frames of each patient, the most first: some anonymisers give the scans of all patients the same UIDs.

    Numbers of nearly each frame are no patients'; frames without one belong to the patient with most frames.
    """
    counts = Counter(frame.header.patient for frame in frames if frame.header.patient).most_common()
    if not 1 < len(counts) <= max(2, len(frames) // 8):
        return [(list(frames), "")]
    patients = [patient for patient, _ in counts]
    own = [[frame for frame in frames if (frame.header.patient or patients[0]) == patient] for patient in patients]
    return [(some, f"patient {at} of {len(patients)}") for at, some in enumerate(own, 1)]


def _alike(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """Frames of one size, orientation and pixel spacing each, with what tells a group from the largest.

    Raises
    ------
    Unplaced
        If nearly each frame is of a kind of its own.
    """
    groups: list[list[Frame]] = []
    for frame in frames:
        own = next((group for group in groups if not _difference(frame, group[0])), None)
        if own is None:
            if len(groups) == _MOST_KINDS:
                raise Unplaced(f"shows pictures of more than {_MOST_KINDS} directions or sizes, as raw projections do")
            groups.append([frame])
        else:
            own.append(frame)
    groups.sort(key=len, reverse=True)
    return [(group, _difference(group[0], groups[0][0])) for group in groups]


def _difference(a: Frame, b: Frame) -> str:
    """In what two frames cannot be of one stack; empty if in nothing."""
    if a.shape != b.shape:
        return f"size {a.shape[1]} x {a.shape[0]}"
    for name, tolerance in (("orientation", _SAME_DIRECTION), ("spacing", None)):
        one, other = getattr(a, name), getattr(b, name)
        if (one is None) != (other is None):
            return f"no {name}" if one is None else f"with {name}"
        if one != other:
            near = _SAME_SPACING * max(other) if tolerance is None else tolerance
            if not np.allclose(one, other, rtol=0, atol=near):
                return "another orientation" if name == "orientation" else f"pixel spacing {one[0]:.4g} x {one[1]:.4g}"
    return ""


def _checked(frames: Sequence[Frame], why: str) -> dict:
    """Attributes of a series: its frames in their places, without copies."""
    try:
        found = placed(frames)
    except Unplaced as error:
        return {"frames": tuple(frames), "part": why, "unfit": str(error)}
    kept, copies = without_copies(found.frames)
    notes = found.notes
    if copies:
        notes += (f"{counted(copies, 'exact copy')} of slices {'was' if copies == 1 else 'were'} left out.",)
    left_out = tuple(LeftOut(frame.name, "does not say where it lies") for frame in found.without)
    return {"frames": tuple(kept), "part": why, "notes": notes, "left_out": left_out}


def _with_acquisitions(found: list[Series]) -> list[Series]:
    """Each series that holds several acquisitions parted into these."""
    result = []
    for one in found:
        if one.unfit or len(one.frames) < 2:
            result.append(one)
            continue
        parts = parted(one.frames)
        for at, (frames, why) in enumerate(parts):
            part = ", ".join(filter(None, (one.part, why)))
            result.append(replace(one, frames=tuple(frames), part=part, left_out=one.left_out if at == 0 else ()))
    return result


def _with_studies_joined(groups: dict[tuple[str, str], _Group]) -> dict[tuple[str, str], _Group]:
    """A series UID is one series's, even if an anonymiser gave each of its files a study UID of its own."""
    studies = Counter(series for _, series in groups)
    result: dict[tuple[str, str], _Group] = {}
    for (study, series), group in groups.items():
        if not series or studies[series] < _FEWEST_LONE or len(group.headers) > 1:
            result[study, series] = group
        elif ("", series) in result:
            result["", series].take(group)
        else:
            result["", series] = group
    return result


def _with_lone_slices_joined(groups: dict[tuple[str, str], _Group]) -> dict[tuple[str, str], _Group]:
    """Some programs give each slice UIDs of its own: these are one series if study, size and place agree.

    Descriptions and numbers part them where slices share one, and so do studies: anonymisers give each file its own.
    """
    lone = {key: group for key, group in groups.items() if len(group.frames) == 1 and len(group.headers) == 1}
    studies = Counter(study for study, _ in lone)
    alone = max(studies.values(), default=0) == 1
    about = {key: _about("", group.headers[0]) for key, group in lone.items()}
    shared = Counter(name for one in about.values() for name in (("called", one.description), ("number", one.number)))
    alike: dict[tuple, list[tuple[str, str]]] = defaultdict(list)
    for key, group in lone.items():
        frame, header = group.frames[0], group.headers[0]
        look = None if frame.orientation is None else tuple(np.round(frame.orientation, 2).tolist())
        spacing = None if frame.spacing is None else tuple(np.round(frame.spacing, 3).tolist())
        study = text(header.dataset, "PatientID") if alone else key[0]
        names = (("called", about[key].description), ("number", about[key].number))
        told = tuple(name for name in names if shared[name] >= _FEWEST_LONE)
        alike[study, about[key].date, frame.shape, look, spacing, told, header.modality].append(key)
    result = dict(groups)
    for keys in alike.values():
        if len(keys) >= _FEWEST_LONE:
            first = groups[keys[0]]
            for key in keys[1:]:
                first.take(groups[key])
                del result[key]
            first.notes.append(
                f"Each of {len(keys)} slices has a series UID of its own: they were taken as one series."
            )
    return result


def _order(series: Series) -> tuple:
    return len(series.number), series.number, series.uid, series.part


def _named(found: Sequence[Series]) -> list[Series]:
    """Each with a key: its number where that is enough, else the number and a count, or the UID."""
    same = defaultdict(list)
    for one in found:
        same[one.number].append(one)
    result = []
    for one in found:
        own = same[one.number]
        at = own.index(one) + 1
        result.append(
            replace(one, key=one.number if len(own) == 1 and one.number else f"{one.number or 'unnumbered'}-{at}")
        )
    return result


def left_out_note(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """One line for each reason, with how many and the first names; details only where they are those of all."""
    reasons: dict[str, list[LeftOut]] = defaultdict(list)
    for one in left_out:
        reasons[one.why.partition(" (")[0]].append(one)
    notes = []
    for reason, own in reasons.items():
        why = own[0].why if len({one.why for one in own}) == 1 else reason
        which = "it" if len(own) == 1 else "each"
        notes.append(f"Left out of the series, as {which} {why}: {names_of(own)}.")
    return tuple(notes)
