"""Pixels of DICOM files: compressed in each way, of 8 to 32 bits, rescaled, padded, cut off, or unlike their header."""

from __future__ import annotations

import base64
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicom_series import change, write_enhanced, write_series
from teethseg.errors import OutOfMemoryError
from teethseg.io.dicom import decoder_process
from teethseg.io.dicom.headers import read_header
from teethseg.io.files import read_scan
from teethseg.volume import Volume
from test_dicom_geometry import only, refusal, same, smooth, stack

# 100 * row - 37 * column - 40 in 6 rows of 5, int16: by OpenJPH 0.26.3, because no test dependency encodes HTJ2K.
HTJ2K_PICTURE = base64.b64decode(
    "/0//UQApQAAAAAAFAAAABgAAAAAAAAAAAAAABQAAAAYAAAAAAAAAAAABjwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI"
    "/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAD8AAf+TwAAluAEHdAAAAMAAEsAAEoAnAYd0AFACB3QAoAAJQPf+MjMAoAAVIMbGxsAhAf62AP/Z"
)
BY_GDCM = ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEGExtendedProcess2_4"]


def by_gdcm(path: Path, syntax: str) -> None:
    """Compress a file in place."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    changer = gdcm.ImageChangeTransferSyntax()
    changer.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    changer.SetInput(reader.GetImage())
    assert changer.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(changer.GetOutput())
    assert writer.Write()


def encapsulated(path: Path, frames: list[bytes], syntax: str) -> None:
    """Put already compressed frames into a file."""
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)


def without_syntax(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    del dataset.file_meta.TransferSyntaxUID
    dataset.save_as(path, implicit_vr=False, little_endian=True)


def greys(signed: bool = True, bits: int = 12) -> Volume:
    k, j, i = np.indices((4, 40, 33))
    values = 300 * k + 40 * j - 41 * i + (0 if signed else 1500)
    return Volume(
        np.clip(values, None, (1 << (bits - signed)) - 1).astype(np.int16 if signed else np.uint16), (0.3, 0.4, 0.5)
    )


# --- compressed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", BY_GDCM)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("told", [True, False], ids=["", "no syntax given"])
def test_compressed_by_the_jpeg_family(tmp_path, syntax, signed, told, capfd):
    if syntax == "JPEGExtendedProcess2_4" and (signed or not told):
        pytest.skip("lossy JPEG has no sign, and is read by GDCM's own reader")
    volume = greys(signed)
    for path in write_series(tmp_path, volume, BitsStored=12 if not signed else 16, HighBit=11 if not signed else 15):
        by_gdcm(path, syntax)
        if not told:
            without_syntax(path)
    read = read_scan(tmp_path)
    np.testing.assert_allclose(read.array, volume.array, atol=8 if "Extended" in syntax else 0)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-6)
    out = capfd.readouterr()
    assert out.out == out.err == ""


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("frames", ["single", "many"])
def test_compressed_by_pydicom(tmp_path, syntax, signed, frames):
    volume = greys(signed)
    if frames == "single":
        paths = write_series(tmp_path, volume)
    else:
        paths = [tmp_path / "scan.dcm"]
        write_enhanced(paths[0], volume, [2, 0, 3, 1])
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax)
        dataset.save_as(path)
    same(read_scan(tmp_path), volume)


@pytest.mark.parametrize("syntax", [HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL, ""])
def test_high_throughput_jpeg_2000(tmp_path, syntax):
    j, i = np.indices((6, 5))
    volume = stack().with_array(np.broadcast_to(100 * j - 37 * i - 40, (24, 6, 5)).astype(np.int16))
    for path in write_series(tmp_path, volume):
        encapsulated(path, [HTJ2K_PICTURE], syntax or HTJ2K)
        if not syntax:
            without_syntax(path)
    same(read_scan(tmp_path), volume)


def test_baseline_jpeg(tmp_path):
    from io import BytesIO

    from PIL import Image

    j, i = np.indices((24, 20))
    volume = Volume(np.stack([3 * j + 2 * i + 5 * k for k in range(20)]).astype(np.uint8), (0.3, 0.4, 0.5))
    for k, path in enumerate(write_series(tmp_path, volume)):
        stream = BytesIO()
        Image.fromarray(volume.array[k]).save(stream, "JPEG", quality=100)
        encapsulated(path, [stream.getvalue()], JPEGBaseline8Bit)
    read = read_scan(tmp_path)
    assert read.array.dtype == np.uint8
    np.testing.assert_allclose(read.array.astype(int), volume.array, atol=2)


def test_a_syntax_that_cannot_be_read_is_named(tmp_path):
    for path in write_series(tmp_path, stack(20)):
        encapsulated(path, [b"\0\0\1\xba" * 9], "1.2.840.10008.1.2.4.102")
    assert "MPEG-4 AVC/H.264" in refusal(tmp_path)


def test_big_endian_and_implicit(tmp_path):
    volume = stack()
    for k, path in enumerate(write_series(tmp_path, volume)):
        dataset = pydicom.dcmread(path)
        if k % 2:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            dataset.save_as(path, implicit_vr=True, little_endian=True)
        else:
            swapped = pydicom.Dataset({element.tag: element for element in dataset})
            swapped.PixelData = volume.array[k].astype(">i2").tobytes()
            swapped.file_meta = dataset.file_meta
            swapped.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
            swapped.save_as(path, enforce_file_format=True)
    same(read_scan(tmp_path), volume)


def test_deflated(tmp_path):
    volume = stack()
    for path in write_series(tmp_path, volume):
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
    same(read_scan(tmp_path), volume)


# --- missing pixels are never invented ------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 30, 59])
def test_pixels_cut_off_are_never_filled_up(tmp_path, cut):
    for path in write_series(tmp_path, stack()):
        path.write_bytes(path.read_bytes()[:-cut])
    assert "is cut off" in refusal(tmp_path)


@pytest.mark.parametrize("compressed", [RLELossless, JPEG2000Lossless, "JPEGLosslessProcess14_1", "JPEGLSLossless"])
@pytest.mark.parametrize("left", [0.98, 0.5])
def test_compressed_pixels_cut_off_are_never_filled_up(tmp_path, compressed, left, capfd):
    volume = greys()
    for path in write_series(tmp_path, volume):
        if compressed in (RLELossless, JPEG2000Lossless):
            dataset = pydicom.dcmread(path)
            dataset.compress(compressed)
            dataset.save_as(path)
        else:
            by_gdcm(path, compressed)
        dataset = pydicom.dcmread(path)
        (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
        encapsulated(path, [frame[: int(len(frame) * left) // 2 * 2]], dataset.file_meta.TransferSyntaxUID)
    assert "cut off" in (text := refusal(tmp_path)) or "cannot be decompressed" in text
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"Rows": 7}, "fewer pixels"),
        ({"Columns": 50}, "fewer pixels"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "fewer pixels"),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "more pixels"),
        ({"Rows": 3}, "more pixels"),
        ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, "pixels of 12 bits"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "pixels of 1 bits"),
        ({"Rows": 0}, "no Rows or Columns"),
        ({"NumberOfFrames": 1_000_000}, "fewer pixels"),
        ({"PixelData": None}, "has no pixels"),
    ],
)
def test_header_and_pixels_must_agree(tmp_path, attributes, cause):
    for path in write_series(tmp_path, stack()):
        change(path, **attributes)
    assert cause in refusal(tmp_path)


def test_a_codestream_of_another_size(tmp_path):
    for path in write_series(tmp_path, stack()):
        encapsulated(path, [HTJ2K_PICTURE], HTJ2KLossless)
        change(path, Rows=60, Columns=50)
    assert "5 x 6 pixels, not of 50 x 60" in refusal(tmp_path)


def test_bits_that_contradict_each_other_but_not_the_length(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, BitsStored=32, HighBit=3)
    same(read_scan(tmp_path), volume)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
@pytest.mark.parametrize("missing", [None, ""])
def test_undeclared_bits_follow_from_the_length(tmp_path, kind, missing):
    volume = Volume((stack().array % 100).astype(kind), (0.3, 0.4, 0.5))
    for path in write_series(tmp_path, volume):
        change(path, BitsAllocated=missing, BitsStored=None, HighBit=None)
    same(read_scan(tmp_path), volume)


def test_undeclared_bits_of_compressed_pixels(tmp_path):
    volume = stack()
    for path in write_series(tmp_path, volume):
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
        change(path, BitsAllocated=None)
    same(read_scan(tmp_path), volume)


@pytest.mark.parametrize("attributes", [{"Rows": 7}, {"Rows": 3}, {"BitsStored": 32}])
def test_undeclared_bits_that_do_not_follow(tmp_path, attributes):
    for path in write_series(tmp_path, stack()):
        change(path, **{"BitsAllocated": None, **attributes})
    assert "has no BitsAllocated" in refusal(tmp_path)


# --- grey values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
@pytest.mark.parametrize("rule", [(1, 0), (1, -1024), (1, 1024), (2, -7), (0.25, -0.5), (-1, 100)])
def test_all_types_and_rescalings(tmp_path, kind, rule):
    values = np.arange(20 * 30).reshape(20, 6, 5) - (0 if np.dtype(kind).kind == "u" else 100)
    values = values % 256 - (128 if kind == np.int8 else 0) if np.dtype(kind).itemsize == 1 else values
    if np.dtype(kind).itemsize == 4:
        values = values * 100_000
    volume = Volume(values.astype(kind), (0.3, 0.4, 0.5))
    slope, intercept = rule
    write_series(tmp_path, volume, RescaleSlope=slope, RescaleIntercept=intercept)
    read = read_scan(tmp_path)
    np.testing.assert_allclose(read.array.astype(float), values * float(slope) + intercept, rtol=1e-6)
    assert (read.array.dtype.kind == "f") == (slope == 0.25) and read.array.itemsize <= 4
    assert read.warnings == ()


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int8])
def test_whether_pixels_have_a_sign_is_seen_where_the_files_do_not_say_it(tmp_path, kind):
    """-5 and 65531 have the same bytes: the neighbouring value 3 shows that -5 is meant."""
    k, j, i = np.indices((20, 16, 18))
    wave = 60 * np.sin(k / 5) * np.cos(j / 4) * np.sin(i / 3)
    lifted = 40_000 + 300 * wave if kind == np.uint16 else wave
    volume = Volume(lifted.round().astype(kind), (0.3, 0.4, 0.5))
    write_series(tmp_path, volume, without=["PixelRepresentation"])
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array) and read.warnings == ()


def test_each_slice_with_its_own_rescaling(tmp_path):
    volume = stack()
    slopes, intercepts = [1.0 + 0.25 * k for k in range(24)], [float(-3 * k) for k in range(24)]
    write_series(tmp_path, volume, each={"RescaleSlope": slopes, "RescaleIntercept": intercepts})
    wanted = volume.array * np.array(slopes)[:, None, None] + np.array(intercepts)[:, None, None]
    np.testing.assert_allclose(read_scan(tmp_path).array, wanted, rtol=1e-6)


@pytest.mark.parametrize("slope", ["0", "NaN", "inf", "1e300"])
def test_a_rescaling_that_cannot_be_is_left_out_with_a_warning(tmp_path, slope):
    volume = stack()
    for path in write_series(tmp_path, volume):
        content = path.read_bytes()
        at = content.index(b"\x28\x00\x53\x10DS")
        length = int.from_bytes(content[at + 6 : at + 8], "little")
        written = slope.encode().ljust(len(slope) + len(slope) % 2)
        path.write_bytes(content[: at + 6] + len(written).to_bytes(2, "little") + written + content[at + 8 + length :])
    read = read_scan(tmp_path)
    same(read, volume)
    assert "rescaling of the grey values" in only(read.warnings)


def test_sign_above_the_stored_bits(tmp_path):
    volume = Volume((np.arange(20 * 30).reshape(20, 6, 5) * 6 - 1900).astype(np.int16), (0.3, 0.4, 0.5))
    twelve = volume.with_array(volume.array & np.int16(0xFFF))  # two's complement of 12 bits, the rest zero
    write_series(tmp_path, twelve, BitsStored=12, HighBit=11, PixelRepresentation=1)
    same(read_scan(tmp_path), volume)


def test_overlay_bits_are_no_grey_values(tmp_path):
    volume = Volume((np.arange(20 * 30).reshape(20, 6, 5) * 6).astype(np.uint16), (0.3, 0.4, 0.5))
    with_overlay = volume.with_array(volume.array | np.uint16(0x8000) * (volume.array % 7 == 0))
    for path in write_series(tmp_path, with_overlay, BitsStored=12, HighBit=11):
        dataset = pydicom.dcmread(path)
        dataset.add_new(0x60000102, "US", 15)
        dataset.save_as(path)
    same(read_scan(tmp_path), volume)


def test_pixels_at_the_high_bits(tmp_path):
    volume = Volume((np.arange(20 * 30).reshape(20, 6, 5) * 6).astype(np.uint16), (0.3, 0.4, 0.5))
    write_series(tmp_path, volume.with_array(volume.array << np.uint16(4)), BitsStored=12, HighBit=15)
    same(read_scan(tmp_path), volume)


def test_files_of_one_series_with_pixels_in_different_bits(tmp_path):
    """Whole words, the lowest 12 bits without their sign above them, and the highest 12 bits."""
    volume = stack()
    volume = volume.with_array(volume.array - np.int16(400))
    paths = write_series(tmp_path, volume)
    for k, path in enumerate(paths):
        if k % 3:
            pixels = (volume.array[k].astype("<u2") & 0xFFF) << (4 if k % 3 == 2 else 0)
            change(path, BitsStored=12, HighBit=15 if k % 3 == 2 else 11, PixelData=pixels.astype("<u2").tobytes())
    same(read_scan(tmp_path), volume)


def test_rescaling_that_some_files_lack_is_that_of_the_others(tmp_path):
    volume = stack()
    without = {"RescaleSlope": [None, 1] * 12, "RescaleIntercept": [None, -1024] * 12}
    write_series(tmp_path, volume, each=without)
    same(read_scan(tmp_path), volume.with_array(volume.array - np.int16(1024)))


def test_rescaling_that_some_files_lack_and_the_others_do_not_tell_is_reported(tmp_path):
    volume = stack()
    slopes = [None if k == 5 else 1 + k for k in range(24)]
    each = {"RescaleSlope": slopes, "RescaleIntercept": [None if k == 5 else 0 for k in range(24)]}
    write_series(tmp_path, volume, each=each)
    read = read_scan(tmp_path)
    assert np.array_equal(read.array[5], volume.array[5]) and np.array_equal(read.array[6], 7 * volume.array[6])
    assert "1 of 24 slices do not say how their grey values are rescaled" in only(read.warnings)


def test_padding_that_only_some_files_declare(tmp_path):
    volume = stack()
    volume.array[:, 0] = -2000
    write_series(tmp_path, volume, each={"PixelPaddingValue": [None] * 12 + [-2000] * 12})
    assert read_scan(tmp_path).padding == (-2000, -2000)


def test_padding_that_differs_from_file_to_file_becomes_one_value(tmp_path):
    volume = stack()
    volume.array[:12, 0], volume.array[12:, 0] = -2000, -900
    write_series(tmp_path, volume, each={"PixelPaddingValue": [-2000] * 12 + [-900] * 12})
    read = read_scan(tmp_path)
    assert read.padding and np.all(read.array[:, 0] == read.padding[0])
    assert np.array_equal(read.array[:, 1:], volume.array[:, 1:]) and read.padding[0] < volume.array[:, 1:].min()


def test_a_negative_picture_in_some_files_only_is_reported(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, each={"PhotometricInterpretation": ["MONOCHROME2"] * 20 + ["MONOCHROME1"] * 4})
    read = read_scan(tmp_path)
    same(read, volume)
    assert "4 of 24 slices ask for a negative picture" in only(read.warnings)


def test_more_bits_than_are_stored(tmp_path):
    volume = Volume((np.arange(20 * 30).reshape(20, 6, 5) * 50).astype(np.uint16), (0.3, 0.4, 0.5))
    write_series(tmp_path, volume, BitsStored=12, HighBit=11)
    read = read_scan(tmp_path)
    same(read, volume)
    assert "more bits than the 12" in only(read.warnings)


@pytest.mark.parametrize(
    ("kind", "stored_value", "written", "rule", "padding"),
    [
        (np.int16, -2000, -2000, (1, 0), -2000),
        (np.int16, -2000, 63536, (1, -24), -2024),  # written as if the pixels had no sign
        (np.uint16, 65535, 65535, (1, -1024), 64511),
        (np.uint16, 0, 0, (2, -1000), -1000),
        (np.int16, -32768, -32768, (0.5, 1), -16383),
    ],
)
def test_declared_padding(tmp_path, kind, stored_value, written, rule, padding):
    volume = Volume((np.arange(20 * 30).reshape(20, 6, 5) + 1).astype(kind), (0.3, 0.4, 0.5))
    volume.array[:, :, 0] = stored_value
    for path in write_series(tmp_path, volume, RescaleSlope=rule[0], RescaleIntercept=rule[1]):
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
        dataset.save_as(path)
    read = read_scan(tmp_path)
    assert read.padding == (padding, padding)
    assert np.array_equal(read.array == padding, volume.array == stored_value)


def test_a_range_of_padding(tmp_path):
    volume = Volume(np.arange(20 * 30).reshape(20, 6, 5).astype(np.int16), (0.3, 0.4, 0.5))
    write_series(tmp_path, volume, PixelPaddingValue=0, PixelPaddingRangeLimit=12, RescaleSlope=-1)
    assert read_scan(tmp_path).padding == (-12, 0)


def test_padding_that_no_voxel_has(tmp_path):
    write_series(tmp_path, stack(), PixelPaddingValue=-32768)
    assert read_scan(tmp_path).padding is None


def test_padding_stays_one_value_where_slices_are_rescaled_apart(tmp_path):
    volume = stack()
    volume.array[:, :, 0] = -2000
    write_series(tmp_path, volume, PixelPaddingValue=-2000, each={"RescaleIntercept": list(range(24))})
    read = read_scan(tmp_path)
    low, high = read.padding
    assert low == high and np.array_equal(read.array == low, volume.array == -2000)


def a_jaw(kind: str) -> Volume:
    """Half air, half flesh, a little bone: in Hounsfield units or in arbitrary values."""
    array = np.full((20, 12, 10), -1000, np.int16)
    array[:, 4:] = 40
    array[8:12, 5:7, 3:5] = 1800
    array += np.random.default_rng(0).integers(0, 30, array.shape).astype(np.int16)
    return Volume(array if kind == "hu" else array + np.int16(1000), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("kind", ["hu", "grey"])
def test_monochrome1_over_values_that_rise_with_density(tmp_path, kind):
    volume = a_jaw(kind)
    write_series(tmp_path, volume, PhotometricInterpretation="MONOCHROME1")
    read = read_scan(tmp_path)
    same(read, volume)
    assert "MONOCHROME1" in only(read.warnings) and "taken as stored" in read.warnings[0]


@pytest.mark.parametrize("padded", [False, True])
def test_a_true_negative_is_turned_round(tmp_path, padded):
    volume = a_jaw("grey")
    negative = volume.with_array((4000 - volume.array).astype(np.int16))
    if padded:
        negative.array[:, 0] = -9
    write_series(tmp_path, negative, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=-9 if padded else None)
    read = read_scan(tmp_path)
    inside = negative.array != -9
    step = np.unique(read.array[inside].astype(int) - volume.array[inside])
    assert len(step) == 1  # the same image except for an offset
    assert np.array_equal(read.array == -9, ~inside)
    assert "turned round" in only(read.warnings)


def test_a_lookup_table_is_reported(tmp_path):
    volume = smooth(20, size=(6, 5))
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [2, 0, 16], "US", bytes(4)
    write_series(tmp_path, volume, ModalityLUTSequence=[table], RescaleSlope=None, RescaleIntercept=None)
    assert "lookup table" in only(read_scan(tmp_path).warnings)


@pytest.mark.parametrize(
    ("fate", "patience"),
    [("import os; os.abort()", 30.0), ("import time; time.sleep(600)", 0.5), ("print('nonsense' * 999)", 30.0)],
)
def test_a_decoder_that_crashes_or_hangs_takes_nobody_with_it(tmp_path, monkeypatch, fate, patience):
    for path in write_series(tmp_path, stack(3)):
        encapsulated(path, [HTJ2K_PICTURE], HTJ2K)
    headers = [read_header(path) for path in tmp_path.iterdir()]
    monkeypatch.setattr(decoder_process, "_RUN", fate)
    planes = list(decoder_process.decoded([(header, [0]) for header in headers], timeout=patience))
    assert len(planes) == 3 and all(isinstance(plane, str) for plane in planes)
    monkeypatch.setattr(decoder_process, "FRAME_TIMEOUT", patience)
    assert "cannot be used, as the first" in refusal(tmp_path)


def test_a_decoder_without_memory_says_so(tmp_path, monkeypatch):
    for path in write_series(tmp_path, stack(3)):
        encapsulated(path, [HTJ2K_PICTURE], HTJ2K)
    run = "import teethseg.io.dicom.decoding as d\ndef decode(*_): raise MemoryError\nd.decode = decode\n"
    monkeypatch.setattr(decoder_process, "_RUN", run + "from teethseg.io.dicom.decoder_process import main; main()")
    with pytest.raises(OutOfMemoryError):
        read_scan(tmp_path)


def test_large_compressed_frames(tmp_path):
    j, i = np.indices((500, 300))
    volume = Volume(np.stack([(7 * j - 5 * i + 100 * k) for k in range(3)]).astype(np.int16), (0.3, 0.4, 0.5))
    for path in write_series(tmp_path, volume):
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    same(read_scan(tmp_path), volume)
