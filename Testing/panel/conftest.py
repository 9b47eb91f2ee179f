"""The panel on a desktop without Slicer, and small cases to show in it."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import panel_harness
from panel_harness.actions import clipped
from task_here import TaskHere
from teethseg.anatomy import arch
from teethseg.cascade.dentition import TOUCHES_BORDER, UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def desktop(tmp_path_factory):
    """Slicer's place is taken for one file of tests."""
    desktop = panel_harness.Desktop(str(tmp_path_factory.mktemp("settings")))
    import slicer

    import TeethSeg

    slicer.modules.teethseg = types.SimpleNamespace(path=TeethSeg.__file__)
    yield desktop
    desktop.close()


@pytest.fixture(autouse=True)
def errors_in_slots(monkeypatch):
    """Exceptions in slots are only printed by Qt: here they fail the test. A test may empty the list."""
    seen: list = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: seen.append(error))
    yield seen
    assert not seen, seen


@pytest.fixture(autouse=True)
def quiet_slicer(desktop):
    """Slicer must log no complaints."""
    desktop.complaints()
    yield
    assert not desktop.complaints()


@pytest.fixture
def answers(desktop, monkeypatch):
    """Prepared answers of the user to questions."""
    import teethseg.panel.panel as panel_module

    answers = panel_harness.Answers()
    monkeypatch.setattr(panel_module, "Dialogs", lambda parent: answers)
    return answers


@pytest.fixture
def module(desktop, answers, tmp_path):
    """`TeethSegWidget`, set up in an empty scene."""
    import qt

    import TeethSeg

    desktop.scene.Clear(0)
    desktop.add_views()
    qt.QSettings().clear()
    qt.QSettings().setValue("TeethSeg/AutosaveFolder", str(tmp_path / "autosave"))
    widget = TeethSeg.TeethSegWidget(desktop.module_panel())
    widget.setup()
    widget.panel.context.tasks.launch = TaskHere
    widget.enter()
    yield widget
    widget.cleanup()
    desktop.discard(widget.parent)


@pytest.fixture
def panel(module):
    """The module's panel."""
    return module.panel


@pytest.fixture(scope="session")
def jaws() -> tuple[Volume, Dentition]:
    """A scan with 28 boxes for teeth in two arches of asymmetric heights, and the result of a run on it.

    36 could be 37 (which is missing), 47 could be 46 (which is there), 17 is cut off; wisdom teeth and 37 are missing.
    """
    labels = np.zeros((60, 70, 120), np.uint8)
    found = []
    absent = {18, 28, 38, 48, 37}
    for jaw, bottom in (("upper", 32), ("lower", 10)):
        for place, fdi in enumerate(arch(jaw)):
            if fdi in absent:
                continue
            t = (place - 7.5) / 7.5  # -1 at the patient's right
            x, y = int(60 + 50 * t), int(6 + 45 * t * t)
            box = (slice(bottom, bottom + 16), slice(y, y + 7), slice(x - 3, x + 2))
            labels[box] = fdi
            z0 = bottom + 7.5
            flags, second, confidence = (), None, 0.99
            if fdi == 36:
                flags, second, confidence = (UNCERTAIN_NUMBER,), 37, 0.61
            if fdi == 47:
                flags, second, confidence = (UNCERTAIN_NUMBER,), 46, 0.72
            if fdi == 17:
                flags = (TOUCHES_BORDER,)
            centre = tuple(0.5 * c for c in (x - 1, y + 3, z0))
            found.append(FoundTooth(fdi, confidence, 70.0, centre, second, TOUCHES_BORDER in flags, flags))
    noise = np.random.default_rng(3).normal(0, 30, labels.shape)
    array = (np.where(labels > 0, 1800, 200) + noise).astype(np.int16)
    scan = Volume(array, (0.5, 0.5, 0.5), (-30.0, -20.0, 5.0))
    return scan, Dentition(scan.with_array(labels), tuple(found), ("Something to look at.",))


@pytest.fixture
def shown(panel, jaws):
    """The panel with that scan and its teeth; also gives their nodes."""
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    scan, dentition = jaws
    volume = node_of(panel.case.scene, scan, "scan")
    teeth = write_teeth(panel.case.scene, dentition, volume)
    parameters = panel.context.parameters
    parameters.volume = volume
    parameters.segmentation = teeth
    return types.SimpleNamespace(panel=panel, ui=panel.ui, case=panel.case, volume=volume, teeth=teeth)


@pytest.fixture
def picture(desktop, module, tmp_path):
    """Takes a screenshot of the panel: into the folder named by TEETHSEG_SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("TEETHSEG_SCREENSHOTS") or tmp_path)

    def take(name: str, section: str = "", width: int = 470):
        widget = module.parent
        if section:
            for other in ("segment", "teeth", "correct", "annotate", "export", "batch", "computer"):
                getattr(module.panel.ui, f"{other}Section").collapsed = other != section
        widget.resize(width, 100)
        widget.show()
        desktop.process_events()
        widget.resize(width, widget.sizeHint.height())
        desktop.process_events()
        assert not clipped(module.panel.ui)
        image = widget.grab()
        assert image.save(str(folder / f"{name}.png"))
        return image

    return take
