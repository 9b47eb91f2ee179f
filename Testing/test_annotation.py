"""Annotating by hand: filling between slices, thresholds, the worklist, autosave and training cases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teethseg.annotation import Worklist, between_slices, save_case, start_threshold
from teethseg.annotation.cases import with_unknown
from teethseg.annotation.worklist import IDLE
from teethseg.errors import InputError, TeethSegError, UsageError
from teethseg.io.case_sources import facts_of
from teethseg.io.files import read_labels, read_scan, read_teeth
from teethseg.training.data import load_case
from teethseg.volume import Volume


def cone(shape=(41, 60, 70)):
    """A slanted, tapering root along z."""
    z, y, x = np.indices(shape)
    return np.hypot(y - (20 + 0.4 * z), x - (30 - 0.3 * z)) < 9 - 0.12 * z


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gaps_between_painted_slices_are_filled(axis):
    truth = np.moveaxis(cone(), 0, axis)
    labels = np.zeros(truth.shape, np.uint8)
    painted = [slice(None)] * 3
    painted[axis] = slice(0, None, 8)
    labels[tuple(painted)][truth[tuple(painted)]] = 36
    labels[:2, :2, :2] = 37
    after = between_slices(labels, 36, axis).applied(labels)
    filled = after == 36
    assert 2 * (filled & truth).sum() / (filled.sum() + truth.sum()) > 0.95
    assert (after[tuple(painted)] == labels[tuple(painted)]).all()
    assert ((after == 37) == (labels == 37)).all()


def test_filling_never_eats_a_neighbour():
    labels = np.zeros((9, 20, 20), np.uint8)
    labels[[0, 8], 5:15, 5:15] = 11
    labels[4, 8:12, 8:12] = 21
    after = between_slices(labels, 11, 0).applied(labels)
    assert ((after == 21) == (labels == 21)).all()
    assert (after[4] == 11).sum() == 100 - 16


def test_nothing_to_fill():
    labels = np.zeros((9, 20, 20), np.uint8)
    labels[3:5, 5:15, 5:15] = 11
    with pytest.raises(UsageError, match="no gap"):
        between_slices(labels, 11, 0)


def test_threshold_starts_between_tooth_and_bone():
    rng = np.random.default_rng(0)
    image = np.full((40, 50, 60), -900.0)
    image[:, 10:] = 60.0
    image[10:30, 15:45, 10:50] = 600.0
    image[15:28, 20:30, 20:28] = 1500.0
    image[26:28, 20:22, 20:22] = 9000.0  # metal
    labels = np.zeros(image.shape, np.uint8)
    labels[15:28, 20:30, 20:28] = 46
    image += rng.normal(0, 30, image.shape)
    low, high = start_threshold(image, (0.4, 0.4, 0.4), None)
    assert 60 < low < 1500 and high > 8000
    low, _ = start_threshold(image, (0.4, 0.4, 0.4), labels)
    assert 900 < low < 1200
    with pytest.raises(UsageError, match="one grey value"):
        start_threshold(np.zeros((4, 4, 4)), (1, 1, 1), None)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_worklist_walks_as_dentists_do():
    worklist = Worklist([31, 48, 11, 18, 21, 41, 28, 38, 55])
    assert worklist.teeth == (18, 55, 11, 21, 28, 38, 31, 41, 48)
    assert worklist.next() == 18
    worklist.set_state(18, "completed")
    worklist.set_state(55, "flagged")
    assert worklist.next() == 11
    assert worklist.next(after=48) == 11
    assert worklist.next(after=21) == 28
    for fdi in worklist.teeth:
        worklist.set_state(fdi, "completed")
    assert worklist.next() is None
    assert worklist.counts() == {"not_started": 0, "in_progress": 0, "completed": 9, "flagged": 0}


def test_time_runs_for_the_tooth_in_work_only():
    clock = Clock()
    worklist = Worklist([11, 12], clock)
    worklist.start(11)
    assert worklist.state(11) == "in_progress"
    clock.now = 20
    worklist.start(12)
    clock.now = 25
    assert (worklist.seconds(11), worklist.seconds(12)) == (20, 5)
    worklist.set_state(12, "completed")
    clock.now = 100
    assert worklist.seconds(12) == 5 and worklist.current is None
    worklist.start(11)
    clock.now = 101
    worklist.pause()
    assert worklist.seconds(11) == 21


def test_rests_and_waiting_are_no_work():
    clock = Clock()
    worklist = Worklist([11], clock)
    worklist.start(11)
    clock.now = 10
    worklist.touch()
    clock.now = 1000  # a telephone call
    worklist.touch()
    assert worklist.seconds(11) == 10 + IDLE
    clock.now = 1005
    worklist.touch()
    clock.now = 1020  # the computer grows the tooth
    worklist.skip()
    clock.now = 1022
    worklist.pause()
    assert worklist.seconds(11) == 10 + IDLE + 5 + 2


def test_teeth_join_and_leave_the_worklist():
    worklist = Worklist([11, 13])
    worklist.set_state(13, "completed")
    worklist.add(12)
    assert worklist.teeth == (13, 12, 11) and worklist.state(13) == "completed"
    worklist.drop(11)
    with pytest.raises(UsageError, match="not on the worklist"):
        worklist.state(11)
    with pytest.raises(UsageError, match="no tooth's"):
        worklist.add(99)
    with pytest.raises(UsageError, match="no state"):
        worklist.set_state(12, "done")


def test_the_worklist_survives_json():
    clock = Clock()
    worklist = Worklist([11, 36, 75], clock)
    worklist.start(36)
    clock.now = 12.5
    worklist.set_state(36, "flagged")
    again = Worklist.from_json(worklist.to_json())
    assert again.teeth == worklist.teeth
    assert [again.state(n) for n in again.teeth] == [worklist.state(n) for n in again.teeth]
    assert again.seconds(36) == 12.5
    for text in ("", "[]", '{"teeth": {"99": {"state": "completed", "seconds": 1}}}', '{"teeth": {"11": {}}}'):
        with pytest.raises(InputError, match="no worklist"):
            Worklist.from_json(text)


@pytest.fixture
def scan():
    rng = np.random.default_rng(1)
    angle = np.radians(20)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]])
    return Volume(rng.integers(-1000, 3000, (20, 30, 40)).astype(np.int16), (0.3, 0.4, 0.5), (7, -8, 9), turned)


@pytest.fixture
def labels(scan):
    array = np.zeros(scan.array.shape, np.uint8)
    array[5:9, 3:9, 30:36], array[5:9, 12:20, 4:8] = 26, 47
    return array


def test_a_case_that_training_can_read(tmp_path, scan, labels):
    folder = tmp_path / "case"
    save_case(folder, scan, labels, "patient-7")
    assert sorted(file.name for file in folder.iterdir()) == ["case.json", "image.nrrd", "labels.seg.nrrd"]
    assert facts_of(folder).patient == "patient-7"
    assert json.loads((folder / "case.json").read_text())["simulated"] is False
    image, kept = read_scan(folder / "image.nrrd"), read_labels(folder / "labels.seg.nrrd")
    assert (image.array == scan.array).all() and np.allclose(image.affine, scan.affine)
    assert (kept.array == labels).all() and np.allclose(kept.affine, scan.affine)
    assert set(np.unique(load_case(folder, 0.4).labels)) == {0, 26, 47}


def test_a_case_is_not_overwritten_unless_asked(tmp_path, scan, labels):
    folder = tmp_path / "case"
    save_case(folder, scan, labels, "a")
    with pytest.raises(UsageError, match="exists already"):
        save_case(folder, scan, labels, "b")
    assert facts_of(folder).patient == "a"
    save_case(folder, scan, labels, "b", overwrite=True)
    assert facts_of(folder).patient == "b"
    assert [file.name for file in tmp_path.iterdir()] == ["case"]
    other = tmp_path / "holiday pictures"
    other.mkdir()
    (other / "beach.png").touch()
    with pytest.raises(UsageError, match="exists already"):
        save_case(other, scan, labels, "b", overwrite=True)
    assert (other / "beach.png").exists()


def test_a_case_is_written_whole_or_not_at_all(tmp_path, scan, labels, monkeypatch):
    folder = tmp_path / "case"
    save_case(folder, scan, labels, "a")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("teethseg.io.case_folder.write_segmentation", full)
    for target in (folder, tmp_path / "another"):
        with pytest.raises(TeethSegError, match="No space left"):
            save_case(target, scan, labels, "b", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["case"]
    assert facts_of(folder).patient == "a"


@pytest.mark.parametrize(("patient", "kept"), [("", True), ("  ", True), ("a\nb", True), ("a", False)])
def test_no_case_without_patient_or_teeth(tmp_path, scan, labels, patient, kept):
    with pytest.raises(UsageError, match="patient key" if kept else "No tooth"):
        save_case(tmp_path / "case", scan, labels * kept, patient)
    assert not list(tmp_path.iterdir())


def half_annotated(scan: Volume) -> tuple[Volume, np.ndarray, Worklist]:
    """Three bright teeth of which 26 is completed, 27 drawn but doubtful, and 47 not drawn at all."""
    image = np.full(scan.array.shape, -900, np.int16)
    image[2:18, 2:28, 2:38] = np.random.default_rng(0).normal(40, 20, (16, 26, 36))
    labels = np.zeros(scan.array.shape, np.uint8)
    for fdi, box in {26: np.s_[5:12, 4:8, 28:34], 27: np.s_[5:12, 14:18, 28:34], 47: np.s_[5:12, 18:24, 5:12]}.items():
        labels[box] = fdi
        image[box] = 1500
    image[8, 20:22, 8:9] = 60  # the pulp of 47
    worklist = Worklist([26, 27, 47])
    worklist.set_state(26, "completed")
    worklist.set_state(27, "flagged")
    return scan.with_array(image), labels, worklist


def test_what_is_not_completed_is_refused_or_unknown(tmp_path, scan):
    image, truth, worklist = half_annotated(scan)
    drawn = np.where(truth == 47, 0, truth).astype(np.uint8)
    with pytest.raises(UsageError, match=r"2 teeth are not completed \(27, 47\)"):
        save_case(tmp_path / "case", image, drawn, "a", worklist=worklist)
    assert not (tmp_path / "case").exists()
    save_case(tmp_path / "case", image, drawn, "a", worklist=worklist, missing=(18,), unfinished=True)
    about = json.loads((tmp_path / "case" / "case.json").read_text())
    assert about["teeth"] == {"18": "missing", "26": "completed", "27": "flagged", "47": "not_started"}
    kept = load_case(tmp_path / "case", 0.4).labels
    assert set(np.unique(kept)) == {0, 26, 255}
    unknown = read_teeth(tmp_path / "case" / "labels.seg.nrrd", keep=("unknown",)).array == 255
    assert unknown[truth == 47].all() and unknown[truth == 27].all() and not unknown[truth == 26].any()
    assert not unknown[:2].any()  # air and soft tissue remain training data
    finished = Worklist([26])
    finished.set_state(26, "completed")
    save_case(tmp_path / "whole", image, np.where(truth == 26, 26, 0).astype(np.uint8), "a", worklist=finished)
    assert set(np.unique(load_case(tmp_path / "whole", 0.4).labels)) == {0, 26}


def test_teeth_that_are_not_drawn_are_not_unlearned(scan):
    """A small network labels bright voxels as tooth; training on the saved case keeps the tooth that is not drawn."""
    import torch

    from teethseg.training.losses import jaw_loss
    from teethseg.training.targets import coarse_targets

    image, truth, worklist = half_annotated(scan)
    drawn = np.where(truth == 47, 0, truth).astype(np.uint8)
    bright = (image.array > 800).astype(float)
    right = np.arange(truth.shape[2]) < truth.shape[2] // 2  # the half with 47
    seen = torch.as_tensor(np.stack([bright * ~right, bright * right]), dtype=torch.float32)[None]

    def tooth_after_training(labels: np.ndarray) -> float:
        """Probability of tooth at 47 after training."""
        network = torch.nn.Conv3d(2, 3, 1)
        with torch.no_grad():
            network.weight.zero_()
            network.bias.copy_(torch.tensor([2.0, -2.0, -2.0]))
            network.weight[1:] = 6.0  # bright: upper or lower tooth
        network.bias.requires_grad_(False)
        target = torch.as_tensor(coarse_targets(labels)["jaw"])[None]
        steps = torch.optim.Adam(network.parameters(), lr=0.1)
        for _ in range(60):
            steps.zero_grad()
            jaw_loss(network(seen), target).backward()
            steps.step()
        share = 1 - network(seen).softmax(dim=1)[0, 0].detach().numpy()
        return float(share[truth == 47].mean())

    assert tooth_after_training(truth) > 0.9
    assert tooth_after_training(drawn) < 0.5  # the labels as a case saved them before
    assert tooth_after_training(with_unknown(drawn, image, worklist.unfinished())) > 0.9
