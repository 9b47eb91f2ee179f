"""Panorama and sections as both windows draw them: links, dragging, measures, saving, and exports."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from arch_phantom import TURNED, phantom, tooth_places
from slicer_scene import SlicerScene
from teethseg.application.arch_follower import ArchFollower
from teethseg.application.arch_studio import SHOWN, ArchStudio
from teethseg.application.case import Case
from teethseg.arch_views.frame import tooth_voxels
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.errors import UsageError
from teethseg.mrml import arch_nodes, volumes
from teethseg.mrml.teeth import write_teeth
from teethseg.mrml.views import nodes_of

FLIP = np.array([-1, -1, 1])
WIDTH = 700


@pytest.fixture(scope="module")
def core():
    core = SlicerScene()
    yield core
    core.close()
    assert not core.complaints()


def opened(scene, head, with_teeth=True) -> ArchStudio:
    studio = ArchStudio(scene, str, lambda ras: studio.gone.append(ras), lambda fdi: studio.selected.append(fdi))
    studio.gone, studio.selected, studio.told = [], [], []
    studio.said.connect(lambda text, kind: studio.told.append(text))
    studio.volume = nodes_of(scene, "vtkMRMLScalarVolumeNode")[0]
    studio.open(head.scan, head.labels if with_teeth else None, studio.volume)
    return studio


@pytest.fixture
def head():
    return phantom(TURNED)


@pytest.fixture
def studio(core, head):
    core.scene.Clear(0)
    volumes.node_of(core.scene, head.scan, "scan")
    studio = opened(core.scene, head)
    for draw in (studio.panorama, studio.strip, studio.plan):
        draw(WIDTH)
    return studio


def centre(head, fdi) -> np.ndarray:
    return next(one.centre for one in tooth_voxels(head.labels) if one.fdi == fdi)


def in_panorama(studio, point) -> tuple[float, float]:
    """Pixel of the drawn panorama that shows a point of the patient."""
    place = studio.reformat.place
    column, row, _ = place.pixel(point)
    scale = WIDTH / place.columns
    return float(column[0] * scale), float(row[0] * scale)


def test_three_pictures_are_drawn(studio):
    for image in (studio.panorama(WIDTH), studio.strip(WIDTH), studio.plan(300)):
        pixels = np.asarray(image)
        assert image.width <= WIDTH and np.ptp(pixels, axis=-1).max() > 60 and pixels.std() > 10


@pytest.mark.parametrize("fdi", [16, 41, 35])
def test_a_click_into_the_panorama_goes_there_in_all_views(studio, head, fdi):
    studio.press("panorama", *in_panorama(studio, centre(head, fdi)))
    assert np.linalg.norm(np.array(studio.gone[-1]) * FLIP - centre(head, fdi)) < 3
    assert studio.selected == [fdi]
    middle = studio.cuts[len(studio.cuts) // 2].plane
    assert abs(middle.pixel(centre(head, fdi))[2][0]) < 2  # the sections follow


def test_a_click_into_a_section_and_one_from_above(studio, head):
    studio.choose(36, tuple(centre(head, 36) * FLIP))
    studio.strip(WIDTH)
    one = SHOWN // 2
    plane, scale = studio.cuts[one].plane, studio.scales["section"]
    column, row, _ = plane.pixel(centre(head, 36))
    wide = round(plane.shape[1] * scale) + 4
    studio.press("section", one * wide + column[0] * scale, row[0] * scale)
    assert np.linalg.norm(np.array(studio.gone[-1]) * FLIP - centre(head, 36)) < 3
    studio.plan(300)
    place = np.array([4.0, 9.0])  # in the palate, far from the points of the curves
    studio.press("plan", *(studio.plan_pixel(place) * studio.scales["plan"]))
    gone = studio.arches.frame.from_lps(np.array(studio.gone[-1]) * FLIP)
    np.testing.assert_allclose(gone, [4.0, 9.0, 0.0], atol=0.01)


def test_a_chosen_tooth_takes_the_sections_along(studio, head):
    before = studio.place
    studio.choose(26, tuple(centre(head, 26) * FLIP))
    assert abs(studio.place - before) > 15
    assert abs(studio.cuts[len(studio.cuts) // 2].plane.pixel(centre(head, 26))[2][0]) < 2


def test_the_curve_is_dragged_and_kept_in_the_scene(studio, core, head):
    studio.set(jaws="upper")
    studio.plan(300)
    handle = studio.arches.upper.curve.handles[4]
    x, y = studio.plan_pixel(handle) * studio.scales["plan"]
    fine = studio.reformat.grey.shape
    studio.press("plan", x + 1, y)
    studio.move(x, y + 10)
    assert studio.reformat.grey.shape[0] < fine[0]  # coarse while it moves
    studio.release(x, y + 20)
    moved = studio.arches.upper.curve.handles[4]
    assert moved[1] - handle[1] == pytest.approx(20 / studio.scales["plan"] * studio.box.step, abs=0.1)
    assert not studio.gone  # no click
    again = arch_nodes.read_arches(core.scene, studio.volume)
    np.testing.assert_allclose(again.upper.curve.handles, studio.arches.upper.curve.handles, atol=1e-6)


def test_a_curve_dragged_in_slicers_own_views_is_followed(studio, core):
    node = next(one for one in arch_nodes.curves_of(core.scene, studio.volume) if one.GetName() == "Upper arch")
    before = studio.arches.upper.curve.handles[4].copy()
    place = np.zeros(3)
    node.GetNthControlPointPositionWorld(4, place)
    back = studio.arches.frame.axes[:, 1] * FLIP
    node.SetNthControlPointPosition(4, *(place + 5 * back))
    studio.curve_dragged()
    np.testing.assert_allclose(studio.arches.upper.curve.handles[4] - before, [0, 5], atol=1e-4)


def test_measures_are_true_and_drawn_in_every_view(studio, core, head):
    studio.measure("distance")
    for fdi in (46, 36):
        studio.press("panorama", *in_panorama(studio, centre(head, fdi)))
    assert not studio.gone  # clicks measure
    line = nodes_of(core.scene, "vtkMRMLMarkupsLineNode")[0]
    true = np.linalg.norm(centre(head, 46) - centre(head, 36))
    assert line.GetMeasurement("length").GetValue() == pytest.approx(
        true, abs=1.5
    )  # the clicks lie in the slab's middle
    studio.measure("angle")
    for fdi in (16, 11, 26):
        studio.press("panorama", *in_panorama(studio, centre(head, fdi)))
    kinds = [kind for kind, _ in arch_nodes.measures_of(core.scene)]
    assert kinds == ["distance", "angle"]
    studio.measure("")
    without = np.asarray(studio.panorama(WIDTH)).astype(int)
    studio.clear_measures()
    assert np.abs(np.asarray(studio.panorama(WIDTH)).astype(int) - without).max() > 100
    assert not arch_nodes.measures_of(core.scene)


def test_everything_comes_back_with_a_saved_scene(studio, core, head, tmp_path):
    studio.arches = studio.arches.with_curve("upper", studio.arches.upper.curve.moved(2, np.array([-20.0, 5.0])))
    studio.keep()
    assert core.scene.WriteToMRB(str(tmp_path / "case.mrb"))
    other = SlicerScene()
    assert other.scene.ReadFromMRB(str(tmp_path / "case.mrb"), True)
    again = opened(other.scene, head)
    np.testing.assert_allclose(again.arches.upper.curve.handles[2], [-20.0, 5.0], atol=1e-3)
    np.testing.assert_allclose(again.arches.upper.lean, studio.arches.upper.lean, atol=1e-6)
    again.follow_teeth()
    assert np.linalg.norm(again.arches.upper.curve.handles[2] - [-20.0, 5.0]) > 1
    other.close()


def test_a_damaged_curve_is_left_alone(studio, core, head):
    for node in arch_nodes.curves_of(core.scene, studio.volume):
        node.SetAttribute(arch_nodes.ARCH, '{"jaws": "upper"}')
    assert opened(core.scene, head).ready  # drawn anew from the teeth


def test_without_teeth_a_few_clicks_draw_the_arch(core, head):
    core.scene.Clear(0)
    volumes.node_of(core.scene, head.scan, "scan")
    studio = opened(core.scene, head, with_teeth=False)
    assert not studio.ready and "click a few points" in studio.told[-1]
    with pytest.raises(UsageError, match="no panorama"):
        studio.export_png(None)
    studio.draw_arch([(0, 0, 0)])
    assert "at least three" in studio.told[-1]
    studio.draw_arch([tuple(centre(head, fdi) * FLIP) for fdi in (17, 14, 11, 24, 27)])
    assert studio.ready and studio.arches.single
    assert len(arch_nodes.curves_of(core.scene, studio.volume)) == 1


def test_other_teeth_change_the_outlines(studio, head):
    fewer = np.where(np.isin(head.labels.array, list(tooth_places("lower"))), 0, head.labels.array)
    studio.teeth_changed(head.labels.with_array(fewer.astype(np.uint8)))
    assert set(studio.outlines) == set(tooth_places("upper"))


def test_dicom_has_the_geometry(studio, head, tmp_path):
    studio.choose(26, tuple(centre(head, 26) * FLIP))
    files = studio.export_dicom(tmp_path, {"PatientID": "P7", "StudyInstanceUID": "1.2.3"})
    data = [pydicom.dcmread(file) for file in files]
    assert len({one.SOPInstanceUID for one in data}) == len(data) == len(studio.cuts) + 1
    assert {one.SeriesInstanceUID for one in data} == {data[0].SeriesInstanceUID}
    assert all(one.PatientID == "P7" and one.StudyInstanceUID == "1.2.3" for one in data)
    for one, section in zip(data[1:], studio.cuts, strict=True):
        step = float(one.PixelSpacing[0])
        across, down = np.reshape(one.ImageOrientationPatient, (2, 3)).astype(float)
        for column, row in ((0, 0), (17, 40)):
            point = np.array(one.ImagePositionPatient, float) + step * (column * across + row * down)
            np.testing.assert_allclose(point, section.plane.lps(column, row)[0], atol=1e-4)
        grey = one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)
        np.testing.assert_allclose(grey, section.grey, atol=0.6)
    assert float(data[0].PixelSpacing[0]) == pytest.approx(studio.reformat.place.step)
    assert "ImagePositionPatient" not in data[0]  # it is no plane


def test_pictures_and_a_page_to_print(studio, head, tmp_path):
    studio.choose(26, tuple(centre(head, 26) * FLIP))
    studio.measure("distance")
    for fdi in (46, 36):
        studio.press("panorama", *in_panorama(studio, centre(head, fdi)))
    assert [file.name for file in studio.export_png(tmp_path)] == ["panorama.png", "sections.png"]
    file = studio.export_sheet(tmp_path / "sheet.pdf", "Case 7")
    content = file.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") == 1
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_pictures_follow_the_case_while_they_are_shown(core, head):
    """Teeth, the chosen tooth, slices and curves dragged in Slicer's own views, told once the events are over."""
    core.scene.Clear(0)
    volume = volumes.node_of(core.scene, head.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    case, seen = Case(core.scene), [True]
    case.show(volume, write_teeth(core.scene, Dentition(head.labels, found), volume))
    studio = ArchStudio(core.scene, case.number, lambda ras: None, case.select)
    follower = ArchFollower(case, studio, NoPoints())
    follower.watch(lambda handler: lambda *_event: handler(), lambda: seen[0])
    slice_node = core.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    follower.open()
    assert studio.ready
    case.select(36)
    assert studio.chosen == 36
    curve, drawn = arch_nodes.curves_of(core.scene, volume)[0], []
    studio.changed.connect(lambda: drawn.append(True))
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    assert drawn
    follower.act("follow")  # lays the curves along the teeth again, and observes them
    curve, drawn[:] = arch_nodes.curves_of(core.scene, volume)[0], []
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    assert drawn
    seen[0] = False
    case.select(46)
    assert studio.chosen == 36  # nobody looks
    follower.act("distance")
    assert follower.pressed == "distance"
    follower.act("distance")
    assert follower.pressed == ""
    follower.close()
    drawn[:] = []
    slice_node.Modified()
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    assert not studio.ready and not drawn


class NoPoints:
    """A window's clicks, of which there are none."""

    placing = False

    def clear(self):
        pass
