"""The simulated scan in Slicer: always the same one, made on this computer by another process, and kept in Slicer's cache."""

from __future__ import annotations

from pathlib import Path

from ..application.i18n import _
from ..application.samples import SIMULATED
from ..application.simulated_scan import simulated_case


def load_simulated(_source: object = None) -> None:
    """In Slicer: make the simulated scan unless it is there, showing that it takes a while, and load it."""
    import qt
    import slicer

    from ..application.packages import ensure_packages, worker_python
    from .install import SlicerInstaller

    with slicer.util.tryWithErrorDisplay(_("The simulated scan cannot be made.")):
        if not ensure_packages(SlicerInstaller()):
            return
        dialog = slicer.util.createProgressDialog(
            labelText=_("Simulating a scan (up to a minute, only once) …"),
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
            case = simulated_case(cache, worker_python(), wait)
        finally:
            dialog.close()
        if case is not None:
            slicer.util.loadVolume(str(case / "image.nrrd"), {"name": SIMULATED})
