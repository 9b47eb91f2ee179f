"""Files that the browser sends."""

from __future__ import annotations

import asyncio
import stat
import zipfile

import pytest

from teethseg.application.uploads import receive, safe_name, unpack_scan
from teethseg.errors import InputError
from teethseg.io.zip_archive import unpack


async def _pieces(*pieces):
    for piece in pieces:
        yield piece


def _receive(path, *pieces, announced=None, limit=100):
    asyncio.run(receive(_pieces(*pieces), path, announced, limit))


@pytest.mark.parametrize("name", ["scan.nrrd", "SCAN.NII.GZ", "a b.zip", "Müller.mha", "IM0001.dcm"])
def test_names_of_scans_are_taken(name):
    assert safe_name(name) == name


def test_a_very_long_name_is_cut_and_keeps_its_ending(tmp_path):
    name = safe_name("ä" * 300 + ".NII.gz")
    assert name == "ä" * 60 + ".NII.gz"
    _receive(tmp_path / name, b"12")
    assert safe_name("x" * 300 + ".zip").endswith("x.zip")


@pytest.mark.parametrize("name", ["../../etc/scan.nrrd", "/root/scan.nrrd", "C:\\users\\scan.nrrd", "..\\scan.nrrd"])
def test_folders_in_a_name_are_dropped(name):
    assert safe_name(name) == "scan.nrrd"


@pytest.mark.parametrize("name", ["", "scan.exe", "scan.nrrd\n", "scan.nhdr", "scan", "\0.nrrd"])
def test_other_names_are_refused_in_one_line(name):
    with pytest.raises(InputError) as error:
        safe_name(name)
    assert "\n" not in str(error.value)


def test_a_file_arrives_whole(tmp_path):
    _receive(tmp_path / "a.nrrd", b"12", b"345", announced=5)
    assert (tmp_path / "a.nrrd").read_bytes() == b"12345"


@pytest.mark.parametrize(
    ("pieces", "announced", "word"),
    [((b"x" * 60, b"x" * 60), None, "larger"), ((b"",), 101, "larger"), ((b"12",), 5, "part"), ((), None, "empty")],
)
def test_nothing_stays_of_what_is_refused(tmp_path, pieces, announced, word):
    with pytest.raises(InputError, match=word):
        _receive(tmp_path / "a.nrrd", *pieces, announced=announced)
    assert list(tmp_path.iterdir()) == []


def _zip(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return path


def test_what_file_managers_pack_along_is_left_out(tmp_path):
    entries = ["case/scan.nrrd", "__MACOSX/case/._scan.nrrd", "case/._scan.nrrd", "case/.DS_Store", "Thumbs.db"]
    packed = _zip(tmp_path / "a.zip", [(name, b"1") for name in entries])
    unpack(packed, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["scan.nrrd"]


def test_zips_in_a_zip_are_unpacked(tmp_path):
    inner = _zip(tmp_path / "inner.zip", [("IM1", b"1"), ("more/IM2", b"2")]).read_bytes()
    packed = _zip(tmp_path / "a.zip", [("s/a.zip", inner), ("s/B.ZIP", inner), ("s/IM3", b"3")])
    unpack(packed, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert names == ["IM1", "IM1", "IM2", "IM2", "IM3"]


def test_zips_in_zips_without_end_are_refused(tmp_path):
    content = _zip(tmp_path / "inner.zip", [("IM1", b"1")]).read_bytes()
    for _ in range(5):
        content = _zip(tmp_path / "inner.zip", [("inner.zip", content)]).read_bytes()
    with pytest.raises(InputError, match="more than a scan"):
        unpack(tmp_path / "inner.zip", tmp_path / "out")
    # The limits apply to all nested archives together.
    big = _zip(tmp_path / "big.zip", [("a.nrrd", bytes(40_000))]).read_bytes()
    packed = _zip(tmp_path / "b.zip", [("1.zip", big), ("2.zip", big)])
    with pytest.raises(InputError, match="more than a scan"):
        unpack(packed, tmp_path / "out", limit=60_000)
    assert not (tmp_path / "out").exists()


def test_a_dicom_series_stays_a_folder(tmp_path):
    packed = _zip(tmp_path / "a.zip", [("s/IM1", b"1"), ("s/IM2", b"2")])
    assert unpack(packed, tmp_path / "out") == tmp_path / "out"
    assert {path.name for path in (tmp_path / "out").rglob("IM*")} == {"IM1", "IM2"}


@pytest.mark.parametrize("name", ["../evil.nrrd", "a/../../evil.nrrd", "/evil.nrrd", "..\\evil.nrrd", "C:/evil.nrrd"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    packed = _zip(tmp_path / "a.zip", [("good.nrrd", b"1"), (name, b"2")])
    with pytest.raises(InputError, match="outside"):
        unpack(packed, tmp_path / "in" / "out" if (tmp_path / "in").mkdir() is None else tmp_path)
    assert not list(tmp_path.rglob("evil*"))
    assert not list(tmp_path.rglob("good*"))


def test_a_folder_named_after_the_time_of_day_is_unpacked(tmp_path):
    """A colon is allowed in names on macOS and Linux; on Windows it would name a stream of a file."""
    packed = _zip(tmp_path / "a.zip", [("Scan 12:30/IM1", b"1"), ("Scan 12:30/IM2", b"2")])
    unpack(packed, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "Scan 12_30").iterdir()) == ["IM1", "IM2"]


def test_links_are_refused(tmp_path):
    entry = zipfile.ZipInfo("link.nrrd")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="outside"):
        unpack(_zip(tmp_path / "a.zip", [(entry, "/etc/passwd")]), tmp_path / "out")


def test_bombs_are_refused_by_what_they_say_and_by_what_they_do(tmp_path):
    packed = _zip(tmp_path / "a.zip", [("a.nrrd", b"\0" * 100_000)])
    with pytest.raises(InputError, match="more than a scan"):
        unpack(packed, tmp_path / "out", limit=50_000)
    # The header states a false size: the reader counts the bytes nevertheless.
    lying = bytearray(packed.read_bytes())
    central = lying.index(b"PK\x01\x02")
    lying[central + 24 : central + 28] = (10).to_bytes(4, "little")
    lying[22:26] = (10).to_bytes(4, "little")
    packed.write_bytes(lying)
    with pytest.raises(InputError):
        unpack(packed, tmp_path / "out", limit=50_000)
    many = _zip(tmp_path / "b.zip", [(f"{n}", b"") for n in range(30)])
    with pytest.raises(InputError, match="more than a scan"):
        unpack(many, tmp_path / "out", most_files=20)
    assert not (tmp_path / "out").exists()


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_text("hello")
    with pytest.raises(InputError, match="no zip file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_packed_scan_is_unpacked_and_a_single_file_is_taken_as_it_is(tmp_path):
    packed = _zip(tmp_path / "disc.zip", [("IM1", b"1"), ("IM2", b"22")])
    folder = unpack_scan(packed)
    assert folder.parent == tmp_path and not packed.exists()
    assert {path.name for path in folder.iterdir()} == {"IM1", "IM2"}
    (tmp_path / "scan.nrrd").write_bytes(b"123")
    assert unpack_scan(tmp_path / "scan.nrrd").read_bytes() == b"123"
