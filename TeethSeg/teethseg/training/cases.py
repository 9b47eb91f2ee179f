"""Training cases resampled to the grid of a network, prepared once and cached on disk.

A cache entry is a folder of plain `.npy` files, which are memory-mapped: a sample reads only its own box, and processes share
the pages. The name of an entry is a hash of the case's files and of all settings, so a changed file is prepared again. An
entry appears when it is complete.

Own code and not MONAI's `PersistentDataset`: that names an entry by the path of a file and not by its content, writes it with
`torch.save`, which is a pickle, and reads the whole case for every sample: 200 MB at 0.4 mm, of which a patch needs 14.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..cascade.normalisation import first_levels
from ..cascade.region import Region
from ..errors import InputError, TeethSegError
from ..io.atomic_write import draft_folder, written_whole
from ..io.case_sources import CaseSource, case_of
from ..io.dicom.sniff import files_in
from ..io.files import read_scan, read_teeth
from ..io.json_text import json_text, read_json
from ..padding import patient_greys
from ..resampling import check_lies_in, labels_on_grid, resample_to_region
from ..structures import UNKNOWN_VALUE
from ..volume import Volume
from .targets import is_tooth

_FORM = 1  # version of the entries; entries of another version are prepared again
_STRIDE = 4  # between the voxels that a sample may be centred on
_FINE_STRIDE, _FINE_FROM = 2, 1.0  # the stride on grids with voxels of this size (mm) or more
_IN_MEMORY = 3_000_000_000  # bytes of cases that are kept in memory if there is no cache folder
_PIECE = 1 << 20  # bytes that are hashed at a time


@dataclass(frozen=True)
class TrainingCase:
    """A case on the isotropic grid of a network; it has either an `image` or, if it is simulated, `tissues`.

    Attributes
    ----------
    labels : ndarray of uint8, shape (Z, Y, X)
        FDI numbers, `SUPERNUMERARY`, `UNKNOWN`. This array and the next two may be memory-mapped.
    image : ndarray of float32, or None
    tissues : ndarray of uint8, or None
    patient : str
    soft : float
        Grey value of soft tissue in `image`.
    unerupted : tuple of int, optional
        Labels of unerupted teeth; None if eruption was not annotated.
    places : ndarray of int16, shape (N, 4)
        Tooth voxels that a sample may be centred on: label, z, y, x.
    darkest : float
        Lowest value of `image` or `tissues`, used beyond the borders of the array.
    """

    labels: np.ndarray
    image: np.ndarray | None
    tissues: np.ndarray | None
    patient: str
    soft: float = 0.0
    unerupted: tuple[int, ...] | None = None
    places: np.ndarray = field(default_factory=lambda: np.empty((0, 4), np.int16))
    darkest: float = 0.0

    @property
    def source(self) -> np.ndarray:
        """The tissues of a simulated case, otherwise the image."""
        chosen = self.image if self.tissues is None else self.tissues
        if chosen is None:
            raise ValueError("a training case has an image or tissues")
        return chosen

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, in memory or memory-mapped."""
        return sum(array.nbytes for array in (self.labels, self.image, self.tissues) if array is not None)


def load_case(source: CaseSource | Path, spacing: float | None) -> TrainingCase:
    """Read a case and bring it to an isotropic grid (axes z, y, x of the patient).

    Parameters
    ----------
    source : CaseSource or Path
    spacing : float or None
        Voxel size of the grid in mm; None keeps the voxels of the scan, with the axes nearest to z, y, x.

    Raises
    ------
    InputError
        If a file cannot be read, or teeth that nobody has finished, or that lie beside the scan, would be learned as no
        teeth.
    """
    source = case_of(source) if isinstance(source, Path) else source
    with source.opened() as files:
        labels = read_teeth(files.labels, files.labels_are, keep=("supernumerary", "unknown"))
        scan = read_scan(files.tissues or files.image, files.series if files.tissues is None else None)
    check_unfinished(source, labels)
    if spacing is None:
        return _on_own_voxels(source, scan, labels)
    region = Region.covering(scan, spacing)
    on_grid = _nearest(labels, region)
    _check_place(source, on_grid, labels, scan)
    places = places_of(on_grid, _FINE_STRIDE if spacing >= _FINE_FROM else _STRIDE)
    about: dict[str, Any] = {"patient": source.patient, "unerupted": source.unerupted, "places": places}
    if source.tissues:
        tissues = _nearest(scan, region)
        return TrainingCase(on_grid, None, tissues, darkest=float(tissues.min()), **about)
    greys = patient_greys(scan.array, scan.padding)
    image = resample_to_region(scan, region.origin, spacing, region.shape, greys.darkest, greys)
    return TrainingCase(on_grid, image, None, soft=first_levels(image)[0], darkest=float(image.min()), **about)


def check_unfinished(source: CaseSource, labels: Volume) -> tuple[str, ...]:
    """A note about teeth that nobody has completed or marked as missing, if there are any.

    Raises
    ------
    InputError
        If nothing is marked as unknown, so that they would be learned as no teeth.
    """
    if not source.unfinished:
        return ()
    names = ", ".join(map(str, source.unfinished))
    if (labels.array == UNKNOWN_VALUE).any():
        return (f"Not finished, so unknown (255) and not learned from: {names}.",)
    raise InputError(
        f"Not finished ({names}), but nothing is marked as unknown (255), so they would be learned as background: finish "
        "them, mark them as missing, or save the case again."
    )


