"""Time and memory of reading DICOM: a table, with another version of TeethSeg beside if one is given.

    python scripts/benchmark_dicom.py                               # 512 slices of 512 x 512
    python scripts/benchmark_dicom.py --before /path/to/checkout    # and the reader of another checkout

Every reading runs in its own process, with the files in the system's cache. The table gives the shortest of several
readings, because load only lengthens them. It also gives CPU time, which load affects less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
READ = """
import json, resource, sys, time
from teethseg.io.files import read_scan
import pydicom, SimpleITK  # late imports of the readers are not measured
wall, cpu = time.perf_counter(), time.process_time()
volume = read_scan(sys.argv[1])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([wall, cpu, peak / 1024, list(volume.array.shape), str(volume.array.dtype), int(volume.array.sum(dtype=int))]))
"""


def write(folder: Path, slices: int, size: int, form: str) -> None:
    """Write the files of a CBCT as a device does: noise, integers, an intercept."""
    sys.path.insert(0, str(REPOSITORY / "Testing"))
    from dicom_series import write_enhanced, write_series
    from teethseg.volume import Volume

    noise = np.random.default_rng(0).integers(0, 4000, (8, size, size)).astype(np.int16)
    array = np.broadcast_to(noise[:, None], (8, slices // 8, size, size)).reshape(slices, size, size)
    volume = Volume(array, (0.3, 0.3, 0.3))
    if form == "files":
        write_series(folder, volume, RescaleIntercept=-1024)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_enhanced(folder / "scan.dcm", volume, intercept=-1024)


def measured(checkout: Path, folder: Path, runs: int) -> list:
    """Shortest wall and CPU time, least memory, and the volume."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "TeethSeg")}
    results = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", READ, str(folder)],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        results.append(json.loads(done.stdout))
    return [min(result[at] for result in results) for at in range(3)] + results[0][3:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="CHECKOUT", type=Path, help="another checkout of TeethSeg")
    parser.add_argument("--slices", type=int, default=512)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    versions = {"now": REPOSITORY} | ({"before": options.before} if options.before else {})
    print(f"{options.slices} slices of {options.size} x {options.size}, shortest of {options.runs} readings")
    print("| files | version | wall s | CPU s | peak MB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for form in ("files", "one file"):
            place = Path(folder, form)
            # In a separate process: the readers would inherit the peak memory of this one.
            writer = get_context("spawn").Process(target=write, args=(place, options.slices, options.size, form))
            writer.start()
            writer.join()
            contents = set()
            for name, checkout in versions.items():
                wall, cpu, peak, *content = measured(checkout, place, options.runs)
                contents.add(json.dumps(content[0]) + str(content[2]))
                print(f"| {form} | {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} |", flush=True)
            if len(contents) > 1:
                raise SystemExit(f"the versions read different voxels: {contents}")


if __name__ == "__main__":
    main()
