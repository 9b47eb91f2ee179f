"""Inconsistent, damaged or malicious files: the reader refuses them in one line at once, or reads them correctly."""

from __future__ import annotations

import bz2
import gzip
import os
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk

from grids import GRIDS, marked_volume
from teethseg.errors import InputError, OutOfMemoryError
from teethseg.io.files import read_labels, read_scan, write_scan
from teethseg.io.nifti import NIFTI1, NIFTI2
from teethseg.io.slicer_scene import archived_scene, scene_files
from teethseg.io.zip_archive import unpack
from teethseg.volume import to_sitk


def refusal(path: Path | str) -> str:
    """The error on reading, which must be one line with the cause, a colon and a way out."""
    with pytest.raises(InputError) as caught:
        read_scan(path)
    text = str(caught.value)
    assert "\n" not in text and ": " in text and text.endswith("."), text
    return text


def written(path: Path, compress: bool = True) -> Path:
    sitk.WriteImage(to_sitk(marked_volume(GRIDS["oblique x+y+z+"])), str(path), useCompression=compress)
    return path


def changed(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(old) == 1, (old, content[:600])
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha", ".gipl.gz"])
def test_no_bit_of_a_compressed_file_changes_unnoticed(tmp_path, suffix):
    path = written(tmp_path / f"scan{suffix}")
    content, right = path.read_bytes(), read_scan(path)
    start = 0 if suffix.endswith(".gz") else content.index(b"\n\n" if suffix == ".nrrd" else b"LOCAL\n")
    for position in np.linspace(start, len(content) - 1, 60).astype(int):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            read = read_scan(path)
        except InputError:
            continue
        # Time, system and name in a gzip header have no effect; nor do the bytes before the voxels in a LOCAL file.
        assert np.array_equal(read.array, right.array) and np.allclose(read.affine, right.affine), position


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha", ".mhd", ".gipl.gz"])
def test_zeros_amid_compressed_voxels(tmp_path, suffix):
    written(tmp_path / f"scan{suffix}")
    data = max((path for path in tmp_path.iterdir()), key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[-900:-500] = bytes(400)
    data.write_bytes(content)
    assert "damaged" in refusal(tmp_path / f"scan{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".mha", ".mhd", ".nhdr", ".gipl"])
@pytest.mark.parametrize(("change", "cause"), [(-1, "cut off"), (5000, "more voxels")])
def test_voxels_are_counted(tmp_path, suffix, change, cause):
    written(tmp_path / f"scan{suffix}", compress=False)
    data = max((path for path in tmp_path.iterdir()), key=lambda path: path.stat().st_size)
    content = data.read_bytes()
    data.write_bytes(content[:change] if change < 0 else content + b"x" * change)
    assert cause in refusal(tmp_path / f"scan{suffix}")


META = {
    b"DimSize = 17 14 11": {
        b"DimSize = 17 14 11.5": "whole numbers",
        b"DimSize = 17 14": "DimSize",
        b"DimSize = 17 14 0": "no size",
        b"DimSize = 17 14 -11": "whole numbers",
        b"DimSize = 99999 99999 99999": "cut off",
        b"DimSize = 17 14 9": "more voxels",
    },
    b"NDims = 3": {
        b"NDims = 100": "100 dimensions",
        b"NDims = -1": "-1 dimensions",
        b"NDims = x": "whole number",
        b"NDims = 2": "DimSize",
    },
    b"ElementType = MET_SHORT": {b"ElementType = MET_ARRAY": "type", b"ElementType = %s%n": "type"},
    b"CompressedData = False": {b"CompressedData = True": "damaged", b"CompressedData = perhaps": "neither"},
    b"ElementDataFile = LOCAL": {
        b"ElementDataFile = %s%s%s%n 1 9 1": "missing",
        b"ElementDataFile = %n": "missing",
        b"ElementDataFile = x%03d.raw 1 999999999 1": "names",
        b"ElementDataFile = /etc/passwd": "outside",
        b"ElementDataFile = ../other.raw": "outside",
        b"ElementDataFile = LIST": "damaged",
        b"ElementDataFile =": "outside",
    },
    b"ElementSpacing = ": {
        b"ElementSpacing = nan nan ": "numbers belong",
        b"ElementSpacing = -1 ": "numbers belong",
        b"Elementspacing = ": "how large its voxels are",
    },
    b"Offset = ": {b"Offset = inf ": "numbers belong"},
    b"TransformMatrix = ": {b"TransformMatrix = 9 9 ": "numbers belong"},
}


@pytest.mark.parametrize(
    ("old", "new", "cause"), [(old, new, cause) for old, news in META.items() for new, cause in news.items()]
)
def test_metaimage_headers_that_lie(tmp_path, old, new, cause):
    assert cause in refusal(changed(written(tmp_path / "scan.mha", compress=False), old, new))


@pytest.mark.parametrize("line", [b"ObjectType = Image\n" * 2000, b"A" * 100_000, b"ObjectType = Image\nNDims\n"])
def test_metaimage_headers_that_do_not_end(tmp_path, line):
    (tmp_path / "scan.mha").write_bytes(line)
    refusal(tmp_path / "scan.mha")


NRRD = {
    b"sizes: 17 14 11": {
        b"sizes: 17 14 11.5": "whole numbers",
        b"sizes: 17 14 -11": "whole numbers",
        b"sizes: 17 14 0": "no size",
        b"sizes: 17 14": "sizes",
        b"sizes: 17 14 999999999999999999": "cut off",
        b"sizes: 17 14 99999999999999999999": "whole numbers",
    },
    b"encoding: raw": {
        b"encoding: raw\nline skip: 9000000000000": "begin nowhere",
        b"encoding: raw\nline skip: 90000": "cut off",
        b"encoding: raw\nline skip: -1": "begin nowhere",
        b"encoding: raw\nbyte skip: 9000000000000": "cut off",
        b"encoding: raw\nbyte skip: -2": "begin nowhere",
        b"encoding: gzip": "damaged",
        b"encoding: bzip2": "cannot be read",
        b"encoding: hex": "unknown",
        b"encoding: raw\ndata file: /etc/passwd": "outside",
        b"encoding: raw\ndata file: ../x": "outside",
        b"encoding: raw\ndata file: x%d%d.raw 1 3 1": "missing",
        b"encoding: raw\ndata file: LIST": "missing",
    },
    b"type: short": {b"type: block": "type", b"type: complex": "type"},
    b"endian: little": {b"endian: middle": "order of bytes"},
    b"dimension: 3": {b"dimension: 99": "dimensions", b"dimension: -1": "dimensions", b"dimension: nine": "damaged"},
    b"space origin: (": {b"space origin: (nan,": "damaged", b"space origin: ": "damaged"},
}


@pytest.mark.parametrize(
    ("old", "new", "cause"), [(old, new, cause) for old, news in NRRD.items() for new, cause in news.items()]
)
def test_nrrd_headers_that_lie(tmp_path, old, new, cause):
    assert cause in refusal(changed(written(tmp_path / "scan.nrrd", compress=False), old, new))


def test_a_nrrd_header_that_does_not_end(tmp_path):
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004\ncontent: " + b"x" * (3 << 20))
    assert "does not end" in refusal(tmp_path / "scan.nrrd")


NIFTI = [
    ("dim", (3, 17, 14, 0, 1, 1, 1, 1), "no size"),
    ("dim", (3, 17, 14, -11, 1, 1, 1, 1), "no size"),
    ("dim", (3, 32767, 32767, 32767, 1, 1, 1, 1), "cut off"),
    ("dim", (3, 17, 14, 5, 1, 1, 1, 1), "more voxels"),
    ("dim", (100, 17, 14, 11, 1, 1, 1, 1), "100 dimensions"),
    ("bitpix", 8, "8 bits"),
    ("datatype", 1, "type 1"),
    ("datatype", 512 + 1, "type 513"),
    ("vox_offset", 351.5, "begin nowhere"),
    ("vox_offset", 0, "begin nowhere"),
    ("vox_offset", np.nan, "begin nowhere"),
    ("vox_offset", 1e9, "cut off"),
    ("scl_slope", np.inf, "scaled by inf"),
    ("xyzt_units", 7, "unit of length"),
    ("srow", np.full((3, 4), np.nan), "not a number"),
    ("srow", np.zeros((3, 4)), "not above 0"),
    ("magic", b"ni1", "pair"),
    ("magic", b"xyz", "not a .nii file"),
    ("sizeof_hdr", 0, "not a .nii file"),
]


def with_header(path: Path, **fields) -> Path:
    content = bytearray(path.read_bytes())
    header = np.frombuffer(content[:348], NIFTI1).copy()
    for field, value in fields.items():
        header[field] = value
    path.write_bytes(header.tobytes() + content[348:])
    return path


@pytest.mark.parametrize(("field", "value", "cause"), NIFTI)
def test_nifti_headers_that_lie(tmp_path, field, value, cause):
    assert cause in refusal(with_header(written(tmp_path / "scan.nii"), **{field: value}))


@pytest.mark.parametrize("step", [0, -0.4, np.nan, np.inf])
def test_no_voxel_size_of_nifti_becomes_another(tmp_path, step):
    steps = (1, 0.4, step, 0.5, 1, 1, 1, 1)
    path = with_header(written(tmp_path / "scan.nii"), pixdim=steps)
    assert "two voxel sizes" in read_scan(path).warnings[0]  # the sform has them right
    assert np.allclose(read_scan(path).spacing, marked_volume().spacing)
    for codes in ({"sform_code": 0}, {"sform_code": 0, "qform_code": 0}):
        text = refusal(with_header(path, **codes))
        assert "not above 0" in text or "not a number" in text


def test_a_nifti_scale_that_is_not_a_number_is_none(tmp_path):
    path = with_header(written(tmp_path / "scan.nii"), scl_slope=np.nan, scl_inter=np.nan)
    read = read_scan(path)
    assert np.array_equal(read.array, marked_volume(GRIDS["oblique x+y+z+"]).array) and "as stored" in read.warnings[0]


def test_nifti_values_are_scaled(tmp_path):
    path = with_header(written(tmp_path / "scan.nii"), scl_slope=2, scl_inter=-7)
    assert np.array_equal(read_scan(path).array, marked_volume().array * 2.0 - 7)


@pytest.mark.parametrize(("unit", "scale"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (10, 1)])
def test_nifti_units_of_length(tmp_path, unit, scale):
    path = with_header(written(tmp_path / "scan.nii"), xyzt_units=unit)
    assert np.allclose(read_scan(path).spacing, np.array(marked_volume().spacing) * scale)


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_nifti_2_and_the_other_byte_order(tmp_path, direction):
    volume = marked_volume(direction)
    write_scan(tmp_path / "scan.nii", volume)
    content = (tmp_path / "scan.nii").read_bytes()
    first = np.frombuffer(content[:348], NIFTI1)
    second = np.zeros(1, NIFTI2)
    for field in set(NIFTI1.names) & set(NIFTI2.names) - {"sizeof_hdr", "magic", "vox_offset"}:
        second[field] = first[field]
    second["sizeof_hdr"], second["magic"], second["vox_offset"] = 540, b"n+2\0\r\n\x1a\n", 544
    voxels = np.ascontiguousarray(volume.array)
    big = first.astype(NIFTI1.newbyteorder(">"))
    (tmp_path / "two.nii").write_bytes(second.tobytes() + bytes(4) + voxels.tobytes())
    (tmp_path / "big.nii").write_bytes(big.tobytes() + bytes(4) + voxels.byteswap().tobytes())
    for name in ("two.nii", "big.nii"):
        read = read_scan(tmp_path / name)
        assert read.array.dtype == volume.array.dtype and np.array_equal(read.array, volume.array)
        assert np.allclose(read.affine, volume.affine, atol=1e-4)
    image = sitk.ReadImage(str(tmp_path / "big.nii"))  # ITK reads no NIfTI-2
    assert np.allclose(image.GetOrigin(), volume.origin, atol=1e-4)
    assert np.allclose(image.GetDirection(), volume.direction.ravel(), atol=1e-4)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (0, 0)])
@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_nifti_lies_where_itk_puts_it(tmp_path, direction, codes):
    sitk.WriteImage(to_sitk(marked_volume(direction)), str(tmp_path / "scan.nii"))
    path = with_header(tmp_path / "scan.nii", qform_code=codes[0], sform_code=codes[1])
    image, read = sitk.ReadImage(str(path)), read_scan(path)
    assert np.allclose(image.GetOrigin(), read.origin, atol=1e-4)
    assert np.allclose(image.GetSpacing(), read.spacing, atol=1e-4)
    assert np.allclose(image.GetDirection(), read.direction.ravel(), atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii.gz", ".gipl.gz"])
def test_gzip_files_of_several_streams(tmp_path, suffix):
    path = written(tmp_path / f"scan{suffix}")
    right, content = read_scan(path), gzip.decompress(path.read_bytes())
    path.write_bytes(b"".join(gzip.compress(content[i : i + 500]) for i in range(0, len(content), 500)) + bytes(300))
    assert np.array_equal(read_scan(path).array, right.array)


@pytest.mark.parametrize("trailer", [4, 8])
def test_gzip_without_its_trailer(tmp_path, trailer):
    for suffix in (".nii.gz", ".gipl.gz", ".nrrd"):
        path = written(tmp_path / f"scan{suffix}")
        path.write_bytes(path.read_bytes()[:-trailer])
        assert "cut off" in refusal(path)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("bzip2", bz2.compress)])
