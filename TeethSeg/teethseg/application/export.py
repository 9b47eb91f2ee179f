"""Exports: the formats and their options, how the files are made, and the messages about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import NOTICE, __version__
from ..anatomy import Notation, tooth
from ..errors import UsageError
from ..io.atomic_write import LONGEST_STEM
from ..volume import Volume
from .i18n import _
from .texts import files_text, flag_text, tooth_name, tooth_text

if TYPE_CHECKING:
    from ..cascade.predictions import ToothMaps
    from ..io.dicom_references import SourceSeries
    from ..surfaces.mesh_quality import Summary
    from .case import Case

SURFACES = ("stl", "ply", "obj", "glb")
DEFAULTS = {
    "format": "stl",
    "parts": "tooth",
    "space": "LPS",
    "smoothing": "light",
    "triangles": "all",
    "gap": "0",
    "inside": "solid",
    "naming": "fdi",
}
TABLE = "teeth.csv"  # of the measures, beside surfaces
_TRIANGLES = {"all": None, "half": 0.05, "few": 0.1}  # greatest distance to the full surface, mm
_GAPS = ("0", "0.1", "0.2", "0.3")  # mm
_APART = ("tooth", "jaw")  # parts in which teeth are separate bodies

ProgressCallback = Callable[[str, int, int], None]


def _quiet(_step: str, _done: int, _total: int) -> None:
    return None


@dataclass(frozen=True)
class Field:
    """An option: its key, its label, and its values with their texts."""

    key: str
    label: str
    options: Sequence[tuple[str, str]]


def fields(dicom: bool = False) -> list[Field]:
    """All that there is to choose; `dicom`: DICOM SEG may be left to Slicer's own writer."""
    from . import dicom_seg

    seg = dicom_seg.has_library() or (dicom and dicom_seg.has_plugin())
    formats = [
        ("stl", _("STL: surfaces for printing")),
        ("ply", _("PLY: surfaces")),
        ("obj", _("OBJ: surfaces")),
        ("glb", _("glTF: surfaces with colours")),
        ("seg.nrrd", _("Segmentation for 3D Slicer (.seg.nrrd)")),
        ("nii.gz", _("Label map with FDI numbers (.nii.gz)")),
        ("csv", _("Table of teeth and measures (.csv)")),
        ("json", _("Report (.json)")),
    ]
    return [
        Field("format", _("Format"), [*formats, *([("dcm", _("DICOM SEG"))] if seg else [])]),
        Field(
            "parts",
            _("Files"),
            [
                ("tooth", _("One for every tooth")),
                ("jaw", _("One for each jaw, teeth apart")),
                ("merged", _("One for each jaw, touching teeth joined")),
                ("bone", _("One for each jaw, teeth in the bone around their roots")),
            ],
        ),
        Field(
            "space",
            _("Coordinates"),
            [("LPS", _("LPS, as most programs expect")), ("RAS", _("RAS, as 3D Slicer itself"))],
        ),
        Field("smoothing", _("Smoothing"), [("none", _("None")), ("light", _("Light")), ("strong", _("Strong"))]),
        Field(
            "triangles",
            _("Triangles"),
            [("all", _("All")), ("half", _("Fewer, at most 0.05 mm off")), ("few", _("Few, at most 0.1 mm off"))],
        ),
        Field(
            "gap",
            _("Between teeth"),
            [(gap, _("{gap} mm of air").format(gap=gap) if gap != "0" else _("No gap")) for gap in _GAPS],
        ),
        Field("inside", _("Inside"), [("solid", _("Solid")), ("hollow", _("Pulp hollow"))]),
        Field("naming", _("File names"), [("fdi", _("FDI numbers")), ("universal", _("Universal numbers"))]),
    ]


def in_use(values: Mapping[str, str]) -> set[str]:
    """Keys of the fields that matter for the others' values."""
    if values["format"] not in SURFACES:
        return {"format"}
    return set(DEFAULTS) - (set() if values["parts"] in _APART else {"gap", "inside"})


