"""The page without a browser: the real server object, real MRML, and frames rendered off-screen."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import zipfile
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pydicom
import pytest

from browser_cases import BALLS, ball_case, like
from dicom_series import write_series
from grids import rotation
from task_here import TaskHere

pytest.importorskip("trame_slicer", reason="trame-slicer is not installed: pip install 'teethseg[browser]'")

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from trame_server.state import State
from trame_slicer.segmentation import SegmentationEffectDraw, SegmentationEffectScissors, SegmentationEffectThreshold
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkIOGeometry import vtkSTLReader
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

from teethseg.anatomy import TEETH as NUMBERS
from teethseg.anatomy import tooth
from teethseg.annotation.worklist import Worklist as List
from teethseg.application import i18n
from teethseg.application.compute import at_once
from teethseg.application.export import DEFAULTS
from teethseg.application.saved_work import CASE
from teethseg.application.source import Source
from teethseg.browser.app import App
from teethseg.browser.auth import HEADERS, Access, add_headers
from teethseg.browser.component import Component
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.cli.app import run as command_line
from teethseg.cli.listening import CONSENT, check_host, check_port
from teethseg.correction.edit import Edit, tooth_box
from teethseg.correction.relabel import renumber
from teethseg.errors import InputError, UsageError
from teethseg.io.files import read_labels, read_teeth, write_labels, write_scan, write_segmentation
from teethseg.mrml import teeth
from teethseg.mrml.views import crossing
from teethseg.resampling import labels_on_grid
from teethseg.surfaces.mesh import dentition_surfaces
from teethseg.surfaces.simplify import clustered
from teethseg.surfaces.triangles import arrays
from teethseg.volume import Volume

SIDE = 300  # pixels of a frame


def run(coroutine):
    return asyncio.get_event_loop().run_until_complete(coroutine)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The app; a process has one, as for users."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
    app = App("test_browser", state_folder=tmp_path_factory.mktemp("state"), compute=at_once)
    app.server.state.ready()
    app.exporting.tasks.launch = TaskHere
    app.surfaces.close()  # surfaces are made synchronously: no event loop runs between the steps of these tests
    yield app
    app.close()


def show(page, direction=None):
    """Open the ball case with its teeth, 16 doubtful."""
    scan, labels = ball_case(direction)
    page.opened.show(scan, Source("balls.nrrd", page.work.temporary / "balls.nrrd"))
    found = [
        FoundTooth(fdi, 0.99, 300.0, place[:3], second_fdi=17, flags=(UNCERTAIN_NUMBER,) if fdi == 16 else ())
        for fdi, place in BALLS.items()
    ]
    page.case.notation = "fdi"
    page.case.take_result(Dentition(labels, tuple(found)), page.case.volume_node, None, NUMBERS, (), "fdi", True)
    page.case.report = {"seconds": {}, "device": "cpu"}
    page.case.select(None)
    page.server.state.flush()
    return scan, labels


@pytest.fixture
def shown(page):
    show(page)
    return page


def frame(view) -> np.ndarray:
    """The picture of a view, RGB (rows from below, columns, 3)."""
    window = view.render_window()
    window.SetSize(SIDE, SIDE)
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    return vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(SIDE, SIDE, -1)[..., :3].astype(int)


def coloured(picture: np.ndarray) -> int:
    """Pixels that are not grey; the scan and the background are."""
    return int((np.ptp(picture, axis=-1) > 60).sum())


def present(page) -> set[int]:
    """Teeth that the chart shows as present."""
    return {one["fdi"] for row in page.chart.data.rows for one in row if "ts-missing" not in one["looks"]}


def choose(page, part: str, **values) -> None:
    """Send the message of the page for a control that a user changes."""
    for name, value in values.items():
        setattr(getattr(page, part).data, name, value)
    page.server.state.flush()


def cards(page) -> dict[str, dict]:
    """Questions and suggestions of the page, by kind."""
    return {one["key"]: one for one in page.chart.data.cards}


def settle_findings(page) -> None:
    """Answer the questions about the dentition as a whole, which come before those about single teeth."""
    while "finding" in cards(page):
        page.chart.answer(cards(page)["finding"]["answers"][-1]["key"])


def reset(page) -> None:
    for view in page.views.slices + page.views.threes:
        view.reset_view()


# Access


def test_names_that_are_not_utf8_can_be_sent_to_the_page():
    """A file name may hold any bytes; Python represents them as surrogates, which the page's protocol cannot encode."""

    @dataclass
    class Named:
        text: str = ""
        rows: list[dict] = field(default_factory=list)

    part = Component(SimpleNamespace(server=SimpleNamespace(state=State())), Named)
    part.data.text, part.data.rows = "scan\udcff ⎿6.nrrd", [{"text": ["\ud800"]}]
    assert (part.data.text, part.data.rows) == ("scan? ⎿6.nrrd", [{"text": ["?"]}])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_computer_needs_no_consent(host):
    check_host(host, consent=False)


def test_other_computers_need_consent_that_says_what_it_means():
    with pytest.raises(UsageError, match="not encrypted") as error:
        check_host("0.0.0.0", consent=False)
    assert CONSENT in str(error.value)
    check_host("0.0.0.0", consent=True)


def test_a_taken_port_is_refused_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--port"):
            check_port("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--host", "0.0.0.0"], CONSENT),
        (["--teeth", "teeth.seg.nrrd"], "SCAN"),
        (["--port", "70000"], "--port"),
    ],
)
def test_the_command_refuses_before_it_loads_anything(capsys, arguments, word):
    assert command_line(["serve", *arguments]) == 2
    errors = capsys.readouterr().err
    assert word in errors
    assert len(errors.splitlines()) == 1


def test_nothing_answers_without_a_cookie_that_an_address_gave():
    async def answer(_request):
        return web.Response(text="the page")

    async def check():
        access = Access("secret")
        site = web.Application(middlewares=[access.guard])
        site.on_response_prepare.append(add_headers)
        site.router.add_get("/{any:.*}", answer)
        once = access.entry()
        async with TestClient(TestServer(site)) as client:
            refused = ("/", "/index.html", "/ws", "/?token=", "/?token=wrong", "/?token=%ff", "/?once=", "/?once=wrong")
            for path in refused:
                response = await client.get(path)
                assert response.status == 403 and HEADERS.items() <= dict(response.headers).items()
            for query in ("token=secret", once):
                client.session.cookie_jar.clear()
                entry = await client.get(f"/?{query}", allow_redirects=False)
                assert (entry.status, entry.headers["Location"]) == (303, "/")
                cookie = entry.headers["Set-Cookie"]
                assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
                assert query.partition("=")[2] not in cookie
                response = await client.get("/index.html")
                assert (response.status, await response.text()) == (200, "the page")
                assert HEADERS.items() <= dict(response.headers).items()
                assert (await client.get("/ws", headers={"Origin": "http://evil.example"})).status == 403
                own = f"http://{client.host}:{client.port}"
                assert (await client.get("/ws", headers={"Origin": own})).status == 200
            client.session.cookie_jar.clear()
            # The one-time address in the list of processes is no longer valid.
            assert (await client.get(f"/?{once}")).status == 403
            assert (await client.get("/?token=secret")).status == 200

    run(check())


