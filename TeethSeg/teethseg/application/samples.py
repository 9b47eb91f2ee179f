"""Scans to try TeethSeg with, as Slicer's Sample Data module lists them: its public dental CBCT, and a simulated one.

Nothing is fetched or made before the user clicks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CATEGORY = "TeethSeg"
# Slicer's own store of test data, by SHA-256; as in its module Sample Data (CBCTDentalSurgery).
STORE = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"


@dataclass(frozen=True)
class Sample:
    """A public scan. Name, file and node are the ones that Slicer uses, so that it is fetched only once."""

    name: str
    file: str
    node: str
    sha256: str


PUBLIC = (
    Sample(
        "CBCT before dental surgery",
        "PreDentalSurgery.gipl.gz",
        "PreDentalSurgery",
        "7bfa16945629c319a439f414cfb7edddd2a97ba97753e12eede3b56a0eb09968",
    ),
    Sample(
        "CBCT after dental surgery",
        "PostDentalSurgery.gipl.gz",
        "PostDentalSurgery",
        "4cdc3dc35519bb57daeef4e5df89c00849750e778809e94971d3876f95cc7bbd",
    ),
)
SIMULATED = "Simulated CBCT"


def is_sample(name: str) -> bool:
    """Whether a volume of that name is one of the samples; Slicer adds a number to a name that is taken."""
    return name.startswith((SIMULATED, *(sample.node for sample in PUBLIC)))


def register_samples(register: Callable[..., None], icons: Path, make_simulated: Callable[[object], None]) -> None:
    """List the samples in Slicer's Sample Data module; for the signal `startupCompleted()`.

    Parameters
    ----------
    register : callable
        `SampleData.SampleDataLogic.registerCustomSampleDataSource`.
    icons : Path
        Folder with the thumbnails, `<node>.png`.
    make_simulated : callable
        Called with Slicer's description of the sample when the user clicks the simulated scan.
    """
    for sample in PUBLIC:
        register(
            category=CATEGORY,
            sampleName=sample.name,
            uris=STORE + sample.sha256,
            fileNames=sample.file,
            nodeNames=sample.node,
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=str(icons / f"{sample.node}.png"),
        )
    register(
        category=CATEGORY,
        sampleName=SIMULATED,
        uris="",  # nothing to download; Slicer wants a text here
        fileNames="image.nrrd",
        nodeNames=SIMULATED,
        thumbnailFileName=str(icons / "Simulated.png"),
        customDownloader=make_simulated,
    )
