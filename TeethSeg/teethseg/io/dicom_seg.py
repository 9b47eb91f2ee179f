"""Writes and reads DICOM segmentations (SEG): a segment for every structure, with its DICOM codes.

They are written as BINARY segments, which 3D Slicer and every other program with DICOM SEG reads; empty planes of a segment
are left out. highdicom encodes and decodes the objects.

References
----------
DICOM PS3.3, A.51 (Segmentation IOD) and C.8.20 (Segmentation modules).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..anatomy import Notation
from ..errors import InputError, TeethSegError
from ..structures import STRUCTURES, Code, Structure, structure
from ..volume import Volume
from .atomic_write import written_whole
from .label_maps import LabelMap, looked_up, values_in, values_to_write
from .label_schemes import LabelScheme, SegmentInfo
from .seg_nrrd import segment_table

if TYPE_CHECKING:
    from highdicom import Volume as Planes
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.dataset import Dataset

    from .dicom_references import SourceSeries

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # binary or fractional; label map
_SERIES_NUMBER = 300
_AUTOMATIC = Code("DCM", "123110", "Artificial Intelligence")


def write_dicom_seg(
    path: str | Path,
    labels: Volume,
    numbers: Iterable[int] | None = None,
    notation: Notation = "fdi",
    source: SourceSeries | None = None,
    origin: str = "",
    edited: Collection[int] = (),
) -> None:
    """Write label values of `structures` as one DICOM SEG file.

    Parameters
    ----------
    path : path of the .dcm file
    labels : Volume
        FDI numbers (and values of other structures), 0 elsewhere, on the grid of the scan.
    numbers : iterable of int, optional
        The values to write; those found in `labels` unless given.
    notation : {'fdi', 'universal', 'palmer'}
        How teeth are named.
    source : SourceSeries, optional
        The DICOM images of the scan (`dicom_references.source_series`): the segmentation becomes part of their study and
        refers to them. Without them, it gets a study of its own, whose description names the scan.
    origin : str
        The name of the scan, for a study of its own.
    edited : collection of int
        Values that a user has changed are marked SEMIAUTOMATIC, the others AUTOMATIC.

    Raises
    ------
    UsageError, TeethSegError
        If the file cannot be written, or highdicom is not installed.
    """
    _check_installed()
    present = set(values_in(labels.array))
    values = sorted(present if numbers is None else present & set(numbers))
    with _silenced():
        dataset = _dataset(labels, values, notation, source, origin, set(edited))
        with written_whole(path) as draft:
            dataset.save_as(draft)


def read_dicom_seg(path: str | Path, scheme: LabelScheme | None = None) -> LabelMap:
    """Read a DICOM SEG file of any program on the grid of its own planes.

    Where segments overlap, teeth take precedence over other structures, and later teeth over earlier ones.

    Raises
    ------
    InputError
        If the file is damaged, no DICOM SEG, or its planes form no volume.
    """
    path = Path(path)
    _check_installed()
    from highdicom.seg import segread

    try:
        with _silenced():
            segments = segread(path)
            return _label_map(segments, path.name, scheme)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # highdicom and pydicom raise many kinds of error on damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path.name} is no DICOM segmentation that can be read ({reason}): export it again, or save it as .seg.nrrd."
        ) from error


def is_dicom_seg(path: Path) -> bool:
    """Whether a file is a DICOM segmentation."""
    import pydicom

    try:
        with _silenced():
            header = pydicom.dcmread(path, specific_tags=["SOPClassUID", "Modality"], stop_before_pixels=True)
        return header.get("SOPClassUID") in SEG_CLASSES
    except Exception:  # pydicom raises many kinds of error on damaged files
        return False


def _check_installed() -> None:
    """Refuse to go on without highdicom.

    3D Slicer has it from 5.12 on. TeethSeg does not install it there, because it would replace Slicer's pydicom.
    """
    if find_spec("highdicom") is None:
        raise TeethSegError(
            "DICOM segmentations need the package highdicom: run pip install highdicom (3D Slicer: take 5.12 or later)."
        )


def _dataset(
    labels: Volume, values: list[int], notation: Notation, source: SourceSeries | None, origin: str, edited: set[int]
) -> Segmentation:
    from highdicom import Volume as Planes
    from highdicom.seg import Segmentation
    from pydicom.uid import generate_uid

    described = [structure(value) for value in values] or [_nothing()]
    table = np.zeros(256, np.uint8)
    table[values] = np.arange(1, len(values) + 1)
    used = _used_planes(labels.array, table)
    images = list(_source_images(labels, source, origin, generate_uid))
    planes = Planes(
        looked_up(table, labels.array[used]),
        _plane_affine(labels, used.start),
        "PATIENT",
        images[0].FrameOfReferenceUID,
    )
    dataset = Segmentation(
        images,
        planes,
        "BINARY",
        [_description(n, one, notation, one.value in edited) for n, one in enumerate(described, 1)],
        series_instance_uid=generate_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="TeethSeg",
        manufacturer_model_name="TeethSeg",
        software_versions=__version__,
        device_serial_number="0",
        content_label="TEETH",
        content_description="Teeth outlined and numbered by TeethSeg. Research use.",
        series_description="TeethSeg teeth" if source else f"TeethSeg teeth of {origin}"[:64].strip(),
        omit_empty_frames=bool(values),
    )
    dataset.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, for Palmer's corners and for names
    _add_modifiers(dataset, described)
    if source is None:
        for name in ("ReferencedSeriesSequence", "SourceImageSequence"):
            if name in dataset:
                delattr(dataset, name)
    if source is None or not any(image.plane is not None for image in source.images):
        _without_derivation(dataset)
    return dataset


def _used_planes(array: np.ndarray, table: np.ndarray) -> slice:
    """From the first to the last plane with a voxel to write; the first plane if there is none."""
    used = [k for k, plane in enumerate(array) if table[plane].any()] or [0]
    return slice(used[0], used[-1] + 1)


def _plane_affine(labels: Volume, first: int) -> np.ndarray:
    """Affine from plane, row and column (highdicom's order) to LPS."""
    affine = np.eye(4)
    affine[:3, :3] = labels.affine[:3, 2::-1]
    affine[:3, 3] = labels.to_lps([first, 0, 0])
    return affine


def _source_images(labels: Volume, source: SourceSeries | None, origin: str, new_uid) -> Iterator[Dataset]:
    """Headers of the referenced images, as highdicom requires them; a placeholder without images."""
    from pydicom.dataset import Dataset

    now = datetime.now().astimezone()
    about = dict(source.about) if source else {"StudyDate": f"{now:%Y%m%d}", "StudyTime": f"{now:%H%M%S}"}
    if source is None:
        about["StudyDescription"] = f"Made by TeethSeg of {origin or 'a scan'}, which is no DICOM"[:64]
    study, frame = about.get("StudyInstanceUID") or new_uid(), (source and source.frame_of_reference_uid) or new_uid()
    series, modality = (source.series_uid, source.modality) if source else (new_uid(), "OT")
    rows = source.images if source else (None,)
    for image in rows:
        header = Dataset()
        header.SpecificCharacterSet = "ISO_IR 192"
        for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
                     "AccessionNumber", "ReferringPhysicianName"):  # fmt: skip
            setattr(header, name, about.get(name, ""))
        for name in ("PatientAge", "PatientSize", "PatientWeight", "StudyDescription"):
            if about.get(name):
                setattr(header, name, about[name])
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.Modality = modality
        header.SOPClassUID = image.class_uid if image else "1.2.840.10008.5.1.4.1.1.7"
        header.SOPInstanceUID = image.instance_uid if image else new_uid()
        header.Rows, header.Columns = labels.array.shape[1:]
        header.PixelSpacing = [_text(labels.spacing[1]), _text(labels.spacing[0])]
        header.SliceThickness = _text(labels.spacing[2])
        header.ImageOrientationPatient = [_text(part) for part in labels.direction[:, :2].T.ravel()]
        # Images that are no plane of the volume get a position far from every plane, so that highdicom matches none of them.
        plane = image.plane if image and image.plane is not None else -10 - 1 / 3
        header.ImagePositionPatient = [_text(part) for part in labels.to_lps([plane, 0, 0])]
        yield header


