"""Where a scan came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKED = (".dcm", ".dicom", ".ima", ".zip")  # endings of scans besides those of single files


@dataclass(frozen=True)
class Source:
    """The name of a scan to show, its file or folder, and which series of that."""

    name: str
    path: Path
    simulated: bool = False
    series: str | None = None  # UID

    @property
    def stem(self) -> str:
        """The name without the ending of a file."""
        from ..io.files import SCAN_SUFFIXES

        known = (*SCAN_SUFFIXES, *PACKED)
        endings = (self.name[-len(one) :] for one in known if self.name.lower().endswith(one))
        return self.name.removesuffix(max(endings, key=len, default=""))


def source_of(volume_node) -> Source:
    """The source of a volume of the scene: its file, if it has one."""
    storage = volume_node.GetStorageNode()
    name = volume_node.GetName() or "scan"
    file = storage.GetFileName() if storage is not None else ""
    return Source(name, Path(file or name))