@pytest.mark.parametrize("detached", [False, True])
def test_bombs_cost_no_more_than_their_header_says(tmp_path, encoding, compress, detached):
    bomb = compress(bytes(60 << 20))
    head = f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 64 64 64\nspacings: 1 1 1\nencoding: {encoding}\n"
    (tmp_path / "bomb.bin").write_bytes(bomb)
    (tmp_path / "scan.nrrd").write_bytes(head.encode() + (b"data file: bomb.bin\n" if detached else b"\n" + bomb))
    tracemalloc.start()
    try:
        assert "more voxels" in refusal(tmp_path / "scan.nrrd")
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def test_a_metaimage_bomb(tmp_path):
    head = b"NDims = 3\nDimSize = 64 64 64\nElementSpacing = 1 1 1\nElementType = MET_UCHAR\nCompressedData = True\n"
    (tmp_path / "scan.mha").write_bytes(head + b"ElementDataFile = LOCAL\n" + zlib.compress(bytes(60 << 20)))
    assert "more voxels" in refusal(tmp_path / "scan.mha")


def test_a_header_that_promises_more_than_memory(tmp_path, monkeypatch):
    path = written(tmp_path / "scan.nrrd")
    free = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(OutOfMemoryError, match=r"scan.nrrd does not fit into memory: .*\."):
        read_scan(path)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize("device", ["/dev/zero", "fifo", "folder", "link"])
