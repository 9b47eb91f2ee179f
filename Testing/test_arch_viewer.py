"""Panorama and sections as both windows draw them: links, dragging, measures, saving, and exports."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from arch_phantom import COARSE, TURNED, phantom, tooth_places
from slicer_scene import SlicerScene
from teethseg.application.arch_follower import ArchFollower
from teethseg.application.arch_viewer import SHOWN, ArchViewer
from teethseg.application.case import Case
from teethseg.arch_views.frame import tooth_voxels
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.errors import TeethSegError, UsageError
from teethseg.mrml import arch_nodes, volumes
from teethseg.mrml.teeth import write_teeth
from teethseg.mrml.views import nodes_of

FLIP = np.array([-1, -1, 1])
WIDTH = 700


def opened(scene, head, with_teeth=True) -> ArchViewer:
    viewer = ArchViewer(scene, str, (gone := []).append, (selected := []).append)
    viewer.gone, viewer.selected, viewer.told = gone, selected, []
    viewer.message.connect(lambda text, kind: viewer.told.append(text))
    viewer.volume = nodes_of(scene, "vtkMRMLScalarVolumeNode")[0]
    viewer.open(head.scan, head.labels if with_teeth else None, viewer.volume)
    return viewer


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Views of 0.6 mm, which take a tenth of the time; `test_arch_views.py` measures fine ones."""
    monkeypatch.setattr("teethseg.arch_views.box.FINEST_MM", 0.6)
    monkeypatch.setattr("teethseg.arch_views.box.COARSEST_MM", 0.6)


@pytest.fixture
def head():
    return phantom(TURNED, step=COARSE)


@pytest.fixture
def viewer(slicer_scene, head):
    slicer_scene.scene.Clear(0)
    volumes.node_of(slicer_scene.scene, head.scan, "scan")
    viewer = opened(slicer_scene.scene, head)
    for draw in (viewer.panorama, viewer.strip, viewer.plan):
        draw(WIDTH)
    return viewer


def centre(head, fdi) -> np.ndarray:
    return next(one.centre for one in tooth_voxels(head.labels) if one.fdi == fdi)


def in_panorama(viewer, point) -> tuple[float, float]:
    """Pixel of the drawn panorama that shows a point of the patient."""
    place = viewer.reformat.geometry
    column, row, _ = place.pixel(point)
    scale = WIDTH / place.columns
    return float(column[0] * scale), float(row[0] * scale)


def test_three_pictures_are_drawn(viewer):
    for image in (viewer.panorama(WIDTH), viewer.strip(WIDTH), viewer.plan(300)):
        pixels = np.asarray(image)
        assert image.width <= WIDTH and np.ptp(pixels, axis=-1).max() > 60 and pixels.std() > 10


