"""Counts and measurements of the benchmark."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import benchmark


@pytest.mark.parametrize(
    ("size", "patch", "count"),
    [
        (64, 64, 1),
        (65, 64, 2),
        (96, 64, 2),
        (97, 64, 3),
        (110, 64, 3),  # nnU-Net's own example: starts at 0, 23, 46
        (40, 64, 1),  # padded to a patch
    ],
)
def test_patches_along_an_axis(size, patch, count):
    assert benchmark.patch_count((size,), (patch,)) == count


def test_patches_cover_the_scan_with_steps_of_half_a_patch_and_not_one_more_than_needed():
    for size in range(100, 700, 7):
        (patch,) = benchmark.PEER_PATCH[:1]
        count = benchmark.patch_count((size,), (patch,))
        if size <= patch:
            assert count == 1
            continue
        assert (size - patch) / (count - 1) <= patch / 2
        assert count == 2 or (size - patch) / (count - 2) > patch / 2


def test_patches_of_a_whole_scan():
    # 360 x 360 x 330 voxels of 0.5 mm become 532 x 400 x 400 along (z, y, x): 6 x 6 x 7 patches.
    grid = benchmark.Grid((330, 360, 360), (0.5, 0.5, 0.5))
    assert benchmark.peer_shape(grid) == (532, 400, 400)
    assert benchmark.patch_count(benchmark.peer_shape(grid)) == 6 * 6 * 7


def test_peer_network_is_nnunets():
    import torch

    with torch.device("meta"):
        network = benchmark.peer_network()
        logits = network(torch.empty(1, 1, *benchmark.PEER_PATCH))
    assert logits.shape == (1, benchmark.PEER_CLASSES, *benchmark.PEER_PATCH)
    # dynamic_network_architectures 0.4.4, PlainConvUNet with this configuration, less its unused heads.
    assert sum(p.numel() for p in network.parameters()) == 30_784_582


def test_grid_from_a_header_alone(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((5, 6, 7), np.int16))
    image.SetSpacing((0.2, 0.3, 0.4))
    whole = tmp_path / "scan.nrrd"
    sitk.WriteImage(image, str(whole))
    cut = tmp_path / "cut.nrrd"
    content = whole.read_bytes()
    cut.write_bytes(content[: content.index(b"\n\n") + 4])  # the header alone
    for scan in (whole, cut):
        grid = benchmark.scan_grid(scan)
        assert grid.shape == (5, 6, 7)
        assert grid.spacing == pytest.approx((0.4, 0.3, 0.2))
    noise = tmp_path / "noise.nrrd"
    noise.write_bytes(b"no scan")
    with pytest.raises(SystemExit, match=r"noise\.nrrd: this is no image file"):
        benchmark.scan_grid(noise)


def test_grid_of_a_dicom_folder(tmp_path):
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(4):
        image = sitk.GetImageFromArray(np.zeros((1, 6, 7), np.int16))
        image.SetSpacing((0.2, 0.3, 1.0))
        tags = {
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0020|0032": f"0\\0\\{0.4 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(k),
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(tmp_path / f"{7 - k}.dcm"))
        writer.Execute(image)
    grid = benchmark.scan_grid(tmp_path)
    assert grid.shape == (4, 6, 7)
    assert grid.spacing == pytest.approx((0.4, 0.3, 0.2), rel=1e-3)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SystemExit, match="no DICOM series"):
        benchmark.scan_grid(empty)


# Replaces `teethseg segment`: takes the same arguments, uses some memory and time, and writes the report.
PROGRAM = """
import json, pathlib, sys, time
arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
if "missing" in sys.argv[2]:
    sys.exit("no such scan")
memory = bytearray(300 * 2**20)
for place in range(0, len(memory), 4096):
    memory[place] = 1
time.sleep(0.2)
report = {"seconds": {"read": 0.05, "coarse": 0.1}, "peak_memory_mb": 1, "device": arguments["--device"]}
pathlib.Path(arguments["--report"]).write_text(json.dumps(report))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory of a child process is not told there")
def test_time_and_memory_are_those_of_the_whole_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    run = benchmark.segment([sys.executable, str(program)], tmp_path / "scan.nrrd", "cpu")
    assert run.wall_seconds >= 0.2  # the program sleeps that long
    assert run.peak_memory_mb > 300
    assert run.steps == {"read": 0.05, "coarse": 0.1}
    assert run.device == "cpu"
    with pytest.raises(SystemExit, match="no such scan"):
        benchmark.segment([sys.executable, str(program)], tmp_path / "missing.nrrd", "cpu")


def test_table(capsys):
    runs = [benchmark.Run(s, 1000 * s, "cpu", {"read": s / 4, f"step {s}": s / 2}) for s in (8.0, 2.0, 4.0)]
    assert benchmark.median_run(runs).wall_seconds == 4
    grids = [benchmark.Grid((330, 360, 360), (0.5, 0.5, 0.5)), benchmark.Grid((100, 100, 100), (0.3, 0.4, 0.5))]
    scans = [Path("first/image.nrrd"), Path("second/image.nrrd")]
    benchmark.Console(width=120).print(benchmark.table(scans, grids, runs[:2], patch_seconds=10.0))
    output = capsys.readouterr().out.splitlines()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output if "|" in line]
    cells = {line[0]: line[1:] for line in lines}
    assert cells[""] == ["first/image.nrrd", "second/image.nrrd"]
    assert cells["voxels"] == ["360 x 360 x 330", "100 x 100 x 100"]
    assert cells["step 8.0, s"] == ["4.00", "-"]
    assert cells["**whole process, s**"] == ["**8.00**", "**2.00**"]
    assert cells["peers' network: patches"] == ["252", "1"]
    assert cells["peers' network alone, s"] == ["2520", "10"]
    assert cells["**peers' network / whole TeethSeg**"] == ["**315 x**", "**5 x**"]
