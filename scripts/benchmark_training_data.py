"""Cost of loading training cases: start, main memory and samples a second, from disk and from memory.

    python scripts/benchmark_training_data.py [--cases 200] [--list 500] [--stage coarse|fine] [--spacing 1.5] [--samples 100]

Makes cases from four simulated heads (each copy has other grey values, so that no two are the same), draws a stage's
samples from them, first while cases are prepared and then again, and prints a table. Every row runs in its own process.
Times are processor seconds, which other programs hardly lengthen.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copytree

CHILD = """
import sys, time
from pathlib import Path
from teethseg.io.case_sources import usable_cases
from teethseg.report import peak_memory_mb
from teethseg.training import cases as store
from teethseg.training.data import CoarseSamples, FineSamples
folder, kind, cache, count = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
kind_of = {"coarse": CoarseSamples, "fine": FineSamples}[sys.argv[5]]
imported, before = time.process_time(), peak_memory_mb()
found = usable_cases(folder)
listed = time.process_time()
if kind == "memory":
    store._IN_MEMORY = 1 << 50
samples = kind_of(folder, count, 1, 96, cache=cache if kind == "disk" else None)
for source in found:
    samples.cases.store.get(source)
prepared = time.process_time()
for index in range(count):
    samples[index]
drawn = time.process_time()
print(len(found), listed - imported, prepared - listed, (drawn - prepared) / max(count, 1), before, peak_memory_mb())
"""
# The work of `teethseg train` before the first sample: it compares the patients of both sets and lists the cases.
START = """
import sys, time
from pathlib import Path
from teethseg.io.case_sources import usable_cases
from teethseg.report import peak_memory_mb
from teethseg.training.data import CoarseSamples
imported, before, clock = time.process_time(), peak_memory_mb(), time.perf_counter()
found = usable_cases(sys.argv[1])
CoarseSamples(sys.argv[1], 1, 1).cases.listed()
print(len(found), time.process_time() - imported, time.perf_counter() - clock, before, peak_memory_mb())
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


def linked(folder: Path, more: Path, count: int) -> None:
    """Make `count` cases of hard links to the files of those in `folder`."""
    cases = sorted(folder.iterdir())
    for number in range(count):
        copytree(cases[number % len(cases)], more / f"case-{number:04d}", copy_function=os.link)


def child(code: str, *arguments: object) -> list[float]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    return [float(word) for word in output.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--list", type=int, default=500, help="cases whose start is timed")
    parser.add_argument("--stage", choices=("coarse", "fine"), default="coarse")
    parser.add_argument("--spacing", type=float, default=1.5)
    parser.add_argument("--samples", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, more, cache = Path(place, "cases"), Path(place, "more"), Path(place, "cache")
        copies(folder, options.cases, options.spacing)
        linked(folder, more, options.list)
        count, processor, clock, before, most = child(START, more)
        print(f"Start with {count:.0f} cases: {processor:.2f} s of the processor, {clock:.2f} s by the clock; ", end="")
        print(f"memory {before:.0f} MB before, {most:.0f} MB at most.\n")
        print("| cases | list them, s | prepare or open them, s | a sample, s | memory before, MB | at most, MB |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, kind in (("disk, first run", "disk"), ("disk, later runs", "disk"), ("memory", "memory")):
            count, *seconds, before, most = child(CHILD, folder, kind, cache, options.samples, options.stage)
            cells = [f"{figure:.2f}" for figure in seconds] + [f"{figure:.0f}" for figure in (before, most)]
            print(f"| {count:.0f}, {name} | {' | '.join(cells)} |", flush=True)
        kept = sum(file.stat().st_size for file in cache.rglob("*.npy"))
        print(f"\nPrepared cases on disk: {kept / 1e6:.0f} MB.")


if __name__ == "__main__":
    main()
