"""Summary of a batch: a table for programs, and a page for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from .. import NOTICE
from ..io.atomic_write import written_whole
from ..io.json_text import read_json
from .scans import Scan
from .work import PICTURE, REPORT, TEETH, ScanOutcome

CSV, INDEX = "batch.csv", "index.html"


@dataclass(frozen=True)
class Row:
    """A scan in the table; lists are joined by spaces or bars.

    Attributes
    ----------
    name, scan : str
        Folder of its results, and its path in the folder of scans.
    status : str
        done, corrected (left as a user changed it), failed or waiting.
    teeth, numbers
        Number of teeth, and their FDI numbers.
    look_at : str
        Teeth with flags, and the flags.
    findings, warnings : str
        Of the dentition, and of the scan.
    seconds, device
        Time and device of the segmentation.
    error : str
        Reason of the failure, in one line.
    """

    name: str
    scan: str
    status: str
    teeth: int | str = ""
    numbers: str = ""
    look_at: str = ""
    findings: str = ""
    warnings: str = ""
    seconds: float | str = ""
    device: str = ""
    error: str = ""


def write_summary(out: Path, scans: Iterable[Scan], outcomes: Mapping[str, ScanOutcome]) -> list[Row]:
    """Write `batch.csv` and `index.html`, one row for each scan; those without an outcome are `waiting`."""
    rows = [_row(out, scan, outcomes.get(scan.name)) for scan in scans]
    with written_whole(out / CSV) as draft:
        draft.write_text(_csv(rows), encoding="utf-8", errors="replace")  # not every file's name is UTF-8
    with written_whole(out / INDEX) as draft:
        draft.write_text(_page(rows), encoding="utf-8", errors="replace")
    return rows


def _row(out: Path, scan: Scan, outcome: ScanOutcome | None) -> Row:
    status = outcome.status if outcome else "waiting"
    if outcome is None or status == "failed":
        return Row(scan.name, scan.place, status, error=outcome.reason if outcome else "")
    if status == "corrected":  # its report is of the teeth before
        return Row(scan.name, scan.place, status, warnings=outcome.reason)
    try:
        report = read_json(out / scan.name / REPORT)
        teeth = sorted(report["teeth"], key=lambda tooth: tooth["fdi"])
        return Row(
            scan.name,
            scan.place,
            "done",
            len(teeth),
            " ".join(str(tooth["fdi"]) for tooth in teeth),
            " | ".join(f"{tooth['fdi']} {', '.join(tooth['flags'])}" for tooth in teeth if tooth["flags"]),
            " | ".join(finding["text"] for finding in report["findings"]),
            " | ".join(report["warnings"]),
            round(sum(report["seconds"].values()), 1),
            report["device"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Row(
            scan.name, scan.place, "failed", error=f"Its report was taken away or changed ({error}): run it again."
        )


def _csv(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _harmless(value) for key, value in asdict(row).items()})
    return text.getvalue()


def _harmless(value: object) -> object:
    """A cell that no spreadsheet interprets as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TeethSeg: many scans</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:80em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.4em .7em;border-top:1px solid #ccc;vertical-align:top;text-align:left}
img{width:30em;max-width:40vw;display:block;background:#000}.failed{color:#a40000}.small{font-size:.85em;color:#555}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.small{color:#aaa}.failed{color:#ff8a80}}
</style></head><body>
"""


def _page(rows: list[Row]) -> str:
    counts = {
        status: sum(row.status == status for row in rows) for status in ("done", "corrected", "failed", "waiting")
    }
    counted = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    body = "".join(map(_html, sorted(rows, key=lambda row: (row.status != "failed", not row.look_at))))
    return (
        f"{_HEAD}<h1>Many scans</h1><p>{len(rows)} scans: {counted}. All figures: <a href='{CSV}'>{CSV}</a>. "
        f"{escape(NOTICE)}</p><table><tr><th>Scan</th><th>Teeth</th><th>To look at</th></tr>{body}</table></body></html>\n"
    )


def _html(row: Row) -> str:
    name = f"<b>{escape(row.scan)}</b>"
    folder = escape(row.name, quote=True)
    if row.status == "corrected":
        teeth = f"<a href='{folder}/{TEETH}'>teeth</a>"
        return f"<tr><td>{name}<br>{teeth}</td><td>{row.status}</td><td>{escape(row.warnings)}</td></tr>\n"
    if row.status != "done":
        words = escape(row.error or "waiting")
        return (
            f"<tr><td>{name}</td><td class='{row.status}'>{row.status}</td><td class='{row.status}'>{words}</td></tr>\n"
        )
    picture = f"<a href='{folder}/{PICTURE}'><img loading='lazy' src='{folder}/{PICTURE}' alt='slices'></a>"
    links = f"<a href='{folder}/{TEETH}'>teeth</a>, <a href='{folder}/{REPORT}'>report</a>, {row.seconds} s"
    look = "".join(f"<div>{escape(part)}</div>" for part in row.look_at.split(" | "))
    notes = "".join(
        f"<div class='small'>{escape(part)}</div>" for part in f"{row.findings} | {row.warnings}".split(" | ") if part
    )
    return f"<tr><td>{name}<br>{picture}{links}</td><td>{row.teeth}: {row.numbers}</td><td>{look}{notes}</td></tr>\n"
