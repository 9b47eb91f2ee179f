"""Throughput of `teethseg batch` beside one run of `teethseg segment` for each scan, in scans an hour.

    python scripts/benchmark_batch.py [--scans 6] [--view jaws] [--spacing 0.4] [--jobs N] [--dask]

Makes simulated scans, segments them both ways (`batch` draws a picture of each, too), checks that the teeth are the
same, and prints a table: clock seconds, which other programs lengthen, and seconds of all processors, which they hardly
lengthen.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TEETHSEG = [sys.executable, "-c", "from teethseg.cli import main; main()"]


def timed(*commands: list[str]) -> tuple[float, float]:
    """Clock seconds, and seconds of all processors together."""
    start, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run([*TEETHSEG, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    own = after.children_user - before.children_user + after.children_system - before.children_system
    return time.perf_counter() - start, own


def one_by_one(cases: list[Path], out: Path) -> tuple[float, float]:
    """A run of `teethseg segment` for each scan."""
    out.mkdir()
    return timed(
        *(
            ["segment", str(case / "image.nrrd"), "-o", str(out / f"{case.name}.seg.nrrd"), "--device", "cpu"]
            for case in cases
        )
    )


def on_cluster(folder: Path, out: Path, workers: int) -> tuple[float, float]:
    """Times with a scheduler and workers on this computer; their start does not count: they serve many folders."""
    dask = [sys.executable, "-m", "dask"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        processes = [subprocess.Popen(scheduler, stderr=log, stdout=log)]
        try:
            while not (found := re.search(r"tcp://127\.0\.0\.1:\d+", (log.seek(0), log.read())[1])):
                time.sleep(0.2)
            worker = [*dask, "worker", found[0], "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            processes += [subprocess.Popen(worker, **quiet) for _ in range(workers)]
            return timed(["batch", str(folder), str(out), "--device", "cpu", "--scheduler", found[0]])
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(30)


def same_teeth(cases: list[Path], folder: Path, out: Path) -> tuple[int, int]:
    """Cases whose teeth have the same numbers in both folders, and voxels that differ (rounding of other threads)."""
    from teethseg.io.files import read_labels

    same = differing = 0
    for case in cases:
        one = read_labels(folder / f"{case.name}.seg.nrrd").array
        other = read_labels(next(out.glob(f"{case.name}__image*")) / "teeth.seg.nrrd").array
        same += np.array_equal(np.unique(one), np.unique(other))
        differing += int(np.count_nonzero(one != other))
    return same, differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scans", type=int, default=6)
    parser.add_argument("--view", default="jaws")
    parser.add_argument("--spacing", type=float, default=0.4)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--dask", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "in")
        making = ["simulate", str(folder), "--count", str(options.scans), "--seed", "1", "--view", options.view]
        timed([*making, "--spacing", str(options.spacing)])
        cases = sorted(folder.iterdir())
        alone = Path(place, "alone")
        results = {"segment, one by one": one_by_one(cases, alone)}
        batch = ["batch", str(folder), str(place) + "/batch", "--device", "cpu", "--jobs", str(options.jobs)]
        results[f"batch --jobs {options.jobs}"] = timed(batch)
        same = same_teeth(cases, alone, Path(place, "batch"))
        if options.dask:
            results[f"batch, {options.jobs} Dask workers"] = on_cluster(folder, Path(place, "dask"), options.jobs)
        first, own = next(iter(results.values()))
        print("| how | s a scan | scans an hour | times as fast | processor s a scan | of single runs' |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, (seconds, processor) in results.items():
            each = seconds / len(cases)
            processor_cells = f"{processor / len(cases):.1f} | {processor / own:.2f}" if "Dask" not in name else "- | -"
            print(f"| {name} | {each:.1f} | {3600 / each:.0f} | {first / seconds:.2f} | {processor_cells} |")
        print(f"\nThe same numbers: {same[0]} of {len(cases)} scans; voxels that differ in all of them: {same[1]}.")


if __name__ == "__main__":
    main()
