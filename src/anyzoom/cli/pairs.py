"""anyzoom pairs"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anyzoom.cli.progress import progress_bar
from anyzoom.cli.words import scale_of
from anyzoom.errors import ScaleError

if TYPE_CHECKING:
    from anyzoom.pairs.check import Report
    from anyzoom.pairs.make import Outcome

BAR = 40  # characters

app = typer.Typer(help="Datasets: make them, and check them.", no_args_is_help=True)


@app.command()
def make(
    pictures: Annotated[Path, typer.Argument(metavar="FOLDER", help="High-resolution pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The dataset.")],
    degradation: Annotated[str, typer.Option(metavar="NAME", help="camera, bicubic, bsrgan or realesrgan.")] = "camera",
    scales: Annotated[str, typer.Option(metavar="FACTORS", help="Separated by commas.")] = "2,3,4",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of the degradation: a TOML file with what differs.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Of all that is drawn.")] = 0,
    format: Annotated[str, typer.Option(metavar="FORMAT", help="One without loss, as png, webp or tiff.")] = "png",
    jobs: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Processes.")] = 1,
) -> None:
    """Make LR photographs of high-resolution pictures: a dataset with a manifest.

    For example: anyzoom pairs make my/pictures -o my/dataset --degradation camera --scales 1.5,2,3,4

    Stop it at any time; the same command makes what is missing. A picture that fails does not stop the others.
    """
    from anyzoom.pairs.make import Making, load_degradation, make_scenes
    from anyzoom.pairs.pictures import picture_files

    factors = [scale_of(part) for part in scales.split(",")]
    if not all(isinstance(factor, float) for factor in factors):
        raise ScaleError("a scene is photographed with one factor for both axes, such as 2 or 3.7.")
    making = Making(degradation, load_degradation(degradation, config), tuple(factors), seed, format)  # type: ignore[arg-type]
    files = picture_files(pictures)
    outcomes = []
    with progress_bar() as progress:
        task = progress.add_task(f"{len(files)} pictures", total=len(files)) if progress else None
        for outcome in make_scenes(files, output, making, jobs):
            outcomes.append(outcome)
            if progress and task is not None:
                progress.advance(task)
    _tell_made(outcomes)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _tell_made(outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("picture", "size", "outcome", box=None, header_style="", pad_edge=False)
    table.columns[0].overflow = "fold"
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"anyzoom: {' '.join(outcome.error.split())}", file=sys.stderr)
        table.add_row(str(outcome.picture), str(outcome.size or ""), outcome.status)
    Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 1 << 16).print(table, markup=False)
    print(", ".join(f"{sum(o.status == name for o in outcomes)} {name}" for name in ("made", "skipped", "failed")))


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A dataset.")],
    layout: Annotated[str | None, typer.Option(metavar="NAME", help="Its layout; else it is recognised.")] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, test or validation.")] = "train",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out scenes with files that cannot be read.")
    ] = False,
    save: Annotated[
        bool, typer.Option("--write-manifest", help="Write FOLDER/manifest.jsonl when nothing is wrong.")
    ] = False,
    most: Annotated[int, typer.Option("--limit", min=1, metavar="NUMBER", help="Problems to list; all count.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Read a dataset to its last pixel: does every file decode, do sizes, aspect ratios and hashes agree?

    Prints its statistics. The exit code is 1 when anything is wrong.
    """
    from anyzoom.pairs.check import check_dataset, write_checked

    with progress_bar(quiet=as_json) as progress:
        task = progress.add_task(folder.name, total=None) if progress else None

        def advance(done: int, total: int) -> None:
            if progress and task is not None:
                progress.update(task, completed=done, total=total)

        report = check_dataset(folder, layout, split, skip_unreadable=skip_unreadable, advance=advance)
    told = _statistics(report)
    if save and not report.problems:
        told["manifest_rows"] = write_checked(report, folder)
    if as_json:
        print(json.dumps(told | {"problems": report.problems, "left_out": report.left_out}, indent=2))
    else:
        _tell_checked(folder, told, report, most)
    if report.problems:
        raise typer.Exit(1)


