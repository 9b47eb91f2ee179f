"""The desktop without Slicer is useful only if it catches the errors that Slicer would raise."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from panel_harness.actions import clipped

REPOSITORY = Path(__file__).resolve().parents[2]
UI = REPOSITORY / "TeethSeg" / "Resources" / "UI" / "TeethSeg.ui"
# Names: of a folder, of Slicer's effects and sample data.
NOT_FOR_USERS = {
    "TeethSeg autosave",
    "TeethSeg contributors",
    "Fill between slices",
    "CBCT before dental surgery",
    "CBCT after dental surgery",
}
NAMES = json.loads((REPOSITORY / "Testing" / "panel_harness" / "names.json").read_text(encoding="utf-8"))


def load(file: Path):
    import slicer.util

    return slicer.util.loadUI(str(file))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('<property name="addEnabled">', '<property name="addEnabld">'),
        ('class="qMRMLNodeComboBox" name="volumeSelector"', 'class="qMRMLNodeCombo" name="volumeSelector"'),
        ("<slot>setMRMLScene(vtkMRMLScene*)</slot>", "<slot>setScene(vtkMRMLScene*)</slot>"),
        ("<receiver>volumeSelector</receiver>", "<receiver>selector</receiver>"),
        ("<signal>mrmlSceneChanged(vtkMRMLScene*)</signal>", "<signal>sceneChanged(vtkMRMLScene*)</signal>"),
    ],
)
def test_a_broken_ui_file_is_refused(desktop, tmp_path, right, wrong):
    text = UI.read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / "broken.ui"
    broken.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    load(UI)
    with pytest.raises((RuntimeError, ValueError)):
        load(broken)


def test_a_renamed_widget_is_noticed(desktop, tmp_path):
    import slicer

    from teethseg.panel.panel import Panel

    text = UI.read_text(encoding="utf-8")
    broken = tmp_path / "broken.ui"
    broken.write_text(text.replace('name="progressBar"', 'name="progress"'), encoding="utf-8")
    with pytest.raises(AttributeError, match="progressBar"):
        Panel(load(broken), slicer.mrmlScene).segment.update()


def test_what_is_an_error_in_slicer_is_one_here(panel):
    import qt

    button = panel.ui.segmentButton
    with pytest.raises(TypeError):
        button.text()  # a property is no method
    with pytest.raises(AttributeError):
        button.enabeld = False
    with pytest.raises(AttributeError):
        panel.ui.progressBar.value = "many"
    with pytest.raises(AttributeError):
        button.text = None
    with pytest.raises(AttributeError):
        panel.ui.statusLabel.text = 3
    with pytest.raises(AttributeError):
        button.width = 100  # read only
    with pytest.raises(ValueError, match="currentNodeChange"):
        panel.ui.volumeSelector.connect("currentNodeChange(vtkMRMLNode*)", print)
    with pytest.raises(AttributeError):
        qt.QNothing()
    assert button.name == "segmentButton" and type(button) is qt.QPushButton


def test_parameters_are_as_strict_as_in_slicer(panel):
    from panel_harness.scripted import parameterNodeWrapper

    with pytest.raises(TypeError):
        panel.context.parameters.notation = 3
    with pytest.raises(TypeError):
        panel.context.parameters.volume = panel.case.scene.AddNewNodeByClass("vtkMRMLModelNode")
    with pytest.raises(ValueError, match="reserved"):
        parameterNodeWrapper(type("Bad", (), {"__annotations__": {"default": str}}))
    with pytest.raises(TypeError, match="no serializer"):
        parameterNodeWrapper(type("Bad", (), {"__annotations__": {"something": bytes}}))


def test_errors_in_slots_do_not_pass(panel, errors_in_slots):
    def fail(_checked):
        raise KeyError("lost")

    panel.ui.undoButton.enabled = True
    panel.ui.undoButton.connect("clicked(bool)", fail)
    panel.ui.undoButton.click()
    assert [error[0] for error in errors_in_slots] == [KeyError]
    errors_in_slots.clear()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "source"])
def test_stand_ins_offer_nothing_that_the_real_class_lacks(desktop, name):
    from PySide6.QtCore import Property, Signal

    from panel_harness import widgets

    kind, real = getattr(widgets, name), NAMES[name]
    inherited = set().union(*(NAMES[base.__name__]["methods"] for base in kind.__mro__[1:] if base.__name__ in NAMES))
    for member, value in vars(kind).items():
        if member.startswith("_") or member == "staticMetaObject":
            continue
        if isinstance(value, Property):
            assert member in real["properties"]
        elif isinstance(value, Signal):
            assert member in real["signals"]
        else:
            assert member in real["methods"] or member in inherited, member


def sentences_outside(tree: ast.AST) -> list[str]:
    """Texts of several words, the first with a capital, in code that are neither documentation nor in _()."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def is_free(node: ast.AST) -> bool:
        while node in parents:
            node, inner = parents[node], node
            if isinstance(node, ast.Expr) and node.value is inner:
                return False
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                return False
        return True

    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"^[A-Z][a-z]+ .*[a-z]{2,}", node.value)
        and not re.search(r"[;<{]", node.value)
        and is_free(node)
    ]


