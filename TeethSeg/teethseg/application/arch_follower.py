"""`ArchFollower`: panorama and sections follow the case: its teeth, the chosen one, and where the slices meet."""

from __future__ import annotations

from ..volume import Volume
from .arch_studio import ArchStudio
from .case import Case


class ArchFollower:
    """See module; the window calls it when it has time to draw."""

    def __init__(self, case: Case, studio: ArchStudio):
        self._case, self._studio = case, studio
        self._straight = False  # whether the head was straightened when the scan was laid along the arches

    def open(self) -> None:
        """Lay the case's scan along the arches.

        Raises
        ------
        TeethSegError
            If the scan cannot be used.
        """
        case = self._case
        self._straight = case.straight
        if case.volume_node is None:
            self._studio.close()
        else:
            self._studio.open(case.scan(), self._labels(), case.volume_node)

    def teeth(self) -> bool:
        """The teeth may have changed; whether the scan had to be laid along the arches anew."""
        case, studio = self._case, self._studio
        moved = self._straight != case.straight  # the patient lies elsewhere now
        anew = studio.scan_node is not case.volume_node or not studio.ready or moved
        if anew:
            self.open()
        else:
            studio.teeth_changed(self._labels())
        return anew

    def chosen(self) -> None:
        """Another tooth was chosen."""
        fdi = self._case.selected
        if self._studio.ready and fdi != self._studio.chosen:
            self._studio.choose(fdi, self._case.centre(fdi) if fdi is not None else None)

    def slices(self) -> None:
        """The slices may meet elsewhere."""
        from ..mrml.views import crossing

        place = crossing(self._case.scene)
        if place is not None and self._studio.ready:
            self._studio.slices_at(place)

    def _labels(self) -> Volume | None:
        case = self._case
        return case.scan().with_array(case.labels()) if case.teeth_node is not None and case.present() else None
