"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..anatomy import Notation
from ..cascade.network_choice import DentitionChoice
from ..io.label_schemes import LabelScheme

ScanPath = Annotated[
    Path,
    typer.Argument(
        metavar="SCAN",
        help="The scan: a .nrrd, .nhdr, .nii(.gz), .mha, .mhd or .gipl(.gz) file, DICOM (a folder, or a file), or a .zip.",
    ),
]
SeriesChoice = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="NUMBER",
        help="Which series to take, by its number, or which file, if a folder or zip holds several.",
    ),
]
LabelsPath = Annotated[
    Path,
    typer.Argument(
        metavar="LABELS",
        help="Numbered teeth, of 'teethseg segment' or another program (.seg.nrrd, .nii.gz, DICOM SEG ...).",
    ),
]
LabelsAre = Annotated[
    LabelScheme | None,
    typer.Option(
        "--labels-are",
        help="How label values are numbered where names and codes in the file do not tell which teeth they are.",
    ),
]
NotationChoice = Annotated[
    Notation, typer.Option("--notation", help="How teeth are called: 16 (fdi), #3 (universal) or 6⏌ (palmer).")
]
DeviceChoice = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(
        "--device",
        help="Where the networks run: auto takes a graphics card (cuda: NVIDIA, mps: Apple) if there is one.",
    ),
]
NetworksChoice = Annotated[
    DentitionChoice,
    typer.Option(
        "--dentition",
        help="Which networks: for permanent teeth, or for mixed dentitions (children); auto takes the latter "
        "for patients under 14 years if the file tells the age, else where there seem to be deciduous teeth in the result.",
    ),
]
WeightsPath = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Other network weights (.safetensors) than those of TeethSeg."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the STL files that an earlier run left in the folder.")
]
