"""Sample data: its registration in Slicer, and the simulated scan made by a process of its own."""

from __future__ import annotations

import sys
import time
import types
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from teethseg import __version__
from teethseg.application import packages as install
from teethseg.application.samples import PUBLIC, SIMULATED, register_samples
from teethseg.application.simulated_scan import SIMULATED_SEED, simulated_case
from teethseg.errors import TeethSegError
from teethseg.io.files import read_scan
from teethseg.panel.sample_data import load_simulated

ICONS = Path(__file__).resolve().parents[1] / "TeethSeg" / "Resources" / "Icons"


class SampleData:
    """Takes the arguments of Slicer's registerCustomSampleDataSource; refuses those that SampleDataSource refuses."""

    def __init__(self):
        self.sources = {}

    def register(
        self,
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType="VolumeFile",
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
    ):
        assert isinstance(uris, str) and isinstance(fileNames, str) and isinstance(nodeNames, str)
        if checksums is not None:
            algorithm, digest = checksums.split(":")
            assert (algorithm, len(digest)) == ("SHA256", 64)
            int(digest, 16)
        assert thumbnailFileName is None or Path(thumbnailFileName).is_file()
        assert sampleName not in self.sources
        self.sources[sampleName] = {"uri": uris, "node": nodeNames, "make": customDownloader, "sha": checksums}


@pytest.fixture
def sources():
    sample_data = SampleData()
    register_samples(sample_data.register, ICONS, lambda source: "made")
    return sample_data.sources


def test_public_samples_are_fetched_from_slicers_store_and_checked(sources):
    public = {name: source for name, source in sources.items() if source["make"] is None}
    assert {source["node"] for source in public.values()} == {"PreDentalSurgery", "PostDentalSurgery"}
    for source in public.values():
        assert source["uri"].startswith("https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/")
        # The store names its files by their checksum.
        assert source["uri"].rsplit("/", 1)[1] == source["sha"].removeprefix("SHA256:")
    assert len({sample.sha256 for sample in PUBLIC}) == len(PUBLIC)


def test_simulated_sample_is_made_on_click(sources):
    assert sources[SIMULATED]["make"](None) == "made"
    assert sources[SIMULATED]["uri"] == ""


@pytest.mark.slow
def test_simulated_scan_is_made_in_another_process_once(tmp_path):
    waits = []
    case = simulated_case(tmp_path / "cache", sys.executable, lambda: waits.append(time.monotonic()) or True)
    assert waits, "the caller must be let in while it waits"
    assert {file.name for file in case.iterdir()} == {"image.nrrd", "labels.seg.nrrd", "case.json"}
    assert read_scan(case / "image.nrrd").array.std() > 0
    assert [path.name for path in case.parent.iterdir()] == [case.name]

    again = simulated_case(tmp_path / "cache", "no such python", lambda: pytest.fail("it is there already"))
    assert again == case


def test_cancelling_leaves_no_process_and_no_file(tmp_path):
    before, seen = set(psutil.Process().children(recursive=True)), set()  # other tests' processes may still end

    def wait():
        seen.update(set(psutil.Process().children(recursive=True)) - before)
        return not seen

    assert simulated_case(tmp_path, sys.executable, wait) is None
    assert seen
    _, alive = psutil.wait_procs(seen, timeout=20)  # the system takes a moment to end them
    assert not alive
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for the launcher")
def test_cancelling_ends_the_child_of_a_launcher(tmp_path):
    """PythonSlicer starts the real Python and waits for it."""
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text('#!/bin/sh\nsleep 300 &\necho $! > "$0.pid"\nwait\n')
    launcher.chmod(0o755)
    child = tmp_path / "PythonSlicer.pid"

    def wait():
        return not (child.is_file() and child.read_text().strip())

    assert simulated_case(tmp_path / "cache", str(launcher), wait) is None
    pid = int(child.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for Python")
def test_a_failure_names_its_reason_and_leaves_nothing(tmp_path):
    broken = tmp_path / "python"
    broken.write_text(
        "#!/bin/sh\necho 'Traceback' >&2\necho 'ModuleNotFoundError: No module named torch' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    with pytest.raises(TeethSegError, match=r"could not be simulated \(ModuleNotFoundError: No module named torch\)"):
        simulated_case(tmp_path / "cache", str(broken), lambda: True)
    assert list((tmp_path / "cache").iterdir()) == []


class Dialog:
    """The part of QProgressDialog that is used."""

    def __init__(self, cancelled):
        self.wasCanceled, self.shown = cancelled, None

    def show(self):
        self.shown = True

    def close(self):
        self.shown = False


@pytest.fixture
def slicer(tmp_path, monkeypatch):
    """A stand-in for Slicer with a cache folder; `loaded` lists the files that it was asked to load."""
    modules = {name: types.ModuleType(name) for name in ("slicer", "qt")}
    modules["qt"].Qt = types.SimpleNamespace(ApplicationModal=2)
    stand_in = modules["slicer"]
    stand_in.loaded, stand_in.dialogs, stand_in.cancelled = [], [], False

    def create_progress_dialog(
        parent=None, value=0, maximum=100, labelText="", windowTitle="", windowModality=0, autoReset=True
    ):
        stand_in.dialogs.append(Dialog(stand_in.cancelled))
        return stand_in.dialogs[-1]

    cache = types.SimpleNamespace(GetRemoteCacheDirectory=lambda: str(tmp_path / "cache"))
    stand_in.mrmlScene = types.SimpleNamespace(GetCacheManager=lambda: cache)
    stand_in.app = types.SimpleNamespace(processEvents=lambda: None, testingEnabled=lambda: False)
    stand_in.util = types.SimpleNamespace(
        tryWithErrorDisplay=lambda message: nullcontext(),
        createProgressDialog=create_progress_dialog,
        loadVolume=lambda file, properties: stand_in.loaded.append((file, properties)),
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(install, "ensure_packages", lambda installer: True)
    return stand_in


def test_clicking_the_simulated_sample_loads_it(slicer, tmp_path):
    case = tmp_path / "cache" / f"TeethSeg-{__version__}-simulated-{SIMULATED_SEED}"
    case.mkdir(parents=True)
    load_simulated()
    assert slicer.loaded == [(str(case / "image.nrrd"), {"name": SIMULATED})]
    assert [dialog.shown for dialog in slicer.dialogs] == [False]


def test_cancelling_in_slicer_loads_nothing(slicer, tmp_path):
    slicer.cancelled = True
    load_simulated()
    assert slicer.loaded == []
    assert [dialog.shown for dialog in slicer.dialogs] == [False]
    assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_is_made_when_the_user_would_rather_not_install(slicer, monkeypatch):
    monkeypatch.setattr(install, "ensure_packages", lambda installer: False)
    load_simulated()
    assert (slicer.loaded, slicer.dialogs) == ([], [])


def test_every_sample_has_a_picture_of_its_own():
    seen = []
    register_samples(lambda **about: seen.append(about), ICONS, print)
    pictures = [Path(about["thumbnailFileName"]) for about in seen]
    assert [picture.stem for picture in pictures] == ["PreDentalSurgery", "PostDentalSurgery", "Simulated"]
    assert len({picture.read_bytes() for picture in pictures}) == 3
