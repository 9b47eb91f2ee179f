"""The section "Correct": the tools, undo, and Slicer's Segment Editor set up for teeth."""

from __future__ import annotations

import functools

import slicer

from ..application.correction_tools import tools
from ..application.texts import redo_text, undo_text
from .context import Context
from .option_widgets import Choice, mark, say

EFFECTS = ("Paint", "Erase", "Draw", "Scissors", "Islands", "Smoothing", "Fill between slices", "Margin", "Threshold")


class CorrectSection:
    """See module. A tool that needs clicks or a second tooth opens a frame with instructions."""

    def __init__(self, context: Context):
        self._context, self._ui, self._case = context, context.ui, context.case
        self._tools = context.tools
        self._editor = None
        self._message = ""  # about the last change
        self._effect = ""  # of the Segment Editor, in use before the teeth were changed
        ui = context.ui
        self._other = Choice(ui.otherCombo, [], context.guarded(self._tools.choose_other))
        for name, tool in tools().items():
            button = getattr(ui, f"{name}Button")
            button.text, button.toolTip = tool.label, tool.tip
            context.clicked(f"{name}Button", functools.partial(self._tools.use, name))
        context.clicked("applyButton", self._tools.apply)
        context.clicked("dismissButton", self._tools.dismiss)
        context.clicked("undoButton", self._case.undo)
        context.clicked("redoButton", self._case.redo)
        ui.askFrame.setVisible(False)
        mark(ui.askFrame, "info")
        self._set_up_editor()
        context.connect(ui.correctSection, "contentsCollapsed(bool)", self._on_section)
        context.connect(ui.editorSection, "contentsCollapsed(bool)", self._on_editor_opened)
        context.connect(ui.segmentEditor, "currentSegmentIDChanged(QString)", self._on_segment)
        context.connect(ui.toothRangeCheckBox, "toggled(bool)", self._on_range)
        context.connect(ui.protectCheckBox, "toggled(bool)", self._on_protect)
        self._tools.changed.connect(self._show_tool)
        self._case.about_to_change.connect(self._note_effect)
        self._case.leaving.connect(self._put_down)
        self._case.changed.connect(self.update)
        self._case.selected_changed.connect(lambda: self.say("", "info"))

    def refresh(self) -> None:
        """The scene or the parameter node has changed."""
        self._tools.dismiss()
        self._editor, self._message = None, ""
        self._ui.segmentEditor.setMRMLSegmentEditorNode(None)  # the node of a scene that was closed
        self.update()
        if self._context.parameters is not None and not self._ui.editorSection.collapsed:
            self._ui.segmentEditor.setupViewObservations()

    def update(self) -> None:
        """Enable the tools that the chosen tooth allows."""
        ui, case = self._ui, self._case
        ready = self._tools.ready
        for name, tool in tools().items():
            getattr(ui, f"{name}Button").enabled = case.editable if tool.new else ready
        undo, redo = case.steps()
        ui.undoButton.enabled, ui.undoButton.text = case.can_undo, undo_text(undo)
        ui.redoButton.enabled, ui.redoButton.text = case.can_redo, redo_text(redo)
        self._show_in_editor()
        if self._message:
            return
        ui.correctHint.text = self._tools.tooth_text()
        ui.correctHint.setStyleSheet("")

    def say(self, text: str, kind: str) -> None:
        """Show the message about a change until the next action; an empty text shows the hint."""
        self._message = text
        if text:
            say(self._ui.correctHint, text, kind)
        else:
            self.update()

    def enter(self) -> None:
        """The module or the section is shown."""
        if not self._ui.correctSection.collapsed and not self._ui.editorSection.collapsed:
            self._take_views()

    def exit(self) -> None:
        """The module is left, or the section closed: the mouse belongs to others."""
        self._tools.dismiss()
        self._release_views()

    def painting(self) -> bool:
        """Whether an effect of the Segment Editor is in use: clicks into views are its own."""
        return self._ui.segmentEditor.activeEffect() is not None

    def paint_between(self, low: float, high: float) -> None:
        """Open the Segment Editor with Paint, limited to grey values between two."""
        ui = self._ui
        ui.correctSection.collapsed = ui.editorSection.collapsed = False
        from ..mrml.segment_editor import limit_to

        limit_to(self._editor_node(), (low, high))
        ui.segmentEditor.setActiveEffectByName("Paint")

    def _show_tool(self) -> None:
        ui, tool = self._ui, self._tools.tool
        ui.askFrame.setVisible(tool is not None)
        if tool is None:
            return
        if tool.clicks[1]:
            self._put_down()  # a click would also paint
        self._other.offer(self._tools.others())
        self._other.show(self._tools.other)
        ui.otherCombo.setVisible(bool(tool.other))
        ui.otherLabel.setVisible(bool(tool.other))
        ui.askLabel.text = self._tools.hint
        ui.applyButton.enabled = self._tools.complete

    def _set_up_editor(self) -> None:
        editor = self._ui.segmentEditor
        editor.setEffectNameOrder(EFFECTS)
        editor.unorderedEffectsVisible = False
        editor.undoEnabled = False  # its strokes are steps of the one history, which the panel's own buttons go through
        editor.segmentationNodeSelectorVisible = False
        editor.switchToSegmentationsButtonVisible = False
        # Slicer's next version calls the source volume reference volume.
        for name in ("sourceVolumeNodeSelectorVisible", "referenceVolumeNodeSelectorVisible"):
            if hasattr(editor, name):
                setattr(editor, name, False)

    def _editor_node(self):
        from ..mrml.segment_editor import editor_node

        node = editor_node(self._case.scene)
        if node is not self._editor:
            self._editor = node
            self._ui.segmentEditor.setMRMLSegmentEditorNode(node)
        return node

    def _show_in_editor(self) -> None:
        """Let the editor work on the chosen tooth; its active effect survives a new number of the tooth."""
        if self._context.parameters is None or self._ui.editorSection.collapsed:
            return
        editor, node = self._ui.segmentEditor, self._editor_node()
        node.SetAndObserveSegmentationNode(self._case.teeth_node)
        node.SetAndObserveSourceVolumeNode(self._case.volume_node)
        if self._case.selected is not None and self._case.selected in self._case.present():
            from ..mrml.teeth import segment_of

            editor.setCurrentSegmentID(segment_of(self._case.teeth_node, self._case.selected))
            if self._effect and editor.activeEffect() is None:
                editor.setActiveEffectByName(self._effect)  # Slicer ends it with the segment that had the old number
        elif self._case.selected is not None:
            self._put_down()  # it would go on in the tooth that was chosen before
        self._effect = ""

    def _note_effect(self) -> None:
        effect = self._ui.segmentEditor.activeEffect()
        self._effect = effect.name if effect is not None else ""

    def _put_down(self) -> None:
        """The Segment Editor paints no more."""
        self._ui.segmentEditor.setActiveEffectByName("")

    def _on_segment(self, identity: str) -> None:
        """The user has chosen a tooth in the Segment Editor's own list."""
        if self._case.teeth_node is None:
            return
        from ..mrml.segments import teeth_of

        fdi = teeth_of(self._case.teeth_node.GetSegmentation()).get(identity)
        if fdi is not None:
            self._case.select(fdi)

    def _on_section(self, collapsed: bool) -> None:
        if collapsed:
            self.exit()
        else:
            self.enter()

    def _on_editor_opened(self, collapsed: bool) -> None:
        if collapsed:
            self._release_views()
            return
        self._show_in_editor()
        self._on_range(self._ui.toothRangeCheckBox.checked)
        self._take_views()

    def _take_views(self) -> None:
        """The Segment Editor takes mouse and keys."""
        editor = self._ui.segmentEditor
        editor.setupViewObservations()
        editor.installKeyboardShortcuts(editor)

    def _release_views(self) -> None:
        """The Segment Editor takes no mouse and no keys any more."""
        editor = self._ui.segmentEditor
        self._put_down()
        editor.removeViewObservations()
        editor.uninstallKeyboardShortcuts()

    def _on_protect(self, wanted: bool) -> None:
        self._case.absorb_changes()  # strokes so far were painted under the former setting
        self._case.protect = wanted

    def _on_range(self, wanted: bool) -> None:
        """Let Paint and Erase change only voxels that are as bright as teeth."""
        if self._context.parameters is None or not self._case.editable:
            return
        from ..mrml.segment_editor import limit_to

        node = self._editor_node()
        limit_to(node, self._case.tooth_grey_range() if wanted else None)
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
