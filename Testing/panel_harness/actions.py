"""What a user does, for tests."""

from __future__ import annotations

import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import slicer
import vtk

from teethseg.io.json_text import read_json
from teethseg.worker.failure_messages import failure_of
from teethseg.worker.files import RESULT


class ErrandHere:
    """Runs an errand at once, in this process, by the same files that another process gets; see `application.errands`."""

    def __init__(self, errand):
        from teethseg.application import errand_process, errands

        self.state = "done"
        self._messages: list = []
        self._place = tempfile.TemporaryDirectory()
        self.folder = Path(self._place.name)
        self._details = ""
        try:
            for _ in errands._hand_over(errand, self.folder):
                pass
            errand_process.run(self.folder, self._messages.append)
        except Exception as error:
            self.state, self._details = "failed", traceback.format_exc()
            self._messages.append(failure_of(error, "here"))

    def poll(self) -> list:
        messages, self._messages = self._messages, []
        return messages

    def result(self):
        return read_json(self.folder / RESULT)

    def details(self) -> str:
        return self._details

    def close(self) -> None:
        self._place.cleanup()

    cancel = close


def wait(desktop, done, seconds: float = 120.0) -> None:
    """Let the panel work until `done()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing happened"
        desktop.process_events()
        time.sleep(0.01)


def click_at(clicks, case, *indices: tuple[int, int, int]) -> None:
    """Place points as by clicks into a slice view: at the middle of voxels (z, y, x)."""
    for index in indices:
        lps = case.scan().affine @ [*index[::-1], 1.0]
        clicks.node.AddControlPointWorld(vtk.vtkVector3d(-lps[0], -lps[1], lps[2]))
    slicer.app.processEvents()


def middle(labels: np.ndarray, fdi: int) -> tuple[int, int, int]:
    """A voxel well inside a tooth."""
    here = np.argwhere(labels == fdi)
    return tuple(int(v) for v in here[len(here) // 2])


def choose(combo, text: str) -> None:
    """Choose the entry of a combo box that begins with a text."""
    entries = [combo.itemText(n) for n in range(combo.count)]
    combo.currentIndex = next(n for n, entry in enumerate(entries) if entry.startswith(text))


def clipped(ui) -> list[str]:
    """Names of the widgets whose text does not fit into them."""
    kinds = ("QLabel", "QPushButton", "QCheckBox")
    texts = {name: part for name, part in vars(ui).items() if part.className() in kinds and part.visible}
    return [
        name
        for name, part in texts.items()
        if not getattr(part, "wordWrap", False) and part.width < part.sizeHint.width()
    ]
