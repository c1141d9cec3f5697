"""Any folder of high-resolution pictures, such as DIV2K, Flickr2K, Set5 or Manga109: LR is still to be made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from anyzoom.errors import RecipeError
from anyzoom.pairs.published.files import folders, pictures
from anyzoom.pairs.published.layout import Layout, Planned, rounded


def below(folder: Path) -> Iterator[Path]:
    """All pictures of the folders in a folder."""
    for inner in folders(folder):
        yield from pictures(inner)
        yield from below(inner)


def find(folder: Path) -> Path | None:
    return folder if pictures(folder) or any(True for _ in below(folder)) else None


def plan(folder: Path, _split: str) -> Iterator[Planned]:
    said = r"(?<![A-Za-z]){0}R(?![A-Za-z])|(?<=\d){0}$"  # DIV2K_train_LR_bicubic/X2/0001x2, 004_LR, 001L
    files = pictures(folder) or list(below(folder))
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    low, high = ([bool(re.search(said.format(role), name)) for name in names] for role in "LH")
    if any(low) and any(high):
        raise RecipeError(
            f"{folder} holds HR and LR pictures, {files[low.index(True)]} for one. Name the folder of HR pictures."
        )
    shared = {name for name, count in Counter(names).items() if count > 1}
    for path, name in zip(files, names, strict=True):
        yield Planned(name + path.suffix if name in shared else name, path, ())


HR = Layout(
    tree="high-resolution pictures directly in the folder; where there are none, in the folders below",
    paper="",
    splits=(),
    find=find,
    plan=plan,
    used_size=rounded,
)
