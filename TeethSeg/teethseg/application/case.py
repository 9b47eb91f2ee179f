"""`Case`: a scan and its teeth, the chosen tooth, and every change to them; both windows share it.

The scene adapter is imported where it is used: it needs packages that Slicer may not have before the first run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from ..anatomy import Notation
from ..boxes import Box
from ..cascade.dentition import UNCERTAIN_NUMBER, Dentition
from ..correction.edit import Edit
from ..errors import TeethSegError, ToothError, UsageError
from ..volume import Volume
from .compute import Compute, at_once
from .failures import failure_text
from .i18n import _
from .rerun_policy import plan
from .signals import Signal
from .texts import teeth_text, tooth_text, voxels_text

if TYPE_CHECKING:
    from ..annotation.worklist import ToothState
    from ..cascade.predictions import ToothMaps
    from ..io.label_schemes import LabelScheme
    from ..io.seg_nrrd import Labelling
    from ..mrml.chart import ChartTooth
    from ..mrml.strokes import Snapshot, Stroke

# Attributes of the segmentation node: teeth that the patient does not have, the worklist of an annotator, and the teeth that
# a run found (`mrml.teeth.WRITTEN`).
MISSING, WORKLIST, WRITTEN = "TeethSeg.missing", "TeethSeg.worklist", "TeethSeg.written"
HARDLY = 0.2  # mm3: a change as small as that is pointed out


class Case:
    """See module.

    Parameters
    ----------
    scene : vtkMRMLScene
    compute : Compute, optional
        How the window does longer work; at once unless given.

    Attributes
    ----------
    volume_node, teeth_node : MRML nodes or None
        The scan and its segmentation.
    maps : ToothMaps or None
        Of the run that found these teeth; surfaces of those that nobody has changed are made from them.
    report : dict
        Of the run that found the teeth, as `report.report_of` makes it.
    selected : int or None
        FDI number of the chosen tooth.
    notation : {'fdi', 'universal', 'palmer'}
    protect : bool
        Whether painting leaves other teeth alone.
    leaving : Signal
        Another scan or segmentation is about to take the place of the present one.
    scan_changed : Signal
        Another scan, or none.
    about_to_change : Signal
        The teeth will change at once.
    changed : Signal
        The teeth, their names or states have changed, or another scan or segmentation was chosen.
    found : Signal
        A run's teeth have been put into the scene.
    edited : Signal
        Work was done that must not get lost: voxels, numbers or marks have changed.
    selected_changed : Signal
        Another tooth was chosen.
    busy_changed : Signal
        A tool has begun or ended its work.
    message : Signal
        Something to tell the user about a change: text, kind ("info", "warning", "error"), details.
    numbering_doubted : Signal
        A segmentation of another program was chosen whose tooth numbers are uncertain.
    """

    def __init__(self, scene, compute: Compute = at_once):
        self.scene = scene
        self.compute = compute
        self.volume_node: Any = None
        self.teeth_node: Any = None
        self.selected: int | None = None
        self.notation: Notation = "fdi"
        self.protect = True
        self.busy = False
        self.alone = False  # only the chosen tooth is shown
        self._known: Snapshot | None = None
        self._announced: int | None = None  # the chosen tooth that listeners know of
        self.leaving = Signal()
        self.scan_changed = Signal()
        self.about_to_change = Signal()
        self.changed = Signal()
        self.found = Signal()
        self.edited = Signal()
        self.selected_changed = Signal()
        self.busy_changed = Signal()
        self.message = Signal()
        self.numbering_doubted = Signal()

    # The scan and its teeth

    @property
    def by_hand(self) -> bool:
        """Whether the teeth are annotated by hand, so that one that is not there is simply not drawn yet."""
        return bool(self.attribute(WORKLIST)) and not self.attribute(WRITTEN)

    @property
    def editable(self) -> bool:
        """Whether there is a scan with a segmentation."""
        return self.volume_node is not None and self.teeth_node is not None

    @property
    def maps(self) -> ToothMaps | None:
        """Of the run that found these teeth; None if nothing is known of one."""
        return _run_of(self.teeth_node)[0]

    @maps.setter
    def maps(self, maps: ToothMaps | None) -> None:
        self.teeth_node.teethseg_run = (maps, self.report)

    @property
    def report(self) -> dict:
        """Of the run that found these teeth; empty if nothing is known of one."""
        return _run_of(self.teeth_node)[1]

    @report.setter
    def report(self, report: dict) -> None:
        self.teeth_node.teethseg_run = (self.maps, report)

    def show(self, volume_node, teeth_node) -> None:
        """Take another scan or another segmentation (nodes or None)."""
        if volume_node is self.volume_node and teeth_node is self.teeth_node:
            return
        self.leaving.emit()
        another = volume_node is not self.volume_node
        if teeth_node is not self.teeth_node:
            self.selected = self._announced = None
            self.alone = False
        self.volume_node, self.teeth_node = volume_node, teeth_node
        self.remember_teeth()
        if another:
            self.scan_changed.emit()
        self.changed.emit()
        self._say_warnings()

    def _say_warnings(self) -> None:
        """Tell the user which teeth of another program's segmentation have uncertain numbers."""
        if self.editable:
            from ..mrml import teeth

            lines = teeth.numbering_warnings(self.teeth_node)
            if lines:
                self.message.emit("\n".join(lines), "warning", "")
                self.numbering_doubted.emit()

    def number_as(self, scheme: LabelScheme) -> None:
        """Name the segments by the numbering that the user chose."""
        from ..mrml import teeth

        teeth.number_as(self.teeth_node, scheme)
        self.remember_teeth()
        self.message.emit("", "info", "")
        self.changed.emit()
        self._say_warnings()

    def teeth_of(self, volume_node):
        """The newest segmentation that was made of a scan, or None."""
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        nodes = self.scene.GetNodesByClass("vtkMRMLSegmentationNode")
        nodes.UnRegister(self.scene)
        found = [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]
        mine = [n for n in found if volume_node is not None and n.GetNodeReferenceID(role) == volume_node.GetID()]
        return mine[-1] if mine else None

    def matching(self, volume_node, teeth_node) -> tuple:
        """Scan and teeth that belong together, of those that the user chose: the one chosen last brings the other along."""
        scan = scan_of(teeth_node)
        foreign = scan is not None and scan is not volume_node
        if volume_node is not self.volume_node and (teeth_node is None or foreign):
            return volume_node, self.teeth_of(volume_node)
        if teeth_node is not self.teeth_node and foreign:
            return scan, teeth_node
        return volume_node, teeth_node

    def chart(self) -> list[ChartTooth]:
        """The places of the dentists' chart, see `mrml.chart`."""
        from ..mrml import chart

        return chart.chart(self.teeth_node)

    def place(self, fdi: int | None) -> ChartTooth | None:
        """A place of the chart."""
        return next((place for place in self.chart() if place.fdi == fdi), None)

    def present(self) -> list[int]:
        """FDI numbers of the teeth there are, in the chart's order."""
        return [place.fdi for place in self.chart() if place.present]

    def corrected(self) -> set[int]:
        """Teeth that were changed since TeethSeg found them, those taken out included."""
        if self.teeth_node is None:
            return set()
        from ..mrml import teeth

        return set(teeth.corrected(self.teeth_node))

    def scan(self) -> Volume:
        """The scan in patient space; its array is the node's own, not a copy.

        Raises
        ------
        UsageError
            If there is none.
        InputError
            If it cannot be used.
        """
        if self.volume_node is None:
            raise UsageError(_("There is no scan yet: open one first."))
        from ..mrml import volumes

        return volumes.volume_of(self.volume_node)

    def labels(self, box: Box | None = None) -> np.ndarray:
        """FDI numbers on the scan's grid, in a box of it or everywhere; a copy.

        Raises
        ------
        UsageError
            If there are no teeth yet.
        """
        if not self.editable:
            raise UsageError(_("There are no teeth yet: segment a scan, or annotate by hand."))
        from ..mrml import content, volumes

        return content.read(self.teeth_node, volumes.grid_of(self.volume_node, self.teeth_node), box)

    def tooth_grey_range(self) -> tuple[float, float]:
        """Grey values between which the teeth of this scan lie.

        Raises
        ------
        TeethSegError
            If the scan cannot be used.
        """
        from ..annotation import start_threshold

        scan = self.scan()
        return start_threshold(scan.array, scan.spacing_zyx, self.labels(), scan.padding)

    def number(self, fdi: int) -> str:
        """A tooth's number as the user reads numbers."""
        return tooth_text(fdi, self.notation)

    def centre(self, fdi: int) -> tuple[float, float, float] | None:
        """The middle of a tooth, RAS mm; None if it is not there."""
        if fdi not in self.present():
            return None
        from ..mrml import teeth

        return teeth.centre_ras(self.teeth_node, fdi)

    def index_of(self, ras) -> tuple[int, int, int]:
        """The voxel (z, y, x) of the scan at a point of the world, RAS mm; may lie outside."""
        k, j, i = self.scan().to_index([-ras[0], -ras[1], ras[2]]).round().astype(int).tolist()
        return k, j, i

    def tooth_at(self, ras) -> int | None:
        """The tooth at a point of the world, RAS mm."""
        index = self.index_of(ras)
        if not self.editable or not all(0 <= i < n for i, n in zip(index, self.scan().array.shape, strict=True)):
            return None
        return int(self.labels(tuple(slice(i, i + 1) for i in index)).item()) or None

    def tooth_near(self, ras, reach: float = 1.5) -> int | None:
        """The tooth at a point of the world, RAS mm, or the nearest one within `reach` mm: points on surfaces lie beside it."""
        if not self.editable:
            return None
        from ..mrml import content, volumes

        scan = self.scan()
        index = np.array(self.index_of(ras))
        around = np.ceil(reach / np.array(scan.spacing_zyx)).astype(int)
        low, high = np.maximum(index - around, 0), np.minimum(index + around + 1, scan.array.shape)
        if (low >= high).any():
            return None
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        here = content.read(self.teeth_node, volumes.grid_of(self.volume_node, self.teeth_node), box)
        places = np.argwhere(here)
        if not len(places):
            return None
        away = np.linalg.norm((places + low - index) * scan.spacing_zyx, axis=1)
        nearest = int(away.argmin())
        return int(here[tuple(places[nearest])]) if away[nearest] <= reach else None

    # Selection and visibility

    def select(self, fdi: int | None) -> None:
        """Choose a tooth."""
        self.selected = fdi
        self._announce()

    def show_teeth(self, visible: Mapping[int, bool]) -> None:
        """Show or hide teeth, by FDI number."""
        from ..mrml import teeth

        display = self.teeth_node.GetDisplayNode()
        for fdi, shown in visible.items():
            display.SetSegmentVisibility(teeth.segment_of(self.teeth_node, fdi), shown)
        self.changed.emit()

    def reveal(self, numbers: Iterable[int]) -> None:
        """Show those of these teeth that are hidden: they were painted, and nobody sees how."""
        hidden = {
            place.fdi: True for place in self.chart() if place.fdi in numbers and place.present and not place.visible
        }
        if hidden:
            self.show_teeth(hidden)

    def show_selected(self, shown: bool) -> None:
        """Show or hide the chosen tooth."""
        if self.selected is not None:
            self.show_teeth({self.selected: shown})

    def show_only_selected(self, alone: bool) -> None:
        """Hide all teeth but the chosen one, whichever that is from now on, or show all."""
        self.alone = alone
        if alone:
            self._show_alone()
        else:
            self.show_teeth(dict.fromkeys(self.present(), True))

    def rename(self, notation: Notation) -> None:
        """Name all teeth in another notation."""
        self.notation = notation
        if self.teeth_node is not None:
            from ..mrml import teeth

            teeth.rename(self.teeth_node, notation)
        self.changed.emit()

    # Changes

    def edit(
        self,
        tool: Callable[[np.ndarray, Volume], Edit],
        name: str = "",
        then: Callable[[], None] = lambda: None,
        otherwise: Callable[[], None] = lambda: None,
        attributes: Mapping[str, str | None] | None = None,
        select: int | None = None,
    ) -> None:
        """Let a tool change the teeth, as one step; the user is told if it cannot.

        Parameters
        ----------
        tool : callable
            Given labels and scan, returns a `correction.edit.Edit`.
        name : str
            Of the step, e.g. '44 to 43'.
        then, otherwise : callable
            Called once the teeth have changed, or once the user is told why they have not.
        attributes : mapping, optional
            Attributes of the segmentation that change along with the teeth.
        select : int, optional
            The tooth to choose afterwards.
        """
        if not self.editable:
            self.message.emit(_("There are no teeth yet: segment a scan, or annotate by hand."), "warning", "")
            return
        if self.busy:
            self.message.emit(_("Another tool is at work: wait for it."), "warning", "")
            return
        node, volume_node = self.teeth_node, self.volume_node

        def done(edit: Edit) -> None:
            self._set_busy(False)
            if self.teeth_node is not node or self.volume_node is not volume_node:
                return  # another case was opened meanwhile
            try:
                self.absorb_changes()
                unchanged = np.array_equal(self.labels(edit.box), labels[edit.box])
            except (TeethSegError, ImportError) as error:
                self.tell(error)
                otherwise()
                return
            if not unchanged:  # by a brush, or by a run that ended meanwhile: the tool has not seen it
                text = _("The teeth were changed while the tool was at work, so it changed nothing: try again.")
                self.message.emit(text, "warning", "")
                otherwise()
                return
            if not self.apply(edit, name, attributes, select):
                self.message.emit(_("Nothing was changed: the tool found nothing to do here."), "warning", "")
                otherwise()
                return
            voxels = int(np.count_nonzero(labels[edit.box] != edit.labels))
            if voxels * scan.voxel_volume < HARDLY:
                text = _("Hardly anything was changed: {voxels}.").format(voxels=voxels_text(voxels))
                self.message.emit(text, "info", "")
            then()

        def failed(error: Exception) -> None:
            self._set_busy(False)
            self.tell(error)
            otherwise()

        try:
            self.absorb_changes()
            labels, scan = self.labels(), self.scan()
        except (TeethSegError, ImportError) as error:
            self.tell(error)
            return
        self._set_busy(True)
        self.compute(lambda: tool(labels, scan), done, failed)

    def tell(self, error: Exception) -> None:
        """Tell the user the reason of an error, in the notation of the windows."""
        if isinstance(error, ToothError):
            error = UsageError(error.text(self.number))
        self.message.emit(*failure_text(error))

    def apply(
        self, edit: Edit, name: str = "", attributes: Mapping[str, str | None] | None = None, select: int | None = None
    ) -> bool:
        """Put a change that is ready into the scene as one step, see `edit`; returns whether it changes anything."""
        from ..mrml import teeth

        self.about_to_change.emit()
        if not teeth.apply_edit(self.teeth_node, self.volume_node, edit, name, dict(attributes or {})):
            return False
        if select is not None:
            self.selected = select
        self._after_work()
        return True

    def undo(self) -> None:
        """Undo the last step, whatever it was."""
        from ..mrml import teeth

        self._go(teeth.undo, back=True)

    def redo(self) -> None:
        """Redo the step that was undone last."""
        from ..mrml import teeth

        self._go(teeth.redo, back=False)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        if self.teeth_node is None:
            return False
        from ..mrml import teeth

        return teeth.can_undo(self.teeth_node)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        if self.teeth_node is None:
            return False
        from ..mrml import teeth

        return teeth.can_redo(self.teeth_node)

    def steps(self) -> tuple[str, str]:
        """Names of the steps to undo and to redo; empty if there is none."""
        if self.teeth_node is None:
            return "", ""
        from ..mrml import teeth

        return teeth.undo_name(self.teeth_node), teeth.redo_name(self.teeth_node)

    def start_teeth(self) -> None:
        """Make an empty segmentation of the scan, to annotate in."""
        from ..mrml.teeth import write_teeth

        scan = self.scan()
        nothing = Dentition(scan.with_array(np.zeros(scan.array.shape, np.uint8)))
        self.show(self.volume_node, write_teeth(self.scene, nothing, self.volume_node, self.notation))

    def confirm(self, fdi: int) -> None:
        """The user says that the number of a tooth is right."""
        from ..mrml import segments, teeth

        with self.marking(_("{tooth} confirmed").format(tooth=self.number(fdi)), [fdi]):
            known = teeth.evidence_of(self.teeth_node, fdi)
            flags = tuple(flag for flag in known.flags if flag != UNCERTAIN_NUMBER)
            segment = self.teeth_node.GetSegmentation().GetSegment(teeth.segment_of(self.teeth_node, fdi))
            segments.set_evidence(segment, segments.Evidence(flags=flags))

    def set_state(self, fdi: int, state: ToothState) -> None:
        """Set how far the review of a tooth is: 'not_started', 'in_progress', 'completed' or 'flagged'."""
        from ..mrml import teeth

        names = {
            "completed": _("{tooth} done"),
            "flagged": _("{tooth} flagged"),
        }
        with self.marking(names.get(state, _("{tooth} not done")).format(tooth=self.number(fdi)), [fdi]):
            teeth.set_state(self.teeth_node, fdi, state)

    @property
    def straight(self) -> bool:
        """Whether the scan is under the transform that `straighten` makes."""
        if self.volume_node is None or self.volume_node.GetParentTransformNode() is None:
            return False
        from ..mrml import head

        return head.is_straight(self.volume_node)

    def straighten(self, wanted: bool) -> None:
        """Level the occlusal plane and turn the midline forwards by a transform, or take that away; nothing is resampled."""
        from ..mrml import head

        if wanted:
            head.straighten(self.scene, self.volume_node, self.scan().with_array(self.labels()))
        else:
            head.turn_back(self.scene, self.volume_node)
        self.changed.emit()

    def missing(self) -> set[int]:
        """Teeth that were marked as missing in this patient, but for places that other teeth have been given since."""
        return {int(part) for part in self.attribute(MISSING).split()}.difference(self.present())

    def attribute(self, name: str) -> str:
        """An attribute of the segmentation; empty if there is none."""
        return (self.teeth_node.GetAttribute(name) or "") if self.teeth_node is not None else ""

    def set_missing(self, fdi: int, missing: bool) -> None:
        """Mark a place of the chart as a tooth that the patient does not have, or take the mark away."""
        name = _("{tooth} missing") if missing else _("{tooth} not marked missing")
        with self.marking(name.format(tooth=self.number(fdi)), attributes=[MISSING]):
            self.teeth_node.SetAttribute(MISSING, self.missing_with(fdi, missing))

    def missing_with(self, fdi: int, missing: bool = True) -> str | None:
        """The mark of missing teeth with one more, or one less, as it is kept."""
        numbers = self.missing() | {fdi} if missing else self.missing() - {fdi}
        return " ".join(str(number) for number in sorted(numbers)) or None

    @contextmanager
    def marking(self, name: str, teeth: Iterable[int] = (), attributes: Iterable[str] = ()) -> Iterator[None]:
        """Make one step of all that the block changes in these teeth's tags and the segmentation's attributes."""
        from ..mrml import teeth as scene_teeth

        self.absorb_changes()
        with scene_teeth.marking(self.teeth_node, name, teeth, attributes):
            yield
        self.changed.emit()
        self.edited.emit()

    def absorb_changes(self) -> None:
        """Make steps of changes by other modules, such as brush strokes of Slicer's Segment Editor."""
        if not self.editable:
            return
        from ..mrml import strokes

        now = strokes.snapshot(self.teeth_node, self.volume_node)
        if self._known is None:
            self._known = now
            return
        stroke = strokes.absorb(self.teeth_node, self._known, now, self.protect, self._stroke_name)
        self._known = now if stroke is None else strokes.snapshot(self.teeth_node, self.volume_node)
        if stroke is None:
            return
        self.reveal((*stroke.gained, *stroke.lost))
        self.changed.emit()
        self.edited.emit()
        if stroke.given_back:
            text = _("Other teeth were not painted over ({voxels}): protecting them can be switched off.")
            self.message.emit(text.format(voxels=voxels_text(stroke.given_back)), "info", "")

    def snapshot(self) -> Snapshot | None:
        """The teeth as they are now, with all that is known of them; None if there are none yet."""
        self.absorb_changes()
        return self._known if self.editable else None

    def remember_teeth(self) -> None:
        """Remember the teeth as they are now, for `absorb_changes` to compare with."""
        self._known = None
        if self.editable:
            from ..mrml import strokes

            try:
                self._known = strokes.snapshot(self.teeth_node, self.volume_node)
            except TeethSegError:
                self._known = None  # said when the scan is used

    def take_result(
        self,
        found: Dentition,
        volume_node,
        teeth_node,
        requested: Iterable[int],
        approved: Iterable[int],
        labels: Labelling,
        show_3d: bool,
        maps: ToothMaps | None = None,
        report: dict | None = None,
    ) -> Dentition:
        """Put a new result into the scene; if another scan was chosen meanwhile, that one stays the chosen one.

        Parameters
        ----------
        found : Dentition
            On the grid of the scan.
        volume_node : vtkMRMLScalarVolumeNode
            The scan.
        teeth_node : vtkMRMLSegmentationNode or None
            Earlier teeth of the scan, which are replaced; but single teeth never by position classes.
        requested : iterable of int
            FDI numbers to replace; the others stay.
        approved : iterable of int
            Corrected teeth that may be replaced all the same; other corrected ones stay, whenever they were corrected.
        labels : {'fdi', 'position'}
            Single teeth, or the eight position classes.
        show_3d : bool
            Whether surfaces are shown.
        maps : ToothMaps, optional
        report : dict, optional
            Of the run, kept with its teeth.

        Returns
        -------
        Dentition
            The teeth in the scene now.

        Raises
        ------
        TeethSegError
            If the scan has changed meanwhile or cannot be used.
        """
        from ..cascade.merge_results import merged_result
        from ..mrml import segments
        from ..mrml import teeth as scene_teeth
        from ..mrml.chart import chart

        self.absorb_changes()
        if teeth_node is not None and self.scene.GetNodeByID(teeth_node.GetID() or "") is not teeth_node:
            teeth_node = None
        if teeth_node is not None and labels != "fdi" and any(place.present for place in chart(teeth_node)):
            # Single teeth hold more, and maybe work of the user: they stay beside the classes, but out of sight.
            teeth_node.GetDisplayNode().SetVisibility(False)
            teeth_node = None
        stays: frozenset[int] = frozenset()
        corrected: set[int] = set()
        if teeth_node is not None and labels == "fdi":
            places = {place.fdi: place for place in chart(teeth_node) if place.present}
            corrected = set(scene_teeth.corrected(teeth_node)) - set(approved)
            wanted = plan(frozenset(requested), places, corrected)
            stays = wanted.keep
            evidence = {fdi: scene_teeth.evidence_of(teeth_node, fdi) for fdi in stays}
            states = scene_teeth.states(teeth_node)
            old = scene_teeth.read_labels(teeth_node, volume_node)
            found = merged_result(old, found, stays, wanted.take, frozenset(requested))
        node = scene_teeth.write_teeth(
            self.scene, found, volume_node, self.notation, labels, teeth_node, _("segmentation")
        )
        for fdi in stays:
            segment = node.GetSegmentation().GetSegment(scene_teeth.segment_of(node, fdi))
            segments.put_state(segment, states[fdi])
            segments.set_evidence(segment, evidence[fdi])
            if fdi in corrected:
                segments.set_tag(segment, segments.DIGEST, "")  # still not as TeethSeg found it
        node.GetDisplayNode().SetVisibility3D(show_3d)
        node.teethseg_run = (maps, report or {})
        if volume_node is not self.volume_node:
            node.GetDisplayNode().SetVisibility(False)  # they are shown with their scan
            return found
        self.teeth_node = node
        self._after_work()
        self.found.emit()
        return found

    def restore(
        self,
        labels: np.ndarray,
        tags: Mapping[int, Mapping[str, str]],
        attributes: Mapping[str, str | None],
        report: dict,
    ) -> None:
        """Restore saved work: teeth (FDI numbers on the scan's grid), their tags, the segmentation's attributes."""
        from ..mrml import teeth

        if self.teeth_node is None:
            self.start_teeth()
        self.absorb_changes()
        self.about_to_change.emit()
        teeth.restore(self.teeth_node, self.volume_node, labels, tags, dict(attributes), _("kept work"))
        self.report = report
        self._after_work()

    def _go(self, act: Callable, back: bool) -> None:
        """Undo or redo; the chosen tooth stays chosen under whatever number it has then."""
        if self.teeth_node is None:
            return
        if self.busy:
            self.message.emit(_("Another tool is at work: wait for it."), "warning", "")
            return
        from ..mrml.history import history_of

        self.absorb_changes()
        history = history_of(self.teeth_node)
        steps = history.done if back else history.undone
        if not steps:
            return
        patch = steps[-1].patch if not back else steps[-1].inverse().patch
        if patch is not None and self.selected is not None:
            became = patch.after[patch.before == self.selected]
            number = int(np.bincount(became).argmax()) if became.size else 0
            self.selected = number or self.selected
        self.about_to_change.emit()
        act(self.teeth_node)
        self._after_work()

    def _after_work(self) -> None:
        """Update the chosen tooth and notify all listeners after a change of the teeth."""
        self.remember_teeth()
        if self.selected is not None and self.selected not in self.present():
            self.selected = None
        self.message.emit("", "info", "")
        self._announce()
        self.changed.emit()
        self.edited.emit()

    def _announce(self) -> None:
        """Notify listeners if another tooth is chosen."""
        if self.selected != self._announced:
            self._announced = self.selected
            if self.alone and self.selected in self.present():
                self._show_alone()
            self.selected_changed.emit()

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.busy_changed.emit()

    def _show_alone(self) -> None:
        self.show_teeth({fdi: fdi == self.selected for fdi in self.present()})

    def _stroke_name(self, stroke: Stroke) -> str:
        gained, lost = (
            teeth_text(numbers, self.notation) if numbers else "" for numbers in (stroke.gained, stroke.lost)
        )
        if stroke.gone and stroke.come:
            return _("{old} to {new}").format(old=teeth_text(stroke.gone, self.notation), new=gained)
        if len(stroke.gained) == 1:
            return _("paint {tooth}").format(tooth=gained)
        if not stroke.gained:
            text = _("remove {tooth}") if stroke.gone == stroke.lost else _("erase {tooth}")
            return text.format(tooth=lost)
        return _("change {teeth}").format(teeth=teeth_text(sorted({*stroke.gained, *stroke.lost}), self.notation))


def scan_of(teeth_node):
    """The scan that a segmentation was made of; None if it is not in the scene."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    return teeth_node.GetNodeReference(role) if teeth_node is not None else None


def _run_of(teeth_node) -> tuple[ToothMaps | None, dict]:
    """Maps and report of the run that found the teeth of a segmentation; kept as long as the program runs."""
    return getattr(teeth_node, "teethseg_run", (None, {}))
