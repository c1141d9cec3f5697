"""Datasets by the name of their layout.

First files are paired, by their names alone; then all headers are read, in threads. So a file that cannot be read
never shifts the pairs behind it.
"""

from __future__ import annotations

import difflib
import logging
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from anyzoom.errors import AnyzoomError, CannotRead, RecipeError
from anyzoom.grid import Size, shrunk_size
from anyzoom.pairs.manifest import MANIFEST, read_manifest, scenes_in
from anyzoom.pairs.pictures import probe_picture
from anyzoom.pairs.published.city100 import CITY100
from anyzoom.pairs.published.coz import COZ
from anyzoom.pairs.published.drealsr import DREALSR
from anyzoom.pairs.published.files import entries, is_picture
from anyzoom.pairs.published.hr import HR
from anyzoom.pairs.published.layout import Layout, Planned
from anyzoom.pairs.published.realarbisr import REALARBISR
from anyzoom.pairs.published.realsr import REALSR
from anyzoom.pairs.scene import Frame, Scene

logger = logging.getLogger(__name__)

LAYOUTS: dict[str, Layout] = {  # in the order in which they are tried
    "coz": COZ,
    "realarbisr": REALARBISR,
    "realsr": REALSR,
    "drealsr": DREALSR,
    "city100": CITY100,
    "hr": HR,
}


class Dataset(NamedTuple):
    """One split of a dataset: sizes are known, pixels not yet read."""

    layout: str  # a row of LAYOUTS, or "anyzoom": told by its manifest
    split: str
    scenes: tuple[Scene, ...]
    left_out: tuple[str, ...]  # a line for every file or scene that is not used, and why


def detect(folder: Path) -> str:
    """The layout of a dataset, by its tree. Raises RecipeError saying what was found and what was looked for."""
    if (folder / MANIFEST).is_file():
        return "anyzoom"
    if folder.is_dir():
        for name, row in LAYOUTS.items():
            if row.find(folder):
                return name
    known = "; ".join(f"{name}: {row.tree}" for name, row in LAYOUTS.items())
    raise RecipeError(f"{folder} has no known layout. {_found(folder)} Expected one of these: {known}.")


def splits_of(folder: Path) -> tuple[str, ...]:
    """The splits of the dataset in a folder; none: the whole is one. Raises RecipeError, CannotRead as `detect`."""
    layout = detect(folder)
    if layout == "anyzoom":
        return tuple(sorted({row.split for row in read_manifest(folder / MANIFEST)}))
    return LAYOUTS[layout].splits


def read_scenes(
    folder: Path, layout: str | None = None, split: str = "train", *, skip_unreadable: bool = False
) -> Dataset:
    """One split of a dataset, from names and headers: pixels may still turn out to be damaged.

    layout: a row of LAYOUTS, or "anyzoom" for a folder with a manifest, whose word is taken without a look at the
    files; without it the tree tells. Raises RecipeError when the folder is laid out otherwise, and when there is no
    such split or no scene in it; CannotRead when files do not pair, when their sizes do not fit, and for the first
    picture that cannot be used, unless such pictures are to be skipped.
    """
    layout = layout or detect(folder)
    if layout == "anyzoom":
        return Dataset(layout, split, scenes_in(folder, split), ())
    if layout not in LAYOUTS:
        known = ("anyzoom", *LAYOUTS)
        near = difflib.get_close_matches(layout, known, 1, cutoff=0)[0]
        raise RecipeError(f"unknown layout {layout!r}. Known: {', '.join(known)}. Did you mean {near!r}?")
    row = LAYOUTS[layout]
    if row.splits and split not in row.splits:
        raise RecipeError(f"{layout} has no split {split!r}. It has: {', '.join(row.splits)}.")
    root = row.find(folder) if folder.is_dir() else None
    if root is None:
        raise RecipeError(f"{folder} is not laid out as {layout}. {_found(folder)} Expected: {row.tree}.")
    planned = list(row.plan(root, split))
    for name, times in Counter(plan.name for plan in planned).items():
        if times > 1:
            raise CannotRead(f"{root}: {times} scenes are called {name}. Rename or remove the files of all but one.")
    files = dict.fromkeys(path for plan in planned for path, _ in (*plan.lr, *([(plan.hr, None)] if plan.hr else [])))
    sizes, unusable = _probed(files)
    if unusable and not skip_unreadable:
        count = f" It is the first of {len(unusable)} such files." if len(unusable) > 1 else ""
        raise CannotRead(f"{unusable[0]}{count} Replace it, or leave such files out with --skip-unreadable.")
    left_out = unusable + [
        f"{path}: not a picture."
        for parent in sorted({path.parent for path in files})
        for path in entries(parent)
        if not (is_picture(path) or path.is_dir())
    ]
    scenes = []
    for plan in planned:
        if scene := _scene(plan, sizes, row):
            scenes.append(scene)
        else:
            left_out.append(f"scene {plan.name}: no {'pair' if row.splits else 'picture'} that can be used.")
    for line in left_out:
        logger.warning("left out: %s", line)
    if not scenes:
        first = f" Left out: {left_out[0]}" if left_out else ""
        raise RecipeError(f"{root} has no scene for the split {split!r} of {layout}. Expected: {row.tree}.{first}")
    return Dataset(layout, split, tuple(scenes), tuple(left_out))


def _found(folder: Path) -> str:
    if not folder.is_dir():
        return "It is not a folder."
    names = [path.name + "/" * path.is_dir() for path in entries(folder)]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"Found: {', '.join(names[:5]) or 'nothing'}{more}."


def _probed(files: Iterable[Path]) -> tuple[dict[Path, Size], list[str]]:
    """The sizes of the pictures that can be used, and a line for each that cannot."""

    def probed(path: Path) -> tuple[Path, Size | str]:
        try:
            return path, probe_picture(path)
        except AnyzoomError as error:
            return path, str(error)

    with ThreadPoolExecutor() as threads:
        found = list(threads.map(probed, files))
    sizes = {path: size for path, size in found if isinstance(size, Size)}
    return sizes, [line for _, line in found if isinstance(line, str)]


def _scene(plan: Planned, sizes: dict[Path, Size], row: Layout) -> Scene | None:
    """The scene of those files that can be used; None where they are no pair. Raises CannotRead for sizes."""
    lr = [frame for frame in plan.lr if frame[0] in sizes]
    hr = plan.hr or max((path for path, _ in lr), key=lambda path: (sizes[path][::-1], path), default=None)
    lr = [frame for frame in lr if frame[0] != hr]
    if hr not in sizes or (row.splits and not lr):
        return None
    whole = sizes[hr]
    frames = []
    for path, nominal in lr:
        used = row.used_size(sizes[path], whole, nominal) if nominal else sizes[path]
        if used is None or used.height > whole.height or used.width > whole.width:
            expected = f"about {shrunk_size(whole, nominal)} for x{nominal:g}" if nominal else "no side to be longer"
            raise CannotRead(
                f"{path} is {sizes[path]}, and its HR, {hr.name}, is {whole}: expected {expected}. "
                f"Download them again, or remove them."
            )
        frames.append(Frame(path, used, nominal))
    frames.sort(key=lambda frame: frame.size[::-1])  # by width
    return Scene(plan.name, (*frames, Frame(hr, whole)))
