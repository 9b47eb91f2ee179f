"""Tries damaged, false and hostile files, documents and requests by the thousand.

Two outcomes are right: TeethSeg reads the file as it was, or refuses it with one of its own errors. Any other outcome
(another exception, a changed voxel that a checksum would have shown, a file left behind) is wrong, and printed with the
seed that reproduces it.

    python scripts/sweep.py                       # a short sweep
    python scripts/sweep.py --tries 2000 --seed 7

`kills.py` tests processes that are killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import sweep_documents as documents
import sweep_page as page
from teethseg.application import saved_work
from teethseg.cascade.model_card import check_card, shipped
from teethseg.cli.app import run as command
from teethseg.errors import InputError, TeethSegError, WeightsError
from teethseg.io.files import read_labels, read_scan, write_labels
from teethseg.io.scan_checks import check_place
from teethseg.io.zip_archive import unpack
from teethseg.volume import Volume, to_sitk

LONGEST = 20  # seconds that a file may take
# Hostile people and broken programs write these where a number or a name belongs.
HOSTILE = (
    b"-1 0 1e400 nan inf 99999999999999999999 4294967296 %s%n%n 0x7f .. /dev/zero /etc/passwd ../../x LIST (nan,0,0) "
    b"none True False \xff\xfe 1e-40 3.5 -0.0"
).split()
COMPRESSED = ("gzip.nrrd", "bzip2.nrrd", "scan.nii.gz", "packed.mha", "scan.gipl.gz", "teeth.seg.nrrd")


class TooLong(Exception):
    """A try that did not end in time."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def late(*_) -> None:
        raise TooLong

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def scan() -> Volume:
    array = np.random.default_rng(3).integers(0, 3000, (11, 14, 17)).astype(np.int16)
    return Volume(array, (0.3, 0.4, 0.5), (-31.5, 12.25, 70.125))


def teeth() -> Volume:
    array = np.zeros((24, 24, 24), np.uint8)
    array[4:20, 4:11, 4:20], array[4:20, 13:20, 4:20] = 16, 26
    return Volume(array, (0.5,) * 3)


