"""Tooth shapes: parametric teeth, and teeth from a folder of meshes."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D
from vtkmodules.vtkIOGeometry import vtkSTLWriter

from teethseg.anatomy import tooth
from teethseg.errors import InputError
from teethseg.simulation.meshes import load_tooth_meshes
from teethseg.simulation.parametric import parametric_tooth
from teethseg.simulation.shapes import ToothShape, signed_distance, tooth_shape
from teethseg.surfaces.triangles import arrays, from_arrays
from teethseg.tooth_sizes import TEXTBOOK

# Typical volumes of sound teeth in mm³.
MEAN_VOLUME = {
    "upper": ((480, 680), (280, 430), (500, 750), (450, 680), (450, 680), (850, 1250), (700, 1150), (520, 950)),
    "lower": ((190, 360), (240, 400), (450, 700), (380, 620), (400, 650), (900, 1300), (750, 1200), (580, 1000)),
}


def grown_tooth(jaw, position, seed=0) -> ToothShape:
    return parametric_tooth(jaw, position, np.random.default_rng([seed, position]))


def axes(shape: ToothShape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z in the tooth's own frame of its voxels, each ready to broadcast to (Z, Y, X)."""
    x, y, z = (shape.origin[a] + shape.spacing * np.arange(shape.sdf.shape[2 - a]) for a in range(3))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def section(shape: ToothShape, height: float) -> np.ndarray:
    """The tooth's axial section (Y, X) at that height."""
    return shape.sdf[round((height - shape.origin[2]) / shape.spacing)] < 0


def extent(values: np.ndarray) -> float:
    return float(values.max() - values.min())


@pytest.mark.parametrize(("jaw", "position"), TEXTBOOK)
def test_parametric_teeth_have_the_textbooks_size(jaw, position):
    textbook = TEXTBOOK[jaw, position]
    teeth = [grown_tooth(jaw, position, seed) for seed in range(8)]
    low, high = MEAN_VOLUME[jaw][position - 1]
    assert low < np.mean([one.volume for one in teeth]) < high
    assert np.mean([one.length for one in teeth]) == pytest.approx(textbook.length, rel=0.1)
    for one in teeth:
        assert 0.8 < one.width / textbook.width < 1.2
        assert 0.8 < one.depth / textbook.depth < 1.2
        assert 0.5 < one.length / textbook.length < 1.22  # short: open apex
        assert 0.7 < one.crown_height / textbook.crown < 1.2
        # The numbers agree with the voxels.
        x, y, z = axes(one)
        inside = one.sdf < 0
        assert extent(np.broadcast_to(z, inside.shape)[inside]) == pytest.approx(one.length, abs=0.6)
        crown = inside & (z < one.crown_height)
        assert extent(np.broadcast_to(x, inside.shape)[crown]) == pytest.approx(one.width, abs=0.6)
        assert extent(np.broadcast_to(y, inside.shape)[crown]) == pytest.approx(one.depth, abs=0.6)
        assert np.broadcast_to(z, inside.shape)[inside].min() == pytest.approx(0.0, abs=0.31)
        # One body with empty space all round.
        assert ndimage.label(inside)[1] == 1
        assert not (inside[[0, -1]].any() or inside[:, [0, -1]].any() or inside[:, :, [0, -1]].any())


@pytest.mark.parametrize(
    ("jaw", "position", "usual"), [("upper", 6, 3), ("lower", 6, 2), ("upper", 1, 1), ("lower", 3, 1), ("lower", 5, 1)]
)
def test_number_of_roots(jaw, position, usual):
    counts = []
    for seed in range(15):
        shape = grown_tooth(jaw, position, seed)
        heights = np.arange(shape.crown_height, shape.length, 0.6)
        counts.append(max(ndimage.label(section(shape, height))[1] for height in heights))
    assert np.median(counts) == usual
    assert max(counts) <= 3
    if usual == 1:
        assert max(counts) == 1


