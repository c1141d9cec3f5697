"""The command line: one small file per command, the same words as the rooms.

Only this room prints. Everything heavy is imported inside the commands, so that `anyzoom --help` is immediate.
"""

from __future__ import annotations

import io
import logging
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from anyzoom import __version__
from anyzoom.cli import align, calibrate, capture, evaluate, models, pairs, study, train, zoom
from anyzoom.cli.words import one_line
from anyzoom.errors import AnyzoomError

TERMINATED = 128 + signal.SIGTERM
INTERRUPTED = (128 + signal.SIGINT, TERMINATED)

app = typer.Typer(
    name="anyzoom",
    help="Zoom real photographs by any factor, as an optical zoom lens would.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(zoom.zoom)
app.add_typer(models.app, name="models")
app.add_typer(capture.app, name="capture")
app.add_typer(calibrate.app, name="calibrate")
app.command()(align.align)
app.add_typer(pairs.app, name="pairs")
app.command()(train.train)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(study.app, name="study")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"anyzoom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Zoom real photographs by any factor, as an optical zoom lens would."""


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)  # unwinds like any exit, so that writers clean up


def main() -> None:
    """The `anyzoom` command. Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted, 143 terminated."""
    logging.basicConfig(level=logging.WARNING, format="anyzoom: %(message)s")
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # any file name can be told, also one that is no text
    try:
        app(prog_name="anyzoom")
    except AnyzoomError as error:
        print(f"anyzoom: {one_line(error)}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as stop:
        if stop.code in INTERRUPTED:
            print("anyzoom: interrupted. What is finished stays; nothing is half-written.", file=sys.stderr)
        raise
