#!/usr/bin/env python3
"""Checks that dcmqi, with which 3D Slicer reads DICOM SEG, finds the same voxels and codes in TeethSeg's files.

    pip install dcmqi
    python scripts/check_dicom_seg.py

TeethSeg writes three teeth on grids with exchanged, mirrored and oblique axes, and dcmqi's `segimage2itkimage` reads
them. Prints a line for each grid; ends with status 1 if any place or code differs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Testing"))

from grids import GRIDS
from teethseg.io.files import write_labels
from teethseg.structures import STRUCTURES
from teethseg.volume import Volume

TEETH = (13, 36, 61)


def labels(direction: np.ndarray) -> Volume:
    """Three teeth without symmetry, in voxels with three different sides."""
    array = np.zeros((9, 11, 13), np.uint8)
    array[1:4, 2:7, 3:5], array[5:8, 1:3, 6:12], array[2:5, 8:10, 7:8] = TEETH
    array[1, 2, 3] = 0
    return Volume(array, (0.3, 0.4, 0.5), (-31.5, 12.25, 70.125), direction)


def differing(volume: Volume, folder: Path, reader: str) -> list[str]:
    """Teeth that dcmqi reads at other places or with another code."""
    write_labels(folder / "teeth.dcm", volume)
    command = [reader, "--inputDICOM", str(folder / "teeth.dcm"), "--outputDirectory", str(folder), "-p", "s"]
    subprocess.run([*command, "--outputType", "nrrd"], check=True, capture_output=True)
    found = json.loads((folder / "s-meta.json").read_text(encoding="utf-8"))["segmentAttributes"]
    wrong = []
    for fdi, (segment,) in zip(TEETH, found, strict=True):
        image = sitk.ReadImage(str(folder / f"s-{segment['labelID']}.nrrd"))
        indices = np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1].tolist()
        theirs = {tuple(np.round(image.TransformIndexToPhysicalPoint(index), 2) + 0.0) for index in indices}
        ours = {tuple(np.round(point, 2) + 0.0) for point in volume.to_lps(np.argwhere(volume.array == fdi))}
        code = segment["SegmentedPropertyTypeCodeSequence"]
        if theirs != ours or code["CodeValue"] != STRUCTURES[fdi].code.value:
            wrong.append(f"{fdi} ({code['CodeMeaning']})")
    return wrong


def main() -> None:
    reader = shutil.which("segimage2itkimage", path=str(Path(sys.executable).parent)) or shutil.which(
        "segimage2itkimage"
    )
    if reader is None:
        sys.exit("segimage2itkimage is missing: pip install dcmqi.")
    failed = False
    for name, direction in GRIDS.items():
        with TemporaryDirectory() as folder:
            wrong = differing(labels(direction), Path(folder), reader)
        failed |= bool(wrong)
        print(f"{name}: {'differs: ' + ', '.join(wrong) if wrong else 'the same places and codes'}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