def test_data_files_are_regular_and_below_the_header(tmp_path, suffix, device):
    folder = tmp_path / "scan"
    folder.mkdir()
    path = written(folder / f"scan{suffix}", compress=False)
    data = next(file for file in folder.iterdir() if file != path)
    data.rename(tmp_path / "elsewhere.raw")
    if device == "fifo":
        os.mkfifo(data)
    elif device == "folder":
        data.mkdir()
    elif device == "link":
        data.symlink_to(tmp_path / "elsewhere.raw")
    else:
        content = path.read_bytes()
        path.write_bytes(content.replace(data.name.encode(), device.encode()))
    text = refusal(path)
    assert {"/dev/zero": "outside", "fifo": "cut off", "folder": "", "link": "outside"}[device] in text


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize("entry", ["LIST", "pattern"])
def test_a_file_for_each_slice(tmp_path, suffix, entry):
    path = written(tmp_path / f"scan{suffix}", compress=False)
    right, data = read_scan(path), next(file for file in tmp_path.iterdir() if file != path)
    for index, plane in enumerate(right.array):
        (tmp_path / f"slice{index:02d}.raw").write_bytes(plane.tobytes())
    names = "\n".join(f"slice{index:02d}.raw" for index in range(len(right.array)))
    value = f"LIST\n{names}" if entry == "LIST" else f"slice%02d.raw 0 {len(right.array) - 1} 1"
    lines = path.read_text().replace("\n\n", "\n").rstrip().splitlines()
    lines = [line for line in lines if data.name not in line]
    lines.append(f"{'ElementDataFile =' if suffix == '.mhd' else 'data file:'} {value}")
    data.unlink()
    path.write_text("\n".join(lines) + "\n")
    assert np.array_equal(read_scan(path).array, right.array)
    (tmp_path / "slice03.raw").write_bytes(b"x")
    assert "cut off" in refusal(path)