@dataclass(frozen=True)
class ExportJob:
    """All that an export needs, taken from the scene, so that the user can go on while it is made.

    Attributes
    ----------
    values : mapping of str to str
        The fields' values.
    labels, scan : Volume
    maps : ToothMaps or None
    notation : {'fdi', 'universal', 'palmer'}
    stem : str
        Name of single files, without their ending.
    rows : sequence of dict
        Facts about each tooth.
    report : dict
    corrected : frozenset of int
        Teeth that a user has changed; known where it matters.
    source : SourceSeries or None
        The DICOM images of the scan, for a DICOM SEG.
    source_files : tuple of str
        Or the files of these images, which are looked at when the segmentation is written.
    """

    values: Mapping[str, str]
    labels: Volume
    scan: Volume
    maps: ToothMaps | None
    notation: Notation
    stem: str
    rows: Sequence[dict]
    report: dict
    corrected: frozenset[int] = frozenset()
    source: SourceSeries | None = None
    source_files: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The format."""
        return self.values["format"]

    @property
    def file_name(self) -> str:
        """Of the one file that it makes, if it makes no surfaces."""
        return f"{self.stem}.{self.kind}"

    @property
    def packed_name(self) -> str:
        """Of the one file that a page sends: surfaces are packed; without the name of the scan."""
        return "surfaces.zip" if self.kind in SURFACES else f"teeth.{self.kind}"


@dataclass(frozen=True)
class Written:
    """The files that were written, with checks and warnings.

    Attributes
    ----------
    files : tuple of Path
        Those that the user asked for.
    warnings : tuple of str
        A line each.
    summary : Summary or None
        Of the checks of surfaces.
    images : int or None
        DICOM images that a DICOM SEG refers to.
    """

    files: tuple[Path, ...]
    warnings: tuple[str, ...] = ()
    summary: Summary | None = None
    images: int | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The results of the checks, a line each."""
        if self.summary is not None:
            return (_summary_text(self.summary),)
        return () if self.images is None else (_source_text(self.images),)

    def text(self, folder: Path) -> str:
        """All of it in lines."""
        count = files_text(len(self.files))
        head = _("{files} written to {folder}.").format(files=count, folder=folder)
        return "\n".join([head, *self.lines, *self.warnings])