def test_upper_first_premolars_come_with_one_and_with_two_roots():
    counts = {
        ndimage.label(section(one, 0.85 * one.length))[1] for one in (grown_tooth("upper", 4, s) for s in range(15))
    }
    assert counts == {1, 2}


def test_teeth_look_like_what_they_are():
    for seed in range(5):
        incisor, canine, molar = (grown_tooth("upper", position, seed) for position in (1, 3, 6))
        # An incisor is a wedge: wide and thin at the edge, thick at the neck.
        edge, neck = section(incisor, 1.2), section(incisor, incisor.crown_height)
        assert np.ptp(np.nonzero(edge)[1]) > 1.8 * np.ptp(np.nonzero(edge)[0])
        assert np.ptp(np.nonzero(neck)[0]) > 1.8 * np.ptp(np.nonzero(edge)[0])
        # A canine ends in a point, an incisor in an edge.
        assert np.ptp(np.nonzero(section(canine, 0.9))[1]) < 0.8 * np.ptp(np.nonzero(section(incisor, 0.9))[1])
        # The neck of a molar is narrower than its crown; between its cusps lies a fossa.
        assert np.ptp(np.nonzero(section(molar, molar.crown_height))[1]) * 0.3 < 0.92 * molar.width
    fossae = []
    for seed in range(8):
        molar = grown_tooth("lower", 6, seed)
        x, y, z = axes(molar)
        inside = molar.sdf < 0
        surface = np.where(inside.any(0), z[:, 0, 0][inside.argmax(0)], np.inf)  # (Y, X)
        middle = (np.abs(x[0]) < 0.15 * molar.width) & (np.abs(y[0]) < 0.12 * molar.depth)
        fossae.append(surface[middle].max())
    assert np.median(fossae) > 1.0


def test_distance_is_one_and_true_to_a_known_surface():
    spacing, radius = 0.3, 3.2
    z, y, x = np.meshgrid(*[np.arange(-5, 5, spacing)] * 3, indexing="ij")
    squared = x**2 + y**2 + z**2
    true = np.sqrt(squared) - radius
    error = np.abs(signed_distance(squared - radius**2, spacing) - true)  # from a function that is no distance
    assert error[np.abs(true) < 0.3].max() < 0.08
    assert error[np.abs(true) < 0.3].mean() < 0.01
    assert error.max() < 0.2
    for key in (("upper", 2), ("lower", 7)):
        sdf = grown_tooth(*key).sdf
        slope = np.linalg.norm(np.gradient(sdf, spacing), axis=0)
        near = np.abs(sdf) < 0.9
        assert np.median(slope[near]) == pytest.approx(1, abs=0.03)
        assert np.mean(np.abs(slope[near] - 1) < 0.2) > 0.85


def test_pulp_lies_within_the_dentine_and_runs_into_the_roots():
    for jaw, position in TEXTBOOK:
        shape = grown_tooth(jaw, position, 3)
        pulp = shape.pulp < 0
        z = axes(shape)[2]
        assert 0.03 < pulp.sum() * shape.spacing**3 / shape.volume < 0.16
        assert shape.sdf[pulp].max() < -0.2
        heights = np.broadcast_to(z, pulp.shape)[pulp]
        assert 0.2 * shape.crown_height < heights.min() < shape.crown_height
        assert heights.max() > shape.crown_height + 0.6 * (shape.length - shape.crown_height)
        assert (shape.pulp + 0.3 < 0).sum() < 0.8 * pulp.sum()  # an offset shrinks it


def test_a_seed_gives_one_tooth_and_another_seed_another():
    for jaw, position in (("upper", 4), ("lower", 8)):
        one, same, other = (grown_tooth(jaw, position, seed) for seed in (5, 5, 6))
        assert np.array_equal(one.sdf, same.sdf) and np.array_equal(one.pulp, same.pulp)
        assert one.origin == same.origin
        assert abs(one.volume - other.volume) > 1


