"""COZ (Fu et al., "Continuous Optical Zooming", CVPR 2024): whole zoom sequences of a scene.

The authors draw two frames of a training scene and take the wider one for HR. A test scene's LR files are x2 to x6 by
their place in sorted order, and the i-th HR file belongs to the i-th scene folder that is not empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anyzoom.errors import CannotRead
from anyzoom.pairs.published.files import common_name, folders, matched, pictures, root_of
from anyzoom.pairs.published.layout import Layout, Planned, about

TEST_SCALES = {"test_LR": (2.0, 3.0, 4.0, 5.0, 6.0), "test_LR_add": (2.5, 3.5, 5.5)}  # some scenes have no x6


def holds_coz(root: Path) -> bool:
    """Its train_LR and test_LR hold scene folders, where DRealSR's hold pictures."""
    return any(folders(root / part) for part in ("train_LR", "test_LR"))


def plan(root: Path, split: str) -> Iterator[Planned]:
    if split == "test":
        yield from _test(root)
        return
    for scene in folders(root / "train_LR"):
        yield Planned(scene.name, None, tuple((path, None) for path in pictures(scene)))


def _test(root: Path) -> Iterator[Planned]:
    hr = pictures(root / "test_HR")
    lr: dict[Path, list[tuple[Path, float | None]]] = {path: [] for path in hr}
    for part, scales in TEST_SCALES.items():
        frames = {scene: pictures(scene) for scene in folders(root / part)}
        whole = [scene for scene, files in frames.items() if files]
        partners = matched(whole, hr)
        if whole and not partners:
            if len(whole) != len(hr):
                empty = ", ".join(scene.name for scene in frames if not frames[scene]) or "none"
                raise CannotRead(
                    f"{root / part} has {len(whole)} scenes, but test_HR {len(hr)} pictures, and names do not tell "
                    f"which belong together. Empty scene folders: {empty}. Download them again."
                )
            partners = dict(zip(whole, hr, strict=True))
        for scene, high in partners.items():
            if len(frames[scene]) > len(scales):
                raise CannotRead(f"{scene} has {len(frames[scene])} pictures, but {part} at most {len(scales)}.")
            lr[high] += zip(frames[scene], scales, strict=False)
    for high in hr:
        yield Planned(common_name(high), high, tuple(lr[high]))


COZ = Layout(
    tree="train_LR/SCENE/FRAMES; test_LR/SCENE/(x2 to x6), test_LR_add/SCENE/(x2.5, x3.5, x5.5), test_HR/SCENE.png",
    paper="Fu et al., CVPR 2024",
    splits=("train", "test"),
    find=root_of(holds_coz),
    plan=plan,
    used_size=about,
)
