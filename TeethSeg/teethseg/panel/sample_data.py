"""Scans to try TeethSeg with, listed in Slicer's Sample Data module: Slicer's public dental CBCT, and a simulated one.

Nothing is fetched or made before the user clicks. The simulated scan is made on this computer by a process of its own,
always the same one, and kept in Slicer's cache; its teeth are known, so that a result can be compared with them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..application.i18n import _
from ..application.simulated_scan import simulated_case

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


def slicers_thumbnails(sources: Iterable) -> dict[str, str]:
    """The pictures that Slicer itself has of public scans, by the SHA-256 of their files.

    Parameters
    ----------
    sources : iterable
        Slicer's descriptions of samples (`slicer.modules.sampleDataSources`).
    """
    return {
        str(checksum).removeprefix("SHA256:"): source.thumbnailFileName
        for source in sources
        for checksum in (source.checksums or ())
        if source.thumbnailFileName
    }


def register_samples(
    register: Callable[..., None],
    icons: Path,
    make_simulated: Callable[[object], None],
    thumbnails: Mapping[str, str] | None = None,
) -> None:
    """List the samples in Slicer's Sample Data module; for the signal `startupCompleted()`.

    Parameters
    ----------
    register : callable
        `SampleData.SampleDataLogic.registerCustomSampleDataSource`.
    icons : Path
        Folder with the thumbnails, `<node>.png`.
    make_simulated : callable
        Called with Slicer's description of the sample when the user clicks the simulated scan: `load_simulated`.
    thumbnails : mapping of str to str, optional
        Of `slicers_thumbnails`; a scan without one has the module's icon.
    """
    known = thumbnails or {}
    for sample in PUBLIC:
        register(
            category=CATEGORY,
            sampleName=sample.name,
            uris=STORE + sample.sha256,
            fileNames=sample.file,
            nodeNames=sample.node,
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=known.get(sample.sha256) or _thumbnail(icons, "TeethSeg"),
        )
    register(
        category=CATEGORY,
        sampleName=SIMULATED,
        uris="",  # nothing to download; Slicer wants a text here
        fileNames="image.nrrd",
        nodeNames=SIMULATED,
        thumbnailFileName=_thumbnail(icons, "Simulated"),
        customDownloader=make_simulated,
    )


def _thumbnail(icons: Path, name: str) -> str | None:
    picture = Path(icons) / f"{name}.png"
    return str(picture) if picture.is_file() else None


def load_simulated(source: object = None) -> None:
    """In Slicer: make the simulated scan unless it is there, showing that it takes a while, and load it."""
    import qt
    import slicer

    from ..application.packages import ensure_packages
    from .install import SlicerInstaller

    with slicer.util.tryWithErrorDisplay(_("The simulated scan cannot be made.")):
        if not ensure_packages(SlicerInstaller()):
            return
        dialog = slicer.util.createProgressDialog(
            labelText=_("Simulating a scan (up to a minute, only once) ..."),
            windowTitle="TeethSeg",
            windowModality=qt.Qt.ApplicationModal,
            autoReset=False,
            maximum=0,
        )
        dialog.show()

        def wait() -> bool:
            slicer.app.processEvents()
            return not dialog.wasCanceled

        try:
            cache = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory())
            case = simulated_case(cache, shutil.which("PythonSlicer") or sys.executable, wait)
        finally:
            dialog.close()
        if case is not None:
            slicer.util.loadVolume(str(case / "image.nrrd"), {"name": SIMULATED})
