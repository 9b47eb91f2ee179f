"""`AnnotationSession`: a scan is labelled tooth after tooth, each grown from a few clicks, until it is a training case."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy import PERMANENT
from ..annotation.worklist import Worklist
from ..errors import InputError, UsageError
from ..volume import Volume
from .case import MISSING, WORKLIST, Case
from .correction_tools import Point, Points
from .i18n import _
from .questions import Ask
from .signals import Signal
from .texts import points_text, teeth_text, tooth_name

if TYPE_CHECKING:
    from ..annotation.worklist import ToothState

FEWEST_ABOVE = 1.5  # mm of a tooth beyond the click in its crown; with less the crown is cut off there


class AnnotationSession:
    """See module.

    Parameters
    ----------
    case : Case
    placers : mapping of str to Points
        Points 'inside' the tooth and 'outside' it, and where a window has strokes, a 'stroke' in it.
    ask : Ask

    Attributes
    ----------
    placers : mapping of str to Points
    worklist : Worklist or None
        None while nothing is annotated.
    changed : Signal
        Something to show has changed.
    went : Signal
        Another tooth is in work (FDI number): views go there.
    """

    def __init__(self, case: Case, placers: Mapping[str, Points], ask: Ask):
        self._case, self.placers, self._ask = case, placers, ask
        self.worklist: Worklist | None = None
        self._armed = ""  # which points clicks place in the next tooth
        self.changed = Signal()
        self.went = Signal()
        self._teeth_node: Any = None  # that the worklist belongs to
        self._busy = False  # something of its own changes the case
        for key, points in placers.items():
            points.changed.connect(lambda key=key: self._on_points(key))
        case.changed.connect(self._on_case)
        case.edited.connect(self._on_edited)
        case.selected_changed.connect(self._on_selected)

    @property
    def active(self) -> bool:
        """Whether annotating is going on."""
        return self.worklist is not None

    @property
    def _list(self) -> Worklist:
        """The worklist of the annotation that is going on."""
        assert self.worklist is not None
        return self.worklist

    @property
    def placing(self) -> str:
        """Which points clicks place now; empty for none."""
        return next((key for key, points in self.placers.items() if points.placing), "")

    # From start to stop

    def start(self) -> None:
        """Begin, or go on where the segmentation's worklist says; clicks go into the first tooth at once.

        Raises
        ------
        TeethSegError
            If there is no scan, or it cannot be used.
        """
        from ..mrml import teeth

        case = self._case
        if case.teeth_node is None:
            case.start_teeth()
        self._teeth_node = case.teeth_node
        self.worklist = worklist_of(case.teeth_node, teeth.states(case.teeth_node), case.missing())
        self._armed = "inside"
        self._go_on(None)

    def stop(self) -> None:
        """Stop annotating; the worklist is kept with the segmentation."""
        if not self.active:
            return
        self._clear()
        self._list.pause()
        if self._teeth_node.GetScene() is not None:
            self._keep()
        self.worklist, self._teeth_node, self._armed = None, None, ""
        self.changed.emit()

    def pause(self) -> None:
        """Pause while the window is left: clicks place no points, and the time stops."""
        self._place("")
        if self.active:
            self._keep()
            self._list.pause()

    def go_on(self) -> None:
        """Go on: the window is shown again."""
        selected = self._case.selected
        if self.active and selected is not None and selected in self._list.teeth:
            self._list.start(selected)

    # One tooth

    def place(self, key: str) -> None:
        """Let clicks place these points from now on, in this tooth and the next ones; or none, if they already do."""
        self._armed = "" if self.placing == key else key
        self._place(self._armed)
        self._touch()
        self.changed.emit()

    def clear(self) -> None:
        """Remove the points of this tooth; placing goes on."""
        placing = self.placing
        self._clear()
        self._place(placing)
        self._touch()
        self.changed.emit()

    def grow(self) -> None:
        """Grow the tooth from its points, and warn if the result is hardly a whole tooth."""
        fdi, case = self._case.selected, self._case
        inside = self._indices("inside") + self._indices("stroke")
        outside = self._indices("outside")
        if fdi is None or not inside:
            self._say(_("Click into the tooth first: one point in the crown, one in each root."))
            return

        def tool(labels: np.ndarray, scan: Volume):
            from ..annotation import grow_tooth

            return grow_tooth(labels, scan.array, scan.spacing_zyx, fdi, inside, outside, scan.direction)

        self._edit(tool, _("grow {tooth}").format(tooth=case.number(fdi)), lambda: self._judge(fdi, inside))

    def between(self) -> None:
        """Fill the tooth between the slices that it was painted in."""
        fdi = self._case.selected
        if fdi is None:
            self._say(_("Choose a tooth in the chart above."))
            return

        def tool(labels: np.ndarray, _scan: Volume):
            from ..annotation import between_slices

            for axis in (0, 1):
                try:
                    return between_slices(labels, fdi, axis)
                except UsageError:
                    continue
            return between_slices(labels, fdi, 2)

        self._edit(tool, _("fill {tooth} between slices").format(tooth=self._case.number(fdi)))

    def finish(self, state: ToothState) -> None:
        """Mark the tooth in work as 'completed' or 'flagged', and go on with the next one."""
        from ..mrml import teeth

        fdi, case = self._case.selected, self._case
        if fdi is None:
            self._say(_("Choose a tooth in the chart above."))
            return
        if fdi not in case.present():
            self._say(_("Nothing is labelled as {name} yet.").format(name=self._name(fdi)))
            return
        name = _("{tooth} done") if state == "completed" else _("{tooth} flagged")
        self._list.set_state(fdi, state)
        self._busy = True
        with case.marking(name.format(tooth=case.number(fdi)), [fdi], [WORKLIST]):
            teeth.set_state(case.teeth_node, fdi, state)
            self._keep()
        self._busy = False
        self._go_on(fdi)

    def missing(self) -> None:
        """Mark the tooth in work as missing in this patient, and go on with the next one."""
        fdi, case = self._case.selected, self._case
        if fdi is None or fdi not in self._list.teeth:
            return
        if fdi in case.present():
            self._say(_("{name} is labelled: remove it first.").format(name=self._name(fdi)))
            return
        following = self._list.next(after=fdi)
        following = None if following == fdi else following  # it was the last one
        self._list.drop(fdi)
        self._busy = True
        with case.marking(_("{tooth} missing").format(tooth=case.number(fdi)), attributes=[MISSING, WORKLIST]):
            case.teeth_node.SetAttribute(MISSING, case.missing_with(fdi))
            self._keep()
        self._busy = False
        self._work_on(following)

    # Texts and progress

    def progress(self) -> tuple[int, int]:
        """Teeth that are finished, and all of the list."""
        counts = self._list.counts()
        return counts["completed"] + counts["flagged"], len(self._list.teeth)

    def summary(self) -> str:
        """How far the work is and how long a tooth takes, in one line; before the work begins, its purpose."""
        if not self.active:
            if self._case.volume_node is None:
                return _("Load or choose a scan first.")
            return _(
                "Label the teeth yourself, without any model: one to three clicks a tooth, the first into its crown."
            )
        worklist, (finished, whole) = self._list, self.progress()
        text = _("{done} of {all} done").format(done=finished, all=whole)
        if flagged := worklist.counts()["flagged"]:
            text += " · " + _("{count} flagged").format(count=flagged)
        times = [worklist.seconds(fdi) for fdi in worklist.teeth if worklist.state(fdi) in ("completed", "flagged")]
        if times:
            text += " · " + _("{time} a tooth").format(time=clock_text(sum(times) / len(times)))
        return text

    def tooth_text(self) -> str:
        """The tooth in work and the next action for it; with tags for bold text."""
        fdi = self._case.selected
        if fdi is None:
            return _("Choose a tooth in the chart above.")
        text = _("<b>{name}</b> {words}").format(name=self._name(fdi), words=tooth_name(fdi))
        points = sum(len(self.placers[key].points()) for key in ("inside", "stroke") if key in self.placers)
        if points:
            return text + " · " + _("{points}, press Grow").format(points=points_text(points))
        if fdi in self._case.present():
            return text + " · " + _("labelled")
        return text + " · " + _("click into its crown, then into each root; into a single root also near its tip")

    def time_text(self) -> str:
        """Time worked on the tooth in work."""
        current = self.worklist.current if self.worklist is not None else None
        return clock_text(self._list.seconds(current)) if current is not None else ""

    # The training case

    def save_case(self, patient: str, write: Callable[[CaseWriter], None]) -> None:
        """Save a training case; asks about teeth that are not completed, and about a key that looks like a name.

        Parameters
        ----------
        patient : str
            The patient key.
        write : callable
            Called with the case once all is answered.

        Raises
        ------
        UsageError
            If there is no patient key.
        """
        patient = patient.strip()
        if not patient:
            raise UsageError(_("Give a patient key first: any word that is the same for all scans of the patient."))
        questions: list[tuple[str, str]] = []
        if looks_personal(patient):
            text = _("'{key}' looks like a name or a date of birth. The key goes wherever the case goes.")
            questions.append((text.format(key=patient), _("Use it all the same")))
        worklist = self._worklist()
        if worklist is not None and (still_open := worklist.unfinished()):
            text = _(
                "Not completed: {teeth}. In the training case they are unknown, so that no network learns that there is no "
                "tooth. Completed: {count}."
            )
            names = teeth_text(still_open, self._case.notation)
            done = worklist.counts()["completed"]
            questions.append((text.format(teeth=names, count=done), _("Save with these unknown")))

        def go_on(choice: int | None = 0) -> None:
            if choice is None:
                return
            if questions:
                text, button = questions.pop(0)
                self._ask(text, [button], go_on)
                return
            write(self._case_writer(patient))

        go_on()

    def _case_writer(self, patient: str) -> CaseWriter:
        case, worklist = self._case, self._worklist()
        case.absorb_changes()
        text = worklist.to_json() if worklist is not None else ""
        return CaseWriter(case.scan(), case.labels(), patient, text, tuple(sorted(case.missing())))

    def _worklist(self) -> Worklist | None:
        """The list of the segmentation, also while nothing is annotated; None where nobody has annotated."""
        if self.active or not self._case.editable:
            return self.worklist
        from ..mrml import teeth

        node = self._case.teeth_node
        if not node.GetAttribute(WORKLIST):
            return None
        return worklist_of(node, teeth.states(node), self._case.missing())

    # Internals

    def _name(self, fdi: int | None) -> str:
        return self._case.number(fdi) if fdi is not None else ""

    def _say(self, text: str, kind: str = "warning") -> None:
        self._case.message.emit(text, kind, "")

    def _indices(self, key: str) -> list[tuple[int, int, int]]:
        points: Iterable[Point] = self.placers[key].points() if key in self.placers else ()
        return [self._case.index_of(point) for point in points]

    def _edit(self, tool: Callable, name: str, then: Callable[[], None] = lambda: None) -> None:
        """Let a tool change the tooth; its time is no work of the annotator."""
        self._touch()

        def skip() -> None:
            if self.worklist is not None:
                self.worklist.skip()

        def done() -> None:
            skip()
            then()

        self._case.edit(tool, name, done, skip)

    def _judge(self, fdi: int, inside: list[tuple[int, int, int]]) -> None:
        """Warn if a grown tooth is hardly a whole one."""
        scan = self._case.scan()
        warning = growth_warning(self._case.labels() == fdi, scan, fdi, inside)
        if warning:
            self._say(_("{tooth}: {doubt}").format(tooth=self._name(fdi), doubt=warning))

    def _go_on(self, after: int | None) -> None:
        """Go to the next open tooth behind one."""
        self._work_on(self._list.next(after=after))

    def _work_on(self, fdi: int | None) -> None:
        """Start work on a tooth: its time runs, and clicks go into it."""
        self._clear()
        if fdi is None:
            self._list.pause()
            self._keep()
            self._case.select(None)
            self.changed.emit()
            self._say(_("All teeth of the list are done."), "info")
            return
        self._list.start(fdi)
        self._keep()
        self._busy = True
        self._case.select(fdi)
        self._busy = False
        self._place(self._armed)
        self.changed.emit()
        self.went.emit(fdi)

    def _keep(self) -> None:
        self._teeth_node.SetAttribute(WORKLIST, self._list.to_json())

    def _clear(self) -> None:
        for points in self.placers.values():
            points.clear()

    def _place(self, key: str) -> None:
        for name, points in self.placers.items():
            if name != key:
                points.stop()
        if key and not self.placers[key].placing:
            self.placers[key].start()

    def _touch(self) -> None:
        if self.active:
            self._list.touch()

    def _on_points(self, key: str) -> None:
        if not self.active:
            return
        self._touch()
        if self._armed == key and not self.placers[key].placing:
            # The user has ended placing in the window's own way; a stroke ends so, and the next tooth begins with clicks.
            self._armed = "inside" if key == "stroke" else ""
        self._say("", "info")
        self.changed.emit()

    def _on_case(self) -> None:
        if self.active and self._case.teeth_node is not self._teeth_node:
            self.stop()
        elif self.active and not self._busy:
            self._follow_undo()
        self.changed.emit()

    def _on_edited(self) -> None:
        self._touch()

    def _on_selected(self) -> None:
        """Another tooth was chosen: it is the one to work on now."""
        fdi = self._case.selected
        if self.active and not self._busy and fdi is not None and fdi != self._list.current:
            self._list.add(fdi)
            self._work_on(fdi)
        self.changed.emit()

    def _follow_undo(self) -> None:
        """An undo brings the worklist's states back, too: the tooth that was finished is in work again."""
        try:
            kept = Worklist.from_json(self._teeth_node.GetAttribute(WORKLIST) or "")
        except InputError:
            return
        worklist, current = self._list, self._list.current
        was = {fdi: worklist.state(fdi) for fdi in worklist.teeth}
        if was == {fdi: kept.state(fdi) for fdi in kept.teeth}:
            return
        worklist.take_states(kept)
        still_open = ("not_started", "in_progress")
        again = [fdi for fdi in kept.teeth if kept.state(fdi) in still_open and was.get(fdi) not in still_open]
        if current is not None and current in kept.teeth and kept.state(current) in still_open:
            again.append(current)
        self._work_on(again[0] if again else worklist.next(after=current if current in kept.teeth else None))


