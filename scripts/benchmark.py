"""Time and memory of `teethseg segment`, process start included, and of the network that its peers run.

    python scripts/benchmark.py SCAN [SCAN ...] [--peers]
    python scripts/benchmark.py SCAN --voxels 1000 1000 800 --repeat 1    # memory of a large scan

Prints a Markdown table with a column for every scan: voxels, seconds per step, seconds and peak memory of the whole
process, device. Of several runs (`--repeat`) it shows the one with the median time.

With `--peers` it adds the time of the network alone, on the same machine and the same scans, in the configuration that
DentalSegmentator and similar tools use: nnU-Net's `PlainConvUNet` with 6 stages at 0.31 x 0.45 x 0.45 mm, patches of
160 x 128 x 112 voxels that overlap by half, without mirroring (with it: 8 times as long). The weights are random, which
costs the same. The script runs one patch to warm up and times two. It multiplies their mean by the number of patches of
nnU-Net's sliding window over the whole scan. The figure leaves out reading, resampling and export, which the peers need
too.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from rich import box
from rich.console import Console
from rich.table import Table

# All along the array axes (z, y, x).
PEER_SPACING = (0.31, 0.45, 0.45)
PEER_PATCH = (160, 128, 112)
PEER_FEATURES = (32, 64, 128, 256, 320, 320)
# nnU-Net halves an axis while at least 4 voxels remain: 160 and 128 five times, 112 four times. So nothing is padded.
PEER_STRIDES = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1))
PEER_CLASSES = 6  # background, upper skull, mandible, upper teeth, lower teeth, mandibular canal
PEER_TIMED_PATCHES = 2


@dataclass(frozen=True)
class Grid:
    """Voxels and voxel size in mm of a scan, along its array axes (z, y, x)."""

    shape: tuple[int, ...]
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """One run of `teethseg segment`: seconds and memory of the whole process, and its report."""

    wall_seconds: float
    peak_memory_mb: float
    device: str
    steps: dict[str, float]


def scan_grid(scan: Path) -> Grid:
    """The grid of a scan file or of the largest series in a DICOM folder, from headers only."""
    reader = sitk.ImageFileReader()

    def header(name: str) -> sitk.ImageFileReader:
        reader.SetFileName(name)
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            raise SystemExit(f"{name}: this is no image file that can be read; name a scan.") from None
        return reader

    if not scan.is_dir():
        header(str(scan))
        return Grid(reader.GetSize()[::-1], reader.GetSpacing()[::-1])
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(scan))
    files = max((sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(scan), s) for s in series), key=len, default=())
    if not files:
        raise SystemExit(f"{scan}: no DICOM series in this folder; name a scan file or a folder with one.")
    ends = [header(name).GetOrigin() for name in (files[0], files[-1])]
    (width, height), (x, y) = reader.GetSize()[:2], reader.GetSpacing()[:2]
    return Grid((len(files), height, width), (math.dist(*ends) / max(len(files) - 1, 1), y, x))


def segment(command: Sequence[str], scan: Path, device: str) -> Run:
    """Run `teethseg segment` on a scan, with its results in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        report, errors = Path(folder, "report.json"), Path(folder, "errors.txt")
        arguments = ["segment", str(scan), "--output", str(Path(folder, "teeth.seg.nrrd")), "--report", str(report)]
        with errors.open("wb") as log:
            start = time.perf_counter()
            process = subprocess.Popen([*command, *arguments, "--device", device], stdout=log, stderr=log)
            memory = _wait(process)
            wall = time.perf_counter() - start
        if process.returncode:
            messages = errors.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise SystemExit(f"{scan}: teethseg ended with status {process.returncode}:\n{messages}")
        report_values = json.loads(report.read_text(encoding="utf-8"))
    return Run(wall, memory or report_values["peak_memory_mb"], report_values["device"], report_values["seconds"])


def _wait(process: subprocess.Popen) -> float | None:
    """Wait for a process; peak memory in MB of it or of its largest child, None on Windows."""
    if not hasattr(os, "wait4"):  # Windows
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1024)