@app.command()
def stats(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A dataset.")],
    layout: Annotated[str | None, typer.Option(metavar="NAME", help="Its layout; else it is recognised.")] = None,
    kinds: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV of scene and kind, a line each.")] = None,
    table: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a line per scene.")] = None,
    drawing: Annotated[Path | None, typer.Option("--figure", metavar="FILE", help="Write the figure, SVG.")] = None,
) -> None:
    """Tell a dataset's magnifications, frames per scene, kinds of scenes, and what alignment rejected."""
    from anyzoom.image.part import refused_by_system
    from anyzoom.pairs.stats import as_csv, figure, histogram, statistics_of

    found = statistics_of(folder, layout, kinds)
    for path, text in ((table, as_csv(found)), (drawing, figure(found))):
        if path:
            with refused_by_system(path):
                path.write_text(text, "utf-8")
    splits = Counter(scene.split for scene in found.scenes)
    print(f"{folder}: {len(found.scenes)} scenes ({', '.join(f'{name}: {n}' for name, n in splits.items())})")
    if found.box:
        print(f"{len(found.factors)} LR frames, " + f"x{found.box.lowest:.2f} to x{found.box.highest:.2f}")
        print("quarters x{1:.2f}, x{2:.2f}, x{3:.2f}".format(*found.box))
        _tell_bars({f"x{low:g}": count for low, count in histogram(found.factors)})
    for title, counts in (
        ("scenes by number of frames", {str(frames): count for frames, count in found.frames.items()}),
        ("scenes by kind", found.kinds if kinds else {}),
        ("gates that photographs failed", found.gates),
    ):
        if counts:
            print(title)
            _tell_bars(counts)


def _tell_bars(counts: dict[str, int]) -> None:
    wide, most = max(map(len, counts)), max(counts.values())
    for name, count in counts.items():
        print(f"  {name:<{wide}} {'#' * math.ceil(BAR * count / most):<{BAR}} {count}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a manifest's rows."""
    from anyzoom.pairs.manifest import manifest_schema

    print(manifest_schema(), end="")


def _statistics(report: Report) -> dict[str, Any]:
    lr, hr = [], []
    for scene in report.scenes:
        *smaller, largest = (frame.size.pixels for frame in scene.frames)
        lr += smaller
        hr.append(largest)
    told: dict[str, Any] = {
        "layout": report.layout,
        "split": report.split,
        "scenes": len(hr),
        "frames": len(hr) + len(lr),
        "pixels_hr": sum(hr),
        "pixels_lr": sum(lr),
        "bytes": report.bytes,
    }
    factors = report.factors
    if factors:
        told["factors"] = {"min": factors[0], "median": statistics.median(factors), "max": factors[-1]}
    return told


def _tell_checked(folder: Path, told: dict[str, Any], report: Report, most: int) -> None:
    print(f"{folder}: {told['layout']}, split {told['split']}")
    print(f"{told['scenes']} scenes, {told['frames']} frames, {told['bytes'] / 1e6:.1f} MB")
    print(f"{told['pixels_hr'] / 1e6:.1f} megapixels HR, {told['pixels_lr'] / 1e6:.1f} LR")
    if "factors" in told:
        print("factors: {min:.2f} to {max:.2f}, median {median:.2f}".format(**told["factors"]))
        near = Counter(round(2 * factor) / 2 for factor in report.factors)
        for factor, count in sorted(near.items()):
            print(f"  about x{factor:<4g} {'#' * max(1, round(BAR * count / max(near.values()))):<{BAR}} {count}")
    if "manifest_rows" in told:
        print(f"{folder / 'manifest.jsonl'}: {told['manifest_rows']} rows")
    if report.left_out:
        print(f"{len(report.left_out)} left out")
    for line in report.problems[:most]:
        print(f"anyzoom: {' '.join(line.split())}", file=sys.stderr)
    if len(report.problems) > most:
        print(f"anyzoom: and {len(report.problems) - most} more", file=sys.stderr)
    print(f"{len(report.problems)} problems" if report.problems else "nothing is wrong")