@dataclass(frozen=True)
class CaseWriter:
    """The content of a training case, taken from the scene; a call writes it into a folder.

    Attributes
    ----------
    scan : Volume
    labels : ndarray of uint8, shape of the scan
        FDI numbers.
    patient : str
        The patient key.
    worklist : str
        As JSON, see `Worklist.to_json`; empty if nobody annotated.
    missing : tuple of int
        Teeth that the patient does not have.
    """

    scan: Volume
    labels: np.ndarray
    patient: str
    worklist: str
    missing: tuple[int, ...]

    def __call__(self, folder: Path) -> None:
        """Write it.

        Raises
        ------
        TeethSegError, OSError
            If it cannot be written.
        """
        from ..annotation import save_case

        worklist = Worklist.from_json(self.worklist) if self.worklist else None
        save_case(
            folder, self.scan, self.labels, self.patient, worklist=worklist, missing=self.missing, unfinished=True
        )


def worklist_of(teeth_node, states: Mapping[int, ToothState], missing: Iterable[int]) -> Worklist:
    """The worklist of a segmentation: the one that it carries, or a new one in which finished teeth are finished.

    Parameters
    ----------
    teeth_node : vtkMRMLSegmentationNode
    states : dict of int to str
        State of the teeth there are, by FDI number.
    missing : iterable of int
        Teeth that the patient does not have.
    """
    try:
        worklist = Worklist.from_json(teeth_node.GetAttribute(WORKLIST) or "")
    except InputError:
        worklist = Worklist(fdi for fdi in PERMANENT if fdi not in set(missing))
    for fdi, state in states.items():
        worklist.add(fdi)
        if state in ("completed", "flagged"):
            worklist.set_state(fdi, state)
    return worklist