def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "scan.nrrd")
    assert "device or pipe" in refusal(tmp_path / "scan.nrrd")
    assert "device or pipe" in refusal("/dev/zero")
    (tmp_path / "loop.nrrd").symlink_to(tmp_path / "loop.nrrd")
    assert "cannot be read" in refusal(tmp_path / "loop.nrrd")
    assert "cannot be read" in refusal(tmp_path / ("歯" * 190 + ".nrrd"))
    assert "empty" in refusal("")
    assert "is empty" not in refusal(tmp_path / "scan\0.nrrd")
    with pytest.raises(InputError, match="folder"):
        read_labels(tmp_path)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha", ".gipl"])
def test_names_that_are_not_utf8(tmp_path, suffix):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe scan" + suffix.encode()))
    right = written(tmp_path / f"scan{suffix}")
    right.rename(path)
    assert read_scan(path).array.any()
    path.write_bytes(b"")
    assert "empty" in refusal(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".mha"])
@pytest.mark.parametrize("spacing", [(0.0, 1, 1), (np.nan, 1, 1)])
def test_labels_need_a_place_too(tmp_path, suffix, spacing):
    from dataclasses import replace

    write_scan(tmp_path / f"labels{suffix}", replace(marked_volume(dtype=np.uint8), spacing=spacing))
    with pytest.raises(InputError, match=":"):
        read_labels(tmp_path / f"labels{suffix}")