def upright(shape: ToothShape) -> ToothShape:
    """The same tooth turned by a few degrees, so that its long axis, computed from voxels, is z."""
    places = np.argwhere(shape.sdf < 0).astype(float)
    _, vectors = np.linalg.eigh(np.cov(places.T))
    long_axis = vectors[:, 2] * np.sign(vectors[0, 2])  # z, y, x
    turn, _ = Rotation.align_vectors(long_axis[None], [[1, 0, 0]])
    padded = np.pad(shape.sdf, 8, mode="edge")
    middle = places.mean(0) + 8
    turned = ndimage.affine_transform(
        padded, turn.as_matrix(), middle - turn.as_matrix() @ middle, order=1, mode="nearest"
    )
    top = np.argmax((turned < 0).any(axis=(1, 2)))
    cervix = top * shape.spacing + shape.crown_height
    return tooth_shape(shape.jaw, shape.position, signed_distance(turned, shape.spacing), shape.spacing, cervix)


def surface(shape: ToothShape) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in the tooth's own frame and faces."""
    image = vtkImageData()
    image.SetDimensions(*shape.sdf.shape[::-1])
    image.SetSpacing(*[shape.spacing] * 3)
    image.SetOrigin(*shape.origin)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(shape.sdf).ravel(), deep=True))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.Update()
    return arrays(contour.GetOutput())


def write_stl(path, vertices, faces) -> None:
    writer = vtkSTLWriter()
    writer.SetFileName(str(path))
    writer.SetFileTypeToBinary()
    writer.SetInputData(from_arrays(vertices, faces))
    assert writer.Write() == 1


def in_the_patient(vertices: np.ndarray, fdi: int, degrees: float, radius: float = 24.0) -> np.ndarray:
    """LPS position of a tooth's points on a round arch, `degrees` from the midline towards its own side."""
    right, upper = tooth(fdi).side == "right", tooth(fdi).jaw == "upper"
    angle = np.radians(degrees)
    side = -1 if right else 1
    distal = np.array([side * np.cos(angle), np.sin(angle), 0])
    lingual = np.array([-side * np.sin(angle), np.cos(angle), 0])
    apical = np.array([0, 0, 1.0 if upper else -1.0])
    middle = np.array([side * np.sin(angle), -np.cos(angle), 0]) * radius + (3, -40, 1200)
    return vertices @ np.stack([distal, lingual, apical]) + middle


def dice(one: ToothShape, other: ToothShape) -> float:
    """Overlap of two teeth in the tooth's own frame."""
    z, y, x = np.meshgrid(np.arange(-1, 32, 0.4), np.arange(-9, 9, 0.4), np.arange(-9, 9, 0.4), indexing="ij")
    masks = []
    for shape in (one, other):
        places = [(g - o) / shape.spacing for g, o in zip((z, y, x), shape.origin[::-1], strict=True)]
        masks.append(ndimage.map_coordinates(shape.sdf, places, order=1, cval=9) < 0)
    return 2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum())


@pytest.fixture(scope="module")
def jaw_of_meshes(tmp_path_factory):
    """A folder with the upper and lower teeth 4-7 of both sides; the left ones mirror the right ones, but for 26."""
    folder = tmp_path_factory.mktemp("meshes")
    grown = {}
    for jaw, quadrants in (("upper", (1, 2)), ("lower", (4, 3))):
        for position in (4, 5, 6, 7):
            grown[jaw, position] = upright(grown_tooth(jaw, position, 11))
            for quadrant in quadrants:
                fdi = 10 * quadrant + position
                one = upright(grown_tooth("upper", 6, 12)) if fdi == 26 else grown[jaw, position]
                vertices, faces = surface(one)
                vertices = in_the_patient(vertices, fdi, 15 + 20 * (position - 3))
                write_stl(folder / f"case_FDI_{fdi}_{tooth(fdi).name.replace(' ', '_')}.stl", vertices, faces)
    (folder / "notes.txt").write_text("not a mesh")
    (folder / "FDI_99.stl").write_text("no such tooth")
    return folder, grown


