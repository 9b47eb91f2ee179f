"""Half precision only where the hardware computes in it, for inference and training alike."""

from __future__ import annotations

import pytest
import torch

from teethseg.cascade.precision import autocast, half_type, lightning_precision

CPU = torch.device("cpu")


def with_instructions(monkeypatch, present: tuple[str, ...]):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in present, raising=False)


@pytest.mark.parametrize("name", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"])
def test_a_cpu_with_bfloat16_instructions_uses_them(monkeypatch, name):
    with_instructions(monkeypatch, (name,))
    assert half_type(CPU) == torch.bfloat16
    assert lightning_precision(CPU) == "bf16-mixed"
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_a_cpu_without_them_computes_in_float32(monkeypatch):
    with_instructions(monkeypatch, ())
    assert half_type(CPU) is None
    assert lightning_precision(CPU) == "32-true"
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("native", "name"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_a_gpu_uses_the_half_precision_that_it_has(monkeypatch, native, name):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native)
    assert lightning_precision(torch.device("cuda")) == name


def test_apple_gpus_compute_in_float32():
    assert lightning_precision(torch.device("mps")) == "32-true"


def test_a_driver_that_fails_is_not_asked_twice(monkeypatch):
    def broken(including_emulation=True):
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", broken)
    assert half_type(torch.device("cuda")) == torch.float16