@pytest.mark.parametrize("fdi", [16, 41, 35])
def test_a_click_into_the_panorama_goes_there_in_all_views(viewer, head, fdi):
    viewer.press("panorama", *in_panorama(viewer, centre(head, fdi)))
    assert np.linalg.norm(np.array(viewer.gone[-1]) * FLIP - centre(head, fdi)) < 3
    assert viewer.selected == [fdi]
    middle = viewer.cuts[len(viewer.cuts) // 2].plane
    assert abs(middle.pixel(centre(head, fdi))[2][0]) < 2  # the sections follow


def test_a_click_into_a_section_and_one_from_above(viewer, head):
    viewer.choose(36, tuple(centre(head, 36) * FLIP))
    viewer.strip(WIDTH)
    one = SHOWN // 2
    plane, scale = viewer.cuts[one].plane, viewer.scales["section"]
    column, row, _ = plane.pixel(centre(head, 36))
    wide = round(plane.shape[1] * scale) + 4
    viewer.press("section", one * wide + column[0] * scale, row[0] * scale)
    assert np.linalg.norm(np.array(viewer.gone[-1]) * FLIP - centre(head, 36)) < 3
    viewer.plan(300)
    place = np.array([4.0, 9.0])  # in the palate, far from the points of the curves
    viewer.press("plan", *(viewer.plan_pixel(place) * viewer.scales["plan"]))
    gone = viewer.arches.frame.from_lps(np.array(viewer.gone[-1]) * FLIP)
    np.testing.assert_allclose(gone, [4.0, 9.0, 0.0], atol=0.01)


def test_a_chosen_tooth_takes_the_sections_along(viewer, head):
    before = viewer.place
    viewer.choose(26, tuple(centre(head, 26) * FLIP))
    assert abs(viewer.place - before) > 15
    assert abs(viewer.cuts[len(viewer.cuts) // 2].plane.pixel(centre(head, 26))[2][0]) < 2


def test_the_curve_is_dragged_and_kept_in_the_scene(viewer, slicer_scene, head):
    viewer.set(jaws="upper")
    viewer.plan(300)
    handle = viewer.arches.upper.curve.handles[4]
    x, y = viewer.plan_pixel(handle) * viewer.scales["plan"]
    fine = viewer.reformat.grey.shape
    viewer.press("plan", x + 1, y)
    viewer.move(x, y + 10)
    assert viewer.reformat.grey.shape[0] < fine[0]  # coarse while it moves
    viewer.release(x, y + 20)
    moved = viewer.arches.upper.curve.handles[4]
    assert moved[1] - handle[1] == pytest.approx(20 / viewer.scales["plan"] * viewer.box.step, abs=0.1)
    assert not viewer.gone  # no click
    again = arch_nodes.read_arches(slicer_scene.scene, viewer.volume)
    np.testing.assert_allclose(again.upper.curve.handles, viewer.arches.upper.curve.handles, atol=1e-6)


def test_a_curve_dragged_in_slicers_own_views_is_followed(viewer, slicer_scene):
    node = next(one for one in arch_nodes.curves_of(slicer_scene.scene, viewer.volume) if one.GetName() == "Upper arch")
    before = viewer.arches.upper.curve.handles[4].copy()
    place = np.zeros(3)
    node.GetNthControlPointPositionWorld(4, place)
    back = viewer.arches.frame.axes[:, 1] * FLIP
    node.SetNthControlPointPosition(4, *(place + 5 * back))
    viewer.curve_dragged()
    np.testing.assert_allclose(viewer.arches.upper.curve.handles[4] - before, [0, 5], atol=1e-4)


def test_measures_are_true_and_drawn_in_every_view(viewer, slicer_scene, head):
    viewer.measure("distance")
    for fdi in (46, 36):
        viewer.press("panorama", *in_panorama(viewer, centre(head, fdi)))
    assert not viewer.gone  # clicks measure
    line = nodes_of(slicer_scene.scene, "vtkMRMLMarkupsLineNode")[0]
    true = np.linalg.norm(centre(head, 46) - centre(head, 36))
    assert line.GetMeasurement("length").GetValue() == pytest.approx(
        true, abs=1.5
    )  # the clicks lie in the slab's middle
    viewer.measure("angle")
    for fdi in (16, 11, 26):
        viewer.press("panorama", *in_panorama(viewer, centre(head, fdi)))
    kinds = [kind for kind, _ in arch_nodes.measures_of(slicer_scene.scene)]
    assert kinds == ["distance", "angle"]
    viewer.measure("")
    without = np.asarray(viewer.panorama(WIDTH)).astype(int)
    viewer.clear_measures()
    assert np.abs(np.asarray(viewer.panorama(WIDTH)).astype(int) - without).max() > 100
    assert not arch_nodes.measures_of(slicer_scene.scene)


def test_everything_comes_back_with_a_saved_scene(viewer, slicer_scene, head, tmp_path):
    viewer.arches = viewer.arches.with_curve("upper", viewer.arches.upper.curve.moved(2, np.array([-20.0, 5.0])))
    viewer.keep()
    assert slicer_scene.scene.WriteToMRB(str(tmp_path / "case.mrb"))
    other = SlicerScene()
    assert other.scene.ReadFromMRB(str(tmp_path / "case.mrb"), True)
    again = opened(other.scene, head)
    np.testing.assert_allclose(again.arches.upper.curve.handles[2], [-20.0, 5.0], atol=1e-3)
    np.testing.assert_allclose(again.arches.upper.lean, viewer.arches.upper.lean, atol=1e-6)
    again.follow_teeth()
    assert np.linalg.norm(again.arches.upper.curve.handles[2] - [-20.0, 5.0]) > 1
    other.close()


def test_a_damaged_curve_is_left_alone(viewer, slicer_scene, head):
    for node in arch_nodes.curves_of(slicer_scene.scene, viewer.volume):
        node.SetAttribute(arch_nodes.ARCH, '{"jaws": "upper"}')
    assert opened(slicer_scene.scene, head).ready  # drawn again from the teeth


def test_without_teeth_a_few_clicks_draw_the_arch(slicer_scene, head):
    slicer_scene.scene.Clear(0)
    volumes.node_of(slicer_scene.scene, head.scan, "scan")
    viewer = opened(slicer_scene.scene, head, with_teeth=False)
    assert not viewer.ready and "click a few points" in viewer.told[-1]
    with pytest.raises(UsageError, match="no panorama"):
        viewer.export_png(None)
    viewer.draw_arch([(0, 0, 0)])
    assert "at least three" in viewer.told[-1]
    viewer.draw_arch([tuple(centre(head, fdi) * FLIP) for fdi in (17, 14, 11, 24, 27)])
    assert viewer.ready and viewer.arches.single
    assert len(arch_nodes.curves_of(slicer_scene.scene, viewer.volume)) == 1


def test_other_teeth_change_the_outlines(viewer, head):
    fewer = np.where(np.isin(head.labels.array, list(tooth_places("lower"))), 0, head.labels.array)
    viewer.teeth_changed(head.labels.with_array(fewer.astype(np.uint8)))
    assert set(viewer.outlines) == set(tooth_places("upper"))


def test_dicom_has_the_geometry(viewer, head, tmp_path):
    viewer.choose(26, tuple(centre(head, 26) * FLIP))
    files = viewer.export_dicom(tmp_path, {"PatientID": "P7", "StudyInstanceUID": "1.2.3"})
    data = [pydicom.dcmread(file) for file in files]
    assert len({one.SOPInstanceUID for one in data}) == len(data) == len(viewer.cuts) + 1
    assert {one.SeriesInstanceUID for one in data} == {data[0].SeriesInstanceUID}
    assert all(one.PatientID == "P7" and one.StudyInstanceUID == "1.2.3" for one in data)
    for one, section in zip(data[1:], viewer.cuts, strict=True):
        step = float(one.PixelSpacing[0])
        across, down = np.reshape(one.ImageOrientationPatient, (2, 3)).astype(float)
        for column, row in ((0, 0), (17, 40)):
            point = np.array(one.ImagePositionPatient, float) + step * (column * across + row * down)
            np.testing.assert_allclose(point, section.plane.lps(column, row)[0], atol=1e-4)
        grey = one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)
        np.testing.assert_allclose(grey, section.grey, atol=0.6)
    assert float(data[0].PixelSpacing[0]) == pytest.approx(viewer.reformat.geometry.step)
    assert "ImagePositionPatient" not in data[0]  # a panorama is not a plane


def test_fewer_sections_replace_the_longer_series_and_no_file_of_others(viewer, head, tmp_path):
    viewer.choose(26, tuple(centre(head, 26) * FLIP))
    before = viewer.export_dicom(tmp_path)
    other = pydicom.dcmread(before[0])
    other.Manufacturer = "Another"
    other.save_as(tmp_path / "section_77.dcm")
    (tmp_path / "section_78.dcm").write_bytes(b"no DICOM")
    viewer.cuts = viewer.cuts[:3]
    after = viewer.export_dicom(tmp_path)
    assert len(after) == 4 < len(before)
    theirs = {tmp_path / "section_77.dcm", tmp_path / "section_78.dcm"}
    assert set(tmp_path.iterdir()) == {*after, *theirs}
    assert len({pydicom.dcmread(file).SeriesInstanceUID for file in after}) == 1


def test_sections_that_cannot_all_be_written_leave_the_earlier_series(viewer, head, tmp_path, monkeypatch):
    from teethseg.io import secondary_capture

    viewer.choose(26, tuple(centre(head, 26) * FLIP))
    before = {file: file.read_bytes() for file in viewer.export_dicom(tmp_path)}
    write = secondary_capture.write_secondary_capture

    def until_full(path, grey, step, series, number, *rest):
        if number == 3:
            raise OSError(28, "No space left on device")
        write(path, grey, step, series, number, *rest)

    monkeypatch.setattr(secondary_capture, "write_secondary_capture", until_full)
    with pytest.raises(TeethSegError, match=r"cannot be written to \(No space left on device\): choose"):
        viewer.export_dicom(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_pictures_and_a_page_to_print(viewer, head, tmp_path):
    viewer.choose(26, tuple(centre(head, 26) * FLIP))
    viewer.measure("distance")
    for fdi in (46, 36):
        viewer.press("panorama", *in_panorama(viewer, centre(head, fdi)))
    assert [file.name for file in viewer.export_png(tmp_path)] == ["panorama.png", "sections.png"]
    file = viewer.export_sheet(tmp_path / "sheet.pdf", "Case 7")
    content = file.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") == 1
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_pictures_follow_the_case_while_they_are_shown(slicer_scene, head):
    """The viewer follows teeth, the chosen tooth, slices, and curves dragged in Slicer's own views."""
    slicer_scene.scene.Clear(0)
    volume = volumes.node_of(slicer_scene.scene, head.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    case, seen = Case(slicer_scene.scene), [True]
    case.show(volume, write_teeth(slicer_scene.scene, Dentition(head.labels, found), volume))
    viewer = ArchViewer(slicer_scene.scene, case.number, lambda ras: None, case.select)
    follower = ArchFollower(case, viewer, NoPoints())
    follower.watch(lambda handler: lambda *_event: handler(), lambda: seen[0])
    slice_node = slicer_scene.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    follower.open()
    assert viewer.ready
    case.select(36)
    assert viewer.chosen == 36
    curve, drawn = arch_nodes.curves_of(slicer_scene.scene, volume)[0], []
    viewer.changed.connect(lambda: drawn.append(True))
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    assert drawn
    follower.act("follow")  # lays the curves along the teeth again, and observes them
    curve, drawn[:] = arch_nodes.curves_of(slicer_scene.scene, volume)[0], []
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    assert drawn
    seen[0] = False
    case.select(46)
    assert viewer.chosen == 36  # the pictures are hidden
    follower.act("distance")
    assert follower.pressed == "distance"
    follower.act("distance")
    assert follower.pressed == ""
    follower.close()
    drawn[:] = []
    slice_node.Modified()
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    assert not viewer.ready and not drawn


class NoPoints:
    """The clicks of a window without any."""

    placing = False

    def clear(self):
        pass
