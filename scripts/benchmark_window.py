"""Longest freezes of the panel's window: gaps of its event loop, on the tests' desktop without 3D Slicer.

    python scripts/benchmark_window.py [CASE]

CASE is a folder with `image.nrrd` and its teeth, `labels.seg.nrrd` or `labels.nii.gz`; without it a case is simulated.
A timer ticks during each action; the longest time between two ticks is the time in which the window did not respond.
Drawing of views is not part of it. Other programs on the computer lengthen the gaps. The table therefore also gives the
processor time of this process in its busiest gap, which is the time that an idle computer would take.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "TeethSeg"), str(REPOSITORY / "Testing")]

import numpy as np  # noqa: E402
from PySide6 import QtCore  # noqa: E402

import panel_harness  # noqa: E402

TICK = 2  # milliseconds
LIMIT = 0.3  # seconds that the window may freeze
QUIET = 0.4  # seconds without work after which an action is over
MOST = 120.0  # seconds for one action


class PreparedRun:
    """A run whose result is available at once."""

    def __init__(self, dentition):
        about = {"device": "cpu", "weights": "none", "sha256": "0", "peak_memory_mb": 1.0}
        self.state = "running"
        self._outcome = SimpleNamespace(dentition=dentition, seconds={"all": 1.0}, maps=lambda: None, **about)

    def poll(self) -> list:
        self.state = "done"
        return []

    def result(self):
        return self._outcome

    def details(self) -> str:
        return ""

    def cancel(self) -> None:
        self.state = "cancelled"

    def close(self) -> None:
        """There is nothing to remove."""


class Watch:
    """Runs actions in Qt's own event loop and measures its longest gap."""

    def __init__(self):
        self.rows: list[tuple[str, float, float, float]] = []

    def measure(self, action: str, act: Callable[[], object], done: Callable[[], bool] = lambda: True) -> None:
        loop, ticks, spent = QtCore.QEventLoop(), [time.perf_counter()], [time.process_time()]
        timer = QtCore.QTimer()
        timer.setTimerType(QtCore.Qt.PreciseTimer)
        begun, busy = ticks[0], [ticks[0]]

        def tick() -> None:
            now = time.perf_counter()
            if now - ticks[-1] > 0.02 or not done():
                busy[0] = now
            ticks.append(now)
            spent.append(time.process_time())
            if now - busy[0] > QUIET or now - begun > MOST:
                loop.quit()

        timer.timeout.connect(tick)
        timer.start(TICK)
        QtCore.QTimer.singleShot(0, act)
        loop.exec()
        timer.stop()
        longest, work = np.diff(ticks).max(), np.diff(spent).max()
        self.rows.append((action, float(longest), float(work), busy[0] - begun))
        print(f"{action}: {longest:.2f} s, {work:.2f} s of the processor", file=sys.stderr)

    def table(self) -> str:
        head = [
            "| action | longest gap, s | processor in it, s | until all is done, s | |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        rows = [
            f"| {action} | {gap:.2f} | {work:.2f} | {whole:.2f} | {'' if work <= LIMIT else f'over {LIMIT}'} |"
            for action, gap, work, whole in self.rows
        ]
        return "\n".join(head + rows)


def read_case(folder: Path):
    """Scan and teeth of a case."""
    from teethseg.cascade.dentition import Dentition, FoundTooth
    from teethseg.cascade.tooth_properties import measure
    from teethseg.io.files import read_labels, read_scan

    scan = read_scan(folder / "image.nrrd")
    labels = scan.with_array(read_labels(next(folder.glob("labels.*"))).array.astype(np.uint8))
    found = measure(labels)
    teeth = [
        FoundTooth(fdi, 0.99, one.volume_mm3, one.centroid_lps_mm, None, False, ())
        for fdi, one in sorted(found.items())
    ]
    return scan, Dentition(labels, tuple(teeth))


