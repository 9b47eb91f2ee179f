"""`OpenedScan`: a scan and teeth that a window reads from files itself, and where they came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..volume import Volume
from .case import Case
from .i18n import _
from .source import Source

if TYPE_CHECKING:
    from ..io.dicom_references import SourceSeries
    from ..io.label_schemes import LabelScheme


def read(source: Source) -> Volume:
    """A scan as `io.files` reads it, with the warnings of `io.scan_checks`.

    Raises
    ------
    SeveralSeries
        If it holds several scans: one is to be chosen.
    TeethSegError
        If it cannot be read, or is no scan.
    """
    from ..io.files import read_scan
    from ..io.scan_checks import check_scan

    volume = read_scan(source.path, source.series)
    return replace(volume, warnings=check_scan(volume))


class OpenedScan:
    """See module.

    Attributes
    ----------
    source : Source or None
    warnings : tuple of str
        About the scan, one line each.
    """

    def __init__(self, case: Case):
        self._case = case
        self.source: Source | None = None
        self.warnings: tuple[str, ...] = ()

    @property
    def _source(self) -> Source:
        assert self.source is not None, "no scan is open"
        return self.source

    @property
    def stem(self) -> str:
        """The name of the open scan without the ending of a file."""
        return self._source.stem

    def show(self, volume: Volume, source: Source) -> None:
        """Show a scan in place of the open one, whose work the caller has saved."""
        from ..mrml import volumes

        case = self._case
        case.show(None, None)
        case.scene.Clear(0)
        self.source, self.warnings = source, tuple(volume.warnings)
        case.show(volumes.node_of(case.scene, volume, source.stem), None)

    def facts(self) -> str:
        """Size and spacing, in words."""
        scan = self._case.scan()
        size = " x ".join(str(n) for n in scan.size)
        sides = [f"{side:.2g}" for side in scan.spacing]
        spacing = sides[0] if len(set(sides)) == 1 else " x ".join(sides)
        return _("{size} voxels of {spacing} mm").format(size=size, spacing=spacing)

    def series(self, scan: Volume) -> SourceSeries | None:
        """The DICOM images that the scan was read from, if it was."""
        from ..io.dicom_references import source_series

        source = self.source
        if source is None or not source.path.exists():
            return None
        return source_series(source.path, scan, source.series)

    def load_teeth(
        self, path: Path, report: dict | None = None, labels_are: LabelScheme | None = None
    ) -> tuple[str, ...]:
        """Read the teeth of the scan from a segmentation or label map, whoever made it.

        Parameters
        ----------
        path : Path
        report : dict, optional
            The report that was written with them.
        labels_are : str, optional
            The numbering of labels that neither names nor codes tell (`io.label_schemes`).

        Returns
        -------
        tuple of str
            Warnings, one line each.

        Raises
        ------
        InputError
            If it is unreadable, holds no teeth or lies elsewhere than the scan.
        """
        from ..io.files import read_teeth
        from ..mrml import segments, teeth
        from ..resampling import check_lies_in, labels_on_grid

        case, scan = self._case, self._case.scan()
        found = read_teeth(path, labels_are)
        warnings = (*found.warnings, *check_lies_in(found, scan, path.name, self._source.name))
        if path.name.lower().endswith(".seg.nrrd") and labels_are is None:
            node = self._loaded(path)
        else:
            node = teeth.show_labels(case.scene, labels_on_grid(found, scan).array, case.volume_node, case.notation)
        segmentation = node.GetSegmentation()
        if not segments.teeth_of(segmentation):
            case.scene.RemoveNode(node)
            raise InputError(f"{path.name} holds no teeth: give a segmentation that has some.")
        for row in (report or {}).get("teeth", ()):
            identity = teeth.segment_of(node, row["fdi"])
            if identity:
                evidence = segments.Evidence(row.get("confidence"), None, tuple(row.get("flags", ())))
                segments.set_evidence(segmentation.GetSegment(identity), evidence)
        case.show(case.volume_node, node)
        case.report = report or {}
        return warnings

    def _loaded(self, path: Path):
        """A `.seg.nrrd` with the colours, states and other segments that it holds."""
        import slicer

        from ..mrml import teeth

        case = self._case
        node = case.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{self.stem} teeth")
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(path))
        if not storage.ReadData(node):
            case.scene.RemoveNode(node)
            raise InputError(f"{path.name} cannot be shown: save it again with TeethSeg or 3D Slicer.")
        node.SetReferenceImageGeometryParameterFromVolumeNode(case.volume_node)
        node.CreateDefaultDisplayNodes()
        teeth.prepare(node)
        return node
