"""`Segmentation`: a run from the click to the teeth in the scene, with progress, cancelling and messages; keeps corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..cascade.network_choice import DentitionChoice
from ..errors import InputError, TeethSegError
from ..volume import Volume
from . import rerun_policy
from .case import Case
from .failures import Kind, failure_text
from .i18n import _
from .questions import Ask
from .run_control import Run, RunControl
from .signals import Signal
from .texts import found_text, teeth_text
from .time_points import choose_time_point, voxels_of

if TYPE_CHECKING:
    from ..io.seg_nrrd import Labelling


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes
    ----------
    part : {'all', 'upper', 'lower', 'tooth'}
        The part of the dentition to find; the rest stays as it is.
    labels : {'fdi', 'position'}
        Single teeth, or the eight classes.
    device : {'auto', 'cpu', 'cuda', 'mps'}
    weights : str
        Path of a file; empty for those that ship with TeethSeg.
    dentition : {'auto', 'permanent', 'mixed'}
        Which of those that ship; see `cascade.network_choice`.
    show_3d : bool
        Whether surfaces are shown afterwards.
    """

    part: rerun_policy.DentitionPart = "all"
    labels: Labelling = "fdi"
    device: str = "auto"
    weights: str = ""
    dentition: DentitionChoice = "auto"
    show_3d: bool = True


@dataclass(frozen=True)
class _RunRequest:
    """A run as it was requested."""

    options: RunOptions
    volume_node: Any
    teeth_node: Any
    requested: frozenset[int]
    approved: frozenset[int]  # corrected teeth that the user gave up
    voxels: tuple  # of `voxels_of`