def good_files(folder: Path) -> list[Path]:
    """A sound file of every format and way of keeping voxels."""
    import nrrd

    for name, packed in (("scan.nii", 0), ("scan.nii.gz", 1), ("plain.mha", 0), ("packed.mha", 1), ("scan.gipl", 0)):
        sitk.WriteImage(to_sitk(scan()), str(folder / name), useCompression=bool(packed))
    sitk.WriteImage(to_sitk(scan()), str(folder / "scan.gipl.gz"))
    for encoding in ("raw", "gzip", "bzip2", "ascii"):
        fields = {"encoding": encoding, "space": "LPS", "space directions": np.diag(scan().spacing)}
        nrrd.write(str(folder / f"{encoding}.nrrd"), scan().array, fields, index_order="C")
    write_labels(folder / "teeth.seg.nrrd", teeth())
    return sorted(folder.iterdir())


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with one thing wrong with it."""
    data, place = bytearray(content), chance.randrange(max(len(content), 1))
    way = chance.choice(("bit", "bytes", "zeros", "cut", "more", "token", "token", "double", "gone"))
    if way == "bit" and data:
        data[place] ^= 1 << chance.randrange(8)
    elif way == "bytes":
        data[place : place + 8] = chance.randbytes(8)
    elif way == "zeros":
        data[place : place + chance.choice((1, 40, 4096))] = bytes(min(chance.choice((1, 40, 4096)), len(data) - place))
    elif way == "cut":
        del data[place:]
    elif way == "more":
        data += chance.randbytes(chance.choice((1, 9, 5000)))
    elif way == "double":
        data[place:place] = data[place : place + 200]
    elif way == "gone":
        del data[place : place + chance.choice((1, 2, 100))]
    else:
        head = bytes(data[:2000])
        words = [word for word in head.replace(b"\n", b" ").split(b" ") if 0 < len(word) < 30]
        if words:
            word = chance.choice(words)
            return bytes(data).replace(word, chance.choice(HOSTILE), 1)
    return bytes(data)


def start_of_voxels(content: bytes, name: str) -> int:
    if name.endswith(".nrrd"):
        return content.index(b"\n\n") + 2
    return content.index(b"LOCAL") + 6 if name.endswith(".mha") else 0


def try_reading(good: Path, chance: random.Random, folder: Path) -> str:
    """Read a damaged copy; the fault of the outcome, or ''."""
    content = good.read_bytes()
    bad = damaged(content, chance)
    path = folder / good.name
    path.write_bytes(bad)
    read = read_labels if "seg" in good.name else read_scan
    try:
        with time_limit(LONGEST):
            found = read(path)
    except TeethSegError as error:
        text = str(error)
        return "" if error.exit_code in (3, 4) and "\n" not in text else f"status {error.exit_code}: {text}"
    check_place(found)
    start = start_of_voxels(content, good.name)
    if good.name in COMPRESSED and bad[:start] == content[:start] and found.array.size == read(good).array.size:
        return "" if np.array_equal(found.array, read(good).array) else "voxels changed without a word"
    return ""


def try_json(chance: random.Random, folder: Path) -> str:
    """Kept work, a report and a card of weights, damaged."""
    work = saved_work.SavedWork(
        folder / "work",
        "a.nrrd",
        "/scans/a.nrrd",
        False,
        None,
        {"teeth": [{"fdi": 16, "confidence": 0.5, "flags": []}]},
    )
    work.folder.mkdir(exist_ok=True)
    saved_work.write_case(work)
    for name in (saved_work.CASE, saved_work.OWNER):
        (work.folder / name).write_bytes(damaged((work.folder / saved_work.CASE).read_bytes(), chance))
    with suppress(InputError):
        saved_work.read_case(work.folder)
    saved_work.left_works(folder)
    saved_work.remove_leftovers(folder)
    shutil.rmtree(folder / "unreadable", ignore_errors=True)
    return ""


def good_zip(method: int) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        file.writestr("series/one.dcm", bytes(range(256)) * 20)
        file.writestr("scan.nrrd", b"x" * 5000)
    return packed.getvalue()


def try_zip(chance: random.Random, folder: Path) -> str:
    """A damaged zip: unpacked, or refused and nothing left of it."""
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    (folder / "a.zip").write_bytes(damaged(good_zip(method), chance))
    try:
        with time_limit(LONGEST):
            unpack(folder / "a.zip", folder / "out")
    except InputError as error:
        left = (folder / "out").exists()
        return "something is left of a refused zip" if left else str(error) if "(None)" in str(error) else ""
    return ""


def try_dicom(good: list[bytes], chance: random.Random, folder: Path) -> str:
    """A series in which one file is damaged: read as it was, with a warning, or refused."""
    series = folder / "series"
    series.mkdir()
    which = chance.randrange(len(good))
    for number, content in enumerate(good):
        (series / f"{number:03d}.dcm").write_bytes(damaged(content, chance) if number == which else content)
    try:
        with time_limit(LONGEST):
            check_place(read_scan(series))
    except TeethSegError as error:
        return "" if error.exit_code in (3, 4) and "\n" not in str(error) else f"status {error.exit_code}: {error}"
    return ""


def good_series(folder: Path) -> list[bytes]:
    """The files of a small CT series, written by ITK."""
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(20):
        image = sitk.GetImageFromArray(np.random.default_rng(index).integers(0, 3000, (1, 24, 24)).astype(np.int16))
        image.SetSpacing((0.5, 0.5, 0.5))
        image.SetOrigin((0, 0, 0.5 * index))
        tags = {"0008|0060": "CT", "0020|000e": "1.2.3", "0020|0032": f"0\\0\\{0.5 * index}", "0020|0013": str(index)}
        tags |= {"0020|0037": "1\\0\\0\\0\\1\\0", "0008|0018": f"1.2.3.{index + 1}", "0020|000d": "1.2"}
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{index:03d}.dcm"))
        writer.Execute(image)
    return [file.read_bytes() for file in sorted(folder.glob("*.dcm"))]


def try_weights(chance: random.Random, folder: Path) -> str:
    """Weights with a damaged card: every difference must be noticed."""
    weights = shipped("permanent")
    copy = folder / "w.safetensors"
    if not copy.exists():
        shutil.copy(weights, copy)
    card = weights.with_suffix(".json").read_bytes()
    bad = damaged(card, chance)
    copy.with_suffix(".json").write_bytes(bad)
    try:
        check_card(copy)
    except WeightsError:
        return ""
    try:
        same = json.loads(bad) == json.loads(card)
    except ValueError:
        same = False
    # Without the seal (older cards have none) the loader checks the parameters of the networks.
    return "" if same or b"card_sha256" not in bad else "a changed card was taken"


def try_command(good: list[Path], chance: random.Random, folder: Path) -> str:
    """A command with damaged files: its status, its one line, and the files that it leaves."""
    one, two = (chance.choice(good) for _ in range(2))
    paths = []
    for number, file in enumerate((one, two)):
        path = folder / f"{number}-{file.name}"
        path.write_bytes(damaged(file.read_bytes(), chance))
        paths.append(str(path))
    out = str(folder / "out")
    arguments = chance.choice(
        (
            ["segment", paths[0], "--output", out + ".seg.nrrd", "--report", out + ".json"],
            ["evaluate", *paths, "--json", out + ".json"],
            ["surfaces", paths[0], out],
            ["picture", *paths, out + ".png"],
        )
    )
    errors = StringIO()
    with (
        redirect_stderr(errors),
        redirect_stdout(StringIO()),
        time_limit(30 * LONGEST),
    ):  # a damaged scan may be valid, and is segmented
        status = command(arguments)
    messages = [line for line in errors.getvalue().splitlines() if line.startswith("teethseg:")]
    left = [name for name in os.listdir(folder) if name.startswith(".")]
    written = [name for name in os.listdir(folder) if name.startswith("out")]
    for name in written:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
    if status not in (0, 2, 3, 4, 5) or (status and (len(messages) != 1 or written)) or left:
        return f"{arguments[0]}: status {status}, said {messages}, left {left}, wrote {written}"
    return ""


def sweep(tries: int, seed: int, tell: Callable[[str], None] = print) -> dict[str, Counter]:
    """Try everything; counts of 'right' and 'wrong' by kind."""
    counts: dict[str, Counter] = {}

    def attempt(kind: str, number: int, attempted: Callable[[random.Random, Path], str]) -> None:
        with tempfile.TemporaryDirectory(prefix="teethseg-sweep-") as place:
            try:
                wrong = attempted(random.Random(f"{seed} {kind} {number}"), Path(place))
            except (Exception, TooLong) as error:
                wrong = f"{type(error).__name__}: {error}"
        counts.setdefault(kind, Counter())["wrong" if wrong else "right"] += 1
        if wrong:
            tell(f"WRONG {kind}, seed {seed}, number {number}: {wrong}")

    with tempfile.TemporaryDirectory(prefix="teethseg-sweep-") as place:
        good = good_files(Path(place))
        for file in good:
            for number in range(tries):
                attempt(
                    f"read {file.name}", number, lambda chance, folder, file=file: try_reading(file, chance, folder)
                )
        (Path(place) / "series").mkdir()
        series = good_series(Path(place) / "series") if tries else []
        for number in range(tries):
            attempt("read a DICOM series", number, lambda chance, folder: try_dicom(series, chance, folder))
            attempt("zip", number, try_zip)
            attempt("state files", number, try_json)
            attempt("commands", number, lambda chance, folder: try_command(good, chance, folder))
            attempt("reports", number, documents.try_report)
            attempt("state files of another shape", number, documents.try_state)
            attempt("case.json of training cases", number, documents.try_case)
            attempt("names and values of segments", number, documents.try_segments)
            attempt("DICOM elements", number, lambda chance, folder: documents.try_elements(series, chance, folder))
            attempt("places for results", number, documents.try_place)
        for number in range(tries // 4):
            attempt("bytes of a card of weights", number, try_weights)
            attempt("cards of weights of another shape", number, documents.try_card)
        with page.serving(Path(place)) if tries else nullcontext() as server:
            for number in range(tries):
                attempt("requests to the page", number, lambda chance, folder: server.try_request(good, chance))
    return counts


def table(counts: dict[str, Counter]) -> str:
    rows = ["| kind | tried | right | wrong |", "| --- | ---: | ---: | ---: |"]
    for kind, count in counts.items():
        rows.append(f"| {kind} | {sum(count.values())} | {count['right']} | {count['wrong']} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=100, help="files of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = sweep(options.tries, options.seed)
    print(table(counts))
    return int(any(count["wrong"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
