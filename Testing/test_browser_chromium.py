"""The page in Chromium, as a user has it: a real server process, the real cascade on a small simulated scan."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vtkmodules.vtkIOGeometry import vtkSTLReader

from browser_cases import BALLS, ball_case, like
from dicom_series import write_series
from teethseg.application.uploads import LARGEST_FILE
from teethseg.io.files import read_labels, write_scan, write_segmentation

pytest.importorskip("trame_slicer", reason="trame-slicer is not installed: pip install 'teethseg[browser]'")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")

REPOSITORY = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LONG, SHORT = 300_000, 60_000  # milliseconds, on a busy computer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium"),
]


class Server:
    """`teethseg serve` in a process of its own; `address` is the line that it prints."""

    def __init__(self, state: Path, *arguments: str | Path):
        self.environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "TeethSeg"), "TEETHSEG_STATE": str(state)}
        command = "from teethseg.cli import main; main()"
        self.command = [sys.executable, "-c", command, "serve", *map(str, arguments), "--no-open"]
        self.process = subprocess.Popen(
            self.command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=self.environment
        )
        self.errors: list[str] = []
        for line in self.process.stderr:
            self.errors.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line):
                self.address = found[0]
                break
        else:
            pytest.fail("The server ended: " + "".join(self.errors))
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()

    def stop(self) -> int:
        """As Ctrl-C does; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(2)
        return self.process.wait(30)


