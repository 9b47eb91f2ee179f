"""`ScanDisplay`: how views draw the scan and its teeth, for windows that have no such controls of their own."""

from __future__ import annotations

from ..padding import PatientGreys, patient_greys
from ..window_level import DEFAULT_WINDOW, grey_windows
from .case import Case
from .i18n import _
from .view_navigation import ViewNavigation

RENDERED = "Teeth"  # the grey window of volume rendering


class ScanDisplay:
    """See module.

    Parameters
    ----------
    case : Case
        Whose scan and teeth are drawn, also when it gets others.
    navigation : ViewNavigation
        Whose places the crosshair follows.

    Attributes
    ----------
    window : str
        Name of the grey window (`window_level.WINDOWS`).
    crosshair : bool
        Whether the point where the slices meet is marked.
    outlines_only : bool
        Whether teeth are drawn in slices as outlines, not filled.
    """

    def __init__(self, case: Case, navigation: ViewNavigation):
        self._case = case
        self.window, self.crosshair, self.outlines_only = DEFAULT_WINDOW, False, False
        self._windows: dict[str, tuple[float, float]] = {}
        self._greys = PatientGreys(0.0, 1.0)
        case.scan_changed.connect(self._on_scan)
        case.changed.connect(self._show_outlines)
        navigation.moved.connect(self._on_moved)

    def show_window(self, name: str) -> None:
        """Draw the grey values of another window from black to white."""
        from ..mrml import volumes

        self.window = name
        if self._case.volume_node is not None:
            volumes.show_window(self._case.volume_node, self._windows[name])

    def show_crosshair(self, shown: bool) -> None:
        """Mark the point where the slices meet, or do not."""
        from ..mrml import views

        self.crosshair = shown
        views.show_crosshair(self._case.scene, shown)
        place = views.crossing(self._case.scene)
        if shown and self._case.volume_node is not None and place is not None:
            views.move_crosshair(self._case.scene, place)

    def show_outlines_only(self, only: bool) -> None:
        """Draw teeth in slices as outlines, or filled too."""
        self.outlines_only = only
        self._show_outlines()

    def colour_rendering(self, display) -> None:
        """Let volume rendering (a display node) show teeth and bone of this scan."""
        from ..mrml import volumes

        volumes.colour_rendering(display, self._windows[RENDERED], self._greys)

    def _on_scan(self) -> None:
        from ..mrml import volumes

        node = self._case.volume_node
        if node is None:
            return
        scan = self._case.scan()
        self._windows = grey_windows(scan.array, scan.padding)
        self._greys = patient_greys(scan.array, scan.padding)
        volumes.show_through_padding(node, self._greys)
        self.show_window(self.window)
        self.show_crosshair(self.crosshair)

    def _show_outlines(self) -> None:
        node = self._case.teeth_node
        if node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility2DFill(not self.outlines_only)

    def _on_moved(self, place: tuple[float, float, float] | None) -> None:
        if place is not None:
            from ..mrml import views

            views.move_crosshair(self._case.scene, place)


def window_titles() -> dict[str, str]:
    """Grey windows in the user's language, by their names."""
    return {
        "Bone and teeth": _("Bone and teeth"),
        "Teeth": _("Teeth"),
        "Soft tissue": _("Soft tissue"),
        "Whole range": _("Whole range"),
    }
