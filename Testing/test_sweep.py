"""The sweep of damaged files and killed processes, in short; the long one is run by hand (docs/reliability.md)."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's alarms and signals")


SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def sweep(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("sweep")


@pytest.mark.slow
def test_a_short_sweep_finds_nothing(sweep):
    told = []
    counts = sweep.sweep(tries=6, seed=11, tell=told.append)
    assert told == []
    assert len(counts) > 20 and all(sum(count.values()) for count in counts.values())


@pytest.mark.slow
def test_a_few_kills_lose_nothing():
    """One at any moment and one in the midst of writing; in a process of its own, as those to be killed are forked."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    kinds = ("segment", "export", "autosave")
    command = [sys.executable, str(SCRIPTS / "kills.py"), "--kills", "2", "--seed", "11", "--kinds", *kinds]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0 and done.stdout.count("| 2 | 2 | 0 |") == len(kinds), done.stdout + done.stderr


def test_the_sweep_would_find_a_changed_voxel(sweep, tmp_path, monkeypatch):
    """A check that cannot fail is none."""
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