class Tab:
    """A page of the browser; controls are found by their test ids."""

    def __init__(self, context, address: str):
        self.page = context.new_page()
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.axial = "Axial"  # the view that tests search for teeth; empty while it is expanded
        self.page.on("request", lambda request: self._on_request(request.url))
        self.page.on("websocket", lambda socket: self._on_request(socket.url.replace("ws:", "http:", 1)))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self._on_console(message.text))
        self.page.goto(address)

    def _on_console(self, text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text:
            self.errors.append(text)

    def _on_request(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.outside.append(url)

    def __getitem__(self, name: str):
        return self.page.get_by_test_id(name)

    def shown(self, name: str, timeout: int = SHORT) -> str:
        self[name].first.wait_for(timeout=timeout)
        return self[name].first.inner_text()

    def chosen(self) -> str:
        """Number of the chosen tooth."""
        return self.shown("chosen").split()[0]

    def there(self, fdi: int) -> bool:
        """Whether the chart shows a tooth."""
        return "ts-missing" not in self[f"tooth-{fdi}"].get_attribute("class")

    def until(self, condition, seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "did not happen in time"
            self.page.wait_for_timeout(100)

    def picture(self, view: str = "") -> np.ndarray:
        """The picture of a view, or of all views, RGB (rows, columns, 3)."""
        from playwright.sync_api import Error

        for attempt in (1, 2, 3):  # resizing a view replaces its element
            try:
                shot = self.page.locator(_view(view)).screenshot()
                break
            except Error:
                if attempt == 3:
                    raise
                self.page.wait_for_timeout(500)
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def colours(self) -> int:
        """Pixels of the views that are not grey."""
        return int((np.ptp(self.picture(), axis=-1) > 60).sum())

    def like(self, fdi: int) -> int:
        """Pixels of the axial view that have a tooth's colour."""
        return int(like(self.picture(self.axial), fdi).sum())

    def across(self, fdi: int) -> tuple[float, float, float]:
        """Position of a tooth in the axial view on the page: left edge, right edge and middle height."""
        self.until(lambda: self.like(fdi) > 300)
        area = self.page.locator(_view(self.axial)).bounding_box()
        rows, columns = like(self.picture(self.axial), fdi).nonzero()
        left, right = np.percentile(columns, (1, 99))
        return area["x"] + left, area["x"] + right, area["y"] + np.median(rows)

    def expand(self) -> None:
        """Expand the axial view over all four, or restore the four views."""
        self["expand-Axial"].click()
        self.axial = "" if self.axial else "Axial"

    def click_on(self, fdi: int, chosen: int) -> None:
        """Click on the middle of a ball in the axial view, located relative to the chosen one (others are dimmed)."""
        left, right, y = self.across(chosen)
        here_x, here_y, _, radius = BALLS[chosen]
        x, y_back, _, _ = BALLS[fdi]
        scale = (right - left) / (2 * radius)  # pixels for a mm; the patient's left is on the right, the back below
        self.page.mouse.click((left + right) / 2 + (x - here_x) * scale, y + (y_back - here_y) * scale)

    def drag(self, start: float, end: float, y: float) -> None:
        """A stroke of the mouse along a row; after it the mouse stands beside the views."""
        mouse = self.page.mouse
        mouse.move(start, y)
        mouse.down()
        for x in np.linspace(start, end, 20):
            mouse.move(x, y)
            self.page.wait_for_timeout(20)
        mouse.up()
        mouse.move(5, 5)

    def hold(self, tool: str) -> None:
        """Take a brush."""
        self[tool].click()
        self.until(lambda: self[tool].get_attribute("aria-pressed") == "true")

    def save(self, name: str, folder: Path) -> Path:
        with self.page.expect_download(timeout=LONG) as download:
            self[name].click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


def _view(name: str) -> str:
    return f".layout-grid-item:has([data-testid=expand-{name}])" if name else ".ts-views"


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium):
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    context.set_default_timeout(SHORT)
    yield context
    context.close()


@pytest.fixture
def demo(tmp_path, upper_jaw) -> Path:
    """A coarse simulated scan."""
    write_scan(tmp_path / "demo.nrrd", upper_jaw[0])
    return tmp_path / "demo.nrrd"


@pytest.fixture
def balls(tmp_path) -> tuple[Path, Path]:
    scan, labels = ball_case()
    write_scan(tmp_path / "balls.nrrd", scan)
    write_segmentation(tmp_path / "balls.seg.nrrd", labels)
    return tmp_path / "balls.nrrd", tmp_path / "balls.seg.nrrd"


def test_from_a_scan_to_stl_files_with_the_real_cascade(context, demo, tmp_path):
    server = Server(tmp_path / "state", demo)
    try:
        tab = Tab(context, server.address)
        assert "token" not in tab.page.url
        assert tab.shown("scan-name", LONG) == "demo.nrrd"

        tab["segment"].click()
        tab["progress"].wait_for()
        tab["cancel"].click()
        tab["segment"].wait_for()
        assert tab["count"].count() == 0

        tab["segment"].click()
        tab.until(lambda: "teeth found in" in tab.shown("summary"), LONG / 1000)
        assert int(tab.shown("count").split()[0]) >= 11
        tab.until(lambda: tab.colours() > 2000)

        tab["tooth-26"].click()
        tab.until(lambda: tab.chosen() == "26")
        tab["tab-export"].click()
        tab["run-options"].click()
        fields = [tab[name].bounding_box() for name in ("field-part", "field-device", "weights", "field-format")]
        assert len({(field["x"], field["width"], field["height"]) for field in fields}) == 1
        packed = tab.save("export", tmp_path)
        with zipfile.ZipFile(packed) as opened:
            names = [name for name in opened.namelist() if name.endswith(".stl")]
            opened.extractall(tmp_path / "out")
        assert len(names) >= 11
        reader = vtkSTLReader()
        reader.SetFileName(str(tmp_path / "out" / next(name for name in names if "26" in name)))
        reader.Update()
        bounds = np.array(reader.GetOutput().GetBounds()).reshape(3, 2)
        assert bounds[0].min() > 0  # the patient's left, in LPS
        assert ((np.ptp(bounds, axis=1) > 4) & (np.ptp(bounds, axis=1) < 35)).all()

        assert (tab.outside, tab.errors) == ([], [])
    finally:
        assert server.stop() == 0
    assert not [line for line in server.errors if "Traceback" in line]


def test_corrections_survive_reload_second_tab_restart_and_bad_files(context, balls, tmp_path):
    scan, labels = balls
    state = tmp_path / "state"
    server = Server(state, scan, "--teeth", labels)
    try:
        tab = Tab(context, server.address)
        assert tab.shown("count", LONG) == "5 teeth"
        tab["tooth-36"].click()
        tab.hold("erase")
        assert tab["undo"].is_disabled()
        tab.drag(*tab.across(36))
        tab.until(tab["undo"].is_enabled)
        tab["undo"].click()
        tab.until(tab["undo"].is_disabled)
        tab["erase"].click()

        tab["tooth-16"].click()
        tab.until(lambda: tab.chosen() == "16")
        tab["hide"].click()
        tab.until(lambda: "ts-hidden" in tab["tooth-16"].get_attribute("class"))
        tab["hide"].click()
        tab["change-tooth"].click()
        tab["menu-numbers"].click()
        tab["to-17"].click()
        tab.until(lambda: tab.there(17) and not tab.there(16))
        assert tab["undo"].get_attribute("title") == "Undo: 16 to 17"
        tab["undo"].click()
        tab.until(lambda: tab.there(16) and not tab.there(17))
        tab["redo"].click()
        tab.until(lambda: tab.there(17))
        tab["notation-universal"].click()
        tab.until(lambda: tab["tooth-17"].inner_text().strip() == "2")

        tab.page.reload()
        assert tab.shown("count") == "5 teeth"
        assert tab.there(17)
        assert tab["tooth-17"].inner_text().strip() == "2"

        other = Tab(context, server.address)
        assert "2 tabs" in other.shown("tabs")
        assert "2 tabs" in tab.shown("tabs")
        other.page.close()
        tab["tabs"].wait_for(state="detached")
        assert tab.errors == []
        tab.page.close()
    finally:
        assert server.stop() == 0

    server = Server(state)
    try:
        tab = Tab(context, server.address)
        assert "balls.nrrd" in tab.shown("offer", LONG)
        text = tmp_path / "notes.nrrd"
        text.write_text("this is no scan")
        bomb = tmp_path / "bomb.zip"
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
            for number in range(25_000):
                packed.writestr(str(number), b"")
        traversal = tmp_path / "traversal.zip"
        with zipfile.ZipFile(traversal, "w") as packed:
            packed.writestr("../../evil.nrrd", b"x")
        huge = tmp_path / "huge.nrrd"
        with huge.open("wb") as file:
            file.truncate(LARGEST_FILE + 1)  # a sparse file, which uses no disk space
        for path, word in (
            (text, "notes.nrrd"),
            (bomb, "not opened"),
            (traversal, "outside of itself"),
            (huge, "larger than 2.0 GB"),
        ):
            tab["file"].set_input_files(path)
            tab.until(lambda word=word: tab["message"].count() and word in tab["message"].inner_text())
            tab["dismiss"].click()
            tab["message"].wait_for(state="detached")
        assert not list(tmp_path.rglob("evil*"))
        tab["resume"].click()
        assert tab.shown("count") == "5 teeth"
        assert tab.there(17)
        tab["open-other"].click()
        tab["file"].set_input_files(scan)
        tab["count"].wait_for(state="detached")
        assert tab.shown("scan-name") == "balls.nrrd"

        for number, description in ((1, "Bone"), (2, "Soft")):
            write_series(tmp_path / "disc", ball_case()[0], number, description)
        tab["open-other"].click()
        tab["file"].set_input_files(shutil.make_archive(str(tmp_path / "disc"), "zip", tmp_path / "disc"))
        tab["series"].get_by_text("Soft").click()
        tab.until(lambda: tab.shown("scan-name") == "disc.zip")
        tab["series"].wait_for(state="detached")
        assert (tab.outside, tab.errors) == ([], [])
    finally:
        assert server.stop() == 0


def test_deciduous_teeth_stand_in_the_columns_of_their_successors(context, balls, tmp_path):
    scan, labels = balls
    teeth = read_labels(labels)
    array = teeth.array.copy()
    for fdi, deciduous in ((11, 53), (26, 65), (41, 81)):  # the lower half of the ball
        z, y, x = np.nonzero(teeth.array == fdi)
        low = z < z.mean()
        array[z[low], y[low], x[low]] = deciduous
    write_segmentation(labels, teeth.with_array(array))
    server = Server(tmp_path / "state", scan, "--teeth", labels)
    try:
        tab = Tab(context, server.address)
        assert tab.shown("count", LONG) == "8 teeth"

        def boxes() -> dict[str, tuple[float, float, float, float]]:
            """Left, top, right and bottom of each tooth's button."""
            found = {}
            for one in tab.page.locator(".ts-tooth").all():
                box = one.bounding_box()
                edges = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
                found[one.get_attribute("data-testid").removeprefix("tooth-")] = edges
            return found

        at = boxes()
        assert len(at) == 32 + 3
        for deciduous, successor in (("53", "13"), ("65", "25"), ("81", "41")):
            assert at[deciduous][::2] == pytest.approx(at[successor][::2], abs=0.5)
        assert at["53"][1] == at["65"][1]
        for column in (("13", "53", "43"), ("25", "65", "35"), ("11", "81", "41")):
            for above, below in pairwise(column):
                assert at[above][3] <= at[below][1]
        assert at["65"][3] < at["81"][1]
        for a, b in combinations(at.values(), 2):
            assert min(a[2], b[2]) - max(a[0], b[0]) < 0.5 or min(a[3], b[3]) - max(a[1], b[1]) < 0.5

        tab["tooth-28"].focus()
        tab.page.keyboard.press("Tab")
        tab.page.keyboard.press("Enter")
        tab.until(lambda: tab.chosen() == "53")
        tab["notation-universal"].click()
        tab.until(lambda: tab["tooth-81"].inner_text().strip() == "P")
        for deciduous, new in ((65, 25), (53, 13)):
            tab[f"tooth-{deciduous}"].click(button="right")
            tab["menu-numbers"].click()
            tab[f"to-{new}"].click()
            tab[f"tooth-{deciduous}"].wait_for(state="detached")
        after = boxes()
        assert len(after) == 32 + 1
        row = at["53"][3] - at["53"][1]
        assert after["48"][1] - after["18"][1] == pytest.approx(at["48"][1] - at["18"][1] - row, abs=3)
        assert (tab.outside, tab.errors) == ([], [])
    finally:
        assert server.stop() == 0


def test_the_mouse_splits_shifts_and_paints_at_the_port_that_was_asked_for(context, balls, tmp_path):
    scan, labels = balls
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(tmp_path / "state", scan, "--teeth", labels, "--port", port)
    try:
        assert f"127.0.0.1:{port}/" in server.address
        again = subprocess.run(server.command, capture_output=True, encoding="utf-8", env=server.environment)
        assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
        assert str(port) in again.stderr

        tab = Tab(context, server.address)
        assert tab.shown("count", LONG) == "5 teeth"
        tab["tooth-16"].click()
        tab.expand()
        tab.click_on(11, chosen=16)
        tab.until(lambda: tab.chosen() == "11")
        tab.click_on(16, chosen=11)
        tab.until(lambda: tab.chosen() == "16")
        left, right, y = tab.across(16)
        tab["split"].click()
        tab["pointing"].wait_for()
        tab.page.mouse.click(0.8 * left + 0.2 * right, y)
        tab.until(lambda: "(1 of 2 clicks)" in tab.shown("hint"))
        tab.page.mouse.click(0.2 * left + 0.8 * right, y)
        tab.until(tab["apply"].is_enabled)
        tab["apply"].click()
        tab.until(lambda: tab.shown("count") == "6 teeth")
        tab["pointing"].wait_for(state="detached")
        # The chosen tooth keeps its half of the ball, so that the other half is the new one.
        first, last, _ = tab.across(16)
        middle = (left + right) / 2
        assert abs(first - left) < 8 and abs(last - middle) < 8

        tab["tooth-16"].click()
        tab["tooth-16"].click(button="right")
        tab["back"].click()
        tab.until(lambda: tab.there(18) and not tab.there(16))
        tab.until(lambda: tab.chosen() == "17")
        assert "16 now" in tab.shown("suggestion")
        first, last, _ = tab.across(17)  # the views centred on the half, so its place on the page changed
        assert abs((last - first) - (middle - left)) < 8
        tab["tooth-18"].click()
        tab.until(lambda: tab.chosen() == "18")
        first, last, _ = tab.across(18)
        assert abs((last - first) - (right - middle)) < 8
        tab["tooth-17"].click()
        tab.until(lambda: tab.chosen() == "17")
        tab["change-tooth"].click()
        tab["forward"].click()
        tab.until(lambda: tab.there(16) and not tab.there(18))

        tab["tooth-36"].click()
        left, right, y = tab.across(36)
        whole, beside = tab.like(36), (right - left) / 3
        stroke = (left - beside, right + beside, y)
        tab.hold("erase")
        tab.drag(*stroke)
        tab.until(lambda: tab.like(36) < 0.9 * whole)
        tab.hold("paint")
        assert tab["bright-only"].locator("input").is_checked()
        tab.drag(*stroke)
        tab.until(lambda: tab.like(36) > 0.95 * whole)
        assert tab.like(36) < 1.05 * whole
        tab["bright-only"].locator("input").click()
        tab.drag(*stroke)
        tab.until(lambda: tab.like(36) > 1.1 * whole)
        assert (tab.outside, tab.errors) == ([], [])
    finally:
        assert server.stop() == 0
    assert not [line for line in server.errors if "Traceback" in line]
