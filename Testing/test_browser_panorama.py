"""Panorama and sections on the page, numbers at the teeth, and views that centre on teeth; without a browser."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from arch_phantom import TURNED, phantom
from browser_cases import like

pytest.importorskip("trame_slicer", reason="trame-slicer is not installed: pip install 'teethseg[browser]'")

from teethseg.anatomy import TEETH as NUMBERS
from teethseg.application.source import Source
from teethseg.arch_views.frame import tooth_voxels
from teethseg.browser.app import App
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.mrml.arch_nodes import curves_of
from teethseg.mrml.segments import SURFACE
from teethseg.mrml.views import crossing, nodes_of


def run(coroutine):
    return asyncio.get_event_loop().run_until_complete(coroutine)


async def until(done, seconds: float = 60.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing happened")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
    app = App("test_browser_panorama", state_folder=tmp_path_factory.mktemp("state"))
    app.server.state.ready()
    head = phantom(TURNED)
    app.opened.show(head.scan, Source("head.nrrd", app.work.temporary / "head.nrrd"))
    found = tuple(FoundTooth(one.fdi, 0.99, 300.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    app.case.take_result(Dentition(head.labels, found), app.case.volume_node, None, NUMBERS, (), "fdi", True)
    app.panorama.data.shown = True
    app.server.state.flush()
    run(until(lambda: app.panorama.data.panorama))
    yield app
    app.close()


def drawn(page, view: str) -> np.ndarray:
    """A picture as the browser shows it, RGB (rows, columns, 3)."""
    address = getattr(page.panorama.data, view)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))).convert("RGB")).astype(int)


def press_on(page, view: str, fdi: int) -> None:
    """Press the mouse on the middle of a tooth's outline, which has the tooth's colour."""
    rows, columns = like(drawn(page, view), fdi).nonzero()
    page.panorama.viewer.press(view, float(np.median(columns)), float(np.median(rows)))


def centre(fdi: int) -> np.ndarray:
    return next(one.centre for one in tooth_voxels(phantom(TURNED).labels) if one.fdi == fdi)


def shapes(page) -> dict[str, int]:
    """Triangles of each tooth's surface in 3D, by the id of its segment."""
    segmentation = page.case.teeth_node.GetSegmentation()
    found = {one: segmentation.GetSegment(one).GetRepresentation(SURFACE) for one in segmentation.GetSegmentIDs()}
    return {one: surface.GetNumberOfPolys() for one, surface in found.items() if surface is not None}


def test_three_pictures_stand_on_the_page(page):
    for view in ("plan", "panorama", "section"):
        assert drawn(page, view).std() > 10
    assert not page.panorama.data.reason


def test_surfaces_appear_tooth_by_tooth_while_the_user_goes_on(page):
    run(until(lambda: min(shapes(page).values()) > 0))
    before = shapes(page)
    page.case.select(24)
    page.correcting.tools.use("smooth")
    run(until(lambda: shapes(page) != before))
    changed = {one for one, count in shapes(page).items() if count != before[one]}
    assert changed == {"tooth_24"} and shapes(page)["tooth_24"] > 0
    page.case.undo()


def test_a_click_goes_there_and_chooses_the_tooth(page):
    page.case.select(None)
    press_on(page, "panorama", 46)
    assert page.chart.data.selected == 46
    assert np.linalg.norm(np.array(crossing(page.slicer.scene)) * (-1, -1, 1) - centre(46)) < 6
    sections, panorama = page.panorama.data.section, page.panorama.data.panorama
    page.case.select(24)
    assert page.panorama.data.section != sections and page.panorama.data.panorama != panorama
    assert like(drawn(page, "section"), 24).any()


def test_options_measures_and_files(page, tmp_path):
    before = page.panorama.data.panorama
    page.panorama.set("projection", "maximum")
    assert page.panorama.data.panorama != before
    page.panorama.follower.act("distance")
    page.panorama.viewer.press("panorama", 200, 80)
    page.panorama.viewer.press("panorama", 300, 80)
    assert len(nodes_of(page.slicer.scene, "vtkMRMLMarkupsLineNode")) == 1
    page.panorama.follower.act("distance")
    assert page.panorama.data.pressed == ""
    page.panorama.files(tmp_path / "panorama.zip")
    with zipfile.ZipFile(tmp_path / "panorama.zip") as packed:
        kinds = {name.rpartition(".")[2] for name in packed.namelist()}
    assert kinds == {"png", "dcm", "pdf"}
    page.panorama.follower.act("clear")
    assert not nodes_of(page.slicer.scene, "vtkMRMLMarkupsLineNode")


def test_a_curve_dragged_in_a_slice_and_teeth_changed_while_it_was_hidden_are_followed(page):
    before = page.panorama.viewer.arches.upper.curve.handles[4].copy()
    curve = next(one for one in curves_of(page.slicer.scene, page.case.volume_node) if one.GetName() == "Upper arch")
    place = [0.0, 0.0, 0.0]
    curve.GetNthControlPointPosition(4, place)
    curve.SetNthControlPointPosition(4, place[0], place[1] + 4, place[2])
    curve.InvokeEvent(curve.PointEndInteractionEvent)
    run(until(lambda: np.abs(page.panorama.viewer.arches.upper.curve.handles[4] - before).max() > 2))
    page.panorama.data.shown = False
    page.server.state.flush()
    page.case.select(24)
    page.correcting.tools.use("remove")
    run(until(lambda: 24 not in page.case.present()))
    page.case.select(13)
    assert 24 in page.panorama.viewer.outlines  # the panorama is hidden
    page.panorama.data.shown = True
    page.server.state.flush()
    run(until(lambda: 24 not in page.panorama.viewer.outlines and page.panorama.viewer.chosen == 13))
    page.case.undo()
    run(until(lambda: 24 in page.panorama.viewer.outlines))


def test_numbers_stand_at_the_teeth_in_all_views(page):
    page.chart.choose(24)
    run(asyncio.sleep(0.2))
    lists = nodes_of(page.slicer.scene, "vtkMRMLMarkupsFiducialNode")
    texts = [one.GetNthControlPointLabel(n) for one in lists for n in range(one.GetNumberOfControlPoints())]
    assert texts.count("24") >= 2
    page.views.data.numbers = False
    page.server.state.flush()
    run(asyncio.sleep(0.2))
    assert not nodes_of(page.slicer.scene, "vtkMRMLMarkupsFiducialNode")


def test_the_chosen_tooth_stands_out_and_a_double_click_goes_close(page):
    page.case.select(13)
    display = page.case.teeth_node.GetDisplayNode()
    assert display.GetSegmentOpacity3D("tooth_13") == 1 > display.GetSegmentOpacity3D("tooth_14")
    fields = [view.get_view_node().GetFieldOfView()[0] for view in page.views.slices]
    page.navigation.close_to(13)  # the effect of the second click
    closer = [view.get_view_node().GetFieldOfView()[0] for view in page.views.slices]
    assert all(now < before for now, before in zip(closer, fields, strict=True))
