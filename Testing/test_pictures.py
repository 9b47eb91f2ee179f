"""Pictures: the outlines lie on the teeth, the patient's right is on the left, whatever the grid of the scan."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from teethseg.anatomy import arch, tooth
from teethseg.errors import TeethSegError
from teethseg.padding import PatientGreys
from teethseg.pictures.canvas import few_colours
from teethseg.pictures.contact_sheet import sample_sheet
from teethseg.pictures.panorama import panoramic_view
from teethseg.pictures.picture import picture
from teethseg.pictures.render import render_surfaces
from teethseg.pictures.slices import COLUMNS, ROWS, slice_sheet
from teethseg.pictures.views import coronal_view, label_extents, mean_greys, sagittal_view, sample_labels
from teethseg.surfaces.mesh import dentition_surfaces
from teethseg.volume import Volume

SPACING = 0.8


def jaws(teeth=None) -> tuple[Volume, Volume]:
    """A noisy scan of ellipsoid teeth on two parabolas, bright only where a tooth is, and its labels; LPS axes."""
    size = np.array([100, 84, 64])
    x, y, z = np.meshgrid(*(np.arange(n) * SPACING for n in size), indexing="ij", sparse=True)
    labels = np.zeros(size, dtype=np.uint8)
    for jaw, height in (("upper", 34.0), ("lower", 18.0)):
        for place, fdi in enumerate(arch(jaw)[1:-1]):
            across = (place - 6.5) * 4.2
            inside = ((x - 40 - across) / 2) ** 2 + ((y - 14 - across**2 / 22) / 2.6) ** 2 + ((z - height) / 7) ** 2 < 1
            if teeth is None or fdi in teeth:
                labels[inside] = fdi
    scan = np.random.default_rng(3).normal(400, 20, size) + 800 * (labels > 0)
    return Volume(scan.astype(np.int16).T, (SPACING,) * 3), Volume(labels.T, (SPACING,) * 3)


def regridded(volume: Volume) -> Volume:
    """The same image in space in another order of axes: i runs downwards, j to the left, k forwards."""
    depth, height, _ = volume.array.shape
    array = volume.array.transpose(1, 2, 0)[::-1, :, ::-1]
    origin = (0.0, SPACING * (height - 1), SPACING * (depth - 1))
    direction = np.column_stack([(0, 0, -1), (1, 0, 0), (0, -1, 0)])
    return Volume(array, volume.spacing, origin, direction)


def mirrored(volume: Volume) -> Volume:
    """The same image in space with i running to the right: a left-handed grid."""
    origin = (SPACING * (volume.array.shape[2] - 1), 0.0, 0.0)
    return Volume(volume.array[..., ::-1], volume.spacing, origin, np.diag([-1.0, 1.0, 1.0]))


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def outline_pixels(image: np.ndarray, fdi: int) -> np.ndarray:
    """Rows and columns (N, 2) of pixels in the colour of that tooth's outline."""
    colour = np.array(tooth(fdi).colour)
    return np.argwhere(np.abs(image - 255 * (0.8 * colour / colour.max() + 0.2)).max(axis=-1) < 30)


def surface_pixels(image: np.ndarray, fdi: int) -> np.ndarray:
    """Rows and columns (N, 2) of pixels in the hue of that tooth, whatever the light on it."""
    colour = 0.8 * np.array(tooth(fdi).colour) + 0.2
    colourful = np.ptp(image, axis=-1) > 40
    likeness = image @ colour / (np.linalg.norm(image, axis=-1) * np.linalg.norm(colour) + 1e-6)
    return np.argwhere(colourful & (likeness > 0.995))


def last_tile(image: np.ndarray) -> np.ndarray:
    """The axial slices of a sheet without panoramic view, each of the same size: the one in the middle."""
    height, width = image.shape[0] // ROWS, image.shape[1] // COLUMNS
    return image[height : 2 * height, width : 2 * width]


def test_slices_show_the_right_on_the_left_and_the_front_on_top(tmp_path):
    scan, labels = jaws({16, 14, 26})
    slice_sheet(scan, labels, None, tmp_path / "a.png")
    tile = last_tile(pixels(tmp_path / "a.png"))
    molar_right, premolar, molar_left = (outline_pixels(tile, fdi) for fdi in (16, 14, 26))
    assert min(map(len, (molar_right, premolar, molar_left))) > 30
    assert molar_right[:, 1].max() < premolar[:, 1].min() < molar_left[:, 1].min()
    assert premolar[:, 0].max() < molar_right[:, 0].min()


