"""The page without a browser: the real server object, real MRML, frames drawn off-screen and looked at."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from browser_cases import BALLS, ball_case, like
from dicom_series import write_series
from grids import rotation

pytest.importorskip("trame_slicer", reason="trame-slicer is not installed: pip install 'teethseg[browser]'")

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from trame_slicer.segmentation import SegmentationEffectDraw, SegmentationEffectScissors, SegmentationEffectThreshold
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkIOGeometry import vtkSTLReader
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

from teethseg.anatomy import tooth
from teethseg.application.kept_work import CASE, OWNER, TEETH
from teethseg.application.source import Source
from teethseg.browser.app import App
from teethseg.browser.auth import CONSENT, HEADERS, Access, add_headers, check_host
from teethseg.browser.level_of_detail import _reduced
from teethseg.browser.picking import voxel_at
from teethseg.browser.recovery import Recovery
from teethseg.browser.server import check_port
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.cli.app import run as command_line
from teethseg.correction.edit import Edit, tooth_box
from teethseg.errors import InputError, UsageError
from teethseg.io.files import read_labels, read_teeth, write_labels, write_scan, write_segmentation
from teethseg.mrml import teeth
from teethseg.resampling import labels_on_grid
from teethseg.surfaces.mesh import dentition_surfaces
from teethseg.surfaces.triangles import arrays
from teethseg.volume import Volume

SIDE = 300  # pixels of a frame


def run(coroutine):
    return asyncio.get_event_loop().run_until_complete(coroutine)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The app; there is one to a process, as for users."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
    app = App("test_browser", state_folder=tmp_path_factory.mktemp("state"))
    app.server.state.ready()
    yield app
    app.close()


def show(page, direction=None):
    """Open the ball case with its teeth, 16 doubtful."""
    scan, labels = ball_case(direction)
    page.case.open(scan, Source("balls.nrrd", page.recovery.folder / "balls.nrrd"))
    found = [
        FoundTooth(fdi, 0.99, 300.0, place[:3], second_fdi=17, flags=(UNCERTAIN_NUMBER,) if fdi == 16 else ())
        for fdi, place in BALLS.items()
    ]
    page.case.put_teeth(Dentition(labels, tuple(found)), "fdi", {"seconds": {}, "device": "cpu"})
    page.server.state.flush()
    return scan, labels


@pytest.fixture
def shown(page):
    page.chart.data.notation = "fdi"
    show(page)
    return page


def frame(view) -> np.ndarray:
    """What a view shows, RGB (rows from below, columns, 3)."""
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
    return {one["fdi"] for row in page.chart.data.rows for one in row if one and one["present"]}


# Access


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
            # Whoever reads it in a list of processes comes too late.
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

        def close(self):
            pass

    with pytest.raises(KeyboardInterrupt):
        server.serve(Page(), "127.0.0.1", 0, True, said.append)
    token = said[0].partition("token=")[2]
    assert token and token not in started[0] and "once=" in started[0]


# Views


def test_teeth_are_drawn_in_their_colours_in_slices_and_in_3d(shown):
    three, (axial, coronal, sagittal) = shown.views.threes[0], shown.views.slices
    shown.views.reset()
    shown.views.go_to((-18, -14, 6))  # RAS: tooth 26
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
    shown.views.reset()
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
    # Surfaces that have changed meanwhile are reduced anew.
    shown.chart.select(36)
    run(shown.correcting.use(_halved, 36))
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
        view.set_scheduled_render(view._scheduled_render)
    for view in shown.views.slices:
        drawn.clear()
        view.set_slice_value(view.get_slice_value() + 1.0)
        assert drawn == {view}


def test_reduced_surfaces_have_no_holes_where_their_sides_fall_together():
    z, y, x = np.mgrid[:60, :60, :60]
    plate = (abs(z - 20 - 0.3 * x - 0.2 * y) < 1.5) & (abs(x - 30) < 25) & (abs(y - 30) < 25)
    fine = dentition_surfaces(Volume((16 * plate).astype(np.uint8), (0.2,) * 3))[16]
    vertices, faces = arrays(_reduced(fine))
    assert 0 < len(faces) < 0.2 * fine.GetNumberOfPolys()
    edges = np.zeros((len(vertices), len(vertices)), int)
    np.add.at(edges, (faces, np.roll(faces, -1, axis=1)), 1)
    assert (edges == edges.T).all()


def test_grey_windows_change_what_is_white(shown):
    axial = shown.views.slices[0]
    shown.views.go_to((0, 0, 0))  # between the teeth: noise alone
    means = {}
    for name in ("Soft tissue", "Teeth"):
        shown.views._show_window(name)
        means[name] = frame(axial)[100:200, 100:200].mean()
    assert means["Soft tissue"] > means["Teeth"] + 30


def test_padding_is_shown_as_nothing_in_slices(page):
    scan, _ = ball_case()
    _, y, x = np.ogrid[: scan.array.shape[0], : scan.array.shape[1], : scan.array.shape[2]]
    middle, radius = (np.array(scan.array.shape[1:]) - 1) / 2, min(scan.array.shape[1:]) * 0.45
    inside = np.hypot(y - middle[0], x - middle[1]) < radius
    padded = scan.with_array(np.where(inside, scan.array.astype(np.int32), 65535))
    page.case.open(padded, Source("padded.nrrd", page.recovery.folder / "padded.nrrd"))
    page.server.state.flush()
    page.views.go_to((0, 0, 0))
    page.views._show_window("Whole range")
    assert (frame(page.views.slices[0]).min(axis=-1) > 250).mean() < 0.01
    page.case.open(scan, Source("balls.nrrd", page.recovery.folder / "balls.nrrd"))
    assert not page.case.volume_node.GetDisplayNode().GetApplyThreshold()


def test_volume_rendering_is_off_until_asked_for(shown):
    rendering, node = shown.slicer.volume_rendering, shown.case.volume_node
    assert not rendering.has_vr_display_node(node)
    shown.views._show_rendering(True)
    assert rendering.get_vr_display_node(node).GetVisibility()
    shown.views._show_rendering(False)
    assert not rendering.get_vr_display_node(node).GetVisibility()


@pytest.mark.parametrize("direction", [None, rotation()], ids=["straight", "oblique"])
def test_a_click_selects_the_tooth_under_it(page, direction):
    show(page, direction)
    for view, fdi in ((page.views.slices[0], 16), (page.views.slices[1], 26), (page.views.threes[0], 36)):
        page.chart.data.selected = 0
        x, y, z = BALLS[fdi][:3]
        page.views.reset()
        page.views.go_to((-x, -y, z))
        at = np.argwhere(like(frame(view), fdi)).mean(axis=0).round().astype(int)[::-1].tolist()
        interactor = view.interactor()
        for event in ("LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            interactor.SetEventInformation(*at, 0, 0, "\0", 0, None)
            interactor.InvokeEvent(event)
        assert page.chart.selected == fdi


def test_voxels_are_found_where_the_patient_has_them():
    scan, labels = ball_case(rotation())
    for fdi, (x, y, z, _) in BALLS.items():
        assert labels.array[voxel_at(scan, (-x, -y, z))] == fdi
    assert voxel_at(scan, (500, 0, 0)) is None


# The chart


def test_the_chart_shows_teeth_doubts_and_numbers(shown):
    upper, lower = shown.chart.data.rows
    assert [one and one["fdi"] for one in upper[6:11]] == [12, 11, None, 21, 22]
    assert [one and one["fdi"] for one in lower[6:11]] == [42, 41, None, 31, 32]
    assert present(shown) == set(BALLS)
    assert [one["fdi"] for row in (upper, lower) for one in row if one and one["doubt"]] == [16]
    shown.chart.next_doubt()
    assert (shown.chart.selected, shown.chart.data.second, shown.chart.data.name) == (16, 17, "Upper right first molar")


def test_notations_rename_the_chart_and_the_segments(shown):
    shown.chart.data.notation = "universal"
    shown.chart._on_notation("universal")
    names = shown.slicer.segmentation_editor.get_segment_names()
    assert "Tooth #3" in names
    assert [one["number"] for row in shown.chart.data.rows for one in row if one and one["fdi"] == 16] == ["3"]


def test_selecting_a_tooth_centres_the_slices_on_it(shown):
    shown.chart.select(26)
    assert np.allclose(shown.views.place(), (-18, -14, 6), atol=1.0)


def test_a_hidden_tooth_is_not_drawn(shown):
    shown.chart.select(36)
    three = shown.views.threes[0]
    before = like(frame(three), 36).sum()
    shown.chart.toggle_visible()
    assert before > 200
    assert like(frame(three), 36).sum() < before / 10
    shown.chart.toggle_visible()
    assert like(frame(three), 36).sum() > before / 2


def test_renumbering_exchanges_numbers_and_can_be_undone(shown):
    _, labels = ball_case()
    shown.chart.select(16)
    shown.chart.renumber(26)
    now = shown.case.labels()
    assert shown.chart.selected == 26
    assert ((now == 26) == (labels.array == 16)).all()
    assert ((now == 16) == (labels.array == 26)).all()
    assert shown.correcting.data.can_undo
    shown.correcting.undo()
    assert (shown.case.labels() == labels.array).all()
    assert not shown.correcting.data.can_undo
    shown.correcting.redo()
    assert (shown.case.labels() == now).all()


# Correcting


def stroke(page, lps: tuple[float, float, float], radius: float) -> None:
    """What the brush does at the end of a drag: a ball of voxels around a place, then quiet."""
    ball = vtkSphereSource()
    ball.SetRadius(radius)
    ball.SetThetaResolution(24)
    ball.SetPhiResolution(24)
    ball.Update()
    points = vtkPoints()
    points.InsertNextPoint(-lps[0], -lps[1], lps[2])
    page.slicer.segmentation_editor.active_segment_modifier.apply_glyph(ball.GetOutput(), points)


def brush(page, fdi: int, key: str, bright_only: bool = False) -> None:
    page.correcting.data.brush = ""
    page.chart.select(fdi)
    page.correcting.data.bright_only = bright_only
    run(page.correcting.choose(key))
    page.correcting._on_brush(key)


def test_paint_adds_to_the_selected_tooth_alone_and_is_undone(shown):
    before = shown.case.labels()
    brush(shown, 26, "paint")
    # Between 26 (z 6) and 36 (z -6): the stroke reaches into both.
    stroke(shown, (18, 14, 0), 4.0)
    after = shown.case.labels()
    assert ((after == 26) & (before == 0)).sum() > 500
    assert (after[before > 0] == before[before > 0]).all()
    assert not shown.slicer.segmentation_editor.undo_stack
    shown.correcting.undo()
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
    """An outline around the right half of the picture in the axial slice through 26, so beyond the middle of the ball."""
    before = shown.case.labels()
    view = shown.views.slices[0]
    shown.views.reset()
    shown.chart.select(26)
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
    shown.correcting.undo()
    assert (shown.case.labels() == before).all()


def test_bright_only_paints_no_background(shown):
    before = shown.case.labels()
    image = shown.case.volume.array
    shown.chart.select(11)
    run(shown.correcting.use(_halved, 11))
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
    low, high = shown.correcting.data.range
    assert 200 < low < 1300  # background has 0, teeth have 1500
    assert high == shown.correcting.data.brightest
    effect = shown.slicer.segmentation_editor.get_effect(SegmentationEffectThreshold)
    assert effect.is_active
    assert tuple(effect.get_threshold_min_max_values()) == (low, high)
    run(shown.correcting.keep())
    assert (shown.case.labels() == before).all()
    shown.correcting.undo()
    assert (shown.case.labels() == painted).all()
    shown.correcting.data.brush = ""
    shown.correcting._on_brush("")


def _halved(labels, fdi):
    """The tooth without what lies to the right of its middle."""
    box = tooth_box(labels, fdi)
    content = labels[box].copy()
    half = content[:, :, : content.shape[2] // 2]
    half[half == fdi] = 0
    return Edit(box, content)


def test_tools_say_why_they_cannot(shown):
    told = []
    shown.tell = lambda text, error=True: told.append(text)
    try:
        run(shown.told(shown.correcting._cut)(26))  # no tooth is selected
        shown.chart.select(16)
        run(shown.told(shown.correcting._cut)(26))
    finally:
        del shown.tell
    assert any("do not touch" in text for text in told)
    assert all("\n" not in text for text in told)


def click(page, *lps: tuple[float, float, float]) -> None:
    """Clicks of a user at places in the patient, as `picking.on_click` tells them."""
    for x, y, z in lps:
        run(page.pointing._on_click((-x, -y, z)))


def test_a_tooth_is_split_where_it_is_clicked(shown):
    _, labels = ball_case()
    shown.chart.select(16)
    run(shown.correcting._merge(26))  # one label for two balls
    shown.pointing.start("split", 27)
    assert shown.correcting.wants_clicks
    click(shown, BALLS[16][:3], BALLS[26][:3])
    now = shown.case.labels()
    assert ((now == 16) == (labels.array == 16)).all()
    assert ((now == 27) == (labels.array == 26)).all()
    assert shown.chart.selected == 27
    assert not shown.correcting.wants_clicks


def test_a_removed_tooth_grows_again_from_a_click(shown):
    _, labels = ball_case()
    shown.chart.select(36)
    run(shown.correcting._remove())
    shown.pointing.start("grow", 36)
    click(shown, BALLS[36][:3])
    assert (shown.pointing.data.count, shown.pointing.data.ready) == (1, True)
    run(shown.pointing.finish())
    grown, expected = shown.case.labels() == 36, labels.array == 36
    assert 2 * (grown & expected).sum() / (grown.sum() + expected.sum()) > 0.8
    assert (shown.case.labels()[labels.array == 26] == 26).all()


def test_stopping_a_tool_changes_nothing(shown):
    before = shown.case.labels()
    shown.chart.select(16)
    shown.pointing.start("split", 17)
    click(shown, BALLS[16][:3])
    shown.pointing.stop()
    assert not shown.correcting.wants_clicks
    assert (shown.case.labels() == before).all()
    assert shown.slicer.scene.GetFirstNodeByName("Clicks") is None


def test_removing_a_tooth_takes_its_segment_and_selection(shown):
    shown.chart.select(41)
    run(shown.correcting._remove())
    assert 41 not in present(shown)
    assert shown.chart.selected is None


# Export


def made(page, make, name, tmp_path):
    labels = page.case.volume.with_array(page.case.labels())
    make(labels, tmp_path / name)
    return tmp_path / name


def test_surfaces_lie_where_the_teeth_lie(shown, tmp_path):
    packed = made(shown, shown.exporting.surfaces, "surfaces.zip", tmp_path)
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


def test_surfaces_are_made_as_chosen_and_what_was_checked_is_told(shown, tmp_path):
    shown.exporting.data.gap, shown.exporting.data.inside = 0.1, "hollow"
    told = shown.exporting.surfaces(shown.case.volume.with_array(shown.case.labels()), tmp_path / "surfaces.zip")
    assert told.startswith(f"{len(BALLS)} of {len(BALLS)} surfaces closed, manifold and free of crossings")
    with zipfile.ZipFile(tmp_path / "surfaces.zip") as opened:
        manifest = json.loads(opened.read("manifest.json"))
        table = opened.read("teeth.csv").decode("utf-8-sig").splitlines()
    assert len(table) == 1 + len(BALLS) and "inclination_deg" in table[0]
    assert manifest["gap_mm"] == 0.1 and manifest["hollow_pulp"] is True


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_dicom_seg_of_a_dicom_scan_refers_to_its_images(page, tmp_path, packed):
    scan, labels = ball_case()
    files = write_series(tmp_path / "disc", scan)
    place = tmp_path / "disc"
    if packed:
        place = Path(shutil.make_archive(str(tmp_path / "disc"), "zip", place))
    run(page.loading.open_path(place))
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels)
    page.case.load_teeth(tmp_path / "teeth.seg.nrrd")
    note = page.exporting.dicom_seg(page.case.volume.with_array(page.case.labels()), tmp_path / "teeth.dcm")
    assert note == f"It refers to the {len(files)} DICOM images of the scan."
    dataset = pydicom.dcmread(tmp_path / "teeth.dcm")
    named = {one.ReferencedSOPInstanceUID for one in dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {pydicom.dcmread(path).SOPInstanceUID for path in files}
    assert np.array_equal(labels_on_grid(read_teeth(tmp_path / "teeth.dcm"), labels).array, labels.array)
    page.case.load_teeth(tmp_path / "teeth.dcm")
    assert (page.case.labels() == labels.array).all()


def test_segmentation_and_report_tell_the_teeth_as_they_are_now(shown, tmp_path):
    shown.chart.select(41)
    shown.chart.renumber(42)
    written = read_labels(made(shown, shown.exporting.segmentation, "teeth.seg.nrrd", tmp_path))
    assert (written.array == shown.case.labels()).all()
    report = json.loads(made(shown, shown.exporting.report, "report.json", tmp_path).read_text(encoding="utf-8"))
    rows = {row["fdi"]: row for row in report["teeth"]}
    assert set(rows) == {16, 11, 26, 36, 42}
    assert (rows[42]["confidence"], "corrected" in rows[42]["flags"]) == (None, True)
    assert (rows[16]["confidence"], rows[16]["flags"]) == (0.99, [UNCERTAIN_NUMBER])
    assert np.allclose(rows[16]["centroid_lps_mm"], BALLS[16][:3], atol=0.3)
    assert report["device"] == "cpu"


def test_a_scene_holds_scan_and_teeth(shown, tmp_path):
    with zipfile.ZipFile(made(shown, shown.exporting.scene, "teeth.mrb", tmp_path)) as opened:
        names = opened.namelist()
    files = {name.rpartition("/")[2] for name in names}
    assert {"balls.nrrd", "balls teeth.seg.nrrd"} <= files
    assert len([name for name in files if name.endswith(".mrml")]) == 1


def test_annotating_by_hand_goes_from_tooth_to_tooth_and_ends_in_a_training_case(page, tmp_path):
    scan, labels = ball_case()
    page.case.open(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
    page.worklist.begin()
    assert page.worklist.current == 18
    for _ in range(2):
        page.worklist.missing()
    assert page.worklist.current == 16
    assert page.correcting.wants_clicks  # the tooth is not there, so clicks grow it
    click(page, BALLS[16][:3])
    run(page.pointing.finish())
    assert present(page) == {16}
    page.worklist.leave("completed")
    assert page.worklist.current == 15
    assert "1 done" in page.worklist.data.counts
    assert teeth.states(page.case.teeth_node)[16] == "completed"
    page.exporting.data.patient = "patient-7"
    with zipfile.ZipFile(made(page, page.exporting.case, "case.zip", tmp_path)) as opened:
        assert {"image.nrrd", "labels.seg.nrrd", "case.json"} <= set(opened.namelist())
        assert json.loads(opened.read("case.json"))["patient"] == "patient-7"
        opened.extractall(tmp_path / "out")
    kept = read_labels(tmp_path / "out" / "labels.seg.nrrd").array == 16
    assert (kept & (labels.array == 16)).sum() > 0.7 * kept.sum() > 0
    # Teeth that nobody has drawn yet teach nothing, least of all that there is none.
    about = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))["teeth"]
    assert (about["16"], about["18"], about["15"], about["36"]) == (
        "completed",
        "missing",
        "in_progress",
        "not_started",
    )
    unknown = read_teeth(tmp_path / "out" / "labels.seg.nrrd", keep=("unknown",)).array == 255
    assert unknown[labels.array == 36].all() and not unknown[kept].any()
    page.exporting.data.patient = "Smith, Jane"
    told = page.exporting.case(page.case.volume.with_array(page.case.labels()), tmp_path / "again.zip")
    assert told.startswith("Not completed, so unknown in the case") and "36" in told and "looks like a name" in told


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
    assert page.page.data.message_is_error
    assert np.array_equal(page.case.volume.array, scan.array)
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
    run(page.loading._on_series(uid))
    assert page.loading.data.series == []
    assert np.array_equal(page.case.volume.array, darker.array)
    # Work on it is found again without asking.
    page.worklist.begin()
    page.recovery.leave()
    run(page.recovery.resume())
    assert np.array_equal(page.case.volume.array, darker.array)


async def _send(page, path) -> None:
    site = web.Application()
    page.join(site)
    async with TestClient(TestServer(site)) as client:
        with Path(path).open("rb") as file:
            assert (await client.post("/upload?name=disc.zip", data=file)).status == 200


@pytest.mark.parametrize("name", ["teeth.nii.gz", "teeth.seg.nrrd"])
def test_teeth_of_another_program_are_shown_under_their_fdi_numbers(page, tmp_path, name):
    scan, labels = ball_case()
    page.case.open(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
    as_universal = np.zeros(256, np.uint8)
    for fdi in BALLS:
        as_universal[fdi] = int(tooth(fdi).universal)
    theirs = labels.with_array(as_universal[labels.array])
    if name.endswith(".seg.nrrd"):
        write_segmentation(tmp_path / name, labels, notation="universal")
        page.case.load_teeth(tmp_path / name)
    else:
        write_labels(tmp_path / name, theirs)
        page.case.load_teeth(tmp_path / name, labels_are="universal")
    assert (page.case.labels() == labels.array).all()
    assert teeth.corrected(page.case.teeth_node) == tuple(sorted(BALLS))  # nothing of it is TeethSeg's work


def test_teeth_found_before_are_shown_with_their_doubts(page, tmp_path):
    scan, labels = ball_case()
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels)
    page.case.open(scan, Source("balls.nrrd", tmp_path / "balls.nrrd"))
    rows = [{"fdi": fdi, "confidence": 0.6, "flags": [UNCERTAIN_NUMBER] if fdi == 26 else []} for fdi in BALLS]
    page.case.load_teeth(tmp_path / "teeth.seg.nrrd", {"teeth": rows})
    assert (page.case.labels() == labels.array).all()
    page.chart.next_doubt()
    assert (page.chart.selected, page.chart.data.confidence) == (26, "Confidence in the number: 60 %")
    write_scan(tmp_path / "no.seg.nrrd", scan)
    with pytest.raises(InputError) as error:
        page.case.load_teeth(tmp_path / "no.seg.nrrd")
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_demo_scan_is_simulated_and_opened(page):
    run(page.loading.open_demo())
    assert page.case.source.simulated
    assert page.loading.data.scan == "Simulated scan"
    assert min(page.case.volume.array.shape) > 100


def test_segmenting_again_asks_before_it_replaces_corrections(shown):
    shown.chart.select(16)
    shown.chart.renumber(17)
    shown.chart.data.notation = "universal"
    run(shown.segmenting.segment())
    assert shown.segmenting.data.asking
    assert shown.segmenting.data.corrected == "3, 2"
    assert not shown.segmenting.data.running


def test_device_and_weights_reach_the_run(shown, monkeypatch):
    jobs = []

    def refuse(job):
        jobs.append(job)
        raise UsageError("Not now.")

    monkeypatch.setattr("teethseg.browser.segmentation.Run", refuse)
    shown.segmenting.data.device, shown.segmenting.data.weights = "cpu", " '/somewhere/own.safetensors' "
    try:
        with pytest.raises(UsageError, match="Not now"):
            run(shown.segmenting.segment(replace=True))
    finally:
        shown.segmenting.data.device, shown.segmenting.data.weights = "auto", ""
    assert (jobs[0].device, str(jobs[0].weights)) == ("cpu", "/somewhere/own.safetensors")
    assert not shown.segmenting.data.running


def test_opening_another_scan_puts_the_work_by_and_offers_it(shown, tmp_path):
    scan, _ = ball_case()
    write_scan(shown.case.source.path, scan)
    write_scan(tmp_path / "other.nrrd", scan)
    shown.chart.select(41)
    shown.chart.renumber(42)
    labels = shown.case.labels()
    shown.exporting.data.note, shown.exporting.data.patient = "5 surfaces of balls", "patient-7"
    run(shown.loading.open_path(tmp_path / "other.nrrd"))
    assert shown.case.teeth_node is None
    assert (shown.exporting.data.note, shown.exporting.data.patient) == ("", "")
    assert "balls.nrrd" in shown.recovery.data.offered
    run(shown.recovery.resume())
    assert shown.loading.data.scan == "balls.nrrd"
    assert (shown.case.labels() == labels).all()


def test_what_was_sent_goes_with_its_session_and_nothing_else_stays(page, tmp_path):
    scan, _ = ball_case()
    write_scan(tmp_path / "scan.nrrd", scan)

    async def check():
        site = web.Application()
        page.join(site)
        sent = (tmp_path / "scan.nrrd").read_bytes()
        async with TestClient(TestServer(site)) as client:

            async def send(name: str, content: bytes) -> int:
                return (await client.post(f"/upload?name={name}", data=content)).status

            def lying() -> list[str]:
                return sorted(path.name for path in page.recovery.root.rglob("*.nrrd") if path.is_file())

            for path in lying():  # of other tests
                assert path == "teeth.seg.nrrd" or "balls" in path or path in ("image.nrrd", "scan.nrrd")
            before = lying().count("one.nrrd") + lying().count("two.nrrd")
            assert before == 0
            assert await send("one.nrrd", sent) == 200
            assert await send("bad.nrrd", sent[:-50]) == 422
            assert "bad.nrrd" not in lying()
            assert await send("two.nrrd", sent) == 200
            assert "one.nrrd" not in lying() and "two.nrrd" in lying()
            page.worklist.begin()  # work on the second, which is kept when a third comes
            page.recovery.save()
            assert await send("three.nrrd", sent) == 200
            assert {"two.nrrd", "three.nrrd"} <= set(lying())
            assert "two.nrrd" in page.recovery.data.offered
            page.recovery.discard()
            assert "two.nrrd" not in lying() and "three.nrrd" in lying()
            assert page.case.source.path.exists()

    run(check())


def test_kept_work_that_cannot_be_read_is_told_and_the_rest_offered(shown, tmp_path):
    shown.recovery.save()
    for name in ("good", "bad"):
        shutil.copytree(shown.recovery.folder, tmp_path / name)
        (tmp_path / name / OWNER).write_text("[]", encoding="utf-8")
    (tmp_path / "bad" / CASE).write_text("[]", encoding="utf-8")
    again = Recovery(shown, tmp_path)
    assert "balls.nrrd" in again.data.offered
    assert str(tmp_path / "unreadable" / "bad") in again.data.unreadable
    assert (tmp_path / "unreadable" / "bad" / TEETH).exists()