class Segmentation:
    """Owns the run; whoever shows it calls `poll` from a timer.

    Parameters
    ----------
    case : Case
    ask : Ask
    prepare : callable
        Makes sure that all packages are there; returns whether to go on, may raise TeethSegError.
    launch : callable
        Begins a run of a job; see `RunControl`.

    Attributes
    ----------
    changed : Signal
        Something to show has changed.
    ended : Signal
        A run has ended, and its teeth, if there are any, are in the scene.
    message : tuple of str
        The message about the last run: text, kind, details; an empty text for none.
    dentition : {'auto', 'permanent', 'mixed'}
        The user's choice for this scan; windows hand it on as `RunOptions.dentition`.
    """

    def __init__(self, case: Case, ask: Ask, prepare: Callable[[], bool], launch: Callable[[Any], Run]):
        self._case, self._ask, self._prepare = case, ask, prepare
        self._request: _RunRequest | None = None
        self._waiting: list[_RunRequest] = []  # for the run before them to end
        self._found: int | None = None  # teeth in the scene after the run
        self._scan_removed = False  # with its run, which is said while the window turns to another one
        self.message: tuple[str, Kind, str] = ("", "info", "")
        self.dentition: DentitionChoice = "auto"
        self.control = RunControl(launch)
        self.changed = Signal()
        self.ended = Signal()
        self.control.changed.connect(self.changed.emit)
        self.control.ended.connect(self._on_ended)
        case.scan_changed.connect(self._on_scan_changed)

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self.control.running

    @property
    def _running_request(self) -> _RunRequest:
        """The request of the present run, or of the last one."""
        assert self._request is not None
        return self._request

    def run_state(self, volume_node) -> Literal["", "running", "waiting"]:
        """State of the run of a scan: it is being segmented, waits for its turn, or neither."""
        if self.running and self._running_request.volume_node is volume_node:
            return "running"
        return "waiting" if any(one.volume_node is volume_node for one in self._waiting) else ""

    def button_texts(self, volume_node) -> tuple[str, str]:
        """Text and tip of the button that segments a scan."""
        if volume_node is None:
            return _("Segment teeth"), _("Load or choose a scan first.")
        otherwise = _("Segment this one next") if self.running else _("Segment teeth")
        texts = {"running": _("Segmenting …"), "waiting": _("Waits for its turn")}
        return texts.get(self.run_state(volume_node), otherwise), _("Find, outline and number the teeth of the scan.")

    @property
    def fraction(self) -> float:
        """Progress of the run, 0 to 1."""
        return self.control.fraction

    @property
    def status(self) -> str:
        """One line for the user."""
        if self.running:
            return self._running_status()
        if self.control.status:
            return self.control.status
        if self._case.volume_node is None:
            return _("Choose a scan.")
        if self.control.state == "done" and self._found is not None:
            seconds = sum(self.control.outcome.seconds.values())
            return _("{teeth} found in {seconds:.0f} s.").format(teeth=found_text(self._found), seconds=seconds)
        return ""

    def _running_status(self) -> str:
        """The step that is done now, and its scans if there is more than one."""
        shown = self._case.volume_node
        volume_node = self._running_request.volume_node
        if volume_node is shown and not self._waiting:
            return self.control.status
        text = _("{scan}: {status}").format(scan=volume_node.GetName(), status=self.control.status)
        if self._waiting:
            names = ", ".join(one.volume_node.GetName() or "" for one in self._waiting)
            text += " · " + _("then {scans}").format(scans=names)
        return text

    def start(self, options: RunOptions) -> None:
        """Find the teeth of the scan, once the run of another one has ended; asks first if corrected teeth would be lost."""
        if self.run_state(self._case.volume_node):
            return
        self.dismiss()
        if self._case.volume_node is None:
            return
        choose_time_point(self._case.volume_node, self._ask, lambda: self._start(options))

    def _start(self, options: RunOptions) -> None:
        try:
            requested = rerun_policy.teeth_of_part(options.part, self._case.selected)
            self._case.absorb_changes()
            lost = rerun_policy.endangered(requested, self._case.corrected()) if options.labels == "fdi" else []
        except TeethSegError as error:
            self._say(*failure_text(error))
            return
        if not lost:
            self._begin(options, requested, frozenset())
            return

        def answer(choice: int | None) -> None:
            if choice is not None:
                self._begin(options, requested, frozenset(lost) if choice == 1 else frozenset())

        text = rerun_policy.question(lost, self._case.notation)
        self._ask(text, [_("Keep my corrections"), _("Replace them")], answer)

    def cancel(self) -> None:
        """Take the scan out of those that wait, or end its run; the runs that wait go on."""
        if self.run_state(self._case.volume_node) == "waiting":
            self._forget(self._case.volume_node)
            self.changed.emit()
        else:
            self.control.cancel()

    def stop(self) -> None:
        """End the run, and forget those that wait."""
        self._waiting.clear()
        self.control.cancel()

    def poll(self) -> None:
        """Take in the messages of the worker; never waits."""
        self.control.poll()

    def node_removed(self, node) -> None:
        """A scan that leaves the scene takes its run with it."""
        self._forget(node)
        if self.running and node is self._running_request.volume_node:
            self.control.cancel()
            self._scan_removed = True
            self._say(_("The scan was removed, so its run was cancelled."), "warning")

    def dismiss(self) -> None:
        """The user has read the message."""
        self._say("", "info")

    def _begin(self, options: RunOptions, requested: frozenset[int], approved: frozenset[int]) -> None:
        from ..io.scan_checks import looks_like_labels

        case = self._case
        try:
            if not self._prepare():
                return
            scan = case.scan()
            if looks_like_labels(scan.array):
                text = _(
                    "'{name}' holds labels, not a scan: choose the scan. Teeth that others have outlined are loaded as a "
                    "segmentation (Add Data, Description: Segmentation) and chosen under 'Teeth'."
                )
                raise InputError(text.format(name=case.volume_node.GetName()))
        except (TeethSegError, ImportError) as error:
            self._say(*failure_text(error))
            return
        voxels = voxels_of(case.volume_node)
        request = _RunRequest(options, case.volume_node, case.teeth_node, requested, approved, voxels)
        if self.running:
            self._waiting.append(request)
            self.changed.emit()
        else:
            self._launch(request, scan)

    def _launch(self, request: _RunRequest, scan: Volume) -> None:
        from ..worker.client import Job

        options = request.options
        self._request, self._found = replace(request, voxels=voxels_of(request.volume_node)), None
        weights = Path(options.weights) if options.weights else None
        self.control.start(Job(scan, options.device, weights, options.dentition))

    def _forget(self, volume_node) -> None:
        self._waiting = [one for one in self._waiting if one.volume_node is not volume_node]

    def _next(self) -> None:
        """Begin the run that waits longest; one that cannot begin says why."""
        from ..mrml.volumes import volume_of

        while self._waiting and not self.running:
            request = self._waiting.pop(0)
            try:
                self._launch(request, volume_of(request.volume_node))
            except TeethSegError as error:
                self._say(*failure_text(error))

    def _say(self, text: str, kind: Kind, details: str = "") -> None:
        self.message = (text, kind, details)
        self.changed.emit()

    def _on_ended(self, state: str) -> None:
        if state == "failed":
            failure = self.control.failure
            self._say(failure.text if failure is not None else "", "error", self.control.details)
        elif state == "done":
            try:
                self._take()
            except Exception as error:
                text, kind, details = failure_text(error)
                self._say(text, kind, details or self.control.details)
        self.changed.emit()
        self.ended.emit()
        self._next()

    def _take(self) -> None:
        """Put the result into the scene, and tell the user its warnings."""
        case, request, outcome = self._case, self._running_request, self.control.outcome
        if case.scene.GetNodeByID(request.volume_node.GetID() or "") is not request.volume_node:
            self._say(_("The scan is no longer in the scene, so its teeth were not kept."), "warning")
            return
        if voxels_of(request.volume_node) != request.voxels:
            text = _(
                "'{name}' has other voxels now than when the run began, maybe those of another time point, so its teeth "
                "were not kept: segment it again."
            )
            self._say(text.format(name=request.volume_node.GetName()), "warning")
            return
        again = {found.fdi for found in outcome.dentition.teeth}
        one = request.options.part == "tooth"
        dentition = case.take_result(
            outcome.dentition,
            request.volume_node,
            request.teeth_node,
            requested=request.requested & again if one else request.requested,
            approved=request.approved,
            labels=request.options.labels,
            show_3d=request.options.show_3d,
            maps=self.control.maps,
            report=self.control.report(),
        )
        shown = request.volume_node is case.volume_node
        self._found = len(dentition.teeth) if shown else None
        warnings = list(dict.fromkeys([*self.control.notices, *dentition.warnings]))
        if one and not request.requested & again:
            tooth = teeth_text(request.requested, case.notation)
            warnings.append(_("{tooth} was not found again; it stays as it was.").format(tooth=tooth))
        lines = warnings
        if not shown:
            text = _("{teeth} found in '{scan}': choose it to see them.")
            lines = [text.format(teeth=found_text(len(dentition.teeth)), scan=request.volume_node.GetName()), *warnings]
        self._say("\n".join(lines), "warning" if warnings else "info", self.control.details if warnings else "")

    def _on_scan_changed(self) -> None:
        """Forget the result of another scan, and a run on a scan that is gone."""
        self._found = None
        self.dentition = "auto"  # belongs to the patient
        if not self._scan_removed:
            self.message = ("", "info", "")
        self._scan_removed = False
        node = self._running_request.volume_node if self.running else None
        if node is not None and self._case.scene.GetNodeByID(node.GetID() or "") is not node:
            self.control.cancel()
        self.control.forget()
        self.changed.emit()


def labels_options() -> list[tuple[str, str]]:
    """The kinds of labels that a run can give, and their names."""
    return [("fdi", _("Single teeth, numbered")), ("position", _("Eight classes, counted from the midline"))]


def part_options(case: Case) -> list[tuple[str, str]]:
    """The parts that a run can look for, and their names."""
    tooth = case.selected
    chosen = (
        _("Tooth {name} again").format(name=case.number(tooth)) if tooth is not None else _("The chosen tooth again")
    )
    return [
        ("all", _("All teeth")),
        ("upper", _("Upper jaw again")),
        ("lower", _("Lower jaw again")),
        ("tooth", chosen),
    ]


def dentition_options() -> list[tuple[str, str]]:
    """The kinds of dentition that there are networks for, and their names."""
    return [
        ("auto", _("Automatic, by age or result")),
        ("permanent", _("Permanent teeth")),
        ("mixed", _("Mixed dentition (children)")),
    ]


def device_options() -> list[tuple[str, str]]:
    """Where networks can run, and how it is called."""
    return [
        ("auto", _("Automatic")),
        ("cpu", _("Processor (CPU)")),
        ("cuda", _("NVIDIA graphics card")),
        ("mps", _("Apple graphics")),
    ]