def test_meshes_come_back_in_the_tooths_own_frame(jaw_of_meshes):
    folder, grown = jaw_of_meshes
    loaded = load_tooth_meshes(folder)
    assert set(loaded) == set(grown)
    # Mirror copies count once, two different teeth of one kind twice.
    assert {key: len(shapes) for key, shapes in loaded.items() if len(shapes) > 1} == {("upper", 6): 2}
    for (jaw, position), original in grown.items():
        shape = loaded[jaw, position][0]
        assert (shape.jaw, shape.position) == (jaw, position)
        assert shape.volume == pytest.approx(original.volume, rel=0.02)
        assert shape.length == pytest.approx(original.length, rel=0.05)
        if position in (5, 6):  # neighbours on both sides: the arch's direction is known best
            assert dice(shape, original) > 0.95
            for flip in (1, 2):  # mirrored mesio-distally or bucco-lingually it must fit worse
                mirrored = np.flip(original.sdf, 3 - flip)
                origin = list(original.origin)
                size = original.spacing * (original.sdf.shape[3 - flip] - 1)
                origin[flip - 1] = -(origin[flip - 1] + size)
                turned = ToothShape(**{**vars(original), "sdf": mirrored, "origin": tuple(origin)})
                assert dice(shape, turned) < dice(shape, original) - 0.01
    assert dice(loaded["upper", 6][1], upright(grown_tooth("upper", 6, 12))) > 0.9


def test_left_teeth_alone_give_the_same_shapes_as_right_ones(jaw_of_meshes, tmp_path):
    folder, grown = jaw_of_meshes
    for path in folder.glob("*FDI_3*.stl"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    loaded = load_tooth_meshes(tmp_path)
    assert dice(loaded["lower", 6][0], grown["lower", 6]) > 0.9


def test_folders_without_usable_meshes_are_refused_with_the_cause(jaw_of_meshes, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        load_tooth_meshes(tmp_path / "absent")
    (tmp_path / "skull.stl").write_text("solid skull\nendsolid skull\n")
    with pytest.raises(InputError, match=re.escape("FDI_11.stl")):
        load_tooth_meshes(tmp_path)
    (tmp_path / "FDI_11.stl").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"FDI_11\.stl holds no readable surface"):
        load_tooth_meshes(tmp_path)
    vertices, faces = surface(grown_tooth("upper", 1))
    write_stl(tmp_path / "FDI_11.stl", vertices, faces)
    with pytest.raises(InputError, match="no neighbour"):
        load_tooth_meshes(tmp_path)
    write_stl(tmp_path / "FDI_21.stl", vertices + np.array([8.0, 0, 0]), faces)
    write_stl(tmp_path / "FDI_11.stl", vertices, faces[: len(faces) // 2])
    with pytest.raises(InputError, match="no closed surface"):
        load_tooth_meshes(tmp_path)


def test_published_dentition(shared_data):
    folder = shared_data / "shapes" / "dundee"
    loaded = load_tooth_meshes(folder)
    assert set(loaded) == set(TEXTBOOK)
    with (shared_data / "shapes" / "per_tooth_stats.csv").open(newline="", encoding="utf-8") as file:
        volumes = {int(row["fdi"]): float(row["vol_mm3"]) for row in csv.DictReader(file) if row["set"] == "dundee"}
    for (jaw, position), shapes in loaded.items():
        both = [volumes[10 * quadrant + position] for quadrant in ((1, 2) if jaw == "upper" else (3, 4))]
        for shape in shapes:
            assert min(abs(shape.volume / volume - 1) for volume in both) < 0.01
            assert shape.width < 13 and shape.depth < 13 and shape.length > 15
            assert shape.length / TEXTBOOK[jaw, position].length == pytest.approx(1, abs=0.12)
    molar = loaded["upper", 6][0]
    assert max(ndimage.label(section(molar, h))[1] for h in np.arange(9, molar.length, 0.6)) == 3
