"""`teethseg serve`: the whole workflow in a web browser on this computer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import TeethSegError, UnclearNumberingError, UsageError
from ..io.temporary_folders import own_temporary_files
from .inputs import read_report
from .listening import CONSENT, check_host, check_port, is_loopback
from .options import LabelsAre, SeriesChoice

if TYPE_CHECKING:
    from ..browser.app import App
    from ..io.label_schemes import LabelScheme


def serve(
    scan: Annotated[
        Path | None, typer.Argument(metavar="[SCAN]", help="A scan to open at once; others are opened on the page.")
    ] = None,
    teeth: Annotated[
        Path | None,
        typer.Option("--teeth", metavar="TEETH", help="Teeth of SCAN, found before or made by another program."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="R.json", help="The report that was written with them.")
    ] = None,
    labels_are: LabelsAre = None,
    series: SeriesChoice = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in your browser.")] = False,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; other computers are kept out.")
    ] = "127.0.0.1",
    translation: Annotated[
        Path | None,
        typer.Option("--translation", metavar="FILE.ts", help="Texts of the page in another language (Qt Linguist)."),
    ] = None,
    consent: Annotated[
        bool,
        typer.Option(
            CONSENT,
            help="With another --host: whoever gets the address sees and changes the scan; nothing is encrypted.",
        ),
    ] = False,
) -> None:
    """Open TeethSeg in your web browser: load, segment, correct, export. Ctrl-C ends it.

    Nothing leaves this computer. Research use, not a medical device.
    """
    check_host(host, consent)
    check_port(host, port)
    try:
        from ..browser.app import App
        from ..browser.server import serve as run
    except ImportError as error:
        raise TeethSegError(
            f"The page needs packages that are not installed ({error.name}): run pip install 'teethseg[browser]'."
        ) from error

    if scan is None and teeth is not None:
        raise UsageError("Teeth alone cannot be shown: give their SCAN too.")
    if translation is not None:
        from ..application import i18n

        i18n.use(i18n.read_translation(translation))
    with own_temporary_files():  # also those of the libraries
        app = App(local=is_loopback(host))
        try:
            if scan is not None and not app.loading.open_now(scan, series) and teeth is not None:
                raise UsageError(f"{scan.name} holds several DICOM series: choose that of the teeth with --series.")
            if teeth is not None:
                _show_teeth(app, teeth, read_report(report) if report else None, labels_are)
        except BaseException:
            app.close()
            raise
        run(app, host, port, not no_open, lambda line: print(line, file=sys.stderr, flush=True))


def _show_teeth(app: App, teeth: Path, report: dict | None, labels_are: LabelScheme | None) -> None:
    """Load the teeth; the page asks how they are numbered where the file does not tell."""

    def load(scheme: LabelScheme | None) -> None:
        for warning in app.opened.load_teeth(teeth, report, scheme):
            print(f"Warning: {warning}", file=sys.stderr, flush=True)
        app.navigation.at_teeth()

    try:
        load(labels_are)
    except UnclearNumberingError as error:
        if not error.schemes:
            raise
        app.label_numbering.ask(teeth.name, error.schemes, load)
