"""Speed of the page of `teethseg serve SCAN --teeth TEETH`, as a user sees it in Chromium.

    python scripts/benchmark_page.py SCAN TEETH [--seconds 8] [--size 1400x900]

Prints a Markdown table of measurements and their aims: the time until the server prints its address (with SCAN alone,
because teeth are the result of a run), frames a second while 3D is turned and while slices are scrolled, and the time
from the release of the mouse until a stroke of the brush is in the teeth and on the screen. A frame counts when
Chromium has decoded it.

Other programs on the computer slow all of this down. The table therefore also gives the processor time of the server
and of Chromium, per frame for frames. It shows the speed to expect on idle processors.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright
from rich import box
from rich.console import Console
from rich.table import Table

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
STEP = 0.03  # seconds between two moves of the mouse
# Counts the frames of each view as they are decoded; `load` does not bubble, but can be captured.
COUNT = """
window.frames_shown = {};
document.addEventListener("load", event => {
  const view = event.target.closest && event.target.closest(".layout-grid-item");
  if (!view) return;
  const name = view.innerText.split("\\n")[0];
  window.frames_shown[name] = (window.frames_shown[name] || 0) + 1;
}, true);
"""


@dataclass(frozen=True)
class Measured:
    name: str
    value: str
    aim: str
    server: str
    browser: str


class Server:
    """`teethseg serve` in a process of its own."""

    def __init__(self, state: Path, *arguments: str):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from teethseg.cli import main; main()"),
                *("serve", *arguments, "--no-open"),
            ],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "TEETHSEG_STATE": str(state)},
        )
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if found := ADDRESS.search(line):
                self.address = found[0]
                break
        else:
            raise SystemExit("The server ended: " + "".join(lines))
        self.seconds = time.monotonic() - begun
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def cpu(self) -> float:
        return _cpu([psutil.Process(self.process.pid)])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class Bench:
    """An open page, and the processor time that it costs."""

    def __init__(self, page: Page, server: Server, seconds: float):
        self.page, self.server, self.seconds = page, server, seconds

    def frames(self, name: str, view: str, aim: str, move: Callable[[dict, float], None]) -> Measured:
        """Frames a second of a view while `move` is called with the view's place and the seconds that have passed."""
        area = self.area(view)
        begun, server, browser = time.monotonic(), self.server.cpu(), _browser_cpu()
        before = self._shown(view)
        while (passed := time.monotonic() - begun) < self.seconds:
            move(area, passed)
            time.sleep(STEP)
        count, passed = self._shown(view) - before, time.monotonic() - begun
        server, browser = self.server.cpu() - server, _browser_cpu() - browser
        each = [f"{1000 * spent / max(count, 1):.0f} ms" for spent in (server, browser)]
        return Measured(name, f"{count / passed:.1f} frames/s", aim, *each)

    def turn(self) -> Measured:
        area = self.area("Surfaces")
        mouse = self.page.mouse
        mouse.move(*_at(area, 0.5, 0.5))
        mouse.down()
        mouse.move(*_at(area, 0.55, 0.5))
        time.sleep(2.0)  # surfaces for moving views are made once
        try:
            return self.frames(
                "turning 3D",
                "Surfaces",
                ">= 5 frames/s",
                lambda area, t: mouse.move(*_at(area, 0.5 + 0.3 * math.sin(2 * t), 0.5 + 0.1 * math.cos(1.3 * t))),
            )
        finally:
            mouse.up()

    def scroll(self) -> Measured:
        self.page.mouse.move(*_at(self.area("Axial"), 0.5, 0.5))
        return self.frames(
            "scrolling slices",
            "Axial",
            ">= 15 frames/s",
            lambda _, t: self.page.mouse.wheel(0, 100 if int(t / 2) % 2 else -100),
        )

    def brush(self, tooth: int) -> Measured:
        """A stroke of 30 moves through a tooth in the axial slice, then the time until it appears."""
        page, mouse, area = self.page, self.page.mouse, self.area("Axial")
        page.get_by_test_id(f"tooth-{tooth}").click()
        page.get_by_test_id("paint").click()
        page.wait_for_function("document.querySelector('[data-testid=paint]').ariaPressed === 'true'")
        page.get_by_test_id("bright-only").locator("input").click()  # so that the stroke changes voxels of any grey
        self.rest("Axial")
        mouse.move(*_at(area, 0.4, 0.5))
        mouse.down()
        for step in range(30):
            mouse.move(*_at(area, 0.4 + 0.006 * step, 0.5 + 0.02 * (step % 5)))
            time.sleep(STEP)
        self.rest("Axial")
        frames = self._shown("Axial")
        server, browser, begun = self.server.cpu(), _browser_cpu(), time.monotonic()
        mouse.up()
        page.wait_for_function("!document.querySelector('[data-testid=undo]').disabled")
        page.wait_for_function(f"window.frames_shown['Axial'] > {frames}")
        seconds = time.monotonic() - begun
        spent = [f"{one:.2f} s" for one in (self.server.cpu() - server, _browser_cpu() - browser)]
        return Measured("a stroke of the brush is there", f"{seconds:.2f} s", "<= 1 s", *spent)

    def rest(self, view: str) -> None:
        """Wait until no more frames come, so that late ones do not count in the next measurement on busy processors."""
        before = -1
        while (now := self._shown(view)) != before:
            before = now
            time.sleep(1.0)

    def area(self, view: str) -> dict:
        return self.page.locator(f".layout-grid-item:has([data-testid=expand-{view}])").bounding_box()

    def _shown(self, view: str) -> int:
        return self.page.evaluate(f"window.frames_shown['{view}'] || 0")