def test_the_browser_is_started_without_the_token(monkeypatch):
    from teethseg.browser import server

    said, started = [], []
    monkeypatch.setattr(server.webbrowser, "open", started.append)

    class Controller:
        def add(self, name):
            return lambda function: function() if name == "on_server_ready" else function

    class Fake:
        controller, port = Controller(), 1234

        def start(self, **_):
            raise KeyboardInterrupt

    class Page:
        server = Fake()

        def keep_time(self):
            pass

        def begin(self, work):
            pass

        def close(self):
            pass

    with pytest.raises(KeyboardInterrupt):
        server.serve(Page(), "127.0.0.1", 0, True, said.append)
    token = said[0].partition("token=")[2]
    assert token and token not in started[0] and "once=" in started[0]


# Views


def test_teeth_are_drawn_in_their_colours_in_slices_and_in_3d(shown):
    three, (axial, coronal, sagittal) = shown.views.threes[0], shown.views.slices
    reset(shown)
    shown.navigation.through((-18, -14, 6))  # RAS: tooth 26
    assert like(frame(axial), 26).sum() > 100
    assert like(frame(sagittal), 26).sum() > 100
    assert like(frame(coronal), 26).sum() > 100
    picture = frame(three)
    assert coloured(picture) > 3000
    # From the front the patient's right is on the left of the picture, and upper teeth are above (rows from below).
    for fdi, other in ((16, 26), (41, 36)):
        assert like(picture, fdi).nonzero()[1].mean() < like(picture, other).nonzero()[1].mean() - 30
    assert like(picture, 26).nonzero()[0].mean() > like(picture, 36).nonzero()[0].mean() + 30


