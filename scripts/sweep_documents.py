"""Generators for `sweep.py`: documents of text (JSON, DICOM elements, names of segments), and places for results.

Each try takes a source of chance and an empty folder, and returns the fault of the outcome, or ''.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import stat
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from teethseg.application import saved_work
from teethseg.cascade.model_card import CHECKSUM_KEY, card_checksum, check_card, shipped
from teethseg.cli.app import run as command
from teethseg.cli.inputs import read_report
from teethseg.errors import InputError, TeethSegError, WeightsError
from teethseg.io.case_sources import facts_of, find_cases
from teethseg.io.files import read_labels, read_scan, read_teeth, write_labels
from teethseg.io.label_schemes import LABEL_SCHEMES
from teethseg.io.scan_checks import check_place
from teethseg.volume import Volume

Try = Callable[[random.Random, Path], str]
# Values of wrong kinds.
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e308,
        -(2**63),
        10**30,
        10**400,
        float("inf"),
        "",
        "x",
        "\0",
        "\u202e",
        "../../x",
        "/etc/passwd",
        "nan",
        "歯",
    ),
    *([], {}, [[]], [None], {"": None}, {"fdi": 99}, ["16"], "x" * 100_000),
)


def deep(levels: int = 5000) -> str:
    """JSON that is nested deeper than readers go."""
    return "[" * levels + "]" * levels


def changed(content: Any, chance: random.Random) -> Any:
    """JSON with one thing in it replaced, removed, doubled or moved."""
    content = copy.deepcopy(content)
    places = list(_places(content))
    if not places or chance.random() < 0.1:
        return chance.choice(VALUES)
    parent, key = chance.choice(places)
    way = chance.choice(("value", "value", "gone", "other"))
    if way == "gone":
        del parent[key]
    elif way == "other":
        _, other = chance.choice(places)
        with suppress(KeyError, IndexError, TypeError):
            parent[key] = parent[other]
    else:
        parent[key] = copy.deepcopy(chance.choice(VALUES))
    return content


def _places(content: Any):
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from _places(value)


def text_of(content: Any, chance: random.Random) -> bytes:
    """JSON text, sometimes in another encoding, with a comment, in pieces, or nested beyond measure."""
    text = json.dumps(content)
    way = chance.randrange(12)
    if way == 0:
        return text.replace("null", deep(), 1).encode() if "null" in text else deep().encode()
    if way == 1:
        return text.encode("utf-16")
    if way == 2:
        return b"\xef\xbb\xbf" + text.encode()
    if way == 3:
        return text.encode() + b" // "
    if way == 4:
        return text.encode()[: chance.randrange(len(text) + 1)]
    return text.replace("0.5", "NaN", 1).encode() if way == 5 else text.encode()


def refused(error: TeethSegError, *codes: int) -> str:
    """The fault of a refusal: a wrong status, or more than one line."""
    text = str(error)
    return "" if error.exit_code in codes and text and "\n" not in text else f"status {error.exit_code}: {text[:300]}"


# --- JSON -----------------------------------------------------------------------------------------------------------

REPORT = {
    "teeth": [{"fdi": 16, "confidence": 0.5, "flags": ["uncertain_number"], "second_fdi": None, "volume_mm3": 500.0}],
    "warnings": ["x"],
    "seconds": {"read scan": 0.5},
    "device": "cpu",
    "weights": {"name": "w", "sha256": "0" * 64},
}


def try_report(chance: random.Random, folder: Path) -> str:
    """The report that a page is given with teeth."""
    (folder / "r.json").write_bytes(text_of(changed(REPORT, chance), chance))
    try:
        report = read_report(folder / "r.json")
    except InputError as error:
        return refused(error, 3)
    for row in report.get("teeth", ()):  # as the page takes it
        if not 11 <= row["fdi"] <= 85 or not all(isinstance(flag, str) for flag in row.get("flags", [])):
            return "a report with other rows was taken"
    return ""


def try_state(chance: random.Random, folder: Path) -> str:
    """Saved work of another shape is offered or put aside; other work is offered in any case."""
    for name in ("good", "bad"):
        work = saved_work.SavedWork(
            folder / name, name, "/scans/a.nrrd", False, None, REPORT, start=(1, 2, 3), missing=(18,)
        )
        work.folder.mkdir()
        saved_work.write_case(work)
    case = folder / "bad" / saved_work.CASE
    case.write_bytes(text_of(changed(json.loads(case.read_text(encoding="utf-8")), chance), chance))
    (folder / "bad" / saved_work.OWNER).write_bytes(text_of(changed({"pid": 1 << 30, "begun": 0.5}, chance), chance))
    saved_work.remove_leftovers(folder)
    works, aside = saved_work.left_works(folder)
    names = [work.folder.name for work in works] + [path.name for path in aside]
    return "" if sorted(names) == ["bad", "good"] else f"{names} are left of two works"


def try_case(chance: random.Random, folder: Path) -> str:
    """A training case whose `case.json` has another shape: its facts, or its fault."""
    about = {"patient": "p1", "weight": 0.5, "labels_are": "fdi", "unerupted": [18], "teeth": {"16": "completed"}}
    (folder / "case.json").write_bytes(text_of(changed(about, chance), chance))
    for name in ("image.nrrd", "labels.nrrd"):
        (folder / name).touch()
    try:
        facts_of(folder)
    except InputError as error:
        if wrong := refused(error, 3):
            return wrong
    found, problems = find_cases(folder)
    return "" if len(found) + len(problems) == 1 else f"{len(found)} cases and {len(problems)} problems"


def try_card(chance: random.Random, folder: Path) -> str:
    """A changed card of weights with a matching seal: no traceback, and no network of another kind."""
    from teethseg.cascade.weights import load_weights

    weights = shipped("permanent")
    copy_ = folder / "w.safetensors"
    shutil.copy(weights, copy_)
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    other = changed(card, chance)
    if isinstance(other, dict) and chance.random() < 0.7:
        with suppress(ValueError):
            other[CHECKSUM_KEY] = card_checksum(other)
    copy_.with_suffix(".json").write_bytes(text_of(other, chance))
    try:
        check_card(copy_)
        loaded = load_weights(copy_)
    except WeightsError as error:
        return refused(error, 5)
    same = loaded.card.get("architecture") == card["architecture"]
    return "" if same and loaded.sha256 == card["sha256"] else "weights with another card were loaded"


# --- names of segments ------------------------------------------------------------------------------------------------

FIELDS = ("LabelValue", "Layer", "Name", "ID", "Tags", "Color", "Extent")
WORDS = (
    "",
    "-1",
    "1e9",
    "16.5",
    "99999999999999999999",
    "0x10",
    "nan",
    "Tooth 99",
    "Tooth",
    "歯",
    "16",
    "\0",
    "|" * 50,
    "x" * 9999,
)


def try_segments(chance: random.Random, folder: Path) -> str:
    """A segmentation whose header gives other values, layers, names and codes, in any numbering."""
    array = np.zeros((8, 8, 8), np.uint8)
    array[2:4], array[5:7] = 16, 26
    path = folder / "a.seg.nrrd"
    write_labels(path, Volume(array, (1.0,) * 3))
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    lines = head.decode().split("\n")
    segments = [number for number, line in enumerate(lines) if line.startswith("Segment")]
    number = chance.choice(segments)
    way = chance.randrange(4)
    if way == 0:
        del lines[number]
    elif way == 1:
        lines.insert(number, lines[chance.choice(segments)])
    else:
        key = (
            lines[number].partition(":=")[0]
            if way == 2
            else f"Segment{chance.choice((0, 1, 7, 10**9))}_{chance.choice(FIELDS)}"
        )
        lines[number] = f"{key}:={chance.choice(WORDS)}"
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + voxels)
    for read in (read_labels, read_teeth):
        try:
            found = read(path, chance.choice((None, *LABEL_SCHEMES)))
        except TeethSegError as error:
            if wrong := refused(error, 3):
                return wrong
            continue
        if found.array.shape != array.shape or (found.array[array == 0] != 0).any():
            return "a label that is no tooth became one"
    return ""


# --- DICOM elements ---------------------------------------------------------------------------------------------------

ELEMENTS = """
    Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel PhotometricInterpretation
    NumberOfFrames PixelSpacing SliceThickness ImagePositionPatient ImageOrientationPatient RescaleSlope RescaleIntercept
    Modality SOPClassUID SOPInstanceUID SeriesInstanceUID StudyInstanceUID FrameOfReferenceUID InstanceNumber
    AcquisitionNumber PixelPaddingValue SmallestImagePixelValue ImageType SpecificCharacterSet PatientName
    SeriesDescription WindowCenter SpacingBetweenSlices PatientPosition ImagerPixelSpacing SliceLocation
    PlanarConfiguration