def _text(number: float) -> str:
    """A decimal string of DICOM: at most 16 characters."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(number))


def _description(number: int, one: Structure, notation: Notation, edited: bool) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.uid import generate_uid

    (row,) = segment_table([one.value], notation=notation)
    return SegmentDescription(
        segment_number=number,
        segment_label=row.name,
        segmented_property_category=_coded(one.category),
        segmented_property_type=_coded(one.code),
        algorithm_type="SEMIAUTOMATIC" if edited else "AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence("TeethSeg", _coded(_AUTOMATIC), __version__),
        tracking_id=row.id,
        tracking_uid=generate_uid(),
        anatomic_regions=[_coded(one.region)] if one.region else None,
        display_color=CIELabColor.from_rgb(*(round(255 * part) for part in one.colour)),
    )


def _nothing() -> Structure:
    """The segment of a segmentation without teeth: DICOM requires at least one."""
    return next(one for one in STRUCTURES.values() if one.key == "teeth")


def _coded(code: Code):
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def _add_modifiers(dataset: Segmentation, described: list[Structure]) -> None:
    """Add the sides of structures, for which highdicom has no argument."""
    for item, one in zip(dataset.SegmentSequence, described, strict=True):
        if one.modifier:
            item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_coded(one.modifier)]


def _without_derivation(dataset: Segmentation) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        if "DerivationImageSequence" in group:
            del group.DerivationImageSequence


def _label_map(segments: Segmentation, name: str, scheme: LabelScheme | None) -> LabelMap:
    infos = [_info(segments.get_segment_description(number)) for number in segments.segment_numbers]
    found, targets = values_to_write(infos, scheme, name)
    teeth = [one is not None and one.is_tooth for one in found.structures]
    # The highest number takes precedence in highdicom where segments overlap, so teeth come last.
    order = sorted(range(len(infos)), key=lambda n: teeth[n])
    planes = _planes(segments, [infos[n].value for n in order])
    table = np.zeros(len(order) + 1, np.min_scalar_type(max(targets, default=0)))
    table[1:] = [targets[n] for n in order]
    steps = planes.affine[:3, 2::-1]
    spacing = np.linalg.norm(steps, axis=0)
    volume = Volume(looked_up(table, planes.array), tuple(spacing), tuple(planes.affine[:3, 3]), steps / spacing)
    return LabelMap(volume, tuple(infos), found, name)


def _planes(segments: Segmentation, numbers: list[int]) -> Planes:
    """Segments as one label map, whose values are 1-based indices into `numbers`."""
    dtype = np.uint8 if len(numbers) < 256 else np.uint16
    if segments.segmentation_type.value != "FRACTIONAL":
        return segments.get_volume(
            segment_numbers=numbers, combine_segments=True, relabel=True, skip_overlap_checks=True, dtype=dtype
        )
    whole = None
    for value, number in enumerate(numbers, 1):
        shares = segments.get_volume(segment_numbers=[number], rescale_fractional=True)
        if whole is None:
            whole = shares.with_array(np.zeros(shares.array.shape[:3], dtype))
        whole.array[shares.array[..., 0] >= 0.5] = value
    assert whole is not None  # there are segments
    return whole


def _info(description: SegmentDescription) -> SegmentInfo:
    kind = description.SegmentedPropertyTypeCodeSequence[0]
    return SegmentInfo(
        str(description.get("SegmentLabel", "")),
        int(description.SegmentNumber),
        str(description.get("TrackingID", "")),
        _code_of(kind),
        _code_of(*kind.get("SegmentedPropertyTypeModifierCodeSequence", ())),
        _code_of(*description.get("AnatomicRegionSequence", ())),
    )


def _code_of(item: Dataset | None = None, *_more: Dataset) -> Code | None:
    """A coded entry; codes of SNOMED RT become those of SNOMED CT."""
    if item is None:
        return None
    from pydicom.sr._snomed_dict import mapping

    scheme, value = (
        str(item.get("CodingSchemeDesignator", "")),
        str(item.get("CodeValue", "") or item.get("LongCodeValue", "")),
    )
    if scheme in ("SRT", "SNM3", "99SDM"):
        scheme, value = "SCT", mapping["SRT"].get(value, value)
    return Code(scheme, value, str(item.get("CodeMeaning", "")))


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence the libraries' messages about odd files: the user gets one line from TeethSeg instead."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [one.level for one in loggers]
    try:
        for one in loggers:
            one.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
