"""Folders and names: what lies where, and which LR file belongs to which HR file.

The authors' loaders of COZ and RealArbiSR pair by place in sorted order and never look at names. Here names decide
where they agree, then the numbers in them. Place is the last resort, for as many LR as HR files whose names have
nothing in common.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from anyzoom.errors import CannotRead, RecipeError
from anyzoom.pairs.pictures import SUFFIXES
from anyzoom.pairs.published.layout import Planned

ROLE = re.compile(r"(?:_|(?<=\d))([HL])R?\d?$")  # 004_HR, Canon_001_LR2, 001H
MARKS = re.compile(r"(?:_[HL]R\d?|(?<=\d)[HL]|_x\d)(?=_|$)")  # by which the names of LR and HR may differ


def hidden(path: Path) -> bool:
    """Left behind by a file manager or an archive."""
    return path.name.startswith(".") or path.name in ("__MACOSX", "Thumbs.db")


def is_picture(path: Path) -> bool:
    """By its name alone."""
    return path.suffix.lower() in SUFFIXES


def entries(folder: Path) -> list[Path]:
    """What lies directly inside, sorted by name; nothing where the folder is missing. Raises CannotRead."""
    if not folder.is_dir():
        return []
    try:
        return sorted(path for path in folder.iterdir() if not hidden(path))
    except OSError as error:
        raise CannotRead(f"{folder} cannot be listed ({error.strerror}). Change its permissions.") from error


def folders(folder: Path) -> list[Path]:
    return [path for path in entries(folder) if path.is_dir()]


def pictures(folder: Path) -> list[Path]:
    return [path for path in entries(folder) if is_picture(path)]


def root_of(fits: Callable[[Path], object]) -> Callable[[Path], Path | None]:
    """Finds the folder that fits: the one given, or one in it. Raises RecipeError when several of these do."""

    def find(folder: Path) -> Path | None:
        roots = [folder] if fits(folder) else [inner for inner in folders(folder) if fits(inner)]
        if len(roots) > 1:
            raise RecipeError(f"{folder} holds several datasets: {', '.join(root.name for root in roots)}. Name one.")
        return roots[0] if roots else None

    return find


def common_name(path: Path) -> str:
    """What an LR and its HR are both called: Canon_10 for Canon_10_x1.png and Canon_10_x4.png."""
    stem = path.stem if is_picture(path) else path.name
    return MARKS.sub("", stem) or stem


def numbers(path: Path) -> str:
    """The numbers in a name, without leading zeros."""
    return " ".join(str(int(digits)) for digits in re.findall(r"\d+", common_name(path)))


def matched(lr: list[Path], hr: list[Path]) -> dict[Path, Path]:
    """The HR of each LR, by name or number; empty where these say nothing. HR may have more.

    Raises CannotRead where some LR have a partner and others do not.
    """
    for key in (common_name, numbers):
        partners = {key(path): path for path in hr}
        if len(partners) < len(hr) or len(set(map(key, lr))) < len(lr):
            continue  # it does not tell them apart
        missing = [path for path in lr if key(path) not in partners]
        if not missing:
            return {path: partners[key(path)] for path in lr}
        if len(missing) < len(lr):
            raise CannotRead(f"{missing[0]} has no partner in {hr[0].parent}, where others have. Add or remove it.")
    return {}


def planned_pairs(group: str, scale: float, lr: list[Path], hr: list[Path]) -> Iterator[Planned]:
    """A scene, `group/name`, for each pair of files. Raises CannotRead where not all have a partner."""
    if len(lr) != len(hr):
        few, many, lacking = (lr, hr, "LR") if len(lr) < len(hr) else (hr, lr, "HR")
        named = set(map(common_name, few))
        lonely = next(path for path in [*many, many[-1]] if common_name(path) not in named or path is many[-1])
        raise CannotRead(
            f"{group} has {len(lr)} LR and {len(hr)} HR pictures: {lonely} has no {lacking}. Add or remove it."
        )
    for low, high in (matched(lr, hr) or dict(zip(lr, hr, strict=True))).items():
        yield Planned(f"{group}/{common_name(high)}", high, ((low, scale),))


def by_role(folder: Path) -> tuple[list[Path], list[Path]]:
    """The LR and the HR pictures of a folder that holds both. Raises CannotRead for a name that does not tell."""
    roles: dict[str, list[Path]] = {"L": [], "H": []}
    for path in pictures(folder):
        role = ROLE.search(path.stem)
        if not role:
            raise CannotRead(f"{path}: its name does not end in _HR or _LR, as its neighbours' do. Rename or move it.")
        roles[role[1]].append(path)
    return roles["L"], roles["H"]
