"""anyzoom zoom"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anyzoom.cli.progress import progress_bar
from anyzoom.cli.words import Precision, bytes_of, one_line, pixels_of, scale_of, size_of
from anyzoom.errors import AnyzoomError, ScaleError

if TYPE_CHECKING:
    from rich.progress import Progress

    from anyzoom.grid import Size
    from anyzoom.models import ContinuousSR
    from anyzoom.zoom.batch import Item
    from anyzoom.zoom.files import Settings


logger = logging.getLogger(__name__)


@dataclass
class Outcome:
    """One line of the final table."""

    item: Item
    status: str  # done, skipped, failed
    error: str = ""
    before: Size | None = None
    after: Size | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "source": str(self.item.source),
            "target": str(self.item.target),
            "status": self.status,
        }
        if self.before and self.after:
            record |= {
                "from": [self.before.width, self.before.height],
                "to": [self.after.width, self.after.height],
            }
            record["seconds"] = round(self.seconds, 3)
        return record | ({"error": self.error} if self.error else {})


def zoom(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.", metavar="PHOTO")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="A file for one photo, a folder for several.")
    ],
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            "-s",
            metavar="FACTOR",
            help="Any factor from 1 up, like 3.7; or 3x2: 3 wide, 2 high.  [default: 2]",
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Exactly this width and height in pixels.")] = None,
    width: Annotated[int | None, typer.Option(metavar="PIXELS", help="This wide, height in proportion.")] = None,
    height: Annotated[int | None, typer.Option(metavar="PIXELS", help="This high, width in proportion.")] = None,
    fit: Annotated[str | None, typer.Option(metavar="WxH", help="As large as fits into this box.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A name from `anyzoom models list`, or a .safetensors file.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="bfloat16 is faster where hardware has it.")] = Precision.float32,
    memory: Annotated[str, typer.Option(metavar="BYTES", help="Memory that the whole run may use.")] = "2GiB",
    tile: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Side of a tile of the input; else --memory decides.")
    ] = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Average eight orientations: 8x slower.")] = False,
    format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Output format, whatever the extension says.")
    ] = None,
    quality: Annotated[int | None, typer.Option(metavar="1-100", help="Of JPEG, WebP and AVIF.  [default: 95]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    max_input_megapixels: Annotated[float, typer.Option(metavar="NUMBER", help="Refuse larger photos.")] = 512,
    max_output_megapixels: Annotated[float, typer.Option(metavar="NUMBER", help="Refuse larger results.")] = 4000,
) -> None:
    """Magnify photos by any factor.

    For example: anyzoom zoom photo.jpg --scale 3.7 -o large.jpg

    Results that exist are skipped, a photo that fails does not stop the others, and nothing is ever half-written.
    """
    from anyzoom.checkpoint import load_model
    from anyzoom.checkpoint.store import DEFAULT_MODEL
    from anyzoom.grid import as_scale
    from anyzoom.zoom.batch import plan
    from anyzoom.zoom.engine import choose_device
    from anyzoom.zoom.files import Settings
    from anyzoom.zoom.request import Request

    factors = None if scale is None else as_scale(scale_of(scale))
    request = Request(
        scale=factors,
        size=None if size is None else size_of(size),
        width=width,
        height=height,
        fit=None if fit is None else size_of(fit),
        limit_pixels=pixels_of(max_output_megapixels),
    )
    request.check()
    choose_device(device)
    if tile is not None and tile < 1:
        raise ScaleError(f"a tile of {tile} pixels is too small. Ask for 1 or more.")
    settings = Settings(
        request=request,
        device=device,
        precision=precision.value,
        memory=bytes_of(memory),
        tile=tile,
        ensemble=ensemble,
        format=format,
        quality=quality,
        overwrite=overwrite,
        limit_pixels=pixels_of(max_input_megapixels),
    )
    items = plan(photos, output, format)
    network = load_model(model or DEFAULT_MODEL)
    outcomes: list[Outcome] = []
    with progress_bar(quiet=as_json) as progress:
        for number, item in enumerate(items, 1):
            name = item.source.name if len(items) == 1 else f"{number}/{len(items)} {item.source.name}"
            outcomes.append(_done(item, name, network, settings, progress))
    if as_json:
        print(json.dumps({"photos": [outcome.as_json() for outcome in outcomes]}, indent=2))
    else:
        _tell(outcomes)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _done(item: Item, name: str, network: ContinuousSR, settings: Settings, progress: Progress | None) -> Outcome:
    from anyzoom.zoom.files import zoom_file

    task = progress.add_task(name, total=None) if progress else None

    def advance(done: int, total: int) -> None:
        if progress and task is not None:
            progress.update(task, completed=done, total=total)

    def warn(found: str) -> None:
        print(f"anyzoom: {found}", file=sys.stderr)

    try:
        if item.done and not settings.overwrite:
            return Outcome(item, "skipped", "exists already; --overwrite replaces it")
        zoomed = zoom_file(item.source, item.target, network, settings, progress=advance, warn=warn)
    except (AnyzoomError, OSError, MemoryError) as error:
        return Outcome(item, "failed", one_line(error))
    except Exception as error:  # our own bug: told in full, but the other photos are done
        logger.exception("%s", item.source)
        return Outcome(item, "failed", one_line(error))
    finally:
        if progress and task is not None:
            progress.remove_task(task)
    return Outcome(item, "done", "", zoomed.before, zoomed.after, zoomed.seconds)


def _tell(outcomes: list[Outcome]) -> None:
    """One photo: one line. Several: a table."""
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"anyzoom: {outcome.error}", file=sys.stderr)
    if len(outcomes) == 1:
        only = outcomes[0]
        if only.status == "done":
            print(f"{only.item.target}: {only.before} -> {only.after} in {only.seconds:.1f} s")
        elif only.status == "skipped":
            print(f"{only.item.target}: {only.error}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("photo", "from", "to", "seconds", "outcome", box=None, header_style="", pad_edge=False)
    table.columns[0].overflow = "fold"  # names stay whole
    for outcome in outcomes:
        table.add_row(
            str(outcome.item.source),
            str(outcome.before or ""),
            str(outcome.after or ""),
            f"{outcome.seconds:.1f}" if outcome.before else "",
            outcome.status,
        )
    # A file or a pipe has no width; names mean nothing but themselves.
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 1 << 16)
    console.print(table, markup=False)
    counts = {name: sum(outcome.status == name for outcome in outcomes) for name in ("done", "skipped", "failed")}
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
