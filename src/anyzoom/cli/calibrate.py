"""anyzoom calibrate"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyzoom.cli.progress import progress_bar
from anyzoom.errors import CalibrationError, CannotWrite, ScaleError

if TYPE_CHECKING:
    from anyzoom.calibrate import LensProfile
    from anyzoom.calibrate.detect import Checkerboard
    from anyzoom.calibrate.shots import Measured
    from anyzoom.calibrate.target import Target

app = typer.Typer(help="Zoom lenses: print a target, solve ring positions, verify them.", no_args_is_help=True)


class Channel(StrEnum):
    """What of a photograph is searched for the board."""

    red = "red"
    grey = "grey"


Shots = Annotated[
    list[Path],
    typer.Argument(metavar="SHOT...", help="Photographs named like IMG_1_ring12.5.jpg; or a .csv or .json list."),
]
TargetFile = Annotated[
    Path | None, typer.Option("--target", metavar="FILE", help="The .json file written with the target.")
]
SquareMm = Annotated[
    float | None, typer.Option("--checkerboard", metavar="MM", help="A plain checkerboard of such squares instead.")
]
SearchedChannel = Annotated[Channel, typer.Option(help="grey for prints and photographs without colour.")]
Report = Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page with curves and photographs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


@app.command()
def target(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .pdf or .svg file.")],
    scales: Annotated[str, typer.Option(metavar="FACTORS", help="Separated by commas.")] = "1.5,2,2.5,3,3.5,4",
    sheet: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Of the print: a4 to a0, letter, or WIDTHxHEIGHT in mm.")
    ] = None,
    paper: Annotated[str | None, typer.Option(metavar="SIZE", help="Print in tiles on such paper.")] = None,
    distance: Annotated[float | None, typer.Option(min=0.01, metavar="M", help="From camera to target.")] = None,
    focal: Annotated[float | None, typer.Option(min=1, metavar="MM", help="The lens' longest focal length.")] = None,
    sensor: Annotated[str, typer.Option(metavar="SIZE", help="WIDTHxHEIGHT in mm.")] = "36x24",
    overwrite: Overwrite = False,
) -> None:
    """Write a target to print at true size, and a .json file beside it that describes it.

    For example: anyzoom calibrate target -o board.pdf --sheet a0 --scales 1.5,2,3,4

    With --distance and --focal the smallest rectangle fills the frame at the longest focal length; without --sheet the
    target is then as large as the largest scale needs.
    """
    from anyzoom.calibrate.printing import write_pdf, write_svg
    from anyzoom.calibrate.target import design, write_target

    if output.suffix.lower() not in (".pdf", ".svg"):
        raise CannotWrite(f"{output}: a target is written as .pdf or .svg. Choose such a name.")
    if (distance is None) != (focal is None):
        raise CalibrationError("--distance and --focal belong together: give both, or neither.")
    if paper and output.suffix.lower() == ".svg":
        raise CalibrationError("an SVG is one drawing. Write a .pdf for tiles.")
    described = output.with_suffix(".json")
    for path in (output, described):
        _check_free(path, overwrite)
    width, height = _mm(sensor)
    smallest = distance * 1000 * width / focal if distance and focal else None
    factors = _factors(scales)
    made = design(factors, aspect=width / height, smallest_mm=smallest, sheet_mm=_mm(sheet) if sheet else None)
    if output.suffix.lower() == ".pdf":
        pages = write_pdf(made, output, _mm(paper) if paper else None)
    else:
        pages = write_svg(made, output)
    write_target(made, described)
    print(f"{output}: {made.width_mm:.0f} x {made.height_mm:.0f} mm, {pages} page{'s' if pages > 1 else ''}")
    print(f"{described}: {made.columns} x {made.rows} squares of {made.square_mm:.2f} mm")
    missing = sorted(set(factors) - set(made.scales))
    if missing:
        print(
            f"anyzoom: no room for the rectangles of {_listed(missing)}; the board serves all scales", file=sys.stderr
        )


@app.command()
def solve(
    shots: Shots,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The lens: a .json file.")],
    scales: Annotated[str, typer.Option(metavar="FACTORS", help="Separated by commas.")] = "1.5,2,2.5,3,3.5,4",
    target: TargetFile = None,
    checkerboard: SquareMm = None,
    channel: SearchedChannel = Channel.red,
    report: Report = None,
    overwrite: Overwrite = False,
) -> None:
    """Find the ring positions of the wanted scales from photographs of the target.

    For example: anyzoom calibrate solve shots.csv --target board.json -o lens.json --report lens.html
    """
    from anyzoom.calibrate import write_lens
    from anyzoom.calibrate.report import write_report
    from anyzoom.calibrate.shots import common_size
    from anyzoom.calibrate.solve import solve as solved

    _check_free(output, overwrite)
    wanted = _factors(scales)
    sought = _sought(target, checkerboard)
    seen = _measured(shots, sought, channel)
    profile = solved([one.shot for one in seen], wanted, common_size(seen))
    write_lens(profile, output)
    if report:
        write_report(report, profile, seen, sought)
    _tell(profile)
    if profile.unreachable:
        told = f"out of reach: {_listed(profile.unreachable)}. These shots cover x1 to x{profile.reach:.3f}."
        print(f"anyzoom: {told}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def verify(
    lens: Annotated[Path, typer.Argument(metavar="LENS", help="What solve or an earlier verify wrote.")],
    shots: Shots,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The corrected lens; may be LENS.")],
    target: TargetFile = None,
    checkerboard: SquareMm = None,
    channel: SearchedChannel = Channel.red,
    report: Report = None,
    overwrite: Overwrite = False,
) -> None:
    """Judge and correct the positions by photographs taken at them.

    For example: anyzoom calibrate verify lens.json check/*.jpg --target board.json -o lens2.json

    Add a photograph at the longest focal length when the tripod may have moved. The exit code is 1 until every scale
    is verified: repeat with the corrected positions.
    """
    from anyzoom.calibrate import read_lens, write_lens
    from anyzoom.calibrate.report import write_report
    from anyzoom.calibrate.shots import common_size
    from anyzoom.calibrate.solve import verify as verified

    _check_free(output, overwrite)
    profile = read_lens(lens)
    sought = _sought(target, checkerboard)
    seen = _measured(shots, sought, channel)
    common_size(seen, profile.size)
    profile = verified(profile, [one.shot for one in seen])
    write_lens(profile, output)
    if report:
        write_report(report, profile, seen, sought)
    _tell(profile)
    if not all(wanted.verified for wanted in profile.wanted):
        raise typer.Exit(1)


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise CannotWrite(f"{path} exists. Choose another name or add --overwrite.")


def _factors(text: str) -> list[float]:
    from anyzoom.cli.words import scale_of

    factors = [scale_of(part) for part in text.split(",")]
    if not all(isinstance(factor, float) and 1 <= factor < float("inf") for factor in factors):
        raise ScaleError(f"{text!r}: a lens has one factor for both axes, 1 or more, such as 2 or 3.7.")
    return factors  # type: ignore[return-value]


def _mm(text: str) -> tuple[float, float]:
    """ "a4", or "420x297": width and height in mm."""
    from anyzoom.calibrate.printing import PAPERS_MM

    if text.lower() in PAPERS_MM:
        return PAPERS_MM[text.lower()]
    try:
        width, height = (float(side) for side in text.lower().split("x"))
        if min(width, height) > 0 and max(width, height) < 1e6:
            return width, height
    except ValueError:
        pass
    raise CalibrationError(f"{text!r} is not a size. Write WIDTHxHEIGHT in mm, or one of {', '.join(PAPERS_MM)}.")


def _sought(target: Path | None, square_mm: float | None) -> Target | Checkerboard:
    from anyzoom.calibrate.detect import Checkerboard
    from anyzoom.calibrate.target import read_target

    if target and square_mm is None:
        return read_target(target)
    if square_mm is not None and square_mm > 0 and not target:
        return Checkerboard(square_mm)
    raise CalibrationError("say what was photographed: --target board.json, or --checkerboard with its squares' mm.")


def _measured(shots: list[Path], sought: Target | Checkerboard, channel: Channel) -> list[Measured]:
    from anyzoom.calibrate.shots import listed_shots, measured

    listed = listed_shots(shots)
    found = []
    with progress_bar() as progress:
        task = progress.add_task(f"{len(listed)} photographs", total=len(listed)) if progress else None
        for one in listed:
            found.append(measured(one, sought, channel.value))
            if progress and task is not None:
                progress.advance(task)
    return found


def _listed(scales: list[float] | tuple[float, ...]) -> str:
    return ", ".join(f"x{scale:g}" for scale in scales)


def _tell(profile: LensProfile) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("scale", "ring", "mm", "k1", "error", "state", box=None, header_style="", pad_edge=False)
    for wanted in profile.wanted:
        table.add_row(
            f"x{wanted.scale:g}",
            f"{wanted.ring:.4f}",
            f"{wanted.focal_mm:.1f}" if wanted.focal_mm else "",
            f"{wanted.k1:+.4f}",
            f"{100 * wanted.error:.3f} %",
            "verified" if wanted.verified else "verify again" if wanted.tries else "solved",
        )
    Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 1 << 16).print(table, markup=False)
    if profile.backlash is not None:
        print(f"backlash: add {profile.backlash:+.4g} to a position that is approached from the other side")
    if profile.repeatability is not None:
        print(f"repeatability: {100 * profile.repeatability:.3f} %")
