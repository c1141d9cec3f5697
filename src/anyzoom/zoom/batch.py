"""Many photos: which files, and where each result goes. A failed photo never stops the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyzoom.errors import CannotRead, CannotWrite
from anyzoom.image import FORMATS, READABLE_EXTENSIONS, output_format


@dataclass(frozen=True)
class Item:
    """One photo to do."""

    source: Path
    target: Path


def plan(inputs: Iterable[Path], output: Path, format: str | None = None) -> list[Item]:
    """Files and folders -> photos with their targets.

    A single file goes to `output`, unless that is a folder. Otherwise `output` is a folder: files go into it, folders
    are walked and mirrored in it (pictures by extension; what lies inside `output` itself is left out). A photo of a
    kind that cannot be written (HEIC, camera raw) becomes a TIFF. Raises CannotWrite when two photos would get the
    same name or when `output` is a file but must be a folder, CannotRead when a folder holds no picture.
    """
    inputs = list(inputs)
    single = len(inputs) == 1 and not inputs[0].is_dir() and not output.is_dir()
    if single and not str(output).endswith(os.sep):
        return [Item(inputs[0], output)]
    if output.exists() and not output.is_dir():
        raise CannotWrite(f"{output} is a file. Several photos need a folder: name one with -o.")
    items: list[Item] = []
    for path in inputs:
        if path.is_dir():
            found = [Item(source, output / _named(source.relative_to(path), format)) for source in _walk(path, output)]
            if not found:
                raise CannotRead(f"{path} holds no picture that can be read.")
            items += found
        else:
            items.append(Item(path, output / _named(Path(path.name), format)))
    taken: dict[Path, Path] = {}
    for item in items:
        first = taken.setdefault(item.target, item.source)
        if first != item.source:
            raise CannotWrite(f"{first} and {item.source} would both become {item.target}. Zoom them separately.")
    return list({item.target: item for item in items}.values())


def _walk(folder: Path, output: Path) -> Iterator[Path]:
    leave_out = output.resolve()
    for here, folders, names in os.walk(folder):
        base = Path(here)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (base / name).resolve() != leave_out
        )
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in READABLE_EXTENSIONS:
                yield base / name


def _named(relative: Path, format: str | None) -> Path:
    if format is not None:
        return relative.with_suffix(output_format(relative, format).extensions[0])
    known = {extension for entry in FORMATS.values() for extension in entry.extensions}
    return relative if relative.suffix.lower() in known else relative.with_suffix(".tif")
