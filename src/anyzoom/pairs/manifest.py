"""The manifest of a dataset: `manifest.jsonl` in its root, one JSON row per frame.

Files are named relative to the manifest, so a dataset can be moved. A row leaves out what is null; a field that is
added later is optional, so that old manifests stay readable and keep their digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from anyzoom.degrade.degradation import Draws
from anyzoom.errors import CannotRead, CannotWrite, RecipeError
from anyzoom.grid import Size
from anyzoom.image import probe_image
from anyzoom.image.part import refused_by_system
from anyzoom.pairs.aligned import Aligned, Sha256
from anyzoom.pairs.scene import Frame, Scene

MANIFEST = "manifest.jsonl"
VERSION: Literal[1] = 1

Side = Annotated[int, Field(ge=1)]  # pixels


class Made(BaseModel):
    """How a frame was made from its source; enough to make it again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    degradation: str  # a row of DEGRADATIONS
    configuration: dict[str, Any]  # of that row, whole
    seed: int
    draws: Draws


class FrameRow(BaseModel):
    """One frame of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = VERSION
    scene: str
    file: str  # relative to the manifest, with slashes
    sha256: Sha256
    height: Side  # of the picture in the file, upright
    width: Side
    used_height: Side | None = None  # the size at which it is used, where that is another: shrunk when it is read
    used_width: Side | None = None
    nominal: float | None = None  # the factor to the scene's largest frame, where one was asked for
    role: Literal["lr", "hr"]  # hr: the scene's largest frame
    split: str = "train"
    source: str | None = None  # the file it was made from, relative to the folder that was given
    source_sha256: Sha256 | None = None
    made: Made | None = None  # null: as it was found
    aligned: Aligned | None = None  # of an LR frame of a zoom run

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str) -> str:
        if not file or file.startswith("/") or ".." in PurePosixPath(file).parts:
            raise ValueError(f"{file!r} leaves the folder of its manifest")
        return file

    @property
    def size(self) -> Size:
        """At which the frame is used."""
        return Size(self.used_height or self.height, self.used_width or self.width)


def manifest_schema() -> str:
    """The JSON Schema of a row, as docs/schemas/manifest.json keeps it."""
    return json.dumps(FrameRow.model_json_schema(), indent=2) + "\n"


def write_manifest(path: Path, rows: Iterable[FrameRow]) -> None:
    """Write a manifest; the file appears, or is replaced, as a whole. Raises CannotWrite."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with refused_by_system(path):
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(row.model_dump_json(exclude_none=True) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def read_manifest(path: Path) -> list[FrameRow]:
    """The rows of a manifest, in its order. Raises CannotRead, naming the line at fault."""
    rows: dict[tuple[str, str], FrameRow] = {}
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                row = FrameRow.model_validate_json(line)
                if (row.scene, row.file) in rows:
                    raise CannotRead(f"{path}, line {number}: {row.file} comes twice. Remove one of its rows.")
                rows[row.scene, row.file] = row
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("version",):
            raise CannotRead(
                f"{path}, line {number}: the version is not {VERSION}, the one that this anyzoom reads. Update anyzoom."
            ) from error
        key = ".".join(map(str, first["loc"]))
        raise CannotRead(f"{path}, line {number}: {f'{key}: ' if key else ''}{first['msg']}.") from error
    except UnicodeDecodeError as error:
        raise CannotRead(f"{path}, after line {number}: not UTF-8. It was not written by anyzoom.") from error
    except OSError as error:
        raise CannotRead(f"cannot read the manifest {path}: {error.strerror}.") from error
    return list(rows.values())


def digest(path: Path) -> str:
    """SHA-256 of what a manifest says, whatever the order of its rows and keys. Raises CannotRead."""
    rows = sorted(read_manifest(path), key=lambda row: (row.scene, row.file))
    said = [row.model_dump(mode="json", exclude_none=True) for row in rows]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def scenes_of(rows: Sequence[FrameRow], root: Path) -> tuple[Scene, ...]:
    """The scenes of a manifest in `root`, sorted by name. Raises CannotRead where one has no single HR frame."""
    scenes = []
    narrow_to_wide = sorted(rows, key=lambda row: (row.scene, row.role == "hr", row.size.pixels, row.file))
    for name, group in groupby(narrow_to_wide, key=lambda row: row.scene):
        frames = list(group)
        if [row.role for row in frames].count("hr") != 1:
            raise CannotRead(f"{root / MANIFEST}: scene {name!r} needs exactly one frame whose role is hr.")
        scenes.append(Scene(name, tuple(Frame(root / row.file, row.size, row.nominal) for row in frames)))
    return tuple(scenes)


def scenes_in(folder: Path, split: str) -> tuple[Scene, ...]:
    """The scenes of one split of the dataset in a folder. Raises CannotRead, RecipeError when it has no such split."""
    rows = read_manifest(folder / MANIFEST)
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        known = ", ".join(sorted({row.split for row in rows})) or "none: its manifest is empty"
        raise RecipeError(f"{folder} has no split {split!r}. It has: {known}.")
    return scenes_of(chosen, folder)


def manifest_of(
    scenes: Iterable[Scene], root: Path, *, split: str = "train", hashes: Mapping[Path, str] | None = None
) -> list[FrameRow]:
    """Rows for scenes whose files lie in `root`; what is not among `hashes` is hashed, in threads.

    Raises CannotRead for a file that is missing or no picture, CannotWrite for one outside `root`.
    """
    known = hashes or {}

    def row(scene: Scene, frame: Frame) -> FrameRow:
        stored = probe_image(frame.path).size
        shrunk = frame.size != stored
        return FrameRow(
            scene=scene.name,
            file=relative_to(frame.path, root),
            sha256=known.get(frame.path) or sha256_of(frame.path),
            height=stored.height,
            width=stored.width,
            used_height=frame.size.height if shrunk else None,
            used_width=frame.size.width if shrunk else None,
            nominal=frame.nominal,
            role="hr" if frame is scene.frames[-1] else "lr",
            split=split,
        )

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(row, scene, frame) for scene in scenes for frame in scene.frames]
        return [future.result() for future in waiting]


def relative_to(path: Path, root: Path) -> str:
    """A file's name in the manifest of `root`. Raises CannotWrite."""
    try:
        name = path.relative_to(root).as_posix()
        name.encode()
    except UnicodeEncodeError as error:
        raise CannotWrite(f"{path}: its name is no text, so no manifest can hold it. Rename it.") from error
    except ValueError as error:
        raise CannotWrite(f"{path} lies outside of {root}, so its manifest cannot name it. Move it there.") from error
    return name


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal. Raises CannotRead."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CannotRead(f"{path}: cannot be read ({error.strerror}).") from error