def test_what_no_reader_thought_of_is_damage(tmp_path, monkeypatch):
    from teethseg.io import files

    def surprise(path):
        raise RecursionError

    monkeypatch.setattr(files, "read_nifti", surprise)
    assert "is damaged" in refusal(written(tmp_path / "scan.nii"))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_with_damaged_content(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
        packed.writestr("scan.nrrd", bytes(np.random.default_rng(0).integers(0, 9, 5000, np.uint8)))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[60:120] = bytes(60)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0" encoding="foo"?><MRML/>',
        '<?xml version="1.0" encoding="utf-7"?><MRML/>',
        '<MRML><Volume id="v" references="storage:s"/><Segmentation id="g" references="storage:s"/><S id="s" fileName="'
        + "x" * 300
        + '"/></MRML>',
    ],
)
def test_odd_scenes_are_named(tmp_path, text):
    (tmp_path / "a.mrml").write_text(text, encoding="ascii")
    with pytest.raises(InputError, match=r"a\.mrml (is damaged|has no file)"):
        scene_files(tmp_path / "a.mrml")


@pytest.mark.parametrize("damage", ["content", "encrypted"])
def test_scene_bundles_that_cannot_be_unpacked_are_named(tmp_path, damage):
    with zipfile.ZipFile(tmp_path / "a.mrb", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("s/s.mrml", "<MRML>" + "<Volume id='a'/>" * 2000 + "</MRML>")
    content = bytearray((tmp_path / "a.mrb").read_bytes())
    if damage == "content":
        content[50:70] = bytes(20)
    else:
        content[content.find(b"PK\1\2") + 8] |= 1
        content[6] |= 1
    (tmp_path / "a.mrb").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mrb is damaged"):
        archived_scene(tmp_path / "a.mrb")


@pytest.mark.parametrize("name", ["x" * 300 + ".nrrd", "ä" * 140 + "/scan.nrrd"])
def test_a_zip_whose_names_are_too_long_is_not_called_damaged(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(name, b"NRRD0004")
    with pytest.raises(InputError, match=r"a\.zip has names .+ too long for this disk .+ shorter names") as error:
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert "damaged" not in str(error.value) and not (tmp_path / "out").exists()