def simulate(folder: Path) -> Path:
    """Simulate a case into a folder."""
    from teethseg.application.simulated_scan import simulated_case

    case = simulated_case(folder, sys.executable, lambda: True)
    assert case is not None
    return case


def work(watch: Watch, case: Path, temporary: Path) -> str:
    """Perform the actions of a user; returns a description of the case."""
    desktop = panel_harness.Desktop(str(temporary / "settings"))
    import qt
    import slicer

    import TeethSeg
    import teethseg.panel.panel as panel_module
    from teethseg.mrml.volumes import node_of

    scan, dentition = read_case(case)
    slicer.modules.teethseg = SimpleNamespace(path=TeethSeg.__file__)
    answers = panel_harness.Answers()
    panel_module.Dialogs = lambda parent: answers
    qt.QSettings().setValue("TeethSeg/AutosaveFolder", str(temporary / "autosave"))
    module = TeethSeg.TeethSegWidget(desktop.module_panel())
    watch.measure("opening the panel", lambda: (module.setup(), module.enter()))
    panel = module.panel
    ui, run = panel.ui, panel.segment.run
    module.parent.resize(440, 900)
    module.parent.show()
    volume = node_of(desktop.scene, scan, "scan")
    watch.measure("choosing a scan", lambda: setattr(panel.context.parameters, "volume", volume))
    run.control.launch = lambda job: PreparedRun(dentition)
    watch.measure("end of a run", ui.segmentButton.click, lambda: not run.running)
    there = panel.case.present()
    number = next(fdi for fdi in there if fdi % 10 > 3 and fdi // 10 * 10 + 8 not in there)
    watch.measure("choosing a tooth", lambda: panel.teeth.choose(number))
    relabelling = panel.context.relabelling
    watch.measure("renumbering a row of teeth", lambda: relabelling.shift(number, 1), lambda: not panel.case.busy)
    watch.measure("undo", ui.undoButton.click)
    swapped = panel.case.present()[1]
    watch.measure("swapping two teeth", lambda: relabelling.renumber(swapped, swapped + 1), lambda: not panel.case.busy)
    panel.case.select(swapped)
    watch.measure("smoothing a tooth", ui.smoothButton.click, lambda: not panel.case.busy)
    watch.measure("showing only the tooth", ui.onlyToothButton.click)
    watch.measure("showing all", ui.allTeethButton.click)
    watch.measure("keeping the work on disk", panel.recover.autosave.save)
    busy = lambda: not panel.context.tasks.working  # noqa: E731
    watch.measure("opening the section Export", lambda: setattr(ui.exportSection, "collapsed", False))
    watch.measure("a table into the scene", ui.tableButton.click, busy)
    ui.exportPath.currentPath = str(temporary / "stl")
    watch.measure("surfaces as STL", ui.exportButton.click, busy)
    file = str(temporary / "teeth.seg.nrrd")
    watch.measure("saving the segmentation in Slicer", lambda: save(panel.case.teeth_node, file))
    answers.chosen_folder, answers.choice = str(temporary), 0
    ui.patientEdit.text = "key-1"
    watch.measure("a training case", ui.saveCaseButton.click, lambda: not panel.context.tasks.working)
    watch.measure("leaving the module", module.exit)
    assert (temporary / "stl").is_dir()
    shape = " x ".join(map(str, scan.size))
    description = f"{len(dentition.teeth)} teeth, {shape} voxels of {scan.spacing[0]:.2f} mm"
    module.cleanup()
    desktop.discard(module.parent)
    desktop.close()
    return description


def save(node, file: str) -> None:
    """Write a node as Slicer's save dialog does, which waits for the end."""
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetFileName(file)
    assert storage.WriteData(node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path, nargs="?")
    case = parser.parse_args().case
    watch = Watch()
    with tempfile.TemporaryDirectory() as temporary:
        description = work(watch, case or simulate(Path(temporary)), Path(temporary))
    print(f"{description}; {os.cpu_count()} processors\n\n{watch.table()}")


if __name__ == "__main__":
    main()
