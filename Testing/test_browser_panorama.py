"""Panorama and sections on the page, numbers at the teeth, and views that go to the teeth; without a browser."""

from __future__ import annotations

import asyncio
import base64
import io

import numpy as np
import pytest
from PIL import Image

from arch_phantom import TURNED, phantom

pytest.importorskip("trame_slicer", reason="trame-slicer is not installed: pip install 'teethseg[browser]'")

from teethseg.anatomy import TEETH as NUMBERS
from teethseg.application.source import Source
from teethseg.arch_views.frame import tooth_voxels
from teethseg.browser.app import App
from teethseg.cascade.dentition import Dentition, FoundTooth
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
    app.opened.show(head.scan, Source("head.nrrd", app.recovery.passing / "head.nrrd"))
    found = tuple(FoundTooth(one.fdi, 0.99, 300.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    app.case.take(Dentition(head.labels, found), app.case.volume_node, None, NUMBERS, (), "fdi", True)
    app.panorama.data.shown = True
    app.server.state.flush()
    run(until(lambda: app.panorama.studio.ready))
    run(until(lambda: app.panorama.data.panorama))
    yield app
    app.close()


def drawn(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))))


def centre(fdi: int) -> np.ndarray:
    return next(one.centre for one in tooth_voxels(phantom(TURNED).labels) if one.fdi == fdi)


def test_three_pictures_stand_on_the_page(page):
    for address in (page.panorama.data.plan, page.panorama.data.panorama, page.panorama.data.section):
        assert drawn(address).std() > 10
    assert not page.panorama.data.reason


def test_a_click_goes_there_and_chooses_the_tooth(page):
    studio = page.panorama.studio
    column, row, _ = studio.reformat.place.pixel(centre(46))
    scale = studio.scales["panorama"]
    page.panorama.press("panorama", column[0] * scale, row[0] * scale)
    assert page.case.selected == 46
    assert np.linalg.norm(np.array(crossing(page.slicer.scene)) * (-1, -1, 1) - centre(46)) < 3
    before = page.panorama.data.section
    page.case.select(24)
    assert studio.chosen == 24 and page.panorama.data.section != before


def test_options_measures_and_files(page, tmp_path):
    before = page.panorama.data.panorama
    page.panorama.set("projection", "maximum")
    assert page.panorama.data.panorama != before
    page.panorama.act("distance")
    page.panorama.press("panorama", 200, 80)
    page.panorama.press("panorama", 300, 80)
    assert len(nodes_of(page.slicer.scene, "vtkMRMLMarkupsLineNode")) == 1
    page.panorama.act("distance")
    assert page.panorama.data.pressed == ""
    page.panorama.files(tmp_path / "panorama.zip")
    assert (tmp_path / "panorama.zip").stat().st_size > 50_000
    page.panorama.studio.clear_measures()


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
    page.look.close_to(13)
    assert all(
        view.get_view_node().GetFieldOfView()[0] < old for view, old in zip(page.views.slices, fields, strict=True)
    )
