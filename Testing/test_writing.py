"""A file is written whole, or the old one is still there; no drafts are left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from full_disk import full_disk
from grids import marked_volume
from teethseg.errors import TeethSegError, UsageError
from teethseg.io import atomic_write
from teethseg.io.atomic_write import draft_folder, remove_left_drafts, replace_files, replaced, written_whole
from teethseg.io.case_folder import write_case_folder
from teethseg.io.files import read_labels, read_scan, write_labels, write_scan
from teethseg.surfaces.files import write_surfaces
from teethseg.surfaces.measures import write_csv
from teethseg.surfaces.mesh import tooth_surface
from teethseg.volume import Volume

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's limits, modes and devices")


def scan() -> Volume:
    return Volume(np.random.default_rng(0).integers(0, 3000, (24, 24, 24)).astype(np.int16), (0.5, 0.5, 0.5))


def teeth() -> Volume:
    array = np.zeros((24, 24, 24), np.uint8)
    array[4:20, 4:11, 4:20], array[4:20, 13:20, 4:20] = 16, 26
    array[:, :4] = np.random.default_rng(0).choice([0, 11, 12], (24, 4, 24))  # random values, which hardly compress
    return Volume(array, (0.5, 0.5, 0.5))


def picture(path: Path) -> None:
    from PIL import Image

    from teethseg.pictures.canvas import save_png

    save_png(Image.fromarray(scan().array[0].astype(np.uint8)), path)


WRITERS = {
    "scan.nrrd": lambda path: write_scan(path, scan()),
    "scan.nii": lambda path: write_scan(path, scan()),
    "scan.nii.gz": lambda path: write_scan(path, scan()),
    "scan.mha": lambda path: write_scan(path, scan()),
    "teeth.seg.nrrd": lambda path: write_labels(path, teeth()),
    "teeth.nii.gz": lambda path: write_labels(path, teeth()),
    "teeth.csv": lambda path: write_csv(path, [{"fdi": fdi, "volume": 1.5} for fdi in range(200)]),
    "teeth.png": picture,
}


@posix
@pytest.mark.parametrize("room", [0, 1, 200, 600])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file(tmp_path, name, room):
    path = tmp_path / name
    path.write_bytes(b"the old one")
    with full_disk(room), pytest.raises(TeethSegError, match=r"cannot be written \(.+\): .+\."):
        WRITERS[name](path)
    assert path.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == [name]
    WRITERS[name](path)
    assert path.stat().st_size > 600 and os.listdir(tmp_path) == [name]


@posix
@pytest.mark.parametrize("room", [0, 100, 2000])
@pytest.mark.parametrize("form", ["stl", "obj", "ply", "glb"])
def test_a_full_disk_leaves_the_old_surfaces(tmp_path, form, room):
    mesh = tooth_surface(teeth(), 16)
    write_surfaces(tmp_path, {16: mesh})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(room), pytest.raises(TeethSegError, match=r"Surfaces cannot be written to .+: choose"):
        write_surfaces(tmp_path, {16: mesh, 26: mesh}, form=form, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@posix
@pytest.mark.parametrize("room", [0, 300, 3000])
def test_a_full_disk_leaves_the_old_case(tmp_path, room):
    write_case_folder(tmp_path / "case", scan(), teeth(), "one")
    before = {path.name: path.read_bytes() for path in (tmp_path / "case").iterdir()}
    with full_disk(room), pytest.raises(TeethSegError, match="cannot be written") as error:
        write_case_folder(tmp_path / "case", scan(), teeth(), "two", overwrite=True)
    assert str(tmp_path) in str(error.value) and ".teethseg" not in str(error.value)  # users never see drafts
    assert {path.name: path.read_bytes() for path in (tmp_path / "case").iterdir()} == before
    assert os.listdir(tmp_path) == ["case"]


def test_a_writer_that_writes_nothing_replaces_nothing(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(TeethSegError, match="nothing was written"), written_whole(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_text() == "old"


@posix
def test_drafts_are_private_and_files_are_not(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    with written_whole(path) as draft:
        assert draft.stat().st_mode & 0o777 == 0o600 and draft.name.endswith(".seg.nrrd")
        draft.write_text("x")
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o640)  # a choice of the user, which stays
    write_labels(path, teeth())
    assert path.stat().st_mode & 0o777 == 0o640
    with draft_folder(tmp_path) as draft:
        assert draft.stat().st_mode & 0o777 == 0o700


@posix
def test_links_are_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out.nrrd").symlink_to(tmp_path / "precious")
    write_labels(tmp_path / "out.nrrd", teeth())
    assert (tmp_path / "precious").read_text() == "precious"
    assert read_labels(tmp_path / "out.nrrd").array.max() == 26


@posix
@pytest.mark.parametrize("place", ["/dev/null", "/dev/full", "fifo", "loop", "歯" * 190, "x" * 256, "a\0b"])
def test_places_that_are_none(tmp_path, place):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(os.listdir(tmp_path))
    path = tmp_path / place
    with pytest.raises(UsageError, match=":"), written_whole(path):
        raise AssertionError
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("length", [200, 241, 250])
def test_names_as_long_as_the_disk_allows(tmp_path, length):
    path = tmp_path / ("x" * (length - 9) + ".seg.nrrd")
    write_labels(path, teeth())
    assert os.listdir(tmp_path) == [path.name]
    assert np.array_equal(read_labels(path).array, teeth().array)


@posix
def test_names_that_are_not_utf8(tmp_path):
    for name in (b"\xff\xfe.seg.nrrd", b"\xff.nii.gz"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        write_labels(path, teeth())
        assert np.array_equal(read_labels(path).array, teeth().array)


def killed_child() -> int:
    """Number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    with draft_folder(tmp_path) as draft:
        name = draft.name
    dead = name.replace(f"-{os.getpid()}-", f"-{killed_child()}-")
    (tmp_path / f"{dead}.nrrd").write_text("half a file")
    (tmp_path / dead).mkdir()
    (tmp_path / dead / "inside").write_text("half a file")
    replaced(tmp_path / dead)
    (tmp_path / dead / "replaced" / "case").mkdir()  # moved aside when the process was killed
    mine, others = tmp_path / name, tmp_path / ".teethseg-00000000-1-0123456789ab"
    absurd = tmp_path / name.replace(f"-{os.getpid()}-", f"-{'9' * 40}-")
    for path in (mine, others, absurd):
        path.write_text("somebody works on it")
    write_scan(tmp_path / "scan.nrrd", scan())
    assert sorted(os.listdir(tmp_path)) == sorted([mine.name, others.name, absurd.name, "case", "scan.nrrd"])