def _on_own_voxels(source: CaseSource, scan: Volume, labels: Volume) -> TrainingCase:
    greys = patient_greys(scan.array, scan.padding)
    scan = scan.oriented()
    image = np.ascontiguousarray(greys.filled(scan.array), np.float32)
    on_grid = np.ascontiguousarray(labels_on_grid(labels, scan).array.astype(np.uint8))
    _check_place(source, on_grid, labels, scan)
    about: dict[str, Any] = {
        "patient": source.patient,
        "unerupted": source.unerupted,
        "places": places_of(on_grid, _STRIDE),
    }
    return TrainingCase(on_grid, image, None, soft=first_levels(image)[0], darkest=float(image.min()), **about)


def _check_place(source: CaseSource, on_grid: np.ndarray, labels: Volume, scan: Volume) -> None:
    """Refuse labels that lie beside their scan, which would be learned as a scan without teeth."""
    if not on_grid.any():
        check_lies_in(labels, scan, source.labels.name, (source.tissues or source.image).name)


def _nearest(volume: Volume, region: Region) -> np.ndarray:
    """A label map on a region grid, by nearest neighbour; uint8 (Z, Y, X)."""
    grid = region.volume(np.broadcast_to(np.uint8(0), region.shape))
    return labels_on_grid(volume.with_array(volume.array.astype(np.uint8)), grid).array


def places_of(labels: np.ndarray, stride: int) -> np.ndarray:
    """Tooth voxels, every `stride`-th along each axis, as `TrainingCase.places`."""
    coarse = labels[::stride, ::stride, ::stride]
    where = np.argwhere(is_tooth(coarse))
    return np.column_stack([coarse[tuple(where.T)], where * stride]).astype(np.int16)


class CaseStore:
    """Prepared cases, cached in a folder or, without one, in memory (3 GB at most).

    Parameters
    ----------
    spacing : float or None
        Voxel size of the grid in mm; None keeps the voxels of the scan.
    folder : Path, optional
        The cache; several processes and runs may share it.
    then : callable, optional
        Transform of a case after reading, such as `fixed_size.FixedSize`; its `repr` names all its settings.
    """

    def __init__(
        self,
        spacing: float | None,
        folder: Path | None = None,
        then: Callable[[TrainingCase], TrainingCase] | None = None,
    ):
        self.spacing, self.folder, self.then = spacing, folder, then
        self._kept: OrderedDict[str, TrainingCase] = OrderedDict()

    def get(self, source: CaseSource, load=load_case) -> TrainingCase:
        """A case from the cache; it is prepared if it is not there.

        Raises
        ------
        InputError
            If a file cannot be read.
        TeethSegError
            If the disk has no room for it.
        """
        if self.folder is None:
            return self._in_memory(source, load)
        entry = self.folder / self._key(source, self.folder)
        if not entry.exists():
            self._prepare(entry, self._loaded(source, load))
        return _read_entry(entry, source)

    def _loaded(self, source: CaseSource, load) -> TrainingCase:
        case = load(source, self.spacing)
        return case if self.then is None else self.then(case)

    def _in_memory(self, source: CaseSource, load) -> TrainingCase:
        key = str(source.files)
        if key not in self._kept:
            self._kept[key] = self._loaded(source, load)
            while len(self._kept) > 1 and sum(case.nbytes for case in self._kept.values()) > _IN_MEMORY:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _key(self, source: CaseSource, folder: Path) -> str:
        settings = [_FORM, self.spacing, source.labels_are, source.series, str(source.image), str(source.labels)]
        if source.archive is None:
            settings[-2:] = []  # paths do not count: the hash of the content does
        if self.then is not None:
            settings.append(repr(self.then))
        if source.unfinished:  # what was prepared when it was called finished is not taken
            settings.append("unfinished")
        return _digest([json_text(settings).encode(), _content(source, folder).encode()])[:32]

    def _prepare(self, entry: Path, case: TrainingCase) -> None:
        arrays = {"labels": case.labels, "image": case.image, "tissues": case.tissues, "places": case.places}
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with draft_folder(entry.parent) as draft:
                new = draft / "new"
                new.mkdir()
                for name, array in arrays.items():
                    if array is not None:
                        np.save(new / f"{name}.npy", array, allow_pickle=False)
                about = json_text({"soft": case.soft, "darkest": case.darkest})
                (new / "about.json").write_text(about, encoding="utf-8")
                if not entry.exists():  # another process may have written it meanwhile
                    new.rename(entry)
        except OSError as error:
            if entry.exists():
                return
            reason = error.strerror or "its disk may be full"  # numpy tells only how much was written
            raise TeethSegError(
                f"Prepared cases cannot be written to {entry.parent} ({reason}): free some space, or name another folder with "
                "--cache."
            ) from error


def _content(source: CaseSource, folder: Path) -> str:
    """SHA-256 of the files of a case; computed again only if their sizes or times change."""
    files = [one for path in source.files for one in (files_in(path) if path.is_dir() else [path])]
    state = [(str(path.resolve()), about.st_size, about.st_mtime_ns) for path in files for about in [_stat(path)]]
    known = folder / "contents" / _digest([json_text(state).encode()])[:32]
    if known.exists():
        return known.read_text(encoding="ascii")
    content = _digest(piece for path in files for piece in _pieces(path))
    known.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(known) as draft:
        draft.write_text(content, encoding="ascii")
    return content


def _read_entry(entry: Path, source: CaseSource) -> TrainingCase:
    def mapped(name: str) -> np.ndarray | None:
        file = entry / f"{name}.npy"
        return np.load(file, mmap_mode="r", allow_pickle=False) if file.exists() else None

    about = read_json(entry / "about.json")
    arrays: dict[str, Any] = {name: mapped(name) for name in ("labels", "image", "tissues")}
    places = np.load(entry / "places.npy", allow_pickle=False)
    return TrainingCase(**arrays, patient=source.patient, unerupted=source.unerupted, places=places, **about)


def _stat(path: Path):
    try:
        return path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error


def _pieces(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