def test_outlines_lie_around_the_bright_tooth(tmp_path):
    scan, labels = jaws({16})
    slice_sheet(scan, labels, None, tmp_path / "a.png")
    slice_sheet(scan, None, labels, tmp_path / "b.png")
    tile = last_tile(pixels(tmp_path / "a.png"))
    grey = np.ptp(tile, axis=-1) < 8
    bright = np.argwhere(grey & (tile[..., 0] > 200))
    bright = bright[(bright[:, 0] > 40) & (bright[:, 0] < tile.shape[0] - 40)]  # not the letters R and L
    outline = outline_pixels(tile, 16)
    assert (np.abs(bright.mean(axis=0) - outline.mean(axis=0)) < 10).all()
    assert (outline.min(axis=0) <= bright.min(axis=0)).all() and (outline.max(axis=0) >= bright.max(axis=0)).all()
    assert tile[5:25, 5:25].max() > 200  # the R in the corner


@pytest.mark.parametrize("teeth", [None, set(arch("upper")), {17, 14, 11, 21, 24, 27, 47, 37}])
def test_panoramic_view_orders_the_teeth_from_right_to_left(teeth):
    _, labels = jaws(teeth)
    view = panoramic_view(label_extents(labels), [labels], 0, 50)
    values = sample_labels(labels, view.points)
    place = {fdi: np.argwhere(values == fdi).mean(axis=0)[1:] for fdi in np.unique(values[values > 0])}
    assert set(place) == set(np.unique(labels.array)) - {0}
    columns = [place[fdi][1] for fdi in arch("upper") if fdi in place]
    assert (np.diff(columns) > 0).all()
    if teeth is None:
        assert (np.diff([place[fdi][1] for fdi in arch("lower") if fdi in place]) > 0).all()
        assert all(place[fdi][0] < place[fdi + 30][0] for fdi in range(11, 18))  # the upper jaw is above the lower one
        assert abs(place[11][1] + place[21][1] - values.shape[2]) < 12  # the midline is in the middle


@pytest.mark.parametrize("teeth", [{16}, {11, 21}, {16, 26, 36}])
def test_few_teeth_make_no_panoramic_view(teeth):
    _, labels = jaws(teeth)
    assert panoramic_view(label_extents(labels), [labels], 0, 50) is None


def test_slices_do_not_depend_on_the_grid(tmp_path):
    scan, labels = jaws()
    slice_sheet(scan, labels, None, tmp_path / "a.png")
    slice_sheet(regridded(scan), mirrored(labels), None, tmp_path / "b.png")
    slice_sheet(mirrored(scan), regridded(labels), None, tmp_path / "c.png")
    first = pixels(tmp_path / "a.png")
    for name in ("b.png", "c.png"):
        assert np.abs(pixels(tmp_path / name) - first).mean() < 1.5


