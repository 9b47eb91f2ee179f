"""`ArchViewer`: panorama, cross-sections and the arches from above, with mouse actions in them; both windows draw it.

The three pictures are linked: a click in one moves the slices, the others and the chosen tooth along.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import UsageError
from ..volume import Volume
from .compute import Compute, at_once
from .i18n import _
from .signals import Signal

if TYPE_CHECKING:
    from PIL import Image

    from ..arch_views.arches import Arches, Jaws
    from ..arch_views.box import ArchBox
    from ..arch_views.curve import ArchCurve
    from ..arch_views.panorama import Panorama, PanoramaOptions, Projection
    from ..arch_views.sections import Section, SectionOptions, SectionPlane
    from ..mrml.arch_nodes import Kind

View = Literal["panorama", "section", "plan"]
VIEWS: tuple[View, ...] = ("plan", "panorama", "section")
Point = tuple[float, float, float]
PNG_FILES = ("panorama.png", "sections.png")  # what `ArchViewer.export_png` writes ...
DICOM_FILES = ("panorama.dcm", "section_*.dcm")  # ... and `export_dicom`
SHOWN = 7  # sections beside each other
PLAN_MM = 5.0  # above and below the occlusal plane that the arches are seen from above
NEAR = 8.0  # pixels of the picture within which a press grabs a point of the curve
SHEET_PIXELS = 8.0  # of the printed page for each mm
PLAN_SHEET_MM = 90.0
FLIP = np.array([-1.0, -1.0, 1.0])


class ArchViewer:
    """See module.

    Parameters
    ----------
    scene : vtkMRMLScene
        Holds the curves and the measures.
    number : callable
        A tooth's number (FDI) as the user reads numbers.
    go_to : callable
        Moves the slices to a point, RAS mm.
    select : callable
        Chooses a tooth (FDI).
    compute : Compute, optional

    Attributes
    ----------
    changed : Signal
        Pictures are to be drawn anew.
    message : Signal
        A message for the user: text and kind.
    measuring : {'', 'distance', 'angle'}
        The measure that the next clicks make.
    box : ArchBox or None
        Grey values around the arches.
    reformat : Panorama or None
        The panorama as it was drawn last.
    cuts : list of Section
        The sections beside each other.
    outlines : dict
        Of the teeth in the panorama, by FDI number.
    scales : dict
        Pixels of each picture for one of its grey values, as it was drawn last.
    """

    def __init__(
        self, scene, number: Callable[[int], str], go_to: Callable, select: Callable, compute: Compute = at_once
    ):
        self._scene, self._number, self._go_to, self._select, self._compute = scene, number, go_to, select, compute
        self._volume_node: Any = None
        self._scan: Volume | None = None
        self._labels: Volume | None = None
        self.arches: Arches | None = None
        self.box: ArchBox | None = None
        self._label_box: ArchBox | None = None  # labels on the voxels of the box
        self._thin: tuple[ArchBox, ArchBox | None] | None = None
        self.reformat: Panorama | None = None
        self.cuts: list[Section] = []
        self.outlines: dict = {}
        self._section_outlines: list[dict] = []
        self.scales: dict[str, float] = {}
        self._drag: tuple[Jaws, int] | None = None
        self._marks: list[np.ndarray] = []
        self.chosen: int | None = None
        self.here: np.ndarray | None = None  # where the slices meet, LPS mm
        self.place = 0.0  # of the middle section, mm along the arch
        self.jaws: Jaws = "both"
        self.projection: Projection = "mean"
        self.slab_mm, self.distance_mm, self.thickness_mm = 10.0, 2.0, 1.0
        self.measuring: Kind | Literal[""] = ""
        self.busy = False
        self.changed = Signal()
        self.message = Signal()

    @property
    def scan_node(self):
        """The scan that was opened."""
        return self._volume_node

    @property
    def ready(self) -> bool:
        """Whether there are pictures."""
        return self.reformat is not None

    @property
    def aspect(self) -> float:
        """How much wider than high the panorama is."""
        rows, columns = self.reformat.grey.shape if self.reformat is not None else (1, 2)
        return columns / rows

    @property
    def _laid(self) -> tuple[Arches, ArchBox]:
        """Arches and box of a scan that is laid along the arches."""
        assert self.arches is not None and self.box is not None
        return self.arches, self.box

    def open(self, scan: Volume, labels: Volume | None, volume_node) -> None:
        """Take a scan with its teeth; the arches are those of the scene, or follow the teeth, or are None without any."""
        from ..arch_views.arches import arches_of_teeth
        from ..arch_views.frame import tooth_voxels
        from ..mrml.arch_nodes import read_arches

        self.close()
        self._scan, self._labels, self._volume_node = scan, labels, volume_node
        kept = read_arches(self._scene, volume_node)
        self._begin(lambda: kept or (arches_of_teeth(tooth_voxels(labels)) if labels is not None else None))

    def follow_teeth(self) -> None:
        """Lay the arches along the teeth again."""
        from ..arch_views.arches import arches_of_teeth
        from ..arch_views.frame import tooth_voxels

        labels = self._labels
        if labels is not None:
            self._begin(lambda: arches_of_teeth(tooth_voxels(labels)))

    def draw_arch(self, points: list[Point]) -> None:
        """Lay one arch through points that were clicked, RAS mm; at least three."""
        from ..arch_views.arches import arches_of_points

        if len(points) < 3:
            self.message.emit(_("Click at least three points along the arch."), "warning")
            return
        places = np.array(points) * FLIP
        frame = self.arches.frame if self.arches is not None else None
        self._begin(lambda: arches_of_points(places, frame))

    def teeth_changed(self, labels: Volume | None) -> None:
        """Outline the teeth as they are now; the arches stay."""
        self._labels = labels
        if self.box is None:
            return
        self._find_teeth()
        self._redraw()

    def close(self) -> None:
        """Forget the scan."""
        self._scan = self._labels = self._volume_node = self.arches = self.box = self._label_box = self._thin = None
        self.reformat, self.cuts, self.outlines, self._section_outlines = None, [], {}, []
        self._marks, self._drag, self.chosen, self.here, self.place = [], None, None, None, 0.0
        self.changed.emit()

    def set(self, **options) -> None:
        """Change `jaws`, `slab_mm`, `projection`, `distance_mm` or `thickness_mm`."""
        for name, value in options.items():
            setattr(self, name, value)
        if self.box is not None:
            self._redraw()

    def choose(self, fdi: int | None, ras: Point | None) -> None:
        """Let another tooth stand out, and move the sections to it."""
        self.chosen = fdi
        if self.arches is not None and ras is not None:
            from ..arch_views.sections import place_of

            self.place = place_of(self.arches, self.jaws, np.array(ras) * FLIP)
            self._cut()
        self.changed.emit()

    def slices_at(self, ras: Point) -> None:
        """Mark another point where the slices meet."""
        here = np.array(ras) * FLIP
        if self.here is None or np.linalg.norm(here - self.here) > 0.05:
            self.here = here
            self.changed.emit()

    # Pictures

    def panorama(self, width: int) -> Image.Image | None:
        """The panorama, at most `width` pixels wide."""
        from ..pictures.arch_pictures import Overlay, picture
        from ..pictures.canvas import grey_window

        if self.reformat is None:
            return None
        place, grey = self.reformat.geometry, self.reformat.grey
        scale = self.scales["panorama"] = width / grey.shape[1]
        column = (self.place - place.first_mm) / place.step
        ends = np.array([[column, 0.0], [column, grey.shape[0] - 1.0]])
        here = None
        if self.here is not None:
            at = place.pixel(self.here[None])
            here = (float(at[0][0]), float(at[1][0]))
        texts = {fdi: self._number(fdi) for fdi in self.outlines}
        measures = self._drawn(lambda points: np.column_stack(place.pixel(points)[:2]))
        overlay = Overlay(self.outlines, texts, self.chosen, [ends], None, here, measures)
        return picture(grey, grey_window(grey), scale, overlay)

    def strip(self, width: int) -> Image.Image | None:
        """The sections beside each other, at most `width` pixels wide."""
        from ..pictures.arch_pictures import Overlay, picture, side_by_side
        from ..pictures.canvas import grey_window

        if not self.cuts:
            return None
        across = self.cuts[0].grey.shape[1]
        scale = self.scales["section"] = max((width / len(self.cuts) - 4) / across, 0.2)
        window = grey_window(np.stack([one.grey for one in self.cuts]))
        images, titles = [], []
        for one, outlines in zip(self.cuts, self._section_outlines, strict=True):
            measures = self._drawn(functools.partial(self._in_plane, one.plane))
            texts = {fdi: self._number(fdi) for fdi in outlines}
            images.append(picture(one.grey, window, scale, Overlay(outlines, texts, self.chosen, measures=measures)))
            titles.append(_("{place} mm").format(place=f"{one.plane.place_mm:+.1f}"))
        return side_by_side(images, titles)

    def plan(self, width: int) -> Image.Image | None:
        """The arches from above, as from the feet: the patient's right is on the left."""
        from ..pictures.arch_pictures import Overlay, picture
        from ..pictures.canvas import grey_window

        if self.box is None or self.arches is None:
            return None
        levels = np.abs(self.box.heights) <= PLAN_MM
        grey = self.box.array[levels].mean(axis=0) if levels.any() else self.box.array.mean(axis=0)
        scale = self.scales["plan"] = width / grey.shape[1]
        lines, dots = [], []
        for jaws in self._dragged_jaws():
            curve = self._curve_of(jaws)
            places = np.linspace(curve.ends[0], curve.ends[1], 120)
            lines.append(self.plan_pixel(curve.at(places)))
            dots.append(self.plan_pixel(curve.handles))
        for one in self.cuts:
            middle = (one.plane.shape[1] - 1) / 2
            ends = one.plane.lps(np.array([middle - 25, middle + 25]), np.zeros(2))
            lines.append(self.plan_pixel(self.arches.frame.from_lps(ends)[:, :2]))
        here = None
        if self.here is not None:
            here = tuple(self.plan_pixel(self.arches.frame.from_lps(self.here)[None, :2])[0].tolist())
        return picture(grey, grey_window(grey), scale, Overlay(lines=lines, dots=np.concatenate(dots), here=here))

    # The mouse in the pictures; places are in pixels of the picture that was drawn last

    def press(self, view: View, x: float, y: float) -> None:
        """Take a press of the mouse: it grabs a point of the curve, or moves the views to the point under it."""
        if not self.ready:
            return
        self._drag = self._handle_at(x, y) if view == "plan" else None
        if self._drag is not None:
            return
        point, fdi = self._point_at(view, x, y)
        if point is None:
            return
        if self.measuring:
            self._measure(point)
            return
        from ..arch_views.sections import place_of

        self.here = point
        if view != "section":
            self.place = place_of(self._laid[0], self.jaws, point)
            self._cut()
        self._go_to(tuple((point * FLIP).tolist()))
        if fdi is not None and fdi != self.chosen:
            self._select(fdi)
        self.changed.emit()

    def move(self, x: float, y: float) -> None:
        """Drag a point of the curve with the button down; all pictures follow, coarsely."""
        if self._drag is not None:
            self._move_handle(x, y)
            self._redraw(coarse=True)

    def release(self, x: float, y: float) -> None:
        """End a drag: the pictures are fine again, and the curve is written into the scene."""
        if self._drag is None:
            return
        self._move_handle(x, y)
        self._drag = None
        self._redraw()
        self.keep()

    def measure(self, kind: Kind | Literal[""]) -> None:
        """Let the next clicks measure a distance (two) or an angle (three, its corner second); '' ends measuring."""
        self.measuring, self._marks = kind, []
        self.changed.emit()

    def clear_measures(self) -> None:
        """Remove all measures that were made here."""
        from ..mrml.arch_nodes import remove_measures

        remove_measures(self._scene)
        self._marks = []
        self.changed.emit()

    def curve_dragged(self) -> None:
        """Follow a curve that was dragged in another view."""
        from ..mrml.arch_nodes import read_arches

        arches = read_arches(self._scene, self._volume_node) if self._volume_node is not None else None
        if arches is not None and self._drag is None and self.box is not None:
            self.arches = arches
            self._redraw()

    # Exports

    def export_png(self, folder: Path) -> list[Path]:
        """Write the panorama and the sections as PNG; returns the files."""
        from ..pictures.canvas import save_png

        self._drawn_panorama()
        files = [folder / name for name in PNG_FILES]
        for file, image in zip(files, (self.panorama(1600), self.strip(1600)), strict=True):
            if image is not None:
                save_png(image, file)
        return files

    def export_dicom(self, folder: Path, patient: dict[str, str] | None = None) -> list[Path]:
        """Write the panorama and the sections as DICOM secondary capture, with their geometry; returns the files.

        They replace those of an earlier export all at once, so that the folder holds one series.
        """
        from ..io.secondary_capture import Plane, new_series, series_replaced, write_secondary_capture

        reformat = self._drawn_panorama()
        series = new_series("TeethSeg panorama and cross-sections", patient)
        with series_replaced(folder, series.description, DICOM_FILES) as new:
            files = [new / "panorama.dcm"]
            how = f"Panorama, {self.projection} of {self.slab_mm:g} mm, {self.jaws}"
            write_secondary_capture(files[0], reformat.grey, reformat.geometry.step, series, 1, how)
            for n, one in enumerate(self.cuts, start=2):
                plane = Plane(one.plane.corner, one.plane.across, one.plane.down)
                file = new / f"section_{n - 1:02d}.dcm"
                comment = (
                    f"Cross-section at {one.plane.place_mm:+.1f} mm along the arch, {self.thickness_mm:g} mm thick"
                )
                write_secondary_capture(file, one.grey, one.plane.step, series, n, comment, plane)
                files.append(file)
        return [folder / file.name for file in files]

    def export_sheet(self, file: Path, title: str) -> Path:
        """Write one page to print: panorama, sections, the chosen tooth and all measures."""
        from ..pictures.arch_sheet import arch_sheet

        reformat, (_arches, box) = self._drawn_panorama(), self._laid
        width = reformat.grey.shape[1] * reformat.geometry.step
        image, plan = self.panorama(round(width * SHEET_PIXELS)), self.plan(round(PLAN_SHEET_MM * SHEET_PIXELS))
        strip = self.strip(1400)
        assert image is not None and plan is not None and strip is not None
        across = strip.width / self.scales["section"] * self.cuts[0].plane.step
        lines = [self._tooth_line(self.chosen)] if self.chosen is not None else []
        lines += [one.text for one in self._drawn(lambda points: points[:, :2], everything=True)]
        lines += [
            _("Slab {slab} mm, {projection}").format(slab=f"{self.slab_mm:g}", projection=self.projection),
            _("Sections every {distance} mm, {thickness} mm thick").format(
                distance=f"{self.distance_mm:g}", thickness=f"{self.thickness_mm:g}"
            ),
        ]
        plan_mm = box.array.shape[2] * box.step
        upper = [(image, width, _("Panorama")), (plan, plan_mm, _("From above"))]
        arch_sheet(file, title, upper, [(strip, across, _("Cross-sections"))], lines)
        return file

    def export_all(self, folder: Path, title: str) -> None:
        """Write pictures, DICOM and the page to print into a new folder."""
        folder.mkdir()
        self.export_png(folder)
        self.export_dicom(folder)
        self.export_sheet(folder / "panorama.pdf", title)

    # Internals

    def _drawn_panorama(self) -> Panorama:
        if self.reformat is None or not self.cuts:
            raise UsageError(_("There is no panorama yet: segment the scan, or click points along the arch."))
        return self.reformat

    def _begin(self, find: Callable[[], Arches | None]) -> None:
        from ..arch_views.box import scan_box

        scan, node = self._scan, self._volume_node
        if scan is None:
            return
        self.busy = True

        def work():
            arches = find()
            return (arches, scan_box(scan, arches)) if arches is not None else (None, None)

        def done(found) -> None:
            self.busy = False
            if node is not self._volume_node:
                return
            self.arches, self.box = found
            if self.arches is None:
                self.message.emit(_("There are too few teeth to see an arch: click a few points along it."), "info")
                self.changed.emit()
                return
            self._find_teeth()
            self.keep()
            self._redraw()

        def failed(error: Exception) -> None:
            self.busy = False
            self.message.emit(str(error), "error")

        self._compute(work, done, failed)

    def _find_teeth(self) -> None:
        from ..arch_views.box import label_box

        box = self._laid[1]
        labels = self._label_box = label_box(self._labels, box) if self._labels is not None else None
        self._thin = (box.thinned(), labels.thinned() if labels is not None else None)

    def _boxes(self, coarse: bool) -> tuple[ArchBox, ArchBox | None]:
        """The box and the labels in it, all of their voxels or some."""
        return self._thin if coarse and self._thin is not None else (self._laid[1], self._label_box)

    def _options(self) -> PanoramaOptions:
        from ..arch_views.panorama import PanoramaOptions

        return PanoramaOptions(self.jaws, self.slab_mm, self.projection)

    def _section_options(self) -> SectionOptions:
        from ..arch_views.sections import SectionOptions

        return SectionOptions(self.jaws, self.distance_mm, self.thickness_mm)

    def _redraw(self, coarse: bool = False) -> None:
        from ..arch_views.outlines import panorama_outlines
        from ..arch_views.panorama import panorama

        box, labels = self._boxes(coarse)
        self.reformat = panorama(box, self._laid[0], self._options())
        self.outlines = panorama_outlines(labels, self.reformat.geometry) if labels is not None else {}
        self._cut(coarse)
        self.changed.emit()

    def _cut(self, coarse: bool = False) -> None:
        from ..arch_views.outlines import section_outlines
        from ..arch_views.sections import around, sections

        (box, labels), arches, options = self._boxes(coarse), self._laid[0], self._section_options()
        places = around(arches, options, self.place, SHOWN)
        self.cuts = sections(box, arches, places, options)
        self._section_outlines = [
            section_outlines(labels, one.plane, arches, self.jaws) if labels is not None else {} for one in self.cuts
        ]

    def keep(self) -> None:
        """Write the arches into the scene."""
        from ..mrml.arch_nodes import write_arches

        write_arches(self._scene, self._laid[0], self._volume_node)

    def _dragged_jaws(self) -> list[Jaws]:
        """The jaws whose curves are shown and can be dragged."""
        if self._laid[0].single:
            return ["both"]
        return ["upper", "lower"] if self.jaws == "both" else [self.jaws]

    def plan_pixel(self, points: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of the box that hold points (N, 2) of the occlusal plane, mm."""
        box = self._laid[1]
        return (points - box.start[:2]) / box.step

    def _curve_of(self, jaws: Jaws) -> ArchCurve:
        arches = self._laid[0]
        return (arches.upper if jaws == "upper" else arches.lower).curve

    def _handle_at(self, x: float, y: float) -> tuple[Jaws, int] | None:
        best: tuple[Jaws, int] | None = None
        nearest = NEAR
        for jaws in self._dragged_jaws():
            off = np.linalg.norm(self.plan_pixel(self._curve_of(jaws).handles) * self.scales["plan"] - (x, y), axis=1)
            if off.min() < nearest:
                best, nearest = (jaws, int(off.argmin())), float(off.min())
        return best

    def _move_handle(self, x: float, y: float) -> None:
        if self._drag is None:
            return
        (jaws, handle), (arches, box) = self._drag, self._laid
        to = np.array([x, y]) / self.scales["plan"] * box.step + box.start[:2]
        self.arches = arches.with_curve(jaws, self._curve_of(jaws).moved(handle, to))

    def _point_at(self, view: View, x: float, y: float) -> tuple[np.ndarray | None, int | None]:
        """The point of the patient (LPS mm) under a pixel of a picture, and the tooth there."""
        scale, (arches, box) = self.scales.get(view, 1.0), self._laid
        if view == "panorama" and self.reformat is not None:
            point = self.reformat.lps(x / scale, y / scale)
            return point, _inside(self.outlines, x / scale, y / scale)
        if view == "plan":
            place = np.array([x, y]) / scale * box.step + box.start[:2]
            point = arches.frame.to_lps(np.array([*place, 0.0]))
            return point, self._tooth_at(point)
        wide = self.cuts[0].grey.shape[1] * scale
        n = int(x // (round(wide) + 4))
        if not 0 <= n < len(self.cuts):
            return None, None
        column, row = (x - n * (round(wide) + 4)) / scale, y / scale
        if column >= self.cuts[n].grey.shape[1] or row >= self.cuts[n].grey.shape[0]:
            return None, None
        point = self.cuts[n].plane.lps(np.array([column]), np.array([row]))[0]
        return point, _inside(self._section_outlines[n], column, row)

    def _tooth_at(self, point: np.ndarray) -> int | None:
        if self._labels is None:
            return None
        index = np.rint(self._labels.to_index(point)).astype(int)
        if (index < 0).any() or (index >= self._labels.array.shape).any():
            return None
        return int(self._labels.array[tuple(index)]) or None

    def _measure(self, point: np.ndarray) -> None:
        from ..mrml.arch_nodes import add_measure

        if not self.measuring:
            return
        self._marks.append(point)
        if len(self._marks) == (2 if self.measuring == "distance" else 3):
            add_measure(self._scene, self.measuring, np.array(self._marks))
            self._marks = []
        self.changed.emit()

    def _drawn(self, place: Callable[[np.ndarray], np.ndarray], everything: bool = False) -> list:
        """The measures of the scene and the one that is being made, where a view shows them."""
        from ..arch_views import measures
        from ..mrml.arch_nodes import measures_of
        from ..pictures.arch_pictures import Measure

        found = []
        for kind, points in measures_of(self._scene):
            if kind == "distance":
                text = _("{length} mm").format(length=f"{measures.distance(*points):.1f}")
            else:
                text = _("{angle}°").format(angle=f"{measures.angle(*points):.1f}")
            pixels = place(points)
            if everything or np.isfinite(pixels).all():
                found.append(Measure(pixels, text))
        if self._marks and not everything:
            pixels = place(np.array(self._marks))
            if np.isfinite(pixels).all():
                found.append(Measure(np.concatenate([pixels, pixels[-1:] + 0.5]), ""))
        return found

    def _in_plane(self, cut: SectionPlane, points: np.ndarray) -> np.ndarray:
        """Where a section shows points; not a number for a measure that is off the section."""
        column, row, off = cut.pixel(points)
        pixels = np.column_stack([column, row])
        return pixels if np.abs(off).max() <= max(self.thickness_mm, 1.0) else np.full_like(pixels, np.nan)

    def _tooth_line(self, fdi: int) -> str:
        voxels = np.argwhere(self._labels.array == fdi) if self._labels is not None else ()
        if self._labels is None or not len(voxels):
            return _("Tooth {tooth}").format(tooth=self._number(fdi))
        along = self._laid[0].frame.from_lps(self._labels.to_lps(voxels))
        return _("Tooth {tooth}: {volume} cubic mm, {height} mm high").format(
            tooth=self._number(fdi),
            volume=f"{len(voxels) * self._labels.voxel_volume:.0f}",
            height=f"{np.ptp(along[:, 2]):.1f}",
        )


def _inside(outlines: dict, column: float, row: float) -> int | None:
    """The tooth whose outline is around a point; of several, the smallest."""
    found = []
    for fdi, lines in outlines.items():
        for line in lines:
            x, y = line.T
            before, after = np.roll(y, 1), y
            crosses = (before > row) != (after > row)
            with np.errstate(divide="ignore", invalid="ignore"):
                at = np.roll(x, 1) + (row - before) / (after - before) * (x - np.roll(x, 1))
            if np.count_nonzero(crosses & (at > column)) % 2:
                found.append((np.ptp(x) * np.ptp(y), fdi))
    return min(found)[1] if found else None