class Exporter:
    """Makes the files of a case.

    Parameters
    ----------
    case : Case
    source : callable, optional
        Given the scan, finds the DICOM images that it was read from; in Slicer's DICOM database unless given.
    """

    def __init__(self, case: Case, source: Callable[[Volume], SourceSeries | None] | None = None):
        self._case = case
        self._source = source

    def job(self, values: Mapping[str, str]) -> ExportJob:
        """The export of the teeth as they are in the scene now.

        Raises
        ------
        TeethSegError
            If there are no teeth, or the scan cannot be used.
        """
        case = self._case
        case.absorb_changes()
        scan = case.scan()
        labels = scan.with_array(case.labels())
        name = case.teeth_node.GetName()
        stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in name)[:LONGEST_STEM].strip() or "teeth"
        values = {**DEFAULTS, **values}
        report = self.report(labels) if values["format"] == "json" else {}
        seg = values["format"] == "dcm"
        files: tuple[str, ...] = ()
        if seg and self._source is None:
            from .dicom_seg import files_of

            files = files_of(case.volume_node)
        return ExportJob(
            values,
            labels,
            scan,
            case.maps,
            case.notation,
            stem,
            self.rows(labels),
            report,
            frozenset(case.corrected()) if seg else frozenset(),
            self._source(scan) if seg and self._source is not None else None,
            files,
        )

    def rows(self, labels: Volume | None = None) -> list[dict]:
        """Facts about each tooth, in the order of the FDI numbers."""
        from ..cascade.tooth_properties import measure

        case = self._case
        if labels is None:
            labels = case.scan().with_array(case.labels())
        measures = measure(labels)
        places = {place.fdi: place for place in case.chart() if place.present}
        return [
            {
                "fdi": fdi,
                "universal": tooth(fdi).universal,
                "palmer": tooth(fdi).palmer,
                "name": tooth(fdi).name,
                "volume_mm3": round(measures[fdi].volume_mm3, 1),
                "confidence": places[fdi].confidence,
                "flags": ", ".join(flag_text(flag) for flag in places[fdi].flags),
            }
            for fdi in sorted(measures)
            if fdi in places
        ]

    def report(self, labels: Volume) -> dict:
        """The report of the run with the teeth as they are now; one that is no longer as found is flagged so."""
        from ..cascade.dentition import TOUCHES_BORDER, FoundTooth
        from ..cascade.tooth_properties import measure
        from ..report import tooth_entry

        case = self._case
        changed = case.corrected() if case.report else set()
        places, rows = {place.fdi: place for place in case.chart()}, []
        for fdi, measures in sorted(measure(labels).items()):
            known = places[fdi]
            row = tooth_entry(
                FoundTooth(
                    fdi,
                    0.0 if known.confidence is None else known.confidence,
                    measures.volume_mm3,
                    measures.centroid_lps_mm,
                    known.second_fdi,
                    TOUCHES_BORDER in known.flags,
                    known.flags + (("corrected",) if fdi in changed else ()),
                )
            )
            if known.confidence is None:
                row["confidence"] = None  # a number that a user gave
            rows.append(row)
        return {"warnings": [], **case.report, "teeth": rows, "version": __version__, "notice": NOTICE}

    def dicom(self, job: ExportJob, folder: Path, progress: ProgressCallback = _quiet) -> Written:
        """A DICOM SEG; where highdicom is not installed, by Slicer's own writer, which works on the scene."""
        from . import dicom_seg

        if dicom_seg.has_library():
            return write(job, folder, progress=progress)
        case = self._case
        file = dicom_seg.write_by_slicer(folder, job.stem, case.teeth_node, case.volume_node, job.corrected)
        return Written((file,))


