"""From file to file: read, render band by band, write; the metadata comes along."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from anyzoom.errors import CannotWrite
from anyzoom.grid import Size
from anyzoom.image import LIMIT_PIXELS, image_writer, output_format, read_image, same_file
from anyzoom.image.part import refused_by_system
from anyzoom.models import ContinuousSR
from anyzoom.zoom.engine import Precision
from anyzoom.zoom.request import Request
from anyzoom.zoom.zoomer import DEFAULT_MEMORY, Zoomer

Progress = Callable[[int, int], None]  # output pixels done, output pixels in all


@dataclass(frozen=True)
class Zoomed:
    """What became of one photo."""

    source: Path
    target: Path
    before: Size
    after: Size
    seconds: float


@dataclass(frozen=True)
class Settings:
    """How photos are rendered and written; the same for all of a batch."""

    request: Request = field(default_factory=Request)
    device: str = "auto"
    precision: Precision = "float32"
    memory: int = DEFAULT_MEMORY  # bytes, the whole process
    tile: int | None = None  # LR pixels per side; by default chosen from the budget
    ensemble: bool = False
    format: str | None = None  # else the target's extension decides
    quality: int | None = None  # 1 to 100, of lossy formats
    overwrite: bool = False
    limit_pixels: int = LIMIT_PIXELS  # of the input


def zoom_file(
    source: Path,
    target: Path,
    network: ContinuousSR,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Zoomed:
    """Magnify one photo. The target appears complete or not at all; its folder is made where there is none.

    Raises CannotRead, CannotWrite, ScaleError, MemoryBudgetError; then nothing was written.
    """
    settings = settings or Settings()
    begun = time.monotonic()
    if same_file(source, target):
        raise CannotWrite(f"{target} is the photo itself. Choose another name for the result.")
    output_format(target, settings.format)
    photo = read_image(source, limit_pixels=settings.limit_pixels, warn=warn)
    size = settings.request.size_of(photo.size)
    tile = None if settings.tile is None else Size(settings.tile, settings.tile)
    zoomer = Zoomer(
        photo,
        network,
        device=settings.device,
        precision=settings.precision,
        memory=settings.memory,
        tile=tile,
        ensemble=settings.ensemble,
    )
    layout = zoomer.layout_at(size)
    done = 0

    def advance(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress(done, size.pixels)

    with (
        _folder_of(target),
        image_writer(
            target,
            layout,
            photo.metadata,
            format=settings.format,
            quality=settings.quality,
            overwrite=settings.overwrite,
            memory=settings.memory,
            warn=warn,
        ) as writer,
    ):
        for band in zoomer.bands(size, advance):
            writer.write(band)
    return Zoomed(source, target, photo.size, size, time.monotonic() - begun)


@contextmanager
def _folder_of(target: Path) -> Iterator[None]:
    """Makes the folders that lack above a file; those made in vain are removed again."""
    made: list[Path] = []
    try:
        with refused_by_system(target):
            for folder in (target.parent, *target.parent.parents):
                if folder.exists():
                    break
                made.append(folder)
            for folder in reversed(made):
                folder.mkdir(exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()  # only an empty one goes
        raise
