"""Kills processes with SIGKILL at random moments: only the last unfinished step may be lost, and no file left behind.

    python scripts/kills.py                                  # 10 of each kind
    python scripts/kills.py --kills 100 --seed 1
    python scripts/kills.py --kills 100 --kinds autosave page

Every second process is killed at any moment of its run, the others during writing: shortly after their first file has
appeared. After each kill, the script takes the next step of a user: it runs the same command again, or starts the
program again. The program must offer the work, continue it, and find every step in it that was reported as saved.

The script prints each wrong outcome with its fault. Ctrl-C ends a kind early. Not for Windows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import psutil

from teethseg.application import saved_work
from teethseg.cli.app import run as command
from teethseg.io.files import read_labels, read_scan, write_labels, write_scan
from teethseg.io.temporary_folders import remove_left_folders
from teethseg.parent_process import end_with_parent
from teethseg.volume import Volume

LONGEST = 600.0  # seconds that a process may take to its first step
DRAFT = ".teethseg-"  # prefix of the names of unfinished files
TEETH = (11, 26, 36)
USUAL_COST = (
    0.05  # seconds that keeping work takes, taken for the first time too: without a rest it would come after 20 s
)


def jaw_of_balls() -> tuple[Volume, Volume]:
    """A valid scan, small enough to be segmented in seconds, and the labels of its three balls."""
    z, y, x = np.indices((60, 88, 104))
    array = np.random.default_rng(0).normal(0, 30, z.shape)
    labels = np.zeros(z.shape, np.uint8)
    for fdi, middle in zip(TEETH, ((40, 20, 45), (40, 60, 84), (20, 60, 20)), strict=True):
        inside = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < 60
        array[inside] += 1500
        labels[inside] = fdi
    return Volume(array.astype(np.int16), (0.5,) * 3), Volume(labels, (0.5,) * 3)


# --- processes ------------------------------------------------------------------------------------------------------


class Victim:
    """A process that runs `work`, with a function that sends a line to this one.

    It is forked, so that it does not import the libraries again.
    """

    def __init__(self, work: Callable[[Callable[[str], None]], None], folder: Path):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reading)
            with suppress(BaseException):
                end_with_parent()
                tempfile.tempdir = str(folder / "temporary")
                for stream in (1, 2):
                    os.dup2(os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
                work(lambda line: os.write(writing, f"{line}\n".encode()))
                os._exit(0)
            import traceback

            traceback.print_exc()
            os._exit(1)
        os.close(writing)
        self._lines = os.fdopen(reading, "r", encoding="utf-8")
        self._process = psutil.Process(self.pid)

    def line(self) -> str:
        """The next line that it sends; empty if it has ended."""
        return self._lines.readline().strip()

    def ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> tuple[list[str], list[psutil.Process]]:
        """Kill it; the lines that it sent since, and its child processes that still run."""
        children = self._process.children(recursive=True)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with self._lines:
            lines = self._lines.read().splitlines()
        return lines, psutil.wait_procs(children, 5)[1]


def writes(*folders: Path) -> bool:
    """Whether a file is being written into one of the folders."""
    for folder in folders:
        with suppress(OSError):
            if any(name.startswith(DRAFT) for name in os.listdir(folder)):
                return True
    return False


def wait_until(condition: Callable[[], bool], victim: Victim) -> None:
    end = time.monotonic() + LONGEST
    while not condition() and not victim.ended() and time.monotonic() < end:
        time.sleep(0.0005)


def left_in(folder: Path, known: set[str]) -> list[str]:
    return sorted({str(path.relative_to(folder)) for path in folder.rglob("*")} - known - {"said.txt", "temporary"})


# --- segment --------------------------------------------------------------------------------------------------------


@dataclass
class Segmenting:
    """`teethseg segment` that replaces earlier files: a segmentation, a report, surfaces."""

    folder: Path
    seconds: float = 0.0  # of a whole run
    writing: float = 0.0  # of these, from the first file on

    def __post_init__(self):
        scan, self.labels = jaw_of_balls()
        write_scan(self.folder / "scan.nrrd", scan)
        with zipfile.ZipFile(self.folder / "scan.zip", "w") as packed:
            packed.write(self.folder / "scan.nrrd", "scan.nrrd")
        self.out, self.report, self.stl = (self.folder / name for name in ("out.seg.nrrd", "out.json", "stl"))
        self.prepare()
        start = time.monotonic()
        victim = self.begin("scan.zip")
        wait_until(lambda: writes(self.folder, self.stl), victim)
        first = time.monotonic()
        os.waitpid(victim.pid, 0)
        self.seconds, self.writing = time.monotonic() - start, time.monotonic() - first

    def prepare(self) -> None:
        write_labels(self.out, self.labels)
        self.report.write_text('{"old": true}', encoding="utf-8")
        quietly("surfaces", self.out, self.stl, "--overwrite")
        self.known = {"scan.nrrd", "scan.zip", *left_in(self.folder, set())}

    def begin(self, scan: str) -> Victim:
        arguments = [self.folder / scan, "--output", self.out, "--report", self.report, "--stl", self.stl]
        return Victim(lambda tell: quietly("segment", *arguments, "--overwrite", "--device", "cpu"), self.folder)

    def kill(self, number: int, chance: random.Random) -> str:
        self.prepare()
        victim = self.begin(chance.choice(("scan.nrrd", "scan.zip")))
        if number % 2:
            wait_until(lambda: writes(self.folder, self.stl), victim)
            time.sleep(chance.random() * self.writing)
        else:
            time.sleep(chance.random() * self.seconds)
        _, alive = victim.kill()
        read_labels(self.out)  # the old one or the new one, whole
        json.loads(self.report.read_text(encoding="utf-8"))
        whole = whole_surfaces(self.stl)
        self.prepare()  # the next start, and writing into the same folders
        left = left_in(self.folder, self.known)
        return problem(alive=alive, left=left, damaged=whole)


def quietly(*arguments: object) -> int:
    with redirect_stderr(StringIO()):
        return command([str(argument) for argument in arguments])


def whole_surfaces(folder: Path) -> list[str]:
    """Names of STL files whose length differs from the one that their header implies."""
    damaged = []
    for file in folder.glob("*.stl"):
        content = file.read_bytes()
        if len(content) != 84 + 50 * int.from_bytes(content[80:84], "little"):
            damaged.append(file.name)
    return damaged


def problem(**found: object) -> str:
    return ", ".join(f"{name}: {value}" for name, value in found.items() if value)


# --- export ---------------------------------------------------------------------------------------------------------


@dataclass
class Exporting:
    """Exports of surfaces, each of which replaces the one before."""

    folder: Path

    def __post_init__(self):
        self.labels, self.out = self.folder / "teeth.seg.nrrd", self.folder / "stl"
        write_labels(self.labels, jaw_of_balls()[1])

    def work(self, tell: Callable[[str], None]) -> None:
        while quietly("surfaces", self.labels, self.out, "--overwrite") == 0:
            tell("done")

    def kill(self, number: int, chance: random.Random) -> str:
        victim = Victim(self.work, self.folder)
        victim.line()
        if number % 2:
            wait_until(lambda: writes(self.out), victim)
            time.sleep(chance.random() * 0.02)
        else:
            time.sleep(chance.random())
        _, alive = victim.kill()
        damaged = whole_surfaces(self.out)
        status = quietly("surfaces", self.labels, self.out, "--overwrite")
        names = {f"stl/{path.name}" for path in self.out.glob("FDI_*.stl")}
        left = left_in(self.folder, {"teeth.seg.nrrd", "stl", "stl/manifest.json", *names})
        return problem(alive=alive, damaged=damaged, status=status, left=left, files=len(names) != 3 and names)


# --- work that is kept while it is done -----------------------------------------------------------------------------


class Worker:
    """A user who never pauses: each step adds a voxel to a tooth, and after every third one the mark of 18 changes.

    Step n is the n-th voxel of the scan's first plane, so that a restored state shows the steps in it.
    """

    def __init__(self, case):
        self.case = case

    @property
    def steps(self) -> int:
        """Number of steps in the state; ValueError if they are not the first ones, or teeth are damaged."""
        labels = self.case.labels()
        first = np.flatnonzero(labels[0].ravel() == TEETH[0])
        expected = jaw_of_balls()[1].array
        if not np.array_equal(first, np.arange(len(first))) or not np.array_equal(labels[1:], expected[1:]):
            raise ValueError("the teeth are not those that were kept")
        marked = (len(first) // 3) % 2 == 1
        if len(first) % 3 and (18 in self.case.missing()) != marked:
            raise ValueError("the marks are not those that were kept")
        return len(first)

    def step(self) -> int:
        from teethseg.correction.edit import Edit

        count = self.steps_made = getattr(self, "steps_made", None) or self.steps
        if count and count % 3 == 0:  # the voxels up to here are in the teeth: the page applies the next one later
            self.case.set_missing(18, (count // 3) % 2 == 1)
        width = self.case.scan().array.shape[2]
        place = (slice(0, 1), slice(count // width, count // width + 1), slice(count % width, count % width + 1))
        self.case.edit(lambda labels, scan: Edit(place, np.full((1, 1, 1), TEETH[0], np.uint8)), "voxel")
        self.steps_made += 1
        return self.steps_made


@dataclass
class Autosaving:
    """The autosave of the desktop panel: a scene of 3D Slicer in which steps are made, and a clock that ticks."""

    folder: Path
    kept: int = 0  # steps that were reported as saved
    made: int = 0

    def __post_init__(self):
        self.state = self.folder / "state"
        write_scan(self.folder / "scan.nrrd", jaw_of_balls()[0])

    def work(self, tell: Callable[[str], None]) -> None:
        from trame_slicer.core import SlicerApp

        from teethseg.application.autosave import Autosave
        from teethseg.application.case import Case
        from teethseg.application.source import Source
        from teethseg.mrml.volumes import node_of

        scene = SlicerApp().scene
        case, scan = Case(scene), self.folder / "scan.nrrd"
        autosave = Autosave(case, self.state, lambda: Source("balls", scan))
        volume = node_of(scene, read_scan(scan), "balls")
        case.show(volume, None)
        if autosave.offers:
            autosave.take(autosave.offers[0])
        else:
            case.show(volume, teeth_in(scene, volume))
        self.go_on(case, autosave, tell)

    def go_on(self, case, autosave, tell: Callable[[str], None]) -> None:
        worker = Worker(case)
        tell(f"begun {worker.steps}")
        while True:
            self.one_step(worker, autosave, tell)
            time.sleep(0.05)

    def one_step(self, worker: Worker, autosave, tell: Callable[[str], None]) -> None:
        autosave.cost = min(autosave.cost, USUAL_COST)
        if not worker.case.busy:  # a busy case refuses the tool with a warning, so the step would not count
            tell(f"made {worker.step()}")
        saved = autosave.saved
        autosave.tick()
        if autosave.saved != saved:  # the page makes steps in the background, so the last one may be missing
            tell(f"kept {np.count_nonzero(worker.case.labels()[0] == TEETH[0])}")

    def kill(self, number: int, chance: random.Random) -> str:
        victim = Victim(self.work, self.folder)
        begun = victim.line()
        if not begun.startswith("begun "):
            victim.kill()
            return f"it did not begin: {(self.folder / 'said.txt').read_text(encoding='utf-8')[-2000:]}"
        count = int(begun.split()[1])
        wrong = "" if self.kept <= count <= self.made else f"{count} steps came back, {self.kept} were kept"
        self.kept = self.made = count
        time.sleep(chance.random() * 2)
        if number % 2:
            wait_until(lambda: writes(*self.state.glob("*")), victim)
            time.sleep(chance.random() * 0.02)
        lines, alive = victim.kill()
        for line in lines:
            word, count = line.split()
            self.made = max(self.made, int(count))
            if word == "kept":
                self.kept = int(count)
        return problem(wrong=wrong, alive=alive)

    def end(self) -> str:
        """The fault of the folder once the program has been started again: several works, or files left."""
        saved_work.remove_leftovers(self.state)
        works, aside = saved_work.left_works(self.state)
        left = []
        for work in works:
            named = {saved_work.OWNER, *(state.file for state in saved_work.generations(work.folder))}
            names = {path.name for path in work.folder.iterdir() if not path.name.startswith("case")}
            left += sorted(names - named)
        folders = [path.name for path in self.state.iterdir() if path not in [work.folder for work in works]]
        return problem(works=len(works) != 1 and len(works), aside=aside, left=left, folders=folders)


def teeth_in(scene, volume):
    """A segmentation node with the teeth of the scan."""
    from teethseg.cascade.dentition import Dentition, FoundTooth
    from teethseg.mrml.teeth import write_teeth

    found = tuple(FoundTooth(fdi, 0.9, 50.0, (0.0, 0.0, 0.0)) for fdi in TEETH)
    return write_teeth(scene, Dentition(jaw_of_balls()[1], found), volume)


@dataclass
class Serving(Autosaving):
    """`teethseg serve` with the page's own server, while teeth are corrected."""

    def work(self, tell: Callable[[str], None]) -> None:
        import asyncio

        from teethseg.browser import server

        serve = server.serve

        async def correct(app) -> None:
            await asyncio.sleep(0.2)  # until the server answers
            if app.work.left is not None:
                await app.recovery.resume()
            else:
                app.loading.open_now(self.folder / "scan.nrrd")
                with app.server.state:
                    app.case.show(app.case.volume_node, teeth_in(app.slicer.scene, app.case.volume_node))
            worker = Worker(app.case)
            tell(f"begun {worker.steps}")
            while True:
                with app.server.state:
                    self.one_step(worker, app.work.autosave, tell)
                await asyncio.sleep(0.05)

        def serve_and_correct(app, host: str, port: int, _browser: bool, say: Callable[[str], None]) -> None:
            def begin_when_ready(line: str) -> None:
                say(line)
                if "token" in line:
                    app.begin(correct(app))

            serve(app, host, port, False, begin_when_ready)

        server.serve = serve_and_correct
        os.environ["TEETHSEG_STATE"] = str(self.state)
        quietly("serve", "--no-open")


