"""Many photos: which files, and where each result goes. A failed photo never stops the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyzoom.errors import CannotRead, CannotWrite
from anyzoom.image import FORMATS, READABLE_EXTENSIONS, output_format, same_file

SLASHES = tuple(filter(None, (os.sep, os.altsep)))


@dataclass(frozen=True)
class Item:
    """One photo to do."""

    source: Path
    target: Path

    @property
    def done(self) -> bool:
        """Whether the result is there already. The photo itself is no result."""
        return _holds(self.target.exists) and not same_file(self.source, self.target)


def plan(inputs: Iterable[Path], output: Path | str, format: str | None = None) -> list[Item]:
    """Files and folders -> photos with their targets.

    A single file goes to `output`, unless that is a folder or ends with a slash. Otherwise `output` is a folder: files
    go into it, folders are walked and mirrored in it (pictures by extension; what lies inside `output` itself is left
    out). A photo of a kind that cannot be written (HEIC, camera raw) becomes a TIFF. Raises CannotWrite when two photos
    would get the same name or when `output` is a file but must be a folder, CannotRead when a folder cannot be listed
    or holds no picture.
    """
    inputs, into_folder = list(inputs), str(output).endswith(SLASHES)
    output = Path(output)
    if len(inputs) == 1 and not into_folder and not _holds(inputs[0].is_dir) and not _holds(output.is_dir):
        return [Item(inputs[0], output)]
    if _holds(output.is_file):
        raise CannotWrite(f"{output} is a file. Several photos need a folder: name one with -o.")
    items: list[Item] = []
    for path in inputs:
        if _holds(path.is_dir):
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


def _holds(question: Callable[[], bool]) -> bool:
    """No where the system cannot say, as for a name too long; whoever opens the file will be told why."""
    try:
        return question()
    except OSError:
        return False


def _walk(folder: Path, output: Path) -> Iterator[Path]:
    leave_out = output.resolve()

    def refuse(error: OSError) -> None:
        raise CannotRead(f"{error.filename}: this folder cannot be listed ({error.strerror}).") from error

    for here, folders, names in os.walk(folder, onerror=refuse):
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
