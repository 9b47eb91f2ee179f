"""What loading of training cases costs: start, main memory and samples a second, from disk and from memory.

    python scripts/benchmark_training_data.py [--cases 200] [--stage coarse|fine] [--spacing 0.8] [--samples 100]

Makes cases from four simulated heads (each copy has other grey values, so that no two are the same), draws a stage's samples
from them, first while cases are prepared and then again, and prints a table. Every row is a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = """
import sys, time
start = time.perf_counter()
from pathlib import Path
import numpy as np
from teethseg.io.case_sources import usable_cases
from teethseg.report import peak_memory_mb
from teethseg.training import cases as store
from teethseg.training.data import CoarseSamples, FineSamples
folder, kind, cache, count = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
kind_of = {"coarse": CoarseSamples, "fine": FineSamples}[sys.argv[5]]
imported, before = time.perf_counter(), peak_memory_mb()
found = usable_cases(folder)
listed = time.perf_counter()
if kind == "memory":
    store._IN_MEMORY = 1 << 50
samples = kind_of(folder, count, 1, 96, cache=cache if kind == "disk" else None)
for source in found:
    samples.cases.store.get(source)
prepared = time.perf_counter()
for index in range(count):
    samples[index]
drawn = time.perf_counter()
print(len(found), listed - imported, prepared - listed, count / (drawn - prepared), before, peak_memory_mb())
"""


def copies(folder: Path, count: int, spacing: float) -> None:
    from teethseg.io.case_folder import write_case_folder
    from teethseg.simulation.cases import simulate_case
    from teethseg.simulation.sources import shape_source

    source = shape_source()
    made = [simulate_case(seed, source, spacing=spacing) for seed in range(min(4, count))]
    for number in range(count):
        case = made[number % len(made)]
        scan = case.scan.with_array(case.scan.array + number)
        write_case_folder(folder / f"case-{number:04d}", scan, case.labels, f"patient-{number}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--stage", choices=("coarse", "fine"), default="fine")
    parser.add_argument("--spacing", type=float, default=0.8)
    parser.add_argument("--samples", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place, "cases"), Path(place, "cache")
        start = time.perf_counter()
        copies(folder, asked.cases, asked.spacing)
        print(f"{asked.cases} cases made in {time.perf_counter() - start:.0f} s\n")
        print("| cases | list them, s | prepare or open them, s | samples a second | memory before, MB | at most, MB |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, kind in (("disk, first run", "disk"), ("disk, later runs", "disk"), ("memory", "memory")):
            command = [sys.executable, "-c", CHILD, str(folder), kind, str(cache), str(asked.samples), asked.stage]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.split()
            count, *figures = told
            cells = [f"{float(figure):.2f}" for figure in figures[:3]] + [
                f"{float(figure):.0f}" for figure in figures[3:]
            ]
            print(f"| {count}, {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