def make_folder(folder: Path) -> None:
    """Make the folder for the files, unless it is there.

    Raises
    ------
    UsageError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = _("The folder cannot be made ({reason}): choose another one.").format(reason=error.strerror)
        raise UsageError(text) from error


def table_titles() -> list[str]:
    """The columns of the table of teeth in a window."""
    return [_("Tooth"), _("Name"), _("mm³"), _("Sure"), _("Look at")]


def table_cells(row: Mapping, notation: Notation) -> tuple[str, ...]:
    """The cells of one of `Exporter.rows`."""
    fdi, confidence = row["fdi"], row["confidence"]
    sure = "" if confidence is None else f"{100 * confidence:.0f} %"
    return tooth_text(fdi, notation), tooth_name(fdi), f"{row['volume_mm3']:.0f}", sure, row["flags"]


def question(job: ExportJob, folder: Path) -> str:
    """The question before files are replaced; empty if there are none.

    Raises
    ------
    TeethSegError
        If the folder holds files that no export of TeethSeg wrote, and that would be in the way.
    """
    if job.kind not in SURFACES:
        if not (folder / job.file_name).exists():
            return ""
        return _("{name} is there already. Overwrite it?").format(name=job.file_name)
    from ..surfaces.files import check_surface_folder

    try:
        check_surface_folder(folder)
    except UsageError:
        check_surface_folder(folder, overwrite=True)
        return _("{folder} holds surfaces of an earlier export. Overwrite them?").format(folder=folder)
    return ""


def write(job: ExportJob, folder: Path, overwrite: bool = False, progress: ProgressCallback = _quiet) -> Written:
    """Make the files in a folder, each whole or not at all; uses nothing of the scene.

    Raises
    ------
    TeethSegError
        If they cannot be written.
    """
    if job.kind in SURFACES:
        return _write_surfaces(job, folder, overwrite, progress)
    file = folder / job.file_name
    if job.kind == "csv":
        from ..surfaces.measures import write_csv

        write_csv(file, measured_rows(job, progress))
    elif job.kind == "json":
        from ..io.atomic_write import written_whole
        from ..io.json_text import json_text

        with written_whole(file) as draft:
            draft.write_text(json_text(job.report, indent=2), encoding="utf-8")
    elif job.kind == "dcm":
        from ..io.dicom_seg import write_dicom_seg

        source = job.source or _source_of(job)
        write_dicom_seg(file, job.labels, None, job.notation, source, job.stem, job.corrected)
        return Written((file,), images=len(source.images) if source is not None else 0)
    else:
        from ..io.files import write_labels

        write_labels(file, job.labels, notation=job.notation)
    return Written((file,))


def _source_of(job: ExportJob) -> SourceSeries | None:
    from ..io.dicom_references import read_header, series_of

    headers = (read_header(Path(file)) for file in job.source_files)
    return series_of([header for header in headers if header is not None], job.scan)


def put_together(job: ExportJob, written: Written, path: Path) -> str:
    """Make one file of the files of an export: surfaces are packed; returns checks and warnings in lines."""
    if job.kind in SURFACES:
        pack(written.files[0].parent, path)
    else:
        written.files[0].replace(path)
    return "\n".join([*written.lines, *written.warnings])


def pack(folder: Path, path: Path) -> None:
    """Pack all files of a folder into one zip file."""
    import zipfile

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, file.relative_to(folder))


def _source_text(images: int) -> str:
    if not images:
        return _("The scan was not read from DICOM: the segmentation is a study of its own.")
    return _("It refers to the {count} DICOM images of the scan.").format(count=images)


def measured_rows(job: ExportJob, progress: ProgressCallback = _quiet) -> list[dict]:
    """Facts about each tooth, and its measures for planning."""
    from ..surfaces.measures import measure_teeth
    from ..surfaces.tooth_surfaces import tooth_surfaces

    made, _warnings = tooth_surfaces(job.labels, maps=job.maps, progress=progress)
    found = measure_teeth(job.labels, {fdi: one.mesh for fdi, one in made.items()})
    measures = {one.fdi: one.row() for one in found}
    # The facts about a tooth come first, then its measures.
    return [row | (measures.get(row["fdi"], {}) | row) for row in job.rows]


def _write_surfaces(job: ExportJob, folder: Path, overwrite: bool, progress: ProgressCallback) -> Written:
    from ..surfaces.export import export
    from ..surfaces.export_options import ExportOptions
    from ..surfaces.measures import write_csv

    values: dict[str, Any] = dict(job.values)  # each of them is a value that the option allows
    apart = values["parts"] in _APART
    options = ExportOptions(
        format=values["format"],
        parts=values["parts"],
        space=values["space"],
        smoothing=values["smoothing"],
        error_mm=_TRIANGLES[values["triangles"]],
        gap_mm=float(values["gap"]) if apart else 0.0,
        pulp=apart and values["inside"] == "hollow",
        naming=values["naming"],
    )
    result = export(folder, job.labels, options, overwrite, maps=job.maps, image=job.scan, progress=progress)
    write_csv(folder / TABLE, result.rows)
    return Written(result.files[:-1], result.warnings, result.summary)  # the manifest is no tooth


def _summary_text(checked: Summary) -> str:
    if not checked.meshes:
        return _("There are no surfaces.")
    return _(
        "{sound} of {count} surfaces are closed, manifold and free of crossings. Volumes are within {percent} % of the "
        "labels, 95 % of each surface within {distance} mm of its label."
    ).format(
        sound=checked.sound,
        count=checked.meshes,
        percent=f"{checked.volume_percent:.1f}",
        distance=f"{checked.distance_mm:.2f}",
    )
