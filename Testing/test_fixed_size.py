"""Fixed-size mode: series of different length in one shape, each once per epoch."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from dicom_series import write_series
from labelled_cases import labelled_scan
from teethseg.errors import UsageError
from teethseg.io.case_folder import write_case_folder
from teethseg.io.case_sources import find_cases
from teethseg.io.files import write_labels
from teethseg.training.cases import CaseStore, load_case
from teethseg.training.data import FixedSamples
from teethseg.training.fit import fit, training_samples
from teethseg.training.fixed_size import FixedSize
from teethseg.training.options import FitOptions, read_values
from teethseg.training.plots import history
from teethseg.training.sampling import Sampling
from teethseg.volume import Volume

STILL = Sampling(augment=frozenset())
PLACE = {"spacing": (0.4, 0.4, 0.4)}


def raw(labels, _case):
    return {"labels": labels.astype(np.int64)}


def upright(slices: int, seed: int = 0, rows: int = 24, columns: int = 20) -> tuple[Volume, Volume]:
    """An asymmetric series: tooth 11 low, in front, on the right; 36 high, behind, on the left."""
    labels = np.zeros((slices, rows, columns), np.uint8)
    middle = slices // 2
    labels[middle - 4 : middle, 4:8, 3:7] = 11
    labels[middle : middle + 4, 16:20, 13:17] = 36
    array = (np.random.default_rng(seed).normal(0, 40, labels.shape) + 1000 * (labels > 0) + 10 * seed).astype(np.int16)
    return Volume(array, **PLACE), Volume(labels, **PLACE)


@pytest.fixture
def series(tmp_path):
    for number, slices in enumerate((10, 16, 31)):
        write_case_folder(tmp_path / "cases" / f"case-{number}", *upright(slices, number), f"patient-{number}")
    return tmp_path / "cases"


@pytest.mark.parametrize("by", ["crop", "depth", "resize"])
def test_series_of_different_length_get_one_shape(series, by):
    samples = FixedSamples(series, FixedSize((16, 32, 16), by, "volume"), 3, 1, raw, sampling=STILL)
    found = [samples[index] for index in range(3)]
    assert {tuple(one["image"].shape) for one in found} == {(1, 16, 32, 16)}
    for one in found:
        labels = one["target"]["labels"].numpy()
        first, second = (np.argwhere(labels == fdi).mean(axis=0) for fdi in (11, 36))
        assert (first < second).all()  # lower slices, rows, columns: no axis was flipped
        assert one["image"][0].numpy()[labels > 0].min() > one["image"][0].numpy()[labels == 0].mean()
    depths = sorted(len(set(np.argwhere(one["target"]["labels"].numpy() == 11)[:, 0])) for one in found)
    assert depths == [4, 4, 4] if by != "resize" else depths[0] < depths[2]


def test_short_series_are_padded_with_zeros_and_long_ones_cut_in_the_middle(series):
    store = CaseStore(None, None, FixedSize((16, 24, 20), "depth", "volume"))
    short, same, long = (store.get(source) for source in find_cases(series)[0])
    assert not short.image[:3].any() and not short.image[13:].any() and short.image[3:13].all(axis=(1, 2)).any()
    assert not short.labels[:3].any() and np.count_nonzero(short.labels == 11) == 64
    for case in (short, same, long):
        inside = case.image[3:13] if case is short else case.image
        assert abs(inside.mean()) < 1e-4 and inside.std() == pytest.approx(1, abs=1e-3)
    own = load_case(find_cases(series)[0][2], None)
    assert own.image.shape == (31, 24, 20)
    assert np.array_equal(long.labels, own.labels[7:23]) or np.array_equal(long.labels, own.labels[8:24])


def test_each_slice_is_standardised_by_itself_in_any_plane(series):
    source = find_cases(series)[0][1]
    for plane, axis in (("axial", 0), ("coronal", 1), ("sagittal", 2)):
        size = np.array((16, 24, 20))[[axis, *(n for n in range(3) if n != axis)]]
        fixed = FixedSize(tuple(int(n) for n in size), "crop", "slice", plane)
        case = CaseStore(None, None, fixed).get(source)
        assert case.image.shape == (16, 24, 20) == fixed.shape  # axes of the patient, whatever the plane
        each = np.moveaxis(case.image, axis, 0).reshape(case.image.shape[axis], -1)
        assert np.allclose(each.mean(axis=1), 0, atol=1e-4) and np.allclose(each.std(axis=1), 1, atol=1e-3)
        (sample,) = [FixedSamples([source], fixed, 1, 1, raw, sampling=STILL)[0]]
        assert sample["image"].shape[1:] == tuple(size)
        assert np.array_equal(sample["target"]["labels"], np.moveaxis(case.labels, axis, 0))


def test_each_series_comes_once_a_pass_in_an_order_that_changes(series):
    def passes(samples, epochs):
        for samples.epoch in range(epochs):
            yield [samples.drawn(index)[2].patient for index in range(len(samples))]

    fixed = FixedSize((16, 24, 20))
    found = list(passes(FixedSamples(series, fixed, 3, 1, raw, sampling=STILL), 12))
    assert all(sorted(one) == ["patient-0", "patient-1", "patient-2"] for one in found)
    assert len({tuple(one) for one in found}) > 2
    again = list(passes(FixedSamples(series, fixed, 3, 1, raw, sampling=STILL), 12))
    assert again == found  # so a resumed run sees the same samples
    turned = FixedSamples(series, fixed, 27, 1, raw, sampling=Sampling(augment=frozenset(), turns=9))
    patients = [turned.drawn(index)[2].patient for index in range(27)]
    assert [patients.count(one) for one in sorted(set(patients))] == [9, 9, 9]
    (series / "case-1" / "image.nrrd").write_bytes(b"NRRD0004\nnonsense")
    assert {p for one in passes(FixedSamples(series, fixed, 3, 1, raw, sampling=STILL), 2) for p in one} == {
        "patient-0",
        "patient-2",
    }


def test_dicom_series_are_read_when_their_turn_comes(tmp_path, monkeypatch):
    """Out-of-core data: the start reads no series, each series is read once, and prepared series are memory-mapped."""
    for number, slices in enumerate((10, 20)):
        scan, labels = upright(slices, number)
        write_series(tmp_path / "in" / f"p{number}" / "dicom", scan, PatientID=str(number))
        write_labels(tmp_path / "in" / f"p{number}" / "teeth.seg.nrrd", labels)
    read = []

    def load(source, spacing):
        read.append(source.name)
        return load_case(source, spacing)

    monkeypatch.setattr("teethseg.training.data.load_case", load)
    fixed = FixedSize((16, 32, 32), "depth", "slice")
    samples = FixedSamples(tmp_path / "in", fixed, 2, 1, raw, cache=tmp_path / "cache", sampling=STILL)
    assert read == []
    for samples.epoch in range(3):
        cases = [samples.drawn(index)[2] for index in range(2)]
    assert sorted(read) == ["p0", "p1"] and all(isinstance(case.image, np.memmap) for case in cases)
    other = FixedSamples(
        tmp_path / "in", FixedSize((16, 32, 32), "depth", "volume"), 2, 1, raw, cache=tmp_path / "cache", sampling=STILL
    )
    other.drawn(0)
    assert len(read) == 3  # other settings are other entries


def test_augmentations_move_image_and_labels_together(series):
    fixed = FixedSize((16, 24, 20), standardise="volume")
    for name in ("turn", "flip", "scale", "elastic"):
        samples = FixedSamples(series, fixed, 6, 1, raw, sampling=Sampling(augment=frozenset({name})))
        for index in range(6):
            image, labels, case = samples.drawn(index)
            assert image.shape == labels.shape == (16, 24, 20)
            assert image[labels > 0].mean() > image[labels == 0].mean() + 2, name
        assert not np.array_equal(labels, case.labels) or name == "flip"


def test_lost_teeth_and_unfit_sizes_are_reported(series, caplog):
    with caplog.at_level(logging.WARNING):
        CaseStore(None, None, FixedSize((16, 24, 4))).get(find_cases(series)[0][1])
    assert "patient-1: 11, 36 lie outside 16x24x4" in caplog.text
    for text in ("12", "0x5x5", "axbxc", "1x2x3x4"):
        with pytest.raises(UsageError, match="fixed is"):
            FixedSize.of(text)
    for values, words in [
        ({"fixed": "16x32x32", "fixed_by": "resize"}, "leave fixed_by crop"),
        ({"fixed": "16x30x32"}, "30, which is no multiple of 16"),
    ]:
        with pytest.raises(UsageError, match=words):
            training_samples(FitOptions("coarse", **values), series, 1, 1, series)


@pytest.mark.slow
def test_a_stage_learns_from_whole_series_in_batches(tmp_path):
    for number in range(2):
        write_case_folder(tmp_path / "cases" / str(number), *labelled_scan(number, edge=30 + 4 * number), str(number))
    write_case_folder(tmp_path / "check" / "9", *labelled_scan(9), "9")
    given = ("coarse", tmp_path / "cases", tmp_path / "check", tmp_path / "run", 9)
    how = {"fixed": "32x32x32", "augment": "none", "schedule": "constant", "learning_rate": 5e-3}
    best = fit(*given, batch=2, epoch=3, checks=1, workers=0, accelerator="cpu", **how)
    losses = [loss for _, loss in history(tmp_path / "run")["train_loss"]]
    assert best.exists() and len(losses) == 3 and losses[0] > losses[1] > losses[2]
    assert read_values(tmp_path / "run" / "parameters.yaml")["together"] == 2