def test_every_sentence_of_the_panel_is_translatable():
    assert sentences_outside(ast.parse('"""A doc string."""\nlabel.text = "Not translated at all"')) == [
        "Not translated at all"
    ]
    assert not sentences_outside(ast.parse('label.text = _("Translated as it should be")'))
    panel = REPOSITORY / "TeethSeg" / "teethseg" / "panel"
    for file in (panel.parent.parent / "TeethSeg.py", *panel.glob("*_section.py"), *panel.glob("*.py")):
        left = set(sentences_outside(ast.parse(file.read_text(encoding="utf-8"))))
        assert not left - NOT_FOR_USERS, file.name


def test_questions_are_answered_by_buttons(panel):
    import qt

    from teethseg.panel.dialogs import Dialogs

    def answer(text: str) -> int | None:
        def press():
            box = qt.QApplication.activeModalWidget()
            button = next(one for one in box.buttons() if one.text == text)
            button.click()

        qt.QTimer.singleShot(0, press)
        return Dialogs(None).choose("Replace your work?", ["Keep it", "Replace it"])

    assert (answer("Keep it"), answer("Replace it"), answer("Cancel")) == (0, 1, None)


def test_the_panel_opens_at_once_and_loads_nothing_heavy():
    """In a process of its own: under a second of work from import to panel, without anything that pip must install.

    A scene with teeth can be looked at without these packages, too.
    """
    code = """
import sys, time, types
import numpy, panel_harness, tempfile
for name in ("nrrd", "cc3d", "edt", "skimage", "safetensors", "psutil", "torch"):
    sys.modules[name] = None  # as in a Slicer in which nothing was installed yet
desktop = panel_harness.Desktop(tempfile.gettempdir())
before = set(sys.modules)
start, clock = time.process_time(), time.perf_counter()
import slicer, TeethSeg
slicer.modules.teethseg = types.SimpleNamespace(path=TeethSeg.__file__)
module = TeethSeg.TeethSegWidget(desktop.module_panel())
module.setup(); module.enter(); module.parent.show(); desktop.process_events()
spent = [time.process_time() - start, time.perf_counter() - clock]
before |= {name for name in sys.modules if name.startswith("teethseg")}
loaded = sorted(set(sys.modules) - before)

from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.mrml.teeth import write_teeth
from teethseg.mrml.volumes import node_of
from teethseg.volume import Volume
labels = numpy.zeros((9, 9, 9), numpy.uint8)
labels[2:5, 2:5, 2:5] = 16
scan = Volume(labels * 100)
volume = node_of(desktop.scene, scan, "scan")
teeth = write_teeth(desktop.scene, Dentition(scan.with_array(labels), (FoundTooth(16, 0.9, 27.0, (0, 0, 0)),)), volume)
module.panel.context.parameters.segmentation = teeth
module.panel.teeth.choose(16)
assert module.panel.case.volume_node is volume and module.panel.case.present() == [16]
print(*spent, *loaded)
import os; sys.stdout.flush(); os._exit(0)
"""
    path = [str(REPOSITORY / "TeethSeg"), str(REPOSITORY / "Testing")]
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"], capture_output=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stderr
    seconds, clock, *loaded = run.stdout.split()
    print(f"the panel opened in {clock} s, of which {seconds} s were work of the processor")
    assert not {"torch", "scipy", "SimpleITK", "skimage", "vtkmodules.all"} & {name.split(".")[0] for name in loaded}
    assert float(seconds) < 1.0


def test_text_that_does_not_fit_is_noticed(panel, module, picture):
    picture("clipped")
    panel.ui.segmentButton.setFixedWidth(20)
    assert "segmentButton" in clipped(panel.ui)