def measure(scan: str, teeth: str, seconds: float, size: tuple[int, int], picture: Path | None) -> list[Measured]:
    rows = []
    with tempfile.TemporaryDirectory() as state, sync_playwright() as started:
        alone = Server(Path(state), scan)
        spent = f"{alone.cpu():.1f} s"
        rows.append(Measured("the address is printed", f"{alone.seconds:.1f} s", "<= 6 s", spent, ""))
        alone.stop()
        server = Server(Path(state), scan, "--teeth", teeth)
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(120_000)
            page.add_init_script(COUNT)
            begun = time.monotonic()
            page.goto(server.address)
            page.get_by_test_id("count").wait_for()
            page.wait_for_function("window.frames_shown['Axial'] && window.frames_shown['Surfaces']")
            rows.append(Measured("the page is usable", f"{time.monotonic() - begun:.1f} s", "", "", ""))
            bench = Bench(page, server, seconds)
            bench.rest("Surfaces")
            teeth_shown = page.get_by_test_id("count").inner_text()
            turned = bench.turn()
            rows.append(Measured(f"{turned.name}, {teeth_shown}", *list(vars(turned).values())[1:]))
            if picture is not None:
                page.screenshot(path=picture)
            rows += [bench.scroll(), bench.brush(36)]
        finally:
            browser.close()
            server.stop()
    return rows


def _at(area: dict, x: float, y: float) -> tuple[float, float]:
    return area["x"] + x * area["width"], area["y"] + y * area["height"]


def _browser_cpu() -> float:
    """Processor seconds of the Chromium processes that this one started."""
    return _cpu([one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()])


def _cpu(processes: list[psutil.Process]) -> float:
    total = 0.0
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:2])
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", metavar="SCAN")
    parser.add_argument("teeth", metavar="TEETH", help="its teeth, a .seg.nrrd with tooth 36")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to turn and to scroll")
    parser.add_argument("--size", default="1400x900", help="of the page in pixels")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="also keep a picture of the page")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    rows = measure(options.scan, options.teeth, options.seconds, (width, height), options.picture)
    table = Table("", "measured", "aim", "processor: server", "Chromium", box=box.MARKDOWN)
    for row in rows:
        table.add_row(*vars(row).values())
    Console(width=140, highlight=False).print(table)
    busy = psutil.cpu_percent(1.0)
    print(f"{psutil.cpu_count()} processors, {busy:.0f} % busy with other programs at the end.")


if __name__ == "__main__":
    main()
