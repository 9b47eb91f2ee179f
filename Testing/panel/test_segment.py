"""The section "Segment", from the click to the teeth in the scene."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from panel_harness.actions import wait
from teethseg.application.texts import stage_text
from teethseg.cascade.dentition import Dentition
from teethseg.errors import TeethSegError
from teethseg.volume import Volume
from teethseg.worker.processes import EXIT_TIMEOUT
from teethseg.worker.protocol import Failure, Notice, Progress, Result, Stage


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where private folders are made; empty after every run."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class PreparedRun:
    """A run whose messages are laid out: one batch for every look at it."""

    def __init__(self, *batches, outcome=None):
        self._batches, self.outcome = list(batches), outcome
        self.state = "running"
        self.cancelled = self.closed = False

    def poll(self):
        batch = self._batches.pop(0) if self._batches else []
        for message in batch:
            if isinstance(message, Result):
                self.state = "done"
            elif isinstance(message, Failure):
                self.state = "failed"
        return batch

    def details(self):
        return "line of the worker"

    def result(self):
        return self.outcome

    def cancel(self):
        self.cancelled, self.state = True, "cancelled"

    def close(self):
        self.closed = True


def outcome(dentition, seconds=1.5):
    about = {"device": "cpu", "weights": "own", "sha256": "0", "peak_memory_mb": 1.0}
    return SimpleNamespace(dentition=dentition, seconds={"all": seconds}, maps=lambda: None, **about)


def run_to_end(panel, dentition, *messages):
    """Click the button and let a prepared run end with that dentition."""
    jobs = []
    run = PreparedRun(list(messages), [Result()], outcome=outcome(dentition))
    panel.segment.run.control.launch = lambda job: jobs.append(job) or run
    panel.ui.segmentButton.click()
    panel.segment.run.control.poll()
    panel.segment.run.control.poll()
    return jobs


def only(dentition: Dentition, numbers) -> Dentition:
    """The part of a dentition with these teeth."""
    labels = np.where(np.isin(dentition.labels.array, list(numbers)), dentition.labels.array, 0).astype(np.uint8)
    kept = tuple(found for found in dentition.teeth if found.fdi in numbers)
    return Dentition(dentition.labels.with_array(labels), kept)


@pytest.fixture
def scan_node(panel, jaws):
    from teethseg.mrml.volumes import node_of

    node = node_of(panel.case.scene, jaws[0], "scan")
    panel.context.parameters.volume = node
    return node


def test_the_button_waits_for_a_scan(panel, jaws):
    from teethseg.mrml.volumes import node_of

    assert not panel.ui.segmentButton.enabled
    assert panel.ui.statusLabel.text == "Choose a scan."
    node = node_of(panel.case.scene, jaws[0], "scan")
    assert panel.ui.volumeSelector.currentNode() is node
    assert panel.ui.segmentButton.enabled
    panel.case.scene.RemoveNode(node)
    assert not panel.ui.segmentButton.enabled


def test_users_read_that_it_is_no_medical_device(panel):
    assert "not a medical device" in panel.ui.noticeLabel.text
    assert not panel.ui.noticeLabel.isHidden()


@pytest.mark.slow
def test_from_the_click_to_the_teeth_with_the_real_worker(panel, desktop, upper_jaw, temporary, tmp_path, picture):
    from teethseg.mrml.teeth import read_labels
    from teethseg.mrml.volumes import node_of

    real_scan = upper_jaw[0]
    ui, node = panel.ui, node_of(panel.case.scene, real_scan, "simulated")
    shares, pictures, stages, looks = [], [], set(), 0
    ui.progressBar.connect("valueChanged(int)", shares.append)
    ui.segmentButton.click()
    assert panel.segment.run.control.running and not ui.segmentButton.enabled
    assert not ui.cancelButton.isHidden() and not ui.progressBar.isHidden()

    def ended() -> bool:
        nonlocal looks
        if panel.segment.run.control.fraction > 0.3 and not pictures:
            pictures.append(picture("segment-running"))
        stages.add(panel.segment.run.control.stage)
        looks += 1
        return not panel.segment.run.control.running

    wait(desktop, ended, 240)
    assert panel.segment.run.control.state == "done", panel.segment.run.control.details
    teeth = panel.context.parameters.segmentation
    segmentation = teeth.GetSegmentation()
    assert segmentation.GetNumberOfSegments() >= 11
    assert segmentation.ContainsRepresentation("Closed surface")
    labels = read_labels(teeth, node)
    assert labels.shape == real_scan.array.shape
    assert segmentation.GetNumberOfSegments() == len(np.unique(labels)) - 1
    # Teeth are bright, and the numbers of the patient's right side lie at smaller x (LPS).
    assert real_scan.array[labels > 0].mean() > real_scan.array[labels == 0].mean() + 500
    right, left = (np.isin(labels // 10, quadrants).nonzero()[2].mean() for quadrants in ((1, 4), (2, 3)))
    assert right < left - 10
    assert f"{segmentation.GetNumberOfSegments()} teeth found" in ui.statusLabel.text
    assert ui.cancelButton.isHidden() and ui.progressBar.isHidden() and ui.segmentButton.enabled
    assert shares == sorted(shares) and len(set(shares)) > 5 and pictures
    assert looks > 20  # the panel answered all the time
    assert list(temporary.iterdir()) == []
    assert len(stages) > 3 and not [stage for stage in stages if stage and stage_text(stage) == stage.capitalize()]
    picture("segment-done")

    # Surfaces of teeth that nobody has changed since come from the network's probabilities.
    ui.exportPath.currentPath = str(tmp_path / "surfaces")
    ui.exportButton.click()
    manifest = json.loads((tmp_path / "surfaces" / "manifest.json").read_text(encoding="utf-8"))
    made_from = [entry["made_from"] for entry in manifest["teeth"]]
    assert made_from.count("maps") > len(made_from) / 2


@pytest.mark.slow
def test_cancel_leaves_nothing_behind(panel, desktop, upper_jaw, temporary):
    from teethseg.mrml.volumes import node_of

    node_of(panel.case.scene, upper_jaw[0], "simulated")
    nodes = panel.case.scene.GetNumberOfNodes()
    panel.ui.segmentButton.click()
    wait(desktop, lambda: panel.segment.run.control.stage)
    workers = [child for child in psutil.Process().children(recursive=True) if "teethseg.worker" in child.cmdline()]
    assert workers
    assert EXIT_TIMEOUT <= 2.0  # seconds that the click waits for a process that does not end
    panel.ui.cancelButton.click()
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    assert list(temporary.iterdir()) == []
    assert panel.case.scene.GetNumberOfNodes() == nodes and panel.context.parameters.segmentation is None
    assert "Cancelled" in panel.ui.statusLabel.text and panel.ui.segmentButton.enabled


@pytest.mark.slow
def test_a_killed_worker_is_reported_with_its_likely_cause(panel, desktop, upper_jaw, temporary, picture):
    from teethseg.mrml.volumes import node_of

    node_of(panel.case.scene, upper_jaw[0], "simulated")
    panel.ui.segmentButton.click()
    wait(desktop, lambda: panel.segment.run.control.stage)
    workers = [child for child in psutil.Process().children(recursive=True) if "teethseg.worker" in child.cmdline()]
    os.kill(workers[0].pid, signal.SIGKILL)
    wait(desktop, lambda: not panel.segment.run.control.running)
    assert "memory" in panel.ui.messageLabel.text and not panel.ui.messageFrame.isHidden()
    assert panel.ui.segmentButton.enabled and list(temporary.iterdir()) == []
    picture("segment-failed")


def test_progress_is_shown_in_plain_words(panel, scan_node, jaws, picture):
    run = PreparedRun([Stage("find arches")], [Progress("outline teeth", 3, 10, 42.0)], [])
    panel.segment.run.control.launch = lambda job: run
    panel.ui.segmentButton.click()
    assert "Starting" in panel.ui.statusLabel.text
    panel.segment.run.control.poll()
    assert "Looking for the dental arches" in panel.ui.statusLabel.text
    panel.segment.run.control.poll()
    assert panel.ui.statusLabel.text == "Outlining the teeth … about 42 s left"
    picture("segment-running")
    assert panel.ui.volumeSelector.enabled and not panel.ui.optionsSection.enabled  # another scan may be next
    panel.ui.cancelButton.click()
    assert run.cancelled and run.closed


def test_what_the_worker_warns_of_is_shown(panel, scan_node, jaws, picture):
    _scan, dentition = jaws
    run_to_end(panel, dentition, Stage("find arches"), Notice("Half precision was too much: smaller tiles are used."))
    text = panel.ui.messageLabel.text
    assert text.splitlines() == ["Half precision was too much: smaller tiles are used.", "Something to look at."]
    assert "27 teeth found" in panel.ui.statusLabel.text
    panel.ui.detailsButton.checked = True
    assert "line of the worker" in panel.ui.detailsText.plainText and not panel.ui.detailsText.isHidden()
    picture("segment-warning")
    panel.ui.hideMessageButton.click()
    assert panel.ui.messageFrame.isHidden()


def test_a_failure_says_cause_and_way_out(panel, scan_node):
    run = PreparedRun([Failure("out-of-memory", "Memory ran out: close other programs.", "Traceback: here")])
    panel.segment.run.control.launch = lambda job: run
    panel.ui.segmentButton.click()
    panel.segment.run.control.poll()
    assert panel.ui.messageLabel.text == "Memory ran out: close other programs."
    assert "Traceback: here" in panel.ui.detailsText.plainText
    assert panel.context.parameters.segmentation is None and run.closed


def test_a_run_that_cannot_start_says_so(panel, scan_node):
    def launch(job):
        raise TeethSegError("The disk is full: free some space.")

    panel.segment.run.control.launch = launch
    panel.ui.segmentButton.click()
    assert panel.ui.messageLabel.text == "The disk is full: free some space."
    assert panel.ui.segmentButton.enabled


def test_missing_packages_are_asked_for_before_the_run(panel, scan_node, monkeypatch):
    def refuse():
        raise TeethSegError("PyTorch is missing: install it.")

    monkeypatch.setattr(panel.segment.run, "_prepare", refuse)
    panel.segment.run.control.launch = lambda job: pytest.fail("started all the same")
    panel.ui.segmentButton.click()
    assert panel.ui.messageLabel.text == "PyTorch is missing: install it."
    monkeypatch.setattr(panel.segment.run, "_prepare", lambda: False)
    panel.ui.segmentButton.click()
    assert not panel.segment.run.control.running and panel.ui.messageFrame.isHidden()


def test_options_reach_the_run(panel, scan_node, jaws, picture):
    panel.ui.optionsSection.collapsed = False
    picture("segment-options")
    panel.ui.deviceCombo.currentIndex = 1
    panel.ui.weightsPath.setCurrentPath("/somewhere/own.safetensors")
    (job,) = run_to_end(panel, jaws[1])
    assert job.device == "cpu" and str(job.weights).endswith("own.safetensors")
    assert np.array_equal(job.volume.array, jaws[0].array)


def test_networks_for_the_dentition_are_chosen_for_this_scan_alone(panel, scan_node, jaws):
    from teethseg.mrml.volumes import node_of

    assert run_to_end(panel, jaws[1])[0].dentition == "auto"
    panel.ui.dentitionCombo.currentIndex = 2
    assert run_to_end(panel, jaws[1])[0].dentition == "mixed"
    panel.context.parameters.volume = node_of(panel.case.scene, jaws[0], "another patient")
    assert panel.ui.dentitionCombo.currentIndex == 0
    assert run_to_end(panel, jaws[1])[0].dentition == "auto"


def test_a_finding_segments_all_teeth_again_with_other_networks(panel, scan_node, jaws):
    run_to_end(panel, jaws[1])
    panel.context.parameters.part = "upper"
    panel.ui.weightsPath.setCurrentPath("/somewhere/own.safetensors")
    jobs, run = [], PreparedRun([Result()], outcome=outcome(jaws[1]))
    panel.segment.run.control.launch = lambda job: jobs.append(job) or run
    panel.context.findings.again.emit("mixed")
    panel.segment.run.control.poll()
    assert [(job.dentition, job.weights) for job in jobs] == [("mixed", None)]
    assert panel.ui.dentitionCombo.currentIndex == 2
    assert len(panel.case.present()) == len(jaws[1].teeth)


def test_eight_classes(panel, scan_node, jaws):
    panel.ui.labelsCombo.currentIndex = 1
    panel.ui.show3DCheckBox.checked = False
    run_to_end(panel, jaws[1])
    segmentation = panel.context.parameters.segmentation.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    assert names == [f"Position {n}" for n in range(1, 8)]
    assert not panel.context.parameters.segmentation.GetDisplayNode().GetVisibility3D()
    assert "no single, numbered teeth" in panel.ui.toothLabel.text


def test_eight_classes_leave_single_teeth_alone(shown, jaws):
    panel = shown.panel
    panel.context.relabelling.renumber(36, 37)
    panel.ui.labelsCombo.currentIndex = 1
    run_to_end(panel, jaws[1])
    classes = panel.context.parameters.segmentation
    assert classes is not shown.teeth
    assert classes.GetName() != shown.teeth.GetName()
    assert classes.GetDisplayNode().GetVisibility() and not shown.teeth.GetDisplayNode().GetVisibility()
    panel.context.parameters.segmentation = shown.teeth
    assert 37 in panel.case.present() and len(panel.case.present()) == 27


def test_a_scan_under_a_transform_is_segmented_where_it_is_shown(panel, scan_node, jaws):
    transform = panel.case.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    from teethseg.mrml.volumes import to_vtk

    matrix = np.eye(4)
    matrix[:3, 3] = (3.0, -20.0, 7.0)
    transform.SetMatrixTransformToParent(to_vtk(matrix))
    scan_node.SetAndObserveTransformNodeID(transform.GetID())
    (job,) = run_to_end(panel, jaws[1])
    assert job.volume.origin == pytest.approx(np.add(jaws[0].origin, (-3.0, 20.0, 7.0)))
    assert panel.context.parameters.segmentation.GetTransformNodeID() == transform.GetID()


def test_a_scan_that_cannot_be_used_is_named(panel):
    panel.context.parameters.volume = panel.case.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    panel.segment.run.control.launch = lambda job: pytest.fail("started all the same")
    panel.ui.segmentButton.click()
    assert "'nothing' has no voxels" in panel.ui.messageLabel.text


def test_running_again_asks_before_it_replaces_corrected_teeth(shown, jaws, answers):
    panel, (_scan, dentition) = shown.panel, jaws
    panel.segment.run.control.launch = lambda job: pytest.fail("started all the same")
    panel.context.relabelling.renumber(36, 37)
    panel.context.relabelling.remove(11)
    answers.choice = None
    panel.ui.segmentButton.click()
    assert answers.asked == ["You have corrected 11, 36 and 37. Replace your work?"]
    assert answers.options[0] == "Keep my corrections"
    answers.choice = 0
    run_to_end(panel, dentition)
    present = panel.case.present()
    assert 37 in present and 36 not in present and 11 not in present and len(present) == 26
    # It is still a correction.
    assert 37 in panel.case.corrected()
    answers.choice = 1
    run_to_end(panel, dentition)
    assert 36 in panel.case.present() and 37 not in panel.case.present() and 11 in panel.case.present()
    # The user changes his mind.
    panel.ui.undoButton.click()
    assert 37 in panel.case.present()


def test_teeth_corrected_during_the_run_are_kept(shown, jaws):
    panel = shown.panel
    panel.segment.run.control.launch = lambda job: PreparedRun([], [Result()], outcome=outcome(jaws[1]))
    panel.ui.segmentButton.click()
    panel.context.relabelling.renumber(36, 37)
    panel.segment.run.control.poll()
    panel.segment.run.control.poll()
    assert panel.segment.run.control.state == "done"
    assert 37 in panel.case.present() and 36 not in panel.case.present()


@pytest.mark.parametrize(("index", "gone"), [(1, {11, 21}), (2, {41, 33})])
def test_one_jaw_again(shown, jaws, index, gone):
    panel, (_scan, dentition) = shown.panel, jaws
    before = panel.case.labels().copy()
    panel.ui.partCombo.currentIndex = index
    upper = index == 1
    run_to_end(panel, only(dentition, {found.fdi for found in dentition.teeth} - {11, 21, 41, 33}))
    assert set(panel.case.present()) == {found.fdi for found in dentition.teeth} - gone
    after, other = panel.case.labels(), (before // 10 > 2) if upper else (before > 0) & (before // 10 < 3)
    assert np.array_equal(after[other], before[other])


def test_one_tooth_again(shown, jaws):
    from teethseg.correction.edit import Edit

    panel, (_scan, dentition) = shown.panel, jaws
    whole = panel.case.labels().copy()
    for fdi in (46, 15):  # both lose a slice
        here = np.argwhere(whole == fdi)
        box = tuple(slice(a, b + 1) for a, b in zip(here.min(0), here.max(0), strict=True))
        content = whole[box].copy()
        content[0] = np.where(content[0] == fdi, 0, content[0])
        panel.case.edit(lambda labels, scan, box=box, content=content: Edit(box, content))
    panel.teeth.choose(46)
    panel.context.dialogs.choice = 1
    panel.ui.partCombo.currentIndex = 3
    run_to_end(panel, dentition)
    labels = panel.case.labels()
    assert np.array_equal(labels == 46, whole == 46)
    assert (labels == 15).sum() < (whole == 15).sum()


def test_a_tooth_that_is_not_found_again_stays(shown, jaws):
    panel, (_scan, dentition) = shown.panel, jaws
    panel.teeth.choose(46)
    panel.ui.partCombo.currentIndex = 3
    run_to_end(panel, only(dentition, {11, 12}))
    assert 46 in panel.case.present() and len(panel.case.present()) == 27
    assert "46 was not found again" in panel.ui.messageLabel.text


def test_one_tooth_needs_a_chosen_tooth(shown):
    shown.panel.segment.run.control.launch = lambda job: pytest.fail("started all the same")
    shown.ui.partCombo.currentIndex = 3
    shown.ui.segmentButton.click()
    assert "No tooth is chosen" in shown.ui.messageLabel.text


def test_several_scans_keep_their_own_teeth(shown, jaws):
    from teethseg.mrml.volumes import node_of

    panel, parameters = shown.panel, shown.panel.context.parameters
    other = node_of(panel.case.scene, jaws[0], "other")
    parameters.volume = other
    assert parameters.segmentation is None and panel.case.teeth_node is None
    run_to_end(panel, only(jaws[1], {11, 12}))
    assert parameters.segmentation is not shown.teeth and panel.case.present() == [12, 11]
    parameters.volume = shown.volume
    assert parameters.segmentation is shown.teeth and len(panel.case.present()) == 27
    parameters.segmentation = panel.case.teeth_of(other)
    assert parameters.volume is other and panel.ui.volumeSelector.currentNode() is other


def test_closing_the_scene_ends_the_run(panel, scan_node, desktop):
    run = PreparedRun([Stage("find arches")], [])
    panel.segment.run.control.launch = lambda job: run
    panel.ui.segmentButton.click()
    desktop.scene.Clear(0)
    assert run.cancelled and not panel.ui.segmentButton.enabled and not panel.segment.run.control.running
    assert panel.context.parameters is not None and panel.context.parameters.volume is None


def test_removing_the_scan_ends_its_run(panel, scan_node):
    run = PreparedRun([Stage("find arches")], [])
    panel.segment.run.control.launch = lambda job: run
    panel.ui.segmentButton.click()
    panel.case.scene.RemoveNode(scan_node)
    assert run.cancelled and "removed" in panel.ui.messageLabel.text


def test_the_state_is_saved_with_the_scene(shown, module, desktop, tmp_path):
    panel = shown.panel
    panel.ui.notationCombo.currentIndex = 2
    panel.ui.show3DCheckBox.checked = False
    panel.ui.labelsCombo.currentIndex = 1
    scene = desktop.scene
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(tmp_path / "case.mrb"))
    scene.Clear(0)
    assert panel.context.parameters.volume is None and panel.context.parameters.notation == "fdi"
    (tmp_path / "read").mkdir()
    application = desktop.application_logic()
    assert application.OpenSlicerDataBundle(str(tmp_path / "case.mrb"), str(tmp_path / "read"))
    parameters = panel.context.parameters
    assert (parameters.notation, parameters.show3D, parameters.labels) == ("palmer", False, "position")
    assert panel.ui.notationCombo.currentIndex == 2 and panel.ui.labelsCombo.currentIndex == 1
    assert parameters.volume.GetName() == "scan" and len(panel.case.present()) == 27
    assert parameters.segmentation.GetSegmentation().GetSegment("tooth_16").GetName() == "Tooth 6⏌"


def test_a_result_for_a_scan_with_no_teeth(panel, scan_node, jaws):
    scan: Volume = jaws[0]
    empty = Dentition(scan.with_array(np.zeros(scan.array.shape, np.uint8)), (), ("No tooth was found in this scan.",))
    run_to_end(panel, empty)
    assert panel.ui.messageLabel.text == "No tooth was found in this scan."
    assert panel.case.present() == [] and "0 teeth found" in panel.ui.statusLabel.text


# --- which scan ------------------------------------------------------------------------------------------------------


def test_labels_that_were_loaded_as_a_scan_are_refused(panel, jaws):
    from teethseg.mrml.volumes import node_of

    jobs = []
    panel.segment.run.control.launch = jobs.append
    panel.context.parameters.volume = node_of(panel.case.scene, jaws[1].labels, "labels")
    panel.ui.segmentButton.click()
    assert not jobs and "'labels' holds labels, not a scan" in panel.ui.messageLabel.text
    assert "Add Data" in panel.ui.messageLabel.text


@pytest.fixture
def moving(panel, jaws):
    """A scan of three time points of different brightness, the second one shown."""
    import slicer

    from teethseg.mrml.volumes import node_of

    scene = panel.case.scene
    logic = slicer.modules.sequences.logic()
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "moving")
    for n in range(3):
        node = node_of(scene, jaws[0].with_array(jaws[0].array + np.int16(10 * n)), f"point {n}")
        sequence.SetDataNodeAtValue(node, str(n))
        scene.RemoveNode(node)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(1)
    logic.UpdateProxyNodesFromSequences(browser)
    volume = browser.GetProxyNode(sequence)
    panel.context.parameters.volume = volume

    def turn_to(n: int) -> None:
        browser.SetSelectedItemNumber(n)
        logic.UpdateProxyNodesFromSequences(browser)

    return SimpleNamespace(panel=panel, browser=browser, volume=volume, turn_to=turn_to)


def test_a_scan_with_time_points_asks_which_one(moving, jaws, answers):
    panel, jobs = moving.panel, []
    panel.segment.run.control.launch = lambda job: jobs.append(job) or PreparedRun([Result()], outcome=outcome(jaws[1]))
    panel.ui.segmentButton.click()  # the user cancels
    assert "has 3 time points. Which one is to be segmented?" in answers.asked[-1] and not jobs
    assert answers.options == ["Number 2, which is shown", "The first", "The last"]
    answers.choice = 2
    panel.ui.segmentButton.click()
    assert moving.browser.GetSelectedItemNumber() == 2 and len(jobs) == 1
    panel.segment.run.cancel()


def test_another_time_point_during_the_run_is_noticed(moving, jaws, answers):
    panel = moving.panel
    answers.choice = 0
    run = PreparedRun([Result()], outcome=outcome(jaws[1]))
    panel.segment.run.control.launch = lambda job: run
    panel.ui.segmentButton.click()
    moving.turn_to(2)
    panel.segment.run.control.poll()
    assert panel.case.teeth_node is None and "other voxels now" in panel.ui.messageLabel.text
    run_to_end(panel, jaws[1])  # without a change the run adds its teeth
    assert len(panel.case.present()) == 27


def test_of_several_values_in_each_voxel_one_is_asked_for(shown, desktop, answers, jaws):
    """A file with time points that Slicer has loaded as one volume with several components, turned as scans may be."""
    import vtk

    first = jaws[0].array
    both = np.stack([first, first + 100], axis=-1)
    image = vtk.vtkImageData()
    image.SetDimensions(first.shape[::-1])
    image.AllocateScalars(vtk.VTK_SHORT, 2)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = both.reshape(-1, 2)
    matrix = vtk.vtkMatrix4x4()
    shown.volume.GetIJKToRASMatrix(matrix)
    answers.choice = 1
    node = desktop.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "4D")
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(matrix)
    desktop.process_events()
    assert answers.asked == ["'4D' has 2 values in each voxel, maybe time points. Which of them is the scan?"]
    assert answers.options == ["Number 1", "Number 2"]
    scan = shown.case.scan()
    assert shown.case.volume_node.GetName() == "4D 2" and (scan.array == first + 100).all()
    assert np.allclose(scan.affine, jaws[0].affine)


def test_a_loaded_sample_becomes_the_scan_and_other_volumes_do_not(shown, desktop, jaws):
    from teethseg.mrml.volumes import node_of

    node_of(shown.case.scene, jaws[0], "another")
    desktop.process_events()
    assert shown.panel.context.parameters.volume is shown.volume
    for name in ("PostDentalSurgery", "Simulated CBCT_1"):
        sample = node_of(shown.case.scene, jaws[0], name)
        desktop.process_events()
        assert shown.panel.context.parameters.volume is sample and shown.case.volume_node is sample


# --- one after the other ---------------------------------------------------------------------------------------------


@pytest.fixture
def two(panel, jaws):
    """Two scans, and the runs that were begun; each ends when the test calls `end`."""
    from teethseg.mrml.volumes import node_of

    runs = []

    def launch(job):
        runs.append(PreparedRun([Progress("find arches", 0, 4)]))
        return runs[-1]

    def end(run, dentition) -> None:
        run.state, run.outcome = "done", outcome(dentition)
        panel.segment.run.poll()

    panel.segment.run.control.launch = launch
    first, second = (node_of(panel.case.scene, jaws[0], name) for name in ("first", "second"))
    panel.context.parameters.volume = first
    panel.ui.segmentButton.click()
    panel.segment.run.poll()
    panel.context.parameters.volume = second
    return SimpleNamespace(panel=panel, ui=panel.ui, runs=runs, end=end, first=first, second=second)


def test_a_second_scan_waits_for_the_first(two, jaws):
    panel, ui = two.panel, two.ui
    assert ui.segmentButton.enabled and ui.segmentButton.text == "Segment this one next"
    ui.segmentButton.click()
    assert not ui.segmentButton.enabled and ui.segmentButton.text == "Waits for its turn" and len(two.runs) == 1
    assert (
        ui.statusLabel.text.startswith("first: Looking for the dental arches") and "then second" in ui.statusLabel.text
    )
    two.end(two.runs[0], jaws[1])
    # Its teeth are in the scene, out of sight, and the user stays with the second scan, whose run has begun.
    assert panel.case.volume_node is two.second and panel.case.teeth_node is None
    assert "27 teeth found in 'first'" in ui.messageLabel.text
    teeth = panel.case.teeth_of(two.first)
    assert not teeth.GetDisplayNode().GetVisibility() and len(two.runs) == 2 and panel.segment.run.running
    assert ui.segmentButton.text == "Segmenting …" and panel.segment.timer.active
    two.end(two.runs[1], only(jaws[1], {11, 12, 36}))
    assert panel.case.present() == [12, 11, 36] and not panel.segment.run.running and not panel.segment.timer.active
    panel.context.parameters.volume = two.first
    assert len(panel.case.present()) == 27 and teeth.GetDisplayNode().GetVisibility()
    assert len(panel.case.report["teeth"]) == 27  # that of its own run


def test_cancel_takes_the_shown_scan_out_and_leaves_the_other(two, jaws):
    panel, ui = two.panel, two.ui
    ui.segmentButton.click()
    ui.cancelButton.click()  # the second one no longer waits
    assert panel.segment.run.running and ui.segmentButton.enabled and "then" not in ui.statusLabel.text
    ui.segmentButton.click()
    panel.context.parameters.volume = two.first
    ui.cancelButton.click()  # the first one ends, and the second begins
    assert two.runs[0].cancelled and len(two.runs) == 2 and panel.segment.run.running
    two.end(two.runs[1], jaws[1])
    assert panel.case.volume_node is two.first and panel.case.teeth_node is None
    assert panel.case.teeth_of(two.second) is not None


def test_what_waits_goes_with_its_scan_and_with_the_scene(two, desktop):
    panel = two.panel
    two.ui.segmentButton.click()
    panel.case.scene.RemoveNode(two.second)
    desktop.process_events()
    panel.context.parameters.volume = two.first
    assert panel.segment.run.running
    two.ui.cancelButton.click()
    assert len(two.runs) == 1 and not panel.segment.run.running
    two.ui.segmentButton.click()
    panel.case.scene.Clear(0)
    assert two.runs[1].cancelled and not panel.segment.run.running and len(two.runs) == 2