""".split()  # noqa: SIM905
TEXTS = (
    *(
        "",
        "0",
        "-1",
        "1e999",
        "nan",
        "0\\0\\0",
        "1\\0\\0\\0\\1\\0",
        "x",
        "\\\\\\",
        "9" * 16,
        "1.2.3",
        "ISO 2022 IR 999",
        "2" * 64,
        "-0",
    ),
    *("1e-320", "None", "%s", "0.5\\0.5\\0.5\\0.5", "1\\1\\0\\0\\1\\0", "\udcff"),
)
GEOMETRY = (
    "Rows",
    "Columns",
    "Bits",
    "HighBit",
    "Pixel",
    "Samples",
    "Photometric",
    "Number",
    "Slice",
    "Image",
    "Rescale",
    "Spacing",
    "Imager",
    "Planar",
)


def try_elements(good: list[bytes], chance: random.Random, folder: Path) -> str:
    """A series of which one file, or every file, has an element that is missing, doubled or of another value."""
    element, text, all_of_them = chance.choice(ELEMENTS), chance.choice((*TEXTS, None)), chance.random() < 0.5
    which = chance.randrange(len(good))
    series = folder / "series"
    series.mkdir()
    for number, content in enumerate(good):
        if all_of_them or number == which:
            content = with_element(content, element, text, chance)
        (series / f"{number:03d}.dcm").write_bytes(content)
    try:
        found = read_scan(series)
    except TeethSegError as error:
        return refused(error, 3, 4)
    check_place(found)
    if not element.startswith(GEOMETRY) and not found.warnings:
        expected = np.stack([pydicom.dcmread(BytesIO(content)).pixel_array for content in good])
        if not np.array_equal(found.array, expected):
            return f"{element} = {text!r} changed voxels without a word"
    return ""


def with_element(content: bytes, name: str, text: str | None, chance: random.Random) -> bytes:
    """A DICOM file with another value in an element, written however it is, or without it."""
    dataset = pydicom.dcmread(BytesIO(content))
    tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(name))
    kind = chance.choice((pydicom.datadict.dictionary_VR(tag), "LO", "UN", "DS"))
    if tag in dataset:
        del dataset[tag]
    out = BytesIO()
    dataset.save_as(out)
    if text is None:
        return out.getvalue()
    value = text.encode("utf-8", "surrogateescape")
    value += b" " * (len(value) % 2)
    long = kind in ("UN", "OB", "OW")
    length = len(value).to_bytes(4 if long else 2, "little")
    order = lambda number: number.to_bytes(2, "little")  # noqa: E731
    raw = order(tag.group) + order(tag.element) + kind[:2].encode() + (b"\0\0" if long else b"") + length + value
    # Before the pixels, wherever its place would be: readers take elements in any order.
    at = out.getvalue().rindex(b"\xe0\x7f\x10\x00")
    return out.getvalue()[:at] + raw + out.getvalue()[at:]


# --- places for results -----------------------------------------------------------------------------------------------


def try_place(chance: random.Random, folder: Path) -> str:
    """Results for impossible places: one line, status 1 or 2, and nothing there has changed."""
    labels, closed = folder / "in" / "teeth.seg.nrrd", folder / "closed"
    for one in (labels.parent, closed, folder / "full", folder / "out"):
        one.mkdir()
    array = np.zeros((24, 24, 24), np.uint8)
    array[4:20, 4:11, 4:20] = 16
    write_labels(labels, Volume(array, (0.5,) * 3))
    (folder / "full" / "precious").write_text("precious", encoding="utf-8")
    (folder / "loop").symlink_to("loop")
    (folder / "out" / "link.json").symlink_to(folder / "full" / "precious")
    os.mkfifo(folder / "fifo")
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    before = labels.read_bytes()
    places = (
        *(
            "",
            ".",
            "..",
            "/",
            "/dev/null",
            "/dev/full",
            "/proc/version",
            "a\0b",
            "x" * 256,
            "歯" * 90,
        ),
        *(
            folder,
            folder / "nowhere" / "x.json",
            folder / "loop",
            folder / "fifo",
            folder / "full",
            labels,
            labels / "x.json",
            closed,
        ),
        *(
            folder / "out" / "link.json",
            folder / "out" / "-rf",
            folder / "out" / "a b\n.json",
            folder / "out" / os.fsdecode(b"\xff.json"),
        ),
    )
    place = str(chance.choice(places))
    arguments = chance.choice(
        (
            ["evaluate", str(labels), str(labels), "--json", place],
            ["surfaces", str(labels), place],
            ["surfaces", str(labels), place, "--overwrite"],
            ["picture", str(labels), str(labels), place],
            ["segment", str(labels), "--output", place],
            ["segment", str(labels), "--output", str(folder / "out" / "o.nrrd"), "--report", place],
        )
    )
    errors, here = StringIO(), Path.cwd()
    os.chdir(folder / "out")
    try:
        with redirect_stderr(errors), redirect_stdout(StringIO()):
            status = command(arguments)
    finally:
        os.chdir(here)
        closed.chmod(0o700)
    messages = [line for line in errors.getvalue().splitlines() if line.startswith("teethseg:")]
    precious = (folder / "full" / "precious").read_text(encoding="utf-8")
    left = [str(path) for path in folder.rglob("*") if path.name.startswith(".teethseg")]
    if status not in (0, 1, 2, 3) or (status and len(messages) != 1) or "does not know" in "".join(messages):
        return f"{arguments[0]} {place[-60:]!r}: status {status}, said {messages}"
    if left or labels.read_bytes() != before or precious != "precious":
        return f"{arguments} to {place!r}: left {left}, or wrote over the old file"
    return ""
