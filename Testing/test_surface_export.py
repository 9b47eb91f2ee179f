"""Exported teeth: what stands in every kind of file, options, measures for planning, and what the user is told."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOGeometry import vtkGLTFReader, vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader

from TeethSegLib.anatomy import TEETH
from TeethSegLib.errors import UsageError
from TeethSegLib.surfaces.checks import check_mesh
from TeethSegLib.surfaces.export import ExportOptions, export, tooth_surfaces
from TeethSegLib.surfaces.measures import measure_teeth, write_csv
from TeethSegLib.surfaces.mesh import tooth_surface
from TeethSegLib.surfaces.triangles import arrays
from TeethSegLib.volume import Volume
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


def test_a_tooth_at_the_border_is_closed_there(labels):
    made, _ = tooth_surfaces(labels)
    assert made[46].check.ok
    assert bounds(made[46].mesh)[2, 0] == pytest.approx(50 - 0.2, abs=0.15)


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
    plain = labels.with_array(np.where(tooth, 1800.0, 300.0) + noise)
    result = export(tmp_path / "solid", labels, ExportOptions(pulp=True), image=plain)
    assert check_mesh(read(tmp_path / "solid" / "FDI_14_upper_right_first_premolar.stl")).components == 1
    assert ["no pulp was found" in warning for warning in result.warnings] == [True]


def leaning(fdi: int, centre, axis, width=3.0, breadth=4.0, length=20.0) -> tuple[int, vtkPolyData]:
    """An ellipsoid of these extents in mm whose long axis points along `axis`, as the mesh of a tooth."""
    axis = np.array(axis, dtype=float) / np.linalg.norm(axis)
    side = np.cross([0.0, 1.0, 0.0], axis)
    side /= np.linalg.norm(side)
    turn = np.column_stack([side, np.cross(axis, side), axis])
    poly = tooth_surface(ellipsoid(0.3, radii=np.array([width, breadth, length]) / 2, centre=np.zeros(3)), 14)
    from TeethSegLib.surfaces.triangles import from_arrays

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
