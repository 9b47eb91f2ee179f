"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from jaw_crop import upper_teeth
from teethseg.volume import Volume


def pytest_configure() -> None:
    """Heed Ctrl-C where a shell runs the tests in the background: ignored signals are inherited by the processes of tests."""
    for name, action in (("SIGINT", signal.default_int_handler), ("SIGQUIT", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGQUIT
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, action)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with many slow tests first, so that the last process to end has little left to do."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="module")
def slicer_scene():
    """A Slicer scene for one file of tests; tests that need an empty scene clear it."""
    pytest.importorskip("slicer", reason="slicer-core is not installed: pip install 'teethseg[browser]'")
    from slicer_scene import SlicerScene

    scene = SlicerScene()
    yield scene
    scene.close()


@pytest.fixture(scope="session")
def upper_jaw() -> tuple[Volume, Volume]:
    """Scan and labels of one simulated upper jaw: each process of tests makes it once."""
    from teethseg.simulation.cases import simulate_case
    from teethseg.simulation.sources import shape_source

    case = simulate_case(11, shape_source(), "jaws", 0.8, 0.0)
    return upper_teeth(case.scan, case.labels)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development data beside the checkout; tests that need it are skipped elsewhere."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no development data beside this checkout")
    return folder