def test_reference_is_white_and_dashed(tmp_path):
    scan, labels = jaws({16})
    dark = scan.with_array(np.zeros_like(scan.array))
    reference = Volume(labels.array, labels.spacing, (0, 8, 0))  # further back
    slice_sheet(dark, labels, reference, tmp_path / "a.png")
    tile = last_tile(pixels(tmp_path / "a.png"))
    tile[:30] = tile[-30:] = 0  # R, L and the height
    found = outline_pixels(tile, 16)
    expected = np.argwhere((tile.min(axis=-1) > 120) & (np.ptp(tile, axis=-1) < 8))
    assert expected[:, 0].mean() > found[:, 0].max()
    down, right = (expected - (expected.min(axis=0) + expected.max(axis=0)) / 2).T
    directions = np.unique(np.degrees(np.arctan2(down, right)) // 3)
    assert 30 < len(directions) < 100  # of 120: a dashed line all around


@pytest.mark.parametrize("value", [0, 1])
def test_scans_without_numbered_teeth(tmp_path, value):
    scan, labels = jaws()
    other = labels.with_array((labels.array > 0).astype(np.uint8) * value)
    picture(scan, other, None, tmp_path / "a.png", tmp_path / "b.png")
    assert pixels(tmp_path / "a.png").std() > 10
    assert (pixels(tmp_path / "b.png") == 255).all()
    slice_sheet(scan, None, None, tmp_path / "c.png")
    assert np.ptp(pixels(tmp_path / "c.png"), axis=-1).max() == 0


def test_constant_scan(tmp_path):
    scan, labels = jaws({16})
    slice_sheet(scan.with_array(np.full_like(scan.array, 7)), labels, None, tmp_path / "a.png")
    assert len(outline_pixels(pixels(tmp_path / "a.png"), 16)) > 100


def test_rendering_shows_each_tooth_on_its_side(tmp_path):
    _, labels = jaws({16, 11, 26, 46})
    picture(*jaws(), None, tmp_path / "slices.png", tmp_path / "all.png")
    render_surfaces(dentition_surfaces(labels), tmp_path / "a.png", numbers=False)
    image = pixels(tmp_path / "a.png")
    places = {fdi: surface_pixels(image, fdi) for fdi in (16, 11, 26, 46)}
    assert min(map(len, places.values())) > 1000
    assert places[16][:, 1].mean() < places[26][:, 1].mean() - 100
    half = image.shape[0] // 2  # rows from the sides above, from the bite below
    above = {fdi: place[place[:, 0] < half] for fdi, place in places.items()}
    assert above[16][:, 0].mean() < above[46][:, 0].mean() - 50  # the upper jaw is above the lower one
    assert above[26][:, 1].min() > above[16][:, 1].min() + 100
    below = {fdi: place[place[:, 0] >= half] for fdi, place in places.items()}
    assert below[16][:, 1].max() < below[11][:, 1].mean() < below[26][:, 1].min()
    assert below[11][:, 0].mean() < below[16][:, 0].mean()  # the upper front teeth are on top
    assert below[46][:, 1].min() > below[26][:, 1].max()  # the lower jaw stands beside the upper one
    assert (image[0] == 255).all() and (image[-1] == 255).all()


def test_pictures_are_whole_or_absent(tmp_path):
    scan, labels = jaws({16})
    with pytest.raises(TeethSegError, match="does not exist"):
        slice_sheet(scan, labels, None, tmp_path / "absent" / "a.png")
    with pytest.raises(TeethSegError, match="is a folder"):
        render_surfaces({}, tmp_path)
    assert os.listdir(tmp_path) == []


def test_few_colours_keeps_greys_and_colours_apart():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1).repeat(4, axis=0)
    ramp[2] = (250, 40, 10)
    small = np.asarray(few_colours(Image.fromarray(ramp)).convert("RGB")).astype(int)
    assert np.abs(small - ramp).max() <= 2


def test_a_page_of_samples_has_a_row_each_and(tmp_path):
    scan, labels = jaws()
    sample_sheet([("plain", scan, labels), ("turned", regridded(scan), None)], tmp_path / "page.png", width=812)
    page = pixels(tmp_path / "page.png")
    assert page.shape[:2] == (2 * 200 + 4, 812)
    for left in (0, 204, 408):  # upper teeth, lower teeth, molars from the front: brighter than their surroundings
        tile = page[30:200, left : left + 200, 0]
        assert np.percentile(tile, 99) > 1.5 * np.percentile(tile, 50)
    # The same scan on another grid, and the same scan without its labels, whose middle is shown.
    sample_sheet([("turned", regridded(scan), regridded(labels))], tmp_path / "turned.png", width=812)
    assert np.abs(page[:200] - pixels(tmp_path / "turned.png"))[30:].mean() < 3
    assert page[204:].std() > 5


def test_a_sagittal_and_a_coronal_view_show_where_things_are():
    scan, _ = jaws()
    point = np.zeros_like(scan.array)
    point[12, 10, 75] = 1000  # z low, y in front, x to the left
    marked = scan.with_array(point)
    low, high = marked.extent
    front = mean_greys(marked, coronal_view(low, high, 10 * SPACING), PatientGreys(0, 1000))
    row, column = np.unravel_index(front.argmax(), front.shape)
    assert row > front.shape[0] / 2 and column > front.shape[1] / 2  # below, and the patient's left on the right
    side = mean_greys(marked, sagittal_view(low, high, 75 * SPACING), PatientGreys(0, 1000))
    row, column = np.unravel_index(side.argmax(), side.shape)
    assert row > side.shape[0] / 2 and column < side.shape[1] / 2  # below, and the face on the left
