"""City100 (Chen et al., "Camera Lens Super-Resolution", CVPR 2019): printed postcards, two cameras.

LR is stored on HR's pixel grid. At which size it is used is our choice, the release names no factor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from anyzoom.pairs.published.files import ROLE, by_role, folders, pictures, planned_pairs, root_of
from anyzoom.pairs.published.layout import Layout, Planned, stored_or_shrunk

# By these the LR of four scenes could be shrunk and enlarged again at little loss (nikon 39 to 43 dB, iphone 33 to
# 45 dB): about the factors of the zoom. And they divide both sides of HR, 1218x870 and 840x600.
FACTORS = {"nikon": 2.9, "iphone": 2.5}
VALIDATION = {20, 40, 60, 80}  # scenes


def cameras(root: Path) -> dict[str, Path]:
    """The folders by camera: `nikon`, or City100_NikonD5500 as in the release."""
    named = {camera: path for path in folders(root) for camera in FACTORS if camera in path.name.lower()}
    return {camera: path for camera, path in named.items() if any(ROLE.search(file.stem) for file in pictures(path))}


def plan(root: Path, split: str) -> Iterator[Planned]:
    for camera, folder in sorted(cameras(root).items()):
        for scene in planned_pairs(camera, FACTORS[camera], *by_role(folder)):
            validation = VALIDATION & {int(number) for number in re.findall(r"\d+", scene.name)}
            if bool(validation) == (split == "validation"):
                yield scene


CITY100 = Layout(
    tree="nikon/001_HR.png, nikon/001_LR.png, ..., iphone likewise; or City100_NikonD5500/001H.PNG, 001L.PNG, ...",
    paper="Chen et al., CVPR 2019",
    splits=("train", "validation"),
    find=root_of(cameras),
    plan=plan,
    used_size=stored_or_shrunk,
)