def growth_warning(tooth: np.ndarray, scan: Volume, fdi: int, inside: list[tuple[int, int, int]]) -> str:
    """The reason why a grown tooth is hardly a whole one, and the remedy; empty if it may well be one.

    Parameters
    ----------
    tooth : ndarray of bool, shape (K, J, I)
    scan : Volume
    fdi : int
    inside : list of (k, j, i)
        The clicks that it was grown from, the first one in its crown.
    """
    from ..anatomy import tooth as tooth_of
    from ..cascade.arch_template import VOLUMES
    from ..cascade.tooth_properties import USUAL_VOLUME

    places = scan.to_lps(np.argwhere(tooth))
    clicks = scan.to_lps(np.array(inside))
    if len(clicks) > 1:
        up = clicks[0] - clicks[1:].mean(axis=0)
        length = np.linalg.norm(up)
        if length > 3 and ((places - clicks[0]) @ (up / length)).max() < FEWEST_ABOVE:
            return _(
                "the crown ends at your first click, maybe beside a filling. Click more points in it, or paint it."
            )
    one = tooth_of(fdi)
    if one.deciduous:
        return ""
    share = len(places) * scan.voxel_volume / VOLUMES[one.jaw][one.position - 1]
    if not USUAL_VOLUME[0] <= share <= USUAL_VOLUME[1]:
        text = _("it has {times} times the usual volume. Click more points inside, or where it went too far, outside.")
        return text.format(times=f"{share:.1f}")
    return ""


def looks_personal(key: str) -> bool:
    """Whether a patient key looks like a name or a date of birth."""
    words = re.findall(r"[^\W\d_]+", key)
    named = len([word for word in words if len(word) > 1 and word[0].isupper()]) >= 2
    date = r"(19|20)\d\d[-./ ]?(0[1-9]|1[0-2])[-./ ]?([0-2]\d|3[01])|([0-2]?\d|3[01])[-./ ](0?[1-9]|1[0-2])[-./ ](19|20)?\d\d"
    return named or bool(re.search(rf"(?<!\d)({date})(?!\d)", key))


def clock_text(seconds: float) -> str:
    """'2:05'."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def next_case_name(names: Iterable[str]) -> str:
    """The first of case_001, case_002 ... that is not among the names."""
    taken = set(names)
    return next(name for n in range(1, 10**6) if (name := f"case_{n:03d}") not in taken)


def free_folder(parent: Path) -> Path:
    """The next free folder for a case below another one; not made yet."""
    return parent / next_case_name(path.name for path in parent.iterdir())
