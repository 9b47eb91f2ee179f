"""Patches and batches that fit into memory."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import torch

from teethseg.cascade.networks.cascade_net import COARSE, CascadeNet
from teethseg.cascade.networks.unet import UNet
from teethseg.errors import OutOfMemoryError, UsageError
from teethseg.training import memory_fit
from teethseg.training.memory_fit import fit_to_memory, step_memory
from teethseg.training.options import FitOptions, resumed_options, save_options, with_values

CPU = torch.device("cpu")

# A step with the stage's losses, after a small one that has loaded all libraries.
STEP = """
import re, sys, numpy as np, psutil, torch
from pathlib import Path
from teethseg.cascade.networks.cascade_net import COARSE, CascadeNet
from teethseg.training.losses import coarse_loss
from teethseg.training.targets import coarse_targets
torch.set_num_threads(1)
network = CascadeNet(COARSE)
def step(edge):
    labels = np.zeros((edge,) * 3, np.uint8)
    labels[2:9, 2:9, 2:9], labels[-9:-2, 2:9, 2:9] = 11, 36
    target = {name: torch.from_numpy(value)[None] for name, value in coarse_targets(labels).items()}
    sum(coarse_loss(network(torch.randn(1, 1, edge, edge, edge)), target).values()).backward()
step(32)
before = psutil.Process().memory_info().rss
step(int(sys.argv[1]))
# Not ru_maxrss, which a process takes over from the one that started it.
print(1024 * int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text()).group(1)) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are asked from Linux")
def test_the_bound_holds_for_a_real_step_and_is_not_far_off():
    told = subprocess.run(
        [sys.executable, "-c", STEP, "96"], stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout
    measured, bound = int(told), step_memory(CascadeNet(COARSE), (1, 1, 96, 96, 96))
    assert measured < bound < 3 * measured + 120_000_000


def test_steps_of_any_network_are_judged_without_computing():
    network = UNet(3, 3, 18)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    small, large = (step_memory(network, (1, 1, edge, edge, edge)) - memory_fit.BASE for edge in (64, 128))
    assert large == pytest.approx(8 * small, rel=0.02)
    assert step_memory(network, (2, 1, 64, 64, 64)) - memory_fit.BASE == pytest.approx(2 * small, rel=0.02)
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert step_memory(UNet(2, 4, 64), (1, 1, 4096, 4096)) > 20e9  # the estimate itself needs no such memory


def test_patches_are_as_large_as_memory_allows(monkeypatch, caplog):
    network, options = CascadeNet(COARSE), FitOptions("coarse", patch=0, workers=0)

    def patch(free):
        monkeypatch.setattr(memory_fit, "free_main_memory", lambda: free)
        return fit_to_memory(options, network, CPU).patch

    with caplog.at_level(logging.WARNING):
        assert patch(100e9) == 128 and not caplog.records  # never more than usual
        found = [patch(free) for free in (600e6, 400e6, 250e6)]
        assert found == sorted(found, reverse=True) and 32 <= found[-1] < found[0] < 128
        assert all(one % 16 == 0 for one in found) and f"Patches of {found[0]} voxels, not 128" in caplog.text
    with pytest.raises(OutOfMemoryError, match="fewer --workers"):
        patch(50e6)
    assert fit_to_memory(FitOptions("coarse", patch=96), network, CPU).patch == 96  # a requested patch size is used


def test_of_a_batch_as_many_series_are_computed_together_as_fit(monkeypatch):
    network = CascadeNet(COARSE)
    options = FitOptions("coarse", batch=6, fixed="64x64x64", workers=0)
    each = step_memory(network, (1, 1, 64, 64, 64)) - memory_fit.BASE
    found = []
    for series in (10, 6, 5, 2.5, 1.5):
        free = (series * each + memory_fit.BASE) / memory_fit.SHARE + 1e6
        monkeypatch.setattr(memory_fit, "free_main_memory", lambda free=free: free)
        found.append(fit_to_memory(options, network, CPU).together)
    assert found == [6, 6, 3, 2, 1]  # divisors of the batch, so that a step is the same
    monkeypatch.setattr(memory_fit, "free_main_memory", lambda: 1e8)
    with pytest.raises(OutOfMemoryError, match="smaller 'fixed'"):
        fit_to_memory(options, network, CPU)


def test_workers_have_their_part(monkeypatch):
    monkeypatch.setattr(memory_fit, "free_main_memory", lambda: 2e9)
    assert (
        memory_fit.free_memory(CPU, 0) == 1.6e9 > memory_fit.free_memory(CPU, 1) > 0 == memory_fit.free_memory(CPU, 9)
    )


def test_a_graphics_card_is_asked_for_its_own_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 8 * 10**9))
    assert memory_fit.free_memory(torch.device("cuda"), 5) == 8 * 10**8


def test_a_run_that_goes_on_keeps_what_it_had_fitted(tmp_path):
    save_options(tmp_path, FitOptions("fine", patch=80, together=2), begun=False)
    assert with_values(FitOptions("fine"), {"patch": "auto", "together": "auto"}).patch == 0
    asked = resumed_options(FitOptions("fine", patch=0), tmp_path)
    assert (asked.patch, asked.together) == (80, 2)
    save_options(tmp_path, asked, begun=True)
    with pytest.raises(UsageError, match="begun with patch 80, not 96"):
        save_options(tmp_path, resumed_options(FitOptions("fine", patch=96), tmp_path), begun=True)
    with pytest.raises(UsageError, match="divides batch"):
        FitOptions("fine", batch=4, together=3)
