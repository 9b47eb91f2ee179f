"""Scans and label maps in every format, on every grid; damaged and unfit files."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from grids import GRIDS, MARKER, marked_volume, marker_lps
from teethseg.errors import InputError, TeethSegError, UsageError
from teethseg.io.atomic_write import written_whole
from teethseg.io.files import check_output, read_labels, read_scan, write_labels, write_scan
from teethseg.io.scan_checks import check_scan, looks_like_labels
from teethseg.volume import Volume, to_sitk

ORIENTED = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")


def write_with_itk(path: Path, volume: Volume) -> Path:
    """The oracle for reading: files as ITK, and therefore 3D Slicer, writes them."""
    sitk.WriteImage(to_sitk(volume), str(path), useCompression=True)
    return path


def assert_same(read: Volume, volume: Volume, tolerance: float = 1e-4) -> None:
    assert read.array.dtype == volume.array.dtype
    assert np.array_equal(read.array, volume.array)
    # NIfTI keeps positions as 32-bit floats.
    np.testing.assert_allclose(read.affine, volume.affine, atol=tolerance)


def refusal(path: Path) -> str:
    """The error on reading, which must be one line with the cause, a colon and a way out."""
    with pytest.raises(InputError) as caught:
        read_scan(path)
    text = str(caught.value)
    assert "\n" not in text and ": " in text and text.endswith(".")
    return text


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("suffix", ORIENTED)
def test_read_what_itk_wrote(tmp_path, suffix, direction):
    volume = marked_volume(direction)
    read = read_scan(write_with_itk(tmp_path / f"scan{suffix}", volume))
    assert_same(read, volume)
    assert read.warnings == ()
    np.testing.assert_allclose(marker_lps(read), marker_lps(volume), atol=1e-4)


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_itk_reads_what_we_wrote(tmp_path, suffix, direction):
    volume = marked_volume(direction)
    write_scan(tmp_path / f"scan{suffix}", volume)
    image = sitk.ReadImage(str(tmp_path / f"scan{suffix}"))
    k, j, i = MARKER
    assert image[i, j, k] == 120
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((i, j, k)), marker_lps(volume), atol=1e-4)
    assert_same(read_scan(tmp_path / f"scan{suffix}"), volume)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_every_type_survives(tmp_path, suffix, dtype):
    volume = marked_volume(dtype=dtype)
    write_scan(tmp_path / f"scan{suffix}", volume)
    assert_same(read_scan(tmp_path / f"scan{suffix}"), volume)


@pytest.mark.parametrize("suffix", [".gipl", ".gipl.gz"])
def test_gipl_knows_no_orientation_and_says_so(tmp_path, suffix):
    volume = marked_volume()
    read = read_scan(write_with_itk(tmp_path / f"scan{suffix}", volume))
    assert_same(read, volume)
    assert "left and right" in read.warnings[0]


def test_nifti_without_orientation_says_so(tmp_path):
    path = write_with_itk(tmp_path / "scan.nii", marked_volume())
    content = bytearray(path.read_bytes())
    content[252:256] = bytes(4)  # qform_code and sform_code
    path.write_bytes(content)
    assert "left and right" in read_scan(path).warnings[0]


def nifti(path: Path, volume: Volume, **fields) -> Path:
    """A NIfTI-1 file with other values in some fields of its header (name: offset, format, values)."""
    offsets = {"pixdim": (76, "<8f"), "qform_code": (252, "<h"), "sform_code": (254, "<h"), "quatern": (256, "<3f")}
    offsets |= {"srow": (280, "<12f")}
    write_scan(path, volume)
    content = bytearray(path.read_bytes())
    for name, values in fields.items():
        offset, layout = offsets[name]
        struct.pack_into(layout, content, offset, *np.ravel(values))
    path.write_bytes(content)
    return path


def srow(volume: Volume, change: np.ndarray) -> np.ndarray:
    """The sform of a volume after a RAS matrix moves its voxels."""
    return (np.asarray(change) @ np.diag([-1, -1, 1]) @ volume.affine[:3])[:3]


@pytest.mark.parametrize("codes", [(q, s) for q in range(4) for s in range(4) if q or s])
@pytest.mark.parametrize(("flip", "sides"), [((-1, 1, 1), True), ((1, -1, 1), False), ((1, 1, -1), False)])
def test_nifti_that_says_two_things_is_taken_as_by_itk_with_a_warning(tmp_path, codes, flip, sides):
    volume = marked_volume(next(iter(GRIDS.values())))
    path = nifti(
        tmp_path / "scan.nii", volume, qform_code=codes[0], sform_code=codes[1], srow=srow(volume, np.diag(flip))
    )
    read, image = read_scan(path), sitk.ReadImage(str(path))
    np.testing.assert_allclose(read.direction.ravel(), image.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(read.origin, image.GetOrigin(), atol=1e-4)
    if all(codes):
        (warning,) = read.warnings
        assert "two things" in warning and warning.endswith("check left and right." if sides else "check how it lies.")
    else:
        assert read.warnings == ()


@pytest.mark.parametrize("error", [1e-4, 1e-3])
@pytest.mark.parametrize("codes", [(0, 1), (1, 1)])
def test_nifti_whose_axes_are_off_by_rounding_is_read(tmp_path, error, codes):
    volume = marked_volume()
    shear = np.eye(3) + error * np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]])
    path = nifti(tmp_path / "scan.nii", volume, qform_code=codes[0], sform_code=codes[1], srow=srow(volume, shear))
    read = read_scan(path)
    assert read.warnings == ()
    np.testing.assert_allclose(read.affine[:3], np.diag([-1, -1, 1]) @ srow(volume, shear), atol=1e-4)
    write_labels(tmp_path / "labels.nii", read.with_array(read.array.astype(np.uint8)))
    np.testing.assert_allclose(read_labels(tmp_path / "labels.nii").affine, read.affine, atol=1e-4)


@pytest.mark.parametrize("codes", [(0, 1), (1, 1), (0, 2)])
def test_nifti_with_a_real_shear_is_refused(tmp_path, codes):
    volume = marked_volume()
    shear = np.eye(3) + 0.05 * np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    path = nifti(tmp_path / "scan.nii", volume, qform_code=codes[0], sform_code=codes[1], srow=srow(volume, shear))
    assert "not perpendicular" in refusal(path)


def test_what_is_no_number_means_the_same_in_every_format(tmp_path):
    volume = marked_volume(dtype=np.float32)
    volume.array[0], volume.array[1, 1, 1], volume.array[2, 2, 2] = np.nan, np.inf, -np.inf
    scans = []
    for suffix in (".nrrd", ".nii", ".nii.gz", ".mha", ".mhd", ".nhdr"):
        write_with_itk(tmp_path / f"scan{suffix}", volume)
        scans.append(read_scan(tmp_path / f"scan{suffix}"))
    count = volume.array[0].size + 2
    for scan in scans:
        assert np.array_equal(scan.array, scans[0].array) and np.isfinite(scan.array).all()
        assert f"{count} of {volume.array.size} voxels are not a number or infinite" in scan.warnings[0]


@pytest.mark.parametrize(
    ("space", "flips"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
    ],
)
@pytest.mark.parametrize("direction", list(GRIDS.values())[:4], ids=list(GRIDS)[:4])
def test_nrrd_in_any_space(tmp_path, space, flips, direction):
    volume = marked_volume(direction)
    header = {
        "space": space,
        "space directions": (volume.affine[:3, :3].T * flips),
        "space origin": np.array(volume.origin) * flips,
        "kinds": ["domain"] * 3,
    }
    nrrd.write(str(tmp_path / "scan.nrrd"), volume.array, header, index_order="C")
    read = read_scan(tmp_path / "scan.nrrd")
    assert_same(read, volume)
    assert read.warnings == ()


@pytest.mark.parametrize("space", [None, "scanner-xyz", "3D-left-handed"])
def test_nrrd_without_patient_space_is_taken_as_lps_with_a_warning(tmp_path, space):
    volume = marked_volume()
    header = {"space": space} if space else {"space dimension": 3}
    header |= {"space directions": volume.affine[:3, :3].T, "space origin": np.array(volume.origin)}
    nrrd.write(str(tmp_path / "scan.nrrd"), volume.array, header, index_order="C")
    read = read_scan(tmp_path / "scan.nrrd")
    assert_same(read, volume)
    assert "left and right" in read.warnings[0]


def test_nrrd_with_spacings_only(tmp_path):
    volume = marked_volume()
    nrrd.write(str(tmp_path / "scan.nrrd"), volume.array, {"spacings": np.array(volume.spacing)}, index_order="C")
    read = read_scan(tmp_path / "scan.nrrd")
    assert read.spacing == volume.spacing and read.origin == (0, 0, 0) and read.orientation == "LPS"
    assert "left and right" in read.warnings[0]


@pytest.mark.parametrize(("unit", "scale"), [("cm", 10), ("m", 1000), ("um", 0.001), ("mm", 1), ("furlong", 1)])
@pytest.mark.parametrize("form", ["nrrd in space", "nrrd of spacings", "mha"])
def test_units_of_length(tmp_path, form, unit, scale):
    volume = marked_volume()
    sides, corner = np.array(volume.spacing) / scale, np.array(volume.origin) / scale
    path = tmp_path / ("scan.mha" if form == "mha" else "scan.nrrd")
    if form == "mha":
        write_scan(path, replace(volume, spacing=tuple(sides), origin=tuple(corner)))
        path.write_bytes(path.read_bytes().replace(b"NDims", f"DistanceUnits = {unit}\nNDims".encode(), 1))
    else:
        header = {"space": "left-posterior-superior", "space units": [unit] * 3, "space origin": corner}
        header |= {"space directions": np.diag(sides)}
        header = header if form == "nrrd in space" else {"spacings": sides.tolist(), "units": [unit] * 3}
        nrrd.write(str(path), volume.array, header, index_order="C")
    read = read_scan(path)
    np.testing.assert_allclose(read.spacing, volume.spacing, rtol=1e-6)
    np.testing.assert_allclose(read.origin, (0, 0, 0) if form == "nrrd of spacings" else volume.origin, rtol=1e-6)


def test_nrrd_without_voxel_size(tmp_path):
    nrrd.write(str(tmp_path / "scan.nrrd"), marked_volume().array, index_order="C")
    assert "how large its voxels are" in refusal(tmp_path / "scan.nrrd")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
@pytest.mark.parametrize("endian", ["little", "big"])
def test_nrrd_encodings(tmp_path, encoding, suffix, endian):
    volume = marked_volume()
    header = {"encoding": encoding, "endian": endian, "space": "LPS", "space directions": volume.affine[:3, :3].T}
    header["space origin"] = np.array(volume.origin)
    array = volume.array.astype(volume.array.dtype.newbyteorder("<" if endian == "little" else ">"))
    nrrd.write(str(tmp_path / f"scan{suffix}"), array, header, suffix == ".nhdr", index_order="C")
    assert_same(read_scan(tmp_path / f"scan{suffix}"), volume)


def test_nrrd_with_one_channel_or_one_time_is_a_scan(tmp_path):
    volume = marked_volume()
    directions = np.vstack([np.full(3, np.nan), volume.affine[:3, :3].T])
    header = {"space": "LPS", "space directions": directions, "kinds": ["list", *["domain"] * 3]}
    header["space origin"] = np.array(volume.origin)
    nrrd.write(str(tmp_path / "scan.nrrd"), volume.array[..., None], header, index_order="C")
    assert_same(read_scan(tmp_path / "scan.nrrd"), volume)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii"])
def test_a_series_of_one_volume_is_a_scan(tmp_path, suffix):
    volume, path = marked_volume(GRIDS["oblique x+y+z+"]), tmp_path / f"series{suffix}"
    for times in (1, 2):
        series = sitk.GetImageFromArray(np.stack([volume.array] * times), isVector=False)
        series.SetSpacing((*volume.spacing, 1.0))
        series.SetOrigin((*volume.origin, 0.0))
        series.SetDirection(np.block([[volume.direction, np.zeros((3, 1))], [np.zeros((1, 3)), 1]]).ravel())
        sitk.WriteImage(series, path)
        if times > 1:
            assert "4 dimensions" in refusal(path)
            return
        text = path.read_bytes()
        if suffix == ".nrrd":  # ITK names no space
            path.write_bytes(text.replace(b"space dimension: 4", b"space: left-posterior-superior-time"))
        assert_same(read_scan(path), volume)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    volume = marked_volume(GRIDS["oblique x+y+z+"])
    for name in ("a.nrrd", "b.nrrd"):
        write_scan(tmp_path / name, volume)
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha", ".gipl", ".gipl.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.01, 0.1, 0.7, 0.999])
def test_cut_off_files_are_named(tmp_path, capfd, suffix, keep):
    path = write_with_itk(tmp_path / f"scan{suffix}", marked_volume())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    text = refusal(path)
    assert ("empty (0 bytes)" if keep == 0 else "cut off" if keep > 0.5 else "again") in text
    assert capfd.readouterr().err == ""  # no library writes messages of its own


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".gipl.gz"])
def test_damaged_in_the_middle(tmp_path, suffix):
    path = write_with_itk(tmp_path / f"scan{suffix}", marked_volume())
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [*ORIENTED, ".gipl", ".gipl.gz"])
def test_another_type_of_file_under_a_scans_name(tmp_path, capfd, suffix):
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    text = refusal(path)
    kind = "NRRD" if suffix in (".nrrd", ".nhdr") else suffix
    assert f"not a {kind} file" in text and path.name in text
    assert capfd.readouterr().err == ""


def test_a_header_that_promises_too_much(tmp_path):
    volume = marked_volume()
    write_scan(tmp_path / "scan.nrrd", volume)
    content = (tmp_path / "scan.nrrd").read_bytes()
    (tmp_path / "scan.nrrd").write_bytes(content.replace(b"sizes: 17 14 11", b"sizes: 90000 90000 90000"))
    assert "cut off" in refusal(tmp_path / "scan.nrrd")
    (tmp_path / "scan.nrrd").write_bytes(content.replace(b"sizes: 17 14 11", b"sizes: 17 14 3"))
    assert "more voxels" in refusal(tmp_path / "scan.nrrd")


def test_a_missing_data_file_is_named(tmp_path):
    write_with_itk(tmp_path / "scan.nhdr", marked_volume())
    data = next(path for path in tmp_path.iterdir() if path.suffix != ".nhdr")
    data.unlink()
    text = refusal(tmp_path / "scan.nhdr")
    assert data.name in text and "missing" in text


def image_of(dimension: int, colours: int) -> sitk.Image:
    shape = (6, 7, 8, 9)[:dimension] + ((colours,) if colours > 1 else ())
    array = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    if dimension == 4:
        return sitk.JoinSeries([sitk.GetImageFromArray(part) for part in array])
    return sitk.GetImageFromArray(array, isVector=colours > 1)


@pytest.mark.parametrize(
    ("dimension", "colours", "cause"),
    [
        (2, 1, "flat (2D)"),
        (2, 3, "flat (2D)"),
        (3, 3, "in colour (3 values"),
        (3, 4, "in colour"),
        (4, 1, "4 dimensions"),
    ],
)
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_flat_coloured_and_moving_images(tmp_path, suffix, dimension, colours, cause):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image_of(dimension, colours), str(path))
    assert cause in refusal(path)


def test_nifti_with_leaning_axes(tmp_path):
    path = write_with_itk(tmp_path / "scan.nii", marked_volume())
    content = bytearray(path.read_bytes())
    content[252:256] = np.array([0, 1], "<i2").tobytes()  # only the sform counts
    content[284:288] = np.array([0.2], "<f4").tobytes()  # its first row, second column
    path.write_bytes(content)
    assert "not perpendicular" in refusal(path)


def test_no_such_file_and_no_known_format(tmp_path):
    assert "does not exist" in refusal(tmp_path / "scan.nrrd")
    (tmp_path / "scan.xyz").write_text("hello")
    assert "no known format" in refusal(tmp_path / "scan.xyz")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_label_maps(tmp_path, suffix):
    labels = marked_volume(GRIDS["oblique x+y+z+"], np.uint8)
    labels.array[...] = np.where(labels.array > 90, 36, np.where(labels.array > 60, 11, 0))
    for labelling, wanted in (("fdi", (0, 11, 36)), ("position", (0, 1, 6)), ("binary", (0, 1, 1))):
        path = tmp_path / f"{labelling}{suffix}"
        write_labels(path, labels, labelling=labelling)
        read = read_labels(path)
        assert read.array.dtype == np.uint8
        for ours, value in zip((0, 11, 36), wanted, strict=True):
            assert (read.array[labels.array == ours] == value).all()
        np.testing.assert_allclose(read.affine, labels.affine, atol=1e-4)


def test_labels_kept_as_floats(tmp_path):
    labels = marked_volume(dtype=np.float32)
    write_scan(tmp_path / "labels.nii.gz", labels)
    read = read_labels(tmp_path / "labels.nii.gz")
    assert read.array.dtype == np.uint8 and np.array_equal(read.array, labels.array)
    labels.array[0, 0, 0] = 0.5
    write_scan(tmp_path / "labels.nii.gz", labels)
    with pytest.raises(InputError, match="no label map"):
        read_labels(tmp_path / "labels.nii.gz")


def test_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.nrrd"
    path.write_bytes(b"the old one")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:  # noqa: PT012  # fails during writing
        temporary.write_bytes(b"half of the new")
        raise RuntimeError
    assert path.read_bytes() == b"the old one"
    with written_whole(path) as temporary:
        temporary.write_bytes(b"the new one")
    assert path.read_bytes() == b"the new one"
    assert [file.name for file in tmp_path.iterdir()] == ["result.nrrd"]


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    full = pytest.raises(TeethSegError, match="cannot be written")
    with full, written_whole(tmp_path / "result.nrrd") as temporary:  # as above
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["labels.stl", "labels", "labels.nii.zip", "nowhere/labels.nrrd"])
def test_places_that_cannot_be_written_to(tmp_path, name):
    with pytest.raises(UsageError, match=":"):
        check_output(tmp_path / name)
    with pytest.raises(UsageError):
        write_labels(tmp_path / name, marked_volume(dtype=np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_real_scan_reads_as_itk_reads_it(shared_data):
    path = shared_data / "real" / "slicer-dental-pre" / "image.nrrd"
    image = sitk.ReadImage(str(path))
    read = read_scan(path)
    assert np.array_equal(read.array, sitk.GetArrayViewFromImage(image))
    assert read.spacing == image.GetSpacing() and read.origin == image.GetOrigin() and read.warnings == ()


# --- segmentations given as scans, and folders -----------------------------------------------------------------------


def solid_labels() -> Volume:
    array = np.zeros((24, 30, 36), np.uint8)
    array[3:12, 4:14, 5:17], array[8:20, 16:27, 20:33] = 16, 26
    return Volume(array, (0.5, 0.6, 0.7), (1.0, 2.0, 3.0))


def noisy_scan() -> Volume:
    return solid_labels().with_array(np.random.default_rng(1).integers(0, 3000, (24, 30, 36)).astype(np.int16))


def test_a_segmentation_given_as_a_scan_is_refused_with_the_right_commands(tmp_path):
    labels = solid_labels()
    write_labels(tmp_path / "t.seg.nrrd", labels)
    (tmp_path / "renamed.nrrd").write_bytes((tmp_path / "t.seg.nrrd").read_bytes())
    write_labels(tmp_path / "t.dcm", labels)
    for name in ("t.seg.nrrd", "renamed.nrrd", "t.dcm"):
        with pytest.raises(InputError) as refusal:
            read_scan(tmp_path / name)
        assert str(refusal.value).startswith(f"{name} is a ") and "segmentation, not a scan" in str(refusal.value)
        assert "teethseg surfaces LABELS DIR" in str(refusal.value) and "--teeth LABELS" in str(refusal.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("values", [(16, 26), (1, 1), (3, 4)])
def test_a_label_map_given_as_a_scan_is_refused(dtype, values):
    labels = solid_labels()
    array = np.select([labels.array == 16, labels.array == 26], values).astype(dtype)
    with pytest.raises(InputError, match=r"is a label map, not a scan: .*teethseg surfaces"):
        check_scan(labels.with_array(array))
    assert check_scan(noisy_scan()) == ()


def test_real_scans_of_few_grey_levels_are_scans(shared_data):
    for image in sorted((shared_data / "real").glob("*/image.nrrd")):
        array = read_scan(image).array.astype(np.float32)
        low, high = np.percentile(array[::4, ::4, ::4], (1, 99.5))
        share = np.clip((array - low) / (high - low), 0, 1)
        for levels in (8, 16, 64, 256):
            assert not looks_like_labels((share * (levels - 1)).astype(np.uint8)), (image.parent.name, levels)
    for labels in sorted((shared_data / "real").glob("*/labels.nii.gz")):
        assert looks_like_labels(read_labels(labels).array)


def test_a_nrrd_that_is_a_segmentation_is_read_as_one_whatever_its_name(tmp_path):
    write_labels(tmp_path / "t.seg.nrrd", solid_labels(), notation="universal")
    (tmp_path / "t.nrrd").write_bytes((tmp_path / "t.seg.nrrd").read_bytes())
    assert np.array_equal(read_labels(tmp_path / "t.nrrd").array, solid_labels().array)