def enlarged(scan: Path, size: Sequence[int], folder: Path) -> Path:
    """The scan interpolated linearly to `size` voxels (x, y, z) over the same field of view; int16, compressed."""
    image = sitk.Cast(sitk.ReadImage(str(scan)), sitk.sitkInt16)
    spacing = [n * side / new for n, side, new in zip(image.GetSize(), image.GetSpacing(), size, strict=True)]
    resampler = sitk.ResampleImageFilter()
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetSize(list(size))
    resampler.SetOutputSpacing(spacing)
    resampler.SetOutputOrigin(image.GetOrigin())
    resampler.SetOutputDirection(image.GetDirection())
    resampler.SetDefaultPixelValue(float(sitk.GetArrayViewFromImage(image).min()))
    path = folder / f"{scan.parent.name}-{'x'.join(map(str, size))}.nrrd"
    sitk.WriteImage(resampler.Execute(image), str(path), useCompression=True, compressionLevel=1)
    return path


def median_run(runs: Sequence[Run]) -> Run:
    """The run whose time is the median (of an even number, the slower one of the middle)."""
    return sorted(runs, key=lambda run: run.wall_seconds)[len(runs) // 2]


def peer_shape(grid: Grid) -> tuple[int, ...]:
    """Voxels of a scan along (z, y, x) after the peers' resampling."""
    return tuple(round(n * s / t) for n, s, t in zip(grid.shape, grid.spacing, PEER_SPACING, strict=True))


def patch_count(shape: Sequence[int], patch: Sequence[int] = PEER_PATCH) -> int:
    """Patches of nnU-Net's sliding window with steps of at most half a patch; a smaller image is padded to a patch."""
    steps = (math.ceil(max(n - p, 0) / (p * 0.5)) + 1 for n, p in zip(shape, patch, strict=True))
    return math.prod(steps)


def peer_network():
    """nnU-Net's `PlainConvUNet` as it runs when it predicts (without the heads of deep supervision)."""
    import torch
    from torch import nn

    def stage(source: int, width: int, stride=(1, 1, 1)) -> nn.Sequential:
        layers: list[nn.Module] = []
        for channels, step in ((source, stride), (width, (1, 1, 1))):
            layers += [
                nn.Conv3d(channels, width, 3, stride=step, padding=1),
                nn.InstanceNorm3d(width, affine=True),
                nn.LeakyReLU(inplace=True),
            ]
        return nn.Sequential(*layers)

    class PlainConvUNet(nn.Module):
        def __init__(self):
            super().__init__()
            sources = (1, *PEER_FEATURES)
            self.encoder = nn.ModuleList(map(stage, sources, PEER_FEATURES, PEER_STRIDES))
            levels = list(zip(PEER_FEATURES[1:], PEER_FEATURES, PEER_STRIDES[1:], strict=False))[::-1]
            self.up = nn.ModuleList(nn.ConvTranspose3d(deep, wide, step, step) for deep, wide, step in levels)
            self.decoder = nn.ModuleList(stage(2 * wide, wide) for _, wide, _ in levels)
            self.head = nn.Conv3d(PEER_FEATURES[0], PEER_CLASSES, 1)

        def forward(self, x):
            skips = []
            for block in self.encoder:
                x = block(x)
                skips.append(x)
            skips.pop()
            for up, block in zip(self.up, self.decoder, strict=True):
                x = block(torch.cat([up(x), skips.pop()], dim=1))
            return self.head(x)

    return PlainConvUNet()


def peer_patch_seconds(device: str) -> tuple[float, str]:
    """Seconds that the peers' network takes for a patch, and the device.

    The precision is that of nnU-Net: float32 on a CPU, automatic float16 on a CUDA device.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network = peer_network().eval().to(device)
    patch = torch.randn(1, 1, *PEER_PATCH, device=device)
    seconds = []
    with torch.inference_mode(), torch.autocast(device, torch.float16, enabled=device == "cuda"):
        for _ in range(1 + PEER_TIMED_PATCHES):
            start = time.perf_counter()
            network(patch)[0, 0, 0, 0, 0].item()  # reading a value waits for the device
            seconds.append(time.perf_counter() - start)
    where = f"cpu, {torch.get_num_threads()} threads, float32" if device == "cpu" else device
    return statistics.mean(seconds[1:]), where


def table(scans: Sequence[Path], grids: Sequence[Grid], runs: Sequence[Run], patch_seconds: float | None) -> Table:
    """A row for every quantity, a column for every scan."""
    rows = Table("", *("/".join(scan.absolute().parts[-2:]) for scan in scans), box=box.MARKDOWN)

    def add(name: str, values: Sequence[str]) -> None:
        rows.add_row(name, *values)

    add("voxels", [" x ".join(map(str, grid.shape[::-1])) for grid in grids])
    add("spacing, mm", [" x ".join(f"{s:.3g}" for s in grid.spacing[::-1]) for grid in grids])
    add("device", [run.device for run in runs])
    for step in dict.fromkeys(step for run in runs for step in run.steps):
        add(f"{step}, s", [f"{run.steps[step]:.2f}" if step in run.steps else "-" for run in runs])
    add("**whole process, s**", [f"**{run.wall_seconds:.2f}**" for run in runs])
    add("peak memory, MB", [f"{run.peak_memory_mb:.0f}" for run in runs])
    if patch_seconds is not None:
        counts = [patch_count(peer_shape(grid)) for grid in grids]
        seconds = [patch_seconds * count for count in counts]
        add("peers' network: patches", [str(count) for count in counts])
        add("peers' network: s a patch", [f"{patch_seconds:.2f}"] * len(grids))
        add("peers' network alone, s", [f"{s:.0f}" for s in seconds])
        add(
            "**peers' network / whole TeethSeg**",
            [f"**{s / run.wall_seconds:.0f} x**" for s, run in zip(seconds, runs, strict=True)],
        )
    return rows


def teethseg_command() -> list[str]:
    """The `teethseg` of this Python, or else the one on the path."""
    found = shutil.which("teethseg", path=str(Path(sys.executable).parent)) or shutil.which("teethseg")
    if found is None:
        raise SystemExit("teethseg is not installed for this Python; run `pip install -e .` in the repository first.")
    return [found]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("scans", metavar="SCAN", type=Path, nargs="+", help="scan file or folder with a DICOM series")
    parser.add_argument("--peers", action="store_true", help="also time the network that the peers run")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of every scan (default: 3)")
    parser.add_argument(
        "--voxels", type=int, nargs=3, metavar=("X", "Y", "Z"), help="interpolate the scans to this size first"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat is at least 1")
    for scan in options.scans:
        if not scan.exists():
            parser.error(f"there is no {scan}")

    if options.voxels:
        with tempfile.TemporaryDirectory() as folder:
            # In a separate process: the measured processes would inherit the peak memory of this one.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                scans = [(scan, options.voxels, Path(folder)) for scan in options.scans]
                options.scans = pool.starmap(enlarged, scans)
            measure(options)
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Run every measurement that the options name, and print the table."""
    command = teethseg_command()
    grids = [scan_grid(scan) for scan in options.scans]
    runs = [
        median_run([segment(command, scan, options.device) for _ in range(options.repeat)]) for scan in options.scans
    ]
    # After the runs: a process inherits the peak memory of the one that starts it, and PyTorch's is large.
    patch_seconds = None
    if options.peers:
        patch_seconds, where = peer_patch_seconds(options.device)
    # Wide, because a wrapped line breaks a Markdown table.
    Console(width=10_000).print(table(options.scans, grids, runs, patch_seconds))
    if options.peers:
        print(
            f"\nPeers' network: nnU-Net PlainConvUNet, random weights, {where}; mean of {PEER_TIMED_PATCHES} patches "
            f"of {' x '.join(map(str, PEER_PATCH))}, times their number; no mirroring, no resampling, no export."
        )


if __name__ == "__main__":
    main()
