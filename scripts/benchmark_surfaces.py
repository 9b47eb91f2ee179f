"""Distance of surfaces from the true teeth: simulated teeth of known surface, sampled with voxels of several sizes.

    python scripts/benchmark_surfaces.py [--seeds 2]

Each tooth stands at a random tilt beside a twin that touches it. The input is that of a segmentation: a label map
(voxels whose centre lies in the tooth), or the maps, as bytes, of a fine network that is right everywhere but uncertain
of the border by 0.2 mm. Either the position of the tooth is uncertain ("place": the share of each voxel that is tooth,
blurred by 0.2 mm), or its border is ("border": the normal distribution of the distance to it). From each input, all
methods make the surface of the tooth without its neighbour, as `teethseg surfaces` writes it. "3D Slicer" is its own
conversion and export with default settings (vtkSegmentation, smoothing 0.5, no decimation).

The distance of the mesh's vertices to the true surface is read off the signed distance that the tooth was made from.
Prints a Markdown table: mean distance / 95th percentile in mm, mean and largest change of the volume in percent.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, zoom
from scipy.spatial.transform import Rotation
from scipy.special import ndtr
from vtkmodules.util.numpy_support import numpy_to_vtk

from teethseg.cascade.predictions import ToothMaps
from teethseg.simulation.parametric import parametric_tooth
from teethseg.simulation.shapes import ToothShape
from teethseg.surfaces.export_options import ExportOptions
from teethseg.surfaces.tooth_surfaces import tooth_surfaces
from teethseg.surfaces.triangles import arrays, enclosed_volume
from teethseg.volume import Volume

VOXELS = (0.2, 0.3, 0.4, 0.5)
TYPES = (("upper", 3), ("upper", 6), ("lower", 1), ("lower", 5))
THINNED_AT = 0.4  # mm; at one voxel size only, because thinning takes long
UNSURE = 0.2  # mm
MARGIN = 2.0  # mm
FDI, TWIN = 16, 17


class Scene:
    """A tooth and its twin at a random place; points are LPS mm."""

    def __init__(self, shape: ToothShape, rng: np.random.Generator):
        self._fine = zoom(shape.sdf, 2, order=3, grid_mode=False, mode="nearest")
        self._step = shape.spacing * (np.array(shape.sdf.shape) - 1) / (np.array(self._fine.shape) - 1)  # z, y, x
        self._first = np.array(shape.origin)
        self._turn = Rotation.random(random_state=rng).as_matrix()
        self._place = rng.uniform(-50, 50, 3)
        self._shift = np.array([shape.width, 0, 0])
        self.volume = float(np.clip(0.5 - self._fine / self._step.mean(), 0, 1).sum() * self._step.prod())
        inside = np.argwhere(self._fine < 0)
        corners = self._first + (inside * self._step)[:, ::-1]
        self._bounds = np.array([self.to_lps(corners).min(axis=0), self.to_lps(corners).max(axis=0)])

    def to_lps(self, points: np.ndarray) -> np.ndarray:
        """Points of the tooth's own frame in LPS."""
        return points @ self._turn.T + self._place

    def distance(self, points: np.ndarray, twin: bool = False) -> np.ndarray:
        """Signed distance in mm to the tooth or its twin."""
        own = (points - self._place) @ self._turn - (self._shift if twin else 0)
        index = ((own - self._first) / self._step[::-1])[..., ::-1]
        return map_coordinates(self._fine, np.moveaxis(index, -1, 0), order=1, mode="nearest")

    def sampled(self, spacing: float, rng: np.random.Generator) -> tuple[Volume, dict[str, tuple[Volume, ToothMaps]]]:
        """Labels from voxel centres; for each kind of uncertainty, the maps and their labels."""
        low = self._bounds[0] - MARGIN - rng.uniform(0, spacing, 3)
        shape = np.ceil((self._bounds[1] + MARGIN - low) / spacing).astype(int)[::-1]

        def grid(parts: int) -> np.ndarray:
            axes = [
                start + spacing * ((np.arange(count * parts) + 0.5) / parts - 0.5)
                for start, count in zip(low[::-1], shape, strict=True)
            ]
            return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[..., ::-1]

        own, twin = (self.distance(grid(1), twin) for twin in (False, True))
        nearer = np.where(own <= twin, FDI, TWIN)
        plain = np.where(np.minimum(own, twin) < 0, nearer, 0).astype(np.uint8)
        fine = np.minimum(*(self.distance(grid(2), twin) for twin in (False, True)))
        share = np.clip(0.5 - fine / (spacing / 2), 0, 1)
        share = share.reshape([part for count in shape for part in (count, 2)]).mean(axis=(1, 3, 5))
        place = {"spacing": (spacing,) * 3, "origin": tuple(low)}
        doubts = {}
        for doubt, sure in (
            ("place", gaussian_filter(share, UNSURE / spacing)),
            ("border", ndtr(-np.minimum(own, twin) / UNSURE)),
        ):
            owner = np.where(sure > 0.5, nearer, 0).astype(np.uint8)
            maps = ToothMaps(np.rint(255 * sure).astype(np.uint8), owner, tuple(low), spacing)
            doubts[doubt] = Volume(owner, **place), maps
        return Volume(plain, **place), doubts


