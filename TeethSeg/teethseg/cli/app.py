"""The commands of `teethseg`, the exit status of a run, and its error message of one line at most."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from .. import NOTICE, __version__
from ..errors import OutOfMemoryError, SeveralSeries, TeethSegError, UsageError, is_lack_of_memory
from ..io.temporary_folders import remove_left_folders
from . import (
    INTERRUPTED,
    MEMORY_RAN_OUT,
    batch,
    data,
    evaluate,
    folds,
    model,
    picture,
    segment,
    serve,
    simulate,
    surfaces,
    train,
)

app = typer.Typer(
    name="teethseg",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=f"[bold]{NOTICE}[/bold] See 'teethseg COMMAND --help' for the arguments of a command.",
)


@app.callback()
def teethseg(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.", is_eager=True)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error came from (with any command).")
    ] = False,
) -> None:
    """Find, outline and number every tooth in a dental cone-beam CT (CBCT)."""


app.command()(segment.segment)
app.command()(batch.batch)
app.command()(surfaces.surfaces)
app.command()(picture.picture)
app.command()(serve.serve)
app.command()(evaluate.evaluate)
app.command()(simulate.simulate)
app.command()(train.train)
app.add_typer(data.app, name="data")
app.add_typer(folds.app, name="folds")
app.add_typer(model.app, name="model")


def run(arguments: Sequence[str]) -> int:
    """Run a command line, without the program's name, and return its exit status.

    0 done, 2 wrong usage, 3 input unreadable or unfit, 4 out of memory, 5 weights missing or damaged, 130 interrupted,
    1 anything else. An error is one line on standard error; a traceback only with `--debug`, which may stand anywhere.
    """
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if "--version" in arguments:
        print(__version__)
        return 0
    remove_left_folders()
    try:
        if any(not argument or re.fullmatch(r"--[\w-]+=", argument) for argument in arguments):
            # An empty path would mean the current folder.
            raise UsageError("An argument is empty: give a name, or leave it out.")
        return app(arguments, prog_name="teethseg", standalone_mode=False) or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # rich exits so after `| head -1`
            return 0
        raise
    except Exception as error:
        status, text = _explain(error)
        with suppress(OSError, ValueError):  # standard error may be closed
            if debug:
                traceback.print_exc()
            if isinstance(error, SeveralSeries):
                print(*(f"  {line}" for line in error.choices.values()), sep="\n", file=sys.stderr)
            if text:
                print("teethseg:", " ".join(text.split()), file=sys.stderr)
        return status


def _explain(error: Exception) -> tuple[int, str]:
    """Exit status and message of an error."""
    if isinstance(error, OutOfMemoryError):
        return error.exit_code, str(error)
    if is_lack_of_memory(error):
        return OutOfMemoryError.exit_code, MEMORY_RAN_OUT
    if isinstance(error, TeethSegError):
        return error.exit_code, str(error)
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        text = error.format_message().replace("Value error, ", "").rstrip(".")
        hint = f" See '{context.command_path} --help'." if context else ""
        return UsageError.exit_code, f"{text}.{hint}" if text else ""  # empty: the help was shown instead
    if isinstance(error, BrokenPipeError):  # as of `| head -1`: the reader needs no more
        return 0, ""
    if isinstance(error, OSError) and error.filename and error.strerror:  # what the system says is plain enough
        return 1, f"{error.filename} cannot be used ({error.strerror}): check the path, its permissions and the disk."
    cause = error.__cause__ if isinstance(error, typer.Abort) and error.__cause__ else error
    return 1, (
        f"An error that TeethSeg does not know ({type(cause).__name__}: {cause}): "
        "run it again with --debug and report what it shows."
    )
