"""The section "Correct": one-click tools, undo, and Slicer's Segment Editor set up for teeth."""

from __future__ import annotations

import functools
from collections.abc import Callable

import slicer

from ..errors import TeethSegError
from .case import Case
from .click_tools import Clicks
from .correction_tools import CorrectionRequest, free_numbers, neighbours, tools
from .i18n import _
from .option_widgets import Choice, mark, say
from .texts import tooth_name, tooth_text

EFFECTS = ("Paint", "Erase", "Draw", "Scissors", "Islands", "Smoothing", "Fill between slices", "Margin", "Threshold")
UNDO_STATES = 10


class CorrectSection:
    """See module. A tool that needs more than the chosen tooth opens a frame that says what to do."""

    def __init__(self, ui, case: Case, parameters: Callable):
        self._ui, self._case, self._parameters = ui, case, parameters
        self._tools = tools()
        self._active: str | None = None
        self._tooth: int | None = None  # of the active tool
        self._editor = None
        self.clicks = Clicks(case.scene, "seed", (1.0, 0.9, 0.1))
        self.clicks.changed.connect(self._on_clicks)
        self._other = Choice(ui.otherCombo, [])
        for name in self._tools:
            getattr(ui, f"{name}Button").connect("clicked(bool)", functools.partial(self._on_tool, name))
        ui.applyButton.connect("clicked(bool)", self._on_apply)
        ui.dismissButton.connect("clicked(bool)", self._on_dismiss)
        ui.undoButton.connect("clicked(bool)", self._on_undo)
        ui.redoButton.connect("clicked(bool)", self._on_redo)
        ui.askFrame.setVisible(False)
        mark(ui.askFrame, "info")
        self._set_up_editor()
        ui.editorSection.connect("contentsCollapsed(bool)", self._on_editor_opened)
        ui.toothRangeCheckBox.connect("toggled(bool)", self._on_range)
        case.changed.connect(self.update)
        case.selected_changed.connect(self.update)

    def refresh(self) -> None:
        """The scene or the parameters are others now."""
        self._dismiss()
        self._editor = None
        if self._parameters() is not None:
            self._show_in_editor()
        self.update()

    def update(self) -> None:
        """Show what can be done."""
        ui, case = self._ui, self._case
        if self._active and self._tooth != case.selected:
            self._dismiss()
        ready = case.editable and case.selected in case.present()
        for name in self._tools:
            getattr(ui, f"{name}Button").enabled = ready
        ui.undoButton.enabled, ui.redoButton.enabled = case.history()
        if ready:
            name = tooth_text(case.selected, self._notation())
            ui.correctHint.text = _("<b>{name}</b> {words}").format(name=name, words=tooth_name(case.selected))
        elif case.teeth is None:
            ui.correctHint.text = _("There are no teeth yet.")
        else:
            ui.correctHint.text = _("Choose a tooth in the chart above.")
        ui.correctHint.setStyleSheet("")
        self._show_in_editor()

    def say(self, text: str, kind: str) -> None:
        """Show why a change was not made."""
        if text:
            say(self._ui.correctHint, text, kind)

    def enter(self) -> None:
        """The module is shown."""
        if not self._ui.editorSection.collapsed:
            self._ui.segmentEditor.setupViewObservations()

    def exit(self) -> None:
        """The module is left: the mouse belongs to others."""
        self._dismiss()
        self._ui.segmentEditor.setActiveEffectByName("")
        self._ui.segmentEditor.removeViewObservations()
        self._ui.segmentEditor.uninstallKeyboardShortcuts()

    def paint_between(self, low: float, high: float) -> None:
        """Open the Segment Editor with Paint, limited to grey values between two."""
        ui = self._ui
        ui.correctSection.collapsed = ui.editorSection.collapsed = False
        node = self._editor_node()
        node.SetSourceVolumeIntensityMaskRange(low, high)
        node.SetSourceVolumeIntensityMask(True)
        ui.segmentEditor.setActiveEffectByName("Paint")

    def _notation(self):
        parameters = self._parameters()
        return parameters.notation if parameters else "fdi"

    def _on_tool(self, name: str, _clicked: bool = False) -> None:
        tool = self._tools[name]
        self._dismiss()
        if not tool.hint:
            self._do(name, CorrectionRequest(self._case.selected))
            return
        self._active, self._tooth = name, self._case.selected
        present = self._case.present()
        numbers = neighbours(self._tooth, present) if tool.other == "neighbour" else free_numbers(self._tooth, present)
        notation = self._notation()
        self._other.offer([(n, f"{tooth_text(n, notation)}  {tooth_name(n)}") for n in numbers])
        self._other.show(numbers[0] if numbers else None)
        self._ui.otherCombo.setVisible(bool(tool.other))
        self._ui.otherLabel.setVisible(bool(tool.other))
        self._ui.askFrame.setVisible(True)
        if tool.clicks[1]:
            self.clicks.start()
        self._show_ask()

    def _show_ask(self) -> None:
        tool = self._tools[self._active]
        text = tool.hint.format(tooth=tooth_text(self._tooth, self._notation()))
        least, most = tool.clicks
        count = len(self.clicks.points())
        if most:
            text += " " + _("({count} of {least} clicks)").format(count=count, least=least)
        self._ui.askLabel.text = text
        self._ui.applyButton.enabled = count >= least and (not tool.other or self._other.value is not None)

    def _on_clicks(self) -> None:
        if self._active:
            if len(self.clicks.points()) >= self._tools[self._active].clicks[1]:
                self.clicks.stop()
            self._show_ask()

    def _on_apply(self, _clicked: bool = False) -> None:
        name = self._active
        seeds = [self._case.index_of(ras) for ras in self.clicks.points()]
        wish = CorrectionRequest(self._tooth, self._other.value if self._tools[name].other else None, seeds)
        if self._do(name, wish):
            self._dismiss()

    def _do(self, name: str, wish: CorrectionRequest) -> bool:
        return self._case.edit(lambda labels, scan: self._tools[name].act(labels, scan, wish))

    def _on_dismiss(self, _clicked: bool = False) -> None:
        self._dismiss()

    def _dismiss(self) -> None:
        self._active = self._tooth = None
        self.clicks.clear()
        self._ui.askFrame.setVisible(False)

    def _on_undo(self, _clicked: bool = False) -> None:
        self._case.undo()

    def _on_redo(self, _clicked: bool = False) -> None:
        self._case.redo()

    def _set_up_editor(self) -> None:
        editor = self._ui.segmentEditor
        editor.setEffectNameOrder(EFFECTS)
        editor.unorderedEffectsVisible = False
        editor.maximumNumberOfUndoStates = UNDO_STATES
        editor.segmentationNodeSelectorVisible = False
        editor.switchToSegmentationsButtonVisible = False
        # Slicer's next version calls the source volume reference volume.
        for name in ("sourceVolumeNodeSelectorVisible", "referenceVolumeNodeSelectorVisible"):
            if hasattr(editor, name):
                setattr(editor, name, False)

    def _editor_node(self):
        """The editor's own node; one of the module, so that the Segment Editor module keeps its settings."""
        scene, kind, tag = self._case.scene, "vtkMRMLSegmentEditorNode", "TeethSeg"
        node = scene.GetSingletonNode(tag, kind)
        if node is None:
            node = scene.CreateNodeByClass(kind)
            node.UnRegister(None)
            node.SetSingletonTag(tag)
            node = scene.AddNode(node)
        if node is not self._editor:
            self._editor = node
            self._ui.segmentEditor.setMRMLSegmentEditorNode(node)
        return node

    def _show_in_editor(self) -> None:
        if self._parameters() is None or self._ui.editorSection.collapsed:
            return
        node = self._editor_node()
        node.SetAndObserveSegmentationNode(self._case.teeth)
        node.SetAndObserveSourceVolumeNode(self._case.volume)
        if self._case.selected is not None and self._case.selected in self._case.present():
            from ..mrml.teeth import segment_of

            self._ui.segmentEditor.setCurrentSegmentID(segment_of(self._case.teeth, self._case.selected))

    def _on_editor_opened(self, collapsed: bool) -> None:
        editor = self._ui.segmentEditor
        if collapsed:
            editor.setActiveEffectByName("")
            editor.removeViewObservations()
            editor.uninstallKeyboardShortcuts()
            return
        self._show_in_editor()
        self._on_range(self._ui.toothRangeCheckBox.checked)
        editor.setupViewObservations()
        editor.installKeyboardShortcuts(editor)

    def _on_range(self, wanted: bool) -> None:
        """Let Paint and Erase change only voxels that are as bright as teeth."""
        if self._parameters() is None or not self._case.editable:
            return
        node = self._editor_node()
        if wanted:
            from ..annotation import start_threshold

            try:
                scan = self._case.scan()
                low, high = start_threshold(scan.array, scan.spacing[::-1], self._case.labels())
            except TeethSegError as error:
                self.say(str(error), "error")
                return
            node.SetSourceVolumeIntensityMaskRange(low, high)
        node.SetSourceVolumeIntensityMask(wanted)
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
