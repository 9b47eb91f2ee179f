"""`Case`: the scan and the teeth that the panel shows, the chosen tooth, and every change to them.

The scene adapter is imported where it is used: it needs packages that Slicer may not have before the first run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import slicer

from ..anatomy import Notation
from ..cascade.dentition import UNCERTAIN_NUMBER, Dentition
from ..errors import TeethSegError
from ..volume import Volume
from .i18n import _
from .rerun_policy import plan
from .signals import Signal
from .texts import missing_text

Kind = Literal["info", "warning", "error"]
_MISSING = "TeethSeg.missing"  # attribute of the segmentation node: teeth that the patient does not have


class Case:
    """What all sections share.

    Attributes
    ----------
    changed : Signal
        The teeth, their names or states have changed, or another scan or segmentation was chosen.
    selected_changed : Signal
        Another tooth was chosen.
    said : Signal
        Something to tell the user about a change: text, kind ("info", "warning", "error").
    """

    def __init__(self, scene):
        self.scene = scene
        self.volume = None
        self.teeth = None
        self.maps = None  # of the last run on this scan; surfaces of teeth that it did not change are made from them
        self.selected: int | None = None
        self.changed = Signal()
        self.selected_changed = Signal()
        self.said = Signal()

    @property
    def editable(self) -> bool:
        """Whether there is a scan with a segmentation."""
        return self.volume is not None and self.teeth is not None

    def show(self, volume, teeth) -> None:
        """Take another scan or another segmentation (nodes or None)."""
        if volume is self.volume and teeth is self.teeth:
            return
        if teeth is not self.teeth:
            self.selected = None
        if volume is not self.volume:
            self.maps = None
        self.volume, self.teeth = volume, teeth
        self.changed.emit()

    def teeth_of(self, volume):
        """The newest segmentation that was made of a scan, or None."""
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        nodes = self.scene.GetNodesByClass("vtkMRMLSegmentationNode")
        nodes.UnRegister(self.scene)
        found = [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]
        mine = [node for node in found if volume is not None and node.GetNodeReferenceID(role) == volume.GetID()]
        return mine[-1] if mine else None

    def chart(self) -> list:
        """The places of the dentists' chart, see `mrml.chart`."""
        from ..mrml import chart

        return chart.chart(self.teeth)

    def present(self) -> list[int]:
        """FDI numbers of the teeth there are, in the chart's order."""
        return [place.fdi for place in self.chart() if place.present]

    def corrected(self) -> set[int]:
        """Teeth that were changed since TeethSeg found them, those taken out included."""
        if self.teeth is None:
            return set()
        from ..mrml import teeth

        return set(teeth.corrected(self.teeth))

    def scan(self) -> Volume:
        """The scan, in patient space."""
        from ..mrml import volumes

        return volumes.volume_of(self.volume)

    def labels(self) -> np.ndarray:
        """FDI numbers on the scan's grid."""
        from ..mrml import teeth

        return teeth.read_labels(self.teeth, self.volume)

    def select(self, fdi: int | None) -> None:
        """Choose a tooth."""
        if fdi != self.selected:
            self.selected = fdi
            self.selected_changed.emit()

    def centre(self, fdi: int) -> tuple[float, float, float] | None:
        """The middle of a tooth, RAS mm; None if it is not there."""
        if fdi not in self.present():
            return None
        from ..mrml import teeth

        return teeth.centre_ras(self.teeth, fdi)

    def index_of(self, ras) -> tuple[int, int, int]:
        """The voxel (z, y, x) of the scan at a point of the world, RAS mm; may lie outside."""
        ijk = np.linalg.inv(self.scan().affine) @ [-ras[0], -ras[1], ras[2], 1.0]
        return tuple(round(part) for part in ijk[2::-1])

    def edit(self, tool: Callable[[np.ndarray, Volume], Any]) -> bool:
        """Let a tool change the teeth; a reason why it cannot is said to the user.

        Parameters
        ----------
        tool : callable
            Given labels and scan, returns a `correction.edit.Edit`.

        Returns
        -------
        bool
            Whether it was done.
        """
        if not self.editable:
            self.said.emit(_("There are no teeth yet: segment a scan, or annotate by hand."), "warning")
            return False
        try:
            from ..mrml import teeth

            teeth.apply_edit(self.teeth, self.volume, tool(self.labels(), self.scan()))
        except TeethSegError as error:
            self.said.emit(str(error), "error")
            return False
        except ImportError as error:
            self.said.emit(missing_text(error), "error")
            return False
        self._refresh()
        return True

    def undo(self) -> None:
        """Take back the last change."""
        from ..mrml import teeth

        if self.teeth is not None and teeth.undo(self.teeth):
            self._refresh()

    def redo(self) -> None:
        """Do the change again that was taken back."""
        from ..mrml import teeth

        if self.teeth is not None and teeth.redo(self.teeth):
            self._refresh()

    def history(self) -> tuple[bool, bool]:
        """Whether there is something to undo, and something to redo."""
        if self.teeth is None:
            return False, False
        from ..mrml import teeth

        return teeth.can_undo(self.teeth), teeth.can_redo(self.teeth)

    def start_teeth(self, notation: Notation) -> None:
        """Make an empty segmentation of the scan, to annotate in."""
        from ..mrml.teeth import write_teeth

        scan = self.scan()
        nothing = Dentition(scan.with_array(np.zeros(scan.array.shape, np.uint8)))
        self.teeth = write_teeth(self.scene, nothing, self.volume, notation)
        self.changed.emit()

    def rename(self, notation: Notation) -> None:
        """Name all teeth in another notation."""
        if self.teeth is None:
            return
        from ..mrml import teeth

        teeth.rename(self.teeth, notation)
        self.changed.emit()

    def confirm(self, fdi: int) -> None:
        """The user says that the number of a tooth is right."""
        from ..mrml import segments, teeth

        known = teeth.evidence_of(self.teeth, fdi)
        flags = tuple(flag for flag in known.flags if flag != UNCERTAIN_NUMBER)
        segment = self.teeth.GetSegmentation().GetSegment(teeth.segment_of(self.teeth, fdi))
        segments.set_evidence(segment, segments.Evidence(flags=flags))
        self.changed.emit()

    def set_state(self, fdi: int, state: str) -> None:
        """Set how far the review of a tooth is: 'not_started', 'in_progress', 'completed' or 'flagged'."""
        from ..mrml import teeth

        teeth.set_state(self.teeth, fdi, state)
        self.changed.emit()

    def show_teeth(self, visible: Mapping[int, bool]) -> None:
        """Show or hide teeth, by FDI number."""
        from ..mrml import teeth

        display = self.teeth.GetDisplayNode()
        for fdi, shown in visible.items():
            display.SetSegmentVisibility(teeth.segment_of(self.teeth, fdi), shown)
        self.changed.emit()

    def missing(self) -> set[int]:
        """Teeth that were marked as missing in this patient."""
        text = (self.teeth.GetAttribute(_MISSING) or "") if self.teeth is not None else ""
        return {int(part) for part in text.split()}

    def set_missing(self, fdi: int, missing: bool) -> None:
        """Mark a place of the chart as a tooth that the patient does not have, or take the mark away."""
        numbers = self.missing() | {fdi} if missing else self.missing() - {fdi}
        self.teeth.SetAttribute(_MISSING, " ".join(str(number) for number in sorted(numbers)) or None)
        self.changed.emit()

    def take(
        self,
        found: Dentition,
        volume,
        teeth,
        asked: Iterable[int],
        approved: Iterable[int],
        labels: str,
        notation: Notation,
        show_3d: bool,
    ) -> Dentition:
        """Put a new result into the scene.

        Parameters
        ----------
        found : Dentition
            On the grid of the scan.
        volume : vtkMRMLScalarVolumeNode
            The scan.
        teeth : vtkMRMLSegmentationNode or None
            Earlier teeth of the scan, which are replaced; but single teeth never by position classes.
        asked : iterable of int
            FDI numbers to replace; the others stay.
        approved : iterable of int
            Corrected teeth that may be replaced all the same; other corrected ones stay, whenever they were corrected.
        labels : {'fdi', 'position'}
        notation : {'fdi', 'universal', 'palmer'}
        show_3d : bool
            Whether surfaces are shown.

        Returns
        -------
        Dentition
            What is in the scene now.

        Raises
        ------
        TeethSegError
            If the scan has changed meanwhile or cannot be used.
        """
        from ..cascade.merge_results import joined
        from ..mrml import segments
        from ..mrml import teeth as scene_teeth
        from ..mrml.chart import chart

        if teeth is not None and self.scene.GetNodeByID(teeth.GetID() or "") is not teeth:
            teeth = None
        if teeth is not None and labels != "fdi" and any(place.present for place in chart(teeth)):
            teeth = None  # single teeth hold more, and maybe work of the user: they stay beside the classes
        stays: frozenset[int] = frozenset()
        corrected: set[int] = set()
        if teeth is not None and labels == "fdi":
            places = {place.fdi: place for place in chart(teeth) if place.present}
            corrected = set(scene_teeth.corrected(teeth)) - set(approved)
            wanted = plan(frozenset(asked), places, corrected)
            stays = wanted.keep
            evidence = {fdi: scene_teeth.evidence_of(teeth, fdi) for fdi in stays}
            states = scene_teeth.states(teeth)
            found = joined(scene_teeth.read_labels(teeth, volume), found, stays, wanted.take)
        node = scene_teeth.write_teeth(self.scene, found, volume, notation, labels, teeth)
        for fdi in stays:
            segment = node.GetSegmentation().GetSegment(scene_teeth.segment_of(node, fdi))
            segments.put_state(segment, states[fdi])
            segments.set_evidence(segment, evidence[fdi])
            if fdi in corrected:
                segments.set_tag(segment, segments.DIGEST, "")  # still not as TeethSeg found it
        display = node.GetDisplayNode()
        display.SetVisibility3D(show_3d)
        self.volume, self.teeth = volume, node
        self.selected = self.selected if self.selected in self.present() else None
        self.changed.emit()
        return found

    def _refresh(self) -> None:
        if self.selected is not None and self.selected not in self.present():
            self.selected = None
            self.selected_changed.emit()
        self.said.emit("", "info")
        self.changed.emit()
