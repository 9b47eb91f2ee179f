"""The open case: a scan and its teeth, as arrays and as nodes of the Slicer scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer
from trame_slicer.core import SlicerApp
from undo_stack import Signal, SignalContainer

from .. import NOTICE, __version__
from ..anatomy import Notation
from ..application.source import Source
from ..boxes import Box
from ..cascade.dentition import TOUCHES_BORDER, Dentition, FoundTooth
from ..cascade.predictions import ToothMaps
from ..correction.edit import Edit
from ..errors import InputError, UsageError
from ..io.files import read_teeth
from ..io.label_schemes import LabelScheme
from ..mrml import content, segments, teeth, volumes
from ..pictures.views import placed_teeth
from ..report import entry_of
from ..resampling import check_lies_in, labels_on_grid
from ..volume import Volume


class Case(SignalContainer):
    """At most one scan at a time. `scan_changed` comes with a new one, `teeth_changed` with any change of its teeth."""

    scan_changed = Signal()
    teeth_changed = Signal()

    def __init__(self, app: SlicerApp):
        self._app = app
        self.source: Source | None = None
        self.volume: Volume | None = None
        self.volume_node: slicer.vtkMRMLScalarVolumeNode | None = None
        self.teeth_node: slicer.vtkMRMLSegmentationNode | None = None
        self.maps: ToothMaps | None = None  # of the last run; surfaces of teeth that nobody changed are made from them
        self.report: dict = {}  # of the run that found the teeth, as `report.report_of` makes it

    def open(self, volume: Volume, source: Source) -> None:
        """Take the place of whatever was open."""
        self.volume_node = self.teeth_node = None
        # Also before the first scan: pipelines made while the views were being built know no view.
        self._app.scene.Clear()
        self.volume, self.source, self.report, self.maps = volume, source, {}, None
        self.volume_node = volumes.node_of(self._app.scene, volume, source.stem)
        self.scan_changed()

    def put_teeth(self, dentition: Dentition, notation: Notation, report: dict | None = None) -> None:
        """Show what was found in the scan; teeth that were there are replaced, which can be undone."""
        self.teeth_node = teeth.write_teeth(
            self._app.scene, dentition, self.volume_node, notation, node=self.teeth_node
        )
        self.report = report or {}
        self.teeth_changed()

    def begin(self, notation: Notation) -> None:
        """Begin a dentition by hand: there are no teeth yet."""
        self.put_teeth(Dentition(self.volume.with_array(np.zeros(self.volume.array.shape, np.uint8))), notation)

    @property
    def has_teeth(self) -> bool:
        """Whether there is at least one."""
        return self.teeth_node is not None and bool(segments.teeth_of(self.teeth_node.GetSegmentation()))

    def labels(self, box: Box | None = None) -> np.ndarray:
        """FDI numbers on the grid of the scan, uint8 (Z, Y, X), in a box of it or everywhere; a copy.

        Raises
        ------
        UsageError
            If there are no teeth yet.
        """
        if self.teeth_node is None:
            raise UsageError("There are no teeth yet: segment the scan first.")
        return content.read(self.teeth_node, volumes.grid_of(self.volume_node, self.teeth_node), box)

    def edit(self, tool: Callable[..., Edit], *arguments, **options) -> tuple[int, ...]:
        """Use a tool of the library, which gets the label map first; returns the touched teeth."""
        return self.apply(tool(self.labels(), *arguments, **options))

    def apply(self, edit: Edit) -> tuple[int, ...]:
        """Change the teeth, as one step for `undo`; returns the touched ones."""
        touched = teeth.apply_edit(self.teeth_node, self.volume_node, edit)
        self.teeth_changed()
        return touched

    def load_teeth(
        self, path: Path, report: dict | None = None, labels_are: LabelScheme | None = None
    ) -> tuple[str, ...]:
        """Read the teeth of the open scan from a segmentation or label map, whoever made it.

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
            What was left out or is doubted, one line each.

        Raises
        ------
        InputError
            If it is unreadable, holds no teeth or lies elsewhere than the scan.
        """
        found = read_teeth(path, labels_are)
        warnings = (*found.warnings, *check_lies_in(found, self.volume, path.name, self.source.name))
        known = path.name.lower().endswith(".seg.nrrd") and labels_are is None
        if known:
            node = self._loaded(path)
        else:
            on_scan = labels_on_grid(found, self.volume)
            node = teeth.show_labels(self._app.scene, on_scan.array, self.volume_node)
        if not segments.teeth_of(node.GetSegmentation()):
            raise InputError(f"{path.name} holds no teeth: give a segmentation that has some.")
        segmentation = node.GetSegmentation()
        for row in (report or {}).get("teeth", ()):
            identity = teeth.segment_of(node, row["fdi"])
            if identity:
                evidence = segments.Evidence(row.get("confidence"), None, tuple(row.get("flags", ())))
                segments.set_evidence(segmentation.GetSegment(identity), evidence)
        self.teeth_node, self.report = node, report or {}
        self.teeth_changed()
        return warnings

    def _loaded(self, path: Path) -> slicer.vtkMRMLSegmentationNode:
        """A `.seg.nrrd` with the colours, states and other segments that it holds."""
        node = self._app.segmentations_logic.LoadSegmentationFromFile(str(path), True, f"{self.source.stem} teeth")
        if node is None:
            raise InputError(f"{path.name} cannot be shown: save it again with TeethSeg or 3D Slicer.")
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume_node)
        teeth.prepare(node)
        return node

    def current_report(self) -> dict:
        """The report of the run with the teeth as they are now; a tooth that is no longer as found is flagged so."""
        labels = self.volume.with_array(self.labels())
        changed = set(teeth.corrected(self.teeth_node)) if self.report else set()
        counts = sum(np.bincount(plane.ravel(), minlength=256) for plane in labels.array)
        rows = []
        for one in placed_teeth(labels):
            known = teeth.evidence_of(self.teeth_node, one.value)
            found = FoundTooth(
                one.value,
                0.0 if known.confidence is None else known.confidence,
                float(counts[one.value]) * labels.voxel_volume,
                tuple(one.centre.tolist()),
                known.second_fdi,
                TOUCHES_BORDER in known.flags,
                known.flags + (("corrected",) if one.value in changed else ()),
            )
            row = entry_of(found)
            if known.confidence is None:
                row["confidence"] = None  # a number that a user gave
            rows.append(row)
        return {"warnings": [], **self.report, "teeth": rows, "version": __version__, "notice": NOTICE}

    def undo(self) -> None:
        """Take back the last change of the teeth, if there is one."""
        if self.teeth_node is not None and teeth.undo(self.teeth_node):
            self.teeth_changed()

    def redo(self) -> None:
        if self.teeth_node is not None and teeth.redo(self.teeth_node):
            self.teeth_changed()