@pytest.mark.parametrize("moves", range(8))
def test_a_kill_amid_an_exchange_of_files_loses_none(tmp_path, moves, monkeypatch):
    """After any number of moves all files are old or all are new. They stay so if the repair is killed, too."""
    for name in ("a", "b", "list"):
        (tmp_path / name).write_text("old")
    done = []
    rename = Path.rename

    def counted(source, target):
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(target)
        return rename(source, target)

    def exchange():
        with draft_folder(tmp_path) as draft:
            (draft / "new").mkdir()
            for name in ("b", "c", "list"):
                (draft / "new" / name).write_text("new")
            replace_files(draft / "new", tmp_path, ["a", "b", "list"], draft, last="list")

    monkeypatch.setattr(Path, "rename", counted)
    removed = atomic_write._remove_folder  # noqa: SLF001  # a killed process leaves this out
    monkeypatch.setattr(atomic_write, "_remove_folder", lambda draft: None)
    with contextlib.suppress(KeyboardInterrupt):
        exchange()
    (draft,) = tmp_path.glob(".teethseg-*")
    rename(draft, tmp_path / draft.name.replace(f"-{os.getpid()}-", f"-{killed_child()}-"))
    monkeypatch.setattr(atomic_write, "_remove_folder", removed)
    moves = len(done) + 1  # the first repair gets one move far
    with contextlib.suppress(KeyboardInterrupt):
        remove_left_drafts(tmp_path)
    monkeypatch.setattr(Path, "rename", rename)
    remove_left_drafts(tmp_path)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found in (dict.fromkeys(("a", "b", "list"), "old"), dict.fromkeys(("b", "c", "list"), "new"))


def test_what_is_written_is_read_the_same(tmp_path):
    volume = marked_volume()
    for suffix in (".nrrd", ".nii", ".nii.gz", ".mha"):
        write_scan(tmp_path / f"a{suffix}", volume)
        assert np.array_equal(read_scan(tmp_path / f"a{suffix}").array, volume.array)
        first = (tmp_path / f"a{suffix}").read_bytes()
        write_scan(tmp_path / f"a{suffix}", volume)
        assert (tmp_path / f"a{suffix}").read_bytes() == first
