"""Whether a dataset is what it should be: every file decoded and hashed, every scene measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anyzoom.errors import AnyzoomError, CannotRead
from anyzoom.grid import Size
from anyzoom.image import read_image
from anyzoom.pairs.manifest import MANIFEST, FrameRow, manifest_of, read_manifest, sha256_of, write_manifest
from anyzoom.pairs.published import read_scenes
from anyzoom.pairs.scene import Frame, Scene


class Seen(NamedTuple):
    """One file, read to its end."""

    bytes: int = 0
    sha256: str = ""
    size: Size | None = None  # None: it cannot be used
    fault: str = ""  # why


@dataclass(frozen=True)
class Report:
    """What was found. A problem is one line that begins with the file or scene at fault."""

    layout: str
    split: str
    scenes: tuple[Scene, ...]  # those whose files can all be used
    problems: tuple[str, ...]
    left_out: tuple[str, ...]  # what the dataset does not use, and is no problem
    seen: Mapping[Path, Seen]

    @property
    def frames(self) -> tuple[Frame, ...]:
        return tuple(frame for scene in self.scenes for frame in scene.frames)

    @property
    def bytes(self) -> int:
        return sum(self.seen[path].bytes for path in {frame.path for frame in self.frames})

    @property
    def factors(self) -> list[float]:
        """HR's width over LR's, for every LR frame, rising."""
        return sorted(
            scene.frames[-1].size.width / frame.size.width for scene in self.scenes for frame in scene.frames[:-1]
        )


def check_dataset(
    folder: Path,
    layout: str | None = None,
    split: str = "train",
    *,
    skip_unreadable: bool = False,
    advance: Callable[[int, int], None] | None = None,
) -> Report:
    """Read a whole split; what cannot be read is a problem, or with `skip_unreadable` left out with its scene.

    advance takes the number of files done and of all. Raises RecipeError and CannotRead where no scenes can be told.
    """
    problems: list[str] = []
    left_out: list[str] = []
    try:
        dataset = read_scenes(folder, layout, split, skip_unreadable=skip_unreadable)
        left_out += dataset.left_out
    except CannotRead:
        if skip_unreadable:
            raise
        dataset = read_scenes(folder, layout, split, skip_unreadable=True)  # raises again when no file is to blame
        problems += dataset.left_out
    rows = _rows(folder)
    paths = list(dict.fromkeys(frame.path for scene in dataset.scenes for frame in scene.frames))
    seen: dict[Path, Seen] = {}
    with ThreadPoolExecutor() as pool:
        for path, found in zip(paths, pool.map(_look, paths), strict=True):
            seen[path] = found
            if advance:
                advance(len(seen), len(paths))
    for path, found in seen.items():
        if found.fault:
            (left_out if skip_unreadable else problems).append(found.fault)
        elif path in rows:
            problems += _against_manifest(path, found, rows[path])
    whole = tuple(scene for scene in dataset.scenes if all(seen[frame.path].size for frame in scene.frames))
    problems += [line for scene in whole for line in _against_each_other(scene, seen)]
    problems += _twins(dataset.scenes, seen)
    return Report(dataset.layout, split, whole, tuple(problems), tuple(left_out), seen)


def write_checked(report: Report, folder: Path) -> int:
    """Write the manifest of a report without problems; returns the number of its rows.

    Rows that it has already stay as they are, those of other splits too.
    """
    hashes = {path: found.sha256 for path, found in report.seen.items()}
    rows = manifest_of(report.scenes, folder, split=report.split, hashes=hashes)
    path = folder / MANIFEST
    before = {(row.scene, row.file): row for row in read_manifest(path)} if path.exists() else {}
    others = [row for row in before.values() if row.split != report.split]
    rows = others + [before.get((row.scene, row.file), row) for row in rows]
    write_manifest(path, rows)
    return len(rows)


def same_field(lr: Size, hr: Size) -> bool:
    """Whether one factor leads from both sides of HR to those of LR, each rounded to whole pixels."""
    return (2 * lr.height - 1) * hr.width <= (2 * lr.width + 1) * hr.height and (2 * lr.width - 1) * hr.height <= (
        2 * lr.height + 1
    ) * hr.width


def _rows(folder: Path) -> dict[Path, FrameRow]:
    path = folder / MANIFEST
    return {folder / row.file: row for row in read_manifest(path)} if path.is_file() else {}


def _look(path: Path) -> Seen:
    try:
        photo = read_image(path, warn=lambda _lost: None)
        if photo.pixels.dtype != np.uint8:
            raise CannotRead(f"{path}: {photo.pixels.dtype} samples. Convert it to 8 bits per channel.")
        return Seen(path.stat().st_size, sha256_of(path), photo.size)
    except (AnyzoomError, OSError, MemoryError) as error:
        return Seen(fault=str(error) if isinstance(error, AnyzoomError) else f"{path}: {error!r}")


def _against_manifest(path: Path, found: Seen, row: FrameRow) -> Iterator[str]:
    if found.sha256 != row.sha256:
        yield f"{path}: its SHA-256 begins with {found.sha256[:12]}, in the manifest with {row.sha256[:12]}."
    if found.size != Size(row.height, row.width):
        yield f"{path}: {found.size}, in the manifest {Size(row.height, row.width)}."


def _against_each_other(scene: Scene, seen: Mapping[Path, Seen]) -> Iterator[str]:
    hr = scene.frames[-1]
    for frame in scene.frames:
        stored, used = seen[frame.path].size, frame.size
        assert stored is not None
        if stored.height < used.height or stored.width < used.width:
            yield f"{frame.path}: {stored}, and to be used at {used}."
        elif not same_field(used, stored):
            yield f"{frame.path}: {stored}, and to be used at {used}, which has another aspect ratio."
        if used.height > hr.size.height or used.width > hr.size.width:
            yield f"{frame.path}: {used}, larger than its HR of {hr.size}."
        elif not same_field(used, hr.size):
            yield f"{frame.path}: {used}, another aspect ratio than its HR of {hr.size}."


def _twins(scenes: Iterable[Scene], seen: Mapping[Path, Seen]) -> Iterator[str]:
    """Copies; HR may be the same for several scenes, as where each scale of one view is a scene of its own."""
    truths = {scene.frames[-1].path for scene in scenes}
    first: dict[str, Path] = {}
    for path, found in seen.items():
        other = first.setdefault(found.sha256, path)
        if found.sha256 and other != path and not {path, other} <= truths:
            yield f"{path}: the same file as {other}."
