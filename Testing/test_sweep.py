"""The sweep of damaged files and killed processes, in short; the long one is run by hand (docs/reliability.md)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's alarms and signals")


def load():
    path = Path(__file__).resolve().parents[1] / "scripts" / "sweep.py"
    spec = importlib.util.spec_from_file_location("sweep", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_short_sweep_finds_nothing():
    sweep, told = load(), []
    counts = sweep.sweep(tries=20, kills=1, seed=11, tell=told.append)
    assert told == []
    assert len(counts) > 15 and all(sum(count.values()) for count in counts.values())


def test_the_sweep_would_find_a_changed_voxel(tmp_path, monkeypatch):
    """A check that cannot fail is none."""
    sweep = load()
    (good,) = (file for file in sweep.good_files(tmp_path) if file.name == "gzip.nrrd")
    real = sweep.read_scan

    def careless(path):
        volume = real(good)
        volume.array.flat[0] += path != good
        return volume

    monkeypatch.setattr(sweep, "read_scan", careless)
    places = [tmp_path / str(number) for number in range(40)]
    for place in places:
        place.mkdir()
    outcomes = {sweep.try_reading(good, sweep.random.Random(number), place) for number, place in enumerate(places)}
    assert "voxels changed without a word" in outcomes
