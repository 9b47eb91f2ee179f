"""Numbers that do not fit the positions of the teeth: read in another scheme, or doubted."""

from __future__ import annotations

import nrrd
import numpy as np
import pytest

from grids import GRIDS
from teethseg.anatomy import PERMANENT, tooth
from teethseg.errors import InputError
from teethseg.io.files import read_labels, read_teeth, write_labels
from teethseg.io.label_places import agreement, centres, equal_scheme, other_scheme, place_doubt
from teethseg.io.label_schemes import SCHEME_VALUES, are_fdi
from teethseg.volume import Volume

MIDDLE = np.array([2.0, -34.0, 0.0])
SIZE = {"upper": 26.0, "lower": 23.0}  # mm from the middle of the arch to its teeth


def place(fdi: int) -> np.ndarray:
    """Position of a tooth in LPS mm, in an asymmetric jaw."""
    one = tooth(fdi)
    angle = np.radians(8.0 + 9.5 * (one.position - 1)) * (1.0 if one.side == "left" else 1.06)
    x = SIZE[one.jaw] * np.sin(angle) * (1 if one.side == "left" else -1)
    return np.array([x + 2.0, 45.0 * (1 - np.cos(angle)) - 60.0, 8.0 if one.jaw == "upper" else -9.0])


def numbered(teeth, scheme: str = "fdi") -> dict[int, np.ndarray]:
    """Teeth at their places under the values of a scheme."""
    values = {fdi: value for value, fdi in SCHEME_VALUES[scheme].items()}
    return {values[fdi]: place(fdi) for fdi in teeth}


def label_map(places: dict[int, np.ndarray], direction: np.ndarray | None = None) -> Volume:
    """Balls of 2.5 mm at these places."""
    spacing = np.array([1.0, 1.2, 1.1])
    direction = np.eye(3) if direction is None else direction
    origin = MIDDLE - direction @ (spacing * (np.array([80, 66, 72]) - 1) / 2)
    grid = Volume(np.zeros((72, 66, 80), np.uint8), tuple(spacing), tuple(origin), direction)
    points = grid.to_lps(np.moveaxis(np.indices(grid.array.shape), 0, -1))
    array = np.zeros(grid.array.shape, np.uint8)
    for value, centre in places.items():
        array[np.linalg.norm(points - centre, axis=-1) < 2.5] = value
    return grid.with_array(array)


@pytest.mark.parametrize("direction", list(GRIDS.values())[::3], ids=list(GRIDS)[::3])
def test_right_numbers_agree_however_the_file_lies(direction):
    labels = label_map(numbered(PERMANENT), direction)
    found = centres(labels)
    assert set(found) == set(PERMANENT)
    assert max(np.linalg.norm(found[fdi] - place(fdi)) for fdi in PERMANENT) < 0.5
    assert agreement(found).share == 1.0 and agreement(found).of > 100
    assert other_scheme(found) is None and place_doubt(found, "t.nrrd") == ""


@pytest.mark.parametrize(
    "teeth", [(47, 48), (46, 47, 48), (23, 24, 25, 26, 27, 28), (33, 34, 35, 45, 44, 43), (36, 35, 34, 33), (44, 43)]
)
def test_universal_numbers_that_could_be_fdi_numbers_are_known_by_their_places(tmp_path, teeth):
    values = {value: spot for value, spot in numbered(teeth, "universal").items() if are_fdi([value])}
    assert len(values) > 1
    assert other_scheme(values) == "universal"
    path = tmp_path / "t.nrrd"
    write_labels(path, label_map(values))
    with pytest.raises(InputError, match=r"t\.nrrd .* --labels-are universal or --labels-are fdi"):
        read_teeth(path)
    read = read_teeth(path, "universal")
    truth = {SCHEME_VALUES["universal"][value]: spot for value, spot in values.items()}
    assert np.array_equal(read.array, label_map(truth).array) and read.warnings == ()
    # Viewing refuses no file, nor does the reader with an explicit scheme.
    assert np.array_equal(read_labels(path).array, label_map(values).array)
    assert np.array_equal(read_teeth(path, "fdi").array, label_map(values).array)


