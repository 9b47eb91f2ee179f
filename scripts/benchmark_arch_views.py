"""Times of the panorama and the cross-sections, as a window or page draws them.

    python scripts/benchmark_arch_views.py [--scan SCAN --labels LABELS] [--times 15]

Without a scan, one is simulated. Prints a Markdown table: action, and the median and longest time in ms of several
tries. Each try drags a point of the curve further; "dragged" is the coarse picture that is shown during a drag. The
table also gives processor times (all threads together), because other programs on the computer do not lengthen them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from teethseg.arch_views.arches import Arches, arches_of_teeth
from teethseg.arch_views.box import label_box, scan_box
from teethseg.arch_views.frame import tooth_voxels
from teethseg.arch_views.outlines import panorama_outlines, section_outlines
from teethseg.arch_views.panorama import PanoramaOptions, panorama
from teethseg.arch_views.sections import SectionOptions, around, sections
from teethseg.volume import Volume

SECTIONS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--labels", type=Path, help="FDI numbers of the scan")
    parser.add_argument("--times", type=int, default=15, metavar="N")
    arguments = parser.parse_args()
    scan, labels = _case(arguments.scan, arguments.labels)
    print(f"Scan of {' x '.join(map(str, scan.size))} voxels, {scan.spacing[0]:.2g} mm\n")
    print("| what | ms | longest | processor ms |")
    print("| --- | --- | --- | --- |")

    def row(name: str, act: Callable[[int], object], times: int = arguments.times) -> None:
        clock, processor = [], []
        for n in range(times):
            began, used = time.perf_counter(), time.process_time()
            act(n)
            clock.append(1000 * (time.perf_counter() - began))
            processor.append(1000 * (time.process_time() - used))
        print(f"| {name} | {np.median(clock):.0f} | {max(clock):.0f} | {np.median(processor):.0f} |", flush=True)

    teeth = tooth_voxels(labels)
    arches = arches_of_teeth(teeth)
    row("arches from the teeth, once", lambda n: arches_of_teeth(tooth_voxels(labels)), 3)
    row("scan around the arches, once", lambda n: scan_box(scan, arches), 3)
    box = scan_box(scan, arches)
    row("teeth around the arches, once and after edits", lambda n: label_box(labels, box), 3)
    found = label_box(labels, box)
    coarse, coarse_found = box.thinned(), found.thinned()
    for slab in (10.0, 25.0):
        for projection in ("mean", "maximum"):
            options = PanoramaOptions("both", slab, projection)
            kind = f"panorama of {slab:.0f} mm, {projection}"
            row(f"{kind}, dragged", lambda n, o=options: panorama(coarse, _dragged(arches, n), o))
            row(kind, lambda n, o=options: panorama(box, _dragged(arches, n), o))
    place, rough = panorama(box, arches).geometry, panorama(coarse, arches).geometry
    row("outlines in the panorama, dragged", lambda n: panorama_outlines(coarse_found, rough))
    row("outlines in the panorama", lambda n: panorama_outlines(found, place))
    options = SectionOptions()
    places = around(arches, options, 15.0, SECTIONS)
    row(f"{SECTIONS} sections", lambda n: sections(box, _dragged(arches, n), places, options))
    cuts = [one.plane for one in sections(box, arches, places, options)]
    row(f"outlines in {SECTIONS} sections", lambda n: [section_outlines(found, one, arches, "both") for one in cuts])


def _dragged(arches: Arches, n: int) -> Arches:
    curve = arches.upper.curve
    return arches.with_curve("upper", curve.moved(n % len(curve.handles), curve.handles[n % len(curve.handles)] + 0.5))


def _case(scan: Path | None, labels: Path | None) -> tuple[Volume, Volume]:
    from teethseg.io.files import read_labels, read_scan

    if scan is not None and labels is not None:
        return read_scan(scan), read_labels(labels)
    from teethseg.simulation.cases import simulate_case
    from teethseg.simulation.sources import shape_source

    case = simulate_case(7, shape_source(), "jaws", 0.3)
    return case.scan, case.labels


if __name__ == "__main__":
    main()