def test_3d_is_reduced_while_it_is_turned_and_whole_again_after(shown):
    view = shown.views.threes[0]
    interactor = view.interactor()
    reset(shown)
    frame(view)

    def triangles() -> int:
        mappers = [actor.GetMapper() for actor in view.first_renderer().GetActors() if actor.GetVisibility()]
        drawn = [mapper.GetInputDataObject(0, 0) for mapper in mappers if mapper is not None]
        return sum(surface.GetNumberOfPolys() for surface in drawn if isinstance(surface, vtkPolyData))

    def mouse(event: str, x: int) -> None:
        interactor.SetEventInformation(x, SIDE // 2, 0, 0, "\0", 0, None)
        interactor.InvokeEvent(event)

    whole, seen = triangles(), coloured(frame(view))
    mouse("LeftButtonPressEvent", 100)
    mouse("MouseMoveEvent", 101)
    assert triangles() == whole  # may still become a click
    for x in (110, 120, 130):
        mouse("MouseMoveEvent", x)
    assert triangles() < 0.6 * whole
    assert 0.7 * seen < coloured(frame(view)) < 1.4 * seen
    mouse("LeftButtonReleaseEvent", 130)
    assert triangles() == whole
    # Surfaces that changed meanwhile are reduced again.
    shown.case.select(36)
    shown.case.edit(lambda labels, scan: _halved(labels, 36))
    mouse("LeftButtonPressEvent", 130)
    mouse("MouseMoveEvent", 150)
    frame(view)
    mouse("LeftButtonReleaseEvent", 150)
    assert triangles() < whole


def test_a_slice_that_moves_is_drawn_and_no_other_view(shown, monkeypatch):
    drawn = set()

    class Noted(ScheduledRenderStrategy):
        def schedule_render(self):
            drawn.add(self.abstract_view)

    for view in shown.views.slices + shown.views.threes:
        monkeypatch.setattr(view, "_scheduled_render", Noted())
        view.set_scheduled_render(view._scheduled_render)  # noqa: SLF001  # no public way to notify it
    for view in shown.views.slices:
        drawn.clear()
        view.set_slice_value(view.get_slice_value() + 1.0)
        assert drawn == {view}


def test_reduced_surfaces_have_no_holes_where_their_sides_fall_together():
    z, y, x = np.mgrid[:60, :60, :60]
    plate = (abs(z - 20 - 0.3 * x - 0.2 * y) < 1.5) & (abs(x - 30) < 25) & (abs(y - 30) < 25)
    fine = dentition_surfaces(Volume((16 * plate).astype(np.uint8), (0.2,) * 3))[16]
    vertices, faces = arrays(clustered(fine))
    assert 0 < len(faces) < 0.2 * fine.GetNumberOfPolys()
    edges = np.zeros((len(vertices), len(vertices)), int)
    np.add.at(edges, (faces, np.roll(faces, -1, axis=1)), 1)
    assert (edges == edges.T).all()


def test_grey_windows_change_what_is_white(shown):
    axial = shown.views.slices[0]
    shown.navigation.through((0, 0, 0))  # between the teeth: noise alone
    means = {}
    for name in ("Soft tissue", "Teeth"):
        choose(shown, "views", window=name)
        means[name] = frame(axial)[100:200, 100:200].mean()
    assert means["Soft tissue"] > means["Teeth"] + 30


def test_padding_is_shown_as_nothing_in_slices(page):
    scan, _ = ball_case()
    _, y, x = np.ogrid[: scan.array.shape[0], : scan.array.shape[1], : scan.array.shape[2]]
    middle, radius = (np.array(scan.array.shape[1:]) - 1) / 2, min(scan.array.shape[1:]) * 0.45
    inside = np.hypot(y - middle[0], x - middle[1]) < radius
    padded = scan.with_array(np.where(inside, scan.array.astype(np.int32), 65535))
    page.opened.show(padded, Source("padded.nrrd", page.work.temporary / "padded.nrrd"))
    page.server.state.flush()
    page.navigation.through((0, 0, 0))
    choose(page, "views", window="Whole range")
    assert (frame(page.views.slices[0]).min(axis=-1) > 250).mean() < 0.01
    page.opened.show(scan, Source("balls.nrrd", page.work.temporary / "balls.nrrd"))
    assert not page.case.volume_node.GetDisplayNode().GetApplyThreshold()


def test_volume_rendering_is_off_until_asked_for(shown):
    rendering, node = shown.slicer.volume_rendering, shown.case.volume_node
    assert not rendering.has_vr_display_node(node)
    choose(shown, "views", rendering=True)
    assert rendering.get_vr_display_node(node).GetVisibility()
    choose(shown, "views", rendering=False)
    assert not rendering.get_vr_display_node(node).GetVisibility()


@pytest.mark.parametrize("direction", [None, rotation()], ids=["straight", "oblique"])
def test_a_click_selects_the_tooth_under_it(page, direction):
    show(page, direction)
    for view, fdi in ((page.views.slices[0], 16), (page.views.slices[1], 26), (page.views.threes[0], 36)):
        page.case.select(None)
        x, y, z = BALLS[fdi][:3]
        reset(page)
        page.navigation.through((-x, -y, z))
        at = np.argwhere(like(frame(view), fdi)).mean(axis=0).round().astype(int)[::-1].tolist()
        interactor = view.interactor()
        for event in ("LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            interactor.SetEventInformation(*at, 0, 0, "\0", 0, None)
            interactor.InvokeEvent(event)
        assert page.case.selected == fdi


# The chart


def test_the_chart_shows_teeth_doubts_and_numbers(shown):
    upper, *deciduous, lower = shown.chart.data.rows
    assert [one["fdi"] for one in upper[6:10]] == [12, 11, 21, 22]
    assert [one["fdi"] for one in lower[6:10]] == [42, 41, 31, 32]
    assert (present(shown), deciduous, shown.chart.data.count) == (set(BALLS), [[], []], "5 teeth")
    marked = {one["fdi"]: one["marks"] for row in (upper, lower) for one in row if one["marks"]}
    assert marked == {16: [("uncertain", "?")]}
    shown.chart.choose(16)
    assert "upper right first molar" in shown.chart.data.chosen and "number uncertain" in shown.chart.data.chosen


def test_deciduous_teeth_have_rows_of_their_own_while_there_are_any(shown):
    shown.case.edit(lambda labels, scan: renumber(labels, {26: 65, 11: 53}))
    _upper, deciduous, none, _lower = shown.chart.data.rows
    assert ([one["fdi"] for one in deciduous], none) == ([53, 65], [])
    choose(shown, "chart", notation="palmer")
    assert [one["number"] for one in shown.chart.data.rows[1]] == ["C", "E"]
    shown.chart.choose(65)
    assert "deciduous upper left second molar" in shown.chart.data.chosen
    shown.case.set_state(65, "completed")
    assert shown.chart.data.rows[1][1]["marks"] == [("done", "✓")]
    shown.case.show_selected(False)
    assert "ts-hidden" in shown.chart.data.rows[1][1]["looks"]
    shown.case.edit(lambda labels, scan: renumber(labels, {65: 26, 53: 11}))
    assert shown.chart.data.rows[1:3] == [[], []]


def test_the_review_asks_and_its_answers_change_the_teeth(shown):
    settle_findings(shown)
    card = cards(shown)["review"]
    assert "16 or 17?" in card["text"]
    assert [one["label"] for one in card["answers"]] == ["It is 16", "It is 17", "Not a tooth", "Later"]
    shown.chart.answer("change")
    assert 17 in present(shown) and 16 not in present(shown)
    assert ("review" in cards(shown), shown.correcting.data.undo) == (False, "Undo: 16 to 17")
    shown.case.undo()
    shown.chart.answer("keep")
    assert ("review" in cards(shown), shown.correcting.data.undo) == (False, "Undo: 16 confirmed")


def test_the_dentition_as_a_whole_is_asked_about_and_an_answer_is_one_step(shown):
    card = cards(shown)["finding"]
    assert "42-47" in card["text"]
    assert [one["label"] for one in card["answers"]] == ["42-47 are missing", "Leave it as it is"]
    shown.chart.answer("finding-0")
    assert shown.case.missing() == set(range(42, 48))
    assert cards(shown)["finding"]["text"] != card["text"]
    assert shown.correcting.data.undo == "Undo: 42-47 are missing"
    shown.case.undo()
    assert not shown.case.missing() and cards(shown)["finding"] == card


def test_a_shifted_row_suggests_that_the_gap_is_a_missing_tooth(shown):
    data = shown.chart.data
    shown.chart.open_menu(16)
    assert data.menu and [one["key"] for one in data.entries][:3] == ["numbers", "partners", "back"]
    shown.chart.act("back")
    assert (present(shown), data.selected, data.menu) == ({17, 11, 26, 36, 41}, 17, False)
    card = cards(shown)["suggestion"]
    assert [one["label"] for one in card["answers"]] == ["16 is missing", "No"]
    shown.chart.answer("accept")
    (place,) = (one for one in data.rows[0] if one["fdi"] == 16)
    assert ("missing", "✕") in place["marks"] and "suggestion" not in cards(shown)


def test_notations_rename_the_chart_and_the_segments(shown):
    choose(shown, "chart", notation="universal")
    names = shown.slicer.segmentation_editor.get_segment_names()
    assert "Tooth #3" in names
    assert [one["number"] for row in shown.chart.data.rows for one in row if one["fdi"] == 16] == ["3"]


def test_choosing_a_tooth_centres_the_slices_on_it(shown):
    shown.chart.choose(26)
    assert np.allclose(crossing(shown.slicer.scene), (-18, -14, 6), atol=1.0)


def test_a_hidden_tooth_is_not_drawn(shown):
    shown.case.select(36)
    three = shown.views.threes[0]
    before = like(frame(three), 36).sum()
    shown.case.show_selected(False)
    assert before > 200
    assert like(frame(three), 36).sum() < before / 10
    shown.case.show_selected(True)
    assert like(frame(three), 36).sum() > before / 2


def test_numbers_are_swapped_by_the_menu_and_it_can_be_undone_by_name(shown):
    _, labels = ball_case()
    shown.chart.choose(16)
    shown.chart.act("swap-26")
    now = shown.case.labels()
    assert shown.case.selected == 26
    assert ((now == 26) == (labels.array == 16)).all()
    assert ((now == 16) == (labels.array == 26)).all()
    assert (shown.correcting.data.can_undo, shown.correcting.data.undo) == (True, "Undo: 16 and 26 swapped")
    shown.case.undo()
    assert (shown.case.labels() == labels.array).all()
    assert not shown.correcting.data.can_undo
    assert shown.correcting.data.redo == "Redo: 16 and 26 swapped"
    shown.case.redo()
    assert (shown.case.labels() == now).all()


# Correcting


def stroke(page, lps: tuple[float, float, float], radius: float) -> None:
    """End a drag of the brush: a ball of voxels around a place changes, then nothing more."""
    ball = vtkSphereSource()
    ball.SetRadius(radius)
    ball.SetThetaResolution(24)
    ball.SetPhiResolution(24)
    ball.Update()
    points = vtkPoints()
    points.InsertNextPoint(-lps[0], -lps[1], lps[2])
    page.slicer.segmentation_editor.active_segment_modifier.apply_glyph(ball.GetOutput(), points)


def brush(page, fdi: int, key: str, bright_only: bool = False) -> None:
    choose(page, "brushes", brush="", bright_only=bright_only)
    page.case.select(fdi)
    page.brushes.take(key)
    page.server.state.flush()


def test_paint_adds_to_the_selected_tooth_alone_and_is_undone(shown):
    before = shown.case.labels()
    brush(shown, 26, "paint")
    # Between 26 (z 6) and 36 (z -6): the stroke reaches into both.
    stroke(shown, (18, 14, 0), 4.0)
    after = shown.case.labels()
    assert ((after == 26) & (before == 0)).sum() > 500
    assert (after[before > 0] == before[before > 0]).all()
    assert not shown.slicer.segmentation_editor.undo_stack
    shown.case.undo()
    assert (shown.case.labels() == before).all()


def test_erase_takes_from_the_selected_tooth_alone(shown):
    before = shown.case.labels()
    brush(shown, 36, "erase")
    stroke(shown, (18, 14, 0), 4.0)
    after = shown.case.labels()
    assert ((before == 36) & (after == 0)).sum() > 50
    assert (after[before == 26] == 26).all()


@pytest.mark.parametrize(
    ("key", "effect"), [("draw", SegmentationEffectDraw), ("scissors", SegmentationEffectScissors)]
)
def test_outlines_add_or_cut_away_within_the_selected_tooth(shown, key, effect):
    """An outline around the right half of the axial slice through 26, which extends beyond the middle of the ball."""
    before = shown.case.labels()
    view = shown.views.slices[0]
    reset(shown)
    shown.chart.choose(26)
    columns = like(frame(view), 26).nonzero()[1]
    brush(shown, 26, key)
    outline = vtkPoints()
    middle, end = (columns.min() + columns.max()) / 2, columns.max() + 12
    for x, y in ((middle, 5), (end, 5), (end, SIDE - 5), (middle, SIDE - 5)):
        outline.InsertNextPoint(x, y, 0)
    shown.slicer.segmentation_editor.get_effect(effect).apply_points_display_coordinates(outline, view)
    after = shown.case.labels()
    assert (after[(before > 0) & (before != 26)] == before[(before > 0) & (before != 26)]).all()
    gained, lost = ((after == 26) & (before == 0)).sum(), ((after == 0) & (before == 26)).sum()
    if key == "draw":
        assert gained > 300
        assert lost == 0
    else:
        assert 0.3 * (before == 26).sum() < lost < 0.7 * (before == 26).sum()
        assert gained == 0
        assert np.argwhere((before == 26) & (after == 0))[:, 2].min() > np.argwhere(before == 26)[:, 2].mean() - 2
    shown.case.undo()
    assert (shown.case.labels() == before).all()


def test_bright_only_paints_no_background(shown):
    before = shown.case.labels()
    image = shown.case.scan().array
    shown.case.select(11)
    shown.case.edit(lambda labels, scan: _halved(labels, 11))
    brush(shown, 11, "paint", bright_only=True)
    stroke(shown, BALLS[11][:3], 6.0)
    after = shown.case.labels()
    assert (after == 11).sum() > 0.95 * (before == 11).sum()
    assert image[(after == 11) & (before == 0)].size == 0 or image[(after == 11) & (before == 0)].min() > 300


def test_the_threshold_starts_as_teeth_are_and_keeps_of_the_selected_tooth_what_is_so(shown):
    before = shown.case.labels()
    brush(shown, 26, "paint")
    stroke(shown, (18, 14, 0), 4.0)  # some background, between 26 and 36
    painted = shown.case.labels()
    brush(shown, 26, "threshold")
    low, high = shown.brushes.data.range
    assert 200 < low < 1300  # background has 0, teeth have 1500
    assert high == shown.brushes.data.brightest
    effect = shown.slicer.segmentation_editor.get_effect(SegmentationEffectThreshold)
    assert effect.is_active
    assert tuple(effect.get_threshold_min_max_values()) == (low, high)
    shown.brushes.painting.keep_range()
    assert (shown.case.labels() == before).all()
    shown.case.undo()
    assert (shown.case.labels() == painted).all()
    choose(shown, "brushes", brush="")


def _halved(labels, fdi):
    """The tooth without the part to the right of its middle."""
    box = tooth_box(labels, fdi)
    content = labels[box].copy()
    half = content[:, :, : content.shape[2] // 2]
    half[half == fdi] = 0
    return Edit(box, content)


def test_tools_say_why_they_cannot(shown):
    use = shown.correcting.tools
    use.use("cut")  # no tooth is chosen
    assert (shown.page.data.kind, shown.page.data.message_shown) == ("warning", True)
    shown.case.select(16)
    use.use("cut")
    assert shown.correcting.data.others[0]["value"] in BALLS
    use.choose_other(26)
    use.apply()
    assert "do not touch" in shown.page.data.message and "\n" not in shown.page.data.message
    use.dismiss()


def click(page, *lps: tuple[float, float, float]) -> None:
    """Clicks of a user at places in the patient, as `picking.on_click` reports them."""
    for x, y, z in lps:
        page.clicks.on_click((-x, -y, z))


def test_a_tooth_is_split_where_it_is_clicked(shown):
    _, labels = ball_case()
    shown.case.select(16)
    use, data = shown.correcting.tools, shown.correcting.data
    use.use("merge")
    use.choose_other(26)
    use.apply()  # one label for two balls
    shown.case.select(16)
    use.use("split")
    use.choose_other(27)
    assert shown.clicks.active is not None and "(0 of 2 clicks)" in data.hint
    click(shown, BALLS[16][:3])
    assert "(1 of 2 clicks)" in data.hint
    click(shown, BALLS[26][:3])
    assert data.complete
    use.apply()
    now = shown.case.labels()
    assert ((now == 16) == (labels.array == 16)).all()
    assert ((now == 27) == (labels.array == 26)).all()
    assert (shown.clicks.active, data.hint, data.undo) == (None, "", "Undo: split 16")


def test_a_removed_tooth_grows_again_from_a_click(shown):
    _, labels = ball_case()
    use = shown.correcting.tools
    shown.case.select(36)
    use.use("remove")
    assert (36 in present(shown), shown.case.selected) == (False, None)
    shown.case.select(36)
    use.use("add")
    assert use.other == 36
    click(shown, BALLS[36][:3])
    assert shown.correcting.data.complete
    use.apply()
    grown, expected = shown.case.labels() == 36, labels.array == 36
    assert 2 * (grown & expected).sum() / (grown.sum() + expected.sum()) > 0.8
    assert (shown.case.labels()[labels.array == 26] == 26).all()
    assert shown.case.selected == 36


def test_stopping_a_tool_changes_nothing(shown):
    before = shown.case.labels()
    shown.case.select(16)
    shown.correcting.tools.use("split")
    click(shown, BALLS[16][:3])
    assert shown.slicer.scene.GetFirstNodeByName("seed") is not None
    shown.correcting.tools.dismiss()
    assert shown.clicks.active is None
    assert (shown.case.labels() == before).all()
    assert shown.slicer.scene.GetFirstNodeByName("seed") is None


def test_a_click_outside_of_the_tooth_is_refused_in_words(shown):
    shown.case.select(16)
    shown.correcting.tools.use("split")
    click(shown, BALLS[26][:3])
    assert "not in 16" in shown.page.data.message
    assert "(0 of 2 clicks)" in shown.correcting.data.hint
    shown.correcting.tools.dismiss()


# Export


def exported(page, folder: Path, **values: str) -> Path:
    """The file that the browser would save."""
    for key, value in values.items():
        page.exporting.choose(key, value)
    page.exporting.export()
    return fetched(page, folder)


def fetched(page, folder: Path) -> Path:
    async def fetch() -> Path:
        site = web.Application()
        page.join(site)
        async with TestClient(TestServer(site)) as client:
            response = await client.get(page.exporting.data.ready)
            assert response.status == 200
            path = folder / unquote(page.exporting.data.ready.rpartition("/")[2])
            path.write_bytes(await response.read())
            return path

    assert page.exporting.data.busy == ""
    return run(fetch())


@pytest.fixture(autouse=True)
def defaults(request):
    """Each test of the page begins with FDI numbers, and leaves the usual options of export."""
    page = request.getfixturevalue("page") if {"page", "shown"} & set(request.fixturenames) else None
    if page is not None:
        page.case.notation = "fdi"
    yield
    if page is not None:
        choose(page, "exporting", values=dict(DEFAULTS))


def test_a_file_has_the_name_of_its_own_scan_though_another_is_opened_meanwhile(shown, tmp_path):
    """Another tab may open one while the teeth of the first are being written."""
    write_scan(tmp_path / "other.nrrd", ball_case()[0])
    tasks = shown.exporting.tasks
    launch = tasks.launch

    def slow(task):
        started = launch(task)
        run(shown.loading.open_path(tmp_path / "other.nrrd"))
        return started

    tasks.launch = slow
    try:
        packed = exported(shown, tmp_path)
    finally:
        tasks.launch = launch
    assert shown.loading.data.scan == "other.nrrd"
    assert packed.name == "balls-surfaces.zip"


def test_surfaces_lie_where_the_teeth_lie(shown, tmp_path):
    packed = exported(shown, tmp_path)
    assert packed.name == "balls-surfaces.zip"
    with zipfile.ZipFile(packed) as opened:
        names = [name for name in opened.namelist() if name.endswith(".stl")]
        assert len(names) == len(BALLS)
        opened.extractall(tmp_path / "out")
    reader = vtkSTLReader()
    reader.SetFileName(str(tmp_path / "out" / next(name for name in names if "16" in name)))
    reader.Update()
    low_x, high_x, low_y, high_y, low_z, high_z = reader.GetOutput().GetBounds()
    x, y, z, radius = BALLS[16]
    assert np.allclose([low_x, high_x, low_y, high_y], [x - radius, x + radius, y - radius, y + radius], atol=0.6)
    assert np.allclose([low_z, high_z], [z - radius, z + radius], atol=0.6)


def test_surfaces_are_made_as_chosen_and_what_was_checked_is_reported(shown, tmp_path):
    packed = exported(shown, tmp_path, gap="0.1", inside="hollow", triangles="few", naming="universal")
    assert shown.exporting.data.note.startswith(f"{len(BALLS)} of {len(BALLS)} surfaces are closed, manifold")
    with zipfile.ZipFile(packed) as opened:
        manifest = json.loads(opened.read("manifest.json"))
        table = opened.read("teeth.csv").decode("utf-8-sig").splitlines()
    assert len(table) == 1 + len(BALLS) and "inclination_deg" in table[0]
    assert manifest["gap_mm"] == 0.1 and manifest["hollow_pulp"] is True
    off = {one["key"] for one in shown.exporting.data.fields if one["off"]}
    assert off == set()
    shown.exporting.choose("format", "csv")
    off = {one["key"] for one in shown.exporting.data.fields if one["off"]}
    assert off == set(DEFAULTS) - {"format"}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_dicom_seg_of_a_dicom_scan_refers_to_its_images(page, tmp_path, packed):
    scan, labels = ball_case()
    files = write_series(tmp_path / "disc", scan)
    place = tmp_path / "disc"
    if packed:
        place = Path(shutil.make_archive(str(tmp_path / "disc"), "zip", place))
    run(page.loading.open_path(place))
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels)
    page.opened.load_teeth(tmp_path / "teeth.seg.nrrd")
    written = exported(page, tmp_path, format="dcm")
    assert page.exporting.data.note == f"It refers to the {len(files)} DICOM images of the scan."
    dataset = pydicom.dcmread(written)
    named = {one.ReferencedSOPInstanceUID for one in dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {pydicom.dcmread(path).SOPInstanceUID for path in files}
    assert np.array_equal(labels_on_grid(read_teeth(written), labels).array, labels.array)
    page.opened.load_teeth(written)
    assert (page.case.labels() == labels.array).all()


def test_segmentation_and_report_tell_the_teeth_as_they_are_now(shown, tmp_path):
    shown.case.select(41)
    shown.relabelling.renumber(41, 42)
    written = read_labels(exported(shown, tmp_path, format="seg.nrrd"))
    assert (written.array == shown.case.labels()).all()
    report = json.loads(exported(shown, tmp_path, format="json").read_text(encoding="utf-8"))
    rows = {row["fdi"]: row for row in report["teeth"]}
    assert set(rows) == {16, 11, 26, 36, 42}
    assert (rows[42]["confidence"], "corrected" in rows[42]["flags"]) == (None, True)
    assert (rows[16]["confidence"], rows[16]["flags"]) == (0.99, [UNCERTAIN_NUMBER])
    assert np.allclose(rows[16]["centroid_lps_mm"], BALLS[16][:3], atol=0.3)
    assert report["device"] == "cpu"
    table = exported(shown, tmp_path, format="csv").read_text(encoding="utf-8-sig")
    assert len(table.splitlines()) == 1 + len(BALLS)


def test_a_scene_holds_scan_and_teeth(shown, tmp_path):
    shown.exporting.make("teeth.mrb", shown.exporting.scene)
    with zipfile.ZipFile(fetched(shown, tmp_path)) as opened:
        names = opened.namelist()
    files = {name.rpartition("/")[2] for name in names}
    assert "balls.nrrd" in files and any(name.endswith(".seg.nrrd") for name in files)
    assert len([name for name in files if name.endswith(".mrml")]) == 1


def test_annotating_by_hand_goes_from_tooth_to_tooth_and_ends_in_a_training_case(page, tmp_path):
    scan, labels = ball_case()
    page.opened.show(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
    data, act = page.annotating.data, page.annotating.act
    page.annotating.start()
    assert (data.active, page.case.selected, page.page.data.tab) == (True, 18, "annotate")
    act("missing")
    act("missing")
    assert page.case.selected == 16
    assert page.clicks.active is not None  # clicks go into the next tooth at once
    click(page, BALLS[16][:3])
    assert "1 point, press Grow" in data.tooth
    act("grow")
    assert present(page) == {16}
    act("done")
    assert page.case.selected == 15
    assert "1 of 30 done" in data.summary
    assert teeth.states(page.case.teeth_node)[16] == "completed"
    page.case.undo()
    assert page.case.selected == 16 and "0 of 30 done" in data.summary
    page.case.redo()
    data.patient = "patient-7"
    page.annotating.save_case()
    assert page.page.data.asking and "unknown" in page.page.data.question and "36" in page.page.data.question
    page.page.answer(0)
    with zipfile.ZipFile(fetched(page, tmp_path)) as opened:
        assert {"image.nrrd", "labels.seg.nrrd", "case.json"} <= set(opened.namelist())
        assert json.loads(opened.read("case.json"))["patient"] == "patient-7"
        opened.extractall(tmp_path / "out")
    kept = read_labels(tmp_path / "out" / "labels.seg.nrrd").array == 16
    assert (kept & (labels.array == 16)).sum() > 0.7 * kept.sum() > 0
    # Teeth that are not drawn yet are unknown: training must not learn that they are absent.
    about = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))["teeth"]
    assert (about["16"], about["18"], about["36"]) == ("completed", "missing", "not_started")
    unknown = read_teeth(tmp_path / "out" / "labels.seg.nrrd", keep=("unknown",)).array == 255
    assert unknown[labels.array == 36].all() and not unknown[kept].any()
    data.patient = "Smith, Jane"
    page.annotating.save_case()
    assert "looks like a name" in page.page.data.question
    before = page.exporting.data.ready
    page.page.answer(None)
    assert (page.page.data.asking, page.exporting.data.ready) == (False, before)


# Opening, asking, recovery


def test_uploads_open_or_say_what_is_wrong(page, tmp_path):
    scan, _ = ball_case()
    write_scan(tmp_path / "scan.nrrd", scan)

    async def check():
        site = web.Application()
        page.join(site)
        async with TestClient(TestServer(site)) as client:
            good = await client.post("/upload?name=scan.nrrd", data=(tmp_path / "scan.nrrd").read_bytes())
            assert (good.status, page.loading.data.scan) == (200, "scan.nrrd")
            bad = await client.post("/upload?name=notes.nrrd", data=b"just some text")
            assert bad.status == 422
            assert "notes.nrrd" in await bad.text()
            assert (await client.post("/upload?name=..%2F..%2Fevil.exe", data=b"x")).status == 422
            assert page.loading.data.scan == "scan.nrrd"
            assert (await client.get("/download/none/teeth.mrb")).status == 404

    run(check())
    assert page.page.data.kind == "error"
    assert np.array_equal(page.case.scan().array, scan.array)
    assert not list(tmp_path.parent.rglob("evil*"))


@pytest.mark.parametrize("sent", [False, True], ids=["path", "upload"])
def test_of_several_series_the_user_chooses_one(page, tmp_path, sent):
    scan, _ = ball_case()
    darker = replace(scan, array=scan.array - 100)
    write_series(tmp_path / "disc", scan, 1, "Bone")
    write_series(tmp_path / "disc", darker, 2, "Soft")
    if sent:
        packed = shutil.make_archive(str(tmp_path / "disc"), "zip", tmp_path / "disc")
        run(_send(page, packed))
    else:
        run(page.loading.open_path(tmp_path / "disc"))
    shown = {one["title"]: one["uid"] for one in page.loading.data.series}
    assert len(shown) == 2
    (uid,) = (uid for title, uid in shown.items() if "Soft" in title)
    run(page.loading.choose_series(uid))
    assert page.loading.data.series == []
    assert np.array_equal(page.case.scan().array, darker.array)
    # The page finds work on it again without a question.
    page.annotating.start()
    page.annotating.act("missing")
    page.annotating.session.stop()
    page.work.autosave.save()
    page.opened.show(scan, Source("other.nrrd", tmp_path / "other.nrrd"))
    page.work.find_left()
    run(page.recovery.resume())
    assert np.array_equal(page.case.scan().array, darker.array)


async def _send(page, path) -> None:
    site = web.Application()
    page.join(site)
    async with TestClient(TestServer(site)) as client:
        with Path(path).open("rb") as file:
            assert (await client.post("/upload?name=disc.zip", data=file)).status == 200


@pytest.mark.parametrize("name", ["teeth.nii.gz", "teeth.seg.nrrd"])
def test_teeth_of_another_program_are_shown_under_their_fdi_numbers(page, tmp_path, name):
    scan, labels = ball_case()
    page.opened.show(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
    as_universal = np.zeros(256, np.uint8)
    for fdi in BALLS:
        as_universal[fdi] = int(tooth(fdi).universal)
    theirs = labels.with_array(as_universal[labels.array])
    if name.endswith(".seg.nrrd"):
        write_segmentation(tmp_path / name, labels, notation="universal")
        page.opened.load_teeth(tmp_path / name)
    else:
        write_labels(tmp_path / name, theirs)
        page.opened.load_teeth(tmp_path / name, labels_are="universal")
    assert (page.case.labels() == labels.array).all()
    assert teeth.corrected(page.case.teeth_node) == tuple(sorted(BALLS))  # TeethSeg found none of these teeth


def test_teeth_found_before_are_shown_with_their_doubts(page, tmp_path):
    scan, labels = ball_case()
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels)
    page.opened.show(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
    rows = [{"fdi": fdi, "confidence": 0.6, "flags": [UNCERTAIN_NUMBER] if fdi == 26 else []} for fdi in BALLS]
    page.opened.load_teeth(tmp_path / "teeth.seg.nrrd", {"teeth": rows})
    assert (page.case.labels() == labels.array).all()
    page.chart.choose(26)
    assert "number uncertain" in page.chart.data.chosen and "sure to 60 %" in page.chart.data.chosen
    write_scan(tmp_path / "no.seg.nrrd", scan)
    with pytest.raises(InputError) as error:
        page.opened.load_teeth(tmp_path / "no.seg.nrrd")
    assert "\n" not in str(error.value)


def test_the_demo_scan_is_simulated_and_opened(page, monkeypatch):
    """`test_samples.py` starts the process that simulates; here its files exist at once."""
    scan, _ = ball_case()

    def made(folder, python, wait):
        assert wait() and Path(python).exists()
        folder.mkdir(parents=True, exist_ok=True)
        write_scan(folder / "image.nrrd", scan)
        return folder

    monkeypatch.setattr("teethseg.browser.loading.simulated_case", made)
    run(page.loading.open_demo())
    assert page.opened.source.simulated
    assert page.loading.data.scan == "Simulated scan"
    assert np.array_equal(page.case.scan().array, scan.array)


def test_segmenting_again_asks_before_it_replaces_corrections(shown, monkeypatch):
    jobs = []
    monkeypatch.setattr(shown.segmenting.run.control, "launch", lambda job: jobs.append(job) or _refuse())
    shown.relabelling.renumber(16, 17)
    shown.case.rename("universal")
    shown.segmenting.choose("part", "upper")
    shown.segmenting.segment()
    assert shown.page.data.asking and "#3 and #2" in shown.page.data.question
    assert shown.page.data.options == ["Keep my corrections", "Replace them"]
    shown.page.answer(None)
    assert not jobs
    shown.segmenting.choose("part", "lower")  # the lower jaw has no corrections
    shown.segmenting.segment()
    assert len(jobs) == 1
    shown.segmenting.choose("part", "all")


def _refuse():
    raise UsageError("Not now.")


def test_device_and_weights_reach_the_run(shown, monkeypatch):
    jobs = []
    monkeypatch.setattr(shown.segmenting.run.control, "launch", lambda job: jobs.append(job) or _refuse())
    shown.segmenting.choose("device", "cpu")
    choose(shown, "segmenting", weights=" '/somewhere/own.safetensors' ")
    try:
        shown.segmenting.segment()
    finally:
        choose(shown, "segmenting", device="auto", weights="")
    assert (jobs[0].device, str(jobs[0].weights)) == ("cpu", "/somewhere/own.safetensors")
    assert (shown.segmenting.data.running, shown.segmenting.data.message) == (False, "Not now.")
    assert shown.segmenting.data.kind == "error"


def test_the_dentition_reaches_the_run_and_a_finding_can_ask_for_it(shown, monkeypatch):
    jobs = []
    monkeypatch.setattr(shown.segmenting.run.control, "launch", lambda job: jobs.append(job) or _refuse())
    shown.segmenting.segment()
    shown.segmenting.choose("dentition", "mixed")
    shown.segmenting.segment()
    shown.segmenting.choose("dentition", "auto")
    shown.findings.again.emit("mixed")
    assert [job.dentition for job in jobs] == ["auto", "mixed", "mixed"]
    fields = {one["key"]: one for one in shown.segmenting.data.fields}
    assert fields["dentition"]["value"] == "mixed" and len(fields["dentition"]["items"]) == 3
    shown.segmenting.choose("dentition", "auto")


def test_the_computer_is_checked_for_this_scan(shown, monkeypatch):
    from teethseg.worker import computer

    asked = []
    found = [computer.Check("Memory", True, "16 GB"), computer.Check("Weights", False, "Missing.", "Install again.")]
    monkeypatch.setattr(computer, "check_computer", lambda *arguments: asked.append(arguments) or found)
    shown.segmenting.computer.check("own.safetensors")
    assert asked[0][0].array.shape == shown.case.scan().array.shape and asked[0][1] == Path("own.safetensors")
    assert [one["ok"] for one in shown.segmenting.data.checks] == [True, False]
    assert shown.segmenting.data.checks[1]["text"] == "Missing. Install again."
    assert "NOT OK  Weights" in shown.segmenting.computer.report()


def test_a_tilde_that_names_no_user_is_part_of_the_path(shown):
    with pytest.raises(InputError, match=r"~nobody-here/scan\.nrrd does not exist"):
        run(shown.loading.open_path("~nobody-here/scan.nrrd"))


def test_a_scan_whose_axes_are_rounded_opens_as_for_the_command_line(shown, tmp_path):
    """What the checks of files let pass must not fail once the scan before it is closed."""
    scan, _ = ball_case()
    columns = np.array([[1, 0.008, 0], [0, 1, 0], [0, 0, 1]])
    write_scan(tmp_path / "rounded.nrrd", Volume(scan.array, scan.spacing, scan.origin, columns))
    run(shown.loading.open_path(tmp_path / "rounded.nrrd"))
    assert (shown.loading.data.scan, shown.loading.data.facts) == ("rounded.nrrd", "104 x 88 x 60 voxels of 0.5 mm")
    assert np.allclose(shown.case.scan().affine[:3, :3], 0.5 * columns, atol=1e-4)


def test_opening_another_scan_puts_the_work_by_and_offers_it(shown, tmp_path):
    scan, _ = ball_case()
    write_scan(shown.opened.source.path, scan)
    darker = scan.with_array(scan.array - 1)
    write_scan(tmp_path / "other.nrrd", darker)
    shown.case.select(41)
    shown.relabelling.renumber(41, 42)
    labels = shown.case.labels()
    choose(shown, "exporting", note="5 surfaces of balls")
    choose(shown, "annotating", patient="patient-7")
    run(shown.loading.open_path(tmp_path / "other.nrrd"))
    assert shown.case.teeth_node is None
    assert (shown.exporting.data.note, shown.annotating.data.patient) == ("", "")
    assert "balls.nrrd" in shown.recovery.data.offered
    run(shown.recovery.resume())
    assert shown.loading.data.scan == "balls.nrrd"
    assert (shown.case.labels() == labels).all()
    assert shown.opened.source.path.exists()


def test_work_on_the_scan_that_is_open_is_offered_whatever_it_is_called(shown, tmp_path):
    shown.relabelling.renumber(41, 42)
    labels = shown.case.labels()
    scan, _ = ball_case()
    shown.opened.show(scan, Source("copy.nrrd", tmp_path / "copy.nrrd"))
    assert [one["text"].partition(": ")[2] for one in shown.recovery.data.works][:1] == ["5 teeth"]
    shown.recovery.take(shown.work.autosave.offers[0])
    assert (shown.case.labels() == labels).all()
    shown.work.autosave.later()


def test_what_was_sent_goes_with_the_work_on_it_and_nothing_else_stays(page, tmp_path):
    scan, _ = ball_case()

    async def check():
        site = web.Application()
        page.join(site)
        async with TestClient(TestServer(site)) as client:

            async def send(name: str, darker: int, lost: int = 0) -> int:
                write_scan(tmp_path / name, scan.with_array(scan.array - darker))
                content = (tmp_path / name).read_bytes()
                return (await client.post(f"/upload?name={name}", data=content[: len(content) - lost])).status

            def lying() -> list[str]:
                return sorted(path.name for path in page.work.root.rglob("*.nrrd") if path.is_file())

            assert await send("one.nrrd", 1) == 200
            assert await send("bad.nrrd", 2, lost=50) == 422
            assert "bad.nrrd" not in lying()
            assert await send("two.nrrd", 3) == 200
            assert "one.nrrd" not in lying() and "two.nrrd" in lying()
            page.annotating.start()  # work on the second scan, which stays when a third one opens
            page.annotating.act("missing")
            assert await send("three.nrrd", 4) == 200
            assert {"two.nrrd", "three.nrrd"} <= set(lying())
            assert "two.nrrd" in page.recovery.data.offered
            await page.recovery.resume()
            assert page.opened.source.name == "two.nrrd" and page.case.missing() == {18}
            assert "three.nrrd" not in lying()
            assert await send("four.nrrd", 5) == 200
            page.work.discard_left()
            assert "two.nrrd" not in lying() and "four.nrrd" in lying()
            assert page.opened.source.path.exists()

    run(check())


def test_the_scan_of_discarded_work_stays_for_other_work_on_it(page, tmp_path):
    scan, _ = ball_case()
    sent = page.work.new_scan_folder() / "nine.nrrd"
    write_scan(sent, scan.with_array(scan.array - 9))
    page.opened.show(scan.with_array(scan.array - 9), Source("nine.nrrd", sent))
    page.annotating.start()
    page.annotating.act("missing")
    page.annotating.session.stop()
    page.work.autosave.save()
    first = page.opened.source.path
    page.case.show(page.case.volume_node, None)
    page.annotating.start()  # other work on the same scan
    page.annotating.act("missing")
    page.annotating.act("missing")
    page.work.autosave.save()
    assert page.opened.source.path != first and page.opened.source.path.exists()
    page.work.autosave.find_offers()
    page.work.autosave.discard(page.work.autosave.offers[0])
    assert not first.exists() and page.opened.source.path.exists()


def test_work_that_an_older_page_kept_is_gone_on_with(page, tmp_path):
    """Version 1 saved the teeth on the whole grid, always a worklist, and only the path to identify the scan."""
    scan, labels = ball_case()
    write_scan(tmp_path / "old.nrrd", scan)
    folder = page.work.root / "20260101-000000-1-00000000"
    folder.mkdir()
    write_segmentation(folder / "teeth.seg.nrrd", labels)
    listed = List()
    listed.set_state(16, "completed")
    row = {"fdi": 16, "confidence": 0.5, "flags": [UNCERTAIN_NUMBER]}
    old = {"name": "old.nrrd", "path": str(tmp_path / "old.nrrd"), "simulated": False, "series": None}
    old |= {"report": {"teeth": [row], "device": "cpu"}, "worklist": listed.to_json()}
    (folder / CASE).write_text(json.dumps(old), encoding="utf-8")
    page.work.find_left()
    assert "old.nrrd" in page.recovery.data.offered and "5 teeth" in page.recovery.data.offered
    run(page.recovery.resume())
    assert (page.case.labels() == labels.array).all()
    assert page.case.report["device"] == "cpu"
    page.annotating.start()
    assert "1 of 32 done" in page.annotating.data.summary
    page.annotating.session.stop()


# Languages


def test_every_text_of_the_page_is_translated(tmp_path):
    """A test language puts every text into brackets: a text without them cannot be translated."""
    i18n.use(lambda context, text: f"⟦{text}⟧")
    try:
        app = App("test_browser_language", state_folder=tmp_path, compute=at_once)
        app.server.state.ready()
        scan, labels = ball_case()
        app.opened.show(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
        found = [FoundTooth(fdi, 0.5, 300.0, BALLS[fdi][:3], flags=(UNCERTAIN_NUMBER,)) for fdi in BALLS]
        app.case.take_result(Dentition(labels, tuple(found)), app.case.volume_node, None, NUMBERS, (), "fdi", True)
        chart, correcting, segmenting = app.chart.data, app.correcting.data, app.segmenting.data
        answers = [one for card in chart.cards for one in card["answers"]]
        rows = [*answers, *correcting.tools, *segmenting.fields, *app.exporting.data.fields]
        seen = [one["label"] for one in rows] + [item["title"] for one in rows for item in one.get("items", ())]
        seen += [one["tip"] for row in chart.rows for one in row] + [one["text"] for one in chart.entries]
        seen += [
            *(card["text"] for card in chart.cards),
            chart.chosen,
            chart.count,
            correcting.undo,
            app.loading.data.facts,
        ]
        seen += [*app.views.data.titles.values(), *Texts(app.page.layout.html).found]
        app.close()
    finally:
        i18n.use(None)
    english = {text for text in seen if re.search(r"[a-zA-Z]{2}", text) and not re.search("⟦.*⟧", text, re.DOTALL)}
    assert english <= {"TeethSeg", "mm", "FDI", "Universal", "Palmer"}


def test_a_file_of_translations_speaks_on_the_page(tmp_path):
    (tmp_path / "TeethSeg_de.ts").write_text(
        """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE TS><TS version="2.1" language="de_DE"><context>
        <name>application.texts</name><message><source>Undo: {name}</source><translation>Zurück: {name}</translation>
        </message><message><source>Undo</source><translation type="unfinished"/></message></context></TS>""",
        encoding="utf-8",
    )
    translate = i18n.read_translation(tmp_path / "TeethSeg_de.ts")
    assert translate("application.texts", "Undo: {name}") == "Zurück: {name}"
    assert translate("application.texts", "Undo") == "Undo"
    assert translate("browser.layout", "Undo: {name}") == "Undo: {name}"
    (tmp_path / "no.ts").write_text("no translation", encoding="utf-8")
    with pytest.raises(InputError, match=r"no\.ts cannot be read"):
        i18n.read_translation(tmp_path / "no.ts")


class Texts(HTMLParser):
    """Literal texts of a template: titles, labels and text between tags without expressions; no pictures."""

    def __init__(self, template: str):
        super().__init__()
        self.found: list[str] = []
        self._tag = ""
        self.feed(template)

    def handle_starttag(self, tag, attributes):
        self._tag = tag.lower()
        named = {"title", "label", "placeholder", "aria-label", "text"}
        self.found += [value for name, value in attributes if name in named and value]

    def handle_data(self, data):
        text = re.sub(r"{{.*?}}", "", data, flags=re.DOTALL).strip()
        if text and "icon" not in self._tag:
            self.found.append(text)
