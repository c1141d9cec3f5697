"""anyzoom align"""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyzoom.cli.progress import progress_bar
from anyzoom.cli.words import scale_of
from anyzoom.errors import ScaleError

if TYPE_CHECKING:
    from anyzoom.align.build import Outcome


class LayoutName(StrEnum):
    """Published datasets whose trees can be written."""

    coz = "coz"
    realarbisr = "realarbisr"
    realsr = "realsr"


class Method(StrEnum):
    """What the last word on the geometry is."""

    sift = "sift"
    ecc = "ecc"
    intensity = "intensity"


class Luminance(StrEnum):
    """How the brightness of LR is brought to that of HR."""

    gain = "gain"
    colour_matrix = "colour-matrix"
    none = "none"


def align(
    scenes: Annotated[list[Path], typer.Argument(metavar="SCENE...", help="Folders, each one zoom run.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The dataset.")],
    layout: Annotated[LayoutName, typer.Option(help="Whose tree to write.")] = LayoutName.coz,
    test: Annotated[
        list[str] | None, typer.Option(metavar="SCENE", help="A scene of the test split; the others are for training.")
    ] = None,
    scales: Annotated[
        str, typer.Option(metavar="FACTORS", help="Of test frames, and of all pairs of realarbisr and realsr.")
    ] = "",
    method: Annotated[Method, typer.Option(help="Of registration.")] = Method.sift,
    resample: Annotated[
        bool, typer.Option("--resample/--crop-only", help="Sample LR once, or cut out whole pixels.")
    ] = True,
    luminance: Annotated[Luminance, typer.Option(help="How to match brightness.")] = Luminance.gain,
    total_zoom: Annotated[
        float | None, typer.Option(metavar="FACTOR", help="Of each run, where no focal lengths are stated.")
    ] = None,
    lens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="lens.json of `anyzoom calibrate`; ring positions in scene.json."),
    ] = None,
    licence: Annotated[str | None, typer.Option(metavar="NAME", help="For the card, such as CC-BY-4.0.")] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Processes.")] = 1,
    keep_going: Annotated[
        bool, typer.Option("--keep-going/--stop", help="After a lost scene, go on with the others, or stop.")
    ] = True,
) -> None:
    """Align the photographs of zoom runs: a dataset with a manifest and a certificate.

    For example: anyzoom align runs/* -o my/dataset --test museum --licence CC-BY-4.0

    Stop it at any time; the same command makes what is missing. Photographs that fail a gate are left out and named
    with the cause. The exit code is 1 when a whole scene was lost.
    """
    from anyzoom.align.build import align_scenes
    from anyzoom.align.card import write_card
    from anyzoom.align.report import write_certificate
    from anyzoom.align.scene import Settings
    from anyzoom.calibrate.lens import read_lens

    wanted = [scale_of(part) for part in scales.split(",")] if scales else []
    if not all(isinstance(scale, float) for scale in wanted):
        raise ScaleError("a frame has one scale for both axes, such as 2 or 3.5.")
    settings = Settings(
        layout=layout.value,
        scales=tuple(sorted(wanted)),  # type: ignore[arg-type]
        method=method.value,
        crop_only=not resample,
        luminance=luminance.value,
        total_zoom=total_zoom,
        lens=read_lens(lens) if lens else None,
    )
    outcomes: list[Outcome] = []
    with progress_bar() as progress:
        task = progress.add_task(f"{len(scenes)} scenes", total=len(scenes)) if progress else None
        run = align_scenes(scenes, output, settings, test or (), jobs)
        for outcome in run:
            outcomes.append(outcome)
            if progress and task is not None:
                progress.advance(task)
            if outcome.status == "lost" and not keep_going:
                run.close()
                break
    _tell(outcomes)
    print(f"{write_certificate(output)}\n{write_card(output, licence)}")
    if any(outcome.status == "lost" for outcome in outcomes):
        raise typer.Exit(1)


def _tell(outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "scene", "split", "photographs", "pairs", "rejected", "outcome", box=None, header_style="", pad_edge=False
    )
    table.columns[0].overflow = "fold"
    for folder, scene, _ in outcomes:
        if scene.error:
            print(f"anyzoom: {' '.join(scene.error.split())}", file=sys.stderr)
        for (frame, cause, remedy), group in groupby(scene.rejected, lambda one: (one.frame, one.cause, one.remedy)):
            gates = "; ".join(f"{one.gate} {one.measured:.4g}, limit {one.limit:.4g}" for one in group)
            print(f"anyzoom: {folder / frame}: rejected, {cause} ({gates}). {remedy}", file=sys.stderr)
        for note in scene.notes:
            print(f"anyzoom: {scene.scene}: {note}", file=sys.stderr)
    for outcome in outcomes:
        scene = outcome.scene
        numbers = (str(scene.frames), str(scene.pairs), str(len(scene.rejected_frames)))
        table.add_row(scene.scene, scene.split, *numbers, outcome.status)
    Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 1 << 16).print(table, markup=False)
    counts = (
        f"{sum(one.status == status for one in outcomes)} {status}" for status in ("aligned", "unchanged", "lost")
    )
    print(", ".join(counts))
