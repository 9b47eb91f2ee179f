"""A scan whose orientation differs from its file: all teeth together reveal it, and one warning reports it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from teethseg.anatomy import tooth
from teethseg.cascade import fine, orientation, pipeline
from teethseg.cascade.coarse import CoarseResult
from teethseg.cascade.jaw_shape import jaws_log_likelihood
from teethseg.cascade.number_choice import mirrored
from teethseg.cascade.numbering import MidlinePrior, NumberedTooth, dentition_evidence, number_teeth
from teethseg.cascade.orientation import (
    AS_FILED,
    BACKWARD,
    CUBE_MM,
    ORIENTATIONS,
    PLANE_KEPT,
    UPSIDE_DOWN,
    Orientation,
    OrientationDecision,
    better_inverted,
    decide,
    in_doubt,
)
from teethseg.cascade.predictions import FineMaps, ToothMaps
from teethseg.cascade.region import Region
from teethseg.cascade.turns import turn_between, turned, turned_maps
from teethseg.padding import PatientGreys
from teethseg.resampling import labels_on_grid
from teethseg.simulation.centroids import simulate_evidence
from teethseg.simulation.mouths import CROWN_WIDTHS
from teethseg.volume import Volume
from test_jaw_shape import shaped
from test_numbering import WITHOUT_THIRDS, centre, evidence

BOTH = Orientation.of(back=(0, -1, 0), up=(0, 0, -1))
LYING = Orientation.of(back=(0, 0, -1), up=(0, 1, 0))
SIDEWAYS = Orientation.of(back=(1, 0, 0), up=(0, 0, 1))


def never(way):
    raise AssertionError("stage 1 looked again although all was clear")


def knows(best: Orientation, most: float = 40.0, else_: float = 25.0):
    """A first stage that recognises teeth best with the scan turned in one way."""
    return lambda way: most if way == best else else_


def filed(patient: Volume, way: Orientation) -> Volume:
    """The scan of an upright patient in a file in which the patient lies in some way."""
    return turned(patient, np.transpose(way.matrix))


def filed_otherwise(teeth, way: Orientation):
    """Evidence of upright teeth in a file in which the patient lies in some way; the upper jaw is the one above."""
    return Orientation(tuple(zip(*way.matrix, strict=True))).evidence(teeth)


def numbers(teeth, midline=None):
    return teeth, number_teeth(teeth, midline), midline


# The ways


def test_there_are_24_ways_and_each_is_a_permutation_of_axes():
    assert len(set(ORIENTATIONS)) == 24 and ORIENTATIONS[0] == AS_FILED and len(PLANE_KEPT) == 4
    for way in ORIENTATIONS:
        matrix = np.abs(way.matrix)
        assert (matrix.sum(axis=0) == 1).all() and (matrix.sum(axis=1) == 1).all()


def test_sides_are_known_where_handedness_and_the_file_agree():
    # Among the ways that do not mirror, only turns about the left-right axis keep the file's left.
    assert {way for way in ORIENTATIONS if way.sides_known} == {
        AS_FILED,
        BOTH,
        LYING,
        Orientation.of(back=(0, 0, 1), up=(0, -1, 0)),
    }
    assert UPSIDE_DOWN.matrix == ((1, 0, 0), (0, 1, 0), (0, 0, -1))  # mirrored: the file's left stays left
    assert BACKWARD.matrix == ((-1, 0, 0), (0, -1, 0), (0, 0, 1))  # turned


def oblique() -> Volume:
    rng = np.random.default_rng(0)
    direction = Rotation.from_euler("xyz", (20, -10, 35), degrees=True).as_matrix()
    return Volume(rng.integers(0, 9, (9, 11, 13)), (0.7, 0.9, 1.3), (5.0, -8.0, 30.0), direction)


@pytest.mark.parametrize("way", ORIENTATIONS, ids=str)
def test_a_turned_scan_has_the_same_voxels_in_other_places(way):
    scan = oblique()
    turned = way.turned(scan)
    assert turned.array is scan.array
    place = (scan.affine @ [3, 4, 5, 1])[:3]
    there = (turned.affine @ [3, 4, 5, 1])[:3]
    np.testing.assert_allclose(there, np.array(way.matrix) @ place, atol=1e-9)
    np.testing.assert_allclose(turn_between(scan, turned), way.matrix, atol=1e-9)
    np.testing.assert_allclose(filed(turned, way).affine, scan.affine, atol=1e-9)


@pytest.mark.parametrize("way", ORIENTATIONS, ids=str)
def test_maps_of_a_turned_scan_give_the_same_labels_by_the_axes_of_the_file(way):
    scan = oblique()
    turned = way.turned(scan)
    low = (turned.affine @ [6, 5, 4, 1])[:3] - 3
    owner = np.zeros((16, 14, 12), np.uint8)
    owner[3:9, 2:7, 4:11], owner[9:14, 5:12, 3:6] = 11, 46
    maps = ToothMaps((owner > 0).astype(np.uint8) * 255, owner, tuple(low), 0.5)
    assert np.array_equal(turned_maps(maps, turn_between(turned, scan)).labels(scan), maps.labels(turned))
    assert (maps.labels(turned) > 0).sum() > 20


@pytest.mark.parametrize("way", ORIENTATIONS, ids=str)
def test_an_image_to_look_at_is_turned_as_the_scan_is(way):
    array = np.random.default_rng(1).normal(size=(4, 6, 8))
    seen = way.array(array)
    left, back, up = way.matrix
    for axis, direction in ((2, left), (1, back), (0, up)):
        # A step along the patient's axis is a step along the file's axis, in the direction of the way.
        step = np.array(direction)[::-1]
        kept = int(np.flatnonzero(step)[0])
        assert seen.shape[axis] == array.shape[kept]
    corner = tuple(0 if sum(row) > 0 else -1 for row in zip(*way.matrix, strict=True))[::-1]
    assert seen[0, 0, 0] == array[corner]


# The decision


@pytest.mark.parametrize("kind", ["full", "teeth lost", "premolars extracted", "lower incisor extracted", "crowded"])
def test_a_clear_scan_costs_no_second_look(kind):
    teeth = simulate_evidence(np.random.default_rng(0), kind).evidence
    assert decide(*numbers(teeth), never) == OrientationDecision()


def upright(seed=0) -> list:
    return list(simulate_evidence(np.random.default_rng(seed), "full").evidence)


@pytest.mark.parametrize("seed", range(2))
def test_a_head_stored_upside_down_gets_no_tooth_of_the_other_jaw(seed):
    truth = simulate_evidence(np.random.default_rng(seed), "full")
    stored = filed_otherwise(truth.evidence, UPSIDE_DOWN)
    wrong = number_teeth(stored)
    assert sum(found.confidence > 0.95 for found in wrong) > 5  # without the check of all teeth together they are sure
    decision = decide(stored, wrong, None, knows(UPSIDE_DOWN))
    assert decision == OrientationDecision(UPSIDE_DOWN)
    again = decision.numbers(number_teeth(decision.best.evidence(stored)))
    right = dict(zip([one.label for one in truth.evidence], truth.fdi, strict=True))
    jaws = [tooth(one.fdi).jaw == tooth(right[one.label]).jaw for one in again if one.fdi and right[one.label]]
    assert all(jaws) and len(jaws) > 20
    assert max(one.confidence for one in again) <= 0.5
    assert all(tooth(one.second_fdi).side != tooth(one.fdi).side for one in again if one.fdi)


@pytest.mark.parametrize("way", [BACKWARD, BOTH])
def test_a_head_that_faces_the_back_is_turned(way):
    stored = filed_otherwise([evidence(fdi) for fdi in WITHOUT_THIRDS], way)
    decision = decide(*numbers(stored), knows(way))
    assert decision == OrientationDecision(way)
    again = decision.numbers(number_teeth(way.evidence(stored)))
    assert [one.fdi for one in again] == WITHOUT_THIRDS
    assert (min(one.confidence for one in again) > 0.9) == way.sides_known


@pytest.mark.parametrize("way", [LYING, SIDEWAYS])
def test_what_has_no_sure_number_is_looked_at_in_all_ways(way):
    nothing = ([], [], None)
    assert decide(*nothing, knows(way, 30.0, 4.0)) == OrientationDecision(way)
    assert decide(*nothing, knows(way, 5.0, 4.0)).best == AS_FILED  # bone that looks like a tooth
    unsure = [NumberedTooth(one.label, 26, 0.4, 27) for one in upright()[:4]]
    assert decide(upright()[:4], unsure, None, knows(way, 40.0, 5.0)) == OrientationDecision(way)


def test_numbers_of_which_some_are_unsure_are_looked_at_in_the_plane_alone():
    teeth = simulate_evidence(np.random.default_rng(0), "full").evidence
    numbered = [NumberedTooth(one.label, 26, 0.99 if number % 2 else 0.6) for number, one in enumerate(teeth)]
    seen = []

    def look(way):
        seen.append(way)
        return 40.0 if way == AS_FILED else 15.0

    assert decide(teeth, numbered, None, look) == OrientationDecision()
    assert seen == list(PLANE_KEPT)


def test_arches_of_a_wrong_reading_do_not_outvote_stage_1():
    """Read backwards, front teeth look like molars and stand as molars do, so that the arches support the file."""
    teeth = simulate_evidence(np.random.default_rng(0), "full").evidence
    unsure = [NumberedTooth(one.label, 26, 0.6) for one in teeth]
    assert decide(teeth, unsure, None, knows(BACKWARD, 37.0, 12.0)) == OrientationDecision(BACKWARD)


def test_a_few_teeth_that_may_lie_either_way_get_no_sure_number():
    """Molars and premolars of one side of both jaws, upside down: they fit both jaws nearly as well."""
    few = [one for one in upright(3) if one.centroid_lps[0] > np.mean([o.centroid_lps[0] for o in upright(3)]) + 12]
    stored = filed_otherwise(few, UPSIDE_DOWN)
    numbered = [NumberedTooth(one.label, 36, 0.99) for one in stored]
    decision = decide(stored, numbered, MidlinePrior(-30.0), knows(UPSIDE_DOWN, 30.0, 25.0))
    assert decision != OrientationDecision()
    found = decision.numbers(numbered)
    assert max(one.confidence for one in found) <= 0.5
    if decision.best == AS_FILED:
        assert {one.second_fdi for one in found} == {26}


def shaped_field(fdis) -> list:
    """Back teeth alone, with the cross-sections of their kind; the networks do not tell the jaws apart."""
    return [shaped(fdi) for fdi in fdis]


@pytest.mark.parametrize("fdis", [(14, 15, 16, 17, 44, 45, 46, 47), (24, 25, 26, 27), (33, 34, 35, 36, 37)])
def test_back_teeth_alone_are_recognised_by_their_cross_sections(fdis):
    """Only tooth shapes tell which way up a small field is. Without them, 14 sure numbers once had the wrong jaw."""
    field = shaped_field(fdis)
    sure = [NumberedTooth(one.label, fdi, 0.99) for one, fdi in zip(field, fdis, strict=True)]
    alike = lambda way: 10.0  # noqa: E731
    assert decide(field, sure, None, alike) == OrientationDecision()
    stored = filed_otherwise(field, UPSIDE_DOWN)
    wrong = [NumberedTooth(one.label, mirrored(fdi, jaws=True), 0.99) for one, fdi in zip(field, fdis, strict=True)]
    found = decide(stored, wrong, None, alike)
    assert not found.jaws_sure or found.best == UPSIDE_DOWN
    assert max(one.confidence for one in found.numbers(wrong)) <= 0.5 and found.warning


def seen_from_behind() -> list:
    """A head that faces the back: front teeth were taken for molars, so that cross-sections support the other jaw."""
    teeth = [replace(shaped(fdi), position_log_probs=evidence(fdi, looks_like=9 - fdi % 10).position_log_probs)
             for fdi in (12, 13, 22, 23, 16, 26, 42, 43, 32, 33, 36, 46)]  # fmt: skip
    assert jaws_log_likelihood(UPSIDE_DOWN.evidence(teeth)) - jaws_log_likelihood(teeth) > 2
    return teeth


@pytest.mark.parametrize("sure", [0.99, 0.6])
def test_cross_sections_never_outvote_a_head_that_is_known_better_from_behind(sure):
    teeth = seen_from_behind()
    numbered = [NumberedTooth(one.label, 26, sure if n % 3 else 0.6) for n, one in enumerate(teeth)]
    known = {AS_FILED: 15.0, BACKWARD: 60.0, UPSIDE_DOWN: 17.0, BOTH: 27.0}
    found = decide(teeth, numbered, None, lambda way: known.get(way, 10.0))
    assert found.best == BACKWARD


def test_cross_sections_take_no_doubt_away_unseen(monkeypatch):
    """As in a real head facing back: arches favoured no way, 12 of 14 numbers were sure, shapes supported the file."""
    fits = {AS_FILED: -96.1, UPSIDE_DOWN: -100.9, BACKWARD: -106.0}
    monkeypatch.setattr(orientation, "_arch_evidence", lambda teeth, midline, way: fits.get(way, -118.1))
    field = shaped_field((14, 15, 16, 17, 44, 45, 46, 47))
    numbered = [NumberedTooth(one.label, 26, 0.99) for one in field]
    known = {AS_FILED: 15.0, BACKWARD: 35.5, UPSIDE_DOWN: 17.0, BOTH: 27.4}
    assert decide(field, numbered, None, known.get) == OrientationDecision(BACKWARD)


def test_a_better_explanation_of_the_teeth_than_the_file_is_reported_however_rare():
    teeth = upright(4)
    numbered = [NumberedTooth(one.label, 26, 0.99 if n % 2 else 0.6) for n, one in enumerate(teeth)]
    gain = sum(dentition_evidence(way.evidence(teeth)) * sign for way, sign in ((AS_FILED, 1), (UPSIDE_DOWN, -1)))
    most = min(gain, 12.0)  # how much the arches support the file
    for more, doubted in ((-1.0, False), (1.0, True)):
        look = lambda way, more=more: 20.0 + (most + more if way == UPSIDE_DOWN else 0.0)  # noqa: E731
        found = decide(teeth, numbered, None, look)
        assert found.best == AS_FILED and (found.alternative == UPSIDE_DOWN) == doubted


def test_numbers_are_in_doubt_as_a_whole_where_hardly_any_is_sure():
    sure, unsure, none = NumberedTooth(1, 11, 0.99), NumberedTooth(2, 12, 0.6), NumberedTooth(3, 0, 0.9)
    assert in_doubt([]) and in_doubt([unsure, none]) and in_doubt([sure, unsure, unsure, none])
    assert not in_doubt([sure, sure, unsure, none])
    side = NumberedTooth(4, 36, 0.6, 46)  # only its side is unsure: no evidence of how the head lies
    assert not in_doubt([side, side, unsure])


def test_inverted_greys_need_much_more_than_what_is_known_already():
    assert better_inverted(0.0, 20.0) and not better_inverted(0.0, 3.0) and not better_inverted(20.0, 22.0)


# Warnings


@pytest.mark.parametrize(
    ("way", "rival"), [*product(ORIENTATIONS[1:], [None, AS_FILED]), (AS_FILED, UPSIDE_DOWN)], ids=str
)
def test_one_sentence_says_what_the_file_says_and_what_the_teeth_say(way, rival):
    said = OrientationDecision(way, rival).warning
    assert said.startswith("The file shows a head that is upright and faces forwards, the teeth ")
    assert "\n" not in said and said.count(". ") == 0 and said.endswith(".")
    assert ("every number is unsure" in said) == (rival is not None or not way.sides_known)


def test_the_words_are_plain():
    assert "the teeth one that is upside down:" in OrientationDecision(UPSIDE_DOWN).warning
    assert "the teeth one that faces the back:" in OrientationDecision(BACKWARD).warning
    assert "the teeth one that is upside down and faces the back:" in OrientationDecision(BOTH).warning
    assert "has its top at the back of the scan and its face at the top:" in OrientationDecision(LYING).warning
    assert "perhaps one that is upside down:" in OrientationDecision(AS_FILED, UPSIDE_DOWN).warning
    assert OrientationDecision().warning is None


@pytest.mark.parametrize(("fdi", "side", "jaw"), [(11, 21, 41), (26, 16, 36), (38, 48, 28), (55, 65, 85), (73, 83, 63)])
def test_second_numbers_are_the_same_tooth_elsewhere(fdi, side, jaw):
    found = [NumberedTooth(1, fdi, 0.98), NumberedTooth(2, 0, 0.9)]
    (one, extra) = OrientationDecision(UPSIDE_DOWN).numbers(found)
    assert (one.fdi, one.second_fdi, extra) == (fdi, side, found[1])
    assert OrientationDecision(AS_FILED, UPSIDE_DOWN).numbers(found)[0].second_fdi == jaw
    assert OrientationDecision(BOTH).numbers(found) == found
    assert OrientationDecision().numbers(found) == found


def test_the_midline_turns_with_the_head():
    assert BACKWARD.midline(MidlinePrior(12.0)) == MidlinePrior(-12.0)
    assert UPSIDE_DOWN.midline(MidlinePrior(12.0)) == MidlinePrior(12.0)
    assert AS_FILED.midline(None) is None
    moved = replace(evidence(11), centroid_lps=np.array([1.0, 2.0, 3.0]))
    (turned,) = BOTH.evidence([moved])
    np.testing.assert_allclose(turned.centroid_lps, (1.0, -2.0, -3.0))
    assert turned.upper_probability == pytest.approx(1 - moved.upper_probability)


# Whole runs, with networks that recognise teeth only where the head is upright


STEP = 1.0  # mm


def mouth() -> Volume:
    """28 teeth as ellipsoids on two arches, upper ones larger than lower ones; FDI numbers, LPS axes."""
    size = np.array([84, 72, 46])
    x, y, z = np.meshgrid(*(np.arange(n) * STEP for n in size), indexing="ij", sparse=True)
    labels = np.zeros(size, np.uint8)
    for fdi in WITHOUT_THIRDS:
        across, behind, up = centre(fdi) + np.array([41.5, 15.5, 22.5])
        width = 0.42 * CROWN_WIDTHS["upper" if fdi < 30 else "lower"][fdi % 10 - 1]
        inside = ((x - across) / width) ** 2 + ((y - behind) / width) ** 2 + ((z - up) / 8) ** 2 < 1
        labels[inside & (labels == 0)] = fdi
    return Volume(np.ascontiguousarray(labels.T), (STEP,) * 3)


class Networks:
    """Both stages, computed from the true labels; the end of a tooth that points up decides its jaw."""

    def __init__(self, array: np.ndarray):
        self.array, self.looks = array, 0

    def _seen(self, volume: Volume, region: Region) -> np.ndarray:
        labels = Volume(self.array, volume.spacing, volume.origin, volume.direction)
        return labels_on_grid(labels, region.volume(np.zeros(region.shape, np.uint8))).array

    @staticmethod
    def _position(labels: np.ndarray) -> np.ndarray:
        right = np.arange(1, 9)[:, None, None, None] == labels[::2, ::2, ::2] % 10
        return np.log(np.where(right, 0.86, 0.02)).astype(np.float32)

    @staticmethod
    def _upper(labels: np.ndarray) -> np.ndarray:
        heights = np.nonzero(labels)[0]
        return (np.arange(len(labels)) > heights.mean())[:, None, None] & (labels > 0)

    def coarse(self, volume, network, config, tell=None) -> CoarseResult:
        region = Region.covering(volume, 2 * STEP, 2)
        labels = self._seen(volume, region)
        tooth, upper = (labels > 0).astype(np.float32), self._upper(labels)
        image = labels.astype(np.float32)
        greys = PatientGreys(0, 1)
        box = volume.extent
        return CoarseResult(region, tooth * upper, tooth * ~upper, self._position(labels), greys, (0, 1), box, image)

    def fine(self, volume, coarse, network, config, tell=None) -> FineMaps:
        region = Region.within(volume, *coarse.box, STEP, 2)
        labels = self._seen(volume, region)
        upper = self._upper(labels)[::2, ::2, ::2].astype(np.float32)
        half = labels[::2, ::2, ::2]
        offset = np.zeros((3, *half.shape), np.float32)
        for fdi in np.unique(half[half > 0]):
            places = np.argwhere(half == fdi)
            offset[(slice(None), *places.T)] = (places.mean(axis=0) - places).T * 2 * STEP
        core = np.zeros(labels.shape, np.float32)
        for fdi in np.unique(labels[labels > 0]):
            core[ndimage.binary_erosion(labels == fdi)] = 0.98
        tooth = np.where(labels > 0, 0.98, 0.02).astype(np.float32)
        return FineMaps(tooth, core, offset, self._position(labels), upper, region.origin, region.spacing)

    def coarse_information(self, image, network, config) -> float:
        """The largest value where upper teeth lie above lower ones and front teeth before molars."""
        self.looks += 1
        z, y, _ = (np.arange(n)[(slice(None),) + (None,) * (2 - axis)] for axis, n in enumerate(image.shape))
        mean = lambda index, where: (index * where).sum() / max(where.sum(), 1)  # noqa: E731
        upper, lower = (image > 0) & (image < 30), image > 30
        front, molar = (image > 0) & (image % 10 < 3), image % 10 > 5
        return 15.0 + 12.0 * (mean(z, upper) > mean(z, lower) + 3) + 12.0 * (mean(y, molar) > mean(y, front) + 3)


@pytest.fixture
def networks(monkeypatch) -> Networks:
    found = Networks(mouth().array)
    monkeypatch.setattr(pipeline, "run_coarse", found.coarse)
    monkeypatch.setattr(pipeline, "run_fine", found.fine)
    monkeypatch.setattr(fine, "run_fine", found.fine)  # of second looks
    monkeypatch.setattr(pipeline, "coarse_information", found.coarse_information)
    return found


@pytest.mark.parametrize("way", [AS_FILED, UPSIDE_DOWN, BOTH, LYING], ids=lambda way: way.words)
def test_segment_numbers_teeth_as_they_lie_on_the_grid_of_the_file(networks, way):
    truth = mouth()
    scan = filed(truth, way)
    found = pipeline.segment(scan, SimpleNamespace(coarse=None, fine=None, decisions=None), "cpu", keep_maps=True)
    dentition = found.dentition
    assert np.array_equal(dentition.labels.affine, scan.affine)
    teeth = {one.fdi: one for one in dentition.teeth}
    assert sorted(teeth) == sorted(WITHOUT_THIRDS)
    for fdi, one in teeth.items():
        mine = dentition.labels.array == fdi
        assert np.count_nonzero(mine & (truth.array == fdi)) > 0.7 * np.count_nonzero(mine | (truth.array == fdi))
        places = np.argwhere(mine)
        np.testing.assert_allclose(one.centroid_lps_mm, scan.to_lps(places).mean(axis=0), atol=0.01)
        assert (one.confidence > 0.9) == way.sides_known
    assert np.array_equal(found.maps.labels(scan), dentition.labels.array)
    said = [text for text in dentition.warnings if text.startswith("The file shows")]
    assert len(said) == (way != AS_FILED) and (networks.looks > 0) == (way != AS_FILED)
    # A scan that lies as its file says is looked at once. Any other scan is looked at in all ways at most, with its
    # greys inverted, and once more as it lies.
    assert (found.looks == 1) == (way == AS_FILED) and found.looks <= 4 + len(ORIENTATIONS)


def test_without_a_tooth_the_search_ends_after_every_way_was_looked_at_once(networks, monkeypatch):
    """No second whole run: stage 1 is shown the scan as filed, inverted, and a cube of it in each way."""
    nothing = Volume(np.zeros((100, 100, 100), np.uint8), (STEP,) * 3)
    networks.array = nothing.array
    monkeypatch.setattr(pipeline, "coarse_information", lambda image, *_: counted.append(image.size) or 0.0)
    counted: list[int] = []
    found = pipeline.segment(nothing, SimpleNamespace(coarse=None, fine=None, decisions=None), "cpu")
    assert found.dentition.teeth == () and "No tooth was found in this scan." in found.dentition.warnings
    assert not any(text.startswith("The file shows") for text in found.dentition.warnings)
    whole, *cubes = counted
    assert len(cubes) == len(ORIENTATIONS) and max(cubes) <= (CUBE_MM / (2 * STEP)) ** 3
    assert found.looks == 2 + len(cubes) and found.look_voxels == 2 * whole + sum(cubes)


def test_the_file_stays_where_the_turned_scan_shows_no_teeth(networks, monkeypatch):
    """Stage 1 may be misled by its coarse view: teeth that were found are not discarded for none."""
    scan = filed(mouth(), UPSIDE_DOWN)
    fine, seen = networks.fine, []

    def blind(volume, coarse, network, config, tell=None):
        seen.append(volume)
        maps = fine(volume, coarse, network, config)
        return maps if len(seen) != 2 else replace(maps, tooth=np.zeros_like(maps.tooth), core=np.zeros_like(maps.core))

    monkeypatch.setattr(pipeline, "run_fine", blind)
    found = pipeline.segment(scan, SimpleNamespace(coarse=None, fine=None, decisions=None), "cpu").dentition
    assert len(seen) == 3 and len(found.teeth) == len(WITHOUT_THIRDS)
    (said,) = [text for text in found.warnings if text.startswith("The file shows")]
    assert "perhaps one that is upside down: every number is unsure" in said
    assert max(one.confidence for one in found.teeth) <= 0.5
