"""Exported teeth: content of every kind of file, options, measures for planning, messages to the user."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOGeometry import vtkGLTFReader, vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader

from teethseg.anatomy import TEETH
from teethseg.errors import UsageError
from teethseg.surfaces.export import export
from teethseg.surfaces.export_options import ExportOptions
from teethseg.surfaces.measures import measure_teeth, write_csv
from teethseg.surfaces.mesh import tooth_surface
from teethseg.surfaces.mesh_quality import check_mesh
from teethseg.surfaces.tooth_surfaces import tooth_surfaces
from teethseg.surfaces.triangles import arrays, signed_distances
from teethseg.volume import Volume
from test_surfaces import OBLIQUE, ellipsoid


@pytest.fixture(scope="module")
def labels() -> Volume:
    """Two touching upper teeth, and a lower one that the border cuts."""
    array = np.zeros((30, 24, 44), dtype=np.uint8)
    array[14:27, 4:16, 4:18] = 16
    array[14:27, 4:16, 18:32] = 15
    array[0:9, 5:15, 6:20] = 46
    return Volume(array, (0.4, 0.4, 0.4), (-30, -40, 50))


def read(path: Path) -> vtkPolyData:
    reader = {".stl": vtkSTLReader, ".obj": vtkOBJReader, ".ply": vtkPLYReader}[path.suffix]()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def bounds(poly: vtkPolyData) -> np.ndarray:
    return np.array(poly.GetBounds()).reshape(3, 2)


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("space", ["LPS", "RAS"])
@pytest.mark.parametrize("form", ["stl", "obj", "ply"])
def test_files_hold_the_teeth_in_their_place(tmp_path, labels, form, space):
    result = export(tmp_path / "out", labels, ExportOptions(format=form, space=space))
    assert {path.name for path in result.files} == {path.name for path in (tmp_path / "out").iterdir()}
    assert result.files[0].name == f"FDI_15_upper_right_second_premolar.{form}"
    path = tmp_path / "out" / f"FDI_16_upper_right_first_molar.{form}"
    poly = read(path)
    assert check_mesh(poly).printable
    expected = np.array([(-30 + 0.4 * 3.5, -30 + 0.4 * 17.5), (-40 + 0.4 * 3.5, -40 + 0.4 * 15.5), (55.4, 60.6)])
    if space == "RAS":
        expected[:2] = -expected[:2, ::-1]
    np.testing.assert_allclose(bounds(poly), expected, atol=0.3)
    assert f"SPACE={space} UNIT=mm".encode() in path.read_bytes()[:300]
    assert manifest(tmp_path / "out")["space"] == space


def test_colours_and_groups(tmp_path, labels):
    export(tmp_path / "ply", labels, ExportOptions(format="ply", parts="jaw"))
    poly = read(tmp_path / "ply" / "upper_teeth.ply")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    colours = vtk_to_numpy(poly.GetPointData().GetArray("RGB"))
    left = arrays(poly)[0][:, 0] > -30 + 0.4 * 19
    for one, fdi in ((colours[~left], 16), (colours[left], 15)):
        main = np.median(one, axis=0)
        np.testing.assert_allclose(main, 255 * np.array(TEETH[fdi].colour), atol=1)
    export(tmp_path / "obj", labels, ExportOptions(format="obj", parts="jaw", naming="universal"))
    lines = (tmp_path / "obj" / "upper_teeth.obj").read_text().splitlines()
    assert [line for line in lines if line.startswith("g ")] == ["g 4", "g 3"]
    assert check_mesh(read(tmp_path / "obj" / "upper_teeth.obj")).components == 2


@pytest.mark.parametrize("space", ["LPS", "RAS"])
def test_glb_stands_upright_in_metres(tmp_path, labels, space):
    export(tmp_path / "out", labels, ExportOptions(format="glb", parts="jaw", space=space))
    reader = vtkGLTFReader()
    reader.SetFileName(str(tmp_path / "out" / "upper_teeth.glb"))
    reader.ApplyDeformationsToGeometryOn()
    reader.Update()
    blocks, stack = [], [reader.GetOutput()]
    while stack:
        block = stack.pop()
        if isinstance(block, vtkPolyData):
            blocks.append(block)
        elif block is not None:
            stack += [block.GetBlock(n) for n in range(block.GetNumberOfBlocks())]
    assert len(blocks) == 2
    ends = np.array([bounds(block) for block in blocks])
    low, high = 1000 * ends[..., 0].min(axis=0), 1000 * ends[..., 1].max(axis=0)
    # The patient's left, up, and to the front.
    np.testing.assert_allclose(low, (-28.6, 55.4, 33.8), atol=0.3)
    np.testing.assert_allclose(high, (-17.4, 60.6, 38.6), atol=0.3)


def test_one_file_for_each_jaw_or_one_surface(tmp_path, labels):
    result = export(tmp_path / "jaw", labels, ExportOptions(parts="jaw"))
    assert [path.name for path in result.files] == ["upper_teeth.stl", "lower_teeth.stl", "manifest.json"]
    check = check_mesh(read(tmp_path / "jaw" / "upper_teeth.stl"))
    assert check.components == 2 and check.printable
    assert {row["file"] for row in result.rows} == {"upper_teeth.stl", "lower_teeth.stl"}
    result = export(tmp_path / "merged", labels, ExportOptions(parts="merged"))
    assert [path.name for path in result.files] == ["upper_arch.stl", "lower_arch.stl", "manifest.json"]
    merged = check_mesh(read(tmp_path / "merged" / "upper_arch.stl"))
    assert merged.components == 1 and merged.printable
    assert merged.volume_mm3 == pytest.approx(2 * 13 * 12 * 14 * 0.064, rel=0.02)
    assert [entry["file"] for entry in manifest(tmp_path / "merged")["other"]] == ["upper_arch.stl", "lower_arch.stl"]
    assert len(manifest(tmp_path / "merged")["teeth"]) == 3


def test_rows_manifest_and_warnings_say_what_was_made(tmp_path, labels):
    result = export(tmp_path, labels, ExportOptions(gap_mm=0.2, smoothing="strong", target_triangles=800))
    assert [row["fdi"] for row in result.rows] == [15, 16, 46]
    molar = result.rows[1]
    assert molar["universal"] == "3" and molar["name"] == "upper right first molar"
    assert molar["ok"] and molar["problems"] == "" and molar["triangles"] <= 800
    assert 0.12 < molar["gap_mesial_mm"] < 0.25 and molar["gap_distal_mm"] is None
    assert result.rows[0]["gap_distal_mm"] == molar["gap_mesial_mm"]
    assert abs(molar["volume_against_label_percent"]) < 2
    assert result.rows[2]["cut"] and not molar["cut"]
    assert [warning for warning in result.warnings if "border" in warning and "46" in warning]
    content = manifest(tmp_path)
    entry = content["teeth"][1]
    assert content["gap_mm"] == 0.2 and content["smoothing"] == "strong"
    assert entry["made_from"] == "labels" and entry["check"]["self_intersections"] == 0
    assert np.linalg.norm(entry["long_axis_lps"]) == pytest.approx(1, abs=1e-3)
    write_csv(tmp_path / "teeth.csv", result.rows)
    with (tmp_path / "teeth.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["universal"] for row in csv.DictReader(file)] == ["4", "3", "30"]


@pytest.mark.parametrize("smoothing", ["none", "light", "strong"])
@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_a_tooth_at_the_border_is_closed_flat_there(labels, smoothing, direction):
    labels = Volume(labels.array, labels.spacing, labels.origin, direction)
    made, _ = tooth_surfaces(labels, ExportOptions(smoothing=smoothing))
    assert made[46].check.ok and made[16].check.ok
    vertices, faces = arrays(made[46].mesh)
    height = (vertices - labels.origin) @ direction[:, 2] + 0.2  # above the lower face of the lowest voxels
    assert height.min() == pytest.approx(0, abs=1e-3)
    lid = (height < 2e-3)[faces].all(axis=1)
    corners = vertices[faces[lid]]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert 0.65 < area / (10 * 14 * 0.16) < 1  # of 10 x 14 voxels, less a rim that is rounded by about a voxel


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"format": "step"}, "step is no format"),
        ({"space": "xyz"}, "xyz"),
        ({"gap_mm": 0.5}, "0 to 0.3"),
        ({"target_triangles": 500, "error_mm": 0.1}, "one of them"),
        ({"target_triangles": 3}, "100 or more"),
        ({"error_mm": 0.0}, "more than 0"),
        ({"parts": "merged", "gap_mm": 0.1}, "neither gaps"),
        ({"pulp": True}, "give the scan"),
        ({"parts": "bone"}, "give the scan"),
        ({"parts": "bone", "pulp": True}, "neither gaps"),
        ({"bone_mm": 50.0}, "0.5 to 10"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, labels, options, reason):
    with pytest.raises(UsageError, match=reason):
        export(tmp_path / "out", labels, ExportOptions(**options))
    assert not (tmp_path / "out").exists()


def test_numbers_that_are_no_teeth_are_refused(tmp_path, labels):
    with pytest.raises(UsageError, match="99"):
        export(tmp_path / "out", labels.with_array(np.where(labels.array == 16, 99, labels.array).astype(np.uint8)))


def test_an_empty_map_is_a_result(tmp_path, labels):
    result = export(tmp_path / "out", labels.with_array(np.zeros_like(labels.array)))
    assert [path.name for path in result.files] == ["manifest.json"] and result.rows == ()


def test_hollow_pulp(tmp_path):
    labels = ellipsoid(0.3, radii=np.array([4.0, 4.5, 8.0]))
    tooth = labels.array > 0
    away = (np.stack(np.indices(tooth.shape), axis=-1) - np.argwhere(tooth).mean(axis=0)) * 0.3 / (5, 1.2, 1.2)
    noise = np.random.default_rng(0).normal(0, 40, tooth.shape)
    dark = np.where((away**2).sum(axis=-1) < 1, 900.0, np.where(tooth, 1800.0, 300.0)) + noise
    result = export(tmp_path / "hollow", labels, ExportOptions(pulp=True), image=labels.with_array(dark))
    check = check_mesh(read(tmp_path / "hollow" / "FDI_14_upper_right_first_premolar.stl"))
    assert check.printable and check.components == 2
    taken = 4 / 3 * np.pi * (4 * 4.5 * 8) - check.volume_mm3
    assert taken == pytest.approx(4 / 3 * np.pi * 5 * 1.2 * 1.2, rel=0.25)
    assert result.rows[0]["ok"] and not result.warnings
    assert 0 < result.rows[0]["distance_to_label_mm"] < result.rows[0]["distance_to_label_p95_mm"] < 0.3
    plain = labels.with_array(np.where(tooth, 1800.0, 300.0) + noise)
    result = export(tmp_path / "solid", labels, ExportOptions(pulp=True), image=plain)
    assert check_mesh(read(tmp_path / "solid" / "FDI_14_upper_right_first_premolar.stl")).components == 1
    assert result.warnings == ("Tooth 14: solid, because no pulp was found in the scan.",)
    assert result.report()["meshes"][0]["note"] == "solid, because no pulp was found in the scan"


def jaw_in_bone() -> tuple[Volume, Volume, np.ndarray]:
    """Labels, scan and mask of bone, in voxels of 0.5 mm.

    Two upper teeth side by side, a lower one that bites on them, bone with a dark marrow above z = 8, and soft tissue.
    """
    z, y, x = np.meshgrid(*(0.5 * np.arange(count) for count in (60, 50, 60)), indexing="ij")
    labels = np.zeros(z.shape, np.uint8)
    for fdi, centre in ((16, (12, 12, 10)), (15, (12, 12, 18)), (46, (-1.5, 12, 12))):
        radii = np.array([9.0 if fdi != 46 else 4.0, 3.5, 3.5])
        away = (np.stack([z, y, x], axis=-1) - centre) / radii
        labels[(away**2).sum(axis=-1) < 1] = fdi
    block = (z > 8) & (np.abs(y - 12) < 6)
    marrow = block & (z > 9) & (np.abs(np.abs(y - 12) - 4.5) < 0.6)
    bone = block & ~marrow & (labels == 0)
    image = np.where(block & ~marrow, 700.0, 50.0) - 1000.0 * (y > 20)
    image = np.where(labels > 0, 1700.0, image) + np.random.default_rng(0).normal(0, 60, z.shape)
    place = {"spacing": (0.5,) * 3, "origin": (-30, -40, 50)}
    return Volume(labels, **place), Volume(image.astype(np.float32), **place), bone


def test_a_jaw_stands_in_the_bone_around_its_roots(tmp_path):
    labels, scan, bone = jaw_in_bone()
    result = export(tmp_path / "out", labels, ExportOptions(parts="bone", bone_mm=3), image=scan)
    assert [path.name for path in result.files] == ["upper_jaw.stl", "manifest.json"]
    assert any(warning.startswith("The lower teeth were left out: no bone") for warning in result.warnings)
    assert manifest(tmp_path / "out")["bone_mm"] == 3
    mesh = read(tmp_path / "out" / "upper_jaw.stl")
    check = check_mesh(mesh)
    assert check.printable and check.components == 1
    places = np.argwhere(np.ones(bone.shape, bool))[:, ::-1] * 0.5 + labels.origin
    inside = (signed_distances(mesh, places) < 0).reshape(bone.shape)
    z = 0.5 * np.arange(len(bone))[:, None, None]
    away = distance_transform_edt(~np.isin(labels.array, (15, 16)), 0.5)
    near = bone & (away < 2.2) & (z > 12) & (labels.array == 0)
    assert inside[near].mean() > 0.9
    assert not (inside & (away > 3.8)).any()
    marrow = ~bone & (labels.array == 0) & (away < 2) & (z > 13) & (z < 18) & (labels.array == 0)
    within = np.abs(0.5 * np.arange(bone.shape[1])[None, :, None] - 12) < 5
    assert inside[marrow & within].mean() > 0.8  # filled
    # Crowns are free, and the lower tooth is no part of it.
    assert inside[(z < 6) & (away > 0.8)].mean() < 0.001


def test_where_bone_cannot_be_recognised_none_is_made_up(tmp_path):
    labels, scan, _ = jaw_in_bone()
    soft = np.where(labels.array > 0, 1700.0, 50.0) - 1000.0 * (np.indices(labels.array.shape)[1] > 40)
    noise = np.random.default_rng(1).normal(0, 60, soft.shape)
    result = export(
        tmp_path / "out", labels, ExportOptions(parts="bone"), image=scan.with_array((soft + noise).astype(np.float32))
    )
    assert [path.name for path in result.files] == ["manifest.json"] and result.summary.meshes == 0
    assert sum("no bone can be distinguished" in warning for warning in result.warnings) == 2


def test_checks_are_reported_in_one_line_and_in_the_report(tmp_path, labels):
    result = export(tmp_path / "out", labels)
    assert str(result.summary).startswith("3 of 3 surfaces closed, manifold and free of crossings; volumes within 0.")
    report = json.loads(json.dumps(result.report()))
    assert [mesh["fdi"] for mesh in report["meshes"]] == [15, 16, 46]
    for mesh in report["meshes"]:
        found = check_mesh(read(Path(report["folder"]) / mesh["file"]))
        assert mesh["check"]["triangles"] == found.triangles and mesh["check"]["ok"]
        assert mesh["check"]["volume_mm3"] == pytest.approx(found.volume_mm3, rel=1e-4)
        assert mesh["check"]["label_distance_p95_mm"] <= result.summary.distance_mm


def leaning(fdi: int, centre, axis, width=3.0, breadth=4.0, length=20.0) -> tuple[int, vtkPolyData]:
    """An ellipsoid of these extents in mm whose long axis points along `axis`, as the mesh of a tooth."""
    axis = np.array(axis, dtype=float) / np.linalg.norm(axis)
    side = np.cross([0.0, 1.0, 0.0], axis)
    side /= np.linalg.norm(side)
    turn = np.column_stack([side, np.cross(axis, side), axis])
    poly = tooth_surface(ellipsoid(0.3, radii=np.array([width, breadth, length]) / 2, centre=np.zeros(3)), 14)
    from teethseg.surfaces.triangles import from_arrays

    vertices, faces = arrays(poly)
    return fdi, from_arrays(vertices @ turn.T + np.array(centre, dtype=float), faces)


def test_measures_of_known_bodies():
    """Front teeth of the upper jaw in a row along x, a molar behind on each side: the occlusal plane is horizontal."""
    tip = np.radians(10)
    # The crown, below, of 11 leans to mesial (to the patient's left, +x), that of 21 to the lip (to the front, -y).
    teeth = dict(
        [
            leaning(11, (-2, 0, 10), (-np.sin(tip), 0, np.cos(tip))),
            leaning(21, (2, 0, 10), (0, np.sin(tip), np.cos(tip))),
            leaning(12, (-6, 0, 10), (0, 0, 1)),
            leaning(22, (6, 0, 10), (0, 0, 1)),
            leaning(16, (-20, 30, 10), (0, 0, 1)),
            leaning(26, (20, 30, 10), (0, 0, 1)),
            leaning(36, (20, 30, -15), (0, 0, -1)),
        ]
    )
    found = {one.fdi: one for one in measure_teeth(None, teeth)}
    assert list(found) == [11, 12, 16, 21, 22, 26, 36]
    for fdi, one in found.items():
        assert one.length_mm == pytest.approx(20, abs=0.2)
        np.testing.assert_allclose(one.centre_lps_mm, (teeth[fdi].GetCenter()), atol=0.1)
        assert one.volume_mm3 == pytest.approx(np.pi / 6 * 3 * 4 * 20, rel=0.01)
        assert (one.long_axis_lps[2] > 0.9) == (fdi != 36)
    assert found[11].angulation_deg == pytest.approx(10, abs=1.5)
    assert found[11].inclination_deg == pytest.approx(0, abs=1.5)
    assert found[21].angulation_deg == pytest.approx(0, abs=1.5)
    assert found[21].inclination_deg == pytest.approx(10, abs=1.5)
    assert found[36].angulation_deg is None and found[36].gap_mesial_mm is None  # alone in its jaw
    # The crown part ends at 40 % of the length: 98 % of the full width of an ellipsoid.
    assert found[11].crown_width_mm == pytest.approx(0.98 * 3, abs=0.25)
    assert found[11].crown_breadth_mm == pytest.approx(0.98 * 4, abs=0.25)
    assert found[16].gap_mesial_mm == pytest.approx(found[12].gap_distal_mm)
    assert found[26].gap_distal_mm is None
    assert 0.3 < found[11].gap_mesial_mm < 1.1


def test_measures_do_not_depend_on_the_grid():
    straight = {14: tooth_surface(ellipsoid(0.4, radii=np.array([3.0, 4.0, 9.0])), 14)}
    tilted = {14: tooth_surface(ellipsoid(0.4, OBLIQUE, radii=np.array([3.0, 4.0, 9.0])), 14)}
    one, other = (measure_teeth(None, meshes)[0] for meshes in (straight, tilted))
    assert one.length_mm == pytest.approx(18, abs=0.15)
    assert other.length_mm == pytest.approx(one.length_mm, abs=0.15)
    assert other.crown_width_mm == pytest.approx(one.crown_width_mm, abs=0.15)