@pytest.mark.parametrize(
    "teeth", [(11, 12), (31, 32), (18, 17), (36, 37, 46), (16, 26), (11, 41), (26,), (14, 24, 34, 44)]
)
def test_few_teeth_with_right_numbers_are_no_reason_to_doubt(teeth):
    places = numbered(teeth)
    assert other_scheme(places) is None and place_doubt(places, "t") == ""


@pytest.mark.parametrize("flip", [(-1, 1, 1), (1, 1, -1)], ids=["mirrored", "upside down"])
def test_a_mirrored_or_turned_scan_is_doubted_once(tmp_path, flip):
    teeth = [fdi for fdi in PERMANENT if fdi % 10 < 8]
    labels = label_map({fdi: (place(fdi) - MIDDLE) * flip + MIDDLE for fdi in teeth})
    write_labels(tmp_path / "t.seg.nrrd", labels)
    read = read_teeth(tmp_path / "t.seg.nrrd")  # the names state the numbers, which stay
    assert np.array_equal(read.array, labels.array)
    if flip[0] < 0:
        (warning,) = read.warnings
        assert "do not fit where its teeth lie" in warning and "mirrored or upside down" in warning
    else:
        assert agreement(centres(labels)).share < 0.9


def test_one_crossed_tooth_is_no_reason_to_doubt():
    places = numbered(PERMANENT)
    places[18], places[13] = places[13], places[18]
    assert place_doubt(places, "t") == "" and other_scheme(places) is None


@pytest.mark.parametrize("teeth", [(35, 36, 37), (23, 24, 25, 26), (47, 48)])
def test_a_part_of_total_segmentators_map_is_not_silently_other_teeth(tmp_path, teeth):
    values = numbered(teeth, "totalsegmentator")
    assert are_fdi(values) and other_scheme(values) is None
    path = tmp_path / "t.nrrd"
    write_labels(path, label_map(values))
    (warning,) = read_teeth(path).warnings
    assert "may be those of totalsegmentator" in warning
    assert "--labels-are totalsegmentator or --labels-are fdi" in warning
    read = read_teeth(path, "totalsegmentator")
    assert np.array_equal(read.array, label_map({fdi: place(fdi) for fdi in teeth}).array) and not read.warnings
    assert not read_teeth(path, "fdi").warnings


@pytest.mark.parametrize(
    "teeth", [PERMANENT, (11, 12, 13, 14), (36, 37), (16, 26, 36, 46), (26,), (13, 12, 11, 21, 22)]
)
def test_plain_fdi_numbers_are_no_reason_to_ask(teeth):
    assert equal_scheme(numbered(teeth)) is None


def test_numbers_in_names_are_held_against_places_too(tmp_path):
    """'Tooth 31' and 'Tooth 32' are molars in the USA; names with FDI or with codes are unambiguous."""
    labels = label_map(numbered((47, 48), "universal"))
    path = tmp_path / "t.seg.nrrd"
    header = {"space": "left-posterior-superior", "space directions": np.diag(labels.spacing), "type": "uint8"}
    header["space origin"] = np.array(labels.origin)
    for n, value in enumerate((31, 32)):
        row = {"ID": f"Segment_{n}", "Name": f"Tooth {value}", "LabelValue": str(value), "Layer": "0"}
        header |= {f"Segment{n}_{name}": text for name, text in row.items()}
    nrrd.write(str(path), labels.array.T, header)
    with pytest.raises(InputError, match=r"its numbers can be FDI's, but lie as universal .* --labels-are universal"):
        read_teeth(path)
    assert set(np.unique(read_teeth(path, "universal").array)) == {0, 47, 48}
    assert set(np.unique(read_teeth(path, "fdi").array)) == {0, 31, 32}
    header |= {f"Segment{n}_Name": f"Tooth {value} (FDI)" for n, value in enumerate((31, 32))}
    nrrd.write(str(path), labels.array.T, header)
    assert set(np.unique(read_teeth(path).array)) == {0, 31, 32}