# --- the table ------------------------------------------------------------------------------------------------------

KINDS = {
    "segment": ("a segmentation (`teethseg segment`)", Segmenting),
    "export": ("an export (`teethseg surfaces`)", Exporting),
    "autosave": ("autosave of the desktop panel", Autosaving),
    "page": ("a correction on the page (`teethseg serve`)", Serving),
}


@contextmanager
def place() -> Iterator[Path]:
    """A folder for the kills of one kind; it also holds their temporary folders."""
    before = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    (folder / "temporary").mkdir()
    tempfile.tempdir = str(folder / "temporary")
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def kill_all(kind: str, kills: int, seed: int, tell: Callable[[str], None] = print) -> Counter:
    """Kill processes of one kind; counts of 'right' and 'wrong'."""
    counts: Counter = Counter()
    with place() as folder:
        killing = KINDS[kind][1](folder)
        for number in range(kills):
            try:
                wrong = killing.kill(number, random.Random(f"{seed} {kind} {number}"))
                remove_left_folders()  # as every later start does
                wrong = wrong or problem(temporary=os.listdir(folder / "temporary"))
                if number == kills - 1 and hasattr(killing, "end"):
                    wrong = wrong or killing.end()
            except KeyboardInterrupt:  # the table then shows the number so far
                break
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            counts["wrong" if wrong else "right"] += 1
            if wrong:
                tell(f"WRONG {kind}, seed {seed}, number {number}: {wrong}")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="processes of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = ["| killed in the midst of | processes | right | wrong |", "| --- | ---: | ---: | ---: |"]
    failed = 0
    for kind in options.kinds:
        count = kill_all(kind, options.kills, options.seed)
        failed += count["wrong"]
        rows.append(f"| {KINDS[kind][0]} | {sum(count.values())} | {count['right']} | {count['wrong']} |")
    print(*rows, sep="\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
