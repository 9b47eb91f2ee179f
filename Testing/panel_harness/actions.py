"""Actions of a user, for tests."""

from __future__ import annotations

import time

import numpy as np
import slicer
import vtk


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
