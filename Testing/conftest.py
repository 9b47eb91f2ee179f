"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jaw_crop import upper_teeth
from teethseg.volume import Volume

if TYPE_CHECKING:
    from slicer_scene import SlicerScene


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


def _slicer_scene() -> Iterator[SlicerScene]:
    """A Slicer scene; when it is closed, Slicer must have logged no error and no warning."""
    pytest.importorskip("slicer", reason="slicer-core is not installed: pip install 'teethseg[browser]'")
    from slicer_scene import SlicerScene

    scene = SlicerScene()
    yield scene
    scene.close()
    assert not scene.complaints()


# One for a file of tests, which clear it where they need an empty one; and one for each test.
slicer_scene = pytest.fixture(scope="module", name="slicer_scene")(_slicer_scene)
new_slicer_scene = pytest.fixture(name="new_slicer_scene")(_slicer_scene)


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
