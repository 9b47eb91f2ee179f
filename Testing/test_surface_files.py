"""Folders of surfaces: the content of the files, none of which is lost or left half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.vtkIOGeometry import vtkSTLReader

from teethseg.anatomy import TEETH
from teethseg.errors import TeethSegError, UsageError
from teethseg.surfaces.files import check_surface_folder, file_name, write_surfaces
from teethseg.surfaces.mesh import dentition_surfaces
from teethseg.surfaces.triangles import arrays, from_arrays
from teethseg.volume import Volume


@pytest.fixture
def labels() -> Volume:
    array = np.zeros((12, 14, 40), dtype=np.uint8)
    array[2:9, 2:12, 2:12] = 16
    array[2:9, 3:10, 20:28] = 26
    return Volume(array, (0.5, 0.5, 0.5), (-30, -40, 50))


@pytest.fixture
def surfaces(labels):
    return dentition_surfaces(labels)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_stl_files_hold_the_meshes(tmp_path, surfaces):
    write_surfaces(tmp_path / "stl", surfaces)
    assert set(contents(tmp_path / "stl")) == {
        "FDI_16_upper_right_first_molar.stl",
        "FDI_26_upper_left_first_molar.stl",
        "manifest.json",
    }
    path = tmp_path / "stl" / "FDI_16_upper_right_first_molar.stl"
    data = path.read_bytes()
    assert data[:80].rstrip(b"\0") == b"TeethSeg surface. SPACE=LPS UNIT=mm"
    assert len(data) == 84 + 50 * surfaces[16].GetNumberOfPolys()
    reader = vtkSTLReader()
    reader.SetFileName(str(path))
    reader.Update()
    vertices, faces = arrays(surfaces[16])
    read_vertices, read_faces = arrays(reader.GetOutput())
    np.testing.assert_array_equal(read_vertices[read_faces], vertices[faces])
    assert os.listdir(tmp_path) == ["stl"]


def test_manifest(tmp_path, labels, surfaces):
    volumes = {fdi: np.count_nonzero(labels.array == fdi) * labels.voxel_volume for fdi in surfaces}
    checks = write_surfaces(tmp_path / "stl", surfaces, volumes)
    manifest = json.loads((tmp_path / "stl" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["unit"] == "mm" and manifest["space"] == "LPS"
    first, second = manifest["teeth"]
    assert (first["fdi"], first["universal"], first["palmer"]) == (16, "3", "6⏌")
    assert first["name"] == "upper right first molar"
    assert first["file"] == "FDI_16_upper_right_first_molar.stl"
    assert first["volume_mm3"] == pytest.approx(volumes[16], rel=0.02)
    assert first["centroid_lps_mm"] == pytest.approx((-30 + 6.5 / 2, -40 + 6.5 / 2, 50 + 2.5), abs=0.05)
    assert first["check"]["ok"] and first["check"]["open_edges"] == 0 and first["check"]["reasons"] == []
    assert first["check"]["label_volume_mm3"] == volumes[16]
    assert second["fdi"] == 26
    assert checks[16].ok and checks[26].ok


def test_file_names_are_distinct_ascii_in_every_notation(tmp_path, surfaces):
    assert file_name(TEETH[16], "universal") == "3.stl"
    assert file_name(TEETH[85], "universal") == "T.stl"
    assert file_name(TEETH[36], "palmer") == "Palmer_LL6_lower_left_first_molar.stl"
    assert file_name(TEETH[55], "palmer") == "Palmer_URE_deciduous_upper_right_second_molar.stl"
    for notation in ("fdi", "universal", "palmer"):
        names = {file_name(one, notation) for one in TEETH.values()}
        assert len(names) == len(TEETH) and all(name.isascii() for name in names)
    write_surfaces(tmp_path / "new" / "stl", surfaces, notation="universal")
    assert set(contents(tmp_path / "new" / "stl")) == {"3.stl", "14.stl", "manifest.json"}


def test_no_teeth_is_a_result(tmp_path):
    assert write_surfaces(tmp_path / "stl", {}) == {}
    assert json.loads((tmp_path / "stl" / "manifest.json").read_text())["teeth"] == []


def test_a_broken_mesh_is_named_but_not_written(tmp_path, surfaces):
    vertices, faces = arrays(surfaces[26])
    checks = write_surfaces(tmp_path / "stl", {16: surfaces[16], 26: from_arrays(vertices, faces[1:])})
    assert not checks[26].ok
    assert set(contents(tmp_path / "stl")) == {"FDI_16_upper_right_first_molar.stl", "manifest.json"}
    entry = json.loads((tmp_path / "stl" / "manifest.json").read_text(encoding="utf-8"))["teeth"][1]
    assert entry["file"] is None and entry["check"]["reasons"] == ["3 open edges"]


def test_what_is_no_tooth_is_refused(tmp_path, surfaces):
    with pytest.raises(UsageError, match="99"):
        write_surfaces(tmp_path / "stl", {99: surfaces[16]})
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_used_and_a_full_one_left_alone(tmp_path, surfaces):
    (tmp_path / ".DS_Store").write_text("")  # files left by file managers do not count
    write_surfaces(tmp_path, surfaces)
    before = contents(tmp_path)
    assert len(before) == 4
    with pytest.raises(UsageError, match="holds files already"):
        write_surfaces(tmp_path, {16: surfaces[16]})
    assert contents(tmp_path) == before


def test_overwriting_replaces_the_earlier_run_only(tmp_path, surfaces):
    write_surfaces(tmp_path, surfaces)
    (tmp_path / "notes.txt").write_text("mine")
    write_surfaces(tmp_path, {16: surfaces[26]}, notation="universal", overwrite=True)
    assert set(contents(tmp_path)) == {"3.stl", "manifest.json", "notes.txt"}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "14.stl").write_text("mine too")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"14\.stl"):
        write_surfaces(tmp_path, surfaces, notation="universal", overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("manifest", [None, "no JSON", "[]", '{"teeth": [{}]}'])
def test_overwriting_needs_the_manifest_of_an_earlier_run(tmp_path, surfaces, manifest):
    (tmp_path / "3.stl").write_text("mine")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="no earlier run wrote"):
        write_surfaces(tmp_path, surfaces, notation="universal", overwrite=True)
    assert contents(tmp_path) == before


def test_a_manifest_cannot_reach_other_folders(tmp_path, surfaces):
    (tmp_path / "precious.stl").write_text("mine")
    folder = tmp_path / "stl"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"teeth": [{"file": "../precious.stl"}]}')
    write_surfaces(folder, surfaces, overwrite=True)
    assert (tmp_path / "precious.stl").read_text() == "mine"


def test_a_file_in_the_way(tmp_path, surfaces):
    (tmp_path / "stl").write_text("a file")
    with pytest.raises(UsageError, match="not a folder"):
        write_surfaces(tmp_path / "stl", surfaces)
    with pytest.raises(TeethSegError):
        write_surfaces(tmp_path / "stl" / "deeper", surfaces)
    assert contents(tmp_path) == {"stl": b"a file"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_read_only_folder(tmp_path, surfaces):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(TeethSegError, match="cannot be written"):
            write_surfaces(tmp_path / "stl", surfaces)
        with pytest.raises(TeethSegError, match="Permission denied"):  # before a scan is segmented for them
            check_surface_folder(tmp_path / "stl")
        assert os.listdir(tmp_path) == []
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="links are for administrators")
def test_a_loop_of_links_is_no_folder(tmp_path, surfaces):
    (tmp_path / "loop").symlink_to("loop")
    for folder in (tmp_path / "loop", tmp_path / "loop" / "stl"):
        with pytest.raises((UsageError, TeethSegError), match=r":|;"):
            write_surfaces(folder, surfaces)
    assert os.listdir(tmp_path) == ["loop"]


def test_a_failing_move_is_undone(tmp_path, surfaces, monkeypatch):
    write_surfaces(tmp_path, surfaces)
    before = contents(tmp_path)
    rename = Path.rename

    def stubborn(self, target):
        if Path(target) == tmp_path / "manifest.json" and ".teethseg-" in str(self.parent):
            monkeypatch.undo()  # only once, so that moving back works
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(TeethSegError, match="Permission denied"):
        write_surfaces(tmp_path, {16: surfaces[26]}, notation="universal", overwrite=True)
    assert contents(tmp_path) == before


FULL_DISK = """
import resource, signal, sys
from teethseg.errors import TeethSegError
from teethseg.surfaces.files import write_surfaces
from teethseg.surfaces.mesh import tooth_surface
from teethseg.volume import Volume
import numpy as np
poly = tooth_surface(Volume(np.full((20, 20, 20), 16, dtype=np.uint8)), 16)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_surfaces(sys.argv[1], {16: poly})
except TeethSegError as error:
    sys.exit(f"told: {error}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files to imitate a full disk with")
@pytest.mark.parametrize("space", [100, 60_000])
def test_full_disk(tmp_path, space):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "new" / "stl"), str(space)]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("told: Surfaces cannot be written to ")
    assert os.listdir(tmp_path) == []