def slicer_surface(labels: Volume, fdi: int):
    """3D Slicer's closed surface of one label, default settings."""
    import slicer

    rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule()
    slicer.vtkSegmentationConverterFactory.GetInstance().RegisterConverterRule(rule)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(labels.array.shape[::-1])
    image.SetSpacing(labels.spacing)
    image.SetOrigin(labels.origin)
    values = numpy_to_vtk(labels.array.ravel(), deep=True)
    values.SetName("ImageScalars")
    image.GetPointData().SetScalars(values)
    segmentation = slicer.vtkSegmentation()
    segmentation.SetSourceRepresentationName("Binary labelmap")
    segment = slicer.vtkSegment()
    segment.SetLabelValue(fdi)
    segment.AddRepresentation("Binary labelmap", image)
    segmentation.AddSegment(segment, "tooth")
    segmentation.CreateRepresentation("Closed surface")
    return segmentation.GetSegment("tooth").GetRepresentation("Closed surface")


def methods(plain: Volume, doubts: dict[str, tuple[Volume, ToothMaps]]):
    """Name of each method, and the mesh of the tooth that it makes."""
    yield "3D Slicer, from labels", slicer_surface(plain, FDI)
    for smoothing in ("none", "light", "strong"):
        made, _ = tooth_surfaces(plain, ExportOptions(smoothing=smoothing))
        yield f"labels, smoothing {smoothing}", made[FDI].mesh
    for doubt, (labels, maps) in doubts.items():
        for smoothing in ("none", "light", "strong"):
            made, _ = tooth_surfaces(labels, ExportOptions(smoothing=smoothing), maps=maps)
            assert made[FDI].source == "maps"
            yield f"probabilities ({doubt}), smoothing {smoothing}", made[FDI].mesh
    if maps.spacing == THINNED_AT:
        made, _ = tooth_surfaces(labels, ExportOptions(error_mm=0.05), maps=maps)
        yield f"probabilities ({doubt}), light, within 0.05 mm", made[FDI].mesh


def surface_errors(seeds: int) -> None:
    found = defaultdict(list)
    for seed in range(seeds):
        for jaw, position in TYPES:
            scene = Scene(parametric_tooth(jaw, position, np.random.default_rng(seed)), np.random.default_rng(seed))
            print(f"{jaw} {position}", file=sys.stderr)
            for spacing in VOXELS:
                sampled = scene.sampled(spacing, np.random.default_rng(seed))
                for name, mesh in methods(*sampled):
                    vertices, faces = arrays(mesh)
                    error = np.abs(scene.distance(vertices))
                    volume = 100 * (enclosed_volume(vertices, faces)[0] / scene.volume - 1)
                    found[name, spacing].append((error.mean(), np.quantile(error, 0.95), volume, len(faces)))
    print("| surface | " + " | ".join(f"{spacing} mm" for spacing in VOXELS) + " | triangles at 0.4 mm |")
    print("| --- " * (len(VOXELS) + 2) + "|")
    for name in dict.fromkeys(name for name, _ in found):
        cells = []
        for spacing in VOXELS:
            if (name, spacing) not in found:
                cells.append("")
                continue
            mean, p95, volume, _ = np.array(found[name, spacing]).T
            worst = volume[np.abs(volume).argmax()]
            cells.append(f"{mean.mean():.3f} / {p95.mean():.3f}, {volume.mean():+.1f} ({worst:+.1f}) %")
        triangles = np.mean([row[3] for row in found[name, 0.4]])
        print(f"| {name} | " + " | ".join(cells) + f" | {triangles:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="how many teeth of each type")
    surface_errors(parser.parse_args().seeds)


if __name__ == "__main__":
    main()
