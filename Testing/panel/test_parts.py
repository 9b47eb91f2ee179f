"""Decisions of the panel without Qt, and the module as Slicer starts it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from teethseg.application.tooth_glyphs import outline
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.cascade.merge_results import merged_result
from teethseg.volume import Volume
from teethseg.worker.protocol import Failure, Stage


def row(**boxes) -> np.ndarray:
    """A label map of one row of voxels: t16=(2, 5) puts 16 at 2, 3, 4."""
    labels = np.zeros((1, 1, 40), np.uint8)
    for name, (start, stop) in boxes.items():
        labels[0, 0, start:stop] = int(name[1:])
    return labels


def dentition(labels: np.ndarray) -> Dentition:
    numbers = [int(n) for n in np.unique(labels) if n]
    teeth = tuple(FoundTooth(fdi, 0.7, 1.0, (0, 0, 0), fdi + 1, flags=(UNCERTAIN_NUMBER,)) for fdi in numbers)
    return Dentition(Volume(labels, (0.5, 1, 1)), teeth, ("A warning.",))


def numbers(result: Dentition) -> list[int]:
    return [found.fdi for found in result.teeth]


def test_kept_teeth_keep_their_voxels_and_new_ones_take_what_is_left():
    old, new = row(t16=(2, 6), t26=(20, 24)), row(t16=(3, 9), t15=(10, 12), t26=(19, 26))
    result = merged_result(old, dentition(new), keep={16}, take={15, 16, 26})
    assert result.labels.array[0, 0, 2:12].tolist() == [16] * 4 + [0] * 4 + [15] * 2
    assert (result.labels.array == 26).sum() == 7
    kept, taken = result.teeth[1], result.teeth[0]
    assert (kept.fdi, kept.confidence, kept.flags, kept.volume_mm3) == (16, 1.0, (), 2.0)
    assert (taken.fdi, taken.confidence, taken.second_fdi) == (15, 0.7, 16)
    assert kept.centroid_lps_mm[0] == pytest.approx(0.5 * 3.5)


def test_a_renumbered_tooth_does_not_come_back_as_a_shell():
    result = merged_result(row(t17=(2, 6)), dentition(row(t16=(1, 7), t15=(10, 12))), keep={17}, take={15, 16})
    assert numbers(result) == [15, 17]


def test_old_teeth_that_are_neither_kept_nor_found_are_gone():
    assert numbers(
        merged_result(row(t16=(2, 6), t15=(9, 11)), dentition(row(t16=(2, 6))), keep=set(), take={15, 16})
    ) == [16]


@pytest.mark.parametrize("fdi", [11, 23, 36, 48, 54, 85])
def test_outlines_are_closed_shapes_within_their_box(fdi):
    path = outline(fdi)
    assert len(path[0]) == 2 and all(len(command) == 6 for command in path[1:])
    assert path[-1][-2:] == path[0]
    points = np.array([command[n : n + 2] for command in path for n in range(0, len(command), 2)])
    assert points.min() > -0.05 and points.max() < 1.05


def test_left_teeth_mirror_right_ones():
    right, left = outline(16), outline(26)
    for one, other in zip(right, left, strict=True):
        assert one[::2] == pytest.approx([1 - x for x in other[::2]]) and one[1::2] == other[1::2]


class Run:
    """Reports the given messages, batch by batch."""

    state = "running"

    def __init__(self, *batches):
        self.batches = list(batches)

    def poll(self):
        return self.batches.pop(0) if self.batches else []

    def details(self):
        return ""

    def close(self):
        pass


def test_slicer_learns_names_and_samples_at_its_start(desktop):
    import slicer

    import TeethSeg

    parent = SimpleNamespace()
    TeethSeg.TeethSeg(parent)
    assert parent.title == "TeethSeg" and "not a medical device" in parent.helpText
    slicer.app.emit("startupCompleted()")
    assert slicer.modules.terminologies.logic().IsTerminologyContextLoaded("TeethSeg")


def test_scripts_segment_without_the_panel(desktop, monkeypatch, jaws):
    import TeethSeg
    from teethseg.errors import TeethSegError
    from teethseg.mrml.volumes import node_of
    from teethseg.worker import client

    class Done(Run):
        def __init__(self, job, python):
            super().__init__([Stage("find arches")])
            self.job = job

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.state = "closed"

        def poll(self):
            self.state = "running" if self.batches else "done"
            return super().poll()

        def result(self):
            return SimpleNamespace(dentition=jaws[1], maps=lambda: None)

    monkeypatch.setattr(client, "Run", Done)
    volume = node_of(desktop.scene, jaws[0], "scan")
    node = TeethSeg.TeethSegLogic().segment(volume, notation="universal")
    assert node.GetSegmentation().GetSegment("tooth_16").GetName() == "Tooth #3"

    class Failed(Done):
        def poll(self):
            return [Failure("weights", "The weights are damaged: choose others.")]

    monkeypatch.setattr(client, "Run", Failed)
    with pytest.raises(TeethSegError, match="damaged"):
        TeethSeg.TeethSegLogic().segment(volume)
